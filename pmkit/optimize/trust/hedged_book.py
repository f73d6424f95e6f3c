"""A callable book whose hedges are decided anew on the past: an optimum that a walk-forward can judge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.optimize.trust.walk import least_shortfall
from pmkit.optimize.words import number_of

__all__ = ["HedgedBook"]


class _Leg(Protocol):
    underlying: str
    weight: float

    @property
    def label(self) -> str: ...


class _Past(Protocol):
    """What a walk-forward shows of the past."""

    position: int
    underlyings: tuple[str, ...]

    def returns(self, last: int | None = None) -> FloatArray: ...
    def dates(self, last: int | None = None) -> pd.DatetimeIndex: ...
    def until(self, date: Any) -> _Past: ...
    def iv(self) -> FloatArray: ...


class _Legs(Protocol):
    """A constant book: legs with weights, and the P&L of log returns."""

    name: str
    legs: tuple[_Leg, ...]
    delta_hedged: bool

    @property
    def fingerprint(self) -> str: ...
    def pnl(self, log_returns: Any, iv0: Any, iv1: Any, days: float) -> FloatArray: ...


@dataclass(frozen=True, kw_only=True)
class HedgedBook:
    """A callable book for ``pmkit.backtest.walk_forward``: hedges of least shortfall on the window before.

    Attributes
    ----------
    book : ConstantBook
        All legs, those that hedge among them.
    most : mapping of int to float
        Largest change of the weight of a hedging leg, by its number in ``book.legs``; positive and finite.
    window : int
        Daily returns that a decision sees.
    every : int
        Dates from one decision to the next, counted from the start of the history.
    level : float
        Of the expected shortfall, 0.5 to below 1.

    Raises
    ------
    ParameterError
        No such leg, a limit that is not positive and finite, a book with a delta hedge of its own, or a
        window without a whole day beyond the level.

    Notes
    -----
    The decision of a date uses the returns up to it, with implied vols held at those of the date and options
    one day older; it stands until the next decision. It follows from the date alone, so that a walk that was
    stopped can be taken up. Costs are not taken off.

    References
    ----------
    Rockafellar and Uryasev (2000), equation 9.

    Examples
    --------
    >>> from pmkit.backtest import ConstantBook, walk_forward
    >>> from pmkit.market import load_history
    >>> rows = [{"underlying": u, "kind": "perpetual", "weight": w} for u, w in (("BTC", 0.0), ("ETH", 1.0))]
    >>> hedged = HedgedBook(book=ConstantBook.from_legs(rows), most={0: 2.0})
    >>> past = load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])
    >>> walk_forward(hedged, past, "hs", "2022-05-01", "2022-05-03").frame["var"].round(4).tolist()
    [0.0616, 0.0616, 0.0616]
    """

    book: Any
    most: Mapping[int, float]
    window: int = 250
    every: int = 20
    level: float = 0.95

    def __post_init__(self) -> None:
        count = len(self.book.legs)
        bad = [k for k, x in self.most.items() if not (0 <= k < count and math.isfinite(x) and x > 0.0)]
        if bad or not self.most:
            raise ParameterError(
                f"most is {dict(self.most)!r} for {number_of(count, 'leg')}",
                "positive finite limits by the number of a leg",
                "name the hedging legs by their place in book.legs",
            )
        if self.book.delta_hedged:
            raise ParameterError(
                f"book {self.book.name!r} is hedged against its delta already",
                "a book without a hedge of its own",
                "add the perpetual as a leg, and let it be decided here",
            )
        if not (
            0.5 <= self.level < 1.0 and (1.0 - self.level) * self.window >= 1.0 - 1e-9 and self.every >= 1
        ):
            raise ParameterError(
                f"window {self.window}, every {self.every}, level {self.level:g}",
                "a window with at least one date beyond a level from 0.5, and a step of 1 or more",
                "use a longer window or a lower level",
            )

    @property
    def name(self) -> str:
        """Name of the legs, with the dates between decisions."""
        return f"{self.book.name}, hedged every {self.every} days"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the legs and of how they are hedged."""
        limits = sorted(self.most.items())
        return fingerprint(self.book.fingerprint, str(limits), self.window, self.every, str(self.level))

    def get_state(self) -> dict[str, Any]:
        """Return nothing: the book follows from the date."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""

    def weights(self, view: _Past) -> FloatArray:
        """Return the weight of every leg as last decided by ``view.as_of``, shape (legs,)."""
        decided = view.until(view.dates()[view.position - view.position % self.every])
        book = cast(_Legs, self.book)
        returns, vols = decided.returns(self.window), decided.iv()
        unit = np.empty((self.window, len(book.legs)))
        for k, leg in enumerate(book.legs):
            u = decided.underlyings.index(leg.underlying)
            alone = replace(self.book, legs=(replace(cast(Any, leg), weight=1.0),))
            same = np.full((self.window, 1), vols[u])
            unit[:, k] = alone.pnl(returns[:, u : u + 1], vols[u : u + 1], same, 1.0)
        start = np.array([leg.weight for leg in book.legs], dtype=np.float64)
        at = np.array(sorted(self.most), dtype=np.int64)
        limit = np.array([self.most[int(k)] for k in at], dtype=np.float64)
        _, change = least_shortfall(unit, start, at, limit, self.level)
        start[at] += change
        return start

    def __call__(self, view: _Past) -> Any:
        """Return the book with the weights that stand at the close of the date."""
        legs = zip(self.book.legs, self.weights(view).tolist(), strict=True)
        return replace(self.book, name=self.name, legs=tuple(replace(leg, weight=w) for leg, w in legs))
