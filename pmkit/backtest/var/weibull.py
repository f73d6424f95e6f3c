"""Do waiting times between hits have a memory: the Weibull duration test of Christoffersen and Pelletier."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days, read_ordered
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, simulated_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.limit_test import limit_test
from pmkit.core.random import stream
from pmkit.core.types import BoolArray, FloatArray, IntArray

__all__ = ["weibull_duration", "weibull_fit"]

_MIN_SPELLS = 30  # complete waiting times below which the chi-square limit is off by a quarter and more
_STEP = 1e-12  # relative change of the shape at which the search ends
_MAX_STEPS = 200


def _spells(days: IntArray, x: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Return waiting times (rows, widest + 1), 0 where there is none, and the complete ones among them.

    The first is cut off unless day 1 is a hit, where there is none; the last one unless day n is a hit.
    """
    rows = np.arange(x.size)
    between = np.where(days[:, 1:] > 0, days[:, 1:] - days[:, :-1], 0)
    first = np.where(days[:, 0] > 1, days[:, 0], 0)
    last = n - days[rows, x - 1]
    return np.concatenate([first[:, None], between, last[:, None]], axis=1), between


def weibull_fit(days: IntArray, x: IntArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the Weibull shape and the likelihood ratio against shape 1, each of shape (rows,).

    Parameters
    ----------
    days : array of int, shape (rows, widest)
        Days of hits from 1, ascending, 0 beyond x.
    x : array of int, shape (rows,)
        Hits of each row, 2 or more.
    n : int
        Days in all.

    Returns
    -------
    tuple of arrays
        Both infinite where all complete waiting times are equal and none that is cut off is longer: the
        likelihood then grows without bound.

    Notes
    -----
    With the scale concentrated out and u = ln D - ln max D, the score N/b + Σ_complete u - N Σ u e^(bu)/Σ
    e^(bu) falls in b. Its root lies between N/δ and N(1 + S/e)/δ, with δ = -Σ_complete u and S waiting times
    in all, because 0 ≤ -u e^(bu) ≤ 1/(eb). Newton steps, by bisection where one leaves the bracket.
    """
    every, between = _spells(days, x, n)
    used = every > 0
    logs = np.log(np.maximum(every, 1))
    u = np.where(used, logs - np.max(np.where(used, logs, 0.0), axis=1)[:, None], -np.inf)
    complete = np.where(between > 0, u[:, 1:-1], 0.0)
    delta = -np.add.reduce(complete, axis=1)
    shape, ratio = np.full(x.size, np.inf), np.full(x.size, np.inf)
    inner = delta > 0.0
    if not inner.any():
        return shape, ratio
    u, finite, delta = u[inner], np.where(used, u, 0.0)[inner], delta[inner]
    size = (x - 1)[inner].astype(np.float64)
    low = size / delta
    high = low * (1.0 + used[inner].sum(axis=1) / math.e)
    b = np.clip(1.0, low, high)
    for _ in range(_MAX_STEPS):
        weight = np.exp(b[:, None] * u)
        total = np.add.reduce(weight, axis=1)
        mean = np.add.reduce(weight * finite, axis=1) / total
        spread = np.add.reduce(weight * finite * finite, axis=1) / total - mean * mean
        score = size / b - delta - size * mean
        low, high = np.where(score > 0.0, b, low), np.where(score > 0.0, high, b)
        step = b + score / (size / (b * b) + size * np.maximum(spread, 0.0))
        step = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        moved = np.max(np.abs(step - b) / b)
        b = step
        if moved <= _STEP:
            break
    growth = np.log(np.add.reduce(np.exp(b[:, None] * u), axis=1) / np.add.reduce(np.exp(u), axis=1))
    shape[inner] = b
    ratio[inner] = np.maximum(2.0 * (size * np.log(b) - size * growth - (b - 1.0) * delta), 0.0)
    return shape, ratio


def _weibull(sample: Sample, hits: BoolArray, alpha: float, draws: int, seed: int) -> BacktestTest:
    n, x = sample.n, sample.x
    shape = statistic = math.nan
    simulated, cut = NO_SIMULATION, 0
    notes: tuple[str, ...] = ()
    days = hit_days(hits)
    if x > 0:
        cut = int(days[0] > 1) + int(days[-1] < n)
    if x < 2 or x == n or x - 1 + cut < 2:
        notes += (
            "Note: cannot be evaluated: two waiting times are needed, one of them between two hits, and a "
            "day without a hit",
        )
    else:
        shapes, ratios = weibull_fit(days[None, :], np.array([x]), n)
        shape, statistic = float(shapes[0]), float(ratios[0])
        rng = stream(seed, "backtest", "weibull_duration")
        simulated = simulated_p(
            rng, n, np.full(draws, x), lambda day, count: weibull_fit(day, count, n)[1], statistic, "x"
        )
        if math.isinf(statistic):
            notes += (
                "Note: the waiting times between hits are all equal, where the likelihood has no maximum: "
                "the simulated p-value decides",
            )
        if x - 1 < _MIN_SPELLS:
            notes += (
                f"SmallSampleWarning: fewer than {_MIN_SPELLS} complete waiting times: the limit law rejects "
                "too often, trust the simulated p-value",
            )
    return limit_test(
        sample,
        name="Weibull duration",
        h0="the waiting time for a hit has no memory",
        h1="a hit becomes less probable (shape below 1, clusters) or more probable as time passes",
        statistic=statistic,
        df=1,
        alpha=alpha,
        simulated=simulated,
        n_effective=max(x - 1, 0) + cut,
        references=("christoffersen2004", "dufour2006"),
        details={"shape": shape, "censored": cut, "p_ties_broken": simulated.broken, "seed": seed},
        notes=notes,
    )


@overload
def weibull_duration(
    *,
    n: int | None = ...,
    durations: npt.ArrayLike | None = ...,
    p: float | None = ...,
    hits: HitSeries | npt.ArrayLike | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def weibull_duration(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def weibull_duration(
    *,
    n: int | None = None,
    durations: npt.ArrayLike | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the likelihood ratio test that waiting times between hits have no memory, no unit.

    Use it to ask whether hits cluster at any distance; it says nothing about their number.

    Parameters
    ----------
    n, durations, hits, horizon, alpha, draws, seed
        As in :func:`haas`.
    p : float, optional
        Tail probability, for the expected number in the report only.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds the fitted ``shape`` (below 1: clusters), the
        number of ``censored`` waiting times (0 to 2), ``p_ties_broken``, and the seed.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`haas`.

    Notes
    -----
    Density b a^b D^(b-1) exp(-(aD)^b), survival exp(-(aD)^b). The waiting time before the first hit is cut
    off unless day 1 is a hit, the one after the last hit unless day n is; both enter by their survival. LR =
    2[max ln L(a, b) - max ln L(a, 1)], chi-square with 1 degree of freedom in the limit. The Monte Carlo
    p-value permutes the hits of the series, so that no unknown probability enters. Fewer than two waiting
    times, or none between two hits, are ``"not_evaluable"``. Hits at one distance throughout make the
    statistic infinite; the simulated p-value then decides. Cost: O(draws·x).

    References
    ----------
    Christoffersen and Pelletier (2004); Dufour (2006), section 2.

    Examples
    --------
    >>> result = weibull_duration(n=20, durations=[3, 1, 6, 6], draws=999)
    >>> round(result.details["shape"], 6), round(result.statistic, 6)
    (2.165225, 1.815106)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    ordered = read_ordered(hits=hits, durations=durations, n=n, p=p, horizon=horizon, needs_p=False)
    return collect([_weibull(s, part, level, draws, seed) for s, part in ordered], horizon)
