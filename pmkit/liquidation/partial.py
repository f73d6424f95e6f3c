"""Partial liquidation: the smallest closing trades, line by line, that bring an account back to a target."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError, PmkitWarning
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.liquidation.closing import Closing, Order
from pmkit.liquidation.standing import Against, answer, made_rule
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PartialLiquidation", "partial_liquidation"]


@dataclass(frozen=True, kw_only=True, repr=False)
class PartialLiquidation(Result):
    """Closing trades of an account that was below its requirement, all at the mark.

    Attributes
    ----------
    account : Account
        After the trades.
    before, after : MarginResult
        ``after`` is None where nothing is left to ask about.
    against : {"im", "mm"}
    target : float
        Equity over requirement that was sought.
    order : tuple of str
        Lines in the order in which they were tried.
    trades : pandas.DataFrame
        ``instrument``, ``qty`` (signed contracts traded), ``share`` (of the line), ``price`` (mark),
        ``fee`` and ``currency`` (settlement), ``surplus`` (after the trade, USD).
    status : str
        ``not_needed``; ``restored``; ``closed_out``: every line is closed and the target is not met;
        ``bankrupt``: equity of all currencies together is negative after closing.
    shortfall : float
        What is missing to pay everyone, USD, positive; 0 unless bankrupt.
    """

    account: Account
    before: MarginResult
    after: MarginResult | None
    against: str
    target: float
    order: tuple[str, ...]
    trades: pd.DataFrame
    status: str
    shortfall: float
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.partial"))
    references: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise where a restored account still misses the target."""
        if self.status == "restored" and self.after is not None:
            for part in self.after.parts.values() or [self.after]:
                need = part.im_equity if self.against == "im" else part.mm_equity
                if part.equity < self.target * need * (1.0 - 1e-9) - 1e-9:
                    raise PmkitError("restored below the target", "the target", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return equity, requirement and ratio before and after, in the numeraire."""
        rows = {}
        for name, result in (("before", self.before), ("after", self.after)):
            if result is not None:
                rows[name] = {
                    "numeraire": result.numeraire,
                    "equity": result.equity,
                    "im_equity": result.im_equity,
                    "mm_equity": result.mm_equity,
                    "margin_ratio": result.margin_ratio,
                    "status": result.status,
                }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"{self.status}, {len(self.trades)} trades"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a trade."""
        return self.trades.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the share of each line that was closed."""
        axes = new_axes(ax)
        axes.barh(self.trades["instrument"].to_list(), (100.0 * self.trades["share"]).to_list())
        axes.invert_yaxis()
        axes.set(xlabel="share of the line closed, %", title=f"{self.account.name}: {self.status}")
        return axes


def partial_liquidation(
    account: Account,
    snapshot: MarketSnapshot,
    rule: str | RuleLike,
    *,
    target: float = 1.0,
    against: Against = "mm",
    order: Order | Sequence[str] = "margin",
    fees: float | Mapping[str, float] = 0.0,
    rounds: int = 3,
    stale: Stale = "error",
) -> PartialLiquidation:
    """Return the closing trades that bring an account back to a target, smallest number of lots line by line.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    rule : str or rule
    target : float
        Equity over requirement to be reached, 1 or more; 1/0.9 for a venue that stops at 90 %.
    against : {"im", "mm"}
    order : {"margin", "delta", "pro_rata"} or sequence of str
        ``margin``: the line first without which the requirement is least, measured once a round; ``delta``:
        the largest delta in USD first; ``pro_rata``: the same share of every line; or the instruments in
        order.
    fees : float or mapping of str to float
        Fee as a share of notional, for all or by kind of contract.
    rounds : int
        How often the lines are gone through; a line that hedged at first may help later.
    stale : {"error", "warn"}

    Returns
    -------
    PartialLiquidation

    Raises
    ------
    ParameterError
        A target below 1, a fee outside 0 to 1, or an instrument in ``order`` that is not held.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    Every trade is at the mark: no market impact, no bid-ask spread, so the account loses its fees alone. A
    line is closed in full where that is not enough, and left as it is where closing it would not help. In
    the line that suffices the number of lots is found by bisection: the target is met with it and missed with
    one lot less, and it is the least number where the surplus rises with every lot. Where no line alone
    helps, as in a book whose lines hedge one another, the same share of every line is closed (lots rounded
    up), the least that suffices. An insolvent account is closed as a whole, and balances in currencies that
    the rule does not count are drawn on before a shortfall is stated.
    """
    checked_number("target", target, low=1.0)
    checked_number("rounds", rounds, low=1)
    used = made_rule(rule, stale)
    before = answer(used, account, snapshot)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)  # the first answer has given every warning
        work = Closing(account, snapshot, used, against, target, fees)
        tried: list[str] = []
        if work.left < 0.0 and before.status != "insolvent":
            for _ in range(int(rounds) if order != "pro_rata" else 0):
                helped = False
                for name in work.order(order):
                    tried.append(name)
                    helped |= work.close(name)
                    if work.left >= 0.0:
                        break
                if work.left >= 0.0 or not helped:
                    break
            if work.left < 0.0:
                tried += [p.instrument.name for p in work.account.portfolio]
                work.close_share()
        elif before.status == "insolvent":
            tried = [p.instrument.name for p in account.portfolio]
            work.close_all()
        after = work.result()
    equity = work.equity()
    if not work.rows and work.left >= 0.0:
        status = "not_needed"
    elif equity < 0.0:
        status = "bankrupt"
    else:
        status = "restored" if work.left >= 0.0 else "closed_out"
    return PartialLiquidation(
        account=work.account,
        before=before,
        after=after,
        against=against,
        target=target,
        order=tuple(dict.fromkeys(tried)),
        trades=pd.DataFrame(
            work.rows, columns=["instrument", "qty", "share", "price", "fee", "currency", "surplus"]
        ),
        status=status,
        shortfall=max(0.0, -equity) if status == "bankrupt" else 0.0,
        provenance=Provenance(
            method="liquidation.partial",
            data={"before": before.provenance.id},
            parameters={"target": target, "against": against, "order": order, "fees": fees},
        ),
        references=before.cite(),
    )
