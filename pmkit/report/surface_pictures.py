"""The pictures of a volatility surface: smiles with their quotes, the term structure, the surface itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.report.style import INK, MUTED, house_style, rule_looks
from pmkit.surface.sliced import SlicedSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["smiles", "surface_map", "term_structure"]

#: Days of the ticks of a time axis.
_DAYS = (1, 3, 7, 14, 30, 60, 90, 180, 365, 730)


def _days_axis(axis: Any, shortest: float, longest: float) -> None:
    """Put ticks at usual tenors on an axis of days."""
    from matplotlib.ticker import NullLocator

    shown = [day for day in _DAYS if 0.9 * shortest <= day <= 1.1 * longest]
    axis.set_ticks(shown, [str(day) for day in shown])
    axis.set_minor_locator(NullLocator())


def smiles(
    surface: SlicedSurface[Any],
    *,
    expiries: Sequence[str | pd.Timestamp] | None = None,
    title: str = "Implied volatility by expiry",
    ax: Axes | None = None,
) -> Axes:
    """Draw implied vol in per cent a year against ln(K/F), bars from bid to ask, one curve an expiry.

    Parameters
    ----------
    surface : SlicedSurface
        A surface by expiry, fitted or interpolated.
    expiries : sequence of str or Timestamp, optional
        Those to draw; all by default. More than six can hardly be told apart.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        The surface has no such expiry.
    """
    with house_style():
        ax = surface.plot(new_axes(ax, (8.0, 4.4)), expiries=expiries)
        ax.axvline(0.0, color=MUTED, linewidth=0.8, zorder=0)
        ax.set_title(title)
    return ax


def term_structure(
    surfaces: SlicedSurface[Any] | Mapping[str, SlicedSurface[Any]],
    *,
    title: str = "Implied volatility at the money",
    ax: Axes | None = None,
) -> Axes:
    """Draw implied vol at the forward, in per cent a year, against days to expiry on a logarithmic axis.

    Points are expiries, lines the surface between them.

    Parameters
    ----------
    surfaces : SlicedSurface, or mapping of str to SlicedSurface
        One surface, or several by name, such as two days or two underlyings.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        No surface to draw.
    """
    named = surfaces if isinstance(surfaces, Mapping) else {surfaces.model: surfaces}
    if not named:
        raise DataGapError("there is no surface to draw", "at least one", "fit a surface to a chain first")
    looks = rule_looks(list(named))
    spans = [one.taus[[0, -1]] * 365.0 for one in named.values()]
    with house_style():
        ax = new_axes(ax, (7.2, 3.8))
        for name, one in named.items():
            taus, look = one.taus, looks[name]
            between = np.exp(np.linspace(math.log(taus[0]), math.log(taus[-1]), 200))
            # the ends are pillars: rounding must not put them outside
            between[[0, -1]] = taus[[0, -1]]
            curve = np.sqrt(one.w(np.zeros(between.size), between) / between)
            points = [math.sqrt(float(np.asarray(s.at(0.0))) / s.tau) for s in one.slices]
            ax.plot(365.0 * between, 100.0 * curve, color=look.color, linestyle=look.dashes, label=name)
            ax.plot(365.0 * taus, 100.0 * np.array(points), "o", markersize=4.0, color=look.color)
        ax.set_xscale("log")
        _days_axis(ax.xaxis, min(s[0] for s in spans), max(s[1] for s in spans))
        ax.set_xlabel("days to expiry (log scale)")
        ax.set_ylabel("implied vol at the money, % a year")
        ax.set_title(title)
        if len(named) > 1:
            ax.legend()
    return ax


def surface_map(
    surface: SlicedSurface[Any],
    *,
    width: float = 2.0,
    title: str = "Implied volatility surface",
    ax: Axes | None = None,
) -> Axes:
    """Draw implied vol in per cent a year over standard deviations from the forward and days to expiry.

    Colours and lines of equal vol instead of a perspective view: every value can be read, nothing is hidden.

    Parameters
    ----------
    surface : SlicedSurface
    width : float
        Standard deviations at the money on each side, 0.25 to 5.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        The width is out of range.
    DataGapError
        The surface has one expiry only.

    Notes
    -----
    The abscissa is ``ln(K/F) / (sigma sqrt(tau))`` with the vol at the money of each time. Times run between
    the first and the last expiry.
    """
    if not 0.25 <= width <= 5.0:
        raise ParameterError(f"width is {width!r}", "0.25 to 5 standard deviations", "2 is usual")
    if len(surface.slices) < 2:
        raise DataGapError("the surface has one expiry", "at least two", "draw its smile instead")
    ends = surface.taus[[0, -1]]
    taus = np.exp(np.linspace(math.log(ends[0]), math.log(ends[1]), 60))
    taus[[0, -1]] = ends
    steps = np.linspace(-width, width, 81)
    level = np.sqrt(surface.w(np.zeros(taus.size), taus))
    k, years = level[:, None] * steps, np.repeat(taus[:, None], steps.size, axis=1)
    vols = 100.0 * np.sqrt(surface.w(k.ravel(), years.ravel(), outside="extend").reshape(k.shape) / years)
    with house_style():
        ax = new_axes(ax, (7.6, 4.2))
        ax.grid(visible=False)
        filled = ax.contourf(steps, 365.0 * taus, vols, levels=24, cmap="cividis")
        lines = ax.contour(steps, 365.0 * taus, vols, levels=8, colors=[INK], linewidths=0.5)
        ax.clabel(lines, fmt="%.0f", fontsize=7.0)
        ax.axvline(0.0, color="white", linewidth=0.8)
        ax.set_yscale("log")
        _days_axis(ax.yaxis, 365.0 * ends[0], 365.0 * ends[1])
        ax.set_xlabel("ln(K/F) in standard deviations at the money")
        ax.set_ylabel("days to expiry (log scale)")
        ax.set_title(title)
        ax.figure.colorbar(filled, ax=ax, pad=0.02).set_label("implied vol, % a year")
    return ax
