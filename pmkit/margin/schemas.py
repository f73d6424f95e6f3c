"""What a parameter table of each rule must hold: names, types and ranges, nothing else."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "SCHEMAS",
    "ClassicParameters",
    "ExpectedShortfallParameters",
    "HistoricalVarParameters",
    "ParameterTable",
    "RiskMatrixParameters",
    "StandardParameters",
]

Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
#: a downward relative price move of this size or more would take the price to zero
PriceRange = Annotated[float, Field(gt=0.0, lt=1.0)]
Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Power = Annotated[float, Field(ge=0.0, le=2.0)]


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


#: parameter table by rule and variant
SCHEMAS: dict[str, dict[str, type[ParameterTable]]] = {
    "deribit-pm": {"spm": RiskMatrixParameters, "classic": ClassicParameters},
    "deribit-standard": {"standard": StandardParameters},
    "es-fhs": {"base": ExpectedShortfallParameters},
    "var-hs": {"base": HistoricalVarParameters},
}
