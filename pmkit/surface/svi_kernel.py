"""The compiled search behind the SVI fit: a linear problem inside, two numbers outside.

At given m and sigma a raw slice is linear in ``a``, ``d = rho b sigma`` and ``c = b sigma`` with the columns
1, ``y = (k - m)/sigma`` and ``z = sqrt(y² + 1)``. In ``p = c + d`` and ``q = c - d``, the wing slopes times
sigma, the moment bound is a square, so that the inner problem is solved exactly (De Marco and Martini, 2009).
"""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel, stage

__all__ = ["AT_FLAT_WING", "AT_LEVEL", "AT_SEARCH", "AT_STEEP_WING", "AT_ZERO", "search"]

#: Which bound the best point lies on; added up.
AT_FLAT_WING, AT_STEEP_WING, AT_LEVEL, AT_ZERO, AT_SEARCH = 1, 2, 4, 8, 16

# places in the row that a profile writes
_A, _P, _Q, _FLAGS = 0, 1, 2, 3


@stage
def _box_least_squares(
    yy: float, yz: float, zz: float, ry: float, rz: float, low: float, high: float, out: FloatArray
) -> None:
    """Write the p, q in [low, high]² that minimise the sum of squares with d = (p - q)/2, c = (p + q)/2.

    The moments are those of the columns y and z: the minimum inside where it is admissible, else the best
    point of the four edges, which is the answer because the problem is convex.
    """
    det = yy * zz - yz * yz
    if det > 1e-13 * yy * zz:
        d, c = (ry * zz - rz * yz) / det, (rz * yy - ry * yz) / det
        p, q = c + d, c - d
        if low <= p <= high and low <= q <= high:
            out[_P], out[_Q] = p, q
            return
    pp, qq, pq = 0.25 * (zz + 2.0 * yz + yy), 0.25 * (zz - 2.0 * yz + yy), 0.25 * (zz - yy)
    rp, rq = 0.5 * (rz + ry), 0.5 * (rz - ry)
    best = math.inf
    for edge in range(4):
        fixed = low if edge % 2 == 0 else high
        if edge < 2:
            p = fixed
            q = (rq - pq * p) / qq if qq > 0.0 else low
            q = min(max(q, low), high)
        else:
            q = fixed
            p = (rp - pq * q) / pp if pp > 0.0 else low
            p = min(max(p, low), high)
        value = 0.5 * (pp * p * p + qq * q * q) + pq * p * q - rp * p - rq * q
        if value < best:
            best, out[_P], out[_Q] = value, p, q


@stage
def _profile(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    m: float,
    sigma: float,
    min_a: float,
    steepest: float,
    scratch: FloatArray,
    out: FloatArray,
) -> float:
    """Return the least weighted sum of squares at given m and sigma; write a, p, q and bounds to ``out``."""
    n = k.size
    total = my = mz = mw = 0.0
    for i in range(n):
        y = (k[i] - m) / sigma
        # z - 1 without cancellation near the bottom
        z = y * y / (1.0 + math.sqrt(1.0 + y * y))
        scratch[0, i], scratch[1, i] = y, z
        total += weight[i]
        my += weight[i] * y
        mz += weight[i] * z
        mw += weight[i] * w[i]
    my, mz, mw = my / total, mz / total, mw / total
    yy = yz = zz = ry = rz = 0.0
    for i in range(n):
        y, z, v = scratch[0, i] - my, scratch[1, i] - mz, w[i] - mw
        yy += weight[i] * y * y
        yz += weight[i] * y * z
        zz += weight[i] * z * z
        ry += weight[i] * y * v
        rz += weight[i] * z * v
    # a raw slice needs |rho| < 1, hence two wings that are not exactly flat
    high = steepest * sigma
    low = min(max(1e-6 * mw, 1e-9 * high), 0.5 * high)
    _box_least_squares(yy, yz, zz, ry, rz, low, high, out)
    d, c = 0.5 * (out[_P] - out[_Q]), 0.5 * (out[_P] + out[_Q])
    a, flags = mw - d * my - c * (mz + 1.0), 0
    if a < min_a:
        a, flags = min_a, AT_LEVEL
        yy = yz = zz = ry = rz = 0.0
        for i in range(n):
            y, z, v = scratch[0, i], scratch[1, i] + 1.0, w[i] - a
            yy += weight[i] * y * y
            yz += weight[i] * y * z
            zz += weight[i] * z * z
            ry += weight[i] * y * v
            rz += weight[i] * z * v
        _box_least_squares(yy, yz, zz, ry, rz, low, high, out)
        d, c = 0.5 * (out[_P] - out[_Q]), 0.5 * (out[_P] + out[_Q])
    bottom = 1e-6 * mw - math.sqrt(out[_P] * out[_Q])
    if a < bottom:
        # total variance stays positive: the level is lifted, and the search moves away from here by itself
        a, flags = bottom, AT_ZERO
    if out[_P] <= low or out[_Q] <= low:
        flags += AT_FLAT_WING
    if out[_P] >= high or out[_Q] >= high:
        flags += AT_STEEP_WING
    out[_A], out[_FLAGS] = a, flags
    loss = 0.0
    for i in range(n):
        gap = a + c + d * scratch[0, i] + c * scratch[1, i] - w[i]
        loss += weight[i] * gap * gap
    return loss


@stage
def _try(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    scratch: FloatArray,
    row: FloatArray,
    corners: FloatArray,
    factor: float,
    trial: FloatArray,
) -> None:
    """Write the point at ``factor`` times the way from the centre of the two better corners to the worst."""
    for i in range(2):
        centre = 0.5 * (corners[0, i] + corners[1, i])
        trial[i] = min(max(centre + factor * (corners[2, i] - centre), box[i, 0]), box[i, 1])
    trial[2] = _profile(k, w, weight, trial[0], math.exp(trial[1]), min_a, steepest, scratch, row)


@stage
def _simplex(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    scratch: FloatArray,
    row: FloatArray,
    x: FloatArray,
    step: float,
    rounds: int,
) -> bool:
    """Move ``x`` = (m, ln sigma, loss) downhill by Nelder and Mead's simplex in a box; say if it closed."""
    t, trial, other = np.empty((3, 3)), np.empty(3), np.empty(3)
    for j in range(3):
        t[j, 0], t[j, 1] = x[0], x[1]
        if j > 0:
            width = step * (box[j - 1, 1] - box[j - 1, 0])
            t[j, j - 1] += width if x[j - 1] + width <= box[j - 1, 1] else -width
        t[j, 2] = _profile(k, w, weight, t[j, 0], math.exp(t[j, 1]), min_a, steepest, scratch, row)
    closed = False
    for _ in range(rounds):
        for pair in (0, 1, 0):
            if t[pair + 1, 2] < t[pair, 2]:
                for i in range(3):
                    t[pair, i], t[pair + 1, i] = t[pair + 1, i], t[pair, i]
        size = 0.0
        for i in range(2):
            for j in range(1, 3):
                size = max(size, abs(t[j, i] - t[0, i]) / (box[i, 1] - box[i, 0]))
        if size < 1e-10 or (size < 1e-6 and t[2, 2] - t[0, 2] <= 1e-13 * t[0, 2]):
            closed = True
            break
        _try(k, w, weight, min_a, steepest, box, scratch, row, t, -1.0, trial)
        if trial[2] < t[0, 2]:
            _try(k, w, weight, min_a, steepest, box, scratch, row, t, -2.0, other)
            if other[2] < trial[2]:
                trial[:] = other
        elif trial[2] >= t[1, 2]:
            _try(
                k,
                w,
                weight,
                min_a,
                steepest,
                box,
                scratch,
                row,
                t,
                -0.5 if trial[2] < t[2, 2] else 0.5,
                other,
            )
            if other[2] < min(trial[2], t[2, 2]):
                trial[:] = other
            elif trial[2] >= t[2, 2]:
                for j in range(1, 3):
                    for i in range(2):
                        t[j, i] = 0.5 * (t[0, i] + t[j, i])
                    t[j, 2] = _profile(
                        k, w, weight, t[j, 0], math.exp(t[j, 1]), min_a, steepest, scratch, row
                    )
                continue
        t[2, :] = trial
    best = 0
    for j in range(1, 3):
        if t[j, 2] < t[best, 2]:
            best = j
    x[:] = t[best]
    return closed


@kernel
def search(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    starts: int,
    out: FloatArray,
) -> bool:
    """Write a, b, rho, m, sigma, loss and bounds of the best fit to ``out``; return whether it converged.

    A grid over the box (m, ln sigma) gives the starts: its lowest dips, each carried downhill; the best is
    started anew with a small simplex until that gains nothing.
    """
    columns, lines = 15, 13
    scratch, row = np.empty((2, k.size)), np.empty(4)
    grid = np.empty((columns, lines))
    for i in range(columns):
        for j in range(lines):
            m = box[0, 0] + (box[0, 1] - box[0, 0]) * i / (columns - 1)
            s = box[1, 0] + (box[1, 1] - box[1, 0]) * j / (lines - 1)
            grid[i, j] = _profile(k, w, weight, m, math.exp(s), min_a, steepest, scratch, row)
    best, x = np.array([0.0, 0.0, math.inf]), np.empty(3)
    taken = np.zeros((columns, lines), dtype=np.bool_)
    for _ in range(starts):
        found, at_i, at_j = math.inf, -1, -1
        for i in range(columns):
            for j in range(lines):
                if taken[i, j] or grid[i, j] >= found:
                    continue
                found, at_i, at_j = grid[i, j], i, j
        if at_i < 0:
            break
        # neighbours of a start would lead to the same place
        for i in range(max(at_i - 1, 0), min(at_i + 2, columns)):
            for j in range(max(at_j - 1, 0), min(at_j + 2, lines)):
                taken[i, j] = True
        x[0] = box[0, 0] + (box[0, 1] - box[0, 0]) * at_i / (columns - 1)
        x[1] = box[1, 0] + (box[1, 1] - box[1, 0]) * at_j / (lines - 1)
        _simplex(k, w, weight, min_a, steepest, box, scratch, row, x, 0.05, 40)
        if x[2] < best[2]:
            best[:] = x
    converged = False
    for _ in range(12):
        before = best[2]
        closed = _simplex(k, w, weight, min_a, steepest, box, scratch, row, best, 0.01, 300)
        if closed and best[2] >= before * (1.0 - 1e-9):
            converged = True
            break
    sigma = math.exp(best[1])
    loss = _profile(k, w, weight, best[0], sigma, min_a, steepest, scratch, row)
    flags = row[_FLAGS]
    for i in range(2):
        margin = 1e-6 * (box[i, 1] - box[i, 0])
        if best[i] <= box[i, 0] + margin or best[i] >= box[i, 1] - margin:
            flags += AT_SEARCH
            break
    out[0], out[1] = row[_A], 0.5 * (row[_P] + row[_Q]) / sigma
    out[2] = (row[_P] - row[_Q]) / (row[_P] + row[_Q])
    out[3], out[4], out[5], out[6] = best[0], sigma, loss, flags
    return converged
