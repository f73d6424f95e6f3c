"""Pictures inside a page: drawn without a window, handed over as text, equal bytes for equal input."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import NamedTuple

from pmkit.report.style import house_style

__all__ = ["Picture", "png_text"]


class Picture(NamedTuple):
    """A picture as base64 text, what it shows in words for those who do not see it, and its caption."""

    png: str
    alt: str
    caption: str


def png_text(draw: Callable[..., object], size: tuple[float, float] = (7.2, 4.2)) -> str:
    """Return a picture as base64 text: no window, no state shared with the caller, no time inside.

    Parameters
    ----------
    draw : callable
        Called with ``ax=``.
    size : tuple of float
        Width and height in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        draw(ax=figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")
