"""What the parts of a rule do to one account, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PartEffects"]


@dataclass(frozen=True, kw_only=True, repr=False)
class PartEffects(Result):
    """What the parts of an assembled rule do to one account.

    Attributes
    ----------
    account, rule : str
    table : pandas.DataFrame
        Rows ``base``, each part and tool, ``all``; ``im`` (of a part: its own charge), ``mm``, ``effect``
        (what the requirement loses without it), in the numeraire, which names the index.
    """

    account: str
    rule: str
    table: pd.DataFrame
    references: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise where base and charges do not add up to the whole."""
        total = math.fsum(self.table["im"].iloc[:-1])
        whole = float(self.table["im"].iloc[-1])
        if abs(total - whole) > 1e-9 * (1.0 + abs(whole)):
            raise PmkitError(f"parts off by {total - whole:g}", "a sum", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a part."""
        return self.table.round(8)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with base, parts and the whole as bars, in the numeraire."""
        axes = new_axes(ax)
        axes.barh([str(name) for name in self.table.index], self.table["im"].to_list())
        axes.invert_yaxis()
        axes.set(xlabel=str(self.table.index.name), title=f"{self.account} under {self.rule}")
        return axes
