"""The margin report: one HTML file that opens offline, without script, on paper and on a phone."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import pmkit
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.io import write_atomic
from pmkit.margin import Account, Comparison, MarginResult
from pmkit.market import MarketSnapshot
from pmkit.report import sections
from pmkit.report.embedded import Picture, png_text
from pmkit.report.plots import loss_distribution, margin_comparison, scenario_heatmap
from pmkit.report.profile import pnl_profile
from pmkit.report.tables import amount, margin_rows, rule_title
from pmkit.risk import RiskFigure, expected_shortfall, value_at_risk

__all__ = ["margin_report", "write_margin_report"]

_WIDE = (10.0, 2.7)


def _comparison_picture(comparison: Comparison, snapshot: MarketSnapshot) -> Picture:
    results = comparison.results
    asked = ", ".join(f"{rule_title(r)} {amount(comparison.usd(r, r.im_equity), 'USD')}" for r in results)
    return Picture(
        png_text(partial(margin_comparison, results, snapshot)),
        f"Bars of the initial margin by rule: {asked}.",
        "What each rule asks for, on the one basis on which rules compare, in USD at the index. White "
        "line: maintenance margin. Black line: the equity that the rule recognises, which differs where "
        "a rule counts less collateral.",
    )


def _profile_picture(account: Account, snapshot: MarketSnapshot, coin: str, days: float) -> Picture:
    moves = snapshot.market(coin).surface is not None
    smile = "The smile moves with the price" if moves else "The vol of each strike is held"
    return Picture(
        png_text(partial(pnl_profile, account, snapshot, underlying=coin, horizon_days=days)),
        f"Profit and loss of the account in USD against the price of {coin}, now and in {days:g} days.",
        f"Full revaluation at every price of {coin}. {smile}, the level of implied vol, the basis and other "
        "prices stand still. Collateral in coin is revalued too; a thin curve leaves it out.",
    )


def _matrix_pictures(results: tuple[MarginResult, ...]) -> list[Picture]:
    pictures = []
    for result in results:
        for part in result.parts or (None,):
            shown = result if part is None else result.parts[part]
            if "matrix" not in shown.figures:
                continue
            worst = shown.worst_scenario
            pictures.append(
                Picture(
                    png_text(partial(scenario_heatmap, result, part=part), _WIDE),
                    f"Risk matrix of {rule_title(result)} in {shown.numeraire}; the worst cell is "
                    f"{worst.name} with {amount(worst.pnl, shown.numeraire)}.",
                    f"The cells that {rule_title(result)} compares, for positions alone in "
                    f"{shown.numeraire}; the worst has a frame. Vol moves are those of the rule, scaled "
                    "by the time to expiry of each option. Tail moves, where it has them, stand as it "
                    "counts them, scaled back to the edge of the table and dampened.",
                )
            )
    return pictures


def _distribution_picture(comparison: Comparison, snapshot: MarketSnapshot) -> Picture:
    figures = [r.figures["im"] for r in comparison.results if isinstance(r.figures.get("im"), RiskFigure)]
    level = figures[0].level if figures else 0.99
    common, pnl = comparison.common, comparison.common_pnl
    var, es = (float(measure(pnl, level, common.weights)) for measure in (value_at_risk, expected_shortfall))
    days = f"{common.horizon_days:g} days"
    draw = partial(
        loss_distribution,
        pnl,
        var=var,
        es=es,
        level=level,
        results=comparison.results,
        snapshot=snapshot,
        weights=common.weights,
        title=f"{comparison.account}: P&L over {days}",
    )
    return Picture(
        png_text(draw),
        f"Distribution of the profit and loss over {days}: value at risk {amount(var, 'USD')}, expected "
        f"shortfall {amount(es, 'USD')} at {100.0 * level:g} %.",
        f"{len(common):,} common scenarios ({common.name}), collateral revalued, with VaR and ES at "
        f"{100.0 * level:g} % and what each rule asks for. Requirements in coin stand at the index of "
        "today; an arrow marks one beyond the picture.",
    )


def _reading(comparison: Comparison) -> list[str]:
    """Return how the lines of the main table are to be read."""
    common = comparison.common
    return [
        "IM against equity: the initial margin on the one basis on which rules compare. Equity always "
        "includes the value of the options; where the basis is cash the requirement carries the "
        "premium, and the net value of the options is added. Excess, ratio and netting benefit use it "
        "alone.",
        "Netting benefit: one minus this requirement over the sum of the requirements of the lines, "
        "each alone under the same rule. Lines are positions, and balances in coin where the rule "
        "revalues them. It can be negative.",
        f"Implied level: the share of one set of {len(common):,} scenarios ({common.name}, "
        f"{common.horizon_days:g} days) in which an account that holds exactly this requirement, in the "
        "rule's own numeraire, would be wiped out. Mean loss beyond: what is then missing on average. "
        "This is the only yardstick on which the rules compare.",
        "Age of a parameter set: days from the last date on which its numbers were observed; a choice "
        "of this package does not age.",
    ]


def _labels(snapshot: MarketSnapshot) -> list[str]:
    """Return what stands for what in the market data."""
    lines = [
        f"{name}: {market.spot:,.2f} USD, {market.spot_source}; perpetual {market.perpetual:,.2f} USD, "
        f"{market.perpetual_source}; implied vols: {market.iv_source}"
        for name, market in snapshot.underlyings.items()
    ]
    return list(dict.fromkeys([*lines, *snapshot.notes]))


def _sources(comparison: Comparison) -> list[str]:
    """Return how the scenarios were made, and the set and the papers behind each rule."""
    lines = [note for result in comparison.results for note in result.notes]
    for result in comparison.results:
        papers = ", ".join(result.cite())
        lines.append(
            f"{rule_title(result)}: parameter set {result.param_set}"
            + (f"; cites {papers}" if papers else "")
        )
    return list(dict.fromkeys([*comparison.common.notes, *lines]))


def _context(comparison: Comparison, account: Account, snapshot: MarketSnapshot, note: str) -> dict[str, Any]:
    results, common = comparison.results, comparison.common
    pictures = [_comparison_picture(comparison, snapshot)]
    if len(account.portfolio):
        days = common.horizon_days or 1.0
        pictures += [
            _profile_picture(account, snapshot, coin, days) for coin in account.portfolio.underlyings
        ]
    pictures += [*_matrix_pictures(results), _distribution_picture(comparison, snapshot)]
    optional = [
        sections.error_block(results),
        sections.anchor_block(results),
        sections.settled_block(comparison, account),
        sections.account_block(account),
        sections.dropped_block(snapshot),
    ]
    collateral = ", ".join(amount(x, c) for c, x in account.collateral.items()) or "none"
    return {
        "version": pmkit.__version__,
        "account": comparison.account,
        "headline": f"{snapshot.as_of:%Y-%m-%d %H:%M:%S} UTC, market data {snapshot.source}. "
        f"{len(account.portfolio)} positions, collateral {collateral}.",
        "note": note[:1].upper() + note[1:],
        "labels": _labels(snapshot),
        "rules": [rule_title(r) for r in results],
        "margin": margin_rows(results, snapshot),
        "reading": _reading(comparison),
        "warnings": list(comparison.warnings),
        "pictures": pictures,
        "tables": [
            *sections.part_blocks(results, snapshot),
            *(block for block in optional if block is not None),
        ],
        "steps": sections.step_blocks(results),
        "sources": _sources(comparison),
        "origins": [sections.position_block(account), sections.provenance_block(comparison, snapshot)],
    }


def margin_report(
    comparison: Comparison, account: Account, snapshot: MarketSnapshot, *, note: str = ""
) -> str:
    """Return the report of a comparison as one self-contained HTML page.

    Parameters
    ----------
    comparison : Comparison
        From :func:`pmkit.margin.compare`.
    account : Account
        The account that was compared.
    snapshot : MarketSnapshot
        The market that it was compared on.
    note : str
        A line for the head of the page, such as that the account is simulated.

    Returns
    -------
    str
        HTML with its style and pictures inside: no script, no outside address, no clock time, so that equal
        input gives equal bytes.

    Raises
    ------
    ConventionError
        Account or snapshot are not those of the comparison.
    """
    if (account.name, snapshot.as_of) != (comparison.account, comparison.as_of):
        raise ConventionError(
            f"account {account.name!r} and snapshot of {snapshot.as_of.isoformat()} for a comparison of "
            f"{comparison.account!r} at {comparison.as_of.isoformat()}",
            "the account and the snapshot that were compared",
            "hand over the same objects",
        )
    environment = Environment(
        loader=PackageLoader("pmkit.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("margin_report.html.j2")
    return template.render(_context(comparison, account, snapshot, note)) + "\n"


def write_margin_report(
    path: str | os.PathLike[str],
    comparison: Comparison,
    account: Account,
    snapshot: MarketSnapshot,
    *,
    note: str = "",
) -> Path:
    """Write :func:`margin_report` to a file, whole or not at all, and return its path.

    Raises
    ------
    ParameterError
        The file cannot be written there.
    ConventionError
        As for :func:`margin_report`.
    """
    page = margin_report(comparison, account, snapshot, note=note)
    try:
        return write_atomic(path, page)
    except OSError as error:
        raise ParameterError(
            f"the report cannot be written to {os.fspath(path)!r} ({error.strerror})",
            "a file in a folder that can be written",
            "choose another place",
        ) from None
