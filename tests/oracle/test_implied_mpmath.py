"""Implied volatility against 50-digit inversion of the same doubles, measured in attainable errors."""

import mpmath
import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.random import stream
from pmkit.pricing.numeric import (
    exp_fast,
    log_fast,
    log_ratio,
    log_rough,
    mills_parts_monic,
    mills_parts_rough,
    mills_parts_wide,
    mills_ratio,
    odd_moments,
    scaled_density,
)

EPS = 2.220446049250313e-16


def attainable_errors(price, forward, strike, tau, iv, df=1.0, is_call=True):
    """Return the relative error of ``iv`` in units of (|price/(s dprice/ds)| + 1) eps."""
    w = 1 if is_call else -1
    f, k, root = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.sqrt(mpmath.mpf(tau))
    x, target = mpmath.log(f / k), mpmath.mpf(price) / mpmath.mpf(df)
    itm = max(w * (f - k), 0)
    side = 1 if k >= f else -1
    s = mpmath.mpf(iv) * root
    for _ in range(4):
        otm = side * (f * mpmath.ncdf(side * (x / s + s / 2)) - k * mpmath.ncdf(side * (x / s - s / 2)))
        slope = f * mpmath.npdf(x / s + s / 2)
        if otm > min(f, k) / 2:
            room, left = min(f, k) - (target - itm), min(f, k) - otm
            s += mpmath.log(left / room) * left / slope
        else:
            s -= mpmath.log(otm / (target - itm)) * otm / slope
    condition = target / (s * slope) + 1
    return float(abs(mpmath.mpf(iv) * root / s - 1) / (condition * EPS))


def wide_quotes(count, purpose):
    rng = stream(22, purpose)
    forward = np.exp(rng.uniform(np.log(5.0), np.log(1e5), count))
    strike = forward * np.exp(rng.uniform(-1.0, 1.0, count) * 10.0 ** rng.uniform(-6.0, 0.7, count))
    tau = np.exp(rng.uniform(np.log(1e-4), np.log(5.0), count))
    iv = np.exp(rng.uniform(np.log(0.01), np.log(6.0), count))
    return forward, strike, tau, iv


def test_out_of_the_money_quotes_are_within_eight_attainable_errors():
    forward, strike, tau, iv = wide_quotes(1500, "otm")
    call = strike >= forward
    price = pricing.black76(forward, strike, tau, iv, is_call=call)
    kept = price > 0.0
    implied, status = pricing.implied_vol(price, forward, strike, tau, is_call=call, return_status=True)
    assert not status[kept & (price < np.minimum(forward, strike) * (1 - 1e-15))].any()
    usable = np.flatnonzero(status == 0)
    assert usable.size > 900 and price[usable].min() < 1e-100
    with mpmath.workdps(50):
        errors = [
            attainable_errors(price[i], forward[i], strike[i], tau[i], implied[i], is_call=bool(call[i]))
            for i in usable
        ]
    assert max(errors) < 8.0, max(errors)


def test_in_the_money_and_discounted_quotes_too():
    forward, strike, tau, iv = wide_quotes(900, "itm")
    df = stream(22, "df").uniform(0.7, 1.0, 900)
    call = strike < forward
    price = pricing.black76(forward, strike, tau, iv, df=df, is_call=call)
    implied, status = pricing.implied_vol(
        price, forward, strike, tau, df=df, is_call=call, return_status=True
    )
    time_value = price - df * np.abs(forward - strike)
    usable = np.flatnonzero((status == 0) & (time_value > 1e-10 * price))
    assert usable.size > 400
    with mpmath.workdps(50):
        errors = [
            attainable_errors(
                price[i], forward[i], strike[i], tau[i], implied[i], df=df[i], is_call=bool(call[i])
            )
            for i in usable
        ]
    assert max(errors) < 8.0, max(errors)


def test_coin_quotes_too():
    forward, strike, tau, iv = wide_quotes(300, "coin")
    call = stream(22, "side").random(300) < 0.5
    price = pricing.black76_inverse(forward, strike, tau, iv, is_call=call)
    implied, status = pricing.implied_vol(
        price, forward, strike, tau, is_call=call, return_status=True, settlement="inverse"
    )
    intrinsic = np.maximum(np.where(call, forward - strike, strike - forward), 0.0) / forward
    usable = np.flatnonzero((status == 0) & (price - intrinsic > 1e-10 * price))
    assert usable.size > 150
    with mpmath.workdps(50):
        errors = [
            attainable_errors(
                mpmath.mpf(price[i]) * mpmath.mpf(forward[i]),
                forward[i],
                strike[i],
                tau[i],
                implied[i],
                is_call=bool(call[i]),
            )
            for i in usable
        ]
    assert max(errors) < 8.0, max(errors)


def exact_mills(y):
    return mpmath.sqrt(mpmath.pi / 2) * mpmath.exp(y * y / 2) * mpmath.erfc(y / mpmath.sqrt(2))


def test_building_blocks_are_accurate_to_a_few_roundings():
    rng = stream(22, "blocks")
    with mpmath.workdps(50):
        for x in rng.uniform(-700.0, 700.0, 300):
            assert abs(exp_fast(x) / mpmath.exp(mpmath.mpf(x)) - 1) < 2.5e-16
            y = float(np.exp(x))
            assert abs(log_fast(y) / mpmath.log(mpmath.mpf(y)) - 1) < 4e-16
            assert abs(log_rough(y) - mpmath.log(mpmath.mpf(y))) < 3e-7
        for y in 100.0 * rng.random(300) ** 3:
            assert abs(mills_ratio(y) / exact_mills(mpmath.mpf(y)) - 1) < 8e-16
        for y in 40.0 * rng.random(300) ** 3:
            # R times the density, with the R of a point further out: what a value is made of
            exact = exact_mills(mpmath.mpf(y)) * mpmath.npdf(min(y, 37.5))
            top, bottom = mills_parts_monic(y)
            ours = mpmath.mpf(scaled_density(min(y, 37.5))) * top / bottom
            assert abs(ours - exact) < 2e-15 * mpmath.mpf(1) / 2
            assert abs(ours / exact - 1) < (3e-15 if y < 4 else 1e-12 if y < 14 else 1e-8)
        for y in -2.4 + 42.4 * rng.random(300) ** 3:
            exact = exact_mills(mpmath.mpf(y))
            top, bottom = mills_parts_wide(y)
            assert abs(top / bottom / exact - 1) < 2e-15
            top, bottom = mills_parts_rough(y)
            assert abs(top / bottom / exact - 1) < 1.5e-7
        for gap in 10.0 ** rng.uniform(-15.0, 1.0, 300):
            exact = mpmath.log(mpmath.mpf(100.0 * (1.0 + gap)) / 100)
            assert abs(log_ratio(100.0 * (1.0 + gap), 100.0) / exact - 1) < 4e-16
        for t in 0.2 * 10.0 ** rng.uniform(-5.0, 0.0, 300):
            h = min(1.0 / t, 30.0) * rng.random()
            exact = (exact_mills(mpmath.mpf(h) - t) - exact_mills(mpmath.mpf(h) + t)) / (2 * mpmath.mpf(t))
            assert abs(odd_moments(h, t, mills_ratio(h), 1.0) - exact) < 8e-16 * (exact + 1)


def test_the_attainable_error_is_tight():
    """A small move of the price moves the volatility by the condition number: the yardstick is right."""
    price = pricing.black76(100.0, 140.0, 0.5, 0.3)
    moved = pricing.implied_vol(price * (1 + 2e-9), 100.0, 140.0, 0.5) / 0.3 - 1.0
    s = 0.3 * np.sqrt(0.5)
    vega = pricing.greeks(100.0, 140.0, 0.5, 0.3).vega
    assert moved == pytest.approx(2e-9 * price / (vega * 0.3), rel=1e-4)
    assert s > 0.0
