"""The symmetric root of many correlation matrices, by Jacobi rotations: no library, one order of operations.

The symmetric root is the one root that does not depend on how assets are ordered; a Cholesky factor does.
"""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_recursion import correlation_days
from pmkit.pricing.numeric import kernel, stage

__all__ = ["apply_roots", "simulate_days", "symmetric_roots"]

#: sum of squares off the diagonal, relative to the trace squared, at which a matrix counts as diagonal
_DIAGONAL = 1e-30
_SWEEPS = 40
#: eigenvalues below this are rounding of 0
_FLOOR = 1e-14


@stage
def _rotate_to_diagonal(A: FloatArray, V: FloatArray) -> None:
    """Make A diagonal by cyclic rotations that are gathered in the rows of V (V A V' before, A after)."""
    n = A.shape[0]
    for _ in range(_SWEEPS):
        off, trace = 0.0, 0.0
        for i in range(n):
            trace += A[i, i]
            for j in range(i):
                off += A[i, j] * A[i, j]
        if off <= _DIAGONAL * trace * trace:
            return
        for p in range(n - 1):
            for q in range(p + 1, n):
                if abs(A[p, q]) <= 1e-300:
                    continue
                theta = 0.5 * (A[q, q] - A[p, p]) / A[p, q]
                t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                rp, rq = A[p], A[q]
                for k in range(n):
                    x, y = rp[k], rq[k]
                    rp[k] = c * x - s * y
                    rq[k] = s * x + c * y
                # both sides turned: the rows' own two entries by columns, the other columns by symmetry
                for k in (p, q):
                    x, y = A[k, p], A[k, q]
                    A[k, p] = c * x - s * y
                    A[k, q] = s * x + c * y
                for k in range(n):
                    if k != p and k != q:
                        A[k, p] = rp[k]
                        A[k, q] = rq[k]
                vp, vq = V[p], V[q]
                for k in range(n):
                    x, y = vp[k], vq[k]
                    vp[k] = c * x - s * y
                    vq[k] = s * x + c * y


@stage
def _root(R: FloatArray, A: FloatArray, V: FloatArray, inverse: bool, out: FloatArray) -> None:
    """Fill ``out`` with the symmetric root of R, or with its inverse."""
    n = R.shape[0]
    for i in range(n):
        for j in range(n):
            A[i, j] = R[i, j]
            V[i, j] = 1.0 if i == j else 0.0
            out[i, j] = 0.0
    _rotate_to_diagonal(A, V)
    for k in range(n):
        root = np.sqrt(max(A[k, k], 0.0))
        if inverse:
            root = 1.0 / root if A[k, k] > _FLOOR else np.nan
        for i in range(n):
            x = root * V[k, i]
            for j in range(n):
                out[i, j] += x * V[k, j]


@kernel
def symmetric_roots(R: FloatArray, inverse: bool, out: FloatArray) -> None:
    """Fill ``out`` (days, n, n) with each symmetric root, or inverse root (NaN where singular)."""
    n = R.shape[1]
    A, V = np.empty((n, n)), np.empty((n, n))
    for t in range(R.shape[0]):
        _root(R[t], A, V, inverse, out[t])


@kernel
def apply_roots(R: FloatArray, x: FloatArray, inverse: bool, out: FloatArray) -> None:
    """Fill ``out`` (days, n) with the symmetric root of each matrix (or its inverse) times a row of ``x``."""
    n = R.shape[1]
    A, V, root = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    for t in range(R.shape[0]):
        _root(R[t], A, V, inverse, root)
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += root[i, j] * x[t, j]
            out[t, i] = total


@kernel
def simulate_days(
    Q: FloatArray,
    draws: FloatArray,
    corrected: bool,
    asymmetric: bool,
    equal: bool,
    constant: FloatArray,
    a: float,
    b: float,
    g: float,
    z: FloatArray,
    total: FloatArray,
    square: FloatArray,
) -> None:
    """Fill residual paths from uncorrelated draws (paths, days, n), starting at Q of the first day.

    ``total`` and ``square`` (days, n, n) receive the sums over paths of R and of its squares.
    """
    paths, days, n = draws.shape
    A, V, root = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    R = np.empty((2, n, n))
    state, day = np.empty((n, n)), np.empty((1, n))
    for path in range(paths):
        for i in range(n):
            for j in range(n):
                state[i, j] = Q[i, j]
        correlation_days(state, day[:0], corrected, asymmetric, equal, constant, a, b, g, R[:1])
        for t in range(days):
            if path == 0 or t > 0:
                # the first day is the same on every path; its root is kept apart
                _root(R[0], A, V, False, root)
            if t == 0:
                if path == 0:
                    first = root.copy()
                for i in range(n):
                    for j in range(n):
                        root[i, j] = first[i, j]
            for i in range(n):
                level = 0.0
                for j in range(n):
                    level += root[i, j] * draws[path, t, j]
                z[path, t, i] = level
                day[0, i] = level
                for j in range(n):
                    total[t, i, j] += R[0, i, j]
                    square[t, i, j] += R[0, i, j] * R[0, i, j]
            correlation_days(state, day, corrected, asymmetric, equal, constant, a, b, g, R)
            for i in range(n):
                for j in range(n):
                    R[0, i, j] = R[1, i, j]
