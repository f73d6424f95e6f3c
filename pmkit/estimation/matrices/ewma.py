"""Exponentially weighted covariance of several return series, as known the evening before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.checks import checked_returns
from pmkit.estimation.matrices.correlation_checks import labelled, smallest_eigenvalue, unit_diagonal
from pmkit.estimation.matrices.matrix_views import correlation_map, pair_frame
from pmkit.pricing.numeric import kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EwmaCovariance", "ewma_covariance"]


@dataclass(frozen=True, kw_only=True, repr=False)
class EwmaCovariance(Result):
    """Exponentially weighted covariance for the day after the sample.

    Attributes
    ----------
    covariance, correlation : DataFrame, shape (n, n)
        Squared decimal returns a bar, and its correlations.
    decay : float
        Weight of yesterday's matrix.
    rows, start_rows : int
        Returns used; those of them behind the start, 0 where the start was given.
    smallest_eigenvalue : float
        Of the correlation: 0 where assets are collinear.
    path : ndarray, shape (rows + 1, n, n), or None
        ``path[t]`` knows rows before ``t`` only; NaN before the start. Kept on request.
    index : Index
        Dates of the returns.
    """

    covariance: pd.DataFrame
    correlation: pd.DataFrame
    decay: float
    rows: int
    start_rows: int
    smallest_eigenvalue: float
    index: pd.Index
    path: FloatArray | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.ewma_covariance"))
    references: tuple[str, ...] = ("riskmetrics1996",)

    @property
    def sigma(self) -> pd.Series:
        """Volatility of each asset a bar, decimal."""
        root = np.sqrt(np.diag(self.covariance.to_numpy()))
        return pd.Series(root, index=self.covariance.index, name="sigma")

    @property
    def effective_rows(self) -> float:
        """``(1 + decay) / (1 - decay)``: equally weighted rows that estimate as precisely."""
        return (1.0 + self.decay) / (1.0 - self.decay)

    @property
    def correlation_error(self) -> pd.DataFrame:
        """Standard error of each correlation, ``(1 - rho^2) / sqrt(effective_rows)`` of normal returns."""
        return (1.0 - self.correlation**2) / math.sqrt(self.effective_rows)

    def check(self) -> None:
        """Raise where correlation and volatilities do not give the covariance back."""
        sigma = self.sigma.to_numpy()
        rebuilt = self.correlation.to_numpy() * sigma[:, None] * sigma[None, :]
        scale = sigma[:, None] * sigma[None, :]
        if not bool((np.abs(rebuilt - self.covariance.to_numpy()) <= 1e-12 * scale).all()):
            raise PmkitError(
                "correlation and volatility do not give the covariance",
                "their product",
                "report this as a bug",
            )

    def summary(self) -> pd.DataFrame:
        """Return volatility and correlations a label, eight decimals at most."""
        frame = pd.concat([self.sigma, self.correlation], axis=1).round(8)
        frame.index.name = f"EWMA {self.decay:g}, {self.rows} returns"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair, diagonal included: covariance, correlation, standard error."""
        return pair_frame(
            covariance=self.covariance, correlation=self.correlation, std_error=self.correlation_error
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the latest correlations as a map of colours."""
        return correlation_map(self.correlation, f"EWMA correlation, decay {self.decay:g}", ax)


def ewma_covariance(
    returns: pd.DataFrame,
    decay: float = 0.94,
    *,
    start: int | pd.DataFrame | FloatArray = 75,
    keep_path: bool = False,
) -> EwmaCovariance:
    """Return the exponentially weighted covariance, squared decimal returns, for the day after the sample.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns (0.01 is one per cent), one column an asset, oldest first, no gap. The mean is taken
        as 0.
    decay : float
        Above 0 and below 1; 0.94 and 0.97 are usual for days and for correlations.
    start : int or matrix, shape (n, n)
        Number of first rows whose second moment starts the recursion, which then runs over the rows after
        them; or the covariance before the first row, in squared decimal returns.
    keep_path : bool
        Whether to keep the matrix of every day: ``8 (T + 1) n^2`` bytes.

    Returns
    -------
    EwmaCovariance

    Raises
    ------
    SchemaError
        Not a frame of numbers, repeated columns, dates out of order, a start of other shape or labels.
    ParameterError
        NaN, infinity, a constant column, prices or percent; a decay out of range; a start that is not a
        positive semidefinite covariance.
    DataGapError
        Fewer rows than ``start``.

    Notes
    -----
    ``S[t+1] = decay S[t] + (1 - decay) r[t] r[t]'``. The start keeps the weight ``decay^(T - start)``.
    Cost ``O(T n^2)``.

    References
    ----------
    J.P. Morgan/Reuters (1996), section 5.2.

    Examples
    --------
    >>> r = pd.DataFrame({"A": [0.01, -0.02, 0.03], "B": [0.02, -0.01, 0.01]})
    >>> ewma_covariance(r, 0.5, start=1).covariance.round(8).loc["A"].tolist()
    [0.000575, 0.00025]
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay < 1.0:
        raise ParameterError(f"decay is {decay!r}", "a number above 0 and below 1", "0.94 is usual for days")
    whole = isinstance(start, (int, np.integer)) and not isinstance(start, bool)
    if whole and int(start) < 1:  # type: ignore[arg-type]
        raise ParameterError(f"start is {start!r}", "1 row or more, or a covariance matrix", "75 is usual")
    used = int(start) if whole else 0  # type: ignore[arg-type]
    values, names = _table(returns, max(used, 1))
    first = np.ascontiguousarray(values[:used].T)
    moment = np.add.reduce(first[:, None, :] * first[None, :, :], axis=2)
    initial = moment / used if whole else _given(start, names)
    S = initial.copy()
    rows, n = values.shape
    path = np.full((rows + 1 if keep_path else 0, n, n), np.nan)
    _run(values[used:], float(decay), S, path[used:] if keep_path else path)
    dead = np.flatnonzero(~(np.diag(S) > 0.0))
    if dead.size:
        raise ParameterError(
            f"the covariance of {names[dead[0]]!r} vanished",
            "returns that move within the memory of the decay",
            "drop the asset, or take a decay nearer to 1",
        )
    correlation = unit_diagonal(S)
    return EwmaCovariance(
        covariance=pd.DataFrame(S, index=names, columns=names),
        correlation=pd.DataFrame(correlation, index=names, columns=names),
        decay=float(decay),
        rows=rows,
        start_rows=used,
        smallest_eigenvalue=smallest_eigenvalue(correlation),
        index=returns.index,
        path=path if keep_path else None,
        provenance=Provenance(
            method="estimation.ewma_covariance",
            data={
                "returns": fingerprint(values),
                "start": fingerprint(initial),
            },
            parameters={"decay": float(decay), "start_rows": used},
        ),
    )


def _table(returns: Any, fewest: int) -> tuple[FloatArray, pd.Index]:
    """Return the checked returns, one column an asset, and their names."""
    if not isinstance(returns, pd.DataFrame) or returns.shape[1] == 0:
        raise SchemaError(
            f"returns are a {type(returns).__name__} of shape {np.shape(returns)}",
            "a frame, one column an asset",
            "pass history.returns()",
        )
    if not returns.columns.is_unique:
        twice = returns.columns[returns.columns.duplicated()][0]
        raise SchemaError(f"column {twice!r} is repeated", "one column an asset", "rename or drop one")
    if len(returns) < fewest:
        raise DataGapError(
            f"{len(returns)} rows of returns",
            f"at least {fewest}",
            "load a longer history, or start from fewer rows or a given covariance",
        )
    checked = [checked_returns(returns[name], fewest=1).to_numpy() for name in returns.columns]
    return np.ascontiguousarray(np.column_stack(checked)), returns.columns


def _given(start: Any, names: pd.Index) -> FloatArray:
    """Return a given start as a checked covariance in the order of ``names``."""
    S, labels = labelled(start, "start")
    if len(S) != len(names) or (isinstance(start, pd.DataFrame) and not labels.equals(names)):
        raise SchemaError(
            f"start has {len(S)} rows labelled {labels.tolist()[:6]}",
            f"the columns of returns, {names.tolist()[:6]}",
            "reindex the start to the returns",
        )
    low = smallest_eigenvalue(S)
    if low < -1e-10 * float(np.diag(S).max()) or not bool((np.diag(S) > 0.0).all()):
        raise ParameterError(
            f"the smallest eigenvalue of start is {low:.6g}, its smallest variance {np.diag(S).min():.6g}",
            "a positive semidefinite covariance of positive variances",
            "repair its correlation with nearest_correlation",
        )
    return S


@kernel
def _run(values: FloatArray, decay: float, S: FloatArray, path: FloatArray) -> None:
    """Run the recursion in ``S`` over the rows; fill ``path`` with S before each row and after the last."""
    rows, n = values.shape
    for t in range(rows):
        if path.shape[0] > 0:
            path[t] = S
        for i in range(n):
            for j in range(i + 1):
                new = decay * S[i, j] + (1.0 - decay) * (values[t, i] * values[t, j])
                S[i, j] = new
                S[j, i] = new
    if path.shape[0] > 0:
        path[rows] = S
