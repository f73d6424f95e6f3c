"""How far vol can be scaled, by formula: free just below, arbitrage just above, whatever the smile."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.surface import (
    EssviParameters,
    RawSvi,
    butterfly,
    calendar,
    calendar_room,
    essvi_scaling_limit,
    raw_scaling_limit,
)

raws = st.builds(
    RawSvi,
    a=st.floats(0.0005, 0.03),
    b=st.floats(0.01, 0.3),
    rho=st.floats(-0.9, 0.9),
    m=st.floats(-0.1, 0.1),
    sigma=st.floats(0.05, 0.4),
)


def scaled(svi: RawSvi, c: float, *, delta: bool = False) -> RawSvi:
    if delta:
        return RawSvi(a=c * c * svi.a, b=c * svi.b, rho=svi.rho, m=c * svi.m, sigma=c * svi.sigma)
    return replace(svi, a=c * c * svi.a, b=c * c * svi.b)


@given(raws, st.booleans())
@settings(max_examples=60)
def test_free_just_below_and_arbitrage_just_above(svi: RawSvi, delta: bool) -> None:
    most = raw_scaling_limit(svi, delta=delta)
    assume(most > 0.0)
    assert butterfly(scaled(svi, most * (1.0 - 1e-7), delta=delta)).free
    assert not butterfly(scaled(svi, most * (1.0 + 1e-7), delta=delta)).free
    assert (most >= 1.0) == butterfly(svi).free


@given(st.floats(0.0005, 0.3), st.floats(-0.95, 0.95), st.floats(0.02, 1.5))
@settings(max_examples=40)
def test_root_on_the_bound_and_minimum_over_the_line_agree(theta: float, rho: float, share: float) -> None:
    assume(abs(share - 1.0) > 1e-9)
    flat = EssviParameters(theta=theta, rho=rho, psi=1.0)
    one = replace(flat, psi=share * flat.psi_max())
    root = essvi_scaling_limit(one.theta, one.rho, one.psi)
    assert raw_scaling_limit(one.raw()) == pytest.approx(root, rel=1e-9)
    assert (root >= 1.0) == (share <= 1.0)
    assert essvi_scaling_limit(one.theta, one.rho, one.psi, "gj") <= root * (1.0 + 1e-12)


def test_g_touches_zero_at_the_limit_to_thirty_digits() -> None:
    svi = RawSvi(a=0.01, b=0.06, rho=-0.2, m=0.03, sigma=0.2)
    most = raw_scaling_limit(svi)
    report = butterfly(scaled(svi, most))
    with mp.workdps(40):
        a, b = mp.mpf(most) ** 2 * mp.mpf(svi.a), mp.mpf(most) ** 2 * mp.mpf(svi.b)

        def w(k: mp.mpf) -> mp.mpf:
            x = k - mp.mpf(svi.m)
            return a + b * (mp.mpf(svi.rho) * x + mp.sqrt(x * x + mp.mpf(svi.sigma) ** 2))

        def g(k: mp.mpf) -> mp.mpf:
            first, second = mp.diff(w, k), mp.diff(w, k, 2)
            return (1 - k * first / (2 * w(k))) ** 2 - first**2 / 4 * (1 / w(k) + mp.mpf(1) / 4) + second / 2

        k = mp.findroot(lambda x: mp.diff(g, x), mp.mpf(report.k_min_g))
        assert abs(g(k)) < 1e-12


def test_wings_alone_bind_where_the_middle_does_not() -> None:
    wide = RawSvi(a=0.5, b=0.5, rho=0.0, m=0.0, sigma=4.0)
    assert raw_scaling_limit(wide) == pytest.approx(math.sqrt(2.0 / 0.5), rel=1e-9)
    assert raw_scaling_limit(RawSvi(a=0.04, b=0.0, rho=0.0, m=0.0, sigma=0.1)) == math.inf


@given(raws, st.floats(1.02, 3.0), st.floats(-0.05, 0.05))
@settings(max_examples=40)
def test_calendar_room_is_where_calendars_break(near: RawSvi, growth: float, tilt: float) -> None:
    rho = min(max(near.rho + tilt, -0.9), 0.9)
    far = replace(near, a=growth * near.a, b=growth * near.b, rho=rho)
    room = calendar_room(near, far)
    assert (room >= 1.0) == calendar(near, far).free
    assert calendar(scaled(near, room * (1.0 - 1e-7)), far).free
    assert not calendar(scaled(near, room * (1.0 + 1e-7)), far).free


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ParameterError, match="psi is 0"):
        essvi_scaling_limit(0.04, 0.0, 0.0)
    with pytest.raises(ParameterError, match=r"theta is -0\.04"):
        essvi_scaling_limit(-0.04, 0.0, 0.1)
    assert np.isfinite(essvi_scaling_limit(1e-8, 0.99, 1e-6))
