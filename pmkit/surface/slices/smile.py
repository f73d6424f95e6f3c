"""The control surface: total variance piecewise linear through the quotes, neither smoothed nor repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.numeric_arbitrage import (
    WholeLine,
    arbitrage_frame,
    numeric_butterfly,
    numeric_calendar,
)
from pmkit.surface.arguments import require
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.sliced import SlicedSurface

__all__ = ["LinearSurface", "QuotedSlice", "SmileSlice", "fit_linear_surface"]


@dataclass(frozen=True, kw_only=True)
class SmileSlice:
    """Points of one expiry, ascending in k.

    Attributes
    ----------
    expiry : pandas.Timestamp
    tau : float
        Years of 365 days.
    forward : float
        USD.
    k, w : ndarray, shape (points,)
        ln(K/F) and total variance.
    instruments : tuple of str
        The option behind each point.
    """

    expiry: pd.Timestamp
    tau: float
    forward: float
    k: FloatArray
    w: FloatArray
    instruments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("k", "w"):
            require(name, getattr(self, name), np.ndarray, "give an array of float64")
        if self.k.size != self.w.size or self.k.size == 0 or not (np.diff(self.k) > 0.0).all():
            raise ParameterError(
                f"{self.k.size} moneyness and {self.w.size} variance points of {self.expiry.date()}",
                "as many of each, ascending in k",
                "sort the points and drop duplicates",
            )
        if not (np.isfinite(self.w).all() and (self.w > 0.0).all() and self.tau > 0.0):
            raise ParameterError(
                f"total variance or time of {self.expiry.date()} is not positive",
                "positive numbers",
                "drop the point",
            )
        if not np.isfinite(self.k).all():
            raise ParameterError(
                f"k of {self.expiry.date()} is not finite", "finite log-moneyness", "drop the quote"
            )
        if not (0.0 < self.forward < np.inf and self.tau < np.inf):
            raise ParameterError(
                f"forward of {self.expiry.date()} is {self.forward:g}, its time {self.tau:g} years",
                "positive, finite numbers",
                "correct the slice",
            )
        for array in (self.k, self.w):
            array.flags.writeable = False

    @property
    def iv(self) -> FloatArray:
        """Implied vol of the points, decimal."""
        return np.asarray(np.sqrt(self.w / self.tau))

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``: linear between the points, constant beyond the outermost."""
        return np.asarray(np.interp(np.asarray(k, dtype=np.float64), self.k, self.w))

    def whole_line(self) -> WholeLine:
        """Return total variance with its derivatives: straight between the points, flat in the wings."""
        slopes = np.concatenate([[0.0], np.diff(self.w) / np.diff(self.k), [0.0]])

        def dw(k: FloatArray) -> FloatArray:
            return np.asarray(slopes[np.searchsorted(self.k, k, side="right")])

        wings = (0.0, float(self.w[0])), (0.0, float(self.w[-1]))
        return WholeLine(at=self.at, dw=dw, d2w=lambda k: np.zeros(np.shape(k)), knots=self.k, wings=wings)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per point: instrument, strike, k, w, iv."""
        names = self.instruments or ("",) * self.k.size
        return pd.DataFrame(
            {
                "instrument": list(names),
                "strike": self.forward * np.exp(self.k),
                "k": self.k,
                "w": self.w,
                "iv": self.iv,
            }
        )


@dataclass(frozen=True, kw_only=True)
class QuotedSlice:
    """Base of the slices of a model: they stand at the expiry, time and forward of their quotes."""

    quotes: SmileSlice

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


@dataclass(frozen=True, kw_only=True, repr=False)
class LinearSurface(SlicedSurface[SmileSlice]):
    """Total variance of one underlying, linear between quotes; it may admit static arbitrage.

    Between the strikes of an expiry ``w`` is linear in k; beyond the lowest and highest quoted strike the
    implied vol is flat. Between expiries ``w`` is linear in tau at fixed k; before the first and after the
    last the implied vol at fixed k is flat. It goes through its points exactly, noise included: use it as the
    baseline against which a fitted model is judged.

    Attributes
    ----------
    slices : tuple of SmileSlice
        Ascending in tau, at least one.
    curve : ForwardCurve
        For strikes; interpolated log-linearly.
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.

    Examples
    --------
    >>> import pmkit.market
    >>> surface = pmkit.market.load_snapshot("deribit-btc-2026-08-01").market("BTC").surface
    >>> round(float(surface.iv(63_000.0, 30 / 365)), 3)
    0.336
    """

    slices: tuple[SmileSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    model: str = "linear"

    # -- arbitrage ------------------------------------------------------------------------------------------
    def arbitrage(self) -> pd.DataFrame:
        """Return the static arbitrage that each slice admits, one row per expiry, over the whole line of k.

        Wherever the slope of total variance falls at a quote, as it does where a flat wing begins, the
        density holds a negative point mass: ``min_g`` is minus infinity there.

        Returns
        -------
        DataFrame
            As :func:`pmkit.surface.arbitrage_frame`; ``butterfly_margin`` is NaN.
        """
        nears = (None, *self.slices[:-1])
        reports = [
            (numeric_butterfly(far), None if near is None else numeric_calendar(near, far))
            for near, far in zip(nears, self.slices, strict=True)
        ]
        return arbitrage_frame((one.expiry for one in self.slices), reports)

    # -- display --------------------------------------------------------------------------------------------
    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: status, points, quoted range of k, and what holds outside it."""
        rows = {
            s.expiry: {
                "status": "ok",
                "points": s.k.size,
                "k_low": float(s.k[0]),
                "k_high": float(s.k[-1]),
                "outside": "implied vol flat beyond the quoted strikes",
            }
            for s in self.slices
        }
        rows |= {
            e: {"status": "too_few_points", "points": 0, "k_low": np.nan, "k_high": np.nan, "outside": why}
            for e, why in self.left_out.items()
        }
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every point."""
        return fingerprint(self.model, self.taus, [(s.k.tolist(), s.w.tolist()) for s in self.slices])

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, points, ATM vol."""
        rows = {
            s.expiry.strftime("%Y-%m-%d"): {
                "tau": s.tau,
                "forward": s.forward,
                "points": s.k.size,
                "atm_iv": float(np.sqrt(s.at(0.0) / s.tau)),
            }
            for s in self.slices
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per point: expiry, tau, instrument, strike, k, w, iv."""
        parts = [s.to_frame().assign(expiry=s.expiry, tau=s.tau) for s in self.slices]
        columns = ["expiry", "tau", "instrument", "strike", "k", "w", "iv"]
        return pd.concat(parts, ignore_index=True)[columns]


def fit_linear_surface(
    quotes: Sequence[SmileSlice], curve: ForwardCurve, left_out: Mapping[pd.Timestamp, tuple[str, str]]
) -> LinearSurface:
    """Return the surface through the points of each expiry as they are."""
    reasons = {expiry: why for expiry, (_, why) in left_out.items()}
    return LinearSurface(slices=tuple(quotes), curve=curve, left_out=reasons)
