"""Lists of scenarios from tables: any factors from a frame, or fractions of a scan range from a file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import Dynamics, FloatArray
from pmkit.scenarios.factors import Factor, FactorKind, TermScaling
from pmkit.scenarios.grid import Unit, named, table
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.tables import read_table

__all__ = ["ScanRow", "from_frame", "scan_list"]


class ScanRow(NamedTuple):
    """One line of a list of scan scenarios: label, fractions of price and vol range, share of the loss."""

    label: str
    price: float
    vol: float
    cover: float = 1.0


def from_frame(
    frame: pd.DataFrame,
    *,
    dynamics: Dynamics,
    horizon_days: float = 0.0,
    spot_unit: Unit = "relative",
    vol_unit: Unit = "relative",
    vol_term: TermScaling = TermScaling(),  # noqa: B008 (frozen)
    min_vol_up: float = 0.0,
    name: str = "frame",
) -> ScenarioSet:
    """Return the scenarios of a frame: a row each, a column a factor of any kind, the index its labels.

    Parameters
    ----------
    frame : DataFrame
        Columns are :class:`Factor`, or words such as ``"BTC spot"``, ``"USD rate"``, ``"USDC fx"`` and
        ``"BTC basis 2026-12-25T08:00:00Z"`` (the instant of the expiry). A column ``weight`` holds weights;
        equal where absent. No cell may be empty: write 0 for a factor that does not move.
    dynamics, horizon_days, spot_unit, vol_unit, vol_term, min_vol_up, name
        As for :func:`grid`.

    Returns
    -------
    ScenarioSet

    Raises
    ------
    SchemaError
        A column that names no factor, a cell that is no number, or a label that appears twice.
    ParameterError, ConventionError
        As :class:`ScenarioSet`.

    Examples
    --------
    >>> moves = pd.DataFrame({"BTC spot": [-0.3, 0.2], "USDC fx": [-0.12, 0.0]}, index=["run", "rally"])
    >>> from_frame(moves, dynamics="sticky_strike").label(0)
    'run'
    """
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise SchemaError("no rows or columns", "a frame of moves", "give at least one scenario")
    columns = [c for c in frame.columns if c != "weight"]
    labels = tuple(str(label) for label in frame.index)
    if len(set(labels)) < len(labels):
        twice = next(x for x in labels if labels.count(x) > 1)
        raise SchemaError(f"scenario {twice!r} appears twice", "distinct labels", "rename one of them")
    values = {c: _numbers(frame[c], str(c)) for c in frame.columns}
    weights = values["weight"] if "weight" in values else np.empty(0)
    return ScenarioSet(
        name=name,
        factors=tuple(_factor(c) for c in columns),
        shocks=np.column_stack([values[c] for c in columns]),
        horizon_days=horizon_days,
        dynamics=dynamics,
        spot_unit=spot_unit,
        vol_unit=vol_unit,
        vol_term=vol_term,
        min_vol_up=min_vol_up,
        weights=weights,
        labels=labels,
        provenance=Provenance(
            method="scenarios.from_frame",
            data={"frame": fingerprint(list(labels), [str(c) for c in columns], *values.values())},
        ),
    )


def scan_list(
    source: str | os.PathLike[str] | Sequence[tuple[str, float, float]],
    *,
    price_range: float | Mapping[str, float],
    vol_range: float | tuple[float, float],
    dynamics: Dynamics,
    horizon_days: float | None = None,
    vol_term: TermScaling = TermScaling(),  # noqa: B008 (frozen)
    min_vol_up: float = 0.0,
    underlyings: Sequence[str] = ("BTC", "ETH"),
) -> ScenarioSet:
    """Return a list of scenarios written as fractions of a price range and a vol range, such as SPAN's 16.

    Parameters
    ----------
    source : str, path or sequence of (label, price fraction, vol fraction)
        ``"span-16"``, a ``.toml`` file of the same layout, or the rows themselves.
    price_range : float, or mapping of underlying to float
        Relative price move of fraction 1, positive: 0.16 is ±16 %.
    vol_range : float, or (down, up)
        Relative vol move of fraction -1 and 1, positive.
    dynamics, vol_term, min_vol_up, underlyings
        As for :func:`grid`; a mapping of ranges names its own underlyings.
    horizon_days : float, optional
        That of the file where None, else 0.

    Returns
    -------
    ScenarioSet
        Relative moves, labelled. Where only a share of a loss counts, as in SPAN's extreme rows, ``notes``
        and ``provenance.parameters["cover"]`` say so: the rule applies it, not the set.

    Raises
    ------
    DataGapError
        No shipped list of that name, or no such file.
    ParameterError
        A file or row that makes no sense, a range that is not positive, or a move of -100 % and below.

    References
    ----------
    CME Group, Standard Portfolio Analysis of Risk: the sixteen scenarios.

    Examples
    --------
    >>> span = scan_list("span-16", price_range=0.12, vol_range=0.3, dynamics="sticky_strike")
    >>> len(span), span.label(10), span.shocks[10].round(4).tolist()
    (16, 'price +3/3, vol up', [0.12, 0.12, 0.3, 0.3])
    """
    days = 0.0
    stamp, title = fingerprint(repr(source)), "scan list"
    if isinstance(source, (str, os.PathLike)):
        found, content, where = read_table(source, "scan list", "lists")
        rows, days = _scan_rows(found, where)
        stamp, title = fingerprint(content), str(found["id"])
    else:
        rows = [ScanRow(*row) for row in source]
    ranges = (
        dict(price_range)
        if isinstance(price_range, Mapping)
        else dict.fromkeys(named(underlyings), price_range)
    )
    down, up = vol_range if isinstance(vol_range, tuple) else (vol_range, vol_range)
    for what, value in [*ranges.items(), ("vol down", down), ("vol up", up)]:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
            raise ParameterError(f"range of {what} is {value!r}", "a positive decimal", "0.16 is 16 per cent")
    moves = [
        (row.label, {u: row.price * x for u, x in ranges.items()}, row.vol * (up if row.vol > 0.0 else down))
        for row in rows
    ]
    base = table(
        moves,
        days if horizon_days is None else horizon_days,
        dynamics=dynamics,
        vol_term=vol_term,
        min_vol_up=min_vol_up,
        underlyings=list(ranges),
        name=title,
    )
    cover = {row.label: row.cover for row in rows if row.cover != 1.0}
    record = Provenance(
        method="scenarios.scan_list",
        data={title: stamp},
        parameters={"price_range": ranges, "vol_range": [down, up], "cover": cover},
    )
    said = "; ".join(f"{label}: {share:.0%} of the loss" for label, share in cover.items())
    notes = (f"a rule counts only part of some rows: {said}",) if cover else ()
    return replace(base, provenance=record, notes=notes)


def _scan_rows(found: Mapping[str, Any], where: str) -> tuple[list[ScanRow], float]:
    """Return rows and horizon of a parsed file after checking them."""
    try:
        rows = [ScanRow(str(r[0]), float(r[1]), float(r[2]), float(r[3])) for r in found["rows"]]
        days = float(found["horizon_days"])
        str(found["id"])
    except (KeyError, IndexError, TypeError, ValueError) as problem:
        raise ParameterError(
            f"a scan list cannot be read ({type(problem).__name__}: {problem})",
            "id, horizon_days and rows of label, price fraction, vol fraction, cover",
            "complete the file",
            file=where,
        ) from None
    if any(not 0.0 < row.cover <= 1.0 for row in rows):
        raise ParameterError(
            "a cover outside (0, 1]", "the share of a loss that counts", "correct it", file=where
        )
    return rows, days


def _numbers(column: Any, name: str) -> FloatArray:
    if isinstance(column, pd.DataFrame):
        raise SchemaError(f"column {name!r} appears twice", "distinct columns", "merge them")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        raise SchemaError(
            f"{name} of {column.index[row]!r} is {column.iloc[row]!r}",
            "a finite number",
            "write 0 for a factor that does not move",
            column=name,
        )
    return np.asarray(numbers)


def _factor(column: Any) -> Factor:
    """Return the factor of a column: itself, or the one that its words name."""
    if isinstance(column, Factor):
        return column
    words = str(column).split()
    if len(words) not in (2, 3) or words[1] not in get_args(FactorKind):
        raise SchemaError(
            f"column {column!r} names no factor",
            "an underlying and a kind, such as 'BTC spot' or 'BTC basis 2026-12-25T08:00:00Z'",
            f"use one of the kinds {', '.join(get_args(FactorKind))}",
        )
    expiry = None if len(words) == 2 else _instant(words[2], str(column))
    kind = cast("FactorKind", words[1])
    return Factor(kind, words[0], expiry)


def _instant(text: str, column: str) -> pd.Timestamp:
    try:
        instant = pd.Timestamp(text)
    except ValueError:
        instant = None
    if not isinstance(instant, pd.Timestamp) or instant.tzinfo is None:
        raise SchemaError(
            f"column {column!r} names no instant",
            "ISO 8601 with a time zone",
            "write the expiry as 2026-12-25T08:00:00Z",
        )
    return instant.tz_convert("UTC")
