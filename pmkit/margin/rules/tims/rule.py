"""``tims``: customer portfolio margin from ten price points and groups of related underlyings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option, Spot
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.listed_rule import BrokerageRule, ListedMarket
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, Step, WorstScenario
from pmkit.margin.rules.tims.groups import GroupCharge, group_vector, scan_group
from pmkit.margin.rules.tims.points import contract_pnl, minimum_of, price_points
from pmkit.margin.schemas import TimsParameters
from pmkit.market.history import PriceHistory

__all__ = ["Tims"]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Members of a product or portfolio group: positions of rows in the level below."""

    name: str
    offset: float
    members: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _TimsBook:
    instruments: tuple[Instrument, ...]
    marks: tuple[float, ...]
    classes: tuple[str, ...]
    #: P&L of one contract, shape (instruments, points)
    unit: FloatArray
    products: tuple[_Group, ...]
    portfolios: tuple[_Group, ...]
    parameters: ParameterSet

    def charge(self, quantities: FloatArray) -> Charge:
        pnl = np.zeros((len(self.classes), self.unit.shape[1]))
        minimum = dict.fromkeys(self.classes, 0.0)
        for row, (instrument, mark) in enumerate(zip(self.instruments, self.marks, strict=True)):
            qty = float(quantities[row])
            pnl[self.classes.index(instrument.underlying)] += qty * self.unit[row]
            table: TimsParameters = self.parameters.table(instrument.underlying)
            minimum[instrument.underlying] += minimum_of(instrument, qty, mark, table.minimum_per_contract)
        product = _combined(pnl, self.products)
        outer = _combined(product, self.portfolios)
        charges: dict[str, GroupCharge] = {}
        maintenance, initial = 0.0, 0.0
        for row, group in enumerate(self.portfolios):
            held = [self.classes[c] for p in group.members for c in self.products[p].members]
            charges[group.name] = found = scan_group(outer[row], math.fsum(minimum[c] for c in held))
            maintenance += found.requirement
            initial += found.requirement * max(self.parameters.table(c).im_factor for c in held)
        labels = [f"point {i}" for i in range(1, pnl.shape[1] + 1)]
        worst = "; ".join(f"{name}: point {c.worst_point}" for name, c in charges.items())
        floors = math.fsum(max(c.requirement - c.scan, 0.0) for c in charges.values())
        return Charge(
            im=initial,
            mm=maintenance,
            addons={"minimum above the scan": floors} if floors > 0.0 else {},
            worst=WorstScenario(worst or "no positions", 0.0 - math.fsum(c.scan for c in charges.values())),
            vector=pd.Series([math.fsum(column) for column in outer.T.tolist()], index=labels),
            steps=self._steps(charges),
            figures={
                "classes": pd.DataFrame(pnl, index=list(self.classes), columns=labels),
                "products": pd.DataFrame(product, index=[g.name for g in self.products], columns=labels),
                "groups": pd.DataFrame.from_dict(
                    {name: c._asdict() for name, c in charges.items()}, orient="index"
                ),
            },
        )

    def _steps(self, charges: Mapping[str, GroupCharge]) -> tuple[Step, ...]:
        offsets = origin(self.parameters, "product_offset", "portfolio_offset", "down", "up")
        steps = []
        for name, charge in charges.items():
            steps += [
                Step("TMS-7", f"{name}: worst point", float(charge.worst_point), "number", offsets),
                Step("TMS-7", f"{name}: scan", charge.scan, "USD", offsets),
                Step(
                    "TMS-8", f"{name}: minimum charges", charge.minimum, "USD",
                    origin(self.parameters, "minimum_per_contract"),
                ),
                Step("TMS-9", f"{name}: requirement", charge.requirement, "USD", offsets),
            ]  # fmt: skip
        steps.append(Step("TMS-4", "move of every implied vol at every point", 0.0, "relative", "assumed"))
        return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class Tims(BrokerageRule):
    """Portfolio margin of US listed options after the risk-based haircuts of the clearing house, in USD.

    Attributes
    ----------
    theoretical : mapping of str to sequence of float
        Values of a contract at the points, lowest price first, USD per unit of underlying. Required for
        options that may be American; used instead of the own pricing wherever they are given.

    Notes
    -----
    Basis ``pnl``: positively homogeneous, sub-additive and convex in the positions. Clauses TMS-1 to TMS-11.

    References
    ----------
    Options Clearing Corporation (2021); Cboe (2007).
    """

    name: ClassVar[str] = "tims"
    basis: ClassVar[Basis] = "pnl"
    citations: ClassVar[tuple[str, ...]] = ("occ2021tims", "sec2002nyse431")
    accepts: ClassVar[tuple[str, tuple[type[Instrument], ...]]] = (
        "stocks, futures and options",
        (Spot, Future, Option),
    )
    money_clause: ClassVar[str] = "TMS-10"

    variant: str = "customer"
    theoretical: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)

    def book(self, seen: ListedMarket) -> _TimsBook:
        """Return the positions with the P&L of one contract at each point."""
        portfolio, parameters = seen.portfolio, seen.parameters
        names = {instrument.name for instrument in portfolio.instruments}
        unknown = [name for name in self.theoretical if name not in names]
        if unknown:
            raise SchemaError(
                f"theoretical values for {unknown[0]!r}", "contracts of the account", "correct the name"
            )
        tables: dict[str, TimsParameters] = {u: parameters.table(u) for u in portfolio.underlyings}
        sizes = {price_points(table).size for table in tables.values()}
        if len(sizes) > 1:
            raise ParameterError(
                f"points_per_side differs between {', '.join(tables)}",
                "one number of points for every underlying of an account",
                "set points_per_side alike",
            )
        unit = np.zeros((len(portfolio), sizes.pop() if sizes else 0))
        for underlying, table in tables.items():
            rows = [row for row, i in enumerate(portfolio.instruments) if i.underlying == underlying]
            held = [portfolio.instruments[row] for row in rows]
            unit[rows] = contract_pnl(held, seen.marks, seen.snapshot, table, self.theoretical)
        classes = tuple(tables)
        products = _grouped(classes, tables, "product")
        outer = {g.name: tables[classes[g.members[0]]] for g in products}
        return _TimsBook(
            instruments=portfolio.instruments,
            marks=tuple(seen.marks[i.name] for i in portfolio.instruments),
            classes=classes,
            unit=unit,
            products=products,
            portfolios=_grouped(tuple(outer), outer, "portfolio"),
            parameters=parameters,
        )

    def given(self, history: PriceHistory | None) -> dict[str, str]:
        """Return the fingerprint of the theoretical values where there are any."""
        if not self.theoretical:
            return {}
        return {"theoretical": fingerprint({k: [float(x) for x in v] for k, v in self.theoretical.items()})}


def _combined(members: FloatArray, groups: tuple[_Group, ...]) -> FloatArray:
    """Return the vectors of the groups, shape (groups, points), from those of their members."""
    found = np.zeros((len(groups), members.shape[1]))
    for row, group in enumerate(groups):
        found[row] = group_vector(members[list(group.members)], group.offset)
    return found


def _grouped(names: tuple[str, ...], tables: Mapping[str, TimsParameters], level: str) -> tuple[_Group, ...]:
    """Return the groups of a level in order of first appearance; a nameless one stands alone."""
    members: dict[str, list[int]] = {}
    offsets: dict[str, set[float]] = {}
    for row, name in enumerate(names):
        group = getattr(tables[name], f"{level}_group") or name
        members.setdefault(group, []).append(row)
        offsets.setdefault(group, set()).add(getattr(tables[name], f"{level}_offset"))
    for group, found in offsets.items():
        if len(found) > 1:
            raise ParameterError(
                f"{level}_offset of group {group!r} is {' and '.join(f'{x:g}' for x in sorted(found))}",
                "one offset a group",
                "set the offsets of its members alike",
            )
    return tuple(
        _Group(name=group, offset=min(offsets[group]), members=tuple(rows)) for group, rows in members.items()
    )
