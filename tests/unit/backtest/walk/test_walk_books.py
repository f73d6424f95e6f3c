"""Books that go through the dates together: the bits of each by itself."""

from __future__ import annotations

import pandas as pd
import pytest

from pmkit.backtest import ConstantBook, RolledBook, walk_books, walk_forward
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.market import load_history
from pmkit.market.history import PriceHistory

SPAN = {"start": "2021-03-01", "end": "2021-03-20", "refit_every": 10, "engine": "newton", "n_paths": 400}


@pytest.fixture(scope="module")
def two() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


@pytest.mark.parametrize("model", ["hs", "fhs", "fhs-joint", "evt", "ewma-normal", "matrix"])
def test_each_book_gets_the_bits_that_it_gets_alone(two, model):
    straddle = ConstantBook.preset("short_straddle_30d")
    rolled = RolledBook(legs=straddle, anchor="2021-03-01", hold_days=10)
    given = {
        "spread": ("btc_eth_spread", None),
        "low": (straddle, "low"),
        "rolled": (rolled, "base"),
        "high": (straddle, "high"),
        "long": ("long_btc", None),
        "coin": (ConstantBook.preset("short_straddle_30d", numeraire="BTC"), "low"),
    }
    found = walk_books(
        {name: book if path is None else (book, path) for name, (book, path) in given.items()},
        two,
        model,
        **SPAN,
    )
    assert list(found) == list(given)
    for name, (book, path) in given.items():
        alone = walk_forward(book, two, model, vol_path=path, **SPAN)
        pd.testing.assert_frame_equal(found[name].frame, alone.frame, check_exact=True)
        pd.testing.assert_frame_equal(found[name].refits, alone.refits, check_exact=True)
        assert found[name].provenance.id == alone.provenance.id
        assert (found[name].title, found[name].warnings) == (alone.title, alone.warnings)


def test_horizons_of_days_and_stale_forecasts_go_along(two):
    options = {**SPAN, "horizon": 2, "shift": 1}
    found = walk_books({"a": "long_btc", "b": ("long_straddle_30d", "low")}, two, "fhs", **options)
    alone = walk_forward("long_straddle_30d", two, "fhs", vol_path="low", **options)
    pd.testing.assert_frame_equal(found["b"].frame, alone.frame, check_exact=True)


def test_what_is_refused(two):
    with pytest.raises(ParameterError, match="there is no book"):
        walk_books({}, two)
    with pytest.raises(ParameterError, match="the model is a object"):
        walk_books({"a": "long_btc"}, two, object())
    with pytest.raises(ParameterError, match="option 'checkpoint' is given"):
        walk_books({"a": "long_btc"}, two, "hs", checkpoint="walk.json")
    with pytest.raises(ConventionError, match="the book is a int"):
        walk_books({"a": 5}, two, "hs")
    with pytest.raises(ParameterError, match="no preset book 'short_gamma'"):
        walk_books({"a": "short_gamma"}, two, "hs")
