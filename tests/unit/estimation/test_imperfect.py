"""Imperfect histories: rules, uplift and flags, prices through the observed ones, hours, calendars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    ParameterError,
    SchemaError,
    SuspectPriceWarning,
)
from pmkit.core.random import stream
from pmkit.estimation import asynchronous_correlation, common_calendar, complete_returns
from pmkit.market import PriceHistory, load_history


@pytest.fixture(scope="module")
def coins() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH", "SOL1", "AVAX", "LUNA1"])


def simulated(rows: int = 700, seen: slice = slice(300, None)) -> tuple[PriceHistory, pd.DataFrame]:
    """Two full assets and one that follows the first with beta 1.5; it is seen on some days only."""
    z = stream(2, "simulated").standard_normal((rows, 3))
    full = pd.DataFrame(
        {"A": 0.02 * z[:, 0], "B": 0.02 * z[:, 1], "NEW": 0.03 * z[:, 0] + 0.01 * z[:, 2]},
        index=pd.date_range("2020-01-01", periods=rows),
    )
    prices = 100.0 * np.exp(full.cumsum())
    hidden = prices.copy()
    hidden["NEW"] = np.nan
    hidden.iloc[seen, 2] = prices.iloc[seen, 2]
    return PriceHistory.from_frame(hidden, calendar="every day", simulated=True), full.iloc[1:]


def test_the_short_and_the_ended_coin(coins: PriceHistory) -> None:
    done = complete_returns(coins)
    done.check()
    rules = done.rules
    assert rules["rule"].to_dict() == {
        "BTC": "none",
        "ETH": "none",
        "SOL1": "proxy",
        "AVAX": "regression",
        "LUNA1": "proxy",
    }
    assert rules["observed"].to_dict() == {"BTC": 1460, "ETH": 1460, "SOL1": 384, "AVAX": 1196, "LUNA1": 1012}
    assert (rules["observed"] + rules["filled"] == 1460).all()
    assert len(done.flags) == 3
    assert "1076 of 1460 returns filled by proxy" in done.flags[0] and "times 1.25" in done.flags[0]
    assert "prices ended on 2022-10-09, 448 rows before the last" in done.flags[2]
    assert not done.returns.isna().any().any() and done.history.simulated and done.provenance.simulated
    # what was observed is untouched
    own = np.log(coins.prices).diff().iloc[1:]
    seen = own.notna()
    np.testing.assert_array_equal(done.returns.to_numpy()[seen], own.to_numpy()[seen])
    shown = coins.prices.notna()
    np.testing.assert_array_equal(done.history.prices.to_numpy()[shown], coins.prices.to_numpy()[shown])
    with pytest.warns(SuspectPriceWarning, match="LUNA1 of 2022-05-13"):
        assert list(done.history.returns().columns) == list(coins.assets)


def test_a_complete_history_passes_through(coins: PriceHistory) -> None:
    done = complete_returns(coins.select(["BTC", "ETH"]))
    assert done.flags == () and not done.provenance.simulated and not done.history.simulated
    pd.testing.assert_frame_equal(done.returns, coins.returns(["BTC", "ETH"]), check_freq=False)


def test_regression_keeps_size_and_correlation_where_a_proxy_alone_does_not() -> None:
    history, truth = simulated()
    plain = {"uplift": {"regression": 1.0, "proxy": 1.0, "floor": 1.0}}
    regression = complete_returns(history, **plain)
    row = regression.rules.loc["NEW"]
    assert row["rule"] == "regression" and row["proxies"] == "A"
    assert row["beta"] == pytest.approx(1.5, abs=0.05) and row["r2"] == pytest.approx(0.9, abs=0.03)
    early = slice(0, 299)
    filled = regression.returns["NEW"].iloc[early]
    assert filled.std() == pytest.approx(truth["NEW"].std(), rel=0.1)
    assert filled.corr(truth["A"].iloc[early]) == pytest.approx(0.95, abs=0.03)
    bare = complete_returns(history, draw=False, **plain).returns["NEW"].iloc[early]
    assert bare.corr(truth["A"].iloc[early]) > 0.999 and bare.std() < filled.std()
    proxy = complete_returns(history, rules={"NEW": "proxy"}, **plain)
    same_size = proxy.returns["NEW"].iloc[early]
    assert same_size.std() == pytest.approx(truth["NEW"].std(), rel=0.1)
    assert same_size.corr(truth["A"].iloc[early]) > 0.999


def test_rules_by_rows_and_fit_and_the_uplift() -> None:
    history, _ = simulated()
    chosen = {
        rows: complete_returns(simulated(700, slice(700 - rows, None))[0]).rules.loc["NEW", "rule"]
        for rows in (400, 252, 251, 250, 62, 61, 60, 10)
    }
    assert chosen == {
        400: "regression",
        252: "regression",
        251: "regression",
        250: "proxy",
        62: "proxy",
        61: "proxy",
        60: "floor",
        10: "floor",
    }
    strict = complete_returns(history, least_r2=0.99)
    assert strict.rules.loc["NEW", "rule"] == "proxy"
    small, large = (
        complete_returns(history, rules={"NEW": "floor"}, uplift={"floor": u}).returns["NEW"].iloc[:299]
        for u in (1.0, 2.0)
    )
    np.testing.assert_allclose(large, 2.0 * small, rtol=1e-12)
    # the floor brings the market to the 90 % quantile of the full assets' standard deviations
    full = history.returns(["A", "B"])
    market = full.mean(axis=1)
    level = np.quantile(np.sqrt((full**2).mean()), 0.9) / np.sqrt((market**2).mean())
    np.testing.assert_allclose(small, (level * market).iloc[:299], rtol=1e-9)


def test_a_gap_inside_ends_at_the_observed_price() -> None:
    history, _ = simulated(700, slice(0, None))
    prices = history.prices.copy()
    prices.iloc[500:510, 2] = np.nan
    done = complete_returns(PriceHistory.from_frame(prices, calendar="every day"))
    done.check()
    assert done.rules.loc["NEW", "filled"] == 11
    jump = np.log(prices["NEW"].iloc[510] / prices["NEW"].iloc[499])
    assert float(done.returns["NEW"].iloc[499:510].sum()) == pytest.approx(float(jump), abs=1e-12)
    assert "ended" not in done.flags[0]


def test_seed_named_proxies_and_display() -> None:
    history, _ = simulated()
    first, again, other = (complete_returns(history, seed=s).returns for s in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)
    both = complete_returns(history, proxies={"NEW": ["A", "B"]})
    assert both.rules.loc["NEW", "proxies"] == "A, B"
    assert "object at" not in repr(both) and len(both.to_frame()) == 3 * 699
    assert both.plot().get_title() == "dark: filled, not observed"
    assert both.to_frame()["filled"].sum() == 300


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"rules": {"NEW": "drop"}}, SchemaError, "rules name 'NEW': 'drop'"),
        ({"rules": {"OLD": "floor"}}, SchemaError, "rules name 'OLD'"),
        ({"proxies": {"NEW": ["NEW"]}}, ParameterError, "NEW has gaps or is unknown"),
        ({"proxies": {"XRP": ["A"]}}, SchemaError, "proxies name 'XRP'"),
        ({"uplift": {"proxy": 0.9}}, ParameterError, "uplift of 'proxy' is 0.9"),
        ({"uplift": {"magic": 1.1}}, ParameterError, "uplift of 'magic'"),
        ({"regress_rows": 5}, ParameterError, "regress_rows is 5"),
        ({"proxy_rows": 0}, ParameterError, "proxy_rows is 0"),
        ({"least_r2": 2.0}, ParameterError, "least_r2 is 2.0"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        complete_returns(simulated()[0], **options)


def test_histories_that_cannot_be_completed() -> None:
    history, _ = simulated()
    with pytest.raises(SchemaError, match="history is a DataFrame"):
        complete_returns(history.prices)  # type: ignore[arg-type]
    with pytest.raises(DataGapError, match="no asset of"):
        complete_returns(history.select(["NEW"]))
    holed = history.prices.drop(history.prices.index[10])
    with pytest.raises(DataGapError, match="has no row after 2020-01-10"):
        complete_returns(PriceHistory.from_frame(holed, calendar="every day"))
    once = history.prices.copy()
    once.loc[once.index[:-1], "NEW"] = np.nan
    with pytest.raises(DataGapError, match="NEW has fewer than 2 prices"):
        complete_returns(PriceHistory.from_frame(once, calendar="every day"))
    few, _ = simulated(700, slice(695, None))
    with pytest.raises(ParameterError, match="NEW has 4 observed returns, its rule is regression"):
        complete_returns(few, rules={"NEW": "regression"})


# -- hours and calendars -------------------------------------------------------------------------------------
def closes(rho: float, days: int = 2500) -> pd.DataFrame:
    """Simulated hourly paths of correlation rho, closed at 24:00 UTC, 16:00 New York and 14:15 Berlin."""
    z = stream(1, "hours").standard_normal((24 * 4 * days, 2))
    own = stream(1, "third").standard_normal(24 * 4 * days)
    a = z[:, 0]
    b, c = (rho * a + np.sqrt(1 - rho**2) * x for x in (z[:, 1], own))
    ends = np.arange(days) * 96
    dates = pd.date_range("2015-01-01", periods=days)

    def daily(steps: np.ndarray, quarter: np.ndarray) -> np.ndarray:
        path = 0.001 * np.concatenate([[0.0], np.cumsum(steps)])
        return np.diff(path[ends + quarter])

    def utc(zone: str, hour: float) -> np.ndarray:
        noon = (dates + pd.Timedelta(hours=12)).tz_localize(zone)
        ahead = np.array([stamp.utcoffset().total_seconds() / 3600 for stamp in noon])
        return np.round(4 * (hour - ahead)).astype(int)

    quarters = {
        "BTC": np.full(days, 96),
        "SPX": utc("America/New_York", 16),
        "ECB": utc("Europe/Berlin", 14.25),
    }
    steps = {"BTC": a, "SPX": b, "ECB": c}
    return pd.DataFrame({n: daily(steps[n], q) for n, q in quarters.items()}, index=dates[1:])


CLOSES = {"BTC": "24:00 UTC", "SPX": "16:00 America/New_York", "ECB": "14:15 Europe/Berlin"}


@pytest.mark.parametrize("method", ["lag", "two-day"])
def test_the_hidden_correlation_comes_back(method: Any) -> None:
    r = closes(0.7)
    hours = {"BTC": 24.0, "SPX": 20.35, "ECB": 12.67}
    estimate = asynchronous_correlation(r, CLOSES, method=method)
    for a, b in (("BTC", "SPX"), ("BTC", "ECB")):
        share = (hours[a] - hours[b]) / 24
        assert float(r.corr().loc[a, b]) == pytest.approx(0.7 * (1 - share), abs=0.04)
        assert float(estimate.correlation.loc[a, b]) == pytest.approx(0.7, abs=0.07)
    estimate.check()
    assert estimate.details["largest difference of closes, hours"] == pytest.approx(24 - 12.67, abs=0.05)


def test_equal_closes_change_nothing() -> None:
    r = closes(0.5, 300)
    estimate = asynchronous_correlation(r, dict.fromkeys(CLOSES, "16:00 UTC"))
    np.testing.assert_allclose(estimate.correlation, r.corr(), atol=1e-12)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"BTC": "24:00 UTC"}, SchemaError, "closes lack 'SPX'"),
        (CLOSES | {"ECB": "2:15 pm CET"}, SchemaError, "'2:15 pm CET'"),
        (CLOSES | {"ECB": "25:00 UTC"}, SchemaError, "up to 24:00"),
        (CLOSES | {"ECB": "14:15 Europe/Frankfurt"}, SchemaError, "'Europe/Frankfurt' of 'ECB' is unknown"),
    ],
)
def test_bad_closes(given: dict[str, str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        asynchronous_correlation(closes(0.5, 100), given)


def test_bad_rows_of_asynchronous_returns() -> None:
    r = closes(0.5, 100)
    with pytest.raises(ConventionError, match="rows carry no dates"):
        asynchronous_correlation(r.reset_index(drop=True), CLOSES)
    with pytest.raises(ParameterError, match="method is 'weekly'"):
        asynchronous_correlation(r, CLOSES, method="weekly")  # type: ignore[arg-type]


def test_unequal_calendars_are_refused_by_name() -> None:
    days = pd.date_range("2023-01-01", periods=10)
    every = pd.Series(0.01, days)
    business = every[every.index.day_of_week < 5]
    with pytest.raises(
        ConventionError, match=r"'BTC' \(10 rows\) and 'SPX' \(7 rows\) differ: 'SPX' has no row"
    ):
        common_calendar({"BTC": every, "SPX": business})
    with pytest.raises(ConventionError, match="'SPX' has no row for 2023-01-01"):
        common_calendar({"SPX": business, "BTC": every})
    with pytest.raises(ConventionError, match="another order"):
        common_calendar({"A": every, "B": every.iloc[::-1]})
    assert list(common_calendar({"A": every, "B": every}).columns) == ["A", "B"]
    with pytest.raises(SchemaError, match="'B' is a list"):
        common_calendar({"A": every, "B": [1.0]})  # type: ignore[dict-item]
    with pytest.raises(SchemaError, match="a mapping from labels"):
        common_calendar({})
