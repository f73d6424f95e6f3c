"""Accounts of listed contracts and markets in which their options have given prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pmkit.instruments import Instrument, Option, Portfolio, Position, listed_option, stock
from pmkit.margin import Account, MarginResult, rule
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import implied_vol

NOW = pd.Timestamp("2015-01-02T21:00:00Z")

#: kind (C, P or S), strike, signed contracts or shares, price; days to expiry where they are not 60
Leg = tuple[str, float, float, float] | tuple[str, float, float, float, float]


def option(kind: str, strike: float, days: float = 60.0, underlying: str = "XYZ") -> Option:
    """Return the option of a leg."""
    return listed_option(underlying, NOW + pd.Timedelta(days=days), strike, kind == "C")


def contract(leg: Leg, underlying: str = "XYZ") -> Instrument:
    """Return the contract of a leg."""
    if leg[0] == "S":
        return stock(underlying)
    return option(leg[0], leg[1], leg[4] if len(leg) == 5 else 60.0, underlying)


def market(spots: Mapping[str, float], legs: Mapping[str, Sequence[Leg]]) -> MarketSnapshot:
    """Return a market without carry in which the options of the legs have the prices of the legs."""
    forwards: dict[str, dict[str, float]] = {u: {} for u in spots}
    vols: dict[str, float] = {}
    for underlying, held in legs.items():
        for leg in held:
            made = contract(leg, underlying)
            if not isinstance(made, Option):
                continue
            forward = spots[underlying]
            tau = (made.expiry - NOW).total_seconds() / 31_536_000.0
            forwards[underlying][made.expiry.isoformat()] = forward
            vols[made.name] = float(implied_vol(leg[3], forward, leg[1], tau, is_call=made.is_call))
    return MarketSnapshot.from_marks(NOW, spots, forwards=forwards, option_iv=vols)


def account(legs: Mapping[str, Sequence[Leg]], cash: float = 0.0, **more: Any) -> Account:
    """Return the account of legs by underlying."""
    positions = tuple(
        Position(instrument=contract(leg, underlying), qty=leg[2])
        for underlying, held in legs.items()
        for leg in held
    )
    return Account(portfolio=Portfolio(positions=positions, as_of=NOW), collateral={"USD": cash}, **more)


def requirement(
    name: str, spot: float, legs: Sequence[Leg], underlying: str = "XYZ", **options: Any
) -> MarginResult:
    """Return the checked result of legs of one underlying under a rule."""
    held = {underlying: legs}
    found = rule(name, **options).requirement(account(held), market({underlying: spot}, held))
    assert isinstance(found, MarginResult)
    found.check()
    return found
