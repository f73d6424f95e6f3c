"""Scenarios from a copula: margins and dependence of the residuals, tails beyond them, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, HistoryEndsWarning, ParameterError
from pmkit.estimation import VolatilityModel, fit_copula
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import expected_shortfall
from pmkit.scenarios import copula_simulated, filtered_historical


@pytest.fixture(scope="module")
def models(real_history: PriceHistory) -> dict[str, VolatilityModel]:
    known = {"omega": 3e-5, "alpha": 0.06, "gamma": 0.02, "beta": 0.91}
    r = real_history.returns(["BTC", "ETH"])
    return {n: VolatilityModel.from_parameters(known, r[n], "gjr", "normal") for n in r}


def test_close_to_resampled_residuals(
    real_history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel]
) -> None:
    options: dict[str, Any] = {"models": models, "n_paths": 40_000, "vol_anchor": 0.5, "horizon": 1}
    drawn = filtered_historical(real_history, snapshot, underlyings=["BTC", "ETH"], **options)
    made = copula_simulated(real_history, snapshot, underlyings=["BTC", "ETH"], **options)
    for name in ("BTC", "ETH"):
        a, b = (s.column("spot", name) for s in (drawn, made))
        assert expected_shortfall(b, 0.975).value == pytest.approx(
            expected_shortfall(a, 0.975).value, rel=0.1
        )
        assert float(np.std(b)) == pytest.approx(float(np.std(a)), rel=0.1)
    hedge = [s.column("spot", "BTC") - s.column("spot", "ETH") for s in (drawn, made)]
    assert expected_shortfall(hedge[1], 0.975).value == pytest.approx(
        expected_shortfall(hedge[0], 0.975).value, rel=0.25
    )
    assert made.n_independent == 1460.0 and made.dates is None and made.provenance.simulated
    assert any("simulated from a copula (t, " in note for note in made.notes)


def test_days_worse_than_any_seen(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    flat = {"omega": 9e-4, "alpha": 0.0, "beta": 0.0}
    r = history.returns(["BTC", "ETH"])
    models = {n: VolatilityModel.from_parameters(flat, r[n], "garch", "normal") for n in r}
    scen = copula_simulated(
        history, snapshot, models=models, n_paths=50_000, horizon=1, vol_anchor=0.03 * math.sqrt(365)
    )
    assert float(scen.column("spot", "BTC").min()) < float(r["BTC"].min())
    assert {f.kind for f in scen.factors} == {"spot", "vol", "basis", "fixing"}


def test_seed_prefix_and_given_copula(
    real_history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel]
) -> None:
    law = fit_copula(pd.DataFrame({n: m.residuals for n, m in models.items()}), "normal")
    options: dict[str, Any] = {
        "models": models,
        "copula": law,
        "vol_anchor": 0.5,
        "underlyings": ["BTC", "ETH"],
    }
    a, b, c = (copula_simulated(real_history, snapshot, n_paths=200, seed=s, **options) for s in (1, 1, 2))
    assert a.fingerprint == b.fingerprint != c.fingerprint
    longer = copula_simulated(real_history, snapshot, n_paths=300, seed=1, **options)
    np.testing.assert_array_equal(longer.column("spot", "ETH")[:200], a.column("spot", "ETH"))
    turned = copula_simulated(
        real_history, snapshot, n_paths=200, seed=1, **{**options, "underlyings": ["ETH", "BTC"]}
    )
    np.testing.assert_allclose(turned.column("spot", "ETH"), a.column("spot", "ETH"), atol=1e-12)
    assert any("copula (normal, ok)" in note for note in a.notes)


def test_bad_input(
    real_history: PriceHistory, snapshot: MarketSnapshot, models: dict[str, VolatilityModel]
) -> None:
    options: dict[str, Any] = {"models": models, "vol_anchor": 0.5, "n_paths": 50}
    with pytest.raises(ConventionError, match="one underlying, BTC"):
        copula_simulated(real_history, snapshot, underlyings=["BTC"], **options)
    z = pd.DataFrame({n: m.residuals for n, m in models.items()})
    bare = fit_copula(z, margins=False)
    with pytest.raises(ConventionError, match="BTC, ETH and has no margins"):
        copula_simulated(real_history, snapshot, copula=bare, **options)
    other = fit_copula(z.rename(columns={"ETH": "XRP"}))
    with pytest.raises(ConventionError, match="covers BTC, XRP"):
        copula_simulated(real_history, snapshot, copula=other, **options)
    with pytest.raises(ParameterError, match="n_paths is 0"):
        copula_simulated(real_history, snapshot, **{**options, "n_paths": 0})
    with pytest.raises(DataGapError, match="no volatility model for BTC"):
        copula_simulated(real_history, snapshot, **{**options, "models": {}})
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0, "ETH": 2_000.0})
    with pytest.warns(HistoryEndsWarning, match="944 days"):
        copula_simulated(real_history, late, **options)
