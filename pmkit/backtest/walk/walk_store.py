"""Walk-forwards on disk: one Parquet file a run and a manifest with settings, fingerprints and checksums."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import DataGapError, OptionalDependencyError, ParameterError, SchemaError
from pmkit.core.io import write_atomic
from pmkit.core.provenance import Provenance

__all__ = ["load_walks", "save_walks"]

_MANIFEST = "manifest.json"
_SCALARS = (
    "book", "model", "numeraire", "horizon", "level", "es_level", "margin_scale", "shift", "model_marked",
    "vol_label",
)  # fmt: skip
_LIBRARIES = ("pmkit", "numpy", "pandas", "scipy", "numba", "arch", "pyarrow")


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise OptionalDependencyError(
            "Parquet files need pyarrow, which is not installed", "pyarrow", "install pyarrow"
        ) from None


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def save_walks(folder: str | os.PathLike[str], results: Mapping[str, BacktestResult]) -> Path:
    """Write runs as Parquet, each file whole or not at all, the manifest last, and return its path.

    Parameters
    ----------
    folder : path
        Made where it is absent; files of the same names are replaced.
    results : mapping of str to BacktestResult
        By a name of letters, digits, dots, dashes and underscores.

    Returns
    -------
    Path
        ``manifest.json``: per run its settings, notes, provenance with its fingerprint, and names, rows and
        SHA-256 of its files; versions of the libraries. No clock time: equal runs give equal manifests.

    Raises
    ------
    ParameterError
        No runs, or a name that is no file name.
    OptionalDependencyError
        pyarrow is not installed.
    """
    _need_pyarrow()
    place = Path(folder)
    if not results:
        raise ParameterError("there is no run to write", "one or more", "hand over results by name")
    runs: dict[str, Any] = {}
    for name, result in results.items():
        plain = name.replace("-", "").replace("_", "").replace(".", "")
        if not plain.isalnum() or not plain.isascii() or name.startswith("."):
            raise ParameterError(
                f"a run is named {name!r}", "letters, digits, dots, dashes, underscores", "name it so"
            )
        files = {}
        for part, frame in (("figures", result.frame.reset_index()), ("refits", result.refits)):
            content = _parquet(frame)
            file = f"{name}.{part}.parquet"
            write_atomic(place / file, content)
            files[part] = {
                "file": file,
                "rows": len(frame),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        runs[name] = {
            "settings": {field: getattr(result, field) for field in _SCALARS},
            "warnings": list(result.warnings),
            "notes": list(result.notes),
            "provenance": result.provenance.to_dict(),
            "id": result.provenance.id,
            "files": files,
        }
    record = {
        "format": 1,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "runs": runs,
    }
    return write_atomic(place / _MANIFEST, json.dumps(record, indent=2, sort_keys=True) + "\n")


def load_walks(folder: str | os.PathLike[str]) -> dict[str, BacktestResult]:
    """Return the runs of a folder by name, after checking every file against the manifest.

    Parameters
    ----------
    folder : path
        Written by :func:`save_walks`.

    Raises
    ------
    DataGapError
        No manifest, or a file of it is absent.
    SchemaError
        A manifest that is none, or a file that differs from its checksum; the message names it.
    OptionalDependencyError
        pyarrow is not installed.
    """
    _need_pyarrow()
    place = Path(folder)
    try:
        record = json.loads((place / _MANIFEST).read_text(encoding="utf-8"))
        runs = record["runs"].items()
    except OSError:
        raise DataGapError(
            f"{place.name!r} holds no {_MANIFEST}", "a folder that save_walks wrote", "name another folder"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise SchemaError(
            f"{_MANIFEST} of {place.name!r} is not one", "what save_walks wrote", "write the runs anew"
        ) from None
    found = {}
    for name, run in runs:
        frame = _read(place, run["files"]["figures"]).set_index("date")
        found[name] = BacktestResult(
            **run["settings"],
            frame=frame,
            refits=_read(place, run["files"]["refits"]),
            warnings=tuple(run["warnings"]),
            notes=tuple(run["notes"]),
            provenance=Provenance(**run["provenance"]),
        )
    return found


def _read(place: Path, entry: Mapping[str, Any]) -> pd.DataFrame:
    """Return the frame of one file whose checksum holds."""
    try:
        content = (place / entry["file"]).read_bytes()
    except OSError:
        raise DataGapError(
            f"{entry['file']} is absent", f"every file of {_MANIFEST}", "restore it, or write the runs anew"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry["sha256"]:
        raise SchemaError(
            f"SHA-256 is {digest[:16]}…",
            f"{entry['sha256'][:16]}… as in {_MANIFEST}",
            "restore the file, or write the runs anew",
            file=entry["file"],
        )
    return pd.read_parquet(io.BytesIO(content), engine="pyarrow")
