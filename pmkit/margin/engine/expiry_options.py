"""Options of one expiry under a list of scenarios: rows, vols, the split of the forward, naked shorts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments.contracts import Option
from pmkit.margin.conformance.feeds import ExpiryFeed
from pmkit.margin.engine.risk_matrix import ExpiryOptions, ExpiryTransform, MatrixRow, percent
from pmkit.margin.schemas import ExpiryMatrixParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import TermScaling

__all__ = ["PricedExpiry", "expiry_options", "naked_shorts", "scenario_rows", "shocked_vols"]

_SIGN = {"up": 1.0, "same": 0.0, "down": -1.0, "linear skew": 0.0, "abs skew": 0.0}


def scenario_rows(scenarios: tuple[tuple[Any, ...], ...]) -> tuple[MatrixRow, ...]:
    """Return labelled rows from (move, vol word) or (move, vol word, weight).

    Examples
    --------
    >>> [row.label for row in scenario_rows(((0.18, "up", 1.0), (-0.66, "up", 0.21), (0.0, "abs skew", 1.0)))]
    ['+18%, vol up', '-66% tail, vol up', 'abs skew']
    """
    rows = []
    for move, word, *rest in scenarios:
        weight = rest[0] if rest else 1.0
        skew = word.endswith("skew")
        table = "skew" if skew else "regular" if weight == 1.0 else "tail"
        label = word if skew else f"{percent(move)}{' tail' if table == 'tail' else ''}, vol {word}"
        rows.append(MatrixRow(table, label, move, _SIGN[word], weight))
    return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class PricedExpiry:
    """Options of one expiry with everything that does not depend on quantities."""

    at: IntArray  # positions of its options in the portfolio
    size: FloatArray  # units of underlying per contract
    options: ExpiryOptions
    feed: ExpiryFeed
    marks: FloatArray  # value of one unit without a shock
    values: FloatArray  # options × scenarios
    basis: FloatArray  # options × (up, down)
    transform: ExpiryTransform


def expiry_options(
    held: list[Option], snapshot: MarketSnapshot, feed: ExpiryFeed, window: float, discount: float
) -> ExpiryOptions:
    """Return the options of one expiry with its forward split into what moves and what is fixed."""
    first = held[0]
    tau = snapshot.tau(first.expiry)
    forward = snapshot.forward(first.underlying, first.expiry)
    fixed = feed.fixed
    if fixed is None:
        fixed = forward * max(window - tau * 365.0 * 86_400.0, 0.0) / window
    return ExpiryOptions(
        strike=np.array([o.strike for o in held], dtype=np.float64),
        is_call=np.array([o.is_call for o in held], dtype=bool),
        iv=np.array([snapshot.iv(o) for o in held], dtype=np.float64),
        tau=tau,
        moving=max(forward - fixed, 0.0),
        fixed=min(fixed, forward),
        discount=discount,
    )


def naked_shorts(strikes: FloatArray, sizes: FloatArray) -> float:
    """Return the net short units over strikes, calls and puts of one strike taken together.

    Examples
    --------
    >>> naked_shorts(np.array([50.0, 60.0, 60.0]), np.array([-1.0, -2.0, 0.5]))
    2.5
    """
    held: dict[float, list[float]] = {}
    for strike, size in zip(strikes.tolist(), sizes.tolist(), strict=True):
        held.setdefault(strike, []).append(size)
    return math.fsum(max(-math.fsum(line), 0.0) for line in held.values())


def shocked_vols(
    options: ExpiryOptions, words: Sequence[str], table: ExpiryMatrixParameters, floor: float
) -> FloatArray:
    """Return the shocked vols, shape (options, scenarios); columns of other words keep the marked ones.

    Notes
    -----
    ``up``: ``max(iv (1 + range_up g), floor)``; ``down``: ``iv max(1 - range_down g, 0)``, ``g`` the power
    law in days to expiry.
    """
    scale = TermScaling(
        reference_days=table.vega_reference_days,
        short_power=table.short_term_vega_power,
        long_power=table.long_term_vega_power,
        floor_days=table.vega_floor_days,
    ).scale(options.tau * 365.0)
    up = np.maximum(options.iv * (1.0 + table.volatility_range_up * scale), floor)
    down = options.iv * max(1.0 - table.volatility_range_down * scale, 0.0)
    vols = {"up": up, "down": down}
    return np.stack([vols.get(word, options.iv) for word in words], axis=1)
