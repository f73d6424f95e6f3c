"""Basis risk: each expiry may part from the others, so that hedges across expiries are not free."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.base import PartCharge, PartInput

__all__ = ["BasisRisk"]


@dataclass(frozen=True, kw_only=True)
class BasisRisk:
    """A move of each expiry's forward against the index, charged without offset between expiries.

    Attributes
    ----------
    annualised : float
        Move of ln(forward/index) for a tenor of one year, 0 or more.
    minimum : float
        Least move at any tenor, and that of perpetuals, 0 or more.
    name : str

    Notes
    -----
    ``Σ_T |Δ_T| max(annualised τ_T, minimum)`` by underlying, with the net delta of each expiry in USD. Coins
    have no basis. Counted in IM and MM alike.

    References
    ----------
    OKX (undated), portfolio margin: basis risk.

    Examples
    --------
    >>> BasisRisk(annualised=0.05, minimum=0.002).name
    'basis'
    """

    annualised: float
    minimum: float
    name: str = "basis"

    def __post_init__(self) -> None:
        checked_number("annualised", self.annualised, low=0.0)
        checked_number("minimum", self.minimum, low=0.0)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge by underlying in USD."""
        lines = given.exposures
        held = lines[lines["kind"] != "spot"]
        figures: dict[str, float] = {}
        for (name, _), group in held.groupby(["underlying", held["days"].fillna(0.0)], sort=False):
            days = float(group["days"].fillna(0.0).iloc[0])
            move = max(self.annualised * days / 365.0, self.minimum)
            figures[str(name)] = figures.get(str(name), 0.0) + abs(math.fsum(group["delta"])) * move
        total = math.fsum(figures.values())
        return PartCharge(total, total, figures)
