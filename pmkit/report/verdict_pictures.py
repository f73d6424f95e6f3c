"""The pictures of a verdict: backtest path, traffic light, cover against calm, waterfall of a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from pmkit.backtest import BacktestResult, ProcyclicalityFrontier
from pmkit.backtest.var_tests import basel_zone_limits
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.margin.addons import PartEffects
from pmkit.report.style import BLUE, INK, MUTED, ORANGE, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["backtest_path", "margin_waterfall", "procyclicality_picture", "traffic_light"]

#: Colour and hatch of each zone: they differ in lightness and pattern too, not by hue alone.
_ZONES = {"green": ("#b7e0c9", ""), "yellow": ("#f2d16b", "//"), "red": ("#b0413e", "xx")}


def backtest_path(
    result: BacktestResult, *, events: Mapping[str, Any] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw P&L and minus VaR in per cent of the notional by date, and a mark for every breach.

    Parameters
    ----------
    result : BacktestResult
    events : mapping of str to date, optional
        Names and dates of vertical lines.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    with house_style():
        ax = result.plot(new_axes(ax, (9.0, 4.0)), events=events)
        ax.axhline(0.0, color=INK, linewidth=0.8)
    return ax


def traffic_light(
    hits: Mapping[str, int],
    *,
    n: int = 250,
    p: float = 0.01,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the number of hits of each model on the green, yellow and red zone of ``n`` observations.

    Parameters
    ----------
    hits : mapping of str to int
        Observations whose loss exceeded the VaR, by model, 0 to ``n``.
    n : int
        Observations.
    p : float
        Tail probability in (0, 0.5].
    title : str, optional
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        No model.
    ParameterError
        A count that is not a whole number from 0 to ``n``.

    Notes
    -----
    Zones are those of :func:`pmkit.backtest.var_tests.basel_zone`: yellow from the first count with
    ``P(X <= x) >= 95 %``, red from 99.99 %. Names stand in the zones, and each has a hatch of its own.
    """
    if not hits:
        raise DataGapError("there is no count to draw", "hits of one model at least", "count them first")
    for name, count in hits.items():
        if isinstance(count, bool) or int(count) != count or not 0 <= count <= n:
            raise ParameterError(
                f"{name!r} has {count!r} hits",
                f"a whole number from 0 to {n}",
                "count hits in n observations",
            )
    limits = basel_zone_limits(n, p)
    green, yellow = limits.green + 0.5, limits.yellow + 0.5
    last = max(*hits.values(), limits.yellow + 3) + 0.5
    edges = {"green": (-0.5, green), "yellow": (green, yellow), "red": (yellow, last)}
    with house_style():
        ax = new_axes(ax, (7.6, 1.4 + 0.42 * len(hits)))
        ax.grid(visible=False)
        for zone, (left, right) in edges.items():
            colour, hatch = _ZONES[zone]
            where = ((left, -0.6), right - left, len(hits) + 0.6)
            ax.add_patch(Rectangle(*where, facecolor=colour, edgecolor="white", hatch=hatch, alpha=0.75))
            ax.annotate(zone, (0.5 * (left + right), len(hits) - 0.35), ha="center", va="center", color=INK)
        for row, count in enumerate(hits.values()):
            ax.plot(
                [count], [row], "o", markersize=8.0, color="white", markeredgecolor=INK, markeredgewidth=2.0
            )
        ax.axvline(n * p, color=INK, linestyle=":", linewidth=1.2)
        ax.annotate(" expected", (n * p, -0.55), va="bottom", fontsize=8.0, color=INK)
        ax.set_yticks(range(len(hits)), list(hits))
        ax.set_xlim(-0.5, last)
        ax.set_ylim(-0.6, len(hits))
        ax.set_xlabel(f"hits in {n:,} observations at {100.0 * (1.0 - p):.6g} %")
        ax.set_title(title or "Traffic light")
    return ax


def procyclicality_picture(
    frontier: ProcyclicalityFrontier, *, level: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the days covered against the largest relative rise of margin, both in per cent, a point a model.

    Models that no other dominates are filled and joined; the others are hollow.

    Parameters
    ----------
    frontier : ProcyclicalityFrontier
    level : float, optional
        What was promised, such as 0.99, as a dashed line.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    table = frontier.table
    best = table[~table["dominated"].astype(bool)].sort_values("rise")
    with house_style():
        ax = new_axes(ax, (7.4, 4.2))
        ax.plot(100.0 * best["rise"], 100.0 * best["coverage"], "-", color=BLUE, linewidth=1.0, alpha=0.6)
        for name, row in table.iterrows():
            point = (100.0 * float(row["rise"]), 100.0 * float(row["coverage"]))
            face = "white" if row["dominated"] else BLUE
            edge = MUTED if row["dominated"] else BLUE
            ax.plot(*point, "o", markersize=7.0, markerfacecolor=face, markeredgecolor=edge)
            ax.annotate(str(name), point, xytext=(6, 4), textcoords="offset points", fontsize=8.0)
        if level is not None:
            ax.axhline(100.0 * level, color=ORANGE, linestyle="--", linewidth=1.0, label="promised")
            ax.legend(loc="lower right")
        ax.margins(x=0.12, y=0.12)
        ax.set_xlabel(f"largest rise of margin in {frontier.days} observations, %")
        ax.set_ylabel("days covered, %")
        ax.set_title("Cover against calm (hollow: dominated)")
    return ax


def margin_waterfall(effects: PartEffects, *, ax: Axes | None = None) -> Axes:
    """Draw how base and add-ons build the initial margin, each bar from where the one before ended.

    Parameters
    ----------
    effects : PartEffects
        Of a rule with add-ons.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
        In the numeraire of the rule.
    """
    table: pd.DataFrame = effects.table
    amounts = table["im"].to_numpy(dtype=np.float64)
    names = [str(name) for name in table.index]
    ends = np.append(np.cumsum(amounts[:-1]), amounts[-1])
    starts = np.append(np.append(0.0, ends[:-2]), 0.0)
    with house_style():
        ax = new_axes(ax, (7.4, 4.0))
        ax.grid(visible=False, axis="x")
        for at, (start, amount) in enumerate(zip(starts, amounts, strict=True)):
            total = at in (0, len(amounts) - 1)
            colour, hatch = (BLUE, "") if total else (ORANGE, "//") if amount > 0.0 else ("#009E73", "..")
            ax.bar(at, amount, bottom=start, width=0.62, color=colour, hatch=hatch, edgecolor="white")
            top = max(start, start + amount)
            digits = f"{abs(amount):,.0f}" if abs(amount) >= 1_000.0 else f"{abs(amount):.4g}"
            text = f"{'−' if amount < 0.0 else '' if total else '+'}{digits}"
            ax.annotate(text, (at, top), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8.0)
        for at in range(len(amounts) - 1):
            ax.plot([at + 0.31, at + 0.69], [ends[at], ends[at]], color=MUTED, linewidth=0.8)
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.set_ylim(min(0.0, *ends), 1.12 * max(*ends, 1e-12))
        ax.set_xticks(range(len(names)), names)
        ax.set_ylabel(f"initial margin, {table.index.name}")
        ax.set_title(f"{effects.account} under {effects.rule}: from base to margin")
    return ax
