"""Rules as programmes: equal to the rule at any point, and no point is below the optimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments import parse_instrument
from pmkit.margin import Feeds
from pmkit.margin.rule import AnyRule
from pmkit.optimize import Problem, Requirement, optimisable_rules
from tests.unit.margin.listed_books import Leg
from tests.unit.margin.listed_books import account as listed_account
from tests.unit.margin.listed_books import contract as listed_contract
from tests.unit.margin.listed_books import market as listed_market
from tests.unit.optimize.books import (
    FEEDS,
    INVERSE,
    INVERSE_AS_OF,
    account,
    at_trades,
    free_legs,
    inverse_account,
    inverse_market,
    linear,
    linear_market,
    made,
)
from tests.unit.optimize.choice_books import span_problem, strategy_problem, unit_problem

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

ETH = (
    "ETH-PERPETUAL", "ETH-9d-3000-C", "ETH-9d-2800-P", "ETH-60d-3000-P", "ETH-60d-3600-C", "ETH-1y-5000-C",
)  # fmt: skip
BOTH = (*ETH, "BTC-PERPETUAL", "BTC-60d-100000-C")
UNIT = {
    "BTC-PERP-USDT": -20.0, "BTC-30d-USDC": 5.0, "BTC-PERP-USD": 2_000.0, "BTC-30d-60000-C-USDT": -10.0,
    "BTC-7d-55000-P-USD": 7.0, "BTC-180d-70000-C-USD": 4.0,
}  # fmt: skip
SPREADS = {"ES-near": -3.0, "ES-near-2900-C": -4.0, "ES-far-3000-C": 2.0, "ES-middle": 1.0, "NQ-near": 2.0}
SPREAD_LEGS = ("ES-near", "NQ-near", "ES-near-2700-P")
LISTED: dict[str, tuple[Leg, ...]] = {
    "SPX": (("C", 2100.0, -2.0, 25.0), ("P", 1900.0, -3.0, 20.0), ("C", 2200.0, 4.0, 6.0)),
    "NDX": (("P", 4000.0, 2.0, 80.0), ("C", 4400.0, -1.0, 90.0)),
    "XYZ": (("S", 0.0, 300.0, 0.0),),
}


def problem_of(name: str, which: Any = "im", **options: Any) -> Problem:
    """Return a problem in which everything that is held, and more, can be traded for nothing."""
    used: AnyRule
    if name == "okx-pm":
        return unit_problem(UNIT, [*UNIT, "ETH-PERP-USDT"], {"USDC": 1e6, "BTC": 12.0}, which=which)
    if name == "span":
        return span_problem(SPREADS, SPREAD_LEGS, most=20.0, which=which, **options)
    if name == "reg-t":
        return strategy_problem(most=20.0, which=which, **options)
    if name == "deribit-pm":
        sizes = (-3000.0, 500.0, -4.0, 6.0, -5.0, 2.0, -3.0, 800.0, -20.0, 15.0)
        kept = [n for n in INVERSE if n.startswith("BTC") or options.get("variant") == "spm"]
        held = inverse_account(dict(zip(kept, sizes, strict=False)))
        snapshot, used = inverse_market(), made(name, **options)
        names = [parse_instrument(n, held.as_of) for n in kept]
    elif name == "tims":
        spots = {"SPX": 2000.0, "NDX": 4200.0, "XYZ": 100.0}
        held, snapshot = listed_account(LISTED), listed_market(spots, LISTED)
        names = [listed_contract(leg, u) for u, legs in LISTED.items() for leg in legs]
        used = made(name)
    else:
        coins = BOTH if name == "paradex-pm" else ETH
        held = account({n: q for n, q in zip(coins[:5], (3.0, -4.0, -6.0, 2.0, -1.0), strict=True)},
                       {"USDC": 1e6, "ETH": 2.0} if name == "derive-pmrm-v2" else None)  # fmt: skip
        snapshot, names = linear_market(coins), [linear(n) for n in coins]
        used = made(name, **({"feeds": FEEDS} if name == "derive-pmrm-v2" else {}), **options)
    return Problem(
        account=held, snapshot=snapshot, legs=free_legs(tuple(names)), objective=Requirement(used, which)
    )


def tradable(problem: Problem) -> BoolArray:
    """Return which instruments have a leg."""
    return np.isin([i.name for i in problem.instruments], problem.legs.names)


CASES = [
    ("deribit-pm", "im", {"variant": "spm"}), ("deribit-pm", "mm", {"variant": "spm"}),
    ("deribit-pm", "im", {"variant": "classic"}), ("deribit-pm", "mm", {"variant": "classic"}),
    ("paradex-pm", "im", {"variant": "funding"}), ("paradex-pm", "mm", {"variant": "fee"}),
    ("derive-pmrm-v2", "im", {}), ("derive-pmrm-v2", "mm", {}), ("tims", "im", {}), ("tims", "mm", {}),
    ("okx-pm", "im", {}), ("okx-pm", "mm", {}),
    ("span", "im", {}), ("span", "mm", {}), ("span", "im_equity", {}),
    ("reg-t", "im", {}), ("reg-t", "mm", {}), ("reg-t", "im_equity", {"with_minimum_equity": True}),
]  # fmt: skip


def test_cases_cover_every_rule() -> None:
    assert {name for name, _, _ in CASES} == set(optimisable_rules())


@pytest.mark.parametrize(("name", "which", "options"), CASES)
def test_programme_equals_the_rule_at_any_trades(name: str, which: str, options: dict[str, Any]) -> None:
    problem = problem_of(name, which, **options)
    n = len(problem.instruments)
    points = [np.zeros(n)]
    generator = np.random.Generator(np.random.PCG64(7))
    # strategies are formed of whole contracts
    places = 0 if name == "reg-t" else 2
    points += [np.round(generator.uniform(-20.0, 20.0, n), places) for _ in range(6)]
    for point in points:
        trades = np.where(tradable(problem), point, 0.0)
        programme, own = at_trades(problem, trades)
        assert programme == pytest.approx(own, rel=1e-8, abs=2e-5 if name == "deribit-pm" else 1e-7)


@pytest.mark.parametrize(
    ("name", "which", "options"),
    # credits are searched by many evaluations of the rule; test_choice_rules has a quick case
    [pytest.param(*case, marks=pytest.mark.slow) if case[0] == "span" else case for case in CASES],
)
def test_no_trade_is_below_the_optimum(name: str, which: str, options: dict[str, Any]) -> None:
    problem = problem_of(name, which, **options)
    found = problem.solve()
    assert found.status in ("optimal", "gap")
    assert found.value < found.before
    generator = np.random.Generator(np.random.PCG64(11))
    best = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    for size in (20.0, 1.0, 0.05):
        for _ in range(8):
            trades = np.clip(best + generator.uniform(-size, size, best.size), -20.0, 20.0)
            trades = np.where(tradable(problem), np.round(trades) if name == "reg-t" else trades, 0.0)
            other = problem.objective.value(problem.outcome(trades))
            assert other >= found.bound - found.rounding - 1e-8 * max(
                abs(found.value), 1e-6 * abs(found.before)
            )


def test_dampened_tail_rules_in_the_optimum() -> None:
    """The published kind of case: far calls sold in size are ruled by a dampened tail row."""
    as_of = INVERSE_AS_OF
    held = inverse_account({"BTC-27FEB26-90000-C": -200.0})
    legs = free_legs((parse_instrument("BTC-27FEB26", held.as_of),), most=50_000.0)
    used = made("deribit-pm")
    problem = Problem(account=held, snapshot=inverse_market(), legs=legs, objective=Requirement(used))
    found = problem.solve()
    before = used.requirement(held, problem.snapshot)
    assert before.worst_scenario.name.endswith("extended, vol up"), as_of
    assert found.status == "optimal"
    assert found.value < found.before
    found.check()


@settings(max_examples=15)
@given(st.lists(st.floats(-20.0, 20.0), min_size=6, max_size=6).map(np.array))
def test_derive_skew_rows_are_exact(trades: FloatArray) -> None:
    programme, own = at_trades(problem_of("derive-pmrm-v2"), np.round(trades, 3))
    assert programme == pytest.approx(own, rel=1e-8, abs=1e-6)


def test_obligations_and_two_coins_in_usd() -> None:
    problem = problem_of("deribit-pm", variant="spm")
    owed = replace(problem.account, mmp_margin={"BTC": 0.5}, open_order_margin={"ETH": 2.0})
    found, plain = replace(problem, account=owed).solve(), problem.solve()
    assert found.unit == plain.unit == "USD"
    assert found.value - plain.value == pytest.approx(0.5 * 60_000.0 + 2.0 * 3_000.0, rel=1e-6)


def test_an_obligation_in_another_coin_makes_the_sum_usd() -> None:
    problem = problem_of("deribit-pm")
    found = replace(problem, account=replace(problem.account, open_order_margin={"ETH": 2.0})).solve()
    assert (problem.solve().unit, found.unit) == ("BTC", "USD")
    assert found.value == pytest.approx(60_000.0 * problem.solve().value + 6_000.0, rel=1e-6)


def test_whole_lots_under_a_rule_with_binaries() -> None:
    problem = problem_of("derive-pmrm-v2")
    whole = replace(problem, whole_lots=True, legs=problem.legs.limited(2.0)).solve()
    free = replace(problem, legs=problem.legs.limited(2.0)).solve()
    assert whole.kind == free.kind == "mixed-integer programme"
    assert free.value <= whole.value * (1.0 + 1e-9)
    assert (np.abs(whole.trades["trade"] / 0.1 - np.round(whole.trades["trade"] / 0.1)) < 1e-9).all()
    whole.check()


def test_doubt_and_open_legs_are_refused_under_derive() -> None:
    problem = problem_of("derive-pmrm-v2")
    doubted = made("derive-pmrm-v2", feeds=Feeds(default_confidence=0.2, default_rate=0.05))
    with pytest.raises(ParameterError, match=r"confidence of 0\.2 below the threshold"):
        replace(problem, objective=Requirement(doubted)).solve()
    open_ended = free_legs(problem.instruments, most=np.inf)
    with pytest.raises(ParameterError, match="finite max_buy and max_sell"):
        replace(problem, legs=open_ended).solve()


def test_smallest_equity_of_tims_is_a_floor() -> None:
    problem = problem_of("tims")
    floored = replace(problem, objective=Requirement(made("tims", with_minimum_equity=True))).solve()
    assert floored.value == pytest.approx(floored.programme, rel=1e-9)
    assert floored.value >= problem.solve().value
    assert floored.value >= 100_000.0
