"""A problem written down as a programme."""

from __future__ import annotations

from pmkit.optimize.linear.model import Affine
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Workspace

__all__ = ["assembled"]


def assembled(problem: Problem) -> tuple[Workspace, Affine]:
    """Return the programme of a problem with all its rows, and the expression to be minimised."""
    work = problem.workspace()
    objective = problem.objective.encode(work)
    for constraint in problem.constraints:
        constraint.encode(work)
    return work, objective
