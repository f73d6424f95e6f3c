"""Deribit's risk matrix as a programme: worst entry, dampened tail rows, shocks, contingencies."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option
from pmkit.margin.engine.risk_matrix import shaped
from pmkit.margin.rules.deribit_pm import DeribitPm, DeribitXpm, charge_above_threshold
from pmkit.margin.rules.deribit_pm.book import MatrixBook
from pmkit.margin.rules.deribit_pm.classic import ClassicBook
from pmkit.margin.rules.deribit_pm.spm import SpmBook
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.deribit_shock import encode_shock
from pmkit.optimize.rules.shared import Encoded, coins_of, indices_by_underlying, ones
from pmkit.optimize.terms.base import Workspace

__all__ = ["TailRows", "encode_deribit", "shocks", "tail_rows"]


class TailRows(NamedTuple):
    """Factor on the P&L of each scenario, and what the dampener takes off its size in coins, 0 for none."""

    rescale: FloatArray
    cap: FloatArray


def encode_deribit(rule: DeribitPm, work: Workspace) -> Encoded:
    """Return IM and MM in the coin, or in USD at the index where several coins are held or tradable.

    Notes
    -----
    The worst case is ``max(0, max_k(-a_k x - c_k))`` with ``a_k`` the rescaled unit cells and ``c_k`` the
    dampener of a tail row: a dampened loss is ``max(-y - c, 0)``, so the maximum is that of affine functions.
    The roll shock is a sum of absolute deltas. The delta shock of ``spm`` is not convex and is written where
    the workspace asks for it; else it is left out, which bounds the margin from below.
    """
    groups = indices_by_underlying(work.instruments)
    coins = coins_of(work.instruments, work.account)
    parts = {}
    for currency in coins:
        at = groups.get(currency, [])
        owed = sum(
            amounts.get(currency, 0.0)
            for amounts in (work.account.mmp_margin, work.account.open_order_margin)
        )
        unit = work.snapshot.spot(currency) if len(coins) > 1 else 1.0
        if not at:
            parts[currency] = (Affine.of([], owed * unit), Affine.of([]))
            continue
        parameters = rule.parameter_set(work.snapshot, currency)
        portfolio = ones([work.instruments[i] for i in at], work.snapshot.as_of)
        book = rule.charger(portfolio, currency, work.snapshot, parameters)
        held = work.held.part(np.array(at, dtype=np.int64))
        worst = _worst_case(work.model, book, held)
        if isinstance(book, SpmBook):
            table = book.table
            contingency = Affine.of([], table.correlation_contingency)
            im = Affine.total([worst, shocks(rule, work, book, held), contingency])
            mm = im.times(table.mm_factor)
        else:
            mm = Affine.total([worst, *_contingencies(work.model, cast(ClassicBook, book), held)])
            im = mm.times(cast(ClassicBook, book).table.im_factor)
        im = Affine.total([im, Affine.of([], owed)])
        parts[currency] = (im.times(unit), mm.times(unit))
    return Encoded(
        im=Affine.total(im for im, _ in parts.values()),
        mm=Affine.total(mm for _, mm in parts.values()),
    )


def tail_rows(book: MatrixBook) -> TailRows:
    """Return what the rule's own engine does to a P&L of one in each scenario."""
    one = shaped(book.spec, np.ones(len(book.spec.rows)), book.spot)
    return TailRows(one.adjusted, one.cap)


def shocks(rule: DeribitPm | DeribitXpm, work: Workspace, book: SpmBook, held: Held) -> Affine:
    """Return roll shock and, where the workspace takes what is not convex, delta shock in coin.

    Raises
    ------
    ParameterError
        A leg without a largest trade where the charge is a choice.
    """
    names = np.array(book.groups)
    by_group = [
        held.weighted(np.where(names == name, rate * book.unit_delta, 0.0))
        for name, rate in book.rates.items()
    ]
    roll = work.model.size_of(by_group, "roll")
    if work.cuts is None:
        return roll
    if rule.delta_shock is not charge_above_threshold:
        # a reading of the caller's own is no programme: it stays left out
        work.partial = True
        return roll
    shock = encode_shock(work, held, book.unit_delta, book.is_option, book.table, book.spot)
    return Affine.total([roll, shock])


def _worst_case(model: LinearModel, book: MatrixBook, held: Held) -> Affine:
    """Return the worst entry as a column above every affine row."""
    rows = tail_rows(book)
    column = model.column("worst entry")
    model.losses(column, book.cells * rows.rescale, held, -rows.cap)
    return Affine.of([(column, 1.0)])


def _group(instrument: Instrument) -> str:
    return f"{instrument.expiry:%Y-%m-%d}" if isinstance(instrument, (Future, Option)) else "perpetual"


def _contingencies(model: LinearModel, book: ClassicBook, held: Held) -> list[Affine]:
    """Return the futures and the short-option contingency of the older variant."""
    table, instruments = book.table, book.book.instruments
    futures = [
        held.one(i, table.futures_contingency * float(book.unit_delta[i]))
        for i, instrument in enumerate(instruments)
        if not isinstance(instrument, Option)
    ]
    strikes = book.charge(np.ones(len(instruments))).figures["strikes"]
    shorts = []
    for expiry, strike, share in zip(
        strikes["expiry"], strikes["strike"], strikes["share"].to_numpy(dtype=np.float64), strict=True
    ):
        at = [
            float(i.multiplier)
            if isinstance(i, Option) and i.strike == strike and _group(i) == expiry
            else 0.0
            for i in instruments
        ]
        shorts.append(held.weighted(-table.short_option_contingency * float(share) * np.array(at)))
    return [model.size_of(futures, "future"), model.positive_part(shorts, "short strike")]
