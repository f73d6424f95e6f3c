"""Stored outputs of the chapters: every code cell was executed, in order, and what it printed is portable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = [p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if p.stem != "index"]
LARGEST = 1_500_000
ABSOLUTE = re.compile(r"(?<![\w.:/])(?:/(?:home|root|tmp|work|Users|usr|opt)/\w|[A-Z]:\\\w)")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def code_cells(path: Path) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def printed(cell: dict) -> str:
    """Return the text and HTML outputs of a cell."""
    parts: list[str] = []
    for output in cell["outputs"]:
        parts += output.get("text", [])
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                parts += [content] if isinstance(content, str) else content
    return "".join(parts)


def test_chapters_exist() -> None:
    assert [path.name for path in CHAPTERS if not path.stem.endswith("_widgets")]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_cell_was_executed_in_order(path: Path) -> None:
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_outputs_are_stored(path: Path) -> None:
    cells = code_cells(path)
    assert any(cell["outputs"] for cell in cells)
    assert not [cell for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_outputs_are_portable(path: Path) -> None:
    for cell in code_cells(path):
        text = printed(cell)
        assert not ABSOLUTE.search(text), text[:200]
        assert not ADDRESS.search(text), text[:200]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_size_is_moderate(path: Path) -> None:
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_cells_are_short(path: Path) -> None:
    longest = max("".join(cell["source"]).strip().count("\n") + 1 for cell in code_cells(path))
    assert longest <= 15
