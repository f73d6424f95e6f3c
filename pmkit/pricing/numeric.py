"""Branch-free building blocks of the pricing kernels: exp, log, ln(F/K) and the Mills ratio, in doubles.

The C library's ``exp``, ``log`` and ``erfc`` are calls that stop a loop from becoming vector code. The
functions here are polynomials and selections only, so the compiler can keep eight (AVX-512) or four (AVX2)
elements in flight. They are compiled with ``error_model="numpy"``, because the default checks each divisor
for zero, and with the fast-math subset that keeps NaN, infinity and the rounding trick of :func:`exp_fast`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from pmkit.core.types import FloatArray

__all__ = [
    "BLOCK",
    "FASTMATH",
    "GROUP",
    "INV_SQRT_TWO_PI",
    "LOG_SQRT_TWO_PI",
    "SMALL_T",
    "SMALL_X",
    "WIDE",
    "exp_fast",
    "kernel",
    "log_fast",
    "log_ratio",
    "log_rough",
    "mills_parts",
    "mills_parts_monic",
    "mills_parts_rough",
    "mills_parts_wide",
    "mills_ratio",
    "odd_moments",
    "primitive",
    "scaled_density",
    "scratch_row",
    "scratch_space",
    "stage",
]

#: fast-math flags that neither reorder sums nor assume finite numbers
FASTMATH = {"contract", "arcp", "nsz"}

INV_SQRT_TWO_PI = 0.3989422804014327
LOG_SQRT_TWO_PI = 0.9189385332046728

#: below SMALL_T (half the total volatility) and SMALL_X (|ln F/K|) the difference of two Mills ratios
#: cancels, and the series of :func:`odd_moments` is used in its place
SMALL_T = 0.2
SMALL_X = 2.0

#: how far below 0 the wide and the rough Mills ratio reach
WIDE = 2.4

#: elements in a block of the vector loops (a few arrays of it fill the first-level cache), and the group that
#: block lengths are padded to, so that no element falls to a remainder loop, which would round differently
BLOCK = 256
GROUP = 64

if TYPE_CHECKING:
    Function = TypeVar("Function", bound=Callable[..., Any])

    def primitive(function: Function) -> Function:
        """Compile ``function`` for inlining into a kernel."""

    def stage(function: Function) -> Function:
        """Compile ``function`` as one loop over a block, called by a kernel but not forced into it."""

    def kernel(function: Function) -> Function:
        """Compile ``function`` as a loop over arrays that releases the interpreter lock."""

    def _bits(value: float) -> int:
        """Return the 64 bits of a float as a signed integer."""

    def _from_bits(value: int) -> float:
        """Return the float whose 64 bits are the given signed integer."""

else:
    primitive = njit(forceinline=True, error_model="numpy", fastmath=FASTMATH)
    stage = njit(error_model="numpy", fastmath=FASTMATH)
    kernel = njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)

    def _emit_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    def _emit_from_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    @intrinsic
    def _bits(typing_context, value):
        """Return the 64 bits of a float as a signed integer."""
        return types.int64(types.float64), _emit_bits

    @intrinsic
    def _from_bits(typing_context, value):
        """Return the float whose 64 bits are the given signed integer."""
        return types.float64(types.int64), _emit_from_bits


_LN2_HIGH = 0.693147180559663  # 41 bits: its product with an exponent is exact
_LN2_LOW = 2.8235290563031577e-13
_LOG2_E = 1.4426950408889634
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


@primitive
def scratch_space(rows: int) -> FloatArray:
    """Return room for ``rows`` blocks, to be cut by :func:`scratch_row`."""
    return np.empty(rows * (BLOCK + 8) + 8)


@primitive
def scratch_row(space: FloatArray, row: int, size: int) -> FloatArray:
    """Return the first ``size`` elements of a row of scratch that starts on a cache line.

    Vector loads across two lines cost a quarter of a kernel's time. Rows are a line longer than the block,
    lest they all fall into the same set of the cache.
    """
    first = (-space.ctypes.data % 64) // 8 + row * (BLOCK + 8)
    return space[first : first + size]


@primitive
def exp_fast(x: float) -> float:
    """Return e**x to about one unit in the last place for x <= 709; x below -708 counts as -708."""
    x = max(x, -708.0)
    shifted = x * _LOG2_E + _ROUND
    whole = shifted - _ROUND
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (0.5 + r * 0.16666666666666669) + r2 * (0.041666666666623824 + r * 0.008333333333330039)
    high = (0.0013888888917367081 + r * 0.00019841269863171557) + r2 * (
        2.4801521057868204e-05 + r * 2.7557268276905696e-06
    )
    top = 2.7620201591031547e-07 + r * 2.5100472505694996e-08
    mantissa = 1.0 + (r + r2 * (low + r4 * (high + r4 * top)))
    return _from_bits(_bits(mantissa) + (_bits(shifted) << 52))


@primitive
def _log_series(f: float) -> float:
    """Return 2*atanh(f) for |f| <= 0.1716."""
    u = f * f
    u2 = u * u
    low = (0.6666666666666666 + u * 0.4000000000000088) + u2 * (0.2857142857080285 + u * 0.22222222391887064)
    high = (0.18181795621632782 + u * 0.15386240708969665) + u2 * (
        0.13268746195596595 + u * 0.13086907887965027
    )
    return 2.0 * f + f * (u * (low + (u2 * u2) * high))


@primitive
def log_fast(y: float) -> float:
    """Return ln(y) to about one unit in the last place for positive normal y; other inputs give no sense."""
    bits = _bits(y)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    m = _from_bits(bits - (exponent << 52))
    e = np.float64(exponent)
    return e * _LN2_HIGH + (_log_series((m - 1.0) / (m + 1.0)) + e * _LN2_LOW)


@primitive
def log_rough(y: float) -> float:
    """Return ln(y) with an absolute error below 1e-7 for positive normal y, without a division."""
    bits = _bits(y)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    r = _from_bits(bits - (exponent << 52)) - 1.0
    p = ((-0.09895350736906514 * r + 0.16126247905987104) * r - 0.17278206066426674) * r + 0.19913347882373827
    p = (
        ((p * r - 0.2496890695895267) * r + 0.333346060234523) * r - 0.5000037505628973
    ) * r + 0.9999999681180599
    return np.float64(exponent) * 0.6931471805599453 + r * p


@primitive
def log_ratio(numerator: float, denominator: float) -> float:
    """Return ln(numerator / denominator) with full relative accuracy, also when the two are nearly equal.

    The denominator is scaled by a power of two first, so that the difference of the two is exact.
    """
    exponent = (_bits(numerator / denominator) - _SQRT_HALF_BITS) >> 52
    scaled = denominator * _from_bits((exponent + 1023) << 52)
    e = np.float64(exponent)
    f = (numerator - scaled) / (numerator + scaled)
    return e * _LN2_HIGH + (_log_series(f) + e * _LN2_LOW)


@primitive
def mills_parts(y: float) -> tuple[float, float]:
    """Return numerator and denominator of the Mills ratio of y, 0 <= y <= 150.

    All coefficients are positive, so nothing cancels. The rational function interpolates
    R(y) = Phi(-y)/phi(y) at 22 Chebyshev nodes of (y - 5)/(y + 5); its own error is below 3e-17.
    """
    y2 = y * y
    y4 = y2 * y2
    y8 = y4 * y4
    p0 = (1.2533141373155003 + y * 2.159027158947715) + y2 * (1.8373123338597994 + y * 1.001211529904191)
    p1 = (0.3838421900071459 + y * 0.10779452881341649) + y2 * (
        0.022447637725359966 + y * 0.003430722423495343
    )
    p2 = (0.0003702257748193569 + y * 2.5714729489397276e-05) + y2 * 8.880218751261856e-07
    q0 = (1.0 + y * 2.5205389972813266) + y2 * (2.9770622953915375 + y * 2.179895285478877)
    q1 = (1.1024017855417116 + y * 0.4055582554947222) + y2 * (0.11117382180337819 + y * 0.022816087455908275)
    q2 = (0.003456437152992175 + y * 0.0003711137966944139) + y2 * (
        2.5714729489397648e-05 + y * 8.880218751261848e-07
    )
    return p0 + y4 * p1 + y8 * p2, q0 + y4 * q1 + y8 * q2


@primitive
def mills_parts_monic(y: float) -> tuple[float, float]:
    """Return parts of a quotient that is R(y)/0.9999999348533036 for 0 <= y <= 100, for revaluation only.

    Good to 2e-15 up to y = 4, 5e-13 up to y = 14 and 2e-8 at the end, so that its product with the density is
    good to 1e-15 everywhere. With leading coefficients of 1 the first step of each polynomial is an addition,
    which costs nothing beside the multiplications; the factor is in :func:`scaled_density`.
    """
    p = (((y + 21.398105165734854) * y + 217.26313169127323) * y + 1342.2009728745643) * y + 5432.249410426601
    p = ((p * y + 14462.306964579957) * y + 23761.043736008192) * y + 19380.1018537426
    q = (((y + 21.3980984198217) * y + 218.263321838232) * y + 1363.5941355346545) * y + 5647.593042367249
    q = (
        ((q * y + 15760.701733763826) * y + 28778.562844168584) * y + 31296.32393725619
    ) * y + 15463.083048519393
    return p, q


@primitive
def scaled_density(a: float) -> float:
    """Return the factor of :func:`mills_parts_monic` times the normal density of a, for abs(a) <= 37.5.

    The rounding of a*a leaves an error of a*a/2 units in the last place, which the density outweighs.
    """
    y = a * (a * -0.7213475204444817)
    shifted = y + _ROUND
    r = y - (shifted - _ROUND)
    m = (
        (2.8075449643736077e-09 * r + 4.0726141640639386e-08) * r + 5.272285913529455e-07
    ) * r + 6.084929830545278e-06
    m = ((m * r + 6.145118969259605e-05) * r + 0.0005319319779005159) * r + 0.0038370781095815026
    m = (
        ((m * r + 0.022142934239709148) * r + 0.095836504255697) * r + 0.276525698851673
    ) * r + 0.39894225441166103
    return _from_bits(_bits(m) + (_bits(shifted) << 52))


@primitive
def mills_parts_wide(y: float) -> tuple[float, float]:
    """Return numerator and denominator of R(y) for -2.4 <= y <= 40, good to 1.4e-16."""
    z = y + WIDE
    p = (
        (1.8510690583747032e-06 * z + 4.4767049505547495e-05) * z + 0.000581955381023715
    ) * z + 0.005188455093715343
    p = ((p * z + 0.0348096025727276) * z + 0.1839868330750218) * z + 0.7854716973462837
    p = ((p * z + 2.7437237477066665) * z + 7.872080509514555) * z + 18.428132638743737
    p = ((p * z + 34.451274382305385) * z + 48.03789412551486) * z + 44.28771003532948
    q = (
        (1.8510690583648947e-06 * z + 4.03244837679911e-05) * z + 0.0004763655309693932
    ) * z + 0.003840971815805668
    q = ((q * z + 0.023053665638339223) * z + 0.10719622875152991) * z + 0.39327859248275227
    q = ((q * z + 1.144010538042255) * z + 2.623207074204581) * z + 4.661017492942434
    q = ((q * z + 6.214014333154321) * z + 5.867411689340748) * z + 3.507257387803435
    q = q * z + 1.0
    return p, q


@primitive
def mills_parts_rough(y: float) -> tuple[float, float]:
    """Return numerator and denominator of R(y) for -2.4 <= y <= 40, good to 8e-8."""
    z = y + WIDE
    p = ((0.03131030946040793 * z + 0.256115618382318) * z + 1.306461357713031) * z + 4.672195358258512
    p = ((p * z + 12.745132378104852) * z + 24.08641485360664) * z + 44.287710584010256
    q = ((0.031310233500297636 * z + 0.18098018146798833) * z + 0.7226364701005193) * z + 1.8799022168614916
    q = ((q * z + 3.385077908439553) * z + 4.067079424004516) * z + 2.9664439282053303
    q = q * z + 1.0
    return p, q


@primitive
def mills_ratio(y: float) -> float:
    """Return R(y) = Phi(-y)/phi(y) for 0 <= y <= 150 to about two units in the last place."""
    p, q = mills_parts(y)
    return p / q


@primitive
def odd_moments(h: float, t: float, mills: float, unit: float) -> float:
    """Return unit*(R(h-t) - R(h+t))/(2t) for t <= 0.2 and h*t <= 1, given mills = unit*R(h), uncancelled.

    With J_n = integral of u**n exp(-h u - u**2/2) over u > 0, so that J_0 = R(h), J_1 = 1 - h J_0 and
    J_{n+1} = n J_{n-1} - h J_n, the quotient is the sum over k of t**(2k) J_{2k+1}/(2k+1)!. All is linear in
    (J_0, 1), so a common factor ``unit`` saves the division that R(h) would need.
    """
    j1 = unit - h * mills
    t2 = t * t
    j2 = (mills - h * j1) * 0.5
    j3 = (j1 - h * j2) * (1.0 / 3.0)
    j4 = (j2 - h * j3) * 0.25
    j5 = (j3 - h * j4) * 0.2
    j6 = (j4 - h * j5) * (1.0 / 6.0)
    j7 = (j5 - h * j6) * (1.0 / 7.0)
    j8 = (j6 - h * j7) * 0.125
    j9 = (j7 - h * j8) * (1.0 / 9.0)
    j10 = (j8 - h * j9) * 0.1
    j11 = (j9 - h * j10) * (1.0 / 11.0)
    j12 = (j10 - h * j11) * (1.0 / 12.0)
    j13 = (j11 - h * j12) * (1.0 / 13.0)
    return j1 + t2 * (j3 + t2 * (j5 + t2 * (j7 + t2 * (j9 + t2 * (j11 + t2 * j13)))))
