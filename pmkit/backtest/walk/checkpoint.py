"""Half a walk-forward on disk: what is done, the state of model and book, and whose run it is."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from pmkit.backtest.walk.forecast import FitRecord
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.io import write_atomic
from pmkit.core.types import FloatArray

__all__ = ["Checkpoint", "Resumable", "WalkProgress"]


@runtime_checkable
class Resumable(Protocol):
    """A model or book whose memory can be written down as JSON and taken up again.

    A ``fingerprint`` (text) of what it was set up with, where it has one, tells its runs from those of
    another of the same name.
    """

    def get_state(self) -> dict[str, Any]:
        """Return all that the object remembers, as dicts, lists, texts and numbers."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Remember what :meth:`get_state` returned."""
        ...


@dataclass(kw_only=True)
class WalkProgress:
    """What a walk-forward has found so far: one row and one sigma a date, and the refit log.

    Attributes
    ----------
    rows : list of tuple
        End of the P&L, VaR, VaR at the ES level, ES, P&L, whether refitted.
    sigmas : list of ndarray
    records : list of tuple
        Date and record of each fit.
    history_days : float
        Fewest days that a forecast stood on.
    held_options : bool
    """

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    sigmas: list[FloatArray] = field(default_factory=list)
    records: list[tuple[pd.Timestamp, FitRecord]] = field(default_factory=list)
    history_days: float = math.inf
    held_options: bool = False

    @property
    def done(self) -> int:
        """Dates that are finished."""
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file that a walk-forward is continued from.

    Attributes
    ----------
    path : Path
        JSON; numbers are written so that they read back to the bit.
    key : str
        Fingerprint of everything that changes the figures; a file with another key is refused.
    every : int
        Dates between two writes, 1 or more.
    """

    path: Path
    key: str
    every: int

    @classmethod
    def at(cls, path: str | os.PathLike[str], key: str, every: int, *stateful: object) -> Checkpoint:
        """Return the checkpoint at a path, after checking that what has a memory can write it down.

        Raises
        ------
        ParameterError
            ``every`` is not a whole number from 1 on, or a model or book is not :class:`Resumable`.
        """
        if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
            raise ParameterError(
                f"checkpoint_every is {every!r}", "a whole number of dates from 1 on", "correct it"
            )
        for one in stateful:
            if not isinstance(one, Resumable):
                raise ParameterError(
                    f"{type(one).__name__} cannot be written to a checkpoint",
                    "an object with get_state() and set_state(state)",
                    "add the two methods ({} where nothing is remembered), or leave checkpoint out",
                )
        return cls(path=Path(path), key=key, every=int(every))

    def load(self, *stateful: Resumable) -> WalkProgress:
        """Return what is done, and give model and book their memory back; nothing where there is no file.

        Raises
        ------
        SchemaError
            A file that is no checkpoint.
        ConventionError
            A checkpoint of another run.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return WalkProgress()
        except (OSError, UnicodeDecodeError):
            raise self._not_ours("cannot be read") from None
        try:
            record = json.loads(text)
            key, states, unit = record["key"], record["states"], record["unit"]
            progress = WalkProgress(
                rows=[(pd.Timestamp(row[0]).as_unit(unit), *row[1:]) for row in record["rows"]],
                sigmas=[np.array(sigma, dtype=np.float64) for sigma in record["sigmas"]],
                records=[
                    (pd.Timestamp(day).as_unit(unit), _fit_record(one)) for day, one in record["records"]
                ],
                history_days=record["history_days"],
                held_options=record["held_options"],
            )
        except (ValueError, KeyError, TypeError, IndexError):
            raise self._not_ours("is not one") from None
        if key != self.key:
            raise ConventionError(
                f"checkpoint {self.path.name} belongs to run {key}, not to {self.key}",
                "the same book, history, model, dates and settings",
                "name another file, or delete this one to begin anew",
            )
        try:
            for one, state in zip(stateful, states, strict=True):
                one.set_state(state)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise self._not_ours("holds a state that model or book cannot take up") from None
        return progress

    def save(self, progress: WalkProgress, *stateful: Resumable) -> None:
        """Write what is done, whole or not at all."""
        record = {
            "key": self.key,
            "unit": progress.rows[0][0].unit if progress.rows else "ns",
            "rows": [[row[0].isoformat(), *row[1:]] for row in progress.rows],
            "sigmas": [sigma.tolist() for sigma in progress.sigmas],
            "records": [[day.isoformat(), asdict(one)] for day, one in progress.records],
            "history_days": progress.history_days,
            "held_options": progress.held_options,
            "states": [one.get_state() for one in stateful],
        }
        write_atomic(self.path, json.dumps(record))

    def _not_ours(self, what: str) -> SchemaError:
        return SchemaError(
            f"checkpoint {self.path.name} {what}",
            "a file that a walk-forward wrote",
            "name another file, or delete this one to begin anew",
        )


def _fit_record(record: dict[str, Any]) -> FitRecord:
    return FitRecord(**{**record, "flags": tuple(record["flags"])})
