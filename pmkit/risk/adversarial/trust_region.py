"""The largest value of a quadratic function in a ball, exactly."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.risk.adversarial.ellipsoid import Ellipsoid
from pmkit.scenarios import FactorCovariance

__all__ = ["QuadraticWorst", "delta_gamma_worst", "largest_in_ball"]


def largest_in_ball(gradient: FloatArray, hessian: FloatArray, radius: float) -> FloatArray:
    """Return the point z of the ball ``|z| <= radius`` with the largest ``gradient'z + z'hessian z/2``.

    Parameters
    ----------
    gradient : ndarray, shape (n,)
    hessian : ndarray, shape (n, n)
        Symmetric.
    radius : float
        Positive.

    Notes
    -----
    In the eigenbasis ``z_i = g_i/(m - h_i)`` with the multiplier ``m >= max(0, h_max)`` for which ``|z|`` is
    the radius, or 0 where the ball is large enough for a concave function. Where the gradient has no part in
    the top direction, that direction fills the rest of the radius (the hard case).

    References
    ----------
    Moré and Sorensen (1983), section 3.

    Examples
    --------
    >>> largest_in_ball(np.array([3.0, 4.0]), np.zeros((2, 2)), 2.0).round(12).tolist()
    [1.2, 1.6]
    """
    values, vectors = np.linalg.eigh(hessian)
    slope: FloatArray = np.add.reduce(vectors * gradient[:, None], axis=0)
    top = float(values[-1])
    size = math.sqrt(float(np.add.reduce(slope**2)))
    scale = max(size / radius, float(np.abs(values).max()))
    if scale == 0.0:
        return np.zeros_like(gradient)

    def point(multiplier: float) -> FloatArray:
        gap = multiplier - values
        part: FloatArray = np.divide(slope, gap, out=np.zeros_like(slope), where=gap > 1e-15 * scale)
        return part

    def length(multiplier: float) -> float:
        return math.sqrt(float(np.add.reduce(point(multiplier) ** 2)))

    if top < -1e-14 * scale and length(0.0) <= radius:
        inside = point(0.0)
        lifted: FloatArray = np.add.reduce(vectors * inside, axis=1)
        return lifted
    low = max(top, 0.0)
    high = low + size / radius
    start = low + 1e-14 * scale
    if high > start and length(start) > radius:
        from scipy.optimize import brentq

        # the inverse of the length is nearly linear in the multiplier
        found = brentq(
            lambda m: 1.0 / radius - 1.0 / length(m), start, high * (1.0 + 1e-12) + 1e-300, rtol=1e-15
        )
        z = point(float(found))
    else:
        z = point(low)
        rest = radius**2 - float(np.add.reduce(z**2))
        if rest > 0.0 and top > -1e-14 * scale:
            z[-1] = math.copysign(math.sqrt(rest + float(z[-1]) ** 2), float(slope[-1]))
    moved: FloatArray = np.add.reduce(vectors * z, axis=1)
    norm = math.sqrt(float(np.add.reduce(moved**2)))
    return moved * (radius / norm) if norm > 0.0 else moved


class QuadraticWorst(NamedTuple):
    """Worst move of a delta-gamma book: loss, and the moves of the factors."""

    loss: float
    moves: FloatArray


def delta_gamma_worst(
    delta: npt.ArrayLike, gamma: npt.ArrayLike | None, covariance: FactorCovariance, radius: float
) -> QuadraticWorst:
    """Return the largest loss of a delta-gamma book in an ellipsoid, and where: the closed form of a search.

    Parameters
    ----------
    delta : array_like, shape (factors,)
        Derivative of the P&L by each factor, per unit of its move.
    gamma : array_like, shape (factors, factors), or None
        Second derivatives; None for a linear book, whose worst loss is ``radius sqrt(delta' C delta)``.
    covariance : FactorCovariance
    radius : float
        Mahalanobis distance, positive.

    Returns
    -------
    QuadraticWorst

    Raises
    ------
    ParameterError
        Arrays of another shape or not finite, or a radius that is not positive.

    References
    ----------
    Studer (1999), section 3; Moré and Sorensen (1983).

    Examples
    --------
    >>> from pmkit.scenarios import Factor
    >>> spot = (Factor("spot", "BTC"),)
    >>> cov = FactorCovariance(factors=spot, matrix=np.array([[0.0016]]), horizon_days=1.0)
    >>> round(delta_gamma_worst([100.0], None, cov, 2.0).loss, 6)
    8.0
    """
    d = len(covariance.factors)
    slope = _array("delta", delta, (d,))
    curve = np.zeros((d, d)) if gamma is None else _array("gamma", gamma, (d, d))
    if not 0.0 < radius < math.inf:
        raise ParameterError(f"radius is {radius!r}", "a positive Mahalanobis distance", "correct it")
    ball = Ellipsoid(covariance=covariance, dynamics="sticky_strike", horizon_days=0.0)
    root = ball.root
    g = np.add.reduce(root * slope[:, None], axis=0)
    inner = np.array([np.add.reduce(curve * column[None, :], axis=1) for column in root.T])
    h = np.array([[float(np.add.reduce(a * b)) for b in inner] for a in root.T])
    z = largest_in_ball(-g, -0.5 * (h + h.T), radius)
    moves = ball.moves(z[None, :])[0]
    loss = -float(np.add.reduce(slope * moves)) - 0.5 * float(
        np.add.reduce(moves * np.add.reduce(curve * moves[None, :], axis=1))
    )
    return QuadraticWorst(loss, moves)


def _array(name: str, value: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ParameterError(
            f"{name} has shape {array.shape}",
            f"finite numbers of shape {shape}, as the factors",
            "correct it",
        )
    return array
