"""Expected shortfall: the reduced programme has the optimum of the whole one, and it is the ES."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import pmkit as pm
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot
from pmkit.optimize import (
    AtMost,
    Cost,
    Problem,
    Requirement,
    Shortfall,
    fresh_shortfall,
    frontier,
    legs_at_cost,
    resampled_optima,
)
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.terms.shortfall import add_shortfall
from pmkit.risk import PnLCube, expected_shortfall

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")


def simulated(scenarios: int, instruments: int, seed: int) -> FloatArray:
    """Return simulated P&L with fat tails and common factors, shape (instruments, scenarios)."""
    generator = stream(seed, "test-shortfall")
    factors = generator.standard_t(4, (scenarios, 3))
    loads = generator.standard_normal((3, instruments)) * 0.5 + 0.5
    noise = generator.standard_t(4, (scenarios, instruments))
    return np.ascontiguousarray((0.01 * (factors @ loads + noise)).T)


def minimum(
    unit: FloatArray, weights: FloatArray, level: float, *, every: bool
) -> tuple[Solution, FloatArray]:
    """Return the long-only portfolio of weight one with the least shortfall, and its weights."""
    n = unit.shape[0]
    model = LinearModel()
    columns = np.array([model.column(f"w{i}") for i in range(n)])
    held = Held(np.zeros(n), np.arange(n), columns, np.ones(n), np.zeros(n), np.ones(n))
    model.row(Affine(0.0, columns, np.ones(n)), 1.0, 1.0, "budget")
    shortfall, rows = add_shortfall(model, unit, held, weights, level, every=every)
    found = solve_linear(model, shortfall, [rows])
    return found, held.quantities(found.point)


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.sampled_from([0.8, 0.9, 0.95, 0.975]), st.booleans())
def test_reduced_equals_whole(seed: int, level: float, weighted: bool) -> None:
    unit = simulated(240, 8, seed)
    weights = np.full(240, 1.0 / 240)
    if weighted:
        weights = stream(seed, "weights").dirichlet(np.ones(240))
    part, w = minimum(unit, weights, level, every=False)
    whole, _ = minimum(unit, weights, level, every=True)
    assert part.value == pytest.approx(whole.value, rel=1e-9)
    assert part.bound == pytest.approx(part.value, rel=1e-9)
    own = expected_shortfall(np.add.reduce(unit * w[:, None], axis=0), level, weights).value
    assert part.value == pytest.approx(own, rel=1e-9)


def test_reduction_leaves_most_scenarios_out() -> None:
    found, _ = minimum(simulated(4000, 20, 5), np.full(4000, 1.0 / 4000), 0.975, every=False)
    assert found.n_rows < 600


def test_another_solver_on_the_textbook_programme_agrees() -> None:
    n, scenarios, level = 6, 150, 0.9
    unit = simulated(scenarios, n, 3)
    found, _ = minimum(unit, np.full(scenarios, 1.0 / scenarios), level, every=False)
    share = 1.0 / (scenarios * (1.0 - level))
    cost = np.concatenate([np.zeros(n), [1.0], np.full(scenarios, share)])
    rows = np.concatenate([-unit.T, -np.ones((scenarios, 1)), -np.eye(scenarios)], axis=1)
    plain = linprog(
        cost,
        A_ub=rows,
        b_ub=np.zeros(scenarios),
        A_eq=np.concatenate([np.ones(n), np.zeros(scenarios + 1)])[None, :],
        b_eq=[1.0],
        bounds=[(0.0, None)] * n + [(None, None)] + [(0.0, None)] * scenarios,
        method="highs-ipm",
    )
    assert found.value == pytest.approx(plain.fun, rel=1e-7)


# -- on the real chain --------------------------------------------------------------------------------------
WINGS = ("BTC-25SEP26-70000-C", "BTC-25SEP26-52000-P", "BTC-PERPETUAL")


@pytest.fixture(scope="module")
def problem(snap: MarketSnapshot, straddle: pm.Account) -> Problem:
    made = [pm.instruments.parse_instrument(name, snap.as_of) for name in WINGS]
    legs = legs_at_cost(made, {WINGS[0]: 30.0, WINGS[1]: 30.0, WINGS[2]: 0.003})
    legs = legs.limited({WINGS[0]: 20.0, WINGS[1]: 20.0, WINGS[2]: 20_000.0})
    first = Problem(account=straddle, snapshot=snap, legs=legs, objective=Cost())
    return replace(first, objective=Shortfall(cube_of(first, 1), 0.95))


def cube_of(problem: Problem, seed: int, rows: int = 400) -> PnLCube:
    """Return a cube over simulated joint moves of spot and vol."""
    generator = stream(seed, "test-moves")
    spot = 0.05 * generator.standard_t(4, rows)
    vol = -1.2 * spot + 0.08 * generator.standard_normal(rows)
    moves = [(f"move {i}", float(np.clip(s, -0.5, 0.8)), float(np.clip(v, -0.6, 2.0)))
             for i, (s, v) in enumerate(zip(spot, vol, strict=True))]  # fmt: skip
    scenarios = pm.scenarios.table(moves, dynamics="sticky_strike", underlyings=["BTC"])
    return pm.risk.revalue(list(problem.instruments), problem.snapshot, scenarios)


def test_hedge_under_es(problem: Problem) -> None:
    found = problem.solve()
    assert found.status == "optimal"
    assert found.tie_out < 1e-8
    term = problem.objective
    assert isinstance(term, Shortfall)
    pnl = term.cube.account_pnl(found.account.portfolio)
    assert found.value == pytest.approx(expected_shortfall(pnl, 0.95).value, rel=1e-9)
    assert found.value < found.before


def test_es_as_a_limit_beside_a_rule(problem: Problem, spm: AnyRule) -> None:
    limit = 1.2 * problem.solve().value
    both = replace(
        problem, objective=Requirement(spm), constraints=(AtMost(problem.objective, limit),)
    ).solve()
    alone = replace(problem, objective=Requirement(spm)).solve()
    assert both.terms.loc["ES 0.95", "after"] <= limit * (1.0 + 1e-9)
    assert both.value >= alone.value * (1.0 - 1e-9)


def test_fresh_scenarios_and_resampling(problem: Problem) -> None:
    found = problem.solve()
    frame = fresh_shortfall(problem, found, cube_of(problem, 2), 0.95)
    assert frame.loc["seen", "after"] == pytest.approx(found.value)
    assert frame.loc["fresh", "after"] > 0.0
    again = resampled_optima(problem, samples=4, seed=3)
    again.check()
    assert again.regret >= 0.0
    assert again.optimism > 0.0
    assert resampled_optima(problem, samples=4, seed=3).table.equals(again.table)
    assert (again.trades["same_side"] <= 1.0).all()
    assert again.summary().loc["samples", "value"] == 4.0
    assert again.plot().get_ylabel().startswith("delivered")
    with pytest.raises(ParameterError, match="two samples or more"):
        resampled_optima(problem, samples=1)


def test_frontier_is_concave_and_priced(problem: Problem, spm: AnyRule) -> None:
    term = problem.objective
    assert isinstance(term, Shortfall)
    profit = {i.name: 0.0 for i in problem.instruments}
    profit |= {WINGS[0]: -40.0, WINGS[1]: -40.0, WINGS[2]: 0.02, "BTC-25SEP26-62000-C": 60.0}
    least = problem.solve().value
    steps = [1.02 * least, 1.1 * least, 1.2 * least, 1.3 * least]
    made = frontier(
        problem.account, problem.snapshot, problem.legs, profit=profit, shortfall=term, limits=steps
    )
    made.check()
    frame = made.summary()
    gains = np.diff(frame["profit"].to_numpy())
    assert (gains >= -1e-6).all()
    assert (np.diff(gains / np.diff(steps)) <= 1e-6).all()
    prices = frame["es_price"].to_numpy()
    slope = gains / np.diff(steps)
    assert (slope <= prices[:-1] + 1e-6).all()
    assert (slope >= prices[1:] - 1e-6).all()
    low = frontier(
        problem.account, problem.snapshot, problem.legs, profit=profit, shortfall=term, limits=steps[-1:],
        requirement=Requirement(spm), margin_limit=2.5,
    ).summary()  # fmt: skip
    assert float(low["profit"].iloc[0]) <= float(frame["profit"].iloc[-1]) + 1e-6
    assert float(low["margin"].iloc[0]) <= 2.5 * (1.0 + 1e-8)
    assert made.plot().get_xlabel() == "ES 0.95, USD"
    with pytest.raises(ParameterError, match="rising finite amounts"):
        frontier(
            problem.account, problem.snapshot, problem.legs, profit=profit, shortfall=term, limits=[2, 1]
        )
    with pytest.raises(ParameterError, match="both or neither"):
        frontier(
            problem.account, problem.snapshot, problem.legs, profit=profit, shortfall=term, limits=[1.0],
            margin_limit=1.0,
        )  # fmt: skip
