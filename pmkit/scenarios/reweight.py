"""The same scenarios, some left out or weighted otherwise: filter, given weights, age."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray
from pmkit.scenarios.scenario_set import ScenarioSet
from pmkit.scenarios.windows import effective_observations

__all__ = ["Mask", "Predicate", "Weights", "aged", "filtered_rows", "reweighted"]

Mask = npt.NDArray[np.bool_] | Sequence[bool] | pd.Series
Predicate = Callable[[pd.DataFrame], Any]
Weights = npt.ArrayLike | Mapping[str, float]


def filtered_rows(scenarios: ScenarioSet, keep: Mask | Predicate, name: str | None = None) -> ScenarioSet:
    """Return the scenarios that pass, as :meth:`ScenarioSet.filter` says."""
    mask = np.asarray(keep(scenarios.to_frame()) if callable(keep) else keep)
    if mask.dtype != np.bool_ or mask.shape != (len(scenarios),):
        raise ParameterError(
            f"a mask of {mask.dtype} and shape {mask.shape}",
            f"{len(scenarios)} truth values, one a scenario",
            "compare a column of to_frame(), for example lambda f: f['BTC spot'] < -0.1",
        )
    rows = np.flatnonzero(mask)
    share = float(np.add.reduce(scenarios.weights[rows])) if rows.size else 0.0
    if share == 0.0:
        raise DataGapError(
            f"no scenario of {scenarios.name!r} with weight passes the filter",
            "at least one",
            "loosen the condition",
        )
    kept = scenarios.subset(rows, name)
    return _changed(
        kept,
        scenarios,
        "scenarios.filter",
        {"kept": int(rows.size), "rows": fingerprint(rows)},
        f"{rows.size:,} of {len(scenarios):,} scenarios are kept; they had {share:.3%} of the weight",
        scenarios.n_independent * share,
    )


def reweighted(scenarios: ScenarioSet, weights: Weights, *, normalise: bool = False) -> ScenarioSet:
    """Return the same scenarios with other weights, as :meth:`ScenarioSet.with_weights` says."""
    if isinstance(weights, Mapping):
        names = scenarios.labels
        if names is None or set(weights) != set(names):
            odd = sorted(set(weights) ^ set(names or ()))[:6]
            raise ParameterError(
                f"weights by name do not fit {scenarios.name!r}: {', '.join(odd) or 'no labels'}",
                "one weight for each label",
                "correct the names, or give an array",
            )
        given = np.array([weights[name] for name in names], dtype=np.float64)
    else:
        try:
            given = np.array(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError(
                f"weights of type {type(weights).__name__}", "numbers, one a scenario", "correct them"
            ) from None
    if normalise and given.size and np.isfinite(given).all():
        total = float(np.add.reduce(given.ravel()))
        given = given / total if total > 0.0 else given
    new = replace(scenarios, weights=_not_empty(given))
    return _changed(
        new,
        scenarios,
        "scenarios.with_weights",
        {"weights": fingerprint(given), "normalise": normalise},
        "weights were given",
        scenarios.n_independent * _evenness(new.weights, scenarios.weights),
    )


def aged(scenarios: ScenarioSet, decay: float) -> ScenarioSet:
    """Return the same scenarios, older ones with less weight, as :meth:`ScenarioSet.age` says."""
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0.0 < decay <= 1.0:
        raise ParameterError(f"decay is {decay!r}", "above 0 and at most 1", "0.98 or 0.99 is usual")
    if scenarios.dates is None or scenarios.history_dates is None:
        raise DataGapError(
            f"{scenarios.name!r} carries no dates", "a set made from history", "give weights: with_weights"
        )
    newest = scenarios.dates.max(axis=1)
    age = (int(newest.max()) - newest).astype(np.float64)
    raw = scenarios.weights * decay**age
    total = float(np.add.reduce(raw))
    return _changed(
        replace(scenarios, weights=raw / total),
        scenarios,
        "scenarios.age",
        {"decay": float(decay)},
        f"weights fall with age by {decay:g} a day of the history; the oldest scenario is "
        f"{age.max():g} days old",
        scenarios.n_independent,
        ("boudoukh1998",),
    )


def _evenness(weights: FloatArray, before: FloatArray) -> float:
    """Return the share of equal weights that other weights are worth, at most 1."""
    return min(1.0, float(np.add.reduce(before * before) / np.add.reduce(weights * weights)))


def _not_empty(given: FloatArray) -> FloatArray:
    """Return the weights, or NaN for none: an empty array would mean equal weights."""
    return given if given.size else np.full(1, np.nan)


def _changed(
    new: ScenarioSet,
    base: ScenarioSet,
    method: str,
    parameters: Mapping[str, Any],
    note: str,
    n_independent: float,
    references: tuple[str, ...] = (),
) -> ScenarioSet:
    """Return the set with a record of what was done; days with weight bound what it knows."""
    if new.dates is not None:
        n_independent = min(n_independent, effective_observations(new.dates, new.weights))
    return replace(
        new,
        n_independent=n_independent,
        provenance=Provenance(
            method=method,
            data={"scenarios": base.fingerprint, "base": base.provenance.id},
            parameters=parameters,
            seed=base.provenance.seed,
            simulated=base.provenance.simulated,
        ),
        notes=(*base.notes, note),
        references=tuple(dict.fromkeys((*base.references, *references))),
    )
