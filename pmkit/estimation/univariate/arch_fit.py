"""Maximum likelihood through the ``arch`` package, in its units inside and in decimal units outside."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.threads import one_blas_thread
from pmkit.core.types import FloatArray
from pmkit.estimation.univariate.parameters import PARAMETERS

__all__ = [
    "HAR_LAGS",
    "SCALE",
    "decimal_covariance",
    "decimal_params",
    "fit_arch",
    "law_of",
    "process_of",
    "signs_right",
    "units_of",
]

#: percent per decimal: arch's optimiser wants returns of order one
SCALE = 100.0
#: bars behind the three components of the heterogeneous model: a day, a week, a month
HAR_LAGS = (1, 5, 22)
#: decay of the EWMA recursion (RiskMetrics, daily)
_DECAY = 0.94
_AT_BOUND = 1e-7


def process_of(model: str) -> Any:
    """Return arch's volatility process of a model word."""
    from arch.univariate import EGARCH, FIGARCH, GARCH, HARCH, EWMAVariance, RiskMetrics2006

    makers: dict[str, Any] = {
        "ewma": lambda: EWMAVariance(_DECAY),
        "riskmetrics2006": RiskMetrics2006,
        "garch": lambda: GARCH(p=1, o=0, q=1),
        "gjr": lambda: GARCH(p=1, o=1, q=1),
        "tarch": lambda: GARCH(p=1, o=1, q=1, power=1.0),
        "egarch": lambda: EGARCH(p=1, o=1, q=1),
        "har": lambda: HARCH(lags=list(HAR_LAGS)),
        "figarch": lambda: FIGARCH(p=1, q=1),
    }
    return makers[model]()


def law_of(dist: str) -> Any:
    """Return arch's law of the standardised residuals."""
    from arch.univariate import Normal, SkewStudent, StudentsT

    makers: dict[str, Any] = {"normal": Normal, "t": StudentsT, "skewt": SkewStudent}
    return makers[dist]()


def fit_arch(
    values: FloatArray,
    model: str,
    dist: str,
    mean: str,
    start: float | FloatArray,
    warm: FloatArray | None = None,
    covariance: Any = "robust",
) -> Any:
    """Return arch's result for percent returns, starting the recursion at ``start`` (decimal units).

    ``warm`` is where the optimiser starts, in arch's parameters and units; its own grid where None.
    """
    from arch.univariate import ConstantMean, ZeroMean

    kind = ConstantMean if mean == "constant" else ZeroMean
    arch_model = kind(SCALE * values, volatility=process_of(model), distribution=law_of(dist), rescale=False)
    with one_blas_thread(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # convergence is read from the flag and reported as a status
        return arch_model.fit(
            disp="off",
            show_warning=False,
            backcast=start * SCALE**2,
            starting_values=warm,
            cov_type=covariance,
        )


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


def signs_right(params: pd.Series) -> pd.Series:
    """Return the parameters with the sign constraints met, outside which arch's optimiser may stop by 1e-6.

    Without that a fit could not be filtered over other days, for given parameters are refused outside.

    Examples
    --------
    >>> p = pd.Series({"alpha": 0.1, "gamma": -0.1000002, "beta": -1e-9})
    >>> signs_right(p).tolist()
    [0.1, -0.1, 0.0]
    """
    inside = params.copy()
    inside["alpha"], inside["beta"] = max(params["alpha"], 0.0), max(params["beta"], 0.0)
    inside["gamma"] = max(params["gamma"], -inside["alpha"])
    return inside


def units_of(model: str, names: list[str]) -> tuple[FloatArray, FloatArray]:
    """Return matrix A and vector c of ``decimal = A percent + c`` for arch's parameters in percent units.

    ``omega`` has the unit of what the recursion runs in: a variance, a volatility (``tarch``), or the log of
    a variance (``egarch``), where the change of unit is a shift that depends on ``beta``.
    """
    A, c = np.eye(len(names)), np.zeros(len(names))
    for i, name in enumerate(names):
        if name == "mu":
            A[i, i] = 1.0 / SCALE
        elif name == "omega" and model == "egarch":
            shift = 2.0 * math.log(SCALE)
            A[i, names.index("beta")], c[i] = shift, -shift
        elif name == "omega":
            A[i, i] = SCALE ** -(1 if model == "tarch" else 2)
    return A, c


def decimal_covariance(fitted: Any, names: list[str], model: str = "gjr") -> pd.DataFrame:
    """Return arch's covariance of the estimated parameters in decimal units."""
    A, _ = units_of(model, names)
    with one_blas_thread(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # at a bound the Hessian may be singular: NaN errors say so
        try:
            percent = np.asarray(fitted.param_cov, dtype=np.float64)
        except np.linalg.LinAlgError:  # exactly singular: no direction has an error
            percent = np.full((len(names), len(names)), math.nan)
        raw = A @ percent @ A.T if model == "egarch" else percent * np.outer(np.diag(A), np.diag(A))
    return pd.DataFrame(raw, index=pd.Index(names), columns=pd.Index(names))
