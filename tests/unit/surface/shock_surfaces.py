"""Small eSSVI surfaces for tests of shocks, made of given parameters: simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.market import ForwardQuote
from pmkit.surface import EssviParameters, EssviSlice, EssviSurface, ForwardCurve, SliceQuotes
from pmkit.surface.slices.slice_fit import judge

AS_OF = pd.Timestamp("2026-08-01T08:00Z")
SPOT = 60_000.0


@dataclass(frozen=True, kw_only=True)
class Law:
    """The power law of the reference tenor, written out: what a plain reader would write."""

    short: float = 0.30
    long: float = 0.13

    def scale(self, days: float) -> float:
        return (30.0 / max(days, 1.0)) ** (self.short if days < 30.0 else self.long)


def slice_of(days: float, theta: float, rho: float, psi: float, carry: float = 0.04) -> EssviSlice:
    tau = days / 365.0
    parameters = EssviParameters(theta=theta, rho=rho, psi=psi)
    k = np.linspace(-2.5, 2.5, 21) * np.sqrt(theta)
    w = parameters.at(k)
    quotes = SliceQuotes(
        expiry=AS_OF + pd.Timedelta(days=days),
        tau=tau,
        forward=SPOT * float(np.exp(carry * tau)),
        k=k,
        w=w.copy(),
        error=0.02 * w,
        w_bid=0.96 * w,
        w_ask=1.04 * w,
    )
    return EssviSlice(quotes=quotes, fit=judge(quotes, w, 3), parameters=parameters)


def surface_of(rows: list[tuple[float, float, float, float]], carry: float = 0.04) -> EssviSurface:
    """Return the surface of (days, theta, rho, psi), earliest first."""
    slices = tuple(slice_of(*row, carry=carry) for row in rows)
    curve = ForwardCurve(
        underlying="BTC",
        spot=SPOT,
        as_of=AS_OF,
        quotes={s.expiry: ForwardQuote(s.forward, "given") for s in slices},
        parity={},
        ledger=(),
    )
    return EssviSurface(slices=slices, curve=curve)


def plain_surface() -> EssviSurface:
    """Return three expiries of a skewed 60 % smile, free with room on every side."""
    level = 0.36 / 365.0
    return surface_of(
        [(7, 7 * level, -0.25, 0.07), (30, 30 * level, -0.2, 0.12), (90, 90 * level, -0.15, 0.18)]
    )


def steep_surface() -> EssviSurface:
    """Return a 60 % smile whose first expiry is close to its butterfly bound (0.38 of 0.46)."""
    level = 0.36 / 365.0
    return surface_of([(1, level, -0.1, 0.10), (7, 7 * level, -0.1, 0.20), (30, 30 * level, -0.1, 0.32)])
