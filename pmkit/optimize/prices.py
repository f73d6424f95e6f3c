"""What one unit more of each binding limit is worth: the duals of a programme by the names of its limits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from pmkit.optimize.assemble import Found, assembled
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import Cuts, Workspace

__all__ = ["at_fixed_integers", "prices_of"]


def at_fixed_integers(problem: Problem, at: Found, cuts: Cuts | None = None) -> Found:
    """Return the programme with its integers held at a solution, so that limits have prices."""
    work, objective = assembled(problem, cuts)
    for column, integer in enumerate(work.model.integer):
        if integer:
            work.model.low[column] = work.model.high[column] = round(float(at.solution.point[column]))
    return Found(work, objective, solve_linear(work.model, objective, work.lazy, integer=False))


def prices_of(problem: Problem, at: Found) -> pd.DataFrame:
    """Return the binding limits with what one unit more of each is worth."""
    work, found = at.work, at.solution
    rows: dict[str, dict[str, object]] = {}
    if found.status == "optimal":
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
