"""The sixteen scenarios: price move in scan ranges, sign of the vol move, share of the loss covered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.margin.schemas import SpanParameters

__all__ = ["LABELS", "PAIRS", "ScenarioTable", "scenario_table"]

_THIRDS = (0, 0, 1, 1, -1, -1, 2, 2, -2, -2, 3, 3, -3, -3)
#: scenario of the same price move and the other vol move, by row
PAIRS = (*(row + 1 if row % 2 == 0 else row - 1 for row in range(14)), 14, 15)
#: names of the scenarios as results show them
LABELS = tuple(f"scenario {row}" for row in range(1, 17))


class ScenarioTable(NamedTuple):
    """Moves in scan ranges, signs of the vol move and weights of the loss, shape (16,) each."""

    moves: FloatArray
    vol_signs: FloatArray
    weights: FloatArray


def scenario_table(table: SpanParameters) -> ScenarioTable:
    """Return the sixteen scenarios with the extreme pair of the parameters (clause SPN-3).

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("span")[0].table("ES")
    >>> [round(float(x), 4) for x in scenario_table(table).moves[-4:]]
    [-1.0, -1.0, 3.0, -3.0]
    """
    extreme = table.extreme_multiplier
    moves = np.array([*(third / 3.0 for third in _THIRDS), extreme, -extreme])
    signs = np.array([*(1.0 if row % 2 == 0 else -1.0 for row in range(14)), 0.0, 0.0])
    weights = np.ones(16)
    weights[14:] = table.covered_fraction
    return ScenarioTable(moves, signs, weights)
