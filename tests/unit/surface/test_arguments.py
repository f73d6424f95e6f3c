"""Arguments of the wrong kind, shape or domain: refused by name before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pmkit.surface as ps
from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.market import Quotes, datasets, read_quotes
from pmkit.pricing import black76
from pmkit.surface.arguments import as_number, pair_columns, require
from tests.unit.surface.shock_surfaces import plain_surface

SURFACE = plain_surface()
SLICE = SURFACE.slices[1]
RAW = SLICE.raw()
K = np.arange(80.0, 121.0, 2.5)
CALL, PUT = (black76(101.0, K, 0.5, 0.3, df=0.98, is_call=side) for side in (True, False))


@pytest.fixture(scope="module")
def coin() -> Quotes:
    return read_quotes(datasets.path("deribit-btc-2026-08-01"))


@pytest.mark.parametrize("value", ["0.1", None, [0.1], True, np.array([1.0]), b"1", object()])
def test_one_number_is_one_number(value: object) -> None:
    with pytest.raises(ParameterError, match=r"x is .*; expected one number"):
        as_number("x", value)


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1.0), np.array(1.0), np.int64(1)])
def test_numbers_of_every_kind_pass(value: Any) -> None:
    assert as_number("x", value) == 1.0 and type(as_number("x", value)) is float
    assert math.isnan(as_number("x", math.nan))


def test_kinds_are_named() -> None:
    require("x", 1, (int, str), "convert it")
    with pytest.raises(ParameterError, match="x of type float; expected int or str; remedy: convert it"):
        require("x", 1.0, (int, str), "convert it")


def test_columns_are_cut_to_whole_rows() -> None:
    strike, price = pair_columns(strike=[90.0, 100.0, np.nan], price=[1.0, np.nan, 3.0])
    assert strike.tolist() == [90.0] and price.tolist() == [1.0]
    with pytest.raises(ParameterError, match=r"shapes \(2,\) of strike, \(1,\) of price"):
        pair_columns(strike=[90.0, 100.0], price=[1.0])
    with pytest.raises(ParameterError, match="strike is 0;"):
        pair_columns(strike=[0.0, 100.0], price=[1.0, 2.0])


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "fit a path": (lambda: ps.fit("deribit-btc-2026-08-01"), "quotes of type str"),  # type: ignore[call-overload]
    "fit a frame": (lambda: ps.fit(SURFACE.to_frame()), "quotes of type DataFrame"),  # type: ignore[call-overload]
    "forwards of a path": (lambda: ps.forward_curve("x", "BTC"), "quotes of type str"),  # type: ignore[arg-type]
    "snapshot of a number": (lambda: ps.load_snapshot(3), "a source of type int"),  # type: ignore[arg-type]
    "snapshot of paths": (lambda: ps.build_snapshot(["x"]), "a table of type str"),  # type: ignore[list-item]
    "calendar": (lambda: ps.calendar(SLICE, RAW), "a slice of type EssviSlice"),  # type: ignore[arg-type]
    "room": (lambda: ps.calendar_room(RAW, None), "a slice of type NoneType"),  # type: ignore[arg-type]
    "scaling": (lambda: ps.raw_scaling_limit(SLICE), "a slice of type EssviSlice"),  # type: ignore[arg-type]
    "g": (lambda: ps.g(SLICE, 0.0), "svi of type EssviSlice"),  # type: ignore[arg-type]
    "wings": (lambda: ps.wing_limits(None), "svi of type NoneType"),  # type: ignore[arg-type]
    "pairwise test": (lambda: ps.hendriks_martini(RAW, RAW), "a slice of type RawSvi"),  # type: ignore[arg-type]
    "repair of a raw slice": (lambda: ps.repaired_jump_wing(RAW), "jump_wing of type RawSvi"),  # type: ignore[arg-type]
    "ssvi of a raw slice": (lambda: ps.ssvi_parameters(RAW), "jump_wing of type RawSvi"),  # type: ignore[arg-type]
    "conditions of a number": (lambda: ps.ssvi_conditions(1.0, 0.0, 0.1, 1.0), "phi of type float"),  # type: ignore[arg-type]
    "pchip": (lambda: ps.fit_pchip(SLICE), "quotes of type EssviSlice"),  # type: ignore[arg-type]
    "pchip of two points": (
        lambda: ps.fit_pchip(SLICE.quotes.take([3, 4])),
        "2 points of .*; expected at least 3",
    ),
    "sabr": (lambda: ps.fit_sabr(SLICE), "quotes of type EssviSlice"),  # type: ignore[arg-type]
    "essvi": (lambda: ps.fit_essvi(SLICE.quotes), "quotes of type SliceQuotes"),  # type: ignore[arg-type]
    "ssvi": (lambda: ps.fit_ssvi([SLICE]), "the quotes of an expiry of type EssviSlice"),  # type: ignore[list-item]
    "svi of texts": (lambda: ps.fit_svi(["a"] * 6, [0.1] * 6), "k is"),
    "many svi of a number": (lambda: ps.fit_svi_many(1.0, 1.0), "k is 1.0"),
    "starts": (lambda: ps.fit_svi(SLICE.quotes.k, SLICE.quotes.w, starts="2"), "starts is '2'"),  # type: ignore[arg-type]
    "index": (lambda: ps.vix_index(None, None), "a strip of type NoneType"),  # type: ignore[arg-type]
    "weekdays": (lambda: ps.Clock(weekday=1.0), "1 weights of weekdays"),  # type: ignore[arg-type]
    "raw of a text": (lambda: ps.RawSvi("0.04", 0.4, -0.4, 0.05, 0.1), "a of raw SVI is '0.04'"),  # type: ignore[arg-type]
    "years": (lambda: RAW.to_jump_wing("1"), "tau in years is '1'"),  # type: ignore[arg-type]
    "sabr of a text": (lambda: ps.Sabr("0.3", 0.6, 0.0, 0.1), "alpha is '0.3'"),  # type: ignore[arg-type]
    "power law": (lambda: ps.PowerPhi([1.0], 0.5), r"eta is \[1.0\]"),  # type: ignore[arg-type]
    "smile": (lambda: ps.fit_smile("k", np.ones(5)), "k is 'k'"),  # type: ignore[arg-type]
    "delta": (lambda: ps.strike_of_delta(SLICE, "25", kind="forward"), "delta is '25'"),  # type: ignore[arg-type]
    "time of a curve": (lambda: ps.variance_curve(SURFACE, [0.1]), r"tau in years is \[0.1\]"),  # type: ignore[arg-type]
    "expiry": (lambda: SURFACE.slice("soon"), "expiry is 'soon'"),
    "no expiry": (lambda: SURFACE.slice(None), "expiry is None"),  # type: ignore[arg-type]
    "shapes": (lambda: SURFACE.w([0.0, 1.0, 2.0], [0.1, 0.2]), r"shapes \(3,\) of k, \(2,\) of tau"),
    "shapes of iv": (lambda: SURFACE.iv([1.0, 2.0, 3.0], [0.1, 0.2]), r"shapes \(3,\) of strike"),
    "text for k": (lambda: SURFACE.w("0", 0.1), "k is '0'"),
    "text for tau": (lambda: SURFACE.iv(60e3, "0.1"), "tau is '0.1'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_wrong_kind_is_refused_by_name(case: str) -> None:
    call, message = WRONG[case]
    with pytest.raises(ParameterError, match=message):
        call()


DOMAIN: dict[str, tuple[Callable[[], object], str]] = {
    "tau of w": (lambda: SURFACE.w(0.0, [0.1, math.inf]), "tau is inf years; expected 0 or more, finite"),
    "tau of iv": (lambda: SURFACE.iv(60e3, math.inf), "tau is inf years; expected a positive, finite"),
    "strike of iv": (lambda: SURFACE.iv(math.inf, 0.1), "strike is inf USD"),
    "negative beside nan": (lambda: SURFACE.w(0.0, [math.nan, -0.1]), r"tau is -0\.1 years"),
    "theta nan": (lambda: ps.essvi_scaling_limit(math.nan, 0.0, 0.1), "theta is nan"),
    "theta inf": (lambda: ps.essvi_scaling_limit(math.inf, 0.0, 0.1), "theta is inf"),
    "psi inf": (lambda: ps.essvi_scaling_limit(0.1, 0.0, math.inf), "psi is inf"),
    "rho": (lambda: ps.essvi_scaling_limit(0.1, 1.0, 0.1), "rho is 1"),
    "forward inf": (
        lambda: ps.spot_vols(SLICE, 6e4, math.inf, 5e4, dynamics="sticky_strike"), "forward is inf",
    ),
    "anchor": (lambda: ps.anchored_theta(0.04, 0.03, -0.5, -1.0), "rho is -0.5 and psi -1"),
    "strangle": (lambda: ps.broker_strangle(100.0, 1.0, 0.0, 0.01, kind="forward"), "atm is 0"),
    "strangle nan": (lambda: ps.broker_strangle(100.0, 1.0, math.nan, 0.01, kind="forward"), "atm is nan"),
    "cboe strikes": (lambda: ps.vix_forward([-100.0, -90.0], [5.0, 6.0], [5.0, 4.0]), "strike is -100"),
    "cboe forward": (lambda: ps.vix_forward([100.0], [5.0], [500.0]), "says a forward of -395"),
    "bounds": (lambda: ps.parity_bounds(-K, CALL, CALL, PUT, PUT), "strike is -120"),
    "forward of a slice": (lambda: replace(SLICE.quotes, forward=-1.0), r"forward of .* is -1, its time"),
    "k of a slice": (
        lambda: replace(SLICE.quotes, k=np.append(SLICE.quotes.k[:-1], math.inf)), "k of .* is not finite",
    ),
    "tau of a slice": (lambda: replace(SLICE.quotes, tau=math.inf), "its time inf years"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOMAIN)
def test_outside_its_domain_there_is_no_number(case: str) -> None:
    call, message = DOMAIN[case]
    with pytest.raises(ParameterError, match=message):
        call()


def test_no_slice_passes_through_a_quote_that_is_too_low() -> None:
    assert np.isnan(ps.anchored_theta(0.04, [-1.0, math.nan], -0.5, 0.2)).all()


def test_rho_stays_down_to_time_zero() -> None:
    found = SURFACE.parameters_at([0.0, 0.5 * SURFACE.taus[0]])
    assert found.rho == pytest.approx([SURFACE.rho[0]] * 2)
    assert found.theta[0] == found.psi[0] == 0.0


def test_a_curve_has_to_be_of_the_quotes(coin: Quotes) -> None:
    curve = ps.forward_curve(coin, "BTC")
    early = read_quotes(datasets.path("deribit-btc-2026-05-21"))
    ether = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    for use in (ps.own_vols, ps.filter_quotes, ps.executable_arbitrage, ps.repair):
        with pytest.raises(ParameterError, match=r"9 expiries of .* and a curve of 2026-08-01"):
            use(early, curve)
        with pytest.raises(DataGapError, match="quotes of ETH and a curve of BTC"):
            use(ether, curve)
        with pytest.raises(ParameterError, match="curve of type NoneType"):
            use(coin, None)  # type: ignore[arg-type]
    shifted = replace(curve, as_of=curve.as_of - np.timedelta64(1, "D"))
    with pytest.raises(ConventionError, match=r"a curve of 2026-07-31.* for 2026-08-01.*less than a day"):
        ps.own_vols(coin, shifted)
    assert len(ps.own_vols(coin, shifted, as_of=shifted.as_of).frame) > 600
    with pytest.raises(ConventionError, match=r"a BTC curve of 2026-07-31.*expected BTC at 2026-08-01"):
        ps.fit(coin, curve=shifted)
    with pytest.raises(ParameterError, match="vols of type int"):
        ps.fit(coin, vols=3)  # type: ignore[call-overload]
    with pytest.raises(ParameterError, match="filter of type float"):
        ps.filter_quotes(coin, curve, filter=0.5)  # type: ignore[arg-type]
    assert ps.fit(coin, as_of=shifted.as_of, curve=shifted).curve.as_of == shifted.as_of


def test_a_known_forward_is_kept_or_contradicted() -> None:
    quotes = (K, CALL - 0.05, CALL + 0.05, PUT - 0.05, PUT + 0.05)
    at_a_strike = ps.parity_line(K, *(c + 1.0 for c in quotes[1:3]), *quotes[3:], forward=102.02)
    assert at_a_strike.status == "ok"
    for forward in (100.0, 110.0):
        found = ps.parity_line(*quotes, forward=forward)
        assert found.status == "infeasible" and found.price == forward and not found.feasible
    known = ps.parity_line(*quotes, df=0.9)
    assert known.status == "infeasible" and known.df == 0.9


def test_a_forward_at_a_strike_still_has_a_discount_factor() -> None:
    call, put = (black76(100.0, K, 0.5, 0.3, df=0.98, is_call=side) for side in (True, False))
    found = ps.parity_line(K, call - 0.05, call + 0.05, put - 0.05, put + 0.05, forward=100.0)
    assert found.status == "ok" and found.price == 100.0 and found.df == pytest.approx(0.98, abs=1e-9)


def test_a_discount_factor_beside_a_known_forward_is_moved_alone() -> None:
    # one tight pair forbids the level that the wide ones suggest
    half = np.where(K == 90.0, 0.01, 1.0)
    call = CALL + np.where(K == 90.0, 0.0, 0.3)
    found = ps.parity_line(K, call - half, call + half, PUT - half, PUT + half, forward=101.0)
    assert found.price == 101.0 and found.feasible
    value = found.df * (101.0 - K)
    assert (call - PUT - 2.0 * half <= value + 1e-9).all() and (value <= call - PUT + 2.0 * half + 1e-9).all()


def test_no_address_in_what_is_shown() -> None:
    linear = ps.SmileSlice(
        expiry=SLICE.expiry, tau=SLICE.tau, forward=6e4, k=np.array([-0.1, 0.2]), w=np.array([0.02, 0.03])
    )
    assert repr(linear.whole_line()) == "WholeLine(2 knots from -0.1 to 0.2)"
    for curve in (ps.variance_curve(SLICE), ps.variance_curve(lambda k: 0.1 + k * k, 0.5)):
        assert repr(curve).startswith("VarianceCurve(tau=") and " at 0x" not in repr(curve)
    assert "raw=RawSvi(a=" in repr(ps.variance_curve(SLICE))
