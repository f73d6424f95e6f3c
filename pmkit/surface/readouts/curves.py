"""One smile as a curve with its derivatives, whatever it came from: the common ground of the read-outs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number
from pmkit.surface.joint.essvi import EssviParameters, EssviSurface
from pmkit.surface.readouts.outside import check_outside, same_time
from pmkit.surface.sliced import SlicedSurface
from pmkit.surface.slices.smile import SmileSlice
from pmkit.surface.slices.svi import RawSvi

__all__ = ["VarianceCurve", "variance_curve"]

Curve = Callable[[FloatArray], FloatArray]

#: Step of the finite differences, in units of the distance sqrt(w(0) + k²).
_STEP = 0.005
_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, kw_only=True, repr=False)
class VarianceCurve:
    """Total variance of one time as a function of k = ln(K/F), with two derivatives.

    Attributes
    ----------
    w, dw, d2w : callable
        Total variance and its derivatives in k; arrays in, arrays out.
    tau : float
        Years of 365 days; NaN where the source does not know its time.
    source : str
        ``"formula"``, ``"finite differences"`` or ``"piecewise linear"``.
    raw : RawSvi or None
        The raw parameters, where the curve has them.
    kinks : ndarray or None
        Ascending k where the first derivative jumps, where they are known.
    """

    w: Curve
    dw: Curve
    d2w: Curve
    tau: float = math.nan
    source: str = "formula"
    raw: RawSvi | None = None
    kinks: FloatArray | None = None

    def __repr__(self) -> str:
        # functions would be shown by their addresses
        held = "" if self.raw is None else f", raw={self.raw!r}"
        return f"VarianceCurve(tau={self.tau:.8g}, source={self.source!r}{held})"

    @property
    def sd(self) -> float:
        """Total volatility at the money, sqrt(w(0))."""
        return math.sqrt(float(self.w(np.array(0.0))))

    def d(self, k: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return d+ and d- of Black's formula at log-moneyness ``k``."""
        root = np.sqrt(self.w(k))
        return np.asarray(-k / root + 0.5 * root), np.asarray(-k / root - 0.5 * root)

    def g(self, k: FloatArray) -> FloatArray:
        """Return Durrleman's function, the denominator of Dupire's formula in total variance."""
        w, slope = self.w(k), self.dw(k)
        return np.asarray(
            (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * self.d2w(k)
        )

    def density(self, k: FloatArray) -> FloatArray:
        """Return the density of ln(S/F) per unit of log-moneyness."""
        return np.asarray(self.g(k) * np.exp(-0.5 * self.d(k)[1] ** 2) / (_ROOT_TWO_PI * np.sqrt(self.w(k))))

    def cdf(self, k: FloatArray) -> FloatArray:
        """Return the probability that ln(S/F) is at most ``k``, the slope of the put price in the strike."""
        return self._below(k, self.d(k)[1])

    def share_cdf(self, k: FloatArray) -> FloatArray:
        """Return the part of the mean of S/F that comes from ln(S/F) at most ``k``."""
        return self._below(k, self.d(k)[0])

    def _below(self, k: FloatArray, d: FloatArray) -> FloatArray:
        from scipy.special import ndtr

        lift = np.exp(-0.5 * d * d) / _ROOT_TWO_PI * self.dw(k) / (2.0 * np.sqrt(self.w(k)))
        return np.asarray(ndtr(-d) + lift)

    def require_smooth(self, what: str) -> None:
        """Raise ParameterError where the curve has kinks and ``what`` needs its second derivative."""
        if self.source == "piecewise linear":
            raise ParameterError(
                f"{what} of a smile that is linear between its points",
                "a smile with a second derivative: its density is a sum of spikes at the points",
                "fit a smooth model (svi, ssvi, essvi) first",
            )


def _checked(function: Callable[[Any], Any]) -> Curve:
    """Return the function with a refusal of total variance that is not positive."""

    def w(k: FloatArray) -> FloatArray:
        values = np.asarray(function(k), dtype=np.float64)
        bad = ~(values > 0.0) & np.isfinite(k)
        if bad.any():
            place = np.argwhere(bad)[0]
            raise ParameterError(
                f"total variance is {float(values[tuple(place)]):g} at k = {float(k[tuple(place)]):g}",
                "a positive number at every k",
                "give a curve that is positive on the whole line",
            )
        return values

    return w


def _differences(w: Curve) -> tuple[Curve, Curve]:
    """Return the first and second derivative by five-point central differences."""
    sd_squared = float(w(np.array(0.0)))

    def around(k: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        h = _STEP * np.sqrt(sd_squared + k * k)
        return h, [w(np.asarray(k + i * h)) for i in (-2, -1, 0, 1, 2)]

    def first(k: FloatArray) -> FloatArray:
        h, (a, b, _, d, e) = around(k)
        return np.asarray((8.0 * (d - b) - (e - a)) / (12.0 * h))

    def second(k: FloatArray) -> FloatArray:
        h, (a, b, c, d, e) = around(k)
        return np.asarray((16.0 * (b + d) - (a + e) - 30.0 * c) / (12.0 * h * h))

    return first, second


def _from_raw(raw: RawSvi, tau: float) -> VarianceCurve:
    return VarianceCurve(w=_checked(raw.w), dw=raw.dw, d2w=raw.d2w, tau=tau, raw=raw)


def _from_points(one: SmileSlice) -> VarianceCurve:
    slopes = np.concatenate([[0.0], np.diff(one.w) / np.diff(one.k), [0.0]])

    def dw(k: FloatArray) -> FloatArray:
        return np.asarray(slopes[np.searchsorted(one.k, k, side="right")])

    return VarianceCurve(
        w=one.at, dw=dw, d2w=lambda k: np.zeros_like(k), tau=one.tau, source="piecewise linear", kinks=one.k
    )


def _from_function(function: Callable[[Any], Any], tau: float, kinked: bool = False) -> VarianceCurve:
    w = _checked(function)
    first, second = _differences(w)
    source = "piecewise linear" if kinked else "finite differences"
    return VarianceCurve(w=w, dw=first, d2w=second, tau=tau, source=source)


def _mixture(near: VarianceCurve, far: VarianceCurve, share: float, tau: float) -> VarianceCurve:
    def mix(one: Curve, two: Curve) -> Curve:
        return lambda k: np.asarray((1.0 - share) * one(k) + share * two(k))

    sources = [s for s in ("piecewise linear", "finite differences") if s in (near.source, far.source)]
    kinks = [one.kinks for one in (near, far) if one.kinks is not None]
    return VarianceCurve(
        w=mix(near.w, far.w), dw=mix(near.dw, far.dw), d2w=mix(near.d2w, far.d2w), tau=tau,
        source=sources[0] if sources else "formula",
        kinks=np.unique(np.concatenate(kinks)) if kinks else None,
    )  # fmt: skip


def _from_sliced(surface: SlicedSurface[Any], tau: float) -> VarianceCurve:
    taus = surface.taus
    upper = int(np.searchsorted(taus, tau))
    for near in (upper - 1, upper):
        if 0 <= near < taus.size and same_time(float(taus[near]), tau):
            return variance_curve(surface.slices[near])
    if isinstance(surface, EssviSurface):
        theta, rho, psi = (float(x) for x in surface.parameters_at(tau))
        return _from_raw(EssviParameters(theta=theta, rho=rho, psi=psi).raw(), tau)
    if type(surface)._at_one_time is not SlicedSurface._at_one_time:
        # the surface has an interpolation of its own
        kinked = getattr(surface, "kinked", False)
        return _from_function(lambda k: surface.w(k, tau, outside="extend"), tau, kinked)
    if upper in (0, taus.size):
        edge = variance_curve(surface.slices[0 if upper == 0 else -1])
        return _mixture(edge, edge, 0.0, tau) if edge.tau == tau else _scaled(edge, tau)
    first, second = (variance_curve(s) for s in surface.slices[upper - 1 : upper + 1])
    return _mixture(first, second, (tau - first.tau) / (second.tau - first.tau), tau)


def _scaled(edge: VarianceCurve, tau: float) -> VarianceCurve:
    factor = tau / edge.tau

    def scale(one: Curve) -> Curve:
        return lambda k: np.asarray(factor * one(k))

    return VarianceCurve(
        w=scale(edge.w), dw=scale(edge.dw), d2w=scale(edge.d2w), tau=tau, source=edge.source, kinks=edge.kinks
    )


def check_tau(tau: float | None) -> float:
    """Return the time in years as a float.

    Raises
    ------
    ParameterError
        It is missing, not finite or not positive.
    """
    value = math.nan if tau is None else as_number("tau in years", tau)
    if not (math.isfinite(value) and value > 0.0):
        raise ParameterError(
            f"tau is {tau!r}", "a positive, finite time in years of 365 days", "give tau=..."
        )
    return value


def variance_curve(source: Any, tau: float | None = None, *, outside: str = "raise") -> VarianceCurve:
    """Return total variance and its two derivatives in k of a slice, a surface at a time, or a function.

    Parameters
    ----------
    source : RawSvi, slice, VolSurface, VarianceCurve or callable
        Anything with raw parameters (``raw()``, ``to_raw()``, ``svi``), with ``w``, ``dw`` and ``d2w`` of k,
        or with ``at(k)``; a surface with ``w(k, tau)``; or a function of k. Derivatives are by formula where
        the source has one, else by central differences.
    tau : float, optional
        Years of 365 days, positive. A surface needs it; a slice has its own.
    outside : {"raise", "warn", "extend"}
        What holds at a time beyond the last expiry of a surface.

    Raises
    ------
    ParameterError
        A source without total variance, a time that is missing, not positive, or not that of the slice.
    DataGapError
        A time beyond the last expiry under ``"raise"``.

    Warns
    -----
    ExtrapolationWarning
        A time beyond the last expiry under ``"warn"``.

    Notes
    -----
    The differences use five points a distance ``0.005 sqrt(w(0) + k²)`` apart. Between two expiries of a
    surface that is linear in time the derivatives are mixed as ``w`` is; an eSSVI surface has parameters at
    every time.

    Examples
    --------
    >>> curve = variance_curve(RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1))
    >>> float(curve.dw(np.array(0.0)).round(6))
    -0.338885
    """
    if isinstance(source, VarianceCurve):
        return source
    own = getattr(source, "tau", None)
    time = check_tau(own if tau is None else tau) if (own is not None or tau is not None) else math.nan
    if own is not None and tau is not None and abs(time - float(own)) > 1e-12 * time:
        raise ParameterError(
            f"tau is {time:g} years, the slice is of {float(own):g} years",
            "the time of the slice",
            "leave tau out, or take the surface",
        )
    if isinstance(source, RawSvi):
        return _from_raw(source, time)
    if isinstance(source, SmileSlice):
        return _from_points(source)
    raw = getattr(source, "svi", None)
    for name in ("raw", "to_raw"):
        if raw is None and callable(getattr(source, name, None)):
            raw = getattr(source, name)()
    if isinstance(raw, RawSvi):
        return _from_raw(raw, time)
    if all(callable(getattr(source, name, None)) for name in ("w", "dw", "d2w")):
        return VarianceCurve(w=_checked(source.w), dw=source.dw, d2w=source.d2w, tau=time)
    if callable(getattr(source, "at", None)):
        return _from_function(source.at, time, getattr(source, "kinked", False))
    if callable(getattr(source, "w", None)):
        time = check_tau(tau)
        check_outside(source, np.array([time]), outside, stacklevel=4)
        if callable(getattr(source, "curve_at", None)):
            made: VarianceCurve = source.curve_at(time)
            return made
        if isinstance(source, SlicedSurface):
            return _from_sliced(source, time)
        return _from_function(lambda k: source.w(k, time), time)
    if callable(source):
        return _from_function(source, time)
    raise ParameterError(
        f"a source of type {type(source).__name__}",
        "a slice, a surface with w(k, tau), or a function of k",
        "give something that has total variance",
    )
