"""The filter: each check alone, the fixed order, the count of every dropped quote, and no way round it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.surface import FilteredQuotes, ForwardCurve, QuoteFilter, filter_quotes, forward_curve
from pmkit.surface.inputs.quote_filter import FILTER_ORDER
from tests.unit.surface.index_chains import make_chain

OPEN = QuoteFilter(
    min_bid_ticks=0.0, max_age="1000D", max_parity_gap=1e9, max_relative_spread=2.0, information_floor=0.0,
    max_vol_drop=1.0, min_delta=0.0, max_delta=1.0,
)  # fmt: skip


def chain(**faults: object) -> tuple[Quotes, ForwardCurve]:
    frame, _ = make_chain(days=(79,), **faults)  # type: ignore[arg-type]
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    return quotes, forward_curve(quotes, "SPX")


@pytest.fixture(scope="module")
def clean() -> tuple[Quotes, ForwardCurve]:
    return chain()


def change(quotes: Quotes, name: str, **cells: object) -> Quotes:
    frame = quotes.frame.copy()
    at = frame["instrument"] == name
    assert at.sum() == 1
    for column, value in cells.items():
        frame.loc[at, column] = value
    both = frame["bid"] <= frame["ask"]
    frame["mid"] = np.where(both, 0.5 * (frame["bid"] + frame["ask"]), np.nan)
    return replace(quotes, frame=frame)


def reason_of(found: FilteredQuotes, name: str) -> tuple[str, str]:
    row = found.ledger.set_index("instrument").loc[name]
    return str(row["reason"]), str(row["detail"])


CALL = "SPX-18SEP26-5400-C"


@pytest.mark.parametrize(
    ("cells", "reason", "detail"),
    [
        ({"bid": 60.0, "ask": 30.0}, "crossed", "bid 60 above ask 30"),
        ({"ask": np.nan}, "no_ask", "bid "),
        ({"bid": np.nan, "ask": np.nan}, "no_ask", "neither bid nor ask"),
        ({"bid": np.nan}, "zero_bid", "no bid, ask "),
        ({"bid": 0.05}, "zero_bid", "bid of 1 ticks"),
        ({"bid": 70.0, "ask": 71.0}, "stale", "parity missed by "),
        ({"bid": 10.0, "ask": 90.0}, "wide", "spread 1.600 of the mid"),
    ],
)
def test_each_price_check(
    cells: dict[str, float], reason: str, detail: str, clean: tuple[Quotes, ForwardCurve]
) -> None:
    quotes, curve = clean
    found = filter_quotes(change(quotes, CALL, **cells), curve)
    got = reason_of(found, CALL)
    assert got[0] == reason and got[1].startswith(detail)
    found.check()


def test_both_of_a_stale_pair_go(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    found = filter_quotes(change(quotes, CALL, bid=70.0, ask=71.0), curve)
    assert reason_of(found, CALL.replace("-C", "-P"))[0] == "stale"
    assert found.counts()["stale"] == 2


def test_stamps_make_quotes_stale(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    frame = quotes.frame.assign(quoted_at=quotes.as_of - pd.Timedelta("10min"))
    frame.loc[frame["instrument"] == CALL, "quoted_at"] = quotes.as_of - pd.Timedelta("16min")
    found = filter_quotes(replace(quotes, frame=frame), curve)
    assert reason_of(found, CALL) == ("stale", "quoted 16.0 minutes before")
    assert found.counts()["stale"] == 1
    frame.loc[frame["instrument"] == CALL, "quoted_at"] = pd.NaT
    unknown = filter_quotes(replace(quotes, frame=frame), curve)
    assert reason_of(unknown, CALL)[0] == "stale", "an unknown age among known ones is not fresh"
    with pytest.raises(DataGapError, match=r"none of \d+ SPX options .* passes \(.*\d+ stale"):
        filter_quotes(replace(quotes, frame=frame), curve, filter=QuoteFilter(max_age="5min"))


def test_below_intrinsic_and_above_the_bound(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    F, D = curve.quotes[next(iter(curve.quotes))].price, next(iter(curve.df.values()))
    low = D * (F - 3600.0) - 1.0
    itm = change(quotes, "SPX-18SEP26-3600-C", bid=low - 1.0, ask=low + 1.0)
    loose = replace(OPEN)
    assert reason_of(filter_quotes(itm, curve, filter=loose), "SPX-18SEP26-3600-C")[0] == "below_intrinsic"
    dear = change(quotes, CALL, bid=D * F + 1.0, ask=D * F + 2.0)
    assert reason_of(filter_quotes(dear, curve, filter=loose), CALL) == ("above_bound", "above_bound")


def test_a_vol_cliff_is_the_outer_quote(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    name = "SPX-18SEP26-4500-P"
    cheap = change(quotes, name, bid=0.10, ask=0.10)
    found = filter_quotes(cheap, curve, filter=replace(OPEN, max_vol_drop=0.3))
    reason, detail = reason_of(found, name)
    assert reason == "vol_cliff" and detail.endswith("times that of the strike nearer the money")
    assert found.counts()["vol_cliff"] == 1, "the strikes beyond are measured from the last good one"
    dear = change(quotes, name, bid=200.0, ask=200.0)
    assert (
        reason_of(filter_quotes(dear, curve, filter=replace(OPEN, max_vol_drop=0.3)), name)[0] == "vol_cliff"
    )


def test_the_delta_window_cuts_both_wings(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    wide, narrow = (
        filter_quotes(quotes, curve, filter=replace(OPEN, min_delta=d, max_delta=1.0 - d))
        for d in (0.01, 0.25)
    )
    F = next(iter(curve.quotes.values())).price
    for found in (wide, narrow):
        kept = found.quotes.frame["strike"]
        assert kept.min() < F < kept.max()
    assert len(narrow.quotes) < len(wide.quotes)
    assert set(narrow.ledger["reason"]) <= {"delta_window", "zero_bid", "no_ask", "below_intrinsic"}


def test_the_order_is_fixed(clean: tuple[Quotes, ForwardCurve]) -> None:
    """A quote that fails several checks stands with the first."""
    quotes, curve = clean
    # wide, stale and far below intrinsic at once: stale is checked first
    name = "SPX-18SEP26-4600-C"
    found = filter_quotes(change(quotes, name, bid=1.0, ask=40.0), curve)
    assert reason_of(found, name)[0] == "stale"
    assert list(found.counts()) == list(FILTER_ORDER)
    assert FILTER_ORDER.index("stale") < FILTER_ORDER.index("wide") < FILTER_ORDER.index("below_intrinsic")


def test_nothing_is_dropped_by_open_thresholds(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    found = filter_quotes(quotes, curve, filter=OPEN)
    usable = quotes.frame["mid"].notna()
    assert found.counts()["no_ask"] + found.counts()["zero_bid"] == (~usable).sum()
    assert {r for r, n in found.counts().items() if n} <= {"no_ask", "zero_bid", "below_intrinsic"}


@given(st.integers(0, 10_000), st.floats(0.0, 0.3), st.floats(0.0, 0.1))
def test_every_option_is_kept_or_in_the_ledger(seed: int, missing: float, stale: float) -> None:
    frame, _ = make_chain(days=(79,), step=100.0, missing=missing, stale=stale, seed=seed)
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    curve = forward_curve(quotes, "SPX", contradicting="drop")
    if not curve.quotes:
        return
    found = filter_quotes(quotes, curve)
    found.check()
    assert sum(found.counts().values()) == len(found.ledger)
    kept, gone = set(found.quotes.frame["instrument"]), set(found.ledger["instrument"])
    assert kept | gone == set(quotes.frame["instrument"]) and not kept & gone
    again = filter_quotes(found.quotes, curve)
    assert len(again.ledger) <= 2, "what is left passes, but for a strike whose neighbour went"


def test_trap_27_no_way_back_to_unfiltered_quotes(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    with pytest.raises(DataGapError, match=r"none of 248 SPX options .* passes .*look at the ledger"):
        filter_quotes(quotes, curve, filter=QuoteFilter(max_relative_spread=0.0))


def test_all_quotes_stale_is_an_error_with_the_counts() -> None:
    frame, _ = make_chain(days=(79,))
    stale = frame.assign(quote_time_utc="2026-07-01T15:00:00Z")
    quotes = read_quotes(stale, expiry_time="20:00 UTC")
    with pytest.raises(DataGapError, match=r"none of 248 .* stale"):
        filter_quotes(quotes, forward_curve(quotes, "SPX"))


def test_an_expiry_without_a_forward_drops_out_by_name() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    curve = forward_curve(quotes, "SPX")
    found = filter_quotes(quotes, curve)
    found.check()
    assert found.counts() == {
        "crossed": 5,
        "no_ask": 298,
        "zero_bid": 614,
        "stale": 180,
        "wide": 260,
        "no_forward": 10308,
        "below_intrinsic": 129,
        "above_bound": 0,
        "vol_cliff": 0,
        "delta_window": 507,
    }
    lost = found.ledger[found.ledger["reason"] == "no_forward"]
    assert set(lost["detail"]) == {"its expiry has no forward: infeasible"}
    assert set(found.quotes.frame["expiry"]) == set(curve.quotes)
    table = found.summary()
    assert (table["options"] == table.drop(columns="options").sum(axis=1)).all()
    assert table["options"].sum() == 17_193 and table["kept"].sum() == len(found.quotes)


def test_the_ledger_of_what_is_left_holds_every_drop() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    found = filter_quotes(quotes, forward_curve(quotes, "BTC"))
    assert found.counts()["zero_bid"] == 93 and found.options == 868
    assert len(found.quotes.ledger) == len(found.ledger)
    assert sum(found.quotes.counts().values()) == len(found.ledger)
    kinds = found.quotes.frame["kind"].value_counts()
    assert kinds["future"] == 13 and kinds["perpetual"] == 1, "only options are filtered"
    assert "868" not in repr(found.quotes) and list(found.to_frame().columns)[:3] == [
        "instrument",
        "expiry",
        "reason",
    ]


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        ({"max_relative_spread": 2.5}, "max_relative_spread is 2.5; expected a number from 0 to 2"),
        ({"max_vol_drop": -0.1}, "max_vol_drop is -0.1"),
        ({"min_delta": float("nan")}, "min_delta is nan"),
        ({"min_delta": 0.5, "max_delta": 0.4}, "max_delta is 0.4; expected a number from 0.5 to 1"),
        ({"max_age": "soon"}, "max_age is 'soon'"),
        ({"max_age": "-1min"}, "max_age is '-1min'"),
        ({"min_bid_ticks": -1.0}, "min_bid_ticks is -1.0"),
        ({"max_parity_gap": -1.0}, "max_parity_gap is -1.0"),
        ({"information_floor": 2.0}, "information_floor is 2.0"),
    ],
)
def test_bad_thresholds_are_refused(threshold: dict[str, object], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        QuoteFilter(**threshold)  # type: ignore[arg-type]


def test_a_ledger_that_does_not_add_up_is_found(clean: tuple[Quotes, ForwardCurve]) -> None:
    found = filter_quotes(*clean)
    with pytest.raises(ParameterError, match=r"options kept and .* ledger rows"):
        replace(found, ledger=found.ledger.iloc[1:]).check()


def test_another_settlement_is_refused(clean: tuple[Quotes, ForwardCurve]) -> None:
    coin = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ConventionError, match="inverse quotes and a curve of linear ones"):
        filter_quotes(coin, clean[1])
