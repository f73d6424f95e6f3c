"""ES of the worst ranks under each day's law: the statistic Z3, its expectation and its draws."""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import quad
from scipy.special import betainc

from pmkit.backtest.es.null_law import TailLaw
from pmkit.backtest.series.es_series import TailSeries
from pmkit.backtest.series.simulated_null import statistics_in_blocks
from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray

__all__ = ["rank_mean", "z3_drawn", "z3_observed"]


def rank_mean(law: TailLaw, n: int, m: int) -> float:
    """Return the expected mean of the m largest of n standard losses."""

    def among(u: float) -> float:
        return float(betainc(n - m, m, 1.0 - u)) if n > m else 1.0

    # A loss exceeded with probability u is among the m largest if fewer than m of the other n - 1 exceed it.
    middle = min(0.5, 4.0 * m / n)
    parts = [
        quad(
            lambda u: among(u) * float(law.upper_quantile(np.array(u))),
            a,
            b,
            limit=400,
            epsabs=1e-11,
        )[0]
        for a, b in ((0.0, middle / 16.0), (middle / 16.0, middle), (middle, 1.0))
    ]
    return math.fsum(parts) * n / m


def z3_observed(series: TailSeries, law: TailLaw, mean: float, m: int) -> float:
    """Return Z3 from the ranks of the losses, each under the law of its day."""
    p = series.p
    low, tail = law.var(p), law.es(p)
    scale = (series.es - series.var) / (tail - low)
    if (scale <= 0.0).any():
        position = int(np.argmax(scale <= 0.0))
        raise ConventionError(
            f"es[{position}] equals VaR {series.var[position]:.8g}",
            "an ES above VaR, from which the scale of the day's law follows",
            "use kind='z2', which needs no law of the day",
        )
    place = series.var - low * scale
    beyond = np.sort(law.exceeded((series.loss - place) / scale))[:m]
    worst = float(np.mean(law.upper_quantile(np.maximum(beyond, 1e-300))))
    return 1.0 - float(np.mean((place + scale * worst) / (place + scale * mean)))


def z3_drawn(
    var: FloatArray,
    es: FloatArray,
    law: TailLaw,
    rng: np.random.Generator,
    days: tuple[int, float],
    draws: int,
    mean: float,
    m: int,
) -> FloatArray:
    """Return draws of Z3: the m smallest of n uniforms are partial sums of exponentials over their total.

    Parameters
    ----------
    var, es : array, shape (n,) or (1,)
        VaR and ES of each day, or those of all days.
    days : tuple of int and float
        Number of days n, and p.
    """
    n, p = days
    low, tail = law.var(p), law.es(p)
    scale = (es - var) / (tail - low)
    place = var - low * scale
    # Linear in the mean of the worst standard losses: two sums over the days are enough.
    norm = place + scale * mean
    constant, slope = float(np.mean(place / norm)), float(np.mean(scale / norm))

    def statistic(rows: int) -> FloatArray:
        partial = np.add.accumulate(rng.exponential(size=(rows, m)), axis=1)
        whole = partial[:, -1] + rng.gamma(n + 1 - m, size=rows)
        worst = np.add.reduce(law.upper_quantile(partial / whole[:, None]), axis=1) / m
        return np.asarray(1.0 - constant - slope * worst)

    return statistics_in_blocks(draws, 1_000_000, m, statistic)
