"""What may enter a count test: probabilities, counts, days, and arrays of hits and losses."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.types import BoolArray, FloatArray

__all__ = ["as_bool_array", "as_float_array", "check_alpha", "check_count", "check_days", "check_probability"]


# The laws of large counts are accurate far beyond, but the random draws of transitions end here.
LARGEST_COUNT = 10**9 - 1
#: Largest absolute value of a loss, VaR or ES: its fourth power is finite.
LARGEST_NUMBER = 1e50


def _real(value: Any) -> float:
    """Return ``value`` as a float, NaN if it is not a real number."""
    if isinstance(value, (bool, np.bool_, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def check_probability(p: Any) -> float:
    """Return the tail probability p, in (0, 0.5].

    Raises
    ------
    ParameterError
        Not a number, or outside (0, 1).
    ConventionError
        Above 0.5: a level stands where a tail probability belongs.
    """
    value = _real(p)
    if not 0.0 < value < 1.0:
        raise ParameterError(
            f"p is {p!r}",
            "a tail probability in (0, 0.5], such as 0.01",
            "pass p = 1 - level as a decimal fraction",
        )
    if value > 0.5:
        raise ConventionError(
            f"p is {value:.8g}, which looks like a level",
            "the tail probability 1 - level, in (0, 0.5]",
            f"pass p={1.0 - value:.8g} if the level is {value:.8g}",
        )
    return value


def check_alpha(alpha: Any) -> float:
    """Return the level of the test, in (0, 1)."""
    value = _real(alpha)
    if not 0.0 < value < 1.0:
        raise ParameterError(
            f"alpha is {alpha!r}", "a level of the test in (0, 1), such as 0.05", "pass a fraction"
        )
    return value


def check_days(days: Any, name: str) -> float:
    """Return a positive, finite number of days."""
    value = _real(days)
    if not (math.isfinite(value) and value > 0.0):
        raise ParameterError(
            f"{name} is {days!r}", "a positive number of days", f"pass {name}=1 for daily figures"
        )
    return value


def check_count(count: Any, name: str, largest: int = LARGEST_COUNT) -> int:
    """Return a count as int, 0 to ``largest``; whole floats are accepted, booleans are not."""
    error = ParameterError(
        f"{name} is {count!r}",
        f"a whole number, 0 or more, at most {largest:,}",
        f"pass {name} as an integer",
    )
    if isinstance(count, (bool, np.bool_)):
        raise error
    try:
        value = operator.index(count)
    except TypeError:
        real = _real(count)
        if not (math.isfinite(real) and real == math.floor(real)):
            raise error from None
        value = int(real)
    if not 0 <= value <= largest:
        raise error
    return value


def _one_dimensional(values: Any, name: str, what: str) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise SchemaError(
            f"{name} has rows of unequal length", f"one {what} an observation", "pass a flat array"
        ) from None
    if array.ndim != 1:
        raise SchemaError(
            f"{name} has {array.ndim} dimensions",
            f"a one-dimensional array, one {what} an observation",
            "pass one column",
        )
    if array.size == 0:
        raise DataGapError(
            f"{name} is empty", "at least one observation", "check the dates that were selected"
        )
    missing = pd.isna(array)
    if missing.any():
        raise SchemaError(
            f"{name}[{int(np.argmax(missing))}] is missing ({int(missing.sum())} of {array.size})",
            f"one {what} an observation",
            "drop these dates knowingly, or mend the data",
        )
    if array.dtype.kind == "O":
        plain = all(isinstance(item, (bool, int, float, np.generic)) for item in array)
        array = np.array(array.tolist()) if plain else array
    return array


def as_bool_array(values: Any, name: str) -> BoolArray:
    """Return a fresh bool array of shape (n,) from bools or from numbers that are all 0 or 1.

    Raises
    ------
    DataGapError
        Empty.
    SchemaError
        Not one-dimensional, missing values, or values other than 0 and 1.
    """
    array = _one_dimensional(values, name, "bool")
    if array.dtype.kind not in "biuf":
        raise SchemaError(
            f"{name} is of type {array.dtype}", "True or False an observation", "pass loss > var"
        )
    foreign = (array != 0) & (array != 1)
    if foreign.any():
        position = int(np.argmax(foreign))
        raise SchemaError(
            f"{name}[{position}] is {array[position].item()!r}",
            "only 0 and 1, or False and True",
            "pass loss > var",
        )
    return array.astype(np.bool_)


def as_float_array(values: Any, name: str) -> FloatArray:
    """Return a fresh float64 array of shape (n,) of finite numbers.

    Raises
    ------
    DataGapError
        Empty.
    SchemaError
        Not one-dimensional, missing or infinite values, numbers beyond any money, or not numbers.
    """
    array = _one_dimensional(values, name, "number")
    if array.dtype.kind not in "iuf":
        raise SchemaError(f"{name} is of type {array.dtype}", "numbers", "convert the column to float")
    numbers = array.astype(np.float64)
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        raise SchemaError(
            f"{name}[{int(np.argmax(infinite))}] is infinite",
            "finite numbers",
            "mend the data or the model behind it",
        )
    beyond = np.abs(numbers) > LARGEST_NUMBER
    if beyond.any():
        position = int(np.argmax(beyond))
        raise SchemaError(
            f"{name}[{position}] is {numbers[position]:.8g}",
            f"numbers of at most {LARGEST_NUMBER:g}, whose powers are finite",
            "mend the data, or change the unit",
        )
    return numbers
