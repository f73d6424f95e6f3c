"""Static arbitrage of any smile: in agreement with the exact criterion where there is one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.market import datasets, read_quotes
from pmkit.surface import (
    LinearSurface,
    RawSvi,
    SmileSlice,
    WholeLine,
    arbitrage_frame,
    butterfly,
    calendar,
    fit,
    numeric_butterfly,
    numeric_calendar,
)

VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
EXPIRY = pd.Timestamp("2026-09-25T08:00Z")


@st.composite
def slices(draw: st.DrawFn) -> RawSvi:
    rho = draw(st.floats(-0.9, 0.9))
    sigma, m = draw(st.floats(0.05, 1.5)), draw(st.floats(-0.5, 0.5))
    b = draw(st.floats(0.02, 2.3)) / (1.0 + abs(rho))
    least = draw(st.floats(0.01, 0.5))
    return RawSvi(a=least - b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=m, sigma=sigma)


def polyline(k: list[float], w: list[float]) -> SmileSlice:
    return SmileSlice(expiry=EXPIRY, tau=0.25, forward=100.0, k=np.array(k), w=np.array(w))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(slices())
def test_it_agrees_with_the_exact_butterfly_criterion(svi: RawSvi) -> None:
    exact, numeric = butterfly(svi), numeric_butterfly(svi)
    assume(abs(exact.min_g) > 1e-7)
    assert numeric.free == exact.free and numeric.lee == exact.lee
    assert numeric.min_g == pytest.approx(exact.min_g, rel=1e-5, abs=1e-9)
    assert numeric.slopes == pytest.approx(exact.slopes) and numeric.limits == pytest.approx(exact.limits)
    assert len(numeric.violations) == len(exact.violations)
    for ours, theirs in zip(numeric.violations, exact.violations, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    assert math.isnan(numeric.margin)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(slices(), slices())
def test_it_agrees_with_the_calendar_comparison_of_raw_slices(near: RawSvi, far: RawSvi) -> None:
    exact, numeric = calendar(near, far), numeric_calendar(near, far)
    assert numeric.slopes == pytest.approx(exact.slopes)
    if math.isinf(exact.min_dw):
        assert numeric.min_dw == exact.min_dw and numeric.k_min_dw == exact.k_min_dw
    else:
        assert numeric.min_dw == pytest.approx(exact.min_dw, rel=1e-6, abs=1e-9)
    if abs(exact.min_dw) > 1e-7:
        assert numeric.free == exact.free


def test_a_falling_slope_at_a_knot_is_a_negative_point_mass() -> None:
    roof = numeric_butterfly(polyline([-0.2, 0.0, 0.2], [0.04, 0.05, 0.04]))
    assert not roof.free and roof.min_g == -math.inf and roof.k_min_g == 0.0
    assert (0.0, 0.0) in roof.violations
    # a valley has its only kinks where the flat wings begin
    valley = numeric_butterfly(polyline([-0.2, 0.0, 0.2], [0.05, 0.04, 0.05]))
    assert {v for v in valley.violations if v[0] == v[1]} == {(-0.2, -0.2), (0.2, 0.2)}
    level = numeric_butterfly(polyline([-0.2, 0.0, 0.2], [0.04, 0.04, 0.04]))
    assert level.free and level.min_g == pytest.approx(1.0) and level.violations == ()


def test_a_second_derivative_makes_call_prices_of_a_roof_concave() -> None:
    """The point mass is real: calls across the knot are dearer than their neighbours allow."""
    from pmkit.pricing import black76

    roof = polyline([-0.2, 0.0, 0.2], [0.04, 0.05, 0.04])
    k = np.array([-1e-3, 0.0, 1e-3])
    strike = np.exp(k)
    price = black76(1.0, strike, 0.25, np.sqrt(roof.at(k) / 0.25))
    share = (strike[2] - strike[1]) / (strike[2] - strike[0])
    assert share * price[0] + (1.0 - share) * price[2] < price[1]


def test_the_linear_surface_reports_in_the_columns_of_the_fitted_ones() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    linear, svi = fit(quotes), fit(quotes, "svi")
    report, other = linear.arbitrage(), svi.arbitrage()
    assert isinstance(linear, LinearSurface)
    assert list(report.columns) == list(other.columns) and len(report) == len(linear.slices)
    assert not report["free"].any() and (report["min_g"] == -math.inf).all()
    assert report["butterfly_margin"].isna().all()
    assert math.isnan(report["calendar_min"].iloc[0]) and report["calendar_at"].iloc[0] == ()
    for index in range(1, len(linear.slices)):
        near, far = linear.slices[index - 1], linear.slices[index]
        net = np.linspace(-3.0, 3.0, 20_001)
        seen = float(np.min(far.at(net) - near.at(net)))
        assert report["calendar_min"].iloc[index] <= seen + 1e-12
        if seen < 0.0:
            assert not report["free"].iloc[index] and report["calendar_at"].iloc[index]


def test_frames() -> None:
    report = numeric_butterfly(VOGT)
    row = report.summary().iloc[0]
    assert not row["free"] and row["violations"] == 1 and row["min_g"] == report.min_g
    assert report.to_frame().to_numpy() == pytest.approx(np.array(report.violations))
    assert "gatheral2014" in report.cite()
    table = arbitrage_frame([EXPIRY], [(report, None)])
    assert not table.loc[EXPIRY, "free"] and table.loc[EXPIRY, "butterfly_at"] == report.violations


def test_a_curve_of_ones_own_and_a_refusal() -> None:
    line = WholeLine(
        at=lambda k: 0.04 + 0.0 * k,
        dw=lambda k: 0.0 * k,
        d2w=lambda k: 0.0 * k,
        knots=np.array([-1.0, 1.0]),
        wings=((0.0, 0.04), (0.0, 0.04)),
    )
    assert numeric_butterfly(line).free and numeric_calendar(line, line).free
    with pytest.raises(ParameterError, match="a smile of type float; expected a RawSvi, a WholeLine"):
        numeric_butterfly(0.04)


def test_variance_that_is_not_positive_is_skipped_and_the_rest_is_judged() -> None:
    touching = RawSvi(a=-0.1, b=1.0, rho=0.0, m=0.0, sigma=0.1)
    report = numeric_butterfly(touching)
    assert not report.free and report.min_g < 0.0
