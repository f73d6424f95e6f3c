"""Are losses beyond VaR larger than ES on average: residuals of hits, by bootstrap and by calibration.

Both tests look at the days with a hit alone, apart from the simple calibration test, and lean on VaR being
right: they do not see how many hits there are.
"""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm

from pmkit.backtest.es.null_law import Null, TailLaw, check_law, tail_blocks
from pmkit.backtest.series.checks import as_float_array, check_alpha
from pmkit.backtest.series.es_series import TailSeries, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import (
    NO_SIMULATION,
    check_draws,
    ranked,
    statistics_in_blocks,
)
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray

__all__ = ["day_scale", "mcneil_frey", "nolde_ziegel"]

_FEW_RESIDUALS = 30
_FEW_EXPECTED = 30.0


def day_scale(scale: Any, series: TailSeries) -> FloatArray:
    """Return what each day's residual is divided by: positive, one entry a day; ES where none is given."""
    if scale is None:
        return series.es
    values = as_float_array(scale, "scale")
    if values.size != series.n:
        raise SchemaError(
            f"scale has {values.size} values", f"{series.n}, one a day", "cut both to the same dates"
        )
    if (values <= 0.0).any():
        position = int(np.argmax(values <= 0.0))
        raise ParameterError(
            f"scale[{position}] is {values[position]:.8g}",
            "positive numbers, such as the forecast deviation",
            "pass the forecast deviation of each day, or leave scale out to divide by ES",
        )
    return values


def _t(residuals: FloatArray) -> FloatArray:
    """Return mean/(sd/√x) of each row; infinite with the sign of the mean where a row has no spread."""
    size = residuals.shape[-1]
    mean = np.add.reduce(residuals, axis=-1) / size
    centred = residuals - mean[..., None]
    spread = np.sqrt(np.add.reduce(centred * centred, axis=-1) / (size - 1))
    flat = spread <= 1e-14 * np.max(np.abs(residuals), axis=-1)
    return np.asarray(
        np.where(flat, np.sign(mean) * 1e300, mean * math.sqrt(size) / np.where(flat, 1.0, spread))
    )


def _mcneil_frey(
    sample: Sample, part: TailSeries, scale: FloatArray, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    hit, notes = part.hits.hits, sample.notes
    residuals = (part.loss - part.es)[hit] / scale[hit]
    found, statistic = NO_SIMULATION, math.nan
    if x < 2 or float(np.ptp(residuals)) <= 1e-14 * float(np.max(np.abs(residuals))):
        notes += ("Note: cannot be evaluated: two hits with different residuals are needed",)
    else:
        statistic = float(_t(residuals))
        rng = stream(seed, "backtest", "mcneil_frey")
        centred = residuals - float(np.mean(residuals))
        simulated = statistics_in_blocks(
            draws, 1_000_000, x, lambda rows: _t(centred[rng.integers(0, x, size=(rows, x))])
        )
        found = ranked(rng, simulated, statistic, f"bootstrap of centred residuals, {draws} draws")
        if (statistic > norm.isf(alpha)) != (found.value <= alpha):
            notes += ("Note: the normal limit decides otherwise",)
    if x < _FEW_RESIDUALS:
        notes += (
            f"SmallSampleWarning: {x} residuals, fewer than {_FEW_RESIDUALS}: the bootstrap knows no "
            "tail beyond them",
        )
    return outcome(
        sample,
        name="McNeil-Frey exceedance residuals",
        h0="losses beyond VaR have mean ES",
        h1="losses beyond VaR are larger",
        sidedness="greater",
        statistic=statistic,
        distribution="normal",
        p_asymptotic=float(norm.sf(statistic)) if not math.isnan(statistic) else math.nan,
        found=found,
        critical_value=float(norm.isf(alpha)),
        alpha=alpha,
        n_effective=x,
        notes=notes,
        references=("mcneil2000",),
        details={
            "mean_residual": float(np.mean(residuals)) if x else math.nan,
            "seed": seed,
            "e_value": doubling_e_value(n, x, p),
        },
    )


@overload
def mcneil_frey(
    series: TailSeries,
    *,
    scale: npt.ArrayLike | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def mcneil_frey(
    series: TailSeries,
    *,
    scale: npt.ArrayLike | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def mcneil_frey(
    series: TailSeries,
    *,
    scale: npt.ArrayLike | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the test of McNeil and Frey of the residuals of hits: a t-statistic, positive if ES is too low.

    Use it after a test of VaR, to ask whether hits are larger than ES; it assumes no law of the loss.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES.
    scale : array-like, shape (n,), optional
        Positive divisor of each day's residual, such as the forecast deviation; ES where absent; ones for raw
        residuals.
    horizon : float, optional
        Days. Needed where losses overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Bootstrap draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the bootstrap. ``details`` holds
        ``mean_residual``, the seed, and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError, SchemaError
        A scale that is not positive, or of another length.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    y_t = (L_t - ES_t)/s_t on days with a hit, t = ȳ√x/sd(y). The bootstrap draws from y - ȳ, which has the
    mean of the null, and counts t* ≥ t. Fewer than two hits are ``"not_evaluable"``. Cost: O(draws·x).

    References
    ----------
    McNeil and Frey (2000), backtest of exceedance residuals.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(mcneil_frey(series, draws=99).statistic, 6)
    0.512148
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    parts = read_tail(series, horizon)
    divisor, stride = day_scale(scale, series), len(parts)
    return collect(
        [
            _mcneil_frey(sample, part, divisor[offset::stride], level, draws, seed)
            for offset, (sample, part) in enumerate(parts)
        ],
        horizon,
    )


def _simple(
    gap: FloatArray, beyond: FloatArray, x: IntArray, whole: tuple[float, float], n: int, p: float
) -> FloatArray:
    """Return T of V = (p - I, -d + I·(L - VaR)/p), d = ES - VaR, of each row.

    Parameters
    ----------
    gap, beyond : array, shape (rows, widest)
        d and L - VaR on days with a hit, 0 beyond x.
    whole : tuple of float
        Σ d and Σ d² over all days.
    """
    severe = np.where(gap > 0.0, beyond / p - gap, 0.0)
    s1, s2, hit_gap = whole[0], whole[1], np.add.reduce(gap, axis=1)
    m1 = p - x / n
    m2 = (np.add.reduce(severe, axis=1) - (s1 - hit_gap)) / n
    o11 = ((n - x) * p * p + x * (1.0 - p) ** 2) / n
    o12 = (-p * (s1 - hit_gap) - (1.0 - p) * np.add.reduce(severe, axis=1)) / n
    o22 = (s2 - np.add.reduce(gap * gap, axis=1) + np.add.reduce(severe * severe, axis=1)) / n
    determinant = o11 * o22 - o12 * o12
    singular = determinant <= 1e-13 * o11 * o22
    quadratic = m1 * m1 * o22 - 2.0 * m1 * m2 * o12 + m2 * m2 * o11
    return np.asarray(n * quadratic / np.where(singular, math.inf, determinant))


def _general(gap: FloatArray, beyond: FloatArray, scale: FloatArray) -> FloatArray:
    """Return T of the scalar I·(L - ES)/(pσ) of each row: p and n cancel."""
    ratio = (beyond - gap) / scale
    square = np.add.reduce(ratio * ratio, axis=1)
    total = np.add.reduce(ratio, axis=1) ** 2
    return np.asarray(total / np.where(square > 0.0, square, 1.0))


def _nolde_ziegel(
    sample: Sample,
    part: TailSeries,
    kind: str,
    scale: FloatArray,
    law: TailLaw,
    alpha: float,
    draws: int,
    seed: int,
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    gap, notes, df = part.es - part.var, sample.notes, 2 if kind == "simple" else 1
    whole = (float(np.add.reduce(gap)), float(np.add.reduce(gap * gap)))
    padded, divisor = np.append(gap, 0.0), np.append(scale, 1.0)

    def statistics(at: IntArray, beyond: FloatArray, count: IntArray) -> FloatArray:
        if kind == "simple":
            return _simple(padded[at], beyond, count, whole, n, p)
        return _general(padded[at], beyond, divisor[at])

    found, statistic = NO_SIMULATION, math.nan
    if x < 2 or (gap <= 0.0).any():
        need = "two hits are needed" if x < 2 else "ES must be above VaR on every day"
        notes += (f"Note: cannot be evaluated: {need}",)
    else:
        day = np.flatnonzero(part.hits.hits).astype(np.int64)
        observed = (part.loss - part.var)[day]
        statistic = float(statistics(day[None, :], observed[None, :], np.array([x]))[0])
        rng, rows = stream(seed, "backtest", "nolde_ziegel", kind), []
        for days, count, excess in tail_blocks(rng, n, p, draws, law, lowest=2):
            at = np.where(days > 0, days - 1, n)
            rows.append(statistics(at, padded[at] * excess, count))
        kind_of_p = f"Monte Carlo of {law.words} given two hits, {draws} draws"
        found = ranked(rng, np.concatenate(rows), statistic, kind_of_p)
        if (statistic > chi2.isf(alpha, df)) != (found.value <= alpha):
            notes += ("Note: the chi-square limit decides otherwise",)
    if n * p < _FEW_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_FEW_EXPECTED:g}: the "
            "chi-square limit is off, and the simulated p-value hangs on the law assumed",
        )
    return outcome(
        sample,
        name=f"Nolde-Ziegel conditional calibration, {kind}",
        h0="identification functions of VaR and ES have mean 0",
        h1="VaR or ES is wrong" if kind == "simple" else "ES is wrong, given VaR",
        sidedness="two-sided",
        statistic=statistic,
        distribution="chi2",
        df=df,
        p_asymptotic=float(chi2.sf(statistic, df)) if not math.isnan(statistic) else math.nan,
        found=found,
        critical_value=float(chi2.isf(alpha, df)),
        alpha=alpha,
        n_effective=n if kind == "simple" else x,
        notes=notes,
        references=("nolde2017", "dufour2006"),
        details={"p_ties_broken": found.broken, "seed": seed, "e_value": doubling_e_value(n, x, p)},
    )


@overload
def nolde_ziegel(
    series: TailSeries,
    *,
    kind: Literal["simple", "general"] = ...,
    scale: npt.ArrayLike | None = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def nolde_ziegel(
    series: TailSeries,
    *,
    kind: Literal["simple", "general"] = ...,
    scale: npt.ArrayLike | None = ...,
    null: Null = ...,
    df: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def nolde_ziegel(
    series: TailSeries,
    *,
    kind: Literal["simple", "general"] = "simple",
    scale: npt.ArrayLike | None = None,
    null: Null = "normal",
    df: float | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the conditional calibration test of Nolde and Ziegel of VaR and ES together, no unit.

    Use it as a two-sided test with a limit that needs no law of the loss; ``"general"`` isolates the size of
    hits from their number.

    Parameters
    ----------
    series, horizon, alpha, seed
        As in :func:`mcneil_frey`.
    kind : {"simple", "general"}
        Both identification functions with equal weight, or the combination that only hits enter.
    scale : array-like, shape (n,), optional
        Forecast deviation of each day, positive, for ``"general"``; ES where absent.
    null : {"normal", "t", "exponential"}
        Law of the loss in the simulated p-value, as in :func:`acerbi_szekely`.
    df : float, optional
        Degrees of freedom of ``"t"``.
    draws : int
        Monte Carlo draws, at least 99.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``p_asymptotic`` is free of a law, the decision is by the
        simulated p-value. ``details`` holds ``p_ties_broken``, the seed, and ``e_value`` against too many
        hits.

    Raises
    ------
    ParameterError, SchemaError
        An unknown kind or null, a scale that is not positive or of another length, or given for ``"simple"``.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    V_t = (p - I_t, VaR_t - ES_t + I_t(L_t - VaR_t)/p) has mean 0 for right forecasts. Simple: T = n V̄'Ω⁻¹V̄
    with Ω = (1/n) Σ VV', chi-square with 2 degrees of freedom. General: V weighted by ((ES - VaR)/(pσ), 1/σ)
    is the scalar I_t(L_t - ES_t)/(pσ_t), chi-square with 1. Ω is taken around 0, so that T is n at most: with
    one hit it is n, or 1, whatever its size, and with a few it is large for a right model too. Fewer than two
    hits, or an ES equal to VaR, are ``"not_evaluable"``; below some thirty expected hits the test has little
    power.

    References
    ----------
    Nolde and Ziegel (2017), conditional calibration tests; Dufour (2006), section 2.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> result = nolde_ziegel(series, kind="general", draws=99)
    >>> result.df, round(result.statistic, 6)
    (1, 0.347826)
    """
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if kind not in ("simple", "general"):
        raise ParameterError(f"kind is {kind!r}", "'simple' or 'general'", "choose one of them")
    if kind == "simple" and scale is not None:
        raise ParameterError(
            "scale is given for kind 'simple'", "a scale for 'general' alone", "leave scale out"
        )
    law, parts = check_law(null, df), read_tail(series, horizon)
    divisor, stride = day_scale(scale, series), len(parts)
    return collect(
        [
            _nolde_ziegel(sample, part, kind, divisor[offset::stride], law, level, draws, seed)
            for offset, (sample, part) in enumerate(parts)
        ],
        horizon,
    )
