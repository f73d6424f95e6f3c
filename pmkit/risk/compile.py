"""Compile the kernels of many accounts ahead of their first use."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.risk.accounts import tails
from pmkit.risk.accounts_table import account_table
from pmkit.risk.tail_kernel import merge_tails

__all__ = ["warmup_accounts"]


def warmup_accounts() -> int:
    """Return the number of kernels that were compiled or loaded by one small call each, in both precisions.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup_accounts()
    2
    """
    table = account_table(pd.DataFrame({"A": [1.0, 2.0]}), ["A"])
    for kind in (np.float64, np.float32):
        profits = np.linspace(-1.0, 1.0, 300, dtype=kind)[None, :]
        found = tails(profits, table, 3)
        merge_tails(
            found.profit, found.scenario, found.profit, found.scenario,
            np.empty_like(found.profit), np.empty_like(found.scenario),
        )  # fmt: skip
    return 2
