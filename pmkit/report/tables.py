"""Words for numbers: one definition of every table that the terminal and the HTML report both print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.core.result import format_number
from pmkit.margin.result import MarginResult
from pmkit.margin.study.compare import Comparison
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import RiskFigure

__all__ = [
    "Cell",
    "Row",
    "amount",
    "comparison_frame",
    "error_lines",
    "margin_rows",
    "percent",
    "rule_title",
    "usd_of",
    "usd_per_unit",
]

_DOLLARS = ("USD", "USDC", "USDT")


class Cell(NamedTuple):
    """What a reader sees first, and a second line that says it in USD or explains it; empty for none."""

    text: str
    note: str = ""


class Row(NamedTuple):
    """One line of the margin table: its name, one cell a rule, and whether to look there first."""

    label: str
    cells: tuple[Cell, ...]
    strong: bool = False


def amount(value: float, currency: str) -> str:
    """Return an amount with its currency: whole dollars, coins with four decimals, ``–`` where there is none.

    Examples
    --------
    >>> amount(12345.678, "USD"), amount(-0.0628431, "BTC"), amount(float("nan"), "USD")
    ('12,346 USD', '-0.0628 BTC', '–')
    """
    if math.isnan(value):
        return "–"
    if not math.isfinite(value):
        return f"{value} {currency}"
    decimals = 0 if currency in _DOLLARS and abs(value) >= 100.0 else 2 if currency in _DOLLARS else 4
    rounded = round(value, decimals)
    if rounded == 0.0:
        # a charge that rounds to nothing is still not nothing
        text = "0" if value == 0.0 else format_number(value, 3)
    else:
        text = f"{rounded:,.{decimals}f}"
    return f"{text} {currency}"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share in per cent; ``–`` where it is not known, ``∞`` where it has no bound.

    Nothing and next to nothing read differently: ``0 %`` and ``< 0.1 %``.

    Examples
    --------
    >>> percent(0.4321), percent(0.0), percent(0.00001, 2), percent(float("inf")), percent(float("nan"))
    ('43.2 %', '0 %', '< 0.01 %', '∞', '–')
    """
    if math.isnan(share):
        return "–"
    if not math.isfinite(share):
        return "∞"
    if abs(share) < 1e-9:
        return "0 %"  # nothing, or what rounding leaves of it
    shown = round(100.0 * share, decimals)
    return (
        f"{shown:.{decimals}f} %"
        if shown
        else f"{'< ' if share > 0.0 else '> -'}{10.0**-decimals:.{decimals}f} %"
    )


def rule_title(result: MarginResult) -> str:
    """Return the name of a rule, with its variant where that says more: ``deribit-pm spm``, ``es-fhs``."""
    plain = result.variant in ("", "base") or result.rule.endswith(result.variant)
    return result.rule if plain else f"{result.rule} {result.variant}"


def usd_per_unit(currency: str, snapshot: MarketSnapshot) -> float:
    """Return the USD price of one unit of a numeraire: 1 for dollars, the index for coins."""
    return 1.0 if currency in _DOLLARS else snapshot.spot(currency)


def usd_of(result: MarginResult, snapshot: MarketSnapshot | None) -> float:
    """Return the USD price of one unit of a result's numeraire; a coin without a snapshot is an error."""
    if result.numeraire in _DOLLARS:
        return 1.0
    if snapshot is None:
        raise DataGapError(
            f"{rule_title(result)} is in {result.numeraire} and there is no snapshot",
            "a snapshot with its price",
            "hand over the snapshot of the calculation",
        )
    return usd_per_unit(result.numeraire, snapshot)


def _money(value: float, result: MarginResult, snapshot: MarketSnapshot) -> Cell:
    unit = usd_per_unit(result.numeraire, snapshot)
    if unit == 1.0 or value == 0.0 or not math.isfinite(value):
        return Cell(amount(value, result.numeraire))
    return Cell(amount(value, result.numeraire), f"= {amount(value * unit, 'USD')}")


def _not_eligible(result: MarginResult) -> Cell:
    return Cell(
        ", ".join(amount(value, currency) for currency, value in result.not_eligible.items()) or "none",
        "not eligible" if result.not_eligible else "",
    )


def _worst(result: MarginResult, snapshot: MarketSnapshot) -> Cell:
    money = _money(result.worst_scenario.pnl, result, snapshot)
    return Cell(money.text, result.worst_scenario.name)


def margin_rows(results: Sequence[MarginResult], snapshot: MarketSnapshot) -> list[Row]:
    """Return the lines of the margin table: rules in columns, amounts in the rule's numeraire and in USD.

    Parameters
    ----------
    results : sequence of MarginResult
        One a rule, in the order of the columns.
    snapshot : MarketSnapshot
        Gives the USD price of coin numeraires.
    """

    def money(label: str, values: Sequence[float], strong: bool = False) -> Row:
        cells = (_money(v, r, snapshot) for v, r in zip(values, results, strict=True))
        return Row(label, tuple(cells), strong)

    rows = [
        money("initial margin, IM", [r.im for r in results], strong=True),
        money("maintenance, MM", [r.mm for r in results]),
        money("IM against equity", [r.im_equity for r in results]),
        money("equity", [r.equity for r in results]),
        money("excess", [r.excess for r in results]),
        Row("margin ratio", tuple(Cell(percent(r.margin_ratio), r.status) for r in results), strong=True),
        Row("netting benefit", tuple(Cell(percent(r.netting_benefit)) for r in results)),
        Row("worst scenario", tuple(_worst(r, snapshot) for r in results)),
    ]
    for name in dict.fromkeys(name for r in results for name in r.addons):
        cells = (_money(r.addons[name], r, snapshot) if name in r.addons else Cell("–") for r in results)
        rows.append(Row(f"add-on: {name.replace('_', ' ')}", tuple(cells)))
    if any(r.not_eligible for r in results):
        rows.append(Row("collateral left out", tuple(_not_eligible(r) for r in results)))
    rows += [
        Row("implied level", tuple(Cell(percent(r.implied_level, 2)) for r in results), strong=True),
        money("mean loss beyond", [r.mean_loss_beyond for r in results]),
        Row(
            "parameter set",
            tuple(Cell(r.param_set, f"age {r.param_set_age_days:,.0f} days") for r in results),
        ),
        Row(
            "numeraire, basis",
            tuple(Cell(f"{r.numeraire}, {r.basis}", r.collateral_treatment) for r in results),
        ),
    ]
    return rows


def comparison_frame(found: Sequence[Comparison]) -> pd.DataFrame:
    """Return one line for each account and rule, in words: IM against equity and equity in USD, shares."""
    rows = [
        (
            one.account,
            rule_title(r),
            f"{one.usd(r, r.im_equity):,.0f}",
            f"{one.usd(r, r.equity):,.0f}",
            percent(r.margin_ratio),
            r.status,
            percent(r.netting_benefit),
            percent(r.implied_level, 2),
        )
        for one in found
        for r in one.results
    ]
    columns = ["account", "rule", "IM", "equity", "ratio", "status", "netting", "implied"]
    return pd.DataFrame(rows, columns=columns).set_index("account")


def error_lines(results: Sequence[MarginResult]) -> list[str]:
    """Return one sentence for each figure from a risk measure: value, both errors, heaviest date."""
    lines = []
    for result in results:
        for name in ("im", "mm"):
            figure = result.figures.get(name)
            if not isinstance(figure, RiskFigure):
                continue
            coin = result.numeraire
            text = f"{rule_title(result)} {name.upper()}: {figure.measure} {100.0 * figure.level:g} % "
            text += f"{amount(figure.value, coin)}, simulation error {amount(figure.se_simulation, coin)}"
            if not math.isnan(figure.se_estimation):
                text += f", estimation error {amount(figure.se_estimation, coin)}"
            if figure.influential_date:
                text += f"; {amount(figure.value_without_date, coin)} without {figure.influential_date}"
            lines.append(text)
    return lines
