"""Wing functions of SSVI: values, slopes, and the conditions under which they admit arbitrage."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.surface import (
    EssviParameters,
    HestonPhi,
    ModifiedPowerPhi,
    PowerPhi,
    butterfly,
    calendar,
    ssvi_conditions,
)
from pmkit.surface.joint.ssvi_phi import Phi

FAMILIES: tuple[Phi, ...] = (
    PowerPhi(eta=0.8, gamma=0.45),
    PowerPhi(eta=0.5, gamma=0.6),
    ModifiedPowerPhi(eta=1.2, gamma=0.4),
    HestonPhi(lam=1.2),
    HestonPhi(lam=40.0),
)


def slice_of(phi: Phi, rho: float, theta: float) -> EssviParameters:
    return EssviParameters(theta=theta, rho=rho, psi=theta * float(phi.at(theta)))


@pytest.mark.parametrize("phi", FAMILIES, ids=repr)
def test_growth_is_the_elasticity_of_psi(phi: Phi) -> None:
    theta = np.geomspace(1e-6, 20.0, 60)
    step = 1e-6

    def log_psi(level: np.ndarray) -> np.ndarray:
        return np.log(level * phi.at(level))

    numeric = (log_psi(theta * np.exp(step)) - log_psi(theta * np.exp(-step))) / (2.0 * step)
    assert phi.growth(theta) == pytest.approx(numeric, abs=1e-8)


@pytest.mark.parametrize("x", [1e-12, 1e-5, 0.3, 0.99999, 1.00001, 3.0, 300.0])
def test_heston_like_phi_to_the_last_digits(x: float) -> None:
    with mp.workdps(40):
        lam = mp.mpf(x) / mp.mpf(0.25)
        y = lam * mp.mpf(0.25)
        phi = (1 - (1 - mp.exp(-y)) / y) / y
        slope = (1 - mp.exp(-y) - y * mp.exp(-y)) / y**2
        assert float(HestonPhi(lam=float(lam)).at(0.25)) == pytest.approx(float(phi), rel=3e-15)
        assert float(HestonPhi(lam=float(lam)).growth(0.25)) == pytest.approx(float(slope / phi), rel=1e-14)


def test_heston_like_phi_never_exceeds_a_half() -> None:
    assert float(HestonPhi(lam=1e-9).at(1e-9)) == pytest.approx(0.5, rel=1e-12)
    assert (np.diff(HestonPhi(lam=2.0).at(np.geomspace(1e-6, 1e3, 100))) < 0.0).all()


@settings(max_examples=40)
@given(
    phi=st.sampled_from(FAMILIES),
    rho=st.floats(-0.9, 0.9),
    low=st.floats(-8.0, -1.0).map(np.exp),
    ratio=st.floats(1.05, 30.0),
)
def test_conditions_agree_with_the_curves(phi: Phi, rho: float, low: float, ratio: float) -> None:
    report = ssvi_conditions(phi, rho, low, low * ratio)
    near, far = slice_of(phi, rho, low), slice_of(phi, rho, low * ratio)
    assert report.calendar and calendar(near.raw(), far.raw()).free
    if report.butterfly_mm:
        assert butterfly(near.raw()).free and butterfly(far.raw()).free
    elif report.worst_mm > 1.001:
        assert not butterfly(slice_of(phi, rho, report.theta_worst).raw()).free
    assert not report.butterfly_gj or report.butterfly_mm
    assert report.free == (report.calendar and report.butterfly_mm)


def test_trap_01_the_bound_of_two_is_on_the_slope_and_that_of_four_on_theta_phi() -> None:
    for rho in (-0.7, 0.0, 0.4):
        # beyond theta = 4/(1 + |rho|) the moment bound alone is left
        one = EssviParameters(theta=6.0, rho=rho, psi=3.999 / (1.0 + abs(rho)))
        raw = one.raw()
        assert max(raw.slopes) == pytest.approx(3.999 / 2.0) and max(raw.slopes) < 2.0
        assert butterfly(raw).free
        steep = EssviParameters(theta=6.0, rho=rho, psi=4.001 / (1.0 + abs(rho))).raw()
        assert not butterfly(steep).lee and not butterfly(steep).free
        # a wing of slope 3 would pass a check against 4
        assert not butterfly(EssviParameters(theta=6.0, rho=rho, psi=6.0 / (1.0 + abs(rho))).raw()).free


def test_trap_05_the_modified_power_law_is_unconditional_only_up_to_gamma_of_a_half() -> None:
    for rho in (-0.7, 0.0, 0.5):
        eta = 2.0 / (1.0 + abs(rho))
        flat, steep = ModifiedPowerPhi(eta=eta, gamma=0.5), ModifiedPowerPhi(eta=eta, gamma=0.75)
        assert flat.free_everywhere(rho) and not steep.free_everywhere(rho)
        assert ssvi_conditions(flat, rho, 1e-6, 50.0).free
        report = ssvi_conditions(steep, rho, 1e-3, 50.0)
        assert report.calendar and not report.butterfly_mm and report.theta_worst == pytest.approx(1e-3)
        assert butterfly(slice_of(steep, rho, 1e-3).raw()).min_g < -1.0
    assert not ModifiedPowerPhi(eta=2.1, gamma=0.3).free_everywhere(0.0)


def test_heston_like_is_free_from_a_quarter_of_one_plus_rho_on() -> None:
    for rho in (-0.6, 0.3):
        edge = 0.25 * (1.0 + abs(rho))
        assert HestonPhi(lam=edge).free_everywhere(rho)
        assert not HestonPhi(lam=0.99 * edge).free_everywhere(rho)
        assert ssvi_conditions(HestonPhi(lam=edge), rho, 1e-6, 1e4).free
        late = ssvi_conditions(HestonPhi(lam=0.5 * edge), rho, 1e-6, 1e4)
        assert not late.free and late.theta_worst > 1.0


def test_a_report_shows_itself() -> None:
    report = ssvi_conditions(PowerPhi(eta=0.8, gamma=0.5), 0.0, 0.01, 1.0)
    assert report.summary()["free"].iloc[0] and report.to_frame().shape == (1, 9)
    assert report.growth_high == 0.0, "without tilt there is no upper end"
    assert "gatheral2014" in report.cite()


def test_parameters_outside_their_domain_are_refused() -> None:
    for make, message in (
        (lambda: PowerPhi(eta=0.0, gamma=0.5), "eta is 0; expected a finite positive number"),
        (lambda: PowerPhi(eta=1.0, gamma=1.2), r"gamma is 1\.2; expected 0 to 1"),
        (lambda: ModifiedPowerPhi(eta=float("nan"), gamma=0.5), "eta is nan"),
        (lambda: ModifiedPowerPhi(eta=1.0, gamma=-0.1), r"gamma is -0\.1"),
        (lambda: HestonPhi(lam=-1.0), "lam is -1"),
        (lambda: HestonPhi(lam=1.0).at([0.1, 0.0]), "theta is 0; expected a positive total variance"),
        (lambda: ssvi_conditions(HestonPhi(lam=1.0), 1.0, 0.1, 0.2), "rho is 1"),
        (lambda: ssvi_conditions(HestonPhi(lam=1.0), 0.0, 0.2, 0.1), r"theta from 0\.2 to 0\.1"),
    ):
        with pytest.raises(ParameterError, match=message):
            make()
