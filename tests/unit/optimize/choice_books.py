"""Problems under the rules whose programmes have binaries: risk units, spreads of months, strategies."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from pmkit.core.errors import LotWarning
from pmkit.instruments import (
    Future,
    Instrument,
    Option,
    Perpetual,
    Portfolio,
    Position,
    listed_future,
    listed_option,
)
from pmkit.margin import Account
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.market.snapshot import MarketSnapshot
from pmkit.optimize import Problem, Requirement, legs_at_cost
from tests.unit.margin.listed_books import Leg as ListedLeg
from tests.unit.margin.listed_books import account as listed_account
from tests.unit.margin.listed_books import contract as listed_contract
from tests.unit.margin.listed_books import market as listed_market
from tests.unit.optimize.books import made

NOW = pd.Timestamp("2026-02-01T08:00:00Z")
SPOT = {"BTC": 60_000.0, "ETH": 3_000.0}
_DAYS = {"7d": 7, "30d": 30, "180d": 180}


# -- risk units ---------------------------------------------------------------------------------------------
def unit_contract(name: str) -> Instrument:
    """Return the contract of a name such as ``BTC-PERP-USDT`` or ``BTC-30d-60000-C-USD``, lot 1."""
    coin, tenor, *rest, quote = name.split("-")
    common: dict[str, Any] = {
        "name": name, "underlying": coin, "settlement": "inverse" if quote == "USD" else "linear",
        "settlement_currency": coin if quote == "USD" else quote, "lot": 1.0,
        "multiplier": 100.0 if quote == "USD" and not rest else 1.0,
    }  # fmt: skip
    if tenor == "PERP":
        return Perpetual(**common)
    expiry = NOW + pd.Timedelta(days=_DAYS[tenor])
    if not rest:
        return Future(**common, expiry=expiry)
    return Option(**common, expiry=expiry, strike=float(rest[0]), is_call=rest[1] == "C")


def unit_problem(
    held: Mapping[str, float],
    legs: Sequence[str],
    balances: Mapping[str, float] | None = None,
    most: float = 20.0,
    which: Any = "im",
    parameters: tuple[ParameterSet, ...] | None = None,
    **more: Any,
) -> Problem:
    """Return a problem under okx-pm in which the named legs can be traded for nothing."""
    names = dict.fromkeys([*held, *legs])
    forwards = {
        c: {(NOW + pd.Timedelta(days=d)).isoformat(): s * (1.0 + 0.05 * d / 365.0) for d in _DAYS.values()}
        for c, s in SPOT.items()
    }
    ivs = {n: 0.6 + 0.02 * k for k, n in enumerate(names) if n.count("-") == 4}
    snapshot = MarketSnapshot.from_marks(
        NOW, SPOT, forwards=forwards, option_iv=ivs, perpetual={c: 1.001 * s for c, s in SPOT.items()},
        funding=dict.fromkeys(SPOT, 0.0001),
    )  # fmt: skip
    return Problem(
        account=book(held, balances or {"USDC": 1e6}),
        snapshot=snapshot,
        legs=legs_at_cost([unit_contract(n) for n in legs], max_buy=most, max_sell=most),
        objective=Requirement(
            made("okx-pm", **({} if parameters is None else {"parameters": parameters})), which
        ),
        **more,
    )


def book(held: Mapping[str, float], balances: Mapping[str, float], **entries: float) -> Account:
    """Return an account of risk-unit contracts."""
    positions = [
        Position(instrument=unit_contract(n), qty=q, entry_price=entries.get(n)) for n, q in held.items()
    ]
    return Account(portfolio=Portfolio(positions=tuple(positions), as_of=NOW), collateral=dict(balances))


# -- commodities --------------------------------------------------------------------------------------------
SPAN_NOW = pd.Timestamp("2018-06-01T20:00:00Z")
SPAN_SPOT = {"ES": 2800.0, "NQ": 7000.0}
MONTHS = {"near": 20.0, "middle": 60.0, "far": 300.0}
SPAN_SET = load_parameter_sets("span")[0]


def month_contract(name: str) -> Instrument:
    """Return the contract of a name such as ``ES-near`` or ``ES-far-2900-C``."""
    underlying, month, *rest = name.split("-")
    expiry = SPAN_NOW + pd.Timedelta(days=MONTHS[month])
    if not rest:
        return listed_future(underlying, expiry, multiplier=50.0)
    return listed_option(underlying, expiry, float(rest[0]), rest[1] == "C", multiplier=50.0)


def span_problem(
    held: Mapping[str, float],
    legs: Sequence[str],
    most: float = 5.0,
    which: Any = "im",
    parameters: ParameterSet = SPAN_SET,
    **more: Any,
) -> Problem:
    """Return a problem under span in which the named legs can be traded for nothing."""
    names = dict.fromkeys([*held, *legs])
    chosen = {n: month_contract(n) for n in names}
    forwards = {
        u: {(SPAN_NOW + pd.Timedelta(days=d)).isoformat(): s for d in MONTHS.values()}
        for u, s in SPAN_SPOT.items()
    }
    ivs = {
        i.name: 0.15 + 0.1 * abs(i.strike / SPAN_SPOT[i.underlying] - 1.0)
        for i in chosen.values()
        if isinstance(i, Option)
    }
    positions = tuple(Position(instrument=chosen[n], qty=q) for n, q in held.items())
    return Problem(
        account=Account(portfolio=Portfolio(positions=positions, as_of=SPAN_NOW), collateral={"USD": 1e6}),
        snapshot=MarketSnapshot.from_marks(SPAN_NOW, SPAN_SPOT, forwards=forwards, option_iv=ivs),
        legs=legs_at_cost([chosen[n] for n in legs], max_buy=most, max_sell=most),
        objective=Requirement(made("span", parameters=(parameters,)), which),
        **more,
    )


# -- strategies ---------------------------------------------------------------------------------------------
STRATEGIES: dict[str, tuple[ListedLeg, ...]] = {
    "XYZ": (
        ("C", 100.0, -3.0, 4.0), ("C", 110.0, 2.0, 1.2), ("P", 95.0, -2.0, 2.0), ("P", 85.0, 1.0, 0.5),
        ("S", 0.0, 100.0, 0.0),
    ),
}  # fmt: skip


def strategy_problem(
    most: float = 4.0,
    which: Any = "im",
    legs: Sequence[int] | None = None,
    held: Mapping[str, tuple[ListedLeg, ...]] = STRATEGIES,
    **more: Any,
) -> Problem:
    """Return a problem under reg-t in which the held contracts of given numbers can be traded for nothing."""
    contracts = [listed_contract(leg, u) for u, lines in held.items() for leg in lines]
    chosen = contracts if legs is None else [contracts[at] for at in legs]
    options = {"with_minimum_equity": more.pop("with_minimum_equity", False)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LotWarning)
        account = listed_account(held, cash=10_000.0)
    return Problem(
        account=account,
        snapshot=listed_market(dict.fromkeys(held, 100.0), held),
        legs=legs_at_cost(chosen, max_buy=most, max_sell=most),
        objective=Requirement(made("reg-t", **options), which),
        **more,
    )


def with_balances(problem: Problem, balances: Mapping[str, float]) -> Problem:
    """Return the problem with other balances."""
    return replace(problem, account=replace(problem.account, collateral=dict(balances)))
