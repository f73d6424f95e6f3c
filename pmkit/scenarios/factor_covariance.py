"""The covariance of the moves of all factors over one horizon, and what it says of some given others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.scenarios.conditional import ConditionalMoves, conditional_moves
from pmkit.scenarios.factors import Factor, TermScaling, check_factors
from pmkit.scenarios.inputs import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FactorCovariance", "check_sizes"]

#: a standard deviation of a log move of spot or vol beyond this is a slip of unit
_LARGEST_SD = 10.0


@dataclass(frozen=True, kw_only=True, repr=False)
class FactorCovariance(Result):
    """Covariance of the moves of every factor over one horizon, in logs, mean 0.

    Attributes
    ----------
    factors : tuple of Factor
    matrix : ndarray, shape (n, n)
        Positive semidefinite; logs over the horizon for spot, vol, basis, fixing and fx, the unit of
        :class:`Factor` for other kinds.
    horizon_days : float
        Above 0.
    vol_term : TermScaling
        Law by which the move of vol at the reference tenor reaches other tenors.
    n_independent : float
        Independent history observations behind it; infinite where it was given.
    provenance : Provenance
    notes : tuple of str

    Raises
    ------
    SchemaError
        A matrix of another shape.
    ParameterError
        Entries that are not finite, an asymmetric matrix, a negative variance or eigenvalue, a horizon that
        is not positive.

    Examples
    --------
    >>> law = FactorCovariance(factors=(Factor("spot", "BTC"), Factor("vol", "BTC")), horizon_days=1.0,
    ...     matrix=np.array([[0.0016, -0.0018], [-0.0018, 0.0036]]))
    >>> law.conditional({"BTC": math.log(0.7)}).expected.round(4).tolist()
    [-0.3567, 0.4013]
    """

    factors: tuple[Factor, ...]
    matrix: FloatArray
    horizon_days: float
    vol_term: TermScaling = TermScaling()  # noqa: RUF009 (frozen)
    n_independent: float = math.inf
    provenance: Provenance = field(default_factory=lambda: Provenance(method="scenarios.FactorCovariance"))
    notes: tuple[str, ...] = ()
    references: tuple[str, ...] = ("kupiec1998",)

    def __post_init__(self) -> None:
        matrix, n = np.array(self.matrix, dtype=np.float64), len(self.factors)
        if n == 0 or matrix.shape != (n, n):
            raise SchemaError(
                f"a covariance of shape {matrix.shape} for {n} factors", f"({n}, {n})", "reshape it"
            )
        check_factors(self.factors)
        if not np.isfinite(matrix).all():
            raise ParameterError("a covariance is not finite", "finite numbers", "repair the estimate")
        scale = float(np.max(np.diag(matrix)))
        if scale <= 0.0 or float(np.max(np.abs(matrix - matrix.T))) > 1e-12 * scale:
            raise ParameterError(
                "a covariance that is not symmetric or without a positive variance",
                "a symmetric positive semidefinite matrix",
                "correct the entries",
            )
        matrix = 0.5 * (matrix + matrix.T)
        sd = np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        least = float(np.linalg.eigvalsh(matrix / np.outer(sd, sd))[0])
        if least < -1e-9 * n:
            raise ParameterError(
                f"the correlation has the eigenvalue {least:.3g}",
                "a positive semidefinite matrix",
                "repair it with pmkit.estimation.nearest_correlation",
            )
        if not (math.isfinite(self.horizon_days) and self.horizon_days > 0.0):
            raise ParameterError(f"horizon_days is {self.horizon_days!r}", "days above 0", "correct it")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @property
    def sd(self) -> FloatArray:
        """Standard deviation of each factor over the horizon, shape (n,)."""
        return np.asarray(np.sqrt(np.diag(self.matrix)))

    @property
    def correlation(self) -> pd.DataFrame:
        """Correlation of the factors; 0 beside a factor that does not vary."""
        sd = self.sd
        scale = np.where(sd > 0.0, sd, 1.0)
        names = [f.label for f in self.factors]
        return pd.DataFrame(self.matrix / np.outer(scale, scale), index=names, columns=names)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of factors, matrix and horizon."""
        return fingerprint(
            self.matrix,
            [f.label for f in self.factors],
            self.horizon_days,
            [getattr(self.vol_term, s) for s in self.vol_term.__slots__],
        )

    def over(self, days: float) -> FactorCovariance:
        """Return the covariance over another horizon, scaled by time: moves of different days independent.

        Raises
        ------
        ParameterError
            ``days`` is not positive.
        ConventionError
            There is a fixing, whose day does not move with the horizon.
        """
        if any(f.kind == "fixing" for f in self.factors):
            raise ConventionError(
                "a covariance with a fixing inside its horizon",
                "factors that grow with the horizon",
                "build it for that horizon with factor_covariance",
            )
        if not (math.isfinite(days) and days > 0.0):
            raise ParameterError(f"days is {days!r}", "a number above 0", "correct it")
        return FactorCovariance(
            factors=self.factors,
            matrix=self.matrix * (days / self.horizon_days),
            horizon_days=float(days),
            vol_term=self.vol_term,
            n_independent=self.n_independent * self.horizon_days / days,
            provenance=self.provenance,
            notes=(*self.notes, f"scaled by time from {self.horizon_days:g} to {days:g} days"),
        )

    def conditional(self, moves: Mapping[str | Factor, float]) -> ConditionalMoves:
        """Return the expected move of every factor, given moves of some, with the spread that is left.

        Parameters
        ----------
        moves : mapping of Factor or str to float
            Logs. A name alone is its spot; ``"BTC vol"`` and other words as in :meth:`Factor.label`.

        Raises
        ------
        DataGapError
            A factor that the covariance does not hold.
        ParameterError
            No move, a move that is not finite, or shocked factors that are collinear.

        References
        ----------
        Kupiec (1998), predictive stress test.
        """
        return conditional_moves(self.factors, self.matrix, moves)

    def check(self) -> None:
        """Raise where an eigenvalue of the correlation is negative beyond rounding."""
        least = float(np.linalg.eigvalsh(self.correlation.to_numpy())[0])
        if least < -1e-9 * len(self.factors):
            raise PmkitError(f"eigenvalue {least:.3g}", "0 or more", "report it with the inputs")

    def to_frame(self) -> pd.DataFrame:
        """Return the matrix with the names of the factors."""
        names = [f.label for f in self.factors]
        return pd.DataFrame(self.matrix, index=names, columns=names)

    def summary(self) -> pd.DataFrame:
        """Return one row a factor: standard deviation over the horizon and correlation with each spot."""
        R = self.correlation
        frame = pd.DataFrame({"sd": self.sd}, index=R.index)
        for factor in self.factors:
            if factor.kind == "spot":
                frame[f"correlation with {factor.label}"] = R[factor.label]
        frame.index.name = f"{len(self.factors)} factors over {self.horizon_days:g} days"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the correlations as a map of colours."""
        axes = new_axes(ax)
        R = self.correlation
        image = axes.imshow(R.to_numpy(), vmin=-1.0, vmax=1.0, cmap="RdBu_r")
        axes.set_xticks(range(len(R)), list(R.columns), rotation=90, fontsize=6)
        axes.set_yticks(range(len(R)), list(R.columns), fontsize=6)
        axes.set_title(f"correlation of moves over {self.horizon_days:g} days")
        axes.figure.colorbar(image, ax=axes, label="correlation")
        return axes


def check_sizes(covariance: FactorCovariance) -> None:
    """Raise where spot or vol varies so much that the covariance must be in percent.

    Raises
    ------
    ConventionError
        A standard deviation of spot or vol above 10 in logs.
    """
    check_kind("covariance", covariance, FactorCovariance, "factor_covariance or scenario_covariance")
    for factor, size in zip(covariance.factors, covariance.sd, strict=True):
        if factor.kind in ("spot", "vol") and size > _LARGEST_SD:
            raise ConventionError(
                f"{factor.label} has a standard deviation of {size:g}: looks like percent",
                "moves as decimals, 0.04 for 4 per cent",
                "divide the covariance by 10,000",
            )
