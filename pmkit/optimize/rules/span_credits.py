"""SPAN's credits across commodities: order, signs and active scenario as choices, one ratio between cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.margin.rules.span.scenarios import PAIRS
from pmkit.margin.schemas import SpanParameters
from pmkit.optimize.linear.choices import chosen, exact_parts, range_of, smallest
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.terms.base import Ratio, Workspace

__all__ = ["CreditLeg", "encode_credits"]

#: distance from a jump, as a share of the largest delta or price risk
_APART = 1e-8


@dataclass
class CreditLeg:
    """A commodity that credits are formed with.

    Attributes
    ----------
    name : str
    table : SpanParameters
    held : Held
    delta : ndarray, shape (lines,)
        Composite delta of one contract.
    losses : list of Affine
        Loss by scenario, sixteen, in the unit.
    scan : int
        Column of the largest loss, in the unit.
    unit : float
        Amount that counts one in the programme.
    used : list of (float, Affine)
        Rate of each spread that was formed, and the delta that it uses.
    """

    name: str
    table: SpanParameters
    held: Held
    delta: FloatArray
    losses: list[Affine]
    scan: int
    unit: float
    used: list[tuple[float, Affine]] = field(default_factory=list)


def encode_credits(work: Workspace, legs: Mapping[str, CreditLeg]) -> dict[str, Affine]:
    """Return an expression for the credit of each commodity that is pushed up no further than the best case.

    Parameters
    ----------
    work : Workspace
        With cuts.
    legs : mapping of str to CreditLeg

    Raises
    ------
    ParameterError
        A leg without a largest trade.

    Notes
    -----
    Spreads are formed one after another from free deltas, each with binaries for the smaller of the two. The
    credit is ``rate w`` with ``w = P u / |D|`` of the price risk P, the net delta D and the delta u that is
    used. With the price risk of one delta ``P / |D|`` between the cuts l and h it is at most ``h u``, and at
    most ``P - l (|D| - u)``: true at both cuts, and for any ratio where all of the delta is used. One binary
    a stretch between cuts says which. The price risk is that of the scenario with the largest loss, which is
    one binary a scenario.

    References
    ----------
    McCormick (1976), for the two bounds.
    """
    model = work.model
    sizes: dict[str, Affine] = {}
    free: dict[float, dict[str, Affine]] = {1.0: {}, -1.0: {}}
    for name in _involved(legs):
        leg = legs[name]
        long, short = exact_parts(model, leg.held.weighted(leg.delta), f"net delta of {name}")
        free[1.0][name], free[-1.0][name] = long, short
        sizes[name] = Affine.total([long, short])
    for name, leg in legs.items():
        for spread in leg.table.intercommodity:
            if spread.other not in legs or spread.other == name:
                continue
            ratios = {name: spread.ratio, spread.other: spread.other_ratio}
            parts: dict[str, list[Affine]] = {n: [] for n in ratios}
            for sign in (1.0, -1.0):
                sides = {name: sign, spread.other: sign if spread.same_side else -sign}
                pools = [free[sides[n]][n].times(1.0 / ratio) for n, ratio in ratios.items()]
                count = smallest(model, pools, f"spreads of {name} and {spread.other}")
                for n, ratio in ratios.items():
                    taken = count.times(ratio)
                    parts[n].append(taken)
                    free[sides[n]][n] = Affine.total([free[sides[n]][n], taken.times(-1.0)])
            for n, counts in parts.items():
                legs[n].used.append((float(spread.rate), Affine.total(counts)))
    return {name: _credit(work, legs[name], size) for name, size in sizes.items()}


def _involved(legs: Mapping[str, CreditLeg]) -> list[str]:
    """Return the commodities that stand in a spread with another one here, in order."""
    found = set()
    for name, leg in legs.items():
        others = {s.other for s in leg.table.intercommodity if s.other in legs and s.other != name}
        found |= {name, *others} if others else set()
    return [name for name in legs if name in found]


def _credit(work: Workspace, leg: CreditLeg, size: Affine) -> Affine:
    """Return the credit of a commodity from the deltas that its spreads use."""
    model = work.model
    risk, most = _price_risk(model, leg, apart=work.apart)
    largest = range_of(model, size)[1]
    if most <= 0.0 or largest <= 0.0:
        return Affine.of([])
    # deltas count in shares of the largest, price risks and what they are worth too
    ends = [0.0, *(cut * largest / most for cut in (work.cuts or {}).get(leg.name, ())), np.inf]
    stretches, credit = [], []
    if work.apart:
        # a delta of nothing earns nothing; one that is next to nothing earns in full
        inside = model.column(f"{leg.name} without credit", 0.0, 1.0, integer=True)
        parts = [model.column(f"{leg.name} without credit, part", 0.0, 1.0) for _ in range(2 + len(leg.used))]
        for part in parts:
            model.row(Affine.of([(part, 1.0), (inside, -1.0)]), -np.inf, 0.0)
        stretches.append((inside, parts[0], parts[1], parts[2:]))
    for low, high in pairwise(ends):
        name = f"{leg.name} ratio from {low:g}"
        inside = model.column(f"{name}, chosen", 0.0, 1.0, integer=True)
        delta = model.column(f"{name}, delta", 0.0, 1.0)
        price = model.column(f"{name}, price risk", 0.0, 1.0)
        model.row(Affine.of([(delta, 1.0), (inside, -1.0)]), -np.inf, 0.0)
        model.row(Affine.of([(price, 1.0), (inside, -1.0)]), -np.inf, 0.0)
        model.row(Affine.of([(price, 1.0), (delta, -low)]), 0.0, np.inf)
        if work.apart:
            model.row(Affine.of([(delta, 1.0), (inside, -_APART)]), 0.0, np.inf)
        if np.isfinite(high):
            model.row(Affine.of([(price, -1.0), (delta, high)]), 0.0, np.inf)
        used, worths = [], []
        for at, (rate, _) in enumerate(leg.used):
            part = model.column(f"{name}, used by spread {at + 1}", 0.0, 1.0)
            worth = model.column(f"{name}, worth of spread {at + 1}", 0.0, 1.0)
            used.append(part)
            worths.append(worth)
            if np.isfinite(high):
                model.row(Affine.of([(part, high), (worth, -1.0)]), 0.0, np.inf)
            model.row(Affine.of([(price, 1.0), (delta, -low), (part, low), (worth, -1.0)]), 0.0, np.inf)
            credit.append((worth, rate))
        model.row(Affine.of([(delta, 1.0), *((part, -1.0) for part in used)]), 0.0, np.inf)
        if len(used) > 1:
            # what several spreads are worth together is bounded like what one is
            together = [*((part, low) for part in used), *((worth, -1.0) for worth in worths)]
            model.row(Affine.of([(price, 1.0), (delta, -low), *together]), 0.0, np.inf)
        stretches.append((inside, delta, price, used))
    model.row(Affine.of([(inside, 1.0) for inside, *_ in stretches]), 1.0, 1.0)
    _split(model, size.times(1.0 / largest), [delta for _, delta, _, _ in stretches])
    _split(model, risk, [price for _, _, price, _ in stretches])
    for at, (_, amount) in enumerate(leg.used):
        _split(model, amount.times(1.0 / largest), [used[at] for *_, used in stretches])
    work.ratios.append(Ratio(leg.name, risk.times(most), size))
    return Affine.of(credit).times(most * leg.unit)


def _split(model: LinearModel, whole: Affine, parts: Sequence[int]) -> None:
    """Add that parts sum to a whole."""
    model.row(Affine.total([whole.times(-1.0), Affine.of([(p, 1.0) for p in parts])]), 0.0, 0.0)


def _price_risk(model: LinearModel, leg: CreditLeg, *, apart: bool) -> tuple[Affine, float]:
    """Return a column that reaches the price risk at most, as a share of the largest, and the largest."""
    losses = leg.losses
    mean = Affine.total([losses[0], losses[1]]).times(-0.5)
    risks = [
        Affine.total([loss.times(0.5), losses[pair].times(0.5), mean])
        for loss, pair in zip(losses, PAIRS, strict=True)
    ]
    # the first two scenarios have no price move, and no price risk
    moves = range(2, len(losses))
    most = max(range_of(model, risks[k])[1] for k in moves)
    if most <= 0.0:
        return Affine.of([]), 0.0
    risk = model.column(f"{leg.name} price risk", 0.0, 1.0)
    none = model.column(f"{leg.name} without price risk", 0.0, 1.0, integer=True)
    choices = [(none, 1.0)]
    without = Affine.of([(risk, -1.0)])
    chosen(model, Affine.of([(none, 1.0)]), without, f"{leg.name} price risk")
    for k in moves:
        active = model.column(f"{leg.name} scenario {k + 1} is active", 0.0, 1.0, integer=True)
        choices.append((active, 1.0))
        choice = Affine.of([(active, 1.0)])
        below = max(range_of(model, Affine.total([x, losses[k].times(-1.0)]))[1] for x in losses)
        largest = Affine.total([losses[k], Affine.of([(leg.scan, -1.0)])])
        chosen(model, choice, largest, f"{leg.name} scan", least=-below)
        chosen(model, choice, Affine.total([risks[k].times(1.0 / most), without]), f"{leg.name} price risk")
        # of equal losses the first is the active one
        for earlier in losses[:k] if apart else ():
            ahead = Affine.total([losses[k], earlier.times(-1.0), Affine.of([], -_APART * most)])
            chosen(model, choice, ahead, f"{leg.name} scan")
    model.row(Affine.of(choices), 1.0, 1.0)
    return Affine.of([(risk, 1.0)]), most
