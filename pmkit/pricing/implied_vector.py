"""Implied total volatility of many quotes at once: a fixed number of branch-free steps, checked lane by lane.

With b the out-of-the-money price over sqrt(FK), D = R(h - t) - R(h + t) and R the Mills ratio,
``ln b = ln D - (h**2 + t**2)/2 - ln sqrt(2 pi)`` and ``b'/b = 1/D`` with respect to total volatility s. A
closed start value is within 1 to 7 %; one Householder step of third order with a rough R brings 1e-5, a
second one with an accurate R brings rounding. Lanes outside the range of the polynomials, or whose last step
was not small, are marked, and the caller solves them one by one.
"""

from __future__ import annotations

import math

from pmkit.core.types import BoolArray, FloatArray
from pmkit.pricing.implied_scalar import StatusArray, lane_of_quote
from pmkit.pricing.numeric import (
    BLOCK,
    GROUP,
    SMALL_T,
    SMALL_X,
    WIDE,
    kernel,
    log_fast,
    log_ratio,
    log_rough,
    mills_parts,
    mills_parts_rough,
    mills_parts_wide,
    odd_moments,
    primitive,
    scratch_row,
    scratch_space,
    stage,
)

__all__ = ["implied_quotes"]

_SQRT_TWO_PI = 2.5066282746310002
_NOISE = 8.881784197001252e-16  # four roundings: what parity leaves on an in-the-money quote
_LEAST_VOL, _MOST_VOL = 2e-3, 4.6  # total volatility that the polynomials cover
_LEAST_ROOM = 0.01  # distance to the bound, as a share of the price
_LEAST_BETA = 1e-290
_LARGEST_PRICE, _SMALLEST_PRICE = 1e140, 1e-140  # F*K stays a normal double
_SMALL_STEP = 2e-4  # a last step below leaves an error of its fourth power
_DEEPEST = 40.0


@primitive
def _householder(log_error: float, inverse_gap: float, s: float, h2: float, t2: float) -> float:
    """Return the relative change of s in one third-order step for the residual ``log_error`` of ln b."""
    g = s * inverse_gap
    a = h2 - t2
    second = a - g
    third = a * a - (3.0 * h2 + t2) + g * (2.0 * g - 3.0 * a)
    top = log_error * (g - 0.5 * second * log_error)
    return -top / (g * g - log_error * (second * g - third * log_error * (1.0 / 6.0)))


@stage
def _fill(target: FloatArray, source: FloatArray, start: int, size: int, padding: float) -> None:
    """Copy one block of ``source``, or repeat its single element, and pad to whole groups."""
    if source.size == 1:
        value = source[0]
        for i in range(target.size):
            target[i] = value
    else:
        block = source[start : start + size]
        for i in range(size):
            target[i] = block[i]
        for i in range(size, target.size):
            target[i] = padding


@stage
def _fill_sides(target: FloatArray, is_call: BoolArray, start: int, size: int) -> None:
    """Fill ``target`` with 1 for a call and -1 for a put."""
    if is_call.size == 1:
        value = 1.0 if is_call[0] else -1.0
        for i in range(target.size):
            target[i] = value
    else:
        block = is_call[start : start + size]
        for i in range(size):
            target[i] = 1.0 if block[i] else -1.0
        for i in range(size, target.size):
            target[i] = 1.0


@stage
def _sides(
    value: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    side: FloatArray,
    moneyness: FloatArray,
    beta: FloatArray,
    usable: FloatArray,
) -> None:
    """Turn undiscounted prices into out-of-the-money values over sqrt(FK), and mark the lanes in range."""
    for i in range(value.size):
        f, k = forward[i], strike[i]
        v = value[i]
        inner = side[i] * (f - k)
        larger, smaller = max(f, k), min(f, k)
        gap = larger - smaller
        back = larger - gap
        lost = (larger - (gap + back)) + (back - smaller)
        otm = (v - gap) - lost if inner > 0.0 else v
        room = (f if side[i] > 0.0 else k) - v
        least = _NOISE * max(inner, 0.0)
        mean = math.sqrt(f * k)
        scaled = otm / mean
        fine = (otm > least) & (room > _LEAST_ROOM * smaller) & (scaled > _LEAST_BETA)
        fine = fine & (larger < _LARGEST_PRICE) & (smaller > _SMALLEST_PRICE)
        usable[i] = 1.0 if fine else 0.0
        beta[i] = scaled if fine else 0.1
        moneyness[i] = abs(log_ratio(f, k)) if fine else 0.1


@stage
def _start(beta: FloatArray, x: FloatArray, s: FloatArray) -> None:
    """Fill ``s`` with a start value: the normal-model volatility, then its lognormal correction.

    With w half the straddle, d = x/s and eta = ln(w/beta), the normal model reads s = w/psi(d), where psi**2
    is a function of eta alone, here a quotient of polynomials good to 1 % of s. The correction is 1 + z with
    z = s**4/(24 s**2 + 8 x**2) to leading order; the whole is within 7 % up to s = 4.6.
    """
    for i in range(s.size):
        b, u = beta[i], x[i]
        w = b + 0.5 * u
        eta = log_rough(w / b)
        top = 1.0 + 0.11449727 * eta
        bottom = 0.15915494309189535 + eta * (0.02071845 + eta * 0.05808237)
        normal = w * math.sqrt(top / bottom)
        n2 = normal * normal
        z = n2 * n2 / (24.0 * n2 + 8.0 * u * u)
        s[i] = normal * (1.0 + z * (1.0 + z * z * (75.4267256 * z - 10.9072419)))


@stage
def _rough_step(beta: FloatArray, x: FloatArray, s: FloatArray) -> None:
    """Improve ``s`` from per cent to about 1e-5."""
    for i in range(s.size):
        total = min(s[i], 2.0 * WIDE)
        h = min(x[i] / total, _DEEPEST)
        t = 0.5 * total
        near_top, near_bottom = mills_parts_rough(h - t)
        far_top, far_bottom = mills_parts_rough(h + t)
        bottom = near_bottom * far_bottom
        inverse_gap = bottom / (near_top * far_bottom - far_top * near_bottom)
        h2, t2 = h * h, t * t
        error = -log_rough(inverse_gap * (beta[i] * _SQRT_TWO_PI)) - 0.5 * (h2 + t2)
        s[i] = total * (1.0 + _householder(error, inverse_gap, total, h2, t2))


@stage
def _bring_into_range(x: FloatArray, s: FloatArray) -> int:
    """Keep ``s`` where the polynomials hold, and count the lanes that the series is for."""
    count = 0
    for i in range(s.size):
        total = min(max(s[i], 1e-9), 2.0 * WIDE)
        s[i] = total
        count += (total <= 2.0 * SMALL_T) & (x[i] <= SMALL_X)
    return count


@stage
def _gap_by_mills_ratios(x: FloatArray, s: FloatArray, inverse_gap: FloatArray) -> None:
    """Fill ``inverse_gap`` with 1/D."""
    for i in range(s.size):
        total = s[i]
        h = min(x[i] / total, _DEEPEST)
        t = 0.5 * total
        near_top, near_bottom = mills_parts_wide(h - t)
        far_top, far_bottom = mills_parts(h + t)
        bottom = near_bottom * far_bottom
        inverse_gap[i] = bottom / (near_top * far_bottom - far_top * near_bottom)


@stage
def _gap_by_series(x: FloatArray, s: FloatArray, inverse_gap: FloatArray) -> None:
    """Replace 1/D by the series in t where both t and h*t are small and the difference would cancel."""
    for i in range(s.size):
        total = s[i]
        h = min(x[i] / total, _DEEPEST)
        t = 0.5 * total
        top, bottom = mills_parts(h)
        series = bottom / (total * odd_moments(h, t, top, bottom))
        inverse_gap[i] = series if (total <= 2.0 * SMALL_T) & (x[i] <= SMALL_X) else inverse_gap[i]


@stage
def _last_step(
    beta: FloatArray,
    x: FloatArray,
    s: FloatArray,
    inverse_gap: FloatArray,
    usable: FloatArray,
    tau: FloatArray,
) -> int:
    """Improve ``s`` to rounding, divide by sqrt(tau), unmark lanes that fail, and count the others."""
    count = 0
    for i in range(s.size):
        total = s[i]
        h = x[i] / total
        t = 0.5 * total
        h2, t2 = h * h, t * t
        error = -log_fast(inverse_gap[i] * (beta[i] * _SQRT_TWO_PI)) - 0.5 * (h2 + t2)
        change = _householder(error, inverse_gap[i], total, h2, t2)
        final = total + total * change
        fine = (abs(change) < _SMALL_STEP) & (final > _LEAST_VOL) & (final < _MOST_VOL) & (tau[i] > 0.0)
        fine = fine & (usable[i] > 0.0)
        count += fine
        usable[i] = 1.0 if fine else 0.0
        s[i] = final / math.sqrt(tau[i])
    return count


@stage
def _store(iv: FloatArray, status: StatusArray, start: int, size: int, s: FloatArray) -> None:
    """Copy one block of results to its place, with status OK."""
    volatility, code = iv[start : start + size], status[start : start + size]
    for i in range(size):
        volatility[i] = s[i]
        code[i] = 0


@kernel
def implied_quotes(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    df: FloatArray,
    is_call: BoolArray,
    inverse: bool,
    iv: FloatArray,
    status: StatusArray,
) -> None:
    """Fill ``iv`` and ``status``; every input holds one element, or as many as ``iv``."""
    space = scratch_space(9)
    for start in range(0, iv.size, BLOCK):
        size = min(BLOCK, iv.size - start)
        padded = (size + GROUP - 1) // GROUP * GROUP
        value = scratch_row(space, 0, padded)
        f = scratch_row(space, 1, padded)
        k = scratch_row(space, 2, padded)
        years = scratch_row(space, 3, padded)
        side = scratch_row(space, 4, padded)
        x = scratch_row(space, 5, padded)
        beta = scratch_row(space, 6, padded)
        usable = scratch_row(space, 7, padded)
        s = scratch_row(space, 8, padded)
        _fill(f, forward, start, size, 1.0)
        _fill(k, strike, start, size, 1.0)
        _fill(years, tau, start, size, 1.0)
        _fill(value, price, start, size, 0.1)
        if inverse:
            for i in range(padded):
                value[i] *= f[i]
        else:
            _fill(side, df, start, size, 1.0)
            for i in range(padded):
                value[i] /= side[i]
        _fill_sides(side, is_call, start, size)
        _sides(value, f, k, side, x, beta, usable)
        _start(beta, x, s)
        _rough_step(beta, x, s)
        gap = scratch_row(space, 4, padded)
        by_series = _bring_into_range(x, s)
        if by_series < padded:
            _gap_by_mills_ratios(x, s, gap)
        if by_series > 0:
            _gap_by_series(x, s, gap)
        done = _last_step(beta, x, s, gap, usable, years)
        _store(iv, status, start, size, s)
        if done < padded:
            for i in range(size):
                if usable[i] == 0.0:
                    j = start + i
                    call = is_call[j % is_call.size]
                    iv[j], status[j] = lane_of_quote(
                        price[j % price.size], value[i], f[i], k[i], years[i], call, inverse
                    )
