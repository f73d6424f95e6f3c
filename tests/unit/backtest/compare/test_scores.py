"""Scores and the comparison of two models: minimum at the truth, variance by another route, bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.regression.linear_model import OLS

from pmkit.backtest.es.null_law import TailLaw
from pmkit.backtest.es_tests import TailSeries, compare_forecasts, fz0_score, fzg_score, tick_score
from pmkit.core.errors import ConventionError, ParameterError, SchemaError

NORMAL = TailLaw(null="normal", df=None)
VAR, ES = NORMAL.var(0.025), NORMAL.es(0.025)


def forecast(loss, var=VAR, es=ES, **more) -> TailSeries:
    size = np.ones(len(loss))
    return TailSeries(loss=loss, var=var * size, es=es * size, level=0.975, **more)


def test_scores_are_smallest_at_the_truth():
    loss = norm.isf((np.arange(200_000) + 0.5) / 200_000)
    best = fz0_score(forecast(loss)).mean()
    for var, es in ((VAR + 0.1, ES), (VAR - 0.1, ES), (VAR, ES + 0.1), (VAR, ES - 0.1)):
        assert fz0_score(forecast(loss, var, es)).mean() > best + 1e-4
    tick = tick_score(forecast(loss)).mean()
    assert tick < tick_score(forecast(loss, VAR + 0.05)).mean()
    assert tick < tick_score(forecast(loss, VAR - 0.05)).mean()
    assert best == pytest.approx(math.log(ES), abs=2e-4)  # the minimum is ln ES, as ES = VaR + E(L - VaR)⁺/p


def test_differences_are_free_of_the_unit_of_money():
    loss = np.random.default_rng(1).standard_normal(500) * 1.2
    plain = compare_forecasts(forecast(loss), forecast(loss, 1.5, 1.9))
    cents = compare_forecasts(forecast(100 * loss, 100 * VAR, 100 * ES), forecast(100 * loss, 150.0, 190.0))
    assert cents.statistic == pytest.approx(plain.statistic, rel=1e-9)


@pytest.mark.parametrize("lags", [0, 1, 7])
def test_long_run_variance_by_statsmodels(lags):
    loss = np.random.default_rng(2).standard_normal(400)
    one, two = forecast(loss), forecast(loss, 1.2, 1.5)
    difference = fz0_score(one) - fz0_score(two)
    fit = OLS(difference, np.ones(400)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
    )
    result = compare_forecasts(one, two, lags=lags)
    assert result.statistic == pytest.approx(float(fit.tvalues[0]), rel=1e-10)
    mirrored = compare_forecasts(two, one, lags=lags)
    assert mirrored.statistic == pytest.approx(-result.statistic, rel=1e-12)
    assert mirrored.details["p_better"] == pytest.approx(result.p_asymptotic, rel=1e-12)


def test_models_that_do_not_differ():
    series = forecast(np.zeros(200))
    result = compare_forecasts(series, series)
    assert result.decision == "not_evaluable" and result.details["zone"] is None
    short = compare_forecasts(forecast([0.0, 1.0]), forecast([0.0, 1.0], 1.0), lags=2)
    assert short.decision == "not_evaluable"
    assert any(text.startswith("SmallSampleWarning: 2 days") for text in short.warnings)


def test_size_and_power_of_the_comparison():
    rng, wrong, caught = np.random.default_rng(3), 0, 0
    for _ in range(400):
        loss = rng.standard_normal(500)
        # Equally bad by symmetry: each knows the deviation of every other day.
        odd = np.arange(500) % 2 == 0
        one = forecast(loss, VAR * np.where(odd, 1.0, 0.8), ES * np.where(odd, 1.0, 0.8))
        two = forecast(loss, VAR * np.where(odd, 0.8, 1.0), ES * np.where(odd, 0.8, 1.0))
        wrong += compare_forecasts(one, two, lags=0).decision == "rejected"
        caught += (
            compare_forecasts(forecast(loss, 0.6 * VAR, 0.6 * ES), forecast(loss)).decision == "rejected"
        )
    assert wrong <= 0.05 * 400 + 4.0 * math.sqrt(400 * 0.0475) and caught > 300
    assert wrong > 0


def test_overlap_is_split():
    loss = np.random.default_rng(4).standard_normal(300)
    one, two = forecast(loss, horizon=2), forecast(loss, 1.5, 1.9, horizon=2)
    with pytest.raises(ConventionError, match="the hits overlap"):
        compare_forecasts(one, two)
    both = compare_forecasts(one, two, horizon=2)
    alone = compare_forecasts(forecast(loss[1::2]), forecast(loss[1::2], 1.5, 1.9))
    assert both.outcomes[1].statistic == alone.statistic and 0.0 <= both.p_combined <= 1.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"reference": [1.0]}, ParameterError, "reference is of type list"),
        ({"model": None}, ParameterError, "model is of type NoneType"),
        ({"score": "log"}, ParameterError, "score is 'log'"),
        ({"alternative": "both"}, ParameterError, "alternative is 'both'"),
        ({"lags": -1}, ParameterError, "lags is -1"),
        ({"reference": forecast([0.0, 2.0])}, SchemaError, "differ in their losses"),
        (
            {"reference": forecast([0.0, 1.0], horizon=1, step=2)},
            SchemaError,
            "differ in their horizon or step",
        ),
        (
            {"reference": TailSeries(loss=[0.0, 1.0], var=[2.0] * 2, es=[3.0] * 2, level=0.99)},
            SchemaError,
            "differ in their level",
        ),
        (
            {"reference": forecast([0.0, 1.0], dates=pd.date_range("2024-01-01", periods=2))},
            SchemaError,
            "differ in their dates",
        ),
    ],
)
def test_input_that_is_refused(change, error, message):
    settings = {"model": forecast([0.0, 1.0]), "reference": forecast([0.0, 1.0])} | change
    with pytest.raises(error, match=message):
        compare_forecasts(**settings)


@pytest.mark.parametrize("family", ["fz0", "root", "logistic"])
def test_every_member_of_the_family_is_smallest_at_the_right_pair(family):
    loss = np.random.default_rng(8).standard_normal(200_000)
    p, z = 0.05, 1.6448536
    tail = float(np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) / p)

    def mean(var, es):
        series = TailSeries(loss=loss, var=np.full(loss.size, var), es=np.full(loss.size, es), level=1.0 - p)
        return float(fzg_score(series, family=family).mean())

    right = mean(z, tail)
    for factor in (0.8, 1.25):
        assert mean(z, tail * factor if factor > 1.0 else z) > right
        assert mean(min(z * factor, tail), tail) > right


def test_family_written_out_from_its_definition():
    rng = np.random.default_rng(9)
    loss = rng.standard_normal(60)
    series = forecast(loss, 1.2, 1.7)
    q, e, r, p = -1.2, -1.7, -loss, series.p
    hit = (r < q).astype(float)
    for family, g1, g2, integral in (
        ("fz0", lambda x: 0.0 * x, -1.0 / e, -np.log(-e)),
        ("root", lambda x: 0.0 * x, 0.5 / np.sqrt(-e), -np.sqrt(-e)),
        ("logistic", lambda x: x, np.exp(e) / (1.0 + np.exp(e)), np.log1p(np.exp(e))),
    ):
        plain = (hit - p) * g1(q) - hit * g1(r) + g2 * (e - q + hit * (q - r) / p) - integral
        np.testing.assert_allclose(fzg_score(series, family=family), plain, rtol=1e-12, atol=1e-12)


def test_alternatives_are_views_of_one_statistic():
    loss = np.random.default_rng(10).standard_normal(400)
    one, two = forecast(loss, 1.6, 2.0), forecast(loss, 0.4, 0.6)
    worse, better, either = (
        compare_forecasts(one, two, alternative=a) for a in ("greater", "less", "two-sided")
    )
    assert better.statistic == -worse.statistic and either.statistic == abs(worse.statistic)
    assert either.p_asymptotic == pytest.approx(2.0 * better.p_asymptotic, rel=1e-12)
    assert (worse.decision, better.decision, either.decision) == ("not_rejected", "rejected", "rejected")
    assert {r.details["zone"] for r in (worse, better, either)} == {"green"}
    assert compare_forecasts(two, one, alternative="two-sided").p_asymptotic == pytest.approx(
        either.p_asymptotic
    )


@pytest.mark.parametrize("family", ["tick", None])
def test_family_that_is_refused(family):
    with pytest.raises(ParameterError, match="family is"):
        fzg_score(forecast([0.0, 1.0]), family=family)
