"""Walk-forward: no look-ahead, figures by hand, filter and refit, hits, overlap, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import (
    AsOfClock,
    AsOfView,
    ConstantBook,
    Forecast,
    VolPath,
    simulate_vol_path,
    var_tests,
    walk_forward,
)
from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    ParameterError,
    PmkitError,
    SchemaError,
    ThinTailError,
)
from pmkit.core.random import stream
from pmkit.estimation import fit_volatility
from pmkit.instruments import Portfolio
from pmkit.market import PriceHistory, load_history
from pmkit.risk import expected_shortfall, value_at_risk

FIGURES = ["var", "var_es_level", "es", "pnl", "hit", "hit_es_level", "sigma", "refit"]


@pytest.fixture(scope="module")
def crypto():
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


@pytest.fixture(scope="module")
def long_btc(crypto):
    return walk_forward("long_btc", crypto, "fhs", "2021-01-01", "2021-06-30")


# -- no look-ahead ---------------------------------------------------------------------------------


class Clairvoyant:
    """A model that was slipped the whole history: its VaR is the loss that will come."""

    name = "clairvoyant"

    def __init__(self, history):
        self.returns = history.returns("BTC").to_numpy()

    def fit(self, view):
        return ()

    def forecast(self, view, *, horizon, n_paths, random):
        at = min(view.position, len(self.returns) - 1)
        moves = np.full((2, len(view.underlyings)), self.returns[at, 0])
        return Forecast(log_returns=moves, sigma=np.ones(len(view.underlyings)), history_days=math.inf)


def perturbed(history, last_true):
    prices = history.prices.copy()
    prices.loc[prices.index > last_true] *= 0.63
    return PriceHistory.from_frame(prices)


@pytest.mark.parametrize(
    ("book", "model", "horizon"),
    [
        ("long_btc", "fhs", 1),
        ("btc_eth_spread", "fhs", 2),
        ("short_straddle_30d", "fhs", 1),
        ("short_straddle_30d", "hs", 2),
        ("long_btc", "hs", 1),
        ("short_btc", "gjr-t", 2),
    ],
)
def test_the_past_does_not_move_when_the_future_does(crypto, book, model, horizon):
    cut = pd.Timestamp("2021-03-15")
    settings = {"horizon": horizon, "refit_every": 10, "n_paths": 800}
    true = walk_forward(book, crypto, model, "2021-02-15", "2021-04-10", **settings)
    changed = walk_forward(book, perturbed(crypto, cut), model, "2021-02-15", "2021-04-10", **settings)
    past = true.frame.index <= cut - pd.Timedelta(days=horizon)
    assert past.sum() >= 26
    pd.testing.assert_frame_equal(
        true.frame.loc[past, FIGURES], changed.frame.loc[past, FIGURES], check_exact=True
    )
    pd.testing.assert_frame_equal(
        true.refits[true.refits["date"] <= cut],
        changed.refits[changed.refits["date"] <= cut],
        check_exact=True,
    )
    forecasts = true.frame.index <= cut
    assert true.frame["var"][forecasts].equals(changed.frame["var"][forecasts])
    assert not true.frame["var"].equals(changed.frame["var"])
    assert not true.frame["pnl"].equals(changed.frame["pnl"])


def test_the_look_ahead_test_finds_a_model_that_knows_the_future(crypto):
    cut = pd.Timestamp("2021-03-15")
    runs = [
        walk_forward("short_btc", history, Clairvoyant(history), "2021-02-15", "2021-04-10")
        for history in (crypto, perturbed(crypto, cut))
    ]
    last_forecast = [run.frame["var"][cut] for run in runs]
    assert last_forecast[0] != last_forecast[1]
    loss = -runs[0].frame["pnl"]
    np.testing.assert_allclose(runs[0].frame["var"], loss.clip(lower=0.0), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "ask",
    [
        lambda view, day: view.price("BTC", day),
        lambda view, day: view.until(day),
        lambda view, day: view.until(view.as_of).price("BTC", day),
    ],
)
def test_a_model_that_asks_for_the_future_is_stopped(crypto, ask):
    class Curious(Clairvoyant):
        name = "curious"

        def forecast(self, view, **settings):
            ask(view, view.as_of + pd.Timedelta(days=1))
            return super().forecast(view, **settings)

    with pytest.raises(
        LookAheadError,
        match="data of 2021-03-02 were asked for at the close of 2021-03-01; expected dates up",
    ):
        walk_forward("long_btc", crypto, Curious(crypto), "2021-03-01", "2021-03-05")


def test_a_view_holds_copies_of_the_past_and_nothing_else(crypto):
    vols = simulate_vol_path(crypto)
    clock = AsOfClock(crypto, ("ETH", "BTC"), vols)
    view = clock.at(400)
    day = crypto.prices.index[400]
    assert view.as_of == day
    assert view.prices().shape == (401, 2)
    np.testing.assert_array_equal(view.prices(3), crypto.prices[["ETH", "BTC"]].to_numpy()[398:401])
    np.testing.assert_allclose(view.returns(2)[-1, 1], np.log(crypto.prices["BTC"]).diff()[day], rtol=1e-13)
    assert view.dates(1)[0] == day
    assert len(view.dates()) == 401
    assert view.iv().tolist() == vols.frame.loc[day, ["ETH", "BTC"]].tolist()
    for array in (view.prices(), view.returns(), view.returns(5), view.iv()):
        array[:] = -1.0  # a model may do what it likes with its copies
    for slot in ("_prices", "_returns", "_vols"):
        kept = getattr(view, slot)
        assert kept.base is None
        assert kept.shape[0] <= 401
        assert not np.any(kept == -1.0)
    earlier = view.until(day - pd.Timedelta(days=2))
    assert isinstance(earlier, AsOfView)
    assert earlier.prices().shape == (399, 2)
    assert view.price("ETH", "2020-01-01") == crypto.prices["ETH"].iloc[0]
    assert "2 returns" not in repr(view)
    with pytest.raises(DataGapError, match="400 returns are known at 2021-02-04 and 401 were asked for"):
        view.returns(401)
    with pytest.raises(DataGapError, match="no close on 2019-12-31"):
        view.price("BTC", "2019-12-31")
    with pytest.raises(DataGapError, match="no prices of 'SOL'"):
        view.price("SOL", "2020-01-01")


# -- figures by hand -------------------------------------------------------------------------------


def test_plain_historical_figures_are_those_of_the_window(crypto):
    run = walk_forward("short_btc", crypto, "hs", "2021-05-17", "2021-05-20", horizon=2)
    log = np.log(crypto.prices["BTC"])
    for day in run.frame.index:
        window = log.diff()[:day].tail(365)
        moves = (window + window.shift(1)).dropna()
        assert len(moves) == 364
        pnl = -np.expm1(moves.to_numpy())
        row = run.frame.loc[day]
        assert row["var"] == pytest.approx(float(value_at_risk(pnl, 0.99)), rel=1e-12)
        assert row["var_es_level"] == pytest.approx(float(value_at_risk(pnl, 0.975)), rel=1e-12)
        assert row["es"] == pytest.approx(float(expected_shortfall(pnl, 0.975)), rel=1e-12)
        after = day + pd.Timedelta(days=2)
        assert row["until"] == after
        assert row["pnl"] == pytest.approx(1.0 - crypto.prices["BTC"][after] / crypto.prices["BTC"][day])
        assert row["sigma"] == pytest.approx(window.std(), rel=1e-12)


@pytest.mark.parametrize("offset", [0, 7])
def test_filtered_figures_are_residuals_at_todays_volatility(crypto, long_btc, offset):
    """At one day the scenarios are the window's residuals times next-day sigma, by the public fit."""
    day = pd.Timestamp("2021-01-21") + pd.Timedelta(days=offset)  # refit every 20 dates from 2021-01-01
    returns = crypto.returns("BTC")["BTC"]
    fitted = fit_volatility(returns[:"2021-01-21"].tail(365), "gjr", "t")
    filtered = fitted.filter(returns[fitted.returns.index[0] : day])
    pool = filtered.residuals.tail(365).to_numpy()
    pnl = np.expm1(filtered.next_sigma * pool)
    row = long_btc.frame.loc[day]
    assert row["refit"] == (offset == 0)
    assert row["sigma"] == pytest.approx(filtered.next_sigma, rel=1e-12)
    assert row["var"] == pytest.approx(float(value_at_risk(pnl, 0.99)), rel=1e-12)
    assert row["es"] == pytest.approx(float(expected_shortfall(pnl, 0.975)), rel=1e-12)


def test_beyond_a_day_the_balanced_bootstrap_agrees_with_a_large_independent_one(crypto):
    run = walk_forward("long_btc", crypto, "fhs", "2021-01-21", "2021-01-21", horizon=2, n_paths=200_000)
    returns = crypto.returns("BTC")["BTC"]
    fitted = fit_volatility(returns[:"2021-01-21"].tail(365), "gjr", "t")
    rows = stream(99, "independent").integers(0, 365, (400_000, 2))
    moves, _ = fitted.simulate(fitted.residuals.to_numpy()[rows], drift=False)
    pnl = np.expm1(moves.sum(axis=1))
    assert run.frame["var"].iloc[0] == pytest.approx(float(value_at_risk(pnl, 0.99)), rel=0.02)
    assert run.frame["es"].iloc[0] == pytest.approx(float(expected_shortfall(pnl, 0.975)), rel=0.02)


def test_parametric_figures_are_quantiles_of_the_t_law(crypto):
    from scipy.stats import t

    known = {"mu": 0.001, "omega": 5e-5, "alpha": 0.05, "gamma": 0.05, "beta": 0.9, "nu": 5.0}
    run = walk_forward(
        "long_btc", crypto, "gjr-t", "2021-02-01", "2021-02-05", parameters=known, n_paths=50_000
    )
    for day, row in run.frame.iterrows():
        quantile = t.ppf(0.01, 5.0) * math.sqrt(3 / 5)
        assert row["var"] == pytest.approx(-math.expm1(0.001 + row["sigma"] * quantile), rel=2e-3), day
    assert run.refits["status"].tolist() == ["given"]
    assert run.warnings == ()  # a parametric tail does not rest on the window


def test_a_book_on_two_underlyings_keeps_days_together(crypto):
    """Long and short the same law: with days kept together the spread is far less risky than apart."""
    spread = walk_forward("btc_eth_spread", crypto, "fhs", "2021-03-01", "2021-03-05", refit_every=100)
    legs = [
        walk_forward(name, crypto, "fhs", "2021-03-01", "2021-03-05", refit_every=100)
        for name in ("long_btc", "short_eth")
    ]
    assert (spread.frame["var"] < 0.75 * (legs[0].frame["var"] + legs[1].frame["var"])).all()
    np.testing.assert_allclose(
        spread.frame["pnl"], legs[0].frame["pnl"] + legs[1].frame["pnl"], rtol=1e-12, atol=1e-15
    )
    assert (spread.frame["sigma"] == legs[0].frame["sigma"]).all()
    assert (spread.frame["sigma_ETH"] == legs[1].frame["sigma"]).all()
    assert sorted(set(spread.refits["underlying"])) == ["BTC", "ETH"]


def test_refitting_daily_or_rarely_gives_other_and_valid_figures(crypto, long_btc):
    daily = walk_forward("long_btc", crypto, "fhs", "2021-01-01", "2021-02-09", refit_every=1)
    rare = long_btc.frame.loc[daily.frame.index]
    daily.check()
    assert daily.frame["refit"].all()
    assert len(daily.refits) == 40
    assert rare["refit"].sum() == 2
    same = rare["refit"].to_numpy()
    assert (daily.frame["var"][same] == rare["var"][same]).all()
    assert (daily.frame["var"][~same] != rare["var"][~same]).all()
    assert np.abs(np.log(daily.frame["var"] / rare["var"])).max() < 0.5
    assert (daily.frame["var"] > 0.0).all()


def test_equal_seeds_give_equal_bits_and_the_start_does_not_matter(crypto):
    settings = {"horizon": 2, "refit_every": 1000, "n_paths": 500}
    known = {"omega": 5e-5, "alpha": 0.05, "gamma": 0.05, "beta": 0.9, "nu": 5.0}
    one, again, other = (
        walk_forward("short_straddle_30d", crypto, "hs", "2021-03-01", "2021-03-20", seed=seed, **settings)
        for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(one.frame, again.frame, check_exact=True)
    assert one.provenance.id == again.provenance.id
    assert not one.frame["var"].equals(other.frame["var"])
    late = walk_forward("short_straddle_30d", crypto, "hs", "2021-03-10", "2021-03-20", seed=3, **settings)
    pd.testing.assert_frame_equal(
        one.frame.loc["2021-03-10":, ["var", "es", "pnl"]], late.frame[["var", "es", "pnl"]], check_exact=True
    )
    with_known = walk_forward("long_btc", crypto, "fhs", "2021-03-01", "2021-03-20", parameters=known)
    assert set(with_known.refits["status"]) == {"given"}


def test_scale_and_shift_spoil_the_forecasts_and_nothing_else(crypto, long_btc):
    end = "2021-02-09"
    scaled = walk_forward("long_btc", crypto, "fhs", "2021-01-01", end, margin_scale=0.75)
    stale = walk_forward("long_btc", crypto, "fhs", "2021-01-02", end, shift=1)
    true = long_btc.frame.loc[:end]
    for column in ("var", "var_es_level", "es"):
        np.testing.assert_allclose(scaled.frame[column], 0.75 * true[column], rtol=1e-15)
        np.testing.assert_array_equal(stale.frame[column], true[column].iloc[:-1])
    assert scaled.frame["pnl"].equals(true["pnl"])
    assert stale.frame["pnl"].equals(true["pnl"].iloc[1:])
    assert "VaR and ES are multiplied by 0.75" in scaled.notes
    assert "forecasts are 1 day(s) stale" in stale.notes


def test_a_callable_book_sees_the_past_and_may_change(crypto):
    seen = []

    def trend(view):
        seen.append(view.as_of)
        rising = view.prices(2)[1, 0] > view.prices(2)[0, 0]
        return ConstantBook.preset("long_btc" if rising else "short_eth")

    run = walk_forward(trend, crypto, "hs", "2021-03-01", "2021-03-20")
    assert seen == list(run.frame.index)
    moves = np.expm1(crypto.returns())
    up = crypto.returns()["BTC"].loc[run.frame.index].to_numpy() > 0
    after = moves.loc[run.frame["until"]]
    np.testing.assert_allclose(run.frame["pnl"], np.where(up, after["BTC"], -after["ETH"]), rtol=1e-9)
    assert run.book == "trend"
    assert 0 < up.sum() < 20
    with pytest.raises(SchemaError, match="the book at 2021-03-01 is a str"):
        walk_forward(lambda view: "long_btc", crypto, "hs", "2021-03-01", "2021-03-02")
    with pytest.raises(DataGapError, match="the book at 2021-03-01 holds 'ETH'"):
        walk_forward(
            lambda view: ConstantBook.preset("long_eth"),
            crypto.select("BTC"),
            "hs",
            "2021-03-01",
            "2021-03-02",
        )


# -- the result ------------------------------------------------------------------------------------


def test_hits_are_against_var_of_the_same_level(long_btc):
    frame = long_btc.frame
    assert long_btc.hits().hits.tolist() == (-frame["pnl"] > frame["var"]).tolist()
    assert long_btc.hits(0.975).hits.tolist() == (-frame["pnl"] > frame["var_es_level"]).tolist()
    assert (long_btc.hits().p, long_btc.hits(0.975).p) == (0.01, 0.025)
    assert long_btc.hits().dates.equals(frame.index.tz_localize("UTC"))
    between = (-frame["pnl"] > frame["var_es_level"]) & (-frame["pnl"] <= frame["es"])
    assert between.any()  # dates on which ES instead of VaR would have counted another hit
    assert long_btc.coverage(0.975) == 1.0 - long_btc.hits(0.975).x / len(frame)
    with pytest.raises(ParameterError, match=r"level is 0.95; expected 0.99 or 0.975.*ES has no hits"):
        long_btc.hits(0.95)


def test_tests_are_those_of_the_hits(long_btc):
    table = long_btc.tests().set_index(["level", "test"])
    assert len(table) == 8
    alone = var_tests.kupiec(hits=long_btc.hits(0.975))
    assert table.loc[(0.975, "kupiec"), "p_asymptotic"] == alone.p_asymptotic
    assert table.loc[(0.975, "kupiec"), "decision"] == alone.decision
    assert table.loc[(0.99, "basel_zone"), "zone"] == var_tests.basel_zone(hits=long_btc.hits()).zone
    assert long_btc.test("christoffersen", 0.99).x == long_btc.hits().x
    with pytest.raises(ParameterError, match="no test 'kupier'"):
        long_btc.test("kupier")


def test_overlapping_hits_reach_a_test_only_by_offset(crypto):
    run = walk_forward("long_btc", crypto, "hs", "2021-01-01", "2021-12-31", horizon=2)
    hits = run.hits()
    assert hits.overlapping
    for test in (var_tests.kupiec, var_tests.christoffersen, var_tests.basel_zone):
        with pytest.raises(ConventionError, match=r"the hits overlap.*pass horizon=2"):
            test(hits=hits)
    both = run.test("kupiec")
    assert [outcome.n for outcome in both.outcomes] == [183, 182]
    table = run.tests()
    kupiec = table[(table["test"] == "kupiec") & (table["level"] == 0.99)]
    assert kupiec["offset"].tolist() == ["0", "1", "all"]
    assert kupiec["x"].iloc[:2].sum() == kupiec["x"].iloc[2] == hits.x
    assert kupiec["p_exact"].iloc[2] == both.p_combined


def test_thin_tails_are_said_once_and_hopeless_ones_refused(crypto, long_btc):
    thin = [text for text in long_btc.warnings if text.startswith("ThinTailWarning")]
    assert len(thin) == 2
    assert "ES at 0.975 rests on 9.13 independent observations" in thin[0]
    assert "VaR at 0.99 rests on 3.65 independent" in thin[1]
    two = walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-03-02", horizon=2)
    assert "4.56 independent observations beyond the level (365 days × 0.025 / 2)" in two.warnings[0]
    with pytest.raises(ThinTailError, match=r"ES at 0.975 rests on 1.83 .*expected 3 or more"):
        walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-03-02", horizon=5)
    knowingly = walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-03-02", horizon=5, error_below=0)
    assert "1.83 independent" in knowingly.warnings[0]


def test_titles_say_model_marked_where_vols_are_simulated(crypto, long_btc):
    run = walk_forward("short_straddle_30d", crypto, "hs", "2021-03-01", "2021-03-03", n_paths=400)
    assert run.model_marked
    assert run.title.endswith("(P&L model-marked: implied vols simulated, base vol-of-vol)")
    assert "model-marked" in repr(run)
    assert "model-marked" in run._repr_html_()
    assert run.provenance.simulated
    assert any("observed 2025-12-30 to 2026-04-30, after the dates" in text for text in run.warnings)
    assert "model-marked" not in long_btc.title
    assert not long_btc.provenance.simulated


def test_the_display_is_plain_and_complete(long_btc):
    record = json.loads(json.dumps(long_btc.to_dict(), allow_nan=False))
    assert record["title"] == "long_btc, fhs, 1-day, 2021-01-01 to 2021-06-30"
    assert record["provenance"]["parameters"]["window"] == 365
    assert len(record["frame"]["var"]) == 181
    assert repr(long_btc) == repr(long_btc)
    assert long_btc.margin.name == "margin"
    summary = long_btc.summary()
    assert summary.loc["0.99", "hits"] == long_btc.hits().x
    assert summary.loc["0.975", "coverage"] == long_btc.coverage(0.975)
    beyond = long_btc.breaches()
    assert summary.loc["0.99", "on"] == str(beyond["until"].iloc[beyond["ratio"].argmax()].date())
    assert len(long_btc.window("2021-05-01", "2021-05-31")) == 31
    assert "acerbi2002" in long_btc.cite()
    copy = long_btc.to_frame()
    copy["var"] = 0.0
    long_btc.check()


def test_the_picture_has_units_hits_and_events(long_btc):
    import matplotlib.pyplot as plt

    axes = long_btc.plot(events={"May 2021": "2021-05-19"})
    assert "% of notional" in axes.get_ylabel()
    assert axes.get_title() == long_btc.title
    assert [text.get_text() for text in axes.texts] == ["May 2021"]
    assert long_btc.plot(axes) is axes
    plt.close(axes.figure)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("var", np.nan, "figures are not finite"),
        ("var", -0.1, "VaR is negative"),
        ("es", 0.0, "ES lies below its VaR"),
        ("var", 0.0, "VaR falls with its level"),
        ("hit", True, "hits differ from pnl and var"),
        ("hit_es_level", True, "hits at es_level differ"),
        ("until", pd.Timestamp("2020-01-01"), "outcomes end before their date"),
    ],
)
def test_check_finds_what_was_tampered_with(long_btc, column, value, message):
    frame = long_btc.frame.copy()
    frame[column] = value
    with pytest.raises(PmkitError, match=message):
        replace(long_btc, frame=frame).check()


# -- what is refused -------------------------------------------------------------------------------


def test_the_first_possible_date_is_the_default_and_is_named(crypto):
    run = walk_forward("long_btc", crypto, "hs", end="2021-01-02")
    assert str(run.frame.index[0].date()) == "2021-01-01"
    assert str(walk_forward("long_btc", crypto, "hs", "2023-12-29").frame.index[-1].date()) == "2023-12-30"
    with pytest.raises(
        DataGapError, match=r"start is 2020-12-31, and fewer than 365 .*2021-01-01, the first"
    ):
        walk_forward("long_btc", crypto, "hs", "2020-12-31")
    with pytest.raises(DataGapError, match=r"end is 2023-12-31.*expected 2023-12-29 or earlier"):
        walk_forward("long_btc", crypto, "hs", "2023-12-01", "2023-12-31", horizon=2)
    with pytest.raises(DataGapError, match=r"31 closes from 2020-01-01 to 2020-01-31; expected 365 returns"):
        walk_forward("long_btc", crypto.until("2020-01-31"), "hs")
    two_stale = walk_forward("long_btc", crypto, "hs", end="2021-01-02", shift=2)
    assert str(two_stale.frame.index[0].date()) == "2021-01-02"


def with_prices(history, change):
    return replace(history, prices=change(history.prices))


def drop_day(prices):
    return prices.drop(pd.Timestamp("2021-02-03"))


def blank_day(prices):
    prices = prices.copy()
    prices.loc["2021-02-03", "BTC"] = np.nan
    return prices


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p: p.iloc[::-1], SchemaError, "date 2023-12-30 follows 2023-12-31; expected ascending"),
        (lambda p: p.iloc[[0, 1, 1, 2]], SchemaError, "date 2020-01-02 follows 2020-01-02"),
        (lambda p: p.reset_index(drop=True), SchemaError, "the history has no dates"),
        (blank_day, DataGapError, "no price of BTC on 2021-02-03"),
        (drop_day, DataGapError, "no row between 2021-02-02 and 2021-02-04"),
        (lambda p: p[["ETH"]], DataGapError, "no prices of 'BTC' in the history; expected one of ETH"),
    ],
)
def test_histories_that_are_refused(crypto, change, error, message):
    with pytest.raises(error, match=message):
        walk_forward("long_btc", with_prices(crypto, change), "hs", "2021-02-01", "2021-03-01")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"level": 0.01}, ConventionError, r"level is 0.01, which looks like a tail prob.*pass level=0.99"),
        ({"level": 99}, ParameterError, "level is 99; expected a level"),
        ({"es_level": 1.0}, ParameterError, "es_level is 1.0"),
        ({"horizon": 0}, ParameterError, "horizon is 0"),
        ({"horizon": 1.5}, ParameterError, "horizon is 1.5"),
        ({"window": 2, "horizon": 2}, ParameterError, "window is 2 at a horizon of 2"),
        ({"refit_every": 0}, ParameterError, "refit_every is 0"),
        ({"n_paths": 10}, ParameterError, "n_paths is 10"),
        ({"shift": -1}, ParameterError, "shift is -1"),
        ({"seed": -1}, ParameterError, "seed is -1"),
        ({"margin_scale": 0.0}, ParameterError, "margin_scale is 0.0"),
        ({"start": "2021-03-01", "end": "2021-02-01"}, ParameterError, "start 2021-03-01 is after end"),
        ({"start": "2021-03-01T12:00:00Z"}, ConventionError, "a clock time"),
        ({"start": "yesterday"}, PmkitError, "yesterday"),
        ({"model": "garch"}, ParameterError, "no model 'garch'; expected one of fhs, hs, gjr-t"),
        ({"parameters": {"omega": 1e-5}}, ParameterError, "model 'hs' is given"),
        ({"book": "long_doge"}, ParameterError, "no preset book 'long_doge'"),
        (
            {"model": "fhs", "book": "btc_eth_spread", "parameters": {"BTC": {}}},
            PmkitError,
            "omega",
        ),
        (
            {"model": "gjr-t", "book": "btc_eth_spread"},
            ConventionError,
            "model 'gjr-t' for a book on BTC, ETH; expected one underlying",
        ),
        ({"model": "fhs", "window": 50}, DataGapError, "50 returns.*expected at least 100"),
        (
            {"book": "short_straddle_30d", "response": "deribit-none"},
            DataGapError,
            "no response set 'deribit-none'",
        ),
        (
            {"book": "short_straddle_30d", "vol_path": "wild"},
            ParameterError,
            "vol_path is 'wild'; expected one of 'low', 'base', 'high', 'har'",
        ),
    ],
)
def test_arguments_that_are_refused(crypto, arguments, error, message):
    settings = {"book": "long_btc", "model": "hs", "start": "2021-03-01", "end": "2021-03-05"} | arguments
    with pytest.raises(error, match=message):
        walk_forward(settings.pop("book"), crypto, **settings)


def test_a_history_that_is_none_is_refused():
    with pytest.raises(SchemaError, match="history is a DataFrame; expected a PriceHistory"):
        walk_forward("long_btc", pd.DataFrame())


@pytest.mark.parametrize(
    "forecast",
    [
        np.zeros((5, 1)),
        Forecast(log_returns=np.zeros((5, 2)), sigma=np.ones(1), history_days=math.inf),
        Forecast(log_returns=np.full((5, 1), np.nan), sigma=np.ones(1), history_days=math.inf),
        Forecast(log_returns=np.zeros((5, 1)), sigma=np.zeros(1), history_days=math.inf),
        Forecast(log_returns=np.zeros((0, 1)), sigma=np.ones(1), history_days=math.inf),
    ],
)
def test_forecasts_that_are_refused(crypto, forecast):
    class Broken(Clairvoyant):
        name = "broken"

        def forecast(self, view, **settings):
            return forecast

    with pytest.raises(SchemaError, match="model 'broken' returned no usable forecast at 2021-03-01"):
        walk_forward("long_btc", crypto, Broken(crypto), "2021-03-01", "2021-03-02")


def test_a_fit_that_does_not_converge_leaves_the_parameters_before_in_force(crypto, monkeypatch):
    from pmkit.backtest.walk import filtered

    calls = []

    def second_fails(series, *rest, **settings):
        model = fit_volatility(series, *rest, **settings)
        calls.append(model)
        if len(calls) != 2:
            return model
        spoiled = model.params.copy()
        spoiled["omega"] *= 50.0
        return replace(model, status="not_converged", params=spoiled)

    monkeypatch.setattr(filtered, "fit_volatility", second_fails)
    run = walk_forward("long_btc", crypto, "fhs", "2021-03-01", "2021-03-25", refit_every=10)
    assert run.refits["used"].tolist() == [True, False, True]
    assert any("1 of 3 fits did not converge" in text for text in run.warnings)
    returns = crypto.returns("BTC")["BTC"][:"2021-03-11"].tail(365)
    kept = calls[0].from_parameters(calls[0].params, returns)
    assert run.frame["sigma"]["2021-03-11"] == pytest.approx(kept.next_sigma, rel=1e-12)


def test_business_days_age_options_by_their_share_of_a_year():
    days = pd.bdate_range("2019-01-01", periods=420)
    prices = 100.0 * np.exp(np.cumsum(0.01 * stream(4, "stocks").standard_normal(420)))
    history = PriceHistory.from_frame(pd.DataFrame({"SPX": prices}, index=days), simulated=True)
    book = ConstantBook.from_legs(
        [{"underlying": "SPX", "kind": "option", "weight": 1.0, "tenor_days": 30, "is_call": True}]
    )
    vols = VolPath.from_frame(pd.DataFrame({"SPX": 0.2}, index=days))
    from pmkit.backtest import VolMoves

    still = VolMoves(name="still", beta={"SPX": 0.0}, residual_sd={"SPX": 0.0})
    run = walk_forward(book, history, "hs", window=250, vol_path=vols, response=still, n_paths=100)
    move = history.returns()["SPX"].iloc[-1]
    came = book.pnl([move], [0.2], [0.2], 365 / 252)[0]
    assert run.frame["pnl"].iloc[-1] == pytest.approx(came, rel=1e-10)


def test_a_portfolio_of_dated_contracts_is_refused_with_the_way_out() -> None:
    row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1, "as_of": "2023-01-01"}
    history = load_history("crypto-daily-2020-2023").select(["BTC"])
    with pytest.raises(ConventionError, match=r"the book is a Portfolio.*ConstantBook\.from_legs"):
        walk_forward(Portfolio.from_records([row]), history)  # type: ignore[arg-type]
