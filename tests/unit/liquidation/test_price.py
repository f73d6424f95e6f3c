"""Liquidation prices in closed form: printed figures, the equation they solve, the numeric root."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.instruments import Option, Perpetual, Portfolio, Position
from pmkit.liquidation import distance_to_liquidation, liquidation_price
from pmkit.margin import Account, rule
from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

Hold = Callable[..., Account]
LINEAR = Perpetual(
    name="BTC-LINEAR",
    underlying="BTC",
    settlement="linear",
    settlement_currency="USDC",
    multiplier=1.0,
    lot=0.001,
)
INVERSE = Perpetual(
    name="BTC-PERPETUAL",
    underlying="BTC",
    settlement="inverse",
    settlement_currency="BTC",
    multiplier=10.0,
    lot=1.0,
)
#: floors in USD, rates, leverages of the worked five-bracket table
TABLE = Brackets.of(
    (0.0, 0.004, 125.0), (50e3, 0.005, 100.0), (250e3, 0.01, 50.0), (1e6, 0.025, 20.0), (10e6, 0.05, 10.0)
)


def test_the_worked_case() -> None:
    found = liquidation_price(LINEAR, 1.0, 100_000.0, 20_000.0, 100_000.0, brackets=TABLE)
    assert round(found.lower, 2) == 80_351.76 and math.isnan(found.upper)
    assert (found.bankruptcy, found.status) == (80_000.0, "ok")


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    qty=st.floats(0.01, 500.0),
    side=st.sampled_from([-1.0, 1.0]),
    entry=st.floats(1_000.0, 1e5),
    leverage=st.floats(1.1, 60.0),
    inverse=st.booleans(),
    kind=st.sampled_from(["rate", "slope", "brackets"]),
)
def test_equity_meets_maintenance_at_the_price(
    qty: float, side: float, entry: float, leverage: float, inverse: bool, kind: str
) -> None:
    instrument = INVERSE if inverse else LINEAR
    contracts = side * (math.ceil(qty * entry / 10.0) if inverse else qty)
    size = contracts * instrument.multiplier
    balance = abs(size) / entry / leverage if inverse else abs(size) * entry / leverage
    terms = {
        "rate": {"rate": 0.005},
        "slope": {"rate": 0.005, "slope": 1e-5},
        "brackets": {"brackets": TABLE},
    }
    found = liquidation_price(instrument, contracts, entry, balance, entry, **terms[kind])  # type: ignore[arg-type]

    def gap(price: float) -> float:
        coins = abs(size) / price if inverse else abs(size)
        equity = balance + (size * (1.0 / entry - 1.0 / price) if inverse else size * (price - entry))
        if kind == "brackets":
            kept = TABLE.maintenance(abs(size) if inverse else coins * price) / (price if inverse else 1.0)
        else:
            rate = 0.005 + (1e-5 * coins if kind == "slope" else 0.0)
            kept = coins * rate * (1.0 if inverse else price)
        return equity - kept

    scale = abs(size) / entry if inverse else abs(size) * entry
    for price in (found.lower, found.upper):
        if not math.isnan(price):
            assert abs(gap(price)) < 1e-9 * scale * max(1.0, entry / price, price / entry)
    assert (found.status == "already") == (balance > 0.0 and gap(entry) < 0.0)
    if found.status == "ok" and side > 0.0:
        assert found.lower < entry and math.isnan(found.upper)
        assert found.bankruptcy < found.lower
    if found.status == "ok" and side < 0.0 and kind != "slope":
        assert found.upper > entry and math.isnan(found.lower)


def test_a_covered_coin_position_has_no_price() -> None:
    # short one coin of dollars against one coin: equity in dollars does not move
    found = liquidation_price(INVERSE, -6_000.0, 60_000.0, 1.0, 60_000.0, rate=0.005)
    assert (found.status, math.isnan(found.upper), math.isnan(found.bankruptcy)) == ("none", True, True)


def test_a_large_short_is_liquidated_on_either_side() -> None:
    # where the rate rises with size in coins, a falling price makes a coin-margined short larger
    found = liquidation_price(INVERSE, -6e6, 60_000.0, 300.0, 60_000.0, rate=0.01, slope=5e-5)
    assert found.status == "ok" and found.lower < 60_000.0 < found.upper


def test_statuses_at_the_mark() -> None:
    given_ = {"rate": 0.01}
    assert liquidation_price(LINEAR, 1.0, 60_000.0, 500.0, 60_000.0, **given_).status == "already"
    assert liquidation_price(LINEAR, 1.0, 60_000.0, 500.0, 59_000.0, **given_).status == "insolvent"
    assert liquidation_price(LINEAR, 1.0, 60_000.0, 70_000.0, 60_000.0, **given_).status == "none"


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_inverse_price_against_the_root_under_the_rule(
    hold: Hold, market: MarketSnapshot, standard: AnyRule, side: float
) -> None:
    account = hold({"BTC-PERPETUAL": side * 30_000}, {"BTC": 0.5})
    far = distance_to_liquidation(
        account, market, standard, dynamics="sticky_strike", vol_range=(0.0, 0.0), days=1.0, points=8
    )
    far.check()
    table = standard.parameter_set(market, "BTC").table("BTC")
    mark = market.mark(account.instruments[0]).price
    exact = liquidation_price(
        INVERSE, side * 30_000, mark, 0.5, mark, rate=table.future_mm_rate, slope=table.future_mm_slope
    )
    row = far.table.loc["price down" if side > 0.0 else "price up"]
    assert row["status"] == "ok"
    expected = exact.lower if side > 0.0 else exact.upper
    assert mark * (1.0 + row["distance"]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_linear_price_with_brackets_against_the_root_under_the_rule(side: float) -> None:
    used = rule("leverage-brackets", as_of="2024-06-10", stale="warn")
    when = used.parameter_set(MarketSnapshot.from_marks("2024-06-10T00:00:00Z", {"BTC": 60_000.0}), "BTC")
    snap = MarketSnapshot.from_marks("2024-06-10T00:00:00Z", {"BTC": 60_000.0})
    book = Portfolio(positions=(Position(instrument=LINEAR, qty=3.0 * side),), as_of=snap.as_of)
    account = Account(portfolio=book, collateral={"USDC": 40_000.0})
    far = distance_to_liquidation(
        account, snap, used, dynamics="sticky_strike", vol_range=(0.0, 0.0), days=1.0, points=8
    )
    rows = when.table("BTC").brackets
    group = next(g for g in rows if "BTC" in g.coins or "*" in g.coins)
    exact = liquidation_price(
        LINEAR, 3.0 * side, 60_000.0, 40_000.0, 60_000.0, brackets=Brackets(rows=group.rows)
    )
    row = far.table.loc["price down" if side > 0.0 else "price up"]
    assert row["level"] == pytest.approx(exact.lower if side > 0.0 else exact.upper, rel=1e-8)


def test_bad_input_is_named(market: MarketSnapshot, hold: Hold) -> None:
    option = hold({"BTC-27DEC24-60000-C": 1}, {"BTC": 1.0}).instruments[0]
    assert isinstance(option, Option)
    with pytest.raises(ConventionError, match="BTC-27DEC24-60000-C is a option"):
        liquidation_price(option, 1.0, 1.0, 1.0, 1.0, rate=0.01)
    with pytest.raises(ParameterError, match="qty is 0"):
        liquidation_price(LINEAR, 0.0, 1.0, 1.0, 1.0, rate=0.01)
    with pytest.raises(ParameterError, match="exactly one of rate and brackets"):
        liquidation_price(LINEAR, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ParameterError, match=r"rate is 1\.5"):
        liquidation_price(LINEAR, 1.0, 1.0, 1.0, 1.0, rate=1.5)
    with pytest.raises(ParameterError, match="entry is nan"):
        liquidation_price(replace(LINEAR), 1.0, math.nan, 1.0, 1.0, rate=0.01)
