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


def _mend(app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    if what in ("property", "attribute"):
        # without an empty first line the words before a colon are taken for a type
        lines.insert(0, "")
    else:
        lines[:] = split_attributes(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _mend, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
