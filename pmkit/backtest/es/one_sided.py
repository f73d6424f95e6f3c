"""Calibration of VaR and ES against a margin that is too low: several t-statistics, one p-value."""

from __future__ import annotations

import math
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from pmkit.backtest.es.null_law import Null, TailLaw, check_law, tail_blocks
from pmkit.backtest.es.residuals import day_scale
from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, SimulatedP, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray

__all__ = ["one_sided_calibration"]

Rows = Literal["simple", "general"]
Combination = Literal["hommel", "bonferroni"]


def _number(weight: FloatArray, at: IntArray, p: float) -> FloatArray:
    """Return the t-statistic of w(I - p) around 0 of each row; ``at`` are the days of hits, n for none."""
    padded, hit = np.append(weight, 0.0), at < weight.size
    whole, square = float(np.add.reduce(weight)), float(np.add.reduce(weight * weight))
    on = np.where(hit, padded[at], 0.0)
    total = np.add.reduce(on, axis=1) - p * whole
    spread = (1.0 - 2.0 * p) * np.add.reduce(on * on, axis=1) + p * p * square
    return np.asarray(total / np.sqrt(spread))


def _size(weight: FloatArray, gap: FloatArray, at: IntArray, beyond: FloatArray, p: float) -> FloatArray:
    """Return the t-statistic of w(VaR - ES + I(L - VaR)/p) around 0 of each row."""
    calm, hit = weight * gap, at < gap.size
    on = np.where(hit, np.append(calm, 0.0)[at], 0.0)
    severe = np.where(hit, np.append(weight, 0.0)[at] * beyond / p - on, 0.0)
    total = np.add.reduce(severe, axis=1) - (float(np.add.reduce(calm)) - np.add.reduce(on, axis=1))
    rest = float(np.add.reduce(calm * calm)) - np.add.reduce(on * on, axis=1)
    spread = np.add.reduce(severe * severe, axis=1) + np.maximum(rest, 0.0)
    return np.asarray(total / np.sqrt(spread))


def _combined(t: FloatArray, how: str) -> FloatArray:
    """Return minus the logarithm of the combined p-value of each row of t-statistics, not capped at 1."""
    logs = np.sort(np.asarray(norm.logsf(t)), axis=1)
    size = t.shape[1]
    if how == "bonferroni":
        return np.asarray(-(logs[:, 0] + math.log(size)))
    rank = np.arange(1, size + 1)
    harmonic = float(np.add.reduce(1.0 / rank))
    return np.asarray(-np.min(logs + np.log(harmonic * size / rank), axis=1))


def _test(
    sample: Sample,
    part: TailSeries,
    kind: str,
    how: str,
    scale: FloatArray,
    law: TailLaw,
    alpha: float,
    draws: int,
    seed: int,
) -> BacktestTest:
    n, p = sample.n, sample.p
    gap, one = part.es - part.var, np.ones(n)

    def statistics(at: IntArray, beyond: FloatArray) -> FloatArray:
        rows = [_number(one, at, p), _size(one, gap, at, beyond, p)]
        if kind == "general":
            rows += [_number(part.var, at, p), _size(1.0 / scale, gap, at, beyond, p)]
        return np.column_stack(rows)

    day = np.flatnonzero(part.hits.hits).astype(np.int64)
    notes = sample.notes
    if (gap <= 0.0).any() or (kind == "general" and not part.var.any()):
        notes += ("Note: cannot be evaluated: ES must be above VaR on every day, and VaR above 0 on one",)
        return _outcome(sample, kind, how, alpha, seed, notes)
    t = statistics(day[None, :], (part.loss - part.var)[day][None, :])
    statistic = float(_combined(t, how)[0])
    rng, drawn = stream(seed, "backtest", "one_sided_calibration", kind), []
    padded = np.append(gap, 0.0)
    for days, _, excess in tail_blocks(rng, n, p, draws, law):
        at = np.where(days > 0, days - 1, n)
        drawn.append(_combined(statistics(at, padded[at] * excess), how))
    found = ranked(rng, np.concatenate(drawn), statistic, f"Monte Carlo of {law.words}, {draws} draws")
    limit = min(1.0, math.exp(-statistic))
    if (limit <= alpha) != (found.value <= alpha):
        notes += ("Note: the normal limit decides otherwise",)
    return _outcome(sample, kind, how, alpha, seed, notes, statistic, limit, found, t[0])


def _outcome(
    sample: Sample,
    kind: str,
    how: str,
    alpha: float,
    seed: int,
    notes: tuple[str, ...],
    statistic: float = math.nan,
    limit: float = math.nan,
    found: SimulatedP = NO_SIMULATION,
    t: FloatArray | None = None,
) -> BacktestTest:
    names = ("t_number", "t_size", "t_number_weighted", "t_size_weighted")
    parts = {} if t is None else dict(zip(names, map(float, t), strict=False))
    return outcome(
        sample,
        name=f"one-sided calibration, {kind}",
        h0="neither VaR nor ES is too low",
        h1="VaR or ES is too low",
        sidedness="greater",
        statistic=statistic,
        distribution=f"bounded by {how.capitalize()}'s inequality",
        p_asymptotic=limit,
        found=found,
        critical_value=-math.log(alpha),
        alpha=alpha,
        notes=notes,
        references=("nolde2017", "hommel1983", "dufour2006"),
        details={
            **parts,
            "p_ties_broken": found.broken,
            "seed": seed,
            "e_value": doubling_e_value(sample.n, sample.x, sample.p),
        },
    )


@overload
def one_sided_calibration(
    series: TailSeries,
    *,
    kind: Rows = ...,
    combination: Combination = ...,
    scale: npt.ArrayLike | None = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def one_sided_calibration(
    series: TailSeries,
    *,
    kind: Rows = ...,
    combination: Combination = ...,
    scale: npt.ArrayLike | None = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def one_sided_calibration(
    series: TailSeries,
    *,
    kind: Rows = "simple",
    combination: Combination = "hommel",
    scale: npt.ArrayLike | None = None,
    null: Null = "normal",
    df: float | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the one-sided calibration test of VaR and ES: minus the log of a combined p-value, no unit.

    Use it where a margin that is too high is no fault: :func:`nolde_ziegel` rejects that as well.

    Parameters
    ----------
    series, horizon, alpha, seed
        As in :func:`mcneil_frey`.
    kind : {"simple", "general"}
        One statistic of the number of hits and one of their size, or each also weighted by the day: the
        number by VaR, the size by one over ``scale``.
    combination : {"hommel", "bonferroni"}
        How the p-values are joined; both hold under any dependence between them.
    scale : array-like, shape (n,), optional
        Forecast deviation of each day, positive, for ``"general"``; ES where absent.
    null, df, draws
        As in :func:`nolde_ziegel`.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the simulated p-value, ``p_asymptotic`` is the
        combined one of the normal limits. ``details`` holds the t-statistics, positive where the margin is
        too low.

    Raises
    ------
    ParameterError, SchemaError
        An unknown kind, combination or null, a scale that is not positive or of another length, or given for
        ``"simple"``.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    Rows of U = (I - p, VaR - ES + I(L - VaR)/p), each with t = Σu/√(Σu²), p-value 1 - Φ(t). Hommel: min_k
    (c m/k) p_(k) over the m ordered p-values, c = Σ 1/k. The R package esback takes p - I in the first row,
    which is large for too few hits; its p-values differ from these for that reason. No hit is evidence
    against H1; an ES equal to VaR is ``"not_evaluable"``.

    References
    ----------
    Nolde and Ziegel (2017), one-sided calibration tests; Hommel (1983); Dufour (2006), section 2.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> result = one_sided_calibration(series, draws=99)
    >>> round(result.details["t_number"], 6), round(result.details["t_size"], 6)
    (1.264911, 1.164646)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    for name, value, allowed in (
        ("kind", kind, ("simple", "general")),
        ("combination", combination, ("hommel", "bonferroni")),
    ):
        if value not in allowed:
            raise ParameterError(
                f"{name} is {value!r}", " or ".join(map(repr, allowed)), "choose one of them"
            )
    if kind == "simple" and scale is not None:
        raise ParameterError(
            "scale is given for kind 'simple'", "a scale for 'general' alone", "leave scale out"
        )
    law, parts = check_law(null, df), read_tail(series, horizon)
    divisor, stride = day_scale(scale, series), len(parts)
    return collect(
        [
            _test(sample, part, kind, combination, divisor[offset::stride], law, level, draws, seed)
            for offset, (sample, part) in enumerate(parts)
        ],
        horizon,
    )
