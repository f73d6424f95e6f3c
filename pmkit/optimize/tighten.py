"""Limits that a left out part breaks: tightened by that part until the rule itself keeps to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.optimize.limits import AtMost, Constraint
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem

__all__ = ["missed_limits", "tightened", "trades_of"]

#: rounds after which the limits are taken to be out of reach
_ROUNDS = 25
#: change of the objective, as a share of it, at which the rounds stand still
_STILL = 1e-10
#: share of a limit, and USD or coins at least, by which it may be missed
_SHARE, _LEAST = 1e-8, 1e-9


def missed_limits(problem: Problem, trades: FloatArray) -> tuple[AtMost, ...]:
    """Return the limits of terms that the account after net trades does not keep by their own definition."""
    outcome = problem.outcome(trades)
    limits = [c for c in problem.constraints if isinstance(c, AtMost)]
    return tuple(c for c in limits if c.term.value(outcome) > c.limit + _SHARE * abs(c.limit) + _LEAST)


def tightened(problem: Problem, found: Optimum, solve: Callable[[Problem], Optimum]) -> Optimum | None:
    """Return the optimum under limits less what the programme leaves out of them; None where none keeps them.

    Parameters
    ----------
    problem : Problem
    found : Optimum
        Its solution, which misses a limit.
    solve : callable
        From a problem to its optimum, as it is.

    Notes
    -----
    Each round takes off a limit what was left out of its term at the last solution, so that at a point where
    the rounds stand still the rule itself meets the limit; the best solution that keeps all limits counts.
    The bound is that of the problem as it was given, which stays valid; the solution is a local one.
    """
    last = found
    best: Optimum | None = None
    for _ in range(_ROUNDS):
        outcome = problem.outcome(trades_of(problem, last))
        constraints: list[Constraint] = []
        for given in problem.constraints:
            if isinstance(given, AtMost):
                given = AtMost(given.term, given.limit - max(given.term.left_out(outcome), 0.0))
            constraints.append(given)
        previous, last = last, solve(replace(problem, constraints=tuple(constraints)))
        if not last.solved:
            break
        if not missed_limits(problem, trades_of(problem, last)) and (best is None or last.value < best.value):
            best = last
        if abs(last.value - previous.value) <= _STILL * abs(last.value):
            break
    return best


def trades_of(problem: Problem, found: Optimum) -> FloatArray:
    """Return the net trade of every instrument under an optimum."""
    return np.array([found.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
