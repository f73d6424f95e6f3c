"""The out-of-the-money Black price by Mills ratios: one definition behind prices and implied volatility.

With ``x = |ln(F/K)|``, total volatility ``s = iv*sqrt(tau)``, ``h = x/s`` and ``t = s/2`` the undiscounted
out-of-the-money price is ``sqrt(F K) phi(h) exp(-t**2/2) (R(h - t) - R(h + t))``, R being the Mills ratio
Phi(-y)/phi(y). The form neither underflows nor cancels in the tail, where the textbook difference
``F Phi(d1) - K Phi(d2)`` loses every digit.
"""

from __future__ import annotations

import math

from pmkit.core.types import BoolArray, FloatArray
from pmkit.pricing.numeric import (
    INV_SQRT_TWO_PI,
    SMALL_T,
    SMALL_X,
    kernel,
    log_ratio,
    mills_ratio,
    odd_moments,
    primitive,
)

__all__ = ["black_values", "otm_value"]

_FAR = 38.6  # phi underflows beyond


@primitive
def otm_value(forward: float, strike: float, total_vol: float) -> float:
    """Return the undiscounted out-of-the-money price for forward, strike and total volatility above 0."""
    h = abs(log_ratio(forward, strike)) / total_vol
    t = 0.5 * total_vol
    if h - t > _FAR:
        return 0.0
    nearer = min(forward, strike)
    if t - h > _FAR:
        return nearer
    root = math.sqrt(forward) * math.sqrt(strike)
    pdf = root * (INV_SQRT_TWO_PI * math.exp(-0.5 * (h * h + t * t)))
    if t <= SMALL_T and 2.0 * h * t <= SMALL_X:
        return pdf * total_vol * odd_moments(h, t, mills_ratio(h), 1.0)
    if h >= t:
        return pdf * (mills_ratio(h - t) - mills_ratio(h + t))
    return nearer - pdf * (mills_ratio(t - h) + mills_ratio(t + h))


@kernel
def black_values(
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    iv: FloatArray,
    is_call: BoolArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` with undiscounted Black-76 prices; NaN in any argument gives NaN."""
    for i in range(out.size):
        total_vol = iv[i] * math.sqrt(tau[i])
        moneyness = forward[i] - strike[i] if is_call[i] else strike[i] - forward[i]
        if math.isnan(total_vol + moneyness):
            out[i] = math.nan
            continue
        value = max(moneyness, 0.0)
        if total_vol > 0.0 and forward[i] > 0.0 and strike[i] > 0.0:
            value += otm_value(forward[i], strike[i], total_vol)
        out[i] = value
