"""The run of the chapters tells a chapter that differs from one that does not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import nbformat
import pytest


@pytest.fixture
def runner(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_chapters", root / "tests" / "chapters" / "run_all.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PAGE", tmp_path / "run_times.md")
    return module


def chapter(folder: Path, name: str, stored: str) -> None:
    """Write a chapter that prints 2 and has something stored for it."""
    output = nbformat.v4.new_output("stream", text=stored)
    cell = nbformat.v4.new_code_cell("print(1 + 1)", execution_count=1, outputs=[output])
    book = nbformat.v4.new_notebook(cells=[cell])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "notebooks" / name)


def test_a_chapter_that_differs_fails_and_is_shown(runner, tmp_path, capsys):
    chapter(tmp_path, "01_right.ipynb", "2\n")
    chapter(tmp_path, "02_wrong.ipynb", "3\n")
    assert runner.main(["--record"]) == 1
    said = capsys.readouterr().out
    assert "chapters that passed: 1, that failed: 02_wrong" in said
    assert "mismatch" in said
    assert not runner.PAGE.exists()
    assert runner.main(["--record", "right"]) == 0
    assert list(runner.recorded()) == ["01_right"]


def test_a_name_that_no_chapter_has_is_refused(runner, capsys):
    assert runner.main(["99"]) == 2
    assert "no chapter is called 99" in capsys.readouterr().err
