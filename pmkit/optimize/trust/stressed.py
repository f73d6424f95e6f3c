"""Trades judged on other scenario sets: what they deliver where correlations or vols are not as assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import quietly
from pmkit.optimize.terms.shortfall import Shortfall
from pmkit.optimize.terms.simple import Worst
from pmkit.risk import PnLCube

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["StressedOptima", "stressed_optima"]


@dataclass(frozen=True, kw_only=True, repr=False)
class StressedOptima(Result):
    """Trades that are best on one scenario set, judged on every other, beside the trades of least worst case.

    Attributes
    ----------
    table : DataFrame, shape (trades, sets)
        Expected shortfall, USD: rows ``before``, one for the trades that are best on each set, and
        ``least worst``; columns are the sets.
    trades : DataFrame
        Net trades by instrument, one column for the trades of each row but the first, contracts.
    """

    table: pd.DataFrame
    trades: pd.DataFrame
    references: tuple[str, ...] = ("rockafellar2000",)

    @property
    def worst(self) -> pd.Series:
        """Largest shortfall over the sets by row, USD."""
        return self.table.max(axis=1)

    @property
    def regret(self) -> pd.DataFrame:
        """Shortfall less the least that trades decided on that very set reach, USD, by row and set."""
        best = {name: float(self.table[name][name]) for name in self.table.columns}
        return self.table - pd.Series(best)

    def check(self) -> None:
        """Raise where trades beat the best of a set on it, or any trades beat the least worst case."""
        allowed = 1e-8 * float(self.table.abs().to_numpy().max())
        low = float(self.regret.to_numpy().min())
        worst = self.worst
        if low < -allowed or float(worst.min()) < float(worst["least worst"]) - allowed:
            raise PmkitError(
                "trades beat an optimum on its own ground", "the opposite", "report this as a bug"
            )

    def summary(self) -> pd.DataFrame:
        """Return shortfall by set with the worst of each row, USD."""
        return self.table.assign(worst=self.worst).round(6)

    def to_frame(self) -> pd.DataFrame:
        """Return the shortfalls."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the worst shortfall of each choice of trades as bars, USD."""
        axes = new_axes(ax)
        worst = self.worst
        axes.barh([str(name) for name in worst.index], worst.to_numpy(dtype=np.float64))
        axes.invert_yaxis()
        axes.set(xlabel="worst expected shortfall over the sets, USD", title="Trades under other scenarios")
        return axes


def stressed_optima(problem: Problem, cubes: Mapping[str, PnLCube]) -> StressedOptima:
    """Return the shortfall of trades decided on each scenario set under all of them, USD.

    Use it to see whether an optimum lives on its correlations: hand over the cube of the estimate and cubes
    of stressed ones, for example from :func:`pmkit.estimation.stress_correlation`.

    Parameters
    ----------
    problem : Problem
        With a :class:`Shortfall` as its objective, whose level counts; its cube is replaced by each of these.
    cubes : mapping of str to PnLCube
        Two sets or more, by name.

    Returns
    -------
    StressedOptima

    Raises
    ------
    ParameterError
        Another objective, fewer than two sets, or a problem without solution.
    DataGapError
        A cube lacks an instrument.

    Notes
    -----
    The last row minimises the largest shortfall over the sets (:class:`Worst`), which is convex as each is.
    """
    objective = problem.objective
    if not isinstance(objective, Shortfall) or len(cubes) < 2 or "least worst" in cubes or "before" in cubes:
        raise ParameterError(
            f"objective {objective.label} with the sets {list(cubes)}",
            "a Shortfall, and two sets or more under names of their own",
            "give the cube of the estimate and those of stressed scenarios",
        )
    terms = {name: Shortfall(cube, objective.level) for name, cube in cubes.items()}
    choices = {**terms, "least worst": Worst(tuple(terms.values()))}
    names = [i.name for i in problem.instruments]
    still = problem.outcome(np.zeros(len(names)))
    rows = {"before": {name: term.value(still) for name, term in terms.items()}}
    trades = {}
    with quietly():
        for name, term in choices.items():
            found = replace(problem, objective=term).solve()
            if not found.solved:
                raise ParameterError(f"the problem is {found.words}", "one with a solution", "mend it first")
            trades[name] = np.array([found.trades["trade"].get(n, 0.0) for n in names])
            outcome = problem.outcome(trades[name])
            rows[name] = {other: t.value(outcome) for other, t in terms.items()}
    made = StressedOptima(
        table=pd.DataFrame.from_dict(rows, orient="index"),
        trades=pd.DataFrame(trades, index=pd.Index(names, name="instrument")),
    )
    made.check()
    return made
