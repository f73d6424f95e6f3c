"""Parameter table of one collateral currency: tiers of haircuts, share limit, margin of a debt."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import NonNegative, ParameterTable, Positive, Share

__all__ = ["CollateralTierParameters"]


class CollateralTierParameters(ParameterTable):
    """Haircut by tier of the balance, one more haircut than limits: the last is for what lies beyond them."""

    tier_unit: Literal["coin", "USD"]
    tier_limits: tuple[Positive, ...]
    tier_haircuts: Annotated[tuple[Share, ...], Field(min_length=1)]
    share_limit: Annotated[float, Field(gt=0.0, le=1.0)]
    borrow_im_rate: NonNegative
    borrow_mm_rate: NonNegative

    @model_validator(mode="after")
    def _tiers_fit(self) -> CollateralTierParameters:
        if len(self.tier_haircuts) != len(self.tier_limits) + 1:
            raise ValueError(
                f"{len(self.tier_haircuts)} tier_haircuts for {len(self.tier_limits)} tier_limits, "
                "which need one more"
            )
        if list(self.tier_limits) != sorted(set(self.tier_limits)):
            raise ValueError(f"tier_limits {list(self.tier_limits)} do not rise")
        if self.borrow_mm_rate > self.borrow_im_rate:
            raise ValueError(
                f"borrow_mm_rate {self.borrow_mm_rate:g} is above borrow_im_rate {self.borrow_im_rate:g}"
            )
        return self
