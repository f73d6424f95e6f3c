"""A book hedged anew on the past: by hand, without a look ahead, walked forward, and bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import ConstantBook, walk_forward
from pmkit.core.errors import ParameterError
from pmkit.market import PriceHistory, load_history
from pmkit.optimize import HedgedBook, walk_hedge
from pmkit.risk import expected_shortfall

ROWS = [
    {"underlying": "BTC", "kind": "perpetual", "weight": 0.0},
    {"underlying": "ETH", "kind": "perpetual", "weight": 1.0},
]
BOOK = ConstantBook.from_legs(ROWS, name="ether")


@pytest.fixture(scope="module")
def history() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


class Past:
    """A view of prices up to a date, written plainly."""

    underlyings = ("BTC", "ETH")

    def __init__(self, prices: pd.DataFrame) -> None:
        self.frame, self.position, self.as_of = prices, len(prices) - 1, prices.index[-1]

    def returns(self, last: int | None = None) -> np.ndarray:
        return np.diff(np.log(self.frame.to_numpy()), axis=0)[-(last or 0) :]

    def dates(self, last: int | None = None) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.frame.index)

    def until(self, date: object) -> Past:
        return Past(self.frame.loc[:date])

    def iv(self) -> np.ndarray:
        return np.array([0.6, 0.8])


def test_weights_are_those_of_a_walked_hedge(history: PriceHistory) -> None:
    prices = history.prices
    view = Past(prices.iloc[:421])  # position 420 is a date of decision
    hedged = HedgedBook(book=BOOK, most={0: 2.0}, window=200, every=20)
    found = hedged.weights(view)
    simple = prices.pct_change().iloc[1:]
    walked = walk_hedge(simple.iloc[: 420 + 1], pd.Series({"ETH": 1.0}), most=pd.Series({"BTC": 2.0}),
                        window=200, every=20)  # fmt: skip
    past = simple.iloc[220:420]
    unit = past.to_numpy()
    by_hand = expected_shortfall(unit @ found, 0.95).value
    for other in np.linspace(-2.0, 2.0, 81):
        assert expected_shortfall(unit @ np.array([other, 1.0]), 0.95).value >= by_hand - 1e-12
    assert found[1] == 1.0
    assert -2.0 <= found[0] < 0.0
    assert walked.hedges["BTC"].between(-2.0, 0.0).all()


def test_decisions_stand_and_see_the_past_only(history: PriceHistory) -> None:
    prices = history.prices
    hedged = HedgedBook(book=BOOK, most={0: 2.0}, window=100, every=20)
    first, later, next_one = (hedged.weights(Past(prices.iloc[:n])) for n in (401, 419, 421))
    assert first.tolist() == later.tolist()
    assert first.tolist() != next_one.tolist()
    changed = prices.copy()
    changed.iloc[401:] *= 3.0
    assert hedged.weights(Past(changed.iloc[:419])).tolist() == first.tolist()


def test_walk_forward_judges_the_hedge(history: PriceHistory) -> None:
    hedged = HedgedBook(book=BOOK, most={0: 2.0}, window=250, every=30)
    span = ("2022-05-01", "2022-08-31")
    with_hedge = walk_forward(hedged, history, "hs", *span)
    without = walk_forward(BOOK, history, "hs", *span)
    assert with_hedge.frame["pnl"].std() < 0.7 * without.frame["pnl"].std()
    assert with_hedge.frame["var"].mean() < without.frame["var"].mean()
    assert hedged.name == "ether, hedged every 30 days"
    assert hedged.fingerprint != replace(hedged, every=20).fingerprint
    assert hedged.get_state() == {}
    hedged.set_state({})


def test_options_can_hedge(history: PriceHistory) -> None:
    put = {"underlying": "ETH", "kind": "option", "weight": 0.0, "tenor_days": 30, "is_call": False}
    book = ConstantBook.from_legs([*ROWS, put])
    found = HedgedBook(book=book, most={2: 0.5}).weights(Past(history.prices.iloc[:400]))
    assert found[0] == 0.0
    assert found[2] == pytest.approx(0.5)


def test_books_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"most is \{5: 1.0\} for 2 legs"):
        HedgedBook(book=BOOK, most={5: 1.0})
    with pytest.raises(ParameterError, match=r"most is \{\} for 2 legs"):
        HedgedBook(book=BOOK, most={})
    with pytest.raises(ParameterError, match="is hedged against its delta already"):
        HedgedBook(book=replace(BOOK, delta_hedged=True), most={0: 1.0})
    with pytest.raises(ParameterError, match="at least one date beyond"):
        HedgedBook(book=BOOK, most={0: 1.0}, window=10)
