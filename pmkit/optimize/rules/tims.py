"""The ten price points, group offsets and minimum charges of TIMS as a programme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument
from pmkit.margin.engine.listed_rule import ListedMarket, marks_of
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.rules.tims import Tims
from pmkit.margin.rules.tims.points import minimum_of
from pmkit.optimize.linear.model import Affine, LinearModel
from pmkit.optimize.rules.shared import Encoded, whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_tims"]


class _Group(Protocol):
    name: str
    offset: float
    members: tuple[int, ...]


class _Book(Protocol):
    instruments: tuple[Instrument, ...]
    marks: tuple[float, ...]
    classes: tuple[str, ...]
    unit: FloatArray
    products: tuple[_Group, ...]
    portfolios: tuple[_Group, ...]
    parameters: ParameterSet


def encode_tims(rule: Tims, work: Workspace) -> Encoded:
    """Return IM and MM in USD: losses of classes in full, gains by the offset, never below the minimum.

    Notes
    -----
    A group at a point is worth ``sum min(x_i, offset x_i)``, concave and rising in its members, so its loss
    is convex in the quantities; the minimum charge of a line is ``max(l q, -s q)`` with l and s those of one
    contract long and short.
    """
    portfolio = whole_account(work).portfolio
    parameters = rule.parameter_set(work.snapshot, portfolio.underlyings[0])
    marks = marks_of(portfolio, work.snapshot)
    book = cast(_Book, rule.book(ListedMarket(portfolio, marks, work.snapshot, parameters)))
    points = range(book.unit.shape[1])
    model, held = work.model, work.held
    member = np.array([book.classes.index(i.underlying) for i in book.instruments])
    pnl = [
        [held.weighted(np.where(member == c, book.unit[:, k], 0.0)) for k in points]
        for c in range(len(book.classes))
    ]
    groups = _combined(model, _combined(model, pnl, book.products), book.portfolios)
    im, mm = [], []
    for group, vector in zip(book.portfolios, groups, strict=True):
        classes = [book.classes[c] for p in group.members for c in book.products[p].members]
        required = model.column(f"{group.name} requirement")
        model.above(required, [x.times(-1.0) for x in vector])
        model.above(required, [_minimum(work, book, classes)])
        mm.append(Affine.of([(required, 1.0)]))
        im.append(mm[-1].times(max(float(parameters.table(c).im_factor) for c in classes)))
    initial = model.column("initial margin", low=rule.smallest_equity(parameters, portfolio))
    model.above(initial, [Affine.total(im)])
    return Encoded(im=Affine.of([(initial, 1.0)]), mm=Affine.total(mm))


def _combined(
    model: LinearModel, members: Sequence[Sequence[Affine]], groups: Sequence[_Group]
) -> list[list[Affine]]:
    """Return the vectors of groups: a lone member counts as it is, of several the gains by the offset."""
    found = []
    for group in groups:
        if len(group.members) == 1:
            found.append(list(members[group.members[0]]))
            continue
        vector = []
        for point in zip(*(members[m] for m in group.members), strict=True):
            counted = []
            for pnl in point:
                column = model.column(f"{group.name} member", -np.inf, np.inf)
                own = Affine.of([(column, -1.0)])
                for share in (1.0, group.offset):
                    model.row(Affine.total([pnl.times(share), own]), 0.0, np.inf)
                counted.append((column, 1.0))
            vector.append(Affine.of(counted))
        found.append(vector)
    return found


def _minimum(work: Workspace, book: _Book, classes: Sequence[str]) -> Affine:
    """Return the sum of the minimum charges of the options of some classes."""
    charges = []
    for at, (instrument, mark) in enumerate(zip(book.instruments, book.marks, strict=True)):
        if instrument.underlying not in classes:
            continue
        per = float(book.parameters.table(instrument.underlying).minimum_per_contract)
        long, short = (minimum_of(instrument, side, mark, per) for side in (1.0, -1.0))
        if max(long, short) > 0.0:
            charge = work.model.column(f"minimum of {instrument.name}")
            work.model.above(charge, [work.held.one(at, long), work.held.one(at, -short)])
            charges.append((charge, 1.0))
    return Affine.of(charges)
