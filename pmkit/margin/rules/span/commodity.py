"""One combined commodity: scan risk, month deltas, minimum, exposure (clauses SPN-6 to 12)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.rules.span.arrays import RiskArray
from pmkit.margin.rules.span.scenarios import PAIRS
from pmkit.margin.rules.span.spreads import CommodityRisk, FormedSpread, MonthDelta, intermonth_charge
from pmkit.margin.schemas import SpanParameters

__all__ = ["Commodity", "Line", "measure"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One contract of a commodity: days to expiry, risk array, spot of its underlying."""

    instrument: Instrument
    days: float
    array: RiskArray
    spot: float


@dataclass(frozen=True, kw_only=True)
class Commodity:
    """What the quantities of a commodity come to before credits.

    Attributes
    ----------
    losses : ndarray, shape (16,)
        Loss of the position by scenario.
    active : int
        Row of the largest loss.
    scan, intermonth, minimum, exposure : float
    months : tuple of MonthDelta
    formed : tuple of FormedSpread
    risk : CommodityRisk
    """

    losses: FloatArray
    active: int
    scan: float
    intermonth: float
    minimum: float
    exposure: float
    months: tuple[MonthDelta, ...]
    formed: tuple[FormedSpread, ...]
    risk: CommodityRisk


def measure(table: SpanParameters, lines: tuple[Line, ...], quantities: FloatArray) -> Commodity:
    """Return scan risk, spread charge, minimum and exposure of signed contracts, shape (lines,)."""
    losses = np.array(
        [
            math.fsum(float(q) * line.array.losses[row] for q, line in zip(quantities, lines, strict=True))
            for row in range(16)
        ]
    )
    active = int(np.argmax(losses))
    by_month: dict[float, list[float]] = {}
    for qty, line in zip(quantities, lines, strict=True):
        by_month.setdefault(line.days, []).append(float(qty) * line.array.delta)
    months = [MonthDelta(days, math.fsum(deltas)) for days, deltas in sorted(by_month.items())]
    charge, spread_months, formed = intermonth_charge(months, table.intermonth)
    # what the largest loss owes to the passing of time and not to the price
    price_risk = 0.5 * (losses[active] + losses[PAIRS[active]]) - 0.5 * (losses[0] + losses[1])
    return Commodity(
        losses=losses,
        active=active,
        scan=float(losses[active]),
        intermonth=charge,
        minimum=table.short_option_minimum * _short_options(table, lines, quantities),
        exposure=math.fsum(
            _exposure(table, line, float(qty)) for qty, line in zip(quantities, lines, strict=True)
        ),
        months=spread_months,
        formed=formed,
        risk=CommodityRisk(math.fsum(m.delta for m in months), float(price_risk)),
    )


def _short_options(table: SpanParameters, lines: tuple[Line, ...], quantities: FloatArray) -> float:
    count = {True: 0.0, False: 0.0}
    for qty, line in zip(quantities, lines, strict=True):
        if isinstance(line.instrument, Option):
            count[line.instrument.is_call] += max(-float(qty), 0.0)
    return sum(count.values()) if table.short_option_method == "sum" else max(count.values())


def _exposure(table: SpanParameters, line: Line, qty: float) -> float:
    """Return the exposure margin of a position: futures and written options, a share of the notional."""
    option = line.instrument if isinstance(line.instrument, Option) else None
    if option is not None and qty >= 0.0:
        return 0.0
    rate = table.exposure_rate
    if option is not None:
        away = (option.strike / line.spot - 1.0) * (1.0 if option.is_call else -1.0)
        if away > table.deep_otm_from:
            rate = table.exposure_deep_otm_rate
    if line.days > table.far_from_days:
        rate = max(rate, table.exposure_far_rate)
    if option is not None and line.days <= 1.0:
        rate += table.exposure_expiry_day_rate
    return rate * abs(qty) * line.instrument.multiplier * line.spot
