"""Every exchange object draws itself: on the axes it is given, with units, and never on a global figure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import pmkit as pm
from pmkit.instruments import Portfolio
from pmkit.margin.result import MarginResult, WorstScenario


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    with mpl.rc_context({"backend": "Agg"}):
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    snap = pm.market.load_snapshot("deribit-btc-2026-08-01")
    history = pm.market.load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])
    row = {
        "type": "position",
        "instrument": "BTC-28AUG26-70000-C",
        "qty": -1,
        "as_of": "2026-08-01T17:58:04Z",
    }
    book = Portfolio.from_records([row])
    scenarios = pm.scenarios.grid([-0.1, 0.0, 0.1], vol=[-0.2, 0.0, 0.3], dynamics="sticky_strike")
    cube = pm.risk.revalue(book, snap, scenarios)
    result = MarginResult(
        rule="r", variant="v", account="a", as_of=snap.as_of, param_set="p", param_set_age_days=0.0,
        numeraire="BTC", im=2.0, mm=1.5, basis="pnl", equity=5.0, collateral_treatment="own coin only",
        worst_scenario=WorstScenario("w", -1.5), addons={"roll": 0.5},
    )  # fmt: skip
    return {
        "snapshot": snap,
        "history": history,
        "volatility": pm.estimation.fit_volatility(history.returns(["BTC"])["BTC"]),
        "scenarios": scenarios,
        "cube": cube,
        "figure": pm.risk.expected_shortfall(cube.account_pnl(book), 0.75),
        "margin": result,
    }


@pytest.mark.parametrize(
    ("name", "y_or_x"),
    [
        ("snapshot", "% a year"),
        ("history", "first price"),
        ("volatility", "% a year"),
        ("scenarios", "%"),
        ("cube", "USD"),
        ("figure", "loss"),
        ("margin", "BTC"),
    ],
)
def test_plot_draws_on_the_given_axes_with_units(drawn: dict[str, Any], name: str, y_or_x: str) -> None:
    axes = plt.figure().subplots()
    assert drawn[name].plot(axes) is axes
    assert y_or_x in axes.get_xlabel() + axes.get_ylabel()
    assert axes.get_title()
    assert axes.has_data()
    assert drawn[name].plot() is not axes


def test_margin_bars_are_the_figures(drawn: dict[str, Any]) -> None:
    axes = drawn["margin"].plot()
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [1.5, 0.5, 2.0, 1.5, 5.0]


def test_cube_bars_span_worst_to_best(drawn: dict[str, Any]) -> None:
    (bar,) = drawn["cube"].plot().patches
    unit = drawn["cube"].unit_usd[0]
    assert np.allclose([bar.get_x(), bar.get_x() + bar.get_width()], [unit.min(), unit.max()])
