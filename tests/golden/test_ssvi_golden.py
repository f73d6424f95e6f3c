"""Published and independently computed figures of SSVI and eSSVI, digit by digit."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from pmkit.surface import (
    EssviBox,
    EssviParameters,
    HestonPhi,
    ModifiedPowerPhi,
    PowerPhi,
    RawSvi,
    anchored_theta,
    box_to_parameters,
    butterfly,
    calendar,
    f_gj,
    f_mm,
    g,
    hendriks_martini,
    parameters_to_box,
    psi_max,
    repaired_jump_wing,
    ssvi_conditions,
    ssvi_parameters,
)

VOGT = RawSvi(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)


def test_s02_the_guaranteed_repair_is_an_ssvi_slice() -> None:
    mended = repaired_jump_wing(VOGT.to_jump_wing(1.0))
    assert (mended.c, mended.v_min) == pytest.approx((0.349315822498558, 0.0154818248407312), rel=1e-13)
    one = ssvi_parameters(mended)
    assert one.theta == pytest.approx(0.0174262525552, rel=1e-11)
    assert one.phi == pytest.approx(7.94686456767, rel=1e-11)
    assert one.rho == pytest.approx(-0.334036480611479, rel=1e-12)
    raw = one.raw()
    assert (raw.a, raw.b, raw.rho, raw.m, raw.sigma) == pytest.approx(
        (0.0077409124203656, 0.0692420344889369, -0.334036480611479, 0.0420337452295845, 0.118607802913272),
        rel=1e-12,
    )
    back = mended.to_raw()
    assert (back.a, back.b, back.m) == pytest.approx((raw.a, raw.b, raw.m), rel=1e-11)


def test_s02_meets_both_sufficient_conditions() -> None:
    one = ssvi_parameters(repaired_jump_wing(VOGT.to_jump_wing(1.0)))
    lift = 1.0 + abs(one.rho)
    assert one.psi * lift == pytest.approx(0.1847428, abs=5e-8) and one.psi * lift < 4.0
    assert one.psi * one.phi * lift == pytest.approx(1.468126, abs=5e-7) and one.psi * one.phi * lift <= 4.0
    assert one.psi < one.psi_max("gj") < one.psi_max()
    assert butterfly(one.raw()).free and not butterfly(VOGT).free


def test_s05_the_exact_bound() -> None:
    assert float(f_mm(0.01, 0.0)) == pytest.approx(0.196440148323, abs=5e-13)
    assert float(f_gj(0.01, 0.0)) == pytest.approx(0.04, rel=1e-15)
    assert float(psi_max(0.01, 0.0) / psi_max(0.01, 0.0, "gj")) == pytest.approx(2.2160785, abs=5e-8)


@pytest.mark.parametrize(
    ("rho", "least"),
    [
        (0.3, 1.38555526523859), (0.5, 1.19175359259421), (0.7, 1.00668943557553), (0.9, 0.798689009162025),
    ],
)  # fmt: skip
def test_s05_where_the_search_begins(rho: float, least: float) -> None:
    assert float(mp.cot(mp.acos(-rho) / 3)) == pytest.approx(least, rel=1e-14)
    assert 1.0 / math.tan(math.acos(0.0) / 3.0) == pytest.approx(math.sqrt(3.0), rel=1e-15)


def test_s05_g_touches_zero_at_the_bound_and_falls_below_beyond_it() -> None:
    most = float(psi_max(0.01, 0.0))

    def least(psi: float) -> tuple[float, float]:
        report = butterfly(EssviParameters(theta=0.01, rho=0.0, psi=psi).raw())
        return report.min_g, abs(report.k_min_g)

    assert abs(least(most)[0]) < 1e-13 and least(most)[1] == pytest.approx(0.0980573, abs=1e-6)
    assert -1.2e-3 < least(1.001 * most)[0] < -7.49e-4


def test_s06_the_modified_power_law_needs_gamma_of_a_half_or_less() -> None:
    rho, theta = -0.7, 1e-3
    eta = 2.0 / (1.0 + abs(rho))
    steep, flat = ModifiedPowerPhi(eta=eta, gamma=0.75), ModifiedPowerPhi(eta=eta, gamma=0.5)
    report = butterfly(EssviParameters(theta=theta, rho=rho, psi=theta * float(steep.at(theta))).raw())
    assert report.min_g == pytest.approx(-2.58, abs=5e-3)
    assert butterfly(EssviParameters(theta=theta, rho=rho, psi=theta * float(flat.at(theta))).raw()).free


@pytest.mark.parametrize(("psi", "passes"), [(0.19, True), (0.15 * 1.0714285714286, True), (0.155, False)])
def test_s07_calendar_pairs(psi: float, passes: bool) -> None:
    near = EssviParameters(theta=0.02, rho=-0.5, psi=0.15)
    far = EssviParameters(theta=0.03, rho=-0.4, psi=psi)
    assert hendriks_martini(near, far).passes is passes
    assert calendar(near.raw(), far.raw()).free is passes


def test_s07_figures() -> None:
    near = EssviParameters(theta=0.02, rho=-0.5, psi=0.15)
    first = calendar(near.raw(), EssviParameters(theta=0.03, rho=-0.4, psi=0.19).raw())
    assert first.min_dw == pytest.approx(0.0099936918, abs=5e-11)
    assert first.k_min_dw == pytest.approx(0.0130175, abs=1e-6)
    edge, flat = (EssviParameters(theta=0.03, rho=-0.4, psi=p) for p in (0.160714, 0.155))
    assert float(edge.at(-6.0) - near.at(-6.0)) == pytest.approx(0.00611, abs=5e-6)
    assert float(flat.at(-6.0) - near.at(-6.0)) == pytest.approx(-0.01788, abs=5e-6)
    report = calendar(near.raw(), flat.raw())
    assert report.min_dw == -np.inf and report.k_min_dw == -np.inf and report.slopes[0] < 0.0


def test_s08_the_anchor() -> None:
    theta_star = float(EssviParameters(theta=0.04, rho=-0.5, psi=0.2).at(0.03))
    assert theta_star == pytest.approx(0.0371815416922694, rel=1e-14)
    assert float(anchored_theta(theta_star, 0.03, -0.5, 0.2)) == pytest.approx(0.04, rel=1e-14)
    bend = 0.2**2 * 0.03**2 * 0.75 / (4.0 * theta_star)
    assert theta_star + 0.5 * 0.2 * 0.03 + bend == pytest.approx(0.0403630834, abs=5e-11)


def test_s09_the_box_with_the_sufficient_bound() -> None:
    box = EssviBox(rho=[-0.6, -0.5, -0.4], theta_first=0.01, a=[0.01, 0.02], c=[0.5, 0.5, 0.5], bound="gj")
    frame = box.to_frame()
    assert frame["p"].tolist() == pytest.approx([1.0, 1.06666666667, 1.07142857143], abs=5e-12)
    assert frame["theta"].tolist() == pytest.approx([0.01, 0.0206666666667, 0.0421428571429], abs=5e-14)
    assert frame["f"].tolist() == pytest.approx([0.158113883008, 0.234757558155, 0.346998794328], abs=5e-13)
    psi = [0.0790569415042, 0.123855875023, 0.192632985347]
    assert frame["psi"].tolist() == pytest.approx(psi, abs=5e-13)
    back = parameters_to_box(*box_to_parameters(box), bound="gj")
    assert back.c == pytest.approx([0.5] * 3, rel=1e-13)


def test_s09_the_box_with_the_exact_bound_by_the_whole_line() -> None:
    box = EssviBox(rho=[-0.6, -0.5, -0.4], theta_first=0.01, a=[0.01, 0.02], c=[0.5, 0.5, 0.5])
    curves = box_to_parameters(box)
    # the bounds from their definition and the pass over the box, both at fifty digits
    assert box.to_frame()["f"].tolist() == pytest.approx(
        [0.29410775190479, 0.45140976908378, 0.68369053770236], abs=5e-14
    )
    assert curves.psi == pytest.approx([0.1470538759524, 0.23038440565875, 0.35831675995313], abs=5e-14)
    slices = [EssviParameters(theta=t, rho=r, psi=p) for t, r, p in zip(*curves, strict=True)]
    assert all(butterfly(one.raw()).free for one in slices)
    assert all(calendar(slices[i].raw(), slices[i + 1].raw()).free for i in (0, 1))
    most = [float(psi_max(one.theta, one.rho)) for one in slices]
    for one, bound in zip(slices, most, strict=True):
        beyond = EssviParameters(theta=one.theta, rho=one.rho, psi=1.001 * bound)
        assert not butterfly(beyond.raw()).free
        assert float(np.min(g(beyond.raw(), np.linspace(-1.0, 1.0, 200_001)))) < 0.0


K = np.array([-0.5, -0.2, 0.0, 0.2, 0.5])


def test_s10_values_of_ssvi() -> None:
    one = EssviParameters(theta=0.04, rho=-0.3, psi=0.04 * 2.5)
    assert one.at(K) == pytest.approx(
        [0.0639005494464026, 0.0478997991959775, 0.04, 0.0364935886896179, 0.0394258240356725], rel=1e-14
    )
    assert float(one.at(0.2)) == pytest.approx(0.02 * (0.85 + math.sqrt(0.95)), rel=1e-15)
    steep = EssviParameters(theta=0.04, rho=-0.7, psi=0.04 * 5.0)
    assert steep.at(K) == pytest.approx(
        [0.12057438524302, 0.0708781778291715, 0.04, 0.0214919333848297, 0.0237298334620742], rel=1e-14
    )


def test_s10_heston_like() -> None:
    phi = HestonPhi(lam=1.2)
    assert float(phi.at(0.04)) == pytest.approx(0.492095085722545, rel=1e-14)
    one = EssviParameters(theta=0.04, rho=-0.6, psi=0.04 * float(phi.at(0.04)))
    assert one.at([-0.2, 0.2]) == pytest.approx([0.0424205114716622, 0.037703711478596], rel=1e-14)


def test_s10_the_power_law_of_hendriks_and_martini() -> None:
    phi = PowerPhi(eta=0.98, gamma=0.42)
    assert float(phi.at(0.04)) == pytest.approx(0.98 * 0.04**-0.42, rel=1e-14)
    theta = np.geomspace(0.002, 0.08, 12)
    rho = -0.76 - 0.11 * (theta / theta[-1]) ** 0.51
    psi = theta * phi.at(theta)
    slices = [EssviParameters(theta=t, rho=r, psi=p) for t, r, p in zip(theta, rho, psi, strict=True)]
    assert all(butterfly(one.raw()).free for one in slices)
    assert all(hendriks_martini(a, b).sufficient for a, b in pairwise(slices))
    assert ssvi_conditions(phi, -0.76, 0.002, 0.08).free
