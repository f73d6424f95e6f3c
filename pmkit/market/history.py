"""What was seen day by day: closing prices with their calendar, units and gaps."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, LookAheadError, ParameterError, SuspectPriceWarning
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.market.history_file import PERIODS, Calendar, as_day, find_gaps, read_prices
from pmkit.market.tables import Cells, cells_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PriceHistory", "load_history"]

#: size of a log return that is suspect when the next day takes it back
_SPIKE = 1.5


@dataclass(frozen=True, kw_only=True, repr=False)
class PriceHistory(Result):
    """Closing prices in USD, one row a date, oldest first.

    Attributes
    ----------
    prices : pandas.DataFrame
        Index ``date`` (naive days, ascending, unique), one column per underlying; positive, NaN where none
        was seen. Nothing is filled.
    calendar : {"every day", "business days"}
    currency : str
    source : str
        Name of the data set or file.
    simulated : bool
        True where the prices were made by a model.
    """

    prices: pd.DataFrame
    calendar: Calendar
    currency: str = "USD"
    source: str = "given"
    simulated: bool = False

    @classmethod
    def from_frame(
        cls,
        prices: pd.DataFrame,
        *,
        calendar: Calendar | None = None,
        source: str = "frame",
        simulated: bool = False,
    ) -> PriceHistory:
        """Return the history of a frame of USD closes whose index holds the dates.

        Parameters
        ----------
        prices : DataFrame
            Index of dates (naive midnight or UTC midnight), one column per asset (``BTC`` or ``BTC-USD``).
        calendar : {"every day", "business days"}, optional
            Read from the data where None: with weekends it is ``"every day"``.
        source : str
            Name in messages and reports.
        simulated : bool
            Whether a model made the prices.

        Raises
        ------
        SchemaError, ConventionError, DataGapError
            As :func:`load_history`.

        Examples
        --------
        >>> closes = pd.DataFrame({"BTC": [100.0, 110.0]}, index=pd.to_datetime(["2023-01-01", "2023-01-02"]))
        >>> PriceHistory.from_frame(closes).returns().round(4)["BTC"].tolist()
        [0.0953]
        """
        table = prices.copy()
        table.insert(0, "date", prices.index)
        return _history(cells_of(table, source), calendar, simulated)

    # -- reading --------------------------------------------------------------------------------------------
    @cached_property
    def gaps(self) -> pd.DataFrame:
        """Gap report, one row a run: asset (``all`` for dates without a row), kind, start, end, days."""
        return find_gaps(self.prices, self.calendar)

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(str(c) for c in self.prices.columns)

    @property
    def last_date(self) -> pd.Timestamp:
        """Last date with a row (naive day)."""
        last: pd.Timestamp = self.prices.index[-1]
        return last

    @property
    def periods_per_year(self) -> int:
        """365 for ``"every day"``, 252 for ``"business days"``."""
        return PERIODS[self.calendar]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of dates, names and prices."""
        days = self.prices.index.to_numpy(dtype="datetime64[D]").astype(np.int64)
        return fingerprint(days, list(self.assets), self.prices.to_numpy(dtype=np.float64), self.calendar)

    @property
    def provenance(self) -> Provenance:
        """Source and fingerprint in one record."""
        return Provenance(
            method="market.PriceHistory", data={self.source: self.fingerprint}, simulated=self.simulated
        )

    def _chosen(self, assets: str | list[str] | tuple[str, ...] | None) -> list[str]:
        names = list(self.assets) if assets is None else [assets] if isinstance(assets, str) else list(assets)
        for name in names:
            if name not in self.assets:
                raise DataGapError(
                    f"no prices of {name!r} in {self.source}",
                    f"one of {', '.join(self.assets)}",
                    "choose another asset, or load a history that holds it",
                )
        if not names:
            raise ParameterError("no asset", "at least one name", "name an asset, or leave the argument out")
        return names

    def _warn_of_spikes(self, logs: pd.DataFrame) -> None:
        """Warn of a price that jumps by a factor above 4.5 and back the next day, as a slip would."""
        step = np.diff(logs.to_numpy(), axis=0)
        back = (np.abs(step[:-1]) > _SPIKE) & (np.abs(step[1:]) > _SPIKE) & (step[:-1] * step[1:] < 0.0)
        for row, column in np.argwhere(back):
            name, day = str(logs.columns[column]), logs.index[row + 1]
            before, price, after = self.prices[name].iloc[row : row + 3]
            text = (
                f"{name} of {day.date()} in {self.source} is {price:g}, after {before:g} and before {after:g}"
            )
            warnings.warn(SuspectPriceWarning(f"{text}: correct it if the source has slipped"), stacklevel=3)

    def returns(
        self,
        assets: str | list[str] | tuple[str, ...] | None = None,
        horizon: int = 1,
        *,
        missing: Literal["raise", "drop"] = "raise",
    ) -> pd.DataFrame:
        """Return log returns over ``horizon`` days (decimal, not annualised), dated by their last day.

        Parameters
        ----------
        assets : str or list of str, optional
            Columns; all where None.
        horizon : int
            Days from close to close, 1 or more. Above 1 the returns overlap: neighbours share
            ``horizon - 1`` days and are not independent.
        missing : {"raise", "drop"}
            What to do with a return that has no price at one end or spans a date without a row (calendar
            ``"every day"``): refuse, or leave the whole row out. The count stands in ``attrs["dropped"]``.

        Returns
        -------
        pandas.DataFrame
            Shape (rows - horizon - dropped, assets).

        Raises
        ------
        DataGapError
            Unknown asset, missing prices under ``"raise"``, or fewer rows than the horizon needs.
        ParameterError
            Horizon not a positive whole number, or another word for ``missing``.

        Notes
        -----
        ``r(t) = ln P(t) - ln P(t - horizon)``. On business days a holiday cannot be told from a gap, so only
        missing prices count there.
        """
        if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or horizon < 1:
            raise ParameterError(f"horizon is {horizon!r}", "a whole number of days, 1 or more", "correct it")
        if missing not in ("raise", "drop"):
            raise ParameterError(f"missing is {missing!r}", "'raise' or 'drop'", "name one of the two")
        names = self._chosen(assets)
        if len(self.prices) <= horizon:
            raise DataGapError(
                f"{len(self.prices)} rows in {self.source}",
                f"more than the horizon of {horizon} days",
                "load a longer history",
            )
        logs = pd.DataFrame(
            np.log(self.prices[names].to_numpy(dtype=np.float64)), index=self.prices.index, columns=names
        )
        moves = (logs - logs.shift(int(horizon))).iloc[int(horizon) :]
        bad = moves.isna().any(axis=1).to_numpy()
        what = "no price at one end"
        if self.calendar == "every day":
            days = self.prices.index.to_numpy(dtype="datetime64[D]").astype(np.int64)
            spans = days[int(horizon) :] - days[: -int(horizon)] != horizon
            what = "a date without a row inside" if spans.any() else what
            bad = bad | spans
        count = int(bad.sum())
        if count and missing == "raise":
            holes = [n for n in names if self.prices[n].isna().any()]
            raise DataGapError(
                f"{count} of {len(moves)} returns of {', '.join(holes or names)} in {self.source} "
                f"have {what}, first on {moves.index[bad][0].date()}",
                "a price on every day of the window",
                "name assets without gaps, cut a window() without gaps, or say missing='drop'",
            )
        kept: pd.DataFrame = moves[~bad]
        if kept.empty:
            raise DataGapError(
                f"no complete return of {', '.join(names)} in {self.source}",
                "at least one",
                "name fewer assets",
            )
        self._warn_of_spikes(logs)
        kept.attrs["dropped"] = count
        return kept

    def _with(self, prices: pd.DataFrame, wanted: str) -> PriceHistory:
        if prices.empty:
            raise DataGapError(
                f"no rows {wanted} in {self.source}",
                f"dates from {self.prices.index[0].date()} to {self.last_date.date()}",
                "choose other dates",
            )
        return PriceHistory(
            prices=prices,
            calendar=self.calendar,
            currency=self.currency,
            source=self.source,
            simulated=self.simulated,
        )

    def window(
        self, start: str | pd.Timestamp | None = None, end: str | pd.Timestamp | None = None
    ) -> PriceHistory:
        """Return the rows from ``start`` to ``end``, both included; None leaves a side open."""
        first = self.prices.index[0] if start is None else as_day(start)
        last = self.last_date if end is None else as_day(end)
        if first > last:
            raise ParameterError(
                f"start {first.date()} is after end {last.date()}", "start before end", "swap the dates"
            )
        index = self.prices.index
        return self._with(
            self.prices[(index >= first) & (index <= last)], f"from {first.date()} to {last.date()}"
        )

    def until(self, date: str | pd.Timestamp) -> PriceHistory:
        """Return what was known at the close of ``date``: rows up to it, none after.

        Raises
        ------
        LookAheadError
            ``date`` lies before the first row, so that nothing was known.
        """
        last = as_day(date)
        if last < self.prices.index[0]:
            raise LookAheadError(
                f"nothing is known at {last.date()}: {self.source} begins on {self.prices.index[0].date()}",
                "a date inside the history",
                "choose a later date",
            )
        return self._with(self.prices[self.prices.index <= last], f"until {last.date()}")

    def select(self, assets: str | list[str] | tuple[str, ...]) -> PriceHistory:
        """Return the history of the named assets only."""
        return self._with(self.prices[self._chosen(assets)], "")

    # -- display --------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.prices)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the prices of every asset, first price = 1, on a log scale."""
        axes = new_axes(ax)
        for name, price in self.prices.items():
            known = price.dropna()
            axes.plot(known.index.to_numpy(), (known / known.iloc[0]).to_numpy(), label=str(name))
        axes.set_yscale("log")
        axes.set(xlabel="date", ylabel="price / first price", title=f"{self.source}, daily prices")
        axes.legend(ncols=2)
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row per asset: first and last date with a price, counts, lowest and highest close."""
        rows = {}
        for asset in self.assets:
            seen = self.prices[asset].dropna()
            rows[asset] = {
                "first": "" if seen.empty else str(seen.index[0].date()),
                "last": "" if seen.empty else str(seen.index[-1].date()),
                "prices": len(seen),
                "missing": len(self.prices) - len(seen),
                "lowest": float(seen.min()) if len(seen) else np.nan,
                "highest": float(seen.max()) if len(seen) else np.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per date and asset: date, asset, price."""
        long = self.prices.reset_index().melt(id_vars="date", var_name="asset", value_name="price")
        return long.sort_values(["date", "asset"], kind="stable", ignore_index=True)


def _history(cells: Cells, calendar: Calendar | None, simulated: bool, currency: str = "USD") -> PriceHistory:
    prices, kind = read_prices(cells, calendar)
    return PriceHistory(
        prices=prices,
        calendar=kind,
        currency=currency,
        source=cells.source,
        simulated=simulated,
    )


def load_history(
    name_or_path: str | os.PathLike[str], *, calendar: Calendar | None = None, simulated: bool = False
) -> PriceHistory:
    """Return daily closing prices in USD from a shipped data set or the user's own CSV.

    Parameters
    ----------
    name_or_path : str or path
        A name of :func:`pmkit.market.datasets.list`, or a CSV file (gzipped or not): first column ``date``,
        ascending and unique, then one column per asset, named ``BTC`` or ``BTC-USD``.
    calendar : {"every day", "business days"}, optional
        Read from the dates where None.
    simulated : bool
        Say so where the prices of an own file were made by a model.

    Returns
    -------
    PriceHistory
        Prices as read: gaps are reported in ``gaps``, never filled. A shipped data set may hold other units
        than USD; they stand in ``currency``.

    Raises
    ------
    DataGapError
        No such file or data set, empty, or a column without any price.
    SchemaError
        No date column, duplicate or unsorted dates, text for a number, a price that is not positive.
    ConventionError
        A clock time that is not midnight UTC, another zone, prices in another currency, returns for prices.

    Examples
    --------
    >>> history = load_history("crypto-daily-2020-2023")
    >>> len(history), history.calendar, str(history.last_date.date())
    (1461, 'every day', '2023-12-31')
    """
    from pmkit.market import datasets

    entry = datasets.find(name_or_path, kinds=("history",))
    if entry is None:
        return _history(cells_of(name_or_path), calendar, simulated)
    cells = cells_of(datasets.path(entry.name), entry.name)
    return _history(cells, calendar, entry.simulated, entry.currency)
