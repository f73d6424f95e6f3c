"""Tables for a terminal: they fit 100 columns and read the same without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pmkit.report.tables import Cell, Row

__all__ = ["WIDTH", "print_frame", "print_lines", "print_rows"]

#: Columns that every table fits into.
WIDTH = 100


def _print(table: Table) -> None:
    """Print a table on standard output: colour in a window alone, no blanks at the ends of lines."""
    console = Console(width=WIDTH, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().rstrip().splitlines()))


def _wrapped(text: str, width: int) -> str:
    # rich breaks at blanks only, and names of parameter sets have none
    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=True))


def _cell(cell: Cell, strong: bool, width: int) -> Text:
    text = Text(_wrapped(cell.text, width), style="bold" if strong else "")
    return text.append(f"\n{_wrapped(cell.note, width)}", style="dim") if cell.note else text


def print_rows(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the margin table: one column a rule, one line a number, its second reading below it."""
    first = max(len(row.label) for row in rows)
    width = min((WIDTH - first - 3) // max(len(columns), 1) - 2, 36)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(_wrapped(column, width), justify="right", width=width)
    for row in rows:
        label = Text(row.label, style="bold" if row.strong else "")
        table.add_row(label, *(_cell(cell, row.strong, width) for cell in row.cells))
    _print(table)


def print_frame(frame: pd.DataFrame) -> None:
    """Print a frame with its index as the first columns; numbers stand right, the widest column wraps."""
    cells = frame.reset_index().astype(str)
    widths = {str(name): max(len(str(name)), int(column.str.len().max())) for name, column in cells.items()}
    crowded = sum(widths.values()) + 3 * len(widths) > WIDTH
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, column in cells.items():
        right = bool(column.str[:1].isin(list("-–<>∞0123456789")).all())
        wraps = crowded and widths[str(name)] == max(widths.values())
        table.add_column(str(name), justify="right" if right else "left", overflow="fold", no_wrap=not wraps)
    for line in cells.itertuples(index=False):
        table.add_row(*line)
    _print(table)


def print_lines(title: str, lines: Sequence[str]) -> None:
    """Print a titled list, or nothing where there is nothing to say."""
    if lines:
        print(title)
    for line in lines:
        print(
            textwrap.fill(
                line, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False
            )
        )
