"""Standardised residuals as they come in: one calendar, no gap, unit scale, no asset a copy of others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.dynamic.dcc_recursion import moment, to_correlation

__all__ = ["LateFingerprint", "canonical_order", "check_independent", "checked_residuals"]

#: mean squares between which a long series counts as standardised
_SCALE = (0.5, 2.0)
#: rows from which a mean square says something about the scale
_SCALE_ROWS = 100
#: smallest eigenvalue of the sample correlation below which assets count as collinear
_COLLINEAR = 1e-8


def checked_residuals(residuals: Any, *, fewest: int) -> pd.DataFrame:
    """Return standardised residuals as a float64 frame, dates by assets, after checking them.

    Parameters
    ----------
    residuals : DataFrame, or mapping of Series
        One column (series) an asset, unit variance, oldest first. Series must share one calendar.
    fewest : int
        Least number of rows.

    Raises
    ------
    SchemaError
        Not a table of numbers, fewer than two assets, repeated names, dates out of order.
    DataGapError
        Series of unequal calendars, or too few rows.
    ParameterError
        NaN, infinity, or a column that never moves.
    ConventionError
        Columns whose mean square is not about 1: returns, per cent or prices instead of residuals.

    Examples
    --------
    >>> checked_residuals(pd.DataFrame({"A": [1.0, -1.0], "B": [0.5, 1.2]}), fewest=2).shape
    (2, 2)
    """
    if isinstance(residuals, Mapping):
        residuals = _one_calendar(residuals)
    if not isinstance(residuals, pd.DataFrame):
        raise SchemaError(
            f"residuals are a {type(residuals).__name__}",
            "a frame of standardised residuals, one column an asset",
            "take fit_volatility(...).residuals of every asset and put them side by side",
        )
    names = residuals.columns
    if len(names) < 2:
        raise SchemaError(f"residuals of {len(names)} asset(s)", "two assets or more", "add a column")
    if not names.is_unique:
        raise SchemaError(
            f"column {names[names.duplicated()][0]!r} is repeated",
            "one column an asset",
            "rename or drop one",
        )
    try:
        values = residuals.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise SchemaError(
            f"residuals have types {sorted({str(t) for t in residuals.dtypes})}",
            "numbers",
            "convert the columns to float",
        ) from None
    index = residuals.index
    if not (index.is_monotonic_increasing and index.is_unique):
        step = next(i for i in range(1, len(index)) if not index[i] > index[i - 1])
        raise SchemaError(
            f"residuals are out of order or repeated at {_label(index, step)}",
            "strictly ascending dates",
            "sort by date and remove repeated rows",
        )
    # a copy of its own, so that nobody changes the residuals of a model from outside
    values = np.array(values, order="C")
    finite = np.isfinite(values)
    if not bool(finite.all()):
        bad = np.argwhere(~finite)
        row, column = bad[0]
        raise ParameterError(
            f"{len(bad)} residual(s) not finite, first {values[row, column]} of {names[column]!r} "
            f"at {_label(index, row)}",
            "finite residuals of every asset on every date",
            "keep the dates that all assets share (dropna), or backfill the short history by a stated rule",
        )
    if len(values) < fewest:
        raise DataGapError(
            f"{len(values)} rows of residuals of {len(names)} assets",
            f"at least {fewest}: the target alone has {len(names) * (len(names) - 1) // 2} parameters and is "
            "singular with fewer rows than assets",
            "load a longer history or take fewer assets",
        )
    if len(values) >= _SCALE_ROWS:
        _check_scale(values, names)
    return pd.DataFrame(values, index=index, columns=names, copy=False)


def _one_calendar(series: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the series side by side; DataGapError where their dates differ."""
    first: tuple[Any, pd.Index] | None = None
    for name, one in series.items():
        if not isinstance(one, pd.Series):
            raise SchemaError(
                f"residuals of {name!r} are a {type(one).__name__}", "a Series", "pass model.residuals"
            )
        if first is None:
            first = (name, one.index)
        elif not one.index.equals(first[1]):
            odd = first[1].symmetric_difference(one.index)
            raise DataGapError(
                f"{name!r} and {first[0]!r} have unequal calendars: {len(one)} and {len(first[1])} dates, "
                f"{len(odd)} not shared" + (f", first {_label(odd, 0)}" if len(odd) else ", order differs"),
                "the same dates for every asset",
                "fit the margins on shared dates: pd.concat(series, axis=1, join='inner')",
            )
    return pd.DataFrame(dict(series))


def _check_scale(values: FloatArray, names: pd.Index) -> None:
    """Raise where a column does not move, or its mean square is not about 1."""
    still = np.flatnonzero(np.ptp(values, axis=0) == 0.0)
    if still.size:
        raise ParameterError(
            f"all {len(values)} residuals of {names[still[0]]!r} equal {values[0, still[0]]:g}",
            "residuals that vary",
            "drop the asset or check its prices",
        )
    square = np.add.reduce(values * values, axis=0) / len(values)
    odd = np.flatnonzero((square < _SCALE[0]) | (square > _SCALE[1]))
    if odd.size:
        worst = odd[np.argmax(np.abs(np.log(square[odd])))]
        raise ConventionError(
            f"the mean square of {names[worst]!r} is {square[worst]:.4g}: no standardised residuals",
            f"a mean square of about 1 (from {_SCALE[0]:g} to {_SCALE[1]:g})",
            f"divide by conditional volatility: take fit_volatility(returns[{names[worst]!r}]).residuals",
        )


def check_independent(residuals: pd.DataFrame) -> FloatArray:
    """Return the second moment; raise ParameterError where an asset is a linear combination of others.

    Examples
    --------
    >>> check_independent(pd.DataFrame({"A": [1.0, -1.0], "B": [0.5, 1.5]})).tolist()
    [[1.0, -0.5], [-0.5, 1.25]]
    """
    values, names = residuals.to_numpy(), residuals.columns
    M = moment(values, values)
    square = np.diag(M)
    if not bool((square > 0.0).all()):
        raise ParameterError(
            f"all residuals of {names[int(np.argmin(square))]!r} are 0",
            "residuals that vary",
            "drop the asset",
        )
    R = to_correlation(M)
    with contextlib.suppress(np.linalg.LinAlgError):
        # a matrix that stays positive definite with twice the limit taken off needs no eigenvalues
        np.linalg.cholesky(R - 2.0 * _COLLINEAR * np.eye(len(R)))
        return M
    smallest, vectors = np.linalg.eigh(R)
    if smallest[0] > _COLLINEAR:
        return M
    weights = np.abs(vectors[:, 0])
    parts = [repr(names[int(i)]) for i in np.argsort(-weights, kind="stable") if weights[i] > 1e-4][:6]
    raise ParameterError(
        f"{', '.join(parts)} are perfectly collinear: the smallest eigenvalue of the sample correlation is "
        f"{smallest[0]:.2g}",
        f"an eigenvalue above {_COLLINEAR:g}",
        "drop one of them: its risk follows from the others",
    )


def canonical_order(names: pd.Index) -> IntArray:
    """Return the positions that sort assets by name, so that estimates do not depend on column order.

    Examples
    --------
    >>> canonical_order(pd.Index(["b", "a"])).tolist()
    [1, 0]
    """
    keys = [(str(name), type(name).__name__) for name in names]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


class LateFingerprint(Mapping[str, str]):
    """The fingerprint of a table by name, computed when it is first asked for.

    Parameters
    ----------
    name : str
        Of the table.
    values : ndarray, shape (rows, n)
        Kept until then; nobody else may change it.
    order : ndarray of int64, shape (n,)
        The columns of the table are ``values[:, order]``.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0]])
    >>> LateFingerprint("x", x, np.array([1, 0]))["x"] == fingerprint(x[:, ::-1])
    True
    """

    def __init__(self, name: str, values: FloatArray, order: IntArray) -> None:
        self._name, self._source, self._mark = name, (values, order), ""

    def __getitem__(self, key: str) -> str:
        if key != self._name:
            raise KeyError(key)
        if not self._mark:
            values, order = self._source
            self._mark = fingerprint(np.take(values, order, axis=1))
            self._source = (np.empty((0, 0)), np.empty(0, dtype=np.int64))
        return self._mark

    def __iter__(self) -> Iterator[str]:
        return iter((self._name,))

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return repr(dict(self))


def _label(index: pd.Index, row: int | np.integer[Any]) -> str:
    at = index[int(row)]
    return str(at.date()) if isinstance(at, pd.Timestamp) else f"row {at}"
