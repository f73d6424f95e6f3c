"""Checks of array arguments that every pricing function shares: numbers, domain, shapes; places are named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.pricing.numeric import kernel

_LARGEST = 1.7976931348623157e308
_SMALLEST = 5e-324  # the least positive double: "above 0" is "at least this"

__all__ = ["all_in_range", "as_flags", "as_floats", "broadcast", "check_settlement", "place", "unwrap"]


@kernel
def all_in_range(values: FloatArray, lowest: float) -> bool:
    """Return whether every element is NaN, or finite and at least ``lowest``."""
    outside = 0
    for i in range(values.size):
        outside += (values[i] < lowest) | (values[i] > _LARGEST)
    return outside == 0


def place(name: str, index: tuple[int, ...]) -> str:
    """Return ``name[i, j]``, or ``name`` alone for a scalar.

    Examples
    --------
    >>> place("iv", (3,)), place("iv", ())
    ('iv[3]', 'iv')
    """
    return f"{name}[{', '.join(str(i) for i in index)}]" if index else name


def as_floats(
    name: str,
    value: Any,
    meaning: str,
    *,
    positive: bool = False,
    any_sign: bool = False,
    finite: bool = True,
) -> FloatArray:
    """Return ``value`` as a float64 array after checking its domain; NaN passes.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : array_like
        What the caller gave.
    meaning : str
        The quantity with its unit, for the message.
    positive : bool
        Whether zero is refused too.
    any_sign : bool
        Whether negative values pass.
    finite : bool
        Whether infinite values are refused.

    Raises
    ------
    ParameterError
        If ``value`` is not numeric, or an element lies outside the domain.
    """
    if type(value) is float and (any_sign or value > 0.0) and (value < math.inf):
        return np.asarray(value)
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "fiuO":
            raise TypeError
        array: FloatArray = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} is {value!r} ({type(value).__name__})",
            f"{meaning}: a number or an array of numbers",
            "convert it to float first",
        ) from None
    if array.ndim and array.flags.c_contiguous and array.flags.writeable:
        floor = -_LARGEST if any_sign else _SMALLEST if positive else 0.0
        if (any_sign and not finite) or all_in_range(array.reshape(-1), floor):
            return array
    refused = np.isinf(array) & finite
    domain = "finite" if finite else "any number"
    if not any_sign:
        refused |= (array <= 0.0) if positive else (array < 0.0)
        domain += " and above 0" if positive else " and 0 or more"
    if refused.any():
        index = tuple(int(i) for i in np.argwhere(refused)[0])
        raise ParameterError(
            f"{place(name, index)} is {float(array[index])!r}",
            f"{meaning}: {domain} (NaN stands for missing)",
            f"correct the value or give NaN ({int(refused.sum())} such element(s))",
        )
    return array


def as_flags(name: str, value: Any) -> BoolArray:
    """Return ``value`` as a boolean array; the integers 0 and 1 count as False and True.

    Raises
    ------
    ParameterError
        If an element is neither boolean nor 0 or 1.
    """
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iu" and bool(np.isin(array, (0, 1)).all()):
        return array.astype(np.bool_)
    raise ParameterError(
        f"{name} is {value!r} ({array.dtype})",
        "True for a call and False for a put, or an array of these",
        f"write {name}=(kind == 'C')",
    )


def broadcast(
    arrays: Mapping[str, np.ndarray[Any, Any]], *, keep_single: bool = False
) -> tuple[tuple[int, ...], list[np.ndarray[Any, Any]]]:
    """Return the common shape and the arrays stretched to it, flat and contiguous.

    With ``keep_single`` an array of one element stays so, for kernels that repeat it themselves.

    Raises
    ------
    ParameterError
        If the shapes do not broadcast together.
    """
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.shape)
        raise ParameterError(
            f"the shapes are {shapes}",
            "shapes that broadcast together",
            "add axes (for example F[:, None]) or cut the longer array",
        ) from None
    return shape, [_flat(array, shape, keep_single) for array in arrays.values()]


def _flat(array: np.ndarray[Any, Any], shape: tuple[int, ...], keep_single: bool) -> np.ndarray[Any, Any]:
    """Return ``array`` stretched to ``shape``, flat, contiguous and writeable (one kernel signature)."""
    if array.shape != shape and not (keep_single and array.size == 1):
        array = np.broadcast_to(array, shape)
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat if flat.flags.writeable else flat.copy()


def check_settlement(settlement: str) -> bool:
    """Return whether ``settlement`` is inverse (coin).

    Raises
    ------
    ParameterError
        If it is neither ``"linear"`` nor ``"inverse"``.
    """
    if settlement not in ("linear", "inverse"):
        raise ParameterError(
            f"settlement is {settlement!r}",
            "'linear' (quote currency) or 'inverse' (coin)",
            "name the settlement of the contract",
        )
    return settlement == "inverse"


def unwrap(array: FloatArray, shape: tuple[int, ...]) -> Any:
    """Return a flat result in ``shape``: an array, or a float where every argument was a scalar."""
    return array.reshape(shape) if shape else float(array[0])
