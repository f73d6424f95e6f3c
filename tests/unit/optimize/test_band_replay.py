"""Drift bands on paths: by hand, against the formula, on real hours, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.market import load_history
from pmkit.optimize import RebalancingBand, rebalancing_band, replay_bands


def band_of(gamma: float = 0.002, spot: float = 60_000.0, vol: float = 0.5) -> RebalancingBand:
    return rebalancing_band(gamma, spot, vol, cost_rate=0.0005, risk_aversion=1e-5)


def test_a_path_by_hand() -> None:
    band = rebalancing_band(0.1, 100.0, 0.5, cost_rate=0.01, risk_aversion=0.1)
    found = replay_bands(band, [100.0, 110.0, 105.0, 95.0], bands=[0.0, 0.7], per_day=2.0, slippage=0.5)
    # drift 1.0: 0.3 traded at 110, 0.7 left; then 0.2; then -0.8: 0.1 traded at 95
    row = found.table.loc[0.7]
    assert row["trades"] == pytest.approx(2.0 / 1.5)
    assert row["turnover"] == pytest.approx(0.4 / 1.5)
    cost = (0.01 + 0.5 * 0.3) * 0.3 * 110.0 + (0.01 + 0.5 * 0.1) * 0.1 * 95.0
    assert row["cost"] == pytest.approx(cost / 1.5)
    errors = np.array([0.0, 0.7 * -5.0, 0.2 * -10.0])
    assert row["error"] == pytest.approx(errors.std() * np.sqrt(2.0))
    assert found.table.loc[0.0, "error"] == 0.0
    assert found.table.loc[0.0, "turnover"] == pytest.approx(2.5 / 1.5)
    assert np.isnan(found.table.loc[0.0, "expected_cost"])
    assert found.days == 1.5


def test_the_formula_holds_on_a_smooth_path() -> None:
    """Simulated without jumps and watched every minute, at a level that hardly moves the scale."""
    per_day, days = 1440.0, 25.0
    step = 60_000.0 * 0.5 * np.sqrt(1.0 / 365.0 / per_day)
    path = 60_000.0 + np.cumsum(step * stream(7, "band").standard_normal(int(per_day * days)))
    found = replay_bands(band_of(), path, per_day=per_day, bands=[0.8, 1.2])
    # a trade waits for the next minute, as if the band were wider by a part of a step
    assert (found.table["error"] / found.table["expected_error"]).between(0.95, 1.15).all()
    assert (found.table["cost"] / found.table["expected_cost"]).between(0.80, 1.05).all()
    assert found.best in found.table.index
    assert found.plot().get_ylabel() == "cost, USD a day"
    assert list(found.summary().columns) == list(found.to_frame().columns)


def test_daily_closes_cost_less_and_leave_more_than_the_formula_says() -> None:
    path = load_history("crypto-daily-2020-2023").prices["BTC"].dropna().to_numpy()[-365:]
    gamma = 0.002 * 60_000.0 / path.mean()
    band = rebalancing_band(gamma, float(path.mean()), 0.5, cost_rate=0.0005, risk_aversion=1e-5)
    found = replay_bands(band, path)
    narrow = found.table.iloc[0]
    assert narrow["cost"] < narrow["expected_cost"]
    assert narrow["error"] > narrow["expected_error"]


@settings(max_examples=20)
@given(st.lists(st.floats(50.0, 150.0), min_size=3, max_size=30), st.floats(0.01, 2.0), st.floats(1.1, 4.0))
def test_wider_bands_trade_less(path: list[float], width: float, wider: float) -> None:
    found = replay_bands(band_of(0.05, 100.0), path, bands=[0.0, width, wider * width])
    assert (np.diff(found.table["turnover"]) <= 1e-12).all()
    assert found.table["turnover"].iloc[0] * found.days == pytest.approx(
        0.05 * float(np.abs(np.diff(path)).sum()), abs=1e-9
    )


def test_replays_are_checked() -> None:
    band = band_of()
    with pytest.raises(ParameterError, match="distinct half-widths"):
        replay_bands(band, [1.0, 2.0, 3.0], bands=[1.0, 1.0])
    with pytest.raises(ParameterError, match="slippage -1"):
        replay_bands(band, [1.0, 2.0, 3.0], slippage=-1.0)
    with pytest.raises(DataGapError, match="1 not positive"):
        replay_bands(band, [1.0, np.nan, 3.0])
    with pytest.raises(DataGapError, match="three prices or more"):
        replay_bands(band, [1.0, 2.0])
    found = replay_bands(band, [1.0, 2.0, 3.0], bands=[0.0, 1e-4])
    with pytest.raises(PmkitError, match="a wider band trades more"):
        type(found)(table=found.table.assign(turnover=[0.0, 1.0]), days=2.0, risk_aversion=1e-5).check()
