"""Variance and tracking: against an independent solver, by hand, in whole lots, as a limit, and bad input."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pmkit as pm
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot
from pmkit.optimize import (
    AtMost,
    Cost,
    ExpectedLoss,
    Premium,
    Problem,
    Requirement,
    Variance,
    Weighted,
    legs_at_cost,
)
from pmkit.optimize.linear.model import Affine, LinearModel
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.terms.quadratic import add_squares
from pmkit.risk import PnLCube

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

LEGS = ("BTC-PERPETUAL", "BTC-25SEP26-70000-C", "BTC-25SEP26-52000-P", "BTC-28AUG26-60000-P")


@pytest.fixture(scope="module")
def problem(straddle: pm.Account, snap: MarketSnapshot) -> Problem:
    """Return the straddle on the real chain with four legs and the variance over simulated moves."""
    names = [pm.instruments.parse_instrument(n, snap.as_of) for n in LEGS]
    legs = legs_at_cost(names, {n.name: 2.0 if "PERP" in n.name else 20.0 for n in names},
                        max_buy=40.0, max_sell=40.0)  # fmt: skip
    legs = replace(
        legs, legs=tuple(replace(x, max_buy=40_000.0, max_sell=40_000.0) if "PERP" in x.instrument.name
                         else x for x in legs.legs)
    )  # fmt: skip
    bare = Problem(account=straddle, snapshot=snap, legs=legs, objective=Cost())
    return replace(bare, objective=Variance(cube_of(bare)))


def cube_of(problem: Problem) -> PnLCube:
    """Return the P&L of everything over a grid of moves of price and vol."""
    moves = np.linspace(-0.2, 0.2, 21)
    scenarios = pm.scenarios.grid(
        moves, vol=np.array([-0.2, 0.0, 0.3]), dynamics="sticky_strike", underlyings=["BTC"]
    )
    return pm.risk.revalue(list(problem.instruments), problem.snapshot, scenarios)


def by_cvxpy(problem: Problem, budget: float = np.inf, benchmark: Any = 0.0) -> float:
    """Return the least variance, written plainly and solved by Clarabel."""
    term = problem.objective
    assert isinstance(term, Variance)
    names = [i.name for i in problem.instruments]
    unit = term.cube.unit_usd[[[i.name for i in term.cube.instruments].index(n) for n in names]]
    start = np.array(
        [{p.instrument.name: p.qty for p in problem.account.portfolio}.get(n, 0.0) for n in names]
    )
    at = [names.index(leg.instrument.name) for leg in problem.legs.legs]
    most = np.array([leg.max_buy for leg in problem.legs.legs])
    share = cp.Variable(len(at))  # of the largest trade
    weights = term.cube.scenarios.weights
    pnl = start @ unit - benchmark + (unit[at] * most[:, None]).T @ share
    scale = np.abs(start @ unit).max()
    gap = (pnl - weights @ pnl) / scale if term.centred else pnl / scale
    rows = [cp.abs(share) <= 1.0]
    if np.isfinite(budget):
        cost = np.array([leg.cost for leg in problem.legs.legs]) * most
        rows.append(cost @ cp.abs(share) <= budget)
    plain = cp.Problem(cp.Minimize(cp.sum(cp.multiply(weights, cp.square(gap)))), rows)
    plain.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return float(plain.value) * scale**2


def test_least_variance_is_that_of_an_independent_solver(problem: Problem) -> None:
    found = problem.solve()
    assert found.status == "optimal"
    assert found.unit == "USD²"
    assert found.value < 0.2 * found.before
    assert found.value == pytest.approx(by_cvxpy(problem), rel=1e-6, abs=1e-8 * found.before)
    assert found.tie_out < 1e-8
    assert found.bound <= found.value * (1.0 + 1e-12)
    pnl = problem.objective.cube.account_pnl(found.account.portfolio)  # type: ignore[attr-defined]
    total = np.asarray(pnl)
    assert found.value == pytest.approx(float(total.var()), rel=1e-9)


def test_budget_has_the_slope_of_the_variance_as_its_price(problem: Problem) -> None:
    values = {}
    for budget in (99.0, 100.0, 101.0):
        found = replace(problem, constraints=(AtMost(Cost(), budget),)).solve()
        assert found.value == pytest.approx(by_cvxpy(problem, budget), rel=1e-6)
        values[budget] = found
    slope = (values[99.0].value - values[101.0].value) / 2.0
    assert values[100.0].prices["price"]["cost"] == pytest.approx(slope, rel=1e-3)


def test_tracking_a_held_book_is_perfect(problem: Problem) -> None:
    cube = problem.objective.cube  # type: ignore[attr-defined]
    names = [i.name for i in cube.instruments]
    target = np.zeros(len(names))
    for p in problem.account.portfolio:
        target[names.index(p.instrument.name)] = p.qty
    target[names.index(LEGS[1])] += 7.0
    wanted = np.add.reduce(cube.unit_usd * target[:, None], axis=0)
    tracked = Variance(cube, wanted)
    assert tracked.label == "tracking variance"
    found = replace(problem, objective=tracked).solve()
    assert found.trades["trade"][LEGS[1]] == pytest.approx(7.0, abs=1e-2)
    assert found.value < 1e-7 * found.before
    raw = replace(problem, objective=Variance(cube, wanted + 50.0, centred=False)).solve()
    assert raw.objective == "tracking second moment"
    assert raw.value <= 50.0**2 * (1.0 + 1e-9)


def test_whole_lots_are_the_best_of_all(problem: Problem) -> None:
    small = replace(
        problem,
        legs=replace(
            problem.legs,
            legs=tuple(replace(x, max_buy=3.0, max_sell=3.0,
                               instrument=replace(x.instrument, lot=1.0)) for x in problem.legs.legs[1:3]),
        ),
        whole_lots=True,
    )  # fmt: skip
    names = [i.name for i in small.instruments]
    at = [names.index(leg.instrument.name) for leg in small.legs.legs]
    found = small.solve()
    best = np.inf
    for sizes in itertools.product(range(-3, 4), repeat=2):
        trades = np.zeros(len(names))
        trades[at] = sizes
        best = min(best, small.objective.value(small.outcome(trades)))
    assert found.kind == "mixed-integer quadratic programme"
    assert found.value == pytest.approx(best, rel=1e-8)


def test_variance_as_a_limit_and_in_a_sum(problem: Problem, spm: AnyRule) -> None:
    free = problem.solve()
    limit = 0.5 * (free.value + free.before)
    term = problem.objective
    found = replace(problem, objective=Cost(), constraints=(AtMost(term, limit),)).solve()
    assert found.status == "optimal"
    assert found.terms["after"][term.label] == pytest.approx(limit, rel=1e-7)
    cheapest = replace(problem, constraints=(AtMost(Cost(), found.cost * (1.0 - 1e-4)),)).solve()
    assert cheapest.value > limit
    profit = {i.name: 5.0 if i.name == LEGS[1] else 0.0 for i in problem.instruments}
    lot = Weighted(((1.0, ExpectedLoss(profit)), (1e-6, term)))
    both = replace(problem, objective=lot).solve()
    assert both.status == "optimal"
    assert both.value <= lot.value(problem.outcome(np.zeros(len(problem.instruments))))
    within = replace(problem, constraints=(AtMost(Requirement(spm), 0.9 * free.before),)).solve()
    assert within.value == pytest.approx(free.value, rel=1e-6)


def test_premium_is_a_budget(problem: Problem, snap: MarketSnapshot) -> None:
    names = [i.name for i in problem.instruments]
    outcome = problem.outcome(np.array([3.0 if n == LEGS[1] else 0.0 for n in names]))
    option = next(i for i in problem.instruments if i.name == LEGS[1])
    paid = 3.0 * snap.mark(option).price * snap.spot("BTC")
    assert Premium().value(outcome) == pytest.approx(paid, rel=1e-12)
    coins = [a.collateral.get("BTC", 0.0) for a in (problem.account, outcome.account)]
    assert (coins[0] - coins[1]) * snap.spot("BTC") == pytest.approx(paid, rel=1e-9)
    future = problem.outcome(np.array([500.0 if n == LEGS[0] else 0.0 for n in names]))
    assert Premium().value(future) == 0.0
    free, bound = problem.solve(), replace(problem, constraints=(AtMost(Premium(), 0.0),)).solve()
    assert bound.terms["after"]["premium"] <= 1e-6
    assert free.value <= bound.value


@settings(max_examples=20)
@given(st.lists(st.floats(-50.0, 50.0), min_size=3, max_size=3), st.floats(0.1, 1e6))
def test_squares_are_those_of_a_projection(target: list[float], scale: float) -> None:
    """Least squares over the unit box: every coordinate is cut to it."""
    model = LinearModel()
    columns = [model.column(f"x{i}", -1.0, 1.0) for i in range(3)]
    size = float(np.sqrt(scale))
    factors = [Affine.of([(c, size)], -size * t) for c, t in zip(columns, target, strict=True)]
    found, rows = add_squares(model, factors, scale, "test")
    solved = solve_linear(model, found, [rows])
    left = np.array(target) - np.clip(target, -1.0, 1.0)
    assert solved.value == pytest.approx(scale * float(left @ left), rel=1e-7, abs=1e-7 * scale)


def test_benchmarks_are_checked(problem: Problem) -> None:
    cube = problem.objective.cube  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match=r"benchmark of shape \(3,\)"):
        Variance(cube, np.zeros(3))
    with pytest.raises(ParameterError, match="1 cell not finite"):
        Variance(cube, np.array([np.nan, *np.zeros(len(cube) - 1)]))
    part = pm.risk.revalue(list(problem.instruments[:1]), problem.snapshot, cube.scenarios)
    with pytest.raises(DataGapError, match="is not in the cube"):
        replace(problem, objective=Variance(part)).solve()


def test_a_book_without_risk_has_none(problem: Problem, snap: MarketSnapshot) -> None:
    flat = pm.scenarios.grid(np.array([0.0]), dynamics="sticky_strike", underlyings=["BTC"])
    cube = pm.risk.revalue(list(problem.instruments), snap, flat)
    found = replace(problem, objective=Variance(cube)).solve()
    assert found.status == "no_trade"
    assert found.value == 0.0


def test_variance_bounds_what_legs_do_not(problem: Problem) -> None:
    """With legs without end the return to variance is that of the plain first-order condition."""
    term = problem.objective
    assert isinstance(term, Variance)
    legs = legs_at_cost([leg.instrument for leg in problem.legs.legs])
    profit = {i.name: 5.0 if i.name == LEGS[1] else 0.0 for i in problem.instruments}
    for weight in (1e-4, 1e-8):
        lot = Weighted(((1.0, ExpectedLoss(profit)), (weight, term)))
        found = replace(problem, legs=legs, objective=lot).solve()
        names = [i.name for i in problem.instruments]
        unit = term.cube.unit_usd[[[i.name for i in term.cube.instruments].index(n) for n in names]]
        at = [names.index(n) for n in legs.names]
        held = {p.instrument.name: p.qty for p in problem.account.portfolio}
        start = np.array([held.get(n, 0.0) for n in names])
        cov = np.cov(unit, bias=True)
        size = np.sqrt(np.diag(cov)[at])
        mu = np.array([profit[n] for n in legs.names])
        slope = (mu / weight / 2.0 - cov[at] @ start) / size
        trades = np.linalg.solve(cov[np.ix_(at, at)] / np.outer(size, size), slope) / size
        point = np.zeros(len(names))
        point[at] = trades
        best = lot.value(problem.outcome(point))
        assert found.status == "optimal"
        assert found.value == pytest.approx(best, rel=1e-6, abs=1e-7 * abs(found.before))
