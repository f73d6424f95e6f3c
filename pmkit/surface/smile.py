"""The control surface: total variance piecewise linear through the quotes, neither smoothed nor repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.forwards import ForwardCurve

__all__ = ["LinearSurface", "SmileSlice"]


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
        for array in (self.k, self.w):
            array.flags.writeable = False

    @property
    def iv(self) -> FloatArray:
        """Implied vol of the points, decimal."""
        return np.asarray(np.sqrt(self.w / self.tau))

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``: linear between the points, constant beyond the outermost."""
        return np.asarray(np.interp(np.asarray(k, dtype=np.float64), self.k, self.w))

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


@dataclass(frozen=True, kw_only=True, repr=False)
class LinearSurface(Result):
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

    def __post_init__(self) -> None:
        if not self.slices:
            raise DataGapError(
                f"no expiry of {self.curve.underlying} has enough quotes for a surface",
                "at least one expiry with three usable options",
                "load a fuller chain",
            )
        if not (np.diff(self.taus) > 0.0).all():
            raise ParameterError(
                "slices are not ascending in time", "each expiry once, earliest first", "sort the slices"
            )

    @property
    def taus(self) -> FloatArray:
        """Times to expiry of the slices, years."""
        return np.array([s.tau for s in self.slices])

    # -- values ---------------------------------------------------------------------------------------------
    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return total variance iv²·tau; arguments broadcast, NaN gives NaN.

        Parameters
        ----------
        k : array_like
            ln(K/F).
        tau : array_like
            Years of 365 days, 0 or more; 0 gives 0.

        Raises
        ------
        ParameterError
            A negative time.

        Notes
        -----
        About 30 ns a point on an expiry of the surface, twice that between two.
        """
        moneyness, years = np.asarray(k, dtype=np.float64), np.asarray(tau, dtype=np.float64)
        if (years < 0.0).any():
            raise ParameterError(
                f"tau is {float(np.min(years)):g} years",
                "0 or more",
                "drop what has expired",
            )
        if years.ndim == 0:
            return self._at_one_time(moneyness, float(years))
        moneyness, years = np.broadcast_arrays(moneyness, years)
        out = np.empty(years.shape)
        distinct, which = np.unique(years, return_inverse=True)
        which = which.reshape(years.shape)
        if distinct.size <= 64:
            for index, one in enumerate(distinct):
                chosen = which == index
                out[chosen] = self._at_one_time(moneyness[chosen], float(one))
            return out
        return self._between(moneyness, years)

    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        if np.isnan(tau):
            return np.full(k.shape, np.nan)
        taus = self.taus
        upper = int(np.searchsorted(taus, tau))
        for near in (upper - 1, upper):
            # an expiry's own time may differ in the last digits by the way it was computed
            if 0 <= near < taus.size and abs(taus[near] - tau) <= 1e-12 * tau:
                return self.slices[near].at(k)
        if upper == 0 or upper == taus.size:
            edge = self.slices[0 if upper == 0 else -1]
            return np.asarray(edge.at(k) * (tau / edge.tau))
        first, second = self.slices[upper - 1], self.slices[upper]
        share = (tau - first.tau) / (second.tau - first.tau)
        return np.asarray(first.at(k) * (1.0 - share) + second.at(k) * share)

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        """Return total variance where times are many: one pass per pair of expiries."""
        taus, out = self.taus, np.full(years.shape, np.nan)
        segment = np.searchsorted(taus, years)
        for index in np.unique(segment[np.isfinite(years)]):
            chosen = (segment == index) & np.isfinite(years)
            k_here, tau_here = k[chosen], years[chosen]
            if index == 0 or index == taus.size:
                edge = self.slices[0 if index == 0 else -1]
                out[chosen] = edge.at(k_here) * (tau_here / edge.tau)
                continue
            first, second = self.slices[index - 1], self.slices[index]
            share = (tau_here - first.tau) / (second.tau - first.tau)
            out[chosen] = first.at(k_here) * (1.0 - share) + second.at(k_here) * share
        return out

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return annualised implied vol (decimal) at strikes in USD; arguments broadcast, NaN gives NaN.

        Raises
        ------
        ParameterError
            A strike or a time that is not positive.
        """
        strikes, years = np.asarray(strike, dtype=np.float64), np.asarray(tau, dtype=np.float64)
        for what, values, unit in (("strike", strikes, "USD"), ("tau", years, "years")):
            if (values <= 0.0).any():
                raise ParameterError(
                    f"{what} is {float(np.min(values)):g} {unit}", "a positive number", "correct the argument"
                )
        k = np.log(strikes / self.curve.at(years))
        return np.asarray(np.sqrt(self.w(k, years) / years))

    def slice(self, expiry: str | pd.Timestamp) -> SmileSlice:
        """Return the points of an expiry (an instant, or a date).

        Raises
        ------
        DataGapError
            The surface has no such expiry, or it was left out.
        """
        stamp = pd.Timestamp(expiry)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        for one in self.slices:
            if one.expiry == stamp or (stamp == stamp.normalize() and one.expiry.normalize() == stamp):
                return one
        why = [f" ({text})" for e, text in self.left_out.items() if stamp in (e, e.normalize())]
        raise DataGapError(
            f"no slice at {stamp.date()}{''.join(why)}",
            f"one of {', '.join(s.expiry.date().isoformat() for s in self.slices)}",
            "choose one of these",
        )

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
