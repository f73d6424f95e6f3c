"""Every kind of factor against a plain twin, closed forms of the new ones, and what cannot be moved."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.instruments import Future, Instrument, Option, Perpetual
from pmkit.market import MarketSnapshot
from pmkit.pricing import black76
from pmkit.risk import revalue
from pmkit.risk.moved import MovedMarket
from pmkit.scenarios import Factor, ScenarioSet, grid
from pmkit.scenarios.factors import FactorKind
from tests.unit.risk.conftest import AS_OF, CARRY, FAR, MONTH, NEXT, SPOT, Smile, future, option

FUNDING = {"BTC": 0.0002, "ETH": -0.0001}  # a period of eight hours
DISCOUNT = {NEXT: 0.9999, MONTH: 0.997, FAR: 0.985}


def rich(**changes: object) -> MarketSnapshot:
    """Return the market of the other tests with funding, discount factors and a stablecoin off its peg."""
    given: dict[str, object] = {
        "forwards": {u: {e.isoformat(): s * np.exp(c) for e, c in CARRY.items()} for u, s in SPOT.items()},
        "perpetual": {"BTC": 60_012.0, "ETH": 2_999.0},
        "option_iv": {option("BTC", MONTH, 66_000.0, "C").name: 0.55},
        "surfaces": {u: Smile() for u in SPOT},
        "funding": FUNDING,
        "discounts": {u: {e.isoformat(): d for e, d in DISCOUNT.items()} for u in SPOT},
        "fx": {"USDC": 0.998},
    }
    return MarketSnapshot.from_marks(AS_OF, SPOT, **(given | changes))  # type: ignore[arg-type]


def one(
    moves: dict[tuple[FactorKind, str], float], *, horizon: float = 0.0, dynamics: str = "sticky_strike"
) -> ScenarioSet:
    """Return a set of one scenario."""
    factors = tuple(Factor(kind, name) for kind, name in moves)
    return ScenarioSet(
        name="one", factors=factors, shocks=np.array([list(moves.values())]), horizon_days=horizon,
        dynamics=dynamics,  # type: ignore[arg-type]
    )  # fmt: skip


def every_factor(dynamics: str, horizon: float, n: int = 25) -> ScenarioSet:
    draws = stream(21, "every factor")
    sizes: dict[FactorKind, float] = {
        "spot": 0.08, "vol": 0.2, "skew": 0.01, "curvature": 0.005, "term": 0.1, "basis": 0.001,
        "funding": 0.2,
    }  # fmt: skip
    factors = [Factor(kind, name) for name in SPOT for kind in sizes]
    columns = [draws.normal(0.0, sizes[f.kind], n) for f in factors]
    for name in SPOT:
        for expiry in (NEXT, MONTH, FAR):
            factors.append(Factor("basis", name, expiry))
            columns.append(draws.normal(0.0, 0.003, n))
    for factor, size in ((Factor("rate", "USDC"), 0.01), (Factor("fx", "USDC"), 0.02)):
        factors.append(factor)
        columns.append(draws.normal(0.0, size, n))
    return ScenarioSet(
        name="every", factors=tuple(factors), shocks=np.column_stack(columns), horizon_days=horizon,
        dynamics=dynamics, min_vol_up=0.4,  # type: ignore[arg-type]
    )  # fmt: skip


def plain(i: Instrument, snap: MarketSnapshot, scen: ScenarioSet, n: int) -> tuple[float, float]:
    """USD and coin profit of one contract in scenario ``n``, from the definitions."""

    def x(kind: FactorKind, name: str = i.underlying, expiry: pd.Timestamp | None = None) -> float:
        column = scen.column(kind, name, expiry)
        return 0.0 if column is None else float(column[n])

    S0, h = snap.spot(i.underlying), scen.horizon_days / 365.0
    S1 = S0 * math.exp(x("spot"))
    usdc0 = 0.998
    usdc1 = usdc0 * math.exp(x("fx", "USDC"))
    if isinstance(i, Perpetual):
        before = snap.market(i.underlying).perpetual
        after = before * math.exp(x("spot") + x("basis"))
        paid = (FUNDING[i.underlying] * 3.0 * 365.0 + x("funding")) * h
        if i.is_inverse:
            coins = i.multiplier * (1.0 / before - 1.0 / after) - i.multiplier / before * paid
            return coins * S1, coins
        return i.multiplier * (after - before - before * paid) * usdc1, 0.0
    assert isinstance(i, (Future, Option))
    tau, F0 = snap.tau(i.expiry), snap.forward(i.underlying, i.expiry)
    carry = math.log(F0 / S0)
    F1 = S1 * math.exp(carry * (tau - h) / tau + x("basis", expiry=i.expiry))
    if isinstance(i, Future):
        if i.is_inverse:
            coins = i.multiplier * (1.0 / F0 - 1.0 / F1)
            return coins * S1, coins
        return i.multiplier * (F1 - F0) * usdc1, 0.0

    def vol_at(k: float) -> float:
        return math.sqrt(float(Smile().w(k, tau)) / tau)

    level = math.exp(x("vol")) * (365.0 * tau / 30.0) ** x("term")
    k0, k1, atm = math.log(i.strike / F0), math.log(i.strike / F1), vol_at(0.0)
    held = {
        "sticky_strike": k0,
        "sticky_moneyness": k1,
        "sticky_delta": k1 / (level * math.sqrt(tau - h)) * math.sqrt(tau),
    }[scen.dynamics]
    t = 3.0 * math.tanh(k1 / (atm * math.sqrt(tau)) / 3.0)
    iv0 = snap.iv(i)
    iv = iv0 * vol_at(held) / vol_at(k0) * level - x("skew") * t + x("curvature") * t * t
    if x("vol") > 0.0:
        iv = max(iv, scen.min_vol_up)
    value0 = float(black76(F0, i.strike, tau, iv0, is_call=i.is_call))
    value1 = float(black76(F1, i.strike, tau - h, iv, is_call=i.is_call))
    if i.is_inverse:
        coin0, coin1 = value0 / F0, value1 / F1
        return i.multiplier * (coin1 * S1 - coin0 * S0), i.multiplier * (coin1 - coin0)
    df0 = DISCOUNT[i.expiry]
    df1 = math.exp(-(-math.log(df0) / tau + x("rate", "USDC")) * (tau - h))
    return i.multiplier * (df1 * value1 * usdc1 - df0 * value0 * usdc0), 0.0


@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_moneyness", "sticky_delta"])
@pytest.mark.parametrize("horizon", [0.0, 1.0])
def test_equals_plain_twin(instruments: list[Instrument], dynamics: str, horizon: float) -> None:
    snapshot, scen = rich(), every_factor(dynamics, horizon)
    ends = snapshot.as_of + pd.Timedelta(days=1)
    held = [i for i in instruments if i.kind != "spot" and getattr(i, "expiry", FAR) > ends]
    cube = revalue(held, snapshot, scen)
    cube.check()
    assert len(held) > 15
    for row, instrument in enumerate(held):
        dollars = instrument.is_inverse and not isinstance(instrument, Option)
        size = instrument.multiplier * (1.0 if dollars else SPOT[instrument.underlying])
        for n in range(len(scen)):
            usd, coin = plain(instrument, snapshot, scen, n)
            assert cube.unit_usd[row, n] == pytest.approx(usd, rel=1e-9, abs=1e-12 * size), instrument.name
            assert cube.unit_coin[row, n] == pytest.approx(coin, rel=1e-9, abs=1e-12), instrument.name


def test_no_move_no_profit_with_rates_fx_and_funding(instruments: list[Instrument]) -> None:
    cube = revalue(instruments, rich(), grid([0.0], [0.0], dynamics="sticky_delta"))
    assert (cube.unit_usd == 0.0).all() and (cube.unit_coin == 0.0).all()


def test_what_is_absent_changes_no_bit(instruments: list[Instrument]) -> None:
    """Discount factors of 1, funding of 0 and an fx of 1 are what a snapshot without them says."""
    scen = grid([-0.2, 0.1], [0.3], 0.5, dynamics="sticky_delta")
    neutral = rich(
        funding={"BTC": 0.0, "ETH": 0.0}, fx={"USDC": 1.0},
        discounts={u: {e.isoformat(): 1.0 for e in CARRY} for u in SPOT},
    )  # fmt: skip
    held = [i for i in instruments if getattr(i, "expiry", FAR) > pd.Timestamp("2026-08-02T12:00Z")]
    first, second = (revalue(held, s, scen) for s in (rich(funding=None, fx=None, discounts=None), neutral))
    assert first.unit_usd.tobytes() == second.unit_usd.tobytes()
    assert first.unit_coin.tobytes() == second.unit_coin.tobytes()


@pytest.mark.parametrize(("kind", "sign"), [("inverse", 1.0), ("linear", 1.0)])
def test_long_pays_positive_funding(kind: str, sign: float) -> None:
    """A rate of 10 per cent a year for 36.5 days costs a long one per cent of its notional."""
    snapshot = rich(funding={"BTC": 0.10 / 1095.0}, fx=None)
    perpetual = future("BTC", None, kind)
    cube = revalue([perpetual], snapshot, one({("spot", "BTC"): 0.0}, horizon=36.5))
    if kind == "inverse":
        assert cube.unit_coin[0, 0] == pytest.approx(-10.0 / 60_012.0 * 0.01, rel=1e-12)
        assert cube.unit_usd[0, 0] == pytest.approx(cube.unit_coin[0, 0] * 60_000.0, rel=1e-12)
    else:
        assert cube.unit_usd[0, 0] == pytest.approx(-0.01 * 60_012.0 * 0.01, rel=1e-12)
    more = revalue([perpetual], snapshot, one({("spot", "BTC"): 0.0, ("funding", "BTC"): 0.2}, horizon=36.5))
    assert more.unit_usd[0, 0] == pytest.approx(3.0 * cube.unit_usd[0, 0], rel=1e-12)
    at_once = revalue([perpetual], snapshot, one({("spot", "BTC"): 0.0, ("funding", "BTC"): 0.2}))
    assert at_once.unit_usd[0, 0] == 0.0


def test_rate_moves_the_discount_of_linear_options_alone() -> None:
    snapshot, h = rich(fx=None), 2.5
    held = [option("BTC", FAR, 60_000.0, "C", s) for s in ("linear", "inverse")]
    flat, up = (
        revalue(held, snapshot, one({("spot", "BTC"): 0.0, ("rate", "USDC"): x}, horizon=h))
        for x in (0.0, 0.02)
    )
    left = snapshot.tau(FAR) - h / 365.0
    after = [cube.unit_usd[0, 0] + cube.base_usd[0] for cube in (flat, up)]
    assert after[1] == pytest.approx(after[0] * math.exp(-0.02 * left), rel=1e-13)
    assert up.unit_coin[1, 0] == flat.unit_coin[1, 0]
    assert flat.base_usd[0] == pytest.approx(snapshot.mark(held[0]).price * 0.1, rel=1e-12)
    undiscounted = revalue(held, rich(fx=None, discounts=None), one({("spot", "BTC"): 0.0}))
    assert flat.base_usd[0] == pytest.approx(0.985 * undiscounted.base_usd[0], rel=1e-14)


def test_fx_turns_what_is_settled_into_dollars() -> None:
    """A fall of the stablecoin leaves the price in quote currency alone: linear profit shrinks with it."""
    held = [option("BTC", FAR, 60_000.0, "C", "linear"), future("BTC", FAR, "linear")]
    held += [future("BTC", FAR, "inverse")]
    still, depeg = (
        revalue(held, rich(), one({("spot", "BTC"): 0.1, ("fx", "USDC"): x})) for x in (0.0, math.log(0.9))
    )
    worth = still.unit_usd[0, 0] + still.base_usd[0]
    assert depeg.unit_usd[0, 0] == pytest.approx(0.9 * worth - still.base_usd[0], rel=1e-12)
    assert depeg.unit_usd[1, 0] == pytest.approx(0.9 * still.unit_usd[1, 0], rel=1e-12)
    assert depeg.unit_usd[2, 0] == still.unit_usd[2, 0]


def test_parity_in_every_scenario() -> None:
    """A call less a put is a discounted forward, or one less strike over forward in coin, whatever moves."""
    snapshot, scen = rich(), every_factor("sticky_delta", 1.0)
    pairs = [
        (option("BTC", e, k, c, s), e, k, s)
        for e in (NEXT, MONTH, FAR)
        for k in (40_000.0, 60_000.0, 66_500.0)
        for s in ("inverse", "linear")
        for c in "CP"
    ]
    cube = revalue([o for o, *_ in pairs], snapshot, scen)
    moved = MovedMarket(snapshot, scen, cube.instruments)
    for row in range(0, len(pairs), 2):
        call, expiry, strike, settlement = pairs[row]
        F0, F1 = snapshot.forward("BTC", expiry), moved.forwards["BTC", expiry]
        if settlement == "inverse":
            expected = (1.0 - strike / F1) - (1.0 - strike / F0)
            found = cube.unit_coin[row] - cube.unit_coin[row + 1]
            np.testing.assert_allclose(found, expected, atol=1e-12)
            continue
        df0, df1 = moved.discount(call)  # type: ignore[arg-type]
        fx0, fx1 = cube.fx0["USDC"], cube.fx1["USDC"]
        expected = 0.1 * (df1 * (F1 - strike) * fx1 - df0 * (F0 - strike) * fx0)
        found = cube.unit_usd[row] - cube.unit_usd[row + 1]
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_factors_of_names_that_are_not_there_are_told() -> None:
    scen = one({("spot", "BTC"): 0.1, ("spot", "SOL"): -0.5, ("fx", "EUR"): 0.1, ("fx", "USDT"): 0.0})
    moved = MovedMarket(rich(), scen, [future("BTC", None)])
    assert moved.unheld_factors == ("SOL spot", "EUR fx")
    cube = revalue([future("BTC", None)], rich(), scen)
    assert cube.unheld_factors == moved.unheld_factors
    assert "SOL spot, EUR fx move nothing here" in repr(cube)


# -- what cannot be moved -----------------------------------------------------------------------------------
def test_a_move_that_the_snapshot_has_nothing_for() -> None:
    poor = rich(funding=None, discounts=None, surfaces=None)
    call = option("BTC", MONTH, 66_000.0, "C")
    for kind in ("skew", "curvature"):
        scen = one({("spot", "BTC"): 0.0, (kind, "BTC"): 0.01})  # type: ignore[dict-item]
        with pytest.raises(DataGapError, match=rf"'BTC {kind}' must shape the smile.*no surface"):
            revalue([call], poor, scen)
    revalue([call], poor, one({("spot", "BTC"): 0.0, ("term", "BTC"): 0.1}))
    with pytest.raises(DataGapError, match=r"move 'BTC funding'.*no funding rate of BTC.*funding=\{'BTC'"):
        revalue([future("BTC", None)], poor, one({("spot", "BTC"): 0.0, ("funding", "BTC"): 0.1}))
    linear = replace(call, settlement="linear", settlement_currency="USDC")
    with pytest.raises(DataGapError, match=r"move 'USDC rate'.*no discount factor for.*2026-08-28"):
        revalue([linear], poor, one({("spot", "BTC"): 0.0, ("rate", "USDC"): 0.01}))
    revalue([call], poor, one({("spot", "BTC"): 0.0, ("rate", "USDC"): 0.01}))


def test_settlement_currencies() -> None:
    euro = replace(future("BTC", FAR, "linear"), settlement_currency="EUR")
    still = one({("spot", "BTC"): 0.1})
    with pytest.raises(ConventionError, match="settlement currency 'EUR' has no price"):
        revalue([euro], rich(), still)
    priced = rich(fx={"EUR": 1.1})
    with pytest.raises(DataGapError, match="no factor of the settlement currency EUR"):
        revalue([euro], priced, still)
    cube = revalue([euro], priced, one({("spot", "BTC"): 0.1, ("fx", "EUR"): 0.05}))
    gain = 0.01 * snapshot_forward() * math.expm1(0.1)
    assert cube.unit_usd[0, 0] == pytest.approx(gain * 1.1 * math.exp(0.05), rel=1e-9)
    with pytest.raises(ConventionError, match="settles in the coin ETH"):
        revalue([replace(euro, settlement_currency="ETH")], rich(), still)


def snapshot_forward() -> float:
    return rich().forward("BTC", FAR)


@pytest.mark.parametrize(
    ("moves", "match"),
    [
        ({("spot", "BTC"): 800.0}, r"spot of BTC is inf USD in scenario 0 after.*\+800 of 'BTC spot'"),
        ({("spot", "BTC"): -800.0}, r"spot of BTC is 0 USD in scenario 0"),
        ({("spot", "BTC"): 0.0, ("basis", "BTC"): 800.0}, r"perpetual of BTC is inf.*'BTC basis'"),
        ({("spot", "BTC"): 0.0, ("fx", "USDC"): -800.0}, r"price of USDC is 0.*'USDC fx'"),
    ],
)
def test_moves_that_leave_no_price(moves: dict[tuple[FactorKind, str], float], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        revalue([future("BTC", None)], rich(), one(moves))


def test_moves_that_leave_no_forward_or_fixing() -> None:
    for kind, days in (("basis", 0.0), ("fixing", 3.0)):
        factor = Factor(kind, "BTC", NEXT)  # type: ignore[arg-type]
        scen = ScenarioSet(
            name="far", factors=(Factor("spot", "BTC"), factor), shocks=np.array([[0.0, 0.0], [0.0, 900.0]]),
            horizon_days=days, dynamics="sticky_strike",
        )  # fmt: skip
        with pytest.raises(ParameterError, match=r"is inf USD in scenario 1 .*\+900 of 'BTC " + kind):
            revalue([future("BTC", NEXT)], rich(), scen)


def test_spot_of_minus_one_hundred_per_cent() -> None:
    with pytest.raises(ParameterError, match=r"spot move -1"):
        one_relative = ScenarioSet(
            name="zero", factors=(Factor("spot", "BTC"),), shocks=np.array([[-1.0]]), horizon_days=0.0,
            dynamics="sticky_strike", spot_unit="relative",
        )  # fmt: skip
        revalue([future("BTC", None)], rich(), one_relative)


def test_a_skew_that_takes_vol_below_zero() -> None:
    call = option("BTC", MONTH, 90_000.0, "C")
    scen = one({("spot", "BTC"): 0.0, ("skew", "BTC"): 0.4})
    with pytest.raises(
        ParameterError, match=r"implied vol of BTC.*-90000-C.* is -.* in scenario 0 .*\+0.4 of 'BTC skew'"
    ):
        revalue([call], rich(), scen)
    floored = replace(
        scen, factors=(*scen.factors, Factor("vol", "BTC")), shocks=np.array([[0.0, 0.4, 0.01]]),
        min_vol_up=0.3,
    )  # fmt: skip
    market = MovedMarket(rich(), floored, [call])
    assert market.vol(call).tolist() == [0.3]


def test_nan_in_a_cube() -> None:
    cube = revalue(
        [future("BTC", None), future("ETH", None)], rich(), grid([-0.1, 0.1], dynamics="sticky_strike")
    )
    broken = np.array(cube.unit_usd)
    broken[1, 1] = np.nan
    with pytest.raises(
        ParameterError, match=r"ETH-PERPETUAL-inverse in scenario 1 \(spot \+10%, vol \+0%\) is nan"
    ):
        replace(cube, unit_usd=broken)


def test_parametric_surface_or_own_vols() -> None:
    """On the surface every option reads it before and after; only the one with an own vol changes."""
    own, other = option("BTC", MONTH, 66_000.0, "C"), option("BTC", MONTH, 54_000.0, "P")
    scen, snapshot = every_factor("sticky_delta", 1.0), rich()
    first, second = (revalue([own, other], s, scen) for s in (snapshot, snapshot.on_surface()))
    assert first.unit_coin[1].tobytes() == second.unit_coin[1].tobytes()
    assert not np.allclose(first.unit_coin[0], second.unit_coin[0], rtol=1e-3)
    F, tau = snapshot.forward("BTC", MONTH), snapshot.tau(MONTH)
    iv = math.sqrt(float(Smile().w(math.log(66_000.0 / F), tau)) / tau)
    assert second.base_coin[0] == pytest.approx(float(black76(F, 66_000.0, tau, iv)) / F, rel=1e-12)
    assert snapshot.on_surface().fingerprint != snapshot.fingerprint
    with pytest.raises(DataGapError, match="no surface for BTC"):
        rich(surfaces={"ETH": Smile()}).on_surface()


def test_fields_of_the_snapshot() -> None:
    snapshot = rich()
    assert snapshot.funding_rate("BTC") == pytest.approx(0.219)
    assert snapshot.discount("BTC", MONTH) == 0.997
    assert [snapshot.usd_price(c) for c in ("USD", "USDC", "USDT", "BTC")] == [1.0, 0.998, 1.0, 60_000.0]
    bare = rich(funding=None, discounts=None, fx=None)
    assert bare.funding_rate("BTC") is None and bare.discount("BTC", MONTH) == 1.0
    shown = snapshot.summary()
    assert shown.loc["BTC", "funding_8h"] == 0.0002 and shown.loc["USDC", "spot"] == 0.998
    assert "funding_8h" not in bare.summary() and list(bare.summary().index) == ["BTC", "ETH"]
    assert snapshot.to_frame()["df"].tolist()[1:4] == [0.9999, 0.997, 0.985]
    assert "df" not in bare.to_frame()
    prints = {
        s.fingerprint
        for s in (bare, rich(discounts=None, fx=None), rich(funding=None, fx=None),
                  rich(funding=None, discounts=None), snapshot)
    }  # fmt: skip
    assert len(prints) == 5
    for changes, error, match in (
        ({"funding": {"BTC": 0.11}}, ConventionError, "funding of BTC is 0.11 for 8 hours"),
        ({"funding": {"BTC": math.nan}}, SchemaError, "funding of BTC is nan"),
        ({"discounts": {"BTC": {MONTH.isoformat(): 0.0}}}, SchemaError, "discount factor of BTC 2026-08-28"),
        ({"fx": {"USDC": -1.0}}, SchemaError, "fx of USDC is -1"),
        ({"fx": {"USD": 1.01}}, SchemaError, "fx of USD is 1.01"),
        ({"fx": {"BTC": 1.0}}, ConventionError, "BTC has a spot of 60000 and an fx of 1"),
    ):
        with pytest.raises(error, match=match):
            rich(**changes)
        assert issubclass(error, PmkitError)
