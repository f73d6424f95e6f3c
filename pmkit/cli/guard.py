"""The edge between the library and a terminal: warnings become notes, errors one line and an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from pmkit.core.errors import PmkitError, PmkitWarning

__all__ = ["BAD_INPUT", "guarded", "say"]

#: Exit code of every error that pmkit raises on purpose; the one that a wrong option has too.
BAD_INPUT = 2


def say(text: str) -> None:
    """Print a line for the reader on standard error, so that standard output holds the result alone."""
    print(text, file=sys.stderr)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


@contextmanager
def guarded() -> Iterator[list[str]]:
    """Collect pmkit's warnings once each, and end the program on bad input with one line on standard error.

    Yields
    ------
    list of str
        Filled with the texts of the warnings when the block has ended, in order of appearance.

    Raises
    ------
    typer.Exit
        With code 2, after a :class:`pmkit.core.errors.PmkitError` or a file that cannot be written or read.
    """
    notes: list[str] = []
    failure: str | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PmkitWarning)
        try:
            yield notes
        except PmkitError as error:
            failure = _one_line(error)
        except OSError as error:
            # a disk that is full or a folder that is closed is the user's to mend, and no bug of ours
            name = Path(str(error.filename)).name if error.filename else "a file"
            failure = f"{name}: {error.strerror or error}; expected a readable file; remedy: choose another"
    for item in caught:
        if not issubclass(item.category, PmkitWarning):
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    if failure is not None:
        say(f"error: {failure}")
        raise typer.Exit(BAD_INPUT)
    notes += dict.fromkeys(
        _one_line(item.message) for item in caught if issubclass(item.category, PmkitWarning)
    )
