"""Make two habits of our docstrings readable: attributes described together, and a colon in a property."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

# "a, b : float" under the heading Attributes
_TOGETHER = re.compile(r"^(\s*)(\w+(?:, \w+)+) : (.*)$")


def split_attributes(lines: list[str]) -> list[str]:
    """Return the lines with "a, b : float" taken apart into one entry each, the description with the last."""
    result: list[str] = []
    inside = False
    for at, line in enumerate(lines):
        underlined = at + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[at + 1].strip())
        if underlined:
            inside = line.strip() == "Attributes"
        match = _TOGETHER.match(line) if inside else None
        if match is None:
            result.append(line)
            continue
        indent, names, kind = match.groups()
        result += [f"{indent}{name} : {kind}" for name in names.split(", ")]
    return result


def join_colon(lines: list[str]) -> list[str]:
    """Return the lines of a property; words before a colon, taken for a type, are put back in their place."""
    types = [line for line in lines if line.startswith(":type: ")]
    if not types:
        return lines
    kept = [line for line in lines if not line.startswith(":type: ")]
    return [f"{types[0].removeprefix(':type: ')}: {kept[0]}", *kept[1:]]


def _before(app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    lines[:] = split_attributes(lines)


def _after(app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    if what in ("property", "attribute"):
        lines[:] = join_colon(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    # the reader of docstrings itself is called at 500
    app.connect("autodoc-process-docstring", _before, priority=400)
    app.connect("autodoc-process-docstring", _after, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
