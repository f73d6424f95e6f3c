"""Peaks over threshold: published fits, oracles, coverage of the errors, conditional tails, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arch.data import sp500
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.stats import genpareto

from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import VolatilityModel, conditional_tail, fit_gpd, fit_volatility, hill, threshold_table
from pmkit.estimation.tails.gpd import derivatives, fit_excesses, likelihood, quantile_and_mean
from pmkit.market import load_history

CHF_DAY = pd.Timestamp("2015-01-15")


@pytest.fixture(scope="module")
def losses() -> pd.Series:
    """Losses of the S&P 500, per cent, 1999-2018."""
    return -100.0 * np.log(sp500.load()["Adj Close"]).diff().dropna()


def test_figures_of_the_sp500(losses: pd.Series) -> None:
    fit = fit_gpd(losses, threshold=2.0)
    assert (fit.rows, fit.excesses, fit.status) == (5030, 224, "ok")
    assert fit.shape == pytest.approx(0.194755, abs=5e-7)
    assert fit.scale == pytest.approx(0.832582, abs=5e-7)
    assert fit.negative_loglik == pytest.approx(226.583115, abs=5e-7)
    assert fit.std_errors == pytest.approx((0.0803, 0.0863), abs=5e-5)
    expected = {0.99: (3.443346, 4.826380), 0.995: (4.269821, 5.852746), 0.999: (6.679187, 8.844839)}
    for level, (var, es) in expected.items():
        assert fit.var(level) == pytest.approx(var, abs=1e-6)
        assert fit.es(level) == pytest.approx(es, abs=1e-6)
    fit.check()
    assert hill(losses, 100).loc[100, "xi"] == pytest.approx(0.323144, abs=5e-7)


def test_figures_of_the_conditional_tail(losses: pd.Series) -> None:
    model = fit_volatility(-losses / 100.0, "garch", "normal", covariance=False)
    tail = conditional_tail(model)
    assert tail.tail.excesses == 503 and model.next_sigma == pytest.approx(0.01881699, abs=1e-7)
    assert tail.tail.threshold == pytest.approx(1.323772, abs=5e-6)
    assert (tail.tail.shape, tail.tail.scale) == pytest.approx((0.075858, 0.580287), abs=5e-6)
    assert tail.tail.var(0.99) == pytest.approx(2.783725, abs=5e-6)
    assert tail.tail.es(0.99) == pytest.approx(3.531483, abs=5e-6)
    assert tail.var(0.99) == pytest.approx(0.05185770, abs=5e-7)
    assert tail.es(0.99) == pytest.approx(0.06592826, abs=5e-7)
    tail.check()
    upper = conditional_tail(model, side="upper")
    assert upper.es(0.99) < tail.es(0.99) and upper.tail.shape < 0.0
    assert "object at" not in repr(tail) and tail.cite() == ("mcneil2000",)


@given(st.floats(-0.35, 1.2), st.floats(0.01, 100.0), st.integers(0, 1000))
@settings(max_examples=20)
def test_maximum_against_a_general_optimiser(shape: float, scale: float, seed: int) -> None:
    y = genpareto.rvs(shape, scale=scale, size=400, random_state=stream(seed, "gpd"))
    got_shape, got_scale, covariance, status = fit_excesses(y)
    if status == "at_bound":
        assert shape < -0.2 and got_shape == -0.5
        return
    assert status == "ok"
    best = likelihood(got_shape, got_scale, y)
    assert best == pytest.approx(genpareto.nnlf((got_shape, 0.0, got_scale), y), rel=1e-9)
    for start in ((0.1, float(np.mean(y))), (shape, scale)):
        found = genpareto.fit(y, start[0], floc=0.0, scale=start[1])
        if found[0] > -0.5:
            assert best <= genpareto.nnlf(found, y) + 1e-7 * abs(best)
    assert float(np.linalg.eigvalsh(covariance)[0]) > 0.0


@pytest.mark.parametrize("shape", [-0.3, 0.0, 1e-7, 0.2, 0.8])
def test_derivatives_against_differences(shape: float) -> None:
    y = genpareto.rvs(0.1, scale=1.0, size=50, random_state=stream(1, "y")) / 4.0
    gradient, hessian = derivatives(shape, 1.3, y)

    def nll(theta: np.ndarray) -> float:
        return likelihood(float(theta[0]), float(theta[1]), y)

    at = np.array([shape, 1.3])
    if abs(shape) > 1e-6:
        numeric = approx_fprime(at, nll, 1e-7)
    else:  # below 1e-6 the value takes its limit in the shape: differences must reach beyond it
        steps = np.array([[1e-4, 0.0], [0.0, 1e-4]])
        numeric = np.array([(nll(at + s) - nll(at - s)) / 2e-4 for s in steps])
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-3)
    for k in range(2):
        step = np.eye(2)[k] * 1e-4
        slope = (derivatives(*(at + step), y)[0] - derivatives(*(at - step), y)[0]) / 2e-4
        np.testing.assert_allclose(hessian[k], slope, rtol=1e-4, atol=1e-4)


@given(st.floats(-0.4, 0.9), st.floats(0.03, 0.2), st.floats(0.975, 0.9999))
@settings(max_examples=25)
def test_gradient_of_quantile_and_mean(shape: float, share: float, level: float) -> None:
    var, es, d_var, d_es = quantile_and_mean(1.0, shape, 0.5, share, level)
    assert es >= var >= 1.0
    at = np.array([shape, 0.5, share])
    for which, got in ((0, d_var), (1, d_es)):
        numeric = []
        for k in range(3):
            step = np.eye(3)[k] * 1e-6
            up, down = (quantile_and_mean(1.0, *(at + s * step), level)[which] for s in (1, -1))
            numeric.append((up - down) / 2e-6)
        np.testing.assert_allclose(got, numeric, rtol=2e-4, atol=1e-6)


def test_tail_mean_is_the_integral_of_quantiles() -> None:
    fit = fit_gpd(genpareto.rvs(0.3, size=2000, random_state=stream(3, "y")) - 0.5, tail_share=0.1)
    levels = 1.0 - 0.01 * (np.arange(200_000) + 0.5) / 200_000
    mean = float(np.mean([fit.var(float(q)) for q in levels[::20]]))
    assert fit.es(0.99) == pytest.approx(mean, rel=2e-3)


def test_delta_and_profile_intervals_cover() -> None:
    truth = genpareto.ppf(0.99, 0.2)
    hits = profile_hits = 0
    for seed in range(50):
        x = genpareto.rvs(0.2, size=1000, random_state=stream(seed, "cover"))
        fit = fit_gpd(x, tail_share=0.15)
        error = fit.std_error(0.99)[0]
        hits += abs(fit.var(0.99) - truth) <= 1.959964 * error
        low, high = fit.profile(0.99)[0]
        assert low < fit.var(0.99) < high
        profile_hits += low <= truth <= high
    assert 42 <= hits <= 50  # 47.5 of 50, binomial sd 1.5
    assert 42 <= profile_hits <= 50


@pytest.mark.slow
def test_nominal_95_percent_profiles_cover_92_to_98() -> None:
    var = float(genpareto.ppf(0.99, 0.2))
    truth = {"VaR": var, "ES": (var + 1.0) / 0.8}
    inside = {"VaR": 0, "ES": 0}
    for seed in range(500):
        fit = fit_gpd(genpareto.rvs(0.2, size=2000, random_state=stream(seed, "g")), tail_share=0.15)
        for name, (low, high) in zip(inside, fit.profile(0.99), strict=True):
            inside[name] += low <= truth[name] <= high
    assert all(0.92 <= count / 500 <= 0.98 for count in inside.values()), inside  # 0.954 and 0.938


@pytest.mark.parametrize("mean", [False, True])
def test_ends_of_the_profile_lie_at_the_drop_on_a_dense_grid(losses: pd.Series, mean: bool) -> None:
    """At either end the best likelihood over a grid of shapes and shares is 1.92 below the maximum."""
    fit, level = fit_gpd(losses, threshold=2.0), 0.999
    n, k = fit.rows, fit.excesses

    def nll(shape: float, scale: float, share: float) -> float:
        value = float(genpareto.nnlf((shape, 0.0, scale), fit.losses))
        return value - k * math.log(share) - (n - k) * math.log1p(-share)

    best = nll(fit.shape, fit.scale, fit.share)
    for end in fit.profile(level)[int(mean)]:
        lowest = math.inf
        for shape in np.linspace(-0.051, 0.5, 45):
            for share in fit.share * np.linspace(0.85, 1.15, 41):
                g = (share / (1.0 - level)) ** shape
                scale = (end - 2.0) * (1.0 - shape) / ((g - 1.0) / shape + 1.0)
                scale = scale if mean else (end - 2.0) * shape / (g - 1.0)
                lowest = min(lowest, nll(float(shape), float(scale), float(share)))
        assert lowest - best == pytest.approx(1.920729, abs=0.02)


def test_profile_of_the_next_day_is_that_of_the_residuals_scaled(losses: pd.Series) -> None:
    known = {"omega": 1e-4, "alpha": 0.0, "beta": 0.0, "mu": 2e-4}
    model = VolatilityModel.from_parameters(known, -losses / 100.0, "garch", "normal")
    tail = conditional_tail(model)
    var, es = tail.profile(0.99)
    inner = tail.tail.profile(0.99)
    assert var == pytest.approx([-2e-4 + 0.01 * v for v in inner[0]], rel=1e-12)
    assert es == pytest.approx([-2e-4 + 0.01 * v for v in inner[1]], rel=1e-12)
    assert var[0] < tail.var(0.99) < var[1] and es[0] < tail.es(0.99) < es[1]


def test_profile_is_longer_upwards(losses: pd.Series) -> None:
    var, es = fit_gpd(losses, threshold=2.0).profile(0.999)
    assert var[1] - 6.679187 > 6.679187 - var[0] > 0.0
    assert es[1] - 8.844839 > 8.844839 - es[0] > 0.0
    assert var == pytest.approx((5.7553, 8.4230), abs=1e-3)


@given(st.floats(0.001, 1000.0))
@settings(max_examples=10)
def test_unit_of_the_losses_does_not_matter(unit: float) -> None:
    x = genpareto.rvs(0.25, size=600, random_state=stream(2, "unit")) - 1.0
    base, scaled = fit_gpd(x), fit_gpd(unit * x)
    assert scaled.shape == pytest.approx(base.shape, abs=1e-7)
    assert scaled.es(0.99) == pytest.approx(unit * base.es(0.99), rel=1e-7)


def test_tails_without_mean_are_flagged() -> None:
    heavy = fit_gpd(genpareto.rvs(1.5, size=3000, random_state=stream(1, "heavy")))
    assert math.isinf(heavy.es(0.99)) and "no mean" in heavy.flags[0] and math.isfinite(heavy.var(0.99))
    assert math.isinf(heavy.profile(0.99)[1][1])
    bounded = fit_gpd(-(np.abs(np.linspace(-1.0, 1.0, 999)) ** 3) + 0.0, threshold=-0.001)
    assert bounded.status in ("ok", "at_bound")
    square = fit_gpd(stream(4, "u").random(3000) ** 0.4)
    assert square.status == "at_bound" and "ends" in square.flags[0]
    with pytest.raises(ParameterError, match="status at_bound"):
        square.profile(0.99)


def test_threshold_table_and_display(losses: pd.Series) -> None:
    table = threshold_table(losses)
    assert table["threshold"].is_monotonic_decreasing and (table["status"] == "ok").all()
    assert table["es"].max() / table["es"].min() < 1.05
    fit = fit_gpd(losses)
    assert fit.excesses == 503 and fit.plot().get_ylabel() == "excess, observed"
    assert "object at" not in repr(fit) and fit.to_dict()["value"][0] == pytest.approx(fit.shape)


def test_one_day_decides_the_tail_of_the_franc() -> None:
    """15 January 2015, when the floor under EUR/CHF was given up, in the reference rates of the ECB."""
    moves = -load_history("ecb-reference-rates-1999-2026").returns(["CHF"])["CHF"]
    assert float(moves.max()) == pytest.approx(0.155539, abs=1e-6) and moves.idxmax() == CHF_DAY
    whole, without = fit_gpd(moves), fit_gpd(moves.drop(CHF_DAY))
    assert whole.shape == pytest.approx(0.2477, abs=1e-4)
    assert without.shape == pytest.approx(0.1871, abs=1e-4)
    assert whole.profile(0.999)[1][1] > 1.2 * without.profile(0.999)[1][1]


def test_hill_of_a_power_law() -> None:
    x = (1.0 - (np.arange(5000) + 0.5) / 5000) ** (-1 / 3)
    table = hill(x, [50, 200, 500])
    assert table["xi"].to_numpy() == pytest.approx(1 / 3, abs=0.01)
    assert table["std_error"].to_numpy() == pytest.approx(table["xi"] / np.sqrt([50, 200, 500]))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: fit_gpd(x, threshold=1.0, tail_share=0.1), ParameterError, "both given"),
        (lambda x: fit_gpd(x, tail_share=0.6), ParameterError, "tail_share is 0.6"),
        (lambda x: fit_gpd(x, threshold=math.nan), ParameterError, "threshold is nan"),
        (lambda x: fit_gpd(x, threshold=1e9), DataGapError, "0 of 500 losses above"),
        (lambda x: fit_gpd(x[:40]), DataGapError, "40 losses; expected at least 50"),
        (lambda x: fit_gpd(np.full(100, 0.1)), ParameterError, "all 100 losses equal 0.1"),
        (lambda x: fit_gpd(np.where(x > 1.0, 1.0, x), tail_share=0.05), DataGapError, "losses above"),
        (lambda x: fit_gpd(np.append(x, np.nan)), ParameterError, "first nan in row 500"),
        (lambda x: fit_gpd(np.append(x, np.inf)), ParameterError, "first inf in row 500"),
        (lambda x: fit_gpd(100.0 * np.exp(0.1 * x)), ParameterError, "look like prices"),
        (lambda x: fit_gpd(["a"] * 60), SchemaError, "losses are a list"),
        (lambda x: fit_gpd(x.reshape(-1, 2)), SchemaError, "one dimension"),
        (lambda x: fit_gpd(x).var(0.8), ParameterError, "lies below the threshold: 10.000% of"),
        (lambda x: fit_gpd(x).var(0.01), ParameterError, "level is 0.01"),
        (lambda x: fit_gpd(x).profile(0.99, 1.0), ParameterError, "confidence is 1.0"),
        (lambda x: hill(x, 1), ParameterError, "k is 1"),
        (lambda x: hill(x, 450), ParameterError, "positive losses"),
        (lambda x: conditional_tail(x), SchemaError, "model is a ndarray"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(stream(8, "bad").standard_normal(500))


def test_bad_side() -> None:
    r = pd.Series(0.01 * stream(1, "r").standard_normal(300), pd.date_range("2020-01-01", periods=300))
    model = VolatilityModel.from_parameters({"omega": 1e-4, "alpha": 0.0, "beta": 0.0}, r, "garch", "normal")
    with pytest.raises(ParameterError, match="side is 'left'"):
        conditional_tail(model, side="left")  # type: ignore[arg-type]
