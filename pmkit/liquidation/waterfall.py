"""Who pays for a loss beyond an account's equity: fund, other side, everyone, in this order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin.accounts.numbers import checked_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Waterfall", "waterfall"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Waterfall(Result):
    """A loss shared out layer by layer.

    Attributes
    ----------
    loss : float
        Loss to be covered, USD, positive.
    table : pandas.DataFrame
        One row a layer in order: ``available`` (USD, infinite for none), ``paid``, ``left`` (loss after it).
    """

    loss: float
    table: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.waterfall"))
    references: tuple[str, ...] = ()

    @property
    def uncovered(self) -> float:
        """Loss that no layer pays, USD."""
        return float(self.table["left"].iloc[-1])

    def check(self) -> None:
        """Raise where payments and what is left miss the loss."""
        gap = math.fsum(self.table["paid"]) + self.uncovered - self.loss
        if abs(gap) > 1e-9 * max(1.0, self.loss):
            raise PmkitError(f"waterfall off by {gap:g}", "a sum", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a layer, USD."""
        frame = self.table.copy()
        frame.index.name = f"loss {self.loss:g} USD"
        return frame.round(8)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with what each layer pays, USD."""
        axes = new_axes(ax)
        axes.barh([str(name) for name in self.table.index], self.table["paid"].to_list())
        axes.invert_yaxis()
        axes.set(xlabel="USD", title=f"who pays {self.loss:,.6g} USD")
        return axes


def waterfall(loss: float, layers: Mapping[str, float]) -> Waterfall:
    """Return what each layer pays of a loss in USD, in the order given.

    Parameters
    ----------
    loss : float
        USD, 0 or more.
    layers : mapping of str to float
        What each layer can pay, USD, 0 or more; infinite for one that pays whatever is left, such as a
        socialised loss. In the order in which they pay.

    Returns
    -------
    Waterfall

    Raises
    ------
    ParameterError
        A negative loss or layer.
    DataGapError
        No layer.

    Notes
    -----
    The usual order of a venue: the client's equity, better prices and fees kept at liquidation, the insurance
    fund, profit given up in auto-deleveraging, then the rest is shared by those in profit.

    Examples
    --------
    >>> found = waterfall(100.0, {"equity": 30.0, "insurance fund": 50.0, "socialised": float("inf")})
    >>> found.table["paid"].to_list(), found.uncovered
    ([30.0, 50.0, 20.0], 0.0)
    """
    left = checked_number("loss", loss, low=0.0, unit="of USD")
    if not layers:
        raise DataGapError("there is no layer", "at least one", "name who pays")
    rows = {}
    for name, available in layers.items():
        if available != math.inf:
            checked_number(f"layer {name!r}", available, low=0.0, unit="of USD")
        paid = min(available, left)
        left -= paid
        rows[name] = {"available": available, "paid": paid, "left": left}
    return Waterfall(
        loss=loss,
        table=pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer"),
        provenance=Provenance(method="liquidation.waterfall", parameters={"layers": dict(layers)}),
    )
