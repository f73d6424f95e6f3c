"""Paradex's scan, minimum delta and provisions as a programme."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.margin.rules.paradex_pm import ParadexPm
from pmkit.margin.schemas import ParadexParameters
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.shared import Encoded, whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_paradex"]


class _Market(Protocol):
    name: str
    at: IntArray
    spot: float
    cells: FloatArray
    weights: FloatArray
    deltas: FloatArray
    notionals: FloatArray
    funding: FloatArray
    table: ParadexParameters


class _Book(Protocol):
    markets: tuple[_Market, ...]


def encode_paradex(rule: ParadexPm, work: Workspace) -> Encoded:
    """Return IM and MM in USD: a maximum of affine functions of the sizes, and provisions.

    Raises
    ------
    ParameterError
        Rates under which the minimum delta is not convex: net below half of hedged.

    Notes
    -----
    With n the net delta and g the gross one the minimum is ``((a - b/2)|n| + b/2 g) S``, convex for
    ``a >= b/2``.
    """
    account = whole_account(work)
    underlyings = account.portfolio.underlyings
    parameters = rule.parameter_set(work.snapshot, underlyings[0])
    book = cast(_Book, rule.book(account, {}, work.snapshot, parameters, underlyings))
    im, mm = [], []
    for market in book.markets:
        core, provisions = _market(work.model, market, work.held.part(market.at))
        im += [core, provisions]
        mm += [core.times(market.table.mm_factor), provisions]
    return Encoded(im=Affine.total(im), mm=Affine.total(mm))


def _market(model: LinearModel, market: _Market, held: Held) -> tuple[Affine, Affine]:
    """Return the core and the provisions of one underlying."""
    t = market.table
    if t.net_delta_rate < t.hedged_delta_rate / 2.0:
        raise ParameterError(
            f"net delta rate {t.net_delta_rate:g} below half of the hedged rate {t.hedged_delta_rate:g}",
            "rates under which the minimum delta of paradex-pm is convex",
            "use other parameters, or another rule",
        )
    core = model.column(f"{market.name} core")
    model.losses(core, market.cells * market.weights, held, np.zeros(market.weights.size))
    net = model.size_of([held.weighted(market.deltas)], "net delta")
    # the lines are sized once, for gross delta and for fees
    sizes = [model.size_of([held.one(i)], "line") for i in range(market.deltas.size)]
    gross = Affine.total(s.times(abs(float(d))) for s, d in zip(sizes, market.deltas, strict=True))
    half = t.hedged_delta_rate / 2.0
    least = Affine.total(
        [net.times(market.spot * (t.net_delta_rate - half)), gross.times(market.spot * half)]
    )
    model.above(core, [least])
    fees = Affine.total(s.times(t.fee_rate * float(n)) for s, n in zip(sizes, market.notionals, strict=True))
    funding = model.positive_part([held.weighted(market.funding)], "funding")
    return Affine.of([(core, 1.0)]), Affine.total([fees, funding])
