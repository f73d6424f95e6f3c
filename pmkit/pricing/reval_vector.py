"""Values of one option over many scenarios in doubles: the vector code behind full revaluation.

With the total volatility s, ``h = |ln(F/K)|/s`` and ``t = s/2`` the out-of-the-money value is
``nearer*phi(a)*(R(a) - R(b))``, a = h - t, b = h + t, R the Mills ratio, ``nearer`` the lesser of F and K.
One exponential serves both normal distribution functions, because F phi(d1) = K phi(d2); one division serves
both Mills ratios; and no logarithm is left where ln F comes with the scenario and ln K with the option.
"""

from __future__ import annotations

import math

from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.pricing.numeric import (
    BLOCK,
    GROUP,
    kernel,
    log_fast,
    mills_parts_monic,
    primitive,
    scaled_density,
    scratch_row,
    scratch_space,
    stage,
)

__all__ = ["fill_logs", "fill_matrix", "scenario_values"]

#: where the distances are cut: the density underflows beyond the first, no Mills ratio counts at the second
_DEEP, _FAR = 37.5, 100.0


@stage
def _distances(
    log_forward: FloatArray,
    log_strike: float,
    vol: FloatArray,
    scale: float,
    inner: FloatArray,
    outer: FloatArray,
) -> None:
    """Fill ``inner`` with a = h - t and ``outer`` with b = h + t; the total volatility is ``scale*vol``."""
    for i in range(inner.size):
        s = vol[i] * scale
        h = abs(log_forward[i] - log_strike) / s
        t = 0.5 * s
        inner[i] = _DEEP if s == 0.0 else max(min(h - t, _DEEP), -_DEEP)
        outer[i] = min(h + t, _FAR)


@stage
def _tails(inner: FloatArray, outer: FloatArray) -> None:
    """Replace ``outer`` by R(a) - R(b), or by -R(-a) - R(b) where a is negative."""
    for i in range(inner.size):
        a = inner[i]
        near_top, near_bottom = mills_parts_monic(abs(a))
        far_top, far_bottom = mills_parts_monic(outer[i])
        tails = math.copysign(near_top, a) * far_bottom - far_top * near_bottom
        outer[i] = tails / (near_bottom * far_bottom)


@primitive
def _value(forward: float, strike: float, sign: float, inner: float, tails: float) -> float:
    """Return the value; the comparisons are written so that NaN of forward or volatility comes through."""
    nearer = strike if strike < forward else forward
    otm = nearer * (scaled_density(inner) * tails + (1.0 if inner < 0.0 else 0.0))
    otm = 0.0 if (otm < 0.0) | (inner == _DEEP) else otm
    intrinsic = sign * (forward - strike)
    return otm + (0.0 if intrinsic < 0.0 else intrinsic)


@stage
def _values(
    forward: FloatArray,
    strike: float,
    sign: float,
    inverse: bool,
    inner: FloatArray,
    tails: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` with values in quote currency, or in coin."""
    if inverse:
        for i in range(out.size):
            out[i] = _value(forward[i], strike, sign, inner[i], tails[i]) / forward[i]
    else:
        for i in range(out.size):
            out[i] = _value(forward[i], strike, sign, inner[i], tails[i])


@stage
def _log_of_quotient(forward: FloatArray, strike: float, out: FloatArray) -> None:
    """Fill ``out`` with ln(F/K); 0 or NaN in forward or strike gives a finite number without meaning."""
    per_strike = 1.0 / strike if strike > 0.0 else 0.0
    for i in range(out.size):
        out[i] = log_fast(forward[i] * per_strike)


@stage
def _block(
    forward: FloatArray,
    log_forward: FloatArray,
    log_strike: float,
    vol: FloatArray,
    strike: float,
    scale: float,
    sign: float,
    inverse: bool,
    space: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` with the values of one block of scenarios."""
    inner, outer = scratch_row(space, 0, out.size), scratch_row(space, 1, out.size)
    _distances(log_forward, log_strike, vol, scale, inner, outer)
    _tails(inner, outer)
    _values(forward, strike, sign, inverse, inner, outer, out)


@stage
def _row(
    forward: FloatArray,
    log_forward: FloatArray,
    log_strike: float,
    vol: FloatArray,
    strike: float,
    scale: float,
    sign: float,
    inverse: bool,
    apart: bool,
    space: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` with the values of one option; ``log_forward`` is empty where ln(F/K) is to be computed.

    No element is ever computed by the remainder loop, which rounds differently: the last block overlaps the
    one before where ``out`` is ``apart`` from the inputs; else it is padded to whole groups.
    """
    given = log_forward.size > 0
    blocks = out.size // BLOCK
    whole, size = blocks * BLOCK, out.size % BLOCK
    if apart & (blocks > 0) & (size > 0):
        blocks, size = blocks + 1, 0
    for block in range(blocks):
        start = min(block * BLOCK, out.size - BLOCK)
        stop = start + BLOCK
        logs = scratch_row(space, 2, BLOCK)
        if given:
            logs = log_forward[start:stop]
        else:
            _log_of_quotient(forward[start:stop], strike, logs)
        _block(
            forward[start:stop], logs, log_strike, vol[start:stop], strike, scale, sign, inverse, space,
            out[start:stop],
        )  # fmt: skip
    if size > 0:
        padded = (size + GROUP - 1) // GROUP * GROUP
        last_forward, last_vol = scratch_row(space, 3, padded), scratch_row(space, 4, padded)
        last_log, last_out = scratch_row(space, 2, padded), scratch_row(space, 5, padded)
        for i in range(padded):
            last_forward[i] = forward[whole + i] if i < size else 1.0
            last_vol[i] = vol[whole + i] if i < size else 1.0
        if given:
            for i in range(padded):
                last_log[i] = log_forward[whole + i] if i < size else 0.0
        else:
            _log_of_quotient(last_forward, strike, last_log)
        _block(last_forward, last_log, log_strike, last_vol, strike, scale, sign, inverse, space, last_out)
        for i in range(size):
            out[whole + i] = last_out[i]


@kernel
def scenario_values(
    forward: FloatArray,
    log_forward: FloatArray,
    iv: FloatArray,
    strike: float,
    tau: float,
    is_call: bool,
    inverse: bool,
    out: FloatArray,
) -> None:
    """Fill ``out`` with values of one option per scenario; arguments must be legal, NaN gives NaN.

    ``log_forward`` may be empty: ln(F/K) is then computed here. Short loops over blocks in the first-level
    cache keep the processor's look-ahead busy, where one long loop would wait for its own chain.
    """
    log_strike = math.log(strike) if (log_forward.size > 0) & (strike > 0.0) else 0.0
    sign = 1.0 if is_call else -1.0
    space = scratch_space(6)
    _row(forward, log_forward, log_strike, iv, strike, math.sqrt(tau), sign, inverse, False, space, out)


@kernel
def fill_logs(forward: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with ln F; 0 or NaN gives a finite number without meaning, for the kernels here only."""
    space = scratch_space(1)
    padded = scratch_row(space, 0, GROUP)
    whole = out.size // GROUP * GROUP
    for start in range(0, whole, GROUP):
        _log_of_quotient(forward[start : start + GROUP], 1.0, out[start : start + GROUP])
    if whole < out.size:
        for i in range(GROUP):
            padded[i] = forward[whole + i] if whole + i < out.size else 1.0
        _log_of_quotient(padded, 1.0, padded)
        for i in range(out.size - whole):
            out[whole + i] = padded[i]


@kernel
def fill_matrix(
    forward: FloatArray,
    log_forward: FloatArray,
    level: FloatArray,
    curve: IntArray,
    scale: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    inverse: BoolArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` (options, scenarios); option j has row ``curve[j]``, total vol ``scale[j]*level``."""
    space = scratch_space(6)
    size = out.shape[1]
    short = (0 < size < BLOCK) & (size % GROUP == 0)  # a few whole groups need neither blocks nor padding
    for j in range(out.shape[0]):
        at = curve[j]
        log_strike = math.log(strike[j]) if strike[j] > 0.0 else 0.0
        sign = 1.0 if is_call[j] else -1.0
        if short:
            _block(
                forward[at], log_forward[at], log_strike, level[at], strike[j], scale[j], sign, inverse[j],
                space, out[j],
            )  # fmt: skip
        else:
            _row(
                forward[at], log_forward[at], log_strike, level[at], strike[j], scale[j], sign, inverse[j],
                True, space, out[j],
            )  # fmt: skip
