"""Parameter tables of Deribit's rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import NonNegative, ParameterTable, PriceRange, Share, VolShock

__all__ = ["ClassicParameters", "RiskMatrixParameters", "StandardParameters", "XpmParameters"]


class RiskMatrixParameters(VolShock):
    """Segregated portfolio margin: standard and extended table, dampener, roll shock, delta shock."""

    price_range: PriceRange
    buckets_per_side: Annotated[int, Field(ge=1, le=100)]
    min_volatility_for_shock_up: NonNegative
    extended_moves: Annotated[tuple[Annotated[float, Field(gt=-1.0)], ...], Field(min_length=1)]
    extended_table_factor: NonNegative
    extended_dampener: NonNegative
    pnl_offset: Share
    max_offsetable_pnl: NonNegative
    annualised_move_risk: NonNegative
    min_annualised_move: NonNegative
    delta_total_liq_shock_threshold: NonNegative
    max_delta_shock: Share
    m_inc: NonNegative
    correlation_contingency: NonNegative
    worst_case_decimals: Annotated[int, Field(ge=0, le=15)]
    mm_factor: Annotated[float, Field(gt=0.0, le=1.0)]

    @model_validator(mode="after")
    def _moves_beyond_the_range(self) -> RiskMatrixParameters:
        inside = [m for m in self.extended_moves if abs(m) <= self.price_range]
        if inside:
            raise ValueError(f"extended_moves holds {inside[0]:g}, which is not beyond price_range")
        return self


class XpmParameters(RiskMatrixParameters):
    """Cross-collateral portfolio margin of one coin: the matrix, and how the coin joins the others."""

    combination: Literal["together", "apart"]
    haircut: Share
    equity_side_impact: Literal["both", "none"]


class ClassicParameters(VolShock):
    """The matrix before 2024: one table, futures contingency and short-option contingency."""

    price_range: PriceRange
    buckets_per_side: Annotated[int, Field(ge=1, le=100)]
    futures_contingency: NonNegative
    short_option_contingency: NonNegative
    atm_range: Annotated[float, Field(gt=0.0, lt=1.0)]
    im_factor: Annotated[float, Field(ge=1.0)]


class StandardParameters(ParameterTable):
    """Margin per position without netting."""

    option_im_rate: Share
    option_im_floor: Share
    option_mm_rate: Share
    put_mm_mark_rate: Share
    future_im_rate: Share
    future_im_slope: NonNegative
    future_mm_rate: Share
    future_mm_slope: NonNegative

    @model_validator(mode="after")
    def _maintenance_below_initial(self) -> StandardParameters:
        pairs = (
            ("option_mm_rate", self.option_mm_rate, "option_im_floor", self.option_im_floor),
            ("future_mm_rate", self.future_mm_rate, "future_im_rate", self.future_im_rate),
            ("future_mm_slope", self.future_mm_slope, "future_im_slope", self.future_im_slope),
        )
        for low_name, low, high_name, high in pairs:
            if low > high:
                raise ValueError(f"{low_name} {low:g} is above {high_name} {high:g}")
        return self
