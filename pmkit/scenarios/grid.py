"""Hypothetical scenarios: products of spot and vol moves, alike, joint or crossed, and over time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import Dynamics
from pmkit.scenarios.scenario_set import Factor, ScenarioSet, TermScaling

__all__ = ["grid", "grid_over_time", "table"]

Unit = Literal["relative", "log"]
Move = float | Mapping[str, float]


def grid(
    spot: Sequence[float] | Mapping[str, Sequence[float]],
    vol: Sequence[float] | Mapping[str, Sequence[float]] = (0.0,),
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
    vol : sequence of float, or mapping of underlying to sequence
        Moves of implied vol at the reference tenor in ``vol_unit``, the same for all underlyings or by
        underlying, which are then paired or combined as those of spot.
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
    spots = _combined("spot", spot, underlyings, joint)
    names = list(spots[0])
    vols: Sequence[Move] = (
        _combined("vol", vol, names, joint) if isinstance(vol, Mapping) else _numbers("vol", vol)
    )
    rows = [
        (f"{_words('spot', s, spot_unit)}, {_words('vol', v, vol_unit)}", s, v)
        for s, v in itertools.product(spots, vols)
    ]
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
    names = named(underlyings)
    listed = _triples(rows)
    if not listed or not names:
        raise ParameterError(
            f"{len(listed)} rows and {len(names)} underlyings", "at least one of each", "give a move"
        )
    labels = [str(label) for label, _, _ in listed]
    if len(set(labels)) < len(labels):
        repeated = next(x for x in labels if labels.count(x) > 1)
        raise ParameterError(f"scenario {repeated!r} appears twice", "distinct labels", "rename one of them")
    spot_moves = np.array([_moves(s, names, label) for label, s, _ in listed])
    vol_moves = np.array([_moves(v, names, label) for label, _, v in listed])
    factors = tuple(Factor(kind, u) for kind in ("spot", "vol") for u in names)
    return ScenarioSet(
        name=name,
        factors=factors,
        shocks=np.hstack([spot_moves, vol_moves]),
        horizon_days=horizon_days,
        dynamics=dynamics,
        spot_unit=spot_unit,
        vol_unit=vol_unit,
        vol_term=vol_term,
        min_vol_up=min_vol_up,
        labels=tuple(labels),
        provenance=Provenance(method=f"scenarios.{name}", parameters={"rows": len(labels)}),
    )


def grid_over_time(
    horizons: Sequence[float],
    spot: Sequence[float] | Mapping[str, Sequence[float]],
    vol: Sequence[float] | Mapping[str, Sequence[float]] = (0.0,),
    **settings: Any,
) -> dict[float, ScenarioSet]:
    """Return one grid a horizon: spot by vol by time, keyed by the days of ageing.

    A set has one horizon, so that every row of a table of results ages alike; time is therefore a list of
    sets, and ``{h: revalue(book, snapshot, scen) for h, scen in ...}`` is the cube.

    Parameters
    ----------
    horizons : sequence of float
        Days, 0 or more, distinct.
    spot, vol
        As for :func:`grid`.
    **settings
        The other arguments of :func:`grid`; ``name`` gets the days appended.

    Raises
    ------
    ParameterError
        No horizon or the same one twice; others as :func:`grid`.

    Examples
    --------
    >>> sets = grid_over_time([0, 7], [-0.1, 0.1], dynamics="sticky_strike")
    >>> {h: (len(s), s.horizon_days) for h, s in sets.items()}
    {0.0: (2, 0.0), 7.0: (2, 7.0)}
    """
    days = _numbers("horizons", horizons)
    if not days or len(set(days)) < len(days):
        raise ParameterError(f"horizons are {days}", "distinct days, at least one", "correct the list")
    if "horizon_days" in settings:
        raise ParameterError(
            "horizon_days beside horizons", "one of the two", "put the days into the list of horizons"
        )
    name = str(settings.pop("name", "grid"))
    return {h: grid(spot, vol, h, name=f"{name}, {h:g} days", **settings) for h in days}


def _combined(
    what: str, moves: Sequence[float] | Mapping[str, Sequence[float]], names: Sequence[str], joint: bool
) -> list[dict[str, float]]:
    """Return the move of each underlying in every combination."""
    if isinstance(moves, Mapping):
        lists = {str(u): _numbers(f"{what} of {u}", list_) for u, list_ in moves.items()}
    else:
        alike = _numbers(what, moves)
        lists = {u: alike for u in named(names)}
        if not joint:
            raise ParameterError(
                "joint=False with one list for all underlyings",
                "a mapping of underlying to moves",
                "name the moves of each underlying",
            )
    lengths = {u: len(list_) for u, list_ in lists.items()}
    if not lists or min(lengths.values()) == 0 or (joint and len(set(lengths.values())) > 1):
        raise ParameterError(
            f"{what} moves by underlying number {lengths}",
            "at least one move each, equally many where they move jointly",
            "complete the lists, or pass joint=False for all combinations",
        )
    rows = zip(*lists.values(), strict=True) if joint else itertools.product(*lists.values())
    return [dict(zip(lists, row, strict=True)) for row in rows]


def _words(kind: str, moves: Mapping[str, float] | float, unit: str) -> str:
    """Say one move for all, or the move of each."""
    if not isinstance(moves, Mapping):
        return f"{kind} {_percent(moves, unit)}"
    if len(set(moves.values())) == 1:
        return f"{kind} {_percent(next(iter(moves.values())), unit)}"
    return ", ".join(f"{u} {kind} {_percent(x, unit)}" for u, x in moves.items())


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
    if not isinstance(moves, Iterable):
        raise ParameterError(f"{what} is {moves!r}", "a list such as [-0.16, 0.16]", "put it in brackets")
    numbers = []
    for move in [moves] if isinstance(moves, str) else moves:
        if isinstance(move, (str, bytes, bool)) or not hasattr(move, "__float__"):
            raise ParameterError(f"{what} holds the move {move!r}", "a decimal such as -0.16", "correct it")
        numbers.append(float(move))
    return numbers


def named(underlyings: Sequence[str] | str) -> list[str]:
    """Return the underlyings once each; a single name is one underlying, not its letters."""
    return list(dict.fromkeys([underlyings] if isinstance(underlyings, str) else underlyings))


def _triples(rows: Iterable[tuple[str, Move, Move]]) -> list[tuple[str, Move, Move]]:
    """Return the rows, or raise where one is not a label with two moves."""
    listed = list(rows)
    for at, row in enumerate(listed):
        if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 3:
            raise ParameterError(f"row {at} is {row!r}", "a label, a spot move and a vol move", "complete it")
    return listed


def _percent(move: float, unit: str) -> str:
    value = math.expm1(move) if unit == "log" else move
    text = f"{value:+.4%}".rstrip("%").rstrip("0").rstrip(".")
    return f"{text}%"
