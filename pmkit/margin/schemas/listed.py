"""Tables of the rules for listed contracts: ten points, sixteen scenarios, strategies."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Factor, NonNegative, ParameterTable, Positive, PriceRange, Share

__all__ = [
    "IntercommoditySpread",
    "IntermonthSpread",
    "SpanParameters",
    "SpreadLeg",
    "StrategyParameters",
    "TimsParameters",
]


class TimsParameters(ParameterTable):
    """One underlying under the ten points: range, groups with their offsets, minimum per contract."""

    down: PriceRange
    up: Annotated[float, Field(gt=0.0, le=5.0)]
    points_per_side: Annotated[int, Field(ge=1, le=50)]
    leverage: Annotated[float, Field(gt=0.0, le=10.0)]
    european: bool
    product_group: str
    product_offset: Share
    portfolio_group: str
    portfolio_offset: Share
    minimum_per_contract: NonNegative
    minimum_equity: NonNegative
    im_factor: Annotated[float, Field(ge=1.0, le=100.0)]

    @model_validator(mode="after")
    def _price_stays_positive(self) -> TimsParameters:
        if self.down * self.leverage >= 1.0:
            raise ValueError(f"down {self.down:g} times leverage {self.leverage:g} takes the price to zero")
        return self


class StrategyParameters(ParameterTable):
    """Strategy-based margin of one underlying: rates of the price, the strike and the premium."""

    stock_im_rate: Share
    stock_mm_rate: Share
    short_stock_im_rate: Factor
    short_stock_mm_rate: Factor
    short_stock_mm_floor: NonNegative
    option_rate: Share
    option_floor_rate: Share
    leverage: Annotated[float, Field(gt=0.0, le=10.0)]
    long_dated_months: Annotated[int, Field(ge=0, le=120)]
    long_dated_loan_rate: Share
    hedged_strike_rate: Share
    collar_call_rate: Share
    box_rate: Share
    box_for_european_index: bool
    iron_needs_equal_widths: bool
    minimum_equity: NonNegative

    @model_validator(mode="after")
    def _maintenance_not_above_initial(self) -> StrategyParameters:
        pairs = (
            ("stock_mm_rate", self.stock_mm_rate, "stock_im_rate", self.stock_im_rate),
            (
                "short_stock_mm_rate",
                self.short_stock_mm_rate,
                "short_stock_im_rate",
                self.short_stock_im_rate,
            ),
            ("option_floor_rate", self.option_floor_rate, "option_rate", self.option_rate),
        )
        for low_name, low, high_name, high in pairs:
            if low > high:
                raise ValueError(f"{low_name} {low:g} is above {high_name} {high:g}")
        return self


class SpreadLeg(ParameterTable):
    """One leg of an intermonth spread: days to expiry from and up to, side, deltas per spread."""

    from_days: NonNegative
    to_days: Positive
    side: Literal["A", "B"]
    ratio: Positive

    @model_validator(mode="after")
    def _range_in_order(self) -> SpreadLeg:
        if self.to_days <= self.from_days:
            raise ValueError(f"to_days {self.to_days:g} is not above from_days {self.from_days:g}")
        return self


class IntermonthSpread(ParameterTable):
    """A spread between months with its charge per spread; spreads are formed in this order."""

    rate: NonNegative
    legs: Annotated[tuple[SpreadLeg, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _both_sides(self) -> IntermonthSpread:
        if {leg.side for leg in self.legs} != {"A", "B"}:
            raise ValueError("legs are not on both sides, A and B")
        for one, other in combinations(self.legs, 2):
            same = (one.from_days, one.to_days) == (other.from_days, other.to_days)
            apart = one.to_days <= other.from_days or other.to_days <= one.from_days
            if one.side == other.side and not same and not apart:
                raise ValueError("two legs of one side overlap without being the same months")
        return self


class IntercommoditySpread(ParameterTable):
    """A spread with another commodity: deltas of either per spread and the share of risk that is credited."""

    other: str
    ratio: Positive
    other_ratio: Positive
    rate: Share
    same_side: bool


class SpanParameters(ParameterTable):
    """One combined commodity: scan ranges, extreme move, delta weights, spreads, delivery, minimum."""

    price_scan_rate: NonNegative
    price_scan_points: NonNegative
    price_scan_sigmas: NonNegative
    price_scan_days: Positive
    price_scan_far_rate: NonNegative
    far_from_days: Positive
    vol_scan: NonNegative
    vol_scan_unit: Literal["relative", "absolute", "of realised vol"]
    vol_scan_floor: NonNegative
    realised_vol_decay: Annotated[float, Field(gt=0.0, lt=1.0)]
    extreme_multiplier: Annotated[float, Field(ge=1.0, le=20.0)]
    covered_fraction: Share
    lookahead_days: NonNegative
    days_per_year: Annotated[float, Field(ge=250.0, le=366.0)]
    delta_weights: tuple[Share, Share, Share, Share]
    delta_scale: Positive
    intermonth: tuple[IntermonthSpread, ...]
    delivery_days: NonNegative
    delivery_spread_rate: NonNegative
    delivery_outright_rate: NonNegative
    intercommodity: tuple[IntercommoditySpread, ...]
    short_option_minimum: NonNegative
    short_option_method: Literal["sum", "greater"]
    exposure_rate: Share
    exposure_deep_otm_rate: Share
    exposure_far_rate: Share
    exposure_expiry_day_rate: Share
    deep_otm_from: Share
    im_factor: Annotated[float, Field(ge=1.0, le=100.0)]

    @model_validator(mode="after")
    def _some_price_scan(self) -> SpanParameters:
        if self.price_scan_rate == 0.0 and self.price_scan_points == 0.0 and self.price_scan_sigmas == 0.0:
            raise ValueError("price_scan_rate, price_scan_points and price_scan_sigmas are all 0")
        return self
