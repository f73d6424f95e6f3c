"""Fit a volatility model to one return series: the front door to ``arch`` and to the compiled Newton fit."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.univariate.arch_fit import (
    SCALE,
    decimal_covariance,
    decimal_params,
    fit_arch,
    signs_right,
)
from pmkit.estimation.univariate.arch_volatility import fit_through_arch
from pmkit.estimation.univariate.bars import DAY, check_bar, check_spacing
from pmkit.estimation.univariate.newton_fit import fit_newton, from_theta
from pmkit.estimation.univariate.parameters import (
    PARAMETERS,
    check_backcast,
    check_words,
    flags_of,
)
from pmkit.estimation.univariate.recursion import start_variance
from pmkit.estimation.univariate.univariate_checks import check_movement
from pmkit.estimation.univariate.volatility import (
    Distribution,
    Model,
    VolatilityModel,
    filtered,
)

__all__ = ["FEWEST", "OWN_MODELS", "check_choice", "fit_volatility"]

#: fewest returns that a fit takes
FEWEST = 100
#: recursions that run in compiled code of this package
OWN_MODELS = ("gjr", "garch", "ewma")


def fit_volatility(
    returns: pd.Series,
    model: Model = "gjr",
    dist: Distribution = "t",
    *,
    mean: Literal["constant", "zero"] = "constant",
    backcast: float | None = None,
    annualisation: int = 365,
    covariance: bool | Literal["robust", "classic"] = True,
    bar: str = DAY,
    bars_per_year: float | None = None,
    engine: Literal["arch", "newton"] = "arch",
) -> VolatilityModel:
    """Return the volatility model fitted by maximum likelihood to decimal returns, a number per bar.

    Parameters
    ----------
    returns : Series
        Decimal log returns (0.01 is one per cent), at least 100, finite, oldest first.
    model : str
        ``gjr`` (asymmetric GARCH), ``garch``, ``ewma`` (decay 0.94, nothing estimated in it),
        ``riskmetrics2006`` (a mixture of EWMAs, nothing estimated), ``tarch``, ``egarch``, ``har`` (squared
        returns over 1, 5 and 22 bars) or ``figarch``.
    dist : {"t", "normal", "skewt"}
        Of the standardised residuals.
    mean : {"constant", "zero"}
    backcast : float, optional
        Variance at which the recursion starts, squared decimal units; exponentially weighted over the first
        75 deviations from the mean where None, as in ``arch``. Recorded in the result.
    annualisation : int
        Days a year, for :attr:`VolatilityModel.annual_sigma`: 365 for crypto, 252 for equities.
    covariance : bool or {"robust", "classic"}
        Whether to compute standard errors, and which; True is robust. Without them a fit takes half the time.
    bar : str
        Length of a bar: ``"1d"``, or for example ``"1h"``; must agree with the dates of ``returns``.
    bars_per_year : float, optional
        Needed where bars are not days and the market closes: 1638 for hours of US stocks.
    engine : {"arch", "newton"}
        Who maximises the likelihood. ``newton`` is compiled, tens of times faster, for ``garch`` and
        ``gjr`` with normal or t residuals.

    Returns
    -------
    VolatilityModel

    Raises
    ------
    DataGapError
        Fewer than 100 returns.
    ParameterError
        NaN or infinity, a constant or nearly constant series, prices or percent instead of decimal returns,
        unknown words.
    ConventionError
        Dates that contradict ``bar``, an engine that does not know the model.
    SchemaError
        Not a Series, or dates out of order.

    Notes
    -----
    A fit that did not converge or ended at a bound is returned with that status, not refused. Fits with
    ``alpha + gamma/2 + beta >= 0.9999`` have no unconditional variance, and with ``nu <= 4`` no fourth
    moment; both are said in ``flags``, and :meth:`VolatilityModel.forecast` says what they mean at long
    horizons.

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
    check_choice(model, dist, mean, engine)
    kind = _covariance_kind(covariance)
    bars = check_bar(bar, bars_per_year, annualisation)
    series = checked_returns(returns, fewest=FEWEST)
    check_movement(series)
    check_spacing(series.index, bar)
    given = check_backcast(backcast)
    settings: dict[str, Any] = {"annualisation": annualisation, "bar": bar, "bars_per_year": bars}
    if model not in OWN_MODELS or dist == "skewt":
        return fit_through_arch(series, model, dist, mean, given, kind, settings)
    values = series.to_numpy()
    start = given
    if start is None:
        start = start_variance(values - (float(np.mean(values)) if mean == "constant" else 0.0))
    fit = _by_newton if engine == "newton" and model != "ewma" else _by_arch
    found = fit(values, model, dist, mean, start, kind)
    full, status = found["params"], found["status"]
    names = found.pop("names")
    errors = pd.Series(math.nan, index=pd.Index(PARAMETERS))
    if not found["covariance"].empty:
        with np.errstate(invalid="ignore"):  # at a bound a variance may come out negative: its error is NaN
            errors[names] = np.sqrt(np.diag(found["covariance"].to_numpy()))
    flags = flags_of(full)
    if status == "not_converged":
        flags = ("the optimiser did not converge", *flags)
    return filtered(
        VolatilityModel,
        std_errors=errors,
        flags=flags,
        series=series,
        model=model,
        dist=dist,
        start=start,
        covariance_kind="none" if found["covariance"].empty else kind,
        **found,
        **settings,
    )


def check_choice(model: str, dist: str, mean: str, engine: str) -> None:
    """Raise where mean or engine are unknown, or the engine does not know the model."""
    if mean not in ("constant", "zero"):
        raise ParameterError(f"mean is {mean!r}", "'constant' or 'zero'", "name one of the two")
    if engine not in ("arch", "newton"):
        raise ParameterError(f"engine is {engine!r}", "'arch' or 'newton'", "name one of the two")
    if engine == "newton" and (model not in OWN_MODELS or dist == "skewt"):
        raise ConventionError(
            f"engine 'newton' for {model}-{dist}",
            "garch or gjr with normal or t residuals",
            "leave engine='arch'",
        )


def _covariance_kind(covariance: Any) -> str:
    """Return robust, classic, or nothing."""
    if covariance is True or covariance is False:
        return "robust" if covariance else ""
    if covariance not in ("robust", "classic"):
        raise ParameterError(
            f"covariance is {covariance!r}", "True, False, 'robust' or 'classic'", "name one of them"
        )
    return str(covariance)


def _by_arch(values: FloatArray, model: str, dist: str, mean: str, start: float, kind: str) -> dict[str, Any]:
    """Return what ``arch`` finds."""
    found = fit_arch(values, model, dist, mean, start, covariance=kind or "robust")
    full, names, status = decimal_params(found, model)
    inside = signs_right(full)
    loglik = float(found.loglikelihood) + len(values) * math.log(SCALE)
    return {
        "params": inside,
        "names": names,
        "status": status,
        "covariance": decimal_covariance(found, names) if kind and names else pd.DataFrame(),
        "loglik": loglik if inside.equals(full) else None,  # that of the parameters given back
        "engine": "arch" if names else "none",
    }


def _by_newton(
    values: FloatArray, model: str, dist: str, mean: str, start: float, kind: str
) -> dict[str, Any]:
    """Return what the compiled fit finds."""
    found = fit_newton(values, model, dist, mean, start)
    return {
        "params": from_theta(found.theta),
        "names": found.names,
        "status": found.status,
        "covariance": found.covariance(values, kind) if kind else pd.DataFrame(),
        "loglik": found.loglik,
        "engine": "newton",
    }
