"""Closing lines of an account one after the other, with the rule asked after every step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pmkit.core.errors import ParameterError
from pmkit.instruments import Instrument, Position
from pmkit.liquidation.standing import Against, answer, surplus
from pmkit.liquidation.trades import closed
from pmkit.margin.accounts.account import Account
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.greek_charges import exposures
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Closing", "Order"]

#: halvings of the share in a pro-rata closing
_HALVINGS = 30

Order = Literal["margin", "delta", "pro_rata"]


class Closing:
    """An account while it is closed line by line.

    Attributes
    ----------
    account : Account
        As it is after the trades so far.
    left : float
        Equity less the target, USD; negative: not restored yet.
    rows : list of tuple
        Trades: instrument, signed contracts, share of the line, mark, fee, currency, surplus after it.
    """

    def __init__(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        rule: RuleLike,
        against: Against,
        target: float,
        fees: float | Mapping[str, float],
    ) -> None:
        self.account, self.snapshot, self.rule = account, snapshot, rule
        self.against, self.target, self.fees = against, target, fees
        self.rows: list[tuple[str, float, float, float, float, str, float]] = []
        self.left = self._left(account)

    def result(self) -> MarginResult | None:
        """Return the rule's answer for what is left; None where nothing is."""
        if not len(self.account.portfolio) and not any(self.account.collateral.values()):
            return None
        return answer(self.rule, self.account, self.snapshot)

    def equity(self) -> float:
        """Return equity of all currencies in USD; 0 for an account that holds nothing."""
        held = len(self.account.portfolio) or self.account.collateral
        return self.account.equity(self.snapshot) if held else 0.0

    def order(self, order: Order | Sequence[str]) -> list[str]:
        """Return the names of the lines in the order in which they are to be closed."""
        held = [p.instrument.name for p in self.account.portfolio]
        if not held:
            return []
        if order == "delta":
            size = exposures(self.account.portfolio, self.snapshot)["delta"].abs()
            return [str(name) for name in size.sort_values(ascending=False, kind="stable").index]
        if order == "margin":
            gains = [(self._requirement_without(name), at, name) for at, name in enumerate(held)]
            return [name for _, _, name in sorted(gains)]
        unknown = [name for name in order if name not in held and not self._was_closed(name)]
        if isinstance(order, str) or unknown:
            raise ParameterError(
                f"order names {unknown[0]!r}"
                if unknown and not isinstance(order, str)
                else f"order {order!r}",
                "'margin', 'delta', 'pro_rata', or instruments that are held",
                "correct the order",
            )
        return [name for name in order if name in held]

    def close(self, name: str) -> bool:
        """Close as little of a line as restores the target, all of it if it helps, or nothing."""
        found = [p for p in self.account.portfolio if p.instrument.name == name]
        if not found:
            return False
        instrument, qty = found[0].instrument, found[0].qty
        lots = self._lots(found[0], 1.0)
        whole = self._after(instrument, qty, lots)
        left = self._left(whole)
        if left >= 0.0:
            enough, short = lots, 0
            while enough - short > 1:
                middle = (enough + short) // 2
                if self._left(self._after(instrument, qty, middle)) >= 0.0:
                    enough = middle
                else:
                    short = middle
            self._book(instrument, qty, enough)
            return True
        if left <= self.left:
            return False
        self._book(instrument, qty, lots)
        return True

    def close_share(self) -> None:
        """Close the least share of every line that restores the target, or all of them."""
        short, enough = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (short + enough)
            account = self.account
            for position in self.account.portfolio:
                trade = self._traded(position.instrument, position.qty, self._lots(position, middle))
                account, _ = closed(account, position.instrument, trade, self.snapshot, self.fees)
            if self._left(account) >= 0.0:
                enough = middle
            else:
                short = middle
        for position in self.account.portfolio:
            self._book(position.instrument, position.qty, self._lots(position, enough))

    def close_all(self) -> None:
        """Close every line."""
        for position in self.account.portfolio:
            self._book(position.instrument, position.qty, self._lots(position, 1.0))

    # -- inside ---------------------------------------------------------------------------------------------
    def _was_closed(self, name: str) -> bool:
        return any(row[0] == name for row in self.rows)

    def _left(self, account: Account) -> float:
        """Return the surplus in USD; of an account without positions and balances, 0."""
        if not len(account.portfolio) and not any(account.collateral.values()):
            return 0.0
        result = answer(self.rule, account, self.snapshot)
        return surplus(result, self.snapshot, self.against, self.target)

    def _requirement_without(self, name: str) -> float:
        """Return the requirement, in USD, of the account without a line."""
        kept = [p for p in self.account.portfolio if p.instrument.name != name]
        rest = self.account.with_portfolio(self.account.portfolio.with_positions(kept))
        if not kept and not any(rest.collateral.values()):
            return 0.0
        result = answer(self.rule, rest, self.snapshot)
        needed = result.im_equity if self.against == "im" else result.mm_equity
        return needed * self.snapshot.usd_price(result.numeraire)

    def _after(self, instrument: Instrument, qty: float, lots: int) -> Account:
        return closed(
            self.account, instrument, self._traded(instrument, qty, lots), self.snapshot, self.fees
        )[0]

    @staticmethod
    def _lots(position: Position, share: float) -> int:
        """Return the lots of a share of a line, rounded up."""
        return math.ceil(share * abs(position.qty) / position.instrument.lot - 1e-9)

    @staticmethod
    def _traded(instrument: Instrument, qty: float, lots: int) -> float:
        """Return the signed contracts of a closing trade of so many lots, at most the whole line."""
        return -math.copysign(min(lots * instrument.lot, abs(qty)), qty)

    def _book(self, instrument: Instrument, qty: float, lots: int) -> None:
        trade = self._traded(instrument, qty, lots)
        mark = self.snapshot.mark(instrument).price
        self.account, fee = closed(self.account, instrument, trade, self.snapshot, self.fees)
        self.left = self._left(self.account)
        currency = instrument.settlement_currency
        self.rows.append((instrument.name, trade, abs(trade / qty), mark, fee, currency, self.left))
