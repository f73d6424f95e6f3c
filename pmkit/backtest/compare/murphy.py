"""Murphy diagrams: the score of VaR, or of VaR and ES, under every consistent scoring function at once.

A ranking by one score may turn under another. Every consistent score is a mixture of elementary ones, one for
each threshold; a model whose curve lies below that of another at every threshold is better under all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from pmkit.backtest.compare.scores import long_run_variance
from pmkit.backtest.series.checks import as_float_array, check_alpha, check_count
from pmkit.backtest.series.es_series import TailSeries
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MurphyDiagram", "common_series", "elementary_es_score", "elementary_var_score", "murphy"]

Functional = Literal["var", "es"]


def elementary_var_score(series: TailSeries, threshold: float) -> FloatArray:
    """Return the elementary score of the VaR of each day at one threshold, shape (n,): smaller is better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR.
    threshold : float
        Loss in the money of the series; any sign.

    Returns
    -------
    array, shape (n,)
        1 - p where the threshold lies from VaR up to the loss; p where it lies from the loss up to VaR; 0
        elsewhere.

    Notes
    -----
    (1{L > VaR} - p)(1{η < L} - 1{η < VaR}), η the threshold; its integral over η is the tick loss.

    References
    ----------
    Ehm, Gneiting, Jordan and Krüger (2016), theorem 1.

    Examples
    --------
    >>> series = TailSeries(loss=[0.5, 3.0], var=[2.0, 2.0], es=[2.5, 2.5], level=0.9)
    >>> elementary_var_score(series, 1.0).round(3).tolist()
    [0.1, 0.0]
    """
    beyond = (threshold < series.loss).astype(np.float64) - (threshold < series.var)
    return np.asarray((series.hits.hits - series.p) * beyond)


def elementary_es_score(series: TailSeries, threshold: float) -> FloatArray:
    """Return the elementary score of VaR and ES of each day at one threshold, shape (n,): smaller is better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES.
    threshold : float
        Loss in the money of the series; any sign.

    Returns
    -------
    array, shape (n,)
        In money, 0 or positive.

    Notes
    -----
    1{η ≥ ES}[1{L ≥ VaR}(L - VaR)/p + VaR - η] + 1{η ≥ L}(η - L), η the threshold.

    References
    ----------
    Ziegel, Krüger, Jordan and Fasciati (2020), section 2.

    Examples
    --------
    >>> series = TailSeries(loss=[0.5, 3.0], var=[2.0, 2.0], es=[2.5, 2.5], level=0.9)
    >>> elementary_es_score(series, 2.7).round(3).tolist()
    [1.5, 9.3]
    """
    stands = threshold >= series.es
    excess = np.where(series.loss >= series.var, series.loss - series.var, 0.0) / series.p
    first = np.where(stands, excess + series.var - threshold, 0.0)
    return np.asarray(first + np.maximum(threshold - series.loss, 0.0))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MurphyDiagram(Result):
    """Mean elementary scores of several models over a grid of thresholds.

    Attributes
    ----------
    functional : {"var", "es"}
        What is scored: VaR alone, or VaR and ES together.
    thresholds : ndarray, shape (m,)
        Losses, ascending.
    scores : mapping of str to ndarray, shape (m, n)
        Score of each threshold and day, by model.
    """

    functional: Functional
    thresholds: FloatArray
    scores: Mapping[str, FloatArray]
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.murphy"))
    references: tuple[str, ...] = ("ehm2016", "ziegel2020")

    def mean(self, model: str) -> FloatArray:
        """Return the mean score of a model at each threshold, shape (m,)."""
        if model not in self.scores:
            raise ParameterError(f"model {model!r}", f"one of {', '.join(self.scores)}", "correct the name")
        found = self.scores[model]
        return np.asarray(np.add.reduce(found, axis=1) / found.shape[1])

    def dominates(self, model: str, other: str) -> bool:
        """Whether the model's mean score is at most the other's at every threshold, and lower at one."""
        gap = self.mean(model) - self.mean(other)
        near = 1e-12 * max(1.0, float(np.abs(self.mean(other)).max()))
        return bool((gap <= near).all() and (gap < -near).any())

    def difference(self, model: str, other: str, *, alpha: float = 0.05) -> pd.DataFrame:
        """Return mean score of the model less the other's, with pointwise normal bounds at 1 - alpha.

        The variance allows for dependence between days (Newey and West, ⌊4(n/100)^(2/9)⌋ lags). Bounds hold
        at each threshold alone, not at all of them together.
        """
        gap = self.scores[model] - self.scores[other]
        self.mean(model)
        n = gap.shape[1]
        lags = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0))
        half = float(norm.isf(check_alpha(alpha) / 2.0))
        mean = np.add.reduce(gap, axis=1) / n
        error = np.sqrt([max(long_run_variance(row, lags), 0.0) / n for row in gap])
        return pd.DataFrame(
            {"difference": mean, "low": mean - half * error, "high": mean + half * error},
            index=pd.Index(self.thresholds, name="threshold"),
        )

    def summary(self) -> pd.DataFrame:
        """Return a table of models × models: True where the row dominates the column."""
        names = list(self.scores)
        return pd.DataFrame(
            [[self.dominates(row, column) for column in names] for row in names], index=names, columns=names
        ).rename_axis("dominates")

    def to_frame(self) -> pd.DataFrame:
        """Return mean scores, one row a threshold and one column a model."""
        return pd.DataFrame(
            {name: self.mean(name) for name in self.scores}, index=pd.Index(self.thresholds, name="threshold")
        )

    def check(self) -> None:
        """Raise unless every score is 0 or more."""
        least = min(float(found.min()) for found in self.scores.values())
        if least < -1e-9 * max(1.0, float(np.abs(self.thresholds).max())):
            raise ParameterError(f"a score of {least:g}", "0 or more", "report this as an error")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the mean score against the threshold, a curve a model: lower is better."""
        axes = new_axes(ax)
        for name in self.scores:
            axes.plot(self.thresholds, self.mean(name), label=name, linewidth=1.2)
        axes.set(
            xlabel="threshold (loss)",
            ylabel="mean elementary score",
            title="Murphy diagram of VaR" if self.functional == "var" else "Murphy diagram of VaR and ES",
        )
        axes.legend(frameon=False)
        return axes


def murphy(
    models: Mapping[str, TailSeries],
    *,
    functional: Functional = "es",
    thresholds: npt.ArrayLike | None = None,
    points: int = 200,
) -> MurphyDiagram:
    """Return the Murphy diagram of several models for the same losses.

    Parameters
    ----------
    models : mapping of str to TailSeries
        One or more, with the same losses and level.
    functional : {"es", "var"}
        Score VaR and ES together, or VaR alone.
    thresholds : array-like, shape (m,), optional
        Losses at which to score; where absent, ``points`` of them from the smallest to the largest VaR, ES or
        loss beyond VaR, beyond which all curves agree or differ by a constant.
    points : int
        Thresholds of the default grid, 2 or more.

    Returns
    -------
    MurphyDiagram

    Raises
    ------
    SchemaError
        No model, or models with other losses or level.
    ParameterError
        Not TailSeries, an unknown functional, points outside their domain.

    References
    ----------
    Ehm, Gneiting, Jordan and Krüger (2016); Ziegel, Krüger, Jordan and Fasciati (2020).

    Examples
    --------
    >>> import numpy as np
    >>> loss = np.sin(np.arange(300.0) ** 2)
    >>> runs = {v: TailSeries(loss=loss, var=[v] * 300, es=[v + 0.05] * 300, level=0.9) for v in (0.95, 0.4)}
    >>> diagram = murphy({str(v): run for v, run in runs.items()}, functional="var")
    >>> diagram.dominates("0.95", "0.4"), diagram.dominates("0.4", "0.95")
    (True, False)
    """
    if functional not in ("var", "es"):
        raise ParameterError(f"functional is {functional!r}", "'es' or 'var'", "choose one of them")
    runs = common_series(models)
    count = check_count(points, "points")
    if thresholds is None:
        if count < 2:
            raise ParameterError(f"points is {count}", "2 or more", "leave the default")
        ends = [(s.var.min(), s.es.max(), s.loss[s.hits.hits].max(initial=s.es.max())) for s in runs.values()]
        low, high = min(end[0] for end in ends), max(max(end[1:]) for end in ends)
        grid = np.linspace(low, high, count)
    else:
        grid = np.sort(as_float_array(thresholds, "thresholds"))
    score: Any = elementary_var_score if functional == "var" else elementary_es_score
    return MurphyDiagram(
        functional=functional,
        thresholds=grid,
        scores={name: np.array([score(run, float(eta)) for eta in grid]) for name, run in runs.items()},
        provenance=Provenance(
            method="backtest.murphy",
            data={name: fingerprint(run.loss, run.var, run.es) for name, run in runs.items()},
            parameters={"functional": functional, "points": grid.size},
        ),
    )


def common_series(models: Mapping[str, TailSeries]) -> dict[str, TailSeries]:
    """Return the models, checked: all TailSeries of the same losses at one level."""
    if not isinstance(models, Mapping) or not models:
        raise SchemaError("no model", "a mapping of name to TailSeries", "pass {'name': TailSeries(...)}")
    runs = {str(name): run for name, run in models.items()}
    for name, run in runs.items():
        if not isinstance(run, TailSeries):
            raise ParameterError(
                f"{name} is of type {type(run).__name__}", "a TailSeries", "pass TailSeries(...)"
            )
    first = next(iter(runs.values()))
    for name, run in runs.items():
        if (run.p, run.horizon, run.step) != (first.p, first.horizon, first.step) or not np.array_equal(
            run.loss, first.loss
        ):
            raise SchemaError(
                f"{name} has other losses, another level or another horizon than the first model",
                "forecasts for the same losses at one level",
                "cut all to common dates",
            )
    return runs
