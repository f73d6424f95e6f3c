"""Hedges against the worst correlation inside bands: a semidefinite programme."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation import worst_case_correlation
from pmkit.optimize.linear.solver import optional_solver

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RobustHedge", "robust_hedge"]

#: relative difference between the programme's worst variance and that of the worst correlation found apart
_TIE_OUT = 1e-5


@dataclass(frozen=True, kw_only=True, repr=False)
class RobustHedge(Result):
    """Hedge quantities that minimise the standard deviation under the worst correlation of a box.

    Attributes
    ----------
    table : DataFrame
        One row a hedge: ``nominal`` (best under the given correlations) and ``robust``, contracts.
    sd : DataFrame
        Rows ``unhedged``, ``nominal``, ``robust``; columns ``given`` and ``worst`` correlation: standard
        deviation, in the unit of the exposures.
    programme : float
        Worst standard deviation of the robust hedge by the programme.
    """

    table: pd.DataFrame
    sd: pd.DataFrame
    programme: float
    references: tuple[str, ...] = ("elghaoui2003",)

    @property
    def tie_out(self) -> float:
        """Relative difference between programme and worst correlation found apart."""
        worst = self._worst("robust")
        return abs(self.programme - worst) / max(worst, 1e-300)

    def _worst(self, hedge: str) -> float:
        return float(
            dict(zip(self.sd.index, self.sd["worst"].to_numpy(dtype=np.float64), strict=True))[hedge]
        )

    def check(self) -> None:
        """Raise where programme and worst correlation differ, or the robust hedge is not the most robust."""
        scale = self._worst("unhedged")
        if abs(self.programme - self._worst("robust")) > _TIE_OUT * scale:
            raise PmkitError(
                f"worst standard deviation {self.programme:.8g} by the programme and"
                f" {self._worst('robust'):.8g} by the worst correlation",
                "agreement to 1e-5 of the unhedged one",
                "report this as a bug",
            )
        if self._worst("robust") > self._worst("nominal") + _TIE_OUT * scale:
            raise PmkitError("the nominal hedge is more robust", "the opposite", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the standard deviations."""
        return self.sd.round(4)

    def to_frame(self) -> pd.DataFrame:
        """Return the hedges."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the standard deviations under given and worst correlation as bars."""
        axes = new_axes(ax)
        place = np.arange(len(self.sd))
        for offset, column in ((-0.2, "given"), (0.2, "worst")):
            axes.barh(place + offset, self.sd[column].to_numpy(), height=0.4, label=f"{column} correlation")
        axes.set_yticks(place, list(self.sd.index))
        axes.invert_yaxis()
        axes.set(xlabel="standard deviation", title="Hedge under the worst correlation")
        axes.legend()
        return axes


def robust_hedge(
    exposure: pd.Series | npt.ArrayLike,
    hedges: pd.DataFrame,
    R: pd.DataFrame,
    *,
    sigma: pd.Series | npt.ArrayLike,
    box: float,
    most: float | Iterable[float] = math.inf,
) -> RobustHedge:
    """Return hedge quantities that minimise the standard deviation under the worst correlation of a box.

    Parameters
    ----------
    exposure : Series or array, shape (factors,)
        Money gained for a factor's move of 1.
    hedges : DataFrame, shape (factors, hedges)
        The same of one contract of each hedge.
    R : DataFrame, shape (factors, factors)
        Correlation matrix.
    sigma : Series or array, shape (factors,)
        Volatility of each factor over the horizon, 0 or more.
    box : float
        Half-width of the band round each correlation, cut to [-1, 1].
    most : float or iterable of float
        Most contracts of each hedge, bought or sold.

    Returns
    -------
    RobustHedge

    Raises
    ------
    ParameterError
        Shapes that do not fit, values that are not finite, or what
        :func:`pmkit.estimation.worst_case_correlation` refuses.
    OptionalDependencyError
        Without cvxpy.

    Notes
    -----
    With ``w = D (e + B h)`` the worst variance is, by duality of the inner maximum,
    ``min <U, high> - <L, low>`` under ``[[U - L, w], [w', 1]]`` positive semidefinite and U, L of 0 or more:
    jointly convex in hedge and multipliers. Solved by Clarabel; the worst correlation of the solution is then
    found apart, and both values must agree.

    References
    ----------
    El Ghaoui, Oks and Oustry (2003).
    """
    e, B, C, s, bounds = _inputs(exposure, hedges, R, sigma, most)
    scale = float(np.add.reduce(np.abs(s * e)))
    unit = np.abs(s[:, None] * B).max(axis=0) / scale
    W, w0 = s[:, None] * B / scale / unit, s * e / scale
    low, high = np.clip(C - box, -1.0, 1.0), np.clip(C + box, -1.0, 1.0)
    np.fill_diagonal(low, 1.0)
    np.fill_diagonal(high, 1.0)
    h, value = _solve(w0, W, low, high, bounds * unit)
    nominal = _nominal(w0, W, C, bounds * unit)
    quantities = {"unhedged": np.zeros(h.size), "nominal": nominal / unit, "robust": h / unit}
    rows = {}
    for name, q in quantities.items():
        left = e + np.add.reduce(B * q[None, :], axis=1)
        found = worst_case_correlation(pd.Series(left, R.index), R, sigma=pd.Series(s, R.index), box=box)
        rows[name] = {"given": found.sd_base, "worst": found.sd}
    made = RobustHedge(
        table=pd.DataFrame({k: quantities[k] for k in ("nominal", "robust")}, index=hedges.columns),
        sd=pd.DataFrame.from_dict(rows, orient="index"),
        programme=math.sqrt(max(value, 0.0)) * scale,
    )
    made.check()
    return made


def _inputs(
    exposure: Any, hedges: pd.DataFrame, R: pd.DataFrame, sigma: Any, most: Any
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return checked arrays."""
    e, s = np.asarray(exposure, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    B, C = hedges.to_numpy(dtype=np.float64), R.to_numpy(dtype=np.float64)
    n = e.size
    if e.shape != (n,) or s.shape != (n,) or B.shape[0] != n or C.shape != (n, n) or not B.shape[1]:
        raise ParameterError(
            f"exposure {e.shape}, hedges {B.shape}, R {C.shape}, sigma {s.shape}",
            "(n,), (n, hedges), (n, n) and (n,) in the same order of factors",
            "reshape them",
        )
    bounds = np.broadcast_to(np.asarray(most, dtype=np.float64), (B.shape[1],)).copy()
    if not all(np.isfinite(x).all() for x in (e, B, C, s)) or not (bounds >= 0.0).all():
        raise ParameterError(
            "an input that is not finite, or a negative limit", "finite numbers", "correct them"
        )
    if not np.abs(s[:, None] * B).max(axis=0).all() or not np.abs(s * e).any():
        raise ParameterError(
            "exposures that are all 0, or a hedge that moves with nothing",
            "something to hedge, and with",
            "drop it",
        )
    return e, B, C, s, bounds


def _solve(
    w0: FloatArray, W: FloatArray, low: FloatArray, high: FloatArray, most: FloatArray
) -> tuple[FloatArray, float]:
    """Return hedge and worst variance."""
    cp = optional_solver("cvxpy")
    n, m = W.shape
    h, U, L = cp.Variable(m), cp.Variable((n, n), symmetric=True), cp.Variable((n, n), symmetric=True)
    w = cp.reshape(w0 + W @ h, (n, 1), order="C")
    rows = [cp.bmat([[U - L, w], [w.T, np.ones((1, 1))]]) >> 0, U >= 0, L >= 0]
    limited = np.isfinite(most)
    if limited.any():
        rows.append(cp.abs(h[limited]) <= most[limited])
    problem = cp.Problem(cp.Minimize(cp.sum(cp.multiply(U, high)) - cp.sum(cp.multiply(L, low))), rows)
    problem.solve(solver=cp.CLARABEL, max_threads=1, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    if h.value is None:
        raise PmkitError(f"the solver ended with {problem.status!r}", "an optimum", "rescale the exposures")
    return np.asarray(h.value, dtype=np.float64), float(problem.value)


def _nominal(w0: FloatArray, W: FloatArray, C: FloatArray, most: FloatArray) -> FloatArray:
    """Return the hedge of least variance under the given correlation."""
    cp = optional_solver("cvxpy")
    h = cp.Variable(W.shape[1])
    lam, vectors = np.linalg.eigh(C)
    root = np.sqrt(np.maximum(lam, 0.0))[:, None] * vectors.T
    limited = np.isfinite(most)
    rows = [cp.abs(h[limited]) <= most[limited]] if limited.any() else []
    problem = cp.Problem(cp.Minimize(cp.sum_squares(root @ w0 + (root @ W) @ h)), rows)
    problem.solve(solver=cp.CLARABEL, max_threads=1)
    return np.asarray(h.value, dtype=np.float64)
