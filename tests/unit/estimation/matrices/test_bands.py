"""Bands of correlations and correlations by regime: coverage, closed forms, no look-ahead, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.estimation import correlation_bands, regime_correlation, stress_correlation
from pmkit.market import load_history


def pairs(rho: float, rows: int, seed: int) -> pd.DataFrame:
    z = stream(seed, "pairs").standard_normal((rows, 2))
    return pd.DataFrame({"A": 0.01 * z[:, 0], "B": 0.01 * (rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1])})


def test_fisher_in_closed_form() -> None:
    r = pairs(0.6, 103, 1)
    bands = correlation_bands(r, 0.95, method="fisher")
    rho = float(r.corr().loc["A", "B"])
    half = 1.959963984540054 / 10.0
    assert float(bands.low.loc["A", "B"]) == pytest.approx(math.tanh(math.atanh(rho) - half), rel=1e-12)
    assert float(bands.high.loc["A", "B"]) == pytest.approx(math.tanh(math.atanh(rho) + half), rel=1e-12)
    assert (np.diag(bands.low) == 1.0).all() and (np.diag(bands.high) == 1.0).all()
    bands.check()


def test_effective_rows_of_a_decay() -> None:
    bands = correlation_bands(pairs(0.6, 2000, 1), method="fisher", decay=0.94)
    assert bands.effective_rows == pytest.approx(1.94 / 0.06, rel=1e-9)
    wide = float((bands.high - bands.low).loc["A", "B"])
    assert wide > 5 * float(
        (lambda b: b.high - b.low)(correlation_bands(pairs(0.6, 2000, 1), method="fisher")).loc["A", "B"]
    )


def test_nominal_intervals_cover_normal_returns() -> None:
    inside = {"fisher": 0, "bootstrap": 0}
    for seed in range(100):
        r = pairs(0.5, 120, seed)
        for method in inside:
            bands = correlation_bands(r, 0.9, method=method, replicates=100, mean_block=1.0, seed=seed)  # type: ignore[arg-type]
            inside[method] += float(bands.low.loc["A", "B"]) <= 0.5 <= float(bands.high.loc["A", "B"])
    # 90 % of 100 with a binomial standard deviation of 3
    assert 81 <= inside["fisher"] <= 98
    assert 79 <= inside["bootstrap"] <= 98


@pytest.mark.slow
def test_nominal_95_percent_covers_92_to_98() -> None:
    inside = {"fisher": 0, "bootstrap": 0}
    for seed in range(500):
        generator = stream(seed, "cover")
        z = generator.standard_normal((500, 2))
        x = 0.01 * np.column_stack([z[:, 0], 0.5 * z[:, 0] + math.sqrt(0.75) * z[:, 1]])
        heavy = x / np.sqrt(generator.chisquare(6.0, 500) / 6.0)[:, None]
        for method, sample in (("fisher", x), ("bootstrap", heavy)):
            bands = correlation_bands(
                pd.DataFrame(sample),
                method=method,  # type: ignore[arg-type]
                replicates=200,
                mean_block=1.0,
                seed=seed,
            )
            inside[method] += float(bands.low.loc[0, 1]) <= 0.5 <= float(bands.high.loc[0, 1])
    assert all(0.92 <= count / 500 <= 0.98 for count in inside.values()), inside


def test_real_coins_have_wider_bands_than_normal_theory() -> None:
    r = load_history("crypto-daily-2020-2023").returns(["BTC", "ETH"])
    fisher, block = (correlation_bands(r, method=m) for m in ("fisher", "bootstrap"))  # type: ignore[arg-type]
    assert float(fisher.correlation.loc["BTC", "ETH"]) == pytest.approx(0.836494, abs=1e-6)
    assert float(block.std_error.loc["BTC", "ETH"]) > 2.5 * float(fisher.std_error.loc["BTC", "ETH"])
    again = correlation_bands(r, method="bootstrap")
    np.testing.assert_array_equal(again.low, block.low)
    assert block.plot().get_title() == "95% bands, bootstrap" and "object at" not in repr(block)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"level": 1.0}, ParameterError, "level is 1.0"),
        ({"method": "normal"}, ParameterError, "method is 'normal'"),
        ({"decay": 1.0}, ParameterError, "decay is 1.0"),
        ({"replicates": 10}, ParameterError, "replicates is 10"),
        ({"decay": 0.5}, DataGapError, "3.0 effective rows"),
        ({"mean_block": 0.5}, ParameterError, "mean_block is 0.5"),
    ],
)
def test_bad_arguments_of_bands(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        correlation_bands(pairs(0.5, 100, 1), **options)


# -- regimes -------------------------------------------------------------------------------------------------
def two_regimes(rows: int, calm: float, wild: float, seed: int = 3) -> pd.DataFrame:
    """Simulated returns: blocks of 150 days, every fourth with three times the volatility."""
    z = stream(seed, "regimes").standard_normal((rows, 2))
    storm = (np.arange(rows) // 150) % 4 == 3
    rho = np.where(storm, wild, calm)
    scale = np.where(storm, 0.03, 0.01)
    return pd.DataFrame(
        {"A": scale * z[:, 0], "B": scale * (rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1])},
        index=pd.date_range("2000-01-01", periods=rows),
    )


def test_regimes_that_differ_are_told_apart() -> None:
    result = regime_correlation(two_regimes(4000, 0.2, 0.8), calm=0.6, stress=0.85)
    assert float(result.calm.loc["A", "B"]) == pytest.approx(0.2, abs=0.08)
    assert float(result.stress.loc["A", "B"]) == pytest.approx(0.8, abs=0.08)
    assert float(result.difference.loc["A", "B"]) > 5 * float(result.difference_error.loc["A", "B"])
    result.check()
    stressed = stress_correlation(result.every, target=result.stress, weight=0.5)
    middle = 0.5 * (result.every + result.stress).loc["A", "B"]
    assert float(stressed.matrix.loc["A", "B"]) == pytest.approx(float(middle), rel=1e-12)


def test_constant_correlation_shows_no_regime_unless_sorted_by_its_own_size() -> None:
    r = two_regimes(6000, 0.5, 0.5)
    fair = regime_correlation(r, replicates=60)
    assert abs(float(fair.difference.loc["A", "B"])) < 3 * float(fair.difference_error.loc["A", "B"])
    own_size = r.abs().mean(axis=1).rename("size")
    biased = regime_correlation(r, state=own_size, replicates=60)
    assert float(biased.difference.loc["A", "B"]) > 0.3


def test_the_state_knows_the_days_before_only() -> None:
    r = two_regimes(600, 0.3, 0.6)
    changed = r.copy()
    changed.iloc[400:] *= 5.0
    a, b = (regime_correlation(x, replicates=2).state for x in (r, changed))
    pd.testing.assert_series_equal(a.iloc[: 400 - 75 + 1], b.iloc[: 400 - 75 + 1])
    assert a.iloc[400 - 75 + 1] != b.iloc[400 - 75 + 1]


def test_display_of_regimes() -> None:
    result = regime_correlation(two_regimes(900, 0.2, 0.8), replicates=5)
    assert list(result.summary().columns) == [
        "row",
        "column",
        "calm",
        "all",
        "stress",
        "difference",
        "std_error",
    ]
    assert result.plot().get_xlabel() == "correlation"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"calm": 0.9, "stress": 0.5}, ParameterError, "0 < calm <= stress < 1"),
        ({"stress": 0.99}, DataGapError, "9 stressed days"),
        ({"replicates": 1}, ParameterError, "replicates is 1"),
        ({"state": pd.Series([1.0])}, ConventionError, "lacks dates of the returns"),
        (
            {"state": pd.Series(np.nan, pd.date_range("2000-01-01", periods=900))},
            ParameterError,
            "state holds NaN",
        ),
    ],
)
def test_bad_arguments_of_regimes(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        regime_correlation(two_regimes(900, 0.2, 0.8), **options)
