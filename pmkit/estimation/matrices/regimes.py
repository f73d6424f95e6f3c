"""Correlations of calm and of stressed days, the days sorted by a volatility known the evening before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import BoolArray, FloatArray
from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.matrices.correlation_checks import unit_diagonal
from pmkit.estimation.matrices.ewma import ewma_covariance
from pmkit.estimation.panel import checked_panel, sample_covariance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RegimeCorrelation", "regime_correlation"]

_FEWEST = 30


@dataclass(frozen=True, kw_only=True, repr=False)
class RegimeCorrelation(Result):
    """Correlation matrices of calm, stressed and all days, with the error of their difference.

    Attributes
    ----------
    calm, stress, every : DataFrame, shape (n, n)
        Sample correlations of the days of each regime: positive semidefinite by construction, ready as
        ``target`` of :func:`stress_correlation`.
    calm_rows, stress_rows, every_rows : int
    state : Series
        What sorts the days: the volatility of the panel known before each of them, or the series given.
    calm_below, stress_above : float
        Values of ``state`` that bound the regimes.
    difference_error : DataFrame
        Bootstrap standard error of ``stress - calm``.
    """

    calm: pd.DataFrame
    stress: pd.DataFrame
    every: pd.DataFrame
    calm_rows: int
    stress_rows: int
    every_rows: int
    state: pd.Series
    calm_below: float
    stress_above: float
    difference_error: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.regime_correlation"))
    references: tuple[str, ...] = ("loretan2000", "forbes2002")

    @property
    def difference(self) -> pd.DataFrame:
        """Stress less calm correlation."""
        return self.stress - self.calm

    def check(self) -> None:
        """Raise where the regimes overlap or a matrix has a diagonal other than 1."""
        matrices = (self.calm, self.stress, self.every)
        if self.calm_below > self.stress_above or not all(
            bool((np.diag(m.to_numpy()) == 1.0).all()) for m in matrices
        ):
            raise PmkitError("regimes overlap", "calm below stress", "report this as a bug")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: calm, all, stress, difference and its standard error."""
        i, j = np.triu_indices(len(self.calm), 1)
        names = self.calm.index
        parts = {
            "calm": self.calm,
            "all": self.every,
            "stress": self.stress,
            "difference": self.difference,
            "std_error": self.difference_error,
        }
        return pd.DataFrame(
            {"row": names.take(i), "column": names.take(j)}
            | {key: frame.to_numpy()[i, j] for key, frame in parts.items()}
        )

    def summary(self) -> pd.DataFrame:
        """Return the pairs, eight decimals at most."""
        frame = self.to_frame().round(8)
        frame.index.name = f"{self.calm_rows} calm, {self.stress_rows} stressed of {self.every_rows} days"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with calm and stressed correlation of each pair."""
        axes = new_axes(ax)
        frame = self.to_frame()
        at = np.arange(len(frame))
        axes.plot(frame["calm"], at, "o", label="calm")
        axes.plot(frame["stress"], at, "s", label="stress")
        axes.set_yticks(at, [f"{a}, {b}" for a, b in zip(frame["row"], frame["column"], strict=True)])
        axes.set(xlabel="correlation", title="correlation of calm and stressed days")
        axes.legend()
        return axes


def regime_correlation(
    returns: pd.DataFrame,
    *,
    calm: float = 0.5,
    stress: float = 0.9,
    state: pd.Series | None = None,
    decay: float = 0.94,
    start: int = 75,
    standardise: bool = True,
    replicates: int = 200,
    mean_block: float = 20.0,
    seed: int = 20260801,
) -> RegimeCorrelation:
    """Return the correlations of a panel on calm and on stressed days, sorted by volatility.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, oldest first, no gap; at least 30 days in each regime.
    calm, stress : float
        Quantiles of the state: days at or below the first, and at or above the second.
    state : Series, optional
        One finite number a day on the dates of ``returns`` (a volatility index, say), known **before** the
        day. Where None, the mean over assets of the log of the exponentially weighted volatility of the
        evening before.
    decay, start : float, int
        Of that volatility; the first ``start`` days only start it and belong to no regime.
    standardise : bool
        Whether returns are divided by that volatility first, so that a few wild days do not decide the
        correlation by themselves.
    replicates, mean_block, seed : int, float, int
        Of the block bootstrap behind the error of the difference.

    Returns
    -------
    RegimeCorrelation

    Raises
    ------
    SchemaError, ParameterError
        As for other panels; quantiles out of order.
    ConventionError
        A state on other dates.
    DataGapError
        Fewer than 30 days in a regime.

    Notes
    -----
    Sorting days by the size of their *own* returns raises the measured correlation even where the true one is
    constant; sorting by what was known the evening before does not. A difference within two of its standard
    errors is no evidence of two regimes.

    References
    ----------
    Loretan and English (2000); Forbes and Rigobon (2002).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> r = pd.DataFrame(0.01 * stream(1, "demo").standard_normal((900, 2)), columns=["A", "B"])
    >>> regime_correlation(r, replicates=20).stress_rows
    83
    """
    if not 0.0 < calm <= stress < 1.0:
        raise ParameterError(
            f"calm is {calm!r}, stress {stress!r}", "0 < calm <= stress < 1", "0.5 and 0.9 are usual"
        )
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise ParameterError(f"replicates is {replicates!r}", "a whole number, 2 or more", "200 is usual")
    values, names = checked_panel(returns, fewest=start + _FEWEST, least_columns=2)
    path = ewma_covariance(returns, decay, start=start, keep_path=True).path
    assert path is not None  # kept on request
    sigma = np.sqrt(np.diagonal(path[start:-1], axis1=1, axis2=2))
    level = np.mean(np.log(sigma), axis=1)
    dates = returns.index[start:]
    given = _given_state(state, dates, level)
    x = np.ascontiguousarray(values[start:] / sigma if standardise else values[start:])
    low, high = float(np.quantile(given, calm)), float(np.quantile(given, stress))
    quiet, wild = given <= low, given >= high
    for word, rows in (("calm", quiet), ("stressed", wild)):
        if int(rows.sum()) < _FEWEST:
            raise DataGapError(
                f"{int(rows.sum())} {word} days",
                f"at least {_FEWEST}",
                "take wider quantiles or a longer history",
            )
    error = _difference_error(x, quiet, wild, replicates, mean_block, seed)

    def frame(matrix: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(matrix, index=names, columns=names)

    return RegimeCorrelation(
        calm=frame(_correlation(x[quiet])),
        stress=frame(_correlation(x[wild])),
        every=frame(_correlation(x)),
        calm_rows=int(quiet.sum()),
        stress_rows=int(wild.sum()),
        every_rows=len(x),
        state=pd.Series(given, index=dates, name="state"),
        calm_below=low,
        stress_above=high,
        difference_error=frame(error),
        provenance=Provenance(
            method="estimation.regime_correlation",
            data={"returns": fingerprint(values), "state": fingerprint(given)},
            parameters={
                "calm": calm,
                "stress": stress,
                "decay": decay,
                "start": start,
                "standardise": standardise,
                "replicates": replicates,
                "mean_block": mean_block,
            },
            seed=seed,
        ),
    )


def _given_state(state: Any, dates: pd.Index, own: FloatArray) -> FloatArray:
    if state is None:
        return own
    if not isinstance(state, pd.Series) or not dates.isin(state.index).all():
        raise ConventionError(
            f"state is a {type(state).__name__} that lacks dates of the returns",
            "a Series with a value for each day after the start",
            "reindex it to returns.index, each value as known before that day",
        )
    values = state.loc[dates].to_numpy(dtype=np.float64)
    if values.shape != own.shape or not np.isfinite(values).all():
        raise ParameterError(
            "state holds NaN, infinity or repeated dates", "one finite number a day", "repair it"
        )
    return np.asarray(values)


def _correlation(x: FloatArray) -> FloatArray:
    return unit_diagonal(sample_covariance(np.ascontiguousarray(x)))


def _difference_error(
    x: FloatArray, quiet: BoolArray, wild: BoolArray, replicates: int, mean_block: float, seed: int
) -> FloatArray:
    """Return the standard error of stress less calm; days keep their regime when they are redrawn."""
    draws = np.empty((replicates, x.shape[1], x.shape[1]))
    for k in range(replicates):
        rows = stationary_blocks(len(x), mean_block, stream(seed, "regimes", k))
        a, b = rows[wild[rows]], rows[quiet[rows]]
        few = min(len(a), len(b)) < 5
        draws[k] = np.nan if few else _correlation(x[a]) - _correlation(x[b])
    return np.asarray(np.nanstd(draws, axis=0, ddof=1), dtype=np.float64)
