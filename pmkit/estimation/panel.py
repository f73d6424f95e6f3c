"""Panels of returns, one column an asset: their checks, and sums of products in a fixed order."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    OptionalDependencyError,
    ParameterError,
    SchemaError,
)
from pmkit.core.types import FloatArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.matrices.correlation_checks import recompose, unit_diagonal
from pmkit.pricing.numeric import kernel

__all__ = [
    "checked_panel",
    "common_calendar",
    "cross_moment",
    "multiply",
    "optional_module",
    "sample_covariance",
    "symmetric_power",
]

#: columns that are linear combinations of each other leave an eigenvalue of the correlation below this
_COLLINEAR = 1e-10

#: a standard deviation this small against the others is a series that hardly moves
_DEAD = 1e-6


def checked_panel(
    returns: Any, *, fewest: int, least_columns: int = 1, collinear: bool = True
) -> tuple[FloatArray, pd.Index]:
    """Return the decimal returns of a frame, shape (T, n), and their column names, after checking them.

    Parameters
    ----------
    returns : DataFrame
        One column an asset, oldest first, finite.
    fewest : int
        Least number of rows.
    least_columns : int
    collinear : bool
        Whether perfectly collinear columns are allowed.

    Raises
    ------
    SchemaError
        Not a frame of numbers, too few or repeated columns, dates out of order.
    ParameterError
        NaN, infinity, a constant or nearly constant column, prices or percent, collinear columns.
    DataGapError
        Too few rows.

    Examples
    --------
    >>> checked_panel(pd.DataFrame({"A": [0.01, -0.02], "B": [0.0, 0.01]}), fewest=2)[1].tolist()
    ['A', 'B']
    """
    if not isinstance(returns, pd.DataFrame) or returns.shape[1] < least_columns:
        raise SchemaError(
            f"returns are a {type(returns).__name__} of shape {np.shape(returns)}",
            f"a frame with at least {least_columns} column(s), one an asset",
            "pass history.returns()",
        )
    if not returns.columns.is_unique:
        twice = returns.columns[returns.columns.duplicated()].tolist()[0]
        raise SchemaError(f"column {twice!r} is repeated", "one column an asset", "rename or drop one")
    if len(returns) < fewest:
        raise DataGapError(
            f"{len(returns)} rows of returns of {returns.shape[1]} assets",
            f"at least {fewest}",
            "load a longer history, or name fewer assets",
        )
    columns = [checked_returns(returns[name], fewest=1).to_numpy() for name in returns.columns]
    values = np.ascontiguousarray(np.column_stack(columns))
    spread = values.std(axis=0)
    quiet = np.flatnonzero(spread <= _DEAD * float(np.median(spread)))
    if quiet.size:
        raise ParameterError(
            f"returns of {returns.columns[quiet[0]]!r} have a standard deviation of {spread[quiet[0]]:.3g}, "
            f"the median asset {np.median(spread):.3g}: nearly constant",
            "returns that vary",
            "check the price column, or drop the asset",
        )
    if not collinear and values.shape[1] > 1:
        _refuse_collinear(values, returns.columns)
    return values, returns.columns


def _refuse_collinear(values: FloatArray, names: pd.Index) -> None:
    correlation = unit_diagonal(sample_covariance(values))
    lam, vectors = np.linalg.eigh(correlation)
    if lam[0] > _COLLINEAR:
        return
    part = [repr(names[int(i)]) for i in np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3)]
    raise ParameterError(
        f"{', '.join(part)} are perfectly collinear (smallest eigenvalue {lam[0]:.2g})",
        "assets that are not combinations of each other, and more rows than assets",
        "drop one of them, or shrink the covariance first",
    )


def common_calendar(series: Mapping[Any, pd.Series]) -> pd.DataFrame:
    """Return the series side by side, decimal as given, refusing calendars that differ.

    Parameters
    ----------
    series : mapping of label to Series
        Each with its own index of dates.

    Raises
    ------
    ConventionError
        The dates of two series differ; the message names both and the first date that one of them lacks.
    SchemaError
        Not a mapping of Series, or empty.

    Examples
    --------
    >>> a = pd.Series([0.01, 0.02], pd.date_range("2023-01-01", periods=2))
    >>> common_calendar({"A": a, "B": 2 * a}).shape
    (2, 2)
    """
    if not isinstance(series, Mapping) or not series:
        raise SchemaError(
            f"series are a {type(series).__name__}", "a mapping from labels to Series", "name each series"
        )
    for label, one in series.items():
        if not isinstance(one, pd.Series):
            raise SchemaError(f"{label!r} is a {type(one).__name__}", "a Series", "choose one column")
    first, base = next(iter(series.items()))
    for label, one in series.items():
        if one.index.equals(base.index):
            continue
        lacks, other = one.index.difference(base.index), base.index.difference(one.index)
        day, who = (lacks[0], first) if len(lacks) else (other[0], label) if len(other) else (None, label)
        where = "the same dates in another order" if day is None else f"{who!r} has no row for {day}"
        raise ConventionError(
            f"the calendars of {first!r} ({len(base)} rows) and {label!r} ({len(one)} rows) differ: {where}",
            "one calendar for all series",
            "cut all to common dates on purpose, or complete the short ones with complete_returns",
        )
    return pd.DataFrame(dict(series))


@kernel
def _cross(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Fill ``out[i, j]`` with ``sum_t left[i, t] right[j, t]``, terms added in order of ``t``."""
    for i in range(left.shape[0]):
        for j in range(right.shape[0]):
            total = 0.0
            for t in range(left.shape[1]):
                total += left[i, t] * right[j, t]
            out[i, j] = total


def cross_moment(left: FloatArray, right: FloatArray | None = None) -> FloatArray:
    """Return ``left' right``, shape (n, m), of arrays of shape (T, n) and (T, m), summed in order of rows.

    Examples
    --------
    >>> cross_moment(np.array([[1.0], [2.0]])).tolist()
    [[5.0]]
    """
    a = np.ascontiguousarray(left.T)
    b = a if right is None else np.ascontiguousarray(right.T)
    out = np.empty((len(a), len(b)))
    _cross(a, b, out)
    return out


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the matrix product, summed in a fixed order whatever the number of threads."""
    a, b = np.ascontiguousarray(left), np.ascontiguousarray(right.T)
    out = np.empty((len(a), len(b)))
    _cross(a, b, out)
    return out


def sample_covariance(values: FloatArray, divisor: int | None = None) -> FloatArray:
    """Return the covariance about the mean, shape (n, n); divisor ``T - 1`` where None.

    Examples
    --------
    >>> sample_covariance(np.array([[1.0], [3.0]])).tolist()
    [[2.0]]
    """
    centred = values - np.add.reduce(np.ascontiguousarray(values.T), axis=1) / len(values)
    return cross_moment(centred) / (len(values) - 1 if divisor is None else divisor)


def symmetric_power(matrix: FloatArray, power: float) -> FloatArray:
    """Return the symmetric power of a positive definite matrix, for example its root or inverse root.

    The symmetric root is the only root that a permutation of the assets permutes with them: a Cholesky
    factor depends on their order.

    Examples
    --------
    >>> symmetric_power(np.diag([4.0, 9.0]), -0.5).round(6).tolist()
    [[0.5, 0.0], [0.0, 0.333333]]
    """
    lam, vectors = np.linalg.eigh(matrix)
    return recompose(vectors, lam**power)


def optional_module(name: str, purpose: str) -> ModuleType:
    """Return an optional package; OptionalDependencyError with the remedy where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise OptionalDependencyError(
            f"{name.partition('.')[0]} is not installed",
            f"it for {purpose}",
            'pip install "pmkit[estimation]"',
        ) from None
