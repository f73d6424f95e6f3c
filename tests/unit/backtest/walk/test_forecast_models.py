"""Joint filter, Pareto tails, normal law and fixed table in a walk-forward: figures, memory, refusals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pmkit.backtest import AsOfClock, ConstantBook, walk_forward
from pmkit.backtest.walk.filtered import FilteredHistorical
from pmkit.backtest.walk.forecasters import MODEL_PARAMETERS, MODELS, forecast_model, forecast_models
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.random import stream
from pmkit.estimation import fit_margin
from pmkit.market import load_history
from pmkit.market.history import PriceHistory
from pmkit.scenarios.scenario_set import TermScaling

NEW = ("fhs-joint", "evt", "ewma-normal", "matrix")
SPAN = {"start": "2021-03-01", "end": "2021-03-25", "refit_every": 10, "engine": "newton", "n_paths": 400}


@pytest.fixture(scope="module")
def crypto() -> PriceHistory:
    return load_history("crypto-daily-2020-2023")


def source(*names):
    return stream(5, *names)


def asked(model, history, date="2021-05-18", horizon=1, n_paths=1000):
    """Return a fitted model, its view of a date, and its forecast."""
    clock = AsOfClock(history, tuple(history.assets))
    view = clock.at(int(clock.dates.get_loc(date)))
    model.fit(view)
    return view, model.forecast(view, horizon=horizon, n_paths=n_paths, random=source)


# -- figures ---------------------------------------------------------------------------------------


def test_the_normal_law_has_the_weighted_covariance(crypto):
    two = crypto.select(["BTC", "ETH"])
    view, forecast = asked(forecast_model("ewma-normal", 300, {"decay": 0.9}), two, horizon=4, n_paths=20_000)
    past = view.returns(300)
    weights = 0.9 ** np.arange(299, -1, -1.0)
    covariance = np.einsum("t,ti,tj->ij", weights / weights.sum(), past, past)
    np.testing.assert_allclose(forecast.sigma, np.sqrt(np.diag(covariance)), rtol=1e-12)
    found = np.cov(forecast.log_returns.T, ddof=0)
    np.testing.assert_allclose(found, 4.0 * covariance, rtol=0.02)
    assert np.abs(forecast.log_returns.mean(axis=0)).max() < 1e-4
    first = np.sort(forecast.log_returns[:, 0])
    grid = norm.ppf((np.arange(20_000) + 0.5) / 20_000) * 2.0 * forecast.sigma[0]
    np.testing.assert_allclose(first, grid, rtol=1e-10, atol=1e-15)


def test_the_joint_filter_recolours_every_day(crypto):
    """The plain twin: roots by eigenvectors, the correlation by a loop."""
    two = crypto.select(["BTC", "ETH"])
    model = forecast_model("fhs-joint", 300, {"decay": 0.95}, "newton")
    view, forecast = asked(model, two)
    plain = FilteredHistorical(300, None, "newton")
    plain.fit(view)
    variances, z = plain.filtered(view)

    def root(R, power):
        values, vectors = np.linalg.eigh(R)
        return vectors @ np.diag(values**power) @ vectors.T

    S = z[:75].T @ z[:75] / 75
    free = np.empty_like(z)
    for t in range(len(z)):
        d = np.sqrt(np.diag(S))
        free[t] = root(S / np.outer(d, d), -0.5) @ z[t]
        S = 0.95 * S + 0.05 * np.outer(z[t], z[t])
    d = np.sqrt(np.diag(S))
    sigma = np.sqrt(variances)
    ahead = root(S / np.outer(d, d) * np.outer(sigma, sigma), 0.5)
    np.testing.assert_allclose(forecast.log_returns, free[-300:] @ ahead.T, rtol=1e-8, atol=1e-12)
    _, several = asked(model, two, horizon=3, n_paths=900)
    assert several.log_returns.shape == (900, 2)
    longer = several.log_returns.std(axis=0) / forecast.log_returns.std(axis=0)
    assert ((longer > 1.3) & (longer < 2.5)).all()


def test_for_one_underlying_the_joint_filter_is_the_filter(crypto):
    for horizon in (1, 2):
        pair = [
            walk_forward("long_btc", crypto, model, horizon=horizon, **SPAN).frame
            for model in ("fhs", "fhs-joint")
        ]
        pd.testing.assert_frame_equal(*pair)


def test_pareto_tails_are_those_of_the_residuals(crypto):
    two = crypto.select(["BTC", "ETH"])
    model = forecast_model("evt", 300, {"tail_share": 0.12}, "newton")
    view, forecast = asked(model, two, n_paths=1200)
    plain = FilteredHistorical(300, None, "newton")
    plain.fit(view)
    variances, residuals = plain.filtered(view)
    z = residuals[-300:]
    for at in range(2):
        margin = fit_margin(np.ascontiguousarray(z[:, at]), 0.12)
        grid = margin.quantile((np.arange(1200) + 0.5) / 1200) * np.sqrt(variances[at])
        np.testing.assert_allclose(np.sort(forecast.log_returns[:, at]), grid, rtol=1e-9, atol=1e-14)
        # what fell on one day falls together: each day's four scenarios lie between its neighbours in rank
        days = forecast.log_returns[:, at].reshape(300, 4)
        order = np.argsort(z[:, at])
        assert (days[order].max(axis=1)[:-1] <= days[order].min(axis=1)[1:]).all()
    assert forecast.log_returns[:, 0].min() < np.min(z[:, 0]) * np.sqrt(variances[0])


def test_the_matrix_asks_for_its_worst_cell(crypto):
    book = ConstantBook.preset("short_straddle_30d")
    run = walk_forward(book, crypto, "matrix", parameters={"price": 0.2, "vol_up": 0.6, "steps": 2}, **SPAN)
    term = TermScaling(short_power=0.30, long_power=0.13)
    hs = walk_forward(book, crypto, "hs", **SPAN)
    assert (hs.frame["pnl"] == run.frame["pnl"]).all() and run.model_marked
    iv = 0.8
    cells = list(product((0.8, 0.9, 1.0, 1.1, 1.2), (1.0, 1.6, 0.75)))
    losses = [
        -book.pnl([[np.log(p)]], [iv], [[iv * v]], 1.0, vol_term=term)[0] for p, v in cells
    ]  # one cell at a time
    model = forecast_model("matrix", 365, {"price": 0.2, "vol_up": 0.6, "steps": 2})
    _, forecast = asked(model, crypto.select(["BTC"]))
    moved = book.pnl(
        forecast.log_returns, [iv], iv * np.exp(forecast.log_vols), 1.0, vol_term=forecast.vol_term
    )
    assert -moved.min() == pytest.approx(max(losses), rel=1e-12)
    assert forecast.worst and len(moved) == 15
    same = run.frame[["var", "var_es_level", "es"]]
    assert (same.nunique(axis=1) == 1).all() and run.frame["pit"].isna().all()


def test_two_underlyings_get_no_offset_from_the_matrix(crypto):
    one, two = (
        walk_forward(book, crypto, "matrix", **SPAN).margin for book in ("long_btc", "btc_eth_spread")
    )
    np.testing.assert_allclose(one, 0.16, rtol=1e-12)
    np.testing.assert_allclose(two, 0.32, rtol=1e-12)


def test_newton_and_arch_agree(crypto):
    pair = [
        walk_forward("long_btc", crypto, "fhs", **SPAN | {"engine": engine, "end": "2021-03-12"})
        for engine in ("arch", "newton")
    ]
    np.testing.assert_allclose(pair[0].frame["var"], pair[1].frame["var"], rtol=1e-3)
    assert pair[0].provenance.id != pair[1].provenance.id


@pytest.mark.parametrize("model", NEW)
@pytest.mark.parametrize("book", ["btc_eth_spread", "short_straddle_30d"])
def test_the_past_does_not_move_when_the_future_does(crypto, model, book):
    two = crypto.select(["BTC", "ETH"])
    later = two.prices.copy()
    noise = stream(6, "later").standard_normal(later.loc["2021-03-27":].shape)
    later.loc["2021-03-27":] *= np.exp(np.cumsum(0.1 * noise, axis=0))
    frames = [walk_forward(book, h, model, **SPAN).frame for h in (two, PriceHistory.from_frame(later))]
    pd.testing.assert_frame_equal(*frames)


# -- probabilities of what came --------------------------------------------------------------------


def test_the_probability_of_the_outcome_is_its_rank(crypto):
    run = walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-06-30")
    returns = np.expm1(crypto.returns(["BTC"])["BTC"])
    for date in run.frame.index[::40]:
        window, came = returns.loc[:date].to_numpy()[-365:], run.frame.loc[date, "pnl"]
        below = np.count_nonzero(window < came - 1e-14)
        assert run.frame.loc[date, "pit"] == pytest.approx((below + 0.5) / 366, abs=1e-12)
    assert run.pits().n == run.tail().n == len(run.frame)
    assert run.pits(0.99).p == pytest.approx(0.01)
    assert abs(float(run.frame["pit"].mean()) - 0.5) < 0.1


def test_a_table_of_moves_has_no_probabilities(crypto):
    run = walk_forward("long_btc", crypto, "matrix", **SPAN)
    with pytest.raises(ConventionError, match="model 'matrix' gives no probabilities"):
        run.pits()


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", NEW)
def test_a_stopped_run_goes_on_to_the_same_bits(crypto, tmp_path, model):
    whole = walk_forward("btc_eth_spread", crypto, model, **SPAN)

    class StoppedError(Exception):
        pass

    def stop(done, total):
        if done == 14:
            raise StoppedError

    file = {"checkpoint": tmp_path / "walk.json", "checkpoint_every": 7}
    with pytest.raises(StoppedError):
        walk_forward("btc_eth_spread", crypto, model, progress=stop, **SPAN, **file)
    resumed = walk_forward("btc_eth_spread", crypto, model, **SPAN, **file)
    pd.testing.assert_frame_equal(whole.frame, resumed.frame, check_exact=True)


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "match"),
    [
        ("hs", {"decay": 0.9}, "model 'hs' is given 'decay'; expected nothing"),
        ("evt", {"decay": 0.9}, "model 'evt' is given 'decay'; expected tail_share"),
        ("ewma-normal", {"decay": 1.0}, "decay is 1.0"),
        ("fhs-joint", {"decay": True}, "decay is True"),
        ("matrix", {"price": 1.0}, "price is 1.0"),
        ("matrix", {"vol_down": 1.0}, "vol_down is 1.0"),
        ("matrix", {"vol_up": -0.1}, "vol_up is -0.1"),
        ("matrix", {"steps": 0}, "steps is 0"),
        ("garch", None, "no model 'garch'"),
    ],
)
def test_parameters_that_are_refused(name, parameters, match):
    with pytest.raises(ParameterError, match=match):
        forecast_model(name, 365, parameters)


def test_engines_and_crowds_that_are_refused(crypto):
    with pytest.raises(ParameterError, match="engine is 'lbfgs'"):
        walk_forward("long_btc", crypto, "fhs", **SPAN | {"engine": "lbfgs"})
    with pytest.raises(ConventionError, match="model 'matrix' for a book on 3 underlyings"):
        asked(forecast_model("matrix", 365), crypto.select(["BTC", "ETH", "BNB"]))


def test_every_model_is_said_in_words_and_goes_by_its_name():
    assert tuple(forecast_models()) == MODELS and all(forecast_models().values())
    assert [forecast_model(name, 365).name for name in MODELS] == list(MODELS)


def test_every_parameter_belongs_to_a_model():
    assert set(MODEL_PARAMETERS) <= set(MODELS)
    for name, defaults in MODEL_PARAMETERS.items():
        assert forecast_model(name, 365, defaults).name == name
