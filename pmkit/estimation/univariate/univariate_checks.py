"""Returns that hardly move, or that are percent: a likelihood would answer with numbers that look fine."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError

__all__ = ["check_movement"]

#: largest share of returns that may be one and the same number
_MOST_EQUAL = 2.0 / 3.0
#: smallest standard deviation of a bar, decimal: a tenth of a millionth
_LEAST_SPREAD = 1e-7
#: a median absolute move of 20 per cent a bar is taken for percent
_LARGEST_MEDIAN = 0.2


def check_movement(series: pd.Series) -> None:
    """Raise ParameterError where returns are nearly constant or look like percent.

    Examples
    --------
    >>> check_movement(pd.Series([0.01, -0.02, 0.015]))
    """
    values = series.to_numpy()
    name = "" if series.name is None else f" of {series.name}"
    middle = float(np.median(np.abs(values)))
    if middle > _LARGEST_MEDIAN:
        raise ParameterError(
            f"the median absolute return{name} is {middle:.3g}: these look like percent",
            "decimal returns (0.01 is one per cent)",
            "divide percent by 100",
        )
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
