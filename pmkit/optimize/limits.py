"""What a solution must respect: bands of the greeks, limits of terms, signs, and what may not be touched."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.result import format_number
from pmkit.core.types import FloatArray
from pmkit.instruments import Instrument, Portfolio, Position
from pmkit.margin import exposures
from pmkit.market import MarketSnapshot
from pmkit.optimize.inputs import check_each, check_number
from pmkit.optimize.terms.base import Term, Workspace, quietly
from pmkit.scenarios.inputs import check_kind

__all__ = ["AtMost", "Band", "Constraint", "LongOnly", "NoTrade", "unit_exposures"]

Greek = Literal["delta", "gamma", "vega", "gross_delta", "gross_gamma", "gross_vega"]
_NAMES = "write (name,) for a single contract"
_UNITS = {"delta": "USD", "gamma": "USD", "vega": "USD per vol point"}


def unit_exposures(instruments: tuple[Instrument, ...], snapshot: MarketSnapshot, greek: str) -> FloatArray:
    """Return delta, gamma or vega of one contract of each instrument as :func:`pmkit.margin.exposures`."""
    with quietly():
        ones = Portfolio(
            positions=tuple(Position(instrument=i, qty=1.0) for i in instruments), as_of=snapshot.as_of
        )
        return exposures(ones, snapshot)[greek].to_numpy(dtype=np.float64)


class Constraint(ABC):
    """A condition on the quantities that writes itself into a programme."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The condition in words."""

    @abstractmethod
    def encode(self, work: Workspace) -> None:
        """Add the rows of the condition."""


@dataclass(frozen=True)
class Band(Constraint):
    """A greek of the whole account, or of one underlying of it, between two bounds.

    Attributes
    ----------
    greek : {"delta", "gamma", "vega", "gross_delta", "gross_gamma", "gross_vega"}
        Net, or the sum of the sizes of the lines (``gross``), which takes an upper bound only. In USD as
        :func:`pmkit.margin.exposures`: delta for a relative spot move of 1, gamma its change for a further
        one, vega for one vol point.
    low, high : float
        Minus infinity and infinity for no bound.
    underlying : str
        Empty for the whole account.

    Raises
    ------
    ConventionError
        A bound that is no number.
    ParameterError
        An unknown greek or underlying, no bound, a NaN, a lower bound above the upper one, or one for a gross
        greek.
    """

    greek: Greek
    low: float = -math.inf
    high: float = math.inf
    underlying: str = ""

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            check_number(f"bound of {self.greek}", end)
        if self.greek not in get_args(Greek):
            raise ParameterError(
                f"greek is {self.greek!r}",
                "delta, gamma, vega, gross_delta, gross_gamma or gross_vega",
                "name one of them",
            )
        if not self.low <= self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ParameterError(
                f"band of {self.greek} from {self.low!r} to {self.high!r}",
                "a lower bound that is at most the upper one, and one of them finite",
                "correct the bounds",
            )
        if self.greek.startswith("gross") and self.low > -math.inf:
            raise ParameterError(
                f"{self.greek} has the lower bound {self.low:g}",
                "an upper bound only: a least gross exposure is no convex condition",
                "drop the lower bound",
            )

    @property
    def text(self) -> str:
        """The condition in words."""
        low = "" if math.isinf(self.low) else f"{format_number(self.low, 6)} ≤ "
        high = "" if math.isinf(self.high) else f" ≤ {format_number(self.high, 6)}"
        return f"{low}{self.label}{high} {self.unit}"

    @property
    def label(self) -> str:
        """Name in tables and messages."""
        return f"{self.underlying} {self.greek}".strip().replace("_", " ")

    @property
    def unit(self) -> str:
        """Unit of the bounds."""
        return _UNITS[self.greek.removeprefix("gross_")]

    def encode(self, work: Workspace) -> None:
        """Add one row, and for a gross greek the sizes of the lines."""
        unit = unit_exposures(work.instruments, work.snapshot, self.greek.removeprefix("gross_"))
        if self.underlying:
            own = np.array([i.underlying == self.underlying for i in work.instruments])
            if not own.any():
                raise ParameterError(
                    f"band of {self.greek} of {self.underlying!r}",
                    "an underlying of a contract that is held or tradable",
                    "correct the name, or leave it out for the whole account",
                )
            unit = np.where(own, unit, 0.0)
        if not self.greek.startswith("gross"):
            work.model.row(work.held.weighted(unit), self.low, self.high, self.label, self.unit)
            return
        lines = [work.held.one(int(i), float(unit[i])) for i in np.flatnonzero(unit)]
        work.model.row(work.model.size_of(lines, "line"), -math.inf, self.high, self.label, self.unit)


@dataclass(frozen=True)
class AtMost(Constraint):
    """A term that may not exceed a limit: a budget, a risk tolerance, a requirement.

    Attributes
    ----------
    term : Term
    limit : float
        In the unit of the term.

    Raises
    ------
    ConventionError
        A term or a limit of another kind.
    ParameterError
        A limit that is not finite.
    """

    term: Term
    limit: float

    def __post_init__(self) -> None:
        check_kind("term of a limit", self.term, Term, "Cost(), Requirement(rule), Shortfall(cube), ...")
        check_number(f"limit of {self.term.label}", self.limit)
        if not math.isfinite(self.limit):
            raise ParameterError(
                f"limit of {self.term.label} is {self.limit!r}", "a finite number", "correct it"
            )

    @property
    def text(self) -> str:
        """The condition in words."""
        return f"{self.term.label} ≤ {format_number(self.limit, 6)} {self.term.unit}"

    def encode(self, work: Workspace) -> None:
        """Add one row."""
        expression = self.term.encode(work)
        unit = self.term.unit_for(work.instruments, work.account)
        work.model.row(expression, -math.inf, self.limit, self.term.label, unit)


@dataclass(frozen=True)
class LongOnly(Constraint):
    """Quantities of 0 or more, of the named contracts or of all.

    Attributes
    ----------
    names : tuple of str
        Empty for every contract held or tradable.

    Raises
    ------
    ConventionError
        One string in place of several.
    """

    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", check_each("names", self.names, str, _NAMES))

    @property
    def text(self) -> str:
        """The condition in words."""
        return f"long only: {', '.join(self.names) or 'every contract'}"

    def encode(self, work: Workspace) -> None:
        """Add one row a contract."""
        for at in named(self.names, work, "long only"):
            name = work.instruments[at].name
            expression = work.held.one(at)
            if not expression.columns.size and expression.constant < 0.0:
                raise ParameterError(
                    f"{name} is held short and cannot be traded",
                    "a leg in every short contract that is to be long only",
                    "add the leg, or name the contracts that are meant",
                )
            if expression.columns.size:
                work.model.row(expression, 0.0, math.inf, f"long only {name}", "contracts")


@dataclass(frozen=True)
class NoTrade(Constraint):
    """Contracts that keep the quantity they have.

    Attributes
    ----------
    names : tuple of str

    Raises
    ------
    ConventionError
        One string in place of several.
    ParameterError
        No name.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", check_each("names", self.names, str, _NAMES))
        if not self.names:
            raise ParameterError(
                "no trade in no contract", "one name at least", "leave the constraint out, or name a contract"
            )

    @property
    def text(self) -> str:
        """The condition in words."""
        return f"no trade: {', '.join(self.names)}"

    def encode(self, work: Workspace) -> None:
        """Add one row a contract."""
        for at in named(self.names, work, "no trade"):
            expression = work.held.one(at)
            if expression.columns.size:
                start = float(work.held.start[at])
                work.model.row(expression, start, start, f"no trade {work.instruments[at].name}", "contracts")


def named(names: Iterable[str], work: Workspace, what: str) -> list[int]:
    """Return the instruments behind names, all of them for none, or raise."""
    known = {instrument.name: at for at, instrument in enumerate(work.instruments)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ParameterError(
            f"{what} names {unknown[0]!r}", "contracts that are held or tradable", "correct the name"
        )
    return [known[name] for name in names] or list(known.values())
