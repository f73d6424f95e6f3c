"""The as-of clock: on each date a model sees a copy of the past and nothing else.

Look-ahead is not avoided here by care but made impossible: what a model is handed holds no later row, and a
request for one is an error. Outcomes are read by the clock alone, which no model is handed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.walk.vol_path import VolPath
from pmkit.core.errors import ConventionError, DataGapError, LookAheadError, SchemaError
from pmkit.core.time import parse_utc
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory

__all__ = ["AsOfClock", "AsOfView", "naive_day"]


def naive_day(value: Any, name: str = "date") -> pd.Timestamp:
    """Return a day as a naive midnight from a date, a text such as ``"2021-01-01"`` or a UTC midnight.

    Raises
    ------
    ConventionError
        A clock time or another zone; parse errors are those of :func:`pmkit.core.time.parse_utc`.

    Examples
    --------
    >>> str(naive_day("2021-01-01"))
    '2021-01-01 00:00:00'
    """
    if isinstance(value, pd.Timestamp) and value.tzinfo is None and value == value.normalize():
        return value
    stamp = parse_utc(value, column=name).tz_localize(None)
    if stamp != stamp.normalize():
        raise ConventionError(
            f"{name} is {value!r}, a clock time", "a day: closes are daily", "give the date alone"
        )
    return stamp


class AsOfView:
    """What is known at the close of one date: copies of dates, prices and implied vols up to it.

    Attributes
    ----------
    as_of : Timestamp
        The date, a naive day.
    underlyings : tuple of str
        Order of the columns.
    position : int
        Number of the date in the history, counted from 0.
    periods_per_year : int
        365, or 252 on business days.
    """

    __slots__ = (
        "_calendar",
        "_prices",
        "_returns",
        "_vols",
        "as_of",
        "periods_per_year",
        "position",
        "underlyings",
    )

    def __init__(
        self,
        calendar: pd.DatetimeIndex,
        prices: FloatArray,
        returns: FloatArray,
        vols: FloatArray | None,
        underlyings: tuple[str, ...],
        periods_per_year: int,
    ) -> None:
        self._calendar, self._prices, self._returns, self._vols = calendar, prices, returns, vols
        self.position = prices.shape[0] - 1
        self.as_of: pd.Timestamp = calendar[self.position]
        self.underlyings = underlyings
        self.periods_per_year = periods_per_year

    def _tail(self, array: FloatArray, last: int | None, what: str) -> FloatArray:
        if last is None:
            return array.copy()
        if last < 1 or last > array.shape[0]:
            raise DataGapError(
                f"{array.shape[0]} {what} are known at {self.as_of.date()} and {last} were asked for",
                f"1 to {array.shape[0]}",
                "use a shorter window or a later start",
            )
        return array[-last:].copy()

    def returns(self, last: int | None = None) -> FloatArray:
        """Return daily log returns, decimal, shape (days, underlyings), the last one ending at ``as_of``.

        Parameters
        ----------
        last : int, optional
            How many; all that are known where None.

        Raises
        ------
        DataGapError
            Fewer are known.
        """
        return self._tail(self._returns, last, "returns")

    def prices(self, last: int | None = None) -> FloatArray:
        """Return closes in quote currency, shape (days, underlyings), the last one at ``as_of``."""
        return self._tail(self._prices, last, "closes")

    def dates(self, last: int | None = None) -> pd.DatetimeIndex:
        """Return the dates of the closes, the last one ``as_of``."""
        known = self._calendar[: self.position + 1]
        return known if last is None else known[-last:]

    def iv(self) -> FloatArray:
        """Return the 30-day implied vol of each underlying at ``as_of``; NaN where there is no vol path."""
        return np.full(len(self.underlyings), np.nan) if self._vols is None else self._vols[-1].copy()

    def price(self, underlying: str, date: Any) -> float:
        """Return the close of one underlying on a date up to ``as_of``.

        Raises
        ------
        LookAheadError
            A later date.
        DataGapError
            No close on that date, or an unknown underlying.
        """
        at = self._position(date)
        if underlying not in self.underlyings:
            raise DataGapError(
                f"no prices of {underlying!r}", f"one of {', '.join(self.underlyings)}", "name one of them"
            )
        return float(self._prices[at, self.underlyings.index(underlying)])

    def until(self, date: Any) -> AsOfView:
        """Return the view of an earlier date.

        Raises
        ------
        LookAheadError
            A date after ``as_of``.
        """
        at = self._position(date)
        return AsOfView(
            self._calendar,
            self._prices[: at + 1].copy(),
            self._returns[:at].copy(),
            None if self._vols is None else self._vols[: at + 1].copy(),
            self.underlyings,
            self.periods_per_year,
        )

    def _position(self, date: Any) -> int:
        day = naive_day(date)
        if day > self.as_of:
            raise LookAheadError(
                f"data of {day.date()} were asked for at the close of {self.as_of.date()}",
                f"dates up to {self.as_of.date()}",
                "let the model use what was known on its own date",
            )
        at = int(self._calendar.get_indexer(pd.DatetimeIndex([day]))[0])
        if at < 0:
            raise DataGapError(f"no close on {day.date()}", "a date of the history", "choose another date")
        return at

    def __repr__(self) -> str:
        return f"AsOfView({self.as_of.date()}, {', '.join(self.underlyings)}, {self.position} returns)"


class AsOfClock:
    """Prices and implied vols of a walk-forward: hands out views of the past, and reads outcomes itself.

    Parameters
    ----------
    history : PriceHistory
        Or any object with ``prices`` (frame of positive closes by naive ascending days) and
        ``periods_per_year``.
    underlyings : sequence of str
        Columns to use.
    vol_path : VolPath, optional
        Implied vols, where options are held.

    Raises
    ------
    SchemaError
        Dates out of order or repeated.
    DataGapError
        An underlying that the history does not hold.
    """

    def __init__(
        self, history: PriceHistory, underlyings: Sequence[str], vol_path: VolPath | None = None
    ) -> None:
        names = tuple(underlyings)
        prices = history.prices
        for name in names:
            if name not in prices.columns:
                raise DataGapError(
                    f"no prices of {name!r} in the history",
                    f"one of {', '.join(map(str, prices.columns))}",
                    "choose a book on these, or load a history that holds it",
                )
        index = prices.index
        if not isinstance(index, pd.DatetimeIndex):
            raise SchemaError("the history has no dates", "a DatetimeIndex of days", "set the dates as index")
        late = np.flatnonzero(np.asarray(index[1:] <= index[:-1]))
        if late.size:
            at = int(late[0]) + 1
            raise SchemaError(
                f"date {index[at].date()} follows {index[at - 1].date()}",
                "ascending dates, each once",
                "sort the history by date",
                row=at,
                column="date",
            )
        self.dates = index
        self.underlyings = names
        self.periods_per_year = int(history.periods_per_year)
        self._prices = np.ascontiguousarray(prices[list(names)].to_numpy(dtype=np.float64))
        self._returns = np.diff(np.log(self._prices), axis=0)
        self._vols: FloatArray | None = None
        self._skew: FloatArray | None = None
        if vol_path is not None:
            self._vols = vol_path.aligned(index, names)
            self._skew = vol_path.aligned_skew(index, names)

    def check_complete(self, first: int, last: int, *, daily: bool) -> None:
        """Raise where a close is missing, or a day skipped, between two positions.

        Raises
        ------
        DataGapError
            Names the asset and the date.
        """
        part = self._prices[first : last + 1]
        holes = np.argwhere(~np.isfinite(part) | (part <= 0.0))
        if holes.size:
            row, column = holes[0]
            raise DataGapError(
                f"no price of {self.underlyings[column]} on {self.dates[first + row].date()}",
                f"a price on every date from {self.dates[first].date()} to {self.dates[last].date()}",
                "choose a start and end without gaps, or mend the history knowingly",
            )
        if daily:
            days = self.dates[first : last + 1].to_numpy().astype("datetime64[D]").astype(np.int64)
            skips = np.flatnonzero(np.diff(days) != 1)
            if skips.size:
                raise DataGapError(
                    f"no row between {self.dates[first + skips[0]].date()} and "
                    f"{self.dates[first + skips[0] + 1].date()}",
                    "a row every day",
                    "choose a start and end without gaps, or mend the history knowingly",
                )

    def check_vols(self, first: int, last: int) -> None:
        """Raise where an implied vol is missing between two positions.

        Raises
        ------
        DataGapError
            Names the underlying and the date.
        """
        if self._vols is None:
            return
        holes = np.argwhere(np.isnan(self._vols[first : last + 1]))
        if holes.size:
            row, column = holes[0]
            raise DataGapError(
                f"no implied vol of {self.underlyings[column]} on {self.dates[first + row].date()}",
                f"a vol on every date from {self.dates[first].date()} to {self.dates[last].date()}",
                "give a longer vol path, or choose other dates",
            )

    def at(self, position: int) -> AsOfView:
        """Return the view at the close of the date at ``position``."""
        return AsOfView(
            self.dates,
            self._prices[: position + 1].copy(),
            self._returns[:position].copy(),
            None if self._vols is None else self._vols[: position + 1].copy(),
            self.underlyings,
            self.periods_per_year,
        )

    def vols(self, positions: Sequence[int]) -> FloatArray:
        """Return the implied vols at the closes of some dates, shape (dates, underlyings)."""
        if self._vols is None:
            return np.full((len(positions), len(self.underlyings)), np.nan)
        return self._vols[list(positions)]

    def outcome(self, position: int, horizon: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what came by underlying: log returns over the horizon, implied vols before and after.

        The vol after is that of what was at the money before: along the smile of the path, if it has one.
        """
        moves = np.log(self._prices[position + horizon] / self._prices[position])
        if self._vols is None:
            nothing = np.full(len(self.underlyings), np.nan)
            return moves, nothing, nothing
        before, after = self._vols[position].copy(), self._vols[position + horizon].copy()
        if self._skew is not None:
            after *= np.exp(-self._skew[position + horizon] * moves)
        return moves, before, after
