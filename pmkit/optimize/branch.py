"""A search with a bound for what a programme leaves out: choices as binaries, ratios between finer cuts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.optimize.assemble import Found, assembled
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.local_search import local_search
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Cuts, Ratio
from pmkit.optimize.tighten import missed_limits

__all__ = ["Branched", "branched"]

#: rounds of finer cuts, and the gap at which they end
_ROUNDS, _ENOUGH = 12, 5e-7
#: distance of the cuts round a ratio that was met, as a share of it, in the first round, and its fall a round
_WIDTH, _FALL = 0.05, 0.2
#: ratio, as a share of the largest cut, beyond which the next cut is a decade away
_DECADE = 10.0


@dataclass(frozen=True)
class Branched:
    """What the search proves, and the best that it met.

    Attributes
    ----------
    last : Found
        The last programme with all choices written out, and its solution.
    bound : float
        No trade can bring the objective below it.
    trades : ndarray or None
        The best net trades by definition where ratios are between cuts; None where the last programme is the
        problem itself, or where no trade that was met keeps the limits.
    exact : bool
        The last programme is the problem itself, without ratios.
    cuts : Cuts
        Of the last programme.
    """

    last: Found
    bound: float
    trades: FloatArray | None
    exact: bool
    cuts: Cuts


def branched(problem: Problem, trades: FloatArray, bound: float) -> Branched | None:
    """Return the optimum of a problem with what is not convex written out; None where that cannot be.

    Parameters
    ----------
    problem : Problem
    trades : ndarray, shape (instruments,)
        Net trades of the programme's own solution.
    bound : float
        Its bound.

    Notes
    -----
    Choices are exact, so that a problem with nothing else is solved at once. A ratio stands between two cuts,
    where the programme takes the best case: its optimum bounds the problem, and its trades are evaluated by
    definition. The cuts then close in on the ratios that were met, so that the best case is a true one there,
    until bound and value meet. Every round keeps the earlier cuts, so that the bound never falls. Where it
    stands still and the value does not follow, the rule jumps at the solution: the programme is solved once
    more a little apart from the jump. A local search from the best trades comes last, if a gap is left.

    References
    ----------
    Nagarajan et al. (2019).
    """
    search = _Search(problem, bound)
    search.meet(0.0 * trades)
    search.meet(trades)
    cuts: dict[str, tuple[float, ...]] = {}
    width = _WIDTH
    for _ in range(_ROUNDS):
        found = _solved(problem, cuts)
        if found is None or found.work.partial:
            return None
        last = found
        ratios, solution = last.work.ratios, last.solution
        if solution.status != "optimal" and search.best is not None:
            # trades that keep every limit are known: the solver has lost its digits
            return None
        if solution.status != "optimal" or not ratios:
            return Branched(last, max(bound, solution.bound), None, True, cuts)
        stuck = solution.bound <= search.bound + 0.5 * _ENOUGH * search.scale
        search.bound = max(search.bound, solution.bound)
        search.meet(problem.net_trades(last.work, solution.point))
        finer = _finer(cuts, ratios, solution.point, width)
        if stuck and not search.closed:
            near = _solved(problem, finer, apart=True)
            if near is not None and near.solution.status == "optimal":
                search.meet(problem.net_trades(near.work, near.solution.point))
                finer = _finer(finer, near.work.ratios, near.solution.point, width)
        if search.closed or finer == cuts:
            break
        cuts, width = finer, _FALL * width
    if not search.closed:
        search.step()
    return Branched(last, search.bound, search.best, False, cuts)


class _Search:
    """The best trades so far, by definition, against the best bound."""

    def __init__(self, problem: Problem, bound: float) -> None:
        self.problem, self.bound = problem, bound
        self.before = abs(problem.objective.value(problem.outcome(np.zeros(len(problem.instruments)))))
        self.best: FloatArray | None = None
        self.value = math.inf

    @property
    def scale(self) -> float:
        """Size against which a difference is small."""
        return max(self.before, abs(self.bound), 1e-12)

    @property
    def closed(self) -> bool:
        """True where value and bound meet."""
        return self.value - self.bound <= _ENOUGH * self.scale

    def meet(self, trades: FloatArray) -> None:
        """Take trades where they keep the limits and are better."""
        value = self.problem.objective.value(self.problem.outcome(trades))
        if value < self.value and not missed_limits(self.problem, trades):
            self.best, self.value = trades, value

    def step(self) -> None:
        """Search locally from the best trades."""
        near = None if self.best is None else local_search(self.problem, self.best)
        if near is not None:
            self.meet(self.problem.net_trades(near.work, near.solution.point))


def _solved(problem: Problem, cuts: Cuts, *, apart: bool = False) -> Found | None:
    """Return the programme with all choices and its solution; None where a choice has no bounds."""
    try:
        work, objective = assembled(problem, cuts, apart=apart)
    except ParameterError:
        return None
    return Found(work, objective, solve_linear(work.model, objective, work.lazy))


def _finer(cuts: Cuts, ratios: list[Ratio], point: FloatArray, width: float) -> dict[str, tuple[float, ...]]:
    """Return the cuts with those round the ratios at a point."""
    found = dict(cuts)
    for ratio in ratios:
        known = found.get(ratio.name, ())
        over, under = ratio.over.value(point), ratio.under.value(point)
        if over <= 0.0:
            continue
        met = over / under if under > 0.0 else math.inf
        most = known[-1] if known else 1.0
        met = min(met, _DECADE * most) if known else met
        new = [x for x in (met * (1.0 - width), met, met * (1.0 + width)) if math.isfinite(x)]
        fresh = [x for x in new if not np.isclose(x, known, rtol=1e-9, atol=0.0).any()]
        found[ratio.name] = tuple(sorted({*known, *fresh}))
    return found
