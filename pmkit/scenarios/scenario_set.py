"""A scenario set: rows are scenarios, columns are risk factors, with all that is needed to apply them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import Dynamics, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Factor", "FactorKind", "ScenarioSet", "TermScaling"]

FactorKind = Literal["spot", "vol", "basis", "fixing"]


class Factor(NamedTuple):
    """One risk factor: spot or vol of an underlying, basis of one expiry, or a fixing inside the horizon.

    ``spot``   move of the index over the horizon.
    ``vol``    move of implied vol at the reference tenor of :class:`TermScaling`; other tenors by its law.
    ``basis``  move of ln(forward / index) of ``expiry``, always additive in logs, after carry has run off.
    ``fixing`` log move of the index from now to ``expiry``, an instant of settlement inside the horizon.
    """

    kind: FactorKind
    underlying: str
    expiry: pd.Timestamp | None = None

    @property
    def label(self) -> str:
        """Name used in frames, for example ``BTC spot`` or ``BTC basis 2026-12-25``."""
        return f"{self.underlying} {self.kind}" + ("" if self.expiry is None else f" {self.expiry:%Y-%m-%d}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TermScaling:
    """Power law by which a vol shock at the reference tenor reaches other tenors.

    ``scale(d) = (reference_days / max(d, floor_days)) ** p`` with ``p = short_power`` below the reference
    tenor and ``long_power`` from it on. Zero powers give a parallel shock.

    Examples
    --------
    >>> round(TermScaling(short_power=0.30, long_power=0.13).scale(7.0), 8)
    1.54741558
    """

    reference_days: float = 30.0
    short_power: float = 0.0
    long_power: float = 0.0
    floor_days: float = 1.0

    def scale(self, days: float) -> float:
        """Return the factor by which the shock of the reference tenor is multiplied at ``days``."""
        power = self.short_power if days < self.reference_days else self.long_power
        return float((self.reference_days / max(days, self.floor_days)) ** power)


@dataclass(frozen=True, kw_only=True, repr=False)
class ScenarioSet(Result):
    """Scenarios × risk factors with weights, units, horizon and smile dynamics.

    Attributes
    ----------
    name : str
    factors : tuple of Factor
        Columns of ``shocks``.
    shocks : ndarray, shape (scenarios, factors)
        Spot in ``spot_unit``; vol in ``vol_unit`` at the reference tenor; basis and fixing in logs.
    weights : ndarray, shape (scenarios,)
        Non-negative, sum 1; equal where none are given.
    horizon_days : float
        Days of ageing; 0 for instantaneous shocks.
    dynamics : str
        What a spot move does to the smile (required).
    spot_unit, vol_unit : {"log", "relative"}
        ``relative``: multiply by 1 + x; ``log``: multiply by exp(x).
    vol_term : TermScaling
    min_vol_up : float
        Floor of the shocked vol where the vol shock is positive (decimal; 0 for none).
    labels : tuple of str or None
        Name of each scenario, where it has one.
    dates : ndarray of int64, shape (scenarios, days) or None
        Index into ``history_dates`` of the observation behind each day of each scenario.
    history_dates : DatetimeIndex or None
    n_independent : float
        Independent history observations behind the set, n / h; infinite for hypothetical sets.
    provenance : Provenance
    """

    name: str
    factors: tuple[Factor, ...]
    shocks: FloatArray
    horizon_days: float
    dynamics: Dynamics
    spot_unit: Literal["log", "relative"] = "log"
    vol_unit: Literal["log", "relative"] = "log"
    vol_term: TermScaling = TermScaling()
    min_vol_up: float = 0.0
    weights: FloatArray = field(default_factory=lambda: np.empty(0))
    labels: tuple[str, ...] | None = None
    dates: IntArray | None = None
    history_dates: pd.DatetimeIndex | None = None
    n_independent: float = math.inf
    provenance: Provenance = field(default_factory=lambda: Provenance(method="scenarios.ScenarioSet"))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shocks = np.ascontiguousarray(self.shocks, dtype=np.float64)
        if shocks.ndim != 2 or shocks.shape[1] != len(self.factors) or shocks.shape[0] == 0:
            raise ParameterError(
                f"shocks have shape {shocks.shape} for {len(self.factors)} factors",
                "one row a scenario and one column a factor",
                "reshape the table",
            )
        if not np.isfinite(shocks).all():
            row, column = np.argwhere(~np.isfinite(shocks))[0]
            raise ParameterError(
                f"shock of {self.factors[column].label} in scenario {row} is {shocks[row, column]}",
                "finite numbers",
                "drop or repair the observation before building scenarios",
            )
        if self.dynamics not in ("sticky_strike", "sticky_moneyness", "sticky_delta"):
            raise ConventionError(
                f"smile dynamics {self.dynamics!r}",
                "sticky_strike, sticky_moneyness or sticky_delta",
                "name one of them",
            )
        if len(set(self.factors)) < len(self.factors):
            raise ParameterError("a factor appears twice", "distinct factors", "merge the columns")
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.size == 0:
            weights = np.full(shocks.shape[0], 1.0 / shocks.shape[0])
        if (
            weights.shape != (shocks.shape[0],)
            or not (weights >= 0.0).all()
            or abs(float(weights.sum()) - 1.0) > 1e-9
        ):
            raise ParameterError(
                f"weights of shape {weights.shape} with sum {float(weights.sum()):g}",
                "one non-negative weight a scenario, sum 1",
                "normalise the weights",
            )
        for array in (shocks, weights):
            array.setflags(write=False)
        object.__setattr__(self, "shocks", shocks)
        object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return int(self.shocks.shape[0])

    @cached_property
    def _columns(self) -> dict[Factor, int]:
        return {factor: column for column, factor in enumerate(self.factors)}

    def column(
        self, kind: FactorKind, underlying: str, expiry: pd.Timestamp | None = None
    ) -> FloatArray | None:
        """Return the shocks of one factor, shape (scenarios,), or None where the set does not move it."""
        at = self._columns.get(Factor(kind, underlying, expiry))
        return None if at is None else self.shocks[:, at]

    def spot_multiplier(self, underlying: str) -> FloatArray:
        """Return shocked spot / spot, shape (scenarios,); ones where the set does not move the underlying."""
        column = self.column("spot", underlying)
        if column is None:
            return np.ones(len(self))
        return np.exp(column) if self.spot_unit == "log" else 1.0 + column

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings whose spot the set moves."""
        return tuple(f.underlying for f in self.factors if f.kind == "spot")

    def label(self, scenario: int) -> str:
        """Return the name of a scenario: its own, else its spot and vol moves in words."""
        if self.labels is not None:
            return self.labels[scenario]
        parts = []
        for factor, x in zip(self.factors, self.shocks[scenario], strict=True):
            if factor.kind in ("spot", "vol"):
                unit = self.spot_unit if factor.kind == "spot" else self.vol_unit
                parts.append(f"{factor.label} {(math.expm1(x) if unit == 'log' else x):+.1%}")
        if self.dates is not None and self.history_dates is not None:
            days = [f"{self.history_dates[i]:%Y-%m-%d}" for i in self.dates[scenario]]
            parts.append(f"days {' + '.join(days)}")
        return ", ".join(parts)

    def subset(self, rows: Sequence[int] | IntArray, name: str | None = None) -> ScenarioSet:
        """Return the set of the chosen rows with weights normalised."""
        at = np.asarray(rows, dtype=np.int64)
        weights = self.weights[at]
        return ScenarioSet(
            name=name or self.name,
            factors=self.factors,
            shocks=self.shocks[at],
            horizon_days=self.horizon_days,
            dynamics=self.dynamics,
            spot_unit=self.spot_unit,
            vol_unit=self.vol_unit,
            vol_term=self.vol_term,
            min_vol_up=self.min_vol_up,
            weights=weights / weights.sum(),
            labels=None if self.labels is None else tuple(self.labels[i] for i in at),
            dates=None if self.dates is None else self.dates[at],
            history_dates=self.history_dates,
            n_independent=self.n_independent,
            provenance=self.provenance,
            notes=self.notes,
        )

    @property
    def fingerprint(self) -> str:
        """Fingerprint of shocks, weights and conventions."""
        return fingerprint(
            self.shocks,
            self.weights,
            [f.label for f in self.factors],
            self.horizon_days,
            self.dynamics,
            self.spot_unit,
            self.vol_unit,
            [getattr(self.vol_term, s) for s in self.vol_term.__slots__],
            self.min_vol_up,
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a scenario with its shocks and weight."""
        frame = pd.DataFrame(self.shocks, columns=[f.label for f in self.factors])
        frame.insert(0, "weight", self.weights)
        if self.labels is not None:
            frame.insert(0, "scenario", list(self.labels))
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the vol move against the spot move of the first underlying, a point a scenario."""
        axes = new_axes(ax)
        names = self.underlyings
        if not names:
            raise ParameterError(
                f"{self.name!r} moves no spot", "a spot factor", "plot a column of to_frame()"
            )
        vol = self.column("vol", names[0])
        scale = np.zeros(len(self)) if vol is None else vol
        shown = 100.0 * (np.expm1(scale) if self.vol_unit == "log" else scale)
        axes.plot(100.0 * (self.spot_multiplier(names[0]) - 1.0), shown, ".", markersize=2.0, alpha=0.5)
        axes.set(
            xlabel=f"move of {names[0]} over {self.horizon_days:g} days, %",
            ylabel=f"move of {self.vol_term.reference_days:g}-day vol, %",
            title=f"{self.name}: {len(self):,} scenarios",
        )
        return axes

    def summary(self) -> pd.DataFrame:
        """Return one row a factor: unit, mean, sd, 1 % and 99 % quantile, minimum and maximum."""
        rows = {}
        for column, factor in enumerate(self.factors):
            x = self.shocks[:, column]
            unit = {"spot": self.spot_unit, "vol": self.vol_unit}.get(factor.kind, "log")
            rows[factor.label] = {
                "unit": unit,
                "mean": x.mean(),
                "sd": x.std(),
                "q01": np.quantile(x, 0.01),
                "q99": np.quantile(x, 0.99),
                "min": x.min(),
                "max": x.max(),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"{self.name}: {len(self)} scenarios, {self.horizon_days:g} days, {self.dynamics}"
        return frame
