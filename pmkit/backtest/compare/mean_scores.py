"""Which of two models forecasts VaR and ES better: the test of their mean scores.

A score punishes a forecast whatever the sign of its error, so that it ranks models; it does not say that the
better one is right. That is what the other tests of :mod:`pmkit.backtest.es_tests` are for.
"""

from __future__ import annotations

import math
from typing import Literal, get_args, overload

import numpy as np
from scipy.stats import norm

from pmkit.backtest.compare.scores import check_tail, fzg_score, long_run_variance, tick_score
from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["compare_forecasts"]

Score = Literal["fz0", "tick", "root", "logistic"]
Alternative = Literal["greater", "less", "two-sided"]

_FEW_DAYS = 100

_WORDS: dict[str, tuple[str, str]] = {
    "greater": ("the model's mean score is no worse than that of the reference", "the model forecasts worse"),
    "less": ("the model's mean score is no better than that of the reference", "the model forecasts better"),
    "two-sided": ("both models have the same mean score", "one of them forecasts better"),
}


def _scores(series: TailSeries, score: Score) -> FloatArray:
    return tick_score(series) if score == "tick" else fzg_score(series, family=score)


def _compare(
    sample: Sample,
    model: TailSeries,
    reference: TailSeries,
    score: Score,
    lags: int | None,
    alternative: Alternative,
    alpha: float,
) -> BacktestTest:
    difference = _scores(model, score) - _scores(reference, score)
    n = sample.n
    used = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    notes, t = sample.notes, math.nan
    mean = float(np.add.reduce(difference)) / n
    scale = float(np.max(np.abs(difference)))
    variance = long_run_variance(difference, used) if n > used else math.nan
    if n <= used or scale == 0.0 or not variance > (1e-14 * scale) ** 2:
        notes += ("Note: cannot be evaluated: the scores do not differ, or by too few days",)
    else:
        t = mean / math.sqrt(variance / n)
    if n < _FEW_DAYS:
        notes += (f"SmallSampleWarning: {n} days, fewer than {_FEW_DAYS}: the normal limit is off",)
    worse, better = float(norm.sf(t)), float(norm.cdf(t))
    limit = {"greater": worse, "less": better, "two-sided": 2.0 * min(worse, better)}[alternative]
    zone: str | None = None
    if not math.isnan(t):
        zone = "red" if t > norm.isf(alpha) else "green" if better <= alpha else "yellow"
    h0, h1 = _WORDS[alternative]
    return outcome(
        sample,
        name=f"comparative backtest, {score}",
        h0=h0,
        h1=h1,
        sidedness=alternative,
        statistic={"greater": t, "less": -t, "two-sided": abs(t)}[alternative],
        distribution="normal" if alternative != "two-sided" else "size of a normal value",
        p_asymptotic=limit,
        critical_value=float(norm.isf(alpha / 2.0 if alternative == "two-sided" else alpha)),
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
    score: Score = ...,
    lags: int | None = ...,
    alternative: Alternative = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def compare_forecasts(
    model: TailSeries,
    reference: TailSeries,
    *,
    score: Score = ...,
    lags: int | None = ...,
    alternative: Alternative = ...,
    horizon: float,
    alpha: float = ...,
) -> OffsetOutcomes: ...
def compare_forecasts(
    model: TailSeries,
    reference: TailSeries,
    *,
    score: Score = "fz0",
    lags: int | None = None,
    alternative: Alternative = "greater",
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return Diebold and Mariano's test of a model against a reference: a t-statistic, high if it is worse.

    Use it to choose between models after the tests of each: it needs no model of the loss and punishes ES
    that is too high as well as too low.

    Parameters
    ----------
    model, reference : TailSeries
        Forecasts of two models for the same losses at the same level.
    score : {"fz0", "tick", "root", "logistic"}
        Loss of VaR and ES together, or of VaR alone; the last two as in :func:`fzg_score`.
    lags : int, optional
        Lags of the long-run variance, 0 or more: ⌊4(n/100)^(2/9)⌋ where absent; 0 takes days as independent.
    alternative : {"greater", "less", "two-sided"}
        The model is worse (its statistic is t), better (-t), or either (its statistic is the size of t).
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
        Not two TailSeries, an unknown score or alternative, lags outside their domain.
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
    check_tail(model, "model")
    check_tail(reference, "reference")
    for what, value, known in (
        ("score", score, get_args(Score)),
        ("alternative", alternative, get_args(Alternative)),
    ):
        if value not in known:
            raise ParameterError(f"{what} is {value!r}", f"one of {', '.join(known)}", "choose one of them")
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
        [
            _compare(sample, part, other, score, order, alternative, level)
            for (sample, part), (_, other) in pairs
        ],
        horizon,
    )
