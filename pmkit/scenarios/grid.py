"""Hypothetical scenarios: the full product of spot and vol moves, and lists of named moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics, FloatArray
from pmkit.scenarios.scenario_set import Factor, ScenarioSet, TermScaling

__all__ = ["grid", "table"]

Unit = Literal["relative", "log"]
Move = float | Mapping[str, float]


def grid(
    spot: Sequence[float] | Mapping[str, Sequence[float]],
    vol: Sequence[float] = (0.0,),
    horizon_days: float = 0.0,
    *,
    dynamics: Dynamics,
    spot_unit: Unit = "relative",
    vol_unit: Unit = "relative",
    vol_term: TermScaling = TermScaling(),  # noqa: B008 (frozen)
    min_vol_up: float = 0.0,
    underlyings: Sequence[str] = ("BTC", "ETH"),
    joint: bool = True,
    name: str = "grid",
) -> ScenarioSet:
    """Return every combination of spot and vol moves as equally weighted scenarios, spot outermost.

    Parameters
    ----------
    spot : sequence of float, or mapping of underlying to sequence
        Moves in ``spot_unit``. A plain list moves all ``underlyings`` alike. Lists by underlying are paired
        entry by entry where ``joint``, combined in full otherwise.
    vol : sequence of float
        Moves of implied vol at the reference tenor in ``vol_unit``, the same for all underlyings.
    horizon_days : float
        Days of ageing, 0 for instantaneous shocks.
    dynamics : {"sticky_strike", "sticky_moneyness", "sticky_delta"}
        What a spot move does to the smile.
    spot_unit, vol_unit : {"relative", "log"}
    vol_term : TermScaling
        Law by which the vol move reaches other tenors; parallel by default.
    min_vol_up : float
        Floor of the shocked vol where the vol move is positive, decimal.
    underlyings : sequence of str
        Moved alike where ``spot`` is a plain list; ignored otherwise.
    joint : bool
        See ``spot``.
    name : str

    Returns
    -------
    ScenarioSet

    Raises
    ------
    ParameterError
        No moves, a move that takes a price or a vol to 0 or below, or paired lists of unequal length.

    Examples
    --------
    >>> scen = grid([-0.1, 0.0, 0.1], [-0.25, 0.5], dynamics="sticky_strike", underlyings=["BTC"])
    >>> len(scen), scen.label(0)
    (6, 'spot -10%, vol -25%')
    """
    lists = _lists(spot, underlyings, joint)
    names = list(lists)
    combined = zip(*lists.values(), strict=True) if joint else itertools.product(*lists.values())
    rows: list[tuple[str, Mapping[str, float], float]] = []
    for moves, v in itertools.product(list(combined), _numbers("vol", vol)):
        by_name = dict(zip(names, moves, strict=True))
        alike = len(set(moves)) == 1
        words = (
            f"spot {_percent(moves[0], spot_unit)}"
            if alike
            else ", ".join(f"{u} spot {_percent(x, spot_unit)}" for u, x in by_name.items())
        )
        rows.append((f"{words}, vol {_percent(v, vol_unit)}", by_name, v))
    return table(
        rows,
        horizon_days=horizon_days,
        dynamics=dynamics,
        spot_unit=spot_unit,
        vol_unit=vol_unit,
        vol_term=vol_term,
        min_vol_up=min_vol_up,
        underlyings=names,
        name=name,
    )


def table(
    rows: Iterable[tuple[str, Move, Move]],
    horizon_days: float = 0.0,
    *,
    dynamics: Dynamics,
    spot_unit: Unit = "relative",
    vol_unit: Unit = "relative",
    vol_term: TermScaling = TermScaling(),  # noqa: B008 (frozen)
    min_vol_up: float = 0.0,
    underlyings: Sequence[str] = ("BTC", "ETH"),
    name: str = "table",
) -> ScenarioSet:
    """Return a list of named spot and vol moves as equally weighted scenarios.

    Parameters
    ----------
    rows : iterable of (label, spot, vol)
        A number moves all ``underlyings`` alike; a mapping names the move of each, 0 for those it leaves out.
    horizon_days, dynamics, spot_unit, vol_unit, vol_term, min_vol_up, underlyings, name
        As for :func:`grid`.

    Returns
    -------
    ScenarioSet

    Raises
    ------
    ParameterError
        No rows, a repeated label, an unknown underlying, or a move that takes a price or a vol below 0.

    Examples
    --------
    >>> rows = [("crash", -0.5, 0.8), ("rally", {"BTC": 0.3}, 0.0)]
    >>> table(rows, dynamics="sticky_strike", underlyings=["BTC"]).shocks.tolist()
    [[-0.5, 0.8], [0.3, 0.0]]
    """
    names = list(dict.fromkeys(underlyings))
    listed = list(rows)
    if not listed or not names:
        raise ParameterError(
            f"{len(listed)} rows and {len(names)} underlyings", "at least one of each", "give a move"
        )
    if not (
        math.isfinite(horizon_days)
        and horizon_days >= 0.0
        and math.isfinite(min_vol_up)
        and min_vol_up >= 0.0
    ):
        raise ParameterError(
            f"horizon_days {horizon_days!r}, min_vol_up {min_vol_up!r}", "finite, 0 or more", "correct them"
        )
    for unit in (spot_unit, vol_unit):
        if unit not in ("relative", "log"):
            raise ParameterError(f"unit {unit!r}", "'relative' or 'log'", "name one of the two")
    labels = [str(label) for label, _, _ in listed]
    if len(set(labels)) < len(labels):
        repeated = next(x for x in labels if labels.count(x) > 1)
        raise ParameterError(f"scenario {repeated!r} appears twice", "distinct labels", "rename one of them")
    spot_moves = np.array([_moves(s, names, label) for label, s, _ in listed])
    vol_moves = np.array([_moves(v, names, label) for label, _, v in listed])
    _check_floor("spot", spot_moves, spot_unit, labels, strict=True)
    _check_floor("vol", vol_moves, vol_unit, labels, strict=False)
    factors = tuple(Factor(kind, u) for kind in ("spot", "vol") for u in names)
    return ScenarioSet(
        name=name,
        factors=factors,
        shocks=np.hstack([spot_moves, vol_moves]),
        horizon_days=float(horizon_days),
        dynamics=dynamics,
        spot_unit=spot_unit,
        vol_unit=vol_unit,
        vol_term=vol_term,
        min_vol_up=float(min_vol_up),
        labels=tuple(labels),
        provenance=Provenance(method=f"scenarios.{name}", parameters={"rows": len(labels)}),
    )


def _lists(
    spot: Sequence[float] | Mapping[str, Sequence[float]], underlyings: Sequence[str], joint: bool
) -> dict[str, list[float]]:
    """Return the spot moves by underlying."""
    if isinstance(spot, Mapping):
        lists = {str(u): _numbers(f"spot of {u}", moves) for u, moves in spot.items()}
    else:
        joint_moves = _numbers("spot", spot)
        lists = {u: joint_moves for u in dict.fromkeys(underlyings)}
        if not joint:
            raise ParameterError(
                "joint=False with one list for all underlyings",
                "a mapping of underlying to moves",
                "name the moves of each underlying",
            )
    lengths = {u: len(moves) for u, moves in lists.items()}
    if not lists or min(lengths.values()) == 0 or (joint and len(set(lengths.values())) > 1):
        raise ParameterError(
            f"spot moves by underlying number {lengths}",
            "at least one move each, equally many where they move jointly",
            "complete the lists, or pass joint=False for all combinations",
        )
    return lists


def _moves(given: Move, names: Sequence[str], label: str) -> list[float]:
    """Return one move per underlying in the order of ``names``."""
    if isinstance(given, Mapping):
        unknown = [u for u in given if u not in names]
        if unknown:
            raise ParameterError(
                f"scenario {label!r} moves {unknown[0]!r}",
                f"one of {', '.join(names)}",
                "add it to underlyings",
            )
        return _numbers(f"scenario {label!r}", [given.get(u, 0.0) for u in names])
    return _numbers(f"scenario {label!r}", [given]) * len(names)


def _numbers(what: str, moves: Iterable[object]) -> list[float]:
    """Return the moves as floats, or raise naming the one that is none."""
    numbers = []
    for move in [moves] if isinstance(moves, str) else moves:
        if isinstance(move, (str, bytes, bool)) or not hasattr(move, "__float__"):
            raise ParameterError(f"{what} holds the move {move!r}", "a decimal such as -0.16", "correct it")
        numbers.append(float(move))
    return numbers


def _check_floor(what: str, moves: FloatArray, unit: str, labels: Sequence[str], *, strict: bool) -> None:
    """Raise where a relative move leaves a price at 0 or below, or a vol below 0."""
    bad = ~np.isfinite(moves)
    if unit == "relative":
        bad |= (moves <= -1.0) if strict else (moves < -1.0)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ParameterError(
            f"{what} move {moves[row, column]:g} in scenario {labels[row]!r}",
            f"a finite decimal above -1 ({unit})",
            "write -0.16 for 16 per cent down",
        )


def _percent(move: float, unit: str) -> str:
    value = math.expm1(move) if unit == "log" else move
    text = f"{value:+.4%}".rstrip("%").rstrip("0").rstrip(".")
    return f"{text}%"
