"""Conformance: published and computed cases of a rule, run one by one, expected against got."""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result, jsonable
from pmkit.margin.accounts.account import Account
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIGURES", "Conformance", "ConformanceCase", "ConformanceLine", "conform", "read_json", "run_case"]

Convention = Literal["requirement", "net margin"]

#: figures of a case that are compared, in the order of the lines
FIGURES = ("im", "mm", "im_equity", "worst")


@dataclass(frozen=True, kw_only=True)
class ConformanceCase:
    """One case: an account and a market under a rule, and what the source says comes out.

    Attributes
    ----------
    name, source : str
    rule : rule
        With the parameters of the case.
    account : Account
    snapshot : MarketSnapshot
    im, mm, im_equity, worst : float or None
        Expected figures in the numeraire; ``worst`` is the P&L of the worst scenario. None is not compared.
    worst_name : str or None
        Scenario that the source names. Another one of equal P&L is accepted.
    convention : {"requirement", "net margin"}
        ``net margin``: ``im`` and ``mm`` are equity minus the requirement.
    tolerance : float
        Largest difference, relative to the expected figure above 1 and absolute below.
    """

    name: str
    rule: AnyRule
    account: Account
    snapshot: MarketSnapshot
    im: float | None = None
    mm: float | None = None
    im_equity: float | None = None
    worst: float | None = None
    worst_name: str | None = None
    convention: Convention = "requirement"
    tolerance: float = 1e-9
    source: str = ""

    def __post_init__(self) -> None:
        if all(getattr(self, figure) is None for figure in FIGURES):
            raise SchemaError(
                f"case {self.name!r} expects nothing",
                "im, mm, im_equity or the worst scenario",
                "add an expected figure",
            )
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0.0):
            raise ParameterError(
                f"tolerance of case {self.name!r} is {self.tolerance!r}", "0 or more", "correct it"
            )


class ConformanceLine(NamedTuple):
    """One compared figure: case, item, expected, got, difference, whether it is within the tolerance."""

    case: str
    item: str
    expected: float
    got: float
    difference: float
    ok: bool
    note: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Conformance(Result):
    """Every compared figure of a set of cases.

    Attributes
    ----------
    rule : str
    lines : tuple of ConformanceLine
    cases : int
    """

    rule: str
    lines: tuple[ConformanceLine, ...]
    cases: int
    references: tuple[str, ...] = field(default=())

    @property
    def misses(self) -> int:
        """Cases with a figure outside the tolerance."""
        return len({line.case for line in self.lines if not line.ok})

    @property
    def ok(self) -> bool:
        """True where every figure of every case is within the tolerance."""
        return self.misses == 0

    def check(self) -> None:
        """Raise where a difference is not the one of its figures."""
        for line in self.lines:
            if line.difference != line.got - line.expected:
                raise SchemaError(
                    f"difference of {line.case} {line.item}", "got minus expected", "report this as a bug"
                )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a figure: case, item, expected, got, difference, ok, note."""
        return pd.DataFrame(list(self.lines), columns=list(ConformanceLine._fields))

    def summary(self) -> pd.DataFrame:
        """Return cases, misses and the largest difference, one row an item."""
        frame = self.to_frame()
        rows = {
            str(item): {
                "cases": len(part),
                "misses": int((~part["ok"]).sum()),
                "largest_difference": float(part["difference"].abs().max()),
            }
            for item, part in frame.groupby("item", sort=False)
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON record of the command line."""
        record: dict[str, Any] = jsonable(
            {
                "rule": self.rule,
                "cases": self.cases,
                "misses": self.misses,
                "ok": self.ok,
                "lines": [line._asdict() for line in self.lines],
            }
        )
        return record

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the size of every difference on a log scale, one mark a figure."""
        axes = new_axes(ax)
        for item, part in self.to_frame().groupby("item", sort=False):
            sizes = part["difference"].abs().clip(lower=1e-18).to_numpy()
            axes.semilogy(part.index.to_numpy(), sizes, "o", label=str(item))
        axes.set(xlabel="figure", ylabel="size of the difference", title=f"conformance of {self.rule}")
        axes.legend()
        return axes


def run_case(case: ConformanceCase) -> tuple[ConformanceLine, ...]:
    """Return the compared figures of one case: IM, MM and worst scenario as far as they are expected.

    Raises
    ------
    PmkitError
        Whatever the rule raises for the case, with its name.
    """
    try:
        result = case.rule.requirement(case.account, case.snapshot)
    except PmkitError as error:
        raise type(error)(f"case {case.name!r}: {error.found}", error.expected, error.remedy) from None
    net = case.convention == "net margin"
    got = {
        "im": result.equity - result.im if net else result.im,
        "mm": result.equity - result.mm if net else result.mm,
        "im_equity": result.im_equity,
        "worst": result.worst_scenario.pnl,
    }
    lines = []
    for item in FIGURES:
        value: float | None = getattr(case, item)
        if value is None:
            continue
        ok = abs(got[item] - value) <= case.tolerance * max(1.0, abs(value))
        note = ""
        if item == "worst":
            ok, note = _named_as_expected(case, result, ok)
        lines.append(ConformanceLine(case.name, item, value, got[item], got[item] - value, ok, note))
    return tuple(lines)


def _named_as_expected(case: ConformanceCase, result: MarginResult, ok: bool) -> tuple[bool, str]:
    """Return whether the scenario that the source names is the worst one, or ties with it, and its name."""
    found = result.worst_scenario
    if case.worst_name is None or case.worst_name == found.name:
        return ok, found.name
    named = result.scenario_vector.get(case.worst_name)
    if named is not None and abs(named - found.pnl) <= case.tolerance * max(1.0, abs(found.pnl)):
        return ok, f"{found.name}, level with {case.worst_name}"
    return False, f"{found.name} where the source names {case.worst_name}"


def conform(
    rule: str, files: Sequence[str | os.PathLike[str]], *, tolerance: float | None = None
) -> Conformance:
    """Return expected against got for every case of the files under one rule.

    Parameters
    ----------
    rule : str
        Name of a rule.
    files : sequence of path
        JSON or JSON lines, also gzipped: the shape of the shared case files, or of Derive's own test data.
    tolerance : float, optional
        Replaces the tolerance of every case.

    Returns
    -------
    Conformance

    Raises
    ------
    SchemaError
        A file that is not JSON, or a case with a missing or malformed entry, named by file and case.
    DataGapError
        No file, or a file without cases.
    RuleVersionError
        Unknown rule.

    Notes
    -----
    The shared shape is ``{"source", "cases": [...]}``. A case has ``name``, ``as_of``, ``spot``, ``account``
    (rows of an account file) and ``expected`` (``im``, ``mm``, ``im_equity``, ``worst``, ``worst_name``);
    optional are the obligations ``mmp_margin`` and ``open_order_margin`` by currency, the marks
    ``perpetual``, ``forwards``, ``option_iv``, ``funding``, ``discounts``, ``fx``, then ``contracts`` (see
    :func:`pmkit.margin.conformance.contracts.contract_of`), ``variant``, ``options`` of the rule,
    ``parameters`` by underlying, ``tolerance`` and ``source``.
    """
    from pmkit.margin.conformance.files import read_cases

    if not files:
        raise DataGapError("no case file", "at least one", "name a file of cases")
    cases = [case for path in files for case in read_cases(path, rule)]
    if tolerance is not None:
        cases = [replace(case, tolerance=tolerance) for case in cases]
    lines = tuple(line for case in cases for line in run_case(case))
    return Conformance(rule=rule, lines=lines, cases=len(cases))


def read_json(path: str | os.PathLike[str]) -> list[Any]:
    """Return the records of a JSON file or of JSON lines, one a line; gzipped where the name ends so.

    Raises
    ------
    SchemaError
        The file cannot be read or is not JSON.
    """
    name = Path(path).name
    try:
        raw = Path(path).read_bytes()
        text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise SchemaError(
            f"cannot read: {reason}",
            "a readable JSON file in UTF-8",
            "correct the path or the file",
            file=name,
        ) from None
    lines = name.removesuffix(".gz").endswith(".jsonl")
    records = []
    for row, part in enumerate(text.splitlines() if lines else [text], start=1):
        if not part.strip():
            continue
        try:
            records.append(json.loads(part))
        except (json.JSONDecodeError, RecursionError) as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            raise SchemaError(
                f"not JSON: {what}", "one JSON value a line" if lines else "one JSON value",
                "correct the file", file=name, row=row,
            ) from None  # fmt: skip
    return records
