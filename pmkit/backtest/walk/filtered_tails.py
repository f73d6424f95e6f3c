"""Filtered simulation with Pareto tails: the middle of the residuals as it was, the ends extrapolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.filtered import FilteredVolatility
from pmkit.backtest.walk.forecast import FitRecord, Forecast, RandomSource
from pmkit.core.types import FloatArray
from pmkit.estimation import TailMargin, fit_margin

__all__ = ["FilteredTails"]


class FilteredTails(FilteredVolatility):
    """``evt``: residuals of the GJR filter by a generalised Pareto law at both ends, ranks as they fell.

    The law of each underlying's residuals is fitted at the refit dates. On every date the residual days of
    the window keep their ranks, so that what fell together falls together; each rank is spread evenly over
    its share of probability (a checkerboard copula) and valued by the fitted law.

    Parameters
    ----------
    window, engine
        As for ``fhs``; the window must hold 20 days in each tail.
    tail_share : float
        Share of the residuals in each tail, above 0 and at most 0.4.

    Notes
    -----
    ``u = (rank - 1 + v) / n`` with ``v`` on an even grid within each rank, in random order for all
    underlyings but the first. The quantile is linear between order statistics, and beyond the thresholds that
    of McNeil and Frey (2000), equation (10).
    """

    name = "evt"

    def __init__(
        self, window: int, *, tail_share: float = 0.10, engine: Literal["arch", "newton"] = "arch"
    ) -> None:
        super().__init__(window, None, engine)
        self.tail_share = tail_share
        self._fitted_on = np.empty((0, 0))
        self._margins: list[TailMargin] = []

    def fit(self, view: AsOfView) -> Sequence[FitRecord]:
        """Fit volatilities, then the tails of their residuals over the window."""
        records = super().fit(view)
        self._fit_tails(self.filtered(view)[1][-self.window :])
        return records

    def _fit_tails(self, residuals: FloatArray) -> None:
        self._fitted_on = residuals
        self._margins = [
            fit_margin(np.ascontiguousarray(residuals[:, at]), self.tail_share)
            for at in range(residuals.shape[1])
        ]

    def get_state(self) -> dict[str, Any]:
        """Return the state of the filter, and the residuals behind the tails, which give the same fit."""
        return {**super().get_state(), "fitted_on": self._fitted_on.tolist()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up the filter, and fit the tails again to the residuals that they were fitted to."""
        super().set_state(state)
        if state["fitted_on"]:
            self._fit_tails(np.array(state["fitted_on"], dtype=np.float64))

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return scenarios of the smoothed residuals at today's volatility."""
        variances, residuals = self.filtered(view)
        window = residuals[-self.window :]
        repeats = -(-n_paths // self.window)
        grid = (np.arange(repeats) + 0.5) / repeats
        pool = np.empty((self.window * repeats, window.shape[1]))
        for at, margin in enumerate(self._margins):
            rank = np.argsort(np.argsort(window[:, at], kind="stable"), kind="stable")
            within = np.tile(grid, (self.window, 1))
            if at > 0:
                within = random("within ranks", view.underlyings[at]).permuted(within, axis=1)
            pool[:, at] = margin.quantile(((rank[:, None] + within) / self.window).reshape(-1))
        moves = self.scenarios(variances, pool, horizon, n_paths, random)
        return Forecast(log_returns=moves, sigma=np.sqrt(variances), history_days=float(self.window))
