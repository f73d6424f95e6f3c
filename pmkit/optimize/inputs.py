"""Arguments of the wrong kind: refused by name before a programme is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

from pmkit.core.errors import ConventionError
from pmkit.scenarios.inputs import check_kind

__all__ = ["check_each", "check_number", "items_of"]


def check_number(what: str, value: Any) -> None:
    """Raise ConventionError where a value is no number; infinity and NaN are numbers here.

    Examples
    --------
    >>> check_number("limit of cost", 5.0)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ConventionError(f"{what} is {value!r}", "a number", "write it without quotation marks")


def items_of(what: str, values: Any, remedy: str) -> tuple[Any, ...]:
    """Return the items of a list, a tuple or another iterable, and raise ConventionError for anything else.

    Examples
    --------
    >>> items_of("names", ["A", "B"], "write a tuple")
    ('A', 'B')
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConventionError(f"{what} is {values!r}", "several of them, if only one in a tuple", remedy)
    return tuple(values)


def check_each(what: str, values: Any, kind: type, remedy: str) -> tuple[Any, ...]:
    """Return the items of an iterable, and raise ConventionError where one is not of a class.

    Examples
    --------
    >>> check_each("limits", [1, 2], int, "write whole numbers")
    (1, 2)
    """
    items = items_of(what, values, remedy)
    for item in items:
        check_kind(f"one of {what}", item, kind, remedy)
    return items
