"""Revaluation under shocked surfaces: as specified it is the plain one, projected it moves only the vols."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.instruments import Future, Option, Perpetual
from pmkit.market import MarketSnapshot
from pmkit.risk import revalue, revalue_shocked, surface_shocks
from pmkit.scenarios import Factor, ScenarioSet, TermScaling, grid
from pmkit.surface import EssviSurface
from tests.unit.surface.shock_surfaces import AS_OF, SPOT, plain_surface, steep_surface

TERM = TermScaling(short_power=0.30, long_power=0.13)


def option(expiry: pd.Timestamp, strike: float, kind: str = "C", settlement: str = "inverse") -> Option:
    coin = settlement == "inverse"
    return Option(
        name=f"BTC-{expiry:%d%b%y}-{strike:g}-{kind}-{settlement}",
        underlying="BTC",
        settlement=settlement,  # type: ignore[arg-type]
        settlement_currency="BTC" if coin else "USDC",
        multiplier=1.0 if coin else 0.1,
        lot=0.1,
        expiry=expiry,
        strike=strike,
        is_call=kind == "C",
    )


def market(surface: EssviSurface) -> MarketSnapshot:
    forwards = {"BTC": {s.expiry.isoformat(): s.forward for s in surface.slices}}
    return MarketSnapshot.from_marks(AS_OF, {"BTC": SPOT}, forwards=forwards, surfaces={"BTC": surface})


def instruments(surface: EssviSurface) -> list[Option]:
    return [
        option(one.expiry, one.forward * math.exp(k * math.sqrt(one.theta)), kind, settlement)
        for one in surface.slices
        for k, kind, settlement in ((-2.0, "P", "inverse"), (0.0, "C", "inverse"), (1.5, "C", "linear"))
    ]


@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_moneyness", "sticky_delta"])
@pytest.mark.parametrize(
    ("own_vols", "days", "shaped"),
    [(True, 0.0, False), (False, 0.0, False), (False, 3.0, False), (False, 0.0, True), (False, 3.0, True)],
)
def test_as_specified_is_the_plain_revaluation(
    dynamics: str, own_vols: bool, days: float, shaped: bool
) -> None:
    surface = plain_surface()
    snapshot, book = market(surface), instruments(surface)
    scenarios = grid(
        [-0.16, 0.0, 0.16], [-0.25, 0.5], days, dynamics=dynamics, vol_term=TERM, underlyings=["BTC"]  # type: ignore[arg-type]
    )  # fmt: skip
    if shaped:
        kinds = [Factor(kind, "BTC") for kind in ("term", "skew", "curvature")]  # type: ignore[arg-type]
        moves = np.tile([0.1, 0.02, 0.01], (len(scenarios), 1))
        moves[::2] *= -0.5
        scenarios = replace(
            scenarios, factors=(*scenarios.factors, *kinds), shocks=np.hstack([scenarios.shocks, moves])
        )
    found = revalue_shocked(book, snapshot, scenarios, {"BTC": surface}, own_vols=own_vols)
    plain = revalue(book, snapshot, scenarios)
    assert (found.specified.unit_usd == plain.unit_usd).all()
    # and the vols are those of the shocked surface
    for at, shock in enumerate(surface_shocks(scenarios, "BTC")):
        shocked = surface.shock(shock, dynamics=dynamics)  # type: ignore[arg-type]
        for row, one in enumerate(book):
            slice_ = shocked.slice(one.expiry)
            iv = float(slice_.iv(math.log(one.strike / slice_.forward)))
            from pmkit.pricing import black76, black76_inverse

            price = black76_inverse if one.is_inverse else black76
            value = one.multiplier * float(
                price(slice_.forward, one.strike, slice_.tau, iv, is_call=one.is_call)
            )
            unit = plain.unit_coin if one.is_inverse else plain.unit_usd
            base = plain.base_coin if one.is_inverse else plain.base_usd
            assert unit[row, at] == pytest.approx(value - base[row], abs=1e-9 * max(1.0, abs(base[row])))
    found.projected.check()


def test_projecting_moves_what_is_not_free_and_nothing_else() -> None:
    surface = steep_surface()
    snapshot, book = market(surface), instruments(surface)
    perpetual = Perpetual(
        name="BTC-PERPETUAL", underlying="BTC", settlement="inverse", settlement_currency="BTC",
        multiplier=10.0, lot=10.0,
    )  # fmt: skip
    scenarios = grid([0.0], [-0.25, 0.0, 0.5], dynamics="sticky_strike", vol_term=TERM, underlyings=["BTC"])
    found = revalue_shocked([*book, perpetual], snapshot, scenarios, {"BTC": surface})
    rows = found.surfaces.set_index("scenario")
    assert list(rows["butterfly"]) == [0, 0, 2] and list(rows["moved"] > 0.0) == [False, False, True]
    gap = found.projected.unit_usd - found.specified.unit_usd
    assert np.abs(gap[:, :2]).max() < 1e-9 and np.abs(gap[-1]).max() == 0.0
    assert np.abs(gap[:3, 2]).max() > 1.0
    first, second = (
        surface.shock(surface_shocks(scenarios, "BTC")[2], arbitrage=how)
        for how in ("as_specified", "projected")
    )
    k = math.log(book[0].strike / first.slices[0].forward)
    ratio = float(second.slices[0].iv(k) / first.slices[0].iv(k))
    assert (gap[0, 2] > 0.0) == (ratio > 1.0)
    assert found.projected.provenance.method == "risk.revalue_shocked"
    found.projected.check()


def test_ageing_settles_what_expires_and_keeps_the_rest() -> None:
    surface = plain_surface()
    snapshot = market(surface)
    future = Future(
        name="BTC-F", underlying="BTC", settlement="inverse", settlement_currency="BTC", multiplier=10.0,
        lot=10.0, expiry=surface.slices[1].expiry,
    )  # fmt: skip
    scenarios = grid([-0.1], [0.3], 2.0, dynamics="sticky_moneyness", underlyings=["BTC"])
    book = [*instruments(surface), future]
    found = revalue_shocked(book, snapshot, scenarios, {"BTC": surface})
    assert np.abs(found.projected.unit_usd - found.specified.unit_usd).max() < 1e-9
    assert (found.surfaces["moved"] == 0.0).all()


def test_shocks_speak_the_scenarios_units() -> None:
    scenarios = grid(
        [math.log(0.84)], [0.2], dynamics="sticky_strike", spot_unit="log", vol_unit="log",
        vol_term=TERM, min_vol_up=0.5, underlyings=["BTC"],
    )  # fmt: skip
    (shock,) = surface_shocks(scenarios, "BTC")
    assert shock.spot == pytest.approx(-0.16) and shock.vol_unit == "log" and shock.floor == 0.5
    assert shock.factor(7.0) == pytest.approx(math.exp(0.2 * TERM.scale(7.0)))


def test_misuse_is_refused() -> None:
    surface = plain_surface()
    snapshot, book = market(surface), instruments(surface)
    scenarios = grid([-0.1], [0.5], dynamics="sticky_strike", underlyings=["BTC"])
    with pytest.raises(DataGapError, match="options on BTC and no BTC surface"):
        revalue_shocked(book, snapshot, scenarios, {})
    with pytest.raises(ConventionError, match="forward of 2026-08-08 is"):
        revalue_shocked(book, snapshot, scenarios, {"BTC": steep_surface_elsewhere()})
    later = MarketSnapshot.from_marks(
        AS_OF + pd.Timedelta(hours=1), {"BTC": SPOT},
        forwards={"BTC": {s.expiry.isoformat(): s.forward for s in surface.slices}},
        surfaces={"BTC": surface},
    )  # fmt: skip
    with pytest.raises(ConventionError, match="the BTC surface is of 2026-08-01T08:00:00"):
        revalue_shocked(book, later, scenarios, {"BTC": surface})
    eth = grid([-0.1], [0.5], dynamics="sticky_strike", underlyings=["ETH"])
    with pytest.raises(DataGapError, match="no factor of BTC"):
        surface_shocks(eth, "BTC")
    basis = ScenarioSet(
        name="basis", factors=(Factor("spot", "BTC"), Factor("basis", "BTC", surface.slices[0].expiry)),
        shocks=np.array([[-0.1, 0.01]]), horizon_days=0.0, dynamics="sticky_strike",
    )  # fmt: skip
    with pytest.raises(ConventionError, match="hold 'BTC basis 2026-08-08'"):
        surface_shocks(basis, "BTC")


def steep_surface_elsewhere() -> EssviSurface:
    """Return the plain surface with other carry: another market."""
    from tests.unit.surface.shock_surfaces import surface_of

    level = 0.36 / 365.0
    rows = [(7, 7 * level, -0.25, 0.07), (30, 30 * level, -0.2, 0.12), (90, 90 * level, -0.15, 0.18)]
    return surface_of(rows, carry=0.08)
