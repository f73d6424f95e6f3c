"""Many accounts at once: what they hold together, each one's lines in it, and sums over these lines."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, StaleAccountWarning
from pmkit.core.time import days_between
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.result import MarginResult, WorstScenario
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing.kernels import combine_rows

__all__ = [
    "HeldLines",
    "LineCharge",
    "ManyRule",
    "checked_marks",
    "held_lines",
    "line_sums",
    "summed",
    "together",
]


class LineCharge(NamedTuple):
    """Initial and maintenance margin of one account of many, with its worst scenario."""

    im: float
    mm: float
    worst: WorstScenario


class ManyRule(ABC):
    """Base of the rules whose revalued book serves any number of accounts."""

    @abstractmethod
    def many(self, accounts: Sequence[Account], snapshot: MarketSnapshot) -> list[MarginResult]:
        """Return the requirements of many accounts, every contract revalued once.

        Parameters
        ----------
        accounts : sequence of Account
        snapshot : MarketSnapshot

        Returns
        -------
        list of MarginResult
            Figures of ``requirement``, without steps, scenario vector, add-ons and provenance.

        Raises
        ------
        PmkitError
            As ``requirement``, for the first account that is at fault.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldLines:
    """Lines of many accounts in one list of instruments, account after account, in the order held.

    Attributes
    ----------
    starts : ndarray of int64, shape (accounts + 1,)
        Where the lines of each account begin.
    rows : ndarray of int64, shape (lines,)
        Position of each line's instrument in the list.
    quantity : ndarray, shape (lines,)
        Signed contracts, none of them 0.
    """

    starts: IntArray
    rows: IntArray
    quantity: FloatArray

    def __len__(self) -> int:
        return self.starts.size - 1

    def __iter__(self) -> Iterator[slice]:
        """Yield where the lines of each account are."""
        bounds = self.starts.tolist()
        return (slice(a, b) for a, b in pairwise(bounds))

    def among(self, at: IntArray, size: FloatArray) -> HeldLines:
        """Return the lines in some of the instruments, numbered anew, quantities times a size.

        Parameters
        ----------
        at : ndarray of int64
            Positions of the instruments that are kept, in their new order.
        size : ndarray, shape of ``at``
            Factor of the quantities, such as units per contract.
        """
        highest = int(max(self.rows.max(initial=-1), at.max(initial=-1)))
        place = np.full(highest + 1, -1)
        place[at] = np.arange(at.size)
        found = place[self.rows]
        kept = found >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        rows = found[kept]
        return HeldLines(starts=before[self.starts], rows=rows, quantity=self.quantity[kept] * size[rows])


def together(accounts: Iterable[Account]) -> tuple[Instrument, ...]:
    """Return the distinct instruments of the accounts in the order in which they first appear.

    Raises
    ------
    ConventionError
        Two different contracts share a name.
    """
    seen: dict[str, Instrument] = {}
    for account in accounts:
        for instrument in account.instruments:
            first = seen.setdefault(instrument.name, instrument)
            if first is not instrument and first != instrument:
                raise ConventionError(
                    f"two different contracts are called {instrument.name}, one of them in account"
                    f" {account.name!r}",
                    "one contract per name",
                    "rename one of them",
                )
    return tuple(seen.values())


def held_lines(portfolios: Sequence[Portfolio], instruments: Sequence[Instrument]) -> HeldLines:
    """Return the lines of portfolios in the given instruments; what is not among them is left out."""
    place = {instrument.name: row for row, instrument in enumerate(instruments)}
    starts, rows, quantity = [0], [], []
    for portfolio in portfolios:
        for position in portfolio:
            row = place.get(position.instrument.name)
            if row is not None and position.qty != 0.0:
                rows.append(row)
                quantity.append(position.qty)
        starts.append(len(rows))
    return HeldLines(
        starts=np.array(starts, dtype=np.int64),
        rows=np.array(rows, dtype=np.int64),
        quantity=np.array(quantity, dtype=np.float64),
    )


def summed(matrix: FloatArray, lines: HeldLines) -> FloatArray:
    """Return quantity times row, added up by account in the order held, shape (accounts, columns).

    The sums are those of :func:`pmkit.pricing.combine`, to the last bit.
    """
    out = np.zeros((len(lines), matrix.shape[1]))
    quantity = np.zeros(matrix.shape[0])
    for account, held in enumerate(lines):
        rows = lines.rows[held]
        quantity[rows] = lines.quantity[held]
        combine_rows(matrix, rows, quantity, out[account])
    return out


def line_sums(values: FloatArray, lines: HeldLines) -> list[float]:
    """Return the sum of a value per line by account, rounded once."""
    listed = values.tolist()
    return [math.fsum(listed[held]) for held in lines]


def checked_marks(
    accounts: Sequence[Account], instruments: Sequence[Instrument], snapshot: MarketSnapshot,
    check: Callable[[Account], None],
) -> dict[str, float]:  # fmt: skip
    """Return the mark of every instrument by name, after the checks of one account on each.

    Parameters
    ----------
    accounts : sequence of Account
    instruments : sequence of Instrument
        Everything that they hold.
    snapshot : MarketSnapshot
    check : callable
        The checks of one account, for those that a look at all of them at once finds wanting.

    Warns
    -----
    StaleAccountWarning
        Accounts more than a day older than the snapshot, once for all of them.
    """
    marks = dict(zip([i.name for i in instruments], unit_marks(instruments, snapshot).tolist(), strict=True))
    days: dict[pd.Timestamp, float] = {}
    priced: set[str] = set()
    for account in accounts:
        if account.as_of not in days:
            days[account.as_of] = days_between(account.as_of, snapshot.as_of)
        named = {*account.collateral, *account.mmp_margin, *account.open_order_margin}
        empty = not len(account.portfolio) and not any(account.collateral.values())
        if empty or days[account.as_of] < 0.0 or not named <= priced or _strange_entry(account, marks):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StaleAccountWarning)
                check(account)
            priced |= named
    if instruments:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StaleAccountWarning)
            # what the snapshot's ledger says of the marks
            check(_everything(accounts, instruments))
    late = [account for account in accounts if days[account.as_of] > 1.0]
    if late:
        oldest = max(days[account.as_of] for account in late)
        text = f"{len(late)} of {len(accounts)} accounts are up to {oldest:.0f} days older than the snapshot"
        warnings.warn(StaleAccountWarning(text), stacklevel=4)
    return marks


def _strange_entry(account: Account, marks: dict[str, float]) -> bool:
    """Return whether an entry price is far from its mark."""
    return any(
        p.entry_price is not None
        and not isinstance(p.instrument, Option)
        and not 0.1 <= p.entry_price / marks[p.instrument.name] <= 10.0
        for p in account.portfolio
    )


def _everything(accounts: Sequence[Account], instruments: Sequence[Instrument]) -> Account:
    """Return one account that holds a lot of every instrument."""
    held = tuple(Position(instrument=i, qty=i.lot) for i in instruments)
    instant = max(account.as_of for account in accounts)
    name = f"{len(accounts)} accounts together"
    return Account(portfolio=Portfolio(positions=held, as_of=instant, name=name), name=name)
