"""Quotes of a linear surface as prices over the forward: the input of the surfaces that work on prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.pricing import black76, greeks
from pmkit.surface.slices.smile import LinearSurface, SmileSlice

__all__ = ["PricePoints", "price_points"]


@dataclass(frozen=True, kw_only=True)
class PricePoints:
    """Points of one expiry.

    Attributes
    ----------
    quotes : SmileSlice
    value : ndarray, shape (points,)
        Undiscounted out-of-the-money price over the forward.
    vega : ndarray, shape (points,)
        Its derivative in the annualised vol.
    """

    quotes: SmileSlice
    value: FloatArray
    vega: FloatArray

    @property
    def tau(self) -> float:
        """Years of 365 days."""
        return self.quotes.tau

    @property
    def k(self) -> FloatArray:
        """Log-moneyness."""
        return self.quotes.k

    @property
    def w(self) -> FloatArray:
        """Total variance."""
        return self.quotes.w


def price_points(surface: LinearSurface, *, least: int) -> tuple[list[PricePoints], dict[pd.Timestamp, str]]:
    """Return the points of each expiry as prices, and the expiries with fewer than ``least``.

    Points whose vega is below 1e-12 carry no information and are left out.

    Raises
    ------
    ParameterError
        Not a linear surface.
    """
    if not isinstance(surface, LinearSurface):
        raise ParameterError(
            f"points of type {type(surface).__name__}",
            "a LinearSurface: its points are the quotes",
            "pm.surface.fit(quotes, model='linear')",
        )
    found: list[PricePoints] = []
    left_out = dict(surface.left_out)
    for one in surface.slices:
        iv = np.sqrt(one.w / one.tau)
        strike, is_call = np.exp(one.k), one.k > 0.0
        vega = np.asarray(greeks(1.0, strike, one.tau, iv, is_call=is_call).vega)
        value = np.asarray(black76(1.0, strike, one.tau, iv, is_call=is_call))
        told = vega > 1e-12
        if int(told.sum()) < least:
            left_out[one.expiry] = f"{int(told.sum())} points with a vega, {least} are needed"
            continue
        names = tuple(n for n, keep in zip(one.instruments, told, strict=False) if keep)
        quotes = SmileSlice(
            expiry=one.expiry,
            tau=one.tau,
            forward=one.forward,
            k=one.k[told],
            w=one.w[told],
            instruments=names,
        )
        found.append(PricePoints(quotes=quotes, value=value[told], vega=vega[told]))
    return found, left_out
