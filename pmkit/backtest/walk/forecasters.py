"""Models under test in a walk-forward, by name.

A model is fitted at refit dates and forecasts at every date; both see an :class:`AsOfView` alone. The
forecast is a set of equally weighted joint log returns over the horizon, from which the book's P&L is
revalued.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pmkit.backtest.walk.filtered import FilteredHistorical, ParametricGJR
from pmkit.backtest.walk.filtered_tails import FilteredTails
from pmkit.backtest.walk.forecast import ForecastModel
from pmkit.backtest.walk.joint_filtered import JointFilteredHistorical
from pmkit.backtest.walk.plain_laws import ExponentialNormal, PlainHistorical
from pmkit.backtest.walk.static_matrix import StaticMatrix
from pmkit.core.errors import ParameterError

__all__ = ["MODELS", "MODEL_PARAMETERS", "forecast_model"]

#: Names under which :func:`forecast_model` knows a model.
MODELS = ("fhs", "hs", "gjr-t", "fhs-joint", "evt", "ewma-normal", "matrix")

#: Parameters of the models that have some which are not estimated, with their defaults.
MODEL_PARAMETERS: dict[str, dict[str, float]] = {
    "fhs-joint": {"decay": 0.97},
    "evt": {"tail_share": 0.10},
    "ewma-normal": {"decay": 0.94},
    "matrix": {"price": 0.16, "vol_up": 0.50, "vol_down": 0.25, "steps": 4},
}


def forecast_model(
    name: str,
    window: int,
    parameters: Mapping[str, Any] | None = None,
    engine: Literal["arch", "newton"] = "arch",
) -> ForecastModel:
    """Return a fresh model by name.

    Parameters
    ----------
    name : {"fhs", "hs", "gjr-t", "fhs-joint", "evt", "ewma-normal", "matrix"}
        Filtered historical, plain historical, parametric, filtered with a moving correlation, filtered with
        Pareto tails, normal with exponential weights, the worst cell of a fixed table.
    window : int
        Days of history that it uses, 100 or more for fitted models.
    parameters : mapping, optional
        For ``fhs`` and ``gjr-t`` known parameters of the GJR-t recursion in decimal-return units, by
        underlying or bare for one; the model is then filtered and never fitted. For the others any of the
        names in ``MODEL_PARAMETERS``.
    engine : {"arch", "newton"}
        Who maximises the likelihood where there is one; ``newton`` is tens of times faster.

    Raises
    ------
    ParameterError
        Unknown name or engine, or parameters that the model does not have.

    Examples
    --------
    >>> forecast_model("hs", 365).name
    'hs'
    >>> forecast_model("ewma-normal", 250, {"decay": 0.97}).decay
    0.97
    """
    if engine not in ("arch", "newton"):
        raise ParameterError(f"engine is {engine!r}", "'arch' or 'newton'", "name one of the two")
    if name not in MODELS:
        raise ParameterError(
            f"no model {name!r}",
            f"one of {', '.join(MODELS)}, or an object with fit and forecast",
            "name one",
        )
    if name == "fhs":
        return FilteredHistorical(window, parameters, engine)
    if name == "gjr-t":
        return ParametricGJR(window, parameters, engine)
    known = MODEL_PARAMETERS.get(name, {})
    foreign = [key for key in parameters or {} if key not in known]
    if name == "hs" and parameters is not None:
        raise ParameterError(
            "parameters are given for model 'hs'", "none: it has no parameters", "leave them out"
        )
    if foreign:
        raise ParameterError(
            f"model {name!r} is given {foreign[0]!r}", f"{', '.join(known)}", "leave it out, or correct it"
        )
    given: dict[str, Any] = dict(parameters or {})
    if name == "fhs-joint":
        return JointFilteredHistorical(window, engine=engine, **given)
    if name == "evt":
        return FilteredTails(window, engine=engine, **given)
    if name == "ewma-normal":
        return ExponentialNormal(window, **given)
    return StaticMatrix(window, **given) if name == "matrix" else PlainHistorical(window)
