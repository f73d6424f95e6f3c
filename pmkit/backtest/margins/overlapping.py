"""Tests on losses that share days, none of them dropped: proportion, independence past the horizon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm

from pmkit.backtest.margins.overlap_law import (
    histories,
    overlap_counts,
    read_days,
    threshold,
    variance_inflation,
)
from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.pof import pof_statistic
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.random import stream
from pmkit.core.types import BoolArray, FloatArray

__all__ = ["overlapping_independence", "overlapping_pof", "overlapping_sample", "read_overlapping"]


def read_overlapping(hits: Any) -> HitSeries:
    """Return the series, whose horizon must be a whole number of its steps."""
    if not isinstance(hits, HitSeries):
        raise ParameterError(
            f"hits is of type {type(hits).__name__}",
            "a HitSeries, which knows horizon and step",
            "pass hits=HitSeries.from_losses(loss, var, p, horizon=5)",
        )
    if abs(hits.horizon / hits.step - hits.stride) > 1e-9:
        raise ConventionError(
            f"losses over {hits.horizon:g} days are taken every {hits.step:g}",
            "a horizon that is a whole number of steps",
            "sample the losses on such a step",
        )
    return hits


def overlapping_sample(series: HitSeries) -> Sample:
    """Return the counts of all observations of a series, overlap and all."""
    return Sample(n=series.n, x=series.x, p=series.p, horizon=series.horizon)


def overlapping_pof(
    *,
    hits: HitSeries,
    days: npt.ArrayLike | None = None,
    draws: int = 20_000,
    seed: int = 0,
    alpha: float = 0.05,
) -> BacktestTest:
    """Return the test of the proportion of hits that uses every overlapping loss and has the right size.

    Use it beside the tests of the offsets without overlap: it loses no observation, and pays with a law of
    the days that must be stated.

    Parameters
    ----------
    hits : HitSeries
        With its horizon and step; a series without overlap is a special case.
    days, draws, seed
        As in :func:`overlap_counts`.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest
        ``statistic`` is Kupiec's ratio, ``p_exact`` its Monte Carlo p-value under overlap, which decides;
        ``details`` holds ``z`` = (x - np)/√(np(1-p) VIF) with its normal ``p_z`` (two-sided),
        ``variance_inflation``, the simulated one-sided ``p_greater``, the ``zone`` with its limits, and
        ``p_naive``, the p-value that overlap makes wrong.

    Raises
    ------
    ParameterError, ConventionError
        Not a HitSeries; a horizon that is no whole number of steps; draws or seed outside their domain.

    References
    ----------
    Kupiec (1995); Dufour (2006), Monte Carlo p-values with ties.

    Examples
    --------
    >>> from pmkit.backtest import HitSeries
    >>> hits = HitSeries(hits=([False] * 48 + [True] * 2) * 5, p=0.02, horizon=5)
    >>> result = overlapping_pof(hits=hits, draws=2_000)
    >>> result.decision, result.details["zone"], result.details["p_naive"] < 0.05
    ('not_rejected', 'green', True)
    """
    series, level = read_overlapping(hits), check_alpha(alpha)
    n, x, p = series.n, series.x, series.p
    law = overlap_counts(n=n, p=p, horizon=series.stride, days=days, draws=draws, seed=seed)
    statistic = float(pof_statistic(n, x, p))
    table = pof_statistic(n, np.arange(n + 1), p)
    how = f"Monte Carlo, {law.counts.size} histories of {law.law} days, ties count"
    found = ranked(stream(seed, "overlap-ties"), table[law.counts], statistic, how)
    inflation = variance_inflation(n=n, p=p, horizon=series.stride)
    z = (x - n * p) / math.sqrt(n * p * (1.0 - p) * inflation)
    zones = law.zones
    zone = "green" if x <= zones.green else "yellow" if x <= zones.yellow else "red"
    ties = (f"Note: {series.ties} of {n} losses equal VaR and count as no hit",) if series.ties else ()
    return outcome(
        overlapping_sample(series),
        name="proportion of failures under overlap",
        h0=f"a hit has probability {p:.8g}, days independent",
        h1="another probability",
        sidedness="two-sided",
        statistic=statistic,
        distribution="simulated",
        found=found,
        critical_value=float(np.quantile(table[law.counts], 1.0 - level, method="higher")),
        alpha=level,
        n_effective=math.ceil(n / series.stride),
        notes=ties,
        references=("kupiec1995", "dufour2006"),
        details={
            "variance_inflation": inflation,
            "z": z,
            "p_z": 2.0 * float(norm.sf(abs(z))),
            "p_greater": law.probability_of(x),
            "zone": zone,
            "green_up_to": zones.green,
            "yellow_up_to": zones.yellow,
            "p_naive": float(chi2.sf(statistic, 1)),
        },
    )


def _beyond(hits: BoolArray, first: int, lags: int) -> FloatArray:
    """Return n Σ ρ̂_k² of each row over the lags from ``first``: 0 where a row has no hit or nothing else."""
    n = hits.shape[1]
    centred = hits - hits.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", centred, centred)
    total = np.zeros(hits.shape[0])
    for lag in range(first, first + lags):
        shared = np.einsum("ij,ij->i", centred[:, lag:], centred[:, :-lag])
        total += (shared / np.where(variance > 0.0, variance, 1.0)) ** 2
    scaled: FloatArray = n * total
    return scaled


def overlapping_independence(
    *,
    hits: HitSeries,
    lags: int = 5,
    days: npt.ArrayLike | None = None,
    draws: int = 2_000,
    seed: int = 0,
    alpha: float = 0.05,
) -> BacktestTest:
    """Return the test that hits a horizon apart or more do not cluster: dependence by overlap is no fault.

    Parameters
    ----------
    hits : HitSeries
        With its horizon and step.
    lags : int
        Distances used: from h to h + lags - 1 steps, h the horizon in steps; 1 or more.
    days, draws, seed
        As in :func:`overlap_counts`.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest
        ``statistic`` is n Σ ρ̂_k² over those distances, large where hits cluster; ``p_exact`` compares it
        with simulated histories of the right p. ``not_evaluable`` without two hits, or where the series is
        too short.

    Raises
    ------
    ParameterError, ConventionError
        As in :func:`overlapping_pof`; lags outside their domain.

    Notes
    -----
    Sums of h days share none at distances of h steps or more, so that hits there are independent if days are.
    Simulated histories that hold fewer than two hits could not be evaluated and are left out.

    References
    ----------
    Box and Pierce (1970); Dufour (2006).

    Examples
    --------
    >>> from pmkit.backtest import HitSeries
    >>> hits = HitSeries(hits=([True] * 3 + [False] * 57) * 5, p=0.05, horizon=2)
    >>> overlapping_independence(hits=hits, draws=500).decision  # clumps of three outlast the two days
    'rejected'
    """
    series, level = read_overlapping(hits), check_alpha(alpha)
    used = check_count(lags, "lags", largest=10_000)
    if used < 1:
        raise ParameterError("lags is 0", "1 or more", "leave the default")
    draws, seed = check_draws(draws, seed)
    n, span, p = series.n, series.stride, series.p
    pool = read_days(days)
    statistic, critical, found = math.nan, math.nan, NO_SIMULATION
    notes: tuple[str, ...] = ()
    if series.x < 2 or n < 2 * (span + used):
        notes = ("Note: cannot be evaluated: fewer than two hits, or fewer observations than twice the lags",)
    else:
        statistic = float(_beyond(series.hits[None, :], span, used)[0])
        kept = []
        rng = stream(seed, "overlap-independence")
        for _, block in histories(rng, draws, n, span, pool, threshold(pool, p, span, seed)):
            kept.append(_beyond(block[block.sum(axis=1) >= 2], span, used))
        simulated = np.concatenate(kept)
        if simulated.size == 0:
            statistic = math.nan
            notes = (f"Note: cannot be evaluated: none of {draws} simulated histories has two hits",)
        else:
            how = f"Monte Carlo, {simulated.size} histories with two hits or more, ties count"
            found = ranked(stream(seed, "overlap-ties"), simulated, statistic, how)
            critical = float(np.quantile(simulated, 1.0 - level, method="higher"))
    return outcome(
        overlapping_sample(series),
        name="independence beyond the horizon",
        h0="hits a horizon apart or more are independent",
        h1="they cluster or alternate",
        sidedness="two-sided",
        statistic=statistic,
        distribution="simulated",
        found=found,
        critical_value=critical,
        alpha=level,
        n_effective=math.ceil(n / span),
        notes=notes,
        references=("box1970", "dufour2006"),
        details={"first_lag": span, "lags": used},
    )
