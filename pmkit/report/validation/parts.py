"""Parts of a validation report: sections with a traffic light, tables that are also written as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.result import format_number
from pmkit.report.embedded import Picture

__all__ = ["LIGHTS", "Light", "ReportTable", "Section", "cell_text", "worst"]

Light = Literal["green", "yellow", "red", "grey"]
"""No objection; questions remain; an objection; stated and not judged."""

#: What each light says.
LIGHTS: dict[Light, str] = {
    "green": "no objection",
    "yellow": "questions remain",
    "red": "objection",
    "grey": "stated, not judged",
}
_ORDER = ("grey", "green", "yellow", "red")


def worst(lights: Iterable[Light]) -> Light:
    """Return the most severe of several lights: red before yellow, green, grey.

    Examples
    --------
    >>> worst(["green", "yellow", "grey"]), worst([])
    ('yellow', 'grey')
    """
    return max(lights, key=_ORDER.index, default="grey")


def cell_text(value: Any) -> str:
    """Return what a cell of the page shows: five significant digits, ``–`` where there is nothing.

    Examples
    --------
    >>> cell_text(0.123456789), cell_text(float("nan")), cell_text(True), cell_text("red"), cell_text(1094)
    ('0.12346', '–', 'yes', 'red', '1,094')
    """
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        # rounding of sums is no figure
        return "0" if abs(value) < 1e-12 else format_number(value, 5)
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return str(value) or "–"


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A table of the report.

    Attributes
    ----------
    name : str
        Name of its CSV file, without ending: letters, digits, underscores.
    title, note : str
    frame : DataFrame
        Cells as they were computed; an index with a name is a column.
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name.replace("_", "").isalnum() or not self.name.isascii():
            raise ParameterError(
                f"table is named {self.name!r}", "letters, digits, underscores", "name its file so"
            )

    @property
    def flat(self) -> pd.DataFrame:
        """The frame with its index as first column."""
        return self.frame.reset_index() if self.frame.index.name else self.frame.reset_index(drop=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings."""
        return tuple(str(name).replace("_", " ") for name in self.flat.columns)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column stands right."""
        flat = self.flat
        return tuple(
            bool(pd.api.types.is_numeric_dtype(flat[name]) and not pd.api.types.is_bool_dtype(flat[name]))
            for name in flat.columns
        )

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Cells in words."""
        flat = self.flat
        columns = [[cell_text(value) for value in flat[name]] for name in flat.columns]
        return tuple(zip(*columns, strict=True))


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section: what is found, how it is judged, and on what that rests.

    Attributes
    ----------
    key : str
        Anchor on the page.
    title : str
    light : {"green", "yellow", "red", "grey"}
    verdict : str
        One sentence.
    paragraphs : tuple of str
    tables : tuple of ReportTable
    pictures : tuple of Picture
    """

    key: str
    title: str
    light: Light
    verdict: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def __post_init__(self) -> None:
        if self.light not in LIGHTS:
            raise ParameterError(f"light is {self.light!r}", ", ".join(LIGHTS), "choose one")
