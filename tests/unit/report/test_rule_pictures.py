"""Rules by accounts: bars that are the requirements, and worst scenarios at their moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

import pmkit as pm
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin import Comparison, MarginResult
from pmkit.margin.result import WorstScenario
from pmkit.market import MarketSnapshot
from pmkit.report.style import rule_look, rule_looks


def named(result: MarginResult, account: str, scenario: str, rule: str = "") -> MarginResult:
    worst = WorstScenario(scenario, -1.0)
    return replace(result, account=account, worst_scenario=worst, rule=rule or result.rule)


def marks(ax: Axes) -> list[tuple[float, float, str]]:
    """Return move, height and shape of every mark."""
    lines = [line for line in ax.get_lines() if line.get_linestyle() == "None"]
    return [(line.get_xdata()[0], line.get_ydata()[0], str(line.get_marker())) for line in lines]


def test_bars_are_the_requirements(compared: Comparison, market: MarketSnapshot) -> None:
    other = [replace(r, account="half", im=0.5 * r.im) for r in compared.results[:2]]
    ax = pm.report.requirements_by_account([*compared.results, *other], market)
    heights = [p.get_height() for p in ax.patches if isinstance(p, Rectangle)]
    first = [compared.usd(r, r.im_equity) for r in compared.results]
    assert heights[::2] == pytest.approx(first)
    assert heights[1:5:2] == pytest.approx([r.im_equity for r in other])
    assert np.isnan(heights[5:8:2]).all()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["straddle", "half"]
    assert ax.get_ylabel().endswith("USD")


def test_marks_stand_at_the_moves(compared: Comparison) -> None:
    one = compared.results[0]
    drawn = [
        named(one, "a", "+16%, vol up", "x"),
        named(one, "a", "BTC -24% extreme", "y"),
        named(one, "b", "-66% extended, vol up", "x"),
        named(one, "b", "+13.5%, vol down", "y"),
    ]
    ax = pm.report.worst_scenarios(drawn)
    found = marks(ax)
    assert [(x, shape) for x, _, shape in found] == [(16.0, "^"), (-24.0, "s"), (-66.0, "^"), (13.5, "v")]
    assert [round(y) for _, y, _ in found] == [0, 0, 1, 1]
    assert found[0][1] < found[1][1]
    assert "none" not in [t.get_text() for t in ax.get_xticklabels()]


def test_scenarios_without_a_move_stand_apart(compared: Comparison) -> None:
    one = compared.results[0]
    names = ["basis contingency", "2020-03-12", "BTC +12%, vol same; LTC -18%, vol same"]
    ax = pm.report.worst_scenarios([named(one, str(at), name) for at, name in enumerate(names)])
    assert {(x, shape) for x, _, shape in marks(ax)} == {(-50.0, "X")}
    assert [t.get_text() for t in ax.get_xticklabels()][-1] == "none"


def test_real_results_are_placed(compared: Comparison) -> None:
    matrix = compared["deribit-pm"]
    ((move, _, _),) = marks(pm.report.worst_scenarios([matrix]))
    assert abs(move) <= 100.0 * 0.16 + 1e-9 and f"{move:+.0f}%" in matrix.worst_scenario.name


def test_refusals(compared: Comparison) -> None:
    for draw in (pm.report.requirements_by_account, pm.report.worst_scenarios):
        with pytest.raises(DataGapError, match="no result to draw"):
            draw([])
        with pytest.raises(ParameterError, match="two results of es-fhs for account 'straddle'"):
            draw([compared["es-fhs"], compared["es-fhs"]])
    with pytest.raises(DataGapError, match="deribit-pm spm is in BTC and there is no snapshot"):
        pm.report.requirements_by_account([compared["deribit-pm"]])


def test_rules_of_one_picture_look_different() -> None:
    names = ["okx-pm", "deribit-pm", "paradex-pm", "derive-pmrm-v1", "derive-pmrm-v2"]
    looks = rule_looks(names)
    assert len({look.color for look in looks.values()}) == 5
    assert looks["deribit-pm"] == rule_look("deribit-pm")
    assert list(rule_looks([*names, *"abc"])) == [*names, "a", "b", "c"]
