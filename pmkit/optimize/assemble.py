"""A problem written down as a programme."""

from __future__ import annotations

from typing import NamedTuple

from pmkit.optimize.linear.model import Affine
from pmkit.optimize.linear.solver import Solution
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Cuts, Workspace

__all__ = ["Found", "assembled"]


class Found(NamedTuple):
    """A programme, the expression that it minimises, and its solution."""

    work: Workspace
    objective: Affine
    solution: Solution


def assembled(problem: Problem, cuts: Cuts | None = None, *, apart: bool = False) -> tuple[Workspace, Affine]:
    """Return the programme of a problem with all its rows, and the expression to be minimised.

    Parameters
    ----------
    problem : Problem
    cuts : Cuts, optional
        Write the parts that are not convex too, each ratio between the given cuts; without, they are left out
        or replaced by their best case, so that the programme bounds the problem from below.
    apart : bool
        Keep away from points where a charge jumps.

    Raises
    ------
    ParameterError
        A choice without bounds, as a leg has no largest trade.
    """
    work = problem.workspace()
    work.cuts, work.apart = cuts, apart
    objective = problem.objective.encode(work)
    for constraint in problem.constraints:
        constraint.encode(work)
    return work, objective
