"""Distances in price, vol and time: roots, statuses where there is none, and refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.liquidation import distance_to_liquidation, moved_snapshot
from pmkit.liquidation.path import entered_at
from pmkit.margin import Account
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

Hold = Callable[..., Account]


def test_at_the_distance_equity_meets_maintenance(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = hold({"BTC-27DEC24-65000-C": -5, "BTC-27DEC24-55000-P": -5}, {"BTC": 3.5})
    found = distance_to_liquidation(account, market, matrix, dynamics="sticky_strike", points=6)
    found.check()
    table = found.table
    assert list(table.index) == ["price down", "price up", "vol down", "vol up", "time"]
    for direction, kind in (("price down", "spot"), ("price up", "spot"), ("vol up", "vol")):
        row = table.loc[direction]
        assert row["status"] == "ok"
        gaps = []
        for nudge in (0.999, 1.001):
            moved = moved_snapshot(market, dynamics="sticky_strike", **{kind: nudge * float(row["distance"])})
            result = matrix.requirement(entered_at(account, market), moved)
            gaps.append(result.equity - result.mm_equity)
        assert gaps[0] > 0.0 > gaps[1]
    # a written straddle gains from less vol and from time
    assert table.loc["vol down", "status"] == table.loc["time", "status"] == "none_in_range"
    assert math.isnan(table.loc["time", "distance"]) and table.loc["time", "surplus"] > found.surplus
    assert table.loc["price up", "level"] == pytest.approx(
        60_000.0 * (1.0 + table.loc["price up", "distance"])
    )
    assert found.plot().get_xlabel() == "move of BTC, %"
    assert {"direction", "move", "equity", "requirement", "surplus"} == set(found.to_frame().columns)


def test_time_can_run_out(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    # bought options against a bought loan of them: value decays, the debt stays
    held = {"BTC-14JUN24-60000-C": 20, "BTC-14JUN24-60000-P": 20}
    rich = matrix.requirement(hold(held, {"BTC": 1.0}), market)
    account = hold(held, {"BTC": 1.0 - rich.equity + rich.mm_equity + 0.02})
    found = distance_to_liquidation(
        account,
        market,
        matrix,
        dynamics="sticky_strike",
        vol_range=(0.0, 0.0),
        price_range=(0.0, 0.0),
        days=3.9,
    )
    assert list(found.table.index) == ["time"]
    assert found.table.loc["time", "status"] == "ok" and 0.0 < found.table.loc["time", "distance"] < 3.9


def test_a_call_comes_before_liquidation(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = hold({"BTC-PERPETUAL": 30_000}, {"BTC": 1.5})
    only = {"vol_range": (0.0, 0.0), "days": 0.1, "points": 8}
    call, close = (
        distance_to_liquidation(account, market, matrix, dynamics="sticky_strike", against=a, **only)  # type: ignore[arg-type]
        for a in ("im", "mm")
    )
    assert close.table.loc["price down", "distance"] < call.table.loc["price down", "distance"] < 0.0


@pytest.mark.parametrize(("coins", "status"), [(0.4, "already"), (-0.1, "insolvent")])
def test_an_account_that_is_there_already(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule, coins: float, status: str
) -> None:
    account = hold({"BTC-PERPETUAL": 30_000}, {"BTC": coins})
    found = distance_to_liquidation(account, market, matrix, dynamics="sticky_strike", points=2)
    assert set(found.table["status"]) == {status} and set(found.table["distance"]) == {0.0}
    found.check()


def test_bad_input_is_named(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = hold({"BTC-PERPETUAL": 30_000}, {"BTC": 1.5})
    ask = {"dynamics": "sticky_strike"}
    with pytest.raises(DataGapError, match="has no position"):
        distance_to_liquidation(hold({}, {"BTC": 1.0}), market, matrix, **ask)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="underlying 'ETH' of account"):
        distance_to_liquidation(account, market, matrix, underlying="ETH", **ask)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"lower end of price_range is 0\.1"):
        distance_to_liquidation(account, market, matrix, price_range=(0.1, 0.2), **ask)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="points is 1"):
        distance_to_liquidation(account, market, matrix, points=1, **ask)  # type: ignore[arg-type]
