"""Block bootstrap of dates: which observations a replicate of a dependent series is made of."""

from __future__ import annotations

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import IntArray

__all__ = ["stationary_blocks"]


def stationary_blocks(n: int, mean_block: float, generator: np.random.Generator) -> IntArray:
    """Return the row numbers of one stationary-bootstrap replicate of ``n`` dependent observations.

    Blocks start anywhere, have geometric length with the given mean and wrap around the end, so that the
    replicate is stationary and keeps dependence up to about the block length.

    Parameters
    ----------
    n : int
        Observations, 2 or more.
    mean_block : float
        Mean length of a block in rows, from 1 (independent draws) to ``n``.
    generator : numpy.random.Generator
        From :func:`pmkit.core.random.stream`.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ParameterError
        A value outside its range.

    References
    ----------
    Politis and Romano (1994), section 2.

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> rows = stationary_blocks(8, 3.0, stream(1, "blocks"))
    >>> rows.shape, bool(((rows >= 0) & (rows < 8)).all())
    ((8,), True)
    """
    if isinstance(n, bool) or int(n) != n or n < 2:
        raise ParameterError(f"n is {n!r}", "a whole number of observations, 2 or more", "correct it")
    if not 1.0 <= mean_block <= n:
        raise ParameterError(f"mean_block is {mean_block!r}", f"a length from 1 to n = {n}", "correct it")
    starts = generator.integers(0, n, size=n)
    fresh = generator.random(n) < 1.0 / mean_block
    fresh[0] = True
    # the row where each position's block began, and how far into the block it lies
    begin = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    rows: IntArray = ((starts[begin] + np.arange(n) - begin) % n).astype(np.int64)
    return rows
