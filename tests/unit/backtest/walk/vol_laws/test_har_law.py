"""The autoregression of realised vol: least squares by another hand, and what is known when."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.backtest import HarVolLaw
from pmkit.backtest.walk.vol_laws.har_law import har_coefficients
from pmkit.core.errors import ParameterError
from pmkit.market import load_history

sm = pytest.importorskip("statsmodels.api")

PRIOR = np.array([0.35, 0.03, 0.12, 0.35])


def har_vol_path(history, *, underlyings=None, seed=20260801, **numbers):
    """Return the path of the law with some numbers of its own."""
    return HarVolLaw(**numbers).path(history, underlyings=underlyings, seed=seed)


@pytest.fixture(scope="module")
def crypto():
    return load_history("crypto-daily-2020-2023").select(["BTC"])


def realised(returns, end, dates):
    """Return annualised realised vol of the returns that end at a date, by its definition."""
    return math.sqrt(365.0 * sum(r * r for r in returns[end - dates : end]) / dates)


@pytest.mark.parametrize(("day", "tenor"), [(600, 30), (1460, 30), (900, 7)])
def test_coefficients_are_those_of_plain_least_squares_on_what_is_known(crypto, day, tenor):
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    rows = [s for s in range(22, day - tenor + 1)]
    x = np.array([[1.0, *(realised(returns, s, n) for n in (1, 5, 22))] for s in rows])
    y = np.array([realised(returns, s + tenor, tenor) for s in rows])
    padded = np.concatenate([np.full(22, 0.49), 365.0 * returns**2])
    plain = har_coefficients(padded, tenor, PRIOR, 0.7, 1e-9)[day]
    np.testing.assert_allclose(plain, sm.OLS(y, x).fit().params, rtol=1e-6)
    # the prior as four more rows of data
    root = math.sqrt(250.0) * np.diag([1.0, 0.7, 0.7, 0.7])
    stacked = sm.OLS(np.concatenate([y, root @ PRIOR]), np.vstack([x, root])).fit().params
    shrunk = har_coefficients(padded, tenor, PRIOR, 0.7, 250.0)
    np.testing.assert_allclose(shrunk[day], stacked, rtol=1e-9)
    np.testing.assert_allclose(shrunk[: 22 + tenor], np.tile(PRIOR, (22 + tenor, 1)), rtol=1e-12)


def test_the_path_is_premium_times_forecast(crypto):
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    vols = har_vol_path(crypto, premium=1.3, premium_sd=0.0).frame["BTC"].to_numpy()
    padded = np.concatenate([np.full(22, 0.49), 365.0 * returns**2])
    b = har_coefficients(padded, 30, PRIOR, 0.7, 250.0)
    for day in (300, 1200):
        forecast = b[day] @ np.array([1.0, *(realised(returns, day, n) for n in (1, 5, 22))])
        assert vols[day] == pytest.approx(1.3 * forecast, rel=1e-10)
    assert vols[0] == pytest.approx(1.3 * 0.7, rel=1e-12)


def test_the_premium_moves_by_its_own_law(crypto):
    still, moving = (
        np.log(har_vol_path(crypto, premium_sd=sd, premium_persistence=0.9).frame["BTC"])
        for sd in (0.0, 0.05)
    )
    x = (moving - still).to_numpy()
    shocks = x[1:] - 0.9 * x[:-1]
    assert x[0] == 0.0
    assert shocks.std() == pytest.approx(0.05, rel=0.06)
    assert abs(np.corrcoef(shocks[1:], shocks[:-1])[0, 1]) < 0.08


def test_the_forecast_is_not_let_below_the_calmest_month_so_far(crypto):
    """A prior that turns a large move into less vol would go below zero on 19 May 2021."""
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    stubborn = {"prior_slopes": (-1.0, 0.5, 0.5), "prior_rows": 1e9}
    vols = har_vol_path(crypto, premium=1.0, premium_sd=0.0, **stubborn).frame["BTC"]
    day = vols.index.get_loc("2021-05-19")
    lowest = min(realised(returns, s + 30, 30) for s in range(22, day - 29))
    assert vols.iloc[day] == pytest.approx(min(lowest, 0.7), rel=1e-12)
    assert 0.1 < lowest < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"premium_sd": 1.0}, "premium_sd is 1.0"),
        ({"premium_persistence": -0.1}, "premium_persistence is -0.1"),
        ({"prior_rows": 0.0}, "prior_rows is 0.0"),
        ({"prior_slopes": (0.5, 0.4, 0.3)}, "prior_slopes are"),
        ({"prior_slopes": (0.5, 0.4)}, "three numbers"),
    ],
)
def test_parameters_that_are_refused(crypto, arguments, message):
    with pytest.raises(ParameterError, match=message):
        har_vol_path(crypto, **arguments)
