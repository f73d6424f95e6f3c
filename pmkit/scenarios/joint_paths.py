"""Paths of several factors whose covariance moves: whitened residuals coloured by the symmetric root."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, stage

__all__ = ["joint_paths", "whiten"]


@stage
def _root(H: FloatArray, power: float, A: FloatArray, V: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with the symmetric ``power`` of ``H`` by cyclic Jacobi rotations; A and V are scratch.

    No library call: the same bits on any number of threads, and no cost of a call for 2 to 10 factors.
    """
    n = H.shape[0]
    scale = 0.0
    for i in range(n):
        scale = max(scale, H[i, i])
        for j in range(n):
            A[i, j] = H[i, j]
            V[i, j] = 1.0 if i == j else 0.0
    for _ in range(60):
        off = 0.0
        for i in range(n):
            for j in range(i):
                off = max(off, abs(A[i, j]) / np.sqrt(abs(A[i, i] * A[j, j]) + 1e-300))
        if off < 1e-15:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                if A[p, q] == 0.0:
                    continue
                theta = 0.5 * (A[q, q] - A[p, p]) / A[p, q]
                t = 1.0 / (abs(theta) + np.sqrt(theta * theta + 1.0))
                if theta < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for k in range(n):
                    left, right = A[k, p], A[k, q]
                    A[k, p] = c * left - s * right
                    A[k, q] = s * left + c * right
                for k in range(n):
                    left, right = A[p, k], A[q, k]
                    A[p, k] = c * left - s * right
                    A[q, k] = s * left + c * right
                for k in range(n):
                    left, right = V[k, p], V[k, q]
                    V[k, p] = c * left - s * right
                    V[k, q] = s * left + c * right
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(n):
                total += V[i, k] * V[j, k] * max(A[k, k], 1e-30 * scale) ** power
            out[i, j] = total
            out[j, i] = total


@stage
def _covariance(Q: FloatArray, v: FloatArray, equal: bool, H: FloatArray) -> None:
    """Fill ``H`` with the covariance of variances ``v`` and the correlation of ``Q``."""
    n = len(v)
    mean = 0.0
    if equal and n > 1:
        for i in range(n):
            for j in range(i):
                mean += Q[i, j] / np.sqrt(Q[i, i] * Q[j, j])
        mean /= 0.5 * n * (n - 1)
    for i in range(n):
        for j in range(n):
            if i == j:
                H[i, i] = v[i]
            elif equal:
                H[i, j] = mean * np.sqrt(v[i] * v[j])
            else:
                H[i, j] = Q[i, j] / np.sqrt(Q[i, i] * Q[j, j]) * np.sqrt(v[i] * v[j])


@kernel
def whiten(x: FloatArray, sigma: FloatArray, path: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` (T, n) with ``H[t]^(-1/2) x[t]``; ``H`` of volatilities (T, n), correlations (T, n, n)."""
    n = x.shape[1]
    H, A, V, root = np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    for t in range(x.shape[0]):
        for i in range(n):
            for j in range(n):
                H[i, j] = path[t, i, j] * sigma[t, i] * sigma[t, j]
        _root(H, -0.5, A, V, root)
        for i in range(n):
            total = 0.0
            for k in range(n):
                total += root[i, k] * x[t, k]
            out[t, i] = total


@kernel
def joint_paths(
    pool: FloatArray,
    drawn: IntArray,
    sigma0: FloatArray,
    Q0: FloatArray,
    params: FloatArray,
    constant: FloatArray,
    news: FloatArray,
    corrected: bool,
    equal: bool,
    whole: bool,
    moves: FloatArray,
    sigma: FloatArray,
) -> None:
    """Fill ``moves`` and ``sigma`` (paths, days, n) from whitened residuals ``pool`` (T, n).

    ``drawn`` (paths, days) holds rows of the pool. ``params`` (n, 4) are omega, alpha, gamma, beta of each
    variance. The correlation is ``Q`` scaled to a diagonal of 1 (its mean for every pair where ``equal``),
    with ``Q' = constant + a e e' + b Q + g m m'``, ``news = (a, b, g)``, ``e`` the move over its volatility
    (times the root of its entry of Q where ``corrected``) and ``m`` the negative part of the move over its
    volatility. Where ``whole``, the covariance itself is exponentially weighted with decay ``params[0, 3]``.
    """
    paths, days = drawn.shape
    n = pool.shape[1]
    H, A, V = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    root, first, H0 = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    Q, v, e, m = np.empty((n, n)), np.empty(n), np.empty(n), np.empty(n)
    a, b, g = news[0], news[1], news[2]
    for i in range(n):
        v[i] = sigma0[i] * sigma0[i]
    _covariance(Q0, v, equal, H0)
    _root(H0, 0.5, A, V, first)
    for path in range(paths):
        for i in range(n):
            v[i] = sigma0[i] * sigma0[i]
            for j in range(n):
                Q[i, j] = Q0[i, j]
                H[i, j] = H0[i, j]
        for day in range(days):
            if day > 0:
                _root(H, 0.5, A, V, root)
            row = drawn[path, day]
            for i in range(n):
                total = 0.0
                for k in range(n):
                    total += (first[i, k] if day == 0 else root[i, k]) * pool[row, k]
                moves[path, day, i] = total
                sigma[path, day, i] = np.sqrt(H[i, i])
            if day + 1 == days:
                continue
            if whole:
                keep = params[0, 3]
                for i in range(n):
                    for j in range(n):
                        H[i, j] = keep * H[i, j] + (1.0 - keep) * moves[path, day, i] * moves[path, day, j]
                continue
            for i in range(n):
                move = moves[path, day, i]
                z = move / np.sqrt(v[i])
                m[i] = min(z, 0.0)
                e[i] = z * np.sqrt(Q[i, i]) if corrected else z
                slope = params[i, 1] + params[i, 2] if move < 0.0 else params[i, 1]
                v[i] = params[i, 0] + slope * move * move + params[i, 3] * v[i]
            for i in range(n):
                for j in range(n):
                    Q[i, j] = constant[i, j] + a * e[i] * e[j] + b * Q[i, j] + g * m[i] * m[j]
            _covariance(Q, v, equal, H)
