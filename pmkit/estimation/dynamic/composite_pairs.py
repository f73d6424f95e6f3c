"""Composite likelihood: the sum of the likelihoods of pairs of assets, and its exact score.

Sixteen pairs stand side by side in vector lanes and days follow each other, so that the cost grows with pairs
times days only. All that a block of pairs needs lives in one small buffer, rows of ``PAIR_LANES`` numbers;
the compiler then knows that nothing overlaps. Rows: 0 to 8 the entries 11, 22, 12 of Q and of its derivatives
in a and b; 9 to 17 the constants of their recursions; 18 to 23 the sums of the likelihood, of the scores and
of their products; 24 to 28 the day's derivative in the correlation, scale, correlation and scores; and from
29 on the same of the asymmetric parameter: state, constants, sums and score. Row 40 is the product of the
determinants of a few days, of which one logarithm is taken.
"""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, log_fast, stage

__all__ = [
    "BUFFER_ROWS",
    "PAIR_LANES",
    "contiguous_pairs",
    "every_pair",
    "into_blocks",
    "pair_moments",
    "pairs_likelihood",
]

#: pairs side by side
PAIR_LANES = 16

#: days between logarithms: 16 determinants of 1e-16 still multiply to a normal number
_FOLD = 16

#: rows of the buffer of a block
BUFFER_ROWS = 41


def contiguous_pairs(n: int) -> tuple[IntArray, IntArray]:
    """Return the positions of neighbours: (0, 1), (1, 2), ...

    Examples
    --------
    >>> [p.tolist() for p in contiguous_pairs(3)]
    [[0, 1], [1, 2]]
    """
    left = np.arange(n - 1, dtype=np.int64)
    return left, left + 1


def every_pair(n: int) -> tuple[IntArray, IntArray]:
    """Return the positions of all n (n - 1) / 2 pairs.

    Examples
    --------
    >>> [p.tolist() for p in every_pair(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    left, right = np.triu_indices(n, 1)
    return left.astype(np.int64), right.astype(np.int64)


def into_blocks(z: FloatArray, left: IntArray, right: IntArray) -> FloatArray:
    """Return residuals of pairs as (blocks, rows, 2 PAIR_LANES): first assets, then second, then 0.

    Examples
    --------
    >>> into_blocks(np.ones((3, 2)), *contiguous_pairs(2)).shape
    (1, 3, 32)
    """
    out = np.zeros((-(-len(left) // PAIR_LANES), len(z), 2 * PAIR_LANES))
    _fill_blocks(z, left, right, out)
    return out


@kernel
def _fill_blocks(z: FloatArray, left: IntArray, right: IntArray, out: FloatArray) -> None:
    """Fill the blocks of :func:`into_blocks`."""
    for block in range(out.shape[0]):
        count = min(PAIR_LANES, left.size - block * PAIR_LANES)
        for t in range(z.shape[0]):
            for x in range(count):
                out[block, t, x] = z[t, left[block * PAIR_LANES + x]]
                out[block, t, x + PAIR_LANES] = z[t, right[block * PAIR_LANES + x]]


@stage
def _moments_day(z: FloatArray, B: FloatArray, a: float, b: float) -> None:
    """Advance own entries of Q (rows 0 to 5) and add to moments and their derivatives (rows 6 to 14)."""
    for x in range(PAIR_LANES):
        z1, z2 = z[x], z[x + PAIR_LANES]
        q1, q2 = B[x], B[x + PAIR_LANES]
        a1, a2 = B[x + 2 * PAIR_LANES], B[x + 3 * PAIR_LANES]
        b1, b2 = B[x + 4 * PAIR_LANES], B[x + 5 * PAIR_LANES]
        r1, r2 = np.sqrt(q1), np.sqrt(q2)
        e1, e2 = z1 * r1, z2 * r2
        h1, h2 = 0.5 * z1 / r1, 0.5 * z2 / r2
        B[x + 6 * PAIR_LANES] += e1 * e1
        B[x + 7 * PAIR_LANES] += e2 * e2
        B[x + 8 * PAIR_LANES] += e1 * e2
        B[x + 9 * PAIR_LANES] += 2.0 * e1 * (h1 * a1)
        B[x + 10 * PAIR_LANES] += 2.0 * e2 * (h2 * a2)
        B[x + 11 * PAIR_LANES] += (h1 * a1) * e2 + e1 * (h2 * a2)
        B[x + 12 * PAIR_LANES] += 2.0 * e1 * (h1 * b1)
        B[x + 13 * PAIR_LANES] += 2.0 * e2 * (h2 * b2)
        B[x + 14 * PAIR_LANES] += (h1 * b1) * e2 + e1 * (h2 * b2)
        s1, s2 = z1 * z1, z2 * z2
        k1, k2 = a * s1 + b, a * s2 + b
        rest = 1.0 - a - b
        B[x] = rest + k1 * q1
        B[x + PAIR_LANES] = rest + k2 * q2
        B[x + 2 * PAIR_LANES] = -1.0 + q1 * s1 + k1 * a1
        B[x + 3 * PAIR_LANES] = -1.0 + q2 * s2 + k2 * a2
        B[x + 4 * PAIR_LANES] = -1.0 + q1 + k1 * b1
        B[x + 5 * PAIR_LANES] = -1.0 + q2 + k2 * b2


@kernel
def pair_moments(z: FloatArray, a: float, b: float, out: FloatArray) -> None:
    """Fill the mean products of corrected innovations, entries 11, 22, 12, then their derivatives in a and b.

    ``z`` as from :func:`into_blocks`; ``out`` is (3, 3, blocks PAIR_LANES): value or derivative, entry, pair.
    """
    rows = z.shape[1]
    B = np.empty(15 * PAIR_LANES)
    for block in range(z.shape[0]):
        for x in range(B.size):
            B[x] = 1.0 if x < 2 * PAIR_LANES else 0.0
        for t in range(rows):
            _moments_day(z[block, t], B, a, b)
        for d in range(3):
            for entry in range(3):
                for x in range(PAIR_LANES):
                    out[d, entry, block * PAIR_LANES + x] = B[(6 + 3 * d + entry) * PAIR_LANES + x] / rows


@stage
def _pairs_day(z: FloatArray, B: FloatArray, corrected: float, a: float, b: float) -> None:
    """Add a day's likelihood, scores and their products; advance Q and its derivatives in a and b."""
    for x in range(PAIR_LANES):
        z1, z2 = z[x], z[x + PAIR_LANES]
        q11, q22, q12 = B[x], B[x + PAIR_LANES], B[x + 2 * PAIR_LANES]
        a11, a22, a12 = B[x + 3 * PAIR_LANES], B[x + 4 * PAIR_LANES], B[x + 5 * PAIR_LANES]
        b11, b22, b12 = B[x + 6 * PAIR_LANES], B[x + 7 * PAIR_LANES], B[x + 8 * PAIR_LANES]
        r1, r2 = np.sqrt(q11), np.sqrt(q22)
        scale = 1.0 / (r1 * r2)
        i1, i2 = scale * r2, scale * r1
        rho = q12 * scale
        free = 1.0 - rho * rho
        over = 1.0 / free
        cross, squares = z1 * z2, z1 * z1 + z2 * z2
        slope = (rho + (cross * (1.0 + rho * rho) - rho * squares) * over) * over
        v1, v2 = i1 * i1, i2 * i2
        sa = slope * (a12 * scale - 0.5 * rho * (a11 * v1 + a22 * v2))
        sb = slope * (b12 * scale - 0.5 * rho * (b11 * v1 + b22 * v2))
        B[x + 18 * PAIR_LANES] -= 0.5 * ((squares - 2.0 * rho * cross) * over - squares)
        B[x + 40 * PAIR_LANES] *= free
        B[x + 19 * PAIR_LANES] += sa
        B[x + 20 * PAIR_LANES] += sb
        B[x + 21 * PAIR_LANES] += sa * sa
        B[x + 22 * PAIR_LANES] += sa * sb
        B[x + 23 * PAIR_LANES] += sb * sb
        B[x + 24 * PAIR_LANES] = slope
        B[x + 25 * PAIR_LANES] = scale
        B[x + 26 * PAIR_LANES] = rho
        B[x + 27 * PAIR_LANES] = sa
        B[x + 28 * PAIR_LANES] = sb
        # innovation and its derivatives: the residual itself, or times the root of its own entry of Q
        e1 = z1 * (1.0 + corrected * (r1 - 1.0))
        e2 = z2 * (1.0 + corrected * (r2 - 1.0))
        h1, h2 = 0.5 * corrected * z1 * i1 * a, 0.5 * corrected * z2 * i2 * a
        B[x] = B[x + 9 * PAIR_LANES] + a * (e1 * e1) + b * q11
        B[x + PAIR_LANES] = B[x + 10 * PAIR_LANES] + a * (e2 * e2) + b * q22
        B[x + 2 * PAIR_LANES] = B[x + 11 * PAIR_LANES] + a * (e1 * e2) + b * q12
        B[x + 3 * PAIR_LANES] = B[x + 12 * PAIR_LANES] + e1 * (e1 + 2.0 * h1 * a11) + b * a11
        B[x + 4 * PAIR_LANES] = B[x + 13 * PAIR_LANES] + e2 * (e2 + 2.0 * h2 * a22) + b * a22
        B[x + 5 * PAIR_LANES] = B[x + 14 * PAIR_LANES] + e1 * e2 + (h1 * a11 * e2 + e1 * h2 * a22) + b * a12
        B[x + 6 * PAIR_LANES] = B[x + 15 * PAIR_LANES] + q11 + 2.0 * e1 * h1 * b11 + b * b11
        B[x + 7 * PAIR_LANES] = B[x + 16 * PAIR_LANES] + q22 + 2.0 * e2 * h2 * b22 + b * b22
        B[x + 8 * PAIR_LANES] = B[x + 17 * PAIR_LANES] + q12 + (h1 * b11 * e2 + e1 * h2 * b22) + b * b12


@stage
def _plain_day(z: FloatArray, B: FloatArray, a: float, b: float) -> None:
    """Do what :func:`_pairs_day` does where innovations are residuals and nobody asks for a day's scores.

    The target is then the same for every parameter, so that rows 12 to 14 serve both derivatives.
    """
    for x in range(PAIR_LANES):
        z1, z2 = z[x], z[x + PAIR_LANES]
        q11, q22, q12 = B[x], B[x + PAIR_LANES], B[x + 2 * PAIR_LANES]
        a11, a22, a12 = B[x + 3 * PAIR_LANES], B[x + 4 * PAIR_LANES], B[x + 5 * PAIR_LANES]
        b11, b22, b12 = B[x + 6 * PAIR_LANES], B[x + 7 * PAIR_LANES], B[x + 8 * PAIR_LANES]
        c11, c22, c12 = B[x + 12 * PAIR_LANES], B[x + 13 * PAIR_LANES], B[x + 14 * PAIR_LANES]
        scale = 1.0 / np.sqrt(q11 * q22)
        rho = q12 * scale
        half = -0.5 * q12 * (scale * scale)
        free = 1.0 - rho * rho
        over = 1.0 / free
        s1, s2, cross = z1 * z1, z2 * z2, z1 * z2
        squares = s1 + s2
        # the derivative in the correlation, times the scale between it and the entry of Q
        slope = (rho + (cross * (1.0 + rho * rho) - rho * squares) * over) * (over * scale)
        sa = slope * (a12 + half * (a11 * q22 + a22 * q11))
        sb = slope * (b12 + half * (b11 * q22 + b22 * q11))
        B[x + 18 * PAIR_LANES] -= 0.5 * ((squares - 2.0 * rho * cross) * over - squares)
        B[x + 40 * PAIR_LANES] *= free
        B[x + 19 * PAIR_LANES] += sa
        B[x + 20 * PAIR_LANES] += sb
        B[x + 21 * PAIR_LANES] += sa * sa
        B[x + 22 * PAIR_LANES] += sa * sb
        B[x + 23 * PAIR_LANES] += sb * sb
        B[x] = B[x + 9 * PAIR_LANES] + a * s1 + b * q11
        B[x + PAIR_LANES] = B[x + 10 * PAIR_LANES] + a * s2 + b * q22
        B[x + 2 * PAIR_LANES] = B[x + 11 * PAIR_LANES] + a * cross + b * q12
        B[x + 3 * PAIR_LANES] = c11 + s1 + b * a11
        B[x + 4 * PAIR_LANES] = c22 + s2 + b * a22
        B[x + 5 * PAIR_LANES] = c12 + cross + b * a12
        B[x + 6 * PAIR_LANES] = c11 + q11 + b * b11
        B[x + 7 * PAIR_LANES] = c22 + q22 + b * b22
        B[x + 8 * PAIR_LANES] = c12 + q12 + b * b12


@stage
def _fold(B: FloatArray) -> None:
    """Move the logarithm of the product of determinants into the sum of the likelihood."""
    for x in range(PAIR_LANES):
        B[x + 18 * PAIR_LANES] -= 0.5 * log_fast(B[x + 40 * PAIR_LANES])
        B[x + 40 * PAIR_LANES] = 1.0


@stage
def _losses_before(B: FloatArray) -> None:
    """Put the derivative of the day's correlation in g into row 39, before the day's Q is overwritten."""
    for x in range(PAIR_LANES):
        v1, v2 = 1.0 / B[x], 1.0 / B[x + PAIR_LANES]
        scale = np.sqrt(v1 * v2)
        rho = B[x + 2 * PAIR_LANES] * scale
        B[x + 39 * PAIR_LANES] = B[x + 31 * PAIR_LANES] * scale - 0.5 * rho * (
            B[x + 29 * PAIR_LANES] * v1 + B[x + 30 * PAIR_LANES] * v2
        )


@stage
def _losses_after(z: FloatArray, B: FloatArray, b: float, g: float) -> None:
    """Turn row 39 into the score in g, add its products, and let losses move Q and its derivative in g."""
    for x in range(PAIR_LANES):
        m1, m2 = min(z[x], 0.0), min(z[x + PAIR_LANES], 0.0)
        sg = B[x + 39 * PAIR_LANES] * B[x + 24 * PAIR_LANES]
        B[x + 39 * PAIR_LANES] = sg
        B[x + 35 * PAIR_LANES] += sg
        B[x + 36 * PAIR_LANES] += sg * B[x + 27 * PAIR_LANES]
        B[x + 37 * PAIR_LANES] += sg * B[x + 28 * PAIR_LANES]
        B[x + 38 * PAIR_LANES] += sg * sg
        B[x] += g * (m1 * m1)
        B[x + PAIR_LANES] += g * (m2 * m2)
        B[x + 2 * PAIR_LANES] += g * (m1 * m2)
        B[x + 29 * PAIR_LANES] = B[x + 32 * PAIR_LANES] + m1 * m1 + b * B[x + 29 * PAIR_LANES]
        B[x + 30 * PAIR_LANES] = B[x + 33 * PAIR_LANES] + m2 * m2 + b * B[x + 30 * PAIR_LANES]
        B[x + 31 * PAIR_LANES] = B[x + 34 * PAIR_LANES] + m1 * m2 + b * B[x + 31 * PAIR_LANES]


@kernel
def pairs_likelihood(
    z: FloatArray,
    corrected: bool,
    asymmetric: bool,
    a: float,
    b: float,
    g: float,
    buffers: FloatArray,
    weights: FloatArray,
    scores: FloatArray,
    pressure: FloatArray,
) -> None:
    """Run the likelihood of every pair over all days and leave its sums in the buffers.

    Parameters
    ----------
    z : (blocks, rows, 2 PAIR_LANES)
        As from :func:`into_blocks`.
    buffers : (blocks, BUFFER_ROWS PAIR_LANES)
        State of the first day, constants and zeros; holds the sums afterwards. See the head of this module.
    weights : (kinds, rows) or (0, 0)
        Weight of a target in Q by day; asks for ``scores`` and ``pressure``.
    scores : (rows, directions) or (0, 0)
        Daily sums over pairs, added to.
    pressure : (kinds, 3, blocks PAIR_LANES)
        Derivative in entries 11, 22, 12 of each target, added to.
    """
    rows = z.shape[1]
    flag = 1.0 if corrected else 0.0
    own = np.empty(2 * PAIR_LANES)
    if not corrected and not asymmetric and weights.shape[0] == 0:
        for block in range(z.shape[0]):
            B = buffers[block]
            for t in range(rows):
                _plain_day(z[block, t], B, a, b)
                if t % _FOLD == _FOLD - 1 or t == rows - 1:
                    _fold(B)
        return
    for block in range(z.shape[0]):
        B = buffers[block]
        for t in range(rows):
            zt = z[block, t]
            if weights.shape[0] > 0:
                for x in range(2 * PAIR_LANES):
                    own[x] = B[x]
            if asymmetric:
                _losses_before(B)
            _pairs_day(zt, B, flag, a, b)
            if t % _FOLD == _FOLD - 1 or t == rows - 1:
                _fold(B)
            if asymmetric:
                _losses_after(zt, B, b, g)
            if weights.shape[0] > 0:
                for x in range(PAIR_LANES):
                    scores[t, 0] += B[x + 27 * PAIR_LANES]
                    scores[t, 1] += B[x + 28 * PAIR_LANES]
                    if asymmetric:
                        scores[t, 2] += B[x + 39 * PAIR_LANES]
                for kind in range(weights.shape[0]):
                    for x in range(PAIR_LANES):
                        push = weights[kind, t] * B[x + 24 * PAIR_LANES]
                        half = 0.5 * push * B[x + 26 * PAIR_LANES]
                        pressure[kind, 0, block * PAIR_LANES + x] -= half / own[x]
                        pressure[kind, 1, block * PAIR_LANES + x] -= half / own[x + PAIR_LANES]
                        pressure[kind, 2, block * PAIR_LANES + x] += push * B[x + 25 * PAIR_LANES]
