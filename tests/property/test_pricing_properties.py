"""Laws that every Black-76 price, greek and implied volatility obeys."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import pmkit.pricing as pricing

few = settings(derandomize=True, max_examples=60, deadline=None)
forwards = st.floats(1e-3, 1e6)
log_moneyness = st.floats(-3.0, 3.0)
taus = st.floats(1e-4, 5.0)
vols = st.floats(0.01, 4.0)
discounts = st.floats(0.5, 1.0)


@few
@given(forwards, log_moneyness, taus, vols, discounts)
def test_put_call_parity(forward, k, tau, iv, df):
    strike = forward * np.exp(k)
    call = pricing.black76(forward, strike, tau, iv, df=df)
    put = pricing.black76(forward, strike, tau, iv, df=df, is_call=False)
    assert abs((call - put) - df * (forward - strike)) <= 1e-13 * max(forward, strike)


@few
@given(forwards, log_moneyness, taus, vols)
def test_coin_parity(forward, k, tau, iv):
    strike = forward * np.exp(k)
    call = pricing.black76_inverse(forward, strike, tau, iv)
    put = pricing.black76_inverse(forward, strike, tau, iv, is_call=False)
    assert abs((call - put) - (1.0 - strike / forward)) <= 1e-13 * max(1.0, strike / forward)


@few
@given(forwards, log_moneyness, taus, vols, st.integers(-20, 20), st.booleans())
def test_homogeneity(forward, k, tau, iv, power, is_call):
    """A change of the unit of money changes the price by that factor, up to the rounding of sqrt(F K)."""
    strike = forward * np.exp(k)
    price = pricing.black76(forward, strike, tau, iv, is_call=is_call)
    scaled = pricing.black76(forward * 2.0**power, strike * 2.0**power, tau, iv, is_call=is_call)
    assert abs(scaled - price * 2.0**power) <= 4e-15 * scaled
    coin = pricing.black76_inverse(forward, strike, tau, iv, is_call=is_call)
    coin_scaled = pricing.black76_inverse(forward * 2.0**power, strike * 2.0**power, tau, iv, is_call=is_call)
    assert abs(coin_scaled - coin) <= 4e-15 * coin


@few
@given(forwards, log_moneyness, taus, vols, st.booleans())
def test_bounds_and_monotonicity(forward, k, tau, iv, is_call):
    strike = forward * np.exp(k)
    slack = 1e-14 * max(forward, strike)
    in_vol = pricing.black76(forward, strike, tau, iv * np.array([0.5, 0.9, 1.0, 1.2, 3.0]), is_call=is_call)
    assert np.all(np.diff(in_vol) >= -slack)
    in_tau = pricing.black76(forward, strike, tau * np.array([0.5, 0.9, 1.0, 1.2, 3.0]), iv, is_call=is_call)
    assert np.all(np.diff(in_tau) >= -slack)
    in_strike = pricing.black76(
        forward, strike * np.array([0.8, 0.95, 1.0, 1.1, 2.0]), tau, iv, is_call=is_call
    )
    assert np.all(np.diff(in_strike) * (-1.0 if is_call else 1.0) >= -slack)
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    assert np.all((in_vol >= intrinsic) & (in_vol <= (forward if is_call else strike) + slack))


@few
@given(forwards, st.floats(-1.0, 1.0), st.floats(0.01, 2.0), st.floats(0.1, 1.5))
def test_convex_in_strike(forward, k, tau, iv):
    strike = forward * np.exp(k)
    prices = pricing.black76(forward, strike * np.array([0.97, 1.0, 1.03]), tau, iv)
    assert prices[0] - 2.0 * prices[1] + prices[2] >= -1e-14 * forward


@few
@given(forwards, st.floats(-2.0, 2.0), st.floats(1e-3, 3.0), st.floats(0.05, 2.0), st.booleans())
def test_black_equation(forward, k, tau, iv, is_call):
    """theta = -iv**2 F**2 gamma/2 with df = 1, and the same law for the coin price with its own greeks."""
    strike = forward * np.exp(k)
    g = pricing.greeks(forward, strike, tau, iv, is_call=is_call)
    assert abs(g.theta + 0.5 * iv**2 * forward**2 * g.gamma) <= 1e-12 * abs(g.theta)
    c = pricing.greeks(forward, strike, tau, iv, is_call=is_call, settlement="inverse")
    diffusion = 0.5 * iv**2 * forward * (forward * c.gamma + 2.0 * c.delta)
    size = iv**2 * (abs(forward**2 * c.gamma) + abs(forward * c.delta))
    assert abs(c.theta + diffusion) <= 1e-12 * size + 1e-300


@few
@given(forwards, st.floats(-2.0, 2.0), st.floats(1e-3, 3.0), st.floats(0.02, 3.0))
def test_implied_volatility_round_trip(forward, k, tau, iv):
    strike = forward * np.exp(k)
    is_call = strike >= forward
    price = pricing.black76(forward, strike, tau, iv, is_call=is_call)
    if price > 0.0:
        g = pricing.greeks(forward, strike, tau, iv, is_call=is_call)
        condition = price / max(g.vega * iv, 1e-320) + 1.0
        # the price itself is good to (1 + h**2/2) roundings, h = |k|/(iv sqrt(tau))
        depth = 1.0 + 0.5 * k**2 / (iv**2 * tau)
        implied = pricing.implied_vol(price, forward, strike, tau, is_call=is_call)
        assert abs(implied / iv - 1.0) <= 16.0 * 2.3e-16 * (condition + depth * (condition - 1.0))
        doubled = pricing.implied_vol(2.0 * price, 2.0 * forward, 2.0 * strike, tau, is_call=is_call)
        assert abs(doubled / implied - 1.0) <= 16.0 * 2.3e-16 * condition


@few
@given(st.floats(1e3, 1e6), st.floats(1e3, 1e6), st.floats(-1e6, 1e6))
def test_coin_and_dollar_profit_identity(start, end, notional):
    """c1 F1 - c0 F0 in dollars is the coin P&L at the end price plus the move on the coins held before."""
    pnl = pricing.inverse_future_pnl(notional, start, end)
    # the last term: a notional near the smallest number leaves no digits to compare
    allowed = 1e-14 * abs(notional) * max(end / start, 1.0) + 1e-315
    assert abs(pnl * end - notional * (end - start) / start) <= allowed
