"""Hits of losses that share days: spread of their number, zones, proportion and independence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal, norm

from pmkit.backtest import (
    HitSeries,
    overlap_counts,
    overlapping_independence,
    overlapping_pof,
    variance_inflation,
)
from pmkit.backtest.margins import overlap_law as module
from pmkit.backtest.var.pof import pof_statistic
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.random import stream

LONG = 999_999_999


# Limits for long histories, computed independently and printed to four digits.
@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.005, (1.1895, 2.1114, 3.8364)),
        (0.01, (1.2412, 2.3031, 4.2487)),
        (0.025, (1.3280, 2.6134, 4.9110)),
        (0.05, (1.4080, 2.8927, 5.5034)),
    ],
)
def test_variance_inflation_to_the_printed_digits(p: float, expected: tuple[float, ...]) -> None:
    found = [variance_inflation(n=LONG, p=p, horizon=h) for h in (2, 5, 10)]
    assert [round(value, 4) for value in found] == list(expected)


def test_variance_inflation_is_the_sum_of_bivariate_normal_correlations() -> None:
    n, p, h = 250, 0.025, 3
    z, total = norm.ppf(p), 1.0
    for lag in (1, 2):
        shared = (h - lag) / h
        both = multivariate_normal(cov=[[1.0, shared], [shared, 1.0]]).cdf([z, z])
        total += 2.0 * (1.0 - lag / n) * (both - p * p) / (p * (1.0 - p))
    assert variance_inflation(n=n, p=p, horizon=h) == pytest.approx(total, rel=1e-6)
    assert variance_inflation(n=n, p=p, horizon=1) == 1.0


# n, horizon: sd, green, yellow, size of the naive 5 % test, P(X >= 5); published from 1e5 simulations.
@pytest.mark.parametrize(
    ("n", "h", "sd", "green", "yellow", "size", "five"),
    [
        (250, 1, 1.576, 4, 9, 0.094, 0.109),
        (250, 2, 1.754, 5, 11, 0.136, 0.130),
        (250, 5, 2.374, 6, 16, 0.296, 0.182),
        (250, 10, 3.230, 8, 25, 0.500, 0.209),
        (500, 5, 3.359, 10, 22, 0.242, math.nan),
    ],
)
def test_counts_spread_as_published(
    n: int, h: int, sd: float, green: int, yellow: int, size: float, five: float
) -> None:
    draws = 30_000
    law = overlap_counts(n=n, p=0.01, horizon=h, draws=draws, seed=3)
    law.check()
    assert law.sd == pytest.approx(sd, rel=0.02)
    assert law.zones.green == green and abs(law.zones.yellow - yellow) <= 2  # 3 of 30,000 lie beyond yellow
    assert law.naive_size() == pytest.approx(size, abs=5 * math.sqrt(0.25 / draws))
    if not math.isnan(five):
        assert law.probability_of(5) == pytest.approx(five, abs=5 * math.sqrt(0.25 / draws))
    assert law.sd**2 == pytest.approx(n * 0.01 * 0.99 * variance_inflation(n=n, p=0.01, horizon=h), rel=0.05)


def test_equal_seeds_give_equal_bits_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    first = overlap_counts(n=100, p=0.05, horizon=4, draws=999, seed=8)
    monkeypatch.setattr(module, "_BLOCK", 5_000)
    second = overlap_counts(n=100, p=0.05, horizon=4, draws=999, seed=8)
    np.testing.assert_array_equal(first.counts, second.counts)


def test_resampled_days_keep_the_tail_probability() -> None:
    heavy = stream(5, "days").standard_t(3, 4_000)
    law = overlap_counts(n=250, p=0.025, horizon=5, days=heavy, draws=5_000)
    assert np.mean(law.counts) == pytest.approx(250 * 0.025, rel=0.05)
    assert law.law == "resampled from 4000 days"
    assert overlap_counts(n=250, p=0.025, horizon=5, days=100.0 * heavy, draws=5_000).sd == law.sd


def test_proportion_has_its_size_where_the_naive_test_has_not() -> None:
    rng, span, rejected, naive, runs = stream(11, "size"), 5, 0, 0, 300
    for run in range(runs):
        sums = np.convolve(rng.standard_normal(250 + span - 1), np.ones(span), "valid")
        hits = HitSeries(hits=sums > norm.isf(0.05) * math.sqrt(span), p=0.05, horizon=span)
        result = overlapping_pof(hits=hits, draws=499, seed=run)
        rejected += result.decision == "rejected"
        naive += result.details["p_naive"] <= 0.05
    assert rejected / runs == pytest.approx(0.05, abs=3.5 * math.sqrt(0.05 * 0.95 / runs))
    assert naive / runs > 0.2


def test_proportion_finds_twice_as_many_hits() -> None:
    rng, span, rejected = stream(12, "power"), 5, 0
    for run in range(60):
        sums = np.convolve(rng.standard_normal(1000 + span - 1), np.ones(span), "valid")
        hits = HitSeries(hits=sums > norm.isf(0.10) * math.sqrt(span), p=0.05, horizon=span)
        rejected += overlapping_pof(hits=hits, draws=499, seed=run).decision == "rejected"
    assert rejected > 50


def test_without_overlap_it_is_the_plain_test() -> None:
    hits = HitSeries(hits=[True] * 6 + [False] * 244, p=0.01)
    result = overlapping_pof(hits=hits, draws=50_000)
    assert result.details["variance_inflation"] == 1.0
    counts = np.arange(251)
    extreme = pof_statistic(250, counts, 0.01) >= result.statistic - 1e-9
    assert result.p_exact == pytest.approx(binom.pmf(counts, 250, 0.01)[extreme].sum(), abs=0.005)
    assert result.details["p_greater"] == pytest.approx(binom.sf(5, 250, 0.01), abs=0.005)


def test_independence_has_its_size_and_finds_clusters() -> None:
    rng, span, runs = stream(13, "independence"), 3, 200
    null = alternative = 0
    for run in range(runs):
        days = rng.standard_normal(300 + span - 1)
        scale = np.repeat(np.exp(1.2 * rng.standard_normal(31)), 10)[: days.size]
        for what, losses in (("null", days), ("clustered", days * scale)):
            sums = np.convolve(losses, np.ones(span), "valid")
            bound = np.quantile(sums, 0.95)
            result = overlapping_independence(
                hits=HitSeries(hits=sums > bound, p=0.05, horizon=span), draws=199, seed=run
            )
            null += what == "null" and result.decision == "rejected"
            alternative += what == "clustered" and result.decision == "rejected"
    assert null / runs < 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert alternative / runs > 3.0 * null / runs and alternative / runs > 0.2


def test_too_few_hits_are_not_evaluable() -> None:
    result = overlapping_independence(hits=HitSeries(hits=[True] + [False] * 99, p=0.05, horizon=5))
    assert result.decision == "not_evaluable" and math.isnan(result.statistic)
    assert "fewer than two hits" in result.warnings[0]


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ParameterError, "pass hits=HitSeries", lambda: overlapping_pof(hits=[True, False])),
        (
            ConventionError,
            "whole number of steps",
            lambda: overlapping_pof(hits=HitSeries(hits=[True, False] * 9, p=0.05, horizon=5, step=2)),
        ),
        (
            ParameterError,
            "20 or more losses that vary",
            lambda: overlap_counts(n=9, p=0.05, horizon=2, days=[1]),
        ),
        (ParameterError, "horizon is 12 days for 9", lambda: overlap_counts(n=9, p=0.05, horizon=12)),
        (ParameterError, "lags is 0", lambda: overlapping_independence(hits=_some(), lags=0)),
        (ParameterError, "draws is 5", lambda: overlapping_pof(hits=_some(), draws=5)),
    ],
)
def test_bad_input_is_named(error: type[Exception], message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()


def _some() -> HitSeries:
    return HitSeries(hits=[True, False] * 20, p=0.05, horizon=2)


def test_result_speaks() -> None:
    law = overlap_counts(n=100, p=0.05, horizon=5, draws=500)
    assert law.summary().loc[5, "sd"] > law.summary().loc[5, "sd_independent"]
    assert law.to_frame()["probability"].sum() == pytest.approx(1.0)
    assert "hits in 100" in law.plot().get_xlabel()
