"""Marks of many contracts at once: what an account, its requirement and its equity are priced with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76

__all__ = ["option_discounts", "unit_marks"]


def option_discounts(options: Sequence[Option], snapshot: MarketSnapshot) -> FloatArray:
    """Return the discount factor inside the price of each option, 1 for coin-settled ones."""
    return np.array(
        [1.0 if o.is_inverse else snapshot.discount(o.underlying, o.expiry) for o in options],
        dtype=np.float64,
    )


def unit_marks(instruments: Sequence[Instrument], snapshot: MarketSnapshot) -> FloatArray:
    """Return the mark of each contract, coins for inverse options and USD for the rest; options in one call.

    Raises
    ------
    SchemaError
        A contract is unknown to the snapshot or expired.
    DataGapError
        A contract without forward or vol.

    Examples
    --------
    >>> from pmkit.instruments import parse_instrument
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> unit_marks([parse_instrument("BTC-PERPETUAL", snap.as_of)], snap).tolist()
    [50000.0]
    """
    marks = np.zeros(len(instruments))
    rows: list[int] = []
    options: list[Option] = []
    for row, instrument in enumerate(instruments):
        if isinstance(instrument, Option):
            snapshot.check_tradable(instrument)
            rows.append(row)
            options.append(instrument)
        else:
            marks[row] = snapshot.mark(instrument).price
    if options:
        at = {(o.underlying, o.expiry) for o in options}
        seen = {key: (snapshot.forward(*key), snapshot.tau(key[1])) for key in at}
        terms = np.array([seen[o.underlying, o.expiry] for o in options])
        forward = np.ascontiguousarray(terms[:, 0])
        price = black76(
            forward,
            np.array([o.strike for o in options]),
            terms[:, 1],
            snapshot.ivs(options),
            df=option_discounts(options, snapshot),
            is_call=np.array([o.is_call for o in options]),
        )
        inverse = np.array([o.is_inverse for o in options])
        marks[rows] = np.where(inverse, price / forward, price)
    return marks
