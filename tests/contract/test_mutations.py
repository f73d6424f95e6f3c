"""The list of one-per-cent changes still fits the package, and the recorded run caught every one of them."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

LEAST = 30


@pytest.fixture(scope="module")
def script(root: Path) -> ModuleType:
    """The script that runs the list."""
    place = importlib.util.spec_from_file_location("run_all", root / "tests" / "mutations" / "run_all.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    return module


def test_there_are_enough_and_no_two_are_alike(script: ModuleType) -> None:
    listed = script.changes()
    assert len(listed) >= LEAST
    assert len({change.name for change in listed}) == len(listed)
    assert len({(change.file, change.after, change.find) for change in listed}) == len(listed)


def test_every_change_applies_and_is_of_one_per_cent(script: ModuleType, root: Path) -> None:
    for change in script.changes():
        before, after = change.numbers()
        assert abs(after / before - 1.0) == pytest.approx(0.01, rel=1e-6), change.name
        text = (root / change.file).read_text(encoding="utf-8")
        changed = change.applied(text)
        assert changed != text, change.name
        if change.file.endswith(".toml"):
            assert tomllib.loads(changed) != tomllib.loads(text), change.name
        assert change.notebook().is_file(), change.name


def test_a_change_that_no_longer_fits_is_named(script: ModuleType) -> None:
    change = script.Change(name="gone", file="a.toml", find="x = 1", put="x = 1.01", chapter="01")
    with pytest.raises(LookupError, match=r"gone: 'x = 1' after '' is not in a\.toml"):
        change.applied("y = 1")


def test_a_change_of_more_than_a_number_is_refused(script: ModuleType) -> None:
    change = script.Change(name="two", file="a.toml", find="x = 1", put="y = 1.01", chapter="01")
    with pytest.raises(ValueError, match="two: more than a number changes"):
        change.numbers()


def test_only_a_failed_assertion_of_the_chapter_counts(script: ModuleType, tmp_path: Path) -> None:
    cell = '{{"cell_type": "code", "metadata": {{}}, "outputs": [], "source": "{}"}}'
    for name, source, code in (
        ("passes", "%matplotlib inline\\nx = 1\\nassert x == 1", 0),
        ("fails", "x = 1\\nassert x == 2", script.CAUGHT),
        ("breaks", "x = 1 / 0\\nassert x", 1),
    ):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(f'{{"cells": [{cell.format(source)}]}}')
        assert script.execute(path, tmp_path)[0] == code


def test_the_recorded_run_caught_every_change(script: ModuleType, root: Path) -> None:
    text = (root / "book" / "mutations.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if re.match(r"\| [^-|]", line)]
    assert rows[1:] == [change.name for change in script.changes()]
    assert "**" not in text
    assert f"{len(rows) - 1} of {len(rows) - 1} changes are caught." in text
