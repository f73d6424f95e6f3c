"""What the readers of quote files share: the table they hand over, one instant, words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.time import parse_utc
from pmkit.core.types import Settlement
from pmkit.market.quote_checks import refuse
from pmkit.market.tables import Cells, blank

__all__ = ["QuoteTable", "one_instant", "words"]


@dataclass(frozen=True, kw_only=True)
class QuoteTable:
    """What a parser hands over: the common table, its flags, the instant, labels, settlement and spots."""

    frame: pd.DataFrame
    ledger: list[tuple[str, str, str]]
    as_of: pd.Timestamp
    labels: tuple[str, ...]
    settlement: Settlement = "inverse"
    spots: Mapping[str, float] = field(default_factory=dict)


def one_instant(cells: Cells, column: str) -> pd.Timestamp:
    """Return the one UTC instant of a column."""
    first: pd.Timestamp | None = None
    known: dict[Any, pd.Timestamp] = {}
    for position, value in enumerate(cells.frame[column]):
        if value not in known:
            known[value] = parse_utc(value, file=cells.source, row=cells.row(position), column=column)
        stamp = known[value]
        if first is not None and stamp != first:
            refuse(
                cells,
                position,
                column,
                f"instant {stamp.isoformat()}",
                f"{first.isoformat()} as in the rows above",
                "give quotes of one instant; load several files as a list",
                ConventionError,
            )
        first = stamp
    assert first is not None
    return first


def words(cells: Cells, column: str) -> list[str]:
    """Return the stripped text of a column, empty where a cell says that it is missing."""
    empty = blank(cells.frame[column]).to_numpy(dtype=bool)
    return ["" if e else str(v).strip() for v, e in zip(cells.frame[column], empty, strict=True)]
