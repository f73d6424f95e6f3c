"""Berkowitz's likelihood ratio: are the probabilities of the model uniform and independent, or its tail's.

Both likelihoods depend on the data through a handful of sums, so that the simulated null costs little.
"""

from __future__ import annotations

import math
from typing import Literal, overload

import numpy as np
from scipy.special import log_ndtr, ndtri
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import PitSeries, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, check_draws, ranked, statistics_in_blocks
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["berkowitz"]

BerkowitzKind = Literal["full", "tail"]

_EDGE = 2.0**-53  # probabilities of 0 and 1 are moved by this, so that their quantile is finite
_BLOCK = 4_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_LEAST = 30  # observations below which the chi-square limit is named as doubtful


def _full(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ratio of each row against a normal AR(1) and its coefficient, shape (rows,) each.

    The likelihood with a stationary first value is concentrated on the coefficient: mean and variance follow
    in closed form, and a grid with golden sections finds the coefficient.
    """
    n = z.shape[1]
    first, last = z[:, 0], z[:, -1]
    total, square = np.add.reduce(z, axis=1), np.einsum("ij,ij->i", z, z)
    cross = np.einsum("ij,ij->i", z[:, 1:], z[:, :-1])
    later, earlier = total - first, total - last
    later2, earlier2 = square - first**2, square - last**2

    def loglik(rho: FloatArray) -> FloatArray:
        stay = 1.0 - rho**2
        mean = (stay * first + (1.0 - rho) * (later - rho * earlier)) / (stay + (n - 1) * (1.0 - rho) ** 2)
        shift = (1.0 - rho) * mean
        steps = later2 - 2.0 * rho * cross + rho**2 * earlier2
        steps = steps - 2.0 * shift * (later - rho * earlier) + (n - 1) * shift**2
        variance = np.maximum((stay * (first - mean) ** 2 + steps) / n, 1e-300)
        value: FloatArray = -0.5 * n * (np.log(variance) + 1.0) + 0.5 * np.log(stay)
        return value

    grid = np.linspace(-0.995, 0.995, 41)
    values = np.array([loglik(np.full(z.shape[0], rho)) for rho in grid])
    best = np.argmax(values, axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, grid.size - 1)]
    for _ in range(45):
        inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        falls = loglik(inner) > loglik(outer)
        high, low = np.where(falls, outer, high), np.where(falls, low, inner)
    rho = 0.5 * (low + high)
    return np.maximum(2.0 * (loglik(rho) + 0.5 * square), 0.0), rho


def _tail(n: int, x: FloatArray, total: FloatArray, square: FloatArray, edge: float) -> FloatArray:
    """Return the ratio of each row against a normal law censored above ``edge``, shape (rows,).

    ``x``, ``total`` and ``square`` are number, sum and sum of squares of the values below the edge. In 1/σ
    and μ/σ the likelihood is concave, so that Newton's steps, halved where they do not gain, find its
    maximum.
    """
    slope, place = np.ones(x.size), np.zeros(x.size)
    rest = n - x

    def loglik(slope: FloatArray, place: FloatArray) -> FloatArray:
        quadratic = slope**2 * square - 2.0 * slope * place * total + x * place**2
        value: FloatArray = x * np.log(slope) - 0.5 * quadratic + rest * log_ndtr(place - slope * edge)
        return value

    start = loglik(slope, place)
    current = start.copy()
    for _ in range(200):
        u = place - slope * edge
        mills = np.exp(-0.5 * u * u - log_ndtr(u)) / math.sqrt(2.0 * math.pi)
        bend = -mills * (u + mills)
        g1 = x / slope - slope * square + place * total - rest * mills * edge
        g2 = slope * total - x * place + rest * mills
        h11 = -x / slope**2 - square + rest * bend * edge**2
        h12 = total - rest * bend * edge
        h22 = -x + rest * bend
        ridge = 1e-12 * (np.abs(h11) + np.abs(h22)) + 1e-12
        h11, h22 = h11 - ridge, h22 - ridge
        determinant = h11 * h22 - h12 * h12
        d1, d2 = (h12 * g2 - h22 * g1) / determinant, (h12 * g1 - h11 * g2) / determinant
        step, gained = np.ones(x.size), np.zeros(x.size, dtype=np.bool_)
        gain = np.zeros(x.size)
        for _ in range(40):
            new_slope = np.maximum(slope + step * d1, 1e-8)
            new_place = place + step * d2
            value = loglik(new_slope, new_place)
            better = ~gained & (value > current)
            gain = np.where(better, value - current, gain)
            slope, place = np.where(better, new_slope, slope), np.where(better, new_place, place)
            current = np.where(better, value, current)
            gained |= better
            if gained.all():
                break
            step = np.where(gained, step, 0.5 * step)
        if not (gain > 1e-12 * np.maximum(1.0, np.abs(current))).any():
            break
    ratio: FloatArray = np.maximum(2.0 * (current - start), 0.0)
    return ratio


def _tail_sums(z: FloatArray, edge: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    below = z < edge
    kept = np.where(below, z, 0.0)
    return (
        np.add.reduce(below.astype(np.float64), axis=1),
        np.add.reduce(kept, axis=1),
        np.einsum("ij,ij->i", kept, kept),
    )


def _ratio(z: FloatArray, kind: BerkowitzKind, edge: float) -> FloatArray:
    return _full(z)[0] if kind == "full" else _tail(z.shape[1], *_tail_sums(z, edge), edge)


def _test(
    sample: Sample, part: PitSeries, kind: BerkowitzKind, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, df = sample.n, 3 if kind == "full" else 2
    least = np.min(part.pit, where=part.pit > 0.0, initial=_EDGE)  # a 0 must not rank above another loss
    clipped = np.clip(part.pit, least, 1.0 - _EDGE)
    moved = int(np.count_nonzero(clipped != part.pit))
    z, edge, notes = np.asarray(ndtri(clipped), dtype=np.float64)[None, :], float(ndtri(part.p)), sample.notes
    if moved:
        notes += (
            f"Note: {moved} of {n} probabilities of 0 or 1 are moved inside: the model ruled out what came",
        )
    statistic, p_limit, found = math.nan, math.nan, NO_SIMULATION
    details: dict[str, float | int | str | None] = {"clipped": moved, "seed": seed}
    if n < 3 or (kind == "full" and np.ptp(z) == 0.0):
        notes += ("Note: cannot be evaluated: fewer than three observations, or all equal",)
    else:
        statistic = float(_ratio(z, kind, edge)[0])
        if kind == "full":
            details["rho"] = float(_full(z)[1][0])
        rng = stream(seed, "backtest", "berkowitz", kind)
        simulated = statistics_in_blocks(
            draws, _BLOCK, n, lambda rows: _ratio(rng.standard_normal((rows, n)), kind, edge)
        )
        found = ranked(rng, simulated, statistic, f"Monte Carlo of the null, {draws} draws, ties count")
        p_limit = float(chi2.sf(statistic, df))
        if n < _LEAST or (kind == "tail" and n * part.p < 5.0):
            notes += ("SmallSampleWarning: too few observations for the limit law: read the simulated p",)
        if (p_limit <= alpha) != (found.value <= alpha):
            notes += ("Note: the chi-square limit decides otherwise",)
    return outcome(
        sample,
        name=f"Berkowitz, {kind}",
        h0="probabilities of the model are uniform and independent"
        if kind == "full"
        else f"probabilities below {part.p:.8g} are those of a uniform law",
        h1="their normal quantiles have another mean, deviation or autocorrelation"
        if kind == "full"
        else "their normal quantiles have another mean or deviation",
        sidedness="greater",
        statistic=statistic,
        distribution="chi2",
        df=df,
        p_asymptotic=p_limit,
        found=found,
        critical_value=float(chi2.isf(alpha, df)),
        alpha=alpha,
        notes=notes,
        references=("berkowitz2001", "dufour2006"),
        details=details | {"e_value": doubling_e_value(n, sample.x, sample.p)},
    )


@overload
def berkowitz(
    series: PitSeries,
    *,
    kind: BerkowitzKind = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def berkowitz(
    series: PitSeries,
    *,
    kind: BerkowitzKind = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def berkowitz(
    series: PitSeries,
    *,
    kind: BerkowitzKind = "full",
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 1999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return Berkowitz's test of the whole forecast law, or of its tail alone, with a simulated p-value.

    The full test rejects for faults in the middle of the law that no margin depends on; the tail test looks
    below the level of the series only, and does not see dependence.

    Parameters
    ----------
    series : PitSeries
        Probabilities of the P&L that came; its level is the edge of the tail.
    kind : {"full", "tail"}
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
        The latter iff ``horizon`` is given. The decision is by the simulated p-value. ``details`` holds the
        autocorrelation ``rho`` of the full test and how many probabilities were ``clipped`` off 0 and 1.

    Raises
    ------
    ParameterError
        Not a PitSeries, an unknown kind, draws or seed outside their domain.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    z = Φ⁻¹(U). Full: exact normal likelihood of an AR(1) with free mean, variance and coefficient, the first
    value stationary, against independent standard normal values; chi-square with 3 degrees of freedom in the
    limit. Tail: normal likelihood censored above Φ⁻¹(p) with free mean and deviation; 2 degrees of freedom.
    No bounds are put on the parameters.

    References
    ----------
    Berkowitz (2001), the ratio of the whole law and its censored version; Dufour (2006), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> series = PitSeries(pit=(np.arange(200) * 0.618034) % 1.0, level=0.95)
    >>> result = berkowitz(series, kind="tail", draws=199)
    >>> result.x, result.df, result.details["clipped"]
    (11, 2, 1)
    """
    if kind not in ("full", "tail"):
        raise ParameterError(f"kind is {kind!r}", "'full' or 'tail'", "choose one of them")
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    return collect(
        [_test(sample, part, kind, level, draws, seed) for sample, part in read_pit(series, horizon)], horizon
    )
