"""Arbitrage at bid and ask: found where it was put, located, and never where mids alone violate."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.core.random import stream
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.surface import ForwardCurve, executable_arbitrage, filter_quotes, forward_curve
from pmkit.surface.inputs.executable import lower_hull
from tests.unit.surface.index_chains import make_chain


@pytest.fixture(scope="module")
def clean() -> tuple[Quotes, ForwardCurve]:
    frame, _ = make_chain(days=(30, 79), step=100.0)
    quotes = read_quotes(frame, expiry_time="20:00 UTC")
    return quotes, forward_curve(quotes, "SPX")


def change(quotes: Quotes, name: str, bid: float, ask: float) -> Quotes:
    frame = quotes.frame.copy()
    at = frame["instrument"] == name
    assert at.sum() == 1
    frame.loc[at, ["bid", "ask", "mid"]] = [bid, ask, 0.5 * (bid + ask)]
    return replace(quotes, frame=frame)


def price(quotes: Quotes, name: str, side: str) -> float:
    return float(quotes.frame.set_index("instrument").loc[name, side])


def test_a_clean_chain_has_none(clean: tuple[Quotes, ForwardCurve]) -> None:
    found = executable_arbitrage(*clean)
    assert found.ok and found.counts() == dict.fromkeys(found.counts(), 0)
    assert found.checked == int(clean[0].frame[["bid", "ask"]].notna().any(axis=1).sum())


def test_a_butterfly_is_located_with_unequal_wings(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    # without 5100 the wings of 5000 lie 100 and 200 away
    frame = quotes.frame[~quotes.frame["instrument"].str.contains("31JUL26-5100-C")]
    cut = replace(quotes, frame=frame)
    low, high = (price(cut, f"SPX-31JUL26-{k}-C", "ask") for k in (4900, 5200))
    wings = 2.0 / 3.0 * low + 1.0 / 3.0 * high
    name = "SPX-31JUL26-5000-C"
    found = executable_arbitrage(change(cut, name, wings + 1.5, wings + 2.0), curve).frame
    row = found[(found["kind"] == "butterfly") & (found["instrument"] == name)].iloc[0]
    assert row["profit"] == pytest.approx(1.5, abs=1e-9)
    assert row["legs"] == (
        "sell SPX-31JUL26-5000-C, buy 0.6667 SPX-31JUL26-4900-C and 0.3333 SPX-31JUL26-5200-C"
    )
    assert executable_arbitrage(change(cut, name, wings - 0.5, wings + 9.0), curve).counts()["butterfly"] == 0


@pytest.mark.parametrize("side", ["C", "P"])
def test_verticals_both_ways(side: str, clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    near, far = ("4900", "5000") if side == "C" else ("5000", "4900")
    better = price(quotes, f"SPX-31JUL26-{near}-{side}", "ask")
    worse = f"SPX-31JUL26-{far}-{side}"
    found = executable_arbitrage(change(quotes, worse, better + 1.0, better + 2.0), curve).frame
    row = found[(found["kind"] == "vertical") & (found["instrument"] == worse)].iloc[0]
    # the cheapest of all that pay more, which may lie still nearer
    assert row["profit"] >= 1.0 - 1e-9 and row["legs"].startswith(f"sell {worse}, buy ")
    D = curve.discount(row["expiry"])
    best = f"SPX-31JUL26-{near}-{side}"
    least = price(quotes, worse, "ask") + D * 100.0
    steep = executable_arbitrage(change(quotes, best, least + 3.0, least + 4.0), curve).frame
    steep = steep[(steep["kind"] == "vertical") & (steep["instrument"] == best)]
    row = steep[steep["legs"].str.contains("lend the distance")].iloc[0]
    assert row["profit"] >= 3.0 - 1e-9


def test_bounds(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    expiry = next(iter(curve.quotes))
    F, D = curve.quotes[expiry].price, curve.discount(expiry)
    low = D * (F - 4000.0) - 2.0
    found = executable_arbitrage(change(quotes, "SPX-31JUL26-4000-C", low - 1.0, low), curve).frame
    row = found[found["kind"] == "bound"].iloc[0]
    assert row["profit"] == pytest.approx(2.0, abs=1e-6) and "sell the forward" in row["legs"]
    top = D * F + 5.0
    found = executable_arbitrage(change(quotes, "SPX-31JUL26-4000-C", top, top + 1.0), curve).frame
    assert found[found["kind"] == "bound"].iloc[0]["profit"] == pytest.approx(5.0, abs=1e-6)


def test_a_calendar_is_taken_at_equal_moneyness(clean: tuple[Quotes, ForwardCurve]) -> None:
    """Trap 8: at equal strike the forwards differ; the later value is read off at equal K/F."""
    quotes, curve = clean
    near, later = curve.quotes
    F1, F2, D1, D2 = (
        curve.quotes[near].price,
        curve.quotes[later].price,
        curve.discount(near),
        curve.discount(later),
    )
    asks = quotes.frame[(quotes.frame["expiry"] == later) & quotes.frame["is_call"]]
    x = 5000.0 / F1
    worth = np.interp(x, asks["strike"] / F2, asks["ask"] / (D2 * F2)) * D1 * F1
    name = "SPX-31JUL26-5000-C"
    found = executable_arbitrage(change(quotes, name, worth + 2.0, worth + 3.0), curve).frame
    row = found[(found["kind"] == "calendar") & (found["instrument"] == name)].iloc[0]
    assert row["profit"] == pytest.approx(2.0, abs=0.02) and row["other_expiry"] == later
    below = executable_arbitrage(change(quotes, name, worth - 0.5, worth + 3.0), curve).frame
    assert not ((below["kind"] == "calendar") & (below["instrument"] == name)).any()


def test_a_crossed_quote_is_one_finding_of_its_own(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    name = "SPX-31JUL26-5000-C"
    bid, ask = price(quotes, name, "bid"), price(quotes, name, "ask")
    found = executable_arbitrage(change(quotes, name, ask + 0.1, bid - 0.1), curve)
    assert found.counts()["crossed"] == 1 and found.counts()["butterfly"] == 0


def test_a_violation_between_mids_alone_is_none(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    mids = quotes.frame[(quotes.frame["expiry"] == next(iter(curve.quotes))) & quotes.frame["is_call"]]
    at = mids[mids["strike"].isin([4900.0, 5000.0, 5100.0])]["mid"].to_numpy()
    level = 0.5 * (at[0] + at[2]) + 1.0
    wide = change(quotes, "SPX-31JUL26-5000-C", level - 10.0, level + 10.0)
    assert executable_arbitrage(wide, curve).ok


def test_the_hull_finds_what_every_triple_finds() -> None:
    """Oracle: all triples of strikes of a noisy chain, one by one."""
    rng = stream(5, "triples")
    seen = 0
    for _ in range(30):
        x = np.sort(rng.uniform(0.8, 1.2, 9))
        mid = np.maximum(1.0 - x, 0.0) + 0.05 * np.exp(-((x - 1.0) ** 2) / 0.02)
        mid += 0.003 * rng.standard_normal(9)
        bid, ask = mid - 0.001, mid + 0.001
        hull = lower_hull(x, ask)
        above = bid - np.interp(x, x[hull], ask[hull])
        best = np.full(9, -np.inf)
        for i, j, k in combinations(range(9), 3):
            u = (x[j] - x[i]) / (x[k] - x[i])
            best[j] = max(best[j], bid[j] - (1.0 - u) * ask[i] - u * ask[k])
        assert ((best > 1e-12) == (above > 1e-12)).all()
        np.testing.assert_allclose(above[above > 1e-12], best[best > 1e-12], atol=1e-14)
        seen += int((above > 1e-12).sum())
    assert seen > 20


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=12))
def test_the_hull_is_convex_and_below(y: list[float]) -> None:
    x, values = np.arange(float(len(y))), np.array(y)
    hull = lower_hull(x, values)
    assert hull[0] == 0 and hull[-1] == len(y) - 1
    assert (np.interp(x, x[hull], values[hull]) <= values + 1e-15).all()
    slopes = np.diff(values[hull]) / np.diff(x[hull])
    assert (np.diff(slopes) >= -1e-12).all()


@pytest.mark.parametrize(
    "name", ["deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21"]
)
def test_the_coin_chains_have_none(name: str) -> None:
    quotes = read_quotes(datasets.path(name))
    assert executable_arbitrage(quotes, forward_curve(quotes, quotes.underlyings[0])).ok


def test_the_stale_index_chain_has_many_and_the_filter_takes_most_away() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    curve = forward_curve(quotes, "SPX")
    raw, left = (executable_arbitrage(q, curve) for q in (quotes, filter_quotes(quotes, curve).quotes))
    assert raw.counts() == {"crossed": 1, "bound": 37, "vertical": 217, "butterfly": 285, "calendar": 581}
    assert left.counts() == {"crossed": 0, "bound": 0, "vertical": 15, "butterfly": 26, "calendar": 5}
    assert raw.unchecked > 0 and raw.frame["profit"].min() > 0.0
    dirty = set(left.frame.loc[left.frame["kind"] != "calendar", "expiry"].dt.strftime("%Y-%m-%d"))
    assert dirty <= {"2026-08-31", "2027-06-30", "2028-06-16", "2030-12-20"}
    assert raw.summary().loc["crossed", "found"] == 1 and raw.cite() == ("cohen2020",)


def test_bad_input(clean: tuple[Quotes, ForwardCurve]) -> None:
    quotes, curve = clean
    coin = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    with pytest.raises(ConventionError, match="inverse quotes and a curve of linear ones"):
        executable_arbitrage(coin, curve)
    with pytest.raises(DataGapError, match="no SPX option of frame has a quote and a forward"):
        executable_arbitrage(replace(quotes, frame=quotes.frame.iloc[:0]), curve)
    late = quotes.frame.assign(expiry=pd.Timestamp("2030-01-01", tz="UTC"))
    with pytest.raises(DataGapError, match="has a quote and a forward"):
        executable_arbitrage(replace(quotes, frame=late), curve)
