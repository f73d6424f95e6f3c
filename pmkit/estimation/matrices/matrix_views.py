"""A labelled matrix as a reader sees it: one row a pair, or a map of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.plotting import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["correlation_map", "pair_frame"]


def pair_frame(**matrices: pd.DataFrame) -> pd.DataFrame:
    """Return one row a pair, diagonal included: row, column, and a column for each of the matrices."""
    first = next(iter(matrices.values()))
    i, j = np.triu_indices(len(first))
    values = {name: matrix.to_numpy()[i, j] for name, matrix in matrices.items()}
    return pd.DataFrame({"row": first.index.take(i), "column": first.index.take(j), **values})


def correlation_map(correlation: pd.DataFrame, title: str, ax: Axes | None) -> Axes:
    """Return axes with correlations as colours from -1 to 1, labels on both sides."""
    axes = new_axes(ax)
    image = axes.imshow(correlation.to_numpy(), cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    axes.figure.colorbar(image, ax=axes, label="correlation")
    names = [str(label) for label in correlation.index]
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title)
    return axes
