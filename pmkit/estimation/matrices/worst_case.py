"""The correlation inside a box that is worst for a book: a semidefinite programme with its certificate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.bands import CorrelationBands
from pmkit.estimation.matrices.correlation_checks import (
    MOVED,
    Matrix,
    frobenius,
    labelled,
    like,
    numbers,
    pair_table,
    recompose,
    smallest_eigenvalue,
    unit_diagonal,
)
from pmkit.estimation.matrices.nearest import change_map, largest_change, moved_pairs
from pmkit.estimation.matrices.stress_inputs import SLACK, checked_correlation
from pmkit.estimation.panel import optional_module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WorstCaseCorrelation", "worst_case_correlation"]

Direction = Literal["max", "min"]

#: relative distance between value and certificate up to which the answer counts as optimal
#: absolute exposures beyond this have no square in floating-point numbers
_LARGEST = 1e150
_GAP = 1e-6


@dataclass(frozen=True, kw_only=True, repr=False)
class WorstCaseCorrelation(Result):
    """The correlation matrix that makes a book's standard deviation largest, or smallest, inside a box.

    Attributes
    ----------
    matrix, base : DataFrame or ndarray, shape (n, n)
        Optimal and given correlation.
    exposure : ndarray, shape (n,)
        Standard deviation of each line with its sign: weight times volatility.
    direction : {"max", "min"}
    status : {"ok", "not_converged"}
        ``ok``: the certificate stands within a relative 1e-6 of the value.
    value, bound : float
        Variance of the book under ``matrix``, and the bound on it that no correlation inside the box passes.
    sd, sd_base : float
        Standard deviation of the book under the optimal and the given matrix, units of the exposures.
    low, high : ndarray, shape (n, n)
        The box, entry by entry, cut to [-1, 1].
    smallest_eigenvalue : float
        Of the optimal matrix.
    pairs : DataFrame
        One row a pair: ``row, column, before, after, change, at_low, at_high``.
    """

    matrix: Matrix
    base: Matrix
    exposure: FloatArray
    direction: Direction
    status: str
    value: float
    bound: float
    sd: float
    sd_base: float
    low: FloatArray
    high: FloatArray
    smallest_eigenvalue: float
    pairs: pd.DataFrame
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="estimation.worst_case_correlation")
    )
    references: tuple[str, ...] = ("elghaoui2003", "boyd2004")

    @property
    def gap(self) -> float:
        """Distance of the certificate from the value, relative to the sum of absolute exposures squared."""
        scale = float(np.add.reduce(np.abs(self.exposure))) ** 2
        return abs(self.bound - self.value) / scale if scale > 0.0 else 0.0

    @property
    def moved(self) -> pd.DataFrame:
        """Pairs that differ from the base by more than 1e-9, the largest change first."""
        return moved_pairs(self.pairs)

    def raise_if_bad(self) -> WorstCaseCorrelation:
        """Return the result itself; raise where the certificate does not confirm it."""
        if self.status != "ok":
            raise PmkitError(
                f"value {self.value:.8g}, bound {self.bound:.8g}",
                f"a relative gap of at most {_GAP:g}",
                "widen the box, or repair a base matrix that is nearly singular",
            )
        return self

    def check(self) -> None:
        """Raise where the matrix leaves the box or the cone, or value and certificate do not fit."""
        X = np.asarray(self.matrix)
        inside = bool(((self.low - SLACK <= X) & (self.high + SLACK >= X)).all())
        legal = np.array_equal(X, X.T) and bool((np.diag(X) == 1.0).all())
        same = math.isclose(_variance(self.exposure, X), self.value, rel_tol=1e-9, abs_tol=1e-300)
        sign = 1.0 if self.direction == "max" else -1.0
        scale = float(np.add.reduce(np.abs(self.exposure))) ** 2
        ordered = sign * (self.bound - self.value) >= -_GAP * scale
        if not (inside and legal and same and ordered and smallest_eigenvalue(X) >= -2.0 * SLACK):
            raise PmkitError(
                f"value {self.value:.8g}, bound {self.bound:.8g}, eigenvalue {smallest_eigenvalue(X):.3g}",
                "a correlation matrix inside the box with this variance",
                "report this as a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return the book's standard deviation under six correlations, and what the optimum changed."""
        e = self.exposure
        n = len(e)
        signs = np.where(e < 0.0, -1.0, 1.0)
        rows: dict[str, Any] = {
            f"sd, {'worst' if self.direction == 'max' else 'best'} case in the box": self.sd,
            "sd, estimate": self.sd_base,
            "sd, all correlations 1": math.sqrt(max(_variance(e, np.ones((n, n))), 0.0)),
            "sd, all correlations 0": math.sqrt(_variance(e, np.eye(n))),
            "sd, no box, every pair against the book": math.sqrt(_variance(e, np.outer(signs, signs))),
        }
        rows = {name: round(float(value), 8) for name, value in rows.items()}
        rows |= {
            "status": self.status,
            "relative gap": float(f"{self.gap:.1e}"),
            "pairs moved": f"{len(self.moved)} of {len(self.pairs)}",
            "pairs at the box": int((self.pairs["at_low"] | self.pairs["at_high"]).sum()),
            "largest change": largest_change(self.moved),
        }
        return pd.DataFrame({"value": pd.Series(rows, dtype=object)})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: before, after, change, and whether it stands at the box."""
        return self.pairs

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the change of each correlation as a map of colours."""
        return change_map(self.matrix, self.base, f"correlation of {self.direction}imal margin", ax)


def worst_case_correlation(
    w: pd.Series | FloatArray | Iterable[float],
    R: pd.DataFrame | FloatArray | Iterable[Any],
    *,
    sigma: pd.Series | FloatArray | Iterable[float] | None = None,
    box: float | FloatArray | pd.DataFrame | tuple[Any, Any] | CorrelationBands | None = None,
    direction: Direction = "max",
) -> WorstCaseCorrelation:
    """Return the correlation inside a box for which the book's standard deviation is largest, or smallest.

    Run it beside any blend: moving all correlations towards 1 *lowers* the margin of a hedged book, and no
    blend says how far up it can go.

    Parameters
    ----------
    w : Series or array, shape (n,)
        Signed exposure of each label, in money or in returns' units; a Series is put in the order of ``R``.
    R : DataFrame or array, shape (n, n)
        Correlation matrix, positive semidefinite. Spot and vol factors may stand side by side, each with its
        own exposure (delta and vega), so that option books are stressed too.
    sigma : Series or array, shape (n,), optional
        Volatility of each label, 0 or more; ones where None.
    box : float, matrix, pair of matrices or CorrelationBands, optional
        Half-width round each entry (one number, or one an entry), or lower and upper matrix; always cut to
        [-1, 1]. None: no box.
    direction : {"max", "min"}

    Returns
    -------
    WorstCaseCorrelation

    Raises
    ------
    SchemaError
        Lengths or labels that do not fit.
    ParameterError
        ``R`` no correlation matrix; a negative width; a box that does not hold ``R``; exposures
        that are all 0.
    OptionalDependencyError
        Without cvxpy.

    Notes
    -----
    ``max w' D R D w`` over ``R`` positive semidefinite with unit diagonal and ``low <= R <= high``; linear in
    ``R``, so both directions are convex. Without a box the optimum is ``s s'`` with ``s`` the signs of the
    exposures and value ``(sum |w| sigma)^2``. For any positive semidefinite ``Z`` and ``C = (Dw)(Dw)'``,
    ``sum_ij max over the box of (C + Z)[i, j] x`` bounds the value; ``Z`` is the multiplier of the solver, so
    the bound is checked here and not taken on trust. Solved by Clarabel, one thread; ``n`` up to about 60.

    References
    ----------
    El Ghaoui, Oks and Oustry (2003); Boyd and Vandenberghe (2004), section 5.9.

    Examples
    --------
    >>> hedge = worst_case_correlation([1.0, -1.0], [[1.0, 0.8], [0.8, 1.0]], box=0.2)
    >>> [round(x, 4) for x in (hedge.sd_base, hedge.sd)]
    [0.6325, 0.8944]
    """
    values, labels = checked_correlation(R, "R")
    if direction not in ("max", "min"):
        raise ParameterError(f"direction is {direction!r}", "'max' or 'min'", "name one of the two")
    n = len(values)
    scale = np.ones(n) if sigma is None else _vector(sigma, labels, "sigma")
    if not (scale >= 0.0).all():
        raise ParameterError(
            f"sigma of {labels[int(scale.argmin())]!r} is {scale.min():g}",
            "volatilities of 0 or more",
            "signs belong to w",
        )
    exposure = _vector(w, labels, "w") * scale
    total = float(np.add.reduce(np.abs(exposure)))
    if total == 0.0:
        raise ParameterError("all exposures are 0", "at least one position", "pass the book's exposures")
    if not total < _LARGEST:
        raise ParameterError(
            f"exposures add up to {total:.3g}", f"less than {_LARGEST:g}: variances are squares", "rescale w"
        )
    low, high = _box(box, values, labels)
    sign = 1.0 if direction == "max" else -1.0
    unit = exposure / total
    C = sign * unit[:, None] * unit[None, :]
    if n == 1:
        X, bound = values, float(C[0, 0])
    elif box is None and direction == "max":
        signs = np.where(exposure < 0.0, -1.0, 1.0)
        X, bound = signs[:, None] * signs[None, :], 1.0
    else:
        X, Z = _solve(C, low, high)
        X = _feasible(X, values, low, high)
        bound = _certificate(C, Z, low, high)
    reached = _variance(unit, X)
    gap = abs(sign * bound - reached)
    matrix_marks = {"at_low": low + 1e-6 >= X, "at_high": high - 1e-6 <= X}
    value = _variance(exposure, X)
    return WorstCaseCorrelation(
        matrix=like(X, labels, R),
        base=like(values, labels, R),
        exposure=exposure,
        direction=direction,
        status="ok" if gap <= _GAP else "not_converged",
        value=value,
        bound=sign * bound * total**2,
        sd=math.sqrt(max(value, 0.0)),
        sd_base=math.sqrt(max(_variance(exposure, values), 0.0)),
        low=low,
        high=high,
        smallest_eigenvalue=smallest_eigenvalue(X),
        pairs=pair_table(values, X, labels, **matrix_marks),
        provenance=Provenance(
            method=f"estimation.worst_case_correlation {direction}",
            data={"R": fingerprint(values), "exposure": fingerprint(exposure), "box": fingerprint(low, high)},
            parameters={"distance": frobenius(X - values), "moved_above": MOVED},
        ),
    )


def _variance(e: FloatArray, R: FloatArray) -> float:
    return float(np.add.reduce((e[:, None] * e[None, :] * R).ravel()))


def _vector(given: Any, labels: pd.Index, name: str) -> FloatArray:
    """Return one finite number a label, a Series put in the order of the labels."""
    if isinstance(given, pd.Series) and not labels.equals(pd.RangeIndex(len(labels))):
        strange = given.index.difference(labels)
        absent = labels.difference(given.index)
        if len(strange) or len(absent) or not given.index.is_unique:
            raise SchemaError(
                f"{name} is labelled {given.index.tolist()[:6]}",
                f"the labels of R, {labels.tolist()[:6]}",
                f"reindex {name} to R; a label without position has 0",
            )
        given = given.loc[labels]
    out = numbers(given if isinstance(given, pd.Series) else list(given), name)
    if out.shape != (len(labels),):
        raise SchemaError(f"{name} has shape {out.shape}", f"({len(labels)},), as R", "give one a label")
    if not np.isfinite(out).all():
        at = int(np.flatnonzero(~np.isfinite(out))[0])
        raise ParameterError(f"{name} of {labels[at]!r} is {out[at]}", "a finite number", "correct it")
    return out


def _box(box: Any, values: FloatArray, labels: pd.Index) -> tuple[FloatArray, FloatArray]:
    """Return lower and upper limits of every entry, the diagonal at 1."""
    n = len(values)
    if box is None:
        low, high = np.full((n, n), -1.0), np.ones((n, n))
    elif isinstance(box, CorrelationBands):
        low, high = (_limits(side, labels, "box") for side in (box.low, box.high))
    elif isinstance(box, tuple):
        if len(box) != 2:
            raise SchemaError(f"box holds {len(box)} items", "a lower and an upper matrix", "give two")
        low, high = (_limits(side, labels, "box") for side in box)
    else:
        scalar = np.ndim(box) == 0
        width = np.full((n, n), float(numbers(box, "box"))) if scalar else _limits(box, labels, "box")
        if not np.isfinite(width).all() or not (width >= 0.0).all():
            raise ParameterError(
                "box holds a width that is not 0 or more", "half-widths of 0 or more", "correct it"
            )
        low, high = values - width, values + width
    low, high = np.clip(low, -1.0, 1.0), np.clip(high, -1.0, 1.0)
    np.fill_diagonal(low, 1.0)
    np.fill_diagonal(high, 1.0)
    out = np.argwhere((values < low - SLACK) | (values > high + SLACK))
    if len(out):
        i, j = (int(k) for k in out[0])
        raise ParameterError(
            f"R is {values[i, j]:g} at ({labels[i]!r}, {labels[j]!r}), "
            f"the box from {low[i, j]:g} to {high[i, j]:g}",
            "a box round the estimate",
            "widen the box, or stress R first and box the result",
        )
    return low, high


def _limits(side: Any, labels: pd.Index, name: str) -> FloatArray:
    out, own = labelled(side, name)
    if out.shape != (len(labels),) * 2 or (isinstance(side, pd.DataFrame) and not own.equals(labels)):
        raise SchemaError(
            f"{name} has {len(out)} rows labelled {own.tolist()[:6]}",
            f"the labels of R, {labels.tolist()[:6]}",
            f"reindex {name} to R",
        )
    return out


def _solve(C: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the solver's matrix and the multiplier of positive semidefiniteness, both symmetric."""
    cp = optional_module("cvxpy", "worst-case correlation")
    n = len(C)
    X = cp.Variable((n, n), symmetric=True)
    cone = X >> 0
    i, j = np.triu_indices(n, 1)
    rules = [cone, cp.diag(X) == 1.0, X[i, j] >= low[i, j], X[i, j] <= high[i, j]]
    problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(C, X))), rules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the certificate, not the solver, says how accurate it is
            problem.solve(
                solver=cp.CLARABEL, max_threads=1, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10
            )
    except cp.error.SolverError as failure:
        raise PmkitError(
            f"the solver stopped: {failure}", "a solved programme", "widen the box or repair R"
        ) from None
    if X.value is None:
        raise PmkitError(
            f"the solver ended {problem.status}", "a solved programme", "widen the box or repair R"
        )
    Z = np.asarray(cone.dual_value, dtype=np.float64)
    return 0.5 * (X.value + X.value.T), 0.5 * (Z + Z.T)


def _feasible(X: FloatArray, R: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the solver's matrix inside the box and the cone, both of which it may miss by rounding.

    Alternate projections do it where the estimate is singular; what is left takes a step towards it.
    """
    for _ in range(100):
        X = np.clip(X, low, high)
        lam, vectors = np.linalg.eigh(X)
        if lam[0] >= -SLACK:
            break
        X = unit_diagonal(recompose(vectors, np.maximum(lam, 0.0)))
    X = np.clip(X, low, high)
    step = 0.0
    while smallest_eigenvalue((1.0 - step) * X + step * R) < -SLACK and step < 1.0:
        step = min(1.0, max(2.0 * step, 1e-9))
    out = (1.0 - step) * X + step * R
    np.fill_diagonal(out, 1.0)
    return np.asarray(0.5 * (out + out.T))


def _certificate(C: FloatArray, Z: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Return the best bound ``sum max((C + t Z) x)`` over the box, of the two signs of the multiplier."""
    best = math.inf
    for sign in (1.0, -1.0):
        lam, vectors = np.linalg.eigh(sign * Z)
        K = C + recompose(vectors, np.maximum(lam, 0.0))
        best = min(best, float(np.add.reduce(np.maximum(K * low, K * high).ravel())))
    return best
