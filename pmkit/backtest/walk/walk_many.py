"""Many walk-forwards at once: by joblib, with the bits of one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from pmkit.backtest.walk.walk_forward import walk_forward
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import ParameterError, PmkitError

__all__ = ["walk_many"]


def _one(job: Mapping[str, Any]) -> BacktestResult | PmkitError:
    # An error that crosses processes by itself loses its class; as a value it does not.
    try:
        return walk_forward(**job)
    except PmkitError as error:
        return error


def walk_many(
    jobs: Mapping[str, Mapping[str, Any]],
    *,
    n_jobs: int = 1,
    checkpoints: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, BacktestResult]:
    """Return the walk-forward of each job by name, the same bits on any number of workers.

    Parameters
    ----------
    jobs : mapping of str to mapping
        Arguments of :func:`walk_forward` by name: at least ``book`` and ``history``.
    n_jobs : int
        Workers of joblib: 1 for none, -1 for one a core. Inside ``joblib.parallel_config`` a cluster takes
        over.
    checkpoints : path, optional
        Folder for one checkpoint a job, from which runs that were stopped go on.
    progress : callable, optional
        Told after each job how many of how many are done, and its name.

    Returns
    -------
    dict of str to BacktestResult
        In the order of the jobs.

    Raises
    ------
    ParameterError
        No job, or ``n_jobs`` of 0.
    PmkitError
        The error of the first job that failed, as :func:`walk_forward` raises it.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("crypto-daily-2020-2023")
    >>> span = {"history": history, "model": "hs", "start": "2021-05-18", "end": "2021-05-19"}
    >>> found = walk_many({name: {"book": name, **span} for name in ("long_btc", "short_btc")})
    >>> [int(run.frame["hit"].sum()) for run in found.values()]
    [1, 0]
    """
    if not jobs:
        raise ParameterError("there is no job", "one or more", "hand over arguments of walk_forward by name")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise ParameterError(f"n_jobs is {n_jobs!r}", "1 or more, or -1 for every core", "correct it")
    tasks = []
    for position, job in enumerate(jobs.values()):
        kept = {} if checkpoints is None else {"checkpoint": Path(checkpoints) / f"walk_{position}.json"}
        tasks.append(delayed(_one)({**job, **kept}))
    found: dict[str, BacktestResult] = {}
    runs = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    for name, outcome in zip(jobs, runs, strict=True):
        if isinstance(outcome, PmkitError):
            raise outcome
        found[name] = outcome
        if progress is not None:
            progress(len(found), len(jobs), name)
    return found
