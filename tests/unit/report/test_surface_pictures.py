"""Pictures of a surface: the numbers drawn are those of the surface, with units, and refusals by name."""

from __future__ import annotations

import numpy as np
import pytest

import pmkit as pm
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.market import MarketSnapshot
from pmkit.surface.sliced import SlicedSurface


@pytest.fixture(scope="module")
def surface(market: MarketSnapshot) -> SlicedSurface:
    """The surface of the real chain, interpolated."""
    found = market.underlyings["BTC"].surface
    assert isinstance(found, SlicedSurface)
    return found


def test_smiles_have_a_curve_and_bars_for_each_expiry(surface: SlicedSurface) -> None:
    expiries = [one.expiry for one in surface.slices[3:6]]
    ax = pm.report.smiles(surface, expiries=expiries)
    assert len(ax.containers) == 3
    assert ax.get_ylabel() == "implied vol, % a year"
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [e.strftime("%Y-%m-%d") for e in expiries]


def test_term_structure_draws_the_vol_at_the_forward(surface: SlicedSurface) -> None:
    ax = pm.report.term_structure(surface)
    curve, points = ax.get_lines()
    for one, days, vol in zip(surface.slices, points.get_xdata(), points.get_ydata(), strict=True):
        assert days == pytest.approx(365.0 * one.tau)
        assert vol == pytest.approx(100.0 * float(np.sqrt(np.asarray(one.at(0.0)) / one.tau)))
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    assert y == pytest.approx(100.0 * np.sqrt(surface.w(np.zeros(x.size), x / 365.0) / (x / 365.0)))
    assert ax.get_xscale() == "log" and ax.get_legend() is None


def test_several_term_structures_are_told_apart(surface: SlicedSurface) -> None:
    ax = pm.report.term_structure({"today": surface, "as well": surface})
    lines = ax.get_lines()[::2]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 2
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["today", "as well"]


def test_surface_map_shows_the_vols_of_the_surface(surface: SlicedSurface) -> None:
    ax = pm.report.surface_map(surface, width=1.0)
    first, last = surface.taus[[0, -1]] * 365.0
    assert ax.get_ylim() == pytest.approx((first, last))
    assert ax.get_xlim() == pytest.approx((-1.0, 1.0))
    low, high = ax.collections[0].get_clim()
    at_the_money = [100.0 * float(np.sqrt(np.asarray(one.at(0.0)) / one.tau)) for one in surface.slices]
    assert low <= min(at_the_money) and high >= max(at_the_money)


@pytest.mark.parametrize("width", [0.1, 6.0, float("nan")])
def test_a_width_out_of_range_is_refused(surface: SlicedSurface, width: float) -> None:
    with pytest.raises(ParameterError, match=r"width is .*0\.25 to 5 standard deviations"):
        pm.report.surface_map(surface, width=width)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(DataGapError, match="there is no surface to draw"):
        pm.report.term_structure({})
