"""Hyperliquid's portfolio margin and leverage brackets: properties, counterexamples, named refusals."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, RuleVersionError
from pmkit.margin import MarginResult, rule
from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.rules.hyperliquid_pm import portfolio_margin_ratio
from pmkit.margin.schemas import BracketRow

ALPHA = next(s for s in load_parameter_sets("hyperliquid-pm") if s.variant == "alpha")
FIVE = Brackets(rows=load_parameter_sets("leverage-brackets")[0].table("BTC").brackets[0].rows)


def margin(
    venue: Any, held: dict[str, float], cash: dict[str, float] | None = None,
    name: str = "hyperliquid-pm", fx: dict[str, float] | None = None, **more: Any,
) -> MarginResult:  # fmt: skip
    result = rule(name, **more).requirement(venue.account(held, cash), venue.market(held, fx=fx))
    result.check()
    return result


# -- the ratio and the requirement say the same -------------------------------------------------------------
@settings(max_examples=40)
@given(
    btc=st.floats(0.0, 30.0), usdc=st.floats(-2e6, 2e6), swaps=st.integers(-20, 20), eth=st.integers(-50, 50)
)
def test_below_maintenance_exactly_where_the_ratio_says_so(
    venue: Any, btc: float, usdc: float, swaps: int, eth: int
) -> None:
    result = margin(
        venue, {"BTC-PERP-USDC": float(swaps), "ETH-PERP-USDC": float(eth)}, {"BTC": btc, "USDC": usdc}
    )
    ratio = result.figures["portfolio margin ratio"]
    distance = result.equity - result.mm
    if abs(distance) > 1e-6:
        assert (ratio > 0.95) == (distance < 0.0)
    assert result.im >= result.mm >= 0.0
    assert result.collateral_treatment == "haircut" and math.isnan(result.worst_scenario.pnl)


@settings(max_examples=25)
@given(a=st.tuples(st.floats(0, 8), st.floats(-1e5, 1e6), st.integers(-9, 9)), w=st.floats(0.0, 1.0),
       b=st.tuples(st.floats(0, 8), st.floats(-1e5, 1e6), st.integers(-9, 9)))  # fmt: skip
def test_convex_below_the_caps(
    venue: Any, a: tuple[float, float, int], b: tuple[float, float, int], w: float
) -> None:
    def mm(btc: float, usdc: float, swaps: float) -> float:
        return margin(venue, {"BTC-PERP-USDC": swaps}, {"BTC": btc, "USDC": usdc}).mm

    mixed = [w * x + (1.0 - w) * y for x, y in zip(a, b, strict=True)]
    assert mm(*mixed) <= w * mm(*a) + (1.0 - w) * mm(*b) + 1e-5


def test_caps_offset_and_brackets_break_homogeneity_and_subadditivity(venue: Any) -> None:
    coins = [margin(venue, {}, {"BTC": n}) for n in (20.0, 40.0)]
    assert coins[1].mm > 2.0 * coins[0].mm + 20.0 * 60_000.0 * 0.7
    swaps = [margin(venue, {"BTC-PERP-USDC": n}, {"USDC": 1e9}) for n in (2_000.0, 4_000.0)]
    assert swaps[1].mm - 5e7 > 2.0 * (swaps[0].mm - 5e7) + 1e5
    cash = [margin(venue, {}, {"USDC": n}).mm for n in (1_000.0, 2_000.0)]
    assert cash == pytest.approx([70.0, 120.0])  # an offset of 20 besides 5 % of the cash


def test_more_collateral_never_lowers_the_excess(venue: Any) -> None:
    held = {"BTC-PERP-USDC": -2.0}
    excess = [margin(venue, held, {"BTC": n, "USDC": -5_000.0}).excess for n in (0.0, 1.0, 2.0, 25.0, 30.0)]
    assert all(b >= a - 1e-9 for a, b in pairwise(excess))


# -- what enters --------------------------------------------------------------------------------------------
def test_tokens_profit_and_lines(venue: Any) -> None:
    held, cash = {"BTC-PERP-USDC": -1.0}, {"BTC": 0.5, "USDC": 1_000.0, "ETH": 1.0, "USDT": 7.0}
    account = venue.account(held, cash, entry={"BTC-PERP-USDC": 61_060.0})
    made, snapshot = rule("hyperliquid-pm"), venue.market(held)
    result = made.requirement(account, snapshot)
    assert result.not_eligible == {"ETH": 1.0, "USDT": 7.0}
    assert result.equity == pytest.approx(30_000.0 + 1_000.0 + 1_000.0)
    row = result.figures["tokens"].loc["USDC"]
    assert row["requirement"] == pytest.approx(20.0 + 0.0125 * 60_060.0)
    assert row["value"] == pytest.approx(2_000.0 + 0.75 * 30_000.0)
    assert set(result.explain()["clause"]) == {f"HLP-{n}" for n in range(3, 10)}
    lines = made.line_im_equity(account, snapshot)
    assert lines.shape == (3,)
    assert lines[1] == pytest.approx(margin(venue, {}, {"BTC": 0.5}).im)
    assert lines[2] == pytest.approx(margin(venue, {}, {"USDC": 1_000.0}).im)


def test_two_borrowed_tokens_take_the_worse_ratio(venue: Any) -> None:
    result = margin(venue, {}, {"BTC": 1.0, "USDC": -10_000.0, "USDH": -20_000.0}, fx={"USDH": 1.0})
    tokens = result.figures["tokens"]
    assert list(tokens.index) == ["USDC", "USDH"]
    assert result.figures["portfolio margin ratio"] == pytest.approx(20_020.0 / 45_000.0)
    assert tokens.loc["USDH", "ratio"] > tokens.loc["USDC", "ratio"]


def test_prices_of_tokens(venue: Any) -> None:
    result = margin(venue, {}, {"HYPE": 100.0, "USDC": 10.0}, fx={"HYPE": 25.0, "USDC": 0.99})
    assert result.equity == pytest.approx(2_509.9)
    assert result.figures["tokens"].loc["USDC", "value"] == pytest.approx(9.9 + 0.75 * 2_500.0)


# -- bad input ----------------------------------------------------------------------------------------------
def test_refusals(venue: Any) -> None:
    held = {"BTC-PERP-USDC": 1.0}
    for name in ("BTC-PERP-USDT", "BTC-PERP-USD", "BTC-30d-USDC", "BTC-30d-60000-C-USDC"):
        with pytest.raises(ConventionError, match=f"{name}: .* expected linear perpetuals settled in USDC"):
            margin(venue, {name: 1.0})
    with pytest.raises(ConventionError, match="owes 2 BTC; expected debts in USDC or USDH only"):
        margin(venue, held, {"BTC": -2.0})
    with pytest.raises(ConventionError, match="collateral currency 'HYPE' has no price"):
        margin(venue, held, {"HYPE": 5.0})
    with pytest.raises(DataGapError, match="is empty"):
        margin(venue, {})
    owing = dataclasses.replace(venue.account(held), mmp_margin={"USDC": 5.0})
    with pytest.raises(ConventionError, match="hyperliquid-pm has no such charge"):
        rule("hyperliquid-pm").requirement(owing, venue.market(held))
    with pytest.raises(RuleVersionError, match="expected a date from 2026-02-01 on"):
        rule("hyperliquid-pm", as_of="2025-12-31")
    for requirement, value in ((-1.0, 5.0), (math.nan, 5.0), (1.0, math.inf)):
        with pytest.raises(ParameterError, match="a requirement of 0 USD or more"):
            portfolio_margin_ratio(requirement, value)


BTC = {"ltv": 0.5, "supply_cap": 20.0}
ROW = {"floor": 0.0, "maintenance_rate": 0.01, "max_leverage": 50.0}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("collateral", {"BTC": {**BTC, "ltv": 1.5}}, r"collateral\.BTC\.ltv: found 1.5"),
        ("collateral", {"BTC": {**BTC, "supply_cap": 0.0}}, r"collateral\.BTC\.supply_cap: found 0.0"),
        ("collateral", {"USDC": BTC}, "USDC is both borrowed and collateral"),
        ("threshold_base", 0.6, "add up to more than 1"),
        ("liquidation_ratio", 0.0, "liquidation_ratio: found 0.0"),
        ("brackets", [{"coins": ["BTC"], "rows": [ROW]}], "brackets has no group of the rest"),
        ("brackets", [{"coins": ["*"], "rows": [{**ROW, "max_leverage": 200.0}]}], "is above 1/max_leverage"),
        ("brackets", [{"coins": ["*"], "rows": [{**ROW, "floor": 5.0}]}], "do not rise from 0"),
    ],
)
def test_parameters_out_of_range(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ALPHA.with_values("BTC", **{key: value})


# -- brackets -----------------------------------------------------------------------------------------------
@settings(max_examples=60)
@given(a=st.floats(0.0, 2e7), b=st.floats(0.0, 2e7), w=st.floats(0.0, 1.0))
def test_maintenance_is_monotone_convex_and_superadditive(a: float, b: float, w: float) -> None:
    low, high = sorted((a, b))
    assert FIVE.maintenance(low) <= FIVE.maintenance(high) + 1e-9
    mixed = FIVE.maintenance(w * a + (1.0 - w) * b)
    assert mixed <= w * FIVE.maintenance(a) + (1.0 - w) * FIVE.maintenance(b) + 1e-6
    assert FIVE.maintenance(a + b) >= FIVE.maintenance(a) + FIVE.maintenance(b) - 1e-6
    assert FIVE.maintenance(a) <= FIVE.initial(a) + 1e-9


@settings(max_examples=60)
@given(notional=st.floats(0.0, 5e7))
def test_maintenance_part_by_part(notional: float) -> None:
    rows = [*FIVE.rows]
    tops = [row.floor for row in rows[1:]] + [math.inf]
    parts = [max(min(notional, top) - r.floor, 0.0) * r.maintenance_rate
             for r, top in zip(rows, tops, strict=True)]  # fmt: skip
    assert FIVE.maintenance(notional) == pytest.approx(math.fsum(parts), rel=1e-12, abs=1e-9)


def test_brackets_at_their_floors() -> None:
    for at, row in enumerate(FIVE.rows[1:], start=1):
        assert FIVE.index(row.floor) == at - 1
        assert FIVE.index(np.nextafter(row.floor, np.inf)) == at
        jump = FIVE.initial(row.floor * (1.0 + 1e-12)) - FIVE.initial(row.floor)
        assert jump > 0.2 * FIVE.initial(row.floor)
    assert FIVE.to_frame()["cumulative"].tolist() == list(FIVE.cumulative)


def test_brackets_break_homogeneity_and_netting_is_by_underlying(venue: Any) -> None:
    one, two = (margin(venue, {"BTC-PERP-USDT": q}, name="leverage-brackets") for q in (4.0, 8.0))
    assert two.mm > 2.0 * one.mm and two.im > 2.0 * one.im
    both = margin(venue, {"BTC-PERP-USDT": 4.0, "ETH-PERP-USDT": -80.0}, {"USDT": 500.0}, "leverage-brackets")
    alone = margin(venue, {"ETH-PERP-USDT": -80.0}, name="leverage-brackets")
    assert both.mm == pytest.approx(one.mm + alone.mm, rel=1e-14)
    assert both.equity == 500.0
    assert set(both.explain()["clause"]) == {"LBR-2", "LBR-3", "LBR-4", "LBR-5"}
    assert set(both.explain().query("clause == 'LBR-3'")["status"]) == {"assumed"}
    netted = {"BTC-PERP-USDT": 4.0, "BTC-PERP-USDC": -4.0}
    assert margin(venue, netted, name="leverage-brackets").im == 0.0


def test_bad_brackets(venue: Any) -> None:
    with pytest.raises(ParameterError, match="do not rise from 0"):
        Brackets.of((10.0, 0.01, 50.0))
    with pytest.raises(ParameterError, match=r"maintenance rates .* fall"):
        Brackets.of((0.0, 0.02, 50.0), (10.0, 0.01, 50.0))
    with pytest.raises(ParameterError, match=r"leverages .* rise"):
        Brackets.of((0.0, 0.01, 20.0), (10.0, 0.01, 50.0))
    with pytest.raises(ParameterError, match="maintenance_rate: Input should be greater than 0"):
        Brackets.of((0.0, 0.0, 20.0))
    with pytest.raises(ParameterError, match="brackets from 0"):
        Brackets(rows=())
    for notional in (-1.0, math.nan, math.inf):
        with pytest.raises(ParameterError, match="notional is"):
            FIVE.maintenance(notional)
    with pytest.raises(ParameterError, match=r"leverage is 0\.5"):
        FIVE.initial(10.0, 0.5)
    assert BracketRow(floor=0.0, maintenance_rate=0.01, max_leverage=100.0).max_leverage == 100.0
    option = {"BTC-30d-60000-C-USDT": -1.0}
    with pytest.raises(ConventionError, match="is an option; expected perpetuals"):
        margin(venue, option, name="leverage-brackets")
    with pytest.raises(ParameterError, match="leverage is 0"):
        margin(venue, {"BTC-PERP-USDT": 1.0}, name="leverage-brackets", leverage=0.0)
