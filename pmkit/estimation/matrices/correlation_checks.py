"""Correlation matrices as they come in: labels, symmetry, unit diagonal, pairs by name; and what moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.pricing.numeric import kernel

__all__ = [
    "MOVED",
    "Matrix",
    "checked_matrix",
    "frobenius",
    "labelled",
    "like",
    "numbers",
    "pair_mask",
    "pair_table",
    "position",
    "recompose",
    "smallest_eigenvalue",
    "unit_diagonal",
]

#: a matrix with labels, or without
Matrix = pd.DataFrame | FloatArray

#: entries that differ by more than rounding count as moved
MOVED = 1e-9

#: how far two mirrored entries, a diagonal from 1 or an entry from [-1, 1] may be off by rounding
_ROUNDING = 1e-10


def labelled(A: Any, name: str) -> tuple[FloatArray, pd.Index]:
    """Return a square, finite, symmetric matrix as float64 array, and its labels (0, 1, ... for an array).

    Raises
    ------
    SchemaError
        Not a table of numbers, not square, empty, or row labels that differ from column labels.
    ParameterError
        NaN, infinity, or mirrored entries that differ by more than 1e-10 (smaller differences are averaged).

    Examples
    --------
    >>> labelled([[1.0, 0.5], [0.5, 1.0]], "A")[1].tolist()
    [0, 1]
    """
    values = numbers(A, name)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.size == 0:
        raise SchemaError(
            f"{name} has shape {values.shape}", "a square matrix", "pass as many rows as columns, at least 1"
        )
    labels: pd.Index = pd.RangeIndex(len(values))
    if isinstance(A, pd.DataFrame):
        labels = A.index
        if not labels.equals(A.columns):
            raise SchemaError(
                f"rows of {name} are {_listed(A.index)}, columns {_listed(A.columns)}",
                "the same labels in the same order",
                f"take {name}.loc[labels, labels]",
            )
        if not labels.is_unique:
            raise SchemaError(
                f"label {labels[labels.duplicated()][0]!r} of {name} is repeated",
                "one row a label",
                "rename or drop the repeated one",
            )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        i, j = bad[0]
        raise ParameterError(
            f"{len(bad)} entries of {name} not finite, first {values[i, j]} at {_pair(labels, i, j)}",
            "finite numbers",
            "estimate on common dates, or fill the pair by a stated rule",
        )
    off = np.abs(values - values.T)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    if off[i, j] > _ROUNDING * max(1.0, float(np.abs(values).max())):
        raise ParameterError(
            f"{name} is not symmetric: {values[i, j]:g} at {_pair(labels, i, j)} "
            f"and {values[j, i]:g} at {_pair(labels, j, i)}",
            "equal mirrored entries",
            f"decide which is right, or average: ({name} + {name}.T) / 2",
        )
    return 0.5 * (values + values.T), labels


def checked_matrix(A: Any, name: str) -> tuple[FloatArray, pd.Index]:
    """Return a symmetric matrix of unit diagonal and entries in [-1, 1], and its labels; it need not be PSD.

    Raises
    ------
    SchemaError, ParameterError
        As :func:`labelled`; or a diagonal that is not 1, or an entry beyond [-1, 1], by more than 1e-10.

    Examples
    --------
    >>> checked_matrix([[1.0, 0.5], [0.5, 1.0]], "A")[0].tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    values, labels = labelled(A, name)
    diagonal = np.abs(np.diag(values) - 1.0)
    worst = int(diagonal.argmax())
    if diagonal[worst] > _ROUNDING:
        raise ParameterError(
            f"the diagonal of {name} is {values[worst, worst]:g} at {labels[worst]!r}",
            "1 for each label",
            "divide a covariance by the standard deviations of its row and column",
        )
    np.fill_diagonal(values, 1.0)
    i, j = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    if abs(values[i, j]) > 1.0 + _ROUNDING:
        raise ParameterError(
            f"{name} is {values[i, j]:g} at {_pair(labels, i, j)}",
            "correlations between -1 and 1",
            "write 0.5 for fifty per cent, or correct the entry",
        )
    return np.clip(values, -1.0, 1.0), labels


def numbers(A: Any, name: str) -> FloatArray:
    """Return ``A`` as a new float64 array; SchemaError where it holds anything but real numbers."""
    try:
        raw = A.to_numpy() if isinstance(A, (pd.DataFrame, pd.Series)) else np.asarray(A)
        if raw.dtype.kind == "c":
            raise TypeError
        return np.array(raw, dtype=np.float64)
    except (TypeError, ValueError):
        raise SchemaError(
            f"{name} is a {type(A).__name__} that is not a table of numbers",
            "real numbers in rows of equal length",
            "convert it to float",
        ) from None


def like(values: FloatArray, labels: pd.Index, A: Any) -> Matrix:
    """Return ``values`` as a frame with ``labels`` where ``A`` is a frame, else as the array it is."""
    if isinstance(A, pd.DataFrame):
        return pd.DataFrame(values, index=labels, columns=labels)
    return values


def position(label: Any, labels: pd.Index, name: str) -> int:
    """Return where ``label`` stands; SchemaError where it does not."""
    try:
        found = labels.get_loc(label) if not isinstance(label, bool) else None
    except (KeyError, TypeError, pd.errors.InvalidIndexError):
        found = None
    if not isinstance(found, (int, np.integer)):
        raise SchemaError(f"{name} names {label!r}", f"one of {_listed(labels)}", "correct the label")
    return int(found)


def pair_mask(pairs: Any, labels: pd.Index, name: str) -> BoolArray:
    """Return the symmetric mask of off-diagonal pairs, given as a mask or as a list of label pairs.

    Raises
    ------
    SchemaError
        A mask of another shape or other labels, not symmetric; a pair that is not two known labels.

    Examples
    --------
    >>> pair_mask([(0, 1)], pd.RangeIndex(2), "fixed").tolist()
    [[False, True], [True, False]]
    """
    n = len(labels)
    mask = np.zeros((n, n), dtype=np.bool_)
    if pairs is None:
        return mask
    if isinstance(pairs, pd.DataFrame) and not (pairs.index.equals(labels) and pairs.columns.equals(labels)):
        raise SchemaError(
            f"{name} is labelled {_listed(pairs.index)} x {_listed(pairs.columns)}",
            f"the labels of the matrix, {_listed(labels)}",
            f"reindex {name} to the matrix",
        )
    if isinstance(pairs, (pd.DataFrame, np.ndarray)):
        mask = np.array(pairs)
        if mask.shape != (n, n) or mask.dtype != np.bool_ or not np.array_equal(mask, mask.T):
            raise SchemaError(
                f"{name} has shape {mask.shape} and type {mask.dtype}",
                f"a symmetric mask of True and False, {n} x {n}",
                "mark both mirrored entries, or pass a list of label pairs",
            )
        np.fill_diagonal(mask, False)
        return mask
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise SchemaError(f"{name} is {pairs!r}", "a list of label pairs", "write [('BTC', 'ETH')]")
    for pair in pairs:
        if isinstance(pair, (str, bytes)) or not isinstance(pair, Iterable) or len(two := list(pair)) != 2:
            raise SchemaError(f"{name} holds {pair!r}", "pairs of labels", "write [('BTC', 'ETH')]")
        i, j = (position(label, labels, name) for label in two)
        if i == j:
            raise SchemaError(
                f"{name} pairs {two[0]!r} with itself",
                "two different labels",
                "leave the diagonal out: it is 1",
            )
        mask[i, j] = mask[j, i] = True
    return mask


def pair_table(before: FloatArray, after: FloatArray, labels: pd.Index, **marks: BoolArray) -> pd.DataFrame:
    """Return one row a pair, upper triangle: row, column, before, after, change and each mark."""
    i, j = np.triu_indices(len(labels), 1)
    table = {
        "row": labels.take(i),
        "column": labels.take(j),
        "before": before[i, j],
        "after": after[i, j],
        "change": after[i, j] - before[i, j],
        **{name: mark[i, j] for name, mark in marks.items()},
    }
    return pd.DataFrame(table)


def smallest_eigenvalue(values: FloatArray) -> float:
    """Return the smallest eigenvalue of a symmetric matrix."""
    return float(np.linalg.eigvalsh(values)[0])


def frobenius(values: FloatArray) -> float:
    """Return the root of the sum of all squared entries."""
    return float(np.sqrt(np.add.reduce(np.square(values).ravel())))


@kernel
def _outer_sum(vectors: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with ``sum_k weights[k] v_k v_k'``, columns ``v_k``, terms added in order of ``k``."""
    n, m = vectors.shape
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for k in range(m):
                total += weights[k] * vectors[i, k] * vectors[j, k]
            out[i, j] = total
            out[j, i] = total


def recompose(vectors: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``sum_k weights[k] v_k v_k'`` of the columns ``v_k``, exactly symmetric, terms in order."""
    out = np.empty((len(vectors), len(vectors)))
    _outer_sum(np.ascontiguousarray(vectors), np.ascontiguousarray(weights), out)
    return out


def unit_diagonal(values: FloatArray) -> FloatArray:
    """Return a symmetric matrix of positive diagonal, rescaled to a diagonal of 1 and entries in [-1, 1]."""
    scale = np.sqrt(np.diag(values))
    out = np.clip(values / scale[:, None] / scale[None, :], -1.0, 1.0)
    out = 0.5 * (out + out.T)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out)


def _pair(labels: pd.Index, i: int | np.integer[Any], j: int | np.integer[Any]) -> str:
    return f"({labels[int(i)]!r}, {labels[int(j)]!r})"


def _listed(labels: pd.Index) -> str:
    shown = [repr(label) for label in labels[:6]]
    return ", ".join(shown) + (", ..." if len(labels) > 6 else "")
