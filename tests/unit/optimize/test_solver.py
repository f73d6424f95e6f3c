"""The layer below: optional packages, statuses, prices and bounds of plain programmes."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from pmkit.core.errors import OptionalDependencyError, PmkitError
from pmkit.core.types import FloatArray
from pmkit.optimize.linear import solver
from pmkit.optimize.linear.model import Affine, Held, LinearModel, RowBlock
from pmkit.optimize.linear.solver import NewRows, solve_linear


def diet() -> tuple[LinearModel, Affine]:
    """Return a small programme with a known optimum: min 2x + 3y, x + y >= 4, x <= 3."""
    model = LinearModel()
    x, y = model.column("x", 0.0, 3.0), model.column("y")
    model.row(Affine.of([(x, 1.0), (y, 1.0)]), 4.0, np.inf, "need", "units")
    return model, Affine.of([(x, 2.0), (y, 3.0)], 1.0)


def test_values_prices_and_bound() -> None:
    model, objective = diet()
    found = solve_linear(model, objective)
    assert found.status == "optimal"
    assert found.value == pytest.approx(10.0)
    assert found.bound == pytest.approx(10.0)
    assert found.gap < 1e-12
    assert found.row_price[0] == pytest.approx(3.0)
    assert found.column_price[0] == pytest.approx(-1.0)


def test_statuses() -> None:
    model, objective = diet()
    assert solve_linear(model, objective.times(-1.0)).status in ("unbounded", "infeasible or unbounded")
    model.row(Affine.of([(0, 1.0), (1, 1.0)]), -np.inf, 1.0)
    assert solve_linear(model, objective).status == "infeasible"


def test_integers_and_their_bound() -> None:
    model = LinearModel()
    x = model.column("x", 0.0, 10.0, integer=True)
    model.row(Affine.of([(x, 2.0)]), 5.0, np.inf)
    found = solve_linear(model, Affine.of([(x, 1.0)]))
    assert (found.value, found.bound) == (3.0, pytest.approx(3.0))
    assert solve_linear(model, Affine.of([(x, 1.0)]), integer=False).value == pytest.approx(2.5)


class _Tangents:
    """Rows of a parabola ``y >= x²``, one tangent at a time."""

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        x, y = float(point[0]), float(point[1])
        if y >= x * x - 1e-8:
            return None
        block = RowBlock(
            np.array([0, 2]),
            np.array([0, 1]),
            np.array([-2.0 * x, 1.0]),
            np.array([-x * x]),
            np.array([np.inf]),
        )
        return NewRows(rows=block)


def parabola() -> tuple[LinearModel, Affine]:
    model = LinearModel()
    x, y = model.column("x", -5.0, 5.0), model.column("y", -100.0)
    return model, Affine.of([(x, -1.0), (y, 1.0)])


def test_rows_are_added_until_none_is_violated() -> None:
    model, objective = parabola()
    found = solve_linear(model, objective, [_Tangents()])
    assert found.value == pytest.approx(-0.25, abs=1e-7)
    assert found.rounds == found.n_rows > 3


def test_an_endless_search_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "MOST_ROUNDS", 2)
    model, objective = parabola()
    with pytest.raises(PmkitError, match="still violated after 2 rounds"):
        solve_linear(model, objective, [_Tangents()])


def test_softened_limit_reports_what_it_misses() -> None:
    model, _ = diet()
    model.row(Affine.of([(0, 1.0), (1, 1.0)]), -np.inf, 1.0)
    missed = model.soften(model.limits[0])
    found = solve_linear(model, Affine.of([(missed, 1.0)]))
    assert found.point[missed] == pytest.approx(3.0)


def test_held_quantities_as_expressions() -> None:
    held = Held(
        np.array([1.0, -2.0, 0.0]), np.array([0, 0, 2]), np.array([0, 1, 2]), np.array([1.0, -1.0, 1.0]),
        np.array([-4.0, -2.0, 0.0]), np.array([6.0, -2.0, np.inf]),
    )  # fmt: skip
    point = np.array([5.0, 2.0, 7.0])
    assert held.quantities(point).tolist() == [4.0, -2.0, 7.0]
    unit = np.array([10.0, 1.0, 0.0])
    assert held.weighted(unit).value(point) == 38.0
    assert held.one(0, 2.0).value(point) == 8.0
    assert held.range_of(unit) == 62.0
    part = held.part(np.array([2, 0]))
    assert part.quantities(point).tolist() == [7.0, 4.0]


def test_without_the_solver_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    model, objective = diet()
    with pytest.raises(
        OptionalDependencyError, match=r'highspy is not installed.*pip install "pmkit\[optimize\]"'
    ):
        solve_linear(model, objective)


def test_no_module_of_the_room_imports_a_solver_at_its_top(root: Path) -> None:
    files = sorted((root / "pmkit" / "optimize").rglob("*.py"))
    assert len(files) > 20
    for file in files:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {"highspy", "cvxpy"} & {n.split(".")[0] for n in names}, file.name
