"""Simulated implied vols (causal, three sizes), the margin model's own vol moves, stable conclusions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import (
    ConstantBook,
    VolMoves,
    VolPath,
    run_vol_scenarios,
    simulate_vol_path,
    walk_forward,
)
from pmkit.backtest.walk.vol_laws.sizes import VOL_OF_VOL
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.market import PriceHistory, load_history
from pmkit.scenarios import TermScaling, factor_response


@pytest.fixture(scope="module")
def crypto():
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


def test_the_path_follows_its_formula(crypto):
    """A plain twin for one underlying, from the formula of the docstring."""
    path = simulate_vol_path(crypto, underlyings=["BTC"], vol_of_vol="high", seed=5)
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    days = len(returns) + 1
    common = stream(5, "vol path", "common").standard_t(5.0, days) * math.sqrt(3 / 5)
    own = stream(5, "vol path", "BTC").standard_t(5.0, days) * math.sqrt(3 / 5)
    noise = math.sqrt(0.7) * common + math.sqrt(0.3) * own
    ewma, x = 0.49, 0.0
    expected = [1.1 * 0.7]
    for t in range(1, days):
        ewma = 0.97 * ewma + 0.03 * 365 * returns[t - 1] ** 2
        long_run = (365 * 0.49 + 365 * float(np.sum(returns[:t] ** 2))) / (365 + t)
        x = 0.95 * x + 0.08 * noise[t]
        expected.append(1.1 * math.exp(0.8 * 0.5 * math.log(ewma) + 0.2 * 0.5 * math.log(long_run) + x))
    np.testing.assert_allclose(path.frame["BTC"], expected, rtol=1e-11)
    assert path.simulated
    assert path.provenance.simulated
    assert path.assumptions["vol_of_vol"] == 0.08
    assert all("simulated" in name for name in path.to_frame().columns)


def test_the_path_sees_no_later_date(crypto):
    cut = pd.Timestamp("2022-03-01")
    prices = crypto.prices.copy()
    prices.loc[prices.index > cut] *= 1.7
    changed = simulate_vol_path(PriceHistory.from_frame(prices))
    short = simulate_vol_path(crypto.until(cut))
    whole = simulate_vol_path(crypto)
    assert whole.frame.loc[:cut].equals(changed.frame.loc[:cut])
    assert whole.frame.loc[:cut].equals(short.frame)
    assert not whole.frame.loc[cut:].iloc[1:].equals(changed.frame.loc[cut:].iloc[1:])


def test_sizes_differ_in_the_residual_alone_and_seeds_matter(crypto):
    moves = {}
    still = np.log(simulate_vol_path(crypto, vol_of_vol=0.0).frame["BTC"])
    for size, sd in VOL_OF_VOL.items():
        moves[size] = (np.log(simulate_vol_path(crypto, vol_of_vol=size).frame["BTC"]) - still) / sd
    np.testing.assert_allclose(moves["low"], moves["high"], atol=1e-9)
    innovations = moves["base"].diff() + 0.05 * moves["base"].shift()
    assert innovations.std() == pytest.approx(1.0, abs=0.1)
    one, two = (simulate_vol_path(crypto, seed=seed).frame for seed in (1, 2))
    assert one.equals(simulate_vol_path(crypto, seed=1).frame)
    assert not one.equals(two)
    both = np.log(one).diff().corr().iloc[0, 1]
    assert 0.5 < both < 0.95


def test_the_law_is_not_the_margin_models(crypto):
    """The margin model lets vol fall when spot rises; the generator reacts to large moves of either sign."""
    vols = np.log(simulate_vol_path(crypto, vol_of_vol="base", underlyings=["BTC"]).frame["BTC"]).diff()
    returns = crypto.returns("BTC")["BTC"]
    slope = np.polyfit(returns, vols.loc[returns.index], 1)[0]
    assert abs(slope) < 0.35
    assert factor_response().of("BTC").vol_slope < -0.9
    assert np.corrcoef(np.abs(returns), vols.loc[returns.index])[0, 1] > 0.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vol_of_vol": "huge"}, "vol_of_vol is 'huge'; expected one of 'low', 'base', 'high'"),
        ({"vol_of_vol": -0.1}, "vol_of_vol is -0.1"),
        ({"premium": 0.0}, "premium is 0.0"),
        ({"decay": 1.0}, "decay is 1.0"),
        ({"level_weight": 1.5}, "level_weight is 1.5"),
        ({"prior_vol": 70.0}, "prior_vol is 70.0"),
        ({"prior_days": 0.0}, "prior_days is 0.0"),
        ({"persistence": 1.0}, "persistence is 1.0"),
        ({"df": 2.0}, "df is 2.0"),
        ({"correlation": math.nan}, "correlation is nan"),
    ],
)
def test_parameters_that_the_generator_refuses(crypto, arguments, message):
    with pytest.raises(ParameterError, match=message):
        simulate_vol_path(crypto, **arguments)


DAYS = pd.date_range("2021-01-01", periods=3)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (pd.DataFrame({"BTC": [60.0, 70.0, 65.0]}, DAYS), ConventionError, "2021-01-01 is 60;.*percent"),
        (pd.DataFrame({"BTC": [0.6, -0.1, 0.6]}, DAYS), ConventionError, "2021-01-02 is -0.1"),
        (pd.DataFrame({"BTC": [0.6, np.nan, 0.6]}, DAYS), SchemaError, "2021-01-02 is no finite number"),
        (pd.DataFrame({"BTC": [0.6] * 3}, DAYS[::-1]), SchemaError, "no ascending dates"),
        (pd.DataFrame({"BTC": [0.6] * 3}), SchemaError, "no ascending dates"),
        (pd.DataFrame(index=DAYS), SchemaError, "no column"),
        (pd.DataFrame({"BTC": [0.6] * 3}, DAYS.tz_localize("UTC")), ConventionError, "a time zone"),
        (pd.DataFrame({"BTC": [0.6] * 3}, DAYS + pd.Timedelta("8h")), ConventionError, "clock times"),
        (pd.DataFrame({"BTC": ["a", "b", "c"]}, DAYS), SchemaError, "no finite number"),
    ],
)
def test_vols_that_are_refused(frame, error, message):
    with pytest.raises(error, match=message):
        VolPath.from_frame(frame)


def test_a_path_that_was_given_is_used_and_titled_as_observed(crypto):
    vols = pd.DataFrame({"BTC": 0.65}, index=pd.date_range("2021-03-01", "2021-03-10"))
    run = walk_forward("short_straddle_30d", crypto, "hs", "2021-03-01", "2021-03-09", vol_path=vols)
    assert not run.model_marked
    assert "model-marked" not in run.title
    came = ConstantBook.preset("short_straddle_30d").pnl(
        crypto.returns("BTC").loc[["2021-03-02"], "BTC"].to_numpy(), [0.65], [0.65], 1.0
    )
    assert run.frame["pnl"].iloc[0] == pytest.approx(came[0], rel=1e-12)
    with pytest.raises(DataGapError, match="no implied vol of BTC on 2021-03-11"):
        walk_forward("short_straddle_30d", crypto, "hs", "2021-03-01", "2021-03-10", vol_path=vols)
    with pytest.raises(DataGapError, match="no implied vol of BTC in the path 'given'"):
        walk_forward("short_straddle_30d", crypto, "hs", vol_path=vols.rename(columns={"BTC": "ETH"}))
    with pytest.raises(SchemaError, match="vol_path is a float"):
        walk_forward("short_straddle_30d", crypto, "hs", vol_path=0.6)


def sources(*names):
    return stream(11, *names)


def test_vol_moves_have_the_slope_the_size_and_the_tails_of_the_response():
    law = VolMoves.of()
    btc = factor_response().of("BTC")
    n = 200_000
    returns = 0.04 * stream(3, "returns").standard_normal((n, 2))
    moves = law.draw(returns, ["BTC", "ETH"], 1, sources)
    slope, _ = np.polyfit(returns[:, 0], moves[:, 0], 1)
    residual = moves - returns * np.array([btc.vol_slope, factor_response().of("ETH").vol_slope])
    assert slope == pytest.approx(btc.vol_slope, abs=0.01)
    assert residual[:, 0].std() == pytest.approx(btc.vol_residual_sd, rel=0.05)
    assert np.corrcoef(residual.T)[0, 1] == pytest.approx(
        factor_response().vol_residual_correlation, abs=0.03
    )
    two = law.draw(np.zeros((n, 2)), ["BTC", "ETH"], 2, sources)
    assert two[:, 0].std() == pytest.approx(math.sqrt(2) * btc.vol_residual_sd, rel=0.05)
    assert law.term == factor_response().vol_term
    np.testing.assert_array_equal(moves, law.draw(returns, ["BTC", "ETH"], 1, sources))


def test_vol_moves_without_noise_are_the_slope_alone():
    law = VolMoves(name="slope", beta={"BTC": -2.0}, residual_sd={"BTC": 0.0}, term=TermScaling())
    moves = law.draw(np.array([[0.1, 0.2]]), ["BTC", "SOL"], 1, sources, needed=["BTC"])
    np.testing.assert_allclose(moves, [[-0.2, 0.0]], rtol=1e-14)
    with pytest.raises(DataGapError, match="no vol response of SOL in slope"):
        law.draw(np.zeros((1, 1)), ["SOL"], 1, sources)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VolMoves(name="x", beta={"BTC": math.nan}, residual_sd={"BTC": 0.1}), "slope nan"),
        (lambda: VolMoves(name="x", beta={"BTC": 1.0}, residual_sd={}), "residual sd nan"),
        (lambda: VolMoves(name="x", beta={"BTC": 1.0}, residual_sd={"BTC": 3.2}), "residual sd 3.2"),
        (lambda: VolMoves(name="x", beta={}, residual_sd={}, df=2.0), "df 2.0"),
        (lambda: VolMoves.of(3.0), "response is a float"),
    ],
)
def test_responses_that_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_only_conclusions_that_hold_in_all_three_runs_are_stated(crypto):
    runs = run_vol_scenarios(
        "short_straddle_30d", crypto, "hs", "2021-06-01", "2021-12-31", n_paths=400, es_level=0.95
    )
    assert list(runs.runs) == ["low", "base", "high"]
    runs.check()
    verdicts = runs.conclusions()
    same = (verdicts["low"] == verdicts["base"]) & (verdicts["base"] == verdicts["high"])
    assert verdicts["stable"].tolist() == same.tolist()
    assert (verdicts["conclusion"] == verdicts["base"].where(same, "not stated")).all()
    assert runs.conclusion_stable == bool(same.all())
    assert "model-marked" in runs.title
    assert "low, base, high vol-of-vol" in runs.title
    means = [run.frame["pnl"].std() for run in runs.runs.values()]
    assert means[0] < means[1] < means[2]
    assert len(runs.to_frame()) == 3 * len(runs.runs["low"].frame)


def test_a_margin_sized_for_calm_vols_is_not_vouched_for():
    """Vol risk sized for low vol-of-vol: high rejects what low accepts, so nothing is stated."""
    shocks = 0.03 * stream(8, "calm").standard_normal(900)
    prices = pd.DataFrame(
        {"BTC": 100.0 * np.exp(np.cumsum(shocks))}, index=pd.date_range("2020-01-01", periods=900)
    )
    history = PriceHistory.from_frame(prices, simulated=True)
    calm = VolMoves(name="calm", beta={"BTC": 0.0}, residual_sd={"BTC": 0.025})
    runs = run_vol_scenarios(
        "long_straddle_30d", history, "hs", horizon=1, response=calm, n_paths=400, es_level=0.95
    )
    assert not runs.conclusion_stable
    verdict = runs.conclusions().loc[(0.95, "kupiec")]
    assert verdict["high"] == "rejected"
    assert verdict["conclusion"] == "not stated"
    assert "not stated" in repr(runs)


def test_there_must_be_something_to_vary(crypto):
    with pytest.raises(ParameterError, match="book 'long_btc' holds no options"):
        run_vol_scenarios("long_btc", crypto)
    with pytest.raises(ParameterError, match="vol_path is given"):
        run_vol_scenarios("short_straddle_30d", crypto, vol_path="low")
