"""Auto-deleveraging: who on the other side is closed, in which order, at the bankruptcy price."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin.accounts.numbers import checked_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Deleveraging", "adl_score", "bankruptcy_price", "deleverage"]

_COLUMNS = ("account", "qty", "entry", "balance")


def bankruptcy_price(qty: float, entry: float, balance: float) -> float:
    """Return the price in USD at which a linear position and its balance are worth nothing, NaN if none.

    Parameters
    ----------
    qty : float
        Signed size in coins, not 0.
    entry : float
        USD, above 0.
    balance : float
        Cash behind the position, USD.

    Raises
    ------
    ParameterError
        A number outside its range.

    Examples
    --------
    >>> bankruptcy_price(2.0, 100.0, 40.0), bankruptcy_price(-2.0, 100.0, 40.0)
    (80.0, 120.0)
    """
    checked_number("entry", entry, low=0.0, open_low=True, unit="of USD")
    if checked_number("qty", qty) == 0.0:
        raise ParameterError("qty is 0", "a position", "leave it out")
    price = entry - checked_number("balance", balance, unit="of USD") / qty
    return price if price > 0.0 else math.nan


def adl_score(qty: float, entry: float, balance: float, mark: float) -> float:
    """Return the deleveraging score of a linear position: profit times leverage; the highest is closed first.

    Parameters
    ----------
    qty : float
        Signed size in coins, not 0.
    entry, mark : float
        USD, above 0.
    balance : float
        Cash behind the position, USD.

    Returns
    -------
    float
        Infinite where equity is 0 with a profit.

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    ``p = q (mark − entry)/(|q| entry)``, leverage ``L = |q| mark/(q mark − q bankruptcy)``, the denominator
    being equity. Score ``p L`` for a profit, ``p/L`` for a loss.

    References
    ----------
    BitMEX (undated), auto-deleveraging.

    Examples
    --------
    >>> [round(adl_score(1.0, 100.0, 20.0, mark), 8) for mark in (110.0, 95.0)]
    [0.36666667, -0.00789474]
    """
    for what, value in (("entry", entry), ("mark", mark)):
        checked_number(what, value, low=0.0, open_low=True, unit="of USD")
    if checked_number("qty", qty) == 0.0:
        raise ParameterError("qty is 0", "a position", "leave it out")
    equity = checked_number("balance", balance, unit="of USD") + qty * (mark - entry)
    profit = math.copysign(1.0, qty) * (mark - entry) / entry
    leverage = abs(qty) * mark / equity if equity > 0.0 else math.inf
    if profit > 0.0:
        return profit * leverage
    return profit / leverage


@dataclass(frozen=True, kw_only=True, repr=False)
class Deleveraging(Result):
    """Positions on the other side closed against a bankrupt one.

    Attributes
    ----------
    price : float
        Bankruptcy price at which all are closed, USD.
    mark : float
    size : float
        Coins that were to be closed, positive.
    open : float
        Coins for which nobody was left, positive.
    table : pandas.DataFrame
        One row a position on the other side, in order: ``qty``, ``score``, ``closed`` (coins, positive),
        ``given_up`` (profit that the mark had promised, USD, positive).
    """

    price: float
    mark: float
    size: float
    open: float
    table: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.deleverage"))
    references: tuple[str, ...] = ("bitmexadl",)

    def check(self) -> None:
        """Raise where what is closed and what stays open miss the size."""
        gap = math.fsum(self.table["closed"]) + self.open - self.size
        if abs(gap) > 1e-9 * max(1.0, self.size):
            raise PmkitError(f"deleveraged {gap:g} coins too many", "the size", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a position that was closed, in order."""
        frame = self.table[self.table["closed"] > 0.0].copy()
        frame.index.name = f"closed at {self.price:g}, {self.open:g} open"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a position on the other side."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the coins held and closed by account, in order."""
        axes = new_axes(ax)
        names = [str(name) for name in self.table.index]
        axes.barh(names, self.table["qty"].abs().to_list(), color="lightgrey", label="held")
        axes.barh(names, self.table["closed"].to_list(), label="closed")
        axes.invert_yaxis()
        axes.set(xlabel="coins", title=f"deleveraging at {self.price:g} USD")
        axes.legend()
        return axes


def deleverage(positions: pd.DataFrame, size: float, price: float, mark: float) -> Deleveraging:
    """Return which positions on the other side are closed against a bankrupt one, by score, in coins.

    Parameters
    ----------
    positions : DataFrame
        Columns ``account``, ``qty`` (signed coins), ``entry`` (USD), ``balance`` (USD), one row a position in
        the same linear contract.
    size : float
        Signed coins of the bankrupt position, not 0; the opposite side is ranked.
    price : float
        Its bankruptcy price, USD.
    mark : float
        USD.

    Returns
    -------
    Deleveraging

    Raises
    ------
    SchemaError
        A missing column, or an account twice.
    ParameterError
        A number outside its range.

    Notes
    -----
    Highest :func:`adl_score` first; ties in the order of the rows. Trades are between accounts at the
    bankruptcy price: no market, no impact, no fee. What each gives up is the profit against the mark.

    References
    ----------
    BitMEX (undated), auto-deleveraging.

    Examples
    --------
    >>> book = pd.DataFrame({"account": ["a", "b"], "qty": [-1.0, -2.0], "entry": [120.0, 110.0],
    ...     "balance": [10.0, 100.0]})
    >>> deleverage(book, 1.5, 80.0, 79.0).table["closed"].to_dict()
    {'a': 1.0, 'b': 0.5}
    """
    missing = [column for column in _COLUMNS if column not in positions.columns]
    if missing or positions["account"].duplicated().any():
        raise SchemaError(
            f"positions without {missing[0]!r}" if missing else "an account is there twice",
            f"columns {', '.join(_COLUMNS)}, one row an account",
            "complete the table",
        )
    if checked_number("size", size) == 0.0:
        raise ParameterError("size is 0", "the coins of a bankrupt position", "there is nothing to close")
    checked_number("price", price, low=0.0, open_low=True, unit="of USD")
    rows = [
        (
            r["account"],
            float(r["qty"]),
            adl_score(float(r["qty"]), float(r["entry"]), float(r["balance"]), mark),
        )
        for r in positions.to_dict(orient="records")
        if float(r["qty"]) * size < 0.0
    ]
    table = pd.DataFrame(rows, columns=["account", "qty", "score"]).set_index("account")
    table = table.sort_values("score", ascending=False, kind="stable")
    left, closed = abs(size), []
    for qty in table["qty"]:
        closed.append(min(abs(qty), left))
        left -= closed[-1]
    table["closed"] = closed
    # the other side of a bankrupt long is short: closing it above the mark gives profit up
    table["given_up"] = table["closed"] * math.copysign(1.0, size) * (price - mark)
    return Deleveraging(
        price=price,
        mark=mark,
        size=abs(size),
        open=left,
        table=table,
        provenance=Provenance(
            method="liquidation.deleverage", parameters={"size": size, "price": price, "mark": mark}
        ),
    )
