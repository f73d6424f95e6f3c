"""Checks of quoted numbers: signs, units, and the flags that go into the ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from pmkit.core.errors import ConventionError, PmkitError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual
from pmkit.market.tables import Cells

__all__ = [
    "check_coin_prices",
    "check_futures",
    "check_perpetuals",
    "check_signs_and_vols",
    "flags",
    "refuse",
]

#: A future or perpetual further than this factor from the middle of its like is in another unit, or a slip.
_FARTHEST = 2.0


def refuse(
    cells: Cells,
    position: int,
    column: str,
    found: str,
    expected: str,
    remedy: str,
    error: type[PmkitError] = SchemaError,
) -> NoReturn:
    """Raise the error of one cell, with file, row and column."""
    raise error(found, expected, remedy, file=cells.source, row=cells.row(position), column=column)


def check_signs_and_vols(
    cells: Cells, instruments: list[Instrument], values: dict[str, FloatArray], columns: dict[str, str]
) -> None:
    """Refuse negative numbers, and implied vols that look like percent."""
    for key, array in values.items():
        negative = np.flatnonzero(array < 0.0)
        if negative.size:
            i = int(negative[0])
            refuse(
                cells,
                i,
                columns[key],
                f"{columns[key]} of {instruments[i].name} is {array[i]:g}",
                "a number that is not negative",
                "correct the cell",
            )
    for key in ("iv_bid", "iv_ask"):
        percent = np.flatnonzero(values.get(key, np.empty(0)) > 5.0)
        if percent.size:
            i = int(percent[0])
            refuse(
                cells,
                i,
                key,
                f"implied vol of {instruments[i].name} is {values[key][i]:g}: looks like percent",
                "a decimal such as 0.55",
                "divide by 100",
                ConventionError,
            )


def check_perpetuals(
    cells: Cells, instruments: list[Instrument], bid: FloatArray, ask: FloatArray, columns: dict[str, str]
) -> None:
    """Refuse a perpetual without both sides: its mid stands for the index."""
    for i, contract in enumerate(instruments):
        if not isinstance(contract, Perpetual):
            continue
        for side, array in (("bid", bid), ("ask", ask)):
            if not np.isfinite(array[i]):
                refuse(
                    cells,
                    i,
                    columns[side],
                    f"{side} of {contract.name} is missing or zero",
                    "a two-sided quote in USD: it stands for the index",
                    "add the quote",
                )
        if bid[i] > ask[i]:
            refuse(
                cells,
                i,
                columns["bid"],
                f"bid {bid[i]:g} of {contract.name} is above its ask {ask[i]:g}",
                "a bid at or below the ask: the mid stands for the index",
                "correct the two sides",
            )


def check_futures(
    cells: Cells, instruments: list[Instrument], bid: FloatArray, ask: FloatArray, columns: dict[str, str]
) -> None:
    """Refuse a future or perpetual whose mid is far from the median of those of its underlying."""
    mid = 0.5 * (bid + ask)
    rows: dict[str, list[int]] = {}
    for i, contract in enumerate(instruments):
        if isinstance(contract, (Future, Perpetual)) and bid[i] <= ask[i]:
            rows.setdefault(contract.underlying, []).append(i)
    for underlying, at in rows.items():
        middle = float(np.median(mid[at]))
        for i in at:
            if len(at) > 1 and not 1.0 / _FARTHEST <= mid[i] / middle <= _FARTHEST:
                refuse(
                    cells,
                    i,
                    columns["bid"],
                    f"mid of {instruments[i].name} is {mid[i]:g}",
                    f"a price in USD near {middle:g}, the median of the {len(at)} futures of {underlying}",
                    "correct the quote, or its unit",
                    ConventionError,
                )


def check_coin_prices(
    cells: Cells, instruments: list[Instrument], bid: FloatArray, ask: FloatArray, columns: dict[str, str]
) -> None:
    """Refuse option prices that no coin premium can have: a call at 1 or more, a put far above K/F."""
    level: dict[str, float] = {}
    for i, contract in enumerate(instruments):
        if not isinstance(contract, Option) and np.isfinite(ask[i]):
            level.setdefault(contract.underlying, float(ask[i]))
            if isinstance(contract, Perpetual):
                level[contract.underlying] = float(ask[i])
    for i, contract in enumerate(instruments):
        if not isinstance(contract, Option):
            continue
        reference = level.get(contract.underlying)
        top = 1.0 if contract.is_call or reference is None else 1.5 * contract.strike / reference
        for side, array in (("bid", bid), ("ask", ask)):
            if array[i] >= top and (contract.is_call or reference is not None):
                refuse(
                    cells,
                    i,
                    columns[side],
                    f"{side} of {contract.name} is {array[i]:g}: looks like USD",
                    f"a premium in {contract.underlying} below {top:.4g}",
                    "divide the USD premium by the forward",
                    ConventionError,
                )


def flags(names: Sequence[str], bid: FloatArray, ask: FloatArray) -> list[tuple[str, str, str]]:
    """Return ledger rows of missing and crossed sides."""
    rows = []
    for name, b, a in zip(names, bid.tolist(), ask.tolist(), strict=True):
        if math.isnan(b) and math.isnan(a):
            rows.append((name, "no_quote", "neither bid nor ask"))
        elif math.isnan(b):
            rows.append((name, "no_bid", f"ask {a:g}"))
        elif math.isnan(a):
            rows.append((name, "no_ask", f"bid {b:g}"))
        elif b > a:
            rows.append((name, "crossed", f"bid {b:g} above ask {a:g}"))
    return rows
