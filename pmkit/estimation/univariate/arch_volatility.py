"""Volatility models that only ``arch`` knows, in the protocol of :class:`VolatilityModel`."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.univariate.arch_fit import (
    SCALE,
    decimal_covariance,
    fit_arch,
    law_of,
    process_of,
    units_of,
)
from pmkit.estimation.univariate.univariate_checks import check_unit, checked_draws
from pmkit.estimation.univariate.volatility import VolatilityModel
from pmkit.estimation.univariate.volatility_forecast import (
    VolatilityForecast,
    check_horizon,
    forecast_of,
    runaway_flags,
    simulated_forecast,
)

__all__ = ["ArchVolatility", "default_start", "fit_through_arch"]

_AT_BOUND = 1e-7
#: a fit this far below the log-likelihood of a constant variance was left by its optimiser where it got lost,
#: whatever the optimiser reports: egarch and tarch have no bound that keeps it from there
_BELOW_CONSTANT = 1.0
#: paths behind a forecast that has no formula
_PATHS = 20_000
#: limits of the variance that never bind: arch's own depend on the whole sample, later returns included
_NO_LIMITS = (1e-300, 1e300)
_PAPERS = {
    "riskmetrics2006": "zumbach2007",
    "tarch": "zakoian1994",
    "egarch": "nelson1991",
    "har": "mueller1997",
    "figarch": "baillie1996",
    "garch": "bollerslev1986",
    "gjr": "glosten1993",
    "ewma": "riskmetrics1996",
}


@dataclass(frozen=True, kw_only=True, repr=False)
class ArchVolatility(VolatilityModel):
    """A volatility model of ``arch`` that is filtered, forecast and simulated like the others.

    Attributes are those of :class:`VolatilityModel`; ``params`` holds the names of the model at hand:

    ========================  =================================================================
    ``tarch``                 ``omega, alpha, gamma, beta`` of the volatility (power 1)
    ``egarch``                ``omega, alpha, gamma, beta`` of the log variance
    ``har``                   ``omega, alpha1, alpha5, alpha22``: HARCH, a regression on squared returns
    ``figarch``               ``omega, phi, d, beta``, truncated at 1000 lags
    ``riskmetrics2006``       none
    ========================  =================================================================

    and ``mu``, 0 where the mean is zero; ``nu`` of the t law; ``eta`` and ``lambda`` of the skewed one. All
    are for decimal returns.

    Attributes
    ----------
    start : ndarray
        Variance at which the recursion starts, one number a component.
    """

    start: FloatArray = field(default_factory=lambda: np.full(1, math.nan))

    @property
    def persistence(self) -> float:
        """Share of a shock left a bar later on average; NaN where the model has no such number."""
        p = self.params
        if self.model == "egarch":
            return float(p["beta"])
        if self.model == "har":
            return float(sum(p[n] for n in p.index if n.startswith("alpha")))
        if self.model in ("garch", "gjr"):
            return float(p["alpha"] + 0.5 * p.get("gamma", 0.0) + p["beta"])
        return 1.0 if self.model in ("ewma", "riskmetrics2006") else math.nan

    def filter(self, returns: pd.Series) -> ArchVolatility:
        """Return the same parameters over another or longer series, without a refit."""
        series = checked_returns(returns, fewest=1)
        check_unit(series)
        path, loglik = _run(series.to_numpy(), self.model, self.dist, self.params, self.start)
        largest = float(max(series.abs().max(), self.returns.abs().max()))
        return replace(
            self,
            status="given",
            std_errors=self.std_errors * math.nan,
            covariance=pd.DataFrame(),
            covariance_kind="none",
            engine="none",
            loglik=loglik,
            flags=(*_flags(self.model, self.params), *runaway_flags(path, largest, self.model)),
            **_path_fields(series, path, self.model, self.dist, "given", self.params, self.start),
        )

    def simulate(
        self, draws: FloatArray, start_sigma: float | None = None, *, drift: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        """Return simulated returns and volatilities of the bars after the sample, by ``arch``.

        Arguments as for :meth:`VolatilityModel.simulate`, but ``start_sigma`` must be absent or equal to
        :attr:`next_sigma`: the state of these models is more than one volatility.
        """
        z = checked_draws(draws)
        if start_sigma is not None and not math.isclose(start_sigma, self.next_sigma, rel_tol=1e-9):
            raise ParameterError(
                f"model is {self.model!r} and start_sigma {start_sigma:.8g}",
                f"next_sigma, {self.next_sigma:.8g}: the state of the model is more than one volatility",
                "leave it out (vol_anchor='filter'), or use model='gjr', which starts at any volatility",
            )
        if self.model == "riskmetrics2006":
            return self._simulate_mixture(z, float(self.params["mu"]) if drift else 0.0)
        forecast = self._ahead(z.shape[1], "simulation", z)
        moves = np.ascontiguousarray(forecast.shocks[0]) / SCALE
        sigma = np.sqrt(np.ascontiguousarray(forecast.forecast_paths[0])) / SCALE
        return (moves + self.params["mu"] if drift else moves), sigma

    def forecast(self, horizon: int, *, seed: int = 20260801) -> VolatilityForecast:
        """Return the volatility of each of the next ``horizon`` bars and of their sum.

        By arch's formula where there is one; ``tarch``, ``egarch`` and skewed asymmetric models take 20,000
        paths of the sample's own residuals, drawn with ``seed``, and the result holds their standard error.

        Raises
        ------
        ParameterError
            A horizon that is no whole number from 1 on; simulated variances that overflow.

        Warns
        -----
        ThinTailWarning
            A few simulated paths carry the mean: exponential recursions of heavy residuals run away. The
            notes say from which bar on.
        """
        ahead = check_horizon(horizon)
        if self.model == "riskmetrics2006":
            return forecast_of(self._expected_mixture(ahead), self.bars_per_year, "recursion", self.flags)
        simulated = self.model in ("tarch", "egarch") or (self.model == "gjr" and self.dist == "skewt")
        if ahead == 1 or not simulated:
            variances = np.asarray(self._ahead(ahead, "analytic").forecasts)[-1] / SCALE**2
            return forecast_of(variances, self.bars_per_year, "formula of arch", self.flags)
        pool = self.residuals.to_numpy()
        rows = stream(seed, "forecast").integers(0, pool.size, size=(_PATHS, ahead))
        with np.errstate(over="ignore"):
            paths = self.simulate(pool[rows])[1] ** 2
        return simulated_forecast(paths, self.bars_per_year, self.flags, self.model)

    def summary(self) -> pd.DataFrame:
        """Return one row a parameter: value and standard error; then persistence, volatility, likelihood."""
        frame = pd.DataFrame({"value": self.params, "std_error": self.std_errors})
        extra = {
            "persistence": self.persistence,
            "next annual sigma": self.next_sigma * math.sqrt(self.bars_per_year),
            "log-likelihood": self.loglik,
        }
        frame = pd.concat([frame, pd.DataFrame({"value": extra, "std_error": math.nan})])
        frame.index.name = f"{self.model}-{self.dist}, {len(self.returns)} returns, {self.status}"
        return frame

    def _simulate_mixture(self, z: FloatArray, mu: float) -> tuple[FloatArray, FloatArray]:
        """Return paths of the mixture of EWMAs: each component goes on from its own level."""
        levels, weights, decays = self._components()
        parts = np.tile(levels, (z.shape[0], 1))
        moves, sigma = np.empty_like(z), np.empty_like(z)
        for k in range(z.shape[1]):
            sigma[:, k] = np.sqrt(np.add.reduce(parts * weights, axis=1))
            moves[:, k] = sigma[:, k] * z[:, k]
            parts = decays * parts + (1.0 - decays) * (moves[:, k] ** 2)[:, None]
        return moves + mu, sigma

    def _expected_mixture(self, horizon: int) -> FloatArray:
        """Return expected variances: each component moves towards the mixture."""
        levels, weights, decays = self._components()
        variances = np.empty(horizon)
        for k in range(horizon):
            variances[k] = np.add.reduce(weights * levels)
            levels = decays * levels + (1.0 - decays) * variances[k]
        return variances

    def _components(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return level after the sample, weight and decay of each EWMA in the mixture."""
        times = 4.0 * math.sqrt(2.0) ** np.arange(self.start.size)
        weights = 1.0 - np.log(times) / math.log(1560.0)
        decays = np.exp(-1.0 / times)
        levels = self.start.copy()
        for e in self.returns.to_numpy() - self.params["mu"]:
            levels = decays * levels + (1.0 - decays) * (e * e)
        return levels, weights / np.add.reduce(weights), decays

    def _ahead(self, horizon: int, method: Any, draws: FloatArray | None = None) -> Any:
        """Return arch's forecast from the end of the sample, in percent."""
        process = process_of(self.model)
        _, recursion, _ = _split(self.model, self.dist, self.params)
        deviations = SCALE * (self.returns.to_numpy() - self.params["mu"])
        return process.forecast(
            recursion,
            deviations,
            _backcast(process, self.start),
            _limits(deviations.size),
            start=deviations.size - 1,
            horizon=horizon,
            method=method,
            simulations=1 if draws is None else draws.shape[0],
            rng=None if draws is None else lambda _size: draws,
        )


def default_start(model: str, deviations: FloatArray) -> FloatArray:
    """Return arch's start of the recursion as variances in decimal units, one a component.

    The start of ``riskmetrics2006`` averages over up to as many bars as the memory of each component.
    """
    found = process_of(model).backcast(SCALE * deviations)
    if model == "tarch":
        found = np.square(found)  # a mean absolute deviation
    elif model == "egarch":
        found = np.exp(found)  # a log variance
    return np.atleast_1d(np.asarray(found, dtype=np.float64)) / SCALE**2


def fit_through_arch(
    series: pd.Series,
    model: str,
    dist: str,
    mean: str,
    start: float | None,
    covariance: str,
    settings: dict[str, Any],
    warm: pd.Series | None = None,
) -> ArchVolatility:
    """Return the model fitted by ``arch``; arguments as checked by :func:`fit_volatility`.

    ``warm`` holds parameters of an earlier fit at which the optimiser starts.
    """
    values = series.to_numpy()
    deviations = values - (float(np.mean(values)) if mean == "constant" else 0.0)
    starts = default_start(model, deviations)
    if start is not None:
        starts = np.full(starts.size, float(start))
    begin = None
    if warm is not None:
        begin = np.concatenate(_split(model, dist, warm))[0 if mean == "constant" else 1 :]
    found = fit_arch(
        values,
        model,
        dist,
        mean,
        starts if starts.size > 1 else float(starts[0]),
        begin,
        covariance or "robust",
    )
    names = [_short(n, model) for n in found.params.index]
    A, c = units_of(model, names)
    estimated = pd.Series(A @ found.params.to_numpy() + c, index=pd.Index(names))
    params = estimated if "mu" in names else pd.concat([pd.Series({"mu": 0.0}), estimated])
    errors, cov = params * math.nan, pd.DataFrame()
    if covariance and names:
        cov = decimal_covariance(found, names, model)
        with np.errstate(invalid="ignore"):
            errors[names] = np.sqrt(np.diag(cov.to_numpy()))
    status = _status(found, model, SCALE * deviations)
    path, _ = _run(values, model, dist, params, starts)
    lost = runaway_flags(path, float(np.abs(values).max()), model)
    status = "not_converged" if lost else status
    return ArchVolatility(
        model=model,  # type: ignore[arg-type]
        dist=dist,  # type: ignore[arg-type]
        std_errors=errors,
        covariance=cov,
        covariance_kind=covariance if covariance and names else "none",
        engine="arch" if names else "none",
        loglik=float(found.loglikelihood) + len(values) * math.log(SCALE),
        status=status,
        flags=(
            *(("the optimiser did not converge",) if status == "not_converged" and not lost else ()),
            *lost,
            *_flags(model, params),
        ),
        references=_papers(model, dist),
        **_path_fields(series, path, model, dist, status, params, starts),
        **settings,
    )


def _path_fields(
    series: pd.Series,
    path: FloatArray,
    model: str,
    dist: str,
    status: str,
    params: pd.Series,
    start: FloatArray,
) -> dict[str, Any]:
    """Return the attributes that follow from the filtered variances, one longer than the returns."""
    sigma = np.sqrt(path)
    values = series.to_numpy()
    return {
        "params": params,
        "returns": series,
        "sigma": pd.Series(sigma[:-1], index=series.index, name="sigma"),
        "residuals": pd.Series((values - params["mu"]) / sigma[:-1], index=series.index, name="residual"),
        "next_sigma": float(sigma[-1]),
        "start": start,
        "backcast": float(np.add.reduce(start) / start.size),
        "provenance": Provenance(
            method=f"estimation.volatility {model}-{dist}, {status}",
            data={"returns": fingerprint(values), "start": fingerprint(start)},
            parameters={str(k): float(v) for k, v in params.items()},
        ),
    }


def _papers(model: str, dist: str) -> tuple[str, ...]:
    """Return the papers behind recursion and law."""
    return (_PAPERS[model], "hansen1994") if dist == "skewt" else (_PAPERS[model],)


def _short(name: Any, model: str) -> str:
    """Return arch's parameter name without brackets: alpha[1] is alpha, or alpha1 beside alpha5."""
    text = str(name)
    return text.replace("[", "").replace("]", "") if model == "har" else text.replace("[1]", "")


def _split(model: str, dist: str, params: pd.Series) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, recursion and law parameters in arch's order and percent units."""
    names = [str(n) for n in params.index]
    A, c = units_of(model, names)
    percent: FloatArray = np.linalg.solve(A, params.to_numpy(dtype=np.float64) - c).astype(np.float64)
    law = len(law_of(dist).parameter_names())
    return percent[:1], percent[1 : len(names) - law], percent[len(names) - law :]


def _backcast(process: Any, start: FloatArray) -> Any:
    return process.backcast_transform(SCALE**2 * (start if start.size > 1 else float(start[0])))


def _limits(rows: int) -> FloatArray:
    return np.ascontiguousarray(np.tile(np.array(_NO_LIMITS), (rows, 1)))


def _run(
    values: FloatArray, model: str, dist: str, params: pd.Series, start: FloatArray
) -> tuple[FloatArray, float]:
    """Return variances of every bar and the one after the sample, and the log-likelihood, decimal units."""
    process = process_of(model)
    _, recursion, law = _split(model, dist, params)
    deviations = np.append(SCALE * (values - params["mu"]), 0.0)
    out = np.zeros(deviations.size)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        path = process.compute_variance(
            recursion, deviations, out, _backcast(process, start), _limits(deviations.size)
        )
        each = law_of(dist).loglikelihood(law, deviations[:-1], path[:-1], individual=True)
        total = float(np.add.reduce(each))  # -inf where a recursion without bounds runs away
    return np.asarray(path) / SCALE**2, total + values.size * math.log(SCALE)


def _status(found: Any, model: str, deviations: FloatArray) -> str:
    """Return how the fit ended; one below a constant variance has not converged."""
    if int(getattr(found, "convergence_flag", 0)) != 0:
        return "not_converged"
    process = process_of(model)
    names = process.parameter_names()
    if len(names) and float(found.loglikelihood) < _constant_loglik(deviations) - _BELOW_CONSTANT:
        return "not_converged"
    recursion = found.params[names].to_numpy()
    A, b = process.constraints()
    room = [float(r) for r in A @ recursion - b] if len(names) else []
    for value, (low, high) in zip(recursion, process.bounds(deviations), strict=True):
        room += [value - low, high - value]
    return "at_bound" if room and min(room) < _AT_BOUND else "ok"


def _constant_loglik(deviations: FloatArray) -> float:
    """Return the normal log-likelihood of one constant variance, which every estimated recursion nests."""
    mean_square = float(np.add.reduce(deviations**2)) / deviations.size
    return -0.5 * deviations.size * (math.log(2.0 * math.pi * mean_square) + 1.0)


def _flags(model: str, params: pd.Series) -> tuple[str, ...]:
    """Return in words what the parameters imply for moments and long horizons."""
    flags = []
    if model in ("ewma", "riskmetrics2006"):
        flags.append("integrated by construction: there is no long-run level to which forecasts return")
    if model == "figarch":
        flags.append(
            f"long memory, d = {params['d']:.3f}: shocks die out hyperbolically, no unconditional variance"
        )
    if model == "egarch" and params["beta"] >= 0.9999:
        flags.append(f"integrated: beta = {params['beta']:.4f}, so the log variance returns to no level")
    if model in ("garch", "gjr"):
        total = params["alpha"] + 0.5 * params.get("gamma", 0.0) + params["beta"]
        if total >= 0.9999:
            flags.append(
                f"integrated: alpha + gamma/2 + beta = {total:.4f}, so there is no unconditional variance"
            )
    if model == "har" and sum(params[n] for n in params.index if n.startswith("alpha")) >= 0.9999:
        flags.append("integrated: the coefficients sum to 1, so there is no unconditional variance")
    tail = params.get("nu", params.get("eta", math.inf))
    if tail <= 4.0:
        flags.append(f"nu = {tail:.2f}: no fourth moment, so standard errors from moments do not hold")
    return tuple(flags)
