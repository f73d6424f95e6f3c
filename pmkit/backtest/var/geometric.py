"""Does the chance of a hit depend on the days since the last one: the geometric duration test."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

from pmkit.backtest.series.checks import check_alpha
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

__all__ = ["geometric_duration", "geometric_fit"]

Hypothesis = Literal["independence", "conditional"]

_STEPS = 60
_HALVINGS = 30
_ENOUGH = 1e-10  # gain in log likelihood at which the search ends
_BLOCK = 4_000_000  # numbers of one table of waiting days


def _waiting(days: IntArray, x: IntArray, n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return calm days by days since the last hit, Σ ln d over complete waits, and the complete waits.

    Shapes (rows, n), (rows,), (rows,). The wait before the first hit counts from the first day, and its hit
    does not enter: how long ago the one before it was is unknown.
    """
    rows = np.arange(x.size)
    between = np.where(days[:, 1:] > 0, days[:, 1:] - days[:, :-1], 0)
    ends = np.concatenate(
        [(days[:, 0] - 1)[:, None], np.maximum(between - 1, 0), (n - days[rows, x - 1])[:, None]], axis=1
    )
    # A wait of k calm days has one of each of the ages 1 to k: count those that last at least so long.
    last = np.zeros((x.size, n + 1))
    np.add.at(last, (np.repeat(rows, ends.shape[1]), ends.reshape(-1)), 1.0)
    calm = np.add.accumulate(last[:, :0:-1], axis=1)[:, ::-1]
    logs = np.add.reduce(np.log(np.maximum(between, 1)), axis=1)
    return np.ascontiguousarray(calm), logs, (x - 1).astype(np.float64)


def _value(
    a: FloatArray, c: FloatArray, calm: FloatArray, logs: FloatArray, size: FloatArray, age: FloatArray
) -> FloatArray:
    """Return the log likelihood of each row; minus infinity where a hazard reaches 1 on a calm day."""
    at_risk = calm > 0.0
    line = np.where(at_risk, a[:, None] + c[:, None] * age, -1.0)
    none = np.log1p(-np.exp(np.minimum(line, -1e-15)))
    found = size * a + c * logs + np.add.reduce(np.where(at_risk, calm * none, 0.0), axis=1)
    return np.where((line < 0.0).all(axis=1), found, -np.inf)


def _step(
    a: FloatArray, c: FloatArray, calm: FloatArray, logs: FloatArray, size: FloatArray, age: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the Newton step of each row, in the level alone where the days say nothing of the slope."""
    at_risk = calm > 0.0
    hazard = np.exp(np.where(at_risk, a[:, None] + c[:, None] * age, -1.0))
    odds = np.where(at_risk, calm * hazard / (1.0 - hazard), 0.0)
    bend = np.where(at_risk, odds / (1.0 - hazard), 0.0)
    ga, gc = size - np.add.reduce(odds, axis=1), logs - np.add.reduce(odds * age, axis=1)
    haa = np.add.reduce(bend, axis=1)
    hac, hcc = np.add.reduce(bend * age, axis=1), np.add.reduce(bend * age * age, axis=1)
    determinant = haa * hcc - hac * hac
    firm = determinant > 1e-12 * haa * hcc
    base = np.where(firm, determinant, 1.0)
    da = np.where(firm, (hcc * ga - hac * gc) / base, ga / np.maximum(haa, 1e-300))
    return da, np.where(firm, (haa * gc - hac * ga) / base, 0.0)


def _climb(calm: FloatArray, logs: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return exponent b - 1 and log likelihood of each row by Newton steps, halved where one overshoots."""
    used = int(np.flatnonzero(calm.any(axis=0)).max()) + 1
    calm, age = calm[:, :used], np.log(np.arange(1.0, used + 1.0))
    a, c = np.log(size / (np.add.reduce(calm, axis=1) + size)), np.zeros(size.size)
    current = _value(a, c, calm, logs, size, age)
    going = np.arange(size.size)
    for _ in range(_STEPS):
        part = (calm[going], logs[going], size[going], age)
        da, dc = _step(a[going], c[going], *part)
        step, best = np.ones(going.size), current[going]
        waiting = np.ones(going.size, dtype=np.bool_)
        for _ in range(_HALVINGS):
            tried = _value(a[going] + step * da, c[going] + step * dc, *part)
            better = waiting & (tried > current[going])
            best, waiting = np.where(better, tried, best), waiting & ~better
            if not waiting.any():
                break
            step = np.where(waiting, 0.5 * step, step)
        step = np.where(waiting, 0.0, step)
        gain = best - current[going]
        a[going], c[going], current[going] = a[going] + step * da, c[going] + step * dc, best
        going = going[gain > _ENOUGH]
        if going.size == 0:
            break
    return c, current


def geometric_fit(days: IntArray, x: IntArray, n: int, p: float | None) -> tuple[FloatArray, FloatArray]:
    """Return the shape b and the likelihood ratio against b = 1, each of shape (rows,).

    Parameters
    ----------
    days : array of int, shape (rows, widest)
        Days of hits from 1, ascending, 0 beyond x.
    x : array of int, shape (rows,)
        Hits of each row, 2 or more.
    n : int
        Days in all.
    p : float or None
        Tail probability that the null states too; None where it leaves the level of the hazard open.
    """
    shape, ratio = np.empty(x.size), np.empty(x.size)
    rows = max(1, _BLOCK // (n + 1))
    for start in range(0, x.size, rows):
        part = slice(start, start + rows)
        calm, logs, size = _waiting(days[part], x[part], n)
        rest = np.add.reduce(calm, axis=1)
        share = size / (size + rest) if p is None else np.full(size.size, p)
        null = xlogy(size, share) + xlogy(rest, 1.0 - share)
        c, found = _climb(calm, logs, size)
        shape[part], ratio[part] = 1.0 + c, np.maximum(2.0 * (found - null), 0.0)
    return shape, ratio


def _geometric(
    sample: Sample, hits: BoolArray, hypothesis: Hypothesis, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    joint = hypothesis == "conditional"
    shape = statistic = math.nan
    simulated = NO_SIMULATION
    notes: tuple[str, ...] = ()
    days = hit_days(hits)
    if x < 2 or x == n:
        notes = ("Note: cannot be evaluated: two hits are needed, and a day without one",)
    else:
        stated = p if joint else None
        shapes, ratios = geometric_fit(days[None, :], np.array([x]), n, stated)
        shape, statistic = float(shapes[0]), float(ratios[0])
        rng = stream(seed, "backtest", "geometric_duration", hypothesis)
        counts = draw_counts(rng, n, p, draws, lowest=2, highest=n - 1) if joint else np.full(draws, x)
        simulated = simulated_p(
            rng, n, counts, lambda day, count: geometric_fit(day, count, n, stated)[1], statistic, "x"
        )
    return limit_test(
        sample,
        name=f"geometric duration, {hypothesis}",
        h0=f"a hit has probability {p:.8g} whatever the days since the last one" if joint
        else "the chance of a hit does not depend on the days since the last one",
        h1="it falls (shape below 1, clusters) or rises with them" + (", or is another one" if joint else ""),
        statistic=statistic,
        df=2 if joint else 1,
        alpha=alpha,
        simulated=simulated,
        n_effective=max(x - 1, 0),
        references=("berkowitz2011", "dufour2006"),
        details={
            "shape": shape,
            "p_ties_broken": simulated.broken,
            "seed": seed,
            **({"e_value": doubling_e_value(n, x, p)} if joint else {}),
        },
        notes=notes,
    )  # fmt: skip


@overload
def geometric_duration(
    *,
    n: int | None = ...,
    durations: npt.ArrayLike | None = ...,
    p: float | None = ...,
    hits: HitSeries | npt.ArrayLike | None = ...,
    horizon: None = ...,
    hypothesis: Hypothesis = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def geometric_duration(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    hypothesis: Hypothesis = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def geometric_duration(
    *,
    n: int | None = None,
    durations: npt.ArrayLike | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    hypothesis: Hypothesis = "independence",
    alpha: float = 0.05,
    draws: int = 999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the likelihood ratio test of a hazard that changes with the days since the last hit, no unit.

    Use it beside :func:`weibull_duration`: days are whole here, as they are in the data.

    Parameters
    ----------
    n, durations, p, hits, horizon, alpha, draws, seed
        As in :func:`haas`.
    hypothesis : {"independence", "conditional"}
        The hazard is constant, or constant at ``p``.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds the fitted ``shape`` b (below 1: clusters),
        ``p_ties_broken`` and the seed.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`haas`; an unknown hypothesis.

    Notes
    -----
    A hit d days after the last one has probability a d^(b-1): geometric waiting times for b = 1. The log
    likelihood Σ_hits ln(a d^(b-1)) + Σ_calm ln(1 - a d^(b-1)) is concave in (ln a, b); LR against b = 1 is
    chi-square with 1 degree of freedom in the limit, against b = 1 and a = p with 2. Calm days before the
    first hit count from the first day. Fewer than two hits are ``"not_evaluable"``. Cost: O(draws·n).

    References
    ----------
    Berkowitz, Christoffersen and Pelletier (2011), section 3.3; Dufour (2006), section 2.

    Examples
    --------
    >>> result = geometric_duration(n=20, durations=[3, 1, 6, 6], draws=99)
    >>> round(result.details["shape"], 4), round(result.statistic, 4)
    (2.1496, 1.1119)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if hypothesis not in ("independence", "conditional"):
        raise ParameterError(
            f"hypothesis is {hypothesis!r}", "'independence' or 'conditional'", "choose one of them"
        )
    needs_p = hypothesis == "conditional"
    ordered = read_ordered(hits=hits, durations=durations, n=n, p=p, horizon=horizon, needs_p=needs_p)
    return collect([_geometric(s, part, hypothesis, level, draws, seed) for s, part in ordered], horizon)
