"""Implied vol from a mean-reverting variance that is read out of the returns, with leverage and skew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pmkit.backtest.walk.vol_laws.vol_law import LawInput, Numbers, VolLaw, long_run_variances, mean_decay
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["HestonVolLaw", "heston_expected_variance", "heston_log_skew"]

_LARGEST = 4.0  # standard deviations: a diffusion has no jumps, so a larger move tells its variance no more
_LOWEST = 0.01  # of the long-run variance


def heston_expected_variance(
    variance: npt.ArrayLike, long_run: npt.ArrayLike, reversion: float, years: float
) -> FloatArray:
    """Return the expected mean variance over a span of Heston's model, annualised.

    Parameters
    ----------
    variance, long_run : array-like
        Variance now and the level that it reverts to, annualised, positive.
    reversion : float
        Speed κ of the reversion a year, above 0.
    years : float
        Span τ, above 0.

    Returns
    -------
    ndarray
        θ + (v - θ)(1 - e^(-κτ))/(κτ).

    Raises
    ------
    ParameterError
        A value that is not positive and finite.

    References
    ----------
    Heston (1993), equation (4).

    Examples
    --------
    >>> round(float(heston_expected_variance(0.64, 0.36, 5.0, 30 / 365)), 6)
    0.5896
    """
    now, level = np.asarray(variance, dtype=np.float64), np.asarray(long_run, dtype=np.float64)
    for name, value in (("variance", now), ("long_run", level), ("reversion", reversion), ("years", years)):
        if not bool((np.isfinite(value) & (np.asarray(value) > 0.0)).all()):
            raise ParameterError(f"{name} is {value!r}", "positive and finite", "correct the argument")
    mean: FloatArray = level + (now - level) * mean_decay(reversion * years)
    return mean


def heston_log_skew(
    variance: npt.ArrayLike,
    long_run: npt.ArrayLike,
    reversion: float,
    vol_of_vol: float,
    leverage: float,
    years: float,
) -> FloatArray:
    """Return the slope of ln(iv) in ln(K/F) at the money under Heston's model, to first order in vol-of-vol.

    Parameters
    ----------
    variance, long_run, reversion, years
        As for :func:`heston_expected_variance`.
    vol_of_vol : float
        ξ, 0 or more.
    leverage : float
        Correlation ρ of returns and variance, in [-1, 1].

    Notes
    -----
    ρ ξ C/(2 σ⁴ τ²), σ² the expected mean variance, φ = (1 - e^(-κτ))/(κτ) and, per ρξ, the covariance of
    return and later variance C = (τ/κ)[θ(1 - φ) + (v - θ)(φ - e^(-κτ))]. Higher orders of ξ are left out.

    References
    ----------
    Bergomi and Guyon (2012).

    Examples
    --------
    >>> round(float(heston_log_skew(0.49, 0.49, 5.0, 1.5, -0.3, 30 / 365)), 4)
    -0.2011
    """
    mean = heston_expected_variance(variance, long_run, reversion, years)
    if not (math.isfinite(vol_of_vol) and vol_of_vol >= 0.0 and -1.0 <= leverage <= 1.0):
        raise ParameterError(
            f"vol_of_vol is {vol_of_vol!r} and leverage {leverage!r}",
            "0 or more, and a correlation",
            "correct the arguments",
        )
    now, level = np.asarray(variance, dtype=np.float64), np.asarray(long_run, dtype=np.float64)
    span = mean_decay(reversion * years)
    end = math.exp(-reversion * years)
    covariance = years / reversion * (level * (1.0 - span) + (now - level) * (span - end))
    slope: FloatArray = leverage * vol_of_vol * covariance / (2.0 * mean**2 * years**2)
    return slope


@dataclass(frozen=True, kw_only=True)
class HestonVolLaw(VolLaw):
    """Implied vols of Heston's model, its variance read out of the returns so far.

    Vol falls when the price rises and returns to its level; the smile has the slope that goes with it and
    keeps its place in ln(K/F). The premium stands for Heston's price of variance risk.

    Attributes
    ----------
    reversion : float
        κ a year, above 0: 5 halves a deviation in 51 days.
    vol_of_vol : float
        ξ, 0 or more.
    leverage : float
        Correlation ρ of returns and variance, in (-1, 1).
    told : float
        How much of the variance's own noise the size of the return tells, a correlation in [0, 1]; the rest
        is drawn. With 1 nothing is random.
    prior_days : float
        How many days the prior weighs in the long-run level θ, above 0.

    Notes
    -----
    dv = κ(θ - v) dt + ξ √v dW with corr(dW, return) = ρ. With one return r a date, z = r/√(v Δ), and dW is
    put together from what the return shows and what it does not, a = ``told``:
    dW/√Δ = ρ z + √(1-ρ²) [a (z²-1)/√2 + √(1-a²) ε]. With a = 1 and normal z this is the filter that is
    asymptotically best among ARCH filters. z is held within 4 standard deviations, since a diffusion has no
    jumps, and v above 1 % of θ. θ is the mean of prior and squared returns so far.
    iv = premium · √(expected mean variance over the tenor); the convexity by which at-the-money vol lies
    below that root is left out.

    References
    ----------
    Heston (1993), equation (4); Nelson and Foster (1994); Bergomi and Guyon (2012).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> path = HestonVolLaw().path(load_history("crypto-daily-2020-2023"), underlyings=["BTC"])
    >>> path.frame["BTC"].loc[["2020-03-11", "2020-03-12"]].round(2).tolist()
    [0.8, 1.13]
    """

    label: ClassVar[str] = "Heston law"
    references: ClassVar[tuple[str, ...]] = ("heston1993", "nelsonfoster1994", "bergomi2012")

    reversion: float = 5.0
    vol_of_vol: float = 1.5
    leverage: float = -0.3
    told: float = 0.8
    prior_days: float = 365.0

    def _numbers(self) -> Numbers:
        return {
            "reversion": (self.reversion, 0.0 < self.reversion < math.inf, "a positive number"),
            "vol_of_vol": (self.vol_of_vol, 0.0 <= self.vol_of_vol < math.inf, "0 or more"),
            "leverage": (self.leverage, -1.0 < self.leverage < 1.0, "(-1, 1)"),
            "told": (self.told, 0.0 <= self.told <= 1.0, "[0, 1]"),
            "prior_days": (self.prior_days, 0.0 < self.prior_days < math.inf, "a positive number"),
        }

    def _vols(
        self, given: LawInput, at: int, noise: FloatArray, seed: int
    ) -> tuple[FloatArray, FloatArray | None]:
        level = long_run_variances(given.squares(at), self.prior_vol, self.prior_days)
        variance = self._filtered(given.returns[:, at], level, noise, 1.0 / given.periods)
        years = self.tenor_days / 365.0
        mean = heston_expected_variance(variance, level, self.reversion, years)
        slope = heston_log_skew(variance, level, self.reversion, self.vol_of_vol, self.leverage, years)
        return self.premium * np.sqrt(mean), slope

    def _filtered(self, returns: FloatArray, level: FloatArray, noise: FloatArray, step: float) -> FloatArray:
        """Return the variance on each date."""
        variance = np.empty(level.size)
        variance[0] = v = self.prior_vol**2
        for t in range(1, level.size):
            z = min(max(returns[t - 1] / math.sqrt(v * step), -_LARGEST), _LARGEST)
            own = self.told * (z * z - 1.0) / math.sqrt(2.0) + math.sqrt(1.0 - self.told**2) * noise[t]
            shock = self.leverage * z + math.sqrt(1.0 - self.leverage**2) * own
            v += self.reversion * (level[t - 1] - v) * step + self.vol_of_vol * math.sqrt(v * step) * shock
            v = max(v, _LOWEST * float(level[t]))
            variance[t] = v
        return variance
