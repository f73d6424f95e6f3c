"""Butterfly arbitrage: the exact criterion against brute force, and the traps of weaker tests."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from pmkit.core.errors import ParameterError
from pmkit.surface import RawSvi, butterfly, density, g, wing_limits
from pmkit.surface.arbitrage.butterfly import negative_intervals

VOGT = RawSvi(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)
GENERIC = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
#: Free wherever anyone would look, slopes within the moment bound, and negative far out in the put wing.
FAR_OUT = RawSvi(a=-1.52, b=1.392, rho=-0.114, m=-1.418, sigma=2.524)


@st.composite
def slices(draw: st.DrawFn) -> RawSvi:
    rho = draw(st.floats(-0.9, 0.9))
    sigma, m = draw(st.floats(0.05, 1.5)), draw(st.floats(-0.5, 0.5))
    b = draw(st.floats(0.02, 2.3)) / (1.0 + abs(rho))
    least = draw(st.floats(0.01, 0.5))
    return RawSvi(a=least - b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=m, sigma=sigma)


def brute_force(svi: RawSvi) -> float:
    """Return the least g on a very wide and fine net, and of the wing limits."""
    far = np.geomspace(1e-4, 1e5, 6_000)
    net = np.concatenate([np.linspace(-12.0, 12.0, 48_001), svi.m - far, svi.m + far])
    return float(min(np.min(g(svi, net)), *wing_limits(svi)))


def scaled(svi: RawSvi, sigma: float) -> RawSvi:
    """Return the slice of another width with the same b, rho, a/sigma and m/sigma."""
    c = sigma / svi.sigma
    return replace(svi, a=c * svi.a, m=c * svi.m, sigma=sigma)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(slices())
def test_the_criterion_agrees_with_brute_force(svi: RawSvi) -> None:
    report, least = butterfly(svi), brute_force(svi)
    assume(abs(least) > 1e-9)
    assert report.free == (least > 0.0)
    assert report.min_g <= least + 1e-12
    assert report.free == (report.violations == ())
    if not report.free and math.isfinite(report.k_min_g):
        assert float(g(svi, report.k_min_g)) == pytest.approx(report.min_g, rel=1e-6)
        assert any(low <= report.k_min_g <= high for low, high in report.violations)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(slices())
def test_the_least_width_is_the_edge(svi: RawSvi) -> None:
    star = butterfly(svi).sigma_star
    assume(1e-3 < star < 20.0)
    above, below = scaled(svi, 1.001 * star), scaled(svi, 0.999 * star)
    assert brute_force(above) > 0.0 > brute_force(below)
    assert butterfly(above).margin == pytest.approx(0.001, rel=1e-5)
    assert butterfly(below).margin == pytest.approx(-0.001, rel=1e-5)


@pytest.mark.parametrize("k", [-2.0, -0.4292125218, 0.0, 0.05, 1.5])
def test_g_equals_its_definition_in_forty_digits(k: float) -> None:
    with mpmath.workdps(40):
        a, b, rho, m, sigma = (
            mpmath.mpf(v) for v in (GENERIC.a, GENERIC.b, GENERIC.rho, GENERIC.m, GENERIC.sigma)
        )

        def w(x: mpmath.mpf) -> mpmath.mpf:
            return a + b * (rho * (x - m) + mpmath.sqrt((x - m) ** 2 + sigma**2))

        x = mpmath.mpf(k)
        first, second = mpmath.diff(w, x), mpmath.diff(w, x, 2)
        exact = (1 - x * first / (2 * w(x))) ** 2 - first**2 / 4 * (1 / w(x) + mpmath.mpf(1) / 4) + second / 2
        assert float(g(GENERIC, k)) == pytest.approx(float(exact), rel=1e-13)


def test_wing_slope_bound_is_two_in_total_variance_not_four() -> None:
    steep = RawSvi(a=0.04, b=1.5, rho=0.5, m=0.0, sigma=0.5)
    assert steep.slopes == (0.75, 2.25), "below 4, and yet too steep"
    report = butterfly(steep)
    assert not report.lee and not report.free and report.margin == -1.0
    assert report.limits[1] == pytest.approx(0.25 - 2.25**2 / 16.0) and report.limits[1] < 0.0
    assert report.violations[-1][1] == math.inf
    assert float(g(steep, 1e6)) == pytest.approx(report.limits[1], abs=1e-4)


@pytest.mark.parametrize("rho", [0.5, -0.5])
def test_at_the_bound_only_the_put_wing_is_admissible(rho: float) -> None:
    svi = RawSvi(a=20.0, b=2.0 / 1.5, rho=rho, m=0.0, sigma=2.0)
    report = butterfly(svi)
    assert max(report.slopes) == 2.0 and min(report.limits) == 0.0
    assert report.lee == (rho < 0.0) == report.free
    assert np.min(g(svi, np.linspace(-1e3, 1e3, 100_001))) > 0.0, "g alone does not see the lost mass"


def test_mass_and_mean_do_not_see_a_negative_density() -> None:
    places = [-1.0, 0.0, 0.5, 1.0]
    mass = quad(lambda k: float(density(VOGT, k)), -8.0, 8.0, points=places, limit=400)[0]
    mean = quad(lambda k: math.exp(k) * float(density(VOGT, k)), -8.0, 8.0, points=places, limit=400)[0]
    assert mass == pytest.approx(1.0, abs=1e-8) and mean == pytest.approx(1.0, abs=1e-8)
    report = butterfly(VOGT)
    assert float(density(VOGT, report.k_min_g)) < 0.0 and not report.free


def test_a_net_near_the_money_misses_what_lies_far_out() -> None:
    assert np.min(g(FAR_OUT, np.linspace(-3.0, 3.0, 6_001))) > 0.01
    report = butterfly(FAR_OUT)
    assert report.lee and not report.free and min(report.limits) > 0.0
    ((low, high),) = report.violations
    assert low == pytest.approx(-13.9027, abs=1e-4) and high == pytest.approx(-5.0614, abs=1e-4)
    assert float(g(FAR_OUT, -12.0)) < 0.0
    wing = RawSvi(a=2.0, b=2.05, rho=0.0, m=0.0, sigma=5.0)
    assert np.min(g(wing, np.linspace(-30.0, 30.0, 6_001))) > 0.0 and not butterfly(wing).free


def test_flat_and_touching_slices() -> None:
    flat = butterfly(RawSvi(a=0.04, b=0.0, rho=0.0, m=0.0, sigma=1.0))
    assert flat.free and flat.margin == math.inf and flat.min_g == 1.0 and flat.limits == (1.0, 1.0)
    touching = RawSvi(a=-0.1, b=1.0, rho=0.0, m=0.0, sigma=0.1)
    report = butterfly(touching)
    assert touching.min_variance == 0.0 and not report.free and report.margin == -1.0
    assert report.min_g < -1.0 and np.isnan(g(touching, 0.0))


def test_report_frames() -> None:
    report = butterfly(VOGT)
    row = report.summary().iloc[0]
    assert not row["free"] and row["margin"] == -1.0 and row["violations"] == 1
    assert report.to_frame().to_numpy() == pytest.approx(np.array(report.violations))
    assert butterfly(GENERIC).to_frame().empty and report.cite() == ("gatheral2014", "lee2004", "martini2022")


def test_other_parametrisations_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"a slice of type NaturalSvi; expected a RawSvi.*to_raw"):
        butterfly(GENERIC.to_natural())  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_ends_of_intervals_are_those_of_one_bisection_after_another(phase: float) -> None:
    points = np.linspace(-7.0, 7.0, 57)

    def wave(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(np.abs(x) < 0.3, np.nan, np.cos(1.7 * x + phase)))

    seen = points[~np.isnan(wave(points))]
    ends: list[float] = []
    for low, high in pairwise(seen.tolist()):
        before = wave(np.array(low)) < 0.0
        if before == (wave(np.array(high)) < 0.0):
            continue
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if (wave(np.array(middle)) < 0.0) == before else (low, middle)
        ends.append(0.5 * (low + high))
    ends = [-math.inf] * bool(wave(points[0]) < 0.0) + ends + [math.inf] * bool(wave(points[-1]) < 0.0)
    found = negative_intervals(wave, points)
    assert len(found) >= 3
    assert np.ravel(found) == pytest.approx(ends, rel=1e-15)
    assert negative_intervals(lambda x: 1.0 + x * x, points) == ()


def test_three_at_once_are_the_same_as_one_after_another() -> None:
    k = np.linspace(-3.0, 3.0, 61)
    for one in (VOGT, GENERIC, FAR_OUT):
        together = one.with_derivatives(k)
        assert all(
            np.array_equal(a, b) for a, b in zip(together, (one.w(k), one.dw(k), one.d2w(k)), strict=True)
        )
