"""Days of stress by name: which closes they lie between, and what every asset did over them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.market import load_history
from pmkit.scenarios.tables import check_keys, read_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["StressEvent", "list_stresses", "stress_event"]

_KEYS = ("name", "title", "lead", "before", "until")


@dataclass(frozen=True, kw_only=True, repr=False)
class StressEvent(Result):
    """What assets did over a named stretch of days: log moves from the close before it.

    Attributes
    ----------
    name, title, source : str
        The history or document behind the closes.
    lead : str
        Asset by which shorter windows are chosen and others are scaled.
    path : pandas.DataFrame
        Index: dates of closes, the one before the event first; a column an asset: log of the close over that
        first close, so 0 in the first row. Only assets with a price on every date.
    left_out : tuple of str
        Assets of the source without a price on some date.
    typed : bool
        True where the closes were typed in and not read from a shipped history.
    """

    name: str
    title: str
    source: str
    lead: str
    path: pd.DataFrame
    left_out: tuple[str, ...] = ()
    typed: bool = False
    provenance: Provenance = field(default_factory=lambda: Provenance(method="scenarios.stress_event"))
    references: tuple[str, ...] = ()

    @property
    def moves(self) -> pd.Series:
        """Log move of each asset over the whole event."""
        last = self.path.iloc[-1]
        last.name = self.name
        return last

    @property
    def sessions(self) -> int:
        """Closes after the first: days of trading."""
        return len(self.path) - 1

    @property
    def days(self) -> float:
        """Calendar days from the first close to the last."""
        return float((self.path.index[-1] - self.path.index[0]).days)

    def window(self, sessions: int) -> StressEvent:
        """Return the stretch of that many sessions inside the event over which the lead asset fell most.

        Raises
        ------
        ParameterError
            Not a whole number from 1 to the sessions of the event.
        """
        if isinstance(sessions, bool) or not isinstance(sessions, int) or not 1 <= sessions <= self.sessions:
            raise ParameterError(
                f"a window of {sessions!r} sessions in {self.name!r}",
                f"a whole number from 1 to {self.sessions}",
                "shorten it, or leave it out for the whole event",
            )
        lead = self.path[self.lead].to_numpy()
        start = int(np.argmin(lead[sessions:] - lead[:-sessions]))
        part = self.path.iloc[start : start + sessions + 1]
        return StressEvent(
            name=self.name,
            title=self.title,
            source=self.source,
            lead=self.lead,
            path=part - part.iloc[0],
            left_out=self.left_out,
            typed=self.typed,
            provenance=self.provenance,
            references=self.references,
        )

    def check(self) -> None:
        """Raise where a path does not start at 0 or is not finite."""
        values = self.path.to_numpy()
        if bool(values[0].any()) or not bool(np.isfinite(values).all()):
            raise PmkitError(f"a path of {self.name!r}", "finite, from 0 on", "report it with the inputs")

    def to_frame(self) -> pd.DataFrame:
        """Return the path: dates by assets, logs from the close before the event."""
        return self.path

    def summary(self) -> pd.DataFrame:
        """Return one row an asset: relative move over the event, worst session and its date."""
        steps = self.path.diff().iloc[1:]
        frame = pd.DataFrame(
            {
                "move": np.expm1(self.moves),
                "worst session": np.expm1(steps.min()),
                "on": [f"{day:%Y-%m-%d}" for day in steps.idxmin()],
            }
        )
        first, last = self.path.index[0], self.path.index[-1]
        frame.index.name = f"{self.name}: {first:%Y-%m-%d} to {last:%Y-%m-%d}, {self.source}"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with each asset's move since the close before the event, a line an asset."""
        axes = new_axes(ax)
        for name in self.path.columns:
            axes.plot(
                self.path.index.to_numpy(), 100.0 * np.expm1(self.path[name].to_numpy()), label=str(name)
            )
        axes.set(xlabel="close of", ylabel="move since the close before, %", title=f"{self.title}")
        axes.tick_params(axis="x", rotation=30)
        axes.legend(fontsize=7)
        return axes


def list_stresses() -> pd.DataFrame:
    """Return one row per named stress: title, first and last close, sessions, move of its lead asset, source.

    Examples
    --------
    >>> float(list_stresses().loc["equity-1987-10-19", "move"].round(4))
    -0.2047
    """
    rows = {}
    for name in _table():
        event = stress_event(name)
        rows[name] = {
            "title": event.title,
            "before": f"{event.path.index[0]:%Y-%m-%d}",
            "until": f"{event.path.index[-1]:%Y-%m-%d}",
            "sessions": event.sessions,
            "lead": event.lead,
            "move": math.expm1(float(event.moves[event.lead])),
            "source": event.source,
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "name"
    return frame


def stress_event(name: str) -> StressEvent:
    """Return what every asset did over a named stress, from the shipped closes.

    Parameters
    ----------
    name : str
        See :func:`list_stresses`.

    Raises
    ------
    DataGapError
        No stress of that name, or its history lacks a date.

    References
    ----------
    Closes of 16 and 19 October 1987: CNN Money (1997).

    Examples
    --------
    >>> moves = stress_event("btc-2020-03-12").summary()["move"]
    >>> moves[["BTC", "ETH"]].round(4).tolist()
    [-0.3717, -0.4235]
    """
    table = _table()
    if name not in table:
        raise DataGapError(
            f"no stress {name!r}", f"one of {', '.join(table)}", "correct the name; see list_stresses()"
        )
    entry = table[name]
    index = pd.DatetimeIndex([entry["before"], entry["until"]], name="date")
    typed = "closes" in entry
    if typed:
        closes = pd.DataFrame(entry["closes"], index=index)
        source, stamp = entry["source"], fingerprint(entry["closes"])
        references: tuple[str, ...] = ("cnnmoney1997",)
    else:
        history = load_history(entry["history"])
        for day in index:
            if day not in history.prices.index:
                raise DataGapError(
                    f"{entry['history']} has no close of {day.date()}", "that day", "restore the data"
                )
        closes = history.prices.loc[index[0] : index[1]]
        source, stamp, references = entry["history"], history.fingerprint, ()
    whole = closes.dropna(axis=1)
    return StressEvent(
        name=name,
        title=entry["title"],
        source=source,
        lead=entry["lead"],
        path=pd.DataFrame(np.log(whole / whole.iloc[0])),
        left_out=tuple(str(c) for c in closes.columns if c not in whole.columns),
        typed=typed,
        provenance=Provenance(
            method="scenarios.stress_event",
            data={str(entry.get("history", "typed closes")): stamp},
            parameters={"before": str(entry["before"]), "until": str(entry["until"])},
        ),
        references=references,
    )


def _table() -> dict[str, dict[str, Any]]:
    """Return the entries of the shipped table by name."""
    found, _, where = read_table("historical", "table of stresses", "events")
    events = {}
    for entry in found["event"]:
        origin = ("closes", "source") if "closes" in entry else ("history",)
        check_keys(entry, (*_KEYS, *origin), where, f"event {entry.get('name')!r}")
        dated = isinstance(entry["before"], date) and isinstance(entry["until"], date)
        if not dated or not entry["before"] < entry["until"]:
            raise ParameterError(
                f"event {entry['name']!r} runs from {entry['before']} to {entry['until']}",
                "two dates in this order, without quotes",
                "correct the table",
                file=where,
            )
        events[str(entry["name"])] = entry
    return events
