"""The constant book: legs, P&L by full revaluation in USD and in coin, the hedge, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.backtest import ConstantBook, Leg
from pmkit.backtest.walk.legs import PRESETS
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.pricing import black76, black76_inverse
from pmkit.scenarios import TermScaling

MOVES = np.array([-0.3, -0.05, 0.0, 0.02, 0.25])
IV1 = np.array([0.9, 0.75, 0.7, 0.68, 0.8])


def option(weight=1.0, is_call=True, moneyness=1.0, tenor=30.0, underlying="BTC"):
    return Leg(
        underlying=underlying,
        kind="option",
        weight=weight,
        tenor_days=tenor,
        moneyness=moneyness,
        is_call=is_call,
        settlement="inverse",
    )


def perpetual(weight=1.0, underlying="BTC"):
    return Leg(underlying=underlying, kind="perpetual", weight=weight, settlement="inverse")


def test_a_future_earns_the_simple_return_in_usd_and_the_inverse_one_in_coin():
    usd = ConstantBook.preset("long_btc").pnl(MOVES, [np.nan], MOVES, 1.0)
    coin = ConstantBook.preset("long_btc", numeraire="BTC").pnl(MOVES, [np.nan], MOVES, 1.0)
    np.testing.assert_allclose(usd, np.exp(MOVES) - 1.0, rtol=1e-14)
    np.testing.assert_allclose(coin, 1.0 - np.exp(-MOVES), rtol=1e-14)
    # Coins earned are worth the new price: both numeraires tell one story.
    np.testing.assert_allclose(coin * np.exp(MOVES), usd, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("moneyness", [0.8, 1.0, 1.3])
def test_an_option_is_revalued_in_full(is_call, moneyness):
    book = ConstantBook(name="one", legs=(option(-2.0, is_call, moneyness),))
    found = book.pnl(MOVES, [0.7], IV1, 3.0)
    before = black76(60_000.0, 60_000.0 * moneyness, 30 / 365, 0.7, is_call=is_call)
    after = black76(60_000.0 * np.exp(MOVES), 60_000.0 * moneyness, 27 / 365, IV1, is_call=is_call)
    np.testing.assert_allclose(found, -2.0 * (after - before) / 60_000.0, rtol=0, atol=1e-13)


def test_an_inverse_option_counted_in_coin_is_revalued_in_coin():
    book = ConstantBook(name="one", legs=(option(1.0, False, 0.9),), numeraire="BTC")
    before = black76_inverse(1.0, 0.9, 30 / 365, 0.7, is_call=False)
    after = black76_inverse(np.exp(MOVES), 0.9, 29 / 365, IV1, is_call=False)
    np.testing.assert_allclose(book.pnl(MOVES, [0.7], IV1, 1.0), after - before, rtol=0, atol=1e-13)
    assert book.value([0.7]) == pytest.approx(before, rel=1e-12)


@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
@pytest.mark.parametrize("name", ["short_straddle_30d", "risk_reversal_30d", "calendar_30d_90d"])
def test_the_hedge_takes_the_slope_at_the_close_away(name, numeraire):
    book = ConstantBook.preset(name, numeraire=numeraire)
    step, still = 1e-4, np.full(2, 0.7)
    up, down = book.pnl(np.array([step, -step]), [0.7], still, 0.0)
    bare = ConstantBook(name=name, legs=book.legs, numeraire=numeraire)
    bare_up, bare_down = bare.pnl(np.array([step, -step]), [0.7], still, 0.0)
    assert abs(up - down) / (2 * step) < 1e-6
    assert abs(bare_up - bare_down) / (2 * step) > 0.02
    assert bare.hedge([0.7]).tolist() == [0.0]


def test_parity_a_long_call_and_a_short_put_are_a_future():
    book = ConstantBook(name="synthetic", legs=(option(1.0, True), option(-1.0, False)))
    np.testing.assert_allclose(book.pnl(MOVES, [0.7], IV1, 1.0), np.expm1(MOVES), rtol=0, atol=1e-13)
    assert book.value([0.7]) == pytest.approx(0.0, abs=1e-14)


def test_vol_moves_reach_other_tenors_by_their_law():
    term = TermScaling(short_power=0.3, long_power=0.13)
    book = ConstantBook(name="week", legs=(option(tenor=7.0),))
    scaled = 0.7 * (IV1 / 0.7) ** term.scale(7.0)
    np.testing.assert_array_equal(
        book.pnl(MOVES, [0.7], IV1, 1.0, vol_term=term), book.pnl(MOVES, [0.7], scaled, 1.0)
    )
    assert not np.array_equal(book.pnl(MOVES, [0.7], IV1, 1.0), book.pnl(MOVES, [0.7], scaled, 1.0))


def test_underlyings_move_apart():
    book = ConstantBook(name="two", legs=(perpetual(1.0, "ETH"), perpetual(-1.0, "BTC")))
    assert book.underlyings == ("ETH", "BTC")
    moves = np.array([[0.1, 0.0], [0.0, 0.1]])
    np.testing.assert_allclose(
        book.pnl(moves, [np.nan, np.nan], moves, 1.0), [math.expm1(0.1), -math.expm1(0.1)]
    )


@settings(max_examples=30)
@given(st.floats(-5, 5), st.floats(-0.5, 0.5), st.floats(0.05, 3.0))
def test_pnl_is_linear_in_the_weights(scale, move, vol):
    legs = (perpetual(1.0), option(-1.0, False, 0.9))
    one = ConstantBook(name="one", legs=legs).pnl([move], [0.7], [vol], 1.0)[0]
    scaled = (perpetual(scale), option(-scale, False, 0.9))
    many = ConstantBook(name="many", legs=scaled).pnl([move], [0.7], [vol], 1.0)[0]
    assert many == pytest.approx(scale * one, rel=1e-10, abs=1e-14)


def test_a_short_straddle_earns_time_and_loses_on_large_moves():
    pnl = ConstantBook.preset("short_straddle_30d").pnl(MOVES, [0.7], np.full(5, 0.7), 1.0)
    assert pnl[2] > 0.0
    assert pnl[0] < 0.0
    assert pnl[-1] < 0.0


def test_legs_come_from_mappings_and_frames_alike():
    rows = [
        {"underlying": "BTC", "kind": "perpetual", "weight": 0.5},
        {
            "underlying": "BTC",
            "kind": "option",
            "weight": -1.0,
            "tenor_days": 30.0,
            "is_call": True,
            "moneyness": 1.1,
        },
    ]
    books = [ConstantBook.from_legs(rows), ConstantBook.from_legs(pd.DataFrame(rows))]
    assert books[0].fingerprint == books[1].fingerprint
    assert [leg.label for leg in books[1].legs] == ["+0.5 BTC perpetual", "-1 BTC call 30d K/F 1.1"]
    assert books[0].fingerprint != ConstantBook.from_legs(rows, delta_hedged=True).fingerprint


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_has_pnl_and_a_display(name):
    book = ConstantBook.preset(name)
    still = np.zeros((1, len(book.underlyings)))
    vols = [0.7] * len(book.underlyings)
    assert book.pnl(still, vols, np.array([vols]), 0.0)[0] == pytest.approx(0.0, abs=1e-15)
    assert name in repr(book)
    assert len(book.to_frame()) == len(book.legs)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ConstantBook(name="none", legs=()), ParameterError, "book 'none' has no legs"),
        (lambda: ConstantBook.preset("long_doge"), ParameterError, "no preset book 'long_doge'.*long_btc"),
        (
            lambda: ConstantBook(name="x", legs=(perpetual(1.0, "ETH"),), numeraire="BTC"),
            ConventionError,
            r"leg \+1 ETH perpetual \(inverse\) in a book counted in BTC",
        ),
        (
            lambda: ConstantBook.from_legs([{"underlying": "BTC", "kind": "perpetual", "size": 1}]),
            SchemaError,
            "leg 0 has unknown field 'size'",
        ),
        (
            lambda: ConstantBook.from_legs([{"underlying": "BTC", "weight": 1}]),
            SchemaError,
            "leg 0 has no field 'kind'",
        ),
        (
            lambda: Leg(underlying="BTC", kind="swap", weight=1.0),
            ParameterError,
            "kind of leg is 'swap'",
        ),
        (
            lambda: Leg(underlying="BTC", kind="option", weight=1.0),
            ParameterError,
            "BTC option with tenor_days=None and is_call=None",
        ),
        (
            lambda: Leg(underlying="BTC", kind="perpetual", weight=1.0, tenor_days=3),
            ParameterError,
            "perpetual has a tenor",
        ),
        (lambda: perpetual(math.nan), ParameterError, "weight of the BTC perpetual is nan"),
        (lambda: option(tenor=-1), ParameterError, "tenor_days of the BTC option is -1"),
        (lambda: option(moneyness=0.0), ParameterError, "moneyness of the BTC option is 0.0"),
        (
            lambda: Leg(underlying="BTC", kind="future", weight=1.0, settlement="quanto"),
            ParameterError,
            "settlement is 'quanto'",
        ),
        (
            lambda: ConstantBook.preset("short_straddle_30d").pnl(MOVES, [0.7], IV1, 30.0),
            ParameterError,
            "a horizon of 30 days reaches the expiry of a 30-day option",
        ),
        (
            lambda: ConstantBook.preset("btc_eth_spread").pnl(MOVES, [0.7, 0.7], MOVES, 1.0),
            ParameterError,
            r"log_returns has shape \(5,\)",
        ),
        (
            lambda: ConstantBook.preset("short_straddle_30d").pnl(MOVES, [0.7], IV1[:2], 1.0),
            ParameterError,
            "iv0 has 1 values and iv1 shape",
        ),
    ],
)
def test_what_a_book_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
