"""A replay: who is called, pays, is closed or goes bankrupt, and that nothing in it is random."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, LookAheadError, ParameterError
from pmkit.liquidation import (
    Replay,
    distance_to_liquidation,
    liquidation_price,
    margin_call,
    partial_liquidation,
    replay,
    scenario_path,
)
from pmkit.liquidation.path import entered_at
from pmkit.margin import Account, BasisRisk, with_parts
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

Hold = Callable[..., Account]
CRASH = pd.DataFrame(
    {"days": [1.0] * 4, "BTC spot": [-0.04, -0.06, -0.10, 0.05], "BTC vol": [0.1, 0.2, 0.3, -0.2]}
)
HELD = {"BTC-PERPETUAL": 60_000.0}


@pytest.fixture(scope="module")
def path(market: MarketSnapshot) -> tuple[MarketSnapshot, ...]:
    return scenario_path(market, CRASH, dynamics="sticky_strike")


@pytest.fixture
def played(hold: Hold, path: tuple[MarketSnapshot, ...], matrix: AnyRule) -> Replay:
    accounts = [
        hold(HELD, {"BTC": 8.0}, "rich"),
        hold(HELD, {"BTC": 3.2}, "thin"),
        hold(HELD, {"BTC": 3.2}, "saver"),
        hold(HELD, {"BTC": 2.5}, "poor"),
    ]
    return replay(accounts, path, matrix, reserves={"saver": 150_000.0}, fees=0.0005, fund=1_000.0)


def test_each_account_meets_its_end(played: Replay) -> None:
    played.check()
    assert set(played.of("rich")["event"]) <= {"none", "call"}
    assert "liquidated" in set(played.of("thin")["event"])
    assert "call met" in set(played.of("saver")["event"])
    for name in ("thin", "poor"):
        assert played.of(name)["closed"].sum() > played.of("saver")["closed"].sum()
    summary = played.summary()
    assert summary.loc["saver", "paid"] > 0.0 == summary.loc["thin", "paid"]
    assert summary.loc["thin", "fees"] == pytest.approx(0.0005 * summary.loc["thin", "closed"], rel=0.1)
    assert played.plot(account="thin").get_title().startswith("thin under deribit-pm")
    assert played.notes == ("every trade is at the mark: no market impact, no spread",)
    with pytest.raises(ParameterError, match="no account 'nobody'"):
        played.of("nobody")


def test_what_happens_does_not_depend_on_the_others(
    hold: Hold, path: tuple[MarketSnapshot, ...], matrix: AnyRule, played: Replay
) -> None:
    alone = replay(hold(HELD, {"BTC": 3.2}, "thin"), path, matrix, fees=0.0005)
    columns = ["equity", "im", "mm", "event", "closed", "fees"]
    pd.testing.assert_frame_equal(alone.of("thin")[columns], played.of("thin")[columns])
    again = replay(hold(HELD, {"BTC": 3.2}, "thin"), path, matrix, fees=0.0005)
    pd.testing.assert_frame_equal(alone.steps, again.steps)
    pd.testing.assert_frame_equal(alone.trades, again.trades)


def test_equity_is_explained_step_by_step(
    hold: Hold, path: tuple[MarketSnapshot, ...], matrix: AnyRule
) -> None:
    account = entered_at(hold(HELD, {"BTC": 8.0}), path[0])
    steps = replay(account, path, matrix).of("account")
    # coins: one for one with the inverse profit, less funding paid at 0.01 % in eight hours
    coins, paid = 8.0, 0.0
    for at, snapshot in enumerate(path):
        mark = snapshot.mark(account.instruments[0]).price
        if at:
            paid += 600_000.0 / mark * 0.0003
            expected = -600_000.0 / mark * 0.0003 * snapshot.spot("BTC")
            assert steps["funding"].iloc[at] == pytest.approx(expected, rel=1e-9)
        worth = coins - paid + 600_000.0 * (1.0 / 60_030.0 - 1.0 / mark)
        assert steps["equity"].iloc[at] == pytest.approx(worth * snapshot.spot("BTC"), rel=1e-9)
    assert not steps["closed"].any()


def test_liquidation_begins_at_the_closed_form_price(
    hold: Hold, market: MarketSnapshot, standard: AnyRule
) -> None:
    account = hold(HELD, {"BTC": 1.0})
    table = standard.parameter_set(market, "BTC").table("BTC")
    exact = liquidation_price(
        account.instruments[0], 60_000.0, 60_030.0, 1.0, 60_030.0,
        rate=table.future_mm_rate, slope=table.future_mm_slope,
    )  # fmt: skip
    still = replace(market, underlyings={"BTC": replace(market.market("BTC"), funding=None)})
    events = []
    for nudge in (1.0001, 0.9999):
        move = nudge * exact.lower / 60_030.0 - 1.0
        down = scenario_path(
            still, pd.DataFrame({"days": [0.1], "BTC spot": [move]}), dynamics="sticky_strike"
        )
        events.append(replay(account, down, standard, grace=9).steps["event"].iloc[-1])
    assert events == ["call", "liquidated"]


def test_a_call_that_stays_open_ends_in_closing(
    hold: Hold, market: MarketSnapshot, standard: AnyRule
) -> None:
    quiet = replace(market, underlyings={"BTC": replace(market.market("BTC"), funding=None)})
    flat = scenario_path(quiet, pd.DataFrame({"days": [0.1] * 3}), dynamics="sticky_strike")
    rich = standard.requirement(hold(HELD, {"BTC": 5.0}), market)
    account = hold(HELD, {"BTC": 0.5 * (rich.im + rich.mm)})
    for grace, expected in (
        (0, ["closed for call", "none"]),
        (2, ["call", "call", "closed for call", "none"]),
    ):
        events = replay(account, flat, standard, grace=grace).steps["event"].to_list()
        assert events[: len(expected)] == expected
    met = replay(account, flat, standard, reserves=1e6)
    assert met.steps["event"].to_list() == ["call met", "none", "none", "none"]
    assert met.steps["paid"].sum() == pytest.approx((rich.im - account.collateral["BTC"]) * 60_000.0)


def test_a_gap_beyond_equity_falls_on_the_fund_then_on_nobody(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule
) -> None:
    gap = scenario_path(
        market, pd.DataFrame({"days": [0.1] * 2, "BTC spot": [-0.4, 0.0]}), dynamics="sticky_strike"
    )
    played = replay(hold(HELD, {"BTC": 3.2}), gap, matrix, fund=10_000.0)
    played.check()
    assert played.steps["event"].to_list() == ["none", "bankrupt", "gone"]
    row = played.steps.iloc[1]
    assert row["status"] == "insolvent" and row["shortfall"] == pytest.approx(-row["equity"], rel=1e-9)
    assert (row["fund_paid"], played.fund) == (10_000.0, 0.0) and row["uncovered"] > 0.0


def test_expiry_on_the_way_is_settled(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    days = scenario_path(
        market, pd.DataFrame({"days": [2.0, 3.0], "BTC spot": [0.1, 0.0]}), dynamics="sticky_strike"
    )
    account = hold({"BTC-14JUN24-60000-C": -2.0, "BTC-27DEC24-60000-C": -1.0}, {"BTC": 3.0})
    steps = replay(account, days, matrix).steps
    assert steps["positions"].to_list() == [2, 2, 1]
    assert steps["settled"].iloc[2] == pytest.approx(-2.0 * 6_000.0)


def test_a_rule_with_parts_can_be_replayed(
    hold: Hold, path: tuple[MarketSnapshot, ...], matrix: AnyRule
) -> None:
    account = hold(HELD, {"BTC": 8.0})
    harder = with_parts(matrix, [BasisRisk(annualised=0.0, minimum=0.01)])
    plain, more = (replay(account, path, used).of("account")["im"] for used in (matrix, harder))
    assert (more > plain).all()


def test_bad_input_is_named(hold: Hold, path: tuple[MarketSnapshot, ...], matrix: AnyRule) -> None:
    account = hold(HELD, {"BTC": 8.0})
    with pytest.raises(DataGapError, match="1 accounts and 0 snapshots"):
        replay(account, [], matrix)
    with pytest.raises(LookAheadError, match="a path that rises in time"):
        replay(account, [path[1], path[0]], matrix)
    late = replace(account, portfolio=replace(account.portfolio, as_of=path[1].as_of))
    with pytest.raises(LookAheadError, match="before account 'account'"):
        replay(late, path, matrix)
    with pytest.raises(ParameterError, match="two accounts are called 'account'"):
        replay([account, account], path, matrix)
    with pytest.raises(ParameterError, match="reserve of account is -1"):
        replay(account, path, matrix, reserves=-1.0)
    with pytest.raises(ParameterError, match="grace is -1"):
        replay(account, path, matrix, grace=-1)


def test_results_show_themselves_and_are_ready_for_json(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule, played: Replay
) -> None:
    account = hold(HELD, {"BTC": 3.2})
    result = matrix.requirement(account, market)
    for one in (
        played,
        margin_call(result, market),
        partial_liquidation(account, market, matrix),
        distance_to_liquidation(account, market, matrix, dynamics="sticky_strike", points=2),
    ):
        one.check()
        assert json.loads(json.dumps(one.to_dict()))
        assert repr(one) == repr(one) and "object at 0x" not in repr(one)
        assert one.plot() is not None and isinstance(one.cite(), tuple)
