"""ES by four quantiles: the approximation's shortfall, the law of the least p-value, and what it finds."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from pmkit.backtest.es.quantiles import es_by_quantiles, quantile_gap
from pmkit.backtest.es_tests import PitSeries
from pmkit.core.errors import ConventionError, ParameterError


def _series(n=250, scale=1.0, seed=1, **more):
    loss = scale * np.random.default_rng(seed).standard_normal(n)
    return PitSeries(pit=norm.sf(loss), level=0.975, **more)


def test_mean_of_four_quantiles_of_a_normal_loss():
    # 2.194838 for the mean of the four, 2.337803 for ES: computed by others.
    assert (1.0 - quantile_gap(0.975)) * 2.33780279 == pytest.approx(2.194838, abs=5e-7)


def test_shortfall_grows_with_the_tail():
    gaps = [quantile_gap(0.975, null="t", df=df) for df in (100.0, 10.0, 5.0, 3.0)]
    assert np.all(np.diff([quantile_gap(0.975), *gaps]) > 0.0)


def test_each_level_is_the_binomial_test_of_its_hits():
    series = _series(seed=3, scale=1.3)
    result = es_by_quantiles(series, draws=199)
    for j, tail in enumerate((0.025, 0.01875, 0.0125, 0.00625), start=1):
        hits = int((series.pit < tail).sum())
        assert result.details[f"hits_{j}"] == hits
        assert result.details[f"p_{j}"] == pytest.approx(binom.sf(hits - 1, 250, tail), rel=1e-12)
    least = min(result.details[f"p_{j}"] for j in (1, 2, 3, 4))
    assert result.statistic == pytest.approx(-np.log(least), rel=1e-12)
    assert least <= result.p_exact <= result.p_asymptotic + 0.05


def test_size_holds_and_a_thin_tail_is_found():
    rejected = {scale: 0 for scale in (1.0, 1.5)}
    for scale in rejected:
        for seed in range(200):
            rejected[scale] += (
                es_by_quantiles(_series(seed=seed, scale=scale), draws=199).decision == "rejected"
            )
    assert rejected[1.0] <= 200 * 0.05 + 3.0 * np.sqrt(200 * 0.05 * 0.95)
    assert rejected[1.5] > 150


@pytest.mark.parametrize(("pit", "decision"), [(0.5, "not_rejected"), (0.001, "rejected")])
def test_no_hit_and_hits_on_every_day(pit, decision):
    assert es_by_quantiles(PitSeries(pit=[pit] * 250, level=0.975), draws=199).decision == decision


def test_a_single_day():
    result = es_by_quantiles(PitSeries(pit=[0.5], level=0.975), draws=199)
    assert result.decision == "not_rejected" and result.p_exact == 1.0
    assert any(text.startswith("SmallSampleWarning") for text in result.warnings)


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match="a PitSeries"):
        es_by_quantiles([0.5, 0.2])
    with pytest.raises(ConventionError, match="overlap"):
        es_by_quantiles(_series(horizon=5.0))
    assert len(es_by_quantiles(_series(horizon=5.0), horizon=5.0, draws=199).outcomes) == 5
    with pytest.raises(ParameterError, match="null is 'exponential'"):
        quantile_gap(0.975, null="exponential")
    with pytest.raises(ConventionError, match="looks like a tail probability"):
        quantile_gap(0.025)
