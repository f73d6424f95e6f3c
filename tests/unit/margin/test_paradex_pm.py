"""Paradex's portfolio margin: properties with a counterexample, what enters, named refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, RuleVersionError
from pmkit.core.types import FloatArray
from pmkit.margin import MarginResult, rule
from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.rules.paradex_pm import ParadexPm, minimum_delta

SETS = {s.variant: s for s in load_parameter_sets("paradex-pm")}
BOOK = (
    "BTC-PERP-USDC", "BTC-7d-60000-C-USDC", "BTC-7d-55000-P-USDC", "BTC-180d-80000-C-USDC", "ETH-PERP-USDC",
    "ETH-30d-3000-P-USDC",
)  # fmt: skip
QUANTITIES = st.lists(st.integers(-20, 20), min_size=len(BOOK), max_size=len(BOOK)).map(
    lambda q: np.array(q, dtype=np.float64)
)


def margin(
    venue: Any, held: dict[str, float], cash: dict[str, float] | None = None, **more: Any
) -> MarginResult:
    result = rule("paradex-pm", **more).requirement(venue.account(held, cash), venue.market(held))
    result.check()
    return result


def book_of(venue: Any) -> Any:
    made = ParadexPm()
    account, snapshot = venue.account(dict.fromkeys(BOOK, 1.0)), venue.market(BOOK)
    return made.book(account, {}, snapshot, SETS["funding"], ("BTC", "ETH"))


# -- properties ---------------------------------------------------------------------------------------------
@settings(max_examples=25)
@given(a=QUANTITIES, b=QUANTITIES, times=st.floats(0.1, 8.0))
def test_homogeneous_subadditive_and_convex(venue: Any, a: FloatArray, b: FloatArray, times: float) -> None:
    book, none = book_of(venue), np.zeros(0)
    one, two, both = (book.charge(q, none) for q in (a, b, a + b))
    more, middle = book.charge(times * a, none), book.charge((a + b) / 2.0, none)
    assert (more.im, more.mm) == pytest.approx((times * one.im, times * one.mm), rel=1e-10, abs=1e-8)
    assert both.im <= one.im + two.im + 1e-8 and both.mm <= one.mm + two.mm + 1e-8
    assert middle.im <= (one.im + two.im) / 2.0 + 1e-8
    assert 0.0 <= one.mm <= one.im


def test_a_hedge_dearer_than_a_delta_breaks_subadditivity() -> None:
    table = SETS["funding"].with_values("BTC", net_delta_rate=0.0, hedged_delta_rate=0.01).table("BTC")
    long, short = np.array([1.0]), np.array([-1.0])
    assert minimum_delta(long, 1.0, table) == minimum_delta(short, 1.0, table) == 0.0
    assert minimum_delta(np.array([1.0, -1.0]), 1.0, table) == 0.01


def test_a_gift_can_lower_the_excess(venue: Any) -> None:
    """The fee provision of a far call is more than the call is worth."""
    result = margin(venue, {"BTC-7d-90000-C-USDC": 1.0}, variant="fee")
    assert 0.0 < result.equity < result.addons["fee provision"] < result.im


# -- what enters --------------------------------------------------------------------------------------------
def test_underlyings_add_up(venue: Any) -> None:
    btc, eth = {"BTC-PERP-USDC": 2.0, "BTC-30d-60000-C-USDC": -3.0}, {"ETH-PERP-USDC": -40.0}
    parts = [margin(venue, held) for held in (btc, eth)]
    both = margin(venue, {**btc, **eth}, {"USDC": 10_000.0, "BTC": 1.0, "USDT": 5.0})
    assert both.im == pytest.approx(sum(p.im for p in parts), rel=1e-14)
    assert both.mm == pytest.approx(sum(p.mm for p in parts), rel=1e-14)
    names = [p.worst_scenario.name for p in parts]
    assert both.worst_scenario.name == f"BTC {names[0]}; ETH {names[1]}"
    assert len(both.scenario_vector) == 48
    assert both.not_eligible == {"BTC": 1.0, "USDT": 5.0}
    assert both.equity == pytest.approx(10_000.0 + both.net_option_value)
    assert set(both.explain()["clause"]) == {f"PDX-{n}" for n in range(3, 9)}
    lines = rule("paradex-pm").line_im_equity(venue.account({**btc, **eth}), venue.market([*btc, *eth]))
    alone = [margin(venue, {n: q}).im for n, q in {**btc, **eth}.items()]
    assert lines.tolist() == pytest.approx(alone, rel=1e-14)


def test_provisions(venue: Any) -> None:
    held = {"BTC-PERP-USDC": 2.0, "ETH-PERP-USDC": -10.0}
    result = margin(venue, held)
    assert result.addons["fee provision"] == pytest.approx(0.0003 * (120_000.0 + 30_000.0))
    # the long of BTC pays, the short of ETH receives, and what it receives is no provision
    assert result.addons["funding provision"] == pytest.approx(0.0001 * 2.0 * 60_060.0)
    frame = result.figures["underlyings"]
    core = frame[["scan", "minimum delta"]].max(axis=1).sum()
    assert result.im - result.mm == pytest.approx(0.5 * core, rel=1e-12)
    older = margin(venue, held, variant="fee")
    assert list(older.addons) == ["fee provision"]
    assert older.im == pytest.approx(result.im - result.addons["funding provision"], rel=1e-12)


def test_what_is_not_published_is_marked(venue: Any) -> None:
    status = {
        variant: margin(venue, {"BTC-30d-60000-C-USDC": -1.0}, variant=variant)
        .explain()
        .set_index("what")["status"]
        for variant in SETS
    }
    for found in status.values():
        assert found["BTC fee provision"] == "assumed"
        assert found["BTC minimum delta"] == found["BTC mm factor"] == "published"
    # the newer text names a floor of the days without its value
    worst = {v: next(s for what, s in found.items() if "worst" in what) for v, found in status.items()}
    assert worst == {"funding": "assumed", "fee": "published"}


def test_funding_is_part_of_the_provenance(venue: Any) -> None:
    held = {"BTC-PERP-USDC": 1.0}
    made = rule("paradex-pm")
    found = [
        made.requirement(venue.account(held), venue.market(held, funding=rate)).provenance
        for rate in (0.0001, 0.0002)
    ]
    assert found[0].id != found[1].id


# -- bad input ----------------------------------------------------------------------------------------------
def test_refusals(venue: Any) -> None:
    held = {"BTC-PERP-USDC": 1.0}
    with pytest.raises(DataGapError, match="no funding rate for BTC; expected the rate of eight hours"):
        rule("paradex-pm").requirement(venue.account(held), venue.market(held, funding=None))
    older = rule("paradex-pm", variant="fee")
    assert older.requirement(venue.account(held), venue.market(held, funding=None)).im > 0.0
    with pytest.raises(ConventionError, match="BTC-PERP-USD: inverse perpetual settled in BTC"):
        margin(venue, {"BTC-PERP-USD": 1.0})
    with pytest.raises(ConventionError, match="BTC-30d-USDC: linear future settled in USDC"):
        margin(venue, {"BTC-30d-USDC": 1.0})
    with pytest.raises(ConventionError, match="owes 2 BTC; expected debts in USDC or USD only"):
        margin(venue, held, {"BTC": -2.0})
    with pytest.raises(DataGapError, match="is empty"):
        margin(venue, {})
    with pytest.raises(RuleVersionError, match="on 2025-12-31; expected a date from 2026-02-01 on"):
        rule("paradex-pm", as_of="2025-12-31")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scenarios", [(-1.0, "up", 1.0)], r"scenarios\.0\.0: found -1.0"),
        ("scenarios", [(0.1, "same", 1.0)], r"scenarios\.0\.1: found 'same'"),
        ("scenarios", [(0.1, "up", -1.0)], r"scenarios\.0\.2: found -1.0"),
        ("mm_factor", 1.5, "mm_factor: found 1.5"),
        ("funding_hours", -8.0, "funding_hours: found -8.0"),
        ("dte_floor", 1.0, "dte_floor: unknown key"),
    ],
)
def test_parameters_out_of_range(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SETS["funding"].with_values("BTC", **{key: value})
