"""Correlation of assets that close at different hours: what of a common day shows up the day after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import unit_diagonal
from pmkit.estimation.matrices.covariance_estimate import CovarianceEstimate, from_correlation
from pmkit.estimation.panel import checked_panel, cross_moment, sample_covariance

__all__ = ["asynchronous_correlation"]


def asynchronous_correlation(
    returns: pd.DataFrame,
    closes: Mapping[str, str],
    *,
    method: Literal["lag", "two-day"] = "lag",
    repair: bool = True,
) -> CovarianceEstimate:
    """Return the correlation that daily closes at different hours hide, as if all closed together.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns from close to close, dated by the day of the close, one calendar, at least 60 rows.
    closes : mapping of column to str
        Hour and zone of each close on the date of its row: ``"16:00 America/New_York"``,
        ``"14:15 Europe/Berlin"``, ``"24:00 UTC"`` for midnight at the end of the date.
    method : {"lag", "two-day"}
        ``lag`` adds the covariance of the earlier closer's next day with the later closer's day. ``two-day``
        takes overlapping two-day returns, which see half of what one day misses, and divides by what they
        still miss.
    repair : bool
        As for :func:`rank_correlation`: the corrected matrix need not be positive semidefinite.

    Returns
    -------
    CovarianceEstimate
        Standard deviations are those of the sample; ``details`` holds the largest distance of
        closes, in hours.

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; a close that is absent or not of the form ``"HH:MM zone"``.
    ConventionError
        Rows without dates.

    Notes
    -----
    With information that arrives evenly over the day and closes a share ``f`` of a day apart, one-day returns
    show ``(1 - f) rho``, the lagged pair the other ``f rho``, and two-day returns ``(1 - f/2) rho``. A
    correction makes sampling error larger: the variance of a sum of two covariances.

    References
    ----------
    Burns, Engle and Mezrich (1998); J.P. Morgan/Reuters (1996), chapter 8.

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> x = 0.01 * stream(4, "demo").standard_normal((8001, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    >>> pair = {"A": x[1:-1:2, 0] + x[2::2, 0], "B": x[:-2:2, 1] + x[1:-1:2, 1]}
    >>> r = pd.DataFrame(pair, pd.date_range("2000-01-01", periods=4000))
    >>> estimate = asynchronous_correlation(r, {"A": "24:00 UTC", "B": "12:00 UTC"})
    >>> [round(float(c.loc["A", "B"]), 1) for c in (r.corr(), estimate.correlation)]
    [0.4, 0.8]
    """
    if method not in ("lag", "two-day"):
        raise ParameterError(f"method is {method!r}", "'lag' or 'two-day'", "name one of the two")
    values, names = checked_panel(returns, fewest=60, least_columns=2)
    if not isinstance(returns.index, pd.DatetimeIndex):
        raise ConventionError("rows carry no dates", "a DatetimeIndex of days", "set the dates as index")
    hours = np.array([_hours(name, closes, returns.index) for name in names])
    apart = (hours[:, None] - hours[None, :]) / 24.0
    S = sample_covariance(values)
    sd = np.sqrt(np.diag(S))
    if method == "lag":
        centred = values - values.mean(axis=0)
        # lead[i, j]: day t + 1 of i with day t of j; it belongs to pairs in which i closes before j
        lead = cross_moment(np.ascontiguousarray(centred[1:]), np.ascontiguousarray(centred[:-1])) / (
            len(values) - 1
        )
        added = np.where(apart < 0.0, lead, 0.0)
        R = (S + added + added.T) / sd[:, None] / sd[None, :]
    else:
        pairs = values[1:] + values[:-1]
        R = unit_diagonal(sample_covariance(pairs)) / (1.0 - 0.5 * np.minimum(np.abs(apart), 1.0))
    R = np.clip(0.5 * (R + R.T), -1.0, 1.0)
    np.fill_diagonal(R, 1.0)
    return from_correlation(
        R,
        names,
        values,
        f"asynchronous closes ({method})",
        repair=repair,
        details={"largest difference of closes, hours": float(24.0 * np.abs(apart).max())},
        parameters={"method": method, "closes": dict(zip(map(str, names), hours.tolist(), strict=True))},
        references=("burns1998", "riskmetrics1996"),
    )


def _hours(name: str, closes: Mapping[str, str], dates: pd.DatetimeIndex) -> float:
    """Return the mean hour of the close in UTC, from midnight at the start of the row's date."""
    if name not in closes:
        raise SchemaError(f"closes lack {name!r}", "a close for each column", "add '16:00 America/New_York'")
    match = re.fullmatch(r"(\d{1,2}):(\d{2}) ([A-Za-z_/+\-0-9]+)", str(closes[name]))
    if match is None or int(match[1]) * 60 + int(match[2]) > 1440 or int(match[2]) > 59:
        raise SchemaError(
            f"the close of {name!r} is {closes[name]!r}",
            "'HH:MM zone', up to 24:00",
            "write '14:15 Europe/Berlin'",
        )
    try:
        zone = ZoneInfo(match[3])
    except (ZoneInfoNotFoundError, ValueError):
        raise SchemaError(
            f"the zone {match[3]!r} of {name!r} is unknown",
            "an IANA zone",
            "write 'America/New_York' or 'UTC'",
        ) from None
    days = dates.tz_localize(None).normalize()
    offset: FloatArray = np.array([_offset(day, zone) for day in days])
    return float(int(match[1]) + int(match[2]) / 60.0 - np.mean(offset))


def _offset(day: pd.Timestamp, zone: ZoneInfo) -> float:
    """Return the hours by which noon of the zone is ahead of UTC on that day."""
    ahead = day.to_pydatetime().replace(hour=12, tzinfo=zone).utcoffset()
    return 0.0 if ahead is None else ahead.total_seconds() / 3600.0
