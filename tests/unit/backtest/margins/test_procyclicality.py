"""Procyclicality of margin paths: reference path, response to a step, frontier."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.backtest import impulse_response, margin_coverage, procyclicality, procyclicality_frontier
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream

Z = 2.3263478740408408


@pytest.fixture(scope="module")
def index_margin() -> dict[str, pd.Series]:
    """Normal 99 % margin of the index of 1999 to 2018 under two volatilities, and the P&L after it."""
    from arch.data import sp500

    price = sp500.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    variance, smooth = float((returns.iloc[:250] ** 2).mean()), []
    for value in returns.iloc[250:]:
        smooth.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    pnl = returns.iloc[250:]
    rolled = returns.rolling(250).std(ddof=1).shift(1).iloc[250:]
    return {"ewma": pd.Series(smooth, index=pnl.index) * Z, "window": rolled * Z, "pnl": pnl}


def test_measures_to_the_printed_digits(index_margin: dict[str, pd.Series]) -> None:
    result = procyclicality(index_margin["ewma"])
    result.check()
    assert f"{result.mean:.7f}" == "2.4132077"
    row = result.summary().iloc[0]
    assert f"{row['max']:.6f} {row['min']:.7f} {result.peak_to_trough:.6f}" == "11.582867 0.6754276 17.148939"
    rises = [result.rise(days) for days in (1, 5, 20, 30)]
    np.testing.assert_allclose(rises, [1.9949425, 3.6211957, 6.1881393, 8.4081637], rtol=2e-8)
    relative = [result.rise(days, relative=True) for days in (1, 5, 20, 30)]
    np.testing.assert_allclose(relative, [1.2978569, 1.8169259, 2.702022, 3.1960361], rtol=5e-8)
    assert result.sd_log_change == pytest.approx(0.052004378, rel=2e-8)
    assert result.sd_change == pytest.approx(0.13507083, rel=5e-8)
    slow = procyclicality(index_margin["window"])
    assert slow.peak_to_trough == pytest.approx(6.8696572, rel=2e-8)
    assert slow.rise(30) == pytest.approx(1.9279139, rel=5e-8)
    assert slow.sd_log_change == pytest.approx(0.0071788525, rel=2e-8)


def test_breaches_to_the_printed_digits(index_margin: dict[str, pd.Series]) -> None:
    row = margin_coverage(index_margin["ewma"], index_margin["pnl"]).summary().iloc[0]
    assert row["breaches"] == 100
    assert (
        f"{row['coverage']:.6f} {row['mean_breach']:.6f} {row['max_breach']:.6f}"
        == "0.979079 0.633949 3.749511"
    )


def test_frontier_shows_that_cover_costs_calm(index_margin: dict[str, pd.Series]) -> None:
    margins = {name: index_margin[name] for name in ("ewma", "window")}
    margins["worse"] = 0.9 * index_margin["ewma"]
    table = procyclicality_frontier(margins, index_margin["pnl"], days=5).table
    assert table.loc["ewma", "rise"] > table.loc["window", "rise"]
    assert table.loc["ewma", "coverage"] > table.loc["window", "coverage"]
    assert table["dominated"].tolist() == [False, False, True]
    assert table.loc["ewma", "rise"] == procyclicality(margins["ewma"]).rise(5, relative=True)


@given(st.lists(st.floats(0.1, 10.0), min_size=6, max_size=40), st.floats(0.5, 3.0))
@settings(max_examples=40)
def test_ratios_do_not_depend_on_the_money(path: list[float], scale: float) -> None:
    one, other = procyclicality(path, days=(1, 3)), procyclicality(scale * np.array(path), days=(1, 3))
    assert other.peak_to_trough == pytest.approx(one.peak_to_trough)
    assert other.rise(3, relative=True) == pytest.approx(one.rise(3, relative=True), abs=1e-12)
    assert other.rise(3) == pytest.approx(scale * one.rise(3), abs=1e-12)
    assert other.sd_log_change == pytest.approx(one.sd_log_change, abs=1e-12)


def test_calls_add_the_losses_paid() -> None:
    result = procyclicality([10.0, 12.0, 11.0, 15.0], losses=[3.0, -1.0, 2.0, 9.0], days=(1, 2))
    # from each date: rise of the margin plus the losses up to the next
    assert result.call(1) == max(2.0 + 3.0, -1.0 - 1.0, 4.0 + 2.0)
    assert result.call(2) == max(1.0 + 3.0 - 1.0, 3.0 - 1.0 + 2.0)
    assert {"call_1d", "call_2d"} <= set(result.summary().columns)


def test_filtered_margin_overshoots_where_a_window_does_not() -> None:
    weights = 0.06 * 0.94 ** np.arange(120)[::-1]

    def filtered(returns: np.ndarray) -> float:
        variance = np.empty(returns.size + 1)
        variance[0] = np.mean(returns[:50] ** 2)
        for t, value in enumerate(returns):
            variance[t + 1] = 0.94 * variance[t] + 0.06 * value**2
        scaled = returns / np.sqrt(variance[:-1])
        return float(-np.quantile(scaled, 0.01) * np.sqrt(variance[-1]))

    def smooth(returns: np.ndarray) -> float:
        return float(Z * np.sqrt(np.dot(weights, returns**2)))

    options = {"step": 3.0, "window": 120, "after": 240, "histories": 40, "seed": 4}
    quick, plain = impulse_response(filtered, name="fhs", **options), impulse_response(smooth, **options)
    quick.check()
    assert plain.after / plain.before == pytest.approx(3.0, rel=0.05)
    assert quick.overshoot > 0.1 > plain.overshoot
    assert quick.path.loc[-1] == pytest.approx(quick.before, rel=0.1)
    # half of the way of an exponential filter: 1 + 8 (1 - 0.94^d) = 4 after ln(5/8)/ln(0.94) = 7.6 days
    assert 5 <= plain.half_time <= 11


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ConventionError, r"margin\[1\] is 0", lambda: procyclicality([1.0, 0.0, 2.0])),
        (DataGapError, "three or more", lambda: procyclicality([1.0, 2.0])),
        (
            SchemaError,
            "2 losses for 3 margins",
            lambda: procyclicality([1.0, 2.0, 1.0], losses=[1.0, 2.0], days=(1,)),
        ),
        (ParameterError, "days is", lambda: procyclicality([1.0, 2.0, 1.0], days=())),
        (ParameterError, "at most 2", lambda: procyclicality([1.0, 2.0, 1.0], days=(7,))),
        (DataGapError, "no losses are given", lambda: procyclicality([1.0, 2.0, 1.0], days=(1,)).call(1)),
        (SchemaError, "NaN|missing", lambda: procyclicality([1.0, np.nan, 1.0], days=(1,))),
        (ParameterError, "step other than 1", lambda: impulse_response(np.std, step=1.0)),
        (ParameterError, "a positive requirement", lambda: impulse_response(np.mean, histories=2, after=20)),
        (SchemaError, "no margin path", lambda: procyclicality_frontier({}, pd.Series([1.0]))),
        (
            SchemaError,
            "other dates",
            lambda: procyclicality_frontier({"a": pd.Series([1.0, 2.0])}, pd.Series([1.0, 2.0, 3.0])),
        ),
    ],
)
def test_bad_input_is_named(error: type[Exception], message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()


def test_results_draw() -> None:
    rng = stream(2, "plots")
    path = pd.Series(np.exp(np.cumsum(0.1 * rng.standard_normal(60))), name="toy")
    assert "Peak to trough" in procyclicality(path).plot().get_title()
    assert "rise of margin" in procyclicality_frontier({"toy": path}, 0.0 * path).plot().get_xlabel()
    assert "step" in impulse_response(np.std, histories=2, after=20).plot().get_xlabel()
