"""Accounts, markets and legs that the tests of optimisation share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import LotWarning
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Option, Perpetual, Portfolio, Position, parse_instrument
from pmkit.margin import Account, Feeds, rule
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot
from pmkit.optimize import Legs, Problem, Requirement, legs_at_cost
from pmkit.optimize.assemble import Found, assembled
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.terms.base import Cuts

NOW = "2026-02-10T00:00:00Z"
SPOT = {"ETH": 3_000.0, "BTC": 90_000.0}
_DAYS = {"9d": 9, "60d": 60, "1y": 365}


def linear(name: str) -> Instrument:
    """Return the USD-settled contract of a name such as ``ETH-9d-3000-C`` or ``ETH-PERPETUAL``."""
    coin, *rest = name.split("-")
    common: dict[str, Any] = {
        "name": name, "underlying": coin, "settlement": "linear", "settlement_currency": "USDC",
        "multiplier": 1.0, "lot": 0.1,
    }  # fmt: skip
    if rest == ["PERPETUAL"]:
        return Perpetual(**common)
    expiry = pd.Timestamp(NOW) + pd.Timedelta(days=_DAYS[rest[0]])
    return Option(**common, expiry=expiry, strike=float(rest[1]), is_call=rest[2] == "C")


def account(held: Mapping[str, float], collateral: Mapping[str, float] | None = None) -> Account:
    """Return an account of linear contracts."""
    positions = tuple(Position(instrument=linear(n), qty=q) for n, q in held.items())
    book = Portfolio(positions=positions, as_of=pd.Timestamp(NOW))
    return Account(portfolio=book, collateral=collateral or {"USDC": 1e6})


def linear_market(names: tuple[str, ...], iv: float = 0.6) -> MarketSnapshot:
    """Return a market with forwards in contango and a smile."""
    forwards = {
        coin: {
            (pd.Timestamp(NOW) + pd.Timedelta(days=d)).isoformat(): spot * np.exp(0.05 * d / 365.0)
            for d in _DAYS.values()
        }
        for coin, spot in SPOT.items()
    }
    ivs = {
        n: iv + 0.1 * abs(np.log(float(n.split("-")[2]) / SPOT[n.split("-")[0]]))
        for n in names
        if n.count("-") == 3
    }
    perpetual = {coin: 1.001 * spot for coin, spot in SPOT.items()}
    return MarketSnapshot.from_marks(
        NOW, SPOT, forwards=forwards, option_iv=ivs, perpetual=perpetual, funding=dict.fromkeys(SPOT, 0.0001)
    )


INVERSE = (
    "BTC-PERPETUAL", "BTC-27FEB26", "BTC-27FEB26-60000-C", "BTC-27FEB26-70000-C", "BTC-27FEB26-50000-P",
    "BTC-27FEB26-90000-C", "BTC-25DEC26-90000-C", "ETH-PERPETUAL", "ETH-27FEB26-3500-C", "ETH-27FEB26-3000-P",
)  # fmt: skip
INVERSE_AS_OF = "2026-02-10T00:00:00Z"


def inverse_account(held: Mapping[str, float]) -> Account:
    """Return an account of coin-settled contracts."""
    as_of = pd.Timestamp(INVERSE_AS_OF)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LotWarning)
        book = Portfolio(
            positions=tuple(Position(instrument=parse_instrument(n, as_of), qty=q) for n, q in held.items()),
            as_of=as_of,
        )
    return Account(portfolio=book, collateral={"BTC": 10.0, "ETH": 50.0})


def inverse_market() -> MarketSnapshot:
    """Return coins with three expiries and vols by strike."""
    spot = {"BTC": 60_000.0, "ETH": 3_000.0}
    codes = {"27FEB26": 17, "25DEC26": 318}
    forwards = {
        u: {f"2026-{'02-27' if c == '27FEB26' else '12-25'}T08:00:00Z": s * (1 + 0.1 * d / 365)
            for c, d in codes.items()}
        for u, s in spot.items()
    }  # fmt: skip
    iv = {n: 0.5 + 0.05 * i for i, n in enumerate(INVERSE) if n.count("-") == 3}
    return MarketSnapshot.from_marks(INVERSE_AS_OF, spot, forwards=forwards, option_iv=iv)


def at_trades(problem: Problem, trades: FloatArray, cuts: Cuts | None = None) -> tuple[float, float]:
    """Return the objective by the programme and by the rule, with the trades held at given contracts.

    With cuts the programme carries everything; without, the rule is taken less what the programme leaves out.
    """
    found = held_at(problem, trades, cuts)
    outcome = problem.outcome(trades)
    assert isinstance(problem.objective, Requirement)
    left_out = problem.objective.left_out(outcome) if cuts is None else 0.0
    return found.solution.value, problem.objective.value(outcome) - left_out


def held_at(problem: Problem, trades: FloatArray, cuts: Cuts | None = None) -> Found:
    """Return the programme with the trades held at given contracts, and its solution."""
    work, objective = assembled(problem, cuts)
    names = work.columns
    for instrument, trade in zip(problem.instruments, trades, strict=True):
        for side, size in (("buy", max(trade, 0.0)), ("sell", max(-trade, 0.0))):
            at = names.get(f"{side} {instrument.name}")
            if at is not None:
                work.model.low[at] = work.model.high[at] = size
    found = solve_linear(work.model, objective, work.lazy)
    assert found.status == "optimal"
    return Found(work, objective, found)


FEEDS = Feeds(default_confidence=1.0, default_rate=0.05)


def free_legs(instruments: tuple[Instrument, ...], most: float = 20.0, cost: float = 0.0) -> Legs:
    """Return legs at one cost, limited to some contracts."""
    return legs_at_cost(instruments, cost, max_buy=most, max_sell=most)


def made(name: str, **options: Any) -> AnyRule:
    """Return a rule that takes old parameter sets."""
    return rule(name, stale="warn", **options)


def scaled(problem: Problem, size: float) -> Problem:
    """Return the problem with every position, balance and limit of a leg so many times as large."""
    account = problem.account
    positions = tuple(replace(p, qty=p.qty * size) for p in account.portfolio)
    account = replace(
        account.with_portfolio(account.portfolio.with_positions(positions)),
        collateral={c: x * size for c, x in account.collateral.items()},
    )
    legs = tuple(
        replace(leg, max_buy=leg.max_buy * size, max_sell=leg.max_sell * size) for leg in problem.legs.legs
    )
    return replace(problem, account=account, legs=replace(problem.legs, legs=legs))
