"""The problem builder: what is minimised, by trading what, subject to what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Position
from pmkit.margin import Account
from pmkit.margin.study.what_if import traded
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import items_of
from pmkit.optimize.legs import Leg, Legs
from pmkit.optimize.limits import Constraint
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.optimum import Optimum
from pmkit.optimize.terms.base import Outcome, Term, Workspace, quietly
from pmkit.optimize.terms.simple import paid_for
from pmkit.optimize.words import number_of
from pmkit.scenarios.inputs import check_kind

__all__ = ["Problem"]

#: trades below this share of a lot are rounding errors of the solver
_DUST = 1e-7


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Trades that minimise a term under constraints; prints itself, and ``solve()`` returns the optimum.

    Attributes
    ----------
    account : Account
        Before the trades.
    snapshot : MarketSnapshot
    legs : Legs
        What may be traded, with costs and limits.
    objective : Term
        ``Requirement``, ``Shortfall``, ``Variance``, ``Cost``, ``Premium``, ``ExpectedLoss`` or ``Weighted``.
    constraints : tuple of Constraint
        ``Band``, ``AtMost``, ``LongOnly`` or ``NoTrade``.
    whole_lots : bool
        Trade whole lots only.

    Raises
    ------
    ConventionError
        An account, a snapshot, legs or constraints of another kind.
    ParameterError
        A leg whose contract differs from the one held under its name, or constraints of another kind.
    DataGapError, SchemaError
        A contract that the snapshot cannot price.

    Notes
    -----
    Quantities after the trades are ``q + b - s`` with purchases b and sales s of 0 or more. Trades are at the
    marks; what they cost is a term of its own and never enters a requirement.

    Examples
    --------
    >>> from pmkit.margin import rule
    >>> from pmkit.optimize import Requirement, legs_at_cost
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2024-06-17"}
    >>> book, seen = Account.from_records([line]), MarketSnapshot.from_marks("2024-06-17", {"BTC": 50_000.0})
    >>> rest = {"account": book, "snapshot": seen, "legs": legs_at_cost(book.instruments, max_buy=40.0)}
    >>> found = Problem(objective=Requirement(rule("deribit-pm")), **rest).solve()
    >>> found.status, round(found.before, 8), round(found.value, 8)
    ('optimal', 0.00295862, 0.00177517)
    """

    account: Account
    snapshot: MarketSnapshot
    legs: Legs
    objective: Term
    constraints: tuple[Constraint, ...] = ()
    whole_lots: bool = False

    def __post_init__(self) -> None:
        check_kind("account", self.account, Account, "Account.from_csv, or Account(portfolio=...)")
        check_kind("snapshot", self.snapshot, MarketSnapshot, "pmkit.market.load_snapshot")
        check_kind("legs", self.legs, Legs, "legs_from_quotes, legs_at_cost, or Legs(legs=(...))")
        check_kind("whole_lots", self.whole_lots, bool, "write True or False")
        constraints = items_of("constraints", self.constraints, "write (constraint,) for a single one")
        object.__setattr__(self, "constraints", constraints)
        for given in self.constraints:
            if not isinstance(given, Constraint):
                raise ParameterError(
                    f"constraint {given!r}", "Band, AtMost, LongOnly or NoTrade", "build it with one of them"
                )
        if not isinstance(self.objective, Term):
            raise ParameterError(
                f"objective {self.objective!r}",
                "Requirement, Shortfall, Variance, Cost, Premium, ExpectedLoss or Weighted",
                "build it with one of them",
            )
        held = {i.name: i for i in self.account.instruments}
        for leg in self.legs.legs:
            name = leg.instrument.name
            if held.get(name, leg.instrument) != leg.instrument:
                raise ParameterError(
                    f"leg {name} is another contract than the one held",
                    "one contract a name",
                    "correct the leg",
                )
            self.snapshot.mark(leg.instrument)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Everything held or tradable, each once: positions first."""
        found = {i.name: i for i in self.account.instruments}
        found |= {leg.instrument.name: leg.instrument for leg in self.legs.legs}
        return tuple(found.values())

    def describe(self) -> str:
        """Return the problem in words."""
        lots = "in whole lots" if self.whole_lots else "in any size"
        lines = [
            f"Problem of account {self.account.name!r}, {self.snapshot.as_of:%Y-%m-%d %H:%M} UTC",
            f"  minimise    {self.objective.label}",
            f"  by trading  {number_of(len(self.legs.legs), 'contract')} {lots}; costs: {self.legs.source}",
            f"  holding     {number_of(len(self.account.portfolio), 'position')}",
        ]
        texts = [c.text for c in self.constraints] or ["nothing else"]
        lines += [f"  {'subject to' if i == 0 else '':<10}  {text}" for i, text in enumerate(texts)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        return f"<pre>{self.describe()}</pre>"

    # -- the programme --------------------------------------------------------------------------------------
    def workspace(self) -> Workspace:
        """Return the programme with the columns of the trades and nothing else."""
        instruments = self.instruments
        place = {i.name: at for at, i in enumerate(instruments)}
        start = np.zeros(len(instruments))
        for position in self.account.portfolio:
            start[place[position.instrument.name]] = position.qty
        low, high = start.copy(), start.copy()
        model, entries, cost = LinearModel(), [], []
        for leg in self.legs.legs:
            at = place[leg.instrument.name]
            low[at] -= leg.max_sell
            high[at] += leg.max_buy
            chosen: list[tuple[int, float]] = []
            for side, sign, most in (("buy", 1.0, leg.max_buy), ("sell", -1.0, leg.max_sell)):
                columns = self._side(model, leg, side, most)
                entries += [(at, column, sign) for column, _ in columns]
                size = Affine.of([(column, 1.0) for column, _ in columns])
                chosen += self._chosen(model, leg, side, most, size)
                cost += columns
            if chosen:
                # one side at most: a purchase against a sale would be a trade below the smallest
                model.row(Affine.of([(column, 1.0) for column, _ in chosen]), -np.inf, 1.0)
                cost += chosen
        held = Held(
            start=start,
            at=np.array([e[0] for e in entries], dtype=np.int64),
            column=np.array([e[1] for e in entries], dtype=np.int64),
            sign=np.array([e[2] for e in entries], dtype=np.float64),
            low=low,
            high=high,
        )
        return Workspace(model, instruments, held, self.account, self.snapshot, Affine.of(cost))

    def _side(self, model: LinearModel, leg: Leg, side: str, most: float) -> list[tuple[int, float]]:
        """Return columns in contracts with their cost: up to the depth, and beyond it."""
        name = leg.instrument.name
        tiered = leg.cost_beyond > leg.cost and leg.depth < most
        columns = [(model.column(f"{side} {name}", 0.0, leg.depth if tiered else most), leg.cost)]
        if tiered:
            columns.append((model.column(f"{side} {name} beyond", 0.0, most - leg.depth), leg.cost_beyond))
        size = Affine.of([(column, 1.0) for column, _ in columns])
        if self.whole_lots:
            lots = model.column(f"lots {side} {name}", 0.0, most / leg.instrument.lot, integer=True)
            model.row(Affine.total([size, Affine.of([(lots, -leg.instrument.lot)])]), 0.0, 0.0)
        return columns

    @staticmethod
    def _chosen(
        model: LinearModel, leg: Leg, side: str, most: float, size: Affine
    ) -> list[tuple[int, float]]:
        """Return the binary of a trade with its ticket, where there is a smallest size or a ticket."""
        if leg.min_size == 0.0 and leg.ticket == 0.0:
            return []
        model.sharp = True
        chosen = model.column(f"trade {side} {leg.instrument.name}", 0.0, 1.0, integer=True)
        model.row(Affine.total([size, Affine.of([(chosen, -leg.min_size)])]), 0.0, np.inf)
        model.row(Affine.total([size, Affine.of([(chosen, -most)])]), -np.inf, 0.0)
        return [(chosen, leg.ticket)]

    def outcome(self, trades: FloatArray) -> Outcome:
        """Return the account after net trades, contracts by instrument, shape (instruments,)."""
        instruments = self.instruments
        deals = [
            Position(instrument=i, qty=float(t)) for i, t in zip(instruments, trades, strict=True) if t != 0.0
        ]
        with quietly():
            account = traded(self.account, deals, self.snapshot) if deals else self.account
        held = {p.instrument.name: p.qty for p in account.portfolio}
        sizes = {i.name: float(t) for i, t in zip(instruments, trades, strict=True)}
        return Outcome(
            account=account,
            instruments=instruments,
            quantities=np.array([held.get(i.name, 0.0) for i in instruments]),
            snapshot=self.snapshot,
            cost=sum(leg.cost_of(sizes[leg.instrument.name]) for leg in self.legs.legs),
            premium=math.fsum(d.qty * paid_for(d.instrument, self.snapshot) for d in deals),
        )

    def net_trades(self, work: Workspace, point: FloatArray) -> FloatArray:
        """Return the net trade of every instrument at a point, in whole lots where they are due."""
        trades = work.held.quantities(point) - work.held.start
        lots = np.array([i.lot for i in work.instruments])
        rounded = np.asarray(np.round(trades / lots) * lots + 0.0)
        if self.whole_lots:
            return rounded
        whole = np.isin(np.arange(lots.size), list(work.whole))
        return np.where(whole, rounded, np.where(np.abs(trades) < _DUST * lots, 0.0, trades))

    def without(self, dropped: Sequence[int]) -> Problem:
        """Return the problem without the constraints of the given numbers."""
        kept = tuple(c for at, c in enumerate(self.constraints) if at not in set(dropped))
        return replace(self, constraints=kept)

    def solve(self) -> Optimum:
        """Return the optimum with prices, gap and tie-out, or the reason why there is none.

        Returns
        -------
        Optimum
            Its ``status`` is ``optimal``, ``gap``, ``no_trade``, ``lots_too_coarse``, ``infeasible`` or
            ``unbounded``.

        Raises
        ------
        PmkitError
            The rule's own value at the solution differs from the programme's.
        OptionalDependencyError
            Without highspy.
        """
        from pmkit.optimize.solve import solved

        return solved(self)
