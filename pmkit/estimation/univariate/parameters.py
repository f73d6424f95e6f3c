"""Parameters of the volatility recursions: their order, ranges, and what they imply for moments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError

__all__ = [
    "DISTRIBUTIONS",
    "MODELS",
    "PARAMETERS",
    "check_backcast",
    "check_params",
    "check_words",
    "flags_of",
]

#: order of the parameters wherever they appear
PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")

#: words for the recursion and for the law of the standardised residuals
MODELS = ("gjr", "garch", "ewma", "riskmetrics2006", "tarch", "egarch", "har", "figarch")
DISTRIBUTIONS = ("t", "normal", "skewt")


def flags_of(params: pd.Series | Mapping[Any, float]) -> tuple[str, ...]:
    """Return in words what the parameters imply for moments and bounds."""
    persistence = params["alpha"] + 0.5 * params["gamma"] + params["beta"]
    flags = []
    if persistence >= 0.9999:
        flags.append(
            f"integrated: alpha + gamma/2 + beta = {persistence:.4f}, so there is no unconditional variance"
        )
    if params["nu"] <= 4.0:
        flags.append(
            f"nu = {params['nu']:.2f}: no fourth moment, so standard errors from moments do not hold"
        )
    if params["gamma"] < 0.0:
        flags.append(f"gamma = {params['gamma']:.3f}: gains raise volatility more than losses")
    return tuple(flags)


def check_words(
    model: str,
    dist: str,
    annualisation: float,
    *,
    models: tuple[str, ...] = MODELS,
    dists: tuple[str, ...] = DISTRIBUTIONS,
) -> None:
    """Raise where a word or the days of a year are unknown."""
    for name, value, known in (("model", model, models), ("dist", dist, dists)):
        if value not in known:
            raise ParameterError(f"{name} is {value!r}", f"one of {', '.join(known)}", "name one of them")
    if not (_is_number(annualisation) and annualisation > 0):
        raise ParameterError(
            f"annualisation is {annualisation!r}", "days a year, 365 or 252", "name the calendar's number"
        )


def check_backcast(backcast: float | None) -> float | None:
    """Return the variance at which the recursion starts, checked to be positive; None stays None."""
    if backcast is not None and not (_is_number(backcast) and backcast > 0.0):
        raise ParameterError(
            f"backcast is {backcast!r}", "a positive variance in squared decimal units", "correct it"
        )
    return backcast


def _is_number(value: Any) -> bool:
    """Return whether ``value`` is a finite number and no truth value."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return known and math.isfinite(value)


def check_params(given: dict[str, float], model: str, dist: str) -> pd.Series:
    """Return the six parameters as floats after checking their ranges."""
    unknown = set(given) - set(PARAMETERS)
    absent = {"omega", "alpha", "beta"} - set(given)
    if unknown or absent:
        raise ParameterError(
            f"parameters {', '.join(given) or 'none'}",
            f"omega, alpha, beta and at most {', '.join(PARAMETERS)}",
            f"give {', '.join(sorted(absent))}" if absent else f"remove {', '.join(sorted(unknown))}",
        )
    full = pd.Series({"mu": 0.0, "gamma": 0.0, "nu": math.inf} | given, dtype=np.float64)[list(PARAMETERS)]
    rules = {
        "mu": (math.isfinite(full["mu"]), "finite"),
        "omega": (0.0 <= full["omega"] < 1.0, "a variance, 0 or more"),
        "alpha": (0.0 <= full["alpha"] <= 1.0, "from 0 to 1"),
        "gamma": (
            full["alpha"] + full["gamma"] >= 0.0 and (model == "gjr" or full["gamma"] == 0.0),
            "at least -alpha, and 0 for garch and ewma",
        ),
        "beta": (0.0 <= full["beta"] <= 1.0, "from 0 to 1"),
        "nu": (
            full["nu"] > 2.0 and (dist == "t") == math.isfinite(full["nu"]),
            "above 2 for t, absent for normal",
        ),
    }
    for name, (legal, wanted) in rules.items():
        if not legal:
            raise ParameterError(f"{name} is {float(full[name])!r}", wanted, "correct the parameter")
    return full
