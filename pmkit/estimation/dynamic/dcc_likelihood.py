"""One likelihood for every dynamic correlation: residuals and parameters in, value and score out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.dynamic.composite_pairs import (
    BUFFER_ROWS,
    PAIR_LANES,
    contiguous_pairs,
    every_pair,
    into_blocks,
    pair_moments,
    pairs_likelihood,
)
from pmkit.estimation.dynamic.dcc_lanes import lanes_likelihood
from pmkit.estimation.dynamic.dcc_recursion import intercept_weights, moment, own_scale_slopes, to_correlation
from pmkit.estimation.dynamic.dcc_tiles import TILE
from pmkit.estimation.dynamic.deco import equicorrelation_likelihood

__all__ = ["CorrelationLikelihood", "Evaluation", "padded"]

_NONE1, _NONE2, _NONE3 = np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0, 0))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the likelihood is at one parameter vector.

    Attributes
    ----------
    value : float
        Log-likelihood of the correlation, less that of independent normals; sum over days (and pairs).
    gradient : ndarray, shape (p,)
    outer : ndarray, shape (p, p)
        Sum of products of scores, over days, or over days and pairs.
    scores : ndarray, shape (rows, p)
        By day; empty for the composite likelihood unless asked.
    pressure : ndarray, shape (kinds, n, n)
        Derivative in the target matrices, lower triangle; empty unless asked.
    target : ndarray, shape (n, n)
    """

    value: float
    gradient: FloatArray
    outer: FloatArray
    scores: FloatArray
    pressure: FloatArray
    target: FloatArray


class CorrelationLikelihood:
    """Likelihood of a dynamic correlation model over given residuals.

    Parameters
    ----------
    z : ndarray, shape (rows, n)
        Standardised residuals, C-contiguous.
    model : {"dcc", "adcc", "cdcc", "deco"}
    pairs : {"none", "contiguous", "all"}
        Composite likelihood over these pairs, or the full one.
    second_moment : ndarray, shape (n, n), optional
        Of the residuals, where it is known already.
    """

    def __init__(
        self, z: FloatArray, model: str, pairs: str = "none", second_moment: FloatArray | None = None
    ) -> None:
        self.z = z
        self.second_moment = second_moment
        self.corrected = model in ("cdcc", "deco")
        self.asymmetric = model == "adcc"
        self.equal = model == "deco"
        self.names = ("a", "b", "g") if self.asymmetric else ("a", "b")
        self.minus = np.ascontiguousarray(np.minimum(z, 0.0)) if self.asymmetric else _NONE2
        self.pairs: tuple[IntArray, IntArray] | None = None
        if pairs != "none":
            self.pairs = contiguous_pairs(z.shape[1]) if pairs == "contiguous" else every_pair(z.shape[1])
            self._blocks = into_blocks(z, *self.pairs)

    @cached_property
    def moment(self) -> FloatArray:
        """Second moment of the residuals."""
        return moment(self.z, self.z) if self.second_moment is None else self.second_moment

    @cached_property
    def _plain_pair_target(self) -> FloatArray:
        """Entries 11, 22, 12 of the second moment at the pairs, without the other entries."""
        assert self.pairs is not None
        left, right = self.pairs
        if self.second_moment is not None:
            M = self.second_moment
            return np.stack([M[left, left], M[right, right], M[left, right]])
        own = np.add.reduce(self.z * self.z, axis=0) / len(self.z)
        cross = np.add.reduce(self.z[:, left] * self.z[:, right], axis=0) / len(self.z)
        return np.stack([own[left], own[right], cross])

    @cached_property
    def loss_moment(self) -> FloatArray:
        """Second moment of residuals with gains set to 0."""
        return moment(self.minus, self.minus)

    @property
    def loss_bound(self) -> float:
        """Largest generalised eigenvalue of the moment of losses against the target: bounds ``g``.

        Rounded up in the sixth digit, so that what a library does to its last bits moves no estimate.
        """
        root = np.linalg.cholesky(self.moment)
        half = np.linalg.solve(root, np.linalg.solve(root, self.loss_moment).T)
        return math.ceil(float(np.linalg.eigvalsh(0.5 * (half + half.T))[-1]) * 1e6 + 0.5) / 1e6

    def target(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return innovations, their half-products by parameter, the target and its derivatives."""
        n = self.z.shape[1]
        if not self.corrected:
            return self.z, _NONE3, self.moment, np.zeros((2, n, n))
        e, slopes = np.empty_like(self.z), np.empty((2, *self.z.shape))
        own_scale_slopes(self.z, theta[0], theta[1], e, slopes)
        M = moment(e, e)
        S = to_correlation(M)
        root = np.sqrt(np.diag(M))
        derivatives = np.empty((2, n, n))
        for d in range(2):
            D = moment(slopes[d], e)
            D = (D + D.T) / (root[:, None] * root[None, :])
            own = np.diag(D)
            derivatives[d] = D - 0.5 * S * (own[:, None] + own[None, :])
        slopes[0] = 0.5 * e + theta[0] * slopes[0]
        slopes[1] *= theta[0]
        return e, slopes, S, derivatives

    def _pair_target(self, a: float, b: float) -> FloatArray:
        """Return entries 11, 22, 12 of the target of every pair and their derivatives, (3, 3, pairs)."""
        assert self.pairs is not None
        many = len(self.pairs[0])
        out = np.zeros((3, 3, many))
        if not self.corrected:
            out[0] = self._plain_pair_target
            return out
        M = np.empty((3, 3, self._blocks.shape[0] * PAIR_LANES))
        pair_moments(self._blocks, a, b, M)
        M = M[:, :, :many]
        root = np.sqrt(M[0, 0] * M[0, 1])
        rho = M[0, 2] / root
        out[0, :2] = 1.0
        out[0, 2] = rho
        out[1:, 2] = M[1:, 2] / root - 0.5 * rho * (M[1:, 0] / M[0, 0] + M[1:, 1] / M[0, 1])
        return out

    def evaluate(self, theta: FloatArray, *, score: bool = True, pressure: bool = False) -> Evaluation:
        """Return the likelihood at ``theta = (a, b)`` or ``(a, b, g)``.

        Parameters
        ----------
        theta : ndarray
            Inside the region where every Q is positive definite.
        score : bool
            Whether to compute derivatives (the composite likelihood always does).
        pressure : bool
            Whether to compute daily scores of the composite likelihood and the derivative in the targets.
        """
        a, b = float(theta[0]), float(theta[1])
        g = float(theta[2]) if self.asymmetric else 0.0
        weights = intercept_weights(len(self.z), a, b, g if self.asymmetric else None) if pressure else _NONE1
        if self.pairs is not None:
            return self._of_pairs(a, b, g, weights)
        e, f, S, dS = self.target(theta)
        rest = 1.0 - a - b
        start = [S, dS[0], dS[1]]
        constant = [rest * S, rest * dS[0] - S, rest * dS[1] - S]
        if self.asymmetric:
            start.append(np.zeros_like(S))
            constant[0] = constant[0] - g * self.loss_moment
            constant.append(-self.loss_moment)
        rows, n = self.z.shape
        p = len(self.names) if score else 0
        terms, scores = np.empty(rows), np.zeros((rows if score else 0, p))
        felt = np.zeros((len(weights), n, n))
        if self.equal:
            equicorrelation_likelihood(
                self.z, e, f, np.stack(start), np.stack(constant), a, b, weights, terms, scores, felt
            )
        else:
            starts, constants = padded(start[: 1 + p], constant[: 1 + p], b)
            lanes_likelihood(
                self.z, e, f, self.minus, starts, constants, a, b, g, weights, terms, scores, felt
            )
        return Evaluation(
            value=float(np.add.reduce(terms)),
            gradient=np.add.reduce(scores, axis=0),
            outer=moment(scores, scores) * rows if score else np.zeros((0, 0)),
            scores=scores,
            pressure=felt,
            target=S,
        )

    def _of_pairs(self, a: float, b: float, g: float, weights: FloatArray) -> Evaluation:
        """Return the composite likelihood."""
        assert self.pairs is not None
        left, right = self.pairs
        rows, n, p, many = len(self.z), self.z.shape[1], len(self.names), len(left)
        blocks = len(self._blocks)
        S = self._pair_target(a, b)
        rest = 1.0 - a - b
        table = np.zeros((BUFFER_ROWS, blocks * PAIR_LANES))
        table[:9, :many] = S.reshape(9, many)
        table[40] = 1.0
        table[9:12, :many] = rest * S[0]
        table[12:15, :many] = rest * S[1] - S[0]
        table[15:18, :many] = rest * S[2] - S[0]
        # lanes without a pair hold two still assets whose entries of Q stay 1
        table[0:2, many:], table[9:11, many:], table[15:17, many:] = 1.0, 1.0 - b, -1.0
        if self.asymmetric:
            N = np.stack([self.loss_moment[i, j] for i, j in ((left, left), (right, right), (left, right))])
            table[9:12, :many] -= g * N
            table[32:35, :many] = -N
        buffers = np.ascontiguousarray(
            table.reshape(BUFFER_ROWS, blocks, PAIR_LANES).transpose(1, 0, 2).reshape(blocks, -1)
        )
        scores = np.zeros((rows, p) if len(weights) else (0, 0))
        felt = np.zeros((len(weights), 3, blocks * PAIR_LANES))
        pairs_likelihood(
            self._blocks, self.corrected, self.asymmetric, a, b, g, buffers, weights, scores, felt
        )
        sums = buffers.reshape(blocks, BUFFER_ROWS, PAIR_LANES).transpose(1, 0, 2).reshape(BUFFER_ROWS, -1)
        total = np.add.reduce(sums[:, :many], axis=1)
        gradient = total[[19, 20, 35][:p]]
        outer = np.array([[21, 22, 36], [22, 23, 37], [36, 37, 38]])[:p, :p]
        pressure = np.zeros((len(weights), n, n))
        for kind in range(len(weights)):
            np.add.at(pressure[kind], (left, left), felt[kind, 0, :many])
            np.add.at(pressure[kind], (right, right), felt[kind, 1, :many])
            np.add.at(pressure[kind], (right, left), felt[kind, 2, :many])
        target = np.zeros((n, n))
        target[left, left], target[right, right] = S[0, 0], S[0, 1]
        target[left, right] = target[right, left] = S[0, 2]
        return Evaluation(
            value=float(total[18]),
            gradient=gradient,
            outer=total[outer],
            scores=scores,
            pressure=pressure,
            target=target,
        )


def padded(start: list[FloatArray], constant: list[FloatArray], b: float) -> tuple[FloatArray, FloatArray]:
    """Return both stacks, filled up to whole tiles by assets whose entry of Q stays 1."""
    n = start[0].shape[0]
    m = -(-n // TILE) * TILE
    starts, constants = np.zeros((len(start), m, m)), np.zeros((len(start), m, m))
    for d in range(len(start)):
        starts[d, :n, :n], constants[d, :n, :n] = start[d], constant[d]
    still = np.arange(n, m)
    starts[0, still, still], constants[0, still, still] = 1.0, 1.0 - b
    if len(start) > 2:
        constants[2, still, still] = -1.0
    return starts, constants
