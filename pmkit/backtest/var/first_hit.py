"""How long until the first hit: Kupiec's test of the time until first failure, with its exact p-value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days, read_ordered
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.backtest.series.simulated_null import NO_SIMULATION, exact_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.limit_test import limit_test
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["kupiec_first_hit", "waiting_time_statistic"]

_TIE = 1e-9  # statistics of equal waiting times may differ by rounding
_LONGEST = 10**300  # days; no end is searched beyond


def waiting_time_statistic(days: Any, p: float) -> FloatArray:
    """Return the likelihood ratio of one waiting time, elementwise: rate 1/days against p, 0 or more.

    Examples
    --------
    >>> round(float(waiting_time_statistic(58, 0.05)), 4)
    1.7354
    """
    waited = np.asarray(days, dtype=np.float64)
    free = xlog1py(waited - 1.0, -1.0 / waited) - np.log(waited)
    null = math.log(p) + (waited - 1.0) * math.log1p(-p)
    statistic: FloatArray = np.maximum(2.0 * (free - null), 0.0)
    return statistic


def _first_true(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the smallest integer in (low, high] for which ``holds``, which holds at ``high``, turns true."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _ends(statistic: float, p: float) -> tuple[int, int]:
    """Return the longest short and the shortest long waiting time whose statistic is as large or larger.

    Notes
    -----
    The statistic falls up to 1/p days and rises from there, so that each end is found by bisection.
    """

    def value(days: int) -> float:
        return float(waiting_time_statistic(days, p))

    middle = int(min(1.0 / p, 1e300))
    low = _first_true(0, middle + 1, lambda v: v > middle or value(v) < statistic) - 1
    high = middle + 1
    while high < _LONGEST and value(high) < statistic:
        high *= 2
    return low, _first_true(middle, high, lambda v: v >= high or value(v) >= statistic)


def _exact_p(statistic: float, p: float) -> float:
    """Return the probability of a waiting time whose statistic is as large, at hit probability p."""
    low, high = _ends(statistic - _TIE * max(1.0, statistic), p)
    return min(1.0, -math.expm1(low * math.log1p(-p)) + math.exp((high - 1) * math.log1p(-p)))


def _first_hit(sample: Sample, day: int | None, alpha: float) -> BacktestTest:
    n, p = sample.n, sample.p
    critical = float(chi2.isf(alpha, 1))
    low, high = _ends(math.nextafter(critical, math.inf), p)
    statistic = math.nan
    notes: tuple[str, ...] = ()
    if day is not None:
        statistic = float(waiting_time_statistic(day, p))
    else:
        least = float(waiting_time_statistic(n + 1, p)) if n + 1 > 1.0 / p else 0.0
        if least > critical:
            statistic = least
            notes = (
                f"Note: no hit in {n} days; the statistic is that of a hit on the next, its lowest value",
            )
        else:
            notes = (f"Note: cannot be evaluated: no hit in {n} days, and up to {high - 1} would not reject",)
    simulated = NO_SIMULATION
    if not math.isnan(statistic):
        kind = "exact geometric" if day is not None else "exact geometric, upper bound"
        simulated = exact_p(_exact_p(statistic, p), kind)
    return limit_test(
        sample,
        name="Kupiec time until first failure",
        h0=f"the first hit comes as with hit probability {p:.8g}",
        h1="it comes sooner or later than that",
        statistic=statistic,
        df=1,
        alpha=alpha,
        simulated=simulated,
        n_effective=n if day is None else day,
        references=("kupiec1995",),
        details={
            "first_hit": day,
            "expected_first_hit": 1.0 / p,
            "lowest_not_rejected": low + 1,
            "highest_not_rejected": high - 1,
        },
        notes=notes,
    )


def _read_counts(n: Any, x: Any, first_hit: Any, p: Any, horizon: Any) -> tuple[Sample, int | None]:
    """Read the day of the first hit, alone or with the n and x that it must agree with."""
    counts = {"n": n, "x": x, "first_hit": first_hit}
    day = None if first_hit is None else check_count(first_hit, "first_hit")
    if day == 0:
        raise ParameterError("first_hit is 0", "a day counted from 1", "leave it out where there is no hit")
    if day is not None and n is None and x is None:
        counts |= {"n": day, "x": 1}
    elif day is None and n is not None and x is None:
        counts |= {"x": 0}
    (sample,) = read_samples(hits=None, p=p, horizon=horizon, counts=counts)
    if (day is None) != (sample.x == 0):
        raise ParameterError(
            f"first_hit is {day} with x = {sample.x}",
            "a first hit iff there is a hit",
            "pass first_hit= alone, or check x",
        )
    if day is not None and day > sample.n - sample.x + 1:
        raise ParameterError(
            f"first_hit is {day} with {sample.x} hits on {sample.n} days",
            f"{sample.n - sample.x + 1} at most",
            "check n, x and first_hit",
        )
    return sample, day


@overload
def kupiec_first_hit(
    *,
    n: int | None = ...,
    x: int | None = ...,
    first_hit: int | None = ...,
    p: float | None = ...,
    hits: HitSeries | npt.ArrayLike | None = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def kupiec_first_hit(
    *, hits: HitSeries | npt.ArrayLike, p: float | None = ..., horizon: float, alpha: float = ...
) -> OffsetOutcomes: ...
def kupiec_first_hit(
    *,
    n: int | None = None,
    x: int | None = None,
    first_hit: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return Kupiec's likelihood ratio test of the time until first failure (TUFF), exact p-value beside it.

    Use it on a young model, before hits can be counted. It uses one number of the whole series and has very
    little power.

    Parameters
    ----------
    first_hit : int, optional
        Day of the first hit, counted from 1.
    n, x : int, optional
        Observations and hits; not needed beside ``first_hit``. ``n`` alone states that there was no hit.
    p, hits, horizon, alpha
        As in :func:`kupiec`.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``first_hit``, ``expected_first_hit`` 1/p in
        days, and the first and last day that the asymptotic test does not reject.

    Raises
    ------
    ParameterError
        Counts and hits together or neither; a value outside its domain; counts that contradict each other.
    ConventionError
        Overlapping hits without ``horizon``, or a p that looks like a level.
    SchemaError, DataGapError
        Hits that are missing, not 0 or 1, or none at all.

    Notes
    -----
    With the first hit on day v, LR = -2[ln p + (v - 1) ln(1 - p) + v ln v - (v - 1) ln(v - 1)], chi-square
    with 1 degree of freedom in the limit. The exact p-value sums the geometric law of v over all days whose
    LR is as large; it needs no simulation. Without a hit, v is n + 1 or later: the test rejects if LR at n +
    1 already does, and is ``"not_evaluable"`` if not.

    References
    ----------
    Kupiec (1995), time until first failure.

    Examples
    --------
    >>> result = kupiec_first_hit(first_hit=58, p=0.05)
    >>> round(result.statistic, 4), round(result.p_asymptotic, 5), result.decision
    (1.7354, 0.18773, 'not_rejected')
    """
    level = check_alpha(alpha)
    if hits is None and not (n is None and x is None and first_hit is None):
        sample, day = _read_counts(n, x, first_hit, p, horizon)
        return collect([_first_hit(sample, day, level)], horizon)
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts={"n": n, "x": x, "first_hit": first_hit})
    ordered = read_ordered(hits=hits, durations=None, n=None, p=p, horizon=horizon)
    firsts = [int(hit_days(part)[0]) if part.any() else None for _, part in ordered]
    return collect([_first_hit(s, day, level) for s, day in zip(samples, firsts, strict=True)], horizon)
