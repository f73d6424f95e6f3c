"""The exact butterfly bound of an SSVI slice against its definition, to many digits and on the whole line."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.surface import EssviParameters, butterfly, f_gj, f_mm, g, psi_max


def terms(theta: mp.mpf, rho: mp.mpf, x: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    """Return the quotient of the definition at l = x, and g2 there."""
    r, root = mp.sqrt(1 - rho**2), mp.sqrt(x * x + 1)
    N, slope, curve = r + rho * x + root, rho + x / root, root**-3
    h = 1 - (x - rho / r) * slope / (2 * N)
    g2 = curve - slope**2 / (2 * N)
    return 4 * theta * r * h**2 / (theta * r * slope**2 / 16 - g2), g2


def by_definition(theta: float, rho: float) -> mp.mpf:
    """Return the infimum over the half-line by golden section at fifty digits."""
    with mp.workdps(50):
        t, tilt = mp.mpf(theta), abs(mp.mpf(rho))
        start = mp.cot(mp.acos(-tilt) / 3)
        places = [start + mp.mpf(10) ** (mp.mpf(j) / 10) for j in range(-80, 200)]
        values = [terms(t, tilt, x)[0] for x in places]
        i = min(range(len(values)), key=values.__getitem__)
        low, high = places[max(i - 1, 0)], places[min(i + 1, len(places) - 1)]
        ratio = (mp.sqrt(5) - 1) / 2
        for _ in range(70):
            a, b = high - ratio * (high - low), low + ratio * (high - low)
            if terms(t, tilt, a)[0] < terms(t, tilt, b)[0]:
                high = b
            else:
                low = a
        return min(terms(t, tilt, (low + high) / 2)[0], 16 / (1 + tilt) ** 2)


@pytest.mark.parametrize(
    ("theta", "rho"),
    [
        (1e-6, 0.0),
        (1e-4, -0.3),
        (0.01, 0.5),
        (0.3, -0.7),
        (0.04, 0.95),
        (1.7, 0.2),
        (2.05, 0.9),
        (0.2, 0.99999),
    ],
)
def test_it_equals_the_infimum_of_its_definition(theta: float, rho: float) -> None:
    reference = by_definition(theta, rho)
    assert abs(mp.mpf(float(f_mm(theta, rho))) / reference - 1) < mp.mpf("1e-14")


def test_trap_02_the_search_begins_at_the_cotangent_and_not_at_the_tangent() -> None:
    with mp.workdps(40):
        for rho in (mp.mpf("0.3"), mp.mpf("0.5"), mp.mpf("0.7"), mp.mpf("0.9")):
            angle = mp.acos(-rho) / 3
            assert abs(terms(mp.mpf("0.01"), rho, mp.cot(angle))[1]) < mp.mpf("1e-38")
            assert terms(mp.mpf("0.01"), rho, mp.tan(angle))[1] != 0
            # between the two g2 is positive, so that the quotient has no meaning: here it is negative
            middle = (mp.cot(angle) + mp.tan(angle)) / 2
            if rho < mp.mpf("0.7"):
                assert terms(mp.mpf("0.01"), rho, middle)[0] < 0 < float(f_mm(0.01, float(rho)))


@settings(max_examples=40)
@given(theta=st.floats(-12.0, 1.5).map(np.exp), rho=st.floats(-0.98, 0.98))
def test_it_is_sharp(theta: float, rho: float) -> None:
    most = float(psi_max(theta, rho))
    inside = butterfly(EssviParameters(theta=theta, rho=rho, psi=most * (1.0 - 1e-7)).raw())
    beyond = butterfly(EssviParameters(theta=theta, rho=rho, psi=most * 1.001).raw())
    assert inside.free and inside.violations == ()
    assert not beyond.free
    # at the bound the least g is 0, up to the share of psi held back
    assert -1e-12 < inside.min_g < 1e-5


def test_where_it_is_below_the_sufficient_bound_the_moment_bound_takes_over() -> None:
    theta, rho = np.meshgrid(np.geomspace(1e-6, 10.0, 60), np.linspace(-0.99, 0.99, 41))
    ratio = psi_max(theta, rho) / psi_max(theta, rho, "gj")
    assert (ratio >= 1.0 - 1e-12).all() and ratio.max() > 2.2
    assert (psi_max(theta, rho) <= 4.0 / (1.0 + np.abs(rho)) * (1.0 + 1e-15)).all()
    assert psi_max(5.0, -0.2) == pytest.approx(4.0 / 1.2, rel=1e-15)
    assert f_mm(0.01, 0.3) == f_mm(0.01, -0.3)


def test_the_place_of_the_zero_of_g() -> None:
    # at the bound g touches zero at a finite k, on either side without tilt
    one = EssviParameters(theta=0.01, rho=0.0, psi=float(psi_max(0.01, 0.0)))
    k = np.linspace(0.09, 0.11, 200_001)
    values = g(one.raw(), k)
    assert float(k[np.argmin(values)]) == pytest.approx(0.0980573, abs=2e-7)
    assert abs(float(values.min())) < 1e-12
    assert float(g(one.raw(), -0.0980573)) == pytest.approx(float(g(one.raw(), 0.0980573)), abs=1e-13)


def test_arrays_broadcast_and_nan_passes_through() -> None:
    values = f_mm([[0.01], [0.02]], [0.0, 0.3, np.nan])
    assert values.shape == (2, 3) and np.isnan(values[:, 2]).all() and np.isfinite(values[:, :2]).all()
    assert f_gj(0.01, -0.5) == pytest.approx(0.04 / 1.5, rel=1e-15)
    assert np.isnan(psi_max(np.nan, 0.1, "gj"))
    assert f_mm([], []).shape == (0,)


def test_arguments_outside_their_domain_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"theta is 0; expected a positive total variance"):
        f_mm([0.1, 0.0], 0.1)
    with pytest.raises(ParameterError, match=r"rho is -1; expected between -1 and 1"):
        f_gj(0.1, [-1.0, 0.0])
    with pytest.raises(ParameterError, match=r"bound 'hm'; expected 'mm' or 'gj'"):
        psi_max(0.1, 0.0, "hm")  # type: ignore[arg-type]
