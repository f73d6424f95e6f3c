"""A scenario set: rows are scenarios, columns are risk factors, with all that is needed to apply them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import Dynamics, FloatArray, IntArray
from pmkit.scenarios.factors import Factor, FactorKind, TermScaling, check_factors, check_moves

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.axes import Axes

    from pmkit.scenarios.reweight import Mask, Predicate, Weights

__all__ = ["Factor", "FactorKind", "ScenarioSet", "TermScaling"]

#: a floor of implied vol beyond this is a slip of unit
_LARGEST_FLOOR = 5.0


@dataclass(frozen=True, kw_only=True, repr=False)
class ScenarioSet(Result):
    """Scenarios × risk factors with weights, units, horizon and smile dynamics.

    Attributes
    ----------
    name : str
    factors : tuple of Factor
        Columns of ``shocks``.
    shocks : ndarray, shape (scenarios, factors)
        Spot in ``spot_unit``; vol in ``vol_unit`` at the reference tenor; the unit of every other kind stands
        in :class:`Factor`.
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
    notes : tuple of str
        What a reader must know: what was observed, assumed, left out.

    Raises
    ------
    ParameterError
        Shocks that are no table or not finite, a relative spot move of -1 or below, a relative vol move below
        -1, weights that do not sum to 1, a horizon or vol floor below 0, a repeated factor, an unknown unit.
    ConventionError
        Unknown factor kind or smile dynamics, a currency moved twice, a rate that looks like percent.
    """

    name: str
    factors: tuple[Factor, ...]
    shocks: FloatArray
    horizon_days: float
    dynamics: Dynamics
    spot_unit: Literal["log", "relative"] = "log"
    vol_unit: Literal["log", "relative"] = "log"
    vol_term: TermScaling = TermScaling()  # noqa: RUF009 (frozen)
    min_vol_up: float = 0.0
    weights: FloatArray = field(default_factory=lambda: np.empty(0))
    labels: tuple[str, ...] | None = None
    dates: IntArray | None = None
    history_dates: pd.DatetimeIndex | None = None
    n_independent: float = math.inf
    provenance: Provenance = field(default_factory=lambda: Provenance(method="scenarios.ScenarioSet"))
    notes: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            shocks = np.ascontiguousarray(self.shocks, dtype=np.float64)
        except (TypeError, ValueError):
            raise ParameterError(
                f"shocks of {self.name!r} are no table of numbers",
                "one row a scenario and one column a factor",
                "convert them to float",
            ) from None
        if shocks.ndim != 2 or shocks.shape[1] != len(self.factors) or shocks.shape[0] == 0:
            raise ParameterError(
                f"shocks have shape {shocks.shape} for {len(self.factors)} factors",
                "one row a scenario and one column a factor",
                "reshape the table",
            )
        if self.dynamics not in ("sticky_strike", "sticky_moneyness", "sticky_delta"):
            raise ConventionError(
                f"smile dynamics {self.dynamics!r}",
                "sticky_strike, sticky_moneyness or sticky_delta",
                "name one of them",
            )
        check_factors(self.factors)
        self._check_conventions()
        check_moves(self.factors, shocks, self.spot_unit, self.vol_unit, self.labels)
        weights = _weights(self.weights, shocks.shape[0])
        for array in (shocks, weights):
            array.setflags(write=False)
        object.__setattr__(self, "shocks", shocks)
        object.__setattr__(self, "weights", weights)

    def _check_conventions(self) -> None:
        """Raise where a unit is unknown, a length or a label does not fit, or a number is below 0."""
        for word in ("spot_unit", "vol_unit"):
            if getattr(self, word) not in ("log", "relative"):
                raise ParameterError(
                    f"{word} is {getattr(self, word)!r}", "'relative' or 'log'", "name one of the two"
                )
        for word in ("horizon_days", "min_vol_up"):
            value = getattr(self, word)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0.0):
                raise ParameterError(f"{word} is {value!r}", "a finite number, 0 or more", "correct it")
        if self.min_vol_up > _LARGEST_FLOOR:
            raise ConventionError(
                f"min_vol_up is {self.min_vol_up:g}: looks like percent",
                "a decimal such as 0.4",
                "divide by 100",
            )
        rows = len(self.shocks)
        for what, given in (("labels", self.labels), ("dates", self.dates)):
            if given is not None and len(given) != rows:
                raise ParameterError(
                    f"{len(given)} {what} for {rows} scenarios", "one a scenario", "complete them"
                )

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
        """Return the set of the chosen rows with weights normalised.

        Parameters
        ----------
        rows : sequence of int
            Numbers of scenarios from 0, in any order, also repeatedly.
        name : str, optional

        Raises
        ------
        ParameterError
            A number that is not whole or outside the set, or none; for truth values there is :meth:`filter`.
        DataGapError
            The chosen rows have no weight.
        """
        at = _row_numbers(rows, len(self))
        weights = self.weights[at]
        total = float(weights.sum())
        if not total > 0.0:
            raise DataGapError(
                f"the {at.size} chosen scenarios of {self.name!r} have no weight",
                "at least one with weight",
                "give weights first: with_weights",
            )
        return replace(
            self,
            name=name or self.name,
            shocks=self.shocks[at],
            weights=weights / total,
            labels=None if self.labels is None else tuple(self.labels[i] for i in at),
            dates=None if self.dates is None else self.dates[at],
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
        """Return axes with the vol move against the spot move of the first underlying, a point a scenario.

        Raises
        ------
        ParameterError
            The set moves no spot.
        """
        from pmkit.scenarios.describe import plotted

        return plotted(self, ax)

    def summary(self) -> pd.DataFrame:
        """Return one row a factor: unit, mean, sd, 1 % and 99 % quantile, minimum and maximum."""
        from pmkit.scenarios.describe import summarised

        return summarised(self)

    def filter(self, keep: Mask | Predicate, name: str | None = None) -> ScenarioSet:
        """Return the scenarios that pass a condition, weights normalised; how many were left out is noted.

        Parameters
        ----------
        keep : array of bool, shape (scenarios,), or callable
            A mask, or a function of :meth:`to_frame` that returns one.
        name : str, optional

        Raises
        ------
        ParameterError
            A mask of another shape or not of truth values.
        DataGapError
            Nothing passes.

        Examples
        --------
        >>> from pmkit.scenarios import grid
        >>> falls = grid([-0.2, -0.1, 0.1], dynamics="sticky_strike").filter(lambda f: f["BTC spot"] < 0.0)
        >>> falls.weights.tolist()
        [0.5, 0.5]
        """
        from pmkit.scenarios.reweight import filtered_rows

        return filtered_rows(self, keep, name)

    def with_weights(self, weights: Weights, *, normalise: bool = False) -> ScenarioSet:
        """Return the same scenarios with the given weights, an array or a mapping of label to weight.

        Raises
        ------
        ParameterError
            Not one non-negative finite weight a scenario, or a sum other than 1 without ``normalise``.
        """
        from pmkit.scenarios.reweight import reweighted

        return reweighted(self, weights, normalise=normalise)

    def age(self, decay: float) -> ScenarioSet:
        """Return the same scenarios, each weight times ``decay`` to the power of its age in days.

        Raises
        ------
        ParameterError
            ``decay`` outside (0, 1].
        DataGapError
            A set without dates.

        Notes
        -----
        The age of a scenario is that of its newest day, in rows of ``history_dates``; weights sum to 1 again.

        References
        ----------
        Boudoukh, Richardson and Whitelaw (1998).
        """
        from pmkit.scenarios.reweight import aged

        return aged(self, decay)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the set to one npz file with a JSON header and return its path; the write is atomic.

        :func:`pmkit.scenarios.load_scenarios` reads it back to the last bit, provenance and notes included,
        and refuses a file that was changed. Equal sets give equal bytes.
        """
        from pmkit.scenarios.storage import save_scenarios

        return save_scenarios(self, path)

    def check(self) -> None:
        """Raise where weights do not sum to 1 or a date lies outside the calendar."""
        total = float(np.add.reduce(self.weights))
        if abs(total - 1.0) > 1e-9:
            raise PmkitError(f"weights sum to {total!r}", "1", "report it with the inputs")
        if self.dates is not None and self.history_dates is not None:
            last = int(self.dates.max())
            if int(self.dates.min()) < 0 or last >= len(self.history_dates):
                raise PmkitError(
                    f"a scenario of {self.name!r} points at day {last} of {len(self.history_dates)}",
                    "days of the calendar",
                    "give the dates that belong to these scenarios",
                )

    def describe(self) -> pd.DataFrame:
        """Return in words what is shocked, how, over what horizon, under what smile dynamics and weights.

        Returns
        -------
        DataFrame
            One column ``says``; the index names the item: number of scenarios, each kind of factor, horizon,
            dynamics, weights, evidence, source, notes.

        Examples
        --------
        >>> from pmkit.scenarios import grid
        >>> grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=["BTC"]).describe().loc["horizon", "says"]
        'instantaneous'
        """
        from pmkit.scenarios.describe import described

        return described(self)

    def __repr__(self) -> str:
        lines = [f"{item:<11}{row['says']}" for item, row in self.describe().iterrows()]
        return "\n".join([f"ScenarioSet {self.name!r}", *lines, self.summary().to_string(index_names=False)])

    def _repr_html_(self) -> str:
        words = self.describe().to_html(header=False)
        return f"<h4>ScenarioSet {self.name}</h4>{words}{self.summary().to_html()}"


def _row_numbers(rows: Sequence[int] | IntArray, count: int) -> IntArray:
    """Return the numbers of scenarios, or raise where one is none."""
    at = np.asarray(rows)
    if at.ndim != 1 or at.size == 0 or not np.issubdtype(at.dtype, np.integer):
        raise ParameterError(
            f"rows are {at.dtype} of shape {at.shape}",
            "numbers of scenarios, at least one",
            "give whole numbers; a mask goes to filter",
        )
    if int(at.min()) < 0 or int(at.max()) >= count:
        wrong = int(at.min()) if int(at.min()) < 0 else int(at.max())
        raise ParameterError(f"row {wrong}", f"a number from 0 to {count - 1}", "correct it")
    return at.astype(np.int64)


def _weights(given: FloatArray, rows: int) -> FloatArray:
    """Return the weights, equal where none are given, or raise."""
    weights = np.array(given, dtype=np.float64)
    if weights.size == 0:
        return np.full(rows, 1.0 / rows)
    if weights.shape != (rows,) or not (weights >= 0.0).all() or abs(float(weights.sum()) - 1.0) > 1e-9:
        raise ParameterError(
            f"weights of shape {weights.shape} with sum {float(weights.sum()):g}",
            "one non-negative weight a scenario, sum 1",
            "normalise the weights",
        )
    return weights
