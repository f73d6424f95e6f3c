"""Out-of-sample scores of correlation models against a benchmark, with the error of each difference."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.estimation.dynamic.correlation_fit import fit_correlation
from pmkit.estimation.dynamic.correlation_inputs import checked_residuals
from pmkit.estimation.dynamic.correlation_parameters import check_kind
from pmkit.estimation.dynamic.dcc_errors import newey_west
from pmkit.pricing.numeric import kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationScores", "score_correlation"]

_LOSSES = ("qlike", "frobenius")
_FEWEST = 30
#: rows of the path that are in memory at a time
_CHUNK = 250


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationScores(Result):
    """Losses of correlation forecasts of one day, each made from the days before.

    Attributes
    ----------
    table : DataFrame
        One row a model and loss: ``mean_loss``, ``difference`` from the baseline (negative: better), its
        ``std_error``, the Diebold–Mariano statistic ``t``, and the two-sided ``p_value`` of the normal limit.
    losses : DataFrame
        One row a day, columns (model, loss).
    parameters : DataFrame
        One row a model and refit: rows known, status and parameters.
    baseline : str
    lags : int
        Of the Newey–West error.
    """

    table: pd.DataFrame
    losses: pd.DataFrame
    parameters: pd.DataFrame
    baseline: str
    lags: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.score_correlation"))
    references: tuple[str, ...] = ("diebold1995", "patton2009")

    def check(self) -> None:
        """Raise where the table is not the means of the losses."""
        means = self.losses.mean()
        for row in self.table.to_dict(orient="records"):
            exact = float(means.loc[(row["model"], row["loss"])])
            if not math.isclose(float(row["mean_loss"]), exact, rel_tol=1e-9):
                raise PmkitError(
                    f"mean loss of {row['model']} is {row['mean_loss']:g}",
                    "the mean of its losses",
                    "report this as a bug",
                )

    def summary(self) -> pd.DataFrame:
        """Return the table of means, differences from the baseline and their errors."""
        frame = self.table.set_index(["loss", "model"]).round(8)
        frame.columns.name = f"{len(self.losses)} days, baseline {self.baseline}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the cumulated QLIKE difference from the baseline; falling is better."""
        axes = new_axes(ax)
        for model in dict.fromkeys(self.losses.columns.get_level_values(0)):
            if model != self.baseline:
                gap = self.losses[(model, "qlike")] - self.losses[(self.baseline, "qlike")]
                axes.plot(self.losses.index.to_numpy(), np.cumsum(gap.to_numpy()), label=str(model))
        axes.axhline(0.0, color="0.5", linewidth=0.8)
        axes.set(xlabel="date", ylabel=f"cumulated QLIKE less {self.baseline}", title="falling is better")
        axes.legend()
        return axes


def score_correlation(
    residuals: pd.DataFrame,
    models: Iterable[str] = ("ewma", "ccc", "dcc", "cdcc", "deco"),
    *,
    train: int,
    refit_every: int | None = None,
    baseline: str = "ewma",
    likelihood: Literal["full", "composite"] = "full",
    decay: float = 0.97,
    lags: int | None = None,
) -> CorrelationScores:
    """Return losses of each model's next-day correlations after ``train`` rows, and their differences.

    Parameters
    ----------
    residuals : DataFrame, shape (rows, n)
        Standardised residuals. For a clean comparison they come from margins that do not know the scored days
        either (``VolatilityModel.filter``).
    models : iterable of str
        Words of :func:`fit_correlation`; the baseline is added where it is absent.
    train : int
        Rows that the first fit knows; at least 100 and at most rows - 30.
    refit_every : int, optional
        Days between refits, each on all rows before; one fit where None.
    baseline : str
        Model that the others are compared with.
    likelihood : {"full", "composite"}
        Of all models but ``deco``.
    decay : float
        Of ``ewma``.
    lags : int, optional
        Of the Newey–West error of a mean difference; ``4 (days / 100)^(2/9)`` where None.

    Returns
    -------
    CorrelationScores

    Raises
    ------
    DataGapError
        Fewer than 30 rows to score.
    ParameterError, SchemaError, ConventionError
        As :func:`fit_correlation`.

    Notes
    -----
    ``qlike`` is ``ln |R| + z' R^-1 z - z' z``, minus twice the normal log score. ``frobenius`` is the mean
    over pairs of ``(rho - z_i z_j)^2``: the product of two residuals is a noisy but unbiased proxy, and
    squared error ranks forecasts as the true correlation would. The statistic takes the forecasts as given.

    References
    ----------
    Diebold and Mariano (1995); Patton and Sheppard (2009).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> z = pd.DataFrame(stream(2, "demo").standard_normal((400, 2)), columns=list("AB"))
    >>> score_correlation(z, ["ccc"], train=300).table["difference"].round(3).tolist()
    [0.0, -0.032, 0.0, -0.03]
    """
    table = checked_residuals(residuals, fewest=1)
    words = list(dict.fromkeys([check_kind(baseline), *(check_kind(m) for m in models)]))
    for name, value in (("train", train), ("refit_every", refit_every), ("lags", lags)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is None and name != "train":
            continue
        if not whole or value < (0 if name == "lags" else 1):  # type: ignore[operator]
            raise ParameterError(f"{name} is {value!r}", "a whole number", "correct it")
    scored = len(table) - int(train)
    if scored < _FEWEST:
        raise DataGapError(
            f"{len(table)} rows and train = {train}",
            f"at least {_FEWEST} rows after the training rows",
            "train on fewer rows or load a longer history",
        )
    step = scored if refit_every is None else int(refit_every)
    losses = np.empty((scored, len(words), 2))
    log: list[dict[str, Any]] = []
    for m, word in enumerate(words):
        for first in range(int(train), len(table), step):
            last = min(first + step, len(table))
            fit = fit_correlation(
                table.iloc[:first],
                word,  # type: ignore[arg-type]
                likelihood="full" if word == "deco" else likelihood,
                decay=decay,
                covariance=False,
            )
            log.append(
                {
                    "model": word,
                    "rows": first,
                    "status": fit.status,
                    **{str(k): float(v) for k, v in fit.params.items()},
                }
            )
            losses[first - int(train) : last - int(train), m] = _losses(fit, table.iloc[:last], first)
    width = int(4.0 * (scored / 100.0) ** (2.0 / 9.0)) if lags is None else int(lags)
    columns = pd.MultiIndex.from_product([words, _LOSSES], names=["model", "loss"])
    rows = [
        _compare(word, loss, losses[:, m, k], losses[:, 0, k], width)
        for k, loss in enumerate(_LOSSES)
        for m, word in enumerate(words)
    ]
    return CorrelationScores(
        table=pd.DataFrame(rows),
        losses=pd.DataFrame(losses.reshape(scored, -1), index=table.index[int(train) :], columns=columns),
        parameters=pd.DataFrame(log),
        baseline=words[0],
        lags=width,
        provenance=Provenance(
            method="estimation.score_correlation",
            data={"residuals": fingerprint(table.to_numpy())},
            parameters={
                "models": words,
                "train": int(train),
                "refit_every": refit_every,
                "likelihood": likelihood,
                "decay": decay,
                "lags": width,
            },
        ),
    )


def _losses(fit: CorrelationModel, table: pd.DataFrame, first: int) -> FloatArray:
    """Return both losses of rows ``first`` on, by a model that knows the rows before."""
    model = fit.filter(table)
    out = np.empty((len(table) - first, 2))
    out[:, 0] = -2.0 * model.daily_loglikelihood().to_numpy()[first:]
    z = np.ascontiguousarray(table.to_numpy())
    Q = model.dynamics.state(z[:first])
    for start in range(first, len(table), _CHUNK):
        part = z[start : start + _CHUNK]
        _squared_error(model.dynamics.path(part, Q), part, out[start - first :, 1])
        if start + _CHUNK < len(table):
            Q = model.dynamics.state(z[: start + _CHUNK])
    return out


@kernel
def _squared_error(R: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Fill the mean over pairs of the squared distance of correlation and product of residuals."""
    rows, n = z.shape
    for t in range(rows):
        total = 0.0
        for i in range(n):
            for j in range(i):
                gap = R[t, i, j] - z[t, i] * z[t, j]
                total += gap * gap
        out[t] = 2.0 * total / (n * (n - 1.0))


def _compare(model: str, loss: str, ours: FloatArray, theirs: FloatArray, lags: int) -> dict[str, Any]:
    """Return a row of the table."""
    days = len(ours)
    mean = float(np.add.reduce(ours)) / days
    gap = ours - theirs
    change = float(np.add.reduce(gap)) / days
    variance = float(newey_west((gap - change)[:, None], lags)[0, 0]) / days**2
    error = math.sqrt(variance) if variance > 0.0 else math.nan
    t = change / error if error > 0.0 else math.nan
    return {
        "model": model,
        "loss": loss,
        "mean_loss": mean,
        "difference": change,
        "std_error": error,
        "t": t,
        "p_value": 2.0 * float(ndtr(-abs(t))),
    }
