"""Variance and tracking error as quadratic programmes: one square a factor, built from its tangents."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.optimize.linear.model import Affine, LinearModel, RowBlock, dense_block
from pmkit.optimize.linear.solver import NewRows
from pmkit.optimize.terms.base import Outcome, Term, Workspace
from pmkit.optimize.terms.shortfall import pnl_of, rows_of
from pmkit.optimize.words import number_of
from pmkit.risk import PnLCube
from pmkit.scenarios.inputs import check_kind

__all__ = ["SquareRows", "Variance", "add_squares"]

#: the programme counts in this share of the scale, so that the solver's own tolerance is far below the next
_UNIT = 1e-4
#: share of the whole sum, and of the scale at least, by which all tangents together may fall short
_SHARE = 1e-9
#: factors whose weight is below this share of the largest are rounding errors
_RANK = 1e-15
#: first tangents lie at these multiples of the scale of a factor, on either side
_FIRST = tuple(4.0**k for k in range(-6, 14))


@dataclass
class SquareRows:
    """Rows ``s_j >= 2 p y_j - p²`` below the squares of factors, added where a square is too low.

    Attributes
    ----------
    factors : tuple of Affine
        The y_j, in units that make a usual sum of squares 1 / 1e-4.
    columns : tuple of int
        The s_j.
    """

    factors: tuple[Affine, ...]
    columns: tuple[int, ...]

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        """Return the tangents at a point, of every factor whose square is too low there."""
        values = np.array([y.value(point) for y in self.factors])
        missing = values**2 - point[list(self.columns)]
        allowed = _SHARE * max(float(np.add.reduce(values**2)), 1.0 / _UNIT) / len(self.columns)
        wanted = np.flatnonzero(missing > allowed)
        if not wanted.size:
            return None
        return NewRows(rows=_stacked([self.tangent(int(j), float(values[j])) for j in wanted]))

    def tangent(self, factor: int, at: float) -> RowBlock:
        """Return the row of the tangent of one square."""
        y, column = self.factors[factor], self.columns[factor]
        columns, inverse = np.unique(np.append(y.columns, column), return_inverse=True)
        values = np.zeros(columns.size)
        np.add.at(values, inverse, np.append(-2.0 * at * y.coefficients, 1.0))
        low = 2.0 * at * y.constant - at * at
        return dense_block(values[None, :], columns, np.array([low]), np.array([np.inf]))


def _stacked(blocks: list[RowBlock]) -> RowBlock:
    """Return rows one below the other."""
    counts = np.concatenate([np.diff(b.indptr) for b in blocks])
    return RowBlock(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([b.indices for b in blocks]),
        np.concatenate([b.values for b in blocks]),
        np.concatenate([b.low for b in blocks]),
        np.concatenate([b.high for b in blocks]),
    )


def add_squares(
    model: LinearModel, factors: list[Affine], scale: float, what: str
) -> tuple[Affine, SquareRows]:
    """Add the sum of the squares of factors to a programme.

    Parameters
    ----------
    model : LinearModel
    factors : list of Affine
    scale : float
        Size of a sum of squares that is usual, positive: the programme counts in a share of it.
    what : str
        Name of the columns.

    Returns
    -------
    Affine, SquareRows
        The sum, and the rows that the solver is to ask for.

    Notes
    -----
    Each square has a column above its tangents. A tangent at the point of a solution that is too low cuts it
    off, and halving the distance between two tangents quarters the largest error between them. What is left
    out only lowers the value, so that every bound stays valid, whole lots and other binaries included.

    References
    ----------
    Kelley (1960).
    """
    columns = tuple(model.column(f"square of {what}") for _ in factors)
    unit = _UNIT * scale
    # a column for each factor keeps its many tangents to two entries
    sizes = []
    for factor in factors:
        size = Affine.of([(model.column(f"factor of {what}", -np.inf), 1.0)])
        model.row(Affine.total([factor.times(1.0 / float(np.sqrt(unit))), size.times(-1.0)]), 0.0, 0.0)
        sizes.append(size)
    rows = SquareRows(tuple(sizes), columns)
    for j in range(len(factors)):
        for multiple in _FIRST:
            for side in (-1.0, 1.0):
                model.add(rows.tangent(j, side * multiple / float(np.sqrt(_UNIT))))
    return Affine.of([(c, unit) for c in columns]), rows


@dataclass(frozen=True)
class Variance(Term):
    """Variance of the P&L over a cube, USD², of its difference from a benchmark where one is given.

    Attributes
    ----------
    cube : PnLCube
        Holds every instrument that is held or tradable.
    benchmark : ndarray, shape (scenarios,), optional
        P&L to be tracked, USD. With it the term is the squared tracking error.
    centred : bool
        False takes the second moment, which also charges a mean.

    Raises
    ------
    ParameterError
        A benchmark of another length, or one that is not finite.

    Notes
    -----
    ``V = sum_k w_k (x_k - b_k - mean)²`` with the weights of the scenarios, without correction of degrees of
    freedom. A limit of the standard deviation is a limit of its square. The quadratic form is split into
    factors by its eigenvectors, and each square is built up from its tangents until they meet it.

    References
    ----------
    Markowitz (1952); Roll (1992), for tracking.
    """

    cube: PnLCube = field(repr=False)
    benchmark: FloatArray | None = field(default=None, repr=False)
    centred: bool = True

    def __post_init__(self) -> None:
        check_kind("cube", self.cube, PnLCube, "pmkit.risk.revalue(instruments, snapshot, scenarios)")
        if self.benchmark is None:
            return
        given = np.asarray(self.benchmark, dtype=np.float64)
        if given.shape != (len(self.cube),) or not np.isfinite(given).all():
            gaps = int((~np.isfinite(given)).sum())
            raise ParameterError(
                f"benchmark of shape {given.shape}, {number_of(gaps, 'cell')} not finite",
                f"one finite P&L in USD for each of {number_of(len(self.cube), 'scenario')}",
                "revalue the benchmark over the scenarios of the cube",
            )
        object.__setattr__(self, "benchmark", given)

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        word = "variance" if self.centred else "second moment"
        return word if self.benchmark is None else f"tracking {word}"

    @property
    def unit(self) -> str:
        """USD squared."""
        return "USD²"

    def data(self) -> dict[str, str]:
        """Return the fingerprint of the scenarios."""
        return {f"scenarios of {self.label}": self.cube.scenarios.fingerprint}

    def cited(self) -> tuple[str, ...]:
        """Return the keys of the papers behind variance and tangents."""
        return ("markowitz1952", "kelley1960") if self.benchmark is None else ("roll1992", "kelley1960")

    def value(self, outcome: Outcome) -> float:
        """Return the variance of the quantities from the scenarios themselves, USD²."""
        pnl = pnl_of(self.cube, outcome)
        gap = pnl if self.benchmark is None else pnl - self.benchmark
        weights = self.cube.scenarios.weights
        mean = float(np.add.reduce(weights * gap)) if self.centred else 0.0
        return float(np.add.reduce(weights * (gap - mean) ** 2))

    def encode(self, work: Workspace) -> Affine:
        """Return the variance, and leave its rows with the workspace."""
        unit = self.cube.unit_usd[rows_of(self.cube, [i.name for i in work.instruments])]
        weights, rest = self.cube.scenarios.weights, np.zeros(len(self.cube))
        if self.benchmark is not None:
            rest = self.benchmark
        rows = np.vstack([unit, rest])
        if self.centred:
            rows = rows - np.einsum("ik,k->i", rows, weights)[:, None]
        # scaled by what every line is worth at most, so that small contracts count as much as large ones
        form = np.einsum("ik,jk,k->ij", rows, rows, weights, optimize=False)
        width = np.sqrt(np.maximum(np.diag(form), 0.0))
        width[width == 0.0] = 1.0
        weight, vectors = np.linalg.eigh(form / np.outer(width, width))
        factors = []
        for value, vector in zip(weight, vectors.T, strict=True):
            if value > _RANK * float(weight[-1]):
                loads = np.sqrt(value) * vector * width
                held = work.held.weighted(loads[:-1])
                factors.append(Affine.total([held, Affine.of([], -float(loads[-1]))]))
        if not factors:
            return Affine.of([])
        before = float(np.add.reduce([y.constant**2 for y in factors]))
        one = max(float(np.abs(y.coefficients).max(initial=0.0)) for y in factors) ** 2
        found, lazy = add_squares(work.model, factors, before or one or 1.0, self.label)
        work.lazy.append(lazy)
        return found
