"""Variance swaps: two formulas, one number; a discrete strip above it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.surface import RawSvi, butterfly, discrete_variance_swap, variance_swap
from tests.unit.surface.readout_cases import GENERIC, NEAR, known, linear


@settings(max_examples=40)
@given(
    st.floats(0.005, 0.2),
    st.floats(0.02, 0.7),
    st.floats(-0.8, 0.8),
    st.floats(-0.2, 0.2),
    st.floats(0.05, 0.6),
)
def test_strip_and_average_agree_on_every_smile_without_arbitrage(
    a: float, b: float, rho: float, m: float, sigma: float
) -> None:
    svi = RawSvi(a, b, rho, m, sigma)
    swap = variance_swap(svi, 0.5)
    if butterfly(svi).free:
        swap.check()
        assert swap.monotone and swap.strip == pytest.approx(swap.average, rel=1e-9)
    assert swap.strip_error < 1e-9 * swap.strip


def test_a_flat_smile_and_a_surface() -> None:
    assert variance_swap(lambda k: 0.09 + 0.0 * k, 0.25).vol == pytest.approx(0.6, rel=1e-13)
    swap = variance_swap(known(), 60 / 365)
    assert swap.tau == 60 / 365 and swap.variance == swap.strip * 365 / 60
    assert swap.summary()["vol"].tolist() == [swap.vol]


def test_a_smile_with_kinks_has_a_variance_too() -> None:
    swap = variance_swap(linear().slices[0])
    swap.check()
    assert 0.5 < swap.vol < 0.7 and swap.average == pytest.approx(swap.strip, rel=1e-9)


def test_kinks_between_expiries_are_met_too() -> None:
    swap = variance_swap(linear(), 25 / 365)
    assert swap.average == pytest.approx(swap.strip, rel=1e-12)


def test_a_wing_too_steep_for_any_density_has_no_fair_strike() -> None:
    swap = variance_swap(lambda k: 0.04 + 3.0 * np.abs(np.tanh(k)) * np.abs(k), 0.5)
    assert swap.status == "not_converged" and math.isnan(swap.variance) and math.isnan(swap.vol)
    assert swap.summary()["status"].tolist() == ["not_converged"]
    with pytest.raises(PmkitError, match="by the strip"):
        swap.check()
    assert variance_swap(NEAR, 0.5).status == "ok"


def test_a_smile_that_no_density_supports_is_seen() -> None:
    swap = variance_swap(RawSvi(a=0.001, b=1.4, rho=-0.95, m=0.3, sigma=0.01), 1.0)
    assert not swap.monotone
    with pytest.raises(PmkitError, match="by the strip"):
        replace(swap, average=swap.strip * 1.1).check()


def test_the_discrete_portfolio_dominates_the_pay_off_and_meets_it_at_the_strikes() -> None:
    strike = np.array([60.0, 75.0, 90.0, 100.0, 120.0, 150.0, 200.0])
    swap = discrete_variance_swap(104.0, strike, np.linspace(0.4, 0.3, 7), 0.5)
    assert swap.anchor == 100.0

    def portfolio(s: float) -> float:
        pay = np.where(swap.is_call, np.maximum(s - swap.strike, 0.0), np.maximum(swap.strike - s, 0.0))
        return float(np.sum(swap.weight * pay))

    def target(s: float) -> float:
        return 2.0 / 0.5 * ((s - 100.0) / 100.0 - math.log(s / 100.0))

    for s in strike:
        assert portfolio(s) == pytest.approx(target(s), abs=1e-12)
    assert all(portfolio(s) >= target(s) - 1e-12 for s in np.linspace(60.0, 200.0, 281))
    assert (swap.weight > 0.0).all() and swap.to_frame()["contribution"].sum() == pytest.approx(
        swap.variance - 4.0 * (math.log(1.04) - 0.04)
    )


def test_the_discrete_strip_tends_to_the_continuous_one() -> None:
    tau, errors = 0.25, []
    svi = RawSvi(a=0.01, b=0.05, rho=-0.4, m=0.0, sigma=0.1)
    exact = variance_swap(svi, tau).variance
    for n in (100, 200, 400):
        strike = np.exp(np.linspace(-4.0, 4.0, 2 * n + 1))
        iv = np.sqrt(svi.w(np.log(strike)) / tau)
        errors.append(discrete_variance_swap(1.0, strike, iv, tau, anchor=1.0).variance / exact - 1.0)
    assert errors[0] > errors[1] > errors[2] > 0.0 and errors[0] / errors[2] == pytest.approx(16.0, rel=0.05)


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="tau is None"):
        variance_swap(NEAR)
    with pytest.raises(ParameterError, match="tau is -1"):
        variance_swap(GENERIC, -1)
    strike, iv = np.array([80.0, 90.0, 100.0, 110.0, 120.0]), np.full(5, 0.3)
    with pytest.raises(ParameterError, match=r"strike holds -80 \(price\)"):
        discrete_variance_swap(100.0, strike * [-1, 1, 1, 1, 1], iv, 0.5)
    with pytest.raises(ParameterError, match="iv holds nan"):
        discrete_variance_swap(100.0, strike, iv * np.nan, 0.5)
    with pytest.raises(ParameterError, match="strictly ascending"):
        discrete_variance_swap(100.0, strike[::-1], iv, 0.5)
    with pytest.raises(ParameterError, match="anchor is 95"):
        discrete_variance_swap(100.0, strike, iv, 0.5, anchor=95.0)
    with pytest.raises(DataGapError, match=r"5 strike\(s\) up to the anchor and 1 from it on"):
        discrete_variance_swap(130.0, strike, iv, 0.5)
    with pytest.raises(DataGapError, match="0 strike"):
        discrete_variance_swap(70.0, strike, iv, 0.5)
    with pytest.raises(ParameterError, match="tau is 0"):
        discrete_variance_swap(100.0, strike, iv, 0.0)
