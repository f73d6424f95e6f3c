"""One dated set of the numbers of a rule: its values, its dates, and where each of them comes from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from pmkit.core.errors import ParameterError, RuleVersionError
from pmkit.core.provenance import fingerprint
from pmkit.margin.schemas import SCHEMAS, ParameterTable

__all__ = ["Origin", "ParameterSet", "calendar_day", "checked_table", "refusal"]

Origin = Literal["published", "assumed"]


@dataclass(frozen=True, kw_only=True)
class ParameterSet:
    """One dated set of the numbers of a rule.

    Attributes
    ----------
    id, rule, variant, venue, source, note : str
    valid_from : datetime.date
        First day on which the set may be used.
    last_observed : datetime.date or None
        Last day on which these numbers were seen in force; None for a choice of this package.
    valid_to : datetime.date or None
        Last day in force, where it is known.
    dates_status : {"published", "assumed"}
        Whether the dates themselves are known.
    tables : mapping of str to ParameterTable
        Values by underlying; ``"*"`` serves all of them.
    status : mapping of str to {"published", "assumed"}
        Origin of each key.
    """

    id: str
    rule: str
    variant: str
    venue: str
    source: str
    valid_from: datetime.date
    tables: Mapping[str, ParameterTable]
    status: Mapping[str, Origin]
    last_observed: datetime.date | None = None
    valid_to: datetime.date | None = None
    dates_status: Origin = "assumed"
    note: str = ""
    _file: str = field(default="", repr=False, compare=False)

    def covers(self, underlying: str) -> bool:
        """Return True where the set holds a table for the underlying."""
        return underlying in self.tables or "*" in self.tables

    def table(self, underlying: str) -> Any:
        """Return the checked table of an underlying."""
        if not self.covers(underlying):
            raise RuleVersionError(
                f"parameter set {self.id} holds nothing for {underlying}",
                f"one of {', '.join(self.tables)}",
                "use another rule, or add a table for the underlying",
            )
        return self.tables[underlying if underlying in self.tables else "*"]

    def age_days(self, as_of: pd.Timestamp | datetime.date) -> float:
        """Return the whole days from the last date the set is known to hold to ``as_of``; 0 within it."""
        known = min((d for d in (self.last_observed, self.valid_to) if d is not None), default=None)
        return 0.0 if known is None else float(max((calendar_day(as_of) - known).days, 0))

    @property
    def confidence(self) -> str:
        """How much of the set is known: ``published``, ``assumed``, or ``mixed`` with the keys assumed."""
        assumed = sum(mark == "assumed" for mark in self.status.values())
        if assumed in (0, len(self.status)):
            return "assumed" if assumed else "published"
        return f"mixed: {assumed} of {len(self.status)} keys assumed"

    @property
    def checksum(self) -> str:
        """Fingerprint of every value, date and mark of the set."""
        tables = {name: table.model_dump() for name, table in self.tables.items()}
        dates = [str(d) for d in (self.valid_from, self.last_observed, self.valid_to)]
        return fingerprint(self.id, self.rule, self.variant, dates, tables, dict(self.status))

    def with_values(self, underlying: str, **values: Any) -> ParameterSet:
        """Return a copy with other values for one underlying, checked, its id marked as modified.

        Examples
        --------
        >>> from pmkit.margin.parameters import load_parameter_sets
        >>> wider = load_parameter_sets("deribit-pm")[0].with_values("BTC", price_range=0.20)
        >>> wider.id, wider.table("BTC").price_range
        ('deribit-pm-spm-btc-2024-06 (modified)', 0.2)
        """
        key = underlying if underlying in self.tables else "*"
        record = {**self.table(underlying).model_dump(), **values}
        schema = SCHEMAS[self.rule][self.variant]
        table = checked_table(schema, record, self._file or self.id, key)
        marks: dict[str, Origin] = {name: "assumed" for name in values}
        return replace(
            self,
            id=self.id if self.id.endswith("(modified)") else f"{self.id} (modified)",
            tables={**self.tables, key: table},
            status={**self.status, **marks},
        )


def calendar_day(value: pd.Timestamp | datetime.date) -> datetime.date:
    """Return the day of an instant, or the day itself."""
    return value.date() if isinstance(value, datetime.datetime) else value


def refusal(file: str, key: str, found: str, expected: str, remedy: str) -> ParameterError:
    """Return the error of a key of a parameter file: what was found, expected, and what to do."""
    return ParameterError(f"{key}: {found}", expected, remedy, file=file)


def checked_table(
    schema: type[ParameterTable], record: Mapping[str, Any], file: str, where: str
) -> ParameterTable:
    """Return the values of a table, checked by its schema.

    Raises
    ------
    ParameterError
        Naming file and key, the value found, the value expected, and the remedy.
    """
    try:
        return schema.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        kind, value = first["type"], first["input"]
        if kind == "extra_forbidden":
            known = ", ".join(schema.model_fields)
            raise refusal(
                file, key, "unknown key", f"one of {known}", "correct the name or remove it"
            ) from None
        if kind == "missing":
            raise refusal(
                file, key, "the key is missing", "a value for it", "add the key to the table"
            ) from None
        found = first["msg"] if kind == "value_error" else f"found {value!r}"
        expected = "consistent values" if kind == "value_error" else first["msg"].lower()
        raise refusal(file, key, found, expected, "correct the value") from None
