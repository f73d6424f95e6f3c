"""Revaluation against a plain twin on a mixed book, and the properties every cube must have."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, HistoryEndsWarning, ParameterError, SchemaError
from pmkit.core.protocols import VolSurface
from pmkit.instruments import (
    Future,
    Instrument,
    Option,
    Perpetual,
    Portfolio,
    Position,
    Spot,
    parse_instrument,
)
from pmkit.market import MarketSnapshot, PriceHistory, load_snapshot
from pmkit.pricing import black76
from pmkit.risk import expected_shortfall, revalue
from pmkit.scenarios import ScenarioSet, filtered_historical, grid, table
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SOON, SPOT, Smile, future, option, random_scenarios

DYNAMICS = ("sticky_strike", "sticky_moneyness", "sticky_delta")


def plain_unit_pnl(i: Instrument, snap: MarketSnapshot, scen: ScenarioSet, n: int) -> tuple[float, float]:
    """USD and coin profit of one contract in scenario ``n``, one scalar at a time, from the definitions."""

    def shock(kind: str, expiry: pd.Timestamp | None = None) -> float:
        column = scen.column(kind, i.underlying, expiry)
        return 0.0 if column is None else float(column[n])

    S0 = snap.spot(i.underlying)
    S1 = S0 * (math.exp(shock("spot")) if scen.spot_unit == "log" else 1.0 + shock("spot"))
    h = scen.horizon_days / 365.0

    def forward_after(expiry: pd.Timestamp) -> float:
        tau = snap.tau(expiry)
        carry = math.log(snap.forward(i.underlying, expiry) / S0)
        return math.exp(math.log(S1) + carry * (tau - h) / tau + shock("basis", expiry))

    def settles(expiry: pd.Timestamp) -> bool:
        return snap.days(expiry) <= scen.horizon_days

    if isinstance(i, Spot):
        return i.multiplier * (S1 - S0), 0.0
    if isinstance(i, (Perpetual, Future)):
        if isinstance(i, Perpetual):
            before = snap.market(i.underlying).perpetual
            after = before * S1 / S0 * math.exp(shock("basis"))
        else:
            before = snap.forward(i.underlying, i.expiry)
            after = S0 * math.exp(shock("fixing", i.expiry)) if settles(i.expiry) else forward_after(i.expiry)
        if i.is_inverse:
            coins = i.multiplier * (1.0 / before - 1.0 / after)
            return coins * S1, coins
        return i.multiplier * (after - before), 0.0
    assert isinstance(i, Option)
    tau, F0 = snap.tau(i.expiry), snap.forward(i.underlying, i.expiry)
    value0 = float(black76(F0, i.strike, tau, snap.iv(i), is_call=i.is_call))
    if settles(i.expiry):
        price = S0 * math.exp(shock("fixing", i.expiry))
        value1 = max(price - i.strike, 0.0) if i.is_call else max(i.strike - price, 0.0)
        divisor = price
    else:
        x = shock("vol") * scen.vol_term.scale(snap.days(i.expiry))
        level = math.exp(x) if scen.vol_unit == "log" else max(0.0, 1.0 + x)
        F1 = forward_after(i.expiry)
        surface = snap.market(i.underlying).surface

        def vol_at(k: float) -> float:
            return math.sqrt(float(surface.w(k, tau)) / tau)

        k0, k1 = math.log(i.strike / F0), math.log(i.strike / F1)
        if scen.dynamics == "sticky_strike":
            smile = 1.0
        elif scen.dynamics == "sticky_moneyness":
            smile = vol_at(k1) / vol_at(k0)
        else:
            # today's point with the same k / (atm vol * sqrt(time)) as the shocked one
            atm0 = vol_at(0.0)
            standardised = k1 / (atm0 * level * math.sqrt(tau - h))
            smile = vol_at(standardised * atm0 * math.sqrt(tau)) / vol_at(k0)
        iv = snap.iv(i) * smile * level
        if shock("vol") > 0.0:
            iv = max(iv, scen.min_vol_up)
        value1 = float(black76(F1, i.strike, tau - h, iv, is_call=i.is_call))
        divisor = F1
    if i.is_inverse:
        coin0, coin1 = i.multiplier * value0 / F0, i.multiplier * value1 / divisor
        return coin1 * S1 - coin0 * S0, coin1 - coin0
    return i.multiplier * (value1 - value0), 0.0


@pytest.mark.parametrize("unit", ["log", "relative"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_equals_plain_twin(
    instruments: list[Instrument], snapshot: MarketSnapshot, dynamics: str, unit: str
) -> None:
    scen = random_scenarios(dynamics, n=40, unit=unit)
    cube = revalue(instruments, snapshot, scen)
    cube.check()
    for row, instrument in enumerate(instruments):
        dollars = instrument.is_inverse and not isinstance(instrument, Option)
        size = instrument.multiplier * (1.0 if dollars else SPOT[instrument.underlying])
        for n in range(len(scen)):
            usd, coin = plain_unit_pnl(instrument, snapshot, scen, n)
            assert cube.unit_usd[row, n] == pytest.approx(usd, rel=1e-9, abs=1e-12 * size), instrument.name
            assert cube.unit_coin[row, n] == pytest.approx(coin, rel=1e-9, abs=1e-12), instrument.name
    assert len(cube.settled) == 3 + 4  # three options and four futures expire within two days


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_no_move_no_profit(instruments: list[Instrument], snapshot: MarketSnapshot, dynamics: str) -> None:
    cube = revalue(instruments, snapshot, grid([0.0], [0.0], dynamics=dynamics))
    assert (cube.unit_usd == 0.0).all() and (cube.unit_coin == 0.0).all()
    assert cube.settled == ()


def test_equal_bits_on_any_number_of_threads(book: Portfolio, snapshot: MarketSnapshot) -> None:
    scen = random_scenarios("sticky_moneyness")
    one, two, many = (revalue(book, snapshot, scen, threads=n) for n in (1, 2, 8))
    for other in (two, many):
        assert one.unit_usd.tobytes() == other.unit_usd.tobytes()
        assert one.unit_coin.tobytes() == other.unit_coin.tobytes()
    assert one.provenance.id == two.provenance.id
    assert one.account_pnl(book).tobytes() == two.account_pnl(book).tobytes()


def test_dynamics_agree_for_a_pure_spot_move_and_differ_with_vol_or_time(
    snapshot: MarketSnapshot, instruments: list[Instrument]
) -> None:
    """Sticky delta and sticky moneyness are the same until the vol level or time moves."""

    def pnl(scen: ScenarioSet) -> np.ndarray:
        return revalue(instruments[3:5], snapshot, scen).unit_usd

    for moves, equal in (({}, True), ({"vol": [0.3]}, False)):
        first, second = (pnl(grid([-0.1], dynamics=d, **moves)) for d in ("sticky_moneyness", "sticky_delta"))
        assert np.allclose(first, second, rtol=1e-13) is equal
    strike = pnl(grid([-0.1], dynamics="sticky_strike"))
    assert not np.allclose(strike, pnl(grid([-0.1], dynamics="sticky_moneyness")))


def test_own_vol_is_kept_and_surface_only_moves_it(snapshot: MarketSnapshot) -> None:
    """The 66000 call has an own vol of 55 %; a parallel move is on top of that."""
    call = option("BTC", MONTH, 66_000.0, "C")
    cube = revalue([call], snapshot, table([("up", 0.0, 0.1)], dynamics="sticky_strike"))
    forward, tau = snapshot.forward("BTC", MONTH), snapshot.tau(MONTH)
    prices = [float(black76(forward, 66_000.0, tau, v)) / forward for v in (0.55, 0.55 * 1.1)]
    assert cube.unit_coin[0, 0] == pytest.approx(prices[1] - prices[0], rel=1e-9)


def test_vol_floor_applies_to_rises_only(snapshot: MarketSnapshot) -> None:
    call = option("BTC", FAR, 60_000.0, "C")
    rows = [("up", 0.0, 0.01), ("down", 0.0, -0.9)]
    cube = revalue([call], snapshot, table(rows, dynamics="sticky_strike", min_vol_up=0.8))
    forward, tau, iv = snapshot.forward("BTC", FAR), snapshot.tau(FAR), snapshot.iv(call)
    up, down, base = (float(black76(forward, 60_000.0, tau, v)) / forward for v in (0.8, iv * 0.1, iv))
    assert cube.unit_coin[0] == pytest.approx([up - base, down - base], rel=1e-9)


def test_long_dated_future_against_perpetual_has_risk(
    real_history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    held = (
        Position(instrument=future("BTC", FAR), qty=6180.0),
        Position(instrument=future("BTC", None), qty=-6000.0),
    )
    spread = Portfolio(positions=held, as_of=pd.Timestamp(AS_OF))
    with pytest.warns(HistoryEndsWarning):
        scen = filtered_historical(real_history, snapshot, underlyings=["BTC"], n_paths=5000, vol_anchor=0.4)
    moved = expected_shortfall(revalue(spread, snapshot, scen).account_pnl(spread), 0.99)
    still = [f for f in scen.factors if f.kind != "basis"]
    columns = [scen.column(f.kind, f.underlying, f.expiry) for f in still]
    without = ScenarioSet(
        name="no basis", factors=tuple(still), shocks=np.column_stack(columns), horizon_days=2.0,
        dynamics=scen.dynamics, vol_term=scen.vol_term,
    )  # fmt: skip
    fixed = expected_shortfall(revalue(spread, snapshot, without).account_pnl(spread), 0.99)
    assert float(moved) > 200.0
    assert float(moved) > 2.0 * abs(float(fixed))


def test_carry_runs_off_and_time_decays(snapshot: MarketSnapshot) -> None:
    """Without any move a long future loses carry pro rata and a long option its time value."""
    held = [future("BTC", FAR, "linear"), option("BTC", MONTH, 60_000.0, "C")]
    losses = []
    for days in (1.0, 2.0):
        cube = revalue(held, snapshot, grid([0.0], dynamics="sticky_strike", horizon_days=days))
        expected = 60_000.0 * math.exp(0.03 * (1 - days / snapshot.days(FAR))) - 60_000.0 * math.exp(0.03)
        assert cube.unit_usd[0, 0] == pytest.approx(0.01 * expected, rel=1e-9)
        losses.append(cube.unit_usd[1, 0])
    assert losses[1] < losses[0] < 0.0


def test_settlement_inside_the_horizon_needs_a_fixing(snapshot: MarketSnapshot) -> None:
    scen = grid([0.1], dynamics="sticky_strike", horizon_days=1.0)
    with pytest.raises(
        ConventionError, match=r"settle inside the horizon of 1 days.*'BTC fixing 2026-08-02'"
    ):
        revalue([option("BTC", SOON, 59_000.0, "C")], snapshot, scen)
    with pytest.raises(ConventionError, match="settle inside the horizon"):
        revalue([future("BTC", SOON)], snapshot, scen)


def bare(**options: object) -> MarketSnapshot:
    return MarketSnapshot.from_marks(
        AS_OF,
        SPOT,
        forwards={"BTC": {MONTH.isoformat(): 60_200.0}},
        **options,  # type: ignore[arg-type]
    )


def test_smile_cannot_move_without_a_surface() -> None:
    call = option("BTC", MONTH, 66_000.0, "C")
    snap = bare(option_iv={call.name: 0.5})
    revalue([call], snap, grid([0.1], dynamics="sticky_strike"))
    for dynamics in DYNAMICS[1:]:
        with pytest.raises(DataGapError, match=r"no surface.*dynamics='sticky_strike'"):
            revalue([call], snap, grid([0.1], dynamics=dynamics))


def test_errors_name_what_is_missing(snapshot: MarketSnapshot) -> None:
    scen = grid([0.1], dynamics="sticky_strike")
    with pytest.raises(DataGapError, match=r"move BTC, and ETH-PERPETUAL-inverse is held.*a factor of ETH"):
        revalue([future("ETH", None)], snapshot, grid([0.1], dynamics="sticky_strike", underlyings=["BTC"]))
    with pytest.raises(DataGapError, match="no implied vol"):
        revalue([option("BTC", MONTH, 66_000.0, "C")], bare(), scen)
    with pytest.raises(DataGapError, match="no forward for BTC expiry"):
        revalue([future("BTC", FAR)], bare(), scen)
    with pytest.raises(SchemaError, match="expired at"):
        revalue([future("BTC", pd.Timestamp("2026-07-31T08:00Z"))], snapshot, scen)
    with pytest.raises(DataGapError, match="the book is empty"):
        revalue([], snapshot, scen)
    with pytest.raises(ConventionError, match="the book holds a str"):
        revalue(["BTC-PERPETUAL"], snapshot, scen)  # type: ignore[list-item]
    with pytest.raises(ParameterError, match="threads is 0"):
        revalue([future("BTC", None)], snapshot, scen, threads=0)
    twin = Perpetual(
        name="BTC-PERPETUAL-inverse",
        underlying="BTC",
        settlement="inverse",
        settlement_currency="BTC",
        multiplier=1.0,
        lot=1.0,
    )
    with pytest.raises(ConventionError, match="two different contracts are called BTC-PERPETUAL-inverse"):
        revalue([future("BTC", None), twin], snapshot, scen)


def test_smile_of_the_twin_is_a_surface() -> None:
    assert isinstance(Smile(), VolSurface)


def test_whole_chain_of_august(real_history: PriceHistory) -> None:
    """Every contract of the real chain: 88 options and two futures settle within two days."""
    chain = load_snapshot("deribit-btc-2026-08-01")
    held = [parse_instrument(name, chain.as_of) for name in sorted(chain.listed)]
    with pytest.warns(HistoryEndsWarning, match="944 days before"):
        scen = filtered_historical(real_history, chain, n_paths=300)
    cube = revalue(held, chain, scen, threads=2)
    cube.check()
    assert len(cube.instruments) == 882
    assert sum(name.count("-") == 3 for name in cube.settled) == 88
    assert [name for name in cube.settled if name.count("-") == 1] == ["BTC-2AUG26", "BTC-3AUG26"]
    for row, instrument in enumerate(cube.instruments):
        if isinstance(instrument, Option):
            assert cube.base_coin[row] == pytest.approx(chain.mark(instrument).price, abs=1e-12)
            assert (cube.unit_coin[row] >= -cube.base_coin[row] - 1e-12).all()
