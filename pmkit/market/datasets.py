"""The data that ship with pmkit: real samples and simulated accounts, with checksum, licence and defects."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.io import data_dir
from pmkit.instruments.portfolio import Portfolio

if TYPE_CHECKING:
    from pmkit.market.history import PriceHistory
    from pmkit.market.quotes import Quotes
    from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Dataset", "find", "info", "list", "load", "path", "verify"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One entry of the manifest.

    Attributes
    ----------
    name, kind, title : str
        ``kind`` is ``"chain"``, ``"surface"``, ``"index_chain"``, ``"history"`` or ``"account"``.
    simulated : bool
        True where the numbers were made up and not observed.
    file : str or None
        Relative to the data folder; None for a data set that joins others.
    parts : tuple of str
        Names of the joined data sets.
    sha256 : str or None
    bytes, rows : int or None
    currency : str
        Of the prices of a history.
    licence, package, upstream, units, time_zone, range : str
    defects : tuple of str
        What is known to be wrong or missing.
    """

    name: str
    kind: str
    title: str
    simulated: bool
    licence: str
    package: str
    upstream: str
    units: str
    time_zone: str
    range: str
    defects: tuple[str, ...]
    file: str | None = None
    parts: tuple[str, ...] = ()
    sha256: str | None = None
    bytes: int | None = None
    rows: int | None = None
    currency: str = "USD"


def _entries() -> dict[str, Dataset]:
    manifest = data_dir() / "manifest.json"
    try:
        records = json.loads(manifest.read_text(encoding="utf-8"))["datasets"]
        entries = [
            Dataset(**r | {"defects": tuple(r["defects"]), "parts": tuple(r.get("parts", ()))})
            for r in records
        ]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SchemaError(
            f"the manifest cannot be read ({type(error).__name__}: {error})",
            "JSON with a list 'datasets' of complete entries",
            "restore data/manifest.json",
            file=manifest.name,
        ) from None
    return {entry.name: entry for entry in entries}


def find(name_or_path: str | os.PathLike[str], *, kinds: Sequence[str]) -> Dataset | None:
    """Return the manifest entry that a name stands for, or None where the argument is a path.

    Raises
    ------
    DataGapError
        Neither a data set of one of ``kinds`` nor an existing file.
    """
    entries = _entries()
    fitting = ", ".join(e.name for e in entries.values() if e.kind in kinds)
    if isinstance(name_or_path, str) and name_or_path in entries:
        entry = entries[name_or_path]
        if entry.kind in kinds:
            return entry
        raise DataGapError(
            f"data set {entry.name!r} is of kind {entry.kind!r}",
            f"kind {' or '.join(map(repr, kinds))}: {fitting}",
            "name one of these, or use pm.datasets.load",
        )
    if not Path(name_or_path).exists():
        raise DataGapError(
            f"{str(name_or_path)!r} is neither a data set nor a file",
            f"one of {fitting}, or the path of a CSV file",
            "correct the name or the path",
        )
    return None


def info(name: str) -> Dataset:
    """Return the manifest entry of a data set.

    Raises
    ------
    DataGapError
        No such data set.

    Examples
    --------
    >>> info("deribit-btc-2026-08-01").rows
    882
    """
    entries = _entries()
    if name not in entries:
        raise DataGapError(
            f"no data set {name!r}", f"one of {', '.join(entries)}", "correct the name; see datasets.list()"
        )
    return entries[name]


def list() -> pd.DataFrame:
    """Return one row per data set: kind, title, simulated, rows, range, licence, package.

    Examples
    --------
    >>> int(list().loc["crypto-daily-2020-2023", "rows"])
    1461
    """
    columns = ["name", "kind", "title", "simulated", "rows", "range", "licence", "package"]
    entries = builtins.list(_entries().values())
    rows = [[getattr(e, c) for c in columns] for e in entries]
    frame = pd.DataFrame(rows, columns=columns).set_index("name")
    frame["rows"] = [
        e.rows if e.rows is not None else sum(info(p).rows or 0 for p in e.parts) for e in entries
    ]
    return frame


def path(name: str) -> Path:
    """Return the file of a data set.

    Raises
    ------
    DataGapError
        No such data set, its file is absent, or it joins several files.
    """
    entry = info(name)
    if entry.file is None:
        raise DataGapError(
            f"data set {name!r} joins {len(entry.parts)} files",
            "a data set of one file",
            f"ask for {' or '.join(entry.parts)}",
        )
    file = data_dir() / entry.file
    if not file.is_file():
        raise DataGapError(
            f"file {entry.file} of data set {name!r} is absent",
            "the file beside the manifest",
            "restore it, or reinstall pmkit",
            file=entry.file,
        )
    return file


def load(name: str) -> MarketSnapshot | PriceHistory | Portfolio | Quotes:
    """Return a data set: snapshot of a chain or surface, quotes of an index chain, history or positions.

    An account's collateral is not part of a portfolio: ``pm.Account.from_csv(path(name))`` reads both.

    Raises
    ------
    DataGapError
        No such data set, or its file is absent.

    Examples
    --------
    >>> load("account-covered-call").underlyings
    ('BTC',)
    """
    entry = info(name)
    if entry.kind == "account":
        return Portfolio.from_csv(path(name))
    if entry.kind == "history":
        from pmkit.market.history import load_history

        return load_history(name)
    if entry.kind == "index_chain":
        from pmkit.market.quotes import read_quotes

        return read_quotes(path(name), source=name)
    from pmkit.market.handed_on import load_snapshot

    return load_snapshot(name)


def verify() -> pd.DataFrame:
    """Return one row per file of the manifest with its checksum, recomputed: file, sha256, bytes, rows, ok.

    Raises
    ------
    DataGapError
        A file is absent.
    SchemaError
        A file differs from its checksum; the message names it.
    """
    rows = []
    for entry in _entries().values():
        if entry.file is None:
            continue
        content = path(entry.name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != entry.sha256 or len(content) != entry.bytes:
            raise SchemaError(
                f"SHA-256 is {digest[:16]}… over {len(content)} bytes",
                f"{str(entry.sha256)[:16]}… over {entry.bytes} bytes as in the manifest",
                "restore the file, or write the manifest anew if the change is meant",
                file=entry.file,
            )
        rows.append((entry.name, entry.file, digest, len(content), entry.rows, True))
    return pd.DataFrame(rows, columns=["name", "file", "sha256", "bytes", "rows", "ok"]).set_index("name")
