"""SPAN as a programme: scan, spreads of months and delivery exactly, credits between cuts or bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np

from pmkit.core.types import IntArray
from pmkit.instruments import Instrument, Option
from pmkit.margin import MarginResult
from pmkit.margin.engine.listed_rule import ListedMarket, marks_of
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.rules.span import Span
from pmkit.margin.rules.span.commodity import Line, measure
from pmkit.margin.schemas import IntermonthSpread, SpanParameters
from pmkit.optimize.linear.choices import exact_parts, exact_smaller, smallest
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.shared import Encoded, whole_account
from pmkit.optimize.rules.span_credits import CreditLeg, encode_credits
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_span", "span_credits_left_out"]

#: largest loss of a commodity in a programme, in its unit
_MOST = 1e6


class _Book(Protocol):
    values: tuple[float, ...]
    lines: Mapping[str, tuple[Line, ...]]
    rows: Mapping[str, tuple[int, ...]]
    parameters: ParameterSet


def encode_span(rule: Span, work: Workspace) -> Encoded:
    """Return IM and MM in the rule's currency; credits by their most, or where there are cuts between them.

    Raises
    ------
    ParameterError
        A leg without a largest trade where months form spreads, or commodities with cuts.

    Notes
    -----
    With the rate r of a commodity's best credit, price risk p and the mean m of the two scenarios without a
    price move, the credit is at most ``r max(p, 0) <= r (scan - m)``. Without cuts the programme carries
    ``(1 - r) scan + r m``, convex and never above the rule; without credits it is the scan itself. Spreads of
    months are formed one after another as the rule forms them, each kink with a binary.
    """
    account, snapshot = whole_account(work), work.snapshot
    portfolio = account.portfolio
    parameters = rule.parameter_set(snapshot, portfolio.underlyings[0])
    seen = ListedMarket(portfolio, marks_of(portfolio, snapshot), snapshot, parameters)
    book = cast(_Book, rule.book(seen))
    exact = work.cuts is not None
    shares = dict.fromkeys(book.lines, 0.0) if exact else _credit_shares(book.parameters, tuple(book.lines))
    legs = {
        name: _leg(work.model, name, book.parameters.table(name), lines, work.held.part(_at(book.rows[name])))
        for name, lines in book.lines.items()
    }
    credits = encode_credits(work, legs) if exact else {}
    risks, rest = [], [work.held.weighted(-np.array(book.values))]
    for name, lines in book.lines.items():
        leg = legs[name]
        before = [_carried(leg, shares[name]), *_months(work.model, name, leg.table, lines, leg.held)]
        if name in credits:
            before.append(credits[name].times(-1.0))
        risk = work.model.column(f"{name} risk")
        minimum = _minimum(work.model, leg, lines)
        work.model.above(risk, [Affine.total(before).times(1.0 / leg.unit), minimum])
        risks.append((Affine.of([(risk, leg.unit)]), leg.table.im_factor))
        rest.append(_exposure(work.model, leg.table, lines, leg.held))
    return Encoded(
        im=Affine.total([*(risk.times(factor) for risk, factor in risks), *rest]),
        mm=Affine.total([*(risk for risk, _ in risks), *rest]),
    )


def _at(rows: Sequence[int]) -> IntArray:
    return np.array(rows, dtype=np.int64)


def span_credits_left_out(
    rule: Span, result: MarginResult, instruments: Sequence[Instrument], parameters: ParameterSet, which: str
) -> float:
    """Return the rule's requirement less the one that the programme carries, by the rule's own figures."""
    shares = _credit_shares(parameters, tuple(dict.fromkeys(i.underlying for i in instruments)))
    parts, losses = result.figures["commodities"], result.figures["losses"]
    total = 0.0
    for name in parts.index.astype(str):
        column = losses[name].to_numpy(dtype=np.float64)
        row = parts.loc[name].astype("float64")
        carried = (1.0 - shares[name]) * row["scan"] + shares[name] * 0.5 * (column[0] + column[1])
        carried = max(carried + row["intermonth"] + row["delivery"], row["short_option_minimum"])
        factor = 1.0 if which == "mm" else float(parameters.table(name).im_factor)
        total += factor * float(row["risk"] - carried)
    return total


def _credit_shares(parameters: ParameterSet, names: Sequence[str]) -> dict[str, float]:
    """Return the rate of the best credit that each commodity can have beside the others."""
    shares = dict.fromkeys(names, 0.0)
    for name in names:
        for spread in parameters.table(name).intercommodity:
            if spread.other in shares and spread.other != name:
                for leg in (name, spread.other):
                    shares[leg] = max(shares[leg], float(spread.rate))
    return shares


def _leg(
    model: LinearModel, name: str, table: SpanParameters, lines: Sequence[Line], held: Held
) -> CreditLeg:
    """Return a commodity with its losses and a column above them."""
    arrays = np.array([line.array.losses for line in lines], dtype=np.float64)
    most = max(held.range_of(arrays[:, k]) for k in range(arrays.shape[1]))
    # the solver's tolerance is an absolute one
    unit = max(most / _MOST, 1.0) if np.isfinite(most) else 1.0
    losses = [held.weighted(arrays[:, k] / unit) for k in range(arrays.shape[1])]
    scan = model.column(f"{name} scan", -np.inf)
    model.above(scan, losses)
    delta = np.array([line.array.delta for line in lines], dtype=np.float64)
    return CreditLeg(name, table, held, delta, losses, scan, unit)


def _carried(leg: CreditLeg, share: float) -> Affine:
    """Return the scan, of which a share is replaced by the mean loss without a price move."""
    mean = Affine.total([leg.losses[0], leg.losses[1]]).times(0.5)
    return Affine.total([Affine.of([(leg.scan, 1.0 - share)]), mean.times(share)]).times(leg.unit)


def _exposure(model: LinearModel, table: SpanParameters, lines: Sequence[Line], held: Held) -> Affine:
    """Return the exposure margin, by what the rule charges for one contract of every line."""
    charges = []
    for i, line in enumerate(lines):
        long, short = (measure(table, (line,), np.array([side])).exposure for side in (1.0, -1.0))
        if long > 0.0 or short > 0.0:
            charge = model.column(f"exposure of {line.instrument.name}")
            model.above(charge, [held.one(i, long), held.one(i, -short)])
            charges.append((charge, 1.0))
    return Affine.of(charges)


def _minimum(model: LinearModel, leg: CreditLeg, lines: Sequence[Line]) -> Affine:
    """Return the short option minimum in the unit of the commodity."""
    table, held, rate = leg.table, leg.held, leg.table.short_option_minimum / leg.unit
    if rate == 0.0:
        return Affine.of([])
    kinds: dict[bool, list[Affine]] = {True: [], False: []}
    for i, line in enumerate(lines):
        if isinstance(line.instrument, Option):
            kinds[line.instrument.is_call].append(held.one(i, -rate))
    counts = [model.positive_part(kind, "short options") for kind in kinds.values()]
    if table.short_option_method == "sum":
        return Affine.total(counts)
    most = model.column("short option minimum")
    model.above(most, counts)
    return Affine.of([(most, 1.0)])


def _months(
    model: LinearModel, name: str, table: SpanParameters, lines: Sequence[Line], held: Held
) -> list[Affine]:
    """Return the charges of spreads between months and of delivery."""
    days = np.array([line.days for line in lines])
    unit = np.array([line.array.delta for line in lines], dtype=np.float64)
    months = sorted(set(days.tolist()))
    near = [m for m in months if m <= table.delivery_days]
    forms = len(months) > 1 and bool(table.intermonth)
    delivers = bool(near) and table.delivery_spread_rate + table.delivery_outright_rate > 0.0
    if not (forms or delivers):
        return []
    deltas = [held.weighted(np.where(days == m, unit, 0.0)) for m in months]
    if not forms:
        outright = [d.times(table.delivery_outright_rate) for d in deltas[: len(near)]]
        return [model.size_of(outright, "delivery")]
    parts = [exact_parts(model, d, f"{name} month {at + 1}") for at, d in enumerate(deltas)]
    free = {sign: [p[side] for p in parts] for side, sign in enumerate((1.0, -1.0))}
    charges = [_formed(model, months, spread, free) for spread in table.intermonth]
    for at in range(len(near)):
        whole = Affine.total(parts[at])
        left = Affine.total([free[1.0][at], free[-1.0][at]])
        in_spreads = Affine.total([whole, left.times(-1.0)])
        charges += [in_spreads.times(table.delivery_spread_rate), left.times(table.delivery_outright_rate)]
    return charges


def _formed(
    model: LinearModel, months: Sequence[float], spread: IntermonthSpread, free: dict[float, list[Affine]]
) -> Affine:
    """Return the charge of one spread in both orientations, and take what it uses from the free deltas."""
    charges = []
    for orientation in (1.0, -1.0):
        legs = [(leg, orientation if leg.side == "A" else -orientation) for leg in spread.legs]
        chosen = [[at for at, m in enumerate(months) if leg.from_days <= m < leg.to_days] for leg, _ in legs]
        if not all(chosen):
            continue
        shared: dict[tuple[float, float, float], float] = {}
        for leg, sign in legs:
            key = (leg.from_days, leg.to_days, sign)
            shared[key] = shared.get(key, 0.0) + leg.ratio
        pools = {
            (leg.from_days, leg.to_days, sign): Affine.total(free[sign][at] for at in ats)
            for (leg, sign), ats in zip(legs, chosen, strict=True)
        }
        count = smallest(model, [pool.times(1.0 / shared[key]) for key, pool in pools.items()], "spreads")
        for (leg, sign), ats in zip(legs, chosen, strict=True):
            amount = count.times(leg.ratio)
            for at in ats:
                last = at == ats[-1]
                taken = amount if last else exact_smaller(model, amount, free[sign][at], "delta in a spread")
                free[sign][at] = Affine.total([free[sign][at], taken.times(-1.0)])
                amount = Affine.total([amount, taken.times(-1.0)])
        charges.append(count.times(spread.rate))
    return Affine.total(charges)
