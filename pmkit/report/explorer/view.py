"""What the explorer shows at one place: the margin before and after, and the P&L around today's market."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result, jsonable
from pmkit.core.types import Dynamics
from pmkit.instruments import Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.result import MarginResult
from pmkit.margin.study.what_if import WhatIf
from pmkit.market import MarketSnapshot
from pmkit.report.style import INK, USD_AXIS, house_style
from pmkit.risk import revalue
from pmkit.scenarios import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ExplorerView"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ExplorerView(Result):
    """Margin of an account today, and after legs are added and spot and vol have moved.

    Attributes
    ----------
    rule : str
    spot, vol : float
        Relative moves of every index and of every implied vol, decimal; 0 is today.
    legs : tuple of Position
        Bought at today's marks, before the move.
    margin : WhatIf
        ``before``: the account today without legs. ``after``: with legs, in the moved market.
    pnl : float
        Profit of the account with its legs from the move, USD, collateral included, gain positive.
    surface : DataFrame
        The same profit over a grid, USD: vol moves down the index, spot moves across the columns, decimal.
    account : Account
        With legs; futures and perpetuals have an entry price.
    market : MarketSnapshot
        Today's.
    dynamics : {"sticky_strike", "sticky_moneyness"}
    """

    rule: str
    spot: float
    vol: float
    legs: tuple[Position, ...]
    margin: WhatIf
    pnl: float
    surface: pd.DataFrame
    account: Account
    market: MarketSnapshot
    dynamics: Dynamics
    provenance: Provenance = field(default_factory=lambda: Provenance(method="report.explorer"))

    @property
    def before(self) -> MarginResult:
        """Requirement today, without legs."""
        return self.margin.before

    @property
    def after(self) -> MarginResult:
        """Requirement with legs in the moved market."""
        return self.margin.after

    def cite(self) -> tuple[str, ...]:
        """Return the keys of the documents behind the rule."""
        return self.after.cite()

    def summary(self) -> pd.DataFrame:
        """Return before, after and change of im, mm, im_equity, equity, excess and margin ratio."""
        return self.margin.summary()

    def to_frame(self) -> pd.DataFrame:
        """Return the P&L surface, one row a cell: vol and spot move (decimal), profit in USD."""
        vols, spots = np.meshgrid(self.surface.index, self.surface.columns, indexing="ij")
        cells = {"vol": vols.ravel(), "spot": spots.ravel(), "pnl": self.surface.to_numpy().ravel()}
        return pd.DataFrame(cells)

    def to_dict(self) -> dict[str, Any]:
        """Return the place, the legs, the profit in USD and both records of the rule."""
        record: dict[str, Any] = jsonable(
            {
                "rule": self.rule,
                "spot": self.spot,
                "vol": self.vol,
                "dynamics": self.dynamics,
                "legs": {leg.instrument.name: leg.qty for leg in self.legs},
                "pnl": self.pnl,
                **self.margin.to_dict(),
            }
        )
        return record

    def check(self) -> None:
        """Raise where the change of equity is not the profit of a revaluation, or a requirement fails."""
        names = list(self.market.underlyings)
        here = grid([self.spot], [self.vol], dynamics=self.dynamics, underlyings=names)
        cube = revalue(self.account.portfolio, self.market, here)
        revalued = float(cube.account_pnl(self.account)[0])
        scale = max(1.0, abs(self.account.equity(self.market)), float(np.abs(self.surface.to_numpy()).max()))
        if abs(revalued - self.pnl) > 1e-9 * scale:
            raise PmkitError(
                f"equity changes by {self.pnl} USD, a revaluation gives {revalued} USD",
                "agreement",
                "report this as a bug",
            )
        self.before.check()
        self.after.check()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the P&L surface in USD, its zero line, and a mark where spot and vol are now."""
        with house_style():
            ax = new_axes(ax)
            image = draw_surface(ax, self.surface)
            ax.plot(100.0 * self.spot, 100.0 * self.vol, **HERE)
            bar = ax.figure.colorbar(image, ax=ax, pad=0.02, format=USD_AXIS)
            bar.set_label("P&L of the account, USD")
            ax.set_title(f"{self.account.name}: P&L against today")
        return ax


#: mark of the place that is looked at
HERE: dict[str, Any] = {
    "marker": "o",
    "markersize": 9.0,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 2.0,
    "linestyle": "",
}


def draw_surface(ax: Axes, surface: pd.DataFrame) -> Any:
    """Draw a P&L surface with its zero line, moves in per cent; return the image, for its colour bar."""
    values = surface.to_numpy(dtype=np.float64)
    spots, vols = (100.0 * np.asarray(axis, dtype=np.float64) for axis in (surface.columns, surface.index))
    limit = float(np.abs(values).max()) or 1.0
    ax.grid(visible=False)
    half = (0.5 * (spots[1] - spots[0]), 0.5 * (vols[1] - vols[0]))
    image = ax.imshow(
        values,
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        origin="lower",
        aspect="auto",
        extent=(spots[0] - half[0], spots[-1] + half[0], vols[0] - half[1], vols[-1] + half[1]),
    )
    if values.min() < 0.0 < values.max():
        ax.contour(spots, vols, values, levels=[0.0], colors=[INK], linewidths=0.8)
    ax.set_xlabel("move of the price, %")
    ax.set_ylabel("move of implied vol, %")
    return image
