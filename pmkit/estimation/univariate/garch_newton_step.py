"""One constrained Newton step: the quadratic model of a likelihood, maximised under linear inequalities."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import stage

__all__ = ["constrained_step"]

_MOST_CHANGES = 30
_PARALLEL = 1e-10
_ZERO = 1e-12


@stage
def _basis(rows: FloatArray, working: IntArray, used: int, size: int, Q: FloatArray) -> int:
    """Fill the first ``used`` rows of Q with the normals made orthonormal, the rest with their complement.

    Returns the number of rows of the complement.
    """
    found = 0
    for k in range(used + size):
        if found == size:
            break
        candidate = Q[found]
        for j in range(size):
            candidate[j] = rows[working[k], j] if k < used else (1.0 if j == k - used else 0.0)
        before = 0.0
        for j in range(size):
            before += candidate[j] * candidate[j]
        for _ in range(2):  # twice, so that rounding leaves nothing along the earlier rows
            for i in range(found):
                along = 0.0
                for j in range(size):
                    along += Q[i, j] * candidate[j]
                for j in range(size):
                    candidate[j] -= along * Q[i, j]
        left = 0.0
        for j in range(size):
            left += candidate[j] * candidate[j]
        if left > _PARALLEL * before:
            root = 1.0 / np.sqrt(left)
            for j in range(size):
                candidate[j] *= root
            found += 1
    return size - used


@stage
def _solve(S: FloatArray, b: FloatArray, size: int) -> bool:
    """Solve S x = b in place by Cholesky's method; False where S is not positive definite."""
    for j in range(size):
        pivot = S[j, j]
        for k in range(j):
            pivot -= S[j, k] * S[j, k]
        if not pivot > _ZERO:
            return False
        root = np.sqrt(pivot)
        S[j, j] = root
        for i in range(j + 1, size):
            value = S[i, j]
            for k in range(j):
                value -= S[i, k] * S[j, k]
            S[i, j] = value / root
    for i in range(size):
        for k in range(i):
            b[i] -= S[i, k] * b[k]
        b[i] /= S[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            b[i] -= S[k, i] * b[k]
        b[i] /= S[i, i]
    return True


@stage
def constrained_step(
    g: FloatArray,
    M: FloatArray,
    rows: FloatArray,
    room: FloatArray,
    walls: int,
    working: IntArray,
    used: int,
    d: FloatArray,
) -> tuple[int, float]:
    """Fill ``d`` with the step that maximises ``g'd - d'Md/2`` under ``rows d >= -room``.

    Parameters
    ----------
    g, M : ndarray, shapes (p,) and (p, p)
        Gradient and minus the Hessian (damped), scaled so that M has a unit diagonal.
    rows, room : ndarray, shapes (m, p) and (m,)
        Inward normals of the constraints and how far each is from holding with equality, 0 or more.
    walls : int
        Number of constraints, at most m.
    working : ndarray of int64, shape (m,)
        Constraints held with equality; its first ``used`` entries are the set to begin with, and it holds
        the set of the solution on return.
    used : int
    d : ndarray, shape (p,)

    Returns
    -------
    used, gain : int and float
        Size of the working set, and the increase that the quadratic model promises. ``used`` is -1 where the
        model has no maximum in the directions left: damp it more.

    Notes
    -----
    Primal active-set method: Newton's step in the null space of the working set, cut at the first wall that
    it meets; at the maximum of the set the constraint with the most negative multiplier leaves.

    References
    ----------
    Nocedal and Wright (2006), algorithm 16.3.
    """
    size = g.size
    Q, S = np.empty((size, size)), np.empty((size, size))
    slope, s, y = np.empty(size), np.empty(size), np.empty(size)
    for i in range(size):
        d[i] = 0.0
    for _ in range(_MOST_CHANGES):
        free = _basis(rows, working, used, size, Q)
        for i in range(size):
            slope[i] = g[i]
            for j in range(size):
                slope[i] -= M[i, j] * d[j]
        longest = 0.0
        for i in range(size):
            s[i] = 0.0
        if free > 0:
            for a in range(free):
                y[a] = 0.0
                for i in range(size):
                    y[a] += Q[used + a, i] * slope[i]
                for b in range(a + 1):
                    total = 0.0
                    for i in range(size):
                        part = 0.0
                        for j in range(size):
                            part += M[i, j] * Q[used + b, j]
                        total += Q[used + a, i] * part
                    S[a, b] = total
            if not _solve(S, y, free):
                return -1, 0.0
            for a in range(free):
                for i in range(size):
                    s[i] += y[a] * Q[used + a, i]
            for i in range(size):
                longest = max(longest, abs(s[i]))
        if longest > _ZERO:
            share, wall = 1.0, -1
            for w in range(walls):
                held = False
                for k in range(used):
                    held = held or working[k] == w
                if held:
                    continue
                towards, left = 0.0, room[w]
                for i in range(size):
                    towards += rows[w, i] * s[i]
                    left += rows[w, i] * d[i]
                if towards < 0.0 and max(left, 0.0) < -share * towards:
                    share, wall = max(left, 0.0) / -towards, w
            for i in range(size):
                d[i] += share * s[i]
            if wall >= 0:
                working[used] = wall
                used += 1
                continue
            for i in range(size):
                slope[i] = g[i]
                for j in range(size):
                    slope[i] -= M[i, j] * d[j]
        if used == 0:
            break
        # multipliers: slope + sum_k m_k a_k = 0 with a_k the normals held; solved with a'a of the set
        for a in range(used):
            y[a] = 0.0
            for i in range(size):
                y[a] -= rows[working[a], i] * slope[i]
            for b in range(a + 1):
                total = 0.0
                for i in range(size):
                    total += rows[working[a], i] * rows[working[b], i]
                S[a, b] = total
        if not _solve(S, y, used):
            return -1, 0.0
        lowest, leaver = -_ZERO, -1
        for a in range(used):
            if y[a] < lowest:
                lowest, leaver = y[a], a
        if leaver < 0:
            break
        for a in range(leaver, used - 1):
            working[a] = working[a + 1]
        used -= 1
    gain = 0.0
    for i in range(size):
        gain += g[i] * d[i]
        for j in range(size):
            gain -= 0.5 * d[i] * M[i, j] * d[j]
    return used, gain
