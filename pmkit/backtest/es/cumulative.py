"""Are the losses beyond VaR as severe as the model says: the sum of cumulative violations.

The cumulative violation H = (1 - U/p)⁺ of a day is 0 without a hit, and uniform on (0, 1) given one. Its
law is known, so that no limit is needed: the sum over n days has an exact law.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
from scipy.stats import norm

from pmkit.backtest.es.violation_law import violation_law
from pmkit.backtest.series.checks import as_float_array, check_alpha, check_count
from pmkit.backtest.series.es_series import PitSeries, check_level, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import exact_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ConventionError, ParameterError

__all__ = ["costanzino_curran", "du_escanciano"]

_YELLOW, _RED = 0.95, 0.9999
_FEW = 10.0


def _read(series: Any, n: Any, x: Any, mean: Any, level: Any, horizon: Any) -> list[tuple[Sample, float]]:
    """Return counts and mean cumulative violation of each series, or those of a report."""
    reported = {"n": n, "x": x, "mean": mean, "level": level}
    given = [name for name, value in reported.items() if value is not None]
    if series is not None:
        if given:
            raise ParameterError(
                f"series and {', '.join(given)} are both given",
                "either a series or the figures of a report",
                "drop one of them",
            )
        return [(sample, float(np.mean(part.violations()))) for sample, part in read_pit(series, horizon)]
    absent = [name for name, value in reported.items() if value is None]
    if absent:
        raise ParameterError(
            f"{', '.join(absent)} not given", "either series or all of n, x, mean, level", "pass the rest"
        )
    if horizon is not None:
        raise ConventionError(
            f"horizon={horizon!r} is given with the figures of a report",
            "a PitSeries, which can be split into offsets without overlap",
            "pass series=, or leave horizon out if the losses share no days",
        )
    size, hits = check_count(n, "n"), check_count(x, "x")
    value = float(as_float_array([mean], "mean")[0])
    if size == 0 or hits > size or not 0.0 <= value * size <= hits:
        raise ParameterError(
            f"n, x, mean are {size}, {hits}, {value:.8g}",
            "n of 1 or more, x ≤ n, and a mean between 0 and x/n",
            "take the mean of (1 - U/p)⁺ over all n days",
        )
    return [(Sample(n=size, x=hits, p=check_level(level)), value)]


def _summed(sample: Sample, mean: float, alternative: str, alpha: float, *, zones: bool) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    law, total = violation_law(n, p), n * mean
    z = (total - law.mean) / law.sd
    greater, less = law.sf(total), law.cdf(total)
    both = min(1.0, 2.0 * min(greater, less))
    exact, sided = (greater, "one-sided") if alternative == "greater" else (both, "twice the smaller side")
    notes = sample.notes
    if n * p < _FEW:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_FEW:g}: the normal p-value is "
            "off, read the exact one",
        )
    details: dict[str, Any] = {"mean_violation": mean, "z": z, "p_greater": greater, "p_less": less}
    details |= {"expected_mean": p / 2.0, "sd_mean": law.sd / n}
    if zones:
        yellow, red = law.quantile(_YELLOW), law.quantile(_RED)
        details |= {
            "zone": "red" if total >= red else "yellow" if total >= yellow else "green",
            "yellow_from": yellow,
            "red_from": red,
            "normal_yellow_from": law.mean + float(norm.ppf(_YELLOW)) * law.sd,
            "normal_red_from": law.mean + float(norm.ppf(_RED)) * law.sd,
        }
    return outcome(
        sample,
        name="Costanzino-Curran ES coverage" if zones else "Du-Escanciano unconditional",
        h0="cumulative violations have the mean of a right tail",
        h1="hits are more frequent or more severe" if alternative == "greater" else "another mean",
        sidedness=alternative,
        statistic=total if zones else mean,
        distribution="sum of uniform severities" if zones else "mean of uniform severities",
        p_asymptotic=float(norm.sf(z)) if alternative == "greater" else 2.0 * float(norm.sf(abs(z))),
        found=exact_p(exact, f"exact law of the sum, {sided}"),
        critical_value=law.quantile(1.0 - alpha) / (1.0 if zones else n)
        if alternative == "greater"
        else math.nan,
        alpha=alpha,
        notes=notes,
        references=("costanzino2015", "costanzino2018") if zones else ("du2017",),
        details=details | {"e_value": doubling_e_value(n, x, p)},
    )


@overload
def du_escanciano(
    series: PitSeries | None = ...,
    *,
    n: int | None = ...,
    x: int | None = ...,
    mean: float | None = ...,
    level: float | None = ...,
    alternative: Literal["two-sided", "greater"] = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def du_escanciano(
    series: PitSeries,
    *,
    alternative: Literal["two-sided", "greater"] = ...,
    horizon: float,
    alpha: float = ...,
) -> OffsetOutcomes: ...
def du_escanciano(
    series: PitSeries | None = None,
    *,
    n: int | None = None,
    x: int | None = None,
    mean: float | None = None,
    level: float | None = None,
    alternative: Literal["two-sided", "greater"] = "two-sided",
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the unconditional ES test of Du and Escanciano: the mean cumulative violation, no unit.

    Use it to ask whether hits are too many or too severe under the model's own law of the P&L. It does not
    see clustering (:func:`~pmkit.backtest.es_tests.du_escanciano_conditional`).

    Parameters
    ----------
    series : PitSeries, optional
        Probabilities of the P&L that came.
    n, x : int, optional
        In place of the series: observations and hits of a report.
    mean : float, optional
        Mean of (1 - U/p)⁺ over all n days, of a report.
    level : float, optional
        Confidence level of the report, in [0.5, 1); a series brings its own.
    alternative : {"two-sided", "greater"}
        Another mean, or a larger one.
    horizon : float, optional
        Days. Needed where losses overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``statistic`` is the mean; ``p_asymptotic`` the normal p-value of
        z; the decision is by the exact law. ``details`` holds ``mean_violation``, ``z``, both one-sided exact
        p-values, ``expected_mean`` p/2, ``sd_mean``, and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError
        A series and a report together or neither; figures that contradict each other; over 20,000 expected
        hits.
    ConventionError
        An overlapping series without ``horizon``, or a tail probability in place of a level.

    Notes
    -----
    H_t = (1 - U_t/p)⁺ has mean p/2 and variance p(1/3 - p/4): z = (H̄ - p/2)/√(p(1/3 - p/4)/n). The law is
    that of a right model without error of estimation. The normal law is too thin to the right at few
    expected hits; the exact one comes from :class:`~pmkit.backtest.es_tests.ViolationLaw`.

    References
    ----------
    Du and Escanciano (2017), unconditional test.

    Examples
    --------
    >>> result = du_escanciano(n=1966, x=55, mean=0.015998, level=0.975)
    >>> round(result.details["sd_mean"], 7), round(result.p_asymptotic, 4), round(result.p_exact, 4)
    (0.0020394, 0.0863, 0.0963)
    """
    level_of_test = check_alpha(alpha)
    if alternative not in ("two-sided", "greater"):
        raise ParameterError(
            f"alternative is {alternative!r}", "'two-sided' or 'greater'", "choose one of them"
        )
    cases = _read(series, n, x, mean, level, horizon)
    return collect(
        [_summed(s, value, alternative, level_of_test, zones=False) for s, value in cases], horizon
    )


@overload
def costanzino_curran(
    series: PitSeries | None = ...,
    *,
    n: int | None = ...,
    x: int | None = ...,
    mean: float | None = ...,
    level: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def costanzino_curran(series: PitSeries, *, horizon: float, alpha: float = ...) -> OffsetOutcomes: ...
def costanzino_curran(
    series: PitSeries | None = None,
    *,
    n: int | None = None,
    x: int | None = None,
    mean: float | None = None,
    level: float | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the ES coverage test of Costanzino and Curran with its traffic light; the statistic is in hits.

    Parameters
    ----------
    series, n, x, mean, level, horizon, alpha
        As in :func:`du_escanciano`.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``statistic`` is the sum of cumulative violations, one-sided
        up. ``details`` adds to those of :func:`du_escanciano` the ``zone``, ``yellow_from`` and ``red_from``
        of the exact law, and ``normal_yellow_from`` and ``normal_red_from`` of its limit.

    Raises
    ------
    ParameterError, ConventionError
        As in :func:`du_escanciano`.

    Notes
    -----
    The statistic is n times that of Du and Escanciano, against N(np/2, np(4 - 3p)/12) in the limit. The zones
    are those of Basel: yellow from the 95 % quantile, red from the 99.99 % one. The exact red limit lies well
    above the normal one, as the law has a long right tail.

    References
    ----------
    Costanzino and Curran (2015), coverage test; Costanzino and Curran (2018), traffic light.

    Examples
    --------
    >>> result = costanzino_curran(n=250, x=9, mean=0.0236, level=0.975)
    >>> result.details["zone"], round(result.details["normal_yellow_from"], 4)
    ('yellow', 5.4768)
    >>> round(result.details["normal_red_from"], 4), result.details["red_from"] > 9.0
    (8.4424, True)
    """
    level_of_test = check_alpha(alpha)
    cases = _read(series, n, x, mean, level, horizon)
    return collect([_summed(s, value, "greater", level_of_test, zones=True) for s, value in cases], horizon)
