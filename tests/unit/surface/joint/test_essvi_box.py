"""Mingone's box: every box is free of arbitrage on the whole line, and every admissible surface has one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ArbitrageError, ParameterError
from pmkit.core.random import stream
from pmkit.surface import (
    EssviBox,
    EssviParameters,
    box_to_parameters,
    butterfly,
    calendar,
    from_unconstrained,
    parameters_to_box,
    project,
    to_unconstrained,
    unconstrained_to_parameters,
)
from pmkit.surface.joint.essvi import essvi_w

# l = (k - m)/sigma = cot(u): the whole line as an open interval
ANGLES = np.linspace(1e-4, np.pi - 1e-4, 241)


def whole_line(theta: np.ndarray, rho: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Return k of shape (..., points) that covers the line in the width of each slice."""
    width = np.sqrt(1.0 - rho**2) * theta / psi
    return (-rho * theta / psi)[..., None] + width[..., None] / np.tan(ANGLES)


def least_g(theta: np.ndarray, rho: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """Return the least of Durrleman's g over the line, from w and its two derivatives written out."""
    k, t, r, s = whole_line(theta, rho, psi), theta[..., None], rho[..., None], psi[..., None]
    root = np.sqrt((s * k + t * r) ** 2 + t**2 * (1 - r**2))
    w = 0.5 * (t + r * s * k + root)
    slope = 0.5 * (r * s + s * (s * k + t * r) / root)
    curve = 0.5 * s**2 * t**2 * (1 - r**2) / root**3
    return ((1 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1 / w + 0.25) + 0.5 * curve).min(axis=-1)


def random_coordinates(count: int, n: int, name: str) -> np.ndarray:
    """Return unconstrained coordinates that reach both ends of c, crypto's short expiries and long ones."""
    rng = stream(7, name)
    x = np.empty((count, 3 * n))
    x[:, :n] = np.arctanh(rng.uniform(-0.9, 0.9, (count, n)))
    x[:, n] = rng.uniform(np.log(1e-5), np.log(0.5), count)
    x[:, n + 1 : 2 * n] = x[:, n : n + 1] + rng.normal(0.0, 2.0, (count, n - 1))
    x[:, 2 * n :] = rng.normal(0.0, 3.0, (count, n))
    return x


@pytest.mark.parametrize("bound", ["mm", "gj"])
def test_ten_thousand_boxes_have_no_arbitrage_on_the_whole_line(bound: str) -> None:
    count = 10_000 if bound == "mm" else 1_000
    theta, rho, psi = unconstrained_to_parameters(random_coordinates(count, 3, bound), bound)  # type: ignore[arg-type]
    lowest = np.full(count, np.inf)
    for i in range(3):
        lowest = np.minimum(lowest, least_g(theta[:, i], rho[:, i], psi[:, i]))
    assert lowest.min() > -1e-9
    if bound == "mm":
        assert (lowest < 0.01).sum() > 1_000, "many of them are close to the bound"
    # total variance rises at every k, in the width of either slice of a pair
    for i in (1, 2):
        for width in (i - 1, i):
            k = whole_line(theta[:, width], rho[:, width], psi[:, width])
            near, far = (
                essvi_w(theta[:, j, None], (rho * psi)[:, j, None], psi[:, j, None], k) for j in (i - 1, i)
            )
            assert ((far - near) / far).min() > -1e-12


def test_some_boxes_pass_the_exact_criteria_of_the_slices() -> None:
    theta, rho, psi = unconstrained_to_parameters(random_coordinates(60, 4, "exact"))
    for row in range(60):
        slices = [
            EssviParameters(theta=t, rho=r, psi=p).raw()
            for t, r, p in zip(theta[row], rho[row], psi[row], strict=True)
        ]
        assert all(butterfly(one).free for one in slices)
        assert all(calendar(a, b).free for a, b in pairwise(slices))


@settings(max_examples=60)
@given(st.data())
def test_boxes_and_parameters_are_one_to_one(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    part = st.floats(0.02, 0.98)
    box = EssviBox(
        rho=[1.8 * data.draw(part) - 0.9 for _ in range(n)],
        theta_first=data.draw(st.floats(1e-5, 2.0)),
        a=[data.draw(st.floats(1e-4, 1.0)) for _ in range(n - 1)],
        c=[data.draw(part) for _ in range(n)],
        bound=data.draw(st.sampled_from(["mm", "gj"])),
    )
    back = parameters_to_box(*box_to_parameters(box), bound=box.bound)
    assert back.rho == pytest.approx(box.rho) and back.theta_first == pytest.approx(box.theta_first)
    assert back.a == pytest.approx(box.a, rel=1e-8) and back.c == pytest.approx(box.c, rel=1e-6)
    x = to_unconstrained(box)
    again = from_unconstrained(x, box.bound)
    assert again.c == pytest.approx(box.c, rel=1e-12) and again.a == pytest.approx(box.a, rel=1e-12)
    many = unconstrained_to_parameters(np.stack([x, x]), box.bound)
    assert many.psi[1] == pytest.approx(box_to_parameters(box).psi, rel=1e-12)


def test_every_coordinate_is_legal_however_far_out() -> None:
    x = np.array([40.0, -40.0, 0.0, -900.0, 900.0, 3.0, 80.0, -80.0, 0.0])
    curves = unconstrained_to_parameters(x)
    assert all(np.isfinite(v).all() for v in curves) and (curves.psi > 0.0).all()
    with pytest.raises(ParameterError, match=r"coordinates of shape \(4,\); expected 3n numbers"):
        unconstrained_to_parameters(np.zeros(4))
    with pytest.raises(ParameterError, match="1 coordinates are not finite"):
        from_unconstrained([0.0, np.nan, 0.0])
    with pytest.raises(ParameterError, match="coordinates with 2 axes; expected one axis"):
        from_unconstrained(np.zeros((2, 3)))


def test_boxes_at_the_end_of_a_range_have_no_finite_coordinate() -> None:
    box = EssviBox(rho=[0.1, 0.2], theta_first=0.1, a=[0.0], c=[0.5, 1.0])
    with pytest.raises(ParameterError, match="2 of a and c at the end of their range"):
        to_unconstrained(box)
    moved = box.inside(1e-4)
    assert moved.a[0] == pytest.approx(1e-5) and moved.c[1] == 1.0 - 1e-4
    assert np.isfinite(to_unconstrained(moved)).all()
    with pytest.raises(ParameterError, match=r"edge is 0\.5"):
        box.inside(0.5)


def test_boxes_outside_their_domain_are_refused() -> None:
    good = {"rho": [0.1, 0.2], "theta_first": 0.1, "a": [0.1], "c": [0.5, 0.5]}
    for name, value, message in (
        ("rho", [0.1, 1.0], r"rho\[1\] is 1; expected between -1 and 1"),
        ("rho", [0.1], "1 rho, 1 a and 2 c; expected n, n - 1 and n"),
        ("theta_first", 0.0, r"theta_first\[0\] is 0"),
        ("theta_first", np.nan, r"theta_first\[0\] is nan"),
        ("a", [-1e-9], r"a\[0\] is -1e-09"),
        ("c", [0.5, 1.5], r"c\[1\] is 1.5; expected between 0 and 1"),
        ("c", [np.nan, 0.5], r"c\[0\] is nan"),
    ):
        with pytest.raises(ParameterError, match=message):
            EssviBox(**(good | {name: value}))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="bound 'hm'"):
        EssviBox(**good, bound="hm")  # type: ignore[arg-type]
    assert EssviBox(**good) == EssviBox(**good)  # type: ignore[arg-type]
    assert len({EssviBox(**good), EssviBox(**good, bound="gj")}) == 2  # type: ignore[arg-type]
    assert EssviBox(**good) != "box"  # type: ignore[arg-type]


def test_inadmissible_parameters_are_refused_with_the_reason() -> None:
    for theta, rho, psi, message in (
        ([0.02, 0.01], [0.0, 0.0], [0.1, 0.1], r"theta\[1\] is 0.01, off by 0.01: .* falls too far behind"),
        ([0.01, 0.02], [0.0, 0.0], [0.1, 0.05], r"psi\[1\] is 0.05, off by 0.05: a wing is flatter"),
        ([0.01, 0.02], [0.0, 0.0], [0.1, 0.21], r"psi\[1\] is 0.21, off by 0.01: psi/theta rises"),
        ([0.01], [0.0], [0.5], r"psi\[0\] is 0.5, off by 0.0567.*: the slice has butterfly arbitrage"),
        ([0.02, 0.021], [0.0, 0.4], [0.1, 0.17], r"theta\[1\] is 0.021, off by 0.0123"),
    ):
        with pytest.raises(ArbitrageError, match=message):
            parameters_to_box(theta, rho, psi)
    with pytest.raises(ArbitrageError, match="the sufficient bound is exceeded"):
        parameters_to_box([0.01], [0.0], [0.3], bound="gj")
    assert parameters_to_box([0.01], [0.0], [0.3]).c[0] == pytest.approx(0.3 / 0.443216, rel=1e-5)
    with pytest.raises(ParameterError, match="2 theta, 1 rho and 2 psi; expected as many of each"):
        parameters_to_box([0.1, 0.2], [0.0], [0.1, 0.2])
    with pytest.raises(ParameterError, match=r"psi\[0\] is nan"):
        parameters_to_box([0.1], [0.0], [np.nan])


def test_projection_leaves_admissible_slices_and_mends_the_others() -> None:
    box = EssviBox(rho=[-0.6, -0.5, -0.4], theta_first=0.01, a=[0.01, 0.02], c=[0.5, 0.5, 0.5])
    curves = box_to_parameters(box)
    same = project(*curves)
    assert not same.moved
    assert (same.theta == curves.theta).all() and (same.psi == curves.psi).all()
    rng = stream(3, "project")
    for _ in range(200):
        n = int(rng.integers(1, 7))
        given_slices = np.exp(rng.normal(-3, 1, n)), rng.uniform(-0.9, 0.9, n), np.exp(rng.normal(-1.5, 1, n))
        for bound in ("mm", "gj"):
            cut = project(*given_slices, bound=bound)  # type: ignore[arg-type]
            assert cut.theta - cut.moved_theta == pytest.approx(given_slices[0])
            assert cut.psi - cut.moved_psi == pytest.approx(given_slices[2])
            back = parameters_to_box(cut.theta, cut.rho, cut.psi, cut.bound)
            assert ((back.c > 0.0) & (back.c < 1.0)).all() and (back.a > 0.0).all()
    slices = [EssviParameters(theta=t, rho=r, psi=p).raw() for t, r, p in zip(*cut_of(cut), strict=True)]
    assert all(butterfly(one).free for one in slices)
    assert all(calendar(a, b).free for a, b in pairwise(slices))
    frame = cut.to_frame()
    assert list(frame.columns) == ["theta", "rho", "psi", "moved_theta", "moved_psi"] and cut.moved


def cut_of(cut):  # type: ignore[no-untyped-def]
    return cut.theta, cut.rho, cut.psi


def test_the_table_of_a_box_shows_its_bounds() -> None:
    box = EssviBox(rho=[-0.6, -0.5], theta_first=0.01, a=[0.01], c=[0.5, 0.5], bound="gj")
    frame = box.to_frame()
    assert list(frame.columns) == ["rho", "theta", "psi", "p", "f", "S", "A", "C"]
    assert frame["psi"].to_numpy() == pytest.approx(frame["A"] + box.c * (frame["C"] - frame["A"]))
