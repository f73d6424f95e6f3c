"""Do losses fall between the levels of the tail as often as they should: multinomial tests of several VaR."""

from __future__ import annotations

import math
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, xlogy
from scipy.stats import chi2

from pmkit.backtest.series.checks import as_float_array, check_alpha, check_count
from pmkit.backtest.series.es_series import PitSeries, check_level, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray, IntArray

__all__ = ["multinomial", "normal_ratio"]

MultinomialKind = Literal["pearson", "nass", "lrt"]

_LEAST_EXPECTED = 1.0
_SMALLEST_CELL = 1e-30  # probability below which a cell is as good as empty for the direction of a step
_NAMES = {
    "pearson": "multinomial, Pearson",
    "nass": "multinomial, Nass",
    "lrt": "multinomial, likelihood ratio",
}


def _cells(p: float, cells: int) -> FloatArray:
    """Return the probability of each cell: no level exceeded, then one, two, ... levels."""
    theta = np.full(cells + 1, p / cells)
    theta[0] = 1.0 - p
    return theta


def _pearson(counts: IntArray, theta: FloatArray) -> FloatArray:
    expected = counts[0].sum() * theta
    total: FloatArray = np.add.reduce((counts - expected) ** 2 / expected, axis=1)
    return total


def _nass(n: int, theta: FloatArray) -> tuple[float, float]:
    """Return the factor c and the degrees of freedom ν that match mean and variance of the Pearson sum."""
    cells = theta.size - 1
    variance = 2.0 * cells - (cells**2 + 4.0 * cells + 1.0) / n + float(np.add.reduce(1.0 / theta)) / n
    factor = 2.0 * cells / variance
    return factor, factor * cells


def normal_ratio(counts: IntArray, theta: FloatArray, steps: int = 200) -> FloatArray:
    """Return the likelihood ratio of each row against cells of a normal law with free mean and deviation.

    Parameters
    ----------
    counts : array of int, shape (rows, cells)
        Observations of each cell.
    theta : array, shape (cells,)
        Cell probabilities of the null.
    steps : int
        Largest number of scoring steps.

    Notes
    -----
    Cell j has probability Φ(βb_{j+1} - δ) - Φ(βb_j - δ) with b the normal quantiles of the levels; the null
    is β = 1, δ = 0. Fisher scoring from the null, each step halved until the likelihood does not fall. Where
    the likelihood has no maximum, as for a row without hits, the value climbs towards its bound and is taken
    as it stands when the gain of a step falls under 1e-9.

    Examples
    --------
    >>> theta = np.array([0.975, 0.0125, 0.0125])
    >>> normal_ratio(np.array([[975, 13, 12]]), theta).round(4).tolist()
    [0.04]
    """
    observed = counts.astype(np.float64)
    inner = ndtri(np.add.accumulate(theta)[:-1])  # borders between cells; the outer ones are infinite
    slope, place = np.ones(len(observed)), np.zeros(len(observed))

    def likelihood(rows: IntArray, slope: FloatArray, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        at = slope[:, None] * inner - place[:, None]
        # Upper tails: cells far out keep their digits.
        above = np.concatenate(
            [np.ones((len(at), 1)), np.asarray(ndtr(-at), dtype=np.float64), np.zeros((len(at), 1))], axis=1
        )
        cell = np.maximum(above[:, :-1] - above[:, 1:], 1e-300)
        return np.add.reduce(xlogy(observed[rows], cell), axis=1), cell

    active = np.arange(len(observed), dtype=np.int64)
    start, cell = likelihood(active, slope, place)
    value = start.copy()
    for _ in range(steps):
        rows = active
        at = slope[rows, None] * inner - place[rows, None]
        density = np.exp(-0.5 * at * at) / math.sqrt(2.0 * math.pi)
        edge = np.zeros((rows.size, 1))
        by_slope = np.diff(np.concatenate([edge, density * inner, edge], axis=1), axis=1)
        by_place = np.diff(np.concatenate([edge, -density, edge], axis=1), axis=1)
        held = np.maximum(cell[rows], _SMALLEST_CELL)
        share, size = observed[rows] / held, np.add.reduce(observed[rows], axis=1)
        g1, g2 = np.add.reduce(share * by_slope, axis=1), np.add.reduce(share * by_place, axis=1)
        i11 = size * np.add.reduce(by_slope**2 / held, axis=1)
        i12 = size * np.add.reduce(by_slope * by_place / held, axis=1)
        i22 = size * np.add.reduce(by_place**2 / held, axis=1)
        ridge = 1e-10 * (i11 + i22) + 1e-12
        i11, i22 = i11 + ridge, i22 + ridge
        determinant = i11 * i22 - i12 * i12
        d1, d2 = (i22 * g1 - i12 * g2) / determinant, (i11 * g2 - i12 * g1) / determinant
        longest = np.maximum(np.maximum(np.abs(d1), np.abs(d2)), 1.0)
        d1, d2 = d1 / longest, d2 / longest
        gain = np.zeros(rows.size)
        pending = np.ones(rows.size, dtype=np.bool_)
        for half in range(30):
            step = 0.5**half
            tried = rows[pending]
            new_slope = np.maximum(slope[tried] + step * d1[pending], 1e-6)
            new_place = place[tried] + step * d2[pending]
            new_value, new_cell = likelihood(tried, new_slope, new_place)
            better = new_value >= value[tried]
            won = tried[better]
            gain[np.flatnonzero(pending)[better]] = (new_value - value[tried])[better]
            slope[won], place[won], value[won] = new_slope[better], new_place[better], new_value[better]
            cell[won] = new_cell[better]
            pending[np.flatnonzero(pending)[better]] = False
            if not pending.any():
                break
        active = rows[gain > 1e-9]
        if not active.size:
            break
    return np.maximum(2.0 * (value - start), 0.0)


def _read_counts(counts: Any, level: Any, horizon: Any) -> tuple[Sample, IntArray]:
    if level is None:
        raise ParameterError("level is not given", "the lowest level of the cells", "pass level=0.975")
    if horizon is not None:
        raise ConventionError(
            f"horizon={horizon!r} is given with counts",
            "a PitSeries, which can be split into offsets without overlap",
            "pass series=, or leave horizon out if the losses share no days",
        )
    cells = as_float_array(counts, "counts")
    if cells.size < 2:
        raise SchemaError(
            f"counts has {cells.size} values",
            "two or more: days with no level exceeded, with one, two, ...",
            "pass all cells",
        )
    whole = np.array([check_count(value, f"counts[{i}]") for i, value in enumerate(cells)], dtype=np.int64)
    n = int(whole.sum())
    if n == 0:
        raise ParameterError("counts are all 0", "at least one observation", "check the dates counted")
    return Sample(n=n, x=n - int(whole[0]), p=check_level(level)), whole


def _count(part: PitSeries, cells: int) -> IntArray:
    """Return the days with 0, 1, ..., cells levels exceeded."""
    limits = part.p * (1.0 - np.arange(cells) / cells)
    exceeded = np.add.reduce(part.pit[:, None] < limits, axis=1)
    return np.bincount(exceeded, minlength=cells + 1).astype(np.int64)


def _test(
    sample: Sample, counts: IntArray, kind: MultinomialKind, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, x, p, cells = sample.n, sample.x, sample.p, counts.size - 1
    theta, notes = _cells(p, cells), sample.notes
    rng = stream(seed, "backtest", "multinomial", kind)
    factor, df = _nass(n, theta) if kind == "nass" else (1.0, float(2 if kind == "lrt" else cells))

    def statistics(table: IntArray) -> FloatArray:
        return normal_ratio(table, theta) if kind == "lrt" else factor * _pearson(table, theta)

    statistic = float(statistics(counts[None, :])[0])
    simulated = statistics(rng.multinomial(n, theta, size=draws).astype(np.int64))
    found = ranked(rng, simulated, statistic, f"Monte Carlo of the cells, {draws} draws, ties count")
    expected = n * p / cells
    if expected < _LEAST_EXPECTED:
        notes += (
            f"SmallSampleWarning: {expected:.3g} observations are expected in each cell beyond the first "
            f"level, fewer than {_LEAST_EXPECTED:g}: the chi-square limit is off, read the simulated p-value",
        )
    limit = float(chi2.sf(statistic, df))
    if (limit <= alpha) != (found.value <= alpha):
        notes += ("Note: the chi-square limit decides otherwise",)
    return outcome(
        sample,
        name=_NAMES[kind],
        h0=f"each of {cells} levels from {1.0 - p:.8g} is exceeded as often as it says",
        h1="a normal law with another mean or deviation" if kind == "lrt" else "other cell probabilities",
        sidedness="greater",
        statistic=statistic,
        distribution="chi2" if kind != "nass" else f"chi2({df:.4g})",
        df=None if kind == "nass" else int(df),
        p_asymptotic=limit,
        found=found,
        critical_value=float(chi2.isf(alpha, df)),
        alpha=alpha,
        notes=notes,
        references=("kratz2018", "dufour2006"),
        details={f"cell_{j}": int(count) for j, count in enumerate(counts)}
        | ({"nass_factor": factor, "nass_df": df} if kind == "nass" else {})
        | {"p_ties_broken": found.broken, "seed": seed, "e_value": doubling_e_value(n, x, p)},
    )


@overload
def multinomial(
    series: PitSeries | None = ...,
    *,
    counts: npt.ArrayLike | None = ...,
    level: float | None = ...,
    cells: int | None = ...,
    kind: MultinomialKind = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def multinomial(
    series: PitSeries,
    *,
    cells: int | None = ...,
    kind: MultinomialKind = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def multinomial(
    series: PitSeries | None = None,
    *,
    counts: npt.ArrayLike | None = None,
    level: float | None = None,
    cells: int | None = None,
    kind: MultinomialKind = "nass",
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 1999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the multinomial test of Kratz, Lok and McNeil: several VaR levels of the tail at once, no unit.

    Use it as an implicit test of ES: it sees hits that are too many and tails that are too thin, and needs
    counts alone. Four cells with ``"nass"``, or eight with ``"lrt"``, are the authors' advice.

    Parameters
    ----------
    series : PitSeries, optional
        Probabilities of the P&L that came; brings the level.
    counts : array-like of int, shape (cells + 1,), optional
        In place of the series: days on which no level was exceeded, exactly one, two, ...
    level : float, optional
        Lowest level α of the counts, in [0.5, 1).
    cells : int, optional
        Levels N of a series, 1 to 64; 4 where absent.
    kind : {"nass", "pearson", "lrt"}
        Pearson's sum with Nass's correction, as it is, or the likelihood ratio against a normal law.
    horizon, alpha
        As in :func:`acerbi_szekely`.
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the simulated p-value. ``details`` holds the
        cells ``cell_0``, ``cell_1``, ..., for ``"nass"`` its factor and degrees of freedom,
        ``p_ties_broken``, the seed, and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError
        Counts and a series together or neither; a kind, count, level or number of cells outside its domain.
    ConventionError
        An overlapping series without ``horizon``, or a tail probability in place of a level.
    SchemaError, DataGapError
        Counts that are missing, not whole, or fewer than two.

    Notes
    -----
    Levels α_j = α + (j - 1)(1 - α)/N, so that each cell beyond the first has probability (1 - α)/N. Pearson S
    = Σ (O_j - nθ_j)²/(nθ_j), chi-square with N degrees of freedom; Nass cS, chi-square with ν = cN, c = 2N/v
    and v = 2N - (N² + 4N + 1)/n + (1/n) Σ 1/θ_j; the ratio against normal cells with free mean and deviation,
    chi-square with 2. The Monte Carlo p-value draws cells of the null. Independence is assumed, not tested.

    References
    ----------
    Kratz, Lok and McNeil (2018), Pearson, Nass and likelihood ratio tests; Dufour (2006), section 2.

    Examples
    --------
    >>> result = multinomial(counts=[970, 8, 7, 7, 8], level=0.975, kind="pearson", draws=199)
    >>> round(result.statistic, 4), result.df
    (1.1856, 4)
    """
    level_of_test, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if kind not in _NAMES:
        raise ParameterError(f"kind is {kind!r}", "'nass', 'pearson' or 'lrt'", "choose one of them")
    if (series is None) == (counts is None):
        raise ParameterError(
            f"series and counts are {'both' if counts is not None else 'not'} given",
            "either a PitSeries or counts",
            "pass one of them",
        )
    if series is None:
        if cells is not None:
            raise ParameterError(
                f"cells is {cells!r} with counts", "the number of counts to tell", "leave cells out"
            )
        sample, observed = _read_counts(counts, level, horizon)
        _enough(kind, observed.size - 1)
        return _test(sample, observed, kind, level_of_test, draws, seed)
    if level is not None:
        raise ParameterError(
            f"level is {level!r} with a series", "the level of the series", "leave level out"
        )
    number = 4 if cells is None else check_count(cells, "cells", largest=64)
    _enough(kind, number)
    return collect(
        [
            _test(sample, _count(part, number), kind, level_of_test, draws, seed)
            for sample, part in read_pit(series, horizon)
        ],
        horizon,
    )


def _enough(kind: str, cells: int) -> None:
    least = 2 if kind == "lrt" else 1
    if cells < least:
        raise ParameterError(
            f"there are {cells} levels for kind {kind!r}", f"{least} or more", "use more levels"
        )
