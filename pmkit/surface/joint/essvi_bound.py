"""How steep the wings of an SSVI slice may be: the sufficient and the exact bound on psi without butterflies.

A slice ``w = (theta + rho psi k + sqrt(psi² k² + 2 rho psi theta k + theta²))/2`` has no butterfly arbitrage
exactly where ``psi² <= f_mm(theta, |rho|)``. Martini and Mingone give f_mm as an infimum over a half-line of
a quotient of hyperbolas. With ``l = cot(u)`` and ``cos(A) = -|rho|`` all of it is a product of sines, so that
in ``x = tan(u/2) tan(A/2)`` it becomes rational: ``f_mm = f_gj / max Q(x)`` with f_gj the sufficient bound of
Gatheral and Jacquier and Q a function with a single dip or rise, whose peak lies in [0, 1). No trigonometric
function and no search over an infinite range is left.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel, stage

__all__ = ["Bound", "check_bound", "f_gj", "f_mm", "peak", "psi_max", "psi_max_fast"]

#: ``mm``: necessary and sufficient (Martini and Mingone); ``gj``: sufficient (Gatheral and Jacquier).
Bound = Literal["mm", "gj"]


@stage
def _quotient(theta: float, rho: float, x: float) -> float:
    """Return Q at x, f_gj over the quotient whose infimum is f_mm; rho is 0 or more."""
    e = (1.0 - rho) / (1.0 + rho)
    bend = x * (1.0 - e * x * (3.0 + x * (3.0 - e * x)))
    steep = 0.25 * theta * (1.0 + rho) * (1.0 - e * x) ** 2
    return (steep + 4.0 / (1.0 + rho) * bend / ((1.0 + e * x) * (1.0 + e * x * x))) / (1.0 + x) ** 2


@stage
def _slope(theta: float, rho: float, x: float) -> float:
    """Return the derivative of Q in x."""
    e = (1.0 - rho) / (1.0 + rho)
    one, far, square = 1.0 + x, 1.0 + e * x, 1.0 + e * x * x
    bend = x * (1.0 - e * x * (3.0 + x * (3.0 - e * x)))
    rise = 1.0 - e * x * (6.0 + x * (9.0 - 4.0 * e * x))
    steep = -0.5 * theta * (1.0 + rho) * (1.0 - e * x) * (1.0 + e) / one**3
    fall = bend * (e / far + 2.0 * e * x / square + 2.0 / one)
    return steep + 4.0 / (1.0 + rho) * (rise - fall) / (far * square * one**2)


@stage
def peak(theta: float, rho: float) -> tuple[float, float]:
    """Return the greatest Q and its place between 0 and the image of l2; rho is 0 or more.

    There the slope of Q changes sign once at most, from positive to negative; a bracketed secant (Illinois)
    closes on it until Q no longer feels the rest, which goes in with its square.
    """
    low, at_low = 0.0, 4.0 / (1.0 + rho) - theta
    if not at_low > 0.0:
        return _quotient(theta, rho, 0.0), 0.0
    # l2 = cot(u) at u = A/3; the peak stays below 1 where that lies beyond
    high = min(math.sqrt((1.0 + rho) / (1.0 - rho)) * math.tan(math.acos(-rho) / 6.0), 1.0)
    at_high = _slope(theta, rho, high)
    x, last = 0.0, 0
    for _ in range(60):
        before = x
        x = (low * at_high - high * at_low) / (at_high - at_low)
        if not low < x < high:
            x = 0.5 * (low + high)
        value = _slope(theta, rho, x)
        if value > 0.0:
            low, at_low = x, value
            if last == 1:
                at_high *= 0.5
            last = 1
        else:
            high, at_high = x, value
            if last == -1:
                at_low *= 0.5
            last = -1
        if abs(x - before) <= 1e-9 * x or value == 0.0:
            break
    return _quotient(theta, rho, x), x


@stage
def psi_max_fast(theta: float, rho: float, exact: bool) -> float:
    """Return the greatest psi of one slice; NaN in, NaN out."""
    tilt = abs(rho)
    plain = 4.0 * theta / (1.0 + tilt)
    if not (theta > 0.0 and tilt < 1.0):
        return math.nan
    if exact:
        return math.sqrt(plain / peak(theta, tilt)[0])
    return min(4.0 / (1.0 + tilt), math.sqrt(plain))


@kernel
def _fill(theta: FloatArray, rho: FloatArray, exact: bool, out: FloatArray) -> None:
    for i in range(theta.size):
        out[i] = psi_max_fast(theta[i], rho[i], exact)


def check_bound(bound: str) -> bool:
    """Return True for the exact bound, False for the sufficient one.

    Raises
    ------
    ParameterError
        Another name.
    """
    if bound not in get_args(Bound):
        raise ParameterError(f"bound {bound!r}", "'mm' or 'gj'", "name one of these bounds")
    return bound == "mm"


def _checked(theta: npt.ArrayLike, rho: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    level, tilt = np.broadcast_arrays(np.asarray(theta, np.float64), np.asarray(rho, np.float64))
    if (level <= 0.0).any():
        raise ParameterError(
            f"theta is {float(level.min()):g}", "a positive total variance", "correct the argument"
        )
    if (np.abs(tilt) >= 1.0).any():
        raise ParameterError(
            f"rho is {float(tilt.flat[np.argmax(np.abs(tilt))]):g}",
            "between -1 and 1, both excluded",
            "correct the argument",
        )
    return level, tilt


def f_gj(theta: npt.ArrayLike, rho: npt.ArrayLike) -> FloatArray:
    """Return the sufficient bound on psi² without butterfly arbitrage, ``4 theta/(1 + |rho|)``.

    It holds together with ``psi <= 4/(1 + |rho|)``; see :func:`psi_max`. Slices beyond it can be free.

    Parameters
    ----------
    theta : array_like
        Total variance at the money, positive; NaN gives NaN.
    rho : array_like
        Between -1 and 1, both excluded; only its size matters.

    Raises
    ------
    ParameterError
        An argument outside its domain.

    References
    ----------
    Gatheral and Jacquier (2014), Theorem 4.2.

    Examples
    --------
    >>> float(f_gj(0.01, 0.0))
    0.04
    """
    level, tilt = _checked(theta, rho)
    return np.asarray(4.0 * level / (1.0 + np.abs(tilt)))


def f_mm(theta: npt.ArrayLike, rho: npt.ArrayLike) -> FloatArray:
    """Return the necessary and sufficient bound on psi² without butterfly arbitrage.

    Parameters
    ----------
    theta : array_like
        Total variance at the money, positive; NaN gives NaN.
    rho : array_like
        Between -1 and 1, both excluded; only its size matters.

    Raises
    ------
    ParameterError
        An argument outside its domain.

    Notes
    -----
    ``inf 4 theta r h²/(theta r N'²/16 - g2)`` over ``l > l2 = cot(arccos(-|rho|)/3)``, with
    ``r = sqrt(1 - rho²)``, ``N = r + |rho| l + sqrt(l² + 1)``, ``h = 1 - (l - |rho|/r) N'/(2N)`` and
    ``g2 = N'' - N'²/(2N)``; never above ``16/(1 + |rho|)²``, its limit, which it equals from
    ``theta = 4/(1 + |rho|)`` on. Computed as ``f_gj/max Q`` with ``e = (1 - |rho|)/(1 + |rho|)`` and
    ``Q(x) (1 + x)² = theta (1 + |rho|) (1 - e x)²/4``
    ``+ 4 x (1 - 3ex - 3ex² + e²x³)/((1 + |rho|) (1 + ex) (1 + ex²))`` on 0 <= x < 1. Relative error below
    1e-14; about 0.2 µs each.

    References
    ----------
    Martini and Mingone (2023).

    Examples
    --------
    >>> round(float(f_mm(0.01, 0.0)), 12)
    0.196440148323
    """
    return np.asarray(_psi_max(theta, rho, exact=True) ** 2)


def _psi_max(theta: npt.ArrayLike, rho: npt.ArrayLike, *, exact: bool) -> FloatArray:
    level, tilt = _checked(theta, rho)
    out = np.empty(level.size)
    _fill(np.ascontiguousarray(level.ravel()), np.ascontiguousarray(tilt.ravel()), exact, out)
    return out.reshape(level.shape)


def psi_max(theta: npt.ArrayLike, rho: npt.ArrayLike, bound: Bound = "mm") -> FloatArray:
    """Return the greatest psi of an SSVI slice without butterfly arbitrage, ``min(4/(1 + |rho|), sqrt(f))``.

    Parameters
    ----------
    theta : array_like
        Total variance at the money, positive; NaN gives NaN.
    rho : array_like
        Between -1 and 1, both excluded.
    bound : {"mm", "gj"}
        Exact, or sufficient.

    Raises
    ------
    ParameterError
        An argument outside its domain, or an unknown bound.

    Examples
    --------
    >>> psi_max([0.01, 0.01], [0.0, -0.5]).round(6), psi_max(0.01, 0.0, "gj").round(6)
    (array([0.443216, 0.315292]), np.float64(0.2))
    """
    return _psi_max(theta, rho, exact=check_bound(bound))
