"""Rules that margin a whole account in USD from marks and oracle feeds, collateral included."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option, Perpetual
from pmkit.margin.accounts.account import Account, unrealised_pnl
from pmkit.margin.conformance.feeds import CollateralFeed, Feeds
from pmkit.margin.engine.base import RuleBase, check_account, collected
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, MarginResult, Step
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["CASH", "TetherRule", "UsdBook", "UsdCharge", "UsdRule", "profit_and_cash"]

#: Currencies that count as cash of the account at their face value.
CASH = ("USDC", "USD")


@dataclass(frozen=True, kw_only=True)
class UsdCharge(Charge):
    """What a rule asks for given quantities and balances, in USD, against equity at marks."""

    equity: float
    option_value: float


class UsdBook(Protocol):
    """An account's instruments and balances, revalued once, that answers for any amounts of them."""

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts, shape (instruments,), and balances, shape (coins,)."""
        ...


def profit_and_cash(account: Account, snapshot: MarketSnapshot) -> tuple[float, float]:
    """Return the profit of perpetuals that is not settled, and the cash of an account, USD."""
    profit = math.fsum(
        unrealised_pnl(p, snapshot.mark(p.instrument).price)
        for p in account.portfolio
        if isinstance(p.instrument, Perpetual)
    )
    return profit, math.fsum(account.collateral.get(name, 0.0) for name in CASH)


@dataclass(frozen=True, kw_only=True)
class UsdRule(RuleBase, ABC):
    """Base of the rules in USD; subclasses say which collateral they take and what a book is charged.

    Attributes
    ----------
    feeds : Feeds or None
        Confidences, rates and collateral prices at the snapshot's instant. None is refused in use: a
        confidence that nobody gave must not pass for a full one.
    """

    basis: ClassVar[Basis] = "pnl"
    collateral_treatment: ClassVar[str] = "haircut"
    #: True where a book of several underlyings is margined together
    many_underlyings: ClassVar[bool] = False
    #: clauses of the rule's page about maintenance and initial margin
    money_clauses: ClassVar[tuple[str, str]] = ("", "")

    feeds: Feeds | None = field(default=None, repr=False)

    @abstractmethod
    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return the collateral currencies, cash apart, that the rule takes beside an underlying."""

    @abstractmethod
    def book(
        self,
        account: Account,
        balances: Mapping[str, CollateralFeed],
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        underlyings: tuple[str, ...],
    ) -> UsdBook:
        """Return the revalued book of an account; ``balances`` are the coins that count, in order."""

    def requirement(
        self, account: Account, snapshot: MarketSnapshot, *, history: Any = None, state: Any = None
    ) -> MarginResult:
        """Return IM and MM of an account in USD, positive; equity minus IM is the venue's net margin.

        Parameters
        ----------
        account : Account
            USD-settled options and perpetuals; ``USDC`` and ``USD`` balances are cash.
        snapshot : MarketSnapshot
        history, state : optional
            Not used: the rule has no memory.

        Returns
        -------
        MarginResult

        Raises
        ------
        DataGapError
            The account is empty, a mark is missing, or a confidence, rate or collateral price was not given.
        LookAheadError, SchemaError
            The snapshot is older than the account, or does not know a contract.
        ConventionError
            A contract that is not a USD-settled option or perpetual, a second underlying where the rule takes
            one, a debt in a coin, or obligations that the rule does not know.
        RuleVersionError
            No parameter set covers the date and the underlying, or it is stale.
        """
        underlyings = self._underlyings(account, snapshot)
        feeds = self._feeds()
        with collected() as said:
            check_account(account, snapshot, priced=feeds.collateral)
            parameters = self.parameter_set(snapshot, underlyings[0])
        coins, left_out = self._balances(account, snapshot, parameters, underlyings)
        book = self.book(account, coins, snapshot, parameters, underlyings)
        amounts = np.array([account.collateral[name] for name in coins], dtype=np.float64)
        held = book.charge(account.portfolio.quantities, amounts)
        profit, cash = profit_and_cash(account, snapshot)
        equity = math.fsum([held.equity, profit, cash])
        maintenance, initial = self.money_clauses
        steps = (
            *held.steps,
            Step(initial, "profit of perpetuals not settled", profit, "USD", "data"),
            Step(initial, "cash", cash, "USD", "data"),
            Step(initial, "equity", equity, "USD"),
            Step(maintenance, "maintenance margin", held.mm, "USD"),
            Step(maintenance, "net maintenance margin", equity - held.mm, "USD"),
            Step(initial, "initial margin", held.im, "USD"),
            Step(initial, "net initial margin", equity - held.im, "USD"),
        )
        return self._usd_result(
            account,
            snapshot,
            parameters,
            left_out,
            said,
            im=held.im,
            mm=held.mm,
            net_option_value=held.option_value,
            equity=equity,
            worst_scenario=held.worst,
            scenario_vector=held.vector,
            addons=held.addons,
            steps=steps,
            figures=held.figures,
            provenance=self.provenance(account, snapshot, parameters, data={"feeds": feeds.fingerprint}),
        )

    def _usd_result(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        left_out: Mapping[str, float],
        said: Sequence[str],
        **figures: Any,
    ) -> MarginResult:
        """Return the result with what does not depend on the charge filled in."""
        assumes = self._feeds().assumes
        return self.stated(
            account,
            snapshot,
            parameters,
            said,
            numeraire="USD",
            basis=self.basis,
            collateral_treatment=self.collateral_treatment,
            not_eligible=left_out,
            notes=("feeds that were not given are replaced by defaults",) if assumes else (),
            **figures,
        )

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return ``im_equity`` of each position and then each coin balance held alone, USD.

        Returns
        -------
        ndarray, shape (positions + coins,)
        """
        underlyings = self._underlyings(account, snapshot)
        with collected():
            parameters = self.parameter_set(snapshot, underlyings[0])
        coins, _ = self._balances(account, snapshot, parameters, underlyings)
        book = self.book(account, coins, snapshot, parameters, underlyings)
        quantities = account.portfolio.quantities
        amounts = np.array([account.collateral[name] for name in coins], dtype=np.float64)
        alone = np.concatenate([quantities, amounts])
        values = np.zeros(alone.size)
        for line in range(alone.size):
            one = np.zeros(alone.size)
            one[line] = alone[line]
            found = book.charge(one[: quantities.size], one[quantities.size :])
            values[line] = found.im + (found.option_value if self.basis == "cash" else 0.0)
        return values

    # -- inside ---------------------------------------------------------------------------------------------
    def _feeds(self) -> Feeds:
        if self.feeds is None:
            raise DataGapError(
                f"{self.name} was given no feeds",
                "confidences of the oracles and rates by expiry",
                "pass feeds=Feeds(...), with default_confidence and default_rate where they are assumed",
            )
        return self.feeds

    def _underlyings(self, account: Account, snapshot: MarketSnapshot) -> tuple[str, ...]:
        """Return what the account holds, checked: kinds of contract, number of underlyings, obligations."""
        for position in account.portfolio:
            instrument = position.instrument
            if instrument.is_inverse or not isinstance(instrument, (Option, Perpetual)):
                raise ConventionError(
                    f"{instrument.name}: {instrument.settlement} {instrument.kind} settled in"
                    f" {instrument.settlement_currency}",
                    f"options and perpetuals settled in USD: {self.name} knows no others",
                    "book coins as collateral, and margin other contracts under another rule",
                    **account.portfolio.place(instrument.name),
                )
        held = account.portfolio.underlyings
        if len(held) > 1 and not self.many_underlyings:
            raise ConventionError(
                f"account {account.name!r} holds {', '.join(held)}",
                f"one underlying: {self.name} margins each in an account of its own",
                "split the account",
            )
        owed = {**account.mmp_margin, **account.open_order_margin}
        if any(amount > 0.0 for amount in owed.values()):
            raise ConventionError(
                f"market-maker-protection or open-order margin in account {account.name!r}",
                f"none: {self.name} has no such charge",
                "leave the obligations out",
            )
        if held:
            return tuple(held)
        coins = [c for c in account.collateral if c in snapshot.underlyings]
        return (coins[0] if coins else next(iter(snapshot.underlyings)),)

    def _balances(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        underlyings: tuple[str, ...],
    ) -> tuple[dict[str, CollateralFeed], dict[str, float]]:
        """Return the coins that count with their feeds, and what is left out with its amount."""
        accepted = {c for u in underlyings for c in self.eligible(u, parameters)}
        coins: dict[str, CollateralFeed] = {}
        left_out: dict[str, float] = {}
        for currency, amount in account.collateral.items():
            if currency in CASH or amount == 0.0:
                continue
            if amount < 0.0:
                raise ConventionError(
                    f"account {account.name!r} owes {-amount:g} {currency}",
                    f"debts in {' or '.join(CASH)} only",
                    "repay the debt, or book it as negative cash",
                    **account.portfolio.place(currency),
                )
            if currency not in accepted:
                left_out[currency] = amount
                continue
            known = snapshot.spot(currency) if currency in snapshot.underlyings else None
            coins[currency] = self._feeds().balance(currency, known)
        return coins, left_out


@dataclass(frozen=True, kw_only=True)
class TetherRule(UsdRule):
    """Base of the rules in USD whose one collateral beside cash is USDT, at par where no feed is given."""

    many_underlyings: ClassVar[bool] = True

    feeds: Feeds | None = field(
        default_factory=lambda: Feeds(collateral={"USDT": CollateralFeed(1.0)}), repr=False
    )

    def eligible(self, underlying: str, parameters: ParameterSet) -> tuple[str, ...]:
        """Return the stablecoin that counts beside cash."""
        return ("USDT",)
