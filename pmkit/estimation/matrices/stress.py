"""Stressed correlations: blends, overrides, a shifted market mode, a breakdown; each a correlation matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import (
    Matrix,
    frobenius,
    like,
    pair_table,
    smallest_eigenvalue,
)
from pmkit.estimation.matrices.nearest import (
    CorrelationRepair,
    change_map,
    largest_change,
    moved_pairs,
    nearest_correlation,
)
from pmkit.estimation.matrices.stress_inputs import (
    SLACK,
    blend_target,
    check_number,
    checked_correlation,
    overridden,
    shifted,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationStress", "stress_correlation"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationStress(Result):
    """A stressed correlation matrix, how far it is from the base, and which pairs moved.

    Attributes
    ----------
    matrix, base : DataFrame or ndarray, shape (n, n)
        Stressed and given matrix; labelled where the given one was.
    description : str
        The stress in words.
    status : {"ok", "repaired", "not_converged"}
        ``repaired``: the overrides as asked for left no correlation matrix and the nearest one was taken.
    distance : float
        Frobenius norm of ``matrix - base``, both triangles.
    smallest_eigenvalue : float
        Of the stressed matrix.
    market_share, market_share_before : float
        Largest eigenvalue over n: the part of standardised variance in one common mode.
    pairs : DataFrame
        One row a pair: ``row, column, before, after, change, touched``.
    repair : CorrelationRepair or None
        The repair behind ``repaired``; its distance is from the matrix as asked for.
    """

    matrix: Matrix
    base: Matrix
    description: str
    status: str
    distance: float
    smallest_eigenvalue: float
    market_share: float
    market_share_before: float
    pairs: pd.DataFrame
    repair: CorrelationRepair | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.stress_correlation"))
    references: tuple[str, ...] = ("rebonato1999",)

    @property
    def moved(self) -> pd.DataFrame:
        """Pairs that changed by more than 1e-9, the largest change first."""
        return moved_pairs(self.pairs)

    @property
    def moved_untouched(self) -> pd.DataFrame:
        """Pairs that nobody asked to change and that the repair moved, the largest change first."""
        return moved_pairs(self.pairs[~self.pairs["touched"]])

    def raise_if_bad(self) -> CorrelationStress:
        """Return the result itself; raise where the repair did not converge."""
        if self.repair is not None:
            self.repair.raise_if_bad()
        return self

    def check(self) -> None:
        """Raise where the matrix is no correlation matrix, or distance and eigenvalue do not recompute."""
        X, R = np.asarray(self.matrix), np.asarray(self.base)
        low = smallest_eigenvalue(X)
        legal = np.array_equal(X, X.T) and bool((np.diag(X) == 1.0).all()) and bool((np.abs(X) <= 1.0).all())
        legal = legal and (low >= -SLACK or self.status == "not_converged")
        same = math.isclose(frobenius(X - R), self.distance, rel_tol=1e-9, abs_tol=1e-9)
        if not (legal and same and math.isclose(low, self.smallest_eigenvalue, abs_tol=1e-9)):
            raise PmkitError(
                f"distance {self.distance:g}, eigenvalue {self.smallest_eigenvalue:g} do not recompute",
                "a correlation matrix with these figures",
                "report this as a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return the stress, its status, distance, smallest eigenvalue, market share and largest changes."""
        rows: dict[str, Any] = {
            "stress": self.description,
            "status": self.status,
            "distance": round(self.distance, 8),
            "smallest eigenvalue": round(self.smallest_eigenvalue, 8) + 0.0,
            "market share before": round(self.market_share_before, 8),
            "market share": round(self.market_share, 8),
            "pairs moved": f"{len(self.moved)} of {len(self.pairs)}",
            "largest change": largest_change(self.moved),
            "untouched pairs moved": f"{len(self.moved_untouched)} of {int((~self.pairs['touched']).sum())}",
            "largest change of untouched": largest_change(self.moved_untouched),
        }
        return pd.DataFrame({"value": pd.Series(rows, dtype=object)})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: before, after, change, and whether the stress asked for it."""
        return self.pairs

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the change of each correlation as a map of colours."""
        return change_map(self.matrix, self.base, self.description, ax)


def stress_correlation(
    R: pd.DataFrame | FloatArray | Iterable[Any],
    *,
    target: Any = None,
    overrides: Mapping[Any, float] | None = None,
    market_shift: float | None = None,
    breakdown: bool | Iterable[Iterable[Any]] | None = None,
    weight: float = 1.0,
    hold: bool = True,
    tol: float = 1e-10,
) -> CorrelationStress:
    """Return a stressed correlation matrix, with its distance, smallest eigenvalue and the pairs that moved.

    Exactly one of ``target``, ``overrides``, ``market_shift`` and ``breakdown`` says what the stress is. Run
    more than one: blending to ones raises the margin of a directional book and *lowers* that of a hedged one.

    Parameters
    ----------
    R : DataFrame or array, shape (n, n)
        Correlation matrix, positive semidefinite.
    target : {"ones", "identity"}, signs or matrix, optional
        Blend towards it. One sign (+1 or -1) a label, as Series by label or array, stands for the matrix
        ``s s'``: with the signs of a book's exposures every pair moves against the book. A frame or Series
        is put in the order of ``R``.
    overrides : mapping, optional
        From a pair to its new correlation; each side of a pair is a label or a tuple of labels, a block. A
        block paired with itself is the inside of a group.
    market_shift : float, optional
        Added to the market share, the largest eigenvalue over n: 0.1 is ten points. The other eigenvalues
        shrink in proportion; the diagonal is then rescaled to 1, so the share reached differs a little.
    breakdown : True or list of groups, optional
        True: all correlations vanish. Groups of labels: those between groups vanish and those inside stay; a
        label in no group stands alone.
    weight : float
        From 0, nothing, to 1, all the way; for ``target`` and ``breakdown``.
    hold : bool
        Whether overridden pairs keep their new value in the repair; where False they share the way back.
    tol : float
        As in :func:`nearest_correlation`, for the repair of overrides.

    Returns
    -------
    CorrelationStress

    Raises
    ------
    SchemaError
        Not square; labels unknown, repeated or different from those of ``R``.
    ParameterError
        No stress or more than one; ``R`` or a target that is not a correlation matrix; values out of range;
        two overrides of one pair that differ; held overrides that contradict each other.

    Notes
    -----
    A blend ``(1 - a) R + a T`` of two positive semidefinite matrices is one. With market share ``s`` and
    shift ``d``, the market eigenvalue is multiplied by ``(s + d)/s`` and each other by
    ``(1 - s - d)/(1 - s)``.

    References
    ----------
    Higham (2002), algorithm 3.3, for the repair; Rebonato and Jäckel (1999), section 1.

    Examples
    --------
    >>> R = pd.DataFrame([[1, 0.6], [0.6, 1]], index=["BTC", "ETH"], columns=["BTC", "ETH"])
    >>> float(stress_correlation(R, target="ones", weight=0.5).matrix.loc["BTC", "ETH"])
    0.8
    """
    values, labels = checked_correlation(R, "R")
    given = {"target": target, "overrides": overrides, "market_shift": market_shift, "breakdown": breakdown}
    named = [name for name, value in given.items() if value is not None and value is not False]
    if len(named) != 1:
        raise ParameterError(
            f"{' and '.join(named) if named else 'no stress'} given",
            "one of target, overrides, market_shift, breakdown",
            "call once a stress, the second on the matrix of the first",
        )
    check_number("weight", weight, 0.0, 1.0)
    if weight != 1.0 and named[0] in ("overrides", "market_shift"):
        raise ParameterError(
            f"weight {weight:g} with {named[0]}",
            "weight with target or breakdown",
            f"scale {named[0]} itself",
        )
    repair, touched = None, ~np.eye(len(values), dtype=np.bool_)
    if overrides is not None:
        asked, touched = overridden(values, labels, overrides)
        repair = nearest_correlation(asked, fixed=touched if hold else None, tol=tol)
        X, description = np.asarray(repair.matrix), f"{int(touched.sum()) // 2} pairs overridden"
    elif market_shift is not None:
        X, description = shifted(values, market_shift), f"market mode {market_shift:+.6g}"
    else:
        T, word, touched = blend_target(target, breakdown, labels, values)
        X = np.clip((1.0 - weight) * values + weight * T, -1.0, 1.0)
        np.fill_diagonal(X, 1.0)
        description = f"{weight * 100:g} % {word}"
    return CorrelationStress(
        matrix=like(X, labels, R),
        base=like(values, labels, R),
        description=description,
        status="ok" if repair is None else repair.status,
        distance=frobenius(X - values),
        smallest_eigenvalue=smallest_eigenvalue(X),
        market_share=_share(X),
        market_share_before=_share(values),
        pairs=pair_table(values, X, labels, touched=touched),
        repair=repair if repair is not None and repair.status != "ok" else None,
        provenance=Provenance(
            method=f"estimation.stress_correlation {named[0]}",
            data={"R": fingerprint(values), "stressed": fingerprint(X), "touched": fingerprint(touched)},
            parameters={"description": description, "weight": weight, "hold": hold, "tol": tol},
        ),
        references=("rebonato1999",) if repair is None else ("rebonato1999", "higham2002"),
    )


def _share(values: FloatArray) -> float:
    return float(np.linalg.eigvalsh(values)[-1]) / len(values)
