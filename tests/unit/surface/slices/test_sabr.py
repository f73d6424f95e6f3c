"""SABR as a control: Hagan's formula in forty digits, its fit, and how far it is off where it fails."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.pricing import black76, implied_vol
from pmkit.surface import (
    Sabr,
    SabrSurface,
    SliceQuotes,
    alpha_from_atm,
    fit,
    fit_sabr,
    numeric_butterfly,
)
from pmkit.surface.slices.sabr_surface import fit_sabr_surface


def in_forty_digits(s: Sabr, strike: float, forward: float, tau: float) -> float:
    with mpmath.workdps(40):
        alpha, beta, rho, nu = (mpmath.mpf(v) for v in (s.alpha, s.beta, s.rho, s.nu))
        F, K, T = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.mpf(tau)
        log, mid = mpmath.log(F / K), (F * K) ** ((1 - beta) / 2)
        z = nu / alpha * mid * log
        x = mpmath.log((mpmath.sqrt(1 - 2 * rho * z + z * z) + z - rho) / (1 - rho))
        first = alpha / (mid * (1 + (1 - beta) ** 2 / 24 * log**2 + (1 - beta) ** 4 / 1920 * log**4))
        drift = (
            (1 - beta) ** 2 / 24 * alpha**2 / mid**2
            + rho * beta * nu * alpha / (4 * mid)
            + (2 - 3 * rho**2) / 24 * nu**2
        )
        return float(first * z / x * (1 + drift * T))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.floats(0.1, 1.0),
    st.sampled_from([0.0, 0.5, 0.7, 1.0]),
    st.floats(-0.95, 0.95),
    st.floats(0.05, 2.0),
    st.floats(-1.5, 1.5).filter(lambda k: abs(k) > 1e-9),
)
def test_the_formula_in_forty_digits(alpha: float, beta: float, rho: float, nu: float, k: float) -> None:
    s, strike = Sabr(alpha=alpha, beta=beta, rho=rho, nu=nu), math.exp(k)
    assert float(s.iv(strike, 1.0, 0.25)) == pytest.approx(in_forty_digits(s, strike, 1.0, 0.25), rel=1e-8)


def test_the_formula_is_smooth_at_the_money_and_flat_without_vol_of_vol() -> None:
    s = Sabr(alpha=0.6, beta=1.0, rho=-0.4, nu=1.5)
    k = np.array([-1e-4, -1e-5, -1e-9, 0.0, 1e-9, 1e-5, 1e-4])
    iv = np.sqrt(s.w(k, 1.0, 0.1) / 0.1)
    slope = np.diff(iv[[0, 1, 5, 6]]) / np.diff(k[[0, 1, 5, 6]])
    assert slope == pytest.approx(np.full(3, 0.5 * s.rho * s.nu * iv[3] / s.alpha), rel=1e-3)
    flat = Sabr(alpha=0.6, beta=1.0, rho=0.0, nu=0.0)
    assert flat.iv([0.5, 1.0, 2.0], 1.0, 3.0) == pytest.approx([0.6] * 3, rel=1e-15)
    assert np.isnan(flat.iv(np.nan, 1.0, 1.0))


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.floats(0.05, 2.0),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.floats(-0.9, 0.9),
    st.floats(0.0, 1.5),
    st.sampled_from([1.0, 60_000.0]),
)
def test_alpha_gives_the_vol_at_the_money_back(
    iv: float, beta: float, rho: float, nu: float, forward: float
) -> None:
    alpha = alpha_from_atm(iv, beta=beta, rho=rho, nu=nu, forward=forward, tau=0.25)
    assert float(Sabr(alpha, beta, rho, nu).iv(forward, forward, 0.25)) == pytest.approx(iv, rel=1e-9)


def test_alpha_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"no alpha gives 3 at the money .* lower nu, or shorten"):
        alpha_from_atm(3.0, beta=1.0, rho=-0.9, nu=2.0, forward=1.0, tau=4.0)


#: F, alpha, beta, nu, rho, tau; calls of a fine finite-difference scheme at K = F exp(0.1 i sqrt(tau)).
SCHEMES = [
    ((0.5, 0.5, 0.5, 0.4, 0.0, 2.0), (0.221383196830866, 0.193836689413803, 0.166240814653231)),
    ((0.07, 0.4, 0.5, 0.8, -0.6, 10.0), (0.052450313614407, 0.046585753491306, 0.039291470612989)),
]
#: How far the formula is above the scheme, vol points, at i = -1, 0, 1.
OFF = [(1.900, 1.667, 1.478), (26.756, 26.091, 24.992)]


@pytest.mark.parametrize(("case", "off"), list(zip(SCHEMES, OFF, strict=True)))
def test_s24_where_the_formula_fails(
    case: tuple[tuple[float, ...], tuple[float, ...]], off: tuple[float, ...]
) -> None:
    """At nu² tau = 0.32 it is 1.5 to 1.9 vol points too high, at 6.4 some 25 to 27."""
    (F, alpha, beta, nu, rho, tau), calls = case
    strike = F * np.exp(0.1 * math.sqrt(tau) * np.array([-1.0, 0.0, 1.0]))
    formula = Sabr(alpha, beta, rho, nu).iv(strike, F, tau)
    scheme = implied_vol(np.array(calls), F, strike, tau)
    assert 100.0 * (formula - scheme) == pytest.approx(off, abs=2e-3)
    assert (black76(F, strike, tau, formula) > np.array(calls)).all()


def quotes_of(s: Sabr, tau: float = 0.2, forward: float = 60_000.0, n: int = 21) -> SliceQuotes:
    k = np.linspace(-0.4, 0.4, n)
    w = s.w(k, forward, tau)
    bar = 1e-3 * w
    return SliceQuotes(
        expiry=pd.Timestamp("2026-09-25T08:00Z"), tau=tau, forward=forward, k=k, w=w, error=bar,
        w_bid=w - bar, w_ask=w + bar,
    )  # fmt: skip


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize(("rho", "nu"), [(-0.5, 1.2), (0.3, 2.0), (0.0, 0.4)])
def test_exact_quotes_give_their_parameters_back(beta: float, rho: float, nu: float) -> None:
    alpha = alpha_from_atm(0.6, beta=beta, rho=rho, nu=nu, forward=60_000.0, tau=0.2)
    sabr, quality = fit_sabr(quotes_of(Sabr(alpha, beta, rho, nu)), beta=beta)
    assert (sabr.alpha, sabr.rho, sabr.nu) == pytest.approx((alpha, rho, nu), rel=1e-5, abs=1e-5)
    assert quality.status == "ok" and quality.chi2 < 1e-8 and quality.inside == 1.0
    assert quality.parameters == 3


def test_a_surface_of_real_quotes_and_what_it_leaves_out() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    surface, svi = fit(quotes, model="sabr"), fit(quotes, model="svi")
    assert isinstance(surface, SabrSurface) and isinstance(surface, VolSurface)
    assert len(surface.slices) == len(svi.slices) and set(surface.status["status"]) <= {"ok", "at_bound"}
    # three parameters follow the quotes less closely than five
    assert 0.7 < surface.status["inside"].mean() < svi.status["inside"].mean()
    for one, other in zip(surface.slices, svi.slices, strict=True):
        assert one.fit.chi2 > other.fit.chi2
    assert surface.fingerprint == fit(quotes, model="sabr").fingerprint
    assert fit(quotes, model="sabr", beta=0.5).fingerprint != surface.fingerprint
    assert surface.cite() == ("hagan2002",)


def test_every_slice_fails_far_out_and_the_report_says_from_where() -> None:
    surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="sabr")
    report = surface.arbitrage()
    assert not report["free"].any() and (report["slope_left"] == math.inf).all()
    for one in surface.slices:
        intervals = report.loc[one.expiry, "butterfly_at"]
        assert intervals[0][0] == -math.inf and intervals[-1][1] == math.inf
        assert intervals[0][1] < 0.0 < intervals[-1][0]
        edge = intervals[-1][0]
        g = one.whole_line().g(np.array([1.2 * edge, 2.0 * edge, 10.0 * edge]))
        assert (g < 0.0).all()
    flat = numeric_butterfly(
        quotes_line := type(surface.slices[0])(
            quotes=quotes_of(Sabr(0.6, 1.0, 0.0, 0.0)), fit=surface.slices[0].fit,
            sabr=Sabr(0.6, 1.0, 0.0, 0.0),
        )
    )  # fmt: skip
    assert flat.free and float(quotes_line.at(3.0)) == pytest.approx(0.36 * 0.2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0.0, 1.0, 0.0, 0.5), "alpha of SABR is 0; expected a positive number"),
        ((0.5, 1.5, 0.0, 0.5), "beta of SABR is 1.5; expected between 0 and 1"),
        ((0.5, 1.0, -1.0, 0.5), "rho of SABR is -1; expected between -1 and 1, both excluded"),
        ((0.5, 1.0, 0.0, -0.5), "nu of SABR is -0.5; expected 0 or more"),
        ((math.nan, 1.0, 0.0, 0.5), "alpha of SABR is nan; expected a finite number"),
    ],
)
def test_bad_parameters(parameters: tuple[float, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Sabr(*parameters)


def test_bad_arguments() -> None:
    s = Sabr(0.6, 1.0, -0.3, 1.0)
    with pytest.raises(ParameterError, match="strike is -1; expected a positive, finite number"):
        s.iv([1.0, -1.0], 1.0, 0.1)
    with pytest.raises(ParameterError, match="tau is 0"):
        s.iv(1.0, 1.0, 0.0)
    with pytest.raises(ParameterError, match=r"the correction in time of SABR is -.* shorten the time"):
        Sabr(2.0, 1.0, -0.99, 5.0).iv(1.0, 1.0, 10.0)
    with pytest.raises(ParameterError, match="beta of SABR is 2"):
        fit_sabr(quotes_of(s), beta=2.0)
    with pytest.raises(ParameterError, match="3 points of 2026-09-25; expected at least 4"):
        fit_sabr(quotes_of(s, n=3))
    with pytest.raises(ParameterError, match=r"option 'starts' of model 'sabr'; expected beta"):
        fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="sabr", starts=3)


def test_quotes_out_of_reach_are_left_out_with_the_reason() -> None:
    quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    good = fit(quotes, model="sabr")
    few = good.slices[0].quotes.take([0, 1, 2])
    surface = fit_sabr_surface([few, good.slices[1].quotes], good.curve, {})
    assert len(surface.slices) == 1
    row = surface.status.loc[few.expiry]
    assert row["status"] == "not_converged" and "3 points of 2026-05-22" in row["detail"]
    with pytest.raises(ParameterError, match="beta of SABR is -1"):
        fit_sabr_surface([few], good.curve, {}, beta=-1.0)
