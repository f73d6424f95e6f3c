"""What an ES test is run on: losses with their VaR and ES, or the probabilities of the P&L that came."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.series.checks import as_float_array
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.samples import Sample, read_samples
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["PitSeries", "TailSeries", "check_level", "read_pit", "read_tail"]


def check_level(level: Any) -> float:
    """Return the tail probability 1 - level as a decimal of at most 12 places.

    Raises
    ------
    ParameterError
        Not a number in (0, 1).
    ConventionError
        Below 0.5: a tail probability stands where a level belongs.
    """
    wrong = isinstance(level, (bool, np.bool_, str, bytes))
    try:
        value = math.nan if wrong else float(level)
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 < value < 1.0:
        raise ParameterError(
            f"level is {level!r}", "a confidence level in [0.5, 1), such as 0.975", "pass level=0.975"
        )
    if value < 0.5:
        raise ConventionError(
            f"level is {value:.8g}, which looks like a tail probability",
            "the confidence level of VaR and ES, in [0.5, 1)",
            f"pass level={1.0 - value:.8g}",
        )
    p = round(1.0 - value, 12)  # 1 - 0.975 is not 0.025 in binary
    if p == 0.0:
        raise ParameterError(f"level is {level!r}", "1 - level of 1e-12 or more", "lower the level")
    return p


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class TailSeries:
    """Realised losses in order of time with the VaR and ES that were forecast for them.

    Parameters
    ----------
    loss : array-like or Series, shape (n,)
        Realised loss = -pnl in money, positive where money was lost. NaN and infinity are refused.
    var, es : array-like or Series, shape (n,)
        VaR (0 or positive) and ES (positive, at least VaR) at ``level``, in the same money, known before the
        loss. NaN and infinity are refused.
    level : float
        Confidence level of both, in [0.5, 1): 0.975.
    horizon : float
        Days over which each loss accrues.
    step : float
        Days between two observations. The series overlaps iff step < horizon.
    dates : array-like of instants, shape (n,), optional
        UTC instants, strictly increasing; taken from a DatetimeIndex of ``loss`` or ``var`` where absent.

    Attributes
    ----------
    hits : HitSeries
        Days on which the loss went strictly beyond VaR.

    Raises
    ------
    ConventionError
        A negative VaR, an ES below VaR or not positive, a tail probability in place of a level; dates not in
        UTC or closer than the step.
    SchemaError, DataGapError
        Lengths or indexes that differ, missing or infinite values, nothing at all.
    ParameterError
        Level, horizon or step outside their domain.

    Examples
    --------
    >>> from pmkit.backtest import TailSeries
    >>> TailSeries(loss=[0.5, 2.2, -1.0], var=[2.0] * 3, es=[2.5] * 3, level=0.9)
    TailSeries(n=3, x=1, level=0.9, horizon=1, step=1)
    """

    loss: FloatArray
    var: FloatArray
    es: FloatArray
    level: float
    horizon: float = 1.0
    step: float = 1.0
    dates: pd.DatetimeIndex | None = None
    hits: HitSeries = field(init=False)

    def __post_init__(self) -> None:
        p = check_level(self.level)
        hits = HitSeries.from_losses(self.loss, self.var, p, self.horizon, self.step, self.dates)
        for name in ("loss", "var"):
            other = getattr(self, name)
            if isinstance(other, pd.Series) and isinstance(self.es, pd.Series):
                _same_index(other, self.es, name)
        loss, var, es = (as_float_array(getattr(self, name), name) for name in ("loss", "var", "es"))
        if es.size != loss.size:
            raise SchemaError(
                f"es has {es.size} values",
                f"{loss.size}, one for each observation",
                "cut both to the same dates",
            )
        for wrong, found, expected, remedy in (
            (
                es <= 0.0,
                "is not positive",
                "ES as a loss: a positive number",
                "turn the sign of the ES if it is stored as a mean of P&L",
            ),
            (
                es < var,
                "is below VaR",
                "ES at the level of the VaR, which is never below it",
                "check that VaR and ES are of one level and one model",
            ),
        ):
            if wrong.any():
                position = int(np.argmax(wrong))
                raise ConventionError(
                    f"es[{position}] = {es[position]:.8g} {found} (VaR {var[position]:.8g}; "
                    f"{int(wrong.sum())} of {es.size} days)",
                    expected,
                    remedy,
                )
        for name, values in (("loss", loss), ("var", var), ("es", es)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        object.__setattr__(self, "level", float(self.level))
        object.__setattr__(self, "horizon", hits.horizon)
        object.__setattr__(self, "step", hits.step)
        object.__setattr__(self, "dates", hits.dates)
        object.__setattr__(self, "hits", hits)

    @property
    def n(self) -> int:
        """Number of observations."""
        return self.hits.n

    @property
    def p(self) -> float:
        """Tail probability 1 - level."""
        return self.hits.p

    def offsets(self) -> Iterator[TailSeries]:
        """Yield the non-overlapping sub-series: every stride-th observation, from offset 0, 1, ..."""
        for offset, hits in enumerate(self.hits.offsets()):
            part = slice(offset, None, self.hits.stride)
            yield TailSeries(
                loss=self.loss[part],
                var=self.var[part],
                es=self.es[part],
                level=self.level,
                horizon=self.horizon,
                step=hits.step,
                dates=hits.dates,
            )

    def __repr__(self) -> str:
        return (
            f"TailSeries(n={self.n}, x={self.hits.x}, level={self.level:.8g}, horizon={self.horizon:g}, "
            f"step={self.step:g})"
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PitSeries:
    """Probabilities that the model gave, each day, to a P&L no better than the one that came.

    Parameters
    ----------
    pit : array-like or Series, shape (n,)
        U = F(pnl) under the forecast law of the P&L, in [0, 1]: near 0 after a large loss. Uniform and
        independent for a right model. NaN is refused.
    level : float
        Confidence level whose tail is tested, in [0.5, 1): 0.975 tests the losses with U < 0.025.
    horizon, step : float
        As in :class:`TailSeries`.
    dates : array-like of instants, shape (n,), optional
        As in :class:`TailSeries`; taken from a DatetimeIndex of ``pit`` where absent.

    Attributes
    ----------
    hits : HitSeries
        Days with U < 1 - level.

    Raises
    ------
    SchemaError, DataGapError
        Values outside [0, 1], missing, or none at all; also the reasons of :class:`TailSeries`.
    ConventionError, ParameterError
        As in :class:`TailSeries`.

    Examples
    --------
    >>> from pmkit.backtest import PitSeries
    >>> PitSeries(pit=[0.4, 0.01, 0.93], level=0.975)
    PitSeries(n=3, x=1, level=0.975, horizon=1, step=1)
    """

    pit: FloatArray
    level: float
    horizon: float = 1.0
    step: float = 1.0
    dates: pd.DatetimeIndex | None = None
    hits: HitSeries = field(init=False)

    def __post_init__(self) -> None:
        p, dates = check_level(self.level), self.dates
        if dates is None and isinstance(self.pit, pd.Series) and isinstance(self.pit.index, pd.DatetimeIndex):
            dates = self.pit.index
        pit = as_float_array(self.pit, "pit")
        outside = (pit < 0.0) | (pit > 1.0)
        if outside.any():
            position = int(np.argmax(outside))
            raise SchemaError(
                f"pit[{position}] is {pit[position]:.8g} ({int(outside.sum())} of {pit.size} outside [0, 1])",
                "probabilities in [0, 1]",
                "pass the distribution function of the forecast at the P&L that came",
            )
        pit.setflags(write=False)
        hits = HitSeries(hits=pit < p, p=p, horizon=self.horizon, step=self.step, dates=dates)
        object.__setattr__(self, "pit", pit)
        object.__setattr__(self, "level", float(self.level))
        object.__setattr__(self, "horizon", hits.horizon)
        object.__setattr__(self, "step", hits.step)
        object.__setattr__(self, "dates", hits.dates)
        object.__setattr__(self, "hits", hits)

    @property
    def n(self) -> int:
        """Number of observations."""
        return self.hits.n

    @property
    def p(self) -> float:
        """Tail probability 1 - level."""
        return self.hits.p

    def violations(self) -> FloatArray:
        """Return the cumulative violations H = (1 - U/p)⁺, in [0, 1]: 0 without a hit, else the severity."""
        return np.maximum(1.0 - self.pit / self.p, 0.0)

    def offsets(self) -> Iterator[PitSeries]:
        """Yield the non-overlapping sub-series: every stride-th observation, from offset 0, 1, ..."""
        for offset, hits in enumerate(self.hits.offsets()):
            yield PitSeries(
                pit=self.pit[offset :: self.hits.stride],
                level=self.level,
                horizon=self.horizon,
                step=hits.step,
                dates=hits.dates,
            )

    def __repr__(self) -> str:
        return (
            f"PitSeries(n={self.n}, x={self.hits.x}, level={self.level:.8g}, horizon={self.horizon:g}, "
            f"step={self.step:g})"
        )


def read_tail(series: Any, horizon: Any) -> list[tuple[Sample, TailSeries]]:
    """Return each series to test with its counts: one, or one an offset where ``horizon`` is set.

    Raises
    ------
    ParameterError
        Not a :class:`TailSeries`.
    ConventionError
        An overlapping series without ``horizon``, or with another one.
    """
    if not isinstance(series, TailSeries):
        raise _not_a_series(series, "TailSeries", "TailSeries(loss=..., var=..., es=..., level=0.975)")
    samples = read_samples(hits=series.hits, p=None, horizon=horizon, counts={"n": None, "x": None})
    parts = series.offsets() if horizon is not None else iter((series,))
    return list(zip(samples, parts, strict=True))


def read_pit(series: Any, horizon: Any) -> list[tuple[Sample, PitSeries]]:
    """Return each series to test with its counts, as :func:`read_tail` does for probabilities."""
    if not isinstance(series, PitSeries):
        raise _not_a_series(series, "PitSeries", "PitSeries(pit=..., level=0.975)")
    samples = read_samples(hits=series.hits, p=None, horizon=horizon, counts={"n": None, "x": None})
    parts = series.offsets() if horizon is not None else iter((series,))
    return list(zip(samples, parts, strict=True))


def _not_a_series(series: Any, name: str, call: str) -> ParameterError:
    return ParameterError(f"series is of type {type(series).__name__}", f"a {name}", f"pass {call}")


def _same_index(other: pd.Series[Any], es: pd.Series[Any], name: str) -> None:
    if not other.index.equals(es.index):
        raise SchemaError(
            f"{name} and es carry different indexes (lengths {len(other)} and {len(es)})",
            "one index for all, so that each loss meets the ES forecast for it",
            f"align them first, for example {name}, es = {name}.align(es, join='inner')",
        )
