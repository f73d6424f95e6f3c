"""Collateral revalued with the book, reporting currencies, and the identity of coin and USD profit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.instruments import Instrument, Portfolio, Position
from pmkit.margin import Account
from pmkit.market import MarketSnapshot
from pmkit.risk import CurrencyMoves, PnLCube, revalue
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SPOT, future, option
from tests.unit.risk.test_moved_factors import every_factor, one, rich


def portfolio(*lines: tuple[Instrument, float], entry: float | None = None) -> Portfolio:
    return Portfolio(
        positions=tuple(
            Position(instrument=i, qty=q, entry_price=None if i.kind == "option" else entry) for i, q in lines
        ),
        as_of=pd.Timestamp(AS_OF),
    )


@pytest.fixture(scope="module")
def market() -> MarketSnapshot:
    return rich()


@pytest.fixture(scope="module")
def cube(market: MarketSnapshot) -> PnLCube:
    held = [option("BTC", MONTH, 66_000.0, "C"), option("BTC", FAR, 50_000.0, "P", "linear")]
    held += [option("ETH", FAR, 3_500.0, "C")]
    held += [future(u, e, s) for u in SPOT for e in (FAR, None) for s in ("inverse", "linear")]
    return revalue(held, market, every_factor("sticky_moneyness", 1.0))


def test_coins_follow_spot_and_stablecoins_their_fx(cube: PnLCube) -> None:
    found = cube.collateral_pnl({"BTC": 2.0, "ETH": -1.0, "USDC": 1e4, "USDT": 5e3, "USD": 7.0})
    expected = 2.0 * (cube.spot1["BTC"] - 60_000.0) - (cube.spot1["ETH"] - 3_000.0)
    expected = expected + 1e4 * (cube.fx1["USDC"] - 0.998)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.ptp(cube.fx1["USDC"]) > 0.01 and "USDT" not in cube.fx1


def test_collateral_and_positions_add_up(cube: PnLCube) -> None:
    book = portfolio((cube.instruments[0], -3.0), (cube.instruments[1], 40.0), (cube.instruments[5], -900.0))
    cash = {"BTC": 1.5, "USDC": 2e4}
    for numeraire in ("USD", "USDT", "USDC", "BTC", "ETH"):
        whole = cube.account_pnl(book, balances=cash, numeraire=numeraire)
        parts = cube.account_pnl(book, numeraire=numeraire) + cube.collateral_pnl(cash, numeraire=numeraire)
        np.testing.assert_allclose(whole, parts, rtol=1e-9, atol=1e-9 * np.abs(whole).max())


def test_worth_in_any_currency_is_the_same_worth(cube: PnLCube) -> None:
    """(E_N + profit in N) X_N' = E + profit in USD, whichever currency the account is counted in."""
    book = portfolio((cube.instruments[0], -3.0), (cube.instruments[1], 40.0), (cube.instruments[2], 5.0))
    cash = {"BTC": 1.5, "USDC": 2e4}
    worth = 1.5 * 60_000.0 + 2e4 * 0.998
    worth += -3.0 * cube.base_usd[0] + 40.0 * cube.base_usd[1] + 5.0 * cube.base_usd[2]
    dollars = worth + cube.account_pnl(book, balances=cash)
    for coin, before, after in (
        ("BTC", 60_000.0, cube.spot1["BTC"]),
        ("ETH", 3_000.0, cube.spot1["ETH"]),
        ("USDC", 0.998, cube.fx1["USDC"]),
    ):
        counted = worth / before + cube.account_pnl(book, balances=cash, numeraire=coin)
        np.testing.assert_allclose(counted * after, dollars, rtol=1e-12)
    same = cube.account_pnl(book, balances=cash, numeraire="USDT")
    assert same.tobytes() == cube.account_pnl(book, balances=cash).tobytes()


def test_unit_identity_of_coin_and_dollar_profit(cube: PnLCube) -> None:
    """unit_usd = unit_coin S' + base_coin (S' - S) for every coin-settled contract."""
    coin_settled = [r for r, i in enumerate(cube.instruments) if i.is_inverse]
    assert len(coin_settled) == 6
    for row in coin_settled:
        name = cube.instruments[row].underlying
        after, before = cube.spot1[name], cube.spot0[name]
        rebuilt = cube.unit_coin[row] * after + cube.base_coin[row] * (after - before)
        scale = 1e-13 * max(1.0, float(np.abs(cube.unit_usd[row]).max()))
        np.testing.assert_allclose(cube.unit_usd[row], rebuilt, rtol=1e-9, atol=scale)


def test_an_account_brings_its_balances_along(cube: PnLCube, market: MarketSnapshot) -> None:
    perpetual = next(i for i in cube.instruments if i.kind == "perpetual" and i.is_inverse)
    book = portfolio((perpetual, 3_000.0), (cube.instruments[0], -2.0), entry=50_000.0)
    account = Account(portfolio=book, collateral={"BTC": 0.8, "USDC": 1_000.0})
    balances = account.balances(market)
    assert balances["BTC"] == pytest.approx(0.8 + 30_000.0 * (1 / 50_000.0 - 1 / 60_012.0))
    for numeraire in ("USD", "BTC"):
        found = cube.account_pnl(account, numeraire=numeraire)
        assert found.tobytes() == cube.account_pnl(book, balances=balances, numeraire=numeraire).tobytes()
    with pytest.raises(ConventionError, match="an account and balances besides"):
        cube.account_pnl(account, balances={"BTC": 1.0})
    with pytest.raises(DataGapError, match="the cube holds no snapshot"):
        replace(cube, snapshot=None).account_pnl(account)


def test_the_currency_an_account_is_counted_in_changes_its_risk(market: MarketSnapshot) -> None:
    """Coins are riskless counted in coins; dollars are not, and a hedge of one is no hedge of the other."""
    scen = one({("spot", "BTC"): math.log(0.5)})
    cube = revalue([future("BTC", None)], market, scen)
    empty = portfolio()
    assert cube.account_pnl(empty, balances={"BTC": 2.0}, numeraire="BTC").tolist() == [0.0]
    assert cube.account_pnl(empty, balances={"BTC": 2.0}).tolist() == [-60_000.0]
    assert cube.collateral_pnl({"USD": 60_000.0}, numeraire="BTC").tolist() == [1.0]


def test_errors(cube: PnLCube) -> None:
    with pytest.raises(ConventionError, match=r"collateral currency 'EUR' has no price.*USDT, BTC, ETH"):
        cube.collateral_pnl({"EUR": 1.0})
    with pytest.raises(ConventionError, match="numeraire currency 'SOL' has no price"):
        cube.collateral_pnl({"BTC": 1.0}, numeraire="SOL")
    with pytest.raises(ParameterError, match="collateral in BTC is nan"):
        cube.collateral_pnl({"BTC": math.nan})
    with_euro = revalue([future("BTC", None)], rich(fx={"EUR": 1.1}), one({("spot", "BTC"): 0.1}))
    with pytest.raises(DataGapError, match="no factor of the collateral currency EUR"):
        with_euro.collateral_pnl({"EUR": 1.0})
    assert with_euro.collateral_pnl({"EUR": 0.0}).tolist() == [0.0]


def test_a_stablecoin_off_its_peg_that_does_not_move() -> None:
    still = revalue([future("BTC", None)], rich(), one({("spot", "BTC"): 0.1}))
    assert still.collateral_pnl({"USDC": 1_000.0}).tolist() == [0.0]
    gain = still.collateral_pnl({"BTC": 1.0}, numeraire="USDC")
    np.testing.assert_allclose(gain, 60_000.0 * math.expm1(0.1) / 0.998, rtol=1e-9)
    money: CurrencyMoves = still.money
    assert money.after("USDC") is None and money.before("USDC") == 0.998
    assert money.is_dollar("USDT") and not money.is_dollar("USDC")
