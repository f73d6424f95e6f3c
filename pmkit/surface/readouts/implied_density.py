"""The risk-neutral density behind a smile: mass, mean, and where it is negative."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import ButterflyReport, around, butterfly, lowest, negative_intervals
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve
from pmkit.surface.readouts.quadrature import integrate, panels, reach

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImpliedDensity", "implied_density"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ImpliedDensity(Result):
    """Density of ln(S/F) at one time, and what can and cannot be said of it.

    Mass and mean are boundary terms: they are 1 for a density that is negative somewhere too, so that they
    are a test of the numerics and of the wings, never of arbitrage.

    Attributes
    ----------
    curve : VarianceCurve
    mass, mean : float
        Integrals of the density and of S/F under it between ``low`` and ``high``.
    mass_outside, mean_outside : float
        What lies beyond, by the closed form of the distribution.
    low, high : float
        Ends of the integration in k.
    min_density, k_min : float
        Least density per unit of k among the points looked at, and where.
    violations : tuple of (float, float)
        Intervals of k with a negative density, ascending.
    negative_mass : float
        Probability on these intervals, 0 or negative.
    exact : ButterflyReport or None
        The exact criterion, where the smile has raw SVI parameters.
    """

    curve: VarianceCurve
    mass: float
    mean: float
    mass_outside: float
    mean_outside: float
    low: float
    high: float
    min_density: float
    k_min: float
    violations: tuple[tuple[float, float], ...]
    negative_mass: float
    exact: ButterflyReport | None
    references = ("breeden1978", "gatheral2014")

    @property
    def verdict(self) -> str:
        """What is known of butterfly arbitrage: where, by which criterion, or only that none was seen."""
        if self.exact is not None and self.exact.free:
            return "free of butterfly arbitrage by the exact criterion for raw SVI"
        if self.violations:
            spans = ", ".join(f"({a:.4g}, {b:.4g})" for a, b in self.violations)
            return f"butterfly arbitrage: density negative at k in {spans}"
        if self.exact is not None:
            return f"butterfly arbitrage by the exact criterion for raw SVI: margin {self.exact.margin:.4g}"
        return "no negative density among the points looked at, which is not a proof"

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return the density of ln(S/F) per unit of log-moneyness; that of S at K is this over K."""
        return self.curve.density(np.asarray(k, dtype=np.float64))

    def cdf(self, k: npt.ArrayLike) -> FloatArray:
        """Return the probability that S is at most F·exp(k)."""
        return self.curve.cdf(np.asarray(k, dtype=np.float64))

    def check(self) -> None:
        """Raise PmkitError where mass or mean including the outside differ from 1 by more than 1e-6.

        It checks the integration, not the absence of arbitrage.
        """
        for what, value in (("mass", self.mass + self.mass_outside), ("mean", self.mean + self.mean_outside)):
            if abs(value - 1.0) > 1e-6:
                raise PmkitError(
                    f"{what} of the density is {value!r}",
                    "1 within 1e-6",
                    "the smile has kinks or jumps: give a smooth one",
                )

    def summary(self) -> pd.DataFrame:
        """Return one row: mass, mean, least density, negative mass, verdict."""
        row = {
            "tau": self.curve.tau,
            "mass": self.mass + self.mass_outside,
            "mean": self.mean + self.mean_outside,
            "min_density": self.min_density,
            "k_min": self.k_min,
            "negative_intervals": len(self.violations),
            "negative_mass": self.negative_mass,
            "derivatives": self.curve.source,
            "verdict": self.verdict,
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return 201 points within five at-the-money standard deviations: k, density, cdf."""
        k = self.curve.sd * np.linspace(-5.0, 5.0, 201)
        return pd.DataFrame({"k": k, "density": self.at(k), "cdf": self.cdf(k)})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density over k, negative parts filled, and return the axes."""
        axes = new_axes(ax)
        frame = self.to_frame()
        axes.plot(frame["k"], frame["density"], label="density of ln(S/F)")
        axes.fill_between(
            frame["k"], frame["density"], 0.0, where=(frame["density"] < 0.0).tolist(), label="negative"
        )
        axes.set_xlabel("k = ln(K/F)")
        axes.set_ylabel("density per unit of k")
        axes.legend()
        return axes


def implied_density(source: Any, tau: float | None = None, *, outside: str = "raise") -> ImpliedDensity:
    """Return the risk-neutral density per unit of log-moneyness that a smile implies, with its defects.

    Parameters
    ----------
    source : slice, VolSurface or callable
        As :func:`pmkit.surface.variance_curve`; smiles that are linear between quotes are refused.
    tau : float, optional
        Years of 365 days; needed for a surface.
    outside : {"raise", "warn", "extend"}
        What holds at a time beyond the last expiry of a surface.

    Returns
    -------
    ImpliedDensity

    Raises
    ------
    ParameterError
        A smile without a second derivative, a time that is not positive, a total variance that is not.
    DataGapError
        A time beyond the last expiry under ``"raise"``.

    Notes
    -----
    ``p(k) = g(k) exp(-d²/2)/sqrt(2 pi w)`` with ``d = -k/sqrt(w) - sqrt(w)/2``. Its integral is
    ``Phi(-d) + phi(d) w'/(2 sqrt(w))``, the slope of the put price in the strike, which runs from 0 to 1
    whenever the wings are admissible: a mass of 1 and a mean of F hold for negative densities as well. About
    10 ms.

    References
    ----------
    Breeden and Litzenberger (1978); Gatheral and Jacquier (2014), equation (2.2).

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> bad = implied_density(RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153))
    >>> round(bad.mass, 6), round(bad.mean, 6), bad.verdict
    (1.0, 1.0, 'butterfly arbitrage: density negative at k in (0.6424, 1.257)')
    """
    curve = variance_curve(source, tau, outside=outside)
    curve.require_smooth("the density")
    low, high = reach(curve)
    breaks = panels(curve, low, high)
    ends = np.array([low, high])
    below, share = curve.cdf(ends), curve.share_cdf(ends)
    points = around([0.0], [curve.sd])
    if curve.raw is not None:
        points = np.union1d(points, around([curve.raw.m, curve.raw.k_min], [curve.raw.sigma] * 2))
    points = points[(points >= low) & (points <= high)]
    k_min, least = lowest(curve.density, points)
    exact = butterfly(curve.raw) if curve.raw is not None else None
    if exact is not None:
        violations = exact.violations
    else:
        violations = negative_intervals(curve.g, np.union1d(points, [k_min]))
    inner = [(max(a, low), min(b, high)) for a, b in violations if a < high and b > low]
    return ImpliedDensity(
        curve=curve,
        mass=integrate(curve.density, breaks)[0],
        mean=integrate(lambda k: np.exp(k) * curve.density(k), breaks)[0],
        mass_outside=float(below[0] + 1.0 - below[1]),
        mean_outside=float(share[0] + 1.0 - share[1]),
        low=low,
        high=high,
        min_density=least,
        k_min=k_min,
        violations=violations,
        negative_mass=math.fsum(float(curve.cdf(np.array(b)) - curve.cdf(np.array(a))) for a, b in inner),
        exact=exact,
    )
