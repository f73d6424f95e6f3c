"""Published and independently computed figures of raw SVI, digit by digit."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.pricing import black76
from pmkit.surface import JumpWingSvi, NaturalSvi, RawSvi, Sabr, butterfly, fit_svi, g

# the papers print (a, b, m, rho, sigma): by name, so that the order cannot matter
VOGT = RawSvi(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)
REPAIRED = RawSvi(
    a=0.0077409124203656,
    b=0.0692420344889369,
    rho=-0.334036480611479,
    m=0.0420337452295845,
    sigma=0.118607802913272,
)
GENERIC = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
VOGT_WINGS = (0.0174262525551591, -0.175211140809125, 0.699738104116809, 1.31679821898639, 0.0116249032354779)


def jump_wings(svi: RawSvi, tau: float = 1.0) -> tuple[float, ...]:
    one = svi.to_jump_wing(tau)
    return one.v, one.psi, one.p, one.c, one.v_min


def raw(svi: RawSvi) -> tuple[float, ...]:
    return svi.a, svi.b, svi.rho, svi.m, svi.sigma


def test_s01_jump_wings_at_one_year_and_at_a_quarter() -> None:
    assert jump_wings(VOGT) == pytest.approx(VOGT_WINGS, rel=1e-13)
    v, psi, p, c, v_min = jump_wings(VOGT, 0.25)
    assert (v, v_min) == pytest.approx((0.0697050102206, 0.0464996129419), rel=1e-11)
    assert (psi, p, c) == pytest.approx(VOGT_WINGS[1:4], rel=1e-13)
    assert raw(VOGT.to_jump_wing(0.25).to_raw()) == pytest.approx(raw(VOGT), rel=1e-12)


@pytest.mark.parametrize(
    ("k", "w", "durrleman", "call"),
    [
        (-1.0, 0.0927556521722065, 0.26787035873646, 0.632145336896983),
        (0.0, 0.0174262525551591, 1.0386497312818, 0.052625570965361),
        (0.5, 0.0231515656121948, 0.0693792113008289, 2.61447552851625e-5),
        (1.0, 0.0868267097518852, -0.0277416959046263, 4.27313071794832e-5),
    ],
)
def test_s01_values_g_and_calls(k: float, w: float, durrleman: float, call: float) -> None:
    assert float(VOGT.w(k)) == pytest.approx(w, rel=1e-13)
    assert float(g(VOGT, k)) == pytest.approx(durrleman, rel=1e-12)
    price = black76(1.0, np.exp(k), 1.0, np.sqrt(VOGT.w(k)))
    assert float(price) == pytest.approx(call, rel=1e-11)


def test_s01_has_butterfly_arbitrage_where_the_call_price_rises() -> None:
    report = butterfly(VOGT)
    assert not report.free and report.lee and report.margin == -1.0
    ((low, high),) = report.violations
    assert low == pytest.approx(0.6424078779, abs=1e-9) and high == pytest.approx(1.2569129920, abs=1e-9)
    assert 0.5 < low < 1.0 < high
    assert low < report.k_min_g < high
    assert report.min_g == pytest.approx(float(np.min(g(VOGT, np.linspace(0.6, 1.3, 70_001)))), abs=1e-11)


def test_s02_repair_keeps_level_skew_and_put_wing() -> None:
    v, psi, p, _, _ = VOGT_WINGS
    c = p + 2.0 * psi
    v_min = 4.0 * v * p * c / (p + c) ** 2
    assert (c, v_min) == pytest.approx((0.349315822498558, 0.0154818248407312), rel=1e-13)
    mended = JumpWingSvi(v=v, psi=psi, p=p, c=c, v_min=v_min, tau=1.0).to_raw()
    assert raw(mended) == pytest.approx(raw(REPAIRED), rel=1e-11)


def test_s02_least_width_and_least_g() -> None:
    report = butterfly(REPAIRED)
    assert report.free and report.violations == ()
    # the supremum to forty digits; on a net of points it comes out lower, as 0.01043452873
    assert report.sigma_star == pytest.approx(0.010434530388506447, rel=1e-13)
    assert 0.0 < report.sigma_star / 0.01043452873 - 1.0 < 2e-7
    assert report.ratio == pytest.approx(0.118607802913272 / 0.010434530388506447, rel=1e-13)
    assert float(np.min(g(REPAIRED, np.linspace(-3.0, 3.0, 60_001)))) == pytest.approx(0.2632, abs=5e-5)
    # over the whole line the infimum is the limit of the put wing
    assert report.k_min_g == -np.inf and report.min_g == pytest.approx(0.25 - 0.0923713967**2 / 16, rel=1e-9)


def test_s04_generic_slice_in_all_three_forms() -> None:
    assert jump_wings(GENERIC) == pytest.approx(
        (0.09272135955, -0.55645880223, 1.83906945606, 0.788172624026, 0.0766606055596), rel=1e-11
    )
    natural = GENERIC.to_natural()
    assert (natural.delta, natural.mu, natural.rho, natural.omega, natural.zeta) == pytest.approx(
        (0.00333939444035, 0.0063564219528, -0.4, 0.0872871560944, 9.16515138991), rel=1e-11
    )
    assert isinstance(natural, NaturalSvi) and raw(natural.to_raw()) == pytest.approx(raw(GENERIC), rel=1e-13)
    assert GENERIC.w([-0.5, 0.0, 0.5]) == pytest.approx(
        [0.351606797749979, 0.0927213595499958, 0.152390889145858], rel=1e-14
    )


def test_s04_least_g_and_its_place() -> None:
    report = butterfly(GENERIC)
    assert report.free and report.min_g == pytest.approx(0.1405391505, abs=5e-11)
    assert report.k_min_g == pytest.approx(-0.4292125218, abs=2e-8)


def test_s11_a_smile_that_needs_a_negative_level() -> None:
    # fmt: off
    strike = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0, 1.025, 1.05, 1.075, 1.1, 1.15, 1.2, 1.3,
              1.4, 1.5]
    vol = [39.8, 34.9, 30.8, 27.4, 25.9, 24.5, 23.8, 23.1, 22.3, 21.5, 20.7, 19.8, 19.0, 18.2, 16.6, 15.4,
           14.3, 14.7, 15.6]
    # fmt: on
    k, w = np.log(strike), (np.array(vol) / 100.0) ** 2
    error = 2.0 * np.sqrt(w) * 0.002
    open_level, held = fit_svi(k, w, error), fit_svi(k, w, error, min_a=0.0)
    assert open_level.status == "ok" and open_level.svi is not None and open_level.svi.a < -0.01
    assert held.status == "at_bound" and held.svi is not None and held.svi.a == 0.0
    assert "lower bound" in held.detail
    assert open_level.chi2 < 0.97 * held.chi2


@pytest.mark.parametrize(
    ("strike", "iv"), [(0.03, 1.16725837321531), (0.05, 1.05226642581503), (0.09, 0.930289384251337)]
)
def test_s24_sabr_by_the_formula_of_hagan(strike: float, iv: float) -> None:
    assert float(Sabr(alpha=0.3, beta=0.6, rho=0.01, nu=0.02).iv(strike, 0.039, 1.0)) == pytest.approx(
        iv, rel=1e-14
    )
