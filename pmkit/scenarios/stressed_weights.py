"""More weight for stressed days: reweight a set by its dates, or append a stressed set to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.scenarios.combine import concatenate
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.windows import effective_observations

__all__ = ["append_stressed", "stressed_weights"]

Period = tuple[str | pd.Timestamp, str | pd.Timestamp]


def stressed_weights(scenarios: ScenarioSet, periods: Iterable[Period], weight: float = 0.25) -> ScenarioSet:
    """Return the same scenarios with at least ``weight`` on those that contain a day of a stressed period.

    Parameters
    ----------
    scenarios : ScenarioSet
        With dates, from any historical method; its own weights are kept inside and outside the periods.
    periods : iterable of (start, end)
        Days, both included, for example ``[("2020-03-08", "2020-03-20")]``.
    weight : float
        Least total weight of stressed scenarios, from 0 to 1, both excluded. A set that has more keeps it.

    Returns
    -------
    ScenarioSet
        ``n_independent`` is smaller: weight on few days is knowledge of few days.

    Raises
    ------
    DataGapError
        A set without dates, or no scenario in the periods.
    ParameterError
        A weight out of range, a period that ends before it starts, or all scenarios stressed.

    Examples
    --------
    >>> from pmkit.scenarios.scenario_set import Factor
    >>> days = {"dates": np.array([[0], [1]]), "history_dates": pd.date_range("2020-03-12", periods=2)}
    >>> base = ScenarioSet(name="two days", factors=(Factor("spot", "BTC"),), horizon_days=1.0,
    ...     shocks=np.array([[-0.4], [0.1]]), dynamics="sticky_strike", **days)
    >>> stressed_weights(base, [("2020-03-12", "2020-03-12")], 0.75).weights.tolist()
    [0.75, 0.25]
    """
    _check_weight(weight)
    if scenarios.dates is None or scenarios.history_dates is None:
        raise DataGapError(
            f"{scenarios.name!r} carries no dates", "a set made from history", "use append_stressed"
        )
    spans = [_span(period) for period in periods]
    inside = np.zeros(len(scenarios.history_dates), dtype=np.bool_)
    for first, last in spans:
        inside |= np.asarray((scenarios.history_dates >= first) & (scenarios.history_dates <= last))
    marked = inside[scenarios.dates].any(axis=1)
    share = float(np.add.reduce(scenarios.weights[marked]))
    named = "; ".join(f"{a.date()} to {b.date()}" for a, b in spans)
    if not marked.any() or share == 0.0:
        raise DataGapError(
            f"no scenario of {scenarios.name!r} has a day in {named or 'no period'}",
            f"periods between {scenarios.history_dates[0].date()} and {scenarios.history_dates[-1].date()}",
            "name other periods, or append a stressed set with append_stressed",
        )
    if marked.all():
        raise ParameterError(
            f"every scenario has a day in {named}", "calm scenarios too", "name shorter periods"
        )
    target = max(share, weight)
    new = scenarios.weights * np.where(marked, target / share, (1.0 - target) / (1.0 - share))
    return replace(
        scenarios,
        name=f"{scenarios.name}, stressed weights",
        weights=new / np.add.reduce(new),
        n_independent=min(scenarios.n_independent, effective_observations(scenarios.dates, new)),
        provenance=Provenance(
            method="scenarios.stressed_weights",
            data={"scenarios": scenarios.fingerprint, "base": scenarios.provenance.id},
            parameters={"periods": named, "weight": float(weight), "share_before": share},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
        notes=(
            *scenarios.notes,
            f"{int(marked.sum())} scenarios with a day in {named} carry {target:.1%} of the weight, before "
            f"{share:.1%}",
        ),
    )


def append_stressed(base: ScenarioSet, stressed: ScenarioSet, weight: float = 0.25) -> ScenarioSet:
    """Return both sets in one, with ``weight`` on the stressed one.

    Parameters
    ----------
    base, stressed : ScenarioSet
        The same factors (in any order), units, horizon, smile dynamics and term law of vol.
    weight : float
        Total weight of the stressed scenarios, above 0 and below 1.

    Returns
    -------
    ScenarioSet
        ``n_independent`` is ``1 / ((1 - w)^2 / n_base + w^2 / n_stressed)``.

    Raises
    ------
    ConventionError
        Sets that differ in what their numbers mean.
    ParameterError
        A weight out of range.

    Examples
    --------
    >>> from pmkit.scenarios.grid import grid
    >>> calm, wild = (grid(moves, dynamics="sticky_strike") for moves in ([-0.1, 0.1], [-0.6]))
    >>> append_stressed(calm, wild).weights.tolist()
    [0.375, 0.375, 0.25]
    """
    _check_weight(weight)
    joined = concatenate([base, stressed], shares=[1.0 - weight, weight])
    return replace(
        joined,
        provenance=Provenance(
            method="scenarios.append_stressed",
            data={"base": base.fingerprint, "stressed": stressed.fingerprint},
            parameters={"weight": float(weight)},
            seed=base.provenance.seed,
            simulated=base.provenance.simulated or stressed.provenance.simulated,
        ),
        notes=(*joined.notes, f"{stressed.name} carries {weight:.1%} of the weight"),
    )


def _check_weight(weight: float) -> None:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0.0 < weight < 1.0:
        raise ParameterError(f"weight is {weight!r}", "above 0 and below 1", "0.25 is a usual least weight")


def _span(period: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    try:
        first, last = (pd.Timestamp(day).normalize() for day in period)
    except (TypeError, ValueError):
        raise ParameterError(
            f"period is {period!r}", "a pair of days", "('2020-03-08', '2020-03-20')"
        ) from None
    if first > last:
        raise ParameterError(
            f"period {first.date()} to {last.date()} ends before it starts",
            "start, then end",
            "swap the days",
        )
    return first, last
