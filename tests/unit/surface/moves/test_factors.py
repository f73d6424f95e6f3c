"""Moves of surfaces: known factors are found again, simulated surfaces are free, a grid's need not be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.market import datasets, read_quotes
from pmkit.surface import EssviSurface, RawSvi, butterfly, calendar, fit, surface_factors
from pmkit.surface.arbitrage.grid_arbitrage import grid_violations
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.joint.essvi_box import box_to_parameters, from_unconstrained, to_unconstrained

DAYS = (14, 60, 180)


@pytest.fixture(scope="module")
def surfaces() -> dict[pd.Timestamp, EssviSurface]:
    """Simulated: the ETH surface of 2026-05-21 moved by one random factor and a little noise for 60 days."""
    base = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="essvi")
    rng = stream(5, "factor-test")
    point = to_unconstrained(base.box.inside(1e-3))
    out = {}
    for day in range(60):
        out[pd.Timestamp("2026-01-01T08:00Z") + pd.Timedelta(days=day)] = base.with_parameters(
            *box_to_parameters(from_unconstrained(point))
        )
        n = len(base.slices)
        step = np.zeros(point.size)
        step[n : 2 * n] = 0.05 * rng.standard_normal()  # every log variance at once
        point = point + step + 0.002 * rng.standard_normal(point.size)
    return out


def test_a_common_level_factor_is_found(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    grid = surface_factors(surfaces, pillars=DAYS, coordinates="grid", components=3)
    grid.check()
    assert grid.explained[0] > 0.95 and (grid.loadings[0] > 0.0).all()
    box = surface_factors(surfaces, pillars=DAYS, components=9)
    box.check()
    assert box.explained.sum() == pytest.approx(1.0) and (np.diff(box.explained) <= 0.0).all()
    assert box.scores.shape == (59, 9) and "corr_spot" in box.summary()
    # all components together are the moves themselves
    centred = box.moves.to_numpy() - box.moves.to_numpy().mean(axis=0)
    np.testing.assert_allclose(box.scale * (box.scores.to_numpy() @ box.loadings), centred, atol=1e-12)
    assert box.cite() == ("cont2002", "mingone2022")


@pytest.mark.parametrize("method", ["bootstrap", "normal"])
def test_simulated_surfaces_are_free_on_the_whole_line(
    surfaces: dict[pd.Timestamp, EssviSurface], method: str
) -> None:
    found = surface_factors(surfaces, pillars=DAYS, components=6)
    drawn = found.simulate(200, seed=1, method=method)
    assert not drawn.violations().to_numpy().any()
    assert drawn.curves is not None and len(drawn) == 200
    for path in range(0, 200, 20):
        slices = [
            EssviParameters(theta=t, rho=r, psi=p).raw()
            for t, r, p in zip(*(v[path] for v in drawn.curves), strict=True)
        ]
        assert all(butterfly(one).min_g > -1e-9 for one in slices)
        assert all(calendar(a, b).min_dw >= -1e-12 for a, b in pairwise(slices))
    again = found.simulate(200, seed=1, method=method)
    assert (again.w == drawn.w).all() and (again.spot_return == drawn.spot_return).all()


def test_simulation_starts_where_it_is_told(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    found = surface_factors(surfaces, pillars=DAYS, components=2)
    first = found.points.index[0]
    drawn = found.simulate(500, seed=2, start=first)
    there = surfaces[first].parameters_at(np.array(DAYS) / 365.0).theta
    np.testing.assert_allclose(np.median(drawn.curves.theta, axis=0), there, rtol=0.05)
    with pytest.raises(DataGapError, match="no snapshot at"):
        found.simulate(1, seed=1, start=pd.Timestamp("2020-01-01T00:00Z"))


def test_spot_and_vol_keep_their_dependence(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    """With spot returns made opposite to the level, both ways of drawing keep the correlation."""
    found = surface_factors(surfaces, pillars=DAYS, coordinates="grid", components=1)
    opposite = -0.1 * found.scores["PC1"]
    object.__setattr__(found, "spot_return", opposite.rename("spot_return"))
    assert found.summary().loc["PC1", "corr_spot"] == pytest.approx(-1.0)
    for method in ("bootstrap", "normal"):
        drawn = found.simulate(2000, seed=3, method=method)
        level = np.log(drawn.w[:, 0, 3])
        assert np.corrcoef(level, drawn.spot_return)[0, 1] < -0.99


def test_the_points_of_a_grid_can_show_both_kinds() -> None:
    k = np.tile(np.linspace(-0.5, 0.5, 11), (3, 2, 1))
    w = np.full(k.shape, 0.04)
    w[:, 1] = 0.05
    w[1, 0, 5] = 0.02  # a dip at the money: calls are not convex there
    w[2, 1] = 0.03
    butterflies, calendars = grid_violations(k, w)
    assert butterflies.tolist() == [False, True, False]
    assert calendars.tolist() == [False, False, True]
    vogt = RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
    line = np.linspace(0.5, 1.5, 21)[None, None]
    assert grid_violations(line, vogt.w(line))[0].all()


def test_gaps_are_left_out_and_counted(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    some = {stamp: one for i, (stamp, one) in enumerate(surfaces.items()) if i not in (20, 21)}
    found = surface_factors(some, pillars=DAYS, components=2)
    assert len(found.moves) == 56 and "1 intervals longer than" in found.notes[1]


def test_bad_calls_are_named(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    with pytest.raises(ParameterError, match="ascending numbers of days"):
        surface_factors(surfaces, pillars=(30, 30))
    with pytest.raises(ParameterError, match="'box' or 'grid'"):
        surface_factors(surfaces, coordinates="delta")  # type: ignore[arg-type]
    few = dict(list(surfaces.items())[:5])
    with pytest.raises(DataGapError, match="4 intervals between 5 surfaces"):
        surface_factors(few, pillars=DAYS)
    found = surface_factors(surfaces, pillars=DAYS, components=2)
    with pytest.raises(ParameterError, match="3 components"):
        found.simulate(10, seed=1, components=3)
    with pytest.raises(ParameterError, match="method 'sobol'"):
        found.simulate(10, seed=1, method="sobol")  # type: ignore[arg-type]


def test_several_intervals_add_up(surfaces: dict[pd.Timestamp, EssviSurface]) -> None:
    """Spread by the root of their number, the mean by the number; one interval is what it was."""
    found = surface_factors(surfaces, pillars=DAYS, components=6)
    for method in ("bootstrap", "normal"):
        one = found.simulate(4000, seed=3, method=method)
        same = found.simulate(4000, seed=3, method=method, intervals=1)
        assert (one.w == same.w).all() and (one.spot_return == same.spot_return).all()
        nine = found.simulate(4000, seed=3, method=method, intervals=9)
        assert not nine.violations().to_numpy().any()
        spread = [np.log(s.curves.theta[:, 0]).std() for s in (one, nine) if s.curves is not None]
        assert spread[1] == pytest.approx(3.0 * spread[0], rel=0.08)
    assert one.plot().get_ylabel() == "implied vol at the money"
    for wrong in (0, -1, 1.5):
        with pytest.raises(ParameterError, match=r"intervals is .*whole number of at least 1"):
            found.simulate(5, seed=1, intervals=wrong)  # type: ignore[arg-type]
