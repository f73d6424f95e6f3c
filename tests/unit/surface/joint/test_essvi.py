"""The eSSVI surface: slices, time between and beyond its expiries, and parameters set from outside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ArbitrageError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.core.random import stream
from pmkit.market import datasets, read_quotes
from pmkit.surface import (
    EssviParameters,
    EssviSurface,
    HendriksMartini,
    butterfly,
    calendar,
    fit,
    hendriks_martini,
    psi_max,
    unconstrained_to_parameters,
)
from pmkit.surface.joint.essvi import essvi_w

#: These tests look on purpose at times beyond the last expiry.
pytestmark = pytest.mark.filterwarnings("ignore::pmkit.surface.readouts.outside.ExtrapolationWarning")


@pytest.fixture(scope="module")
def real() -> EssviSurface:
    return fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="essvi")


def test_a_slice_equals_its_raw_form_and_has_theta_at_the_money() -> None:
    one = EssviParameters(theta=0.04, rho=-0.6, psi=0.3)
    k = np.concatenate([-np.geomspace(1e-6, 1e3, 60), np.geomspace(1e-6, 1e3, 60)])
    assert one.at(k) == pytest.approx(one.raw().w(k), rel=1e-12)
    assert float(one.at(0.0)) == pytest.approx(0.04, rel=1e-15) and one.phi == pytest.approx(7.5)
    assert one.raw().slopes == pytest.approx((0.15 * 1.6, 0.15 * 0.4))
    # at the bottom the two large terms cancel: the least value is theta (1 - rho²)
    steep = EssviParameters(theta=1e-4, rho=-0.999, psi=1.9)
    assert float(steep.at(steep.raw().k_min)) == pytest.approx(1e-4 * (1.0 - 0.999**2), rel=1e-12)
    assert one.psi_max() == pytest.approx(float(psi_max(0.04, -0.6)))
    assert one.psi_max("gj") == pytest.approx(float(psi_max(0.04, -0.6, "gj")))
    for name, value in (("theta", 0.0), ("rho", -1.0), ("psi", np.nan)):
        with pytest.raises(ParameterError, match=name):
            EssviParameters(**({"theta": 0.1, "rho": 0.0, "psi": 0.1} | {name: value}))


def test_it_is_a_vol_surface_exact_at_its_expiries(real: EssviSurface) -> None:
    assert isinstance(real, VolSurface) and real.model == "essvi"
    k = np.linspace(-1.0, 1.0, 9)
    for one in real.slices:
        assert real.w(k, one.tau) == pytest.approx(one.at(k), rel=1e-14)
        assert real.w(k, one.tau * (1.0 + 1e-13)) == pytest.approx(one.at(k), rel=1e-14)
        assert one.svi.w(k) == pytest.approx(one.at(k), rel=1e-11) and one.raw() == one.svi
    first = real.slices[3]
    strike = first.forward * np.exp(k)
    assert real.iv(strike, first.tau) == pytest.approx(np.sqrt(first.at(k) / first.tau))
    assert real.slice("2026-09-25").expiry == pd.Timestamp("2026-09-25T08:00Z")


def test_between_expiries_theta_psi_and_their_product_with_rho_are_linear(real: EssviSurface) -> None:
    one, two = real.slices[6], real.slices[7]
    tau = 0.3 * one.tau + 0.7 * two.tau
    theta, rho, psi = real.parameters_at(tau)
    assert theta == pytest.approx(0.3 * one.theta + 0.7 * two.theta)
    assert psi == pytest.approx(0.3 * one.psi + 0.7 * two.psi)
    assert rho * psi == pytest.approx(0.3 * one.rho * one.psi + 0.7 * two.rho * two.psi)
    k = np.linspace(-0.5, 0.5, 5)
    assert real.w(k, tau) == pytest.approx(
        EssviParameters(theta=float(theta), rho=float(rho), psi=float(psi)).at(k), rel=1e-14
    )
    with pytest.raises(ParameterError, match=r"tau is -0\.1 years"):
        real.parameters_at([0.1, -0.1])


def test_before_the_first_and_after_the_last_expiry(real: EssviSurface) -> None:
    k = np.linspace(-0.5, 0.5, 5)
    early, late = real.slices[0], real.slices[-1]
    assert real.w(k, 0.5 * early.tau) == pytest.approx(0.5 * early.at(k))
    theta, rho, psi = real.parameters_at(2.0 * late.tau)
    assert (float(theta), float(rho), float(psi)) == pytest.approx((2.0 * late.theta, late.rho, late.psi))
    # the vol at the money stays, the wings flatten, and no arbitrage comes in on either side
    assert float(real.w(0.0, 3.0 * late.tau)) == pytest.approx(3.0 * late.theta)
    assert (real.w([-3.0, 3.0], 2.0 * late.tau) < 2.0 * late.at([-3.0, 3.0])).all()
    ladder = [0.1 * early.tau, early.tau, late.tau, 1.5 * late.tau, 4.0 * late.tau]
    slices = [
        EssviParameters(theta=t, rho=r, psi=p).raw()
        for t, r, p in zip(*(v.tolist() for v in real.parameters_at(ladder)), strict=True)
    ]
    assert all(butterfly(one).free for one in slices)
    assert all(calendar(a, b).free for a, b in pairwise(slices))
    text = real.status["outside"].iloc[0]
    assert "before the first expiry theta and psi shrink with tau" in text and "fixed psi and rho" in text


def test_many_times_at_once_equal_one_after_the_other(real: EssviSurface) -> None:
    rng = stream(1, "times")
    tau, k = (
        np.append(rng.uniform(0.0, 1.5, 200), [np.nan, 0.0]),
        np.append(rng.normal(0.0, 0.5, 201), np.nan),
    )
    together = real.w(k, tau)
    single = np.array([float(real.w(a, b)) for a, b in zip(k, tau, strict=True)])
    assert together == pytest.approx(single, rel=1e-14, nan_ok=True)
    assert np.isnan(together[-2]) and np.isnan(together[-1]) and float(real.w(0.3, 0.0)) == 0.0
    grid = real.w(np.linspace(-1, 1, 7)[:, None], np.linspace(0.01, 1.0, 80)[None, :])
    assert grid.shape == (7, 80) and np.isfinite(grid).all()


@pytest.mark.parametrize("bound", ["mm", "gj"])
def test_between_admissible_slices_nothing_goes_wrong(bound: str) -> None:
    rng = stream(5, "between")
    count = 4000
    x = np.empty((count, 6))
    x[:, :2] = np.arctanh(rng.uniform(-0.95, 0.95, (count, 2)))
    x[:, 2] = rng.uniform(np.log(1e-5), np.log(5.0), count)
    x[:, 3] = x[:, 2] + rng.normal(0.0, 2.0, count)
    x[:, 4:] = rng.normal(0.0, 3.0, (count, 2)) + 3.0
    theta, rho, psi = unconstrained_to_parameters(x, bound)  # type: ignore[arg-type]
    tilt = rho * psi

    def mixed(values: np.ndarray, share: float) -> np.ndarray:
        return (1.0 - share) * values[:, 0] + share * values[:, 1]

    before = theta[:, 0], psi[:, 0], tilt[:, 0]
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0):
        now = mixed(theta, share), mixed(psi, share), mixed(tilt, share)
        most = psi_max(now[0], now[2] / now[1], bound)  # type: ignore[arg-type]
        assert (now[1] / most).max() < 1.0 + 1e-9
        # the sufficient calendar conditions go on holding from each time to the next
        assert (np.abs(now[2] - before[2]) <= (now[1] - before[1]) * (1.0 + 1e-9) + 1e-12).all()
        assert (now[1] / now[0] <= before[1] / before[0] * (1.0 + 1e-9)).all()
        before = now


def test_trap_12_interpolating_rho_in_the_place_of_rho_psi_lets_a_wing_flatten() -> None:
    near = EssviParameters(theta=0.01, rho=0.5, psi=0.1)
    far = EssviParameters(theta=0.04, rho=-0.5, psi=0.302)
    assert calendar(near.raw(), far.raw()).free and butterfly(far.raw()).free

    def halfway(tilt: float) -> EssviParameters:
        return EssviParameters(theta=0.025, rho=tilt, psi=0.201)

    right = halfway(0.5 * (0.5 * 0.1 - 0.5 * 0.302) / 0.201)
    assert calendar(near.raw(), right.raw()).free and calendar(right.raw(), far.raw()).free
    wrong = calendar(halfway(0.0).raw(), far.raw())
    assert not wrong.free and wrong.min_dw == -np.inf and wrong.slopes[1] == pytest.approx(-0.025)


def test_trap_04_the_pairwise_test_passes_slices_that_cross() -> None:
    near = EssviParameters(theta=0.04, rho=0.37, psi=0.035)
    far = EssviParameters(theta=0.0405, rho=-0.825, psi=0.292)
    test = hendriks_martini(near, far)
    assert test == HendriksMartini(theta_rises=True, wings_rise=True, phi_falls=False)
    assert test.passes and not test.sufficient
    assert butterfly(near.raw()).free and butterfly(far.raw()).free
    truth = calendar(near.raw(), far.raw())
    assert not truth.free and truth.slopes[0] > 0.0 and truth.slopes[1] > 0.0
    low, high = truth.violations[0]
    assert 0.0 < low < truth.k_min_dw < high < np.inf
    # more than two thirds of total variance are lost on the way
    assert truth.min_dw / float(near.at(truth.k_min_dw)) < -0.67
    assert float(far.at(0.3)) < 0.4 * float(near.at(0.3))


def test_with_phi_falling_the_pairwise_test_is_sufficient() -> None:
    rng = stream(11, "pairs")
    found = crossed = 0
    for _ in range(1500):
        near = EssviParameters(theta=0.04, rho=rng.uniform(-0.9, 0.9), psi=rng.uniform(0.02, 0.4))
        far = EssviParameters(
            theta=0.04 + rng.exponential(0.05), rho=rng.uniform(-0.9, 0.9), psi=rng.uniform(0.02, 0.8)
        )
        test = hendriks_martini(near, far)
        k = np.linspace(-6.0, 6.0, 601)
        falls = bool((far.at(k) < near.at(k)).any())
        if test.sufficient:
            found += 1
            assert not falls
        crossed += test.passes and falls
    assert found > 50 and crossed > 10


def test_parameters_set_from_outside_are_judged_and_not_projected(real: EssviSurface) -> None:
    same = real.with_parameters(real.theta, real.rho, real.psi)
    assert same.fingerprint == real.fingerprint and same.evaluations == 0
    assert [s.fit.inside for s in same.slices] == [s.fit.inside for s in real.slices]
    up = real.with_parameters(1.21 * real.theta, real.rho, 1.21 * real.psi)
    assert up.iv(70_000.0, 0.3) == pytest.approx(1.1 * real.iv(70_000.0, 0.3), rel=1e-12)
    assert up.slices[5].fit.chi2 > real.slices[5].fit.chi2 and up.taus == pytest.approx(real.taus)
    broken = real.with_parameters(real.theta, real.rho, real.psi[::-1].copy())
    assert not broken.arbitrage()["free"].all()
    with pytest.raises(ArbitrageError, match="butterfly arbitrage"):
        _ = broken.box
    with pytest.raises(ParameterError, match="2 parameters of each kind; expected one per slice, 13"):
        real.with_parameters([0.1, 0.2], [0.0, 0.0], [0.1, 0.2])
    assert real.with_parameters(real.theta, real.rho, real.psi, bound="gj").bound == "gj"


def test_frames_fingerprint_and_references(real: EssviSurface) -> None:
    assert real.theta.shape == real.rho.shape == real.psi.shape == (13,)
    assert real.box.bound == "mm" and real.box.size == 13
    assert "mingone2022" in real.cite() and real.arbitrage()["free"].all()
    again = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="essvi")
    assert again.fingerprint == real.fingerprint
    frame = real.to_frame()
    assert frame["iv_fit"].to_numpy() == pytest.approx(np.sqrt(frame["w_fit"] / frame["tau"]).to_numpy())
    w = essvi_w(real.theta, real.rho * real.psi, real.psi, 0.0)
    assert w == pytest.approx(real.theta)
