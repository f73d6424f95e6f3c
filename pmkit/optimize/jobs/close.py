"""Which position to close first: what each one frees alone, and the cheapest way down to a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.instruments import Position
from pmkit.margin import Account, what_if_many
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import check_number
from pmkit.optimize.legs import Legs
from pmkit.optimize.limits import AtMost, Constraint
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import quietly
from pmkit.optimize.terms.requirement import Requirement, Which
from pmkit.optimize.terms.simple import Cost
from pmkit.optimize.words import number_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CloseOrder", "close_first"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CloseOrder(Result):
    """Positions in the order in which closing them alone frees the most requirement per USD.

    Attributes
    ----------
    table : DataFrame
        One row a position with a leg: ``qty`` (contracts), ``freed`` by closing all of it alone
        (numeraire, negative where it hedges), ``cost`` (USD), ``freed_per_usd``.
    before : float
        Requirement, numeraire.
    unit : str
    plan : Optimum or None
        Cheapest reductions that bring the requirement to the target; None without one.
    """

    table: pd.DataFrame
    before: float
    unit: str
    plan: Optimum | None = field(default=None, repr=False)
    references: tuple[str, ...] = ("huangfu2018",)

    def check(self) -> None:
        """Raise where the plan fails its own check."""
        if self.plan is not None:
            self.plan.check()

    def summary(self) -> pd.DataFrame:
        """Return the ten positions to look at first."""
        frame = self.table.head(10).round(8)
        frame.index.name = f"close first, requirement {self.before:.8g} {self.unit}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return every position."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with what closing each of the first ten positions frees, in the numeraire."""
        axes = new_axes(ax)
        shown = self.table.head(10)
        axes.barh(list(shown.index), shown["freed"].to_list())
        axes.invert_yaxis()
        axes.set(xlabel=f"freed by closing it alone, {self.unit}", title="Which position to close first")
        return axes


def close_first(
    account: Account,
    snapshot: MarketSnapshot,
    rule: AnyRule,
    legs: Legs,
    *,
    target: float | None = None,
    which: Which = "im",
    constraints: Sequence[Constraint] = (),
    whole_lots: bool = False,
) -> CloseOrder:
    """Return the positions by the requirement that closing them frees per USD, in the rule's numeraire.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    rule : rule
        One of :func:`optimisable_rules`.
    legs : Legs
        Costs of the positions that may be closed.
    target : float, optional
        Requirement to come down to; the plan then closes what reaches it at the least cost, in part where
        that is enough.
    which : {"im", "mm", "im_equity"}
    constraints : sequence of Constraint
        Of the plan.
    whole_lots : bool

    Returns
    -------
    CloseOrder

    Raises
    ------
    DataGapError
        No leg in a position of the account.
    ParameterError
        A target that is negative or not finite, or a rule that cannot be optimised.

    Notes
    -----
    Positions net against each other, so what two free together is not the sum of what each frees alone, and
    the first rows of the table are not the plan. The plan is exact, as positions give every leg a
    largest trade.
    """
    requirement = Requirement(rule, which)
    if target is not None:
        check_number("target", target)
    if target is not None and not (math.isfinite(target) and target >= 0.0):
        raise ParameterError(f"target is {target!r}", "a finite requirement, 0 or more", "correct it")
    held = {p.instrument.name: p for p in account.portfolio if p.qty != 0.0}
    closing = [leg for leg in legs.legs if leg.instrument.name in held]
    if not closing:
        raise DataGapError(
            f"{number_of(len(legs.legs), 'leg')}, none in a position of account {account.name!r}",
            "the costs of positions that are held",
            "build legs in the names of the account's positions",
        )
    trades = {
        leg.instrument.name: Position(instrument=leg.instrument, qty=-held[leg.instrument.name].qty)
        for leg in closing
    }
    seen = what_if_many(account, trades, snapshot, rule)
    rows = {
        leg.instrument.name: {
            "qty": held[leg.instrument.name].qty,
            "freed": -float(seen.change[which][leg.instrument.name]),
            "cost": leg.cost_of(held[leg.instrument.name].qty),
        }
        for leg in closing
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["freed_per_usd"] = table["freed"] / table["cost"].where(table["cost"] > 0.0)
    table.index.name = "instrument"
    free = table["cost"] == 0.0
    table = table.assign(_free=free & (table["freed"] > 0.0)).sort_values(
        ["_free", "freed_per_usd", "freed"], ascending=False, kind="stable"
    )
    plan = None
    if target is not None:
        reducing = []
        for leg in closing:
            qty = held[leg.instrument.name].qty
            most_sell, most_buy = min(leg.max_sell, max(qty, 0.0)), min(leg.max_buy, max(-qty, 0.0))
            reducing.append(replace(leg, max_buy=most_buy, max_sell=most_sell))
        problem = Problem(
            account=account,
            snapshot=snapshot,
            legs=replace(legs, legs=tuple(reducing)),
            objective=Cost(),
            constraints=(AtMost(requirement, target), *constraints),
            whole_lots=whole_lots,
        )
        with quietly():
            plan = problem.solve()
    return CloseOrder(
        table=table.drop(columns="_free"),
        before=float(getattr(seen.before, which)),
        unit=seen.before.numeraire,
        plan=plan,
    )
