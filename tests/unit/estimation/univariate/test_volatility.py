"""Volatility models: digits of published fits, the recursion against arch and a plain twin, and bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from arch.data import sp500
from arch.univariate import arch_model
from scipy.optimize import minimize_scalar

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import VolatilityModel, fit_volatility
from pmkit.estimation.univariate.newton_fit import NewtonFit, fit_newton

PERCENT = 100.0


@pytest.fixture(scope="module")
def stocks() -> pd.Series:
    """S&P 500 as in the notebooks of arch: simple returns, here as decimals."""
    prices = sp500.load()["Adj Close"]
    return prices.pct_change().dropna().rename("SP500")


@pytest.fixture(scope="module")
def bitcoin(root: Path) -> pd.Series:
    frame = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    return np.log(frame["BTC-USD"]).diff().dropna()


def in_percent(model: VolatilityModel) -> dict[str, float]:
    p = model.params
    return {
        "loglik": model.loglik - len(model.returns) * math.log(PERCENT),
        "mu": p["mu"] * PERCENT,
        "omega": p["omega"] * PERCENT**2,
        **{n: p[n] for n in ("alpha", "gamma", "beta", "nu")},
    }


@pytest.mark.parametrize(
    ("model", "dist", "expected"),
    [
        ("garch", "normal", (-6936.718477, 0.056353, 0.017507, 0.102150, 0.0, 0.885206, math.inf)),
        ("gjr", "normal", (-6822.882823, 0.017505, 0.019566, 0.0, 0.183069, 0.892236, math.inf)),
        ("garch", "t", (-6834.735585, 0.066128, 0.008664, 0.099596, 0.0, 0.899932, 6.607227)),
    ],
)
def test_reference_fits(stocks: pd.Series, model: str, dist: str, expected: tuple[float, ...]) -> None:
    """Log-likelihood, mu, omega, alpha, gamma, beta, nu of arch's own worked cases, in per cent."""
    fit = fit_volatility(stocks, model, dist)  # type: ignore[arg-type]
    found = in_percent(fit)
    assert found["loglik"] == pytest.approx(expected[0], abs=2e-4)
    for name, value in zip(("mu", "omega", "alpha", "gamma", "beta", "nu"), expected[1:], strict=True):
        assert found[name] == pytest.approx(value, rel=2e-3, abs=2e-5), name
    fit.check()


def test_ewma_reference(stocks: pd.Series) -> None:
    fit = fit_volatility(stocks, "ewma", "normal", mean="zero")
    assert in_percent(fit)["loglik"] == pytest.approx(-7016.014535, abs=1e-5)
    assert (fit.next_sigma * PERCENT) ** 2 == pytest.approx(3.13832351, abs=5e-9)
    assert fit.params["alpha"] == pytest.approx(0.06) and fit.params["mu"] == 0.0
    assert fit.status == "ok" and fit.covariance.empty


@pytest.mark.extra_data
def test_benchmark_to_the_stated_digits(extra_data: Path) -> None:
    """The published start, the mean square, moves with mu: mu is searched outside, the rest fitted inside."""
    frame = pd.read_csv(extra_data / "r_reference" / "dmbp_dem_gbp_1974.csv.gz")
    r = (frame["ret_pct"] / PERCENT).to_numpy()

    def at(mu: float) -> NewtonFit:
        return fit_newton(r - mu, "garch", "normal", "zero", float(np.mean((r - mu) ** 2)))

    best = minimize_scalar(
        lambda mu: -at(mu).loglik, bounds=(-2e-4, 1e-4), method="bounded", options={"xatol": 1e-11}
    )
    found = at(best.x)
    assert found.loglik - r.size * math.log(PERCENT) == pytest.approx(-1106.60788104, abs=2e-8)
    assert best.x * PERCENT == pytest.approx(-0.00619041, abs=2e-7)
    _, omega, alpha, _, beta, _ = found.theta
    assert omega * PERCENT**2 == pytest.approx(0.0107614, abs=1e-7)
    assert alpha == pytest.approx(0.15313406, abs=2e-6) and beta == pytest.approx(0.80597367, abs=2e-6)
    start = float(np.mean((r - best.x) ** 2))
    whole = fit_volatility(
        pd.Series(r), "garch", "normal", backcast=start, engine="newton", covariance="classic"
    )
    errors = {"mu": 0.00846212, "omega": 0.00285271, "alpha": 0.0265228, "beta": 0.0335527}
    units = {"mu": PERCENT, "omega": PERCENT**2}
    for name, value in errors.items():
        assert whole.std_errors[name] * units.get(name, 1.0) == pytest.approx(value, rel=1e-3), name


@pytest.mark.extra_data
def test_benchmark_of_fiorentini_and_others(extra_data: Path) -> None:
    """Start at the mean square: the published digits; at arch's default: its own."""
    frame = pd.read_csv(extra_data / "r_reference" / "dmbp_dem_gbp_1974.csv.gz")
    r = frame["ret_pct"] / PERCENT
    assert len(r) == 1974
    around_the_published_mean = float(((r + 0.00619041 / PERCENT) ** 2).mean())
    fit = fit_volatility(r, "garch", "normal", backcast=around_the_published_mean)
    found = in_percent(fit)
    assert found["loglik"] == pytest.approx(-1106.607883, abs=2e-5)
    published = {"mu": -0.00619041, "omega": 0.0107613, "alpha": 0.153134, "beta": 0.805974}
    for name, value in published.items():
        assert found[name] == pytest.approx(value, rel=4e-3)
    default = in_percent(fit_volatility(r, "garch", "normal"))
    assert default["loglik"] == pytest.approx(-1104.521402, abs=2e-5)
    assert default["alpha"] == pytest.approx(0.1454804, rel=2e-4)


def test_bitcoin_is_integrated_with_heavy_tails(bitcoin: pd.Series) -> None:
    fit = fit_volatility(bitcoin)
    assert fit.persistence == pytest.approx(1.0, abs=1e-6) and fit.status == "at_bound"
    assert fit.params["gamma"] < 0.0 and fit.params["nu"] == pytest.approx(3.1, abs=0.05)
    assert any("no unconditional variance" in f for f in fit.flags)
    assert any("no fourth moment" in f for f in fit.flags)
    assert fit.residuals.idxmin() == pd.Timestamp("2020-03-12")
    assert fit.residuals.min() == pytest.approx(-14.2, abs=0.05)
    assert fit.next_sigma * math.sqrt(365) == pytest.approx(0.462, abs=0.002)
    assert fit.annual_sigma.iloc[-1] == pytest.approx(fit.sigma.iloc[-1] * math.sqrt(365))


@pytest.mark.parametrize(("model", "asymmetry"), [("gjr", 1), ("garch", 0)])
def test_recursion_equals_arch(bitcoin: pd.Series, model: str, asymmetry: int) -> None:
    fit = fit_volatility(bitcoin, model, "t", covariance=False)  # type: ignore[arg-type]
    p = fit.params
    names = (
        ["mu", "omega", "alpha", "gamma", "beta", "nu"]
        if asymmetry
        else ["mu", "omega", "alpha", "beta", "nu"]
    )
    scaled = [p[n] * {"mu": PERCENT, "omega": PERCENT**2}.get(n, 1.0) for n in names]
    theirs = arch_model(
        PERCENT * bitcoin.to_numpy(), vol="GARCH", p=1, o=asymmetry, q=1, dist="t", rescale=False
    ).fix(scaled)
    np.testing.assert_allclose(fit.sigma * PERCENT, theirs.conditional_volatility, rtol=1e-12)
    assert in_percent(fit)["loglik"] == pytest.approx(theirs.loglikelihood, rel=1e-12)
    ahead = theirs.forecast(horizon=1).variance.iloc[-1, 0]
    assert (fit.next_sigma * PERCENT) ** 2 == pytest.approx(ahead, rel=1e-12)


def test_recursion_equals_plain_twin() -> None:
    r = pd.Series(0.03 * stream(5, "twin").standard_t(4, 400))
    known = {"mu": 0.001, "omega": 2e-5, "alpha": 0.04, "gamma": 0.1, "beta": 0.88, "nu": 5.0}
    model = VolatilityModel.from_parameters(known, r, backcast=9e-4)
    variance = known["omega"] + (known["alpha"] + known["gamma"] / 2 + known["beta"]) * 9e-4
    for t, value in enumerate(r):
        assert model.sigma.iloc[t] == pytest.approx(math.sqrt(variance), rel=1e-13)
        e = value - known["mu"]
        slope = known["alpha"] + (known["gamma"] if e < 0 else 0.0)
        variance = known["omega"] + slope * e * e + known["beta"] * variance
    assert model.next_sigma == pytest.approx(math.sqrt(variance), rel=1e-13)


def test_filter_does_not_look_ahead_and_continues(bitcoin: pd.Series) -> None:
    fit = fit_volatility(bitcoin.iloc[:800], covariance=False)
    longer = fit.filter(bitcoin)
    pd.testing.assert_series_equal(longer.sigma.iloc[:800], fit.sigma, check_exact=True)
    assert longer.sigma.iloc[800] == fit.next_sigma
    changed = bitcoin.copy()
    changed.iloc[900:] *= 3.0
    pd.testing.assert_series_equal(
        fit.filter(changed).sigma.iloc[:901], longer.sigma.iloc[:901], check_exact=True
    )
    assert longer.status == "given" and longer.params.equals(fit.params)


def test_simulation_equals_plain_twin_and_filter() -> None:
    known = {"mu": 0.002, "omega": 1e-5, "alpha": 0.05, "gamma": 0.08, "beta": 0.9, "nu": 5.0}
    model = VolatilityModel.from_parameters(known, pd.Series([0.01, -0.02, 0.01]))
    z = stream(1, "draws").standard_normal((40, 6))
    moves, sigma = model.simulate(z, 0.03)
    for path in range(40):
        s = 0.03
        for day in range(6):
            e = s * z[path, day]
            assert sigma[path, day] == pytest.approx(s, rel=1e-13)
            assert moves[path, day] == pytest.approx(known["mu"] + e, rel=1e-12)
            s = math.sqrt(
                known["omega"] + (known["alpha"] + known["gamma"] * (e < 0)) * e * e + known["beta"] * s * s
            )
    without, _ = model.simulate(z, 0.03, drift=False)
    np.testing.assert_allclose(moves - without, known["mu"], rtol=1e-12)
    assert model.simulate(z)[1][0, 0] == pytest.approx(model.next_sigma, rel=1e-15)


def test_estimates_recover_the_truth() -> None:
    truth = {"mu": 0.0, "omega": 2e-5, "alpha": 0.05, "gamma": 0.10, "beta": 0.85, "nu": 6.0}
    model = VolatilityModel.from_parameters(truth, pd.Series([0.01, -0.02]))
    z = stream(2, "truth").standard_t(6.0, (1, 6000)) / math.sqrt(6 / 4)
    r = pd.Series(model.simulate(z, 0.02)[0][0], pd.date_range("2000-01-01", periods=6000))
    fit = fit_volatility(r)
    for name in ("alpha", "gamma", "beta", "nu"):
        assert abs(fit.params[name] - truth[name]) < 4 * fit.std_errors[name], name
    assert fit.status == "ok" and fit.flags == ()


GOOD = pd.Series(
    0.02 * stream(9, "bad").standard_normal(150), pd.date_range("2021-01-01", periods=150), name="BTC"
)
HOLE = GOOD.where(GOOD.index != GOOD.index[7])
PRICES = 20_000 * np.exp(GOOD.cumsum())


@pytest.mark.parametrize(
    ("returns", "error", "text"),
    [
        (GOOD.iloc[:99], DataGapError, "99 returns of BTC; expected at least 100"),
        (GOOD * 0 + 0.01, ParameterError, "all 150 returns of BTC equal 0.01"),
        (HOLE, ParameterError, r"1 return\(s\) of BTC not finite, first nan at 2021-01-08"),
        (GOOD * math.inf, ParameterError, "not finite"),
        (PRICES, ParameterError, "look like prices or percent.*divide percent by 100"),
        (GOOD.iloc[::-1], SchemaError, "out of order or repeated at 2021-05-29"),
        (pd.concat([GOOD, GOOD.iloc[-1:]]), SchemaError, "repeated"),
        (GOOD.to_frame(), SchemaError, "returns are a DataFrame.*choose one column"),
    ],
)
def test_bad_returns(returns: pd.Series, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        fit_volatility(returns)


def test_percent_instead_of_decimals() -> None:
    """One per cent a day has a median of 0.67 in percent, which is below any price."""
    with pytest.raises(ParameterError, match=r"median absolute return of BTC is .*look like percent"):
        fit_volatility(50.0 * GOOD)


@pytest.mark.parametrize(
    ("returns", "text"),
    [
        (GOOD.where(np.arange(150) % 10 == 0, 0.0), "135 of 150 returns of BTC equal 0: nearly constant"),
        (1e-7 * GOOD, "standard deviation of returns of BTC is .*: nearly constant"),
    ],
)
def test_nearly_constant(returns: pd.Series, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        fit_volatility(returns)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model": "egarch", "engine": "newton"}, "engine 'newton' for egarch-t"),
        ({"dist": "skewt", "engine": "newton"}, "engine 'newton' for gjr-skewt"),
        ({"bar": "1h"}, "returns usually lie 1 days .* apart, and the bar is 1h"),
        ({"bar": "1h", "annualisation": 252}, "the number of bars a year.*252 \\* 6.5 = 1638"),
    ],
)
def test_contradicting_arguments(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ConventionError, match=text):
        fit_volatility(GOOD, **arguments)  # type: ignore[arg-type]


def test_words_instead_of_numbers() -> None:
    with pytest.raises(SchemaError, match="decimal numbers"):
        fit_volatility(pd.Series(["a"] * 150))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"model": "aparch"}, "model is 'aparch'; expected one of gjr, garch, ewma"),
        ({"dist": "ged"}, "dist is 'ged'"),
        ({"engine": "scipy"}, "engine is 'scipy'; expected 'arch' or 'newton'"),
        ({"covariance": "hac"}, "covariance is 'hac'"),
        ({"bar": "1 day"}, "bar is '1 day'; expected a length of time"),
        ({"bars_per_year": -1.0}, "bars_per_year is -1.0"),
        ({"mean": "ar"}, "mean is 'ar'"),
        ({"backcast": -1.0}, "backcast is -1.0"),
        ({"annualisation": 0}, "annualisation is 0"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        fit_volatility(GOOD, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"omega": 1e-5, "alpha": 0.1}, "give beta"),
        ({"omega": 1e-5, "alpha": 0.1, "beta": 0.8, "delta": 1.0}, "remove delta"),
        ({"omega": -1e-5, "alpha": 0.1, "beta": 0.8, "nu": 5.0}, "omega is -1e-05"),
        ({"omega": 1e-5, "alpha": 0.1, "gamma": -0.2, "beta": 0.8, "nu": 5.0}, "gamma is -0.2"),
        ({"omega": 1e-5, "alpha": 0.1, "beta": 1.8, "nu": 5.0}, "beta is 1.8"),
        ({"omega": 1e-5, "alpha": 0.1, "beta": 0.8}, "nu is inf"),
        ({"omega": 1e-5, "alpha": 0.1, "beta": 0.8, "nu": 2.0}, "nu is 2.0"),
    ],
)
def test_bad_parameters(params: dict[str, float], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        VolatilityModel.from_parameters(params, GOOD)


def test_bad_draws() -> None:
    model = VolatilityModel.from_parameters({"omega": 1e-5, "alpha": 0.1, "beta": 0.8, "nu": 5.0}, GOOD)
    with pytest.raises(ParameterError, match=r"draws have shape"):
        model.simulate(np.zeros(3))
    with pytest.raises(ParameterError, match="1 non-finite"):
        model.simulate(np.array([[0.0, math.nan]]))
    with pytest.raises(ParameterError, match=r"start_sigma is 0.0"):
        model.simulate(np.zeros((1, 1)), 0.0)


def test_display_is_deterministic() -> None:
    fit = fit_volatility(GOOD, "garch", "normal")
    again = fit_volatility(GOOD, "garch", "normal")
    assert repr(fit) == repr(again) and fit.provenance.id == again.provenance.id
    assert list(fit.to_frame().columns) == ["return", "sigma", "residual"]
    assert "garch-normal, 150 returns" in repr(fit)


def test_stated_start_is_used_in_the_fit_and_in_the_filter(bitcoin: pd.Series) -> None:
    first = fit_volatility(bitcoin, "garch", covariance=False, backcast=4e-3)
    default = fit_volatility(bitcoin, "garch", covariance=False)
    assert first.backcast == 4e-3 and first.loglik != default.loglik
    assert first.filter(bitcoin).loglik == pytest.approx(first.loglik, rel=1e-12)
    assert default.filter(bitcoin).loglik == pytest.approx(default.loglik, rel=1e-12)
