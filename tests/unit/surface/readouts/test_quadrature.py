"""Integrals over log-moneyness and where they may stop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.surface import RawSvi, variance_curve
from pmkit.surface.readouts.quadrature import integrate, panels, reach
from tests.unit.surface.readout_cases import GENERIC, NEAR


def test_polynomials_peaks_and_kinks() -> None:
    breaks = np.array([-1.0, 0.3, 2.0])
    assert integrate(lambda k: 5.0 * k**4, breaks)[0] == pytest.approx(33.0, rel=1e-15)
    value, error = integrate(lambda k: 1e-3 / (math.pi * ((k - 0.1234) ** 2 + 1e-6)), breaks)
    exact = (math.atan((2.0 - 0.1234) * 1e3) + math.atan((1.0 + 0.1234) * 1e3)) / math.pi
    assert value == pytest.approx(exact, rel=1e-13) and error < 1e-12
    assert integrate(np.abs, breaks)[0] == pytest.approx(2.5, rel=1e-12)


def test_a_rough_function_ends_with_a_larger_error() -> None:
    noise = np.random.default_rng(1).normal(size=100_003)
    calls = []

    def rough(k: np.ndarray) -> np.ndarray:
        calls.append(k.size)
        return 1.0 + 1e-3 * noise[(np.abs(k) * 1e9).astype(np.int64) % noise.size]

    value, error = integrate(rough, np.array([0.0, 1.0]))
    assert value == pytest.approx(1.0, abs=1e-3) and error > 1e-8
    assert sum(calls) < 15 * 5_000


def test_equal_inputs_give_equal_bits() -> None:
    breaks = np.linspace(-2.0, 2.0, 9)
    assert integrate(np.exp, breaks) == integrate(np.exp, breaks)


def test_beyond_the_reach_nothing_is_left() -> None:
    for svi in (NEAR, GENERIC, RawSvi(0.04, 0.0, 0.0, 0.0, 1.0)):
        curve = variance_curve(svi)
        low, high = reach(curve)
        ends = np.array([low, high])
        assert low < 0.0 < high
        assert curve.cdf(ends) == pytest.approx([0.0, 1.0], abs=1e-15)
        assert curve.share_cdf(ends) == pytest.approx([0.0, 1.0], abs=1e-15)
        breaks = panels(curve, low, high)
        assert (np.diff(breaks) > 0.0).all() and breaks[0] == low and breaks[-1] == high and 0.0 in breaks


def test_the_reach_ends_where_strikes_end() -> None:
    steep = variance_curve(RawSvi(a=0.01, b=0.999, rho=0.999, m=0.0, sigma=0.1))
    assert reach(steep)[1] == 700.0
