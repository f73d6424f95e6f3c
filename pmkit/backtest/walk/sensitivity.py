"""What a parameter does to margin and coverage: elasticities along a walk-forward, and flags of direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.backtest.margins.called import TOOLS, called_margin
from pmkit.backtest.walk.varied import (
    PARAMETERS,
    Parameter,
    base_value,
    changed_settings,
    check_tools,
    theta_of,
    varied_values,
)
from pmkit.backtest.walk.walk_forward import Book, walk_forward
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.market.history import PriceHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["WalkSensitivity", "walk_sensitivity"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class WalkSensitivity(Result):
    """Margin, ES and coverage at several values of each parameter, all on the same dates.

    Attributes
    ----------
    table : DataFrame
        One row a parameter and value, ascending: ``parameter``, ``value``, ``theta`` (1 - level for levels,
        1 + strength for tools against procyclicality), ``base`` (the setting under test), ``margin`` (called,
        after the tools) and ``es`` (of the model; means per unit of notional), ``n``, ``hits``, ``coverage``,
        ``against`` (share of dates on which the margin moved against the direction that theory demands on the
        step from the value before; NaN for the first value, or where theory is silent).
    book, model : str
    """

    table: pd.DataFrame
    book: str
    model: str
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.walk_sensitivity"))
    references: tuple[str, ...] = ("emir2013",)

    def summary(self) -> pd.DataFrame:
        """Return one row a parameter: range, elasticities of margin, ES, coverage, hits, flag of direction.

        Elasticities are slopes of least squares of the logarithm on the logarithm of ``theta``, no unit. The
        flag reads ``as expected``, ``against theory`` or ``no direction``.
        """
        rows = {}
        for name, part in self.table.groupby("parameter", sort=False):
            parameter = PARAMETERS[str(name)]
            rows[parameter.label] = {
                "from": float(part["theta"].min()),
                "to": float(part["theta"].max()),
                "margin": _elasticity(part, "margin"),
                "es": _elasticity(part, "es"),
                "coverage": _elasticity(part, "coverage"),
                "fewest hits": int(part["hits"].min()),
                "most hits": int(part["hits"].max()),
                "direction": _flag(part, parameter, str(name)),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")

    @property
    def against_theory(self) -> tuple[str, ...]:
        """Parameters along which the mean margin moves against the direction that theory demands."""
        found = self.summary()
        return tuple(str(name) for name in found.index[found["direction"] == "against theory"])

    def to_frame(self) -> pd.DataFrame:
        """Return one row a parameter and value."""
        return self.table.copy()

    def check(self) -> None:
        """Raise unless coverage follows from the hits and every parameter holds its base value once."""
        t = self.table
        off = (t["coverage"] - (1.0 - t["hits"] / t["n"])).abs().max() > 1e-12
        if off or not (t.groupby("parameter")["base"].sum() == 1).all():
            raise PmkitError("the rows contradict each other", "one base value a parameter", "report this")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the elasticity of margin by parameter, one bar each."""
        axes, found = new_axes(ax), self.summary()
        colors = ["#D55E00" if flag == "against theory" else "#0072B2" for flag in found["direction"]]
        axes.barh(found.index.astype(str), found["margin"], color=colors)
        axes.axvline(0.0, color="0.3", linewidth=0.8)
        axes.set(
            xlabel="% of margin for 1 % of the parameter",
            title=f"Elasticity of margin: {self.book}, {self.model}",
        )
        axes.invert_yaxis()
        return axes


def _elasticity(part: pd.DataFrame, column: str) -> float:
    theta, value = part["theta"].to_numpy(dtype=np.float64), part[column].to_numpy(dtype=np.float64)
    if (value <= 0.0).any() or (theta <= 0.0).any():
        return math.nan
    x, y = np.log(theta), np.log(value)
    x = x - np.add.reduce(x) / x.size
    return float(np.add.reduce(x * y) / np.add.reduce(x * x))


def _flag(part: pd.DataFrame, parameter: Parameter, name: str) -> str:
    if parameter.expected == 0:
        return "no direction"
    ordered = part.sort_values("theta")
    steps = np.diff(ordered["es" if name == "es_level" else "margin"].to_numpy(dtype=np.float64))
    slack = 1e-12 * float(ordered["margin"].max())
    return "against theory" if bool((parameter.expected * steps < -slack).any()) else "as expected"


def walk_sensitivity(
    book: Book | str,
    history: PriceHistory,
    model: str = "fhs",
    start: Any = None,
    end: Any = None,
    *,
    values: Mapping[str, Sequence[float]],
    base: BacktestResult | None = None,
    tools: Mapping[str, float] | None = None,
    **settings: Any,
) -> WalkSensitivity:
    """Return how margin and coverage answer to each parameter of a walk-forward, one varied at a time.

    Parameters
    ----------
    book, history, model, start, end
        As for :func:`walk_forward`; the model by name, so that every run starts from a fresh one.
    values : mapping of str to sequence of float
        Values of each parameter: ``level``, ``es_level``, ``horizon``, ``window``, ``refit_every``,
        ``n_paths``, ``margin_scale``, ``shift``; those of the model (``decay``, ``tail_share``, ``price``,
        ``vol_up``, ``vol_down``, ``steps``); ``vol_slope`` and ``vol_residual``, factors on the response of
        implied vol; and the strengths of tools against procyclicality, ``stress_weight``, ``floor`` and
        ``buffer``, as in :func:`called_margin`. The setting under test is added where it is absent.
    base : BacktestResult, optional
        The run at the setting under test, if it is at hand; it must have the same settings.
    tools : mapping of str to float, optional
        Tools under test, by the same three names; none where absent.
    **settings
        Further arguments of :func:`walk_forward`: the setting under test.

    Returns
    -------
    WalkSensitivity

    Raises
    ------
    ParameterError
        An unknown parameter or tool, no value beside the base, nothing to vary.
    DataGapError
        Runs without a common date.

    Notes
    -----
    Elasticity d ln M / d ln θ, fitted through all values, on the dates that all runs share. For levels θ is
    the tail probability: -0.4 says that half the tail probability raises the margin by 32 %. Per date an
    empirical quantile obeys theory exactly in the level, and only on average in the horizon. Tools need no
    run of their own; θ is one plus their strength, and no date may fall as one grows.

    References
    ----------
    European Commission (2013), articles 49 to 61: sensitivity tests of margin models.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("crypto-daily-2020-2023")
    >>> found = walk_sensitivity(
    ...     "long_btc", history, "hs", "2021-05-01", "2021-06-30", values={"level": [0.98, 0.995]})
    >>> line = found.summary().loc["1 - level"]
    >>> round(float(line["margin"]), 4), line["direction"]
    (-0.3976, 'as expected')
    """
    if not values:
        raise ParameterError("no parameter is varied", "one or more", "pass values={'window': [250, 500]}")
    held = check_tools(tools)
    bases = {name: base_value(name, model, settings, held) for name in values}
    plan = {name: varied_values(name, wanted, bases[name]) for name, wanted in values.items()}
    under_test = base or walk_forward(book, history, model, start, end, **settings)
    first, last = _range(under_test, start, end)
    runs: dict[tuple[str, float], BacktestResult] = {}
    for name, levels in plan.items():
        for value in levels:
            if value == bases[name] or name in TOOLS:
                runs[name, value] = under_test
                continue
            changed = changed_settings(name, value, model, settings)
            runs[name, value] = walk_forward(book, history, model, first, last, **changed)
    rows = []
    for name in plan:
        part = {value: run for (which, value), run in runs.items() if which == name}
        rows += _rows(name, part, bases[name], held)
    table = pd.DataFrame(rows)
    return WalkSensitivity(
        table=table,
        book=under_test.book,
        model=under_test.model,
        provenance=Provenance(
            method="backtest.walk_sensitivity",
            data={"base": under_test.provenance.id},
            parameters={**{name: list(levels) for name, levels in plan.items()}, "tools": held},
            seed=under_test.provenance.seed,
            simulated=under_test.provenance.simulated,
        ),
    )


def _range(under_test: BacktestResult, start: Any, end: Any) -> tuple[Any, Any]:
    """Return the dates of a varied run: those that were asked for, free at an end that was left open."""
    first = under_test.frame.index[0] if start is not None else None
    return first, (under_test.frame.index[-1] if end is not None else None)


def _rows(
    name: str, runs: Mapping[float, BacktestResult], base: float, tools: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return one row a value on the dates that all runs of the parameter share."""
    common = None
    for run in runs.values():
        common = run.frame.index if common is None else common.intersection(run.frame.index)
    if common is None or not len(common):
        raise DataGapError(
            f"the runs over {name} share no date", "dates in common", "vary it less, or give a longer history"
        )
    rows: list[dict[str, Any]] = []
    before: pd.Series[float] | None = None
    direction = PARAMETERS[name].expected * (-1 if name in ("level", "es_level") else 1)
    for value in sorted(runs):
        strengths = {**tools, name: value} if name in TOOLS else dict(tools)
        frame = runs[value].frame
        frame = frame.assign(called=called_margin(frame["var"], **strengths)).loc[common]
        margin = frame["es" if name == "es_level" else "called"]
        against = math.nan
        if before is not None and direction:
            against = float((direction * (margin - before) < -1e-12 * margin.abs()).mean())
        hits = int((-frame["pnl"] > frame["called"]).sum())
        rows.append(
            {
                "parameter": name,
                "value": value,
                "theta": theta_of(name, value),
                "base": value == base,
                "margin": float(frame["called"].mean()),
                "es": float(frame["es"].mean()),
                "n": len(frame),
                "hits": hits,
                "coverage": 1.0 - hits / len(frame),
                "against": against,
            }
        )
        before = margin
    return rows
