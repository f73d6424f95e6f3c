"""What a spot move does to a smile: each rule holds what it says it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.surface import RawSvi, SkewStickiness, skew_stickiness, spot_vols
from pmkit.surface.moves.dynamics import SmileDynamics, check_dynamics, held_at

SMILE = RawSvi(a=0.01, b=0.06, rho=-0.3, m=0.02, sigma=0.2)
TAU, F = 0.1, 60_000.0
moves = st.floats(-0.4, 0.4)


def vols(strike: object, after: float, rule: SmileDynamics) -> np.ndarray:
    return spot_vols(SMILE, strike, F, after, dynamics=rule, tau=TAU)  # type: ignore[arg-type]


@given(moves, st.floats(-0.5, 0.5))
@settings(max_examples=40)
def test_each_rule_holds_vol_where_it_says(x: float, k: float) -> None:
    after = F * math.exp(x)
    before = float(np.sqrt(SMILE.w(k) / TAU))
    assert float(vols(F * math.exp(k), after, "sticky_strike")) == pytest.approx(before, rel=1e-13)
    for rule in ("sticky_moneyness", "sticky_delta", SkewStickiness(0.0)):
        assert float(vols(after * math.exp(k), after, rule)) == pytest.approx(before, rel=1e-13)  # type: ignore[arg-type]
    one = vols(F * math.exp(k), after, SkewStickiness(1.0))
    assert float(one) == pytest.approx(float(vols(F * math.exp(k), after, "sticky_strike")), rel=1e-13)


@given(moves, moves, st.sampled_from([0.0, 0.7, 1.0, 1.5, 2.0]))
@settings(max_examples=30)
def test_two_moves_are_one(first: float, second: float, ratio: float) -> None:
    rule = SkewStickiness(ratio)
    middle, last = F * math.exp(first), F * math.exp(first + second)

    def between(k: np.ndarray) -> np.ndarray:
        iv = spot_vols(SMILE, middle * np.exp(k), F, middle, dynamics=rule, tau=TAU)
        return iv**2 * TAU

    strike = np.array([45e3, 60e3, 80e3])
    twice = spot_vols(between, strike, middle, last, dynamics=rule, tau=TAU)
    assert twice == pytest.approx(vols(strike, last, rule), rel=1e-12)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 2.0])
def test_the_vol_at_the_money_follows_the_skew_at_the_ratio(ratio: float) -> None:
    x = 1e-5
    after = F * math.exp(x)
    moved = float(vols(after, after, SkewStickiness(ratio))) - float(vols(F, F, "sticky_strike"))
    iv = float(np.sqrt(SMILE.w(0.0) / TAU))
    skew = float(SMILE.dw(0.0)) / (2.0 * iv * TAU)
    assert moved == pytest.approx(ratio * skew * x, abs=1e-9)
    seen = skew_stickiness(
        SMILE, lambda k: vols(after * np.exp(k), after, SkewStickiness(ratio)) ** 2 * TAU, x, tau=TAU
    )
    assert seen == pytest.approx(ratio, abs=1e-3)


def test_a_flat_smile_shows_no_ratio() -> None:
    flat = RawSvi(a=0.04, b=0.0, rho=0.0, m=0.0, sigma=0.1)
    assert math.isnan(skew_stickiness(flat, flat, 0.1, tau=TAU))
    with pytest.raises(ParameterError, match=r"log_move is 0\.0"):
        skew_stickiness(SMILE, SMILE, 0.0, tau=TAU)


def test_the_rule_has_to_be_said() -> None:
    with pytest.raises(ConventionError, match="no smile dynamics for a move of the forward"):
        check_dynamics(None, needed=True)
    with pytest.raises(ConventionError, match="smile dynamics 'sticky_skew'; expected sticky_strike, sticky"):
        check_dynamics("sticky_skew", needed=False)
    assert check_dynamics(None, needed=False) == "sticky_moneyness"
    assert held_at("sticky_moneyness", 0.2, 1.5) == (0.0, 1.0)


@pytest.mark.parametrize("ratio", [math.nan, math.inf, True, "1"])
def test_a_ratio_is_a_finite_number(ratio: float) -> None:
    with pytest.raises(ParameterError, match="skew-stickiness ratio is"):
        SkewStickiness(ratio)


def test_prices_and_times_are_positive() -> None:
    for strike, before, after, found in ((-1.0, F, F, "strike is -1"), (F, 0.0, F, "forward is 0")):
        with pytest.raises(ParameterError, match=found):
            spot_vols(SMILE, strike, before, after, dynamics="sticky_strike", tau=TAU)
    for tau in (0.0, -0.1, math.nan):
        with pytest.raises(ParameterError, match="tau is"):
            spot_vols(SMILE, F, F, F, dynamics="sticky_strike", tau=tau)
