"""Figures of tiered maintenance margin: the five brackets, and the liquidation price of one position."""

from __future__ import annotations

import pytest

from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.parameters import load_parameter_sets

TABLE = Brackets(rows=load_parameter_sets("leverage-brackets")[0].table("BTC").brackets[0].rows)


def test_five_brackets() -> None:
    assert TABLE.cumulative == (0.0, 50.0, 1_300.0, 16_300.0, 266_300.0)
    assert TABLE.maintenance(2e6) == pytest.approx(33_700.0, rel=1e-15)
    parts = 50e3 * 0.004 + 200e3 * 0.005 + 750e3 * 0.01 + 1e6 * 0.025
    assert parts == pytest.approx(200.0 + 1_000.0 + 7_500.0 + 25_000.0) == pytest.approx(33_700.0)


def test_liquidation_price_of_a_long() -> None:
    """One coin bought at 100 000 with 20 000: equity meets the maintenance margin at 80 351.76."""
    wallet, entry, qty, rate, taken = 20_000.0, 100_000.0, 1.0, 0.005, 50.0
    price = (wallet + taken - qty * entry) / (qty * (rate - 1.0))
    assert round(price, 2) == 80_351.76
    assert TABLE.index(qty * price) == 1
    assert wallet + qty * (price - entry) == pytest.approx(TABLE.maintenance(qty * price), abs=1e-9)
