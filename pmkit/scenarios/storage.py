"""Scenario sets on disk: one npz file of arrays with a JSON header, whole or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.io import write_atomic
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.scenarios.factors import Factor, TermScaling
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["load_scenarios", "save_scenarios"]

_FORMAT = "pmkit scenarios 1"
_WORDS = ("name", "horizon_days", "dynamics", "spot_unit", "vol_unit", "min_vol_up")
_ARRAYS = ("shocks", "weights", "dates", "history_dates")


def save_scenarios(scenarios: ScenarioSet, path: str | os.PathLike[str]) -> Path:
    """Write the set to one file, as :meth:`ScenarioSet.save` says."""
    header: dict[str, Any] = {
        "format": _FORMAT,
        **{word: getattr(scenarios, word) for word in _WORDS},
        "factors": [
            [f.kind, f.underlying, None if f.expiry is None else f.expiry.isoformat()]
            for f in scenarios.factors
        ],
        "vol_term": {slot: getattr(scenarios.vol_term, slot) for slot in scenarios.vol_term.__slots__},
        "labels": None if scenarios.labels is None else list(scenarios.labels),
        "n_independent": scenarios.n_independent if math.isfinite(scenarios.n_independent) else None,
        "provenance": scenarios.provenance.to_dict(),
        "notes": list(scenarios.notes),
        "cited": list(scenarios.references),
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {"shocks": scenarios.shocks, "weights": scenarios.weights}
    if scenarios.dates is not None:
        arrays["dates"] = scenarios.dates
    if scenarios.history_dates is not None:
        days = scenarios.history_dates
        arrays["history_dates"] = days.tz_localize(None).to_numpy(dtype="datetime64[ns]").view(np.int64)
        header["history"] = {"unit": days.unit, "time_zone": None if days.tz is None else str(days.tz)}
    text = json.dumps(header, sort_keys=True, allow_nan=False).encode()
    stamp = fingerprint(text, *arrays.values()).encode()
    buffer = io.BytesIO()
    blobs = {"header": np.frombuffer(text, np.uint8), "fingerprint": np.frombuffer(stamp, np.uint8)}
    np.savez_compressed(buffer, allow_pickle=False, **blobs, **arrays)
    return write_atomic(path, buffer.getvalue())


def load_scenarios(path: str | os.PathLike[str]) -> ScenarioSet:
    """Return the scenario set of a file that :meth:`ScenarioSet.save` wrote, equal to the last bit.

    Parameters
    ----------
    path : path

    Returns
    -------
    ScenarioSet
        With its weights, labels, dates, notes and provenance.

    Raises
    ------
    DataGapError
        No such file.
    SchemaError
        The file is no scenario set, of another version, or was changed: its fingerprint does not fit.

    Examples
    --------
    >>> import tempfile
    >>> from pmkit.scenarios.grid import grid
    >>> scen = grid([-0.1, 0.1], dynamics="sticky_strike")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load_scenarios(scen.save(f"{folder}/two.npz"))
    >>> again.fingerprint == scen.fingerprint
    True
    """
    file = Path(path)
    if not file.is_file():
        raise DataGapError(
            f"no file {file.name}", "a file written by ScenarioSet.save", "correct the path", file=file.name
        )
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            found = {key: stored[key] for key in stored.files}
        text, stamp = found["header"].tobytes(), found["fingerprint"].tobytes().decode()
        header = json.loads(text)
        version = header["format"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, AttributeError):
        raise SchemaError(
            "the file is no stored scenario set", "a file written by ScenarioSet.save", "write it again",
            file=file.name,
        ) from None  # fmt: skip
    if version != _FORMAT:
        raise SchemaError(
            f"format {version!r}", f"{_FORMAT!r}", "write it again with this version", file=file.name
        )
    arrays = {key: found[key] for key in _ARRAYS if key in found}
    if fingerprint(text, *arrays.values()) != stamp:
        raise SchemaError(
            "the content does not fit its fingerprint",
            f"fingerprint {stamp}",
            "restore the file, or write it again: it was changed after it was saved",
            file=file.name,
        )
    return _assembled(header, arrays)


def _assembled(header: dict[str, Any], arrays: dict[str, Any]) -> ScenarioSet:
    history = None
    if "history_dates" in arrays:
        kind = header["history"]
        history = pd.DatetimeIndex(arrays["history_dates"].view("datetime64[ns]")).as_unit(kind["unit"])
        history = history.tz_localize(kind["time_zone"])
    n, cited = header["n_independent"], tuple(header["cited"])
    return ScenarioSet(
        **{word: header[word] for word in _WORDS},
        factors=tuple(Factor(k, u, None if e is None else pd.Timestamp(e)) for k, u, e in header["factors"]),
        shocks=arrays["shocks"],
        weights=arrays["weights"],
        vol_term=TermScaling(**header["vol_term"]),
        labels=None if header["labels"] is None else tuple(header["labels"]),
        dates=arrays.get("dates"),
        history_dates=history,
        n_independent=math.inf if n is None else n,
        provenance=Provenance(**header["provenance"]),
        notes=tuple(header["notes"]),
        references=cited,
    )
