"""Reading the account table: every cell is checked and every refusal names file, row and column."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, PmkitError, SchemaError
from pmkit.core.time import parse_utc
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual
from pmkit.instruments.names import parse_contract

__all__ = ["COLUMNS", "AccountTable", "read_account_csv", "read_account_rows"]

COLUMNS = ("type", "instrument", "qty", "entry_price", "as_of")
_REQUIRED = ("type", "instrument", "qty", "as_of")
#: Beyond any open interest; larger numbers are slips, and their squares leave the range of a double.
LARGEST_QTY = 1e12


@dataclass(frozen=True, kw_only=True)
class AccountTable:
    """Checked content of an account table: positions, collateral, the common instant, and their rows."""

    source: str
    as_of: pd.Timestamp
    positions: tuple[tuple[Instrument, float, float | None], ...]
    collateral: Mapping[str, float]
    rows: Mapping[str, int]


def _number(text: Any, source: str, row: int, column: str, unit: str) -> float:
    try:
        # float() would take True for 1 and 1_000 for a thousand
        value = math.nan if isinstance(text, bool) or "_" in str(text) else float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or abs(value) > LARGEST_QTY:
        raise SchemaError(
            f"found {text!r}",
            f"a finite number of {unit}",
            "correct the cell",
            file=source,
            row=row,
            column=column,
        )
    return value


def _entry_price(instrument: Instrument, text: Any, source: str, row: int) -> float | None:
    blank = text is None or (isinstance(text, float) and math.isnan(text)) or str(text).strip() == ""
    if blank:
        return None
    price = _number(text, source, row, "entry_price", "price")
    if price <= 0.0:
        raise SchemaError(
            f"entry_price of {instrument.name} is {price:g}",
            "a positive price",
            "correct the cell or leave it empty",
            file=source,
            row=row,
            column="entry_price",
        )
    # A coin premium of a call never reaches 1, and a USD price of a coin future is never that small.
    if isinstance(instrument, Option) and instrument.is_inverse and instrument.is_call and price >= 1.0:
        raise ConventionError(
            f"entry_price of coin-settled {instrument.name} is {price:g}: looks like USD",
            f"a premium in {instrument.underlying}, below 1",
            "divide the USD premium by the index at entry",
            file=source,
            row=row,
            column="entry_price",
        )
    if isinstance(instrument, (Future, Perpetual)) and instrument.is_inverse and price < 1.0:
        raise ConventionError(
            f"entry_price of {instrument.name} is {price:g}: looks like {instrument.underlying}",
            "a futures price in USD",
            "give the price in USD",
            file=source,
            row=row,
            column="entry_price",
        )
    return price


def read_account_rows(rows: Iterable[Mapping[str, Any]], *, source: str, first_row: int = 2) -> AccountTable:
    """Return the checked table of ``rows`` (mappings from column name to cell).

    Parameters
    ----------
    rows : iterable of mapping
        Columns ``type`` (position or collateral), ``instrument``, ``qty``, ``as_of``, optional
        ``entry_price``.
    source : str
        Name of the table in messages.
    first_row : int
        Row number of the first row in messages; 2 for a file whose header is line 1.

    Raises
    ------
    SchemaError, ConventionError, DataGapError
        Naming source, row, column, value found, value expected and the remedy.
    """
    positions: list[tuple[Instrument, float, float | None]] = []
    collateral: dict[str, float] = {}
    seen: dict[tuple[str, str], int] = {}
    places: dict[str, int] = {}
    as_of: pd.Timestamp | None = None
    empty = True
    for row, cells in enumerate(rows, start=first_row):
        empty = False
        missing = [c for c in _REQUIRED if c not in cells]
        unknown = [str(c) for c in cells if c not in COLUMNS]
        if missing:
            raise SchemaError(
                f"column {missing[0]!r} is missing",
                f"columns {', '.join(COLUMNS)}",
                "add the column",
                file=source,
                row=row,
            )
        if unknown:
            raise SchemaError(
                f"unknown column {unknown[0]!r}",
                f"columns {', '.join(COLUMNS)}",
                "remove or rename it",
                file=source,
                row=row,
            )
        stamp = parse_utc(cells["as_of"], file=source, row=row, column="as_of")
        if as_of is not None and stamp != as_of:
            raise ConventionError(
                f"as_of is {stamp.isoformat()}",
                f"{as_of.isoformat()} as in the rows above",
                "give one instant for the whole account",
                file=source,
                row=row,
                column="as_of",
            )
        as_of = stamp
        kind, name = str(cells["type"]).strip(), str(cells["instrument"]).strip()
        if kind not in ("position", "collateral"):
            raise SchemaError(
                f"found {kind!r}",
                "'position' or 'collateral'",
                "correct the cell",
                file=source,
                row=row,
                column="type",
            )
        if (kind, name) in seen:
            raise SchemaError(
                f"duplicate {kind} {name!r}, first in row {seen[kind, name]}",
                "one row per instrument",
                "add the quantities up in one row",
                file=source,
                row=row,
                column="instrument",
            )
        seen[kind, name] = row
        if kind == "collateral":
            if not name.isalnum() or not name.isupper():
                raise SchemaError(
                    f"collateral {name!r} is not a currency",
                    "a code such as BTC or USDC",
                    "correct the cell",
                    file=source,
                    row=row,
                    column="instrument",
                )
            collateral[name] = _number(cells["qty"], source, row, "qty", name)
            places[name] = row
            continue
        try:
            instrument = parse_contract(name, stamp)
        except PmkitError as error:
            raise type(error)(
                error.found, error.expected, error.remedy, file=source, row=row, column="instrument"
            ) from None
        qty = _number(cells["qty"], source, row, "qty", "contracts")
        if isinstance(instrument, (Future, Option)) and instrument.expiry <= stamp:
            raise SchemaError(
                f"{name} expired at {instrument.expiry.isoformat()}",
                f"an expiry after as_of {stamp.isoformat()}",
                "remove the settled line and book its cash flow as collateral",
                file=source,
                row=row,
                column="instrument",
            )
        places[instrument.name] = row
        positions.append((instrument, qty, _entry_price(instrument, cells.get("entry_price"), source, row)))
    if empty or as_of is None:
        raise DataGapError(
            "the table has no rows",
            "at least one position or collateral row",
            "add the positions",
            file=source,
        )
    return AccountTable(
        source=source,
        as_of=as_of,
        positions=tuple(positions),
        collateral=collateral,
        rows=places,
    )


def read_account_csv(path: str | os.PathLike[str]) -> AccountTable:
    """Return the checked table of an account file in CSV with a header line.

    Raises
    ------
    DataGapError
        The file is absent or empty.
    SchemaError, ConventionError
        A cell, a column or a row is wrong; the message says where.
    """
    file = Path(path)
    source = file.name
    if not file.is_file():
        raise DataGapError(f"no file {str(path)!r}", "an account CSV", "check the path")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(
            "the file is not UTF-8 text", "a CSV text file", "export it as CSV (UTF-8)", file=source
        ) from None
    if not text.strip():
        raise DataGapError(
            "the file is empty",
            f"a header with columns {', '.join(COLUMNS)}",
            "write the account table",
            file=source,
        )
    reader = csv.reader(io.StringIO(text.rstrip()))
    header = [cell.strip() for cell in next(reader)]
    for column in _REQUIRED:
        if column not in header:
            raise SchemaError(
                f"column {column!r} is missing from the header {header}",
                f"columns {', '.join(COLUMNS)}",
                "add the column",
                file=source,
                row=1,
                column=column,
            )
    for column in header:
        if column not in COLUMNS or header.count(column) > 1:
            raise SchemaError(
                f"{'unknown' if column not in COLUMNS else 'repeated'} column {column!r}",
                f"columns {', '.join(COLUMNS)}",
                "remove or rename it",
                file=source,
                row=1,
                column=column,
            )
    rows = []
    for line, cells in enumerate(reader, start=2):
        if len(cells) != len(header):
            raise SchemaError(
                f"{len(cells)} cells",
                f"{len(header)} cells as in the header",
                "correct the line",
                file=source,
                row=line,
            )
        rows.append(dict(zip(header, cells, strict=True)))
    return read_account_rows(rows, source=source)
