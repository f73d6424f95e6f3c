"""Ranges and the base class that the parameter tables of every rule share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Factor",
    "Level",
    "Move",
    "NonNegative",
    "ParameterTable",
    "Positive",
    "Power",
    "PriceRange",
    "Share",
    "VolShock",
    "Weight",
]

Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
#: a downward relative price move of this size or more would take the price to zero
PriceRange = Annotated[float, Field(gt=0.0, lt=1.0)]
Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Power = Annotated[float, Field(ge=0.0, le=2.0)]
#: a shock or rate that is a plain factor; larger than this is a slip
Factor = Annotated[float, Field(ge=0.0, le=100.0)]
#: relative price move of a scenario; -1 would take the price to zero
Move = Annotated[float, Field(gt=-1.0, le=100.0)]
Weight = Annotated[float, Field(ge=0.0, le=100.0)]


class ParameterTable(BaseModel):
    """Base: unknown keys, NaN and infinity are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class VolShock(ParameterTable):
    """Relative shock of implied vol and its power law in days to expiry."""

    volatility_range_up: Annotated[float, Field(gt=0.0, le=5.0)]
    volatility_range_down: Share
    short_term_vega_power: Power
    long_term_vega_power: Power
    vega_reference_days: Positive
    vega_floor_days: Positive
