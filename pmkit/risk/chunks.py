"""Full revaluation a few scenarios at a time: measures in bounded memory, here or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.progress import ProgressBar
from pmkit.core.provenance import Provenance
from pmkit.core.types import IntArray
from pmkit.instruments import Instrument, Portfolio
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.accounts import tails, unit_rows
from pmkit.risk.accounts_result import (
    AccountMeasures,
    TailOfAccounts,
    check_level,
    kept_scenarios,
    measured,
)
from pmkit.risk.accounts_table import AccountPositions, AccountTable, account_table
from pmkit.risk.cube import PnLCube
from pmkit.risk.parallel import check_count, in_order
from pmkit.risk.revalue import distinct, revalue
from pmkit.risk.tail_kernel import merge_tails
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["measures_in_chunks", "revalue_in_chunks"]


def revalue_in_chunks(
    book: Portfolio | Sequence[Instrument],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    *,
    chunk: int,
    threads: int = 1,
    progress: bool | None = None,
) -> Iterator[PnLCube]:
    """Yield the P&L cubes of ``chunk`` scenarios after the other, in the order of the set.

    For what needs every profit but not all at once. Each cube holds 16 bytes per instrument and scenario.

    Parameters
    ----------
    book : Portfolio or sequence of Instrument
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    chunk : int
        Scenarios at a time, 1 or more; the last cube may hold fewer.
    threads : int
        As for :func:`pmkit.risk.revalue`.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Yields
    ------
    PnLCube
        Its profits are, bit for bit, columns of the cube of all scenarios; its weights add up to 1 within the
        chunk. Scenarios of weight 0 are in it.

    Raises
    ------
    ParameterError
        ``chunk`` or ``threads`` below 1.
    PmkitError
        As :func:`pmkit.risk.revalue`.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> book = Portfolio.from_records([line])
    >>> moves = grid([-0.1, 0.0, 0.1], dynamics="sticky_strike")
    >>> [len(cube) for cube in revalue_in_chunks(book, snap, moves, chunk=2)]
    [2, 1]
    """
    check_count("chunk", chunk)
    parts = _parts(len(scenarios), chunk)
    with ProgressBar("revaluation", len(parts), progress) as bar:
        for rows in parts:
            yield revalue(book, snapshot, _subset(scenarios, rows), threads=threads)
            bar.advance()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """What every chunk needs."""

    instruments: tuple[Instrument, ...]
    snapshot: MarketSnapshot
    table: AccountTable
    keep: int
    numeraire: str
    single: bool
    threads: int


class _Chunks(Sequence[tuple[int, ScenarioSet]]):
    """Number of the first scenario and set of each chunk, cut out when it is asked for."""

    def __init__(self, scenarios: ScenarioSet, chunk: int) -> None:
        self.scenarios, self.parts = scenarios, _parts(len(scenarios), chunk)

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, at: Any) -> Any:
        rows = self.parts[at]
        return int(rows[0]), _subset(self.scenarios, rows)


def measures_in_chunks(
    positions: AccountPositions,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    *,
    chunk: int,
    instruments: Portfolio | Sequence[Instrument] | None = None,
    level: float = 0.975,
    measures: Sequence[str] = ("es", "var"),
    balances: pd.DataFrame | None = None,
    numeraire: str = "USD",
    single: bool = False,
    threads: int = 1,
    workers: int = 1,
    client: Any = None,
    progress: bool | None = None,
) -> AccountMeasures:
    """Return ES and VaR of many accounts by full revaluation that never holds the whole cube.

    The same figures as :func:`pmkit.risk.account_measures` on the whole cube, to the last bit, whatever the
    chunk, the number of workers and threads, and also when a worker of a cluster dies half-way.

    Parameters
    ----------
    positions : mapping of str to Portfolio or Account, DataFrame, or scipy.sparse matrix
        As for :func:`pmkit.risk.account_measures`.
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
    chunk : int
        Scenarios at a time. A worker needs about ``32 * instruments * chunk`` bytes, and
        ``16 * accounts * tail`` bytes for the tails, where the tail is (1 - level) of the scenarios.
    instruments : Portfolio or sequence of Instrument, optional
        What the columns of a frame or matrix stand for, in the order of the matrix; accounts by name bring
        their own.
    level : float
        From 0.5 to below 1.
    measures : sequence of {"es", "var"}
    balances : DataFrame, optional
        One row an account, one column a currency, with a frame or matrix.
    numeraire : str
    single : bool
        Whether the accounts are added up in float32.
    threads : int
        Threads in each worker.
    workers : int
        Processes of joblib that share the chunks. ``with joblib.parallel_config(backend="dask"):`` around the
        call takes them to a cluster.
    client : distributed.Client, optional
        A cluster in place of joblib, with care for workers that die.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    AccountMeasures

    Raises
    ------
    ParameterError
        ``chunk``, ``workers``, ``threads``, level, measures or positions are not as said, or a frame comes
        without instruments.
    OptionalDependencyError
        A client is given and ``distributed`` is not installed.
    PmkitError
        As :func:`pmkit.risk.revalue`; or the cluster failed: a chunk killed its workers, or none is left.

    Warns
    -----
    WorkerLostWarning
        Workers of the cluster died; their chunks were computed again by others.

    Notes
    -----
    The k worst scenarios of two chunks together are among the k worst of each, so tails are merged chunk by
    chunk and nothing else is kept.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> moves = grid([-0.1, 0.0, 0.1], dynamics="sticky_strike")
    >>> book = Portfolio.from_records([line])
    >>> measures_in_chunks({"one": book}, snap, moves, chunk=2, level=0.9).values["es"].round(6).tolist()
    [100.0]
    """
    for name, value in (("chunk", chunk), ("workers", workers), ("threads", threads)):
        check_count(name, value)
    check_level(level)
    held = _held(positions, instruments)
    table = account_table(positions, [i.name for i in held], balances=balances, snapshot=snapshot)
    weights = scenarios.weights
    keep = kept_scenarios(weights, level)
    job = _Job(
        instruments=held,
        snapshot=snapshot,
        table=table,
        keep=keep,
        numeraire=numeraire,
        single=single,
        threads=threads,
    )
    tasks = _Chunks(scenarios, chunk)
    merged: TailOfAccounts | None = None
    for part in in_order(
        _tail_of_chunk, job, tasks, workers=workers, client=client, title="revaluation", progress=progress
    ):
        merged = part if merged is None else _merged(merged, part, keep)
    assert merged is not None
    return measured(
        merged, table.accounts, weights, level=level, measures=measures, numeraire=numeraire,
        provenance=Provenance(
            method="risk.measures_in_chunks",
            data={"snapshot": snapshot.fingerprint, "scenarios": scenarios.fingerprint},
            parameters={"level": level, "numeraire": numeraire, "single": single, "accounts": len(table)},
            seed=scenarios.provenance.seed,
            simulated=scenarios.provenance.simulated,
        ),
    )  # fmt: skip


def _held(
    positions: AccountPositions, instruments: Portfolio | Sequence[Instrument] | None
) -> tuple[Instrument, ...]:
    """Return the instruments to value, each once."""
    if instruments is not None:
        return distinct(instruments)
    if not isinstance(positions, Mapping):
        raise ParameterError(
            f"positions are a {type(positions).__name__} and no instruments are given",
            "the instruments that its columns stand for",
            "add instruments=[...] in the order of the columns",
        )
    books = [p if isinstance(p, Portfolio) else p.portfolio for p in positions.values()]
    return distinct([i for book in books for i in book.instruments])


def _parts(count: int, chunk: int) -> list[IntArray]:
    """Return the numbers of the scenarios of each chunk."""
    return [np.arange(start, min(start + chunk, count)) for start in range(0, count, chunk)]


def _subset(scenarios: ScenarioSet, rows: IntArray) -> ScenarioSet:
    """Return a chunk of the set; equal weights where all of them are 0, which no set may have."""
    if float(scenarios.weights[rows].sum()) > 0.0:
        return scenarios.subset(rows)

    return replace(scenarios, weights=np.empty(0)).subset(rows)


def _tail_of_chunk(job: _Job, task: tuple[int, ScenarioSet]) -> TailOfAccounts:
    """Return the worst scenarios of each account within one chunk."""
    first, scenarios = task
    cube = revalue(job.instruments, job.snapshot, scenarios, threads=job.threads)
    matrix: Any = unit_rows(cube, job.table.currencies, job.numeraire)
    if job.single:
        matrix = matrix.astype(np.float32)
    keep = min(job.keep, len(scenarios))
    return tails(matrix, job.table, keep, first_scenario=first, threads=job.threads)


def _merged(one: TailOfAccounts, two: TailOfAccounts, keep: int) -> TailOfAccounts:
    """Return the worst of two tails; the scenarios of the second come after those of the first."""
    accounts, width = one.profit.shape
    shape = (accounts, min(keep, width + two.profit.shape[1]))
    both = TailOfAccounts(
        profit=np.empty(shape, dtype=one.profit.dtype), scenario=np.empty(shape, dtype=np.int64)
    )
    merge_tails(one.profit, one.scenario, two.profit, two.scenario, both.profit, both.scenario)
    return both
