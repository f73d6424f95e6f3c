"""Collateral that falls with the book: what a haircut misses where both lose in the same scenarios."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.accounts.numbers import checked_number, checked_share
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import expected_shortfall, revalue
from pmkit.scenarios import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WrongWay", "wrong_way"]


@dataclass(frozen=True, kw_only=True, repr=False)
class WrongWay(Result):
    """Tail losses of book, collateral and both together, and the haircut beside them, in USD.

    Attributes
    ----------
    account : str
    level : float
    book, collateral, joint : float
        ES of the positions, of the balances, and of both at once; positive losses, USD.
    haircut : float
        What the haircuts take off the balances, USD.
    collateral_in_tail : float
        Mean loss of the balances in the tail of the positions, USD; negative where they gain there.
    correlation : float
        Of the two P&L vectors under the weights of the scenarios; NaN where one of them is constant.
    pnl : pandas.DataFrame
        ``book`` and ``collateral``, one row a scenario, USD, gain positive.
    """

    account: str
    level: float
    book: float
    collateral: float
    joint: float
    haircut: float
    collateral_in_tail: float
    correlation: float
    pnl: pd.DataFrame = field(repr=False)
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.wrong_way"))
    references: tuple[str, ...] = ("acerbi2002",)

    @property
    def shortfall(self) -> float:
        """What the joint loss exceeds the book's loss and the haircut by, USD; 0 where they cover it."""
        return max(self.joint - self.book - self.haircut, 0.0)

    @property
    def hedged(self) -> float:
        """What collateral takes off the book's loss, USD: ES of the book less the joint one, at least 0."""
        return max(self.book - self.joint, 0.0)

    def check(self) -> None:
        """Raise where the joint loss exceeds the sum of both: ES is sub-additive."""
        if self.joint > self.book + self.collateral + 1e-9 * (1.0 + abs(self.book) + abs(self.collateral)):
            raise PmkitError("joint ES above the sum", "a sub-additive measure", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the losses, the haircut and what it misses, in USD, and the correlation."""
        rows = {
            "ES of the positions": self.book,
            "ES of the collateral": self.collateral,
            "ES of both together": self.joint,
            "haircut": self.haircut,
            "loss of collateral in the tail of the positions": self.collateral_in_tail,
            "shortfall of the haircut": self.shortfall,
            "hedged by the collateral": self.hedged,
            "correlation": self.correlation,
        }
        frame = pd.DataFrame({"value": rows})
        frame.index.name = f"{self.account}, ES at {self.level:g}, USD"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return the P&L of book and collateral, one row a scenario, USD."""
        return self.pnl.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the profit of the collateral against that of the book, a point a scenario, USD."""
        axes = new_axes(ax)
        axes.scatter(self.pnl["book"].to_numpy(), self.pnl["collateral"].to_numpy(), s=4)
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set(
            xlabel="profit of the positions, USD",
            ylabel="profit of the collateral, USD",
            title=f"{self.account}: the haircut misses {self.shortfall:,.6g} USD",
        )
        return axes


def wrong_way(
    account: Account,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    haircuts: Mapping[str, float],
    *,
    level: float = 0.99,
) -> WrongWay:
    """Return the tail losses of positions, collateral and both in USD, beside what haircuts take off.

    Parameters
    ----------
    account : Account
        At least one position and one coin balance.
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
        Joint moves of all coins that are held.
    haircuts : mapping of str to float
        Share off by coin, 0 to 1; 0 for a coin that is not named. Stablecoins do not move.
    level : float
        Level of the ES, 0.99 and alike.

    Returns
    -------
    WrongWay

    Raises
    ------
    DataGapError
        No position, no coin balance, or scenarios without a factor of one of them.
    ParameterError
        A haircut outside 0 to 1.
    LookAheadError
        The snapshot is older than the account.

    Notes
    -----
    A haircut treats the fall of collateral as certain and apart from the book. Revalued together, the loss is
    ``ES(book + collateral)``, between ``ES(book) − gain`` and ``ES(book) + ES(collateral)``: where positions
    and coin fall together it exceeds ``ES(book) + haircut``, where the coin hedges them it is below
    ``ES(book)``.
    """
    account.check_against(snapshot)
    coins = {c: x for c, x in account.balances(snapshot).items() if x != 0.0 and c not in STABLECOINS}
    if not len(account.portfolio) or not coins:
        raise DataGapError(
            f"account {account.name!r} has {len(account.portfolio)} positions, {len(coins)} coin balances",
            "at least one of each",
            "wrong-way risk needs positions and collateral that moves",
        )
    checked_number("level", level, low=0.5, high=1.0 - 1e-12)
    cut = math.fsum(
        checked_share(f"haircut of {c}", haircuts.get(c, 0.0)) * max(x, 0.0) * snapshot.spot(c)
        for c, x in coins.items()
    )
    cube = revalue(account.portfolio, snapshot, scenarios)
    book = cube.account_pnl(account.portfolio)
    both = cube.account_pnl(account.portfolio, balances=coins)
    moved = both - book
    weights = scenarios.weights
    tail = expected_shortfall(book, level, weights)
    worst = tail.tail_scenarios
    rows = worst["scenario"].to_numpy(dtype=np.int64)
    share = worst["share"].to_numpy(dtype=np.float64)
    return WrongWay(
        account=account.name,
        level=level,
        book=tail.value,
        collateral=expected_shortfall(moved, level, weights).value,
        joint=expected_shortfall(both, level, weights).value,
        haircut=cut,
        collateral_in_tail=-math.fsum((moved[rows] * share).tolist()),
        correlation=_correlation(book, moved, weights),
        pnl=pd.DataFrame({"book": book, "collateral": moved}),
        provenance=Provenance(
            method="margin.wrong_way",
            data={"snapshot": snapshot.fingerprint, "scenarios": scenarios.fingerprint},
            parameters={"haircuts": dict(haircuts), "level": level},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )


def _correlation(x: FloatArray, y: FloatArray, weights: FloatArray) -> float:
    """Return the weighted correlation of two vectors; NaN where one of them is constant."""
    a = x - np.add.reduce(weights * x)
    b = y - np.add.reduce(weights * y)
    scale = math.sqrt(float(np.add.reduce(weights * a * a)) * float(np.add.reduce(weights * b * b)))
    return float(np.add.reduce(weights * a * b)) / scale if scale > 0.0 else math.nan
