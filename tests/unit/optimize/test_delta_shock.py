"""The delta shock in the programme: exact at any trades, at its cap, and left out where a leg has no end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pmkit.instruments import parse_instrument
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.optimize import Problem, Requirement, branch, legs_at_cost, split_across_venues
from pmkit.optimize.assemble import assembled
from pmkit.optimize.linear.solver import Solution
from tests.unit.optimize.books import at_trades, inverse_account, inverse_market, made

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

HELD = {"BTC-PERPETUAL": -1_500_000.0, "BTC-27FEB26-60000-C": -100.0, "BTC-27FEB26-50000-P": -80.0}
NAMES = ("BTC-PERPETUAL", "BTC-27FEB26", "BTC-27FEB26-60000-C", "BTC-27FEB26-50000-P", "BTC-27FEB26-70000-C")
SETS = [p for p in load_parameter_sets("deribit-pm") if p.variant == "spm"]
#: the rate reaches its cap at a third of the usual distance
STEEP = tuple(p.with_values("BTC", m_inc=0.00015) if p.id.endswith("btc-2024-06") else p for p in SETS)


def shock_problem(
    most: float = 1_000.0,
    held: Mapping[str, float] = HELD,
    names: tuple[str, ...] = NAMES,
    which: Any = "im",
    parameters: tuple[ParameterSet, ...] = STEEP,
    **options: Any,
) -> Problem:
    """Return a problem above the threshold; ``most`` in coins of the index, options a tenth of it."""
    account = inverse_account(held)
    legs = legs_at_cost([parse_instrument(n, account.as_of) for n in names])
    return Problem(
        account=account,
        snapshot=inverse_market(),
        legs=legs.limited({n: most * (6_000.0 if n.count("-") == 1 else 1.0) for n in names}),
        objective=Requirement(made("deribit-pm", parameters=parameters, **options), which),
    )


def rates(problem: Problem, trades: np.ndarray) -> list[float]:
    """Return the delta shock per coin of one-sided delta, where there is any, of every coin."""
    found = problem.objective.result(problem.outcome(trades))  # type: ignore[attr-defined]
    steps = [s for part in (found.parts.values() or (found,)) for s in part.steps]
    seen = [s.value for s in steps if s.what == "one-sided delta"]
    shock = [s.value for s in steps if s.what == "delta shock"]
    return [b / abs(a) for a, b in zip(seen, shock, strict=True) if a]


@pytest.mark.parametrize(
    ("held", "names", "which"),
    [
        (HELD, NAMES, "im"),
        ({n: -q for n, q in HELD.items()}, NAMES, "mm"),
        (HELD | {"ETH-PERPETUAL": 30_000_000.0, "ETH-27FEB26-3000-P": -900.0},
         (*NAMES[1:4], "ETH-PERPETUAL", "ETH-27FEB26-3000-P"), "im"),
    ],
    ids=["short", "long", "two coins"],
)  # fmt: skip
def test_programme_equals_the_rule_at_any_trades(
    held: Mapping[str, float], names: tuple[str, ...], which: str
) -> None:
    problem = shock_problem(held=held, names=names, which=which)
    most = {leg.instrument.name: leg.max_buy for leg in problem.legs.legs}
    sizes = np.array([most.get(i.name, 0.0) for i in problem.instruments])
    generator = np.random.Generator(np.random.PCG64(7))
    seen: list[float] = []
    for _ in range(21):
        trades = np.round(sizes * generator.uniform(-1.0, 1.0, sizes.size), 1)
        programme, own = at_trades(problem, trades, {})
        assert programme == pytest.approx(own, rel=1e-8, abs=1e-7)
        seen += rates(problem, trades)
    assert min(seen) == 0.0
    assert max(seen) == pytest.approx(0.1)
    assert any(0.0 < x < 0.0999 for x in seen)


@pytest.mark.parametrize("most", [40.0, 150.0, 400.0])
def test_no_point_of_a_grid_is_better(most: float) -> None:
    """From deep under the cap, where more delta costs no more a coin, to below it."""
    names = ("BTC-27FEB26", "BTC-27FEB26-60000-C")
    problem = shock_problem(most, names=names)
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.tie_out < 1e-8
    assert found.gap < 1e-8
    assert found.left_out == 0.0
    place = [[i.name for i in problem.instruments].index(n) for n in names]
    sizes = np.array([6_000.0 * most, most])
    best = np.array([found.trades["trade"].get(n, 0.0) for n in names])
    for width, centre in ((1.0, 0.0 * best), (0.05, best)):
        for a in np.linspace(-1.0, 1.0, 9):
            for b in np.linspace(-1.0, 1.0, 9):
                trades = np.zeros(len(problem.instruments))
                trades[place] = np.clip(centre + width * np.array([a, b]) * sizes, -sizes, sizes)
                assert problem.objective.value(problem.outcome(trades)) >= found.value - found.rounding - 1e-8


def test_nothing_is_added_below_the_threshold() -> None:
    problem = shock_problem(50.0, held={"BTC-PERPETUAL": -600_000.0}, names=NAMES[:3])
    plain, exact = assembled(problem)[0].model, assembled(problem, {})[0].model
    assert exact.names == plain.names
    assert not any(exact.integer)
    far = shock_problem(1_000.0, held={"BTC-PERPETUAL": -600_000.0}, names=NAMES[:3])
    assert any(assembled(far, {})[0].model.integer)


def test_a_leg_without_an_end_leaves_a_gap_that_is_said() -> None:
    problem = shock_problem(names=("BTC-27FEB26-60000-C",), held={"BTC-PERPETUAL": -3_000_000.0})
    leg = replace(problem.legs.legs[0], max_sell=np.inf, max_buy=100.0)
    found = replace(problem, legs=replace(problem.legs, legs=(leg,))).solve()
    found.check()
    assert found.status == "gap"
    assert "nothing proves more than" in found.words
    assert found.left_out > 0.0
    assert found.bound < found.value


def double(delta: float, spot: float, table: RiskMatrixParameters) -> float:
    """Return a shock of the caller's own."""
    return 0.02 * max(abs(delta) - 100.0, 0.0)


def test_a_solver_that_finds_nothing_where_there_is_something_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trades that keep every limit are known, so that no programme of them can be infeasible."""
    honest = branch.solve_linear

    def broken(*given: Any) -> Solution:
        return replace(honest(*given), status="infeasible")

    monkeypatch.setattr(branch, "solve_linear", broken)
    found = shock_problem(40.0, held={"BTC-PERPETUAL": -3_000_000.0}, names=("BTC-27FEB26",)).solve()
    found.check()
    assert found.status == "gap"
    assert found.value < found.before


def test_another_reading_is_searched_locally() -> None:
    problem = shock_problem(50.0, names=("BTC-27FEB26",), delta_shock=double)
    found = problem.solve()
    found.check()
    assert found.status == "gap"
    assert found.left_out > 0.0
    assert found.trades["trade"].iloc[0] == pytest.approx(300_000.0)
    assert found.value < found.before


def test_a_split_carries_the_shock() -> None:
    """Halves stay further below the threshold than the whole book."""
    problem = shock_problem(held=HELD | {"BTC-PERPETUAL": -3_000_000.0})
    rule = problem.objective.rule  # type: ignore[attr-defined]
    split = split_across_venues(problem.account, problem.snapshot, {"one": rule, "two": rule})
    assert split.status == "optimal"
    assert split.value == pytest.approx(split.programme, rel=1e-8)
    whole = rule.requirement(replace(problem.account, collateral={}), problem.snapshot)
    assert whole.addons["delta_shock"] > 0.0
    assert split.value < 0.9 * split.unified
