"""Pictures of several rules on several accounts: what each asks for, and where its worst scenario lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.margin.result import MarginResult
from pmkit.market import MarketSnapshot
from pmkit.report.style import INK, MUTED, USD_AXIS, house_style, rule_looks
from pmkit.report.tables import usd_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["requirements_by_account", "worst_scenarios"]

#: "+16%, vol up", "BTC -24% extreme", "-66% extended, vol up": a move of one underlying, then perhaps a vol
_LABEL = re.compile(r"^(?:[A-Z0-9]+ )?([+-]?\d+(?:\.\d+)?)%(?: ([a-z]+))?(?:, vol (up|same|down))?")
_MARKERS = {"up": "^", "same": "o", "down": "v", "": "s"}
_WORDS = {"up": "vol up", "same": "vol same", "down": "vol down", "": "no vol in the name"}
#: below this move, in per cent, the axis is linear
_LINEAR = 20.0


class _Place(NamedTuple):
    """Where a scenario lies: move in per cent (NaN without one) and the direction of its vol."""

    move: float
    vol: str


def requirements_by_account(
    results: Sequence[MarginResult], snapshot: MarketSnapshot | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw what each rule asks for each account, in USD: one group of bars an account, one bar a rule.

    Bars are ``im_equity``, the requirement on the one basis on which rules compare. A pair without a result
    leaves a gap.

    Parameters
    ----------
    results : sequence of MarginResult
        At most one for each rule and account; both in the order of their first appearance.
    snapshot : MarketSnapshot, optional
        Needed where a numeraire is a coin.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        No results, or a coin numeraire without a snapshot.
    ParameterError
        Two results of one rule for one account.
    """
    accounts, rules, cells = _grid(results)
    heights = np.full((len(rules), len(accounts)), np.nan)
    for (rule, account), result in cells.items():
        heights[rules.index(rule), accounts.index(account)] = result.im_equity * usd_of(result, snapshot)
    looks = rule_looks(rules)
    width = 0.8 / len(rules)
    with house_style():
        axes = new_axes(ax)
        axes.grid(visible=False, axis="x")
        at = np.arange(len(accounts), dtype=np.float64)
        for row, rule in enumerate(rules):
            look = looks[rule]
            axes.bar(
                at + (row - 0.5 * (len(rules) - 1)) * width,
                heights[row],
                width=0.94 * width,
                color=look.color,
                hatch=look.hatch,
                edgecolor="white",
                label=rule,
            )
        axes.axhline(0.0, color=INK, linewidth=0.8)
        axes.set_xticks(at, accounts)
        axes.set(xlabel="account", ylabel="initial margin against equity, USD")
        axes.set_title("What each rule asks for")
        axes.yaxis.set_major_formatter(USD_AXIS)
        axes.legend()
    return axes


def worst_scenarios(results: Sequence[MarginResult], *, ax: Axes | None = None) -> Axes:
    """Draw where the worst scenario of each rule lies: move of the price across, accounts down.

    There is one mark a rule; its shape tells the direction of the vol. Moves are in per cent, linear up to 20
    and logarithmic beyond.
    A worst scenario whose name tells no move, such as a basis contingency or a date of history, stands in a
    column of its own at the left.

    Parameters
    ----------
    results : sequence of MarginResult
        At most one for each rule and account.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        No results.
    ParameterError
        Two results of one rule for one account.
    """
    accounts, rules, cells = _grid(results)
    places = {key: _place(result.worst_scenario.name) for key, result in cells.items()}
    known = [place.move for place in places.values() if not np.isnan(place.move)]
    nowhere = len(known) < len(places)
    left = (2.5 if nowhere else 1.0) * min([*known, -_LINEAR])
    looks = rule_looks(rules)
    with house_style():
        axes = new_axes(ax)
        for (rule, account), place in places.items():
            # rules of one account stand below one another, so that equal cells stay readable
            below = 0.7 * (rules.index(rule) - 0.5 * (len(rules) - 1)) / max(len(rules), 2)
            axes.plot(
                left if np.isnan(place.move) else place.move,
                accounts.index(account) + below,
                linestyle="",
                marker="X" if np.isnan(place.move) else _MARKERS[place.vol],
                markersize=7.0,
                color=looks[rule].color,
            )
        for line in range(1, len(accounts)):
            axes.axhline(line - 0.5, color="#dddddd", linewidth=0.6)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_xscale("symlog", linthresh=_LINEAR, linscale=1.0)
        _ticks(axes, known, left if nowhere else None)
        axes.set_yticks(range(len(accounts)), accounts)
        axes.set_ylim(len(accounts) - 0.45, -0.55)
        axes.set_xlim(1.25 * min([*known, -_LINEAR, left]), 1.25 * max([*known, _LINEAR]))
        axes.set(xlabel="move of the price in the worst scenario, %", ylabel="account")
        axes.set_title("Where the worst scenario lies")
        handles = [Line2D([], [], ls="", marker="o", color=looks[rule].color) for rule in rules]
        seen = [v for v in _MARKERS if any(p.vol == v and not np.isnan(p.move) for p in places.values())]
        handles += [Line2D([], [], ls="", marker=_MARKERS[v], color=MUTED) for v in seen]
        names = [*rules, *(_WORDS[v] for v in seen)]
        axes.legend(handles, names, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return axes


def _ticks(axes: Axes, moves: Sequence[float], nowhere: float | None) -> None:
    """Label the moves that are told apart on the axis, and the column of scenarios without one."""
    steps = (5, 10, 20, 50, 100, 200, 500)
    reach = max([*(abs(move) for move in moves), _LINEAR])
    ticks = [0.0]
    for step in steps:
        if step <= reach:
            ticks += [sign * step for sign in (-1.0, 1.0) if nowhere is None or sign * step > 0.7 * nowhere]
    words = [f"{tick:+.0f}" if tick else "0" for tick in ticks]
    if nowhere is not None:
        ticks.append(nowhere)
        words.append("none")
    axes.set_xticks(ticks, words)
    axes.set_xticks([], minor=True)


def _place(name: str) -> _Place:
    """Return move and vol of a scenario by its name; NaN where several underlyings or none are named."""
    found = None if ";" in name else _LABEL.match(name)
    if found is None:
        return _Place(float("nan"), "")
    return _Place(float(found.group(1)), found.group(3) or "")


def _grid(
    results: Sequence[MarginResult],
) -> tuple[list[str], list[str], dict[tuple[str, str], MarginResult]]:
    """Return accounts, rules (with their variant where a rule has two) and the result of each pair."""
    if not results:
        raise DataGapError(
            "there is no result to draw", "at least one", "margin an account under a rule first"
        )
    variants = pd.Series({(r.rule, r.variant): 1 for r in results}).groupby(level=0).size()
    cells: dict[tuple[str, str], MarginResult] = {}
    for result in results:
        rule = result.rule if variants[result.rule] == 1 else f"{result.rule} {result.variant}"
        if (rule, result.account) in cells:
            raise ParameterError(
                f"two results of {rule} for account {result.account!r}", "one each", "leave one out"
            )
        cells[rule, result.account] = result
    accounts = list(dict.fromkeys(account for _, account in cells))
    return accounts, list(dict.fromkeys(rule for rule, _ in cells)), cells
