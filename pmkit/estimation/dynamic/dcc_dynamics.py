"""Known parameters of a dynamic correlation put to work: likelihood of each day, path of R, the day after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.dynamic.dcc_lanes import lanes_likelihood
from pmkit.estimation.dynamic.dcc_likelihood import padded
from pmkit.estimation.dynamic.dcc_recursion import correlation_days, last_state, own_scale
from pmkit.estimation.dynamic.deco import equicorrelation_likelihood

__all__ = ["Dynamics"]


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """The recursion ``Q[t+1] = constant + a e e' + g n n' + b Q[t]`` with all its numbers known.

    Attributes
    ----------
    a, b, g : float
    start, constant : ndarray, shape (n, n)
    corrected : bool
        Whether the innovation is the residual times the root of its own entry of Q.
    equal : bool
        Whether one correlation, the mean, stands for all pairs.
    """

    a: float
    b: float
    g: float
    start: FloatArray
    constant: FloatArray
    corrected: bool
    equal: bool

    @property
    def asymmetric(self) -> bool:
        """Whether losses count more."""
        return self.g > 0.0

    def path(self, z: FloatArray, first: FloatArray | None = None) -> FloatArray:
        """Return R of every day, known the day before, and of the day after; shape (rows + 1, n, n)."""
        rows, n = z.shape
        out = np.empty((rows + 1, n, n))
        Q = self.start.copy() if first is None else first.copy()
        correlation_days(
            Q, z, self.corrected, self.asymmetric, self.equal, self.constant, self.a, self.b, self.g, out
        )
        return out

    def state(self, z: FloatArray) -> FloatArray:
        """Return Q of the day after the last row."""
        Q = self.start.copy()
        last_state(Q, z, self.corrected, self.asymmetric, self.constant, self.a, self.b, self.g)
        return Q

    def daily_loglikelihood(self, z: FloatArray, order: IntArray) -> FloatArray:
        """Return each day's log-likelihood less that of independent normals, assets taken in ``order``."""
        x = np.ascontiguousarray(z[:, order])
        e = x
        if self.corrected:
            e = np.empty_like(x)
            own_scale(x, self.a, self.b, e)
        minus = np.ascontiguousarray(np.minimum(x, 0.0)) if self.asymmetric else np.zeros((0, 0))
        start = np.ascontiguousarray(self.start[np.ix_(order, order)])
        constant = np.ascontiguousarray(self.constant[np.ix_(order, order)])
        terms, none, cube = np.empty(len(x)), np.zeros((0, 0)), np.zeros((0, 0, 0))
        if self.equal:
            equicorrelation_likelihood(
                x, e, cube, start[None], constant[None], self.a, self.b, none, terms, none, cube
            )
            return terms
        starts, constants = padded([start], [constant], self.b)
        lanes_likelihood(
            x, e, cube, minus, starts, constants, self.a, self.b, self.g, none, terms, none, cube
        )
        return terms
