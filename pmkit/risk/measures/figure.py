"""The shape in which every risk measure is reported: value, estimator, errors and the scenarios behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.risk.tail import SAME, Tail
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RiskFigure", "share_frame", "tail_frame"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RiskFigure(Result):
    """A risk measure as a positive loss, with its estimator, errors and tail.

    Attributes
    ----------
    value : float
        Loss in the unit of the P&L; negative where even the tail gains.
    measure : {"VaR", "ES", "expectile", "spectral"}
    estimator : str
    level : float
        0.99 and alike; NaN for a spectral measure, whose ``settings`` name its spectrum.
    n : int
        Scenarios.
    threshold : float
        The VaR at the same level by the same estimator: where the tail begins; NaN where there is no level.
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
        Worst first: scenario number, label where known, pnl, and share of the weight behind the value. For
        the empirical ES, the expectile and spectral measures ``value = -sum(share * pnl)``; for other
        estimators the scenarios are those of the empirical tail.
    se_bootstrap : float
        Standard error over resampled scenarios; NaN where it was not asked for.
    status : str
        ``ok``; ``outside_domain`` where the quantile function of an expansion is not increasing;
        ``at_bound`` or ``not_converged`` of a fit; ``no_mean`` where a fitted tail has none.
    additive : bool
        Whether the value is ``-sum(share * pnl)`` over the tail scenarios, which :meth:`check` recomputes.
    settings : mapping
        Numbers that the estimator chose or was given: bandwidth, kernel, moments, shape of the tail.
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
    se_bootstrap: float = math.nan
    status: str = "ok"
    additive: bool = False
    settings: Mapping[str, float | str] = field(default_factory=dict)
    references: tuple[str, ...] = ("acerbi2002",)

    def __float__(self) -> float:
        return self.value

    @property
    def label(self) -> str:
        """Measure and level, for example ``ES 0.975``."""
        return self.measure if math.isnan(self.level) else f"{self.measure} {self.level:.4g}"

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
        """Raise where ES lies below VaR, or the tail's shares add up neither to 1 nor to the value."""
        if self.measure == "ES" and self.status == "ok" and self.value < self.threshold:
            raise PmkitError(
                f"ES {self.value} below VaR {self.threshold}", "ES at least VaR", "report this as a bug"
            )
        total = float(self.tail_scenarios["share"].sum())
        if abs(total - 1.0) > 1e-9:
            raise PmkitError(f"tail shares sum to {total}", "1", "report this as a bug")
        if self.additive:
            pnl = self.tail_scenarios["pnl"].to_numpy()
            rebuilt = -float(np.add.reduce(self.tail_scenarios["share"].to_numpy() * pnl))
            if abs(rebuilt - self.value) > 1e-9 * max(float(np.abs(pnl).max()), 1e-300):
                raise PmkitError(
                    f"tail scenarios give {rebuilt}, not {self.value}", "the value", "report this as a bug"
                )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the losses of the tail scenarios, worst first, and the figure as a line."""
        axes = new_axes(ax)
        losses = -self.tail_scenarios["pnl"].to_numpy()
        axes.plot(np.arange(1, losses.size + 1), losses, marker=".", linestyle="none", label="tail scenarios")
        axes.axhline(self.value, color="black", linestyle="--", label=self.label)
        axes.set(xlabel="scenario, worst first", ylabel="loss", title=f"{self.label}: {self.estimator}")
        axes.legend()
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row a property."""
        rows: dict[str, Any] = {
            self.label: self.value,
            "estimator": self.estimator,
            "scenarios": self.n,
            "threshold (VaR)": self.threshold,
            "simulation error": self.se_simulation,
            "estimation error": self.se_estimation,
            "most influential date": self.influential_date or "not computed",
            "value without it": self.value_without_date,
        }
        if math.isfinite(self.se_bootstrap):
            rows["bootstrap error"] = self.se_bootstrap
        rows |= self.settings
        if self.status != "ok":
            rows["status"] = self.status
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
            "se_bootstrap",
            "status",
        )
        record = {name: getattr(self, name) for name in names} | {"settings": dict(self.settings)}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}


def tail_frame(tail: Tail, scenarios: ScenarioSet | None) -> pd.DataFrame:
    """Return the scenarios that make up the tail mean, worst first, with their share of it."""
    p = 1.0 - tail.level
    count = tail.at + 1
    used = tail.weight[:count].copy()
    used[-1] = max(p - float(np.add.reduce(used[:-1])), 0.0)
    if count > 1 and used[-1] <= SAME:
        # the worst p ends exactly before the threshold, which then has no part in the mean
        used, count = used[:-1], count - 1
    return share_frame(-tail.loss[:count], used / used.sum(), tail.order[:count], scenarios)


def share_frame(
    pnl: FloatArray, share: FloatArray, order: IntArray, scenarios: ScenarioSet | None
) -> pd.DataFrame:
    """Return scenario numbers, labels where known, P&L and shares, in the order given."""
    frame = pd.DataFrame({"scenario": order, "pnl": pnl, "share": share})
    if scenarios is not None:
        frame.insert(1, "label", [scenarios.label(int(i)) for i in order])
    return frame
