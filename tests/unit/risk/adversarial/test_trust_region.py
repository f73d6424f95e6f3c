"""The largest quadratic value in a ball: optimality conditions, hard case, and against dense search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.risk import Ellipsoid, delta_gamma_worst
from pmkit.risk.adversarial.ball import random_in_ball
from pmkit.risk.adversarial.trust_region import largest_in_ball
from pmkit.scenarios import Factor, FactorCovariance


def value(g: np.ndarray, h: np.ndarray, z: np.ndarray) -> float:
    return float(g @ z + 0.5 * z @ h @ z)


@settings(max_examples=80)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.sampled_from([0.01, 1.0, 30.0]),
    st.sampled_from(["any", "concave", "convex", "flat"]),
)
def test_conditions_of_optimality(seed: int, n: int, radius: float, kind: str) -> None:
    """Some multiplier m >= 0, above every curvature, with g + Hz = m z, and m = 0 inside."""
    draws = stream(seed, "quadratic")
    g, a = draws.normal(0.0, 1.0, n), draws.normal(0.0, 1.0, (n, n))
    h = {"any": a + a.T, "concave": -a @ a.T, "convex": a @ a.T, "flat": 0.0 * a}[kind]
    z = largest_in_ball(g, h, radius)
    norm = math.sqrt(float(z @ z))
    assert norm <= radius * (1.0 + 1e-12)
    slope = g + h @ z
    m = float(slope @ z) / norm**2
    scale = float(np.abs(slope).max()) + float(np.abs(h).max()) * radius
    assert float(np.abs(slope - m * z).max()) <= 1e-7 * scale
    assert m >= float(np.linalg.eigvalsh(h)[-1]) - 1e-7 * scale / radius
    if norm < radius * (1.0 - 1e-9):
        assert abs(m) * norm <= 1e-7 * scale
    else:
        assert m >= -1e-9 * scale / radius


def test_hard_case() -> None:
    """No slope along the top curvature: the rest of the radius goes there."""
    g, h = np.array([1.0, 0.0]), np.diag([-1.0, 2.0])
    z = largest_in_ball(g, h, 3.0)
    assert z[0] == pytest.approx(1.0 / 3.0, rel=1e-12)
    assert float(z @ z) == pytest.approx(9.0, rel=1e-12)
    best = max(value(g, h, p) for p in random_in_ball(2, 20_000, 3.0, 1))
    assert value(g, h, z) >= best
    nothing = largest_in_ball(np.zeros(3), np.zeros((3, 3)), 1.0)
    assert nothing.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("seed", range(8))
def test_nothing_found_at_random_is_better(seed: int) -> None:
    draws = stream(seed, "dense")
    g, a = draws.normal(0.0, 1.0, 3), draws.normal(0.0, 1.0, (3, 3))
    h = a + a.T
    points = random_in_ball(3, 50_000, 2.0, seed)
    values = points @ g + 0.5 * np.einsum("ni,ij,nj->n", points, h, points)
    best = value(g, h, largest_in_ball(g, h, 2.0))
    assert float(values.max()) <= best <= float(values.max()) + 0.05 * abs(best)


def covariance() -> FactorCovariance:
    sd, rho = np.array([0.04, 0.15, 0.002]), np.array([[1.0, -0.6, 0.2], [-0.6, 1.0, 0.0], [0.2, 0.0, 1.0]])
    factors = (Factor("spot", "BTC"), Factor("vol", "BTC"), Factor("basis", "BTC"))
    return FactorCovariance(factors=factors, matrix=rho * sd[:, None] * sd, horizon_days=1.0)


def test_linear_book_in_closed_form() -> None:
    cov, delta = covariance(), np.array([1e4, -300.0, 2e4])
    found = delta_gamma_worst(delta, None, cov, 3.0)
    sd = math.sqrt(delta @ cov.matrix @ delta)
    assert found.loss == pytest.approx(3.0 * sd, rel=1e-12)
    np.testing.assert_allclose(found.moves, -3.0 * cov.matrix @ delta / sd, rtol=1e-10)


def test_gamma_book_in_closed_form() -> None:
    """Short gamma alone loses half the top eigenvalue of L' G L times r squared."""
    cov = covariance()
    ball = Ellipsoid(covariance=cov, dynamics="sticky_strike", horizon_days=0.0)
    gamma = -np.array([[5e5, 1e4, 0.0], [1e4, 2e4, 0.0], [0.0, 0.0, 1e3]])
    found = delta_gamma_worst(np.zeros(3), gamma, cov, 2.0)
    top = np.linalg.eigvalsh(-ball.root.T @ gamma @ ball.root)[-1]
    assert found.loss == pytest.approx(0.5 * top * 4.0, rel=1e-10)
    assert float(ball.distance(found.moves)[0]) == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize(
    ("delta", "gamma", "radius", "message"),
    [
        ([1.0], None, 1.0, r"delta has shape \(1,\)"),
        ([1.0, math.nan, 0.0], None, 1.0, "delta has shape"),
        ([1.0, 0.0, 0.0], np.eye(2), 1.0, "gamma has shape"),
        ([1.0, 0.0, 0.0], None, 0.0, "radius is 0.0"),
    ],
)
def test_bad_input(delta, gamma, radius: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        delta_gamma_worst(delta, gamma, covariance(), radius)
