"""Labels that fixed correlations of +1 or -1 tie together move as one: the smaller problem without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import BoolArray, FloatArray, IntArray

__all__ = ["Merged", "merge_perfect"]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The problem over groups of labels; label ``i`` is ``sign[i]`` times its group ``home[i]``.

    Attributes
    ----------
    matrix, weights, fixed : ndarray
        Of the groups.
    labels : Index
        The first label of each group.
    """

    home: IntArray
    sign: FloatArray
    matrix: FloatArray
    weights: FloatArray
    fixed: BoolArray
    labels: pd.Index

    def spread(self, C: FloatArray) -> FloatArray:
        """Return the matrix over labels that belongs to ``C`` over groups."""
        return self.sign[:, None] * self.sign[None, :] * C[np.ix_(self.home, self.home)]


def merge_perfect(A: FloatArray, weights: FloatArray, fixed: BoolArray, labels: pd.Index) -> Merged:
    """Return the problem in which labels with a fixed correlation of +1 or -1 are one.

    Without this the fixed entries leave no positive definite matrix, and no iteration converges well.

    Raises
    ------
    ParameterError
        Signs around a ring, or fixed correlations with another group, that contradict each other.

    Notes
    -----
    ``sum w[i] w[j] (s[i] s[j] C[g, h] - A[i, j])^2`` over a pair of groups is ``W[g] W[h] (C[g, h] - m)^2``
    and a constant, with ``W`` sums of weights and ``m`` the weighted mean of ``s[i] s[j] A[i, j]``.

    Examples
    --------
    >>> A = np.array([[1.0, -1.0, 0.4], [-1.0, 1.0, 0.0], [0.4, 0.0, 1.0]])
    >>> merge_perfect(A, np.ones(3), A == -1.0, pd.RangeIndex(3)).matrix[0].tolist()
    [1.0, 0.2]
    """
    n = len(A)
    tied = fixed & (np.abs(A) == 1.0)
    home, sign = np.full(n, -1, dtype=np.int64), np.ones(n)
    first: list[int] = []
    for seed in range(n):
        if home[seed] >= 0:
            continue
        home[seed] = len(first)
        first.append(seed)
        front = [seed]
        while front:
            i = front.pop()
            for j in np.flatnonzero(tied[i]):
                if home[j] < 0:
                    home[j], sign[j] = home[i], sign[i] * A[i, j]
                    front.append(int(j))
    m = len(first)
    turned = A * sign[:, None] * sign[None, :]
    matrix, kept = np.eye(m), np.zeros((m, m), dtype=np.bool_)
    total = np.array([float(np.add.reduce(weights[home == g])) for g in range(m)])
    for g in range(m):
        for h in range(g, m):
            block = np.ix_(home == g, home == h)
            held = turned[block][fixed[block]]
            if held.size and (held.max() != held.min() or (g == h and held.min() != 1.0)):
                i, j = np.argwhere(
                    fixed & (home[:, None] == g) & (home[None, :] == h) & (turned == held.min())
                )[0]
                implied = float(sign[i] * sign[j] * (1.0 if g == h else held.max()))
                raise ParameterError(
                    f"the fixed entries contradict each other: ({labels[int(i)]!r}, {labels[int(j)]!r}) = "
                    f"{A[i, j]:g}, while labels tied to these by a fixed +1 or -1 imply {implied:g}",
                    "equal correlations of labels that are tied together",
                    "free one of these pairs, or fix a tie at 0.99 in place of 1",
                )
            if g != h:
                pair = weights[home == g][:, None] * weights[home == h][None, :]
                mean = float(np.add.reduce((pair * turned[block]).ravel())) / (total[g] * total[h])
                matrix[g, h] = matrix[h, g] = held[0] if held.size else mean
                kept[g, h] = kept[h, g] = bool(held.size)
    return Merged(
        home=home, sign=sign, matrix=matrix, weights=total, fixed=kept, labels=labels.take(np.array(first))
    )
