"""Leverage brackets: tiered maintenance margin of a notional, continuous at every floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import ValidationError

from pmkit.core.errors import ParameterError
from pmkit.margin.schemas.perpetual_venues import BracketRow, BracketsGroup

__all__ = ["Brackets"]


@dataclass(frozen=True, kw_only=True)
class Brackets:
    """Maintenance and initial margin in USD of a position from its notional in USD.

    Attributes
    ----------
    rows : tuple of BracketRow
        Floors from 0, rates of the part of the notional above them, largest leverages.

    Raises
    ------
    ParameterError
        Floors that do not rise from 0, rates that fall, leverages that rise, or a rate above 1/leverage.

    Notes
    -----
    ``MM(N) = N r_i - c_i`` in the bracket i of N, with ``c_1 = 0`` and
    ``c_i = c_(i-1) + floor_i (r_i - r_(i-1))``: each part of the notional is charged at the rate of its own
    bracket, so that MM is continuous, convex and at most proportional to the last rate. The initial margin
    is ``N / leverage`` with the largest leverage of the bracket of the whole notional, or the smaller one
    that the account has chosen: it jumps where a bracket begins.

    Examples
    --------
    >>> table = Brackets.of((0.0, 0.004, 125.0), (50e3, 0.005, 100.0), (250e3, 0.01, 50.0))
    >>> table.cumulative, table.maintenance(300e3), table.initial(300e3)
    ((0.0, 50.0, 1300.0), 1700.0, 6000.0)
    """

    rows: tuple[BracketRow, ...]

    def __post_init__(self) -> None:
        try:
            BracketsGroup(coins=("*",), rows=self.rows)
        except ValidationError as error:
            raise ParameterError(
                error.errors(include_url=False)[0]["msg"],
                "brackets from 0 with rising rates and falling leverages",
                "correct the table",
            ) from None

    @classmethod
    def of(cls, *rows: tuple[float, float, float]) -> Brackets:
        """Return brackets from (floor in USD, maintenance rate, largest leverage)."""
        try:
            table = tuple(BracketRow(floor=f, maintenance_rate=r, max_leverage=x) for f, r, x in rows)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ParameterError(
                f"{where}: {first['msg']}".removeprefix(": "),
                "floors of 0 or more, rates between 0 and 1, leverages of 1 or more",
                "correct the table",
            ) from None
        return cls(rows=table)

    @property
    def cumulative(self) -> tuple[float, ...]:
        """What is taken off ``N r_i`` in each bracket, USD."""
        out, before = [0.0], self.rows[0]
        for row in self.rows[1:]:
            out.append(out[-1] + row.floor * (row.maintenance_rate - before.maintenance_rate))
            before = row
        # amounts of money: rounding of rates must not show
        return tuple(round(x, 9) for x in out)

    def index(self, notional: float) -> int:
        """Return the position of the bracket of a notional; a floor itself belongs to the bracket below.

        Raises
        ------
        ParameterError
            A notional that is negative or not finite.
        """
        if not (math.isfinite(notional) and notional >= 0.0):
            raise ParameterError(f"notional is {notional!r}", "0 USD or more", "give its absolute value")
        floors = np.array([row.floor for row in self.rows])
        return max(int(np.searchsorted(floors, notional, side="left")) - 1, 0)

    def maintenance(self, notional: float) -> float:
        """Return the maintenance margin in USD of a notional in USD."""
        at = self.index(notional)
        return notional * self.rows[at].maintenance_rate - self.cumulative[at]

    def initial(self, notional: float, leverage: float = math.inf) -> float:
        """Return the initial margin in USD: notional over the smaller of the chosen and the allowed leverage.

        Raises
        ------
        ParameterError
            A leverage below 1.
        """
        if not leverage >= 1.0:
            raise ParameterError(f"leverage is {leverage!r}", "1 or more", "correct it")
        return notional / min(leverage, self.rows[self.index(notional)].max_leverage)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a bracket: floor, maintenance_rate, max_leverage, cumulative."""
        frame = pd.DataFrame([row.model_dump() for row in self.rows])
        return frame.assign(cumulative=self.cumulative)
