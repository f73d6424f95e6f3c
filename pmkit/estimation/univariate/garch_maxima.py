"""The maxima of a GARCH likelihood: which ones cold starts lead to, and which of them is the highest.

Up to a few thousand returns the likelihood often has several maxima, and from one window to the next another
one may become the highest. A climb from the maximum of the window before stays where it is. So every maximum
known is followed, and cold starts look for others.
"""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.univariate.garch_newton import (
    AT_WALL,
    LEAST_OMEGA,
    NO_MAXIMUM,
    climb,
    copy,
)
from pmkit.estimation.univariate.garch_newton_likelihood import (
    ALPHA,
    BETA,
    ETA,
    GAMMA,
    MU,
    OMEGA,
)
from pmkit.pricing.numeric import log_fast, stage

__all__ = ["MOST_MAXIMA", "best_climb"]

#: maxima that are followed, at most; those lower than the highest by more than _DEPTH are forgotten, and two
#: that are equal to within _SAME are one
MOST_MAXIMA = 4
_DEPTH, _SAME = 8.0, 1e-6
#: evaluations beyond which a climb from a known maximum has gone far enough to doubt that it is the highest
_USUAL = 7
_FIRST_NU = 8.0
#: below this response to shocks one cold start is not enough
_NO_RESPONSE = 1e-3

# candidates of a cold start: alpha, gamma and persistence; the first eight have no asymmetry, and each
# belongs to a family: long memory, medium memory, strong reactions, weak reactions, hardly any memory, and a
# level that drifts slowly
_LANES, _FAMILIES = 16, 6
_START_ALPHA = np.array(
    [0.05, 0.1, 0.03, 0.05, 0.03, 0.4, 0.02, 0.2] + [0.02, 0.1, 0.02, 0.01, 0.05, 0.02, 0.08, 0.25]
)
_START_GAMMA = np.array([0.0] * 8 + [0.1, -0.05, 0.1, 0.2, 0.6, 1.2, -0.07, -0.2])
_START_PERSISTENCE = np.array(
    [0.98, 0.98, 0.995, 0.9, 0.05, 0.7, 0.82, 0.22] + [0.98, 0.98, 0.9, 0.95, 0.6, 0.8, 0.85, 0.18]
)
_FAMILY = np.array([0, 0, 5, 1, 4, 2, 3, 4] + [0, 0, 1, 1, 2, 2, 3, 4])
#: up to _SHORT returns a search climbs from the best candidate of every family, up to _VERY_SHORT from every
#: candidate: short samples have several maxima
_SHORT, _VERY_SHORT = 2000, 300


@stage
def _rank(
    y: FloatArray,
    free_mean: bool,
    v: float,
    start: float,
    asymmetric: bool,
    student: bool,
    starts: FloatArray,
    leaders: IntArray,
) -> int:
    """Fill the candidates and the family leaders by likelihood, all run side by side; return the best one."""
    mu = 0.0
    if free_mean:
        for t in range(y.size):
            mu += y[t]
        mu /= y.size
    alpha, gamma, beta, omega = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    h, total = np.empty(_LANES), np.zeros(_LANES)
    for k in range(_LANES):
        alpha[k], gamma[k] = _START_ALPHA[k], _START_GAMMA[k]
        beta[k] = _START_PERSISTENCE[k] - alpha[k] - 0.5 * gamma[k]
        omega[k] = (1.0 - _START_PERSISTENCE[k]) * v
        h[k] = omega[k] + _START_PERSISTENCE[k] * start
    lanes = _LANES if asymmetric else _LANES // 2
    for t in range(y.size):
        e = y[t] - mu
        square = e * e
        fallen = square if e < 0.0 else 0.0
        if student:  # of Student t with 4 degrees of freedom: outliers shall not choose the start
            for k in range(lanes):
                total[k] += 5.0 * log_fast(h[k] + 0.5 * square) - 4.0 * log_fast(h[k])
        else:
            for k in range(lanes):
                total[k] += log_fast(h[k]) + square / h[k]
        for k in range(lanes):
            h[k] = (omega[k] + alpha[k] * square + gamma[k] * fallen) + beta[k] * h[k]
    best = 0
    for f in range(_FAMILIES):
        leaders[f] = -1
    for k in range(lanes):
        starts[k, OMEGA], starts[k, ALPHA], starts[k, GAMMA], starts[k, BETA] = (
            omega[k],
            alpha[k],
            gamma[k],
            beta[k],
        )
        starts[k, MU], starts[k, ETA] = mu, 1.0 / _FIRST_NU if student else 0.0
        if total[k] < total[best]:
            best = k
        leader = leaders[_FAMILY[k]]
        if leader < 0 or total[k] < total[leader]:
            leaders[_FAMILY[k]] = k
    return best


@stage
def _cold_starts(
    y: FloatArray,
    v: float,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    found: FloatArray,
    count: int,
) -> int:
    """Put cold starts into ``found`` from row ``count`` on, the best one first; return the rows in use."""
    starts, leaders = np.zeros((_LANES, 6)), np.empty(_FAMILIES, np.int64)
    first = _rank(y, free_mean, v, start, asymmetric, student, starts, leaders)
    copy(found[count], starts[first])
    count += 1
    for k in range(_LANES if asymmetric else _LANES // 2):
        if k != first and (y.size <= _VERY_SHORT or leaders[_FAMILY[k]] == k):
            copy(found[count], starts[k])
            count += 1
    return count


@stage
def _keep(found: FloatArray, values: FloatArray, outcomes: IntArray, count: int, maxima: FloatArray) -> int:
    """Fill ``maxima`` with the distinct maxima found, highest first; return how many, 0 if there is none."""
    kept, below, least = 0, math.inf, -math.inf
    while kept < MOST_MAXIMA:
        best = -1
        for k in range(count):
            fits = outcomes[k] <= AT_WALL and least <= values[k] < below
            if fits and (best < 0 or values[k] > values[best]):
                best = k
        if best < 0:
            break
        if kept == 0:
            least = values[best] - _DEPTH
        copy(maxima[kept], found[best])
        kept, below = kept + 1, values[best] - _SAME
    return kept


@stage
def best_climb(
    y: FloatArray,
    v: float,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    search: bool,
    plan: IntArray,
    maxima: FloatArray,
    known: int,
    theta: FloatArray,
    hessian: FloatArray,
    work: FloatArray,
) -> tuple[float, int, int, int, bool]:
    """Climb from the maxima known, and from cold starts where asked or where these moved far; keep the best.

    Parameters
    ----------
    y, v, start, free_mean, asymmetric, student, plan, work
        As for :func:`pmkit.estimation.univariate.garch_newton.climb`.
    search : bool
        Whether to climb from cold starts in any case.
    maxima : ndarray, shape (MOST_MAXIMA, 6)
        Its first ``known`` rows are maxima of a window like this one; those of this window on return, highest
        first. Unchanged where no climb converges.
    known : int
    theta : ndarray, shape (6,)
        Filled with the best point found.
    hessian : ndarray, shape (6, 6)
        Filled with the Hessian there.

    Returns
    -------
    value, outcome, evaluations, known, searched : float, int, int, int and bool
        Log-likelihood at ``theta``, outcome of its climb, evaluations of all climbs, how many maxima are
        known now, and whether cold starts were used.

    Notes
    -----
    In a long sample one cold start is enough if it leads to a maximum of the usual kind.
    """
    found, values = np.zeros((MOST_MAXIMA + _LANES, 6)), np.empty(MOST_MAXIMA + _LANES)
    outcomes, there = np.empty(MOST_MAXIMA + _LANES, np.int64), np.zeros((6, 6))
    for k in range(known):
        copy(found[k], maxima[k])
        found[k, OMEGA] = max(found[k, OMEGA], LEAST_OMEGA * v)
    value, outcome, evaluations = -math.inf, NO_MAXIMUM, 0
    at, waiting, searched, strained = 0, known, False, False
    while True:
        if at == waiting:
            if searched or not (search or strained or outcome > AT_WALL):
                break
            searched = True
            waiting = _cold_starts(y, v, start, free_mean, asymmetric, student, found, known)
        values[at], outcomes[at], more = climb(
            y, v, start, free_mean, asymmetric, student, plan, found[:at], found[at], there, work
        )
        evaluations += more
        strained = strained or (not searched and more > _USUAL)
        if math.isfinite(values[at]) and values[at] > value:
            value, outcome = values[at], outcomes[at]
            copy(theta, found[at])
            for i in range(6):
                copy(hessian[i], there[i])
        at += 1
        if y.size > _SHORT and searched and at == known + 1 and outcome <= AT_WALL:
            reaction = theta[ALPHA] + 0.5 * theta[GAMMA]
            if reaction > _NO_RESPONSE and reaction + theta[BETA] > 0.9:
                break
    kept = _keep(found, values, outcomes, at, maxima)
    return value, outcome, evaluations, kept if kept > 0 else known, searched
