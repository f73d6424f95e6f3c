"""A scenario set in words, as a table of its factors, and as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import format_number
from pmkit.scenarios.factors import Factor, FactorKind, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["described", "plotted", "summarised"]

_DYNAMICS = {
    "sticky_strike": "vol is held at the strike",
    "sticky_moneyness": "vol is held at ln(K/F)",
    "sticky_delta": "vol is held at ln(K/F)/(sigma_ATM sqrt(tau))",
}


def described(scenarios: ScenarioSet) -> pd.DataFrame:
    """Return the words of :meth:`ScenarioSet.describe`, one row an item, in a fixed order."""
    rows: dict[str, str] = {"scenarios": _count(scenarios)}
    for kind in get_args(FactorKind):
        of_kind = [f for f in scenarios.factors if f.kind == kind]
        if of_kind:
            rows[kind] = _kind(scenarios, of_kind)
    h = scenarios.horizon_days
    rows["horizon"] = "instantaneous" if h == 0.0 else f"{h:g} day{'' if h == 1.0 else 's'}"
    rows["dynamics"] = f"{scenarios.dynamics}: {_DYNAMICS[scenarios.dynamics]}"
    rows["weights"] = _weights(scenarios)
    evidence = _evidence(scenarios)
    if evidence:
        rows["evidence"] = evidence
    rows["source"] = _source(scenarios)
    rows |= {f"note {i}": note for i, note in enumerate(scenarios.notes, start=1)}
    frame = pd.DataFrame({"says": pd.Series(rows, dtype=object)})
    frame.index.name = "item"
    return frame


def _count(scenarios: ScenarioSet) -> str:
    return f"{len(scenarios):,}{' named' if scenarios.labels is not None else ''}"


def _kind(scenarios: ScenarioSet, factors: list[Factor]) -> str:
    """Say whose factors of one kind move, what that means and in which unit."""
    expiries: dict[str, int] = {}
    for f in factors:
        expiries[f.underlying] = expiries.get(f.underlying, 0) + (f.expiry is not None)
    whose = ", ".join(
        f"{name} ({n} {'expiry' if n == 1 else 'expiries'})" if n else name for name, n in expiries.items()
    )
    text = f"{whose}: {factors[0].meaning}; {unit_of(factors[0], scenarios.spot_unit, scenarios.vol_unit)}"
    if factors[0].kind == "vol":
        text += f"; at {scenarios.vol_term.reference_days:g} days, {scenarios.vol_term.words}"
        if scenarios.min_vol_up > 0.0:
            text += f"; at least {scenarios.min_vol_up:.4g} where it rises"
    return text


def _weights(scenarios: ScenarioSet) -> str:
    w = scenarios.weights
    if float(np.ptp(w)) <= 1e-15:
        return f"equal, {format_number(float(w[0]), 4)} each"
    effective = 1.0 / float(np.add.reduce(w * w))
    return f"unequal, {float(w.min()):.3g} to {float(w.max()):.3g}; worth {effective:,.4g} equal ones"


def _evidence(scenarios: ScenarioSet) -> str:
    """Say how many independent observations stand behind the set, and from when; empty for made-up sets."""
    parts = []
    if math.isfinite(scenarios.n_independent):
        parts.append(f"{scenarios.n_independent:,.4g} independent observations")
    if scenarios.dates is not None and scenarios.history_dates is not None:
        first, last = (
            scenarios.history_dates[int(i)] for i in (scenarios.dates.min(), scenarios.dates.max())
        )
        parts.append(f"days {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    return ", ".join(parts)


def _source(scenarios: ScenarioSet) -> str:
    record = scenarios.provenance
    parts = [record.method]
    if record.data:
        parts.append("from " + ", ".join(sorted(record.data)))
    if record.seed is not None:
        parts.append(f"seed {record.seed}")
    if record.simulated:
        parts.append("simulated input")
    return ", ".join([*parts, f"fingerprint {scenarios.fingerprint}"])


def summarised(scenarios: ScenarioSet) -> pd.DataFrame:
    """Return the table of :meth:`ScenarioSet.summary`."""
    rows = {}
    for column, factor in enumerate(scenarios.factors):
        x = scenarios.shocks[:, column]
        rows[factor.label] = {
            "unit": unit_of(factor, scenarios.spot_unit, scenarios.vol_unit),
            "mean": x.mean(),
            "sd": x.std(),
            "q01": np.quantile(x, 0.01),
            "q99": np.quantile(x, 0.99),
            "min": x.min(),
            "max": x.max(),
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    count, h = len(scenarios), scenarios.horizon_days
    frame.index.name = f"{scenarios.name}: {count} scenarios, {h:g} days, {scenarios.dynamics}"
    return frame


def plotted(scenarios: ScenarioSet, ax: Axes | None) -> Axes:
    """Return the picture of :meth:`ScenarioSet.plot`."""
    axes, names = new_axes(ax), scenarios.underlyings
    if not names:
        raise ParameterError(
            f"{scenarios.name!r} moves no spot", "a spot factor", "plot a column of to_frame()"
        )
    vol = scenarios.column("vol", names[0])
    scale = np.zeros(len(scenarios)) if vol is None else vol
    shown = 100.0 * (np.expm1(scale) if scenarios.vol_unit == "log" else scale)
    axes.plot(100.0 * (scenarios.spot_multiplier(names[0]) - 1.0), shown, ".", markersize=2.0, alpha=0.5)
    axes.set(
        xlabel=f"move of {names[0]} over {scenarios.horizon_days:g} days, %",
        ylabel=f"move of {scenarios.vol_term.reference_days:g}-day vol, %",
        title=f"{scenarios.name}: {len(scenarios):,} scenarios",
    )
    return axes
