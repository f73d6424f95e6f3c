"""The numbers behind a simulation: scrambled Sobol points or a pseudo-random stream, mirrored in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray

__all__ = ["Sampler", "SamplerKind", "across_days", "pivoted_root"]

SamplerKind = Literal["sobol", "pseudo"]
#: scipy's direction numbers end here
_MOST_DIMENSIONS = 21_201


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How many paths, from which points.

    Attributes
    ----------
    n_paths : int
        1 or more; with Sobol points the number of base points (half of it where mirrored) is a power of two.
    kind : {"sobol", "pseudo"}
    antithetic : bool
        Rows come in pairs: the second has the same uniform draws and the normal draws of opposite sign.
    seed, replicate : int
        Replicates are independent scrambles (or streams) under one seed.

    Notes
    -----
    The first rows do not depend on how many are asked for: 1,024 paths are the first of 4,096.
    """

    n_paths: int
    kind: SamplerKind = "sobol"
    antithetic: bool = True
    seed: int = 20260801
    replicate: int = 0

    def __post_init__(self) -> None:
        for word, least in (("n_paths", 1), ("seed", 0), ("replicate", 0)):
            value = getattr(self, word)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ParameterError(f"{word} is {value!r}", f"a whole number, {least} or more", "correct it")
        if self.kind not in ("sobol", "pseudo"):
            raise ParameterError(f"sampler is {self.kind!r}", "'sobol' or 'pseudo'", "name one of the two")
        if self.antithetic and self.n_paths % 2:
            raise ParameterError(
                f"{self.n_paths} antithetic paths", "an even number", "add one, or pass antithetic=False"
            )
        if self.kind == "sobol" and self.base & (self.base - 1):
            raise ParameterError(
                f"{self.n_paths} Sobol paths",
                "a power of two, at which the points are balanced",
                f"take {2 ** (int(self.n_paths).bit_length() - 1)} or {2 ** int(self.n_paths).bit_length()}",
            )

    @property
    def base(self) -> int:
        """Number of points before they are mirrored."""
        return int(self.n_paths) // 2 if self.antithetic else int(self.n_paths)

    @property
    def words(self) -> str:
        """The sampler in words."""
        return f"{self.kind}{', antithetic pairs' if self.antithetic else ''}, replicate {self.replicate}"

    @property
    def references(self) -> tuple[str, ...]:
        """Keys of the bibliography: of Sobol points and their scrambling, none of a pseudo-random stream."""
        return ("owen1997", "matousek1998", "joe2008") if self.kind == "sobol" else ()

    def stream_seed(self) -> int:
        """Return the seed of every stream beside the points: another one for each replicate."""
        if self.replicate == 0:
            return int(self.seed)
        return int(stream(self.seed, "replicate", self.replicate).integers(2**31 - 1))

    def draw(self, normals: int, uniforms: int) -> tuple[FloatArray, FloatArray]:
        """Return standard normal draws (n_paths, normals) and uniform draws (n_paths, uniforms) in (0, 1).

        Raises
        ------
        ParameterError
            More dimensions than Sobol points have.

        Notes
        -----
        Points are moved to the middle of their cell, so that no inverse is infinite; the inverse normal is
        ``scipy.special.ndtri``. Uniform dimensions come first.
        """
        from scipy.special import ndtri

        dimensions = normals + uniforms
        if self.kind == "sobol":
            if dimensions > _MOST_DIMENSIONS:
                raise ParameterError(
                    f"{dimensions:,} dimensions",
                    f"at most {_MOST_DIMENSIONS:,} with Sobol points",
                    "shorten the horizon, or pass sampler='pseudo'",
                )
            from scipy.stats import qmc

            source = stream(self.seed, "sobol", self.replicate)
            engine = qmc.Sobol(dimensions, scramble=True, bits=30, rng=source)
            u = np.asarray(engine.random(self.base), dtype=np.float64) + 2.0**-31
        else:
            u = stream(self.seed, "pseudo", self.replicate).random((self.base, dimensions)) + 2.0**-54
        z = np.asarray(ndtri(u[:, uniforms:]), dtype=np.float64)
        u = np.ascontiguousarray(u[:, :uniforms])
        if not self.antithetic:
            return np.ascontiguousarray(z), u
        pairs = np.empty((2 * self.base, normals))
        pairs[0::2], pairs[1::2] = z, -z
        return pairs, np.repeat(u, 2, axis=0)


def pivoted_root(matrix: FloatArray) -> FloatArray:
    """Return L with ``L L' = matrix``, columns by the variance they take: the first points do most.

    The matrix may be singular. It is factored as a correlation, so that units do not decide the order; equal
    pivots go by position. No library call, so the same bits on any number of threads.
    """
    sd = np.sqrt(np.diag(matrix))
    scale = np.where(sd > 0.0, sd, 1.0)
    R = matrix / np.outer(scale, scale)
    np.fill_diagonal(R, (sd > 0.0).astype(np.float64))  # 1 exactly: rounding must not choose the first pivot
    n = len(R)
    L, left = np.zeros((n, n)), np.diag(R).copy()
    for k in range(n):
        p = int(np.argmax(left >= left.max() * (1.0 - 1e-9)))  # the first of those that tie
        if left[p] <= 1e-12:
            break
        column = R[:, p] - np.add.reduce(L[:, :k] * L[p, :k], axis=1)
        L[:, k] = column / np.sqrt(left[p])
        left = np.maximum(left - L[:, k] ** 2, 0.0)
        left[p] = 0.0
    return np.asarray(L * scale[:, None])


def across_days(z: FloatArray, days: int) -> FloatArray:
    """Return daily normal draws whose sum over days is led by the first dimension, shape as given.

    Parameters
    ----------
    z : ndarray, shape (paths, days * k)
        The first k columns become the sums, the next k the first differences in time, and so on.
    days : int

    Notes
    -----
    A discrete cosine transform: orthonormal, so the law stays, and Sobol's best dimensions drive the total.
    """
    paths, k = z.shape[0], z.shape[1] // days
    out = np.zeros((paths, days, k))
    for wave in range(days):
        scale = np.sqrt((1.0 if wave == 0 else 2.0) / days)
        for day in range(days):
            weight = scale * np.cos(np.pi * (day + 0.5) * wave / days)
            out[:, day] += weight * z[:, wave * k : (wave + 1) * k]
    return out
