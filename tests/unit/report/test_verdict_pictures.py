"""Pictures of a verdict: marks stand at the numbers, zones at the limits, and parts add up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pmkit as pm
from pmkit.backtest import BacktestResult, ProcyclicalityFrontier, walk_forward
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin.addons import PartEffects


@pytest.fixture(scope="module")
def path() -> BacktestResult:
    """A short walk with some hits."""
    history = pm.market.load_history("crypto-daily-2020-2023")
    return walk_forward("long_btc", history, "hs", "2021-05-01", "2021-06-30")


def test_breaches_are_marked_where_they_are(path: BacktestResult) -> None:
    ax = pm.report.backtest_path(path, events={"19 May": "2021-05-19"})
    hit = path.frame["hit"].to_numpy()
    (marks,) = [line for line in ax.get_lines() if str(line.get_label()).startswith("hits")]
    assert np.asarray(marks.get_ydata()) == pytest.approx(100.0 * path.frame["pnl"].to_numpy()[hit])
    assert "19 May" in [text.get_text() for text in ax.texts]


def test_zones_begin_where_the_committee_says() -> None:
    ax = pm.report.traffic_light({"calm": 2, "late": 7, "wrong": 12})
    edges = [patch.get_x() for patch in ax.patches]
    assert edges == pytest.approx([-0.5, 4.5, 9.5])
    assert [float(line.get_xdata()[0]) for line in ax.get_lines()[:3]] == [2.0, 7.0, 12.0]
    assert [text.get_text() for text in ax.texts][:3] == ["green", "yellow", "red"]
    assert len({patch.get_hatch() for patch in ax.patches}) == 3
    assert ax.get_xlabel() == "hits in 250 observations at 99 %"


def test_counts_far_out_stay_in_the_picture() -> None:
    ax = pm.report.traffic_light({"hopeless": 40})
    assert ax.get_xlim()[1] > 40


@pytest.mark.parametrize("count", [-1, 251, 2.5, True])
def test_a_count_that_is_none_is_refused(count: float) -> None:
    with pytest.raises(ParameterError, match=r"'model' has .* hits; expected a whole number from 0 to 250"):
        pm.report.traffic_light({"model": count})  # type: ignore[dict-item]


def test_no_count_is_refused() -> None:
    with pytest.raises(DataGapError, match="no count to draw"):
        pm.report.traffic_light({})


def test_dominated_models_are_hollow_and_the_others_joined() -> None:
    table = pd.DataFrame(
        {"coverage": [0.98, 0.99, 0.97], "rise": [0.2, 0.5, 0.6], "dominated": [False, False, True]},
        index=["slow", "fast", "worse"],
    )
    ax = pm.report.procyclicality_picture(ProcyclicalityFrontier(table=table, days=5), level=0.99)
    joined, *points = ax.get_lines()
    assert list(np.asarray(joined.get_xdata())) == pytest.approx([20.0, 50.0])
    assert [line.get_markerfacecolor() == "white" for line in points[:3]] == [False, False, True]
    assert ax.get_xlabel() == "largest rise of margin in 5 observations, %"


def test_the_waterfall_ends_where_the_margin_is() -> None:
    index = pd.Index(["base", "concentration", "relief", "all"], name="USD")
    effects = PartEffects(
        account="a", rule="r", table=pd.DataFrame({"im": [100.0, 30.0, -10.0, 120.0]}, index=index)
    )
    effects.check()
    ax = pm.report.margin_waterfall(effects)
    assert [bar.get_y() for bar in ax.patches] == pytest.approx([0.0, 100.0, 130.0, 0.0])
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([100.0, 30.0, -10.0, 120.0])
    assert [text.get_text() for text in ax.texts] == ["100", "+30", "−10", "120"]
    assert ax.get_ylabel() == "initial margin, USD"
