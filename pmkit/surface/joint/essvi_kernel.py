"""Compiled passes over a surface of SSVI slices: from the box to slices, derivatives, projection."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel, stage
from pmkit.surface.joint.essvi_bound import peak, psi_max_fast

__all__ = [
    "PSI",
    "ROWS",
    "THETA",
    "C",
    "F",
    "S",
    "box_and_tangents",
    "box_pass",
    "box_passes",
    "calendar_ratio",
    "projected_pass",
    "tangent_pass",
]

#: Rows of the table that a pass over the box fills.
THETA, PSI, P, F, S, A, C = range(7)
ROWS = ("theta", "psi", "p", "f", "S", "A", "C")


@stage
def calendar_ratio(rho_near: float, rho_far: float) -> float:
    """Return the least ratio of psi, far to near, at which neither wing is flatter than before."""
    return max((1.0 + rho_near) / (1.0 + rho_far), (1.0 - rho_near) / (1.0 - rho_far))


@stage
def box_pass(
    rho: FloatArray, theta_first: float, a: FloatArray, c: FloatArray, exact: bool, table: FloatArray
) -> None:
    """Fill ``table`` (7, slices) with theta, psi, p, f, S, A and C of a box."""
    n = rho.size
    table[P, 0], table[THETA, 0] = 1.0, theta_first
    for i in range(1, n):
        table[P, i] = calendar_ratio(rho[i - 1], rho[i])
        table[THETA, i] = table[THETA, i - 1] * table[P, i] + a[i - 1]
    for i in range(n - 1, -1, -1):
        table[F, i] = psi_max_fast(table[THETA, i], rho[i], exact)
        table[S, i] = table[F, i] if i == n - 1 else min(table[F, i], table[S, i + 1] / table[P, i + 1])
    for i in range(n):
        table[A, i], table[C, i] = 0.0, table[S, i]
        if i > 0:
            table[A, i] = table[PSI, i - 1] * table[P, i]
            table[C, i] = min(table[PSI, i - 1] * table[THETA, i] / table[THETA, i - 1], table[S, i])
        table[PSI, i] = table[A, i] + c[i] * (table[C, i] - table[A, i])


@kernel
def box_passes(
    rho: FloatArray, theta_first: FloatArray, a: FloatArray, c: FloatArray, exact: bool, tables: FloatArray
) -> None:
    """Fill one table (7, slices) per row of many boxes."""
    for row in range(theta_first.size):
        box_pass(rho[row], theta_first[row], a[row], c[row], exact, tables[row])


@kernel
def projected_pass(
    theta: FloatArray, rho: FloatArray, psi: FloatArray, exact: bool, edge: float, out: FloatArray
) -> None:
    """Write the theta and psi that a forward pass admits; the bounds are drawn in by ``edge`` each."""
    n = theta.size
    ratio, steep = np.ones(n), np.empty(n)
    for i in range(n):
        out[0, i] = theta[i]
        if i > 0:
            ratio[i] = calendar_ratio(rho[i - 1], rho[i])
            out[0, i] = max(theta[i], out[0, i - 1] * ratio[i] * (1.0 + edge))
    for i in range(n - 1, -1, -1):
        steep[i] = psi_max_fast(out[0, i], rho[i], exact)
        if i < n - 1:
            steep[i] = min(steep[i], steep[i + 1] / ratio[i + 1])
        steep[i] *= 1.0 - edge
    for i in range(n):
        low, high = 0.0, steep[i]
        if i > 0:
            low = out[1, i - 1] * ratio[i] * (1.0 + 0.25 * edge)
            high = min(high, out[1, i - 1] * out[0, i] / out[0, i - 1] * (1.0 - 0.25 * edge))
        out[1, i] = min(max(psi[i], low), high)


@stage
def _steepest_slopes(theta: float, rho: float, exact: bool) -> tuple[float, float]:
    """Return the derivatives of ln(psi_max) in theta and rho."""
    r = abs(rho)
    sign = 1.0 if rho >= 0.0 else -1.0
    if not exact:
        if theta * (1.0 + r) >= 4.0:
            return 0.0, -sign / (1.0 + r)
        return 0.5 / theta, -0.5 * sign / (1.0 + r)
    # at the peak of Q its place does not count (envelope)
    top, x = peak(theta, r)
    e = (1.0 - r) / (1.0 + r)
    far, square, one = 1.0 + e * x, 1.0 + e * x * x, (1.0 + x) ** 2
    bend = x * (1.0 - e * x * (3.0 + x * (3.0 - e * x))) / (far * square)
    bend_e = x * x * (-3.0 - 3.0 * x + 2.0 * e * x * x) / (far * square) - bend * (x / far + x * x / square)
    steep = 0.25 * (1.0 - e * x) ** 2 / one
    top_e = (-0.5 * theta * (1.0 + r) * x * (1.0 - e * x) + 4.0 / (1.0 + r) * bend_e) / one
    top_r = theta * steep - 4.0 * bend / ((1.0 + r) ** 2 * one) - 2.0 * top_e / (1.0 + r) ** 2
    by_theta = 0.5 / theta - 0.5 * (1.0 + r) * steep / top
    return by_theta, sign * (-0.5 / (1.0 + r) - 0.5 * top_r / top)


@stage
def tangent_pass(
    rho: FloatArray,
    c: FloatArray,
    exact: bool,
    table: FloatArray,
    d_theta: FloatArray,
    d_psi: FloatArray,
    d_steep: FloatArray,
    d_p: FloatArray,
) -> None:
    """Fill the derivatives of theta and psi (slices, 3 slices) in rho, theta_first, a and c.

    ``table`` holds the pass at the same point; ``d_steep`` and ``d_p`` are scratch. At a kink of a maximum or
    a minimum the derivative is that of the side which the pass took.
    """
    n = rho.size
    d_theta[:], d_psi[:], d_steep[:], d_p[:] = 0.0, 0.0, 0.0, 0.0
    d_theta[0, n] = 1.0
    for i in range(1, n):
        ratio = table[P, i]
        sign = 1.0 if rho[i - 1] >= rho[i] else -1.0
        # d_p holds the derivatives in rho of the slice before and of this one
        d_p[i, 0], d_p[i, 1] = sign / (1.0 + sign * rho[i]), -sign * ratio / (1.0 + sign * rho[i])
        for j in range(n + i):
            d_theta[i, j] = ratio * d_theta[i - 1, j]
        d_theta[i, i - 1] += table[THETA, i - 1] * d_p[i, 0]
        d_theta[i, i] += table[THETA, i - 1] * d_p[i, 1]
        d_theta[i, n + i] = 1.0
    for i in range(n - 1, -1, -1):
        if i < n - 1 and table[S, i] < table[F, i]:
            ratio = table[P, i + 1]
            for j in range(2 * n):
                d_steep[i, j] = d_steep[i + 1, j] / ratio
            d_steep[i, i] -= table[S, i] / ratio * d_p[i + 1, 0]
            d_steep[i, i + 1] -= table[S, i] / ratio * d_p[i + 1, 1]
            continue
        by_theta, by_rho = _steepest_slopes(table[THETA, i], rho[i], exact)
        for j in range(n + i + 1):
            d_steep[i, j] = table[F, i] * by_theta * d_theta[i, j]
        d_steep[i, i] += table[F, i] * by_rho
    for i in range(n):
        held = i > 0 and table[C, i] < table[S, i]
        growth = table[THETA, i] / table[THETA, i - 1] if i > 0 else 1.0
        for j in range(3 * n):
            low = table[P, i] * d_psi[i - 1, j] if i > 0 else 0.0
            high = d_steep[i, j]
            if held:
                high = growth * d_psi[i - 1, j]
                high += table[PSI, i - 1] / table[THETA, i - 1] * (d_theta[i, j] - growth * d_theta[i - 1, j])
            if i > 0 and j == i - 1:
                low += table[PSI, i - 1] * d_p[i, 0]
            if i > 0 and j == i:
                low += table[PSI, i - 1] * d_p[i, 1]
            d_psi[i, j] = low + c[i] * (high - low)
        d_psi[i, 2 * n + i] += table[C, i] - table[A, i]


@kernel
def box_and_tangents(
    x: FloatArray, exact: bool, table: FloatArray, tangents: FloatArray, scratch: FloatArray
) -> None:
    """Fill the table of a box ``x`` (rho, theta_first, a, c) and the derivatives of theta and psi in it.

    ``tangents`` and ``scratch`` have the shape (2, slices, 3 slices).
    """
    n = table.shape[1]
    box_pass(x[:n], float(x[n]), x[n + 1 : 2 * n], x[2 * n :], exact, table)
    tangent_pass(x[:n], x[2 * n :], exact, table, tangents[0], tangents[1], scratch[0], scratch[1])
