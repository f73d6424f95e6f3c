"""Correlation models: published figures, no look-ahead, order of assets, forecast, simulation and display."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.estimation import CorrelationModel, fit_correlation, fit_volatility
from pmkit.estimation.dynamic.correlation_root import symmetric_roots

NAMES = list("edcab")
KINDS = ("ewma", "ccc", "dcc", "adcc", "cdcc", "deco")


@cache
def simulated_residuals(rows: int = 1200, n: int = 5, a: float = 0.05, b: float = 0.92) -> pd.DataFrame:
    """Return simulated residuals of a corrected model with unequal target correlations."""
    loads = np.linspace(0.4, 0.8, n)
    S = np.outer(loads, loads) + np.diag(1.0 - loads**2)
    draws = stream(11, "dcc-path").standard_normal((1, rows, n))
    seed = pd.DataFrame(np.ones((1, n)), columns=NAMES[:n])
    known = CorrelationModel.from_parameters({"a": a, "b": b}, seed, "cdcc", S)
    z = known.simulate(rows, draws=draws)[0]
    return pd.DataFrame(z, index=pd.date_range("2018-01-01", periods=rows), columns=NAMES[:n])


@cache
def fitted(kind: str, likelihood: str = "full") -> CorrelationModel:
    return fit_correlation(simulated_residuals(), kind, likelihood=likelihood)  # type: ignore[arg-type]


def margins(percent: pd.DataFrame, mean_start: bool = False) -> tuple[pd.DataFrame, float]:
    """Return residuals and log-likelihood of GARCH(1,1)-normal margins fitted by arch, in per cent."""
    columns, total = {}, 0.0
    for name in percent:
        model = arch_model(percent[name], mean="Constant", vol="GARCH", p=1, q=1, rescale=False)
        start = float(percent[name].var(ddof=0)) if mean_start else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = model.fit(disp="off", backcast=start)
        columns[name] = fit.resid / fit.conditional_volatility
        total += float(fit.loglikelihood)
    return pd.DataFrame(columns), total


@pytest.fixture(scope="module")
def three_stocks(root: Path, extra_data: Path) -> pd.DataFrame:
    """JPM, XOM and MSFT, 2000-2019, per cent."""
    for path in (root / "data", extra_data.parent / "embed"):
        if (path / "sp500_dataset.csv.gz").is_file():
            prices = pd.read_csv(path / "sp500_dataset.csv.gz", index_col=0, parse_dates=True)
            logs = 100.0 * np.log(prices[["JPM", "XOM", "MSFT"]]).diff()
            return logs.loc["2000-01-03":"2019-12-31"]  # type: ignore[misc]
    pytest.skip("no stock prices: neither in data nor beside the study data")


@pytest.mark.extra_data
def test_published_figures_of_three_stocks(three_stocks: pd.DataFrame) -> None:
    """Two other programs and a scratch script gave these digits."""
    z, margin = margins(three_stocks)
    assert len(z) == 5031
    fit = fit_correlation(z, "dcc", covariance=False)
    assert fit.params["a"] == pytest.approx(0.021000, abs=1e-6)
    assert fit.params["b"] == pytest.approx(0.965661, abs=1.5e-6)
    assert fit.loglikelihood == pytest.approx(1222.50611, abs=5e-4)
    assert fit.loglikelihood + margin == pytest.approx(-26593.15062, abs=5e-4)
    last = fit.correlation_path()[-2]
    assert last[[0, 0, 1], [1, 2, 2]] == pytest.approx([0.529287, 0.413372, 0.306873], abs=3e-6)
    constant = fit_correlation(z, "ccc")
    assert constant.loglikelihood == pytest.approx(1081.12456, abs=2e-3)
    levels = constant.next_correlation.to_numpy()[[0, 0, 1], [1, 2, 2]]
    assert levels == pytest.approx([0.419675, 0.418606, 0.345550], abs=2e-6)


@pytest.mark.extra_data
@pytest.mark.parametrize(
    ("n", "published", "a", "b"),
    [(5, -53514.64292, 0.011324, 0.983859), (10, -101267.48845, 0.007519, 0.987658)],
)
def test_published_figures_of_the_dow(extra_data: Path, n: int, published: float, a: float, b: float) -> None:
    """rmgarch's log-likelihood of the first stocks of dji30ret; its margins start elsewhere."""
    frame = pd.read_csv(extra_data / "r_reference" / "dji30ret_1987_2009.csv.gz", index_col=0)
    z, margin = margins(100.0 * frame.iloc[:, :n], mean_start=True)
    fit = fit_correlation(z, "dcc", covariance=False)
    assert len(z) == 5521
    assert fit.loglikelihood + margin == pytest.approx(published, abs=1.0)
    assert fit.params["a"] == pytest.approx(a, abs=3e-5)
    assert fit.params["b"] == pytest.approx(b, abs=3e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_a_correlation_matrix(kind: str) -> None:
    model = fitted(kind)
    path = model.correlation_path()
    assert path.shape == (1201, 5, 5)
    assert np.array_equal(path, path.transpose(0, 2, 1))
    assert (path[:, range(5), range(5)] == 1.0).all()
    assert np.linalg.eigvalsh(path).min() > 0.0
    assert np.array_equal(path[-1], model.next_correlation.to_numpy())
    assert model.pair("e", "b").to_numpy() == pytest.approx(path[:-1, 0, 4], abs=1e-15)
    model.check()
    assert model.raise_if_bad() is model


@pytest.mark.parametrize(("kind", "likelihood"), [(k, "full") for k in KINDS] + [("cdcc", "composite")])
def test_order_of_assets_does_not_matter(kind: str, likelihood: str) -> None:
    model = fitted(kind, likelihood)
    turned = list("abcde")
    other = fit_correlation(simulated_residuals()[turned], kind, likelihood=likelihood)  # type: ignore[arg-type]
    assert other.params.equals(model.params) and other.objective == pytest.approx(
        model.objective, nan_ok=True
    )
    assert other.std_errors.to_numpy() == pytest.approx(model.std_errors.to_numpy(), nan_ok=True)
    back = other.next_correlation.loc[NAMES, NAMES].to_numpy()
    assert back == pytest.approx(model.next_correlation.to_numpy(), abs=1e-14)
    white = other.standardised_residuals()[NAMES].to_numpy()
    assert white == pytest.approx(model.standardised_residuals().to_numpy(), abs=1e-12)
    assert other.loglikelihood == pytest.approx(model.loglikelihood, rel=1e-13)


@settings(max_examples=15)
@given(st.permutations(range(4)), st.integers(0, 50))
def test_roots_do_not_depend_on_the_order(order: list[int], seed: int) -> None:
    x = stream(seed, "roots").standard_normal((12, 4))
    R = np.corrcoef(x.T)[None]
    one, two = np.empty_like(R), np.empty_like(R)
    symmetric_roots(R, False, one)
    symmetric_roots(np.ascontiguousarray(R[:, order][:, :, order]), False, two)
    assert one[0] @ one[0] == pytest.approx(R[0], abs=1e-13)
    assert two[0] == pytest.approx(one[0][np.ix_(order, order)], abs=1e-13)
    values, vectors = np.linalg.eigh(R[0])
    assert one[0] == pytest.approx((vectors * np.sqrt(values)) @ vectors.T, abs=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_correlations_know_the_past_only(kind: str) -> None:
    model = fitted(kind)
    z = simulated_residuals()
    later = z.copy()
    later.iloc[700:] *= -1.3
    one, two = model.filter(z.iloc[:900]), model.filter(later.iloc[:900])
    assert np.array_equal(one.correlation_path(), model.correlation_path()[:901])
    assert np.array_equal(one.correlation_path()[:701], two.correlation_path()[:701])
    if kind != "ccc":
        assert not np.array_equal(one.correlation_path()[701], two.correlation_path()[701])
    assert np.array_equal(model.filter(z.iloc[:700]).next_correlation, one.correlation_path()[700])
    assert one.fitted_rows == 1200 and one.params.equals(model.params)


def test_parameters_behind_the_data_are_found() -> None:
    for kind in ("dcc", "cdcc"):
        bounds = fitted(kind).confidence_interval(0.99)
        assert bounds.loc["a", "lower"] < 0.05 < bounds.loc["a", "upper"]
        assert bounds.loc["b", "lower"] < 0.92 < bounds.loc["b", "upper"]
    assert fitted("cdcc").loglikelihood > fitted("ccc").loglikelihood + 50.0
    assert fitted("cdcc").loglikelihood > fitted("ewma").loglikelihood
    assert fitted("adcc").loglikelihood >= fitted("dcc").loglikelihood - 1e-7
    rough = fitted("cdcc", "composite")
    assert rough.loglikelihood < fitted("cdcc").loglikelihood
    assert rough.objective == pytest.approx(rough.objective) and rough.pairs == "contiguous"


def test_objective_is_the_loglikelihood_of_the_full_fit() -> None:
    for kind in ("dcc", "adcc", "cdcc", "deco"):
        model = fitted(kind)
        assert model.loglikelihood == pytest.approx(model.objective, rel=1e-12)
        assert model.daily_loglikelihood().sum() == pytest.approx(model.objective)
        assert model.evaluations < 40


def test_gain_alone_keeps_the_asymmetry_at_zero() -> None:
    z = simulated_residuals()
    # joint gains are followed by more of the same in this mirrored sample, joint losses are not
    mirrored = fit_correlation(-z, "adcc", covariance=True)
    straight = fitted("adcc")
    low = mirrored if mirrored.params["g"] == 0.0 else straight
    assert low.params["g"] == 0.0 and low.status == "at_bound"
    assert low.std_errors.isna().all() and low.confidence_interval().isna().all().all()


def test_residuals_lose_their_correlation() -> None:
    white = fitted("cdcc").standardised_residuals()
    assert np.abs(np.corrcoef(white.T.to_numpy()) - np.eye(5)).max() < 0.04
    assert white.index.equals(simulated_residuals().index) and white.columns.tolist() == NAMES
    again = fitted("cdcc")
    path, z = again.correlation_path(), simulated_residuals().to_numpy()
    values, vectors = np.linalg.eigh(path[17])
    expected = (vectors / np.sqrt(values)) @ vectors.T @ z[17]
    assert white.to_numpy()[17] == pytest.approx(expected, abs=1e-11)


def test_forecasts_revert_to_the_target() -> None:
    model = fitted("cdcc")
    near, far = model.forecast(1), model.forecast(400)
    assert np.array_equal(near.at(1), model.next_correlation)
    assert far.at(400).to_numpy() == pytest.approx(model.target.to_numpy(), abs=1e-4)
    other = model.forecast(5, approximation="qbar")
    p = model.persistence
    Q = model.target + p**4 * (model.next_state - model.target)
    root = np.sqrt(np.diag(Q))
    assert other.at(5).to_numpy() == pytest.approx(Q.to_numpy() / np.outer(root, root), abs=1e-13)
    for forecast in (near, far, other):
        forecast.check()
    R = model.forecast(5).correlations
    start, last = model.next_correlation.to_numpy(), model.target.to_numpy()
    assert R[4] == pytest.approx(last + p**4 * (start - last))
    assert far.average.to_numpy() == pytest.approx(far.correlations.mean(axis=0))
    assert "rbar approximation" in repr(near) and len(other.to_frame()) == 50
    assert "qbar" in other.plot().get_title() and other.std_error.max() == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_forecast_agrees_with_the_approximation(kind: str) -> None:
    model = fitted(kind)
    many = model.forecast(4, "simulation", paths=3000, seed=5)
    many.check()
    assert np.array_equal(many.at(1), model.next_correlation)
    assert many.correlations == pytest.approx(model.forecast(4).correlations, abs=0.01)
    if kind != "ccc":
        assert 1e-5 < many.std_error[3, 0, 1] < 0.01
    again = model.forecast(4, "simulation", paths=3000, seed=5)
    assert np.array_equal(again.correlations, many.correlations) and many.provenance.seed == 5


def test_simulation_has_the_forecast_correlation_and_follows_its_draws() -> None:
    model = fitted("cdcc")
    paths = model.simulate(2, 40_000, seed=3)
    assert paths.shape == (40_000, 2, 5)
    first = paths[:, 0]
    assert first.T @ first / 40_000 == pytest.approx(model.next_correlation.to_numpy(), abs=0.03)
    draws = stream(9, "draws").standard_normal((3, 4, 5))
    one = model.simulate(4, draws=draws)
    turned = [3, 1, 0, 2, 4]
    other = fit_correlation(simulated_residuals()[[NAMES[i] for i in turned]], "cdcc", covariance=False)
    assert other.simulate(4, draws=draws[:, :, turned]) == pytest.approx(one[:, :, turned], abs=1e-10)
    # along a path the model is its own filter
    longer = pd.concat(
        [simulated_residuals(), pd.DataFrame(one[1], pd.date_range("2030-01-01", periods=4), NAMES)]
    )
    path = model.filter(longer).correlation_path()
    values, vectors = np.linalg.eigh(path[1203])
    assert one[1, 3] == pytest.approx((vectors * np.sqrt(values)) @ vectors.T @ draws[1, 3], abs=1e-11)


def test_display_and_record() -> None:
    model = fitted("cdcc")
    assert "cdcc, full likelihood, 1200 x 5, ok" in repr(model)
    assert json.dumps(model.to_dict()) and len(model.to_frame()) == 10
    assert model.cite() == ("aielli2013", "engle2001dcc")
    assert "cdcc" in model.plot().get_title()
    assert model.provenance.id == fit_correlation(simulated_residuals(), "cdcc").provenance.id
    assert model.covariance.loc["a", "b"] == pytest.approx(model.covariance.loc["b", "a"])
    assert model.std_errors["a"] == pytest.approx(math.sqrt(model.covariance.loc["a", "a"]))
    assert fitted("ccc").params.empty and "ccc" in repr(fitted("ccc"))
    assert fitted("ewma").persistence == 1.0 and fitted("ewma").params["decay"] == 0.97
    with pytest.raises(PmkitError, match="did not converge in 10 evaluations"):
        replace(model, status="not_converged", evaluations=10).raise_if_bad()
    broken = replace(model, target=2.0 * model.target)
    object.__setattr__(broken, "next_correlation", 2.0 * model.next_correlation)
    with pytest.raises(PmkitError, match="no correlation matrix"):
        broken.check()


def test_ewma_is_the_recursion_of_the_covariance() -> None:
    z = simulated_residuals()
    model = fit_correlation(z, "ewma", decay=0.9)
    S = model.target.to_numpy().copy()
    for row in z.to_numpy():
        S = 0.9 * S + 0.1 * np.outer(row, row)
    root = np.sqrt(np.diag(S))
    assert model.next_correlation.to_numpy() == pytest.approx(S / np.outer(root, root), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.forecast(0), "h is 0"),
        (lambda m: m.forecast(2, "exact"), "method is 'exact'"),
        (lambda m: m.forecast(2, approximation="none"), "approximation 'none'"),
        (lambda m: m.forecast(2).at(3), "day is 3"),
        (lambda m: m.simulate(2, 0), "paths is 0"),
        (lambda m: m.simulate(2, draws=np.zeros((3, 4, 5))), r"draws have shape \(3, 4, 5\)"),
        (lambda m: m.simulate(2, draws=np.full((3, 2, 5), np.nan)), "30 non-finite"),
        (lambda m: m.pair("e", "x"), "column names 'x'"),
        (lambda m: m.confidence_interval(1.0), "level is 1.0"),
        (lambda m: m.filter(simulated_residuals()[list("abcde")]), "the assets of the model in its order"),
    ],
)
def test_bad_questions(call: Any, message: str) -> None:
    with pytest.raises(PmkitError, match=message):
        call(fitted("cdcc"))


@pytest.mark.parametrize(
    ("params", "kind", "target", "message"),
    [
        ({"a": 0.1}, "dcc", np.eye(5), "parameters a for dcc"),
        ({"a": 0.3, "b": 0.8}, "dcc", np.eye(5), "a \\+ b below 1"),
        ({"a": -0.1, "b": 0.8}, "cdcc", np.eye(5), "each 0 or more"),
        ({"decay": 1.0}, "ewma", np.eye(5), "decay is .*1.0"),
        ({"a": 0.1, "b": 0.8}, "cdcc", 2.0 * np.eye(5), "diagonal of target runs from 2"),
        ({"a": 0.1, "b": 0.8}, "dcc", np.ones((5, 5)), "smallest eigenvalue of target"),
        ({"a": 0.1, "b": 0.8}, "dcc", np.eye(4), "target has 4 rows"),
        ({"a": 0.1, "b": 0.8, "g": 0.1}, "adcc", np.eye(5), "loss_target is absent"),
        ({}, "bekk", np.eye(5), "model is 'bekk'"),
    ],
)
def test_bad_parameters(params: dict[str, float], kind: Any, target: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        CorrelationModel.from_parameters(params, simulated_residuals(), kind, target)


def test_asymmetry_beyond_its_region() -> None:
    with pytest.raises(ParameterError, match=r"\(1 - a - b\) S - g N has the eigenvalue"):
        CorrelationModel.from_parameters(
            {"a": 0.05, "b": 0.9, "g": 0.5},
            simulated_residuals(),
            "adcc",
            np.eye(5),
            loss_target=0.5 * np.eye(5),
        )


def test_a_path_that_does_not_fit_memory_is_refused() -> None:
    wide = pd.DataFrame(stream(1, "wide").standard_normal((3000, 320)))
    model = CorrelationModel.from_parameters({}, wide, "ccc", np.eye(320))
    with pytest.raises(ParameterError, match=r"2\.3 GiB"):
        model.correlation_path()
    assert model.pair(0, 319).eq(0.0).all()


def test_integrated_correlation_of_coins_ends_at_the_bound(root: Path) -> None:
    """Six coins, 820 days: the likelihood rises up to a + b = 1, and the status says so."""
    prices = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    coins = [f"{coin}-USD" for coin in ("BTC", "ETH", "ADA", "XRP", "DOGE", "LINK")]
    r = np.log(prices[coins]).diff().dropna()
    z = pd.DataFrame({c: fit_volatility(r[c].iloc[:730], "gjr", "t").filter(r[c]).residuals for c in coins})
    fit = fit_correlation(z.iloc[:820], "deco")
    assert fit.status == "at_bound" and 1.0 - 1e-6 < fit.persistence < 1.0
    assert fit.std_errors.isna().all()
    fit.check()
    assert fit_correlation(z.iloc[:820], "cdcc").status == "ok"
