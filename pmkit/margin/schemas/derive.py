"""Parameter tables of Derive's rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Factor, Move, NonNegative, ParameterTable, Positive, Share, Weight

__all__ = [
    "CollateralTerms",
    "ExpiryMatrixParameters",
    "PmrmV1Parameters",
    "PmrmV2Parameters",
    "SrmParameters",
]


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
