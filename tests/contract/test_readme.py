"""The README keeps its word: the Python it shows has eight lines at most and runs as it stands."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
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


def shell_commands(root: Path) -> list[str]:
    """Return the commands of the package that the README shows."""
    return re.findall(r"^\.venv/bin/pmkit (.*)$", (root / "README.md").read_text(), re.MULTILINE)


def test_readme_shows_what_a_user_does_first(root: Path) -> None:
    assert [command.split()[0] for command in shell_commands(root)] == ["margin", "surface", "validate"]


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 2])
def test_shell_commands_run_as_shown(root: Path, tmp_path: Path, place: int) -> None:
    (tmp_path / "my.csv").write_text(ACCOUNT)
    shutil.copy(root / "data" / "deribit_btc_chain_2026-08-01.csv", tmp_path / "chain.csv")
    entry = "from pmkit.cli.main import app; app()"
    command = [sys.executable, "-c", entry, *shell_commands(root)[place].split()]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    written = {path.name for path in tmp_path.iterdir()} - {"my.csv", "chain.csv"}
    assert written == ({"validation"} if place == 2 else set())
    assert done.stdout.startswith("{") or place > 0


def test_every_make_target_of_the_readme_is_run_by_a_stage_or_a_test(root: Path) -> None:
    """The continuous run calls most; the tests named here drive the recipe or the script of the others."""
    stages = re.findall(r"^stage \S+ make (\S+)$", (root / ".ci" / "run").read_text(), re.MULTILINE)
    driven = {
        "app": "browser/test_margin_explorer.py",
        "lab": "browser/test_jupyterlab.py",
        "pdf": "contract/test_book.py",
        "mutations": "contract/test_mutations.py",
        "help": "contract/test_makefile.py",
    }
    assert [file for file in driven.values() if not (root / "tests" / file).is_file()] == []
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", (root / "README.md").read_text(), re.MULTILINE))
    assert {"margin", "test", "app", "book", "pdf"} <= named
    assert named - {"check"} <= {*stages, *driven}


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
