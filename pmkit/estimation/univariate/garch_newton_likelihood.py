"""Log-likelihood of GARCH(1,1) and GJR with its exact gradient and Hessian, by one pass of the recursion.

The recursion is serial, but its derivatives obey the same recursion with other inputs, so that up to fourteen
of them run side by side (:func:`_recur`). The rest is element by element and becomes vector code: the law of
the residuals with its derivatives in the variance (:func:`_normal_law`, :func:`_student_law`), and the sums
of products, which are kept per position within the block and folded at the end, in an order that no
processor changes.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, log_fast, stage

__all__ = ["ALPHA", "BETA", "ETA", "GAMMA", "MU", "OMEGA", "evaluate", "plan_of", "scores", "workspace"]

#: positions of the parameters in vectors, gradients and Hessians; ``eta`` is 1 / nu, 0 for the normal law
MU, OMEGA, ALPHA, GAMMA, BETA, ETA = range(6)

_BLOCK = 128  # observations treated together: all rows below stay in the first-level cache
# rows of the workspace: deviation, variance, ones, then the log-density and its derivatives in variance h,
# in minus the deviation (E), and in nu (V)
_E, _H, _ONE, _L, _LH, _LHH, _LE, _LHE, _LEE, _LV, _LVV, _LHV, _LEV = range(13)
_FIRST = 13  # dh/d(mu, omega, alpha, gamma, beta)
_WITH_BETA = 18  # d2h/dbeta d(the same five)
_MU_MU, _MU_ALPHA, _MU_GAMMA = 23, 24, 25
_BENT = 26  # l_hh dh/d(the same five)
_SUMS = 31  # log-likelihood, 6 of the gradient, 21 of the Hessian
_ROWS = _SUMS + 28
_PAD = 8  # rows are a cache line longer than the block, lest all fall into one set of the cache

_LOG_TWO_PI = math.log(2.0 * math.pi)


@stage
def workspace() -> FloatArray:
    """Return scratch memory for :func:`evaluate`, which may be used again and again."""
    work = np.zeros((_ROWS, _BLOCK + _PAD))
    work[_ONE] = 1.0
    return work


def _packed_row(p: int, q: int) -> int:
    """Return the row of the sum that becomes Hessian element (p, q), q <= p."""
    return _SUMS + 7 + p * (p + 1) // 2 + q


_packed = stage(_packed_row)


@lru_cache(maxsize=8)
def plan_of(free_mean: bool, asymmetric: bool, student: bool) -> IntArray:
    """Return which rows are multiplied into which, shape (m, 3): target, left, right.

    The rows ``_BENT`` are set, the rows of sums are added to. ``mu`` acts on the density through the
    deviation too, hence its additional terms.
    """
    used = [p for p, on in enumerate((free_mean, True, True, asymmetric, True)) if on]
    plan = [(_BENT + p, _LHH, _FIRST + p) for p in used]
    plan += [(_SUMS, _L, _ONE)]
    plan += [(_SUMS + 1 + p, _LH, _FIRST + p) for p in used]
    plan += [(_packed_row(p, q), _BENT + p, _FIRST + q) for p in used for q in used if q <= p]
    plan += [(_packed_row(BETA, q), _LH, _WITH_BETA + q) for q in used]
    if free_mean:
        plan += [(_packed_row(p, MU), _LHE, _FIRST + p) for p in [MU, *used]]  # twice for mu itself
        plan += [(_SUMS + 1 + MU, _LE, _ONE), (_packed_row(MU, MU), _LEE, _ONE)]
        twice = {MU: _MU_MU, ALPHA: _MU_ALPHA, GAMMA: _MU_GAMMA}
        plan += [(_packed_row(p, MU), _LH, row) for p, row in twice.items() if p in used]
    if student:
        plan += [(_packed_row(ETA, p), _LHV, _FIRST + p) for p in used]
        plan += [(_SUMS + 1 + ETA, _LV, _ONE), (_packed_row(ETA, ETA), _LVV, _ONE)]
        plan += [(_packed_row(ETA, MU), _LEV, _ONE)] * free_mean
    table = np.array(plan, dtype=np.int64)
    table.setflags(write=False)
    return table


@stage
def _first_state(theta: FloatArray, start: float) -> FloatArray:
    """Return variance, its five derivatives, those with beta, and those of mu, before the first return."""
    state = np.zeros(14)
    state[0] = theta[OMEGA] + (theta[ALPHA] + 0.5 * theta[GAMMA] + theta[BETA]) * start
    state[1 + OMEGA], state[1 + ALPHA], state[1 + GAMMA], state[1 + BETA] = 1.0, start, 0.5 * start, start
    return state


@stage
def _recur(
    y: FloatArray, theta: FloatArray, free_mean: bool, asymmetric: bool, state: FloatArray, work: FloatArray
) -> None:
    """Fill deviations, variances and their derivatives of one block, carrying ``state`` to the next."""
    mu, omega, alpha, gamma, beta = theta[MU], theta[OMEGA], theta[ALPHA], theta[GAMMA], theta[BETA]
    h, dm, dw, da, dg, db = state[0], state[1], state[2], state[3], state[4], state[5]
    sm, sw, sa, sg, sb = state[6], state[7], state[8], state[9], state[10]
    mm, ma, mg = state[11], state[12], state[13]
    for i in range(y.size):
        e = y[i] - mu
        work[_E, i], work[_H, i] = e, h
        work[_FIRST + OMEGA, i], work[_FIRST + ALPHA, i], work[_FIRST + BETA, i] = dw, da, db
        work[_WITH_BETA + OMEGA, i], work[_WITH_BETA + ALPHA, i], work[_WITH_BETA + BETA, i] = sw, sa, sb
        sw = dw + beta * sw
        sa = da + beta * sa
        sb = 2.0 * db + beta * sb
        square = e * e
        slope, fallen = alpha, 0.0
        if asymmetric:
            fallen = 1.0 if e < 0.0 else 0.0
            work[_FIRST + GAMMA, i], work[_WITH_BETA + GAMMA, i] = dg, sg
            sg = dg + beta * sg
            dg = square * fallen + beta * dg
            slope = alpha + gamma * fallen
        if free_mean:
            work[_FIRST + MU, i], work[_WITH_BETA + MU, i] = dm, sm
            work[_MU_MU, i], work[_MU_ALPHA, i], work[_MU_GAMMA, i] = mm, ma, mg
            sm = dm + beta * sm
            dm = beta * dm - 2.0 * e * slope
            mm = beta * mm + 2.0 * slope
            ma = beta * ma - 2.0 * e
            mg = beta * mg - 2.0 * e * fallen
        db = h + beta * db
        dw = 1.0 + beta * dw
        da = square + beta * da
        h = (omega + slope * square) + beta * h
    state[0], state[1], state[2], state[3], state[4], state[5] = h, dm, dw, da, dg, db
    state[6], state[7], state[8], state[9], state[10] = sm, sw, sa, sg, sb
    state[11], state[12], state[13] = mm, ma, mg


@stage
def _normal_law(work: FloatArray, size: int) -> None:
    """Fill the normal log-density of each deviation and its derivatives in h and in minus the deviation."""
    e, h, lik = work[_E], work[_H], work[_L]
    lh, lhh, le, lhe, lee = work[_LH], work[_LHH], work[_LE], work[_LHE], work[_LEE]
    for i in range(size):
        inverse = 1.0 / h[i]
        scaled = e[i] * inverse
        x = e[i] * scaled
        lik[i] = -0.5 * (_LOG_TWO_PI + log_fast(h[i]) + x)
        lh[i] = 0.5 * (x - 1.0) * inverse
        lhh[i] = (0.5 - x) * inverse * inverse
        le[i] = scaled
        lhe[i] = -scaled * inverse
        lee[i] = -inverse


@stage
def _student_law(work: FloatArray, size: int, nu: float, constant: float) -> None:
    """Fill the log-density of sigma times unit-variance Student t, and its derivatives in h, -e and nu."""
    e, h, lik, lh, lhh = work[_E], work[_H], work[_L], work[_LH], work[_LHH]
    lv, lvv, lhv = work[_LV], work[_LVV], work[_LHV]
    le, lhe, lee, lev = work[_LE], work[_LHE], work[_LEE], work[_LEV]
    k, more = nu - 2.0, nu + 1.0
    log_k, over_k = math.log(k), 1.0 / k
    for i in range(size):
        inverse = 1.0 / h[i]
        square = e[i] * e[i]
        both = square + k * h[i]
        q = 1.0 / both
        w = square * q
        log_h = log_fast(h[i])
        log_tail = log_fast(both) - log_h - log_k
        lik[i] = constant - 0.5 * log_h - 0.5 * more * log_tail
        lh[i] = 0.5 * (more * w - 1.0) * inverse
        curved = 0.5 * more * w * (2.0 - w)
        lhh[i] = (0.5 - curved) * inverse * inverse
        lv[i] = 0.5 * (more * w * over_k - log_tail)
        lvv[i] = (w - curved * over_k) * over_k
        lhv[i] = 0.5 * w * (1.0 - more * (1.0 - w) * over_k) * inverse
        eq = e[i] * q
        le[i] = more * eq
        lee[i] = -more * q * (1.0 - 2.0 * w)
        lhe[i] = -more * eq * q * k
        lev[i] = eq * (1.0 - more * q * h[i])


@stage
def _accumulate(work: FloatArray, size: int, plan: IntArray) -> None:
    """Carry out the products of the plan over one block."""
    for m in range(plan.shape[0]):
        out, a, b = work[plan[m, 0]], work[plan[m, 1]], work[plan[m, 2]]
        if plan[m, 0] < _SUMS:
            for i in range(size):
                out[i] = a[i] * b[i]
        else:
            for i in range(size):
                out[i] += a[i] * b[i]


@stage
def _folded(row: FloatArray) -> float:
    """Return the sum of a row of sums, halved again and again, and leave the row zero."""
    width = _BLOCK
    while width > 1:
        width //= 2
        for i in range(width):
            row[i] += row[width + i]
    total: float = row[0]
    for i in range(_BLOCK):
        row[i] = 0.0
    return total


@stage
def digamma(x: float) -> float:
    """Return the derivative of ln Gamma at x > 0, to about 1e-15."""
    below = 0.0
    while x < 10.0:
        below -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * 691 / 32760)))))
    return below + math.log(x) - 0.5 / x - series


@stage
def trigamma(x: float) -> float:
    """Return the second derivative of ln Gamma at x > 0, to about 1e-15."""
    below = 0.0
    while x < 10.0:
        below += 1.0 / (x * x)
        x += 1.0
    z = 1.0 / (x * x)
    series = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66 - z * 691 / 2730)))))
    return below + (1.0 + 0.5 / x + series) / x


@stage
def _constant(nu: float) -> float:
    """Return the part of the log-density of unit-variance Student t that depends on nu alone."""
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))


@stage
def evaluate(
    y: FloatArray,
    theta: FloatArray,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    plan: IntArray,
    gradient: FloatArray,
    hessian: FloatArray,
    work: FloatArray,
) -> float:
    """Return the log-likelihood and fill gradient (6,) and Hessian (6, 6), zero where a parameter is fixed.

    Parameters
    ----------
    y : ndarray
        Returns in any unit.
    theta : ndarray, shape (6,)
        ``mu, omega, alpha, gamma, beta, eta`` with ``eta = 1 / nu`` (0 for the normal law).
    start : float
        Variance at which the recursion starts, in the unit of ``y`` squared.
    free_mean, asymmetric, student : bool
        Whether the derivatives in ``mu``, ``gamma`` and ``eta`` are wanted.
    plan : ndarray
        From :func:`plan_of` with the same three flags.
    gradient, hessian : ndarray
        Filled.
    work : ndarray
        From :func:`workspace`.

    Notes
    -----
    With ``l(h, e, nu)`` the log-density of a deviation, ``dL/dp = sum l_h h_p - l_e 1{p = mu}``, and the
    Hessian by one more derivative. The derivatives of ``h`` obey its own recursion: those in ``omega``,
    ``alpha`` and ``gamma`` are linear, so second ones exist with ``beta`` and ``mu`` only.
    """
    state = _first_state(theta, start)
    nu, constant = 0.0, 0.0
    if student:
        nu = 1.0 / theta[ETA]
        constant = _constant(nu)
    n = y.size
    for first in range(0, n, _BLOCK):
        size = min(_BLOCK, n - first)
        _recur(y[first : first + size], theta, free_mean, asymmetric, state, work)
        if student:
            _student_law(work, size, nu, constant)
        else:
            _normal_law(work, size)
        _accumulate(work, size, plan)
    for p in range(6):
        gradient[p] = _folded(work[_SUMS + 1 + p])
        for q in range(p + 1):
            element = _folded(work[_packed(p, q)])
            hessian[p, q] = element
            hessian[q, p] = element
    if student:
        _in_eta(n, nu, gradient, hessian)
    return _folded(work[_SUMS])


@stage
def _in_eta(n: int, nu: float, gradient: FloatArray, hessian: FloatArray) -> None:
    """Add the constants of the t law and turn the derivatives in nu into those in eta = 1 / nu."""
    half, above = 0.5 * nu, 0.5 * (nu + 1.0)
    over = 1.0 / (nu - 2.0)
    by_nu = gradient[ETA] + n * 0.5 * (digamma(above) - digamma(half) - over)
    twice = hessian[ETA, ETA] + n * (0.25 * (trigamma(above) - trigamma(half)) + 0.5 * over * over)
    step = -nu * nu
    gradient[ETA] = step * by_nu
    for p in range(ETA):
        hessian[ETA, p] *= step
        hessian[p, ETA] = hessian[ETA, p]
    hessian[ETA, ETA] = step * step * twice + 2.0 * nu**3 * by_nu


@kernel
def scores(
    y: FloatArray,
    theta: FloatArray,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    out: FloatArray,
) -> None:
    """Fill ``out`` (n, 6) with the gradient of each log-density; arguments as :func:`evaluate`."""
    work, state = workspace(), _first_state(theta, start)
    nu, constant, shift = 0.0, 0.0, 0.0
    if student:
        nu = 1.0 / theta[ETA]
        constant = _constant(nu)
        shift = 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / (nu - 2.0))
    n = y.size
    for first in range(0, n, _BLOCK):
        size = min(_BLOCK, n - first)
        _recur(y[first : first + size], theta, free_mean, asymmetric, state, work)
        if student:
            _student_law(work, size, nu, constant)
        else:
            _normal_law(work, size)
        for i in range(size):
            for p in range(ETA):
                out[first + i, p] = work[_LH, i] * work[_FIRST + p, i]
            out[first + i, MU] = work[_LE, i] + out[first + i, MU] if free_mean else 0.0
            out[first + i, ETA] = -nu * nu * (work[_LV, i] + shift) if student else 0.0
