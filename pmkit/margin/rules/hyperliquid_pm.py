"""``hyperliquid-pm`` (clauses HLP): loan to value of collateral tokens against debts and perpetuals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Perpetual
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.base import collected, origin
from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.engine.cross_account import (
    Charged,
    CrossAccountRule,
    Holdings,
    holdings,
    refuse_obligations,
    require_contracts,
)
from pmkit.margin.engine.usd_rule import UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.schemas import HyperliquidParameters
from pmkit.margin.schemas.groups import for_coin
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["SETTLEMENT", "HyperliquidPm", "liquidation_threshold", "portfolio_margin_ratio"]

#: currency in which the perpetuals settle
SETTLEMENT = "USDC"


def liquidation_threshold(ltv: float, table: HyperliquidParameters) -> float:
    """Return the share of a collateral token's value that covers debts before liquidation.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> liquidation_threshold(0.5, load_parameter_sets("hyperliquid-pm")[0].table("BTC"))
    0.75
    """
    return table.threshold_base + table.threshold_slope * ltv


def portfolio_margin_ratio(requirement: float, value: float) -> float:
    """Return requirement over liquidation value, both USD; +inf where the value is not positive.

    Parameters
    ----------
    requirement : float
        Minimum offset, maintenance margin of the perpetuals and debt, 0 or more.
    value : float
        Balance and credit of the collateral.

    Raises
    ------
    ParameterError
        A requirement that is negative or an amount that is not finite.

    Examples
    --------
    >>> round(portfolio_margin_ratio(20.0 + 150.0 + 9_200.0, 12_000.0 + 12_000.0 * 0.75), 6)
    0.44619
    """
    if not (math.isfinite(requirement) and requirement >= 0.0 and math.isfinite(value)):
        raise ParameterError(
            f"requirement {requirement!r} and value {value!r}",
            "a requirement of 0 USD or more and a finite value",
            "correct them",
        )
    return requirement / value if value > 0.0 else math.inf


@dataclass(frozen=True, kw_only=True)
class _HyperliquidBook:
    held: Holdings
    unit: FloatArray  # USD of notional per contract
    tables: Mapping[str, Brackets]
    settlement_price: float
    table: HyperliquidParameters
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts and balances (clauses HLP-3 to HLP-9)."""
        t, names = self.table, self.held.currencies
        equity = self.held.equity(quantities, amounts)
        maintenance, initial = self._perpetuals(quantities)
        credit, loan = self._credit(amounts)
        rows = {}
        for token in self._in_use(quantities, equity):
            at = names.index(token) if token in names else None
            cash = 0.0 if at is None else float(equity[at])
            cap = t.borrow_caps[token] * (
                self.settlement_price if at is None else float(self.held.prices[at])
            )
            required = t.min_borrow_offset + maintenance + max(-cash, 0.0)
            value = max(cash, 0.0) + min(cap, credit)
            rows[token] = {
                "requirement": required,
                "value": value,
                "ratio": portfolio_margin_ratio(required, value),
                "to_liquidation": t.liquidation_ratio * value - required,
                "free": cash + min(cap, loan) - initial,
            }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        total = math.fsum(equity)
        mm = total - float(frame["to_liquidation"].min())
        im = max(total - float(frame["free"].min()), mm)
        return UsdCharge(
            im=im,
            mm=mm,
            equity=total,
            option_value=0.0,
            addons={},
            worst=WorstScenario("no scenarios", math.nan),
            steps=(
                *self._steps(frame, maintenance, initial, credit, loan),
                Step("HLP-8", "equity", total, "USD"),
                Step("HLP-8", "maintenance margin", mm, "USD", "assumed"),
                Step("HLP-9", "initial margin", im, "USD", "assumed"),
            ),
            figures={"tokens": frame, "portfolio margin ratio": float(frame["ratio"].max())},
        )

    def _perpetuals(self, quantities: FloatArray) -> tuple[float, float]:
        """Return maintenance and initial margin of the perpetuals, USD, each underlying by itself."""
        net: dict[str, float] = {}
        for instrument, size in zip(self.held.instruments, quantities * self.unit, strict=True):
            net[instrument.underlying] = net.get(instrument.underlying, 0.0) + float(size)
        sizes = {coin: abs(amount) for coin, amount in net.items()}
        return (
            math.fsum(self.tables[coin].maintenance(size) for coin, size in sizes.items()),
            math.fsum(self.tables[coin].initial(size) for coin, size in sizes.items()),
        )

    def _credit(self, amounts: FloatArray) -> tuple[float, float]:
        """Return what the collateral covers before liquidation, and what can be borrowed on it, USD."""
        value, terms = [], []
        for at, currency in enumerate(self.held.currencies):
            if currency in self.table.collateral:
                term = self.table.collateral[currency]
                counted = min(float(amounts[at]), term.supply_cap) * float(self.held.prices[at])
                value.append(counted * liquidation_threshold(term.ltv, self.table))
                terms.append(counted * term.ltv)
        return math.fsum(value), math.fsum(terms)

    def _in_use(self, quantities: FloatArray, equity: FloatArray) -> list[str]:
        """Return the borrowable tokens that the account holds, owes or settles in."""
        held = [
            c
            for c, usd in zip(self.held.currencies, equity, strict=True)
            if c in self.table.borrow_caps and usd != 0.0
        ]
        settled = [SETTLEMENT] if np.any(quantities != 0.0) or not held else []
        return list(dict.fromkeys([*settled, *held]))

    def _steps(
        self, frame: pd.DataFrame, maintenance: float, initial: float, credit: float, loan: float
    ) -> tuple[Step, ...]:
        def step(clause: str, what: str, value: float, *keys: str, unit: str = "USD") -> Step:
            return Step(clause, what, value, unit, origin(self.parameters, *keys))

        steps = [
            step("HLP-3", "maintenance margin of perpetuals", maintenance, "brackets"),
            step("HLP-3", "initial margin of perpetuals", initial, "brackets"),
            step("HLP-4", "credit of the collateral before liquidation", credit, "threshold_base"),
            step("HLP-4", "credit of the collateral for borrowing", loan, "collateral"),
        ]
        for token, row in frame.iterrows():
            steps += [
                step("HLP-5", f"{token} requirement", float(row["requirement"]), "min_borrow_offset"),
                Step("HLP-6", f"{token} liquidation value", float(row["value"]), "USD", "assumed"),
                step("HLP-7", f"{token} ratio", float(row["ratio"]), "liquidation_ratio", unit="1"),
            ]
        return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class HyperliquidPm(CrossAccountRule):
    """Hyperliquid's portfolio margin: perpetuals in USDC on collateral that is lent against, in USD.

    Tokens have the price of the snapshot: the index of a coin, or its ``fx``.

    Notes
    -----
    The venue compares a ratio with 0.95 and has no requirement in money. Here
    ``mm = equity - min_t(0.95 value_t - requirement_t)``: equity falls below ``mm`` exactly where the ratio
    of a token exceeds 0.95. ``im`` is equity less what is free to borrow or to open, and never below ``mm``.
    Both therefore hold the part of the collateral that does not count. ``figures["portfolio margin ratio"]``
    is the venue's ratio, ``figures["tokens"]`` its parts.
    """

    name: ClassVar[str] = "hyperliquid-pm"
    citations: ClassVar[tuple[str, ...]] = ("hyperliquidpm",)

    variant: str = "alpha"

    def check_scope(self, account: Account) -> None:
        """Raise for another contract than a linear perpetual in USDC, and for obligations."""
        require_contracts(
            account,
            self.name,
            lambda i: isinstance(i, Perpetual) and not i.is_inverse and i.settlement_currency == SETTLEMENT,
            f"linear perpetuals settled in {SETTLEMENT}",
        )
        refuse_obligations(account, self.name)

    def charged(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> Charged:
        """Return the charge of perpetuals and tokens; other balances are left out."""
        counted, left_out = self._counted(account, parameters)
        book = self._book(counted, snapshot, parameters)
        found = book.charge(book.held.quantities, book.held.amounts)
        return Charged(found, left_out, ("a ratio of loan to value, restated as a requirement in money",))

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return ``im_equity`` of each position and then each balance held alone, USD.

        Returns
        -------
        ndarray, shape (positions + balances,)
        """
        with collected():
            parameters = self.parameter_set(snapshot)
        counted, _ = self._counted(account, parameters)
        book = self._book(counted, snapshot, parameters)
        size = book.held.quantities.size
        alone = np.concatenate([book.held.quantities, book.held.amounts])
        values = np.zeros(alone.size)
        for line in range(alone.size):
            one = np.zeros(alone.size)
            one[line] = alone[line]
            values[line] = book.charge(one[:size], one[size:]).im
        return values

    # -- inside ---------------------------------------------------------------------------------------------
    def _counted(self, account: Account, parameters: ParameterSet) -> tuple[Account, dict[str, float]]:
        """Return the account with the balances that count, checked, and what is left out."""
        table: HyperliquidParameters = parameters.table("*")
        kept: dict[str, float] = {}
        left_out: dict[str, float] = {}
        for currency, amount in account.collateral.items():
            borrowable = currency in table.borrow_caps
            if amount < 0.0 and not borrowable:
                raise ConventionError(
                    f"account {account.name!r} owes {-amount:g} {currency}",
                    f"debts in {' or '.join(table.borrow_caps)} only",
                    "repay the debt, or book it as one in a borrowable token",
                    **account.portfolio.place(currency),
                )
            where = kept if borrowable or currency in table.collateral else left_out
            where[currency] = amount
        left = {currency: amount for currency, amount in left_out.items() if amount != 0.0}
        return (
            Account(portfolio=account.portfolio, collateral=kept, name=account.name),
            left,
        )

    def _book(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> _HyperliquidBook:
        table: HyperliquidParameters = parameters.table("*")
        held = holdings(account, snapshot)
        return _HyperliquidBook(
            held=held,
            unit=np.array(
                [i.multiplier * snapshot.mark(i).price for i in held.instruments], dtype=np.float64
            ),
            tables={
                coin: Brackets(rows=for_coin(table.brackets, coin).rows)
                for coin in account.portfolio.underlyings
            },
            settlement_price=snapshot.usd_price(SETTLEMENT),
            table=table,
            parameters=parameters,
        )
