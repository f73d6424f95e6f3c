"""The README keeps its word: the Python it shows has eight lines at most and runs as it stands."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNT = """\
type,instrument,qty,as_of
position,BTC-PERPETUAL,-1000,2026-08-01T17:58:04Z
collateral,BTC,1.0,2026-08-01T17:58:04Z
"""


def python_block(root: Path) -> str:
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return block


def test_python_has_eight_lines_at_most(root: Path) -> None:
    lines = [line for line in python_block(root).splitlines() if line.strip()]
    assert lines[0] == "import pmkit as pm"
    assert len(lines) <= 8


@pytest.mark.slow
def test_python_runs_as_shown(root: Path, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text(ACCOUNT)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{python_block(root)}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for rule in ("es-fhs", "var-hs", "deribit-pm", "deribit-standard"):
        assert rule in done.stdout


def test_readme_states_the_test_command(root: Path) -> None:
    text = (root / "README.md").read_text()
    assert "`make test`" in text
    assert re.search(r"^make margin\b", text, re.MULTILINE)
    assert re.search(r"^make test\b", text, re.MULTILINE)


def test_the_table_is_what_the_run_gives(root: Path) -> None:
    place = importlib.util.spec_from_file_location("update_readme", root / "docs" / "update_readme.py")
    assert place is not None and place.loader is not None
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    found, _, market = script.example()
    shown = f"{script.START}\n{script.table(found, market)}\n{script.END}"
    assert shown in (root / "README.md").read_text(encoding="utf-8"), "run `make readme`"
