"""Many accounts under a rule that margins every coin apart: contracts revalued once, sums by account."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.base import check_account, collected
from pmkit.margin.engine.coin_rule import Charger, CoinRule, require_coin_settled
from pmkit.margin.engine.many import HeldLines, LineCharge, ManyRule, checked_marks, held_lines, together
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["ManyCharger", "SharedCoinRule"]


class ManyCharger(Charger, Protocol):
    """A book of one currency, revalued once, that answers for the lines of many accounts in it."""

    def charge_many(self, lines: HeldLines) -> list[LineCharge]:
        """Return the charge of each account."""
        ...


class SharedCoinRule(CoinRule, ManyRule):
    """Base of the rules by coin whose revalued book serves any number of accounts."""

    @abstractmethod
    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> ManyCharger:
        """Return the revalued book of one currency."""

    def many(self, accounts: Sequence[Account], snapshot: MarketSnapshot) -> list[MarginResult]:
        """Return the requirements of many accounts, coin by coin."""
        instruments = together(accounts)
        with collected() as said:
            marks = checked_marks(accounts, instruments, snapshot, lambda a: check_account(a, snapshot))
        coins = []
        for account in accounts:
            require_coin_settled(account.portfolio, self.name)
            coins.append(self._currencies(account, snapshot))
            self._refuse_debts(account, coins[-1])
        values = [account.value_parts(marks) for account in accounts]
        no_vector = pd.Series(dtype="float64")
        parts: list[dict[str, MarginResult]] = [{} for _ in accounts]
        for currency in dict.fromkeys(c for named in coins for c in named):
            holders = [at for at, named in enumerate(coins) if currency in named]
            held = [i for i in instruments if i.underlying == currency]
            with collected() as texts:
                parameters = self.parameter_set(snapshot, currency)
            lots = tuple(Position(instrument=i, qty=i.lot) for i in held)
            book = self.charger(
                Portfolio(positions=lots, as_of=snapshot.as_of), currency, snapshot, parameters
            )
            lines = held_lines([accounts[at].portfolio for at in holders], held)
            for at, charge in zip(holders, book.charge_many(lines), strict=True):
                account = accounts[at]
                mmp = account.mmp_margin.get(currency, 0.0)
                orders = account.open_order_margin.get(currency, 0.0)
                parts[at][currency] = self._coin_result(
                    account,
                    snapshot,
                    parameters,
                    currency,
                    values[at],
                    (*said, *texts),
                    im=charge.im + mmp + orders,
                    mm=charge.mm,
                    worst_scenario=charge.worst,
                    scenario_vector=no_vector,
                )
        found = []
        for account, named, own in zip(accounts, coins, parts, strict=True):
            ordered = {currency: own[currency] for currency in named}
            found.append(ordered[named[0]] if len(named) == 1 else self._total(account, snapshot, ordered))
        return found
