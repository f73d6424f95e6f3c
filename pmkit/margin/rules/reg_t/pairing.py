"""The cheapest admissible pairing: each strategy so many times that every line is used up (clause RGT-2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from pmkit.core.errors import PmkitError
from pmkit.margin.rules.reg_t.strategies import Line, Strategy

__all__ = ["Pairing", "cheapest_pairing"]


class Pairing(NamedTuple):
    """The cost of a pairing in USD and how many units of which strategies it consists of."""

    cost: float
    chosen: tuple[tuple[Strategy, float], ...]


def cheapest_pairing(lines: Sequence[Line], strategies: Sequence[Strategy], initial: bool) -> Pairing:
    """Return the pairing of least initial, or maintenance, margin.

    Parameters
    ----------
    lines : sequence of Line
    strategies : sequence of Strategy
        Among them the single one of every line, so that a pairing exists.
    initial : bool
        Price the strategies with IM, else with MM.

    Returns
    -------
    Pairing

    Raises
    ------
    PmkitError
        The solver found no optimum.

    Notes
    -----
    Minimise ``sum_p c_p x_p`` subject to ``sum_p u_pl x_p = |q_l|`` for every line l, with ``x_p`` a whole
    number of contracts, or a number of shares for stock alone. With pairs only this is the assignment
    problem; butterflies and stock give it ratios, so that it is solved as a mixed-integer program to a gap of
    zero.

    References
    ----------
    Rudd and Schroeder (1982); Huangfu and Hall (2018).
    """
    wanted = np.array([abs(line.qty) for line in lines])
    if not strategies:
        return Pairing(0.0, ())
    cost = np.array([s.im if initial else s.mm for s in strategies])
    columns = np.repeat(np.arange(len(strategies)), [len(s.uses) for s in strategies])
    rows = np.array([row for s in strategies for row in s.uses])
    values = np.array([x for s in strategies for x in s.uses.values()])
    matrix = sparse.csr_array((values, (rows, columns)), shape=(len(lines), len(strategies)))
    whole = np.array([0 if _is_shares(s, lines) else 1 for s in strategies])
    scale = max(float(np.abs(cost).max()), 1.0)
    solved = milp(
        cost / scale,
        constraints=LinearConstraint(matrix, wanted, wanted),
        integrality=whole,
        bounds=Bounds(0.0, np.inf),
        options={"mip_rel_gap": 0.0},
    )
    if solved.x is None:
        raise PmkitError(
            f"no pairing of {len(lines)} lines: {solved.message}", "an optimum", "report this as a bug"
        )
    units = np.where(whole == 1, np.rint(solved.x), solved.x)
    # shares are what the whole contracts leave over, to the digit
    left = wanted - matrix @ np.where(whole == 1, units, 0.0)
    for column, strategy in enumerate(strategies):
        if whole[column] == 0:
            units[column] = left[next(iter(strategy.uses))]
    if float(np.abs(matrix @ units - wanted).max()) > 1e-6:
        raise PmkitError(
            "the pairing in whole contracts leaves contracts over",
            "every line used up",
            "split the account: its quantities are too large to pair exactly",
        )
    chosen = tuple((s, float(n)) for s, n in zip(strategies, units, strict=True) if n > 0.0)
    return Pairing(math.fsum(float(n) * (s.im if initial else s.mm) for s, n in chosen), chosen)


def _is_shares(strategy: Strategy, lines: Sequence[Line]) -> bool:
    return len(strategy.uses) == 1 and lines[next(iter(strategy.uses))].kind == "S"
