"""Likelihood and exact score of a dynamic correlation: eight days at a time in vector lanes.

The days are cut into consecutive stretches that run side by side, one a lane, so that the recursion, the
Cholesky factor and its inverse of eight days are one vector operation each. Where a stretch starts follows
from the recursion being linear: every stretch is run from zero first, then the ends are chained. No library
of linear algebra is called and everything is summed in a fixed order on one thread, so the bits depend on no
thread count, whatever the number of assets.
"""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_blocks import LANES, PANEL, factor, invert, solve
from pmkit.estimation.dynamic.dcc_tiles import (
    TILE,
    contract_tile,
    cross_row,
    diagonal_inverse,
    inverse_tile,
    solve_backward,
    square_row,
    sum_row,
)
from pmkit.pricing.numeric import kernel, log_fast, stage

__all__ = ["lanes_likelihood"]


@stage
def _into_lanes(table: FloatArray, steps: int, width: int) -> FloatArray:
    """Return a (rows, n) table as (steps, width * LANES), zero where there is nothing."""
    rows, n = table.shape
    out = np.zeros((steps, width * LANES))
    for lane in range(LANES):
        for s in range(steps):
            t = lane * steps + s
            if t < rows:
                for i in range(n):
                    out[s, i * LANES + lane] = table[t, i]
    return out


@stage
def _chain(state: FloatArray, start: FloatArray, steps: int, b: float) -> None:
    """Turn the ends of stretches that began at zero into where each stretch begins."""
    n = state.shape[1]
    power, slope = b**steps, steps * b ** (steps - 1)
    for i in range(n):
        for j in range(i + 1):
            for d in range(state.shape[0] - 1, -1, -1):
                value, level = start[d, i, j], start[0, i, j]
                for x in range(LANES):
                    end = state[d, i, j * LANES + x] + power * value
                    if d == 2:  # the derivative in b carries the start of Q along; Q itself is chained last
                        end += slope * level
                        level = state[0, i, j * LANES + x] + power * level
                    state[d, i, j * LANES + x] = value
                    value = end


@stage
def _day(
    s: int,
    steps: int,
    state: FloatArray,
    A: FloatArray,
    space: FloatArray,
    z: FloatArray,
    weights: FloatArray,
    terms: FloatArray,
    scores: FloatArray,
    pressure: FloatArray,
) -> None:
    """Write what step ``s`` of every stretch gives to the results."""
    n, directions = A.shape[0], state.shape[0] - 1
    logdet, total = space[0, :LANES], space[1, :LANES]
    v, w = space[2], space[3]
    Q = state[0]
    for i in range(n):
        source, target = Q[i, : (i + 1) * LANES], A[i, : (i + 1) * LANES]
        for x in range(source.size):
            target[x] = source[x]
    factor(A, logdet)
    for x in range(LANES):
        total[x] = 0.0
    for i in range(n):
        q, zi = Q[i, i * LANES : (i + 1) * LANES], z[i * LANES : (i + 1) * LANES]
        vi = v[i * LANES : (i + 1) * LANES]
        for x in range(LANES):
            vi[x] = zi[x] * np.sqrt(q[x])
            logdet[x] -= log_fast(q[x])
            total[x] -= zi[x] * zi[x]
    solve(A, v)
    for i in range(n):
        vi = v[i * LANES : (i + 1) * LANES]
        for x in range(LANES):
            total[x] += vi[x] * vi[x]
    for x in range(LANES):
        if x * steps + s < terms.size:
            terms[x * steps + s] = -0.5 * (logdet[x] + total[x])
    if directions > 0:
        invert(A)
        for i in range(0, n, TILE):
            solve_backward(A, v, w, i)
        _slopes(s, steps, state, A, space, z, weights, scores, pressure)


@stage
def _slopes(
    s: int,
    steps: int,
    state: FloatArray,
    A: FloatArray,
    space: FloatArray,
    z: FloatArray,
    weights: FloatArray,
    scores: FloatArray,
    pressure: FloatArray,
) -> None:
    """Write the derivative of the likelihood in Q, entry by entry, times the derivatives of Q."""
    n, directions = A.shape[0], state.shape[0] - 1
    w, G, slope = space[3], space[4, : TILE * TILE * LANES], space[5, : directions * LANES]
    for x in range(slope.size):
        slope[x] = 0.0
    for panel in range(0, n, PANEL):
        end = min(panel + PANEL, n)
        for i in range(panel, n, TILE):
            for j in range(panel, min(end, i + TILE), TILE):
                if j < i:
                    inverse_tile(A, i, j, w, G)
                else:
                    diagonal_inverse(A, i, w, G)
                    _own(state[0], i, w, z, G)
                for d in range(directions):
                    contract_tile(G, state[1 + d], i, j, slope[d * LANES : (d + 1) * LANES])
                if weights.shape[0] > 0:
                    for r in range(TILE):
                        for c in range(TILE):
                            if j + c <= i + r < pressure.shape[1]:
                                cell = (TILE * r + c) * LANES
                                _press(s, steps, G[cell : cell + LANES], i + r, j + c, weights, pressure)
    for d in range(directions):
        for x in range(LANES):
            if x * steps + s < scores.shape[0]:
                scores[x * steps + s, d] = slope[d * LANES + x]


@stage
def _own(Q: FloatArray, i: int, w: FloatArray, z: FloatArray, G: FloatArray) -> None:
    """Let the diagonal of a tile carry what the own entries of Q do as scales: half of each pair counts."""
    for r in range(TILE):
        at = (i + r) * LANES
        q, wi, zi = Q[i + r, at : at + LANES], w[at : at + LANES], z[at : at + LANES]
        g = G[(TILE + 1) * r * LANES : (TILE + 1) * r * LANES + LANES]
        for x in range(LANES):
            g[x] = 0.5 * (g[x] + 1.0 / q[x] - wi[x] * zi[x] / np.sqrt(q[x]))


@stage
def _press(
    s: int, steps: int, G: FloatArray, i: int, j: int, weights: FloatArray, pressure: FloatArray
) -> None:
    """Add to the derivative in each target matrix what entry (i, j) of Q gives."""
    for kind in range(weights.shape[0]):
        for x in range(LANES):
            if x * steps + s < weights.shape[1]:
                pressure[kind, i, j] += weights[kind, x * steps + s] * G[x]


@kernel
def lanes_likelihood(
    z: FloatArray,
    e: FloatArray,
    f: FloatArray,
    minus: FloatArray,
    start: FloatArray,
    constant: FloatArray,
    a: float,
    b: float,
    g: float,
    weights: FloatArray,
    terms: FloatArray,
    scores: FloatArray,
    pressure: FloatArray,
) -> None:
    """Fill the log-likelihood of each day, its derivatives, and its derivative in the target matrices.

    Parameters
    ----------
    z, e : (rows, n)
        Residuals and the innovations that drive Q; the two are equal except in the corrected model.
    f : (2, rows, n) or (0, 0, 0)
        Corrected model: ``e / 2 + a de/da`` and ``a de/db``.
    minus : (rows, n) or (0, 0)
        Asymmetric model: residuals with gains set to 0.
    start, constant : (1 + directions, m, m), m the multiple of 4 from n on
        Q of the first day and the constant of its recursion, then their derivatives in a, b and g; without
        directions no score is computed. Rows beyond n belong to an asset that never moves.
    weights : (kinds, rows) or (0, 0)
        Weight of a target matrix in Q day by day, for ``pressure``.
    terms, scores, pressure : (rows,), (rows, directions), (kinds, n, n)
        Filled: log-likelihood less that of independent normals; its derivatives; its derivative in an entry
        pair of each target, lower triangle, added to what is there.
    """
    rows, m = z.shape[0], start.shape[1]
    steps = (rows + LANES - 1) // LANES
    corrected, asymmetric = f.shape[0] > 0, minus.shape[0] > 0
    directions = start.shape[0] - 1
    zl = _into_lanes(z, steps, m)
    el = _into_lanes(e, steps, m)
    fa = _into_lanes(f[0], steps, m) if corrected else zl
    fb = _into_lanes(f[1], steps, m) if corrected else zl
    ml = _into_lanes(minus, steps, m) if asymmetric else zl
    state = np.zeros((1 + directions, m, m * LANES))
    A = np.empty((m, m * LANES))
    space = np.empty((6, max(m, TILE * TILE) * LANES))
    for visit in range(2):
        if visit == 1:
            _chain(state, start, steps, b)
        for s in range(steps):
            if visit == 1:
                _day(s, steps, state, A, space, zl[s], weights, terms, scores, pressure)
            for i in range(m):
                # derivatives first: they need the Q of the day
                if directions > 1:
                    sum_row(state[2], i, state[0], b)
                    if corrected:
                        cross_row(state[2], i, constant[2], fb[s], el[s], 1.0)
                    else:
                        square_row(state[2], i, constant[2], 1.0, 0.0, el[s], 1.0)
                if directions > 0:
                    if corrected:
                        cross_row(state[1], i, constant[1], fa[s], el[s], b)
                    else:
                        square_row(state[1], i, constant[1], 1.0, 1.0, el[s], b)
                if directions > 2:
                    square_row(state[3], i, constant[3], 1.0, 1.0, ml[s], b)
                square_row(state[0], i, constant[0], 1.0, a, el[s], b)
                if asymmetric:
                    square_row(state[0], i, constant[0], 0.0, g, ml[s], 1.0)
