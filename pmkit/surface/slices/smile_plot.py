"""Pictures of smiles: the vols of bid and ask as bars, and the curve of the model through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pmkit.core.errors import DataGapError
from pmkit.core.plotting import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_smiles"]

#: Share of the quoted range that a curve goes on beyond it.
_BEYOND = 0.1


def plot_smiles(slices: list[Any], ax: Axes | None = None) -> Axes:
    """Draw implied vol against ln(K/F), one colour an expiry, and return the axes.

    Parameters
    ----------
    slices : list
        Slices with ``at``, ``tau`` and ``expiry``, and quotes: their own ``quotes``, or points of their own.
    ax : Axes, optional
        Those of a new figure where None.

    Raises
    ------
    DataGapError
        No slice.

    Notes
    -----
    A bar reaches from the vol of the bid to that of the ask. A side without a vol gets none: the bar ends at
    the mid. Each curve ends a tenth of its quoted range beyond the outermost quotes.
    """
    if not slices:
        raise DataGapError("no slice to draw", "at least one", "choose an expiry of the surface")
    import matplotlib as mpl

    axes = new_axes(ax, (8.0, 5.0))
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, len(slices)))
    for one, colour in zip(slices, colours, strict=True):
        quotes = getattr(one, "quotes", one)
        reach = _BEYOND * float(quotes.k[-1] - quotes.k[0])
        k = np.linspace(quotes.k[0] - reach, quotes.k[-1] + reach, 400)
        label = one.expiry.strftime("%Y-%m-%d")
        axes.plot(k, 100.0 * np.sqrt(one.at(k) / one.tau), color=colour, linewidth=1.2, label=label)
        mid, below, above = 100.0 * quotes.iv, np.zeros(quotes.k.size), np.zeros(quotes.k.size)
        if hasattr(quotes, "w_bid"):
            bid, ask = (np.sqrt(w / one.tau) * 100.0 for w in (quotes.w_bid, quotes.w_ask))
            below = np.where(quotes.w_bid > 0.0, np.maximum(mid - bid, 0.0), 0.0)
            above = np.where(
                np.isfinite(ask), np.maximum(np.where(np.isfinite(ask), ask, mid) - mid, 0.0), 0.0
            )
        axes.errorbar(
            quotes.k, mid, yerr=np.array([below, above]), fmt=".", markersize=3.0, color=colour,
            elinewidth=0.8, capsize=0.0,
        )  # fmt: skip
    axes.set_xlabel("log-moneyness ln(K/F)")
    axes.set_ylabel("implied vol, % a year")
    axes.legend(title="expiry", fontsize="small", ncols=2 if len(slices) > 6 else 1)
    return axes
