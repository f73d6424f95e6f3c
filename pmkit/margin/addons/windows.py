"""The windows of a history apart: subsamples that do not overlap, and how far the figure moves with time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import ClassVar, Literal

import numpy as np

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.types import IntArray
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.base import PartCharge, PartInput
from pmkit.margin.addons.tail import MeasuredTail

__all__ = ["CorrelationBreak", "Subsamples"]

Combine = Literal["mean", "median", "max"]
_COMBINE: dict[str, Callable[[list[float]], float]] = {"mean": mean, "median": median, "max": max}


@dataclass(frozen=True, kw_only=True)
class Subsamples:
    """The measure of windows that do not overlap, several such sets combined, in place of all windows.

    For scenarios of h-day windows of a history, h above 1. The charge is what the combined figure has more
    than the pooled one, and negative where it has less.

    Attributes
    ----------
    combine : {"mean", "median", "max"}
    name : str

    Notes
    -----
    Subsample j holds the windows that begin on days j, j + h, j + 2h, …: no day is in two of them. The
    largest VaR of the subsamples is never below the pooled one, their mean ES never above it. With one day
    there is one subsample and no charge. Clause PART-4.

    References
    ----------
    Eurex Clearing (2026).

    Examples
    --------
    >>> Subsamples(combine="median").name
    'subsamples'
    """

    clause: ClassVar[str] = "PART-4"
    references: ClassVar[tuple[str, ...]] = ("eurex2026prisma",)

    combine: Combine = "mean"
    name: str = "subsamples"

    def __post_init__(self) -> None:
        if self.combine not in _COMBINE:
            raise ParameterError(
                f"combine is {self.combine!r}", "'mean', 'median' or 'max'", "name one of them"
            )

    def charge(self, given: PartInput) -> PartCharge:
        """Return the combined figure less the pooled one, USD, and the figure of each subsample."""
        tail = given.measured
        days = tail.dates()[0]
        length = int(days.shape[1])
        if length > 1 and not bool((np.diff(days, axis=1) == 1).all()):
            raise ConventionError(
                f"scenarios {tail.scenarios.name!r} are paths of days drawn one by one: nothing overlaps",
                "windows of consecutive days",
                "take var-hs as the base, or leave the part out",
            )
        groups = [np.flatnonzero(days[:, 0] % length == j) for j in range(length)]
        extra: list[float] = []
        figures: dict[str, float] = {}
        for what, level in (("im", tail.table.im_level), ("mm", tail.table.mm_level)):
            parts = [tail.value(level, rows) for rows in groups]
            extra.append(_COMBINE[self.combine](parts) - tail.value(level))
            figures |= {f"{what} of subsample {j + 1}": x for j, x in enumerate(parts)}
        return PartCharge(extra[0], extra[1], figures)


@dataclass(frozen=True, kw_only=True)
class CorrelationBreak:
    """A charge for how far the measure moves between windows of the history, within bounds.

    A book that is hedged by a correlation which came and went has windows in which its figure is much larger
    than in others.

    Attributes
    ----------
    factor : float
        Multiple of the standard deviation of the windows' figures, 0 or more.
    low, high : float
        Bounds as shares of the base measure, 0 or more.
    level : float
        Level of the measure in a window.
    window_days, step_days : int
        Length of a window of history and how far the next one begins.
    name : str

    Notes
    -----
    ``min(max(factor · sd_w(M_w), low · M), high · M)`` with M_w the measure over the scenarios all of whose
    days lie in window w. On scenarios that are not filtered the dispersion holds the changes of volatility
    as well. Homogeneous, no more. MM takes the same multiple of its own measure. Clause PART-5.

    References
    ----------
    Eurex Clearing (2026).

    Examples
    --------
    >>> CorrelationBreak(factor=1.0, low=0.0, high=0.3, level=0.95).name
    'correlation break'
    """

    clause: ClassVar[str] = "PART-5"
    references: ClassVar[tuple[str, ...]] = ("eurex2026prisma",)

    factor: float
    low: float
    high: float
    level: float
    window_days: int = 250
    step_days: int = 10
    name: str = "correlation break"

    def __post_init__(self) -> None:
        checked_number("factor", self.factor, low=0.0)
        checked_number("low", self.low, low=0.0)
        checked_number("high", self.high, low=self.low)
        checked_number("level", self.level, low=0.5, high=1.0 - 1e-12)
        checked_number("window_days", self.window_days, low=2)
        checked_number("step_days", self.step_days, low=1)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the bounded dispersion in USD, and what it was made of."""
        tail = given.measured
        figures = self.windows(tail)
        spread = stdev(figures)
        whole = tail.value(tail.table.im_level)
        charge = min(max(self.factor * spread, self.low * whole), self.high * whole)
        kept = charge / whole * tail.value(tail.table.mm_level) if whole > 0.0 else 0.0
        shown = {
            "windows": float(len(figures)),
            "smallest": min(figures),
            "largest": max(figures),
            "dispersion": spread,
        }
        return PartCharge(charge, kept, shown)

    def windows(self, tail: MeasuredTail) -> list[float]:
        """Return the measure of each window in time order, USD.

        Raises
        ------
        DataGapError
            Fewer than two windows, or a window with less than one scenario beyond the level.
        """
        days, calendar = tail.dates()
        first, last = days.min(axis=1), days.max(axis=1)
        starts = range(0, len(calendar) - self.window_days + 1, self.step_days)
        if len(starts) < 2:
            raise DataGapError(
                f"{len(calendar)} days of history hold {len(starts)} windows of {self.window_days} days",
                "at least two windows",
                "shorten window_days or step_days",
            )
        return [self._one(tail, start, first, last) for start in starts]

    def _one(self, tail: MeasuredTail, start: int, first: IntArray, last: IntArray) -> float:
        rows = np.flatnonzero((first >= start) & (last < start + self.window_days))
        if len(rows) * (1.0 - self.level) < 1.0:
            calendar = tail.dates()[1]
            raise DataGapError(
                f"the window from {calendar[start].date()} holds {len(rows)} scenarios",
                f"at least {math.ceil(1.0 / (1.0 - self.level))}, one beyond the {self.level:g} level",
                "lengthen window_days, lower the level, or take more paths",
            )
        return tail.value(self.level, rows)
