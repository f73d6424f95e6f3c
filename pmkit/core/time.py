"""Instants and year fractions: every instant is aware and UTC, a year is 365 days of 86 400 seconds."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pmkit.core.errors import ConventionError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SECONDS_PER_DAY", "SECONDS_PER_YEAR", "days_between", "parse_utc", "year_fraction"]

SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365.0 * SECONDS_PER_DAY


def parse_utc(
    value: Any, *, file: str | None = None, row: int | None = None, column: str | None = None
) -> pd.Timestamp:
    """Return ``value`` as an aware UTC instant; a plain date (no clock time) means 00:00 UTC.

    Parameters
    ----------
    value : str, datetime, pandas.Timestamp or date
        ISO 8601 text or an instant. A clock time without zone, or in another zone, is refused.
    file, row, column : optional
        Where the value stood, for the message.

    Raises
    ------
    ConventionError
        Naive clock time, a zone other than UTC, missing, or not a date.

    Examples
    --------
    >>> parse_utc("2026-08-01T17:58:04Z").isoformat()
    '2026-08-01T17:58:04+00:00'
    >>> parse_utc("2026-08-01").isoformat()
    '2026-08-01T00:00:00+00:00'
    """
    import pandas as pd

    def refuse(found: str) -> ConventionError:
        return ConventionError(
            found,
            "an ISO 8601 instant in UTC such as 2026-08-01T17:58:04Z",
            "write the time in UTC and say so with Z or +00:00",
            file=file,
            row=row,
            column=column,
        )

    plain_date = isinstance(value, date) and not isinstance(value, datetime)
    if isinstance(value, str):
        text = value.strip()
        # a time without its date, or a date in another order, would be read by today or by a guess
        if text and not re.match(r"\d{4}-\d{2}-\d{2}(?:$|[T ])", text):
            raise refuse(f"{value!r} is not an instant")
        plain_date = len(text) == 10
        try:
            stamp = pd.Timestamp(text) if text else pd.NaT
        except (ValueError, OverflowError):
            raise refuse(f"{value!r} is not an instant") from None
    elif isinstance(value, date):
        stamp = pd.Timestamp(value)
    else:
        raise refuse(f"{value!r} is not an instant")
    if not isinstance(stamp, pd.Timestamp):
        raise refuse("the instant is missing")
    if stamp.tzinfo is None:
        if not plain_date:
            raise refuse(f"{value!r} has no time zone")
        return stamp.tz_localize("UTC")
    offset = stamp.utcoffset()
    if offset is None or offset.total_seconds() != 0.0:
        raise refuse(f"{value!r} is not in UTC")
    return stamp.tz_convert("UTC")


def year_fraction(start: pd.Timestamp, end: pd.Timestamp) -> float:
    """Return the years from ``start`` to ``end``: seconds / (365 × 86 400), negative if ``end`` is earlier.

    Examples
    --------
    >>> import pandas as pd
    >>> year_fraction(pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2027-01-01", tz="UTC"))
    1.0
    """
    return float((end - start).total_seconds()) / SECONDS_PER_YEAR


def days_between(start: pd.Timestamp, end: pd.Timestamp) -> float:
    """Return the days (of 86 400 seconds) from ``start`` to ``end``.

    Examples
    --------
    >>> import pandas as pd
    >>> days_between(pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-02T12:00", tz="UTC"))
    1.5
    """
    return float((end - start).total_seconds()) / SECONDS_PER_DAY
