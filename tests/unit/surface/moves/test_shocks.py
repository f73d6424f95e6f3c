"""The shock itself: what it refuses, how it scales and adds up, and what it says of itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.scenarios import TermScaling
from pmkit.surface import SurfaceShock, elasticity_needed
from tests.unit.surface.shock_surfaces import Law

sizes = st.floats(-0.5, 0.5, allow_nan=False)


def test_the_term_law_of_scenarios_serves_here() -> None:
    theirs, ours = TermScaling(short_power=0.3, long_power=0.13), Law()
    for days in (0.5, 1.0, 7.0, 30.0, 200.0):
        first, second = (SurfaceShock(vol=0.5, vol_term=law) for law in (theirs, ours))
        assert first.factor(days) == pytest.approx(second.factor(days), rel=1e-15)


@given(sizes, sizes, st.floats(0.5, 700.0))
@settings(max_examples=30)
def test_sizes_add_up_and_scale(a: float, b: float, days: float) -> None:
    first, second = SurfaceShock(vol=a, vol_term=Law()), SurfaceShock(vol=b, skew=b, vol_term=Law())
    both = first + second
    assert both.vol == a + b and both.skew == b
    assert both.scaled(0.5).vol == pytest.approx(0.5 * (a + b))
    assert both.scaled(0.0).is_zero
    if 1.0 + 0.5 * a * Law().scale(days) > 0.0:
        assert first.scaled(0.5).factor(days) - 1.0 == pytest.approx(0.5 * a * Law().scale(days), abs=1e-12)


def test_log_moves_compose_and_twist_is_a_power() -> None:
    first, second = SurfaceShock(vol=0.2, vol_unit="log"), SurfaceShock(vol=-0.5, vol_unit="log")
    assert (first + second).factor(9.0) == pytest.approx(first.factor(9.0) * second.factor(9.0))
    twist = SurfaceShock(twist=0.1)
    assert twist.factor(30.0) == 1.0
    assert twist.factor(60.0) == pytest.approx(2.0**0.1)
    assert SurfaceShock(twist=0.1, vol=0.5).level(60.0) == 1.5


def test_a_floor_holds_only_upwards() -> None:
    assert SurfaceShock(vol=0.5, min_vol_up=0.5).floor == 0.5
    assert SurfaceShock(vol_add=0.05, min_vol_up=0.5).floor == 0.5
    assert SurfaceShock(vol=-0.25, min_vol_up=0.5).floor == 0.0
    assert SurfaceShock(spot=-0.1, min_vol_up=0.5).floor == 0.0


def test_it_says_what_it_does() -> None:
    assert str(SurfaceShock()) == "no move"
    shock = SurfaceShock(
        spot=-0.16, vol=0.5, vol_add=-0.02, skew=0.01, curvature=0.005, twist=0.1, horizon_days=2,
        vol_term=Law(), min_vol_up=0.5,
    )  # fmt: skip
    assert str(shock) == (
        "spot -16%, vol +50% at the reference tenor, vol -2 pt, skew +1 pt per sd, "
        "curvature +0.5 pt per sd², twist +0.1, vol at least 50%, 2 days later"
    )
    assert shock.to_dict()["vol_term"].startswith("Law(")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spot": -1.0}, "spot of a surface shock is -1; expected a decimal above -1"),
        ({"vol": -1.5}, "vol of a surface shock is -1.5"),
        ({"vol": math.nan}, "vol of a surface shock is nan"),
        ({"skew": math.inf}, "skew of a surface shock is inf"),
        ({"spot": "-16%"}, "spot of a surface shock is '-16%'"),
        ({"twist": True}, "twist of a surface shock is True"),
        ({"horizon_days": -1.0}, "horizon_days of a surface shock is -1; expected 0 or more"),
        ({"min_vol_up": -0.1}, "min_vol_up of a surface shock is -0.1"),
        ({"reach": 0.0}, "reach of a surface shock is 0; expected a positive number"),
        ({"reference_days": -30.0}, "reference_days of a surface shock is -30"),
    ],
)
def test_bad_sizes_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SurfaceShock(**arguments)


def test_bad_conventions_are_refused() -> None:
    with pytest.raises(ConventionError, match="vol_unit 'percent'"):
        SurfaceShock(vol=0.5, vol_unit="percent")  # type: ignore[arg-type]
    with pytest.raises(ConventionError, match="vol_term of type float"):
        SurfaceShock(vol=0.5, vol_term=0.3)  # type: ignore[arg-type]
    with pytest.raises(ConventionError, match="vol_term of two shocks"):
        SurfaceShock(vol=0.5, vol_term=Law()) + SurfaceShock(vol=0.1)
    with pytest.raises(TypeError):
        SurfaceShock(vol=0.5) + 0.1  # type: ignore[operator]
    assert (SurfaceShock(vol=0.5, vol_term=Law()) + SurfaceShock(skew=0.01)).vol_term == Law()


def test_a_vol_move_that_leaves_no_vol_is_refused_where_it_does() -> None:
    shock = SurfaceShock(vol=-0.5, vol_term=Law())
    assert shock.factor(30.0) == 0.5
    with pytest.raises(ParameterError, match=r"vol move at 1 days is -1\.387"):
        shock.factor(1.0)


def test_elasticity_of_other_shocks() -> None:
    assert elasticity_needed(SurfaceShock(vol=0.5), 7.0) == pytest.approx(0.0, abs=1e-12)
    assert elasticity_needed(SurfaceShock(twist=-0.1), 7.0) == pytest.approx(0.2)
    log = SurfaceShock(vol=0.5, vol_unit="log", vol_term=Law())
    step = 1e-6
    slope = math.log(log.factor(7.0 * (1 + step)) / log.factor(7.0)) / math.log1p(step)
    assert elasticity_needed(log, 7.0) == pytest.approx(-2.0 * slope, rel=1e-3)
    with pytest.raises(ParameterError, match=r"days is 0\.0"):
        elasticity_needed(SurfaceShock(vol=0.5), 0.0)
