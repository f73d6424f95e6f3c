"""The commands that the documents name exist: targets, stages of the continuous run, lines of the help."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest


def targets(root: Path) -> set[str]:
    """Return the targets a user may call."""
    text = (root / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    defined = set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))
    assert set(phony.split()) == defined
    return defined


def commands(text: str) -> set[str]:
    """Return the targets that a document tells to make."""
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(
        r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL
    )
    return {name for part in code for name in re.findall(r"\bmake ([a-z][a-z-]*)", part)}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "book/evidence.md", "book/intro.md"])
def test_named_targets_exist(root: Path, page: str) -> None:
    named = commands((root / page).read_text())
    assert named
    assert named <= targets(root)


def test_readme_names_the_two_commands(root: Path) -> None:
    assert {"margin", "test"} <= commands((root / "README.md").read_text())


def test_continuous_run_calls_existing_targets(root: Path) -> None:
    called = set(
        re.findall(r"^stage \S+ make (\S+)$", (root / ".ci" / "run").read_text(), flags=re.MULTILINE)
    )
    assert {"test", "lint", "types", "contract", "notebooks", "book"} <= called <= targets(root)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_help_lists_every_target(root: Path) -> None:
    done = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", done.stdout, flags=re.MULTILINE))
    assert listed == targets(root)
