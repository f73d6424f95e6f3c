"""Greeks by revaluation against closed forms, and charges against the losses they stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin import Account, exposures, greek_charges
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import greeks
from pmkit.scenarios import TermScaling

Make = Callable[..., Account]
TERM = TermScaling(short_power=0.30, long_power=0.13)


def test_exposures_agree_with_closed_form_greeks(make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-28JUN24-65000-C": -3, "BTC-27DEC24-50000-P": 2, "BTC-28JUN24": 1_000})
    found = exposures(account.portfolio, market)
    for position in account.portfolio.positions[:2]:
        option = position.instrument
        forward, tau, iv = market.forward("BTC", option.expiry), market.tau(option.expiry), market.iv(option)
        exact = greeks(forward, option.strike, tau, iv, is_call=option.is_call)
        row = found.loc[option.name]
        # a coin option is worth S V(F)/F dollars with S/F fixed, so that delta in dollars is (S/F) F V'
        ratio = market.spot("BTC") / forward
        assert row["delta"] == pytest.approx(position.qty * ratio * forward * float(exact.delta), rel=1e-6)
        assert row["gamma"] == pytest.approx(position.qty * ratio * forward**2 * float(exact.gamma), rel=1e-3)
        assert row["vega"] == pytest.approx(position.qty * ratio * 0.01 * float(exact.vega), rel=1e-4)
    future = found.loc["BTC-28JUN24"]
    # N (1/F - 1/F') coins at S': with F' moving like S the profit in dollars is N (S/F) x
    assert future["delta"] == pytest.approx(10_000.0 * 60_000.0 / market.mark(account.instruments[2]).price)
    assert abs(future["gamma"]) < 1e-3 and future["vega"] == 0.0


def test_charges_cover_their_expansion_and_state_the_gap(make_account: Make, market: MarketSnapshot) -> None:
    held = {"BTC-28JUN24-65000-C": -3, "BTC-27DEC24-50000-P": -2, "BTC-PERPETUAL": 500, "ETH-PERPETUAL": -50}
    account = make_account(held)
    found = greek_charges(account, market, price_range=0.15, vol_up=0.5, vol_down=0.25, vol_term=TERM)
    found.check()
    table = found.table
    assert list(table.index) == ["BTC", "ETH"]
    assert (table[["delta_charge", "gamma_charge", "vega_charge"]] >= 0.0).all().all()
    assert found.gap == pytest.approx(found.charge - table["full"].sum())
    # short options: all three charges bite
    assert (table.loc["BTC", ["delta_charge", "gamma_charge", "vega_charge"]] > 0.0).all()
    # a perpetual is linear: its charge is its loss, and there is no gap
    assert table.loc["ETH", "gap"] == pytest.approx(0.0, abs=1e-3)
    assert found.summary().loc["all", "charge"] == pytest.approx(found.charge)
    assert found.plot().get_xlabel() == "spot move, %"


def test_expansion_error_vanishes_with_the_move(make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-27DEC24-65000-C": -3})
    errors = []
    for reach in (0.04, 0.02, 0.01):
        frame = greek_charges(account, market, price_range=reach).to_frame()
        errors.append(float(frame["error"].abs().max()))
    # third order: halving the move takes an eighth
    assert np.diff(np.log2(errors)) == pytest.approx([-3.0, -3.0], abs=0.4)


def test_order_and_size_of_the_book(make_account: Make, market: MarketSnapshot) -> None:
    held = {"BTC-28JUN24-65000-C": -3, "BTC-PERPETUAL": 500}
    one = greek_charges(make_account(held), market, price_range=0.15, vol_up=0.4)
    turned = greek_charges(make_account(dict(reversed(held.items()))), market, price_range=0.15, vol_up=0.4)
    double = greek_charges(
        make_account({k: 2 * v for k, v in held.items()}), market, price_range=0.15, vol_up=0.4
    )
    assert turned.charge == pytest.approx(one.charge, rel=1e-12)
    assert double.charge == pytest.approx(2.0 * one.charge, rel=1e-9)


def test_bad_input_is_named(make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-PERPETUAL": 1})
    with pytest.raises(DataGapError, match="has no position"):
        greek_charges(make_account({}, {"BTC": 1.0}), market, price_range=0.1)
    with pytest.raises(DataGapError, match="no price range of BTC"):
        greek_charges(account, market, price_range={"ETH": 0.1})
    with pytest.raises(ParameterError, match="price range of BTC is 15"):
        greek_charges(account, market, price_range=15)
    with pytest.raises(ParameterError, match=r"vol_down is -0\.1"):
        greek_charges(account, market, price_range=0.1, vol_down=-0.1)
