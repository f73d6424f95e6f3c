"""SABR as a control: Hagan's lognormal formula, and alpha from the vol at the money."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number

__all__ = ["Sabr", "alpha_from_atm"]

#: Below this |z| the quotient z/x(z) is taken from its series.
_SMALL_Z = 1e-4


def _require(what: str, value: float, allowed: bool, expected: str) -> None:
    if not allowed:
        raise ParameterError(f"{what} of SABR is {value:g}", expected, "correct the parameter")


@dataclass(frozen=True)
class Sabr:
    """Parameters of the SABR model, whose implied vol follows Hagan's expansion.

    The expansion is neither exact nor free of arbitrage: with vol of vol its total variance grows faster than
    any straight line in k, and at low strikes or large ``nu² tau`` it is off by vol points. Use it as a
    control for surfaces, not for prices far from the money.

    Attributes
    ----------
    alpha : float
        Vol at the start, annualised, positive; in units of forward to the power ``1 - beta``.
    beta : float
        Backbone, 0 to 1; 1 is lognormal.
    rho : float
        Correlation of forward and vol, between -1 and 1 exclusive.
    nu : float
        Vol of vol, annualised, 0 or more.

    Raises
    ------
    ParameterError
        A parameter outside its domain.

    References
    ----------
    Hagan, Kumar, Lesniewski and Woodward (2002), equation (2.17).

    Examples
    --------
    >>> Sabr(alpha=0.3, beta=0.6, rho=0.01, nu=0.02).iv([0.03, 0.05], 0.039, 1.0).round(6)
    array([1.167258, 1.052266])
    """

    alpha: float
    beta: float
    rho: float
    nu: float

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "rho", "nu"):
            value = as_number(name, getattr(self, name))
            _require(name, value, math.isfinite(value), "a finite number")
        _require("alpha", self.alpha, self.alpha > 0.0, "a positive number")
        _require("beta", self.beta, 0.0 <= self.beta <= 1.0, "between 0 and 1")
        _require("rho", self.rho, abs(self.rho) < 1.0, "between -1 and 1, both excluded")
        _require("nu", self.nu, self.nu >= 0.0, "0 or more")

    def iv(self, strike: npt.ArrayLike, forward: float, tau: float) -> FloatArray:
        """Return annualised implied vol (decimal) at strikes; NaN gives NaN.

        Parameters
        ----------
        strike : array_like
            Positive.
        forward : float
            Positive, in the unit of the strikes.
        tau : float
            Years, positive.

        Raises
        ------
        ParameterError
            A strike, forward or time that is not positive, or a correction in time that turns vol negative.

        Notes
        -----
        With ``q = 1 - beta``, ``l = ln(F/K)``, ``s = (F K)^(q/2)`` and ``z = nu s l/alpha``,
        ``iv = alpha/(s (1 + q² l²/24 + q⁴ l⁴/1920)) · z/x(z) · (1 + c tau)``,
        ``c = q² alpha²/(24 s²) + rho beta nu alpha/(4 s) + (2 - 3 rho²) nu²/24`` and
        ``x(z) = ln((sqrt(1 - 2 rho z + z²) + z - rho)/(1 - rho))``.
        """
        strikes = np.asarray(strike, dtype=np.float64)
        for what, value in (("strike", strikes), ("forward", np.asarray(forward)), ("tau", np.asarray(tau))):
            if (value <= 0.0).any() or not np.isfinite(value[~np.isnan(value)]).all():
                raise ParameterError(
                    f"{what} is {float(np.min(value)):g}", "a positive, finite number", "correct the argument"
                )
        return self._iv(np.log(strikes / forward), forward, tau)

    def w(self, k: npt.ArrayLike, forward: float, tau: float) -> FloatArray:
        """Return total variance at ``k`` = ln(K/F)."""
        return np.asarray(self._iv(np.asarray(k, dtype=np.float64), forward, tau) ** 2 * tau)

    def _iv(self, k: FloatArray, forward: float, tau: float) -> FloatArray:
        q = 1.0 - self.beta
        power = forward**q * np.exp(0.5 * q * k)
        z = -self.nu * power * k / self.alpha
        skew = 0.25 * self.rho * self.beta * self.nu * self.alpha / power
        drift = (q * self.alpha / power) ** 2 / 24.0 + skew + (2.0 - 3.0 * self.rho**2) * self.nu**2 / 24.0
        factor = 1.0 + drift * tau
        if (factor <= 0.0).any():
            raise ParameterError(
                f"the correction in time of SABR is {float(np.min(factor)):g} at tau = {tau:g} years",
                "a positive number",
                "the expansion does not hold here: shorten the time, or lower nu",
            )
        square = (q * k) ** 2
        return np.asarray(
            self.alpha / (power * (1.0 + square / 24.0 + square**2 / 1920.0)) * self._quotient(z) * factor
        )

    def _quotient(self, z: FloatArray) -> FloatArray:
        """Return z/x(z), from its series near 0 and from the form that does not cancel on either side."""
        rho = self.rho
        root = np.sqrt(1.0 - 2.0 * rho * z + z * z)
        with np.errstate(invalid="ignore", divide="ignore"):
            x = np.where(
                z >= 0.0,
                np.log((root + z - rho) / (1.0 - rho)),
                -np.log((root - z + rho) / (1.0 + rho)),
            )
            series = 1.0 - 0.5 * rho * z + (2.0 - 3.0 * rho**2) / 12.0 * z * z
            return np.where(np.abs(z) < _SMALL_Z, series, z / x)


def alpha_from_atm(atm_iv: float, *, beta: float, rho: float, nu: float, forward: float, tau: float) -> float:
    """Return the alpha with which Hagan's formula gives a vol at the money.

    Parameters
    ----------
    atm_iv : float
        Annualised vol at the forward, decimal, positive.
    beta, rho, nu : float
        As in :class:`Sabr`.
    forward : float
        Positive.
    tau : float
        Years, positive.

    Returns
    -------
    float
        The smallest positive root.

    Raises
    ------
    ParameterError
        No positive root: the expansion cannot reach this vol with these parameters.

    Notes
    -----
    ``q² tau/(24 F^2q) alpha³ + rho beta nu tau/(4 F^q) alpha² + (1 + (2 - 3 rho²) nu² tau/24) alpha =
    iv F^q`` with ``q = 1 - beta``.

    Examples
    --------
    >>> round(alpha_from_atm(0.6, beta=1.0, rho=-0.3, nu=1.2, forward=60_000.0, tau=0.25), 6)
    0.592523
    """
    for what, value in (("atm_iv", atm_iv), ("forward", forward), ("tau", tau)):
        _require(what, value, 0.0 < as_number(what, value) < math.inf, "a positive, finite number")
    power = forward ** (1.0 - beta)
    # in units of iv F^q, and for the reciprocal, whose leading coefficient is 1 whatever the parameters
    unit = atm_iv * power
    third = (1.0 - beta) ** 2 * tau / (24.0 * power**2) * unit**2
    second = 0.25 * rho * beta * nu * tau / power * unit
    first = 1.0 + (2.0 - 3.0 * rho**2) * nu**2 * tau / 24.0
    roots = np.roots([1.0, -first, -second, -third])
    real = [float(r.real) for r in roots if abs(r.imag) < 1e-9 * abs(r) and r.real > 1e-9]
    if not real:
        raise ParameterError(
            f"no alpha gives {atm_iv:g} at the money with beta={beta:g}, rho={rho:g}, nu={nu:g}, tau={tau:g}",
            "parameters within the reach of the expansion",
            "lower nu, or shorten the time",
        )
    return float(unit / max(real))
