"""Dynamic quantile test under overlap: its statistic written out, size and power, bad input."""

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal, norm

from pmkit.backtest import HitSeries, overlapping_quantile
from pmkit.backtest.var_tests import dynamic_quantile
from pmkit.core.errors import ConventionError, ParameterError, SchemaError

SPAN = 5


def _hits(seed, n=250, scale=None, p=0.05):
    """Hits of sums of five days; ``scale`` multiplies the deviation of each day."""
    day = np.random.default_rng(seed).standard_normal(n + SPAN - 1)
    sums = np.convolve(day * (1.0 if scale is None else scale), np.ones(SPAN), "valid")
    return HitSeries.from_losses(sums, np.full(n, norm.isf(p) * np.sqrt(SPAN)), p, horizon=SPAN)


def _var(n=250):
    return 1.0 + 0.2 * np.cos(np.arange(n) / 11.0)


def test_statistic_written_out_day_by_day():
    series, var, lags = _hits(3), _var(), 2
    result = overlapping_quantile(hits=series, var=var, lags=lags, draws=99)
    excess = series.hits - 0.05
    times = range(SPAN + lags - 1, 250)
    x = np.array([[1.0, *(excess[t - k] for k in range(SPAN, SPAN + lags)), var[t]] for t in times])
    z = norm.ppf(0.05)
    both = [
        multivariate_normal(cov=[[1, 1 - k / SPAN], [1 - k / SPAN, 1]]).cdf([z, z]) for k in range(1, SPAN)
    ]
    gamma = 0.05 * 0.95 * np.eye(x.shape[0])
    for k, joint in enumerate(both, start=1):
        gamma += (joint - 0.05**2) * (np.eye(x.shape[0], k=k) + np.eye(x.shape[0], k=-k))
    score = x.T @ excess[SPAN + lags - 1 :]
    assert result.statistic == pytest.approx(score @ np.linalg.solve(x.T @ gamma @ x, score), rel=1e-6)
    assert (result.df, result.details["hac_lags"]) == (4, SPAN - 1)


def test_size_holds_where_the_limit_law_rejects_too_often():
    runs, limit, simulated = 80, 0, 0
    for seed in range(runs):
        result = overlapping_quantile(hits=_hits(seed), var=_var(), draws=99, seed=seed)
        limit += result.p_asymptotic <= 0.05
        simulated += result.decision == "rejected"
    assert simulated <= binom.isf(0.001, runs, 0.05)
    assert limit >= simulated


def test_a_spell_of_stress_is_found():
    scale = np.ones(254)
    scale[100:140] = 4.0
    found = sum(
        overlapping_quantile(hits=_hits(seed, scale=scale), var=_var(), draws=99).decision == "rejected"
        for seed in range(20)
    )
    assert found > binom.isf(0.001, 20, 0.05)


def test_without_overlap_it_is_the_dynamic_quantile_test():
    hits = HitSeries(hits=[day % 20 == 7 for day in range(200)], p=0.05)
    var = 1.0 + np.arange(200) % 3
    result = overlapping_quantile(hits=hits, var=var, draws=99)
    assert result.details["first_lag"] == 1 and result.details["hac_lags"] == 0
    assert result.statistic == pytest.approx(
        dynamic_quantile(hits=hits, var=var, draws=99).statistic, rel=1e-9
    )


@pytest.mark.parametrize("hits", [[False] * 250, [True] * 8])
def test_what_cannot_be_evaluated_says_so(hits):
    series = HitSeries(hits=hits, p=0.05, horizon=SPAN)
    result = overlapping_quantile(hits=series, var=np.ones(len(hits)), draws=99)
    assert result.decision == "not_evaluable" and np.isnan(result.statistic)
    assert "cannot be evaluated" in result.warnings[0]


def test_constant_var_lowers_the_rank():
    result = overlapping_quantile(hits=_hits(1), var=np.ones(250), draws=99)
    assert result.df == 5 and result.decision in ("rejected", "not_rejected")


def test_equal_seeds_give_equal_bits():
    one, two = (overlapping_quantile(hits=_hits(2), var=_var(), draws=99, seed=4) for _ in range(2))
    assert one == two


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match="a HitSeries"):
        overlapping_quantile(hits=[True, False], var=[1.0, 1.0])
    with pytest.raises(ConventionError, match=r"var\[0\] = -1 is negative"):
        overlapping_quantile(hits=_hits(1), var=-np.ones(250))
    with pytest.raises(SchemaError, match="250, one for each"):
        overlapping_quantile(hits=_hits(1), var=np.ones(9))
    with pytest.raises(ParameterError, match="lags is 0"):
        overlapping_quantile(hits=_hits(1), var=_var(), lags=0)
