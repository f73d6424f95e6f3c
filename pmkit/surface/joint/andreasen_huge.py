"""A control surface by Andreasen and Huge: one implicit step per expiry, free of static arbitrage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.calendar import CalendarReport
from pmkit.surface.arbitrage.numeric_arbitrage import NumericButterfly, arbitrage_frame
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.implicit_step import grid_variance, implicit_step, kink_of_payoff, spread_operator
from pmkit.surface.joint.priced import PricedSurface
from pmkit.surface.readouts.outside import same_time
from pmkit.surface.slices.smile import QuotedSlice

__all__ = ["AndreasenHugeSlice", "AndreasenHugeSurface", "Shape"]

Shape = Literal["linear", "constant"]

#: Rounding that a price gathers over the steps, in shares of the forward.
_ROUNDING = 1e-13


@dataclass(frozen=True, kw_only=True)
class AndreasenHugeSlice(QuotedSlice):
    """One expiry of the surface.

    Attributes
    ----------
    quotes : SmileSlice
        The points that it was fitted to.
    m : ndarray, shape (nodes,)
        Grid of K/F.
    value : ndarray, shape (nodes,)
        Undiscounted out-of-the-money price over the forward.
    local_variance : ndarray, shape (nodes,)
        Of the step that ends at this expiry, per year.
    error : ndarray, shape (points,)
        Fitted less quoted implied vol, decimal.
    status : str
        ``"ok"``, ``"at_bound"`` (a local variance at its limit) or ``"not_converged"``.
    """

    m: FloatArray
    value: FloatArray
    local_variance: FloatArray
    error: FloatArray
    status: str
    #: Prices are linear in the strike between the nodes.
    kinked: ClassVar[bool] = True

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``; NaN beyond the grid."""
        return grid_variance(self.m, self.value, np.asarray(k, dtype=np.float64))


@dataclass(frozen=True, kw_only=True, repr=False)
class AndreasenHugeSurface(PricedSurface[AndreasenHugeSlice]):
    """Prices without static arbitrage through the quotes, as far as one step per expiry can follow them.

    A control, not a model of the smile: prices on the grid are convex in the strike and rise in time at fixed
    K/F; between the nodes they are linear in the strike, so that density and local vol by differentiation do
    not exist (use :meth:`local_vol`). Before the first and after the last expiry the step of that expiry is
    shortened or lengthened.

    Attributes
    ----------
    slices : tuple of AndreasenHugeSlice
    curve : ForwardCurve
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    shape : {"linear", "constant"}
        Local variance between quoted strikes.
    """

    slices: tuple[AndreasenHugeSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    shape: Shape = "linear"
    model: str = "andreasen-huge"
    references = ("andreasen2010",)
    kinked: ClassVar[bool] = True

    def _value_at(self, tau: float) -> FloatArray:
        """Return time values on the grid at a time: one step from the expiry before."""
        upper = min(int(np.searchsorted(self.taus, tau * (1.0 - 1e-12))), self.taus.size - 1)
        one = self.slices[upper]
        if same_time(one.tau, tau):
            return one.value
        start, before = (
            (0.0, np.zeros(one.m.size))
            if upper == 0
            else (self.taus[upper - 1], self.slices[upper - 1].value)
        )
        rows = spread_operator(one.m)
        half = 0.5 * (tau - start) * one.local_variance
        return implicit_step(rows, half, before + half * kink_of_payoff(one.m, rows))

    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        if math.isnan(tau):
            return np.full(k.shape, math.nan)
        if tau == 0.0:
            return np.where(np.isnan(k), math.nan, 0.0)
        return grid_variance(self.slices[0].m, self._value_at(tau), k)

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        out = np.full(years.shape, math.nan)
        for one in np.unique(years[np.isfinite(years)]):
            chosen = years == one
            out[chosen] = self._at_one_time(k[chosen], float(one))
        return out

    def local_vol(self, k: npt.ArrayLike, tau: float) -> FloatArray:
        """Return the annualised local vol (decimal) of the step that reaches ``tau``, at log-moneyness ``k``.

        Raises
        ------
        ParameterError
            A time that is not positive.
        """
        if not tau > 0.0:
            raise ParameterError(f"tau is {tau!r} years", "a positive time", "correct the argument")
        upper = min(int(np.searchsorted(self.taus, tau * (1.0 - 1e-12))), self.taus.size - 1)
        one = self.slices[upper]
        return np.sqrt(np.interp(np.asarray(k, dtype=np.float64), np.log(one.m), one.local_variance))

    def arbitrage(self) -> pd.DataFrame:
        """Return the static arbitrage that each slice admits, one row per expiry.

        Prices are linear in the strike between the nodes, so that those of the nodes decide. The density is
        0 between them, hence ``min_g`` 0; it is minus infinity at a node where the slope of prices falls.
        Beyond the grid there is no number: slopes are 0 and limits NaN.

        Returns
        -------
        DataFrame
            As :func:`pmkit.surface.arbitrage_frame`; ``butterfly_margin`` is NaN.
        """
        reports: list[tuple[NumericButterfly, CalendarReport | None]] = []
        before = None
        for one in self.slices:
            rise = None if before is None else _risen(one, before)
            reports.append((_convex(one), rise))
            before = one
        return arbitrage_frame((one.expiry for one in self.slices), reports)

    def check(self) -> None:
        """Raise PmkitError where prices on the grid are not convex in the strike or fall in time."""
        m = self.slices[0].m
        before = np.zeros(m.size)
        for one in self.slices:
            call = one.value + np.maximum(1.0 - m, 0.0)
            slopes = np.diff(call) / np.diff(m)
            if (np.diff(slopes) < -1e-9).any() or slopes[0] < -1.0 - 1e-9 or slopes[-1] > 1e-9:
                raise PmkitError(f"calls of {one.expiry.date()} are not convex", "convex prices", "refit")
            if (one.value < before - 1e-10).any():
                raise PmkitError(
                    f"calls of {one.expiry.date()} are below the expiry before", "a rise", "refit"
                )
            before = one.value

    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: status, points, largest and mean absolute error in vol, range of k."""
        rows: dict[pd.Timestamp, dict[str, Any]] = {
            s.expiry: {
                "status": s.status,
                "points": s.error.size,
                "max_error": float(np.abs(s.error).max()),
                "mean_error": float(np.abs(s.error).mean()),
                "k_low": float(np.log(s.m[0])),
                "k_high": float(np.log(s.m[-1])),
                "outside": "no number beyond the grid",
            }
            for s in self.slices
        }
        rows |= {e: {"status": "too_few_points", "outside": why} for e, why in self.left_out.items()}
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every price."""
        return fingerprint(self.model, self.shape, self.taus, [s.value.tolist() for s in self.slices])

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, points, ATM vol, status, largest and mean error."""
        rows = {
            s.expiry.strftime("%Y-%m-%d"): {
                "tau": s.tau,
                "forward": s.forward,
                "points": s.error.size,
                "atm_iv": math.sqrt(float(s.at(0.0)) / s.tau),
                "status": s.status,
                "max_error": float(np.abs(s.error).max()),
                "mean_error": float(np.abs(s.error).mean()),
            }
            for s in self.slices
        }
        return pd.DataFrame.from_dict(rows, orient="index")


def _convex(one: AndreasenHugeSlice) -> NumericButterfly:
    """Return the nodes at which calls are not convex in the strike, by more than rounding."""
    m, k = one.m, np.log(one.m)
    h = np.diff(m)
    slopes = np.diff(one.value + np.maximum(1.0 - m, 0.0)) / h
    bends = np.diff(slopes) + _ROUNDING * (1.0 / h[1:] + 1.0 / h[:-1])
    found = k[1:-1][bends < 0.0]
    return NumericButterfly(
        min_g=-math.inf if found.size else 0.0,
        k_min_g=float(k[1:-1][int(np.argmin(bends))]),
        violations=tuple((float(at), float(at)) for at in found),
        slopes=(0.0, 0.0),
        limits=(math.nan, math.nan),
    )


def _risen(one: AndreasenHugeSlice, before: AndreasenHugeSlice) -> CalendarReport:
    """Return the nodes at which prices are below those of the expiry before, by more than rounding."""
    k = np.log(one.m)
    falls = one.value < before.value - _ROUNDING
    grown = one.at(k) - before.at(k)
    # a fall of prices by rounding is none of variance
    grown = np.where(falls, grown, np.maximum(grown, 0.0))
    place = int(np.nanargmin(grown))
    return CalendarReport(
        min_dw=float(grown[place]),
        k_min_dw=float(k[place]),
        slopes=(0.0, 0.0),
        violations=tuple((float(at), float(at)) for at in k[falls]),
    )
