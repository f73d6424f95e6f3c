"""The hit series: strict hits, ties, overlap, offsets, and what it refuses."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm

from pmkit.backtest import HitCounts, HitSeries
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

LOSS = [1.0, 3.0, 2.0, 2.5, -1.0, 2.0001]
VAR = [2.0] * 6


def test_a_hit_is_a_loss_strictly_above_var_and_ties_are_counted():
    series = HitSeries.from_losses(LOSS, VAR, 0.01)
    assert series.hits.tolist() == [False, True, False, True, False, True]
    assert (series.n, series.x, series.ties) == (6, 3, 1)
    assert series.level == 0.99
    assert repr(series) == "HitSeries(n=6, x=3, ties=1, p=0.01, horizon=1, step=1)"


def test_counts_have_one_transition_less_than_observations():
    counts = HitSeries.from_losses(LOSS, VAR, 0.01).counts()
    assert counts == HitCounts(n=6, x=3, n00=0, n01=3, n10=2, n11=0)
    assert HitSeries(hits=[True], p=0.01).counts() == HitCounts(1, 1, 0, 0, 0, 0)


@hypothesis_settings(max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_counts_agree_with_a_plain_loop(hits):
    pairs = list(itertools.pairwise(hits))
    counts = HitSeries(hits=hits, p=0.05).counts()
    assert counts[2:] == tuple(pairs.count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))
    assert (counts.n, counts.x) == (len(hits), sum(hits))


@pytest.mark.parametrize(
    ("horizon", "step", "stride", "overlapping"),
    [
        (1, 1, 1, False),
        (2, 1, 2, True),
        (10, 1, 10, True),
        (2, 2, 1, False),
        (1, 5, 1, False),
        (5, 2, 3, True),
    ]
    + [(1, 1 / 3, 3, True), (0.1, 0.1, 1, False), (0.3, 0.1, 3, True), (2.1, 0.3, 7, True)],
)
def test_overlap_and_stride(horizon, step, stride, overlapping):
    series = HitSeries(hits=[False, True] * 10, p=0.01, horizon=horizon, step=step)
    assert (series.stride, series.overlapping) == (stride, overlapping)
    assert len(list(series.offsets())) == stride
    assert not any(part.overlapping for part in series.offsets())


@hypothesis_settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=12, max_size=80), st.integers(1, 12))
def test_offsets_share_out_every_observation_once(hits, horizon):
    dates = pd.date_range("2021-01-01", periods=len(hits), tz="UTC")
    series = HitSeries(hits=hits, p=0.01, horizon=horizon, dates=dates)
    parts = list(series.offsets())
    assert sum(part.x for part in parts) == series.x
    assert sorted(stamp for part in parts for stamp in part.dates) == list(dates)
    for offset, part in enumerate(parts):
        assert part.hits.tolist() == hits[offset::horizon]
        assert (part.step, part.horizon, part.p) == (horizon, horizon, 0.01)


def test_ties_follow_their_observations_into_the_offsets():
    series = HitSeries.from_losses(LOSS, VAR, 0.01, horizon=2)
    assert [part.ties for part in series.offsets()] == [1, 0]


def test_dates_come_from_the_index_and_plain_dates_mean_utc_midnight():
    index = pd.date_range("2021-01-01", periods=6)
    series = HitSeries.from_losses(pd.Series(LOSS, index=index), pd.Series(VAR, index=index), 0.01)
    assert series.dates.equals(index.tz_localize("UTC"))
    assert HitSeries.from_losses(LOSS, pd.Series(VAR, index=index), 0.01).dates is not None
    assert HitSeries.from_losses(pd.Series(LOSS), pd.Series(VAR), 0.01).dates is None


def test_the_series_keeps_its_own_read_only_copy_and_survives_pickling():
    hits = np.array([False, True, False])
    series = HitSeries(hits=hits, p=0.01)
    hits[0] = True
    assert series.x == 1
    with pytest.raises(ValueError, match="read-only"):
        series.hits[0] = True
    assert pickle.loads(pickle.dumps(series)).counts() == series.counts()


def test_numbers_and_objects_that_are_all_zero_or_one_are_hits():
    for hits in (
        [0, 1, 1],
        [0.0, 1.0, 1.0],
        pd.Series([False, True, True]),
        np.array([False, True, True], object),
    ):
        assert HitSeries(hits=hits, p=0.01).hits.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("hits", "error", "message"),
    [
        ([], DataGapError, "hits is empty; expected at least one observation"),
        ([0.0, np.nan], SchemaError, r"hits\[1\] is missing \(1 of 2\)"),
        ([True, None], SchemaError, r"hits\[1\] is missing"),
        (pd.Series([True, pd.NA], dtype="boolean"), SchemaError, r"hits\[1\] is missing"),
        ([0, 2], SchemaError, r"hits\[1\] is 2; expected only 0 and 1"),
        ([0.0, 0.5], SchemaError, r"hits\[1\] is 0.5"),
        (["yes", "no"], SchemaError, "hits is of type"),
        (np.array([0, "a"], dtype=object), SchemaError, "hits is of type object"),
        ([[True], [False]], SchemaError, "hits has 2 dimensions"),
        ([[True], [False, True]], SchemaError, "hits has rows of unequal length"),
        (True, SchemaError, "hits has 0 dimensions"),
    ],
)
def test_hits_that_are_refused(hits, error, message):
    with pytest.raises(error, match=message):
        HitSeries(hits=hits, p=0.01)


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("p", 0.0, ParameterError, r"p is 0.0; expected a tail probability in \(0, 0.5\]"),
        ("p", 1.0, ParameterError, "p is 1.0"),
        ("p", float("nan"), ParameterError, "p is nan"),
        ("p", "1%", ParameterError, "p is '1%'"),
        ("p", None, ParameterError, "p is None"),
        ("p", True, ParameterError, "p is True"),
        ("p", 0.99, ConventionError, "p is 0.99, which looks like a level.*remedy: pass p=0.01 if"),
        ("horizon", 0, ParameterError, "horizon is 0; expected a positive number of days"),
        ("horizon", np.inf, ParameterError, "horizon is inf"),
        ("step", -1, ParameterError, "step is -1"),
        ("tied", [True], SchemaError, "tied has 1 values; expected 3"),
        ("tied", [False, True, False], SchemaError, "observation 1 is both a hit and a tie"),
    ],
)
def test_fields_that_are_refused(field, value, error, message):
    with pytest.raises(error, match=message):
        HitSeries(**({"hits": [False, True, False], "p": 0.01} | {field: value}))


@pytest.mark.parametrize(
    ("loss", "var", "error", "message"),
    [
        (
            [1.0, 2.0],
            [2.0, -2.5],
            ConventionError,
            r"var\[1\] = -2.5 is negative \(1 of 2\); expected VaR as a loss",
        ),
        ([1.0, 2.0], [2.0], SchemaError, "var has 1 values; expected 2"),
        ([1.0, np.nan], [2.0, 2.0], SchemaError, r"loss\[1\] is missing"),
        ([1.0, 2.0], [np.nan, 2.0], SchemaError, r"var\[0\] is missing"),
        ([1.0, np.inf], [2.0, 2.0], SchemaError, r"loss\[1\] is infinite"),
        ([], [], DataGapError, "loss is empty"),
        (["1.0", "2.0"], [2.0, 2.0], SchemaError, "loss is of type"),
        ([1.0, 2.0], 2.0, SchemaError, "var has 0 dimensions"),
    ],
)
def test_losses_and_var_that_are_refused(loss, var, error, message):
    with pytest.raises(error, match=message):
        HitSeries.from_losses(loss, var, 0.01)


def test_series_on_different_dates_are_not_paired_by_position():
    loss = pd.Series([1.0, 2.0], index=pd.date_range("2021-01-01", periods=2))
    with pytest.raises(SchemaError, match="loss and var carry different indexes"):
        HitSeries.from_losses(loss, loss.shift(freq="D"), 0.01)


def test_zero_var_is_legal():
    assert HitSeries.from_losses([0.0, 1.0], [0.0, 0.0], 0.01).x == 1


DAYS = pd.date_range("2021-01-01", periods=3, tz="UTC")


@pytest.mark.parametrize(
    ("dates", "error", "message"),
    [
        (DAYS[:2], SchemaError, "dates has 2 values; expected 3"),
        (DAYS[[0, 2, 1]], SchemaError, r"dates\[2\] = 2021-01-02T00:00:00\+00:00 does not come after"),
        (DAYS[[0, 1, 1]], SchemaError, r"dates\[2\] .* does not come after the one before it"),
        ([DAYS[0], pd.NaT, DAYS[2]], SchemaError, r"dates\[1\] is missing"),
        (DAYS.tz_convert("Europe/Berlin"), ConventionError, "dates are in time zone Europe/Berlin"),
        (DAYS.tz_localize(None) + pd.Timedelta("8h"), ConventionError, "clock times without a time zone"),
        ([1, 2, 3], SchemaError, "dates are not instants"),
        (np.array([1, 2, 3]), SchemaError, "dates are not instants"),
        (["a", "b", "c"], SchemaError, "dates are not instants"),
        (pd.period_range("2021-01-01", periods=3, freq="D"), SchemaError, "dates are not instants"),
        (
            pd.date_range("2021-01-01", periods=3, freq="8h", tz="UTC"),
            ConventionError,
            r"dates\[1\] = .* comes 0.3333 days after the one before it; expected about 1 days",
        ),
    ],
)
def test_dates_that_are_refused(dates, error, message):
    with pytest.raises(error, match=message):
        HitSeries(hits=[False, True, False], p=0.01, dates=dates)


def test_stamps_may_jitter_and_days_may_be_missing():
    stamps = pd.DatetimeIndex(["2021-01-01T00:00Z", "2021-01-01T23:50Z", "2021-01-05T00:00Z"])
    assert HitSeries(hits=[False, True, False], p=0.01, dates=stamps).n == 3


def test_offsets_need_an_observation_each():
    with pytest.raises(
        DataGapError, match="3 observations for 4 non-overlapping offsets; expected 4 or more"
    ):
        list(HitSeries(hits=[False, True, False], p=0.01, horizon=4).offsets())


@pytest.fixture(scope="module")
def sp500() -> tuple[pd.Series, pd.Series, pd.Series]:
    """Percentage log returns of 1999-2018 and two volatility forecasts for them: 250-day and exponential."""
    from arch.data import sp500 as data

    price = data.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    moving = returns.rolling(250).std(ddof=1).shift(1).iloc[250:]
    variance = float((returns.iloc[:250] ** 2).mean())
    exponential = []
    for value in returns.iloc[250:]:
        exponential.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    return returns.iloc[250:], moving, pd.Series(exponential, index=moving.index)


@pytest.mark.parametrize(
    ("model", "p", "x", "cells"),
    [
        (1, 0.01, 118, (4554, 107, 107, 11)),
        (1, 0.025, 177, (4442, 160, 160, 17)),
        (2, 0.025, 179, (4429, 171, 171, 8)),
        (2, 0.05, 273, (4251, 255, 255, 18)),
    ],
)
def test_reference_backtest_from_prices_to_transitions(sp500, model, p, x, cells):
    series = HitSeries.from_losses(-sp500[0], -sp500[model] * norm.ppf(p), p)
    assert series.counts() == HitCounts(4780, x, *cells)
    assert (str(series.dates[0].date()), str(series.dates[-1].date())) == ("1999-12-31", "2018-12-31")
