"""A surface of raw SVI slices, fitted expiry by expiry, with a report of every arbitrage it admits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.butterfly import ButterflyReport, butterfly
from pmkit.surface.calendar import CalendarReport, calendar
from pmkit.surface.forwards import ForwardCurve
from pmkit.surface.sliced import SlicedSurface
from pmkit.surface.smile import SmileSlice
from pmkit.surface.svi import RawSvi
from pmkit.surface.svi_fit import SviFit

__all__ = ["SviSlice", "SviSurface"]


@dataclass(frozen=True, kw_only=True)
class SviSlice:
    """Raw SVI of one expiry with the quotes it was fitted to.

    Attributes
    ----------
    quotes : SmileSlice
        Expiry, time, forward and points.
    svi : RawSvi
    fit : SviFit
        Status and quality.
    """

    quotes: SmileSlice
    svi: RawSvi
    fit: SviFit

    @property
    def expiry(self) -> pd.Timestamp:
        """Instant of expiry."""
        return self.quotes.expiry

    @property
    def tau(self) -> float:
        """Years of 365 days."""
        return self.quotes.tau

    @property
    def forward(self) -> float:
        """Forward in USD."""
        return self.quotes.forward

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``, by the formula also beyond the quoted strikes."""
        return self.svi.w(k)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quote: instrument, strike, k, w, iv, w_fit, iv_fit."""
        fitted = self.svi.w(self.quotes.k)
        return self.quotes.to_frame().assign(w_fit=fitted, iv_fit=np.sqrt(fitted / self.tau))


@dataclass(frozen=True, kw_only=True, repr=False)
class SviSurface(SlicedSurface[SviSlice]):
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

    # -- arbitrage ------------------------------------------------------------------------------------------
    @cached_property
    def _reports(self) -> tuple[tuple[ButterflyReport, CalendarReport | None], ...]:
        nears: tuple[SviSlice | None, ...] = (None, *self.slices[:-1])
        return tuple(
            (butterfly(far.svi), calendar(near.svi, far.svi) if near else None)
            for near, far in zip(nears, self.slices, strict=True)
        )

    def arbitrage(self) -> pd.DataFrame:
        """Return the static arbitrage that each slice admits, one row per expiry, over the whole line of k.

        Returns
        -------
        DataFrame
            ``free``: neither kind. ``butterfly_margin``: exact width over its least admissible value, less 1
            (negative: arbitrage; -1 where no width would do). ``min_g`` at ``k_min_g``. ``g_left`` and
            ``g_right``: limits of g. ``slope_left`` and ``slope_right`` of total variance. ``calendar_min``:
            least increase of w from the expiry before at equal k, at ``k_calendar_min`` (minus infinity where
            a wing is flatter than before; NaN for the first expiry). ``butterfly_at`` and ``calendar_at``:
            the intervals of k concerned.
        """
        rows: dict[pd.Timestamp, dict[str, Any]] = {}
        for one, (wings, time) in zip(self.slices, self._reports, strict=True):
            rows[one.expiry] = {
                "free": wings.free and (time is None or time.free),
                "butterfly_margin": wings.margin,
                "min_g": wings.min_g,
                "k_min_g": wings.k_min_g,
                "butterfly_at": wings.violations,
                "slope_left": wings.slopes[0],
                "slope_right": wings.slopes[1],
                "g_left": wings.limits[0],
                "g_right": wings.limits[1],
                "calendar_min": time.min_dw if time else math.nan,
                "k_calendar_min": time.k_min_dw if time else math.nan,
                "calendar_at": time.violations if time else (),
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    # -- display --------------------------------------------------------------------------------------------
    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: status, why, points, chi² per degree of freedom, share inside, RMSE in iv."""
        rows: dict[pd.Timestamp, dict[str, Any]] = {
            s.expiry: {
                "status": s.fit.status,
                "detail": s.fit.detail,
                "points": s.fit.points,
                "k_low": float(s.quotes.k[0]),
                "k_high": float(s.quotes.k[-1]),
                "chi2_per_dof": s.fit.chi2_per_dof,
                "inside": s.fit.inside,
                "rmse_iv": s.fit.rmse / math.sqrt(s.tau),
                "outside": "total variance goes on by the formula beyond the quoted strikes",
            }
            for s in self.slices
        }
        rows |= {
            e: {"status": self.left_out_status.get(e, "too_few_points"), "detail": why, "outside": "no slice"}
            for e, why in self.left_out.items()
        }
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every parameter."""
        parameters = [(s.svi.a, s.svi.b, s.svi.rho, s.svi.m, s.svi.sigma) for s in self.slices]
        return fingerprint(self.model, self.taus, parameters)

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, points, ATM vol, status, share inside, arbitrage."""
        rows = {
            s.expiry.strftime("%Y-%m-%d"): {
                "tau": s.tau,
                "forward": s.forward,
                "points": s.quotes.k.size,
                "atm_iv": float(np.sqrt(s.at(0.0) / s.tau)),
                "status": s.fit.status,
                "inside": s.fit.inside,
                "butterfly_free": wings.free,
                "calendar_free": time is None or time.free,
            }
            for s, (wings, time) in zip(self.slices, self._reports, strict=True)
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quote: expiry, tau, instrument, strike, k, w, iv, w_fit, iv_fit."""
        parts = [s.to_frame().assign(expiry=s.expiry, tau=s.tau) for s in self.slices]
        columns = ["expiry", "tau", "instrument", "strike", "k", "w", "iv", "w_fit", "iv_fit"]
        return pd.concat(parts, ignore_index=True)[columns]
