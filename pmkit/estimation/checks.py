"""Checks of a return series that every estimator shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, SchemaError

__all__ = ["checked_returns"]

#: returns that differ by less than this share of their size differ by rounding
_ROUNDING = 1e-12


def checked_returns(returns: Any, *, fewest: int) -> pd.Series:
    """Return ``returns`` as a float64 Series after checking index, numbers, units and length.

    Parameters
    ----------
    returns : Series
        Decimal returns, oldest first.
    fewest : int
        Least number of rows.

    Raises
    ------
    SchemaError
        Not a Series of numbers, or an index that is not strictly ascending.
    ParameterError
        NaN, infinity, a constant series, or values that look like prices or percent.
    DataGapError
        Too few rows.

    Examples
    --------
    >>> checked_returns(pd.Series([0.01, -0.02]), fewest=1).tolist()
    [0.01, -0.02]
    """
    if not isinstance(returns, pd.Series):
        raise SchemaError(
            f"returns are a {type(returns).__name__}",
            "a pandas Series of one asset",
            "choose one column, for example history.returns()['BTC']",
        )
    try:
        if returns.dtype.kind in "bcmM":  # conversion of these would succeed, or drop a part
            raise TypeError
        values = returns.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise SchemaError(
            f"returns have type {returns.dtype}", "decimal numbers", "convert the column to float"
        ) from None
    name = "" if returns.name is None else f" of {returns.name}"
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        first, where = float(values[bad[0]]), _label(returns, bad[0])
        raise ParameterError(
            f"{bad.size} return(s){name} not finite, first {first!r} at {where}",
            "finite decimal returns",
            "drop or repair the gaps before fitting",
        )
    if len(values) < fewest:
        raise DataGapError(
            f"{len(values)} returns{name}", f"at least {fewest}", "load a longer history or a longer window"
        )
    index = returns.index
    if not (index.is_monotonic_increasing and index.is_unique):
        steps = [i for i in range(1, len(index)) if not index[i] > index[i - 1]]
        raise SchemaError(
            f"returns{name} are out of order or repeated at {_label(returns, steps[0])}",
            "strictly ascending dates",
            "sort by date and remove repeated rows",
        )
    if len(values) > 1 and float(np.ptp(values)) <= _ROUNDING * float(np.abs(values).max()):
        raise ParameterError(
            f"all {len(values)} returns{name} equal {values[0]:g}",
            "returns that vary",
            "check the price column",
        )
    middle = float(np.median(np.abs(values)))
    if middle > 1.0:
        raise ParameterError(
            f"the median absolute return{name} is {middle:g}: these look like prices or percent",
            "decimal returns (0.01 is one per cent)",
            "take np.log(prices).diff().dropna(), or divide percent by 100",
        )
    return pd.Series(values, index=index, name=returns.name)


def _label(returns: pd.Series, row: int | np.integer[Any]) -> str:
    at = returns.index[int(row)]
    return str(at.date()) if isinstance(at, pd.Timestamp) else f"row {at}"
