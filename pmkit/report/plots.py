"""The pictures of a requirement: the risk matrix, the loss distribution, and what each rule asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.margin.result import MarginResult
from pmkit.market import MarketSnapshot
from pmkit.report.style import INK, MUTED, USD_AXIS, house_style, rule_look
from pmkit.report.tables import amount, rule_title, usd_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["loss_distribution", "margin_comparison", "scenario_heatmap"]

_VOLS = {1: "vol up", 0: "vol same", -1: "vol down"}


# -- the risk matrix ----------------------------------------------------------------------------------------


def _matrix(result: MarginResult) -> pd.DataFrame:
    """Return the cells of a risk matrix, vol by move, NaN where the rule asks for no cell."""
    cells = result.figures.get("matrix")
    if not isinstance(cells, pd.DataFrame):
        raise DataGapError(
            f"the result of {rule_title(result)} for account {result.account!r} has no risk matrix",
            "a rule with a risk matrix, such as deribit-pm",
            "draw the result of that rule, or name one of its parts",
        )
    return cells.pivot(index="vol", columns="move", values="dampened").reindex(index=list(_VOLS))


def scenario_heatmap(result: MarginResult, *, part: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the risk matrix of a rule: P&L of the account in the rule's numeraire, price move by vol move.

    The numbers are those that the rule compares: tail moves are already scaled back and dampened. Moves that
    the rule does not combine with a vol are left white, and the worst cell has a frame.

    Parameters
    ----------
    result : MarginResult
        Of a rule with a risk matrix.
    part : str, optional
        Currency, where the rule margins several apart; the first by default.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        The rule has no risk matrix, or there is no such part.
    """
    name = part if part is not None else next(iter(result.parts), None)
    if name is not None and name not in result.parts:
        raise DataGapError(
            f"no part {name!r} in the result of {rule_title(result)}",
            f"one of {', '.join(result.parts)}" if result.parts else "no part: it has one currency",
            "name another part",
        )
    result = result if name is None else result.parts[name]
    table = _matrix(result)
    values = table.to_numpy(dtype=np.float64)
    limit = float(np.nanmax(np.abs(values))) or 1.0
    row, column = np.unravel_index(int(np.nanargmin(values)), values.shape)
    decimals = max(0, 2 - math.floor(math.log10(limit)))
    with house_style():
        ax = new_axes(ax, (10.0, 2.7))
        ax.grid(visible=False)
        image = ax.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        for (r, c), value in np.ndenumerate(values):
            if not math.isnan(value):
                shade = "white" if abs(value) > 0.6 * limit else INK
                text = f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")
                ax.text(c, r, text, ha="center", va="center", fontsize=7.0, color=shade)
        ax.add_patch(
            Rectangle((float(column) - 0.5, float(row) - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=2)
        )
        ax.set_xticks(
            range(table.shape[1]),
            [f"{100.0 * float(m):+.4g}".replace("-", "−") if m else "0" for m in table.columns],
        )
        ax.set_yticks(range(len(_VOLS)), list(_VOLS.values()))
        ax.set_xlabel("move of the price, %")
        ax.set_ylabel("move of implied vol")
        ax.set_title(f"{result.account}: {rule_title(result)}, P&L by scenario in {result.numeraire}")
        ax.figure.colorbar(image, ax=ax, pad=0.01).set_label(f"P&L, {result.numeraire}")
    return ax


# -- the loss distribution ----------------------------------------------------------------------------------


def loss_distribution(
    pnl: npt.ArrayLike,
    *,
    var: float | None = None,
    es: float | None = None,
    level: float = 0.99,
    results: Sequence[MarginResult] = (),
    snapshot: MarketSnapshot | None = None,
    weights: npt.ArrayLike | None = None,
    title: str = "Distribution of the P&L",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of an account's P&L in USD, with VaR, ES and the requirement of each rule.

    The scale of the shares is logarithmic, so that the tail can be read. A requirement beyond the picture
    stands in the legend only, marked with an arrow.

    Parameters
    ----------
    pnl : array_like, shape (scenarios,)
        USD, gain positive, finite.
    var, es : float, optional
        Positive losses in USD at ``level``.
    level : float
        For the legend.
    results : sequence of MarginResult
        Drawn at minus ``im_equity``, in USD at the index where the numeraire is a coin.
    snapshot : MarketSnapshot, optional
        Needed where a numeraire is a coin.
    weights : array_like, optional
        Shares of the scenarios; equal by default.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        No P&L, or a value that is not finite.
    DataGapError
        A coin numeraire without a snapshot.
    """
    values = np.asarray(pnl, dtype=np.float64).ravel()
    if values.size == 0 or not np.isfinite(values).all():
        raise ParameterError(
            f"pnl holds {values.size} values, {int((~np.isfinite(values)).sum())} of them not finite",
            "at least one, all finite",
            "drop or repair the scenarios",
        )
    shares = (
        np.full(values.size, 1.0 / values.size) if weights is None else np.asarray(weights, dtype=np.float64)
    )
    asked = [(r, r.im_equity * usd_of(r, snapshot)) for r in results]
    low, high = float(values.min()), float(values.max())
    known = [-low, *(x for x in (var, es) if x is not None)]
    reach = max(1.0, *known, *(x for _, x in asked if x <= 2.0 * max(known)))
    left, right = -1.05 * reach, max(1.05 * high, 0.1 * reach)
    with house_style():
        ax = new_axes(ax)
        bins = np.linspace(min(left, low), right, 121)
        ax.hist(
            values,
            bins=bins.tolist(),
            weights=shares,
            color="#b8cfe0",
            edgecolor="white",
            linewidth=0.3,
            log=True,
        )
        ax.axvline(0.0, color=INK, linewidth=0.8)
        for name, value, dashes in (("VaR", var, (0, (4, 2))), ("ES", es, (0, (1, 1)))):
            if value is not None:
                ax.axvline(
                    -value,
                    color=INK,
                    linestyle=dashes,
                    zorder=3,
                    label=f"{name} {100.0 * level:g} %: {amount(value, 'USD')}",
                )
        handles = list(ax.get_legend_handles_labels()[0])
        for position, (result, value) in enumerate(asked):
            look = rule_look(result.rule, position)
            inside = -value >= left
            label = f"{'' if inside else '← '}{rule_title(result)}: {amount(value, 'USD')}"
            if inside:
                ax.axvline(-value, color=look.color, linestyle=look.dashes)
            handles.append(Line2D([], [], color=look.color, linestyle=look.dashes, label=label))
        ax.set_xlim(left, right)
        ax.set_xlabel("P&L over the horizon, USD")
        ax.set_ylabel("share of scenarios per bin (log scale)")
        ax.set_title(title)
        ax.xaxis.set_major_formatter(USD_AXIS)
        if handles:
            ax.legend(handles=handles, loc="upper left", frameon=True, framealpha=0.92, edgecolor="white")
    return ax


# -- the rules side by side ---------------------------------------------------------------------------------


def margin_comparison(
    results: Sequence[MarginResult], snapshot: MarketSnapshot | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw what each rule asks for in USD, and the equity that it recognises.

    Bars are ``im_equity``, the requirement on the one basis on which rules compare; the white line in a bar
    is the maintenance margin, the black line the equity under that rule.

    Parameters
    ----------
    results : sequence of MarginResult
        One a rule, all of one account.
    snapshot : MarketSnapshot, optional
        Needed where a numeraire is a coin.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        No results, or a coin numeraire without a snapshot.
    """
    if not results:
        raise DataGapError(
            "there is no result to draw", "at least one", "margin the account under a rule first"
        )
    units = [usd_of(r, snapshot) for r in results]
    heights = [r.im_equity * unit for r, unit in zip(results, units, strict=True)]
    equities = [r.equity * unit for r, unit in zip(results, units, strict=True)]
    with house_style():
        ax = new_axes(ax)
        ax.grid(visible=False, axis="x")
        for at, (result, unit, height, equity) in enumerate(
            zip(results, units, heights, equities, strict=True)
        ):
            look = rule_look(result.rule, at)
            ax.bar(at, height, width=0.62, color=look.color, hatch=look.hatch, edgecolor="white")
            ax.hlines(result.mm_equity * unit, at - 0.31, at + 0.31, color="white", linewidth=2.0)
            ax.hlines(equity, at - 0.4, at + 0.4, color=INK, linewidth=2.2)
            ax.annotate(
                amount(height, "USD"),
                (at, max(height, 0.0)),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8.0,
            )
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.set_xticks(range(len(results)), [rule_title(r) for r in results])
        ax.set_xlim(-0.6, len(results) - 0.4)
        ax.margins(y=0.12)
        ax.set_ylabel("USD")
        ax.set_xlabel("rule")
        ax.set_title(f"{results[0].account}: initial margin against equity, by rule")
        ax.yaxis.set_major_formatter(USD_AXIS)
        bar = Rectangle((0, 0), 1, 1, color=MUTED)
        line = Line2D([], [], color=INK, linewidth=2.2)
        inner = Line2D([], [], color="#cccccc", linewidth=2.0)
        names = ["initial margin against equity", "maintenance margin", "equity under the rule"]
        # below the axes: an equity line can stand anywhere inside
        ax.legend([bar, inner, line], names, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return ax
