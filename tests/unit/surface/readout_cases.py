"""Surfaces of known shape for the tests of what is read off a surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.market.snapshot import ForwardQuote
from pmkit.surface import ForwardCurve, LinearSurface, RawSvi, SmileSlice
from pmkit.surface.sliced import SlicedSurface

AS_OF = pd.Timestamp("2026-11-20T08:00Z")
VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
GENERIC = RawSvi(a=0.04, b=0.4, rho=-0.4, m=0.05, sigma=0.1)
NEAR = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.15)
FAR = RawSvi(a=0.05, b=0.15, rho=-0.25, m=0.02, sigma=0.2)


@dataclass(frozen=True, kw_only=True)
class KnownSlice:
    """A raw slice with its time."""

    expiry: pd.Timestamp
    tau: float
    svi: RawSvi

    def at(self, k: npt.ArrayLike) -> FloatArray:
        return self.svi.w(k)


@dataclass(frozen=True, kw_only=True, repr=False)
class KnownSurface(SlicedSurface[KnownSlice]):
    """Slices that were given, not fitted."""

    slices: tuple[KnownSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    model: str = "known"


def curve(days: tuple[float, ...], spot: float = 100.0) -> ForwardCurve:
    quotes = {AS_OF + pd.Timedelta(days=d): ForwardQuote(spot * (1 + d / 3650), "given") for d in days}
    return ForwardCurve(underlying="X", spot=spot, as_of=AS_OF, quotes=quotes, parity={}, ledger=())


def known(slices: Mapping[float, RawSvi] | None = None) -> KnownSurface:
    """Return a surface from days to raw slices."""
    given = {30.0: NEAR, 90.0: FAR} if slices is None else slices
    return KnownSurface(
        slices=tuple(
            KnownSlice(expiry=AS_OF + pd.Timedelta(days=d), tau=d / 365, svi=s) for d, s in given.items()
        ),
        curve=curve(tuple(given)),
    )


def linear() -> LinearSurface:
    points = np.array([-0.2, 0.0, 0.3])
    slices = tuple(
        SmileSlice(
            expiry=AS_OF + pd.Timedelta(days=d), tau=d / 365, forward=100.0, k=points,
            w=np.array([0.7, 0.5, 0.6]) ** 2 * d / 365,
        )
        for d in (10.0, 40.0)
    )  # fmt: skip
    return LinearSurface(slices=slices, curve=curve((10.0, 40.0)))


DAYS = (10, 40, 120)


def points(svi: RawSvi = NEAR, growth: tuple[float, ...] = (1.0, 2.5, 5.0)) -> LinearSurface:
    """Return eleven points an expiry of a surface without arbitrage, scaled in time."""
    slices = tuple(
        SmileSlice(
            expiry=AS_OF + pd.Timedelta(days=d), tau=d / 365, forward=100.0,
            k=np.linspace(-2.0, 2.0, 11) * math.sqrt(float(svi.w(0.0)) * s),
            w=svi.w(np.linspace(-2.0, 2.0, 11) * math.sqrt(float(svi.w(0.0)) * s)) * s,
        )
        for d, s in zip(DAYS, growth, strict=True)
    )  # fmt: skip
    quotes = {s.expiry: ForwardQuote(100.0, "given") for s in slices}
    curve = ForwardCurve(underlying="X", spot=100.0, as_of=AS_OF, quotes=quotes, parity={}, ledger=())
    return LinearSurface(slices=slices, curve=curve)
