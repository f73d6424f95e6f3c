"""What a term is: a convex function of quantities, written into a programme and evaluated apart from it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pmkit.core.errors import (
    LotWarning,
    MarkSourceWarning,
    StaleAccountWarning,
    StaleParametersWarning,
)
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument
from pmkit.margin.accounts.account import Account
from pmkit.market.snapshot import MarketSnapshot
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import LazyRows

__all__ = ["Cuts", "Outcome", "Ratio", "Term", "Workspace", "quietly"]

Cuts = Mapping[str, tuple[float, ...]]
"""Values, rising, at which the range of a ratio is cut, by the name of the ratio."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep back the warnings that the first evaluation of a rule has given already."""
    with warnings.catch_warnings():
        for kind in (StaleParametersWarning, MarkSourceWarning, StaleAccountWarning, LotWarning):
            warnings.simplefilter("ignore", kind)
        yield


@dataclass(frozen=True)
class Outcome:
    """A point of the decision, for evaluation apart from the programme.

    Attributes
    ----------
    account : Account
        After the trades, at marks.
    instruments : tuple of Instrument
    quantities : ndarray, shape (instruments,)
        Signed contracts after the trades.
    snapshot : MarketSnapshot
    cost : float
        USD that the trades cost, spread and fees.
    premium : float
        USD paid at the marks for options and stock.
    """

    account: Account
    instruments: tuple[Instrument, ...]
    quantities: FloatArray
    snapshot: MarketSnapshot
    cost: float
    premium: float = 0.0


@dataclass(frozen=True)
class Ratio:
    """A quotient of expressions that a programme knows between two cuts only.

    Attributes
    ----------
    name : str
    over, under : Affine
        Numerator and denominator, both 0 or more.
    """

    name: str
    over: Affine
    under: Affine


@dataclass
class Workspace:
    """A programme under construction with what its terms need to know.

    Attributes
    ----------
    model : LinearModel
    instruments : tuple of Instrument
        Held and tradable, each once.
    held : Held
        Their quantities as expressions of the columns.
    account : Account
        Before the trades.
    snapshot : MarketSnapshot
    cost : Affine
        USD paid for the trades.
    lazy : list of LazyRows
    whole : set of int
        Instruments that a rule takes in whole lots only.
    paid : bool
        Quantities change by trades at the marks, paid from the balances; False where positions are moved.
    cuts : Cuts or None
        Where the ranges of ratios are cut; None leaves out what is not convex.
    ratios : list of Ratio
        Quotients that the programme has used, for finer cuts.
    apart : bool
        Keep a small distance from points where a charge jumps, so that the rule itself takes the side that
        is meant: solutions are true ones then, while the bound is not.
    partial : bool
        Something is left out although there are cuts.
    """

    model: LinearModel
    instruments: tuple[Instrument, ...]
    held: Held
    account: Account
    snapshot: MarketSnapshot
    cost: Affine
    lazy: list[LazyRows] = field(default_factory=list)
    whole: set[int] = field(default_factory=set)
    paid: bool = True
    cuts: Cuts | None = None
    ratios: list[Ratio] = field(default_factory=list)
    apart: bool = False
    partial: bool = False

    @property
    def columns(self) -> dict[str, int]:
        """Number of every column by name; of equal names the last."""
        return {name: at for at, name in enumerate(self.model.names)}


class Term(ABC):
    """A convex function of the quantities with a name and a unit."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Name in tables and messages."""

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return "USD"

    def unit_for(self, instruments: Sequence[Instrument], account: Account) -> str:
        """Return the unit of the value for the contracts of a problem."""
        return self.unit

    @abstractmethod
    def encode(self, work: Workspace) -> Affine:
        """Return an expression that is at least the term, and equals it where it is pushed down."""

    @abstractmethod
    def value(self, outcome: Outcome) -> float:
        """Return the term at an outcome by its own definition, without the programme."""

    def data(self) -> dict[str, str]:
        """Return fingerprints of what the term brings along, by name."""
        return {}

    def cited(self) -> tuple[str, ...]:
        """Return the keys of the papers behind the term beyond those of every optimum."""
        return ()

    def rounding(self, outcome: Outcome) -> float:
        """Return the largest amount by which the definition itself rounds the value."""
        return 0.0

    def left_out(self, outcome: Outcome) -> float:
        """Return the part of the value that the expression without cuts leaves out; 0 for an exact one."""
        return 0.0
