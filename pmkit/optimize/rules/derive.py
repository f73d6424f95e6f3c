"""Derive's second portfolio margin as a programme, for oracles that are trusted in full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray
from pmkit.margin.conformance.feeds import CollateralFeed, Feeds
from pmkit.margin.engine.expiry_matrix import PricedExpiry
from pmkit.margin.engine.risk_matrix import MatrixRow
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.schemas import CollateralTerms, PmrmV2Parameters
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.shared import Encoded, whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_derive"]


class _Book(Protocol):
    spot: float
    perpetual: float
    feeds: Feeds
    rows: tuple[MatrixRow, ...]
    expiries: tuple[PricedExpiry, ...]
    perpetual_size: FloatArray
    coin_prices: FloatArray
    moving: BoolArray
    table: PmrmV2Parameters
    terms: tuple[CollateralTerms, ...]
    confidences: Sequence[float] | FloatArray

    def peg_loss(self, table: PmrmV2Parameters) -> float: ...


def encode_derive(rule: DerivePmrmV2, work: Workspace) -> Encoded:
    """Return IM and MM in USD: weighted scenarios, basis and naked shorts; skew rows by one binary a side.

    Raises
    ------
    ParameterError
        A confidence below the threshold: its charge jumps as soon as a perpetual is held. A leg without a
        largest trade where a skew row needs one. Static discounts that make the value of an expiry convex.

    Notes
    -----
    The transformed value of an expiry is ``min(d v, u v)`` with ``u >= d``, concave, so its loss is convex.
    A skew row takes ``-|p|`` of ``p = min(d v, u v) - mark``: loss >= -p is convex, loss >= p says "at least
    the smaller of two", which a binary chooses exactly.
    """
    account, snapshot = whole_account(work), work.snapshot
    underlying = account.portfolio.underlyings[0]
    parameters = rule.parameter_set(snapshot, underlying)
    assert rule.feeds is not None  # the requirement before the trades was refused otherwise
    known = {c: snapshot.spot(c) if c in snapshot.underlyings else None for c in account.collateral}
    coins: dict[str, CollateralFeed] = {
        c: rule.feeds.balance(c, known[c])
        for c in rule.eligible(underlying, parameters)
        if account.collateral.get(c, 0.0) > 0.0
    }
    amounts = np.array([account.collateral[c] for c in coins], dtype=np.float64)
    book = cast(_Book, rule.book(account, coins, snapshot, parameters, (underlying,)))
    _refuse_doubt(book, underlying)
    t, values = book.table, amounts * book.coin_prices / book.feeds.stable
    worst = _worst(work, book, math.fsum(values[book.moving]))
    perpetuals = work.model.size_of([work.held.weighted(book.perpetual_size * book.spot)], "perpetuals")
    naked = _naked(work, book)
    low = [
        perpetuals.times(t.mm_perp_percent),
        naked.times(t.mm_option_percent),
        Affine.of([], math.fsum(c.mm_haircut * v for c, v in zip(book.terms, values, strict=True))),
    ]
    high = [
        perpetuals.times(t.im_perp_percent),
        naked.times(t.im_option_percent),
        Affine.of([], math.fsum(c.im_haircut * v for c, v in zip(book.terms, values, strict=True))),
    ]
    factor = t.im_factor + book.peg_loss(t)
    return Encoded(
        im=Affine.total([*low, *high, worst.times(factor)]),
        mm=Affine.total([*low, worst.times(t.mm_factor)]),
    )


def _refuse_doubt(book: _Book, underlying: str) -> None:
    seen = book.feeds.underlying(underlying)
    trusts = [seen.spot_confidence, seen.perpetual_confidence, *map(float, book.confidences)]
    for e in book.expiries:
        trusts += [e.feed.forward_confidence, e.feed.rate_confidence, e.feed.vol_confidence]
    if min(trusts) < book.table.confidence_threshold:
        raise ParameterError(
            f"a confidence of {min(trusts):g} below the threshold {book.table.confidence_threshold:g}",
            "oracles trusted in full: the charge for doubt jumps as soon as a perpetual is held",
            "optimise with confidences above the threshold, and look at the charge for doubt afterwards",
        )


def _worst(work: Workspace, book: _Book, moving: float) -> Affine:
    """Return the worst entry, basis contingency included, as a column."""
    model, held = work.model, work.held
    worst = model.column("worst entry")
    straight = Affine.total([held.weighted(book.perpetual_size * book.perpetual), Affine.of([], moving)])
    losses = [_expiry_losses(model, held.part(e.at), e, book.rows) for e in book.expiries]
    for k, row in enumerate(book.rows):
        parts = [straight.times(-row.move), *(expiry[k] for expiry in losses)]
        model.above(worst, [Affine.total(parts).times(row.weight)])
    basis = []
    t = book.table
    for e in book.expiries:
        part = held.part(e.at)
        rate = t.basis_add_factor + t.basis_mult_factor * e.options.tau
        column = model.column("basis")
        model.above(column, [part.weighted(-rate * e.size * (e.basis[:, side] - e.marks)) for side in (0, 1)])
        basis.append((column, 1.0))
    model.above(worst, [Affine.of(basis)])
    return Affine.of([(worst, 1.0)])


def _expiry_losses(
    model: LinearModel, held: Held, e: PricedExpiry, rows: Sequence[MatrixRow]
) -> list[Affine]:
    """Return the loss of one expiry in every scenario."""
    one = np.ones(len(rows))
    down, up = np.abs(e.transform(one, 0.0)), np.abs(e.transform(-one, 0.0))
    if (down > up * (1.0 + 1e-12)).any():
        raise ParameterError(
            f"static discounts of {down.max():g} on assets and {up.min():g} on debts",
            "debts that count at least as much as assets",
            "use other parameters of derive-pmrm-v2",
        )
    mark = held.weighted(e.size * e.marks)
    found = []
    for k, row in enumerate(rows):
        unit = e.size * e.values[:, k]
        value = held.weighted(unit)
        sides = [Affine.total([mark, value.times(-float(d[k]))]) for d in (down, up)]
        if down[k] == up[k]:
            sides = sides[:1]
        skew = row.table == "skew"
        if len(sides) == 1 and not skew:
            found.append(sides[0])
            continue
        loss = model.column("loss of an expiry", -np.inf)
        model.above(loss, sides)
        if skew:
            _at_least_the_smaller(model, loss, sides, float(up[k] - down[k]) * held.range_of(unit))
        found.append(Affine.of([(loss, 1.0)]))
    return found


def _at_least_the_smaller(model: LinearModel, loss: int, sides: Sequence[Affine], most: float) -> None:
    """Add ``loss >= min(-sides)``: of the two negated sides the binary chooses the one that holds."""
    gains = [side.times(-1.0) for side in sides]
    if len(gains) == 1:
        model.above(loss, gains)
        return
    if not math.isfinite(most):
        raise ParameterError(
            "a leg without a largest trade under derive-pmrm-v2",
            "finite max_buy and max_sell: its skew rows are a choice between two sides",
            "limit the legs, for example with legs.limited(100.0)",
        )
    choice = model.column("side of a skew row", 0.0, 1.0, integer=True)
    model.above(loss, [Affine.total([gains[0], Affine.of([(choice, -most)])])])
    model.above(loss, [Affine.total([gains[1], Affine.of([(choice, most)], -most)])])


def _naked(work: Workspace, book: _Book) -> Affine:
    """Return the net short units over strikes and expiries at spot, USD."""
    shorts = []
    for e in book.expiries:
        part = work.held.part(e.at)
        for strike in np.unique(e.options.strike):
            shorts.append(part.weighted(np.where(e.options.strike == strike, -book.spot * e.size, 0.0)))
    return work.model.positive_part(shorts, "naked shorts")
