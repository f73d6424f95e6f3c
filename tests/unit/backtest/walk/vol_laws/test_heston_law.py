"""Heston's law: variance against his characteristic function, skew against prices, the filter by hand."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from pmkit.backtest import HestonVolLaw, heston_expected_variance, heston_log_skew
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.market import load_history


def heston_vol_path(history, *, underlyings=None, seed=20260801, **numbers):
    """Return the path of the law with some numbers of its own."""
    return HestonVolLaw(**numbers).path(history, underlyings=underlyings, seed=seed)


@pytest.fixture(scope="module")
def crypto():
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


def log_characteristic(u, v, theta, kappa, xi, rho, t):
    """Return ln E exp(iu ln S_t/F) of Heston's model, in the form without branch cuts."""
    b = kappa - rho * xi * 1j * u
    d = mp.sqrt(b * b + xi * xi * (1j * u + u * u))
    g = (b - d) / (b + d)
    e = mp.exp(-d * t)
    return kappa * theta / xi**2 * ((b - d) * t - 2 * mp.log((1 - g * e) / (1 - g))) + v / xi**2 * (b - d) * (
        1 - e
    ) / (1 - g * e)


@pytest.mark.parametrize(
    ("v", "theta", "kappa", "days", "golden"),
    [(0.64, 0.36, 5.0, 30, 0.589599673), (0.09, 0.49, 2.0, 365, 0.317067057), (0.5, 0.5, 1.0, 90, 0.5)],
)
def test_integrated_variance_is_that_of_the_characteristic_function(v, theta, kappa, days, golden):
    """Expected variance over t = -2 E ln(S_t/F) = 2i d/du ln phi at 0, whatever vol-of-vol and leverage."""
    t = days / 365
    found = float(heston_expected_variance(v, theta, kappa, t))
    assert found == pytest.approx(golden, abs=2e-9)
    with mp.workdps(40):
        slope = mp.diff(
            lambda u: log_characteristic(u, v, theta, kappa, 1.2, -0.4, mp.mpf(t)), mp.mpf("1e-12")
        )
    assert found * t == pytest.approx(float(mp.re(2j * slope)), rel=1e-9)


def test_integrated_variance_goes_from_now_to_the_level():
    v = np.array([0.2, 0.5, 0.9])
    assert np.allclose(heston_expected_variance(v, 0.5, 5.0, 1e-9), v, rtol=1e-8)
    assert np.allclose(heston_expected_variance(v, 0.5, 5.0, 1e5), 0.5, rtol=1e-5)
    spans = np.array([heston_expected_variance(v, 0.5, 5.0, t) for t in (0.02, 0.1, 0.5, 2.0)])
    assert (np.diff(np.abs(spans - 0.5), axis=0)[:, [0, 2]] < 0.0).all()


@pytest.mark.parametrize(("v", "theta"), [(0.49, 0.49), (0.81, 0.36), (0.25, 0.49)])
@pytest.mark.parametrize("xi", [0.3, 1.5])
def test_the_slope_is_that_of_heston_prices(v, theta, xi):
    """QuantLib's engine, slope by central difference; first order in vol-of-vol, so close and not equal."""
    ql = pytest.importorskip("QuantLib")
    rho, kappa, days = -0.3, 5.0, 30
    today = ql.Date(1, 1, 2021)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, count))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
    process = ql.HestonProcess(flat, flat, spot, v, kappa, theta, xi, rho)
    surface = ql.HestonBlackVolSurface(ql.HestonModelHandle(ql.HestonModel(process)))
    up, down = (surface.blackVol(days / 365, math.exp(k)) for k in (0.01, -0.01))
    slope = (math.log(up) - math.log(down)) / 0.02
    found = float(heston_log_skew(v, theta, kappa, xi, rho, days / 365))
    assert found == pytest.approx(slope, rel=0.03 if xi == 0.3 else 0.25)
    assert found < 0.0 < float(heston_log_skew(v, theta, kappa, xi, -rho, days / 365))


def test_the_filter_follows_its_formula(crypto):
    """A plain twin from the formulas of the docstring, drawn noise included."""
    path = heston_vol_path(crypto, underlyings=["BTC"], seed=5)
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    days = returns.size + 1
    draw = math.sqrt(0.7) * stream(5, "Heston law", "common").standard_normal(days)
    draw += math.sqrt(0.3) * stream(5, "Heston law", "BTC").standard_normal(days)
    v = theta = total = 0.49
    total *= 365
    expected = []
    for t in range(days):
        if t:
            z = max(-4.0, min(4.0, returns[t - 1] / math.sqrt(v / 365)))
            own = 0.8 * (z * z - 1) / math.sqrt(2) + 0.6 * draw[t]
            shock = -0.3 * z + math.sqrt(0.91) * own
            v = v + 5.0 * (theta - v) / 365 + 1.5 * math.sqrt(v / 365) * shock
            total += 365 * returns[t - 1] ** 2
            theta = total / (365 + t)
            v = max(v, 0.01 * theta)
        x = 5.0 * 30 / 365
        expected.append(1.1 * math.sqrt(theta + (v - theta) * (1 - math.exp(-x)) / x))
    np.testing.assert_allclose(path.frame["BTC"], expected, rtol=1e-10)


def test_the_filter_finds_the_variance_of_a_heston_market():
    """Prices from the model itself: with told = 1 the filtered vol goes with the true one."""
    import pandas as pd

    from pmkit.market import PriceHistory

    days, kappa, theta, xi, rho = 3000, 5.0, 0.49, 1.5, -0.3
    one, two = stream(2, "market").standard_normal((2, days))
    v, true, moves = theta, [], []
    for a, b in zip(one, two, strict=True):
        moves.append(math.sqrt(v / 365) * a)
        v += kappa * (theta - v) / 365 + xi * math.sqrt(v / 365) * (rho * a + math.sqrt(1 - rho**2) * b)
        v = max(v, 1e-3)
        true.append(v)
    dates = pd.date_range("2015-01-01", periods=days + 1)
    prices = pd.DataFrame({"X": 100 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))}, index=dates)
    history = PriceHistory.from_frame(prices, simulated=True)
    found = heston_vol_path(history, premium=1.0, told=1.0, tenor_days=1.0).frame["X"].to_numpy()[500:]
    actual = np.sqrt(true)[499:]
    assert np.corrcoef(found, actual)[0, 1] > 0.65
    assert found.mean() == pytest.approx(actual.mean(), rel=0.06)


def test_leverage_has_its_sign_and_noise_its_share(crypto):
    returns = crypto.returns("BTC")["BTC"]
    slope = {}
    for rho in (-0.6, 0.0, 0.6):
        vols = np.log(heston_vol_path(crypto, underlyings=["BTC"], leverage=rho).frame["BTC"]).diff()
        small = returns.abs() < 0.04  # where the size of the move does not drown its sign
        slope[rho] = np.polyfit(returns[small], vols.loc[returns.index][small], 1)[0]
    assert slope[-0.6] < slope[0.0] - 0.2 < slope[0.6] - 0.4
    told = [heston_vol_path(crypto, told=1.0, seed=seed).frame for seed in (1, 2)]
    assert told[0].equals(told[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reversion": 0.0}, "reversion is 0.0"),
        ({"vol_of_vol": -1.0}, "vol_of_vol is -1.0"),
        ({"leverage": 1.0}, "leverage is 1.0"),
        ({"told": 1.1}, "told is 1.1"),
        ({"prior_days": math.inf}, "prior_days is inf"),
    ],
)
def test_parameters_that_are_refused(crypto, arguments, message):
    with pytest.raises(ParameterError, match=message):
        heston_vol_path(crypto, **arguments)


def test_variances_that_are_refused():
    with pytest.raises(ParameterError, match="variance is"):
        heston_expected_variance(-0.1, 0.4, 5.0, 0.1)
    with pytest.raises(ParameterError, match=r"years is 0\.0"):
        heston_expected_variance(0.1, 0.4, 5.0, 0.0)
    with pytest.raises(ParameterError, match=r"leverage -2\.0"):
        heston_log_skew(0.1, 0.4, 5.0, 1.0, -2.0, 0.1)
