"""Implied volatility on fixed grids: prices down to 1e-112, a wide grid, and a whole real chain at once."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from pmkit.core.status import Status
from pmkit.market import datasets, read_quotes
from pmkit.pricing import black76, implied_vol
from pmkit.surface import forward_curve
from tests.oracle.test_implied_mpmath import attainable_errors


def strike_for(price: float, total_vol: float, call: bool) -> float:
    """Return the out-of-the-money strike at forward 100 whose option is worth ``price``."""
    low, high = 0.0, 60.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        strike = 100.0 * np.exp(middle if call else -middle)
        value = black76(100.0, strike, 1.0, total_vol, is_call=call)
        low, high = (middle, high) if value > price else (low, middle)
    return float(100.0 * np.exp(low if call else -low))


@pytest.mark.parametrize("call", [True, False])
@pytest.mark.parametrize("total_vol", [0.02, 0.2, 1.0])
def test_prices_down_to_1e_112_are_within_eight_attainable_errors(total_vol: float, call: bool) -> None:
    powers = np.arange(0, 113, 4)
    strikes = np.array([strike_for(10.0 ** -float(p), total_vol, call) for p in powers])
    price = black76(100.0, strikes, 1.0, total_vol, is_call=call)
    assert price.min() < 2e-112
    iv, status = implied_vol(price, 100.0, strikes, 1.0, is_call=call, return_status=True)
    assert not status.any()
    with mpmath.workdps(60):
        errors = [
            attainable_errors(p, 100.0, k, 1.0, v, is_call=call)
            for p, k, v in zip(price.tolist(), strikes.tolist(), iv.tolist(), strict=True)
        ]
    assert max(errors) < 8.0, max(errors)
    np.testing.assert_allclose(iv, total_vol, rtol=1e-12)


def test_trap_29_no_error_of_a_thousandth_anywhere_on_a_wide_grid() -> None:
    """Fast inversions that stop early are off by 1e-3 in the corners of such a grid."""
    k, s = np.meshgrid(np.linspace(-4.0, 4.0, 161), np.geomspace(0.005, 4.0, 60))
    strike = 100.0 * np.exp(k)
    call = k >= 0.0
    price = black76(100.0, strike, 0.25, s / 0.5, is_call=call)
    shares = price / np.minimum(100.0, strike)
    usable = (price > 1e-112) & (shares < 1.0 - 1e-6)
    iv, status = implied_vol(price, 100.0, strike, 0.25, is_call=call, return_status=True)
    assert usable.sum() > 5000 and not status[usable].any()
    error = np.abs(iv * 0.5 / s - 1.0)[usable]
    # near the upper bound a price loses digits: the condition number there is at most 1e6
    assert error.max() < 1e-8
    assert np.quantile(error, 0.99) < 1e-12
    assert error[shares[usable] < 0.9].max() < 3e-12


def test_a_whole_chain_at_once_equals_one_by_one() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    curve = forward_curve(quotes, "SPX")
    frame = quotes.frame[quotes.frame["expiry"].isin(list(curve.quotes))]
    forward = np.array([curve.quotes[e].price for e in frame["expiry"]])
    df = np.array([curve.discount(e) for e in frame["expiry"]])
    tau = (frame["expiry"] - quotes.as_of).dt.total_seconds().to_numpy() / (365 * 86400)
    mid, strike, call = (frame[c].to_numpy() for c in ("mid", "strike", "is_call"))
    iv, status = implied_vol(mid, forward, strike, tau, df=df, is_call=call, return_status=True)
    assert iv.size > 6000 and (np.isnan(iv) == (status != Status.OK)).all()
    found = {Status(int(s)).label for s in np.unique(status)}
    assert {"ok", "below_intrinsic", "invalid_input"} <= found, "no quote, too low a quote, and the rest"
    assert (status[np.isnan(mid)] == Status.INVALID_INPUT).all()
    for i in range(0, iv.size, 97):
        one = implied_vol(mid[i], forward[i], strike[i], tau[i], df=df[i], is_call=bool(call[i]))
        assert one == iv[i] or (np.isnan(one) and np.isnan(iv[i]))
    back = black76(forward, strike, tau, iv, df=df, is_call=call)
    good = status == Status.OK
    np.testing.assert_allclose(back[good], mid[good], rtol=1e-11, atol=1e-9)


def test_trap_15_in_the_money_quotes_are_inverted_through_parity() -> None:
    """The time value left under a big intrinsic still gives the vol to the digits that the price carries."""
    strikes = np.array([40.0, 60.0, 80.0])
    otm = black76(100.0, strikes, 0.5, 0.35, df=0.97, is_call=False)
    itm = black76(100.0, strikes, 0.5, 0.35, df=0.97, is_call=True)
    for price, call in ((otm, False), (itm, True)):
        iv, status = implied_vol(price, 100.0, strikes, 0.5, df=0.97, is_call=call, return_status=True)
        assert not status.any()
        digits = itm * 2.2e-16 / otm if call else 2.2e-16
        assert (np.abs(iv / 0.35 - 1.0) < 8.0 * digits + 1e-14).all()


def test_trap_14_coin_puts_have_no_bound_at_one() -> None:
    strikes = np.array([60e3, 120e3, 600e3])
    coin = black76(60e3, strikes, 0.5, 0.8, is_call=False) / 60e3
    assert coin[2] > 8.9
    iv, status = implied_vol(
        coin, 60e3, strikes, 0.5, is_call=False, return_status=True, settlement="inverse"
    )
    assert not status.any()
    np.testing.assert_allclose(iv, 0.8, rtol=1e-9)
