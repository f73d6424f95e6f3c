"""Shrunk covariances: published figures, independent formulas, better than the sample, and bad input."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, OptionalDependencyError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import shrink_covariance
from pmkit.estimation.matrices.shrinkage import nonlinear
from pmkit.estimation.panel import sample_covariance


@pytest.fixture(scope="module")
def stocks(extra_data: Path) -> pd.DataFrame:
    """Twenty US stocks, log returns of 2019."""
    prices = pd.read_csv(extra_data.parent / "embed" / "sp500_dataset.csv.gz", index_col=0, parse_dates=True)
    return np.log(prices).diff().loc["2019"]


def normal_panel(seed: int, rows: int, n: int) -> pd.DataFrame:
    """Simulated normal returns with volatilities from 1 to 3 % and one common factor."""
    z = stream(seed, "panel").standard_normal((rows, n + 1))
    return pd.DataFrame(np.linspace(0.01, 0.03, n) * (0.6 * z[:, :1] + 0.8 * z[:, 1:]))


@pytest.mark.extra_data
def test_figures_of_the_twenty_stocks(stocks: pd.DataFrame) -> None:
    assert stocks.shape == (252, 20)
    identity = shrink_covariance(stocks, "identity")
    assert identity.intensity == pytest.approx(0.04469037, abs=5e-9)
    assert identity.covariance.iloc[0, :2].to_numpy() * 1e4 == pytest.approx([2.756955, 2.604255], abs=5e-7)
    constant = shrink_covariance(stocks, "constant-correlation")
    assert constant.intensity == pytest.approx(0.24089437, abs=5e-9)
    assert constant.details["mean correlation"] == pytest.approx(0.26043973, abs=5e-9)
    for estimate in (identity, constant, shrink_covariance(stocks, "nonlinear")):
        estimate.check()
        sample = np.linalg.cond(stocks.cov().to_numpy())
        assert estimate.condition_number < sample


def test_constant_correlation_against_plain_sums() -> None:
    r = normal_panel(3, 80, 4)
    r[0] += 0.6 * r[1] - 0.4 * r[3]  # correlations far from equal
    x = (r - r.mean()).to_numpy()
    rows, n = x.shape
    S = x.T @ x / rows
    sd = np.sqrt(np.diag(S))
    mean = (np.sum(S / np.outer(sd, sd)) - n) / (n * (n - 1))
    F = mean * np.outer(sd, sd)
    np.fill_diagonal(F, np.diag(S))
    pi = rho = 0.0
    for i in range(n):
        for j in range(n):
            own = np.mean((x[:, i] * x[:, j] - S[i, j]) ** 2)
            pi += own
            if i == j:
                rho += own
                continue
            first = np.mean((x[:, i] ** 2 - S[i, i]) * (x[:, i] * x[:, j] - S[i, j]))
            second = np.mean((x[:, j] ** 2 - S[j, j]) * (x[:, i] * x[:, j] - S[i, j]))
            rho += 0.5 * mean * (sd[j] / sd[i] * first + sd[i] / sd[j] * second)
    intensity = max(0.0, min(1.0, (pi - rho) / np.sum((F - S) ** 2) / rows))
    estimate = shrink_covariance(r, "constant-correlation")
    assert 0.05 < intensity < 0.95
    assert estimate.intensity == pytest.approx(intensity, rel=1e-10)
    np.testing.assert_allclose(estimate.covariance, (1 - intensity) * S + intensity * F, rtol=1e-10)


def test_nonlinear_against_quadrature_of_the_hilbert_transform() -> None:
    lam, m = [0.5, 0.9, 1.4, 2.6], 40
    h, c, root5 = m ** (-1 / 3), 4 / 40, math.sqrt(5)

    def kernel(x: float) -> float:
        return max(0.75 / root5 * (1 - x * x / 5), 0.0)

    expected = []
    for i, l_i in enumerate(lam):
        f = sum(kernel((l_i - l_j) / (h * l_j)) / (h * l_j) for l_j in lam) / 4
        total = 0.0
        for l_j in lam:
            x = (l_i - l_j) / (h * l_j)
            # principal value of int k(t)/(t - x) dt / pi: subtract the pole where it lies inside
            if abs(x) < root5:
                smooth = mpmath.quad(
                    lambda t, x=x: (kernel(float(t)) - kernel(x)) / (t - x) if t != x else 0,
                    [-root5, x, root5],
                )
                value = smooth + kernel(x) * math.log((root5 - x) / (root5 + x))
            else:
                value = mpmath.quad(lambda t, x=x: kernel(float(t)) / (t - x), [-root5, root5])
            total += float(value) / math.pi / (h * l_j)
        hilbert = total / 4
        expected.append(l_i / ((math.pi * c * l_i * f) ** 2 + (1 - c - math.pi * c * l_i * hilbert) ** 2))
        assert i < 4
    got = np.diag(nonlinear(np.diag(lam), m))
    assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("target", ["identity", "constant-correlation", "nonlinear"])
def test_closer_to_the_truth_than_the_sample(target: Any) -> None:
    n, rows = 30, 45
    sd = np.linspace(0.01, 0.03, n)
    truth = np.outer(sd, sd) * (0.36 + 0.64 * np.eye(n))
    raw = shrunk = 0.0
    for seed in range(12):
        r = normal_panel(seed, rows, n)
        raw += np.linalg.norm(r.cov().to_numpy() - truth)
        shrunk += np.linalg.norm(shrink_covariance(r, target).covariance.to_numpy() - truth)
    assert shrunk < 0.97 * raw


def test_more_assets_than_rows_still_give_a_definite_matrix() -> None:
    r = normal_panel(5, 40, 60)
    for target in ("identity", "constant-correlation", "nonlinear"):
        estimate = shrink_covariance(r, target)
        estimate.check()
        assert float(np.linalg.eigvalsh(estimate.covariance)[0]) > 0.0


@given(st.integers(0, 1000), st.permutations(range(5)))
@settings(max_examples=10)
def test_order_and_unit_do_not_matter(seed: int, order: list[int]) -> None:
    r = normal_panel(seed, 60, 5)
    for target in ("identity", "constant-correlation", "nonlinear"):
        base = shrink_covariance(r, target).covariance
        turned = shrink_covariance(r[order], target).covariance
        np.testing.assert_allclose(turned, base.loc[order, order], rtol=1e-9, atol=1e-16)
        np.testing.assert_allclose(
            shrink_covariance(2.0 * r, target).covariance, 4.0 * base, rtol=1e-9, atol=1e-16
        )


def test_nonlinear_moves_eigenvalues_only() -> None:
    S = sample_covariance(normal_panel(2, 50, 6).to_numpy())
    shrunk = nonlinear(S, 49)
    np.testing.assert_allclose(shrunk @ S, S @ shrunk, atol=1e-14)
    before, after = np.linalg.eigvalsh(S), np.linalg.eigvalsh(shrunk)
    assert after[0] > before[0] and after[-1] < before[-1]


def test_display() -> None:
    estimate = shrink_covariance(normal_panel(1, 50, 3), "identity")
    assert "intensity" in str(estimate.summary().index.name)
    assert len(estimate.to_frame()) == 6 and estimate.cite() == ("ledoit2004a",)
    assert estimate.raise_if_bad() is estimate and "object at" not in repr(estimate)
    assert estimate.plot().get_title() == "correlation, Ledoit-Wolf identity"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda r: r.assign(**{"0": 0.01}), ParameterError, "all 60 returns of 0 equal 0.01"),
        (
            lambda r: r.assign(B=0.01 + 1e-12 * r[1]),
            ParameterError,
            "'B' have a standard deviation.*nearly const",
        ),
        (lambda r: r.where(r != r.iloc[3, 1]), ParameterError, "not finite"),
        (lambda r: r.replace(r.iloc[2, 0], np.inf), ParameterError, "not finite, first inf"),
        (lambda r: np.exp(r).cumprod() * 100, ParameterError, "look like prices"),
        (lambda r: r.iloc[:5], DataGapError, "5 rows of returns of 3 assets; expected at least 12"),
        (lambda r: r[[0]], SchemaError, "at least 2 column"),
        (lambda r: r[[0, 1, 1]], SchemaError, "column 1 is repeated"),
        (lambda r: r.iloc[::-1], SchemaError, "out of order"),
        (lambda r: r.to_numpy(), SchemaError, "returns are a ndarray"),
        (lambda r: r.assign(B="x"), SchemaError, "decimal numbers"),
    ],
)
def test_bad_panels(change: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        shrink_covariance(change(normal_panel(1, 60, 3)))


def test_bad_words_and_collinear_assets() -> None:
    r = normal_panel(1, 60, 3)
    with pytest.raises(ParameterError, match="target is 'single-index'"):
        shrink_covariance(r, "single-index")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="collinear asset"):
        shrink_covariance(r.assign(B=r[0] + r[1]), "nonlinear")
    shrink_covariance(r.assign(B=r[0] + r[1]), "identity").check()


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.covariance", None)
    with pytest.raises(OptionalDependencyError, match=r'sklearn is not.*pip install "pmkit\[estimation\]"'):
        shrink_covariance(normal_panel(1, 60, 3))
