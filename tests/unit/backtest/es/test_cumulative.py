"""Cumulative violations: exact law against other routes, memory, size and power, bad input."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom, chi2, norm

from pmkit.backtest.es_tests import (
    PitSeries,
    ViolationLaw,
    costanzino_curran,
    du_escanciano,
    du_escanciano_conditional,
)
from pmkit.core.errors import ConventionError, ParameterError


def irwin_hall(n: int, p: float, total: float) -> float:
    """P(sum ≥ total): binomial number of uniforms, each sum by its alternating formula with many digits."""
    with mpmath.workdps(60):
        s, result = mpmath.mpf(total), mpmath.mpf(0)
        for x in range(1, n + 1):
            weight = binom.pmf(x, n, p)
            if weight < 1e-18:
                continue
            below = mpmath.fsum(
                (-1) ** k * mpmath.binomial(x, k) * (s - k) ** x for k in range(min(x, math.floor(s)) + 1)
            ) / mpmath.factorial(x)
            result += weight * (1 - min(below, mpmath.mpf(1)))
        return float(result)


@pytest.mark.parametrize(
    ("n", "p", "totals"),
    [(1, 0.05, (1e-6, 0.3, 0.9)), (20, 0.1, (0.001, 0.7, 2.0, 4.5)), (250, 0.025, (0.2, 3.1, 5.9, 9.8))],
)
def test_law_of_the_sum_by_its_alternating_formula(n, p, totals):
    law = ViolationLaw(n, p)
    for total in totals:
        exact = irwin_hall(n, p, total)
        assert law.sf(total) == pytest.approx(exact, rel=1e-6, abs=1e-9)
        assert law.cdf(total) + law.sf(total) == pytest.approx(1.0, abs=1e-12)


def test_law_of_the_sum_at_its_ends():
    law = ViolationLaw(100, 0.02)
    assert (law.sf(0.0), law.sf(-1.0), law.cdf(-1.0)) == (1.0, 1.0, 0.0)
    assert law.cdf(0.0) == pytest.approx(0.98**100, rel=1e-12) and law.quantile(0.1) == 0.0
    assert law.sf(1e-12) == pytest.approx(1.0 - 0.98**100, rel=1e-6)
    assert law.sf(100.0) == pytest.approx(0.0, abs=1e-12)
    for level in (0.3, 0.95, 0.9999):
        assert law.cdf(law.quantile(level)) == pytest.approx(level, abs=1e-9)


def test_law_of_the_sum_becomes_normal():
    law = ViolationLaw(100_000, 0.05)
    for z in (-2.0, 0.0, 1.0, 2.0):
        assert law.sf(law.mean + z * law.sd) == pytest.approx(norm.sf(z), abs=0.003)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60), st.floats(0.6, 0.99))
def test_statistics_of_a_series_and_of_its_report_agree(pit, level):
    series = PitSeries(pit=pit, level=level)
    mean = float(np.mean(np.maximum(1.0 - np.array(pit) / series.p, 0.0)))
    by_report = {"n": series.n, "x": series.hits.x, "mean": mean, "level": level}
    assert du_escanciano(series) == du_escanciano(**by_report)
    light = costanzino_curran(series)
    assert light == costanzino_curran(**by_report)
    assert light.statistic == pytest.approx(series.n * mean, rel=1e-12)
    assert light.p_exact == du_escanciano(series, alternative="greater").p_exact


def test_no_hit_and_nothing_but_hits():
    quiet = PitSeries(pit=np.full(250, 0.5), level=0.975)
    assert du_escanciano(quiet).p_exact == pytest.approx(2.0 * 0.975**250, rel=1e-9)
    assert costanzino_curran(quiet).details["zone"] == "green"
    memory = du_escanciano_conditional(quiet)
    assert memory.decision == "not_evaluable" and math.isnan(memory.statistic)
    assert any("a hit is needed" in text for text in memory.warnings)
    loud = PitSeries(pit=np.zeros(60), level=0.975)
    for test in (du_escanciano, costanzino_curran, du_escanciano_conditional):
        assert test(loud).decision == "rejected"
    assert costanzino_curran(loud).details["zone"] == "red"
    short = du_escanciano_conditional(PitSeries(pit=[0.0, 0.5, 0.5], level=0.9), lags=3)
    assert short.decision == "not_evaluable" and "more than 3 observations" in short.warnings[0]


def test_zones_begin_where_they_say():
    details = costanzino_curran(n=250, x=9, mean=0.02, level=0.975).details
    for limit, below, from_there in (("yellow_from", "green", "yellow"), ("red_from", "yellow", "red")):
        total = details[limit]
        for mean, zone in ((total * (1 - 1e-9) / 250, below), (total * (1 + 1e-9) / 250, from_there)):
            assert costanzino_curran(n=250, x=20, mean=mean, level=0.975).details["zone"] == zone


def test_conditional_statistic_by_a_plain_loop():
    pit = np.random.default_rng(5).random(300) ** 1.2
    h = [max(1.0 - u / 0.1, 0.0) - 0.05 for u in pit]
    start = math.fsum(v * v for v in h) / 300
    total = 0.0
    for lag in (1, 2, 3):
        total += (math.fsum(h[t] * h[t - lag] for t in range(lag, 300)) / (300 - lag) / start) ** 2
    result = du_escanciano_conditional(PitSeries(pit=pit, level=0.9), lags=3, draws=99)
    assert result.statistic == pytest.approx(300 * total, rel=1e-10)
    assert result.p_asymptotic == pytest.approx(chi2.sf(300 * total, 3), rel=1e-9)


def test_few_hits_are_flagged_and_seeds_count():
    series = PitSeries(pit=np.random.default_rng(1).random(250), level=0.975)
    assert any(text.startswith("SmallSampleWarning: 6.25") for text in du_escanciano(series).warnings)
    first = du_escanciano_conditional(series, draws=199)
    assert any("chi-square limit is off" in text for text in first.warnings)
    assert first == du_escanciano_conditional(series, draws=199)
    assert first != du_escanciano_conditional(series, draws=199, seed=1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ParameterError, "n, x, mean, level not given"),
        ({"n": 10, "x": 1, "mean": 0.2, "level": 0.9}, ParameterError, "a mean between 0 and x/n"),
        ({"n": 10, "x": 11, "mean": 0.2, "level": 0.9}, ParameterError, "n, x, mean are 10, 11, 0.2"),
        ({"n": 10, "x": 1, "mean": -0.2, "level": 0.9}, ParameterError, "n, x, mean are 10, 1, -0.2"),
        ({"n": 10, "x": 1, "mean": 0.02, "level": 0.1}, ConventionError, "looks like a tail probability"),
        ({"n": 10, "x": 1, "mean": 0.02, "level": 0.9, "horizon": 2}, ConventionError, "figures of a report"),
        ({"n": 10**7, "x": 1, "mean": 0.0, "level": 0.9}, ParameterError, "1000000 hits are expected"),
        ({"series": PitSeries(pit=[0.5], level=0.9), "n": 1}, ParameterError, "series and n are both given"),
    ],
)
@pytest.mark.parametrize("test", [du_escanciano, costanzino_curran])
def test_reports_that_are_refused(test, settings, error, message):
    with pytest.raises(error, match=message):
        test(**settings)


def test_other_input_that_is_refused():
    series = PitSeries(pit=[0.5, 0.01], level=0.9)
    with pytest.raises(ParameterError, match="alternative is 'less'"):
        du_escanciano(series, alternative="less")
    with pytest.raises(ParameterError, match="lags is 0; expected 1 to 100"):
        du_escanciano_conditional(series, lags=0)
    with pytest.raises(ParameterError, match="lags is 101"):
        du_escanciano_conditional(series, lags=101)


def test_size_and_power_of_the_exact_test():
    # Simulated: 2,000 years of a right model, and of one whose deviation is a fifth too low.
    rng = np.random.default_rng(12)
    law = ViolationLaw(250, 0.025)
    cut, normal_cut = law.quantile(0.95), law.mean + norm.ppf(0.95) * law.sd
    right, wrong = (
        np.maximum(1.0 - norm.cdf(rng.standard_normal((2000, 250)) * size) / 0.025, 0.0).sum(axis=1)
        for size in (1.0, 1.25)
    )
    error = math.sqrt(0.0475 / 2000)
    assert abs((right >= cut).mean() - 0.05) < 4.0 * error
    assert (right >= normal_cut).mean() > (right >= cut).mean()
    assert (wrong >= cut).mean() > 0.6


@pytest.mark.slow
def test_size_and_power_of_the_conditional_test():
    rng, runs = np.random.default_rng(7), 400
    count = sum(
        du_escanciano_conditional(PitSeries(pit=rng.random(250), level=0.95), draws=199, seed=i).decision
        == "rejected"
        for i in range(runs)
    )
    assert abs(count - 0.05 * runs) < 4.0 * math.sqrt(runs * 0.0475)
    caught = 0
    for i in range(100):
        # Clusters: deviation follows a smooth path that the forecast does not know.
        path = np.exp(0.6 * lfilter([0.3], [1.0, -0.95], rng.standard_normal(600))[100:])
        pit = norm.cdf(rng.standard_normal(500) * path / np.sqrt((path**2).mean()))
        series = PitSeries(pit=pit, level=0.95)
        caught += du_escanciano_conditional(series, draws=199, seed=i).decision == "rejected"
    assert caught > 50
