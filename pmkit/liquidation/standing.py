"""Where an account stands against its requirement, as one signed number that roots can be sought of."""

from __future__ import annotations

from typing import Literal

from pmkit.margin.accounts.account import Account
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import rule as make_rule
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Against", "answer", "made_rule", "surplus", "worst_part"]

#: which requirement equity is held against
Against = Literal["im", "mm"]


def made_rule(rule: str | RuleLike, stale: Stale) -> RuleLike:
    """Return the rule of a name, or the rule itself."""
    return make_rule(rule, stale=stale) if isinstance(rule, str) else rule


def answer(rule: RuleLike, account: Account, snapshot: MarketSnapshot) -> MarginResult:
    """Return the rule's answer for an account."""
    return rule.requirement(account, snapshot)


def worst_part(
    result: MarginResult, snapshot: MarketSnapshot, against: Against, cushion: float = 1.0
) -> tuple[MarginResult, float]:
    """Return the part of a result with the least surplus, and that surplus in USD at the index.

    Parameters
    ----------
    result : MarginResult
    snapshot : MarketSnapshot
    against : {"im", "mm"}
    cushion : float
        Times the requirement that equity must reach.

    Returns
    -------
    tuple of MarginResult and float
        The result itself where it has no parts; ``equity − cushion × requirement`` in USD.
    """
    found = []
    for part in result.parts.values() or [result]:
        needed = part.im_equity if against == "im" else part.mm_equity
        found.append((part, (part.equity - cushion * needed) * snapshot.usd_price(part.numeraire)))
    return min(found, key=lambda pair: pair[1])


def surplus(result: MarginResult, snapshot: MarketSnapshot, against: Against, cushion: float = 1.0) -> float:
    """Return equity less the cushioned requirement in USD, that of the worst part; negative: too little."""
    return worst_part(result, snapshot, against, cushion)[1]
