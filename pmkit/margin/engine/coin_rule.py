"""Rules that margin every coin apart, in that coin, against collateral in that coin alone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Option, Perpetual
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.accounts.account import Account, ValueParts
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.engine.base import RuleBase, check_account, collected, origin
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, MarginResult, Step, WorstScenario
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Charge", "Charger", "CoinRule", "charge_of_lines", "require_coin_settled"]


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What a rule asks for given quantities, in a coin or in USD, without obligations of the account."""

    im: float
    mm: float
    addons: Mapping[str, float] = field(default_factory=dict)
    worst: WorstScenario = field(default_factory=lambda: WorstScenario("no scenarios", math.nan))
    vector: pd.Series = field(default_factory=lambda: pd.Series(dtype="float64"))
    steps: tuple[Step, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


class Charger(Protocol):
    """A book of one currency, revalued once, that answers for any quantities of its instruments."""

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts, shape (instruments,)."""
        ...


def charge_of_lines(
    lines: Sequence[tuple[str, str, float, float, float]],
    clauses: Mapping[str, tuple[str, tuple[str, ...]]],
    unit: str,
    parameters: ParameterSet,
) -> Charge:
    """Return the charge of lines that do not net: sums of their margins, with a step for each clause.

    Parameters
    ----------
    lines : sequence of tuple
        Instrument, clause, signed contracts, initial and maintenance margin.
    clauses : mapping of str to tuple
        What a clause is about, and the parameters behind it; lines of other clauses need nothing.
    unit : str
        Currency of the margins.
    parameters : ParameterSet
    """
    frame = pd.DataFrame(list(lines), columns=["instrument", "clause", "qty", "im", "mm"])
    steps = []
    for clause, (what, keys) in clauses.items():
        chosen = frame[frame["clause"] == clause]
        status = origin(parameters, *keys)
        for side, column in (("initial", "im"), ("maintenance", "mm")):
            steps.append(Step(clause, f"{side} margin, {what}", math.fsum(chosen[column]), unit, status))
    return Charge(
        im=math.fsum(frame["im"]),
        mm=math.fsum(frame["mm"]),
        steps=tuple(steps),
        figures={"lines": frame.set_index("instrument")},
    )


def require_coin_settled(portfolio: Portfolio, rule: str) -> None:
    """Raise where a position is not a coin-settled option, future or perpetual."""
    for position in portfolio:
        instrument = position.instrument
        if not isinstance(instrument, (Option, Future, Perpetual)) or not instrument.is_inverse:
            raise ConventionError(
                f"{instrument.name} is a {instrument.settlement} {instrument.kind} "
                f"settled in {instrument.settlement_currency}",
                f"coin-settled options, futures and perpetuals: {rule} margins each coin apart",
                "book coins as collateral, and margin other contracts under a rule in USD such as es-fhs",
            )


class CoinRule(RuleBase, ABC):
    """Base of the rules that work coin by coin; subclasses say what a book of one coin is charged."""

    basis: ClassVar[Basis]
    citations: ClassVar[tuple[str, ...]]
    #: clause of the rule's page about collateral and obligations
    money_clause: ClassVar[Mapping[str, str]]

    @abstractmethod
    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> Charger:
        """Return the revalued book of one currency."""

    def requirement(
        self, account: Account, snapshot: MarketSnapshot, *, history: Any = None, state: Any = None
    ) -> MarginResult:
        """Return IM and MM of an account, positive, in coin, or in USD with parts for several coins.

        Parameters
        ----------
        account : Account
        snapshot : MarketSnapshot
        history, state : optional
            Not used: the rule has no memory.

        Returns
        -------
        MarginResult

        Raises
        ------
        DataGapError, LookAheadError, SchemaError, ConventionError
            The account is empty, newer than the snapshot, holds what the snapshot does not list, or holds
            contracts that are not coin-settled.
        RuleVersionError
            No parameter set covers the date and the coin, or it is stale.
        """
        with collected() as said:
            check_account(account, snapshot)
        require_coin_settled(account.portfolio, self.name)
        currencies = self._currencies(account, snapshot)
        self._refuse_debts(account, currencies)
        marks = unit_marks(account.instruments, snapshot).tolist()
        value = account.value_parts({i.name: m for i, m in zip(account.instruments, marks, strict=True)})
        parts = {currency: self._part(account, currency, snapshot, value, said) for currency in currencies}
        if len(parts) == 1:
            return next(iter(parts.values()))
        return self._total(account, snapshot, parts)

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return ``im_equity`` of each position held alone, without collateral and obligations.

        Returns
        -------
        ndarray, shape (positions,)
            In the numeraire of :meth:`requirement`: coin, or USD at the index for several coins.
        """
        portfolio = account.portfolio
        currencies = self._currencies(account, snapshot)
        values = np.zeros(len(portfolio))
        for currency in portfolio.underlyings:
            book = portfolio.of_underlying(currency)
            at = [i for i, p in enumerate(portfolio) if p.instrument.underlying == currency]
            with collected():
                table = self.parameter_set(snapshot, currency)
            charger = self.charger(book, currency, snapshot, table)
            unit = snapshot.spot(currency) if len(currencies) > 1 else 1.0
            for line, (row, position) in enumerate(zip(at, book, strict=True)):
                alone = np.zeros(len(book))
                alone[line] = position.qty
                im = charger.charge(alone).im
                if self.basis == "cash" and isinstance(position.instrument, Option):
                    mark = snapshot.mark(position.instrument).price
                    im += position.qty * position.instrument.multiplier * mark
                values[row] = im * unit
        return values

    # -- inside ---------------------------------------------------------------------------------------------
    def _currencies(self, account: Account, snapshot: MarketSnapshot) -> tuple[str, ...]:
        owed = {**account.mmp_margin, **account.open_order_margin}
        for currency in owed:
            if owed[currency] > 0.0 and currency not in snapshot.underlyings:
                raise ConventionError(
                    f"market-maker-protection or open-order margin in {currency}",
                    f"one of {', '.join(snapshot.underlyings)}: {self.name} margins each coin apart",
                    "give the amount in the coin that it is charged in",
                )
        named = [*account.portfolio.underlyings, *(c for c in owed if owed[c] > 0.0)]
        if not named:
            coins = [c for c in account.collateral if c in snapshot.underlyings]
            named = coins[:1] or [next(iter(snapshot.underlyings))]
        return tuple(dict.fromkeys(named))

    def _part(
        self,
        account: Account,
        currency: str,
        snapshot: MarketSnapshot,
        value: ValueParts,
        said: Sequence[str],
    ) -> MarginResult:
        with collected() as texts:
            parameters = self.parameter_set(snapshot, currency)
        book = account.portfolio.of_underlying(currency)
        held = self.charger(book, currency, snapshot, parameters).charge(book.quantities)
        mmp = account.mmp_margin.get(currency, 0.0)
        orders = account.open_order_margin.get(currency, 0.0)
        obligations = {k: v for k, v in (("mmp_margin", mmp), ("open_order_margin", orders)) if v > 0.0}
        initial = held.im + mmp + orders
        clause = self.money_clause[self.variant]
        steps = (
            *held.steps,
            Step(clause, "market-maker-protection margin (input)", mmp, currency, "data"),
            Step(clause, "open-order margin (input)", orders, currency, "data"),
            Step(clause, "initial margin", initial, currency),
            Step(clause, "maintenance margin", held.mm, currency),
        )
        return self._coin_result(
            account,
            snapshot,
            parameters,
            currency,
            value,
            (*said, *texts),
            im=initial,
            mm=held.mm,
            worst_scenario=held.worst,
            scenario_vector=held.vector,
            addons={**held.addons, **obligations},
            steps=steps,
            figures=held.figures,
            provenance=self.provenance(account, snapshot, parameters),
        )

    def _coin_result(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        currency: str,
        value: ValueParts,
        said: Sequence[str],
        **figures: Any,
    ) -> MarginResult:
        """Return the result of one coin with what does not depend on the charge filled in."""
        return self.stated(
            account,
            snapshot,
            parameters,
            said,
            numeraire=currency,
            basis=self.basis,
            net_option_value=value.options.get(currency, 0.0),
            equity=value.in_currency(currency),
            collateral_treatment="own coin only",
            not_eligible={c: x for c, x in account.collateral.items() if c != currency and x != 0.0},
            **figures,
        )

    def _refuse_debts(self, account: Account, currencies: Sequence[str]) -> None:
        """Raise for a debt that no coin of the rule carries: left out like an asset it would hide."""
        for currency, amount in account.collateral.items():
            if amount < 0.0 and currency not in currencies:
                raise ConventionError(
                    f"account {account.name!r} owes {-amount:g} {currency}, and {self.name} margins"
                    f" {', '.join(currencies) or 'no coin'} apart",
                    "debts in the coins that are margined only",
                    "repay the debt from the coin balance, or use a rule in USD such as es-fhs",
                )

    def _total(
        self, account: Account, snapshot: MarketSnapshot, parts: Mapping[str, MarginResult]
    ) -> MarginResult:
        spot = {currency: snapshot.spot(currency) for currency in parts}

        def in_usd(amounts: Mapping[str, float]) -> float:
            return math.fsum(amounts[c] * spot[c] for c in parts)

        first = next(iter(parts.values()))
        return MarginResult(
            rule=self.name,
            variant=self.variant,
            account=account.name,
            as_of=snapshot.as_of,
            param_set=" + ".join(dict.fromkeys(p.param_set for p in parts.values())),
            param_set_age_days=max(p.param_set_age_days for p in parts.values()),
            numeraire="USD",
            im=in_usd({c: p.im for c, p in parts.items()}),
            mm=in_usd({c: p.mm for c, p in parts.items()}),
            basis=self.basis,
            net_option_value=in_usd({c: p.net_option_value for c, p in parts.items()}),
            equity=in_usd({c: p.equity for c, p in parts.items()}),
            collateral_treatment="own coin only",
            not_eligible={c: x for c, x in account.collateral.items() if c not in parts and x != 0.0},
            worst_scenario=WorstScenario(
                "; ".join(f"{c}: {p.worst_scenario.name}" for c, p in parts.items()),
                in_usd({c: p.worst_scenario.pnl for c, p in parts.items()}),
            ),
            addons={f"{c} {k}": v * spot[c] for c, p in parts.items() for k, v in p.addons.items()},
            parts=dict(parts),
            warnings=tuple(dict.fromkeys(text for p in parts.values() for text in p.warnings)),
            provenance=Provenance(
                method=first.provenance.method,
                data={f"{c} {k}": v for c, p in parts.items() for k, v in p.provenance.data.items()},
                parameters={c: p.param_set for c, p in parts.items()},
            ),
            references=self.citations,
        )
