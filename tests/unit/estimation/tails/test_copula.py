"""Copulas on ranks: published fits, oracles, simulation gives back its parameters, margins, bad input."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, multivariate_normal, multivariate_t, norm, t

from pmkit.core.errors import DataGapError, OptionalDependencyError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import (
    fit_copula,
    fit_dynamic_copula,
    fit_margin,
    fit_vine,
    pseudo_observations,
    tail_dependence,
)
from pmkit.estimation.tails.copula_likelihood import copula_loglik, correlation_of, partials_of, quantiles


@pytest.fixture(scope="module")
def stocks(extra_data: Path) -> pd.DataFrame:
    """JPM and XOM, log returns of 2000-2019."""
    prices = pd.read_csv(extra_data.parent / "embed" / "sp500_dataset.csv.gz", index_col=0, parse_dates=True)
    return np.log(prices[["JPM", "XOM"]]).diff().loc["2000-01-03":"2019-12-31"]  # type: ignore[misc]


def t_panel(rows: int, nu: float, seed: int = 1, rho: float = 0.5, n: int = 2) -> pd.DataFrame:
    """Simulated returns of a t copula with equal correlations and t margins of 4 degrees of freedom."""
    generator = stream(seed, "panel")
    z = generator.standard_normal((rows, n + 1))
    x = math.sqrt(rho) * z[:, :1] + math.sqrt(1 - rho) * z[:, 1:]
    x = x / np.sqrt(generator.chisquare(nu, rows) / nu)[:, None]
    return pd.DataFrame(0.01 * t.ppf(t.cdf(x, nu), 4), columns=[f"A{i}" for i in range(n)])


@pytest.mark.extra_data
def test_figures_of_two_stocks(stocks: pd.DataFrame) -> None:
    assert len(stocks) == 5031
    copula = fit_copula(stocks, method="ml", margins=False)
    assert float(copula.correlation.loc["JPM", "XOM"]) == pytest.approx(0.44573094, abs=1e-6)
    assert copula.nu == pytest.approx(3.91331588, abs=2e-5)
    assert copula.loglik == pytest.approx(684.0904564, abs=1e-6) and copula.status == "ok"
    frame = copula.to_frame()
    assert frame["tau"][0] == pytest.approx(0.294112, abs=1e-6)
    assert frame["tail_dependence"][0] == pytest.approx(0.229252, abs=2e-6)
    vine = fit_vine(stocks, ("student",))
    assert vine.loglik == pytest.approx(684.0904564, abs=1e-6)
    assert vine.pairs["parameters"][0] == "0.445731, 3.91332"


@pytest.mark.parametrize("nu", [3.0, 8.0, math.inf])
def test_likelihood_against_densities_of_scipy(nu: float) -> None:
    R = np.array([[1.0, 0.5, -0.2], [0.5, 1.0, 0.1], [-0.2, 0.1, 1.0]])
    u = stream(2, "u").random((20, 3)) * 0.98 + 0.01
    x = quantiles(u, nu)
    if math.isinf(nu):
        expected = multivariate_normal(np.zeros(3), R).logpdf(x).sum() - norm.logpdf(x).sum()
    else:
        expected = multivariate_t(np.zeros(3), R, nu).logpdf(x).sum() - t.logpdf(x, nu).sum()
    assert copula_loglik(x, R, nu) == pytest.approx(float(expected), rel=1e-10)


def test_against_the_other_library() -> None:
    """A third implementation of the bivariate t copula finds the same maximum."""
    r = t_panel(600, 5.0)
    ours, vine = fit_copula(r, method="ml", margins=False), fit_vine(r, ("student",))
    assert ours.loglik == pytest.approx(vine.loglik, abs=1e-5)
    rho, nu = (float(p) for p in str(vine.pairs["parameters"][0]).split(","))
    assert (float(ours.correlation.iloc[0, 1]), ours.nu) == pytest.approx((rho, nu), rel=1e-3)


@given(st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=20)
def test_free_numbers_and_matrices(n: int, seed: int) -> None:
    free = stream(seed, "free").standard_normal(n * (n - 1) // 2)
    R = correlation_of(free, n)
    assert float(np.linalg.eigvalsh(R)[0]) > 0.0 and (np.diag(R) == 1.0).all()
    np.testing.assert_allclose(partials_of(R), free, atol=1e-6)


def test_parameters_come_back() -> None:
    copula = fit_copula(t_panel(4000, 4.0, n=3), margins=False)
    assert copula.nu == pytest.approx(4.0, abs=3 * copula.nu_error) and copula.nu_error < 0.5
    off = copula.correlation.to_numpy()[np.triu_indices(3, 1)]
    np.testing.assert_allclose(off, 0.5, atol=0.05)
    normal = fit_copula(t_panel(2000, 1e6), margins=False)
    assert normal.status == "at_bound" or normal.nu > 25.0
    full = fit_copula(t_panel(1000, 4.0, n=3), method="ml", margins=False)
    part = fit_copula(t_panel(1000, 4.0, n=3), method="tau", margins=False)
    assert full.loglik >= part.loglik and full.status == "ok"
    full.check()


def test_simulation_gives_the_dependence_back() -> None:
    copula = fit_copula(t_panel(1500, 4.0), margins=True)
    u = copula.simulate(20_000, 3)
    assert kstest(u.iloc[:, 0], "uniform").pvalue > 0.01
    again = fit_copula(u - 0.5, margins=False)
    assert again.nu == pytest.approx(copula.nu, abs=0.5)
    assert float(again.correlation.iloc[0, 1]) == pytest.approx(
        float(copula.correlation.iloc[0, 1]), abs=0.02
    )
    measured = tail_dependence(u - 0.5, 0.005, replicates=20)
    assert float(measured.coefficient.iloc[0, 1]) == pytest.approx(
        float(copula.tail_dependence.iloc[0, 1]), abs=0.12
    )
    normal = fit_copula(t_panel(1500, 4.0), "normal", margins=False)
    assert normal.loglik < copula.loglik and float(normal.tail_dependence.iloc[0, 1]) == 0.0
    assert float(normal.simulate(20_000, 3).corr("spearman").iloc[0, 1]) == pytest.approx(
        6 / math.pi * math.asin(float(normal.correlation.iloc[0, 1]) / 2), abs=0.02
    )


def test_simulated_returns_have_the_tails_of_the_sample() -> None:
    r = t_panel(3000, 4.0)
    copula = fit_copula(r)
    simulated = copula.simulate_returns(200_000, 5)
    for p in (0.01, 0.2, 0.5, 0.99):
        assert float(simulated["A0"].quantile(p)) == pytest.approx(float(r["A0"].quantile(p)), abs=2.5e-3)
    assert float(simulated["A0"].min()) < float(r["A0"].min())  # beyond the sample
    scaled = copula.simulate_returns(100, 5, sigma=pd.Series({"A0": 2.0, "A1": 3.0}))
    np.testing.assert_array_equal(scaled, copula.simulate_returns(100, 5) * [2.0, 3.0])
    with pytest.raises(ParameterError, match="has no margins"):
        fit_copula(r, margins=False).simulate_returns(10)
    with pytest.raises(ParameterError, match="sigma is not positive"):
        copula.simulate_returns(10, sigma=pd.Series({"A0": 0.0, "A1": 1.0}))
    with pytest.raises(ParameterError, match="sigma lacks a label"):
        copula.simulate_returns(10, sigma=pd.Series({"A0": 1.0}))


def test_order_of_assets_does_not_matter() -> None:
    r = t_panel(500, 5.0, n=4)
    order = ["A2", "A0", "A3", "A1"]
    a, b = fit_copula(r), fit_copula(r[order])
    assert a.nu == pytest.approx(b.nu, rel=1e-6)  # the likelihood is flat to rounding there
    np.testing.assert_allclose(a.simulate(200, 1)[order], b.simulate(200, 1), atol=1e-7)


def test_margin_is_a_distribution() -> None:
    x = stream(3, "x").standard_t(4, 2000)
    margin = fit_margin(x)
    p = np.concatenate([[1e-7, 1e-4], np.linspace(0.001, 0.999, 999), [1 - 1e-4, 1 - 1e-7]])
    q = margin.quantile(p)
    assert (np.diff(q) > 0.0).all()
    np.testing.assert_allclose(margin.probability(q), p, rtol=1e-9)
    assert float(margin.quantile(0.999)) == pytest.approx(t.ppf(0.999, 4), rel=0.25)
    threshold = margin.upper.threshold
    edge = float(margin.probability(threshold))
    assert float(margin.probability(threshold * (1 + 1e-9))) == pytest.approx(edge, abs=1e-7)
    with pytest.raises(ParameterError, match="0 < u < 1"):
        margin.quantile([0.0])
    with pytest.raises(ParameterError, match=r"tail_share is 0\.5"):
        fit_margin(x, 0.5)


def test_vine_and_its_simulation() -> None:
    r = t_panel(800, 4.0, n=3)
    vine = fit_vine(r, ("indep", "student"))
    vine.check()
    u = vine.simulate(5000, 7)
    pd.testing.assert_frame_equal(u, vine.simulate(5000, 7))
    assert not u.equals(vine.simulate(5000, 8))
    np.testing.assert_allclose(u.corr("kendall"), r.corr("kendall"), atol=0.04)
    cut = fit_vine(r, ("indep", "student"), truncation=1)
    assert cut.pairs["family"].tolist()[-1] == "indep" and cut.loglik < vine.loglik
    assert "object at" not in repr(vine) and vine.plot().get_xlabel() == "tree"


def moving(rows: int, seed: int = 1) -> pd.DataFrame:
    """Simulated t residuals whose correlation swings between 0.1 and 0.8."""
    generator = stream(seed, "moving")
    z = generator.standard_normal((rows, 2))
    rho = 0.45 + 0.35 * np.sin(np.arange(rows) / 80.0)
    x = np.column_stack([z[:, 0], rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]])
    x /= np.sqrt(generator.chisquare(6.0, rows) / 6.0)[:, None]
    return pd.DataFrame(x * math.sqrt(4 / 6), columns=["A", "B"])


def test_dynamic_copula_follows_the_correlation() -> None:
    z = moving(1500)
    fitted = fit_dynamic_copula(z)
    fitted.check()
    truth = 0.45 + 0.35 * np.sin(np.arange(1500) / 80.0)
    assert float(np.corrcoef(fitted.path[100:-1, 0, 1], truth[100:])[0, 1]) > 0.75
    assert fitted.loglik > fitted.static_loglik + 30.0
    assert fitted.nu == pytest.approx(6.0, abs=2.5) and fitted.status == "ok"
    # known the day before: the last day changes the next matrix and none before it
    np.testing.assert_array_equal(fitted.path[-1], fitted.next_correlation)
    assert "object at" not in repr(fitted) and fitted.plot().get_ylabel() == "correlation"


def test_dynamic_likelihood_against_a_plain_loop() -> None:
    z = moving(300)
    fitted = fit_dynamic_copula(z)
    u = pseudo_observations(z).to_numpy()
    raw = t.ppf(u, fitted.nu)
    x = raw * math.sqrt((fitted.nu - 2) / fitted.nu)
    S = fitted.target.to_numpy()
    Q, total = S.copy(), 0.0
    for row, own in zip(x, raw, strict=True):
        R = Q / np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
        total += copula_loglik(own[None, :], R, fitted.nu)
        Q = (1 - fitted.a - fitted.b) * S + fitted.a * np.outer(row, row) + fitted.b * Q
    assert fitted.loglik == pytest.approx(total, abs=1e-6)
    np.testing.assert_allclose(
        fitted.next_correlation, Q / np.sqrt(np.outer(np.diag(Q), np.diag(Q))), atol=1e-10
    )


def test_display_of_the_copula() -> None:
    copula = fit_copula(t_panel(300, 5.0), margins=False)
    assert "t copula, nu" in str(copula.summary().index.name) and "object at" not in repr(copula)
    assert copula.plot().get_title() == "t copula, simulated"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda r: fit_copula(r, "clayton"), ParameterError, "family is 'clayton'"),
        (lambda r: fit_copula(r, method="mle"), ParameterError, "method 'mle'"),
        (lambda r: fit_copula(r.iloc[:50]), DataGapError, "50 rows"),
        (lambda r: fit_copula(r.assign(C=-2 * r["A0"])), ParameterError, "'A0', 'C' are perfectly collinear"),
        (
            lambda r: fit_copula(t_panel(200, 5.0, n=7), method="ml"),
            ParameterError,
            "7 assets with method 'ml'",
        ),
        (lambda r: fit_copula(r).simulate(0), ParameterError, "n is 0"),
        (lambda r: fit_copula(r.where(r < 0.01)), ParameterError, "not finite"),
        (lambda r: pseudo_observations(r.to_numpy()), SchemaError, "no frame"),
        (lambda r: fit_vine(r, ("student", "bb9")), ParameterError, "families are student, bb9"),
        (lambda r: fit_vine(r, truncation=0), ParameterError, "truncation is 0"),
        (lambda r: fit_vine(r, ("gaussian",)).simulate(-1), ParameterError, "n is -1"),
        (lambda r: fit_dynamic_copula(r.iloc[:200]), DataGapError, "200 rows"),
        (lambda r: fit_dynamic_copula(r[["A0"]]), SchemaError, "at least 2 column"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(t_panel(300, 5.0))


def test_without_the_vine_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvinecopulib", None)
    with pytest.raises(
        OptionalDependencyError, match=r'pyvinecopulib is not.*pip install "pmkit\[estimation\]"'
    ):
        fit_vine(t_panel(200, 5.0))
