"""Volatility models of arch in the common protocol: reference digits, filter, forecast, simulation, bars."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arch.data import sp500, vix

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.protocols import FactorModel
from pmkit.core.random import stream
from pmkit.estimation import ArchVolatility, VolatilityModel, fit_har, fit_volatility
from pmkit.estimation.univariate.arch_fit import units_of
from pmkit.estimation.univariate.bars import bar_length, check_bar
from pmkit.estimation.univariate.parameters import DISTRIBUTIONS, MODELS

PERCENT = 100.0


@pytest.fixture(scope="module")
def stocks() -> pd.Series:
    return sp500.load()["Adj Close"].pct_change().dropna().rename("SP500")


@pytest.fixture(scope="module")
def bitcoin(root: Path) -> pd.Series:
    frame = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    return np.log(frame["BTC-USD"]).diff().dropna()


def in_percent(fit: VolatilityModel) -> dict[str, float]:
    """Return log-likelihood and parameters in the units of the reference, percent."""
    A, c = units_of(fit.model, [str(n) for n in fit.params.index])
    values = np.linalg.solve(A, fit.params.to_numpy() - c)
    return dict(zip(map(str, fit.params.index), values, strict=True)) | {
        "loglik": fit.loglik - len(fit.returns) * math.log(PERCENT)
    }


@pytest.mark.parametrize(
    ("model", "dist", "loglik", "params"),
    [
        ("tarch", "normal", -6799.178524, (0.014314, 0.025826, 0.0, 0.170708, 0.909772)),
        ("tarch", "t", -6722.151182, (0.032263, 0.020063, 0.0, 0.172147, 0.913927, 7.955269)),
        ("garch", "skewt", -6825.778186, (0.052418, 0.008819, 0.099561, 0.898674, 6.991099, -0.078649)),
        ("egarch", "normal", -6813.952715, (0.020621, 0.000525, 0.135527, -0.152013, 0.974830)),
        ("figarch", "normal", -6925.659409, (0.058472, 0.034755, 0.086282, 0.541606, 0.550985)),
    ],
)
def test_reference_fits(
    model: str, dist: str, loglik: float, params: tuple[float, ...], stocks: pd.Series
) -> None:
    """Digits of arch's own worked cases, in per cent."""
    fit = fit_volatility(stocks, model, dist, covariance=False, annualisation=252)  # type: ignore[arg-type]
    found = in_percent(fit)
    assert found["loglik"] == pytest.approx(loglik, abs=2e-5)
    assert list(found.values())[:-1] == pytest.approx(list(params), rel=1e-3, abs=2e-5)
    assert isinstance(fit, ArchVolatility) and isinstance(fit, FactorModel)
    fit.check()


def test_riskmetrics_2006_reference(stocks: pd.Series) -> None:
    fit = fit_volatility(stocks, "riskmetrics2006", "normal", mean="zero", annualisation=252)
    assert in_percent(fit)["loglik"] == pytest.approx(-6972.509707, abs=1e-5)
    assert (fit.next_sigma * PERCENT) ** 2 == pytest.approx(2.80783319, abs=5e-9)
    assert fit.start.size == 14 and "integrated by construction" in fit.flags[0]


ALL = [(m, "normal") for m in MODELS] + [(m, "skewt") for m in MODELS] + [("egarch", "t"), ("har", "t")]


@pytest.mark.parametrize(("model", "dist"), ALL)
def test_protocol(model: str, dist: str, bitcoin: pd.Series) -> None:
    """Filter, forecast, residuals and simulation agree with each other for every model."""
    r = bitcoin.iloc[:600]
    fit = fit_volatility(r, model, dist, covariance=False)  # type: ignore[arg-type]
    assert fit.status in ("ok", "at_bound")
    longer = fit.filter(bitcoin)
    np.testing.assert_allclose(longer.sigma.iloc[:600], fit.sigma, rtol=1e-12)
    assert longer.sigma.iloc[600] == pytest.approx(fit.next_sigma, rel=1e-10)
    changed = bitcoin.copy()
    changed.iloc[700:] *= 3.0
    pd.testing.assert_series_equal(
        fit.filter(changed).sigma.iloc[:701], longer.sigma.iloc[:701], check_exact=True
    )
    assert longer.filter(r).loglik == pytest.approx(fit.loglik, rel=1e-6)
    z = stream(3, "protocol").standard_normal((50, 4))
    moves, sigma = fit.simulate(z)
    np.testing.assert_allclose(sigma[:, 0], fit.next_sigma, rtol=1e-10)
    np.testing.assert_allclose(moves - fit.params["mu"], sigma * z, rtol=1e-10)
    ahead = fit.forecast(3)
    assert ahead.sigma[0] == pytest.approx(fit.next_sigma, rel=1e-9)
    assert ahead.total_sigma[-1] == pytest.approx(math.sqrt((ahead.sigma**2).sum()))
    # one path with the residuals that came next gives the filtered volatilities of these days
    known = ((bitcoin.iloc[600:604] - fit.params["mu"]) / longer.sigma.iloc[600:604]).to_numpy()[None, :]
    np.testing.assert_allclose(fit.simulate(known)[1][0], longer.sigma.iloc[600:604], rtol=1e-9)
    for shown in (fit, ahead):
        shown.check()
        assert repr(shown) and shown.to_dict() and shown.cite()


@pytest.mark.parametrize("model", ["garch", "har", "figarch", "riskmetrics2006", "gjr"])
def test_forecast_is_the_mean_of_simulations(model: str, stocks: pd.Series) -> None:
    """Antithetic normal draws: half the variance lies below zero."""
    fit = fit_volatility(stocks.iloc[-1500:], model, "normal", covariance=False)  # type: ignore[arg-type]
    paths = 2_000 if model == "figarch" else 20_000  # a path of it sums over 1000 lags
    z = stream(1, "forecast").standard_normal((paths, 6))
    variances = fit.simulate(np.concatenate([z, -z]))[1] ** 2
    error = variances.std(axis=0) / math.sqrt(len(z))
    assert (abs(variances.mean(axis=0) - fit.forecast(6).sigma ** 2) <= 4.0 * error + 1e-15).all()


def test_forecast_by_simulation_states_its_error(stocks: pd.Series) -> None:
    fit = fit_volatility(stocks.iloc[-1500:], "tarch", "t", covariance=False)
    ahead, other = fit.forecast(10), fit.forecast(10, seed=2)  # type: ignore[call-arg]
    assert ahead.how == "simulation" and (ahead.error[1:] > 0).all()
    assert (abs(ahead.sigma - other.sigma)[1:] < 5.0 * ahead.error[1:]).all()
    assert fit.forecast(1).how == "formula of arch"


def test_skewed_and_power_models_keep_their_state(bitcoin: pd.Series) -> None:
    fit = fit_volatility(bitcoin, "egarch", "t", covariance=False)
    with pytest.raises(ParameterError, match=r"model is 'egarch' and start_sigma 0.05.*vol_anchor='filter'"):
        fit.simulate(np.zeros((1, 2)), 0.05)
    with pytest.raises(ParameterError, match="draws have shape"):
        fit.simulate(np.zeros(2))
    assert fit.simulate(np.zeros((1, 2)), fit.next_sigma)[1][0, 0] == pytest.approx(fit.next_sigma)


def test_covariance_of_egarch_follows_its_unit(stocks: pd.Series) -> None:
    """In decimals omega moves with beta: a delta-method twin from the percent fit of arch itself."""
    from arch.univariate import arch_model

    fit = fit_volatility(stocks, "egarch", "normal", covariance="classic")
    theirs = arch_model(PERCENT * stocks, vol="EGARCH", p=1, o=1, q=1, rescale=False).fit(
        disp="off", cov_type="classic"
    )
    jacobian = np.array([0.0, 1.0, 0.0, 0.0, 2.0 * math.log(PERCENT)])
    expected = math.sqrt(jacobian @ theirs.param_cov.to_numpy() @ jacobian)
    assert fit.std_errors["omega"] == pytest.approx(expected, rel=1e-6)
    assert fit.params["omega"] == pytest.approx(float(jacobian @ theirs.params) - 2.0 * math.log(PERCENT))


def test_long_memory_and_bounds_are_flagged(stocks: pd.Series) -> None:
    figarch = fit_volatility(stocks.iloc[-2000:], "figarch", "normal", covariance=False)
    assert "long memory" in figarch.flags[0]
    assert fit_volatility(stocks, "tarch", "normal", covariance=False).status == "at_bound"


def test_integrated_fit_says_what_it_means_far_ahead(bitcoin: pd.Series) -> None:
    """The GJR-t of bitcoin: omega accumulates, no level is reached, squares have no variance."""
    fit = fit_volatility(bitcoin, covariance=False)
    ahead = fit.forecast(365)
    text = " ".join(ahead.notes)
    assert "integrated variance: forecasts return to no level" in text
    assert "squared returns have no variance" in text
    grown = fit.next_sigma**2 + 364 * fit.params["omega"]
    assert ahead.sigma[-1] ** 2 == pytest.approx(grown, rel=1e-3)
    assert ahead.how == "recursion" and len(ahead.to_frame()) == 365 and len(ahead.summary()) == 2


def test_stationary_fit_returns_to_its_level() -> None:
    known = {"omega": 1e-5, "alpha": 0.05, "gamma": 0.1, "beta": 0.8}
    model = VolatilityModel.from_parameters(known, pd.Series([0.01, -0.03]), "gjr", "normal")
    ahead = model.forecast(400)
    assert ahead.sigma[-1] ** 2 == pytest.approx(1e-5 / 0.1, rel=1e-9)
    assert "half of a variance shock is left after 6.58 bars" in ahead.notes[0]
    wild = VolatilityModel.from_parameters(
        {"omega": 1e-5, "alpha": 0.5, "beta": 0.45}, pd.Series([0.01, -0.03]), "garch", "normal"
    )
    assert "no finite second moment" in wild.forecast(2).notes[-1]


@pytest.mark.parametrize("horizon", [0, -1, 2.0, True])
def test_bad_horizon(horizon: object, bitcoin: pd.Series) -> None:
    model = VolatilityModel.from_parameters({"omega": 1e-5, "alpha": 0.1, "beta": 0.8, "nu": 5.0}, bitcoin)
    with pytest.raises(ParameterError, match="horizon is"):
        model.forecast(horizon)  # type: ignore[arg-type]


def test_hourly_bars_are_annualised_by_hours() -> None:
    index = pd.date_range("2023-01-01", periods=500, freq="h")
    r = pd.Series(0.005 * stream(6, "hours").standard_normal(500), index)
    fit = fit_volatility(r, "garch", "normal", bar="1h", covariance=False)
    assert fit.bars_per_year == 8760.0 and fit.bar == "1h"
    assert fit.annual_sigma.mean() == pytest.approx(0.005 * math.sqrt(8760), rel=0.1)
    assert fit.filter(r).bars_per_year == 8760.0
    stated = fit_volatility(
        r, "egarch", "normal", bar="1h", annualisation=252, bars_per_year=1638, covariance=False
    )
    assert stated.bars_per_year == 1638.0
    with pytest.raises(ConventionError, match="usually lie 0 days 01:00:00 apart, and the bar is 1d"):
        fit_volatility(r, "garch", "normal")


def test_daily_bars_take_business_days_and_both_calendars(stocks: pd.Series) -> None:
    fit = fit_volatility(stocks.iloc[:300], "garch", "normal", annualisation=252, covariance=False)
    assert fit.bars_per_year == 252.0 and check_bar("1d", None, 365) == 365.0
    assert fit.annual_sigma.iloc[0] == pytest.approx(fit.sigma.iloc[0] * math.sqrt(252))


@pytest.mark.parametrize("bar", ["", "1 day", "0h", "h", 1, None, "1.5h", "-1d"])
def test_bad_bar(bar: object) -> None:
    with pytest.raises(ParameterError, match="bar is"):
        bar_length(bar)


def test_har_reference() -> None:
    """Coefficients and R squared of the regression of the VIX on its own averages."""
    level = vix.load()["vix"].dropna()
    assert len(level) == 1259
    fit = fit_har(level)
    expected = (0.633512, 0.928675, -0.031759, 0.061249)
    assert fit.params.to_list() == pytest.approx(expected, abs=1e-6)
    assert fit.r_squared == pytest.approx(0.876346, abs=1e-6)
    plain = np.column_stack(
        [np.ones(1259 - 22)] + [[level.iloc[t - n : t].mean() for t in range(22, 1259)] for n in (1, 5, 22)]
    )
    twin = np.linalg.lstsq(plain, level.to_numpy()[22:], rcond=None)[0]
    assert fit.params.to_list() == pytest.approx(twin.tolist(), rel=1e-7)
    fit.check()


def test_har_forecasts_from_the_past_alone() -> None:
    level = vix.load()["vix"].dropna()
    fit = fit_har(level.iloc[:900])
    longer = fit.filter(level)
    pd.testing.assert_series_equal(longer.fitted.iloc[: 900 - 22], fit.fitted, check_exact=True)
    assert longer.fitted.iloc[900 - 22] == pytest.approx(fit.next_level, rel=1e-14)
    ahead = fit.forecast(400)
    assert ahead[0] == fit.next_level
    assert ahead[-1] == pytest.approx(fit.params["const"] / (1.0 - fit.persistence), rel=2e-3)
    assert repr(fit) == repr(fit_har(level.iloc[:900])) and fit.to_dict() and fit.cite()


@pytest.mark.parametrize(
    ("level", "lags", "error", "text"),
    [
        (pd.Series(np.ones(50)), (1, 5, 22), DataGapError, "50 levels; expected at least 62"),
        (pd.Series(np.ones(100)), (1, 5, 22), ParameterError, "does not move"),
        (pd.Series(np.arange(100.0)), (1, 5, 22), ParameterError, r"first .*0.0.* in row 0"),
        (pd.Series([math.nan] * 100), (1,), ParameterError, "100 level.* not positive and finite"),
        (pd.Series(np.arange(1.0, 101.0)), (5, 1), ParameterError, "lags are"),
        (np.ones(100), (1,), ParameterError, "level is a ndarray"),
    ],
)
def test_har_bad_input(level: pd.Series, lags: tuple[int, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        fit_har(level, lags)


def test_words_are_all_served() -> None:
    assert {m for m, _ in ALL} == set(MODELS) and {d for _, d in ALL} == set(DISTRIBUTIONS)
