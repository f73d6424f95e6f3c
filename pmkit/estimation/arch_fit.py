"""Maximum likelihood through the ``arch`` package, in its units inside and in decimal units outside."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.estimation.parameters import PARAMETERS

__all__ = ["SCALE", "decimal_covariance", "decimal_params", "fit_arch"]

#: percent per decimal: arch's optimiser wants returns of order one
SCALE = 100.0
#: decay of the EWMA recursion (RiskMetrics, daily)
_DECAY = 0.94
_AT_BOUND = 1e-7


def fit_arch(values: FloatArray, model: str, dist: str, mean: str, start: float) -> Any:
    """Return arch's result for percent returns, starting the recursion at ``start`` (decimal units)."""
    from arch.univariate import GARCH, ConstantMean, EWMAVariance, Normal, StudentsT, ZeroMean

    kind = ConstantMean if mean == "constant" else ZeroMean
    recursion = EWMAVariance(_DECAY) if model == "ewma" else GARCH(p=1, o=int(model == "gjr"), q=1)
    arch_model = kind(
        SCALE * values,
        volatility=recursion,
        distribution=StudentsT() if dist == "t" else Normal(),
        rescale=False,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # convergence is read from the flag and reported as a status
        return arch_model.fit(disp="off", show_warning=False, backcast=start * SCALE**2)


def decimal_params(fitted: Any, model: str) -> tuple[pd.Series, list[str], str]:
    """Return the six parameters in decimal units, the names of those estimated, and the status."""
    found = {str(k).replace("[1]", ""): float(v) for k, v in fitted.params.items()}
    names = [n for n in PARAMETERS if n in found]
    full = pd.Series(
        {"mu": 0.0, "omega": 0.0, "alpha": 0.0, "gamma": 0.0, "beta": 0.0, "nu": math.inf} | found
    )[list(PARAMETERS)]
    full["mu"] /= SCALE
    full["omega"] /= SCALE**2
    if model == "ewma":
        full["alpha"], full["beta"] = 1.0 - _DECAY, _DECAY
    if int(fitted.convergence_flag) != 0:
        return full, names, "not_converged"
    if model == "ewma":
        return full, names, "ok"
    distances = [full["alpha"], full["beta"], full["alpha"] + full["gamma"], full["nu"] - 2.05]
    distances.append(1.0 - (full["alpha"] + 0.5 * full["gamma"] + full["beta"]))
    return full, names, "at_bound" if min(distances) < _AT_BOUND else "ok"


def decimal_covariance(fitted: Any, names: list[str]) -> pd.DataFrame:
    """Return arch's robust covariance of the estimated parameters in decimal units."""
    units = np.array([SCALE ** -{"mu": 1, "omega": 2}.get(n, 0) for n in names])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # at a bound the Hessian may be singular: NaN errors say so
        raw = np.asarray(fitted.param_cov, dtype=np.float64) * np.outer(units, units)
    return pd.DataFrame(raw, index=pd.Index(names), columns=pd.Index(names))
