"""Distance to liquidation in price, vol and time: where equity meets maintenance margin."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, PmkitWarning
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import Dynamics
from pmkit.liquidation.moved import moved_snapshot
from pmkit.liquidation.path import entered_at, marked_to, settle_expired
from pmkit.liquidation.standing import Against, answer, made_rule, surplus
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.parameters import Stale
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Distance", "distance_to_liquidation"]

#: a root is bracketed on the grid and then halved this often
_HALVINGS = 40


@dataclass(frozen=True, kw_only=True, repr=False)
class Distance(Result):
    """How far price, vol and time may move until an account is liquidated.

    Attributes
    ----------
    account, rule, underlying : str
        Underlying whose price and vol move; the others stay.
    as_of : pandas.Timestamp
    against : {"im", "mm"}
    dynamics : str
    surplus : float
        Equity less requirement now, USD.
    table : pandas.DataFrame
        One row a direction (``price down``, ``price up``, ``vol down``, ``vol up``, ``time``): ``status``,
        ``distance`` (relative move, relative move, days), ``level`` (USD; factor on implied vol; days),
        ``searched`` (end of the range), ``surplus`` there in USD. Status ``ok``; ``none_in_range``: no
        crossing up to ``searched``; ``already``: below the requirement, distance 0; ``insolvent``.
    curve : pandas.DataFrame
        Every evaluation: ``direction``, ``move``, ``equity``, ``requirement``, ``surplus`` in USD.
    """

    account: str
    rule: str
    underlying: str
    as_of: pd.Timestamp
    against: str
    dynamics: str
    surplus: float
    table: pd.DataFrame
    curve: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.distance"))
    references: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise where a distance has the wrong sign or a status without a number has one."""
        for name, row in self.table.to_dict(orient="index").items():
            found = not math.isnan(row["distance"])
            if found != (row["status"] != "none_in_range"):
                raise PmkitError(f"{name}: {row['status']} with {row['distance']}", "either", "report a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a direction."""
        frame = self.table.copy()
        frame.index.name = f"{self.account} under {self.rule}, {self.underlying}, {self.against}"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return every evaluation."""
        return self.curve.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with equity and requirement against the move of the price, USD."""
        axes = new_axes(ax)
        price = self.curve[self.curve["direction"].str.startswith("price")].sort_values("move")
        moves = 100.0 * price["move"].to_numpy()
        axes.plot(moves, price["equity"].to_numpy(), label="equity")
        axes.plot(moves, price["requirement"].to_numpy(), "--", label=self.against.upper())
        for name in ("price down", "price up"):
            if name in self.table.index and self.table.loc[name, "status"] == "ok":
                axes.axvline(100.0 * float(self.table["distance"][name]), color="red", linewidth=0.8)
        axes.set(
            xlabel=f"move of {self.underlying}, %",
            ylabel="USD",
            title=f"{self.account} under {self.rule}",
        )
        axes.legend()
        return axes


def distance_to_liquidation(
    account: Account,
    snapshot: MarketSnapshot,
    rule: str | RuleLike,
    *,
    dynamics: Dynamics,
    underlying: str | None = None,
    against: Against = "mm",
    price_range: tuple[float, float] = (-0.9, 3.0),
    vol_range: tuple[float, float] = (-0.9, 2.0),
    days: float = 30.0,
    points: int = 24,
    stale: Stale = "error",
) -> Distance:
    """Return the relative moves of price and vol, and the days, at which equity meets the requirement.

    Parameters
    ----------
    account : Account
        At least one position.
    snapshot : MarketSnapshot
    rule : str or rule
    dynamics : {"sticky_strike", "sticky_moneyness"}
        What a spot move does to the smile; required.
    underlying : str, optional
        Which price and vol move; the only one held where left out.
    against : {"im", "mm"}
        Margin call or liquidation.
    price_range, vol_range : tuple of float
        Relative moves down (above −1) and up (above 0) to be searched.
    days : float
        Days to be searched, above 0. Contracts that expire on the way are settled at the index.
    points : int
        Evaluations a direction before the root is halved in, 2 or more. Two crossings between neighbouring
        points are missed.
    stale : {"error", "warn"}

    Returns
    -------
    Distance

    Raises
    ------
    ParameterError
        A range that is not about 0, too few points, or an underlying that must be named.
    DataGapError
        No position.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    The first root of ``equity(x) − MM(x)`` outwards from 0, of the worst coin for rules that answer coin by
    coin. Both sides move: equity with the positions and the collateral, MM by full revaluation under the rule
    in the moved market. Geometric points in ``ln(1 + x)``. Each evaluation asks the rule once.
    """
    book = account.portfolio
    if not len(book):
        raise DataGapError(f"account {account.name!r} has no position", "at least one", "add its positions")
    name = underlying or (book.underlyings[0] if len(book.underlyings) == 1 else "")
    if name not in book.underlyings:
        raise ParameterError(
            f"underlying {underlying!r} of account {account.name!r}",
            f"one of {', '.join(book.underlyings)}",
            "name the one whose price moves",
        )
    for what, (low, high) in (("price_range", price_range), ("vol_range", vol_range)):
        checked_number(f"lower end of {what}", low, low=-1.0, high=0.0, open_low=True)
        checked_number(f"upper end of {what}", high, low=0.0)
    checked_number("days", days, low=0.0, open_low=True)
    checked_number("points", points, low=2)
    used = made_rule(rule, stale)
    now = answer(used, account, snapshot)
    here = surplus(now, snapshot, against)
    search = _Search(entered_at(account, snapshot), snapshot, used, dynamics, name, against)
    rows = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)  # the requirement above has given every warning
        for direction, end in (
            ("price down", price_range[0]),
            ("price up", price_range[1]),
            ("vol down", vol_range[0]),
            ("vol up", vol_range[1]),
            ("time", days),
        ):
            if end != 0.0:
                rows[direction] = search.first(direction, end, here, now.status == "insolvent", points)
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["level"] = [
        math.nan if math.isnan(d) else d if n == "time" else (1.0 + d) * (spot if "price" in n else 1.0)
        for n, d, spot in zip(table.index, table["distance"], [snapshot.spot(name)] * len(table), strict=True)
    ]
    return Distance(
        account=account.name,
        rule=f"{now.rule} {now.variant}".strip(),
        underlying=name,
        as_of=snapshot.as_of,
        against=against,
        dynamics=dynamics,
        surplus=here,
        table=table[["status", "distance", "level", "searched", "surplus"]],
        curve=pd.DataFrame(search.seen, columns=["direction", "move", "equity", "requirement", "surplus"]),
        provenance=Provenance(
            method="liquidation.distance",
            data={"now": now.provenance.id},
            parameters={"dynamics": dynamics, "underlying": name, "against": against, "points": int(points)},
        ),
        references=now.cite(),
    )


class _Search:
    """Evaluations of one account's surplus in moved markets, kept for the curve."""

    def __init__(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        rule: RuleLike,
        dynamics: Dynamics,
        underlying: str,
        against: Against,
    ) -> None:
        self.account, self.snapshot, self.rule = account, snapshot, rule
        self.dynamics, self.underlying, self.against = dynamics, underlying, against
        self.seen: list[tuple[str, float, float, float, float]] = []

    def first(
        self, direction: str, end: float, here: float, insolvent: bool, points: int
    ) -> dict[str, float | str]:
        """Return the row of one direction."""
        row: dict[str, float | str] = {"searched": end}
        if here < 0.0:
            return {
                **row,
                "status": "insolvent" if insolvent else "already",
                "distance": 0.0,
                "surplus": here,
            }
        if direction == "time":
            moves = np.linspace(0.0, end, points + 1)
        else:
            moves = np.expm1(np.linspace(0.0, math.log1p(end), points + 1))
        inner, last = 0.0, here
        for move in moves[1:]:
            last = self.at(direction, float(move))
            if last < 0.0:
                root, left = self._halve(lambda x: self.at(direction, x), inner, float(move), last)
                return {**row, "status": "ok", "distance": root, "surplus": left}
            inner = float(move)
        return {**row, "status": "none_in_range", "distance": math.nan, "surplus": last}

    def at(self, direction: str, move: float) -> float:
        """Return the surplus after a move, USD."""
        given = {self.underlying: move}
        moved = moved_snapshot(
            self.snapshot,
            dynamics=self.dynamics,
            spot=given if direction.startswith("price") else 0.0,
            vol=given if direction.startswith("vol") else 0.0,
            days=move if direction == "time" else 0.0,
        )
        held, _ = settle_expired(self.account, moved)
        if not len(held.portfolio) and not any(held.collateral.values()):
            return 0.0
        result = answer(self.rule, marked_to(held, moved), moved)
        left = surplus(result, moved, self.against)
        rate = moved.usd_price(result.numeraire)
        needed = result.im_equity if self.against == "im" else result.mm_equity
        self.seen.append((direction, move, result.equity * rate, needed * rate, left))
        return left

    @staticmethod
    def _halve(
        surplus_at: Callable[[float], float], inner: float, outer: float, left: float
    ) -> tuple[float, float]:
        """Return the first move found below the requirement and the surplus there, by bisection."""
        for _ in range(_HALVINGS):
            middle = 0.5 * (inner + outer)
            if abs(outer - inner) <= 1e-9 * max(abs(outer), 1e-3):
                break
            value = surplus_at(middle)
            if value < 0.0:
                outer, left = middle, value
            else:
                inner = middle
        return outer, left
