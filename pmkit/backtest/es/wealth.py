"""The path of wealth of a bet against VaR and ES: its product, its crossings and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["THRESHOLDS", "EProcess", "running_wealth"]

_LARGEST_LOG = 700.0  # of wealth, so that it stays finite
THRESHOLDS = (2.0, 5.0, 10.0, 20.0)
"""Wealth whose first crossing is reported."""


def running_wealth(bets: FloatArray, values: FloatArray) -> FloatArray:
    """Return the running product of 1 + bet·(e - 1), from 1/2 a day upwards, held at e^700."""
    logs = np.add.accumulate(np.log1p(bets * (values - 1.0)))
    return np.asarray(np.exp(np.minimum(logs, _LARGEST_LOG)))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EProcess(Result):
    """Wealth of a bet against VaR and ES, day by day: the evidence so far that they are too low.

    Parameters
    ----------
    name : str
        What was bet against, and how.
    wealth : array, shape (n,)
        Wealth after each day, from 1 before the first; non-negative, at most e^700, no unit.
    e_values, bets : array, shape (n,)
        e-value of each day, and the share of wealth bet on it in [0, 0.5]; NaN for an average.
    x : int
        Hits.
    p : float
        Tail probability.
    horizon : float
        Horizon of one loss in days.
    dates : DatetimeIndex or None
        Instants of the days.

    Notes
    -----
    P(wealth ever reaches c) ≤ 1/c for right forecasts (Ville). Wealth below 1 is no evidence for the
    forecasts: a bet against an ES that is too high loses slowly.

    Examples
    --------
    >>> from pmkit.backtest.es_tests import TailSeries, e_process
    >>> loss = [1.0, 3.0, 0.5, 2.5, 4.0, 1.0]
    >>> path = e_process(TailSeries(loss=loss, var=[2.0] * 6, es=[3.0] * 6, level=0.9), betting="gree")
    >>> path.wealth.round(8).tolist()
    [1.0, 1.0, 0.90243902, 1.20687629, 3.75472622, 3.50985277]
    """

    name: str
    wealth: FloatArray
    e_values: FloatArray
    bets: FloatArray
    x: int
    p: float
    horizon: float = 1.0
    dates: pd.DatetimeIndex | None = None
    references: tuple[str, ...] = field(default=("wang2022",))

    @property
    def n(self) -> int:
        """Number of days."""
        return int(self.wealth.size)

    @property
    def final(self) -> float:
        """Wealth after the last day: an e-value for a date fixed beforehand."""
        return float(self.wealth[-1])

    @property
    def largest(self) -> float:
        """Largest wealth so far, at least 1."""
        return max(1.0, float(np.max(self.wealth)))

    @property
    def p_value(self) -> float:
        """Return the p-value 1/largest, valid on any day the path is read."""
        return 1.0 / self.largest

    def crossing(self, threshold: float) -> int | None:
        """Return the first day, from 1, on which wealth reaches ``threshold``, or None."""
        if not threshold > 1.0:
            raise ParameterError(
                f"threshold is {threshold!r}", "a wealth above 1", "pass 1/alpha, such as 20"
            )
        reached = self.wealth >= threshold
        return int(np.argmax(reached)) + 1 if reached.any() else None

    def check(self) -> None:
        """Recompute wealth from bets and e-values (an average has neither).

        Raises
        ------
        ParameterError
            A path that its own bets contradict.
        """
        if np.isnan(self.bets).any():
            return
        if not np.allclose(running_wealth(self.bets, self.e_values), self.wealth, rtol=1e-9):
            raise ParameterError(
                f"{self.name}: wealth is not the product of 1 + bet·(e - 1)",
                "a path that follows from its bets",
                "let e_process build it",
            )

    def summary(self) -> pd.DataFrame:
        """Return one row: days, hits, final and largest wealth, p-value, first day at 2, 5, 10 and 20."""
        row: dict[str, Any] = {"n": self.n, "x": self.x, "final": self.final, "largest": self.largest}
        row["p_value"] = self.p_value
        for threshold in THRESHOLDS:
            day = self.crossing(threshold)
            found: Any = day
            if day is not None and self.dates is not None:
                found = self.dates[day - 1]
            row[f"first_at_{threshold:g}"] = found
        return pd.DataFrame([row], index=pd.Index([self.name], name="process"))

    def to_frame(self) -> pd.DataFrame:
        """Return e-value, bet and wealth of each day."""
        index = pd.RangeIndex(1, self.n + 1, name="day") if self.dates is None else self.dates
        columns: Mapping[str, FloatArray] = {
            "e_value": self.e_values,
            "bet": self.bets,
            "wealth": self.wealth,
        }
        return pd.DataFrame(dict(columns), index=index)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw wealth on a logarithmic axis with the thresholds 2, 5, 10 and 20; return the axes."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(7.0, 3.5))[1] if ax is None else ax
        frame = self.to_frame()
        axes.plot(frame.index, np.maximum(self.wealth, 1e-6), lw=1.2)
        for threshold in THRESHOLDS:
            axes.axhline(threshold, color="0.7", lw=0.7)
        axes.set_yscale("log")
        axes.set_ylabel("wealth (1 at the start)")
        axes.set_xlabel("date" if self.dates is not None else "day")
        axes.set_title(self.name)
        return axes
