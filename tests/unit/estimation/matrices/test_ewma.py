"""Exponentially weighted covariance: a plain twin, no look into the future, and bad input."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import VolatilityModel, ewma_covariance


@pytest.fixture(scope="module")
def coins(root: Path) -> pd.DataFrame:
    frame = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    return np.log(frame[["BTC-USD", "ETH-USD"]]).diff().dropna()


@pytest.fixture(scope="module")
def noise() -> pd.DataFrame:
    draws = 0.02 * stream(5, "ewma").standard_normal((120, 3))
    return pd.DataFrame(draws, index=pd.date_range("2022-01-01", periods=120), columns=list("abc"))


def test_against_a_plain_twin(coins: pd.DataFrame) -> None:
    r = coins.to_numpy()
    S = r[:250].T @ r[:250] / 250
    for row in r[250:]:
        S = 0.94 * S + 0.06 * np.outer(row, row)
    fit = ewma_covariance(coins, 0.94, start=250)
    assert fit.covariance.to_numpy() == pytest.approx(S, rel=1e-12)
    root = np.sqrt(np.diag(S))
    assert fit.correlation.to_numpy() == pytest.approx(S / np.outer(root, root), rel=1e-12)
    assert fit.sigma.to_numpy() == pytest.approx(root)
    assert 0.5 < fit.correlation.iloc[0, 1] < 1.0
    fit.check()


def test_weights_add_up_in_closed_form(noise: pd.DataFrame) -> None:
    """The recursion is a weighted sum: (1-d) d^k of the k-th last row, and the rest on the start."""
    r, start = noise.to_numpy(), np.diag([1e-4, 2e-4, 3e-4])
    weights = 0.03 * 0.97 ** np.arange(len(r))[::-1]
    expected = np.einsum("t,ti,tj->ij", weights, r, r) + 0.97 ** len(r) * start
    fit = ewma_covariance(noise, 0.97, start=start)
    assert fit.covariance.to_numpy() == pytest.approx(expected, rel=1e-12)
    assert fit.start_rows == 0 and start[0, 0] == 1e-4


def test_one_asset_is_the_volatility_recursion(noise: pd.DataFrame) -> None:
    known = {"omega": 0.0, "alpha": 0.06, "beta": 0.94}
    model = VolatilityModel.from_parameters(known, noise["a"], "ewma", "normal", backcast=2e-4)
    fit = ewma_covariance(noise[["a"]], 0.94, start=np.array([[2e-4]]))
    assert float(fit.sigma["a"]) == pytest.approx(model.next_sigma, rel=1e-12)


def test_path_knows_the_past_only(noise: pd.DataFrame) -> None:
    full = ewma_covariance(noise, start=30, keep_path=True)
    later = noise.copy()
    later.iloc[80:] *= 3.0
    other = ewma_covariance(later, start=30, keep_path=True)
    assert full.path is not None and other.path is not None
    assert full.path.shape == (121, 3, 3) and np.isnan(full.path[:30]).all()
    assert np.array_equal(full.path[30:81], other.path[30:81])
    assert not np.array_equal(full.path[81], other.path[81])
    assert np.array_equal(full.path[-1], full.covariance.to_numpy())
    cut = ewma_covariance(noise.iloc[:80], start=30)
    assert np.array_equal(full.path[80], cut.covariance.to_numpy()) and cut.path is None


def test_order_of_assets_does_not_matter(noise: pd.DataFrame) -> None:
    turned = ewma_covariance(noise[["c", "a", "b"]]).covariance
    plain = ewma_covariance(noise).covariance
    assert turned.loc[list("abc"), list("abc")].equals(plain)
    assert np.linalg.eigvalsh(plain)[0] > 0.0


def test_bands_and_display(noise: pd.DataFrame) -> None:
    fit = ewma_covariance(noise)
    assert fit.effective_rows == pytest.approx(1.94 / 0.06)
    rho = fit.correlation.loc["a", "b"]
    assert fit.correlation_error.loc["a", "b"] == pytest.approx((1 - rho**2) / math.sqrt(1.94 / 0.06))
    assert len(fit.to_frame()) == 6 and json.dumps(fit.to_dict())
    assert "EWMA 0.94, 120 returns" in repr(fit)
    assert "decay 0.94" in fit.plot().get_title()
    with pytest.raises(PmkitError, match="do not give the covariance"):
        replace(fit, covariance=2.0 * fit.covariance, correlation=0.5 * fit.correlation).check()


def test_collinear_assets_show_a_zero_eigenvalue(noise: pd.DataFrame) -> None:
    fit = ewma_covariance(noise.assign(d=2.0 * noise["a"]))
    assert fit.smallest_eigenvalue == pytest.approx(0.0, abs=1e-12)
    assert fit.correlation.loc["a", "d"] == pytest.approx(1.0)


def test_asset_that_stopped_moving(noise: pd.DataFrame) -> None:
    still = noise.copy()
    still.loc[still.index[1:], "b"] = 0.0
    with pytest.raises(ParameterError, match="covariance of 'b' vanished"):
        ewma_covariance(still, 1e-3, start=1)


def test_bad_returns(noise: pd.DataFrame) -> None:
    cases: list[tuple[Any, type[PmkitError], str]] = [
        (noise["a"], SchemaError, "one column an asset"),
        (noise[[]], SchemaError, r"shape \(120, 0\)"),
        (noise.set_axis(["a", "a", "b"], axis=1), SchemaError, "column 'a' is repeated"),
        (noise.iloc[:20], DataGapError, "20 rows of returns; expected at least 75"),
        (noise.iloc[::-1], SchemaError, "out of order"),
        (noise.assign(b=np.where(np.arange(120) == 7, np.nan, 0.01)), ParameterError, "of b not finite"),
        (noise.assign(b=np.inf), ParameterError, "of b not finite"),
        (noise.assign(b=0.01), ParameterError, "returns of b equal 0.01"),
        (noise.assign(b=100.0 + noise["b"]), ParameterError, "look like prices"),
        (noise.assign(b="x"), SchemaError, "returns have type"),
    ]
    for returns, error, message in cases:
        with pytest.raises(error, match=message):
            ewma_covariance(returns)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"decay": 1.0}, ParameterError, "decay is 1.0"),
        ({"decay": math.nan}, ParameterError, "decay is nan"),
        ({"start": 0}, ParameterError, "start is 0"),
        ({"start": 500}, DataGapError, "at least 500"),
        ({"start": np.eye(2)}, SchemaError, "start has 2 rows"),
        ({"start": np.ones((2, 3))}, SchemaError, "start has shape"),
        ({"start": pd.DataFrame(np.eye(3), list("abd"), list("abd"))}, SchemaError, "reindex the start"),
        (
            {"start": np.eye(3) - 0.9 * (1 - np.eye(3))},
            ParameterError,
            "eigenvalue of start is -0.8",
        ),
        ({"start": np.zeros((3, 3))}, ParameterError, "smallest variance 0"),
        ({"start": np.full((3, 3), np.nan)}, ParameterError, "entries of start not finite"),
    ],
)
def test_bad_arguments(noise: pd.DataFrame, given: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ewma_covariance(noise, **given)
