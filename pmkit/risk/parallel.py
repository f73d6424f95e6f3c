"""Many tasks over threads, processes or a cluster: results in order, warnings and errors as raised."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pmkit.core.errors import OptionalDependencyError, ParameterError, PmkitError, WorkerLostWarning
from pmkit.core.progress import ProgressBar

__all__ = ["check_count", "in_order"]

_LONELY = 60.0  # seconds without any worker before giving up
_GLANCE = 2.0  # seconds between looks at the cluster

Task = TypeVar("Task")
Answer = TypeVar("Answer")
_Recorded = tuple[Any, list[tuple[type[Warning], str]]]


def check_count(name: str, value: Any) -> int:
    """Return ``value`` if it is a whole number, 1 or more.

    Raises
    ------
    ParameterError
        It is not.

    Examples
    --------
    >>> check_count("workers", 2)
    2
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name} is {value!r}", "a whole number, 1 or more", "correct it")
    return value


def in_order(
    function: Callable[..., Answer],
    common: Any,
    tasks: Sequence[Task],
    *,
    workers: int = 1,
    client: Any = None,
    title: str = "working",
    progress: bool | None = None,
) -> Iterator[Answer]:
    """Yield ``function(common, task)`` of every task, in the order of the tasks.

    Parameters
    ----------
    function : callable
        Of a module, so that other processes find it.
    common : object
        What every task needs; sent to each worker of a cluster once.
    tasks : sequence
    workers : int
        Processes of joblib, 1 or more; 1 works here. A backend chosen with ``joblib.parallel_config``
        (threads, Dask, Ray) takes their place.
    client : distributed.Client, optional
        A cluster to work on in place of joblib.
    title : str
        What the progress bar says.
    progress : bool, optional
        Whether to show it; see :class:`pmkit.core.progress.ProgressBar`.

    Yields
    ------
    object

    Raises
    ------
    ParameterError
        ``workers`` below 1, or ``client`` is no client.
    OptionalDependencyError
        A client is given and the package ``distributed`` is missing.
    PmkitError
        A task killed one worker after another, or no worker is left; and whatever the function raises.

    Warns
    -----
    WorkerLostWarning
        A worker of the cluster died; its tasks were done again by another.

    Examples
    --------
    >>> list(in_order(pow, 2, [1, 2, 3]))
    [2, 4, 8]
    """
    check_count("workers", workers)
    with ProgressBar(title, len(tasks), progress) as bar:
        if client is not None:
            answers: Iterator[Any] = _on_cluster(function, common, tasks, client, bar)
        elif workers > 1 and len(tasks) > 1:
            answers = _with_joblib(function, common, tasks, workers)
        else:
            answers = (function(common, task) for task in tasks)
        for answer in answers:
            if client is None:
                bar.advance()
            yield answer


def _recorded(function: Callable[..., Any], common: Any, task: Any) -> _Recorded:
    """Return the answer with the warnings that came with it, from another process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = function(common, task)
    return answer, [(entry.category, str(entry.message)) for entry in caught]


def _repeat(raised: list[tuple[type[Warning], str]], said: set[tuple[type[Warning], str]]) -> None:
    """Give here, once each, the warnings of another process."""
    for kind in raised:
        if kind not in said:
            said.add(kind)
            warnings.warn(kind[0](kind[1]), stacklevel=5)


def _with_joblib(
    function: Callable[..., Any], common: Any, tasks: Sequence[Any], workers: int
) -> Iterator[Any]:
    """Yield answers of joblib's processes, or of the backend that the caller has chosen."""
    import joblib
    from joblib.parallel import get_active_backend

    parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
    if getattr(get_active_backend()[0], "supports_sharedmem", False):
        yield from parallel(joblib.delayed(function)(common, task) for task in tasks)
        return
    said: set[tuple[type[Warning], str]] = set()
    for answer, raised in parallel(joblib.delayed(_recorded)(function, common, task) for task in tasks):
        _repeat(raised, said)
        yield answer


def _on_cluster(
    function: Callable[..., Any], common: Any, tasks: Sequence[Any], client: Any, bar: ProgressBar
) -> Iterator[Any]:
    """Yield answers of a cluster of dask.distributed, in order, whatever happens to single workers."""
    try:
        import distributed
    except ImportError:
        raise OptionalDependencyError(
            "distributed is not installed", "the packages dask and distributed", "pip install 'pmkit[dask]'"
        ) from None
    wait: Callable[..., Any] = distributed.wait
    if not isinstance(client, distributed.Client):
        raise ParameterError(
            f"client is a {type(client).__name__}", "a distributed.Client", "Client(address of the scheduler)"
        )
    before = _workers(client)
    # a task of its own: the scheduler keeps what is needed to make it again when its worker dies
    shared: Any = client.submit(_itself, common, pure=False)
    futures: list[Any] = [client.submit(_recorded, function, shared, task, pure=False) for task in tasks]
    said: set[tuple[type[Warning], str]] = set()
    pending, given, alone = set(futures), 0, 0.0
    while given < len(futures):
        try:
            finished = wait(pending, timeout=_GLANCE, return_when="FIRST_COMPLETED")
            bar.advance(len(finished.done))
            pending = set(finished.not_done)
        except TimeoutError:
            alone = _still_alone(client, alone)
        while given < len(futures) and futures[given].done():
            answer, raised = _answer(futures[given])
            _repeat(raised, said)
            yield answer
            futures[given].release()
            given += 1
    lost = before - _workers(client)
    if lost:
        warnings.warn(
            WorkerLostWarning(
                f"{len(lost)} of {len(before)} workers died during {bar.title}; what they were computing was "
                "computed again by others, and the figures are those of an undisturbed run"
            ),
            stacklevel=4,
        )


def _itself(value: Any) -> Any:
    """Return the value, from whichever worker holds it."""
    return value


def _workers(client: Any) -> set[str]:
    """Return the addresses of the workers that are alive."""
    return set(client.scheduler_info(n_workers=-1)["workers"])


def _still_alone(client: Any, since: float) -> float:
    """Return since when there is no worker, 0 where there is one; raise where it is too long."""
    if _workers(client):
        return 0.0
    now = time.monotonic()
    if since and now - since > _LONELY:
        raise PmkitError(
            f"no worker of the cluster has been alive for {_LONELY:.0f} seconds",
            "at least one worker",
            "start workers for the scheduler and call again",
        )
    return since or now


def _answer(future: Any) -> _Recorded:
    """Return the answer of a task that is done; errors of the function come through as raised."""
    from distributed.scheduler import KilledWorker

    try:
        answer: _Recorded = future.result()
    except KilledWorker as error:
        raise PmkitError(
            f"one chunk killed {error.allowed_failures + 1} workers of the cluster, one after the other",
            "a chunk that fits the memory of a worker",
            "give a smaller chunk, or workers with more memory",
        ) from None
    return answer
