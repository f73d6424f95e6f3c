"""P&L attribution: zones, oracles, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from pmkit.backtest import pnl_attribution
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.random import stream


def test_measures_by_hand() -> None:
    rng = stream(1, "pla")
    truth = rng.standard_normal(250)
    theory = truth + 0.3 * rng.standard_normal(250)
    found = pnl_attribution(theory, truth)
    found.check()
    a, b = rankdata(theory), rankdata(truth)
    assert found.correlation == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-12)
    grid = np.concatenate([theory, truth])
    gaps = [abs(np.mean(theory <= x) - np.mean(truth <= x)) for x in grid]
    assert found.distance == pytest.approx(max(gaps), rel=1e-12)
    assert found.zone == "green"


@pytest.mark.parametrize(
    ("correlation", "distance", "zone"),
    [
        (0.81, 0.08, "green"),
        (0.80, 0.08, "amber"),
        (0.81, 0.09, "amber"),
        (0.70, 0.12, "amber"),
        (0.699, 0.01, "red"),
        (0.99, 0.121, "red"),
    ],
)
def test_zones_of_the_rule(correlation: float, distance: float, zone: str) -> None:
    from dataclasses import replace

    found = pnl_attribution(np.arange(30.0), np.arange(30.0) ** 1.5)
    assert replace(found, correlation=correlation, distance=distance).zone == zone


def test_a_model_without_vol_fails_on_a_straddle() -> None:
    """Full P&L of a delta-hedged straddle is gamma and vega; a delta model explains nothing of it."""
    rng = stream(2, "straddle")
    spot, vol = 0.03 * rng.standard_normal(500), 0.05 * rng.standard_normal(500)
    full = 40.0 * spot**2 + 3.0 * vol - 0.02 + 0.1 * spot
    assert pnl_attribution(0.1 * spot, full).zone == "red"
    assert pnl_attribution(40.0 * spot**2 + 3.0 * vol - 0.02, full).zone == "green"


def test_dates_travel_and_pictures_draw() -> None:
    dates = pd.date_range("2024-01-01", periods=30)
    truth = pd.Series(np.arange(30.0), index=dates)
    found = pnl_attribution(truth * 0.9, truth)
    assert found.to_frame().index.equals(dates)
    assert "Rank correlation" in found.plot().get_title()
    assert found.summary()["unexplained_variance_ratio"].iloc[0] == pytest.approx(0.01)


def test_bad_input_is_named() -> None:
    long = np.arange(30.0)
    with pytest.raises(SchemaError, match="20 or more"):
        pnl_attribution(long[:9], long[:9])
    with pytest.raises(SchemaError, match="the same dates"):
        pnl_attribution(long, long[:29])
    with pytest.raises(ParameterError, match="constant"):
        pnl_attribution(np.ones(30), long)
