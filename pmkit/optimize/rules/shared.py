"""What the rules share: the pair of expressions they return, and books of one contract of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pmkit.instruments import Instrument, Option, Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.study.what_if import booked
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.terms.base import Workspace, quietly

__all__ = ["Encoded", "coin_balance", "coins_of", "indices_by_underlying", "ones", "whole_account"]


@dataclass(frozen=True)
class Encoded:
    """Initial and maintenance margin as expressions that are exact where they are pushed down."""

    im: Affine
    mm: Affine


def indices_by_underlying(instruments: Sequence[Instrument]) -> dict[str, list[int]]:
    """Return the positions of the instruments of every underlying, in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for at, instrument in enumerate(instruments):
        groups.setdefault(instrument.underlying, []).append(at)
    return groups


def coins_of(instruments: Sequence[Instrument], account: Account) -> tuple[str, ...]:
    """Return the coins that a rule margins apart: of the contracts, then of obligations in others."""
    owed = {**account.mmp_margin, **account.open_order_margin}
    return tuple(
        dict.fromkeys([*(i.underlying for i in instruments), *(c for c, x in owed.items() if x > 0.0)])
    )


def ones(instruments: Sequence[Instrument], as_of: pd.Timestamp) -> Portfolio:
    """Return a portfolio of one contract of each instrument."""
    with quietly():
        return Portfolio(positions=tuple(Position(instrument=i, qty=1.0) for i in instruments), as_of=as_of)


def whole_account(work: Workspace) -> Account:
    """Return the account with one contract of everything that is held or tradable, and its collateral."""
    return replace(work.account, portfolio=ones(work.instruments, work.account.as_of))


def coin_balance(work: Workspace, coin: str) -> Affine:
    """Return the balance of a coin after the trades, coins: options are paid from it at their marks."""
    flows = np.zeros(len(work.instruments))
    tradable = set(work.held.at.tolist()) if work.paid else set()
    for at, instrument in enumerate(work.instruments):
        if at in tradable and instrument.settlement_currency == coin and isinstance(instrument, Option):
            one = Position(instrument=instrument, qty=1.0)
            flows[at] = booked(one, work.snapshot.mark(instrument).price)
    paid = work.held.weighted(flows)
    return Affine(work.account.collateral.get(coin, 0.0), paid.columns, paid.coefficients)
