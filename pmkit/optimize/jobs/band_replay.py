"""Drift bands on a path of prices: what they trade, cost and leave unhedged, against what was expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.optimize.jobs.rebalancing import RebalancingBand

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BandReplay", "replay_bands"]

_SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class BandReplay(Result):
    """What drift bands did on one path of prices, a day.

    Attributes
    ----------
    table : DataFrame
        One row a half-width (units of the underlying): ``trades``, ``turnover`` (units), ``cost`` (USD),
        ``error`` (standard deviation of the unhedged profit, USD), ``objective`` (USD), and ``expected_cost``
        and ``expected_error`` by the formula of the band, NaN for a width of 0.
    days : float
    risk_aversion : float
        Per USD.
    """

    table: pd.DataFrame
    days: float
    risk_aversion: float
    references: tuple[str, ...] = ("whalley1997",)

    @property
    def best(self) -> float:
        """Half-width of the least cost plus half the risk aversion times the variance on the path."""
        return float(self.table.index.to_numpy(dtype=np.float64)[int(np.argmin(self.table["objective"]))])

    def check(self) -> None:
        """Raise where a wider band trades more, or the objective is not that of its parts."""
        frame = self.table.sort_index()
        turnover = frame["turnover"].to_numpy(dtype=np.float64)
        parts = frame["cost"] + 0.5 * self.risk_aversion * frame["error"] ** 2
        if (np.diff(turnover) > 1e-9 * turnover.max(initial=0.0)).any() or not np.allclose(
            parts, frame["objective"], rtol=1e-12
        ):
            raise PmkitError("a wider band trades more", "the opposite", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the table rounded."""
        frame = self.table.round(6)
        frame.index.name = f"half-width of the band, {self.days:g} days"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with cost on the path and by the formula against the band, USD a day."""
        axes = new_axes(ax)
        frame = self.table[self.table.index > 0.0].sort_index()
        bands = frame.index.to_numpy(dtype=np.float64)
        axes.plot(bands, frame["cost"].to_numpy(), marker="o", label="on the path")
        axes.plot(bands, frame["expected_cost"].to_numpy(), linestyle="--", label="expected")
        axes.set_xscale("log")
        axes.set(xlabel="half-width of the band, units of underlying", ylabel="cost, USD a day",
                 title="Rebalancing on a path")  # fmt: skip
        axes.legend()
        return axes


def replay_bands(
    band: RebalancingBand,
    prices: npt.ArrayLike,
    *,
    per_day: float = 1.0,
    bands: Sequence[float] | None = None,
    slippage: float = 0.0,
) -> BandReplay:
    """Return what drift bands trade, cost and leave unhedged on a path of prices, per day, USD.

    Use it beside :func:`rebalancing_band`, whose formula holds for prices that move without jumps and are
    watched all the time: a path of closes shows what is left of it.

    Parameters
    ----------
    band : RebalancingBand
        Its gamma is held along the path; its cost rate and risk aversion count.
    prices : array-like, shape (n,)
        Evenly spaced, positive, USD; at least three.
    per_day : float
        Prices a day, positive: 24 for hourly ones.
    bands : sequence of float, optional
        Half-widths in units of the underlying, 0 or more; 0 trades at every price. A quarter to four times
        the best one where None.
    slippage : float
        Extra cost of a trade as a share of its notional per unit traded, 0 or more: a trade of x units at the
        price S costs ``(rate + slippage x) x S``.

    Returns
    -------
    BandReplay

    Raises
    ------
    ParameterError
        A number outside its range, or a band twice.
    DataGapError
        Fewer than three prices, or one that is not positive and finite.

    Notes
    -----
    The drift moves by ``gamma (S_t - S_{t-1})`` and is traded back to the edge at the price that takes it
    beyond. The unhedged profit of a step is the drift at its start times the move; what gamma itself earns is
    not part of it.

    References
    ----------
    Whalley and Wilmott (1997).

    Examples
    --------
    >>> from pmkit.optimize import rebalancing_band
    >>> band = rebalancing_band(0.002, 100.0, 0.5, cost_rate=0.001, risk_aversion=0.1)
    >>> found = replay_bands(band, [100.0, 110.0, 100.0, 90.0], bands=[0.0, 0.015])
    >>> found.table["turnover"].round(4).tolist()
    [0.02, 0.005]
    """
    path = np.asarray(prices, dtype=np.float64)
    widths = np.array([band.best * share for share in _SHARES] if bands is None else list(bands))
    _check(path, widths, per_day, slippage)
    moves = np.diff(path)
    drift = np.zeros(widths.size)
    turnover, cost, trades = np.zeros(widths.size), np.zeros(widths.size), np.zeros(widths.size)
    errors = np.empty((moves.size, widths.size))
    for t, move in enumerate(moves):
        errors[t] = drift * move
        drift = drift + band.gamma * move
        size = np.maximum(np.abs(drift) - widths, 0.0)
        turnover += size
        trades += size > 0.0
        cost += (band.cost_rate + slippage * size) * size * path[t + 1]
        drift -= np.sign(drift) * size
    days = moves.size / per_day
    error = errors.std(axis=0) * np.sqrt(per_day)
    frame = pd.DataFrame(
        {
            "trades": trades / days,
            "turnover": turnover / days,
            "cost": cost / days,
            "error": error,
            "objective": cost / days + 0.5 * band.risk_aversion * error**2,
            "expected_cost": [band.cost(float(h)) if h > 0.0 else np.nan for h in widths],
            "expected_error": [band.error(float(h)) if h > 0.0 else np.nan for h in widths],
        },
        index=pd.Index(widths, name="band"),
    )
    made = BandReplay(table=frame, days=float(days), risk_aversion=band.risk_aversion)
    made.check()
    return made


def _check(path: FloatArray, widths: FloatArray, per_day: float, slippage: float) -> None:
    good = np.isfinite(widths).all() and (widths >= 0.0).all() and np.unique(widths).size == widths.size
    if not (good and widths.size and 0.0 < per_day < np.inf and 0.0 <= slippage < np.inf):
        raise ParameterError(
            f"bands {widths.tolist()}, per_day {per_day!r}, slippage {slippage!r}",
            "distinct half-widths of 0 or more, a positive number of prices a day, a slippage of 0 or more",
            "correct them",
        )
    if path.ndim != 1 or path.size < 3 or not (np.isfinite(path) & (path > 0.0)).all():
        raise DataGapError(
            f"prices of shape {path.shape}, {int((~(np.isfinite(path) & (path > 0.0))).sum())} not positive",
            "three prices or more in one line, all positive and finite",
            "fill the gaps, or cut the path",
        )
