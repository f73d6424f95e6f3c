"""The builder on the real chain: trades, prices of limits, lots, statuses in words, and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pmkit as pm
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot, Quotes
from pmkit.optimize import (
    AtMost,
    Band,
    Cost,
    ExpectedLoss,
    Leg,
    Legs,
    LongOnly,
    NoTrade,
    Problem,
    Requirement,
    Shortfall,
    Variance,
    Weighted,
    Worst,
    close_first,
    hedge,
    legs_at_cost,
    legs_from_quotes,
    split_across_venues,
)

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

WINGS = ("BTC-25SEP26-70000-C", "BTC-25SEP26-52000-P", "BTC-25SEP26-80000-C", "BTC-PERPETUAL")

Make = Callable[..., Problem]


@pytest.fixture(scope="module")
def make(quotes: Quotes, snap: MarketSnapshot, straddle: pm.Account, spm: AnyRule) -> Make:
    """Return a maker of problems that hedge the short straddle with its wings."""

    def problem(**changed: Any) -> Problem:
        names = changed.pop("names", WINGS)
        most = changed.pop("most", {n: 10.0 for n in WINGS[:3]} | {"BTC-PERPETUAL": 5000.0})
        legs = legs_from_quotes(quotes, snap, names, fee_rate=0.0003, fee_cap=0.125)
        given = {"objective": Requirement(spm), "constraints": (AtMost(Cost(), 400.0),), **changed}
        if isinstance(most, dict):
            most = {name: size for name, size in most.items() if name in legs.names}
        return Problem(account=straddle, snapshot=snap, legs=legs.limited(most), **given)

    return problem


# -- what a solution is -------------------------------------------------------------------------------------
def test_hedge_of_the_straddle(make: Make, spm: AnyRule, snap: MarketSnapshot) -> None:
    found = make().solve()
    assert found.status == "optimal"
    assert found.before == pytest.approx(spm.requirement(make().account, snap).im, rel=1e-12)
    assert found.value == pytest.approx(spm.requirement(found.account, snap).im, rel=1e-12)
    assert found.value < 0.8 * found.before
    assert found.tie_out < 1e-8
    assert found.gap < 1e-8
    assert found.cost <= 400.0 * (1.0 + 1e-9)
    assert found.freed == pytest.approx(found.before - found.value)
    found.check()


def test_price_of_the_budget_is_its_slope(make: Make) -> None:
    low, high = (make(constraints=(AtMost(Cost(), b),)).solve() for b in (300.0, 301.0))
    assert low.prices.loc["cost", "side"] == "upper"
    slope = low.value - high.value
    assert low.prices.loc["cost", "price"] == pytest.approx(slope, rel=1e-6)


def test_price_of_a_leg_limit_is_its_slope(make: Make) -> None:
    wide = {n: 2.0 for n in WINGS[:3]} | {"BTC-PERPETUAL": 100.0}
    one = make(most=wide, constraints=()).solve()
    more = make(most=wide | {"BTC-25SEP26-52000-P": 2.001}, constraints=()).solve()
    price = float(one.prices["price"]["most buy BTC-25SEP26-52000-P"])
    assert one.value - more.value == pytest.approx(0.001 * price, rel=1e-4)


def test_band_binds_with_the_price_of_its_slope(make: Make) -> None:
    free = make(constraints=()).solve()
    exposure = pm.margin.exposures(free.account.portfolio, make().snapshot)["vega"].sum()
    one, more = (make(constraints=(Band("vega", high=exposure - x),)).solve() for x in (100.0, 99.0))
    vega = pm.margin.exposures(one.account.portfolio, make().snapshot)["vega"].sum()
    assert vega == pytest.approx(exposure - 100.0, abs=1e-3)
    assert one.prices.loc["vega", "price"] == pytest.approx(one.value - more.value, rel=1e-3)


def test_gross_delta_and_signs_are_kept(make: Make) -> None:
    limit = 900_000.0
    found = make(
        constraints=(Band("gross_delta", high=limit), LongOnly(WINGS[:3]), NoTrade(("BTC-PERPETUAL",)))
    ).solve()
    rows = pm.margin.exposures(found.account.portfolio, make().snapshot)
    assert rows["delta"].abs().sum() <= limit * (1.0 + 1e-9)
    assert "BTC-PERPETUAL" not in found.trades.index
    assert (found.trades["after"].reindex(WINGS[:3]).dropna() >= 0.0).all()


def test_whole_lots_and_smallest_size(make: Make) -> None:
    whole = make(whole_lots=True).solve()
    free = make().solve()
    lots = {i.name: i.lot for i in make().instruments}
    for name, trade in whole.trades["trade"].items():
        assert trade / lots[str(name)] == pytest.approx(round(trade / lots[str(name)]), abs=1e-12)
    assert whole.kind == "mixed-integer programme"
    assert free.value <= whole.value * (1.0 + 1e-9)
    assert whole.value <= free.value * 1.05
    base = make(names=WINGS[:2])
    legs = tuple(replace(leg, min_size=4.0) for leg in base.legs.legs)
    least = replace(base, legs=Legs(legs=legs)).solve()
    assert (least.trades["trade"].abs() >= 4.0 - 1e-9).all()


def test_depth_is_used_up_before_what_lies_beyond(make: Make) -> None:
    base = make(names=WINGS[:1])
    leg = base.legs.legs[0]
    deep = replace(leg, depth=3.0, cost_beyond=5.0 * leg.cost)
    budget = deep.cost_of(4.0)
    found = replace(base, legs=Legs(legs=(deep,)), constraints=(AtMost(Cost(), budget),)).solve()
    assert found.trades["trade"].abs().tolist() == pytest.approx([4.0])
    assert found.cost == pytest.approx(budget)


def test_weighted_objective_and_expected_loss(make: Make) -> None:
    price = 63_000.0 * 0.05
    requirement = make().objective
    sums = Weighted(((price, requirement), (1.0, Cost())))
    found = make(objective=sums, constraints=()).solve()
    parts = found.terms["after"]
    assert found.value == pytest.approx(price * parts[requirement.label] + parts["cost"])
    assert found.status == "optimal"
    profit = {i.name: 0.0 for i in make().instruments} | {"BTC-25SEP26-70000-C": 100.0}
    bought = make(objective=ExpectedLoss(profit), constraints=()).solve()
    assert bought.value == pytest.approx(-1000.0)


# -- statuses -----------------------------------------------------------------------------------------------
def test_no_trade_pays(make: Make) -> None:
    found = make(constraints=(AtMost(Cost(), 0.0),)).solve()
    assert found.status == "no_trade"
    assert "standing still" in found.words
    assert not len(found.trades)


def test_lots_that_make_the_answer_zero(make: Make) -> None:
    leg = make(names=WINGS[:1]).legs.legs[0]
    coarse = replace(leg, instrument=replace(leg.instrument, lot=1000.0), max_buy=2000.0, max_sell=2000.0)
    found = make(names=WINGS[:1], most=1e9, whole_lots=True)
    found = replace(found, legs=Legs(legs=(coarse,))).solve()
    assert found.status == "lots_too_coarse"
    assert "whole lots" in found.words


def test_contradictory_bands_are_named(make: Make) -> None:
    bands = (Band("vega", low=5_000.0), Band("vega", high=-9_000.0), Band("gamma", high=1e12))
    found = make(constraints=bands).solve()
    assert found.status == "infeasible"
    assert found.words.count("vega") >= 2
    assert "gamma" not in found.words
    assert math.isnan(found.value)
    assert not found.solved
    found.check()


def test_what_must_give_is_enough(make: Make) -> None:
    low = 5_000.0
    found = make(constraints=(AtMost(Cost(), 20.0), Band("vega", low=low))).solve()
    assert found.status == "infeasible"
    missed = {str(k): float(v) for k, v in found.relaxation["missed"].items()}
    assert missed
    assert set(missed) <= {"vega", "cost"}
    share = 1e-6
    eased = (
        AtMost(Cost(), 20.0 + missed.get("cost", 0.0) + share * 20.0),
        Band("vega", low=low - missed.get("vega", 0.0) - share * low),
    )
    assert make(constraints=eased).solve().solved


def test_a_single_band_out_of_reach(make: Make) -> None:
    found = make(constraints=(Band("vega", low=1e9),)).solve()
    assert found.words.startswith("infeasible: no trade in these legs reaches 1,000,000,000 ≤ vega")


def test_unbounded_names_the_leg(make: Make) -> None:
    profit = {i.name: 0.0 for i in make().instruments} | {"BTC-25SEP26-70000-C": 100.0}
    found = make(objective=ExpectedLoss(profit), constraints=(), most=math.inf).solve()
    assert found.status == "unbounded"
    assert "buying BTC-25SEP26-70000-C" in found.words


def shocked(
    snap: MarketSnapshot, spm: AnyRule, most: float, names: tuple[str, ...], qty: float = -5_000_000.0
) -> Problem:
    """Return a book of about 800 coins short, above the threshold of the delta shock."""
    row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": qty, "as_of": "2026-08-01T17:58:04Z"}
    held = pm.Account.from_records([row])
    legs = legs_at_cost([pm.instruments.parse_instrument(n, snap.as_of) for n in names], 0.001)
    legs = legs.limited({n: most if n.count("-") == 1 else 300.0 for n in names})
    return Problem(account=held, snapshot=snap, legs=legs, objective=Requirement(spm))


def test_delta_shock_is_part_of_the_programme(snap: MarketSnapshot, spm: AnyRule) -> None:
    problem = shocked(snap, spm, 1e6, ("BTC-28AUG26", "BTC-25SEP26-62000-C"))
    found = problem.solve()
    own = spm.requirement(found.account, snap)
    assert own.addons["delta_shock"] > 0.0
    assert found.value == pytest.approx(own.im)
    assert found.programme == pytest.approx(own.im, rel=1e-8)
    assert found.left_out == 0.0
    assert found.status == "optimal"
    assert found.kind == "mixed-integer programme"
    assert found.bound == pytest.approx(found.value, rel=1e-8)
    generator = np.random.Generator(np.random.PCG64(5))
    best = np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    most = np.array([0.0, 1e6, 300.0])
    for size in (1.0, 0.1, 0.01):
        for _ in range(10):
            trades = np.clip(best + size * most * generator.uniform(-1.0, 1.0, 3), -most, most)
            assert problem.objective.value(problem.outcome(trades)) >= found.value * (1.0 - 1e-8)


def test_delta_shock_that_can_be_traded_away_is_proven(snap: MarketSnapshot, spm: AnyRule) -> None:
    found = shocked(snap, spm, 1e7, ("BTC-28AUG26",)).solve()
    assert found.status == "optimal"
    assert found.gap < 1e-8
    assert spm.requirement(found.account, snap).addons["delta_shock"] == 0.0


def test_a_limit_with_the_shock_in_it_is_kept(snap: MarketSnapshot, spm: AnyRule) -> None:
    problem = shocked(snap, spm, 1e6, ("BTC-28AUG26",))
    limit = 0.5 * (problem.solve().value + spm.requirement(problem.account, snap).im)
    found = replace(problem, objective=Cost(), constraints=(AtMost(Requirement(spm), limit),)).solve()
    own = spm.requirement(found.account, snap)
    assert found.status == "optimal"
    assert own.addons["delta_shock"] > 0.0
    assert own.im == pytest.approx(limit, rel=1e-8)
    assert found.prices["unit"][found.prices.index[0]] == "BTC"
    out_of_reach = replace(
        problem, objective=Cost(), constraints=(AtMost(Requirement(spm), 0.9 * problem.solve().value),)
    ).solve()
    assert out_of_reach.status == "infeasible"
    assert "IM deribit-pm spm by" in out_of_reach.words


# -- display ------------------------------------------------------------------------------------------------
def test_problem_and_optimum_speak(make: Make) -> None:
    problem = make()
    text = repr(problem)
    assert "minimise    IM deribit-pm spm" in text
    assert "subject to  cost ≤ 400 USD" in text
    assert problem._repr_html_().startswith("<pre>")
    found = problem.solve()
    assert "cost binds at its upper end 400" in found.explain()
    assert set(found.to_dict()) >= {"trade", "cost"}
    assert found.summary().loc["status", "value"] == "optimal"
    assert found.plot().get_xlabel() == "contracts, bought positive"
    assert problem.legs.summary().shape == (4, 7)
    assert found.cite()
    assert repr(problem.solve()) == repr(found)


# -- bad input ----------------------------------------------------------------------------------------------
def test_rules_that_cannot_be_optimised(make: Make) -> None:
    with pytest.raises(ParameterError, match=r"deribit-standard cannot be optimised.*one of deribit-pm"):
        Requirement(pm.margin.rule("deribit-standard", stale="warn"))
    with pytest.raises(ParameterError, match="which is 'both'"):
        Requirement(make().objective.rule, "both")  # type: ignore[attr-defined, arg-type]


def test_instruments_without_a_quote(quotes: Quotes, snap: MarketSnapshot) -> None:
    unquoted = str(quotes.ledger["instrument"].iloc[0])
    with pytest.raises(DataGapError, match=f"{unquoted} has bid nan.*a bid and an ask"):
        legs_from_quotes(quotes, snap, [unquoted])
    with pytest.raises(DataGapError, match="BTC-28AUG26-1-C is not quoted"):
        legs_from_quotes(quotes, snap, ["BTC-28AUG26-1-C"])
    with pytest.raises(ConventionError, match="take both from the same source"):
        later = replace(snap, as_of=snap.as_of + pd.Timedelta("1D"))
        legs_from_quotes(quotes, later, WINGS)
    with pytest.raises(ParameterError, match=r"beyond 0.5"):
        legs_from_quotes(quotes, snap, WINGS, beyond=0.5)


def test_legs_are_checked(make: Make) -> None:
    instrument = make().legs.legs[0].instrument
    with pytest.raises(ParameterError, match=r"cost of .* is -1.0"):
        Leg(instrument=instrument, cost=-1.0)
    with pytest.raises(ParameterError, match=r"cost_beyond of .* does not get cheaper"):
        Leg(instrument=instrument, cost=2.0, cost_beyond=1.0)
    with pytest.raises(ParameterError, match="smallest trade and no largest"):
        Leg(instrument=instrument, min_size=1.0)
    with pytest.raises(ParameterError, match="two legs in"):
        legs_at_cost([instrument, instrument])
    with pytest.raises(ParameterError, match="no leg"):
        Legs(legs=())
    with pytest.raises(DataGapError, match="no cost of"):
        legs_at_cost([instrument], {})
    other = replace(instrument, multiplier=2.0)
    with pytest.raises(ParameterError, match="another contract than the one held"):
        replace(make(), account=make().solve().account, legs=legs_at_cost([other]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: Band("delta", 1.0, -1.0), "a lower bound that is at most the upper one"),
        (lambda: Band("delta"), "one of them finite"),
        (lambda: Band("gross_delta", low=1.0, high=2.0), "an upper bound only"),
        (lambda: Band("theta", high=1.0), "greek is 'theta'"),
        (lambda: AtMost(Cost(), math.nan), "limit of cost is nan"),
        (lambda: Weighted(((-1.0, Cost()),)), "finite numbers, 0 or more"),
        (lambda: Weighted(()), "weights"),
    ],
)
def test_constraints_are_checked(given: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        given()


def test_names_and_kinds_are_checked(make: Make, straddle: pm.Account) -> None:
    with pytest.raises(ParameterError, match="no trade names 'BTC-1'"):
        make(constraints=(NoTrade(("BTC-1",)),)).solve()
    with pytest.raises(ParameterError, match="is held short and cannot be traded"):
        make(constraints=(LongOnly(),)).solve()
    with pytest.raises(ParameterError, match=r"constraint 'delta'"):
        make(constraints=("delta",))
    with pytest.raises(ParameterError, match="objective 'im'"):
        make(objective="im")
    with pytest.raises(DataGapError, match="no expected profit of"):
        make(objective=ExpectedLoss({})).solve()


def test_cube_without_an_instrument(make: Make) -> None:
    problem = make()
    scenarios = pm.scenarios.grid(np.linspace(-0.2, 0.2, 21), dynamics="sticky_strike", underlyings=["BTC"])
    cube = pm.risk.revalue(list(problem.instruments[:2]), problem.snapshot, scenarios)
    with pytest.raises(DataGapError, match="is not in the cube of 2 instruments"):
        make(objective=Shortfall(cube, 0.9)).solve()
    with pytest.raises(ParameterError, match="no whole one of 21 scenarios is beyond"):
        Shortfall(cube, 0.99)
    with pytest.raises(ParameterError, match=r"level is 0.3"):
        Shortfall(cube, 0.3)


def test_check_finds_a_changed_value(make: Make) -> None:
    found = make().solve()
    with pytest.raises(PmkitError, match="by definition and"):
        replace(found, value=found.value * 1.001).check()
    with pytest.raises(PmkitError, match="above the value"):
        replace(found, bound=found.value * 1.001).check()


def test_two_limits_of_one_name_keep_their_own_prices(make: Make) -> None:
    found = make(constraints=(AtMost(Cost(), 300.0), AtMost(Cost(), 200.0))).solve()
    assert "cost (2)" in found.prices.index
    assert "cost" not in found.prices.index
    assert found.cost == pytest.approx(200.0)


def test_a_band_that_forces_a_worse_margin_is_still_optimal(make: Make) -> None:
    free = make(constraints=()).solve()
    exposure = pm.margin.exposures(make().account.portfolio, make().snapshot)["vega"].sum()
    forced = make(constraints=(Band("vega", high=exposure - 60.0),), most=3.0, names=WINGS[:2]).solve()
    assert forced.status == "optimal"
    assert "goes from" in forced.words
    assert forced.value > free.value


def test_free_legs_are_left_alone_where_nothing_is_held(snap: MarketSnapshot, spm: AnyRule) -> None:
    cash = pm.Account.from_records(
        [{"type": "collateral", "instrument": "BTC", "qty": 1.0, "as_of": "2026-08-01T17:58:04Z"}]
    )
    names = [pm.instruments.parse_instrument(n, snap.as_of) for n in WINGS]
    legs = legs_at_cost(names, max_buy=10.0, max_sell=10.0)
    problem = Problem(account=cash, snapshot=snap, legs=legs, objective=Requirement(spm))
    found = problem.solve()
    assert found.status == "no_trade"
    assert found.value == 0.0
    assert not len(found.trades)
    forced = replace(problem, constraints=(Band("vega", low=50.0),)).solve()
    assert forced.status == "optimal"
    assert forced.value > 0.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda p: AtMost("cost", 5.0), "term of a limit is a str; expected a Term"),
        (lambda p: AtMost(Cost(), "5"), "limit of cost is '5'; expected a number"),
        (lambda p: Weighted(((1.0, "IM"),)), "term of a part is a str"),
        (lambda p: Weighted((1.0, Cost())), "a part is 1.0"),
        (lambda p: Worst(("x",)), "one of parts is a str"),
        (lambda p: NoTrade("BTC-PERPETUAL"), r"names is 'BTC-PERPETUAL'.*write \(name,\)"),
        (lambda p: NoTrade(()), "no trade in no contract"),
        (lambda p: LongOnly("BTC-PERPETUAL"), "names is 'BTC-PERPETUAL'"),
        (lambda p: Band("delta", low="a"), "bound of delta is 'a'"),
        (lambda p: replace(p, constraints=AtMost(Cost(), 5.0)), "constraints is AtMost"),
        (lambda p: replace(p, legs=list(p.legs.legs)), "legs is a list; expected a Legs"),
        (lambda p: replace(p, account="book"), "account is a str; expected an Account"),
        (lambda p: replace(p, snapshot="today"), "snapshot is a str"),
        (lambda p: replace(p, whole_lots="yes"), "whole_lots is a str"),
        (lambda p: Leg(instrument="BTC-PERPETUAL"), "instrument is a str"),
        (lambda p: replace(p.legs.legs[0], cost="1"), "cost of .* is '1'"),
        (lambda p: legs_at_cost(["BTC-PERPETUAL"]), "one of instruments is a str"),
        (lambda p: legs_at_cost([], None), "cost is None"),
        (lambda p: legs_at_cost([], 1.0, mx=3.0), "no field 'mx' of a leg"),
        (lambda p: Legs(legs=("a",)), "one of legs is a str"),
        (lambda p: p.legs.limited("3"), "most is '3'"),
        (lambda p: p.legs.limited({"BTC-1": 3.0}), "a limit for 'BTC-1'"),
        (lambda p: legs_from_quotes("chain.csv", p.snapshot, WINGS), "quotes is a str"),
        (lambda p: Shortfall("cube"), "cube is a str; expected a PnLCube"),
        (lambda p: Variance("cube"), "cube is a str"),
        (lambda p: replace(p, objective=ExpectedLoss({"BTC": "x"})).solve(), "profit of BTC is 'x'"),
        (lambda p: split_across_venues(p.account, p.snapshot, []), "venues is a list"),
        (lambda p: hedge(p.account, p.snapshot, p.objective.rule, p.legs, budgets=5.0), "budgets is 5.0"),
        (lambda p: close_first(p.account, p.snapshot, p.objective.rule, p.legs, target="1"), "target is '1'"),
    ],
)
def test_arguments_of_another_kind_are_refused_by_name(
    make: Make, given: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(PmkitError, match=message):
        given(make())


def test_sentences_count_right(make: Make) -> None:
    single = make(names=WINGS[:1], constraints=(), most=2.0)
    text = single.describe()
    assert "by trading  1 contract in any size" in text
    found = single.solve()
    assert "one contract more is worth" in found.explain()
    assert "contracts more" not in found.explain()
    one = single.account.with_portfolio(single.account.portfolio.with_positions(
        tuple(single.account.portfolio)[:1]))  # fmt: skip
    assert replace(single, account=one).describe().splitlines()[3] == "  holding     1 position"
    assert "IM deribit-pm spm ≤ 1 coin" in AtMost(single.objective, 1.0).text
