"""Checks of plain numbers that the pieces around an account share: finite, in range, named when they fail."""

from __future__ import annotations

import math

from pmkit.core.errors import ParameterError

__all__ = ["checked_number", "checked_share"]


def checked_number(
    what: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    unit: str = "",
) -> float:
    """Return a number as a float, or raise where it is not finite or outside its range.

    Parameters
    ----------
    what : str
        Name of the number in the message.
    value : float
    low, high : float
        Range, both ends included.
    open_low : bool
        Whether ``low`` itself is refused.
    unit : str
        Unit in the message.

    Raises
    ------
    ParameterError
        Not a number, not finite, or outside the range.

    Examples
    --------
    >>> checked_number("fee_rate", 0.0075, low=0.0)
    0.0075
    """
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value > high or value < low or (open_low and value == low):
        over = "above" if open_low else "at least"
        range_ = [f"{over} {low:g}"] if math.isfinite(low) else []
        range_ += [f"at most {high:g}"] if math.isfinite(high) else []
        words = " ".join(["a finite number", *([unit] if unit else [])])
        raise ParameterError(f"{what} is {value!r}", ", ".join([words, *range_]), "correct the value")
    return float(value)


def checked_share(what: str, value: float) -> float:
    """Return a share from 0 to 1 as a float, or raise; 0.10 is ten per cent.

    Raises
    ------
    ParameterError
        Not a number from 0 to 1: a haircut below 0 would add value, one above 1 looks like per cent.

    Examples
    --------
    >>> checked_share("haircut", 0.1)
    0.1
    """
    return checked_number(what, value, low=0.0, high=1.0)
