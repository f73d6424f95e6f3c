"""Static arbitrage that can be traded at the quoted bids and asks, each with its legs and its profit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.market.quotes import Quotes
from pmkit.surface.arguments import check_curve
from pmkit.surface.inputs.forwards import ForwardCurve

__all__ = ["KINDS", "ExecutableArbitrage", "executable_arbitrage", "scaled_quotes"]

#: What can be found, in this order.
KINDS = ("crossed", "bound", "vertical", "butterfly", "calendar")
#: Profits below this share of the discounted forward are rounding.
_ROUNDING = 1e-12
_COLUMNS = ("kind", "expiry", "other_expiry", "instrument", "strike", "is_call", "profit", "legs")


@dataclass(frozen=True, kw_only=True, repr=False)
class ExecutableArbitrage(Result):
    """Every quote that can be traded against others of the chain for a profit without risk.

    Attributes
    ----------
    frame : pandas.DataFrame
        kind (``crossed``, ``bound``, ``vertical``, ``butterfly``, ``calendar``), expiry, other_expiry (of a
        calendar), instrument at fault, strike, is_call, profit per option of that instrument in the unit of
        the premium at the quoted bids and asks, legs in words (options; forwards where needed).
    checked : int
        Options with a bid or an ask that were looked at.
    unchecked : int
        Options without a forward.
    """

    frame: pd.DataFrame
    checked: int
    unchecked: int
    references = ("cohen2020",)

    @property
    def ok(self) -> bool:
        """True where nothing was found."""
        return self.frame.empty

    def counts(self) -> dict[str, int]:
        """Return the number of findings by kind, zeros included."""
        found = self.frame["kind"].value_counts()
        return {kind: int(found.get(kind, 0)) for kind in KINDS}

    def summary(self) -> pd.DataFrame:
        """Return one row per kind: findings and the largest profit."""
        largest = self.frame.groupby("kind")["profit"].max()
        return pd.DataFrame(
            {"found": pd.Series(self.counts()), "largest_profit": largest.reindex(list(KINDS))}
        )

    def to_frame(self) -> pd.DataFrame:
        """Return every finding, the most profitable of an expiry first."""
        return self.frame.copy()


def scaled_quotes(quotes: Quotes, curve: ForwardCurve) -> tuple[pd.DataFrame, int]:
    """Return options with a forward in units of the discounted forward, and the number of those without.

    Columns: instrument, expiry, strike, is_call, tick, x = K/F, bid and ask (shares of the discounted
    forward; -inf and inf where missing), scale (premium per share).
    """
    check_curve(quotes, curve)
    frame = quotes.of_underlying(curve.underlying)
    options = frame[(frame["kind"] == "option") & (frame["bid"].notna() | frame["ask"].notna())]
    known = options["expiry"].isin(list(curve.quotes))
    used = options[known]
    if used.empty:
        raise DataGapError(
            f"no {curve.underlying} option of {quotes.source} has a quote and a forward",
            "at least one",
            "look at the ledger of the curve",
        )
    forward = np.array([curve.quotes[e].price for e in used["expiry"]], dtype=np.float64)
    df = np.array([curve.discount(e) for e in used["expiry"]], dtype=np.float64)
    scale = np.ones(forward.size) if quotes.settlement == "inverse" else df * forward
    table = used[["instrument", "expiry", "strike", "is_call", "tick"]].assign(
        x=used["strike"].to_numpy() / forward,
        bid=np.nan_to_num(used["bid"].to_numpy() / scale, nan=-math.inf),
        ask=np.nan_to_num(used["ask"].to_numpy() / scale, nan=math.inf),
        scale=scale,
    )
    return table.sort_values(["expiry", "is_call", "x"], kind="stable").reset_index(drop=True), int(
        (~known).sum()
    )


def executable_arbitrage(quotes: Quotes, curve: ForwardCurve) -> ExecutableArbitrage:
    """Return every static arbitrage at the quoted bids and asks, profit in the unit of the premium.

    A violation between mids means nothing; only what can be sold at the bid and bought at the ask counts.

    Parameters
    ----------
    quotes : Quotes
        European options, coin-settled or in quote currency.
    curve : ForwardCurve
        Forwards and discount factors; they are taken as tradable without cost in bounds and calendars.

    Returns
    -------
    ExecutableArbitrage

    Raises
    ------
    DataGapError
        No option has a quote and a forward.
    ConventionError
        Quotes and curve are of different settlement.

    Notes
    -----
    In units of the discounted forward and at ``x = K/F`` a call is worth a convex, falling function of x with
    slope at least -1 that rises with expiry; a coin premium is in these units already. Each option is
    compared with the cheapest combination of all others, not of its neighbours alone: a butterfly exists at
    ``x_j`` where its bid lies above the lower convex hull of the asks, ``bid_j > (1-u) ask_i + u ask_k`` with
    ``u = (x_j - x_i)/(x_k - x_i)``; a calendar where it lies above the hull of the asks of later expiries.
    Cost: n log n per expiry.

    References
    ----------
    Carr and Madan (2005); Cohen, Reisinger and Wang (2020).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface.inputs.forwards import forward_curve
    >>> quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    >>> executable_arbitrage(quotes, forward_curve(quotes, "BTC")).counts()["crossed"]
    0
    """
    table, unchecked = scaled_quotes(quotes, curve)
    expiries = sorted(table["expiry"].unique())
    found: list[tuple[object, ...]] = []
    for is_call in (True, False):
        side = table[table["is_call"] == is_call]
        parts = {e: _Side(part, is_call) for e, part in side.groupby("expiry")}
        for at, expiry in enumerate(expiries):
            if expiry not in parts:
                continue
            part = parts[expiry]
            found += part.crossed() + part.bounds() + part.verticals() + part.butterflies()
            later = [parts[e] for e in expiries[at + 1 :] if e in parts]
            if later:
                found += part.calendars(later)
    frame = pd.DataFrame(found, columns=list(_COLUMNS))
    frame = frame.sort_values(["expiry", "profit"], ascending=[True, False], kind="stable")
    return ExecutableArbitrage(frame=frame.reset_index(drop=True), checked=len(table), unchecked=unchecked)


def lower_hull(x: FloatArray, y: FloatArray) -> list[int]:
    """Return the positions of the vertices of the lower convex hull of points ascending in x."""
    hull: list[int] = []
    for i in range(x.size):
        if not math.isfinite(y[i]):
            continue
        if hull and x[hull[-1]] == x[i]:
            if y[hull[-1]] <= y[i]:
                continue
            hull.pop()
        while len(hull) >= 2:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) >= (y[i] - y[a]) * (x[b] - x[a]):
                hull.pop()
            else:
                break
        hull.append(i)
    return hull


class _Side:
    """Calls or puts of one expiry, ascending in x."""

    def __init__(self, part: pd.DataFrame, is_call: bool) -> None:
        self.is_call = is_call
        self.expiry = part["expiry"].iloc[0]
        self.name = part["instrument"].to_numpy()
        self.strike, self.x, self.bid, self.ask, self.scale = (
            part[c].to_numpy(dtype=np.float64) for c in ("strike", "x", "bid", "ask", "scale")
        )

    def _row(self, kind: str, i: int, profit: float, legs: str, other: object = pd.NaT) -> tuple[object, ...]:
        price = profit * float(self.scale[i])
        return (kind, self.expiry, other, self.name[i], float(self.strike[i]), self.is_call, price, legs)

    def crossed(self) -> list[tuple[object, ...]]:
        """Find bids above their own ask."""
        return [
            self._row("crossed", int(i), self.bid[i] - self.ask[i], f"sell at the bid and buy {self.name[i]}")
            for i in np.flatnonzero(self.bid > self.ask)
        ]

    def bounds(self) -> list[tuple[object, ...]]:
        """Find asks below intrinsic value and bids above the underlying (calls) or the strike (puts)."""
        intrinsic = np.maximum(1.0 - self.x if self.is_call else self.x - 1.0, 0.0)
        top = np.ones(self.x.size) if self.is_call else self.x
        word = "sell" if self.is_call else "buy"
        back = "buy" if self.is_call else "sell"
        rows = [
            self._row("bound", int(i), intrinsic[i] - self.ask[i], f"buy {self.name[i]}, {word} the forward")
            for i in np.flatnonzero(self.ask < intrinsic - _ROUNDING)
        ]
        return rows + [
            self._row(
                "bound", int(i), self.bid[i] - top[i], f"sell {self.name[i]}, {back} the forward or lend"
            )
            for i in np.flatnonzero(self.bid > top + _ROUNDING)
        ]

    def verticals(self) -> list[tuple[object, ...]]:
        """Find options dearer than one that pays more, and spreads dearer than they can ever pay."""
        rows = []
        # seen as calls: puts are turned round, so that value falls along the axis
        order = np.arange(self.x.size) if self.is_call else np.arange(self.x.size)[::-1]
        bid, ask, name = self.bid[order], self.ask[order], self.name[order]
        axis = self.x[order] if self.is_call else -self.x[order]
        cheapest, at = _running_minimum(ask)
        for j in (np.flatnonzero(bid[1:] > cheapest[:-1] + _ROUNDING) + 1).tolist():
            i = int(at[j - 1])
            rows.append(
                self._row("vertical", int(order[j]), bid[j] - ask[i], f"sell {name[j]}, buy {name[i]}")
            )
        # the greatest payoff of long i, short j > i is the distance: sell the spread for more, lend it
        ends, end_at = _running_minimum((ask + axis)[::-1])
        ends, end_at = ends[::-1], (axis.size - 1 - end_at)[::-1]
        for i in np.flatnonzero((bid + axis)[:-1] > ends[1:] + _ROUNDING).tolist():
            j = int(end_at[i + 1])
            profit = bid[i] + axis[i] - ends[i + 1]
            legs = f"sell {name[i]}, buy {name[j]}, lend the distance of the strikes"
            rows.append(self._row("vertical", int(order[i]), profit, legs))
        return rows

    def butterflies(self) -> list[tuple[object, ...]]:
        """Find bids above the hull of the asks of the same expiry."""
        hull = lower_hull(self.x, np.where(self.bid > self.ask, math.inf, self.ask))
        return self._above(hull, self.x, self.ask, self.name, "butterfly", None)

    def calendars(self, later: list[_Side]) -> list[tuple[object, ...]]:
        """Find bids above the hull of the asks of all later expiries, at equal K/F."""
        x, ask, name = (np.concatenate([getattr(s, c) for s in later]) for c in ("x", "ask", "name"))
        crossed = np.concatenate([s.bid > s.ask for s in later])
        expiry = np.concatenate([np.full(s.x.size, s.expiry, dtype=object) for s in later])
        ask = np.where(crossed, math.inf, ask)
        order = np.argsort(x, kind="stable")
        x, ask, name, expiry = x[order], ask[order], name[order], expiry[order]
        return self._above(lower_hull(x, ask), x, ask, name, "calendar", expiry)

    def _above(
        self,
        hull: list[int],
        x: FloatArray,
        ask: FloatArray,
        name: np.ndarray,
        kind: str,
        expiry: np.ndarray | None,
    ) -> list[tuple[object, ...]]:
        """Return the bids that lie above a hull of asks."""
        if len(hull) < 2:
            return []
        vertices = np.array(hull)
        inside = (self.x >= x[vertices[0]]) & (self.x <= x[vertices[-1]])
        value = np.interp(self.x, x[vertices], ask[vertices])
        sellable: BoolArray = (self.bid <= self.ask) & inside & (self.bid > value + _ROUNDING)
        rows = []
        for j in np.flatnonzero(sellable):
            right = int(np.clip(np.searchsorted(x[vertices], self.x[j]), 1, vertices.size - 1))
            i, k = int(vertices[right - 1]), int(vertices[right])
            share = (self.x[j] - x[i]) / (x[k] - x[i])
            legs = f"sell {self.name[j]}, buy {1.0 - share:.4g} {name[i]} and {share:.4g} {name[k]}"
            other = pd.NaT if expiry is None else max(expiry[i], expiry[k])
            rows.append(self._row(kind, int(j), self.bid[j] - value[j], legs, other))
        return rows


def _running_minimum(values: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Return the least value so far and where it stands."""
    least = np.minimum.accumulate(values)
    first = np.concatenate([[True], values[1:] < least[:-1]])
    return least, np.maximum.accumulate(np.where(first, np.arange(values.size), 0))
