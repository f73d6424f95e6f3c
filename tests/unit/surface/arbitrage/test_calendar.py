"""Calendar arbitrage on the whole line, at equal forward moneyness."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.surface import RawSvi, calendar

NEAR = RawSvi(a=0.02, b=0.2, rho=-0.3, m=0.0, sigma=0.1)

numbers = st.tuples(
    st.floats(0.0, 0.1),
    st.floats(0.02, 0.5),
    st.floats(-0.9, 0.9),
    st.floats(-0.3, 0.3),
    st.floats(0.02, 0.8),
)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(numbers, numbers)
def test_the_minimum_is_that_of_a_wide_net(one: tuple[float, ...], two: tuple[float, ...]) -> None:
    near, far = RawSvi(*one), RawSvi(*two)
    net = np.concatenate([np.linspace(-3, 3, 60_001), np.geomspace(3, 1e5, 500), -np.geomspace(3, 1e5, 500)])
    increase = far.w(net) - near.w(net)
    report = calendar(near, far)
    assert report.min_dw <= float(increase.min()) + 1e-9
    if min(report.slopes) > 1e-3:
        assert report.min_dw == pytest.approx(float(increase.min()), abs=1e-7)
        assert float(far.w(report.k_min_dw) - near.w(report.k_min_dw)) == pytest.approx(report.min_dw)
    elif min(report.slopes) < 0.0:
        assert report.min_dw == -math.inf
        assert abs(report.k_min_dw) == math.inf
    if abs(report.min_dw) > 1e-12 and min(map(abs, report.slopes)) > 1e-5:
        assert report.free == (report.violations == ())
    seen = net[np.abs(increase) > 1e-9]
    inside = np.zeros(seen.size, dtype=bool)
    for low, high in report.violations:
        inside |= (low <= seen) & (seen <= high)
    assert (inside == (far.w(seen) < near.w(seen))).all()


def test_a_flatter_wing_is_found_although_it_crosses_far_out() -> None:
    far = replace(NEAR, a=0.08, b=0.199)
    assert np.min(far.w(np.linspace(-3, 3, 601)) - NEAR.w(np.linspace(-3, 3, 601))) > 0.05
    report = calendar(NEAR, far)
    assert not report.free and report.min_dw == -math.inf
    assert report.violations[0][0] == -math.inf and report.violations[0][1] < -40.0


def test_parallel_wings_are_compared_by_their_levels() -> None:
    shifted = replace(NEAR, a=0.03)
    assert calendar(NEAR, shifted).min_dw == pytest.approx(0.01) and calendar(NEAR, shifted).free
    assert calendar(NEAR, NEAR).free and calendar(NEAR, NEAR).violations == ()
    lower = calendar(shifted, NEAR)
    assert not lower.free and lower.violations == ((-math.inf, math.inf),)


def test_equal_strikes_would_give_the_wrong_answer_where_forwards_differ() -> None:
    far, ratio = replace(NEAR, a=0.022), 1.05
    assert calendar(NEAR, far).free
    strike = np.linspace(0.7, 1.4, 71)
    at_equal_strike = far.w(np.log(strike / ratio)) - NEAR.w(np.log(strike))
    assert at_equal_strike.min() < 0.0, (
        "the comparison that ignores the forwards sees arbitrage where none is"
    )
