"""The cross-collateral variant: one pair as ``spm``, several pairs by hand, equity in the matrix."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.instruments import Position
from pmkit.margin import Account, MarginResult, compare, margin_many, rule, what_if
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.deribit_pm import DeribitPm, DeribitXpm
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import grid

Make = Callable[..., Account]
Asked = Callable[..., MarginResult]
XPM = next(s for s in load_parameter_sets("deribit-pm") if s.variant == "xpm")
SPM = {name: s for s in load_parameter_sets("deribit-pm") if s.variant == "spm" for name in s.tables}
#: 100 BTC long against 1 000 ETH short, in contracts of 10 USD and 1 USD at marks of 60 030 and 3 001.5
HEDGED = {"BTC-PERPETUAL": 600_300.0, "ETH-PERPETUAL": -3_001_500.0}
NAMES = ("BTC-PERPETUAL", "BTC-28JUN24-90000-C", "BTC-28JUN24-50000-P", "ETH-PERPETUAL", "ETH-28JUN24-4500-C")


def changed(**values: Any) -> ParameterSet:
    """Return the shipped set with values of both coins replaced."""
    return functools.reduce(lambda s, coin: s.with_values(coin, **values), ("BTC", "ETH"), XPM)


@pytest.fixture(scope="module")
def asked(market: MarketSnapshot, make_account: Make) -> Asked:
    """Return what the variant asks of quantities and balances under a parameter set."""

    def made(held: Any, money: Any = None, parameters: ParameterSet = XPM, **more: Any) -> MarginResult:
        one = rule("deribit-pm", variant="xpm", parameters=(parameters,))
        found = one.requirement(make_account(held, money or {}, **more), market)
        assert isinstance(found, MarginResult)
        found.check()
        return found

    return made


# -- one pair -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("coin", "held"),
    [
        ("BTC", {"BTC-28JUN24-90000-C": -200.0, "BTC-PERPETUAL": 1000.0}),
        ("BTC", {"BTC-28JUN24-60000-C": 20.0, "BTC-14JUN24-60000-P": -5.0, "BTC-27DEC24": -4000.0}),
        ("BTC", {"BTC-PERPETUAL": 24_000_000.0}),
        ("ETH", {"ETH-28JUN24-4500-C": -30_000.0, "ETH-PERPETUAL": 720_000.0}),
    ],
)
def test_one_pair_without_balance_is_the_segregated_rule_at_the_index(
    coin: str, held: dict[str, float], asked: Asked, market: MarketSnapshot, make_account: Make
) -> None:
    apart = dataclasses.replace(SPM[coin], valid_from=XPM.valid_from)
    alone = rule("deribit-pm", parameters=(apart,)).requirement(make_account(held), market)
    assert {**XPM.table(coin).model_dump(), **apart.table(coin).model_dump()} == XPM.table(coin).model_dump()
    found, spot = asked(held), market.spot(coin)
    assert found.numeraire == "USD" and found.basis == "pnl" and alone.numeraire == coin
    for name in ("im", "mm", "net_option_value", "equity"):
        assert getattr(found, name) == pytest.approx(spot * getattr(alone, name), rel=1e-12)
    assert found.worst_scenario.name == f"{coin}: {alone.worst_scenario.name}"
    assert found.worst_scenario.pnl == pytest.approx(spot * alone.worst_scenario.pnl, rel=1e-12)
    pd.testing.assert_frame_equal(
        found.figures[f"matrix {coin}"].drop(columns="usd"), alone.figures["matrix"]
    )


# -- two pairs ----------------------------------------------------------------------------------------------
def test_two_pairs_by_hand(asked: Asked) -> None:
    found = asked(HEDGED)
    # 100 BTC x 16/84 and 1 000 ETH x 18/82 in coin; each dampened by its cap at -66 %; ETH counts to 60 %
    btc = 100.0 * 0.16 / 0.84 - (0.66 / 0.16 - 1.0) * 100_000.0 / (0.84 * 60_000.0)
    eth = 1_000.0 * 0.18 / 0.82 - (0.66 / 0.18 - 1.0) * 200_000.0 / (0.82 * 3_000.0)
    worst = 60_000.0 * btc - 0.6 * 3_000.0 * eth
    assert worst == pytest.approx(765_955.2846, abs=1e-3)
    assert found.worst_scenario.name == "BTC: -66% extended, vol up; ETH: -66% extended, vol up"
    assert -found.worst_scenario.pnl == pytest.approx(worst, rel=1e-9)
    assert found.addons == pytest.approx({"BTC roll_shock": 60_000.0, "ETH roll_shock": 15_000.0})
    assert found.im == pytest.approx(worst + 75_000.0, rel=1e-9)
    assert found.mm == pytest.approx(0.8 * found.im, rel=1e-12)
    # the other way BTC loses in the rise and gains nothing that counts in the fall
    turned = asked({name: -qty for name, qty in HEDGED.items()})
    fall = turned.figures["matrix BTC"].loc["-16%, vol same"]
    assert fall["dampened"] == pytest.approx(100.0 * 0.16 / 0.84) and fall["final"] == 0.0
    assert turned.im > found.im - 1e6


def test_apart_adds_the_worst_cases(asked: Asked) -> None:
    apart = asked(HEDGED, parameters=changed(combination="apart"))
    worst = 60_000.0 * 100.0 * 0.16 / 0.84 + 3_000.0 * 1_000.0 * 0.18 / 1.18
    assert apart.im == pytest.approx(worst + 75_000.0, rel=1e-9)
    assert apart.worst_scenario.name == "BTC: -16%, vol same; ETH: +18%, vol same"
    one = asked(HEDGED, parameters=XPM.with_values("BTC", combination="apart"))
    assert one.im == pytest.approx(apart.im, rel=1e-12)
    assert len(apart.scenario_vector) == 2 * len(asked(HEDGED).scenario_vector)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_gain_offsets_its_share_up_to_its_limit(share: float, asked: Asked) -> None:
    plain = {"extended_dampener": 1e9, "pnl_offset": share}  # no tail rows
    gain = share * 3_000.0 * 1_000.0 * 0.18 / 0.82
    loss = 60_000.0 * 100.0 * 0.16 / 0.84
    # where nothing of the gain counts, the worst case is that of BTC alone; BTC has no share of its own
    for limit in (1e9, 100_000.0, 0.0):
        used = changed(**plain, max_offsetable_pnl=limit)
        found = asked(HEDGED, parameters=used)
        assert -found.worst_scenario.pnl == pytest.approx(loss - min(gain, limit), rel=1e-9)


quantities = st.tuples(*[st.integers(-6, 6)] * 5)
SIZES = (60_000.0, 50.0, 50.0, 300_000.0, 1_000.0)


def lines(q: Any) -> dict[str, float]:
    return {name: float(n) * size for name, n, size in zip(NAMES, q, SIZES, strict=True)}


@settings(max_examples=15)
@given(q=quantities, btc=st.integers(-20, 20), eth=st.integers(-200, 200))
def test_apart_is_never_below_together(asked: Asked, q: Any, btc: int, eth: int) -> None:
    money = {"BTC": float(btc), "ETH": float(eth), "USDC": 1e6}
    joint = asked(lines(q), money)
    apart = asked(lines(q), money, changed(combination="apart"))
    assert apart.im >= joint.im - 1e-3  # coins are rounded to nine decimals


# -- equity as a position -----------------------------------------------------------------------------------
def test_equity_hedges_a_short_and_adds_to_a_long(asked: Asked) -> None:
    short, long = {"BTC-PERPETUAL": -600_300.0}, {"BTC-PERPETUAL": 600_300.0}
    hedged = asked(short, {"BTC": 100.0})
    assert hedged.im == pytest.approx(60_000.0, rel=1e-12)  # the roll shock alone
    assert asked(short).im > 5.0 * hedged.im
    assert asked(long, {"BTC": 100.0}).im == pytest.approx(2.0 * asked(long).im - 60_000.0, rel=1e-9)
    owed = asked(long, {"BTC": -100.0, "USDC": 1e7})
    assert owed.im == pytest.approx(60_000.0, rel=1e-12) and owed.equity == pytest.approx(4e6, rel=1e-12)
    still = asked(short, {"BTC": 100.0}, changed(equity_side_impact="none"))
    assert still.im == pytest.approx(asked(short).im, rel=1e-12)
    alone = asked({}, {"ETH": 1_000.0, "USDT": 5.0})
    assert alone.im == pytest.approx(3_000.0 * 1_000.0 * 0.18 / 0.82, rel=1e-9)
    assert alone.equity == pytest.approx(3_000_005.0)


def test_unsettled_profit_moves_with_the_coin(market: MarketSnapshot) -> None:
    line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 600_300, "as_of": market.as_of}
    one = rule("deribit-pm", variant="xpm")
    entered = one.requirement(Account.from_records([{**line, "entry_price": 40_000.0}]), market)
    profit = 6_003_000.0 * (1.0 / 40_000.0 - 1.0 / 60_030.0)
    bare = one.requirement(Account.from_records([line]), market)
    assert entered.equity == pytest.approx(60_000.0 * profit, rel=1e-12)
    more = 60_000.0 * profit * 0.16 / 0.84
    assert entered.im - bare.im == pytest.approx(more, rel=1e-9)
    assert entered.explain()["value"].iloc[0] == pytest.approx(profit, rel=1e-12)


def test_haircut_cuts_coin_assets_alone(asked: Asked) -> None:
    cut = changed(haircut=0.25)
    money = {"BTC": 10.0, "ETH": -20.0, "USDC": 1_000.0}
    plain, less = asked(HEDGED, money), asked(HEDGED, money, cut)
    assert plain.equity - less.equity == pytest.approx(0.25 * 600_000.0)
    assert (plain.im, plain.mm) == (less.im, less.mm)


def test_a_coin_received_never_lowers_what_is_left(asked: Asked) -> None:
    for held in (HEDGED, {"BTC-28JUN24-90000-C": -200.0}, {"ETH-PERPETUAL": -3_000_000.0}, {}):
        for coin in ("BTC", "ETH"):
            left = [asked(held, {"USDC": 1e6, coin: x}).excess for x in (-50.0, 0.0, 50.0, 500.0)]
            assert left == sorted(left)


# -- obligations, contingency, sets -------------------------------------------------------------------------
def test_obligations_are_initial_margin_alone_in_usd(asked: Asked) -> None:
    owed = {"mmp_margin": {"BTC": 0.5}, "open_order_margin": {"ETH": 2.0, "USDC": 100.0}}
    found, plain = asked(HEDGED, **owed), asked(HEDGED)
    assert found.im - plain.im == pytest.approx(30_000.0 + 6_100.0)
    assert found.mm == plain.mm
    assert found.addons["mmp_margin"] == 30_000.0 and found.addons["open_order_margin"] == 6_100.0


def test_contingency_of_a_coin_is_charged_where_it_is_held(asked: Asked) -> None:
    found = asked({"BTC-PERPETUAL": 6_003.0}, {"USDC": 1.0}, changed(correlation_contingency=0.1))
    assert found.addons["BTC correlation_contingency"] == pytest.approx(6_000.0)
    assert "ETH correlation_contingency" not in found.addons


def test_the_larger_maintenance_factor_holds(asked: Asked) -> None:
    found = asked(HEDGED, parameters=XPM.with_values("ETH", mm_factor=0.9))
    assert found.mm == pytest.approx(0.9 * found.im, rel=1e-12)


def test_it_says_that_it_is_illustrative(asked: Asked) -> None:
    found = asked(HEDGED, {"USDC": 1.0})
    assert found.notes[0].startswith("illustrative") and found.notes[1] == "USDC counted at 1 USD"
    assert "illustrative-mixed" in found.param_set and XPM.note.startswith("Illustrative")
    said = found.explain()
    usd = said[(said["unit"] == "USD") | said["what"].str.contains("equity")]
    assert set(usd["status"]) == {"assumed"}
    assert XPM.status["combination"] == XPM.status["haircut"] == "assumed"
    with pytest.warns(StaleParametersWarning, match=r"deribit-pm-xpm-illustrative-mixed-2024-06"):
        assert rule("deribit-pm", "2026-08-01", "xpm", stale="warn").parameter_set(later()).id == XPM.id
    with pytest.raises(RuleVersionError, match="was last observed on 2024-06-17"):
        rule("deribit-pm", "2026-08-01", "xpm")


def later() -> MarketSnapshot:
    return MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})


# -- beside the other rules ---------------------------------------------------------------------------------
def test_lines_alone_and_what_may_change(asked: Asked, market: MarketSnapshot, make_account: Make) -> None:
    one, money = rule("deribit-pm", variant="xpm"), {"BTC": 50.0, "USDC": 1e6}
    account = make_account(HEDGED, money)
    each = [asked({name: qty}).im for name, qty in HEDGED.items()] + [asked({}, {"BTC": 50.0}).im]
    np.testing.assert_allclose(one.line_im_equity(account, market), each, rtol=1e-12)
    moves = grid([-0.2, -0.1, 0.1, 0.2], dynamics="sticky_strike", underlyings=["BTC", "ETH"])
    found = compare(account, market, [one], common=moves)
    assert found["deribit-pm"].im == asked(HEDGED, money).im
    assert found["deribit-pm"].netting_benefit == pytest.approx(1.0 - asked(HEDGED, money).im / sum(each))
    changed_book = what_if(account, Position(instrument=account.instruments[1], qty=3_001_500.0), market, one)
    assert changed_book.after.im == pytest.approx(asked({"BTC-PERPETUAL": 600_300.0}, money).im, rel=1e-12)
    many = margin_many({"a": account, "b": make_account(HEDGED)}, market, one)
    assert many.values["im"].tolist() == [asked(HEDGED, money).im, asked(HEDGED).im]


# -- which properties hold ----------------------------------------------------------------------------------
def need(asked: Asked, q: Any, parameters: ParameterSet = XPM) -> float:
    held = {name: float(x) for name, x in zip(NAMES, q, strict=True)}
    return asked(held, None, parameters).im


@settings(max_examples=15)
@given(a=quantities, b=quantities)
def test_convex_where_gains_do_not_count(asked: Asked, a: Any, b: Any) -> None:
    used = changed(pnl_offset=0.0, delta_total_liq_shock_threshold=1e12)
    x, y = (2.0 * np.multiply(q, SIZES) for q in (a, b))
    assert need(asked, (x + y) / 2.0, used) <= (need(asked, x, used) + need(asked, y, used)) / 2.0 + 1e-3


def test_neither_homogeneous_nor_subadditive_nor_convex(asked: Asked) -> None:
    tail = (0.0, -200.0, 0.0, 0.0, 0.0)
    once, twice = (need(asked, np.multiply(tail, n)) for n in (1.0, 2.0))
    assert twice > 2.1 * once  # the dampener is taken off once
    # a tail gain of ETH within the dampener counts nothing, beyond it by its share
    few, lots = (0.0, -200.0, 0.0, 0.0, 0.0), (0.0, -200.0, 0.0, 0.0, 7_000.0)
    middle = np.add(few, lots) / 2.0
    assert need(asked, middle) > 1.001 * (need(asked, few) + need(asked, lots)) / 2.0


def test_a_bought_option_can_raise_the_requirement_and_lower_what_is_left(asked: Asked) -> None:
    without, given_one = asked({}, {"USDC": 1e6}), asked({"ETH-28JUN24-4500-C": 1.0}, {"USDC": 1e6})
    assert given_one.im > without.im == 0.0 and given_one.excess < without.excess


# -- bad input ----------------------------------------------------------------------------------------------
def test_bad_input_is_refused_by_name(
    asked: Asked, venue: Any, market: MarketSnapshot, make_account: Make
) -> None:
    one = rule("deribit-pm", variant="xpm", stale="warn")
    linear = {"BTC-PERP-USDC": 1.0}
    with pytest.raises(ConventionError, match=r"BTC-PERP-USDC: linear .* deribit-pm xpm knows no others"):
        one.requirement(venue.account(linear, {}), venue.market(linear))
    with pytest.raises(RuleVersionError, match=r"illustrative-mixed-2024-06 holds nothing for SOL"):
        rule("deribit-pm", variant="xpm").requirement(
            make_account({}, {"SOL": 1.0}), MarketSnapshot.from_marks(market.as_of, {"SOL": 100.0})
        )
    with pytest.raises(
        ParameterError, match=r"BTC and ETH differ in buckets_per_side.*combination=\"apart\""
    ):
        asked(HEDGED, parameters=XPM.with_values("ETH", buckets_per_side=5))
    apart = XPM.with_values("ETH", buckets_per_side=5, combination="apart")
    assert asked(HEDGED, parameters=apart).im > 0.0
    for key, value in (("combination", "both"), ("haircut", 1.5), ("equity_side_impact", "up")):
        with pytest.raises(ParameterError, match=key):
            XPM.with_values("BTC", **{key: value})
    with pytest.raises(RuleVersionError, match=r"is margined over the whole account.*variant=\"xpm\""):
        DeribitPm(variant="xpm")
    with pytest.raises(ParameterError, match="variant 'spm' of DeribitXpm"):
        DeribitXpm(variant="spm")
    with pytest.raises(ParameterError, match="unknown option 'feeds' of deribit-pm"):
        rule("deribit-pm", variant="xpm", feeds=None)


def test_the_delta_shock_may_be_read_otherwise(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 600_300.0})
    plain = rule("deribit-pm", variant="xpm").requirement(account, market)
    read = rule("deribit-pm", variant="xpm", delta_shock=lambda delta, spot, table: abs(delta) / 100.0)
    assert read.requirement(account, market).im - plain.im == pytest.approx(60_000.0, rel=1e-9)
