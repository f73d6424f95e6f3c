"""Parameters that a venue publishes by group of coins, and tiers of an amount."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, model_validator

from pmkit.margin.schemas.base import ParameterTable, PriceRange

__all__ = [
    "REST",
    "CoinGroup",
    "MovesGroup",
    "RateGroup",
    "Tiers",
    "TiersGroup",
    "check_groups",
    "for_coin",
]

#: the group of every coin that no other group names
REST = "*"
Rate = Annotated[float, Field(ge=0.0, le=10.0)]


class CoinGroup(ParameterTable):
    """Coins that share a value; ``"*"`` stands for every coin that no other group names."""

    coins: Annotated[tuple[str, ...], Field(min_length=1)]


class MovesGroup(CoinGroup):
    """Positive relative price moves of a group, ascending; each is taken up and down."""

    moves: Annotated[tuple[PriceRange, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ascending(self) -> MovesGroup:
        if any(b <= a for a, b in pairwise(self.moves)):
            raise ValueError(f"moves {list(self.moves)} do not rise")
        return self


class RateGroup(CoinGroup):
    """One rate of a group: a share of an amount, a relative move or a rate a year."""

    rate: Rate


class Tiers(ParameterTable):
    """Factors of the parts of an amount: the factor at ``floors[i]`` holds from there to the next floor."""

    floors: Annotated[tuple[Annotated[float, Field(ge=0.0)], ...], Field(min_length=1)]
    factors: tuple[Annotated[float, Field(ge=0.0, le=1000.0)], ...]

    @model_validator(mode="after")
    def _one_factor_a_floor(self) -> Tiers:
        if self.floors[0] != 0.0 or any(b <= a for a, b in pairwise(self.floors)):
            raise ValueError(f"floors {list(self.floors)} do not rise from 0")
        if len(self.factors) != len(self.floors):
            raise ValueError(f"{len(self.factors)} factors for {len(self.floors)} floors")
        return self

    def marginal(self, amount: float) -> float:
        """Return the sum over the parts of an amount of part times factor.

        Examples
        --------
        >>> Tiers(floors=(0.0, 10_000.0, 70_000.0), factors=(1.0, 2.0, 4.0)).marginal(30_000.0)
        50000.0
        """
        total = 0.0
        for i, (floor, factor) in enumerate(zip(self.floors, self.factors, strict=True)):
            top = self.floors[i + 1] if i + 1 < len(self.floors) else float("inf")
            total += max(min(amount, top) - floor, 0.0) * factor
        return total


class TiersGroup(Tiers):
    """Tiers of a group of coins."""

    coins: Annotated[tuple[str, ...], Field(min_length=1)]


def check_groups(what: str, groups: tuple[Any, ...]) -> None:
    """Raise where a coin is in two groups, or no group is left for the rest."""
    named = [coin for group in groups for coin in group.coins]
    twice = sorted({coin for coin in named if named.count(coin) > 1})
    if twice:
        raise ValueError(f"{what} holds {twice[0]} in two groups")
    if REST not in named:
        raise ValueError(f"{what} has no group of the rest, {REST!r}")


def for_coin(groups: tuple[Any, ...], coin: str) -> Any:
    """Return the group of a coin, or that of the rest.

    Examples
    --------
    >>> rates = (RateGroup(coins=("BTC",), rate=0.01), RateGroup(coins=("*",), rate=0.02))
    >>> [for_coin(rates, coin).rate for coin in ("BTC", "DOGE")]
    [0.01, 0.02]
    """
    return next((g for g in groups if coin in g.coins), None) or next(g for g in groups if REST in g.coins)
