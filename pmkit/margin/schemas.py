"""What a parameter table of each rule must hold: names, types and ranges, nothing else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "SCHEMAS",
    "ClassicParameters",
    "CollateralTerms",
    "ExpectedShortfallParameters",
    "HistoricalVarParameters",
    "ParameterTable",
    "PmrmV1Parameters",
    "PmrmV2Parameters",
    "RiskMatrixParameters",
    "SrmParameters",
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


#: a shock or rate that is a plain factor; larger than this is a slip
Factor = Annotated[float, Field(ge=0.0, le=100.0)]
#: relative price move of a scenario; -1 would take the price to zero
Move = Annotated[float, Field(gt=-1.0, le=100.0)]
Weight = Annotated[float, Field(ge=0.0, le=100.0)]


class CollateralTerms(ParameterTable):
    """What a rule makes of one collateral currency: haircuts of its value, and whether scenarios move it."""

    mm_haircut: Share
    im_haircut: Share
    moves_with_spot: bool


class ExpiryMatrixParameters(ParameterTable):
    """What both generations of Derive's portfolio margin need; each says what a scenario holds."""

    scenarios: tuple[tuple[Any, ...], ...]
    volatility_range_up: Factor
    volatility_range_down: Factor
    short_term_vega_power: Factor
    long_term_vega_power: Factor
    vega_reference_days: Positive
    vega_floor_days: Positive
    settlement_window_seconds: Positive
    basis_move_up: Move
    basis_move_down: Move
    basis_add_factor: Factor
    basis_mult_factor: Factor
    peg_loss_threshold: NonNegative
    peg_loss_factor: Factor
    confidence_threshold: Share
    confidence_margin: Factor

    @model_validator(mode="after")
    def _basis_moves_on_both_sides(self) -> ExpiryMatrixParameters:
        if not self.basis_move_down < 0.0 < self.basis_move_up:
            raise ValueError(
                f"basis_move_down {self.basis_move_down:g} and basis_move_up {self.basis_move_up:g}"
                " are not on both sides of 0"
            )
        return self


class PmrmV1Parameters(ExpiryMatrixParameters):
    """First generation: plain scenarios, one static discount, one factor from maintenance to initial."""

    scenarios: Annotated[tuple[tuple[Move, Literal["up", "same", "down"]], ...], Field(min_length=1)]
    static_discount: Share
    rate_mult: Factor
    rate_add: Factor
    perp_percent: Factor
    base_percent: Factor
    option_percent: Factor
    im_factor: Annotated[float, Field(ge=1.0, le=100.0)]


class PmrmV2Parameters(ExpiryMatrixParameters):
    """Second generation: weighted tail rows, skew rows, two static discounts, haircuts by collateral."""

    scenarios: Annotated[
        tuple[tuple[Move, Literal["up", "same", "down", "linear skew", "abs skew"], Weight], ...],
        Field(min_length=1),
    ]
    min_volatility_for_shock_up: NonNegative
    linear_base_cap: float
    linear_root_cap: float
    abs_base_cap: float
    abs_root_cap: float
    min_k_star: Positive
    width_scale: Factor
    vol_param_static: float
    vol_param_scale: float
    long_discount: Share
    long_rate_mult: Factor
    long_rate_add: Factor
    short_discount: Annotated[float, Field(ge=1.0, le=100.0)]
    short_rate_mult: Factor
    short_rate_add: Factor
    mm_perp_percent: Factor
    im_perp_percent: Factor
    mm_option_percent: Factor
    im_option_percent: Factor
    mm_factor: Positive
    im_factor: Positive
    collateral: dict[str, CollateralTerms]

    @model_validator(mode="after")
    def _maintenance_and_skew_rows(self) -> PmrmV2Parameters:
        if self.mm_factor > self.im_factor:
            raise ValueError(f"mm_factor {self.mm_factor:g} is above im_factor {self.im_factor:g}")
        moved = [move for move, word, _ in self.scenarios if word.endswith("skew") and move != 0.0]
        if moved:
            raise ValueError(f"scenarios hold a skew row with a price move of {moved[0]:g}")
        return self


class SrmParameters(ParameterTable):
    """Margin by market: isolated shorts against the largest loss of an expiry, perpetuals, base asset."""

    max_spot_req: Share
    min_spot_req: Share
    mm_call_spot_req: Share
    mm_put_spot_req: Share
    mm_put_mtm_req: NonNegative
    unpaired_im_scale: Factor
    unpaired_mm_scale: Factor
    mm_offset_scale: Annotated[float, Field(ge=1.0, le=100.0)]
    perp_im_req: Share
    perp_mm_req: Share
    base_margin_factor: Share
    base_im_scale: Share
    confidence_threshold_option: Share
    confidence_threshold_perp: Share
    confidence_threshold_base: Share
    confidence_factor_option: Factor
    confidence_factor_perp: Factor
    confidence_factor_base: Factor
    peg_loss_threshold: NonNegative
    peg_loss_factor: Factor

    @model_validator(mode="after")
    def _maintenance_not_above_initial(self) -> SrmParameters:
        pairs = (
            ("perp_mm_req", self.perp_mm_req, "perp_im_req", self.perp_im_req),
            ("mm_call_spot_req", self.mm_call_spot_req, "min_spot_req", self.min_spot_req),
            ("min_spot_req", self.min_spot_req, "max_spot_req", self.max_spot_req),
            ("unpaired_mm_scale", self.unpaired_mm_scale, "unpaired_im_scale", self.unpaired_im_scale),
        )
        for low_name, low, high_name, high in pairs:
            if low > high:
                raise ValueError(f"{low_name} {low:g} is above {high_name} {high:g}")
        return self


#: parameter table by rule and variant
SCHEMAS: dict[str, dict[str, type[ParameterTable]]] = {
    "deribit-pm": {"spm": RiskMatrixParameters, "classic": ClassicParameters},
    "deribit-standard": {"standard": StandardParameters},
    "derive-pmrm-v1": {"mainnet": PmrmV1Parameters, "reference": PmrmV1Parameters},
    "derive-pmrm-v2": {"mainnet": PmrmV2Parameters, "reference": PmrmV2Parameters},
    "derive-srm": {"mainnet": SrmParameters, "reference": SrmParameters},
    "es-fhs": {"base": ExpectedShortfallParameters},
    "var-hs": {"base": HistoricalVarParameters},
}
