"""Volatility-scaled historical simulation: published figures, ratios with cap and floor, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from arch.data import sp500

from pmkit.core.errors import ConventionError, HistoryEndsWarning, ParameterError
from pmkit.estimation import VolatilityModel, fit_volatility
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import expected_shortfall, value_at_risk
from pmkit.scenarios import historical, scale_ratio, volatility_scaled


def test_figures_of_the_sp500() -> None:
    """One scaled outlier lifts ES far above VaR on the last 1,000 days of 2018; a cap takes it back."""
    returns = np.log(sp500.load()["Adj Close"]).diff().dropna()
    values = returns.to_numpy()
    model = VolatilityModel.from_parameters(
        {"omega": 0.0, "alpha": 0.06, "beta": 0.94},
        returns,
        "ewma",
        "normal",
        backcast=float(np.mean(values[:250] ** 2)),
    )
    assert 100.0 * model.next_sigma == pytest.approx(1.76402494, abs=5e-9)
    scaled = 100.0 * (values * scale_ratio(model.sigma, model.next_sigma))[-1000:]
    interpolated = float(np.quantile(-scaled, 0.99))
    assert interpolated == pytest.approx(5.76753683, abs=5e-9)
    own = value_at_risk(scaled, 0.99).value
    assert own <= interpolated and own == pytest.approx(5.76200931, abs=5e-9)
    es = expected_shortfall(scaled, 0.99).value
    assert es == pytest.approx(8.95067728, abs=5e-9)
    assert float(np.quantile(-100.0 * values[-1000:], 0.99)) == pytest.approx(2.60160646, abs=5e-9)
    capped = 100.0 * (values * scale_ratio(model.sigma, model.next_sigma, cap=2.0))[-1000:]
    assert expected_shortfall(capped, 0.99).value < 0.8 * es


def test_windows_are_sums_of_scaled_returns(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    scen = volatility_scaled(history, snapshot, horizon=3, replications=2)
    r = history.returns(["BTC"])["BTC"]
    model = VolatilityModel.from_parameters({"omega": 0.0, "alpha": 0.06, "beta": 0.94}, r, "ewma", "normal")
    scaled = r * model.next_sigma / model.sigma
    expected = scaled.rolling(3).sum().dropna()
    np.testing.assert_allclose(scen.column("spot", "BTC")[: len(expected)], expected, atol=1e-14)
    assert np.ptp(scen.weights) == 0.0 and scen.n_independent == pytest.approx(399 / 3, rel=0.01)
    assert any(note.startswith("BTC: past returns are scaled to") for note in scen.notes)


def test_floor_of_one_never_lowers_and_equal_limits_undo_the_scaling(
    history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    plain = historical(history, snapshot, horizon=1, replications=1)
    same = volatility_scaled(history, snapshot, horizon=1, replications=1, floor=1.0, cap=1.0)
    np.testing.assert_allclose(same.column("spot", "ETH"), plain.column("spot", "ETH"), atol=1e-15)
    floored = volatility_scaled(history, snapshot, horizon=1, replications=1, floor=1.0)
    assert (np.abs(floored.column("spot", "ETH")) >= np.abs(plain.column("spot", "ETH"))).all()
    assert any("399 of 399 ratios cut to [1, 1]" in note for note in same.notes)


def test_anchor_and_models(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    half, double = (
        volatility_scaled(history, snapshot, horizon=1, replications=1, vol_anchor=v) for v in (0.3, 0.6)
    )
    np.testing.assert_allclose(double.column("spot", "BTC"), 2.0 * half.column("spot", "BTC"), rtol=1e-12)
    r = history.returns(["BTC", "ETH"])
    models = {n: fit_volatility(r[n], "gjr", "t", covariance=False) for n in r}
    scen = volatility_scaled(history, snapshot, horizon=1, replications=1, models=models, vol_anchor=0.5)
    sd = float(np.std(scen.column("spot", "BTC")))
    assert sd == pytest.approx(0.5 / math.sqrt(365), rel=0.1)
    short = {n: m.filter(m.returns.iloc[1:]) for n, m in models.items()}
    with pytest.raises(ParameterError, match="the model of BTC covers 398 days, the history 399"):
        volatility_scaled(history, snapshot, models=short)


def test_the_past_is_not_rescaled_by_the_future(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    """A ratio knows the evening before: the last return changes no ratio, only the level of today."""
    changed = PriceHistory.from_frame(
        history.prices.assign(BTC=np.append(history.prices["BTC"].to_numpy()[:-1], 60_000.0)), simulated=True
    )
    a, b = (
        volatility_scaled(h, snapshot, horizon=1, replications=1, vol_anchor=0.5) for h in (history, changed)
    )
    # an anchor fixes today; the start of the recursion uses the first days only, less the sample mean
    ratio = a.column("spot", "BTC")[:-1] / b.column("spot", "BTC")[:-1]
    np.testing.assert_allclose(ratio[150:], 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"decay": 1.0}, ParameterError, "decay is 1.0"),
        ({"floor": 2.0, "cap": 1.0}, ParameterError, "floor is 2.0, cap 1.0"),
        ({"floor": -1.0}, ParameterError, "floor is -1.0"),
        ({"vol_anchor": 45.0}, ConventionError, "looks like percent"),
        ({"vol_anchor": "today"}, ParameterError, "vol_anchor is 'today'"),
        ({"models": {}}, Exception, "no volatility model for BTC"),
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
        volatility_scaled(history, snapshot, **options)


def test_bad_ratios_and_old_history(history: PriceHistory) -> None:
    with pytest.raises(ParameterError, match="not positive and finite"):
        scale_ratio([0.01, 0.0], 0.02)
    with pytest.raises(ParameterError, match="not positive and finite"):
        scale_ratio([0.01], math.nan)
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0})
    with pytest.warns(HistoryEndsWarning, match="944 days"):
        volatility_scaled(history, late, replications=1)


def test_text_in_the_ratio_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"floor 'x', cap inf; expected numbers"):
        scale_ratio([0.01], 0.02, floor="x")  # type: ignore[arg-type]
