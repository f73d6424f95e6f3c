"""What the surfaces that were fitted to prices share."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.surface.sliced import Slice, SlicedSurface
from pmkit.surface.slices.smile import SmileSlice

__all__ = ["PricedSlice", "PricedSurface"]


class PricedSlice(Slice, Protocol):
    """One expiry of a surface of prices, with the quotes it was fitted to."""

    @property
    def quotes(self) -> SmileSlice:
        """Quotes."""
        ...

    @property
    def error(self) -> FloatArray:
        """Fitted less quoted implied vol of each quote; NaN where the fit has no price."""
        ...


P = TypeVar("P", bound=PricedSlice)


class PricedSurface(SlicedSurface[P], Generic[P]):
    """Base of the surfaces of prices; a subclass is a dataclass."""

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quote: expiry, tau, instrument, strike, k, w, iv, error."""
        parts = [s.quotes.to_frame().assign(expiry=s.expiry, tau=s.tau, error=s.error) for s in self.slices]
        columns = ["expiry", "tau", "instrument", "strike", "k", "w", "iv", "error"]
        return pd.concat(parts, ignore_index=True)[columns]
