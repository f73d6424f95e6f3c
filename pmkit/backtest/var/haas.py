"""Do the waiting times between hits fit the level: Haas's tests, alone and mixed with the number of hits.

Each waiting time enters by the likelihood ratio of Kupiec's first failure, which is far from chi-square for
geometric waiting times: the limit law rejects a correct model too often, the more so the longer the series.
Read the simulated p-value.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days, read_ordered
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, draw_counts, simulated_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.first_hit import waiting_time_statistic
from pmkit.backtest.var.limit_test import limit_test
from pmkit.backtest.var.pof import pof_statistic
from pmkit.core.random import stream
from pmkit.core.types import BoolArray, FloatArray, IntArray

__all__ = ["haas", "haas_mixed"]

_CRUDE = (
    "SmallSampleWarning: the terms of the statistic are not chi-square for waiting times in whole days: "
    "trust the simulated p-value"
)


def _summed(days: IntArray, p: float) -> FloatArray:
    """Return Σ of the statistics of the waiting times in each row of days, which end with zeros."""
    used = days > 0
    waited = np.where(used, np.diff(days, axis=1, prepend=0), 1)
    terms = np.where(used, waiting_time_statistic(waited, p), 0.0)
    total: FloatArray = np.add.reduce(terms, axis=1)
    return total


def _surprise(statistic: FloatArray, df: IntArray) -> FloatArray:
    """Return -ln of the limit p-value, which makes sums over different numbers of terms comparable."""
    surprise: FloatArray = np.where(df > 0, -chi2.logsf(statistic, np.maximum(df, 1)), 0.0)
    return surprise


def _haas(
    sample: Sample, hits: BoolArray, alpha: float, draws: int, seed: int, *, mixed: bool
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    coverage = float(pof_statistic(n, x, p))
    waiting = float(_summed(hit_days(hits)[None, :], p)[0]) if x > 0 else math.nan
    df = x + 1 if mixed else x
    statistic = coverage + waiting if mixed else waiting
    notes: tuple[str, ...] = (_CRUDE,)
    if x == 0:
        notes = ("Note: waiting times cannot be evaluated, because there is no hit",)
        if mixed and coverage > chi2.isf(alpha, 1):
            statistic = coverage
            notes += ("Note: rejected on coverage alone",)
    simulated = NO_SIMULATION
    if not math.isnan(statistic):
        rng = stream(seed, "backtest", "haas_mixed" if mixed else "haas")

        def rank(days: IntArray, count: IntArray) -> FloatArray:
            total = _summed(days, p)
            if mixed:
                return _surprise(total + pof_statistic(n, count, p), count + 1)
            return _surprise(total, count)

        observed = float(_surprise(np.array([statistic]), np.array([df]))[0])
        counts = draw_counts(rng, n, p, draws, lowest=0 if mixed else 1, highest=n)
        simulated = simulated_p(rng, n, counts, rank, observed, "p" if mixed else "p and a hit")
    details = {"lr_waiting": waiting, "p_ties_broken": simulated.broken, "seed": seed}
    return limit_test(
        sample,
        name="Haas mixed" if mixed else "Haas time between failures",
        h0=f"hits are independent, each with probability {p:.8g}",
        h1="the number of hits or the waiting times do not fit" if mixed else "the waiting times do not fit",
        statistic=statistic,
        df=df,
        alpha=alpha,
        simulated=simulated,
        n_effective=n if mixed else x,
        references=("haas2001", "dufour2006"),
        details=details
        | ({"lr_coverage": coverage} if mixed else {})
        | {"e_value": doubling_e_value(n, x, p)},
        notes=notes,
    )


@overload
def haas(
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
def haas(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def haas(
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
    """Return Haas's likelihood ratio test of the times between failures (TBFI), no unit.

    Use it to ask whether hits come in clusters of any spacing, which a test of neighbouring days misses. Each
    waiting time is held against p, so that a wrong number of hits is seen too.

    Parameters
    ----------
    n : int, optional
        Observations.
    durations : array-like of int, shape (x,), optional
        Days from the start to the first hit, and from each hit to the next, 1 or more; empty for no hit.
    p : float, optional
        Tail probability 1 - level in (0, 0.5]; a HitSeries brings its own.
    hits : HitSeries or array-like of bool, shape (n,), optional
        In place of n and durations. NaN is refused. A plain array is taken as free of overlap.
    horizon : float, optional
        Days. Needed where hits overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``lr_waiting``, ``p_ties_broken``, the seed,
        and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError
        Counts and hits together or neither, a value outside its domain, durations that add up beyond n.
    ConventionError
        Overlapping hits without ``horizon``, or a p that looks like a level.
    SchemaError, DataGapError
        Hits that are missing, not 0 or 1, or none at all; durations that are not whole days.

    Notes
    -----
    LR = Σ_i -2[ln p + (d_i - 1) ln(1 - p) + d_i ln d_i - (d_i - 1) ln(d_i - 1)] over the x waiting times,
    chi-square with x degrees of freedom in the limit. Days after the last hit do not enter. The Monte Carlo
    p-value draws independent hits of probability p, given that there is one, and ranks draws by their limit
    p-value, since the number of terms varies. Without a hit the test is ``"not_evaluable"``. Cost: O(draws·np
    ln np).

    References
    ----------
    Haas (2001); Dufour (2006), section 2.

    Examples
    --------
    >>> result = haas(n=20, durations=[3, 1, 6, 6], p=0.1, draws=999)
    >>> round(result.statistic, 6), round(result.p_asymptotic, 6)
    (6.316779, 0.176707)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    ordered = read_ordered(hits=hits, durations=durations, n=n, p=p, horizon=horizon)
    return collect([_haas(s, part, level, draws, seed, mixed=False) for s, part in ordered], horizon)


@overload
def haas_mixed(
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
def haas_mixed(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def haas_mixed(
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
    """Return Haas's mixed test (TBF) of the number of hits and the times between them, no unit.

    Parameters
    ----------
    n, durations, p, hits, horizon, alpha, draws, seed
        As in :func:`haas`.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``lr_coverage`` and ``lr_waiting``, which add
        up to the statistic, ``p_ties_broken``, the seed, and ``e_value``.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`haas`.

    Notes
    -----
    LR = LR_pof + LR_tbfi, chi-square with x + 1 degrees of freedom in the limit. Without a hit the test
    rejects if coverage alone does (1 degree of freedom), and is ``"not_evaluable"`` if not.

    References
    ----------
    Haas (2001); Dufour (2006), section 2.

    Examples
    --------
    >>> result = haas_mixed(n=20, durations=[3, 1, 6, 6], p=0.1, draws=999)
    >>> round(result.statistic - result.details["lr_coverage"], 6), result.df
    (6.316779, 5)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    ordered = read_ordered(hits=hits, durations=durations, n=n, p=p, horizon=horizon)
    return collect([_haas(s, part, level, draws, seed, mixed=True) for s, part in ordered], horizon)
