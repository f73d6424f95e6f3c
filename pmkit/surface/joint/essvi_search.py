"""The compiled search behind the eSSVI fit: Levenberg and Marquardt's steps in the coordinates of the box."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, stage
from pmkit.surface.joint.essvi_bound import psi_max_fast
from pmkit.surface.joint.essvi_kernel import PSI, THETA, box_and_tangents, box_pass, calendar_ratio

__all__ = ["anchored", "search_box", "slice_by_slice"]

_TILTS, _SCALES = 25, 16
#: A search that gains less than this share in so many evaluations has arrived.
_STALE, _WAIT = 1e-6, 20


@stage
def anchored(w_star: float, k_star: float, rho: float, psi: float) -> float:
    """Return the theta of the SSVI slice that passes through total variance ``w_star`` at ``k_star``."""
    return w_star - rho * psi * k_star - psi**2 * k_star**2 * (1.0 - rho**2) / (4.0 * w_star)


@stage
def _curve(theta: float, rho: float, psi: float, k: float) -> tuple[float, float]:
    """Return total variance at k and the root in it."""
    root = math.sqrt((psi * k + theta * rho) ** 2 + theta**2 * (1.0 - rho**2))
    return 0.5 * (theta + rho * psi * k + root), root


@stage
def _loss(theta: float, rho: float, psi: float, k: FloatArray, w: FloatArray, weight: FloatArray) -> float:
    total = 0.0
    for i in range(k.size):
        total += weight[i] * (_curve(theta, rho, psi, k[i])[0] - w[i]) ** 2
    return total


@stage
def _moments(
    theta: float,
    rho: float,
    psi: float,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    out: FloatArray,
) -> float:
    """Write the normal matrix (6 numbers) and the gradient (3) in theta, rho, psi; return the loss."""
    out[:] = 0.0
    total = 0.0
    for i in range(k.size):
        value, root = _curve(theta, rho, psi, k[i])
        gap = value - w[i]
        d_theta = 0.5 * (1.0 + (rho * psi * k[i] + theta) / root)
        d_rho = 0.5 * psi * k[i] * (1.0 + theta / root)
        d_psi = 0.5 * k[i] * (rho + (psi * k[i] + rho * theta) / root)
        total += weight[i] * gap * gap
        out[0] += weight[i] * d_theta * d_theta
        out[1] += weight[i] * d_theta * d_rho
        out[2] += weight[i] * d_theta * d_psi
        out[3] += weight[i] * d_rho * d_rho
        out[4] += weight[i] * d_rho * d_psi
        out[5] += weight[i] * d_psi * d_psi
        out[6] += weight[i] * gap * d_theta
        out[7] += weight[i] * gap * d_rho
        out[8] += weight[i] * gap * d_psi
    return total


@kernel
def slice_by_slice(
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    exact: bool,
    joined: bool,
    out: FloatArray,
) -> None:
    """Write theta, rho and psi (3, slices) of the best points of a grid, one slice after the other.

    The quote nearest the money fixes theta for each rho and psi. Where ``joined``, psi is sought above the
    least that the slice before allows.
    """
    for i in range(first.size - 1):
        here = slice(first[i], first[i + 1])
        x, v, h = k[here], w[here], weight[here]
        near = 0
        for j in range(x.size):
            if abs(x[j]) < abs(x[near]):
                near = j
        best = math.inf
        out[0, i], out[1, i], out[2, i] = v[near], 0.0, 0.1 * psi_max_fast(v[near], 0.0, exact)
        for t in range(_TILTS):
            rho = math.tanh(4.0 * t / (_TILTS - 1) - 2.0)
            high = 0.999 * psi_max_fast(v[near], rho, exact)
            low = 0.02 * high
            if joined and i > 0:
                low = max(low, out[2, i - 1] * calendar_ratio(out[1, i - 1], rho))
            if low >= high:
                continue
            for s in range(_SCALES):
                psi = low * (high / low) ** (s / (_SCALES - 1))
                theta = anchored(v[near], x[near], rho, psi)
                if joined and i > 0:
                    theta = max(theta, out[0, i - 1] * psi / out[2, i - 1])
                if theta <= 0.0:
                    continue
                loss = _loss(theta, rho, psi, x, v, h)
                if loss < best:
                    best, out[0, i], out[1, i], out[2, i] = loss, theta, rho, psi


@stage
def _solve(matrix: FloatArray, right: FloatArray, size: int) -> bool:
    """Overwrite ``right`` with the solution of a symmetric positive system (Cholesky), or say no."""
    for j in range(size):
        for i in range(j, size):
            total = matrix[i, j]
            for m in range(j):
                total -= matrix[i, m] * matrix[j, m]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[j, j] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(size):
        total = right[i]
        for m in range(i):
            total -= matrix[i, m] * right[m]
        right[i] = total / matrix[i, i]
    for i in range(size - 1, -1, -1):
        total = right[i]
        for m in range(i + 1, size):
            total -= matrix[m, i] * right[m]
        right[i] = total / matrix[i, i]
    return True


@stage
def _normal(
    tangents: FloatArray, moments: FloatArray, normal: FloatArray, gradient: FloatArray, half: FloatArray
) -> None:
    """Fill the normal matrix and the gradient in the coordinates of the box.

    ``tangents`` (2, slices, 3 slices) holds the derivatives of theta and psi; rho is its own coordinate.
    """
    n, size = moments.shape[0], gradient.size
    normal[:], gradient[:] = 0.0, 0.0
    for i in range(n):
        row = moments[i]
        for j in range(size):
            t, p = tangents[0, i, j], tangents[1, i, j]
            r = 1.0 if j == i else 0.0
            gradient[j] += row[6] * t + row[7] * r + row[8] * p
            half[0, j] = row[0] * t + row[1] * r + row[2] * p
            half[1, j] = row[1] * t + row[3] * r + row[4] * p
            half[2, j] = row[2] * t + row[4] * r + row[5] * p
        for j in range(size):
            t, p = tangents[0, i, j], tangents[1, i, j]
            if t == 0.0 and p == 0.0 and j != i:
                continue
            for m in range(j + 1):
                normal[j, m] += t * half[0, m] + p * half[2, m]
                if j == i:
                    normal[j, m] += half[1, m]


@stage
def _pass(x: FloatArray, exact: bool, table: FloatArray) -> None:
    n = table.shape[1]
    box_pass(x[:n], float(x[n]), x[n + 1 : 2 * n], x[2 * n :], exact, table)


@stage
def _whole_loss(
    x: FloatArray,
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    exact: bool,
    table: FloatArray,
) -> float:
    _pass(x, exact, table)
    total = 0.0
    for i in range(first.size - 1):
        here = slice(first[i], first[i + 1])
        total += _loss(table[THETA, i], x[i], table[PSI, i], k[here], w[here], weight[here])
    return total


@kernel
def search_box(
    first: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    exact: bool,
    bounds: FloatArray,
    limit: int,
    tolerance: float,
    x: FloatArray,
    out: FloatArray,
) -> None:
    """Move the box ``x`` (rho, theta_first, a, c) downhill within bounds; write loss, evaluations, converged.

    A coordinate at a bound that the gradient pushes outward is held for the step. Damping follows the gain.
    The maxima and minima in the box make kinks: there the search stops where its steps gain nothing.
    """
    n, size = first.size - 1, x.size
    table, tangents = np.empty((7, n)), np.empty((2, n, size))
    scratch, moments = np.empty((2, n, size)), np.empty((n, 9))
    normal, damped, gradient = np.empty((size, size)), np.empty((size, size)), np.empty(size)
    half, step, trial = np.empty((3, size)), np.empty(size), np.empty(size)
    free = np.empty(size, dtype=np.int64)
    for j in range(size):
        x[j] = min(max(x[j], bounds[0, j]), bounds[1, j])
    loss = _whole_loss(x, first, k, w, weight, exact, table)
    evaluations, damping, converged = 1, 1e-3, 0.0
    mark, loss_at_mark = 1, loss
    while evaluations < limit and converged == 0.0:
        if evaluations >= mark + _WAIT:
            # at a kink, such as equal rho of two slices, steps go on without end that gain nothing
            if loss_at_mark - loss <= _STALE * loss:
                converged = 1.0
                break
            mark, loss_at_mark = evaluations, loss
        box_and_tangents(x, exact, table, tangents, scratch)
        for i in range(n):
            here = slice(first[i], first[i + 1])
            _moments(table[THETA, i], x[i], table[PSI, i], k[here], w[here], weight[here], moments[i])
        _normal(tangents, moments, normal, gradient, half)
        count = 0
        for j in range(size):
            if x[j] <= bounds[0, j] and gradient[j] > 0.0:
                continue
            if x[j] >= bounds[1, j] and gradient[j] < 0.0:
                continue
            if normal[j, j] > 0.0:
                free[count] = j
                count += 1
        if count == 0:
            converged = 1.0
            break
        moved = False
        while evaluations < limit:
            for i in range(count):
                for j in range(i + 1):
                    damped[i, j] = normal[free[i], free[j]]
                damped[i, i] += damping * normal[free[i], free[i]]
                step[i] = -gradient[free[i]]
            good = _solve(damped, step, count)
            promised, expected = 0.0, 0.0
            if good:
                trial[:] = x
                for i in range(count):
                    j = free[i]
                    trial[j] = min(max(x[j] + step[i], bounds[0, j]), bounds[1, j])
                    promised -= gradient[j] * step[i]
                    expected -= gradient[j] * (trial[j] - x[j])
                gone = _whole_loss(trial, first, k, w, weight, exact, table)
                evaluations += 1
                if gone < loss:
                    moved = True
                    gain = loss - gone
                    if gain <= tolerance * loss and damping <= 1e-2:
                        converged = 1.0
                    x[:] = trial
                    loss = gone
                    damping = max(damping * (0.1 if gain > 0.5 * expected else 0.5), 1e-12)
                    break
                if promised <= 1e-3 * tolerance * loss:
                    # what this damping promises is not worth a step
                    converged = 1.0
                    break
            damping *= 5.0
            if damping > 1e9:
                converged = 1.0
                break
        if not moved and converged == 0.0:
            break
    out[0], out[1], out[2] = loss, evaluations, converged
