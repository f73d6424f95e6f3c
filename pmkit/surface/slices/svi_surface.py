"""A surface of raw SVI slices, fitted expiry by expiry, with a report of every arbitrage it admits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import ButterflyReport, butterfly
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.fitted import FittedSlice, FittedSurface
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.slices.svi import RawSvi
from pmkit.surface.slices.svi_fit import STARTS, SviFit, fit_svi

__all__ = ["SviSlice", "SviSurface", "fit_free_svi_surface", "fit_svi_surface"]

#: How far chi² of a slice between its neighbours may exceed that of the slice alone before one is moved.
_CROWDED = 1.5


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

    Slices of the model ``"svi"`` are fitted alone, and neither butterfly nor calendar arbitrage is excluded;
    those of ``"svi-free"`` admit neither, nowhere on the line. Beyond the quoted strikes the formula goes on,
    linear in total variance. Between expiries ``w`` is linear in tau at fixed k; before the first and after
    the last the implied vol at fixed k is flat.

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

    model: str = "svi"
    references = ("demarco2009", "gatheral2014", "kaufman1975", "lee2004", "martini2022")
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
    quotes: Sequence[SliceQuotes], curve: ForwardCurve, left_out: LeftOut, *, starts: int = STARTS
) -> SviSurface:
    """Return the surface of raw SVI slices, each fitted alone; see :func:`fit_svi`."""
    fits = [
        fit_svi(one.k, one.w, one.error, w_bid=one.w_bid, w_ask=one.w_ask, starts=starts) for one in quotes
    ]
    return _surface("svi", quotes, fits, curve, left_out)


def fit_free_svi_surface(
    quotes: Sequence[SliceQuotes],
    curve: ForwardCurve,
    left_out: LeftOut,
    *,
    starts: int = STARTS,
    calendar: Literal["free", "report"] = "free",
) -> SviSurface:
    """Return the surface of raw SVI slices without butterfly arbitrage and, unless only reported, in order.

    The expiry whose quotes say most (sum of squared total variances over their error bars) is fitted first,
    each later one between its neighbours in time that are there already: where mids of two expiries
    contradict each other, the better quoted one is believed. A slice that is left no room may then push a
    neighbour aside where chi² of the two falls. See :func:`fit_svi`.
    """
    if calendar not in ("free", "report"):
        raise ParameterError(f"calendar is {calendar!r}", "'free' or 'report'", "correct the argument")
    order = _Ordered(quotes, starts, free=calendar == "free")
    for i in order.by_information():
        order.place(i)
    order.ease()
    return _surface("svi-free", quotes, [order.fits[i] for i in range(len(quotes))], curve, left_out)


class _Ordered:
    """Slices of one surface, each fitted between those that are there already."""

    def __init__(self, quotes: Sequence[SliceQuotes], starts: int, free: bool) -> None:
        self.quotes, self.starts, self.free = quotes, starts, free
        self.fits: dict[int, SviFit] = {}

    def by_information(self) -> list[int]:
        said = [math.fsum((one.w / one.error) ** 2) for one in self.quotes]
        return sorted(range(len(self.quotes)), key=lambda i: -said[i])

    def fitted(self, i: int, *, without: int | None = None, ceiling: float = math.inf) -> SviFit:
        """Return the fit of a slice between its neighbours, one of them left out where asked for."""
        placed = [j for j, fit in self.fits.items() if fit.usable and j not in (i, without)]
        early = max((j for j in placed if self.free and j < i), default=None)
        late = min((j for j in placed if self.free and j > i), default=None)
        one = self.quotes[i]
        return fit_svi(
            one.k, one.w, one.error, w_bid=one.w_bid, w_ask=one.w_ask, starts=self.starts, butterfly="free",
            between=(None if early is None else self.fits[early].svi,
                     None if late is None else self.fits[late].svi),
            ceiling=ceiling,
        )  # fmt: skip

    def alone(self, i: int) -> float:
        """Return chi² of a slice that nothing holds."""
        one = self.quotes[i]
        return fit_svi(one.k, one.w, one.error, starts=self.starts).chi2

    def place(self, i: int) -> None:
        self.fits[i] = self.fitted(i)

    def ease(self) -> None:
        """Let a slice that its neighbours leave no room push one of them aside, where both gain by it."""
        if not self.free:
            return
        for i in reversed(self.by_information()):
            alone = self.alone(i)
            for j in (i - 1, i + 1):
                now = self.fits[i]
                if j not in self.fits or (now.usable and now.chi2 <= _CROWDED * alone + 1.0):
                    continue
                before = dict(self.fits)
                self.fits[i] = self.fitted(i, without=j)
                # what is left for the neighbour, if the two are to gain
                left = _worth(before, i, j) - _worth(self.fits, i)
                if not left > self.alone(j):
                    self.fits = before
                    continue
                del self.fits[j]
                self.fits[j] = self.fitted(j, ceiling=left)
                if not _worth(self.fits, i, j) < _worth(before, i, j):
                    self.fits = before


def _worth(fits: Mapping[int, SviFit], *slices: int) -> float:
    """Return chi² of some slices, infinite where one of them is not usable."""
    return sum(fits[n].chi2 if fits[n].usable else math.inf for n in slices)


def _surface(
    model: str, quotes: Sequence[SliceQuotes], fits: Sequence[SviFit], curve: ForwardCurve, left_out: LeftOut
) -> SviSurface:
    slices, out = [], dict(left_out)
    for one, fitted in zip(quotes, fits, strict=True):
        if fitted.usable and fitted.svi is not None:
            slices.append(SviSlice(quotes=one, svi=fitted.svi, fit=fitted))
        else:
            out[one.expiry] = (fitted.status, fitted.detail)
    return SviSurface(
        slices=tuple(slices),
        curve=curve,
        left_out={e: why for e, (_, why) in out.items()},
        left_out_status={e: status for e, (status, _) in out.items()},
        model=model,
    )
