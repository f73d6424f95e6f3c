"""Credits across commodities: bounded between cuts, closed in on, and kept where they are limited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pmkit.core.types import FloatArray
from pmkit.margin.rules.span.scenarios import PAIRS
from pmkit.optimize import AtMost, Cost, Problem, Requirement, legs_at_cost
from tests.unit.optimize.books import held_at, scaled
from tests.unit.optimize.choice_books import SPAN_SET, span_problem
from tests.unit.optimize.test_choice_rules import every_trade
from tests.unit.optimize.test_rules import problem_of

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

HELD = {"ES-near": -3.0, "ES-near-2900-C": -4.0, "ES-far-3000-C": 2.0, "NQ-near": 2.0, "NQ-near-7200-C": -3.0}
#: two spreads that compete for the same delta, of opposite and of equal sides, and one in the other table
SPREADS = [
    {"other": "NQ", "ratio": 2.0, "other_ratio": 1.0, "rate": 0.7, "same_side": False},
    {"other": "NQ", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.3, "same_side": True},
]
BACK = [{"other": "ES", "ratio": 1.0, "other_ratio": 3.0, "rate": 0.5, "same_side": False}]
SEVERAL = SPAN_SET.with_values("ES", intercommodity=SPREADS).with_values("NQ", intercommodity=BACK)


def credited(most: float = 4.0, which: Any = "im", **more: Any) -> Problem:
    """Return a book of two commodities with three legs and several spreads."""
    legs = ["NQ-near", "ES-near-2700-P", "NQ-near-7200-C"]
    return span_problem(HELD, legs, most=most, which=which, parameters=SEVERAL, **more)


def bought_vol(which: Any) -> Problem:
    """Return a book whose largest loss is often one of falling vol, of which the price is a small part."""
    held = {"ES-near": 0.2, "ES-near-2900-C": -4.0, "ES-far-3000-C": 2.0, "ES-middle": 1.0,
            "ES-near-2700-P": 5.0, "NQ-near": -2.0}  # fmt: skip
    return span_problem(held, ["ES-near", "NQ-near", "ES-near-2700-P"], most=4.0, which=which)


def random_trades(problem: Problem, generator: np.random.Generator, most: float) -> FloatArray:
    legs = np.isin([i.name for i in problem.instruments], problem.legs.names)
    return np.where(legs, np.round(generator.uniform(-most, most, legs.size), 1), 0.0)


@pytest.mark.parametrize(
    ("which", "seed", "make"),
    [("im", 1, credited), ("mm", 2, credited), ("im_equity", 3, credited), ("im", 4, bought_vol)],
)
def test_cuts_at_the_ratio_make_it_exact_and_others_a_bound(which: str, seed: int, make: Any) -> None:
    problem = make(which=which)
    generator = np.random.Generator(np.random.PCG64(seed))
    formed, loose = 0, 0
    for _ in range(12):
        trades = random_trades(problem, generator, 4.0)
        own = problem.objective.value(problem.outcome(trades))
        wide = held_at(problem, trades, {})
        assert wide.solution.value <= own + 1e-6
        loose += wide.solution.value < own - 1.0
        found = problem.objective.result(problem.outcome(trades))  # type: ignore[attr-defined]
        cuts = {}
        for ratio in wide.work.ratios:
            losses = found.figures["losses"][ratio.name].to_numpy()
            active = int(losses.argmax())
            risk = 0.5 * (losses[active] + losses[PAIRS[active]]) - 0.5 * (losses[0] + losses[1])
            cuts[ratio.name] = (max(risk, 0.0) / ratio.under.value(wide.solution.point),)
        narrow = held_at(problem, trades, cuts)
        credits = found.figures["commodities"]["intercommodity_credit"]
        formed += bool((credits > 0.0).any())
        assert narrow.solution.value == pytest.approx(own, rel=1e-8, abs=1e-5)
    assert formed >= 6
    assert loose >= 2


@pytest.mark.parametrize("which", ["im", "im_equity"])
def test_no_random_trade_is_better(which: str) -> None:
    problem = credited(which=which)
    found = problem.solve()
    found.check()
    assert found.gap < 1e-6
    assert found.status == "optimal"
    assert found.kind == "mixed-integer programme"
    generator = np.random.Generator(np.random.PCG64(5))
    best = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    for width in (4.0, 0.2):
        for _ in range(40):
            trades = random_trades(problem, generator, width) + (best if width < 1.0 else 0.0)
            trades = np.clip(trades, -4.0, 4.0)
            value = problem.objective.value(problem.outcome(trades))
            assert value >= found.bound - 1e-6 * abs(found.before)


def test_no_whole_lot_is_better() -> None:
    problem = credited(most=2.0, whole_lots=True)
    found = problem.solve()
    assert found.status == "optimal"
    assert found.value == pytest.approx(every_trade(problem, 2), rel=1e-8)


@pytest.mark.slow
def test_a_jump_is_approached_from_the_side_that_pays() -> None:
    """Next to nothing of both deltas earns the whole credit of the price risk: the rule jumps there."""
    problem = problem_of("span")
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.gap < 1e-6
    result = problem.objective.result(problem.outcome(np.zeros(len(problem.instruments))))  # type: ignore[attr-defined]
    assert result.im == pytest.approx(found.before)
    rows = Requirement(problem.objective.rule).result(  # type: ignore[attr-defined]
        problem.outcome(np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments]))
    )
    assert rows is not None
    assert rows.figures["commodities"].loc["ES", "intercommodity_credit"] > 4_000.0


@pytest.mark.parametrize("limit", [36_000.0, 22_000.0, 5_000.0])
def test_a_limit_on_credited_margin_is_kept_at_the_least_cost(limit: float) -> None:
    problem = span_problem({"ES-near": 4.0}, ["NQ-near", "ES-near"], most=8)
    rule = problem.objective.rule  # type: ignore[attr-defined]
    chosen = [leg.instrument for leg in problem.legs.legs]
    legs = legs_at_cost(chosen, {i.name: 1.0 if i.underlying == "NQ" else 5.0 for i in chosen},
                        max_buy=8.0, max_sell=8.0)  # fmt: skip
    problem = replace(problem, objective=Cost(), legs=legs, constraints=(AtMost(Requirement(rule), limit),))
    found = problem.solve()
    assert found.status == "optimal"
    after = rule.requirement(found.account, problem.snapshot).im
    assert after <= limit * (1.0 + 1e-8)
    names = [i.name for i in problem.instruments]
    for a in np.linspace(-8.0, 0.0, 17):
        for b in np.linspace(-8.0, 0.0, 17):
            trades = np.zeros(len(names))
            trades[[names.index(i.name) for i in chosen]] = [a, b]
            outcome = problem.outcome(trades)
            if outcome.cost < found.cost - 1e-9:
                assert Requirement(rule).value(outcome) > limit


def test_the_credit_of_ten_thousand_books_is_as_many_times_as_large() -> None:
    problem = span_problem({"ES-near": 4.0, "NQ-near": -1.0}, ["NQ-near", "ES-near-2700-P"], most=3)
    one, many = problem.solve(), scaled(problem, 1e4).solve()
    assert one.status == many.status == "optimal"
    assert many.value == pytest.approx(1e4 * one.value, rel=1e-8)


def test_a_limit_below_zero_is_out_of_reach() -> None:
    problem = span_problem({"ES-near": 4.0}, ["NQ-near", "ES-near"], most=8)
    limited = replace(
        problem,
        objective=Cost(),
        constraints=(AtMost(Requirement(problem.objective.rule), -1.0),),  # type: ignore[attr-defined]
    )
    found = limited.solve()
    assert found.status == "infeasible"
    assert "IM span cme by 1 USD" in found.words
    assert found.relaxation.loc["IM span cme", "unit"] == "USD"


def test_without_an_end_of_the_legs_a_gap_is_left() -> None:
    spread = [{"other": "NQ", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.9, "same_side": False}]
    problem = span_problem(
        {"ES-near": 4.0},
        ["NQ-near"],
        most=np.inf,
        parameters=SPAN_SET.with_values("ES", intercommodity=spread),
    )
    found = problem.solve()
    found.check()
    assert found.status == "gap"
    assert found.value < 0.5 * found.before
    assert found.trades["trade"].iloc[0] == pytest.approx(-4.0, abs=0.01)


def test_papers_are_cited() -> None:
    found = span_problem({"ES-near": 4.0, "NQ-near": -1.0}, ["NQ-near"], most=2).solve()
    assert {"mccormick1976", "nagarajan2019"} <= set(found.references)
