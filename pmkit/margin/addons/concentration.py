"""Concentration: a charge on what a position exceeds of a share of daily volume."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.base import PartCharge, PartInput, by_underlying

__all__ = ["Concentration"]


@dataclass(frozen=True, kw_only=True)
class Concentration:
    """A rate on the part of a net position beyond a threshold, rising with how far beyond it lies.

    Attributes
    ----------
    daily_volume : float or mapping of str to float
        Traded value a day, USD.
    threshold : float
        Share of daily volume that is free, above 0.
    rate : float
        Rate on what lies beyond at twice the threshold, 0 or more.
    cap : float
        Highest rate, 0 or more.
    name : str

    Notes
    -----
    With ``x = |Δ|/(threshold V)`` the charge is ``(|Δ| − threshold V)⁺ min(rate (x − 1), cap)``: zero up to
    the threshold, quadratic beyond it, linear once the cap binds. Continuous at both points.

    Examples
    --------
    >>> Concentration(daily_volume=1e9, threshold=0.05, rate=0.01, cap=0.1).name
    'concentration'
    """

    daily_volume: Mapping[str, float] | float
    threshold: float
    rate: float
    cap: float
    name: str = "concentration"

    def __post_init__(self) -> None:
        checked_number("threshold", self.threshold, low=0.0, open_low=True)
        checked_number("rate", self.rate, low=0.0)
        checked_number("cap", self.cap, low=0.0, high=1.0)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge by underlying in USD."""
        figures = {}
        for name, delta in given.net_delta().items():
            free = self.threshold * by_underlying("daily volume", self.daily_volume, name)
            beyond = max(abs(delta) - free, 0.0)
            figures[name] = beyond * min(self.rate * beyond / free, self.cap)
        total = math.fsum(figures.values())
        return PartCharge(total, total, figures)
