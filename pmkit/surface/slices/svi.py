"""One expiry as a hyperbola in log-moneyness: raw, natural and jump-wing parameters of SVI."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number

__all__ = ["JumpWingSvi", "NaturalSvi", "RawSvi"]

#: A minimum variance this far below zero, relative to the terms it is the sum of, is rounding.
_ROUNDING = 1e-14
#: Below this 4·|psi|/(p + c) the lift of the smile at the money over its minimum is rounding.
_NO_SKEW = 1e-6


def _require(what: str, value: float, allowed: bool, expected: str, remedy: str) -> None:
    if not allowed:
        raise ParameterError(f"{what} is {value:g}", expected, remedy)


def _require_finite(form: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        what = f"{name} of {form}"
        finite = math.isfinite(as_number(what, value))
        _require(what, value, finite, "a finite number", "correct the parameter")


@dataclass(frozen=True)
class RawSvi:
    """Total variance of one expiry in the raw parameters, which do not depend on the time to expiry.

    Attributes
    ----------
    a : float
        Level of total variance; it may be negative.
    b : float
        Half the sum of the wing slopes, 0 or more.
    rho : float
        Tilt, between -1 and 1 exclusive.
    m : float
        Shift of log-moneyness.
    sigma : float
        Width of the rounding at the bottom, positive.

    Raises
    ------
    ParameterError
        A parameter outside its domain, or a total variance that is negative somewhere or zero everywhere.

    Notes
    -----
    ``w(k) = a + b (rho (k - m) + R)`` with ``R = sqrt((k - m)² + sigma²)``; the least value is
    ``a + b sigma sqrt(1 - rho²)``, which has to be 0 or more. Order: printed sets often give m before rho.

    References
    ----------
    Gatheral and Jacquier (2014), equation (3.1).

    Examples
    --------
    >>> curve = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
    >>> curve.w([-0.5, 0.0, 0.5]).round(6)
    array([0.351607, 0.092721, 0.152391])
    """

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        _require_finite("raw SVI", vars(self))
        _require("b of raw SVI", self.b, self.b >= 0.0, "0 or more", "correct the parameter")
        _require(
            "rho of raw SVI", self.rho, abs(self.rho) < 1.0, "between -1 and 1, both excluded",
            "a wing of slope exactly 0 has no raw parameters; take rho just inside",
        )  # fmt: skip
        _require("sigma of raw SVI", self.sigma, self.sigma > 0.0, "a positive number", "correct it")
        floor = -_ROUNDING * max(abs(self.a), self.b * self.sigma)
        _require(
            "minimum of total variance a + b·sigma·sqrt(1 - rho²)", self.min_variance,
            self.min_variance >= floor, "0 or more", "raise a",
        )  # fmt: skip
        _require(
            "total variance everywhere", self.a, self.b > 0.0 or self.a > 0.0, "a positive number", "raise a"
        )

    @property
    def min_variance(self) -> float:
        """Least total variance over the whole line."""
        return self.a + self.b * self.sigma * math.sqrt(1.0 - self.rho**2)

    @property
    def k_min(self) -> float:
        """Log-moneyness at which total variance is least."""
        return self.m - self.rho * self.sigma / math.sqrt(1.0 - self.rho**2)

    @property
    def slopes(self) -> tuple[float, float]:
        """Wing slopes b(1 - rho) and b(1 + rho) of total variance per unit of ``|k|``, left then right."""
        return self.b * (1.0 - self.rho), self.b * (1.0 + self.rho)

    def w(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at log-moneyness ``k``; NaN gives NaN."""
        x = np.asarray(k, dtype=np.float64) - self.m
        return np.asarray(self.a + self.b * (self.rho * x + np.hypot(x, self.sigma)))

    def dw(self, k: npt.ArrayLike) -> FloatArray:
        """Return the first derivative of total variance in ``k``."""
        x = np.asarray(k, dtype=np.float64) - self.m
        return np.asarray(self.b * (self.rho + x / np.hypot(x, self.sigma)))

    def d2w(self, k: npt.ArrayLike) -> FloatArray:
        """Return the second derivative of total variance in ``k``, never negative."""
        x = np.asarray(k, dtype=np.float64) - self.m
        ratio = self.sigma / np.hypot(x, self.sigma)
        return np.asarray(self.b / self.sigma * ratio**3)

    def with_derivatives(self, k: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return total variance at ``k`` and its first two derivatives, cheaper than one after another."""
        x = np.asarray(k, dtype=np.float64) - self.m
        root = np.hypot(x, self.sigma)
        ratio = self.sigma / root
        return (
            np.asarray(self.a + self.b * (self.rho * x + root)),
            np.asarray(self.b * (self.rho + x / root)),
            np.asarray(self.b / self.sigma * ratio**3),
        )

    def to_natural(self) -> NaturalSvi:
        """Return the natural parameters; always possible.

        Notes
        -----
        ``zeta = sqrt(1 - rho²)/sigma``, ``omega = 2b/zeta``, ``mu = m + rho/zeta``,
        ``delta = a - omega (1 - rho²)/2``.
        """
        zeta = math.sqrt(1.0 - self.rho**2) / self.sigma
        omega = 2.0 * self.b / zeta
        return NaturalSvi(
            delta=self.a - omega * (1.0 - self.rho**2) / 2.0,
            mu=self.m + self.rho / zeta,
            rho=self.rho,
            omega=omega,
            zeta=zeta,
        )

    def to_jump_wing(self, tau: float) -> JumpWingSvi:
        """Return the jump-wing parameters at a time to expiry in years.

        Raises
        ------
        ParameterError
            ``tau`` not positive, ``b`` is 0 (a flat slice has no wings), or no variance at the money.
        """
        years = as_number("tau in years", tau)
        _require("tau in years", years, 0.0 < years < math.inf, "a positive number", "correct the time")
        _require("b of raw SVI", self.b, self.b > 0.0, "a positive number", "a flat slice has no jump wings")
        radius = math.hypot(self.m, self.sigma)
        atm = self.a + self.b * (radius - self.rho * self.m)
        resolved = atm > _ROUNDING * max(abs(self.a), self.b * radius)
        _require("variance at the money", atm, resolved, "a positive number", "raise a")
        root = math.sqrt(atm)
        return JumpWingSvi(
            v=atm / tau,
            psi=self.b * (self.rho - self.m / radius) / (2.0 * root),
            p=self.b * (1.0 - self.rho) / root,
            c=self.b * (1.0 + self.rho) / root,
            v_min=max(self.min_variance, 0.0) / tau,
            tau=tau,
        )


@dataclass(frozen=True)
class NaturalSvi:
    """Total variance of one expiry in the natural parameters.

    Attributes
    ----------
    delta : float
        Level of total variance; it may be negative.
    mu : float
        Shift of log-moneyness.
    rho : float
        Tilt, between -1 and 1 exclusive.
    omega : float
        Scale of total variance, 0 or more.
    zeta : float
        Inverse width, positive.

    Raises
    ------
    ParameterError
        A parameter outside its domain, or a total variance that is negative somewhere.

    Notes
    -----
    ``w(k) = delta + omega/2 (1 + zeta rho (k - mu) + sqrt((zeta (k - mu) + rho)² + 1 - rho²))``; the least
    value is ``delta + omega (1 - rho²)``.

    References
    ----------
    Gatheral and Jacquier (2014), equation (3.2).
    """

    delta: float
    mu: float
    rho: float
    omega: float
    zeta: float

    def __post_init__(self) -> None:
        _require_finite("natural SVI", vars(self))
        _require("omega of natural SVI", self.omega, self.omega >= 0.0, "0 or more", "correct the parameter")
        _require("zeta of natural SVI", self.zeta, self.zeta > 0.0, "a positive number", "correct it")
        self.to_raw()

    def to_raw(self) -> RawSvi:
        """Return the raw parameters; always possible."""
        _require(
            "rho of natural SVI", self.rho, abs(self.rho) < 1.0, "between -1 and 1, both excluded",
            "take rho just inside",
        )  # fmt: skip
        return RawSvi(
            a=self.delta + self.omega * (1.0 - self.rho**2) / 2.0,
            b=self.omega * self.zeta / 2.0,
            rho=self.rho,
            m=self.mu - self.rho / self.zeta,
            sigma=math.sqrt(1.0 - self.rho**2) / self.zeta,
        )


@dataclass(frozen=True)
class JumpWingSvi:
    """One expiry in numbers that a trader reads off the smile, at its time to expiry.

    Attributes
    ----------
    v : float
        Variance at the money per year, positive.
    psi : float
        Skew at the money: derivative of iv·sqrt(tau) in k.
    p, c : float
        Slopes of the put and call wing over the square root of total variance at the money, positive.
    v_min : float
        Least variance per year, between 0 and ``v``.
    tau : float
        Years, positive.

    Raises
    ------
    ParameterError
        A parameter outside its domain, or a skew outside ``-p < 2 psi < c``.

    References
    ----------
    Gatheral and Jacquier (2014), equation (3.5) and Lemma 3.2.
    """

    v: float
    psi: float
    p: float
    c: float
    v_min: float
    tau: float

    def __post_init__(self) -> None:
        _require_finite("jump-wing SVI", vars(self))
        for name in ("v", "p", "c", "tau"):
            value = getattr(self, name)
            _require(f"{name} of jump-wing SVI", value, value > 0.0, "a positive number", "correct it")
        _require(
            "v_min of jump-wing SVI", self.v_min, 0.0 <= self.v_min <= self.v * (1.0 + _ROUNDING),
            f"between 0 and v = {self.v:g}", "correct the parameter",
        )  # fmt: skip
        _require(
            "2 psi of jump-wing SVI", 2.0 * self.psi, -self.p < 2.0 * self.psi < self.c,
            f"between -p = {-self.p:g} and c = {self.c:g}, both excluded",
            "at a bound the bottom of the raw slice is a kink: sigma would be 0",
        )  # fmt: skip

    def to_raw(self, sigma: float | None = None) -> RawSvi:
        """Return the raw parameters.

        Parameters
        ----------
        sigma : float, optional
            Width of the bottom, read only where ``psi`` is 0. Then the bottom lies at the money, ``v`` equals
            ``v_min``, and the five numbers leave the width open.

        Raises
        ------
        ParameterError
            ``psi`` is 0 and no width is given; ``psi`` is 0 although ``v`` exceeds ``v_min``; or ``v`` equals
            ``v_min`` although ``psi`` is not 0.

        Notes
        -----
        With ``beta = rho - 2 psi sqrt(w0)/b = m/R0`` and ``s = sqrt((1 - rho²)(1 - beta²))`` the radius is
        ``R0 = (v - v_min) tau (1 - rho beta + s)/(b (beta - rho)²)``, then ``m = beta R0`` and
        ``sigma = sqrt(1 - beta²) R0``. This form needs no special case at m = 0, where the customary one
        divides zero by zero; what remains singular is ``psi = 0`` (in doubles, ``4 |psi| <= 1e-6 (p + c)``).
        """
        root = math.sqrt(self.v * self.tau)
        b, rho = root * (self.c + self.p) / 2.0, (self.c - self.p) / (self.c + self.p)
        # products of distances to the bounds, exact where rho or beta rounds to 1
        sine = 2.0 * math.sqrt(self.c * self.p) / (self.c + self.p)
        cosine = 2.0 * math.sqrt((self.p + 2.0 * self.psi) * (self.c - 2.0 * self.psi)) / (self.c + self.p)
        step = -4.0 * self.psi / (self.c + self.p)
        beta, lift = rho + step, self.v - self.v_min
        if abs(step) <= _NO_SKEW:
            _require(
                "v - v_min of jump-wing SVI with psi = 0", lift, lift <= 1e-9 * self.v,
                "0, because the bottom is at the money", "set v_min = v",
            )  # fmt: skip
            if sigma is None or not (math.isfinite(sigma) and sigma > 0.0):
                raise ParameterError(
                    f"psi of jump-wing SVI is {self.psi:g} and sigma is {sigma!r}",
                    "a positive width, since without skew at the money the other numbers leave it open",
                    "give sigma=...",
                )
            radius = sigma / cosine
        else:
            _require(
                "v - v_min of jump-wing SVI", lift, lift > 0.0,
                "a positive number where psi is not 0", "lower v_min, or set psi = 0",
            )  # fmt: skip
            radius = lift * self.tau * (1.0 - rho * beta + sine * cosine) / (b * step**2)
        width = cosine * radius
        return RawSvi(a=self.v_min * self.tau - b * width * sine, b=b, rho=rho, m=beta * radius, sigma=width)
