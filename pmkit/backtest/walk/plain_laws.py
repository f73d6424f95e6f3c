"""Models that fit nothing: the window as it was, and a normal law by exponential weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.forecast import FitRecord, Forecast, RandomSource
from pmkit.core.errors import ParameterError

__all__ = ["ExponentialNormal", "PlainHistorical", "Unfitted"]


class Unfitted:
    """What models share that estimate nothing and remember nothing."""

    def fit(self, view: AsOfView) -> Sequence[FitRecord]:
        """Nothing to fit."""
        return ()

    def get_state(self) -> dict[str, Any]:
        """Return nothing: the window is all that counts."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


class PlainHistorical(Unfitted):
    """``hs``: the overlapping returns over the horizon of the window, as they were."""

    name = "hs"

    def __init__(self, window: int) -> None:
        self.window = window

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return the window's returns over ``horizon`` days, and its sample volatility."""
        daily = view.returns(self.window)
        moves = np.lib.stride_tricks.sliding_window_view(daily, horizon, axis=0)
        return Forecast(
            log_returns=np.add.reduce(moves, axis=2),
            sigma=np.std(daily, axis=0, ddof=1),
            history_days=float(self.window),
        )


class ExponentialNormal(Unfitted):
    """``ewma-normal``: joint normal returns of mean 0, with the window's exponentially weighted covariance.

    The covariance of the horizon is that of a day times the days. Each underlying takes ``n_paths`` equally
    probable quantiles before they are correlated, in random order for all but the first.

    Parameters
    ----------
    window : int
    decay : float
        Above 0 and below 1.

    Raises
    ------
    ParameterError
        A decay outside its range.
    """

    name = "ewma-normal"

    def __init__(self, window: int, *, decay: float = 0.94) -> None:
        if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay < 1.0:
            raise ParameterError(
                f"decay is {decay!r}", "a number above 0 and below 1", "0.94 is usual for days"
            )
        self.window = window
        self.decay = float(decay)

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return quantiles of the normal law at today's covariance."""
        daily = np.ascontiguousarray(view.returns(self.window).T)
        weights = self.decay ** np.arange(self.window - 1, -1, -1.0)
        weights /= np.add.reduce(weights)
        covariance = np.add.reduce(weights * daily[:, None, :] * daily[None, :, :], axis=2)
        quantiles = norm.ppf((np.arange(n_paths) + 0.5) / n_paths)
        count = daily.shape[0]
        shocks = np.empty((n_paths, count))
        shocks[:, 0] = quantiles
        for at in range(1, count):
            shocks[:, at] = random("normal days", view.underlyings[at]).permutation(quantiles)
        root = np.linalg.cholesky(covariance * horizon)
        moves = np.zeros((n_paths, count))
        for at in range(count):
            for source in range(at + 1):
                moves[:, at] += root[at, source] * shocks[:, source]
        return Forecast(log_returns=moves, sigma=np.sqrt(np.diagonal(covariance)), history_days=math.inf)
