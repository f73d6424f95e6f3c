"""One account along a path: funding, settlement, calls, payments and closings of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pmkit.liquidation.call import margin_call
from pmkit.liquidation.closing import Order
from pmkit.liquidation.partial import partial_liquidation
from pmkit.liquidation.path import entered_at, funded, settle_expired
from pmkit.liquidation.standing import Against, answer
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.modes import gross_notional
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["STEP", "TRADE", "Life", "Terms"]

#: columns of a step and of a trade
STEP = [
    "step", "as_of", "account", "equity", "im", "mm", "excess", "margin_ratio", "status", "event", "call",
    "paid", "funding", "settled", "closed", "fees", "shortfall", "fund_paid", "uncovered", "positions",
]  # fmt: skip
TRADE = ["step", "as_of", "account", "instrument", "qty", "share", "price", "fee", "currency", "reason"]


@dataclass(frozen=True)
class Terms:
    """What is the same for every account of a replay: the rule, and how it is enforced."""

    rule: RuleLike
    grace: int
    target: float
    order: Order
    fees: float | Mapping[str, float]
    settlement: Mapping[tuple[str, pd.Timestamp], float]


class Life:
    """One account along the path: its balances, its reserve and the age of an open call."""

    def __init__(self, account: Account, reserve: float) -> None:
        self.account, self.reserve, self.open_for, self.gone = account, reserve, -1, False

    def step(
        self, snapshot: MarketSnapshot, days: float, terms: Terms
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the row of one step, and its trades."""
        self.account, funding = funded(self.account, snapshot, days)
        self.account, paid_out = settle_expired(self.account, snapshot, terms.settlement)
        settled = math.fsum(
            r["cash"] * snapshot.usd_price(r["currency"]) for r in paid_out.to_dict(orient="records")
        )
        row: dict[str, Any] = dict.fromkeys(STEP[3:8], 0.0) | dict.fromkeys(STEP[10:], 0.0)
        row |= {"funding": funding, "settled": settled, "status": "ok", "event": "none"}
        trades: list[dict[str, Any]] = []
        if self.gone or not (len(self.account.portfolio) or any(self.account.collateral.values())):
            row["event"] = "gone"
            return row, trades
        result = answer(terms.rule, self.account, snapshot)
        unit = snapshot.usd_price(result.numeraire)
        row |= {
            "equity": result.equity * unit,
            "im": result.im_equity * unit,
            "mm": result.mm_equity * unit,
            "excess": result.excess * unit,
            "margin_ratio": result.margin_ratio,
            "status": result.status,
        }
        if result.status in ("insolvent", "below_mm"):
            row["event"] = "liquidated"
            trades = self._close(snapshot, terms, "mm", terms.target, row)
            self.open_for = -1
        elif result.status == "below_im":
            trades = self._call(result, snapshot, terms, row)
        else:
            self.open_for = -1
        # what was traded is carried at this mark from here on
        self.account = entered_at(self.account, snapshot)
        row["positions"] = len(self.account.portfolio)
        return row, trades

    # -- inside ---------------------------------------------------------------------------------------------
    def _call(
        self, result: MarginResult, snapshot: MarketSnapshot, terms: Terms, row: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Call for what is missing; meet it from the reserve, or close lines once it is open too long."""
        call = margin_call(result, snapshot)
        row["call"] = call.usd
        cash = dict(self.account.collateral)
        for currency, line in call.table.to_dict(orient="index").items():
            paid = min(line["call_usd"], self.reserve)
            if paid > 0.0:
                self.reserve -= paid
                row["paid"] += paid
                coin = "USDC" if currency == "USD" else str(currency)
                cash[coin] = cash.get(coin, 0.0) + paid / snapshot.usd_price(coin)
        self.account = replace(self.account, collateral=cash)
        if row["paid"] >= row["call"]:
            row["event"], self.open_for = "call met", -1
            return []
        row["event"] = "call"
        self.open_for += 1
        if self.open_for < terms.grace:
            return []
        row["event"], self.open_for = "closed for call", -1
        return self._close(snapshot, terms, "im", 1.0, row)

    def _close(
        self, snapshot: MarketSnapshot, terms: Terms, against: Against, target: float, row: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Close lines to a target, and write into the row what that cost."""
        done = partial_liquidation(
            self.account,
            snapshot,
            terms.rule,
            target=target,
            against=against,
            order=terms.order,
            fees=terms.fees,
        )
        before = self.account.portfolio
        self.account = done.account
        row["closed"] = gross_notional(before, snapshot) - gross_notional(self.account.portfolio, snapshot)
        records = done.trades.to_dict(orient="records")
        row["fees"] = math.fsum(r["fee"] * snapshot.usd_price(r["currency"]) for r in records)
        row["shortfall"] = done.shortfall
        if done.status in ("closed_out", "bankrupt"):
            row["event"] = "closed out" if done.status == "closed_out" else "bankrupt"
        if done.status == "bankrupt":
            self.gone = True
            self.account = replace(self.account, collateral={})
        return [{**{k: r[k] for k in TRADE[3:9]}, "reason": against} for r in records]
