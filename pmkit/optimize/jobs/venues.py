"""One book on several venues: the split that needs the least margin, against unified and isolated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Position
from pmkit.margin import Account
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.optimum import TIE_OUT
from pmkit.optimize.terms.base import Outcome, Workspace, quietly
from pmkit.optimize.terms.requirement import Requirement
from pmkit.optimize.words import number_of
from pmkit.scenarios.inputs import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VenueSplit", "split_across_venues"]


@dataclass(frozen=True, kw_only=True, repr=False)
class VenueSplit(Result):
    """Where each position lies, and what the same book needs otherwise. Amounts in USD.

    Attributes
    ----------
    status : {"optimal", "gap", "infeasible"}
    words : str
    shares : DataFrame
        Share of every position at every venue, rows sum to 1.
    venues : DataFrame
        One row a venue: ``split`` (its initial margin in the split), ``unified`` (of the whole book there),
        ``isolated`` (sum over positions held alone there), ``capacity``.
    value : float
        Initial margin of the split by the rules themselves.
    programme, bound, gap, rounding : float
    """

    status: str
    words: str
    shares: pd.DataFrame
    venues: pd.DataFrame
    value: float
    programme: float
    bound: float
    gap: float
    rounding: float
    references: tuple[str, ...] = field(default=("huangfu2018",))

    @property
    def unified(self) -> float:
        """Initial margin of the whole book at the venue where it is lowest, USD."""
        return float(self.venues["unified"].min())

    @property
    def isolated(self) -> float:
        """Sum of the initial margins of positions held alone at the venue where the sum is lowest, USD."""
        return float(self.venues["isolated"].min())

    @property
    def netting(self) -> float:
        """Share of the isolated margin that holding the book together saves; it can be negative."""
        return 1.0 - self.unified / self.isolated if self.isolated > 0.0 else math.nan

    @property
    def gain(self) -> float:
        """Margin that the split saves against the best single venue, USD; 0 where splitting only loses."""
        return self.unified - self.value

    def check(self) -> None:
        """Raise where rules and programme differ, or shares do not sum to 1."""
        if self.status == "infeasible":
            return
        allowed = TIE_OUT * max(abs(self.value), 1.0) + self.rounding
        if self.status == "optimal" and abs(self.value - self.programme) > allowed:
            raise PmkitError(
                f"the rules ask {self.value:.12g} and the programme says {self.programme:.12g} USD",
                f"a difference of at most {allowed:.3g}",
                "report this as a bug",
            )
        off = float((self.shares.sum(axis=1) - 1.0).abs().max())
        if off > 1e-8:
            raise PmkitError(f"shares miss 1 by {off:g}", "whole positions", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a venue and the total."""
        frame = self.venues.copy()
        frame.loc["best"] = [self.value, self.unified, self.isolated, math.nan]
        frame.index.name = f"initial margin, USD: {self.status}"
        return frame.round(6)

    def to_frame(self) -> pd.DataFrame:
        """Return the shares."""
        return self.shares.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the margin of split, best single venue and isolated positions as bars, USD."""
        axes = new_axes(ax)
        axes.barh(["split", "unified", "isolated"], [self.value, self.unified, self.isolated])
        axes.invert_yaxis()
        axes.set(xlabel="initial margin, USD", title="One book across venues")
        return axes


def split_across_venues(
    account: Account,
    snapshot: MarketSnapshot,
    venues: Mapping[str, AnyRule],
    *,
    capacity: Mapping[str, float] | None = None,
) -> VenueSplit:
    """Return the shares of every position at every venue that need the least initial margin in sum, USD.

    Parameters
    ----------
    account : Account
        Its collateral is left out: it would have to be split too.
    snapshot : MarketSnapshot
    venues : mapping of str to rule
        Rules that take every position, each one of :func:`optimisable_rules`; a venue may stand twice under
        two names for two accounts.
    capacity : mapping of str to float, optional
        Most initial margin at a venue, USD.

    Returns
    -------
    VenueSplit

    Raises
    ------
    DataGapError
        No venue or no position.
    ConventionError
        The account has obligations, which belong to one venue.
    ParameterError
        A capacity of an unknown venue, or one that is negative; a rule that cannot be optimised.

    Notes
    -----
    ``min sum_v IM_v(x_v)`` with ``x_v = share_v q``. Where every rule is positively homogeneous and
    sub-additive and all are equal, splitting cannot gain. It gains where a charge grows faster than the book,
    as a tail dampener that is granted to every account makes it.
    """
    check_kind("venues", venues, Mapping, "rules by the name of their venue")
    capacity = dict(capacity or {})
    _check(account, venues, capacity)
    positions = [p for p in account.portfolio if p.qty != 0.0]
    instruments = tuple(p.instrument for p in positions)
    start = np.array([p.qty for p in positions], dtype=np.float64)
    bare = replace(account, collateral={})
    model, parts, works = LinearModel(), {}, {}
    with quietly():
        for venue, rule in venues.items():
            columns = np.array([model.column(f"{i.name} at {venue}", 0.0, 1.0) for i in instruments])
            held = Held(
                start=np.zeros(start.size), at=np.arange(start.size), column=columns, sign=start,
                low=np.minimum(start, 0.0), high=np.maximum(start, 0.0),
            )  # fmt: skip
            work = Workspace(model, instruments, held, bare, snapshot, Affine.of([]), paid=False, cuts={})
            term = Requirement(rule)
            parts[venue] = term.encode(work).times(_usd(term, instruments, account, snapshot))
            if work.whole:
                raise ParameterError(
                    f"{venue} takes whole contracts only under {rule.name}",
                    "rules that take any share of a position",
                    "split by hand, or leave the venue out",
                )
            works[venue] = work
            if venue in capacity:
                model.row(parts[venue], -math.inf, capacity[venue], f"capacity {venue}", "USD")
        for line in range(start.size):
            columns_of = [(int(works[v].held.column[line]), 1.0) for v in venues]
            model.row(Affine.of(columns_of), 1.0, 1.0)
        objective = Affine.total(parts.values())
        found = solve_linear(model, objective, [rows for work in works.values() for rows in work.lazy])
        table = pd.DataFrame(
            {
                "split": math.nan,
                "unified": [_margin(r, bare, instruments, start, snapshot)[0] for r in venues.values()],
                "isolated": [_alone(r, bare, instruments, snapshot) for r in venues.values()],
                "capacity": [capacity.get(v, math.inf) for v in venues],
            },
            index=pd.Index(list(venues), name="venue"),
        )
        names = [i.name for i in instruments]
        if found.status != "optimal":
            words = (
                f"infeasible: no split keeps {', '.join(f'{v} to {x:g} USD' for v, x in capacity.items())}"
            )
            empty = pd.DataFrame(
                index=pd.Index(names, name="instrument"), columns=list(venues), dtype="float64"
            )
            return VenueSplit(
                status="infeasible", words=words, shares=empty, venues=table, value=math.nan,
                programme=math.nan, bound=math.nan, gap=math.nan, rounding=0.0,
            )  # fmt: skip
        shares = np.stack([found.point[works[v].held.column] for v in venues], axis=1)
        shares = np.clip(shares, 0.0, 1.0)
        shares /= np.add.reduce(shares, axis=1)[:, None]
        own = [
            _margin(rule, bare, instruments, start * shares[:, at], snapshot)
            for at, rule in enumerate(venues.values())
        ]
    table["split"] = [value for value, _ in own]
    value = math.fsum(value for value, _ in own)
    gap = max(value - found.bound, 0.0) / max(abs(value), 1e-12)
    status = "optimal" if gap <= 1e-6 else "gap"
    made = VenueSplit(
        status=status,
        words=f"{status}: {value:.8g} USD split, {table['unified'].min():.8g} at the best single venue",
        shares=pd.DataFrame(shares, index=pd.Index(names, name="instrument"), columns=list(venues)),
        venues=table,
        value=value,
        programme=found.value,
        bound=found.bound,
        gap=gap,
        rounding=math.fsum(rounding for _, rounding in own),
    )
    made.check()
    return made


def _check(account: Account, venues: Mapping[str, AnyRule], capacity: Mapping[str, float]) -> None:
    if not venues or not any(p.qty for p in account.portfolio):
        raise DataGapError(
            f"{number_of(len(venues), 'venue')} for {number_of(len(account.portfolio), 'position')}",
            "one of each at least",
            "add them",
        )
    if any(x > 0.0 for x in (*account.mmp_margin.values(), *account.open_order_margin.values())):
        raise ConventionError(
            f"account {account.name!r} has market-maker-protection or open-order margin",
            "positions alone: an obligation belongs to the venue that charges it",
            "leave the obligations out",
        )
    for venue, most in capacity.items():
        if venue not in venues or not most >= 0.0:
            raise ParameterError(
                f"capacity of {venue!r} is {most!r} USD",
                f"0 or more, for one of {', '.join(venues)}",
                "correct the mapping",
            )


def _usd(
    term: Requirement, instruments: tuple[Instrument, ...], account: Account, snapshot: MarketSnapshot
) -> float:
    """Return USD per unit of the numeraire."""
    numeraire = term.numeraire(instruments, account)
    return 1.0 if numeraire == "USD" else snapshot.spot(numeraire)


def _margin(
    rule: AnyRule,
    account: Account,
    instruments: tuple[Instrument, ...],
    quantities: FloatArray,
    snapshot: MarketSnapshot,
) -> tuple[float, float]:
    """Return the initial margin by the rule itself, and what it rounds, USD."""
    held = tuple(
        Position(instrument=i, qty=float(q)) for i, q in zip(instruments, quantities, strict=True) if q != 0.0
    )
    alone = account.with_portfolio(account.portfolio.with_positions(held))
    outcome = Outcome(alone, instruments, quantities, snapshot, 0.0)
    term = Requirement(rule)
    unit = _usd(term, instruments, account, snapshot)
    return term.value(outcome) * unit, term.rounding(outcome) * unit


def _alone(
    rule: AnyRule, account: Account, instruments: tuple[Instrument, ...], snapshot: MarketSnapshot
) -> float:
    """Return the sum of the initial margins of positions held alone, USD."""
    unit = _usd(Requirement(rule), instruments, account, snapshot)
    return math.fsum(rule.line_im_equity(account, snapshot).tolist()) * unit
