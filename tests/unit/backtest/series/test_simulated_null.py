"""Random arrangements of hits, and the p-value of the new tests under a correct model."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, chisquare, kstest

from pmkit.backtest.series import simulated_null
from pmkit.backtest.series.simulated_null import check_draws, draw_counts, draw_days, simulated_p
from pmkit.backtest.var_tests import (
    dynamic_logit,
    dynamic_quantile,
    gmm_duration,
    haas,
    haas_mixed,
    weibull_duration,
)
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream


@pytest.mark.parametrize(("n", "x"), [(9, 3), (9, 2), (5, 4), (4, 4)])  # by shuffling, by distinct draws
def test_every_arrangement_is_equally_likely(n, x):
    days = draw_days(stream(1, "days"), n, np.full(20_000, x))
    found = dict.fromkeys(itertools.combinations(range(1, n + 1), x), 0)
    for row in days.tolist():
        found[tuple(row)] += 1
    assert len(found) == math.comb(n, x)
    if len(found) > 1:
        assert chisquare(list(found.values())).pvalue > 0.001


def test_rows_of_different_counts_are_ascending_and_end_with_zeros():
    x = np.array([0, 3, 40, 7] * 50)
    days = draw_days(stream(2, "days"), 500, x)
    assert days.shape == (200, 40)
    for row, count in zip(days, x, strict=True):
        assert (row[count:] == 0).all() and (np.diff(row[:count]) > 0).all()
        assert count == 0 or (row[0] >= 1 and row[count - 1] <= 500)
    mean = days[x == 40].mean()
    assert abs(mean - 250.5) < 4.0 * 145.0 / math.sqrt(2000)


def test_long_series_need_no_memory_for_their_days():
    days = draw_days(stream(3, "days"), 10**9, np.full(100, 20))
    assert days.max() > 9 * 10**8 and (np.diff(days, axis=1) > 0).all()


@pytest.mark.parametrize(("n", "p", "lowest"), [(250, 0.01, 1), (250, 0.01, 2), (30, 0.3, 0), (100, 1e-6, 2)])
def test_counts_are_binomial_given_their_bounds(n, p, lowest):
    drawn = draw_counts(stream(4, "counts"), n, p, 20_000, lowest=lowest, highest=n)
    assert drawn.min() >= lowest
    for count in range(lowest, lowest + 4):
        expected = float(binom.pmf(count, n, p) / binom.sf(lowest - 1, n, p))
        error = math.sqrt(expected * (1.0 - expected) / drawn.size)
        assert abs((drawn == count).mean() - expected) < 4.0 * error + 1e-4


def test_infinite_statistics_tie_with_each_other_alone():
    rng = stream(5, "infinite")
    x = np.array([2] * 50 + [3] * 149)

    def statistic(days, count):
        return np.where(count == 2, np.inf, 1.0)

    assert simulated_p(rng, 100, x, statistic, math.inf, "x").value == pytest.approx(51 / 200)
    assert simulated_p(rng, 100, x, statistic, 1.0, "x").value == 1.0


@pytest.mark.parametrize(("draws", "seed", "message"), [(98, 0, "draws is 98"), (99, -1, "seed is -1")])
def test_draws_and_seed_are_checked(draws, seed, message):
    with pytest.raises(ParameterError, match=message):
        check_draws(draws, seed)


VAR = 1.0 + np.sin(np.arange(250) / 9.0) ** 2


@pytest.mark.parametrize(
    ("test", "settings"),
    [
        (haas, {}),
        (haas_mixed, {}),
        (weibull_duration, {}),
        (gmm_duration, {}),
        (gmm_duration, {"hypothesis": "independence"}),
        (gmm_duration, {"hypothesis": "unconditional"}),
        (dynamic_quantile, {"var": VAR}),
        (dynamic_logit, {"var": VAR}),
    ],
)
def test_p_value_is_uniform_and_the_size_right_for_a_correct_model(test, settings):
    rng = np.random.default_rng(17)
    outcomes = [test(hits=rng.random(250) < 0.05, p=0.05, draws=199, seed=i, **settings) for i in range(200)]
    assert {outcome.decision for outcome in outcomes} <= {"rejected", "not_rejected"}
    assert kstest([outcome.details["p_ties_broken"] for outcome in outcomes], "uniform").pvalue > 0.01
    rejected = sum(outcome.decision_exact == "rejected" for outcome in outcomes)
    assert rejected <= binom.isf(0.001, 200, 0.05)  # ties count as extreme: at most the level
    assert rejected >= 1


@pytest.mark.parametrize(
    ("test", "settings"),
    [
        (haas, {}),
        (haas_mixed, {}),
        (weibull_duration, {}),
        (gmm_duration, {}),
        (gmm_duration, {"hypothesis": "independence"}),
        (dynamic_quantile, {"var": VAR}),
        (dynamic_logit, {"var": VAR}),
    ],
)
def test_clusters_of_the_right_number_are_found(test, settings):
    hits = np.zeros(250, dtype=bool)
    hits[[20, 21, 22, 24, 25, 130, 131, 133, 134, 135, 136, 240]] = True
    outcome = test(hits=hits, p=0.05, draws=999, **settings)
    assert outcome.decision_exact == "rejected"
    assert outcome == test(hits=hits, p=0.05, draws=999, **settings)


def test_rare_counts_from_a_table_are_those_of_the_inverse(monkeypatch):
    plain = draw_counts(stream(3, "rare"), 250, 0.01, 2_000, 2, 249)
    monkeypatch.setattr(simulated_null, "_RARE", 1e9)
    np.testing.assert_array_equal(draw_counts(stream(3, "rare"), 250, 0.01, 2_000, 2, 249), plain)
    rare = draw_counts(stream(3, "rare"), 200, 1e-9, 500, 2, 199)
    assert (rare == 2).all()
