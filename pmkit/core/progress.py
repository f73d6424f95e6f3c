"""A progress bar for what takes longer than two seconds, where somebody is looking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["ProgressBar"]

_PATIENCE = 2.0  # seconds


class ProgressBar:
    """Context in which steps are counted; a bar appears on stderr once two seconds have passed.

    Parameters
    ----------
    title : str
        What is being done.
    total : int or None
        Number of steps; None where nobody knows it beforehand.
    show : bool, optional
        Whether to show the bar at all; where left out, in a terminal only. A notebook would store the bar,
        and its output would depend on the speed of the machine: ask for it there with True.

    Examples
    --------
    >>> with ProgressBar("revaluing", 3) as bar:
    ...     for _ in range(3):
    ...         bar.advance()
    >>> bar.done
    3
    """

    def __init__(self, title: str, total: int | None, show: bool | None = None) -> None:
        self.title, self.total, self.show = title, total, show
        self.done = 0
        self._started = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done."""
        self.done += steps
        if self._bar is None and self.show is not False and self._late():
            self._begin()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)

    def _late(self) -> bool:
        return time.monotonic() - self._started > _PATIENCE

    def _begin(self) -> None:
        """Show the bar, unless nobody looks; then do not ask again."""
        console = self._console()
        if self.show is None and (console.is_jupyter or not console.is_terminal):
            self.show = False
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(self.title, total=self.total, completed=self.done)
        self._bar.start()

    def _console(self) -> Console:
        from rich.console import Console

        return Console(stderr=True, force_terminal=self.show)
