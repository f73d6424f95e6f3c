"""The interpolated baseline: through every quote, no kink, wings within the moment bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.surface import PchipSurface, RawSvi, SliceQuotes, fit, fit_pchip, fit_svi, numeric_butterfly

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")
GENERIC = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
K = np.linspace(-0.6, 0.6, 25)


def points(k: np.ndarray, w: np.ndarray) -> SliceQuotes:
    bar = np.full(k.size, 1e-3)
    return SliceQuotes(
        expiry=pd.Timestamp("2026-09-25T08:00Z"), tau=0.25, forward=100.0, k=np.array(k), w=np.array(w),
        error=bar, w_bid=w - bar, w_ask=w + bar,
    )  # fmt: skip


@pytest.fixture(scope="module")
def real() -> PchipSurface:
    return fit(read_quotes(datasets.path(NAMES[0])), model="pchip")


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_through_every_quote(name: str) -> None:
    surface = fit(read_quotes(datasets.path(name)), model="pchip")
    assert isinstance(surface, VolSurface)
    for one in surface.slices:
        assert one.at(one.quotes.k) == pytest.approx(one.quotes.w, rel=1e-13)
        assert one.fit.chi2 == 0.0 and one.fit.inside == 1.0
    assert (surface.status["inside"] == 1.0).all()
    assert surface.status["outside"].str.contains("slope at most 2").all()


def test_value_and_slope_are_continuous_and_the_wings_straight(real: PchipSurface) -> None:
    for one in real.slices:
        k, h = one.quotes.k, 1e-9
        assert one.at(k + h) == pytest.approx(one.at(k - h), abs=1e-7)
        assert one.dw(k + h) == pytest.approx(one.dw(k - h), abs=2e-4)
        for edge, side in ((k[0], -1.0), (k[-1], 1.0)):
            out = edge + side * np.array([0.0, 0.5, 1.0, 4.0])
            slope = side * np.diff(one.at(out)) / np.diff(side * out)
            assert slope == pytest.approx(np.full(3, float(one.dw(edge))), abs=1e-12)
            assert 0.0 <= side * float(one.dw(edge)) < 2.0
            assert (one.d2w(out[1:]) == 0.0).all()
        assert (one.at(np.linspace(-30, 30, 601)) > 0.0).all()


def test_derivatives_are_those_of_the_curve(real: PchipSurface) -> None:
    one, h = real.slices[5], 1e-6
    k = 0.5 * (one.quotes.k[1:] + one.quotes.k[:-1])
    assert one.dw(k) == pytest.approx((one.at(k + h) - one.at(k - h)) / (2 * h), abs=1e-6)
    assert one.d2w(k) == pytest.approx((one.dw(k + h) - one.dw(k - h)) / (2 * h), rel=1e-4, abs=1e-4)
    assert np.isnan(one.at(np.nan))


def test_it_is_monotone_where_the_quotes_are() -> None:
    one = fit_pchip(points(K, GENERIC.w(K)))
    lowest = int(np.argmin(GENERIC.w(K)))
    left, right = np.linspace(K[0], K[lowest], 500), np.linspace(K[lowest], K[-1], 500)
    assert (np.diff(one.at(left)) <= 1e-15).all() and (np.diff(one.at(right)) >= -1e-15).all()
    assert one.at(K[:-1] + 0.025) == pytest.approx(GENERIC.w(K[:-1] + 0.025), abs=5e-4)


def test_a_wing_that_falls_or_is_too_steep_is_held_and_said() -> None:
    hill = fit_pchip(points(K, 0.1 - 0.05 * np.abs(K)))
    assert hill.fit.status == "at_bound"
    assert hill.fit.detail.count("held flat, the quotes fall outwards") == 2
    assert float(hill.at(50.0)) == pytest.approx(float(hill.quotes.w[-1]))
    steep = fit_pchip(points(K, 0.04 + 3.0 * K**2))
    assert "the right wing is held at slope 2" in steep.fit.detail
    report = numeric_butterfly(steep)
    assert report.lee and max(report.slopes) < 2.0
    mild = fit_pchip(points(K, GENERIC.w(K)))
    assert mild.fit.status == "ok" and mild.fit.detail == ""


def test_arbitrage_of_the_interpolated_quotes_is_located(real: PchipSurface) -> None:
    report = real.arbitrage()
    assert list(report.index) == [s.expiry for s in real.slices]
    assert report["butterfly_margin"].isna().all() and not report["free"].all()
    for one in real.slices:
        row = report.loc[one.expiry]
        net = np.linspace(one.quotes.k[0], one.quotes.k[-1], 40_001)
        g = one.whole_line().g(net)
        assert row["min_g"] <= float(np.nanmin(g)) + 1e-6
        for low, high in row["butterfly_at"]:
            inside = 0.5 * (max(low, -60.0) + min(high, 60.0))
            assert float(one.whole_line().g(np.array(inside))) < 1e-9


def test_clean_quotes_of_a_free_slice_admit_less_than_noisy_ones() -> None:
    clean = numeric_butterfly(fit_pchip(points(K, GENERIC.w(K))))
    noise = 1.0 + 0.01 * np.cos(7.0 * np.arange(K.size))
    noisy = numeric_butterfly(fit_pchip(points(K, GENERIC.w(K) * noise)))
    assert noisy.min_g < clean.min_g and not noisy.free
    assert fit_svi(K, GENERIC.w(K) * noise).status == "ok"


def test_frames_and_errors(real: PchipSurface) -> None:
    assert list(real.summary()["status"]) == ["ok"] * len(real.slices)
    assert real.fingerprint == fit(read_quotes(datasets.path(NAMES[0])), model="pchip").fingerprint
    assert real.model == "pchip" and real.cite() == ("fritsch1984", "lee2004")
    assert "w_fit" in real.to_frame()
    with pytest.raises(DataGapError, match="at least one expiry with three usable options"):
        PchipSurface(slices=(), curve=real.curve)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": np.ones(3)}, r"error of shape \(3,\) at 2026-09-25; expected shape \(25,\) like k"),
        ({"w_ask": np.ones(26)}, r"w_ask of shape \(26,\)"),
        ({"k": K[::-1].copy()}, "25 moneyness and 25 variance points .* ascending in k"),
        ({"w": np.full(25, np.nan)}, "total variance or time of 2026-09-25 is not positive"),
        ({"w": np.full(25, -0.04)}, "total variance or time of 2026-09-25 is not positive"),
        ({"tau": 0.0}, "total variance or time of 2026-09-25 is not positive"),
    ],
)
def test_bad_points_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        replace(points(K, GENERIC.w(K)), **change)  # type: ignore[arg-type]
