"""Models under test in a walk-forward, by name.

A model is fitted at refit dates and forecasts at every date; both see an :class:`AsOfView` alone. The
forecast is a set of equally weighted joint log returns over the horizon, from which the book's P&L is
revalued.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pmkit.backtest.walk.filtered import FilteredHistorical, ParametricGJR
from pmkit.backtest.walk.filtered_tails import FilteredTails
from pmkit.backtest.walk.forecast import ForecastModel
from pmkit.backtest.walk.joint_filtered import JointFilteredHistorical
from pmkit.backtest.walk.plain_laws import ExponentialNormal, PlainHistorical
from pmkit.backtest.walk.static_matrix import StaticMatrix
from pmkit.core.errors import ParameterError

__all__ = ["MODELS", "MODEL_PARAMETERS", "check_model", "forecast_model", "forecast_models"]


class _Known(NamedTuple):
    """What a model is, how it is made, and its parameters that are not estimated with their defaults."""

    words: str
    make: Callable[..., ForecastModel]
    parameters: Mapping[str, float] = MappingProxyType({})
    fitted: bool = False
    filters: bool = False


#: Every model that a walk-forward, its sensitivities and a validation know; nothing else names one.
_KNOWN: dict[str, _Known] = {
    "fhs": _Known(
        "filtered historical simulation: residuals of a GJR-GARCH(1,1) with Student t, fitted on the window, "
        "at the volatility of the day",
        FilteredHistorical,
        fitted=True,
        filters=True,
    ),
    "hs": _Known("plain historical simulation: the returns of the window as they were", PlainHistorical),
    "gjr-t": _Known(
        "GJR-GARCH(1,1) with Student t innovations, parametric", ParametricGJR, fitted=True, filters=True
    ),
    "fhs-joint": _Known(
        "filtered historical simulation of all underlyings, with a correlation that moves",
        JointFilteredHistorical,
        {"decay": 0.97},
        fitted=True,
    ),
    "evt": _Known(
        "filtered historical simulation with generalised Pareto tails of the residuals",
        FilteredTails,
        {"tail_share": 0.10},
        fitted=True,
    ),
    "ewma-normal": _Known(
        "normal returns with an exponentially weighted covariance", ExponentialNormal, {"decay": 0.94}
    ),
    "matrix": _Known(
        "the worst cell of a fixed table of price and vol moves, which states no probabilities",
        StaticMatrix,
        {"price": 0.16, "vol_up": 0.50, "vol_down": 0.25, "steps": 4},
    ),
}

#: Names under which :func:`forecast_model` knows a model.
MODELS = tuple(_KNOWN)

#: Parameters of the models that have some which are not estimated, with their defaults.
MODEL_PARAMETERS: dict[str, dict[str, float]] = {
    name: dict(known.parameters) for name, known in _KNOWN.items() if known.parameters
}


def forecast_models() -> dict[str, str]:
    """Return what each model of a walk-forward is, in words, by the name under which it is asked for.

    These names serve :func:`walk_forward`, :func:`walk_books` and ``pmkit validate``, as the model under test
    or as its challenger.

    Examples
    --------
    >>> list(forecast_models())
    ['fhs', 'hs', 'gjr-t', 'fhs-joint', 'evt', 'ewma-normal', 'matrix']
    """
    return {name: known.words for name, known in _KNOWN.items()}


def check_model(name: Any, what: str = "model") -> str:
    """Return the name of a model after checking that there is one of that name.

    Raises
    ------
    ParameterError
        Another name; the message lists all.
    """
    if not isinstance(name, str) or name not in _KNOWN:
        raise ParameterError(
            f"no {what} {name!r}",
            f"one of {', '.join(MODELS)}",
            "name one; forecast_models() says what each is",
        )
    return name


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
    made = _KNOWN[check_model(name)]
    if made.filters:
        return made.make(window, parameters, engine)
    foreign = [key for key in parameters or {} if key not in made.parameters]
    if foreign:
        raise ParameterError(
            f"model {name!r} is given {foreign[0]!r}",
            ", ".join(made.parameters) or "nothing: it has no parameters",
            "leave it out, or correct it",
        )
    given: dict[str, Any] = dict(parameters or {})
    return made.make(window, **given, **({"engine": engine} if made.fitted else {}))
