"""Case files in: which shape a file has, and the shared JSON shape."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pmkit.core.errors import DataGapError, LotWarning, PmkitError, RuleVersionError, SchemaError
from pmkit.margin.conformance.contracts import OBLIGATIONS, account_of
from pmkit.margin.conformance.derive import DERIVE_READERS
from pmkit.margin.conformance.run import FIGURES, ConformanceCase, read_json
from pmkit.margin.rule import rule as make_rule
from pmkit.margin.rule import rules
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["read_cases"]

_SHARED = ("name", "as_of", "spot", "account", "expected")
_MARKS = ("perpetual", "forwards", "option_iv", "funding", "discounts", "fx")
_CASE = ("source", "variant", "contracts", "options", "parameters", "tolerance", *OBLIGATIONS)


def read_cases(path: str | os.PathLike[str], rule: str) -> list[ConformanceCase]:
    """Return the cases of a file for one rule, in its order.

    Parameters
    ----------
    path : path
        See :func:`pmkit.margin.conformance.run.conform`.
    rule : str

    Raises
    ------
    SchemaError
        Named by file and case.
    DataGapError
        No case in the file.
    RuleVersionError
        Unknown rule.
    """
    if rule not in rules():
        raise RuleVersionError(f"unknown rule {rule!r}", f"one of {', '.join(rules())}", "correct the name")
    file = Path(path).name
    cases = []
    for name, record in _records(read_json(path), file):
        with _named(file, name), warnings.catch_warnings():
            # sizes of published cases need not be multiples of a lot
            warnings.simplefilter("ignore", LotWarning)
            cases.append(_reader(record, rule, file, name)(name, record, rule))
    if not cases:
        raise DataGapError("no case", "at least one", "correct the file", file=file)
    return cases


def _records(content: list[Any], file: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and record of every case in any of the shapes."""
    for row, found in enumerate(content, start=1):
        if not isinstance(found, dict):
            raise SchemaError(
                f"found {type(found).__name__}",
                "an object",
                "see the shapes of case files",
                file=file,
                row=row,
            )
        if "cases" in found:
            source = str(found.get("source", ""))
            for at, case in enumerate(found["cases"], start=1):
                if not isinstance(case, dict):
                    raise SchemaError(
                        f"case {at} is {type(case).__name__}", "an object", "correct the case", file=file
                    )
                yield str(case.get("name", f"case {at}")), {"source": source, **case}
        elif "case" in found and "data" in found:
            yield str(found["case"]), found["data"]
        else:
            yield from ((str(name), record) for name, record in found.items())


@contextmanager
def _named(file: str, name: str) -> Iterator[None]:
    """Say in every refusal which case of which file it is about."""
    try:
        yield
    except PmkitError as error:
        raise type(error)(f"case {name!r}: {error.found}", error.expected, error.remedy, file=file) from None
    except (KeyError, IndexError) as error:
        raise SchemaError(
            f"case {name!r}: no entry {error.args[0] if error.args else '?'!r}",
            "every entry of the shape",
            "complete the case",
            file=file,
        ) from None
    except (TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise SchemaError(
            f"case {name!r}: {error}", "numbers and lists as in the shape", "correct the case", file=file
        ) from None


def _reader(
    record: Any, rule: str, file: str, name: str
) -> Callable[[str, Mapping[str, Any], str], ConformanceCase]:
    if isinstance(record, dict) and "Scenario" in record and "Result" in record:
        if rule in DERIVE_READERS:
            return DERIVE_READERS[rule]
    elif isinstance(record, dict) and all(key in record for key in _SHARED):
        return _shared
    raise SchemaError(
        "the case has neither the shared shape nor that of the rule's venue",
        f"the entries {', '.join(_SHARED)}, or Scenario and Result for a Derive rule",
        "correct the file or the rule",
    )


# -- the shared shape ---------------------------------------------------------------------------------------
def _shared(name: str, record: Mapping[str, Any], rule: str) -> ConformanceCase:
    known = {*_SHARED, *_MARKS, *_CASE}
    unknown = [key for key in record if key not in known]
    if unknown:
        raise SchemaError(f"unknown entry {unknown[0]!r}", f"one of {', '.join(sorted(known))}", "remove it")
    snapshot = _snapshot(record)
    options: dict[str, Any] = dict(record.get("options", {}))
    if "variant" in record:
        options["variant"] = record["variant"]
    made = make_rule(rule, stale="warn", **options)
    if "parameters" in record:
        chosen = made.parameter_set(snapshot, next(iter(record["spot"])))
        for underlying, values in record["parameters"].items():
            chosen = chosen.with_values(underlying, **values)
        made = make_rule(rule, stale="warn", parameters=(chosen,), **options)
    expected = dict(record["expected"])
    worst_name = expected.pop("worst_name", None)
    unknown = [key for key in expected if key not in FIGURES]
    if unknown:
        raise SchemaError(
            f"unknown expected figure {unknown[0]!r}", f"one of {', '.join(FIGURES)}, worst_name", "remove it"
        )
    numbers: dict[str, Any] = {k: None if value is None else float(value) for k, value in expected.items()}
    return ConformanceCase(
        name=name,
        rule=made,
        account=account_of(record, name),
        snapshot=snapshot,
        worst_name=None if worst_name is None else str(worst_name),
        tolerance=float(record.get("tolerance", 1e-9)),
        source=str(record.get("source", "")),
        **numbers,
    )


def _snapshot(record: Mapping[str, Any]) -> MarketSnapshot:
    """Return the market of a case from its marks; funding is the rate of eight hours by coin."""
    coins = tuple(record["spot"])
    for entry in ("perpetual", "forwards", "funding", "discounts"):
        unknown = [coin for coin in record.get(entry) or {} if coin not in coins]
        if unknown:
            raise SchemaError(f"{entry} of {unknown[0]!r}", f"one of {', '.join(coins)}", "correct the coin")
    marks = {entry: record.get(entry) for entry in _MARKS}
    return MarketSnapshot.from_marks(record["as_of"], record["spot"], **marks)
