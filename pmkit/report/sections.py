"""The tables of the margin report below the main one: plain words and numbers, ready to be printed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmkit.core.result import format_number
from pmkit.margin import Account, Comparison, MarginResult
from pmkit.market import MarketSnapshot
from pmkit.report.tables import amount, margin_rows, percent, rule_title
from pmkit.risk import RiskFigure

__all__ = [
    "Block",
    "account_block",
    "anchor_block",
    "dropped_block",
    "error_block",
    "part_blocks",
    "position_block",
    "provenance_block",
    "settled_block",
    "step_blocks",
]

_NUMBER = re.compile(r"–|not computed|[-<>]?\s?-?[\d,.]+(?: (?:%|[A-Z]{3,5}))?")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A titled table of text cells; ``numeric`` says which columns stand right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str = ""


def _text(value: Any) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}" if value.tzinfo is not None else f"{value:%Y-%m-%d}"
    if isinstance(value, (int, float)):
        return format_number(float(value), 8)
    return str(value)


def _is_number(value: Any) -> bool:
    """Return True for numbers, and for texts that are a number with its unit."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _block(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> Block:
    listed = [tuple(row) for row in rows]
    numeric = tuple(bool(listed) and all(_is_number(row[at]) for row in listed) for at in range(len(columns)))
    cells = tuple(tuple(_text(value) for value in row) for row in listed)
    return Block(title=title, columns=tuple(columns), rows=cells, numeric=numeric, note=note)


def account_block(account: Account) -> Block:
    """Return lines and net contracts by underlying and kind, and the collateral."""
    frame = account.summary().reset_index()
    return _block("What the account holds", ("item", "lines", "net"), frame.itertuples(index=False))


def position_block(account: Account) -> Block:
    """Return every row of the account."""
    columns = ("type", "instrument", "qty", "entry_price")
    frame = account.to_frame()[list(columns)]
    return _block(f"All {len(frame)} rows of the account", columns, frame.itertuples(index=False))


def error_block(results: Sequence[MarginResult]) -> Block | None:
    """Return how sure the figures from a risk measure are: both errors, the date that weighs most, the tail.

    None where no rule rests on a risk measure.
    """
    rows = []
    for result in results:
        for name in ("im", "mm"):
            figure = result.figures.get(name)
            if not isinstance(figure, RiskFigure):
                continue
            unknown = math.isnan(figure.se_estimation)
            beyond = result.figures.get("tail", {}).get(figure.level, math.nan)
            rows.append(
                (
                    f"{rule_title(result)}, {name.upper()}",
                    f"{figure.measure} {100.0 * figure.level:g} %",
                    amount(figure.value, result.numeraire),
                    amount(figure.se_simulation, result.numeraire),
                    "not computed" if unknown else amount(figure.se_estimation, result.numeraire),
                    figure.influential_date or "–",
                    amount(figure.value_without_date, result.numeraire),
                    f"{beyond:.1f}",
                )
            )
    if not rows:
        return None
    columns = (
        "figure", "measure", "value", "simulation error", "estimation error", "most influential date",
        "value without it", "independent observations beyond",
    )  # fmt: skip
    note = (
        "Errors are standard errors. Simulation: the scenarios drawn. Estimation: block bootstrap of "
        "the history with the model fitted again. Simulated paths never count as independent "
        "observations."
    )
    return _block("How sure the figures are", columns, rows, note)


def anchor_block(results: Sequence[MarginResult]) -> Block | None:
    """Return where the filter starts, the level it reached itself, and other tenors; None without one."""
    for result in results:
        frame = result.figures.get("vol_anchor")
        if isinstance(frame, pd.DataFrame):
            columns = ("coin", *(str(c) for c in frame.columns))
            rows = [
                (coin, *(percent(float(v)) for v in row))
                for coin, row in zip(frame.index, frame.to_numpy(), strict=True)
            ]
            note = (
                "Annual volatility. The anchor starts the simulation; the filter reached its level by itself."
            )
            return _block("Where volatility starts", columns, rows, note)
    return None


def settled_block(comparison: Comparison, account: Account) -> Block | None:
    """Return the contracts that settle inside the horizon and what is held of them; None where none does."""
    if not comparison.settled:
        return None
    held = {p.instrument.name: p for p in account.portfolio}
    rows = [
        (name, getattr(held[name].instrument, "expiry", None), held[name].qty) for name in comparison.settled
    ]
    note = (
        f"{len(rows)} lines settle on the simulated path, at the index of their own instant; what they "
        "pay is kept in the currency of the contract to the horizon."
    )
    return _block("Settled inside the horizon", ("instrument", "settles, UTC", "qty"), rows, note)


def dropped_block(snapshot: MarketSnapshot) -> Block | None:
    """Return the quotes that were dropped or replaced, counted by reason; None where there are none."""
    if snapshot.ledger.empty:
        return None
    grouped = snapshot.ledger.groupby("reason", sort=True)["instrument"]
    rows = [(str(reason).replace("_", " "), len(names), str(names.iloc[0])) for reason, names in grouped]
    note = "A dropped quote is not used; an option without an own vol is priced from the surface."
    return _block("Quotes that were not used", ("reason", "quotes", "first of them"), rows, note)


def part_blocks(results: Sequence[MarginResult], snapshot: MarketSnapshot) -> list[Block]:
    """Return, for rules that margin each coin apart, one table a rule with a column a coin."""
    blocks = []
    for result in results:
        if result.parts:
            rows = [
                (row.label, *(f"{c.text} ({c.note})" if c.note else c.text for c in row.cells))
                for row in margin_rows(list(result.parts.values()), snapshot)
                if any(c.text != "–" for c in row.cells)
            ]
            blocks.append(_block(f"{rule_title(result)}, coin by coin", ("", *result.parts), rows))
    return blocks


def step_blocks(results: Sequence[MarginResult]) -> list[Block]:
    """Return the calculation of each rule, one table a rule, with the clauses of the rule's page."""
    blocks = []
    for result in results:
        frame = result.explain()
        if frame.empty:
            continue
        columns = ["part", "clause", "what", "value", "unit", "status"]
        if not result.parts:
            columns.remove("part")
        blocks.append(
            _block(
                f"{rule_title(result)}: {len(frame)} steps", columns, frame[columns].itertuples(index=False)
            )
        )
    return blocks


def provenance_block(comparison: Comparison, snapshot: MarketSnapshot) -> Block:
    """Return the fingerprints of everything that the numbers rest on: equal fingerprints give equal bits."""
    rows: list[tuple[str, str, str]] = [("comparison", "record", comparison.provenance.id)]
    rows += [
        ("snapshot", "record", snapshot.provenance.id),
        ("snapshot", "market data", snapshot.fingerprint),
    ]
    rows += [("snapshot", f"quotes of {name}", mark) for name, mark in snapshot.provenance.data.items()]
    scenarios = comparison.common.provenance
    rows += [("common scenarios", name, mark) for name, mark in scenarios.data.items()]
    if scenarios.seed is not None:
        rows.append(("common scenarios", "seed", str(scenarios.seed)))
    for result in comparison.results:
        rows.append((rule_title(result), "record", result.provenance.id))
        rows += [(rule_title(result), name, mark) for name, mark in result.provenance.data.items()]
    return _block("Fingerprints", ("of", "what", "fingerprint"), rows)
