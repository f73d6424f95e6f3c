"""Is the mean loss beyond VaR as large as ES says: the tests of Acerbi and Székely, with simulated nulls.

All statistics are 0 on average for a right model and negative where risk is understated. Their law depends on
the tail of the loss, so it is simulated: from a law that each day has the stated VaR and ES, or from losses
that the model itself drew.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from pmkit.backtest.es.null_law import Null, TailLaw, check_law, lower_p, tail_blocks
from pmkit.backtest.es.ranks import rank_mean, z3_drawn, z3_observed
from pmkit.backtest.series.checks import as_float_array, check_alpha, check_count
from pmkit.backtest.series.es_series import TailSeries, check_level, read_tail
from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.overlap import OffsetOutcomes, collect, doubling_e_value
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, SimulatedP, check_draws
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["AcerbiKind", "acerbi_szekely", "minimally_biased"]

AcerbiKind = Literal["z1", "z2", "z3"]
"""Size of hits given that they occur; number and size of hits; ES of the ranks under each day's law."""

_MIN_EXPECTED = 10.0
_NAMES = {
    "z1": "Acerbi-Székely Z1",
    "z2": "Acerbi-Székely Z2",
    "z3": "Acerbi-Székely Z3",
    "relative": "minimally biased ES test, relative",
    "absolute": "minimally biased ES test, absolute",
}
_H1 = {
    "z1": "hits are larger than ES says",
    "z2": "hits are larger or more frequent",
    "z3": "the tail is heavier than the law of the day",
    "relative": "ES is too low",
    "absolute": "ES is too low",
}


class _Case(NamedTuple):
    """One series to test: counts, VaR and ES each day (one entry if alike), the statistic, and its draws."""

    sample: Sample
    var: FloatArray
    es: FloatArray
    statistic: float
    losses: FloatArray | None


def _dense(kind: str, loss: FloatArray, var: FloatArray, es: FloatArray, p: float) -> FloatArray:
    """Return the statistic of each row of losses, shape (rows, n) against (n,); NaN for Z1 without a hit."""
    hit = loss > var
    if kind in ("z1", "z2"):
        total = np.add.reduce(np.where(hit, loss / es, 0.0), axis=-1)
        count = np.add.reduce(hit, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1.0 - total / (count if kind == "z1" else loss.shape[-1] * p))
    gap = es - var - np.where(hit, loss - var, 0.0) / p
    mean = np.add.reduce(gap / es if kind == "relative" else gap, axis=-1) / loss.shape[-1]
    return np.asarray(mean)


def _drawn(
    kind: str, case: _Case, law: TailLaw, rng: np.random.Generator, p: float, draws: int
) -> FloatArray:
    """Return draws of Z1, Z2 or the minimally biased statistics from losses with each day's VaR and ES."""
    n, var, es = case.sample.n, case.var, case.es
    scale = es if kind in ("z1", "z2", "relative") else np.ones_like(es)
    low = np.append(var / scale, 0.0)  # the entry at the end stands for "no day"
    step = np.append((es - var) / scale, 0.0)
    whole = np.add.reduce((es - var) / scale) * (n / es.size)
    rows = []
    for days, x, excess in tail_blocks(rng, n, p, draws, law, lowest=1 if kind == "z1" else 0):
        at = np.where(days > 0, days - 1 if es.size == n else 0, es.size)
        if kind in ("z1", "z2"):
            total = np.add.reduce(low[at] + step[at] * excess, axis=1)
            rows.append(1.0 - total / (x if kind == "z1" else n * p))
        else:
            rows.append((whole - np.add.reduce(step[at] * excess, axis=1) / p) / n)
    return np.concatenate(rows)


def _outcome(
    kind: str, case: _Case, law: TailLaw, alpha: float, draws: int, seed: int, series: TailSeries | None
) -> BacktestTest:
    sample, statistic = case.sample, case.statistic
    n, x, p = sample.n, sample.x, sample.p
    notes, details = sample.notes, {}
    rng = stream(seed, "backtest", "acerbi", kind)
    simulated = np.empty(0)
    if kind == "z3" and n * p < 1.0:
        notes += (f"Note: cannot be evaluated: Z3 needs one expected hit, and {n * p:.3g} are expected",)
    elif kind == "z3":
        m = max(1, math.floor(n * p + 1e-9))
        mean = rank_mean(law, n, m)
        details = {"ranks": m, "expected_tail": mean}
        statistic = statistic if series is None else z3_observed(series, law, mean, m)
        simulated = z3_drawn(case.var, case.es, law, rng, (n, p), draws, mean, m)
    elif kind == "z1" and x == 0:
        notes += ("Note: cannot be evaluated: Z1 is the mean size of hits, and there is none",)
    elif case.losses is not None:
        simulated = _dense(kind, case.losses, case.var, case.es, p)
        simulated = simulated[~np.isnan(simulated)]
    else:
        simulated = _drawn(kind, case, law, rng, p, draws)
    found, critical = NO_SIMULATION, math.nan
    if simulated.size and not math.isnan(statistic):
        words = law.words if case.losses is None else "the losses given"
        found = lower_p(rng, simulated, statistic, words + (", given a hit" if kind == "z1" else ""))
        critical = float(np.quantile(simulated, alpha))
    if n * p < _MIN_EXPECTED and case.losses is None:
        notes += (
            f"SmallSampleWarning: {n * p:.3g} hits are expected, fewer than {_MIN_EXPECTED:g}: the p-value "
            "hangs on the law of the tail that was assumed",
        )
    return _result(kind, sample, statistic, critical, found, alpha, notes, details | {"seed": seed})


def _result(
    kind: str,
    sample: Sample,
    statistic: float,
    critical: float,
    found: SimulatedP,
    alpha: float,
    notes: tuple[str, ...],
    details: dict[str, Any],
) -> BacktestTest:
    n, x, p, biased = sample.n, sample.x, sample.p, kind in ("relative", "absolute")
    return outcome(
        sample,
        name=_NAMES[kind],
        h0="losses beyond VaR have the stated mean ES"
        + ("" if kind == "z1" else f" and probability {p:.8g}"),
        h1=_H1[kind],
        sidedness="less",
        statistic=statistic,
        distribution="simulated",
        found=found,
        critical_value=critical,
        alpha=alpha,
        n_effective=x if kind == "z1" else n,
        notes=notes,
        references=("acerbi2019", "dufour2006") if biased else ("acerbi2014", "dufour2006"),
        details={"hit_rate": x / n}
        | details
        | {"p_ties_broken": found.broken, "e_value": doubling_e_value(n, x, p)},
    )


def _read_losses(simulated: Any, n: int) -> FloatArray:
    """Return the model's own losses, shape (draws, n)."""
    try:
        losses = np.asarray(simulated, dtype=np.float64)
    except (TypeError, ValueError):
        losses = np.empty(0)
    if losses.ndim != 2 or losses.shape[1] != n or losses.shape[0] < 99:
        raise SchemaError(
            f"simulated has shape {losses.shape}",
            f"(draws, {n}): 99 draws or more of the loss of each day under the model",
            "draw each day's loss from the law that gave its VaR and ES",
        )
    as_float_array(losses.ravel(), "simulated")
    return losses


def _cases(kind: str, series: Any, simulated: Any, horizon: Any) -> list[tuple[_Case, TailSeries | None]]:
    parts = read_tail(series, horizon)
    losses = None if simulated is None else _read_losses(simulated, series.n)
    cases: list[tuple[_Case, TailSeries | None]] = []
    for offset, (sample, part) in enumerate(parts):
        own = None if losses is None else losses[:, offset :: len(parts)]
        value = (
            math.nan
            if kind == "z3"
            else float(_dense(kind, part.loss[None, :], part.var, part.es, part.p)[0])
        )
        cases.append((_Case(sample, part.var, part.es, value, own), part))
    return cases


def _reported(statistic: Any, n: Any, x: Any, level: Any, law: TailLaw) -> _Case:
    """Return the case of a statistic from a report, for losses without a mean."""
    absent = [k for k, v in (("statistic", statistic), ("n", n), ("x", x), ("level", level)) if v is None]
    if absent:
        raise ParameterError(
            f"{', '.join(absent)} not given",
            "either series or all of statistic, n, x, level",
            "pass the rest",
        )
    if law.null == "exponential":
        raise ParameterError(
            "null is 'exponential' without a series",
            "a law that fixes the ratio of VaR to ES",
            "pass a series, or null='normal' or 't'",
        )
    p, size, hits = check_level(level), check_count(n, "n"), check_count(x, "x")
    value = float(as_float_array([statistic], "statistic")[0])
    if size == 0 or hits > size:
        raise ParameterError(
            f"n is {size} and x is {hits}", "at least one observation, and x ≤ n", "check both"
        )
    return _Case(Sample(n=size, x=hits, p=p), np.array([law.var(p)]), np.array([law.es(p)]), value, None)


def _run(
    kind: str,
    series: Any,
    simulated: Any,
    law: TailLaw,
    horizon: Any,
    alpha: float,
    draws: int,
    seed: int,
) -> BacktestTest | OffsetOutcomes:
    cases = _cases(kind, series, simulated, horizon)
    return collect(
        [_outcome(kind, case, law, alpha, draws, seed, part) for case, part in cases],
        horizon,
    )


@overload
def acerbi_szekely(
    series: TailSeries | None = ...,
    *,
    kind: AcerbiKind = ...,
    statistic: float | None = ...,
    n: int | None = ...,
    x: int | None = ...,
    level: float | None = ...,
    null: Null = ...,
    df: float | None = ...,
    simulated: npt.ArrayLike | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def acerbi_szekely(
    series: TailSeries,
    *,
    kind: AcerbiKind = ...,
    null: Null = ...,
    df: float | None = ...,
    simulated: npt.ArrayLike | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def acerbi_szekely(
    series: TailSeries | None = None,
    *,
    kind: AcerbiKind = "z2",
    statistic: float | None = None,
    n: int | None = None,
    x: int | None = None,
    level: float | None = None,
    null: Null = "normal",
    df: float | None = None,
    simulated: npt.ArrayLike | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return Z1, Z2 or Z3 of Acerbi and Székely, no unit: 0 for a right ES, negative where it is too low.

    Use ``"z2"`` first: it sees too many hits as well as too large ones. ``"z1"`` asks for their size alone,
    after a test of VaR. ``"z3"`` asks for the whole tail of the law assumed.

    Parameters
    ----------
    series : TailSeries, optional
        Losses with VaR and ES.
    kind : {"z1", "z2", "z3"}
        Statistic.
    statistic : float, optional
        In place of the series: the value of a report, with ``n``, ``x`` and ``level``. The null then takes
        losses without a mean.
    n, x : int, optional
        Observations and hits of the report.
    level : float, optional
        Confidence level of the report, in [0.5, 1); a series brings its own.
    null : {"normal", "t", "exponential"}
        Law of the loss under the null, with each day's VaR and ES; ``"exponential"``: of the excess over VaR
        (not for ``"z3"``).
    df : float, optional
        Degrees of freedom of ``"t"``, above 1.
    simulated : array-like, shape (draws, n), optional
        Losses drawn by the model itself, 99 rows or more, in place of ``null`` (not for ``"z3"``).
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
        The latter iff ``horizon`` is given. ``critical_value`` is the simulated ``alpha`` quantile: the test
        rejects below it. ``details`` holds ``hit_rate``, for ``"z3"`` the number of ``ranks`` and the
        ``expected_tail`` of a standard loss, the seed, ``p_ties_broken``, and ``e_value`` against too many
        hits.

    Raises
    ------
    ParameterError
        A series and a report together or neither, an unknown kind or null, a value outside its domain.
    ConventionError
        An overlapping series without ``horizon``; ``"z3"`` where ES equals VaR.
    SchemaError
        ``simulated`` of another shape, or not finite.

    Notes
    -----
    Z1 = 1 - (1/x) Σ L_t I_t/ES_t; Z2 = 1 - Σ L_t I_t/(n p ES_t) = 1 - (1 - Z1) x/(np). Z3 = 1 - (1/n) Σ_t
    ÊS_t/E[ÊS_t], where ÊS_t is the mean of the m = ⌊np⌋ worst of the n probabilities observed, each turned
    into a loss by the law of day t. Under the null a hit has loss VaR + (ES - VaR)·W, W the excess of
    ``null``, so that neither the draws nor Z1 and Z2 need the body of the law. Z1 is drawn given a hit and is
    ``"not_evaluable"`` without one, Z3 below one expected hit. Z2 adds up number and size: it rejects a right
    ES with a VaR that is too low, and sees little where hits are larger and rarer. Cost: O(draws·np).

    References
    ----------
    Acerbi and Székely (2014), tests 1, 2 and 3; Dufour (2006), section 2.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> [round(acerbi_szekely(series, kind=kind, draws=99).statistic, 8) for kind in ("z1", "z2")]
    [-0.05333333, -2.16]
    """
    level_of_test, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if kind not in ("z1", "z2", "z3"):
        raise ParameterError(f"kind is {kind!r}", "'z1', 'z2' or 'z3'", "choose one of them")
    law = check_law(null, df)
    if kind == "z3" and (law.null == "exponential" or simulated is not None):
        raise ParameterError(
            "kind is 'z3' with an exponential tail or with simulated losses",
            "a law with a quantile function, null='normal' or 't'",
            "choose null='normal' or 't', or kind='z2'",
        )
    reported = [
        k for k, v in (("statistic", statistic), ("n", n), ("x", x), ("level", level)) if v is not None
    ]
    if series is not None and reported:
        raise ParameterError(
            f"series and {', '.join(reported)} are both given",
            "either a series or the figures of a report",
            "drop one of them",
        )
    if series is None:
        if horizon is not None or simulated is not None:
            raise ConventionError(
                "horizon or simulated is given without a series",
                "a TailSeries, day by day",
                "pass series=, or leave them out",
            )
        case = _reported(statistic, n, x, level, law)
        return _outcome(kind, case, law, level_of_test, draws, seed, None)
    return _run(kind, series, simulated, law, horizon, level_of_test, draws, seed)


@overload
def minimally_biased(
    series: TailSeries,
    *,
    kind: Literal["relative", "absolute"] = ...,
    null: Null = ...,
    df: float | None = ...,
    simulated: npt.ArrayLike | None = ...,
    horizon: None = ...,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> BacktestTest: ...
@overload
def minimally_biased(
    series: TailSeries,
    *,
    kind: Literal["relative", "absolute"] = ...,
    null: Null = ...,
    df: float | None = ...,
    simulated: npt.ArrayLike | None = ...,
    horizon: float,
    alpha: float = ...,
    draws: int = ...,
    seed: int = ...,
) -> OffsetOutcomes: ...
def minimally_biased(
    series: TailSeries,
    *,
    kind: Literal["relative", "absolute"] = "relative",
    null: Null = "normal",
    df: float | None = None,
    simulated: npt.ArrayLike | None = None,
    horizon: float | None = None,
    alpha: float = 0.05,
    draws: int = 9999,
    seed: int = 0,
) -> BacktestTest | OffsetOutcomes:
    """Return the minimally biased ES test, in units of ES (``"relative"``) or of money (``"absolute"``).

    Use it where the VaR may be slightly off: an error in VaR moves the statistic to second order only, and
    always down, so that it cannot hide an ES that is too low.

    Parameters
    ----------
    series, null, df, simulated, horizon, alpha, draws, seed
        As in :func:`acerbi_szekely`.
    kind : {"relative", "absolute"}
        Whether each day is divided by its ES.

    Returns
    -------
    BacktestTest or OffsetOutcomes
        As in :func:`acerbi_szekely`.

    Raises
    ------
    ParameterError, ConventionError, SchemaError
        As in :func:`acerbi_szekely`.

    Notes
    -----
    Z = mean[(ES_t - VaR_t - (L_t - VaR_t)⁺/p)/ES_t], without the division for ``"absolute"``. ES is the
    minimum over v of v + E(L - v)⁺/p, reached at VaR: that is why the bias is of second order and prudent.

    References
    ----------
    Acerbi and Székely (2019); Dufour (2006), section 2.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(minimally_biased(series, draws=99).statistic, 8)
    -0.56
    """
    level_of_test, (draws, seed) = check_alpha(alpha), check_draws(draws, seed)
    if kind not in ("relative", "absolute"):
        raise ParameterError(f"kind is {kind!r}", "'relative' or 'absolute'", "choose one of them")
    return _run(kind, series, simulated, check_law(null, df), horizon, level_of_test, draws, seed)
