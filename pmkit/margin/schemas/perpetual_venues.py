"""Parameter tables of venues of perpetuals: Paradex, Hyperliquid, and leverage brackets."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import Factor, Move, NonNegative, ParameterTable, Positive, Share
from pmkit.margin.schemas.groups import CoinGroup, check_groups

__all__ = [
    "BracketParameters",
    "BracketRow",
    "BracketsGroup",
    "HyperliquidParameters",
    "HyperliquidToken",
    "ParadexParameters",
]


class BracketRow(ParameterTable):
    """Maintenance rate and largest leverage of the part of a notional (USD) that lies above ``floor``."""

    floor: NonNegative
    maintenance_rate: Annotated[float, Field(gt=0.0, lt=1.0)]
    max_leverage: Annotated[float, Field(ge=1.0, le=1000.0)]

    @model_validator(mode="after")
    def _maintenance_below_initial(self) -> BracketRow:
        if self.maintenance_rate * self.max_leverage > 1.0 + 1e-12:
            raise ValueError(
                f"maintenance_rate {self.maintenance_rate:g} is above 1/max_leverage {self.max_leverage:g}"
            )
        return self


class BracketsGroup(CoinGroup):
    """Brackets of a group of coins; floors rise from 0, rates rise, leverages fall."""

    rows: Annotated[tuple[BracketRow, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _in_order(self) -> BracketsGroup:
        check_rows(self.rows)
        return self


def check_rows(rows: tuple[BracketRow, ...]) -> None:
    """Raise where brackets do not start at 0, or floors, rates or leverages are out of order."""
    floors = [row.floor for row in rows]
    if floors[0] != 0.0 or any(b <= a for a, b in pairwise(floors)):
        raise ValueError(f"floors {floors} do not rise from 0")
    rates = [row.maintenance_rate for row in rows]
    if any(b < a for a, b in pairwise(rates)):
        raise ValueError(f"maintenance rates {rates} fall")
    leverages = [row.max_leverage for row in rows]
    if any(b > a for a, b in pairwise(leverages)):
        raise ValueError(f"leverages {leverages} rise")


class BracketParameters(ParameterTable):
    """Leverage brackets by coin."""

    brackets: tuple[BracketsGroup, ...]

    @model_validator(mode="after")
    def _groups(self) -> BracketParameters:
        check_groups("brackets", self.brackets)
        return self


class ParadexParameters(ParameterTable):
    """Portfolio margin by underlying: weighted scenarios, minimum from deltas, provisions."""

    scenarios: Annotated[
        tuple[tuple[Move, Literal["up", "down"], Annotated[float, Field(ge=0.0, le=10.0)]], ...],
        Field(min_length=1),
    ]
    volatility_range_up: Factor
    volatility_range_down: Share
    short_term_vega_power: Annotated[float, Field(ge=0.0, le=2.0)]
    long_term_vega_power: Annotated[float, Field(ge=0.0, le=2.0)]
    vega_reference_days: Positive
    vega_floor_days: Positive
    net_delta_rate: Share
    hedged_delta_rate: Share
    fee_rate: Share
    funding_hours: Annotated[float, Field(ge=0.0, le=168.0)]
    mm_factor: Annotated[float, Field(gt=0.0, le=1.0)]


class HyperliquidToken(ParameterTable):
    """One collateral token: loan to value, and the number of tokens that counts at most."""

    ltv: Share
    supply_cap: Positive


class HyperliquidParameters(ParameterTable):
    """Portfolio margin from loan to value: tokens, caps, perpetual brackets, the ratio of liquidation."""

    liquidation_ratio: Annotated[float, Field(gt=0.0, le=1.0)]
    min_borrow_offset: NonNegative
    threshold_base: Share
    threshold_slope: Share
    borrow_caps: Annotated[dict[str, Positive], Field(min_length=1)]
    collateral: dict[str, HyperliquidToken]
    brackets: tuple[BracketsGroup, ...]

    @model_validator(mode="after")
    def _groups(self) -> HyperliquidParameters:
        check_groups("brackets", self.brackets)
        both: Any = sorted(set(self.borrow_caps) & set(self.collateral))
        if both:
            raise ValueError(f"{both[0]} is both borrowed and collateral")
        if self.threshold_base + self.threshold_slope > 1.0:
            raise ValueError("threshold_base and threshold_slope add up to more than 1")
        return self
