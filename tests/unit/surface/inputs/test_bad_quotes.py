"""What bad quotes lead to, from the table to the surface: a status or an error, never a number in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.surface import QuoteFilter, fit, forward_curve, own_vols
from tests.unit.surface.index_chains import make_chain


def index(**faults: object) -> Quotes:
    frame, _ = make_chain(**faults)  # type: ignore[arg-type]
    return read_quotes(frame, expiry_time="20:00 UTC")


@pytest.fixture(scope="module")
def coin() -> Quotes:
    return read_quotes(datasets.path("deribit-btc-2026-08-01"))


def near(quotes: Quotes, expiry: pd.Timestamp, strikes: int) -> Quotes:
    """Return the quotes with the middle ``strikes`` strikes of one expiry alone."""
    frame = quotes.frame
    here = (frame["expiry"] == expiry) & (frame["kind"] == "option")
    listed = np.sort(frame.loc[here, "strike"].unique())
    start = (listed.size - strikes) // 2
    kept = listed[start : start + strikes]
    return replace(quotes, frame=frame[~here | frame["strike"].isin(kept)])


@pytest.mark.parametrize("strikes", [3, 4])
def test_fewer_than_five_strikes_is_a_status(strikes: int) -> None:
    quotes = index()
    first, *others = sorted(quotes.frame["expiry"].unique())
    surface = fit(near(quotes, first, strikes), "svi")
    assert [s.expiry for s in surface.slices] == others
    assert surface.left_out[first] == f"{strikes} usable out-of-the-money options, 5 are needed"
    assert len(fit(near(quotes, first, strikes), "linear").slices) == 1 + len(others)


def test_two_strikes_give_no_forward() -> None:
    quotes = index()
    first = quotes.frame["expiry"].min()
    surface = fit(near(quotes, first, 2), "linear")
    assert surface.left_out[first] == "no listed future and 2 call-put pairs, 3 are needed"


def test_one_side_missing_with_a_future_is_usable_without_one_is_not(coin: Quotes) -> None:
    frame = coin.frame.copy()
    puts = (frame["kind"] == "option") & ~frame["is_call"]
    frame.loc[puts, ["bid", "ask", "mid"]] = np.nan
    calls = replace(coin, frame=frame)
    surface = fit(calls, "linear")
    assert len(surface.slices) > 10
    assert all(name.endswith("-C") for s in surface.slices for name in s.instruments)
    no_future = replace(calls, frame=frame[frame["kind"] != "future"])
    with pytest.raises(DataGapError, match="no expiry of BTC has enough quotes"):
        fit(no_future, "linear")
    assert {row[1] for row in forward_curve(no_future, "BTC").ledger} == {"no_forward"}


def test_all_quotes_stale_by_parity_is_named_for_every_expiry() -> None:
    with pytest.raises(DataGapError, match="no expiry of SPX has enough quotes"):
        fit(index(stale=0.3), "svi")
    assert set(forward_curve(index(stale=0.3), "SPX").status.values()) == {"infeasible"}


def test_no_quotes_at_all(coin: Quotes) -> None:
    frame = coin.frame.copy()
    frame.loc[frame["kind"] == "option", ["bid", "ask", "mid"]] = np.nan
    with pytest.raises(DataGapError, match="no expiry of BTC has enough quotes"):
        fit(replace(coin, frame=frame), "linear")


def test_mixed_settlement_is_refused_in_both_shapes(coin: Quotes) -> None:
    frame, _ = make_chain(days=(30,))
    with pytest.raises(ConventionError, match="linear and inverse options in one chain"):
        read_quotes(frame.assign(settlement=["linear", "inverse"] * (len(frame) // 2)))
    with pytest.raises(ConventionError, match="coin-settled options in this shape"):
        read_quotes(frame.assign(settlement="inverse"))
    table = pd.read_csv(datasets.path("deribit-btc-2026-05-21")).astype(object)
    position = int(np.flatnonzero(table["security_type"] == "option")[1])
    table.loc[position, "inverse"] = False
    with pytest.raises(ConventionError, match=r"column 'inverse'.*settles in quote currency"):
        read_quotes(table)
    with pytest.raises(ConventionError, match="linear quotes and a curve of inverse ones"):
        fit(index(), "linear", curve=forward_curve(coin, "BTC"))


def test_expiry_before_as_of_is_refused(coin: Quotes) -> None:
    frame, _ = make_chain(days=(30,))
    with pytest.raises(SchemaError, match="settled at 2026-06-30T20:00"):
        read_quotes(frame.assign(expiration="2026-06-30"), expiry_time="20:00 UTC")
    with pytest.raises(ParameterError, match=r"2 expiries of .* have passed"):
        fit(coin, "linear", as_of="2026-08-03T12:00:00Z")


@pytest.mark.parametrize("strike", [0.0, -100.0, np.nan])
def test_a_strike_that_is_not_positive_is_refused(strike: float, coin: Quotes) -> None:
    for quotes in (coin, index()):
        frame = quotes.frame.copy()
        at = frame.index[frame["kind"] == "option"][5]
        frame.loc[at, "strike"] = strike
        with pytest.raises(SchemaError, match=r"strike of .* is .*; expected a positive strike"):
            fit(replace(quotes, frame=frame), "linear")


def test_a_filter_that_leaves_nothing_is_an_error_not_a_fit() -> None:
    """Trap 27 on the way to a surface."""
    with pytest.raises(DataGapError, match=r"none of \d+ SPX options"):
        fit(index(), "linear", filter=QuoteFilter(max_relative_spread=0.0))
    quotes = index()
    vols = own_vols(quotes, forward_curve(quotes, "SPX"))
    with pytest.raises(ParameterError, match="filter and vols are both given"):
        fit(quotes, "linear", filter=QuoteFilter(), vols=vols)


def test_clean_expiries_of_the_real_chain_fit_and_the_dirty_are_named() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    surface = fit(quotes, "svi", filter=QuoteFilter())
    curve = surface.curve
    assert len(surface.slices) + sum(e in curve.quotes for e in surface.left_out) == 28
    assert len(surface.slices) >= 26
    dirty = {f"{e:%Y-%m-%d}": why for e, why in surface.left_out.items() if e not in curve.quotes}
    assert len(dirty) == 21
    assert "off by 87.50 at strikes 7160, 7655" in dirty["2026-09-30"]
    month = surface.slice("2026-08-28")
    assert 0.12 < np.sqrt(float(month.at(0.0)) / month.tau) < 0.14
    # most of the noise is the filter's to take: more of what it leaves is repriced inside bid and ask
    linear = fit(quotes, "linear", filter=QuoteFilter())
    names = {name for s in linear.slices for name in s.instruments}
    assert not names & set(quotes.ledger["instrument"])


def test_unfiltered_coin_surfaces_are_as_before(coin: Quotes) -> None:
    plain, filtered = fit(coin, "linear"), fit(coin, "linear", filter=QuoteFilter())
    assert sum(s.k.size for s in plain.slices) > sum(s.k.size for s in filtered.slices)
    assert plain.fingerprint == fit(coin, "linear", curve=plain.curve).fingerprint
