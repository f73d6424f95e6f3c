"""Overlapping losses: refused unless a horizon is named, then one test an offset and a verdict that holds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pmkit.backtest import BacktestTest, HitSeries, OffsetOutcomes, var_tests
from pmkit.backtest.series.overlap import doubling_e_value
from pmkit.core.errors import ConventionError, DataGapError, ParameterError

EVERY_TEST = [
    var_tests.kupiec,
    var_tests.binomial_exact,
    var_tests.basel_zone,
    var_tests.christoffersen,
    var_tests.christoffersen_independence,
]


def overlapping(n: int = 500, horizon: int = 5, p: float = 0.05, seed: int = 5) -> HitSeries:
    days = np.random.default_rng(seed).standard_normal(n + horizon - 1)
    losses = np.add.reduce(np.lib.stride_tricks.sliding_window_view(days, horizon), axis=1)
    return HitSeries.from_losses(losses, np.full(n, norm.isf(p) * math.sqrt(horizon)), p, horizon=horizon)


@pytest.mark.parametrize("function", EVERY_TEST)
def test_an_overlapping_series_is_refused_without_horizon(function):
    message = (
        r"the hits overlap: losses over 5 days, taken every 1, share days; "
        r"expected observations that share no days.*"
        r"remedy: pass horizon=5 to test each of the 5 non-overlapping offsets"
    )
    with pytest.raises(ConventionError, match=message):
        function(hits=overlapping())


@pytest.mark.parametrize("function", EVERY_TEST)
def test_with_horizon_each_offset_is_tested_alone(function):
    series = overlapping()
    result = function(hits=series, horizon=5)
    assert isinstance(result, OffsetOutcomes) and len(result.outcomes) == 5
    for outcome, part in zip(result.outcomes, series.offsets(), strict=True):
        assert outcome == function(hits=part)
        assert (outcome.n, outcome.x, outcome.horizon) == (100, part.x, 5.0)
    assert (result.n, result.x, result.n_effective, result.horizon) == (500, series.x, 100, 5.0)


@pytest.mark.parametrize("function", EVERY_TEST)
def test_another_horizon_than_that_of_the_hits_is_refused(function):
    with pytest.raises(ConventionError, match="horizon is 2 days and the hits are of losses over 5 days"):
        function(hits=overlapping(), horizon=2)
    with pytest.raises(ParameterError, match="horizon is 0"):
        function(hits=overlapping(), horizon=0)


def test_a_series_without_overlap_and_horizon_is_a_single_offset():
    series = HitSeries(hits=[False] * 95 + [True] * 5, p=0.05, horizon=5, step=5)
    assert isinstance(var_tests.kupiec(hits=series), BacktestTest)
    alone = var_tests.kupiec(hits=series, horizon=5)
    assert len(alone.outcomes) == 1 and alone.p_combined == alone.outcomes[0].p_exact


def test_a_plain_array_is_without_overlap_unless_a_horizon_says_so():
    hits = overlapping().hits
    assert var_tests.kupiec(hits=hits, p=0.05).n == 500
    split = var_tests.kupiec(hits=hits, p=0.05, horizon=5)
    assert split.to_dict() == var_tests.kupiec(hits=overlapping(), horizon=5).to_dict()
    assert len(var_tests.christoffersen_independence(hits=hits, horizon=5).outcomes) == 5


def test_combined_p_is_the_smallest_times_the_number_of_offsets():
    result = var_tests.kupiec(hits=overlapping(), horizon=5)
    assert result.p_combined == min(1.0, 5 * min(outcome.p_exact for outcome in result.outcomes))
    assert result.p_combined_asymptotic == min(
        1.0, 5 * min(outcome.p_asymptotic for outcome in result.outcomes)
    )
    bad = HitSeries(hits=[True, False, True, False, False, False] * 30, p=0.05, horizon=2)
    both = var_tests.kupiec(hits=bad, horizon=2)
    assert both.decision == "rejected" and both.p_combined == 2 * both.outcomes[0].p_exact < 0.05


def test_e_value_is_the_likelihood_ratio_of_twice_the_hits_and_is_averaged():
    for n, x, p in ((250, 5, 0.01), (100, 0, 0.05), (60, 9, 0.025)):
        ratio = float(binom.pmf(x, n, 2 * p) / binom.pmf(x, n, p))
        assert doubling_e_value(n, x, p) == pytest.approx(ratio, rel=1e-9)
    assert doubling_e_value(3, 3, 0.5) == pytest.approx(8.0, rel=1e-12)
    assert doubling_e_value(3, 2, 0.5) == 0.0
    assert math.isfinite(doubling_e_value(5000, 5000, 0.01))
    result = var_tests.kupiec(hits=overlapping(), horizon=5)
    values = [doubling_e_value(outcome.n, outcome.x, 0.05) for outcome in result.outcomes]
    assert result.e_value == pytest.approx(sum(values) / 5, rel=1e-12)
    assert result.p_from_e == min(1.0, 1.0 / result.e_value)
    assert math.isnan(var_tests.christoffersen_independence(hits=overlapping(), horizon=5).e_value)
    assert math.isnan(var_tests.christoffersen_independence(hits=overlapping(), horizon=5).p_from_e)


@hypothesis_settings(max_examples=40)
@given(st.integers(1, 200), st.floats(0.001, 0.5))
def test_e_value_has_mean_one_under_the_null(n, p):
    mean = math.fsum(float(binom.pmf(x, n, p)) * doubling_e_value(n, x, p) for x in range(n + 1))
    assert mean == pytest.approx(1.0, rel=1e-8)


def test_wealth_of_a_constant_bet_is_the_e_value():
    rng = np.random.default_rng(2)
    p, hits = 0.1, rng.random(50) < 0.2
    bet = p / (1.0 - p)
    wealth = 1.0
    for hit in hits:
        wealth *= 1.0 - bet + bet * hit / p
    assert doubling_e_value(50, int(hits.sum()), p) == pytest.approx(wealth, rel=1e-12)


def test_combined_test_keeps_its_level_where_the_naive_one_does_not():
    naive = combined = by_e = 0
    runs = 150
    for seed in range(runs):
        series = overlapping(n=250, horizon=5, p=0.05, seed=1000 + seed)
        naive += var_tests.kupiec(hits=series.hits, p=0.05).decision == "rejected"
        result = var_tests.kupiec(hits=series, horizon=5)
        combined += result.decision == "rejected"
        by_e += result.p_from_e <= 0.05
    assert naive / runs > 0.15
    assert combined / runs <= 0.05
    assert by_e / runs <= 0.05


def test_offsets_that_cannot_be_evaluated_count_in_the_correction():
    hits = np.zeros(60, dtype=bool)
    hits[[3, 9, 21, 33, 35, 37]] = True  # odd places only
    result = var_tests.christoffersen_independence(hits=HitSeries(hits=hits, p=0.05, horizon=2), horizon=2)
    assert [outcome.decision for outcome in result.outcomes] == ["not_evaluable", "not_rejected"]
    assert result.p_combined == min(1.0, 2 * result.outcomes[1].p_exact)
    assert "Note: 1 of 2 offsets cannot be evaluated" in result.warnings
    none = var_tests.christoffersen_independence(
        hits=HitSeries(hits=[False] * 60, p=0.05, horizon=2), horizon=2
    )
    assert none.decision == "not_evaluable" and math.isnan(none.p_combined)


def test_frames_and_display_have_a_row_an_offset_and_are_deterministic():
    result = var_tests.basel_zone(hits=overlapping(), horizon=5)
    summary = result.summary()
    assert summary.index.tolist() == [0, 1, 2, 3, 4] and summary.index.name == "offset"
    assert {"n", "x", "p_exact", "e_value", "zone", "decision"} <= set(summary.columns)
    assert len(result.to_frame()) == 5
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["decision"] == result.decision and len(record["offsets"]) == 5
    assert repr(result) == repr(var_tests.basel_zone(hits=overlapping(), horizon=5))
    assert " at 0x" not in repr(result) + result._repr_html_()
    assert result._repr_html_().count("<tr") > 5
    assert result.cite() == ("basel1996", "basel2019", "vovk2021")


def test_offsets_of_different_tests_do_not_combine():
    kupiec, light = var_tests.kupiec(n=250, x=5, p=0.01), var_tests.basel_zone(n=250, x=5, p=0.01)
    with pytest.raises(ParameterError, match="outcomes of 2 tests or levels"):
        OffsetOutcomes(outcomes=(kupiec, light), horizon=2)
    with pytest.raises(ParameterError, match="outcomes of 0 tests"):
        OffsetOutcomes(outcomes=(), horizon=2)


def test_more_offsets_than_observations_are_refused():
    with pytest.raises(DataGapError, match="2 observations for 5 non-overlapping offsets"):
        var_tests.kupiec(hits=[True, False], p=0.01, horizon=5)
