"""Conditional volatility of one return series: parameters, filtered path, forecast and simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.univariate.bars import DAY, check_bar
from pmkit.estimation.univariate.parameters import (
    PARAMETERS,
    check_backcast,
    check_params,
    check_words,
    flags_of,
)
from pmkit.estimation.univariate.recursion import (
    filter_variance,
    simulate_paths,
    start_variance,
)
from pmkit.estimation.univariate.univariate_checks import check_unit, checked_draws
from pmkit.estimation.univariate.volatility_forecast import (
    VolatilityForecast,
    recursion_forecast,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Distribution", "Model", "VolatilityModel", "filtered", "log_likelihood"]

Model = Literal["gjr", "garch", "ewma", "riskmetrics2006", "tarch", "egarch", "har", "figarch"]
Distribution = Literal["t", "normal", "skewt"]


@dataclass(frozen=True, kw_only=True, repr=False)
class VolatilityModel(Result):
    """Volatility recursion of one return series: parameters, filtered path and standardised residuals.

    Attributes
    ----------
    model : {"gjr", "garch", "ewma"}
        Other models come as :class:`~pmkit.estimation.univariate.arch_volatility.ArchVolatility`,
        with the same methods.
    dist : {"t", "normal"}
    params : pandas.Series
        ``mu, omega, alpha, gamma, beta, nu`` for decimal returns; ``gamma`` is 0 and ``nu`` infinite where
        the model has none.
    std_errors : pandas.Series
        Standard errors, same order and units; NaN for what was not estimated.
    covariance : pandas.DataFrame
        Of the estimated parameters; empty where none was estimated.
    covariance_kind : {"robust", "classic", "none"}
        Robust (Bollerslev–Wooldridge) holds for any law of the residuals; classic is the inverse of minus the
        Hessian.
    engine : {"arch", "newton", "none"}
        Who maximised the likelihood; ``none`` where parameters were given or nothing is estimated.
    loglik : float
        Log-likelihood of the decimal returns.
    status : {"ok", "at_bound", "not_converged", "given"}
        ``given``: the parameters were handed over and not fitted to ``returns``.
    flags : tuple of str
        What a reader must know about the fit: an integrated variance, an infinite fourth moment, a parameter
        at its bound.
    returns, sigma, residuals : pandas.Series
        Decimal returns; conditional volatility of a bar, where ``sigma[t]`` knows bars before t only; and
        ``(returns - mu) / sigma``.
    next_sigma : float
        Volatility of the first bar after the sample.
    backcast : float
        Variance at which the recursion starts, squared decimal units.
    annualisation : int
        Days a year: 365 for markets that never close, 252 for exchanges with trading days.
    bar : str
        Length of a bar, ``"1d"`` or for example ``"1h"``.
    bars_per_year : float
        Bars a year, behind :attr:`annual_sigma`.

    Notes
    -----
    ``sigma[t]^2 = omega + (alpha + gamma 1{e[t-1] < 0}) e[t-1]^2 + beta sigma[t-1]^2`` with ``e = returns -
    mu``.

    References
    ----------
    Glosten, Jagannathan and Runkle (1993), equation (8a).
    """

    model: Model
    dist: Distribution
    params: pd.Series
    std_errors: pd.Series
    covariance: pd.DataFrame
    loglik: float
    status: str
    flags: tuple[str, ...]
    returns: pd.Series
    sigma: pd.Series
    residuals: pd.Series
    next_sigma: float
    backcast: float
    annualisation: int = 365
    bar: str = DAY
    bars_per_year: float = math.nan
    engine: str = "none"
    covariance_kind: str = "none"
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_volatility"))
    references: tuple[str, ...] = ("glosten1993",)

    def __post_init__(self) -> None:
        if math.isnan(self.bars_per_year):
            object.__setattr__(self, "bars_per_year", check_bar(self.bar, None, self.annualisation))

    @classmethod
    def from_parameters(
        cls,
        params: Mapping[str, float] | pd.Series,
        returns: pd.Series,
        model: Model = "gjr",
        dist: Distribution = "t",
        *,
        backcast: float | None = None,
        annualisation: int = 365,
        bar: str = DAY,
        bars_per_year: float | None = None,
    ) -> VolatilityModel:
        """Return the model with known parameters filtered over ``returns``; nothing is fitted.

        Parameters
        ----------
        params : mapping or Series
            ``omega``, ``alpha`` and ``beta`` in decimal-return units; ``mu`` and ``gamma`` are 0 and ``nu``
            is infinite where absent.
        returns : Series
            Decimal returns, as for :func:`fit_volatility`, but any number of rows from 1 on.
        model, dist : str
            Labels; a ``garch`` or ``ewma`` model takes no ``gamma``.
        backcast : float, optional
            Variance at which the recursion starts; from the first 75 returns where None.
        annualisation : int
            Days a year.
        bar, bars_per_year : str and float, optional
            As for :func:`fit_volatility`.

        Raises
        ------
        ParameterError
            A parameter is missing, unknown or outside its range.

        Examples
        --------
        >>> r = pd.Series([0.01, -0.02, 0.015], index=pd.date_range("2023-01-01", periods=3))
        >>> known = {"omega": 2e-5, "alpha": 0.1, "beta": 0.85}
        >>> round(VolatilityModel.from_parameters(known, r, model="garch", dist="normal").next_sigma, 6)
        0.016292
        """
        check_words(model, dist, annualisation, models=("gjr", "garch", "ewma"), dists=("t", "normal"))
        bars = check_bar(bar, bars_per_year, annualisation)
        series = checked_returns(returns, fewest=1)
        check_unit(series)
        full = check_params(dict(params), model, dist)
        start = check_backcast(backcast)
        if start is None:
            values = series.to_numpy()
            start = start_variance(values - float(np.mean(values)))
        nan = pd.Series(math.nan, index=pd.Index(PARAMETERS))
        return filtered(
            cls,
            params=full,
            std_errors=nan,
            covariance=pd.DataFrame(),
            status="given",
            flags=flags_of(full),
            series=series,
            model=model,
            dist=dist,
            start=start,
            annualisation=annualisation,
            bar=bar,
            bars_per_year=bars,
            loglik=None,
        )

    @property
    def annual_sigma(self) -> pd.Series:
        """Conditional volatility per year: ``sigma`` times the root of :attr:`bars_per_year`."""
        return self.sigma * math.sqrt(self.bars_per_year)

    @property
    def persistence(self) -> float:
        """``alpha + gamma/2 + beta``: the share of a variance shock that is left a day later on average."""
        p = self.params
        return float(p["alpha"] + 0.5 * p["gamma"] + p["beta"])

    def filter(self, returns: pd.Series) -> VolatilityModel:
        """Return the same parameters over another or longer series, without a refit.

        The recursion starts at this model's :attr:`backcast`, so that a series that begins with the fitted
        one gives the same volatilities there.
        """
        return VolatilityModel.from_parameters(
            self.params,
            returns,
            self.model,
            self.dist,
            backcast=self.backcast,
            annualisation=self.annualisation,
            bar=self.bar,
            bars_per_year=self.bars_per_year,
        )

    def forecast(self, horizon: int) -> VolatilityForecast:
        """Return the volatility of each of the next ``horizon`` bars and of their sum.

        Parameters
        ----------
        horizon : int
            Bars, 1 or more.

        Notes
        -----
        ``E sigma[T+k+1]^2 = omega + (alpha + gamma/2 + beta) E sigma[T+k]^2`` for a law with half its
        variance below zero; the result says what an integrated variance or infinite moments mean.
        """
        return recursion_forecast(self.params, self.next_sigma, horizon, self.bars_per_year)

    def simulate(
        self, draws: FloatArray, start_sigma: float | None = None, *, drift: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        """Return simulated daily returns and volatilities along paths of standardised residuals.

        Parameters
        ----------
        draws : ndarray, shape (paths, days)
            Standardised residuals, mean about 0 and variance about 1.
        start_sigma : float, optional
            Daily volatility of the first day, above 0; :attr:`next_sigma` where None.
        drift : bool
            Whether ``mu`` is added to each day's return.

        Returns
        -------
        returns, sigma : ndarray, shape (paths, days)
            Decimal returns and the volatility behind each.

        Raises
        ------
        ParameterError
            Draws of another shape or not finite, or a start that is not positive.
        """
        z = checked_draws(draws)
        start = self.next_sigma if start_sigma is None else float(start_sigma)
        if not (math.isfinite(start) and start > 0.0):
            raise ParameterError(
                f"start_sigma is {start!r}",
                "a positive daily volatility",
                "divide an annual one by sqrt(365)",
            )
        p = self.params
        moves, sigma = np.empty_like(z), np.empty_like(z)
        simulate_paths(z, p["omega"], p["alpha"], p["gamma"], p["beta"], start * start, moves, sigma)
        return (moves + p["mu"] if drift else moves), sigma

    def check(self) -> None:
        """Raise where volatility is not positive, or mean + volatility x residual is not the return."""
        rebuilt = self.params["mu"] + self.sigma * self.residuals
        worst = float((rebuilt - self.returns).abs().max())
        if not (float(self.sigma.min()) > 0.0 and worst <= 1e-12 * float(self.returns.abs().max())):
            raise PmkitError(
                f"residuals are off by {worst:g}", "mu + sigma z = return", "report this as a bug"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the conditional volatility, per cent a year, over the sample."""
        axes = new_axes(ax)
        sigma = self.annual_sigma
        axes.plot(sigma.index.to_numpy(), 100.0 * sigma.to_numpy())
        axes.set(
            xlabel="date",
            ylabel="conditional volatility, % a year",
            title=f"{self.model}-{self.dist}, {self.status}",
        )
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row a parameter: value and standard error; then persistence, volatilities and status."""
        rows: dict[str, dict[str, Any]] = {
            name: {"value": self.params[name], "std_error": self.std_errors[name]} for name in PARAMETERS
        }
        root = math.sqrt(self.bars_per_year)
        extra = {
            "persistence": self.persistence,
            "next annual sigma": self.next_sigma * root,
            "log-likelihood": self.loglik,
        }
        rows |= {name: {"value": value, "std_error": math.nan} for name, value in extra.items()}
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"{self.model}-{self.dist}, {len(self.returns)} returns, {self.status}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a day: return, sigma (daily), residual."""
        return pd.DataFrame({"return": self.returns, "sigma": self.sigma, "residual": self.residuals})


def filtered(
    cls: type[VolatilityModel],
    *,
    params: pd.Series,
    series: pd.Series,
    start: float,
    loglik: float | None,
    **rest: Any,
) -> VolatilityModel:
    """Return the model with its recursion run over ``series``."""
    values = series.to_numpy()
    deviations = values - params["mu"]
    variance = np.empty(values.size + 1)
    p = params
    filter_variance(deviations, p["omega"], p["alpha"], p["gamma"], p["beta"], start, variance)
    sigma = np.sqrt(variance)
    if loglik is None:
        loglik = log_likelihood(deviations, sigma[:-1], float(p["nu"]))
    label = f"estimation.volatility {rest['model']}-{rest['dist']}, {rest['status']}"
    if rest.get("engine") == "newton":
        label += ", newton"
    setting = {} if rest["bar"] == DAY else {"bar": rest["bar"], "bars_per_year": rest["bars_per_year"]}
    record = Provenance(
        method=label,
        data={"returns": fingerprint(values)},
        parameters={**{str(k): float(v) for k, v in params.items()}, "backcast": start, **setting},
    )
    return cls(
        params=params,
        loglik=loglik,
        returns=series,
        sigma=pd.Series(sigma[:-1], index=series.index, name="sigma"),
        residuals=pd.Series(deviations / sigma[:-1], index=series.index, name="residual"),
        next_sigma=float(sigma[-1]),
        backcast=start,
        provenance=record,
        **rest,
    )


def log_likelihood(deviations: FloatArray, sigma: FloatArray, nu: float) -> float:
    """Return the log-likelihood of normal (``nu`` infinite) or unit-variance Student t deviations."""
    z2 = (deviations / sigma) ** 2
    if math.isinf(nu):
        each = -0.5 * (math.log(2.0 * math.pi) + z2) - np.log(sigma)
    else:
        constant = math.lgamma(0.5 * (nu + 1)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
        each = constant - 0.5 * (nu + 1) * np.log1p(z2 / (nu - 2.0)) - np.log(sigma)
    return float(np.sum(each))
