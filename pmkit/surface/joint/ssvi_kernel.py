"""The compiled SSVI fit: Levenberg and Marquardt's steps with the thetas eliminated.

A quote of one expiry depends on that expiry's theta and on the three numbers that all expiries share, so the
normal matrix is an arrow: its shaft is divided out and three equations are left, whatever the number of
expiries.
"""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, stage
from pmkit.surface.joint.essvi_bound import psi_max_fast

__all__ = [
    "GAMMA_EDGE",
    "HESTON",
    "LAM_EDGE",
    "MODIFIED",
    "POWER",
    "RHO_EDGE",
    "coarse_grid",
    "fit_arrow",
    "worst_share",
]

POWER, MODIFIED, HESTON = 0, 1, 2
#: How near gamma comes to 0 and 1, and how far atanh rho and ln lam are sought.
GAMMA_EDGE, RHO_EDGE, LAM_EDGE = 1e-6, 3.8, 15.0


@stage
def _scales(kind: int, theta: float, first: float, second: float, out: FloatArray) -> None:
    """Write psi, and the derivatives of ln psi in ln theta and in the two coordinates of phi.

    The coordinates are ln eta and gamma, or ln lam and a second one without effect.
    """
    if kind == POWER:
        out[0] = math.exp(first + (1.0 - second) * math.log(theta))
        out[1], out[2], out[3] = 1.0 - second, 1.0, -math.log(theta)
        return
    if kind == MODIFIED:
        ratio = math.log(theta) - math.log1p(theta)
        out[0] = math.exp(first + (1.0 - second) * ratio)
        out[1], out[2], out[3] = (1.0 - second) / (1.0 + theta), 1.0, -ratio
        return
    lam = math.exp(first)
    x = lam * theta
    if x < 0.1:
        phi = 0.5 - x / 6.0 + x * x / 24.0 - x**3 / 120.0 + x**4 / 720.0 - x**5 / 5040.0 + x**6 / 40320.0
        slope = 0.5 - x / 3.0 + x * x / 8.0 - x**3 / 30.0 + x**4 / 144.0 - x**5 / 840.0 + 7.0 * x**6 / 40320.0
    else:
        phi = (1.0 + math.expm1(-x) / x) / x
        slope = -(math.expm1(-x) + x * math.exp(-x)) / (x * x)
    growth = slope / phi
    # psi = theta phi(lam theta): its elasticity in lam is that in theta less 1
    out[0], out[1], out[2], out[3] = theta * phi, growth, growth - 1.0, 0.0


@stage
def _slice_sums(
    theta: float,
    rho: float,
    scale: FloatArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    out: FloatArray,
) -> float:
    """Write the sums of one slice for the normal equations and return its loss.

    Coordinates: ln theta, then atanh rho and the two of phi. In order: the shaft, its three couplings, the
    upper triangle of the head, and the four gradients.
    """
    psi, by_theta, by_first, by_second = scale[0], scale[1], scale[2], scale[3]
    rest = (1.0 - rho) * (1.0 + rho)
    rt, least = rho * theta, theta * theta * rest
    tt = tp = tr = pp = pr = rr = gt = gp = gr = loss = 0.0
    for i in range(k.size):
        x = psi * k[i]
        root = math.sqrt((x + rt) ** 2 + least)
        gap = 0.5 * (theta + rho * x + root) - w[i]
        h = weight[i]
        # derivatives in ln theta (at fixed psi), ln psi and atanh rho
        t = 0.5 * (theta + theta * (theta + rho * x) / root)
        p = 0.5 * x * (rho + (x + rt) / root)
        r = 0.5 * x * (1.0 + theta / root) * rest
        ht, hp, hr, hg = h * t, h * p, h * r, h * gap
        tt += ht * t
        tp += ht * p
        tr += ht * r
        pp += hp * p
        pr += hp * r
        rr += hr * r
        gt += hg * t
        gp += hg * p
        gr += hg * r
        loss += hg * gap
    out[0] = tt + 2.0 * by_theta * tp + by_theta * by_theta * pp
    out[1] = tr + by_theta * pr
    out[2], out[3] = (tp + by_theta * pp) * by_first, (tp + by_theta * pp) * by_second
    out[4], out[5], out[6] = rr, pr * by_first, pr * by_second
    out[7], out[8], out[9] = pp * by_first * by_first, pp * by_first * by_second, pp * by_second * by_second
    out[10] = gt + by_theta * gp
    out[11], out[12], out[13] = gr, gp * by_first, gp * by_second
    return loss


@stage
def _head(sums: FloatArray, damping: float, held: int, step: FloatArray) -> bool:
    """Write the step of the three shared coordinates, the thetas eliminated (Schur); say if it exists.

    ``held`` is the number of trailing coordinates that do not move.
    """
    a = b = c = d = e = f = ga = gb = gc = 0.0
    for i in range(sums.shape[0]):
        row = sums[i]
        shaft = row[0] * (1.0 + damping)
        u, v, s = row[1] / shaft, row[2] / shaft, row[3] / shaft
        a += row[4] * (1.0 + damping) - u * row[1]
        b += row[5] - u * row[2]
        c += row[6] - u * row[3]
        d += row[7] * (1.0 + damping) - v * row[2]
        e += row[8] - v * row[3]
        f += row[9] * (1.0 + damping) - s * row[3]
        ga += row[11] - u * row[10]
        gb += row[12] - v * row[10]
        gc += row[13] - s * row[10]
    if held >= 1:
        c, e, f, gc = 0.0, 0.0, 1.0, 0.0
    if held >= 2:
        b, d, gb = 0.0, 1.0, 0.0
    # Cholesky of the three by three
    if not a > 0.0:
        return False
    l11 = math.sqrt(a)
    l21, l31 = b / l11, c / l11
    rest = d - l21 * l21
    if not rest > 0.0:
        return False
    l22 = math.sqrt(rest)
    l32 = (e - l31 * l21) / l22
    rest = f - l31 * l31 - l32 * l32
    if not rest > 0.0:
        return False
    l33 = math.sqrt(rest)
    y1 = -ga / l11
    y2 = (-gb - l21 * y1) / l22
    y3 = (-gc - l31 * y1 - l32 * y2) / l33
    step[2] = y3 / l33
    step[1] = (y2 - l32 * step[2]) / l22
    step[0] = (y1 - l21 * step[1] - l31 * step[2]) / l11
    return True


@stage
def _all_sums(
    kind: int,
    x: FloatArray,
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    scale: FloatArray,
    sums: FloatArray,
) -> float:
    """Write the sums of all slices at ln theta (slices), atanh rho and phi's two; return the loss."""
    n = first.size - 1
    rho, loss = math.tanh(x[n]), 0.0
    for i in range(n):
        here = slice(first[i], first[i + 1])
        theta = math.exp(x[i])
        _scales(kind, theta, x[n + 1], x[n + 2], scale)
        loss += _slice_sums(theta, rho, scale, k[here], w[here], weight[here], sums[i])
    return loss


@kernel
def fit_arrow(
    kind: int,
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    limit: int,
    tolerance: float,
    x: FloatArray,
    out: FloatArray,
) -> None:
    """Move ln theta, atanh rho and phi's coordinates downhill; write loss, evaluations and converged.

    No arbitrage is excluded here but gamma outside [0, 1]: at an end it is held.
    """
    n = first.size - 1
    scale, step = np.empty(4), np.empty(3)
    sums, other, trial = np.empty((n, 14)), np.empty((n, 14)), np.empty(n + 3)
    loss = _all_sums(kind, x, first, k, w, weight, scale, sums)
    evaluations, damping, converged = 1, 1e-6, 0.0
    while evaluations < limit:
        # gradients of the two numbers of phi decide whether one rests at an end of its range
        on_first = on_second = 0.0
        for i in range(n):
            on_first += sums[i, 12]
            on_second += sums[i, 13]
        if kind == HESTON:
            held = 2 if abs(x[n + 1]) >= LAM_EDGE and on_first * x[n + 1] < 0.0 else 1
        else:
            low, high = x[n + 2] <= GAMMA_EDGE, x[n + 2] >= 1.0 - GAMMA_EDGE
            held = 1 if (low and on_second > 0.0) or (high and on_second < 0.0) else 0
        promised = 0.0
        if _head(sums, damping, held, step):
            trial[:] = x
            for j in range(3):
                trial[n + j] += step[j]
            trial[n] = min(max(trial[n], -RHO_EDGE), RHO_EDGE)
            if kind == HESTON:
                trial[n + 1] = min(max(trial[n + 1], -LAM_EDGE), LAM_EDGE)
            else:
                trial[n + 2] = min(max(trial[n + 2], GAMMA_EDGE), 1.0 - GAMMA_EDGE)
            for i in range(n):
                row = sums[i]
                back = row[10] + row[1] * step[0] + row[2] * step[1] + row[3] * step[2]
                move = -back / (row[0] * (1.0 + damping))
                promised -= row[10] * move + row[11] * step[0] + row[12] * step[1] + row[13] * step[2]
                trial[i] += min(max(move, -1.0), 1.0)
            gone = _all_sums(kind, trial, first, k, w, weight, scale, other)
            evaluations += 1
            if gone <= loss:
                gain = loss - gone
                x[:] = trial
                sums[:] = other
                loss = gone
                damping = max(damping * 0.1, 1e-12)
                if gain <= tolerance * loss:
                    converged = 1.0
                    break
                continue
            if promised <= tolerance * loss:
                converged = 1.0
                break
        damping = max(damping, 1e-6) * 10.0
        if damping > 1e9:
            break
    out[0], out[1], out[2] = loss, evaluations, converged


@stage
def _slice_loss(
    theta: float, rho: float, psi: float, k: FloatArray, w: FloatArray, weight: FloatArray
) -> float:
    loss, least = 0.0, theta * theta * (1.0 - rho * rho)
    for i in range(k.size):
        x = psi * k[i]
        gap = 0.5 * (theta + rho * x + math.sqrt((x + rho * theta) ** 2 + least)) - w[i]
        loss += weight[i] * gap * gap
    return loss


@kernel
def coarse_grid(
    kind: int,
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    x: FloatArray,
) -> None:
    """Write a start to ``x``: total variance nearest the money, the best of a grid over tilt and scale."""
    n = first.size - 1
    middle = 0.0
    for i in range(n):
        near = first[i]
        for j in range(first[i], first[i + 1]):
            if abs(k[j]) < abs(k[near]):
                near = j
        x[i] = math.log(w[near])
        middle += x[i] / n
    scale, best = np.empty(4), math.inf
    for r in range(3):
        tilt = 0.6 * (r - 1)
        for s in range(4):
            # psi over the root of theta from a fifth to twice, or lam theta of the middle slice
            level = math.log(0.25) + s / 3.0 * math.log(8.0) if kind != HESTON else 2.0 * s - 2.0 - middle
            second = 0.5 if kind != HESTON else 0.0
            loss = 0.0
            for i in range(n):
                here = slice(first[i], first[i + 1])
                theta = math.exp(x[i])
                _scales(kind, theta, level, second, scale)
                loss += _slice_loss(theta, math.tanh(tilt), scale[0], k[here], w[here], weight[here])
            if loss < best:
                best = loss
                x[n], x[n + 1], x[n + 2] = tilt, level, second


@kernel
def worst_share(
    kind: int, first: float, second: float, rho: float, low: float, high: float, exact: bool, levels: int
) -> float:
    """Return the greatest psi over its butterfly bound on levels of theta in geometric order."""
    scale, worst = np.empty(4), 0.0
    for i in range(levels):
        theta = low * (high / low) ** (i / (levels - 1))
        _scales(kind, theta, first, second, scale)
        worst = max(worst, scale[0] / psi_max_fast(theta, rho, exact))
    return worst
