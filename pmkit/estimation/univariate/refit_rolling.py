"""Rolling re-estimation of a volatility model: warm starts, an audit log, cross-checks, no look-ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.univariate.arch_fit import SCALE, decimal_params, fit_arch
from pmkit.estimation.univariate.arch_volatility import ArchVolatility, fit_through_arch
from pmkit.estimation.univariate.bars import DAY, check_bar, check_spacing
from pmkit.estimation.univariate.garch_newton import AT_WALL
from pmkit.estimation.univariate.garch_newton_likelihood import (
    ALPHA,
    BETA,
    ETA,
    GAMMA,
    plan_of,
)
from pmkit.estimation.univariate.newton_fit import STATUS, fit_newton, to_theta
from pmkit.estimation.univariate.parameters import PARAMETERS, check_words, flags_of
from pmkit.estimation.univariate.refit import filter_between, no_maxima, refit_windows
from pmkit.estimation.univariate.refit_result import RollingVolatility
from pmkit.estimation.univariate.univariate_checks import check_movement
from pmkit.estimation.univariate.volatility import Distribution, Model
from pmkit.estimation.univariate.volatility_fit import FEWEST, OWN_MODELS, check_choice

__all__ = ["rolling_volatility"]

#: a cross-check that beats the own fit by more than this log-likelihood is adopted
_TOLERANCE = 1e-6
_LOG = (
    "status",
    "used",
    "start",
    "evaluations",
    "loglik",
    "checked",
    "arch_loglik",
    "gap",
    "arch_breach",
    "adopted",
)


def rolling_volatility(
    returns: pd.Series,
    window: int = 1000,
    refit_every: int = 1,
    model: Model = "gjr",
    dist: Distribution = "t",
    *,
    mean: Literal["constant", "zero"] = "constant",
    engine: Literal["newton", "arch"] | None = None,
    check_every: int | None = 250,
    floor: float | None = None,
    cap: float | None = None,
    annualisation: int = 365,
    bar: str = DAY,
    bars_per_year: float | None = None,
) -> RollingVolatility:
    """Return the one-bar-ahead volatility, decimal, of every bar from fits on the ``window`` bars before it.

    Parameters
    ----------
    returns : Series
        Decimal log returns, more than ``window`` of them.
    window : int
        Returns behind each fit, 100 or more.
    refit_every : int
        Bars from one fit to the next; between them the filter runs on with the parameters held.
    model, dist, mean
        As for :func:`fit_volatility`.
    engine : {"newton", "arch"}, optional
        ``newton`` where it knows the model, else ``arch``.
    check_every : int, optional
        Every so many fits, from the first on, ``arch`` fits the same window from its own start values. Both
        log-likelihoods are logged; where arch leads to a better maximum it is adopted. None: never.
    floor, cap : float, optional
        Annual volatilities between which forecasts are kept; the recursion itself runs free. How often they
        were applied is counted.
    annualisation, bar, bars_per_year
        As for :func:`fit_volatility`.

    Returns
    -------
    RollingVolatility

    Raises
    ------
    DataGapError
        No more than ``window`` returns.
    ParameterError
        Arguments outside their range; bad returns; a first window on which nothing converges.
    ConventionError
        Dates that contradict ``bar``, an engine that does not know the model.

    Notes
    -----
    The fit in force at bar ``t`` was made on ``returns[s - window : s]`` with ``s <= t``, and the filter has
    seen ``returns[: t]``: later returns cannot change a forecast, and a longer series gives the same ones bit
    for bit. A fit that does not converge is logged and not used.

    The likelihood of a few hundred returns often has several maxima, and a fit that starts where the one
    before it ended may stay at one that is no longer the highest. The own engine therefore follows every
    maximum it knows from window to window and looks for others from cold starts: in every window of 500
    returns or fewer, in longer ones soon while several are known, and at the latest once 3 per cent of the
    window is new or the variance at its start has doubled or halved. Engine ``arch`` starts at the parameters
    before and compares with its own start values every ``check_every`` fits.

    References
    ----------
    Glosten, Jagannathan and Runkle (1993), equation (8a).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> r = pd.Series(0.02 * stream(3, "demo").standard_normal(700), pd.date_range("2022-01-01", periods=700))
    >>> run = rolling_volatility(r, 500, 100, "garch", "normal", check_every=None)
    >>> len(run.sigma), len(run.log)
    (200, 3)
    """
    check_words(model, dist, annualisation)
    chosen = engine or ("newton" if model in OWN_MODELS and dist != "skewt" else "arch")
    check_choice(model, dist, mean, chosen)
    bars = check_bar(bar, bars_per_year, annualisation)
    for name, value, least in (("window", window, FEWEST), ("refit_every", refit_every, 1)):
        _whole(name, value, least)
    if check_every is not None:
        _whole("check_every", check_every, 1)
    low, high = _bounds(floor, cap)
    series = checked_returns(returns, fewest=1)
    if len(series) <= window:
        raise DataGapError(
            f"{len(series)} returns", f"more than the window of {window}", "load more, or shorten the window"
        )
    check_movement(series.iloc[:window])
    check_spacing(series.index, bar)
    walk = _Walk(
        series=series,
        window=window,
        refit_every=refit_every,
        model=model,
        dist=dist,
        mean=mean,
        check_every=check_every,
    )
    if chosen == "newton" and model != "ewma":
        params, variances, rows, starts = _by_newton(walk)
        references: tuple[str, ...] = ("glosten1993",)
    else:
        params, variances, rows, references = _by_arch(walk)
        starts = np.zeros(0)
    raw = np.sqrt(variances[window:])
    root = math.sqrt(bars)
    sigma = np.clip(raw, low / root, high / root)
    dates = series.index[window:]
    mu = np.repeat(params["mu"].to_numpy(), np.diff(np.append(walk.fits, len(series) + 1)))[: len(dates)]
    values = series.to_numpy()[window:]
    log = pd.DataFrame(rows, index=params.index)
    log.insert(5, "persistence", _persistence(params))
    log.insert(6, "flags", ["; ".join(f) for f in log.pop("flags")])
    return RollingVolatility(
        model=model,
        dist=dist,
        engine=chosen,
        window=window,
        refit_every=refit_every,
        returns=series.iloc[window:],
        sigma=pd.Series(sigma[:-1], index=dates, name="sigma"),
        residuals=pd.Series((values - mu) / sigma[:-1], index=dates, name="residual"),
        next_sigma=float(sigma[-1]),
        bounded=pd.Series(np.sign(raw - sigma).astype(np.int64)[:-1], index=dates, name="bounded"),
        params=params,
        log=log,
        floor=low,
        cap=high,
        bars_per_year=bars,
        references=references,
        provenance=Provenance(
            method=f"estimation.rolling_volatility {model}-{dist}, {chosen}",
            data={"returns": fingerprint(series.to_numpy()), "starts": fingerprint(starts)},
            parameters={
                "window": window,
                "refit_every": refit_every,
                "mean": mean,
                "check_every": check_every,
                "floor": low,
                "cap": high,
                "bar": bar,
                "bars_per_year": bars,
            },
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """What both engines walk through."""

    series: pd.Series
    window: int
    refit_every: int
    model: str
    dist: str
    mean: str
    check_every: int | None

    @property
    def fits(self) -> IntArray:
        """Position of the first bar that each fit forecasts; the last may be the bar after the sample."""
        return np.arange(self.window, len(self.series) + 1, self.refit_every, dtype=np.int64)

    @property
    def dates(self) -> pd.Index:
        """Date of the last return that each fit knows."""
        return self.series.index[self.fits - 1]

    def checked(self, fit: int) -> bool:
        """Whether fit number ``fit`` is compared with arch."""
        return self.check_every is not None and fit % self.check_every == 0

    def no_start(self, status: str) -> ParameterError:
        """Return the error of a first window without a usable fit."""
        return ParameterError(
            f"{self.model}-{self.dist} on the first {self.window} returns: {status}",
            "a fit that converges",
            "use a longer window, dist='normal', or model='ewma'",
        )


def _by_newton(walk: _Walk) -> tuple[pd.DataFrame, FloatArray, dict[str, list[Any]], FloatArray]:
    """Return parameters in force by fit, variances by bar, the log, and the starts of the recursions."""
    y = np.ascontiguousarray(walk.series.to_numpy())
    last = walk.fits
    first, count = last - walk.window, last.size
    free_mean, asymmetric, student = walk.mean == "constant", walk.model == "gjr", walk.dist == "t"
    plan = plan_of(free_mean, asymmetric, student)
    found, starts, logliks = np.empty((count, 6)), np.zeros(count), np.empty(count)
    hessian = np.empty((6, 6))
    notes = np.zeros((count, 3), np.int64)
    maxima, known = no_maxima()
    arch_loglik, breach, adopted = (
        np.full(count, math.nan),
        np.full(count, math.nan),
        np.zeros(count, dtype=bool),
    )

    def run(part: slice) -> None:
        refit_windows(
            y, first[part], last[part], free_mean, asymmetric, student, plan, maxima, known,
            found[part], starts[part], logliks[part], notes[part], hessian,
        )  # fmt: skip

    step = walk.check_every or count
    for k in range(0, count, step):
        if walk.check_every is not None:
            run(slice(k, k + 1))
            arch_loglik[k], breach[k], adopted[k] = _cross_check(
                walk, y[first[k] : last[k]], k, found, starts, logliks, notes
            )
            if adopted[k]:
                row = min(int(known[0]), len(maxima) - 1)
                maxima[row], known[0] = found[k], row + 1
        run(slice(k + int(walk.check_every is not None), k + step))
    used = notes[:, 0] <= AT_WALL
    if not used[0]:
        raise walk.no_start(STATUS[notes[0, 0]])
    force = np.maximum.accumulate(np.where(used, np.arange(count), 0))
    in_force = found[force]
    variances = np.full(y.size + 1, math.nan)
    until = np.append(last[1:], y.size + 1)
    filter_between(y, first, last, until, in_force, starts, variances)
    columns = in_force.copy()
    with np.errstate(divide="ignore"):  # eta is 0 and nu infinite for the normal law
        columns[:, ETA] = 1.0 / columns[:, ETA]
    params = pd.DataFrame(columns, index=walk.dates, columns=pd.Index(PARAMETERS))
    rows: dict[str, list[Any]] = {
        "status": [STATUS[n] for n in notes[:, 0]],
        "used": used.tolist(),
        "start": ["cold" if n else "warm" for n in notes[:, 2]],
        "evaluations": notes[:, 1].astype(np.float64).tolist(),
        "loglik": logliks.tolist(),
        "checked": [walk.checked(k) for k in range(count)],
        "arch_loglik": arch_loglik.tolist(),
        "gap": (logliks - arch_loglik).tolist(),
        "arch_breach": breach.tolist(),
        "adopted": adopted.tolist(),
        "flags": [flags_of(p) for p in params.to_dict("records")],
    }
    return params, variances, rows, starts


def _cross_check(
    walk: _Walk,
    y: FloatArray,
    k: int,
    found: FloatArray,
    starts: FloatArray,
    logliks: FloatArray,
    notes: IntArray,
) -> tuple[float, float, bool]:
    """Return arch's log-likelihood, how far it left its constraints, and whether it led to a better fit."""
    theirs = fit_arch(y, walk.model, walk.dist, walk.mean, float(starts[k]))
    params, _, _ = decimal_params(theirs, walk.model)
    loglik = float(theirs.loglikelihood) + y.size * math.log(SCALE)
    alpha, gamma, beta = params["alpha"], params["gamma"], params["beta"]
    breach = max(0.0, alpha + 0.5 * gamma + beta - 1.0, -alpha, -beta, -(alpha + gamma))
    if not loglik > logliks[k] + _TOLERANCE and notes[k, 0] <= AT_WALL:
        return loglik, breach, False
    theta = to_theta(params)
    theta[ALPHA] = max(theta[ALPHA], 0.0)
    theta[GAMMA] = max(theta[GAMMA], -theta[ALPHA])
    theta[BETA] = max(min(theta[BETA], 1.0 - theta[ALPHA] - 0.5 * theta[GAMMA]), 0.0)
    better = fit_newton(y, walk.model, walk.dist, walk.mean, float(starts[k]), theta)
    if better.status == "not_converged" or not better.loglik > logliks[k] + _TOLERANCE:
        return loglik, breach, False
    found[k], logliks[k] = better.theta, better.loglik
    notes[k, 0] = STATUS.index(better.status)
    return loglik, breach, True


def _by_arch(
    walk: _Walk,
) -> tuple[pd.DataFrame, FloatArray, dict[str, list[Any]], tuple[str, ...]]:
    """Return parameters in force by fit, variances by bar, the log and the papers, every fit by arch."""
    variances = np.full(len(walk.series) + 1, math.nan)
    rows: dict[str, list[Any]] = {name: [] for name in (*_LOG, "flags")}
    settings: dict[str, Any] = {}
    force: ArchVolatility | None = None
    kept: list[pd.Series] = []
    ends = np.append(walk.fits[1:], len(walk.series) + 1)
    for k, (last, end) in enumerate(zip(walk.fits, ends, strict=True)):
        window = walk.series.iloc[last - walk.window : last]
        warm = None if force is None else force.params
        fit = fit_through_arch(window, walk.model, walk.dist, walk.mean, None, "", settings, warm)
        checked, adopted, cold_loglik = walk.checked(k) and warm is not None, False, math.nan
        if checked or (fit.status == "not_converged" and warm is not None):
            cold = fit_through_arch(window, walk.model, walk.dist, walk.mean, None, "", settings)
            cold_loglik = cold.loglik
            adopted = cold.status != "not_converged" and (
                cold.loglik > fit.loglik + _TOLERANCE or fit.status == "not_converged"
            )
            fit = cold if adopted else fit
        usable = fit.status != "not_converged"
        if not usable and force is None:
            raise walk.no_start(fit.status)
        force = fit if usable or force is None else force
        path = force.filter(walk.series.iloc[last - walk.window : min(end, len(walk.series))])
        sigma = np.append(path.sigma.to_numpy(), path.next_sigma)[walk.window :]
        variances[last:end] = sigma[: end - last] ** 2
        kept.append(force.params)
        found = (
            fit.status, usable, "cold" if warm is None or adopted else "warm", math.nan, fit.loglik,
            checked, cold_loglik, fit.loglik - cold_loglik, math.nan, adopted, fit.flags,
        )  # fmt: skip
        for name, value in zip(rows, found, strict=True):
            rows[name].append(value)
    return pd.DataFrame(kept).set_index(walk.dates), variances, rows, force.references if force else ()


def _persistence(params: pd.DataFrame) -> Any:
    """Return alpha + gamma/2 + beta where the model has these; NaN elsewhere."""
    if not {"alpha", "beta"} <= set(params.columns):
        return math.nan
    asymmetry = params["gamma"] if "gamma" in params.columns else 0.0
    return params["alpha"] + 0.5 * asymmetry + params["beta"]


def _whole(name: str, value: Any, least: int) -> None:
    """Raise where an argument is not a whole number from ``least`` on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{name} is {value!r}", f"a whole number, {least} or more", "correct it")


def _bounds(floor: float | None, cap: float | None) -> tuple[float, float]:
    """Return floor and cap as annual volatilities, 0 and infinity where there is none."""
    low, high = 0.0 if floor is None else floor, math.inf if cap is None else cap
    for name, value in (("floor", low), ("cap", high)):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0.0:
            raise ParameterError(f"{name} is {value!r}", "an annual volatility such as 0.30", "correct it")
    if not low < high:
        raise ParameterError(f"floor {low:g} and cap {high:g}", "floor below cap", "exchange or correct them")
    if low > 5.0:
        raise ParameterError(
            f"floor is {low:g}: looks like percent", "a decimal such as 0.30", "divide by 100"
        )
    return float(low), float(high)
