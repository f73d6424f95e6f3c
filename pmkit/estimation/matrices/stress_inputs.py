"""What each correlation stress asks for: targets of a blend, overridden pairs, a shifted market mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.estimation.matrices.correlation_checks import (
    checked_matrix,
    numbers,
    position,
    recompose,
    smallest_eigenvalue,
    unit_diagonal,
)

__all__ = ["SLACK", "blend_target", "check_number", "checked_correlation", "overridden", "shifted"]

#: negative eigenvalues down to here are rounding of the input
SLACK = 1e-9


def checked_correlation(A: Any, name: str) -> tuple[FloatArray, pd.Index]:
    """Return a checked correlation matrix that is positive semidefinite, and its labels."""
    values, labels = checked_matrix(A, name)
    low = smallest_eigenvalue(values)
    if low < -SLACK:
        raise ParameterError(
            f"the smallest eigenvalue of {name} is {low:.6g}",
            "a positive semidefinite matrix",
            f"pass nearest_correlation({name}).matrix",
        )
    return values, labels


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise where ``value`` is no number from ``low`` to ``high``."""
    good = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)
    if not (good and low <= value <= high):
        raise ParameterError(f"{name} is {value!r}", f"a number from {low:g} to {high:g}", f"correct {name}")


def blend_target(
    target: Any, breakdown: Any, labels: pd.Index, R: FloatArray
) -> tuple[FloatArray, str, BoolArray]:
    """Return the matrix to blend to, the blend in words, and the pairs that are meant to move."""
    n = len(labels)
    every = ~np.eye(n, dtype=np.bool_)
    if breakdown is not None and breakdown is not False:
        if breakdown is True:
            return np.eye(n), "breakdown", every
        inside = _inside(breakdown, labels)
        return np.where(inside, R, 0.0), "breakdown between groups", ~inside
    if isinstance(target, str):
        known = {"ones": np.ones((n, n)), "identity": np.eye(n)}
        if target not in known:
            raise ParameterError(
                f"target is {target!r}", "'ones', 'identity', signs or a matrix", "name one of them"
            )
        return known[target], f"to {target}", every
    if isinstance(target, (pd.Series, pd.DataFrame)):
        target = _aligned(target, labels)
    raw = numbers(target, "target")
    if raw.ndim == 1:
        if len(raw) != n:
            raise SchemaError(f"target has {len(raw)} signs", f"the {n} of R", "give one sign a label")
        bad = np.flatnonzero(np.abs(raw) != 1.0)
        if bad.size:
            raise ParameterError(
                f"the sign of {labels[bad[0]]!r} is {raw[bad[0]]:g}", "+1 or -1", "take np.sign of exposures"
            )
        return raw[:, None] * raw[None, :], "to a sign pattern", every
    matrix = checked_correlation(target, "target")[0]
    if len(matrix) != n:
        raise SchemaError(f"target has {len(matrix)} rows", f"the {n} of R", "cut both to common labels")
    return matrix, "to a given matrix", every


def _aligned(target: pd.Series | pd.DataFrame, labels: pd.Index) -> pd.Series | pd.DataFrame:
    """Return a labelled target in the order of ``labels``."""
    for axis in target.axes:
        if not axis.is_unique or len(axis) != len(labels) or set(axis) != set(labels):
            raise SchemaError(
                f"target is labelled {axis.tolist()[:6]}",
                f"the labels of R, {labels.tolist()[:6]}",
                "reindex the target to R",
            )
    return target.loc[labels] if isinstance(target, pd.Series) else target.loc[labels, labels]


def _inside(groups: Any, labels: pd.Index) -> BoolArray:
    """Return the mask of pairs, diagonal included, whose two labels stand in one group."""
    if isinstance(groups, (str, bytes)) or not isinstance(groups, Iterable):
        raise SchemaError(
            f"breakdown is {groups!r}", "True or a list of groups", "write [('BTC', 'ETH'), ...]"
        )
    home = -1 - np.arange(len(labels))
    for number, group in enumerate(groups):
        if isinstance(group, (str, bytes)) or not isinstance(group, Iterable):
            raise SchemaError(f"breakdown holds {group!r}", "groups of labels", "write [('BTC', 'ETH'), ...]")
        for label in group:
            at = position(label, labels, "breakdown")
            if home[at] >= 0:
                raise SchemaError(
                    f"breakdown names {label!r} twice", "one group a label", "drop one of the two"
                )
            home[at] = number
    return np.asarray(home[:, None] == home[None, :])


def overridden(values: FloatArray, labels: pd.Index, overrides: Any) -> tuple[FloatArray, BoolArray]:
    """Return the matrix as asked for, and the mask of the pairs that were named."""
    if not isinstance(overrides, Mapping) or not overrides:
        raise SchemaError(
            f"overrides are {overrides!r}",
            "a mapping from pairs to correlations",
            "write {('BTC', 'ETH'): 0.95}",
        )
    asked, touched = values.copy(), np.zeros(values.shape, dtype=np.bool_)
    for key, value in overrides.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise SchemaError(f"overrides name {key!r}", "a pair", "write {('BTC', 'ETH'): 0.95}")
        check_number(f"the override of {key!r}", value, -1.0, 1.0)
        rows, columns = (_block(side, labels) for side in key)
        pairs = [(i, j) for i in rows for j in columns if i != j]
        if not pairs:
            raise SchemaError(
                f"overrides pair {key[0]!r} with itself", "two labels", "the diagonal is always 1"
            )
        for i, j in pairs:
            if touched[i, j] and asked[i, j] != value:
                raise ParameterError(
                    f"({labels[i]!r}, {labels[j]!r}) is overridden by {asked[i, j]:g} and by {value:g}",
                    "one value a pair",
                    "drop one of the two",
                )
            asked[i, j] = asked[j, i] = float(value)
            touched[i, j] = touched[j, i] = True
    return asked, touched


def _block(side: Any, labels: pd.Index) -> list[int]:
    """Return the positions of one side of a pair: a label, or a tuple of labels."""
    if isinstance(side, tuple) and side not in labels:
        return [position(label, labels, "overrides") for label in side]
    return [position(side, labels, "overrides")]


def shifted(values: FloatArray, shift: Any) -> FloatArray:
    """Return the matrix with its largest eigenvalue moved, and the others in proportion the other way."""
    n = len(values)
    lam, vectors = np.linalg.eigh(values)
    share = float(lam[-1]) / n
    if n < 2 or lam[-1] - lam[-2] < 1e-9 * n or share > 1.0 - 1e-9:
        raise ParameterError(
            f"the largest eigenvalue of R is {lam[-1]:.6g}: no single mode stands out to be shifted",
            "one eigenvalue above the others and below n",
            "blend to a target in place of it",
        )
    check_number("market_shift", shift, -share, 1.0 - share)
    factors = np.full(n, (1.0 - share - shift) / (1.0 - share))
    factors[-1] = (share + shift) / share
    moved = recompose(vectors, np.maximum(lam, 0.0) * factors)
    low = float(np.diag(moved).min())
    if low < 1e-9:
        worst = int(np.diag(moved).argmin())
        raise ParameterError(
            f"market_shift {shift:g} leaves row {worst} a variance of {low:.3g}",
            "a shift that leaves each label a variance",
            "shift by less",
        )
    return unit_diagonal(moved)
