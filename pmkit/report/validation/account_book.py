"""An account as a book of constant maturity, so that it can be judged over years."""

from __future__ import annotations

import math
from typing import Any

from pmkit.backtest import ConstantBook, Leg
from pmkit.core.errors import DataGapError
from pmkit.instruments import Future, Option, Perpetual
from pmkit.margin import Account
from pmkit.market import MarketSnapshot

__all__ = ["account_book"]


def account_book(
    account: Account, snapshot: MarketSnapshot, *, horizon: int = 1
) -> tuple[ConstantBook, tuple[str, ...]]:
    """Return the positions as legs of constant tenor and moneyness, per unit of gross notional, and the rest.

    Parameters
    ----------
    account : Account
        Positions in perpetuals, futures and European options; collateral is left out.
    snapshot : MarketSnapshot
        Gives spot, forwards and days to expiry.
    horizon : int
        Days that an option must live beyond.

    Returns
    -------
    book : ConstantBook
        Weights add to 1 in absolute value; counted in USD.
    left_out : tuple of str
        Names of contracts that expire inside the horizon, or that are neither of the three kinds.

    Raises
    ------
    DataGapError
        No position remains.

    Notes
    -----
    Weight of a line = contracts × multiplier × index, in USD; an inverse future or perpetual has a multiplier
    in USD already. Moneyness is K/F of the contract's own expiry.

    Examples
    --------
    >>> import pmkit as pm
    >>> account = pm.margin.Account.from_csv(pm.datasets.path("account-covered-call"))
    >>> book, left_out = account_book(account, pm.market.load_snapshot("deribit-btc-2026-08-01"))
    >>> [leg.label for leg in book.legs][0], left_out
    ('-0.5 BTC call 26.5847d K/F 1.0817', ())
    """
    held: list[tuple[Any, float]] = []
    left_out: list[str] = []
    for position in account.portfolio:
        contract = position.instrument
        expires = getattr(contract, "expiry", None)
        days = math.inf if expires is None else snapshot.days(expires)
        if not isinstance(contract, (Option, Future, Perpetual)) or days <= horizon:
            left_out.append(contract.name)
            continue
        in_dollars = contract.settlement == "inverse" and not isinstance(contract, Option)
        unit = contract.multiplier * (1.0 if in_dollars else snapshot.spot(contract.underlying))
        held.append((contract, position.qty * unit))
    gross = math.fsum(abs(notional) for _, notional in held)
    if gross == 0.0:
        raise DataGapError(
            f"account {account.name!r} holds no position that lives beyond {horizon} day(s)",
            "perpetuals, futures or options",
            "choose another account, or describe books in a configuration",
        )
    legs = tuple(_leg(contract, notional / gross, snapshot) for contract, notional in held)
    return ConstantBook(name=account.name, legs=legs), tuple(left_out)


def _leg(contract: Any, weight: float, snapshot: MarketSnapshot) -> Leg:
    """Return the leg of one contract: tenor in days, moneyness against the forward of its own expiry."""
    words: dict[str, Any] = {"underlying": contract.underlying, "weight": weight}
    words["settlement"] = "inverse" if contract.settlement == "inverse" else "linear"
    if isinstance(contract, Perpetual):
        return Leg(kind="perpetual", **words)
    words["tenor_days"] = round(snapshot.days(contract.expiry), 4)
    if isinstance(contract, Future):
        return Leg(kind="future", **words)
    forward = snapshot.forward(contract.underlying, contract.expiry)
    return Leg(
        kind="option", moneyness=round(contract.strike / forward, 4), is_call=contract.is_call, **words
    )
