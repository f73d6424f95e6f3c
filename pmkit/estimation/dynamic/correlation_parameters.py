"""Parameters and targets of the correlation models: their order, their region, their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.estimation.matrices.correlation_checks import labelled

__all__ = [
    "PAPERS",
    "PARAMETERS",
    "CorrelationKind",
    "check_kind",
    "check_parameters",
    "checked_target",
]

CorrelationKind = Literal["ewma", "ccc", "dcc", "adcc", "cdcc", "deco"]

#: parameters of each model, in order
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "ewma": ("decay",),
    "ccc": (),
    "dcc": ("a", "b"),
    "adcc": ("a", "b", "g"),
    "cdcc": ("a", "b"),
    "deco": ("a", "b"),
}
#: papers behind each model
PAPERS: Mapping[str, tuple[str, ...]] = {
    "ewma": ("riskmetrics1996",),
    "ccc": ("bollerslev1990",),
    "dcc": ("engle2002",),
    "adcc": ("cappiello2006",),
    "cdcc": ("aielli2013",),
    "deco": ("engle2012",),
}


def check_kind(model: Any) -> str:
    """Return the word for a model after checking that it is known."""
    if model not in PARAMETERS:
        raise ParameterError(f"model is {model!r}", f"one of {', '.join(PARAMETERS)}", "name one of them")
    return str(model)


def check_parameters(
    params: Mapping[str, float] | pd.Series, kind: str, S: pd.DataFrame, losses: pd.DataFrame | None
) -> pd.Series:
    """Return the parameters of a model in order, checked to keep every Q positive definite."""
    given = {str(k): v for k, v in dict(params).items()}
    wanted = PARAMETERS[kind]
    if set(given) != set(wanted):
        raise ParameterError(
            f"parameters {', '.join(given) or 'none'} for {kind}",
            ", ".join(wanted) or "none",
            "give exactly these",
        )
    full = pd.Series({name: float(given[name]) for name in wanted}, dtype=np.float64)
    values = full.to_numpy()
    if kind == "ewma" and not (0.0 < values[0] < 1.0):
        raise ParameterError(f"decay is {values[0]!r}", "a number above 0 and below 1", "0.97 is usual")
    if kind in ("ewma", "ccc"):
        return full
    if not (bool((values >= 0.0).all()) and float(full["a"] + full["b"]) < 1.0):
        raise ParameterError(
            f"parameters are {full.to_dict()}", "each 0 or more and a + b below 1", "correct the parameters"
        )
    if losses is not None:
        rest = (1.0 - full["a"] - full["b"]) * S.to_numpy() - full["g"] * losses.to_numpy()
        low = float(np.linalg.eigvalsh(rest)[0])
        if not low >= -1e-10:
            raise ParameterError(
                f"(1 - a - b) S - g N has the eigenvalue {low:.3g}", "0 or more", "lower a, b or g"
            )
    return full


def checked_target(matrix: Any, names: pd.Index, what: str, *, unit: bool = False) -> pd.DataFrame:
    """Return a symmetric matrix as a frame in the order of ``names``.

    Raises
    ------
    ParameterError
        Other assets, not positive definite (a target) or semidefinite, or a diagonal that is not 1.
    """
    values, labels = labelled(matrix, what)
    if isinstance(matrix, pd.DataFrame) and set(labels) == set(names):
        values = matrix.loc[names, names].to_numpy(dtype=np.float64)
    elif len(values) != len(names) or isinstance(matrix, pd.DataFrame):
        raise ParameterError(
            f"{what} has {len(values)} rows labelled {labels.tolist()[:6]}",
            f"the assets {names.tolist()[:6]}",
            "reindex it to the residuals",
        )
    low = float(np.linalg.eigvalsh(values)[0])
    if low < (0.0 if what == "target" else -1e-12) or (what == "target" and low <= 1e-12):
        raise ParameterError(
            f"the smallest eigenvalue of {what} is {low:.3g}",
            "a positive definite matrix",
            "repair it with nearest_correlation, or drop a collinear asset",
        )
    if unit and not bool((np.abs(np.diag(values) - 1.0) <= 1e-10).all()):
        raise ParameterError(
            f"the diagonal of {what} runs from {np.diag(values).min():.6g} to {np.diag(values).max():.6g}",
            "1 everywhere: the corrected recursion lives on that scale",
            "divide rows and columns by the roots of the diagonal",
        )
    return pd.DataFrame(np.ascontiguousarray(values), index=names, columns=names)
