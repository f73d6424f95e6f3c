"""Putting sets together and valuing them commute: rows are valued one by one, and names do not mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.random import stream
from pmkit.instruments import Portfolio
from pmkit.market import MarketSnapshot
from pmkit.risk import revalue
from pmkit.scenarios import Factor, ScenarioSet, concatenate, cross, load_scenarios

SNAP = MarketSnapshot.from_marks(
    "2026-08-01T00:00:00Z",
    {"BTC": 50_000.0, "ETH": 2_500.0},
    forwards={
        "BTC": {"2026-09-25T08:00:00Z": 50_400.0},
        "ETH": {"2026-09-25T08:00:00Z": 2_520.0},
    },
)

LINES = [("BTC-PERPETUAL", -200.0), ("BTC-25SEP26", 150.0), ("ETH-PERPETUAL", 300.0), ("ETH-25SEP26", -40.0)]


def portfolio(coin: str) -> Portfolio:
    """Return the lines whose name begins with ``coin``; all of them for an empty one."""
    return Portfolio.from_records(
        [
            {"type": "position", "instrument": i, "qty": q, "as_of": "2026-08-01"}
            for i, q in LINES
            if i.startswith(coin)
        ]
    )


BOOK = portfolio("")
DETERMINISTIC = settings(derandomize=True, max_examples=15, deadline=None)


def drawn(seed: int, n: int, names=("BTC", "ETH")) -> ScenarioSet:
    factors = tuple(Factor(k, u) for u in names for k in ("spot", "basis"))
    x = stream(seed, "property", *names).standard_normal((n, len(factors))) * 0.1
    w = stream(seed, "weights", *names).random(n) + 0.01
    return ScenarioSet(
        name=f"set {seed}", factors=factors, shocks=x, horizon_days=1.0, dynamics="sticky_strike",
        weights=w / w.sum(),
    )  # fmt: skip


def pnl(scenarios: ScenarioSet, book: Portfolio = BOOK) -> np.ndarray:
    return revalue(book, SNAP, scenarios).account_pnl(book)


@DETERMINISTIC
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_concatenated_sets_are_valued_row_by_row(seed: int, n: int, m: int) -> None:
    a, b = drawn(seed, n), drawn(seed + 1, m)
    both = concatenate([a, b])
    assert np.array_equal(pnl(both), np.concatenate([pnl(a), pnl(b)]))
    assert both.weights.sum() == pytest.approx(1.0, abs=1e-14)


@DETERMINISTIC
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5))
def test_crossed_sets_add_up_where_the_book_separates(seed: int, n: int, m: int) -> None:
    """Futures and perpetuals of two coins: the profit of a pair is the sum of the two."""
    a, b = drawn(seed, n, ("BTC",)), drawn(seed, m, ("ETH",))
    parts = [portfolio("BTC"), portfolio("ETH")]
    both = cross(a, b)
    want = pnl(a, parts[0])[:, None] + pnl(b, parts[1])[None, :]
    assert np.allclose(pnl(both), want.ravel(), rtol=1e-12, atol=1e-9)
    # the mean under joint weights is the sum of the means
    mean = float(both.weights @ pnl(both))
    assert mean == pytest.approx(float(a.weights @ pnl(a, parts[0]) + b.weights @ pnl(b, parts[1])), rel=1e-9)


@DETERMINISTIC
@given(st.integers(0, 1000), st.integers(2, 8))
def test_filter_and_its_complement_make_up_the_set(seed: int, n: int) -> None:
    whole = drawn(seed, n)
    mask = np.arange(n) % 2 == 0
    share = float(whole.weights[mask].sum())
    again = concatenate([whole.filter(mask), whole.filter(~mask)], shares=[share, 1.0 - share])
    order = np.argsort(np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)]))
    assert np.array_equal(again.shocks[order], whole.shocks)
    assert np.allclose(again.weights[order], whole.weights, rtol=1e-13, atol=0.0)


@DETERMINISTIC
@given(st.integers(0, 1000), st.integers(1, 6))
def test_stored_sets_have_equal_profits(tmp_path_factory, seed: int, n: int) -> None:
    path: Path = tmp_path_factory.mktemp("sets") / "s.npz"
    scenarios = drawn(seed, n)
    back = load_scenarios(scenarios.save(path))
    assert back.fingerprint == scenarios.fingerprint and np.array_equal(pnl(back), pnl(scenarios))
