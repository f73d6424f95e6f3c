"""Calendar arbitrage between two raw SVI slices: total variance compared at equal forward moneyness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import around, lowest, negative_intervals
from pmkit.surface.arbitrage.wing_findings import draw_intervals
from pmkit.surface.arguments import require
from pmkit.surface.slices.svi import RawSvi

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CalendarReport", "calendar"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CalendarReport(Result):
    """Least increase of total variance from one expiry to a later one, over the whole line.

    Attributes
    ----------
    min_dw, k_min_dw : float
        Infimum of ``w_far(k) - w_near(k)`` and its place; minus infinity at an infinite k where a wing of
        the far slice is flatter than that of the near one.
    slopes : tuple of float
        Far less near wing slope, left and right.
    violations : tuple of (float, float)
        Intervals of k with a decrease, ascending; an end may be infinite.
    """

    min_dw: float
    k_min_dw: float
    slopes: tuple[float, float]
    violations: tuple[tuple[float, float], ...]
    references = ("gatheral2014",)

    @property
    def free(self) -> bool:
        """True where total variance nowhere decreases."""
        return self.min_dw >= 0.0

    def summary(self) -> pd.DataFrame:
        """Return one row: free, least increase and where, differences of wing slopes, intervals."""
        row = {
            "free": self.free,
            "min_dw": self.min_dw,
            "k_min_dw": self.k_min_dw,
            "slope_left": self.slopes[0],
            "slope_right": self.slopes[1],
            "violations": len(self.violations),
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per interval of k on which total variance falls; no row where there is none."""
        return pd.DataFrame(list(self.violations), columns=["k_from", "k_to"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Mark the least increase and the intervals of arbitrage, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        return draw_intervals(axes, self.violations, self.k_min_dw, self.min_dw, "least increase of w")


def _asymptote(svi: RawSvi, side: float) -> tuple[float, float]:
    """Return slope per unit of |k| and intercept of the wing on one side."""
    slope = svi.b * (1.0 + side * svi.rho)
    return slope, svi.a - side * slope * svi.m


def calendar(near: RawSvi, far: RawSvi) -> CalendarReport:
    """Return where total variance at the same k = ln(K/F) falls from a near to a far expiry, and by how much.

    Raises
    ------
    ParameterError
        An argument is not a raw slice.

    Notes
    -----
    Strikes that correspond are ``K2 = K1 F2/F1``; at the same strike the comparison says nothing where the
    forwards differ. Wings are compared by their asymptotes, the rest by minimisation about both slices.

    References
    ----------
    Gatheral and Jacquier (2014), Definition 2.3 and Lemma 2.1.

    Examples
    --------
    >>> near, far = RawSvi(0.02, 0.2, -0.3, 0.0, 0.1), RawSvi(0.04, 0.19, -0.3, 0.0, 0.1)
    >>> report = calendar(near, far)
    >>> report.free, report.min_dw, [round(k, 3) for k in report.violations[0]]
    (False, -inf, [-inf, -1.536])
    """
    for one in (near, far):
        require("a slice", one, RawSvi, "convert it with to_raw() first")

    def increase(k: FloatArray) -> FloatArray:
        return np.asarray(far.w(k) - near.w(k))

    both = (near, far)
    narrow = min(near.sigma, far.sigma)
    points = around(
        [near.m, near.k_min, far.m, far.k_min, 0.0],
        [near.sigma, narrow, far.sigma, narrow, max(near.sigma, far.sigma)],
    )
    k_low, least = lowest(increase, points)
    points = np.unique(np.append(points, k_low))
    slopes = []
    for side in (-1.0, 1.0):
        (slope_near, level_near), (slope_far, level_far) = (_asymptote(s, side) for s in both)
        slopes.append(slope_far - slope_near)
        limit = -math.inf if slopes[-1] < 0.0 else level_far - level_near
        if slopes[-1] <= 0.0 and limit < least:
            k_low, least = side * math.inf, limit
    return CalendarReport(
        min_dw=least,
        k_min_dw=k_low,
        slopes=(slopes[0], slopes[1]),
        violations=negative_intervals(increase, points),
    )
