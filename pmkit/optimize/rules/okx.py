"""OKX's risk units as a mixed-integer programme: scans, spans, basis, minimum, offsets and coins in use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, cast

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments import Option
from pmkit.margin.engine.cross_account import Holdings
from pmkit.margin.rules.okx.cells import UnitCells
from pmkit.margin.rules.okx.pm import OkxPm
from pmkit.margin.rules.okx.unit import RiskUnit
from pmkit.margin.schemas import OkxPmParameters
from pmkit.margin.schemas.groups import Tiers, for_coin
from pmkit.optimize.linear.choices import exact_parts, exact_smaller, range_of
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.rules.shared import Encoded, coin_balance, whole_account
from pmkit.optimize.terms.base import Workspace

__all__ = ["encode_okx"]

#: pairs of quotes in the order in which the rule takes their offsets
_PAIRS = (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD"))


class _Book(Protocol):
    held: Holdings
    units: tuple[RiskUnit, ...]
    table: OkxPmParameters


def encode_okx(rule: OkxPm, work: Workspace) -> Encoded:
    """Return IM and MM in USD: ``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7) + MR9`` by unit, and debts.

    Raises
    ------
    ParameterError
        Tiers whose factors fall; a leg without a largest trade where a charge is a choice; a coin-settled
        future with an entry price beside a balance of its coin.

    Notes
    -----
    MR1, MR2, MR5 and MR6 are maxima of affine functions, MR4 and MR7 sums of sizes under rising tiers. The
    offset of vegas in MR3, that of stablecoin deltas in MR9 and the coins in use against a short delta are
    not convex; each kink has a binary. A trade at the mark leaves the equity of every currency as it is, so
    that the charge for debts is a constant.
    """
    account, snapshot = whole_account(work), work.snapshot
    parameters = rule.parameter_set(snapshot)
    book = cast(_Book, rule.book(account, snapshot, parameters))
    t, owed = book.table, _debts(work, book.held, rule.book(work.account, snapshot, parameters).held)
    total = Affine.total(_unit(work, unit, t) for unit in book.units)
    return Encoded(
        im=Affine.total([total.times(t.im_factor), owed.times(t.borrow_im_rate)]),
        mm=Affine.total([total, owed.times(t.borrow_mm_rate)]),
    )


def _debts(work: Workspace, ones: Holdings, now: Holdings) -> Affine:
    """Return what the account owes over its currencies, USD."""
    if work.paid:
        return Affine.of([], math.fsum(max(-float(x), 0.0) for x in now.equity(now.quantities, now.amounts)))
    values = [
        work.held.weighted(np.where(ones.settles == c, -ones.value, 0.0)) for c in range(len(ones.currencies))
    ]
    return work.model.positive_part(values, "debt")


def _unit(work: Workspace, unit: RiskUnit, t: OkxPmParameters) -> Affine:
    """Return the maintenance margin of a unit."""
    model, held, cells = work.model, work.held.part(unit.at), unit.cells
    used = _in_use(work, unit, held) if t.spot_offset else Affine.of([])
    stress = model.column(f"{unit.name} stress")
    rates = model.column(f"{unit.name} rates")
    for k, scenario in enumerate(unit.scenarios):
        gain = Affine.total([held.weighted(cells.pnl[:, k]), used.times(unit.spot * scenario.move)])
        share = t.extreme_share if scenario.measure == "MR6" else 1.0
        model.above(rates if scenario.measure == "MR5" else stress, [gain.times(-share)])
    core = [Affine.of([(stress, 1.0), (rates, 1.0)]), _vega_span(model, held, cells, t.vega_span_points)]
    annual, least = for_coin(t.basis_annual, unit.coin).rate, for_coin(t.basis_minimum, unit.coin).rate
    by_expiry = _grouped(held, cells.expiries, cells.delta)
    tau = dict(zip(cells.expiries, cells.tau.tolist(), strict=True))
    moves = [max(annual * tau[name], least) for name in by_expiry]
    core.append(
        model.size_of([d.times(m) for d, m in zip(by_expiry.values(), moves, strict=True)], "basis move")
    )
    minimum_rate = for_coin(t.minimum_rate, unit.coin).rate
    lines = [held.one(i, minimum_rate * float(d)) for i, d in enumerate(cells.delta)]
    minimum = _tiered(model, model.size_of(lines, "line"), for_coin(t.minimum_tiers, unit.coin), unit.name)
    required = model.column(f"{unit.name} maintenance")
    model.above(required, [Affine.total(core), minimum])
    return Affine.total([Affine.of([(required, 1.0)]), _offsets(model, held, unit, t)])


def _grouped(held: Held, groups: Sequence[str], values: FloatArray) -> dict[str, Affine]:
    """Return the sum of quantities times values by group."""
    names = np.array(groups)
    return {g: held.weighted(np.where(names == g, values, 0.0)) for g in dict.fromkeys(groups)}


def _in_use(work: Workspace, unit: RiskUnit, held: Held) -> Affine:
    """Return the coins of the balance that offset a short delta."""
    model, coin = work.model, unit.coin
    entries = {p.instrument.name: p for p in work.account.portfolio}
    tradable = set(work.held.at.tolist())
    # a line that is paid for at the mark, as an option is, brings no profit with it
    profits = [
        i.name
        for at, i in enumerate(work.instruments)
        if i.settlement_currency == coin
        and at in tradable
        and not (isinstance(i, Option) and work.paid)
        and i.name in entries
        and entries[i.name].entry_price is not None
    ]
    balance = coin_balance(work, coin)
    if range_of(model, balance)[1] <= 0.0:
        return Affine.of([])
    if profits:
        raise ParameterError(
            f"{profits[0]} has an entry price beside a balance of {coin}",
            "its profit settled to the balance: a trade settles it at once, and the coins in use jump",
            "add the profit to the balance and leave the entry price out",
        )
    short = held.weighted(-unit.cells.delta / unit.spot)
    least = exact_smaller(model, balance, short, f"{unit.name} coins against delta")
    return exact_parts(model, least, f"{unit.name} coins in use")[0]


def _vega_span(model: LinearModel, held: Held, cells: UnitCells, points: float) -> Affine:
    """Return half the points times gross less net size of the vegas of expiries."""
    groups = _grouped(held, cells.expiries, cells.vega).values()
    vegas = [v for v in groups if v.coefficients.any() or v.constant]
    if points == 0.0 or len(vegas) < 2:
        return Affine.of([])
    gross = model.size_of(vegas, "vega of an expiry")
    above, below = exact_parts(model, Affine.total(vegas), "net vega")
    return Affine.total([gross, above.times(-1.0), below.times(-1.0)]).times(points / 2.0)


def _tiered(model: LinearModel, amount: Affine, tiers: Tiers, what: str) -> Affine:
    """Return the sum over the parts of an amount of part times factor, convex as the factors rise."""
    if any(b < a for a, b in pairwise(tiers.factors)):
        raise ParameterError(
            f"factors {list(tiers.factors)} of {what} fall",
            "tiers whose factors rise: a charge that falls with size is no convex one",
            "use other parameters",
        )
    charge = model.column(f"tiers of {what}")
    constant = 0.0
    for at, (floor, factor) in enumerate(zip(tiers.floors, tiers.factors, strict=True)):
        constant -= floor * (factor - (tiers.factors[at - 1] if at else 0.0))
        model.above(charge, [Affine.total([amount.times(factor), Affine.of([], constant)])])
    return Affine.of([(charge, 1.0)])


def _offsets(model: LinearModel, held: Held, unit: RiskUnit, t: OkxPmParameters) -> Affine:
    """Return the charge for deltas that offset across quotes."""
    deltas = _grouped(held, unit.quotes, unit.cells.delta)
    if len(deltas) < 2 or not any(f for band in t.depeg_bands for f in band.factors):
        return Affine.of([])
    left = {q: list(exact_parts(model, d, f"{unit.name} delta in {q}")) for q, d in deltas.items()}
    charges = []
    for one, other in _PAIRS:
        if one not in left or other not in left:
            continue
        price = unit.prices.get(one, 1.0) / unit.prices.get(other, 1.0)
        band = next(b for b in t.depeg_bands if price >= b.price_from)
        sizes = []
        for side in (0, 1):
            what = f"offset of {one} and {other}"
            offset = exact_smaller(model, left[one][side], left[other][1 - side], what)
            left[one][side] = Affine.total([left[one][side], offset.times(-1.0)])
            left[other][1 - side] = Affine.total([left[other][1 - side], offset.times(-1.0)])
            sizes.append(offset)
        charges.append(_tiered(model, Affine.total(sizes), band, f"{one} against {other}"))
    return Affine.total(charges)
