"""Time until the first hit: published figures, the exact law by summation, no hit, bad input."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pmkit.backtest import HitSeries, OffsetOutcomes
from pmkit.backtest.var.first_hit import waiting_time_statistic
from pmkit.backtest.var_tests import kupiec_first_hit
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError


def plain(v: int, p: float) -> float:
    after = (v - 1) * math.log(v - 1) if v > 1 else 0.0
    return -2.0 * (math.log(p) + (v - 1) * math.log(1.0 - p) + v * math.log(v) - after)


def test_published_figures():
    result = kupiec_first_hit(first_hit=58, p=0.05)
    assert (f"{result.statistic:.4f}", f"{result.p_asymptotic:.5f}") == ("1.7354", "0.18773")
    assert (result.n, result.x, result.n_effective, result.df) == (58, 1, 58, 1)


@pytest.mark.parametrize(("p", "low", "high"), [(0.01, 7, 438), (0.05, 2, 86), (0.005, 12, 878)])
def test_days_that_are_not_rejected(p, low, high):
    details = kupiec_first_hit(first_hit=20, p=p).details
    assert (details["lowest_not_rejected"], details["highest_not_rejected"]) == (low, high)
    decisions = [kupiec_first_hit(first_hit=v, p=p).decision for v in (low - 1, low, high, high + 1)]
    assert decisions == ["rejected", "not_rejected", "not_rejected", "rejected"]


@hypothesis_settings(max_examples=60)
@given(st.integers(1, 5000), st.floats(0.001, 0.5))
def test_statistic_is_the_plain_likelihood_ratio(v, p):
    assert float(waiting_time_statistic(v, p)) == pytest.approx(max(plain(v, p), 0.0), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("v", [1, 2, 3, 5, 19, 20, 21, 60, 100])
def test_exact_p_value_by_summation(v, p):
    observed = plain(v, p) - 1e-8
    weights = (p * (1.0 - p) ** (k - 1) for k in range(1, 3000) if plain(k, p) >= observed)
    result = kupiec_first_hit(first_hit=v, p=p)
    assert result.p_exact == pytest.approx(math.fsum(weights), rel=1e-9, abs=1e-15)
    assert (result.p_exact_se, result.p_exact_kind) == (0.0, "exact geometric")


def test_exact_test_keeps_its_level():
    size = math.fsum(
        0.05 * 0.95 ** (v - 1)
        for v in range(1, 600)
        if kupiec_first_hit(first_hit=v, p=0.05).decision_exact == "rejected"
    )
    assert 0.0 < size <= 0.05


def test_series_and_counts_agree():
    hits = [False] * 57 + [True] + [False] * 40 + [True, False]
    series = kupiec_first_hit(hits=hits, p=0.05)
    assert series == kupiec_first_hit(n=100, x=2, first_hit=58, p=0.05)
    assert series == kupiec_first_hit(hits=HitSeries(hits=hits, p=0.05))
    assert series.statistic == kupiec_first_hit(first_hit=58, p=0.05).statistic


def test_without_a_hit_the_test_rejects_only_what_any_later_hit_would_reject():
    short = kupiec_first_hit(n=250, p=0.01)
    assert short.decision == short.decision_exact == "not_evaluable"
    assert math.isnan(short.statistic) and short.details["first_hit"] is None
    assert short.warnings == (
        "Note: cannot be evaluated: no hit in 250 days, and up to 438 would not reject",
    )
    assert kupiec_first_hit(n=437, p=0.01).decision == "not_evaluable"
    long = kupiec_first_hit(hits=[0] * 438, p=0.01)
    assert long.decision == "rejected"
    assert long.statistic == pytest.approx(plain(439, 0.01), rel=1e-12)
    assert "upper bound" in long.p_exact_kind


def test_all_hits_and_one_hit():
    every = kupiec_first_hit(hits=[1] * 50, p=0.01)
    assert every.statistic == pytest.approx(-2.0 * math.log(0.01)) and every.decision == "rejected"
    later = next(v for v in range(100, 2000) if plain(v, 0.01) >= every.statistic)
    assert every.p_exact == pytest.approx(0.01 + 0.99 ** (later - 1), rel=1e-9)
    assert kupiec_first_hit(hits=[0] * 99 + [1], p=0.01).statistic == pytest.approx(0.0, abs=1e-12)


def test_probabilities_near_the_smallest_number_do_not_overflow():
    assert kupiec_first_hit(first_hit=5, p=1e-300).decision == "rejected"
    assert kupiec_first_hit(first_hit=5, p=5e-324).decision == "rejected"


def test_overlapping_hits_are_tested_by_offset():
    hits = HitSeries(hits=[False, False, True, False] * 40, p=0.05, horizon=2)
    with pytest.raises(ConventionError, match="the hits overlap"):
        kupiec_first_hit(hits=hits)
    both = kupiec_first_hit(hits=hits, horizon=2)
    assert isinstance(both, OffsetOutcomes)
    assert [item.details["first_hit"] for item in both.outcomes] == [2, None]
    assert [item.decision for item in both.outcomes] == ["not_rejected", "not_evaluable"]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "neither counts nor hits are given"),
        ({"first_hit": 0}, "first_hit is 0; expected a day counted from 1"),
        ({"first_hit": 2.5}, "first_hit is 2.5"),
        ({"first_hit": 5, "n": 10}, "x is not given; expected all of n, x"),
        ({"first_hit": 5, "n": 10, "x": 0}, "first_hit is 5 with x = 0"),
        ({"n": 10, "x": 2}, "first_hit is None with x = 2"),
        ({"first_hit": 10, "n": 10, "x": 2}, "first_hit is 10 with 2 hits on 10 days; expected 9 at most"),
        ({"first_hit": 5, "hits": [True]}, r"counts \(first_hit\) and hits are both given"),
        ({"first_hit": 5, "p": None}, "p is None"),
        ({"first_hit": 5, "alpha": 2}, "alpha is 2"),
    ],
)
def test_counts_that_are_refused(given_, message):
    with pytest.raises(ParameterError, match=message):
        kupiec_first_hit(**({"p": 0.05} | given_))


def test_other_input_that_is_refused():
    with pytest.raises(ConventionError, match="horizon=2 is given with counts"):
        kupiec_first_hit(first_hit=5, p=0.05, horizon=2)
    with pytest.raises(ConventionError, match="looks like a level"):
        kupiec_first_hit(first_hit=5, p=0.95)
    with pytest.raises(SchemaError, match=r"hits\[1\] is missing"):
        kupiec_first_hit(hits=[0.0, math.nan], p=0.05)
    with pytest.raises(DataGapError, match="hits is empty"):
        kupiec_first_hit(hits=[], p=0.05)
