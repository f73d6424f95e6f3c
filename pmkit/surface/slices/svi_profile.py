"""The linear half of the SVI fit: level and wings at a given place and width, with bounds, in closed form.

At given m and sigma a raw slice is linear in ``a``, ``d = rho b sigma`` and ``c = b sigma`` with the columns
1, ``y = (k - m)/sigma`` and ``z = sqrt(y² + 1)``. In ``p = c + d`` and ``q = c - d``, the wing slopes times
sigma, the moment bound is a square, so that this problem is solved exactly (De Marco and Martini, 2009).
What is left is a function of m and sigma alone; :func:`profile` gives it with its derivatives.
"""

from __future__ import annotations

import math

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import stage

__all__ = [
    "AT_FLAT_WING",
    "AT_LEVEL",
    "AT_SEARCH",
    "AT_STEEP_WING",
    "AT_ZERO",
    "FLAGS",
    "A",
    "P",
    "Q",
    "centred",
    "linear",
    "profile",
]

#: Which bound the best point lies on; added up.
AT_FLAT_WING, AT_STEEP_WING, AT_LEVEL, AT_ZERO, AT_SEARCH = 1, 2, 4, 8, 16

#: Places in the row that the linear problem writes: its solution, then the moments it was solved with.
A, P, Q, FLAGS = 0, 1, 2, 3
_LOW, _HIGH, _MZ, _YY, _YZ, _ZZ, _RY, _RZ = 4, 5, 6, 7, 8, 9, 10, 11

# places among the moments of the quotes
_TOTAL, _MK, _MW, _KK, _KW, _WW, _LEAST = 0, 1, 2, 3, 4, 5, 6

# lines of the table of points: k and w about their means, weight, then room for columns
_K, _W, _WEIGHT, _Y, _Z, _T, _R, _E = 0, 1, 2, 3, 4, 5, 6, 7

#: Lines of that table.
LINES = 8


@stage
def centred(k: FloatArray, w: FloatArray, weight: FloatArray, points: FloatArray, about: FloatArray) -> None:
    """Fill the table of points and the seven moments of the quotes."""
    n = k.size
    total = mk = mw = 0.0
    for i in range(n):
        total += weight[i]
        mk += weight[i] * k[i]
        mw += weight[i] * w[i]
    mk, mw = mk / total, mw / total
    kk = kw = ww = 0.0
    for i in range(n):
        x, v = k[i] - mk, w[i] - mw
        points[_K, i], points[_W, i], points[_WEIGHT, i] = x, v, weight[i]
        kk += weight[i] * x * x
        kw += weight[i] * x * v
        ww += weight[i] * v * v
    about[_TOTAL], about[_MK], about[_MW] = total, mk, mw
    about[_KK], about[_KW], about[_WW] = kk, kw, ww
    # a raw slice needs |rho| < 1, hence two wings that are not exactly flat
    about[_LEAST] = 1e-6 * mw / (k[n - 1] - k[0])


@stage
def _box_least_squares(
    yy: float, yz: float, zz: float, ry: float, rz: float, low: float, high: float, row: FloatArray
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
            row[P], row[Q] = p, q
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
            best, row[P], row[Q] = value, p, q


@stage
def linear(
    points: FloatArray,
    about: FloatArray,
    m: float,
    sigma: float,
    min_a: float,
    steepest: float,
    row: FloatArray,
) -> float:
    """Return about the least weighted sum of squares at given m and sigma; write solution and moments.

    The sum comes from moments, to about 1e-14 of the spread of w: good for choosing a start, not for a fit.
    """
    n = points.shape[1]
    total, mw, inverse = about[_TOTAL], about[_MW], 1.0 / sigma
    my = (about[_MK] - m) * inverse
    for i in range(n):
        y = points[_K, i] * inverse + my
        # z - 1 without cancellation near the bottom
        points[_Y, i], points[_Z, i] = y, y * y / (1.0 + math.sqrt(1.0 + y * y))
    sz = syz = szz = rz = 0.0
    for i in range(n):
        z = points[_Z, i]
        f = points[_WEIGHT, i] * z
        sz += f
        syz += f * points[_K, i]
        szz += f * z
        rz += f * points[_W, i]
    mz = sz / total
    yy, yz, zz = about[_KK] * inverse * inverse, syz * inverse, szz - sz * mz
    ry = about[_KW] * inverse
    high = steepest * sigma
    low = min(about[_LEAST] * sigma, 0.5 * high)
    _box_least_squares(yy, yz, zz, ry, rz, low, high, row)
    d, c = 0.5 * (row[P] - row[Q]), 0.5 * (row[P] + row[Q])
    free = mw - d * my - c * (mz + 1.0)
    a, flags = free, 0
    row[_YY], row[_YZ], row[_ZZ], row[_RY], row[_RZ] = yy, yz, zz, ry, rz
    if a < min_a:
        a, flags = min_a, AT_LEVEL
        # the same moments about 0 instead of the means, of y and of z itself
        one = mz + 1.0
        row[_YY], row[_YZ], row[_ZZ] = yy + total * my * my, yz + total * my * one, zz + total * one * one
        row[_RY], row[_RZ] = ry + total * my * (mw - a), rz + total * one * (mw - a)
        _box_least_squares(row[_YY], row[_YZ], row[_ZZ], row[_RY], row[_RZ], low, high, row)
        d, c = 0.5 * (row[P] - row[Q]), 0.5 * (row[P] + row[Q])
        free = mw - d * my - c * one
    bottom = 1e-6 * mw - math.sqrt(row[P] * row[Q])
    if a < bottom:
        # total variance stays positive: the level is lifted, and the search moves away from here by itself
        a, flags = bottom, AT_ZERO
    if row[P] <= low or row[Q] <= low:
        flags += AT_FLAT_WING
    if row[P] >= high or row[Q] >= high:
        flags += AT_STEEP_WING
    row[A], row[FLAGS], row[_LOW], row[_HIGH], row[_MZ] = a, flags, low, high, mz
    squares = about[_WW] + d * d * yy + 2.0 * d * c * yz + c * c * zz - 2.0 * (d * ry + c * rz)
    return float(squares + total * (a - free) ** 2)


@stage
def profile(
    points: FloatArray,
    about: FloatArray,
    m: float,
    sigma: float,
    min_a: float,
    steepest: float,
    row: FloatArray,
    slopes: FloatArray,
) -> float:
    """Return the least weighted sum of squares at given m and sigma, summed from the residuals.

    ``slopes`` gets half its derivatives in m and ln sigma and the three numbers of its Gauss-Newton matrix,
    the part of the columns that level and wings cannot take up (Kaufman, 1975).
    """
    linear(points, about, m, sigma, min_a, steepest, row)
    n, inverse = points.shape[1], 1.0 / sigma
    my, mz, total = (about[_MK] - m) * inverse, row[_MZ], about[_TOTAL]
    d, c = 0.5 * (row[P] - row[Q]), 0.5 * (row[P] + row[Q])
    base = row[A] + c + d * my - about[_MW]
    tilt = d * inverse
    for i in range(n):
        r = 1.0 / (1.0 + points[_Z, i])
        points[_R, i], points[_T, i] = r, points[_Y, i] * r
        points[_E, i] = base + tilt * points[_K, i] + c * points[_Z, i] - points[_W, i]
    st = sr = se = tr = rr = et = er = loss = 0.0
    for i in range(n):
        f, t, r, e = points[_WEIGHT, i], points[_T, i], points[_R, i], points[_E, i]
        fr, fe = f * r, f * e
        st += f * t
        sr += fr
        se += fe
        tr += fr * t
        rr += fr * r
        et += fe * t
        er += fe * r
        loss += fe * e
    # with root = 1 + z, t = y/root and r = 1/root the other moments follow from these
    tt = total - rr
    ty, tz = total * (1.0 + mz) - sr - my * st, total * my - st
    ry, rz = st - my * sr, total - sr
    # the columns in m and ln sigma are -(d + c t)/sigma and c r
    u, v = -c * inverse, c
    if row[A] > min_a:
        tt, tr, rr = tt - st * st / total, tr - st * sr / total, rr - sr * sr / total
        tz, rz = tz - st * mz, rz - sr * mz
        slopes[0] = u * et
        my_, mz_, sy_, sz_ = u * ty, u * tz, v * ry, v * rz
        slopes[2], slopes[3], slopes[4] = u * u * tt, u * v * tr, v * v * rr
    else:
        o = -d * inverse
        slopes[0] = u * et + o * se
        my_ = u * (ty + my * st) + o * total * my
        mz_ = u * (tz + st) + o * total * (mz + 1.0)
        sy_, sz_ = v * (ry + my * sr), v * (rz + sr)
        slopes[2] = u * u * tt + 2.0 * u * o * st + o * o * total
        slopes[3], slopes[4] = v * (u * tr + o * sr), v * v * rr
    slopes[1] = v * er
    yy, yz, zz = row[_YY], row[_YZ], row[_ZZ]
    p_free = row[_LOW] < row[P] < row[_HIGH]
    q_free = row[_LOW] < row[Q] < row[_HIGH]
    if p_free and q_free:
        det = yy * zz - yz * yz
        if det > 0.0:
            slopes[2] -= (zz * my_ * my_ - 2.0 * yz * my_ * mz_ + yy * mz_ * mz_) / det
            slopes[3] -= (zz * my_ * sy_ - yz * (my_ * sz_ + mz_ * sy_) + yy * mz_ * sz_) / det
            slopes[4] -= (zz * sy_ * sy_ - 2.0 * yz * sy_ * sz_ + yy * sz_ * sz_) / det
    elif p_free or q_free:
        sign = 1.0 if p_free else -1.0
        norm = zz + 2.0 * sign * yz + yy
        if norm > 0.0:
            of_m, of_s = mz_ + sign * my_, sz_ + sign * sy_
            slopes[2] -= of_m * of_m / norm
            slopes[3] -= of_m * of_s / norm
            slopes[4] -= of_s * of_s / norm
    return loss
