"""What every estimator is given and gives back, and the error of any of them by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.risk.tail import Tail
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = [
    "Estimate",
    "bootstrap_error",
    "check_scenarios",
    "effective_size",
    "probabilities",
    "replicates",
]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """VaR and ES by one estimator with their asymptotic errors, in the unit of the losses."""

    name: str
    var: float
    es: float
    var_error: float
    es_error: float
    references: tuple[str, ...]
    status: str = "ok"
    settings: dict[str, float | str] = field(default_factory=dict)


def effective_size(weights: FloatArray) -> float:
    """Return the number of equally weighted draws with the same spread of a mean, ``1 / sum(w^2)``.

    Examples
    --------
    >>> effective_size(np.full(8, 0.125))
    8.0
    """
    return 1.0 / float(np.add.reduce(weights * weights))


def probabilities(weights: npt.ArrayLike | None, scenarios: ScenarioSet | None) -> npt.ArrayLike | None:
    """Return the weights to use: those given, else those of a set that has unequal ones."""
    if weights is None and scenarios is not None and float(np.ptp(scenarios.weights)) > 0.0:
        return scenarios.weights
    return weights


def check_scenarios(tail: Tail, scenarios: ScenarioSet | None) -> None:
    """Raise where there is not one profit a scenario."""
    if scenarios is not None and len(scenarios) != tail.loss.size:
        raise ParameterError(
            f"{tail.loss.size} profits for {len(scenarios)} scenarios",
            "one profit a scenario",
            "pass their own set",
        )


def replicates(n_boot: Any) -> int:
    """Return a number of bootstrap samples after checking it: 0 for none, otherwise 2 or more."""
    if isinstance(n_boot, bool) or not isinstance(n_boot, (int, np.integer)) or n_boot < 0 or n_boot == 1:
        raise ParameterError(f"n_boot is {n_boot!r}", "0, or a whole number of 2 or more", "correct it")
    return int(n_boot)


def bootstrap_error(
    tail: Tail, figure: Callable[[FloatArray, FloatArray], float], n_boot: Any, seed: int
) -> float:
    """Return the standard error of a figure over samples of the scenarios drawn with replacement.

    Parameters
    ----------
    tail : Tail
        The sample; weights travel with their scenarios.
    figure : callable
        From P&L and weights to a number.
    n_boot : int
        Replicates: 0 gives NaN, otherwise 2 or more.
    seed : int

    Raises
    ------
    ParameterError
        ``n_boot`` is 1, negative or no whole number.
    """
    count = replicates(n_boot)
    if count == 0:
        return math.nan
    size = tail.loss.size
    values = np.empty(count)
    for replicate in range(count):
        drawn = np.sort(stream(seed, "measure", replicate).integers(0, size, size))
        weight = tail.weight[drawn]
        values[replicate] = figure(-tail.loss[drawn], weight)
    return float(values.std(ddof=1))
