"""The forward of one expiry from put-call parity of coin-settled options, robust and near the money."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.surface.arguments import as_number, pair_columns, pair_mids

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ParityForward",
    "ParityStatus",
    "near_the_money",
    "parity_forward",
    "robust_line",
    "without_stale",
]

ParityStatus = Literal["ok", "repaired", "infeasible", "at_bound"]

#: Greatest share of the pairs near the money that may be left out as stale.
MOST_STALE = 0.2
MAX_ROUNDS = 50
TOLERANCE = 1e-5
_HUBER = 1.345


@dataclass(frozen=True, kw_only=True, repr=False)
class ParityForward(Result):
    """Forward implied by the call-put pairs of one expiry.

    Attributes
    ----------
    price : float
        Robust estimate, quote currency.
    lower, upper : float
        Bounds that every pair used allows at its bid and ask; ``lower > upper`` (coin) or NaN (quote
        currency) says that the quotes contradict each other.
    pairs : int
        Pairs used.
    sd : float
        Total volatility iv·√tau read from the straddle nearest the money.
    df : float
        Discount factor; 1 for coin-settled options.
    df_lower, df_upper : float
        Bounds of the discount factor over all that fits the pairs used.
    intercept : float
        Coin-settled: the free intercept of ``c - p`` on K, a diagnostic that should be 1 within the spread;
        NaN for premiums in quote currency.
    status : {"ok", "repaired", "infeasible", "at_bound"}
        ``repaired``: the estimate was moved to the nearest point that fits every bid and ask. ``infeasible``:
        no forward does, an error of the data. ``at_bound``: the discount factor left its range.
    slack : float
        Amount by which bids and asks would have to give way, in the unit of the premiums; 0 where they agree.
    at_fault : tuple of float
        Strikes that contradict each other.
    dropped : tuple of float
        Strikes left out because they contradict the rest.
    """

    price: float
    lower: float
    upper: float
    pairs: int
    sd: float
    df: float = 1.0
    df_lower: float = 1.0
    df_upper: float = 1.0
    intercept: float = math.nan
    status: ParityStatus = "ok"
    slack: float = 0.0
    at_fault: tuple[float, ...] = ()
    dropped: tuple[float, ...] = ()

    @property
    def feasible(self) -> bool:
        """True where the estimate fits every bid and ask that it rests on."""
        return self.status in ("ok", "repaired")

    def summary(self) -> pd.DataFrame:
        """Return one row: every number, and how many strikes are at fault or dropped."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        counts = {name: len(row[name]) for name in ("at_fault", "dropped")}
        return pd.DataFrame([row | counts])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the estimate within its bounds, and return the axes."""
        axes = new_axes(ax, (6.0, 1.5))
        if self.lower <= self.upper:
            axes.plot([self.lower, self.upper], [0.0, 0.0], "|-", color="gray", label="bounds")
        axes.plot([self.price], [0.0], "o", label=f"forward, {self.pairs} pairs")
        axes.set_yticks([])
        axes.set_title(self.status)
        axes.legend(frameon=False)
        return axes


def parity_forward(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    start: float,
) -> ParityForward:
    """Return the forward in USD that coin-settled calls and puts at the same strikes imply.

    Parameters
    ----------
    strike : array_like, shape (n,)
        USD, positive.
    call_bid, call_ask, put_bid, put_ask : array_like, shape (n,)
        Coin per coin of notional; a pair with a NaN is left out.
    start : float
        First guess in USD, positive: the index or a neighbouring forward.

    Returns
    -------
    ParityForward

    Raises
    ------
    DataGapError
        Fewer than three complete pairs.
    ParameterError
        ``start`` is not positive.

    Notes
    -----
    ``c - p = 1 - K/F`` is a line through 1 at K = 0, so that only its slope ``-1/F`` is estimated (the free
    intercept is a diagnostic). The pairs
    are those with ``|ln(K/F)|`` within one at-the-money standard deviation, at least three; the weights are
    ``1/spread²`` (floored at a tenth of the median spread) times Huber's, and forward and band are renewed
    until the forward moves by less than 1e-5. A pair bounds the forward by ``K/(1 - (c_bid - p_ask))`` from
    below and ``K/(1 - (c_ask - p_bid))`` from above.

    References
    ----------
    Huber (1964).

    Examples
    --------
    >>> from pmkit.pricing import black76_inverse
    >>> K = np.array([58e3, 60e3, 62e3])
    >>> c, p = (black76_inverse(60e3, K, 0.1, 0.5, is_call=side) for side in (True, False))
    >>> round(parity_forward(K, c - 1e-4, c + 1e-4, p - 1e-4, p + 1e-4, 55e3).price, 6)
    60000.0
    """
    if not 0.0 < as_number("start", start) < math.inf:
        raise ParameterError(f"start is {start!r}", "a positive price in USD", "give the index price")
    K, cb, ca, pb, pa = pair_columns(
        strike=strike, call_bid=call_bid, call_ask=call_ask, put_bid=put_bid, put_ask=put_ask
    )
    if np.unique(K).size < 3:
        raise DataGapError(
            f"{np.unique(K).size} call-put pairs",
            "at least 3 strikes with both sides of both",
            "list the future",
        )
    difference, straddle, spread = pair_mids(cb, ca, pb, pa)
    F, sd, band = start, math.nan, np.ones(K.size, dtype=bool)
    for _ in range(MAX_ROUNDS):
        k = np.log(K / F)
        # at the money a straddle is worth sd·sqrt(2/pi) coins to first order
        sd = float(straddle[np.argmin(np.abs(k))]) * math.sqrt(math.pi / 2.0)
        band = near_the_money(k, sd)
        renewed = _robust_slope(K[band], 1.0 - difference[band], spread[band])
        if not renewed > 0.0:
            F = math.nan
            break
        moved, F = abs(renewed / F - 1.0), renewed
        if moved < TOLERANCE:
            break
    low, high = 1.0 - (cb - pa)[band], 1.0 - (ca - pb)[band]
    lower = float(np.max(np.where(low > 0.0, K[band] / np.where(low > 0.0, low, 1.0), 0.0)))
    upper = float(np.min(np.where(high > 0.0, K[band] / np.where(high > 0.0, high, 1.0), np.inf)))
    return ParityForward(
        price=F, lower=lower, upper=upper, pairs=int(band.sum()), sd=sd,
        intercept=robust_line(K[band], difference[band], spread[band])[0],
        status="ok" if lower <= F <= upper else "infeasible",
    )  # fmt: skip


def without_stale(
    quotes: Sequence[FloatArray],
    estimate: Callable[..., ParityForward],
    value: Callable[[ParityForward, FloatArray], FloatArray],
) -> ParityForward:
    """Return ``estimate(*quotes)`` after leaving out pairs that contradict the rest, named by ``dropped``.

    The pair furthest outside its own bid and ask goes first, one by one, until the others fit; where more
    than a fifth of the pairs near the money would have to go, the estimate stays infeasible with all pairs.
    ``value`` is call less put by strike on an estimate.
    """
    left = [np.asarray(a, dtype=np.float64) for a in quotes]
    first = found = estimate(*left)
    dropped: list[float] = []
    while found.status == "infeasible" and math.isfinite(found.price):
        if len(dropped) + 1 > MOST_STALE * first.pairs:
            return first
        K, cb, ca, pb, pa = left
        implied = value(found, K)
        outside = np.maximum(cb - pa - implied, implied - (ca - pb))
        near = near_the_money(np.abs(np.log(K / found.price)), found.sd)
        outside = np.where(np.isfinite(outside) & near, outside, -np.inf)
        worst = int(np.argmax(outside))
        if not outside[worst] > 0.0:
            return first
        dropped.append(float(K[worst]))
        left = [np.delete(a, worst) for a in left]
        found = estimate(*left)
    return replace(found, dropped=tuple(sorted(dropped)))


def near_the_money(k: FloatArray, sd: float) -> BoolArray:
    """Return the strikes within one standard deviation, else the three nearest the money."""
    inside: BoolArray = np.abs(k) <= sd
    if int(inside.sum()) < 3:
        inside = np.abs(k) <= np.sort(np.abs(k))[2]
    return inside


def _robust_slope(K: FloatArray, y: FloatArray, spread: FloatArray) -> float:
    """Return F of ``y = K/F`` by Huber's weights on residuals in units of the spread."""
    weight = 1.0 / spread**2
    for _ in range(20):
        beta = _total(weight * K * y) / _total(weight * K * K)
        weight = _huber(np.abs(y - beta * K) / spread) / spread**2
    return 1.0 / beta if beta > 0.0 else math.nan


def robust_line(K: FloatArray, y: FloatArray, spread: FloatArray) -> tuple[float, float]:
    """Return intercept and slope of ``y`` on ``K`` by Huber's weights on residuals in units of the spread."""
    weight = 1.0 / spread**2
    middle, level, slope = 0.0, 0.0, 0.0
    for _ in range(20):
        total = _total(weight)
        middle, level = _total(weight * K) / total, _total(weight * y) / total
        width = _total(weight * (K - middle) ** 2)
        if width == 0.0:
            return math.nan, math.nan
        slope = _total(weight * (K - middle) * (y - level)) / width
        weight = _huber(np.abs(y - level - slope * (K - middle)) / spread) / spread**2
    return level - slope * middle, slope


def _total(terms: FloatArray) -> float:
    # floats of Python are added several times faster than those of an array
    return math.fsum(terms.tolist())


def _huber(residual: FloatArray) -> FloatArray:
    """Return Huber's weights by the median residual (np.median checks more than it computes)."""
    ordered, half = np.sort(residual), residual.size // 2
    median = ordered[half] if residual.size % 2 else 0.5 * (ordered[half - 1] + ordered[half])
    scale = max(1.4826 * float(median), 1e-12)
    return np.asarray(np.minimum(1.0, _HUBER * scale / np.maximum(residual, 1e-300)))
