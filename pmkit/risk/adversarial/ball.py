"""Search of a ball for the largest loss: scattered points, then steps to the top of local quadratics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.risk.adversarial.trust_region import largest_in_ball

__all__ = ["Climb", "Loss", "ascend", "pick_starts", "random_in_ball", "sobol_in_ball"]

#: from points, shape (n, rank), to losses, shape (n,)
Loss = Callable[[FloatArray], FloatArray]

#: side of the cube of differences, as a share of the radius
_STEP = 2e-3
_LINE = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001])
_SLIDE = np.array([2.0, 1.0, 0.5, 0.2, 0.1, 0.03, 0.01, 0.003, 0.001])
_PATTERN = np.array([0.2, 0.02])


class Climb(NamedTuple):
    """Where local searches ended: points, their losses, gradients there, and which came to rest."""

    points: FloatArray
    losses: FloatArray
    gradients: FloatArray
    at_rest: np.ndarray[tuple[int], np.dtype[np.bool_]]


def sobol_in_ball(rank: int, count: int, radius: float, seed: int, *, even_radii: bool = False) -> FloatArray:
    """Return scrambled Sobol points of a ball, shape (count, rank): half inside, half on its surface.

    Parameters
    ----------
    rank : int
    count : int
        A power of 2.
    radius : float
    seed : int
    even_radii : bool
        True: all inside, with distances spread evenly from 0 to the radius.

    Examples
    --------
    >>> float(np.sqrt((sobol_in_ball(3, 8, 2.0, 0) ** 2).sum(axis=1)).max().round(12))
    2.0
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    draws = qmc.Sobol(rank + 1, scramble=True, rng=stream(seed, "ball")).random(count)
    directions = ndtri(np.clip(draws[:, :rank], 1e-12, 1.0 - 1e-12))
    norm = np.sqrt(np.add.reduce(directions**2, axis=1))
    reach = (
        draws[:, rank]
        if even_radii
        else np.where(draws[:, rank] < 0.5, 1.0, np.maximum(2.0 * draws[:, rank] - 1.0, 0.0) ** (1.0 / rank))
    )
    points: FloatArray = directions * (radius * reach / np.where(norm > 0.0, norm, 1.0))[:, None]
    return points


def random_in_ball(rank: int, count: int, radius: float, seed: int, block: int = 0) -> FloatArray:
    """Return points drawn uniformly from a ball, shape (count, rank); each block has its own stream.

    Examples
    --------
    >>> random_in_ball(2, 3, 1.0, 7).shape
    (3, 2)
    """
    draws = stream(seed, "uniform ball", block)
    directions = draws.standard_normal((count, rank))
    norm = np.sqrt(np.add.reduce(directions**2, axis=1))
    reach = radius * draws.random(count) ** (1.0 / rank)
    points: FloatArray = directions * (reach / norm)[:, None]
    return points


def pick_starts(points: FloatArray, worth: FloatArray, count: int, apart: float) -> FloatArray:
    """Return the points of most worth that lie at least ``apart`` from each other, shape (<= count, rank)."""
    chosen: list[FloatArray] = []
    for i in np.argsort(-worth, kind="stable"):
        if all(float(np.add.reduce((points[i] - c) ** 2)) >= apart**2 for c in chosen):
            chosen.append(points[i])
        if len(chosen) == count:
            break
    return np.array(chosen)


def ascend(loss: Loss, starts: FloatArray, radius: float | FloatArray, max_steps: int) -> Climb:
    """Return where steps of full revaluation lead that never lose: to local maxima of the loss in the ball.

    Parameters
    ----------
    loss : callable
        From points, shape (n, rank), to losses; every step asks once for all starts together.
    starts : ndarray, shape (m, rank)
        Points of the ball.
    radius : float or ndarray, shape (m,)
        Of the ball, or of the ball of each start.
    max_steps : int

    Notes
    -----
    Gradient and Hessian by central differences; the quadratic through them has its largest value in the ball
    at an exact point (:func:`largest_in_ball`), so a delta-gamma book needs one step. Candidates are points
    on the way there, the same on the surface, points up the gradient, and a cross of coordinate moves that
    gets past kinks. A start rests where the best of them gains less than 1e-11 of its loss.
    """
    points = np.array(starts, dtype=np.float64)
    losses = loss(points)
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), losses.shape)
    gradients = np.zeros_like(points)
    at_rest = np.zeros(points.shape[0], dtype=bool)
    for _ in range(max_steps):
        moving = np.flatnonzero(~at_rest)
        if moving.size == 0:
            break
        slopes, curves = _differences(loss, points[moving], losses[moving], _STEP * radii[moving])
        gradients[moving] = slopes
        batches = [
            _candidates(points[i], slope, curve, float(radii[i]))
            for i, slope, curve in zip(moving, slopes, curves, strict=True)
        ]
        found = loss(np.concatenate(batches))
        edges = np.cumsum([0, *(len(b) for b in batches)])
        for batch, i, first, last in zip(batches, moving, edges[:-1], edges[1:], strict=True):
            best = int(np.argmax(found[first:last]))
            gain = float(found[first + best] - losses[i])
            at_rest[i] = gain <= 1e-11 * max(abs(float(losses[i])), 1e-300)
            if gain > 0.0:
                points[i], losses[i] = batch[best], found[first + best]
    return Climb(points, losses, gradients, at_rest)


def _differences(
    loss: Loss, points: FloatArray, losses: FloatArray, steps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return gradients, shape (m, rank), and Hessians, shape (m, rank, rank), of one call."""
    m, rank = points.shape
    axes = np.eye(rank)
    pairs = [(i, j) for i in range(rank) for j in range(i)]
    mixed = np.array([axes[i] + axes[j] for i, j in pairs]).reshape(len(pairs), rank)
    moves = np.concatenate([axes, -axes, mixed, -mixed])
    around = points[:, None, :] + steps[:, None, None] * moves[None, :, :]
    found = loss(around.reshape(-1, rank)).reshape(m, len(moves))
    up, down = found[:, :rank], found[:, rank : 2 * rank]
    both, neither = found[:, 2 * rank : 2 * rank + len(pairs)], found[:, 2 * rank + len(pairs) :]
    gradients = (up - down) / (2.0 * steps[:, None])
    hessians = np.empty((m, rank, rank))
    for i in range(rank):
        hessians[:, i, i] = (up[:, i] - 2.0 * losses + down[:, i]) / steps**2
    for at, (i, j) in enumerate(pairs):
        cross = both[:, at] + neither[:, at] + 2.0 * losses - up[:, i] - up[:, j] - down[:, i] - down[:, j]
        hessians[:, i, j] = hessians[:, j, i] = cross / (2.0 * steps**2)
    return gradients, hessians


def _candidates(point: FloatArray, slope: FloatArray, curve: FloatArray, radius: float) -> FloatArray:
    """Return points of the ball to try next, shape (k, rank)."""
    # the quadratic about the centre of the ball has the same Hessian and a moved gradient
    centred = slope - np.add.reduce(curve * point[None, :], axis=1)
    target = largest_in_ball(centred, curve, radius)
    line = point + _LINE[:, None] * (target - point)
    size = math.sqrt(float(np.add.reduce(slope**2)))
    slide = point + _SLIDE[:, None] * radius * (slope / size if size > 0.0 else slope)
    axes = radius * np.eye(point.size)
    cross = np.concatenate([point + sign * s * axes for s in _PATTERN for sign in (1.0, -1.0)])
    tried = np.concatenate([line, slide, cross])
    norm = np.sqrt(np.add.reduce(tried**2, axis=1))
    shrunk = tried * np.minimum(1.0, radius / np.where(norm > 0.0, norm, 1.0))[:, None]
    outer = np.concatenate([line, slide])
    reach = norm[: len(outer)]
    surface = outer[reach > 0.0] * (radius / reach[reach > 0.0])[:, None]
    return np.concatenate([shrunk, surface])
