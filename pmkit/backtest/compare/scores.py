"""Which of two models forecasts VaR and ES better: scores that the right forecast minimises, and their mean.

A score punishes a forecast whatever the sign of its error, so that it ranks models; it does not say that the
better one is right. That is what the other tests of :mod:`pmkit.backtest.es_tests` are for.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
from scipy.stats import norm

from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["compare_forecasts", "fz0_score", "tick_score"]

_FEW_DAYS = 100


def tick_score(series: TailSeries) -> FloatArray:
    """Return the tick loss of the VaR of each day, shape (n,), in money: the smaller the better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR.

    Returns
    -------
    array, shape (n,)
        Non-negative.

    Raises
    ------
    ParameterError
        Not a TailSeries.

    Notes
    -----
    (I_t - p)(L_t - VaR_t); its mean is smallest at the right VaR.

    References
    ----------
    Fissler and Ziegel (2016), on scores for quantiles.

    Examples
    --------
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(float(tick_score(series).mean()), 6)
    0.328
    """
    _check(series, "series")
    return np.asarray((series.hits.hits - series.p) * (series.loss - series.var))


def fz0_score(series: TailSeries) -> FloatArray:
    """Return the FZ0 loss of VaR and ES of each day, shape (n,), no unit: the smaller the better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES.

    Returns
    -------
    array, shape (n,)
        Of any sign. Differences between models do not depend on the unit of money.

    Raises
    ------
    ParameterError
        Not a TailSeries.

    Notes
    -----
    I_t(L_t - VaR_t)/(p ES_t) + VaR_t/ES_t + ln ES_t - 1; its mean is smallest at the right pair of VaR and
    ES. It is the score of Fissler and Ziegel whose differences are homogeneous of degree 0.

    References
    ----------
    Fissler and Ziegel (2016); Patton, Ziegel and Chen (2019), equation 6.

    Examples
    --------
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(float(fz0_score(series).mean()), 8)
    1.47629073
    """
    _check(series, "series")
    beyond = np.where(series.hits.hits, series.loss - series.var, 0.0)
    return np.asarray(beyond / (series.p * series.es) + series.var / series.es + np.log(series.es) - 1.0)


def _check(series: Any, name: str) -> None:
    if not isinstance(series, TailSeries):
        raise ParameterError(
            f"{name} is of type {type(series).__name__}",
            "a TailSeries",
            "pass TailSeries(loss=..., var=..., es=..., level=0.975)",
        )


def long_run_variance(values: FloatArray, lags: int) -> float:
    """Return the variance of √n times the mean, by Newey and West's weights 1 - j/(lags + 1)."""
    n, centred = values.size, values - np.add.reduce(values) / values.size
    total = float(np.add.reduce(centred * centred)) / n
    for lag in range(1, lags + 1):
        shared = float(np.add.reduce(centred[lag:] * centred[:-lag])) / n
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * shared
    return total


def _compare(
    sample: Sample, model: TailSeries, reference: TailSeries, score: str, lags: int | None, alpha: float
) -> BacktestTest:
    scoring = fz0_score if score == "fz0" else tick_score
    difference = scoring(model) - scoring(reference)
    n = sample.n
    used = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    notes, statistic = sample.notes, math.nan
    mean = float(np.add.reduce(difference)) / n
    scale = float(np.max(np.abs(difference)))
    variance = long_run_variance(difference, used) if n > used else math.nan
    if n <= used or scale == 0.0 or not variance > (1e-14 * scale) ** 2:
        notes += ("Note: cannot be evaluated: the scores do not differ, or by too few days",)
    else:
        statistic = mean / math.sqrt(variance / n)
    if n < _FEW_DAYS:
        notes += (f"SmallSampleWarning: {n} days, fewer than {_FEW_DAYS}: the normal limit is off",)
    better = float(norm.cdf(statistic)) if not math.isnan(statistic) else math.nan
    zone: str | None = None
    if not math.isnan(statistic):
        zone = "red" if statistic > norm.isf(alpha) else "green" if better <= alpha else "yellow"
    return outcome(
        sample,
        name=f"comparative backtest, {score}",
        h0="the model's mean score is no worse than that of the reference",
        h1="the model forecasts worse",
        sidedness="greater",
        statistic=statistic,
        distribution="normal",
        p_asymptotic=float(norm.sf(statistic)) if not math.isnan(statistic) else math.nan,
        critical_value=float(norm.isf(alpha)),
        alpha=alpha,
        decided_by="asymptotic",
        notes=notes,
        references=("diebold1995", "nolde2017", "fissler2016", "patton2019", "newey1987"),
        details={"mean_difference": mean, "lags": used, "zone": zone, "p_better": better},
    )


@overload
def compare_forecasts(
    model: TailSeries,
    reference: TailSeries,
    *,
    score: Literal["fz0", "tick"] = ...,
    lags: int | None = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def compare_forecasts(
    model: TailSeries,
    reference: TailSeries,
    *,
    score: Literal["fz0", "tick"] = ...,
    lags: int | None = ...,
    horizon: float,
    alpha: float = ...,
) -> OffsetOutcomes: ...
def compare_forecasts(
    model: TailSeries,
    reference: TailSeries,
    *,
    score: Literal["fz0", "tick"] = "fz0",
    lags: int | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the comparative backtest of a model against a reference: a t-statistic, positive if it is worse.

    Use it to choose between models after the tests of each: it needs no model of the loss and punishes ES
    that is too high as well as too low.

    Parameters
    ----------
    model, reference : TailSeries
        Forecasts of two models for the same losses at the same level.
    score : {"fz0", "tick"}
        Loss of VaR and ES together, or of VaR alone.
    lags : int, optional
        Lags of the long-run variance, 0 or more: ⌊4(n/100)^(2/9)⌋ where absent; 0 takes days as independent.
    horizon : float, optional
        Days. Needed where losses overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``mean_difference`` (model minus reference),
        ``lags``, ``p_better``, and the ``zone``: red if the model is worse at ``alpha``, green if it is
        better, yellow if the data cannot tell.

    Raises
    ------
    ParameterError
        Not two TailSeries, an unknown score, lags outside their domain.
    SchemaError
        Other losses, level, horizon or dates in the two.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    t = d̄/√(v/n), d the difference of scores and v its long-run variance with weights 1 - j/(lags + 1), normal
    in the limit. ``p_better`` is the p-value against the opposite hypothesis. Scores of heavy tails are
    heavy-tailed themselves: one date may decide.

    References
    ----------
    Diebold and Mariano (1995); Nolde and Ziegel (2017), comparative backtests; Newey and West (1987).

    Examples
    --------
    >>> import numpy as np
    >>> loss = np.sin(np.arange(200.0) ** 2)
    >>> one, two = (TailSeries(loss=loss, var=[v] * 200, es=[v + 0.1] * 200, level=0.9) for v in (0.9, 0.5))
    >>> result = compare_forecasts(one, two)
    >>> result.details["zone"], result.decision
    ('green', 'not_rejected')
    """
    level = check_alpha(alpha)
    _check(model, "model")
    _check(reference, "reference")
    if score not in ("fz0", "tick"):
        raise ParameterError(f"score is {score!r}", "'fz0' or 'tick'", "choose one of them")
    order = None if lags is None else check_count(lags, "lags", largest=10_000)
    dates = (model.dates is None) == (reference.dates is None) and (
        model.dates is None or reference.dates is None or model.dates.equals(reference.dates)
    )
    for what, same in (
        ("losses", np.array_equal(model.loss, reference.loss)),
        ("level", model.p == reference.p),
        ("horizon or step", (model.horizon, model.step) == (reference.horizon, reference.step)),
        ("dates", dates),
    ):
        if not same:
            raise SchemaError(
                f"model and reference differ in their {what}",
                "two forecasts for the same losses at one level",
                "cut both to common dates and take VaR and ES at one level",
            )
    pairs = zip(read_tail(model, horizon), read_tail(reference, horizon), strict=True)
    return collect(
        [_compare(sample, part, other, score, order, level) for (sample, part), (_, other) in pairs], horizon
    )
