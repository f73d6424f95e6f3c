"""Tools against procyclicality: buffer, stressed weight, long-window floor, cap and speed limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.margin.accounts.numbers import checked_number, checked_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ApcPath",
    "ApcTool",
    "Buffer",
    "LongWindowFloor",
    "MarginInputs",
    "SpeedLimit",
    "StressWeight",
    "apply_apc",
]


class MarginInputs(NamedTuple):
    """Margins that a tool may draw on besides the current one: of a stress period and of a long window."""

    stressed: float = math.nan
    long_window: float = math.nan


class ApcTool(Protocol):
    """One tool: today's margin and yesterday's in, the margin to be called out."""

    @property
    def name(self) -> str:
        """Name in tables and in the state."""
        ...

    def step(self, margin: float, previous: float | None, inputs: MarginInputs) -> float:
        """Return the margin after the tool, positive; ``previous`` is its last answer, None at the start."""
        ...


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """A buffer on top of the margin that is used up while the margin rises, and builds up as it falls.

    Attributes
    ----------
    size : float
        Share of the margin, 0.25 for a quarter; 0 or more.
    name : str

    Notes
    -----
    ``max(M, min((1 + size) M, previous))`` with ``(1 + size) M`` at the start: the called margin stays where
    it was until the model asks for more than it, and comes down as soon as the full buffer is there again.
    One common reading of the rule; the regulation leaves the release open.

    References
    ----------
    European Commission (2013), article 28(1)(a).

    Examples
    --------
    >>> tool = Buffer(size=0.25)
    >>> tool.step(100.0, None, MarginInputs()), tool.step(110.0, 125.0, MarginInputs())
    (125.0, 125.0)
    """

    size: float = 0.25
    name: str = "buffer"

    def __post_init__(self) -> None:
        checked_number("size of the buffer", self.size, low=0.0)

    def step(self, margin: float, previous: float | None, inputs: MarginInputs) -> float:
        """Return the margin with what is left of the buffer."""
        full = (1.0 + self.size) * margin
        return full if previous is None else max(margin, min(full, previous))


@dataclass(frozen=True, kw_only=True)
class StressWeight:
    """The mean of today's margin and that of a stress period.

    Attributes
    ----------
    weight : float
        Weight of the stressed margin, 0 to 1; 0.25 in the regulation.
    name : str

    References
    ----------
    European Commission (2013), article 28(1)(b).

    Examples
    --------
    >>> StressWeight().step(100.0, None, MarginInputs(stressed=300.0))
    150.0
    """

    weight: float = 0.25
    name: str = "stress weight"

    def __post_init__(self) -> None:
        checked_share("weight of stress", self.weight)

    def step(self, margin: float, previous: float | None, inputs: MarginInputs) -> float:
        """Return ``(1 − w) M + w M_stress``."""
        return (1.0 - self.weight) * margin + self.weight * _needed(self.name, "stressed", inputs.stressed)


@dataclass(frozen=True, kw_only=True)
class LongWindowFloor:
    """The larger of today's margin and a share of that from a long window of volatility.

    Attributes
    ----------
    share : float
        Share of the long-window margin, above 0; 1 in the regulation, with ten years.
    name : str

    References
    ----------
    European Commission (2013), article 28(1)(c).

    Examples
    --------
    >>> LongWindowFloor().step(100.0, None, MarginInputs(long_window=120.0))
    120.0
    """

    share: float = 1.0
    name: str = "long-window floor"

    def __post_init__(self) -> None:
        checked_number("share of the floor", self.share, low=0.0, open_low=True)

    def step(self, margin: float, previous: float | None, inputs: MarginInputs) -> float:
        """Return ``max(M, share M_long)``."""
        return max(margin, self.share * _needed(self.name, "long_window", inputs.long_window))


@dataclass(frozen=True, kw_only=True)
class SpeedLimit:
    """A limit on how fast the called margin moves, and on how high it goes.

    Attributes
    ----------
    rise, fall : float
        Largest relative change a step, up (0 or more, infinite for none) and down (0 to 1).
    cap : float
        Largest margin, in its own unit; infinite for none.
    name : str

    Notes
    -----
    ``min(clip(M, (1 − fall) previous, (1 + rise) previous), cap)``; a previous margin of 0 binds nothing, as
    no share of it is a step. Where it binds upwards the model asks for
    more than is called: the path of :func:`apply_apc` shows that gap, and it is a risk that someone else
    carries.

    Examples
    --------
    >>> SpeedLimit(rise=0.1, fall=0.05).step(200.0, 100.0, MarginInputs())
    110.00000000000001
    """

    rise: float = math.inf
    fall: float = 1.0
    cap: float = math.inf
    name: str = "speed limit"

    def __post_init__(self) -> None:
        for what, value in (("rise", self.rise), ("cap", self.cap)):
            if value != math.inf:
                checked_number(what, value, low=0.0)
        checked_share("fall", self.fall)

    def step(self, margin: float, previous: float | None, inputs: MarginInputs) -> float:
        """Return the margin within its limits."""
        held = margin
        if previous:
            held = max(min(margin, (1.0 + self.rise) * previous), (1.0 - self.fall) * previous)
        return min(held, self.cap)


def _needed(tool: str, what: str, value: float) -> float:
    if math.isnan(value):
        raise DataGapError(f"{tool} was given no {what} margin", f"a margin in {what}", "hand it over")
    return checked_number(f"{what} margin", value, low=0.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class ApcPath(Result):
    """A path of margins before and after the tools.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a date: ``model`` (margin of the rule), one column a tool (margin after it and those before
        it), ``called`` (the last), ``gap`` (model less called where the model asks for more).
    state : mapping of str to float
        Last answer of every tool, to go on with.
    """

    table: pd.DataFrame
    state: Mapping[str, float]
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.apply_apc"))
    references: tuple[str, ...] = ("emir2013",)

    def check(self) -> None:
        """Raise where a gap is not model less called, floored at 0."""
        t = self.table
        if ((t["model"] - t["called"]).clip(lower=0.0) - t["gap"]).abs().max() > 0.0:
            raise PmkitError("gap off", "model less called, at least 0", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return mean, lowest, highest and largest one-step rise (share) of model and called margin."""
        frame = self.table[["model", "called"]]
        rows = {
            "mean": frame.mean(),
            "lowest": frame.min(),
            "highest": frame.max(),
            "largest one-step rise": frame.pct_change().max(),
            "steps with a gap": pd.Series({"model": 0.0, "called": float((self.table["gap"] > 0.0).sum())}),
        }
        return pd.DataFrame(rows).T.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a date."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the model's margin and the one that is called."""
        axes = new_axes(ax)
        at = range(len(self.table))
        axes.plot(at, self.table["model"].to_list(), label="model")
        axes.plot(at, self.table["called"].to_list(), linestyle="--", label="called")
        axes.set(xlabel="step", ylabel="margin, in its own unit", title="margin before and after the tools")
        axes.legend()
        return axes


def apply_apc(
    margins: pd.Series | Sequence[float],
    tools: Sequence[ApcTool],
    *,
    stressed: pd.Series | Sequence[float] | None = None,
    long_window: pd.Series | Sequence[float] | None = None,
    state: Mapping[str, float] | None = None,
) -> ApcPath:
    """Return the margins that are called after the tools, in the unit of the margins, step by step.

    Parameters
    ----------
    margins : Series or sequence of float
        Margin of the rule by date, 0 or more.
    tools : sequence of ApcTool
        Applied in this order; each has a name of its own.
    stressed, long_window : Series or sequence of float, optional
        Margin of a stress period and of a long window, of the same dates.
    state : mapping of str to float, optional
        Last answers of an earlier path.

    Returns
    -------
    ApcPath

    Raises
    ------
    ParameterError
        No tool, two tools of one name, lengths that differ, or a margin that is negative or not finite.
    DataGapError
        No margin, or a tool without the margin it needs.

    Examples
    --------
    >>> apply_apc([100.0, 110.0, 150.0, 90.0], [Buffer(size=0.25)]).table["called"].to_list()
    [125.0, 125.0, 150.0, 112.5]
    """
    names = [tool.name for tool in tools]
    if not names or len(set(names)) < len(names):
        raise ParameterError(
            f"tools {names}", "at least one tool, each with its own name", "correct the list"
        )
    series = pd.Series(margins, dtype="float64")
    if not len(series):
        raise DataGapError("there is no margin", "at least one", "hand over a path")
    extra = {}
    for what, given in (("stressed", stressed), ("long_window", long_window)):
        values = [math.nan] * len(series) if given is None else list(given)
        if len(values) != len(series):
            raise ParameterError(
                f"{len(values)} {what} margins for {len(series)}", "one a date", "align them"
            )
        extra[what] = values
    last = dict(state or {})
    rows = []
    for at, model in enumerate(series.to_list()):
        value = checked_number(f"margin {at}", model, low=0.0)
        row = {"model": value}
        inputs = MarginInputs(extra["stressed"][at], extra["long_window"][at])
        for tool in tools:
            value = tool.step(value, last.get(tool.name), inputs)
            last[tool.name] = row[tool.name] = value
        rows.append({**row, "called": value, "gap": max(row["model"] - value, 0.0)})
    return ApcPath(
        table=pd.DataFrame(rows, index=series.index),
        state=last,
        provenance=Provenance(
            method="margin.apply_apc",
            data={"margins": fingerprint(series.to_list())},
            parameters={"tools": [repr(tool) for tool in tools]},
        ),
    )
