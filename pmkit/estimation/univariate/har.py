"""Heterogeneous autoregression (HAR) of a volatility level: yesterday, the week and the month."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.threads import one_blas_thread
from pmkit.core.types import FloatArray
from pmkit.estimation.univariate.arch_fit import HAR_LAGS
from pmkit.estimation.univariate.volatility_forecast import check_horizon

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["HarModel", "fit_har"]


@dataclass(frozen=True, kw_only=True, repr=False)
class HarModel(Result):
    """Regression of a volatility index or a realised measure on its own averages.

    Attributes
    ----------
    lags : tuple of int
        Bars in each average.
    params, std_errors : pandas.Series
        ``const`` and one slope an average; errors robust to heteroskedasticity, as ``arch`` gives them.
    r_squared : float
    level : pandas.Series
        What was modelled, in its own unit.
    fitted, residuals : pandas.Series
        From the first bar with a full longest average on; ``fitted[t]`` knows bars before t only.
    next_level : float
        Forecast for the first bar after the sample.
    """

    lags: tuple[int, ...]
    params: pd.Series
    std_errors: pd.Series
    r_squared: float
    level: pd.Series
    fitted: pd.Series
    residuals: pd.Series
    next_level: float
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_har"))
    references: tuple[str, ...] = ("corsi2009",)

    @property
    def persistence(self) -> float:
        """Sum of the slopes: share of a shift of the level that is expected to stay."""
        return float(self.params.iloc[1:].sum())

    def filter(self, level: pd.Series) -> HarModel:
        """Return the same coefficients over another or longer series, without a refit."""
        series = _checked(level, max(self.lags) + 1)
        return _built(series, self.lags, self.params, self.std_errors * math.nan)

    def forecast(self, horizon: int) -> FloatArray:
        """Return the expected level of the next ``horizon`` bars: the regression applied to itself."""
        known = self.level.to_numpy()[-max(self.lags) :]
        for _ in range(check_horizon(horizon)):
            known = np.append(known, _predict(known, self.lags, self.params))
        ahead: FloatArray = known[max(self.lags) :]
        return ahead

    def check(self) -> None:
        """Raise where fitted value and residual do not give the level."""
        worst = float((self.fitted + self.residuals - self.level.loc[self.fitted.index]).abs().max())
        if not worst <= 1e-10 * float(self.level.abs().max()):
            raise PmkitError(f"residuals are off by {worst:g}", "fitted + residual = level", "report a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a coefficient: value and standard error; then R squared and the next level."""
        frame = pd.DataFrame({"value": self.params, "std_error": self.std_errors})
        more = {"R squared": self.r_squared, "next level": self.next_level}
        frame = pd.concat([frame, pd.DataFrame({"value": more, "std_error": math.nan})]).round(8)
        frame.index.name = f"HAR, {len(self.fitted)} bars"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a bar: level, fitted, residual."""
        return pd.DataFrame(
            {"level": self.level.loc[self.fitted.index], "fitted": self.fitted, "residual": self.residuals}
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the level and its one-step forecast."""
        axes = new_axes(ax)
        index = self.fitted.index.to_numpy()
        axes.plot(index, self.level.loc[self.fitted.index].to_numpy(), label="level")
        axes.plot(index, self.fitted.to_numpy(), label="forecast of the bar before")
        axes.set(xlabel="date", ylabel="level", title=f"HAR({', '.join(map(str, self.lags))})")
        axes.legend()
        return axes


def fit_har(level: pd.Series, lags: Sequence[int] = HAR_LAGS) -> HarModel:
    """Return the regression of a volatility level on its averages over the last ``lags`` bars, same unit.

    Parameters
    ----------
    level : Series
        A volatility index, realised volatility or realised variance: positive, finite, oldest first.
    lags : sequence of int
        Bars in each average, ascending.

    Returns
    -------
    HarModel

    Raises
    ------
    DataGapError
        Fewer rows than the longest average and ten a coefficient.
    ParameterError
        Levels that are not positive and finite, or that do not move; lags not ascending.

    Notes
    -----
    Fitted by ``arch``. ``v[t] = const + sum_k b_k mean(v[t-1], ..., v[t-lag_k]) + u[t]`` by least squares.

    References
    ----------
    Corsi (2009), equation (8).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> vol = pd.Series(0.5 + 0.02 * stream(3, "har").standard_normal(400))
    >>> bool(abs(fit_har(vol).next_level - 0.5) < 0.02)
    True
    """
    from arch.univariate import HARX

    chosen = tuple(int(n) for n in lags)
    if not chosen or chosen[0] < 1 or any(b <= a for a, b in pairwise(chosen)):
        raise ParameterError(f"lags are {tuple(lags)!r}", "ascending whole numbers from 1 on", "(1, 5, 22)")
    series = _checked(level, max(chosen) + 10 * (len(chosen) + 1))
    with one_blas_thread():
        found = HARX(series.to_numpy(), lags=list(chosen), rescale=False).fit(disp="off")
    names = ["const", *(f"mean{n}" for n in chosen)]
    params = pd.Series(found.params.to_numpy()[: len(names)], index=pd.Index(names))
    errors = pd.Series(found.std_err.to_numpy()[: len(names)], index=pd.Index(names))
    return _built(series, chosen, params, errors)


def _built(series: pd.Series, lags: tuple[int, ...], params: pd.Series, errors: pd.Series) -> HarModel:
    """Return the model object of given coefficients over a series."""
    values, most = series.to_numpy(), max(lags)
    fitted = np.array([_predict(values[:t], lags, params) for t in range(most, values.size)])
    index = series.index[most:]
    rest = values[most:] - fitted
    spread = values[most:] - np.add.reduce(values[most:]) / rest.size
    return HarModel(
        lags=lags,
        params=params,
        std_errors=errors,
        r_squared=1.0 - float(np.add.reduce(rest * rest) / np.add.reduce(spread * spread)),
        level=series,
        fitted=pd.Series(fitted, index=index, name="fitted"),
        residuals=pd.Series(rest, index=index, name="residual"),
        next_level=_predict(values, lags, params),
        provenance=Provenance(
            method="estimation.fit_har",
            data={"level": fingerprint(values)},
            parameters={"lags": list(lags), **{str(k): float(v) for k, v in params.items()}},
        ),
    )


def _predict(known: FloatArray, lags: tuple[int, ...], params: pd.Series) -> float:
    """Return the forecast of the bar after ``known``."""
    coefficients = params.to_numpy()
    total = float(coefficients[0])
    for slope, n in zip(coefficients[1:], lags, strict=True):
        total += float(slope) * float(np.add.reduce(known[-n:])) / n
    return total


def _checked(level: Any, fewest: int) -> pd.Series:
    """Return a level series as float64 after checking numbers, movement and length."""
    if not isinstance(level, pd.Series):
        raise ParameterError(f"level is a {type(level).__name__}", "a pandas Series", "choose one column")
    values = level.to_numpy(dtype=np.float64, na_value=math.nan)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if bad.size:
        raise ParameterError(
            f"{bad.size} level(s) not positive and finite, first {values[bad[0]]!r} in row {bad[0]}",
            "positive volatilities or variances without gaps",
            "drop the missing days",
        )
    if values.size < fewest:
        raise DataGapError(f"{values.size} levels", f"at least {fewest}", "load a longer history")
    if float(np.ptp(values)) <= 1e-9 * float(np.max(values)):
        raise ParameterError("the level does not move", "a series that varies", "check the column")
    return pd.Series(values, index=level.index, name=level.name)
