"""Equicorrelation: likelihood and exact score of the model in which all pairs share one correlation a day."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel, stage

__all__ = ["equicorrelation_likelihood"]


@stage
def _row(Q: FloatArray, v: FloatArray) -> float:
    """Return ``sum_j Q[j] v[j]`` by eight sums side by side."""
    part = np.zeros(8)
    whole = (v.size // 8) * 8
    for start in range(0, whole, 8):
        for x in range(8):
            part[x] += Q[start + x] * v[start + x]
    total = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]))
    for j in range(whole, v.size):
        total += Q[j] * v[j]
    return float(total)


@kernel
def equicorrelation_likelihood(
    z: FloatArray,
    e: FloatArray,
    f: FloatArray,
    start: FloatArray,
    constant: FloatArray,
    a: float,
    b: float,
    weights: FloatArray,
    terms: FloatArray,
    scores: FloatArray,
    pressure: FloatArray,
) -> None:
    """Fill the log-likelihood of each day, its derivatives in a and b, and its derivative in the target.

    Arguments as in :func:`pmkit.estimation.dynamic.dcc_lanes.lanes_likelihood`, without padding;
    ``scores`` of no rows asks for the likelihood alone.
    """
    rows, n = z.shape
    directions = 2 if scores.shape[0] > 0 else 0
    state = start.copy()
    v, y, ratio = np.empty(n), np.empty(n), np.empty(n)
    many = 1.0 / (n * (n - 1.0))
    change = np.zeros(2)
    for t in range(rows):
        Q = state[0]
        for i in range(n):
            v[i] = 1.0 / np.sqrt(Q[i, i])
        total = 0.0
        for i in range(n):
            y[i] = _row(Q[i], v)
            total += v[i] * y[i]
        rho = (total - n) * many
        for d in range(directions):
            P = state[1 + d]
            for i in range(n):
                ratio[i] = P[i, i] / Q[i, i]
            moved = 0.0
            for i in range(n):
                moved += v[i] * (_row(P[i], v) - ratio[i] * y[i])
            change[d] = moved * many
        squares, level = 0.0, 0.0
        for i in range(n):
            squares += z[t, i] * z[t, i]
            level += z[t, i]
        free, market = 1.0 - rho, 1.0 + (n - 1.0) * rho
        common = level * level
        apart = squares - common / n
        # market mode and the n - 1 other modes: z' R^-1 z = apart / free + common / (n market)
        terms[t] = -0.5 * (
            (n - 1.0) * np.log(free) + np.log(market) + apart / free + common / (n * market) - squares
        )
        slope = -0.5 * (
            (n - 1.0) * (1.0 / market - 1.0 / free)
            + apart / (free * free)
            - (n - 1.0) * common / (n * market * market)
        )
        for d in range(directions):
            scores[t, d] = slope * change[d]
        for kind in range(weights.shape[0]):
            w = weights[kind, t] * slope * many
            for i in range(n):
                pressure[kind, i, i] -= w * v[i] * v[i] * (v[i] * y[i] - 1.0)
                for j in range(i):
                    pressure[kind, i, j] += 2.0 * w * v[i] * v[j]
        for i in range(n):
            ei, qi, ci = e[t, i], state[0, i], constant[0, i]
            et = e[t]
            if directions > 0:
                pa, pb, ca, cb = state[1, i], state[2, i], constant[1, i], constant[2, i]
                fa, fb, fai, fbi = f[0, t], f[1, t], f[0, t, i], f[1, t, i]
                for j in range(n):
                    pb[j] = cb[j] + (fbi * et[j] + ei * fb[j]) + qi[j] + b * pb[j]
                    pa[j] = ca[j] + (fai * et[j] + ei * fa[j]) + b * pa[j]
            for j in range(n):
                qi[j] = ci[j] + a * (ei * et[j]) + b * qi[j]
