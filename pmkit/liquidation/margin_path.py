"""Rules through time: what each asks of an account at every snapshot; nothing is closed, nothing paid."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.time import days_between
from pmkit.liquidation.margin_path_result import COLUMNS, DATED, MarginPath
from pmkit.liquidation.path import check_rising, entered_at, funded, settle_expired
from pmkit.liquidation.standing import made_rule
from pmkit.margin.accounts.account import Account
from pmkit.margin.addons.assembled import AssembledRule, RuleLike
from pmkit.margin.engine.base import collected
from pmkit.margin.parameters import Stale, load_parameter_sets
from pmkit.margin.result import MarginResult
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Book", "margin_path"]

#: an account that is carried along, or what sets one up anew at each snapshot
Book = Account | Callable[[MarketSnapshot], Account]
Rules = Mapping[str, str | RuleLike] | Sequence[str | RuleLike]
Settlement = Mapping[tuple[str, pd.Timestamp], float]


def margin_path(
    books: Book | Mapping[str, Book],
    path: Sequence[MarketSnapshot],
    rules: Rules,
    *,
    history: PriceHistory | None = None,
    settlement: Settlement | None = None,
    stale: Stale = "error",
) -> MarginPath:
    """Return what each rule asks of accounts at every snapshot of a path, its calls and breaches, in USD.

    Use it to compare rules on one market: nothing is closed and nothing is paid in, so every rule sees the
    same account on every day. :func:`replay` enforces one rule instead.

    Parameters
    ----------
    books : Account or callable, or mapping of str to either
        An account is carried along the path: contracts settle at expiry and perpetuals pay funding. A
        callable is asked for an account at each snapshot, for example one of constant maturity and notional.
    path : sequence of MarketSnapshot
        Rising in time; see :func:`history_path` and :func:`scenario_path`.
    rules : mapping of str to rule, or sequence of rule
        Rules or names of rules; the keys of a mapping are their labels.
    history : PriceHistory, optional
        For rules that use one; their own where left out. What lies after a snapshot is not looked at.
    settlement : mapping, optional
        Delivery prices; see :func:`settle_expired`.
    stale : {"error", "warn"}
        For rules given by name.

    Returns
    -------
    MarginPath

    Raises
    ------
    DataGapError
        No snapshot, no book or no rule.
    LookAheadError
        A path that does not rise, or starts before an account.
    ParameterError
        Two rules of one label, or a book that gives no account.
    PmkitError
        Whatever a rule raises; a rule that cannot answer on a date is not left out in silence.

    Notes
    -----
    At snapshot t, with IM the initial requirement against equity and E the equity that the rule counts, at
    full prices, both in the numeraire of the rule: call = max(0, IM_t − equity_t); loss = E_t − E_{t+1} of
    the account held at t; breach where loss > IM_t, beyond = loss − IM_t. Money is turned into USD at the
    index of t, after the comparison. Coins that a rule margins apart are compared apart and added. The last
    snapshot has no loss. A rule with memory is handed the state of its last answer for the same book.
    ``dated`` tells a rule that was in force from one that is applied before or after the dates of its
    parameter set.

    Examples
    --------
    >>> from pmkit.liquidation import scenario_path
    >>> snap = MarketSnapshot.from_marks("2022-01-11T00:00:00Z", {"BTC": 40_000.0})
    >>> held = Account.from_records([
    ...     {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 40_000, "as_of": "2022-01-11"},
    ...     {"type": "collateral", "instrument": "BTC", "qty": 1.0, "as_of": "2022-01-11"}])
    >>> fall = pd.DataFrame({"days": [0.1], "BTC spot": [-0.09]})
    >>> path = scenario_path(snap, fall, dynamics="sticky_strike")
    >>> margin_path(held, path, ["deribit-standard"]).table["status"].to_list()
    ['ok', 'below_mm']
    """
    given = dict(books) if isinstance(books, Mapping) else {_label(books): books}
    if not len(path) or not given:
        raise DataGapError(
            f"{len(given)} books and {len(path)} snapshots", "at least one of each", "hand them over"
        )
    check_rising(path, *(book for book in given.values() if isinstance(book, Account)))
    used = _labelled(rules, stale)
    lives = {label: _Life(book, path[0], settlement) for label, book in given.items()}
    states: dict[tuple[str, str], Any] = {}
    rows: dict[tuple[str, str, pd.Timestamp], dict[str, Any]] = {}
    references: dict[str, None] = {}
    with collected() as texts:
        for number, now in enumerate(path):
            later = path[number + 1] if number + 1 < len(path) else None
            # all books of a snapshot before the next one: rules keep what they made of the market
            for book, life in lives.items():
                account, after = life.step(now, later)
                for name, one in used.items():
                    state = states.get((book, name))
                    result = one.requirement(account, now, history=history, state=state)
                    states[book, name] = result.state
                    references |= dict.fromkeys(result.cite())
                    row = _row(result, one, now) | _outcome(result, account, now, after, later)
                    rows[book, name, now.as_of] = row
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["book", "rule", "as_of"])
    order = [(book, name, snapshot.as_of) for book in given for name in used for snapshot in path]
    return MarginPath(
        table=table.loc[order],
        warnings=tuple(texts),
        notes=("nothing is closed and nothing is paid in: no market impact", *_notes(path)),
        provenance=Provenance(
            method="liquidation.margin_path",
            data={f"snapshot {i}": s.fingerprint for i, s in enumerate(path)},
            parameters={"books": list(given), "rules": list(used)},
            simulated=any(s.provenance.simulated for s in path),
        ),
        references=tuple(references),
    )


def _notes(path: Sequence[MarketSnapshot]) -> list[str]:
    """Return the notes that all snapshots share, and how many belong to single ones."""
    counts = Counter(note for snapshot in path for note in dict.fromkeys(snapshot.notes))
    shared = [note for note, count in counts.items() if count == len(path)]
    single = len(counts) - len(shared)
    return shared + ([f"{single} notes of single snapshots stand in the snapshots"] if single else [])


def _label(book: Book) -> str:
    return book.name if isinstance(book, Account) else str(getattr(book, "__name__", "book"))


def _labelled(rules: Rules, stale: Stale) -> dict[str, RuleLike]:
    """Return the rules by label: the key, or the name, with its variant where the name is there twice."""
    if isinstance(rules, Mapping):
        used = {str(label): made_rule(one, stale) for label, one in rules.items()}
    else:
        made = [made_rule(one, stale) for one in ([rules] if isinstance(rules, str) else rules)]
        names = [one.name for one in made]
        labels = [n if names.count(n) == 1 else f"{n} {r.variant}" for n, r in zip(names, made, strict=True)]
        repeated = [label for label in labels if labels.count(label) > 1]
        if repeated:
            raise ParameterError(
                f"two rules are called {repeated[0]!r}", "labels that differ", "pass a mapping by label"
            )
        used = dict(zip(labels, made, strict=True))
    if not used:
        raise DataGapError("no rule", "one or more", "name the rules")
    return used


class _Life:
    """A book along the path: what it holds at a snapshot, and what that has become at the next."""

    def __init__(self, book: Book, first: MarketSnapshot, settlement: Settlement | None) -> None:
        self.settlement = settlement
        self.book = book
        if isinstance(book, Account):
            self.book, _ = settle_expired(entered_at(book, first), first, settlement)

    def step(self, now: MarketSnapshot, later: MarketSnapshot | None) -> tuple[Account, Account | None]:
        """Return the account at a snapshot, and the same holdings at the next one where there is one."""
        account = self.book if isinstance(self.book, Account) else self._set_up(self.book(now), now)
        if later is None:
            return account, None
        paid, _ = funded(account, later, days_between(now.as_of, later.as_of))
        after, _ = settle_expired(paid, later, self.settlement)
        if isinstance(self.book, Account):
            self.book = after
        return account, after

    @staticmethod
    def _set_up(made: Account, snapshot: MarketSnapshot) -> Account:
        if not isinstance(made, Account):
            raise ParameterError(
                f"the book gave a {type(made).__name__} at {snapshot.as_of.isoformat()}",
                "an Account",
                "return pm.Account.from_records(...) or the like",
            )
        # what its futures earn until the next snapshot must be remembered against today's mark
        return entered_at(made, snapshot)


def _row(result: MarginResult, rule: RuleLike, snapshot: MarketSnapshot) -> dict[str, Any]:
    unit = snapshot.usd_price(result.numeraire)
    return {
        "numeraire": result.numeraire,
        "unit": math.nan if result.parts else unit,
        "equity": result.equity * unit,
        "im": result.im_equity * unit,
        "mm": result.mm_equity * unit,
        "excess": result.excess * unit,
        "margin_ratio": result.margin_ratio,
        "status": result.status,
        "call": math.fsum(
            max(0.0, part.im_equity - part.equity) * snapshot.usd_price(part.numeraire)
            for part in _parts(result)
        ),
        "param_set": result.param_set,
        "dated": max((_dated(part, rule, snapshot) for part in _parts(result)), key=DATED.index),
    }


def _outcome(
    result: MarginResult,
    account: Account,
    now: MarketSnapshot,
    after: Account | None,
    later: MarketSnapshot | None,
) -> dict[str, Any]:
    """Return the loss until the next snapshot, and what of it the requirement does not cover."""
    if after is None or later is None:
        return {"loss": math.nan, "breach": False, "beyond": math.nan}
    losses, beyond = [], []
    for part in _parts(result):
        unit = now.usd_price(part.numeraire)
        loss = _worth(account, now, part) - _worth(after, later, part)
        losses.append(loss * unit)
        beyond.append(max(0.0, loss - part.im_equity) * unit)
    return {"loss": math.fsum(losses), "breach": math.fsum(beyond) > 0.0, "beyond": math.fsum(beyond)}


def _parts(result: MarginResult) -> tuple[MarginResult, ...]:
    return tuple(result.parts.values()) or (result,)


def _worth(account: Account, snapshot: MarketSnapshot, part: MarginResult) -> float:
    """Return the equity that a rule counts at full prices, in its numeraire."""
    if part.numeraire != "USD":
        return account.equity(snapshot, part.numeraire)
    left_out = [x * account.price(currency, snapshot) for currency, x in part.not_eligible.items()]
    return account.equity(snapshot) - math.fsum(left_out)


def _dated(part: MarginResult, rule: RuleLike, snapshot: MarketSnapshot) -> str:
    """Return whether the parameter set behind an answer was in force at the snapshot."""
    base = rule.base if isinstance(rule, AssembledRule) else rule
    known = load_parameter_sets(base.name) if base.parameters is None else base.parameters
    name = part.param_set.removesuffix(" (modified)")
    found = [s for s in known if s.id.removesuffix(" (modified)") == name]
    if not found:
        return DATED[0]
    day = snapshot.as_of
    if day.date() < found[0].valid_from:
        return DATED[2]
    return DATED[1] if found[0].age_days(day) > 0.0 else DATED[0]
