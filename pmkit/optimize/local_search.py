"""A local search for what a programme leaves out: its slope is added, and a step is taken while it pays."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.optimize.assemble import Found, assembled
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.problem import Problem

__all__ = ["local_search", "nearest"]

#: steps from one start
_STEPS = 30
#: first half-width of the box round a point, and its factors after a step that pays and one that does not
_FIRST, _GROWTH, _FALL = 0.5, 1.5, 0.25
#: half-width of the box, as a share of the range of a leg, at which the search ends
_LAST = 1e-5
#: distance over which slopes are taken, as a share of the range of a leg, and of the box at most
_SLOPE, _OF_BOX = 1e-4, 0.1
#: share of the value by which a step must be better
_BETTER = 1e-10


def local_search(problem: Problem, trades: FloatArray) -> Found | None:
    """Return a solution whose objective is below that of given trades; None where none is found.

    Parameters
    ----------
    problem : Problem
        With a part of its objective left out of the programme.
    trades : ndarray, shape (instruments,)
        Net trades of the programme's own solution.

    Notes
    -----
    The left out part is replaced by its tangent plane at the point, by central differences, and the programme
    is solved with it inside a box round the point. A step that lowers the whole objective is taken and the
    box grows; otherwise it shrinks. It starts from the given trades and from none. What is found is a local
    minimum; the bound of the programme without the part stays valid, so that the gap says what may be left.
    """
    start = _value(problem, trades)
    best: tuple[float, Found | None] = (start, None)
    for first in (trades, np.zeros(trades.size)):
        found = _descend(problem, first)
        if found is not None and found[0] < best[0] - _BETTER * abs(start):
            best = found
    return best[1]


def nearest(problem: Problem, trades: FloatArray) -> Found | None:
    """Return the programme with its trades held at given ones; None where those break a constraint."""
    work, objective = assembled(problem)
    columns, model = work.columns, work.model
    sizes = {i.name: float(t) for i, t in zip(problem.instruments, trades, strict=True)}
    for leg in problem.legs.legs:
        trade = sizes[leg.instrument.name]
        for side, left in (("buy", max(trade, 0.0)), ("sell", max(-trade, 0.0))):
            # up to the depth first, then what lies beyond it
            for name in (f"{side} {leg.instrument.name}", f"{side} {leg.instrument.name} beyond"):
                if name in columns:
                    part = min(left, model.high[columns[name]])
                    model.low[columns[name]] = model.high[columns[name]] = part
                    left -= part
    found = solve_linear(model, objective, work.lazy)
    return Found(work, objective, found) if found.status == "optimal" else None


def _value(problem: Problem, trades: FloatArray) -> float:
    return problem.objective.value(problem.outcome(trades))


def _spans(problem: Problem) -> FloatArray:
    """Return the range of every leg in contracts, what is held where it has no end, 0 without a leg."""
    held = {p.instrument.name: abs(p.qty) for p in problem.account.portfolio}
    spans = np.zeros(len(problem.instruments))
    place = {i.name: at for at, i in enumerate(problem.instruments)}
    for leg in problem.legs.legs:
        name, whole = leg.instrument.name, leg.max_buy + leg.max_sell
        spans[place[name]] = whole if np.isfinite(whole) else max(held.get(name, 0.0), leg.instrument.lot)
    return spans


def _descend(problem: Problem, start: FloatArray) -> tuple[float, Found | None] | None:
    """Return the best value and solution from one start; None where the start keeps no constraint."""
    spans = _spans(problem)
    if nearest(problem, start) is None:
        return None
    centre, value, share = start, _value(problem, start), _FIRST
    best: Found | None = None
    for _ in range(_STEPS):
        if share < _LAST:
            break
        slope = _slope(problem, centre, min(_SLOPE, _OF_BOX * share) * spans)
        found = _step(problem, centre, slope, share * spans)
        if found is None:
            break
        trades = problem.net_trades(found.work, found.solution.point)
        reached = _value(problem, trades)
        if reached < value - _BETTER * abs(value):
            centre, value, best, share = trades, reached, found, min(_GROWTH * share, 1.0)
        else:
            share *= _FALL
    return value, best


def _slope(problem: Problem, centre: FloatArray, widths: FloatArray) -> FloatArray:
    """Return the change of the left out part per contract of each leg, over widths in contracts."""
    slope = np.zeros(centre.size)
    for at in np.flatnonzero(widths):
        width = problem.instruments[at].lot if problem.whole_lots else widths[at]
        ends = []
        for side in (-1.0, 1.0):
            moved = centre.copy()
            moved[at] += side * width
            ends.append(problem.objective.left_out(problem.outcome(moved)))
        slope[at] = (ends[1] - ends[0]) / (2.0 * width)
    return slope


def _step(problem: Problem, centre: FloatArray, slope: FloatArray, box: FloatArray) -> Found | None:
    """Return the solution with a slope inside a box round a point."""
    work, objective = assembled(problem)
    for at in np.flatnonzero(np.isin(np.arange(centre.size), work.held.at)):
        middle = float(work.held.start[at] + centre[at])
        work.model.row(work.held.one(int(at)), middle - box[at] - 1e-9, middle + box[at] + 1e-9)
    tilted = Affine.total([objective, work.held.weighted(slope)])
    found = solve_linear(work.model, tilted, work.lazy)
    return Found(work, objective, found) if found.status == "optimal" else None
