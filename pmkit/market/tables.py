"""Delimited text into cells and cells into numbers, with errors that name file, row and column."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["Cells", "blank", "cells_of", "check_columns", "numbers"]

_BLANK = frozenset({"", "nan", "none", "null", "na", "nat", "<na>"})


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table whose cells are still text or objects; ``lines`` holds the row number of each for messages."""

    frame: pd.DataFrame
    source: str
    lines: Sequence[int]

    def row(self, position: int) -> int:
        """Return the row number that a message gives for the row at ``position``."""
        return self.lines[position]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(
            "the file is not UTF-8 text", "CSV or gzipped CSV", "export it as CSV (UTF-8)", file=path.name
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise SchemaError(
            f"the file cannot be read ({type(error).__name__})",
            "CSV or gzipped CSV",
            "check its rights and whether the download is complete",
            file=path.name,
        ) from None


def _from_file(path: Path) -> Cells:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataGapError(f"{str(path)!r} {found}", "a CSV file or the name of a data set", "check the path")
    reader = csv.reader(io.StringIO(_text(path)))
    try:
        lines = [(reader.line_num, line) for line in reader if len(line) > 1 or "".join(line).strip()]
    except csv.Error as error:
        raise SchemaError(
            f"the text is not CSV ({error})", "a CSV table", "export it as CSV", file=path.name
        ) from None
    if not lines:
        raise DataGapError(
            "the file is empty", "a header and at least one row", "export the table again", file=path.name
        )
    header = [cell.strip() for cell in lines[0][1]]
    repeated = [c for c in header if header.count(c) > 1]
    if repeated:
        raise SchemaError(
            f"column {repeated[0]!r} occurs {header.count(repeated[0])} times",
            "each column once",
            "remove or rename the others",
            file=path.name,
            row=1,
            column=repeated[0],
        )
    for number, line in lines[1:]:
        if len(line) != len(header):
            raise SchemaError(
                f"{len(line)} cells",
                f"{len(header)} cells as in the header",
                "correct the line",
                file=path.name,
                row=number,
            )
    frame = pd.DataFrame([line for _, line in lines[1:]], columns=header, dtype=object)
    return Cells(frame=frame, source=path.name, lines=[number for number, _ in lines[1:]])


def cells_of(data: str | os.PathLike[str] | pd.DataFrame, source: str | None = None) -> Cells:
    """Return the cells of a CSV file (plain or gzipped) or of a frame.

    Parameters
    ----------
    data : path or DataFrame
        A frame is copied; its rows are numbered from 1 in messages, those of a file from 2.
    source : str, optional
        Name in messages; the file name, or ``"frame"``.

    Raises
    ------
    DataGapError
        No such file, an empty file, or a table without rows.
    SchemaError
        Not UTF-8 CSV, a repeated column, or a line with more or fewer cells than the header.
    """
    if isinstance(data, pd.DataFrame):
        frame = data.reset_index(drop=True)
        frame.columns = [str(c) for c in frame.columns]
        cells = Cells(frame=frame, source=source or "frame", lines=range(1, len(frame) + 1))
    elif isinstance(data, (str, os.PathLike)):
        cells = _from_file(Path(data))
        if source is not None:
            cells = Cells(frame=cells.frame, source=source, lines=cells.lines)
    else:
        raise SchemaError(
            f"a {type(data).__name__}", "a path or a DataFrame", "give the path of a CSV file or a DataFrame"
        )
    if cells.frame.empty:
        raise DataGapError(
            "the table has a header and no rows",
            "at least one row",
            "export the table again",
            file=cells.source,
        )
    return cells


def check_columns(cells: Cells, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Raise SchemaError where a required column is missing or a column is unknown or repeated."""
    present = list(cells.frame.columns)
    expected = f"columns {', '.join((*required, *optional))}"
    for column in required:
        if column not in present:
            raise SchemaError(
                f"column {column!r} is missing from the header",
                expected,
                "add the column",
                file=cells.source,
                row=1,
                column=column,
            )
    for column in present:
        if column not in (*required, *optional) or present.count(column) > 1:
            raise SchemaError(
                f"{'repeated' if present.count(column) > 1 else 'unknown'} column {column!r}",
                expected,
                "remove or rename it",
                file=cells.source,
                row=1,
                column=column,
            )


def blank(column: pd.Series) -> pd.Series:
    """Return True where a cell is empty or says that it is missing."""
    text = column.astype(str).str.strip().str.lower()
    return column.isna() | text.isin(_BLANK)


def numbers(cells: Cells, column: str, unit: str) -> FloatArray:
    """Return a column as float64, NaN where the cell is blank; any other text is a SchemaError."""
    raw = cells.frame[column]
    empty = blank(raw)
    values = pd.to_numeric(raw.where(~empty, None), errors="coerce").to_numpy(
        dtype=np.float64, na_value=np.nan
    )
    wrong = np.flatnonzero(~np.isfinite(values) & ~empty.to_numpy(dtype=bool))
    if wrong.size:
        position = int(wrong[0])
        raise SchemaError(
            f"found {raw.iloc[position]!r}",
            f"a finite number ({unit})",
            "correct the cell",
            file=cells.source,
            row=cells.row(position),
            column=column,
        )
    return values
