"""Hedges of least shortfall through time: decided on the past, judged on the days that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.optimize.linear.model import Held, LinearModel
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.terms.shortfall import add_shortfall
from pmkit.optimize.words import number_of
from pmkit.risk import expected_shortfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WalkedHedge", "least_shortfall", "walk_hedge"]


@dataclass(frozen=True, kw_only=True, repr=False)
class WalkedHedge(Result):
    """Hedges decided date by date, and the profit of the days that followed them.

    Attributes
    ----------
    hedges : DataFrame
        Contracts bought by date of decision; a decision sees rows before its date only.
    promised : Series
        Expected shortfall on the window of each decision, USD.
    pnl : DataFrame
        ``unhedged`` and ``hedged`` profit of every date after the first window, USD.
    level : float
    """

    hedges: pd.DataFrame
    promised: pd.Series
    pnl: pd.DataFrame
    level: float
    references: tuple[str, ...] = ("rockafellar2000",)

    def shortfall(self, which: str = "hedged") -> float:
        """Return the expected shortfall of the days that followed, ``hedged`` or ``unhedged``, USD."""
        return float(expected_shortfall(self.pnl[which].to_numpy(dtype=np.float64), self.level).value)

    @property
    def optimism(self) -> float:
        """Shortfall that came less the mean of what was promised, USD."""
        return self.shortfall() - float(self.promised.mean())

    def check(self) -> None:
        """Raise where dates are out of order or without a profit."""
        if not self.pnl.index.is_monotonic_increasing or self.pnl.isna().to_numpy().any():
            raise PmkitError(
                "dates out of order or without profit", "every date once", "report this as a bug"
            )

    def summary(self) -> pd.DataFrame:
        """Return promised and realised shortfall, with and without hedge, USD, and counts."""
        rows = {
            "promised": float(self.promised.mean()),
            "hedged": self.shortfall(),
            "unhedged": self.shortfall("unhedged"),
            "optimism": self.optimism,
            "decisions": float(len(self.hedges)),
            "days": float(len(self.pnl)),
        }
        return pd.DataFrame({"value": rows}).round(6)

    def to_frame(self) -> pd.DataFrame:
        """Return the profit by date."""
        return self.pnl.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the cumulated profit, hedged and not, USD."""
        axes = new_axes(ax)
        for column in self.pnl:
            total = np.cumsum(self.pnl[column].to_numpy(dtype=np.float64))
            axes.plot(np.arange(total.size), total, label=str(column))
        axes.set(
            xlabel="days after the first window",
            ylabel="cumulated profit, USD",
            title="Hedges walked forward",
        )
        axes.legend()
        return axes


def walk_hedge(
    pnl: pd.DataFrame,
    held: pd.Series,
    *,
    most: pd.Series,
    window: int = 250,
    every: int = 20,
    level: float = 0.95,
) -> WalkedHedge:
    """Return hedges that minimise the shortfall of the past window, and what the days after them brought.

    Parameters
    ----------
    pnl : DataFrame, shape (dates, instruments)
        Profit of one contract by date, USD, in order of dates, without NaN.
    held : Series
        Contracts that are held throughout, by instrument; 0 where absent.
    most : Series
        Most contracts of each hedge, bought or sold; instruments that are absent are not traded.
    window : int
        Dates that a decision sees, with at least one beyond the level.
    every : int
        Dates from one decision to the next.
    level : float
        Of the expected shortfall, 0.5 to below 1.

    Returns
    -------
    WalkedHedge

    Raises
    ------
    DataGapError
        NaN, or fewer dates than the window and one step.
    ParameterError
        Names that ``pnl`` does not have, a limit that is not positive and finite, a window without a tail, or
        dates out of order.

    Notes
    -----
    The decision of date t uses the ``window`` rows before it and is held for ``every`` rows from t on. Costs
    are not taken off: a hedge that changes sides at every decision is to be read with them in mind.

    References
    ----------
    Rockafellar and Uryasev (2000), equation 9.
    """
    unit = _checked(pnl, held, most, window, every, level)
    start = held.reindex(pnl.columns).fillna(0.0).to_numpy(dtype=np.float64)
    names = [str(name) for name in pnl.columns if name in most.index]
    at = np.array([list(pnl.columns).index(name) for name in names], dtype=np.int64)
    limit = most.reindex(names).to_numpy(dtype=np.float64)
    dates = range(window, len(pnl), every)
    hedges, promised, after = [], [], np.empty(len(pnl) - window)
    for date in dates:
        value, quantities = least_shortfall(unit[date - window : date], start, at, limit, level)
        hedges.append(quantities)
        promised.append(value)
        total = start.copy()
        total[at] += quantities
        days = unit[date : date + every]
        after[date - window : date - window + len(days)] = np.add.reduce(days * total[None, :], axis=1)
    decided = pnl.index[list(dates)]
    table = {"unhedged": np.add.reduce(unit[window:] * start[None, :], axis=1), "hedged": after}
    made = WalkedHedge(
        hedges=pd.DataFrame(np.array(hedges), index=decided, columns=names),
        promised=pd.Series(promised, index=decided, name="promised"),
        pnl=pd.DataFrame(table, index=pnl.index[window:]),
        level=level,
    )
    made.check()
    return made


def _checked(
    pnl: pd.DataFrame, held: pd.Series, most: pd.Series, window: int, every: int, level: float
) -> FloatArray:
    """Return the profits as an array, or raise."""
    unit = pnl.to_numpy(dtype=np.float64)
    unknown = [str(name) for name in [*held.index, *most.index] if name not in pnl.columns]
    limits = most.to_numpy(dtype=np.float64)
    if unknown or not limits.size or not (np.isfinite(limits) & (limits > 0.0)).all():
        raise ParameterError(
            f"unknown {unknown[0]!r}" if unknown else f"limits {limits.tolist()}",
            "columns of pnl, and positive finite limits",
            "correct held and most",
        )
    tail = (1.0 - level) * window
    if not (0.5 <= level < 1.0 and tail >= 1.0 - 1e-9 and every >= 1 and pnl.index.is_monotonic_increasing):
        raise ParameterError(
            f"window {window}, every {every}, level {level:g}",
            "a window with at least one date beyond a level from 0.5, a step of 1 or more, dates in order",
            "use a longer window or a lower level, or sort the dates",
        )
    if len(pnl) <= window or not np.isfinite(unit).all():
        gaps = int((~np.isfinite(unit)).sum())
        raise DataGapError(
            f"{number_of(len(pnl), 'date')}, {number_of(gaps, 'cell')} without a number",
            f"more than {window} dates and every cell filled",
            "use a longer history, or drop the instruments that lack dates",
        )
    return unit


def least_shortfall(
    past: FloatArray, start: FloatArray, at: IntArray, limit: FloatArray, level: float
) -> tuple[float, FloatArray]:
    """Return the least shortfall on past days and the hedge behind it."""
    model = LinearModel()
    columns = np.array([model.column("hedge", -float(x), float(x)) for x in limit], dtype=np.int64)
    bounds = np.zeros(start.size)
    bounds[at] = limit
    held = Held(start, at, columns, np.ones(at.size), start - bounds, start + bounds)
    weights = np.full(len(past), 1.0 / len(past))
    shortfall, rows = add_shortfall(model, np.ascontiguousarray(past.T), held, weights, level)
    found = solve_linear(model, shortfall, [rows])
    return found.value, found.point[columns]
