"""eSSVI against the Open Source Risk Engine: its own calibration of the same quotes, and time between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.surface import EssviBox, ForwardCurve, SliceQuotes, box_to_parameters
from pmkit.surface.joint.essvi import EssviSurface, essvi_w
from pmkit.surface.joint.essvi_fit import fit_essvi_surface

ore = pytest.importorskip("ORE", reason="the wheel open-source-risk-engine is not installed")

DAYS = (30, 91, 182, 365)
TAUS = np.array(DAYS) / 365
START = pd.Timestamp("2026-08-01T00:00Z")
BOX = EssviBox(
    rho=[-0.3, -0.35, -0.3, -0.25],
    theta_first=0.36 * TAUS[0],
    a=0.216 * np.diff(TAUS),
    c=[0.3, 0.3, 0.4, 0.3],
)


def chain(noise: float) -> list[SliceQuotes]:
    """Return simulated quotes of a box, their error bars equal in vol."""
    found = []
    for i, (theta, rho, psi) in enumerate(zip(*box_to_parameters(BOX), strict=True)):
        k = np.linspace(-2.5, 2.5, 13) * np.sqrt(theta)
        vol = np.sqrt(essvi_w(theta, rho * psi, psi, k) / TAUS[i])
        vol = vol + noise * stream(i, "ore").normal(0.0, 1.0, k.size)
        w, error = vol**2 * TAUS[i], 2.0 * vol * TAUS[i] * 0.01
        found.append(
            SliceQuotes(
                expiry=START + pd.Timedelta(days=DAYS[i]), tau=float(TAUS[i]), forward=100.0, k=k, w=w,
                error=error, w_bid=w - error, w_ask=w + error,
            )
        )  # fmt: skip
    return found


def theirs(quotes: list[SliceQuotes], variant: str) -> Any:
    """Return ORE's surface through the same vols."""
    today, actual, every_day = ore.Date(1, ore.August, 2026), ore.Actual365Fixed(), ore.NullCalendar()
    ore.Settings.instance().evaluationDate = today
    flat = ore.YieldTermStructureHandle(ore.FlatForward(today, 0.0, actual))
    strikes, vols = ore.DoubleVectorVector(), ore.DoubleVectorVector()
    for one in quotes:
        strikes.append(ore.DoubleVector([float(v) for v in 100.0 * np.exp(one.k)]))
        vols.append(ore.DoubleVector([float(v) for v in one.iv]))
    surface = ore.BlackVolatilitySurfaceSvi(
        today, ore.DateVector([today + int(d) for d in DAYS]), strikes, vols, actual, every_day,
        ore.QuoteHandle(ore.SimpleQuote(100.0)), 0, every_day, flat, flat,
        getattr(ore.SviParametricVolatility, f"ModelVariant_Mingone2022Essvi{variant}"),
    )  # fmt: skip
    surface.enableExtrapolation()
    return surface


def ours(quotes: list[SliceQuotes]) -> EssviSurface:
    curve = ForwardCurve(underlying="TEST", spot=100.0, as_of=START, quotes={}, parity={}, ledger=())
    return fit_essvi_surface(quotes, curve, {})


def vols(surface: Any, tau: float, k: np.ndarray) -> np.ndarray:
    return np.array([surface.blackVol(tau, float(100.0 * np.exp(x))) for x in k])


@pytest.mark.parametrize("variant", ["MM", "GJ"])
def test_both_recover_the_same_surface(variant: str) -> None:
    quotes = chain(0.0)
    other, own = theirs(quotes, variant), ours(quotes)
    k = np.array([-2.5, -0.77, -0.3, 0.013, 0.31, 1.9])
    for tau in TAUS:
        assert np.sqrt(own.w(k, tau) / tau) == pytest.approx(vols(other, float(tau), k), abs=1e-7)


def test_time_between_and_before_the_expiries_runs_alike() -> None:
    quotes = chain(0.0)
    other, own = theirs(quotes, "MM"), ours(quotes)
    k = np.array([-1.2, -0.3, 0.0, 0.2, 0.9])
    for tau in (10 / 365, 60 / 365, 120 / 365, 0.6):
        assert np.sqrt(own.w(k, tau) / tau) == pytest.approx(vols(other, tau, k), abs=1e-7)


def test_after_the_last_expiry_the_growth_of_theta_is_a_choice() -> None:
    # psi and rho stay in both; there theta goes on at the pace of the last interval, here at that of tau
    quotes = chain(0.0)
    other, own = theirs(quotes, "MM"), ours(quotes)
    k, tau = np.array([-1.2, 0.0, 0.9]), 2.0
    pace = (own.theta[-1] - own.theta[-2]) / (TAUS[-1] - TAUS[-2])
    theta = own.theta[-1] + pace * (tau - TAUS[-1])
    expected = np.sqrt(essvi_w(theta, own.rho[-1] * own.psi[-1], own.psi[-1], k) / tau)
    assert expected == pytest.approx(vols(other, tau, k), abs=1e-7)
    assert float(own.w(0.0, tau)) == pytest.approx(2.0 * own.theta[-1], rel=1e-12)


def test_with_noise_the_fit_is_no_worse() -> None:
    quotes = chain(0.01)
    other, own = theirs(quotes, "MM"), ours(quotes)
    errors = []
    for one in quotes:
        errors.append(
            [
                np.mean((np.sqrt(own.w(one.k, one.tau) / one.tau) - one.iv) ** 2),
                np.mean((vols(other, one.tau, one.k) - one.iv) ** 2),
            ]
        )
    mine, its = np.sqrt(np.mean(errors, axis=0))
    assert mine < 1.01 * its
    assert own.arbitrage()["free"].all()
