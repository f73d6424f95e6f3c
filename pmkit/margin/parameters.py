"""Dated parameter sets of the rules: read from TOML, checked, selected by date, with their age."""

from __future__ import annotations

import datetime
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import pandas as pd
from pydantic import ValidationError

from pmkit.core.errors import ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.core.provenance import fingerprint
from pmkit.core.time import parse_utc
from pmkit.margin.schemas import SCHEMAS, ParameterTable

__all__ = [
    "ParameterSet",
    "Stale",
    "list_parameter_sets",
    "load_parameter_sets",
    "parse_parameter_sets",
    "select",
    "select_set",
]

Stale = Literal["error", "warn"]
Origin = Literal["published", "assumed"]

_META = frozenset(
    {
        "id", "venue", "variant", "valid_from", "last_observed", "valid_to", "dates_status", "source", "note",
        "underlying", "status",
    }
)  # fmt: skip


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
        return 0.0 if known is None else float(max((_day(as_of) - known).days, 0))

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
        >>> wider = load_parameter_sets("deribit-pm")[0].with_values("BTC", price_range=0.20)
        >>> wider.id, wider.table("BTC").price_range
        ('deribit-pm-spm-btc-2024-06 (modified)', 0.2)
        """
        key = underlying if underlying in self.tables else "*"
        record = {**self.table(underlying).model_dump(), **values}
        schema = SCHEMAS[self.rule][self.variant]
        table = _checked(schema, record, self._file or self.id, key)
        marks: dict[str, Origin] = {name: "assumed" for name in values}
        return replace(
            self,
            id=self.id if self.id.endswith("(modified)") else f"{self.id} (modified)",
            tables={**self.tables, key: table},
            status={**self.status, **marks},
        )


def _day(value: pd.Timestamp | datetime.date) -> datetime.date:
    return value.date() if isinstance(value, datetime.datetime) else value


def _refuse(file: str, key: str, found: str, expected: str, remedy: str) -> ParameterError:
    return ParameterError(f"{key}: {found}", expected, remedy, file=file)


def _checked(
    schema: type[ParameterTable], record: Mapping[str, Any], file: str, where: str
) -> ParameterTable:
    try:
        return schema.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        kind, value = first["type"], first["input"]
        if kind == "extra_forbidden":
            known = ", ".join(schema.model_fields)
            raise _refuse(
                file, key, "unknown key", f"one of {known}", "correct the name or remove it"
            ) from None
        if kind == "missing":
            raise _refuse(
                file, key, "the key is missing", "a value for it", "add the key to the table"
            ) from None
        found = first["msg"] if kind == "value_error" else f"found {value!r}"
        expected = "consistent values" if kind == "value_error" else first["msg"].lower()
        raise _refuse(file, key, found, expected, "correct the value") from None


def _date(record: Mapping[str, Any], key: str, file: str, where: str) -> datetime.date | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise _refuse(
            file, f"{where}.{key}", f"found {value!r}", "a date such as 2024-06-17", "write a plain date"
        )
    return value


def _set_of(record: Mapping[str, Any], rule: str, file: str) -> ParameterSet:
    where = str(record.get("id", "set without id"))
    for key in ("id", "venue", "variant", "valid_from", "dates_status", "source", "underlying", "status"):
        if key not in record:
            raise _refuse(file, f"{where}.{key}", "the key is missing", "a value for it", "add the key")
    for key in record:
        if key not in _META:
            raise _refuse(
                file,
                f"{where}.{key}",
                "unknown key",
                f"one of {', '.join(sorted(_META))}",
                "correct or remove it",
            )
    variants = SCHEMAS[rule]
    if record["variant"] not in variants:
        raise _refuse(
            file,
            f"{where}.variant",
            f"found {record['variant']!r}",
            f"one of {', '.join(variants)}",
            "correct the name",
        )
    schema = variants[record["variant"]]
    if not record["underlying"]:
        raise _refuse(file, f"{where}.underlying", "no table", "at least one underlying", "add its values")
    tables = {
        name: _checked(schema, values, file, f"{where}.underlying.{name}")
        for name, values in record["underlying"].items()
    }
    status = dict(record["status"])
    for key in (*schema.model_fields, *status):
        if status.get(key) not in ("published", "assumed") or key not in schema.model_fields:
            raise _refuse(
                file,
                f"{where}.status.{key}",
                f"found {status.get(key)!r}",
                "'published' or 'assumed' for each key of the table and for no other",
                "mark where the value comes from",
            )
    if record["dates_status"] not in ("published", "assumed"):
        raise _refuse(
            file,
            f"{where}.dates_status",
            f"found {record['dates_status']!r}",
            "'published' or 'assumed'",
            "say whether the dates of the set are known",
        )
    first, last = _date(record, "valid_from", file, where), _date(record, "last_observed", file, where)
    end = _date(record, "valid_to", file, where)
    assert first is not None
    for key, later in (("last_observed", last), ("valid_to", end)):
        if later is not None and later < first:
            raise _refuse(
                file, f"{where}.{key}", f"found {later}", f"{first} or later", "correct the dates of the set"
            )
    if last is None and "published" in status.values():
        raise _refuse(
            file,
            f"{where}.last_observed",
            "the key is missing while values are marked as published",
            "the last day on which they were observed",
            "add the date",
        )
    return ParameterSet(
        id=str(record["id"]),
        rule=rule,
        variant=record["variant"],
        venue=str(record["venue"]),
        source=str(record["source"]),
        note=str(record.get("note", "")),
        valid_from=first,
        last_observed=last,
        valid_to=end,
        dates_status=record["dates_status"],
        tables=tables,
        status=status,
        _file=file,
    )


def parse_parameter_sets(text: str, *, file: str = "parameters.toml") -> tuple[ParameterSet, ...]:
    """Return the checked sets of a parameter file, in the order of the file.

    Parameters
    ----------
    text : str
        TOML: ``rule`` and one ``[[set]]`` each with ``id``, ``venue``, ``variant``, ``valid_from``,
        ``dates_status``, ``source``, ``[set.underlying.<NAME>]`` and ``[set.status]``; optional
        ``last_observed``, ``valid_to``, ``note``.
    file : str
        Name of the file in messages.

    Raises
    ------
    ParameterError
        Naming file and key, the value found, the value expected, and the remedy.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refuse(file, "file", str(error), "valid TOML", "correct the file") from None
    rule = content.get("rule")
    if rule not in SCHEMAS:
        raise _refuse(file, "rule", f"found {rule!r}", f"one of {', '.join(SCHEMAS)}", "name the rule")
    unknown = [key for key in content if key not in ("rule", "set")]
    if unknown:
        raise _refuse(file, unknown[0], "unknown key", "rule and [[set]]", "remove it")
    sets = tuple(_set_of(record, rule, file) for record in content.get("set", []))
    ids = [s.id for s in sets]
    if not sets or len(set(ids)) < len(ids):
        raise _refuse(
            file,
            "set",
            f"found ids {ids}",
            "at least one set, each with an id of its own",
            "correct the ids",
        )
    return sets


@cache
def load_parameter_sets(rule: str) -> tuple[ParameterSet, ...]:
    """Return the shipped parameter sets of a rule."""
    if rule not in SCHEMAS:
        raise RuleVersionError(
            f"unknown rule {rule!r}", f"one of {', '.join(SCHEMAS)}", "correct the name of the rule"
        )
    file = f"{rule}.toml"
    text = resources.files("pmkit.margin").joinpath("params", file).read_text(encoding="utf-8")
    return parse_parameter_sets(text, file=file)


def select(
    rule: str,
    as_of: str | pd.Timestamp | datetime.date,
    variant: str,
    *,
    underlying: str | None = None,
    stale: Stale = "error",
) -> ParameterSet:
    """Return the newest parameter set of a rule that was valid on a date.

    Parameters
    ----------
    rule, variant : str
    as_of : str, Timestamp or date
        The date that selects the set.
    underlying : str, optional
        Only sets with a table for it.
    stale : {"error", "warn"}
        What happens past the last date on which the set was observed.

    Raises
    ------
    RuleVersionError
        No set covers the date, the variant or the underlying; or the set is stale and ``stale="error"``.

    Examples
    --------
    >>> select("deribit-pm", "2024-06-17", "spm", underlying="BTC").id
    'deribit-pm-spm-btc-2024-06'
    """
    return select_set(load_parameter_sets(rule), as_of, variant, underlying=underlying, stale=stale)


def select_set(
    sets: tuple[ParameterSet, ...],
    as_of: str | pd.Timestamp | datetime.date,
    variant: str,
    *,
    underlying: str | None = None,
    stale: Stale = "error",
) -> ParameterSet:
    """Return the newest of the given sets that was valid on a date; see :func:`select`."""
    if stale not in ("error", "warn"):
        raise ParameterError(f"stale is {stale!r}", "'error' or 'warn'", "name one of the two")
    day, rule = _day(parse_utc(as_of)), sets[0].rule
    fitting = [s for s in sets if s.variant == variant and (underlying is None or s.covers(underlying))]
    what = f"{rule} variant {variant!r}" + (f" for {underlying}" if underlying is not None else "")
    if not fitting:
        known = sorted({f"{s.variant} ({', '.join(s.tables)})" for s in sets})
        raise RuleVersionError(
            f"no parameter set of {what}", f"one of {'; '.join(known)}", "choose another variant or rule"
        )
    begun = [s for s in fitting if s.valid_from <= day]
    if not begun:
        first = min(s.valid_from for s in fitting)
        raise RuleVersionError(
            f"no parameter set of {what} on {day}",
            f"a date from {first} on",
            "use a later date, or add the parameters of that time",
        )
    chosen = max(begun, key=lambda s: s.valid_from)
    age = chosen.age_days(day)
    if age > 0.0:
        last = chosen.last_observed if chosen.last_observed is not None else chosen.valid_to
        text = f"parameter set {chosen.id} was last observed on {last}, {age:.0f} days before {day}"
        if stale == "error":
            raise RuleVersionError(
                text, f"a date up to {last}", 'accept it with stale="warn", or add newer parameters'
            )
        warnings.warn(StaleParametersWarning(text), stacklevel=2)
    return chosen


def list_parameter_sets() -> pd.DataFrame:
    """Return one row per shipped parameter set: rule, variant, dates, assumed keys, checksum, source."""
    rows = [
        {
            "id": s.id,
            "rule": s.rule,
            "variant": s.variant,
            "venue": s.venue,
            "underlyings": ", ".join(s.tables),
            "valid_from": s.valid_from,
            "last_observed": s.last_observed,
            "valid_to": s.valid_to,
            "dates": s.dates_status,
            "keys": len(s.status),
            "assumed": sum(mark == "assumed" for mark in s.status.values()),
            "checksum": s.checksum,
            "source": s.source,
        }
        for rule in SCHEMAS
        for s in load_parameter_sets(rule)
    ]
    return pd.DataFrame(rows).set_index("id")
