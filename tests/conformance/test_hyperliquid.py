"""Figures of Hyperliquid: the ratio of a third-party test, the tier of BTC, the example of a carry trade."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pmkit.margin import MarginResult, rule
from pmkit.margin.conformance.contracts import account_of
from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.parameters import select
from pmkit.margin.rules.hyperliquid_pm import liquidation_threshold, portfolio_margin_ratio
from pmkit.margin.schemas.groups import for_coin
from pmkit.market.snapshot import MarketSnapshot

AS_OF = "2026-02-01T08:00:00Z"
TABLE = select("hyperliquid-pm", "2026-02-01", "alpha").table("*")
PERPETUAL: dict[str, Any] = {
    "name": "BTC", "kind": "perpetual", "underlying": "BTC", "settlement": "linear",
    "settlement_currency": "USDC", "multiplier": 1.0,
}  # fmt: skip


def test_ratio_of_the_third_party_test() -> None:
    """Cross maintenance 150, borrowed 9 200, balance and supply cap 12 000, loan to value 0.5."""
    requirement = TABLE.min_borrow_offset + 150.0 + 9_200.0
    value = 12_000.0 + min(50e6, min(12_000.0, 12_000.0) * 1.0 * liquidation_threshold(0.5, TABLE))
    assert (requirement, value) == (9_370.0, 21_000.0)
    ratio = portfolio_margin_ratio(requirement, value)
    assert round(ratio, 6) == 0.446190 and ratio < TABLE.liquidation_ratio


def test_tier_of_btc() -> None:
    table = Brackets(rows=for_coin(TABLE.brackets, "BTC").rows)
    assert table.maintenance(12_000.0) == pytest.approx(150.0, rel=1e-15)
    assert table.initial(12_000.0, 10.0) == 1_200.0
    assert table.initial(12_000.0, 40.0) == table.initial(12_000.0) == 300.0
    assert table.rows[1].floor == 150e6


def carry(price: float) -> MarginResult:
    """Return one coin held against one short perpetual sold at 100 000."""
    record = {
        "as_of": AS_OF,
        "contracts": [PERPETUAL],
        "account": [
            {"type": "position", "instrument": "BTC", "qty": -1.0, "entry_price": 100_000.0},
            {"type": "collateral", "instrument": "BTC", "qty": 1.0},
        ],
    }
    snapshot = MarketSnapshot.from_marks(AS_OF, {"BTC": price})
    return rule("hyperliquid-pm").requirement(account_of(record, "carry"), snapshot)


def test_carry_trade() -> None:
    """The venue's story: at 150 000 the account owes 50 000 against a coin worth 150 000."""
    at = {price: carry(price) for price in (100_000.0, 150_000.0, 200_000.0)}
    for price, result in at.items():
        assert result.equity == pytest.approx(100_000.0, abs=1e-9)
        row = result.figures["tokens"].loc["USDC"]
        assert row["requirement"] == pytest.approx(20.0 + 0.0125 * price + price - 100_000.0, abs=1e-9)
        assert row["value"] == pytest.approx(0.75 * price, abs=1e-9)
    # half of the coin can be borrowed against: nothing is free a little before 200 000
    assert at[150_000.0].excess == pytest.approx(75_000.0 - 50_000.0 - 0.025 * 150_000.0, abs=1e-9)
    assert at[200_000.0].excess == pytest.approx(-0.025 * 200_000.0, abs=1e-9)
    assert at[200_000.0].status == "below_im"
    # equity meets the maintenance margin where the ratio is 0.95
    limit = (100_000.0 - 20.0) / (1.0125 - 0.95 * 0.75)
    for price, status in ((limit - 1.0, "below_im"), (limit + 1.0, "below_mm")):
        result = carry(price)
        assert result.status == status
        assert (result.figures["portfolio margin ratio"] > 0.95) == (status == "below_mm")
    assert limit == pytest.approx(333_266.67, abs=0.01)


def test_ratio_without_value() -> None:
    assert portfolio_margin_ratio(20.0, 0.0) == math.inf
