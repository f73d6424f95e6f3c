"""Compile the kernels of the correlation models ahead of their first use."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.core.random import stream
from pmkit.estimation.dynamic.correlation_fit import fit_correlation

__all__ = ["warmup_correlation"]


def warmup_correlation() -> int:
    """Return the number of models whose kernels were compiled or loaded by small fits on simulated residuals.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup_correlation()
    3
    """
    x = stream(0, "warmup").standard_normal((128, 4))
    z = pd.DataFrame(0.8 * x + 0.6 * np.roll(x, 1, axis=1))
    for model in ("dcc", "cdcc", "deco"):
        fit = fit_correlation(z, model)
        fit.forecast(2, "simulation", paths=2)
        fit.standardised_residuals()
        fit.daily_loglikelihood()
    return 3
