"""Do hits cluster? Christoffersen's tests of independence and conditional coverage, with simulated p-values.

The limit law of these tests is poor where VaR tests live: with a year at 99 % a nominal 5 % test rejects a
correct model once in fifty to a hundred times, and finds as little when hits do cluster. The Monte Carlo
p-value is valid at any size. It needs no simulated path: given n and x, the transition counts of exchangeable
hits follow from the number of runs of hits, which is hypergeometric, and from whether the series starts and
ends with a hit.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.hits import HitCounts, HitSeries
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.backtest.series.simulated_null import NO_SIMULATION, SimulatedP, check_draws, ranked
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.series.transitions import draw_transitions, transition_statistic
from pmkit.backtest.var.pof import pof_statistic
from pmkit.core.random import stream

__all__ = ["christoffersen", "christoffersen_independence"]

# Expected hit-after-hit transitions below which the chi-square limit is not to be trusted.
_MIN_EXPECTED_REPEATS = 5.0


def _evaluable(counts: HitCounts) -> bool:
    """Whether both states are left and entered: otherwise there is nothing to compare."""
    return (
        min(
            counts.n00 + counts.n01, counts.n10 + counts.n11, counts.n00 + counts.n10, counts.n01 + counts.n11
        )
        > 0
    )


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _outcome(
    sample: Sample,
    counts: HitCounts,
    *,
    name: str,
    h0: str,
    h1: str,
    statistic: float,
    df: int,
    alpha: float,
    found: SimulatedP,
    references: tuple[str, ...],
    further: dict[str, float | int | str | None],
    notes: tuple[str, ...],
) -> BacktestTest:
    """Return the outcome of either test, the transitions first among its details."""
    details: dict[str, float | int | str | None] = {
        "n00": counts.n00,
        "n01": counts.n01,
        "n10": counts.n10,
        "n11": counts.n11,
        "rate_after_no_hit": _rate(counts.n01, counts.n00 + counts.n01),
        "rate_after_hit": _rate(counts.n11, counts.n10 + counts.n11),
    }
    few: tuple[str, ...] = ()
    if sample.x**2 / sample.n < _MIN_EXPECTED_REPEATS:
        few = (
            f"SmallSampleWarning: fewer than {_MIN_EXPECTED_REPEATS:g} hits after a hit are expected under "
            "independence: trust the simulated p-value, and expect little power",
        )
    return outcome(
        sample,
        name=name,
        h0=h0,
        h1=h1,
        sidedness="two-sided",
        statistic=statistic,
        distribution="chi2",
        df=df,
        p_asymptotic=float(chi2.sf(statistic, df)),
        found=found,
        critical_value=float(chi2.isf(alpha, df)),
        alpha=alpha,
        decided_by="asymptotic",
        n_effective=sample.n - 1,
        notes=sample.notes + few + notes,
        references=references,
        details=details | further,
    )


_NO_INDEPENDENCE = (
    "Note: independence cannot be evaluated, because the hits (or the days without) are too few for "
    "both states to be left and entered"
)


def _independence(sample: Sample, counts: HitCounts, alpha: float, draws: int, seed: int) -> BacktestTest:
    notes: tuple[str, ...] = (_NO_INDEPENDENCE,)
    statistic, found = math.nan, NO_SIMULATION
    if _evaluable(counts):
        statistic, notes = float(transition_statistic(*counts[2:])), ()
        rng = stream(seed, "backtest", "christoffersen_independence")
        drawn = transition_statistic(*draw_transitions(rng, sample.n, np.full(draws, sample.x)))
        found = ranked(rng, drawn, statistic, f"Monte Carlo given x, {draws} draws, ties count")
    return _outcome(
        sample,
        counts,
        name="Christoffersen independence",
        h0="a hit is as probable after a hit as after none",
        h1="the probability of a hit depends on whether the last observation was one",
        statistic=statistic,
        df=1,
        alpha=alpha,
        found=found,
        notes=notes,
        references=("christoffersen1998", "dufour2006"),
        further={"p_ties_broken": found.broken, "seed": seed},
    )


def _conditional_coverage(
    sample: Sample, counts: HitCounts, alpha: float, draws: int, seed: int
) -> BacktestTest:
    coverage = float(pof_statistic(sample.n, sample.x, sample.p))
    evaluable = _evaluable(counts)
    independence = float(transition_statistic(*counts[2:])) if evaluable else math.nan
    statistic = coverage + (independence if evaluable else 0.0)
    notes: tuple[str, ...] = ()
    found = NO_SIMULATION
    if not evaluable:
        notes = (_NO_INDEPENDENCE,)
        if statistic > chi2.isf(alpha, 2):
            notes += ("Note: rejected on coverage alone, to which independence could only add",)
        else:  # coverage stands, but of the joint hypothesis one half was not looked at
            statistic = math.nan
    if not math.isnan(statistic):
        rng = stream(seed, "backtest", "christoffersen")
        hits = rng.binomial(sample.n, sample.p, size=draws)
        simulated = pof_statistic(sample.n, hits, sample.p) + transition_statistic(
            *draw_transitions(rng, sample.n, hits)
        )
        found = ranked(rng, simulated, statistic, f"Monte Carlo, {draws} draws, ties count")
    return _outcome(
        sample,
        counts,
        name="Christoffersen conditional coverage",
        h0=f"hits are independent, each with probability {sample.p:.8g}",
        h1="another probability, or dependence on whether the last observation was a hit",
        statistic=statistic,
        df=2,
        alpha=alpha,
        found=found,
        notes=notes,
        references=("christoffersen1998", "kupiec1995", "dufour2006"),
        further={
            "lr_coverage": coverage,
            "lr_independence": independence,
            "p_ties_broken": found.broken,
            "seed": seed,
            "e_value": doubling_e_value(sample.n, sample.x, sample.p),
        },
    )


@overload
def christoffersen_independence(
    *,
    n: int | None = ...,
    x: int | None = ...,
    n00: int,
    n01: int,
    n10: int,
    n11: int,
    p: float | None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def christoffersen_independence(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def christoffersen_independence(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def christoffersen_independence(
    *,
    n: int | None = None,
    x: int | None = None,
    n00: int | None = None,
    n01: int | None = None,
    n10: int | None = None,
    n11: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the likelihood ratio test that a hit is as probable after a hit as after none, no unit.

    Use it to ask whether VaR reacts to yesterday's hit. It sees first-order dependence only and has little
    power at 1 %; it says nothing about the number of hits.

    Parameters
    ----------
    n00, n01, n10, n11 : int, optional
        Transitions from state i to state j (1 = hit), n - 1 in all.
    n, x : int, optional
        Observations and hits, checked against the transitions; derived from them where absent.
    p : float, optional
        Tail probability, for the expected number in the report only.
    hits : HitSeries or array-like of bool, shape (n,), optional
        In place of the counts. NaN is refused. A plain array is taken as free of overlap.
    horizon : float, optional
        Days. Needed where hits overlap: the test then runs on each non-overlapping offset.
    alpha : float
        Level of the decision, in (0, 1).
    draws : int
        Monte Carlo draws, at least 99.
    seed : int
        Root seed of the draws.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds the transitions, ``rate_after_no_hit`` n01/(n00
        + n01), ``rate_after_hit`` n11/(n10 + n11), ``p_ties_broken``, and the seed.

    Raises
    ------
    ParameterError
        Counts and hits together or neither, a value outside its domain, counts that contradict each other.
    ConventionError
        Overlapping hits without ``horizon``.
    SchemaError, DataGapError
        Hits that are missing, not 0 or 1, or none at all.

    Notes
    -----
    LR = 2 Σ_ij n_ij ln(π_ij / π_j) with π_ij = n_ij/Σ_j n_ij and π_1 = (n01 + n11)/(n - 1), 0·ln 0 = 0;
    chi-square with 1 degree of freedom in the limit. The Monte Carlo p-value permutes: under the null, given
    x, every arrangement of the hits is equally likely, so no unknown probability enters. Ties count as
    extreme, which is conservative; ``p_ties_broken`` breaks them at random and is exactly uniform. The
    decision is by the limit law. Where no observation comes after a hit, or no hit after an observation,
    nothing can be compared and the decision is ``"not_evaluable"``. Cost: O(n) to count, O(draws) to simulate
    whatever n.

    References
    ----------
    Christoffersen (1998), section 3; Dufour (2006), section 2.

    Examples
    --------
    >>> result = christoffersen_independence(n00=932, n01=53, n10=53, n11=4)
    >>> round(result.statistic, 5), round(result.p_asymptotic, 5)
    (0.25866, 0.61104)
    """
    counts = {"n": n, "x": x, "n00": n00, "n01": n01, "n10": n10, "n11": n11}
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts=counts, needs_p=False)
    return collect(
        [_independence(s, s.transitions, level, draws, seed) for s in samples if s.transitions], horizon
    )


@overload
def christoffersen(
    *,
    n: int | None = ...,
    x: int | None = ...,
    n00: int,
    n01: int,
    n10: int,
    n11: int,
    p: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def christoffersen(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def christoffersen(
    *,
    hits: HitSeries | npt.ArrayLike,
    p: float | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def christoffersen(
    *,
    n: int | None = None,
    x: int | None = None,
    n00: int | None = None,
    n01: int | None = None,
    n10: int | None = None,
    n11: int | None = None,
    p: float | None = None,
    hits: Any = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the likelihood ratio test of conditional coverage (number of hits, no clustering), no unit.

    Parameters
    ----------
    n00, n01, n10, n11 : int, optional
        Transitions from state i to state j (1 = hit), n - 1 in all.
    n, x : int, optional
        Observations and hits, checked against the transitions; derived from them where absent. A series that
        starts and ends alike leaves x open by one: pass it, or read the note that says what was taken.
    p : float
        Tail probability in (0, 0.5]; a HitSeries brings its own.
    hits, horizon, alpha, draws, seed
        As in :func:`christoffersen_independence`.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        The latter iff ``horizon`` is given. ``details`` holds ``lr_coverage`` and ``lr_independence``, which
        add up to the statistic, the transitions and rates, ``p_ties_broken``, the seed, and ``e_value``.

    Raises
    ------
    ParameterError, ConventionError, SchemaError, DataGapError
        As in :func:`christoffersen_independence`; also where p is absent.

    Notes
    -----
    LR_cc = LR_pof + LR_ind, the first over n observations, the second over n - 1 transitions; chi-square with
    2 degrees of freedom in the limit. The Monte Carlo p-value draws independent hits of probability p. Where
    independence cannot be evaluated, the test rejects if coverage alone exceeds the critical value, and is
    ``"not_evaluable"`` if not.

    References
    ----------
    Christoffersen (1998), section 3; Dufour (2006), section 2.

    Examples
    --------
    >>> result = christoffersen(n00=932, n01=53, n10=53, n11=4, p=0.05)
    >>> round(result.statistic, 5), round(result.p_asymptotic, 5), result.decision
    (0.72013, 0.69763, 'not_rejected')
    """
    counts = {"n": n, "x": x, "n00": n00, "n01": n01, "n10": n10, "n11": n11}
    level, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts=counts)
    return collect(
        [_conditional_coverage(s, s.transitions, level, draws, seed) for s in samples if s.transitions],
        horizon,
    )
