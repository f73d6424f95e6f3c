"""Tickets, bands of one underlying, worst cases, left out parts in sums, and what they refuse."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pmkit as pm
from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import parse_instrument
from pmkit.optimize import (
    AtMost,
    Band,
    Cost,
    Leg,
    Problem,
    Requirement,
    Shortfall,
    Variance,
    Weighted,
    Worst,
    close_first,
    hedge,
    legs_at_cost,
    split_across_venues,
    stressed_optima,
)
from pmkit.risk import PnLCube
from tests.unit.optimize.books import INVERSE_AS_OF, free_legs, inverse_account, inverse_market, made
from tests.unit.optimize.choice_books import strategy_problem, unit_problem

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

HELD = {"BTC-PERPETUAL": 3_000.0, "BTC-27FEB26-70000-C": -5.0, "ETH-PERPETUAL": -4_000.0,
        "ETH-27FEB26-3000-P": -30.0}  # fmt: skip
NAMES = ("BTC-PERPETUAL", "BTC-27FEB26-90000-C", "ETH-PERPETUAL", "ETH-27FEB26-3500-C")


def problem_of(**more: object) -> Problem:
    """Return a book of two coins with four legs under deribit-pm."""
    names = [parse_instrument(n, pd.Timestamp(INVERSE_AS_OF)) for n in NAMES]
    given = {"objective": Requirement(made("deribit-pm")), **more}
    legs = legs_at_cost(names, 2.0, max_buy=50.0, max_sell=50.0)
    return Problem(account=inverse_account(HELD), snapshot=inverse_market(), legs=legs, **given)  # type: ignore[arg-type]


def cube_of(problem: Problem, correlation: float, seed: int = 1) -> PnLCube:
    """Return P&L over 200 simulated moves of two coins with a given correlation."""
    draws = stream(seed, "test-stress").standard_normal((200, 2))
    draws[:, 1] = correlation * draws[:, 0] + math.sqrt(1.0 - correlation**2) * draws[:, 1]
    rows = [
        (f"scenario {k}", {"BTC": 0.04 * float(a), "ETH": 0.05 * float(b)}, 0.0)
        for k, (a, b) in enumerate(draws)
    ]
    scenarios = pm.scenarios.table(rows, dynamics="sticky_strike", underlyings=["BTC", "ETH"])
    return pm.risk.revalue(list(problem.instruments), problem.snapshot, scenarios)


# -- tickets and smallest sizes -----------------------------------------------------------------------------
def test_tickets_are_paid_once_a_leg() -> None:
    problem = problem_of()
    leg = Leg(instrument=problem.legs.legs[0].instrument, cost=2.0, max_buy=5.0, max_sell=5.0, ticket=7.0)
    assert [leg.cost_of(t) for t in (0.0, 1.0, -3.0)] == [0.0, 9.0, 13.0]
    cube = cube_of(problem, 0.8)
    few = [replace(x, ticket=30.0, max_buy=3.0, max_sell=3.0) for x in problem.legs.legs[1::2]]
    options = replace(
        problem, legs=replace(problem.legs, legs=tuple(few)), whole_lots=True,
        objective=Weighted(((1.0, Shortfall(cube, 0.95)), (1.0, Cost()))),
    )  # fmt: skip
    lots = [x.instrument.lot for x in few]
    assert "ticket" in options.legs.to_frame()
    assert "ticket" not in problem.legs.to_frame()
    found = options.solve()
    names = [i.name for i in options.instruments]
    at = [names.index(x.instrument.name) for x in few]
    steps = [np.arange(-3.0, 3.0 + lot / 2.0, lot) for lot in lots]
    best = math.inf
    for sizes in itertools.product(*(s[:: max(1, s.size // 12)] for s in steps)):
        trades = np.zeros(len(names))
        trades[at] = sizes
        best = min(best, options.objective.value(options.outcome(trades)))
    assert found.value <= best + 1e-8 * abs(best)
    assert found.cost == pytest.approx(sum(30.0 + 2.0 * abs(t) for t in found.trades["trade"]), rel=1e-9)
    dear = replace(options, legs=replace(options.legs, legs=tuple(replace(x, ticket=1e6) for x in few)))
    assert dear.solve().status == "no_trade"


def test_a_purchase_and_a_sale_are_no_small_trade() -> None:
    problem = problem_of()
    legs = tuple(replace(x, cost=0.0, cost_beyond=0.0, min_size=20.0) for x in problem.legs.legs)
    found = replace(problem, legs=replace(problem.legs, legs=legs)).solve()
    sizes = found.trades["trade"].abs()
    assert len(sizes)
    assert (sizes >= 20.0 * (1.0 - 1e-9)).all()


def test_tickets_are_checked() -> None:
    instrument = problem_of().legs.legs[0].instrument
    with pytest.raises(ParameterError, match=r"ticket of BTC-PERPETUAL is -1\.0"):
        Leg(instrument=instrument, ticket=-1.0)
    with pytest.raises(ParameterError, match="has a ticket and no largest one"):
        Leg(instrument=instrument, ticket=1.0)


# -- bands --------------------------------------------------------------------------------------------------
def test_bands_of_one_underlying_and_gross_gamma() -> None:
    bare = problem_of()
    delta = pm.margin.exposures(bare.account.portfolio, bare.snapshot)
    ether = float(delta.loc[["ETH-PERPETUAL", "ETH-27FEB26-3000-P"], "delta"].sum())
    band = Band("delta", high=ether - 500.0, underlying="ETH")
    assert band.text.startswith("ETH delta ≤")
    found = replace(bare, objective=Cost(), constraints=(band,)).solve()
    after = pm.margin.exposures(found.account.portfolio, bare.snapshot)["delta"]
    mine = [n for n in after.index if str(n).startswith("ETH")]
    assert float(after[mine].sum()) == pytest.approx(ether - 500.0, rel=1e-6)
    assert all(str(n).startswith("ETH") for n in found.trades.index)
    assert "ETH delta" in found.prices.index
    total = float(delta["gamma"].abs().sum())
    less = replace(bare, constraints=(Band("gross_gamma", high=total),)).solve()
    rows = pm.margin.exposures(less.account.portfolio, bare.snapshot)
    assert float(rows["gamma"].abs().sum()) <= total * (1.0 + 1e-8)
    with pytest.raises(ParameterError, match="band of delta of 'GOLD'"):
        replace(bare, constraints=(Band("delta", high=0.0, underlying="GOLD"),)).solve()
    with pytest.raises(ParameterError, match="gross_gamma has the lower bound"):
        Band("gross_gamma", low=1.0)


# -- the worst of several -----------------------------------------------------------------------------------
def test_least_worst_case_is_between_the_optima() -> None:
    problem = problem_of()
    cubes = {"estimate": cube_of(problem, 0.9), "broken": cube_of(problem, -0.2, seed=2)}
    hedged = replace(problem, objective=Shortfall(cubes["estimate"], 0.95),
                     legs=problem.legs.limited({n: 20_000.0 for n in NAMES}))  # fmt: skip
    wide = replace(hedged, legs=replace(hedged.legs, legs=tuple(
        replace(x, max_buy=20_000.0, max_sell=20_000.0) if "PERP" in x.instrument.name else x
        for x in hedged.legs.legs)))  # fmt: skip
    found = stressed_optima(wide, cubes)
    table, worst = found.table, found.worst
    assert list(table.index) == ["before", "estimate", "broken", "least worst"]
    assert worst["least worst"] < min(worst["estimate"], worst["broken"]) * (1.0 + 1e-9)
    assert worst["least worst"] >= max(table["estimate"]["estimate"], table["broken"]["broken"]) - 1e-6
    assert found.regret.loc["estimate", "estimate"] == 0.0
    assert (found.regret.drop("before") >= -1e-6).all().all()
    single = replace(wide, objective=Worst((Shortfall(cubes["broken"], 0.95),))).solve()
    assert single.value == pytest.approx(table["broken"]["broken"], rel=1e-9)
    assert single.unit == "USD"
    assert found.plot().get_title() == "Trades under other scenarios"
    assert "worst" in found.summary()
    with pytest.raises(PmkitError, match="on its own ground"):
        replace(found, table=found.table.iloc[[0, 3, 3, 1]].set_axis(found.table.index)).check()
    with pytest.raises(ParameterError, match="two sets or more"):
        stressed_optima(wide, {"one": cubes["broken"]})
    with pytest.raises(ParameterError, match="infeasible"):
        stressed_optima(replace(wide, constraints=(Band("delta", high=-1e12),)), cubes)
    with pytest.raises(ParameterError, match="0 parts in units"):
        Worst(())
    with pytest.raises(ParameterError, match="all of one unit"):
        Worst((Cost(), Requirement(made("deribit-pm"))))


# -- what a programme leaves out ----------------------------------------------------------------------------
def test_the_shock_of_two_coins_is_solved_beside_a_cost() -> None:
    """A long delta far above the threshold is charged; the first programme does not see it."""
    held = inverse_account({"BTC-PERPETUAL": 4_000_000.0, "ETH-PERPETUAL": -3_000_000.0,
                            "BTC-27FEB26-70000-C": -5.0})  # fmt: skip
    names = [parse_instrument(n, pd.Timestamp(INVERSE_AS_OF)) for n in ("BTC-27FEB26", "ETH-27FEB26-3500-C")]
    problem = Problem(
        account=held, snapshot=inverse_market(), legs=free_legs(tuple(names), most=3_000_000.0, cost=3.0),
        objective=Weighted(((1.0, Requirement(made("deribit-pm"))), (1.0, Cost()))),
    )  # fmt: skip
    found = problem.solve()
    found.check()
    assert problem.objective.left_out(problem.outcome(np.zeros(len(problem.instruments)))) > 0.0
    assert found.status == "optimal"
    assert found.value < found.before
    assert found.bound == pytest.approx(found.value, rel=1e-8)
    trades = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    generator = np.random.Generator(np.random.PCG64(3))
    for _ in range(8):
        near = trades * generator.uniform(0.9, 1.1, trades.size)
        assert problem.objective.value(problem.outcome(near)) >= found.value * (1.0 - 1e-9)


def test_strategies_cannot_be_split() -> None:
    problem = strategy_problem()
    rule = problem.objective.rule  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="one takes whole contracts only under reg-t"):
        split_across_venues(problem.account, problem.snapshot, {"one": rule, "two": rule})


def test_a_smallest_trade_and_a_limit_explain_each_other() -> None:
    problem = problem_of()
    legs = tuple(replace(x, min_size=40.0) for x in problem.legs.legs[:1])
    found = replace(problem, legs=replace(problem.legs, legs=legs),
                    constraints=(AtMost(Cost(), 10.0), Band("delta", low=1e9))).solve()  # fmt: skip
    assert found.status == "infeasible"
    assert "delta" in found.words


def test_a_limit_is_kept_by_the_rule_itself() -> None:
    """A first programme of the limit does not see the shock; the trades meet the limit with it."""
    held = inverse_account({"BTC-PERPETUAL": 4_000_000.0, "BTC-27FEB26-70000-C": -5.0})
    used = made("deribit-pm")
    snapshot = inverse_market()
    future = parse_instrument("BTC-27FEB26", pd.Timestamp(INVERSE_AS_OF))
    problem = Problem(account=held, snapshot=snapshot, legs=free_legs((future,), most=4_000_000.0, cost=1.0),
                      objective=Requirement(used))  # fmt: skip
    before = used.requirement(held, snapshot)
    assert before.addons["delta_shock"] > 0.0
    limit = 0.8 * before.im
    found = replace(problem, objective=Cost(), constraints=(AtMost(Requirement(used), limit),)).solve()
    found.check()
    after = used.requirement(found.account, snapshot)
    assert after.addons["delta_shock"] > 0.0
    assert after.im == pytest.approx(limit, rel=1e-8)
    assert after.im <= limit * (1.0 + 1e-7)
    assert found.status == "optimal"
    # a little less of the trade would break the limit, so that nothing cheaper keeps it nearby
    trade = float(found.trades["trade"].iloc[0])
    less = problem.outcome(np.array([0.0, 0.0, 0.999 * trade]))
    assert used.requirement(less.account, snapshot).im > limit


def test_two_accounts_pay_lower_tiers_than_one() -> None:
    """The minimum charge of a risk unit rises by tiers, so that two accounts may ask for less than one."""
    held = {"BTC-PERP-USDT": 2_000.0, "BTC-30d-USDT": -2_000.0, "BTC-30d-60000-C-USDT": -2.0}
    problem = unit_problem(held, ["BTC-PERP-USDT"])
    rule = problem.objective.rule  # type: ignore[attr-defined]
    found = split_across_venues(problem.account, problem.snapshot, {"one": rule, "two": rule})
    assert found.status == "optimal"
    assert found.value < 0.9 * found.unified
    assert found.value == pytest.approx(found.programme, rel=1e-8)


def test_jobs_take_the_premium_into_account() -> None:
    problem = strategy_problem()
    rule = problem.objective.rule  # type: ignore[attr-defined]
    order = close_first(problem.account, problem.snapshot, rule, problem.legs, which="im_equity")
    before = rule.requirement(problem.account, problem.snapshot)
    assert order.before == before.im_equity
    plan = hedge(problem.account, problem.snapshot, rule, problem.legs, budgets=[0.0], which="im_equity")
    assert plan.optima[0].value <= before.im_equity


def test_choices_and_tail_rows_tie_out_together() -> None:
    """Binaries with large factors beside rows that are added while they are violated."""
    problem = problem_of()
    cube = cube_of(problem, 0.5)
    legs = tuple(replace(x, ticket=5.0 * k, min_size=2.0) for k, x in enumerate(problem.legs.legs, start=1))
    for term in (Shortfall(cube, 0.95), Variance(cube)):
        mixed = replace(
            problem, legs=replace(problem.legs, legs=legs), objective=term,
            constraints=(AtMost(Cost(), 120.0), AtMost(Shortfall(cube, 0.9), 1e9)),
        )  # fmt: skip
        found = mixed.solve()
        assert found.status == "optimal"
        assert found.tie_out < 1e-8
        assert found.value < found.before
        assert found.cost <= 120.0 * (1.0 + 1e-9)
        assert (found.trades["trade"].abs() >= 2.0 * (1.0 - 1e-9)).all()
