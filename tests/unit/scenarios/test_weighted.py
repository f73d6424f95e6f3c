"""Age weights, stressed weights, appended stress: published figures, measures that honour them, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arch.data import sp500
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    LookAheadError,
    ParameterError,
    ThinTailError,
)
from pmkit.instruments import Portfolio
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import expected_shortfall, revalue, value_at_risk
from pmkit.risk.tail import tail_check
from pmkit.scenarios import (
    age_weighted,
    age_weights,
    append_stressed,
    filtered_historical,
    grid,
    historical,
    stressed_weights,
)
from pmkit.scenarios.windows import effective_observations


def test_figure_of_the_sp500() -> None:
    """Weighted VaR of the last 1,000 days of 2018: the quantile sits on one scenario of weight 1.4 %."""
    returns = np.log(sp500.load()["Adj Close"]).diff().dropna().to_numpy()[-1000:]
    weights = age_weights(1000, 0.98)
    figure = value_at_risk(100.0 * returns, 0.99, weights)
    assert figure.value == pytest.approx(3.29002286, abs=5e-9)
    order = np.argsort(returns)
    at = int(np.flatnonzero(-100.0 * returns[order] == figure.value)[0])
    assert float(np.cumsum(weights[order])[at]) == pytest.approx(0.021191, abs=5e-7)
    assert float(np.cumsum(weights[order])[at - 1]) < 0.01


@given(st.integers(1, 3000), st.floats(0.9, 1.0))
@settings(max_examples=30)
def test_age_weights_are_geometric(n: int, decay: float) -> None:
    weights = age_weights(n, decay)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(weights[:-1], decay * weights[1:], rtol=1e-12)
    if decay < 1.0:
        assert weights[-1] == pytest.approx((1 - decay) / (1 - decay**n), rel=1e-9)


def test_moves_are_those_of_plain_history(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    plain = historical(history, snapshot, replications=3)
    aged = age_weighted(history, snapshot, replications=3, decay=0.99)
    spot = ["BTC spot", "ETH spot", "BTC vol", "ETH vol"]
    np.testing.assert_array_equal(plain.to_frame()[spot], aged.to_frame()[spot])
    windows = len(plain) // 3
    np.testing.assert_allclose(aged.weights[:windows], age_weights(windows, 0.99) / 3, rtol=1e-12)
    np.testing.assert_array_equal(plain.dates, aged.dates)
    equal = age_weighted(history, snapshot, replications=3, decay=1.0)
    np.testing.assert_allclose(equal.weights, plain.weights, rtol=1e-12)
    assert equal.n_independent == pytest.approx(plain.n_independent, rel=0.01)
    assert aged.n_independent < 0.5 * equal.n_independent
    assert any("the newest window has 1.0" in note for note in aged.notes)


def test_measures_use_the_weights_of_the_set(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    aged = age_weighted(history, snapshot, replications=2, decay=0.97)
    position = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1000.0, "entry_price": 42_000.0}
    book = Portfolio.from_records([position | {"as_of": "2024-01-01T18:00:00Z"}])
    cube = revalue(book, snapshot, aged)
    pnl = cube.account_pnl(book)
    explicit = expected_shortfall(pnl, 0.975, aged.weights)
    named = expected_shortfall(pnl, 0.975, scenarios=aged)
    assert named.value == explicit.value
    assert value_at_risk(pnl, 0.99, scenarios=aged).value == value_at_risk(pnl, 0.99, aged.weights).value
    assert expected_shortfall(pnl, 0.975).value != explicit.value
    # by hand: worst first, weight until 2.5 %
    order = np.argsort(pnl)
    used = np.minimum(np.cumsum(aged.weights[order]), 0.025)
    shares = np.diff(np.concatenate([[0.0], used])) / 0.025
    assert explicit.value == pytest.approx(float(-(shares * pnl[order]).sum()), rel=1e-12)


def test_few_effective_days_are_few(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    aged = age_weighted(history, snapshot, replications=1, decay=0.94, horizon=1)
    assert aged.n_independent == pytest.approx(1.94 / 0.06, rel=1e-6)
    with pytest.raises(ThinTailError, match=r"independent observations beyond the 0\.99 level"):
        tail_check(aged, 0.99)


@given(st.integers(1, 4), st.integers(5, 60))
@settings(max_examples=20)
def test_effective_observations_of_equal_weights(h: int, days: int) -> None:
    blocks = np.arange(h * days).reshape(days, h)
    assert effective_observations(blocks, np.full(days, 1 / days)) == pytest.approx(days, rel=1e-12)
    one = np.zeros(days)
    one[0] = 1.0
    assert effective_observations(blocks, one) == pytest.approx(1.0, rel=1e-12)


# -- stressed weights ----------------------------------------------------------------------------------------
PERIOD = [("2023-03-01", "2023-03-10")]


def test_stressed_days_get_their_weight(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    base = historical(history, snapshot, replications=2)
    heavy = stressed_weights(base, PERIOD, 0.25)
    days = base.history_dates.to_numpy()[base.dates]
    first, last = np.datetime64("2023-03-01"), np.datetime64("2023-03-10")
    marked = ((days >= first) & (days <= last)).any(axis=1)
    assert int(marked.sum()) == 2 * 11
    assert float(heavy.weights[marked].sum()) == pytest.approx(0.25, abs=1e-12)
    assert np.ptp(heavy.weights[marked]) < 1e-15 and np.ptp(heavy.weights[~marked]) < 1e-15
    assert heavy.n_independent < 0.5 * base.n_independent
    np.testing.assert_array_equal(heavy.shocks, base.shocks)
    assert "carry 25.0% of the weight, before 2.8%" in heavy.notes[-1]
    assert heavy.provenance.method == "scenarios.stressed_weights" and heavy.provenance.simulated
    # at least: a set that has more keeps it
    again = stressed_weights(heavy, PERIOD, 0.1)
    np.testing.assert_allclose(again.weights, heavy.weights, rtol=1e-12)


def test_stress_on_the_worst_days_raises_the_shortfall(
    real_history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    base = historical(real_history, snapshot, horizon=1, replications=1, underlyings=["BTC"])
    crash = stressed_weights(base, [("2020-03-08", "2020-03-20")])
    pnl = base.column("spot", "BTC")
    assert expected_shortfall(pnl, 0.975, scenarios=crash).value > 2 * expected_shortfall(pnl, 0.975).value


def test_filtered_sets_can_be_reweighted(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    base = filtered_historical(history, snapshot, n_paths=500, vol_anchor=0.5)
    heavy = stressed_weights(base, PERIOD, 0.5)
    assert float(heavy.weights.sum()) == pytest.approx(1.0, abs=1e-12) and np.ptp(heavy.weights) > 0.0


@pytest.mark.parametrize(
    ("periods", "weight", "error", "text"),
    [
        (PERIOD, 0.0, ParameterError, "weight is 0.0"),
        (PERIOD, 1.0, ParameterError, "weight is 1.0"),
        (
            [("2019-01-01", "2019-02-01")],
            0.25,
            DataGapError,
            "no scenario of 'historical' has a day in 2019-01-01",
        ),
        ([], 0.25, DataGapError, "no period"),
        ([("2023-03-10", "2023-03-01")], 0.25, ParameterError, "ends before it starts"),
        ([("soon", "later")], 0.25, ParameterError, "period is"),
        (["2023-03-10"], 0.25, ParameterError, "period is '2023-03-10'"),
        ([("2020-01-01", "2024-01-01")], 0.25, ParameterError, "every scenario"),
    ],
)
def test_bad_periods(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    periods: Any,
    weight: float,
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        stressed_weights(historical(history, snapshot, replications=1), periods, weight)


def test_sets_without_dates_cannot_be_reweighted() -> None:
    with pytest.raises(DataGapError, match="carries no dates"):
        stressed_weights(grid([-0.1, 0.1], dynamics="sticky_strike"), PERIOD)


def test_appended_sets(real_history: PriceHistory, history: PriceHistory, snapshot: MarketSnapshot) -> None:
    base = historical(history, snapshot, replications=1)
    with pytest.warns(HistoryEndsWarning, match="history ends 2020-06-30"):
        early = historical(real_history.window("2020-02-01", "2020-06-30"), snapshot, replications=1)
    both = append_stressed(base, early, 0.3)
    assert len(both) == len(base) + len(early)
    assert float(both.weights[len(base) :].sum()) == pytest.approx(0.3, abs=1e-12)
    assert both.n_independent == pytest.approx(1 / (0.49 / base.n_independent + 0.09 / early.n_independent))
    last = both.history_dates[both.dates[-1]]
    assert list(last.astype(str)) == ["2020-06-29", "2020-06-30"]
    assert both.label(0) == base.label(0) and "2020-02-02" in both.label(len(base))
    np.testing.assert_array_equal(both.column("spot", "ETH")[: len(base)], base.column("spot", "ETH"))


def test_appended_sets_keep_factors_apart(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    base = historical(history, snapshot, replications=1)
    turned = historical(history, snapshot, replications=1, underlyings=["ETH", "BTC"])
    both = append_stressed(base, turned)
    np.testing.assert_array_equal(both.column("spot", "BTC")[len(base) :], turned.column("spot", "BTC"))
    with pytest.raises(ConventionError, match=r"only some of .* move ETH"):
        append_stressed(base, historical(history, snapshot, replications=1, underlyings=["BTC"]))
    with pytest.raises(ConventionError, match=r"horizon_days is 2\.0 in .* and 3.0"):
        append_stressed(base, historical(history, snapshot, replications=1, horizon=3))
    with pytest.raises(ConventionError, match="dynamics is sticky_moneyness"):
        append_stressed(base, historical(history, snapshot, replications=1, dynamics="sticky_strike"))
    with pytest.raises(ParameterError, match="weight is 2"):
        append_stressed(base, base, 2)
    hypothetical = append_stressed(*(grid([m], dynamics="sticky_strike") for m in (-0.1, -0.5)))
    assert hypothetical.dates is None and np.isinf(hypothetical.n_independent)


# -- bad input of age weights --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"decay": 0.0}, ParameterError, "decay is 0.0"),
        ({"decay": 1.01}, ParameterError, "decay is 1.01"),
        ({"decay": 0.05}, ParameterError, "leaves the oldest of 398 observations no weight"),
        ({"horizon": 0}, ParameterError, "horizon is 0"),
        ({"replications": 0}, ParameterError, "replications is 0"),
        ({"horizon": 500}, DataGapError, "399 daily returns"),
        ({"underlyings": ["XRP"]}, Exception, "XRP"),
    ],
)
def test_bad_arguments(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    options: dict[str, Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        age_weighted(history, snapshot, **options)


def test_old_and_later_histories(history: PriceHistory) -> None:
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0})
    with pytest.warns(HistoryEndsWarning, match="944 days before the snapshot"):
        age_weighted(history, late, replications=1)
    early = MarketSnapshot.from_marks("2023-12-31T23:59:00Z", {"BTC": 60_000.0})
    with pytest.raises(LookAheadError, match=r"history.until\('2023-12-30'\)"):
        age_weighted(history, early, replications=1)
    with pytest.raises(ParameterError, match="n is 0"):
        age_weights(0)
