"""Implied total volatility of one quote over the whole range of doubles: the layer below the fast kernel.

Newton's method runs on the logarithm of the out-of-the-money price as a function of the logarithm of total
volatility, which is increasing and concave, or, for prices above half their bound, on the logarithm of the
distance to the bound. On a concave function every Newton step from any side lands on one fixed side of the
root and then approaches it monotonically, so neither bracket nor damping is needed.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pmkit.core.status import Status
from pmkit.pricing.numeric import (
    INV_SQRT_TWO_PI,
    LOG_SQRT_TWO_PI,
    SMALL_T,
    SMALL_X,
    log_ratio,
    mills_ratio,
    odd_moments,
    primitive,
)

__all__ = ["StatusArray", "lane_of_quote", "total_vol_of_quote"]

StatusArray: TypeAlias = npt.NDArray[np.int8]

_OK = int(Status.OK)
_NOT_CONVERGED = int(Status.NOT_CONVERGED)
_BELOW_INTRINSIC = int(Status.BELOW_INTRINSIC)
_AT_BOUND = int(Status.AT_BOUND)
_ABOVE_BOUND = int(Status.ABOVE_BOUND)
_NO_INFORMATION = int(Status.NO_INFORMATION)
_INVALID_INPUT = int(Status.INVALID_INPUT)

_EPS = 2.220446049250313e-16
_PARITY_NOISE = 4.0 * _EPS  # rounding that parity leaves on an in-the-money quote, relative to its price
_BOUND_NOISE = 2.0 * _EPS  # rounding of a price next to its upper bound
_MAX_STEPS = 100
_CLOSE = 1e-9  # a Newton step of this relative size leaves an error below rounding
_TINY = 1e-290  # quotients of prices below may leave the range of normal doubles


@primitive
def quote_state(
    price: float, undiscounted: float, forward: float, strike: float, is_call: bool, inverse: bool
) -> tuple[float, float, int]:
    """Return out-of-the-money value, distance to the upper bound (both undiscounted USD), and a status.

    In-the-money quotes are turned by parity with the rounding error of F - K put back.
    """
    moneyness = forward - strike if is_call else strike - forward
    bound = forward if is_call else strike
    room = forward * (1.0 - price) if inverse and is_call else bound - undiscounted
    value = undiscounted
    if moneyness > 0.0:
        larger, smaller = (forward, strike) if is_call else (strike, forward)
        subtracted = larger - moneyness
        lost = (larger - (moneyness + subtracted)) + (subtracted - smaller)
        value = (undiscounted - moneyness) - lost
        if abs(value) <= _PARITY_NOISE * moneyness:
            return value, room, _NO_INFORMATION
    if value < 0.0:
        return value, room, _BELOW_INTRINSIC
    if value == 0.0:
        return value, room, _NO_INFORMATION
    if room < -_BOUND_NOISE * bound or math.isinf(undiscounted):
        return value, room, _ABOVE_BOUND
    if room <= _BOUND_NOISE * bound:
        return value, room, _AT_BOUND
    return value, room, _OK


@primitive
def _lower(x: float, value: float, root: float) -> tuple[float, int]:
    """Return total volatility from the value itself, for values below half their bound."""
    beta = value / root
    log_beta = math.log(beta) if beta > _TINY else math.log(value) - math.log(root)
    # two lower bounds of the root: the at-the-money one, and b < exp(-(h^2 + t^2)/2)/2
    depth = -log_beta - 0.6931471805599453
    s = x * math.sqrt(2.0 / (2.0 * depth + math.sqrt(max(4.0 * depth * depth - x * x, 0.0))))
    s = max(s, beta / INV_SQRT_TWO_PI)
    for _ in range(_MAX_STEPS):
        h = x / s
        t = 0.5 * s
        half = 0.5 * (h * h + t * t)
        if t <= SMALL_T and 2.0 * h * t <= SMALL_X:
            gap = s * odd_moments(h, t, mills_ratio(h), 1.0)
        elif h >= t:
            gap = mills_ratio(h - t) - mills_ratio(h + t)
        else:
            gap = math.exp(half - 0.5 * x) / INV_SQRT_TWO_PI - (mills_ratio(t - h) + mills_ratio(t + h))
        if beta > _TINY:
            residual = math.log(gap * INV_SQRT_TWO_PI / beta) - half
        else:
            residual = math.log(gap) - LOG_SQRT_TWO_PI - log_beta - half
        step = -residual * gap / s
        s *= math.exp(step)
        if abs(step) < _CLOSE:
            return s, _OK
    return s, _NOT_CONVERGED


@primitive
def _upper(x: float, room: float, root: float) -> tuple[float, int]:
    """Return total volatility from the distance to the bound, for values above half their bound."""
    target = room / root
    s = max(math.sqrt(2.0 * x), 1.0)
    for _ in range(_MAX_STEPS):
        h = x / s
        t = 0.5 * s
        half = 0.5 * (h * h + t * t)
        if h <= t:
            gap = mills_ratio(t - h) + mills_ratio(t + h)
        else:
            gap = math.exp(half - 0.5 * x) / INV_SQRT_TWO_PI - (mills_ratio(h - t) - mills_ratio(h + t))
        step = (math.log(gap * INV_SQRT_TWO_PI / target) - half) * gap
        s += step
        if abs(step) < _CLOSE * s:
            return s, _OK
    return s, _NOT_CONVERGED


@primitive
def total_vol_of_quote(
    price: float, undiscounted: float, forward: float, strike: float, is_call: bool, inverse: bool
) -> tuple[float, int]:
    """Return (iv sqrt(tau), status code) of a quote; NaN unless the status is OK."""
    if math.isnan(undiscounted + forward + strike) or (inverse and forward == 0.0):
        return math.nan, _INVALID_INPUT
    value, room, status = quote_state(price, undiscounted, forward, strike, is_call, inverse)
    if status != _OK:
        return math.nan, status
    x = abs(log_ratio(forward, strike))
    root = math.sqrt(forward) * math.sqrt(strike)
    if room < value:
        s, status = _upper(x, room, root)
    else:
        s, status = _lower(x, value, root)
    if status != _OK or not (s > 0.0 and math.isfinite(s)):
        return math.nan, _NOT_CONVERGED
    return s, _OK


@primitive
def lane_of_quote(
    price: float, undiscounted: float, forward: float, strike: float, tau: float, is_call: bool, inverse: bool
) -> tuple[float, int]:
    """Return (iv, status code) of one quote; ``price`` as quoted, ``undiscounted`` in quote currency."""
    if not tau > 0.0:
        return math.nan, _INVALID_INPUT
    s, status = total_vol_of_quote(price, undiscounted, forward, strike, is_call, inverse)
    return s / math.sqrt(tau), status
