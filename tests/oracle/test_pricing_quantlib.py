"""The pricing room against QuantLib's Black formula, greeks and implied standard deviation."""

import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.random import stream

ql = pytest.importorskip("QuantLib", reason="QuantLib is an oracle of the development environment")


def quotes(count):
    rng = stream(21, "quantlib")
    forward = np.exp(rng.uniform(np.log(5.0), np.log(1e5), count))
    strike = forward * np.exp(rng.uniform(-1.2, 1.2, count))
    tau = np.exp(rng.uniform(np.log(1 / 365), np.log(3.0), count))
    iv = np.exp(rng.uniform(np.log(0.1), np.log(2.0), count))
    df = rng.uniform(0.8, 1.0, count)
    return forward, strike, tau, iv, df, rng.random(count) < 0.5


def test_price_equals_black_formula():
    forward, strike, tau, iv, df, call = quotes(400)
    ours = pricing.black76(forward, strike, tau, iv, df=df, is_call=call)
    theirs = [
        ql.blackFormula(ql.Option.Call if c else ql.Option.Put, k, f, v * np.sqrt(t), d)
        for f, k, t, v, d, c in zip(forward, strike, tau, iv, df, call, strict=True)
    ]
    assert np.all(np.abs(ours - theirs) <= 2e-15 * (forward + strike))


def test_greeks_equal_the_black_calculator():
    forward, strike, tau, iv, df, call = quotes(200)
    ours = pricing.greeks(forward, strike, tau, iv, df=df, is_call=call)
    for i in range(200):
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if call[i] else ql.Option.Put, float(strike[i]))
        calculator = ql.BlackCalculator(
            payoff, float(forward[i]), float(iv[i] * np.sqrt(tau[i])), float(df[i])
        )
        assert ours.delta[i] == pytest.approx(calculator.deltaForward(), rel=1e-11, abs=1e-15)
        assert ours.gamma[i] == pytest.approx(calculator.gammaForward(), rel=1e-10, abs=1e-15)
        assert ours.vega[i] == pytest.approx(calculator.vega(float(tau[i])), rel=1e-10, abs=1e-13)
        assert ours.dual_delta[i] == pytest.approx(calculator.strikeSensitivity(), rel=1e-11, abs=1e-15)


def test_implied_volatility_equals_the_implied_standard_deviation():
    forward, strike, tau, iv, df, _ = quotes(400)
    call = strike >= forward
    price = pricing.black76(forward, strike, tau, iv, df=df, is_call=call)
    ours = pricing.implied_vol(price, forward, strike, tau, df=df, is_call=call)
    compared = 0
    for i in np.flatnonzero(price > 1e-8 * forward):
        side = ql.Option.Call if call[i] else ql.Option.Put
        deviation = ql.blackFormulaImpliedStdDev(
            side, float(strike[i]), float(forward[i]), float(price[i]), float(df[i]), 0.0, 0.5, 1e-14, 200
        )
        assert ours[i] * np.sqrt(tau[i]) == pytest.approx(deviation, rel=1e-6)
        compared += 1
    assert compared > 200
