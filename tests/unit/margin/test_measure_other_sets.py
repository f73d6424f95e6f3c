"""A measure rule takes scenario sets of other methods, which state less about where volatility starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pmkit.margin import Account, rule
from pmkit.market import load_history, load_snapshot
from pmkit.scenarios import ScenarioSet, joint_filtered, volatility_scaled

ACCOUNT = [
    {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1000, "as_of": "2026-05-21T10:04:00Z"},
    {"type": "position", "instrument": "ETH-PERPETUAL", "qty": -9000, "as_of": "2026-05-21T10:04:00Z"},
    {"type": "collateral", "instrument": "USDC", "qty": 5000.0, "as_of": "2026-05-21T10:04:00Z"},
]


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.HistoryEndsWarning")
@pytest.mark.filterwarnings("ignore::pmkit.core.errors.ThinTailWarning")
@pytest.mark.parametrize(
    ("make", "size"),
    [(joint_filtered, {"n_paths": 2000}), (volatility_scaled, {"replications": 1})],
    ids=["joint", "scaled"],
)
def test_sets_without_filter_level_are_taken(make: Callable[..., ScenarioSet], size: dict[str, int]) -> None:
    snapshot = load_snapshot("deribit-btc-eth-2026-05-21")
    made = make(load_history("crypto-daily-2020-2023"), snapshot, vol_anchor={"BTC": 0.4, "ETH": 0.5}, **size)
    result = rule("es-fhs").requirement(Account.from_records(ACCOUNT), snapshot, scenarios=made)
    assert result.im > result.mm > 0.0
    anchors = result.figures["vol_anchor"]
    assert anchors["anchor"].to_dict() == {"BTC": 0.4, "ETH": 0.5}
    assert "filter" not in anchors.columns
    named = [step.what for step in result.steps if step.clause == "ES-6"]
    assert named == ["start vol of BTC", "start vol of ETH"]
