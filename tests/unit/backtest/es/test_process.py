"""Betting on forecasts: wealth by a plain loop, Ville's bound, power, averages, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm

from pmkit.backtest.es.null_law import TailLaw
from pmkit.backtest.es_tests import TailSeries, average_e_processes, e_backtest, e_process
from pmkit.core.errors import ConventionError, ParameterError, SchemaError

BETTINGS = ["gree", "grel", "grem", "constant"]
NORMAL = TailLaw(null="normal", df=None)


def normal_series(loss: np.ndarray, scale: np.ndarray | float = 1.0, **more) -> TailSeries:
    size = np.ones(loss.size) * scale
    return TailSeries(
        loss=loss, var=NORMAL.var(0.025) * size, es=NORMAL.es(0.025) * size, level=0.975, **more
    )


def plain(series: TailSeries, betting: str, bet: float) -> list[float]:
    """Wealth day by day, straight from the definitions."""
    p, wealth, path = series.p, 1.0, []
    rows = list(zip(series.loss, series.var, series.es, strict=True))

    def e_value(loss, z, r):
        return max(loss - z, 0.0) / (p * (r - z))

    for day, (loss, z, r) in enumerate(rows):
        share = 0.0
        if betting == "constant":
            share = bet
        elif day > 0:
            past = [e_value(y, *((z, r) if betting == "grel" else (a, b))) for y, a, b in rows[:day]]
            mean = sum(past) / day
            variance = sum((v - mean) ** 2 for v in past) / day
            edge = mean - 1.0
            share = min(max(edge / (variance + edge * edge), 0.0), 0.5) if edge > 0.0 else 0.0
        wealth *= 1.0 - share + share * e_value(loss, z, r)
        path.append(wealth)
    return path


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-3.0, 5.0), min_size=1, max_size=40),
    st.lists(st.floats(0.5, 2.0), min_size=40, max_size=40),
)
def test_wealth_by_a_plain_loop(losses, scale):
    series = normal_series(np.array(losses), np.array(scale[: len(losses)]))
    found = {}
    for betting in ("gree", "grel", "constant"):
        path = e_process(series, betting=betting, bet=0.2)
        found[betting] = np.array(plain(series, betting, 0.2))
        assert np.allclose(path.wealth, found[betting], rtol=1e-8)
        path.check()
    both = e_process(series, betting="grem")
    both.check()
    assert np.allclose(both.wealth, (found["gree"] + found["grel"]) / 2.0, rtol=1e-8)


def test_bets_know_nothing_of_the_day_they_are_placed_on():
    rng = np.random.default_rng(1)
    loss = rng.standard_normal(200) * 1.5
    changed = loss.copy()
    changed[150:] *= -3.0
    for betting in BETTINGS:
        one, other = (e_process(normal_series(x), betting=betting) for x in (loss, changed))
        assert np.array_equal(one.wealth[:150], other.wealth[:150])
        if betting not in ("grem",):
            assert np.array_equal(one.bets[:151], other.bets[:151])


def test_bet_against_var_alone():
    series = normal_series(np.array([0.0, 3.0, 0.0, 2.5]))
    path = e_process(series, measure="var", betting="constant", bet=0.02)
    assert path.e_values.tolist() == [0.0, 40.0, 0.0, 40.0]
    assert path.final == pytest.approx((0.98 * (1 + 0.02 * 39)) ** 2, rel=1e-12)
    grel, gree = (e_process(series, measure="var", betting=b).wealth for b in ("grel", "gree"))
    assert np.allclose(grel, gree, rtol=1e-12)  # forecasts do not change


def test_crossings_with_dates_and_display():
    days = pd.date_range("2024-01-01", periods=6, tz="UTC")
    series = TailSeries(loss=[1, 3, 0.5, 2.5, 4, 1], var=[2.0] * 6, es=[3.0] * 6, level=0.9, dates=days)
    path = e_process(series, betting="gree")
    assert (path.crossing(2), path.crossing(5), path.n) == (5, None, 6)
    row = path.summary().iloc[0]
    assert row["first_at_2"] == days[4] and row["first_at_20"] is None
    assert path.to_frame().index.equals(days) and list(path.to_frame()) == ["e_value", "bet", "wealth"]
    assert path.cite() == ("wang2022",) and path.p_value == pytest.approx(1.0 / path.largest)
    assert repr(path) == repr(e_process(series, betting="gree")) and "<table" in path._repr_html_()
    axes = path.plot()
    assert axes.get_yscale() == "log" and axes.get_title() == path.name
    matplotlib.pyplot.close(axes.figure)
    with pytest.raises(ParameterError, match="threshold is 1"):
        path.crossing(1)
    with pytest.raises(ParameterError, match="wealth is not the product"):
        replace(path, wealth=path.wealth * 1.01).check()


def test_endless_hits_stay_finite():
    path = e_process(normal_series(np.full(3000, 5.0)), betting="constant", bet=0.5)
    assert math.isfinite(path.final) and path.final == pytest.approx(math.exp(700.0))
    result = e_backtest(normal_series(np.full(300, 5.0)))
    assert result.decision == "rejected" and result.p_exact < 1e-9


def test_no_hit_is_no_evidence():
    for betting in BETTINGS:
        result = e_backtest(normal_series(np.zeros(100)), betting=betting)
        assert (result.decision, result.p_exact, result.statistic) == ("not_rejected", 1.0, 1.0)
    assert e_process(normal_series(np.zeros(100)), betting="constant").final == pytest.approx(0.99**100)


def test_average_of_many_portfolios():
    rng = np.random.default_rng(3)
    paths = [e_process(normal_series(rng.standard_normal(50) * 1.5)) for _ in range(4)]
    mean = average_e_processes(paths)
    assert np.allclose(mean.wealth, np.mean([path.wealth for path in paths], axis=0), rtol=1e-13)
    assert mean.x == sum(path.x for path in paths) and mean.p == 0.025 and np.isnan(mean.bets).all()
    mean.check()
    assert "vovk2021" in mean.cite()


def test_averages_that_are_refused():
    one = e_process(normal_series(np.zeros(5)))
    with pytest.raises(ParameterError, match="there is no process"):
        average_e_processes([])
    with pytest.raises(SchemaError, match=r"process 1 covers other days than process 0 \(4 against 5\)"):
        average_e_processes([one, e_process(normal_series(np.zeros(4)))])
    dates = pd.date_range("2024-01-01", periods=5, tz="UTC")
    with pytest.raises(SchemaError, match="process 1 covers other days"):
        average_e_processes([one, e_process(normal_series(np.zeros(5), dates=dates))])


def test_offsets_are_averaged():
    rng = np.random.default_rng(2)
    loss = 1.6 * rng.standard_normal(400)
    both = e_backtest(normal_series(loss, horizon=2), horizon=2)
    finals = [e_process(normal_series(loss[k::2])).final for k in (0, 1)]
    assert both.e_value == pytest.approx(sum(finals) / 2, rel=1e-12)
    with pytest.raises(ConventionError, match="the hits overlap"):
        e_process(normal_series(loss, horizon=2))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"measure": "vol"}, ParameterError, "measure is 'vol'"),
        ({"betting": "kelly"}, ParameterError, "betting is 'kelly'"),
        ({"bet": 0.0}, ParameterError, "bet is 0.0; expected a share of the wealth"),
        ({"bet": 0.6}, ParameterError, "bet is 0.6"),
        ({"bet": math.nan}, ParameterError, "bet is nan"),
        ({"bet": "0.1"}, ParameterError, "bet is '0.1'"),
    ],
)
@pytest.mark.parametrize("function", [e_process, e_backtest])
def test_input_that_is_refused(function, settings, error, message):
    with pytest.raises(error, match=message):
        function(normal_series(np.zeros(3)), **settings)


def test_no_odds_where_es_equals_var():
    series = TailSeries(loss=[1.0], var=[2.0], es=[2.0], level=0.975)
    with pytest.raises(ConventionError, match=r"es\[0\] equals VaR 2"):
        e_process(series)
    assert e_process(series, measure="var").n == 1


def test_a_right_model_crosses_no_more_often_than_ville_says():
    # Simulated: 400 right models of 500 days, read on every day.
    rng, runs = np.random.default_rng(4), 400
    paths = [e_process(normal_series(rng.standard_normal(500)), betting="gree") for _ in range(runs)]
    for threshold in (2.0, 5.0, 10.0):
        share = sum(path.crossing(threshold) is not None for path in paths) / runs
        bound = 1.0 / threshold
        assert share <= bound + 4.0 * math.sqrt(bound * (1.0 - bound) / runs)


def test_e_values_of_a_right_model_have_mean_one():
    loss = norm.isf((np.arange(100_000) + 0.5) / 100_000)
    for measure in ("es", "var"):
        path = e_process(normal_series(loss), measure=measure, betting="constant")
        assert path.e_values.mean() == pytest.approx(1.0, abs=2e-3)


def test_power_against_two_errors():
    rng = np.random.default_rng(5)
    caught = {"low": 0, "thin": 0}
    for _ in range(40):
        low = 1.25 * rng.standard_normal(500)
        thin = rng.standard_t(3.0, 500)
        caught["low"] += e_process(normal_series(low), betting="gree").crossing(5) is not None
        caught["thin"] += e_process(normal_series(thin), betting="gree").crossing(5) is not None
    assert caught["low"] > 20 and caught["thin"] > 36
