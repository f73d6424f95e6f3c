"""Hedges that free the most margin for what they cost, budget by budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.margin import Account
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import check_each
from pmkit.optimize.legs import Legs
from pmkit.optimize.limits import AtMost, Constraint
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.requirement import Requirement, Which
from pmkit.optimize.terms.simple import Cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HedgePlan", "hedge"]


@dataclass(frozen=True, kw_only=True, repr=False)
class HedgePlan(Result):
    """The least requirement for every budget.

    Attributes
    ----------
    budgets : tuple of float
        USD, rising.
    optima : tuple of Optimum
    """

    budgets: tuple[float, ...]
    optima: tuple[Optimum, ...] = field(repr=False)
    references: tuple[str, ...] = ("huangfu2018",)

    @property
    def unit(self) -> str:
        """Numeraire of the requirement."""
        return self.optima[0].unit

    def worth_it(self, price: float) -> Optimum:
        """Return the solution with the largest worth of freed margin less cost.

        Parameters
        ----------
        price : float
            USD that one unit of freed requirement is worth over the life of the hedge: funding rate times
            time, times spot where the numeraire is a coin.

        Raises
        ------
        ParameterError
            A price that is not positive and finite.
        """
        if not (math.isfinite(price) and price > 0.0):
            raise ParameterError(f"price is {price!r}", "a positive number of USD", "correct it")
        gains = [price * o.freed - o.cost if o.solved else -math.inf for o in self.optima]
        return self.optima[max(range(len(gains)), key=lambda i: (gains[i], -i))]

    def check(self) -> None:
        """Raise where an optimum fails its own check, or a larger budget frees less."""
        for optimum in self.optima:
            optimum.check()
        values = [o.value + o.rounding for o in self.optima if o.status == "optimal"]
        if any(later > earlier * (1.0 + 1e-8) + 1e-9 for earlier, later in pairwise(values)):
            raise PmkitError("a larger budget frees less", "the opposite", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a budget: status, requirement, freed, cost, freed per USD, price of one more USD.

        The price is 0 where whole lots leave a part of the budget unused.
        """
        rows = []
        for budget, o in zip(self.budgets, self.optima, strict=True):
            priced = o.prices["price"].get("cost", 0.0)
            rows.append(
                {
                    "budget": budget,
                    "status": o.status,
                    "requirement": o.value,
                    "freed": o.freed,
                    "cost": o.cost if o.solved else math.nan,
                    "freed_per_usd": o.freed / o.cost if o.solved and o.cost > 0.0 else math.nan,
                    "next_usd_frees": float(priced) if o.solved else math.nan,
                    "trades": len(o.trades),
                }
            )
        return pd.DataFrame(rows).set_index("budget").round(10)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the freed requirement against the cost of freeing it."""
        axes = new_axes(ax)
        axes.plot([o.cost for o in self.optima], [o.freed for o in self.optima], marker="o")
        axes.set(
            xlabel="cost of the hedge, USD", ylabel=f"freed, {self.unit}", title=self.optima[0].objective
        )
        return axes


def hedge(
    account: Account,
    snapshot: MarketSnapshot,
    rule: AnyRule,
    legs: Legs,
    *,
    budgets: Sequence[float],
    which: Which = "im",
    constraints: Sequence[Constraint] = (),
    whole_lots: bool = False,
) -> HedgePlan:
    """Return the trades that lower a requirement the most for every budget, in the rule's numeraire.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    rule : rule
        One of :func:`optimisable_rules`.
    legs : Legs
        What may be traded.
    budgets : sequence of float
        USD of cost, 0 or more, rising.
    which : {"im", "mm", "im_equity"}
    constraints : sequence of Constraint
        Besides the budget.
    whole_lots : bool

    Returns
    -------
    HedgePlan

    Raises
    ------
    ParameterError
        Budgets that are negative, not finite or do not rise, or a rule that cannot be optimised.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    For a convex requirement the freed margin is concave in the budget, so ``freed_per_usd`` falls: the first
    USD frees the most, and the price of the budget says what the next one frees.
    """
    steps = tuple(float(b) for b in check_each("budgets", budgets, Real, "write (1000.0,) for a single one"))
    if (
        not steps
        or not all(math.isfinite(b) and b >= 0.0 for b in steps)
        or list(steps) != sorted(set(steps))
    ):
        raise ParameterError(
            f"budgets {list(budgets)!r}", "rising finite amounts of USD, 0 or more", "correct them"
        )
    optima = []
    for budget in steps:
        problem = Problem(
            account=account,
            snapshot=snapshot,
            legs=legs,
            objective=Requirement(rule, which),
            constraints=(AtMost(Cost(), budget), *constraints),
            whole_lots=whole_lots,
        )
        optima.append(problem.solve())
    return HedgePlan(budgets=steps, optima=tuple(optima))
