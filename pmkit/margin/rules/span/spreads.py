"""Charges and credits for spreads of deltas: months, delivery, commodities (SPN-7 to SPN-9)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pmkit.margin.schemas import IntermonthSpread, SpanParameters, SpreadLeg

__all__ = [
    "CommodityRisk",
    "Credit",
    "FormedSpread",
    "MonthDelta",
    "delivery_charge",
    "intercommodity_credits",
    "intermonth_charge",
]


class MonthDelta(NamedTuple):
    """Net composite delta of a month, days to its expiry, and how much of it stands in spreads (positive)."""

    days: float
    delta: float
    spread: float = 0.0


class FormedSpread(NamedTuple):
    """Which spread of the table was formed, how often, and its charge."""

    row: int
    units: float
    charge: float


class CommodityRisk(NamedTuple):
    """Net delta and price risk of a commodity, the base of its credits."""

    net_delta: float
    price_risk: float


class Credit(NamedTuple):
    """A credited spread: the two commodities, how many spreads, and the credit of each."""

    legs: tuple[str, str]
    units: float
    credits: tuple[float, float]


def _in(leg: SpreadLeg, month: MonthDelta) -> bool:
    return leg.from_days <= month.days < leg.to_days


def _free(months: Sequence[MonthDelta], leg: SpreadLeg, sign: float) -> float:
    return math.fsum(abs(m.delta) - m.spread for m in months if _in(leg, m) and m.delta * sign > 0.0)


def _use(months: list[MonthDelta], leg: SpreadLeg, sign: float, amount: float) -> None:
    """Take deltas of one sign from the months of a leg, near months first."""
    for at, month in sorted(enumerate(months), key=lambda pair: pair[1].days):
        if _in(leg, month) and month.delta * sign > 0.0:
            taken = min(amount, abs(month.delta) - month.spread)
            months[at] = month._replace(spread=month.spread + taken)
            amount -= taken


def intermonth_charge(
    months: Sequence[MonthDelta], spreads: Sequence[IntermonthSpread]
) -> tuple[float, tuple[MonthDelta, ...], tuple[FormedSpread, ...]]:
    """Return the charge of spreads between months, the months with their spreads, and what was formed.

    Parameters
    ----------
    months : sequence of MonthDelta
        Net delta of each month.
    spreads : sequence of IntermonthSpread
        In the order in which they are formed; months against months first, then tiers.

    Returns
    -------
    tuple
        Charge, months in the given order, spreads formed.

    Notes
    -----
    For each spread and either orientation (side A long, then side A short) the number is the least of free
    delta over ratio among the legs. Legs that share months on one side compete, so a leg counts what the legs
    before it leave over.

    Examples
    --------
    >>> leg = SpreadLeg(from_days=0.0, to_days=40.0, side="A", ratio=1.0)
    >>> far = SpreadLeg(from_days=40.0, to_days=400.0, side="B", ratio=1.0)
    >>> spread = IntermonthSpread(rate=300.0, legs=(leg, far))
    >>> intermonth_charge([MonthDelta(20.0, 5.0), MonthDelta(110.0, -3.0)], [spread])[0]
    900.0
    """
    held = list(months)
    formed = []
    for row, spread in enumerate(spreads):
        for orientation in (1.0, -1.0):
            signs = [orientation if leg.side == "A" else -orientation for leg in spread.legs]
            shared: dict[tuple[float, float, float], float] = {}
            for leg, sign in zip(spread.legs, signs, strict=True):
                key = (leg.from_days, leg.to_days, sign)
                shared[key] = shared.get(key, 0.0) + leg.ratio
            count = min(
                _free(held, leg, sign) / shared[leg.from_days, leg.to_days, sign]
                for leg, sign in zip(spread.legs, signs, strict=True)
            )
            if count <= 0.0:
                continue
            for leg, sign in zip(spread.legs, signs, strict=True):
                _use(held, leg, sign, count * leg.ratio)
            formed.append(FormedSpread(row, count, count * spread.rate))
    return math.fsum(f.charge for f in formed), tuple(held), tuple(formed)


def delivery_charge(table: SpanParameters, months: Sequence[MonthDelta]) -> float:
    """Return the charge of months near delivery: a rate on deltas in spreads, another on the others.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("span")[0].with_values(
    ...     "ES", delivery_days=5.0, delivery_spread_rate=10.0, delivery_outright_rate=40.0).table("ES")
    >>> delivery_charge(table, [MonthDelta(3.0, -6.0, 4.0), MonthDelta(90.0, 4.0, 4.0)])
    120.0
    """
    near = [m for m in months if m.days <= table.delivery_days]
    return math.fsum(
        table.delivery_spread_rate * m.spread + table.delivery_outright_rate * (abs(m.delta) - m.spread)
        for m in near
    )


def intercommodity_credits(
    risks: Mapping[str, CommodityRisk], tables: Mapping[str, SpanParameters]
) -> tuple[dict[str, float], tuple[Credit, ...]]:
    """Return the credit of each commodity and the spreads that were formed.

    Parameters
    ----------
    risks : mapping of str to CommodityRisk
    tables : mapping of str to SpanParameters
        Spreads in the order of the commodities and of their tables.

    Notes
    -----
    A spread of ratio r is formed n times, as often as the free deltas of both allow; either commodity is
    credited ``price risk / |net delta| * n * r * rate``.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> spread = {"other": "B", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.6, "same_side": False}
    >>> a = load_parameter_sets("span")[0].with_values("ES", intercommodity=[spread]).table("ES")
    >>> b = load_parameter_sets("span")[0].with_values("ES", intercommodity=[]).table("ES")
    >>> risks = {"A": CommodityRisk(10.0, 9000.0), "B": CommodityRisk(-8.0, 6400.0)}
    >>> intercommodity_credits(risks, {"A": a, "B": b})[0]
    {'A': 4320.0, 'B': 3840.0}
    """
    free = {name: abs(risk.net_delta) for name, risk in risks.items()}
    total = dict.fromkeys(risks, 0.0)
    formed = []
    for name, table in tables.items():
        for spread in table.intercommodity:
            if spread.other not in risks or spread.other == name:
                continue
            agree = risks[name].net_delta * risks[spread.other].net_delta > 0.0
            count = min(free[name] / spread.ratio, free[spread.other] / spread.other_ratio)
            if agree != spread.same_side or count <= 0.0:
                continue
            legs = ((name, spread.ratio), (spread.other, spread.other_ratio))
            credits = []
            for leg, ratio in legs:
                risk = risks[leg]
                credits.append(max(risk.price_risk, 0.0) / abs(risk.net_delta) * count * ratio * spread.rate)
                total[leg] += credits[-1]
                free[leg] -= count * ratio
            formed.append(Credit((name, spread.other), count, (credits[0], credits[1])))
    return total, tuple(formed)
