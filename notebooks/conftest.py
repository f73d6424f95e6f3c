"""A chapter on data that are not shipped is skipped, with the reason, where the data are absent."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest


def extra_data() -> Path | None:
    """Return the folder of the study data, or None where there is none."""
    given = os.environ.get("PMKIT_EXTRA_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data" / "extra"
    return folder if folder.is_dir() else None


@cache
def needs(chapter: Path) -> str:
    """Return what a chapter says in its metadata that it needs, ``pmkit: {needs: extra_data}``."""
    said: str = json.loads(chapter.read_text(encoding="utf-8"))["metadata"].get("pmkit", {}).get("needs", "")
    return said


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cells of chapters whose data are absent."""
    if extra_data() is not None:
        return
    absent = pytest.mark.skip(reason="no study data: set PMKIT_EXTRA_DATA to their folder")
    for item in items:
        if item.path.suffix == ".ipynb" and needs(item.path) == "extra_data":
            item.add_marker(absent)
