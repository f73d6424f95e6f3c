"""Rules for accounts of listed contracts settled in cash: what they share, whatever they charge."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account, unrealised_pnl
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.engine.base import AccountRule, check_account, collected
from pmkit.margin.engine.coin_rule import Charger
from pmkit.margin.engine.cross_account import refuse_obligations, require_contracts
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, MarginResult, Step
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["BrokerageRule", "ListedMarket", "ListedRule", "marks_of"]


class ListedMarket(NamedTuple):
    """What a book is priced from: positions, their marks by name, snapshot, parameters, history if any."""

    portfolio: Portfolio
    marks: Mapping[str, float]
    snapshot: MarketSnapshot
    parameters: ParameterSet
    history: PriceHistory | None = None


def marks_of(portfolio: Portfolio, snapshot: MarketSnapshot) -> dict[str, float]:
    """Return the mark of each contract by name, in its currency.

    Examples
    --------
    >>> from pmkit.instruments import Position, stock
    >>> seen = MarketSnapshot.from_marks("2026-07-31T20:00Z", {"XYZ": 100.0})
    >>> held = Portfolio(positions=(Position(instrument=stock("XYZ"), qty=1.0),), as_of=seen.as_of)
    >>> marks_of(held, seen)
    {'XYZ': 100.0}
    """
    marks = unit_marks(portfolio.instruments, snapshot).tolist()
    return {i.name: mark for i, mark in zip(portfolio.instruments, marks, strict=True)}


def _value(position: Position, marks: Mapping[str, float]) -> float:
    return position.qty * position.instrument.multiplier * marks[position.instrument.name]


@dataclass(frozen=True, kw_only=True)
class ListedRule(AccountRule):
    """Base of the rules for stocks, futures and options of one quote currency, against cash in it.

    Notes
    -----
    Equity is cash plus profit of futures not settled, plus the value of stock, plus option value.
    """

    basis: ClassVar[Basis]
    citations: ClassVar[tuple[str, ...]] = ()
    #: contracts that the rule margins, in a word for messages and as classes
    accepts: ClassVar[tuple[str, tuple[type[Instrument], ...]]]
    #: clause of the rule's page about equity and the sum
    money_clause: ClassVar[str]

    @property
    def currency(self) -> str:
        """Currency of the contracts, of cash and of every amount."""
        return "USD"

    @abstractmethod
    def book(self, seen: ListedMarket) -> Charger:
        """Return the positions, revalued once and ready to be charged for any quantities."""

    def requirement(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        *,
        history: PriceHistory | None = None,
        state: Any = None,
    ) -> MarginResult:
        """Return IM and MM of an account in the currency of its contracts, USD but for some variants.

        Parameters
        ----------
        account : Account
            Contracts of one currency; the balance in it is cash, other collateral is not eligible.
        snapshot : MarketSnapshot
        history : PriceHistory, optional
            Only for parameters that follow realised vol.
        state : optional
            Not used: the rule has no memory.

        Returns
        -------
        MarginResult

        Raises
        ------
        DataGapError, LookAheadError, SchemaError
            The account is empty, newer than the snapshot, or holds what the snapshot does not know.
        ConventionError
            A contract that the rule does not know, a debt in another currency, or obligations.
        RuleVersionError
            No parameter set covers the date and the underlying, or it is stale.
        """
        currency = self.currency
        self._refuse(account)
        with collected() as said:
            check_account(account, snapshot, priced=(self.currency,))
            parameters = self._parameters(account.portfolio, snapshot)
        marks = marks_of(account.portfolio, snapshot)
        seen = ListedMarket(account.portfolio, marks, snapshot, parameters, history)
        charge = self.book(seen).charge(account.portfolio.quantities)
        shares, options = (
            math.fsum(_value(p, marks) for p in account.portfolio if isinstance(p.instrument, kind))
            for kind in (Spot, Option)
        )
        profit = math.fsum(unrealised_pnl(p, marks[p.instrument.name]) for p in account.portfolio)
        cash = account.collateral.get(currency, 0.0)
        equity = math.fsum([cash, profit, shares, options])
        on_options = options if self.basis == "cash" else 0.0
        floor = self.smallest_equity(parameters, account.portfolio)
        initial = max(charge.im, floor - on_options)
        least = Step(self.money_clause, "smallest equity of the account", floor, currency, "assumed")
        steps = (
            *charge.steps,
            *([least] if floor > 0.0 else []),
            Step(self.money_clause, "cash", cash, currency, "data"),
            Step(self.money_clause, "profit of futures not settled", profit, currency, "data"),
            Step(self.money_clause, "net option value", options, currency, "data"),
            Step(self.money_clause, "value of stock", shares, currency, "data"),
            Step(self.money_clause, "equity", equity, currency, "data"),
            Step(self.money_clause, "maintenance margin", charge.mm, currency),
            Step(self.money_clause, "initial margin", initial, currency),
        )
        return self.stated(
            account,
            snapshot,
            parameters,
            said,
            numeraire=currency,
            im=initial,
            mm=charge.mm,
            basis=self.basis,
            net_option_value=options,
            equity=equity,
            collateral_treatment=f"cash in {currency} only",
            not_eligible={c: x for c, x in account.collateral.items() if c != currency and x != 0.0},
            worst_scenario=charge.worst,
            scenario_vector=charge.vector,
            addons=charge.addons,
            steps=steps,
            figures=charge.figures,
            provenance=self.provenance(account, snapshot, parameters, data=self.given(history)),
        )

    def smallest_equity(self, parameters: ParameterSet, portfolio: Portfolio) -> float:
        """Return the equity below which no account of the kind may be kept; 0 where none is asked."""
        return 0.0

    def given(self, history: PriceHistory | None) -> dict[str, str]:
        """Return fingerprints of what the caller gave beside account and snapshot, by name."""
        return {}

    def line_im_equity(
        self, account: Account, snapshot: MarketSnapshot, *, history: PriceHistory | None = None
    ) -> FloatArray:
        """Return ``im_equity`` of each position held alone.

        Returns
        -------
        ndarray, shape (positions,)
        """
        portfolio = account.portfolio
        with collected():
            parameters = self._parameters(portfolio, snapshot)
        marks = marks_of(portfolio, snapshot)
        book = self.book(ListedMarket(portfolio, marks, snapshot, parameters, history))
        values = np.zeros(len(portfolio))
        for line, position in enumerate(portfolio):
            alone = np.zeros(len(portfolio))
            alone[line] = position.qty
            values[line] = book.charge(alone).im
            if self.basis == "cash" and isinstance(position.instrument, Option):
                values[line] += _value(position, marks)
        return values

    # -- inside ---------------------------------------------------------------------------------------------
    def _parameters(self, portfolio: Portfolio, snapshot: MarketSnapshot) -> ParameterSet:
        held = portfolio.underlyings
        found = self.parameter_set(snapshot, held[0] if held else None)
        for underlying in held:
            found.table(underlying)
        return found

    def _refuse(self, account: Account) -> None:
        """Raise for contracts, debts and obligations that the rule has no clause for."""
        words, kinds = self.accepts

        def taken(instrument: Instrument) -> bool:
            return isinstance(instrument, kinds) and instrument.settlement_currency == self.currency

        require_contracts(account, self.name, taken, f"{words} settled in {self.currency}")
        for currency, amount in account.collateral.items():
            if amount < 0.0 and currency != self.currency:
                raise ConventionError(
                    f"account {account.name!r} owes {-amount:g} {currency}",
                    f"debts in {self.currency} only",
                    "repay the debt, or book it as negative cash",
                    **account.portfolio.place(currency),
                )
        refuse_obligations(account, self.name)


@dataclass(frozen=True, kw_only=True)
class BrokerageRule(ListedRule):
    """Base of the rules of brokerage accounts, which have a smallest equity.

    Attributes
    ----------
    with_minimum_equity : bool
        Raise IM to the smallest equity of an account of the kind.
    """

    with_minimum_equity: bool = False

    def smallest_equity(self, parameters: ParameterSet, portfolio: Portfolio) -> float:
        """Return the smallest equity of the account in USD, 0 unless it is asked for."""
        if not self.with_minimum_equity:
            return 0.0
        return max((float(parameters.table(u).minimum_equity) for u in portfolio.underlyings), default=0.0)
