"""The margin frontier: the most expected profit for every risk, and what the margin limit costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.margin import Account
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import check_each
from pmkit.optimize.legs import Legs
from pmkit.optimize.limits import AtMost, Constraint
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.requirement import Requirement
from pmkit.optimize.terms.shortfall import Shortfall
from pmkit.optimize.terms.simple import Cost, ExpectedLoss, Weighted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Frontier", "frontier"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Frontier(Result):
    """The most expected profit, cost taken off, for every limit of expected shortfall.

    Attributes
    ----------
    limits : tuple of float
        Expected shortfall, USD, rising.
    optima : tuple of Optimum
    risk, margin : str
        Names of the terms that are limited.
    """

    limits: tuple[float, ...]
    optima: tuple[Optimum, ...] = field(repr=False)
    risk: str
    margin: str
    references: tuple[str, ...] = ("rockafellar2000", "kunzibay2006")

    def check(self) -> None:
        """Raise where an optimum fails its own check."""
        for optimum in self.optima:
            optimum.check()

    def summary(self) -> pd.DataFrame:
        """Return one row a limit: status, profit (USD), shortfall (USD), requirement, prices, trades."""
        rows = []
        for limit, o in zip(self.limits, self.optima, strict=True):
            limited = o.terms[o.terms["limit"].notna()]["after"]
            after = dict(zip(limited.index, limited.to_numpy(dtype=np.float64), strict=True))
            rows.append(
                {
                    "es_limit": limit,
                    "status": o.status,
                    "profit": -o.value,
                    "es": after.get(self.risk, math.nan) if o.solved else math.nan,
                    "margin": after.get(self.margin, math.nan) if o.solved else math.nan,
                    "es_price": float(o.prices["price"].get(self.risk, 0.0)) if o.solved else math.nan,
                    "margin_price": float(o.prices["price"].get(self.margin, 0.0)) if o.solved else math.nan,
                    "trades": len(o.trades),
                }
            )
        return pd.DataFrame(rows).set_index("es_limit").round(8)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with expected profit against expected shortfall, USD."""
        axes = new_axes(ax)
        frame = self.summary()
        axes.plot(frame["es"].to_numpy(), frame["profit"].to_numpy(), marker="o")
        axes.set(xlabel=f"{self.risk}, USD", ylabel="expected profit less cost, USD", title="Margin frontier")
        return axes


def frontier(
    account: Account,
    snapshot: MarketSnapshot,
    legs: Legs,
    *,
    profit: Mapping[str, float],
    shortfall: Shortfall,
    limits: Sequence[float],
    requirement: Requirement | None = None,
    margin_limit: float = math.nan,
    constraints: Sequence[Constraint] = (),
) -> Frontier:
    """Return the most expected profit, less the cost of the trades, for every limit of shortfall, USD.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    legs : Legs
    profit : mapping of str to float
        Expected profit of one contract over the horizon, USD, of everything held or tradable. It is the
        caller's view: nothing here estimates it.
    shortfall : Shortfall
        Its cube has the horizon of the profit.
    limits : sequence of float
        USD, rising.
    requirement : Requirement, optional
        A requirement that is limited too.
    margin_limit : float
        In the numeraire of the requirement; needed with it.
    constraints : sequence of Constraint

    Raises
    ------
    ParameterError
        Limits that do not rise, or a requirement without its limit.
    DataGapError
        An instrument without expected profit, or outside the cube.

    Notes
    -----
    The prices are the slopes of the frontier: USD of profit for one USD more of shortfall, and for one unit
    more of margin. Where the margin binds and the shortfall does not, the rule and not the risk sets the
    size.
    """
    steps = tuple(float(x) for x in check_each("limits", limits, Real, "write (1000.0,) for a single one"))
    if not steps or not all(map(math.isfinite, steps)) or list(steps) != sorted(set(steps)):
        raise ParameterError(f"limits {list(limits)!r}", "rising finite amounts of USD", "correct them")
    if (requirement is None) != math.isnan(margin_limit):
        raise ParameterError(
            f"{'no requirement' if requirement is None else requirement.label} with limit {margin_limit!r}",
            "both or neither",
            "give the limit with the requirement",
        )
    rest = (*constraints, *(() if requirement is None else (AtMost(requirement, margin_limit),)))
    optima = [
        Problem(
            account=account,
            snapshot=snapshot,
            legs=legs,
            objective=Weighted(((1.0, ExpectedLoss(profit)), (1.0, Cost()))),
            constraints=(AtMost(shortfall, limit), *rest),
        ).solve()
        for limit in steps
    ]
    return Frontier(
        limits=steps,
        optima=tuple(optima),
        risk=shortfall.label,
        margin="" if requirement is None else requirement.label,
    )
