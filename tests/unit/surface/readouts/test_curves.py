"""Curves of total variance from every kind of source, and the policy beyond the last expiry."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.surface import ExtrapolationWarning, RawSvi, variance_curve, variance_swap
from pmkit.surface.joint.essvi import EssviParameters
from tests.unit.surface.readout_cases import FAR, GENERIC, NEAR, known, linear

K = np.linspace(-1.0, 1.0, 41)


@settings(max_examples=60)
@given(
    st.floats(0.005, 0.1),
    st.floats(0.02, 0.5),
    st.floats(-0.9, 0.9),
    st.floats(-0.1, 0.1),
    st.floats(0.1, 0.8),
)
def test_differences_agree_with_the_formulas(a: float, b: float, rho: float, m: float, sigma: float) -> None:
    svi = RawSvi(a, b, rho, m, sigma)
    by_formula, by_difference = variance_curve(svi), variance_curve(svi.w)
    assert by_formula.source == "formula" and by_difference.source == "finite differences"
    assert by_difference.dw(K) == pytest.approx(by_formula.dw(K), abs=1e-6 * b)
    assert by_difference.d2w(K) == pytest.approx(by_formula.d2w(K), abs=1e-5 * b / sigma)
    assert by_difference.g(K) == pytest.approx(by_formula.g(K), abs=1e-4)


def test_slices_and_parameters_give_their_formulas() -> None:
    surface = known()
    for source in (surface.slices[0], NEAR):
        assert variance_curve(source).raw is NEAR
    assert variance_curve(surface.slices[0]).tau == 30 / 365 and math.isnan(variance_curve(NEAR).tau)
    essvi = EssviParameters(theta=0.04, rho=-0.3, psi=0.1)
    assert variance_curve(essvi).w(K) == pytest.approx(essvi.at(K), rel=1e-13)
    assert variance_curve(variance_curve(NEAR)).raw is NEAR
    natural = variance_curve(GENERIC.to_natural()).raw
    assert natural is not None and natural.a == pytest.approx(GENERIC.a, rel=1e-12)

    class Parabola:
        def w(self, k: np.ndarray) -> np.ndarray:
            return 0.04 + k * k

        def dw(self, k: np.ndarray) -> np.ndarray:
            return 2.0 * k

        def d2w(self, k: np.ndarray) -> np.ndarray:
            return 2.0 + 0.0 * k

    own = variance_curve(Parabola(), 0.5)
    assert own.source == "formula" and own.tau == 0.5 and own.sd == pytest.approx(0.2)
    assert own.g(K) == pytest.approx(variance_curve(Parabola().w, 0.5).g(K), abs=1e-8)


def test_between_expiries_the_derivatives_are_mixed_as_the_variance_is() -> None:
    surface, tau = known(), 60 / 365
    one = variance_curve(surface, tau)
    assert one.source == "formula" and one.raw is None
    assert one.w(K) == pytest.approx(surface.w(K, tau), rel=1e-14)
    assert one.dw(K) == pytest.approx(0.5 * (NEAR.dw(K) + FAR.dw(K)), rel=1e-12, abs=1e-15)
    early = variance_curve(surface, 10 / 365)
    assert early.w(K) == pytest.approx(surface.w(K, 10 / 365), rel=1e-14)
    assert early.d2w(K) == pytest.approx(NEAR.d2w(K) / 3, rel=1e-12)


def test_a_piecewise_linear_smile_has_slopes_but_no_curvature() -> None:
    one = variance_curve(linear().slices[0])
    points = linear().slices[0]
    slope = (points.w[1] - points.w[0]) / 0.2
    assert one.dw(np.array([-0.3, -0.1, 0.4])) == pytest.approx([0.0, slope, 0.0], rel=1e-14)
    assert one.d2w(K) == pytest.approx(np.zeros(K.size))
    with pytest.raises(ParameterError, match="density of a smile that is linear between its points"):
        one.require_smooth("the density")


def test_trap_26_beyond_the_last_expiry_is_never_silent() -> None:
    surface = known()
    with pytest.raises(DataGapError, match=r"tau is 1 years, beyond the last expiry at 0\.246.*extend"):
        variance_curve(surface, 1.0)
    with pytest.warns(ExtrapolationWarning, match="beyond the last expiry"):
        warned = variance_curve(surface, 1.0, outside="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = variance_curve(surface, 1.0, outside="extend")
        variance_curve(surface, 90 / 365, outside="raise")
    assert warned.w(K) == pytest.approx(told.w(K))
    assert told.w(K) == pytest.approx(surface.w(K, 1.0, outside="extend"))
    for readout in (variance_swap,):
        with pytest.raises(DataGapError, match="beyond the last expiry"):
            readout(surface, 1.0)
    with pytest.raises(ParameterError, match="outside is 'flat'"):
        variance_curve(surface, 0.1, outside="flat")


@pytest.mark.parametrize("tau", [0.0, -0.1, math.nan, math.inf, None])
def test_times_that_are_none(tau: float | None) -> None:
    with pytest.raises(ParameterError, match="positive, finite time"):
        variance_curve(known(), tau)


def test_other_bad_sources() -> None:
    with pytest.raises(ParameterError, match="source of type int"):
        variance_curve(3)
    with pytest.raises(ParameterError, match=r"the slice is of 0\.0821918 years"):
        variance_curve(known().slices[0], 0.5)
    with pytest.raises(ParameterError, match=r"total variance is -0\.01 at k = 0"):
        variance_curve(lambda k: k * 0.0 - 0.01)
    dips = variance_curve(lambda k: 0.04 - 0.1 * k)
    with pytest.raises(ParameterError, match=r"at k = 0\.5"):
        dips.w(np.array([0.0, 0.5]))
    assert np.isnan(variance_curve(GENERIC).w(np.array([np.nan]))).all()


def test_a_surface_with_an_interpolation_of_its_own_is_asked_for_it() -> None:
    class Squares(type(known())):  # type: ignore[misc]
        def _at_one_time(self, k: np.ndarray, tau: float) -> np.ndarray:
            return np.asarray(NEAR.w(k) * (1.0 + tau**2))

    surface = Squares(**{f: getattr(known(), f) for f in ("slices", "curve")})
    one = variance_curve(surface, 0.2)
    assert one.source == "finite differences"
    assert one.dw(K) == pytest.approx(NEAR.dw(K) * 1.04, abs=1e-7)


def test_a_flat_curve_is_told_by_its_own_time() -> None:
    swap = variance_swap(replace(known().slices[0], svi=RawSvi(0.04, 0.0, 0.0, 0.0, 1.0)))
    assert swap.vol == pytest.approx(math.sqrt(0.04 * 365 / 30), rel=1e-13)
