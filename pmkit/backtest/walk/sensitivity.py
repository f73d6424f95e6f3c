"""What a parameter does to margin and coverage: elasticities along a walk-forward, and flags of direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from pmkit.backtest.walk.forecasters import MODEL_PARAMETERS
from pmkit.backtest.walk.vol_moves import VolMoves
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


class _Parameter(NamedTuple):
    """What is varied: the number whose logarithm is the abscissa, and the direction that theory demands."""

    label: str
    expected: int


#: +1 where margin cannot fall as the number rises, -1 where it cannot rise, 0 where theory is silent.
_PARAMETERS = {
    "level": _Parameter("1 - level", -1),
    "es_level": _Parameter("1 - es_level", -1),
    "horizon": _Parameter("horizon", 1),
    "window": _Parameter("window", 0),
    "refit_every": _Parameter("refit_every", 0),
    "n_paths": _Parameter("n_paths", 0),
    "margin_scale": _Parameter("margin_scale", 1),
    "shift": _Parameter("shift", 0),
    "decay": _Parameter("decay", 0),
    "tail_share": _Parameter("tail_share", 0),
    "price": _Parameter("price", 1),
    "vol_up": _Parameter("vol_up", 1),
    "vol_down": _Parameter("vol_down", 1),
    "steps": _Parameter("steps", 0),
    "vol_slope": _Parameter("vol_slope", 0),
    "vol_residual": _Parameter("vol_residual", 1),
}
#: Factors on the response of implied vol, 1 in earnest.
_RESPONSE = {"vol_slope": "beta", "vol_residual": "residual_sd"}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class WalkSensitivity(Result):
    """Margin, ES and coverage at several values of each parameter, all on the same dates.

    Attributes
    ----------
    table : DataFrame
        One row a parameter and value, ascending: ``parameter``, ``value``, ``theta`` (1 - level for levels),
        ``base`` (the setting under test), ``margin`` and ``es`` (means per unit of notional), ``n``,
        ``hits``, ``coverage``, ``against`` (share of dates on which the margin moved against the direction
        that theory demands on the step from the value before; NaN for the first value, or where theory is
        silent).
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
            parameter = _PARAMETERS[str(name)]
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


def _flag(part: pd.DataFrame, parameter: _Parameter, name: str) -> str:
    if parameter.expected == 0:
        return "no direction"
    ordered = part.sort_values("theta")
    steps = np.diff(ordered["es" if name == "es_level" else "margin"].to_numpy(dtype=np.float64))
    slack = 1e-12 * float(ordered["margin"].max())
    return "against theory" if bool((parameter.expected * steps < -slack).any()) else "as expected"


def _theta(name: str, value: float) -> float:
    return round(1.0 - value, 12) if name in ("level", "es_level") else float(value)


def _base(name: str, model: str, settings: Mapping[str, Any]) -> float:
    """Return the setting under test of one parameter of the walk, of the model or of the vol response."""
    own = MODEL_PARAMETERS.get(model, {})
    known = (*_Defaults._fields, *own, *_RESPONSE)
    if name not in known:
        raise ParameterError(
            f"no parameter {name!r} to vary under model {model!r}", f"one of {', '.join(known)}", "name one"
        )
    if name in _RESPONSE:
        return 1.0
    if name in own:
        return float((settings.get("parameters") or {}).get(name, own[name]))
    return float(settings.get(name, _Defaults._field_defaults[name]))


def _changed(name: str, value: float, model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run with one parameter at another value."""
    if name in _RESPONSE:
        law = VolMoves.of(settings.get("response"))
        numbers = {coin: value * number for coin, number in getattr(law, _RESPONSE[name]).items()}
        changed: dict[str, Any] = {_RESPONSE[name]: numbers, "name": f"{law.name}, {name} times {value:g}"}
        return {**settings, "response": replace(law, **changed)}
    if name in MODEL_PARAMETERS.get(model, {}):
        return {**settings, "parameters": {**(settings.get("parameters") or {}), name: value}}
    whole = name not in ("level", "es_level", "margin_scale")
    return {**settings, name: int(value) if whole else value}


def _values(name: str, wanted: Sequence[float], base: float) -> list[float]:
    """Return the values of one parameter with the setting under test among them, ascending."""
    values = sorted({float(value) for value in wanted} | {float(base)})
    if len(values) < 2:
        raise ParameterError(
            f"{name} is varied over {list(wanted)!r} around {base!r}",
            "a value beside the base",
            "add values on both sides",
        )
    return values


def walk_sensitivity(
    book: Book | str,
    history: PriceHistory,
    model: str = "fhs",
    start: Any = None,
    end: Any = None,
    *,
    values: Mapping[str, Sequence[float]],
    base: BacktestResult | None = None,
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
        ``vol_up``, ``vol_down``, ``steps``); and ``vol_slope`` and ``vol_residual``, factors on the response
        of implied vol. The setting under test is added where it is absent.
    base : BacktestResult, optional
        The run at the setting under test, if it is at hand; it must have the same settings.
    **settings
        Further arguments of :func:`walk_forward`: the setting under test.

    Returns
    -------
    WalkSensitivity

    Raises
    ------
    ParameterError
        An unknown parameter, no value beside the base, nothing to vary.
    DataGapError
        Runs without a common date.

    Notes
    -----
    Elasticity d ln M / d ln θ, fitted through all values, on the dates that all runs share. For levels θ is
    the tail probability: -0.4 says that half the tail probability raises the margin by 32 %. Per date an
    empirical quantile obeys theory exactly in the level, and only on average in the horizon.

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
    bases = {name: _base(name, model, settings) for name in values}
    plan = {name: _values(name, wanted, bases[name]) for name, wanted in values.items()}
    under_test = base or walk_forward(book, history, model, start, end, **settings)
    first, last = _range(under_test, start, end)
    runs: dict[tuple[str, float], BacktestResult] = {}
    for name, levels in plan.items():
        for value in levels:
            if value == bases[name]:
                runs[name, value] = under_test
                continue
            changed = _changed(name, value, model, settings)
            runs[name, value] = walk_forward(book, history, model, first, last, **changed)
    rows = []
    for name in plan:
        part = {value: run for (which, value), run in runs.items() if which == name}
        rows += _rows(name, part, bases[name])
    table = pd.DataFrame(rows)
    return WalkSensitivity(
        table=table,
        book=under_test.book,
        model=under_test.model,
        provenance=Provenance(
            method="backtest.walk_sensitivity",
            data={"base": under_test.provenance.id},
            parameters={name: list(levels) for name, levels in plan.items()},
            seed=under_test.provenance.seed,
            simulated=under_test.provenance.simulated,
        ),
    )


class _Defaults(NamedTuple):
    """The defaults of :func:`walk_forward` for what can be varied."""

    horizon: int = 1
    window: int = 365
    refit_every: int = 20
    level: float = 0.99
    es_level: float = 0.975
    n_paths: int = 5000
    margin_scale: float = 1.0
    shift: int = 0


def _range(under_test: BacktestResult, start: Any, end: Any) -> tuple[Any, Any]:
    """Return the dates of a varied run: those that were asked for, free at an end that was left open."""
    first = under_test.frame.index[0] if start is not None else None
    return first, (under_test.frame.index[-1] if end is not None else None)


def _rows(name: str, runs: Mapping[float, BacktestResult], base: float) -> list[dict[str, Any]]:
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
    direction = _PARAMETERS[name].expected * (-1 if name in ("level", "es_level") else 1)
    for value in sorted(runs):
        frame = runs[value].frame.loc[common]
        margin = frame["es" if name == "es_level" else "var"]
        against = math.nan
        if before is not None and direction:
            against = float((direction * (margin - before) < -1e-12 * margin.abs()).mean())
        hits = int(frame["hit"].sum())
        rows.append(
            {
                "parameter": name,
                "value": value,
                "theta": _theta(name, value),
                "base": value == base,
                "margin": float(frame["var"].mean()),
                "es": float(frame["es"].mean()),
                "n": len(frame),
                "hits": hits,
                "coverage": 1.0 - hits / len(frame),
                "against": against,
            }
        )
        before = margin
    return rows
