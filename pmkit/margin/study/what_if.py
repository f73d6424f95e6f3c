"""What a trade does to the margin: the account before and after it, under one rule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.result import Result, jsonable
from pmkit.instruments.contracts import Option, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account, unrealised_pnl
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rule import rule as make_rule
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios.inputs import check_kind

__all__ = ["WhatIf", "booked", "deals_of", "rule_of", "traded", "what_if"]

_COMPARED = ("im", "mm", "im_equity", "equity", "excess", "margin_ratio")


@dataclass(frozen=True, kw_only=True, repr=False)
class WhatIf(Result):
    """Requirement before and after a trade.

    Attributes
    ----------
    before, after : MarginResult
    """

    before: MarginResult
    after: MarginResult

    @property
    def change(self) -> pd.Series:
        """After minus before, in the numeraire, by item."""
        frame = self.summary()
        return frame["change"]

    def summary(self) -> pd.DataFrame:
        """Return before, after and change of im, mm, im_equity, equity, excess and margin ratio."""
        rows = {
            name: {
                "before": float(getattr(self.before, name)),
                "after": float(getattr(self.after, name)),
                "change": float(getattr(self.after, name)) - float(getattr(self.before, name)),
            }
            for name in _COMPARED
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"{self.before.rule} {self.before.variant}, {self.before.numeraire}"
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return both records and the change."""
        record: dict[str, Any] = jsonable(
            {"before": self.before.to_dict(), "after": self.after.to_dict(), "change": self.change.to_dict()}
        )
        return record


def deals_of(trade: Position | Iterable[Position], name: str = "") -> list[Position]:
    """Return the positions of a trade.

    Raises
    ------
    ParameterError
        It is not made of positions, or one has a price that is none.
    """
    several = isinstance(trade, Iterable)
    deals = [trade] if isinstance(trade, Position) else list(trade) if several else []
    if not deals or not all(isinstance(deal, Position) for deal in deals):
        raise ParameterError(
            f"trade {name!r} is {trade!r}" if name else f"trade is {trade!r}",
            "a Position or several of them",
            "build it with pmkit.instruments.Position",
        )
    for deal in deals:
        if deal.entry_price is not None and not 0.0 <= deal.entry_price < math.inf:
            raise ParameterError(
                f"entry_price of {deal.instrument.name} is {deal.entry_price!r}",
                "a finite price, 0 or more",
                "correct it, or leave it out to trade at the mark",
            )
    return deals


def rule_of(rule: str | AnyRule, account: Account, stale: Stale) -> AnyRule:
    """Return the rule, made by name where it is one.

    Raises
    ------
    ConventionError
        No rule, or what is margined is no account.
    """
    check_kind("account", account, Account, "Account.from_csv, or Account(portfolio=..., collateral=...)")
    if isinstance(rule, str):
        return make_rule(rule, stale=stale)
    if not hasattr(rule, "requirement"):
        raise ConventionError(
            f"rule is a {type(rule).__name__}", "the name of a rule, or a rule", "pmkit.margin.rule(name)"
        )
    return rule


def booked(deal: Position, mark: float) -> float:
    """Return what a deal adds to the balance of its settlement currency: a price, or a gain on the mark."""
    if isinstance(deal.instrument, (Option, Spot)):
        return (
            -deal.qty * deal.instrument.multiplier * (mark if deal.entry_price is None else deal.entry_price)
        )
    return unrealised_pnl(deal, mark)


def traded(account: Account, trade: Position | Iterable[Position], snapshot: MarketSnapshot) -> Account:
    """Return the account after a trade at its ``entry_price``, or at the mark without one; no fees.

    Options and stock are paid from the balance of their settlement currency. A future's gain against the
    mark is booked to cash, also that of a line the trade adds to, so that the trade at the mark leaves equity
    as it was.
    """
    deals = deals_of(trade)
    held = {p.instrument.name: p for p in account.portfolio}
    cash = dict(account.collateral)
    for deal in deals:
        instrument = deal.instrument
        currency, mark = instrument.settlement_currency, snapshot.mark(instrument).price
        old = held.get(instrument.name)
        gained = booked(deal, mark) + (0.0 if old is None else unrealised_pnl(old, mark))
        cash[currency] = cash.get(currency, 0.0) + gained
        total = deal.qty + (0.0 if old is None else old.qty)
        held[instrument.name] = Position(instrument=instrument, qty=total)
    positions = tuple(p for p in held.values() if p.qty != 0.0)
    portfolio = Portfolio(positions=positions, as_of=account.as_of, name=account.portfolio.name)
    return Account(
        portfolio=portfolio,
        collateral={c: x for c, x in cash.items() if x != 0.0 or c in account.collateral},
        name=f"{account.name} after the trade",
        mmp_margin=account.mmp_margin,
        open_order_margin=account.open_order_margin,
    )


def what_if(
    account: Account,
    trade: Position | Iterable[Position],
    snapshot: MarketSnapshot,
    rule: str | AnyRule,
    *,
    stale: Stale = "error",
) -> WhatIf:
    """Return the requirement before and after a trade, and the change, under one rule.

    Parameters
    ----------
    account : Account
    trade : Position or several
        ``qty`` is what is bought; ``entry_price`` the price of the trade, the mark where it is left out. No
        fees.
    snapshot : MarketSnapshot
    rule : str or rule
    stale : {"error", "warn"}
        Where the rule is given by name: what happens past the last observation of its parameters.

    Returns
    -------
    WhatIf

    Raises
    ------
    ParameterError
        The trade is not made of positions, or at a price that is none.
    ConventionError
        What is given is no account or no rule.
    PmkitError
        Whatever the rule raises.
    """
    used = rule_of(rule, account, stale)
    after = traded(account, trade, snapshot)
    # After first: a rule that keeps its cube then has every contract of both accounts.
    later = used.requirement(after, snapshot)
    return WhatIf(before=used.requirement(account, snapshot), after=later)
