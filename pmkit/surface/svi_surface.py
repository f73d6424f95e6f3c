"""A surface of raw SVI slices, fitted expiry by expiry, with a report of every arbitrage it admits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy.typing as npt
import pandas as pd

from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.butterfly import ButterflyReport, butterfly
from pmkit.surface.calendar import CalendarReport, calendar
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.forwards import ForwardCurve
from pmkit.surface.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.svi import RawSvi
from pmkit.surface.svi_fit import fit_svi

__all__ = ["SviSlice", "SviSurface", "fit_svi_surface"]


@dataclass(frozen=True, kw_only=True)
class SviSlice(FittedSlice):
    """Raw SVI of one expiry with the quotes it was fitted to."""

    svi: RawSvi

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``, by the formula also beyond the quoted strikes."""
        return self.svi.w(k)


@dataclass(frozen=True, kw_only=True, repr=False)
class SviSurface(FittedSurface[SviSlice]):
    """Total variance of one underlying, one raw SVI slice an expiry; judge it by :meth:`arbitrage`.

    Each slice is fitted alone, so that neither butterfly nor calendar arbitrage is excluded. Beyond the
    quoted strikes the formula goes on, linear in total variance. Between expiries ``w`` is linear in tau at
    fixed k; before the first and after the last the implied vol at fixed k is flat.

    Attributes
    ----------
    slices : tuple of SviSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    left_out_status : mapping of Timestamp to str
        Their status: ``too_few_points`` or ``degenerate``.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")), model="svi")
    >>> round(float(surface.iv(63_000.0, 30 / 365)), 3)
    0.336
    """

    slices: tuple[SviSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    left_out_status: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    model: str = "svi"
    references = ("demarco2009", "gatheral2014", "lee2004", "martini2022")
    _least: ClassVar[str] = "five"

    def _butterfly(self, one: SviSlice) -> ButterflyReport:
        return butterfly(one.svi)

    def _calendar(self, near: SviSlice, far: SviSlice) -> CalendarReport:
        return calendar(near.svi, far.svi)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        parameters = [(s.svi.a, s.svi.b, s.svi.rho, s.svi.m, s.svi.sigma) for s in self.slices]
        return fingerprint(self.model, self.taus, parameters)


def fit_svi_surface(
    quotes: Sequence[SliceQuotes], curve: ForwardCurve, left_out: LeftOut, *, starts: int = 6
) -> SviSurface:
    """Return the surface of raw SVI slices, each fitted alone; see :func:`fit_svi`."""
    slices, out = [], dict(left_out)
    for one in quotes:
        fitted = fit_svi(one.k, one.w, one.error, w_bid=one.w_bid, w_ask=one.w_ask, starts=starts)
        if fitted.usable and fitted.svi is not None:
            slices.append(SviSlice(quotes=one, svi=fitted.svi, fit=fitted))
        else:
            out[one.expiry] = (fitted.status, fitted.detail)
    return SviSurface(
        slices=tuple(slices),
        curve=curve,
        left_out={e: why for e, (_, why) in out.items()},
        left_out_status={e: status for e, (status, _) in out.items()},
    )
