"""Deribit's risk matrix as a programme: worst entry, dampened tail rows, roll shock, contingencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Instrument, Option, Portfolio
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.risk_matrix import MatrixSpec, evaluate
from pmkit.margin.rules.deribit_pm import DeribitPm
from pmkit.margin.schemas import ClassicParameters
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.deribit_shock import ShockRegion, encode_shock
from pmkit.optimize.rules.shared import Encoded, coins_of, indices_by_underlying, ones
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_deribit"]


class _Book(Protocol):
    """What the rule's own book of one currency offers beside its charge."""

    spec: MatrixSpec
    cells: FloatArray
    unit_delta: FloatArray
    spot: float
    book: Portfolio

    def charge(self, quantities: FloatArray) -> Charge: ...


def encode_deribit(rule: DeribitPm, work: Workspace, region: ShockRegion | None = None) -> Encoded:
    """Return IM and MM in the coin, or in USD at the index where several coins are held or tradable.

    Notes
    -----
    The worst case is ``max(0, max_k(-a_k x - c_k))`` with ``a_k`` the rescaled unit cells and ``c_k`` the
    dampener of a tail row: a dampened loss is ``max(-y - c, 0)``, so the maximum is that of affine functions.
    The roll shock is a sum of absolute deltas. The delta shock of ``spm`` is not convex across signs:
    without a region it is left out, which bounds the margin from below; with one (a single coin) it is exact
    inside.
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
        table = parameters.table(currency)
        portfolio = ones([work.instruments[i] for i in at], work.snapshot.as_of)
        book = cast(_Book, rule.charger(portfolio, currency, work.snapshot, parameters))
        held = work.held.part(np.array(at, dtype=np.int64))
        worst = _worst_case(work.model, book, held)
        plain = book.charge(np.ones(len(at)))
        if rule.variant == "spm":
            rates = plain.figures["roll"]["rate"].to_dict()
            roll = _roll(work.model, book, held, rates)
            matrix = Affine.total([worst, roll, Affine.of([], table.correlation_contingency)])
            if region is not None:
                is_option = np.array([isinstance(i, Option) for i in book.book.instruments])
                shock, tangents = encode_shock(
                    work.model, held, book.unit_delta, is_option, region, table, book.spot
                )
                matrix = Affine.total([matrix, shock])
                work.lazy += [] if tangents is None else [tangents]
            im, mm = matrix, matrix.times(table.mm_factor)
        else:
            mm = Affine.total(
                [worst, *_contingencies(work.model, book, held, table, plain.figures["strikes"])]
            )
            im = mm.times(table.im_factor)
        im = Affine.total([im, Affine.of([], owed)])
        parts[currency] = (im.times(unit), mm.times(unit))
    return Encoded(
        im=Affine.total(im for im, _ in parts.values()),
        mm=Affine.total(mm for _, mm in parts.values()),
    )


def _worst_case(model: LinearModel, book: _Book, held: Held) -> Affine:
    """Return the worst entry as a column above every affine row."""
    # the rule's own engine says what it does to a P&L of one: rescaling of tail rows, and the dampener
    one = evaluate(book.spec, np.ones((1, book.cells.shape[1])), np.ones(1), book.spot).frame
    rescale = one["adjusted"].to_numpy(dtype=np.float64)
    column = model.column("worst entry")
    model.losses(column, book.cells * rescale, held, -one["cap"].to_numpy(dtype=np.float64))
    return Affine.of([(column, 1.0)])


def _group(instrument: Instrument) -> str:
    return f"{instrument.expiry:%Y-%m-%d}" if isinstance(instrument, (Future, Option)) else "perpetual"


def _roll(model: LinearModel, book: _Book, held: Held, rates: Mapping[str, float]) -> Affine:
    """Return the roll shock: the size of every expiry's delta at its rate."""
    names = np.array([_group(i) for i in book.book.instruments])
    return model.size_of(
        [held.weighted(np.where(names == name, rate * book.unit_delta, 0.0)) for name, rate in rates.items()],
        "roll",
    )


def _contingencies(
    model: LinearModel, book: _Book, held: Held, table: ClassicParameters, strikes: pd.DataFrame
) -> list[Affine]:
    """Return the futures and the short-option contingency of the older variant."""
    instruments = book.book.instruments
    futures = [
        held.one(i, table.futures_contingency * float(book.unit_delta[i]))
        for i, instrument in enumerate(instruments)
        if not isinstance(instrument, Option)
    ]
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
