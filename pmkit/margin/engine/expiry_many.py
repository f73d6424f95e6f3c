"""Many accounts under a rule of options by expiry: contracts revalued once, sums by account and expiry."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed
from pmkit.margin.engine.base import check_account, collected
from pmkit.margin.engine.expiry_matrix import BASIS_ROW, ExpiryMatrixBook, ExpiryMatrixRule, HeldBook
from pmkit.margin.engine.expiry_options import PricedExpiry, naked_shorts
from pmkit.margin.engine.many import (
    HeldLines,
    LineCharge,
    ManyRule,
    checked_marks,
    held_lines,
    line_sums,
    summed,
    together,
)
from pmkit.margin.engine.risk_matrix import worst_rows
from pmkit.margin.engine.usd_rule import profit_and_cash
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import MarginResult, WorstScenario
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["SharedExpiryRule", "charge_accounts"]


class _ExpirySums(NamedTuple):
    """One expiry over all accounts: mark, basis contingency, gross units and naked shorts of each."""

    marks: list[float]
    basis: list[float]
    gross: list[float]
    naked: list[float]


def _expiry_sums(book: ExpiryMatrixBook, expiry: PricedExpiry, lines: HeldLines) -> _ExpirySums:
    """Return what the lines of every account in one expiry come to."""
    units, rows = lines.quantity, lines.rows
    marks = line_sums(units * expiry.marks[rows], lines)
    values, strikes = expiry.basis[rows], expiry.options.strike[rows]
    basis, naked = [0.0] * len(lines), [0.0] * len(lines)
    for account, held in enumerate(lines):
        if held.stop > held.start:
            basis[account] = book.basis_part(expiry, units[held], values[held], marks[account])
            naked[account] = naked_shorts(strikes[held], units[held])
    return _ExpirySums(marks, basis, line_sums(np.abs(units), lines), naked)


def charge_accounts(
    book: ExpiryMatrixBook, lines: HeldLines, amounts: FloatArray
) -> list[tuple[LineCharge, float, float]]:
    """Return the charge of each account with the value of its options and of its collateral, USD.

    Parameters
    ----------
    book : ExpiryMatrixBook
        Everything that the accounts hold, revalued.
    lines : HeldLines
        In the instruments of the book.
    amounts : ndarray, shape (accounts, coins)
        Balances that count.

    Returns
    -------
    list of (LineCharge, float, float)
    """
    perpetuals = line_sums(lines.quantity * book.perpetual_size[lines.rows], lines)
    values = amounts * book.coin_prices / book.feeds.stable
    moved = [book.straight(p, v) for p, v in zip(perpetuals, values, strict=True)]
    total = np.array(moved)[:, None] * book.moves
    sums = []
    for expiry in book.expiries:
        own = lines.among(expiry.at, expiry.size)
        sums.append(_expiry_sums(book, expiry, own))
        total += expiry.transform(summed(expiry.values, own), np.array(sums[-1].marks)[:, None])
    pnl = total * book.weights + 0.0  # no negative zeros
    basis = [math.fsum(part) + 0.0 for part in _by_account([s.basis for s in sums], len(lines))]
    vol = np.array([*(row.vol for row in book.rows), 0.0])
    final = np.column_stack([pnl, basis])
    worst = worst_rows(final, vol).tolist()
    labels = [*(row.label for row in book.rows), BASIS_ROW]
    marks, gross, naked = (
        _by_account([getattr(s, word) for s in sums], len(lines)) for word in ("marks", "gross", "naked")
    )
    charges = []
    for account, at in enumerate(worst):
        held = HeldBook(
            marks=marks[account],
            gross=gross[account],
            naked=math.fsum(naked[account]),
            perpetuals=perpetuals[account],
            coin_values=values[account].tolist(),
            amounts=amounts[account].tolist(),
            worst=WorstScenario(labels[at], float(final[account, at])),
        )
        found = book.finish(held)
        charge = LineCharge(found.im, found.mm, held.worst)
        charges.append((charge, math.fsum(held.marks), math.fsum([*held.marks, *held.coin_values])))
    return charges


def _by_account(columns: Sequence[list[float]], accounts: int) -> list[list[float]]:
    """Return lists by account from lists by expiry."""
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(accounts)]


class SharedExpiryRule(ExpiryMatrixRule, ManyRule):
    """Base of the rules by expiry whose revalued book serves any number of accounts."""

    @abstractmethod
    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> ExpiryMatrixBook:  # fmt: skip
        """Return the account revalued over the scenarios."""

    def many(self, accounts: Sequence[Account], snapshot: MarketSnapshot) -> list[MarginResult]:
        """Return the requirements of many accounts, underlying by underlying."""
        feeds = self._feeds()
        named = [self._underlyings(account, snapshot)[0] for account in accounts]
        instruments = together(accounts)
        with collected() as said:
            checked_marks(
                accounts,
                instruments,
                snapshot,
                lambda account: check_account(account, snapshot, priced=feeds.collateral),
            )
        found: dict[int, MarginResult] = {}
        for underlying in dict.fromkeys(named):
            chosen = [at for at, name in enumerate(named) if name == underlying]
            held = [i for i in instruments if i.underlying == underlying]
            part = [accounts[at] for at in chosen]
            results = self._of_one(part, underlying, held, snapshot, said)
            found |= dict(zip(chosen, results, strict=True))
        return [found[at] for at in range(len(accounts))]

    def _of_one(
        self,
        accounts: Sequence[Account],
        underlying: str,
        held: Sequence[Instrument],
        snapshot: MarketSnapshot,
        said: Sequence[str],
    ) -> list[MarginResult]:
        """Return the requirements of accounts that hold one underlying."""
        with collected() as texts:
            parameters = self.parameter_set(snapshot, underlying)
        counted = [self._balances(a, snapshot, parameters, (underlying,)) for a in accounts]
        coins: Mapping[str, CollateralFeed] = {c: feed for own, _ in counted for c, feed in own.items()}
        lots = tuple(Position(instrument=i, qty=i.lot) for i in held)
        everything = Account(portfolio=Portfolio(positions=lots, as_of=snapshot.as_of))
        book = self.book(everything, coins, snapshot, parameters, (underlying,))
        lines = held_lines([account.portfolio for account in accounts], held)
        amounts = np.array(
            [
                [account.collateral[c] if c in own else 0.0 for c in coins]
                for account, (own, _) in zip(accounts, counted, strict=True)
            ],
            dtype=np.float64,
        ).reshape(len(accounts), len(coins))
        no_vector = pd.Series(dtype="float64")
        charges = charge_accounts(book, lines, amounts)
        results = []
        for account, (_, left_out), (charge, options, value) in zip(accounts, counted, charges, strict=True):
            results.append(
                self._usd_result(
                    account,
                    snapshot,
                    parameters,
                    left_out,
                    (*said, *texts),
                    im=charge.im,
                    mm=charge.mm,
                    net_option_value=options,
                    equity=math.fsum([value, *profit_and_cash(account, snapshot)]),
                    worst_scenario=charge.worst,
                    scenario_vector=no_vector,
                )
            )
        return results
