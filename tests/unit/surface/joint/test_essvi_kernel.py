"""The compiled passes against plain twins: the box, its derivatives, and the projection."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.core.random import stream
from pmkit.surface import EssviBox, box_to_parameters, project, psi_max
from pmkit.surface.joint.essvi_kernel import PSI, THETA, box_and_tangents


def plain_box(box: EssviBox) -> tuple[np.ndarray, np.ndarray]:
    """Return theta and psi of a box, written down slice by slice."""
    n, rho = box.size, box.rho
    p = [1.0] + [max((1 + rho[i - 1]) / (1 + rho[i]), (1 - rho[i - 1]) / (1 - rho[i])) for i in range(1, n)]
    theta = [box.theta_first]
    for i in range(1, n):
        theta.append(theta[-1] * p[i] + box.a[i - 1])
    f = [float(psi_max(t, r, box.bound)) for t, r in zip(theta, rho, strict=True)]
    s = f.copy()
    for i in reversed(range(n - 1)):
        s[i] = min(f[i], s[i + 1] / p[i + 1])
    psi = [box.c[0] * s[0]]
    for i in range(1, n):
        low, high = psi[-1] * p[i], min(psi[-1] * theta[i] / theta[i - 1], s[i])
        psi.append(low + box.c[i] * (high - low))
    return np.array(theta), np.array(psi)


def random_box(seed: int, n: int, bound: str) -> EssviBox:
    rng = stream(seed, "box")
    first = float(10.0 ** rng.uniform(-4.0, 0.5))
    return EssviBox(
        rho=rng.uniform(-0.85, 0.85, n),
        theta_first=first,
        a=first * rng.uniform(0.01, 2.0, n - 1),
        c=rng.uniform(0.02, 0.98, n),
        bound="mm" if bound == "mm" else "gj",
    )


@pytest.mark.parametrize("bound", ["mm", "gj"])
def test_the_pass_over_a_box_equals_its_plain_twin(bound: str) -> None:
    for seed in range(50):
        box = random_box(seed, 1 + seed % 7, bound)
        theta, psi = plain_box(box)
        curves = box_to_parameters(box)
        assert curves.theta == pytest.approx(theta, rel=1e-14)
        assert curves.psi == pytest.approx(psi, rel=1e-13)


@pytest.mark.parametrize("bound", ["mm", "gj"])
def test_derivatives_equal_differences(bound: str) -> None:
    exact = bound == "mm"
    for seed in range(40):
        n = 1 + seed % 6
        box = random_box(100 + seed, n, bound)
        x = np.concatenate([box.rho, [box.theta_first], box.a, box.c])

        def tables(at: np.ndarray, n: int = n) -> tuple[np.ndarray, np.ndarray]:
            table, tangents = np.empty((7, n)), np.empty((2, n, 3 * n))
            box_and_tangents(at, exact, table, tangents, np.empty((2, n, 3 * n)))
            return table, tangents

        tangents = tables(x)[1]
        for j in range(3 * n):
            ahead, behind = x.copy(), x.copy()
            h = 1e-6 * max(abs(x[j]), 1e-3)
            ahead[j], behind[j] = x[j] + h, x[j] - h
            up, down = tables(ahead)[0], tables(behind)[0]
            for row, found in ((THETA, tangents[0]), (PSI, tangents[1])):
                numeric = (up[row] - down[row]) / (2.0 * h)
                assert found[:, j] == pytest.approx(
                    numeric, rel=1e-5, abs=1e-6 * np.abs(numeric).max() + 1e-8
                )


def plain_projection(theta: np.ndarray, rho: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return theta and psi after the forward pass, bounds not drawn in."""
    n, level = theta.size, theta.copy()
    p = np.ones(n)
    for i in range(1, n):
        p[i] = max((1 + rho[i - 1]) / (1 + rho[i]), (1 - rho[i - 1]) / (1 - rho[i]))
        level[i] = max(theta[i], p[i] * level[i - 1])
    most = psi_max(level, rho).copy()
    for i in reversed(range(n - 1)):
        most[i] = min(most[i], most[i + 1] / p[i + 1])
    out = np.empty(n)
    for i in range(n):
        low = 0.0 if i == 0 else out[i - 1] * p[i]
        high = most[i] if i == 0 else min(most[i], out[i - 1] * level[i] / level[i - 1])
        out[i] = min(max(psi[i], low), high)
    return level, out


def test_projection_equals_its_plain_twin() -> None:
    for seed in range(60):
        rng = stream(seed, "projection")
        n = 1 + seed % 6
        theta, rho = np.exp(rng.normal(-3.0, 1.0, n)), rng.uniform(-0.8, 0.8, n)
        psi = np.exp(rng.normal(-2.0, 1.0, n))
        level, scale = plain_projection(theta, rho, psi)
        found = project(theta, rho, psi)
        assert found.theta == pytest.approx(level, rel=1e-8)
        assert found.psi == pytest.approx(scale, rel=1e-8)
