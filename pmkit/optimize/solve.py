"""From a problem to its optimum: programme, solver, evaluation by definition, prices, explanations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray
from pmkit.margin.engine.base import account_fingerprint
from pmkit.optimize.assemble import assembled
from pmkit.optimize.conflicts import explain_infeasible, explain_unbounded, is_feasible
from pmkit.optimize.limits import AtMost
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.local_search import local_search
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.shock_search import Found, search_regions
from pmkit.optimize.terms.base import Outcome, Term, Workspace, quietly
from pmkit.optimize.terms.quadratic import SquareRows
from pmkit.optimize.terms.requirement import Requirement
from pmkit.optimize.terms.simple import Weighted
from pmkit.optimize.tighten import missed_limits, tightened

__all__ = ["solved"]

#: gap above which a solution is not called optimal
_GAP = 1e-6


def solved(problem: Problem) -> Optimum:
    """Return the optimum of a problem; see :meth:`Problem.solve`."""
    made = _as_given(problem)
    if not made.solved or not missed_limits(problem, made):
        return made
    with quietly():
        kept = tightened(problem, made, _as_given)
    return made if kept is None else _kept(problem, made, kept)


def _kept(problem: Problem, made: Optimum, kept: Optimum) -> Optimum:
    """Return an optimum that keeps its limits, against the bound of the problem as it was given."""
    gap = max(kept.value - kept.rounding - made.bound, 0.0) / max(abs(kept.value), abs(kept.before), 1e-12)
    trades = np.array([kept.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    status, words = _status(problem, trades, kept.value, kept.before, made.bound, gap)
    return replace(
        kept, status=status, words=words, bound=made.bound, gap=gap, terms=_terms(problem, trades),
        provenance=made.provenance,
    )  # fmt: skip


def _as_given(problem: Problem) -> Optimum:
    """Return the optimum of the programme, with a search for what its objective leaves out."""
    still = np.zeros(len(problem.instruments))
    start = problem.outcome(still)
    # the first evaluation gives the warnings and the refusals of the rule
    before = problem.objective.value(start)
    with quietly():
        work, objective = assembled(problem)
        found = solve_linear(work.model, objective, work.lazy)
        if found.status in ("infeasible or unbounded", "unbounded", "infeasible"):
            return _unsolved(problem, work, found, before)
        if found.value >= before - 1e-9 * abs(before) - 1e-12:
            # trades that gain nothing are an accident of the vertex: stand still where that is allowed
            rest = _standing_still(problem)
            if rest is not None and rest[2].value <= found.value + 1e-9 * abs(before) + 1e-12:
                return _optimum(problem, *rest, before, found.bound, (work, found))
        outcome = problem.outcome(problem.net_trades(work, found.point))
        if problem.objective.left_out(outcome) > 0.0:
            better = _searched(problem, outcome)
            if better is not None:
                return _optimum(*better, before, found.bound)
        return _optimum(problem, work, objective, found, before, found.bound)


def _searched(problem: Problem, outcome: Outcome) -> Found | None:
    """Return a solution below an outcome, region by region where regions are known, else by steps."""
    found = search_regions(problem, outcome.quantities)
    if found is None:
        return local_search(
            problem, outcome.quantities - problem.outcome(0.0 * outcome.quantities).quantities
        )
    return found if found[3].value < problem.objective.value(outcome) else None


def _standing_still(problem: Problem) -> tuple[Workspace, Affine, Solution] | None:
    """Return the solution without any trade, or None where the constraints forbid it."""
    work, objective = assembled(problem)
    for at in work.held.column:
        work.model.low[at] = work.model.high[at] = 0.0
    found = solve_linear(work.model, objective, work.lazy)
    return (work, objective, found) if found.status == "optimal" else None


def _optimum(
    problem: Problem,
    work: Workspace,
    objective: Affine,
    found: Solution,
    before: float,
    bound: float,
    priced: tuple[Workspace, Solution | None] | None = None,
) -> Optimum:
    """Return the optimum at a solution; ``priced`` has the duals where the solution's own are not meant."""
    trades = problem.net_trades(work, found.point)
    outcome = problem.outcome(trades)
    value = problem.objective.value(outcome)
    left_out = problem.objective.left_out(outcome)
    mixed = any(work.model.integer)
    if mixed:
        priced = _at_fixed_integers(problem, found)
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
        unit=_unit(problem.objective, problem),
        before=before,
        value=value,
        programme=objective.value(found.point),
        bound=bound,
        gap=gap,
        left_out=left_out,
        rounding=rounding,
        trades=_trades(problem, trades),
        terms=terms,
        prices=_prices(problem, *(priced or (work, found))),
        relaxation=pd.DataFrame(columns=["missed", "unit"]),
        account=outcome.account,
        kind=_kind(work),
        rounds=found.rounds,
        rows=found.n_rows,
        provenance=_provenance(problem),
        references=_references(problem),
    )
    made.check()
    return made


def _unsolved(problem: Problem, work: Workspace, found: Solution, before: float) -> Optimum:
    """Return the optimum that says why there is none."""
    status = found.status
    if status == "infeasible or unbounded":
        status = "unbounded" if is_feasible(problem) else "infeasible"
    relaxation = pd.DataFrame(columns=["missed", "unit"])
    if status == "infeasible":
        words, relaxation = explain_infeasible(problem)
    else:
        words = explain_unbounded(problem)
    empty = np.zeros(len(problem.instruments))
    return Optimum(
        status=status, words=words, objective=problem.objective.label, unit=_unit(problem.objective, problem),
        before=before, value=math.nan, programme=math.nan, bound=math.nan, gap=math.nan, left_out=0.0,
        rounding=0.0, trades=_trades(problem, empty), terms=_terms(problem, empty),
        prices=_prices(problem, work, None), relaxation=relaxation, account=problem.account,
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


def _at_fixed_integers(problem: Problem, found: Solution) -> tuple[Workspace, Solution | None]:
    """Return the programme with its integers held at the solution, so that limits have prices."""
    work, objective = assembled(problem)
    for at, integer in enumerate(work.model.integer):
        if integer:
            work.model.low[at] = work.model.high[at] = round(float(found.point[at]))
    held = solve_linear(work.model, objective, work.lazy, integer=False)
    return work, held if held.status == "optimal" else None


def _prices(problem: Problem, work: Workspace, found: Solution | None) -> pd.DataFrame:
    """Return the binding limits with what one unit more of each is worth."""
    rows: dict[str, dict[str, object]] = {}
    if found is not None:
        scale = 1e-9 * max(1.0, abs(found.value))
        for limit in work.model.limits:
            price = float(found.row_price[limit.row])
            upper = price < 0.0
            end = limit.high if upper else limit.low
            # a price on a side without an end is a rounding error of the solver
            if math.isfinite(end) and abs(price) > scale / max(1.0, abs(end)):
                rows[limit.name] = {
                    "side": "upper" if upper else "lower",
                    "limit": end,
                    "unit": limit.unit,
                    "price": abs(price),
                }
        columns = work.columns
        # the size of a leg in whole lots is fixed here, so a limit of its own has no price
        for leg in () if problem.whole_lots else problem.legs.legs:
            for side, most in (("buy", leg.max_buy), ("sell", leg.max_sell)):
                name = f"{side} {leg.instrument.name}"
                worth, end = _column_price(work, columns, found, name)
                if worth > scale / max(1.0, end):
                    beyond = end < most
                    rows[f"depth of {name}" if beyond else f"most {name}"] = {
                        "side": "upper", "limit": end, "unit": "contracts", "price": worth,
                    }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index", columns=["side", "limit", "unit", "price"])


def _column_price(
    work: Workspace, columns: Mapping[str, int], found: Solution, name: str
) -> tuple[float, float]:
    """Return what one contract more of the last column at its end is worth, and where that end is."""
    end, worth = 0.0, 0.0
    for column in (name, f"{name} beyond"):
        at = columns.get(column)
        if at is None or not math.isfinite(work.model.high[at]):
            continue
        end += work.model.high[at]
        price = -float(found.column_price[at])
        at_end = found.point[at] >= work.model.high[at] * (1.0 - 1e-9) - 1e-12
        if not (at_end and price > 0.0):
            return worth, end - work.model.high[at] if worth > 0.0 else end
        worth = price
    return worth, end


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
            "unit": _unit(term, problem),
            "before": term.value(before),
            "after": term.value(after),
            "limit": limit,
        }
        for term, limit in parts
    ]
    return pd.DataFrame(rows).set_index("term")


def _unit(term: Term, problem: Problem) -> str:
    """Return the unit of a term; a requirement's is that of its numeraire."""
    if isinstance(term, Requirement):
        return term.numeraire(problem.instruments, problem.account)
    return term.unit


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
