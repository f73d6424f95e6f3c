"""Do waiting times between hits have the moments of a geometric law: the GMM duration tests."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days, read_ordered
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, draw_counts, simulated_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.limit_test import limit_test
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import BoolArray, FloatArray, IntArray

__all__ = ["Hypothesis", "gmm_duration", "gmm_statistic"]

Hypothesis = Literal["conditional", "unconditional", "independence"]
"""Whether waiting times are geometric with p, have mean 1/p, or are geometric with any probability."""

_CRUDE = (
    "SmallSampleWarning: the statistic has a heavy right tail at any length that occurs: trust the simulated "
    "p-value"
)
_WORDS = {
    "conditional": ("hits are independent, each with probability {p:.8g}", "other waiting times"),
    "unconditional": ("waiting times between hits have mean 1/{p:.8g}", "another mean"),
    "independence": ("waiting times between hits are geometric", "waiting times with a memory"),
}


def gmm_statistic(days: IntArray, x: IntArray, p: float | None, moments: int) -> FloatArray:
    """Return J = ||N^(-1/2) Σ_i M(d_i)||² of each row over the N = x - 1 waiting times between hits.

    Parameters
    ----------
    days : array of int, shape (rows, widest)
        Days of hits from 1, ascending, 0 beyond x.
    x : array of int, shape (rows,)
        Hits of each row, 2 or more.
    p : float or None
        Hit probability; None takes 1/mean of the waiting times of each row.
    moments : int
        Number of polynomials.
    """
    used = days[:, 1:] > 0
    waited = np.where(used, days[:, 1:] - days[:, :-1], 1).astype(np.float64)
    size = (x - 1).astype(np.float64)
    whole = np.add.reduce(np.where(used, waited, 0.0), axis=1)
    rate = size / whole if p is None else np.full(x.size, p)
    free = rate < 1.0  # waiting times that are all 1 have no spread, and every moment is met
    beta = np.where(free, rate, 0.5)[:, None]
    before, current = np.zeros_like(waited), np.ones_like(waited)
    total = np.zeros(x.size)
    for j in range(moments):
        slope = (1.0 - beta) * (2 * j + 1) + beta * (j - waited + 1.0)
        after = slope / ((j + 1) * np.sqrt(1.0 - beta)) * current - j / (j + 1) * before
        before, current = current, after
        total += np.add.reduce(np.where(used, current, 0.0), axis=1) ** 2 / size
    return np.where(free, total, 0.0)


def _gmm(
    sample: Sample, hits: BoolArray, hypothesis: Hypothesis, moments: int, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    independence = hypothesis == "independence"
    fixed, days = (None if independence else p), hit_days(hits)
    statistic, simulated, notes = math.nan, NO_SIMULATION, (_CRUDE,)
    if x < 2 + independence or (independence and days[-1] - days[0] == x - 1):
        need = "three hits, not all on neighbouring days," if independence else "two hits"
        notes = (f"Note: cannot be evaluated: {need} are needed",)
    else:
        statistic = float(gmm_statistic(days[None, :], np.array([x]), fixed, moments)[0])
        rng = stream(seed, "backtest", "gmm_duration", hypothesis)
        counts = np.full(draws, x) if independence else draw_counts(rng, n, p, draws, lowest=2, highest=n)
        simulated = simulated_p(
            rng,
            n,
            counts,
            lambda day, count: gmm_statistic(day, count, fixed, moments),
            statistic,
            "x" if independence else "p and two hits",
        )
    h0, h1 = _WORDS[hypothesis]
    details: dict[str, Any] = {
        "moments": moments,
        "mean_waiting": float(days[-1] - days[0]) / (x - 1) if x > 1 else math.nan,
        "p_ties_broken": simulated.broken,
        "seed": seed,
    }
    return limit_test(
        sample,
        name=f"GMM duration, {hypothesis}",
        h0=h0.format(p=p),
        h1=h1,
        statistic=statistic,
        df=moments - independence,
        alpha=alpha,
        simulated=simulated,
        n_effective=max(x - 1, 0),
        references=("candelon2011", "dufour2006"),
        details=details | ({} if independence else {"e_value": doubling_e_value(n, x, p)}),
        notes=notes,
    )


@overload
def gmm_duration(
    *,
    n: int | None = ...,
    durations: npt.ArrayLike | None = ...,
    p: float | None = ...,
    hits: HitSeries | npt.ArrayLike | None = ...,
    horizon: None = ...,
    hypothesis: Hypothesis = ...,
    moments: int | None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def gmm_duration(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    hypothesis: Hypothesis = ...,
    moments: int | None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def gmm_duration(
    *,
    n: int | None = None,
    durations: npt.ArrayLike | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    hypothesis: Hypothesis = "conditional",
    moments: int | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the GMM test of the moments of waiting times between hits, no unit.

    Use it where hits may cluster at any distance; unlike :func:`weibull_duration` it keeps waiting times in
    whole days and needs no search.

    Parameters
    ----------
    n, durations, hits, horizon, alpha, draws, seed
        As in :func:`haas`.
    p : float, optional
        Tail probability in (0, 0.5]; a HitSeries brings its own. ``"independence"`` needs none.
    hypothesis : {"conditional", "unconditional", "independence"}
        Geometric with p; mean 1/p alone; geometric with whatever probability.
    moments : int, optional
        Polynomials, at most 20: 3 where absent, and always 1 for ``"unconditional"``; 2 or more for
        ``"independence"``.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``moments``, ``mean_waiting`` in days,
        ``p_ties_broken``, the seed, and ``e_value`` where p is tested.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`haas`; also an unknown hypothesis or a number of moments that it does not allow.

    Notes
    -----
    M_0 = 1, M_(-1) = 0, M_(j+1)(d; β) = [(1 - β)(2j + 1) + β(j - d + 1)]/((j + 1)√(1 - β)) M_j - j/(j + 1)
    M_(j-1) are orthonormal for geometric d with hit probability β. J = ||N^(-1/2) Σ_i M(d_i; β)||² over the N
    = x - 1 complete waiting times, chi-square with k = ``moments`` degrees of freedom in the limit; under
    ``"independence"`` β = 1/mean d and k - 1. Days before the first and after the last hit do not enter. The
    Monte Carlo p-value draws hits of probability p, given two of them; under ``"independence"`` it permutes
    the hits. Fewer than two hits (three) are ``"not_evaluable"``. Cost: O(draws·np·k).

    References
    ----------
    Candelon, Colletaz, Hurlin and Tokpavi (2011); Dufour (2006), section 2.

    Examples
    --------
    >>> result = gmm_duration(n=20, durations=[3, 1, 6, 6], p=0.1, hypothesis="unconditional", draws=999)
    >>> result.df, round(result.statistic, 6)
    (1, 1.07037)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if hypothesis not in _WORDS:
        raise ParameterError(
            f"hypothesis is {hypothesis!r}",
            "'conditional', 'unconditional' or 'independence'",
            "choose one of them",
        )
    usual = 1 if hypothesis == "unconditional" else 3
    order = usual if moments is None else check_count(moments, "moments", largest=20)
    lowest = 2 if hypothesis == "independence" else 1
    if order < lowest or (hypothesis == "unconditional" and order != 1):
        raise ParameterError(
            f"moments is {order} for hypothesis {hypothesis!r}",
            "1" if hypothesis == "unconditional" else f"{lowest} to 20",
            "leave it out for the usual number",
        )
    ordered = read_ordered(
        hits=hits, durations=durations, n=n, p=p, horizon=horizon, needs_p=hypothesis != "independence"
    )
    return collect([_gmm(s, part, hypothesis, order, level, draws, seed) for s, part in ordered], horizon)
