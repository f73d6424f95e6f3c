"""Surfaces drawn from the factors of their moves, each with the spot return that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.grid_arbitrage import grid_violations
from pmkit.surface.joint.essvi_box import EssviCurves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STEPS", "Coordinates", "SimulatedSurfaces"]

#: Standardised moneyness k/sqrt(theta) of the grid.
STEPS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
Coordinates = Literal["box", "grid"]


@dataclass(frozen=True, kw_only=True, repr=False)
class SimulatedSurfaces(Result):
    """Surfaces some intervals ahead of an observed one, each with the spot return that goes with it.

    Attributes
    ----------
    coordinates : {"box", "grid"}
    taus : ndarray, shape (pillars,)
        Years of 365 days.
    spot_return : ndarray, shape (paths,)
        Log return.
    curves : EssviCurves or None
        theta, rho and psi of shape (paths, pillars); None for the grid.
    k, w : ndarray, shape (paths, pillars, points)
        Log-moneyness and total variance of the grid points.
    """

    coordinates: Coordinates
    taus: FloatArray
    spot_return: FloatArray
    curves: EssviCurves | None
    k: FloatArray
    w: FloatArray

    def __len__(self) -> int:
        return int(self.spot_return.size)

    def violations(self) -> pd.DataFrame:
        """Return per path whether the grid points alone admit arbitrage: columns butterfly and calendar.

        Only what the points show is counted: call prices that rise or are not convex in strike at one pillar,
        and total variance that falls in time at equal k. More may hide between the points.
        """
        butterfly, calendar = grid_violations(self.k, self.w)
        return pd.DataFrame({"butterfly": butterfly, "calendar": calendar})

    def summary(self) -> pd.DataFrame:
        """Return one row per pillar: quantiles of the vol at the money, and the shares with arbitrage."""
        found = self.violations().mean()
        atm = np.sqrt(self.w[..., len(STEPS) // 2] / self.taus)
        levels = (0.01, 0.5, 0.99)
        rows = pd.DataFrame(
            np.quantile(atm, levels, axis=0).T,
            index=pd.Index(np.rint(self.taus * 365).astype(int), name="days"),
            columns=[f"atm_{100 * level:g}%" for level in levels],
        )
        return rows.assign(butterfly=found["butterfly"], calendar=found["calendar"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the vols at the money over the spot returns, one colour a pillar, and return the axes."""
        axes = new_axes(ax, (6.0, 4.0))
        atm = np.sqrt(self.w[..., len(STEPS) // 2] / self.taus)
        for pillar, tau in enumerate(self.taus):
            axes.plot(self.spot_return, atm[:, pillar], ".", markersize=2, label=f"{365.0 * tau:.0f} days")
        axes.set_xlabel("log return of the spot")
        axes.set_ylabel("implied vol at the money")
        axes.legend(frameon=False, fontsize="small")
        return axes
