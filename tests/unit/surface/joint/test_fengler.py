"""The Fengler control: convex splines of prices, ordered in time, near the quotes."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from pmkit.core.errors import DataGapError, OptionalDependencyError, ParameterError, PmkitError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.surface import FenglerSurface, fit, fit_fengler, implied_density
from pmkit.surface.joint.fengler import _basis, _link
from tests.unit.surface.readout_cases import NEAR, linear, points

pytest.importorskip("cvxpy", reason="the quadratic programme needs cvxpy")


@pytest.fixture(scope="module")
def surface() -> FenglerSurface:
    return fit_fengler(points())


def test_near_the_quotes_convex_and_ordered(surface: FenglerSurface) -> None:
    assert isinstance(surface, VolSurface)
    assert surface.status["status"].tolist() == ["ok"] * 3
    assert surface.status["max_error"].max() < 1e-3 and surface.status["unpriced"].sum() == 0
    surface.check()
    for one in surface.slices:
        assert (one.bend >= 0.0).all()
        assert (np.diff(one.call) <= 1e-9).all()
        assert one.at(0.0) == pytest.approx(float(np.interp(0.0, one.quotes.k, one.quotes.w)), rel=1e-2)


def test_the_spline_is_the_natural_cubic_spline_of_its_values(surface: FenglerSurface) -> None:
    for one in surface.slices:
        scipys = CubicSpline(one.m, one.call, bc_type="natural")
        fine = np.linspace(one.m[0], one.m[-1], 501)
        assert one.price(fine) == pytest.approx(scipys(fine), abs=1e-8)
        assert one.density(fine) == pytest.approx(scipys(fine, 2), abs=1e-3)
    m = surface.slices[0].m
    Q, R = _link(m)
    exact = CubicSpline(m, np.sin(m), bc_type="natural")
    assert Q @ np.sin(m) == pytest.approx(R @ exact(m, 2)[1:-1], abs=1e-9)
    values, bends = _basis(m, np.array([0.9, 1.1]))
    assert values @ np.sin(m) + bends @ exact(m, 2) == pytest.approx(exact([0.9, 1.1]), abs=1e-12)


def test_smoothing_trades_error_for_roughness() -> None:
    loose, tight = (fit_fengler(points(), smoothing=s) for s in (1e-4, 10.0))
    assert loose.status["mean_error"].mean() < tight.status["mean_error"].mean()

    def roughness(one: FenglerSurface) -> float:
        return sum(float(np.trapezoid(s.bend**2, s.m)) for s in one.slices)

    assert roughness(tight) < roughness(loose)


def test_a_real_chain_and_an_expiry_with_few_strikes() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    found = fit_fengler(fit(quotes, model="linear"))
    found.check()
    assert found.status["max_error"].max() < 0.012 and found.status["mean_error"].mean() < 1e-3
    assert found.status["unpriced"].sum() == 0
    assert np.isnan(found.w(5.0, 0.1))


def test_contradictory_quotes_are_smoothed_to_what_is_admissible() -> None:
    found = fit_fengler(points(growth=(1.0, 0.8, 5.0)))
    found.check()
    assert found.status["max_error"].iloc[:2].min() > 0.005


def test_display(surface: FenglerSurface) -> None:
    assert surface.summary()["points"].tolist() == [11, 11, 11]
    assert len(surface.to_frame()) == 33 and surface.cite() == ("fengler2009",)
    assert surface.fingerprint == fit_fengler(points()).fingerprint
    bent = replace(surface.slices[0], bend=-surface.slices[0].bend)
    with pytest.raises(PmkitError, match="not convex"):
        replace(surface, slices=(bent, *surface.slices[1:])).check()
    swapped = tuple(
        replace(a, quotes=b.quotes) for a, b in zip(surface.slices[::-1], surface.slices, strict=True)
    )
    with pytest.raises(PmkitError, match="below the expiry before, worst at k"):
        replace(surface, slices=swapped).check()


def test_beyond_the_knots_there_is_no_number(surface: FenglerSurface) -> None:
    assert np.isnan(surface.slices[0].price([0.01, 50.0])).all()
    assert np.isnan(surface.slices[0].density(50.0))
    with pytest.raises(ParameterError, match="total variance is nan at k"):
        implied_density(surface, 40 / 365)


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match="points of type RawSvi"):
        fit_fengler(NEAR)  # type: ignore[arg-type]
    for smoothing in (0.0, -1.0, float("nan")):
        with pytest.raises(ParameterError, match="smoothing is"):
            fit_fengler(points(), smoothing=smoothing)
    with pytest.raises(ParameterError, match="nodes is 5"):
        fit_fengler(points(), nodes=5)
    with pytest.raises(DataGapError, match="no expiry has five points"):
        fit_fengler(linear())
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(OptionalDependencyError, match="cvxpy is not installed"):
        fit_fengler(points())
