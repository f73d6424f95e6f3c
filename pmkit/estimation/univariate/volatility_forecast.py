"""Volatility of the bars ahead and of their sum, and what the parameters say about long horizons."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, ThinTailWarning
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "VolatilityForecast",
    "check_horizon",
    "forecast_of",
    "long_horizon_notes",
    "recursion_forecast",
    "runaway_flags",
    "simulated_forecast",
]

#: persistence from which a variance counts as integrated
INTEGRATED = 0.9999
#: relative simulation error from which a simulated variance rests on a few of its paths, as one without a
#: mean does at any number of paths
_RUNAWAY = 0.05
#: a volatility that exceeds this many times the largest return of its series describes nothing in it
_OUT_OF_RANGE = 5.0


@dataclass(frozen=True, kw_only=True, repr=False)
class VolatilityForecast(Result):
    """Expected volatility of each of the next bars and of the return over all of them.

    Attributes
    ----------
    sigma : ndarray, shape (horizon,)
        Root of the expected variance of bar k, decimal.
    bars_per_year : float
    how : {"recursion", "formula of arch", "simulation"}
    error : ndarray, shape (horizon,)
        Standard error of ``sigma`` from simulation; 0 where nothing was simulated.
    notes : tuple of str
        What the parameters mean at this horizon.
    """

    sigma: FloatArray
    bars_per_year: float
    how: str
    error: FloatArray
    notes: tuple[str, ...]
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.forecast"))
    references: tuple[str, ...] = ("glosten1993",)

    @property
    def total_sigma(self) -> FloatArray:
        """Volatility of the sum of the returns up to each bar, decimal: returns are uncorrelated."""
        total: FloatArray = np.sqrt(np.cumsum(self.sigma**2))
        return total

    def to_frame(self) -> pd.DataFrame:
        """Return one row a bar ahead: sigma, total_sigma, sigma and total_sigma a year, error."""
        ahead = np.arange(1, self.sigma.size + 1)
        year = self.bars_per_year
        frame = pd.DataFrame(
            {
                "sigma": self.sigma,
                "total_sigma": self.total_sigma,
                "annual_sigma": self.sigma * math.sqrt(year),
                "annual_total_sigma": self.total_sigma * np.sqrt(year / ahead),
                "error": self.error,
            },
            index=pd.Index(ahead, name="bars ahead"),
        )
        return frame

    def summary(self) -> pd.DataFrame:
        """Return the first and the last bar, eight digits."""
        frame = self.to_frame()
        return frame.iloc[sorted({0, len(frame) - 1})].round(8)

    def check(self) -> None:
        """Raise where a volatility is not positive and finite."""
        if not (np.isfinite(self.sigma).all() and float(self.sigma.min()) > 0.0):
            raise PmkitError("a forecast is not a positive number", "positive volatilities", "report a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the volatility of each bar, per cent a year."""
        axes = new_axes(ax)
        frame = self.to_frame()
        axes.plot(frame.index.to_numpy(), 100.0 * frame["annual_sigma"].to_numpy())
        axes.set(xlabel="bars ahead", ylabel="volatility, % a year", title=f"forecast by {self.how}")
        return axes


def check_horizon(horizon: int) -> int:
    """Return ``horizon`` after checking that it is a whole number from 1 on."""
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or horizon < 1:
        raise ParameterError(f"horizon is {horizon!r}", "a whole number of bars, 1 or more", "correct it")
    return int(horizon)


def forecast_of(
    variances: FloatArray,
    bars_per_year: float,
    how: str,
    notes: tuple[str, ...],
    error: FloatArray | None = None,
) -> VolatilityForecast:
    """Return the forecast object of expected variances."""
    sigma = np.sqrt(variances)
    return VolatilityForecast(
        sigma=sigma,
        bars_per_year=bars_per_year,
        how=how,
        error=np.zeros_like(sigma) if error is None else error,
        notes=notes,
    )


def runaway_flags(variances: FloatArray, largest: float, model: str) -> tuple[str, ...]:
    """Return in words that a filtered volatility left the range of the ``largest`` return, or nothing.

    Examples
    --------
    >>> runaway_flags(np.array([1e-4, 4.0]), 0.05, "egarch")[0][:41]
    'the recursion of egarch runs away: sigma '
    """
    sigma = math.sqrt(float(variances.max())) if np.isfinite(variances).all() else math.inf
    if sigma <= _OUT_OF_RANGE * largest:
        return ()
    return (
        f"the recursion of {model} runs away: sigma {sigma:.3g} a bar where the largest return is "
        f"{largest:.3g}; do not use it, refit on this window or take model='gjr'",
    )


def simulated_forecast(
    paths: FloatArray, bars_per_year: float, flags: tuple[str, ...], model: str
) -> VolatilityForecast:
    """Return the forecast from simulated variances, one column a bar ahead, one row a path.

    Raises
    ------
    ParameterError
        A variance that left the range of floating-point numbers.

    Warns
    -----
    ThinTailWarning
        The mean rests on a few paths: the recursion runs away.
    """
    size, bars = paths.shape
    by_bar = np.ascontiguousarray(paths.T)
    with np.errstate(over="ignore", invalid="ignore"):
        variances = np.add.reduce(by_bar, axis=1) / size
        spread = np.sqrt(np.add.reduce((by_bar - variances[:, None]) ** 2, axis=1)) / size
    wild = np.flatnonzero(~np.isfinite(spread))
    if wild.size:
        raise ParameterError(
            f"simulated variances of {model} overflow {int(wild[0]) + 1} bars ahead",
            "a recursion that stays finite",
            "take a shorter horizon, or model='gjr'",
        )
    error = spread / (2.0 * np.sqrt(variances))
    notes = list(flags)
    runs = np.flatnonzero(error > _RUNAWAY * np.sqrt(variances))
    if runs.size:
        bar = int(runs[0])
        sigma = np.sqrt(variances)
        notes.append(
            f"the forecast of {model} runs away: {bar + 1} of {bars} bars ahead it is {sigma[bar]:.3g} with "
            f"a simulation error of {error[bar] / sigma[bar]:.0%}, half of the paths lie below "
            f"{math.sqrt(float(np.median(by_bar[bar]))):.3g}; a few large residuals carry the mean, so read "
            "medians, or take model='gjr'"
        )
        warnings.warn(ThinTailWarning(notes[-1]), stacklevel=3)
    return forecast_of(variances, bars_per_year, "simulation", tuple(notes), error)


def recursion_forecast(
    params: pd.Series, next_sigma: float, horizon: int, bars_per_year: float
) -> VolatilityForecast:
    """Return the forecast of GARCH, GJR or EWMA parameters from the volatility of the first bar ahead.

    Examples
    --------
    >>> p = pd.Series({"omega": 1e-5, "alpha": 0.1, "gamma": 0.0, "beta": 0.8, "nu": np.inf})
    >>> recursion_forecast(p, 0.02, 500, 365.0).sigma[[0, 1, 499]].round(6).tolist()
    [0.02, 0.019235, 0.01]
    """
    ahead = check_horizon(horizon)
    persistence = float(params["alpha"] + 0.5 * params["gamma"] + params["beta"])
    variances = np.empty(ahead)
    variances[0] = next_sigma * next_sigma
    for k in range(1, ahead):
        variances[k] = params["omega"] + persistence * variances[k - 1]
    notes = long_horizon_notes(params, next_sigma, bars_per_year)
    return forecast_of(variances, bars_per_year, "recursion", notes)


def long_horizon_notes(params: pd.Series, next_sigma: float, bars_per_year: float) -> tuple[str, ...]:
    """Return in words where the expected variance goes, and which of its moments exist."""
    alpha, gamma, beta, nu = (float(params[n]) for n in ("alpha", "gamma", "beta", "nu"))
    persistence = alpha + 0.5 * gamma + beta
    root = math.sqrt(bars_per_year)
    notes = []
    if persistence >= INTEGRATED:
        later = math.sqrt(next_sigma**2 + bars_per_year * params["omega"])
        notes.append(
            "integrated variance: forecasts return to no level; the expected variance grows by omega a bar, "
            f"so that a volatility of {next_sigma * root:.1%} a year becomes {later * root:.1%} in a year; "
            "read forecasts beyond a few weeks as a scenario of today's level"
        )
    else:
        level = math.sqrt(params["omega"] / (1.0 - persistence)) * root
        if persistence > 0.0:
            half = math.log(0.5) / math.log(persistence)
            notes.append(f"half of a variance shock is left after {half:.3g} bars; level {level:.1%} a year")
    fourth = 3.0 if math.isinf(nu) else (3.0 * (nu - 2.0) / (nu - 4.0) if nu > 4.0 else math.inf)
    growth = (
        beta**2 + 2.0 * beta * (alpha + 0.5 * gamma) + fourth * (alpha**2 + alpha * gamma + 0.5 * gamma**2)
    )
    if nu <= 4.0:
        notes.append(
            f"nu = {nu:.2f}: squared returns have no variance, so that averages of them, simulated variances "
            "and kurtosis settle slowly or never; state quantiles, not moments, at long horizons"
        )
    elif growth >= 1.0:
        notes.append(
            "the variance has no finite second moment: its expectation rests on few paths, most lie below it"
        )
    return tuple(notes)
