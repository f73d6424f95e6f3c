"""Parameter tables of rules that are assembled from a risk measure and parts, each of which can be off."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pmkit.margin.schemas.base import Factor, Level, NonNegative, ParameterTable, Positive, Share

__all__ = ["MeasureDesignParameters"]


def _iso(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


Day = Annotated[str, AfterValidator(_iso)]


class SubsampleTerms(ParameterTable):
    """Windows that do not overlap, and how the figures of several such sets are combined."""

    on: bool
    combine: Literal["mean", "median", "max"]


class CorrelationBreakTerms(ParameterTable):
    """Charge for the dispersion of the measure over windows of the history."""

    on: bool
    factor: NonNegative
    low: Share
    high: Factor
    level: Level
    window_days: Annotated[int, Field(ge=2, le=5000)]
    step_days: Annotated[int, Field(ge=1, le=5000)]

    @model_validator(mode="after")
    def _bounds_in_order(self) -> CorrelationBreakTerms:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


class StressPeriodTerms(ParameterTable):
    """Measure over a stress period, as a floor or in a mean."""

    on: bool
    combine: Literal["floor", "mean"]
    share: Annotated[float, Field(gt=0.0, le=1.0)]
    start: Day
    end: Day
    level: Level
    mm_level: Level
    replications: Annotated[int, Field(ge=1, le=10_000)]

    @model_validator(mode="after")
    def _in_order(self) -> StressPeriodTerms:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        if self.mm_level > self.level:
            raise ValueError(f"mm_level {self.mm_level:g} is above level {self.level:g}")
        return self


class WorstCaseTerms(ParameterTable):
    """Correlations against the book, with measured stress."""

    on: bool
    width: Annotated[float, Field(ge=0.0, le=2.0)]
    calm: Share
    tense: Share
    window_days: Annotated[int, Field(ge=2, le=365)]
    tenor_days: Positive

    @model_validator(mode="after")
    def _in_order(self) -> WorstCaseTerms:
        if self.calm >= self.tense:
            raise ValueError(f"calm {self.calm:g} is not below tense {self.tense:g}")
        return self


class DiversificationTerms(ParameterTable):
    """Limit on the diversification between underlyings."""

    on: bool
    share: Share


class SpreadTerms(ParameterTable):
    """Half spreads of a close-out: futures in price, options in vol points."""

    on: bool
    price_half_spread: Share
    vol_half_spread: NonNegative


class MeasureDesignParameters(ParameterTable):
    """A base rule with its levels and horizon, and the parts on top in the order of this table."""

    base: Literal["es-fhs", "var-hs"]
    im_level: Level
    mm_level: Level
    horizon_days: Annotated[int, Field(ge=1, le=60)]
    subsamples: SubsampleTerms
    correlation_break: CorrelationBreakTerms
    stress_period: StressPeriodTerms
    worst_case: WorstCaseTerms
    diversification_cap: DiversificationTerms
    spread: SpreadTerms

    @model_validator(mode="after")
    def _levels_in_order(self) -> MeasureDesignParameters:
        if self.mm_level > self.im_level:
            raise ValueError(f"mm_level {self.mm_level:g} is above im_level {self.im_level:g}")
        return self
