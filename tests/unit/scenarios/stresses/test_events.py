"""Named stresses: moves are those of the shipped closes, 1987 is typed in and says so."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.market import load_history
from pmkit.scenarios import StressEvent, list_stresses, stress_event


def test_moves_are_the_ratio_of_shipped_closes(real_history) -> None:
    closes = real_history.prices
    for name, before, until in (
        ("btc-2020-03-12", "2020-03-11", "2020-03-12"),
        ("btc-2021-05-19", "2021-05-18", "2021-05-19"),
        ("luna-2022", "2022-05-04", "2022-06-18"),
        ("ftx-2022-11", "2022-11-06", "2022-11-09"),
    ):
        event = stress_event(name)
        for asset in ("BTC", "ETH"):
            want = closes.loc[until, asset] / closes.loc[before, asset]
            assert math.exp(event.moves[asset]) == pytest.approx(want, rel=1e-14)
        assert not event.typed and event.source == "crypto-daily-2020-2023"
        event.check()


def test_golden_moves() -> None:
    """Relative moves of the lead assets, four decimals, from the shipped closes."""
    found = list_stresses()["move"].round(4).to_dict()
    assert found == {
        "btc-2020-03-12": -0.3717,
        "btc-2021-05-19": -0.1377,
        "luna-2022": -0.5209,
        "ftx-2022-11": -0.2411,
        "equity-2008-10": -0.2290,
        "equity-2020-03": -0.3392,
        "equity-1987-10-19": -0.2047,
    }


def test_equity_days_come_from_the_index() -> None:
    closes = load_history("sp500-index-1990-2022").prices["SP500"]
    event = stress_event("equity-2008-10")
    assert math.exp(event.moves["SP500"]) == pytest.approx(
        closes["2008-10-10"] / closes["2008-09-30"], rel=1e-14
    )
    assert event.sessions == 8 and event.days == 10.0


def test_1987_is_typed_and_cited() -> None:
    event = stress_event("equity-1987-10-19")
    assert event.typed and event.cite() == ("cnnmoney1997",) and "CNN Money" in event.source
    assert math.expm1(event.moves["SP500"]) == pytest.approx(224.84 / 282.70 - 1.0, rel=1e-12)
    assert event.days == 3.0 and event.sessions == 1


def test_a_window_is_the_worst_stretch_of_the_lead_asset() -> None:
    whole = stress_event("luna-2022")
    logs = whole.path["BTC"].to_numpy()
    for sessions in (1, 2, 5, 45):
        part = whole.window(sessions)
        falls = [logs[i + sessions] - logs[i] for i in range(len(logs) - sessions)]
        assert part.moves["BTC"] == pytest.approx(min(falls), rel=1e-12)
        assert part.sessions == sessions and not part.path.iloc[0].any()
    assert f"{whole.window(1).path.index[-1]:%Y-%m-%d}" == "2022-06-13"


def test_assets_without_every_close_are_named() -> None:
    assert stress_event("btc-2020-03-12").left_out == ("SOL1", "AVAX")
    assert "LUNA1" in stress_event("luna-2022").path.columns


def test_summary_and_plot() -> None:
    event = stress_event("ftx-2022-11")
    frame = event.summary()
    assert frame.loc["BTC", "on"] == "2022-11-09" and "2022-11-06 to 2022-11-09" in frame.index.name
    assert event.plot().get_title() == "Run on FTX"
    assert event.to_frame().shape == (4, 12) and event.left_out == ("SOL1", "LUNA1")


def test_bad_events() -> None:
    with pytest.raises(DataGapError, match="no stress 'lehman'; expected one of btc-2020-03-12"):
        stress_event("lehman")
    for sessions in (0, 46, 1.0, True):
        with pytest.raises(ParameterError, match="a whole number from 1 to 45"):
            stress_event("luna-2022").window(sessions)
    path = pd.DataFrame({"BTC": [0.1, np.nan]}, index=pd.date_range("2020-01-01", periods=2))
    with pytest.raises(PmkitError, match="finite, from 0 on"):
        StressEvent(name="x", title="x", source="x", lead="BTC", path=path).check()
