"""The interpolated baseline: total variance by monotone cubics through every quote, linear in the wings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.numeric_arbitrage import (
    WholeLine,
)
from pmkit.surface.arbitrage.wing_findings import LEE_BOUND
from pmkit.surface.arguments import require
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.slices.slice_fit import judge

if TYPE_CHECKING:
    from scipy.interpolate import CubicHermiteSpline

__all__ = ["PCHIP_MIN_POINTS", "PchipSlice", "PchipSurface", "fit_pchip", "fit_pchip_surface"]

PCHIP_MIN_POINTS = 3
#: Just inside the moment bound, because a call wing of slope 2 leaves value at infinite strikes.
_STEEPEST = LEE_BOUND * (1.0 - 1e-9)


@dataclass(frozen=True, kw_only=True)
class PchipSlice(FittedSlice):
    """Monotone cubics through the quotes of one expiry, joined to straight wings without a kink.

    Attributes
    ----------
    slopes : ndarray, shape (points,)
        Slope of total variance at each quote; at the outermost two it is that of the wing.
    """

    slopes: FloatArray

    @cached_property
    def _spline(self) -> CubicHermiteSpline:
        from scipy.interpolate import CubicHermiteSpline

        return CubicHermiteSpline(self.quotes.k, self.quotes.w, self.slopes)

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``; beyond the quotes it is linear in k, NaN gives NaN."""
        x = np.asarray(k, dtype=np.float64)
        inside = np.clip(x, self.quotes.k[0], self.quotes.k[-1])
        return np.asarray(self._spline(inside) + self._outer_slope(x) * (x - inside))

    def _outer_slope(self, k: FloatArray) -> FloatArray:
        return np.asarray(np.where(k < self.quotes.k[0], self.slopes[0], self.slopes[-1]))

    def _inside(self, k: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray((k >= self.quotes.k[0]) & (k <= self.quotes.k[-1]))

    def dw(self, k: npt.ArrayLike) -> FloatArray:
        """Return the first derivative of total variance in ``k``, continuous."""
        x = np.asarray(k, dtype=np.float64)
        return np.where(self._inside(x), self._spline(x, 1), self._outer_slope(x))

    def d2w(self, k: npt.ArrayLike) -> FloatArray:
        """Return the second derivative of total variance in ``k``; it jumps at the quotes."""
        x = np.asarray(k, dtype=np.float64)
        return np.where(self._inside(x), self._spline(x, 2), 0.0)

    def whole_line(self) -> WholeLine:
        """Return total variance with its derivatives, knots and wings."""
        (k_low, k_high), (w_low, w_high) = self.quotes.k[[0, -1]], self.quotes.w[[0, -1]]
        left, right = -float(self.slopes[0]), float(self.slopes[-1])
        wings = (left, float(w_low + left * k_low)), (right, float(w_high - right * k_high))
        return WholeLine(at=self.at, dw=self.dw, d2w=self.d2w, knots=self.quotes.k, wings=wings)


def fit_pchip(quotes: SliceQuotes) -> PchipSlice:
    """Return monotone cubics in total variance through every quote of an expiry.

    Parameters
    ----------
    quotes : SliceQuotes
        At least three points.

    Returns
    -------
    PchipSlice
        Its status is ``at_bound`` where the quotes would send a wing downwards or above slope 2.

    Raises
    ------
    ParameterError
        Fewer than three points, or no quotes of a slice.

    Notes
    -----
    Slopes inside by Fritsch and Butland's weighted harmonic mean; the outermost slope is held between 0 and
    2 away from the money before the cubics are drawn, so that value and slope are continuous where a wing
    begins. Wings are linear in total variance.

    References
    ----------
    Fritsch and Butland (1984); Lee (2004).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")), model="essvi")
    >>> one = fit_pchip(surface.slices[4].quotes)
    >>> one.fit.status, one.fit.inside
    ('ok', 1.0)
    """
    from scipy.interpolate import PchipInterpolator

    require("quotes", quotes, SliceQuotes, "take those of a slice: surface.slices[0].quotes")
    if quotes.k.size < PCHIP_MIN_POINTS:
        raise ParameterError(
            f"{quotes.k.size} points of {quotes.expiry.date()}",
            f"at least {PCHIP_MIN_POINTS}",
            "take an expiry with more quotes",
        )
    k, w = quotes.k, quotes.w
    slopes = np.array(PchipInterpolator(k, w).derivative()(k))
    held = []
    for name, place, low, high in (("left", 0, -_STEEPEST, 0.0), ("right", -1, 0.0, _STEEPEST)):
        inside = min(max(float(slopes[place]), low), high)
        if inside != slopes[place]:
            kind = "flat, the quotes fall outwards" if inside == 0.0 else "at slope 2 of the moment bound"
            held.append(f"the {name} wing is held {kind}")
        slopes[place] = inside
    slopes.flags.writeable = False
    return PchipSlice(quotes=quotes, fit=judge(quotes, w, k.size, bounds="; ".join(held)), slopes=slopes)


@dataclass(frozen=True, kw_only=True, repr=False)
class PchipSurface(FittedSurface[PchipSlice]):
    """Total variance of one underlying, monotone cubics through the quotes of each expiry: a baseline.

    It passes through its quotes exactly, noise included, and admits whatever arbitrage they do: use it to
    judge what a fitted model gives up. Beyond the quoted strikes total variance is linear in k with the slope
    at the last quote, held between 0 and 2. Between expiries ``w`` is linear in tau at fixed k; before the
    first and after the last the implied vol at fixed k is flat.

    Attributes
    ----------
    slices : tuple of PchipSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="pchip")
    >>> round(float(surface.iv(63_000.0, 30 / 365)), 3)
    0.336
    """

    model: str = "pchip"
    references = ("fritsch1984", "lee2004")
    _outside = "total variance linear in k beyond the quoted strikes, slope at most 2, without a kink"
    _least: ClassVar[str] = "three"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every point."""
        points = [(s.quotes.k.tolist(), s.quotes.w.tolist()) for s in self.slices]
        return fingerprint(self.model, self.taus, points)


def fit_pchip_surface(quotes: Sequence[SliceQuotes], curve: ForwardCurve, left_out: LeftOut) -> PchipSurface:
    """Return the surface of monotone cubics through the quotes of each expiry; see :func:`fit_pchip`."""
    return PchipSurface(
        slices=tuple(fit_pchip(one) for one in quotes),
        curve=curve,
        left_out={e: why for e, (_, why) in left_out.items()},
        left_out_status={e: status for e, (status, _) in left_out.items()},
    )
