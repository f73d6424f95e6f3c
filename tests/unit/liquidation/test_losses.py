"""Auction slices, auto-deleveraging and the waterfall: formulas, sums, order, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.liquidation import (
    adl_score,
    auction_fraction,
    auction_price,
    bankruptcy_price,
    deleverage,
    liquidation_buffer,
    waterfall,
)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(
    value=st.floats(10.0, 1e6),
    deficit=st.floats(0.001, 1.0),
    share=st.floats(0.0, 0.3),
    discount=st.floats(0.05, 0.95),
    reserved=st.floats(0.0, 0.5),
)
def test_a_slice_brings_the_buffer_to_nothing(
    value: float, deficit: float, share: float, discount: float, reserved: float
) -> None:
    cash = reserved * value
    buffer = liquidation_buffer(-deficit * value, value, share)
    f = auction_fraction(buffer, value, discount, cash)
    assert 0.0 < f <= 1.0
    # the bidder takes f of everything but the reserve, and pays f d of its value
    after = (1.0 - f) * (buffer - cash) + cash + f * discount * (value - cash)
    assert after == pytest.approx(0.0, abs=1e-9 * value)


def test_auction_price_falls_in_two_phases() -> None:
    prices = [auction_price(m, 1_000.0, 100.0) for m in (0.0, 15.0, 375.0, 735.0, 1e4)]
    assert prices == pytest.approx([855.0, 630.0, 315.0, 0.0, 0.0])
    assert auction_fraction(0.0, 100.0, 0.9) == 0.0
    # an account whose value does not pay for its deficit goes as a whole
    assert auction_fraction(-100.0, -500.0, 0.5) == 1.0


BOOK = pd.DataFrame(
    {
        "account": ["a", "b", "c", "d"],
        "qty": [-1.0, -2.0, -4.0, 3.0],
        "entry": [120.0, 110.0, 60.0, 90.0],
        "balance": [10.0, 200.0, 400.0, 50.0],
    }
)


def test_the_most_profitable_and_levered_go_first() -> None:
    found = deleverage(BOOK, 2.5, 80.0, 78.0)
    found.check()
    assert list(found.table.index) == ["a", "b", "c"]
    assert found.table["closed"].to_list() == [1.0, 1.5, 0.0] and found.open == 0.0
    # shorts that would have bought back at 78 are closed at 80
    assert found.table["given_up"].to_list() == pytest.approx([2.0, 3.0, 0.0])
    # equity of a: 10 + 42 against 78 of value
    assert found.table.loc["a", "score"] == pytest.approx((42.0 / 120.0) * 78.0 / 52.0)
    assert found.table.loc["c", "score"] < 0.0
    assert found.plot().get_xlabel() == "coins"


@settings(derandomize=True, max_examples=60, deadline=None)
@given(size=st.floats(0.01, 20.0), side=st.sampled_from([-1.0, 1.0]))
def test_coins_are_closed_up_to_what_there_is(size: float, side: float) -> None:
    found = deleverage(BOOK, side * size, 80.0, 78.0)
    found.check()
    there = 7.0 if side > 0.0 else 3.0
    assert math.fsum(found.table["closed"]) == pytest.approx(min(size, there))
    assert found.open == pytest.approx(max(size - there, 0.0))


def test_scores_and_bankruptcy_by_hand() -> None:
    assert bankruptcy_price(2.0, 100.0, 40.0) == 80.0
    assert math.isnan(bankruptcy_price(1.0, 100.0, 150.0))
    # score by the venue's definition: value over value less bankruptcy value
    qty, entry, balance, mark = 1.0, 100.0, 20.0, 110.0
    leverage = mark / (mark - bankruptcy_price(qty, entry, balance))
    assert adl_score(qty, entry, balance, mark) == pytest.approx(0.1 * leverage)
    assert adl_score(qty, entry, -10.0, mark) == math.inf


@settings(derandomize=True, max_examples=60, deadline=None)
@given(loss=st.floats(0.0, 1e6), layers=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=5))
def test_layers_pay_in_order_and_the_sum_is_the_loss(loss: float, layers: list[float]) -> None:
    found = waterfall(loss, {f"layer {i}": x for i, x in enumerate(layers)})
    found.check()
    assert found.uncovered == pytest.approx(max(loss - sum(layers), 0.0), abs=1e-6)
    paid = found.table["paid"].to_list()
    for i, amount in enumerate(paid[1:], start=1):
        assert amount == 0.0 or paid[i - 1] == pytest.approx(layers[i - 1])


def test_the_last_layer_may_be_open_ended() -> None:
    found = waterfall(100.0, {"fund": 30.0, "socialised": math.inf})
    assert found.uncovered == 0.0 and found.plot().get_xlabel() == "USD"


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: waterfall(-1.0, {"fund": 1.0}), ParameterError, "loss is -1"),
    (lambda: waterfall(1.0, {}), DataGapError, "there is no layer"),
    (lambda: waterfall(1.0, {"fund": -1.0}), ParameterError, "layer 'fund' is -1"),
    (
        lambda: deleverage(BOOK.drop(columns="entry"), 1.0, 80.0, 78.0),
        SchemaError,
        "positions without 'entry'",
    ),
    (lambda: deleverage(pd.concat([BOOK, BOOK]), 1.0, 80.0, 78.0), SchemaError, "an account is there twice"),
    (lambda: deleverage(BOOK, 0.0, 80.0, 78.0), ParameterError, "size is 0"),
    (lambda: deleverage(BOOK, 1.0, -80.0, 78.0), ParameterError, "price is -80"),
    (lambda: adl_score(0.0, 1.0, 1.0, 1.0), ParameterError, "qty is 0"),
    (lambda: bankruptcy_price(1.0, 0.0, 1.0), ParameterError, "entry is 0"),
    (lambda: auction_price(-1.0, 1.0), ParameterError, "minutes is -1"),
    (lambda: auction_price(1.0, 1.0, start=0.5, middle=0.7), ParameterError, "middle 0.7 above start"),
    (lambda: auction_fraction(1.0, 1.0, 0.5), ParameterError, "buffer is 1"),
    (lambda: liquidation_buffer(-1.0, 1.0, 5.0), ParameterError, "share is 5"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
