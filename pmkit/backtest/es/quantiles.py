"""Is ES right where it stands for four VaR: the approximation of Emmer, Kratz and Tasche, as a test."""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from scipy.stats import binom

from pmkit.backtest.es.null_law import Null, check_law
from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import PitSeries, check_level, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray

__all__ = ["es_by_quantiles", "quantile_gap"]

_LEVELS = 4
_SMALLEST = 1e-300  # p-values below are as good as this one, which has a logarithm
_FEW_EXPECTED = 1.0  # expected hits of the highest level below which its test hardly speaks


def _tails(p: float) -> FloatArray:
    """Return the tail probabilities of the four levels: p, 3p/4, p/2, p/4."""
    return p * (1.0 - np.arange(_LEVELS) / _LEVELS)


def quantile_gap(level: float, *, null: Null = "normal", df: float | None = None) -> float:
    """Return by which share the mean of the four VaR falls short of ES, in [0, 1), for one law of the loss.

    Parameters
    ----------
    level : float
        Confidence level of ES, in [0.5, 1).
    null : {"normal", "t"}
        Law of the loss.
    df : float, optional
        Degrees of freedom of ``"t"``, above 1.

    Returns
    -------
    float
        1 - mean(VaR)/ES: positive, since the mean leaves out the far end of the tail.

    Raises
    ------
    ParameterError, ConventionError
        A level or law outside its domain.

    References
    ----------
    Emmer, Kratz and Tasche (2015), section 5.

    Examples
    --------
    >>> round(quantile_gap(0.975), 4), round(quantile_gap(0.975, null="t", df=3), 4)
    (0.0612, 0.1903)
    """
    p, law = check_level(level), check_law(null, df)
    if law.null == "exponential":
        raise ParameterError("null is 'exponential'", "'normal' or 't'", "pass null='t', df=5")
    return 1.0 - float(np.add.reduce(law.upper_quantile(_tails(p)))) / _LEVELS / law.es(p)


def _least(hits: IntArray, n: int, tails: FloatArray) -> FloatArray:
    """Return the smallest of the four one-sided binomial p-values of each row."""
    each = np.stack([binom.sf(np.arange(-1, n), n, tail)[hits[:, j]] for j, tail in enumerate(tails)])
    least: FloatArray = np.maximum(np.min(each, axis=0), _SMALLEST)
    return least


def _test(sample: Sample, part: PitSeries, alpha: float, draws: int, seed: int) -> BacktestTest:
    n, p, notes = sample.n, sample.p, sample.notes
    tails = _tails(p)
    hits = np.add.reduce(part.pit[:, None] < tails, axis=0).astype(np.int64)
    least = float(_least(hits[None, :], n, tails)[0])
    rng = stream(seed, "backtest", "es_by_quantiles")
    cells = rng.multinomial(n, np.append(np.full(_LEVELS, p / _LEVELS), 1.0 - p), size=draws)[:, :_LEVELS]
    # Cells from the far end inwards: the level with tail 3p/4 is hit by all but the first of them.
    drawn = np.add.accumulate(cells, axis=1)[:, ::-1].astype(np.int64)
    simulated = _least(drawn, n, tails)
    found = ranked(
        rng, -np.log(simulated), -math.log(least), f"Monte Carlo of the cells, {draws} draws, ties count"
    )
    if n * tails[-1] < _FEW_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * tails[-1]:.3g} hits are expected at the highest level, fewer than "
            f"{_FEW_EXPECTED:g}: a hit or none is all it can tell",
        )
    return outcome(
        sample,
        name="ES by four quantiles",
        h0=f"VaR is right at four levels from {1.0 - p:.8g}",
        h1="hits of one of them are more frequent",
        sidedness="greater",
        statistic=-math.log(least),
        distribution="minus log of the least binomial p-value",
        p_asymptotic=min(1.0, _LEVELS * least),
        found=found,
        critical_value=float(np.quantile(-np.log(simulated), 1.0 - alpha, method="higher")),
        alpha=alpha,
        notes=notes,
        references=("emmer2015", "dufour2006"),
        details={f"hits_{j + 1}": int(count) for j, count in enumerate(hits)}
        | {f"p_{j + 1}": float(binom.sf(hits[j] - 1, n, tail)) for j, tail in enumerate(tails)}
        | {"seed": seed, "e_value": doubling_e_value(n, sample.x, p)},
    )


@overload
def es_by_quantiles(
    series: PitSeries, *, horizon: None = ..., alpha: float = ..., draws: int = ..., seed: int = ...
) -> BacktestTest: ...
@overload
def es_by_quantiles(
    series: PitSeries, *, horizon: float, alpha: float = ..., draws: int = ..., seed: int = ...
) -> OffsetOutcomes: ...
def es_by_quantiles(
    series: PitSeries, *, horizon: float | None = None, alpha: float = 0.05, draws: int = 1999, seed: int = 0
) -> BacktestTest | OffsetOutcomes:
    """Return the test of ES by the hits of four VaR, at levels that cut its tail in quarters, no unit.

    Use it where a reviewer accepts VaR tests only. It sees hits that are too many at any of the four levels,
    and nothing beyond the highest; :func:`multinomial` weighs the same four counts against each other.

    Parameters
    ----------
    series : PitSeries
        Probabilities of the P&L that came; its level is that of ES.
    horizon : float, optional
        Days. Needed where losses overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the simulated p-value, which knows how the
        four tests hang together; ``p_asymptotic`` is Bonferroni's bound. ``details`` holds ``hits_1`` to
        ``hits_4`` and the p-values ``p_1`` to ``p_4``, from the lowest level to the highest.

    Raises
    ------
    ParameterError
        Not a PitSeries, draws or seed outside their domain.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    ES at level α is about the mean of VaR at α, 0.75α + 0.25, 0.5α + 0.5 and 0.25α + 0.75, too low by
    :func:`quantile_gap`. The statistic is -ln of the least of four one-sided binomial p-values.

    References
    ----------
    Emmer, Kratz and Tasche (2015), section 5; Dufour (2006), section 2.

    Examples
    --------
    >>> series = PitSeries(pit=(np.arange(400) * 0.618034) % 1.0, level=0.975)
    >>> result = es_by_quantiles(series, draws=499)
    >>> result.decision, [result.details[f"hits_{j}"] for j in (1, 2, 3, 4)]
    ('not_rejected', [10, 8, 5, 3])
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    return collect(
        [_test(sample, part, level, draws, seed) for sample, part in read_pit(series, horizon)], horizon
    )
