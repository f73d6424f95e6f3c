"""Margin by strategy as a programme: what is held and how it is paired are chosen together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.instruments import Option
from pmkit.margin.engine.listed_rule import ListedMarket, marks_of
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.rules.reg_t import Line, RegT
from pmkit.margin.rules.reg_t.candidates import candidates
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.shared import whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_reg_t"]


class _Book(Protocol):
    lines: tuple[Line, ...]
    spots: dict[str, float]
    parameters: ParameterSet


def encode_reg_t(rule: RegT, work: Workspace, which: Literal["im", "mm", "im_equity"]) -> Affine:
    """Return IM or MM in USD: the cheapest pairing of whatever is held after the trades.

    Raises
    ------
    ParameterError
        A leg without a largest trade, as the side of every contract is a choice; more candidate strategies
        than the rule admits.

    Notes
    -----
    The requirement is ``min sum_p c_p x_p`` over strategies with ``sum_p u_pl x_p = |q_l|`` for every line,
    so that the least requirement over trades is one minimum over both. A contract that may end on either side
    has a line for each and a binary between them. Options come out in whole contracts as strategies do.
    """
    portfolio = whole_account(work).portfolio
    parameters = rule.parameter_set(work.snapshot, portfolio.underlyings[0])
    marks = marks_of(portfolio, work.snapshot)
    book = cast(_Book, rule.book(ListedMarket(portfolio, marks, work.snapshot, parameters)))
    work.whole.update(at for at, i in enumerate(work.instruments) if isinstance(i, Option))
    costs = []
    for underlying, spot in book.spots.items():
        chosen = [at for at, i in enumerate(work.instruments) if i.underlying == underlying]
        lines, sizes = [], []
        for at in chosen:
            for side, size in _sides(work.model, work.held, at, book.lines[at].name):
                lines.append(book.lines[at]._replace(qty=side))
                sizes.append(size)
        admitted = candidates(parameters.table(underlying), lines, spot)
        columns = []
        for strategy in admitted:
            shares = len(strategy.uses) == 1 and lines[next(iter(strategy.uses))].kind == "S"
            columns.append(work.model.column(f"{strategy.name} of {underlying}", integer=not shares))
        _use_up(work.model, [s.uses for s in admitted], columns, sizes)
        prices = [s.mm if which == "mm" else s.im for s in admitted]
        costs.append(Affine.of(zip(columns, prices, strict=True)))
    total = Affine.total(costs)
    floor = 0.0 if which == "mm" else rule.smallest_equity(parameters, portfolio)
    if floor == 0.0:
        return total
    values = np.array(
        [i.multiplier * marks[i.name] if isinstance(i, Option) else 0.0 for i in work.instruments]
    )
    initial = work.model.column("initial margin", -np.inf)
    work.model.above(initial, [total, Affine.total([work.held.weighted(-values), Affine.of([], floor)])])
    return Affine.of([(initial, 1.0)])


def _sides(model: LinearModel, held: Held, at: int, name: str) -> list[tuple[float, Affine]]:
    """Return the sides on which a contract may end with its size there."""
    low, high, quantity = float(held.low[at]), float(held.high[at]), held.one(at)
    if low >= 0.0:
        return [(1.0, quantity)] if high > 0.0 else []
    if high <= 0.0:
        return [(-1.0, quantity.times(-1.0))]
    if not np.isfinite([low, high]).all():
        raise ParameterError(
            f"{name} has no largest trade under reg-t",
            "finite max_buy and max_sell: long or short is a choice",
            "limit the legs, for example with legs.limited(100.0)",
        )
    long = model.column(f"{name} long", 0.0, high)
    short = model.column(f"{name} short", 0.0, -low)
    side = model.column(f"side of {name}", 0.0, 1.0, integer=True)
    model.row(Affine.total([quantity, Affine.of([(long, -1.0), (short, 1.0)])]), 0.0, 0.0)
    model.row(Affine.of([(long, 1.0), (side, -high)]), -np.inf, 0.0)
    model.row(Affine.of([(short, 1.0), (side, -low)]), -np.inf, -low)
    model.sharp = True
    return [(1.0, Affine.of([(long, 1.0)])), (-1.0, Affine.of([(short, 1.0)]))]


def _use_up(
    model: LinearModel, uses: Sequence[Mapping[int, float]], columns: Sequence[int], sizes: Sequence[Affine]
) -> None:
    """Add one row a line: the strategies use up its size."""
    by_line: list[list[tuple[int, float]]] = [[] for _ in sizes]
    for column, used in zip(columns, uses, strict=True):
        for line, units in used.items():
            by_line[line].append((column, -float(units)))
    for size, terms in zip(sizes, by_line, strict=True):
        model.row(Affine.total([size, Affine.of(terms)]), 0.0, 0.0)
