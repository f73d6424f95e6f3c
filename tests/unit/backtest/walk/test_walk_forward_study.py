"""Size and power of the whole chain: uniform p-values under the truth, rejection of spoiled margins."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, kstest

from pmkit.backtest import walk_forward
from pmkit.core.random import stream
from pmkit.estimation.univariate.recursion import simulate_paths
from pmkit.market import PriceHistory

# Daily vol of about 2 %, persistence 0.95, fat tails.
TRUTH = {"omega": 2e-5, "alpha": 0.05, "gamma": 0.10, "beta": 0.85, "nu": 6.0}
# One day's loss decides most of the next day's variance, so that stale forecasts hurt at once.
NERVOUS = {"omega": 2e-4, "alpha": 0.6, "gamma": 0.2, "beta": 0.2, "nu": 12.0}
WINDOW, DAYS = 250, 500
# A grid of 250 probabilities (i - 1/2)/250 holds 0.99 itself: the quantile of the law is exact.
GRID = 250


def simulated_history(truth, seed, days=DAYS):
    """A price history drawn from a GJR-t law, by the plain loop of its definition."""
    count = WINDOW + days + 1 + 300
    draws = stream(seed, "truth").standard_t(truth["nu"], count) * math.sqrt(1.0 - 2.0 / truth["nu"])
    persistence = truth["alpha"] + truth["gamma"] / 2 + truth["beta"]
    variance = truth["omega"] / (1.0 - persistence)
    moves = np.empty(count)
    for t, z in enumerate(draws):
        moves[t] = math.sqrt(variance) * z
        slope = truth["alpha"] + (truth["gamma"] if moves[t] < 0.0 else 0.0)
        variance = truth["omega"] + slope * moves[t] ** 2 + truth["beta"] * variance
    prices = 100.0 * np.exp(np.append(0.0, np.cumsum(moves[300:])))
    index = pd.date_range("2016-01-01", periods=len(prices))
    frame = pd.DataFrame({"BTC": prices}, index=index)
    return PriceHistory(prices=frame, calendar="every day", source="truth", simulated=True)


def walk(truth, history, **settings):
    defaults = {"window": WINDOW, "n_paths": GRID, "refit_every": DAYS, "parameters": truth}
    return walk_forward("long_btc", history, "gjr-t", **(defaults | settings))


def randomised_p(n, x, p, u):
    """One-sided exact p-value that counts a share u of the observed x: uniform under the null."""
    return float(binom.sf(x, n, p) + u * binom.pmf(x, n, p))


def p_values(truth, seeds, level, **settings):
    found, hits, total = [], 0, 0
    for seed in seeds:
        series = walk(truth, simulated_history(truth, seed), **settings).hits(level)
        hits, total = hits + series.x, total + series.n
        found.append(randomised_p(series.n, series.x, series.p, stream(seed, "u").random()))
    return np.array(found), hits, total


def test_the_loop_of_the_study_draws_the_law_that_is_filtered():
    history = simulated_history(TRUTH, 1)
    moves = history.returns()["BTC"].to_numpy()
    draws = stream(1, "truth").standard_t(6.0, len(moves) + 300) * math.sqrt(4 / 6)
    path, sigma = np.empty((1, draws.size)), np.empty((1, draws.size))
    start = TRUTH["omega"] / 0.05
    simulate_paths(
        draws[None, :], *(TRUTH[k] for k in ("omega", "alpha", "gamma", "beta")), start, path, sigma
    )
    np.testing.assert_allclose(path[0, 300:], moves, rtol=1e-8, atol=1e-12)
    run = walk(TRUTH, history)
    # The filter starts anew 250 days before and has forgotten its start.
    np.testing.assert_allclose(run.frame["sigma"], sigma[0, 300 + WINDOW + 1 :], rtol=1e-3)


def test_p_values_are_uniform_under_the_truth():
    p, hits, total = p_values(TRUTH, range(150), 0.99)
    assert total == 150 * DAYS
    assert kstest(p, "uniform").pvalue > 1e-3
    assert abs(hits - 0.01 * total) < 3.5 * math.sqrt(0.01 * 0.99 * total)


def test_three_quarters_of_the_margin_are_rejected():
    """Measured: median Kupiec p-value 0.0009, and 90 % rejected at 5 %."""
    kupiec, exact = [], []
    for seed in range(30):
        run = walk(TRUTH, simulated_history(TRUTH, seed), margin_scale=0.75)
        series = run.hits(0.99)
        kupiec.append(run.test("kupiec").p_asymptotic)
        exact.append(randomised_p(series.n, series.x, series.p, stream(seed, "u").random()))
    assert np.median(kupiec) < 0.01
    assert np.mean(np.array(kupiec) < 0.05) > 0.7
    assert kstest(exact, "uniform").pvalue < 1e-6


def test_stale_forecasts_are_rejected_where_volatility_clusters():
    """Conditional coverage at 99 %, exact p ≤ 5 %: over 60 seeds 53 % of stale, 2 % of correct ones."""
    rejected = {0: [], 1: []}
    for seed in range(30):
        history = simulated_history(NERVOUS, seed)
        for shift, found in rejected.items():
            run = walk(NERVOUS, history, shift=shift)
            found.append(run.test("christoffersen", 0.99).p_exact <= 0.05)
    size, power = np.mean(rejected[0]), np.mean(rejected[1])
    assert size <= 0.2, f"rejected {size:.0%} of correct forecasts"
    assert power >= 0.40, f"rejected {power:.0%} of stale forecasts"
    assert power >= 3.0 * max(size, 0.05)


@pytest.mark.slow
def test_p_values_are_uniform_in_a_larger_study():
    p, hits, total = p_values(TRUTH, range(1000, 1600), 0.99)
    assert kstest(p, "uniform").pvalue > 1e-3
    assert abs(hits - 0.01 * total) < 3.5 * math.sqrt(0.01 * 0.99 * total)


@pytest.mark.slow
def test_p_values_are_uniform_on_each_offset_of_two_day_losses():
    """The observations of an offset share no day, so coverage on each is binomial at two days too."""
    found = {0: [], 1: []}
    for seed in range(2000, 2100):
        history = simulated_history(TRUTH, seed)
        run = walk(TRUTH, history, horizon=2, n_paths=4000)
        for offset, part in enumerate(run.hits().offsets()):
            u = stream(seed, "u", offset).random()
            found[offset].append(randomised_p(part.n, part.x, part.p, u))
    for p in found.values():
        assert kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.slow
def test_estimated_parameters_keep_coverage_near_the_level():
    """With fitted parameters and an empirical tail of 365 residuals hits come a little above 1 %."""
    hits = total = 0
    for seed in range(3000, 3012):
        history = simulated_history(TRUTH, seed, days=DAYS + 115)
        series = walk_forward("long_btc", history, "fhs", window=365, refit_every=20).hits()
        hits, total = hits + series.x, total + series.n
    assert 0.008 < hits / total < 0.018
