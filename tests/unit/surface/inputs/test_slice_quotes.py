"""Points of a slice and call-put pairs: arrays against a plain twin that walks tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.market import datasets, read_quotes
from pmkit.surface import OwnVols, forward_curve, own_vols, slice_quotes
from pmkit.surface.inputs.forwards import _pairs
from pmkit.surface.inputs.forwards_parity import _huber

NAMES = ("deribit-btc-2026-08-01", "deribit-eth-2026-05-21")


def chosen_by_table(vols: pd.DataFrame) -> pd.DataFrame:
    """Return the options of one expiry that a slice is fitted to, step by step on the table."""
    vols = vols.sort_values(["strike", "is_call"], kind="stable")
    outside = np.where(vols["is_call"], vols["k"] >= 0.0, vols["k"] <= 0.0)
    nearest = vols.iloc[int(np.argmin(np.abs(vols["k"].to_numpy())))]
    near = vols["k"].abs().to_numpy() <= 0.25 * float(nearest["iv"]) * np.sqrt(float(nearest["tau"]))
    order = np.where(near, vols["spread"], np.where(outside, 0.0, np.inf))
    ranked = vols.assign(order=order, itm=~outside)[order < np.inf]
    return ranked.sort_values(["strike", "order", "itm"], kind="stable").drop_duplicates("strike")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_options_are_chosen_in_the_same_order(name: str) -> None:
    quotes = read_quotes(datasets.path(name))
    curve = forward_curve(quotes, quotes.underlyings[0])
    vols = own_vols(quotes, curve)
    shuffled = OwnVols(frame=vols.frame.sample(frac=1.0, random_state=7), ledger=vols.ledger)
    for one in (vols, shuffled):
        points, left_out = slice_quotes(one, curve, 5)
        assert len(points) + len(left_out) == len(curve.quotes) == one.frame["expiry"].nunique()
        for p in points:
            table = chosen_by_table(one.frame[one.frame["expiry"] == p.expiry])
            assert p.instruments == tuple(table["instrument"])
            assert np.array_equal(p.k, table["k"].to_numpy())
            assert np.array_equal(p.w, (table["iv"] ** 2 * p.tau).to_numpy())
            assert p.forward == table["forward"].iloc[0]


def test_an_expiry_without_options_is_left_out_with_the_count() -> None:
    quotes = read_quotes(datasets.path(NAMES[0]))
    curve = forward_curve(quotes, "BTC")
    vols = own_vols(quotes, curve)
    gone = next(iter(curve.quotes))
    fewer = OwnVols(frame=vols.frame[vols.frame["expiry"] != gone], ledger=vols.ledger)
    points, left_out = slice_quotes(fewer, curve, 5)
    assert left_out == {gone: ("too_few_points", "0 usable out-of-the-money options, 5 are needed")}
    assert gone not in {p.expiry for p in points}


def test_pairs_are_the_strikes_that_call_and_put_share() -> None:
    rows = [
        (70.0, True, 0.1, 0.2, 0.15),
        (60.0, False, 0.3, 0.4, 0.35),
        (60.0, True, 0.5, 0.6, 0.55),
        (80.0, True, 0.1, 0.2, 0.15),
        (80.0, False, np.nan, 0.2, np.nan),
        (50.0, False, 0.1, 0.2, 0.15),
        (70.0, False, 0.7, 0.8, 0.75),
        (60.0, False, 0.1, 0.2, 0.15),
    ]
    table = pd.DataFrame(rows, columns=["strike", "is_call", "bid", "ask", "mid"])
    usable = table[table["mid"].notna()].set_index("strike")[["is_call", "bid", "ask"]]
    calls, puts = (
        usable[usable["is_call"] == flag][["bid", "ask"]].add_suffix(f"_{name}")
        for flag, name in ((True, "call"), (False, "put"))
    )
    joined = calls.join(puts, how="inner").sort_index(kind="stable")
    found = _pairs(table)
    assert found[0].tolist() == joined.index.tolist() == [60.0, 60.0, 70.0]
    assert np.array_equal(np.array(found[1:]).T, joined.to_numpy())
    assert _pairs(table.iloc[:0])[0].size == 0


@pytest.mark.parametrize("size", [3, 4, 11, 12])
def test_huber_weights_have_the_median_for_their_scale(size: int) -> None:
    residual = np.random.default_rng(size).exponential(1.0, size)
    scale = 1.4826 * np.median(residual)
    assert np.array_equal(_huber(residual), np.minimum(1.0, 1.345 * scale / residual))
