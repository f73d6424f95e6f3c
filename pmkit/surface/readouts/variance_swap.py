"""The fair strike of a variance swap: log-contract strip, Fukasawa's average of the smile, discrete strip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.pricing import black76
from pmkit.surface.readouts.curves import check_tau, variance_curve
from pmkit.surface.readouts.quadrature import integrate, panels, reach

__all__ = ["DiscreteVarianceSwap", "VarianceSwap", "discrete_variance_swap", "variance_swap"]

_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
#: Relative difference of the two ways up to which a fair strike is given.
_AGREE = 1e-6


@dataclass(frozen=True, kw_only=True, repr=False)
class VarianceSwap(Result):
    """Fair variance of one time, computed in two ways that share nothing but the smile.

    Attributes
    ----------
    tau : float
        Years of 365 days.
    strip : float
        Total variance by the strip of out-of-the-money options, ``E[-2 ln(S/F)]``.
    average : float
        The same by Fukasawa's average of the smile.
    strip_error, average_error : float
        Estimated errors of the two integrals.
    monotone : bool
        True where d- falls in k at every point looked at, as in every smile without arbitrage.
    low, high : float
        Ends of the integrals in k.
    """

    tau: float
    strip: float
    average: float
    strip_error: float
    average_error: float
    monotone: bool
    low: float
    high: float
    references = ("demeterfi1999", "fukasawa2010")

    @property
    def status(self) -> str:
        """``"ok"``, or ``"not_converged"`` where the two ways differ by more than a millionth.

        They do where a wing is too steep for any density (total variance that grows faster than 2 per unit of
        k), as Hagan's formula is far out: then there is no fair strike.
        """
        return "ok" if abs(self.average / self.strip - 1.0) <= _AGREE else "not_converged"

    @property
    def variance(self) -> float:
        """Fair strike: variance per year, decimal squared; NaN unless ``status`` is ok."""
        return self.strip / self.tau if self.status == "ok" else math.nan

    @property
    def vol(self) -> float:
        """Square root of the fair strike, annualised decimal; NaN unless ``status`` is ok."""
        return math.sqrt(self.variance)

    def check(self) -> None:
        """Raise PmkitError where the two ways differ by more than a millionth of the strip."""
        if self.status != "ok":
            raise PmkitError(
                f"total variance {self.strip!r} by the strip, {self.average!r} by the average of the smile",
                "the same number",
                "the wings are too steep for the doubles, or the smile has jumps",
            )

    def summary(self) -> pd.DataFrame:
        """Return one row: tau, fair vol, variance, total variance both ways, range of k."""
        row = {
            "tau": self.tau,
            "status": self.status,
            "vol": self.vol,
            "variance": self.variance,
            "strip": self.strip,
            "average": self.average,
            "monotone": self.monotone,
            "k_low": self.low,
            "k_high": self.high,
        }
        return pd.DataFrame([row])


def variance_swap(source: Any, tau: float | None = None, *, outside: str = "raise") -> VarianceSwap:
    """Return the fair variance per year, and its vol, of a smile that is known at every strike.

    Parameters
    ----------
    source : slice, VolSurface or callable
        As :func:`pmkit.surface.variance_curve`. How the smile goes on beyond its quotes is part of the
        answer.
    tau : float, optional
        Years of 365 days; needed unless the slice knows its own.
    outside : {"raise", "warn", "extend"}
        What holds at a time beyond the last expiry of a surface.

    Returns
    -------
    VarianceSwap

    Raises
    ------
    ParameterError
        A time that is missing or not positive, or a total variance that is not positive.
    DataGapError
        A time beyond the last expiry under ``"raise"``.

    Notes
    -----
    With undiscounted prices on a forward of 1, ``E[-2 ln S] = 2 (int_{k<0} P e^{-k} dk + int_{k>0} C e^{-k}
    dk)``; and, with ``d = -k/sqrt(w) - sqrt(w)/2``, ``int w(k) phi(d) (-d') dk``, the average of the smile
    over a standard normal ``z = d``. Jumps of the underlying and discrete sampling are not in it.
    About 5 ms.

    References
    ----------
    Demeterfi, Derman, Kamal and Zou (1999); Fukasawa (2010).

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> swap = variance_swap(RawSvi(a=0.0182, b=0.05, rho=-0.3, m=0.12, sigma=0.3816), tau=1.0)
    >>> round(swap.strip, 6), round(swap.average, 6)
    (0.043482, 0.043482)
    """
    curve = variance_curve(source, tau, outside=outside)
    time = check_tau(None if math.isnan(curve.tau) else curve.tau)
    low, high = reach(curve)
    breaks = panels(curve, low, high)

    def strip(k: FloatArray) -> FloatArray:
        price = black76(1.0, np.exp(k), 1.0, np.sqrt(curve.w(k)), is_call=k > 0.0)
        return np.asarray(2.0 * price * np.exp(-k))

    def average(k: FloatArray) -> FloatArray:
        w = curve.w(k)
        return np.asarray(w * np.exp(-0.5 * curve.d(k)[1] ** 2) / _ROOT_TWO_PI * _fall(k, w, curve.dw(k)))

    by_strip, by_average = integrate(strip, breaks), integrate(average, breaks)
    looked_at = np.linspace(low, high, 2001)
    return VarianceSwap(
        tau=time,
        strip=by_strip[0],
        average=by_average[0],
        strip_error=by_strip[1],
        average_error=by_average[1],
        monotone=bool((_fall(looked_at, curve.w(looked_at), curve.dw(looked_at)) > 0.0).all()),
        low=low,
        high=high,
    )


def _fall(k: FloatArray, w: FloatArray, slope: FloatArray) -> FloatArray:
    """Return minus the derivative of d- in k."""
    root = np.sqrt(w)
    return np.asarray(1.0 / root - 0.5 * k * slope / (root * w) + 0.25 * slope / root)


@dataclass(frozen=True, kw_only=True, repr=False)
class DiscreteVarianceSwap(Result):
    """Fair variance from a finite set of strikes, with the portfolio that replicates it.

    Attributes
    ----------
    tau, forward : float
        Years of 365 days; price.
    anchor : float
        Strike at which puts give way to calls.
    variance : float
        Fair variance per year.
    strike, price, weight : ndarray, shape (options,)
        Options of the portfolio, ascending; undiscounted prices; units held per unit of variance notional.
        The anchor stands twice: as a put, then as a call.
    is_call : ndarray of bool
    """

    tau: float
    forward: float
    anchor: float
    variance: float
    strike: FloatArray
    price: FloatArray
    weight: FloatArray
    is_call: npt.NDArray[np.bool_]
    references = ("demeterfi1999",)

    @property
    def vol(self) -> float:
        """Square root of the fair variance, annualised decimal."""
        return math.sqrt(self.variance)

    def summary(self) -> pd.DataFrame:
        """Return one row: tau, forward, anchor, options, variance, vol."""
        row = {
            "tau": self.tau,
            "forward": self.forward,
            "anchor": self.anchor,
            "options": self.strike.size,
            "variance": self.variance,
            "vol": self.vol,
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per option: strike, side, price, weight, contribution to the variance."""
        return pd.DataFrame(
            {
                "strike": self.strike,
                "is_call": self.is_call,
                "price": self.price,
                "weight": self.weight,
                "contribution": self.weight * self.price,
            }
        )


def discrete_variance_swap(
    forward: float, strike: npt.ArrayLike, iv: npt.ArrayLike, tau: float, *, anchor: float | None = None
) -> DiscreteVarianceSwap:
    """Return the fair variance per year that a finite set of strikes replicates, and the portfolio.

    Parameters
    ----------
    forward : float
        Price of the underlying for the expiry, positive.
    strike : array_like, shape (n,)
        Ascending, positive, at least two on either side of the anchor (itself counted on both).
    iv : array_like, shape (n,)
        Implied vol at the strikes, annualised decimal, positive.
    tau : float
        Years of 365 days.
    anchor : float, optional
        One of the strikes; the greatest that does not exceed the forward where None.

    Returns
    -------
    DiscreteVarianceSwap

    Raises
    ------
    ParameterError
        A number outside its domain, strikes not ascending, or an anchor that is not a strike.
    DataGapError
        Too few strikes on a side.

    Notes
    -----
    The pay-off ``f(S) = (2/tau) ((S - A)/A - ln(S/A))`` is replaced by its chords between the strikes, which
    lie above it, so that the strip over-states the variance between the outermost strikes and leaves out what
    lies beyond them. The outermost strike of a side only ends a chord and is not held.
    ``variance = (2/tau) (ln(F/A) - (F/A - 1)) + sum weight·price``.

    References
    ----------
    Demeterfi, Derman, Kamal and Zou (1999), Appendix A.

    Examples
    --------
    >>> K = np.arange(40.0, 245.0, 5.0)
    >>> round(discrete_variance_swap(100.0, K, np.full(K.size, 0.2), 0.25).vol, 4)
    0.2043
    """
    K, vol, time = np.asarray(strike, dtype=np.float64), np.asarray(iv, dtype=np.float64), check_tau(tau)
    for what, values, unit in (
        ("forward", np.asarray([forward]), "price"),
        ("strike", K, "price"),
        ("iv", vol, "decimal"),
    ):
        if not (np.isfinite(values).all() and (values > 0.0).all()):
            raise ParameterError(
                f"{what} holds {float(values[~(values > 0.0) | ~np.isfinite(values)][0]):g} ({unit})",
                "positive, finite numbers", "drop or correct the entry",
            )  # fmt: skip
    if K.ndim != 1 or K.shape != vol.shape or not (np.diff(K) > 0.0).all():
        raise ParameterError(
            f"strikes of shape {K.shape} and vols of shape {vol.shape}",
            "two rows of one length, strikes strictly ascending", "sort the strikes and drop duplicates",
        )  # fmt: skip
    at_most = K[forward >= K]
    A = (float(at_most[-1]) if at_most.size else math.nan) if anchor is None else float(anchor)
    if not (K == A).any() and not math.isnan(A):
        raise ParameterError(f"anchor is {A:g}", "one of the strikes", "leave it out to take the one below F")
    low, high = K[K <= A][::-1], K[K >= A]
    if low.size < 2 or high.size < 2:
        raise DataGapError(
            f"{low.size} strike(s) up to the anchor and {high.size} from it on, forward {forward:g}",
            "at least two on either side", "quote more strikes",
        )  # fmt: skip
    held, weights, side = [], [], []
    for strikes, is_call in ((low, False), (high, True)):
        f = 2.0 / time * ((strikes - A) / A - np.log(strikes / A))
        slopes = np.diff(f) / np.abs(np.diff(strikes))
        held.append(strikes[:-1])
        weights.append(np.diff(slopes, prepend=0.0))
        side.append(np.full(strikes.size - 1, is_call))
    bought = np.concatenate([held[0][::-1], held[1]])
    weight, is_call_all = np.concatenate([weights[0][::-1], weights[1]]), np.concatenate(side)
    price = np.asarray(black76(forward, bought, time, np.interp(bought, K, vol), is_call=is_call_all))
    shift = 2.0 / time * (math.log(forward / A) - (forward / A - 1.0))
    return DiscreteVarianceSwap(
        tau=time, forward=float(forward), anchor=A, variance=shift + math.fsum(weight * price),
        strike=bought, price=price, weight=weight, is_call=is_call_all,
    )  # fmt: skip
