"""t copula whose correlation moves by the recursion of dynamic conditional correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import unit_diagonal
from pmkit.estimation.panel import checked_panel, cross_moment
from pmkit.estimation.tails.copula import fit_copula, pseudo_observations
from pmkit.estimation.tails.tail_dependence import t_tail_dependence
from pmkit.pricing.numeric import kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DynamicCopula", "fit_dynamic_copula"]

_FEWEST = 250


@dataclass(frozen=True, kw_only=True, repr=False)
class DynamicCopula(Result):
    """t copula with moving correlation: parameters, the path, and the next day's matrix.

    Attributes
    ----------
    a, b, nu : float
        News, memory and degrees of freedom.
    loglik, static_loglik : float
        Of the copula, and with the same ``nu`` and a constant correlation.
    target : DataFrame, shape (n, n)
        Long-run correlation.
    path : ndarray, shape (T + 1, n, n)
        ``path[t]`` knows days before t only.
    next_correlation : DataFrame
        ``path[T]`` with labels: with ``path`` all that :func:`pmkit.scenarios.joint_filtered` asks.
    status : {"ok", "at_bound", "not_converged"}
    index : Index
        Dates of the sample.
    """

    a: float
    b: float
    nu: float
    loglik: float
    static_loglik: float
    target: pd.DataFrame
    path: FloatArray
    next_correlation: pd.DataFrame
    status: str
    index: pd.Index
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.fit_dynamic_copula"))
    references: tuple[str, ...] = ("engle2002", "patton2006")

    @property
    def tail_dependence(self) -> pd.DataFrame:
        """Coefficient of each pair for the next day."""
        values = t_tail_dependence(self.next_correlation.to_numpy(), self.nu)
        names = self.next_correlation.index
        return pd.DataFrame(values, index=names, columns=names)

    def check(self) -> None:
        """Raise where a matrix of the path is not positive definite or the parameters leave their range."""
        low = float(np.linalg.eigvalsh(self.path).min())
        if not (low > 0.0 and self.a >= 0.0 and self.b >= 0.0 and self.a + self.b < 1.0):
            raise PmkitError(
                f"smallest eigenvalue {low:g}", "a positive definite path", "report this as a bug"
            )

    def summary(self) -> pd.DataFrame:
        """Return parameters, likelihoods and the range of each correlation in the sample."""
        i, j = np.triu_indices(len(self.target), 1)
        names = self.target.index
        frame = pd.DataFrame(
            {
                "row": names.take(i),
                "column": names.take(j),
                "lowest": self.path[:, i, j].min(axis=0),
                "target": self.target.to_numpy()[i, j],
                "highest": self.path[:, i, j].max(axis=0),
                "next": self.path[-1, i, j],
            }
        ).round(8)
        frame.index.name = (
            f"a {self.a:.6g}, b {self.b:.6g}, nu {self.nu:.6g}, loglik {self.loglik:.8g} "
            f"(constant {self.static_loglik:.8g}), {self.status}"
        )
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the path of each pair's correlation."""
        axes = new_axes(ax)
        for i, j in zip(*np.triu_indices(len(self.target), 1), strict=True):
            label = f"{self.target.index[int(i)]}, {self.target.index[int(j)]}"
            axes.plot(self.index.to_numpy(), self.path[:-1, i, j], label=label)
        axes.set(xlabel="date", ylabel="correlation", title="dynamic t copula")
        axes.legend()
        return axes


def fit_dynamic_copula(residuals: pd.DataFrame) -> DynamicCopula:
    """Return the dynamic t copula fitted by maximum likelihood to the ranks of standardised residuals.

    Parameters
    ----------
    residuals : DataFrame, shape (T, n)
        Standardised residuals of fitted volatility models, one column an asset, no gap, at least 250 rows, no
        collinear columns.

    Returns
    -------
    DynamicCopula

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels.

    Notes
    -----
    ``x = t_nu^-1(rank/(T + 1)) sqrt((nu - 2)/nu)``, ``Q[t+1] = (1 - a - b) S + a x x' + b Q[t]`` with ``S``
    the correlation of ``x`` and ``Q[1] = S``; the copula's correlation is ``Q`` scaled to a diagonal of 1.
    Three unknowns; ``nu`` above 2.05. Ranks and ``S`` are of the whole sample, like the parameters: given
    them, entry t of the path rests on days before t, and a walk-forward study fits anew. There are no
    standard errors: this model is a control.

    References
    ----------
    Engle (2002); Patton (2006).

    Examples
    --------
    >>> from pmkit.estimation import fit_volatility
    >>> from pmkit.market import load_history
    >>> r = load_history("crypto-daily-2020-2023").returns(["BTC", "ETH"])
    >>> z = r.apply(lambda x: fit_volatility(x, "gjr", "t", engine="newton", covariance=False).residuals)
    >>> copula = fit_dynamic_copula(z)
    >>> round(copula.nu, 1), float(copula.next_correlation.round(2).loc["BTC", "ETH"]), copula.status
    (5.8, 0.74, 'ok')
    """
    values, names = checked_panel(residuals, fewest=_FEWEST, least_columns=2, collinear=False)
    from scipy.optimize import minimize
    from scipy.special import gammaln, stdtrit

    u = pseudo_observations(residuals).to_numpy()
    rows, n = u.shape
    path = np.empty((rows + 1, n, n))

    def parts(nu: float) -> tuple[FloatArray, FloatArray, float]:
        raw = stdtrit(nu, u)
        x = np.ascontiguousarray(raw * math.sqrt((nu - 2.0) / nu))
        constant = gammaln(0.5 * (nu + n)) + (n - 1) * gammaln(0.5 * nu) - n * gammaln(0.5 * (nu + 1.0))
        own = 0.5 * (nu + 1.0) * float(np.add.reduce(np.log1p(raw * raw / nu).ravel()))
        return x, unit_diagonal(cross_moment(x)), rows * float(constant) + own

    def unpack(theta: FloatArray) -> tuple[float, float, float]:
        total = 1.0 / (1.0 + math.exp(-float(np.clip(theta[0], -30.0, 30.0))))
        split = 1.0 / (1.0 + math.exp(-float(np.clip(theta[1], -30.0, 30.0))))
        nu = 2.05 + math.exp(float(np.clip(theta[2], -20.0, math.log(200.0))))
        return 0.9999 * total * split, 0.9999 * total * (1.0 - split), nu

    def loss(theta: FloatArray) -> float:
        a, b, nu = unpack(theta)
        x, S, fixed = parts(nu)
        return -(fixed + _run(x, S, a, b, nu, path)) / rows

    static = fit_copula(residuals, margins=False)
    first_nu = max(min(static.nu, 50.0) - 2.05, 0.1)
    start = np.array([math.log(0.97 / 0.03), math.log(0.03 / 0.97), math.log(first_nu)])
    simplex = np.vstack([start, start + np.diag([0.7, 0.7, 0.5])])
    found = minimize(
        loss,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-5, "fatol": 1e-10, "maxiter": 800},
    )
    a, b, nu = unpack(found.x)
    x, S, fixed = parts(nu)
    loglik = fixed + _run(x, S, a, b, nu, path)
    constant = fixed + _run(x, S, 0.0, 0.0, nu, np.empty_like(path))
    edge = a < 1e-6 or a + b > 0.9998 or nu > 190.0
    frame = pd.DataFrame(path[-1], index=names, columns=names)
    return DynamicCopula(
        a=a,
        b=b,
        nu=nu,
        loglik=loglik,
        static_loglik=constant,
        target=pd.DataFrame(S, index=names, columns=names),
        path=path,
        next_correlation=frame,
        status="at_bound" if edge else "ok" if found.success else "not_converged",
        index=residuals.index,
        provenance=Provenance(
            method="estimation.fit_dynamic_copula",
            data={"residuals": fingerprint(values)},
            parameters={"a": a, "b": b, "nu": nu},
        ),
    )


@kernel
def _run(x: FloatArray, S: FloatArray, a: float, b: float, nu: float, path: FloatArray) -> float:
    """Return the part of the log-likelihood that depends on correlation; fill ``path`` with the matrices."""
    rows, n = x.shape
    Q, L, y = S.copy(), np.zeros((n, n)), np.empty(n)
    total = 0.0
    for t in range(rows + 1):
        for i in range(n):
            for j in range(n):
                path[t, i, j] = Q[i, j] / np.sqrt(Q[i, i] * Q[j, j])
            path[t, i, i] = 1.0
        if t == rows:
            break
        half_log_det, q = 0.0, 0.0
        for i in range(n):
            for j in range(i + 1):
                left = path[t, i, j]
                for k in range(j):
                    left -= L[i, k] * L[j, k]
                if i == j:
                    L[i, i] = np.sqrt(max(left, 1e-300))
                    half_log_det += np.log(L[i, i])
                else:
                    L[i, j] = left / L[j, j]
            own = x[t, i]
            for k in range(i):
                own -= L[i, k] * y[k]
            y[i] = own / L[i, i]
            q += y[i] * y[i]
        # x has unit variance, the copula wants t quantiles: their squares are nu / (nu - 2) larger
        total -= half_log_det + 0.5 * (nu + n) * np.log1p(q / (nu - 2.0))
        for i in range(n):
            for j in range(n):
                Q[i, j] = (1.0 - a - b) * S[i, j] + a * x[t, i] * x[t, j] + b * Q[i, j]
    return total
