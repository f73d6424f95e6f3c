"""Transition counts of a hit series: their likelihood ratio, random draws, and the p-value by simulation.

No path needs to be simulated: given n and x, the transition counts of exchangeable hits follow from the
number of runs of hits, which is hypergeometric, and from whether the series starts and ends with a hit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import xlogy

from pmkit.core.types import FloatArray, IntArray

__all__ = ["draw_transitions", "monte_carlo", "transition_statistic"]

_TIE = 1e-9  # statistics of equal counts may differ by rounding


def transition_statistic(n00: Any, n01: Any, n10: Any, n11: Any) -> FloatArray:
    """Return the likelihood ratio of a Markov chain against independence, elementwise, 0 or more."""
    cells = [
        [np.asarray(n00, dtype=np.float64), np.asarray(n01, dtype=np.float64)],
        [np.asarray(n10, dtype=np.float64), np.asarray(n11, dtype=np.float64)],
    ]
    rows = [cells[0][0] + cells[0][1], cells[1][0] + cells[1][1]]
    columns = [cells[0][0] + cells[1][0], cells[0][1] + cells[1][1]]
    total = rows[0] + rows[1]
    statistic = np.zeros_like(total)
    for i in range(2):
        for j in range(2):
            independent = np.maximum(rows[i] * columns[j], 1.0)  # an empty margin has empty cells: 0 ln 0 = 0
            statistic = statistic + 2.0 * xlogy(cells[i][j], cells[i][j] * total / independent)
    return np.maximum(statistic, 0.0)


def draw_transitions(
    rng: np.random.Generator, n: int, x: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return n00, n01, n10, n11 of one random arrangement of ``x[i]`` hits among ``n`` days, for each i.

    Notes
    -----
    The n - x days without a hit leave m = n - x + 1 gaps. r of them hold hits, r being hypergeometric with m
    good and x - 1 bad among x draws; which r is uniform, so the first gap is among them with probability r/m,
    and the last one given the first likewise among m - 1. Then n11 = x - r, n01 = r - [starts], n10 = r -
    [ends].
    """
    gaps = n - x + 1
    runs = rng.hypergeometric(gaps, np.maximum(x - 1, 0), x)
    starts = (rng.random(x.size) * gaps < runs).astype(np.int64)
    ends = (rng.random(x.size) * (gaps - 1) < runs - starts).astype(np.int64)
    ends = np.where(gaps == 1, starts, ends)
    n11, n01, n10 = x - runs, runs - starts, runs - ends
    return n - 1 - n11 - n01 - n10, n01, n10, n11


def monte_carlo(
    rng: np.random.Generator, simulated: FloatArray, observed: float
) -> tuple[float, float, float]:
    """Return the p-value with ties as extreme, its standard error, and the one with ties broken at random."""
    draws = simulated.size
    margin = _TIE * max(1.0, observed)
    above = int((simulated > observed + margin).sum())
    tied = np.abs(simulated - observed) <= margin
    ranks = rng.random(draws + 1)
    wins = int((tied & (ranks[1:] >= ranks[0])).sum())
    p_value = (1 + above + int(tied.sum())) / (draws + 1)
    return p_value, math.sqrt(p_value * (1.0 - p_value) / (draws + 1)), (1 + above + wins) / (draws + 1)
