"""How much variance a weekend day carries, from daily returns: the weight of a clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError

__all__ = ["WeekendWeight", "weekend_weight"]


@dataclass(frozen=True, kw_only=True)
class WeekendWeight:
    """Variance of a weekend day in units of that of a weekday.

    Attributes
    ----------
    weight, stderr : float
    weekend_days, weekdays : int
        Returns behind the estimate.
    """

    weight: float
    stderr: float
    weekend_days: int
    weekdays: int


def weekend_weight(returns: pd.Series) -> WeekendWeight:
    """Return the mean squared log return of a Saturday or Sunday over that of a weekday, with its error.

    Parameters
    ----------
    returns : Series
        Daily log returns (decimal) by the UTC date of the day that they span; NaN is left out.

    Raises
    ------
    ParameterError
        No dates as index, or an infinite return.
    DataGapError
        Fewer than 20 returns of either kind.

    Notes
    -----
    Standard error by the delta method with independent days: clustering of volatility makes the true error
    larger. A weight below 1 says that a weekend carries less variance, not that it carries less risk.

    Examples
    --------
    >>> days = pd.date_range("2024-01-01", periods=700)
    >>> size = np.where(days.day_of_week >= 5, 0.01, 0.02)
    >>> round(weekend_weight(pd.Series(size, index=days)).weight, 6)
    0.25
    """
    if not isinstance(returns, pd.Series) or not isinstance(returns.index, pd.DatetimeIndex):
        raise ParameterError(
            f"returns of type {type(returns).__name__}",
            "a Series by date",
            "give daily returns with their dates",
        )
    squares = returns.dropna() ** 2
    if not np.isfinite(squares.to_numpy()).all():
        raise ParameterError("a return is infinite", "finite log returns", "correct the prices")
    is_weekend = pd.DatetimeIndex(squares.index).day_of_week >= 5
    parts = [squares.to_numpy()[is_weekend], squares.to_numpy()[~is_weekend]]
    if min(p.size for p in parts) < 20:
        raise DataGapError(
            f"{parts[0].size} weekend and {parts[1].size} weekday returns",
            "20 of each",
            "give a longer history",
        )
    means = [math.fsum(p) / p.size for p in parts]
    if means[1] == 0.0:
        raise DataGapError("every weekday return is 0", "returns that vary", "check the prices")
    relative = [
        float(p.std(ddof=1)) / m / math.sqrt(p.size) if m > 0.0 else 0.0
        for p, m in zip(parts, means, strict=True)
    ]
    weight = means[0] / means[1]
    return WeekendWeight(
        weight=weight,
        stderr=weight * math.hypot(*relative),
        weekend_days=parts[0].size,
        weekdays=parts[1].size,
    )
