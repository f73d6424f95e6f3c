"""Returns that hardly move, or that are percent: a likelihood would answer with numbers that look fine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["check_movement", "check_unit", "checked_draws"]

#: largest share of returns that may be one and the same number
_MOST_EQUAL = 2.0 / 3.0
#: smallest standard deviation of a bar, decimal: a tenth of a millionth
_LEAST_SPREAD = 1e-7
#: a median absolute move of 20 per cent a bar is taken for percent
_LARGEST_MEDIAN = 0.2
#: returns below which a median says nothing of the unit: a crash may fill a short series
_FEWEST_OF_UNIT = 20


def check_movement(series: pd.Series) -> None:
    """Raise ParameterError where returns are nearly constant or look like percent.

    Examples
    --------
    >>> check_movement(pd.Series([0.01, -0.02, 0.015]))
    """
    check_unit(series, 1)
    values = series.to_numpy()
    name = "" if series.name is None else f" of {series.name}"
    numbers, counts = np.unique(values, return_counts=True)
    most = int(np.argmax(counts))
    if counts[most] > _MOST_EQUAL * values.size:
        raise ParameterError(
            f"{counts[most]} of {values.size} returns{name} equal {numbers[most]:g}: nearly constant",
            "returns that vary",
            "check the price column for stale or filled prices, or leave the asset out",
        )
    spread = float(np.std(values))
    if spread < _LEAST_SPREAD:
        raise ParameterError(
            f"the standard deviation of returns{name} is {spread:.3g}: nearly constant",
            f"at least {_LEAST_SPREAD:g} a bar",
            "check the price column and its unit, or leave the asset out",
        )


def check_unit(series: pd.Series, fewest: int = _FEWEST_OF_UNIT) -> None:
    """Raise ParameterError where ``fewest`` returns or more look like percent.

    Examples
    --------
    >>> check_unit(pd.Series([0.01, -0.02, 0.015]), 1)
    """
    middle = float(np.median(np.abs(series.to_numpy())))
    if len(series) >= fewest and middle > _LARGEST_MEDIAN:
        name = "" if series.name is None else f" of {series.name}"
        raise ParameterError(
            f"the median absolute return{name} is {middle:.3g}: these look like percent",
            "decimal returns (0.01 is one per cent)",
            "divide percent by 100",
        )


def checked_draws(draws: Any) -> FloatArray:
    """Return standardised residuals as a finite array of shape (paths, days).

    Raises
    ------
    ParameterError
        Another shape, text, or numbers that are not finite.

    Examples
    --------
    >>> checked_draws([[0.5, -1.0]]).shape
    (1, 2)
    """
    wanted = "finite residuals of shape (paths, days)"
    try:
        z = np.ascontiguousarray(draws, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"draws are a {type(draws).__name__}", wanted, "pass an array") from None
    if z.ndim != 2 or z.size == 0 or not np.isfinite(z).all():
        raise ParameterError(
            f"draws have shape {z.shape} and {int((~np.isfinite(z)).sum())} non-finite values",
            wanted,
            "reshape them, or drop the bad rows",
        )
    return z
