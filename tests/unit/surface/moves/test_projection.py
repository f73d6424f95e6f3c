"""The forward pass of the projection, also about a money that has moved away, and the fit before it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.surface import EssviParameters, butterfly, calendar, fit_smile, project
from pmkit.surface.moves.projection import essvi_between, projected, shifted_raw, steepest

slices = st.builds(
    EssviParameters, theta=st.floats(0.0005, 0.1), rho=st.floats(-0.9, 0.9), psi=st.floats(0.01, 1.5)
)


@given(st.lists(slices, min_size=1, max_size=5), st.sampled_from(["mm", "gj"]))
@settings(max_examples=40)
def test_without_a_shift_it_is_the_projection_of_the_box(wanted: list[EssviParameters], bound: str) -> None:
    found = projected(wanted, bound=bound)  # type: ignore[arg-type]
    columns = [np.array([getattr(p, n) for p in wanted]) for n in ("theta", "rho", "psi")]
    other = project(*columns, bound)  # type: ignore[arg-type]
    assert [p.theta for p in found] == pytest.approx(other.theta, rel=1e-14)
    assert [p.psi for p in found] == pytest.approx(other.psi, rel=1e-14)


@given(st.lists(slices, min_size=1, max_size=4), st.floats(-0.2, 0.2))
@settings(max_examples=20)
def test_with_a_shift_every_slice_is_free_on_the_whole_line(
    wanted: list[EssviParameters], shift: float
) -> None:
    found = projected(wanted, shift=shift)
    raws = [shifted_raw(p, shift) for p in found]
    assert all(butterfly(raw).min_g >= -1e-9 for raw in raws)
    assert all(calendar(near, far).free for near, far in pairwise(raws))
    again = projected(found, shift=shift)
    assert [p.psi for p in again] == pytest.approx([p.psi for p in found], rel=1e-8)
    assert [p.theta for p in again] == pytest.approx([p.theta for p in found], rel=1e-12)


def test_steepest_is_the_edge_of_what_is_free() -> None:
    one = EssviParameters(theta=0.002, rho=-0.3, psi=0.15)
    assert steepest(one, 0.0) == one.psi_max()
    assert steepest(one, 1e-4) == one.psi
    most = steepest(one, -0.15)
    assert most < one.psi
    for share, free in ((1.0 - 1e-6, True), (1.0 + 1e-6, False)):
        cut = EssviParameters(theta=one.theta, rho=one.rho, psi=share * most)
        assert butterfly(shifted_raw(cut, -0.15)).free == free


@given(slices)
@settings(max_examples=30)
def test_a_smile_of_the_family_is_found_and_another_stays_inside_the_bound(one: EssviParameters) -> None:
    k = np.linspace(-2.5, 2.5, 25) * np.sqrt(one.theta)
    found = fit_smile(k, one.at(k))
    assert found.psi <= found.psi_max() * (1.0 + 1e-12)
    if one.psi < 0.95 * one.psi_max():
        assert np.sqrt(found.at(k)) == pytest.approx(np.sqrt(one.at(k)), rel=1e-5)


def test_between_expiries_theta_psi_and_rho_psi_are_linear() -> None:
    held = [EssviParameters(theta=0.01, rho=-0.4, psi=0.1), EssviParameters(theta=0.04, rho=-0.1, psi=0.2)]
    taus = np.array([0.1, 0.3])
    middle = essvi_between(taus, held, 0.2)
    assert (middle.theta, middle.psi) == pytest.approx((0.025, 0.15))
    assert middle.rho * middle.psi == pytest.approx(0.5 * (-0.04 - 0.02))
    early, late = essvi_between(taus, held, 0.05), essvi_between(taus, held, 0.6)
    assert (early.theta, early.rho, early.psi) == pytest.approx((0.005, -0.4, 0.05))
    assert (late.theta, late.rho, late.psi) == pytest.approx((0.08, -0.1, 0.2))


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"2 points, least total variance 0\.04"):
        fit_smile(np.array([0.0, 0.1]), np.array([0.04, 0.05]))
    with pytest.raises(ParameterError, match="3 points, least total variance 0;"):
        fit_smile(np.array([-0.1, 0.0, 0.1]), np.array([0.04, 0.0, 0.05]))
