"""Hits in order of time for the tests that need more than counts: from a series, or from waiting times."""

from __future__ import annotations

from typing import Any

import numpy as np

from pmkit.backtest.series.checks import as_float_array, check_count
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import BoolArray, IntArray

__all__ = ["hit_days", "read_ordered"]

_LARGEST_SERIES = 10**7  # a series rebuilt from waiting times is held in memory, one byte an observation


def read_ordered(
    *, hits: Any, durations: Any, n: Any, p: Any, horizon: Any, needs_p: bool = True
) -> list[tuple[Sample, BoolArray]]:
    """Return each sample to test with its hits in order of time: one, or one an offset.

    Parameters
    ----------
    hits : HitSeries, array-like of bool or None
        Hits in order of time.
    durations : array-like of int or None
        Days from the start to the first hit, and from each hit to the next; empty where there is none.
    n : int or None
        Observations; given with ``durations``.
    p, horizon : float or None
        As in :func:`~pmkit.backtest.series.samples.read_samples`.
    needs_p : bool
        Whether the test states a tail probability.

    Raises
    ------
    ParameterError
        Both or neither of ``hits`` and ``durations`` with ``n``; more days than n.
    ConventionError
        Overlapping hits without ``horizon``; ``horizon`` with durations.
    SchemaError
        Durations that are not whole numbers of 1 or more.
    """
    given = {"n": n, "durations": None if durations is None else "given"}
    if hits is None and durations is not None and n is not None:
        rebuilt = _rebuild(durations, n)
        counted = read_samples(
            hits=None,
            p=p,
            horizon=horizon,
            counts={"n": rebuilt.size, "x": int(rebuilt.sum())},
            needs_p=needs_p,
        )
        return [(counted[0], rebuilt)]
    if hits is None and (durations is not None or n is not None):
        absent = "n" if n is None else "durations"
        raise ParameterError(
            f"{absent} is not given", "all of n, durations", f"pass {absent}= too, or pass hits="
        )
    samples = read_samples(hits=hits, p=p, horizon=horizon, counts=given, needs_p=needs_p)
    if not isinstance(hits, HitSeries):
        # A test that uses no p gets a stand-in, which only serves to cut the series.
        hits = HitSeries(hits=hits, p=0.5, horizon=1.0 if horizon is None else horizon)
    parts = hits.offsets() if horizon is not None else iter((hits,))
    return [(sample, part.hits) for sample, part in zip(samples, parts, strict=True)]


def hit_days(hits: BoolArray) -> IntArray:
    """Return the days of the hits, counted from 1."""
    return np.flatnonzero(hits).astype(np.int64) + 1


def _rebuild(durations: Any, n: Any) -> BoolArray:
    """Return the hits that lie ``durations`` apart in a series of ``n`` days."""
    total = check_count(n, "n", largest=_LARGEST_SERIES)
    if total == 0:
        raise ParameterError("n is 0", "at least one observation", "check the dates that were counted")
    hits = np.zeros(total, dtype=np.bool_)
    if np.size(durations) == 0:
        return hits
    days = as_float_array(durations, "durations")
    wrong = (days < 1.0) | (days != np.floor(days))
    if wrong.any():
        position = int(np.argmax(wrong))
        raise SchemaError(
            f"durations[{position}] is {days[position]:.8g}",
            "whole numbers of days, 1 or more",
            "count days from one hit to the next, the first from the start of the series",
        )
    last = np.add.accumulate(days)
    if last[-1] > total:
        raise ParameterError(
            f"durations add up to {last[-1]:.8g}, more than n = {total}",
            "a last hit within the n observations",
            "check n, and leave out the days after the last hit",
        )
    hits[last.astype(np.int64) - 1] = True
    return hits
