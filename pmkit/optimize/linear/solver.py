"""HiGHS behind one function: rows that are added while they are violated, duals, and a checked gap."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pmkit.core.errors import OptionalDependencyError, PmkitError
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.optimize.linear.model import Affine, LinearModel, RowBlock

__all__ = ["LazyRows", "NewRows", "Solution", "optional_solver", "solve_linear"]

#: Largest violation of a row or of a reduced cost that the solver leaves.
TOLERANCE = 1e-9
#: Relative distance between incumbent and bound at which a mixed-integer search stops.
MIP_GAP = 1e-9
#: Rounds of added rows after which a search that should be finite is given up.
MOST_ROUNDS = 500

_WORDS = {
    "kOptimal": "optimal",
    "kInfeasible": "infeasible",
    "kUnbounded": "unbounded",
    "kUnboundedOrInfeasible": "infeasible or unbounded",
}


@dataclass(frozen=True)
class NewRows:
    """Rows to be added, and columns (bounds 0 to infinity) that they bring with their entry in an old row."""

    rows: RowBlock
    n_columns: int = 0
    old_row: int = -1
    old_values: FloatArray | None = None


class LazyRows(Protocol):
    """Rows that are too many to write down and are asked for at a point instead."""

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        """Return what the point violates, given the present size of the programme; None for nothing."""
        ...


@runtime_checkable
class FiniteRows(LazyRows, Protocol):
    """Rows that are many, yet can be written down."""

    def rest(self, n_columns: int) -> NewRows | None:
        """Return all that is missing, given the present columns; None for nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What the solver found, in words.

    Attributes
    ----------
    status : str
        ``optimal``, ``infeasible``, ``unbounded`` or ``infeasible or unbounded``.
    value, bound : float
        Objective at the point, and the bound that the duals (or the branch-and-bound tree) prove.
    point : ndarray, shape (columns,)
    row_price, column_price : ndarray
        Change of the objective per unit of the active bound of a row and of a column.
    rounds : int
        Times that rows were added.
    n_rows : int
        Rows at the end.
    """

    status: str
    value: float
    bound: float
    point: FloatArray
    row_price: FloatArray
    column_price: FloatArray
    rounds: int
    n_rows: int

    @property
    def gap(self) -> float:
        """Value less bound, relative to the larger of 1e-12 and the value's size; never below 0."""
        return max(self.value - self.bound, 0.0) / max(abs(self.value), 1e-12)


def optional_solver(name: str = "highspy") -> ModuleType:
    """Return an optional package of the room, or raise.

    Raises
    ------
    OptionalDependencyError
        It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise OptionalDependencyError(
            f"{name} is not installed", "it for optimisation", 'pip install "pmkit[optimize]"'
        ) from None


def solve_linear(
    model: LinearModel, objective: Affine, lazy: Sequence[LazyRows] = (), *, integer: bool = True
) -> Solution:
    """Return the minimum of an expression over the programme; one thread, the same bits on every run.

    Parameters
    ----------
    model : LinearModel
    objective : Affine
    lazy : sequence of LazyRows
        Asked after every solution, until the point violates nothing.
    integer : bool
        False solves the linear relaxation.

    Raises
    ------
    PmkitError
        The solver ends in a state that says nothing about the problem.
    OptionalDependencyError
        Without highspy.
    """
    core = optional_solver()
    found = _first(core, model, objective, integer)
    n_rows = model.n_rows
    if found.status in ("unbounded", "infeasible or unbounded"):
        n_rows = _written_out(found, lazy, len(model.names), n_rows)
    size = _settled(found, lazy, 0, n_rows)
    if found.mixed and model.sharp and found.status == "optimal":
        found.sharpen(np.array(model.integer))
        # the sharper point may lie where rows were never asked for
        size = _settled(found, lazy, *size)
    return found.solution(objective, *size)


def _written_out(found: _Run, lazy: Sequence[LazyRows], n_columns: int, n_rows: int) -> int:
    """Add all rows that can be written down, as they may be what bounds it; return the rows so far."""
    found.width, before = n_columns, n_rows
    for rows in lazy:
        added = rows.rest(found.width) if isinstance(rows, FiniteRows) else None
        if added is not None:
            n_rows += len(added.rows)
            found.extend(added)
    if n_rows > before:
        found.run()
    return n_rows


def _settled(found: _Run, lazy: Sequence[LazyRows], rounds: int, n_rows: int) -> tuple[int, int]:
    """Add violated rows until there are none, and return the rounds and rows so far."""
    while found.status == "optimal":
        point, grown = found.point, n_rows
        for rows in lazy:
            added = rows.violated(point, found.width, n_rows)
            if added is not None:
                n_rows += len(added.rows)
                found.extend(added)
        if n_rows == grown:
            break
        rounds += 1
        if rounds > MOST_ROUNDS:
            raise PmkitError(
                f"rows are still violated after {MOST_ROUNDS} rounds",
                "a finite search",
                "report this as a bug",
            )
        found.run()
    return rounds, n_rows


class _Run:
    """One instance of the solver that keeps its basis while rows and columns come in."""

    def __init__(self, core: ModuleType, highs: Any, mixed: bool) -> None:
        self.core, self.highs, self.mixed = core, highs, mixed
        self.status, self.point, self.width = "", np.zeros(0), 0
        self.tree_bound: float | None = None

    def run(self) -> None:
        """Solve what is there now."""
        self.highs.run()
        state = self.highs.getModelStatus()
        self.status = _WORDS.get(state.name, state.name)
        if self.status not in _WORDS.values():
            raise PmkitError(
                f"the solver ended with {self.highs.modelStatusToString(state)!r}",
                "an optimum, or a proof that there is none",
                "rescale the problem: quantities and amounts between 1e-6 and 1e9",
            )
        self.point = np.array(self.highs.getSolution().col_value, dtype=np.float64)
        self.width = self.point.size

    def sharpen(self, integer: BoolArray) -> None:
        """Solve anew with the integers held at whole numbers, and keep that point where there is one."""
        self.tree_bound = float(self.highs.getInfo().mip_dual_bound)
        whole = np.flatnonzero(integer).astype(np.int32)
        at = np.round(self.point[whole])
        self.highs.changeColsBounds(whole.size, whole, at, at)
        self.highs.changeColsIntegrality(whole.size, whole, np.zeros(whole.size, dtype=np.uint8))
        self.highs.run()
        if self.highs.getModelStatus().name == "kOptimal":
            self.point = np.array(self.highs.getSolution().col_value, dtype=np.float64)

    def extend(self, new: NewRows) -> None:
        """Add columns with their entry in an old row, then rows."""
        if new.n_columns:
            assert new.old_values is not None
            n = new.n_columns
            self.width += n
            self.highs.addCols(
                n, np.zeros(n), np.zeros(n), np.full(n, np.inf), n,
                np.arange(n, dtype=np.int32), np.full(n, new.old_row, dtype=np.int32), new.old_values,
            )  # fmt: skip
        block = new.rows
        self.highs.addRows(
            len(block), block.low, block.high, block.values.size,
            block.indptr[:-1].astype(np.int32), block.indices.astype(np.int32), block.values,
        )  # fmt: skip

    def solution(self, objective: Affine, rounds: int, n_rows: int) -> Solution:
        """Return the solution with the bound of its duals, or of its tree."""
        given = self.highs.getSolution()
        rows = np.array(given.row_dual, dtype=np.float64)
        columns = np.array(given.col_dual, dtype=np.float64)
        if self.status != "optimal":
            empty = np.zeros(0)
            return Solution(
                status=self.status, value=np.nan, bound=np.nan, point=self.point,
                row_price=empty, column_price=empty, rounds=rounds, n_rows=n_rows,
            )  # fmt: skip
        value = objective.value(self.point)
        if self.mixed:
            bound = self.tree_bound
            if bound is None:
                bound = float(self.highs.getInfo().mip_dual_bound)
            rows, columns = np.zeros(n_rows), np.zeros(self.point.size)
        else:
            bound = objective.constant + self._dual_value(rows, columns)
        return Solution(
            status=self.status, value=value, bound=bound, point=self.point,
            row_price=rows, column_price=columns, rounds=rounds, n_rows=n_rows,
        )  # fmt: skip

    def _dual_value(self, rows: FloatArray, columns: FloatArray) -> float:
        """Return the objective of the dual: every price times the bound that it belongs to."""
        lp = self.highs.getLp()
        total = 0.0
        sides = ((rows, lp.row_lower_, lp.row_upper_), (columns, lp.col_lower_, lp.col_upper_))
        for price, low, high in sides:
            bound = np.where(price > 0.0, np.array(low), np.array(high))
            used = np.abs(price) > 1e-12 * max(1.0, float(np.abs(price).max(initial=0.0)))
            # a price on a side without bound is a rounding error of the solver, not a proof
            total += float(np.add.reduce(price[used & np.isfinite(bound)] * bound[used & np.isfinite(bound)]))
        return total


def _first(core: ModuleType, model: LinearModel, objective: Affine, integer: bool) -> _Run:
    """Return the solver after its first run."""
    highs = core.Highs()
    for option, value in (
        ("output_flag", False),
        ("parallel", "off"),
        ("random_seed", 0),
        ("primal_feasibility_tolerance", TOLERANCE),
        ("dual_feasibility_tolerance", TOLERANCE),
        ("mip_feasibility_tolerance", TOLERANCE),
        # smaller entries are dropped: futures of 1 USD have small ones, and come by the hundred million
        ("small_matrix_value", 1e-12),
        ("mip_rel_gap", MIP_GAP),
        ("mip_abs_gap", 0.0),
    ):
        highs.setOptionValue(option, value)
    cost = np.zeros(len(model.names))
    np.add.at(cost, objective.columns, objective.coefficients)
    starts, indices, values, low, high = _stacked(model)
    mixed = integer and any(model.integer)
    kinds = np.array(model.integer if mixed else [False] * cost.size, dtype=np.int32)
    highs.passModel(
        cost.size, model.n_rows, values.size, int(core.MatrixFormat.kRowwise), 1, objective.constant,
        cost, np.array(model.low), np.array(model.high), low, high,
        starts.astype(np.int32), indices.astype(np.int32), values, kinds,
    )  # fmt: skip
    found = _Run(core, highs, mixed)
    found.run()
    return found


def _stacked(model: LinearModel) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
    """Return row starts, columns, values and bounds of all blocks."""
    counts = np.concatenate([np.zeros(0, np.int64), *(np.diff(b.indptr) for b in model.blocks)])
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    empty = np.zeros(0)
    return (
        starts,
        np.concatenate([np.zeros(0, np.int64), *(b.indices for b in model.blocks)]),
        np.concatenate([empty, *(b.values for b in model.blocks)]),
        np.concatenate([empty, *(b.low for b in model.blocks)]),
        np.concatenate([empty, *(b.high for b in model.blocks)]),
    )
