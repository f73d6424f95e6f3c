"""What a walk-forward asks of a model under test: fits, and joint scenarios of the returns to come."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.core.types import FloatArray
from pmkit.scenarios.scenario_set import TermScaling

__all__ = ["FitRecord", "Forecast", "ForecastModel", "RandomSource"]

RandomSource = Callable[..., np.random.Generator]
"""``random("purpose")`` gives the generator of that purpose for the date at hand."""


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """One fit of one underlying: what the refit log shows.

    Attributes
    ----------
    underlying : str
    status : str
        ``ok``, ``at_bound``, ``not_converged``, or ``given`` for parameters that were handed over.
    used : bool
        False where the fit did not converge and the parameters of the fit before it stay in force.
    loglik : float
    flags : tuple of str
    params : mapping of str to float
    """

    underlying: str
    status: str
    used: bool = True
    loglik: float = math.nan
    flags: tuple[str, ...] = ()
    params: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Equally weighted scenarios of the log return over the horizon, drawn from what was known.

    Attributes
    ----------
    log_returns : ndarray, shape (n, underlyings)
    sigma : ndarray, shape (underlyings,)
        Volatility of the next day, decimal and not annualised.
    history_days : float
        Days of history whose tail the scenarios stand on; infinite for a parametric law.
    log_vols : ndarray, shape (n, underlyings), optional
        Log moves of the 30-day implied vol that belong to the scenarios; where None, as for most models, the
        walk draws them from the response of vol to spot.
    vol_term : TermScaling
        How those log moves reach other tenors; used with ``log_vols`` alone.
    worst : bool
        True where the requirement is the worst scenario and no quantile: VaR of both levels and ES are then
        that one loss, and there is no law for probabilities of outcomes.
    """

    log_returns: FloatArray
    sigma: FloatArray
    history_days: float
    log_vols: FloatArray | None = None
    vol_term: TermScaling = field(default_factory=TermScaling)
    worst: bool = False


class ForecastModel(Protocol):
    """What a walk-forward asks of a model.

    ``fit`` is called at each refit date and returns rows of the refit log (none where nothing is fitted).
    ``forecast`` is called at every date. Both are handed a view of the past alone.
    """

    name: str

    def fit(self, view: AsOfView) -> Sequence[FitRecord]:
        """Estimate from the past and remember the estimate."""
        ...

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return scenarios of the log return from ``view.as_of`` over ``horizon`` dates."""
        ...
