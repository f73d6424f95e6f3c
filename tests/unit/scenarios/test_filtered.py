"""Filtered historical simulation: published digits, the recursion by hand, anchors, refits, bad input."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    LookAheadError,
    ParameterError,
)
from pmkit.estimation import VolatilityModel, fit_volatility
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.scenarios import Factor, ScenarioSet, filtered_historical, refit_scenarios


def es99(loss: np.ndarray) -> float:
    """Mean of the worst hundredth."""
    worst = np.sort(loss)[::-1][: len(loss) // 100]
    return float(worst.mean())


@pytest.mark.parametrize(
    ("drift", "with_date", "without"),
    [(True, 0.133, 0.105), (False, 0.135, 0.107)],
    ids=["drift", "no drift"],
)
def test_two_day_shortfall_of_bitcoin(
    real_history: PriceHistory, snapshot: MarketSnapshot, drift: bool, with_date: float, without: float
) -> None:
    """13.3 % of notional, 10.5 % without 12 March 2020; without the drift of 0.1 % a day 0.2 points more."""
    scen = filtered_historical(
        real_history,
        snapshot,
        underlyings=["BTC"],
        n_paths=200_000,
        vol_anchor="filter",
        drift=drift,
        expiries={"BTC": []},
    )
    loss = -np.expm1(scen.column("spot", "BTC"))
    assert es99(loss) == pytest.approx(with_date, abs=0.0035)
    day = scen.history_dates.get_loc("2020-03-12")
    assert es99(loss[(scen.dates != day).all(axis=1)]) == pytest.approx(without, abs=0.002)
    assert any("the filter reached 46.2%" in note for note in scen.notes)
    assert scen.n_independent == 730.0


@pytest.fixture(scope="module")
def models(history: PriceHistory) -> dict[str, VolatilityModel]:
    known = {"mu": 0.001, "omega": 3e-5, "alpha": 0.05, "gamma": 0.08, "beta": 0.85, "nu": 5.0}
    returns = history.returns()
    return {u: VolatilityModel.from_parameters(known, returns[u]) for u in ("BTC", "ETH")}


@pytest.fixture(scope="module")
def scen(history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel]) -> ScenarioSet:
    return filtered_historical(
        history, snapshot, n_paths=3000, horizon=3, models=models, vol_anchor={"BTC": 0.5, "ETH": 0.7}
    )


def test_paths_are_residuals_through_the_recursion(
    scen: ScenarioSet, models: dict[str, VolatilityModel]
) -> None:
    """Both assets take the residual of the same day, and each starts at its own anchor."""
    for name, anchor in (("BTC", 0.5), ("ETH", 0.7)):
        z, p = models[name].residuals.to_numpy(), models[name].params
        for path in (0, 17, 2999):
            sigma, total = anchor / math.sqrt(365), 0.0
            for day in scen.dates[path]:
                r = sigma * z[day]
                total += r
                slope = p["alpha"] + (p["gamma"] if r < 0 else 0.0)
                sigma = math.sqrt(p["omega"] + slope * r * r + p["beta"] * sigma * sigma)
            assert scen.column("spot", name)[path] == pytest.approx(total, rel=1e-12)


def test_draws_depend_on_seed_and_not_on_size_or_company(
    history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel], scen: ScenarioSet
) -> None:
    common = {"models": models, "horizon": 3, "vol_anchor": {"BTC": 0.5, "ETH": 0.7}}
    fewer = filtered_historical(history, snapshot, n_paths=500, **common)
    np.testing.assert_array_equal(fewer.shocks, scen.shocks[:500])
    alone = filtered_historical(history, snapshot, n_paths=3000, underlyings=["BTC"], **common)
    for factor in alone.factors:
        if factor.kind != "fixing":  # the bridges of two coins are correlated
            np.testing.assert_array_equal(
                alone.column(factor.kind, "BTC", factor.expiry),
                scen.column(factor.kind, "BTC", factor.expiry),
            )
    other = filtered_historical(history, snapshot, n_paths=500, seed=5, **common)
    assert not np.array_equal(other.shocks[:, 0], fewer.shocks[:, 0])
    longer = filtered_historical(history, snapshot, n_paths=500, **{**common, "horizon": 4})
    np.testing.assert_array_equal(longer.dates[:, :3], fewer.dates)


def test_anchor_scales_the_first_day(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    one, two = (
        filtered_historical(history, snapshot, underlyings=["BTC"], n_paths=200, horizon=1, vol_anchor=v)
        for v in (0.4, 0.8)
    )
    np.testing.assert_allclose(two.column("spot", "BTC"), 2 * one.column("spot", "BTC"), rtol=1e-12)
    assert any("40.0% a year (stated)" in n for n in one.notes)
    fitted = fit_volatility(history.returns()["BTC"], covariance=False)
    reached = filtered_historical(
        history, snapshot, underlyings=["BTC"], n_paths=200, horizon=1, vol_anchor="filter"
    )
    expected = fitted.next_sigma * fitted.residuals.to_numpy()[reached.dates[:, 0]]
    np.testing.assert_allclose(reached.column("spot", "BTC"), expected, rtol=1e-12)


class Flat:
    """A surface whose vol depends on tenor only: 30 % + 10 % * days/100."""

    model = "test"

    def w(self, k, tau):
        return (0.3 + 0.1 * np.asarray(tau) * 3.65) ** 2 * np.asarray(tau) + 0.0 * np.asarray(k)

    def iv(self, strike, tau):
        return np.sqrt(self.w(0.0, tau) / tau)


def test_anchor_from_the_surface_and_other_tenors_beside_it(
    history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    bare = snapshot.market("BTC")
    snap = dataclasses.replace(snapshot, underlyings={"BTC": dataclasses.replace(bare, surface=Flat())})
    scen = filtered_historical(history, snap, n_paths=100)
    assert scen.provenance.parameters["anchor_level"]["BTC"] == pytest.approx(0.33)
    assert any(
        "33.0% a year (atm-30d)" in n and "7d 30.7%, 30d 33.0%, 90d 39.0%, 180d 48.0%" in n
        for n in scen.notes
    )
    week = filtered_historical(history, snap, n_paths=100, vol_anchor="atm-7d")
    assert week.provenance.parameters["anchor_level"]["BTC"] == pytest.approx(0.307)
    with pytest.raises(DataGapError, match="no surface for BTC"):
        filtered_historical(history, snapshot, n_paths=100)


def test_notes_state_what_was_assumed(scen: ScenarioSet) -> None:
    text = "\n".join(scen.notes)
    for wanted in (
        "history ends 2023-12-31",
        "(stated)",
        "drift zero",
        "deribit-btc-eth-2026-04",
        "Brownian bridge",
    ):
        assert wanted in text
    assert scen.dates is not None and scen.vol_term.short_power > 0.0
    assert (
        scen.column("fixing", "BTC", next(f.expiry for f in scen.factors if f.kind == "fixing")) is not None
    )


def test_refit_replicates_differ_and_are_reproducible(
    history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    options = {"n_paths": 2000, "vol_anchor": 0.5, "underlyings": ["BTC"]}
    first, again, second = (refit_scenarios(history, snapshot, r, **options) for r in (0, 0, 1))
    assert first.fingerprint == again.fingerprint != second.fingerprint
    # the same residual numbers: vol residuals are untouched by the resampling
    base = filtered_historical(history, snapshot, **options)
    slope = -1.08
    for other in (first, second):
        np.testing.assert_allclose(
            other.column("vol", "BTC") - slope * other.column("spot", "BTC"),
            base.column("vol", "BTC") - slope * base.column("spot", "BTC"),
            atol=1e-14,
        )
    assert first.dates.max() < 399 and len(np.unique(first.dates)) < len(np.unique(base.dates))
    assert first.provenance.parameters["converged"] is True


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"n_paths": 0}, ParameterError, "n_paths is 0"),
        ({"vol_anchor": "atm"}, ParameterError, "vol_anchor is 'atm'.*'atm-30d'"),
        ({"vol_anchor": "atm-0d"}, ParameterError, "vol_anchor is 'atm-0d'"),
        ({"vol_anchor": -0.5}, ParameterError, "vol_anchor is -0.5"),
        ({"vol_anchor": 45.0}, ConventionError, "looks like percent"),
        ({"vol_anchor": {"BTC": 0.5}}, ParameterError, "a vol for ETH"),
        ({"model": "egarch"}, ParameterError, "model is 'egarch'"),
        ({"models": {}}, DataGapError, "no volatility model for BTC"),
        ({"horizon": 0}, ParameterError, "horizon is 0"),
    ],
)
def test_bad_arguments(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    options: dict[str, object],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        filtered_historical(history, snapshot, **{"n_paths": 50, "vol_anchor": 0.5, **options})


def test_models_over_unequal_dates(
    history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel]
) -> None:
    short = {**models, "ETH": models["ETH"].filter(models["ETH"].returns.iloc[1:])}
    with pytest.raises(ConventionError, match="the models of BTC and ETH cover different dates"):
        filtered_historical(history, snapshot, n_paths=50, vol_anchor=0.5, models=short)


def test_dates_of_history_and_snapshot(history: PriceHistory) -> None:
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0})
    with pytest.warns(HistoryEndsWarning, match="944 days"):
        filtered_historical(history, late, n_paths=50, vol_anchor=0.5)
    early = MarketSnapshot.from_marks("2023-06-01T00:00:00Z", {"BTC": 60_000.0})
    with pytest.raises(LookAheadError, match=r"history.until\('2023-05-31'\)"):
        filtered_historical(history, early, n_paths=50, vol_anchor=0.5)
    with pytest.raises(ParameterError, match="replicate is -1"):
        refit_scenarios(history, late, -1)
    short = history.until("2023-01-31")
    with pytest.raises(DataGapError, match="65 returns of BTC; expected at least 100"):
        filtered_historical(
            short, MarketSnapshot.from_marks("2023-02-01T00:00:00Z", {"BTC": 1.0}), vol_anchor=0.5
        )


def test_basis_of_a_long_dated_future_moves(scen: ScenarioSet) -> None:
    far = max(f.expiry for f in scen.factors if f.kind == "basis")
    assert scen.column("basis", "BTC", far).std() > 1e-3
    assert Factor("basis", "BTC", far) in scen.factors
