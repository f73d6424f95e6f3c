"""Fits day by day: counts that add up, days without a surface named, models compared fairly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.market import QuotePanel, read_quote_panel
from pmkit.pricing import black76_inverse
from pmkit.surface import RawSvi, fit_panel

EXPIRIES = ("2026-03-27T08:00Z", "2026-06-26T08:00Z")
SMILES = (RawSvi(0.005, 0.05, -0.3, 0.0, 0.15), RawSvi(0.02, 0.11, -0.3, 0.0, 0.25))


def panel(days: int = 2, *, half: float = 0.0004, lost: int | None = None) -> QuotePanel:
    """Return simulated chains of two expiries on arbitrage-free SVI slices; day ``lost`` has no bids."""
    rows = []
    for day in range(days):
        now = pd.Timestamp("2026-02-04T08:00Z") + pd.Timedelta(days=day)
        F = 70e3 * (1.0 - 0.05 * day)
        for expiry, smile in zip(EXPIRIES, SMILES, strict=True):
            tau = (pd.Timestamp(expiry) - now).total_seconds() / (365 * 86400)
            strike = np.arange(45e3, 100e3, 2500.0)
            iv = np.sqrt(smile.w(np.log(strike / F)) / tau)
            for is_call in (True, False):
                price = black76_inverse(F, strike, tau, iv, is_call=is_call)
                rows.append(
                    pd.DataFrame(
                        {
                            "timestamp": now,
                            "expiry": pd.Timestamp(expiry),
                            "strike": strike,
                            "cp": "C" if is_call else "P",
                            "bid": np.nan if day == lost else np.maximum(price - half, 0.0),
                            "ask": price + half,
                            "index": F,
                        }
                    )
                )
    return read_quote_panel(pd.concat(rows), underlying="BTC", source="simulated")


def test_counts_add_up_and_a_true_model_reprices_everything() -> None:
    found = fit_panel(panel(), ["svi", "linear"], keep=True)
    found.check()
    frame = found.to_frame()
    assert list(frame.index.get_level_values("model")) == ["svi", "linear"] * 2
    assert (frame["status"] == "ok").all() and (frame["expiries"] == 2).all()
    svi = found.summary().loc["svi"]
    assert svi["inside"] == 1.0 and svi["held_out_inside"] == 1.0 and svi["rmse"] < 0.02
    assert svi["butterfly"] == 0 and svi["calendar"] == 0
    linear = frame.xs("linear", level="model")
    assert (linear["inside_share"] == 1.0).all() and (linear["rmse"] < 1e-12).all()
    # interior strikes alone are held out, every second one
    points = [s.quotes.k.size for s in found.surfaces[frame.index[0]].slices]
    assert frame["tried"].iloc[0] == sum((n - 1) // 2 for n in points)
    assert found.plot().get_ylabel() == "inside share"


def test_a_day_without_quotes_is_named_and_the_next_goes_on() -> None:
    found = fit_panel(panel(3, lost=1), ["svi"], hold_out=False)
    assert found.table["status"].tolist() == ["ok", "no_surface", "ok"]
    assert "no expiry of BTC has enough quotes" in found.table["detail"].iloc[1]
    assert found.summary().loc["svi", "fitted"] == 2
    assert np.isnan(found.summary().loc["svi", "held_out_inside"])
    assert not found.surfaces


def test_noise_inside_the_spread_costs_the_interpolator_more() -> None:
    """Mids that stray by less than half the spread: the true price stays between every bid and ask."""
    half = 0.0004
    quotes = panel(1, half=half).frame.copy()
    shift = np.random.default_rng(3).uniform(-0.9 * half, 0.9 * half, len(quotes))
    quotes[["bid", "ask"]] = quotes[["bid", "ask"]].add(shift, axis=0).clip(lower=1e-4)
    quotes["cp"] = np.where(quotes["is_call"], "C", "P")
    found = fit_panel(read_quote_panel(quotes, underlying="BTC"), ["svi", "linear"]).summary()
    assert found.loc["linear", "inside"] == 1.0
    assert found.loc["svi", "held_out_inside"] > found.loc["linear", "held_out_inside"]


def test_bad_calls_are_named() -> None:
    with pytest.raises(ParameterError, match="distinct names out of"):
        fit_panel(panel(1), ["svi", "svi"])
    with pytest.raises(ParameterError, match="distinct names out of"):
        fit_panel(panel(1), ["spline"])
    with pytest.raises(DataGapError, match="no snapshots"):
        fit_panel([], ["svi"])
