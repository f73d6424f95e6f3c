"""The table of the standard initial margin model for equity: weights, correlations, thresholds by bucket."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Level, ParameterTable, Positive, Share

__all__ = ["SimmParameters"]

#: values of buckets 1 to 12 and of the residual one
ByBucket = Annotated[tuple[Positive, ...], Field(min_length=13, max_length=13)]


class SimmParameters(ParameterTable):
    """Equity of the standard model: buckets 1 to 12, then the residual one."""

    risk_weights: ByBucket
    correlations: Annotated[tuple[Share, ...], Field(min_length=13, max_length=13)]
    #: correlations between buckets 1 to 12, upper triangle row by row
    bucket_correlations: tuple[tuple[Share, ...], ...]
    delta_thresholds: ByBucket
    vega_thresholds: ByBucket
    vega_weights: ByBucket
    historical_vol_ratio: Positive
    vol_days: Positive
    vol_level: Level
    curvature_days: Positive
    curvature_level: Level
    curvature_free_bucket: Annotated[int, Field(ge=0, le=12)]

    @model_validator(mode="after")
    def _triangle(self) -> SimmParameters:
        if [len(row) for row in self.bucket_correlations] != list(range(11, 0, -1)):
            raise ValueError("bucket_correlations is not an upper triangle of rows of 11 to 1")
        return self
