"""Recursions without bounds: what runs away says so; odd types are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ParameterError, SchemaError, ThinTailWarning
from pmkit.core.random import stream
from pmkit.estimation import ArchVolatility, VolatilityModel, fit_volatility
from pmkit.estimation.univariate.arch_fit import decimal_covariance
from pmkit.estimation.univariate.volatility_forecast import simulated_forecast


@pytest.fixture(scope="module")
def doge(root: Path) -> pd.Series:
    frame = pd.read_csv(root / "data" / "crypto_daily_close_2020_2023.csv.gz", index_col=0, parse_dates=True)
    return np.log(frame["DOGE-USD"]).diff().dropna()


@pytest.fixture(scope="module")
def early(doge: pd.Series) -> ArchVolatility:
    """Fitted to the first 250 days, before the rise of 2021."""
    fit = fit_volatility(doge.iloc[:250], "egarch", "t", covariance=False)
    assert isinstance(fit, ArchVolatility)
    return fit


def test_a_filter_that_runs_away_is_flagged(early: ArchVolatility, doge: pd.Series) -> None:
    """The log variance adds up the large moves of January 2021: volatilities of hundreds a day."""
    assert early.status == "ok" and not any("runs away" in flag for flag in early.flags)
    later = early.filter(doge)
    assert float(later.sigma.max()) > 100.0 * float(doge.abs().max())
    assert any("recursion of egarch runs away" in flag and "gjr" in flag for flag in later.flags)
    calm = early.filter(doge.iloc[:260])
    assert not any("runs away" in flag for flag in calm.flags)


def test_a_fit_that_runs_away_has_not_converged(doge: pd.Series) -> None:
    """The optimiser reports success with a volatility of 11 times the largest move."""
    fit = fit_volatility(doge.iloc[220:470], "egarch", "t", covariance=False)
    assert fit.status == "not_converged" and "runs away" in fit.flags[0]


def test_a_forecast_that_runs_away_warns(doge: pd.Series) -> None:
    fit = fit_volatility(doge, "egarch", "t", covariance=False)
    with pytest.warns(ThinTailWarning, match="forecast of egarch runs away: 2 of 10 bars ahead"):
        ahead = fit.forecast(10)
    assert "read medians" in ahead.notes[-1] and ahead.error[-1] > 0.05 * ahead.sigma[-1]
    wild = fit.params.copy()
    wild["alpha"] = 60.0
    assert isinstance(fit, ArchVolatility)
    with pytest.raises(ParameterError, match="variances of egarch overflow 2 bars ahead"):
        replace(fit, params=wild).forecast(30)


def test_a_steady_simulation_is_silent() -> None:
    paths = 1e-4 * stream(1, "paths").chisquare(8.0, (2000, 5)) / 8.0
    ahead = simulated_forecast(paths, 365.0, ("a flag",), "tarch")
    np.testing.assert_allclose(ahead.sigma, np.sqrt(paths.mean(axis=0)), rtol=1e-12)
    np.testing.assert_allclose(
        ahead.error, paths.std(axis=0) / math.sqrt(2000) / (2.0 * ahead.sigma), rtol=1e-10
    )
    assert ahead.notes == ("a flag",)


class _Singular:
    """A result of the library whose Hessian is exactly singular."""

    @property
    def param_cov(self) -> Any:
        raise np.linalg.LinAlgError("Singular matrix")


def test_a_singular_hessian_gives_no_errors_and_no_traceback() -> None:
    assert decimal_covariance(_Singular(), ["mu", "omega", "beta"], "egarch").isna().all(axis=None)


def series(rows: int = 300) -> pd.Series:
    return pd.Series(0.01 * stream(1, "r").standard_normal(rows), pd.date_range("2022-01-01", periods=rows))


@pytest.mark.parametrize(
    ("change", "options", "error", "text"),
    [
        (lambda r: r.astype(complex), {}, SchemaError, "type complex128"),
        (lambda r: r > 0.0, {}, SchemaError, "type bool"),
        (lambda r: pd.Series(r.index, r.index), {}, SchemaError, "type datetime64"),
        (lambda r: 0.01 + 1e-16 * r, {}, ParameterError, "all 300 returns equal 0.01"),
        (lambda r: r, {"backcast": "x"}, ParameterError, "backcast is 'x'"),
        (lambda r: r, {"backcast": True}, ParameterError, "backcast is True"),
        (lambda r: r, {"annualisation": "365"}, ParameterError, "annualisation is '365'"),
    ],
)
def test_odd_types_are_refused(
    change: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        fit_volatility(change(series()), "garch", "normal", engine="newton", **options)


def test_a_filter_refuses_percent_but_takes_one_crash() -> None:
    known = {"omega": 1e-6, "alpha": 0.05, "beta": 0.9}
    model = VolatilityModel.from_parameters(known, series(), "garch", "normal")
    with pytest.raises(ParameterError, match="look like percent"):
        model.filter(100.0 * series())
    crash = pd.Series([-0.46], [pd.Timestamp("2022-11-01")])
    assert model.filter(crash).next_sigma > 0.1
    with pytest.raises(ParameterError, match="draws are a str"):
        model.simulate("x")  # type: ignore[arg-type]


def test_a_fit_that_arch_left_outside_its_constraints_can_be_filtered() -> None:
    """alpha + gamma comes out of arch as -2.8e-7: put right, with the likelihood of what is given back."""
    rng = stream(10, "short")
    z = rng.standard_t(5, (3, 150))[2] * math.sqrt(3 / 5)  # the third draw of the stream
    y, h = np.empty(150), 1e-4
    for t in range(150):
        y[t] = math.sqrt(h) * z[t]
        h = 5e-6 + (0.05 + 0.1 * (y[t] < 0)) * y[t] ** 2 + 0.85 * h
    fit = fit_volatility(pd.Series(y), "gjr", "normal", mean="zero", covariance=False)
    assert fit.status == "at_bound" and fit.params["alpha"] + fit.params["gamma"] == 0.0
    again = fit.filter(fit.returns)
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    np.testing.assert_array_equal(again.sigma, fit.sigma)
