"""Deribit's cross-collateral account as a programme: equity in the matrix, gains against losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.margin.accounts.account import STABLECOINS
from pmkit.margin.engine.cross_account import Holdings, holdings
from pmkit.margin.rules.deribit_pm import DeribitXpm
from pmkit.margin.rules.deribit_pm.spm import SpmBook, spm_book
from pmkit.margin.schemas import XpmParameters
from pmkit.optimize.linear.choices import chosen, gain_at_most, range_of
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.deribit import shocks, tail_rows
from pmkit.optimize.rules.shared import Encoded, coin_balance, whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_xpm"]

#: largest P&L of a pair in a programme, in its unit
_MOST = 1e4


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Contracts on one coin with their quantities, and the equity in it that moves, coins."""

    coin: str
    book: SpmBook
    table: XpmParameters
    held: Held
    equity: Affine

    def cells(self) -> list[Affine]:
        """Return the coin P&L of every scenario after the rescaling of tail rows."""
        move = np.array([row.move for row in self.book.spec.rows])
        moved = move / (1.0 + move)
        rescale = tail_rows(self.book).rescale
        return [
            Affine.total(
                [
                    self.held.weighted(self.book.cells[:, k] * rescale[k]),
                    self.equity.times(float(moved[k] * rescale[k])),
                ]
            )
            for k in range(move.size)
        ]


def encode_xpm(rule: DeribitXpm, work: Workspace) -> Encoded:
    """Return IM and MM in USD.

    Raises
    ------
    ParameterError
        A leg without a largest trade where a gain is a choice, maintenance factors of the coins that differ,
        or coins that are combined and differ in their scenarios.

    Notes
    -----
    A scenario of a pair counts ``min(y + c, 0) + min(theta max(y - c, 0), G)`` of its rescaled P&L y, with
    the dampener c of a tail row. Without a dampener, as in the standard rows, that is ``min(y, theta y, G)``,
    concave, so that the loss is convex. With one the gain starts only beyond it: one binary for each tail row
    of a pair whose gains count and which is combined with another. Options are paid from the balance of their
    coin, so that the equity that moves is affine in the trades.
    """
    rule.check_scope(whole_account(work))
    parameters = rule.parameter_set(work.snapshot)
    pairs = _pairs(rule, work, holdings(whole_account(work), work.snapshot))
    groups = [[p for p in pairs if p.table.combination == "together"]]
    groups += [[p] for p in pairs if p.table.combination == "apart"]
    parts = [_worst_case(work.model, group) for group in groups if group]
    for pair in pairs:
        parts.append(shocks(rule, work, pair.book, pair.held).times(pair.book.spot))
        parts.append(_contingency(work.model, pair).times(pair.book.spot))
    matrix = Affine.total(parts)
    owed = math.fsum(
        amount * work.account.price(coin, work.snapshot)
        for amounts in (work.account.mmp_margin, work.account.open_order_margin)
        for coin, amount in amounts.items()
    )
    factors = {p.table.mm_factor for p in pairs}
    if len(factors) > 1:
        raise ParameterError(
            f"maintenance factors {sorted(factors)} of {' and '.join(p.coin for p in pairs)}",
            f"one factor: the larger counts only while its coin is held under {parameters.id}",
            "make them equal",
        )
    return Encoded(im=Affine.total([matrix, Affine.of([], owed)]), mm=matrix.times(max(factors, default=1.0)))


def _pairs(rule: DeribitXpm, work: Workspace, ones: Holdings) -> list[_Pair]:
    """Return every coin that is held, tradable or a balance."""
    parameters = rule.parameter_set(work.snapshot)
    portfolio = whole_account(work).portfolio
    own = holdings(work.account, work.snapshot)
    profits = dict(zip((i.name for i in own.instruments), own.profit.tolist(), strict=True))
    profit = np.array([profits.get(i.name, 0.0) for i in work.instruments])
    pairs = []
    for place, coin in enumerate(ones.currencies):
        if coin in STABLECOINS:
            continue
        table: XpmParameters = parameters.table(coin)
        lines = np.flatnonzero(ones.settles == place)
        book = spm_book(portfolio.of_underlying(coin), coin, work.snapshot, parameters, rule.delta_shock)
        unit = np.where(ones.settles == place, profit, 0.0) / book.spot
        # a trade settles the profit of its line, so that it stays as it is; moved positions take it along
        settled = (
            Affine.of([], float(np.add.reduce(unit * work.held.start)))
            if work.paid
            else work.held.weighted(unit)
        )
        counts = table.equity_side_impact == "both"
        equity = Affine.total([coin_balance(work, coin), settled]) if counts else Affine.of([])
        held = work.held.part(lines.astype(np.int64))
        pairs.append(_Pair(coin=coin, book=book, table=table, held=held, equity=equity))
    return pairs


def _worst_case(model: LinearModel, pairs: Sequence[_Pair]) -> Affine:
    """Return the worst sum of the pairs over equal scenarios, USD."""
    coins = " and ".join(p.coin for p in pairs)
    if len({(p.table.buckets_per_side, p.table.extended_moves) for p in pairs}) > 1:
        raise ParameterError(
            f"{coins} differ in buckets_per_side or extended_moves",
            "equal scenarios of the pairs that are combined together",
            'make them equal, or use combination="apart"',
        )
    cells = [[cell.times(p.book.spot) for cell in p.cells()] for p in pairs]
    largest = max(max(map(abs, range_of(model, cell))) for row in cells for cell in row)
    # in units of the dearest coin or of more, as the solver's tolerance is an absolute one
    unit = max(*(p.book.spot for p in pairs), largest / _MOST if math.isfinite(largest) else 0.0)
    # a gain is of use only where another pair loses
    gains = len(pairs) > 1
    counted = [_counted(model, p, row, unit, gains=gains) for p, row in zip(pairs, cells, strict=True)]
    worst = model.column(f"worst case of {coins}")
    model.above(worst, [Affine.total(row).times(-1.0) for row in zip(*counted, strict=True)])
    return Affine.of([(worst, unit)])


def _counted(
    model: LinearModel, pair: _Pair, cells: Sequence[Affine], unit: float, *, gains: bool
) -> list[Affine]:
    """Return what counts of USD by scenario, in a unit: pushed up no further than the rule goes."""
    spec = pair.book.spec
    share, most = spec.gain_offset, spec.max_gain_usd / unit
    gains = gains and share > 0.0 and most > 0.0
    caps = (tail_rows(pair.book).cap * (pair.book.spot / unit)).tolist()
    rows = []
    for row, cap, cell in zip(spec.rows, caps, cells, strict=True):
        name, pnl = f"{pair.coin} {row.label}", cell.times(1.0 / unit)
        damped = Affine.total([pnl, Affine.of([], cap)])
        rising = gains and cap == 0.0
        counted = model.column(f"counted of {name}", -np.inf, most if rising else 0.0)
        for line in [pnl, pnl.times(share)] if rising else [damped]:
            model.row(Affine.total([line, Affine.of([(counted, -1.0)])]), 0.0, np.inf)
        parts = [Affine.of([(counted, 1.0)])]
        if gains and cap > 0.0:
            beyond = Affine.total([pnl, Affine.of([], -cap)]).times(share)
            parts.append(gain_at_most(model, beyond, most, name))
        rows.append(Affine.total(parts))
    return rows


def _contingency(model: LinearModel, pair: _Pair) -> Affine:
    """Return the contingency of a coin, which is charged while anything in it is held."""
    amount = pair.table.correlation_contingency
    lines = [*(pair.held.one(i) for i in range(pair.held.start.size)), pair.equity]
    if amount == 0.0 or any(line.constant and not line.columns.size for line in lines):
        return Affine.of([], amount)
    used = model.column(f"{pair.coin} in use", 0.0, 1.0, integer=True)
    for line in lines:
        for sign in (1.0, -1.0):
            # held of either sign only where the coin is in use
            none = Affine.of([(used, -1.0)], 1.0)
            chosen(model, none, line.times(sign), f"{pair.coin} in use")
    return Affine.of([(used, amount)])
