"""P&L explain: parts by hand, small moves, exact sums in USD and coin, two snapshots, bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, LookAheadError, ParameterError, PmkitError
from pmkit.instruments import Instrument, Portfolio, Position, Spot
from pmkit.margin.accounts.account import Account
from pmkit.market import MarketSnapshot, UnderlyingMarket
from pmkit.pricing import greeks
from pmkit.risk import PNL_PARTS, explain_pnl, revalue
from pmkit.scenarios import Factor, ScenarioSet
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SPOT, future, option, random_scenarios

BALANCES = {"BTC": 3.0, "ETH": -20.0, "USDC": 5e4}


def one_scenario(moves: dict[Factor, float], **arguments: object) -> ScenarioSet:
    given = {"horizon_days": 0.0, "dynamics": "sticky_strike", **arguments}
    return ScenarioSet(name="one", factors=tuple(moves), shocks=np.array([list(moves.values())]), **given)


def single(instrument: Instrument, qty: float = 1.0) -> Portfolio:
    return Portfolio(positions=(Position(instrument=instrument, qty=qty),), as_of=pd.Timestamp(AS_OF))


@pytest.mark.parametrize("numeraire", ["USD", "BTC", "ETH"])
@pytest.mark.parametrize("scenario", [0, 17, 123])
def test_parts_add_up_to_the_cube(
    book: Portfolio, snapshot: MarketSnapshot, scenario: int, numeraire: str
) -> None:
    scenarios = random_scenarios("sticky_delta")
    found = explain_pnl(book, snapshot, scenarios, scenario=scenario, balances=BALANCES, numeraire=numeraire)
    found.check()
    pnl = revalue(book, snapshot, scenarios).account_pnl(book, balances=BALANCES, numeraire=numeraire)
    scale = float(found.table["total"].abs().sum())
    assert abs(found.total - float(pnl[scenario])) <= 1e-11 * scale
    assert list(found.table.columns) == [*PNL_PARTS, "total"]
    assert found.label == scenarios.label(scenario)


def test_linear_option_by_hand(snapshot: MarketSnapshot) -> None:
    call = option("BTC", FAR, 60_000.0, "C", "linear")
    scenarios = one_scenario({Factor("spot", "BTC"): 0.02, Factor("vol", "BTC"): 0.05}, horizon_days=1.0)
    found = explain_pnl(single(call, 5.0), snapshot, scenarios).table.iloc[0]
    forward, iv, tau = snapshot.forward("BTC", FAR), snapshot.iv(call), snapshot.tau(FAR)
    g = greeks(forward, 60_000.0, tau, iv)
    rolled = math.log(forward / SPOT["BTC"]) * (-1.0 / 365.0 / tau)
    spot_move, move = forward * math.expm1(0.02), forward * math.expm1(0.02 + rolled)
    vol = iv * math.expm1(0.05)
    size = 5.0 * call.multiplier
    expected = {
        "delta": g.delta * spot_move,
        "carry": g.delta * (move - spot_move),
        "gamma": 0.5 * g.gamma * move**2,
        "vega": g.vega * vol,
        "vanna": g.vanna * move * vol,
        "volga": 0.5 * g.volga * vol**2,
        "theta": g.theta / 365.0,
    }
    for part, value in expected.items():
        assert found[part] == pytest.approx(size * value, rel=1e-9), part
    assert found[["rho", "funding", "currency"]].to_list() == [0.0, 0.0, 0.0]
    assert abs(found["residual"]) < 0.02 * abs(found["total"])


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
def test_residual_is_of_third_order(snapshot: MarketSnapshot, settlement: str, numeraire: str) -> None:
    """Moves ten times smaller leave a residual a thousand times smaller."""
    put = single(option("BTC", MONTH, 58_000.0, "P", settlement), 10.0)
    residuals = []
    for size in (1e-2, 1e-3):
        moves = {Factor("spot", "BTC"): -size, Factor("vol", "BTC"): size}
        found = explain_pnl(
            put, snapshot, one_scenario(moves, dynamics="sticky_moneyness"), numeraire=numeraire
        )
        residuals.append(abs(float(found.table["residual"].iloc[0])))
    assert residuals[0] / residuals[1] == pytest.approx(1000.0, rel=0.2)


def test_inverse_future_has_no_usd_gamma(snapshot: MarketSnapshot) -> None:
    """An inverse perpetual gains N (P'/P - 1) dollars when the coin it pays is worth P'."""
    held = single(future("BTC", None), 100.0)
    market = replace(snapshot.market("BTC"), perpetual=SPOT["BTC"])
    level = replace(snapshot, underlyings={**snapshot.underlyings, "BTC": market})
    row = explain_pnl(held, level, one_scenario({Factor("spot", "BTC"): 0.1})).table.iloc[0]
    assert row["total"] == pytest.approx(1000.0 * math.expm1(0.1), rel=1e-12)
    assert row["delta"] == pytest.approx(row["total"], rel=1e-12)
    assert row[["gamma", "residual"]].to_list() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_funding_is_its_own_part(snapshot: MarketSnapshot) -> None:
    market = replace(snapshot.market("BTC"), funding=0.0001)
    paying = replace(snapshot, underlyings={**snapshot.underlyings, "BTC": market})
    scenarios = one_scenario({Factor("spot", "BTC"): 0.0}, horizon_days=2.0)
    price = paying.market("BTC").perpetual
    for settlement, notional in (("linear", 0.01 * price), ("inverse", 10.0 / price * SPOT["BTC"])):
        row = explain_pnl(single(future("BTC", None, settlement), 7.0), paying, scenarios).table.iloc[0]
        assert row["funding"] == pytest.approx(-7.0 * notional * 0.0006, rel=1e-12)
        assert row["residual"] == pytest.approx(0.0, abs=1e-9)


def test_rates_and_quote_currencies(snapshot: MarketSnapshot) -> None:
    market = replace(snapshot.market("BTC"), discounts={FAR: 0.98})
    rated = replace(snapshot, underlyings={**snapshot.underlyings, "BTC": market})
    call = option("BTC", FAR, 60_000.0, "C", "linear")
    tau, iv, forward = rated.tau(FAR), rated.iv(call), rated.forward("BTC", FAR)
    g = greeks(forward, 60_000.0, tau, iv, 0.98)
    moves = {Factor("spot", "BTC"): 0.0, Factor("rate", "USDC"): 0.001, Factor("fx", "USDC"): -0.01}
    row = explain_pnl(single(call), rated, one_scenario(moves)).table.iloc[0]
    size, fell = call.multiplier, math.expm1(-0.01)
    assert row["rho"] == pytest.approx(size * g.rho * 0.001, rel=1e-9)
    assert row["currency"] == pytest.approx(size * (g.price + g.rho * 0.001) * fell, rel=1e-9)
    cash = explain_pnl(single(call), rated, one_scenario(moves), balances={"USDC": 1000.0}).table
    assert cash.loc["collateral USDC", "currency"] == pytest.approx(1000.0 * fell, rel=1e-12)


def test_settlement_inside_the_horizon(book: Portfolio, snapshot: MarketSnapshot) -> None:
    found = explain_pnl(book, snapshot, random_scenarios("sticky_strike"), scenario=5)
    settled = [p.instrument.name for p in book if getattr(p.instrument, "expiry", FAR) < MONTH]
    assert settled
    assert found.table.loc[settled, "vega"].to_list() == [0.0] * len(settled)


def later_snapshot(snapshot: MarketSnapshot) -> MarketSnapshot:
    """Half a day later, spot 1 % up, the curve a little steeper, the short contracts gone."""
    markets: dict[str, UnderlyingMarket] = {}
    for name, market in snapshot.underlyings.items():
        forwards = {e: q._replace(price=q.price * 1.0105) for e, q in market.forwards.items() if e >= MONTH}
        markets[name] = replace(
            market, spot=market.spot * 1.01, perpetual=market.perpetual * 1.01, forwards=forwards
        )
    return replace(snapshot, as_of=snapshot.as_of + pd.Timedelta(hours=12), underlyings=markets)


def usd_mark(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    rate = snapshot.spot(instrument.underlying) if instrument.is_inverse else 1.0
    return instrument.multiplier * snapshot.mark(instrument).price * rate


@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
def test_between_two_snapshots(book: Portfolio, snapshot: MarketSnapshot, numeraire: str) -> None:
    held = book.with_positions(p for p in book if getattr(p.instrument, "expiry", FAR) >= MONTH)
    after = later_snapshot(snapshot)
    found = explain_pnl(held, snapshot, after, balances=BALANCES, numeraire=numeraire)
    found.check()
    if numeraire == "USD":
        valued = [p for p in held if p.instrument.kind in ("option", "spot")]
        marks = [p.qty * (usd_mark(p.instrument, after) - usd_mark(p.instrument, snapshot)) for p in valued]
        rows = [p.instrument.name for p in valued]
        np.testing.assert_allclose(found.table.loc[rows, "total"], marks, rtol=1e-9)
    assert found.days == 0.5
    assert found.unexplained < 0.05
    reverse = pytest.raises(LookAheadError, match="snapshots in the order of time")
    with reverse:
        explain_pnl(held, after, snapshot)


def test_accounts_and_balances_alone(book: Portfolio, snapshot: MarketSnapshot) -> None:
    scenarios = random_scenarios("sticky_strike")
    account = Account(portfolio=book, collateral=BALANCES)
    both = [
        explain_pnl(account, snapshot, scenarios),
        explain_pnl(book, snapshot, scenarios, balances=BALANCES),
    ]
    assert both[0].table.equals(both[1].table)
    alone = explain_pnl(book.with_positions(()), snapshot, scenarios, scenario=1, balances={"BTC": 2.0})
    move = math.expm1(float(scenarios.column("spot", "BTC")[1]))
    assert alone.total == pytest.approx(2.0 * SPOT["BTC"] * move, rel=1e-12)
    assert alone.table.loc["collateral BTC", "delta"] == alone.total


def test_display_and_check(book: Portfolio, snapshot: MarketSnapshot) -> None:
    found = explain_pnl(book, snapshot, random_scenarios("sticky_strike"))
    assert found.summary().index.to_list()[-1] == "total"
    assert "USD" in found.plot().get_ylabel()
    wrong = found.table.copy()
    wrong.iloc[0, 0] += 1.0
    with pytest.raises(PmkitError, match="miss its profit by"):
        replace(found, table=wrong).check()


def test_bad_input(book: Portfolio, snapshot: MarketSnapshot) -> None:
    scenarios = random_scenarios("sticky_strike", n=10)
    with pytest.raises(ParameterError, match="scenario is 10; expected a number from 0 to 9"):
        explain_pnl(book, snapshot, scenarios, scenario=10)
    with pytest.raises(ParameterError, match="neither positions nor balances"):
        explain_pnl(book.with_positions(()), snapshot, scenarios)
    with pytest.raises(DataGapError, match="settles between the snapshots"):
        explain_pnl(book, snapshot, replace(later_snapshot(snapshot), as_of=FAR))
    with pytest.raises(DataGapError, match="DOGE"):
        explain_pnl(book, snapshot, scenarios, balances={"DOGE": 1.0})
    coin = Spot(
        name="DOGE",
        underlying="DOGE",
        settlement="linear",
        settlement_currency="USD",
        multiplier=1.0,
        lot=1.0,
    )
    with pytest.raises(DataGapError, match="DOGE"):
        explain_pnl(single(coin), snapshot, scenarios)
