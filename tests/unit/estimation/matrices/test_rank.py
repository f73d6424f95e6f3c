"""Rank, Gerber and minimum-determinant correlations: figures, outliers, variants, repair, bad input."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.estimation import gerber_correlation, mcd_covariance, rank_correlation

#: large days of the two never coincide
SPIKES = pd.DataFrame({"A": [0.1] + [0.0] * 20, "B": [0.0] * 20 + [0.1]})


@pytest.fixture(scope="module")
def banks(extra_data: Path) -> pd.DataFrame:
    """JPM, BAC and MSFT, log returns of 2019."""
    prices = pd.read_csv(extra_data.parent / "embed" / "sp500_dataset.csv.gz", index_col=0, parse_dates=True)
    return np.log(prices).diff().loc["2019", ["JPM", "BAC", "MSFT"]]


def pairs(rho: float, rows: int, seed: int = 1) -> pd.DataFrame:
    """Simulated normal returns of correlation ``rho``."""
    z = stream(seed, "pairs").standard_normal((rows, 2))
    return pd.DataFrame({"A": 0.01 * z[:, 0], "B": 0.02 * (rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1])})


@pytest.mark.extra_data
def test_figures_of_two_banks(banks: pd.DataFrame) -> None:
    def of(estimate: Any) -> float:
        return float(estimate.correlation.loc["JPM", "BAC"])

    assert of(rank_correlation(banks, "kendall", scale="rank")) == pytest.approx(0.668438, abs=5e-7)
    assert of(rank_correlation(banks, "kendall")) == pytest.approx(0.867413, abs=5e-7)
    assert of(rank_correlation(banks, "spearman", scale="rank")) == pytest.approx(0.839345, abs=5e-7)
    two = banks[["JPM", "BAC"]]
    assert of(gerber_correlation(two, variant="ratio")) == pytest.approx(0.97979798, abs=5e-9)
    assert of(gerber_correlation(two, variant="active")) == pytest.approx(0.58433735, abs=5e-9)
    assert of(gerber_correlation(two, variant="cosine")) == pytest.approx(0.73220582, abs=5e-9)


def test_gerber_against_counting() -> None:
    r = pairs(0.5, 300)
    limit = 0.5 * r.to_numpy().std(axis=0)
    together = against = quiet = both = 0
    for a, b in r.to_numpy():
        x = int(a >= limit[0]) - int(a <= -limit[0])
        y = int(b >= limit[1]) - int(b <= -limit[1])
        together += x * y > 0
        against += x * y < 0
        quiet += x == 0 and y == 0
        both += x != 0 and y != 0
    score = together - against
    assert gerber_correlation(r).correlation.loc["A", "B"] == score / (300 - quiet)
    assert gerber_correlation(r, variant="ratio").correlation.loc["A", "B"] == score / both
    # threshold 0: every day is large, the three totals agree
    same = {
        v: float(gerber_correlation(r, 0.0, variant=v).correlation.loc["A", "B"])  # type: ignore[arg-type]
        for v in ("active", "ratio", "cosine")
    }
    assert len(set(same.values())) == 1


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.8])
def test_normal_returns_give_their_correlation(rho: float) -> None:
    r = pairs(rho, 5_000)
    for method in ("kendall", "spearman"):
        estimate = rank_correlation(r, method)  # type: ignore[arg-type]
        assert float(estimate.correlation.loc["A", "B"]) == pytest.approx(rho, abs=0.03)
    assert float(mcd_covariance(r).correlation.loc["A", "B"]) == pytest.approx(rho, abs=0.06)


def test_outliers_move_the_sample_and_not_the_robust_ones() -> None:
    r = pairs(0.7, 600)
    dirty = r.copy()
    dirty.iloc[:20] = [0.15, -0.3]
    assert float(dirty.corr().loc["A", "B"]) < -0.3
    assert float(rank_correlation(dirty).correlation.loc["A", "B"]) > 0.5
    assert float(gerber_correlation(dirty).correlation.loc["A", "B"]) > 0.1
    clean = mcd_covariance(dirty)
    assert float(clean.correlation.loc["A", "B"]) == pytest.approx(0.7, abs=0.06)
    assert clean.details["days left out"] >= 20.0
    clean.check()


def test_mcd_is_equivariant_and_repeatable() -> None:
    r = pairs(0.4, 300)
    base = mcd_covariance(r).covariance.to_numpy()
    np.testing.assert_array_equal(base, mcd_covariance(r).covariance)
    scaled = mcd_covariance(r * [3.0, 0.5]).covariance.to_numpy()
    np.testing.assert_allclose(scaled, base * np.outer([3.0, 0.5], [3.0, 0.5]), rtol=1e-9)


def test_increasing_maps_do_not_change_ranks() -> None:
    r = pairs(0.5, 400)
    bent = pd.DataFrame({"A": np.sinh(60 * r["A"]) / 60, "B": r["B"] ** 3})
    for method in ("kendall", "spearman"):
        np.testing.assert_allclose(
            rank_correlation(bent, method).correlation,  # type: ignore[arg-type]
            rank_correlation(r, method).correlation,  # type: ignore[arg-type]
            atol=1e-12,
        )


def test_an_indefinite_matrix_is_repaired_and_said() -> None:
    z = stream(7, "thirteen").standard_normal((13, 9))
    r = pd.DataFrame(0.01 * z)
    estimate = rank_correlation(r)
    assert estimate.status == "repaired" and estimate.repair is not None and len(estimate.repair.moved) > 0
    estimate.check()
    with pytest.raises(
        ParameterError, match=r"kendall \(sin\(pi tau/2\)\) matrix has a smallest eigenvalue of -"
    ):
        rank_correlation(r, repair=False)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda r: rank_correlation(r, "pearson"), ParameterError, "method is 'pearson'"),
        (lambda r: rank_correlation(r, scale="linear"), ParameterError, "scale 'linear'"),
        (lambda r: gerber_correlation(r, -0.1), ParameterError, "threshold is -0.1"),
        (lambda r: gerber_correlation(r, 9.0), ParameterError, "reaches 9 standard deviations"),
        (lambda r: gerber_correlation(r, variant="psd"), ParameterError, "variant is 'psd'"),
        (
            lambda r: gerber_correlation(SPIKES, 2.0, variant="ratio"),
            ParameterError,
            "never large on one day",
        ),
        (lambda r: mcd_covariance(r, 0.4), ParameterError, "support is 0.4"),
        (lambda r: mcd_covariance(r.iloc[:15]), DataGapError, "15 rows"),
        (
            lambda r: mcd_covariance(r.assign(C=r["A"] * 2)),
            ParameterError,
            "'A', 'C' are perfectly collinear",
        ),
        (lambda r: mcd_covariance(r.assign(C=r["A"].where(r.index > 80, 0.0))), ParameterError, "are equal"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(pairs(-0.9, 120, seed=3))
