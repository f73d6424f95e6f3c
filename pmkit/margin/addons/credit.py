"""Counterparty credit: more margin from a weaker client, and for stress losses beyond what it can bear."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pmkit.core.errors import DataGapError
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.base import PartCharge, PartInput

__all__ = ["Counterparty"]


@dataclass(frozen=True, kw_only=True)
class Counterparty:
    """A multiplier by standing, and the stress loss over margin beyond a share of the client's capital.

    Attributes
    ----------
    multiplier : float
        On the base requirement, 1 or more; 1 for the best standing.
    capital : float
        Capital of the client in USD, 0 or more; infinite where the second charge is not wanted.
    share : float
        Share of the capital that a stress loss over margin may take, 0 or more.
    stress_loss : float or None
        Stress loss of the account in USD; None for the worst scenario of the base rule.
    name : str

    Notes
    -----
    ``(m − 1) IM + max(0, L_stress − IM − share capital)``. The multiplier counts in IM and MM, the stress
    loss over margin in IM alone.

    Examples
    --------
    >>> Counterparty(multiplier=1.2).name
    'counterparty'
    """

    multiplier: float = 1.0
    capital: float = math.inf
    share: float = 0.0
    stress_loss: float | None = None
    name: str = "counterparty"

    def __post_init__(self) -> None:
        checked_number("multiplier", self.multiplier, low=1.0)
        if self.capital != math.inf:
            checked_number("capital", self.capital, low=0.0, unit="of USD")
        checked_number("share", self.share, low=0.0)
        if self.stress_loss is not None:
            checked_number("stress_loss", self.stress_loss, low=0.0, unit="of USD")

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge in USD."""
        standing = (self.multiplier - 1.0) * given.im_usd
        rate = given.snapshot.usd_price(given.result.numeraire)
        over = 0.0
        if self.capital != math.inf:
            loss = self.stress_loss
            if loss is None:
                worst = given.result.worst_scenario
                if math.isnan(worst.pnl):
                    raise DataGapError(
                        f"{given.result.rule} has no scenarios", "a stress loss", "pass stress_loss in USD"
                    )
                loss = max(0.0, -worst.pnl) * rate
            over = max(0.0, loss - given.im_usd - self.share * self.capital)
        kept = (self.multiplier - 1.0) * given.result.mm_equity * rate
        return PartCharge(standing + over, kept, {"standing": standing, "stress loss over margin": over})
