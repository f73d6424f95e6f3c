"""Do severe days come in clusters: the correlation of cumulative violations with earlier ones."""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.es_series import PitSeries, read_pit
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, SimulatedP, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["du_escanciano_conditional"]

_FEW_EXPECTED = 50.0


def _portmanteau(violations: FloatArray, p: float, lags: int) -> FloatArray:
    """Return n Σ (γ_j/γ_0)² of each row, shape (rows, n), around the mean p/2 of a right model."""
    n = violations.shape[1]
    centred = violations - p / 2.0
    start = np.add.reduce(centred * centred, axis=1) / n
    total = np.zeros(violations.shape[0])
    for lag in range(1, lags + 1):
        shared = np.add.reduce(centred[:, lag:] * centred[:, :-lag], axis=1) / (n - lag)
        total += (shared / start) ** 2
    return np.asarray(n * total)


def _conditional(
    sample: Sample, part: PitSeries, lags: int, alpha: float, draws: int, seed: int
) -> BacktestTest:
    n, x, p = sample.n, sample.x, sample.p
    notes, found, statistic = sample.notes, NO_SIMULATION, math.nan
    if x == 0 or n <= lags:
        need = "a hit" if x == 0 else f"more than {lags} observations"
        notes += (f"Note: cannot be evaluated: {need} is needed",)
    else:
        statistic = float(_portmanteau(part.violations()[None, :], p, lags)[0])
        rng = stream(seed, "backtest", "du_escanciano_conditional")
        found = _independent_draws(rng, n, p, lags, draws, statistic)
        if bool(statistic > chi2.isf(alpha, lags)) != (found.value <= alpha):
            notes += ("Note: the chi-square limit decides otherwise",)
    if n * p < _FEW_EXPECTED:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_FEW_EXPECTED:g}: the "
            "chi-square limit is off, read the simulated p-value",
        )
    return outcome(
        sample,
        name="Du-Escanciano conditional",
        h0="cumulative violations do not depend on earlier ones",
        h1="violations are correlated",
        sidedness="greater",
        statistic=statistic,
        distribution="chi2",
        df=lags,
        p_asymptotic=float(chi2.sf(statistic, lags)) if not math.isnan(statistic) else math.nan,
        found=found,
        critical_value=float(chi2.isf(alpha, lags)),
        alpha=alpha,
        notes=notes,
        references=("du2017", "dufour2006"),
        details={
            "lags": lags,
            "p_ties_broken": found.broken,
            "seed": seed,
            "e_value": doubling_e_value(n, x, p),
        },
    )


def _independent_draws(
    rng: np.random.Generator, n: int, p: float, lags: int, draws: int, observed: float
) -> SimulatedP:
    """Return the p-value among series of independent violations with a hit."""
    rows: list[FloatArray] = []
    left, block = draws, max(1, 1_000_000 // n)
    while left > 0:
        drawn = np.maximum(1.0 - rng.random((block, n)) / p, 0.0)
        drawn = drawn[np.add.reduce(drawn, axis=1) > 0.0][:left]
        if drawn.shape[0]:
            rows.append(_portmanteau(drawn, p, lags))
            left -= drawn.shape[0]
    kind = f"Monte Carlo given a hit, {draws} draws, ties count"
    return ranked(rng, np.concatenate(rows), observed, kind)


@overload
def du_escanciano_conditional(
    series: PitSeries,
    *,
    lags: int = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def du_escanciano_conditional(
    series: PitSeries,
    *,
    lags: int = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def du_escanciano_conditional(
    series: PitSeries,
    *,
    lags: int = 5,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the conditional ES test of Du and Escanciano: memory of cumulative violations, no unit.

    Use it to ask whether severe days come in clusters. It states the mean p/2, so that far too many hits
    raise it too: read it after :func:`~pmkit.backtest.es_tests.du_escanciano`.

    Parameters
    ----------
    series : PitSeries
        Probabilities of the P&L that came.
    lags : int
        Lags m, 1 to 100.
    horizon, alpha
        As in :func:`du_escanciano`.
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. The decision is by the simulated p-value. ``details`` holds
        ``lags``, ``p_ties_broken``, the seed, and ``e_value`` against too many hits.

    Raises
    ------
    ParameterError
        Lags or draws outside their domain.
    ConventionError
        An overlapping series without ``horizon``.

    Notes
    -----
    C(m) = n Σ_{j≤m} (γ_j/γ_0)², chi-square with m degrees of freedom in the limit; γ_j = (1/(n - j)) Σ (H_t -
    p/2)(H_{t-j} - p/2), around the mean of a right model and not of the sample. Draws have independent
    uniform probabilities and a hit, for without one the test is ``"not_evaluable"``. Error of estimation in
    the model is not accounted for. Cost: O(draws·n·m).

    References
    ----------
    Du and Escanciano (2017), conditional test; Dufour (2006), section 2.

    Examples
    --------
    >>> import numpy as np
    >>> series = PitSeries(pit=(np.arange(500) * 0.618034) % 1.0, level=0.95)
    >>> result = du_escanciano_conditional(series, lags=4, draws=99)
    >>> result.df, result.n_effective
    (4, 500)
    """
    level_of_test, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    order = check_count(lags, "lags", largest=100)
    if order == 0:
        raise ParameterError("lags is 0", "1 to 100", "pass lags=5")
    parts = read_pit(series, horizon)
    return collect([_conditional(s, part, order, level_of_test, draws, seed) for s, part in parts], horizon)
