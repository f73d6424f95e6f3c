"""Raw, natural and jump-wing parameters: derivatives, round trips, domains and the singular cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.surface import JumpWingSvi, NaturalSvi, RawSvi

GENERIC = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)


def raw(svi: RawSvi) -> list[float]:
    return [svi.a, svi.b, svi.rho, svi.m, svi.sigma]


@st.composite
def slices(draw: st.DrawFn) -> RawSvi:
    rho = draw(st.floats(-0.95, 0.95))
    sigma, m = draw(st.floats(0.02, 2.0)), draw(st.floats(-0.5, 0.5))
    b = draw(st.floats(0.01, 2.5)) / (1.0 + abs(rho))
    least = draw(st.floats(0.001, 1.0))
    return RawSvi(a=least - b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=m, sigma=sigma)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(slices(), st.floats(-3.0, 3.0))
def test_derivatives_are_those_of_w(svi: RawSvi, k: float) -> None:
    step = 1e-5
    up, down = float(svi.w(k + step)), float(svi.w(k - step))
    assert float(svi.dw(k)) == pytest.approx((up - down) / (2 * step), abs=1e-4)
    rise = float(svi.dw(k + step)) - float(svi.dw(k - step))
    assert float(svi.d2w(k)) == pytest.approx(rise / (2 * step), rel=1e-3, abs=1e-7)
    assert up >= svi.min_variance * (1 - 1e-12) and float(svi.w(svi.k_min)) == pytest.approx(svi.min_variance)
    far = 1e7
    assert [float(svi.w(-far)) / far, float(svi.w(far)) / far] == pytest.approx(list(svi.slopes), rel=1e-3)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(slices(), st.floats(0.01, 3.0))
def test_round_trips(svi: RawSvi, tau: float) -> None:
    assert raw(svi.to_natural().to_raw()) == pytest.approx(raw(svi), rel=1e-9, abs=1e-12)
    k = np.linspace(-1.0, 1.0, 7)
    wings = svi.to_jump_wing(tau)
    if abs(wings.psi) > 1e-3 * (wings.p + wings.c):
        assert wings.to_raw().w(k) == pytest.approx(svi.w(k), rel=1e-6)
    assert wings.v * tau == pytest.approx(float(svi.w(0.0)))
    natural = svi.to_natural()
    shifted = natural.zeta * (k - natural.mu)
    root = np.sqrt((shifted + natural.rho) ** 2 + 1.0 - natural.rho**2)
    by_formula = natural.delta + natural.omega / 2.0 * (1.0 + natural.rho * shifted + root)
    assert by_formula == pytest.approx(svi.w(k), rel=1e-9)


def test_raw_parameters_are_of_total_variance_and_do_not_scale_with_time() -> None:
    short, long = GENERIC.to_jump_wing(0.25), GENERIC.to_jump_wing(1.0)
    assert short.v == pytest.approx(4.0 * long.v)
    assert (short.psi, short.p, short.c) == (long.psi, long.p, long.c)
    assert raw(short.to_raw()) == pytest.approx(raw(long.to_raw()))


@pytest.mark.parametrize("m", [0.0, 1e-14, 1e-9, -1e-6])
@pytest.mark.parametrize("rho", [-0.4, 0.3])
def test_a_bottom_centred_at_zero_is_no_special_case(m: float, rho: float) -> None:
    svi = RawSvi(a=0.04, b=0.4, rho=rho, m=m, sigma=0.1)
    assert raw(svi.to_jump_wing(0.5).to_raw()) == pytest.approx(raw(svi), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.3])
def test_without_skew_at_the_money_the_width_has_to_be_given(rho: float) -> None:
    svi = RawSvi(a=0.04, b=0.4, rho=rho, m=rho * 0.1 / math.sqrt(1.0 - rho**2), sigma=0.1)
    wings = svi.to_jump_wing(0.5)
    assert abs(svi.k_min) < 1e-16 and wings.v == pytest.approx(wings.v_min)
    with pytest.raises(ParameterError, match=r"sigma is None; expected a positive width.*give sigma="):
        wings.to_raw()
    assert raw(wings.to_raw(sigma=0.1)) == pytest.approx(raw(svi), rel=1e-12, abs=1e-14)
    other = wings.to_raw(sigma=0.3)
    again = other.to_jump_wing(0.5)
    assert [again.v, again.p, again.c, again.v_min] == pytest.approx([wings.v, wings.p, wings.c, wings.v_min])


def test_contradictory_jump_wings_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"psi = 0 is 0\.01; expected 0"):
        JumpWingSvi(v=0.05, psi=0.0, p=1.0, c=1.0, v_min=0.04, tau=1.0).to_raw(sigma=0.1)
    with pytest.raises(ParameterError, match="expected a positive number where psi is not 0"):
        JumpWingSvi(v=0.05, psi=0.1, p=1.0, c=1.0, v_min=0.05, tau=1.0).to_raw()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": -0.1}, r"b of raw SVI is -0\.1; expected 0 or more"),
        ({"rho": 1.0}, "rho of raw SVI is 1; expected between -1 and 1"),
        ({"sigma": 0.0}, "sigma of raw SVI is 0; expected a positive number"),
        ({"m": math.nan}, "m of raw SVI is nan; expected a finite number"),
        ({"a": -0.05}, r"minimum of total variance .* is -0\.0133\d*; expected 0 or more"),
        ({"a": 0.0, "b": 0.0}, "total variance everywhere is 0"),
    ],
)
def test_raw_domain(change: dict[str, float], message: str) -> None:
    good = {"a": 0.04, "b": 0.4, "rho": -0.4, "m": 0.05, "sigma": 0.1}
    with pytest.raises(ParameterError, match=message):
        RawSvi(**(good | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"omega": -1.0}, "omega of natural SVI is -1"),
        ({"zeta": 0.0}, "zeta of natural SVI is 0"),
        ({"rho": -1.0}, "rho of natural SVI is -1"),
        ({"mu": math.inf}, "mu of natural SVI is inf"),
        ({"delta": -0.1}, "minimum of total variance"),
    ],
)
def test_natural_domain(change: dict[str, float], message: str) -> None:
    good = {"delta": 0.003, "mu": 0.006, "rho": -0.4, "omega": 0.09, "zeta": 9.0}
    with pytest.raises(ParameterError, match=message):
        NaturalSvi(**(good | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": 0.0}, "v of jump-wing SVI is 0"),
        ({"p": -0.1}, r"p of jump-wing SVI is -0\.1"),
        ({"c": 0.0}, "c of jump-wing SVI is 0"),
        ({"tau": 0.0}, "tau of jump-wing SVI is 0"),
        ({"v_min": 0.2}, r"v_min of jump-wing SVI is 0\.2; expected between 0 and v = 0\.09"),
        ({"psi": -1.0}, "2 psi of jump-wing SVI is -2; expected between -p = -1.8 and c = 0.8"),
        ({"psi": 0.4}, r"2 psi of jump-wing SVI is 0\.8; .*kink"),
    ],
)
def test_jump_wing_domain(change: dict[str, float], message: str) -> None:
    good = {"v": 0.09, "psi": -0.5, "p": 1.8, "c": 0.8, "v_min": 0.07, "tau": 1.0}
    with pytest.raises(ParameterError, match=message):
        JumpWingSvi(**(good | change))


def test_a_flat_slice_has_natural_parameters_but_no_wings() -> None:
    flat = RawSvi(a=0.04, b=0.0, rho=0.2, m=0.1, sigma=0.3)
    assert raw(flat.to_natural().to_raw()) == pytest.approx(raw(flat))
    assert flat.w([-5.0, 0.0, 5.0]) == pytest.approx(0.04) and flat.slopes == (0.0, 0.0)
    with pytest.raises(ParameterError, match=r"b of raw SVI is 0; .*a flat slice has no jump wings"):
        flat.to_jump_wing(1.0)
    with pytest.raises(ParameterError, match="tau in years is 0"):
        GENERIC.to_jump_wing(0.0)
    touching = RawSvi(a=-0.04, b=0.4, rho=0.0, m=0.0, sigma=0.1)
    with pytest.raises(ParameterError, match="variance at the money is"):
        touching.to_jump_wing(1.0)
