"""What holds for every optimum: wider limits never hurt, money scales, and prices are slopes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.terms.shortfall import add_shortfall


def hedge(unit: FloatArray, start: FloatArray, cost: FloatArray, budget: float, level: float) -> Solution:
    """Return the hedge of least shortfall whose cost keeps to a budget; every instrument can be traded."""
    n = start.size
    model = LinearModel()
    columns = np.array([model.column(f"{side} {i}") for side in ("buy", "sell") for i in range(n)])
    held = Held(
        start, np.tile(np.arange(n), 2), columns, np.repeat([1.0, -1.0], n), start - np.inf, start + np.inf
    )
    model.row(Affine(0.0, columns, np.tile(cost, 2)), -np.inf, budget, "cost", "USD")
    weights = np.full(unit.shape[1], 1.0 / unit.shape[1])
    shortfall, rows = add_shortfall(model, unit, held, weights, level)
    found = solve_linear(model, shortfall, [rows])
    assert found.status == "optimal"
    assert abs(found.value - found.bound) <= 1e-9 * (1.0 + abs(found.value))
    return found


def case(seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    generator = stream(seed, "optimize-property")
    unit = generator.standard_t(4, (3, 2)) @ generator.standard_normal((2, 120)) + generator.standard_t(
        4, (3, 120)
    )
    return np.ascontiguousarray(unit), generator.standard_normal(3) * 10.0, generator.uniform(0.5, 2.0, 3)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.0, 10.0), st.floats(0.1, 10.0))
def test_a_larger_budget_never_hurts_and_helps_less_and_less(seed: int, budget: float, more: float) -> None:
    unit, start, cost = case(seed)
    one, two, three = (hedge(unit, start, cost, budget + k * more, 0.9) for k in (0, 1, 2))
    scale = 1e-9 * (1.0 + abs(one.value))
    assert two.value <= one.value + scale
    assert one.value - two.value >= two.value - three.value - scale
    price = -float(one.row_price[0])
    assert one.value - two.value <= price * more + scale


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0))
def test_shortfall_scales_with_book_and_budget(seed: int, scale: float) -> None:
    unit, start, cost = case(seed)
    one = hedge(unit, start, cost, 5.0, 0.9)
    many = hedge(unit, scale * start, cost, scale * 5.0, 0.9)
    assert abs(many.value - scale * one.value) <= 1e-7 * (1.0 + abs(many.value))


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_a_scenario_twice_is_a_scenario_of_twice_the_weight(seed: int) -> None:
    unit, start, cost = case(seed)
    one = hedge(unit, start, cost, 5.0, 0.9)
    two = hedge(np.concatenate([unit, unit], axis=1), start, cost, 5.0, 0.9)
    assert abs(one.value - two.value) <= 1e-8 * (1.0 + abs(one.value))
