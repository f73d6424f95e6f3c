"""When an optimum is a mirage: fresh scenarios, and the same problem on resampled ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.problem import Problem
from pmkit.optimize.terms.base import quietly
from pmkit.optimize.terms.shortfall import Shortfall
from pmkit.risk import PnLCube

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Resampled", "fresh_shortfall", "resampled_optima"]


def fresh_shortfall(problem: Problem, optimum: Optimum, cube: PnLCube, level: float = 0.975) -> pd.DataFrame:
    """Return the expected shortfall before and after the trades of an optimum on other scenarios, USD.

    Parameters
    ----------
    problem : Problem
    optimum : Optimum
        Of that problem.
    cube : PnLCube
        Over scenarios that the problem has not seen; holds everything held or tradable.
    level : float

    Returns
    -------
    DataFrame
        One row ``fresh`` and, where the problem's objective is a shortfall, one row ``seen``: ``before``,
        ``after``, ``freed``. A gain that shrinks from seen to fresh is optimism.

    Raises
    ------
    DataGapError
        The cube lacks an instrument.
    """
    trades = np.array([optimum.trades["trade"].get(i.name, 0.0) for i in problem.instruments])
    points = [problem.outcome(np.zeros(trades.size)), problem.outcome(trades)]
    measures = {"fresh": Shortfall(cube, level)}
    if isinstance(problem.objective, Shortfall):
        measures["seen"] = problem.objective
    rows = {name: [term.value(point) for point in points] for name, term in measures.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["before", "after"])
    return frame.assign(freed=frame["before"] - frame["after"])


@dataclass(frozen=True, kw_only=True, repr=False)
class Resampled(Result):
    """The same problem solved on resampled scenarios.

    Attributes
    ----------
    trades : DataFrame
        One row an instrument that is traded in any sample: trade of the ``optimum``, ``mean``, ``sd`` and
        ``same_side`` (share of the samples that trade it in the direction of the optimum).
    table : DataFrame
        One row a sample: ``promised`` (its own optimum on itself) and ``delivered`` (its trades on the whole
        set), USD.
    value, before : float
        Objective of the optimum on the whole set, and before the trades, USD.
    seed : int
    """

    trades: pd.DataFrame
    table: pd.DataFrame
    value: float
    before: float
    seed: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="optimize.resampled"))
    references: tuple[str, ...] = ("michaud1989",)

    @property
    def optimism(self) -> float:
        """Mean of what is delivered less what was promised, USD: how much an optimum flatters itself."""
        return float((self.table["delivered"] - self.table["promised"]).mean())

    @property
    def regret(self) -> float:
        """Mean of what is delivered less the optimum of the whole set, USD, 0 or more."""
        return float(self.table["delivered"].mean()) - self.value

    def check(self) -> None:
        """Raise where trades of a sample beat the optimum of the whole set on it."""
        best = float(self.table["delivered"].min())
        if best < self.value - 1e-8 * max(abs(self.value), abs(self.before)):
            raise PmkitError(
                f"a sample delivers {best:.12g} below the optimum {self.value:.12g}",
                "no lower",
                "report a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return before, optimum, mean promised and delivered, optimism, regret and samples."""
        rows = {
            "before": self.before,
            "optimum": self.value,
            "promised": float(self.table["promised"].mean()),
            "delivered": float(self.table["delivered"].mean()),
            "optimism": self.optimism,
            "regret": self.regret,
            "samples": float(len(self.table)),
        }
        return pd.DataFrame({"value": rows}).round(6)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a sample."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with what every sample promised against what its trades deliver, USD."""
        axes = new_axes(ax)
        axes.plot(self.table["promised"].to_numpy(), self.table["delivered"].to_numpy(), "o")
        axes.axhline(self.value, color="black", linewidth=0.8)
        axes.set(xlabel="promised by the sample, USD", ylabel="delivered on all scenarios, USD",
                 title="Is the optimum a mirage?")  # fmt: skip
        return axes


def resampled_optima(problem: Problem, *, samples: int = 20, seed: int = 0) -> Resampled:
    """Return what becomes of the optimum when its scenarios are drawn anew with replacement, USD.

    Parameters
    ----------
    problem : Problem
        With a :class:`Shortfall` as its objective; constraints keep their own scenarios.
    samples : int
        2 or more.
    seed : int

    Returns
    -------
    Resampled

    Raises
    ------
    ParameterError
        Another objective, fewer than two samples, or a problem without solution.

    Notes
    -----
    Each sample draws as many scenarios as there are, in proportion to their weights, and is solved anew. The
    mean of "promised" lies below the optimum of the whole set, that of "delivered" above it: the distance is
    the price of estimation error. Scenarios count as independent; for overlapping windows it is a lower
    bound.

    References
    ----------
    Michaud (1989).
    """
    objective = problem.objective
    if not isinstance(objective, Shortfall) or samples < 2:
        raise ParameterError(
            f"objective {objective.label} with {samples} samples",
            "a Shortfall, and two samples or more",
            "resample problems of expected shortfall",
        )
    whole = problem.solve()
    if not whole.solved:
        raise ParameterError(
            f"the problem is {whole.status}", "one with a solution", "mend the problem first"
        )
    names = [i.name for i in problem.instruments]
    found, rows = [], []
    weights = objective.cube.scenarios.weights
    with quietly():
        for sample in range(samples):
            draw = stream(seed, "optimize", "resample", sample)
            counts = draw.multinomial(weights.size, weights) / weights.size
            own = replace(problem, objective=_reweighted(objective, counts)).solve()
            trades = np.array([own.trades["trade"].get(name, 0.0) for name in names])
            delivered = objective.value(problem.outcome(trades))
            rows.append((own.value, delivered))
            found.append(trades)
    return Resampled(
        trades=_table(names, whole, np.array(found)),
        table=pd.DataFrame(rows, columns=["promised", "delivered"]),
        value=whole.value,
        before=whole.before,
        seed=seed,
    )


def _reweighted(term: Shortfall, weights: FloatArray) -> Shortfall:
    """Return the term over the scenarios that were drawn, with their counts as weights."""
    return Shortfall(replace(term.cube, scenarios=term.cube.scenarios.with_weights(weights)), term.level)


def _table(names: list[str], whole: Optimum, found: FloatArray) -> pd.DataFrame:
    best = np.array([whole.trades["trade"].get(name, 0.0) for name in names])
    frame = pd.DataFrame(
        {
            "optimum": best,
            "mean": found.mean(axis=0),
            "sd": found.std(axis=0, ddof=1),
            "same_side": np.mean(np.sign(found) == np.sign(best), axis=0),
        },
        index=pd.Index(names, name="instrument"),
    )
    traded = np.flatnonzero((best != 0.0) | (found != 0.0).any(axis=0))
    return frame.iloc[traded]
