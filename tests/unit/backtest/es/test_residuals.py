"""McNeil and Frey, Nolde and Ziegel: statistics by matrices, p-values by other routes, size and power."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp

from pmkit.backtest.es.null_law import TailLaw
from pmkit.backtest.es_tests import TailSeries, mcneil_frey, nolde_ziegel
from pmkit.core.errors import ParameterError, SchemaError

NORMAL = TailLaw(null="normal", df=None)
FEW = {"draws": 99}
EVERY = [(mcneil_frey, {}), (nolde_ziegel, {}), (nolde_ziegel, {"kind": "general"})]


def forecast(loss: np.ndarray, scale: np.ndarray | float = 1.0, p: float = 0.025) -> TailSeries:
    size = np.ones(loss.size) * scale
    return TailSeries(loss=loss, var=NORMAL.var(p) * size, es=NORMAL.es(p) * size, level=1.0 - p)


def test_t_statistic_by_scipy():
    series = forecast(1.3 * np.random.default_rng(1).standard_normal(2000))
    hit = series.hits.hits
    plain = ttest_1samp((series.loss - series.es)[hit] / series.es[hit], 0.0)
    result = mcneil_frey(series, **FEW)
    assert result.statistic == pytest.approx(plain.statistic, rel=1e-12)
    assert result.p_asymptotic == pytest.approx(norm.sf(plain.statistic), rel=1e-10)
    assert result.n_effective == series.hits.x == int(hit.sum())


def test_bootstrap_agrees_with_the_enumeration_of_all_samples():
    loss = np.array([2.1, 2.9, 3.6, 5.0, 0.0, 0.0])
    series = TailSeries(loss=loss, var=[2.0] * 6, es=[2.6] * 6, level=0.9)
    residuals = (loss[:4] - 2.6) / 2.6
    centred = residuals - residuals.mean()
    found = []
    for chosen in itertools.product(range(4), repeat=4):
        sample = centred[list(chosen)]
        spread = sample.std(ddof=1)
        found.append(sample.mean() * 2.0 / spread if spread > 0.0 else math.copysign(1e300, sample.mean()))
    result = mcneil_frey(series, draws=39_999)
    exact = (np.array(found) >= result.statistic - 1e-9).mean()
    assert abs(result.p_exact - exact) < 4.0 * result.p_exact_se


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-3.0, 6.0), min_size=3, max_size=50),
    st.lists(st.floats(0.5, 2.0), min_size=50, max_size=50),
)
def test_calibration_statistics_by_matrices(losses, scale):
    loss, size, p = np.array(losses), np.array(scale[: len(losses)]), 0.1
    series = forecast(loss, size, p)
    assume(1 < series.hits.x < loss.size)
    r, q, e = -series.loss, -series.var, -series.es
    hit = series.hits.hits.astype(float)
    v = np.stack([p - hit, e - q + hit * (q - r) / p], axis=1)
    omega = v.T @ v / loss.size
    assume(np.linalg.cond(omega) < 1e8)
    plain = loss.size * v.mean(axis=0) @ np.linalg.solve(omega, v.mean(axis=0))
    assert nolde_ziegel(series, **FEW).statistic == pytest.approx(plain, rel=1e-6, abs=1e-9)
    weighted = ((q - e) / (p * size)) * v[:, 0] + v[:, 1] / size
    scalar = loss.size * weighted.mean() ** 2 / (weighted**2).mean()
    general = nolde_ziegel(series, kind="general", scale=size, **FEW)
    assert general.statistic == pytest.approx(scalar, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", ["simple", "general"])
def test_null_of_calibration_agrees_with_losses_drawn_whole(kind):
    rng = np.random.default_rng(3)
    size = np.exp(0.4 * rng.standard_normal(100))
    result = nolde_ziegel(forecast(1.3 * size * rng.standard_normal(100), size, 0.1), kind=kind, draws=4999)
    found = []
    while len(found) < 500:
        series = forecast(size * rng.standard_normal(100), size, 0.1)
        if series.hits.x > 1:
            found.append(nolde_ziegel(series, kind=kind, **FEW).statistic)
    share = (np.array(found) >= result.statistic).mean()
    error = math.hypot(result.p_exact_se, math.sqrt(share * (1.0 - share) / 500))
    assert abs(share - result.p_exact) < 4.0 * error


def test_scale_matters_where_it_varies_and_not_where_it_is_constant():
    rng = np.random.default_rng(4)
    series = forecast(1.2 * rng.standard_normal(1000))
    for test, settings in ((mcneil_frey, {}), (nolde_ziegel, {"kind": "general"})):
        by_es = test(series, **settings, **FEW).statistic
        constant = test(series, scale=np.full(1000, 7.0), **settings, **FEW).statistic
        varying = test(series, scale=rng.uniform(0.5, 2.0, 1000), **settings, **FEW).statistic
        assert by_es == pytest.approx(constant, rel=1e-12) and by_es != pytest.approx(varying, rel=1e-3)


@pytest.mark.parametrize(("test", "settings"), EVERY)
def test_no_hit_is_not_evaluable(test, settings):
    result = test(forecast(np.zeros(100)), **settings, **FEW)
    assert result.decision == result.decision_exact == "not_evaluable" and math.isnan(result.statistic)
    assert any("cannot be evaluated" in text for text in result.warnings)
    assert result.to_dict()["p_exact"] is None


def test_one_hit_says_nothing_whatever_its_size():
    for kind, value in (("simple", 40.0), ("general", 1.0)):
        found = []
        for size in (2.5, 4.0, 30.0):
            loss = np.zeros(40)
            loss[[7, 9]] = size, 2.0000001
            series = forecast(loss)
            assert nolde_ziegel(series, kind=kind, **FEW).decision != "not_evaluable"
            loss[9] = 0.0
            found.append(nolde_ziegel(forecast(loss), kind=kind, **FEW))
        assert all(result.decision == "not_evaluable" for result in found)
        # Around 0 the covariance of one hit explains its mean in full: T would be n, or 1.
        r, q, e = -loss, -NORMAL.var(0.025), -NORMAL.es(0.025)
        hit = (loss > -q).astype(float)
        v = np.stack([0.025 - hit, e - q + hit * (q - r) / 0.025], axis=1)
        if kind == "general":
            v = (hit * (loss + e))[:, None]
        mean = v.mean(axis=0)
        assert 40 * mean @ np.linalg.solve(v.T @ v / 40, mean) == pytest.approx(value, rel=1e-9)


def test_residuals_without_spread_are_not_evaluable():
    one = mcneil_frey(forecast(np.array([0.0, 3.0, 0.0])), **FEW)
    same = mcneil_frey(forecast(np.array([3.0, 3.0, 0.0])), **FEW)
    assert one.decision == same.decision == "not_evaluable"


def test_es_equal_to_var_is_not_evaluable():
    series = TailSeries(loss=[3.0, 4.0], var=[2.0, 2.0], es=[2.0, 2.5], level=0.9)
    result = nolde_ziegel(series, **FEW)
    assert result.decision == "not_evaluable"
    assert any("ES must be above VaR on every day" in text for text in result.warnings)


@pytest.mark.parametrize(("test", "settings"), EVERY)
def test_nothing_but_hits_far_out(test, settings):
    loss = 5.0 + np.linspace(0.0, 1.0, 60)
    result = test(forecast(loss), draws=199, **settings)
    assert result.decision == "rejected"


@pytest.mark.parametrize(("test", "settings"), EVERY)
def test_small_samples_are_flagged_and_seeds_count(test, settings):
    series = forecast(1.4 * np.random.default_rng(6).standard_normal(250))
    first = test(series, draws=499, **settings)
    assert any(text.startswith("SmallSampleWarning") for text in first.warnings)
    assert first == test(series, draws=499, **settings)
    assert first != test(series, draws=499, seed=1, **settings)


@pytest.mark.parametrize(
    ("test", "settings", "error", "message"),
    [
        (mcneil_frey, {"scale": [1.0]}, SchemaError, "scale has 1 values; expected 3"),
        (mcneil_frey, {"scale": [1.0, 0.0, 1.0]}, ParameterError, r"scale\[1\] is 0; expected positive"),
        (mcneil_frey, {"draws": 5}, ParameterError, "draws is 5"),
        (nolde_ziegel, {"kind": "both"}, ParameterError, "kind is 'both'"),
        (nolde_ziegel, {"scale": [1.0] * 3}, ParameterError, "scale is given for kind 'simple'"),
        (nolde_ziegel, {"null": "t"}, ParameterError, "df is None with null='t'"),
        (nolde_ziegel, {"kind": "general", "scale": [math.nan] * 3}, SchemaError, r"scale\[0\] is missing"),
    ],
)
def test_input_that_is_refused(test, settings, error, message):
    with pytest.raises(error, match=message):
        test(forecast(np.array([0.0, 3.0, 1.0])), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["simple", "general"])
def test_size_and_power_of_calibration(kind):
    rng, runs = np.random.default_rng(8), 600
    right = sum(
        nolde_ziegel(forecast(rng.standard_normal(500)), kind=kind, draws=199, seed=i).decision == "rejected"
        for i in range(runs)
    )
    assert abs(right - 0.05 * runs) < 4.0 * math.sqrt(runs * 0.0475)
    wrong = sum(
        nolde_ziegel(forecast(rng.standard_t(3.0, 1000)), kind=kind, draws=199, seed=i).decision == "rejected"
        for i in range(100)
    )
    assert wrong > 60


@pytest.mark.slow
def test_size_and_power_of_residuals():
    rng, runs = np.random.default_rng(8), 400
    right = sum(
        mcneil_frey(forecast(rng.standard_normal(2000)), draws=199, seed=i).decision == "rejected"
        for i in range(runs)
    )
    # A bootstrap of about fifty residuals is near its level, not at it.
    assert 0.02 * runs < right < 0.1 * runs
    wrong = sum(
        mcneil_frey(forecast(rng.standard_t(3.0, 1000)), draws=199, seed=i).decision == "rejected"
        for i in range(100)
    )
    assert wrong > 60
