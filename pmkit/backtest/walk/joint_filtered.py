"""Filtered historical simulation with a correlation that moves: shocks freed of their day's correlation."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.signal import lfilter

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.filtered import FilteredVolatility
from pmkit.backtest.walk.forecast import Forecast, RandomSource
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.scenarios.joint_paths import joint_paths, whiten

__all__ = ["JointFilteredHistorical"]

_START = 75  # days whose second moment starts the recursion of the correlation


class JointFilteredHistorical(FilteredVolatility):
    """``fhs-joint``: residuals divided by the root of their day's correlation, coloured with today's.

    Volatilities are those of ``fhs``. The correlation of the residuals is exponentially weighted; along paths
    of several days it moves on with them. For one underlying this is ``fhs``.

    Parameters
    ----------
    window, engine
        As for ``fhs``.
    decay : float
        Of the correlation, above 0 and below 1.

    Raises
    ------
    ParameterError
        A decay outside its range.
    """

    name = "fhs-joint"

    def __init__(
        self, window: int, *, decay: float = 0.97, engine: Literal["arch", "newton"] = "arch"
    ) -> None:
        super().__init__(window, None, engine)
        if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay < 1.0:
            raise ParameterError(
                f"decay is {decay!r}", "a number above 0 and below 1", "0.97 is usual for correlations"
            )
        self.decay = float(decay)

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return the window's own shocks at today's volatility and correlation."""
        variances, residuals = self.filtered(view)
        if residuals.shape[1] == 1:  # nothing to free of correlation
            pool = residuals[-self.window :]
            moves = self.scenarios(variances, pool, horizon, n_paths, random)
            return Forecast(log_returns=moves, sigma=np.sqrt(variances), history_days=float(self.window))
        z = np.ascontiguousarray(residuals)
        count = z.shape[1]
        first = np.ascontiguousarray(z[:_START].T)
        begin = np.add.reduce(first[:, None, :] * first[None, :, :], axis=2) / first.shape[1]
        covariances = _weighted(z, begin, self.decay)
        sigma = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        path = np.ascontiguousarray(covariances / sigma[:, :, None] / sigma[:, None, :])
        free = np.empty_like(z)
        whiten(z, np.ones_like(z), path[:-1], free)
        pool = np.ascontiguousarray(free[-self.window :])
        rows = np.arange(self.window, dtype=np.int64)
        if horizon > 1:
            rows = np.tile(rows, -(-n_paths // self.window))
        generator = random("residual days") if horizon > 1 else None
        later = [] if generator is None else [generator.permutation(rows) for _ in range(horizon - 1)]
        drawn = np.ascontiguousarray(np.column_stack([rows, *later]))
        params = np.array(
            [[r.params[key] for key in ("omega", "alpha", "gamma", "beta")] for r in self.recursions]
        )
        paths, levels = np.empty((*drawn.shape, count)), np.empty((*drawn.shape, count))
        news = np.array([1.0 - self.decay, self.decay, 0.0])
        still = np.zeros((count, count))
        joint_paths(
            pool, drawn, np.sqrt(variances), path[-1], params, still, news, False, False, False, paths, levels
        )
        return Forecast(
            log_returns=np.add.reduce(paths, axis=1),
            sigma=np.sqrt(variances),
            history_days=float(self.window),
        )


def _weighted(z: FloatArray, begin: FloatArray, decay: float) -> FloatArray:
    """Return the exponentially weighted second moment before each day and after the last, from ``begin``."""
    products = z[:, :, None] * z[:, None, :]
    after, _ = lfilter([1.0 - decay], [1.0, -decay], products, axis=0, zi=decay * begin[None])
    return np.concatenate([begin[None], after])
