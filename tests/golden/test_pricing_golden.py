"""Published and independently computed figures of the pricing room, digit by digit."""

import mpmath
import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.status import Status

SPOT, RATE, CARRY, TAU = 100.0, 0.04, 0.01, 0.5
FORWARD = SPOT * np.exp((RATE - CARRY) * TAU)
DISCOUNT = np.exp(-RATE * TAU)

P01 = {
    True: {
        "price": 5.548166344536862,
        "delta": 0.4567879851977393,
        "gamma": 0.02233678654438105,
        "vega": 27.92098318047631,
        "theta": -8.128683096930822,
        "rho": 20.06531608761854,
        "dividend_rho": -22.83939925988697,
    },
    False: {
        "price": 8.967779122477937,
        "delta": -0.538224493994943,
        "gamma": 0.02233678654438105,
        "vega": 27.92098318047631,
        "theta": -5.006861148235132,
        "rho": -31.39511426098612,
        "dividend_rho": 26.91122469974715,
    },
}


@pytest.mark.parametrize("is_call", [True, False])
def test_p01_black_scholes_greeks_by_the_chain_rule(is_call):
    g = pricing.greeks(FORWARD, 105.0, TAU, 0.25, df=DISCOUNT, is_call=is_call)
    per_spot = FORWARD / SPOT
    spot_greeks = {
        "price": g.price,
        "delta": g.delta * per_spot,
        "gamma": g.gamma * per_spot**2,
        "vega": g.vega,
        "theta": g.theta - (RATE - CARRY) * FORWARD * g.delta,
        "rho": g.rho + TAU * FORWARD * g.delta,
        "dividend_rho": -TAU * FORWARD * g.delta,
    }
    for name, exact in P01[is_call].items():
        assert spot_greeks[name] == pytest.approx(exact, rel=2e-13), name


def test_p01_haug_book_greeks():
    """Haug (2007), chapters 1 and 2: the printed examples, to their printed digits."""

    def at(spot, strike, tau, rate, carry_cost, iv, is_call):
        forward = spot * np.exp(carry_cost * tau)
        return forward, pricing.greeks(forward, strike, tau, iv, df=np.exp(-rate * tau), is_call=is_call)

    forward, call = at(105.0, 100.0, 0.5, 0.10, 0.0, 0.36, True)
    _, put = at(105.0, 100.0, 0.5, 0.10, 0.0, 0.36, False)
    assert call.delta == pytest.approx(0.5946, abs=5e-5)
    assert put.delta == pytest.approx(-0.3566, abs=5e-5)
    assert put.delta * forward / put.price == pytest.approx(-4.8775, abs=5e-5)

    forward, call = at(55.0, 60.0, 0.75, 0.10, 0.10, 0.30, True)
    assert call.gamma * (forward / 55.0) ** 2 == pytest.approx(0.0278, abs=5e-5)
    assert call.vega == pytest.approx(18.9358, abs=5e-5)

    forward, put = at(430.0, 405.0, 1.0 / 12.0, 0.07, 0.07 - 0.05, 0.20, False)
    assert put.theta - 0.02 * forward * put.delta == pytest.approx(-31.1924, abs=5e-5)

    forward, call = at(72.0, 75.0, 1.0, 0.09, 0.09, 0.19, True)
    assert call.rho + forward * call.delta == pytest.approx(38.7325, abs=5e-5)

    forward, put = at(500.0, 490.0, 0.25, 0.08, 0.08 - 0.05, 0.15, False)
    assert -0.25 * forward * put.delta == pytest.approx(42.2254, abs=5e-5)


# Haug (1998), pages 2 to 8: type, strike, spot, dividend yield, rate, tau, volatility, price
HAUG_PRICES = [
    ("call", 65.0, 60.0, 0.00, 0.08, 0.25, 0.30, 2.1334),
    ("put", 95.0, 100.0, 0.05, 0.10, 0.50, 0.20, 2.4648),
    ("put", 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    ("call", 19.0, 19.0, 0.10, 0.10, 0.75, 0.28, 1.7011),
    ("call", 1.60, 1.56, 0.08, 0.06, 0.50, 0.12, 0.0291),
    ("put", 70.0, 75.0, 0.05, 0.10, 0.50, 0.35, 4.0870),
]


@pytest.mark.parametrize("row", HAUG_PRICES)
def test_p01_haug_book_prices(row):
    kind, strike, spot, yield_, rate, tau, iv, printed = row
    forward = spot * np.exp((rate - yield_) * tau)
    price = pricing.black76(forward, strike, tau, iv, df=np.exp(-rate * tau), is_call=kind == "call")
    assert price == pytest.approx(printed, abs=5e-5)


# Haug (1998), page 24, Black-76: rate 10 %, strike 100; tau, volatility, prices at forward 90, 100, 110
HAUG_CALLS = [
    (0.1, 0.15, (0.0205, 1.8734, 9.9413)),
    (0.1, 0.25, (0.3150, 3.1217, 10.3556)),
    (0.1, 0.35, (0.9474, 4.3693, 11.1381)),
    (0.5, 0.15, (0.8069, 4.0232, 10.5769)),
    (0.5, 0.25, (2.7026, 6.6997, 12.7857)),
    (0.5, 0.35, (4.9329, 9.3679, 15.3086)),
]
HAUG_PUTS = [
    (0.1, 0.15, (9.9210, 1.8734, 0.0408)),
    (0.1, 0.25, (10.2155, 3.1217, 0.4551)),
    (0.1, 0.35, (10.8479, 4.3693, 1.2376)),
    (0.5, 0.15, (10.3192, 4.0232, 1.0646)),
    (0.5, 0.25, (12.2149, 6.6997, 3.2734)),
    (0.5, 0.35, (14.4452, 9.3679, 5.7963)),
]


@pytest.mark.parametrize(("is_call", "rows"), [(True, HAUG_CALLS), (False, HAUG_PUTS)])
def test_p01_haug_black76_table(is_call, rows):
    """To one unit of the last printed digit: the book computed with a rounded normal distribution."""
    for tau, iv, printed in rows:
        prices = pricing.black76([90.0, 100.0, 110.0], 100.0, tau, iv, df=np.exp(-0.1 * tau), is_call=is_call)
        assert np.allclose(prices, printed, rtol=0.0, atol=1e-4), (tau, iv, prices)


def test_p02_black76():
    assert pricing.black76(100.0, 110.0, 0.25, 0.6, df=0.99) == pytest.approx(8.059601928474566, rel=1e-15)
    put = pricing.black76(100.0, 110.0, 0.25, 0.6, df=0.99, is_call=False)
    assert put == pytest.approx(17.95960192847457, rel=1e-15)


def test_p03_prices_and_volatilities():
    assert pricing.black76(100.0, 100.0, 1.0, 0.2) == pytest.approx(7.9655674554057962931, rel=4e-16)
    assert pricing.black76(100.0, 200.0, 1.0, 0.2) == pytest.approx(0.0018862181761500372973, rel=4e-15)
    assert pricing.implied_vol(7.9655674554057962931, 100.0, 100.0, 1.0) == pytest.approx(0.2, rel=1e-15)
    assert pricing.implied_vol(0.0018862181761500372973, 100.0, 200.0, 1.0) == pytest.approx(0.2, rel=1e-15)


@pytest.mark.parametrize("strike", [200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, 8700.0])
def test_p03_stress_down_to_1e_112_and_below(strike):
    """The out-of-the-money price in 50-digit arithmetic, rounded once, gives its volatility back."""
    with mpmath.workdps(50):
        s = mpmath.mpf("0.2")
        d1 = mpmath.log(mpmath.mpf(100) / mpmath.mpf(strike)) / s + s / 2
        exact = 100 * mpmath.ncdf(d1) - mpmath.mpf(strike) * mpmath.ncdf(d1 - s)
        price = float(exact)
    if strike == 8700.0:
        assert 1e-112 < price < 1e-108
    assert pricing.black76(100.0, strike, 1.0, 0.2) == pytest.approx(price, rel=3e-13)
    iv, status = pricing.implied_vol(price, 100.0, strike, 1.0, return_status=True)
    assert status is Status.OK
    assert iv == pytest.approx(0.2, rel=5e-16)


@pytest.mark.parametrize("exponent", [-20, -50, -112, -200, -290, -305, -320])
def test_p03_any_price_down_to_the_smallest_doubles(exponent):
    """Newton in 50 digits from the answer must not move it by more than its last digits."""
    price = float(f"1e{exponent}")
    iv = pricing.implied_vol(price, 100.0, 150.0, 1.0)
    with mpmath.workdps(50):
        s, x = mpmath.mpf(iv), mpmath.log(mpmath.mpf(100) / 150)
        for _ in range(4):
            value = 100 * mpmath.ncdf(x / s + s / 2) - 150 * mpmath.ncdf(x / s - s / 2)
            slope = 100 * mpmath.npdf(x / s + s / 2)
            s -= mpmath.log(value / mpmath.mpf(price)) * value / slope
        assert abs(mpmath.mpf(iv) / s - 1) < 1e-15


P04 = {"F": 60_000.0, "K": 65_000.0, "tau": 30 / 365, "iv": 0.55}


def test_p04_inverse_option():
    call = pricing.greeks(**P04, settlement="inverse")
    assert call.price == pytest.approx(0.03202655176563925, rel=2e-14)
    assert call.price_usd == pytest.approx(1921.5931059384, rel=1e-13)
    assert call.delta_black == pytest.approx(0.33403906452476, rel=1e-13)
    assert call.delta_pa == pytest.approx(0.30201251275912, rel=1e-13)
    assert call.delta * 60_000.0 == pytest.approx(0.30201251275912, rel=1e-13)
    assert call.gamma == pytest.approx(4.73286565948e-10, rel=1e-11)
    assert call.gamma_usd == pytest.approx(3.84642777155e-5, rel=1e-11)
    assert call.vega == pytest.approx(0.1043277669544, rel=1e-12)
    assert call.theta == pytest.approx(-0.34906332026825, rel=1e-13)
    assert pricing.black76_inverse(**P04) == call.price


def test_p04_put_by_parity():
    call = pricing.greeks(**P04, settlement="inverse")
    put = pricing.greeks(**P04, is_call=False, settlement="inverse")
    assert call.price - put.price == pytest.approx(1.0 - 65_000.0 / 60_000.0, abs=1e-16)
    assert call.delta - put.delta == pytest.approx(65_000.0 / 60_000.0**2, rel=1e-13)
    assert call.gamma - put.gamma == pytest.approx(-2.0 * 65_000.0 / 60_000.0**3, rel=1e-12)
    assert put.vega == pytest.approx(call.vega, rel=1e-13)


def test_p04_revaluation_ladder():
    ladder = np.array([0.5, 0.85, 1.0, 1.15, 1.5])
    exact = [2.06626062694e-8, 0.0047670869971169, 0.032026551765639, 0.094318386356512, 0.27873277305006]
    coin = pricing.black76_inverse(60_000.0 * ladder, 65_000.0, 30 / 365, 0.55)
    assert np.allclose(coin, exact, rtol=3e-12, atol=0.0)
    fast = pricing.option_values(60_000.0 * ladder, np.full(5, 0.55), 65_000.0, 30 / 365, True, True)
    assert np.allclose(fast, exact, rtol=0.0, atol=1e-14)


def test_p04_second_order_expansion_in_coin():
    """Delta and gamma in coin predict the coin P&L of a small move."""
    g = pricing.greeks(**P04, settlement="inverse")
    move = 60.0
    after = pricing.black76_inverse(60_000.0 + move, 65_000.0, 30 / 365, 0.55)
    assert after - g.price == pytest.approx(g.delta * move + 0.5 * g.gamma * move**2, rel=2e-5)


def test_p05_inverse_future():
    ends = 60_000.0 * np.array([0.5, 0.85, 1.15, 2.0])
    pnl = pricing.inverse_future_pnl(100_000.0, 60_000.0, ends)
    exact = [-1.6666666666667, -0.29411764705882, 0.21739130434783, 0.83333333333333]
    assert np.allclose(pnl, exact, rtol=5e-14, atol=0.0)
    assert np.allclose(pnl * ends, [-50_000.0, -15_000.0, 15_000.0, 100_000.0], rtol=1e-14)
    assert np.array_equal(pricing.linear_future_pnl(100_000.0 / 60_000.0, 60_000.0, 120_000.0), 100_000.0)
