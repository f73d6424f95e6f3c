"""Sets put together: one after the other, every pair of rows, or side by side on the same days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.types import FloatArray, IntArray
from pmkit.scenarios.factors import Factor
from pmkit.scenarios.inputs import check_kind
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["concatenate", "cross", "join"]

#: largest product in numbers, 2 GB
_LARGEST = 250_000_000
_FROM = "build it with grid, historical, monte_carlo, stress or from_frame"
_BY_KIND = {"spot_unit": "spot", "vol_unit": "vol", "vol_term": "vol", "min_vol_up": "vol"}


def concatenate(
    sets: Sequence[ScenarioSet],
    *,
    shares: Sequence[float] | None = None,
    missing: Literal["raise", "zero"] = "raise",
    name: str | None = None,
) -> ScenarioSet:
    """Return the scenarios of several sets, one set after the other.

    Parameters
    ----------
    sets : sequence of ScenarioSet
        The same horizon, smile dynamics, units and term law of vol; factors in any order.
    shares : sequence of float, optional
        Total weight of each set, positive, sum 1; by number of scenarios where None.
    missing : {"raise", "zero"}
        What to do with a factor that only some sets move: refuse, or leave it unmoved in the others.
    name : str, optional

    Returns
    -------
    ScenarioSet
        ``n_independent`` is ``1 / sum(share^2 / n)``. Dates are kept where all sets have them.

    Raises
    ------
    ConventionError
        Sets that differ in what their numbers mean, or in their factors.
    ParameterError
        No set, or shares that are not positive with sum 1.

    Examples
    --------
    >>> from pmkit.scenarios.grid import grid
    >>> down, up = (grid([x], dynamics="sticky_strike", underlyings=["BTC"]) for x in (-0.2, 0.1))
    >>> concatenate([down, up], shares=[0.75, 0.25]).weights.tolist()
    [0.75, 0.25]
    """
    parts = list(sets)
    if not parts:
        raise ParameterError("no set", "at least one", "give a ScenarioSet")
    for one in parts:
        check_kind("an entry of sets", one, ScenarioSet, _FROM)
    share = _shares(parts, shares)
    for other in parts[1:]:
        for word in ("horizon_days", "dynamics", *_BY_KIND):
            _same(parts[0], other, word)
    factors = tuple(dict.fromkeys(f for one in parts for f in one.factors))
    if missing == "raise":
        _same_factors(parts, factors)
    elif missing != "zero":
        raise ParameterError(f"missing is {missing!r}", "'raise' or 'zero'", "name one of the two")
    spread = math.fsum(s * s / one.n_independent for s, one in zip(share, parts, strict=True))
    return replace(
        parts[0],
        name=name or " with ".join(one.name for one in parts),
        factors=factors,
        shocks=np.vstack([_aligned(one, factors) for one in parts]),
        weights=np.concatenate([s * one.weights for s, one in zip(share, parts, strict=True)]),
        labels=_labels(parts),
        n_independent=1.0 / spread if spread > 0.0 else math.inf,
        provenance=_record("scenarios.concatenate", parts, {"shares": share, "missing": missing}),
        notes=tuple(dict.fromkeys(note for one in parts for note in one.notes)),
        references=_references(parts),
        **_joined_dates(parts),
    )


def cross(first: ScenarioSet, second: ScenarioSet, *, name: str | None = None) -> ScenarioSet:
    """Return every pair of a scenario of one set with one of another, as if they were independent.

    Parameters
    ----------
    first, second : ScenarioSet
        No factor in common; the same horizon and smile dynamics. A unit matters only where both move its
        kind. The first set varies slowest.
    name : str, optional

    Returns
    -------
    ScenarioSet
        Weights are products. Dates are kept where only one set has them.

    Raises
    ------
    ConventionError
        A common factor, or sets that differ in what their numbers mean.
    ParameterError
        A product of more than 250 million numbers.

    Examples
    --------
    >>> from pmkit.scenarios.grid import grid
    >>> btc, eth = (grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=[u]) for u in ("BTC", "ETH"))
    >>> cross(btc, eth).label(1)
    'spot -10%, vol +0%; spot +10%, vol +0%'
    """
    for one in (first, second):
        check_kind("a factor of the product", one, ScenarioSet, _FROM)
    _disjoint(first, second, "put them one after the other with concatenate, or leave it out of one of them")
    conventions = _side_by_side(first, second)
    n, m, columns = len(first), len(second), len(first.factors) + len(second.factors)
    if n * m * columns > _LARGEST:
        raise ParameterError(
            f"{n:,} by {m:,} scenarios of {columns} factors",
            f"at most {_LARGEST:,} numbers",
            "filter the sets first",
        )
    a, b = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = tuple(f"{one}; {two}" for one in first.labels for two in second.labels)
    dated = [(one, rows) for one, rows in ((first, a), (second, b)) if one.dates is not None]
    dates: dict[str, Any] = {"dates": None, "history_dates": None}
    if len(dated) == 1 and dated[0][0].dates is not None:
        dates = {"dates": dated[0][0].dates[dated[0][1]], "history_dates": dated[0][0].history_dates}
    return replace(
        first,
        name=name or f"{first.name} by {second.name}",
        factors=first.factors + second.factors,
        shocks=np.hstack([first.shocks[a], second.shocks[b]]),
        weights=np.asarray(first.weights[a] * second.weights[b]),
        labels=labels,
        n_independent=min(first.n_independent, second.n_independent),
        provenance=_record("scenarios.cross", [first, second], {}),
        notes=(*first.notes, *second.notes, f"{first.name} and {second.name} are taken as independent"),
        references=_references([first, second]),
        **conventions,
        **dates,
    )


def join(
    first: ScenarioSet,
    second: ScenarioSet,
    *,
    how: Literal["same", "inner"] = "same",
    name: str | None = None,
) -> ScenarioSet:
    """Return two sets side by side, scenario by scenario of the same days: their dependence is kept.

    Parameters
    ----------
    first, second : ScenarioSet
        Made from history, each window once, without a common factor; same horizon and smile dynamics.
    how : {"same", "inner"}
        Demand the same windows, or keep the common ones; the rest is counted in ``notes``.
    name : str, optional

    Returns
    -------
    ScenarioSet
        Rows, weights and calendar in the order of the first set.

    Raises
    ------
    ConventionError
        No dates, a window that appears twice, other calendars, other weights, a common factor, or sets that
        differ in what their numbers mean.
    ParameterError
        Unknown ``how``.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot, load_history
    >>> from pmkit.scenarios.historical import historical
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0, "ETH": 2300.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> kind = {"horizon": 1, "replications": 1}
    >>> joined = join(*(historical(past, snap, underlyings=[u], **kind) for u in ("BTC", "ETH")))
    >>> len(joined), joined.underlyings
    (1460, ('BTC', 'ETH'))
    """
    if how not in ("same", "inner"):
        raise ParameterError(f"how is {how!r}", "'same' or 'inner'", "name one of the two")
    for one in (first, second):
        check_kind("one of the sets", one, ScenarioSet, _FROM)
    _disjoint(first, second, "leave the factor out of one of them")
    ours, theirs = _windows(first), _windows(second)
    conventions = _side_by_side(first, second)
    kept = [window for window in ours if window in theirs]
    lost = (len(ours) - len(kept), len(theirs) - len(kept))
    if not kept or (how == "same" and any(lost)):
        raise ConventionError(
            f"{len(kept)} windows in common, {lost[0]} only in {first.name!r} and {lost[1]} only in "
            f"{second.name!r}",
            "the same calendar" if how == "same" else "at least one common window",
            "build both on the same dates" + (", or pass how='inner'" if kept else ""),
        )
    a, b = np.array([ours[w] for w in kept]), np.array([theirs[w] for w in kept])
    left, right = first.subset(a), second.subset(b)
    if float(np.max(np.abs(left.weights - right.weights))) > 1e-12:
        raise ConventionError(
            f"windows weigh differently in {first.name!r} and {second.name!r}",
            "the same weights on the same days",
            "give one the weights of the other: with_weights",
        )
    note = f"joined on {len(kept)} windows; {lost[0]} and {lost[1]} without a partner were left out"
    return replace(
        left,
        name=name or f"{first.name} and {second.name}",
        factors=first.factors + second.factors,
        shocks=np.hstack([left.shocks, right.shocks]),
        n_independent=min(first.n_independent, second.n_independent) * len(kept) / len(ours),
        provenance=_record("scenarios.join", [first, second], {"how": how, "kept": len(kept)}),
        notes=(*first.notes, *second.notes, note),
        references=_references([first, second]),
        **conventions,
    )


# -- what the three share -----------------------------------------------------------------------------------
def _same(first: ScenarioSet, second: ScenarioSet, word: str) -> None:
    a, b = getattr(first, word), getattr(second, word)
    if a != b:
        raise ConventionError(
            f"{word} is {a} in {first.name!r} and {b} in {second.name!r}",
            "sets with the same conventions",
            "build both with the same arguments",
        )


def _disjoint(first: ScenarioSet, second: ScenarioSet, remedy: str) -> None:
    common = [f.label for f in first.factors if f in second.factors]
    if common:
        raise ConventionError(
            f"{first.name!r} and {second.name!r} both move {', '.join(common)}",
            "sets without a common factor",
            remedy,
        )


def _side_by_side(first: ScenarioSet, second: ScenarioSet) -> dict[str, Any]:
    """Return the units of columns put side by side: of the set that uses them, equal where both do."""
    for word in ("horizon_days", "dynamics"):
        _same(first, second, word)
    chosen: dict[str, Any] = {}
    for word, kind in _BY_KIND.items():
        users = [one for one in (first, second) if any(f.kind == kind for f in one.factors)]
        if len(users) == 2:
            _same(first, second, word)
        chosen[word] = getattr(users[0] if users else first, word)
    return chosen


def _shares(parts: Sequence[ScenarioSet], shares: Sequence[float] | None) -> list[float]:
    if shares is None:
        total = sum(len(one) for one in parts)
        return [len(one) / total for one in parts]
    given = [float(s) for s in shares]
    if len(given) != len(parts) or not all(s > 0.0 for s in given) or abs(math.fsum(given) - 1.0) > 1e-9:
        raise ParameterError(
            f"shares {given} for {len(parts)} sets", "one positive share a set, sum 1", "normalise them"
        )
    return given


def _same_factors(parts: Sequence[ScenarioSet], factors: tuple[Factor, ...]) -> None:
    odd = sorted(f.label for f in factors if any(f not in one.factors for one in parts))
    if odd:
        raise ConventionError(
            f"only some of {', '.join(repr(p.name) for p in parts)} move {', '.join(odd)}",
            "the same factors",
            "build all for the same underlyings and expiries, or pass missing='zero'",
        )


def _aligned(one: ScenarioSet, factors: tuple[Factor, ...]) -> FloatArray:
    """Return the shocks in the order of ``factors``, 0 where the set does not move one."""
    out = np.zeros((len(one), len(factors)))
    for column, factor in enumerate(factors):
        moves = one.column(*factor)
        if moves is not None:
            out[:, column] = moves
    return out


def _labels(parts: Sequence[ScenarioSet]) -> tuple[str, ...] | None:
    if all(one.labels is None for one in parts):
        return None
    return tuple(one.label(i) for one in parts for i in range(len(one)))


def _record(method: str, parts: Sequence[ScenarioSet], parameters: dict[str, Any]) -> Provenance:
    seeds = {one.provenance.seed for one in parts}
    return Provenance(
        method=method,
        data={f"{i + 1} {one.name}": one.provenance.id + one.fingerprint for i, one in enumerate(parts)},
        parameters=parameters,
        seed=seeds.pop() if len(seeds) == 1 else None,
        simulated=any(one.provenance.simulated for one in parts),
    )


def _references(parts: Sequence[ScenarioSet]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for one in parts for key in one.references))


def _joined_dates(parts: Sequence[ScenarioSet]) -> dict[str, Any]:
    """Return dates over one calendar; none where a set has none or their scenarios have unequal days."""
    none: dict[str, Any] = {"dates": None, "history_dates": None}
    dated = [
        (one.dates, one.history_dates)
        for one in parts
        if one.dates is not None and one.history_dates is not None
    ]
    if len(dated) < len(parts) or len({dates.shape[1] for dates, _ in dated}) > 1:
        return none
    every = dated[0][1]
    for _, calendar in dated[1:]:
        every = every.union(calendar)
    rows = [every.get_indexer(calendar)[dates] for dates, calendar in dated]
    return {"dates": np.vstack(rows).astype(np.int64), "history_dates": every}


def _windows(one: ScenarioSet) -> dict[bytes, int]:
    """Return the row of each window, keyed by its days."""
    if one.dates is None or one.history_dates is None:
        raise ConventionError(
            f"{one.name!r} carries no dates", "sets made from history", "combine them with cross"
        )
    days: IntArray = one.history_dates.to_numpy(dtype="datetime64[s]").astype(np.int64)[one.dates]
    found = {window.tobytes(): row for row, window in enumerate(days)}
    if len(found) < len(one):
        raise ConventionError(
            f"{len(one) - len(found)} windows of {one.name!r} appear again",
            "each window once",
            "build the set with replications=1, or simulate the factors together with joint_filtered",
        )
    return found
