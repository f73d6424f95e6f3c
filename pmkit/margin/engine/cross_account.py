"""An account in arrays for rules that margin it whole in USD: contracts, currencies, values per unit."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.instruments.portfolio import Position
from pmkit.margin.accounts.account import Account, unrealised_pnl
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.engine.base import AccountRule, check_account, collected
from pmkit.margin.engine.usd_rule import UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = [
    "Charged",
    "CrossAccountRule",
    "Holdings",
    "holdings",
    "refuse_obligations",
    "require_contracts",
]


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """Contracts and currencies of an account with their USD values per unit.

    Attributes
    ----------
    instruments : tuple of Instrument
    quantities : ndarray, shape (instruments,)
        Signed contracts.
    currencies : tuple of str
        Of balances and of settlement, in order of first appearance.
    amounts, prices : ndarray, shape (currencies,)
        Balance in units of the currency, and USD per unit.
    settles : ndarray of int, shape (instruments,)
        Position of the settlement currency in ``currencies``.
    profit : ndarray, shape (instruments,)
        Unrealised profit per contract, USD; 0 for options and for lines without an entry price.
    value : ndarray, shape (instruments,)
        Value of an option per contract, USD; 0 for the others.
    """

    instruments: tuple[Instrument, ...]
    quantities: FloatArray
    currencies: tuple[str, ...]
    amounts: FloatArray
    prices: FloatArray
    settles: IntArray
    profit: FloatArray
    value: FloatArray

    def equity(self, quantities: FloatArray, amounts: FloatArray) -> FloatArray:
        """Return balance, profit and option value by currency in USD, shape (currencies,)."""
        lines = quantities * (self.profit + self.value)
        return np.array(
            [
                math.fsum([amounts[c] * self.prices[c], *lines[self.settles == c]])
                for c in range(len(self.currencies))
            ]
        )

    def option_value(self, quantities: FloatArray) -> float:
        """Return the net value of the options, USD."""
        return math.fsum(quantities * self.value)


def holdings(account: Account, snapshot: MarketSnapshot) -> Holdings:
    """Return the arrays of an account.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
        In USD: contracts quoted in a stablecoin are carried at their USD value, entry prices included. Its
        ``fx`` prices stablecoins and other tokens.

    Raises
    ------
    ConventionError
        A currency without a price.
    """
    held = account.portfolio.instruments
    currencies = tuple(dict.fromkeys([*account.collateral, *(i.settlement_currency for i in held)]))
    profit, value = np.zeros(len(held)), np.zeros(len(held))
    marks = unit_marks(held, snapshot).tolist()
    for line, (position, mark) in enumerate(zip(account.portfolio, marks, strict=True)):
        instrument = position.instrument
        unit = snapshot.spot(instrument.underlying) if instrument.is_inverse else 1.0
        if isinstance(instrument, Option):
            value[line] = instrument.multiplier * mark * unit
        elif position.entry_price is not None:
            one = Position(instrument=instrument, qty=1.0, entry_price=position.entry_price)
            profit[line] = unrealised_pnl(one, mark) * unit
    return Holdings(
        instruments=tuple(held),
        quantities=account.portfolio.quantities,
        currencies=currencies,
        amounts=np.array([account.collateral.get(c, 0.0) for c in currencies], dtype=np.float64),
        prices=np.array([account.price(c, snapshot) for c in currencies], dtype=np.float64),
        settles=np.array([currencies.index(i.settlement_currency) for i in held], dtype=np.int64),
        profit=profit,
        value=value,
    )


def require_contracts(
    account: Account, rule: str, taken: Callable[[Instrument], bool], expected: str
) -> None:
    """Raise where a rule does not take a contract of the account."""
    for instrument in account.portfolio.instruments:
        if not taken(instrument):
            raise ConventionError(
                f"{instrument.name}: {instrument.settlement} {instrument.kind} settled in"
                f" {instrument.settlement_currency}",
                f"{expected}: {rule} knows no others",
                "margin it under another rule",
                **account.portfolio.place(instrument.name),
            )


def refuse_obligations(account: Account, rule: str) -> None:
    """Raise where the account owes market-maker-protection or open-order margin."""
    owed = {**account.mmp_margin, **account.open_order_margin}
    if any(amount > 0.0 for amount in owed.values()):
        raise ConventionError(
            f"market-maker-protection or open-order margin in account {account.name!r}",
            f"none: {rule} has no such charge",
            "leave the obligations out",
        )


class Charged(NamedTuple):
    """The charge of an account with what is left out of it, by currency, and notes for the reader."""

    charge: UsdCharge
    left_out: Mapping[str, float]
    notes: tuple[str, ...]


class CrossAccountRule(AccountRule):
    """Base of the rules that margin an account whole in USD, debts included; basis ``pnl``."""

    @abstractmethod
    def check_scope(self, account: Account) -> None:
        """Raise where the account holds contracts or obligations that the rule does not take."""

    @abstractmethod
    def charged(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> Charged:
        """Return what the rule asks of the account."""

    def requirement(
        self, account: Account, snapshot: MarketSnapshot, *, history: Any = None, state: Any = None
    ) -> MarginResult:
        """Return IM and MM of an account in USD, positive.

        Parameters
        ----------
        account : Account
            Balances may be debts.
        snapshot : MarketSnapshot
            In USD; entry prices likewise.
        history, state : optional
            Not used: the rule has no memory.

        Returns
        -------
        MarginResult

        Raises
        ------
        DataGapError, LookAheadError, SchemaError
            The account is empty, newer than the snapshot, or holds what the snapshot does not list.
        ConventionError
            A contract, a debt or an obligation that the rule does not take, or a currency without a price.
        RuleVersionError
            No parameter set covers the date, or it is stale.
        """
        self.check_scope(account)
        with collected() as said:
            check_account(account, snapshot)
            parameters = self.parameter_set(snapshot)
        found, left_out, notes = self.charged(account, snapshot, parameters)
        return self.stated(
            account,
            snapshot,
            parameters,
            said,
            numeraire="USD",
            im=found.im,
            mm=found.mm,
            basis="pnl",
            net_option_value=found.option_value,
            equity=found.equity,
            collateral_treatment="haircut",
            not_eligible=left_out,
            worst_scenario=found.worst,
            scenario_vector=found.vector,
            addons=found.addons,
            steps=found.steps,
            figures=found.figures,
            notes=notes,
            provenance=self.provenance(account, snapshot, parameters),
        )
