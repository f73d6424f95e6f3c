"""Volatility and correlation of every factor day by day, as joint filtering needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation import VolatilityModel, ewma_covariance
from pmkit.estimation.dynamic.correlation import CorrelationModel
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
    """Mean, volatility and correlation of every factor, day by day and for the next day."""

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


def joint_filter(
    design: FilteredDesign,
    extra: dict[Factor, FloatArray],
    models: Mapping[str, VolatilityModel] | None,
    correlation: CorrelationPath | CorrelationModel | None,
    decay: float,
    start: int,
) -> JointFilter:
    """Return the filter over all factors, the days of the start left out."""
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
        sigma, path, ahead, R = _exponential(x, labels, decay, start)
        return JointFilter(
            index=index[start:],
            mean=mean,
            deviations=np.ascontiguousarray(x[start:]),
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
        p = model.params
        mean[i], ahead[i] = float(p["mu"]), model.next_sigma
        sigma[:, i] = model.sigma.to_numpy()
        params[i] = [p["omega"], p["alpha"], p["gamma"], p["beta"]]
    x = raw - mean
    if extra:
        own = _exponential(x[:, spots:], labels[spots:], decay, start)
        sigma[start:, spots:], ahead[spots:] = own[0], own[2]
    if correlation is None:
        begin = 2 * start
        if len(x) - begin < _FEWEST_POOL:
            raise DataGapError(
                f"{len(x)} returns",
                f"at least {begin + _FEWEST_POOL}",
                "take a shorter start or a longer history",
            )
        path, R = _exponential(x[start:] / sigma[start:], labels, decay, start)[1::2]
        recursion = Recursion(state=R, constant=np.zeros_like(R), news=(1.0 - decay, decay, 0.0))
        words = f"given volatility models, exponentially weighted correlation {decay:g}"
    else:
        begin = start
        path, R, recursion = _given_path(correlation, design.underlyings, n, returns.index)
        path = path[start:]
        moving = "held at the next day's" if recursion.news[0] == 0.0 else "moving along each path"
        words = f"given volatility models, given correlation {moving}"
    return JointFilter(
        index=index[begin:],
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
    x: FloatArray, labels: list[str], decay: float, start: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return volatilities and correlations of the days after the start, then those of the next day."""
    fitted = ewma_covariance(pd.DataFrame(x, columns=labels), decay, start=start, keep_path=True)
    full = cast("FloatArray", fitted.path)[start:]
    sigma = np.sqrt(np.diagonal(full, axis1=1, axis2=2))
    path = full / sigma[:, :, None] / sigma[:, None, :]
    return (
        np.ascontiguousarray(sigma[:-1]),
        np.ascontiguousarray(path[:-1]),
        sigma[-1].copy(),
        np.ascontiguousarray(path[-1]),
    )


def _given_path(
    correlation: CorrelationPath | CorrelationModel, names: Sequence[str], n: int, dates: pd.Index
) -> tuple[FloatArray, FloatArray, Recursion]:
    """Return path, next matrix and recursion of a correlation model in the order of the underlyings."""
    own = isinstance(correlation, CorrelationModel)
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
