"""What every surface of fitted slices shares: quality of the fits and the report of static arbitrage."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import ButterflyReport
from pmkit.surface.arbitrage.calendar import CalendarReport
from pmkit.surface.arbitrage.numeric_arbitrage import (
    NumericButterfly,
    arbitrage_frame,
    numeric_butterfly,
    numeric_calendar,
)
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import SliceQuotes
from pmkit.surface.sliced import SlicedSurface
from pmkit.surface.slices.slice_fit import SliceFit
from pmkit.surface.slices.smile import QuotedSlice
from pmkit.surface.slices.smile_plot import plot_smiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FittedSlice", "FittedSurface"]


@dataclass(frozen=True, kw_only=True)
class FittedSlice(QuotedSlice, ABC):
    """One expiry of a fitted model with the quotes it was fitted to.

    Attributes
    ----------
    quotes : SliceQuotes
        Expiry, time, forward and points.
    fit : SliceFit
        Status and quality.
    """

    quotes: SliceQuotes
    fit: SliceFit

    @abstractmethod
    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``, by the formula also beyond the quoted strikes."""

    @property
    def atm_gap(self) -> float:
        """Size of the logarithmic error of total variance at the quote nearest the money."""
        near = int(np.argmin(np.abs(self.quotes.k)))
        return abs(math.log(float(self.at(self.quotes.k[near])) / float(self.quotes.w[near])))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quote: instrument, strike, k, w, iv, w_fit, iv_fit."""
        fitted = self.at(self.quotes.k)
        return self.quotes.to_frame().assign(w_fit=fitted, iv_fit=np.sqrt(fitted / self.tau))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the smile with the vols of bid and ask as bars, and return the axes."""
        return plot_smiles([self], ax)


F = TypeVar("F", bound=FittedSlice)


@dataclass(frozen=True, kw_only=True, repr=False)
class FittedSurface(SlicedSurface[F], Generic[F]):
    """Base of the fitted surfaces.

    Slices are judged on a fine net; a model with an exact criterion says so in its own ``_butterfly`` and
    ``_calendar``. ``left_out_status`` holds the status of every expiry without a slice: ``too_few_points``,
    ``degenerate``.
    """

    slices: tuple[F, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    left_out_status: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    #: What holds beyond the quoted strikes, in words.
    _outside = "total variance goes on by the formula beyond the quoted strikes"

    def _butterfly(self, one: F) -> ButterflyReport | NumericButterfly:
        return numeric_butterfly(one)

    def _calendar(self, near: F, far: F) -> CalendarReport:
        return numeric_calendar(near, far)

    # -- arbitrage ------------------------------------------------------------------------------------------
    @cached_property
    def _reports(self) -> tuple[tuple[ButterflyReport | NumericButterfly, CalendarReport | None], ...]:
        nears: tuple[F | None, ...] = (None, *self.slices[:-1])
        return tuple(
            (self._butterfly(far), self._calendar(near, far) if near else None)
            for near, far in zip(nears, self.slices, strict=True)
        )

    def arbitrage(self) -> pd.DataFrame:
        """Return the static arbitrage that each slice admits, one row per expiry, over the whole line of k.

        Returns
        -------
        DataFrame
            As :func:`pmkit.surface.arbitrage_frame`.
        """
        return arbitrage_frame((one.expiry for one in self.slices), self._reports)

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
                "outside": self._outside,
            }
            for s in self.slices
        }
        rows |= {
            e: {"status": self.left_out_status.get(e, "too_few_points"), "detail": why, "outside": "no slice"}
            for e, why in self.left_out.items()
        }
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

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
