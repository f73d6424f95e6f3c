"""Why a problem has no solution: constraints that exclude each other, or legs that run away."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from pmkit.optimize.assemble import assembled
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Cuts
from pmkit.optimize.terms.simple import Cost

__all__ = ["explain_infeasible", "explain_unbounded", "is_feasible"]

#: size of a trade, contracts, at which a leg without end is said to run away
_FAR = 1e6


def is_feasible(problem: Problem, cuts: Cuts | None = None) -> bool:
    """Return whether any trades satisfy the constraints, with what is not convex where cuts are given."""
    work, cost = assembled(replace(problem, objective=Cost()), cuts)
    return solve_linear(work.model, cost, work.lazy).status == "optimal"


def explain_infeasible(problem: Problem, cuts: Cuts | None = None) -> tuple[str, pd.DataFrame]:
    """Return in words a smallest set of constraints that exclude each other, and the least that must give.

    Notes
    -----
    Constraints are left out one after another while the rest stays infeasible; what remains has no solution,
    and has one as soon as any member is left out. Then every limit of the whole problem may be missed at a
    price of one per size of its bound, and the cheapest misses are returned.

    References
    ----------
    Chinneck (2008), chapter 6.
    """
    dropped: list[int] = []
    for at in range(len(problem.constraints)):
        if not is_feasible(problem.without([*dropped, at]), cuts):
            dropped.append(at)
    left = problem.without(dropped)
    texts = [c.text for c in left.constraints]
    relaxation = _elastic(problem, cuts)
    gives = "; ".join(f"{name} by {row['missed']:.6g} {row['unit']}" for name, row in relaxation.iterrows())
    what = (
        f"no trade in these legs reaches {texts[0]}"
        if len(texts) == 1
        else f"these exclude each other: {'; '.join(texts)}"
    )
    return f"infeasible: {what}" + (f". Least that must give: {gives}" if gives else ""), relaxation


def _elastic(problem: Problem, cuts: Cuts | None) -> pd.DataFrame:
    """Return the limits that are missed at the least total share of their bounds."""
    work, _ = assembled(replace(problem, objective=Cost()), cuts)
    model, missed = work.model, []
    for limit in model.limits:
        ends = [abs(x) for x in (limit.low, limit.high) if abs(x) < float("inf")]
        missed.append((model.soften(limit), 1.0 / max(*ends, 1e-6, 1e-6)))
    found = solve_linear(model, Affine.of(missed), work.lazy)
    rows = {}
    if found.status == "optimal":
        for limit, (column, _) in zip(model.limits, missed, strict=True):
            amount = float(found.point[column])
            if amount > 1e-9:
                rows[limit.name] = {"missed": amount, "unit": limit.unit}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["missed", "unit"])


def explain_unbounded(problem: Problem) -> str:
    """Return in words which legs run away."""
    work, objective = assembled(replace(problem, legs=problem.legs.limited(_FAR)))
    found = solve_linear(work.model, objective, work.lazy)
    if found.status != "optimal":
        return "unbounded: limit the size of the legs"
    trades = problem.net_trades(work, found.point)
    away = [
        f"{'buying' if t > 0.0 else 'selling'} {i.name}"
        for i, t in zip(work.instruments, trades, strict=True)
        if abs(t) > 0.5 * _FAR
    ]
    return (
        f"unbounded: {' against '.join(away)} improves the objective without end; limit the legs or the risk"
    )
