"""Limits on offsets: how much diversification may take off, and collateral that falls with the book."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pmkit.core.errors import ConventionError
from pmkit.margin.accounts.numbers import checked_share
from pmkit.margin.addons.base import PartCharge, PartInput
from pmkit.margin.collateral.wrong_way import wrong_way
from pmkit.scenarios import ScenarioSet

__all__ = ["CollateralWrongWay", "DiversificationCap"]


@dataclass(frozen=True, kw_only=True)
class DiversificationCap:
    """A floor on the requirement: at most a share of the diversification between underlyings counts.

    Attributes
    ----------
    share : float
        Largest share of the reduction that counts, 0 to 1; 0.8 in the regulation.
    name : str

    Notes
    -----
    ``max(0, Σ M_u − share (Σ M_u − M) − M)`` with M the base requirement and M_u that of the positions in
    one underlying with the same collateral. Zero for accounts in one underlying.

    References
    ----------
    European Commission (2013), article 27.

    Examples
    --------
    >>> DiversificationCap().name
    'diversification cap'
    """

    share: float = 0.8
    name: str = "diversification cap"

    def __post_init__(self) -> None:
        checked_share("share of diversification", self.share)

    def floor(self, alone: float, joint: float) -> float:
        """Return the least requirement from the sum of the parts alone and the joint one, in their unit.

        Examples
        --------
        >>> DiversificationCap(share=0.8).floor(180.0, 60.0)
        84.0
        """
        return alone - self.share * max(alone - joint, 0.0)

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge in USD."""
        book = given.account.portfolio
        if len(book.underlyings) < 2:
            return PartCharge(0.0, 0.0, {"alone": given.im_usd, "joint": given.im_usd})
        parts = [
            given.requirement(given.account.with_portfolio(book.of_underlying(u))) for u in book.underlyings
        ]
        alone = math.fsum(parts)
        extra = max(0.0, self.floor(alone, given.im_usd) - given.im_usd)
        return PartCharge(extra, extra, {"alone": alone, "joint": given.im_usd})


@dataclass(frozen=True, kw_only=True)
class CollateralWrongWay:
    """What haircuts miss where collateral and book lose in the same scenarios.

    Attributes
    ----------
    scenarios : ScenarioSet
        Joint moves of all coins held.
    haircuts : mapping of str to float
        Haircuts that equity has been cut by already, by coin.
    level : float
        Level of the ES.
    name : str

    Notes
    -----
    The shortfall of :func:`pmkit.margin.wrong_way`. Refused on a rule that revalues collateral: there it is
    in the requirement already.
    """

    scenarios: ScenarioSet = field(repr=False)
    haircuts: Mapping[str, float]
    level: float = 0.99
    name: str = "wrong way"

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge in USD."""
        if given.result.collateral_treatment == "revalued":
            raise ConventionError(
                f"a wrong-way part on {given.result.rule}, which revalues collateral in its scenarios",
                "a rule with haircuts, or with collateral apart",
                "leave the part out: the joint loss is in the requirement",
            )
        found = wrong_way(given.account, given.snapshot, self.scenarios, self.haircuts, level=self.level)
        figures = {"book": found.book, "joint": found.joint, "haircut": found.haircut}
        return PartCharge(found.shortfall, found.shortfall, figures)
