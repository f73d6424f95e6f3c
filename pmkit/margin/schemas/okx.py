"""Parameter tables of OKX's rules."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Factor, NonNegative, ParameterTable, Share, VolShock
from pmkit.margin.schemas.groups import MovesGroup, RateGroup, Tiers, TiersGroup, check_groups

__all__ = ["DepegBand", "OkxPmParameters", "OkxStandardParameters"]


class DepegBand(Tiers):
    """Tiers of the stablecoin charge that hold from a price of the stablecoin on."""

    price_from: NonNegative


class OkxPmParameters(VolShock):
    """Portfolio margin by risk unit: spot and vol shocks, contingencies, extreme move, minimum charge."""

    merged_units: bool
    spot_offset: bool
    spot_moves: tuple[MovesGroup, ...]
    theta_days: Annotated[float, Field(ge=0.0, le=30.0)]
    vega_span_points: Annotated[float, Field(ge=0.0, le=100.0)]
    basis_annual: tuple[RateGroup, ...]
    basis_minimum: tuple[RateGroup, ...]
    rate_shock: Share
    extreme_moves: tuple[RateGroup, ...]
    extreme_share: Share
    minimum_rate: tuple[RateGroup, ...]
    minimum_tiers: tuple[TiersGroup, ...]
    depeg_bands: Annotated[tuple[DepegBand, ...], Field(min_length=1)]
    borrow_mm_rate: Share
    borrow_im_rate: Share
    im_factor: Annotated[float, Field(ge=1.0, le=100.0)]
    collateral_rate: tuple[RateGroup, ...]

    @model_validator(mode="after")
    def _groups_and_bands(self) -> OkxPmParameters:
        names = (
            "spot_moves", "basis_annual", "basis_minimum", "extreme_moves", "minimum_rate", "minimum_tiers",
            "collateral_rate",
        )  # fmt: skip
        for name in names:
            check_groups(name, getattr(self, name))
        if any(group.rate >= 1.0 for group in self.extreme_moves):
            raise ValueError("extreme_moves holds a move of 1 or more, which would take the price to zero")
        if any(group.rate > 1.0 for group in self.collateral_rate):
            raise ValueError("collateral_rate holds a rate above 1")
        starts = [band.price_from for band in self.depeg_bands]
        if starts[-1] != 0.0 or any(b >= a for a, b in pairwise(starts)):
            raise ValueError(f"depeg_bands begin at prices {starts}, which do not fall to 0")
        if self.borrow_mm_rate > self.borrow_im_rate:
            raise ValueError(
                f"borrow_mm_rate {self.borrow_mm_rate:g} is above borrow_im_rate {self.borrow_im_rate:g}"
            )
        return self


class OkxStandardParameters(ParameterTable):
    """Margin of a written option by itself; a long option needs nothing."""

    im_floor: Share
    im_rate: Share
    mm_rate: Share
    margin_factor: Annotated[Factor, Field(ge=1.0)]

    @model_validator(mode="after")
    def _maintenance_below_initial(self) -> OkxStandardParameters:
        if not self.mm_rate <= self.im_floor <= self.im_rate:
            raise ValueError(
                f"mm_rate {self.mm_rate:g}, im_floor {self.im_floor:g}, im_rate {self.im_rate:g} do not rise"
            )
        return self
