"""What every test shares: fixed random cases, pictures without a window, and the way to the study data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("pmkit", derandomize=True, deadline=None, database=None, print_blob=False)
settings.load_profile("pmkit")


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def extra_data() -> Path:
    """Folder of the study data that are not part of the project; the test is skipped where it is absent."""
    given = os.environ.get("PMKIT_EXTRA_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data" / "extra"
    if not folder.is_dir():
        pytest.skip("no study data: set PMKIT_EXTRA_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def no_figure_left() -> Iterator[None]:
    """Close what a test drew: open figures add up over thousands of tests until matplotlib warns."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
