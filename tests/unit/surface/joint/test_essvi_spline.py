"""The spline on eSSVI: it follows quotes that eSSVI cannot, and stays free of static arbitrage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.core.types import FloatArray
from pmkit.market import datasets, read_quote_panel, read_quotes
from pmkit.pricing import black76, implied_vol
from pmkit.surface import (
    EssviParameters,
    EssviSplineSurface,
    SliceQuotes,
    fit,
    fit_panel,
    forward_curve,
    implied_density,
    variance_swap,
)
from pmkit.surface.joint import essvi_spline_fit
from pmkit.surface.joint.banded_programme import Solution
from pmkit.surface.joint.essvi_spline_fit import fit_essvi_spline_surface

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")
CURVE = forward_curve(read_quotes(datasets.path(NAMES[0])), "BTC")
K = np.linspace(-0.6, 0.6, 25)


def quotes(months: int, w: FloatArray, k: FloatArray = K, half: float = 0.01) -> SliceQuotes:
    """Return simulated quotes of an expiry, bid and ask a share ``half`` of variance apart from the mid."""
    return SliceQuotes(
        expiry=CURVE.as_of + pd.Timedelta(days=30 * months), tau=30 * months / 365, forward=60_000.0,
        k=k, w=w, error=half * w, w_bid=(1.0 - half) * w, w_ask=(1.0 + half) * w,
    )  # fmt: skip


def two_lognormals(k: FloatArray, sds: tuple[float, float], up: float) -> FloatArray:
    """Return total variance of an even mixture around two forwards: a smile with a hump at the money."""
    m = np.exp(k)
    value = 0.5 * sum(
        np.asarray(black76(1.0 + s * up, m, 1.0, sd, is_call=k > 0.0))
        for s, sd in zip((1.0, -1.0), sds, strict=True)
    )
    return np.asarray(implied_vol(value, 1.0, m, 1.0, is_call=k > 0.0)) ** 2


def fitted(points: Sequence[SliceQuotes], **options: float) -> EssviSplineSurface:
    return fit_essvi_spline_surface(points, CURVE, {}, **options)


@pytest.fixture(scope="module")
def surface() -> EssviSplineSurface:
    return fit(read_quotes(datasets.path(NAMES[0])), model="essvi-spline")


@pytest.mark.parametrize("name", NAMES)
def test_held_out_quotes_are_met_nearly_as_often_as_by_interpolation_without_any_arbitrage(name: str) -> None:
    found = fit_panel([read_quotes(datasets.path(name))], ["essvi-spline", "pchip"]).summary()
    free, baseline = found.loc["essvi-spline"], found.loc["pchip"]
    assert free["held_out_inside"] >= baseline["held_out_inside"] - 0.05
    assert free["butterfly"] == free["calendar"] == free["left_out"] == 0
    assert free["inside"] > 0.985 and baseline["butterfly"] > 9


def test_prices_are_convex_and_ordered_far_beyond_the_quotes(surface: EssviSplineSurface) -> None:
    """By the prices alone, at strikes that the fit did not look at."""
    assert isinstance(surface, VolSurface) and surface.status["status"].eq("ok").all()
    assert surface.arbitrage()["free"].all() and len(surface.slices) == 13
    k = np.random.default_rng(1).uniform(-1.5, 1.5, 4001)
    k.sort()
    m, before = np.exp(k), np.maximum(1.0 - np.exp(k), 0.0)
    for one in surface.slices:
        call = np.asarray(black76(1.0, m, 1.0, np.sqrt(one.at(k)), is_call=True))
        slopes = np.diff(call) / np.diff(m)
        # a slope has the rounding of a price over the distance of two strikes
        noise = 1e-15 / np.diff(m)
        assert (slopes < noise).all() and (slopes > -1.0 - noise).all()
        assert (np.diff(slopes) > -2.0 * (noise[1:] + noise[:-1])).all()
        assert (call >= before - 1e-15).all()
        before = call


def test_derivatives_density_and_wings(surface: EssviSplineSurface) -> None:
    for one in surface.slices[::3]:
        k = np.linspace(one.quotes.k[0], one.quotes.k[-1], 41)
        h = 1e-4 * float(np.sqrt(one.at(0.0)))
        assert one.dw(k) == pytest.approx((one.at(k + h) - one.at(k - h)) / (2.0 * h), rel=1e-4, abs=1e-5)
        slope = (one.dw(k + h) - one.dw(k - h)) / (2.0 * h)
        assert one.d2w(k) == pytest.approx(slope, rel=1e-3, abs=1e-2)
        knots = one.basis.knots
        fine = np.linspace(knots[0] - 2.0, knots[-1] + 2.0, 40_001)
        density = one.density(fine)
        assert np.trapezoid(density, fine) == pytest.approx(1.0, abs=2e-3)
        assert np.trapezoid(density * np.exp(fine), fine) == pytest.approx(1.0, abs=5e-3)
        out = np.array([knots[0], knots[0] - 1.0, knots[-1], knots[-1] + 1.0])
        assert (one.at(out) == one.parameters.at(out)).all()
        assert np.isnan(one.at(np.array([np.nan]))).all()
        for edge, side in ((knots[0], 1.0), (knots[-1], -1.0)):
            close = np.array([edge + side * 1e-7])
            assert one.at(close) == pytest.approx(one.parameters.at(close), rel=1e-9)
            assert one.d2w(close) == pytest.approx(one.parameters.raw().d2w(close), abs=1e-4)


def test_readouts_and_shocks_take_it(surface: EssviSplineSurface) -> None:
    one = surface.slices[8]
    assert implied_density(surface, one.tau).mass == pytest.approx(1.0, abs=1e-4)
    assert 0.3 < variance_swap(surface, one.tau).vol < 0.5
    assert surface.summary()["butterfly_free"].all()
    assert surface.to_frame().shape[0] == sum(s.quotes.k.size for s in surface.slices)
    again = fit(read_quotes(datasets.path(NAMES[0])), model="essvi-spline")
    assert again.fingerprint == surface.fingerprint and repr(again) == repr(surface)


def test_a_smile_with_a_hump_is_followed_where_essvi_is_not() -> None:
    k = 0.5 * K
    points = [quotes(m, two_lognormals(k, (0.08 * m**0.5, 0.06 * m**0.5), 0.12), k) for m in (1, 3)]
    found = fitted(points, smoothing=1e-5)
    assert found.arbitrage()["free"].all()
    for one, true in zip(found.slices, points, strict=True):
        plain = float(true.inside(one.parameters.at(true.k)).mean())
        assert one.fit.inside == 1.0 and plain < 0.1


def test_on_essvi_itself_there_is_nothing_to_correct() -> None:
    true = EssviParameters(theta=0.03, rho=-0.3, psi=0.15)
    one = fitted([quotes(2, true.at(K))]).slices[0]
    assert np.abs(one.weights).max() < 1e-7
    assert one.at(K) == pytest.approx(true.at(K), rel=1e-5)


def test_quotes_with_arbitrage_are_not_followed_into_it() -> None:
    """A later expiry below an earlier one, and a spike between two strikes."""
    flat = np.full(K.size, 0.04)
    spike = flat.copy()
    spike[12] = 0.06
    found = fitted([quotes(1, spike), quotes(2, 0.9 * flat)])
    assert found.arbitrage()["free"].all()
    assert found.slices[0].at(0.0) < 0.05 and found.slices[1].at(0.0) > 0.036
    assert found.slices[0].fit.inside < 1.0


def test_smoothing_trades_error_for_curvature() -> None:
    points = [quotes(2, two_lognormals(K, (0.12, 0.1), 0.08))]
    loose, tight = (fitted(points, smoothing=s) for s in (1e-5, 10.0))
    assert loose.slices[0].fit.chi2 < tight.slices[0].fit.chi2
    assert loose.smoothing == 1e-5 and loose.fingerprint != tight.fingerprint


def test_a_correction_that_the_criteria_refuse_is_taken_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [quotes(2, two_lognormals(K, (0.12, 0.1), 0.08))]
    solve = essvi_spline_fit.Programme.solve

    def too_much(self: essvi_spline_fit.Programme) -> Solution:
        found = solve(self)
        return replace(found, x=1.1 * found.x)

    monkeypatch.setattr(essvi_spline_fit.Programme, "solve", too_much)
    found = fitted(points, smoothing=1e-5)
    fit_of = found.slices[0].fit
    assert found.arbitrage()["free"].all() and fit_of.status == "at_bound"
    assert re.fullmatch(r"[\d.]+% of the correction is taken, more would admit arbitrage", fit_of.detail)


def test_a_search_that_does_not_close_leaves_essvi_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: essvi_spline_fit.Programme) -> Solution:
        return Solution(x=np.ones(self.linear.size), gap=np.inf)

    monkeypatch.setattr(essvi_spline_fit.Programme, "solve", lost)
    true = EssviParameters(theta=0.03, rho=-0.3, psi=0.15)
    one = fitted([quotes(2, true.at(K))]).slices[0]
    assert one.fit.status == "not_converged" and (one.weights == 0.0).all()
    assert one.at(K) == pytest.approx(one.parameters.at(K), rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, -1.0, np.inf, np.nan])
def test_smoothing_has_to_be_positive(smoothing: float) -> None:
    with pytest.raises(ParameterError, match=r"smoothing is .*expected a positive number"):
        fitted([quotes(1, np.full(K.size, 0.04))], smoothing=smoothing)


def test_no_expiry_and_unknown_options_are_refused() -> None:
    with pytest.raises(DataGapError, match="no expiry of BTC has enough quotes"):
        fitted([])
    with pytest.raises(ParameterError, match="'speed' of model 'essvi-spline'"):
        fit(read_quotes(datasets.path(NAMES[0])), model="essvi-spline", speed=2)
    with pytest.raises(ParameterError, match="bound"):
        fit(read_quotes(datasets.path(NAMES[0])), model="essvi-spline", bound="wide")


@pytest.mark.extra_data
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_days_of_the_crash_meet_the_tolerance_without_arbitrage(extra_data: Path, coin: str) -> None:
    file = extra_data / "deribit_chains_2026" / f"{coin.lower()}_daily_dev_2025-12-30_2026-04-30.parquet"
    panel = read_quote_panel(file, underlying=coin).between("2026-02-05", "2026-02-06")
    found = fit_panel(panel, ["essvi-spline", "pchip"], underlying=coin)
    assert found.table["status"].eq("ok").all() and len(found.table) == 4
    summary = found.summary()
    free, baseline = summary.loc["essvi-spline"], summary.loc["pchip"]
    assert free["butterfly"] == free["calendar"] == free["left_out"] == 0
    assert free["held_out_inside"] >= baseline["held_out_inside"] - 0.05
