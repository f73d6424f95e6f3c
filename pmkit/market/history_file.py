"""Reading daily closes: dates, units, calendar and gaps, each refusal with file, row and column."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.time import parse_utc
from pmkit.core.types import FloatArray
from pmkit.market.tables import Cells, blank, numbers

__all__ = ["GAP_COLUMNS", "PERIODS", "Calendar", "as_day", "find_gaps", "read_prices"]

Calendar = Literal["every day", "business days"]
#: Periods in a year by calendar.
PERIODS = {"every day": 365, "business days": 252}
#: Columns of a gap report.
GAP_COLUMNS = ["asset", "kind", "start", "end", "days"]
_PLAIN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def find_gaps(prices: pd.DataFrame, calendar: str) -> pd.DataFrame:
    """Return runs of dates without a row (asset ``all``), of rows without a price, and of repeated prices.

    A close that equals the one before to the last digit is mostly a filled or stale one; it is reported, not
    removed.
    """
    frequency = "D" if calendar == "every day" else "B"
    full = pd.date_range(prices.index[0], prices.index[-1], freq=frequency)
    absent: dict[tuple[str, str], pd.Index] = {("all", "no row"): full[~full.isin(prices.index)]}
    for asset in map(str, prices.columns):
        seen = prices[asset]
        first, last = seen.first_valid_index(), seen.last_valid_index()
        missing = seen.index[seen.isna()]
        absent |= {
            (asset, "starts later"): missing if first is None else missing[missing < first],
            (asset, "no price"): missing[:0]
            if first is None
            else missing[(missing > first) & (missing < last)],
            (asset, "ends earlier"): missing[:0] if first is None else missing[missing > last],
            (asset, "repeated price"): seen.index[(seen == seen.shift()).to_numpy()],
        }
    rows = []
    for (asset, kind), dates in absent.items():
        if len(dates) == 0:
            continue
        reference = full if kind == "no row" else prices.index
        place = reference.get_indexer(dates)
        for run in np.split(np.arange(len(dates)), np.flatnonzero(np.diff(place) > 1) + 1):
            rows.append((asset, kind, dates[run[0]], dates[run[-1]], len(run)))
    return pd.DataFrame(rows, columns=GAP_COLUMNS)


def as_day(value: str | pd.Timestamp, cells: Cells | None = None, position: int = 0) -> pd.Timestamp:
    """Return a naive day from a date, a naive midnight or a UTC midnight; a clock time is refused."""
    where = {} if cells is None else {"file": cells.source, "row": cells.row(position), "column": "date"}
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]00:00(:00(\.0+)?)?", text):
            value = text[:10]
    elif isinstance(value, pd.Timestamp) and value.tzinfo is None and value == value.normalize():
        value = value.strftime("%Y-%m-%d")
    stamp = parse_utc(value, **where)  # type: ignore[arg-type]
    if stamp != stamp.normalize():
        raise ConventionError(
            f"{value!r} is a clock time",
            "one close a day, dated by its day",
            "give the date alone, or resample to daily closes first",
            **where,  # type: ignore[arg-type]
        )
    return stamp.tz_localize(None).as_unit("ns")


def _dates(cells: Cells) -> pd.DatetimeIndex:
    raw = cells.frame.iloc[:, 0]
    if all(isinstance(v, str) and _PLAIN_DATE.fullmatch(v.strip()) for v in raw):
        parsed = pd.to_datetime(raw.str.strip(), format="%Y-%m-%d", errors="coerce")
        if not parsed.isna().any():
            return _ordered(pd.DatetimeIndex(parsed.to_numpy(dtype="datetime64[ns]"), name="date"), cells)
    days = [as_day(value, cells, position) for position, value in enumerate(raw)]
    return _ordered(pd.DatetimeIndex(days, name="date").as_unit("ns"), cells)


def _ordered(dates: pd.DatetimeIndex, cells: Cells) -> pd.DatetimeIndex:
    seen: dict[pd.Timestamp, int] = {}
    for position, day in enumerate(dates):
        if day in seen:
            raise SchemaError(
                f"date {day.date()} stands in row {cells.row(seen[day])} too",
                "each date once",
                "remove the duplicate",
                file=cells.source,
                row=cells.row(position),
                column="date",
            )
        seen[day] = position
    steps = np.flatnonzero(np.diff(dates.to_numpy()) < np.timedelta64(0))
    if steps.size:
        position = int(steps[0]) + 1
        raise SchemaError(
            f"date {dates[position].date()} follows {dates[position - 1].date()}",
            "dates in ascending order",
            "sort the rows by date",
            file=cells.source,
            row=cells.row(position),
            column="date",
        )
    return dates


def _check_prices(values: FloatArray, column: str, cells: Cells) -> None:
    wrong = np.flatnonzero(values <= 0.0)
    if not wrong.size:
        known = values[np.isfinite(values)]
        # a stable coin is nearer to 1 than that, a coin's price wanders further
        if known.size > 20 and abs(float(np.median(known)) - 1.0) < 0.05 and 0.008 < float(known.std()) < 0.2:
            raise ConventionError(
                f"values around 1 with standard deviation {known.std():.3g}: looks like price relatives",
                "prices in USD",
                "give closing prices; returns are computed from them",
                file=cells.source,
                column=column,
            )
        return
    position, seen = int(wrong[0]), values[np.isfinite(values)]
    place = {"file": cells.source, "row": cells.row(position), "column": column}
    if (seen < 0.0).any() and float(np.median(np.abs(seen))) < 0.5:
        raise ConventionError(
            f"found {values[position]:g}, and half of all values lie within 0.5 of zero: looks like returns",
            "prices in USD",
            "give closing prices; returns are computed from them",
            **place,  # type: ignore[arg-type]
        )
    raise SchemaError(
        f"price is {values[position]:g}",
        "a positive price in USD, or an empty cell where there is none",
        "correct the cell",
        **place,  # type: ignore[arg-type]
    )


def _asset(column: str, cells: Cells) -> str:
    match = re.fullmatch(r"([A-Za-z0-9^._]+)-([A-Z]{3,4})", column)
    if match is None or match[2] == "USD":
        return column if match is None else match[1]
    raise ConventionError(
        f"prices in {match[2]}",
        "prices in USD",
        "convert them to USD, or name the column by its asset alone",
        file=cells.source,
        row=1,
        column=column,
    )


def read_prices(cells: Cells, calendar: Calendar | None) -> tuple[pd.DataFrame, Calendar]:
    """Return the checked closes of a table (index ``date``, one column per asset, USD) and their calendar.

    Raises
    ------
    SchemaError, ConventionError, DataGapError
        As :func:`pmkit.market.load_history`.
    """
    header = list(cells.frame.columns)
    if header[0].lower() != "date":
        raise SchemaError(
            f"first column is {header[0]!r}",
            "a first column 'date', then one column of closing prices per asset",
            "put the dates into a first column named date",
            file=cells.source,
            row=1,
            column=header[0],
        )
    if len(header) < 2:
        raise SchemaError(
            "no price column", "one column per asset", "add the prices", file=cells.source, row=1
        )
    dates = _dates(cells)
    columns: dict[str, FloatArray] = {}
    for column in header[1:]:
        asset = _asset(column, cells)
        if asset in columns or header.count(column) > 1:
            raise SchemaError(
                f"asset {asset!r} has two columns",
                "one column per asset",
                "remove one",
                file=cells.source,
                row=1,
                column=column,
            )
        values = numbers(cells, column, "USD")
        _check_prices(values, column, cells)
        if blank(cells.frame[column]).all():
            raise DataGapError(
                f"no price of {asset}",
                "at least one price",
                "remove the column",
                file=cells.source,
                column=column,
            )
        columns[asset] = values
    if calendar is not None and calendar not in PERIODS:
        raise ParameterError(
            f"calendar is {calendar!r}", f"one of {', '.join(map(repr, PERIODS))}", "name one of them"
        )
    weekends = bool((dates.day_of_week >= 5).any())
    if calendar == "business days" and weekends:
        day = dates[dates.day_of_week >= 5][0]
        raise ConventionError(
            f"{day.date()} is a {day.day_name()}",
            "Mondays to Fridays",
            "use calendar='every day', or remove weekends",
            file=cells.source,
            row=cells.row(int(np.flatnonzero(dates == day)[0])),
            column="date",
        )
    kind: Calendar = calendar or ("every day" if weekends or len(dates) < 6 else "business days")
    return pd.DataFrame(columns, index=dates), kind
