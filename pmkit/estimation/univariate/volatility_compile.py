"""Compile the kernels of the volatility models ahead of their first use."""

from __future__ import annotations

import pandas as pd

from pmkit.core.random import stream
from pmkit.estimation.univariate.refit_rolling import rolling_volatility
from pmkit.estimation.univariate.volatility_fit import fit_volatility

__all__ = ["warmup_volatility"]


def warmup_volatility() -> int:
    """Return the number of fits on simulated returns by which the kernels were compiled or loaded.

    The machine code is kept in the cache of numba, so that later processes start without compiling.

    Examples
    --------
    >>> warmup_volatility()
    2
    """
    returns = pd.Series(0.02 * stream(0, "warmup").standard_normal(120))
    fit = fit_volatility(returns, engine="newton")
    fit.simulate(fit.residuals.to_numpy()[None, :2].copy())
    rolling_volatility(returns, 110, 5, check_every=None)
    return 2
