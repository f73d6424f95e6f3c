"""Parameter tables of the rules built on a risk measure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Level, NonNegative, ParameterTable, Positive

__all__ = ["ExpectedShortfallParameters", "HistoricalVarParameters", "MeasureParameters"]


class MeasureParameters(ParameterTable):
    """What a rule from a risk measure needs apart from its scenarios."""

    im_level: Level
    mm_level: Level
    horizon_days: Annotated[int, Field(ge=1, le=60)]
    response: str
    dynamics: Literal["sticky_strike", "sticky_moneyness", "sticky_delta"]
    seed: Annotated[int, Field(ge=0)]
    min_tail: NonNegative
    error_below: NonNegative

    @model_validator(mode="after")
    def _levels_in_order(self) -> MeasureParameters:
        if self.mm_level > self.im_level:
            raise ValueError(f"mm_level {self.mm_level:g} is above im_level {self.im_level:g}")
        return self


class ExpectedShortfallParameters(MeasureParameters):
    """Expected shortfall of filtered historical simulation."""

    n_paths: Annotated[int, Field(ge=1000, le=5_000_000)]
    model: Literal["gjr", "garch", "ewma"]
    dist: Literal["t", "normal"]
    vol_anchor: str | Positive | dict[str, Positive]
    bootstrap_replications: Annotated[int, Field(ge=2, le=10_000)]
    bootstrap_paths: Annotated[int, Field(ge=1000, le=5_000_000)]


class HistoricalVarParameters(MeasureParameters):
    """Value at risk of historical simulation."""

    replications: Annotated[int, Field(ge=1, le=10_000)]
    bootstrap_replications: Annotated[int, Field(ge=2, le=10_000)]
    bootstrap_mean_block: Annotated[float, Field(ge=1.0, le=365.0)]
