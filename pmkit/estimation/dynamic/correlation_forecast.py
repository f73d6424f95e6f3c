"""Correlation over several days: by a stated approximation, or by simulation with its error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.correlation_root import simulate_days
from pmkit.estimation.dynamic.dcc_dynamics import Dynamics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationForecast", "approximate", "checked_days", "simulated"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CorrelationForecast(Result):
    """Expected correlations of the next days.

    Attributes
    ----------
    correlations : ndarray, shape (days, n, n)
        First row: tomorrow, which is known.
    std_error : ndarray, shape (days, n, n)
        Of the simulation; 0 for the approximations, whose error it does not measure.
    names : Index
    method : str
        What was done, in words.
    paths : int
        Simulated ones, 0 for the approximations.
    """

    correlations: FloatArray
    std_error: FloatArray
    names: pd.Index
    method: str
    paths: int
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="estimation.correlation.forecast")
    )
    references: tuple[str, ...] = ("engle2001dcc",)

    @property
    def average(self) -> pd.DataFrame:
        """Mean over the days: the correlation of the sums of residuals of equal volatility."""
        mean = np.add.reduce(self.correlations, axis=0) / len(self.correlations)
        return pd.DataFrame(mean, index=self.names, columns=self.names)

    def at(self, day: int) -> pd.DataFrame:
        """Return the correlations of day 1, 2, ... as a frame."""
        if isinstance(day, bool) or not 1 <= day <= len(self.correlations):
            raise ParameterError(
                f"day is {day!r}", f"from 1 to {len(self.correlations)}", "forecast more days"
            )
        return pd.DataFrame(self.correlations[day - 1], index=self.names, columns=self.names)

    def check(self) -> None:
        """Raise where a matrix is not symmetric, positive semidefinite and of unit diagonal."""
        for day, R in enumerate(self.correlations, 1):
            unit = bool((np.abs(np.diag(R) - 1.0) <= 1e-12).all())
            if not (unit and np.array_equal(R, R.T) and float(np.linalg.eigvalsh(R)[0]) >= -1e-10):
                raise PmkitError(f"day {day} is no correlation matrix", "one", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a day: mean, smallest and largest correlation of a pair."""
        i, j = np.triu_indices(len(self.names), 1)
        pairs = self.correlations[:, i, j]
        frame = pd.DataFrame(
            {"mean": pairs.mean(axis=1), "smallest": pairs.min(axis=1), "largest": pairs.max(axis=1)},
            index=pd.RangeIndex(1, len(pairs) + 1, name=f"day, {self.method}"),
        )
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a day and pair: correlation and standard error of the simulation."""
        i, j = np.triu_indices(len(self.names), 1)
        days = len(self.correlations)
        return pd.DataFrame(
            {
                "day": np.repeat(np.arange(1, days + 1), len(i)),
                "row": self.names.take(np.tile(i, days)),
                "column": self.names.take(np.tile(j, days)),
                "correlation": self.correlations[:, i, j].ravel(),
                "std_error": self.std_error[:, i, j].ravel(),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the mean correlation of all pairs over the days ahead."""
        axes = new_axes(ax)
        axes.plot(np.arange(1, len(self.correlations) + 1), self.summary()["mean"].to_numpy(), marker=".")
        axes.set(xlabel="day ahead", ylabel="mean correlation", title=self.method)
        return axes


def checked_days(h: Any) -> int:
    """Return a number of days, 1 or more."""
    if isinstance(h, bool) or not isinstance(h, (int, np.integer)) or h < 1:
        raise ParameterError(f"h is {h!r}", "a whole number of days, 1 or more", "correct it")
    return int(h)


def approximate(dynamics: Dynamics, target: FloatArray, Q: FloatArray, h: int, kind: str) -> FloatArray:
    """Return the correlations of the next ``h`` days by a mean reversion of R ("rbar") or of Q ("qbar").

    Notes
    -----
    rbar: ``R[t+k] = R̄ + (a + b)^(k-1) (R[t+1] - R̄)``. qbar: the same of Q, normalised afterwards; it takes
    the mean of ``z z'`` for Q, which is exact in the corrected model before the normalisation.
    """
    keep = (dynamics.a + dynamics.b) ** np.arange(h)[:, None, None]
    if kind == "rbar":
        first, last = _matrix(Q, dynamics), _matrix(target, dynamics)
        out = last + keep * (first - last)
        out[0] = first
    else:
        out = np.stack([_matrix(M, dynamics) for M in target + keep * (Q - target)])
    return np.asarray(out)


def _matrix(Q: FloatArray, dynamics: Dynamics) -> FloatArray:
    """Return the correlation matrix of Q."""
    return np.asarray(dynamics.path(np.empty((0, len(Q))), np.ascontiguousarray(Q))[0])


def simulated(
    dynamics: Dynamics, Q: FloatArray, draws: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return residual paths (paths, days, n), and mean and standard error of R by day."""
    paths, days, n = draws.shape
    z = np.empty_like(draws)
    total, square = np.zeros((days, n, n)), np.zeros((days, n, n))
    simulate_days(
        Q,
        draws,
        dynamics.corrected,
        dynamics.asymmetric,
        dynamics.equal,
        dynamics.constant,
        dynamics.a,
        dynamics.b,
        dynamics.g,
        z,
        total,
        square,
    )
    mean = total / paths
    spread = np.sqrt(np.maximum(square / paths - mean * mean, 0.0) / paths)
    # the first day is known: no rounding of a sum over paths
    mean[0], spread[0] = _matrix(Q, dynamics), 0.0
    return z, mean, spread
