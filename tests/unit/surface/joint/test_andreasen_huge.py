"""The Andreasen-Huge control: through its quotes where they allow, free of static arbitrage always."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.pricing import black76
from pmkit.surface import (
    AndreasenHugeSurface,
    fit,
    fit_andreasen_huge,
    fit_panel,
    implied_density,
    local_vol,
)
from tests.unit.surface.readout_cases import NEAR, linear, points


@pytest.fixture(scope="module")
def surface() -> AndreasenHugeSurface:
    return fit_andreasen_huge(points())


def test_the_quotes_are_met_and_nothing_is_arbitraged(surface: AndreasenHugeSurface) -> None:
    assert isinstance(surface, VolSurface)
    assert surface.status["status"].tolist() == ["ok"] * 3
    for one in surface.slices:
        assert np.abs(one.error).max() < 1e-10
        assert one.at(one.quotes.k) == pytest.approx(one.quotes.w, rel=1e-9)
        assert surface.w(one.quotes.k, one.tau) == pytest.approx(one.quotes.w, rel=1e-9)
    surface.check()


def test_prices_between_expiries_and_nodes_are_convex_and_rise(surface: AndreasenHugeSurface) -> None:
    k, before = np.linspace(-0.9, 0.9, 301), np.maximum(1.0 - np.exp(np.linspace(-0.9, 0.9, 301)), 0.0)
    strike = np.exp(k)
    for days in (3, 10, 11, 25, 40, 41, 80, 120, 150):
        call = np.asarray(black76(1.0, strike, 1.0, np.sqrt(surface.w(k, days / 365, outside="extend"))))
        assert (call >= before - 1e-13).all()
        assert (np.diff(np.diff(call) / np.diff(strike)) >= -1e-8).all()
        before = call


def test_one_step_by_hand(surface: AndreasenHugeSurface) -> None:
    one = surface.slices[0]
    m, tau = one.m, one.tau
    n, rows = m.size, np.zeros((m.size, m.size))
    for i in range(1, n - 1):
        a, b = m[i] - m[i - 1], m[i + 1] - m[i]
        rows[i, i - 1 : i + 2] = m[i] ** 2 * 2 / (a + b) * np.array([1 / a, -1 / a - 1 / b, 1 / b])
    matrix = np.eye(n) - 0.5 * tau * one.local_variance[:, None] * rows
    call = np.linalg.solve(matrix, np.maximum(1.0 - m, 0.0))
    assert one.value == pytest.approx(call - np.maximum(1.0 - m, 0.0), abs=1e-12)


def test_local_vol_is_that_of_the_step(surface: AndreasenHugeSurface) -> None:
    assert surface.local_vol(0.0, 0.05).shape == ()
    inside = surface.local_vol(surface.slices[1].quotes.k, 20 / 365)
    assert (inside > 0.3).all() and (inside < 3.0).all()
    assert surface.local_vol(0.0, 1.0) == surface.local_vol(0.0, 120 / 365)
    with pytest.raises(ParameterError, match="tau is 0"):
        surface.local_vol(0.0, 0.0)


def test_read_outs_that_need_a_second_derivative_are_refused(surface: AndreasenHugeSurface) -> None:
    for tau in (10 / 365, 30 / 365):
        with pytest.raises(ParameterError, match="linear between its points"):
            implied_density(surface, tau)
        with pytest.raises(ParameterError, match="linear between its points"):
            local_vol(surface, 0.0, tau)


def test_contradictory_quotes_have_an_error_and_a_status() -> None:
    falling = fit_andreasen_huge(points(growth=(1.0, 0.8, 5.0)))
    assert falling.status["status"].iloc[1] == "at_bound"
    assert falling.status["max_error"].iloc[1] > 0.005 and falling.status["max_error"].iloc[0] < 1e-9
    falling.check()


def test_a_real_chain() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    found = fit_andreasen_huge(fit(quotes, model="linear"))
    found.check()
    assert found.status["max_error"].max() < 0.01 and found.status["mean_error"].mean() < 5e-4
    assert np.isnan(found.w(10.0, 0.1)) and np.isnan(found.w(np.nan, 0.1)) and np.isnan(found.w(0.0, np.nan))
    assert found.w(0.0, 0.0) == 0.0
    assert found.w(0.0, [0.0, 0.1, np.nan]).shape == (3,)


def test_display_and_equal_bits(surface: AndreasenHugeSurface) -> None:
    assert surface.fingerprint == fit_andreasen_huge(points()).fingerprint
    assert surface.fingerprint != fit_andreasen_huge(points(), shape="constant").fingerprint
    assert surface.summary()["points"].tolist() == [11, 11, 11]
    assert len(surface.to_frame()) == 33
    broken = replace(surface.slices[0], value=surface.slices[0].value[::-1].copy())
    with pytest.raises(PmkitError, match="not convex"):
        replace(surface, slices=(broken, *surface.slices[1:])).check()
    early = replace(surface.slices[1], quotes=replace(surface.slices[1].quotes, tau=0.5))
    with pytest.raises(PmkitError, match="below the expiry before"):
        replace(surface, slices=(surface.slices[2], early)).check()


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="points of type RawSvi"):
        fit_andreasen_huge(NEAR)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="shape is 'cubic'"):
        fit_andreasen_huge(points(), shape="cubic")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="nodes is 50"):
        fit_andreasen_huge(points(), nodes=50)
    few = linear()
    assert fit_andreasen_huge(few).status["points"].tolist() == [3, 3]
    two = replace(few, slices=tuple(replace(s, k=s.k[:2].copy(), w=s.w[:2].copy()) for s in few.slices))
    with pytest.raises(DataGapError, match="no expiry has three points"):
        fit_andreasen_huge(two)
    mixed = replace(few, slices=(two.slices[0], few.slices[1]))
    assert "2 points with a vega, 3 are needed" in next(iter(fit_andreasen_huge(mixed).left_out.values()))
    with pytest.raises(ParameterError, match="tau is -1 years"):
        fit_andreasen_huge(few).w(0.0, -1.0)


def test_as_a_model_it_is_judged_at_its_nodes_and_holds_out_quotes() -> None:
    quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    found = fit_panel([quotes], ["andreasen-huge", "pchip"], keep=True)
    summary = found.summary()
    assert summary.loc["andreasen-huge", ["butterfly", "calendar"]].sum() == 0
    held = summary["held_out_inside"]
    assert held["andreasen-huge"] >= held["pchip"] - 0.05
    surface = found.surfaces[quotes.as_of, "andreasen-huge"]
    report = surface.arbitrage()
    assert report["free"].all() and (report["min_g"] == 0.0).all()
    # a dent in one price is found at its node, and a price below that of the expiry before
    one = surface.slices[3]
    node = int(np.searchsorted(one.m, 1.02))
    dented = one.value.copy()
    dented[node] *= 1.01
    lower = surface.slices[6].value.copy()
    lower[node] = 0.5 * surface.slices[5].value[node]
    slices = list(surface.slices)
    slices[3], slices[6] = replace(one, value=dented), replace(surface.slices[6], value=lower)
    report = replace(surface, slices=tuple(slices)).arbitrage()
    assert report["free"].tolist() == [i not in (3, 6) for i in range(12)]
    k = np.log(one.m)
    assert report["k_min_g"].iloc[3] == k[node] and report["min_g"].iloc[3] == -np.inf
    assert report["calendar_at"].iloc[6] == ((k[node], k[node]),)
    assert report["k_calendar_min"].iloc[6] == k[node] and report["calendar_min"].iloc[6] < 0.0
