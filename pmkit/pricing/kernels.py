"""Full revaluation of one option over many scenarios, and the fixed-order sum of P&L rows into an account.

Both are loops that the compiler turns into vector code (a test looks for vector registers in the machine
code), release the interpreter lock, and give equal bits whatever the number of threads that call them.
"""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.inputs import as_floats, place
from pmkit.pricing.numeric import (
    BLOCK,
    GROUP,
    INV_SQRT_TWO_PI,
    exp_fast,
    kernel,
    log_fast,
    mills_parts_short,
    scratch_row,
    scratch_space,
    stage,
)

__all__ = ["combine", "combine_rows", "option_values", "scenario_values"]

_TILE = 1024  # scenarios a sweep: four rows and the sum stay in the first-level cache


@stage
def _distances(
    log_moneyness: FloatArray,
    iv: FloatArray,
    root_tau: float,
    total: FloatArray,
    inner: FloatArray,
    outer: FloatArray,
) -> None:
    """Fill total volatility s, h - t and h + t, cut where the normal density has vanished."""
    for i in range(total.size):
        s = iv[i] * root_tau
        h = min(abs(log_moneyness[i]) / s, 200.0)
        t = min(0.5 * s, 60.0)
        total[i] = s
        inner[i] = min(h - t, 60.0)
        outer[i] = min(h + t, 100.0)


@stage
def _tails(inner: FloatArray, outer: FloatArray) -> None:
    """Replace ``outer`` by R(a) - R(b), or by -R(-a) - R(b) where a is negative."""
    for i in range(inner.size):
        a = inner[i]
        near_top, near_bottom = mills_parts_short(abs(a))
        far_top, far_bottom = mills_parts_short(outer[i])
        tails = math.copysign(1.0, a) * near_top * far_bottom - far_top * near_bottom
        outer[i] = tails / (near_bottom * far_bottom)


@stage
def _values(
    forward: FloatArray,
    strike: float,
    sign: float,
    inverse: bool,
    total: FloatArray,
    inner: FloatArray,
    tails: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out``; the comparisons are written so that NaN of forward or volatility comes through."""
    for i in range(out.size):
        a = inner[i]
        f = forward[i]
        nearer = strike if strike < f else f
        density = nearer * (INV_SQRT_TWO_PI * exp_fast(-0.5 * (a * a)))
        otm = density * tails[i] + (nearer if a < 0.0 else 0.0)
        otm = 0.0 if (otm < 0.0) | (total[i] == 0.0) else otm
        intrinsic = sign * (f - strike)
        otm = otm + (0.0 if intrinsic < 0.0 else intrinsic)
        out[i] = otm / f if inverse else otm


@stage
def _log_moneyness(forward: FloatArray, strike: float, out: FloatArray) -> None:
    """Fill ``out`` with ln(F/K); 0 or NaN in forward or strike gives a finite number without meaning."""
    per_strike = 1.0 / strike if strike > 0.0 else 0.0
    for i in range(out.size):
        out[i] = log_fast(forward[i] * per_strike)


@stage
def _block(
    forward: FloatArray,
    iv: FloatArray,
    strike: float,
    root_tau: float,
    sign: float,
    inverse: bool,
    space: FloatArray,
    out: FloatArray,
) -> None:
    """Fill ``out`` with the values of one block of scenarios."""
    size = out.size
    total = scratch_row(space, 0, size)
    inner = scratch_row(space, 1, size)
    outer = scratch_row(space, 2, size)
    log_moneyness = scratch_row(space, 3, size)
    _log_moneyness(forward, strike, log_moneyness)
    _distances(log_moneyness, iv, root_tau, total, inner, outer)
    _tails(inner, outer)
    _values(forward, strike, sign, inverse, total, inner, outer, out)


@kernel
def scenario_values(
    forward: FloatArray,
    iv: FloatArray,
    strike: float,
    tau: float,
    is_call: bool,
    inverse: bool,
    out: FloatArray,
) -> None:
    """Fill ``out`` with values of one option per scenario; arguments must be legal, NaN gives NaN.

    One exponential serves both normal distribution functions, because F phi(d1) = K phi(d2), and one division
    serves both Mills ratios. With d = |d1| or |d2|, whichever belongs to the nearer of F and K, the
    out-of-the-money value is ``nearer*Phi(-a) - farther*Phi(-b)``, a = h - t of either sign, b = h + t > 0.

    Short loops over blocks in the first-level cache keep the processor's look-ahead busy, where one long loop
    would wait for its own chain of operations. The last block is padded to whole groups, so that no element
    is ever computed by the remainder loop, which rounds differently.
    """
    root_tau = math.sqrt(tau)
    sign = 1.0 if is_call else -1.0
    space = scratch_space(7)
    whole = out.size // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        stop = start + BLOCK
        _block(forward[start:stop], iv[start:stop], strike, root_tau, sign, inverse, space, out[start:stop])
    size = out.size - whole
    if size > 0:
        padded = (size + GROUP - 1) // GROUP * GROUP
        last_forward = scratch_row(space, 4, padded)
        last_iv = scratch_row(space, 5, padded)
        last_out = scratch_row(space, 6, padded)
        for i in range(padded):
            last_forward[i] = forward[whole + i] if i < size else 1.0
            last_iv[i] = iv[whole + i] if i < size else 1.0
        _block(last_forward, last_iv, strike, root_tau, sign, inverse, space, last_out)
        for i in range(size):
            out[whole + i] = last_out[i]


@kernel
def combine_rows(matrix: FloatArray, rows: IntArray, quantity: FloatArray, out: FloatArray) -> None:
    """Add ``quantity[rows[j]] * matrix[rows[j]]`` to ``out`` in the order of ``rows``, tile by tile."""
    count = rows.size
    for start in range(0, out.size, _TILE):
        target = out[start : start + _TILE]
        j = 0
        while j + 4 <= count:
            q0, q1, q2, q3 = (
                quantity[rows[j]],
                quantity[rows[j + 1]],
                quantity[rows[j + 2]],
                quantity[rows[j + 3]],
            )
            r0 = matrix[rows[j], start : start + _TILE]
            r1 = matrix[rows[j + 1], start : start + _TILE]
            r2 = matrix[rows[j + 2], start : start + _TILE]
            r3 = matrix[rows[j + 3], start : start + _TILE]
            for i in range(target.size):
                target[i] = (((target[i] + q0 * r0[i]) + q1 * r1[i]) + q2 * r2[i]) + q3 * r3[i]
            j += 4
        while j < count:
            q = quantity[rows[j]]
            row = matrix[rows[j], start : start + _TILE]
            for i in range(target.size):
                target[i] += q * row[i]
            j += 1


def option_values(
    forward: FloatArray,
    iv: FloatArray,
    strike: float,
    tau: float,
    is_call: bool,
    inverse: bool,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return the undiscounted value of one European option per scenario, USD or coin per unit of underlying.

    The fast path of full revaluation: one call an option, with the forward and the implied volatility of
    every scenario. For prices with relative accuracy in the far tails use :func:`pmkit.pricing.black76`.

    Parameters
    ----------
    forward : ndarray of float64, shape (n,)
        Forward of the option's expiry in each scenario, quote currency, 0 or more (above 0 for inverse).
    iv : ndarray of float64, shape (n,)
        Implied volatility in each scenario, annualised decimal, 0 or more.
    strike : float
        Strike, quote currency, 0 or more.
    tau : float
        Time to expiry in years, 0 or more.
    is_call : bool
        True for a call, False for a put.
    inverse : bool
        True for the coin value ``B76/F``, False for the quote-currency value.
    out : ndarray of float64, shape (n,), optional
        Contiguous array to fill; made if absent. It may be ``iv`` itself, but not ``forward``.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``out``. NaN where forward or iv is NaN, and nowhere else.

    Raises
    ------
    ParameterError
        If a value lies outside its range, or the arrays are not one-dimensional and of equal length.

    Notes
    -----
    Black-76 with discount factor 1, absolute error below 1e-14 F; intrinsic value where ``iv sqrt(tau) = 0``.
    A few ns a value on a processor with AVX2 or AVX-512. Releases the interpreter lock.

    References
    ----------
    Black (1976), equation (16).

    Examples
    --------
    >>> forward, iv = np.array([50_400.0, 69_600.0]), np.full(2, 0.6)
    >>> option_values(forward, iv, 60_000.0, 30 / 365, True, True).round(8)
    array([0.01520037, 0.15505496])
    """
    forwards = _vector("forward", forward, "a forward price in quote currency", positive=inverse)
    vols = _vector("iv", iv, "an annualised implied volatility (decimal)")
    strike_value = float(as_floats("strike", strike, "a strike price in quote currency"))
    years = float(as_floats("tau", tau, "a time to expiry in years"))
    if forwards.shape != vols.shape:
        raise ParameterError(
            f"forward has {forwards.size} scenarios and iv has {vols.size}",
            "one forward and one volatility a scenario",
            "use np.full(n, iv) for a constant volatility",
        )
    target = _target(out, forwards.size)
    if math.isnan(strike_value + years):
        target[:] = np.nan
    else:
        scenario_values(forwards, vols, strike_value, years, bool(is_call), bool(inverse), target)
    return target


def combine(matrix: FloatArray, quantity: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Return the account's P&L per scenario: the sum over instruments of quantity times unit P&L.

    Parameters
    ----------
    matrix : ndarray of float64, shape (m, n)
        Unit P&L, one contiguous row an instrument, one column a scenario, gain positive.
    quantity : ndarray of float64, shape (m,)
        Signed quantities. Rows of quantity 0 are left out, so their NaN does not reach the account.
    out : ndarray of float64, shape (n,), optional
        Contiguous array to fill; made if absent.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``out``, in the matrix's currency. NaN where a row that is held has NaN.

    Raises
    ------
    ParameterError
        If the shapes do not match, or a quantity is NaN or infinite.

    Notes
    -----
    The sum runs over the rows in ascending order, each term fused or not as the processor allows: equal bits
    for any number of threads on one type of processor. A matrix with another layout is copied first.

    Examples
    --------
    >>> combine(np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([2.0, -1.0])).tolist()
    [1.5, -7.0]
    """
    rows = as_floats("matrix", _contiguous(matrix), "unit P&L", any_sign=True, finite=False)
    weights = as_floats("quantity", _contiguous(quantity), "a signed quantity", any_sign=True)
    if rows.ndim != 2 or weights.shape != rows.shape[:1]:
        raise ParameterError(
            f"matrix has shape {rows.shape} and quantity {weights.shape}",
            "matrix (instruments, scenarios) and quantity (instruments,)",
            "give one quantity per row of the matrix",
        )
    missing = np.flatnonzero(np.isnan(weights))
    if missing.size:
        raise ParameterError(
            f"{place('quantity', (int(missing[0]),))} is nan",
            "a finite number",
            "write 0 for an instrument that is not held",
        )
    target = _target(out, rows.shape[1])
    target[:] = 0.0
    combine_rows(rows, np.flatnonzero(weights), weights, target)
    return target


def _vector(name: str, value: FloatArray, meaning: str, positive: bool = False) -> FloatArray:
    """Return ``value`` as a checked, contiguous, writeable, one-dimensional float64 array."""
    array = as_floats(name, _contiguous(value), meaning, positive=positive)
    if array.ndim != 1:
        raise ParameterError(
            f"{name} has shape {array.shape}", "one value a scenario, shape (n,)", "ravel it first"
        )
    return array


def _contiguous(value: FloatArray) -> FloatArray:
    """Return a float64 array contiguous and writeable (one signature a kernel), anything else as it is."""
    array = np.asarray(value)
    if array.dtype == np.float64 and not (array.flags.c_contiguous and array.flags.writeable):
        return np.array(array, order="C")
    return array


def _target(out: FloatArray | None, size: int) -> FloatArray:
    """Return the array to fill: a new one, or ``out`` after checking that it can be filled in place."""
    if out is None:
        return np.empty(size)
    if (
        out.shape != (size,)
        or out.dtype != np.float64
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        raise ParameterError(
            f"out is {out.dtype} of shape {out.shape}",
            f"a writeable, contiguous float64 array of shape ({size},)",
            f"use np.empty({size})",
        )
    return out
