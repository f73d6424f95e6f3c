"""Series for ES tests: what is refused and how it is named, offsets, ties."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import PitSeries, TailSeries, es_tests
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

GOOD = {"loss": [0.5, 2.2, -1.0], "var": [2.0] * 3, "es": [2.5] * 3, "level": 0.975}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"es": [2.5, 1.9, 2.5]}, ConventionError, r"es\[1\] = 1.9 is below VaR \(VaR 2; 1 of 3 days\)"),
        ({"es": [-2.5] * 3, "var": [0.0] * 3}, ConventionError, r"es\[0\] = -2.5 is not positive"),
        ({"var": [-2.0] * 3}, ConventionError, r"var\[0\] = -2 is negative \(3 of 3\)"),
        ({"es": [2.5, math.nan, 2.5]}, SchemaError, r"es\[1\] is missing"),
        ({"loss": [0.5, math.nan, 1.0]}, SchemaError, r"loss\[1\] is missing"),
        ({"es": [2.5, math.inf, 2.5]}, SchemaError, r"es\[1\] is infinite"),
        ({"es": [2.5] * 4}, SchemaError, "es has 4 values; expected 3"),
        ({"var": [2.0] * 2}, SchemaError, "var has 2 values; expected 3"),
        ({"loss": [], "var": [], "es": []}, DataGapError, "loss is empty"),
        ({"level": 0.025}, ConventionError, "level is 0.025, which looks like a tail probability"),
        ({"level": 1.0}, ParameterError, "level is 1.0"),
        ({"level": "0.975"}, ParameterError, "level is '0.975'"),
        ({"level": 1.0 - 1e-14}, ParameterError, "1 - level of 1e-12 or more"),
        ({"horizon": 0.0}, ParameterError, "horizon is 0.0"),
        ({"dates": ["2024-01-02", "2024-01-01", "2024-01-03"]}, SchemaError, "does not come after"),
    ],
)
def test_tail_series_that_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        TailSeries(**(GOOD | change))


@pytest.mark.parametrize(
    ("pit", "level", "error", "message"),
    [
        ([0.5, 1.2], 0.975, SchemaError, r"pit\[1\] is 1.2 \(1 of 2 outside \[0, 1\]\)"),
        ([0.5, -0.1], 0.975, SchemaError, r"pit\[1\] is -0.1"),
        ([0.5, math.nan], 0.975, SchemaError, r"pit\[1\] is missing"),
        ([], 0.975, DataGapError, "pit is empty"),
        ([0.5], 0.01, ConventionError, "looks like a tail probability"),
    ],
)
def test_probabilities_that_are_refused(pit, level, error, message):
    with pytest.raises(error, match=message):
        PitSeries(pit=pit, level=level)


def test_other_dates_of_es_than_of_losses():
    days = pd.date_range("2024-01-01", periods=3, tz="UTC")
    loss = pd.Series(GOOD["loss"], index=days)
    with pytest.raises(SchemaError, match="loss and es carry different indexes"):
        TailSeries(loss=loss, var=GOOD["var"], es=pd.Series(GOOD["es"], index=days + days.freq), level=0.975)
    series = TailSeries(loss=loss, var=GOOD["var"], es=pd.Series(GOOD["es"], index=days), level=0.975)
    assert series.dates is not None and series.dates.equals(days)
    assert PitSeries(pit=pd.Series([0.1, 0.2, 0.3], index=days), level=0.9).dates.equals(days)


def test_tail_probability_is_a_decimal():
    assert TailSeries(**GOOD).p == 0.025 and PitSeries(pit=[0.2], level=0.99).p == 0.01


def test_hits_are_strict_and_ties_are_told():
    series = TailSeries(loss=[2.0, 2.1], var=[2.0, 2.0], es=[2.5, 2.5], level=0.5)
    assert (series.hits.x, series.hits.ties) == (1, 1)
    result = es_tests.acerbi_szekely(series, draws=99)
    assert "Note: 1 of 2 losses equal VaR and count as no hit" in result.warnings
    assert PitSeries(pit=[0.025, 0.0], level=0.975).hits.x == 1
    assert PitSeries(pit=[0.025, 0.0], level=0.975).violations().tolist() == [0.0, 1.0]


def test_offsets_split_every_column():
    values = np.arange(1.0, 8.0)
    series = TailSeries(loss=values, var=values + 1.0, es=values + 2.0, level=0.9, horizon=2)
    parts = list(series.offsets())
    assert [part.loss.tolist() for part in parts] == [[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0]]
    assert [part.es.tolist() for part in parts] == [[3.0, 5.0, 7.0, 9.0], [4.0, 6.0, 8.0]]
    assert all(not part.hits.overlapping for part in parts)
    pits = list(PitSeries(pit=values / 10.0, level=0.9, horizon=3).offsets())
    assert [part.pit.round(1).tolist() for part in pits] == [[0.1, 0.4, 0.7], [0.2, 0.5], [0.3, 0.6]]


def test_series_are_read_only():
    series = TailSeries(**GOOD)
    with pytest.raises(ValueError, match="read-only"):
        series.loss[0] = 1.0


TAIL_TESTS = ["acerbi_szekely", "minimally_biased", "mcneil_frey", "nolde_ziegel", "e_backtest"]
PIT_TESTS = ["du_escanciano", "du_escanciano_conditional", "costanzino_curran", "multinomial"]


@pytest.mark.parametrize("name", TAIL_TESTS + PIT_TESTS)
def test_every_test_refuses_overlap_and_splits_it_where_asked(name):
    rng, test = np.random.default_rng(4), getattr(es_tests, name)
    if name in TAIL_TESTS:
        loss = rng.standard_normal(300)
        series = TailSeries(loss=loss, var=np.full(300, 1.2), es=np.full(300, 1.6), level=0.9, horizon=2)
        alone = TailSeries(loss=loss[1::2], var=np.full(150, 1.2), es=np.full(150, 1.6), level=0.9)
    else:
        pit = rng.random(300)
        series, alone = PitSeries(pit=pit, level=0.9, horizon=2), PitSeries(pit=pit[1::2], level=0.9)
    few = {} if name in ("e_backtest", "du_escanciano", "costanzino_curran") else {"draws": 99}
    with pytest.raises(ConventionError, match="the hits overlap"):
        test(series, **few)
    with pytest.raises(ConventionError, match="horizon is 3 days"):
        test(series, horizon=3, **few)
    both = test(series, horizon=2, **few)
    assert len(both.outcomes) == 2 and both.horizon == 2.0
    second, single = both.outcomes[1], test(alone, **few)
    assert (second.statistic, second.p_exact, second.n) == (single.statistic, single.p_exact, 150)
    assert 0.0 <= both.p_combined <= 1.0 and both.e_value >= 0.0


@pytest.mark.parametrize("name", TAIL_TESTS + PIT_TESTS)
def test_every_test_names_what_it_needs(name):
    kind = "TailSeries" if name in TAIL_TESTS else "PitSeries"
    with pytest.raises(ParameterError, match=f"series is of type list; expected a {kind}"):
        getattr(es_tests, name)([1.0, 2.0])
    good: object = PitSeries(pit=[0.2, 0.3], level=0.9) if kind == "PitSeries" else TailSeries(**GOOD)
    with pytest.raises(ParameterError, match="alpha is 0"):
        getattr(es_tests, name)(good, alpha=0)


@pytest.mark.parametrize("name", TAIL_TESTS + PIT_TESTS)
def test_one_observation(name):
    if name in TAIL_TESTS:
        quiet: object = TailSeries(loss=[0.5], var=[2.0], es=[2.5], level=0.975)
        severe: object = TailSeries(loss=[4.0], var=[2.0], es=[2.5], level=0.975)
    else:
        quiet, severe = PitSeries(pit=[0.5], level=0.975), PitSeries(pit=[0.001], level=0.975)
    for series in (quiet, severe):
        result = getattr(es_tests, name)(series)
        assert result.n == 1 and isinstance(result.to_dict(), dict) and result.name in repr(result)
    assert getattr(es_tests, name)(quiet).decision in ("not_rejected", "not_evaluable")
