"""Rules with choices in their programmes: optima against every trade, plain offsets, credits, refusals."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.margin.parameters import load_parameter_sets
from pmkit.optimize import AtMost, Band, Cost, Problem, Requirement, legs_at_cost
from pmkit.optimize.linear.choices import exact_parts, exact_smaller, range_of, smallest
from pmkit.optimize.linear.model import Affine, LinearModel
from pmkit.optimize.linear.solver import solve_linear
from tests.unit.optimize.books import at_trades
from tests.unit.optimize.choice_books import (
    SPAN_SET,
    book,
    span_problem,
    strategy_problem,
    unit_contract,
    unit_problem,
    with_balances,
)

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

#: short perpetuals in one quote against futures in another, and options of two expiries
UNIT = {"BTC-PERP-USDT": -4.0, "BTC-30d-60000-C-USDT": -3.0, "BTC-180d-70000-C-USD": 2.0}


def every_trade(problem: Problem, most: int) -> float:
    """Return the least objective over all whole trades, one rule evaluation each."""
    legs = [i.instrument.name for i in problem.legs.legs]
    at = [[i.name for i in problem.instruments].index(name) for name in legs]
    best = np.inf
    for sizes in itertools.product(range(-most, most + 1), repeat=len(legs)):
        trades = np.zeros(len(problem.instruments))
        trades[at] = sizes
        best = min(best, problem.objective.value(problem.outcome(trades)))
    return best


CASES: list[tuple[str, Any]] = [
    ("two quotes and two expiries",
     lambda: unit_problem(UNIT, ["BTC-PERP-USD", "BTC-180d-70000-C-USD"], most=3, whole_lots=True)),
    ("coins in use",
     lambda: unit_problem(UNIT, ["BTC-PERP-USDT", "BTC-7d-55000-P-USD"], {"BTC": 3.0}, most=3,
                          whole_lots=True, which="mm")),
    ("three quotes",
     lambda: unit_problem({"BTC-PERP-USDT": -4.0, "BTC-PERP-USDC": 3.0}, ["BTC-30d-USDC", "BTC-30d-USDT"],
                          {"USDC": 1e6, "BTC": -2.0}, most=3, whole_lots=True)),
    ("months", lambda: span_problem({"ES-near": -3.0, "ES-middle": 2.0}, ["ES-far", "ES-near-2900-C"], most=3,
                                    whole_lots=True)),
    ("strategies", lambda: strategy_problem(most=3, legs=[1, 2])),
    ("strategies with their premium", lambda: strategy_problem(most=3, legs=[0, 3], which="im_equity")),
]  # fmt: skip


@pytest.mark.parametrize("make", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_no_whole_trade_is_better(make: Any) -> None:
    problem = make()
    found = problem.solve()
    assert found.status in ("optimal", "no_trade")
    assert found.value == pytest.approx(every_trade(problem, 3), rel=1e-8, abs=1e-6)
    assert found.tie_out < 1e-8
    assert found.bound == pytest.approx(found.value, rel=1e-8, abs=1e-6)


@settings(max_examples=12)
@given(st.lists(st.floats(-20.0, 20.0), min_size=4, max_size=4).map(np.array), st.floats(-3.0, 30.0))
def test_risk_units_are_exact_at_any_trades_and_balance(trades: Any, coins: float) -> None:
    problem = unit_problem(UNIT, [*UNIT, "BTC-PERP-USDC"])
    programme, own = at_trades(with_balances(problem, {"BTC": coins, "USDT": -5_000.0}), np.round(trades, 2))
    assert programme == pytest.approx(own, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"delivery_days": 30.0, "delivery_spread_rate": 5.0, "delivery_outright_rate": 20.0},
        {"delivery_days": 30.0, "delivery_outright_rate": 20.0, "intermonth": []},
        {"short_option_method": "greater", "short_option_minimum": 4000.0},
        {"exposure_rate": 0.02, "exposure_deep_otm_rate": 0.03, "exposure_far_rate": 0.05},
        {"intermonth": [{"rate": 70.0, "legs": [
            {"from_days": 0.0, "to_days": 40.0, "side": "A", "ratio": 1.0},
            {"from_days": 40.0, "to_days": 100.0, "side": "B", "ratio": 2.0},
            {"from_days": 100.0, "to_days": 400.0, "side": "A", "ratio": 1.0}]}]},
    ],
)  # fmt: skip
def test_every_charge_of_span_is_exact(changed: dict[str, Any]) -> None:
    held = {"ES-near": -3.0, "ES-near-2900-C": -4.0, "ES-middle": 2.0, "ES-far-3000-P": -2.0}
    problem = span_problem(held, [*held, "ES-far"], parameters=SPAN_SET.with_values("ES", **changed))
    generator = np.random.Generator(np.random.PCG64(5))
    plain = span_problem(held, [*held, "ES-far"])
    differs = False
    for _ in range(6):
        trades = np.round(generator.uniform(-5.0, 5.0, 5), 1)
        programme, own = at_trades(problem, trades)
        assert programme == pytest.approx(own, rel=1e-9, abs=1e-6)
        differs |= abs(own - at_trades(plain, trades)[1]) > 1.0
    assert differs


def test_credits_are_closed_in() -> None:
    held = {"ES-near": 4.0, "NQ-near": -1.0}
    problem = span_problem(held, ["NQ-near", "ES-near-2700-P"], most=3)
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.left_out > 0.0
    # every whole trade costs at least the bound
    best = every_trade(problem, 3)
    assert found.bound <= found.value
    assert found.value <= best * (1.0 + 1e-8)


def test_no_credit_leaves_no_gap() -> None:
    without = SPAN_SET.with_values("ES", intercommodity=[])
    found = span_problem({"ES-near": 4.0, "NQ-near": -1.0}, ["NQ-near"], parameters=without).solve()
    assert found.status == "optimal"
    assert found.left_out == 0.0


def test_strategies_under_limits() -> None:
    problem = strategy_problem()
    legs = legs_at_cost([leg.instrument for leg in problem.legs.legs], 1.0, max_buy=4.0, max_sell=4.0)
    free = replace(problem, legs=legs).solve()
    found = replace(problem, legs=legs, constraints=(AtMost(Cost(), 3.0),)).solve()
    assert found.status == "optimal"
    assert free.value < found.value < found.before
    assert found.cost <= 3.0 + 1e-9
    trades = found.trades["trade"].drop("XYZ", errors="ignore")
    assert (trades == trades.round()).all()
    short = replace(problem, constraints=(Band("delta", high=-1e6),)).solve()
    assert short.status == "infeasible"
    assert "delta" in short.words


def test_buying_options_is_not_free_with_the_premium() -> None:
    """Under a cash rule the margin alone rewards a purchase that the premium has to be paid for."""
    margin, equity = (strategy_problem(which=which, legs=[1]).solve() for which in ("im", "im_equity"))
    result = Requirement(strategy_problem().objective.rule)  # type: ignore[attr-defined]
    assert margin.value <= margin.before
    for found, which in ((margin, "im"), (equity, "im_equity")):
        own = result.rule.requirement(found.account, strategy_problem().snapshot)
        assert getattr(own, which) == pytest.approx(found.value)


def test_choices_need_limits() -> None:
    with pytest.raises(ParameterError, match=r"has no largest trade under reg-t"):
        strategy_problem(most=np.inf).solve()
    with pytest.raises(ParameterError, match=r"net vega has no bounds"):
        unit_problem(UNIT, ["BTC-30d-60000-C-USDT"], most=np.inf).solve()
    with pytest.raises(ParameterError, match=r"ES month 1 has no bounds"):
        span_problem({"ES-near": -3.0, "ES-far": 1.0}, ["ES-near"], most=np.inf).solve()


def test_entry_prices_beside_coins_are_refused() -> None:
    problem = unit_problem({"BTC-PERP-USD": 300.0}, ["BTC-PERP-USD"], {"BTC": 3.0})
    entered = book({"BTC-PERP-USD": 300.0}, {"BTC": 3.0}, **{"BTC-PERP-USD": 50_000.0})
    with pytest.raises(ParameterError, match=r"BTC-PERP-USD has an entry price beside a balance of BTC"):
        replace(problem, account=entered).solve()
    # without coins nothing can be in use, and nothing jumps
    poor = replace(entered, collateral={"USDC": 1e6})
    assert replace(problem, account=poor).solve().solved


def test_falling_tiers_are_refused() -> None:
    newest = load_parameter_sets("okx-pm")[-1]
    falling = newest.with_values(
        "BTC", minimum_tiers=[{"coins": ["*"], "floors": [0.0, 10.0], "factors": [2.0, 1.0]}]
    )
    problem = unit_problem(UNIT, ["BTC-PERP-USDT"], parameters=(falling,))
    with pytest.raises(ParameterError, match=r"factors \[2.0, 1.0\] of BTC fall"):
        problem.solve()


@settings(max_examples=25)
@given(st.floats(-9.0, 9.0), st.floats(-9.0, 9.0), st.sampled_from([-1.0, 1.0]))
def test_choices_are_exact_in_both_directions(x: float, y: float, direction: float) -> None:
    model = LinearModel()
    a, b = (Affine.of([(model.column(n, v, v), 1.0)], 0.5) for n, v in (("x", x), ("y", y)))
    for column, value in ((0, x), (1, y)):
        model.low[column], model.high[column] = -10.0, 10.0
        model.row(Affine.of([(column, 1.0)]), value, value)
    assert range_of(model, a) == (-9.5, 10.5)
    above, below = exact_parts(model, a, "a")
    least = exact_smaller(model, a, b, "a and b")
    third = smallest(model, [a, b, Affine.of([], 2.0)], "all")
    point = solve_linear(model, Affine.total([above, below, least, third]).times(direction)).point
    assert above.value(point) == pytest.approx(max(x + 0.5, 0.0), abs=1e-7)
    assert below.value(point) == pytest.approx(max(-x - 0.5, 0.0), abs=1e-7)
    assert least.value(point) == pytest.approx(min(x, y) + 0.5, abs=1e-7)
    assert third.value(point) == pytest.approx(min(x + 0.5, y + 0.5, 2.0), abs=1e-7)


def test_contracts_of_units_are_what_they_say() -> None:
    assert unit_contract("BTC-PERP-USD").is_inverse
    assert not unit_contract("BTC-30d-60000-C-USDT").is_inverse


def test_the_search_follows_a_credit_to_its_end() -> None:
    """A future sold in the other commodity costs a scan and earns credits until the deltas match."""
    spread = {"other": "NQ", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.9, "same_side": False}
    problem = span_problem(
        {"ES-near": 4.0}, ["NQ-near"], most=8, parameters=SPAN_SET.with_values("ES", intercommodity=[spread])
    )
    found = problem.solve()
    grid = np.linspace(-8.0, 8.0, 65)
    values = [problem.objective.value(problem.outcome(np.array([0.0, t]))) for t in grid]
    assert found.trades["trade"].iloc[0] == pytest.approx(-4.0, abs=1e-6)
    # four of each: a tenth of both scans is left, times the factor of the initial margin
    assert found.value == pytest.approx(1.1 * 0.1 * 4.0 * 50.0 * (0.06 * 2800.0 + 0.08 * 7000.0), rel=1e-8)
    assert found.value == pytest.approx(min(values), rel=1e-8)
    assert found.gap < 1e-8


def test_papers_of_a_term_are_cited(root: Any) -> None:
    found = strategy_problem(legs=[1]).solve()
    assert found.references[-1] == "rudd1982"
    entries = (root / "book" / "refs.bib").read_text()
    assert all(f"{{{key}," in entries for key in found.references)
