"""Can a hit be foreseen, by a logit: probability of a hit against the last hit and the VaR of the day."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, draw_counts, simulated_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.limit_test import limit_test
from pmkit.backtest.var.regressors import DynamicSample, read_dynamic, standardised
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel

__all__ = ["dynamic_logit"]

_MIN_EXPECTED = 10.0  # expected hits below which the limit law rejects about twice too often


@kernel
def _log_likelihoods(days: IntArray, x: IntArray, var: FloatArray, best: FloatArray) -> None:
    """Write the largest log likelihood of a logit of I_t on 1, I_(t-1) and var_t, t = 2..n, for each row.

    Newton steps, halved where they overshoot. Where the data are separated a coefficient runs off and the
    likelihood climbs to its supremum, geometrically: the search ends when a step gains less than 1e-10.
    """
    n = var.size
    hot = np.zeros(n, dtype=np.bool_)
    for row in range(x.size):
        for i in range(x[row]):
            hot[days[row, i] - 1] = True
        share = min(max(x[row] / n, 0.5 / n), 1.0 - 0.5 / n)
        b0, b1, b2 = math.log(share / (1.0 - share)), 0.0, 0.0
        s0, s1, s2 = 0.0, 0.0, 0.0
        reached = -math.inf
        for _ in range(200):
            value = 0.0
            g0, g1, g2 = 0.0, 0.0, 0.0
            h00, h01, h02, h11, h12, h22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for t in range(1, n):
                v = var[t]
                eta = b0 + b2 * v
                if hot[t - 1]:
                    eta += b1
                small = math.exp(-abs(eta))
                q = 1.0 / (1.0 + small) if eta > 0.0 else small / (1.0 + small)
                w = small / ((1.0 + small) * (1.0 + small))
                residual = -q
                value -= math.log1p(small) + max(eta, 0.0)
                if hot[t]:
                    value += eta
                    residual = 1.0 - q
                g0 += residual
                g2 += residual * v
                h00 += w
                h02 += w * v
                h22 += w * v * v
                if hot[t - 1]:
                    g1 += residual
                    h11 += w
                    h12 += w * v
            h01 = h11
            gain = value - reached
            if gain < 0.0:
                if gain > -1e-10:
                    break
                b0, b1, b2 = b0 - s0, b1 - s1, b2 - s2
                s0, s1, s2 = 0.5 * s0, 0.5 * s1, 0.5 * s2
                b0, b1, b2 = b0 + s0, b1 + s1, b2 + s2
                continue
            reached = value
            if gain < 1e-10:
                break
            # Cholesky of the information, with a trace of ridge; an empty column gets no step.
            l00 = math.sqrt(h00 * (1.0 + 1e-9) + 1e-300)
            l10, l20 = h01 / l00, h02 / l00
            d1 = h11 * (1.0 + 1e-9) - l10 * l10
            l11 = math.sqrt(d1) if d1 > 0.0 else 0.0
            l21 = (h12 - l20 * l10) / l11 if l11 > 0.0 else 0.0
            d2 = h22 * (1.0 + 1e-9) - l20 * l20 - l21 * l21
            l22 = math.sqrt(d2) if d2 > 0.0 else 0.0
            y0 = g0 / l00
            y1 = (g1 - l10 * y0) / l11 if l11 > 0.0 else 0.0
            y2 = (g2 - l20 * y0 - l21 * y1) / l22 if l22 > 0.0 else 0.0
            s2 = y2 / l22 if l22 > 0.0 else 0.0
            s1 = (y1 - l21 * s2) / l11 if l11 > 0.0 else 0.0
            s0 = (y0 - l10 * s1 - l20 * s2) / l00
            longest = max(abs(s0), abs(s1), abs(s2))
            if longest > 5.0:
                s0, s1, s2 = s0 * 5.0 / longest, s1 * 5.0 / longest, s2 * 5.0 / longest
            b0, b1, b2 = b0 + s0, b1 + s1, b2 + s2
        best[row] = reached
        for i in range(x[row]):
            hot[days[row, i] - 1] = False


def _logit_statistic(days: IntArray, x: IntArray, var: FloatArray, p: float) -> FloatArray:
    """Return the likelihood ratio of the logit against probability p, for each row of hit days."""
    best = np.empty(x.size)
    _log_likelihoods(days, x, var, best)
    hits = x - (days[:, 0] == 1)
    null = hits * math.log(p) + (var.size - 1 - hits) * math.log1p(-p)
    ratio: FloatArray = np.maximum(2.0 * (best - null), 0.0)
    return ratio


def _dynamic_logit(part: DynamicSample, alpha: float, draws: int, seed: int) -> BacktestTest:
    sample, hits = part.sample, part.hits
    n, x, p = sample.n, sample.x, sample.p
    df, statistic = 3, math.nan
    simulated = NO_SIMULATION
    notes: tuple[str, ...] = ()
    lagged, current = int(hits[:-1].sum()), int(hits[1:].sum())
    if not (0 < lagged < n - 1 and 0 < current < n - 1 and n - 1 > df):
        notes += (
            "Note: cannot be evaluated: hits and observations without a hit are both needed, before the last "
            "observation and after the first",
        )
    else:
        var = np.concatenate([[0.0], standardised(part.var[1:])])
        if not var.any():
            df = 2
            notes += ("Note: VaR does not vary and is left out",)
        statistic = float(_logit_statistic(hit_days(hits)[None, :], np.array([x]), var, p)[0])
        if not bool((hits[1:] & hits[:-1]).any()):
            notes += ("Note: no hit follows a hit: the ratio is the limit of an ever smaller coefficient",)
        rng = stream(seed, "backtest", "dynamic_logit")
        counts = draw_counts(rng, n, p, draws, lowest=1, highest=n - 1)
        simulated = simulated_p(
            rng,
            n,
            counts,
            lambda days, count: _logit_statistic(days, count, var, p),
            statistic,
            "p, a hit and the VaR path",
        )
    if n * p < _MIN_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_MIN_EXPECTED:g}: the limit law "
            "rejects too often, trust the simulated p-value",
        )
    return limit_test(
        sample,
        name="dynamic logit",
        h0=f"a hit has probability {p:.8g} whatever came before",
        h1="the probability of a hit depends on the last hit or on VaR, or is another one",
        statistic=statistic,
        df=df,
        alpha=alpha,
        simulated=simulated,
        n_effective=n - 1,
        references=("berkowitz2011", "dumitrescu2012", "dufour2006"),
        details={
            "p_ties_broken": simulated.broken,
            "seed": seed,
            "e_value": doubling_e_value(n, x, p),
        },
        notes=notes,
    )


@overload
def dynamic_logit(
    *,
    hits: HitSeries | npt.ArrayLike,
    var: npt.ArrayLike,
    p: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def dynamic_logit(
    *,
    hits: HitSeries | npt.ArrayLike,
    var: npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def dynamic_logit(
    *,
    hits: Any = None,
    var: Any = None,
    p: float | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the likelihood ratio of a logit of the hits on the last hit and the VaR, against p, no unit.

    The dynamic quantile test with one lag, in a model that keeps probabilities in (0, 1).

    Parameters
    ----------
    hits, var, p, horizon, alpha, seed
        As in :func:`dynamic_quantile`.
    draws : int
        Monte Carlo draws, at least 99; each is a fit, hence fewer than elsewhere.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``p_ties_broken``, the seed, and ``e_value``
        against too many hits.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`dynamic_quantile`.

    Notes
    -----
    logit P(I_t = 1) = b_0 + b_1 I_(t-1) + b_2 VaR_t over t = 2, ..., n; LR = 2[max ln L(b) - ln L(p)] against
    the constant p, in which nothing is fitted: chi-square with 3 degrees of freedom in the limit, 2 if VaR
    does not vary. Where hits are separated (none after a hit, or all at the highest VaR) coefficients run off
    and LR is its supremum, which is finite. The Monte Carlo p-value is that of :func:`dynamic_quantile`.
    ``"not_evaluable"`` where I_t or I_(t-1) does not vary. Cost: about 10 passes over n a draw.

    References
    ----------
    Berkowitz, Christoffersen and Pelletier (2011); Dumitrescu, Hurlin and Pham (2012); Dufour (2006), section
    2.

    Examples
    --------
    >>> hits = [day % 20 == 7 for day in range(200)]
    >>> result = dynamic_logit(hits=hits, var=[1.0 + day % 3 for day in range(200)], p=0.05, draws=99)
    >>> round(result.statistic, 4), result.df, result.decision
    (1.0594, 3, 'not_rejected')
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    parts = read_dynamic(hits=hits, var=var, loss=None, p=p, horizon=horizon)
    return collect([_dynamic_logit(part, level, draws, seed) for part in parts], horizon)
