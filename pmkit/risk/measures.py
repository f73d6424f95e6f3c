"""VaR and ES of a P&L vector, with the estimator named, the simulation error and the tail scenarios."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.risk.tail import SAME, Tail, mean_error, tail_of
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RiskFigure", "expected_shortfall", "value_at_risk"]

VAR_ESTIMATOR = "empirical, left-continuous inverse"
ES_ESTIMATOR = "Acerbi–Tasche tail mean with fractional weight"


_SOURCES: dict[str, tuple[str, ...]] = {"VaR": (), "ES": ("acerbi2002",)}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RiskFigure(Result):
    """VaR or ES as a positive loss, with its estimator, errors and tail.

    Attributes
    ----------
    value : float
        Loss in the unit of the P&L; negative where even the tail gains.
    measure : {"VaR", "ES"}
    estimator : str
    level : float
        0.99 and alike.
    n : int
        Scenarios.
    threshold : float
        The VaR at the same level: where the tail begins.
    tail_weight : float
        Weight of the scenarios whose loss is strictly above the threshold.
    se_simulation : float
        Standard error from the finite number of scenarios, the history taken as given.
    se_estimation : float
        Standard error from the finite history, by block bootstrap with refit; NaN until computed.
    influential_date : str
        Date whose removal changes the value most; empty until computed.
    value_without_date : float
        The value without it; NaN until computed.
    tail_scenarios : pandas.DataFrame
        Worst first: scenario number, label where known, pnl, and share of the tail mean's weight.
    """

    value: float
    measure: str
    estimator: str
    level: float
    n: int
    threshold: float
    tail_weight: float
    se_simulation: float
    tail_scenarios: pd.DataFrame
    se_estimation: float = math.nan
    influential_date: str = ""
    value_without_date: float = math.nan
    references: tuple[str, ...] = ("acerbi2002",)

    def __float__(self) -> float:
        return self.value

    def with_errors(
        self,
        *,
        se_estimation: float | None = None,
        influential_date: str | None = None,
        value_without_date: float | None = None,
    ) -> RiskFigure:
        """Return the figure with the errors that need more than the P&L vector filled in."""
        return replace(
            self,
            se_estimation=self.se_estimation if se_estimation is None else float(se_estimation),
            influential_date=self.influential_date if influential_date is None else influential_date,
            value_without_date=(
                self.value_without_date if value_without_date is None else float(value_without_date)
            ),
        )

    def check(self) -> None:
        """Raise where ES lies below VaR or the weights of the tail do not add up to 1."""
        if self.measure == "ES" and self.value < self.threshold:
            raise PmkitError(
                f"ES {self.value} below VaR {self.threshold}", "ES at least VaR", "report this as a bug"
            )
        total = float(self.tail_scenarios["share"].sum())
        if abs(total - 1.0) > 1e-9:
            raise PmkitError(f"tail shares sum to {total}", "1", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the losses of the tail scenarios, worst first, and the figure as a line."""
        axes = new_axes(ax)
        losses = -self.tail_scenarios["pnl"].to_numpy()
        axes.plot(np.arange(1, losses.size + 1), losses, marker=".", linestyle="none", label="tail scenarios")
        label = f"{self.measure} {self.level:.4g}"
        axes.axhline(self.value, color="black", linestyle="--", label=label)
        axes.set(xlabel="scenario, worst first", ylabel="loss", title=f"{label}: {self.estimator}")
        axes.legend()
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row a property."""
        rows: dict[str, Any] = {
            f"{self.measure} {self.level:.4g}": self.value,
            "estimator": self.estimator,
            "scenarios": self.n,
            "threshold (VaR)": self.threshold,
            "simulation error": self.se_simulation,
            "estimation error": self.se_estimation,
            "most influential date": self.influential_date or "not computed",
            "value without it": self.value_without_date,
        }
        return pd.DataFrame({"value": rows})

    def to_dict(self) -> dict[str, Any]:
        """Return the properties as JSON-ready objects, tail scenarios left out."""
        names = (
            "value",
            "measure",
            "estimator",
            "level",
            "n",
            "threshold",
            "tail_weight",
            "se_simulation",
            "se_estimation",
            "influential_date",
            "value_without_date",
        )
        record = {name: getattr(self, name) for name in names}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}


def value_at_risk(
    pnl: npt.ArrayLike,
    level: float = 0.99,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    strata: npt.ArrayLike | None = None,
) -> RiskFigure:
    """Return the value at risk: the smallest loss that is exceeded with probability at most ``1 - level``.

    Parameters
    ----------
    pnl : array_like, shape (n,)
        Profit by scenario, gain positive, finite.
    level : float
        Between 0 and 1, for example 0.99 (never 0.01).
    weights : array_like, shape (n,), optional
        Probabilities of the scenarios, 0 or more; those of ``scenarios`` where None, equal without either.
        They are normalised.
    scenarios : ScenarioSet, optional
        Names the tail scenarios in the result, and weighs them.
    strata : array_like of int, shape (n,), optional
        Group of each scenario where the design fixes how many fall in each (the window, in historical
        simulation with replications): only the spread inside groups is then simulation error.

    Returns
    -------
    RiskFigure

    Raises
    ------
    ParameterError
        P&L not finite or empty, level outside (0, 1), weights negative or of another length.

    Notes
    -----
    ``VaR = inf{x : P(loss <= x) >= level}``, a scenario's own loss, never interpolated. Its simulation error
    is half the distance between the order statistics one binomial standard deviation either side.

    Examples
    --------
    >>> losses = np.arange(1.0, 101.0)
    >>> value_at_risk(-losses, 0.99).value
    99.0
    """
    return _figure(tail_of(pnl, level, _probabilities(weights, scenarios)), "VaR", scenarios, strata)


def expected_shortfall(
    pnl: npt.ArrayLike,
    level: float = 0.975,
    weights: npt.ArrayLike | None = None,
    *,
    scenarios: ScenarioSet | None = None,
    strata: npt.ArrayLike | None = None,
) -> RiskFigure:
    """Return the expected shortfall: the mean loss of the worst ``1 - level`` of the probability.

    Parameters
    ----------
    pnl, level, weights, scenarios, strata
        As for :func:`value_at_risk`.

    Returns
    -------
    RiskFigure

    Raises
    ------
    ParameterError
        As :func:`value_at_risk`.

    Notes
    -----
    ``ES = VaR + E[max(loss - VaR, 0)] / (1 - level)``: the scenario at the threshold counts with the part of
    its weight that is needed, so ES is coherent for discrete distributions and never below VaR. The
    simulation error is that of the mean of ``max(loss - VaR, 0)``, divided by ``1 - level``; the error of VaR
    does not enter at first order.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.6 and proposition 4.1.

    Examples
    --------
    >>> losses = np.arange(1.0, 101.0)
    >>> expected_shortfall(-losses, 0.975).value
    99.2
    """
    return _figure(tail_of(pnl, level, _probabilities(weights, scenarios)), "ES", scenarios, strata)


def _probabilities(weights: npt.ArrayLike | None, scenarios: ScenarioSet | None) -> npt.ArrayLike | None:
    """Return the weights to use: those given, else those of a set that has unequal ones."""
    if weights is None and scenarios is not None and float(np.ptp(scenarios.weights)) > 0.0:
        return scenarios.weights
    return weights


def _figure(
    tail: Tail, measure: str, scenarios: ScenarioSet | None, strata: npt.ArrayLike | None
) -> RiskFigure:
    """Return the figure with its simulation error and tail scenarios."""
    if scenarios is not None and len(scenarios) != tail.loss.size:
        raise ParameterError(
            f"{tail.loss.size} profits for {len(scenarios)} scenarios",
            "one profit a scenario",
            "pass their own set",
        )
    groups = None if strata is None else np.asarray(strata)
    if groups is not None and groups.shape != tail.loss.shape:
        raise ParameterError(
            f"strata have shape {groups.shape}",
            f"one group a scenario, {tail.loss.shape}",
            "correct the array",
        )
    groups = None if groups is None else groups[tail.order]
    if measure == "ES":
        excess = np.maximum(tail.loss - tail.threshold, 0.0)
        error = mean_error(excess, tail.weight, groups) / (1.0 - tail.level)
    else:
        error = _var_error(tail, groups)
    beyond = tail.loss > tail.threshold
    return RiskFigure(
        value=tail.es() if measure == "ES" else tail.threshold,
        measure=measure,
        estimator=ES_ESTIMATOR if measure == "ES" else VAR_ESTIMATOR,
        level=tail.level,
        n=tail.loss.size,
        threshold=tail.threshold,
        tail_weight=float(np.add.reduce(tail.weight[beyond])),
        se_simulation=error,
        tail_scenarios=_frame(tail, scenarios),
        references=_SOURCES[measure],
    )


def _var_error(tail: Tail, groups: npt.NDArray[Any] | None) -> float:
    """Return half the distance of the order statistics one sd of the tail weight either side."""
    indicator = (np.arange(tail.loss.size) <= tail.at).astype(np.float64)
    spread = mean_error(indicator, tail.weight, groups)
    above = np.cumsum(tail.weight)
    p = 1.0 - tail.level
    last = tail.loss.size - 1
    low = min(int(np.searchsorted(above, p + spread)), last)
    high = min(int(np.searchsorted(above, max(p - spread, 0.0))), last)
    return 0.5 * float(tail.loss[high] - tail.loss[low])


def _frame(tail: Tail, scenarios: ScenarioSet | None) -> pd.DataFrame:
    """Return the scenarios that make up the tail mean, worst first, with their share of it."""
    p = 1.0 - tail.level
    count = tail.at + 1
    used = tail.weight[:count].copy()
    used[-1] = max(p - float(np.add.reduce(used[:-1])), 0.0)
    if count > 1 and used[-1] <= SAME:
        # the worst p ends exactly before the threshold, which then has no part in the mean
        used, count = used[:-1], count - 1
    numbers = tail.order[:count]
    frame = pd.DataFrame({"scenario": numbers, "pnl": -tail.loss[:count], "share": used / used.sum()})
    if scenarios is not None:
        frame.insert(1, "label", [scenarios.label(int(i)) for i in numbers])
    return frame
