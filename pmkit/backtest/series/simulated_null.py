"""Monte Carlo p-values for tests on the days of hits: random arrangements, drawn in blocks.

Under every null here the hits are independent and equally probable. Given their number x, every arrangement
of x hits on n days is then equally likely, whatever the probability: a test whose null leaves the probability
open draws arrangements of the observed x, a test that states p draws x first. Draws that the test could not
have evaluated are excluded, as the observed series is evaluable: the p-value is exact given that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from pmkit.backtest.series.checks import check_count
from pmkit.backtest.series.transitions import monte_carlo
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray

__all__ = [
    "NO_SIMULATION",
    "SimulatedP",
    "blocks",
    "check_draws",
    "draw_counts",
    "draw_days",
    "exact_p",
    "ranked",
    "simulated_p",
    "statistics_in_blocks",
]

_BLOCK = 2_000_000  # numbers drawn at once
_RARE = 1e-3  # expected hits below which counts are drawn from a table
_INFINITE = 1e300  # stands for an infinite statistic, so that two of them tie

Statistic = Callable[[IntArray, IntArray], FloatArray]
"""Statistic of each row: days of hits (rows, widest), from 1, ascending, 0 beyond x; and x (rows,)."""


class SimulatedP(NamedTuple):
    """Monte Carlo p-value with ties as extreme, its standard error, the one with ties broken, its origin."""

    value: float
    error: float
    broken: float
    kind: str


NO_SIMULATION = SimulatedP(math.nan, math.nan, math.nan, "")


def exact_p(value: float, kind: str) -> SimulatedP:
    """Return a p-value that needs no simulation, in the shape of one that does: its error is 0."""
    return SimulatedP(value, 0.0, math.nan, kind)


def ranked(rng: np.random.Generator, simulated: FloatArray, observed: float, kind: str) -> SimulatedP:
    """Return the Monte Carlo p-value of a statistic that is large where the null is doubtful."""
    return SimulatedP(*monte_carlo(rng, simulated, observed), kind)


def blocks(draws: int, numbers: int, width: int) -> Iterator[slice]:
    """Yield slices of the draws, each with as many as need ``numbers`` numbers, but one at least."""
    block = max(1, numbers // width)
    for start in range(0, draws, block):
        yield slice(start, min(start + block, draws))


def statistics_in_blocks(
    draws: int, numbers: int, width: int, statistic: Callable[[int], FloatArray]
) -> FloatArray:
    """Return ``draws`` statistics; ``statistic`` is told how many draws to make, and returns theirs."""
    return np.concatenate([statistic(rows.stop - rows.start) for rows in blocks(draws, numbers, width)])


def check_draws(draws: Any, seed: Any) -> tuple[int, int]:
    """Return the number of draws, 99 or more, and the root seed.

    Raises
    ------
    ParameterError
        Not whole numbers, or fewer than 99 draws.
    """
    count, root = check_count(draws, "draws"), check_count(seed, "seed", largest=2**64 - 1)
    if count < 99:
        raise ParameterError(f"draws is {count}", "99 or more", "leave the default")
    return count, root


def draw_counts(
    rng: np.random.Generator, n: int, p: float, draws: int, lowest: int, highest: int
) -> IntArray:
    """Return binomial numbers of hits, given that they lie between ``lowest`` and ``highest``.

    Notes
    -----
    By inversion of the upper tail, so that no draw is refused however rare ``lowest`` hits are.
    """
    tail, rest = float(binom.sf(lowest - 1, n, p)), float(binom.sf(highest, n, p))
    levels = rest + (1.0 - rng.random(draws)) * (tail - rest)
    if n * p < _RARE:
        # The inverse that scipy has does not converge here; a table of the tail does not need to.
        table = binom.sf(np.arange(lowest, highest + 1), n, p)
        return lowest + np.searchsorted(-table, -levels).clip(max=highest - lowest)
    drawn = np.asarray(binom.isf(levels, n, p), dtype=np.float64)
    return np.clip(drawn, lowest, highest).astype(np.int64)


def draw_days(rng: np.random.Generator, n: int, x: IntArray) -> IntArray:
    """Return random days of ``x[i]`` hits among days 1 to ``n``, ascending in row i, 0 beyond ``x[i]``.

    Notes
    -----
    Days are drawn with repetition, and a day counts where it comes first: the first x distinct days are a
    uniform choice of x days. Where more than a third of the days may be hits, all days are shuffled instead.
    """
    widest = int(x.max())
    rank = np.arange(widest)
    if 3 * widest > n:
        chosen = np.argsort(rng.random((x.size, n)), axis=1)[:, :widest].astype(np.int64)
    else:
        chosen = _distinct(rng, n, x.size, widest)
    # Days beyond x sort to the end as n, and are marked by 0 after that.
    days = np.sort(np.where(rank < x[:, None], chosen, n), axis=1) + 1
    return np.where(rank < x[:, None], days, 0).astype(np.int64)


def _distinct(rng: np.random.Generator, n: int, rows: int, wanted: int) -> IntArray:
    """Return the first ``wanted`` distinct numbers of each row of uniform draws from 0 to n - 1."""
    drawn = rng.integers(0, n, size=(rows, wanted + wanted * wanted // (2 * n) + 8))
    while True:
        order = np.argsort(drawn, axis=1, kind="stable")
        ordered = np.take_along_axis(drawn, order, axis=1)
        repeated = np.zeros(drawn.shape, dtype=np.bool_)
        np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        if int(repeated.sum(axis=1).max()) <= drawn.shape[1] - wanted:
            break
        drawn = np.concatenate([drawn, rng.integers(0, n, size=(rows, wanted // 4 + 8))], axis=1)
    first = np.argsort(repeated, axis=1, kind="stable")[:, :wanted]
    return np.take_along_axis(drawn, first, axis=1).astype(np.int64)


def simulated_p(
    rng: np.random.Generator, n: int, x: IntArray, statistic: Statistic, observed: float, given: str
) -> SimulatedP:
    """Return the Monte Carlo p-value of ``observed`` among the statistics of random arrangements.

    Parameters
    ----------
    rng : Generator
        Of the stream of this test.
    n : int
        Days.
    x : array of int, shape (draws,)
        Hits of each draw.
    statistic : callable
        Rows of days and their x to one number a row, large where the null is doubtful.
    observed : float
        The same statistic of the data; may be infinite.
    given : str
        What the draws are conditional on, for the name of the p-value.
    """
    simulated = np.empty(x.size)
    for rows in blocks(x.size, _BLOCK, max(2 * int(x.max()), 1 if 3 * int(x.max()) <= n else n)):
        simulated[rows] = statistic(draw_days(rng, n, x[rows]), x[rows])
    finite = np.where(np.isposinf(simulated), _INFINITE, simulated)
    kind = f"Monte Carlo given {given}, {x.size} draws, ties count"
    return ranked(rng, finite, min(observed, _INFINITE), kind)
