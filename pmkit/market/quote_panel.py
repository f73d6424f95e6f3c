"""A panel of option chains: many snapshots of one underlying in one file, one instant at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    OptionalDependencyError,
    ParameterError,
    SchemaError,
)
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result
from pmkit.core.time import parse_utc
from pmkit.instruments.deribit import expiry_code, option_name
from pmkit.market.quotes import LEDGER_COLUMNS, Quotes

__all__ = ["QuotePanel", "read_quote_panel"]

_NEEDED = ("timestamp", "expiry", "strike", "cp", "bid", "ask", "index")
_LABELS = (
    "the median of the index column stands for the spot; its cells are not simultaneous",
    "instrument names are built from the columns",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class QuotePanel(Result):
    """Coin-settled option quotes of one underlying at many instants.

    Attributes
    ----------
    frame : pandas.DataFrame
        timestamp and expiry (UTC), strike (USD), is_call, bid and ask (coin; NaN where there is none),
        index (USD); ascending by timestamp, expiry, strike.
    underlying : str
    source : str
    """

    frame: pd.DataFrame
    underlying: str
    source: str

    @property
    def instants(self) -> pd.DatetimeIndex:
        """Distinct instants, ascending."""
        return pd.DatetimeIndex(self.frame["timestamp"].unique())

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every quote."""
        columns = ["strike", "is_call", "bid", "ask", "index"]
        times = [self.frame[c].astype("int64").to_numpy() for c in ("timestamp", "expiry")]
        return fingerprint(self.underlying, *times, self.frame[columns].to_numpy(dtype=np.float64))

    def __len__(self) -> int:
        return len(self.instants)

    def __iter__(self) -> Iterator[Quotes]:
        for instant, rows in self.frame.groupby("timestamp", sort=True):
            yield self._quotes(pd.Timestamp(str(instant)), rows)

    def at(self, instant: str | pd.Timestamp) -> Quotes:
        """Return the quotes of one instant, or of the only instant of a day.

        Raises
        ------
        DataGapError
            No such instant, or a day with several.
        """
        stamp = pd.Timestamp(instant)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        times = self.instants
        found = times[times == stamp]
        if found.empty and stamp == stamp.normalize():
            found = times[times.normalize() == stamp]
        if len(found) != 1:
            raise DataGapError(
                f"{len(found)} snapshots at {stamp.isoformat()} in {self.source}",
                f"an instant between {times[0].isoformat()} and {times[-1].isoformat()}",
                "choose one of .instants",
            )
        return self._quotes(found[0], self.frame[self.frame["timestamp"] == found[0]])

    def between(self, first: str | pd.Timestamp, last: str | pd.Timestamp) -> QuotePanel:
        """Return the snapshots from ``first`` to ``last``, both included; a date stands for its whole day."""
        begin, end = (pd.Timestamp(parse_utc(t)) for t in (first, last))
        if end == end.normalize():
            end += pd.Timedelta(days=1) - pd.Timedelta("1ns")
        chosen = self.frame[self.frame["timestamp"].between(begin, end)]
        if chosen.empty:
            raise DataGapError(
                f"no snapshot of {self.source} from {begin.date()} to {end.date()}",
                f"days between {self.instants[0].date()} and {self.instants[-1].date()}",
                "choose other days",
            )
        return QuotePanel(frame=chosen, underlying=self.underlying, source=self.source)

    def _quotes(self, as_of: pd.Timestamp, rows: pd.DataFrame) -> Quotes:
        spot = float(rows["index"].median())
        names = [
            option_name(self.underlying, expiry_code(e), k, call)
            for e, k, call in zip(rows["expiry"], rows["strike"], rows["is_call"], strict=True)
        ]
        bid, ask = rows["bid"].to_numpy(), rows["ask"].to_numpy()
        frame = pd.DataFrame(
            {
                "instrument": names,
                "kind": "option",
                "underlying": self.underlying,
                "expiry": pd.DatetimeIndex(rows["expiry"]),
                "strike": rows["strike"].to_numpy(),
                "is_call": rows["is_call"].to_numpy(),
                "bid": bid,
                "ask": ask,
                "mid": np.where(bid <= ask, 0.5 * (bid + ask), np.nan),
                "iv_bid": np.nan,
                "iv_ask": np.nan,
                "open_interest": np.nan,
                "tick": np.nan,
                "as_of": as_of,
            }
        )
        reasons = (
            ("no_quote", np.isnan(bid) & np.isnan(ask)),
            ("no_bid", np.isnan(bid) & ~np.isnan(ask)),
            ("no_ask", ~np.isnan(bid) & np.isnan(ask)),
            ("crossed", bid > ask),
        )
        ledger = [
            (names[i], reason, f"bid {bid[i]:g}, ask {ask[i]:g}")
            for reason, where in reasons
            for i in np.flatnonzero(where)
        ]
        return Quotes(
            frame=frame,
            ledger=pd.DataFrame(ledger, columns=list(LEDGER_COLUMNS)),
            as_of=as_of,
            source=f"{self.source} {as_of:%Y-%m-%d %H:%M}",
            labels=_LABELS,
            spots={self.underlying: spot},
        )

    def summary(self) -> pd.DataFrame:
        """Return one row: underlying, instants, first, last, options in all, share with both sides."""
        both = self.frame["bid"].notna() & self.frame["ask"].notna()
        times = self.instants
        row = {
            "underlying": self.underlying,
            "instants": len(times),
            "first": times[0],
            "last": times[-1],
            "options": len(self.frame),
            "two_sided": float(both.mean()),
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return the validated table."""
        return self.frame.copy()


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataGapError(f"{str(path)!r} is no file", "a parquet or CSV file of quotes", "check the path")
    if path.suffix != ".parquet":
        try:
            return pd.read_csv(path)
        except (ValueError, UnicodeDecodeError, OSError) as error:
            raise SchemaError(
                f"the file cannot be read ({type(error).__name__})", "a CSV table", "export it again",
                file=path.name,
            ) from None  # fmt: skip
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise OptionalDependencyError(
            "pyarrow is not installed", "pyarrow, for parquet files", "install pyarrow, or give a CSV file"
        ) from None
    except (ValueError, OSError) as error:
        raise SchemaError(
            f"the file cannot be read ({type(error).__name__})", "a parquet table", "export it again",
            file=path.name,
        ) from None  # fmt: skip


def _times(frame: pd.DataFrame, column: str, source: str) -> pd.Series[pd.Timestamp]:
    values = frame[column]
    if not pd.api.types.is_datetime64_any_dtype(values):
        known = {v: parse_utc(v, file=source, column=column) for v in values.unique()}
        values = values.map(known)
    if values.dt.tz is None:
        raise ConventionError(
            f"column {column} of {source} has no time zone", "UTC instants", "localise the column to UTC"
        )
    stamps: pd.Series[pd.Timestamp] = values.dt.tz_convert("UTC")
    return stamps


def _numbers(frame: pd.DataFrame, column: str, source: str, *, missing: bool) -> pd.Series[float]:
    values = pd.to_numeric(frame[column], errors="coerce").astype(np.float64)
    wrong = values.isna() & frame[column].notna()
    if column == "strike":
        wrong |= ~(values > 0.0)
    wrong |= np.isinf(values) | (values < 0.0)
    if not missing:
        wrong |= values.isna()
    if wrong.any():
        position = int(np.flatnonzero(wrong)[0])
        cell = frame[column].tolist()[position]
        raise SchemaError(
            f"found {cell!r}",
            "a positive number" if not missing else "a number of 0 or more, or nothing",
            "correct the cell",
            file=source,
            row=position + 2,
            column=column,
        )
    numbers: pd.Series[float] = values
    return numbers


def read_quote_panel(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame, *, underlying: str, source: str | None = None
) -> QuotePanel:
    """Return the validated quotes of coin-settled options at many instants, one row a quote.

    Parameters
    ----------
    path_or_frame : path or DataFrame
        Parquet or CSV with timestamp, expiry (UTC instants), strike (USD), cp (``C`` or ``P``), bid, ask
        (coin per coin; 0 or nothing where there is none) and index (USD); other columns are not used.
    underlying : str
        Such as ``"BTC"``; the file does not say.
    source : str, optional
        Name in messages; the file name where None.

    Raises
    ------
    DataGapError
        No such file, or no rows.
    SchemaError
        Missing columns, text for numbers, a negative price, a strike that is not positive, a duplicate, an
        option that has expired at its instant.
    ConventionError
        Times without a zone, or prices above 100 coins: they look like USD.

    Examples
    --------
    >>> frame = pd.DataFrame({"timestamp": ["2026-02-05T08:00Z"], "expiry": ["2026-02-06T08:00Z"],
    ...     "strike": [70e3], "cp": ["C"], "bid": [0.01], "ask": [0.011], "index": [69e3]})
    >>> read_quote_panel(frame, underlying="BTC").at("2026-02-05").frame["instrument"].tolist()
    ['BTC-6FEB26-70000-C']
    """
    if not (isinstance(underlying, str) and underlying.isalnum()):
        raise ParameterError(f"underlying is {underlying!r}", "a name such as 'BTC'", "name the underlying")
    given = path_or_frame if isinstance(path_or_frame, pd.DataFrame) else _read(Path(path_or_frame))
    default = "frame" if isinstance(path_or_frame, pd.DataFrame) else Path(path_or_frame).name
    name = source or default
    missing = [c for c in _NEEDED if c not in given.columns]
    if missing:
        raise SchemaError(
            f"no column {', '.join(missing)}", f"the columns {', '.join(_NEEDED)}", "add them", file=name
        )
    if given.empty:
        raise DataGapError(f"{name} has no rows", "at least one quote", "export the table again")
    sides = given["cp"].astype(str).str.upper().str[:1]
    unknown = np.flatnonzero(~sides.isin(["C", "P"]))
    if unknown.size:
        raise SchemaError(
            f"found {given['cp'].iloc[unknown[0]]!r}", "C or P", "correct the cell", file=name,
            row=int(unknown[0]) + 2, column="cp",
        )  # fmt: skip
    frame = pd.DataFrame(
        {
            "timestamp": _times(given, "timestamp", name),
            "expiry": _times(given, "expiry", name),
            "strike": _numbers(given, "strike", name, missing=False),
            "is_call": sides == "C",
            **{c: _numbers(given, c, name, missing=True).replace(0.0, np.nan) for c in ("bid", "ask")},
            "index": _numbers(given, "index", name, missing=False),
        }
    )
    _check_rows(frame, name)
    frame = frame.sort_values(["timestamp", "expiry", "strike", "is_call"], kind="stable", ignore_index=True)
    return QuotePanel(frame=frame, underlying=underlying, source=name)


def _check_rows(frame: pd.DataFrame, source: str) -> None:
    expired = np.flatnonzero(frame["expiry"] <= frame["timestamp"])
    if expired.size:
        row = frame.iloc[expired[0]]
        raise SchemaError(
            f"expiry {row['expiry'].isoformat()} at {row['timestamp'].isoformat()}",
            "an expiry after the instant of the quote", "remove the expired rows", file=source,
            row=int(expired[0]) + 2, column="expiry",
        )  # fmt: skip
    twice = np.flatnonzero(frame.duplicated(["timestamp", "expiry", "strike", "is_call"]))
    if twice.size:
        raise SchemaError(
            "the same option at the same instant stands in an earlier row",
            "each option once an instant", "remove the duplicate", file=source, row=int(twice[0]) + 2,
        )  # fmt: skip
    dear = np.flatnonzero((frame["bid"] > 100.0) | (frame["ask"] > 100.0))
    if dear.size:
        raise ConventionError(
            f"a price of {frame[['bid', 'ask']].iloc[dear[0]].max():g} coins looks like USD",
            "coin per coin", "divide USD prices by the index", file=source, row=int(dear[0]) + 2,
        )  # fmt: skip
