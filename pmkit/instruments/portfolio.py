"""Positions and portfolios: signed numbers of contracts, long positive."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import LotWarning, SchemaError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option
from pmkit.instruments.table import LARGEST_QTY, AccountTable, read_account_csv, read_account_rows

__all__ = ["Portfolio", "Position"]

#: columns of a frame that follow from the instrument
_DESCRIBED = ("kind", "underlying", "settlement", "expiry", "strike")


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """``qty`` contracts of one instrument, long positive.

    ``entry_price`` is in USD for futures and perpetuals and in settlement currency for options; None means
    that the position is carried at its mark, so that it has no unrealised profit.
    """

    instrument: Instrument
    qty: float
    entry_price: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.qty, bool) or not math.isfinite(self.qty) or abs(self.qty) > LARGEST_QTY:
            raise SchemaError(
                f"qty of {self.instrument.name} is {self.qty!r}",
                f"a number of contracts up to {LARGEST_QTY:g} in size",
                "correct the quantity",
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class Portfolio(Result):
    """An ordered set of positions in distinct instruments at one instant.

    Attributes
    ----------
    positions : tuple of Position
    as_of : pandas.Timestamp
        Aware UTC instant of the positions.
    name : str
        Label in tables.
    skipped : int
        Collateral rows of the source that belong to :class:`pmkit.Account` and are not held here.
    source : str or None
        File or table that the positions were read from, for messages.
    rows : mapping of str to int
        Row of each instrument and collateral currency in the source, for messages.

    Examples
    --------
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01T00:00Z"}
    >>> book = Portfolio.from_records([row])
    >>> len(book), book.underlyings, float(book.quantities[0])
    (1, ('BTC',), -100.0)
    """

    positions: tuple[Position, ...]
    as_of: pd.Timestamp
    name: str = "portfolio"
    skipped: int = 0
    source: str | None = field(default=None, compare=False)
    rows: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        names = [p.instrument.name for p in self.positions]
        repeated = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
        if repeated:
            raise SchemaError(
                f"instrument {repeated[0]!r} is held twice",
                "one position per instrument",
                "add the quantities up",
            )
        for p in self.positions:
            lots = p.qty / p.instrument.lot
            if abs(lots - round(lots)) > 1e-9 * max(1.0, abs(lots)):
                warnings.warn(
                    LotWarning(
                        f"{p.qty:g} contracts of {p.instrument.name} are not a multiple of the lot"
                        f" {p.instrument.lot:g}"
                    ),
                    stacklevel=3,
                )

    # -- construction ---------------------------------------------------------------------------------------
    @classmethod
    def from_table(cls, table: AccountTable, name: str) -> Portfolio:
        """Return the positions of a checked account table."""
        held = tuple(Position(instrument=i, qty=q, entry_price=e) for i, q, e in table.positions)
        return cls(
            positions=held,
            as_of=table.as_of,
            name=name,
            skipped=len(table.collateral),
            source=table.source,
            rows=dict(table.rows),
        )

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Portfolio:
        """Return the positions of an account CSV; collateral rows are counted in ``skipped``.

        See :func:`pmkit.instruments.table.read_account_csv` for the columns and the errors.
        """
        table = read_account_csv(path)
        return cls.from_table(table, table.source.rsplit(".", 1)[0])

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, name: str = "portfolio") -> Portfolio:
        """Return the positions of a frame with the columns of an account CSV, or of :meth:`to_frame`."""
        frame = frame.drop(columns=[c for c in _DESCRIBED if c in frame])
        return cls.from_records(frame.to_dict(orient="records"), name=name)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[Any, Any]], name: str = "portfolio") -> Portfolio:
        """Return the positions of mappings with the keys of an account CSV."""
        return cls.from_table(read_account_rows(records, source=name, first_row=1), name)

    # -- reading --------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Position]:
        return iter(self.positions)

    @cached_property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments in the order of the positions."""
        return tuple(p.instrument for p in self.positions)

    @property
    def quantities(self) -> FloatArray:
        """Signed contracts, shape (positions,)."""
        return np.array([p.qty for p in self.positions], dtype=np.float64)

    @cached_property
    def underlyings(self) -> tuple[str, ...]:
        """Distinct underlyings in order of first appearance."""
        return tuple(dict.fromkeys(p.instrument.underlying for p in self.positions))

    @property
    def expiries(self) -> tuple[pd.Timestamp, ...]:
        """Distinct expiries of dated futures and options, ascending."""
        return tuple(
            sorted(
                {p.instrument.expiry for p in self.positions if isinstance(p.instrument, (Future, Option))}
            )
        )

    def of_underlying(self, underlying: str) -> Portfolio:
        """Return the positions in one underlying."""
        held = tuple(p for p in self.positions if p.instrument.underlying == underlying)
        with warnings.catch_warnings():
            # the whole portfolio has given the warning already
            warnings.simplefilter("ignore", LotWarning)
            return replace(self, positions=held, name=f"{self.name} {underlying}")

    def with_positions(self, positions: Iterable[Position]) -> Portfolio:
        """Return a portfolio with ``positions`` instead, same instant and name."""
        return replace(self, positions=tuple(positions))

    def place(self, name: str, column: str = "instrument") -> dict[str, Any]:
        """Return where an instrument or collateral currency was read, as arguments of an error."""
        if name not in self.rows:
            return {}
        return {"file": self.source, "row": self.rows[name], "column": column}

    def to_frame(self) -> pd.DataFrame:
        """Return one row per position in the columns of an account CSV, with the contract's conventions."""
        rows = [
            {
                "type": "position",
                "instrument": p.instrument.name,
                "kind": p.instrument.kind,
                "underlying": p.instrument.underlying,
                "settlement": p.instrument.settlement,
                "expiry": getattr(p.instrument, "expiry", pd.NaT),
                "strike": getattr(p.instrument, "strike", math.nan),
                "qty": p.qty,
                "entry_price": math.nan if p.entry_price is None else p.entry_price,
                "as_of": self.as_of.isoformat(),
            }
            for p in self.positions
        ]
        columns = ["type", "instrument", *_DESCRIBED, "qty", "entry_price", "as_of"]
        return pd.DataFrame(rows, columns=columns)

    def summary(self) -> pd.DataFrame:
        """Return lines, gross and net contracts by underlying and kind."""
        frame = self.to_frame()
        grouped = frame.assign(gross=frame["qty"].abs()).groupby(["underlying", "kind"], sort=False)
        return pd.DataFrame(
            {"lines": grouped.size(), "gross": grouped["gross"].sum(), "net": grouped["qty"].sum()}
        )
