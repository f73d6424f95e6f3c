"""Expected shortfall as a linear programme whose scenario rows are added only where they bind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.optimize.linear.model import Affine, Held, LinearModel, RowBlock, dense_block, reduced
from pmkit.optimize.linear.solver import NewRows
from pmkit.optimize.terms.base import Outcome, Term, Workspace
from pmkit.optimize.words import number_of
from pmkit.risk import PnLCube, expected_shortfall
from pmkit.scenarios.inputs import check_kind

__all__ = ["Shortfall", "TailRows", "add_shortfall", "pnl_of", "rows_of"]

#: A scenario counts as violated where its loss exceeds the threshold by more than this share of the losses.
_SHARE = 1e-11
#: Weight of the first active scenarios, as a multiple of the weight of the tail.
_FIRST = 1.5
#: Most rows added at a time, as a multiple of the scenarios in the tail.
_EACH = 1.0


@dataclass
class TailRows:
    """The rows ``z_k >= loss_k − t`` of the scenarios; those never violated are never written down.

    Attributes
    ----------
    pnl : ndarray, shape (scenarios, columns)
        P&L of a scenario by column of the programme.
    base : ndarray, shape (scenarios,)
        Loss at columns of 0.
    columns : ndarray of int
        Columns of the programme behind the second axis of ``pnl``.
    share : ndarray, shape (scenarios,)
        Weight over one minus the level.
    threshold, row : int
        Column of t, and row that defines the shortfall.
    active : ndarray of bool, shape (scenarios,)
    """

    pnl: FloatArray
    base: FloatArray
    columns: IntArray
    share: FloatArray
    threshold: int
    row: int
    active: BoolArray

    def losses(self, point: FloatArray) -> FloatArray:
        """Return the loss in every scenario at a point of the programme."""
        # one order of summation for any number of threads
        return np.asarray(self.base - np.einsum("ij,j->i", self.pnl, point[self.columns]))

    def violated(self, point: FloatArray, n_columns: int, n_rows: int) -> NewRows | None:
        """Return rows and excess columns of the inactive scenarios beyond the threshold."""
        losses = self.losses(point)
        slack = _SHARE * max(1e-300, float(np.abs(losses).max()))
        wanted = np.flatnonzero(~self.active & (losses > point[self.threshold] + slack))
        if not wanted.size:
            return None
        most = max(int(_EACH * self.share.size / np.add.reduce(self.share)), 10)
        if wanted.size > most:
            # the worst first: a point that is far off violates rows that never bind later
            wanted = np.sort(wanted[np.argsort(-losses[wanted], kind="stable")[:most]])
        return self._added(wanted, n_columns)

    def rest(self, n_columns: int) -> NewRows | None:
        """Return rows and excess columns of all inactive scenarios; None where all are active."""
        wanted = np.flatnonzero(~self.active)
        return self._added(wanted, n_columns) if wanted.size else None

    def _added(self, wanted: IntArray, n_columns: int) -> NewRows:
        """Return rows and excess columns of scenarios, which are active from now on."""
        self.active[wanted] = True
        excess = np.arange(n_columns, n_columns + wanted.size)
        return NewRows(
            rows=self.block(wanted, excess),
            n_columns=int(wanted.size),
            old_row=self.row,
            old_values=-self.share[wanted],
        )

    def block(self, wanted: IntArray, excess: IntArray) -> RowBlock:
        """Return ``excess + t + pnl >= base`` for the wanted scenarios."""
        k = wanted.size
        plain = dense_block(
            np.concatenate([self.pnl[wanted], np.ones((k, 2))], axis=1),
            np.concatenate([self.columns, [self.threshold, -1]]),
            self.base[wanted],
            np.full(k, np.inf),
        )
        plain.indices[plain.indices == -1] = excess
        return plain


def add_shortfall(
    model: LinearModel,
    unit: FloatArray,
    held: Held,
    weights: FloatArray,
    level: float,
    *,
    every: bool = False,
) -> tuple[Affine, TailRows]:
    """Add the expected shortfall of quantities to a programme.

    Parameters
    ----------
    model : LinearModel
    unit : ndarray, shape (instruments, scenarios)
        P&L of one contract, gain positive.
    held : Held
    weights : ndarray, shape (scenarios,)
        Probabilities, sum 1.
    level : float
    every : bool
        Write all scenarios down at once instead of those that bind.

    Returns
    -------
    Affine, TailRows
        The shortfall, and the rows that the solver is to ask for.

    Notes
    -----
    ``ES = min over t of t + sum w_k max(loss_k − t, 0) / (1 − level)``. Left out rows only lower the
    programme's value, so it is a lower bound; once no left out scenario exceeds t it equals the whole one.

    References
    ----------
    Rockafellar and Uryasev (2000), equation 9; Künzi-Bay and Mayer (2006).
    """
    columns, pnl = reduced(unit, held)
    base = -np.add.reduce(unit * held.start[:, None], axis=0)
    share = weights / (1.0 - level)
    threshold = model.column("tail threshold", -np.inf, np.inf)
    shortfall = model.column("expected shortfall", -np.inf, np.inf)
    if every:
        first = np.arange(base.size)
    else:
        ranked = np.lexsort((np.arange(base.size), np.einsum("ij,j->i", pnl, _middle(model, columns)) - base))
        enough = int(np.searchsorted(np.cumsum(weights[ranked]), _FIRST * (1.0 - level))) + 1
        first = np.sort(ranked[:enough])
    active = np.zeros(base.size, dtype=bool)
    active[first] = True
    excess = np.array([model.column("tail excess") for _ in first], dtype=np.int64)
    definition = Affine(
        0.0,
        np.concatenate([[shortfall, threshold], excess]).astype(np.int64),
        np.concatenate([[1.0, -1.0], -share[first]]),
    )
    row = model.row(definition, 0.0, np.inf)
    rows = TailRows(pnl, base, columns, share, threshold, row, active)
    model.add(rows.block(first, excess))
    return Affine.of([(shortfall, 1.0)]), rows


def _middle(model: LinearModel, columns: IntArray) -> FloatArray:
    """Return a point inside the bounds of columns: their middle, or the finite end, or 0."""
    low, high = (np.array([ends[c] for c in columns]) for ends in (model.low, model.high))
    both = np.isfinite(low) & np.isfinite(high)
    end = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0))
    return np.where(both, (np.where(both, low, 0.0) + np.where(both, high, 0.0)) / 2.0, end)


@dataclass(frozen=True)
class Shortfall(Term):
    """Expected shortfall of the positions over a cube, USD, positive loss.

    Attributes
    ----------
    cube : PnLCube
        Holds every instrument that is held or tradable.
    level : float
        Between 0.5 and 1.

    Raises
    ------
    ParameterError
        A level outside its range, or one with less than one scenario beyond it.

    References
    ----------
    Rockafellar and Uryasev (2000).
    """

    cube: PnLCube = field(repr=False)
    level: float = 0.975

    def __post_init__(self) -> None:
        check_kind("cube", self.cube, PnLCube, "pmkit.risk.revalue(instruments, snapshot, scenarios)")
        if not 0.5 <= self.level < 1.0:
            raise ParameterError(
                f"level is {self.level!r}", "a number from 0.5 to below 1, such as 0.975", "correct it"
            )
        if (1.0 - self.level) * len(self.cube) < 1.0 - 1e-9:
            raise ParameterError(
                f"no whole one of {number_of(len(self.cube), 'scenario')} is beyond the level {self.level:g}",
                f"at least {int(np.ceil(1.0 / (1.0 - self.level) - 1e-9))}",
                "use more scenarios, or a lower level",
            )

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return f"ES {self.level:g}"

    def encode(self, work: Workspace) -> Affine:
        """Return the shortfall, and leave its rows with the workspace."""
        rows = self.rows([i.name for i in work.instruments])
        found, lazy = add_shortfall(
            work.model, self.cube.unit_usd[rows], work.held, self.cube.scenarios.weights, self.level
        )
        work.lazy.append(lazy)
        return found

    def value(self, outcome: Outcome) -> float:
        """Return the shortfall of the quantities by :func:`pmkit.risk.expected_shortfall`, USD."""
        return float(expected_shortfall(self.pnl(outcome), self.level, self.cube.scenarios.weights).value)

    def data(self) -> dict[str, str]:
        """Return the fingerprint of the scenarios."""
        return {f"scenarios of {self.label}": self.cube.scenarios.fingerprint}

    def pnl(self, outcome: Outcome) -> FloatArray:
        """Return the P&L of the quantities in every scenario of the cube, USD."""
        return pnl_of(self.cube, outcome)

    def rows(self, names: list[str]) -> IntArray:
        """Return the rows of the cube behind names, or raise DataGapError."""
        return rows_of(self.cube, names)


def pnl_of(cube: PnLCube, outcome: Outcome) -> FloatArray:
    """Return the P&L of the quantities of an outcome in every scenario, USD, shape (scenarios,)."""
    unit = cube.unit_usd[rows_of(cube, [i.name for i in outcome.instruments])]
    return np.asarray(np.add.reduce(unit * outcome.quantities[:, None], axis=0))


def rows_of(cube: PnLCube, names: list[str]) -> IntArray:
    """Return the rows of a cube behind names, or raise DataGapError."""
    known = {instrument.name: row for row, instrument in enumerate(cube.instruments)}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataGapError(
            f"{missing[0]} is not in the cube of {number_of(len(known), 'instrument')}",
            "every instrument that is held or tradable",
            "revalue them together: pmkit.risk.revalue(problem.instruments, snapshot, scenarios)",
        )
    return np.array([known[name] for name in names], dtype=np.int64)
