"""How a count test gets its data: from the counts of a report, or from hits, split in offsets where asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pmkit.backtest.series.checks import check_count, check_days, check_probability
from pmkit.backtest.series.hits import HitCounts, HitSeries
from pmkit.core.errors import ConventionError, ParameterError

__all__ = ["Sample", "read_samples"]

_EITHER = "either counts or hits="


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Counts of one series without overlap: what every count test works on.

    Attributes
    ----------
    n, x : int
        Observations and hits.
    p : float
        Tail probability; NaN where the test was given none and needs none.
    horizon : float
        Horizon of one observation in days.
    transitions : HitCounts or None
        Counts of transitions, where known.
    notes : tuple of str
        Remarks for the ``warnings`` of the result.
    """

    n: int
    x: int
    p: float
    horizon: float = 1.0
    transitions: HitCounts | None = None
    notes: tuple[str, ...] = ()


def read_samples(
    *,
    hits: Any,
    p: Any,
    horizon: Any,
    counts: Mapping[str, Any],
    needs_p: bool = True,
) -> tuple[Sample, ...]:
    """Return the samples to test: one, or one an offset where ``horizon`` is set.

    Parameters
    ----------
    hits : HitSeries, array-like of bool or None
        Hits in order of time. A plain array is taken as free of overlap, unless ``horizon`` is set.
    p : float or None
        Tail probability; a HitSeries brings its own.
    horizon : float or None
        Days; asks for the split into offsets. A plain array then counts as sampled every day.
    counts : mapping of str to int or None
        ``n`` and ``x``, and for tests of dependence ``n00``, ``n01``, ``n10``, ``n11``.
    needs_p : bool
        Whether the test states a tail probability.

    Raises
    ------
    ParameterError
        Counts and hits together, or neither; a count outside its domain; counts that contradict each other.
    ConventionError
        An overlapping series without ``horizon``, or with another one; ``horizon`` with counts; another p
        than the series carries.
    """
    given = [name for name, value in counts.items() if value is not None]
    if hits is not None and given:
        raise ParameterError(
            f"counts ({', '.join(given)}) and hits are both given", _EITHER, "drop one of them"
        )
    if hits is None and not given:
        raise ParameterError(
            "neither counts nor hits are given",
            _EITHER,
            f"pass {', '.join(counts)}, or hits=HitSeries.from_losses(...)",
        )
    if hits is not None:
        return tuple(_from_series(part, keep_p=keep) for part, keep in _parts(hits, p, horizon, needs_p))
    if horizon is not None:
        raise ConventionError(
            f"horizon={horizon!r} is given with counts",
            "hits in order of time, which can be split into offsets without overlap",
            "pass hits=, or leave horizon out if the counts come from losses that share no days",
        )
    probability = math.nan if p is None and not needs_p else check_probability(p)
    if "n00" not in counts:
        return (_from_counts(counts, probability),)
    return (_from_transitions(counts, probability),)


def _parts(hits: Any, p: Any, horizon: Any, needs_p: bool) -> list[tuple[HitSeries, bool]]:
    """Return the non-overlapping series, each with whether its p is meant."""
    if horizon is not None:
        horizon = check_days(horizon, "horizon")
    if not isinstance(hits, HitSeries):
        keep = needs_p or p is not None
        # A test that uses no p gets a stand-in, which _from_series takes out again.
        series = HitSeries(hits=hits, p=p if keep else 0.5, horizon=1.0 if horizon is None else horizon)
        return [(part, keep) for part in (series.offsets() if horizon is not None else (series,))]
    if p is not None and not math.isclose(check_probability(p), hits.p, rel_tol=1e-9):
        raise ConventionError(
            f"p is {p:.8g} and the hits are against a VaR with p = {hits.p:.8g}",
            "one tail probability for the VaR and for its test",
            "leave p out, or count the hits against the VaR of that level",
        )
    if horizon is None:
        if hits.overlapping:
            raise ConventionError(
                f"the hits overlap: losses over {hits.horizon:g} days, taken every {hits.step:g}, share days",
                "observations that share no days, as the law of the test assumes",
                f"pass horizon={hits.horizon:g} to test each of the {hits.stride} non-overlapping offsets",
            )
        return [(hits, True)]
    if not math.isclose(horizon, hits.horizon, rel_tol=1e-9):
        raise ConventionError(
            f"horizon is {horizon:g} days and the hits are of losses over {hits.horizon:g} days",
            "the horizon of the hits",
            f"pass horizon={hits.horizon:g}, or count hits of losses over {horizon:g} days",
        )
    return [(part, True) for part in hits.offsets()]


def _from_series(series: HitSeries, *, keep_p: bool) -> Sample:
    ties = series.ties
    notes = (f"Note: {ties} of {series.n} losses equal VaR and count as no hit",) if ties else ()
    return Sample(
        n=series.n,
        x=series.x,
        p=series.p if keep_p else math.nan,
        horizon=series.horizon,
        transitions=series.counts(),
        notes=notes,
    )


def _from_counts(counts: Mapping[str, Any], p: float) -> Sample:
    _demand(counts, ("n", "x"))
    n, x = check_count(counts["n"], "n"), check_count(counts["x"], "x")
    if n == 0:
        raise ParameterError("n is 0", "at least one observation", "check the dates that were counted")
    if x > n:
        raise ParameterError(
            f"x is {x}, more than n = {n}", "at most one hit an observation", "check n and x"
        )
    return Sample(n=n, x=x, p=p)


def _from_transitions(counts: Mapping[str, Any], p: float) -> Sample:
    """Read transition counts; n and x follow from them but for the state before the first transition."""
    names = ("n00", "n01", "n10", "n11")
    _demand(counts, names)
    n00, n01, n10, n11 = (check_count(counts[name], name) for name in names)
    total = n00 + n01 + n10 + n11
    if total == 0:
        raise ParameterError(
            "all transition counts are 0", "at least one transition", "check the dates that were counted"
        )
    if abs(n01 - n10) > 1 or (n00 > 0 and n11 > 0 and n01 + n10 == 0):
        raise ParameterError(
            f"n00, n01, n10, n11 = {n00}, {n01}, {n10}, {n11} cannot come from one series",
            "n01 and n10 that differ by 1 at most, and are not both 0 where n00 and n11 both occur",
            "count the transitions of one series at a time",
        )
    if counts["n"] is not None and check_count(counts["n"], "n") != total + 1:
        raise ParameterError(
            f"n is {counts['n']} with {total} transitions",
            f"n = {total + 1}, one more than there are transitions",
            "count the transitions over all n observations",
        )
    if n01 != n10:
        possible: tuple[int, ...] = (n01 + n11 + (n10 > n01),)
    elif n01 > 0:  # starts and ends in the same state, which the counts do not tell
        possible = (n01 + n11, n01 + n11 + 1)
    else:
        possible = (total + 1,) if n11 > 0 else (0,)
    notes: tuple[str, ...] = ()
    if counts["x"] is None:
        x = possible[0]
        if len(possible) == 2:
            notes = (
                f"Note: x taken as {x}, the first observation being no hit; pass x={x + 1} if it was one",
            )
    else:
        x = check_count(counts["x"], "x")
        if x not in possible:
            raise ParameterError(
                f"x is {x} with n01 + n11 = {n01 + n11}",
                f"x = {' or '.join(map(str, possible))}, as the transitions imply",
                "count hits and transitions over the same observations",
            )
    counted = HitCounts(n=total + 1, x=x, n00=n00, n01=n01, n10=n10, n11=n11)
    return Sample(n=total + 1, x=x, p=p, transitions=counted, notes=notes)


def _demand(counts: Mapping[str, Any], names: tuple[str, ...]) -> None:
    absent = [name for name in names if counts[name] is None]
    if absent:
        raise ParameterError(
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not given",
            f"all of {', '.join(names)}",
            f"pass {absent[0]}= too, or pass hits=",
        )
