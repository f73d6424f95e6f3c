"""Hits of losses that share days: the law of their number under a right model.

Losses over h days that are taken every day move together by construction, so a right model has its hits in
clumps. The number of hits keeps its mean np and spreads more; tests that take the hits as independent reject
right models (a 5 % test of proportion in 29.6 % of the years at 5 days). Here the
law of the number is that of sums of independent days.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy.integrate import quad
from scipy.stats import binom, chi2, norm

from pmkit.backtest.series.checks import as_float_array, check_alpha, check_count, check_probability
from pmkit.backtest.series.simulated_null import blocks, check_draws, statistics_in_blocks
from pmkit.backtest.var.pof import pof_statistic
from pmkit.backtest.var.traffic_light import ZoneLimits
from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "OverlapCounts",
    "histories",
    "overlap_counts",
    "read_days",
    "threshold",
    "variance_inflation",
]

_BLOCK = 4_000_000  # days drawn at once
_THRESHOLD_DRAWS = 1_000_000  # sums behind the VaR of a law that is not normal
_ZONES = (0.95, 0.9999)


def variance_inflation(*, n: int, p: float, horizon: int) -> float:
    """Return the variance of the number of hits over that of independent hits, for losses taken every day.

    Parameters
    ----------
    n : int
        Overlapping observations, at least ``horizon``.
    p : float
        Tail probability in (0, 0.5].
    horizon : int
        Days in each loss, 1 or more; 1 gives 1.

    Returns
    -------
    float
        1 or more.

    Raises
    ------
    ParameterError
        n, p or horizon outside their domain.

    Notes
    -----
    1 + 2 Σ_{k<h} (1 - k/n) ρ_k, where ρ_k is the correlation of hits k days apart. Sums of h independent
    normal days have correlation (h - k)/h, so that ρ_k = (Φ₂(z, z; (h - k)/h) - p²)/(p(1 - p)) with z =
    Φ⁻¹(p).

    References
    ----------
    Plackett (1954), equation (3), for Φ₂; Newey and West (1987), on sums of dependent terms.

    Examples
    --------
    >>> round(variance_inflation(n=250, p=0.01, horizon=5), 3)
    2.295
    """
    n, p, days = _read(n, p, horizon)
    correlations = hit_correlations(p, days)
    return 1.0 + 2.0 * math.fsum((1.0 - lag / n) * float(correlations[lag]) for lag in range(1, days))


def hit_correlations(p: float, horizon: int) -> FloatArray:
    """Return the correlation of hits 0, 1, ..., ``horizon`` - 1 days apart, for independent normal days."""
    z, found = float(norm.ppf(p)), np.ones(horizon)
    for lag in range(1, horizon):
        shared = (horizon - lag) / horizon
        # Plackett's integral in the angle gives the covariance itself, no difference of near numbers.
        covariance = quad(lambda angle: math.exp(-z * z / (1.0 + math.sin(angle))), 0.0, math.asin(shared))[0]
        found[lag] = covariance / (2.0 * math.pi * p * (1.0 - p))
    return found


def _read(n: Any, p: Any, horizon: Any) -> tuple[int, float, int]:
    count, probability, days = check_count(n, "n"), check_probability(p), check_count(horizon, "horizon")
    if not 1 <= days <= count:
        raise ParameterError(
            f"horizon is {days} days for {count} observations",
            "1 or more, and no more than there are observations",
            "use a longer series or a shorter horizon",
        )
    return count, probability, days


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class OverlapCounts(Result):
    """Simulated law of the number of hits of a right model whose losses overlap.

    Attributes
    ----------
    n, horizon : int
        Overlapping observations, and days in each loss.
    p : float
        Tail probability.
    law : str
        Law of one day.
    counts : ndarray of int, shape (draws,)
        Number of hits of each simulated history.
    """

    n: int
    p: float
    horizon: int
    law: str
    counts: IntArray
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="backtest.overlap_counts", simulated=True)
    )
    references: tuple[str, ...] = ("kupiec1995", "basel1996")

    @property
    def sd(self) -> float:
        """Standard deviation of the number of hits."""
        return float(np.std(self.counts, ddof=1))

    @property
    def sd_independent(self) -> float:
        """Standard deviation √(np(1-p)) that independent hits would have."""
        return math.sqrt(self.n * self.p * (1.0 - self.p))

    @property
    def zones(self) -> ZoneLimits:
        """Largest counts still green and still yellow: P(X ≤ x) stays below 95 % and 99.99 %."""
        ordered = np.sort(self.counts)
        limits = []
        for bound in _ZONES:
            x = 0
            while np.searchsorted(ordered, x, side="right") / ordered.size < bound:
                x += 1
            limits.append(max(x - 1, 0))
        return ZoneLimits(*limits)

    def probability_of(self, x: int) -> float:
        """Return the simulated P(X ≥ x), in [0, 1]."""
        return float(np.mean(self.counts >= x))

    def naive_size(self, alpha: float = 0.05) -> float:
        """Return how often Kupiec's limit test at ``alpha`` rejects the right model, in [0, 1]."""
        critical = float(chi2.isf(check_alpha(alpha), 1))
        table = pof_statistic(self.n, np.arange(self.n + 1), self.p) > critical
        return float(np.mean(table[self.counts]))

    def summary(self) -> pd.DataFrame:
        """Return one row: spread of the count, zones, and the size of the test that ignores overlap."""
        row = {
            "n": self.n,
            "p": self.p,
            "mean": float(np.mean(self.counts)),
            "sd": self.sd,
            "sd_independent": self.sd_independent,
            "green_up_to": self.zones.green,
            "yellow_up_to": self.zones.yellow,
            "naive_size_5pct": self.naive_size(0.05),
        }
        return pd.DataFrame(row, index=pd.Index([self.horizon], name="horizon"))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a count: its simulated probability beside the binomial one."""
        found = np.bincount(self.counts) / self.counts.size
        counts = np.arange(found.size)
        return pd.DataFrame(
            {"probability": found, "binomial": binom.pmf(counts, self.n, self.p)},
            index=pd.Index(counts, name="hits"),
        )

    def check(self) -> None:
        """Raise unless the mean count lies within five standard errors of np."""
        error = self.sd / math.sqrt(self.counts.size)
        gap = abs(float(np.mean(self.counts)) - self.n * self.p)
        if gap > 5.0 * error + 1e-12:
            raise ParameterError(
                f"mean count {np.mean(self.counts):.6g}", f"np = {self.n * self.p:.6g}", "use more draws"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the simulated law of the count, and the binomial one it is taken for."""
        axes, frame = new_axes(ax), self.to_frame()
        axes.bar(frame.index, frame["probability"], color="#4477aa", label=f"losses over {self.horizon} days")
        axes.plot(frame.index, frame["binomial"], "o-", color="#cc3311", markersize=3, label="independent")
        axes.set(
            xlabel=f"hits in {self.n} observations",
            ylabel="probability",
            title=f"Number of hits of a right model, p = {self.p:g}",
        )
        axes.legend(frameon=False)
        return axes


def overlap_counts(
    *,
    n: int,
    p: float,
    horizon: int,
    days: npt.ArrayLike | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> OverlapCounts:
    """Return the simulated law of the number of hits when losses over ``horizon`` days are taken every day.

    Parameters
    ----------
    n, p, horizon
        As in :func:`variance_inflation`.
    days : array-like, shape (m,), optional
        One-day losses of the model to resample from, in any unit; normal days where absent. A right VaR is
        then the quantile of a million of their sums, so that p holds to about 1 % of itself.
    draws : int
        Simulated histories, 99 or more.
    seed : int
        Root seed; equal seeds give equal bits.

    Returns
    -------
    OverlapCounts

    Raises
    ------
    ParameterError
        n, p, horizon, draws or seed outside their domain; fewer than 20 days to resample.
    DataGapError, SchemaError
        Days that are missing or not finite.

    References
    ----------
    Basel Committee (1996), zones by cumulative probability.

    Examples
    --------
    >>> law = overlap_counts(n=250, p=0.01, horizon=5, draws=5_000)
    >>> law.zones.green, round(law.naive_size(), 2)
    (6, 0.29)
    """
    n, p, span = _read(n, p, horizon)
    draws, seed = check_draws(draws, seed)
    pool = read_days(days)
    rng = stream(seed, "overlap-counts")
    bound = threshold(pool, p, span, seed)
    counts = np.empty(draws, dtype=np.int64)
    for rows, hits in histories(rng, draws, n, span, pool, bound):
        counts[rows] = hits.sum(axis=1)
    return OverlapCounts(
        n=n,
        p=p,
        horizon=span,
        law="normal" if pool is None else f"resampled from {pool.size} days",
        counts=counts,
        provenance=Provenance(
            method="backtest.overlap_counts",
            parameters={"n": n, "p": p, "horizon": span, "draws": draws},
            seed=seed,
            simulated=True,
        ),
    )


def read_days(days: npt.ArrayLike | None) -> FloatArray | None:
    """Return the days to resample, checked; None stands for normal days."""
    if days is None:
        return None
    pool = as_float_array(days, "days")
    if pool.size < 20 or not np.ptp(pool) > 0.0:
        raise ParameterError(
            f"days holds {pool.size} losses, {np.unique(pool).size} of them different",
            "20 or more losses that vary",
            "pass the one-day losses of the model, or leave days out for normal ones",
        )
    return pool


def _sums(losses: FloatArray, span: int) -> FloatArray:
    """Return the sums of ``span`` neighbouring days of each row."""
    windows: FloatArray = sliding_window_view(losses, span, axis=1).sum(axis=2)
    return windows


def _draw(rng: np.random.Generator, shape: tuple[int, int], pool: FloatArray | None) -> FloatArray:
    return rng.standard_normal(shape) if pool is None else pool[rng.integers(0, pool.size, size=shape)]


def threshold(pool: FloatArray | None, p: float, span: int, seed: int) -> float:
    """Return the right VaR of sums of ``span`` days: exact for normal days, else from a million sums."""
    if pool is None:
        return float(norm.isf(p)) * math.sqrt(span)
    rng = stream(seed, "overlap-threshold")
    drawn = statistics_in_blocks(
        _THRESHOLD_DRAWS, _BLOCK, span, lambda rows: _draw(rng, (rows, span), pool).sum(axis=1)
    )
    return float(np.quantile(drawn, 1.0 - p))


def histories(
    rng: np.random.Generator, draws: int, n: int, span: int, pool: FloatArray | None, bound: float
) -> Iterator[tuple[slice, BoolArray]]:
    """Yield blocks of hits against ``bound``: the rows they fill, and hits of shape (rows, n)."""
    for rows in blocks(draws, _BLOCK, n + span):
        losses = _draw(rng, (rows.stop - rows.start, n + span - 1), pool)
        yield rows, _sums(losses, span) > bound
