"""The tail of a P&L vector, sorted and weighted, and how much history stands behind it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError, ThinTailError, ThinTailWarning
from pmkit.core.types import FloatArray, IntArray
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["Tail", "mean_error", "tail_check", "tail_of"]

#: probabilities closer than this are the same, so that 0.99 of 100 scenarios means 99 of them
SAME = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Tail:
    """Losses sorted worst first with normalised weights, and where the threshold lies."""

    loss: FloatArray
    weight: FloatArray
    order: IntArray
    level: float
    at: int

    @property
    def threshold(self) -> float:
        """VaR at the level."""
        return float(self.loss[self.at])

    def es(self) -> float:
        """Tail mean with the threshold's fractional weight."""
        excess = np.maximum(self.loss[: self.at + 1] - self.threshold, 0.0)
        return self.threshold + float(np.add.reduce(self.weight[: self.at + 1] * excess)) / (1.0 - self.level)


def tail_of(pnl: npt.ArrayLike, level: float, weights: npt.ArrayLike | None = None) -> Tail:
    """Return the checked, sorted tail of a P&L vector; ties keep the order of the scenarios."""
    try:
        profit = np.asarray(pnl, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError("pnl is not numeric", "one number a scenario", "convert it to float") from None
    if profit.ndim != 1 or profit.size == 0:
        raise ParameterError(
            f"pnl has shape {profit.shape}", "one profit a scenario, shape (n,)", "ravel it first"
        )
    bad = np.flatnonzero(~np.isfinite(profit))
    if bad.size:
        raise ParameterError(
            f"pnl of scenario {bad[0]} is {profit[bad[0]]} ({bad.size} such)",
            "finite numbers",
            "find the instrument without a value",
        )
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0.0 < level < 1.0:
        raise ParameterError(
            f"level is {level!r}", "a probability between 0 and 1", "write 0.99 for 99 per cent"
        )
    if level < 0.5:
        raise ParameterError(
            f"level is {level:g}",
            "the confidence level, 0.5 or more",
            f"write {1.0 - level:g} for the {level:g} tail",
        )
    if weights is None:
        weight = np.full(profit.size, 1.0 / profit.size)
    else:
        try:
            weight = np.asarray(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError(
                "weights are not numeric", "one weight a scenario", "convert them to float"
            ) from None
        if (
            weight.shape != profit.shape
            or not (weight >= 0.0).all()
            or not 0.0 < float(weight.sum()) < math.inf
        ):
            raise ParameterError(
                f"weights have shape {weight.shape} and sum {float(weight.sum()):g}",
                "one weight a scenario, 0 or more, with a positive sum",
                "correct the weights",
            )
        weight = weight / float(weight.sum())
    order = np.argsort(profit, kind="stable")
    weight = weight[order]
    above = np.cumsum(weight)
    # the first loss, worst first, with more than 1 - level at or above it: fewer than that lie strictly above
    at = int(np.searchsorted(above, 1.0 - level + SAME, side="right"))
    return Tail(
        loss=-profit[order], weight=weight, order=order, level=float(level), at=min(at, profit.size - 1)
    )


def mean_error(values: FloatArray, weights: FloatArray, groups: npt.NDArray[Any] | None) -> float:
    """Return the standard error of a weighted mean of independent draws, from inside groups where given."""
    if groups is None:
        mean = float(np.add.reduce(weights * values))
        return math.sqrt(float(np.add.reduce((weights * (values - mean)) ** 2)))
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weight_sums = np.bincount(inverse, weights)
    means = np.bincount(inverse, weights * values) / np.where(weight_sums > 0.0, weight_sums, 1.0)
    correction = np.where(counts > 1, counts / np.maximum(counts - 1, 1), 1.0)[inverse]
    deviations = (weights * (values - means[inverse])) ** 2 * correction
    return math.sqrt(float(np.add.reduce(deviations)))


def tail_check(
    scenarios: ScenarioSet, level: float, min_tail: float = 10.0, error_below: float = 3.0
) -> float:
    """Return how many independent history observations lie beyond the level: ``n_independent * (1 - level)``.

    Simulated paths never count: they are made of the same few days.

    Parameters
    ----------
    scenarios : ScenarioSet
        Its ``n_independent`` is days of history / horizon; infinite for hypothetical sets, which pass.
    level : float
    min_tail : float
        Below it a warning is given.
    error_below : float
        Below it there is no figure.

    Raises
    ------
    ThinTailError
        Fewer than ``error_below``.
    ParameterError
        Level outside (0.5, 1), or negative limits.

    Warns
    -----
    ThinTailWarning
        Fewer than ``min_tail``.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> tail_check(grid([-0.1], dynamics="sticky_strike"), 0.99)
    inf
    """
    if not 0.5 <= level < 1.0 or not 0.0 <= error_below <= min_tail:
        raise ParameterError(
            f"level {level!r}, min_tail {min_tail!r}, error_below {error_below!r}",
            "a level such as 0.99 and 0 <= error_below <= min_tail",
            "correct the arguments",
        )
    n, p = scenarios.n_independent, 1.0 - level
    beyond = n * p
    found = (
        f"{beyond:.1f} independent observations beyond the {level:.4g} level "
        f"({n:.0f} non-overlapping {scenarios.horizon_days:g}-day periods of history, {p:.4g} of them)"
    )
    remedy = "take a longer history, a lower level or a shorter horizon"
    if beyond < error_below:
        raise ThinTailError(found, f"at least {error_below:g}", remedy)
    if beyond < min_tail:
        warnings.warn(ThinTailWarning(f"{found}; fewer than {min_tail:g}: {remedy}"), stacklevel=2)
    return beyond
