"""Optima of the linear rules on random books: against every trade, and a programme written plainly."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.instruments import Instrument, Option, Portfolio, Position, parse_instrument
from pmkit.optimize import Legs, Problem, Requirement, legs_at_cost
from tests.unit.margin.listed_books import Leg
from tests.unit.margin.listed_books import account as listed_account
from tests.unit.margin.listed_books import contract as listed_contract
from tests.unit.margin.listed_books import market as listed_market
from tests.unit.optimize.books import (
    FEEDS,
    INVERSE_AS_OF,
    account,
    inverse_account,
    inverse_market,
    linear,
    linear_market,
    made,
)

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

COIN = ("BTC-PERPETUAL", "BTC-27FEB26", "BTC-27FEB26-60000-C", "BTC-27FEB26-50000-P", "BTC-27FEB26-90000-C")
USD = ("ETH-PERPETUAL", "ETH-9d-3000-C", "ETH-9d-2800-P", "ETH-60d-3000-P", "ETH-60d-3600-C")
INDEX: tuple[Leg, ...] = (
    ("C", 2100.0, 0.0, 25.0), ("P", 1900.0, 0.0, 20.0), ("C", 2200.0, 0.0, 6.0), ("P", 1800.0, 0.0, 9.0),
)  # fmt: skip
RULES: list[tuple[str, dict[str, Any]]] = [
    ("deribit-pm", {"variant": "spm"}), ("deribit-pm", {"variant": "classic"}), ("paradex-pm", {}),
    ("derive-pmrm-v2", {"feeds": FEEDS}), ("tims", {}),
]  # fmt: skip


def random_problem(name: str, seed: int, **options: Any) -> Problem:
    """Return a random book under a rule with two legs of up to three lots."""
    draw = stream(seed, "optimize-oracle", name)
    if name == "deribit-pm":
        sizes = draw.integers(-6, 7, len(COIN)) * np.where(np.char.count(COIN, "-") == 3, 1.0, 500.0)
        held = inverse_account({n: float(q) for n, q in zip(COIN, sizes, strict=True) if q})
        snapshot = inverse_market()
        names: list[Instrument] = [parse_instrument(n, pd.Timestamp(INVERSE_AS_OF)) for n in COIN]
    elif name == "tims":
        sizes = draw.integers(-4, 5, len(INDEX))
        lines = {"SPX": tuple((x[0], x[1], float(q), x[3]) for x, q in zip(INDEX, sizes, strict=True) if q)}
        held, snapshot = listed_account(lines), listed_market({"SPX": 2000.0}, {"SPX": INDEX})
        names = [listed_contract(leg, "SPX") for leg in INDEX]
    else:
        sizes = draw.integers(-9, 10, len(USD)) / 2.0
        held = account({n: float(q) for n, q in zip(USD, sizes, strict=True) if q})
        snapshot, names = linear_market(USD), [linear(n) for n in USD]
    chosen = [names[int(k)] for k in draw.choice(len(names), 2, replace=False)]
    legs = Legs(
        legs=tuple(
            replace(leg, max_buy=3.0 * leg.instrument.lot, max_sell=3.0 * leg.instrument.lot)
            for leg in legs_at_cost(chosen).legs
        )
    )
    return Problem(
        account=held, snapshot=snapshot, legs=legs, objective=Requirement(made(name, **options)),
        whole_lots=True,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "options"), RULES, ids=[f"{n} {o.get('variant', '')}" for n, o in RULES])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_whole_lots_are_better(name: str, options: dict[str, Any], seed: int) -> None:
    problem = random_problem(name, seed, **options)
    names = [i.name for i in problem.instruments]
    best = np.inf
    for steps in itertools.product(range(-3, 4), repeat=2):
        trades = np.zeros(len(names))
        for step, leg in zip(steps, problem.legs.legs, strict=True):
            trades[names.index(leg.instrument.name)] = step * leg.instrument.lot
        best = min(best, problem.objective.value(problem.outcome(trades)))
    found = problem.solve()
    assert found.value == pytest.approx(best, rel=1e-8, abs=found.rounding + 1e-8)
    free = replace(problem, whole_lots=False).solve()
    assert free.tie_out < 1e-8 or free.rounding > 0.0
    assert free.value <= best + 1e-8 * abs(best) + free.rounding
    assert free.bound <= free.value + free.rounding + 1e-8 * abs(free.value)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_plain_programme_of_the_matrix_agrees(seed: int) -> None:
    """The matrix of spm from the rule's cells in five lines of cvxpy, on random books of one coin."""
    problem = replace(random_problem("deribit-pm", seed, variant="spm"), whole_lots=False)
    problem = replace(problem, legs=problem.legs.limited(2.0))
    found, used = problem.solve(), problem.objective.rule  # type: ignore[attr-defined]
    instruments = problem.instruments
    ones = Portfolio(
        positions=tuple(Position(instrument=i, qty=1.0) for i in instruments), as_of=problem.account.as_of
    )
    parameters = used.parameter_set(problem.snapshot, "BTC")
    table = parameters.table("BTC")
    book: Any = used.charger(ones, "BTC", problem.snapshot, parameters)
    held = {p.instrument.name: p.qty for p in problem.account.portfolio}
    start = np.array([held.get(i.name, 0.0) for i in instruments])
    most = np.array([2.0 if i.name in problem.legs.names else 0.0 for i in instruments])
    for leg in problem.legs.legs:
        at = [i.name for i in instruments].index(leg.instrument.name)
        most[at] = leg.max_buy
    trade = cp.Variable(len(instruments))
    rows = book.spec.rows
    R, spot = table.price_range, problem.snapshot.spot("BTC")
    losses = []
    for k, row in enumerate(rows):
        pnl = book.cells[:, k] @ (start + trade)
        if row.table == "standard":
            losses.append(-pnl)
            continue
        edge = 1.0 + np.sign(row.move) * R
        scaled = pnl * table.extended_table_factor * R / abs(row.move) * (1.0 + row.move) / edge
        losses.append(-scaled - (max(abs(row.move) / R, 1.0) - 1.0) * table.extended_dampener / (edge * spot))
    groups: dict[str, np.ndarray] = {}
    for at, i in enumerate(instruments):
        name = "perpetual" if i.name.endswith("PERPETUAL") else str(i.expiry)  # type: ignore[attr-defined]
        groups.setdefault(name, np.zeros(len(instruments)))[at] = book.unit_delta[at]
    years = {
        str(i.expiry): problem.snapshot.tau(i.expiry)  # type: ignore[attr-defined]
        for i in instruments if isinstance(i, Option) or not i.name.endswith("PERPETUAL")
    }  # fmt: skip
    roll = sum(
        max(table.annualised_move_risk * years.get(name, 0.0), table.min_annualised_move)
        * cp.abs(delta @ (start + trade))
        for name, delta in groups.items()
    )
    worst = cp.maximum(0.0, *losses)
    plain = cp.Problem(cp.Minimize(worst + roll + table.correlation_contingency), [cp.abs(trade) <= most])
    plain.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    assert found.left_out == 0.0
    assert found.bound == pytest.approx(float(plain.value), rel=1e-7, abs=1e-8)
