"""Tests of a VaR model by the number and the order of its hits, from counts or from a hit series.

Every function takes either counts (``n=250, x=5, p=0.01``), as a validator copies them from a report, or
``hits=`` (the dynamic tests need the latter, and the VaR). Losses over more days than lie between two
observations share days, and no test here is valid on them: such a series is refused unless ``horizon=`` asks
for the test of each non-overlapping offset (:class:`~pmkit.backtest.OffsetOutcomes`).
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy.typing as npt
from scipy.stats import beta, binom, binomtest, chi2, norm

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.backtest.series.simulated_null import exact_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.berkowitz import berkowitz
from pmkit.backtest.var.dynamic_logit import dynamic_logit
from pmkit.backtest.var.dynamic_quantile import dynamic_quantile
from pmkit.backtest.var.first_hit import kupiec_first_hit
from pmkit.backtest.var.geometric import geometric_duration
from pmkit.backtest.var.gmm import gmm_duration
from pmkit.backtest.var.haas import haas, haas_mixed
from pmkit.backtest.var.markov import christoffersen, christoffersen_independence
from pmkit.backtest.var.pof import kupiec_non_rejection, pof_statistic
from pmkit.backtest.var.traffic_light import (
    BaselOutcome,
    ZoneLimits,
    basel_multiplier,
    basel_zone,
    basel_zone_limits,
    smallest_count,
    smallest_rejected,
)
from pmkit.backtest.var.weibull import weibull_duration
from pmkit.core.errors import ParameterError

__all__ = [
    "BaselOutcome",
    "ZoneLimits",
    "basel_multiplier",
    "basel_zone",
    "basel_zone_limits",
    "berkowitz",
    "binomial_exact",
    "christoffersen",
    "christoffersen_independence",
    "dynamic_logit",
    "dynamic_quantile",
    "geometric_duration",
    "gmm_duration",
    "haas",
    "haas_mixed",
    "kupiec",
    "kupiec_first_hit",
    "kupiec_non_rejection",
    "weibull_duration",
]

Alternative = Literal["two-sided", "greater", "less"]

_TWO_SIDED = "exact binomial, two-sided by probability ordering"
_MIN_EXPECTED = 10.0  # expected hits below which the chi-square and normal limits are off by more than half


def _kupiec(sample: Sample, alpha: float) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    statistic, critical = float(pof_statistic(n, x, p)), float(chi2.isf(alpha, 1))
    two_sided = min(1.0, float(binomtest(x, n, p).pvalue))
    rejected = statistic > critical
    accepted = kupiec_non_rejection(n, p, alpha)
    size = 1.0 - float(binom.cdf(accepted.stop - 1, n, p) - binom.cdf(accepted.start - 1, n, p))
    notes = sample.notes
    if n * p < _MIN_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_MIN_EXPECTED:g}: at nominal "
            f"{alpha:.3g} the asymptotic test rejects a correct model with probability {size:.4f}",
        )
    if rejected and x < n * p:
        notes += ("Note: rejected for too few hits: the test is two-sided and rejects conservative models",)
    if (two_sided <= alpha) != rejected:
        notes += ("Note: the exact binomial test decides otherwise",)
    return outcome(
        sample,
        name="Kupiec proportion of failures",
        h0=f"a hit has probability {p:.8g}",
        h1="another probability",
        sidedness="two-sided",
        statistic=statistic,
        distribution="chi2",
        df=1,
        p_asymptotic=float(chi2.sf(statistic, 1)),
        found=exact_p(two_sided, _TWO_SIDED),
        critical_value=critical,
        alpha=alpha,
        decided_by="asymptotic",
        notes=notes,
        references=("kupiec1995",),
        details={
            "hit_rate": x / n,
            "p_greater": float(binom.sf(x - 1, n, p)),
            "p_less": float(binom.cdf(x, n, p)),
            "true_size": size,
            "lowest_not_rejected": accepted.start if accepted else None,
            "highest_not_rejected": accepted.stop - 1 if accepted else None,
            "e_value": doubling_e_value(n, x, p),
        },
    )


@overload
def kupiec(*, n: int, x: int, p: float, alpha: float = ...) -> BacktestTest: ...
@overload
def kupiec(
    *, hits: HitSeries | npt.ArrayLike, p: float | None = ..., horizon: None = ..., alpha: float = ...
) -> BacktestTest: ...
@overload
def kupiec(
    *, hits: HitSeries | npt.ArrayLike, p: float | None = ..., horizon: float, alpha: float = ...
) -> OffsetOutcomes: ...
def kupiec(
    *,
    n: int | None = None,
    x: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return Kupiec's likelihood ratio test of the proportion of failures, exact p-values beside it.

    Use it to ask whether the number of hits fits the level of the VaR. It is two-sided: a model that is too
    conservative is rejected too. It does not see clustering (:func:`christoffersen`).

    Parameters
    ----------
    n, x : int, optional
        Observations and hits.
    p : float, optional
        Tail probability 1 - level in (0, 0.5]; a HitSeries brings its own.
    hits : HitSeries or array-like of bool, shape (n,), optional
        In place of the counts. NaN is refused. A plain array is taken as free of overlap.
    horizon : float, optional
        Days. Needed where hits overlap: the test then runs on each non-overlapping offset. A plain array then
        counts as sampled every day.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``hit_rate``, the one-sided exact ``p_greater``
        P(X ≥ x) and ``p_less`` P(X ≤ x), ``true_size`` (probability that the asymptotic test rejects a
        correct model at this n), the lowest and highest count that it does not reject, and ``e_value``
        against too many hits.

    Raises
    ------
    ParameterError
        Counts and hits together or neither; p or alpha outside (0, 1); n or x negative, not whole, or x > n.
    ConventionError
        Overlapping hits without ``horizon``, or a p that looks like a level.
    SchemaError, DataGapError
        Hits that are missing, not 0 or 1, or none at all.

    Notes
    -----
    LR = 2[x ln(x/(np)) + (n - x) ln((1 - x/n)/(1 - p))], 0·ln 0 = 0, chi-square with 1 degree of freedom in
    the limit. The decision is by the limit law, as the test is commonly stated. At n = 250 and p = 0.01 it
    rejects a correct model with probability 9.5 %, and rejects a year without a hit: read ``p_exact`` there
    (``decision_exact``). Fewer than 10 expected hits leave a text in ``warnings``; nothing is issued through
    :mod:`warnings`.

    References
    ----------
    Kupiec (1995), test of the proportion of failures.

    Examples
    --------
    >>> result = kupiec(n=250, x=0, p=0.01)
    >>> round(result.statistic, 4), round(result.p_asymptotic, 4), round(result.p_exact, 4)
    (5.0252, 0.025, 0.1889)
    >>> result.decision, result.decision_exact
    ('rejected', 'not_rejected')
    """
    level = check_alpha(alpha)
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts={"n": n, "x": x})
    return collect([_kupiec(sample, level) for sample in samples], horizon)


def _binomial(sample: Sample, alternative: Alternative, alpha: float) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    point = float(binom.pmf(x, n, p))
    less, greater = float(binom.cdf(x, n, p)), float(binom.sf(x - 1, n, p))
    mid_greater, mid_less = (
        float(binom.sf(x, n, p)) + point / 2.0,
        float(binom.cdf(x - 1, n, p)) + point / 2.0,
    )
    z = (x - n * p) / math.sqrt(n * p * (1.0 - p))
    exact = {"two-sided": min(1.0, float(binomtest(x, n, p).pvalue)), "greater": greater, "less": less}
    mid = {"two-sided": min(1.0, 2.0 * min(mid_greater, mid_less)), "greater": mid_greater, "less": mid_less}
    normal = {
        "two-sided": 2.0 * float(norm.sf(abs(z))),
        "greater": float(norm.sf(z)),
        "less": float(norm.cdf(z)),
    }
    words = {
        "two-sided": "another probability",
        "greater": "hits are more frequent",
        "less": "hits are rarer",
    }
    bound = {"two-sided": "", "greater": " at most", "less": " at least"}
    critical = math.nan
    if alternative == "greater":
        critical = float(smallest_rejected(alpha, n, p))
    elif alternative == "less":
        count = smallest_count(alpha, n, p)
        critical = float(count if binom.cdf(count, n, p) <= alpha else count - 1)
    notes = sample.notes
    if n * p < _MIN_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_MIN_EXPECTED:g}: use the exact "
            "p-value, not the normal one",
        )
    half = alpha / 2.0
    return outcome(
        sample,
        name="exact binomial",
        h0=f"a hit has probability {p:.8g}{bound[alternative]}",
        h1=words[alternative],
        sidedness=alternative,
        statistic=float(x),
        distribution=f"binomial({n}, {p:.8g})",
        p_asymptotic=normal[alternative],
        found=exact_p(
            exact[alternative], _TWO_SIDED if alternative == "two-sided" else "exact binomial, one-sided"
        ),
        critical_value=critical,
        alpha=alpha,
        notes=notes,
        references=("clopper1934", "brown2001"),
        details={
            "hit_rate": x / n,
            "z": z,
            "p_greater": greater,
            "p_less": less,
            "p_mid": mid[alternative],
            "p_mid_greater": mid_greater,
            "p_mid_less": mid_less,
            "clopper_pearson_low": float(beta.ppf(half, x, n - x + 1)) if x > 0 else 0.0,
            "clopper_pearson_high": float(beta.isf(half, x + 1, n - x)) if x < n else 1.0,
            "clopper_pearson_lower_bound": float(beta.ppf(alpha, x, n - x + 1)) if x > 0 else 0.0,
            "clopper_pearson_upper_bound": float(beta.isf(alpha, x + 1, n - x)) if x < n else 1.0,
            "jeffreys_low": float(beta.ppf(half, x + 0.5, n - x + 0.5)) if x > 0 else 0.0,
            "jeffreys_high": float(beta.isf(half, x + 0.5, n - x + 0.5)) if x < n else 1.0,
            "jeffreys_probability_above_p": float(beta.sf(p, x + 0.5, n - x + 0.5)),
            "e_value": doubling_e_value(n, x, p),
        },
    )


@overload
def binomial_exact(
    *, n: int, x: int, p: float, alternative: Alternative = ..., alpha: float = ...
) -> BacktestTest: ...
@overload
def binomial_exact(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: None = ...,
    alternative: Alternative = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def binomial_exact(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alternative: Alternative = ...,
    alpha: float = ...,
) -> OffsetOutcomes: ...
def binomial_exact(
    *,
    n: int | None = None,
    x: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the exact binomial test of the number of hits, with mid-p, normal p, and intervals.

    The statement to rely on for one year at 99 %, where limit laws are poor.

    Parameters
    ----------
    n, x, p, hits, horizon
        As in :func:`kupiec`.
    alternative : {"two-sided", "greater", "less"}
        Too many or too few hits, too many, too few.
    alpha : float
        Level of the decision in (0, 1); intervals have confidence 1 - alpha.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``statistic`` is x; ``p_asymptotic`` is the normal one of z = (x
        - np)/√(np(1-p)). ``details`` holds z, both exact and both mid-p one-sided p-values, ``p_mid`` of the
        alternative, the Clopper-Pearson interval (``_low``, ``_high``) and its one-sided bounds at confidence
        1 - alpha, the Jeffreys interval, the Jeffreys posterior probability that hits are more probable than
        p, and ``e_value``.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`kupiec`; also an unknown alternative.

    Notes
    -----
    One-sided P(X ≥ x) or P(X ≤ x); two-sided the sum of P(X = k) over all k no more probable than x. mid-p
    counts P(X = x) half, and doubles the smaller side if two-sided. Jeffreys: posterior Beta(x + 1/2, n - x +
    1/2), with bound 0 at x = 0 and 1 at x = n. ``critical_value`` is the smallest (``"less"``: largest) count
    that rejects, n + 1 (-1) where none does.

    References
    ----------
    Clopper and Pearson (1934); Brown, Cai and DasGupta (2001), section 4.

    Examples
    --------
    >>> result = binomial_exact(n=1000, x=55, p=0.05, alternative="greater")
    >>> round(result.p_exact, 7), round(result.details["p_mid"], 4)
    (0.2528819, 0.2315)
    >>> round(result.details["clopper_pearson_high"], 4)
    0.071
    """
    level = check_alpha(alpha)
    if alternative not in ("two-sided", "greater", "less"):
        raise ParameterError(
            f"alternative is {alternative!r}", "'two-sided', 'greater' or 'less'", "choose one of them"
        )
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts={"n": n, "x": x})
    return collect([_binomial(sample, alternative, level) for sample in samples], horizon)
