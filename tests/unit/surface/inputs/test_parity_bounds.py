"""Parity at bid and ask: what it leaves open, and which strikes contradict each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.pricing import black76
from pmkit.surface import ParityBounds, parity_bounds
from pmkit.surface.inputs.parity_bounds import nearest_inside

STRIKES = np.arange(80.0, 121.0, 5.0)


def quoted(F: float, D: float, half: float | np.ndarray = 0.1) -> list[np.ndarray]:
    c, p = (black76(F, STRIKES, 0.5, 0.3, df=D, is_call=side) for side in (True, False))
    return [c - half, c + half, p - half, p + half]


@given(st.floats(85.0, 115.0), st.floats(0.6, 1.01), st.floats(0.01, 1.0))
def test_the_truth_is_always_inside(F: float, D: float, half: float) -> None:
    found = parity_bounds(STRIKES, *quoted(F, D, half))
    assert found.feasible and found.slack == 0.0 and found.pairs == STRIKES.size
    assert found.forward_low - 1e-6 <= F <= found.forward_high + 1e-6
    assert found.df_low - 1e-8 <= D <= found.df_high + 1e-8


def test_the_ends_are_those_of_a_fine_grid() -> None:
    quotes = quoted(101.0, 0.97)
    found = parity_bounds(STRIKES, *quotes)
    F, D = np.meshgrid(np.linspace(100.0, 102.0, 801), np.linspace(0.95, 0.99, 801))
    value = D[..., None] * (F[..., None] - STRIKES)
    fits = ((quotes[0] - quotes[3] <= value) & (value <= quotes[1] - quotes[2])).all(axis=-1)
    assert found.forward_low == pytest.approx(F[fits].min(), abs=3e-3)
    assert found.forward_high == pytest.approx(F[fits].max(), abs=3e-3)
    assert found.df_low == pytest.approx(D[fits].min(), abs=1e-4)
    assert found.df_high == pytest.approx(D[fits].max(), abs=1e-4)


def test_a_stale_pair_is_named_with_the_slack_it_would_take() -> None:
    quotes = quoted(100.0, 0.98)
    quotes[0][4] += 2.0
    quotes[1][4] += 2.0
    found = parity_bounds(STRIKES, *quotes)
    assert not found.feasible and STRIKES[4] in found.at_fault
    assert 0.3 < found.slack < 1.0
    assert math.isnan(found.forward_low) and math.isnan(found.df_high)
    # giving way by the slack, and by no less, makes room
    for share, fits in ((1.001, True), (0.99, False)):
        by = found.slack * share / 2.0
        wider = [quotes[0] - by, quotes[1] + by, quotes[2] - by, quotes[3] + by]
        assert parity_bounds(STRIKES, *wider).feasible is fits


def test_discount_factors_outside_their_range_do_not_count() -> None:
    quotes = quoted(100.0, 0.98, 0.01)
    assert parity_bounds(STRIKES, *quotes).feasible
    assert not parity_bounds(STRIKES, *quotes, df_range=(0.5, 0.9)).feasible
    with pytest.raises(ParameterError, match="df_range is"):
        parity_bounds(STRIKES, *quotes, df_range=(0.9, 0.5))


def test_missing_sides_are_left_out() -> None:
    quotes = quoted(100.0, 0.98)
    quotes[2][0] = np.nan
    assert parity_bounds(STRIKES, *quotes).pairs == STRIKES.size - 1
    with pytest.raises(DataGapError, match="no call-put pair"):
        parity_bounds([100.0], [np.nan], [1.0], [1.0], [1.0])


def test_one_pair_bounds_the_forward_alone() -> None:
    found = parity_bounds([100.0], [5.0], [5.2], [5.0], [5.2])
    assert found.feasible and found.df_low == pytest.approx(0.5) and found.df_high == pytest.approx(1.02)
    assert found.forward_low == pytest.approx(99.6) and found.forward_high == pytest.approx(100.4)


def test_zero_spreads_leave_a_point() -> None:
    found = parity_bounds(STRIKES, *quoted(100.0, 0.98, 0.0))
    assert found.feasible
    assert found.forward_low == pytest.approx(100.0, abs=1e-4)
    assert found.forward_high == pytest.approx(100.0, abs=1e-4)


def test_the_nearest_point_fits() -> None:
    K, *quotes = STRIKES, *quoted(101.0, 0.97)
    F, D = nearest_inside(103.0, 0.97, K, *quotes)
    bounds = parity_bounds(K, *quotes)
    assert float(F) == pytest.approx(bounds.forward_high, abs=0.2)
    value = D * (F - K)
    assert (value >= quotes[0] - quotes[3] - 1e-6).all() and (value <= quotes[1] - quotes[2] + 1e-6).all()
    bad = quoted(101.0, 0.97)
    bad[0][4] += 3.0
    bad[1][4] += 3.0
    with pytest.raises(ParameterError, match="contradict each other"):
        nearest_inside(101.0, 0.97, K, *bad)


def test_the_object_is_consistent() -> None:
    with pytest.raises(ParameterError, match="feasible is True with 1 strikes at fault"):
        ParityBounds(
            feasible=True, slack=0.0, forward_low=1.0, forward_high=1.0, df_low=1.0, df_high=1.0, pairs=1,
            at_fault=(100.0,),
        )  # fmt: skip
