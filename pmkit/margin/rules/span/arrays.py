"""Risk arrays: what one long contract loses in each scenario, and its composite delta; CSV in and out."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.io import write_atomic
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result, jsonable
from pmkit.margin.rules.span.scenarios import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RiskArray", "RiskArrays"]

_COLUMNS = ("instrument", "delta", *(f"s{row}" for row in range(1, 17)))


class RiskArray(NamedTuple):
    """Losses of one long contract by scenario, positive a loss, in its currency, and its composite delta."""

    losses: tuple[float, ...]
    delta: float


@dataclass(frozen=True, kw_only=True, repr=False)
class RiskArrays(Result):
    """Risk arrays by contract.

    Attributes
    ----------
    arrays : mapping of str to RiskArray
        By name of the contract; sixteen losses each.

    Raises
    ------
    SchemaError
        An array that has not sixteen finite losses and a finite delta.

    Examples
    --------
    >>> flat = RiskArrays(arrays={"F": RiskArray(losses=(0.0,) * 16, delta=1.0)})
    >>> flat.to_csv().splitlines()[0][:24]
    'instrument,delta,s1,s2,s'
    >>> RiskArrays.from_text(flat.to_csv()) == flat
    True
    """

    arrays: Mapping[str, RiskArray]
    references: tuple[str, ...] = field(default=("mcmillan2002",), compare=False)

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if len(array.losses) != 16 or not all(map(math.isfinite, (*array.losses, array.delta))):
                raise SchemaError(
                    f"risk array of {name!r} has {len(array.losses)} losses",
                    "sixteen finite losses and a finite delta",
                    "leave the contract out where a settlement price is missing; a zero would be a price",
                )

    @classmethod
    def of(cls, given: RiskArrays | Mapping[str, Any]) -> RiskArrays:
        """Return arrays from a mapping of name to a record with ``losses`` and ``delta``.

        Raises
        ------
        SchemaError
            A record without one of the two.
        """
        if isinstance(given, RiskArrays):
            return given
        arrays = {}
        for name, record in given.items():
            if isinstance(record, RiskArray):
                arrays[name] = record
                continue
            if not isinstance(record, Mapping) or set(record) != {"losses", "delta"}:
                raise SchemaError(
                    f"risk array of {name!r} is {type(record).__name__}",
                    "the entries losses and delta",
                    "complete the record",
                )
            arrays[name] = RiskArray(tuple(float(x) for x in record["losses"]), float(record["delta"]))
        return cls(arrays=arrays)

    # -- files ----------------------------------------------------------------------------------------------
    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> RiskArrays:
        """Return the arrays of a CSV file with columns instrument, delta, s1 to s16.

        Raises
        ------
        DataGapError
            The file is absent or holds no row.
        SchemaError
            A column or a cell is wrong; the message names file, row and column.
        """
        file = Path(path)
        if not file.is_file():
            raise DataGapError(f"no file {str(path)!r}", "a CSV of risk arrays", "check the path")
        try:
            return cls.from_text(file.read_text(encoding="utf-8-sig"), source=file.name)
        except UnicodeDecodeError:
            raise SchemaError(
                "the file is not UTF-8 text", "a CSV text file", "export it as CSV (UTF-8)", file=file.name
            ) from None

    @classmethod
    def from_text(cls, text: str, source: str = "risk arrays") -> RiskArrays:
        """Return the arrays of CSV text; see :meth:`from_csv`."""
        reader = csv.reader(io.StringIO(text))
        header = [cell.strip() for cell in next(reader, [])]
        if tuple(header) != _COLUMNS:
            raise SchemaError(
                f"columns {', '.join(header) or 'none'}", f"columns {', '.join(_COLUMNS)}",
                "write the columns in this order", file=source, row=1,
            )  # fmt: skip
        arrays: dict[str, RiskArray] = {}
        for row, cells in enumerate(reader, start=2):
            if not cells:
                continue
            if len(cells) != len(_COLUMNS) or cells[0] in arrays:
                found = f"{len(cells)} cells" if len(cells) != len(_COLUMNS) else f"{cells[0]!r} once more"
                raise SchemaError(
                    found,
                    f"{len(_COLUMNS)} cells, one row a contract",
                    "correct the row",
                    file=source,
                    row=row,
                )
            numbers = [
                _number(cell, source, row, name) for cell, name in zip(cells[1:], _COLUMNS[1:], strict=True)
            ]
            arrays[cells[0]] = RiskArray(tuple(numbers[1:]), numbers[0])
        if not arrays:
            raise DataGapError("no risk array", "at least one row", "complete the file", file=source)
        return cls(arrays=arrays)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the arrays as CSV text that reads back to the same bits; write it where a path is given."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, array in self.arrays.items():
            writer.writerow([name, repr(array.delta), *map(repr, array.losses)])
        if path is not None:
            write_atomic(Path(path), out.getvalue())
        return out.getvalue()

    # -- display --------------------------------------------------------------------------------------------
    @property
    def fingerprint(self) -> str:
        """Fingerprint of every number."""
        return fingerprint({name: list(array) for name, array in self.arrays.items()})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a contract: delta and the losses of the sixteen scenarios."""
        rows = {n: [a.delta, *a.losses] for n, a in self.arrays.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["delta", *LABELS])

    def summary(self) -> pd.DataFrame:
        """Return delta, largest loss of a long and of a short contract, one row a contract."""
        rows = {
            name: {"delta": a.delta, "long": max(a.losses), "short": -min(a.losses)}
            for name, a in self.arrays.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_dict(self) -> dict[str, Any]:
        """Return losses and delta by contract."""
        record: dict[str, Any] = jsonable({name: a._asdict() for name, a in self.arrays.items()})
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the losses of one long contract by scenario, one line a contract."""
        axes = new_axes(ax)
        for name, array in self.arrays.items():
            axes.plot(range(1, 17), array.losses, marker="o", label=name)
        axes.set(xlabel="scenario", ylabel="loss of one long contract", title="risk arrays")
        axes.legend()
        return axes


def _number(cell: str, source: str, row: int, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SchemaError(
            f"found {cell!r}", "a finite number", "correct the cell, or leave the contract out",
            file=source, row=row, column=column,
        )  # fmt: skip
    return value
