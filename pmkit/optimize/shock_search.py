"""A local search for the delta shock: region by region, from the signs of the solution without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.instruments import Option
from pmkit.margin.rules.deribit_pm import DeribitPm, charge_above_threshold
from pmkit.optimize.assemble import assembled
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.problem import Problem
from pmkit.optimize.rules.deribit_shock import regions_at
from pmkit.optimize.terms.base import Workspace
from pmkit.optimize.terms.requirement import Requirement

__all__ = ["Found", "search_regions"]

Found = tuple[Problem, Workspace, Affine, Solution]
_ROUNDS = 4


def search_regions(problem: Problem, quantities: FloatArray) -> Found | None:
    """Return the best solution over regions of signs near given quantities; None where nothing is searched.

    Parameters
    ----------
    problem : Problem
    quantities : ndarray, shape (instruments,)
        Solution without the delta shock.

    Notes
    -----
    Inside a region the problem is convex and solved exactly. The options that the solution holds short or not
    at all start as short, then as long where they are not held; every round starts from the best signs found,
    until none improves. The bound of the problem without the shock stays valid, so the gap says what is left.
    """
    objective = problem.objective
    if not _searchable(problem):
        return None
    assert isinstance(objective, Requirement)
    is_option = np.array([isinstance(i, Option) for i in problem.instruments])
    patterns = [is_option & (quantities > 0.0), is_option & (quantities >= 0.0)]
    tried: set[tuple[bool, ...]] = set()
    best: Found | None = None
    for _ in range(_ROUNDS):
        fresh = [p for p in dict.fromkeys(tuple(p.tolist()) for p in patterns) if p not in tried]
        if not fresh:
            break
        tried.update(fresh)
        for region in (r for pattern in fresh for r in regions_at(pattern)):
            part = replace(problem, objective=replace(objective, region=region))
            work, expression = assembled(part)
            found = solve_linear(work.model, expression, work.lazy)
            if found.status == "optimal" and (best is None or found.value < best[3].value):
                best = (part, work, expression, found)
        if best is not None:
            held = best[1].held.quantities(best[3].point)
            patterns = [is_option & (held > 1e-9), is_option & (held >= -1e-9)]
    return best


def _searchable(problem: Problem) -> bool:
    """Return whether the objective is a requirement with the delta shock that is known here, in one coin."""
    rule = problem.objective.rule if isinstance(problem.objective, Requirement) else None
    return (
        isinstance(rule, DeribitPm)
        and rule.variant == "spm"
        and rule.delta_shock is charge_above_threshold
        and len({i.underlying for i in problem.instruments}) == 1
    )
