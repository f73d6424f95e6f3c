"""Maximum likelihood of GARCH(1,1) and GJR by Newton's method, all of it in compiled code.

Exact gradient and Hessian come from :mod:`pmkit.estimation.garch_newton_likelihood`, steps under the
constraints from :mod:`pmkit.estimation.garch_newton_step`. Where the Hessian is not negative definite, or a
step disappoints, it is damped (Levenberg). The walk through windows is in :mod:`pmkit.estimation.refit`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.univariate.garch_newton_likelihood import (
    ALPHA,
    BETA,
    ETA,
    GAMMA,
    MU,
    OMEGA,
    evaluate,
)
from pmkit.estimation.univariate.garch_newton_step import constrained_step
from pmkit.pricing.numeric import log_fast, stage

__all__ = [
    "AT_WALL",
    "CONVERGED",
    "LEAST_NU",
    "LEAST_OMEGA",
    "MOST_NU",
    "NO_MAXIMUM",
    "STOPPED",
    "best_climb",
    "climb",
    "copy",
]

#: outcomes of a climb
CONVERGED, AT_WALL, STOPPED, NO_MAXIMUM = range(4)

#: range of the degrees of freedom, as in ``arch``
LEAST_NU, MOST_NU = 2.05, 500.0
LEAST_OMEGA = 1e-12  # of the mean square
_DECREMENT = 1e-10
_MOST_EVALUATIONS = 200
_WALLS = 8
_FIRST_NU = 8.0
#: below this response to shocks a fit is tried from other starts
_NO_RESPONSE = 1e-3

# candidates of a cold start: alpha, gamma and persistence; the first eight have no asymmetry, and each
# belongs to a family: long memory, medium memory, strong reactions, weak reactions, hardly any memory
_LANES, _FAMILIES = 16, 5
_START_ALPHA = np.array(
    [0.05, 0.1, 0.03, 0.05, 0.03, 0.4, 0.02, 0.2] + [0.02, 0.1, 0.02, 0.01, 0.05, 0.02, 0.08, 0.25]
)
_START_GAMMA = np.array([0.0] * 8 + [0.1, -0.05, 0.1, 0.2, 0.6, 1.2, -0.07, -0.2])
_START_PERSISTENCE = np.array(
    [0.98, 0.98, 0.995, 0.9, 0.05, 0.7, 0.82, 0.22] + [0.98, 0.98, 0.9, 0.95, 0.6, 0.8, 0.85, 0.18]
)
_FAMILY = np.array([0, 0, 0, 1, 4, 2, 3, 4] + [0, 0, 1, 1, 2, 2, 3, 4])
#: up to _SHORT returns a cold fit climbs from the best candidate of every family, up to _VERY_SHORT from
#: every candidate: short samples have several maxima
_SHORT, _VERY_SHORT = 2000, 300


@stage
def copy(target: Any, source: Any) -> None:
    """Copy a vector."""
    for i in range(target.size):
        target[i] = source[i]


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
def _walls(
    theta: FloatArray, v: float, asymmetric: bool, student: bool, normals: FloatArray, room: FloatArray
) -> int:
    """Fill the inward normals and the room to each constraint; return the number of constraints."""
    for w in range(_WALLS):
        for p in range(6):
            normals[w, p] = 0.0
    normals[0, OMEGA], room[0] = 1.0, theta[OMEGA] - LEAST_OMEGA * v
    normals[1, ALPHA], room[1] = 1.0, theta[ALPHA]
    normals[2, BETA], room[2] = 1.0, theta[BETA]
    normals[3, ALPHA], normals[3, GAMMA], normals[3, BETA] = -1.0, -0.5, -1.0
    room[3] = 1.0 - (theta[ALPHA] + 0.5 * theta[GAMMA] + theta[BETA])
    count = 4
    if asymmetric:
        normals[4, ALPHA], normals[4, GAMMA], room[4] = 1.0, 1.0, theta[ALPHA] + theta[GAMMA]
        normals[5, ALPHA], room[5] = -1.0, 1.0 - theta[ALPHA]
        count = 6
    if student:
        normals[count, ETA], room[count] = 1.0, theta[ETA] - 1.0 / MOST_NU
        normals[count + 1, ETA], room[count + 1] = -1.0, 1.0 / LEAST_NU - theta[ETA]
        count += 2
    for w in range(count):
        room[w] = max(room[w], 0.0)
    return count


@stage
def climb(
    y: FloatArray,
    v: float,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    plan: IntArray,
    theta: FloatArray,
    hessian: FloatArray,
    work: FloatArray,
) -> tuple[float, int, int]:
    """Move ``theta`` to the maximum of the likelihood; return its value, the outcome and the evaluations.

    Parameters
    ----------
    y : ndarray
        Returns in any unit.
    v, start : float
        Mean square of the returns and the variance at which the recursion starts, same unit squared.
    free_mean, asymmetric, student : bool
        Which of ``mu``, ``gamma`` and ``eta`` are estimated.
    theta : ndarray, shape (6,)
        A feasible start; the maximum on return.
    hessian : ndarray, shape (6, 6)
        Filled with the Hessian at the maximum.
    work : ndarray
    """
    names = np.empty(6, np.int64)
    size = 0
    for p in range(6):
        if not ((p == MU and not free_mean) or (p == GAMMA and not asymmetric) or (p == ETA and not student)):
            names[size] = p
            size += 1
    natural = np.ones(6)
    natural[MU], natural[OMEGA] = math.sqrt(v), v
    gradient, trial = np.zeros(6), np.zeros(6)
    other_gradient, other_hessian = np.zeros(6), np.zeros((6, 6))
    g, d, scale, M = np.empty(size), np.empty(size), np.empty(size), np.empty((size, size))
    normals, room, rows = np.zeros((_WALLS, 6)), np.empty(_WALLS), np.empty((_WALLS, size))
    working, held = np.zeros(_WALLS, np.int64), np.zeros(_WALLS, np.int64)
    used, after, damping, gain, evaluations = 0, 0, 0.0, 0.0, 0
    value, outcome, count = -math.inf, STOPPED, 0
    copy(trial, theta)
    while True:
        new = evaluate(
            y, trial, start, free_mean, asymmetric, student, plan, other_gradient, other_hessian, work
        )
        evaluations += 1
        better = new - value
        if evaluations == 1 and not math.isfinite(new):
            return value, NO_MAXIMUM, evaluations
        if math.isfinite(new) and better > 1e-3 * gain:
            if better < 0.25 * gain:
                damping = max(1e-2, 4.0 * damping)
            elif better > 0.6 * gain:
                damping = damping * 0.1 if damping > 1e-4 else 0.0
            value, used = new, after
            copy(theta, trial)
            copy(gradient, other_gradient)
            copy(working, held)
            for i in range(6):
                copy(hessian[i], other_hessian[i])
            count = _walls(theta, v, asymmetric, student, normals, room)
            for k in range(used):
                room[working[k]] = 0.0
            for i in range(size):
                p = names[i]
                least = 1e-6 * y.size / (natural[p] * natural[p])
                scale[i] = 1.0 / math.sqrt(max(abs(hessian[p, p]), least))
                g[i] = gradient[p] * scale[i]
            for w in range(count):
                norm = 0.0
                for i in range(size):
                    rows[w, i] = normals[w, names[i]] * scale[i]
                    norm += rows[w, i] * rows[w, i]
                norm = 1.0 / math.sqrt(norm)
                room[w] *= norm
                for i in range(size):
                    rows[w, i] *= norm
        elif gain < 1e-7 and abs(better) <= 1e-13 * abs(value) * math.sqrt(y.size):
            outcome = AT_WALL if after > 0 else CONVERGED  # rounding of the sum hides what is left to gain
            break
        else:
            damping = max(1e-2, 8.0 * damping)
        while True:  # damp until the model has a maximum
            for i in range(size):
                for j in range(size):
                    M[i, j] = -hessian[names[i], names[j]] * scale[i] * scale[j]
                M[i, i] += damping
            copy(held, working)
            after, gain = constrained_step(g, M, rows, room, count, held, used, d)
            if after >= 0 and gain >= 0.0:
                break
            damping = max(1e-3, 4.0 * damping)
            if damping > 1e12:
                return value, NO_MAXIMUM, evaluations
        if gain < _DECREMENT and (damping <= 1e-3 or gain < 1e-4 * _DECREMENT):
            outcome = AT_WALL if after > 0 else CONVERGED
            break
        if evaluations >= _MOST_EVALUATIONS:
            break
        copy(trial, theta)
        for i in range(size):
            trial[names[i]] += d[i] * scale[i]
        _inside(trial, v, student)
    return value, outcome, evaluations


@stage
def _inside(theta: FloatArray, v: float, student: bool) -> None:
    """Undo what rounding carried across a constraint that is a single parameter's bound."""
    theta[OMEGA] = max(theta[OMEGA], LEAST_OMEGA * v)
    theta[ALPHA], theta[BETA] = max(theta[ALPHA], 0.0), max(theta[BETA], 0.0)
    theta[GAMMA] = max(theta[GAMMA], -theta[ALPHA])
    if student:
        theta[ETA] = min(max(theta[ETA], 1.0 / MOST_NU), 1.0 / LEAST_NU)


@stage
def best_climb(
    y: FloatArray,
    v: float,
    start: float,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    warm: bool,
    plan: IntArray,
    theta: FloatArray,
    hessian: FloatArray,
    work: FloatArray,
) -> tuple[float, int, int, bool]:
    """Climb from ``theta`` where ``warm``, and from cold starts where that is not enough; keep the best.

    Arguments as for :func:`climb`. Returns also whether cold starts were used. A warm climb is enough if it
    ended at a maximum that responds to shocks; a first cold one if the sample is long and the maximum usual.
    """
    starts, leaders = np.zeros((_LANES + 1, 6)), np.empty(_FAMILIES, np.int64)
    best, found_hessian = np.zeros(6), np.zeros((6, 6))
    lanes = _LANES if asymmetric else _LANES // 2
    queue = np.empty(_LANES + 2, np.int64)
    value, outcome, evaluations, cold = -math.inf, NO_MAXIMUM, 0, False
    queue[0], waiting, at = _LANES, 1 if warm else 0, 0
    copy(starts[_LANES], theta)
    starts[_LANES, OMEGA] = max(starts[_LANES, OMEGA], LEAST_OMEGA * v)
    while True:
        if at == waiting:
            if cold:
                break
            cold = True
            first = _rank(y, free_mean, v, start, asymmetric, student, starts, leaders)
            queue[waiting] = first
            waiting += 1
            for k in range(lanes):
                if k != first and (y.size <= _VERY_SHORT or leaders[_FAMILY[k]] == k):
                    queue[waiting] = k
                    waiting += 1
        here = starts[queue[at]]
        at += 1
        found, result, more = climb(
            y, v, start, free_mean, asymmetric, student, plan, here, found_hessian, work
        )
        evaluations += more
        if math.isfinite(found) and found > value:
            value, outcome = found, result
            copy(best, here)
            for i in range(6):
                copy(hessian[i], found_hessian[i])
        reaction = best[ALPHA] + 0.5 * best[GAMMA]
        if outcome <= AT_WALL and reaction > _NO_RESPONSE:
            if not cold:
                break
            if y.size > _SHORT and at == (2 if warm else 1) and reaction + best[BETA] > 0.9:
                break
    copy(theta, best)
    return value, outcome, evaluations, cold
