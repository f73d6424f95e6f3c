"""A law of implied vol: what the laws share, from the checks of their numbers to the finished path."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pmkit.backtest.walk.vol_path import HIGHEST_VOL, VolPath
from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory

__all__ = [
    "LawInput",
    "Numbers",
    "VolLaw",
    "check_numbers",
    "finished_path",
    "law_input",
    "long_run_variances",
    "mean_decay",
    "shared_normals",
]

Numbers = Mapping[str, tuple[float, bool, str]]
"""Value of each parameter, whether it is legal, and its domain in words."""


@dataclass(frozen=True, kw_only=True)
class LawInput:
    """Names, annualised squares and returns of the underlyings on the dates of a history."""

    names: tuple[str, ...]
    dates: pd.DatetimeIndex
    returns: FloatArray
    periods: float

    @property
    def days(self) -> int:
        """Number of dates, one more than returns."""
        return int(self.returns.shape[0]) + 1

    def squares(self, at: int) -> FloatArray:
        """Return the annualised squared returns of one underlying, shape (days - 1,)."""
        squared: FloatArray = self.periods * self.returns[:, at] ** 2
        return squared


def check_numbers(numbers: Numbers) -> dict[str, Any]:
    """Return the parameters as plain numbers, or refuse the first that is outside its domain."""
    for name, (value, legal, domain) in numbers.items():
        if not legal:
            raise ParameterError(f"{name} is {value!r}", domain, "correct the argument")
    return {name: float(value) for name, (value, _, _) in numbers.items()}


def law_input(history: PriceHistory, underlyings: Sequence[str] | None) -> LawInput:
    """Return what a law reads of a history: its returns, one row a date after the first."""
    names = tuple(history.assets if underlyings is None else underlyings)
    return LawInput(
        names=names,
        dates=pd.DatetimeIndex(history.prices.index),
        returns=history.returns(list(names)).to_numpy(dtype=np.float64),
        periods=float(history.periods_per_year),
    )


def long_run_variances(squares: FloatArray, prior_vol: float, prior_days: float) -> FloatArray:
    """Return the mean of prior and squares so far on each date, annualised, shape (days,)."""
    totals = prior_days * prior_vol**2 + np.concatenate([np.zeros(1), np.cumsum(squares)])
    means: FloatArray = totals / (prior_days + np.arange(totals.size))
    return means


def mean_decay(rate_times_span: float) -> float:
    """Return the mean of e^-x over [0, rate · span]: 1 at 0, falling towards 0."""
    x = rate_times_span
    return 1.0 - 0.5 * x if x < 1e-8 else -math.expm1(-x) / x


def shared_normals(
    seed: int, law: str, names: Sequence[str], days: int, correlation: float
) -> dict[str, FloatArray]:
    """Return standard normals, one a date and underlying, with a common part; prefixes do not change."""
    common = stream(seed, law, "common").standard_normal(days)
    return {
        name: math.sqrt(correlation) * common
        + math.sqrt(1.0 - correlation) * stream(seed, law, name).standard_normal(days)
        for name in names
    }


def finished_path(
    history: PriceHistory,
    given: LawInput,
    vols: Mapping[str, FloatArray],
    *,
    label: str,
    method: str,
    seed: int,
    assumptions: Mapping[str, Any],
    references: tuple[str, ...],
    skew: Mapping[str, FloatArray] | None = None,
) -> VolPath:
    """Return the path of a law, after refusing vols above what :class:`VolPath` takes for a vol."""
    for name, values in vols.items():
        high = np.flatnonzero(~(values <= HIGHEST_VOL))
        if high.size:
            raise ParameterError(
                f"the {label} gives {name} an implied vol of {values[high[0]]:.4g} on "
                f"{given.dates[high[0]].date()}",
                f"{HIGHEST_VOL:g} or less",
                "look for a wrong price on that day, or choose milder parameters",
            )
    return VolPath(
        frame=pd.DataFrame(dict(vols), index=given.dates),
        label=label,
        simulated=True,
        assumptions=dict(assumptions),
        skew=None if skew is None else pd.DataFrame(dict(skew), index=given.dates),
        references=references,
        provenance=Provenance(
            method=f"backtest.{method}",
            data={history.source: history.fingerprint},
            parameters={**assumptions, "underlyings": list(given.names)},
            seed=seed,
            simulated=True,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class VolLaw(ABC):
    """A law that gives implied vols along a history of prices, each from data up to its own date.

    Use it to mark options where no quotes exist, under several laws of which none is the margin model's
    (:func:`pmkit.backtest.vol_law_paths`). All numbers are assumptions, stated in the path that results.

    Attributes
    ----------
    tenor_days : float
        Calendar days of the tenor, in [1, 3650].
    premium : float
        Implied over expected vol, in (0, 10).
    prior_vol : float
        Annual vol assumed before the first return, a decimal in (0, 5].
    correlation : float
        Share of variance, in [0, 1], that all underlyings have in common of the normals that the law draws.

    Raises
    ------
    ParameterError
        A number outside its domain.
    """

    label: ClassVar[str]
    references: ClassVar[tuple[str, ...]]

    tenor_days: float = 30.0
    premium: float = 1.10
    prior_vol: float = 0.70
    correlation: float = 0.7

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            parts = value if isinstance(value, (tuple, list)) else (value,)
            if not all(isinstance(part, Real) and not isinstance(part, bool) for part in parts):
                raise ParameterError(f"{one.name} is {value!r}", "a number, not text", "correct the argument")
        check_numbers(
            {
                "tenor_days": (self.tenor_days, 1.0 <= self.tenor_days <= 3650.0, "[1, 3650] days"),
                "premium": (self.premium, 0.0 < self.premium < 10.0, "(0, 10)"),
                "prior_vol": (self.prior_vol, 0.0 < self.prior_vol <= HIGHEST_VOL, "(0, 5], a decimal"),
                "correlation": (self.correlation, 0.0 <= self.correlation <= 1.0, "[0, 1]"),
            }
        )
        check_numbers(self._numbers())

    def path(
        self, history: PriceHistory, *, underlyings: Sequence[str] | None = None, seed: int = 20260801
    ) -> VolPath:
        """Return the simulated implied vols along a history.

        Parameters
        ----------
        history : PriceHistory
            Prices without gaps for the chosen underlyings.
        underlyings : sequence of str, optional
            All assets where None.
        seed : int
            Root seed of what the law draws.

        Returns
        -------
        VolPath
            ``simulated`` is True, ``assumptions`` holds every number of the law, ``skew`` the slopes of the
            smile if it has one.

        Raises
        ------
        ParameterError
            A vol above 5.
        DataGapError
            Missing prices or an unknown asset.
        """
        given = law_input(history, underlyings)
        noise = shared_normals(seed, self.label, given.names, given.days, self.correlation)
        vols, skews = {}, {}
        for at, name in enumerate(given.names):
            vols[name], slope = self._vols(given, at, noise[name], seed)
            if slope is not None:
                skews[name] = slope
        return finished_path(
            history,
            given,
            vols,
            label=self.label,
            method=type(self).__name__,
            seed=seed,
            assumptions=asdict(self),
            references=self.references,
            skew=skews or None,
        )

    @abstractmethod
    def _numbers(self) -> Numbers:
        """Return the numbers that the law has beside the common ones, for :func:`check_numbers`."""

    @abstractmethod
    def _vols(
        self, given: LawInput, at: int, noise: FloatArray, seed: int
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return vols of one underlying on each date, and the slopes of its smile if it has one."""
