"""Joint filtering with correlation drift: order of assets, plain twins, drift, vol factors, bad input."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, HistoryEndsWarning, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import VolatilityModel, ewma_covariance, fit_dynamic_copula, fit_volatility
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import expected_shortfall
from pmkit.scenarios import Factor, FactorResponse, factor_response, filtered_historical, joint_filtered
from pmkit.scenarios.joint_paths import joint_paths, whiten

FOUR = ["BTC", "ETH", "XRP", "LINK"]
BOOK = {"BTC": 1.0, "ETH": -1.0, "XRP": 0.5, "LINK": -0.5}


@pytest.fixture(scope="module")
def coins(real_history: PriceHistory) -> PriceHistory:
    return real_history.select(FOUR)


@pytest.fixture(scope="module")
def four() -> MarketSnapshot:
    spot = {"BTC": 42_000.0, "ETH": 2_300.0, "XRP": 0.62, "LINK": 15.0}
    return MarketSnapshot.from_marks("2024-01-01T18:00:00Z", spot)


@pytest.fixture(scope="module")
def law() -> FactorResponse:
    """The shipped response; the last two coins borrow that of ETH."""
    shipped = factor_response("deribit-btc-eth-2026-04")
    own = {name: shipped.underlyings.get(name, shipped.underlyings["ETH"]) for name in FOUR}
    return replace(shipped, underlyings=own)


@pytest.fixture(scope="module")
def models(coins: PriceHistory) -> dict[str, VolatilityModel]:
    known = {"omega": 2e-5, "alpha": 0.05, "gamma": 0.04, "beta": 0.92, "mu": 5e-4}
    return {
        name: VolatilityModel.from_parameters(known, coins.returns([name])[name], "gjr", "normal")
        for name in FOUR
    }


def shortfall(scenarios: Any) -> float:
    pnl = sum(BOOK[name] * np.expm1(scenarios.column("spot", name)) for name in FOUR)
    return expected_shortfall(pnl, 0.975).value


def correlation(models: dict[str, VolatilityModel], kind: str, **params: float) -> CorrelationModel:
    z = pd.DataFrame({name: model.residuals for name, model in models.items()})
    loss = np.minimum(z.to_numpy(), 0.0)
    extra = {"loss_target": loss.T @ loss / len(z)} if kind == "adcc" else {}
    return CorrelationModel.from_parameters(params, z, kind, z.corr(), **extra)  # type: ignore[arg-type]


RECURSIONS: list[tuple[str, dict[str, float]]] = [
    ("ccc", {}),
    ("ewma", {"decay": 0.97}),
    ("dcc", {"a": 0.03, "b": 0.95}),
    ("cdcc", {"a": 0.03, "b": 0.95}),
    ("adcc", {"a": 0.02, "b": 0.94, "g": 0.01}),
    ("deco", {"a": 0.03, "b": 0.95}),
]


# -- the order of assets -------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [FOUR[::-1], ["XRP", "BTC", "LINK", "ETH"]])
@pytest.mark.parametrize("horizon", [1, 3])
def test_order_of_assets_changes_nothing(
    coins: PriceHistory, four: MarketSnapshot, law: FactorResponse, order: list[str], horizon: int
) -> None:
    a, b = (
        joint_filtered(
            coins, four, underlyings=names, horizon=horizon, n_paths=3000, vol_anchor="filter", response=law
        )
        for names in (FOUR, order)
    )
    for name in FOUR:
        for kind in ("spot", "vol"):
            np.testing.assert_allclose(a.column(kind, name), b.column(kind, name), atol=1e-12)  # type: ignore[arg-type]
    assert shortfall(a) == pytest.approx(shortfall(b), rel=1e-10)


@pytest.mark.parametrize(("kind", "params"), RECURSIONS)
def test_order_of_assets_changes_nothing_under_any_correlation(
    coins: PriceHistory,
    four: MarketSnapshot,
    law: FactorResponse,
    models: dict[str, VolatilityModel],
    kind: str,
    params: dict[str, float],
) -> None:
    fitted = correlation(models, kind, **params)
    options: dict[str, Any] = {"n_paths": 1000, "horizon": 3, "vol_anchor": "filter", "response": law}
    a, b = (
        joint_filtered(coins, four, underlyings=n, models=models, correlation=fitted, **options)
        for n in (FOUR, FOUR[::-1])
    )
    for name in FOUR:
        np.testing.assert_allclose(a.column("spot", name), b.column("spot", name), atol=1e-11)


def test_a_cholesky_root_would_depend_on_the_order(coins: PriceHistory) -> None:
    """The reason for the symmetric root, on the first-day shortfall of a long/short book."""
    r = coins.returns(FOUR)

    def es(names: list[str], power: str) -> float:
        x = r[names] - r[names].mean()
        fitted = ewma_covariance(x, 0.97, keep_path=True)
        assert fitted.path is not None
        values, rows = x.to_numpy()[75:], fitted.path[75:]
        lam, vectors = np.linalg.eigh(rows)
        root = (
            np.linalg.cholesky(rows)
            if power == "cholesky"
            else (vectors * np.sqrt(lam)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        )
        e = np.linalg.solve(root[:-1], values[:, :, None])[:, :, 0]
        moves = e @ root[-1].T
        return expected_shortfall(moves @ [BOOK[n] for n in names], 0.975).value

    orders = [FOUR, FOUR[::-1], ["XRP", "BTC", "LINK", "ETH"]]
    cholesky = [es(order, "cholesky") for order in orders]
    symmetric = [es(order, "symmetric") for order in orders]
    assert max(cholesky) / min(cholesky) > 1.005
    assert max(symmetric) / min(symmetric) == pytest.approx(1.0, abs=1e-10)


# -- plain twins ---------------------------------------------------------------------------------------------
@given(st.integers(0, 1000), st.integers(1, 6))
@settings(max_examples=15)
def test_whitening_against_a_library_root(seed: int, n: int) -> None:
    g = stream(seed, "whiten")
    sigma = 0.01 + 0.03 * g.random((5, n))
    R = np.array([np.corrcoef(g.standard_normal((n, 3 * n + 5))).reshape(n, n) for _ in range(5)])
    x = 0.02 * g.standard_normal((5, n))
    out = np.empty_like(x)
    whiten(x, sigma, R, out)
    for t in range(5):
        H = R[t] * np.outer(sigma[t], sigma[t])
        lam, vectors = np.linalg.eigh(H)
        np.testing.assert_allclose(out[t], (vectors / np.sqrt(lam)) @ vectors.T @ x[t], rtol=1e-8, atol=1e-10)


def plain_path(
    pool: np.ndarray,
    drawn: np.ndarray,
    sigma0: np.ndarray,
    Q: np.ndarray,
    params: np.ndarray,
    constant: np.ndarray,
    news: tuple[float, float, float],
    corrected: bool,
    equal: bool,
) -> np.ndarray:
    """One path, day by day, as the formulas say."""
    v, out = sigma0**2, []
    a, b, g = news
    for row in drawn:
        R = Q / np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
        n = len(R)
        if equal and n > 1:
            mean = R[np.triu_indices(n, 1)].mean()
            R = np.where(np.eye(n) == 1.0, 1.0, mean)
        H = R * np.sqrt(np.outer(v, v))
        lam, vectors = np.linalg.eigh(H)
        x = (vectors * np.sqrt(lam)) @ vectors.T @ pool[row]
        out.append(x)
        z = x / np.sqrt(v)
        m = np.minimum(z, 0.0)
        e = z * np.sqrt(np.diag(Q)) if corrected else z
        omega, alpha, gamma, beta = params.T
        v = omega + np.where(x < 0, alpha + gamma, alpha) * x**2 + beta * v
        Q = constant + a * np.outer(e, e) + b * Q + g * np.outer(m, m)
    return np.array(out)


@given(st.integers(0, 1000), st.integers(1, 5), st.booleans(), st.booleans())
@settings(max_examples=15)
def test_paths_against_a_plain_twin(seed: int, n: int, corrected: bool, equal: bool) -> None:
    g = stream(seed, "paths")
    pool = g.standard_normal((30, n))
    drawn = g.integers(0, 30, (4, 5))
    S = np.atleast_2d(np.corrcoef(g.standard_normal((n, 4 * n + 3))))
    scale = 0.8 + 0.4 * g.random(n)
    Q = S * np.outer(scale, scale)
    params = np.column_stack([np.full(n, 1e-5), np.full(n, 0.05), np.full(n, 0.05), np.full(n, 0.9)])
    sigma0 = 0.02 + 0.02 * g.random(n)
    news = (0.05, 0.9, 0.02)
    moves, sigma = np.empty((4, 5, n)), np.empty((4, 5, n))
    joint_paths(
        pool, drawn, sigma0, Q, params, 0.05 * S, np.array(news), corrected, equal, False, moves, sigma
    )
    for path in range(4):
        twin = plain_path(pool, drawn[path], sigma0, Q, params, 0.05 * S, news, corrected, equal)
        np.testing.assert_allclose(moves[path], twin, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(sigma[:, 0], np.broadcast_to(sigma0, (4, n)), rtol=1e-12)


def test_one_day_against_matrices(coins: PriceHistory, four: MarketSnapshot, law: FactorResponse) -> None:
    scen = joint_filtered(
        coins,
        four,
        underlyings=FOUR,
        horizon=1,
        paths="overlapping",
        vol_anchor="filter",
        response=law,
        decay=0.95,
    )
    x = coins.returns(FOUR)
    x = x - x.mean()
    fitted = ewma_covariance(x, 0.95, keep_path=True)
    assert fitted.path is not None
    lam, vectors = np.linalg.eigh(fitted.path[75:])
    root = (vectors * np.sqrt(lam)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    e = np.linalg.solve(root[:-1], x.to_numpy()[75:, :, None])[:, :, 0]
    expected = e @ root[-1].T
    got = np.column_stack([scen.column("spot", name) for name in FOUR])
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-11)
    assert len(scen) == 1385 and scen.n_independent == 1385.0
    assert list(scen.history_dates[scen.dates[:, 0]]) == list(x.index[75:])


def test_days_of_the_start_may_be_kept(
    coins: PriceHistory, four: MarketSnapshot, law: FactorResponse, models: dict[str, VolatilityModel]
) -> None:
    """12 March 2020 is day 71: lost by default, which the notes say, and in the pool on request."""
    options: dict[str, Any] = {
        "underlyings": FOUR,
        "horizon": 1,
        "paths": "overlapping",
        "vol_anchor": "filter",
        "response": law,
    }
    lost = joint_filtered(coins, four, **options)
    assert any("LARGEST MOVE OF THE HISTORY IS LOST (BTC -46." in note for note in lost.notes)
    later = joint_filtered(coins, four, start=60, **options)
    assert not any("IS LOST" in note for note in later.notes)
    kept = joint_filtered(coins, four, keep_start=True, **options)
    assert len(kept) == 1460 and len(lost) == 1385
    assert kept.history_dates[0] == coins.returns(FOUR).index[0]
    assert any("every day lends a residual" in note for note in kept.notes)
    # the start has seen the crash, so its shock comes out smaller than from an earlier start, but it counts
    x = coins.returns(FOUR)
    x = x - x.mean()
    S = x.to_numpy()[:75].T @ x.to_numpy()[:75] / 75
    fitted = ewma_covariance(x, 0.97, start=S, keep_path=True)
    assert fitted.path is not None
    lam, vectors = np.linalg.eigh(fitted.path)
    root = (vectors * np.sqrt(lam)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    expected = np.linalg.solve(root[:-1], x.to_numpy()[:, :, None])[:, :, 0] @ root[-1].T
    got = np.column_stack([kept.column("spot", name) for name in FOUR])
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-11)
    btc = [float(s.column("spot", "BTC").min()) for s in (lost, kept, later)]
    assert btc[2] < btc[1] < 1.5 * btc[0]
    for correlations in (None, correlation(models, "dcc", a=0.03, b=0.95)):
        given = joint_filtered(
            coins, four, models=models, correlation=correlations, keep_start=True, **options
        )
        assert len(given) == 1460
        usual = joint_filtered(coins, four, models=models, correlation=correlations, **options)
        assert len(usual) == 1460 - (150 if correlations is None else 75)


def test_one_asset_is_the_per_asset_method(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    """With one asset and a given model both methods are the same paths, the days of the start apart."""
    r = history.returns(["BTC"])["BTC"]
    known = {"omega": 2e-5, "alpha": 0.05, "gamma": 0.04, "beta": 0.92, "mu": 1e-4}
    model = {"BTC": VolatilityModel.from_parameters(known, r, "gjr", "normal")}
    one = {"BTC": model["BTC"].residuals.iloc[1:]}

    @dataclass
    class Constant:
        path: np.ndarray
        next_correlation: np.ndarray

    trivial = Constant(np.ones((399, 1, 1)), np.ones((1, 1)))
    options: dict[str, Any] = {"underlyings": ["BTC"], "n_paths": 400, "vol_anchor": 0.5, "models": model}
    joint = joint_filtered(history, snapshot, correlation=trivial, start=1, **options)
    pool = one["BTC"].to_numpy()
    expected, _ = model["BTC"].simulate(pool[joint.dates], 0.5 / math.sqrt(365), drift=False)
    np.testing.assert_allclose(joint.column("spot", "BTC"), expected.sum(axis=1), rtol=1e-9, atol=1e-12)
    again = filtered_historical(history, snapshot, **options)
    assert float(np.std(again.column("spot", "BTC"))) == pytest.approx(
        float(np.std(joint.column("spot", "BTC"))), rel=0.2
    )


# -- what it is for ------------------------------------------------------------------------------------------
def drifting(rows: int = 900) -> PriceHistory:
    """Simulated prices: correlation 0.9 in the first two thirds, 0.1 in the last."""
    z = stream(4, "drift").standard_normal((rows, 2))
    rho = np.where(np.arange(rows) < 600, 0.9, 0.1)
    r = 0.03 * np.column_stack([z[:, 0], rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]])
    index = pd.date_range(end="2023-12-31", periods=rows)
    prices = [40_000.0, 2_000.0] * np.exp(np.cumsum(r, axis=0))
    return PriceHistory.from_frame(pd.DataFrame(prices, index, ["BTC", "ETH"]), simulated=True)


def test_correlation_is_that_of_today(snapshot: MarketSnapshot) -> None:
    options: dict[str, Any] = {"horizon": 1, "n_paths": 20_000, "vol_anchor": 0.6}
    history = drifting()
    joint = joint_filtered(history, snapshot, decay=0.98, **options)
    known = {"omega": 9e-4, "alpha": 0.0, "beta": 0.0}
    flat = {
        n: VolatilityModel.from_parameters(known, history.returns([n])[n], "garch", "normal")
        for n in ("BTC", "ETH")
    }
    single = filtered_historical(history, snapshot, models=flat, **options)

    def rho(scen: Any) -> float:
        return float(np.corrcoef(scen.column("spot", "BTC"), scen.column("spot", "ETH"))[0, 1])

    assert rho(single) == pytest.approx(0.63, abs=0.07)  # the mean of the sample
    r = history.returns(["BTC", "ETH"])
    today = float(ewma_covariance(r - r.mean(), 0.98).correlation.loc["BTC", "ETH"])
    # the filter lags behind the break, so a little correlation is left in the residuals
    assert today < 0.0 and rho(joint) == pytest.approx(today, abs=0.12)
    hedge = [
        expected_shortfall(np.expm1(s.column("spot", "BTC")) - np.expm1(s.column("spot", "ETH")), 0.975).value
        for s in (single, joint)
    ]
    assert hedge[1] > 1.2 * hedge[0]  # offsets of the past are gone
    assert float(np.std(joint.column("spot", "BTC"))) == pytest.approx(0.6 / math.sqrt(365), rel=0.1)
    assert any("in the sample" in note and "now" in note for note in joint.notes)


def test_observed_vol_moves_enter_jointly(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    r = history.returns(["BTC"])["BTC"]
    noise = pd.Series(0.02 * stream(1, "vol").standard_normal(len(r)), r.index)
    factor = Factor("vol", "BTC")
    given = {factor: -1.5 * r + noise}
    scen = joint_filtered(history, snapshot, factors=given, n_paths=20_000, vol_anchor="filter")
    spot, vol = scen.column("spot", "BTC"), scen.column("vol", "BTC")
    rho = float(np.corrcoef(given[factor], r)[0, 1])
    assert float(np.corrcoef(spot, vol)[0, 1]) == pytest.approx(rho, abs=0.1)
    assert float(np.polyfit(spot, vol, 1)[0]) == pytest.approx(-1.5, abs=0.2)
    plain = joint_filtered(history, snapshot, n_paths=20_000, vol_anchor="filter")
    assert not np.array_equal(plain.column("vol", "BTC"), vol)
    np.testing.assert_array_equal(plain.column("vol", "ETH").shape, vol.shape)
    assert any("BTC vol come from observed moves" in note for note in scen.notes)
    both = joint_filtered(
        history,
        snapshot,
        factors=given,
        models={
            n: VolatilityModel.from_parameters(
                {"omega": 9e-4, "alpha": 0.0, "beta": 0.0}, history.returns([n])[n], "garch", "normal"
            )
            for n in ("BTC", "ETH")
        },
        n_paths=500,
        vol_anchor="filter",
    )
    assert float(np.polyfit(both.column("spot", "BTC"), both.column("vol", "BTC"), 1)[0]) < -1.0


def test_assets_that_move_as_one_stay_one(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    pegged = PriceHistory.from_frame(history.prices.assign(ETH=0.05 * history.prices["BTC"]), simulated=True)
    scen = joint_filtered(pegged, snapshot, n_paths=300, vol_anchor="filter")
    np.testing.assert_allclose(scen.column("spot", "BTC"), scen.column("spot", "ETH"), atol=1e-6)


def test_paths_windows_drift_and_seed(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    options: dict[str, Any] = {"vol_anchor": 0.5, "n_paths": 200}
    a, b, c = (joint_filtered(history, snapshot, seed=s, **options) for s in (1, 1, 2))
    assert a.fingerprint == b.fingerprint != c.fingerprint and a.provenance.simulated
    longer = joint_filtered(history, snapshot, seed=1, vol_anchor=0.5, n_paths=300)
    np.testing.assert_array_equal(longer.column("spot", "BTC")[:200], a.column("spot", "BTC"))
    windows = joint_filtered(history, snapshot, paths="overlapping", horizon=5, vol_anchor=0.5)
    assert len(windows) == 399 - 75 - 4 and windows.provenance.seed is None
    assert (np.diff(windows.dates, axis=1) == 1).all()
    moved = joint_filtered(history, snapshot, seed=1, drift=True, **options)
    r = history.returns(["BTC"])["BTC"]
    np.testing.assert_allclose(
        moved.column("spot", "BTC") - a.column("spot", "BTC"), 2 * float(r.mean()), atol=1e-12
    )
    assert {f.kind for f in a.factors} == {"spot", "vol", "basis", "fixing"}


def test_a_dynamic_copula_is_a_correlation(
    coins: PriceHistory, four: MarketSnapshot, law: FactorResponse, models: dict[str, VolatilityModel]
) -> None:
    two = ["BTC", "ETH"]
    z = pd.DataFrame({n: models[n].residuals for n in two})
    copula = fit_dynamic_copula(z)
    scen = joint_filtered(
        coins,
        four,
        underlyings=two,
        models=models,
        correlation=copula,
        n_paths=500,
        response=law,
        vol_anchor=0.5,
    )
    assert any("held at the next day's" in note for note in scen.notes)
    assert len(scen.history_dates) == 1460 - 75


# -- bad input -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"paths": "all"}, ParameterError, "paths is 'all'"),
        ({"decay": 1.0}, ParameterError, "decay is 1.0"),
        ({"n_paths": 0}, ParameterError, "n_paths is 0"),
        ({"start": 390}, DataGapError, "399 returns with start 390"),
        ({"start": 0}, DataGapError, "start 0"),
        ({"keep_start": 1}, ParameterError, "keep_start is 1"),
        ({"models": 5}, SchemaError, "models are a int"),
        ({"models": {"BTC": 1, "ETH": 2}}, SchemaError, "the model of BTC is a int"),
        ({"factors": 5}, SchemaError, "factors are a int"),
        ({"horizon": 1.5}, ParameterError, "horizon is 1.5"),
        ({"vol_anchor": 45.0}, ConventionError, "looks like percent"),
        ({"models": {}}, DataGapError, "no volatility model for BTC"),
        ({"correlation": object()}, ParameterError, "correlation is given without models"),
        ({"factors": {Factor("spot", "BTC"): pd.Series([0.1])}}, SchemaError, "spot comes from the history"),
        ({"factors": {Factor("vol", "XRP"): pd.Series([0.1])}}, SchemaError, "of BTC, ETH"),
        ({"factors": {"BTC vol": pd.Series([0.1])}}, SchemaError, "factors name 'BTC vol'"),
        (
            {"factors": {Factor("vol", "BTC"): pd.Series([0.1])}},
            ConventionError,
            "BTC vol has 1 rows on other",
        ),
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
        joint_filtered(history, snapshot, **{"vol_anchor": 0.5, "n_paths": 50, **options})


def test_a_recursion_that_cannot_run_along_paths_is_refused(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    coins: PriceHistory,
    four: MarketSnapshot,
    models: dict[str, VolatilityModel],
) -> None:
    """Parameters of egarch are of a log variance: as those of a variance they would give other numbers."""
    r = history.returns(["BTC", "ETH"])
    logs = {n: fit_volatility(r[n], "egarch", "normal", covariance=False) for n in ("BTC", "ETH")}
    with pytest.raises(ConventionError, match="the model of BTC is egarch; expected gjr or garch or ewma"):
        joint_filtered(history, snapshot, models=logs, n_paths=50, vol_anchor=0.5)
    with pytest.raises(SchemaError, match="correlation is a ndarray"):
        joint_filtered(coins, four, underlyings=FOUR, models=models, correlation=np.eye(4), vol_anchor=0.5)  # type: ignore[arg-type]


def test_bad_factors_models_and_correlations(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    coins: PriceHistory,
    four: MarketSnapshot,
    models: dict[str, VolatilityModel],
    law: FactorResponse,
) -> None:
    index = history.returns(["BTC"]).index
    options: dict[str, Any] = {"vol_anchor": 0.5, "n_paths": 50}
    still = pd.Series(0.0, index)
    with pytest.raises(ParameterError, match="BTC vol are not finite or do not vary"):
        joint_filtered(history, snapshot, factors={Factor("vol", "BTC"): still}, **options)
    moving = pd.Series(0.01 * stream(1, "x").standard_normal(len(index)), index)
    nowhere = Factor("basis", "BTC", pd.Timestamp("2030-01-01T08:00:00Z"))
    with pytest.raises(SchemaError, match="BTC basis 2030-01-01"):
        joint_filtered(history, snapshot, factors={nowhere: moving}, **options)
    with pytest.raises(ConventionError, match="the model of BTC covers 1460 days, the history 399"):
        joint_filtered(history, snapshot, models={n: models[n] for n in ("BTC", "ETH")}, **options)
    fitted = correlation(models, "ccc")
    options |= {"response": law, "models": models}
    with pytest.raises(ConventionError, match="exactly BTC, ETH"):
        joint_filtered(coins, four, underlyings=["BTC", "ETH"], correlation=fitted, **options)
    short = fitted.filter(fitted.residuals.iloc[:-1])
    with pytest.raises(ConventionError, match="covers other dates"):
        joint_filtered(coins, four, underlyings=FOUR, correlation=short, **options)

    @dataclass
    class Given:
        path: np.ndarray
        next_correlation: np.ndarray

    bad_shape = Given(np.ones((3, 4, 4)), np.eye(4))
    with pytest.raises(ConventionError, match=r"path has shape \(3, 4, 4\)"):
        joint_filtered(coins, four, underlyings=FOUR, correlation=bad_shape, **options)
    singular = Given(np.ones((1460, 4, 4)), np.ones((4, 4)))
    with pytest.raises(ParameterError, match="the next one is singular"):
        joint_filtered(coins, four, underlyings=FOUR, correlation=singular, **options)


def test_old_history(history: PriceHistory) -> None:
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0})
    with pytest.warns(HistoryEndsWarning, match="944 days"):
        joint_filtered(history, late, n_paths=50, vol_anchor=0.5)
