"""Validated quotes of one instant, with a ledger of every row that is flagged or cannot be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import Settlement
from pmkit.market.linear_chain import NEW_YORK_CLOSE
from pmkit.market.quote_files import parse_quote_cells
from pmkit.market.tables import cells_of

__all__ = ["LEDGER_COLUMNS", "Quotes", "read_quotes"]

#: Columns of every ledger of quotes.
LEDGER_COLUMNS = ("instrument", "reason", "detail")


@dataclass(frozen=True, kw_only=True, repr=False)
class Quotes(Result):
    """Bid and ask of the futures, perpetuals and options of one source at one UTC instant.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per instrument: instrument, kind (``perpetual``, ``future`` or ``option``), underlying, expiry
        (UTC), strike, is_call, bid, ask, mid, iv_bid, iv_ask, open_interest, tick, as_of. Option prices in
        coin per coin of notional (inverse) or in quote currency (linear), the others in USD; vols decimal.
        NaN where the source has nothing; ``mid`` is NaN unless both sides are there and not crossed. A
        column ``quoted_at`` (UTC) where the source stamps each quote.
    ledger : pandas.DataFrame
        instrument, reason (``no_bid``, ``no_ask``, ``no_quote``, ``crossed``), detail; one row per flag.
    as_of : pandas.Timestamp
    source : str
        Name of the data set or file.
    labels : tuple of str
        What stands for what in the source, in words.
    settlement : {"inverse", "linear"}
        Of every option: in coin, or in quote currency.
    exercise : {"european", "american"}
        Of every option. No forward or vol is implied from American quotes.
    spots : mapping of str to float
        Index level by underlying where the source gives one (index chains).
    """

    frame: pd.DataFrame
    ledger: pd.DataFrame
    as_of: pd.Timestamp
    source: str
    labels: tuple[str, ...] = ()
    settlement: Settlement = "inverse"
    exercise: Literal["european", "american"] = "european"
    spots: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.settlement not in ("inverse", "linear"):
            raise ConventionError(
                f"settlement is {self.settlement!r}",
                "'inverse' or 'linear', one for all options",
                "hold options of different settlement in two tables",
            )
        if self.exercise not in ("european", "american"):
            raise ParameterError(
                f"exercise is {self.exercise!r}", "'european' or 'american'", "name the exercise style"
            )

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Distinct underlyings, in order of first appearance."""
        return tuple(str(u) for u in self.frame["underlying"].unique())

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the instant and of every instrument, bid and ask."""
        prices = self.frame[["bid", "ask"]].to_numpy(dtype="float64")
        return fingerprint(self.as_of.isoformat(), self.frame["instrument"].tolist(), prices)

    @property
    def provenance(self) -> Provenance:
        """Source and fingerprint in one record."""
        return Provenance(method="market.read_quotes", data={self.source: self.fingerprint})

    def __len__(self) -> int:
        return len(self.frame)

    def counts(self) -> dict[str, int]:
        """Return the number of ledger rows by reason, in order of first appearance."""
        return {str(reason): int(n) for reason, n in self.ledger["reason"].value_counts(sort=False).items()}

    def of_underlying(self, underlying: str) -> pd.DataFrame:
        """Return the rows of one underlying."""
        return self.frame[self.frame["underlying"] == underlying]

    def to_frame(self) -> pd.DataFrame:
        """Return the validated table."""
        return self.frame.copy()

    def summary(self) -> pd.DataFrame:
        """Return counts by underlying and kind: rows, with a mid, flagged, expiries."""
        grouped = self.frame.groupby(["underlying", "kind"], sort=False)
        flagged = self.frame["instrument"].isin(self.ledger["instrument"])
        return pd.DataFrame(
            {
                "rows": grouped.size(),
                "with_mid": grouped["mid"].count(),
                "flagged": flagged.groupby([self.frame["underlying"], self.frame["kind"]], sort=False).sum(),
                "expiries": grouped["expiry"].nunique(),
            }
        )


def read_quotes(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    *,
    source: str | None = None,
    underlying: str | None = None,
    exercise: Literal["european", "american"] | None = None,
    expiry_time: str = NEW_YORK_CLOSE,
) -> Quotes:
    """Return the validated quotes of a table: a coin-settled chain or surface, or an index chain.

    Parameters
    ----------
    path_or_frame : path or DataFrame
        A CSV file (gzipped or not) or a frame in one of three shapes. *Chain* (option prices in coin, futures
        in USD): as_of, kind, instrument_name, bid_price, ask_price, open_interest, expiry, strike, cp,
        optionally volume_usd and tick_size. *Surface* (same units): ref_date, asset, security_type, maturity,
        strike, option_type, bid, ask, inverse, and optionally iv_bid, iv_ask, open_interest, volume; its
        ``spot`` row is the perpetual, names are built. *Index chain* (options in quote currency, no future):
        expiration (a date), cp, strike, bid, ask, spot_last, spot_time_utc, optionally symbol, exercise,
        settlement, openInterest, volume, tick_size, quote_time_utc.
    source : str, optional
        Name in messages and results; the file name where None.
    underlying : str, optional
        Index chains only: its name; taken from the column symbol or the first word of ``source`` where None.
    exercise : {"european", "american"}, optional
        Index chains only: exercise style where the table does not say it; needed unless the name is that of
        a known European index option. American options are refused.
    expiry_time : str
        Index chains only: settlement time of an expiration date, ``"HH:MM New York"`` or ``"HH:MM UTC"``.

    Returns
    -------
    Quotes
        A missing or zero bid or ask and a crossed quote are legal: they stand in the ledger. What is assumed
        stands in ``labels``.

    Raises
    ------
    DataGapError
        No such file, or an empty one.
    SchemaError
        Columns missing or unknown; text, negative or infinite numbers; a strike that is not positive; a
        duplicate, unknown or expired instrument; a name that disagrees with its columns.
    ConventionError
        A naive or non-UTC time, more than one instant, option prices in USD, vols in percent, American
        options or an exercise style that is not said, linear and inverse options in one table.
    ParameterError
        ``exercise`` or ``expiry_time`` of another form.

    Examples
    --------
    >>> from pmkit.market import datasets
    >>> quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    >>> len(quotes), quotes.counts()
    (882, {'no_bid': 66})
    """
    cells = cells_of(path_or_frame, source)
    parsed = parse_quote_cells(cells, underlying=underlying, exercise=exercise, expiry_time=expiry_time)
    ledger = pd.DataFrame(parsed.ledger, columns=list(LEDGER_COLUMNS))
    return Quotes(
        frame=parsed.frame,
        ledger=ledger,
        as_of=parsed.as_of,
        source=cells.source,
        labels=parsed.labels,
        settlement=parsed.settlement,
        spots=parsed.spots,
    )
