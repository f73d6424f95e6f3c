"""Models with a GJR-t volatility of their own: filtered historical and parametric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.forecast import FitRecord, Forecast, RandomSource
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation import VolatilityModel, fit_volatility
from pmkit.estimation.univariate.recursion import filter_variance, simulate_paths

__all__ = ["FilteredHistorical", "FilteredVolatility", "ParametricGJR", "t_quantiles"]

_PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")


@dataclass(frozen=True)
class _Recursion:
    """Parameters in force for one underlying, and the variance at which its filter started."""

    params: Mapping[str, float]
    start: float


class FilteredVolatility:
    """GJR-t volatility per underlying: fit or given parameters, filtered from the window of the last fit."""

    name = "filtered"
    #: whether the fitted or given mean of the daily return moves the scenarios
    drift = False

    def __init__(
        self,
        window: int,
        parameters: Mapping[str, Any] | None = None,
        engine: Literal["arch", "newton"] = "arch",
    ) -> None:
        self.window = window
        self.parameters = parameters
        self.engine: Literal["arch", "newton"] = engine
        self.recursions: list[_Recursion] = []
        self._anchor = 0

    def fit(self, view: AsOfView) -> Sequence[FitRecord]:
        """Fit on the last ``window`` returns, or restart the filter with the given parameters."""
        returns = view.returns(self.window)
        index = view.dates(self.window)
        records: list[FitRecord] = []
        recursions: list[_Recursion] = []
        for at, name in enumerate(view.underlyings):
            series = pd.Series(returns[:, at], index=index, name=name)
            if self.parameters is None:
                model = fit_volatility(
                    series,
                    "gjr",
                    "t",
                    annualisation=view.periods_per_year,
                    covariance=False,
                    engine=self.engine,
                )
            else:
                given = _given(self.parameters, name, view.underlyings)
                model = VolatilityModel.from_parameters(
                    given, series, "gjr", "t", annualisation=view.periods_per_year
                )
            params = {key: float(model.params[key]) for key in _PARAMETERS}
            used = model.status != "not_converged" or not self.recursions
            records.append(
                FitRecord(
                    underlying=name,
                    status=model.status,
                    used=used,
                    loglik=model.loglik,
                    flags=model.flags,
                    params=params,
                )
            )
            recursions.append(
                _Recursion(params if used else self.recursions[at].params, float(model.backcast))
            )
        self.recursions = recursions
        self._anchor = view.position - self.window
        return records

    def get_state(self) -> dict[str, Any]:
        """Return the parameters in force and where the filter starts."""
        recursions = [{"params": dict(one.params), "start": one.start} for one in self.recursions]
        return {"anchor": self._anchor, "recursions": recursions}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up the parameters and the start of the filter."""
        self._anchor = state["anchor"]
        self.recursions = [_Recursion(one["params"], one["start"]) for one in state["recursions"]]

    def filtered(self, view: AsOfView) -> tuple[FloatArray, FloatArray]:
        """Return next-day variances (underlyings,) and residuals of the days since the filter's start."""
        known = view.returns()[self._anchor :]
        residuals = np.empty_like(known)
        variances = np.empty(known.shape[1])
        path = np.empty(known.shape[0] + 1)
        for at, recursion in enumerate(self.recursions):
            p = recursion.params
            deviations = np.ascontiguousarray(known[:, at]) - p["mu"]
            filter_variance(deviations, p["omega"], p["alpha"], p["gamma"], p["beta"], recursion.start, path)
            residuals[:, at] = deviations / np.sqrt(path[:-1])
            variances[at] = path[-1]
        return variances, residuals

    def scenarios(
        self, variances: FloatArray, pool: FloatArray, horizon: int, n_paths: int, random: RandomSource
    ) -> FloatArray:
        """Return log returns over the horizon: each day takes every row of the pool equally often."""
        drift = np.array([p.params["mu"] if self.drift else 0.0 for p in self.recursions])
        if horizon == 1:
            moves: FloatArray = np.sqrt(variances) * pool + drift
            return moves
        rows = np.tile(np.arange(pool.shape[0]), -(-n_paths // pool.shape[0]))
        generator = random("residual days")
        days = np.column_stack([rows, *(generator.permutation(rows) for _ in range(horizon - 1))])
        moves = np.empty((rows.size, variances.size))
        step, sigma = np.empty(days.shape), np.empty(days.shape)
        for at, recursion in enumerate(self.recursions):
            p = recursion.params
            draws = np.ascontiguousarray(pool[:, at])[days]
            simulate_paths(
                draws, p["omega"], p["alpha"], p["gamma"], p["beta"], float(variances[at]), step, sigma
            )
            moves[:, at] = np.add.reduce(step, axis=1) + horizon * drift[at]
        return moves


class FilteredHistorical(FilteredVolatility):
    """``fhs``: residual vectors of the window's own days, sent through each underlying's GJR recursion.

    At a horizon of one day each residual of the window is one scenario, without simulation. Beyond it a
    balanced bootstrap is used: on each day of the paths every residual day occurs equally often, in random
    order. The fitted mean is excluded from the scenarios.
    """

    name = "fhs"

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return the scenarios of the window's residuals at today's volatility."""
        variances, residuals = self.filtered(view)
        moves = self.scenarios(variances, residuals[-self.window :], horizon, n_paths, random)
        return Forecast(log_returns=moves, sigma=np.sqrt(variances), history_days=float(self.window))


class ParametricGJR(FilteredVolatility):
    """``gjr-t``: GJR volatility with Student t innovations, of one underlying, its mean included.

    With handed-over parameters this is the true model of data simulated from them. Innovations are
    ``n_paths`` equally probable quantiles of the t law, in random order from the second day on.
    """

    name = "gjr-t"
    drift = True

    def fit(self, view: AsOfView) -> Sequence[FitRecord]:
        """As for the filtered model; joint laws of several underlyings are not defined here."""
        if len(view.underlyings) > 1:
            raise ConventionError(
                f"model 'gjr-t' for a book on {', '.join(view.underlyings)}",
                "one underlying: the model states no dependence between several",
                "use model='fhs', which keeps the days of the history together",
            )
        return super().fit(view)

    def forecast(self, view: AsOfView, *, horizon: int, n_paths: int, random: RandomSource) -> Forecast:
        """Return quantiles of the t law at today's volatility."""
        variances, _ = self.filtered(view)
        pool = t_quantiles(self.recursions[0].params["nu"], n_paths)
        moves = self.scenarios(variances, pool, horizon, n_paths, random)
        return Forecast(log_returns=moves, sigma=np.sqrt(variances), history_days=math.inf)


@lru_cache(maxsize=16)
def t_quantiles(nu: float, count: int) -> FloatArray:
    """Return ``count`` equally probable quantiles of the Student t law of variance 1, shape (count, 1)."""
    levels = (np.arange(count) + 0.5) / count
    quantiles: FloatArray = np.asarray(student_t.ppf(levels, nu)) * math.sqrt((nu - 2.0) / nu)
    quantiles.setflags(write=False)
    column: FloatArray = quantiles.reshape(-1, 1)
    return column


def _given(parameters: Mapping[str, Any], name: str, underlyings: Sequence[str]) -> Mapping[str, float]:
    """Return the handed-over parameters of one underlying: by its name, or bare for a single one."""
    if name in parameters:
        found: Mapping[str, float] = parameters[name]
        return found
    if len(underlyings) == 1 and "omega" in parameters:
        return parameters
    raise ParameterError(
        f"parameters for {', '.join(map(str, parameters)) or 'nothing'}",
        f"omega, alpha, beta, nu (and mu, gamma) of {', '.join(underlyings)}, by name",
        f"pass parameters={{{name!r}: {{'omega': ..., 'alpha': ..., 'beta': ..., 'nu': ...}}}}",
    )
