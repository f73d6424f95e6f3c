"""The shocked surface: what holds, what composes, where arbitrage is, and what the projection moves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.protocols import VolSurface
from pmkit.market import datasets, read_quotes
from pmkit.pricing import black76
from pmkit.surface import (
    EssviSurface,
    LinearSurface,
    ShockedSurface,
    SkewStickiness,
    SmileSlice,
    SurfaceShock,
    SviSurface,
    fit,
)
from tests.unit.surface.shock_surfaces import Law, plain_surface, steep_surface, surface_of

#: These tests look on purpose at times beyond the last expiry.
pytestmark = pytest.mark.filterwarnings("ignore::pmkit.surface.readouts.outside.ExtrapolationWarning")

K = np.array([-1.2, -0.3, -0.05, 0.0, 0.1, 0.8])
RULES = ("sticky_strike", "sticky_moneyness", "sticky_delta", SkewStickiness(1.5))


@pytest.fixture(scope="module")
def plain() -> EssviSurface:
    return plain_surface()


@pytest.fixture(scope="module")
def steep() -> EssviSurface:
    return steep_surface()


@pytest.fixture(scope="module")
def real() -> SviSurface:
    return fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="svi")


def times(surface: EssviSurface) -> np.ndarray:
    """Return times before, at, between and after the expiries."""
    taus = surface.taus
    return np.concatenate([[0.5 * taus[0]], taus, 0.5 * (taus[1:] + taus[:-1]), [1.5 * taus[-1]]])


# -- what holds ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["as_specified", "projected"])
def test_no_shock_is_the_surface_itself(plain: EssviSurface, real: SviSurface, how: str) -> None:
    for surface in (plain, real):
        same = surface.shock(SurfaceShock(), dynamics="sticky_strike", arbitrage=how)  # type: ignore[arg-type]
        assert isinstance(same, ShockedSurface) and isinstance(same, VolSurface)
        if how == "projected" and surface is real:
            continue  # its raw slices admit arbitrage, so that the projection has something to do
        for tau in times(surface):  # type: ignore[arg-type]
            assert same.w(K, tau) == pytest.approx(surface.w(K, tau), rel=1e-13)
        assert same.curve.at(0.1) == surface.curve.at(0.1)
        assert (same.moved[["max", "mean", "at_the_money"]] == 0.0).all(axis=None)


@given(st.floats(-0.35, 0.35))
@settings(max_examples=12)
def test_spot_moves_hold_what_they_say(x: float) -> None:
    surface, shock = plain_surface(), SurfaceShock(spot=x)
    strikes = np.array([40e3, 55e3, 60e3, 75e3])
    for tau in times(surface):
        held = surface.shock(shock, dynamics="sticky_strike")
        assert held.iv(strikes, tau) == pytest.approx(surface.iv(strikes, tau), rel=1e-12)
        for rule in ("sticky_moneyness", "sticky_delta"):
            moved = surface.shock(shock, dynamics=rule)  # type: ignore[arg-type]
            assert moved.w(K, tau) == pytest.approx(surface.w(K, tau), rel=1e-12)
            assert moved.curve.at(tau) == pytest.approx(surface.curve.at(tau) * (1.0 + x), rel=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_shocks_compose(plain: EssviSurface, rule: object) -> None:
    first, second = SurfaceShock(spot=-0.1, vol=0.2), SurfaceShock(spot=0.25, vol=-0.1)
    twice = plain.shock(first, dynamics=rule).shock(second, dynamics=rule)  # type: ignore[arg-type]
    once = plain.shock(
        SurfaceShock(spot=0.9 * 1.25 - 1.0, vol=1.2 * 0.9 - 1.0),
        dynamics=rule,  # type: ignore[arg-type]
    )
    for tau in times(plain):
        if rule == "sticky_strike" or rule == "sticky_moneyness" or isinstance(rule, SkewStickiness):
            assert twice.w(K, tau) == pytest.approx(once.w(K, tau), rel=1e-11)
    if rule == "sticky_delta":
        for one, two in zip(twice.slices, once.slices, strict=True):
            assert one.at(K) == pytest.approx(two.at(K), rel=1e-11)
    assert twice.curve.spot == pytest.approx(once.curve.spot)
    assert twice.model == "essvi, shocked"


def test_additive_shifts_compose_and_add(plain: EssviSurface) -> None:
    twice = plain.shock(SurfaceShock(vol_add=0.02)).shock(SurfaceShock(vol_add=-0.05))
    once = plain.shock(SurfaceShock(vol_add=-0.03))
    for tau in times(plain):
        assert twice.w(K, tau) == pytest.approx(once.w(K, tau), rel=1e-11)
        shift = np.sqrt(once.w(K, tau) / tau) - np.sqrt(plain.w(K, tau) / tau)
        assert shift == pytest.approx(np.full(K.size, -0.03), abs=1e-12)


def test_scaling_keeps_the_family(plain: EssviSurface) -> None:
    shock = SurfaceShock(vol=0.5, vol_term=Law())
    up = plain.shock(shock)
    c = np.array([shock.factor(365.0 * t) for t in plain.taus])
    same_class = up.essvi()
    assert isinstance(same_class, EssviSurface)
    assert same_class.theta == pytest.approx(c**2 * plain.theta, rel=1e-14)
    assert same_class.psi == pytest.approx(c**2 * plain.psi, rel=1e-14)
    assert (same_class.rho == plain.rho).all()
    wide = plain.shock(shock, dynamics="sticky_delta").essvi()
    assert wide.theta == pytest.approx(c**2 * plain.theta, rel=1e-14)
    assert wide.psi == pytest.approx(c * plain.psi, rel=1e-14)
    for one, before in zip(up.slices, plain.slices, strict=True):
        assert one.svi is not None
        factor = shock.factor(365.0 * before.tau)
        assert one.at(K) == pytest.approx(factor**2 * before.at(K), rel=1e-13)
    with pytest.raises(ParameterError, match="an eSSVI surface whose vols alone are scaled"):
        plain.shock(SurfaceShock(spot=-0.1), dynamics="sticky_strike").essvi()


def test_skew_curvature_and_twist_are_what_they_say_near_the_money(plain: EssviSurface) -> None:
    one = plain.slices[1]
    sd = math.sqrt(one.theta)
    z = np.array([-0.02, 0.0, 0.02])
    before = np.sqrt(one.at(z * sd) / one.tau)
    skewed = plain.shock(SurfaceShock(skew=0.03)).slices[1].iv(z * sd)
    assert skewed - before == pytest.approx(-0.03 * z, abs=1e-7)
    bent = plain.shock(SurfaceShock(curvature=0.03)).slices[1].iv(z * sd)
    assert bent - before == pytest.approx(0.03 * z**2, abs=1e-8)
    far = plain.shock(SurfaceShock(skew=0.03, reach=2.0)).slices[1]
    assert float(far.iv(9.0)) - float(np.sqrt(one.at(9.0) / one.tau)) == pytest.approx(-0.06, abs=1e-9)
    twisted = plain.shock(SurfaceShock(twist=0.2))
    ratio = [
        float(s.iv(0.0)) / math.sqrt(b.theta / b.tau)
        for s, b in zip(twisted.slices, plain.slices, strict=True)
    ]
    assert ratio == pytest.approx([(d / 30.0) ** 0.2 for d in (7, 30, 90)])


def test_time_runs_at_held_vol_and_takes_carry_and_expiries_along(plain: EssviSurface) -> None:
    later = plain.shock(SurfaceShock(horizon_days=10.0), dynamics="sticky_moneyness")
    assert [365.0 * t for t in later.taus] == pytest.approx([20.0, 80.0])
    assert "inside the horizon of 10 days" in later.left_out[plain.slices[0].expiry]
    for one, before in zip(later.slices, plain.slices[1:], strict=True):
        assert one.iv(K) == pytest.approx(np.sqrt(before.at(K) / before.tau), rel=1e-13)
        carry = math.log(before.forward / plain.curve.spot)
        assert one.forward == pytest.approx(plain.curve.spot * math.exp(carry * one.tau / before.tau))
    assert later.curve.as_of == plain.curve.as_of + pd.Timedelta(days=10)
    assert later.w(0.0, 0.0) == 0.0
    with pytest.raises(DataGapError, match="every expiry of BTC lies inside the horizon of 90 days"):
        plain.shock(SurfaceShock(horizon_days=90.0), dynamics="sticky_strike")


def test_a_floor_holds_where_vol_moves_up(plain: EssviSurface) -> None:
    floored = plain.shock(SurfaceShock(vol=0.01, min_vol_up=0.65))
    free = plain.shock(SurfaceShock(vol=0.01))
    for one, other in zip(floored.slices, free.slices, strict=True):
        assert one.iv(K) == pytest.approx(np.maximum(other.iv(K), 0.65), rel=1e-14)
        assert one.svi is None
    report = floored.arbitrage()
    assert report["free"].all() and not report["exact"].any()
    assert report["butterfly_margin"].isna().all()


def test_many_times_at_once_are_the_single_ones(plain: EssviSurface) -> None:
    moved = plain.shock(SurfaceShock(spot=-0.1, vol_add=0.02), dynamics="sticky_strike")
    taus = np.linspace(0.005, 0.4, 80)
    k = np.linspace(-0.3, 0.3, 80)
    assert moved.w(k, taus) == pytest.approx([float(moved.w(a, t)) for a, t in zip(k, taus, strict=True)])
    assert np.isnan(moved.w(np.nan, 0.1)) and np.isnan(moved.w(0.0, np.nan))


# -- arbitrage ----------------------------------------------------------------------------------------------
def convex(one: object, low: float, high: float) -> bool:
    """Return whether call prices are convex in strike between two k: the plain twin of g."""
    strike = np.linspace(math.exp(low), math.exp(high), 401)
    w = one.at(np.log(strike))  # type: ignore[attr-defined]
    price = black76(1.0, strike, 1.0, np.sqrt(w), is_call=high > 0.0)
    return bool((np.diff(price, 2) >= 0.0).all())


def test_violations_are_where_prices_are_not_convex(steep: EssviSurface) -> None:
    shock = SurfaceShock(vol=0.5, vol_term=Law(), min_vol_up=0.5)
    up = steep.shock(shock)
    report = up.arbitrage().iloc[0]
    intervals = report["butterfly_at"]
    assert not report["free"] and not report["exact"] and len(intervals) >= 1
    for low, high in intervals:
        middle, half = 0.5 * (low + high), 0.1 * (high - low)
        assert not convex(up.slices[0], middle - half, middle + half)
    outer = intervals[-1][1]
    assert convex(up.slices[0], outer * 1.02, outer * 1.5)
    exact = steep.shock(replace(shock, min_vol_up=0.0)).arbitrage().iloc[0]
    assert exact["exact"] and exact["butterfly_margin"] < 0.0
    assert intervals[-1] == pytest.approx(exact["butterfly_at"][-1], abs=1e-6)


def test_search_and_formula_agree_on_g(plain: EssviSurface) -> None:
    """A move of 1e-9 points has no raw form, so that the same smile goes through the search."""
    exact = plain.shock(SurfaceShock(vol=0.5)).arbitrage()
    searched = plain.shock(SurfaceShock(vol=0.5, vol_add=1e-11)).arbitrage()
    assert exact["exact"].all() and not searched["exact"].any()
    for column in ("min_g", "slope_left", "slope_right", "g_left", "g_right", "calendar_min"):
        assert searched[column].to_numpy(dtype=float)[1:] == pytest.approx(
            exact[column].to_numpy(dtype=float)[1:], abs=1e-7
        )


def test_calendar_arbitrage_of_the_power_law_on_an_inverted_curve() -> None:
    inverted = surface_of([(1, 0.0020, -0.2, 0.020), (7, 0.0026, -0.2, 0.024), (30, 0.02, -0.2, 0.1)])
    assert inverted.arbitrage()["free"].all()
    up = inverted.shock(SurfaceShock(vol=0.5, vol_term=Law()))
    report = up.arbitrage()
    assert up.violations() == (0, 1) and inverted.shock(SurfaceShock()).violations() == (0, 0)
    assert report["calendar_min"].iloc[1] < 0.0 and len(report["calendar_at"].iloc[1]) > 0
    assert report["butterfly_at"].map(len).sum() == 0 and not up.free
    assert inverted.shock(SurfaceShock(vol=-0.25, vol_term=Law())).free


def test_kinks_of_a_linear_smile_are_named(plain: EssviSurface) -> None:
    k = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    w = np.array([0.050, 0.046, 0.040, 0.041, 0.0445])
    smile = SmileSlice(
        expiry=plain.slices[1].expiry, tau=plain.slices[1].tau, forward=plain.slices[1].forward, k=k, w=w
    )
    surface = LinearSurface(slices=(smile,), curve=plain.curve)
    report = surface.shock(SurfaceShock(vol=0.2)).arbitrage().iloc[0]
    assert not report["free"] and report["min_g"] == -math.inf
    # the slope falls at the second point and at both ends, where it turns flat
    assert {round(a, 6) for a, b in report["butterfly_at"] if a == b} >= {-0.1, 0.2}


def test_no_shock_reports_what_the_surface_reports_of_itself() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-05-21"))
    for model in ("linear", "essvi"):
        surface = fit(quotes, model=model)
        own, shocked = surface.arbitrage(), surface.shock(SurfaceShock()).arbitrage()
        assert list(shocked["free"]) == list(own["free"])
        if model != "linear":
            for column in ("butterfly_margin", "min_g", "calendar_min"):
                assert shocked[column].to_numpy(dtype=float) == pytest.approx(
                    own[column].to_numpy(dtype=float), rel=1e-9, abs=1e-12, nan_ok=True
                )


# -- projection ---------------------------------------------------------------------------------------------
CASES = [
    (SurfaceShock(vol=0.5, vol_term=Law()), None),
    (SurfaceShock(vol=1.5, vol_term=Law(), min_vol_up=0.5), None),
    (SurfaceShock(spot=-0.16, vol=0.5, vol_term=Law()), "sticky_strike"),
    (SurfaceShock(spot=0.1), SkewStickiness(1.5)),
    (SurfaceShock(skew=0.15), None),
    (SurfaceShock(vol_add=-0.3, curvature=0.1), None),
    (SurfaceShock(spot=-0.1, horizon_days=0.5, vol=0.3), "sticky_strike"),
]


@pytest.mark.parametrize(("shock", "rule"), CASES)
@pytest.mark.parametrize("which", ["steep", "svi"])
def test_projected_is_free_on_the_whole_line_and_stays(
    steep: EssviSurface, real: SviSurface, shock: SurfaceShock, rule: object, which: str
) -> None:
    if which == "svi" and (shock.skew or shock.vol_add):
        shock = shock.scaled(0.2)  # its shortest vol is 16 %
    surface = steep if which == "steep" else real
    once = surface.shock(shock, dynamics=rule, arbitrage="projected")  # type: ignore[arg-type]
    assert once.free and once.arbitrage()["free"].all()
    again = once.shock(SurfaceShock(), arbitrage="projected")
    assert (again.moved["max"] == 0.0).all()
    for first, second in zip(once.slices, again.slices, strict=True):
        assert second.at(K) == pytest.approx(first.at(K), rel=1e-12)
    assert once.moved.index.equals(pd.Index([s.expiry for s in once.slices]))


def test_moved_is_the_distance_in_vol_points_on_the_quoted_strikes(steep: EssviSurface) -> None:
    shock = SurfaceShock(vol=0.5, vol_term=Law())
    first, second = (steep.shock(shock, arbitrage=how) for how in ("as_specified", "projected"))
    for one, two in zip(first.slices, second.slices, strict=True):
        gap = 100.0 * (two.iv(one.k) - one.iv(one.k))
        row = second.moved.loc[one.expiry]
        assert abs(row["max"]) == pytest.approx(np.abs(gap).max())
        assert row["mean"] == pytest.approx(np.abs(gap).mean())
    assert abs(second.moved["max"].iloc[0]) > 1.0
    assert (first.moved["max"] == 0.0).all()


def test_projecting_leaves_free_expiries_where_they_were(steep: EssviSurface) -> None:
    shock = SurfaceShock(vol=0.5, vol_term=Law())
    free = steep.shock(shock).arbitrage()["free"]
    moved = steep.shock(shock, arbitrage="projected").moved["max"].abs()
    assert not free.iloc[0] and free.iloc[2]
    assert moved.iloc[2] == pytest.approx(0.0, abs=1e-6)


def test_projected_runs_between_expiries_without_falling(steep: EssviSurface) -> None:
    for shock, rule in CASES[:3]:
        surface = steep.shock(shock, dynamics=rule, arbitrage="projected")  # type: ignore[arg-type]
        grid = np.linspace(0.3 * surface.taus[0], 1.5 * surface.taus[-1], 40)
        rows = np.array([surface.w(np.linspace(-1.0, 1.0, 41), t) for t in grid])
        assert (np.diff(rows, axis=0) > 0.0).all()


# -- words and refusals -------------------------------------------------------------------------------------
def test_tables_and_pictures(steep: EssviSurface) -> None:
    shock = SurfaceShock(spot=-0.16, vol=0.5)
    surface = steep.shock(shock, dynamics="sticky_strike")
    assert list(surface.summary().columns) == [
        "tau", "forward", "atm_iv_before", "atm_iv", "butterfly_free", "calendar_free", "moved",
    ]  # fmt: skip
    assert surface.summary().index.name == "spot -16%, vol +50%; sticky_strike; as_specified"
    frame = surface.to_frame()
    assert frame["iv"].to_numpy() == pytest.approx(1.5 * frame["iv_before"].to_numpy(), rel=1e-12)
    assert set(surface.status["form"]) == {"svi"} and set(surface.status["status"]) == {"as_specified"}
    assert surface.to_dict() and "0x" not in repr(surface)
    other = steep.shock(shock, dynamics="sticky_moneyness")
    assert surface.fingerprint != other.fingerprint
    axes = surface.plot()
    assert len(axes.lines) == 2 and "strike" in axes.get_xlabel()
    assert len(surface.plot(axes, expiries=["2026-08-02"]).lines) == 4


def test_misuse_is_refused(plain: EssviSurface) -> None:
    with pytest.raises(ConventionError, match="no smile dynamics for a move of the forward"):
        plain.shock(SurfaceShock(spot=-0.1))
    with pytest.raises(ConventionError, match="no smile dynamics"):
        plain.shock(SurfaceShock(horizon_days=1.0))
    with pytest.raises(ConventionError, match="smile dynamics 'sticky'"):
        plain.shock(SurfaceShock(vol=0.1), dynamics="sticky")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="arbitrage='repaired'; expected 'as_specified' or 'projected'"):
        plain.shock(SurfaceShock(vol=0.1), arbitrage="repaired")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="bound 'lee'"):
        plain.shock(SurfaceShock(vol=0.1), bound="lee")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="a shock of type float"):
        plain.shock(0.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"implied vol at the money after the shock is -0\.1"):
        plain.shock(SurfaceShock(vol_add=-0.7))
    with pytest.raises(ParameterError, match=r"implied vol after the shock is .* at k ="):
        plain.shock(SurfaceShock(skew=0.5))
    with pytest.raises(ParameterError, match="vol move at 7 days"):
        plain.shock(SurfaceShock(vol=-0.7, vol_term=Law()))
    with pytest.raises(ParameterError, match="tau is -1"):
        plain.shock(SurfaceShock(vol=0.1)).w(0.0, -1.0)
