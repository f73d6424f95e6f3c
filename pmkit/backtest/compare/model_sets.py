"""Many models against each other: the model confidence set, and whether any of them beats a benchmark.

The bootstraps are those of the arch package; here losses are scores of VaR or of VaR and ES, so that the
verdict is about margin models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmkit.backtest.compare.murphy import common_series
from pmkit.backtest.compare.scores import fz0_score, tick_score
from pmkit.backtest.series.checks import check_alpha, check_count
from pmkit.backtest.series.es_series import TailSeries
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ModelSet", "beats_benchmark", "model_confidence_set"]

#: Share of a score below which two sums are the same number.
_TIE = 1e-12
_FEWEST = 20  # days

Score = Literal["fz0", "tick"]
Bootstrap = Literal["stationary", "circular", "moving block"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ModelSet(Result):
    """Models that the data cannot tell from the best one.

    Attributes
    ----------
    table : DataFrame
        One row a model, best mean score first: ``mean_score``, ``p_value`` and ``included``.
    score : {"fz0", "tick"}
    size : float
        One minus the confidence that the best model is in the set.
    """

    table: pd.DataFrame
    score: Score
    size: float
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.model_confidence_set"))
    references: tuple[str, ...] = ("hansen2011",)

    @property
    def included(self) -> tuple[str, ...]:
        """Names of the models in the set, best mean score first."""
        return tuple(str(name) for name in self.table.index[self.table["included"]])

    def summary(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def check(self) -> None:
        """Raise unless the model of the best mean score is in the set."""
        if not bool(self.table["included"].iloc[0]):
            raise ParameterError("the best model is not in the set", "it is", "report this as an error")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the p-value of each model and the size below which it leaves the set."""
        axes, names = new_axes(ax), [str(name) for name in self.table.index]
        colours = ["#4477aa" if kept else "#bbbbbb" for kept in self.table["included"]]
        axes.barh(names[::-1], self.table["p_value"].to_numpy()[::-1], color=colours[::-1])
        axes.axvline(self.size, color="#cc3311", linewidth=1.0)
        axes.set(xlabel="p-value", title=f"Model confidence set at {1.0 - self.size:.0%}, score {self.score}")
        return axes


def _scores(models: Mapping[str, TailSeries], score: Any, least: int) -> pd.DataFrame:
    if score not in ("fz0", "tick"):
        raise ParameterError(f"score is {score!r}", "'fz0' or 'tick'", "choose one of them")
    runs = common_series(models)
    if len(runs) < least:
        raise SchemaError(f"{len(runs)} models", f"{least} or more", "add a model to compare with")
    size = next(iter(runs.values())).n
    if size < _FEWEST:
        raise SchemaError(
            f"{size} days", f"{_FEWEST} or more, to resample from", "use a longer history of forecasts"
        )
    scoring = fz0_score if score == "fz0" else tick_score
    frame = pd.DataFrame({name: scoring(run) for name, run in runs.items()})
    for a, b in combinations(frame, 2):
        gap = frame[a].to_numpy() - frame[b].to_numpy()
        if not gap.any():
            raise SchemaError(
                f"{a} and {b} have equal scores on all days", "models that differ", "leave one of them out"
            )
        if float(np.ptp(gap)) <= _TIE * float(np.max(np.abs(gap))):
            raise SchemaError(
                f"the scores of {a} and {b} differ by the same amount on each of {gap.size} days",
                "a difference that varies, so that resampled days can say how sure it is",
                "take more days, with hits among them, or leave one of the models out",
            )
    return frame


def _untied(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores with equal means told apart by their order: elimination needs one worst model."""
    size = _TIE * float(np.max(np.abs(scores.mean().to_numpy())))
    shifted = scores + size * np.arange(scores.shape[1])
    tied = [abs(float(scores[a].mean() - scores[b].mean())) <= size for a, b in combinations(scores, 2)]
    return shifted if any(tied) else scores


def _settings(block: Any, draws: Any, seed: Any, series: TailSeries) -> tuple[int | None, int, int]:
    n, stride = series.n, series.hits.stride
    length = None if block is None else check_count(block, "block", largest=n)
    if stride > n // 4:
        raise ConventionError(
            f"{n} losses over {series.horizon:g} days",
            "four times as many as share days, or more",
            "use a longer history of forecasts, or a shorter horizon",
        )
    if length is None and stride > 1:
        length = max(round(math.sqrt(n)), 2 * stride)
    if length is not None and 0 < length < stride:
        raise ConventionError(
            f"block is {length} where {stride} losses share days",
            f"{stride} or more, so that a block keeps them together",
            "leave the default",
        )
    count, root = check_count(draws, "draws"), check_count(seed, "seed", largest=2**32 - 1)
    if count < 99 or length == 0:
        raise ParameterError(
            f"draws is {count} and block {block}", "99 or more, and 1 or more", "leave the defaults"
        )
    return length, count, root


def model_confidence_set(
    models: Mapping[str, TailSeries],
    *,
    score: Score = "fz0",
    size: float = 0.1,
    draws: int = 2_000,
    block: int | None = None,
    method: Literal["R", "max"] = "R",
    bootstrap: Bootstrap = "stationary",
    seed: int = 0,
) -> ModelSet:
    """Return the model confidence set by mean score: models not told from the best at ``size``.

    Parameters
    ----------
    models : mapping of str to TailSeries
        Two or more, for the same losses at one level.
    score : {"fz0", "tick"}
        Score of VaR and ES together, or of VaR alone.
    size : float
        One minus the confidence, in (0, 1).
    draws : int
        Bootstrap samples, 99 or more.
    block : int, optional
        (Mean) block length in observations; √n where absent, twice the overlap or more where losses share
        days.
    method : {"R", "max"}
        Range or largest deviation from the mean of all.
    bootstrap : {"stationary", "circular", "moving block"}
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    ModelSet

    Raises
    ------
    SchemaError
        Fewer than two models, models of other losses, or two whose scores are equal or differ by the same
        amount on all days.
    ParameterError
        A setting outside its domain.
    ConventionError
        Blocks that tear losses apart which share days, or too few losses for their horizon.

    Notes
    -----
    Models of equal mean score leave in the order given, the first one last. Few hits make mean scores skewed:
    of three equally good models with six expected hits, ``"max"`` at ``size`` 0.05 drops one in 17 ± 4 % of
    simulated years and ``"R"`` in 1 ± 1 %; with 25 hits the former falls to 7 ± 3 %.

    References
    ----------
    Hansen, Lunde and Nason (2011), algorithm of section 3.

    Examples
    --------
    >>> import numpy as np
    >>> loss = np.sin(np.arange(400.0) ** 2)
    >>> runs = {v: TailSeries(loss=loss, var=[v] * 400, es=[v + 0.05] * 400, level=0.9) for v in (0.95, 0.3)}
    >>> model_confidence_set({str(v): run for v, run in runs.items()}, draws=199).included
    ('0.95',)
    """
    from arch.bootstrap import MCS

    scores, level = _scores(models, score, 2), check_alpha(size)
    length, count, root = _settings(block, draws, seed, next(iter(models.values())))
    if method not in ("R", "max") or bootstrap not in ("stationary", "circular", "moving block"):
        raise ParameterError(
            f"method is {method!r} and bootstrap {bootstrap!r}",
            "'R' or 'max', and 'stationary', 'circular' or 'moving block'",
            "choose one of them",
        )
    found = MCS(
        _untied(scores), level, block_size=length, method=method, bootstrap=bootstrap, reps=count, seed=root
    )
    found.compute()
    p_values = found.pvalues["Pvalue"].reindex(scores.columns)
    table = pd.DataFrame(
        {
            "mean_score": scores.mean(),
            "p_value": p_values.astype(np.float64),
            "included": [name in set(found.included) for name in scores.columns],
        }
    ).rename_axis("model")
    return ModelSet(
        table=table.sort_values(["mean_score"], kind="stable"),
        score=score,
        size=level,
        provenance=Provenance(
            method="backtest.model_confidence_set",
            data={"scores": fingerprint(scores.to_numpy())},
            parameters={"size": level, "draws": count, "block": length, "method": method},
            seed=root,
            simulated=False,
        ),
    )


def beats_benchmark(
    benchmark: TailSeries,
    models: Mapping[str, TailSeries],
    *,
    score: Score = "fz0",
    size: float = 0.05,
    draws: int = 2_000,
    block: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Return whether any model has a better mean score than the benchmark, and which, search allowed for.

    Parameters
    ----------
    benchmark : TailSeries
    models : mapping of str to TailSeries
        One or more, for the same losses at one level.
    score, size, draws, block, seed
        As in :func:`model_confidence_set`.

    Returns
    -------
    DataFrame
        One row a model: ``gain`` (mean score of the benchmark less the model's: positive is better) and
        ``superior`` by stepwise testing at ``size``; ``attrs`` holds ``p_consistent``, ``p_lower`` and
        ``p_upper`` of the test that none is better.

    Raises
    ------
    SchemaError, ParameterError, ConventionError
        As in :func:`model_confidence_set`.

    References
    ----------
    Hansen (2005), superior predictive ability; Romano and Wolf (2005), stepwise multiple testing.

    Examples
    --------
    >>> import numpy as np
    >>> loss = np.sin(np.arange(400.0) ** 2)
    >>> runs = {v: TailSeries(loss=loss, var=[v] * 400, es=[v + 0.05] * 400, level=0.9) for v in (0.95, 0.3)}
    >>> table = beats_benchmark(runs[0.3], {"higher": runs[0.95]}, draws=199)
    >>> bool(table.loc["higher", "superior"]), table.attrs["p_consistent"] < 0.05
    (True, True)
    """
    from arch.bootstrap import SPA, StepM

    if "benchmark" in models:
        raise SchemaError("a model is called 'benchmark'", "another name", "rename it")
    scores = _scores({"benchmark": benchmark, **models}, score, 2)
    level = check_alpha(size)
    length, count, root = _settings(block, draws, seed, benchmark)
    base, rest = scores["benchmark"], scores.drop(columns="benchmark")
    test = SPA(base, rest, block_size=length, reps=count, seed=root)
    test.compute()
    steps = StepM(base, rest, size=level, block_size=length, reps=count, seed=root)
    steps.compute()
    better = set(steps.superior_models)
    table = pd.DataFrame(
        {"gain": base.mean() - rest.mean(), "superior": [name in better for name in rest.columns]},
        index=rest.columns.rename("model"),
    )
    table.attrs = {f"p_{kind}": float(test.pvalues[kind]) for kind in ("lower", "consistent", "upper")}
    return table
