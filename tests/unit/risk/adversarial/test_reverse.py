"""Reverse stress: closed form, consistency with the worst scenario, statuses, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import Position
from pmkit.market import MarketSnapshot
from pmkit.risk import FoundScenario, revalue
from pmkit.risk import reverse_stress as search
from pmkit.risk.adversarial.reverse import nearest_loss
from tests.unit.risk.adversarial.test_worst import (
    coins,
    linear_book,
    one_factor,
    option_book,
    smooth_covariance,
    worst_scenario,
)
from tests.unit.risk.conftest import MONTH, option


def reverse_stress(*given: object, **arguments: object) -> FoundScenario:
    """Search with the conventions of most tests: sticky moneyness, no ageing."""
    return search(*given, **{"dynamics": "sticky_moneyness", "horizon_days": 0.0, **arguments})


def test_linear_book_in_closed_form(snapshot: MarketSnapshot) -> None:
    book, delta = linear_book()
    cov = coins()
    sd = math.sqrt(delta @ cov.matrix @ delta)
    found = reverse_stress(book, snapshot, cov, 10_000.0, unit="relative")
    assert found.distance == pytest.approx(10_000.0 / sd, rel=1e-9)
    np.testing.assert_allclose(found.moves, -cov.matrix @ delta * 10_000.0 / sd**2, rtol=1e-4)
    assert found.loss == pytest.approx(10_000.0, rel=1e-9)
    assert found.alignment == pytest.approx(1.0, abs=1e-7)
    found.check()


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_nearest_point_of_a_quadratic(seed: int) -> None:
    """No point of a fine net loses the target any nearer."""
    draws = stream(seed, "reverse")
    g, a = draws.normal(0.0, 1.0, 3), draws.normal(0.0, 0.5, (3, 3))
    h = a + a.T

    def loss(points: np.ndarray) -> np.ndarray:
        return points @ g + 0.5 * np.einsum("ni,ij,nj->n", points, h, points)

    found = nearest_loss(loss, 3, 2.0, 8.0, 1024, 8, 40, 0)
    net = stream(seed, "net").standard_normal((400, 3))
    net /= np.sqrt((net**2).sum(axis=1))[:, None]
    radii = np.linspace(0.01, 8.0, 400)
    enough = np.array([loss(net * r).max() >= 2.0 for r in radii])
    if found.status == "unreachable":
        assert not enough.any()
        return
    distance = float(found.distances.min())
    assert distance <= (radii[enough].min() if enough.any() else 8.0)
    assert float(found.climb.losses[found.best]) == pytest.approx(2.0, rel=1e-9)


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_returns_the_worst_scenario(snapshot: MarketSnapshot, radius: float) -> None:
    """The most likely way to lose what is lost at worst within a radius lies at that radius."""
    book, cov = option_book(), smooth_covariance()
    worst = worst_scenario(book, snapshot, cov, radius)
    found = reverse_stress(book, snapshot, cov, worst.loss)
    assert found.distance == pytest.approx(radius, rel=1e-6)
    np.testing.assert_allclose(found.moves, worst.moves, rtol=1e-2, atol=1e-4)
    assert abs(found.loss / worst.loss - 1.0) < 1e-9
    again = -float(revalue(book, snapshot, found.scenarios).account_pnl(book)[0])
    assert again == pytest.approx(worst.loss, rel=1e-9)
    assert found.target == worst.loss and found.question == "reverse stress"
    assert found.distance <= found.best_sampled


def test_farther_for_a_larger_margin(snapshot: MarketSnapshot) -> None:
    book, cov = option_book(), smooth_covariance()
    distances = [reverse_stress(book, snapshot, cov, x, n_points=1024).distance for x in (5e3, 2e4, 8e4)]
    assert distances == sorted(distances) and distances[0] > 0.0


def test_unreachable(snapshot: MarketSnapshot) -> None:
    """A long option loses its premium and no more."""
    book = option_book()
    call = option("BTC", MONTH, 66_000.0, "C", "linear")
    held = book.with_positions([Position(instrument=call, qty=10.0)])
    cov = one_factor(0.01)
    premium = 10.0 * 0.1 * snapshot.mark(call).price
    found = reverse_stress(held, snapshot, cov, 1.01 * premium)
    assert found.status == "unreachable"
    assert found.loss == pytest.approx(premium, rel=1e-3)
    found.check()
    assert reverse_stress(held, snapshot, cov, 0.9 * premium).status == "ok"


def test_a_corner_that_scattered_points_miss() -> None:
    """Only a cap a few hundredths of the ball wide loses enough: the worst scenario finds it."""
    peak = np.full(8, 1.0) / math.sqrt(8.0)

    def loss(points: np.ndarray) -> np.ndarray:
        return points @ peak

    found = nearest_loss(loss, 8, 3.999, 4.0, 64, 4, 40, 0)
    assert (found.status, found.sampled) == ("ok", math.inf)
    assert float(found.distances[found.best]) == pytest.approx(3.999, rel=1e-9)


def test_lost_without_any_move(snapshot: MarketSnapshot) -> None:
    """Ageing alone loses the premium of the day."""
    book = option_book()
    held = book.with_positions([Position(instrument=option("BTC", MONTH, 60_000.0, "C", "linear"), qty=50.0)])
    found = reverse_stress(held, snapshot, one_factor(1e-4), 1.0, horizon_days=10.0)
    assert (found.status, found.distance) == ("always", 0.0)
    assert found.loss > 1.0


def test_display_and_check(snapshot: MarketSnapshot) -> None:
    book, _ = linear_book()
    found = reverse_stress(book, snapshot, coins(), 5_000.0)
    assert "loss asked for" in found.summary().index
    assert found.to_dict()["target"] == 5_000.0 and math.isnan(found.gain)
    assert found.optima["distance"].is_monotonic_increasing
    with pytest.raises(PmkitError, match=r"within 0\.1 %"):
        replace(found, loss=5_100.0).check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": 0.0}, "loss is 0.0; expected a positive amount"),
        ({"loss": math.nan}, "loss is nan"),
        ({"loss": "all"}, "loss is 'all'"),
        ({"loss": 1.0, "max_radius": 0.0}, "radius is 0.0"),
        ({"loss": 1.0, "max_radius": 30.0}, "takes 'BTC spot'"),
        ({"loss": 1.0, "n_points": 3}, "n_points is 3"),
    ],
)
def test_bad_arguments(snapshot: MarketSnapshot, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        reverse_stress(linear_book()[0], snapshot, coins(), unit="relative", **arguments)
