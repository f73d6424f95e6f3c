"""Can a hit be foreseen: the dynamic quantile test of Engle and Manganelli, in two specifications by name."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import hit_days
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, draw_counts, simulated_p
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.limit_test import limit_test
from pmkit.backtest.var.regressors import DynamicSample, read_dynamic, standardised
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel

__all__ = ["Specification", "dynamic_quantile"]

Specification = Literal["em", "gas"]
"""Regressors: constant, lagged hits and VaR; ``"gas"`` adds the squared loss of the observation before."""

_SINGULAR = 1e-10  # share of the largest eigenvalue below which a direction of the regressors is empty
_MIN_EXPECTED = 10.0  # expected hits below which the limit law rejects about twice too often


@kernel
def _cross_products(
    days: IntArray, x: IntArray, lags: int, z: FloatArray, gram: FloatArray, hit: FloatArray
) -> None:
    """Add to X'X and X'I what the hits contribute, for regressors 1, I_(t-1) ... I_(t-lags), z_t.

    Sums run over the hits in order of time, not over days: a year has few of them.
    """
    n, columns = z.shape
    hot = np.zeros(n, dtype=np.bool_)
    for row in range(x.size):
        for i in range(x[row]):
            hot[days[row, i] - 1] = True
        for i in range(x[row]):
            day = days[row, i] - 1
            if day >= lags:
                hit[row, 0] += 1.0
                for q in range(columns):
                    hit[row, lags + 1 + q] += z[day, q]
            for j in range(1, lags + 1):
                t = day + j
                if t < lags or t >= n:
                    continue
                gram[row, 0, j] += 1.0
                if hot[t]:
                    hit[row, j] += 1.0
                for other in range(1, j + 1):
                    if hot[t - other]:
                        gram[row, other, j] += 1.0
                for q in range(columns):
                    gram[row, j, lags + 1 + q] += z[t, q]
        for i in range(x[row]):
            hot[days[row, i] - 1] = False


def _quantile_statistic(
    days: IntArray, x: IntArray, lags: int, z: FloatArray, p: float
) -> tuple[FloatArray, IntArray]:
    """Return Hit'X(X'X)⁺X'Hit/(p(1 - p)) and the rank of X for each row of hit days."""
    n, columns = z.shape
    width = 1 + lags + columns
    gram, hit = np.zeros((x.size, width, width)), np.zeros((x.size, width))
    gram[:, 0, 0] = n - lags
    for i in range(columns):
        gram[:, 0, lags + 1 + i] = np.add.reduce(z[lags:, i])
        for j in range(i, columns):
            gram[:, lags + 1 + i, lags + 1 + j] = np.add.reduce(z[lags:, i] * z[lags:, j])
    _cross_products(days, x, lags, z, gram, hit)
    gram = gram + np.triu(gram, 1).transpose(0, 2, 1)
    scale = np.sqrt(np.einsum("rii->ri", gram))
    inverse = np.where(scale > 0.0, 1.0 / np.where(scale > 0.0, scale, 1.0), 0.0)
    values, vectors = np.linalg.eigh(gram * inverse[:, :, None] * inverse[:, None, :])
    kept = values > _SINGULAR * values[:, -1:]
    excess = (hit - p * gram[:, 0, :]) * inverse
    projected = np.einsum("rij,ri->rj", vectors, excess)
    terms = np.where(kept, projected**2 / np.where(kept, values, 1.0), 0.0)
    return np.add.reduce(terms, axis=1) / (p * (1.0 - p)), kept.sum(axis=1).astype(np.int64)


def _dynamic_quantile(
    part: DynamicSample, specification: Specification, lags: int, alpha: float, draws: int, seed: int
) -> BacktestTest:
    sample = part.sample
    n, x, p = sample.n, sample.x, sample.p
    columns = [part.var[lags:]]
    if part.loss is not None:
        columns.append(part.loss[lags - 1 : -1] ** 2)
    df, statistic = 1 + lags + len(columns), math.nan
    simulated = NO_SIMULATION
    notes: tuple[str, ...] = ()
    if x == 0 or x == n:
        notes += ("Note: cannot be evaluated: hits and observations without a hit are both needed",)
    elif n - lags <= df:
        notes += (f"Note: cannot be evaluated: {n} observations for {df} regressors after {lags} lags",)
    else:
        z = np.zeros((n, len(columns)))
        for i, column in enumerate(columns):
            z[lags:, i] = standardised(column)
        found, ranks = _quantile_statistic(hit_days(part.hits)[None, :], np.array([x]), lags, z, p)
        if int(ranks[0]) < df:
            notes += (
                f"Note: the regressors have rank {int(ranks[0])} of {df}, which are the degrees of freedom",
            )
        statistic, df = float(found[0]), int(ranks[0])

        def rank(days: IntArray, count: IntArray) -> FloatArray:
            values, degrees = _quantile_statistic(days, count, lags, z, p)
            return -np.asarray(chi2.logsf(values, degrees), dtype=np.float64)

        rng = stream(seed, "backtest", "dynamic_quantile", specification)
        counts = draw_counts(rng, n, p, draws, lowest=1, highest=n - 1)
        observed = -float(chi2.logsf(statistic, df))
        simulated = simulated_p(rng, n, counts, rank, observed, "p, a hit and the VaR path")
    if n * p < _MIN_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_MIN_EXPECTED:g}: the limit law "
            "rejects too often, trust the simulated p-value",
        )
    references = ("engle2004", "dufour2006")
    cited = (*references, "ardia2019") if specification == "gas" else references
    return limit_test(
        sample,
        name=f"dynamic quantile, {specification}",
        h0=f"a hit has probability {p:.8g} whatever came before",
        h1="the probability of a hit depends on earlier hits, on VaR"
        + (" or on the last squared loss" if specification == "gas" else "")
        + ", or is another one",
        statistic=statistic,
        df=df,
        alpha=alpha,
        simulated=simulated,
        n_effective=max(n - lags, 0),
        references=cited,
        details={
            "specification": specification,
            "lags": lags,
            "p_ties_broken": simulated.broken,
            "seed": seed,
            "e_value": doubling_e_value(n, x, p),
        },
        notes=notes,
    )


@overload
def dynamic_quantile(
    *,
    hits: HitSeries | npt.ArrayLike,
    var: npt.ArrayLike,
    loss: npt.ArrayLike | None = ...,
    p: float | None = ...,
    horizon: None = ...,
    specification: Specification = ...,
    lags: int = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def dynamic_quantile(
    *,
    hits: HitSeries | npt.ArrayLike,
    var: npt.ArrayLike,
    loss: npt.ArrayLike | None = ...,
    p: float | None = ...,
    horizon: float,
    specification: Specification = ...,
    lags: int = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def dynamic_quantile(
    *,
    hits: Any = None,
    var: Any = None,
    loss: Any = None,
    p: float | None = None,
    horizon: float | None = None,
    specification: Specification = "em",
    lags: int = 4,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the dynamic quantile test that hits cannot be foreseen from earlier hits and the VaR, no unit.

    Use it to ask whether VaR reacts in time and is right at every height. VaR must have been forecast out of
    sample: parameters fitted on the same days change the law of the statistic.

    Parameters
    ----------
    hits : HitSeries or array-like of bool, shape (n,)
        Hits in order of time. NaN is refused. A plain array is taken as free of overlap.
    var : array-like or Series, shape (n,)
        VaR forecast for each observation, 0 or positive, in money. NaN is refused.
    loss : array-like or Series, shape (n,), optional
        Realised losses in the same money; for ``"gas"`` only, which needs them.
    p : float, optional
        Tail probability 1 - level in (0, 0.5]; a HitSeries brings its own.
    horizon : float, optional
        Days. Needed where hits overlap: the test then runs on each non-overlapping offset.
    specification : {"em", "gas"}
        Regressors: ``"em"`` (Engle and Manganelli) a constant, ``lags`` lagged hits and the VaR of the same
        observation; ``"gas"`` (package GAS) adds the squared loss of the observation before.
    lags : int
        Lagged hits, 1 to 50.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``specification``, ``lags``, ``p_ties_broken``,
        the seed, and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError
        No hits or no VaR, a value outside its domain, losses that the specification does not use or lacks.
    ConventionError
        A negative VaR; overlapping hits without ``horizon``; a p that looks like a level.
    SchemaError, DataGapError
        Values that are missing, of another length or on other dates; hits that contradict the losses.

    Notes
    -----
    With Hit_t = I_t - p and X_t = (1, Hit_(t-1), ..., Hit_(t-K), VaR_t, ...), DQ = Hit'X (X'X)⁺ X'Hit/(p(1 -
    p)), chi-square with rank X degrees of freedom in the limit; the first K rows only serve as lags. The
    Monte Carlo p-value draws independent hits of probability p, given one, and keeps VaR and losses as they
    came: it is exact if VaR does not respond to hits, and an approximation where it does. Draws are ranked by
    their limit p-value, since the rank may vary. Without a hit, or with nothing else, the test is
    ``"not_evaluable"``. Cost: O(draws·np·K²).

    References
    ----------
    Engle and Manganelli (2004); Ardia, Boudt and Catania (2019) for ``"gas"``; Dufour (2006), section 2.

    Examples
    --------
    >>> hits = [day % 20 == 7 for day in range(200)]
    >>> result = dynamic_quantile(hits=hits, var=[1.0 + day % 3 for day in range(200)], p=0.05, draws=999)
    >>> round(result.statistic, 4), result.df, result.decision
    (2.7591, 6, 'not_rejected')
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if specification not in ("em", "gas"):
        raise ParameterError(f"specification is {specification!r}", "'em' or 'gas'", "choose one of them")
    order = check_count(lags, "lags", largest=50)
    if order == 0:
        raise ParameterError("lags is 0", "1 to 50 lagged hits", "leave the default of 4")
    if (loss is not None) != (specification == "gas"):
        raise ParameterError(
            f"loss is {'not ' if loss is None else ''}given with specification {specification!r}",
            "losses for 'gas' alone, whose last regressor is the squared loss of the observation before",
            "pass loss= and specification='gas' together",
        )
    parts = read_dynamic(hits=hits, var=var, loss=loss, p=p, horizon=horizon)
    return collect(
        [_dynamic_quantile(part, specification, order, level, draws, seed) for part in parts], horizon
    )
