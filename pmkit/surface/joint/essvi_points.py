"""The quotes of all expiries end to end, as the searches over a whole surface read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.surface.arguments import require
from pmkit.surface.inputs.slice_quotes import SliceQuotes

__all__ = ["QuotePoints"]


@dataclass(frozen=True, kw_only=True)
class QuotePoints:
    """Points of several expiries in one array each.

    Attributes
    ----------
    first : ndarray of int64, shape (expiries + 1,)
        Where each expiry begins, and the number of points.
    k, w : ndarray, shape (points,)
        ln(K/F) and total variance.
    weight : ndarray, shape (points,)
        One over the square of the error bar.
    atm : ndarray, shape (expiries,)
        Total variance nearest the money.
    """

    first: IntArray
    k: FloatArray
    w: FloatArray
    weight: FloatArray
    atm: FloatArray

    @classmethod
    def of(cls, quotes: Sequence[SliceQuotes], least: int) -> QuotePoints:
        """Return the points of expiries with at least ``least`` each.

        Raises
        ------
        ParameterError
            No expiry, expiries not ascending in time, or fewer points.
        """
        require("quotes", quotes, (list, tuple), "pass the SliceQuotes of every expiry, earliest first")
        for one in quotes:
            require("the quotes of an expiry", one, SliceQuotes, "take those of a slice: slice.quotes")
        taus = [one.tau for one in quotes]
        if not quotes or not all(a < b for a, b in pairwise(taus)):
            raise ParameterError(
                f"{len(quotes)} expiries, not ascending in time" if quotes else "no expiry",
                "each expiry once, earliest first",
                "sort the expiries",
            )
        sizes = [one.k.size for one in quotes]
        k, error = np.concatenate([one.k for one in quotes]), np.concatenate([one.error for one in quotes])
        for one, size in zip(quotes, sizes, strict=True):
            if size < least:
                raise ParameterError(
                    f"{size} points of {one.expiry.date()}", f"{least} or more", "leave it out"
                )
        return cls(
            first=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            k=k,
            w=np.concatenate([one.w for one in quotes]),
            weight=1.0 / error**2,
            atm=np.array([one.w[np.argmin(np.abs(one.k))] for one in quotes]),
        )
