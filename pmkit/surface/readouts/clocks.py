"""Clocks that weight the days between two instants, and a surface whose time runs by such a clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result
from pmkit.core.time import SECONDS_PER_DAY, SECONDS_PER_YEAR, parse_utc
from pmkit.core.types import FloatArray
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve
from pmkit.surface.readouts.outside import Outside, check_outside, same_time
from pmkit.surface.sliced import SlicedSurface

__all__ = ["Clock", "ClockedSurface"]

_DAYS_PER_YEAR = 365.0


def _require_weight(what: str, value: Any) -> float:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0.0):
        raise ParameterError(f"{what} is {value!r}", "0 or more, in ordinary days", "correct the weight")
    return float(value)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A measure of the time between two instants in which days weigh differently.

    Attributes
    ----------
    name : str
    weekday : tuple of 7 floats
        Weight of each UTC day from 00:00 to 24:00, Monday first; 1 is an ordinary day.
    special : mapping of date to float
        Weight of single days in place of that of their weekday.
    events : mapping of Timestamp to float
        Ordinary days' worth of variance added at an instant: it counts for every later end, and for an end at
        that very instant.

    Raises
    ------
    ParameterError
        A weight that is negative or not finite, or not seven of them.
    ConventionError
        An event or a day that is not a date or an instant in UTC.

    Notes
    -----
    A part of a day counts by its seconds.

    References
    ----------
    Clark (2011).

    Examples
    --------
    >>> clock = Clock.weekend(0.4).with_events({"2026-12-09": 2.0})
    >>> clock.days("2026-11-20", "2026-11-27"), clock.days("2026-11-20", "2026-12-25")
    (5.8, 31.0)
    """

    name: str = "calendar"
    weekday: tuple[float, ...] = (1.0,) * 7
    special: Mapping[date, float] = field(default_factory=dict)
    events: Mapping[pd.Timestamp, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if np.ndim(self.weekday) != 1 or len(self.weekday) != 7:
            raise ParameterError(
                f"{np.size(self.weekday)} weights of weekdays", "7, Monday first", "give all seven"
            )
        for place, weight in enumerate(self.weekday):
            _require_weight(f"weight of weekday {place} (Monday is 0)", weight)
        special = {parse_utc(d).date(): _require_weight(f"weight of {d}", w) for d, w in self.special.items()}
        events = {parse_utc(i): _require_weight(f"event of {i}", w) for i, w in self.events.items()}
        object.__setattr__(self, "special", special)
        object.__setattr__(self, "events", dict(sorted(events.items())))

    @classmethod
    def calendar(cls) -> Clock:
        """Return the clock in which every day weighs 1."""
        return cls()

    @classmethod
    def business(cls, holidays: Iterable[date | str] = ()) -> Clock:
        """Return the clock in which weekends and the given holidays weigh nothing."""
        closed = {parse_utc(d).date(): 0.0 for d in holidays}
        return cls(name="business", weekday=(1.0,) * 5 + (0.0,) * 2, special=closed)

    @classmethod
    def weekend(cls, weight: float) -> Clock:
        """Return the clock in which Saturdays and Sundays weigh ``weight`` ordinary days each."""
        return cls(name=f"weekend {weight:g}", weekday=(1.0,) * 5 + (weight,) * 2)

    def with_events(self, events: Mapping[Any, float]) -> Clock:
        """Return the clock with further events: instant (or date, at 00:00 UTC) to ordinary days."""
        more = {parse_utc(instant): weight for instant, weight in events.items()}
        return replace(self, name=f"{self.name} with events", events={**self.events, **more})

    def days(self, start: str | pd.Timestamp, end: str | pd.Timestamp) -> float:
        """Return the weighted days from ``start`` to ``end``.

        Raises
        ------
        ConventionError
            An instant that is not UTC.
        ParameterError
            The end is before the start.
        """
        first, last = parse_utc(start), parse_utc(end)
        if last < first:
            raise ParameterError(
                f"{last.isoformat()} is before {first.isoformat()}",
                "an end after the start",
                "swap the instants",
            )
        whole = pd.date_range(first.normalize(), last.normalize(), freq="D")
        begin = np.maximum((whole - first).total_seconds().to_numpy(), 0.0)
        stop = np.minimum(
            (whole - first).total_seconds().to_numpy() + SECONDS_PER_DAY, (last - first).total_seconds()
        )
        weight = np.asarray(self.weekday)[whole.day_of_week]
        for day, special in self.special.items():
            weight = np.where(whole.date == day, special, weight)
        extra = [w for instant, w in self.events.items() if first < instant <= last]
        return math.fsum((*(np.maximum(stop - begin, 0.0) / SECONDS_PER_DAY * weight), *extra))

    def years(self, start: str | pd.Timestamp, end: str | pd.Timestamp) -> float:
        """Return the weighted days over 365: the tau that belongs to a vol quoted in this clock."""
        return self.days(start, end) / _DAYS_PER_YEAR


@dataclass(frozen=True, kw_only=True, repr=False)
class ClockedSurface(Result):
    """A surface read at the times of a clock: between expiries total variance runs with the weighted days.

    The smiles at the expiries stay what they are. The vols of :meth:`iv` are per calendar year, as every
    pricing function expects; those of :meth:`iv_in_clock` go with :meth:`clock_years` only.

    Attributes
    ----------
    surface : SlicedSurface
    clock : Clock
    outside : {"raise", "warn", "extend"}
        Beyond the last expiry: refuse; go on by the rule of the surface beneath at the pace of the clock,
        with a warning; or without.

    Raises
    ------
    ParameterError
        The surface has no expiries, or two of them are at one time of the clock.

    Notes
    -----
    The clock moves the time at which the surface is read: with ``c`` the weighted days, a time ``T`` between
    the expiries ``T1`` and ``T2`` is read at ``T1 + (T2 - T1)(c(T) - c1)/(c2 - c1)``, which is linear in the
    clock for surfaces that are linear in time, and keeps any other interpolation free of arbitrage. Before
    the first expiry it is ``T1 c(T)/c1``. An event is a jump of total variance. Some 0.5 ms for each distinct
    time.

    References
    ----------
    Clark (2011).
    """

    surface: SlicedSurface[Any]
    clock: Clock
    outside: Outside = "raise"
    references = ("clark2011",)

    def __post_init__(self) -> None:
        if not isinstance(self.surface, SlicedSurface):
            raise ParameterError(
                f"a surface of type {type(self.surface).__name__}",
                "a surface with expiries",
                "fit one: pm.surface.fit(...)",
            )
        check_outside(self.surface, np.array([]), self.outside)
        knots = self._knots
        flat = np.flatnonzero(np.diff(knots) <= 0.0)
        if flat.size:
            one = self.surface.slices[int(flat[0])].expiry
            raise ParameterError(
                f"no time of the clock {self.clock.name!r} passes before the expiry {one.isoformat()}",
                "expiries at different times of the clock",
                "give weekends and holidays a weight above 0, or leave the expiry out",
            )

    # -- time -----------------------------------------------------------------------------------------------
    @property
    def as_of(self) -> pd.Timestamp:
        """Instant from which times count."""
        return self.surface.curve.as_of

    @property
    def curve(self) -> ForwardCurve:
        """Forwards of the surface beneath: they run with the calendar."""
        return self.surface.curve

    @property
    def taus(self) -> FloatArray:
        """Times of the expiries, calendar years of 365 days."""
        return self.surface.taus

    @cached_property
    def _knots(self) -> FloatArray:
        return np.array([0.0] + [self.clock.days(self.as_of, s.expiry) for s in self.surface.slices])

    def _days(self, tau: float) -> float:
        for one in self.surface.slices:
            # the instant of an expiry must not fall short of an event by a rounding
            if same_time(one.tau, tau):
                return self.clock.days(self.as_of, one.expiry)
        end = self.as_of + pd.Timedelta(round(tau * SECONDS_PER_YEAR * 1e6), unit="us")
        return self.clock.days(self.as_of, end)

    def clock_years(self, tau: npt.ArrayLike) -> FloatArray:
        """Return the time of the clock, weighted days over 365, at calendar times in years."""
        years = self._checked(tau)
        return np.asarray(np.vectorize(self._days, otypes=[float])(years) / _DAYS_PER_YEAR)

    def read_at(self, tau: npt.ArrayLike) -> FloatArray:
        """Return the calendar times at which the surface beneath is read, years; NaN gives NaN."""
        years = self._checked(tau)
        check_outside(self.surface, years, self.outside, stacklevel=4)
        distinct, which = np.unique(years, return_inverse=True)
        days = np.array([self._days(float(t)) if math.isfinite(t) else math.nan for t in distinct])
        knots, times = self._knots, np.concatenate([[0.0], self.taus])
        inner = np.interp(days, knots, times)
        inner = np.where(days > knots[-1], times[-1] * days / knots[-1], inner)
        return np.asarray(inner[which].reshape(years.shape))

    def _checked(self, tau: npt.ArrayLike) -> FloatArray:
        years = np.asarray(tau, dtype=np.float64)
        if (years < 0.0).any() or np.isinf(years).any():
            raise ParameterError(
                f"tau is {float(np.nanmin(years)):g} to {float(np.nanmax(years)):g} years",
                "0 or more, finite",
                "drop what has expired",
            )
        return years

    # -- values ---------------------------------------------------------------------------------------------
    @property
    def model(self) -> str:
        """Model of the surface beneath and the clock, for tables."""
        return f"{self.surface.model}, clock {self.clock.name}"

    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k`` and calendar times in years; arguments broadcast, NaN gives NaN."""
        return self.surface.w(k, self.read_at(tau), outside="extend")

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return implied vol per calendar year (decimal) at strikes in USD; arguments broadcast.

        Raises
        ------
        ParameterError
            A strike or a time that is not positive.
        """
        k, years = self._k(strike, tau)
        return np.asarray(np.sqrt(self.w(k, years) / years))

    def iv_in_clock(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return implied vol per year of the clock; use it with :meth:`clock_years`, never with ``tau``."""
        k, years = self._k(strike, tau)
        return np.asarray(np.sqrt(self.w(k, years) / self.clock_years(years)))

    def _k(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        strikes, years = np.asarray(strike, dtype=np.float64), np.asarray(tau, dtype=np.float64)
        for what, values, unit in (("strike", strikes, "USD"), ("tau", years, "years")):
            if (values <= 0.0).any():
                raise ParameterError(
                    f"{what} is {float(np.nanmin(values)):g} {unit}",
                    "a positive number",
                    "correct the argument",
                )
        return np.log(strikes / self.surface.curve.at(years)), years

    def curve_at(self, tau: float) -> VarianceCurve:
        """Return the smile at a calendar time in years as a curve with derivatives."""
        inner = float(self.read_at(tau))
        return replace(variance_curve(self.surface, inner, outside="extend"), tau=tau)

    # -- display --------------------------------------------------------------------------------------------
    @property
    def fingerprint(self) -> str:
        """Fingerprint of the surface beneath, the clock and the policy."""
        own = getattr(self.surface, "fingerprint", fingerprint(self.taus))
        events = [(i.isoformat(), w) for i, w in self.clock.events.items()]
        special = [(d.isoformat(), w) for d, w in self.clock.special.items()]
        return fingerprint(own, list(self.clock.weekday), special, events, self.outside)

    def check(self) -> None:
        """Raise PmkitError where the smile at an expiry differs from that of the surface beneath."""
        for one in self.surface.slices:
            if not np.allclose(self.w(0.0, one.tau), one.at(0.0), rtol=1e-12, atol=0.0):
                raise PmkitError(
                    f"the clock moved the smile of {one.expiry.isoformat()}", "none", "recompute"
                )

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: calendar and clock days, at-the-money vol per year of either."""
        rows = {}
        for one, days in zip(self.surface.slices, self._knots[1:], strict=True):
            w = float(one.at(0.0))
            rows[one.expiry.strftime("%Y-%m-%d")] = {
                "tau": one.tau,
                "days": one.tau * _DAYS_PER_YEAR,
                "clock_days": float(days),
                "atm_iv": math.sqrt(w / one.tau),
                "atm_iv_in_clock": math.sqrt(w * _DAYS_PER_YEAR / days),
            }
        return pd.DataFrame.from_dict(rows, orient="index")
