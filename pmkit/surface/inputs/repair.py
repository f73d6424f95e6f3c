"""The least change of prices inside bid and ask that leaves no static arbitrage: one linear programme."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ArbitrageError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.market.quotes import Quotes
from pmkit.surface.inputs.executable import scaled_quotes
from pmkit.surface.inputs.forwards import ForwardCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Repair", "RepairStatus", "repair"]

RepairStatus = Literal["ok", "repaired", "infeasible", "not_converged"]

#: A price counts as moved beyond these shares of its own and of the median half spread.
_MOVED, _ROUNDING = 1e-4, 1e-5


def _moved(bid: FloatArray, ask: FloatArray, moved: FloatArray) -> BoolArray:
    """Return which prices moved by more than the rounding of the programme."""
    half = 0.5 * (ask - bid)
    least = _MOVED * half + _ROUNDING * (float(np.median(half)) if half.size else 0.0)
    return np.asarray(np.abs(moved) > least)


@dataclass(frozen=True, kw_only=True, repr=False)
class Repair(Result):
    """Prices without static arbitrage, as near to the mids as bid and ask allow.

    Attributes
    ----------
    frame : pandas.DataFrame
        instrument, expiry, strike, is_call, bid, ask, mid, price, moved (price less mid, in the unit of the
        premium), ticks (moved in ticks; NaN where the tick is unknown). Price is NaN where status says that
        there is none.
    status : {"ok", "repaired", "infeasible", "not_converged"}
        ``ok``: the mids admit no static arbitrage. ``infeasible``: every choice of prices inside bid and ask
        does, which :func:`executable_arbitrage` locates.
    detail : str
    distance : float
        Sum of absolute moves in shares of the discounted forward; NaN without prices.
    calendar : bool
        Whether expiries were repaired together.
    """

    frame: pd.DataFrame
    status: RepairStatus
    detail: str
    distance: float
    calendar: bool
    references = ("cohen2020",)

    @property
    def moved(self) -> int:
        """Number of prices moved."""
        bid, ask, moved = (self.frame[c].to_numpy() for c in ("bid", "ask", "moved"))
        return int(_moved(bid, ask, moved).sum())

    def applied_to(self, quotes: Quotes) -> Quotes:
        """Return quotes whose mids are the repaired prices; the other options have no mid.

        Bids and asks stay, so that a surface fitted to them still knows its error bars.

        Raises
        ------
        ArbitrageError
            There are no such prices.
        """
        self.raise_if_bad()
        price = dict(zip(self.frame["instrument"], self.frame["price"].astype(float), strict=True))
        is_option = quotes.frame["kind"] == "option"
        mid = np.where(is_option, quotes.frame["instrument"].map(price), quotes.frame["mid"])
        return replace(quotes, frame=quotes.frame.assign(mid=mid))

    def raise_if_bad(self) -> None:
        """Raise ArbitrageError where no prices inside bid and ask are free of arbitrage."""
        if self.status in ("infeasible", "not_converged"):
            raise ArbitrageError(
                f"repair is {self.status}: {self.detail}",
                "prices inside bid and ask without static arbitrage",
                "locate it with executable_arbitrage and filter these quotes",
            )

    def _in_half_spreads(self) -> pd.Series[float]:
        half = 0.5 * (self.frame["ask"] - self.frame["bid"])
        return self.frame["moved"] / half.where(half > 0.0)

    def summary(self) -> pd.DataFrame:
        """Return one row: status, prices, moved, largest move in half spreads and in ticks, detail."""
        share = self._in_half_spreads().abs().max()
        return pd.DataFrame(
            [
                {
                    "status": self.status,
                    "prices": len(self.frame),
                    "moved": self.moved,
                    "largest_in_half_spreads": share,
                    "largest_in_ticks": self.frame["ticks"].abs().max(),
                    "detail": self.detail,
                }
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per price."""
        return self.frame.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the move of every price in half spreads over its strike, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        share = self._in_half_spreads()
        for expiry, rows in self.frame.groupby("expiry", sort=True):
            label = pd.Timestamp(str(expiry)).strftime("%Y-%m-%d")
            axes.plot(rows["strike"], share[rows.index], ".", label=label)
        axes.set_xlabel("strike")
        axes.set_ylabel("price less mid, half spreads")
        axes.legend(frameon=False, fontsize="small")
        return axes

    def check(self) -> None:
        """Raise ParameterError where a price lies outside its bid and ask."""
        rounding = 1e-9 * self.frame["ask"]
        outside = (self.frame["price"] < self.frame["bid"] - rounding) | (
            self.frame["price"] > self.frame["ask"] + rounding
        )
        if outside.any():
            raise ParameterError(
                f"{int(outside.sum())} prices outside bid and ask", "none", "let repair make the object"
            )


def repair(quotes: Quotes, curve: ForwardCurve, *, calendar: bool = True) -> Repair:
    """Return prices inside bid and ask without static arbitrage, at the least sum of moves from the mids.

    Parameters
    ----------
    quotes : Quotes
        European options; those out of the money with both sides are used, crossed ones left out (filter them
        first, so that they are counted).
    curve : ForwardCurve
        Forwards and discount factors.
    calendar : bool
        Whether expiries are repaired together, without calendar arbitrage; else each alone.

    Returns
    -------
    Repair

    Raises
    ------
    DataGapError
        No option has a quote and a forward.
    ConventionError
        Quotes and curve are of different settlement.

    Notes
    -----
    Calls in shares of the discounted forward at ``x = K/F`` (puts through parity) are free of static
    arbitrage exactly if for each expiry there is a convex, falling function of x with value 1 at 0 and slope
    at least -1 through them, none above that of the next expiry (Cousot; Cohen, Reisinger and Wang 2020).
    Each function is given by its values at the strikes of its own and all later expiries, where piecewise
    linear functions attain the condition, so that the least sum of moves is one sparse linear programme.

    References
    ----------
    Cohen, Reisinger and Wang (2020); Carr and Madan (2005).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface.inputs.forwards import forward_curve
    >>> quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    >>> repair(quotes, forward_curve(quotes, "ETH"), calendar=False).status
    'repaired'
    """
    table, _ = scaled_quotes(quotes, curve)
    outside = np.where(table["is_call"], table["x"] >= 1.0, table["x"] < 1.0)
    both = np.isfinite(table["bid"]) & np.isfinite(table["ask"]) & (table["bid"] <= table["ask"])
    used = table[outside & both].sort_values(["expiry", "x"], kind="stable").reset_index(drop=True)
    # a put is worth a call less the forward: p = c - 1 + x
    lift = np.where(used["is_call"], 0.0, 1.0 - used["x"])
    bid, ask = used["bid"].to_numpy() + lift, used["ask"].to_numpy() + lift
    group = pd.factorize(used["expiry"])[0].astype(np.int64)
    x = used["x"].to_numpy()
    parts = [np.arange(x.size)] if calendar else [np.flatnonzero(group == g) for g in np.unique(group)]
    price, details = np.full(x.size, np.nan), []
    for part in parts:
        values, why = _solve(x[part], bid[part], ask[part], group[part])
        price[part] = values
        if why:
            name = "all expiries" if calendar else f"{used['expiry'].iloc[part[0]]:%Y-%m-%d}"
            details.append(f"{name}: {why}")
    scale = used["scale"].to_numpy()
    mid = 0.5 * (used["bid"] + used["ask"]).to_numpy()
    # back from calls; what parity rounds away stays inside bid and ask
    half = 0.5 * (used["ask"] - used["bid"]).to_numpy()
    moved = np.clip(price - 0.5 * (bid + ask), -half, half)
    frame = used[["instrument", "expiry", "strike", "is_call"]].assign(
        bid=used["bid"] * scale, ask=used["ask"] * scale, mid=mid * scale, price=(mid + moved) * scale,
        moved=moved * scale, ticks=moved * scale / used["tick"],
    )  # fmt: skip
    distance = math.fsum(np.abs(moved)) if not np.isnan(moved).any() else math.nan
    changed = _moved(frame["bid"].to_numpy(), frame["ask"].to_numpy(), frame["moved"].to_numpy())
    status: RepairStatus = "repaired" if bool(changed.any()) else "ok"
    if details:
        status = "infeasible" if all("no prices" in d for d in details) else "not_converged"
    return Repair(frame=frame, status=status, detail="; ".join(details), distance=distance, calendar=calendar)


class _Rows:
    """Sparse rows ``a @ values <= b``, gathered block by block."""

    def __init__(self) -> None:
        self.row: list[IntArray] = []
        self.column: list[IntArray] = []
        self.value: list[FloatArray] = []
        self.bound: list[FloatArray] = []
        self.size = 0

    def add(self, terms: list[tuple[IntArray, FloatArray | float]], bound: FloatArray | float) -> None:
        """Add one row per element: the sum of coefficient times variable is at most ``bound``."""
        count = terms[0][0].size
        at = np.arange(self.size, self.size + count)
        for column, coefficient in terms:
            self.row.append(at)
            self.column.append(column)
            self.value.append(np.broadcast_to(np.asarray(coefficient, dtype=np.float64), (count,)))
        self.bound.append(np.broadcast_to(np.asarray(bound, dtype=np.float64), (count,)))
        self.size += count


def _solve(x: FloatArray, bid: FloatArray, ask: FloatArray, group: IntArray) -> tuple[FloatArray, str]:
    """Return prices of calls in shares of the forward, or NaN and the reason."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    mid, unit = 0.5 * (bid + ask), _unit(bid, ask)
    rows, low, high = _Rows(), [], []
    price_at = np.empty(x.size, dtype=np.int64)
    later: FloatArray = np.empty(0)
    later_at: IntArray = np.empty(0, dtype=np.int64)
    size = 0
    for g in np.unique(group)[::-1]:
        own = np.flatnonzero(group == g)
        grid = np.unique(np.concatenate([[0.0], x[own], later]))
        at = size + np.arange(grid.size)
        size += grid.size
        least, most = np.maximum(1.0 - grid, 0.0), np.ones(grid.size)
        here = np.searchsorted(grid, x[own])
        least[here], most[here] = np.maximum(least[here], bid[own]), np.minimum(most[here], ask[own])
        low.append(least)
        high.append(most)
        price_at[own] = at[here]
        # falling, and convex: the middle of three lies below the chord; slope -1 holds at x = 0 and so on
        rows.add([(at[1:], 1.0), (at[:-1], -1.0)], 0.0)
        share = (grid[1:-1] - grid[:-2]) / (grid[2:] - grid[:-2])
        rows.add([(at[1:-1], 1.0), (at[:-2], share - 1.0), (at[2:], -share)], 0.0)
        if later.size:
            rows.add([(at[np.searchsorted(grid, later)], 1.0), (later_at, -1.0)], 0.0)
        later, later_at = grid, at
    lower, upper = np.concatenate(low), np.concatenate(high)
    if (lower > upper).any():
        return np.full(x.size, np.nan), "no prices inside bid and ask are above intrinsic value"
    distance_at = size + np.arange(x.size)
    rows.add([(price_at, 1.0), (distance_at, -1.0)], mid / unit)
    rows.add([(price_at, -1.0), (distance_at, -1.0)], -mid / unit)
    cost = np.concatenate([np.zeros(size), np.ones(x.size)])
    matrix = coo_matrix(
        (np.concatenate(rows.value), (np.concatenate(rows.row), np.concatenate(rows.column))),
        shape=(rows.size, size + x.size),
    ).tocsr()
    bounds = np.column_stack(
        [
            np.concatenate([lower / unit, np.zeros(x.size)]),
            np.concatenate([upper / unit, np.full(x.size, np.inf)]),
        ]
    )
    found = linprog(cost, A_ub=matrix, b_ub=np.concatenate(rows.bound), bounds=bounds, method="highs")  # type: ignore[call-overload]
    if found.x is None:
        infeasible = found.status == 2
        why = "no prices inside bid and ask are free of arbitrage" if infeasible else "the solver stopped"
        return np.full(x.size, np.nan), why
    return np.asarray(found.x[price_at], dtype=np.float64) * unit, ""


def _unit(bid: FloatArray, ask: FloatArray) -> float:
    """Return the median half spread, the unit in which the programme is solved."""
    half = 0.5 * (ask - bid)
    return float(np.median(half[half > 0.0])) if (half > 0.0).any() else 1e-4
