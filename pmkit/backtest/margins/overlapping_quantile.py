"""Can a hit be foreseen where losses share days: the dynamic quantile test beyond the horizon."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from pmkit.backtest.margins.overlap_law import histories, hit_correlations, read_days, threshold
from pmkit.backtest.margins.overlapping import overlapping_sample, read_overlapping
from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.simulated_null import NO_SIMULATION, blocks, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.regressors import read_forecasts, standardised
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import BoolArray, FloatArray, IntArray

__all__ = ["overlapping_quantile"]

_SINGULAR = 1e-10  # share of the largest eigenvalue below which a direction of the moments is empty
_BLOCK = 2_000_000  # numbers held at once


def _statistic(
    hits: BoolArray, z: FloatArray, p: float, weights: FloatArray, lags: int
) -> tuple[FloatArray, IntArray]:
    """Return Hit'X (X'ΓX)⁺ X'Hit of each row and the rank of X'ΓX, Γ with ``weights`` on its diagonals."""
    span = weights.size
    first = span + lags - 1
    excess = hits - p
    columns = [np.ones_like(excess[:, first:])]
    columns += [excess[:, first - lag : excess.shape[1] - lag] for lag in range(span, span + lags)]
    columns.append(np.broadcast_to(z[first:], columns[0].shape))
    x: FloatArray = np.stack(columns, axis=2)
    total = weights[0] * np.einsum("rti,rtj->rij", x, x)
    for lag in range(1, span):
        shared = np.einsum("rti,rtj->rij", x[:, lag:], x[:, :-lag])
        total += weights[lag] * (shared + shared.transpose(0, 2, 1))
    scale = np.sqrt(np.maximum(np.einsum("rii->ri", total), 0.0))
    inverse = np.where(scale > 0.0, 1.0 / np.where(scale > 0.0, scale, 1.0), 0.0)
    values, vectors = np.linalg.eigh(total * inverse[:, :, None] * inverse[:, None, :])
    kept = values > _SINGULAR * values[:, -1:]
    score = np.einsum("rti,rt->ri", x, excess[:, first:]) * inverse
    projected = np.einsum("rij,ri->rj", vectors, score)
    terms = np.where(kept, projected**2 / np.where(kept, values, 1.0), 0.0)
    return np.add.reduce(terms, axis=1), kept.sum(axis=1).astype(np.int64)


def overlapping_quantile(
    *,
    hits: HitSeries,
    var: npt.ArrayLike,
    lags: int = 4,
    days: npt.ArrayLike | None = None,
    draws: int = 499,
    seed: int = 0,
    alpha: float = 0.05,
) -> BacktestTest:
    """Return the dynamic quantile test of overlapping losses, on hits a horizon back and VaR, no unit.

    Use it where :func:`~pmkit.backtest.var_tests.dynamic_quantile` would drop all but every h-th loss.

    Parameters
    ----------
    hits : HitSeries
        With its horizon and step; a series without overlap is a special case.
    var : array-like or Series, shape (n,)
        VaR forecast for each observation, 0 or positive, in money. NaN is refused.
    lags : int
        Lagged hits, from h to h + lags - 1 steps back, h the horizon in steps; 1 to 50.
    days, draws, seed
        As in :func:`overlap_counts`.
    alpha : float
        Level of the decision, in (0, 1).

    Returns
    -------
    BacktestTest
        ``p_exact`` compares the statistic with simulated histories of the right p that hold a hit, and
        decides; ``p_asymptotic`` is the chi-square limit. ``details`` holds ``first_lag``, ``lags`` and
        ``hac_lags``. ``not_evaluable`` without a hit, or where the series is too short.

    Raises
    ------
    ParameterError, ConventionError
        As in :func:`overlapping_pof`; lags outside their domain; a negative VaR.
    SchemaError, DataGapError
        VaR that is missing, of another length or on other dates.

    Notes
    -----
    With x_t = (1, Hit_(t-h), ..., VaR_t), Hit'X (X'ΓX)⁺ X'Hit is chi-square with the rank as degrees of
    freedom in the limit. Γ is the covariance of hits under the null, p(1 - p)ρ_k on its k-th diagonal up to
    h - 1 and 0 beyond, with ρ_k as in :func:`variance_inflation`: without overlap it is p(1 - p) times the
    identity, and the test that of Engle and Manganelli. A covariance estimated from the hits themselves would
    grow with every clump and hide it.

    References
    ----------
    Engle and Manganelli (2004); Hansen and Hodrick (1980), errors of overlapping forecasts; Dufour (2006).

    Examples
    --------
    >>> from pmkit.backtest import HitSeries
    >>> hits = HitSeries(hits=([True] * 3 + [False] * 57) * 5, p=0.05, horizon=2)
    >>> result = overlapping_quantile(hits=hits, var=[1.0 + day % 7 for day in range(300)], draws=99)
    >>> result.df, result.details["hac_lags"]
    (6, 1)
    """
    series, level = read_overlapping(hits), check_alpha(alpha)
    used = check_count(lags, "lags", largest=50)
    if used < 1:
        raise ParameterError("lags is 0", "1 or more", "leave the default")
    draws, seed = check_draws(draws, seed)
    n, span, p = series.n, series.stride, series.p
    pool, z = read_days(days), standardised(read_forecasts(var, series))
    statistic, df, found = math.nan, 2 + used, NO_SIMULATION
    notes: tuple[str, ...] = ()
    if series.x == 0 or n < 2 * (span + used + 2):
        notes = (
            "Note: cannot be evaluated: a hit is needed, and more observations than regressors and lags",
        )
    else:
        weights = p * (1.0 - p) * hit_correlations(p, span)
        value, rank = _statistic(series.hits[None, :], z, p, weights, used)
        statistic, df = float(value[0]), int(rank[0])
        rng, kept = stream(seed, "overlap-quantile"), []
        bound = threshold(pool, p, span, seed)
        for _, block in histories(rng, draws, n, span, pool, bound):
            rows = block[block.any(axis=1)]
            for part in blocks(rows.shape[0], _BLOCK, n * (2 + used)):
                drawn, ranks = _statistic(rows[part], z, p, weights, used)
                kept.append(-np.asarray(chi2.logsf(drawn, ranks), dtype=np.float64))
        if kept:
            simulated = np.concatenate(kept)
            how = f"Monte Carlo, {simulated.size} histories with a hit, ties count"
            found = ranked(stream(seed, "overlap-ties"), simulated, -float(chi2.logsf(statistic, df)), how)
            if (chi2.sf(statistic, df) <= level) != (found.value <= level):
                notes = ("Note: the chi-square limit decides otherwise",)
        else:
            statistic = math.nan
            notes = (f"Note: cannot be evaluated: none of {draws} simulated histories has a hit",)
    return outcome(
        overlapping_sample(series),
        name="dynamic quantile beyond the horizon",
        h0=f"a hit has probability {p:.8g} whatever came a horizon before",
        h1="it depends on earlier hits or on VaR, or is another one",
        sidedness="greater",
        statistic=statistic,
        distribution="chi2",
        df=df,
        p_asymptotic=float(chi2.sf(statistic, df)),
        found=found,
        critical_value=float(chi2.isf(level, df)),
        alpha=level,
        n_effective=math.ceil(n / span),
        notes=notes,
        references=("engle2004", "hansen1980", "dufour2006"),
        details={"first_lag": span, "lags": used, "hac_lags": span - 1, "seed": seed},
    )
