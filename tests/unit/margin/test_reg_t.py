"""Strategy-based margin: the optimum proved by brute force, properties, every key, named refusals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, RuleVersionError
from pmkit.instruments import Portfolio, Position, listed_future
from pmkit.margin import Account, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.reg_t import Line, cheapest_pairing
from pmkit.margin.rules.reg_t import candidates as candidates_module
from pmkit.margin.rules.reg_t.candidates import candidates
from pmkit.margin.schemas import StrategyParameters
from pmkit.pricing import black76
from tests.unit.margin.listed_books import NOW, Leg, account, market, requirement

SET = load_parameter_sets("reg-t")[0]
EQUITY: StrategyParameters = SET.table("*")
INDEX: StrategyParameters = SET.table("SPX")
SPOT = 100.0


def line(kind: str, strike: float, qty: float, days: float = 30.0) -> Line:
    """Return a line priced at a vol of 30 %, 100 shares a contract; shares where the kind is S."""
    if kind == "S":
        return Line("S", "S", 0.0, 0.0, SPOT, qty, 1.0)
    price = float(black76(SPOT, strike, days / 365.0, 0.3, is_call=kind == "C"))
    return Line(f"{kind}{strike:g}-{days:g}", kind, strike, days, price, qty, 100.0)


def cheapest(lines: Sequence[Line], initial: bool = True, table: StrategyParameters = EQUITY) -> float:
    return cheapest_pairing(lines, candidates(table, lines, SPOT), initial).cost


# -- the plain twin: every way to part a small book into groups ---------------------------------------------
def naked(table: StrategyParameters, one: Line) -> float:
    call = one.kind == "C"
    out = max(one.strike - SPOT, 0.0) if call else max(SPOT - one.strike, 0.0)
    return one.price + max(
        table.option_rate * SPOT - out, table.option_floor_rate * (SPOT if call else one.strike)
    )


def lot_cost(table: StrategyParameters, group: tuple[Line, ...], initial: bool) -> float | None:
    """Return the charge per share of single contracts and lots of 100 shares, None for no strategy."""
    stock = [x for x in group if x.kind == "S"]
    longs = [x for x in group if x.kind != "S" and x.qty > 0]
    shorts = [x for x in group if x.kind != "S" and x.qty < 0]
    calls = [x for x in group if x.kind == "C"]
    puts = [x for x in group if x.kind == "P"]
    one_day = len({x.days for x in longs + shorts}) == 1
    if len(stock) > 1:
        return None
    if stock:
        return _stock_cost(table, stock[0].qty > 0, longs, shorts, initial, one_day)
    if len(group) == 1:
        return naked(table, group[0]) if shorts else 0.0
    if len(group) == 2 and len(shorts) == 2 and calls and puts:
        a, b = naked(table, calls[0]), naked(table, puts[0])
        return a + puts[0].price if a >= b else b + calls[0].price
    if len(group) == 2 and len(longs) == 1 and longs[0].kind == shorts[0].kind:
        if longs[0].days < shorts[0].days:
            return None
        gap = longs[0].strike - shorts[0].strike
        gap = gap if calls else -gap
        return min(naked(table, shorts[0]), max(gap, 0.0))
    if len(group) != 4 or not one_day or len(longs) != 2:
        return None
    if not calls or not puts:
        outer, inner = sorted(x.strike for x in longs), sorted(x.strike for x in shorts)
        even = inner[0] - outer[0] == outer[1] - inner[1] and outer[0] < inner[0]
        return 0.0 if even else None
    if len(calls) != 2 or {x.qty > 0 for x in calls} != {True, False}:
        return None
    if {x.qty > 0 for x in puts} != {True, False}:
        return None
    held = {(x.kind, x.qty > 0): x.strike for x in group}
    k1, k2, k3, k4 = held["P", True], held["P", False], held["C", False], held["C", True]
    if k1 == k3 and k2 == k4 and k1 < k2:
        return k2 - k1
    if k2 == k4 and k1 == k3 and k1 > k2 and table.box_for_european_index:
        return table.box_rate * (k1 - k2) - math.fsum(math.copysign(x.price, x.qty) for x in group)
    return max(k2 - k1, k4 - k3) if k1 < k2 <= k3 < k4 else None


def _stock_cost(
    table: StrategyParameters,
    long: bool,
    longs: list[Line],
    shorts: list[Line],
    initial: bool,
    one_day: bool,
) -> float | None:
    base = (0.5 if initial else 0.25) * SPOT if long else (0.5 if initial else 0.3) * SPOT
    written = [x for x in shorts if x.kind == ("C" if long else "P")]
    bought = [x for x in longs if x.kind == ("P" if long else "C")]
    if len(written) != len(shorts) or len(bought) != len(longs) or len(written) > 1 or len(bought) > 1:
        return None
    kept = 0.5 if initial else 0.75
    if not written and not bought:
        return base
    if written and not bought:
        k = written[0].strike
        return SPOT - kept * min(SPOT, k) if long else base + max(k - SPOT, 0.0)
    hedge = bought[0].strike
    out = max(SPOT - hedge, 0.0) if long else max(hedge - SPOT, 0.0)
    if not written:
        return base if initial else min(0.1 * hedge + out, base)
    k = written[0].strike
    if not one_day:
        return None
    if long:
        if hedge > k:
            return None
        beyond = max(SPOT - k, 0.0)
        mm = (0.1 * k if hedge == k else min(0.1 * hedge + out, 0.25 * k)) + beyond
        return max(SPOT - 0.5 * min(SPOT, k), mm) if initial else mm
    if hedge != k:
        return None
    mm = 0.1 * k + max(k - SPOT, 0.0)
    return max(0.5 * SPOT + max(k - SPOT, 0.0), mm) if initial else mm


def brute_force(table: StrategyParameters, lines: Sequence[Line], initial: bool) -> float:
    """Return the least charge over all ways to part contracts and lots into groups of four at most."""
    units: list[Line] = []
    for one in lines:
        lots = int(abs(one.qty) / (100.0 if one.kind == "S" else 1.0))
        units += [one._replace(qty=math.copysign(1.0, one.qty))] * lots

    @cache
    def best(left: tuple[int, ...]) -> float:
        if not left:
            return 0.0
        head, rest = left[0], left[1:]
        found = math.inf
        for size in range(4):
            for others in itertools.combinations(rest, size):
                cost = lot_cost(table, tuple(units[i] for i in (head, *others)), initial)
                if cost is not None:
                    found = min(found, 100.0 * cost + best(tuple(i for i in rest if i not in others)))
        return found

    return best(tuple(range(len(units))))


def random_book(rng: np.random.Generator, table: StrategyParameters) -> list[Line]:
    keys = [(k, x, d) for k in "CP" for x in (90.0, 95.0, 100.0, 105.0, 110.0) for d in (30.0, 90.0)]
    chosen = rng.choice(len(keys), int(rng.integers(2, 6)), replace=False)
    book = [line(*keys[i][:2], float(rng.choice([-2, -1, 1, 2])), keys[i][2]) for i in chosen]
    if rng.random() < 0.5:
        book.append(line("S", 0.0, float(rng.choice([-200, -100, 100, 200]))))
    return book


@pytest.mark.parametrize("table", [EQUITY, INDEX], ids=["stock", "European index"])
def test_pairing_is_the_optimum_of_all_pairings(table: StrategyParameters) -> None:
    rng = np.random.default_rng(6)
    helped = 0
    for _ in range(40):
        book = random_book(rng, table)
        while sum(abs(x.qty) / (100.0 if x.kind == "S" else 1.0) for x in book) > 8:
            book.pop()
        alone = sum(cheapest([x], table=table) for x in book)
        for initial in (True, False):
            expected = brute_force(table, book, initial)
            assert cheapest(book, initial, table) == pytest.approx(expected, abs=1e-6)
        helped += brute_force(table, book, True) < alone - 1e-6
    assert helped > 10


def test_pairs_that_greed_would_miss() -> None:
    # the nearest long call looks best for the first short one, but the other short call needs it more
    book = [line("C", k, q) for k, q in ((100.0, -1.0), (105.0, -1.0), (105.0 + 1.0, 1.0), (140.0, 1.0))]
    assert cheapest(book) == pytest.approx(brute_force(EQUITY, book, True), abs=1e-9)
    assert cheapest(book) < 100.0 * (naked(EQUITY, book[0]) + 1.0)


def test_four_legs_of_index_box_and_butterfly() -> None:
    box = [line("C", 95.0, 1.0), line("C", 105.0, -1.0), line("P", 95.0, -1.0), line("P", 105.0, 1.0)]
    for table in (EQUITY, INDEX):
        assert cheapest(box, table=table) == pytest.approx(brute_force(table, box, True), abs=1e-9)
    assert cheapest(box, table=INDEX) < cheapest(box, table=EQUITY)


# -- properties ---------------------------------------------------------------------------------------------
def im_equity(lines: Sequence[Line]) -> float:
    held = [x for x in lines if x.qty != 0.0]
    return cheapest(held) + math.fsum(x.qty * x.multiplier * x.price for x in held if x.kind != "S")


def legs(quantities: Sequence[int]) -> list[Line]:
    keys = [(k, x) for k in "CP" for x in (90.0, 95.0, 100.0, 105.0, 110.0)]
    return [line(k, x, float(q)) for (k, x), q in zip(keys, quantities, strict=True)]


QUANTITIES = st.lists(st.integers(-2, 2), min_size=10, max_size=10)


@settings(max_examples=25)
@given(QUANTITIES, st.integers(0, 9))
def test_a_long_option_that_is_paid_for_never_raises_the_requirement_on_cash(
    quantities: list[int], bought: int
) -> None:
    assume(quantities[bought] >= 0)
    more = [q + (1 if i == bought else 0) for i, q in enumerate(quantities)]
    before, after = (cheapest([x for x in legs(q) if x.qty]) for q in (quantities, more))
    assert after <= before + 1e-6


@settings(max_examples=20)
@given(QUANTITIES, st.integers(2, 3))
def test_a_multiple_needs_at_most_the_multiple(quantities: list[int], times: int) -> None:
    whole = im_equity(legs([times * q for q in quantities]))
    assert whole <= times * im_equity(legs(quantities)) + 1e-6


def test_not_homogeneous_because_contracts_are_whole() -> None:
    held = {("C", 90.0): 1, ("C", 95.0): -1, ("C", 100.0): -1, ("C", 110.0): 1,
            ("P", 90.0): -1, ("P", 95.0): -1, ("P", 100.0): -1}  # fmt: skip
    one = [line(k, x, float(q)) for (k, x), q in held.items()]
    two = [x._replace(qty=2.0 * x.qty) for x in one]
    assert im_equity(two) < 2.0 * im_equity(one) - 40.0


def test_not_subadditive_because_a_trade_can_break_a_strategy() -> None:
    butterfly = {95.0: 1.0, 100.0: -2.0, 105.0: 1.0}
    whole = {**butterfly, 95.0: 0.0}
    parts = im_equity([line("C", k, q) for k, q in butterfly.items()]) + im_equity([line("C", 95.0, -1.0)])
    assert im_equity([line("C", k, q) for k, q in whole.items()]) > parts + 100.0


def test_maintenance_is_at_most_initial() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        book = random_book(rng, EQUITY)
        assert cheapest(book, initial=False) <= cheapest(book) + 1e-9


# -- every key at its lowest and highest value --------------------------------------------------------------
CALL: tuple[Leg, ...] = (("C", 100.0, -1.0, 5.0),)
FAR: tuple[Leg, ...] = (("C", 100.0, 1.0, 12.0, 400.0),)
COLLAR: tuple[Leg, ...] = (("S", 0.0, 100.0, 0.0), ("P", 95.0, 1.0, 2.0), ("C", 105.0, -1.0, 2.0))
PROTECTED: tuple[Leg, ...] = (("S", 0.0, 100.0, 0.0), ("P", 95.0, 1.0, 2.0))
BOX: tuple[Leg, ...] = (
    ("C", 99.0, 1.0, 5.0), ("C", 101.0, -1.0, 4.0), ("P", 99.0, -1.0, 4.0), ("P", 101.0, 1.0, 5.0),
)  # fmt: skip
UNEVEN: tuple[Leg, ...] = (
    ("P", 85.0, 1.0, 0.5), ("P", 95.0, -1.0, 2.0), ("C", 105.0, -1.0, 2.0), ("C", 110.0, 1.0, 1.0),
)  # fmt: skip
#: key: lowest, highest, figure, direction, legs
EXTREMES: dict[str, tuple[Any, Any, str, int, tuple[Leg, ...]]] = {
    "stock_im_rate": (0.25, 1.0, "im", 1, (("S", 0.0, 100.0, 0.0),)),
    "stock_mm_rate": (0.0, 0.5, "mm", 1, (("S", 0.0, 100.0, 0.0),)),
    "short_stock_im_rate": (0.3, 2.0, "im", 1, (("S", 0.0, -100.0, 0.0),)),
    "short_stock_mm_rate": (0.0, 0.5, "mm", 1, (("S", 0.0, -100.0, 0.0),)),
    "short_stock_mm_floor": (0.0, 60.0, "mm", 1, (("S", 0.0, -100.0, 0.0),)),
    "option_rate": (0.1, 1.0, "im", 1, CALL),
    "option_floor_rate": (0.0, 0.2, "im", 1, (("C", 130.0, -1.0, 0.1),)),
    "leverage": (0.5, 3.0, "im", 1, CALL),
    "long_dated_months": (0, 120, "im", 1, FAR),
    "long_dated_loan_rate": (0.0, 1.0, "im", -1, FAR),
    "hedged_strike_rate": (0.0, 1.0, "mm", 1, PROTECTED),
    "collar_call_rate": (0.0, 1.0, "mm", 1, COLLAR),
    "box_rate": (0.0, 1.0, "im", 1, BOX),
    "box_for_european_index": (False, True, "im", -1, BOX),
    "iron_needs_equal_widths": (False, True, "im", 1, UNEVEN),
    "minimum_equity": (0.0, 1e6, "im", 1, CALL),
}


def changed(**values: Any) -> tuple[ParameterSet, ...]:
    return (SET.with_values("*", **values),)


def test_every_key_is_covered() -> None:
    assert set(EXTREMES) == set(StrategyParameters.model_fields)


@pytest.mark.parametrize("key", list(EXTREMES))
def test_every_key_moves_a_case_in_its_direction(key: str) -> None:
    low, high, figure, sign, held = EXTREMES[key]
    others = {"box_for_european_index": True} if key == "box_rate" else {}
    options: dict[str, Any] = {"with_minimum_equity": True} if key == "minimum_equity" else {}
    found = [
        getattr(
            requirement("reg-t", SPOT, held, parameters=changed(**{**others, key: value}), **options), figure
        )
        for value in (low, high)
    ]
    assert sign * (found[1] - found[0]) > 1e-3


def test_minimum_equity_only_where_it_is_asked_for() -> None:
    assert requirement("reg-t", SPOT, CALL).im == pytest.approx(2500.0, abs=1e-6)
    floor = requirement("reg-t", SPOT, (("C", 150.0, 1.0, 0.01),), with_minimum_equity=True)
    assert floor.im_equity == pytest.approx(2000.0, abs=1e-9)


def test_explanation_names_clauses_and_origin() -> None:
    frame = requirement("reg-t", SPOT, COLLAR).explain()
    assert {"RGT-2", "RGT-13", "RGT-15"} <= set(frame["clause"]) and set(frame["status"]) >= {"assumed"}


# -- refusals -----------------------------------------------------------------------------------------------
def test_refusals() -> None:
    future = listed_future("SPX", NOW + pd.Timedelta(days=60), multiplier=50.0)
    held = Account(portfolio=Portfolio(positions=(Position(instrument=future, qty=1.0),), as_of=NOW))
    snapshot = market({"XYZ": SPOT}, {"XYZ": CALL})
    with pytest.raises(ConventionError, match="linear future settled in USD; expected stocks and options"):
        rule("reg-t").requirement(held, snapshot)
    with pytest.raises(ConventionError, match="owes 1 BTC; expected debts in USD only"):
        rule("reg-t").requirement(_with({"BTC": -1.0}), snapshot)
    with pytest.raises(ConventionError, match="open-order margin in account"):
        rule("reg-t").requirement(account({"XYZ": CALL}, open_order_margin={"USD": 1.0}), snapshot)
    with pytest.raises(DataGapError, match="is empty"):
        rule("reg-t").requirement(account({}), snapshot)
    with pytest.raises(RuleVersionError, match="no parameter set of reg-t"):
        rule("reg-t", as_of="1999-01-01")


def _with(collateral: dict[str, float]) -> Account:
    made = account({"XYZ": CALL})
    return Account(portfolio=made.portfolio, collateral=collateral)


def test_contracts_are_whole() -> None:
    half: tuple[Leg, ...] = (("C", 100.0, -0.5, 5.0),)
    held = account({"XYZ": (("C", 100.0, -1.0, 5.0),)}).portfolio.positions[0].instrument
    with pytest.warns(UserWarning, match="not a multiple of the lot"):
        book = Portfolio(positions=(Position(instrument=held, qty=-0.5),), as_of=NOW)
    with pytest.raises(ConventionError, match=r"-0\.5 contracts of XYZ.*whole contracts"):
        rule("reg-t").requirement(Account(portfolio=book), market({"XYZ": SPOT}, {"XYZ": half}))


def test_shares_need_not_be_whole_lots() -> None:
    held: tuple[Leg, ...] = (("S", 0.0, 250.0, 0.0), ("C", 105.0, -2.0, 2.0))
    pairing = requirement("reg-t", SPOT, held).figures["pairing"]
    initial = pairing[pairing["margin"] == "initial"].set_index("strategy")["units"]
    assert initial["covered call"] == 2.0 and initial["long stock"] == 50.0


def test_too_many_strategies_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_module, "_MOST", 3)
    with pytest.raises(ParameterError, match="3 lines of one underlying admit more than 3 strategies"):
        candidates(EQUITY, [line("C", 95.0, 1.0), line("C", 100.0, -1.0), line("C", 105.0, 1.0)], SPOT)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("option_rate", 0.05, "option_floor_rate 0.1 is above option_rate 0.05"),
        ("stock_im_rate", 0.2, "stock_mm_rate 0.25 is above stock_im_rate 0.2"),
        ("leverage", -1.0, "greater than 0"),
        ("option_rate", 1.5, "less than or equal to 1"),
        ("margin", 1.0, "unknown key"),
    ],
)
def test_parameters_out_of_range(key: str, value: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SET.with_values("*", **{key: value})


def test_other_collateral_is_not_eligible() -> None:
    snapshot = market({"XYZ": SPOT, "BTC": 30_000.0}, {"XYZ": CALL})
    found = rule("reg-t").requirement(_with({"USD": 5000.0, "BTC": 1.0, "USDC": 10.0}), snapshot)
    assert found.not_eligible == {"BTC": 1.0, "USDC": 10.0}
    assert found.equity == pytest.approx(5000.0 - 500.0, abs=1e-6) and found.status == "ok"


def test_equity_holds_stock_and_options() -> None:
    held = account({"XYZ": COLLAR}, cash=-4000.0)
    found = rule("reg-t").requirement(held, market({"XYZ": SPOT}, {"XYZ": COLLAR}))
    assert found.equity == pytest.approx(-4000.0 + 10_000.0 + 200.0 - 200.0, abs=1e-6)
    assert found.excess == pytest.approx(found.equity - 5000.0, abs=1e-6)
