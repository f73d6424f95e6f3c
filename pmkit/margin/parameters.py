"""Dated parameter sets of the rules: read from TOML, checked, selected by date, with their age."""

from __future__ import annotations

import datetime
import math
import tomllib
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import pandas as pd

from pmkit.core.errors import ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.core.time import parse_utc
from pmkit.margin.parameter_set import ParameterSet, calendar_day, checked_table, refusal
from pmkit.margin.schemas import SCHEMAS

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

_META = frozenset(
    {
        "id", "venue", "variant", "valid_from", "last_observed", "valid_to", "dates_status", "source", "note",
        "underlying", "status",
    }
)  # fmt: skip


def _date(record: Mapping[str, Any], key: str, file: str, where: str) -> datetime.date | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise refusal(
            file, f"{where}.{key}", f"found {value!r}", "a date such as 2024-06-17", "write a plain date"
        )
    return value


def _set_of(record: Mapping[str, Any], rule: str, file: str) -> ParameterSet:
    where = str(record.get("id", "set without id"))
    for key in ("id", "venue", "variant", "valid_from", "dates_status", "source", "underlying", "status"):
        if key not in record:
            raise refusal(file, f"{where}.{key}", "the key is missing", "a value for it", "add the key")
    for key in record:
        if key not in _META:
            raise refusal(
                file,
                f"{where}.{key}",
                "unknown key",
                f"one of {', '.join(sorted(_META))}",
                "correct or remove it",
            )
    variants = SCHEMAS[rule]
    if record["variant"] not in variants:
        raise refusal(
            file,
            f"{where}.variant",
            f"found {record['variant']!r}",
            f"one of {', '.join(variants)}",
            "correct the name",
        )
    schema = variants[record["variant"]]
    if not record["underlying"]:
        raise refusal(file, f"{where}.underlying", "no table", "at least one underlying", "add its values")
    tables = {
        name: checked_table(schema, values, file, f"{where}.underlying.{name}")
        for name, values in record["underlying"].items()
    }
    status = dict(record["status"])
    for key in (*schema.model_fields, *status):
        if status.get(key) not in ("published", "assumed") or key not in schema.model_fields:
            raise refusal(
                file,
                f"{where}.status.{key}",
                f"found {status.get(key)!r}",
                "'published' or 'assumed' for each key of the table and for no other",
                "mark where the value comes from",
            )
    if record["dates_status"] not in ("published", "assumed"):
        raise refusal(
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
            raise refusal(
                file, f"{where}.{key}", f"found {later}", f"{first} or later", "correct the dates of the set"
            )
    if last is None and "published" in status.values():
        raise refusal(
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
        raise refusal(file, "file", str(error), "valid TOML", "correct the file") from None
    rule = content.get("rule")
    if rule not in SCHEMAS:
        raise refusal(file, "rule", f"found {rule!r}", f"one of {', '.join(SCHEMAS)}", "name the rule")
    unknown = [key for key in content if key not in ("rule", "set")]
    if unknown:
        raise refusal(file, unknown[0], "unknown key", "rule and [[set]]", "remove it")
    sets = tuple(_set_of(record, rule, file) for record in content.get("set", []))
    ids = [s.id for s in sets]
    if not sets or len(set(ids)) < len(ids):
        raise refusal(
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
    day, rule = calendar_day(parse_utc(as_of)), sets[0].rule
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


def list_parameter_sets(as_of: str | pd.Timestamp | datetime.date | None = None) -> pd.DataFrame:
    """Return one row per shipped parameter set: rule, variant, dates, what is assumed, checksum, source.

    Parameters
    ----------
    as_of : str, Timestamp or date, optional
        Adds ``age_days``, the days from the last date on which the set is known to hold to this one, NaN for
        a choice of this package, and ``begun``, whether the set may be used on it.

    Returns
    -------
    DataFrame
        Index ``id``; dates that are not known are None.

    Raises
    ------
    ConventionError
        A date that cannot be read.

    Examples
    --------
    >>> float(list_parameter_sets("2025-01-20").loc["okx-pm-2025-01-06", "age_days"])
    6.0
    """
    day = None if as_of is None else calendar_day(parse_utc(as_of))
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
            **({} if day is None else {"age_days": _age(s, day), "begun": s.valid_from <= day}),
            "dates": s.dates_status,
            "keys": len(s.status),
            "assumed": sum(mark == "assumed" for mark in s.status.values()),
            "confidence": s.confidence,
            "checksum": s.checksum,
            "source": s.source,
        }
        for rule in SCHEMAS
        for s in load_parameter_sets(rule)
    ]
    return pd.DataFrame(rows).set_index("id")


def _age(one: ParameterSet, day: datetime.date) -> float:
    return math.nan if one.last_observed is None and one.valid_to is None else one.age_days(day)
