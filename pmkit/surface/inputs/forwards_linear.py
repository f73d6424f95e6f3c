"""Forward and discount factor of one expiry from parity of options that settle in quote currency."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number, pair_columns, pair_mids
from pmkit.surface.inputs.forwards_parity import (
    MAX_ROUNDS,
    TOLERANCE,
    ParityForward,
    ParityStatus,
    near_the_money,
    robust_line,
    without_stale,
)
from pmkit.surface.inputs.parity_bounds import DF_RANGE, nearest_inside, parity_bounds

__all__ = ["line_without_stale", "parity_line", "vix_forward"]

#: How often the band is doubled where the slope near the money leaves the range of discount factors.
_WIDENINGS = 4


def parity_line(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    *,
    df: float | None = None,
    forward: float | None = None,
) -> ParityForward:
    """Return forward (quote currency) and discount factor that European calls and puts imply.

    Parameters
    ----------
    strike : array_like, shape (n,)
        Quote currency, positive.
    call_bid, call_ask, put_bid, put_ask : array_like, shape (n,)
        Premiums in quote currency; a pair with a NaN is left out.
    df : float, optional
        Discount factor where it is known: the forward alone is estimated.
    forward : float, optional
        Forward where it is known (a listed future): the discount factor alone is estimated.

    Returns
    -------
    ParityForward
        ``status`` says whether the estimate fits every bid and ask it rests on (``ok``), was moved to the
        nearest point that does (``repaired``; a known forward or discount factor is never moved), or whether
        nothing fits (``infeasible``: stale or wrong quotes, named by ``at_fault``, or a known number that
        the quotes contradict); ``at_bound`` where the discount factor left (0.5, 1.02].

    Raises
    ------
    DataGapError
        Fewer than three complete pairs.
    ParameterError
        ``df`` and ``forward`` both given, or not positive; a strike that is not positive; columns that
        are not five rows of one length.

    Notes
    -----
    ``C - P = df (F - K)`` is a line in K. Its weights are ``1/(spread_C + spread_P)²``, the spread floored at
    a tenth of the median, times Huber's on residuals in spreads. The pairs are those with ``|ln(K/F)|``
    within one at-the-money standard deviation read from the straddle, at least three; forward and band are
    renewed until the forward moves by less than 1e-5. The band doubles where the slope leaves the range of
    discount factors. Days before expiry the band is narrow and the discount factor is known to its bounds
    only, which are part of the result.

    References
    ----------
    Stoll (1969); Huber (1964).

    Examples
    --------
    >>> from pmkit.pricing import black76
    >>> K = np.array([90.0, 95.0, 100.0, 105.0, 110.0])
    >>> c, p = (black76(101.0, K, 0.5, 0.3, df=0.98, is_call=side) for side in (True, False))
    >>> found = parity_line(K, c - 0.05, c + 0.05, p - 0.05, p + 0.05)
    >>> round(found.price, 6), round(found.df, 6), found.status
    (101.0, 0.98, 'ok')
    """
    _check_known(df, forward)
    K, cb, ca, pb, pa = pair_columns(
        strike=strike, call_bid=call_bid, call_ask=call_ask, put_bid=put_bid, put_ask=put_ask
    )
    if np.unique(K).size < 3:
        raise DataGapError(
            f"{np.unique(K).size} call-put pairs",
            "at least 3 strikes with both sides of both",
            "load a fuller chain, or give the discount factor and the future",
        )
    difference, straddle, spread = pair_mids(cb, ca, pb, pa)
    nearest = np.argsort(np.abs(difference), kind="stable")[:5]
    start = float(np.median(K[nearest] + difference[nearest])) if forward is None else forward
    F, D, sd, band = start, 1.0, math.nan, np.ones(K.size, dtype=bool)
    for widening in range(_WIDENINGS + 1):
        F, D = start, 1.0 if df is None else df
        for _ in range(MAX_ROUNDS):
            k = np.log(K / F)
            # at the money a straddle is worth sd·sqrt(2/pi) of the discounted forward to first order
            sd = float(straddle[np.argmin(np.abs(k))]) / (D * F) * math.sqrt(math.pi / 2.0)
            band = near_the_money(k, sd * 2.0**widening)
            renewed, D = _estimate(K[band], difference[band], spread[band], df, forward)
            if not (renewed > 0.0 and D > 0.0):
                break
            moved, F = abs(renewed / F - 1.0), renewed
            if moved < TOLERANCE:
                break
        if DF_RANGE[0] < D <= DF_RANGE[1]:
            break
    quotes = (K[band], cb[band], ca[band], pb[band], pa[band])
    bounds = parity_bounds(*quotes)
    status: ParityStatus = "ok"
    if not bounds.feasible:
        status = "infeasible"
    elif not DF_RANGE[0] < D <= DF_RANGE[1]:
        status = "at_bound"
    elif not _inside(F, D, *quotes):
        free = df is None and forward is None
        fitting = nearest_inside(F, D, *quotes) if free else _beside_known(F, D, *quotes, forward is not None)
        status = "infeasible" if fitting is None else "repaired"
        F, D = (F, D) if fitting is None else fitting
    return ParityForward(
        price=F, lower=bounds.forward_low, upper=bounds.forward_high, pairs=int(band.sum()), sd=sd,
        df=D, df_lower=bounds.df_low, df_upper=bounds.df_high, status=status, slack=bounds.slack,
        at_fault=bounds.at_fault,
    )  # fmt: skip


def line_without_stale(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    *,
    df: float | None = None,
    forward: float | None = None,
) -> ParityForward:
    """Return :func:`parity_line` (forward in quote currency) without the pairs that contradict the rest.

    The pair furthest outside its own bid and ask on the robust line goes first, one by one, until the others
    fit; ``dropped`` names the strikes. Where more than a fifth of the pairs near the money would have to go,
    the estimate stays ``infeasible`` with all pairs. Arguments and errors are those of :func:`parity_line`.

    Examples
    --------
    >>> from pmkit.pricing import black76
    >>> K = np.arange(85.0, 116.0, 2.5)
    >>> c, p = (black76(101.0, K, 0.5, 0.3, df=0.98, is_call=side) for side in (True, False))
    >>> c[6] += 3.0
    >>> line_without_stale(K, c - 0.05, c + 0.05, p - 0.05, p + 0.05).dropped
    (100.0,)
    """
    return without_stale(
        [np.asarray(a, dtype=np.float64) for a in (strike, call_bid, call_ask, put_bid, put_ask)],
        partial(parity_line, df=df, forward=forward),
        lambda found, K: found.df * (found.price - K),
    )


def _check_known(df: float | None, forward: float | None) -> None:
    for what, value in (("df", df), ("forward", forward)):
        if value is not None and not 0.0 < as_number(what, value) < math.inf:
            raise ParameterError(f"{what} is {value!r}", "a positive number", "correct it or leave it out")
    if df is not None and forward is not None:
        raise ParameterError(
            "df and forward are both given", "at most one of them", "nothing is left to estimate"
        )


def _estimate(
    K: FloatArray, y: FloatArray, spread: FloatArray, df: float | None, forward: float | None
) -> tuple[float, float]:
    if df is not None:
        return _robust_level(K + y / df, spread), df
    if forward is not None:
        # a strike at the forward itself says nothing about the discount factor
        away = (forward - K)[forward != K]
        y, spread = y[forward != K], spread[forward != K]
        return forward, _robust_level(y / away, spread / np.abs(away))
    intercept, slope = robust_line(K, y, spread)
    return (intercept / -slope, -slope) if slope < 0.0 else (math.nan, math.nan)


def _robust_level(values: FloatArray, spread: FloatArray) -> float:
    """Return the level of ``values`` by Huber's weights on residuals in units of the spread."""
    weight = 1.0 / spread**2
    level = 0.0
    for _ in range(20):
        level = math.fsum(weight * values) / math.fsum(weight)
        residual = np.abs(values - level) / spread
        scale = max(1.4826 * float(np.median(residual)), 1e-12)
        weight = np.minimum(1.0, 1.345 * scale / np.maximum(residual, 1e-300)) / spread**2
    return level


def _inside(
    F: float, D: float, K: FloatArray, cb: FloatArray, ca: FloatArray, pb: FloatArray, pa: FloatArray
) -> bool:
    value = D * (F - K)
    rounding = 1e-9 * F
    return bool(((cb - pa <= value + rounding) & (value <= ca - pb + rounding)).all())


def _beside_known(
    F: float,
    D: float,
    K: FloatArray,
    cb: FloatArray,
    ca: FloatArray,
    pb: FloatArray,
    pa: FloatArray,
    forward_known: bool,
) -> tuple[float, float] | None:
    """Return the nearest pair that fits every quote with one of the two held; None where there is none."""
    low, high = cb - pa, ca - pb
    if forward_known:
        away = F - K
        if ((away == 0.0) & ((low > 0.0) | (high < 0.0))).any():
            return None
        ends = np.sort([low[away != 0.0] / away[away != 0.0], high[away != 0.0] / away[away != 0.0]], axis=0)
        least, most = max(float(ends[0].max()), DF_RANGE[0]), min(float(ends[1].min()), DF_RANGE[1])
        return (F, min(max(D, least), most)) if least <= most else None
    least, most = float(np.max(K + low / D)), float(np.min(K + high / D))
    return (min(max(F, least), most), D) if least <= most else None


def vix_forward(
    strike: npt.ArrayLike, call: npt.ArrayLike, put: npt.ArrayLike, *, df: float = 1.0
) -> tuple[float, float]:
    """Return the forward by the rule of the Cboe index (quote currency), and the strike at or below it.

    Parameters
    ----------
    strike : array_like, shape (n,)
        Ascending or not, positive, quote currency.
    call, put : array_like, shape (n,)
        Mids in quote currency; a pair with a NaN is left out.
    df : float
        Discount factor, positive.

    Returns
    -------
    forward, k0 : float
        ``k0`` is the greatest strike at or below the forward, NaN where there is none.

    Raises
    ------
    DataGapError
        No complete pair.
    ParameterError
        ``df`` or a strike is not positive, the three rows differ in length, or the pair says a forward of 0
        or below.

    Notes
    -----
    ``F = K + (C - P)/df`` at the strike where ``|C - P|`` is least (the lowest of several). It rests on one
    pair, so that one stale quote moves it: use it as a second opinion.

    References
    ----------
    Cboe (2024), "VIX methodology".

    Examples
    --------
    >>> calls, puts = [24.25, 21.05, 18.10], [21.30, 23.15, 25.05]
    >>> forward, k0 = vix_forward([1960, 1965, 1970], calls, puts, df=0.999979)
    >>> round(forward, 2), k0
    (1962.9, 1960.0)
    """
    if not 0.0 < as_number("df", df) < math.inf:
        raise ParameterError(f"df is {df!r}", "a positive number", "give exp(-rate*tau), the rate a decimal")
    K, c, p = pair_columns(strike=strike, call=call, put=put)
    if not K.size:
        raise DataGapError("no call-put pair", "a strike with mids of both", "load a fuller chain")
    order = np.argsort(K, kind="stable")
    K, c, p = K[order], c[order], p[order]
    at = int(np.argmin(np.abs(c - p)))
    forward = float(K[at] + (c[at] - p[at]) / df)
    if not forward > 0.0:
        raise ParameterError(
            f"the pair at strike {K[at]:g} says a forward of {forward:g}",
            "a positive price",
            "load the strikes near the money, or drop the stale pair",
        )
    below = K[forward >= K]
    return forward, float(below[-1]) if below.size else math.nan
