"""The surface of SVI slices on real chains: every expiry fits or says why, and arbitrage is located."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.pricing import black76_inverse
from pmkit.surface import OwnVols, SviSurface, butterfly, calendar, fit, forward_curve, own_vols

#: Some tests look on purpose at times beyond the last expiry.
pytestmark = pytest.mark.filterwarnings("ignore::pmkit.surface.readouts.outside.ExtrapolationWarning")

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")


@pytest.fixture(scope="module")
def surfaces() -> dict[str, SviSurface]:
    return {name: fit(read_quotes(datasets.path(name)), model="svi") for name in NAMES}


@pytest.fixture(scope="module")
def real(surfaces: dict[str, SviSurface]) -> SviSurface:
    return surfaces[NAMES[0]]


@pytest.mark.parametrize("name", NAMES)
def test_every_expiry_fits_or_says_why(surfaces: dict[str, SviSurface], name: str) -> None:
    surface = surfaces[name]
    status = surface.status
    assert list(status.index) == list(surface.curve.quotes) and len(status) >= 12
    assert set(status["status"]) <= {"ok", "at_bound"}
    assert (status["detail"].ne("") == status["status"].ne("ok")).all()
    assert (status["inside"] >= 0.75).all() and status["inside"].mean() > 0.95
    assert (status["chi2_per_dof"] < 1.2).all() and (status["rmse_iv"] < 0.0125).all()


def test_share_inside_is_that_of_repriced_quotes(real: SviSurface) -> None:
    quotes = read_quotes(datasets.path(NAMES[0])).frame.set_index("instrument")
    for one in real.slices:
        rows = quotes.loc[list(one.quotes.instruments)]
        fitted = np.sqrt(one.at(one.quotes.k) / one.tau)
        price = black76_inverse(
            one.forward, rows["strike"], one.tau, fitted, is_call=rows["is_call"].to_numpy(dtype=bool)
        )
        inside = (rows["bid"] - 1e-12 <= price) & (price <= rows["ask"] + 1e-12)
        assert one.fit.inside == pytest.approx(inside.mean(), abs=1e-12)


def test_it_is_a_vol_surface_with_the_conventions_of_the_linear_one(real: SviSurface) -> None:
    assert isinstance(real, VolSurface) and real.model == "svi"
    k, first, second = np.array([-0.3, 0.0, 0.4]), real.slices[3], real.slices[4]
    assert real.w(k, first.tau) == pytest.approx(first.svi.w(k))
    middle = 0.25 * first.tau + 0.75 * second.tau
    assert real.w(k, middle) == pytest.approx(0.25 * first.svi.w(k) + 0.75 * second.svi.w(k))
    early, late = 0.5 * real.taus[0], 2.0 * real.taus[-1]
    assert real.w(k, early) == pytest.approx(0.5 * real.slices[0].svi.w(k))
    assert real.w(k, late) == pytest.approx(2.0 * real.slices[-1].svi.w(k))
    strike = first.forward * np.exp(k)
    assert real.iv(strike, first.tau) == pytest.approx(np.sqrt(first.svi.w(k) / first.tau))
    assert real.slice("2026-09-25").expiry == pd.Timestamp("2026-09-25T08:00Z")
    with pytest.raises(ParameterError, match="tau is -1"):
        real.w(0.0, -1.0)


def test_it_stays_close_to_the_linear_surface_where_there_are_quotes(real: SviSurface) -> None:
    baseline = fit(read_quotes(datasets.path(NAMES[0])))
    for one in real.slices:
        k = one.quotes.k[np.abs(one.quotes.k) < np.sqrt(one.at(0.0))]
        iv, other = np.sqrt(one.at(k) / one.tau), np.sqrt(baseline.w(k, one.tau) / one.tau)
        assert np.abs(iv - other).max() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_arbitrage_is_reported_expiry_by_expiry(surfaces: dict[str, SviSurface], name: str) -> None:
    surface = surfaces[name]
    report = surface.arbitrage()
    assert list(report.index) == [s.expiry for s in surface.slices]
    for index, one in enumerate(surface.slices):
        row = report.loc[one.expiry]
        wings = butterfly(one.svi)
        assert row["butterfly_margin"] == wings.margin and row["butterfly_at"] == wings.violations
        assert (row["butterfly_margin"] >= 0.0) == (row["min_g"] >= 0.0)
        if index == 0:
            assert math.isnan(row["calendar_min"]) and row["calendar_at"] == ()
            assert row["free"] == wings.free
            continue
        time = calendar(surface.slices[index - 1].svi, one.svi)
        assert row["calendar_min"] == time.min_dw and row["calendar_at"] == time.violations
        assert row["free"] == (wings.free and time.free)
        for low, high in time.violations:
            inside = max(low, -50.0) / 2 + min(high, 50.0) / 2
            assert float(one.at(inside)) < float(surface.slices[index - 1].at(inside))
    assert not report["free"].all(), "slices fitted one by one are not free"


def test_frames_and_fingerprint(real: SviSurface) -> None:
    frame = real.to_frame()
    assert len(frame) == sum(s.quotes.k.size for s in real.slices)
    assert frame["iv_fit"].to_numpy() == pytest.approx(np.sqrt(frame["w_fit"] / frame["tau"]).to_numpy())
    assert list(real.summary()["status"]) == list(real.status["status"])
    again = fit(read_quotes(datasets.path(NAMES[0])), model="svi")
    assert again.fingerprint == real.fingerprint
    assert again.fingerprint != fit(read_quotes(datasets.path(NAMES[1])), model="svi").fingerprint
    assert "at_bound" in repr(real) and "demarco2009" in real.cite()


def test_an_expiry_with_four_options_is_left_out_by_status() -> None:
    quotes = read_quotes(datasets.path(NAMES[0]))
    vols = own_vols(quotes, forward_curve(quotes, "BTC"))
    expiry = pd.Timestamp("2026-09-25T08:00Z")
    here = vols.frame["expiry"] == expiry
    outside = here & (vols.frame["is_call"] == (vols.frame["k"] > 0.0))
    few = vols.frame[outside].sort_values("strike").iloc[18:22]
    surface = fit(quotes, "svi", vols=OwnVols(frame=pd.concat([vols.frame[~here], few]), ledger=()))
    row = surface.status.loc[expiry]
    assert row["status"] == "too_few_points"
    assert row["detail"] == "4 usable out-of-the-money options, 5 are needed"
    assert len(surface.slices) == 12
    with pytest.raises(DataGapError, match=r"no slice at 2026-09-25 \(4 usable .* options, 5 are needed\)"):
        surface.slice("2026-09-25")
    none = fit(quotes, "svi", vols=OwnVols(frame=vols.frame[~here], ledger=()))
    assert none.status.loc[expiry, "detail"] == "0 usable out-of-the-money options, 5 are needed"


def test_a_degenerate_expiry_is_left_out_and_named() -> None:
    quotes = read_quotes(datasets.path(NAMES[0]))
    vols = own_vols(quotes, forward_curve(quotes, "BTC"))
    expiry = pd.Timestamp("2026-09-25T08:00Z")
    frame = vols.frame.copy()
    here = frame.index[frame["expiry"] == expiry]
    strike = frame.loc[here, "strike"].loc[frame.loc[here, "k"].abs().idxmin()]
    wrong = frame.index[(frame["expiry"] == expiry) & (frame["strike"] == strike)]
    frame.loc[wrong, "iv"] *= 3.0
    frame.loc[wrong, "spread"] = 0.1
    surface = fit(quotes, "svi", vols=OwnVols(frame=frame, ledger=()))
    row = surface.status.loc[expiry]
    assert row["status"] == "degenerate" and "nearest the money is off by -6" in row["detail"]
    with pytest.raises(DataGapError, match="no slice at 2026-09-25"):
        surface.slice(expiry)


def test_no_usable_expiry_and_unknown_models() -> None:
    quotes = read_quotes(datasets.path(NAMES[0]))
    vols = own_vols(quotes, forward_curve(quotes, "BTC"))
    with pytest.raises(DataGapError, match="at least one expiry with five usable options"):
        fit(quotes, "svi", vols=OwnVols(frame=vols.frame.iloc[:0], ledger=()))
    with pytest.raises(
        ParameterError, match="model 'heston'; expected one of 'linear', 'pchip', 'svi', 'svi-free', 'sabr'"
    ):
        fit(quotes, "heston")
