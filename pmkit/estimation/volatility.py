"""Conditional volatility of one return series: fitted through ``arch``, filtered and simulated here."""

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
from pmkit.estimation.arch_fit import SCALE, decimal_covariance, decimal_params, fit_arch
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.parameters import PARAMETERS, check_backcast, check_params, check_words, flags_of
from pmkit.estimation.recursion import filter_variance, simulate_paths, start_variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VolatilityModel", "fit_volatility"]

Model = Literal["gjr", "garch", "ewma"]
Distribution = Literal["t", "normal"]

_FEWEST = 100


@dataclass(frozen=True, kw_only=True, repr=False)
class VolatilityModel(Result):
    """Volatility recursion of one return series: parameters, filtered path and standardised residuals.

    Attributes
    ----------
    model : {"gjr", "garch", "ewma"}
    dist : {"t", "normal"}
    params : pandas.Series
        ``mu, omega, alpha, gamma, beta, nu`` for decimal returns; ``gamma`` is 0 and ``nu`` infinite where
        the model has none.
    std_errors : pandas.Series
        Robust (Bollerslev–Wooldridge) standard errors as ``arch`` gives them, same order and units; NaN for
        what was not estimated.
    covariance : pandas.DataFrame
        Of the estimated parameters; empty where none was estimated.
    loglik : float
        Log-likelihood of the decimal returns.
    status : {"ok", "at_bound", "not_converged", "given"}
        ``given``: the parameters were handed over and not fitted to ``returns``.
    flags : tuple of str
        What a reader must know about the fit: an integrated variance, an infinite fourth moment, a parameter
        at its bound.
    returns, sigma, residuals : pandas.Series
        Decimal returns; conditional daily volatility, where ``sigma[t]`` knows days before t only; and
        ``(returns - mu) / sigma``.
    next_sigma : float
        Daily volatility of the first day after the sample.
    backcast : float
        Variance at which the recursion starts, squared decimal units.
    annualisation : int
        Days a year behind :attr:`annual_sigma`.

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
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_volatility"))
    references: tuple[str, ...] = ("glosten1993",)

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
        check_words(model, dist, annualisation)
        series = checked_returns(returns, fewest=1)
        full = check_params(dict(params), model, dist)
        start = check_backcast(backcast)
        if start is None:
            values = series.to_numpy()
            start = start_variance(values - float(np.mean(values)))
        nan = pd.Series(math.nan, index=pd.Index(PARAMETERS))
        return _filtered(
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
            loglik=None,
        )

    @property
    def annual_sigma(self) -> pd.Series:
        """Conditional volatility per year: ``sigma`` times the root of :attr:`annualisation`."""
        return self.sigma * math.sqrt(self.annualisation)

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
        )

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
        z = np.ascontiguousarray(draws, dtype=np.float64)
        if z.ndim != 2 or z.size == 0 or not np.isfinite(z).all():
            raise ParameterError(
                f"draws have shape {z.shape} and {int((~np.isfinite(z)).sum())} non-finite values",
                "finite residuals of shape (paths, days)",
                "reshape them, or drop the bad rows",
            )
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
        root = math.sqrt(self.annualisation)
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


def fit_volatility(
    returns: pd.Series,
    model: Model = "gjr",
    dist: Distribution = "t",
    *,
    mean: Literal["constant", "zero"] = "constant",
    backcast: float | None = None,
    annualisation: int = 365,
    covariance: bool = True,
) -> VolatilityModel:
    """Return the volatility model fitted by maximum likelihood to decimal daily returns, through ``arch``.

    Parameters
    ----------
    returns : Series
        Decimal log returns (0.01 is one per cent), at least 100, finite, oldest first.
    model : {"gjr", "garch", "ewma"}
        Recursion with asymmetry, without it, or exponentially weighted with decay 0.94 (nothing estimated in
        it).
    dist : {"t", "normal"}
        Of the standardised residuals.
    mean : {"constant", "zero"}
    backcast : float, optional
        Variance at which the recursion starts, squared decimal units; exponentially weighted over the first
        75 deviations from the mean where None. Recorded in the result.
    annualisation : int
        Days a year, for :attr:`VolatilityModel.annual_sigma`.
    covariance : bool
        Whether to compute standard errors; without them a fit takes half the time.

    Returns
    -------
    VolatilityModel

    Raises
    ------
    DataGapError
        Fewer than 100 returns.
    ParameterError
        NaN or infinity, a constant series, prices or percent instead of decimal returns, unknown words.
    SchemaError
        Not a Series, or dates out of order.

    Notes
    -----
    A fit that did not converge or ended at a bound is returned with that status, not refused. Fits with
    ``alpha + gamma/2 + beta >= 0.9999`` have no unconditional variance, and with ``nu <= 4`` no fourth
    moment; both are said in ``flags``.

    References
    ----------
    Glosten, Jagannathan and Runkle (1993), equation (8a).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> r = pd.Series(0.02 * stream(3, "demo").standard_normal(500), pd.date_range("2022-01-01", periods=500))
    >>> fit = fit_volatility(r, "garch", "normal")
    >>> bool(abs(fit.next_sigma - 0.02) < 0.003)
    True
    """
    check_words(model, dist, annualisation)
    if mean not in ("constant", "zero"):
        raise ParameterError(f"mean is {mean!r}", "'constant' or 'zero'", "name one of the two")
    series = checked_returns(returns, fewest=_FEWEST)
    start = check_backcast(backcast)
    values = series.to_numpy()
    if start is None:
        start = start_variance(values - (float(np.mean(values)) if mean == "constant" else 0.0))
    fitted = fit_arch(values, model, dist, mean, start)
    full, names, status = decimal_params(fitted, model)
    errors = pd.Series(math.nan, index=pd.Index(PARAMETERS))
    cov = pd.DataFrame()
    if covariance and names:
        cov = decimal_covariance(fitted, names)
        with np.errstate(invalid="ignore"):  # at a bound a variance may come out negative: its error is NaN
            errors[names] = np.sqrt(np.diag(cov.to_numpy()))
    flags = flags_of(full)
    if status == "not_converged":
        flags = ("the optimiser did not converge", *flags)
    return _filtered(
        VolatilityModel,
        params=full,
        std_errors=errors,
        covariance=cov,
        status=status,
        flags=flags,
        series=series,
        model=model,
        dist=dist,
        start=start,
        annualisation=annualisation,
        loglik=float(fitted.loglikelihood) + len(values) * math.log(SCALE),
    )


def _filtered(
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
        loglik = _loglik(deviations, sigma[:-1], float(p["nu"]))
    record = Provenance(
        method=f"estimation.volatility {rest['model']}-{rest['dist']}, {rest['status']}",
        data={"returns": fingerprint(values)},
        parameters={**{str(k): float(v) for k, v in params.items()}, "backcast": start},
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


def _loglik(deviations: FloatArray, sigma: FloatArray, nu: float) -> float:
    """Return the log-likelihood of normal (``nu`` infinite) or unit-variance Student t deviations."""
    z2 = (deviations / sigma) ** 2
    if math.isinf(nu):
        each = -0.5 * (math.log(2.0 * math.pi) + z2) - np.log(sigma)
    else:
        constant = math.lgamma(0.5 * (nu + 1)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
        each = constant - 0.5 * (nu + 1) * np.log1p(z2 / (nu - 2.0)) - np.log(sigma)
    return float(np.sum(each))
