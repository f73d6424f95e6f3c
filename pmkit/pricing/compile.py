"""Compile the pricing kernels ahead of their first use."""

from __future__ import annotations

import numpy as np

from pmkit.pricing.black import black76
from pmkit.pricing.implied import implied_vol
from pmkit.pricing.kernels import combine, forward_logs, option_values
from pmkit.pricing.option_matrix import option_matrix

__all__ = ["warmup"]


def warmup() -> int:
    """Return the number of kernels compiled or loaded, having called each once with small arrays.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup() > 0
    True
    """
    forward = np.full(64, 100.0)
    iv = np.full(64, 0.5)
    prices = black76(forward, 105.0, 0.25, iv)
    implied_vol(np.append(prices, -1.0), 100.0, 105.0, 0.25)
    values = option_values(forward, iv, 105.0, 0.25, True, False, log_forward=forward_logs(forward))
    combine(values[None, :], np.ones(1))
    for single in (False, True):
        option_matrix(forward, [0.5], [105.0], [0.25], True, False, single=single)
    return 8
