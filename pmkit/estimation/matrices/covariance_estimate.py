"""One result for every covariance estimate of a panel: matrix, correlation, shrinkage, repair."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import smallest_eigenvalue, unit_diagonal
from pmkit.estimation.matrices.matrix_views import correlation_map, pair_frame
from pmkit.estimation.matrices.nearest import CorrelationRepair, nearest_correlation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CovarianceEstimate"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CovarianceEstimate(Result):
    """A covariance of returns, squared decimal units a bar, with its correlation and how it was made.

    Attributes
    ----------
    covariance, correlation : DataFrame, shape (n, n)
        Positive semidefinite; the correlation has a diagonal of 1.
    method : str
        Estimator and variant in words.
    status : {"ok", "repaired", "not_converged"}
        ``repaired``: the pairwise estimates left no correlation matrix and the nearest one was taken.
    rows : int
        Returns behind the estimate.
    intensity : float
        Weight of the shrinkage target, from 0 to 1; NaN where the estimator has no single one.
    smallest_eigenvalue : float
        Of the correlation.
    details : dict of str to float
        Figures of the method.
    repair : CorrelationRepair or None
        Which pairs the repair moved.
    """

    covariance: pd.DataFrame
    correlation: pd.DataFrame
    method: str
    status: str
    rows: int
    intensity: float
    smallest_eigenvalue: float
    details: dict[str, float] = field(default_factory=dict)
    repair: CorrelationRepair | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.covariance"))
    references: tuple[str, ...] = ()

    @property
    def sigma(self) -> pd.Series:
        """Volatility of each asset a bar, decimal."""
        root = np.sqrt(np.diag(self.covariance.to_numpy()))
        return pd.Series(root, index=self.covariance.index, name="sigma")

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue of the covariance; infinite where it is singular."""
        lam = np.linalg.eigvalsh(self.covariance.to_numpy())
        return float(lam[-1] / lam[0]) if lam[0] > 0.0 else math.inf

    def check(self) -> None:
        """Raise where correlation and volatilities do not give the covariance, or it is not PSD."""
        sigma = self.sigma.to_numpy()
        scale = sigma[:, None] * sigma[None, :]
        off = np.abs(self.correlation.to_numpy() * scale - self.covariance.to_numpy())
        if not bool((off <= 1e-12 * scale).all()) or self.smallest_eigenvalue < -1e-9:
            raise PmkitError(
                f"covariance off by {float(off.max()):.3g}, eigenvalue {self.smallest_eigenvalue:.3g}",
                "a positive semidefinite product of correlation and volatilities",
                "report this as a bug",
            )

    def raise_if_bad(self) -> CovarianceEstimate:
        """Return the estimate itself; raise where a method did not converge."""
        if self.status == "not_converged":
            raise PmkitError(f"{self.method} did not converge", "status ok or repaired", "use another method")
        return self

    def summary(self) -> pd.DataFrame:
        """Return volatility and correlations a label, eight decimals at most."""
        frame = pd.concat([self.sigma, self.correlation], axis=1).round(8)
        shrunk = "" if math.isnan(self.intensity) else f", intensity {self.intensity:.6g}"
        frame.index.name = f"{self.method}, {self.rows} returns{shrunk}, {self.status}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a pair, diagonal included: covariance and correlation."""
        return pair_frame(covariance=self.covariance, correlation=self.correlation)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the correlations as a map of colours."""
        return correlation_map(self.correlation, f"correlation, {self.method}", ax)


def from_covariance(
    S: FloatArray, names: pd.Index, values: FloatArray, method: str, **rest: Any
) -> CovarianceEstimate:
    """Return the estimate of a covariance that is positive semidefinite by construction."""
    correlation = unit_diagonal(S)
    return _estimate(S, correlation, names, values, method, status=rest.pop("status", "ok"), **rest)


def from_correlation(
    R: FloatArray, names: pd.Index, values: FloatArray, method: str, *, repair: bool, **rest: Any
) -> CovarianceEstimate:
    """Return the estimate of a correlation, repaired where asked, with the sample's standard deviations.

    Raises
    ------
    ParameterError
        The matrix is not positive semidefinite and ``repair`` is False.
    """
    sigma = values.std(axis=0, ddof=1)
    low = smallest_eigenvalue(R)
    status, mended = "ok", None
    if low < -1e-9:
        if not repair:
            raise ParameterError(
                f"the {method} matrix has a smallest eigenvalue of {low:.6g}",
                "a positive semidefinite matrix",
                "let it be repaired with repair=True",
            )
        mended = nearest_correlation(pd.DataFrame(R, index=names, columns=names))
        R, status = np.asarray(mended.matrix), mended.status
    S = R * sigma[:, None] * sigma[None, :]
    return _estimate(S, R, names, values, method, status=status, repair=mended, **rest)


def _estimate(
    S: FloatArray,
    R: FloatArray,
    names: pd.Index,
    values: FloatArray,
    method: str,
    *,
    status: str,
    intensity: float = math.nan,
    details: dict[str, float] | None = None,
    parameters: dict[str, Any] | None = None,
    repair: CorrelationRepair | None = None,
    references: tuple[str, ...] = (),
    seed: int | None = None,
) -> CovarianceEstimate:
    return CovarianceEstimate(
        covariance=pd.DataFrame(S, index=names, columns=names),
        correlation=pd.DataFrame(R, index=names, columns=names),
        method=method,
        status=status,
        rows=len(values),
        intensity=intensity,
        smallest_eigenvalue=smallest_eigenvalue(R),
        details=details or {},
        repair=repair,
        provenance=Provenance(
            method=f"estimation {method}",
            data={"returns": fingerprint(values)},
            parameters=parameters or {},
            seed=seed,
        ),
        references=references,
    )
