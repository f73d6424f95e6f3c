"""The stationary bootstrap: block lengths, wrap-around, uniform coverage."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.estimation import stationary_blocks


def test_blocks_are_consecutive_and_of_the_right_length() -> None:
    n, mean_block = 1000, 20.0
    joins, counts = 0, np.zeros(n)
    for replicate in range(200):
        rows = stationary_blocks(n, mean_block, stream(3, replicate))
        joins += int(((rows[1:] - rows[:-1]) % n != 1).sum())
        counts += np.bincount(rows, minlength=n)
    # a join is a fresh block that does not happen to continue the last one
    expected = 200 * (n - 1) / mean_block * (1 - 1 / n)
    assert abs(joins - expected) < 4 * np.sqrt(expected)
    # every row is equally likely, the last as the first, because blocks wrap around
    assert counts.mean() == 200.0
    assert abs(counts[:50].mean() - 200.0) < 4 * np.sqrt(200.0 * 2 * mean_block / 50)


def test_mean_block_of_one_is_independent_draws() -> None:
    rows = stationary_blocks(5000, 1.0, stream(4))
    assert abs(np.corrcoef(rows[1:], rows[:-1])[0, 1]) < 0.05


@pytest.mark.parametrize(("n", "block"), [(1, 1.0), (10, 0.5), (10, 11.0), (10, float("nan")), (True, 1.0)])
def test_bad_arguments(n: int, block: float) -> None:
    with pytest.raises(ParameterError, match="expected a"):
        stationary_blocks(n, block, stream(1))
