"""What currencies are worth in USD before the scenarios and in each of them: balances and numeraires."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Portfolio
from pmkit.market.snapshot import STABLECOINS, MarketSnapshot
from pmkit.scenarios.inputs import check_kind

__all__ = ["STABLECOINS", "CollateralAccount", "CurrencyMoves"]


class CollateralAccount(Protocol):
    """Positions with cash by currency, such as :class:`pmkit.Account`."""

    @property
    def portfolio(self) -> Portfolio:
        """The positions."""
        ...

    def balances(self, snapshot: MarketSnapshot) -> dict[str, float]:
        """Return cash by currency: collateral plus the unrealised profit of futures and perpetuals."""
        ...


@dataclass(frozen=True, kw_only=True)
class CurrencyMoves:
    """USD prices of currencies before the scenarios and in each of them.

    Attributes
    ----------
    spot0, spot1 : mapping
        Index of every coin of the snapshot before (float) and after (ndarray, shape (scenarios,)).
    moved : frozenset of str
        Coins of which the scenarios hold a factor; the others can be neither collateral nor numeraire.
    fx0 : mapping of str to float
        Price of currencies that are no coins, where it is given or moves.
    fx1 : mapping of str to ndarray
        Price in each scenario of those that move.
    source : str
        Name of the scenarios, for messages.

    Examples
    --------
    >>> import numpy as np
    >>> money = CurrencyMoves(
    ...     spot0={"BTC": 6e4}, spot1={"BTC": np.array([3e4, 9e4])}, moved=frozenset({"BTC"}),
    ...     fx0={"USDC": 1.0}, fx1={"USDC": np.array([0.9, 1.0])}, source="two")
    >>> money.add_collateral(np.zeros(2), {"BTC": 0.5, "USDC": 1e4}).tolist()
    [-16000.0, 15000.0]
    """

    spot0: Mapping[str, float]
    spot1: Mapping[str, FloatArray]
    moved: frozenset[str]
    fx0: Mapping[str, float]
    fx1: Mapping[str, FloatArray]
    source: str

    def is_dollar(self, currency: str) -> bool:
        """Whether a unit is one USD before and in every scenario."""
        return currency == "USD" or (currency in STABLECOINS and currency not in self.fx0)

    def before(self, currency: str) -> float:
        """Return USD per unit before the scenarios of a currency that :meth:`check` accepts."""
        if self.is_dollar(currency):
            return 1.0
        return self.fx0[currency] if currency in self.fx0 else self.spot0[currency]

    def after(self, currency: str) -> FloatArray | None:
        """Return USD per unit in each scenario, shape (scenarios,); None where it stays what it was."""
        if currency in self.spot1:
            return self.spot1[currency]
        return self.fx1.get(currency)

    def check(self, currency: str, what: str) -> None:
        """Raise where a currency has no price, or the scenarios hold no move of it.

        Raises
        ------
        ConventionError
            No price in the snapshot.
        DataGapError
            No factor of a coin, or of a currency that is not meant to stay at one USD.
        """
        if currency in STABLECOINS:
            return
        if currency in self.fx0:
            if currency not in self.fx1:
                self._no_factor(currency, what, sorted(self.fx1))
            return
        if currency not in self.spot0:
            raise ConventionError(
                f"{what} currency {currency!r} has no price in the snapshot",
                f"one of {', '.join(dict.fromkeys((*STABLECOINS, *self.spot0, *self.fx0)))}",
                "remove it, or load a snapshot that prices it",
            )
        if currency not in self.moved:
            self._no_factor(currency, what, sorted(self.moved))

    def _no_factor(self, currency: str, what: str, known: list[str]) -> None:
        raise DataGapError(
            f"scenarios {self.source!r} hold no factor of the {what} currency {currency}",
            f"one of {', '.join(known) or 'none'}",
            f"build the scenarios with {currency} among the underlyings",
        )

    def cash(self, balances: Mapping[str, float] | None) -> dict[str, float]:
        """Return the balances that are not 0, checked.

        Raises
        ------
        ParameterError
            A balance that is not finite.
        """
        check_kind("balances", balances or {}, Mapping, "write units by currency, such as {'USDC': 10_000.0}")
        kept = {}
        for currency, amount in (balances or {}).items():
            if isinstance(amount, (str, bytes, bool)) or not hasattr(amount, "__float__"):
                raise ParameterError(
                    f"collateral in {currency} is {amount!r}", "a finite amount", "correct the balance"
                )
            if float(amount) != 0.0:
                kept[currency] = float(amount)
        for currency, amount in kept.items():
            if not math.isfinite(amount):
                raise ParameterError(
                    f"collateral in {currency} is {amount!r}", "a finite amount", "correct the balance"
                )
            self.check(currency, "collateral")
        return kept

    def worth(self, balances: Mapping[str, float]) -> list[float]:
        """Return the USD value of each balance before the scenarios."""
        return [amount * self.before(currency) for currency, amount in balances.items()]

    def add_collateral(self, pnl: FloatArray, balances: Mapping[str, float]) -> FloatArray:
        """Add what the balances gain in USD to ``pnl``, one after the other, and return it.

        Notes
        -----
        ``balance (X' - X)`` with X the USD price: the index of a coin, the fx of any other currency.
        """
        for currency, amount in balances.items():
            after = self.after(currency)
            if after is not None and not self.is_dollar(currency):
                pnl += amount * (after - self.before(currency))
        return pnl

    def in_numeraire(self, pnl: FloatArray, worth: float, numeraire: str) -> FloatArray:
        """Return a USD profit as the change of an account's worth counted in units of a currency.

        Parameters
        ----------
        pnl : ndarray, shape (scenarios,)
            Profit in USD.
        worth : float
            USD value of the account before the scenarios.
        numeraire : str
            A currency that :meth:`check` accepts.

        Notes
        -----
        ``(worth + pnl)/X' - worth/X`` with X the USD price of the numeraire.
        """
        if self.is_dollar(numeraire):
            return pnl
        before, after = self.before(numeraire), self.after(numeraire)
        value: FloatArray = (worth + pnl) / (before if after is None else after) - worth / before
        return value
