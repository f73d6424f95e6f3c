"""Markets along a path: snapshots made from day-by-day moves, and contracts that expire on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from pmkit.core.errors import DataGapError, LookAheadError, SchemaError
from pmkit.core.types import Dynamics
from pmkit.instruments import Future, Option, Perpetual, Position
from pmkit.liquidation.moved import moved_snapshot
from pmkit.margin.accounts.account import Account, unrealised_pnl
from pmkit.margin.accounts.funding import funding_payment
from pmkit.margin.accounts.numbers import checked_number
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["check_rising", "entered_at", "funded", "marked_to", "scenario_path", "settle_expired"]


def check_rising(path: Sequence[MarketSnapshot], *accounts: Account) -> None:
    """Raise LookAheadError where a path does not rise in time, or starts before an account."""
    for earlier, later in pairwise(path):
        if later.as_of <= earlier.as_of:
            raise LookAheadError(
                f"snapshot of {later.as_of.isoformat()} follows {earlier.as_of.isoformat()}",
                "a path that rises in time",
                "sort it",
            )
    for account in accounts:
        if path[0].as_of < account.as_of:
            raise LookAheadError(
                f"the path starts at {path[0].as_of.isoformat()}, before account {account.name!r}",
                f"a start at {account.as_of.isoformat()} or later",
                "use a later path, or the account as it was then",
            )


def scenario_path(
    snapshot: MarketSnapshot, moves: pd.DataFrame, *, dynamics: Dynamics
) -> tuple[MarketSnapshot, ...]:
    """Return the start and one snapshot a row of moves, each row on top of those before it.

    Parameters
    ----------
    snapshot : MarketSnapshot
        Start of the path.
    moves : DataFrame
        Columns ``days`` (days since the row before, above 0), ``<NAME> spot`` (relative move of the index)
        and ``<NAME> vol`` (relative move of every implied vol of it); underlyings without a column stay.
    dynamics : {"sticky_strike", "sticky_moneyness"}
        What spot moves do to the smile; required.

    Returns
    -------
    tuple of MarketSnapshot

    Raises
    ------
    DataGapError
        No row.
    SchemaError
        A column that names no underlying, or no ``days``.
    ParameterError
        A move of −100 % or less, or days that are not positive.

    Notes
    -----
    Every snapshot is the first one with the compounded moves applied, so errors do not build up.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> crash = pd.DataFrame({"days": [1.0, 1.0], "BTC spot": [-0.2, -0.1]})
    >>> [round(s.spot("BTC")) for s in scenario_path(snap, crash, dynamics="sticky_strike")]
    [60000, 48000, 43200]
    """
    if not len(moves):
        raise DataGapError("the path has no row", "at least one row of moves", "add moves")
    known = [f"{name} {kind}" for name in snapshot.underlyings for kind in ("spot", "vol")]
    unknown = [column for column in moves.columns if column not in ("days", *known)]
    if unknown or "days" not in moves.columns:
        raise SchemaError(
            f"column {unknown[0]!r} of the path" if unknown else "the path has no column 'days'",
            f"days and any of {', '.join(known)}",
            "rename or add the column",
        )
    path, level, passed = [snapshot], dict.fromkeys(known, 1.0), 0.0
    for at, row in enumerate(moves.to_dict(orient="records")):
        passed += checked_number(f"days of row {at}", float(row["days"]), low=0.0, open_low=True)
        for column in level:
            if column in row:
                move = checked_number(f"{column} of row {at}", float(row[column]), low=-1.0, open_low=True)
                level[column] *= 1.0 + move
        path.append(
            moved_snapshot(
                snapshot,
                dynamics=dynamics,
                spot={name: level[f"{name} spot"] - 1.0 for name in snapshot.underlyings},
                vol={name: level[f"{name} vol"] - 1.0 for name in snapshot.underlyings},
                days=passed,
            )
        )
    return tuple(path)


def settle_expired(
    account: Account,
    snapshot: MarketSnapshot,
    settlement: Mapping[tuple[str, pd.Timestamp], float] | None = None,
) -> tuple[Account, pd.DataFrame]:
    """Return the account at the snapshot's instant with expired contracts paid out, and what they paid.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    settlement : mapping of (str, Timestamp) to float, optional
        Delivery prices in USD by underlying and expiry; the snapshot's index where left out, which stands for
        the price at an expiry that has passed since the last snapshot.

    Returns
    -------
    tuple of Account and DataFrame
        Columns ``instrument``, ``qty``, ``price`` (delivery price, USD), ``cash`` (settlement currency),
        ``currency``.

    Raises
    ------
    ParameterError
        A delivery price that is not positive.

    Notes
    -----
    An option pays its intrinsic value, divided by the delivery price where it settles in coin; a future its
    profit against entry, 0 where it was carried without entry.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-29T00:00:00Z", {"BTC": 80_000.0})
    >>> row = {"type": "position", "instrument": "BTC-28AUG26-60000-C", "qty": -2, "as_of": "2026-08-01"}
    >>> after, paid = settle_expired(Account.from_records([row]), snap)
    >>> len(after.portfolio), after.collateral
    (0, {'BTC': -0.5})
    """
    cash = dict(account.collateral)
    kept: list[Position] = []
    rows = []
    for position in account.portfolio:
        instrument = position.instrument
        if not isinstance(instrument, (Future, Option)) or instrument.expiry > snapshot.as_of:
            kept.append(position)
            continue
        key = (instrument.underlying, instrument.expiry)
        price = (settlement or {}).get(key, snapshot.spot(instrument.underlying))
        checked_number(f"delivery price of {instrument.name}", price, low=0.0, open_low=True, unit="of USD")
        if isinstance(instrument, Option):
            sign = 1.0 if instrument.is_call else -1.0
            payoff = max(sign * (price - instrument.strike), 0.0) / (price if instrument.is_inverse else 1.0)
            paid = position.qty * instrument.multiplier * payoff
        else:
            paid = unrealised_pnl(position, price)
        currency = instrument.settlement_currency
        cash[currency] = math.fsum([cash.get(currency, 0.0), paid])
        rows.append((instrument.name, position.qty, price, paid, currency))
    portfolio = replace(account.portfolio, positions=tuple(kept), as_of=snapshot.as_of)
    frame = pd.DataFrame(rows, columns=["instrument", "qty", "price", "cash", "currency"])
    return replace(account, portfolio=portfolio, collateral=cash), frame


def funded(account: Account, snapshot: MarketSnapshot, days: float) -> tuple[Account, float]:
    """Return the account after its perpetuals have paid funding for some days, and what came in, USD.

    The snapshot's last 8-hour rate stands for all of them; nothing is paid where it has none.
    """
    cash, total = dict(account.collateral), []
    for position in account.portfolio:
        instrument = position.instrument
        if not isinstance(instrument, Perpetual) or days == 0.0:
            continue
        rate = (snapshot.market(instrument.underlying).funding or 0.0) * days * 3.0
        paid = funding_payment(instrument, position.qty, snapshot.mark(instrument).price, rate)
        currency = instrument.settlement_currency
        cash[currency] = cash.get(currency, 0.0) + paid
        total.append(paid * snapshot.usd_price(currency))
    return (replace(account, collateral=cash) if total else account), math.fsum(total)


def entered_at(account: Account, snapshot: MarketSnapshot) -> Account:
    """Return the account with the mark as entry price of futures and perpetuals that have none.

    A position without entry is carried at its mark, so that it has no profit yet. Before the market moves
    its mark must be remembered, or it would never have any.
    """
    positions = tuple(
        replace(p, entry_price=snapshot.mark(p.instrument).price)
        if p.entry_price is None and isinstance(p.instrument, (Future, Perpetual))
        else p
        for p in account.portfolio
    )
    return account.with_portfolio(account.portfolio.with_positions(positions))


def marked_to(account: Account, snapshot: MarketSnapshot) -> Account:
    """Return the account with the profit of futures and perpetuals at the mark booked to cash.

    Equity is what it was. Positions carried at their mark have no entry price that a large move could make
    look like a slip of units.
    """
    positions = tuple(replace(p, entry_price=None) for p in account.portfolio)
    portfolio = account.portfolio.with_positions(positions)
    return replace(account, portfolio=portfolio, collateral=account.balances(snapshot))
