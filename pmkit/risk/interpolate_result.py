"""What a revaluation on grids returns: the profit, and a row for every grid that it took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PATCH_COLUMNS", "GridRevaluation"]

PATCH_COLUMNS = [
    "underlying",
    "currency",
    "expiry",
    "options",
    "scenarios",
    "spot_nodes",
    "vol_nodes",
    "last_terms",
]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class GridRevaluation(Result):
    """Profit of an account with its options interpolated on grids of spot and vol.

    Attributes
    ----------
    pnl : ndarray, shape (scenarios,)
        Profit in ``numeraire``, gain positive.
    numeraire : str
    scenarios : ScenarioSet
    patches : DataFrame
        One row a grid: ``underlying``, settlement ``currency``, ``expiry`` (``all`` where every expiry moves
        with spot alone), numbers of ``options``, ``scenarios``, ``spot_nodes`` and ``vol_nodes``, and
        ``last_terms``: size in ``currency`` of the highest terms of the polynomial. Where they have not
        died away there are too few nodes, or G has a kink.
    exact : int
        Contracts that were revalued in every scenario: linear ones and those that settle.
    """

    pnl: FloatArray
    numeraire: str
    scenarios: ScenarioSet
    patches: pd.DataFrame
    exact: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.revalue_grid"))
    references: tuple[str, ...] = ("black1976", "trefethen2019", "zeron2019")

    @property
    def valuations(self) -> int:
        """Option values that were computed on the nodes."""
        nodes = self.patches["spot_nodes"] * self.patches["vol_nodes"]
        return int((self.patches["options"] * nodes).sum())

    @property
    def valuations_full(self) -> int:
        """Option values that full revaluation takes for the same options."""
        return int((self.patches["options"] * self.patches["scenarios"]).sum())

    def check(self) -> None:
        """Raise where a profit is not finite or one is missing."""
        if self.pnl.shape != (len(self.scenarios),) or not np.isfinite(self.pnl).all():
            raise PmkitError("profits are not finite, one a scenario", "finite", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the profits in ascending order against their share of the scenarios."""
        axes = new_axes(ax)
        order = np.argsort(self.pnl, kind="stable")
        axes.plot(100.0 * np.cumsum(self.scenarios.weights[order]), self.pnl[order])
        axes.set(
            xlabel="share of the scenarios, %",
            ylabel=f"profit, {self.numeraire}",
            title=f"{self.scenarios.name}: {self.valuations:,} values for {self.valuations_full:,}",
        )
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row a grid: what it covers and how many values it took."""
        return self.patches.set_index(["underlying", "currency", "expiry"])

    def to_frame(self) -> pd.DataFrame:
        """Return one row a scenario: weight and profit."""
        return pd.DataFrame({"weight": self.scenarios.weights, "pnl": self.pnl})
