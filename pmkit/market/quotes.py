"""Validated quotes of one instant, with a ledger of every row that is flagged or cannot be used."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pandas as pd

from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
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
        coin per coin of notional, the others in USD; vols decimal. NaN where the source has nothing; ``mid``
        is NaN unless both sides are there and not crossed.
    ledger : pandas.DataFrame
        instrument, reason (``no_bid``, ``no_ask``, ``no_quote``, ``crossed``), detail; one row per flag.
    as_of : pandas.Timestamp
    source : str
        Name of the data set or file.
    labels : tuple of str
        What stands for what in the source, in words.
    """

    frame: pd.DataFrame
    ledger: pd.DataFrame
    as_of: pd.Timestamp
    source: str
    labels: tuple[str, ...] = ()

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


def read_quotes(path_or_frame: str | os.PathLike[str] | pd.DataFrame, *, source: str | None = None) -> Quotes:
    """Return the validated quotes of a Deribit-shaped table: option prices in coin, futures in USD.

    Parameters
    ----------
    path_or_frame : path or DataFrame
        A CSV file (gzipped or not) or a frame in one of two shapes. *Chain*: as_of, kind, instrument_name,
        bid_price, ask_price, open_interest, expiry, strike, cp, optionally volume_usd and tick_size.
        *Surface*: ref_date, asset, security_type, maturity, strike, option_type, bid, ask, inverse, and
        optionally iv_bid, iv_ask, open_interest, volume; its ``spot`` row is the perpetual, names are built.
    source : str, optional
        Name in messages and results; the file name where None.

    Returns
    -------
    Quotes
        A missing or zero bid or ask and a crossed quote are legal: they stand in the ledger.

    Raises
    ------
    DataGapError
        No such file, or an empty one.
    SchemaError
        Columns missing or unknown; text, negative or infinite numbers; a strike that is not positive; a
        duplicate, unknown or expired instrument; a name that disagrees with its columns.
    ConventionError
        A naive or non-UTC time, more than one instant, option prices in USD, vols in percent, or options that
        settle in quote currency.

    Examples
    --------
    >>> from pmkit.market import datasets
    >>> quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    >>> len(quotes), quotes.ledger["reason"].value_counts().to_dict()
    (882, {'no_bid': 66})
    """
    cells = cells_of(path_or_frame, source)
    parsed = parse_quote_cells(cells)
    ledger = pd.DataFrame(parsed.ledger, columns=list(LEDGER_COLUMNS))
    return Quotes(
        frame=parsed.frame, ledger=ledger, as_of=parsed.as_of, source=cells.source, labels=parsed.labels
    )
