"""What a desk asks: hedges by budget, closing, collateral, venues, rebalancing and robust hedges."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pmkit as pm
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.estimation import worst_case_correlation
from pmkit.margin import tiered_haircut
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot, Quotes
from pmkit.optimize import (
    Asset,
    Obligation,
    Terms,
    allocate_collateral,
    close_first,
    hedge,
    legs_from_quotes,
    rebalancing_band,
    robust_hedge,
    split_across_venues,
)
from tests.unit.optimize.books import inverse_account, inverse_market, made

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")

WINGS = ("BTC-25SEP26-70000-C", "BTC-25SEP26-52000-P", "BTC-PERPETUAL")


# -- hedge --------------------------------------------------------------------------------------------------
def test_hedge_frees_less_and_less_per_usd(
    straddle: pm.Account, snap: MarketSnapshot, spm: AnyRule, quotes: Quotes
) -> None:
    legs = legs_from_quotes(quotes, snap, WINGS, fee_rate=0.0003, fee_cap=0.125)
    plan = hedge(straddle, snap, spm, legs, budgets=[0.0, 50.0, 250.0])
    plan.check()
    frame = plan.summary()
    assert frame["status"].iloc[0] == "no_trade"
    assert (np.diff(frame["freed"]) > 0.0).all()
    assert (np.diff(frame["freed_per_usd"].iloc[1:]) <= 1e-9).all()
    assert (np.diff(frame["next_usd_frees"]) <= 1e-9).all()
    best = plan.worth_it(snap.spot("BTC") * 0.10)
    gains = [snap.spot("BTC") * 0.10 * o.freed - o.cost for o in plan.optima]
    assert best is plan.optima[int(np.argmax(gains))]
    assert plan.plot().get_xlabel() == "cost of the hedge, USD"
    with pytest.raises(ParameterError, match="budgets"):
        hedge(straddle, snap, spm, legs, budgets=[2.0, 1.0])
    with pytest.raises(ParameterError, match="price is 0"):
        plan.worth_it(0.0)
    with pytest.raises(PmkitError, match="a larger budget frees less"):
        replace(plan, optima=plan.optima[::-1]).check()


# -- close first --------------------------------------------------------------------------------------------
def test_close_first(straddle: pm.Account, snap: MarketSnapshot, spm: AnyRule, quotes: Quotes) -> None:
    names = [i.name for i in straddle.instruments]
    legs = legs_from_quotes(quotes, snap, names)
    order = close_first(straddle, snap, spm, legs, target=1.0)
    before = spm.requirement(straddle, snap).im
    for name, row in order.table.iterrows():
        rest = tuple(p for p in straddle.portfolio if p.instrument.name != name)
        alone = straddle.with_portfolio(straddle.portfolio.with_positions(rest))
        assert row["freed"] == pytest.approx(before - spm.requirement(alone, snap).im, abs=1e-12)
    assert order.table["freed_per_usd"].dropna().is_monotonic_decreasing
    plan = order.plan
    assert plan is not None
    order.check()
    assert spm.requirement(plan.account, snap).im <= 1.0 + 1e-8
    assert (plan.trades["trade"] * plan.trades["before"] < 0.0).all()
    assert (plan.trades["trade"].abs() <= plan.trades["before"].abs() * (1.0 + 1e-12)).all()
    assert plan.value < math.fsum(order.table["cost"])
    assert len(order.summary()) == 3
    assert order.plot().get_xlabel().endswith("BTC")
    with pytest.raises(DataGapError, match="1 leg, none in a position"):
        close_first(straddle, snap, spm, legs_from_quotes(quotes, snap, WINGS[:1]))
    with pytest.raises(ParameterError, match="target is -1"):
        close_first(straddle, snap, spm, legs, target=-1.0)


# -- collateral ---------------------------------------------------------------------------------------------
CASH = Asset(name="USDC", balance=1000.0, cost=0.05)
COIN = Asset(name="BTC", balance=30.0, price=100.0, cost=0.01)
BILL = Asset(name="TBILL", balance=500.0, cost=0.002)


def test_collateral_by_hand() -> None:
    """The bill first (0.2 %), then coins up to half of the counted value, then cash."""
    need = Obligation(
        name="A",
        amount=1000.0,
        accepts={"USDC": Terms(), "BTC": Terms(haircuts=(0.2,), share=0.4), "TBILL": Terms(haircuts=(0.1,))},
    )
    plan = allocate_collateral([CASH, COIN, BILL], [need])
    units = plan.pledged.set_index("asset")["units"]
    assert units["TBILL"] == pytest.approx(500.0)
    assert units["BTC"] == pytest.approx(400.0 / 80.0)
    assert units["USDC"] == pytest.approx(150.0)
    assert plan.cost == pytest.approx(500.0 * 0.002 + 500.0 * 0.01 + 150.0 * 0.05)
    more = allocate_collateral([CASH, COIN, BILL], [replace(need, amount=1001.0)])
    assert plan.prices["price"]["obligation A"] == pytest.approx(more.cost - plan.cost)
    assert plan.prices["price"]["balance TBILL"] > 0.0
    assert plan.summary().loc["A", "counted"] == pytest.approx(1000.0)
    assert plan.plot().get_xlabel() == "counted value, USD"


def test_tiers_fill_in_order() -> None:
    terms = Terms(haircuts=(0.0, 0.5), limits=(10.0,))
    need = Obligation(name="A", amount=1500.0, accepts={"BTC": terms})
    plan = allocate_collateral([COIN], [need])
    units = float(plan.pledged["units"].iloc[0])
    assert units == pytest.approx(20.0)
    assert 100.0 * (units - tiered_haircut(units, terms.limits, terms.haircuts)) == pytest.approx(1500.0)


def test_cheapest_is_not_greedy() -> None:
    """The cheap asset is kept for the obligation that takes nothing else."""
    first = Obligation(name="A", amount=500.0, accepts={"USDC": Terms(), "TBILL": Terms()})
    second = Obligation(name="B", amount=500.0, accepts={"TBILL": Terms()})
    plan = allocate_collateral([CASH, BILL], [first, second])
    assert plan.status == "optimal"
    assert set(zip(plan.pledged["asset"], plan.pledged["obligation"], strict=True)) == {
        ("USDC", "A"),
        ("TBILL", "B"),
    }


def test_balances_that_do_not_suffice() -> None:
    needs = [Obligation(name=n, amount=800.0, accepts={"USDC": Terms()}) for n in "AB"]
    plan = allocate_collateral([CASH], needs)
    assert plan.status == "infeasible"
    assert math.fsum(plan.shortfall.values()) == pytest.approx(600.0)
    assert "leave short" in plan.words


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Asset(name="X", balance=-1.0), "balance of X is -1.0"),
        (lambda: Asset(name="X", balance=1.0, cost=5.0), "a decimal a year"),
        (lambda: Terms(haircuts=(0.2, 0.1), limits=(1.0,)), "reward concentration"),
        (lambda: Terms(share=2.0), "share from 0 to 1"),
        (lambda: Obligation(name="A", amount=math.nan), "obligation A is nan"),
        (lambda: allocate_collateral([CASH, CASH], [Obligation(name="A", amount=1.0)]), "each asset once"),
    ],
)
def test_collateral_is_checked(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_collateral_gaps() -> None:
    with pytest.raises(DataGapError, match="0 assets"):
        allocate_collateral([], [])
    with pytest.raises(DataGapError, match="A has terms for 'ETH'"):
        allocate_collateral([CASH], [Obligation(name="A", amount=1.0, accepts={"ETH": Terms()})])


# -- venues -------------------------------------------------------------------------------------------------
def test_two_dampeners_beat_one() -> None:
    """Tail rows less a fixed dampener: two accounts get it twice, so a large tail book is split."""
    held, snapshot = inverse_account({"BTC-27FEB26-90000-C": -200.0}), inverse_market()
    used = made("deribit-pm")
    split = split_across_venues(held, snapshot, {"first": used, "second": used})
    split.check()
    assert split.status == "optimal"
    assert split.gain > 0.0
    assert split.value == pytest.approx(
        math.fsum(
            60_000.0 * used.requirement(inverse_account({"BTC-27FEB26-90000-C": -200.0 * s}), snapshot).im
            for s in split.shares.iloc[0]
        ),
        rel=1e-8,
    )


def test_a_hedged_book_is_not_torn_apart() -> None:
    held, snapshot = inverse_account({"BTC-27FEB26": -6000.0, "BTC-PERPETUAL": 6000.0}), inverse_market()
    used = made("deribit-pm")
    split = split_across_venues(held, snapshot, {"first": used, "second": used})
    assert split.gain == pytest.approx(0.0, abs=1e-3)
    assert split.netting > 0.5
    shares = split.shares["first"].to_numpy()
    assert shares[0] == pytest.approx(shares[1], abs=1e-4)
    assert split.summary().loc["best", "isolated"] == pytest.approx(split.isolated)
    assert split.plot().get_xlabel() == "initial margin, USD"


def test_venues_are_checked() -> None:
    held, snapshot, used = inverse_account({"BTC-PERPETUAL": 100.0}), inverse_market(), made("deribit-pm")
    tight = split_across_venues(held, snapshot, {"A": used}, capacity={"A": 0.01})
    assert tight.status == "infeasible"
    assert "no split keeps A to 0.01 USD" in tight.words
    tight.check()
    with pytest.raises(ParameterError, match="capacity of 'B'"):
        split_across_venues(held, snapshot, {"A": used}, capacity={"B": 1.0})
    with pytest.raises(DataGapError, match="0 venues"):
        split_across_venues(held, snapshot, {})
    with pytest.raises(ConventionError, match="market-maker-protection"):
        split_across_venues(replace(held, mmp_margin={"BTC": 1.0}), snapshot, {"A": used})


# -- rebalancing --------------------------------------------------------------------------------------------
@settings(max_examples=25)
@given(
    st.floats(1e-6, 1e-1),
    st.floats(100.0, 1e5),
    st.floats(0.05, 2.0),
    st.floats(1e-5, 1e-2),
    st.floats(1e-9, 1e-2),
)
def test_best_band_is_a_minimum(gamma: float, spot: float, vol: float, rate: float, aversion: float) -> None:
    found = rebalancing_band(gamma, spot, vol, cost_rate=rate, risk_aversion=aversion)
    found.check()
    assert rebalancing_band(-gamma, spot, vol, cost_rate=rate, risk_aversion=aversion).band == found.band
    # at the best band the cost is twice the aversion's share of the variance
    assert found.cost() == pytest.approx(found.risk_aversion * found.error() ** 2)


def test_turnover_and_error_against_a_simulation() -> None:
    """A delta that drifts and is pushed back at the edges, simulated in small steps."""
    gamma, spot, vol, rate = 0.001, 60_000.0, 0.6, 0.0005
    found = rebalancing_band(gamma, spot, vol, cost_rate=rate, risk_aversion=1e-5)
    steps, paths, dt = 4000, 400, 1.0 / 365.0 / 200.0
    generator = stream(1, "test-band")
    drift, traded, squares = np.zeros(paths), np.zeros(paths), 0.0
    for step in range(steps):
        drift += gamma * spot * vol * math.sqrt(dt) * generator.standard_normal(paths)
        inside = np.clip(drift, -found.band, found.band)
        if step >= 1000:
            traded += np.abs(drift - inside)
            squares += float(np.mean(inside**2))
        drift = inside
    days = (steps - 1000) * dt * 365.0
    assert traded.mean() / days == pytest.approx(found.turnover(), rel=0.08)
    assert spot * vol / math.sqrt(365.0) * math.sqrt(squares / (steps - 1000)) == pytest.approx(
        found.error(), rel=0.05
    )


def test_band_shows_and_refuses() -> None:
    found = rebalancing_band(0.002, 60_000.0, 0.5, cost_rate=0.0005, risk_aversion=1e-5, band=1.0)
    assert found.summary().loc["best_band", "value"] == pytest.approx(2.6207, abs=1e-4)
    assert found.cost() > found.cost(found.best)
    assert found.plot().get_xscale() == "log"
    with pytest.raises(ParameterError, match="cost_rate is 0"):
        rebalancing_band(0.002, 60_000.0, 0.5, cost_rate=0.0, risk_aversion=1.0)
    with pytest.raises(ParameterError, match="size of gamma is 0"):
        rebalancing_band(0.0, 60_000.0, 0.5, cost_rate=0.1, risk_aversion=1.0)
    with pytest.raises(PmkitError, match="not the best"):
        replace(found, best=2.0 * found.best).check()


# -- robust hedge -------------------------------------------------------------------------------------------
NAMES = ["BTC", "ETH", "vol"]
CORR = pd.DataFrame([[1.0, 0.8, -0.5], [0.8, 1.0, -0.4], [-0.5, -0.4, 1.0]], NAMES, NAMES)
HEDGES = pd.DataFrame({"perp": [-1.0, 0.0, 0.0], "option": [-0.4, 0.0, 0.3]}, NAMES)


def test_robust_hedge_ties_out_and_is_more_robust() -> None:
    sigma = pd.Series([0.05, 0.07, 0.1], NAMES)
    found = robust_hedge([1e4, -8e3, 5e3], HEDGES, CORR, sigma=sigma, box=0.15)
    found.check()
    assert found.tie_out < 1e-5
    assert found.sd.loc["robust", "worst"] < found.sd.loc["nominal", "worst"]
    assert found.sd.loc["nominal", "given"] <= found.sd.loc["robust", "given"] + 1e-6
    left = np.array([1e4, -8e3, 5e3]) + HEDGES.to_numpy() @ found.table["robust"].to_numpy()
    worst = worst_case_correlation(pd.Series(left, NAMES), CORR, sigma=sigma, box=0.15)
    assert found.programme == pytest.approx(worst.sd, rel=1e-5)
    for change in ([100.0, 0.0], [0.0, 300.0], [-80.0, 200.0]):
        other = left + HEDGES.to_numpy() @ np.array(change)
        sd = worst_case_correlation(pd.Series(other, NAMES), CORR, sigma=sigma, box=0.15).sd
        assert sd >= found.programme * (1.0 - 1e-6)


def test_robust_hedge_without_a_box_is_the_nominal_one() -> None:
    found = robust_hedge([1e4, -8e3, 5e3], HEDGES, CORR, sigma=[0.05, 0.07, 0.1], box=0.0)
    assert found.table["robust"].to_numpy() == pytest.approx(found.table["nominal"].to_numpy(), rel=1e-3)


def test_robust_hedge_respects_limits_and_refuses() -> None:
    found = robust_hedge([1e4, -8e3, 5e3], HEDGES, CORR, sigma=[0.05, 0.07, 0.1], box=0.1, most=500.0)
    assert (found.table.abs() <= 500.0 * (1.0 + 1e-6)).all().all()
    assert found.plot().get_xlabel() == "standard deviation"
    with pytest.raises(ParameterError, match="same order of factors"):
        robust_hedge([1.0, 2.0], HEDGES, CORR, sigma=[0.1, 0.1], box=0.1)
    with pytest.raises(ParameterError, match="something to hedge"):
        robust_hedge([0.0, 0.0, 0.0], HEDGES, CORR, sigma=[0.1, 0.1, 0.1], box=0.1)
    with pytest.raises(ParameterError, match="not finite"):
        robust_hedge([math.nan, 0.0, 0.0], HEDGES, CORR, sigma=[0.1, 0.1, 0.1], box=0.1)
