"""Cholesky factor, its inverse and the inverse matrix of many small matrices at a time, one a vector lane.

A stack of ``LANES`` matrices of size n, a multiple of four, is an array (n, n LANES): the entries (i, j) of
all of them stand next to each other. Tiles of four rows and four columns are worked on in vector registers
(:mod:`pmkit.estimation.dcc_tiles`). Tiles are visited by panels of columns, so that the rows a panel needs
stay in the cache for matrices that do not fit it. Sums run in a fixed order.
"""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_tiles import (
    TILE,
    factor_diagonal,
    factor_tile,
    invert_diagonal,
    invert_tile,
    solve_forward,
)
from pmkit.estimation.dynamic.dcc_vectors import WIDTH
from pmkit.pricing.numeric import log_fast, stage

__all__ = ["LANES", "PANEL", "factor", "invert", "solve"]

#: matrices side by side
LANES = WIDTH
#: columns of a panel: 32 rows of 200 entries take 0.4 MB
PANEL = 32


@stage
def factor(A: FloatArray, logdet: FloatArray) -> None:
    """Overwrite the lower triangles by their Cholesky factors, each diagonal by its reciprocals.

    ``logdet`` receives the logarithms of the determinants. The strict upper triangles are left alone.
    """
    n, pivots = A.shape[0], np.empty(LANES)
    for x in range(LANES):
        logdet[x] = 0.0
    for panel in range(0, n, PANEL):
        end = min(panel + PANEL, n)
        for i in range(panel, n, TILE):
            for j in range(panel, min(end, i), TILE):
                factor_tile(A, i, j)
            if i < end:
                factor_diagonal(A, i, pivots)
                for x in range(LANES):
                    logdet[x] += log_fast(pivots[x])


@stage
def invert(A: FloatArray) -> None:
    """Put the inverses V of the factors of :func:`factor` into the upper triangles: A[j, i] is V[i, j]."""
    n = A.shape[0]
    for i in range(0, n, TILE):
        invert_diagonal(A, i)
    for panel in range(0, n, PANEL):
        end = min(panel + PANEL, n)
        for i in range(panel, n, TILE):
            for j in range(panel, min(end, i), TILE):
                invert_tile(A, i, j)


@stage
def solve(A: FloatArray, v: FloatArray) -> None:
    """Overwrite ``v`` by the solution x of ``L x = v`` for the factors L of :func:`factor`."""
    for i in range(0, A.shape[0], TILE):
        solve_forward(A, v, i)
