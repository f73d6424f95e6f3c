"""Greeks: against 40-digit derivatives, units, limits, messages."""

import mpmath
import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.errors import ConventionError, ParameterError

CASES = [
    (100.0, 105.0, 0.5, 0.25, 0.98),
    (60_000.0, 45_000.0, 0.05, 0.9, 1.0),
    (60_000.0, 61_000.0, 2.0, 0.6, 0.9),
    (3.0, 2.0, 1.5, 1.4, 0.95),
]
# derivative orders in (F, K, tau, iv, rate) and sign of the definition
ORDERS = {
    "price": ((0, 0, 0, 0, 0), 1),
    "delta": ((1, 0, 0, 0, 0), 1),
    "gamma": ((2, 0, 0, 0, 0), 1),
    "vega": ((0, 0, 0, 1, 0), 1),
    "theta": ((0, 0, 1, 0, 0), -1),
    "rho": ((0, 0, 0, 0, 1), 1),
    "vanna": ((1, 0, 0, 1, 0), 1),
    "volga": ((0, 0, 0, 2, 0), 1),
    "charm": ((1, 0, 1, 0, 0), -1),
    "veta": ((0, 0, 1, 1, 0), -1),
    "dual_delta": ((0, 1, 0, 0, 0), 1),
    "dual_gamma": ((0, 2, 0, 0, 0), 1),
}


def exact_value(forward, strike, tau, iv, rate, is_call, inverse):
    """Black-76 in mpmath, straight from the textbook."""
    s = iv * mpmath.sqrt(tau)
    d1 = mpmath.log(forward / strike) / s + s / 2
    w = 1 if is_call else -1
    value = w * (forward * mpmath.ncdf(w * d1) - strike * mpmath.ncdf(w * (d1 - s)))
    return value / forward if inverse else value * mpmath.exp(-rate * tau)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("case", CASES)
def test_every_greek_is_the_derivative_it_says(case, settlement, is_call):
    forward, strike, tau, iv, df = case
    inverse = settlement == "inverse"
    df = 1.0 if inverse else df
    result = pricing.greeks(forward, strike, tau, iv, df=df, is_call=is_call, settlement=settlement)
    with mpmath.workdps(40):
        rate = -mpmath.log(mpmath.mpf(df)) / tau
        point = tuple(mpmath.mpf(v) for v in (forward, strike, tau, iv)) + (rate,)
        for name, (orders, sign) in ORDERS.items():
            exact = sign * mpmath.diff(lambda *a: exact_value(*a, is_call, inverse), point, orders)
            assert getattr(result, name) == pytest.approx(float(exact), rel=1e-10, abs=1e-15), name


def test_usd_greeks_of_a_coin_option_are_those_of_the_linear_one():
    coin = pricing.greeks(60_000.0, [50_000.0, 70_000.0], 0.2, 0.6, settlement="inverse")
    quote = pricing.greeks(60_000.0, [50_000.0, 70_000.0], 0.2, 0.6)
    for name in ("price", "gamma", "vega", "theta"):
        assert np.array_equal(getattr(coin, f"{name}_usd"), getattr(quote, name))
    assert np.allclose(coin.price * 60_000.0, quote.price, rtol=1e-15)
    assert np.allclose(coin.delta * 60_000.0, coin.delta_pa, rtol=1e-15)
    assert np.allclose(coin.delta_pa, coin.delta_black - coin.price, rtol=1e-14)


def test_vega_is_per_unit_of_volatility_and_theta_per_year():
    """Trap 24: a percentage point is a hundredth of vega."""
    base = pricing.greeks(100.0, 100.0, 1.0, 0.20)
    assert base.vega == pytest.approx(39.695, abs=1e-3)
    assert pricing.black76(100.0, 100.0, 1.0, 0.21) - base.price == pytest.approx(base.vega / 100.0, rel=1e-3)
    day = 1.0 / 365.0
    assert pricing.black76(100.0, 100.0, 1.0 - day, 0.20) - base.price == pytest.approx(
        base.theta * day, rel=1e-2
    )


def test_payoff_greeks_without_volatility_and_nan_at_the_kink():
    at_expiry = pricing.greeks(100.0, [90.0, 100.0, 110.0], 0.0, 0.5)
    assert np.array_equal(at_expiry.price, [10.0, 0.0, 0.0])
    assert np.array_equal(at_expiry.delta, [1.0, np.nan, 0.0], equal_nan=True)
    for name in ("gamma", "vega", "theta", "vanna", "volga", "charm", "veta", "dual_gamma"):
        assert np.array_equal(getattr(at_expiry, name), [0.0, np.nan, 0.0], equal_nan=True), name
    put = pricing.greeks(100.0, 110.0, 1.0, 0.0, df=0.9, is_call=False)
    assert (put.price, put.delta, put.dual_delta) == pytest.approx((9.0, -0.9, 0.9))
    assert put.theta == pytest.approx(-np.log(0.9) * 9.0)


def test_far_tail_and_zero_forward_give_no_nan_but_where_documented():
    far = pricing.greeks(100.0, 1e6, 0.001, 0.1)
    assert far.price == far.delta == far.gamma == far.vega == far.volga == 0.0
    zero = pricing.greeks(0.0, 100.0, 1.0, 0.5, is_call=False)
    assert (zero.price, zero.delta, zero.gamma) == (100.0, -1.0, 0.0)
    assert np.isnan(zero.delta_pa)


def test_nan_and_shapes():
    result = pricing.greeks([[100.0], [np.nan]], [90.0, 110.0, 120.0], 0.5, 0.3)
    for name in ORDERS:
        assert np.isnan(getattr(result, name)).tolist() == [[False] * 3, [True] * 3], name
    assert isinstance(pricing.greeks(100.0, 100.0, 1.0, 0.2).vanna, float)
    assert result.to_frame().shape == (6, 18)
    assert result.to_dict()["settlement"] == "linear"


def test_frozen_and_messages():
    result = pricing.greeks(100.0, 100.0, 1.0, 0.2)
    with pytest.raises(AttributeError):
        result.delta = 1.0
    with pytest.raises(ParameterError, match=r"^settlement is 'coin'; expected 'linear'"):
        pricing.greeks(100.0, 100.0, 1.0, 0.2, settlement="coin")
    with pytest.raises(ConventionError, match=r"^df\[1\] is 0\.9 with settlement='inverse'; expected df = 1"):
        pricing.greeks(100.0, 100.0, 1.0, 0.2, df=[1.0, 0.9], settlement="inverse")
    with pytest.raises(ParameterError, match=r"^F is 0\.0"):
        pricing.greeks(0.0, 100.0, 1.0, 0.2, settlement="inverse")
    with pytest.raises(ParameterError, match=r"^tau\[2\] is -0\.1; expected a time to expiry in years"):
        pricing.greeks(100.0, 100.0, [1.0, 0.0, -0.1], 0.2)
