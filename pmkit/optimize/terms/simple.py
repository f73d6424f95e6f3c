"""Cost of trading, expected profit, and weighted sums of terms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.result import format_number
from pmkit.core.types import FloatArray
from pmkit.optimize.linear.model import Affine
from pmkit.optimize.terms.base import Outcome, Term, Workspace

__all__ = ["Cost", "ExpectedLoss", "Weighted"]


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
    ParameterError
        No part, or a weight that is negative or not finite: a negative one would make the sum non-convex.
    """

    parts: Sequence[tuple[float, Term]]
    of_unit: str = "USD"

    def __post_init__(self) -> None:
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

    def rounding(self, outcome: Outcome) -> float:
        """Return the weighted sum of what the parts round."""
        return math.fsum(weight * part.rounding(outcome) for weight, part in self.parts)

    def left_out(self, outcome: Outcome) -> float:
        """Return the weighted sum of what the expressions do not carry."""
        return math.fsum(weight * part.left_out(outcome) for weight, part in self.parts)
