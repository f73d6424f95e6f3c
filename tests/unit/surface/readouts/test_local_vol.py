"""Local vol: Dupire in total variance is Dupire in prices, and where there is none it says why."""

from __future__ import annotations

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.surface import ExtrapolationWarning, RawSvi, g, local_vol
from pmkit.surface.joint.essvi import EssviParameters
from tests.unit.surface.readout_cases import FAR, GENERIC, NEAR, VOGT, known, linear

T1, T2 = 30 / 365, 90 / 365


def by_prices(k: float, tau: float) -> float:
    """Return Dupire's quotient of call prices at strike exp(k), forward 1, in forty digits."""
    mp.mp.dps = 40

    def w_raw(s: RawSvi, x: mp.mpf) -> mp.mpf:
        y = x - mp.mpf(s.m)
        return mp.mpf(s.a) + mp.mpf(s.b) * (mp.mpf(s.rho) * y + mp.sqrt(y * y + mp.mpf(s.sigma) ** 2))

    def call(K: mp.mpf, t: mp.mpf) -> mp.mpf:
        x = mp.log(K)
        share = (t - mp.mpf(T1)) / (mp.mpf(T2) - mp.mpf(T1))
        sd = mp.sqrt((1 - share) * w_raw(NEAR, x) + share * w_raw(FAR, x))
        return mp.ncdf(-x / sd + sd / 2) - K * mp.ncdf(-x / sd - sd / 2)

    K, t = mp.exp(mp.mpf(k)), mp.mpf(tau)
    return float(mp.sqrt(2 * mp.diff(lambda u: call(K, u), t) / (K**2 * mp.diff(lambda x: call(x, t), K, 2))))


@pytest.mark.parametrize(("k", "tau"), [(0.0, 0.12), (-0.3, 0.2), (0.25, 0.15), (0.6, 0.24), (-0.8, 0.1)])
def test_dupire_in_total_variance_is_dupire_in_prices(k: float, tau: float) -> None:
    assert float(local_vol(known(), k, tau).vol) == pytest.approx(by_prices(k, tau), rel=1e-9)


def test_the_denominator_is_durrlemans_function() -> None:
    surface, k = known(), np.linspace(-1.0, 1.0, 21)
    found = local_vol(surface, k, T1)
    assert found.g == pytest.approx(g(NEAR, k), rel=1e-12)
    assert found.dw_dtau == pytest.approx((FAR.w(k) - NEAR.w(k)) / (T2 - T1), rel=1e-9)
    assert found.vol**2 * found.g == pytest.approx(found.dw_dtau, rel=1e-14)
    found.check()


def test_the_derivative_in_time_is_from_the_right_and_from_the_left_at_the_end() -> None:
    surface = known()
    before, at, end = (float(local_vol(surface, 0.0, t).dw_dtau) for t in (T1 * 0.9999, T1, T2))
    first, second = float(NEAR.w(0.0)) / T1, float(FAR.w(0.0) - NEAR.w(0.0)) / (T2 - T1)
    assert before == pytest.approx(first, rel=1e-9) and at == pytest.approx(second, rel=1e-9)
    assert end == pytest.approx(second, rel=1e-9)


def test_a_surface_smooth_in_time() -> None:
    class Smooth:
        model = "smooth"

        def w(self, k: np.ndarray, tau: np.ndarray) -> np.ndarray:
            return np.asarray(GENERIC.w(k) * (tau + tau**2))

    k = np.linspace(-0.5, 0.5, 11)
    found = local_vol(Smooth(), k[:, None], np.array([0.3, 0.7]))
    scaled = RawSvi(*(np.array([0.04, 0.4]) * 0.39), rho=-0.4, m=0.05, sigma=0.1)
    assert found.dw_dtau[:, 0] == pytest.approx(GENERIC.w(k) * 1.6, rel=1e-7)
    assert found.g[:, 0] == pytest.approx(g(scaled, k), abs=1e-5)


def test_defects_have_a_status_and_no_number() -> None:
    calendar = local_vol(known({30.0: FAR, 90.0: NEAR}), [0.0, np.nan], 0.2)
    assert calendar.status.tolist() == ["calendar", "missing"] and np.isnan(calendar.vol).all()
    assert calendar.bad == 2
    with pytest.raises(ParameterError, match=r"2 point\(s\) without local vol, the first at k = 0"):
        calendar.raise_if_bad()
    wings = known({30.0: replace(VOGT, a=VOGT.a / 2, b=VOGT.b / 2), 90.0: VOGT})
    butterfly = local_vol(wings, [0.0, 0.9], T2)
    assert butterfly.status.tolist() == ["ok", "butterfly"]
    assert butterfly.summary()["butterfly"].tolist() == [1]
    assert butterfly.to_frame()["status"].tolist() == ["ok", "butterfly"]
    good = local_vol(known(), 0.0, 0.1)
    assert good.raise_if_bad() is good
    with pytest.raises(PmkitError, match="vol² g differs"):
        replace(good, g=good.g * 1.1).check()


def test_trap_26_local_vol_beyond_the_last_expiry() -> None:
    with pytest.raises(DataGapError, match="beyond the last expiry"):
        local_vol(known(), 0.0, [0.1, 0.5])
    with pytest.warns(ExtrapolationWarning, match=r"\(1 such time\(s\)\)"):
        found = local_vol(known(), 0.0, [0.1, 0.5], outside="warn")
    assert found.vol[1] == pytest.approx(float(local_vol(known(), 0.0, 0.5, outside="extend").vol))


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="one expiry alone has no derivative in time"):
        local_vol(NEAR, 0.0, 0.1)
    with pytest.raises(ParameterError, match="tau is 0 years"):
        local_vol(known(), 0.0, [0.1, 0.0])
    with pytest.raises(ParameterError, match="shapes"):
        local_vol(known(), np.zeros(3), np.full(2, 0.1))
    with pytest.raises(ParameterError, match="local vol of a smile that is linear"):
        local_vol(linear(), 0.0, 0.05)
    with pytest.raises(ParameterError, match="surface of type EssviParameters"):
        local_vol(EssviParameters(theta=0.04, rho=0.0, psi=0.1), 0.0, 0.1)
