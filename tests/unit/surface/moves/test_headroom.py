"""Headroom: free just below the size it names, arbitrage of the kind it names just above."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.surface import EssviSurface, Headroom, SkewStickiness, SurfaceShock
from tests.unit.surface.shock_surfaces import Law, plain_surface, steep_surface, surface_of

UP = SurfaceShock(vol=0.5, vol_term=Law())


@pytest.fixture(scope="module")
def steep() -> EssviSurface:
    return steep_surface()


@pytest.fixture(scope="module")
def inverted() -> EssviSurface:
    return surface_of([(1, 0.0020, -0.2, 0.020), (7, 0.0026, -0.2, 0.024), (30, 0.02, -0.2, 0.1)])


FAMILIES = [
    (UP, None),
    (SurfaceShock(vol=0.5, vol_unit="log", vol_term=Law()), None),
    (SurfaceShock(vol=0.5), None),
    (UP, "sticky_delta"),
    (SurfaceShock(vol=0.5, vol_term=Law(), min_vol_up=0.5), None),
    (SurfaceShock(vol_add=-0.1), None),
    (SurfaceShock(skew=0.05), None),
    (SurfaceShock(curvature=0.05), None),
    (SurfaceShock(twist=-0.1), None),
    (SurfaceShock(spot=-0.1), "sticky_strike"),
    (SurfaceShock(spot=-0.1, vol=0.2), SkewStickiness(1.5)),
]


@pytest.mark.parametrize(("family", "rule"), FAMILIES)
@pytest.mark.parametrize("which", ["steep", "inverted"])
def test_free_just_below_and_arbitrage_of_its_kind_just_above(
    steep: EssviSurface, inverted: EssviSurface, family: SurfaceShock, rule: object, which: str
) -> None:
    surface = steep if which == "steep" else inverted
    found = surface.headroom(family, dynamics=rule)  # type: ignore[arg-type]
    assert isinstance(found, Headroom)
    if not math.isfinite(found.size):
        assert found.kind == "none" and surface.shock(family.scaled(3.0), dynamics=rule).free  # type: ignore[arg-type]
        return
    assert found.size > 0.0
    below = surface.shock(family.scaled(found.size * (1.0 - 1e-5)), dynamics=rule)  # type: ignore[arg-type]
    assert below.free
    if found.kind == "zero_vol":
        with pytest.raises(ParameterError, match="vol"):
            above = surface.shock(family.scaled(found.size * (1.0 + 1e-5)), dynamics=rule)  # type: ignore[arg-type]
            above.arbitrage()
        return
    above = surface.shock(family.scaled(found.size * (1.0 + 1e-4)), dynamics=rule)  # type: ignore[arg-type]
    row = above.arbitrage().loc[found.expiry]
    assert not row["free"]
    assert len(row[f"{found.kind}_at"]) > 0 or row["calendar_min"] < 0.0


def test_every_expiry_has_its_own_size(steep: EssviSurface) -> None:
    found = steep.headroom(UP)
    assert list(found.table["method"]) == ["bound", "bound, formula", "bound, formula"]
    for expiry, row in found.table.iterrows():
        for size, free in ((row["butterfly"] * 0.99999, True), (row["butterfly"] * 1.00001, False)):
            report = steep.shock(UP.scaled(size)).arbitrage()
            assert (len(report.loc[expiry, "butterfly_at"]) == 0) == free
    assert found.size == found.table["size"].min() and found.kind == "butterfly"
    assert found.expiry == steep.slices[0].expiry and found.shock.vol == 0.5 * found.size


def test_calendar_size_is_the_formula_of_the_ratio(inverted: EssviSurface) -> None:
    row = inverted.headroom(UP).table.iloc[1]
    x_near, x_far = (0.5 * Law().scale(d) for d in (1.0, 7.0))
    k = np.linspace(-40.0, 40.0, 400_001)
    near, far = inverted.slices[:2]
    q = math.sqrt(min(float((far.at(k) / near.at(k)).min()), far.psi / near.psi))
    assert row["calendar"] == pytest.approx((q - 1.0) / (x_near - q * x_far), rel=1e-6)
    assert row["elasticity"] == pytest.approx(math.log(0.0026 / 0.0020) / math.log(7.0), rel=1e-9)
    needed = -2.0 * math.log(UP.factor(7.0) / UP.factor(1.0)) / math.log(7.0)
    assert row["elasticity_needed"] == pytest.approx(needed, rel=1e-12)
    assert row["elasticity"] < row["elasticity_needed"] and row["calendar"] < 1.0


def test_search_agrees_with_the_formula(steep: EssviSurface) -> None:
    """The same family with a floor that never binds has no formula."""
    exact = steep.headroom(UP).table
    searched = steep.headroom(SurfaceShock(vol=0.5, vol_term=Law(), min_vol_up=1e-6)).table
    assert set(searched["method"]) == {"search"}
    for column in ("butterfly", "calendar"):
        one, two = (t[column].to_numpy(dtype=float) for t in (exact, searched))
        shown = np.isfinite(one) & (one < 10.0)
        assert two[shown] == pytest.approx(one[shown], rel=1e-5)


def test_a_floor_adds_no_arbitrage_of_its_own(steep: EssviSurface) -> None:
    plain = steep.headroom(UP).table["butterfly"].to_numpy()
    for floor in (0.3, 0.8, 1.2):
        floored = steep.headroom(SurfaceShock(vol=0.5, vol_term=Law(), min_vol_up=floor)).table
        assert (floored["butterfly"].to_numpy() >= plain * (1.0 - 1e-6)).all()


def test_down_shocks_end_at_zero_vol(steep: EssviSurface) -> None:
    found = steep.headroom(SurfaceShock(vol=-0.25, vol_term=Law()))
    assert found.kind == "zero_vol" and np.isinf(found.table["butterfly"]).all()
    assert found.table["zero_vol"].to_numpy() == pytest.approx(
        [4.0 / Law().scale(d) for d in (1.0, 7.0, 30.0)]
    )
    added = steep.headroom(SurfaceShock(vol_add=-0.1))
    assert np.isfinite(added.table["butterfly"]).all()
    assert (added.table["butterfly"] <= added.table["zero_vol"]).all()


def test_arbitrage_that_is_there_already_leaves_no_room() -> None:
    bad = surface_of([(7, 0.006, -0.1, 0.8), (30, 0.02, -0.1, 0.3)])
    table = bad.headroom(SurfaceShock(vol=0.5)).table
    assert table["butterfly"].iloc[0] == 0.0 and table["calendar"].iloc[1] == 0.0
    searched = bad.headroom(SurfaceShock(vol_add=0.1)).table
    assert searched["butterfly"].iloc[0] == 0.0 and searched["calendar"].iloc[1] == 0.0


@pytest.mark.parametrize("family", [UP, SurfaceShock(vol=0.5, vol_term=Law(), min_vol_up=1e-6)])
def test_within_the_quotes_there_is_at_least_as_much_room(
    steep: EssviSurface, inverted: EssviSurface, family: SurfaceShock
) -> None:
    for surface in (steep,) if family.floor else (steep, inverted):
        line = surface.headroom(family).table
        quotes = surface.headroom(family, within="quotes").table
        for column in ("butterfly", "calendar"):
            one, two = (t[column].to_numpy(dtype=float) for t in (line, quotes))
            assert ((two >= one * (1.0 - 1e-6)) | np.isnan(one)).all()
        for one, size in zip(surface.slices, quotes["butterfly"], strict=True):
            if not math.isfinite(size):
                continue
            k = np.linspace(one.quotes.k[0], one.quotes.k[-1], 4001)
            for scale, free in ((0.9999, True), (1.0001, False)):
                shocked = surface.shock(family.scaled(scale * size)).slice(one.expiry)
                assert (float(shocked.curve.g(k).min()) >= 0.0) == free
    assert inverted.headroom(family, within="quotes").summary().index.name.endswith("quotes")


def test_tables_and_pictures(steep: EssviSurface) -> None:
    found = steep.headroom(UP)
    assert found.summary().index.name.startswith("times (vol +50% at the reference tenor):")
    assert list(found.to_frame().columns) == [
        "days", "butterfly", "calendar", "zero_vol", "size", "kind", "method", "elasticity",
        "elasticity_needed",
    ]  # fmt: skip
    assert found.to_dict() and "0x" not in repr(found) and found.cite() == ("gatheral2014", "martini2022")
    assert found.plot().get_xlabel() == "days to expiry"


def test_misuse_is_refused() -> None:
    surface = plain_surface()
    for family, message in (
        (SurfaceShock(), "a family that moves nothing"),
        (SurfaceShock(vol=0.1, horizon_days=1.0), "a family with a horizon of 1 days"),
        (0.5, "a family of type float"),
    ):
        with pytest.raises(ParameterError, match=message):
            surface.headroom(family, dynamics="sticky_strike")  # type: ignore[arg-type]
    for limit in (0.0, -1.0, math.inf):
        with pytest.raises(ParameterError, match="limit is"):
            surface.headroom(UP, limit=limit)
    with pytest.raises(ParameterError, match="within='strikes'; expected 'line' or 'quotes'"):
        surface.headroom(UP, within="strikes")  # type: ignore[arg-type]
    with pytest.raises(ConventionError, match="no smile dynamics"):
        surface.headroom(SurfaceShock(spot=-0.1))
