"""The builder of snapshots, handed on: it lives one room higher, with the surfaces it fits."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from pmkit.market.snapshot import MarketSnapshot

__all__ = ["load_snapshot"]


def load_snapshot(
    name_or_path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    max_skew: str | pd.Timedelta = "10min",
) -> MarketSnapshot:
    """Return the market at the instant of a data set or of the user's own quote files.

    The mid of the perpetual stands for the index, mids of futures for their marks, and an option's vol is
    that of its mid, else it is read from the surface; the snapshot's ``ledger`` and ``notes`` say so.

    Parameters
    ----------
    name_or_path : str, path or list of them
        A name of :func:`pmkit.market.datasets.list`, a CSV file in one of the shapes of
        :func:`pmkit.market.read_quotes`, or a list with one source per underlying.
    max_skew : str or Timedelta
        Largest difference between the instants of several sources; the snapshot takes the latest.

    Raises
    ------
    DataGapError
        Neither a data set nor a file, an empty file, no perpetual, no usable expiry.
    SchemaError, ConventionError
        As :func:`pmkit.market.read_quotes`, or instants further apart than ``max_skew``.

    Examples
    --------
    >>> snapshot = load_snapshot("deribit-btc-2026-08-01")
    >>> snapshot.as_of.isoformat(timespec="seconds"), snapshot.spot("BTC")
    ('2026-08-01T17:58:04+00:00', 62687.75)
    """
    # looked up by name, so that no import statement points upwards
    builder: Any = importlib.import_module("pmkit.surface.builder")
    snapshot: MarketSnapshot = builder.load_snapshot(name_or_path, max_skew=max_skew)
    return snapshot
