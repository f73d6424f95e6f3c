"""The cross-collateral account as a programme: equal to the rule at any trades, and no trade is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pmkit as pm
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import parse_instrument
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.optimize import (
    AtMost,
    Band,
    Cost,
    Legs,
    Problem,
    Requirement,
    close_first,
    legs_at_cost,
    split_across_venues,
)
from tests.unit.optimize.books import (
    INVERSE_AS_OF,
    at_trades,
    inverse_account,
    inverse_market,
    linear,
    made,
    scaled,
)

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

NAMES = (
    "BTC-PERPETUAL", "BTC-27FEB26", "BTC-27FEB26-60000-C", "BTC-27FEB26-50000-P", "ETH-PERPETUAL",
    "ETH-27FEB26-3500-C", "ETH-27FEB26-3000-P",
)  # fmt: skip
HELD = {"BTC-PERPETUAL": -300_000.0, "BTC-27FEB26-60000-C": -20.0, "ETH-PERPETUAL": 500_000.0,
        "ETH-27FEB26-3500-C": 100.0}  # fmt: skip
SET = next(p for p in load_parameter_sets("deribit-pm") if p.variant == "xpm")


def cross_problem(
    most: float = 300.0,
    which: Any = "im",
    held: Mapping[str, float] = HELD,
    names: tuple[str, ...] = NAMES,
    parameters: ParameterSet = SET,
    collateral: Mapping[str, float] | None = None,
    cost: float = 0.0,
    **more: Any,
) -> Problem:
    """Return a problem of two coins; ``most`` in coins, ten thousand times as many contracts of futures."""
    account = inverse_account(held)
    balances = {"BTC": 5.0, "ETH": -30.0, "USDC": 1e4} if collateral is None else collateral
    legs = legs_at_cost([parse_instrument(n, account.as_of) for n in names], cost)
    limits = {n: most * (1e4 if n.count("-") == 1 else 1.0) for n in names}
    rule = made("deribit-pm", variant="xpm", parameters=(parameters,))
    return Problem(
        account=replace(account, collateral=dict(balances)),
        snapshot=inverse_market(),
        legs=legs.limited(limits),
        objective=Requirement(rule, which),
        **more,
    )


def random_trades(problem: Problem, generator: np.random.Generator) -> FloatArray:
    """Return trades within the limits, half of the legs left alone."""
    most = {leg.instrument.name: leg.max_buy for leg in problem.legs.legs}
    sizes = np.array([most.get(i.name, 0.0) for i in problem.instruments])
    return np.round(
        sizes * generator.uniform(-1.0, 1.0, sizes.size) * generator.integers(0, 2, sizes.size), 1
    )


def changed(**values: Any) -> ParameterSet:
    return SET.with_values("BTC", **values).with_values("ETH", **values)


VARIANTS: dict[str, dict[str, Any]] = {
    "as published": {},
    "maintenance": {"which": "mm"},
    "apart": {"parameters": changed(combination="apart", pnl_offset=0.5)},
    "gains of both, soon at their limit": {
        "parameters": changed(pnl_offset=0.8, max_offsetable_pnl=400_000.0), "most": 300.0},
    "no dampener": {"parameters": changed(pnl_offset=0.5, max_offsetable_pnl=1e9, extended_dampener=0.0)},
    "equity stands still": {"parameters": changed(equity_side_impact="none", pnl_offset=1.0)},
    "contingency": {"parameters": changed(correlation_contingency=3.0, pnl_offset=0.3)},
    "above the delta threshold": {"most": 2_000.0},
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_programme_equals_the_rule_at_any_trades(name: str) -> None:
    problem = cross_problem(**VARIANTS[name])
    generator = np.random.Generator(np.random.PCG64(7))
    seen = {"gains": 0, "shock": 0}
    for _ in range(10):
        trades = random_trades(problem, generator)
        programme, own = at_trades(problem, trades, {})
        assert programme == pytest.approx(own, rel=1e-8, abs=1e-4)
        result = problem.objective.result(problem.outcome(trades))  # type: ignore[attr-defined]
        cells = [frame for key, frame in result.figures.items() if key.startswith("matrix")]
        tails = [frame[frame["table"] == "extended"] for frame in cells]
        seen["gains"] += any((t["final"] > 0.0).any() for t in tails)
        seen["shock"] += any("delta_shock" in what for what in result.addons)
    assert seen["gains"]
    assert seen["shock"] or name != "above the delta threshold"


def test_obligations_and_profits_are_in_it() -> None:
    """A settled profit stays in the matrix when its line is traded, and a premium leaves it."""
    problem = cross_problem()
    account = problem.account
    entered = tuple(
        replace(p, entry_price=50_000.0) if p.instrument.name == "BTC-PERPETUAL" else p
        for p in account.portfolio
    )
    account = replace(
        account.with_portfolio(account.portfolio.with_positions(entered)),
        mmp_margin={"BTC": 0.5}, open_order_margin={"ETH": 2.0},
    )  # fmt: skip
    problem = replace(problem, account=account)
    generator = np.random.Generator(np.random.PCG64(9))
    for _ in range(6):
        trades = random_trades(problem, generator)
        programme, own = at_trades(problem, trades, {})
        assert programme == pytest.approx(own, rel=1e-8, abs=1e-4)
    # ten calls bought take their premium from the balance, which is less of a position
    trades = np.zeros(len(problem.instruments))
    trades[[i.name for i in problem.instruments].index("BTC-27FEB26-50000-P")] = 10.0
    rule = problem.objective.rule  # type: ignore[attr-defined]
    step = "BTC equity in the matrix"
    before, after = (
        next(s.value for s in rule.requirement(x, problem.snapshot).steps if s.what == step)
        for x in (account, problem.outcome(trades).account)
    )
    mark = problem.snapshot.mark(parse_instrument("BTC-27FEB26-50000-P", account.as_of)).price
    assert after == pytest.approx(before - 10.0 * mark)
    assert at_trades(problem, trades, {})[0] == pytest.approx(at_trades(problem, trades, {})[1], rel=1e-9)


@pytest.mark.parametrize(
    ("names", "most", "name"),
    [
        (("BTC-PERPETUAL", "ETH-PERPETUAL"), 300.0, "as published"),
        (("ETH-27FEB26-3000-P", "ETH-PERPETUAL"), 120.0, "gains of both, soon at their limit"),
    ],
)
def test_no_point_of_a_grid_is_better(names: tuple[str, ...], most: float, name: str) -> None:
    problem = cross_problem(names=names, **{**VARIANTS[name], "most": most})
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.kind == "mixed-integer programme"
    assert found.tie_out < 1e-8
    assert found.gap < 1e-8
    assert found.value < found.before
    place = [[i.name for i in problem.instruments].index(n) for n in names]
    sizes = [most * (1e4 if n.count("-") == 1 else 1.0) for n in names]
    best = np.array([found.trades["trade"].get(n, 0.0) for n in names])
    values = []
    for width in (1.0, 0.03):
        centre = best if width < 1.0 else 0.0 * best
        for a in np.linspace(-1.0, 1.0, 9):
            for b in np.linspace(-1.0, 1.0, 9):
                trades = np.zeros(len(problem.instruments))
                trades[place] = np.clip(centre + width * np.array([a, b]) * sizes, -np.array(sizes), sizes)
                values.append(problem.objective.value(problem.outcome(trades)))
    assert found.value <= min(values) + found.rounding
    # the finer grid comes close, so that the bound is no idle one
    assert min(values) <= found.value + 0.02 * (found.before - found.value)


def test_a_book_of_billions_keeps_its_digits() -> None:
    """A future of 1 USD comes by the hundred million, next to options by the hundred."""
    problem = scaled(cross_problem(names=("BTC-27FEB26-60000-C", "ETH-PERPETUAL", "ETH-27FEB26-3500-C")), 1e4)
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.before > 1e9
    assert found.tie_out < 1e-8
    trades = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    programme, own = at_trades(problem, trades, {})
    assert programme == pytest.approx(own, rel=1e-8)


def test_limits_lots_and_jobs_take_it() -> None:
    problem = cross_problem(cost=2.0)
    rule = problem.objective.rule  # type: ignore[attr-defined]
    free = problem.solve()
    limit = 0.5 * (free.before + free.value)
    cheapest = replace(problem, objective=Cost(), constraints=(AtMost(Requirement(rule), limit),)).solve()
    assert cheapest.status == "optimal"
    assert rule.requirement(cheapest.account, problem.snapshot).im == pytest.approx(limit, rel=1e-8)
    assert "one USD more is worth" in cheapest.explain()
    few = cross_problem(names=("BTC-27FEB26", "ETH-27FEB26-3000-P"), constraints=(Band("vega", low=-1e6),))
    whole, any_size = replace(few, whole_lots=True).solve(), few.solve()
    assert whole.status == "optimal"
    assert any_size.value <= whole.value * (1.0 + 1e-9)
    order = close_first(problem.account, problem.snapshot, rule, problem.legs, target=0.9 * free.before)
    assert order.plan is not None
    assert order.plan.solved
    assert order.unit == "USD"


def test_a_split_over_accounts_is_exact() -> None:
    problem = cross_problem()
    rule = problem.objective.rule  # type: ignore[attr-defined]
    split = split_across_venues(problem.account, problem.snapshot, {"one": rule, "two": rule})
    assert split.status == "optimal"
    assert split.value == pytest.approx(split.programme, rel=1e-8)
    assert split.value <= split.unified * (1.0 + 1e-9)


def test_what_it_does_not_take() -> None:
    problem = cross_problem()
    with pytest.raises(ParameterError, match=r"ETH -66% extended, vol up has no bounds"):
        replace(problem, legs=unlimited(problem)).solve()
    buckets = SET.with_values("ETH", buckets_per_side=3)
    with pytest.raises(ParameterError, match="differ in buckets_per_side"):
        cross_problem(parameters=buckets, held={"BTC-PERPETUAL": 10.0}, collateral={}).solve()
    factors = SET.with_values("ETH", mm_factor=0.7)
    with pytest.raises(ParameterError, match=r"maintenance factors \[0.7, 0.8\] of BTC and ETH"):
        cross_problem(parameters=factors).solve()
    foreign = legs_at_cost([linear("ETH-9d-3000-C")], max_buy=1.0, max_sell=1.0)
    with pytest.raises(ConventionError, match="coin-settled options, futures and perpetuals"):
        replace(problem, legs=foreign, snapshot=with_linear(problem)).solve()


def unlimited(problem: Problem) -> Legs:
    return replace(
        problem.legs,
        legs=tuple(replace(leg, max_buy=np.inf, max_sell=np.inf) for leg in problem.legs.legs),
    )


def with_linear(problem: Problem) -> Any:
    """Return the snapshot with a vol for the linear call."""
    snapshot = problem.snapshot
    expiry = pd.Timestamp(INVERSE_AS_OF) + pd.Timedelta(days=9)
    return type(snapshot).from_marks(
        INVERSE_AS_OF, {"BTC": 60_000.0, "ETH": 3_000.0},
        forwards={"BTC": {e.isoformat(): 60_000.0 for e in expiries(expiry)},
                  "ETH": {e.isoformat(): 3_000.0 for e in expiries(expiry)}},
        option_iv={n: 0.5 for n in (*[n for n in NAMES if n.count("-") == 3], "ETH-9d-3000-C")},
    )  # fmt: skip


def expiries(more: pd.Timestamp) -> list[pd.Timestamp]:
    return [pd.Timestamp("2026-02-27T08:00:00Z"), more]


def test_a_real_account_of_two_coins() -> None:
    """The account and the chain of one day with both coins: exact at the optimum and round it."""
    snap = pm.market.load_snapshot("deribit-btc-eth-2026-05-21")
    account = pm.Account.from_csv(pm.datasets.path("account-btc-eth"))
    rule = made("deribit-pm", variant="xpm")
    sizes = {i.name: 50_000.0 if i.name.count("-") == 1 else 10.0 for i in account.instruments}
    legs = legs_at_cost(account.instruments, 0.5).limited(sizes)
    problem = Problem(
        account=account, snapshot=snap, legs=legs, objective=Requirement(rule),
        constraints=(AtMost(Cost(), 60_000.0),),
    )  # fmt: skip
    found = problem.solve()
    found.check()
    assert found.status == "optimal"
    assert found.tie_out < 1e-8
    assert found.value == rule.requirement(found.account, snap).im
    assert found.value < 0.7 * found.before
    best = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    most = np.array([sizes[i.name] for i in problem.instruments])
    generator = np.random.Generator(np.random.PCG64(3))
    for width in (1.0, 0.1, 0.01):
        for _ in range(5):
            trades = np.clip(best + width * most * generator.uniform(-1.0, 1.0, most.size), -most, most)
            programme, own = at_trades(replace(problem, constraints=()), trades, {})
            assert programme == pytest.approx(own, rel=1e-8)
            if problem.outcome(trades).cost <= 60_000.0:
                assert own >= found.bound
