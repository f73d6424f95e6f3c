"""How far an estimated correlation may be from the true one: bands by Fisher's z and by block bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.matrices.correlation_checks import unit_diagonal
from pmkit.estimation.panel import checked_panel, cross_moment, sample_covariance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationBands", "correlation_bands"]

_FEWEST = 20

_PAPERS = {"fisher": ("fisher1915",), "bootstrap": ("fisher1915", "politis1994")}


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationBands(Result):
    """Estimate, lower and upper limit of each correlation, one pair at a time.

    Attributes
    ----------
    correlation, low, high, std_error : DataFrame, shape (n, n)
        The limits of all pairs together are no correlation matrices: hand the bands to
        :func:`worst_case_correlation` as ``box``.
    level : float
        Probability of the interval of one pair.
    method : {"fisher", "bootstrap"}
    effective_rows : float
        Equally weighted independent rows behind the estimate.
    replicates : int
        Of the bootstrap; 0 under ``fisher``.
    """

    correlation: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    std_error: pd.DataFrame
    level: float
    method: str
    effective_rows: float
    replicates: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.correlation_bands"))
    references: tuple[str, ...] = ("fisher1915",)

    def check(self) -> None:
        """Raise where an estimate lies outside [-1, 1] or a lower limit above its upper one."""
        low, mid, high = (x.to_numpy() for x in (self.low, self.correlation, self.high))
        if not bool(((low <= high) & (low >= -1.0) & (high <= 1.0) & (np.abs(mid) <= 1.0)).all()):
            raise PmkitError("limits out of order", "-1 <= low <= high <= 1", "report this as a bug")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair: estimate, standard error, lower and upper limit."""
        i, j = np.triu_indices(len(self.low), 1)
        names = self.low.index
        columns = {
            "correlation": self.correlation,
            "std_error": self.std_error,
            "low": self.low,
            "high": self.high,
        }
        return pd.DataFrame(
            {"row": names.take(i), "column": names.take(j)}
            | {key: frame.to_numpy()[i, j] for key, frame in columns.items()}
        )

    def summary(self) -> pd.DataFrame:
        """Return the pairs with their bands, eight decimals at most."""
        frame = self.to_frame().round(8)
        frame.index.name = f"{self.method}, {self.level:g}, {self.effective_rows:.6g} effective rows"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with each pair's estimate and interval."""
        axes = new_axes(ax)
        frame = self.to_frame()
        at = np.arange(len(frame))
        axes.hlines(at, frame["low"], frame["high"])
        axes.plot(frame["correlation"], at, "o")
        axes.set_yticks(at, [f"{a}, {b}" for a, b in zip(frame["row"], frame["column"], strict=True)])
        axes.set(xlabel="correlation", title=f"{self.level:.0%} bands, {self.method}")
        return axes


def correlation_bands(
    returns: pd.DataFrame,
    level: float = 0.95,
    *,
    method: Literal["fisher", "bootstrap"] = "bootstrap",
    decay: float | None = None,
    replicates: int = 1000,
    mean_block: float = 20.0,
    seed: int = 20260801,
) -> CorrelationBands:
    """Return the interval of each correlation of a panel at the given level.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, no gap, at least 20 rows and 4 effective ones.
    level : float
        Between 0 and 1, for one pair.
    method : {"fisher", "bootstrap"}
        ``fisher`` takes independent normal returns; ``bootstrap`` resamples blocks of days and holds for
        heavy tails and volatility that clusters, where Fisher's band is too narrow.
    decay : float, optional
        The estimate is exponentially weighted with this decay (about the mean 0); equally weighted about the
        sample mean where None.
    replicates, mean_block, seed : int, float, int
        Of the bootstrap; blocks in rows.

    Returns
    -------
    CorrelationBands

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; an argument out of range.

    Notes
    -----
    Fisher: ``tanh(artanh(rho) -/+ z / sqrt(m - 3))`` with ``m`` the effective rows, ``T`` or
    ``1 / sum w^2`` (``(1 + decay)/(1 - decay)`` for a long sample). Bootstrap: the same with the standard
    deviation of ``artanh`` over replicates in place of ``1 / sqrt(m - 3)``, which covers better under heavy
    tails than their quantiles do; the standard error is on the scale of ``rho``. Cost
    ``O(replicates T n^2)``.

    References
    ----------
    Fisher (1915); Politis and Romano (1994), section 2.

    Examples
    --------
    >>> r = pd.DataFrame({"A": np.sin(np.arange(60)) / 50, "B": np.cos(np.arange(60)) / 50})
    >>> correlation_bands(r, method="fisher").low.round(3).loc["A", "B"].item()
    -0.258
    """
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0.0 < level < 1.0:
        raise ParameterError(f"level is {level!r}", "a probability between 0 and 1", "write 0.95")
    if method not in ("fisher", "bootstrap"):
        raise ParameterError(f"method is {method!r}", "'fisher' or 'bootstrap'", "name one of them")
    if decay is not None and (isinstance(decay, bool) or not 0.0 < decay < 1.0):
        raise ParameterError(f"decay is {decay!r}", "None, or a number above 0 and below 1", "0.97 is usual")
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 100:
        raise ParameterError(f"replicates is {replicates!r}", "a whole number, 100 or more", "1000 is usual")
    values, names = checked_panel(returns, fewest=_FEWEST, least_columns=2)
    weights = _weights(len(values), decay)
    effective = 1.0 / float(np.add.reduce(weights**2))
    if effective <= 4.0:
        raise DataGapError(
            f"{effective:.1f} effective rows", "more than 4", "take a decay nearer to 1 or a longer sample"
        )
    estimate = _weighted_correlation(values, weights, decay is None)
    if method == "fisher":
        low, high, error = _fisher(estimate, effective, level)
        replicates = 0
    else:
        low, high, error = _bootstrap(
            values, weights, estimate, level, replicates, mean_block, seed, decay is None
        )

    def frame(x: FloatArray) -> pd.DataFrame:
        return pd.DataFrame(x, index=names, columns=names)

    return CorrelationBands(
        correlation=frame(estimate),
        low=frame(low),
        high=frame(high),
        std_error=frame(error),
        level=float(level),
        method=method,
        effective_rows=effective,
        replicates=replicates,
        provenance=Provenance(
            method=f"estimation.correlation_bands {method}",
            data={"returns": fingerprint(values)},
            parameters={
                "level": level,
                "decay": decay,
                "replicates": replicates,
                "mean_block": mean_block if replicates else None,
            },
            seed=seed if replicates else None,
        ),
        references=_PAPERS[method],
    )


def _weights(rows: int, decay: float | None) -> FloatArray:
    if decay is None:
        return np.full(rows, 1.0 / rows)
    raw = decay ** np.arange(rows - 1, -1, -1, dtype=np.float64)
    return np.asarray(raw / np.add.reduce(raw))


def _weighted_correlation(values: FloatArray, weights: FloatArray, centred: bool) -> FloatArray:
    if centred:
        return unit_diagonal(sample_covariance(values))
    return unit_diagonal(cross_moment(values * np.sqrt(weights)[:, None]))


def _fisher(R: FloatArray, effective: float, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    from scipy.special import ndtri

    half = float(ndtri(0.5 + 0.5 * level)) / math.sqrt(effective - 3.0)
    z = _artanh(R)
    low, high = np.tanh(z - half), np.tanh(z + half)
    error = (1.0 - R**2) / math.sqrt(effective)
    return _closed(low, 1.0), _closed(high, 1.0), _closed(error, 0.0)


def _bootstrap(
    values: FloatArray,
    weights: FloatArray,
    R: FloatArray,
    level: float,
    replicates: int,
    mean_block: float,
    seed: int,
    centred: bool,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    from scipy.special import ndtri

    draws = np.empty((replicates, *R.shape))
    for k in range(replicates):
        rows = stationary_blocks(len(values), mean_block, stream(seed, "correlation", k))
        draws[k] = _weighted_correlation(np.ascontiguousarray(values[rows]), weights, centred)
    centre = _artanh(R)
    half = float(ndtri(0.5 + 0.5 * level)) * _artanh(draws).std(axis=0, ddof=1)
    low, high = np.tanh(centre - half), np.tanh(centre + half)
    return _closed(low, 1.0), _closed(high, 1.0), _closed(draws.std(axis=0, ddof=1), 0.0)


def _artanh(R: FloatArray) -> FloatArray:
    return np.arctanh(np.clip(R, -1.0 + 1e-15, 1.0 - 1e-15))


def _closed(x: FloatArray, diagonal: float) -> FloatArray:
    """Return the matrix made exactly symmetric, with the given diagonal."""
    out = 0.5 * (x + x.T)
    np.fill_diagonal(out, diagonal)
    return out
