"""Mark prices and funding: the figures that venues print, limits, and refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.instruments import Perpetual, Spot
from pmkit.margin import (
    averaged_premium,
    basis_mark,
    capped_index,
    clamped_funding_rate,
    damped_funding_rate,
    fair_price,
    funding_payment,
    hourly_funding_rate,
    impact_notional,
    median_mark,
    premium_index,
    smoothed_basis,
)

QUOTE = {"underlying": "BTC", "settlement": "linear", "settlement_currency": "USD", "lot": 1.0}
COIN = {"underlying": "BTC", "settlement": "inverse", "settlement_currency": "BTC", "lot": 1.0}
LINEAR = Perpetual(name="BTC-USD", multiplier=0.1, **QUOTE)
INVERSE = Perpetual(name="BTC-PERPETUAL", multiplier=10.0, **COIN)


@pytest.mark.parametrize(
    ("premium", "rate"), [(0.0002, 0.0001), (0.00065, 0.00015), (0.0010, 0.0005), (-0.0010, -0.0005)]
)
def test_clamped_rate_as_published(premium: float, rate: float) -> None:
    assert clamped_funding_rate(premium) == pytest.approx(rate, rel=1e-12)
    # a four-hour interval pays half of it
    assert clamped_funding_rate(premium, interval_hours=4.0) == pytest.approx(rate / 2.0, rel=1e-12)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(premium=st.floats(-0.02, 0.02), damper=st.floats(0.0, 0.001))
def test_damped_rate_is_the_premium_beyond_the_damper(premium: float, damper: float) -> None:
    expected = math.copysign(max(abs(premium) - damper, 0.0), premium)
    assert damped_funding_rate(premium, damper) == pytest.approx(expected, abs=1e-15)
    assert abs(damped_funding_rate(premium, damper, cap=0.005)) <= 0.005


def test_hourly_rate_is_held_in_its_cap() -> None:
    assert hourly_funding_rate(0.0) == 0.0000125
    assert (hourly_funding_rate(1.0), hourly_funding_rate(-1.0)) == (0.004, -0.004)


def test_premium_is_nothing_between_bid_and_ask() -> None:
    assert premium_index(49_990.0, 50_010.0, 50_000.0) == 0.0
    assert premium_index(50_100.0, 50_200.0, 50_000.0) == pytest.approx(0.002)
    assert premium_index(49_800.0, 49_900.0, 50_000.0) == pytest.approx(-0.002)


def test_average_weighs_the_last_sample_most() -> None:
    assert averaged_premium([3.0, 0.0, 0.0]) == 0.5 and averaged_premium([0.0, 0.0, 3.0]) == 1.5
    assert averaged_premium([0.7] * 9) == pytest.approx(0.7)
    assert impact_notional(0.008) == 25_000.0


@pytest.mark.parametrize("rate", [0.0003, -0.0003])
def test_a_long_pays_a_positive_rate_in_its_settlement_currency(rate: float) -> None:
    linear = funding_payment(LINEAR, 5.0, 60_000.0, rate)
    inverse = funding_payment(INVERSE, 6_000.0, 60_000.0, rate)
    assert linear == pytest.approx(-5.0 * 0.1 * 60_000.0 * rate)
    assert inverse == pytest.approx(-rate)
    assert funding_payment(LINEAR, -5.0, 60_000.0, rate) == -linear


def test_fair_price_runs_off_to_the_index() -> None:
    assert fair_price(50_000.0, 0.0003, 8.0, 8.0) == pytest.approx(50_015.0)
    assert fair_price(50_000.0, 0.0003, 0.0, 8.0) == 50_000.0


def test_median_mark_ignores_one_outlier() -> None:
    given_ = (50_000.0, 60_000.0, 20.0, 0.0003, 8.0, 8.0)
    assert median_mark(*given_) == 50_020.0
    assert median_mark(50_000.0, 1.0, 20.0, 0.0003, 8.0, 8.0) == 50_015.0


def test_index_holds_a_bad_source_in_the_band_and_drops_a_stale_one() -> None:
    assert capped_index([100.0, 100.0, 1.0]) == pytest.approx((100.0 + 100.0 + 97.0) / 3.0)
    assert capped_index([100.0, 300.0], [1.0, 1.0], ages_seconds=[1.0, 301.0]) == 100.0
    assert capped_index([100.0, 102.0], [3.0, 1.0]) == 100.5


def test_basis_mark_takes_the_last_trade_inside_the_spread() -> None:
    mark, sample = basis_mark(50_000.0, 49_000.0, 50_090.0, 50_110.0, 80.0)
    assert (mark, sample) == (50_080.0, 90.0)
    weight = 2.0 / 31.0
    assert smoothed_basis([10.0, 40.0], 1.0) == pytest.approx(10.0 + weight * 30.0)
    assert smoothed_basis([40.0], 1.0, start=10.0) == pytest.approx(10.0 + weight * 30.0)
    assert smoothed_basis([5.0] * 50, 1.0) == 5.0


BAD = [
    (lambda: capped_index([]), DataGapError, "no price is fresh"),
    (lambda: capped_index([1.0], ages_seconds=[400.0]), DataGapError, "no price is fresh"),
    (lambda: capped_index([1.0, -1.0]), ParameterError, "price 1 is -1.0"),
    (lambda: capped_index([1.0], [1.0, 2.0]), ParameterError, "2 weights for 1 prices"),
    (lambda: fair_price(50_000.0, 0.1, 9.0, 8.0), ParameterError, "hours_to_funding is 9.0"),
    (lambda: fair_price(0.0, 0.1, 1.0, 8.0), ParameterError, "index is 0.0"),
    (lambda: smoothed_basis([], 1.0), DataGapError, "no sample of the basis"),
    (lambda: basis_mark(1.0, 1.0, 2.0, 1.0, 0.0), ParameterError, "bid 2 is above ask 1"),
    (lambda: premium_index(2.0, 1.0, 1.0), ParameterError, "impact bid 2 is above ask 1"),
    (lambda: averaged_premium([]), DataGapError, "there is no premium"),
    (lambda: averaged_premium([math.inf]), ParameterError, "premium 1 is inf"),
    (lambda: clamped_funding_rate(0.0, clamp=-1.0), ParameterError, "clamp is -1.0"),
    (lambda: damped_funding_rate(0.0, -0.1), ParameterError, "damper is -0.1"),
    (lambda: impact_notional(0.0), ParameterError, "im_rate is 0.0"),
    (lambda: funding_payment(LINEAR, 1.0, -5.0, 0.1), ParameterError, "mark is -5.0"),
    (
        lambda: funding_payment(Spot(name="BTC", multiplier=1.0, **QUOTE), 1.0, 1.0, 0.1),  # type: ignore[arg-type]
        ConventionError,
        "is no perpetual",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
