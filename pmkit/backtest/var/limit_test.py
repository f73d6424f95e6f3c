"""One outcome from a statistic with a chi-square limit and its simulated p-value: decision and notes."""

from __future__ import annotations

import math
from typing import Any

from scipy.stats import chi2

from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import SimulatedP
from pmkit.backtest.series.test_result import BacktestTest

__all__ = ["limit_test"]


def limit_test(
    sample: Sample,
    *,
    name: str,
    h0: str,
    h1: str,
    statistic: float,
    df: int,
    alpha: float,
    simulated: SimulatedP,
    n_effective: int,
    references: tuple[str, ...],
    details: dict[str, Any],
    notes: tuple[str, ...] = (),
) -> BacktestTest:
    """Return the outcome; a NaN statistic is ``"not_evaluable"``, an infinite one has no limit law.

    Parameters
    ----------
    sample : Sample
        What was tested; its notes come first.
    statistic : float
        Chi-square with ``df`` degrees of freedom in the limit; NaN or infinite where there is none.
    simulated : SimulatedP
        Exact or Monte Carlo p-value.
    n_effective : int
        Observations or waiting times that enter the statistic.
    """
    finite, notes = math.isfinite(statistic), sample.notes + notes
    critical = float(chi2.isf(alpha, df)) if df > 0 else math.nan
    if finite and (simulated.value <= alpha) != (statistic > critical):
        notes += ("Note: the exact or simulated p-value decides otherwise",)
    return outcome(
        sample,
        name=name,
        h0=h0,
        h1=h1,
        sidedness="two-sided",
        statistic=statistic,
        distribution="chi2",
        df=df,
        p_asymptotic=float(chi2.sf(statistic, df)) if finite else math.nan,
        found=simulated,
        critical_value=critical,
        alpha=alpha,
        decided_by="exact" if math.isinf(statistic) else "asymptotic",
        n_effective=n_effective,
        notes=notes,
        references=references,
        details=details,
    )
