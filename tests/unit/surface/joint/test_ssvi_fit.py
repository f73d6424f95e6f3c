"""SSVI fits and surfaces: recovery, the peer's optimum, arbitrage held out, time beyond the expiries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import least_squares

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.core.random import stream
from pmkit.market import datasets, read_quotes
from pmkit.surface import (
    EssviParameters,
    HestonPhi,
    JumpWingSvi,
    ModifiedPowerPhi,
    PowerPhi,
    RawSvi,
    SliceQuotes,
    SsviSurface,
    butterfly,
    calendar,
    fit,
    fit_ssvi,
    forward_curve,
    psi_max,
    repaired_jump_wing,
    ssvi_conditions,
    ssvi_parameters,
)
from pmkit.surface.joint.essvi import essvi_w
from pmkit.surface.joint.ssvi_fit import fit_ssvi_surface
from pmkit.surface.joint.ssvi_phi import Phi, PhiName

#: Some tests look on purpose at times beyond the last expiry.
pytestmark = pytest.mark.filterwarnings("ignore::pmkit.surface.readouts.outside.ExtrapolationWarning")

NAMES = ("deribit-btc-2026-08-01", "deribit-btc-2026-05-21", "deribit-eth-2026-05-21")
START = pd.Timestamp("2026-08-01T08:00Z")
THETA = [0.004, 0.009, 0.02, 0.045, 0.1]


def quotes_of(
    theta: list[float], rho: float, phi: Phi, *, noise: float = 0.0, points: int = 25
) -> list[SliceQuotes]:
    """Return simulated quotes of an SSVI surface, error bars of half a vol point."""
    found = []
    for i, level in enumerate(theta):
        days = 7 * 2**i
        tau, k = days / 365, np.linspace(-2.5, 2.0, points) * np.sqrt(level)
        psi = level * float(phi.at(level))
        vol = np.sqrt(essvi_w(level, rho * psi, psi, k) / tau)
        vol = vol + noise * stream(i, "ssvi").normal(0.0, 1.0, points)
        w, error = vol**2 * tau, 2.0 * vol * tau * 0.005
        found.append(
            SliceQuotes(
                expiry=START + pd.Timedelta(days=days), tau=tau, forward=100.0, k=k, w=w, error=error,
                w_bid=w - error, w_ask=w + error,
            )
        )  # fmt: skip
    return found


def curve_of():  # type: ignore[no-untyped-def]
    return forward_curve(read_quotes(datasets.path(NAMES[0])), "BTC")


@pytest.fixture(scope="module")
def real() -> SsviSurface:
    return fit(read_quotes(datasets.path(NAMES[0])), model="ssvi")


@pytest.mark.parametrize(
    ("name", "phi"),
    [
        ("power", PowerPhi(eta=0.7, gamma=0.45)),
        ("modified", ModifiedPowerPhi(eta=0.9, gamma=0.35)),
        ("heston", HestonPhi(lam=3.0)),
    ],
)
def test_without_noise_the_parameters_come_back(name: PhiName, phi: Phi) -> None:
    found = fit_ssvi(quotes_of(THETA, -0.35, phi), phi=name)
    assert found.converged and found.held == "" and found.evaluations < 60
    assert found.rho == pytest.approx(-0.35, abs=1e-5)
    assert found.theta == pytest.approx(THETA, rel=1e-6)
    assert found.phi.parameters == pytest.approx(phi.parameters, rel=2e-3 if name == "heston" else 1e-5)


@pytest.mark.parametrize("name", ["power", "modified"])
def test_it_reaches_the_optimum_of_a_general_least_squares(name: PhiName) -> None:
    quotes = quotes_of(THETA, -0.35, PowerPhi(eta=0.7, gamma=0.45), noise=0.004)
    found = fit_ssvi(quotes, phi=name)
    n = len(quotes)

    def residuals(y: np.ndarray) -> np.ndarray:
        kind = PowerPhi if name == "power" else ModifiedPowerPhi
        phi, rho, parts = kind(eta=float(np.exp(y[n + 1])), gamma=float(y[n + 2])), np.tanh(y[n]), []
        for one, level in zip(quotes, np.exp(y[:n]), strict=True):
            psi = level * float(phi.at(level))
            parts.append((essvi_w(level, rho * psi, psi, one.k) - one.w) / one.error)
        return np.concatenate(parts)

    begin = np.concatenate([np.log(THETA), [-0.2, -0.3, 0.4]])
    other = least_squares(residuals, begin, xtol=1e-13, ftol=1e-13, gtol=1e-13, x_scale="jac")
    assert found.loss == pytest.approx(2.0 * other.cost, rel=1e-9)
    assert found.theta == pytest.approx(np.exp(other.x[:n]), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("phi", ["power", "modified"])
def test_real_chains_have_no_arbitrage(name: str, phi: PhiName) -> None:
    surface = fit(read_quotes(datasets.path(name)), model="ssvi", phi=phi)
    report = surface.arbitrage()
    assert report["free"].all() and surface.conditions().free
    assert len(surface.status) >= 12 and set(surface.status["status"]) == {"ok"}
    assert (surface.status["rmse_iv"] < 0.08).all()
    assert np.diff(surface.theta).min() > 0.0 and surface.rho < -0.2


def test_wings_beyond_the_bound_are_held_by_it() -> None:
    steep = PowerPhi(eta=1.1 * float(psi_max(0.1, -0.2)) / 0.1**0.55, gamma=0.45)
    quotes = quotes_of(THETA, -0.2, steep, points=15)
    for bound in ("mm", "gj"):
        found = fit_ssvi(quotes, bound=bound)  # type: ignore[arg-type]
        assert "the wings would have butterfly arbitrage" in found.held and found.converged
        report = ssvi_conditions(found.phi, found.rho, float(found.theta[0]), float(found.theta[-1]))
        assert report.calendar and (report.butterfly_gj if bound == "gj" else report.butterfly_mm)
        assert (report.worst_gj if bound == "gj" else report.worst_mm) > 0.99
    exact, plain = fit_ssvi(quotes), fit_ssvi(quotes, bound="gj")
    assert exact.loss < 0.7 * plain.loss
    surface = fit_ssvi_surface(quotes, curve_of(), {})
    assert surface.arbitrage()["free"].all() and set(surface.status["status"]) == {"at_bound"}


def test_heston_like_wings_are_held_by_lam() -> None:
    # total variance of several units: there the like of Heston's smiles can be too steep
    theta = [0.5, 1.5, 4.0, 9.0]
    quotes = quotes_of(theta, -0.7, HestonPhi(lam=0.15), points=15)
    found = fit_ssvi(quotes, phi="heston")
    report = ssvi_conditions(found.phi, found.rho, float(found.theta[0]), float(found.theta[-1]))
    assert "butterfly" in found.held and report.free and report.worst_mm > 0.98


def test_falling_variance_across_expiries_is_held_up_and_named() -> None:
    quotes = quotes_of([0.0100, 0.0092, 0.03], -0.2, PowerPhi(eta=0.7, gamma=0.45))
    surface = fit_ssvi_surface(quotes, curve_of(), {})
    assert (np.diff(surface.theta) > 0.0).all() and surface.arbitrage()["free"].all()
    assert surface.status["detail"].str.contains("total variance at the money would fall").all()


def test_a_contradicting_expiry_is_left_out_as_degenerate() -> None:
    quotes = quotes_of(THETA, -0.2, PowerPhi(eta=0.7, gamma=0.45))
    wrong = quotes[2]
    quotes[2] = replace(wrong, w=wrong.w / 9.0, w_bid=wrong.w_bid / 9.0, w_ask=wrong.w_ask / 9.0)
    surface = fit_ssvi_surface(quotes, curve_of(), {})
    assert surface.status.loc[wrong.expiry, "status"] == "degenerate"
    assert len(surface.slices) == 4 and surface.arbitrage()["free"].all()


def test_time_between_and_beyond_the_expiries(real: SsviSurface) -> None:
    assert isinstance(real, VolSurface)
    k = np.linspace(-0.8, 0.8, 7)
    for one in real.slices:
        assert real.w(k, one.tau) == pytest.approx(one.at(k), rel=1e-12)
        assert one.psi == pytest.approx(one.theta * float(real.phi.at(one.theta)), rel=1e-12)
    near, far = real.slices[8], real.slices[9]
    tau = 0.4 * near.tau + 0.6 * far.tau
    level = 0.4 * near.theta + 0.6 * far.theta
    middle = EssviParameters(theta=level, rho=real.rho, psi=level * float(real.phi.at(level)))
    assert real.w(k, tau) == pytest.approx(middle.at(k), rel=1e-12)
    assert butterfly(middle.raw()).free
    assert calendar(near.svi, middle.raw()).free and calendar(middle.raw(), far.svi).free
    assert real.w(k, 0.3 * real.taus[0]) == pytest.approx(0.3 * real.slices[0].at(k), rel=1e-12)
    last = real.slices[-1]
    assert real.w(k, 2.0 * last.tau) == pytest.approx(last.at(k) + last.theta, rel=1e-12)
    raw = last.svi
    for grown in (0.1, 1.0, 10.0):
        later = RawSvi(a=raw.a + grown * last.theta, b=raw.b, rho=raw.rho, m=raw.m, sigma=raw.sigma)
        assert butterfly(later).free and calendar(raw, later).free
    assert "grows by what theta grows by" in real.status["outside"].iloc[0]
    many = real.w(0.1, np.linspace(0.0, 2.0, 90))
    assert many[0] == 0.0 and (np.diff(many) > 0.0).all()
    assert np.isnan(real.w(np.nan, 0.0)) and np.isnan(real.w(0.1, np.nan))


def test_the_surface_shows_what_it_is(real: SsviSurface) -> None:
    again = fit(read_quotes(datasets.path(NAMES[0])), model="ssvi")
    assert again.fingerprint == real.fingerprint and real.model == "ssvi"
    assert again.fingerprint != fit(read_quotes(datasets.path(NAMES[0])), "ssvi", phi="modified").fingerprint
    assert real.psi == pytest.approx(real.theta * real.phi.at(real.theta))
    assert "gatheral2014" in real.cite() and len(real.summary()) == 13
    other = replace(real.slices[1], parameters=replace(real.slices[1].parameters, rho=real.rho + 0.1))
    with pytest.raises(ParameterError, match="slices of 2 different rho; expected one rho for all"):
        replace(real, slices=(real.slices[0], other))


def test_a_repaired_slice_keeps_the_money_and_the_put_wing() -> None:
    one = JumpWingSvi(v=0.4, psi=-0.25, p=0.9, c=1.1, v_min=0.2, tau=0.1)
    mended = repaired_jump_wing(one)
    assert (mended.v, mended.psi, mended.p, mended.tau) == (one.v, one.psi, one.p, one.tau)
    parameters = ssvi_parameters(mended)
    wings = parameters.raw().to_jump_wing(0.1)
    assert (wings.v, wings.psi, wings.p, wings.c, wings.v_min) == pytest.approx(
        (mended.v, mended.psi, mended.p, mended.c, mended.v_min), rel=1e-12
    )
    assert butterfly(parameters.raw()).free
    # a put wing steeper than the bound is not mended by this rule
    steep = ssvi_parameters(repaired_jump_wing(replace(one, p=12.0)))
    assert not butterfly(steep.raw()).free and steep.psi > steep.psi_max()


def test_input_that_cannot_be_fitted_is_refused() -> None:
    quotes = quotes_of(THETA[:2], -0.2, PowerPhi(eta=0.7, gamma=0.45))
    with pytest.raises(ParameterError, match="phi 'cubic'; expected one of 'power', 'modified', 'heston'"):
        fit_ssvi(quotes, phi="cubic")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="bound 'none'"):
        fit_ssvi(quotes, bound="none")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="1 points of 2026-08-08; expected 3 or more"):
        fit_ssvi([quotes[0].take([3])])
    with pytest.raises(ParameterError, match=r"error\[0\] of 2026-08-08 is 0"):
        fit_ssvi([replace(quotes[0], error=0.0 * quotes[0].error)])
    with pytest.raises(DataGapError, match="at least one expiry with three usable options"):
        fit_ssvi_surface([], curve_of(), {})
    with pytest.raises(ParameterError, match="option 'start' of model 'ssvi'; expected phi, bound"):
        fit(read_quotes(datasets.path(NAMES[0])), "ssvi", start=1)
