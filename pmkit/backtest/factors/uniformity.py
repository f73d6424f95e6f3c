"""Is the law of one risk factor right: distance of the probabilities that came from the uniform law.

Three distances are usual. Kolmogorov and Smirnov's is the largest gap of the distribution functions, Cramér
and von Mises's the mean squared gap, and Anderson and Darling's weighs both ends, which margin depends on,
most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from scipy.stats import ksone

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import PitSeries, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import check_draws, ranked, statistics_in_blocks
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["factor_laws", "uniformity"]

Distance = Literal["ks", "cvm", "ad"]

_BLOCK = 4_000_000
_EDGE = 2.0**-53


def _ks(ordered: FloatArray) -> FloatArray:
    n = ordered.shape[1]
    step = np.arange(1, n + 1) / n
    above, below = (step - ordered).max(axis=1), (ordered - step + 1.0 / n).max(axis=1)
    gap: FloatArray = np.maximum(above, below)
    return gap


def _cvm(ordered: FloatArray) -> FloatArray:
    n = ordered.shape[1]
    middle = (np.arange(1, n + 1) - 0.5) / n
    gaps: FloatArray = 1.0 / (12.0 * n) + np.add.reduce((ordered - middle) ** 2, axis=1)
    return gaps


def _ad(ordered: FloatArray) -> FloatArray:
    n = ordered.shape[1]
    inside = np.clip(ordered, _EDGE, 1.0 - _EDGE)
    weights = 2.0 * np.arange(1, n + 1) - 1.0
    terms = weights * (np.log(inside) + np.log1p(-inside[:, ::-1]))
    distance: FloatArray = -n - np.add.reduce(terms, axis=1) / n
    return distance


_DISTANCES: dict[str, tuple[str, Callable[[FloatArray], FloatArray], str]] = {
    "ks": ("Kolmogorov-Smirnov", _ks, "smirnov1948"),
    "cvm": ("Cramér-von Mises", _cvm, "anderson1952"),
    "ad": ("Anderson-Darling", _ad, "anderson1952"),
}


def _test(
    sample: Sample, part: PitSeries, distance: Distance, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, notes = sample.n, sample.notes
    name, measure, source = _DISTANCES[distance]
    statistic = float(measure(np.sort(part.pit)[None, :])[0])
    rng = stream(seed, "backtest", "uniformity", distance)
    simulated = statistics_in_blocks(
        draws, _BLOCK, n, lambda rows: measure(np.sort(rng.random((rows, n)), axis=1))
    )
    found = ranked(rng, simulated, statistic, f"Monte Carlo of uniform values, {draws} draws, ties count")
    extreme = int(np.count_nonzero((part.pit <= 0.0) | (part.pit >= 1.0)))
    if extreme:
        notes += (f"Note: {extreme} of {n} probabilities are 0 or 1: the model ruled out what came",)
    # The largest gap alone has a law for every n: twice the one-sided one bounds it and is sharp in the tail.
    limit = min(1.0, 2.0 * float(ksone.sf(statistic, n))) if distance == "ks" else math.nan
    return outcome(
        sample,
        name=f"uniform law, {name}",
        h0="probabilities of the model are uniform",
        h1="another law",
        sidedness="greater",
        statistic=statistic,
        distribution="simulated",
        p_asymptotic=limit,
        found=found,
        critical_value=float(np.quantile(simulated, 1.0 - alpha, method="higher")),
        alpha=alpha,
        notes=notes,
        references=(source, "diebold1998", "dufour2006"),
        details={"mean": float(np.add.reduce(part.pit)) / n, "extreme": extreme, "seed": seed},
    )


@overload
def uniformity(
    series: PitSeries,
    *,
    distance: Distance = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def uniformity(
    series: PitSeries,
    *,
    distance: Distance = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def uniformity(
    series: PitSeries,
    *,
    distance: Distance = "ad",
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 1999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the test that the probabilities of a forecast law are uniform, with a simulated p-value.

    Parameters
    ----------
    series : PitSeries
        Probabilities of what came, of one factor at one horizon; its level does not matter here.
    distance : {"ad", "cvm", "ks"}
        Anderson–Darling (both ends weighted), Cramér–von Mises, Kolmogorov–Smirnov.
    horizon : float, optional
        Days. Needed where observations overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds the mean probability and how many are 0 or 1.

    Raises
    ------
    ParameterError
        Not a PitSeries, an unknown distance, draws or seed outside their domain.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    The null is a law that was known before: parameters fitted to the same data make the test conservative.
    Independence is assumed; :func:`pmkit.backtest.var_tests.berkowitz` tests it.

    References
    ----------
    Diebold, Gunther and Tay (1998), on probabilities of density forecasts; Anderson and Darling (1952).

    Examples
    --------
    >>> from pmkit.backtest import PitSeries
    >>> series = PitSeries(pit=[(i + 0.5) / 50.0 for i in range(50)], level=0.99)
    >>> result = uniformity(series, distance="cvm", draws=199)
    >>> round(result.statistic, 6), result.decision
    (0.001667, 'not_rejected')
    """
    if not isinstance(distance, str) or distance not in _DISTANCES:
        raise ParameterError(f"distance is {distance!r}", "'ad', 'cvm' or 'ks'", "choose one of them")
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    found = [_test(sample, part, distance, level, draws, seed) for sample, part in read_pit(series, horizon)]
    return collect(found, horizon)


def factor_laws(
    factors: Mapping[str, PitSeries],
    *,
    distances: tuple[Distance, ...] = ("ks", "cvm", "ad"),
    alpha: float = 0.05,
    draws: int = 1999,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the tests of uniformity of several factors and horizons, a row each, p-values and decisions.

    Parameters
    ----------
    factors : mapping of str to PitSeries
        Probabilities by factor (and horizon, in the name); overlapping ones are tested on their offsets.
    distances : tuple of str
    alpha, draws, seed
        As in :func:`uniformity`.

    Returns
    -------
    DataFrame
        Index factor; columns ``n``, ``horizon``, and for each distance ``<distance>`` (statistic, the largest
        of the offsets), ``<distance>_p`` and ``<distance>_decision``.

    Raises
    ------
    SchemaError
        No factor, or no mapping.
    ParameterError
        No distance; as in :func:`uniformity`.

    Examples
    --------
    >>> from pmkit.backtest import PitSeries
    >>> pit = [(i * 0.618034) % 1.0 for i in range(60)]
    >>> frame = factor_laws({"BTC spot 1d": PitSeries(pit=pit, level=0.99)}, draws=199)
    >>> frame.loc["BTC spot 1d", "ad_decision"]
    'not_rejected'
    """
    if not isinstance(factors, Mapping) or not factors:
        raise SchemaError(
            "no factor" if isinstance(factors, Mapping) else f"factors is a {type(factors).__name__}",
            "a mapping of name to PitSeries, one or more",
            "name each series by its factor and horizon",
        )
    if not distances:
        raise ParameterError("no distance", "one or more of 'ks', 'cvm', 'ad'", "leave the default")
    rows: dict[str, dict[str, Any]] = {}
    settings: dict[str, Any] = {"alpha": alpha, "draws": draws, "seed": seed}
    for name, series in factors.items():
        row: dict[str, Any] = {}
        if isinstance(series, PitSeries) and series.hits.overlapping:
            settings_of = settings | {"horizon": series.horizon}
        else:
            settings_of = settings
        for distance in distances:
            found: BacktestTest | OffsetOutcomes = uniformity(series, distance=distance, **settings_of)
            parts = (found,) if isinstance(found, BacktestTest) else found.outcomes
            row |= {
                "n": found.n,
                "horizon": found.horizon,
                distance: max(part.statistic for part in parts),
                f"{distance}_p": found.p_value if isinstance(found, BacktestTest) else found.p_combined,
                f"{distance}_decision": found.decision,
            }
        rows[str(name)] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("factor")
