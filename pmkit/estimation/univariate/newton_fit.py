"""The compiled Newton fit in the words of the volatility models: parameters, status, covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.estimation.univariate.garch_newton_likelihood import ETA, plan_of, scores
from pmkit.estimation.univariate.parameters import PARAMETERS
from pmkit.estimation.univariate.refit import no_maxima, refit_windows

__all__ = ["STATUS", "NewtonFit", "fit_newton", "from_theta", "to_theta"]

#: status word of each outcome of the climb
STATUS = ("ok", "at_bound", "not_converged", "not_converged")
#: distance at which a constraint counts as reached
_REACHED = 1e-7
#: a variance below this share of the usual one belongs to a parameter that a bound holds
_HELD = 1e-12


@dataclass(frozen=True, kw_only=True)
class NewtonFit:
    """A maximum of the likelihood, with what its covariance needs.

    Attributes
    ----------
    theta : ndarray, shape (6,)
        ``mu, omega, alpha, gamma, beta, 1 / nu`` in decimal units.
    names : list of str
        Parameters that were estimated.
    status : {"ok", "at_bound", "not_converged"}
    loglik : float
    evaluations : int
        Passes over the data.
    start : float
        Variance at which the recursion starts.
    hessian : ndarray, shape (6, 6)
        Of the log-likelihood in ``theta``.
    """

    theta: FloatArray
    names: list[str]
    status: str
    loglik: float
    evaluations: int
    start: float
    hessian: FloatArray

    def covariance(self, values: FloatArray, kind: str) -> pd.DataFrame:
        """Return the covariance of the estimated parameters, ``robust`` or ``classic``, decimal units.

        Constraints that hold with equality are kept: the covariance is that of the parameters that can still
        move, and NaN for one that cannot.
        """
        at = [PARAMETERS.index(n) for n in self.names]
        units = np.ones(6)
        if "nu" in self.names:
            units[ETA] = -(self.theta[ETA] ** 2)  # d eta / d nu
        information = -(self.hessian * np.outer(units, units))[np.ix_(at, at)]
        size = np.sqrt(np.maximum(np.abs(np.diag(information)), np.finfo(np.float64).tiny))
        Z = _free_directions(self._held_normals()[:, at] / size)
        reduced = Z.T @ (information / np.outer(size, size)) @ Z
        frame = pd.DataFrame(math.nan, index=pd.Index(self.names), columns=pd.Index(self.names))
        if Z.shape[1] == 0 or not np.linalg.eigvalsh(reduced)[0] > 0.0:
            return frame
        inverse = Z @ np.linalg.inv(reduced) @ Z.T
        if kind == "robust":
            each = np.empty((values.size, 6))
            flags = ("mu" in self.names, "gamma" in self.names, "nu" in self.names)
            scores(values, self.theta, self.start, *flags, each)
            columns = np.ascontiguousarray((each * units)[:, at].T) / size[:, None]
            columns -= np.add.reduce(columns, axis=1)[:, None] / values.size
            outer = np.array([[np.add.reduce(a * b) for b in columns] for a in columns])
            inverse = inverse @ (outer * (values.size / (values.size - 1))) @ inverse
        dead = np.diag(inverse) < _HELD
        inverse[dead, :] = inverse[:, dead] = math.nan
        frame.iloc[:, :] = inverse / np.outer(size, size)
        return frame

    def _held_normals(self) -> FloatArray:
        """Return the normals of the constraints that hold with equality, shape (m, 6)."""
        _, omega, alpha, gamma, beta, eta = self.theta
        free = {
            (0, 0, 1, 0, 0, 0): alpha,
            (0, 0, 0, 0, 1, 0): beta,
            (0, 0, 1, 0.5, 1, 0): 1.0 - (alpha + 0.5 * gamma + beta),
            (0, 1, 0, 0, 0, 0): omega * _REACHED / (1e-9 * self.start),
        }
        if "gamma" in self.names:
            free[(0, 0, 1, 1, 0, 0)] = alpha + gamma
        if "nu" in self.names:
            free[(0, 0, 0, 0, 0, 1)] = min(1.0 / 2.05 - eta, eta - 1.0 / 500.0)
        return np.array([n for n, room in free.items() if room < _REACHED], dtype=np.float64).reshape(-1, 6)


def fit_newton(
    values: FloatArray, model: str, dist: str, mean: str, start: float, warm: FloatArray | None = None
) -> NewtonFit:
    """Return the fit of GARCH(1,1) or GJR to decimal returns.

    Parameters
    ----------
    values : ndarray
        Decimal returns.
    model : {"garch", "gjr"}
    dist : {"normal", "t"}
    mean : {"constant", "zero"}
    start : float
        Variance at which the recursion starts.
    warm : ndarray, shape (6,), optional
        Where the only climb starts; cold starts found from the data where None.
    """
    free_mean, asymmetric, student = mean == "constant", model == "gjr", dist == "t"
    maxima, known = no_maxima()
    if warm is not None:
        maxima[0], known[:] = warm, (1, values.size, 1)
    hessian, found, notes = np.zeros((6, 6)), np.empty((1, 6)), np.empty((1, 3), np.int64)
    starts, logliks = np.full(1, float(start)), np.empty(1)
    refit_windows(
        np.ascontiguousarray(values),
        np.zeros(1, np.int64),
        np.full(1, values.size, np.int64),
        free_mean,
        asymmetric,
        student,
        plan_of(free_mean, asymmetric, student),
        maxima,
        known,
        found,
        starts,
        logliks,
        notes,
        hessian,
    )
    names = [n for n in PARAMETERS if {"mu": free_mean, "gamma": asymmetric, "nu": student}.get(n, True)]
    return NewtonFit(
        theta=found[0],
        names=names,
        status=STATUS[notes[0, 0]],
        loglik=float(logliks[0]),
        evaluations=int(notes[0, 1]),
        start=start,
        hessian=hessian,
    )


def from_theta(theta: FloatArray) -> pd.Series:
    """Return the six parameters by name: ``nu`` in the place of ``1 / nu``."""
    values = [float(x) for x in theta]
    values[ETA] = 1.0 / values[ETA] if values[ETA] > 0.0 else math.inf
    return pd.Series(values, index=pd.Index(PARAMETERS))


def to_theta(params: pd.Series) -> FloatArray:
    """Return the six parameters as the climb takes them: ``1 / nu`` in the place of ``nu``."""
    theta = params[list(PARAMETERS)].to_numpy(dtype=np.float64).copy()
    theta[ETA] = 1.0 / theta[ETA]
    return theta


def _free_directions(normals: FloatArray) -> FloatArray:
    """Return an orthonormal basis, by columns, of the directions along all constraints held."""
    if normals.shape[0] == 0:
        return np.eye(normals.shape[1])
    unit = normals / np.linalg.norm(normals, axis=1)[:, None]
    _, sizes, right = np.linalg.svd(unit)
    basis: FloatArray = right[int((sizes > 1e-9).sum()) :].T
    return basis
