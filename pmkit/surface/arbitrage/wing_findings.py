"""What every report of butterfly arbitrage holds, and how intervals of arbitrage are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmkit.core.plotting import new_axes
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LEE_BOUND", "WingFindings", "draw_intervals", "within_lee"]

#: Largest slope of total variance in either wing, per unit of ``|k|``.
LEE_BOUND = 2.0


def within_lee(slopes: tuple[float, float]) -> bool:
    """Return whether the wing slopes of total variance, left and right, respect the moment bound."""
    # at a right slope of exactly 2 calls keep a value at infinite strikes; on the left it is mass at zero
    return slopes[0] <= LEE_BOUND and slopes[1] < LEE_BOUND


def draw_intervals(
    axes: Axes, intervals: tuple[tuple[float, float], ...], place: float, least: float, what: str
) -> Axes:
    """Shade intervals of k, mark the place of the least value, and return the axes.

    An infinite place is drawn at the edge of the picture, an infinite value at -1.
    """
    finite = [x for pair in intervals for x in pair if math.isfinite(x)] + [0.0]
    finite += [place] if math.isfinite(place) else []
    edge = 1.5 * max(1.0, max(finite), -min(finite))
    for low, high in intervals:
        axes.axvspan(max(low, -edge), min(high, edge), color="tab:red", alpha=0.2)
    at = math.copysign(edge, place) if math.isinf(place) else place
    value = least if math.isfinite(least) else -1.0
    axes.plot([at], [value], "o", color="tab:red" if intervals else "tab:blue", label=what)
    axes.axhline(0.0, linewidth=0.8, color="black")
    axes.set_xlim(-edge, edge)
    axes.set_xlabel("k = ln(K/F)")
    axes.set_ylabel(what)
    axes.legend(frameon=False)
    return axes


@dataclass(frozen=True, kw_only=True, repr=False)
class WingFindings(Result):
    """Where g is negative and what the wings do: the part that every butterfly report shares.

    Attributes
    ----------
    min_g, k_min_g : float
        Least g, and where.
    violations : tuple of (float, float)
        Intervals of k with g < 0, ascending; an end may be infinite.
    slopes, limits : tuple of float
        Wing slopes of total variance and limits of g, left and right.
    """

    min_g: float
    k_min_g: float
    violations: tuple[tuple[float, float], ...]
    slopes: tuple[float, float]
    limits: tuple[float, float]

    @property
    def lee(self) -> bool:
        """True where both wings respect the moment bound: left slope at most 2, right slope below 2."""
        return within_lee(self.slopes)

    def _found(self) -> dict[str, Any]:
        return {
            "min_g": self.min_g,
            "k_min_g": self.k_min_g,
            "slope_left": self.slopes[0],
            "slope_right": self.slopes[1],
            "g_left": self.limits[0],
            "g_right": self.limits[1],
            "violations": len(self.violations),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per interval of k on which g is negative; no row where there is none."""
        return pd.DataFrame(list(self.violations), columns=["k_from", "k_to"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Mark the least g, the limits of g in the wings and the intervals of arbitrage, return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        for side, limit in zip(("left", "right"), self.limits, strict=True):
            axes.axhline(limit, linewidth=0.8, linestyle=":", label=f"limit of g on the {side}")
        return draw_intervals(axes, self.violations, self.k_min_g, self.min_g, "least g")
