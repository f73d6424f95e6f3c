"""Cost of trading, expected profit, and weighted sums of terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.result import format_number
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Option, Position, Spot
from pmkit.margin.accounts.account import Account
from pmkit.margin.study.what_if import booked
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import check_each, check_number, items_of
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.terms.base import Outcome, Term, Workspace
from pmkit.optimize.words import number_of
from pmkit.scenarios.inputs import check_kind

__all__ = ["Cost", "ExpectedLoss", "Premium", "Weighted", "Worst", "paid_for"]


@dataclass(frozen=True)
class Cost(Term):
    """USD paid for the trades: half the spread, what lies beyond the depth at the touch, and fees."""

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return "cost"

    def encode(self, work: Workspace) -> Affine:
        """Return the cost as an expression of the trades."""
        return work.cost

    def value(self, outcome: Outcome) -> float:
        """Return the cost of the net trades, USD."""
        return outcome.cost


def paid_for(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """Return what one contract of an option or stock is paid at its mark, USD; 0 for the others."""
    if not isinstance(instrument, (Option, Spot)):
        return 0.0
    unit = snapshot.spot(instrument.underlying) if instrument.is_inverse else 1.0
    return -booked(Position(instrument=instrument, qty=1.0), snapshot.mark(instrument).price) * unit


@dataclass(frozen=True)
class Premium(Term):
    """Cash paid for the trades at the marks, USD, negative where cash comes in: the capital that they bind.

    Options and stock are paid for; futures and perpetuals change hands for nothing.
    """

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return "premium"

    def encode(self, work: Workspace) -> Affine:
        """Return the premium, linear in the trades."""
        paid = work.held.weighted(np.array([paid_for(i, work.snapshot) for i in work.instruments]))
        return Affine(0.0, paid.columns, paid.coefficients)

    def value(self, outcome: Outcome) -> float:
        """Return what the trades took from the balances, USD."""
        return outcome.premium


@dataclass(frozen=True)
class ExpectedLoss(Term):
    """Minus the expected profit of the positions, USD; negative where a profit is expected.

    Attributes
    ----------
    profit : mapping of str to float
        Expected profit of one contract over the horizon, USD, by name; every instrument needs one.
    """

    profit: Mapping[str, float]

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return "expected loss"

    def encode(self, work: Workspace) -> Affine:
        """Return minus the expected profit, linear in the quantities."""
        return work.held.weighted(-self._unit([i.name for i in work.instruments]))

    def value(self, outcome: Outcome) -> float:
        """Return minus the expected profit at the quantities, USD."""
        unit = self._unit([i.name for i in outcome.instruments])
        return -math.fsum((unit * outcome.quantities).tolist())

    def _unit(self, names: Sequence[str]) -> FloatArray:
        check_kind("profit", self.profit, Mapping, "USD per contract by name")
        for name, value in self.profit.items():
            check_number(f"profit of {name}", value)
        missing = [name for name in names if not math.isfinite(self.profit.get(name, math.nan))]
        if missing:
            raise DataGapError(
                f"no expected profit of {missing[0]}",
                "a finite number in USD for every instrument held or tradable",
                "complete the mapping",
            )
        return np.array([self.profit[name] for name in names], dtype=np.float64)


@dataclass(frozen=True)
class Weighted(Term):
    """A sum of terms with weights of 0 or more; a weight turns a term's unit into the unit of the sum.

    Attributes
    ----------
    parts : sequence of (float, Term)
    of_unit : str
        Unit of the sum, for tables.

    Raises
    ------
    ConventionError
        What is no pair of a number and a term.
    ParameterError
        No part, or a weight that is negative or not finite: a negative one would make the sum non-convex.
    """

    parts: Sequence[tuple[float, Term]]
    of_unit: str = "USD"

    def __post_init__(self) -> None:
        parts = items_of("parts", self.parts, "write pairs: ((1.0, Cost()), ...)")
        for part in parts:
            weight, term = (*items_of("a part", part, "write a pair: (1.0, Cost())"), None, None)[:2]
            check_number("weight of a part", weight)
            check_kind("term of a part", term, Term, "Cost(), Requirement(rule), Shortfall(cube), ...")
        bad = [weight for weight, _ in self.parts if not (math.isfinite(weight) and weight >= 0.0)]
        if bad or not self.parts:
            raise ParameterError(
                f"weights {[weight for weight, _ in self.parts]}",
                "finite numbers, 0 or more: a negative one would ask for more of a cost",
                "correct the weights",
            )

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return " + ".join(f"{format_number(weight, 6)} × {part.label}" for weight, part in self.parts)

    @property
    def unit(self) -> str:
        """Unit of the sum."""
        return self.of_unit

    def encode(self, work: Workspace) -> Affine:
        """Return the weighted sum of the expressions."""
        return Affine.total(part.encode(work).times(weight) for weight, part in self.parts)

    def value(self, outcome: Outcome) -> float:
        """Return the weighted sum of the values."""
        return math.fsum(weight * part.value(outcome) for weight, part in self.parts)

    def data(self) -> dict[str, str]:
        """Return the fingerprints of the parts."""
        return {key: value for _, part in self.parts for key, value in part.data().items()}

    def cited(self) -> tuple[str, ...]:
        """Return the keys of the parts."""
        return tuple(dict.fromkeys(key for _, part in self.parts for key in part.cited()))

    def rounding(self, outcome: Outcome) -> float:
        """Return the weighted sum of what the parts round."""
        return math.fsum(weight * part.rounding(outcome) for weight, part in self.parts)

    def left_out(self, outcome: Outcome) -> float:
        """Return the weighted sum of what the expressions do not carry."""
        return math.fsum(weight * part.left_out(outcome) for weight, part in self.parts)


@dataclass(frozen=True)
class Worst(Term):
    """The largest of several terms of one unit: what a trade must withstand under any of them.

    Attributes
    ----------
    parts : sequence of Term

    Raises
    ------
    ConventionError
        A part that is no term.
    ParameterError
        No part, or parts of different units.
    """

    parts: Sequence[Term]

    def __post_init__(self) -> None:
        check_each("parts", self.parts, Term, "Cost(), Requirement(rule), Shortfall(cube), ...")
        units = {part.unit for part in self.parts}
        if len(units) != 1:
            raise ParameterError(
                f"{number_of(len(self.parts), 'part')} in units {sorted(units)}",
                "one part or more, all of one unit",
                "weigh the parts with Weighted first",
            )

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return f"worst of {', '.join(part.label for part in self.parts)}"

    @property
    def unit(self) -> str:
        """Unit of the parts."""
        return self.parts[0].unit

    def unit_for(self, instruments: Sequence[Instrument], account: Account) -> str:
        """Return the unit of the parts for the contracts of a problem."""
        return self.parts[0].unit_for(instruments, account)

    def encode(self, work: Workspace) -> Affine:
        """Return a column above the expressions of all parts."""
        worst = work.model.column("worst", -np.inf)
        work.model.above(worst, [part.encode(work) for part in self.parts])
        return Affine.of([(worst, 1.0)])

    def value(self, outcome: Outcome) -> float:
        """Return the largest value."""
        return max(part.value(outcome) for part in self.parts)

    def data(self) -> dict[str, str]:
        """Return the fingerprints of the parts, numbered."""
        named = enumerate(self.parts, start=1)
        return {f"{key} ({k})": value for k, part in named for key, value in part.data().items()}

    def cited(self) -> tuple[str, ...]:
        """Return the keys of the parts."""
        return tuple(dict.fromkeys(key for part in self.parts for key in part.cited()))

    def rounding(self, outcome: Outcome) -> float:
        """Return the most that a part rounds."""
        return max(part.rounding(outcome) for part in self.parts)

    def left_out(self, outcome: Outcome) -> float:
        """Return the value less the largest of what the expressions carry."""
        carried = max(part.value(outcome) - part.left_out(outcome) for part in self.parts)
        return self.value(outcome) - carried
