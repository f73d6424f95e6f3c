"""Closing trades at the mark with a fee: what they leave of an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pmkit.instruments import Instrument, Option, Position, Spot
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.study.what_if import traded
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["closed", "contract_notional", "fee_of"]


def contract_notional(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """Return the notional of one contract in its settlement currency, positive.

    Examples
    --------
    >>> from pmkit.instruments import Perpetual
    >>> swap = Perpetual(name="BTC-PERPETUAL", underlying="BTC", settlement="inverse",
    ...     settlement_currency="BTC", multiplier=10.0, lot=1.0)
    >>> contract_notional(swap, MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0}))
    0.0002
    """
    size = instrument.multiplier
    if isinstance(instrument, Option):
        return size if instrument.is_inverse else size * snapshot.spot(instrument.underlying)
    mark = snapshot.mark(instrument).price
    return size / mark if instrument.is_inverse and not isinstance(instrument, Spot) else size * mark


def fee_of(rates: float | Mapping[str, float], instrument: Instrument) -> float:
    """Return the fee rate of a contract: one for all, or by kind (0 for a kind that is not named).

    Raises
    ------
    ParameterError
        A rate below 0 or above 1.

    Examples
    --------
    >>> from pmkit.instruments import Perpetual
    >>> swap = Perpetual(name="BTC-PERPETUAL", underlying="BTC", settlement="inverse",
    ...     settlement_currency="BTC", multiplier=10.0, lot=1.0)
    >>> fee_of({"perpetual": 0.0075}, swap)
    0.0075
    """
    rate = rates.get(instrument.kind, 0.0) if isinstance(rates, Mapping) else rates
    return checked_number(f"fee rate of {instrument.kind}", rate, low=0.0, high=1.0)


def closed(
    account: Account,
    instrument: Instrument,
    qty: float,
    snapshot: MarketSnapshot,
    fees: float | Mapping[str, float],
) -> tuple[Account, float]:
    """Return the account after a trade of ``qty`` contracts at the mark, and the fee in settlement currency.

    The fee is a rate of the notional and is taken from the balance of the settlement currency.
    """
    after = traded(account, Position(instrument=instrument, qty=qty), snapshot)
    fee = abs(qty) * contract_notional(instrument, snapshot) * fee_of(fees, instrument)
    cash = dict(after.collateral)
    currency = instrument.settlement_currency
    cash[currency] = cash.get(currency, 0.0) - fee
    return replace(after, name=account.name, collateral=cash), fee
