"""Is the tail mean of the losses the ES that was forecast: the regression tests of Bayer and Dimitriadis."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, overload

import numpy as np
from scipy.stats import chi2, norm

from pmkit.backtest.es.null_law import Null, TailLaw, check_law
from pmkit.backtest.es.regression_covariance import covariance
from pmkit.backtest.es.regression_fit import fit_joint
from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["es_regression"]

RegressionKind = Literal["strict", "auxiliary", "intercept"]

FEW_EXPECTED = 25.0  # expected hits below which the limit law rejects a right model far too often
_LEAST_EXPECTED = 3.0  # expected hits below which two lines cannot be told apart


class _Regression(NamedTuple):
    """Statistic and coefficients, in terms of losses; the statistic is NaN where it cannot be computed."""

    statistic: float
    quantile: FloatArray
    tail: FloatArray


_NOTHING = _Regression(math.nan, np.full(2, math.nan), np.full(2, math.nan))


def _regress(
    kind: RegressionKind, loss: FloatArray, var: FloatArray, es: FloatArray, p: float
) -> _Regression:
    """Return the Wald statistic of (0, 1), or the t-statistic of the intercept, of one series."""
    pnl = es - loss if kind == "intercept" else -loss
    xq, xe = -(var if kind == "auxiliary" else es), None if kind == "intercept" else -es
    fit = fit_joint(xq, xe, pnl, p)
    if math.isnan(fit.loss):
        return _NOTHING
    with np.errstate(all="ignore"):  # a fit through too few points has no finite covariance, and is told so
        spread = covariance(fit, xq, xe, pnl, p)
    if spread is None:
        return _NOTHING
    block = spread[2:, 2:]
    quantile, tail = fit.quantile * np.array([-1.0, 1.0]), fit.tail * np.array([-1.0, 1.0])[: fit.tail.size]
    if kind == "intercept":
        statistic = float(tail[0]) / math.sqrt(block[0, 0]) if block[0, 0] > 0.0 else math.nan
        return _Regression(statistic, quantile, np.array([tail[0], math.nan]))
    if not (np.diag(block) > 0.0).all() or not np.linalg.det(block) > 0.0:
        return _NOTHING
    gap = fit.tail - np.array([0.0, 1.0])
    return _Regression(float(gap @ np.linalg.solve(block, gap)), quantile, tail)


def _simulate(
    kind: RegressionKind, part: TailSeries, law: TailLaw, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Return the statistics of losses whose VaR and ES are right, those that exist."""
    low, tail = law.var(part.p), law.es(part.p)
    scale = (part.es - part.var) / (tail - low)
    place = part.var - low * scale
    found = [
        _regress(
            kind, place + scale * law.upper_quantile(1.0 - rng.random(part.n)), part.var, part.es, part.p
        )
        for _ in range(draws)
    ]
    statistics = np.array([each.statistic for each in found])
    return np.asarray(statistics[np.isfinite(statistics)])


def _obstacle(kind: RegressionKind, part: TailSeries) -> str:
    """Return what stands in the way of the regression, empty if nothing does."""
    regressors = {"ES": part.es} | ({"VaR": part.var} if kind == "auxiliary" else {})
    constant = [name for name, x in regressors.items() if float(np.ptp(x)) <= 1e-9 * float(np.max(np.abs(x)))]
    if constant:
        return f"{' and '.join(constant)} must vary over the days to be a regressor"
    if part.n * part.p < _LEAST_EXPECTED:
        return f"{_LEAST_EXPECTED:g} expected hits are needed, and {part.n * part.p:.3g} are expected"
    return ""


def _test(
    sample: Sample, part: TailSeries, kind: RegressionKind, law: TailLaw, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, p, notes = sample.n, sample.p, sample.notes
    one_sided, fit, found = kind == "intercept", _NOTHING, NO_SIMULATION
    obstacle = _obstacle(kind, part)
    if not obstacle:
        fit = _regress(kind, part.loss, part.var, part.es, p)
        if math.isnan(fit.statistic):
            obstacle = "too few losses beyond the fitted VaR for a covariance"
    limit = math.nan
    critical = float(norm.isf(alpha) if one_sided else chi2.isf(alpha, 2))
    if obstacle:
        notes += (f"Note: cannot be evaluated: {obstacle}",)
    else:
        limit = float(norm.sf(fit.statistic) if one_sided else chi2.sf(fit.statistic, 2))
        if draws and (part.es > part.var).all():
            rng = stream(seed, "backtest", "es_regression", kind)
            simulated = _simulate(kind, part, law, draws, rng)
            words = f"Monte Carlo of {law.words}, {simulated.size} draws that could be evaluated"
            found = ranked(rng, simulated, fit.statistic, words)
            if (limit <= alpha) != (found.value <= alpha):
                notes += (f"Note: the {'normal' if one_sided else 'chi-square'} limit decides otherwise",)
        elif draws:
            notes += (
                "Note: ES equals VaR on some days, which no law of the loss gives: no simulated p-value",
            )
    if n * p < FEW_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {FEW_EXPECTED:g}: the limit law "
            "rejects too often, and the simulated p-value hangs on the law assumed",
        )
    return outcome(
        sample,
        name=f"ES regression, {kind}",
        h0="losses in excess of ES have ES 0" if one_sided else "the ES of the losses is the ES forecast",
        h1="ES is too low" if one_sided else "another line of the ES forecast",
        sidedness="greater" if one_sided else "two-sided",
        statistic=fit.statistic,
        distribution="normal" if one_sided else "chi2",
        df=None if one_sided else 2,
        p_asymptotic=limit,
        found=found,
        critical_value=critical,
        alpha=alpha,
        decided_by="asymptotic" if math.isnan(found.value) else "exact",
        n_effective=n,
        notes=notes,
        references=("bayer2022", "patton2019", "dufour2006"),
        details={
            "var_intercept": float(fit.quantile[0]),
            "var_slope": float(fit.quantile[1]),
            "es_intercept": float(fit.tail[0]),
            "es_slope": float(fit.tail[1]),
            "p_ties_broken": found.broken,
            "seed": seed,
            "e_value": doubling_e_value(n, sample.x, p),
        },
    )


@overload
def es_regression(
    series: TailSeries,
    *,
    kind: RegressionKind = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def es_regression(
    series: TailSeries,
    *,
    kind: RegressionKind = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def es_regression(
    series: TailSeries,
    *,
    kind: RegressionKind = "strict",
    null: Null = "normal",
    df: float | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 199,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the regression test of ES of Bayer and Dimitriadis: a Wald or t-statistic, no unit.

    Use it to test ES by itself: ``"strict"`` and ``"intercept"`` do not look at the VaR forecast. The latter
    is one-sided, for a margin that must not be too low; the other two also reject an ES that is too high.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES; ES must vary over the days.
    kind : {"strict", "auxiliary", "intercept"}
        Losses on ES in both equations; on VaR in that of the quantile; or losses in excess of ES on a
        constant in that of ES.
    null : {"normal", "t"}
        Law of the loss in the simulated p-value.
    df : float, optional
        Degrees of freedom of ``"t"``.
    horizon : float, optional
        Days. Needed where losses overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99, each a fit of its own; 0 for the limit law alone.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the simulated p-value, or by the limit where
        nothing is simulated or ES equals VaR on a day. ``details`` holds, in terms of losses, the line
        ``var_intercept`` + ``var_slope``·x of VaR and the line ``es_intercept`` + ``es_slope``·ES of the tail
        mean.

    Raises
    ------
    ParameterError
        Not a TailSeries, an unknown kind or null, draws or seed outside their domain.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    Quantile and tail mean of the P&L are linear in the forecasts; the coefficients minimise the mean FZ0 loss
    of the P&L less its largest value, and their covariance is a sandwich with terms for misspecification.
    Under H0 the ES line has intercept 0 and slope 1: with b the gap, b'V⁻¹b is chi-square with 2 degrees of
    freedom, and the t-statistic of the intercept is normal. A constant ES (or VaR, for ``"auxiliary"``) and
    fewer than three expected hits are ``"not_evaluable"``. Cost: ``draws`` fits of a few milliseconds.

    References
    ----------
    Bayer and Dimitriadis (2022), strict, auxiliary and intercept tests; Patton, Ziegel and Chen (2019), loss.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> sigma = 1.0 + np.arange(500) % 3
    >>> loss = sigma * rng.standard_normal(500)
    >>> series = TailSeries(loss=loss, var=1.2 * sigma, es=1.5 * sigma, level=0.95)
    >>> result = es_regression(series, kind="intercept", draws=99)
    >>> result.decision, result.details["es_intercept"] > 0.0
    ('rejected', True)
    """
    level = check_alpha(alpha)
    if draws != 0 or isinstance(draws, bool):
        draws, seed = check_draws(draws, seed)
    if kind not in ("strict", "auxiliary", "intercept"):
        raise ParameterError(
            f"kind is {kind!r}", "'strict', 'auxiliary' or 'intercept'", "choose one of them"
        )
    law = check_law(null, df)
    if law.null == "exponential":
        raise ParameterError(
            "null is 'exponential'",
            "'normal' or 't', which have a law of the whole loss",
            "pass null='t', df=5",
        )
    parts = read_tail(series, horizon)
    return collect([_test(sample, part, kind, law, level, draws, seed) for sample, part in parts], horizon)
