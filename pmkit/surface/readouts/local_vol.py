"""Local volatility of a surface by Dupire's formula in total variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.readouts.curves import variance_curve
from pmkit.surface.readouts.outside import check_outside, last_tau
from pmkit.surface.sliced import SlicedSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LocalVol", "local_vol"]

#: Step in time of the one-sided difference, relative to the time itself.
_STEP = 1e-4


@dataclass(frozen=True, kw_only=True, repr=False)
class LocalVol(Result):
    """Local volatility at points (k, tau) with the two parts of Dupire's quotient.

    Attributes
    ----------
    k, tau : ndarray
        ln(K/F) and years of 365 days.
    vol : ndarray
        Annualised decimal; NaN where the status is not ``"ok"``.
    dw_dtau : ndarray
        Derivative of total variance in time at fixed k, per year.
    g : ndarray
        Durrleman's function.
    status : ndarray of str
        ``"ok"``, ``"calendar"`` (total variance falls in time), ``"butterfly"`` (g not positive) or
        ``"missing"`` (an input is NaN).
    """

    k: FloatArray
    tau: FloatArray
    vol: FloatArray
    dw_dtau: FloatArray
    g: FloatArray
    status: npt.NDArray[np.str_]
    references = ("dupire1994", "gatheral2014")

    @property
    def bad(self) -> int:
        """Number of points without a local volatility."""
        return int((self.status != "ok").sum())

    def raise_if_bad(self) -> LocalVol:
        """Return the result itself.

        Raises
        ------
        ParameterError
            A point has no local volatility.
        """
        if self.bad:
            first = self.to_frame().query("status != 'ok'").iloc[0]
            raise ParameterError(
                f"{self.bad} point(s) without local vol, the first at k = {first['k']:g}, "
                f"tau = {first['tau']:g} years: {first['status']}",
                "total variance that rises in time with g above 0",
                "take an arbitrage-free surface (essvi), or another point",
            )
        return self

    def check(self) -> None:
        """Raise PmkitError where vol² g differs from the derivative in time at a good point."""
        good = self.status == "ok"
        gap = np.abs(self.vol[good] ** 2 * self.g[good] - self.dw_dtau[good])
        if (gap > 1e-12 * np.abs(self.dw_dtau[good]) + 1e-300).any():
            raise PmkitError("vol² g differs from dw/dtau", "equality", "recompute")

    def summary(self) -> pd.DataFrame:
        """Return one row: points, least and greatest local vol, points by defect."""
        good = self.vol[self.status == "ok"]
        return pd.DataFrame(
            [
                {
                    "points": self.vol.size,
                    "min_vol": float(good.min()) if good.size else np.nan,
                    "max_vol": float(good.max()) if good.size else np.nan,
                    **{s: int((self.status == s).sum()) for s in ("calendar", "butterfly", "missing")},
                }
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per point: k, tau, vol, dw_dtau, g, status."""
        names = ("k", "tau", "vol", "dw_dtau", "g", "status")
        return pd.DataFrame({n: getattr(self, n).ravel() for n in names})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw local vol over k, one line a time, with gaps where there is none, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        for tau, rows in self.to_frame().sort_values("k", kind="stable").groupby("tau"):
            axes.plot(rows["k"], rows["vol"], marker=".", label=f"{float(str(tau)):.4g} years")
        axes.set_xlabel("k = ln(K/F)")
        axes.set_ylabel("local vol")
        axes.legend(frameon=False, fontsize="small")
        return axes


def local_vol(surface: Any, k: npt.ArrayLike, tau: npt.ArrayLike, *, outside: str = "raise") -> LocalVol:
    """Return annualised local volatility (decimal) at log-moneyness ``k`` and times in years.

    Parameters
    ----------
    surface : VolSurface
        Anything with ``w(k, tau)``; a surface that is linear between quotes is refused.
    k, tau : array_like
        ln(K/F), and years of 365 days above 0; they broadcast. NaN gives NaN and the status ``"missing"``.
    outside : {"raise", "warn", "extend"}
        What holds at a time beyond the last expiry.

    Returns
    -------
    LocalVol

    Raises
    ------
    ParameterError
        No ``w(k, tau)``; a time that is not positive; shapes that do not broadcast; a smile with kinks.
    DataGapError
        A time beyond the last expiry under ``"raise"``.

    Notes
    -----
    ``vol² = (dw/dtau)/g`` with both at fixed k = ln(K/F), K relative to the forward of its own expiry. The
    derivative in time is from the right (where ``w`` is piecewise linear in time it jumps at an expiry) by
    ``(-3 w(t) + 4 w(t + h) - w(t + 2h))/(2h)``; at the last expiry it is from the left. That makes local
    variance constant in time between two expiries up to the change of ``g``. About 1 ms for each distinct
    time.

    References
    ----------
    Dupire (1994); Gatheral and Jacquier (2014), section 2.

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> class Flat:
    ...     model = "flat"
    ...     def w(self, k, tau): return 0.36 * tau + 0.0 * k
    >>> local_vol(Flat(), [-0.1, 0.0, 0.2], 0.5).vol.round(6)
    array([0.6, 0.6, 0.6])
    """
    w: Callable[[Any, Any], Any] | None = getattr(surface, "w", None)
    if not callable(w) or callable(getattr(surface, "d2w", None)):
        raise ParameterError(
            f"a surface of type {type(surface).__name__}",
            "a surface with w(k, tau): one expiry alone has no derivative in time",
            "fit a surface of several expiries",
        )
    moneyness, years = np.asarray(k, dtype=np.float64), np.asarray(tau, dtype=np.float64)
    if (years <= 0.0).any():
        raise ParameterError(
            f"tau is {float(np.nanmin(years)):g} years", "a positive time", "drop what has expired"
        )
    try:
        moneyness, years = np.broadcast_arrays(moneyness, years)
    except ValueError:
        raise ParameterError(
            f"shapes {moneyness.shape} of k and {years.shape} of tau",
            "shapes that broadcast",
            "add an axis, for example k[:, None]",
        ) from None
    check_outside(surface, years, outside, stacklevel=3)
    if isinstance(surface, SlicedSurface):
        w = partial(surface.w, outside="extend")
    slope, g = np.full(years.shape, np.nan), np.full(years.shape, np.nan)
    for one in np.unique(years[np.isfinite(years)]):
        chosen = (years == one) & np.isfinite(moneyness)
        curve = variance_curve(surface, float(one), outside="extend")
        curve.require_smooth("the local vol")
        slope[chosen] = _slope(surface, w, moneyness[chosen], float(one))
        g[chosen] = curve.g(moneyness[chosen])
    status = np.where(slope < 0.0, "calendar", np.where(g <= 0.0, "butterfly", "ok"))
    status = np.where(np.isnan(slope) | np.isnan(g), "missing", status)
    good = status == "ok"
    vol = np.sqrt(np.divide(slope, g, out=np.full(years.shape, np.nan), where=good))
    return LocalVol(k=moneyness, tau=years, vol=vol, dw_dtau=slope, g=g, status=status)


def _slope(surface: Any, w: Callable[[Any, Any], Any], k: FloatArray, tau: float) -> FloatArray:
    """Return the derivative of total variance in time from the right; from the left at the last expiry."""
    h = _STEP * tau
    taus = getattr(surface, "taus", None)
    if taus is not None and np.size(taus):
        ahead = np.asarray(taus)[np.asarray(taus) > tau * (1.0 + 1e-9)]
        if ahead.size:
            # stay on this side of the next expiry, where the derivative jumps
            h = min(h, 0.5 * (float(ahead[0]) - tau))
        elif abs(last_tau(surface) - tau) <= 1e-9 * tau:
            behind = np.asarray(taus)[:-1]
            h = -min(h, 0.5 * (tau - float(behind[-1])) if behind.size else h)
    return np.asarray((-3.0 * w(k, tau) + 4.0 * w(k, tau + h) - w(k, tau + 2.0 * h)) / (2.0 * h))
