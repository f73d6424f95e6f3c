"""eSSVI and a spline: call prices that follow every quote, convex in the strike and ordered in time.

An eSSVI surface has no static arbitrage but three numbers an expiry, too few for a smile of fifty quotes. To
its undiscounted call prices a cubic spline in k = ln(K/F) is added that vanishes beyond the quotes: there the
wings are exactly those of eSSVI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.pricing import black76, implied_vol
from pmkit.surface.arbitrage.butterfly import density as raw_density
from pmkit.surface.arbitrage.numeric_arbitrage import (
    WholeLine,
)
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.joint.essvi import EssviParameters
from pmkit.surface.joint.spline_basis import SplineBasis

__all__ = [
    "EssviSplineSlice",
    "EssviSplineSurface",
    "corrected_variance",
    "otm_value",
    "variance_vega",
]


def otm_value(k: FloatArray, w: FloatArray) -> FloatArray:
    """Return the undiscounted out-of-the-money option over the forward at total variance ``w``."""
    return np.asarray(black76(1.0, np.exp(k), 1.0, np.sqrt(w), is_call=k > 0.0))


def variance_vega(k: FloatArray, w: FloatArray) -> FloatArray:
    """Return the derivative of :func:`otm_value` in total variance."""
    root = np.sqrt(w)
    d1 = -k / root + 0.5 * root
    return np.asarray(np.exp(-0.5 * d1 * d1) / (math.sqrt(8.0 * math.pi) * root))


def corrected_variance(
    k: npt.ArrayLike, parameters: EssviParameters, basis: SplineBasis, weights: FloatArray
) -> FloatArray:
    """Return the total variance of SSVI prices plus a spline; beyond its knots that of SSVI."""
    x = np.asarray(k, dtype=np.float64)
    w = np.array(parameters.at(x))
    inside = basis.covers(x)
    near = x[inside]
    value = otm_value(near, w[inside]) + basis.at(near, weights)
    sd = np.asarray(implied_vol(value, 1.0, np.exp(near), 1.0, is_call=near > 0.0))
    w[inside] = sd * sd
    return w


@dataclass(frozen=True, kw_only=True)
class EssviSplineSlice(FittedSlice):
    """One expiry: call prices of an SSVI slice plus a cubic spline.

    Attributes
    ----------
    parameters : EssviParameters
        The slice below the spline, and the wings beyond its knots.
    basis : SplineBasis
        Knots in k = ln(K/F).
    weights : ndarray, shape (functions,)
        Of the functions of the basis, in undiscounted price over the forward.
    """

    parameters: EssviParameters
    basis: SplineBasis
    weights: FloatArray

    def __post_init__(self) -> None:
        self.weights.flags.writeable = False

    def price_correction(self, k: npt.ArrayLike, derivative: int = 0) -> FloatArray:
        """Return the spline, undiscounted price over the forward, or its first or second derivative in k."""
        return self.basis.at(np.asarray(k, dtype=np.float64), self.weights, derivative)

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``; beyond the knots that of the SSVI slice, NaN gives NaN."""
        return corrected_variance(k, self.parameters, self.basis, self.weights)

    def dw(self, k: npt.ArrayLike) -> FloatArray:
        """Return the first derivative of total variance in ``k``."""
        return self.with_derivatives(k)[1]

    def d2w(self, k: npt.ArrayLike) -> FloatArray:
        """Return the second derivative of total variance in ``k``, continuous."""
        return self.with_derivatives(k)[2]

    def with_derivatives(self, k: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return total variance at ``k`` and its first two derivatives, cheaper than one after another.

        Notes
        -----
        The first from ``dC/dk = -e^k N(d2) + w' dB/dw`` of the call price C at its own and at the SSVI
        variance, the second from Durrleman's g, which is the density over ``exp(-d2²/2)/sqrt(2 pi w)``.
        """
        x = np.asarray(k, dtype=np.float64)
        value, (below, first, second) = self.at(x), map(np.array, self.parameters.raw().with_derivatives(x))
        inside = self.basis.covers(x)
        near, w, under = x[inside], value[inside], below[inside]
        # the tail that is small, so that far wings keep their digits
        side = np.where(near > 0.0, 1.0, -1.0)
        tails = [side * ndtr(side * (-near / np.sqrt(v) - 0.5 * np.sqrt(v))) for v in (w, under)]
        slope = np.exp(near) * (tails[0] - tails[1]) + self.price_correction(near, 1)
        slope = (slope + variance_vega(near, under) * first[inside]) / variance_vega(near, w)
        d2 = -near / np.sqrt(w) - 0.5 * np.sqrt(w)
        g = self.density(near) * np.sqrt(2.0 * math.pi * w) * np.exp(0.5 * d2 * d2)
        rest = (1.0 - 0.5 * near * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25)
        first[inside], second[inside] = slope, 2.0 * (g - rest)
        return value, first, second

    def density(self, k: npt.ArrayLike) -> FloatArray:
        """Return the density of ln(S/F) at ``k``: that of the SSVI slice and what the spline adds."""
        x = np.asarray(k, dtype=np.float64)
        added = (self.price_correction(x, 2) - self.price_correction(x, 1)) * np.exp(-x)
        return np.asarray(raw_density(self.parameters.raw(), x) + added)

    def whole_line(self) -> WholeLine:
        """Return total variance with its derivatives, knots and wings."""
        raw = self.parameters.raw()
        (left, right), m, a = raw.slopes, raw.m, raw.a
        return WholeLine(
            at=self.at, dw=self.dw, d2w=self.d2w, knots=self.basis.knots,
            wings=((left, a + left * m), (right, a - right * m)), together=self.with_derivatives,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class EssviSplineSurface(FittedSurface[EssviSplineSlice]):
    """Total variance that follows its quotes and has no static arbitrage at its expiries, on the whole line.

    Between expiries ``w`` is linear in tau at fixed k, which keeps the order in time but not always convexity
    in the strike; before the first and after the last the implied vol at fixed k is flat. Beyond the knots,
    some fifteen standard deviations past the quotes, smiles are those of eSSVI.

    Attributes
    ----------
    slices : tuple of EssviSplineSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status.
    smoothing : float
        Weight of the curvature of the correction.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="essvi-spline")
    >>> bool(surface.arbitrage()["free"].all()), round(float(surface.iv(63_000.0, 30 / 365)), 3)
    (True, 0.336)
    """

    smoothing: float = 1e-3
    model: str = "essvi-spline"
    references = ("fengler2009", "gatheral2014", "mehrotra1992", "mingone2022")
    _least: ClassVar[str] = "four"
    _outside = "total variance of the eSSVI slice beyond the knots, which reach past the quoted strikes"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter and weight."""
        values = [
            (
                s.parameters.theta,
                s.parameters.rho,
                s.parameters.psi,
                s.basis.knots.tolist(),
                s.weights.tolist(),
            )
            for s in self.slices
        ]
        return fingerprint(self.model, self.taus, values)
