"""A deterministic replay of accounts along a path: calls, payments, partial liquidations, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.time import days_between
from pmkit.liquidation.closing import Order
from pmkit.liquidation.life import STEP, TRADE, Life, Terms
from pmkit.liquidation.path import check_rising, entered_at
from pmkit.liquidation.replay_result import Replay
from pmkit.liquidation.standing import made_rule
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.assembled import RuleLike
from pmkit.margin.engine.base import collected
from pmkit.margin.parameters import Stale
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["replay"]


def replay(
    accounts: Account | Sequence[Account],
    path: Sequence[MarketSnapshot],
    rule: str | RuleLike,
    *,
    reserves: float | Mapping[str, float] = 0.0,
    grace: int = 1,
    target: float = 1.0,
    order: Order = "margin",
    fees: float | Mapping[str, float] = 0.0,
    fund: float = 0.0,
    settlement: Mapping[tuple[str, pd.Timestamp], float] | None = None,
    stale: Stale = "error",
) -> Replay:
    """Return who is called, pays, is closed in part or goes bankrupt along a path, step by step, in USD.

    Parameters
    ----------
    accounts : Account or sequence of Account
        Each with a name of its own.
    path : sequence of MarketSnapshot
        Rising in time, from the accounts' instant on; see :func:`scenario_path`.
    rule : str or rule
    reserves : float or mapping of str to float
        USD outside the account from which calls are met, by account name or for each; 0 or more.
    grace : int
        Steps that an unmet call may stay open before positions are closed until IM is met, 0 or more.
    target : float
        Equity over MM after a liquidation, 1 or more.
    order : {"margin", "delta", "pro_rata"}
        Order of the lines; see :func:`partial_liquidation`.
    fees : float or mapping of str to float
        Liquidation fee as a share of notional, for all or by kind of contract; paid into the fund.
    fund : float
        Insurance fund at the start, USD, 0 or more; accounts draw on it in their order.
    settlement : mapping, optional
        Delivery prices; see :func:`settle_expired`.
    stale : {"error", "warn"}

    Returns
    -------
    Replay

    Raises
    ------
    DataGapError
        No account or no snapshot.
    LookAheadError
        A path that does not rise, or starts before an account.
    ParameterError
        Accounts of one name, or a number outside its range.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    Futures and perpetuals without entry price are taken as entered at the first snapshot's mark. At each
    step, for each account: (1) contracts that have expired are settled; (2) perpetuals pay funding at the
    snapshot's last 8-hour rate for the time since the step before, nothing where it has none; (3) the rule
    is asked; (4) equity of 0 or less: everything is closed and the shortfall falls on the fund, then on
    nobody (``uncovered``); (5) below MM: :func:`partial_liquidation` to the target; (6) below IM: a call,
    met from reserves in the numeraire, or open for ``grace`` steps, after which lines are closed until IM
    is met. Every trade is at the mark: no market impact and no spread, so losses are a lower bound. Nothing
    is random.

    Examples
    --------
    >>> from pmkit.liquidation import scenario_path
    >>> snap = MarketSnapshot.from_marks("2022-01-11T00:00:00Z", {"BTC": 40_000.0})
    >>> held = Account.from_records([
    ...     {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 40_000, "as_of": "2022-01-11"},
    ...     {"type": "collateral", "instrument": "BTC", "qty": 1.0, "as_of": "2022-01-11"}])
    >>> moves = pd.DataFrame({"days": [0.1], "BTC spot": [-0.09]})
    >>> path = scenario_path(snap, moves, dynamics="sticky_strike")
    >>> replay(held, path, "deribit-standard").steps["event"].to_list()
    ['none', 'liquidated']
    """
    books = (accounts,) if isinstance(accounts, Account) else tuple(accounts)
    _check(books, path)
    checked_number("grace", grace, low=0)
    left = checked_number("fund", fund, low=0.0, unit="of USD")
    used = made_rule(rule, stale)
    lives = [Life(entered_at(book, path[0]), _reserve(reserves, book.name)) for book in books]
    terms = Terms(used, grace, target, order, fees, settlement or {})
    rows: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []
    with collected() as texts:
        for number, snapshot in enumerate(path):
            days = days_between(path[number - 1].as_of, snapshot.as_of) if number else 0.0
            for life in lives:
                row, done = life.step(snapshot, days, terms)
                left += row["fees"]
                row["fund_paid"] = min(left, row["shortfall"])
                left -= row["fund_paid"]
                row["uncovered"] = row["shortfall"] - row["fund_paid"]
                where = {"step": number, "as_of": snapshot.as_of, "account": life.account.name}
                rows.append({**where, **row})
                trades += [{**where, **trade} for trade in done]
    return Replay(
        rule=f"{used.name} {used.variant}".strip(),
        steps=pd.DataFrame(rows, columns=STEP),
        trades=pd.DataFrame(trades, columns=TRADE),
        fund=left,
        accounts=tuple(life.account for life in lives),
        warnings=tuple(texts),
        notes=("every trade is at the mark: no market impact, no spread",),
        provenance=Provenance(
            method="liquidation.replay",
            data={f"snapshot {i}": s.fingerprint for i, s in enumerate(path)},
            parameters={"grace": grace, "target": target, "order": order, "fees": fees, "fund": fund},
            simulated=any(s.provenance.simulated for s in path),
        ),
    )


def _reserve(reserves: float | Mapping[str, float], name: str) -> float:
    amount = reserves.get(name, 0.0) if isinstance(reserves, Mapping) else reserves
    return checked_number(f"reserve of {name}", amount, low=0.0, unit="of USD")


def _check(books: Sequence[Account], path: Sequence[MarketSnapshot]) -> None:
    if not books or not len(path):
        raise DataGapError(
            f"{len(books)} accounts and {len(path)} snapshots", "at least one of each", "hand them over"
        )
    names = [book.name for book in books]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ParameterError(f"two accounts are called {repeated[0]!r}", "names that differ", "rename one")
    check_rising(path, *books)
