"""Liquidity: what the bid-ask spread takes at close-out, and the days that a large position needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.base import PartCharge, PartInput, by_underlying

__all__ = ["SpreadCost", "VolumeDays"]


@dataclass(frozen=True, kw_only=True)
class SpreadCost:
    """Half the spread of every line, futures in price, options in vol points; lines do not offset.

    Attributes
    ----------
    price_half_spread : float
        Half the relative spread of futures, perpetuals and coins: 0.0001 is one basis point.
    vol_half_spread : float
        Half the spread of options in vol points: 0.5 for half a point.
    name : str

    Notes
    -----
    ``Σ_futures |Δ| s + Σ_options |ν| v`` with ν in USD a vol point. Counted in IM and MM alike.

    Examples
    --------
    >>> SpreadCost(price_half_spread=0.0001, vol_half_spread=0.5).name
    'spread'
    """

    price_half_spread: float
    vol_half_spread: float
    name: str = "spread"

    def __post_init__(self) -> None:
        checked_number("price_half_spread", self.price_half_spread, low=0.0, high=1.0)
        checked_number("vol_half_spread", self.vol_half_spread, low=0.0)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the cost of crossing half the spread once with every line, USD."""
        lines = given.exposures
        options = lines["kind"] == "option"
        price = math.fsum(lines.loc[~options, "delta"].abs()) * self.price_half_spread
        vol = math.fsum(lines.loc[options, "vega"].abs()) * self.vol_half_spread
        return PartCharge(price + vol, price + vol, {"futures": price, "options": vol})


@dataclass(frozen=True, kw_only=True)
class VolumeDays:
    """The further loss over the days that it takes to sell a net position at a share of daily volume.

    Attributes
    ----------
    daily_volume : float or mapping of str to float
        Traded value a day in USD, by underlying or for all.
    iv : float or mapping of str to float
        Volatility, annualised decimal.
    horizon_days : float
        Days that the base requirement covers already.
    level : float
    participation : float
        Share of the volume that the close-out may make up, above 0 to 1.
    name : str

    Notes
    -----
    With ``T = |Δ|/(p V)`` days of even sale the variance is that of ``h + T/3`` days, so the part charges
    ``|Δ| z σ (√((h + T/3)/365) − √(h/365))`` by underlying. It grows with the power 1.5 of a large position:
    neither homogeneous nor sub-additive. Delta alone; gamma and vega positions are not charged here.

    References
    ----------
    Almgren and Chriss (2001).

    Examples
    --------
    >>> VolumeDays(daily_volume=1e9, iv=0.6, horizon_days=2.0).name
    'volume days'
    """

    daily_volume: Mapping[str, float] | float
    iv: Mapping[str, float] | float
    horizon_days: float
    level: float = 0.99
    participation: float = 0.1
    name: str = "volume days"

    def __post_init__(self) -> None:
        checked_number("horizon_days", self.horizon_days, low=0.0)
        checked_number("level", self.level, low=0.5, high=1.0 - 1e-12)
        checked_number("participation", self.participation, low=0.0, high=1.0, open_low=True)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge by underlying in USD."""
        z = NormalDist().inv_cdf(self.level)
        figures = {}
        for name, delta in given.net_delta().items():
            volume = by_underlying("daily volume", self.daily_volume, name)
            vol = by_underlying("volatility", self.iv, name)
            sale = abs(delta) / (self.participation * volume)
            longer = math.sqrt((self.horizon_days + sale / 3.0) / 365.0) - math.sqrt(
                self.horizon_days / 365.0
            )
            figures[f"{name} days"] = sale
            figures[name] = abs(delta) * z * vol * longer
        total = math.fsum(x for key, x in figures.items() if not key.endswith(" days"))
        return PartCharge(total, total, figures)
