"""Price points of an underlying and the P&L of one contract at each (clauses TMS-2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.accounts.contract_marks import option_discounts
from pmkit.margin.schemas import TimsParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76

__all__ = ["contract_pnl", "minimum_of", "price_points"]


def price_points(table: TimsParameters) -> FloatArray:
    """Return the relative moves of the underlying, ascending, zero left out.

    Returns
    -------
    ndarray, shape (2 × points_per_side,)
    """
    n = table.points_per_side
    steps = np.arange(1, n + 1, dtype=np.float64) / n
    return table.leverage * np.concatenate([-table.down * steps[::-1], table.up * steps])


def contract_pnl(
    instruments: Sequence[Instrument],
    marks: Mapping[str, float],
    snapshot: MarketSnapshot,
    table: TimsParameters,
    theoretical: Mapping[str, Sequence[float]],
) -> FloatArray:
    """Return the P&L of one contract of each instrument at each point, gain positive.

    Parameters
    ----------
    instruments : sequence of Instrument
        Stocks, futures and options of one underlying.
    marks : mapping of str to float
        Marks by name of the contract.
    snapshot : MarketSnapshot
    table : TimsParameters
    theoretical : mapping of str to sequence of float
        Values of contracts at the points per unit of underlying; they win over the own pricing.

    Returns
    -------
    ndarray, shape (instruments, points)

    Raises
    ------
    DataGapError
        An option that may be American, without theoretical values.
    SchemaError
        Theoretical values of another number than the points, or not finite.
    """
    moves = price_points(table)
    unit = np.zeros((len(instruments), moves.size))
    priced: list[tuple[int, Option]] = []
    for row, instrument in enumerate(instruments):
        price = marks[instrument.name]
        if instrument.name in theoretical:
            unit[row] = _given(instrument.name, theoretical[instrument.name], moves.size) - price
        elif not isinstance(instrument, Option):
            # the index and every future move by the same relative amount
            unit[row] = price * moves
        elif table.european:
            priced.append((row, instrument))
        else:
            raise DataGapError(
                f"option {instrument.name} may be exercised early; the own pricing is of European options",
                f"its theoretical values at the {moves.size} points",
                "pass theoretical={name: values}, as the clearing house publishes them",
            )
    if priced:
        options = [option for _, option in priced]
        months = {o.expiry for o in options}
        at = {e: (snapshot.forward(options[0].underlying, e), snapshot.tau(e)) for e in months}
        values = black76(
            np.outer([at[o.expiry][0] for o in options], 1.0 + moves),
            np.array([[o.strike] for o in options]),
            np.array([[at[o.expiry][1]] for o in options]),
            np.array([[snapshot.iv(o)] for o in options]),
            df=option_discounts(options, snapshot)[:, None],
            is_call=np.array([[o.is_call] for o in options]),
        )
        today = np.array([[marks[o.name]] for o in options])
        unit[[row for row, _ in priced]] = np.asarray(values) - today
    unit *= np.array([[i.multiplier] for i in instruments])
    return unit


def _given(name: str, theoretical: Sequence[float], points: int) -> FloatArray:
    values = np.asarray(theoretical, dtype=np.float64)
    if values.shape != (points,) or not np.isfinite(values).all():
        raise SchemaError(
            f"theoretical values of {name} have shape {values.shape}",
            f"{points} finite values, one a point from the lowest price to the highest",
            "correct the values",
        )
    return values


def minimum_of(instrument: Instrument, qty: float, mark: float, per_contract: float) -> float:
    """Return the minimum charge of a position in USD: options only, for longs at most their market value."""
    if not isinstance(instrument, Option):
        return 0.0
    unit = per_contract if qty < 0.0 else min(per_contract, mark)
    return abs(qty) * instrument.multiplier * unit
