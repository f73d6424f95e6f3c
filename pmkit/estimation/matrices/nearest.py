"""Repair of a matrix that is not quite a correlation matrix: which one is nearest, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.estimation.matrices.correlation_checks import (
    MOVED,
    Matrix,
    checked_matrix,
    frobenius,
    like,
    numbers,
    pair_mask,
    pair_table,
    smallest_eigenvalue,
)
from pmkit.estimation.matrices.merging import merge_perfect
from pmkit.estimation.matrices.projections import alternating_projections, hypersphere, spectral

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationRepair", "nearest_correlation"]

RepairMethod = Literal["higham", "hypersphere", "spectral"]

_PAPERS = {
    "higham": ("higham2002", "qi2006"),
    "hypersphere": ("rebonato1999",),
    "spectral": ("rebonato1999",),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationRepair(Result):
    """A correlation matrix near a given one, with the distance and every pair that moved.

    Attributes
    ----------
    matrix, original : DataFrame or ndarray, shape (n, n)
        The repaired matrix and the one handed in; labelled where that was.
    method : {"higham", "hypersphere", "spectral"}
    status : {"ok", "repaired", "not_converged"}
        ``ok``: the original was a correlation matrix already and is returned unchanged.
    distance : float
        Frobenius norm of ``matrix - original``, both triangles.
    weighted_distance : float
        Root of ``sum w[i] w[j] (matrix - original)[i, j]^2``; equal to ``distance`` without weights.
    smallest_eigenvalue, smallest_before : float
        Of the repaired and of the original matrix.
    iterations : int
        Steps of the method, 0 where none was needed.
    pairs : DataFrame
        One row a pair: ``row, column, before, after, change, fixed``.
    """

    matrix: Matrix
    original: Matrix
    method: RepairMethod
    status: str
    distance: float
    weighted_distance: float
    smallest_eigenvalue: float
    smallest_before: float
    iterations: int
    pairs: pd.DataFrame
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="estimation.nearest_correlation")
    )
    references: tuple[str, ...] = ("higham2002",)

    @property
    def moved(self) -> pd.DataFrame:
        """Pairs that changed by more than 1e-9, the largest change first."""
        return moved_pairs(self.pairs)

    def raise_if_bad(self) -> CorrelationRepair:
        """Return the result itself; raise where the method did not converge."""
        if self.status == "not_converged":
            raise PmkitError(
                f"{self.method} did not converge in {self.iterations} iterations",
                "status ok or repaired",
                "raise max_iterations, loosen tol, or fix fewer entries",
            )
        return self

    def check(self) -> None:
        """Raise where the matrix is not symmetric of unit diagonal, or its figures do not recompute."""
        X, A = np.asarray(self.matrix), np.asarray(self.original)
        low = smallest_eigenvalue(X)
        legal = np.array_equal(X, X.T) and bool((np.diag(X) == 1.0).all()) and bool((np.abs(X) <= 1.0).all())
        same = math.isclose(frobenius(X - A), self.distance, rel_tol=1e-9, abs_tol=1e-9)
        if not (legal and same and math.isclose(low, self.smallest_eigenvalue, abs_tol=1e-9)):
            raise PmkitError(
                f"distance {self.distance:g}, eigenvalue {self.smallest_eigenvalue:g} do not recompute",
                "a symmetric matrix of unit diagonal with these figures",
                "report this as a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return method, status, distance, eigenvalues before and after, and the largest change."""
        rows: dict[str, Any] = {
            "method": self.method,
            "status": self.status,
            "distance": round(self.distance, 8),
            "smallest eigenvalue before": round(self.smallest_before, 8),
            "smallest eigenvalue": round(self.smallest_eigenvalue, 8) + 0.0,
            "pairs moved": f"{len(self.moved)} of {len(self.pairs)}",
            "largest change": largest_change(self.moved),
            "iterations": self.iterations,
        }
        return pd.DataFrame({"value": pd.Series(rows, dtype=object)})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: before, after, change, and whether it was fixed."""
        return self.pairs

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the change of each correlation as a map of colours."""
        return change_map(self.matrix, self.original, f"nearest correlation ({self.method})", ax)


def moved_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose change exceeds 1e-9, the largest first."""
    moved = pairs[pairs["change"].abs() > MOVED]
    order = np.argsort(-moved["change"].abs().to_numpy(), kind="stable")
    return moved.iloc[order].reset_index(drop=True)


def largest_change(moved: pd.DataFrame) -> str:
    """Return the first row of :func:`moved_pairs` in words."""
    if moved.empty:
        return "none"
    top = moved.iloc[0]
    return f"{top['change']:+.6f} ({top['row']}, {top['column']})"


def change_map(after: Matrix, before: Matrix, title: str, ax: Axes | None) -> Axes:
    """Return axes with ``after - before`` as colours, labels on both sides."""
    change = np.asarray(after) - np.asarray(before)
    axes = new_axes(ax)
    bound = max(float(np.abs(change).max()), MOVED)
    image = axes.imshow(change, cmap="RdBu_r", vmin=-bound, vmax=bound)
    axes.figure.colorbar(image, ax=axes, label="change of correlation")
    if isinstance(after, pd.DataFrame) and len(after) <= 30:
        ticks, names = range(len(after)), [str(label) for label in after.index]
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
    axes.set_title(title)
    return axes


def nearest_correlation(
    A: pd.DataFrame | FloatArray | Iterable[Any],
    *,
    weights: pd.Series | FloatArray | Iterable[float] | None = None,
    fixed: pd.DataFrame | BoolArray | Iterable[tuple[Any, Any]] | None = None,
    method: RepairMethod = "higham",
    tol: float = 1e-10,
    min_eigenvalue: float = 0.0,
    max_iterations: int = 5000,
) -> CorrelationRepair:
    """Return the correlation matrix nearest to ``A``, with the distance and the pairs that moved.

    Use it where a matrix was put together by hand, from pairs with different histories, or from rank
    correlations. ``higham`` and ``hypersphere`` minimise the same distance; ``spectral`` is fast and near.

    Parameters
    ----------
    A : DataFrame or array, shape (n, n)
        Symmetric, diagonal 1, entries in [-1, 1]; NaN is refused. A frame has equal row and column labels.
    weights : Series or array, shape (n,), optional
        Confidence in each label, above 0: pair ``(i, j)`` counts ``w[i] w[j]`` times. Not with ``spectral``.
    fixed : mask, shape (n, n), or list of label pairs, optional
        Entries that must keep their value; ``higham`` only.
    method : {"higham", "hypersphere", "spectral"}
    tol : float
        Between 1e-14 and 1e-3: greatest step at which the iteration stops, and the negative eigenvalue below
        ``min_eigenvalue`` that passes for rounding.
    min_eigenvalue : float
        Floor of the smallest eigenvalue, 0 or more and below 1; 1e-6, say, makes a Cholesky factor safe.
    max_iterations : int

    Returns
    -------
    CorrelationRepair
        Matrix labelled where ``A`` was. Fixed entries are exact and the smallest eigenvalue is then
        ``min_eigenvalue - tol`` at least; without fixed entries it is at least ``min_eigenvalue`` to
        rounding.

    Raises
    ------
    SchemaError
        Not square, labels that differ or repeat, unknown labels in ``fixed`` or ``weights``.
    ParameterError
        Not symmetric, NaN, diagonal not 1, entries beyond [-1, 1], weights that are not positive; or fixed
        entries that no correlation matrix has: a proof was found, and the pairs in it are named.

    Notes
    -----
    Minimises ``sum w[i] w[j] (X - A)[i, j]^2`` over symmetric positive semidefinite ``X`` of unit diagonal.
    A floor ``d`` is met by ``X = d I + (1 - d) C``. A step costs ``O(n^3)``. The
    decomposition is LAPACK's: above about 100 labels its last bits may depend on the number of threads.

    References
    ----------
    Higham (2002), algorithm 3.3; Qi and Sun (2006), algorithm 5.1; Rebonato and Jäckel (1999), sections 2
    and 3.

    Examples
    --------
    >>> fit = nearest_correlation([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    >>> fit.matrix.round(4)[0].tolist(), round(fit.distance, 6)
    ([1.0, 0.7607, 0.1573], 0.52779)
    """
    values, labels = checked_matrix(A, "A")
    if method not in get_args(RepairMethod):
        raise ParameterError(
            f"method is {method!r}", "'higham', 'hypersphere' or 'spectral'", "name one of the three"
        )
    _check_range("tol", tol, 1e-14, 1e-3)
    _check_range("min_eigenvalue", min_eigenvalue, 0.0, 1.0 - 1e-6)
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int) or max_iterations < 1:
        raise ParameterError(
            f"max_iterations is {max_iterations!r}", "a whole number, 1 or more", "pass 5000"
        )
    scale = _roots(weights, labels, method)
    mask = pair_mask(fixed, labels, "fixed")
    if mask.any() and method != "higham":
        raise ParameterError(
            f"fixed entries with method {method!r}", "method 'higham'", "leave fixed out, or take 'higham'"
        )
    before = smallest_eigenvalue(values)
    X, iterations, status = values, 0, "ok"
    if before < min_eigenvalue - tol:
        goal = (values - min_eigenvalue * np.eye(len(values))) / (1.0 - min_eigenvalue)
        np.fill_diagonal(goal, 1.0)
        if method == "spectral":
            X, iterations, converged = spectral(goal), 1, True
        elif method == "hypersphere":
            X, iterations, converged = hypersphere(goal, scale, tol, max_iterations)
        else:
            merged = merge_perfect(goal, scale**2, mask, labels)
            C, iterations, converged, proof = alternating_projections(
                merged.matrix, np.sqrt(merged.weights), merged.fixed, tol, max_iterations
            )
            if proof is not None:
                raise _contradicting(proof, merged.matrix, merged.labels, min_eigenvalue)
            X = merged.spread(C)
        X = min_eigenvalue * np.eye(len(X)) + (1.0 - min_eigenvalue) * X
        X = np.where(mask, values, np.clip(X, -1.0, 1.0))
        np.fill_diagonal(X, 1.0)
        status = "repaired" if converged else "not_converged"
    change = X - values
    return CorrelationRepair(
        matrix=like(X, labels, A),
        original=like(values, labels, A),
        method=method,
        status=status,
        distance=frobenius(change),
        weighted_distance=frobenius(change * scale[:, None] * scale[None, :]),
        smallest_eigenvalue=smallest_eigenvalue(X),
        smallest_before=before,
        iterations=iterations,
        pairs=pair_table(values, X, labels, fixed=mask),
        provenance=Provenance(
            method=f"estimation.nearest_correlation {method}, {status}",
            data={"A": fingerprint(values), "weights": fingerprint(scale), "fixed": fingerprint(mask)},
            parameters={"tol": tol, "min_eigenvalue": min_eigenvalue, "max_iterations": max_iterations},
        ),
        references=_PAPERS[method],
    )


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ParameterError(f"{name} is {value!r}", f"a number from {low:g} to {high:g}", f"correct {name}")


def _roots(weights: Any, labels: pd.Index, method: str) -> FloatArray:
    """Return the roots of the checked weights in the order of ``labels``; ones where None."""
    if weights is None:
        return np.ones(len(labels))
    if method == "spectral":
        raise ParameterError(
            "weights with method 'spectral'",
            "no weights",
            "take 'higham', which minimises a weighted distance",
        )
    if isinstance(weights, pd.Series):
        if set(weights.index) != set(labels) or len(weights) != len(labels):
            raise SchemaError(
                f"weights are labelled {weights.index.tolist()[:6]}",
                f"one for each of {labels.tolist()[:6]}",
                "reindex the weights to the matrix",
            )
        weights = weights.reindex(labels)
    w = numbers(weights, "weights")
    if w.shape != (len(labels),):
        raise SchemaError(
            f"weights have shape {w.shape}", f"({len(labels)},): one a label", "a pair counts w[i] w[j]"
        )
    bad = np.flatnonzero(~(np.isfinite(w) & (w > 0.0)))
    if bad.size:
        raise ParameterError(
            f"the weight of {labels[bad[0]]!r} is {w[bad[0]]:g}", "a positive number", "use a small one for 0"
        )
    return np.sqrt(w)


def _contradicting(proof: FloatArray, A: FloatArray, labels: pd.Index, floor: float) -> ParameterError:
    """Return the error that names the fixed pairs which carry the proof, heaviest first."""
    i, j = np.triu_indices(len(labels), 1)
    weight = np.abs(proof[i, j])
    heavy = [k for k in np.argsort(-weight, kind="stable")[:6] if weight[k] > 1e-3 * float(weight.max())]
    named = ", ".join(
        f"({labels[i[k]]!r}, {labels[j[k]]!r}) = {(1.0 - floor) * A[i[k], j[k]]:g}" for k in heavy
    )
    above = f" with eigenvalues of {floor:g} or more" if floor > 0.0 else ""
    return ParameterError(
        f"the fixed entries contradict each other: {named}",
        f"values that some correlation matrix has{above}",
        "free one of these pairs, or move it towards what the others imply",
    )
