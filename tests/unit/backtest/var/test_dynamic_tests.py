"""Dynamic quantile and logit: published figures, plain regressions, separation, edges, bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pmkit.backtest import HitSeries, OffsetOutcomes
from pmkit.backtest.var_tests import dynamic_logit, dynamic_quantile
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

FEW = {"draws": 99}
BOTH = [dynamic_quantile, dynamic_logit]


@pytest.mark.parametrize(
    ("run", "em", "gas", "logit"),
    [
        (("sd", 0.01), "393.27611", "393.28348", "90.271010"),
        (("sd", 0.025), "184.13291", "184.29336", "41.328913"),
        (("ew", 0.025), "78.443946", "80.525152", "30.364656"),
        (("ew", 0.05), "38.351374", "39.543162", "6.679055"),
    ],
)
def test_reference_backtest_to_every_digit(reference_runs, run, em, gas, logit):
    hits, var, loss = reference_runs[run]
    plain = dynamic_quantile(hits=hits, var=var, **FEW)
    assert f"{plain.statistic:.{len(em.split('.')[1])}f}" == em and plain.df == 6
    wide = dynamic_quantile(hits=hits, var=var, loss=loss, specification="gas", **FEW)
    assert f"{wide.statistic:.{len(gas.split('.')[1])}f}" == gas and wide.df == 7
    other = dynamic_logit(hits=hits, var=var, **FEW)
    assert f"{other.statistic:.6f}" == logit and other.df == 3
    if run == ("ew", 0.05):
        assert other.p_asymptotic == pytest.approx(0.082863, abs=1e-6)


def plain_quantile(hits: np.ndarray, var: np.ndarray, p: float, lags: int) -> float:
    """Regression by the pseudo-inverse, on the hits less p."""
    excess, n = hits - p, hits.size
    columns = [np.ones(n - lags)] + [excess[lags - j : n - j] for j in range(1, lags + 1)] + [var[lags:]]
    x, y = np.column_stack(columns), excess[lags:]
    return float(y @ x @ np.linalg.pinv(x.T @ x) @ x.T @ y / (p * (1.0 - p)))


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_quantile_statistic_equals_a_plain_regression(seed, lags):
    rng = np.random.default_rng(seed)
    hits, var = rng.random(120) < 0.1, 1.0 + rng.random(120)
    hits[60] = True
    result = dynamic_quantile(hits=hits, var=var, p=0.1, lags=lags, **FEW)
    assert result.statistic == pytest.approx(plain_quantile(hits, var, 0.1, lags), rel=1e-8)
    assert result.n_effective == 120 - lags


def test_scale_of_var_does_not_matter():
    rng = np.random.default_rng(3)
    hits, var = rng.random(250) < 0.05, 1.0 + rng.random(250)
    for test in BOTH:
        one = test(hits=hits, var=var, p=0.05, **FEW).statistic
        assert test(hits=hits, var=1e9 * var, p=0.05, **FEW).statistic == pytest.approx(one, rel=1e-9)


def test_logit_ratio_equals_a_plain_search():
    rng = np.random.default_rng(8)
    hits, var = rng.random(300) < 0.15, 1.0 + rng.random(300)
    x = np.column_stack([np.ones(299), hits[:-1], var[1:]])
    y = hits[1:].astype(float)

    def loss(b):
        eta = x @ b
        return float(np.sum(np.logaddexp(0.0, eta) - y * eta))

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8})
    null = y.sum() * math.log(0.15) + (299 - y.sum()) * math.log(0.85)
    result = dynamic_logit(hits=hits, var=var, p=0.15, **FEW)
    assert result.statistic == pytest.approx(2.0 * (-best.fun - null), abs=1e-6)


def test_separated_hits_reach_the_supremum():
    # One hit, at the highest VaR: the likelihood tends to 1 and the ratio to that of certainty.
    hits = np.zeros(100, dtype=bool)
    hits[50] = True
    var = np.where(hits, 3.0, 1.0 + np.arange(100) / 100.0)
    result = dynamic_logit(hits=hits, var=var, p=0.05, **FEW)
    assert result.statistic == pytest.approx(-2.0 * (math.log(0.05) + 98.0 * math.log(0.95)), abs=1e-6)
    assert any("no hit follows a hit" in text for text in result.warnings)


def test_hits_never_after_a_hit_are_fitted_without_those_days():
    hits = np.zeros(200, dtype=bool)
    hits[10::20] = True
    result = dynamic_logit(hits=hits, var=np.ones(200), p=0.05, **FEW)
    k, m = 10.0, 199.0 - 10.0  # hits, and the days that do not follow one
    free = k * math.log(k / m) + (m - k) * math.log(1.0 - k / m)
    null = k * math.log(0.05) + (199.0 - k) * math.log(0.95)
    assert result.statistic == pytest.approx(2.0 * (free - null), abs=1e-7)
    assert result.df == 2 and "Note: VaR does not vary and is left out" in result.warnings


def test_a_constant_var_lowers_the_rank():
    rng = np.random.default_rng(4)
    hits = rng.random(250) < 0.05
    result = dynamic_quantile(hits=hits, var=np.full(250, 2.5), p=0.05, **FEW)
    assert result.df == 5
    assert any("rank 5 of 6" in text for text in result.warnings)
    assert result.statistic == pytest.approx(plain_quantile(hits, np.full(250, 2.5), 0.05, 4), rel=1e-8)


@pytest.mark.parametrize("test", BOTH)
@pytest.mark.parametrize("value", [0, 1])
def test_no_hit_or_nothing_else_is_not_evaluable(test, value):
    result = test(hits=[value] * 60, var=1.0 + np.arange(60) % 3, p=0.05, **FEW)
    assert result.decision == result.decision_exact == "not_evaluable"
    assert math.isnan(result.statistic) and math.isnan(result.p_exact)
    assert any("cannot be evaluated: hits and observations without a hit" in t for t in result.warnings)


@pytest.mark.parametrize("test", BOTH)
def test_one_hit_is_evaluable_inside_the_series(test):
    hits = np.zeros(100, dtype=bool)
    hits[50] = True
    result = test(hits=hits, var=1.0 + np.arange(100) % 7, p=0.01, **FEW)
    assert result.decision != "not_evaluable" and 0.0 < result.p_exact <= 1.0


def test_one_hit_at_the_end_leaves_lags_empty():
    hits = np.zeros(100, dtype=bool)
    hits[-1] = True
    var = 1.0 + np.arange(100) % 7
    assert dynamic_logit(hits=hits, var=var, p=0.01, **FEW).decision == "not_evaluable"
    result = dynamic_quantile(hits=hits, var=var, p=0.01, **FEW)
    assert result.df == 2 and result.statistic == pytest.approx(plain_quantile(hits, var, 0.01, 4), rel=1e-8)


def test_too_few_observations_are_not_evaluable():
    result = dynamic_quantile(hits=[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], var=np.arange(10), p=0.1, **FEW)
    assert result.decision == "not_evaluable"
    assert any("10 observations for 6 regressors after 4 lags" in text for text in result.warnings)
    assert dynamic_logit(hits=[0, 1, 0], var=[1, 2, 3], p=0.1, **FEW).decision == "not_evaluable"


@pytest.mark.parametrize("test", BOTH)
def test_hits_that_follow_var_are_found(test):
    var = 1.0 + (np.arange(500) // 50) % 2
    rng = np.random.default_rng(2)
    hits = rng.random(500) < np.where(var > 1.5, 0.005, 0.095)
    result = test(hits=hits, var=var, p=0.05, draws=499)
    assert (result.decision, result.decision_exact) == ("rejected", "rejected")


@pytest.mark.parametrize("test", BOTH)
def test_small_samples_are_flagged_and_equal_seeds_give_equal_bits(test):
    rng = np.random.default_rng(6)
    hits, var = rng.random(250) < 0.02, 1.0 + rng.random(250)
    first = test(hits=hits, var=var, p=0.01, seed=3, draws=499)
    assert first == test(hits=hits, var=var, p=0.01, seed=3, draws=499)
    assert any(text.startswith("SmallSampleWarning: 2.5 hits") for text in first.warnings)
    assert "given p, a hit and the VaR path" in first.p_exact_kind


@pytest.mark.parametrize("test", BOTH)
def test_overlapping_hits_are_tested_by_offset_with_their_var(test):
    rng = np.random.default_rng(12)
    var = 1.0 + rng.random(300)
    hits = HitSeries(hits=rng.random(300) < 0.1, p=0.05, horizon=3)
    with pytest.raises(ConventionError, match="the hits overlap"):
        test(hits=hits, var=var, **FEW)
    result = test(hits=hits, var=var, horizon=3, **FEW)
    assert isinstance(result, OffsetOutcomes) and len(result.outcomes) == 3
    for offset, outcome in enumerate(result.outcomes):
        alone = test(hits=hits.hits[offset::3], var=var[offset::3], p=0.05, **FEW)
        assert (outcome.statistic, outcome.p_exact) == (alone.statistic, alone.p_exact)
    assert test(hits=hits.hits, var=var, p=0.05, horizon=3, **FEW) == result


def test_losses_belong_to_one_specification_and_to_the_hits():
    var, loss = np.full(50, 2.0), np.tile([1.0, 3.0, 0.5, 0.2, 0.1], 10)
    hits = HitSeries.from_losses(loss, var, 0.05)
    with pytest.raises(ParameterError, match="loss is not given with specification 'gas'"):
        dynamic_quantile(hits=hits, var=var, specification="gas")
    with pytest.raises(ParameterError, match="loss is given with specification 'em'"):
        dynamic_quantile(hits=hits, var=var, loss=loss)
    with pytest.raises(ParameterError, match="specification is 'plain'; expected 'em' or 'gas'"):
        dynamic_quantile(hits=hits, var=var, specification="plain")
    with pytest.raises(SchemaError, match=r"observation 1 has loss -3, VaR 2 and is a hit"):
        dynamic_quantile(hits=hits, var=var, loss=-loss, specification="gas")


@pytest.mark.parametrize("test", BOTH)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hits": None}, ParameterError, "hits is not given"),
        ({"var": None}, ParameterError, "var is not given"),
        ({"var": [1.0]}, SchemaError, "var has 1 values; expected 3, one for each observation"),
        ({"var": [1.0, math.nan, 1.0]}, SchemaError, r"var\[1\] is missing"),
        ({"var": [1.0, -2.0, 1.0]}, ConventionError, r"var\[1\] = -2 is negative \(1 of 3\)"),
        ({"hits": [0.0, math.nan, 1.0]}, SchemaError, r"hits\[1\] is missing"),
        ({"hits": []}, DataGapError, "hits is empty"),
        ({"p": None}, ParameterError, "p is None"),
        ({"p": 0.99}, ConventionError, "looks like a level"),
        ({"alpha": 0}, ParameterError, "alpha is 0"),
        ({"draws": 98}, ParameterError, "draws is 98"),
        ({"seed": 0.5}, ParameterError, "seed is 0.5"),
        ({"horizon": -1}, ParameterError, "horizon is -1"),
    ],
)
def test_input_that_is_refused(test, change, error, message):
    with pytest.raises(error, match=message):
        test(**({"hits": [0, 1, 0], "var": [1.0, 2.0, 1.0], "p": 0.05} | change))


@pytest.mark.parametrize("lags", [0, 51, 1.5])
def test_lags_that_are_refused(lags):
    with pytest.raises(ParameterError, match=f"lags is {lags}"):
        dynamic_quantile(hits=[0, 1, 0], var=[1.0, 2.0, 1.0], p=0.05, lags=lags)


def test_var_on_other_dates_is_refused():
    dates = pd.date_range("2024-01-01", periods=40, tz="UTC")
    hits = HitSeries(hits=np.arange(40) % 9 == 4, p=0.05, dates=dates)
    var = pd.Series(1.0 + np.arange(40) % 3, index=dates)
    result = dynamic_quantile(hits=hits, var=var, **FEW)
    assert result == dynamic_quantile(hits=hits, var=var.tz_localize(None), **FEW)
    with pytest.raises(SchemaError, match="var carries other dates than the hits"):
        dynamic_quantile(hits=hits, var=var.shift(freq="D"), **FEW)
