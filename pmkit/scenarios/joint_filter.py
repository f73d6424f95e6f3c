"""Volatility and correlation of every factor day by day, as joint filtering needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.estimation import VolatilityModel, ewma_covariance
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.estimation.univariate.volatility_fit import OWN_MODELS
from pmkit.scenarios.filtered import FilteredDesign
from pmkit.scenarios.scenario_set import Factor

__all__ = ["CorrelationPath", "JointFilter", "Recursion", "joint_filter"]

_FEWEST_POOL = 50


class CorrelationPath(Protocol):
    """What :func:`joint_filtered` needs of a correlation model: its path and the next day's matrix.

    :class:`pmkit.estimation.CorrelationModel` is one, and hands its recursion on as well; so is
    :class:`pmkit.estimation.DynamicCopula`.
    """

    @property
    def path(self) -> Any:
        """Correlations, shape (T, n, n) or (T + 1, n, n); entry t knows days before t only."""
        ...

    @property
    def next_correlation(self) -> Any:
        """Correlation of the day after the sample, shape (n, n)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recursion:
    """``Q' = constant + a e e' + b Q + g m m'`` from the state ``Q`` of the next day."""

    state: FloatArray
    constant: FloatArray
    news: tuple[float, float, float]
    corrected: bool = False
    equal: bool = False
    whole: bool = False

    @classmethod
    def held(cls, R: FloatArray) -> Recursion:
        """Return the recursion that stays where it is."""
        return cls(state=R, constant=np.zeros_like(R), news=(0.0, 1.0, 0.0))


@dataclass(frozen=True, kw_only=True)
class JointFilter:
    """Mean, volatility and correlation of every factor, day by day and for the next day.

    ``lost`` says in words what the start of the recursions costs.
    """

    index: pd.DatetimeIndex
    mean: FloatArray
    deviations: FloatArray
    sigma: FloatArray
    path: FloatArray
    next_sigma: FloatArray
    next_correlation: FloatArray
    params: FloatArray
    recursion: Recursion
    words: str
    lost: str


def joint_filter(
    design: FilteredDesign,
    extra: dict[Factor, FloatArray],
    models: Mapping[str, VolatilityModel] | None,
    correlation: CorrelationPath | CorrelationModel | None,
    decay: float,
    start: int,
    keep_start: bool,
) -> JointFilter:
    """Return the filter over all factors, the days of the start left out unless ``keep_start``."""
    returns = design.returns
    index = pd.DatetimeIndex(returns.index)
    if (
        isinstance(start, bool)
        or not isinstance(start, int)
        or start < 1
        or len(returns) - start < _FEWEST_POOL
    ):
        raise DataGapError(
            f"{len(returns)} returns with start {start!r}",
            f"at least {_FEWEST_POOL} days after a start of 1 or more",
            "take a shorter start or a longer history",
        )
    raw = np.column_stack([returns.to_numpy(dtype=np.float64), *extra.values()])
    labels = [f"{n} spot" for n in design.underlyings] + [f.label for f in extra]
    n, spots = raw.shape[1], len(design.underlyings)
    mean = np.add.reduce(np.ascontiguousarray(raw.T), axis=1) / len(raw)
    params = np.zeros((n, 4))
    params[:, 1], params[:, 3] = 1.0 - decay, decay
    if models is None:
        if correlation is not None:
            raise ParameterError(
                "correlation is given without models", "the volatility models behind it", "pass both"
            )
        x = raw - mean
        begin = 0 if keep_start else start
        sigma, path, ahead, R = _exponential(x, labels, decay, start, begin)
        return JointFilter(
            index=index[begin:],
            lost=_lost(x[:start, :spots], x[start:, :spots], index, design.underlyings, keep_start),
            mean=mean,
            deviations=np.ascontiguousarray(x[begin:]),
            sigma=sigma,
            path=path,
            next_sigma=ahead,
            next_correlation=R,
            params=params,
            recursion=Recursion(state=R, constant=np.zeros_like(R), news=(0.0, 1.0, 0.0), whole=True),
            words=f"an exponentially weighted covariance, decay {decay:g}",
        )
    chosen = design.given(models)
    sigma, ahead = np.empty(raw.shape), np.empty(n)
    for i, (name, model) in enumerate(chosen.items()):
        if not model.returns.index.equals(returns.index):
            raise ConventionError(
                f"the model of {name} covers {len(model.returns)} days, the history {len(returns)}",
                "the dates of the history",
                "filter the model over history.returns()",
            )
        if model.model not in OWN_MODELS:
            raise ConventionError(
                f"the model of {name} is {model.model}",
                f"{' or '.join(OWN_MODELS)}, whose recursion runs along the paths",
                "fit model='gjr', or take filtered_historical with vol_anchor='filter'",
            )
        p = model.params
        mean[i], ahead[i] = float(p["mu"]), model.next_sigma
        sigma[:, i] = model.sigma.to_numpy()
        params[i] = [p["omega"], p["alpha"], p.get("gamma", 0.0), p["beta"]]
    x = raw - mean
    first = 0 if keep_start else start  # from here on every volatility is known
    if extra:
        own = _exponential(x[:, spots:], labels[spots:], decay, start, first)
        sigma[first:, spots:], ahead[spots:] = own[0], own[2]
    if correlation is None:
        begin = 2 * first
        if len(x) - begin < _FEWEST_POOL:
            raise DataGapError(
                f"{len(x)} returns",
                f"at least {begin + _FEWEST_POOL}",
                "take a shorter start or a longer history",
            )
        path, R = _exponential(x[first:] / sigma[first:], labels, decay, start, first)[1::2]
        recursion = Recursion(state=R, constant=np.zeros_like(R), news=(1.0 - decay, decay, 0.0))
        words = f"given volatility models, exponentially weighted correlation {decay:g}"
    else:
        begin = first
        path, R, recursion = _given_path(correlation, design.underlyings, n, returns.index)
        path = path[begin:]
        moving = "held at the next day's" if recursion.news[0] == 0.0 else "moving along each path"
        words = f"given volatility models, given correlation {moving}"
    return JointFilter(
        index=index[begin:],
        lost=_lost(x[:begin, :spots], x[begin:, :spots], index, design.underlyings, keep_start),
        mean=mean,
        deviations=np.ascontiguousarray(x[begin:]),
        sigma=np.ascontiguousarray(sigma[begin:]),
        path=np.ascontiguousarray(path),
        next_sigma=ahead,
        next_correlation=R,
        params=params,
        recursion=recursion,
        words=words,
    )


def _exponential(
    x: FloatArray, labels: list[str], decay: float, start: int, first: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return volatilities and correlations of the days from ``first`` on, then those of the next day.

    With ``first`` 0 the second moment of the first ``start`` days stands before the first of them.
    """
    begin: int | FloatArray = start
    if first == 0:
        rows = np.ascontiguousarray(x[:start].T)
        begin = np.add.reduce(rows[:, None, :] * rows[None, :, :], axis=2) / start
        still = np.flatnonzero(~(np.diag(begin) > 0.0))
        if still.size:
            raise ParameterError(
                f"{labels[still[0]]} does not move in the first {start} days",
                "a start in which every factor moves",
                "take a longer start",
            )
    fitted = ewma_covariance(pd.DataFrame(x, columns=labels), decay, start=begin, keep_path=True)
    full = cast("FloatArray", fitted.path)[first:]
    sigma = np.sqrt(np.diagonal(full, axis1=1, axis2=2))
    path = full / sigma[:, :, None] / sigma[:, None, :]
    return (
        np.ascontiguousarray(sigma[:-1]),
        np.ascontiguousarray(path[:-1]),
        sigma[-1].copy(),
        np.ascontiguousarray(path[-1]),
    )


def _lost(
    before: FloatArray, after: FloatArray, index: pd.DatetimeIndex, names: Sequence[str], kept: bool
) -> str:
    """Return in words what the start costs: the days, and a move that no day after them equals."""
    if kept:
        return "every day lends a residual; the first days were seen by the start of their own recursion"
    text = f"the first {len(before)} days only start the recursions and lend no residual"
    worst = [
        f"{name} {before[row, i]:+.1%} on {index[row].date()}"
        for i, name in enumerate(names)
        if (row := int(np.argmax(np.abs(before[:, i])))) >= 0
        and abs(before[row, i]) > float(np.abs(after[:, i]).max())
    ]
    if not worst:
        return text
    return f"{text}: THE LARGEST MOVE OF THE HISTORY IS LOST ({', '.join(worst)}); keep_start=True keeps it"


def _given_path(
    correlation: CorrelationPath | CorrelationModel, names: Sequence[str], n: int, dates: pd.Index
) -> tuple[FloatArray, FloatArray, Recursion]:
    """Return path, next matrix and recursion of a correlation model in the order of the underlyings."""
    own = isinstance(correlation, CorrelationModel)
    if not (hasattr(correlation, "next_correlation") and (own or hasattr(correlation, "path"))):
        raise SchemaError(
            f"correlation is a {type(correlation).__name__}",
            "a CorrelationModel, or an object with path and next_correlation",
            "fit it with fit_correlation on the residuals of the models",
        )
    if own and not cast("CorrelationModel", correlation).residuals.index.equals(dates):
        raise ConventionError(
            "the correlation model covers other dates than the returns",
            "the dates of the history",
            "fit it on the residuals of the models, or filter it over them",
        )
    ahead = correlation.next_correlation
    order = np.arange(n)
    if isinstance(ahead, pd.DataFrame):
        absent = [name for name in names if name not in ahead.index]
        if absent or len(ahead) != n:
            raise ConventionError(
                f"the correlation model covers {', '.join(map(str, ahead.index))}",
                f"exactly {', '.join(names)}",
                "fit it on these underlyings, and leave observed vol factors to the exponential weights",
            )
        order = np.array([ahead.index.get_loc(name) for name in names])
    R = np.asarray(ahead, dtype=np.float64)
    raw = correlation.correlation_path() if isinstance(correlation, CorrelationModel) else correlation.path
    path, rows = np.asarray(raw, dtype=np.float64), len(dates)
    if (
        R.shape != (n, n)
        or path.ndim != 3
        or path.shape[1:] != (n, n)
        or path.shape[0] not in (rows, rows + 1)
    ):
        raise ConventionError(
            f"the correlation path has shape {path.shape}, the next matrix {R.shape}",
            f"({rows}, {n}, {n}) or one row more, and ({n}, {n})",
            "fit the correlation on the same dates and assets",
        )
    turned = np.ix_(order, order)
    path, R = path[:rows][:, order][:, :, order], np.ascontiguousarray(R[turned])
    if not np.isfinite(path).all() or float(np.linalg.eigvalsh(R)[0]) <= 0.0:
        raise ParameterError(
            "a correlation of the path is not finite, or the next one is singular",
            "positive definite correlations",
            "repair them with nearest_correlation",
        )
    if not isinstance(correlation, CorrelationModel):
        return path, R, Recursion.held(R)
    d = correlation.dynamics
    recursion = Recursion(
        state=np.ascontiguousarray(correlation.next_state[turned]),
        constant=np.ascontiguousarray(d.constant[turned]),
        news=(d.a, d.b, d.g),
        corrected=d.corrected,
        equal=d.equal,
    )
    return path, R, recursion
