"""The implied density: its integrals prove nothing, its sign does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.pricing import black76
from pmkit.surface import RawSvi, butterfly, density, implied_density
from tests.unit.surface.readout_cases import FAR, GENERIC, NEAR, VOGT, known, linear


def test_trap_06_mass_and_mean_do_not_see_a_negative_density() -> None:
    bad = implied_density(VOGT)
    assert bad.mass + bad.mass_outside == pytest.approx(1.0, abs=1e-13)
    assert bad.mean + bad.mean_outside == pytest.approx(1.0, abs=1e-13)
    bad.check()
    assert bad.negative_mass == pytest.approx(-4.2788e-5, rel=1e-4) and bad.min_density < 0.0
    assert "butterfly arbitrage: density negative at k in (0.6424, 1.257)" in bad.verdict
    assert bad.violations == butterfly(VOGT).violations
    # the same without the formula, where no exact criterion is at hand
    seen = implied_density(VOGT.w)
    assert seen.exact is None and seen.violations[0] == pytest.approx(bad.violations[0], abs=1e-6)
    assert seen.mass == pytest.approx(1.0, abs=1e-10) and seen.negative_mass == pytest.approx(
        bad.negative_mass, rel=1e-5
    )


def test_trap_06_absence_of_arbitrage_is_claimed_by_the_exact_criterion_alone() -> None:
    assert "exact criterion" in implied_density(GENERIC).verdict
    unknown = implied_density(GENERIC.w)
    assert unknown.violations == () and "not a proof" in unknown.verdict
    # a violation so far out that no density is left to see: the exact criterion still speaks
    steep = RawSvi(a=0.01, b=1.2, rho=0.8, m=0.0, sigma=0.5)
    assert not butterfly(steep).free
    assert "butterfly arbitrage" in implied_density(steep).verdict


@settings(max_examples=25)
@given(
    st.floats(0.005, 0.2),
    st.floats(0.02, 0.6),
    st.floats(-0.8, 0.8),
    st.floats(-0.2, 0.2),
    st.floats(0.05, 0.6),
)
def test_mass_and_mean_are_one_for_every_admissible_wing(
    a: float, b: float, rho: float, m: float, sigma: float
) -> None:
    found = implied_density(RawSvi(a, b, rho, m, sigma))
    assert found.mass + found.mass_outside == pytest.approx(1.0, abs=1e-10)
    assert found.mean + found.mean_outside == pytest.approx(1.0, abs=1e-9)
    assert (found.negative_mass < 0.0) == any(
        p[1] > found.low and p[0] < found.high for p in found.violations
    )


def test_density_and_distribution_are_derivatives_of_prices() -> None:
    found, strike, h = implied_density(GENERIC), np.linspace(0.6, 1.5, 19), 1e-4

    def put(K: np.ndarray) -> np.ndarray:
        return np.asarray(black76(1.0, K, 1.0, np.sqrt(GENERIC.w(np.log(K))), is_call=False))

    slope = (put(strike + h) - put(strike - h)) / (2 * h)
    bend = (put(strike + h) - 2 * put(strike) + put(strike - h)) / h**2
    k = np.log(strike)
    assert found.cdf(k) == pytest.approx(slope, abs=1e-7)
    assert found.at(k) / strike == pytest.approx(bend, abs=2e-6)
    assert found.at(k) == pytest.approx(density(GENERIC, k), rel=1e-12)


def test_a_surface_between_its_expiries() -> None:
    found = implied_density(known(), 60 / 365)
    mixed = 0.5 * (NEAR.w(0.1) + FAR.w(0.1))
    assert float(found.curve.w(np.array(0.1))) == pytest.approx(float(mixed), rel=1e-14)
    assert found.mass == pytest.approx(1.0, abs=1e-12) and found.exact is None
    found.check()
    assert list(found.summary()["tau"]) == [60 / 365]


def test_display_and_check() -> None:
    found = implied_density(VOGT)
    frame = found.to_frame()
    assert len(frame) == 201 and float(frame["cdf"].iloc[-1]) == pytest.approx(1.0, abs=1e-3)
    axes = found.plot(Figure().subplots())
    assert axes.get_xlabel() == "k = ln(K/F)" and axes.get_legend() is not None
    with pytest.raises(PmkitError, match="mass of the density is"):
        replace(found, mass=0.9).check()
    assert found.cite() == ("breeden1978", "gatheral2014")


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="linear between its points"):
        implied_density(linear().slices[0])
    with pytest.raises(ParameterError, match="linear between its points"):
        implied_density(linear(), 20 / 365)
    with pytest.raises(ParameterError, match="tau is 0"):
        implied_density(known(), 0)
    with pytest.raises(DataGapError, match="beyond the last expiry"):
        implied_density(known(), 2.0)
    with pytest.raises(ParameterError, match="total variance is nan"):
        implied_density(lambda k: k * math.nan)
