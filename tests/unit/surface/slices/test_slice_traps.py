"""Mistakes that slices invite, each by its name: what goes wrong, and that it does not here."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.market import datasets, read_quotes
from pmkit.surface import (
    ExtrapolationWarning,
    RawSvi,
    butterfly,
    calendar,
    fit,
    fit_svi,
    g,
    numeric_butterfly,
    wing_limits,
)

VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)


def test_trap_01_the_moment_bound_is_two_in_total_variance() -> None:
    """4 bounds theta·phi·(1 + |rho|), twice the slope of the wing: a slope of 2.25 would pass it."""
    steep = RawSvi(a=0.04, b=1.5, rho=0.5, m=0.0, sigma=0.5)
    assert 2.0 < max(steep.slopes) < 4.0 and not butterfly(steep).free and not butterfly(steep).lee
    natural = steep.to_natural()
    assert natural.omega * natural.zeta * (1.0 + abs(natural.rho)) == pytest.approx(2.0 * max(steep.slopes))
    assert float(g(steep, 1e7)) < 0.0
    k = np.linspace(-0.7, 0.7, 41)
    fitted = fit_svi(k, 0.4 + 2.4 * (np.hypot(k, 0.2) - 0.2))
    assert fitted.svi is not None and max(fitted.svi.slopes) <= 2.0


def test_trap_07_a_slice_that_passes_within_three_and_fails_at_minus_twelve() -> None:
    far_out = RawSvi(a=-1.52, b=1.392, rho=-0.114, m=-1.418, sigma=2.524)
    assert np.min(g(far_out, np.linspace(-3.0, 3.0, 6_001))) > 0.01
    assert float(g(far_out, -12.0)) < 0.0 and min(wing_limits(far_out)) > 0.0
    exact, numeric = butterfly(far_out), numeric_butterfly(far_out)
    assert not exact.free and not numeric.free
    for report in (exact, numeric):
        ((low, high),) = report.violations
        assert low < -12.0 < high < -3.0
    # and a wing whose limit is negative although g is positive wherever there are quotes
    wing = RawSvi(a=2.0, b=2.05, rho=0.0, m=0.0, sigma=5.0)
    assert np.min(g(wing, np.linspace(-30.0, 30.0, 6_001))) > 0.0
    assert wing_limits(wing)[0] == pytest.approx(0.25 - 2.05**2 / 16.0) and not butterfly(wing).free


def test_trap_08_calendar_arbitrage_is_seen_at_equal_forward_moneyness() -> None:
    near = RawSvi(a=0.02, b=0.2, rho=-0.3, m=0.0, sigma=0.1)
    far, ratio = replace(near, a=0.022), 1.05
    assert calendar(near, far).free
    strike = np.linspace(0.7, 1.4, 71)
    falls = far.w(np.log(strike / ratio)) - near.w(np.log(strike))
    assert falls.min() < 0.0, "at equal strike the same surface seems to fall"
    # the opposite error: equal strikes may hide a decrease at equal moneyness
    lower = replace(near, m=-0.1, a=0.021)
    at_strike = lower.w(np.log(strike / math.exp(0.1))) - near.w(np.log(strike))
    assert at_strike.min() > 0.0 and not calendar(near, lower).free


def test_trap_09_the_level_may_be_negative() -> None:
    k = np.linspace(-1.0, 1.0, 41)
    fitted, held = (
        fit_svi(k, VOGT.w(k), np.full(41, 1e-4)),
        fit_svi(k, VOGT.w(k), np.full(41, 1e-4), min_a=0.0),
    )
    assert fitted.svi is not None and fitted.svi.a == pytest.approx(-0.0410, abs=1e-6)
    assert fitted.chi2 < 1e-6 < 1.0 < held.chi2 and held.status == "at_bound"
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    assert sum(s.svi.a < 0.0 for s in fit(quotes, "svi").slices) >= 6, "most real slices need it"


def test_trap_10_raw_parameters_are_those_of_total_variance() -> None:
    """Where a and b are taken per year, w is tau times as much: off by a factor of four at a quarter."""
    tau = 0.25
    per_year = replace(VOGT, a=VOGT.a / tau, b=VOGT.b / tau)
    assert per_year.w(0.3) * tau == pytest.approx(VOGT.w(0.3), rel=1e-14)
    one, two = VOGT.to_jump_wing(tau), per_year.to_jump_wing(tau)
    assert one.v * tau == pytest.approx(float(VOGT.w(0.0))) and two.v == pytest.approx(4.0 * one.v)
    surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), "svi")
    for s in surface.slices:
        atm = float(np.sqrt(s.svi.w(0.0) / s.tau))
        assert 0.1 < atm < 1.5 and atm == pytest.approx(float(surface.iv(s.forward, s.tau)), rel=1e-9)


def test_trap_11_the_order_of_parameters_in_print() -> None:
    """The Vogt slice is printed as (a, b, m, rho, sigma); by position m and rho would change places."""
    printed = (-0.0410, 0.1331, 0.3586, 0.3060, 0.4153)
    swapped = RawSvi(*printed)
    assert swapped.rho == 0.3586 and swapped.m == 0.3060
    assert abs(float(swapped.w(1.0)) - float(VOGT.w(1.0))) > 1e-3
    wings = VOGT.to_jump_wing(1.0)
    assert (wings.v, wings.psi, wings.p, wings.c, wings.v_min) == pytest.approx(
        (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249), rel=1e-5
    )
    with pytest.raises(ParameterError, match="m of raw SVI is nan"):
        RawSvi(-0.0410, 0.1331, 0.3, math.nan, 0.4)


def test_trap_26_what_holds_beyond_the_quotes_is_stated() -> None:
    quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    stated = {
        "linear": "implied vol flat beyond the quoted strikes",
        "pchip": "total variance linear in k beyond the quoted strikes",
        "svi": "goes on by the formula beyond the quoted strikes",
        "svi-free": "goes on by the formula beyond the quoted strikes",
        "sabr": "goes on by the formula beyond the quoted strikes",
    }
    for model, words in stated.items():
        surface = fit(quotes, model)
        assert surface.status["outside"].str.contains(words).all(), model
        last = surface.taus[-1]
        # beyond the last expiry the vol is flat, and the class says so
        with pytest.warns(ExtrapolationWarning, match="beyond the last expiry"):
            assert surface.w(0.0, 3.0 * last) == pytest.approx(3.0 * surface.w(0.0, last))
        with pytest.warns(ExtrapolationWarning, match="beyond the last expiry"):
            surface.iv(surface.curve.spot, 3.0 * last)
        with pytest.raises(DataGapError, match="beyond the last expiry"):
            surface.w(0.0, 3.0 * last, outside="raise")
        assert "implied vol at fixed k is flat" in " ".join((type(surface).__doc__ or "").split())
