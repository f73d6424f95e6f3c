"""Influence of single dates and the bootstrap of the history."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.estimation import stationary_blocks
from pmkit.instruments import Portfolio, Position
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import (
    estimation_error,
    expected_shortfall,
    leave_one_date_out,
    revalue,
    value_at_risk,
    window_error,
)
from pmkit.scenarios import Factor, ScenarioSet, filtered_historical, grid
from tests.unit.risk.conftest import future

SNAP = MarketSnapshot.from_marks("2024-01-01T18:00:00Z", {"BTC": 42_000.0})
LONG = Portfolio(
    positions=(Position(instrument=future("BTC", None, "linear"), qty=100.0),),
    as_of=pd.Timestamp("2024-01-01T00:00Z"),
)


def dated(n: int, days: int, weights: bool = False) -> ScenarioSet:
    draws = stream(4, "dated")
    w = draws.random(n)
    return ScenarioSet(
        name="dated",
        factors=(Factor("spot", "BTC"),),
        shocks=np.zeros((n, 1)),
        horizon_days=2.0,
        dynamics="sticky_strike",
        dates=draws.integers(0, days, (n, 2)),
        history_dates=pd.date_range("2020-01-01", periods=days),
        weights=w / w.sum() if weights else np.empty(0),
    )


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(("measure", "function"), [("ES", expected_shortfall), ("VaR", value_at_risk)])
def test_influence_equals_recomputing_without_each_date(measure: str, function, weights: bool) -> None:
    scen = dated(3000, 60, weights)
    effect = stream(5, "effect").standard_t(3, 60)
    pnl = effect[scen.dates].sum(axis=1) + 0.1 * stream(5, "noise").standard_normal(3000)
    base = float(function(pnl, 0.95, scen.weights))
    without = {}
    for day in range(60):
        kept = (scen.dates != day).all(axis=1)
        without[day] = float(function(pnl[kept], 0.95, scen.weights[kept]))
    best = max(without, key=lambda d: abs(without[d] - base))
    found = leave_one_date_out(pnl, scen, 0.95, measure)
    assert found.date == str(scen.history_dates[best].date())
    assert found.value == pytest.approx(without[best], rel=1e-9)
    assert found.base == pytest.approx(base, rel=1e-12)
    assert found.change == pytest.approx(without[best] - base, rel=1e-9)


def test_march_2020_decides_the_tail(real_history: PriceHistory) -> None:
    scen = filtered_historical(real_history, SNAP, n_paths=100_000, vol_anchor="filter")
    pnl = revalue(LONG, SNAP, scen).account_pnl(LONG)
    found = leave_one_date_out(pnl, scen, 0.99)
    notional = 100 * 0.01 * 42_000.0
    assert found.date == "2020-03-12"
    assert found.base / notional == pytest.approx(0.135, abs=0.004)
    assert found.value / notional == pytest.approx(0.107, abs=0.003)


def test_influence_needs_dates() -> None:
    with pytest.raises(DataGapError, match="hold no dates"):
        leave_one_date_out([1.0], grid([0.1], dynamics="sticky_strike"))
    scen = dated(10, 5)
    with pytest.raises(ParameterError, match="measure is 'es'"):
        leave_one_date_out(np.zeros(10), scen, 0.95, "es")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"9 profits for 10 scenarios|weights have shape"):
        leave_one_date_out(np.zeros(9), scen, 0.95)


def test_estimation_error_is_the_spread_over_refits(real_history: PriceHistory) -> None:
    options = {"n_boot": 8, "n_paths": 4000, "vol_anchor": 0.5}
    found = estimation_error(real_history, SNAP, LONG, {"BTC": 0.5}, (0.975, 0.99), **options)
    again = estimation_error(real_history, SNAP, LONG, {"BTC": 0.5}, 0.99, **options)
    assert found.values.shape == (8, 2) and found.failed == 0
    assert found.se[0.99] == found.values[0.99].std() == again.se[0.99]
    assert found.se[0.99] > found.se[0.975] > 0.0
    # one coin's worth of futures plus half a coin: the relative error of ES99 is ten to forty per cent
    assert 0.05 < found.se[0.99] / found.values[0.99].mean() < 0.5
    var = estimation_error(real_history, SNAP, LONG, None, 0.99, measure="VaR", **options)
    assert var.measure == "VaR" and (var.values[0.99] < found.values[0.99]).all()


def test_unconverged_refits_are_counted(real_history: PriceHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    from pmkit.risk import uncertainty

    honest = uncertainty.refit_scenarios

    def sometimes(history, snapshot, replicate, **options):
        scen = honest(history, snapshot, replicate, **options)
        parameters = {**scen.provenance.parameters, "converged": replicate % 2 == 0}
        return dataclasses.replace(
            scen, provenance=dataclasses.replace(scen.provenance, parameters=parameters)
        )

    monkeypatch.setattr(uncertainty, "refit_scenarios", sometimes)
    found = estimation_error(real_history, SNAP, LONG, None, 0.99, n_boot=4, n_paths=500, vol_anchor=0.5)
    assert found.failed == 2 and len(found.values) == 2
    assert "2 failed" in repr(found)
    with pytest.raises(DataGapError, match="1 of 2 refits did not converge"):
        estimation_error(real_history, SNAP, LONG, None, 0.99, n_boot=2, n_paths=500, vol_anchor=0.5)


@pytest.mark.parametrize(
    "options", [{"n_boot": 1}, {"n_boot": 2.5}, {"measure": "sd"}, {"levels": 0.01, "n_boot": 2}]
)
def test_bad_arguments(real_history: PriceHistory, options: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=r"n_boot is|measure is|level is"):
        estimation_error(real_history, SNAP, LONG, n_paths=200, vol_anchor=0.5, **options)


@pytest.mark.parametrize(("measure", "function"), [("ES", expected_shortfall), ("VaR", value_at_risk)])
def test_window_error_equals_resampling_whole_windows(measure: str, function) -> None:
    """The plain twin copies every scenario of each drawn window."""
    scen = dated(600, 40)
    pnl = stream(6, "pnl").standard_t(3, 600)
    found = window_error(pnl, scen, (0.9, 0.95), 5, measure=measure, mean_block=4.0, seed=3)
    names = np.unique(scen.dates[:, 0])
    for replicate in range(5):
        drawn = names[stationary_blocks(len(names), 4.0, stream(3, "windows", replicate))]
        copied = np.concatenate([pnl[scen.dates[:, 0] == window] for window in drawn])
        expected = [float(function(copied, level)) for level in (0.9, 0.95)]
        assert found.values.iloc[replicate].tolist() == pytest.approx(expected, rel=1e-9)
    assert found.se[0.95] == pytest.approx(found.values[0.95].std(ddof=1), rel=1e-12)


def test_window_error_is_the_textbook_one_for_independent_windows() -> None:
    """One scenario a window and blocks of one day: the error of a quantile, sqrt(p (1 - p) / n) / density."""
    n = 4000
    scen = dataclasses.replace(
        dated(n, n), dates=np.column_stack([np.arange(n), np.arange(n)]), provenance=dated(n, n).provenance
    )
    pnl = stream(8, "normal").standard_normal(n)
    se = window_error(pnl, scen, 0.9, 400, mean_block=1.0).se[0.9]
    density = np.exp(-0.5 * 1.2815515655**2) / np.sqrt(2.0 * np.pi)
    assert se == pytest.approx(np.sqrt(0.09 / n) / density, rel=0.2)


def test_window_error_refuses_what_it_cannot_do() -> None:
    with pytest.raises(DataGapError, match="hold no dates"):
        window_error([0.0, 1.0], grid([-0.1, 0.1], dynamics="sticky_strike"))
    with pytest.raises(ParameterError, match="n_boot is 1"):
        window_error(np.zeros(50), dated(50, 9), n_boot=1)
    with pytest.raises(ParameterError, match="measure is 'sd'"):
        window_error(np.zeros(50), dated(50, 9), measure="sd")
    with pytest.raises(ParameterError, match=r"weights have shape \(50,\)"):
        window_error(np.zeros(3), dated(50, 9), 0.6)
