"""The recursion of Q and what goes into it: moments, own variances of the corrected model, the path of R."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_vectors import (
    TILE_COLUMNS,
    TILE_ROWS,
    WIDTH,
    add_row,
    step_row,
    tile_moment,
)
from pmkit.pricing.numeric import kernel, stage

__all__ = [
    "correlation_days",
    "forms",
    "intercept_weights",
    "last_state",
    "moment",
    "own_scale",
    "own_scale_slopes",
    "to_correlation",
]


@kernel
def _moment(x: FloatArray, y: FloatArray, mirrored: bool, out: FloatArray) -> None:
    """Fill ``out`` with the sum of ``x_t y_t'``, rows added in order; both tables as wide as whole tiles."""
    m = x.shape[1]
    for i in range(0, m, TILE_ROWS):
        # of a symmetric matrix the tiles that touch the lower triangle are enough
        end = i + TILE_ROWS if mirrored else m
        for j in range(0, end, TILE_COLUMNS):
            tile_moment(x, y, i, j, out)
    if mirrored:
        for i in range(m):
            for j in range(i):
                out[j, i] = out[i, j]


@kernel
def _widened(x: FloatArray, out: FloatArray) -> None:
    """Copy a table into the first columns of a wider one and fill the rest with 0."""
    n = x.shape[1]
    for t in range(x.shape[0]):
        for i in range(n):
            out[t, i] = x[t, i]
        for i in range(n, out.shape[1]):
            out[t, i] = 0.0


def moment(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the mean of ``x_t y_t'`` over the rows, summed in order.

    Examples
    --------
    >>> moment(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    n = x.shape[1]
    m = -(-n // TILE_COLUMNS) * TILE_COLUMNS
    left = np.empty((len(x), m))
    _widened(x, left)
    right = left
    if x is not y:
        right = np.empty((len(y), m))
        _widened(y, right)
    out = np.empty((m, m))
    _moment(left, right, x is y, out)
    return np.ascontiguousarray(out[:n, :n]) / len(x)


@kernel
def own_scale(z: FloatArray, a: float, b: float, e: FloatArray) -> None:
    """Fill ``e`` with residuals times the root of their own entry of Q, in the corrected model."""
    rows, n = z.shape
    q = np.ones(n)
    for t in range(rows):
        for i in range(n):
            e[t, i] = z[t, i] * np.sqrt(q[i])
            q[i] = (1.0 - a - b) + a * e[t, i] * e[t, i] + b * q[i]


@kernel
def own_scale_slopes(z: FloatArray, a: float, b: float, e: FloatArray, slopes: FloatArray) -> None:
    """Fill ``e`` as :func:`own_scale`, and ``slopes`` (2, rows, n) with its derivatives in a and b."""
    rows, n = z.shape
    q, qa, qb = np.ones(n), np.zeros(n), np.zeros(n)
    for t in range(rows):
        for i in range(n):
            square = z[t, i] * z[t, i]
            root = np.sqrt(q[i])
            e[t, i] = z[t, i] * root
            slopes[0, t, i] = 0.5 * z[t, i] * qa[i] / root
            slopes[1, t, i] = 0.5 * z[t, i] * qb[i] / root
            keep = a * square + b
            qa[i] = -1.0 + q[i] * square + keep * qa[i]
            qb[i] = -1.0 + q[i] + keep * qb[i]
            q[i] = (1.0 - a - b) + keep * q[i]


def to_correlation(M: FloatArray) -> FloatArray:
    """Return a symmetric matrix of positive diagonal as exactly symmetric correlations.

    Examples
    --------
    >>> to_correlation(np.array([[4.0, 1.0], [1.0, 1.0]])).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    root = np.sqrt(np.diag(M))
    R = M / (root[:, None] * root[None, :])
    R = np.clip(0.5 * (R + R.T), -1.0, 1.0)
    np.fill_diagonal(R, 1.0)
    return np.asarray(R)


def intercept_weights(rows: int, a: float, b: float, g: float | None) -> FloatArray:
    """Return by day the weight of the target in Q, and that of the target of losses where ``g`` is given."""
    kinds = 1 if g is None else 2
    out = np.empty((kinds, rows))
    power = b ** np.arange(rows)
    out[0] = power + (1.0 - a - b) * (1.0 - power) / (1.0 - b)
    if g is not None:
        out[1] = -g * (1.0 - power) / (1.0 - b)
    return out


@stage
def _wide(table: FloatArray) -> FloatArray:
    """Return a copy of a table with 0 in as many more columns as make whole vectors."""
    rows, n = table.shape
    out = np.zeros((rows, (n + WIDTH - 1) // WIDTH * WIDTH))
    for i in range(rows):
        for j in range(n):
            out[i, j] = table[i, j]
    return out


@stage
def _step(
    Q: FloatArray, e: FloatArray, minus: FloatArray, constant: FloatArray, a: float, b: float, g: float
) -> None:
    """Advance the lower triangle of Q by one day; all rows are whole vectors."""
    for i in range(Q.shape[0]):
        step_row(Q, i, constant, a * e[i], e, b)
        if minus.size > 0:
            add_row(Q, i, g * minus[i], minus)


@kernel
def last_state(
    Q: FloatArray,
    z: FloatArray,
    corrected: bool,
    asymmetric: bool,
    constant: FloatArray,
    a: float,
    b: float,
    g: float,
) -> None:
    """Advance Q over all rows of residuals, in place."""
    rows, n = z.shape
    P, C = _wide(Q), _wide(constant)
    e, minus = np.zeros(P.shape[1]), np.zeros(P.shape[1] if asymmetric else 0)
    for t in range(rows):
        for i in range(n):
            e[i] = z[t, i] * np.sqrt(P[i, i]) if corrected else z[t, i]
            if asymmetric:
                minus[i] = min(z[t, i], 0.0)
        _step(P, e, minus, C, a, b, g)
    for i in range(n):
        for j in range(i + 1):
            Q[i, j] = P[i, j]
            Q[j, i] = P[i, j]


@kernel
def correlation_days(
    first: FloatArray,
    z: FloatArray,
    corrected: bool,
    asymmetric: bool,
    equal: bool,
    constant: FloatArray,
    a: float,
    b: float,
    g: float,
    out: FloatArray,
) -> None:
    """Fill ``out`` with the correlation of every day, known the day before, and of the day after the last.

    ``first`` is Q of the first day and becomes, in its lower triangle, Q of the last day filled, advanced
    over the row of residuals if there is one.
    """
    rows, n = z.shape
    Q, C = _wide(first), _wide(constant)
    e, minus, root = np.zeros(Q.shape[1]), np.zeros(Q.shape[1] if asymmetric else 0), np.empty(n)
    for t in range(out.shape[0]):
        for i in range(n):
            root[i] = np.sqrt(Q[i, i])
        total = 0.0
        for i in range(n):
            out[t, i, i] = 1.0
            for j in range(i):
                rho = min(max(Q[i, j] / (root[i] * root[j]), -1.0), 1.0)
                total += rho
                out[t, i, j] = rho
                out[t, j, i] = rho
        if equal:
            level = 2.0 * total / (n * (n - 1))
            for i in range(n):
                for j in range(i):
                    out[t, i, j] = level
                    out[t, j, i] = level
        if t < rows:
            for i in range(n):
                e[i] = z[t, i] * root[i] if corrected else z[t, i]
                if asymmetric:
                    minus[i] = min(z[t, i], 0.0)
            _step(Q, e, minus, C, a, b, g)
    for i in range(n):
        for j in range(i + 1):
            first[i, j] = Q[i, j]


@kernel
def forms(x: FloatArray, B: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with ``sum over i >= j of B[i, j] x[t, i] x[t, j]`` a row."""
    rows, n = x.shape
    for t in range(rows):
        total = 0.0
        for i in range(n):
            part = 0.0
            for j in range(i + 1):
                part += B[i, j] * x[t, j]
            total += x[t, i] * part
        out[t] = total
