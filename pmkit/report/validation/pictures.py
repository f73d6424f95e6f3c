"""Pictures of a validation: the grid of p-values, and margins over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.backtest import BacktestResult
from pmkit.core.plotting import new_axes
from pmkit.report.style import BLUE, INK, MUTED, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_paths", "draw_run", "draw_tests"]


def draw_tests(table: pd.DataFrame, alpha: float, ax: Axes | None = None) -> Axes:
    """Return axes with one cell a test and portfolio, coloured by p-value, with the p-value in it.

    Parameters
    ----------
    table : DataFrame
        From :func:`pmkit.report.validation.evidence.evidence_table`.
    alpha : float
        Level of the decisions.
    ax : Axes, optional
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap

    axes = new_axes(ax)
    books, tests = list(dict.fromkeys(table["portfolio"])), list(dict.fromkeys(table["test"]))
    keyed = table.set_index(["test", "portfolio"])
    values = np.full((len(tests), len(books)), np.nan)
    for row, test in enumerate(tests):
        for column, book in enumerate(books):
            line = keyed.loc[(test, book)]
            judged = line["decision"] in ("rejected", "not rejected")
            values[row, column] = float(line["p_value"]) if judged else np.nan
            text = f"{float(line['p_value']):.3f}" if judged else "–"
            cross = " ✕" if judged and float(line["p_adjusted"]) <= alpha else ""
            dark = judged and float(line["p_value"]) <= alpha
            axes.text(
                column,
                row,
                text + cross,
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else INK,
            )
    colors = ListedColormap([ORANGE, "#f6d9c6", "#dce9f3"]).with_extremes(bad="#eeeeee")
    bounds = BoundaryNorm([0.0, np.nextafter(alpha, 1.0), 2.0 * alpha, 1.0], colors.N)
    axes.imshow(np.ma.masked_invalid(values), cmap=colors, norm=bounds, aspect="auto")
    axes.set_xticks(range(len(books)), books, fontsize=8)
    axes.set_yticks(range(len(tests)), tests, fontsize=8)
    axes.grid(False)
    axes.set_title(f"p-values; filled at {100 * alpha:g} % or less")
    return axes


def draw_paths(margins: Mapping[str, pd.Series], ax: Axes | None = None) -> Axes:
    """Return axes with margins over time, in per cent of the notional.

    Parameters
    ----------
    margins : mapping of str to Series
        By name, positive, on dates.
    ax : Axes, optional
    """
    axes = new_axes(ax)
    looks = ((BLUE, "-"), (ORANGE, "--"), (MUTED, ":"))
    for (name, path), (color, dashes) in zip(margins.items(), looks, strict=False):
        days: Any = path.index.to_numpy()
        axes.plot(days, 100.0 * path.to_numpy(), color=color, linestyle=dashes, linewidth=1.2, label=name)
    axes.set_ylim(bottom=0.0)
    axes.set(ylabel="margin, % of notional", xlabel="date of the forecast")
    axes.legend(ncols=3)
    return axes


def draw_run(run: BacktestResult, ax: Axes | None = None) -> Axes:
    """Return axes with P&L, minus VaR and the hits, under a title that fits the page.

    Parameters
    ----------
    run : BacktestResult
    ax : Axes, optional
    """
    axes = run.plot(new_axes(ax))
    marked = ", P&L model-marked" if run.model_marked else ""
    axes.set_title(f"{run.book} under {run.model}, {run.horizon} day(s){marked}")
    return axes
