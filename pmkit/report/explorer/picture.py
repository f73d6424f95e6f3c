"""The explorer's picture, drawn anew only where it changes: fast enough to follow a slider."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

from pmkit.report.explorer.view import HERE, ExplorerView, draw_surface
from pmkit.report.style import BLUE, INK, MUTED, ORANGE, USD_AXIS, house_style
from pmkit.report.tables import amount, rule_title

__all__ = ["ExplorerPicture"]

_BARS = ("equity", "initial margin", "maintenance margin")
#: scenarios that are drawn at most, the worst ones
_SHOWN = 60
_STATUS = {"below_im": "below initial margin", "below_mm": "below maintenance margin"}


class ExplorerPicture:
    """One PNG image of an :class:`ExplorerView`: P&L surface, requirement today and here, worst scenarios.

    The surface is painted once for a set of legs and kept; the mark on it and the two panels at its right
    are painted over it at every move.

    Parameters
    ----------
    size : tuple of float
        Width and height, inches.
    dpi : float
        Dots per inch.
    """

    def __init__(self, size: tuple[float, float] = (10.4, 4.2), dpi: float = 100.0) -> None:
        with house_style():
            self.figure = Figure(figsize=size, dpi=dpi)
            self.figure.set_layout_engine("none")
            self._canvas: Any = FigureCanvasAgg(self.figure)
            self._surface_axes = self.figure.add_axes((0.065, 0.12, 0.36, 0.79))
            self._bar_axes = self.figure.add_axes((0.437, 0.12, 0.012, 0.79))
            self._margin = _MarginPanel(self.figure.add_axes((0.665, 0.6, 0.325, 0.31)))
            self._worst = _WorstPanel(self.figure.add_axes((0.665, 0.12, 0.325, 0.34)))
        self._drawn: pd.DataFrame | None = None
        self._background: Any = None
        self._mark: Any = None

    def png(self, view: ExplorerView) -> bytes:
        """Return the picture of a view as the bytes of a PNG file.

        Parameters
        ----------
        view : ExplorerView

        Returns
        -------
        bytes
        """
        with house_style():
            if view.surface is not self._drawn:
                self._paint_surface(view)
            self._canvas.restore_region(self._background)
            self._mark.set_data([100.0 * view.spot], [100.0 * view.vol])
            self._surface_axes.draw_artist(self._mark)
            for panel in (self._margin, self._worst):
                panel.show(view)
                for artist in panel.moving:
                    panel.axes.draw_artist(artist)
        file = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3]).save(file, "png", compress_level=1)
        return file.getvalue()

    def _paint_surface(self, view: ExplorerView) -> None:
        """Paint the surface with its colour bar and keep the pixels."""
        axes = self._surface_axes
        axes.clear()
        self._bar_axes.clear()
        image = draw_surface(axes, view.surface)
        axes.set_title(f"{view.account.name}: P&L against today")
        bar = self.figure.colorbar(image, cax=self._bar_axes, format=USD_AXIS)
        bar.set_label("P&L of the account, USD")
        (self._mark,) = axes.plot([], [], animated=True, **HERE)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self.figure.bbox)
        self._drawn = view.surface


def _caption(axes: Axes) -> Text:
    """Return the title of a panel, a text that may move."""
    return axes.text(
        0.0, 1.06, "", transform=axes.transAxes, fontsize=10.0, fontweight="bold", color=INK, animated=True
    )


class _MarginPanel:
    """Equity and requirements in the rule's numeraire, today above here."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        rows = np.arange(len(_BARS), dtype=np.float64)
        looks = (("today", -0.2, MUTED, "//"), ("here", 0.2, BLUE, ""))
        drawn = [
            axes.barh(
                rows + shift, 0.0, height=0.36, color=color, hatch=hatch, edgecolor="white", label=label
            )
            for label, shift, color, hatch in looks
        ]
        self._bars = [bar for group in drawn for bar in group]
        self._words = [
            axes.text(0.0, bar.get_y() + 0.18, "", va="center", fontsize=7.5, color=INK) for bar in self._bars
        ]
        self._caption = _caption(axes)
        self.moving: list[Artist] = [
            *self._bars, *self._words, axes.axvline(0.0, color=INK, linewidth=0.8), self._caption
        ]  # fmt: skip
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks(rows, _BARS)
        axes.tick_params(axis="y", length=0.0)
        axes.invert_yaxis()
        axes.legend(loc="lower right")
        for artist in self.moving:
            artist.set_animated(True)

    def show(self, view: ExplorerView) -> None:
        """Set the lengths of the bars, their words and the title."""
        numeraire = view.after.numeraire
        values = [v for r in (view.before, view.after) for v in (r.equity, r.im_equity, r.mm_equity)]
        low, high = min(*values, 0.0), max(*values, 0.0)
        span = high - low or 1.0
        for bar, word, value in zip(self._bars, self._words, values, strict=True):
            bar.set_width(value)
            word.set_x(max(value, 0.0) + 0.01 * span)
            word.set_text(amount(value, numeraire).replace("-", "−"))
        self.axes.set_xlim(low, high + 0.4 * span)
        status = view.after.status
        self._caption.set_text(f"{rule_title(view.after)}: {_STATUS.get(status, status)}")


class _WorstPanel:
    """P&L of the rule's scenarios from here on, in order, the worst in a colour of its own."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self._lines = LineCollection([], linewidths=3.0)
        axes.add_collection(self._lines)
        self._caption = _caption(axes)
        self._foot = axes.text(0.0, -0.14, "", transform=axes.transAxes, color=INK)
        zero = axes.axhline(0.0, color=INK, linewidth=0.8)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(USD_AXIS)
        self.moving: list[Artist] = [axes.yaxis, self._lines, zero, self._caption, self._foot]
        for artist in self.moving:
            artist.set_animated(True)

    def show(self, view: ExplorerView) -> None:
        """Set the lines, the limits and the words."""
        result = view.after
        parts = [part for part in result.parts.values() if len(part.scenario_vector)]
        shown = max(parts, key=lambda part: len(part.scenario_vector), default=result)
        vector = shown.scenario_vector
        values = np.sort(vector.to_numpy(dtype=np.float64))[:_SHOWN]
        self._lines.set_segments([np.array([(at, 0.0), (at, value)]) for at, value in enumerate(values)])
        self._lines.set_color([ORANGE] + [BLUE] * max(len(values) - 1, 0))
        low, high = min(*values, 0.0, 0.0), max(*values, 0.0, 0.0)
        room = 0.05 * (high - low or 1.0)
        self.axes.set_xlim(-1.0, max(len(values), 1))
        self.axes.set_ylim(low - room, high + room)
        self.axes.set_ylabel(f"P&L, {shown.numeraire}")
        if not len(values):
            self._caption.set_text("no scenarios in this rule")
            self._foot.set_text("")
            return
        name, pnl = shown.worst_scenario
        name = name if len(name) <= 30 else f"{name[:29]}…"
        self._caption.set_text(f"worst {amount(pnl, shown.numeraire)}: {name}".replace("-", "−"))
        beyond = "" if len(values) == len(vector) else f", {len(values)} worst of {len(vector):,}"
        self._foot.set_text(f"scenarios of the rule by P&L{beyond}")
