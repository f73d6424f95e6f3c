"""A linear programme under construction: named columns, rows, and limits whose price is reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pmkit.core.types import FloatArray, IntArray

__all__ = ["Affine", "Held", "Limit", "LinearModel", "RowBlock", "dense_block", "reduced"]


@dataclass(frozen=True)
class Affine:
    """``constant + sum coefficients[i] * column[columns[i]]``; a column may stand more than once."""

    constant: float
    columns: IntArray
    coefficients: FloatArray

    @staticmethod
    def of(terms: Iterable[tuple[int, float]], constant: float = 0.0) -> Affine:
        """Return the expression of (column, coefficient) pairs."""
        pairs = list(terms)
        return Affine(
            float(constant),
            np.array([c for c, _ in pairs], dtype=np.int64),
            np.array([x for _, x in pairs], dtype=np.float64),
        )

    @staticmethod
    def total(parts: Iterable[Affine]) -> Affine:
        """Return the sum of expressions."""
        found = list(parts)
        return Affine(
            sum((p.constant for p in found), 0.0),
            np.concatenate([np.zeros(0, np.int64), *(p.columns for p in found)]),
            np.concatenate([np.zeros(0), *(p.coefficients for p in found)]),
        )

    def times(self, factor: float) -> Affine:
        """Return the expression times a number."""
        return Affine(self.constant * factor, self.columns, self.coefficients * factor)

    def value(self, point: FloatArray) -> float:
        """Return the value at a point, shape (columns of the model,)."""
        return self.constant + float(np.add.reduce(self.coefficients * point[self.columns]))


@dataclass(frozen=True)
class Held:
    """Quantities as expressions: ``start[i] + sum sign * column`` over the entries with ``at == i``.

    Attributes
    ----------
    start : ndarray, shape (instruments,)
        Signed contracts before any decision.
    at, column : ndarray of int, shape (entries,)
        Instrument and column of the model of each entry.
    sign : ndarray, shape (entries,)
    low, high : ndarray, shape (instruments,)
        Bounds that the columns put on the quantities.
    """

    start: FloatArray
    at: IntArray
    column: IntArray
    sign: FloatArray
    low: FloatArray
    high: FloatArray

    def weighted(self, unit: FloatArray) -> Affine:
        """Return ``sum unit[i] * quantity[i]``, unit of shape (instruments,)."""
        constant = float(np.add.reduce(unit * self.start))
        return Affine(constant, self.column, unit[self.at] * self.sign)

    def one(self, instrument: int, factor: float = 1.0) -> Affine:
        """Return ``factor * quantity[instrument]``."""
        entries = self.at == instrument
        constant = factor * float(self.start[instrument])
        return Affine(constant, self.column[entries], factor * self.sign[entries])

    def part(self, instruments: IntArray) -> Held:
        """Return the quantities of some instruments, in the given order."""
        place = np.full(self.start.size, -1, dtype=np.int64)
        place[instruments] = np.arange(instruments.size)
        keep = place[self.at] >= 0
        return Held(
            start=self.start[instruments],
            at=place[self.at[keep]],
            column=self.column[keep],
            sign=self.sign[keep],
            low=self.low[instruments],
            high=self.high[instruments],
        )

    def quantities(self, point: FloatArray) -> FloatArray:
        """Return the quantities at a point of the model, shape (instruments,)."""
        found = np.array(self.start)
        np.add.at(found, self.at, self.sign * point[self.column])
        return found

    def range_of(self, unit: FloatArray) -> float:
        """Return the largest size that ``sum unit[i] * quantity[i]`` can have within the bounds."""
        used = unit != 0.0
        ends = np.maximum(np.abs(self.low[used]), np.abs(self.high[used]))
        return float(np.add.reduce(np.abs(unit[used]) * ends))


@dataclass(frozen=True)
class Limit:
    """A named row: the number of its row, its bounds, and the unit of what it bounds."""

    name: str
    row: int
    low: float
    high: float
    unit: str


@dataclass
class RowBlock:
    """Rows in compressed form with their bounds."""

    indptr: IntArray
    indices: IntArray
    values: FloatArray
    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return int(self.low.size)


def dense_block(matrix: FloatArray, columns: IntArray, low: FloatArray, high: FloatArray) -> RowBlock:
    """Return the rows of a dense matrix over distinct columns, zeros left out."""
    keep = matrix != 0.0
    counts = keep.sum(axis=1)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = np.broadcast_to(columns, matrix.shape)[keep]
    return RowBlock(indptr, indices.astype(np.int64), matrix[keep], low, high)


@dataclass
class LinearModel:
    """Columns with bounds, rows with bounds; ``minimise`` is set by the caller of the solver.

    ``sharp`` asks for a second solution at whole binaries: where a binary carries a large factor, the
    solver's tolerance of a fraction of it would show in the value.
    """

    names: list[str] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    blocks: list[RowBlock] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    single: dict[int, RowBlock] = field(default_factory=dict)
    n_rows: int = 0
    sharp: bool = False

    def column(self, name: str, low: float = 0.0, high: float = np.inf, *, integer: bool = False) -> int:
        """Return the number of a new column."""
        self.names.append(name)
        self.low.append(float(low))
        self.high.append(float(high))
        self.integer.append(integer)
        return len(self.names) - 1

    def row(
        self, expression: Affine, low: float, high: float, name: str | None = None, unit: str = ""
    ) -> int:
        """Add ``low <= expression <= high`` and return the number of the row; a named one has a price."""
        columns, inverse = np.unique(expression.columns, return_inverse=True)
        values = np.zeros(columns.size)
        np.add.at(values, inverse, expression.coefficients)
        shift = expression.constant
        block = RowBlock(
            np.array([0, columns.size], dtype=np.int64),
            columns.astype(np.int64),
            values,
            np.array([low - shift]),
            np.array([high - shift]),
        )
        number = self.add(block)
        self.single[number] = block
        if name is not None:
            same = sum(limit.name == name or limit.name.startswith(f"{name} (") for limit in self.limits)
            name = f"{name} ({same + 1})" if same else name
            self.limits.append(Limit(name, number, low, high, unit))
        return number

    def above(self, column: int, expressions: Iterable[Affine]) -> None:
        """Add ``column >= expression`` for every expression."""
        for expression in expressions:
            self.row(Affine.total([Affine.of([(column, 1.0)]), expression.times(-1.0)]), 0.0, np.inf)

    def dense(self, matrix: FloatArray, columns: IntArray, low: FloatArray, high: FloatArray) -> None:
        """Add the rows of a dense matrix over distinct columns."""
        self.add(dense_block(matrix, columns, low, high))

    def losses(self, column: int, unit: FloatArray, held: Held, base: FloatArray) -> None:
        """Add ``column >= base[k] - sum_i unit[i, k] * quantity[i]`` for every scenario k.

        Parameters
        ----------
        column : int
        unit : ndarray, shape (instruments, scenarios)
        held : Held
        base : ndarray, shape (scenarios,)
        """
        used, matrix = reduced(unit, held)
        start = np.add.reduce(unit * held.start[:, None], axis=0)
        matrix = np.concatenate([matrix, np.ones((matrix.shape[0], 1))], axis=1)
        bounds = base - start
        self.dense(matrix, np.append(used, column), bounds, np.full(bounds.size, np.inf))

    def soften(self, limit: Limit) -> int:
        """Let a named row be missed and return the column of the amount, in the row's unit."""
        block = self.single[limit.row]
        over, under = self.column(f"over {limit.name}"), self.column(f"under {limit.name}")
        block.indices = np.append(block.indices, [over, under])
        block.values = np.append(block.values, [-1.0, 1.0])
        block.indptr = block.indptr + np.array([0, 2])
        missed = self.column(f"missed {limit.name}")
        self.above(missed, [Affine.of([(over, 1.0), (under, 1.0)])])
        return missed

    def size_of(self, expressions: Iterable[Affine], name: str) -> Affine:
        """Return the sum of the absolute values of expressions, one column each."""
        columns = []
        for expression in expressions:
            column = self.column(f"size of {name}")
            self.above(column, [expression, expression.times(-1.0)])
            columns.append((column, 1.0))
        return Affine.of(columns)

    def positive_part(self, expressions: Iterable[Affine], name: str) -> Affine:
        """Return the sum of the positive parts of expressions, one column each."""
        columns = []
        for expression in expressions:
            column = self.column(f"positive part of {name}")
            self.above(column, [expression])
            columns.append((column, 1.0))
        return Affine.of(columns)

    def add(self, block: RowBlock) -> int:
        """Add rows and return the number of the first."""
        first = self.n_rows
        self.blocks.append(block)
        self.n_rows += len(block)
        return first


def reduced(unit: FloatArray, held: Held) -> tuple[IntArray, FloatArray]:
    """Return the distinct columns behind quantities, and the coefficients of each scenario's P&L over them.

    Parameters
    ----------
    unit : ndarray, shape (instruments, scenarios)
    held : Held

    Returns
    -------
    columns : ndarray of int, shape (n,)
    matrix : ndarray, shape (scenarios, n)
    """
    used, inverse = np.unique(held.column, return_inverse=True)
    if used.size == held.column.size:
        order = np.argsort(held.column, kind="stable")
        return used.astype(np.int64), (unit[held.at[order]] * held.sign[order][:, None]).T.copy()
    matrix = np.zeros((used.size, unit.shape[1]))
    np.add.at(matrix, inverse, unit[held.at] * held.sign[:, None])
    return used.astype(np.int64), matrix.T.copy()
