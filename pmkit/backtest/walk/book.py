"""A book that is the same every day: constant notional, constant tenor, constant moneyness.

A margin model is judged over years, and over years a real account is many accounts. A constant book takes
that away: at each close it is set up anew with a notional of 1, so that a hit says something about the model
and nothing about the trader. Its P&L per unit of notional comes from full revaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.backtest.walk.legs import PRESETS, Leg, linear_pnl, matrix_of
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.pricing import combine, greeks, option_values
from pmkit.scenarios.scenario_set import TermScaling

__all__ = ["ConstantBook"]

_DAYS_PER_YEAR = 365.0
_NO_SCALING = TermScaling()


@dataclass(frozen=True, kw_only=True, repr=False)
class ConstantBook(Result):
    """A book set up anew at each close with the same legs, its P&L per unit of notional by full revaluation.

    Use it to judge a margin model over a long history. The book is static over the horizon and rebalanced to
    a notional of 1 at the next date.

    Attributes
    ----------
    name : str
    legs : tuple of Leg
        One or more, on one or more underlyings.
    delta_hedged : bool
        Whether perpetuals offset the Black-76 delta of the options of each underlying at each close.
    numeraire : str
        ``"USD"``: P&L in USD per 1 USD of notional. A coin such as ``"BTC"``: P&L in that coin per coin of
        notional; all legs must then be inverse legs on it.

    Raises
    ------
    ParameterError
        No legs.
    ConventionError
        A coin as numeraire with legs that do not settle in it.

    Notes
    -----
    With R the log return of the index over the horizon and forward = index (zero basis, and constant, for
    want of a history of it): a perpetual or future earns e^R - 1 per unit in USD and 1 - e^-R in coin; an
    option earns v(e^R, iv1, tau - days/365) - v(1, iv0, tau) with v the Black-76 value per unit of index,
    divided by e^R or 1 in coin. Under a forward equal to the index, an inverse leg whose coin P&L is turned
    into USD at the new index has the P&L of the linear leg. Smile and term structure of implied vol are flat.

    Examples
    --------
    >>> book = ConstantBook.preset("short_straddle_30d")
    >>> [leg.label for leg in book.legs]
    ['-1 BTC call 30d K/F 1', '-1 BTC put 30d K/F 1']
    >>> moved = book.pnl(np.array([-0.1, 0.0, 0.1]), iv0=[0.7], iv1=np.full((3, 1), 0.7), days=1)
    >>> moved.round(4).tolist()
    [-0.0162, 0.0027, -0.0179]
    """

    name: str
    legs: tuple[Leg, ...]
    delta_hedged: bool = False
    numeraire: str = "USD"

    def __post_init__(self) -> None:
        legs = tuple(self.legs)
        object.__setattr__(self, "legs", legs)
        if not legs:
            raise ParameterError(f"book {self.name!r} has no legs", "one leg or more", "add a leg")
        if self.numeraire != "USD":
            for leg in legs:
                if leg.underlying != self.numeraire or leg.settlement != "inverse":
                    raise ConventionError(
                        f"leg {leg.label} ({leg.settlement}) in a book counted in {self.numeraire}",
                        f"inverse legs on {self.numeraire}, whose P&L arises in that coin",
                        "count the book in USD, or split it by settlement currency",
                    )

    @classmethod
    def from_legs(
        cls,
        legs: Iterable[Leg | Mapping[str, Any]] | pd.DataFrame,
        *,
        name: str = "book",
        delta_hedged: bool = False,
        numeraire: str = "USD",
    ) -> ConstantBook:
        """Return the book of the given legs.

        Parameters
        ----------
        legs : iterable of Leg or mapping, or DataFrame
            Mappings and rows hold the fields of :class:`Leg`; empty cells take the default.
        name, delta_hedged, numeraire
            As in the class.

        Raises
        ------
        SchemaError
            A field that a leg does not have, or one that is missing.

        Examples
        --------
        >>> rows = [{"underlying": "BTC", "kind": "perpetual", "weight": 0.5}]
        >>> ConstantBook.from_legs(rows, name="half").legs[0].label
        '+0.5 BTC perpetual'
        """
        rows: Iterable[Any] = legs.to_dict(orient="records") if isinstance(legs, pd.DataFrame) else legs
        names = [item.name for item in fields(Leg)]
        made = []
        for position, row in enumerate(rows):
            if isinstance(row, Leg):
                made.append(row)
                continue
            given = {str(key): value for key, value in dict(row).items() if not _empty(value)}
            foreign = [key for key in given if key not in names]
            absent = [key for key in ("underlying", "kind", "weight") if key not in given]
            if foreign or absent:
                raise SchemaError(
                    f"leg {position} has {'unknown' if foreign else 'no'} field {(foreign or absent)[0]!r}",
                    f"fields {', '.join(names)}; the first three always",
                    "correct the leg",
                )
            made.append(Leg(**given))
        return cls(name=name, legs=tuple(made), delta_hedged=delta_hedged, numeraire=numeraire)

    @classmethod
    def preset(cls, name: str, *, numeraire: str = "USD") -> ConstantBook:
        """Return a named book: see ``PRESETS`` for what each holds.

        Raises
        ------
        ParameterError
            Unknown name; the message lists the names.

        Examples
        --------
        >>> ConstantBook.preset("long_btc").legs[0].label
        '+1 BTC perpetual'
        """
        if name not in PRESETS:
            raise ParameterError(
                f"no preset book {name!r}", f"one of {', '.join(PRESETS)}", "name one, or use from_legs"
            )
        legs, hedged = PRESETS[name]
        return cls(name=name, legs=legs, delta_hedged=hedged, numeraire=numeraire)

    @cached_property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings in order of their first leg."""
        return tuple(dict.fromkeys(leg.underlying for leg in self.legs))

    @cached_property
    def option_underlyings(self) -> tuple[str, ...]:
        """Underlyings that have options, in order of their first option."""
        return tuple(dict.fromkeys(leg.underlying for leg in self.legs if leg.kind == "option"))

    @property
    def holds_options(self) -> bool:
        """Whether any leg is an option, so that P&L needs implied vols."""
        return bool(self.option_underlyings)

    @cached_property
    def shortest_tenor(self) -> float:
        """Days to expiry of the shortest option; infinite without options."""
        return min(
            (leg.tenor_days or math.inf for leg in self.legs if leg.kind == "option"), default=math.inf
        )

    @property
    def fingerprint(self) -> str:
        """Fingerprint of legs, hedging and numeraire."""
        return fingerprint([asdict(leg) for leg in self.legs], self.delta_hedged, self.numeraire)

    def hedge(self, iv0: npt.ArrayLike) -> FloatArray:
        """Return the weight of the hedging perpetual of each underlying, in the shape of ``iv0``.

        Parameters
        ----------
        iv0 : array-like, shape (underlyings,) or (closes, underlyings)
            Implied vol at the close, annualised decimal.

        Notes
        -----
        Minus the Black-76 delta of the options; in coin minus (delta - coin value), the delta adjusted for
        the premium. Zeros where the book is not hedged.
        """
        vols = np.asarray(iv0, dtype=np.float64)
        weights = np.zeros(np.shape(vols.reshape(-1, len(self.underlyings))))
        if not self.delta_hedged:
            return weights.reshape(vols.shape)
        rows = vols.reshape(-1, len(self.underlyings))
        coin = self.numeraire != "USD"
        for leg in self.legs:
            if leg.kind == "option":
                at = self.underlyings.index(leg.underlying)
                g = greeks(
                    1.0,
                    leg.moneyness,
                    leg.tenor_days / _DAYS_PER_YEAR,  # type: ignore[operator]
                    np.ascontiguousarray(rows[:, at]),
                    is_call=bool(leg.is_call),
                )
                weights[:, at] -= leg.weight * (g.delta - g.price if coin else g.delta)
        return weights.reshape(vols.shape)

    def value(self, iv0: npt.ArrayLike) -> float:
        """Return the value of the options at the close per unit of notional: premium paid, if positive.

        Parameters
        ----------
        iv0 : array-like, shape (underlyings,)
            Implied vol, annualised decimal.
        """
        vols = np.asarray(iv0, dtype=np.float64).reshape(-1)
        one = np.ones(1)
        return math.fsum(
            leg.weight
            * float(self._values(leg, one, vols[self.underlyings.index(leg.underlying)] * one, 0.0)[0])
            for leg in self.legs
            if leg.kind == "option"
        )

    def pnl(
        self,
        log_returns: npt.ArrayLike,
        iv0: npt.ArrayLike,
        iv1: npt.ArrayLike,
        days: float,
        *,
        vol_term: TermScaling | None = None,
        hedge: FloatArray | None = None,
        opening: FloatArray | None = None,
    ) -> FloatArray:
        """Return the P&L of each scenario per unit of notional, gain positive, shape (n,).

        Parameters
        ----------
        log_returns : array-like, shape (n, underlyings) or (n,)
            Log return of the index over the horizon, columns in the order of ``underlyings``.
        iv0 : array-like, shape (underlyings,)
            Implied vol at the close, annualised decimal. Ignored (NaN will do) without options.
        iv1 : array-like, shape (n, underlyings) or (n,)
            Implied vol of the reference tenor at the end of the horizon.
        days : float
            Calendar days by which the options age, less than the shortest tenor.
        vol_term : TermScaling, optional
            How the log move of the reference tenor reaches other tenors; a parallel move where None.
        hedge : ndarray, shape (underlyings,), optional
            What :meth:`hedge` returns for ``iv0``, if it is at hand.
        opening : ndarray, shape (legs,), optional
            What :meth:`opening` returns for ``iv0``, if it is at hand.

        Raises
        ------
        ParameterError
            Shapes that do not fit, or a horizon at which an option has expired.
        """
        count = len(self.underlyings)
        moves = matrix_of("log_returns", log_returns, count)
        if days >= self.shortest_tenor:
            raise ParameterError(
                f"a horizon of {days:g} days reaches the expiry of a {self.shortest_tenor:g}-day option",
                "options that live beyond the horizon",
                "use longer tenors or a shorter horizon",
            )
        coin = self.numeraire != "USD"
        index = np.exp(moves)
        vols0 = np.asarray(iv0, dtype=np.float64).reshape(-1)
        vols1 = matrix_of("iv1", iv1, count) if self.holds_options else moves
        if self.holds_options and (vols0.size != count or vols1.shape != moves.shape):
            raise ParameterError(
                f"iv0 has {vols0.size} values and iv1 shape {vols1.shape} for {moves.shape} returns",
                "one vol an underlying, and one a scenario and underlying",
                "give the vols of all underlyings of the book",
            )
        perpetuals = (self.hedge(vols0) if hedge is None else hedge) if self.delta_hedged else ()
        rows = np.empty((len(self.legs) + len(perpetuals), moves.shape[0]))
        weights = np.array([*(leg.weight for leg in self.legs), *perpetuals])
        for row, leg in enumerate(self.legs):
            at = self.underlyings.index(leg.underlying)
            if leg.kind != "option":
                linear_pnl(moves[:, at], coin, rows[row])
                continue
            shocked = np.ascontiguousarray(vols1[:, at])
            scale = (vol_term or _NO_SCALING).scale(float(leg.tenor_days or 0.0))
            if scale != 1.0:
                shocked = vols0[at] * (shocked / vols0[at]) ** scale
            if opening is None:
                before = float(self._values(leg, np.ones(1), vols0[at : at + 1], 0.0)[0])
            else:
                before = float(opening[row])
            rows[row] = self._values(leg, np.ascontiguousarray(index[:, at]), shocked, days) - before
        for at in range(len(perpetuals)):
            linear_pnl(moves[:, at], coin, rows[len(self.legs) + at])
        return combine(rows, weights)

    def opening(self, iv0: npt.ArrayLike) -> FloatArray:
        """Return the value of one unit of each leg at each close, 0 for what is no option, (closes, legs).

        Parameters
        ----------
        iv0 : array-like, shape (closes, underlyings)
            Implied vol at the close, annualised decimal.
        """
        vols = matrix_of("iv0", iv0, len(self.underlyings))
        values = np.zeros((vols.shape[0], len(self.legs)))
        for column, leg in enumerate(self.legs):
            if leg.kind == "option":
                own = np.ascontiguousarray(vols[:, self.underlyings.index(leg.underlying)])
                values[:, column] = self._values(leg, np.ones(own.size), own, 0.0)
        return values

    def _values(self, leg: Leg, index: FloatArray, iv: FloatArray, days: float) -> FloatArray:
        """Return the option values in the numeraire per unit of notional, index at the close = 1."""
        years = (float(leg.tenor_days or 0.0) - days) / _DAYS_PER_YEAR
        return option_values(index, iv, leg.moneyness, years, bool(leg.is_call), self.numeraire != "USD")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a leg."""
        return pd.DataFrame([asdict(leg) for leg in self.legs])

    def summary(self) -> pd.DataFrame:
        """Return one row a leg, labelled, and one for the hedge where there is one."""
        rows = [leg.label for leg in self.legs]
        if self.delta_hedged:
            rows += [f"perpetual of {name} against the delta, each close" for name in self.underlyings]
        return pd.DataFrame({"leg": rows}).rename_axis(f"{self.name}, in {self.numeraire}")


def _empty(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
