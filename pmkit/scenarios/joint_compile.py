"""Compile the kernels of joint filtering ahead of their first use."""

from __future__ import annotations

import numpy as np

from pmkit.scenarios.joint_paths import joint_paths, whiten

__all__ = ["warmup_joint"]


def warmup_joint() -> int:
    """Return the number of kernels compiled or loaded, having called each once with small arrays.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup_joint()
    2
    """
    R, sigma = np.eye(2), np.full((3, 2), 0.02)
    x = np.full((3, 2), 0.01)
    pool = np.empty_like(x)
    whiten(x, sigma, np.broadcast_to(R, (3, 2, 2)).copy(), pool)
    drawn = np.zeros((2, 2), dtype=np.int64)
    moves, path_sigma = np.empty((2, 2, 2)), np.empty((2, 2, 2))
    params, news = np.full((2, 4), 0.1), np.array([0.0, 1.0, 0.0])
    joint_paths(
        pool, drawn, sigma[0], R, params, np.zeros((2, 2)), news, False, False, False, moves, path_sigma
    )
    return 2
