"""The hit series: on which dates the loss went strictly beyond VaR, and whether the observations overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.backtest.series.checks import as_bool_array, as_float_array, check_days, check_probability
from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.core.time import SECONDS_PER_DAY
from pmkit.core.types import BoolArray

__all__ = ["HitCounts", "HitSeries"]

# Stamps may jitter (a job runs late one day and in time the next); closer than this is another frequency.
_CLOSEST_GAP = 0.9


class HitCounts(NamedTuple):
    """Counts of a hit series: observations, hits, n - 1 transitions from state i to j (1 = hit)."""

    n: int
    x: int
    n00: int
    n01: int
    n10: int
    n11: int


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class HitSeries:
    """Hits of one VaR model in order of time, with tail probability, horizon and sampling step.

    Parameters
    ----------
    hits : array-like of bool, shape (n,)
        True where loss > VaR, strictly. 0 and 1 are accepted, NaN is not.
    p : float
        Tail probability 1 - level of the VaR, in (0, 0.5]: 0.01 for a level of 0.99.
    horizon : float
        Days over which each loss accrues.
    step : float
        Days between two observations. The series overlaps iff step < horizon.
    dates : array-like of instants, shape (n,), optional
        UTC instants, strictly increasing; plain dates mean 00:00 UTC. No two may be closer than 0.9 steps.
    tied : array-like of bool, shape (n,), optional
        True where loss equals VaR, which is no hit.

    Raises
    ------
    DataGapError
        No observation.
    SchemaError
        Values other than 0 and 1, NaN, lengths that differ, dates missing, unsorted or repeated.
    ConventionError
        p above 0.5 (a level in place of a tail probability), dates not in UTC or closer than the step.
    ParameterError
        p, horizon or step outside their domain.

    Examples
    --------
    >>> from pmkit.backtest import HitSeries
    >>> hits = HitSeries.from_losses([1.0, 3.0, 2.0, 2.5], [2.0, 2.0, 2.0, 2.0], p=0.01)
    >>> hits
    HitSeries(n=4, x=2, ties=1, p=0.01, horizon=1, step=1)
    >>> hits.counts()
    HitCounts(n=4, x=2, n00=0, n01=2, n10=1, n11=0)
    """

    hits: BoolArray
    p: float
    horizon: float = 1.0
    step: float = 1.0
    dates: pd.DatetimeIndex | None = None
    tied: BoolArray | None = None

    def __post_init__(self) -> None:
        hits = as_bool_array(self.hits, "hits")
        hits.setflags(write=False)
        object.__setattr__(self, "hits", hits)
        object.__setattr__(self, "p", check_probability(self.p))
        object.__setattr__(self, "horizon", check_days(self.horizon, "horizon"))
        object.__setattr__(self, "step", check_days(self.step, "step"))
        if self.dates is not None:
            object.__setattr__(self, "dates", _utc_dates(self.dates, hits.size, self.step))
        if self.tied is not None:
            tied = as_bool_array(self.tied, "tied")
            _check_length("tied", tied.size, hits.size)
            if bool((tied & hits).any()):
                position = int(np.argmax(tied & hits))
                raise SchemaError(
                    f"observation {position} is both a hit and a tie",
                    "ties that are no hits: a hit is a loss strictly above VaR",
                    "build the series with HitSeries.from_losses",
                )
            tied.setflags(write=False)
            object.__setattr__(self, "tied", tied)

    @classmethod
    def from_losses(
        cls,
        loss: npt.ArrayLike | pd.Series,
        var: npt.ArrayLike | pd.Series,
        p: float,
        horizon: float = 1.0,
        step: float = 1.0,
        dates: pd.DatetimeIndex | None = None,
    ) -> HitSeries:
        """Return the hit series of realised losses against the VaR that was forecast for them.

        Parameters
        ----------
        loss : array-like or Series, shape (n,)
            Realised loss = -pnl in money, positive where money was lost. NaN and infinity are refused.
        var : array-like or Series, shape (n,)
            VaR in the same money, 0 or positive, known before the loss. NaN and infinity are refused.
        p, horizon, step : float
            As in the class.
        dates : array-like of instants, optional
            Taken from a DatetimeIndex of ``loss`` (or else of ``var``) where absent.

        Raises
        ------
        ConventionError
            A negative VaR; also the reasons of the class.
        SchemaError
            Lengths or indexes that differ, missing values; also the reasons of the class.

        Notes
        -----
        A hit is loss > VaR, strictly. Equality is no hit and is counted as a tie: with VaR by historical
        simulation of discrete P&L ties are common, and a test whose verdict hangs on them should be looked
        at.

        Examples
        --------
        >>> from pmkit.backtest import HitSeries
        >>> HitSeries.from_losses([0.5, 2.5], [2.0, 2.0], 0.05, horizon=2).overlapping
        True
        """
        if isinstance(loss, pd.Series) and isinstance(var, pd.Series) and not loss.index.equals(var.index):
            raise SchemaError(
                f"loss and var carry different indexes (lengths {len(loss)} and {len(var)})",
                "one index for both, so that each loss meets the VaR forecast for it",
                "align them first, for example loss, var = loss.align(var, join='inner')",
            )
        if dates is None:
            for series in (loss, var):
                if isinstance(series, pd.Series) and isinstance(series.index, pd.DatetimeIndex):
                    dates = series.index
                    break
        losses, forecasts = as_float_array(loss, "loss"), as_float_array(var, "var")
        _check_length("var", forecasts.size, losses.size)
        negative = forecasts < 0.0
        if negative.any():
            position = int(np.argmax(negative))
            raise ConventionError(
                f"var[{position}] = {forecasts[position]:.8g} is negative "
                f"({int(negative.sum())} of {forecasts.size})",
                "VaR as a loss: 0 or a positive number",
                "turn the sign of the VaR if it is stored as a quantile of P&L",
            )
        return cls(
            hits=losses > forecasts, p=p, horizon=horizon, step=step, dates=dates, tied=losses == forecasts
        )

    @property
    def level(self) -> float:
        """Confidence level 1 - p of the VaR."""
        return 1.0 - self.p

    @property
    def n(self) -> int:
        """Number of observations."""
        return int(self.hits.size)

    @property
    def x(self) -> int:
        """Number of hits."""
        return int(self.hits.sum())

    @property
    def ties(self) -> int:
        """Number of observations whose loss equals VaR."""
        return 0 if self.tied is None else int(self.tied.sum())

    @property
    def stride(self) -> int:
        """Observations from one loss to the next that shares no day with it: horizon / step, rounded up."""
        return max(1, math.ceil(self.horizon / self.step - 1e-9))

    @property
    def overlapping(self) -> bool:
        """Whether neighbouring losses share days: step < horizon."""
        return self.stride > 1

    def counts(self) -> HitCounts:
        """Return observations, hits and transition counts of the series as it stands."""
        before, after = self.hits[:-1], self.hits[1:]
        return HitCounts(
            n=self.n,
            x=self.x,
            n00=int((~before & ~after).sum()),
            n01=int((~before & after).sum()),
            n10=int((before & ~after).sum()),
            n11=int((before & after).sum()),
        )

    def offsets(self) -> Iterator[HitSeries]:
        """Yield the non-overlapping sub-series: every ``stride``-th observation, from offset 0, 1, ...

        A series that does not overlap yields itself alone. Every observation is in exactly one sub-series.

        Raises
        ------
        DataGapError
            Fewer observations than offsets.
        """
        stride = self.stride
        if self.n < stride:
            raise DataGapError(
                f"{self.n} observations for {stride} non-overlapping offsets",
                f"{stride} or more at a horizon of {self.horizon:g} and a step of {self.step:g} days",
                "use a longer series or a shorter horizon",
            )
        for offset in range(stride):
            part = slice(offset, None, stride)
            yield HitSeries(
                hits=self.hits[part],
                p=self.p,
                horizon=self.horizon,
                step=self.step * stride,
                dates=None if self.dates is None else self.dates[part],
                tied=None if self.tied is None else self.tied[part],
            )

    def __repr__(self) -> str:
        return (
            f"HitSeries(n={self.n}, x={self.x}, ties={self.ties}, p={self.p:.8g}, "
            f"horizon={self.horizon:g}, step={self.step:g})"
        )


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise SchemaError(
            f"{name} has {found} values",
            f"{expected}, one for each observation",
            "cut both to the same dates",
        )


def _utc_dates(dates: object, n: int, step: float) -> pd.DatetimeIndex:
    """Return ``dates`` as a UTC index that is complete, strictly increasing and not denser than ``step``."""
    remedy = "pass a DatetimeIndex in UTC, sorted and without repetition"
    try:
        # Bare numbers would pass as nanoseconds since 1970.
        if any(
            isinstance(item, (int, float, np.number, pd.Period)) for item in np.asarray(dates, dtype=object)
        ):
            raise TypeError
        index = pd.DatetimeIndex(dates)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise SchemaError("dates are not instants", "one UTC instant an observation", remedy) from None
    _check_length("dates", index.size, n)
    missing = index.isna()
    if missing.any():
        raise SchemaError(
            f"dates[{int(np.argmax(missing))}] is missing", "one UTC instant an observation", remedy
        )
    if index.tz is None:
        if not bool((index == index.normalize()).all()):
            raise ConventionError("dates have clock times without a time zone", "instants in UTC", remedy)
        index = index.tz_localize("UTC")
    elif not bool((index.tz_localize(None) == index.tz_convert("UTC").tz_localize(None)).all()):
        raise ConventionError(
            f"dates are in time zone {index.tz}", "instants in UTC", "use dates.tz_convert('UTC')"
        )
    index = index.tz_convert("UTC")
    gaps = np.asarray((index[1:] - index[:-1]).total_seconds()) / SECONDS_PER_DAY
    if (gaps <= 0.0).any():
        position = int(np.argmax(gaps <= 0.0)) + 1
        raise SchemaError(
            f"dates[{position}] = {index[position].isoformat()} does not come after the one before it",
            "strictly increasing dates",
            "sort by date and drop repeated dates, knowingly",
        )
    if (gaps < _CLOSEST_GAP * step).any():
        position = int(np.argmax(gaps < _CLOSEST_GAP * step)) + 1
        raise ConventionError(
            f"dates[{position}] = {index[position].isoformat()} comes {gaps[position - 1]:.4g} days "
            "after the one before it",
            f"about {step:g} days, the stated step, or more",
            "state the step of the observations in days, so that overlap is recognised",
        )
    return index
