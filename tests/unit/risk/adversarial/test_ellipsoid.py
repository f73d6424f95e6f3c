"""Covariance of factor moves: root, distance, probability, from scenarios, bad matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.market import MarketSnapshot
from pmkit.risk import Ellipsoid, scenario_covariance
from pmkit.risk.adversarial.ball import pick_starts, random_in_ball, sobol_in_ball
from pmkit.scenarios import Factor, FactorCovariance, ScenarioSet, grid
from tests.unit.risk.conftest import SOON, random_scenarios

FACTORS = (Factor("spot", "BTC"), Factor("vol", "BTC"), Factor("basis", "BTC"))


def make(matrix: np.ndarray, **arguments: object) -> Ellipsoid:
    law = FactorCovariance(factors=FACTORS[: len(matrix)], matrix=matrix, horizon_days=1.0)
    return Ellipsoid(covariance=law, **{"dynamics": "sticky_strike", "horizon_days": 0.0, **arguments})


def random_matrix(n: int, rank: int) -> np.ndarray:
    a = stream(n, "matrix", rank).normal(0.0, 1.0, (n, rank)) * np.array([0.05, 0.2, 0.001])[:n, None]
    return a @ a.T


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_root_and_distance(rank: int) -> None:
    cov = make(random_matrix(3, rank))
    assert cov.rank == rank
    np.testing.assert_allclose(
        cov.root @ cov.root.T, cov.covariance.matrix, rtol=1e-9, atol=1e-12 * cov.covariance.matrix.max()
    )
    points = random_in_ball(rank, 50, 3.0, 1)
    np.testing.assert_allclose(cov.distance(cov.moves(points)), np.sqrt((points**2).sum(axis=1)), rtol=1e-6)
    if rank == 3:
        moves = cov.moves(points)
        direct = np.sqrt(np.einsum("ni,ij,nj->n", moves, np.linalg.inv(cov.covariance.matrix), moves))
        np.testing.assert_allclose(cov.distance(moves), direct, rtol=1e-6)
    else:
        assert math.isinf(cov.distance(np.array([[0.05, 0.3, -0.004]]))[0])


def test_probability_and_radius() -> None:
    cov = make(random_matrix(3, 3))
    assert cov.radius(0.95) == pytest.approx(math.sqrt(7.814727903), rel=1e-9)
    assert cov.probability(cov.radius(0.99)) == pytest.approx(0.99, rel=1e-12)
    draws = stream(1, "normal").standard_normal((20_000, 3))
    inside = cov.distance(cov.moves(draws)) <= cov.radius(0.9)
    assert float(inside.mean()) == pytest.approx(0.9, abs=0.007)


def test_from_scenarios() -> None:
    scenarios = random_scenarios("sticky_delta")
    cov = scenario_covariance(scenarios)
    assert (cov.factors, cov.horizon_days, cov.vol_term) == (scenarios.factors, 2.0, scenarios.vol_term)
    np.testing.assert_allclose(cov.matrix, scenarios.shocks.T @ scenarios.shocks / len(scenarios), rtol=1e-10)
    some = scenario_covariance(scenarios, factors=scenarios.factors[:2])
    np.testing.assert_allclose(some.matrix, cov.matrix[:2, :2], rtol=1e-12)
    ball = Ellipsoid(covariance=cov, dynamics="sticky_delta", horizon_days=2.0, min_vol_up=0.4)
    made = ball.scenarios(np.eye(ball.rank), [f"direction {i}" for i in range(ball.rank)])
    assert (made.min_vol_up, made.horizon_days, made.label(2)) == (0.4, 2.0, "direction 2")
    assert made.vol_term == scenarios.vol_term


def log_grid(moves: list[float]) -> ScenarioSet:
    units = {"spot_unit": "log", "vol_unit": "log"}
    return grid(moves, [0.0], 1.0, dynamics="sticky_strike", underlyings=["BTC"], **units)


def test_what_no_covariance_can_be_made_of() -> None:
    assert scenario_covariance(log_grid([-0.1, 0.1])).factors == (Factor("spot", "BTC"),)
    with pytest.raises(ParameterError, match="no factor moves"):
        scenario_covariance(log_grid([0.0]))
    with pytest.raises(ConventionError, match="hold relative moves; expected moves in logs"):
        scenario_covariance(grid([-0.1], dynamics="sticky_strike"))
    with pytest.raises(DataGapError, match="hold no factor 'DOGE spot'"):
        scenario_covariance(random_scenarios("sticky_strike"), factors=[Factor("spot", "DOGE")])
    with pytest.raises(ParameterError, match="expected a positive semidefinite matrix"):
        make(np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_reach(snapshot: MarketSnapshot) -> None:
    cov = make(np.array([[0.04]]), unit="relative")
    cov.check_reach(4.0, snapshot)
    with pytest.raises(ParameterError, match="takes 'BTC spot' to -100%"):
        cov.check_reach(5.0, snapshot)
    for radius in (0.0, -1.0, math.nan, math.inf, True):
        with pytest.raises(ParameterError, match="expected a positive Mahalanobis distance"):
            cov.check_reach(radius, snapshot)
    with pytest.raises(ParameterError, match="unit is 'percent'"):
        make(np.array([[0.04]]), unit="percent").check_reach(1.0, snapshot)
    for factor, error, message in (
        (Factor("spot", "DOGE"), DataGapError, "the snapshot has no DOGE"),
        (Factor("fixing", "BTC", SOON), ConventionError, "the scenarios end at 2026-08-01"),
    ):
        law = FactorCovariance(factors=(factor,), matrix=np.eye(1), horizon_days=1.0)
        with pytest.raises(error, match=message):
            Ellipsoid(covariance=law, dynamics="sticky_strike", horizon_days=0.0).check_reach(1.0, snapshot)
    with pytest.raises(ParameterError, match=r"probability is 1\.0"):
        cov.radius(1.0)


@pytest.mark.parametrize("rank", [1, 2, 7])
def test_points_of_the_ball(rank: int) -> None:
    points = sobol_in_ball(rank, 1024, 2.0, 3)
    norm = np.sqrt((points**2).sum(axis=1))
    assert float(norm.max()) == pytest.approx(2.0, rel=1e-12)
    assert 450 <= int((norm > 2.0 - 1e-9).sum()) <= 580
    even = np.sqrt((sobol_in_ball(rank, 1024, 2.0, 3, even_radii=True) ** 2).sum(axis=1))
    np.testing.assert_allclose(np.quantile(even, [0.25, 0.5, 0.75]), [0.5, 1.0, 1.5], atol=0.01)
    uniform = np.sqrt((random_in_ball(rank, 20_000, 2.0, 3) ** 2).sum(axis=1))
    assert float((uniform <= 1.0).mean()) == pytest.approx(0.5**rank, abs=0.012)


def test_starts_lie_apart() -> None:
    points = sobol_in_ball(2, 256, 1.0, 0)
    chosen = pick_starts(points, points[:, 0], 5, 0.5)
    gaps = np.sqrt(((chosen[:, None] - chosen[None]) ** 2).sum(axis=2))
    assert chosen[0, 0] == points[:, 0].max()
    assert gaps[~np.eye(len(chosen), dtype=bool)].min() >= 0.5
