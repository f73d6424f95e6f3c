"""The variance recursion of GARCH, GJR and EWMA as compiled loops: filter one series, simulate many paths."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel

__all__ = ["START_DECAY", "START_ROWS", "filter_variance", "simulate_paths", "start_variance"]

#: observations and decay of the exponentially weighted start of the recursion
START_ROWS, START_DECAY = 75, 0.94


def start_variance(deviations: FloatArray) -> float:
    """Return where recursions start: the weighted mean square of the first 75 deviations (decay 0.94).

    This is the default of the ``arch`` package; other programs take the plain mean square, and the fourth
    digit of the estimates depends on it.

    Examples
    --------
    >>> start_variance(np.full(100, 0.02)).__round__(10)
    0.0004
    """
    first = deviations[:START_ROWS]
    weights = START_DECAY ** np.arange(first.size)
    return float(np.sum(first**2 * (weights / weights.sum())))


@kernel
def filter_variance(
    deviations: FloatArray,
    omega: float,
    alpha: float,
    gamma: float,
    beta: float,
    start: float,
    out: FloatArray,
) -> None:
    """Fill ``out``, one longer than ``deviations``, with variances; ``out[t]`` knows days before t."""
    out[0] = omega + (alpha + 0.5 * gamma + beta) * start
    for t in range(deviations.size):
        shock = deviations[t] * deviations[t]
        slope = alpha + gamma if deviations[t] < 0.0 else alpha
        out[t + 1] = omega + slope * shock + beta * out[t]


@kernel
def simulate_paths(
    draws: FloatArray,
    omega: float,
    alpha: float,
    gamma: float,
    beta: float,
    start: float,
    moves: FloatArray,
    sigma: FloatArray,
) -> None:
    """Fill ``moves`` and ``sigma`` (paths, days) from standardised draws and the first day's variance."""
    for path in range(draws.shape[0]):
        variance = start
        for day in range(draws.shape[1]):
            level = np.sqrt(variance)
            move = level * draws[path, day]
            sigma[path, day] = level
            moves[path, day] = move
            slope = alpha + gamma if move < 0.0 else alpha
            variance = omega + slope * move * move + beta * variance
