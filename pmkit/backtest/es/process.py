"""Evidence against VaR and ES that may be read every day: bets on the forecasts, without a law of the loss.

Each day gives an e-value, a non-negative number with mean 1 at most if the forecasts are right. Wealth that
bets a share of itself on it each day exceeds 1/α with probability α at most, on any day whatever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from pmkit.backtest.es.wealth import THRESHOLDS, EProcess, running_wealth
from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.simulated_null import exact_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["Betting", "average_e_processes", "e_backtest", "e_process"]

Betting = Literal["gree", "grel", "grem", "constant"]
"""Bets from past e-values; from past losses at today's forecasts; half of the wealth each; a constant bet."""

_MOST = 0.5  # of the wealth that may be bet


def _values(part: TailSeries, measure: str) -> FloatArray:
    """Return the e-value of each day."""
    if measure == "var":
        return np.asarray(np.where(part.hits.hits, 1.0 / part.p, 0.0))
    return np.asarray(np.maximum(part.loss - part.var, 0.0) / (part.p * (part.es - part.var)))


def _share(mean: Any, variance: Any) -> FloatArray:
    """Return (m - 1)/(v + (m - 1)²) cut to [0, 1/2]: the bet that grows fastest, to second order."""
    edge = mean - 1.0
    scale = np.where(edge > 0.0, variance + edge * edge, 1.0)
    return np.asarray(np.clip(np.where(edge > 0.0, edge / scale, 0.0), 0.0, _MOST), dtype=np.float64)


def _bets_from_values(values: FloatArray) -> FloatArray:
    bets = np.zeros(values.size)
    if values.size > 1:
        days = np.arange(1, values.size)
        mean = np.add.accumulate(values[:-1]) / days
        square = np.add.accumulate(values[:-1] ** 2) / days
        bets[1:] = _share(mean, np.maximum(square - mean * mean, 0.0))
    return bets


def _bets_from_losses(part: TailSeries, measure: str) -> FloatArray:
    """Return bets from past losses held against today's forecasts; O(n²)."""
    bets = np.zeros(part.n)
    for day in range(1, part.n):
        past = part.loss[:day]
        if measure == "var":
            values = (past > part.var[day]) / part.p
        else:
            values = np.maximum(past - part.var[day], 0.0) / (part.p * (part.es[day] - part.var[day]))
        mean = float(np.mean(values))
        if mean > 1.0:
            bets[day] = float(_share(mean, float(np.var(values))))
    return bets


def _path(part: TailSeries, measure: str, betting: str, bet: float, hits: int) -> EProcess:
    if measure == "es" and (part.es <= part.var).any():
        position = int(np.argmax(part.es <= part.var))
        raise ConventionError(
            f"es[{position}] equals VaR {part.var[position]:.8g}",
            "an ES above VaR, on which a bet has odds",
            "leave such days out knowingly, or use measure='var'",
        )
    values = _values(part, measure)
    choices: dict[str, FloatArray] = {}
    if betting == "constant":
        choices["constant"] = np.full(part.n, bet)
    if betting in ("gree", "grem"):
        choices["gree"] = _bets_from_values(values)
    if betting in ("grel", "grem"):
        choices["grel"] = _bets_from_losses(part, measure)
    paths = {name: running_wealth(bets, values) for name, bets in choices.items()}
    if betting == "grem":
        before = {name: np.append(1.0, path[:-1]) for name, path in paths.items()}
        wealth = (paths["gree"] + paths["grel"]) / 2.0
        total = before["gree"] + before["grel"]
        weighted = before["gree"] * choices["gree"] + before["grel"] * choices["grel"]
        bets = np.asarray(weighted / np.where(total > 0.0, total, 1.0))
    else:
        wealth, bets = paths[betting], choices[betting]
    return EProcess(
        name=f"e-process of {'ES' if measure == 'es' else 'VaR'}, {betting} bets",
        wealth=wealth,
        e_values=values,
        bets=bets,
        x=hits,
        p=part.p,
        horizon=part.horizon,
        dates=part.dates,
    )


def _check(measure: Any, betting: Any, bet: Any) -> float:
    for name, value, allowed in (
        ("measure", measure, ("es", "var")),
        ("betting", betting, ("gree", "grel", "grem", "constant")),
    ):
        if value not in allowed:
            raise ParameterError(
                f"{name} is {value!r}", " or ".join(map(repr, allowed)), "choose one of them"
            )
    if isinstance(bet, (bool, str)) or not isinstance(bet, (int, float, np.number)) or not 0.0 < bet <= _MOST:
        raise ParameterError(f"bet is {bet!r}", "a share of the wealth in (0, 0.5]", "pass bet=0.01")
    return float(bet)


def e_process(
    series: TailSeries,
    *,
    measure: Literal["es", "var"] = "es",
    betting: Betting = "grem",
    bet: float = 0.01,
) -> EProcess:
    """Return the path of wealth of a bet against VaR and ES, from 1; no unit.

    Use it to monitor a model: it assumes no law of the loss, may be read every day and stopped at will. It is
    one-sided: forecasts that are too high never raise it.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES, in order of time, that share no days.
    measure : {"es", "var"}
        Bet against VaR and ES, or against VaR alone.
    betting : {"grem", "gree", "grel", "constant"}
        How the share bet each day is chosen from the days before.
    bet : float
        Share of ``"constant"``, in (0, 0.5].

    Returns
    -------
    EProcess
        e-values, bets and wealth of each day, with the first day at 2, 5, 10 and 20 in its summary.

    Raises
    ------
    ConventionError
        Losses that share days (use :func:`e_backtest` with ``horizon``); an ES that equals VaR.
    ParameterError
        Not a TailSeries, an unknown measure or betting, a bet outside its domain.

    Notes
    -----
    e_t = (L_t - VaR_t)⁺/(p(ES_t - VaR_t)), or I_t/p for VaR alone; wealth M_t = Π(1 - λ_s + λ_s e_s). The bet
    λ is (ē - 1)/(v + (ē - 1)²) cut to [0, 1/2], with mean ē and variance v of past e-values (GREE), or of
    past losses held against today's forecasts (GREL); GREM puts half of the wealth in each. The null is that
    VaR is right **and** ES is not too low: a wrong VaR can raise the wealth although ES is right. Cost: O(n),
    O(n²) for GREL and GREM.

    References
    ----------
    Wang, Wang and Ziegel (2022), e-backtesting.

    Examples
    --------
    >>> loss = [1.0, 3.0, 0.5, 2.5, 4.0, 1.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 6, es=[3.0] * 6, level=0.9)
    >>> path = e_process(series, betting="constant", bet=0.1)
    >>> path.wealth.round(6).tolist()
    [0.9, 1.71, 1.539, 2.1546, 6.24834, 5.623506]
    >>> path.crossing(5)
    5
    """
    share = _check(measure, betting, bet)
    ((sample, part),) = read_tail(series, None)
    return _path(part, measure, betting, share, sample.x)


def average_e_processes(processes: Sequence[EProcess]) -> EProcess:
    """Return the mean wealth of several paths over the same days: one monitor for many portfolios.

    Parameters
    ----------
    processes : sequence of EProcess
        Paths over the same days and horizon, whatever the dependence between their losses.

    Returns
    -------
    EProcess
        ``x`` adds up the hits of all; e-values and bets are NaN; ``p`` is NaN where they differ.

    Raises
    ------
    ParameterError
        No path.
    SchemaError
        Paths over different days.

    Notes
    -----
    A mean of e-processes on one clock is an e-process. Offsets of overlapping losses have no common clock;
    :func:`e_backtest` with ``horizon`` averages their final values instead.

    References
    ----------
    Vovk and Wang (2021), proposition 3.1.

    Examples
    --------
    >>> series = TailSeries(loss=[3.0, 1.0], var=[2.0] * 2, es=[3.0] * 2, level=0.9)
    >>> one = e_process(series, betting="constant", bet=0.1)
    >>> average_e_processes([one, one]).wealth.round(6).tolist() == one.wealth.round(6).tolist()
    True
    """
    paths = list(processes)
    if not paths:
        raise ParameterError("there is no process", "one EProcess or more", "pass the processes in a list")
    first = paths[0]
    for position, path in enumerate(paths):
        same_dates = (path.dates is None) == (first.dates is None) and (
            path.dates is None or first.dates is None or path.dates.equals(first.dates)
        )
        if path.n != first.n or path.horizon != first.horizon or not same_dates:
            raise SchemaError(
                f"process {position} covers other days than process 0 ({path.n} against {first.n})",
                "the same days for all",
                "cut the series to common dates before betting",
            )
    nothing = np.full(first.n, math.nan)
    return EProcess(
        name=f"mean of {len(paths)} e-processes",
        wealth=np.add.reduce(np.array([path.wealth for path in paths]), axis=0) / len(paths),
        e_values=nothing,
        bets=nothing.copy(),
        x=sum(path.x for path in paths),
        p=first.p if len({path.p for path in paths}) == 1 else math.nan,
        horizon=first.horizon,
        dates=first.dates,
        references=("wang2022", "vovk2021"),
    )


@overload
def e_backtest(
    series: TailSeries,
    *,
    measure: Literal["es", "var"] = ...,
    betting: Betting = ...,
    bet: float = ...,
    horizon: None = ...,
    alpha: float = ...,
) -> BacktestTest: ...
@overload
def e_backtest(
    series: TailSeries,
    *,
    measure: Literal["es", "var"] = ...,
    betting: Betting = ...,
    bet: float = ...,
    horizon: float,
    alpha: float = ...,
) -> OffsetOutcomes: ...
def e_backtest(
    series: TailSeries,
    *,
    measure: Literal["es", "var"] = "es",
    betting: Betting = "grem",
    bet: float = 0.01,
    horizon: float | None = None,
    alpha: float = 0.05,
) -> BacktestTest | OffsetOutcomes:
    """Return the verdict of an e-process: whether wealth ever reached 1/alpha; no unit.

    Parameters
    ----------
    series, measure, betting, bet
        As in :func:`e_process`.
    horizon : float, optional
        Days. Needed where losses overlap: one bet then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given; its ``e_value`` is the mean of the final wealth of the offsets.
        ``statistic`` is the largest wealth, ``p_exact`` its inverse, valid on any day. ``details`` holds the
        ``e_value`` (final wealth) and the first days ``first_at_2``, ``_5``, ``_10`` and ``_20``, or None.

    Raises
    ------
    ConventionError, ParameterError
        As in :func:`e_process`.

    Notes
    -----
    1/largest is a valid p-value for any law of the loss, and conservative.

    References
    ----------
    Wang, Wang and Ziegel (2022); Vovk and Wang (2021).

    Examples
    --------
    >>> loss = [1.0, 3.0, 0.5, 2.5, 4.0, 1.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 6, es=[3.0] * 6, level=0.9)
    >>> result = e_backtest(series, betting="gree")
    >>> round(result.statistic, 6), round(result.p_exact, 6), result.decision
    (3.754726, 0.266331, 'not_rejected')
    """
    share, level_of_test = _check(measure, betting, bet), check_alpha(alpha)
    outcomes = []
    for sample, part in read_tail(series, horizon):
        path = _path(part, measure, betting, share, sample.x)
        firsts: dict[str, float | int | None] = {
            f"first_at_{threshold:g}": path.crossing(threshold) for threshold in THRESHOLDS
        }
        outcomes.append(
            outcome(
                sample,
                name=path.name,
                h0="VaR is right" + (" and ES is not too low" if measure == "es" else ""),
                h1="VaR or ES is too low" if measure == "es" else "VaR is too low",
                sidedness="greater",
                statistic=path.largest,
                distribution="bounded by Ville's inequality",
                found=exact_p(path.p_value, "Ville's inequality, valid on any day"),
                critical_value=1.0 / level_of_test,
                alpha=level_of_test,
                notes=sample.notes,
                references=("wang2022", "vovk2021"),
                details={"e_value": path.final, **firsts},
            )
        )
    return collect(outcomes, horizon)
