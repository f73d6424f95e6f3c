"""What a sensitivity can vary: each parameter, the number that stands for it, and what theory says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pmkit.backtest.margins.called import TOOLS
from pmkit.backtest.walk.forecasters import MODEL_PARAMETERS
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.core.errors import ParameterError

__all__ = [
    "PARAMETERS",
    "Parameter",
    "base_value",
    "changed_settings",
    "check_tools",
    "theta_of",
    "varied_parameters",
    "varied_values",
]


class Parameter(NamedTuple):
    """What is varied: the number whose logarithm is the abscissa, and the direction that theory demands."""

    label: str
    expected: int


#: +1 where margin cannot fall as the number rises, -1 where it cannot rise, 0 where theory is silent.
PARAMETERS = {
    "level": Parameter("1 - level", -1),
    "es_level": Parameter("1 - es_level", -1),
    "horizon": Parameter("horizon", 1),
    "window": Parameter("window", 0),
    "refit_every": Parameter("refit_every", 0),
    "n_paths": Parameter("n_paths", 0),
    "margin_scale": Parameter("margin_scale", 1),
    "shift": Parameter("shift", 0),
    "decay": Parameter("decay", 0),
    "tail_share": Parameter("tail_share", 0),
    "price": Parameter("price", 1),
    "vol_up": Parameter("vol_up", 1),
    "vol_down": Parameter("vol_down", 1),
    "steps": Parameter("steps", 0),
    "vol_slope": Parameter("vol_slope", 0),
    "vol_residual": Parameter("vol_residual", 1),
    "stress_weight": Parameter("1 + stress_weight", 1),
    "floor": Parameter("1 + floor", 1),
    "buffer": Parameter("1 + buffer", 1),
}
#: Factors on the response of implied vol, 1 in earnest.
_RESPONSE = {"vol_slope": "beta", "vol_residual": "residual_sd"}


class _Defaults(NamedTuple):
    """The defaults of :func:`walk_forward` for what can be varied."""

    horizon: int = 1
    window: int = 365
    refit_every: int = 20
    level: float = 0.99
    es_level: float = 0.975
    n_paths: int = 5000
    margin_scale: float = 1.0
    shift: int = 0


def theta_of(name: str, value: float) -> float:
    """Return the number that stands for a value of a parameter on the logarithmic axis, positive."""
    if name in TOOLS:
        return 1.0 + value  # a tool may be off, which has no logarithm
    return round(1.0 - value, 12) if name in ("level", "es_level") else float(value)


def varied_parameters(model: str) -> tuple[str, ...]:
    """Return the parameters that :func:`walk_sensitivity` can vary under a model: walk, model, vols, tools.

    Examples
    --------
    >>> varied_parameters("ewma-normal")[-6:]
    ('decay', 'vol_slope', 'vol_residual', 'stress_weight', 'floor', 'buffer')
    """
    return (*_Defaults._fields, *MODEL_PARAMETERS.get(model, {}), *_RESPONSE, *TOOLS)


def base_value(name: str, model: str, settings: Mapping[str, Any], tools: Mapping[str, float]) -> float:
    """Return the setting under test of a parameter of the walk, the model, the vol response or a tool."""
    known, own = varied_parameters(model), MODEL_PARAMETERS.get(model, {})
    if name not in known:
        raise ParameterError(
            f"no parameter {name!r} to vary under model {model!r}", f"one of {', '.join(known)}", "name one"
        )
    if name in TOOLS:
        return float(tools.get(name, 0.0))
    if name in _RESPONSE:
        return 1.0
    if name in own:
        return float((settings.get("parameters") or {}).get(name, own[name]))
    return float(settings.get(name, _Defaults._field_defaults[name]))


def changed_settings(name: str, value: float, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run with one parameter at another value."""
    if name in _RESPONSE:
        law = VolMoves.of(settings.get("response"))
        numbers = {coin: value * number for coin, number in getattr(law, _RESPONSE[name]).items()}
        changed: dict[str, Any] = {_RESPONSE[name]: numbers, "name": f"{law.name}, {name} times {value:g}"}
        return {**settings, "response": replace(law, **changed)}
    if name in MODEL_PARAMETERS.get(model, {}):
        return {**settings, "parameters": {**(settings.get("parameters") or {}), name: value}}
    whole = name not in ("level", "es_level", "margin_scale")
    return {**settings, name: int(value) if whole else value}


def varied_values(name: str, wanted: Sequence[float], base: float) -> list[float]:
    """Return the values of one parameter with the setting under test among them, ascending."""
    values = sorted({float(value) for value in wanted} | {float(base)})
    if len(values) < 2:
        raise ParameterError(
            f"{name} is varied over {list(wanted)!r} around {base!r}",
            "a value beside the base",
            "add values on both sides",
        )
    return values


def check_tools(tools: Mapping[str, float] | None) -> dict[str, float]:
    """Return the tools under test."""
    unknown = [name for name in tools or {} if name not in TOOLS]
    if unknown:
        raise ParameterError(f"no tool {unknown[0]!r}", f"some of {', '.join(TOOLS)}", "name one of them")
    return {name: float(value) for name, value in (tools or {}).items()}
