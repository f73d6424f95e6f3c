"""Accounts from the cube: the synthetic dollar, numeraires, lines, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.instruments import Instrument, Portfolio, Position
from pmkit.margin.accounts.account import STABLECOINS as ACCOUNT_STABLECOINS
from pmkit.market import MarketSnapshot
from pmkit.risk import STABLECOINS, PnLCube, revalue
from pmkit.scenarios import grid
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SPOT, future, option, random_scenarios


def portfolio(*lines: tuple[Instrument, float]) -> Portfolio:
    return Portfolio(
        positions=tuple(Position(instrument=i, qty=q) for i, q in lines), as_of=pd.Timestamp(AS_OF)
    )


@pytest.fixture(scope="module")
def cube(instruments: list[Instrument], snapshot: MarketSnapshot) -> PnLCube:
    return revalue(instruments, snapshot, random_scenarios("sticky_moneyness"))


@settings(max_examples=25)
@given(st.integers(1, 10**6), st.floats(1_000.0, 200_000.0))
def test_synthetic_dollar_loses_nothing(contracts: int, spot: float) -> None:
    """Coins and a short inverse perpetual of equal value are dollars, whatever the spot does."""
    snap = MarketSnapshot.from_marks(AS_OF, {"BTC": spot})
    scen = grid(np.linspace(-0.9, 5.0, 60), dynamics="sticky_strike", underlyings=["BTC"])
    hedge = future("BTC", None)
    notional = contracts * hedge.multiplier
    book = portfolio((hedge, -float(contracts)))
    pnl = revalue(book, snap, scen).account_pnl(book, balances={"BTC": notional / spot})
    assert np.abs(pnl).max() <= 1e-12 * notional


def test_account_is_the_sum_of_its_lines(cube: PnLCube, book: Portfolio) -> None:
    by_hand = np.zeros(len(cube))
    for row, position in enumerate(book):
        by_hand += position.qty * cube.unit_usd[row]
    np.testing.assert_allclose(cube.account_pnl(book), by_hand, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(cube.line_pnl(book).sum(axis=0), by_hand, rtol=1e-9, atol=1e-6)


def test_part_of_the_book_in_another_order(cube: PnLCube, book: Portfolio) -> None:
    some = book.with_positions([book.positions[i] for i in (7, 2, 5)])
    np.testing.assert_array_equal(cube.line_pnl(some), cube.unit_usd[[7, 2, 5]] * some.quantities[:, None])


def test_balances(cube: PnLCube) -> None:
    empty = portfolio()
    assert (cube.account_pnl(empty, balances={"USD": 1.0, "USDC": -2.0, "USDT": 3.0}) == 0.0).all()
    coins = cube.account_pnl(empty, balances={"BTC": 2.0, "ETH": -1.0})
    expected = 2.0 * (cube.spot1["BTC"] - SPOT["BTC"]) - (cube.spot1["ETH"] - SPOT["ETH"])
    np.testing.assert_allclose(coins, expected, rtol=1e-12)


def test_coin_numeraire_is_the_sum_of_coin_profits_for_a_coin_account(cube: PnLCube, book: Portfolio) -> None:
    own = [p for p in book if p.instrument.is_inverse and p.instrument.underlying == "BTC"]
    coin_book = book.with_positions(own)
    direct = cube.account_pnl(coin_book, balances={"BTC": 3.0}, numeraire="BTC")
    rows = [i for i, p in enumerate(book) if p in own]
    expected = sum(p.qty * cube.unit_coin[r] for p, r in zip(own, rows, strict=True))
    np.testing.assert_allclose(direct, expected, rtol=1e-12, atol=1e-9)
    # the general formula, forced by a stablecoin balance of almost nothing, says the same
    general = cube.account_pnl(coin_book, balances={"BTC": 3.0, "USDC": 1e-12}, numeraire="BTC")
    np.testing.assert_allclose(general, direct, rtol=1e-9, atol=1e-9)
    assert (cube.account_pnl(portfolio(), balances={"BTC": 3.0}, numeraire="BTC") == 0.0).all()


def test_dollars_lose_coins_when_the_coin_rises(cube: PnLCube) -> None:
    pnl = cube.account_pnl(portfolio(), balances={"USDC": 60_000.0}, numeraire="BTC")
    np.testing.assert_allclose(pnl, 60_000.0 / cube.spot1["BTC"] - 1.0, atol=1e-14)


def test_lines_in_coin(cube: PnLCube, book: Portfolio) -> None:
    lines = cube.line_pnl(book, numeraire="BTC")
    for at, position in enumerate(book):
        alone = book.with_positions([position])
        np.testing.assert_allclose(
            lines[at], cube.account_pnl(alone, numeraire="BTC"), rtol=1e-12, atol=1e-12
        )


def test_present_values(cube: PnLCube, book: Portfolio, snapshot: MarketSnapshot) -> None:
    for row, position in enumerate(book):
        i = position.instrument
        if i.kind == "option":
            mark = snapshot.mark(i).price * i.multiplier
            assert cube.base_usd[row] == pytest.approx(
                mark * (SPOT[i.underlying] if i.is_inverse else 1.0), rel=1e-9
            )
            assert cube.base_coin[row] == pytest.approx(mark if i.is_inverse else 0.0, rel=1e-9)
        elif i.kind == "spot":
            assert cube.base_usd[row] == SPOT["BTC"]
        else:
            assert cube.base_usd[row] == cube.base_coin[row] == 0.0


def test_errors(cube: PnLCube, snapshot: MarketSnapshot) -> None:
    stranger = portfolio((option("BTC", MONTH, 12_345.0, "C"), 1.0))
    with pytest.raises(DataGapError, match="12345-C-inverse was not revalued"):
        cube.account_pnl(stranger)
    with pytest.raises(ConventionError, match="collateral currency 'SOL' has no price"):
        cube.account_pnl(portfolio(), balances={"SOL": 1.0})
    with pytest.raises(ConventionError, match="numeraire currency 'EUR' has no price"):
        cube.line_pnl(portfolio(), numeraire="EUR")
    only = revalue(
        [future("BTC", None)], snapshot, grid([0.1], dynamics="sticky_strike", underlyings=["BTC"])
    )
    with pytest.raises(DataGapError, match="no factor of the collateral currency ETH"):
        only.account_pnl(portfolio(), balances={"ETH": 1.0})
    assert only.account_pnl(portfolio(), balances={"ETH": 0.0}).tolist() == [0.0]


def test_arrays_are_frozen_and_display_is_deterministic(
    cube: PnLCube, book: Portfolio, snapshot: MarketSnapshot
) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cube.unit_usd[0, 0] = 1.0
    again = revalue(book, snapshot, random_scenarios("sticky_moneyness"))
    assert repr(cube) == repr(again) and cube.provenance.id == again.provenance.id
    assert cube.to_frame().shape == (300, len(book))
    assert STABLECOINS == ACCOUNT_STABLECOINS
    assert cube.summary().loc[f"BTC-{FAR:%d%b%y}-inverse", "value_usd"] == 0.0
