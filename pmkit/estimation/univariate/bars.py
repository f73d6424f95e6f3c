"""How long a bar of a return series is, and how many of them make a year."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError

__all__ = ["DAY", "bar_length", "check_bar", "check_spacing"]

#: the default bar
DAY = "1d"
_SECONDS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
#: days a year of a market that never closes
_ALWAYS_OPEN = 365
#: how far the usual step of an index may be from the stated bar
_SLACK = 1.5


def bar_length(bar: Any) -> pd.Timedelta:
    """Return the length of a bar from words such as ``"1d"``, ``"1h"`` or ``"15min"``.

    Raises
    ------
    ParameterError
        Not a positive length of time.

    Examples
    --------
    >>> bar_length("1h").total_seconds()
    3600.0
    """
    found = re.fullmatch(r"(\d+)(min|[dhs])", bar) if isinstance(bar, str) else None
    if found is None or int(found[1]) == 0:
        raise ParameterError(
            f"bar is {bar!r}", "a length of time such as '1d', '1h' or '15min'", "name the spacing of returns"
        )
    return pd.Timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def check_bar(bar: Any, bars_per_year: float | None, annualisation: float) -> float:
    """Return bars a year: stated, or ``annualisation`` for days, or 365 days cut into bars for crypto.

    Raises
    ------
    ParameterError
        Unknown bar, or a number that is not positive.
    ConventionError
        Bars shorter than a day on a market that closes, without their number a year.

    Examples
    --------
    >>> check_bar("1d", None, 252), check_bar("1h", None, 365), check_bar("1h", 1638, 252)
    (252.0, 8760.0, 1638.0)
    """
    length = bar_length(bar)
    if bars_per_year is not None:
        if not (isinstance(bars_per_year, (int, float)) and 0.0 < bars_per_year < math.inf):
            raise ParameterError(
                f"bars_per_year is {bars_per_year!r}", "a positive number", "8760 for hours around the clock"
            )
        return float(bars_per_year)
    per_day = pd.Timedelta(days=1) / length
    if per_day != 1.0 and annualisation != _ALWAYS_OPEN:
        raise ConventionError(
            f"bars of {bar} and {annualisation:g} days a year",
            "the number of bars a year, because the market closes",
            "pass bars_per_year, for example 252 * 6.5 = 1638 for hours of US stocks",
        )
    return float(annualisation * per_day)


def check_spacing(index: pd.Index, bar: Any) -> None:
    """Raise ConventionError where dates usually lie further apart or nearer together than the stated bar.

    Examples
    --------
    >>> check_spacing(pd.date_range("2024-01-01", periods=5, freq="h"), "1h")
    """
    if not isinstance(index, pd.DatetimeIndex) or len(index) < 3:
        return
    step = index.to_series().diff().median()
    length = bar_length(bar)
    if not length / _SLACK < step < length * _SLACK:
        raise ConventionError(
            f"returns usually lie {step} apart, and the bar is {bar}",
            "a bar as long as the spacing of the returns",
            "pass bar='1h' for hourly returns (and bars_per_year where the market closes)",
        )
