"""Maximum likelihood of GARCH(1,1) and GJR by Newton's method, all of it in compiled code.

Exact gradient and Hessian come from ``garch_newton_likelihood``, steps under the constraints from
``garch_newton_step``. Where the Hessian is not negative definite, or a step disappoints, it is damped
(Levenberg). Where climbs start and which maximum is kept is in ``garch_maxima``, the walk through windows in
``refit``.
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
from pmkit.pricing.numeric import stage

__all__ = [
    "AT_WALL",
    "CONVERGED",
    "LEAST_NU",
    "LEAST_OMEGA",
    "MERGED",
    "MOST_NU",
    "NO_MAXIMUM",
    "STOPPED",
    "climb",
    "copy",
]

#: outcomes of a climb
CONVERGED, AT_WALL, STOPPED, NO_MAXIMUM, MERGED = range(5)
#: a climb this near to a maximum that is known already, in units of the curvature, ends there
_NEAR = 0.5

#: range of the degrees of freedom, as in ``arch``
LEAST_NU, MOST_NU = 2.05, 500.0
LEAST_OMEGA = 1e-12  # of the mean square
_DECREMENT = 1e-10
_MOST_EVALUATIONS = 200
_WALLS = 8


@stage
def copy(target: Any, source: Any) -> None:
    """Copy a vector."""
    for i in range(target.size):
        target[i] = source[i]


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
    known: FloatArray,
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
    known : ndarray, shape (m, 6)
        Where other climbs ended: one that comes near such a point ends too, as ``MERGED``.
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
            if _merged(theta, known, names, scale):
                return value, MERGED, evaluations
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
def _merged(theta: FloatArray, known: FloatArray, names: IntArray, scale: FloatArray) -> bool:
    """Return whether ``theta`` is near one of the rows of ``known``."""
    for k in range(known.shape[0]):
        furthest = 0.0
        for i in range(scale.size):
            furthest = max(furthest, abs(theta[names[i]] - known[k, names[i]]) / scale[i])
        if furthest < _NEAR:
            return True
    return False


@stage
def _inside(theta: FloatArray, v: float, student: bool) -> None:
    """Undo what rounding carried across a constraint that is a single parameter's bound."""
    theta[OMEGA] = max(theta[OMEGA], LEAST_OMEGA * v)
    theta[ALPHA], theta[BETA] = max(theta[ALPHA], 0.0), max(theta[BETA], 0.0)
    theta[GAMMA] = max(theta[GAMMA], -theta[ALPHA])
    if student:
        theta[ETA] = min(max(theta[ETA], 1.0 / MOST_NU), 1.0 / LEAST_NU)
