"""How far an approximation lies from full revaluation: the worst scenario, the tail, and every scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.risk.measures import expected_shortfall
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RevaluationGap", "revaluation_gap"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RevaluationGap(Result):
    """Profits of one account by full revaluation and by an approximation, and what lies between them.

    Attributes
    ----------
    method : str
        Name of the approximation.
    full, approximate : ndarray, shape (scenarios,)
        Profit in ``unit``, gain positive.
    scenarios : ScenarioSet
    level : float
        Of the expected shortfalls.
    unit : str
        Currency of the profits.
    es_full, es_approximate : float
        Expected shortfall by each, positive losses.
    """

    method: str
    full: FloatArray
    approximate: FloatArray
    scenarios: ScenarioSet
    level: float
    unit: str
    es_full: float
    es_approximate: float
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.revaluation_gap"))
    references: tuple[str, ...] = ("acerbi2002",)

    @property
    def error(self) -> FloatArray:
        """Approximate less full profit in every scenario: positive where the approximation flatters."""
        gap: FloatArray = self.approximate - self.full
        return gap

    @property
    def worst_scenario(self) -> int:
        """Number of the scenario with the greatest error in size."""
        return int(np.argmax(np.abs(self.error)))

    @property
    def max_error(self) -> float:
        """Error in that scenario, with its sign."""
        return float(self.error[self.worst_scenario])

    @property
    def rms_error(self) -> float:
        """Root of the mean squared error over the scenarios' weights."""
        return float(np.sqrt(np.add.reduce(self.scenarios.weights * self.error**2)))

    @property
    def es_error(self) -> float:
        """Approximate less full expected shortfall: negative where the approximation asks for too little."""
        return self.es_approximate - self.es_full

    def check(self) -> None:
        """Raise where the expected shortfalls are not those of the profits."""
        for pnl, es in ((self.full, self.es_full), (self.approximate, self.es_approximate)):
            again = _shortfall(pnl, self.level, self.scenarios)
            if again != es:
                raise PmkitError(
                    f"expected shortfall {es:g} is not {again:g}", "agreement", "report this as a bug"
                )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the approximate against the full profit, a point a scenario, worst one ringed."""
        axes = new_axes(ax)
        axes.plot(self.full, self.approximate, ".", markersize=2.5, alpha=0.6)
        ends = [float(self.full.min()), float(self.full.max())]
        axes.plot(ends, ends, color="black", linewidth=0.8, label="no error")
        at = self.worst_scenario
        axes.plot(
            self.full[at],
            self.approximate[at],
            "o",
            markersize=8,
            markerfacecolor="none",
            color="C3",
            label="greatest error",
        )
        axes.set(
            xlabel=f"profit by full revaluation, {self.unit}",
            ylabel=f"profit by {self.method}, {self.unit}",
            title=f"{self.scenarios.name}: {len(self.scenarios):,} scenarios",
        )
        axes.legend()
        return axes

    def summary(self) -> pd.DataFrame:
        """Return expected shortfall and worst loss by both ways, the greatest and the usual error."""
        at = self.worst_scenario
        rows = {
            f"ES {self.level:.4g}": (self.es_full, self.es_approximate),
            "worst loss": (-float(self.full.min()), -float(self.approximate.min())),
            f"profit in scenario {at}": (float(self.full[at]), float(self.approximate[at])),
        }
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["full", "approximate"])
        frame["error"] = frame["approximate"] - frame["full"]
        frame["error_of_es"] = frame["error"] / self.es_full if self.es_full != 0.0 else np.nan
        frame.index.name = f"{self.method}, {self.unit}"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a scenario: its name, weight, both profits and the error."""
        return pd.DataFrame(
            {
                "scenario": [self.scenarios.label(at) for at in range(len(self.scenarios))],
                "weight": self.scenarios.weights,
                "full": self.full,
                "approximate": self.approximate,
                "error": self.error,
            }
        )


def revaluation_gap(
    full: npt.ArrayLike,
    approximate: npt.ArrayLike,
    scenarios: ScenarioSet,
    *,
    level: float = 0.975,
    method: str = "approximation",
    unit: str = "USD",
) -> RevaluationGap:
    """Return how an approximate profit differs from the full one: greatest error, ES, worst scenario.

    Parameters
    ----------
    full, approximate : array_like, shape (scenarios,)
        Profit of one account in one currency, gain positive.
    scenarios : ScenarioSet
        What both were computed under.
    level : float
        Of the expected shortfalls, above 0.5 and below 1.
    method, unit : str
        Names for tables.

    Returns
    -------
    RevaluationGap

    Raises
    ------
    ParameterError
        Profits that are not finite or not one a scenario, or a level outside its range.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> scen = grid([-0.1, 0.0, 0.1], dynamics="sticky_strike", underlyings=["BTC"])
    >>> gap = revaluation_gap([-10.0, 0.0, 9.0], [-9.0, 0.0, 9.0], scen, method="delta")
    >>> gap.max_error, gap.worst_scenario, round(gap.es_error, 6)
    (1.0, 0, -1.0)
    """
    pair = []
    for name, given in (("full", full), ("approximate", approximate)):
        try:
            pnl = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError(
                f"{name} profit is not numeric", "one number a scenario", "convert it to float"
            ) from None
        if pnl.shape != (len(scenarios),) or not np.isfinite(pnl).all():
            raise ParameterError(
                f"{name} profit has shape {pnl.shape} and {int((~np.isfinite(pnl)).sum())} numbers that are "
                f"not finite",
                f"{len(scenarios)} finite numbers, one a scenario",
                "take both profits from revaluations of these scenarios",
            )
        pnl.setflags(write=False)
        pair.append(pnl)
    return RevaluationGap(
        method=method,
        full=pair[0],
        approximate=pair[1],
        scenarios=scenarios,
        level=level,
        unit=unit,
        es_full=_shortfall(pair[0], level, scenarios),
        es_approximate=_shortfall(pair[1], level, scenarios),
        provenance=Provenance(
            method="risk.revaluation_gap",
            data={"scenarios": scenarios.fingerprint, "profits": fingerprint(*pair)},
            parameters={"method": method, "level": level, "unit": unit},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )


def _shortfall(pnl: FloatArray, level: float, scenarios: ScenarioSet) -> float:
    return float(expected_shortfall(pnl, level, scenarios.weights).value)
