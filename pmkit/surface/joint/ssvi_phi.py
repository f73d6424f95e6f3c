"""Wing functions phi(theta) of SSVI, and the conditions under which a surface of them has no arbitrage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number, require
from pmkit.surface.joint.essvi_bound import f_gj, psi_max

__all__ = ["HestonPhi", "ModifiedPowerPhi", "Phi", "PhiName", "PowerPhi", "SsviReport", "ssvi_conditions"]

PhiName = Literal["power", "modified", "heston"]

#: Levels of total variance between two ends at which conditions in theta are looked at.
_LEVELS = 65


def _positive(name: str, value: float) -> None:
    if not 0.0 < as_number(name, value) < math.inf:
        raise ParameterError(f"{name} is {value:g}", "a finite positive number", "correct the parameter")


def _level(theta: npt.ArrayLike) -> FloatArray:
    level = np.asarray(theta, dtype=np.float64)
    if (level <= 0.0).any():
        raise ParameterError(
            f"theta is {float(level.min()):g}", "a positive total variance", "correct the argument"
        )
    return level


@dataclass(frozen=True)
class PowerPhi:
    """``phi = eta theta^-gamma``.

    Attributes
    ----------
    eta : float
        Positive.
    gamma : float
        Decay, 0 to 1. Above 1/2 the butterfly condition fails as theta goes to 0, below as it grows: the law
        is free of arbitrage on a range of theta only.

    References
    ----------
    Gatheral and Jacquier (2014), Example 4.2.

    Examples
    --------
    >>> float(PowerPhi(eta=1.0, gamma=0.5).at(0.04))
    5.0
    """

    eta: float
    gamma: float
    name: ClassVar[PhiName] = "power"

    def __post_init__(self) -> None:
        _positive("eta", self.eta)
        if not 0.0 <= as_number("gamma", self.gamma) <= 1.0:
            raise ParameterError(f"gamma is {self.gamma:g}", "0 to 1", "psi = theta phi must not fall")

    def at(self, theta: npt.ArrayLike) -> FloatArray:
        """Return phi at total variance at the money ``theta``."""
        return np.asarray(self.eta * _level(theta) ** -self.gamma)

    def growth(self, theta: npt.ArrayLike) -> FloatArray:
        """Return the elasticity of psi = theta phi, its relative increase over that of theta."""
        return np.full(_level(theta).shape, 1.0 - self.gamma)

    @property
    def parameters(self) -> tuple[float, float]:
        """Eta and gamma."""
        return self.eta, self.gamma


@dataclass(frozen=True)
class ModifiedPowerPhi:
    """``phi = eta/(theta^gamma (1 + theta)^(1 - gamma))``, a power law that levels off.

    Attributes
    ----------
    eta : float
        Positive.
    gamma : float
        Decay for small theta, 0 to 1. With ``eta (1 + |rho|) <= 2`` there is no arbitrage at any theta if
        gamma is 1/2 or less; above 1/2 butterflies appear as theta goes to 0, whatever eta.

    References
    ----------
    Gatheral and Jacquier (2014), equation (4.5), where the restriction of gamma is missing.

    Examples
    --------
    >>> round(float(ModifiedPowerPhi(eta=1.0, gamma=0.5).at(0.04)), 6)
    4.902903
    """

    eta: float
    gamma: float
    name: ClassVar[PhiName] = "modified"

    def __post_init__(self) -> None:
        _positive("eta", self.eta)
        if not 0.0 <= as_number("gamma", self.gamma) <= 1.0:
            raise ParameterError(f"gamma is {self.gamma:g}", "0 to 1", "psi = theta phi must not fall")

    def at(self, theta: npt.ArrayLike) -> FloatArray:
        """Return phi at total variance at the money ``theta``."""
        level = _level(theta)
        return np.asarray(self.eta * level**-self.gamma * (1.0 + level) ** (self.gamma - 1.0))

    def growth(self, theta: npt.ArrayLike) -> FloatArray:
        """Return the elasticity of psi = theta phi, its relative increase over that of theta."""
        return np.asarray((1.0 - self.gamma) / (1.0 + _level(theta)))

    @property
    def parameters(self) -> tuple[float, float]:
        """Eta and gamma."""
        return self.eta, self.gamma

    def free_everywhere(self, rho: float) -> bool:
        """Return whether the sufficient condition holds at every theta, for a tilt ``rho``.

        Notes
        -----
        ``theta phi² (1 + |rho|) <= 4``, and the left side grows like ``theta^(1 - 2 gamma)`` as theta goes
        to 0, without a bound where gamma exceeds 1/2.
        """
        return self.gamma <= 0.5 and self.eta * (1.0 + abs(rho)) <= 2.0


@dataclass(frozen=True)
class HestonPhi:
    """``phi = (1 - (1 - exp(-x))/x)/x`` at ``x = lam theta``: the shape of Heston's long smiles, at most 1/2.

    Attributes
    ----------
    lam : float
        Positive; without butterflies at any theta from ``(1 + |rho|)/4`` on.

    References
    ----------
    Gatheral and Jacquier (2014), Example 4.1.

    Examples
    --------
    >>> round(float(HestonPhi(lam=1.2).at(0.04)), 12)
    0.492095085723
    """

    lam: float
    name: ClassVar[PhiName] = "heston"

    def __post_init__(self) -> None:
        _positive("lam", self.lam)

    def at(self, theta: npt.ArrayLike) -> FloatArray:
        """Return phi at total variance at the money ``theta``."""
        x = self.lam * _level(theta)
        small = np.minimum(x, 1.0)
        series = np.zeros_like(small)
        for term in range(18, -1, -1):
            series = series * -small + 1.0 / math.factorial(term + 2)
        large = np.maximum(x, 1.0)
        return np.asarray(np.where(x < 1.0, series, (1.0 + np.expm1(-large) / large) / large))

    def growth(self, theta: npt.ArrayLike) -> FloatArray:
        """Return the elasticity of psi = theta phi, its relative increase over that of theta."""
        x = self.lam * _level(theta)
        small = np.minimum(x, 1.0)
        # psi lam = 1 - (1 - exp(-x))/x has the derivative sum of (n + 1) (-x)^n/(n + 2)!
        series = np.zeros_like(small)
        for term in range(18, -1, -1):
            series = series * -small + (term + 1.0) / math.factorial(term + 2)
        large = np.maximum(x, 1.0)
        slope = np.where(x < 1.0, series, -(np.expm1(-large) + large * np.exp(-large)) / large**2)
        return np.asarray(slope / self.at(theta))

    @property
    def parameters(self) -> tuple[float]:
        """Lam alone."""
        return (self.lam,)

    def free_everywhere(self, rho: float) -> bool:
        """Return whether the sufficient condition holds at every theta, for a tilt ``rho``."""
        return self.lam >= 0.25 * (1.0 + abs(rho))


Phi = PowerPhi | ModifiedPowerPhi | HestonPhi


@dataclass(frozen=True, kw_only=True, repr=False)
class SsviReport(Result):
    """Whether an SSVI surface has static arbitrage on a range of total variance at the money.

    Attributes
    ----------
    calendar : bool
        Necessary and sufficient: total variance rises with theta at every k.
    butterfly_gj, butterfly_mm : bool
        The sufficient, and the necessary and sufficient condition at every theta of the range.
    growth_low, growth_high : float
        Least elasticity of psi, to be 0 or more, and its greatest over what rho allows, to be 1 or less.
    worst_gj, worst_mm : float
        Greatest psi over its bound, to be 1 or less.
    theta_worst : float
        Where psi comes nearest to the exact bound.
    """

    calendar: bool
    butterfly_gj: bool
    butterfly_mm: bool
    growth_low: float
    growth_high: float
    worst_gj: float
    worst_mm: float
    theta_worst: float
    references = ("gatheral2014", "martini2023")

    @property
    def free(self) -> bool:
        """True where neither kind of static arbitrage is left."""
        return self.calendar and self.butterfly_mm

    def summary(self) -> pd.DataFrame:
        """Return one row with every attribute."""
        names = (
            "calendar", "butterfly_gj", "butterfly_mm", "growth_low", "growth_high", "worst_gj", "worst_mm",
            "theta_worst",
        )  # fmt: skip
        return pd.DataFrame([{"free": self.free} | {name: getattr(self, name) for name in names}])

    def to_frame(self) -> pd.DataFrame:
        """Return the summary."""
        return self.summary()


def ssvi_conditions(phi: Phi, rho: float, theta_low: float, theta_high: float) -> SsviReport:
    """Return whether an SSVI surface has static arbitrage for theta between two levels.

    Parameters
    ----------
    phi : PowerPhi, ModifiedPowerPhi or HestonPhi
    rho : float
        Tilt, between -1 and 1 exclusive.
    theta_low, theta_high : float
        Ends of the range of total variance at the money, positive and ascending.

    Raises
    ------
    ParameterError
        rho or the range outside its domain.

    Notes
    -----
    Calendar: ``0 <= d(theta phi)/d theta <= phi (1 + sqrt(1 - rho²))/rho²``. Butterfly: ``psi = theta phi``
    at most :func:`psi_max`. Both are looked at on 65 levels in geometric order; they are smooth there.

    References
    ----------
    Gatheral and Jacquier (2014), Theorems 4.1 and 4.2; Martini and Mingone (2023).

    Examples
    --------
    >>> ssvi_conditions(ModifiedPowerPhi(eta=1.0, gamma=0.75), -0.5, 1e-3, 1.0).free
    False
    """
    require("phi", phi, (PowerPhi, ModifiedPowerPhi, HestonPhi), "build one: PowerPhi(eta, gamma), say")
    if not abs(as_number("rho", rho)) < 1.0:
        raise ParameterError(f"rho is {rho:g}", "between -1 and 1, both excluded", "correct the argument")
    theta_low, theta_high = as_number("theta_low", theta_low), as_number("theta_high", theta_high)
    if not 0.0 < theta_low <= theta_high < math.inf:
        raise ParameterError(
            f"theta from {theta_low:g} to {theta_high:g}", "positive numbers, ascending", "correct the range"
        )
    levels = np.geomspace(theta_low, theta_high, _LEVELS)
    growth = phi.growth(levels)
    # the upper end over phi, at least 1; there is none without tilt
    most = (1.0 + math.sqrt((1.0 - rho) * (1.0 + rho))) / rho**2 if rho**2 > 0.0 else math.inf
    psi = levels * phi.at(levels)
    plain = np.minimum(4.0 / (1.0 + abs(rho)), np.sqrt(f_gj(levels, rho)))
    worst_gj, exact = float(np.max(psi / plain)), psi / psi_max(levels, rho)
    low, high = float(growth.min()), float(growth.max()) / most
    return SsviReport(
        calendar=low >= 0.0 and high <= 1.0,
        butterfly_gj=worst_gj <= 1.0,
        butterfly_mm=float(exact.max()) <= 1.0,
        growth_low=low,
        growth_high=high,
        worst_gj=worst_gj,
        worst_mm=float(exact.max()),
        theta_worst=float(levels[int(np.argmax(exact))]),
    )
