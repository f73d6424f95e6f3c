"""From a problem to its optimum: programme, solver, evaluation by definition, prices, explanations."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray
from pmkit.margin.engine.base import account_fingerprint
from pmkit.optimize.assemble import Found, assembled
from pmkit.optimize.branch import Branched, branched
from pmkit.optimize.conflicts import explain_infeasible, explain_unbounded, is_feasible
from pmkit.optimize.limits import AtMost
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.local_search import local_search, nearest
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.prices import at_fixed_integers, prices_of
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Cuts, Term, Workspace, quietly
from pmkit.optimize.terms.quadratic import SquareRows
from pmkit.optimize.terms.simple import Weighted
from pmkit.optimize.tighten import missed_limits, tightened, trades_of

__all__ = ["solved"]

#: gap above which a solution is not called optimal
_GAP = 1e-6
#: share of the objective up to which a part that is left out is rounding
_NOISE = 1e-12


def solved(problem: Problem) -> Optimum:
    """Return the optimum of a problem; see :meth:`Problem.solve`."""
    made = _as_given(problem)
    if not made.solved or not missed_limits(problem, trades_of(problem, made)):
        return made
    with quietly():
        kept = tightened(problem, made, partial(_as_given, branch=False))
    return made if kept is None else _kept(problem, made, kept)


def _kept(problem: Problem, made: Optimum, kept: Optimum) -> Optimum:
    """Return an optimum that keeps its limits, against the bound of the problem as it was given."""
    gap = max(kept.value - kept.rounding - made.bound, 0.0) / max(abs(kept.value), abs(kept.before), 1e-12)
    trades = trades_of(problem, kept)
    status, words = _status(problem, trades, kept.value, kept.before, made.bound, gap)
    return replace(
        kept, status=status, words=words, bound=made.bound, gap=gap, terms=_terms(problem, trades),
        provenance=made.provenance,
    )  # fmt: skip


def _as_given(problem: Problem, *, branch: bool = True) -> Optimum:
    """Return the optimum of the programme, with a search for what it leaves out."""
    still = np.zeros(len(problem.instruments))
    start = problem.outcome(still)
    # the first evaluation gives the warnings and the refusals of the rule
    before = problem.objective.value(start)
    with quietly():
        plain = _plain(problem)
        found = plain.solution
        if found.status in ("infeasible or unbounded", "unbounded", "infeasible"):
            return _unsolved(problem, plain, before)
        if not _gains(found.value, before) and not missed_limits(problem, still):
            # trades that gain nothing are an accident of the vertex: stand still where that is allowed
            rest = _standing_still(problem)
            if rest is not None and not _gains(found.value, rest.solution.value):
                priced = None if any(plain.work.model.integer) else plain
                return _optimum(problem, rest, before, found.bound, priced=priced)
        trades = problem.net_trades(plain.work, found.point)
        outcome = problem.outcome(trades)
        partly = problem.objective.left_out(outcome) > _NOISE * max(abs(before), abs(found.value))
        bound = found.bound
        if branch and (partly or missed_limits(problem, trades)):
            search = branched(problem, trades, bound)
            made = None if search is None else _of_search(problem, search, before)
            if made is not None:
                return made
            # trades that keep the limits are found by tightening them, against the better bound
            bound = bound if search is None else search.bound
        better = local_search(problem, trades) if partly else None
        return _optimum(problem, plain if better is None else better, before, bound)


def _of_search(problem: Problem, search: Branched, before: float) -> Optimum | None:
    """Return the optimum that a search has found, or the reason why there is none; None for no trades."""
    if search.last.solution.status != "optimal":
        return _unsolved(problem, search.last, before, search.cuts)
    priced = at_fixed_integers(problem, search.last, search.cuts)
    if search.exact and not _gains(search.last.solution.value, before):
        rest = _standing_still(problem, search.cuts)
        if rest is not None and not _gains(search.last.solution.value, rest.solution.value):
            return _optimum(problem, rest, before, search.bound, priced=priced, exact=True)
    if search.exact:
        return _optimum(problem, search.last, before, search.bound, priced=priced, exact=True)
    at = None if search.trades is None else nearest(problem, search.trades)
    if at is None:
        return None
    return _optimum(problem, at, before, search.bound, priced=priced, trades=search.trades)


def _plain(problem: Problem) -> Found:
    """Return the programme without what is not convex, and its solution."""
    work, objective = assembled(problem)
    return Found(work, objective, solve_linear(work.model, objective, work.lazy))


def _gains(value: float, before: float) -> bool:
    """Return whether a value is below another one by more than rounding."""
    return value < before - 1e-9 * abs(before) - 1e-12


def _standing_still(problem: Problem, cuts: Cuts | None = None) -> Found | None:
    """Return the solution without any trade, or None where the constraints forbid it."""
    work, objective = assembled(problem, cuts)
    for at in work.held.column:
        work.model.low[at] = work.model.high[at] = 0.0
    found = solve_linear(work.model, objective, work.lazy)
    return Found(work, objective, found) if found.status == "optimal" else None


def _optimum(
    problem: Problem,
    at: Found,
    before: float,
    bound: float,
    *,
    priced: Found | None = None,
    exact: bool = False,
    trades: FloatArray | None = None,
) -> Optimum:
    """Return the optimum at a solution.

    ``priced`` has the duals where the solution's own are not meant; ``exact`` says that its programme leaves
    nothing out; ``trades`` are those at which it is held, if any.
    """
    work, objective, found = at
    trades = problem.net_trades(work, found.point) if trades is None else trades
    outcome = problem.outcome(trades)
    value = problem.objective.value(outcome)
    left_out = 0.0 if exact else problem.objective.left_out(outcome)
    if priced is None:
        priced = at_fixed_integers(problem, at) if any(work.model.integer) else at
    terms = _terms(problem, trades)
    rounding = problem.objective.rounding(outcome)
    gap = max(value - rounding - bound, 0.0) / max(abs(value), abs(before), 1e-12)
    status, words = _status(problem, trades, value, before, bound, gap)
    missed = terms.index[terms["after"] > terms["limit"] + 1e-8 * terms["limit"].abs() + 1e-9]
    if len(missed):
        status = "gap"
        words = f"{', '.join(map(str, missed))} above its limit: a part of it is not convex and was left out"
    made = Optimum(
        status=status,
        words=words,
        objective=problem.objective.label,
        unit=problem.objective.unit_for(problem.instruments, problem.account),
        before=before,
        value=value,
        programme=objective.value(found.point),
        bound=bound,
        gap=gap,
        left_out=left_out,
        rounding=rounding,
        trades=_trades(problem, trades),
        terms=terms,
        prices=prices_of(problem, priced),
        relaxation=pd.DataFrame(columns=["missed", "unit"]),
        account=outcome.account,
        kind=_kind(priced.work),
        rounds=found.rounds,
        rows=found.n_rows,
        provenance=_provenance(problem),
        references=_references(problem),
    )
    made.check()
    return made


def _unsolved(problem: Problem, at: Found, before: float, cuts: Cuts | None = None) -> Optimum:
    """Return the optimum that says why there is none."""
    work, found = at.work, at.solution
    status = found.status
    if status == "infeasible or unbounded":
        status = "unbounded" if is_feasible(problem, cuts) else "infeasible"
    relaxation = pd.DataFrame(columns=["missed", "unit"])
    if status == "infeasible":
        words, relaxation = explain_infeasible(problem, cuts)
    else:
        words = explain_unbounded(problem)
    empty = np.zeros(len(problem.instruments))
    return Optimum(
        status=status, words=words, objective=problem.objective.label,
        unit=problem.objective.unit_for(problem.instruments, problem.account), before=before,
        value=math.nan, programme=math.nan, bound=math.nan, gap=math.nan, left_out=0.0, rounding=0.0,
        trades=_trades(problem, empty), terms=_terms(problem, empty),
        prices=prices_of(problem, at), relaxation=relaxation, account=problem.account,
        kind=_kind(work), rounds=found.rounds, rows=found.n_rows, provenance=_provenance(problem),
        references=_references(problem),
    )  # fmt: skip


def _status(
    problem: Problem, trades: FloatArray, value: float, before: float, bound: float, gap: float
) -> tuple[str, str]:
    """Return the status and a sentence that says what is proven."""
    label = problem.objective.label
    if not trades.any() and gap <= _GAP:
        if problem.whole_lots:
            relaxed = replace(problem, whole_lots=False).solve()
            if relaxed.solved and relaxed.trades.shape[0] and relaxed.value < before - 1e-9 * abs(before):
                return "lots_too_coarse", (
                    f"no trade in whole lots lowers {label}; trades of any size would bring it from"
                    f" {before:.6g} to {relaxed.value:.6g}"
                )
        return "no_trade", f"no trade lowers {label}: standing still is best"
    if gap > _GAP:
        return "gap", (
            f"{label} is {value:.8g}, and nothing proves more than {bound:.8g}: a part of it is not"
            f" convex, or the search stopped early; gap {gap:.2%}"
        )
    return "optimal", f"optimal: {label} goes from {before:.8g} to {value:.8g}, and the bound meets it"


def _trades(problem: Problem, trades: FloatArray) -> pd.DataFrame:
    """Return one row a net trade."""
    held = {p.instrument.name: p.qty for p in problem.account.portfolio}
    legs = {leg.instrument.name: leg for leg in problem.legs.legs}
    rows = {
        i.name: {
            "before": held.get(i.name, 0.0),
            "trade": float(t),
            "after": held.get(i.name, 0.0) + float(t),
            "cost": legs[i.name].cost_of(float(t)),
        }
        for i, t in zip(problem.instruments, trades, strict=True)
        if t != 0.0
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["before", "trade", "after", "cost"])
    frame.index.name = "instrument"
    return frame.astype("float64")


def _terms(problem: Problem, trades: FloatArray) -> pd.DataFrame:
    """Return every term of objective and limits before and after, by its own definition."""
    objective = problem.objective
    parts: list[tuple[Term, float]] = [(objective, math.nan)]
    if isinstance(objective, Weighted):
        parts += [(part, math.nan) for _, part in objective.parts]
    parts += [(c.term, c.limit) for c in problem.constraints if isinstance(c, AtMost)]
    before, after = problem.outcome(np.zeros(trades.size)), problem.outcome(trades)
    rows = [
        {
            "term": term.label,
            "unit": term.unit_for(problem.instruments, problem.account),
            "before": term.value(before),
            "after": term.value(after),
            "limit": limit,
        }
        for term, limit in parts
    ]
    return pd.DataFrame(rows).set_index("term")


def _kind(work: Workspace) -> str:
    """Return the kind of a programme in words."""
    squares = any(isinstance(rows, SquareRows) for rows in work.lazy)
    words = ["mixed-integer"] if any(work.model.integer) else []
    return " ".join([*words, *(["quadratic"] if squares else [] if words else ["linear"]), "programme"])


def _limited(problem: Problem) -> list[Term]:
    """Return the objective and the terms that are limited."""
    return [problem.objective, *(c.term for c in problem.constraints if isinstance(c, AtMost))]


def _references(problem: Problem) -> tuple[str, ...]:
    own = [key for term in _limited(problem) for key in term.cited()]
    return tuple(dict.fromkeys([*Optimum.references, *own]))


def _provenance(problem: Problem) -> Provenance:
    data = {key: value for term in _limited(problem) for key, value in term.data().items()}
    return Provenance(
        method="optimize.solve",
        data={
            "account": account_fingerprint(problem.account),
            "snapshot": problem.snapshot.fingerprint,
            "legs": fingerprint(problem.legs.names, problem.legs.to_frame().to_numpy(dtype=np.float64)),
            **data,
        },
        parameters={"problem": problem.describe()},
    )
