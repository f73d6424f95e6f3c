"""What any cube obeys: quantities scale, size doubles, order and splitting do not matter, coins are coins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.instruments import Instrument, Portfolio, Position
from pmkit.risk import PnLCube, revalue, revalue_taylor
from pmkit.scenarios import Factor, ScenarioSet
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, NEXT, SPOT, future, option
from tests.unit.risk.test_moved_factors import every_factor, rich

SETTINGS = settings(max_examples=15, deadline=None, derandomize=True)
HELD: tuple[Instrument, ...] = (
    option("BTC", NEXT, 61_000.0, "C"),
    option("BTC", MONTH, 54_000.0, "P"),
    option("BTC", FAR, 60_000.0, "C", "linear"),
    option("ETH", FAR, 3_500.0, "P", "linear"),
    *(future(u, e, s) for u in SPOT for e in (FAR, None) for s in ("inverse", "linear")),
)
LOTS = st.lists(st.integers(-50, 50), min_size=len(HELD), max_size=len(HELD))


def book(quantities: list[int], held: tuple[Instrument, ...] = HELD) -> Portfolio:
    lines = tuple(Position(instrument=i, qty=float(q)) for i, q in zip(held, quantities, strict=True))
    return Portfolio(positions=lines, as_of=pd.Timestamp(AS_OF))


@pytest.fixture(scope="module", params=["full", "taylor"])
def cube(request: pytest.FixtureRequest) -> PnLCube:
    how = revalue if request.param == "full" else revalue_taylor
    return how(HELD, rich(), every_factor("sticky_delta", 1.0))  # type: ignore[operator,no-any-return]


@SETTINGS
@given(lots=LOTS, factor=st.sampled_from([2, 3, -1]))
def test_homogeneous_in_quantity(cube: PnLCube, lots: list[int], factor: int) -> None:
    for numeraire in ("USD", "BTC", "USDC"):
        one = cube.account_pnl(book(lots), numeraire=numeraire)
        many = cube.account_pnl(book([factor * q for q in lots]), numeraire=numeraire)
        np.testing.assert_allclose(many, factor * one, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(one).max()))


@SETTINGS
@given(lots=LOTS, part=LOTS)
def test_splitting_an_account(cube: PnLCube, lots: list[int], part: list[int]) -> None:
    rest = [q - p for q, p in zip(lots, part, strict=True)]
    whole = cube.account_pnl(book(lots))
    pieces = cube.account_pnl(book(part)) + cube.account_pnl(book(rest))
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


@SETTINGS
@given(order=st.permutations(range(len(HELD))))
def test_order_of_instruments_and_positions(cube: PnLCube, order: list[int]) -> None:
    """Rows keep their bits wherever they stand; the account's sum is that of the cube's order."""
    how = revalue if cube.provenance.method == "risk.revalue" else revalue_taylor
    mixed = tuple(HELD[i] for i in order)
    other = how(mixed, rich(), cube.scenarios)
    assert other.unit_usd.tobytes() == cube.unit_usd[order].tobytes()
    assert other.unit_coin.tobytes() == cube.unit_coin[order].tobytes()
    lots = [3 * i - 10 for i in range(len(HELD))]
    shuffled = book([lots[i] for i in order], mixed)
    assert cube.account_pnl(shuffled).tobytes() == cube.account_pnl(book(lots)).tobytes()


def test_splitting_a_position_into_two_names(cube: PnLCube) -> None:
    twins = tuple(replace(i, name=f"{i.name}-twin") for i in HELD if i.kind != "option")
    both = revalue((*HELD, *twins), rich(), cube.scenarios)
    for twin in twins:
        rows = [both.instruments.index(i) for i in (twin, replace(twin, name=twin.name[: -len("-twin")]))]
        assert both.unit_usd[rows[0]].tobytes() == both.unit_usd[rows[1]].tobytes()


def test_doubling_the_multiplier_doubles_everything(cube: PnLCube) -> None:
    """Size is a factor of two, so the bits double too."""
    how = revalue if cube.provenance.method == "risk.revalue" else revalue_taylor
    double = how(tuple(replace(i, multiplier=2.0 * i.multiplier) for i in HELD), rich(), cube.scenarios)
    assert (double.unit_usd == 2.0 * cube.unit_usd).all()
    assert (double.unit_coin == 2.0 * cube.unit_coin).all()
    assert (double.base_usd == 2.0 * cube.base_usd).all()


@SETTINGS
@given(rows=st.permutations(range(25)))
def test_order_of_scenarios(rows: list[int]) -> None:
    scen = every_factor("sticky_moneyness", 1.0)
    first, second = revalue(HELD, rich(), scen), revalue(HELD, rich(), scen.subset(rows))
    np.testing.assert_allclose(second.unit_usd, first.unit_usd[:, rows], rtol=1e-12, atol=1e-9)


@SETTINGS
@given(spot=st.floats(0.2, 5.0), strike=st.floats(20_000.0, 150_000.0), call=st.booleans())
def test_long_options_lose_at_most_what_they_are_worth(spot: float, strike: float, call: bool) -> None:
    scen = ScenarioSet(
        name="any", factors=(Factor("spot", "BTC"), Factor("vol", "BTC")), horizon_days=1.0,
        shocks=np.array([[np.log(spot), -0.5], [np.log(spot), 0.8]]), dynamics="sticky_strike",
    )  # fmt: skip
    held = [option("BTC", FAR, strike, "C" if call else "P", s) for s in ("inverse", "linear")]
    cube = revalue(held, rich(fx=None), scen)
    assert (cube.unit_coin[0] >= -cube.base_coin[0] - 1e-14).all()
    assert (cube.unit_usd[1] >= -cube.base_usd[1] - 1e-9).all()
    if call:  # a call in coin is never worth more than its coin
        assert (cube.unit_coin[0] + cube.base_coin[0] <= 1.0).all()
