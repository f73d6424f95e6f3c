"""The book as a whole: chapters and pages in their place, every public name in the reference, terms, PDF."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import pmkit as pm

PARTS = (
    "Before you start",
    "Foundations",
    "Surfaces",
    "Dependence",
    "Scenarios and value",
    "Risk and margin",
    "Judging",
    "Using",
    "Rules, clause by clause",
    "Evidence and reference",
)
FRONT = ("readers", "reproduce", "notation", "data")
BACK = ("evidence", "benchmarks", "glossary", "bibliography", "changelog")
LEAST_TERMS = 80


@pytest.fixture(scope="module")
def toc(root: Path) -> dict:
    """The table of contents."""
    return yaml.safe_load((root / "book" / "_toc.yml").read_text(encoding="utf-8"))


def files(toc: dict) -> list[str]:
    """Return every page of the book in order."""
    entries = [entry for part in toc["parts"] for entry in part["chapters"]]
    return [toc["root"], *(e["file"] for entry in entries for e in (entry, *entry.get("sections", ())))]


def chapters(root: Path) -> list[Path]:
    """Return the notebooks that are chapters."""
    return sorted((root / "notebooks").glob("[0-9]*.ipynb"))


# -- contents -----------------------------------------------------------------------------------------------


def test_parts_come_in_their_order(toc: dict) -> None:
    named = [part["caption"] for part in toc["parts"]]
    assert named == [name for name in PARTS if name in named]
    assert {"Before you start", "Foundations", "Evidence and reference"} <= set(named)


def test_every_chapter_is_in_the_contents_in_order(root: Path, toc: dict) -> None:
    listed = [name for name in files(toc) if name.startswith("notebooks/")]
    assert listed == [f"notebooks/{path.stem}" for path in chapters(root)]


def test_chapters_are_numbered_as_their_files(toc: dict) -> None:
    numbered = [part for part in toc["parts"] if part.get("numbered")]
    found = [entry["file"] for part in numbered for entry in part["chapters"]]
    numbers = [int(re.findall(r"/(\d\d)_", name)[0]) for name in found]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_page_exists_once_and_every_rule_page_is_listed(root: Path, toc: dict) -> None:
    listed = files(toc)
    assert len(set(listed)) == len(listed)
    assert [n for n in listed if not any((root / f"{n}{end}").is_file() for end in (".md", ".ipynb"))] == []
    pages = {path.relative_to(root).with_suffix("").as_posix() for path in (root / "book").glob("rules/*.md")}
    assert pages <= set(listed)
    assert {f"book/{name}" for name in (*FRONT, *BACK)} <= set(listed)


@pytest.mark.parametrize("kind", ["prf", "exercise", "check"])
def test_every_chapter_has_statements_exercises_and_checks(root: Path, kind: str) -> None:
    without = []
    for path in chapters(root):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        counts = {
            "prf": len(re.findall(r"\{prf:(?:definition|proposition|theorem|algorithm|lemma)\}", prose)),
            "exercise": min(
                len(re.findall(r"\{exercise(?:-start)?\}", prose)),
                len(re.findall(r"\{solution(?:-start)?\}[^\n]*\n:class: dropdown", prose)),
            ),
            "check": code.count("assert "),
        }
        if counts[kind] < {"prf": 1, "exercise": 2, "check": 3}[kind]:
            without.append(path.stem)
    assert without == []


# -- reference ----------------------------------------------------------------------------------------------


def entries(root: Path) -> dict[str, str]:
    """Return the options of every module that the reference reads, by its name."""
    found: dict[str, str] = {}
    for page in sorted((root / "book" / "api").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        found |= dict(re.findall(r"\.\. automodule:: (\S+)\n((?:   :.*\n)*)", text))
    return found


def rooms() -> list[str]:
    """Return the rooms that export a list of names."""
    return [name for name in dir(pm) if isinstance(getattr(pm, name), ModuleType) and name != "datasets"]


@pytest.mark.parametrize("room", rooms())
def test_the_reference_reads_every_public_name(root: Path, room: str) -> None:
    module, read = importlib.import_module(f"pmkit.{room}"), entries(root)
    options = read[module.__name__]
    assert ":members:" in options and ":imported-members:" in options
    pages = "".join(path.read_text(encoding="utf-8") for path in (root / "book" / "api").glob("*.md"))
    silent = []
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.ismodule(found):
            seen = found.__name__ in read
        elif inspect.isclass(found) or inspect.isroutine(found):
            seen = bool(inspect.getdoc(found)) and name not in options
        else:  # a constant has no docstring that a page could show by itself
            seen = f".. py:data:: {name}\n   :module: {module.__name__}\n" in pages
        if not seen:
            silent.append(name)
    assert silent == []


def test_the_glossary_has_terms_enough(root: Path) -> None:
    text = (root / "book" / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{glossary\}\n(.*?)```", text, flags=re.DOTALL)
    terms = [line for block in blocks for line in block.splitlines() if line and not line.startswith(" ")]
    assert len(terms) >= LEAST_TERMS
    assert len({term.lower() for term in terms}) == len(terms)


# -- the list of pages at the side --------------------------------------------------------------------------


def test_the_side_keeps_titles_and_the_pages_below_them(root: Path) -> None:
    nodes, addnodes = pytest.importorskip("docutils.nodes"), pytest.importorskip("sphinx.addnodes")

    def entry(title: str, *below: object) -> object:
        inner = [nodes.bullet_list("", *below)] if below else []
        return nodes.list_item("", nodes.paragraph("", title), *inner)

    contents = nodes.bullet_list(
        "",
        entry("a page", entry("a heading", entry("a name"))),
        entry("a part", entry("another heading"), addnodes.toctree("", entries=[(None, "book/data")])),
        entry("no heading"),
    )
    before = contents.pformat()
    short = script_of(root / "book" / "_ext" / "sidebar_titles.py").titles(contents)
    assert [len(top) for top in short] == [1, 2, 1]
    assert short.astext().split() == ["a", "page", "a", "part", "no", "heading"]
    assert [one["entries"] for one in short.findall(addnodes.toctree)] == [[(None, "book/data")]]
    assert contents.pformat() == before


# -- PDF ----------------------------------------------------------------------------------------------------


def script_of(path: Path) -> ModuleType:
    """Return a script of the book as a module."""
    place = importlib.util.spec_from_file_location(path.stem, path)
    assert place is not None and place.loader is not None
    script = importlib.util.module_from_spec(place)
    sys.modules[place.name] = script
    place.loader.exec_module(script)
    return script


def printer(root: Path) -> ModuleType:
    """Return the script that prints the book."""
    return script_of(root / "book" / "print_pdf.py")


def test_the_pdf_has_the_pages_of_the_contents(root: Path, toc: dict) -> None:
    assert [page.file for page in printer(root).pages_in_order(toc)] == files(toc)


@pytest.mark.slow
def test_pages_are_printed_and_joined_with_bookmarks(root: Path, tmp_path: Path) -> None:
    script = printer(root)
    browser = next((path for name in script.BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no chromium here")
    for name in ("one", "two"):
        text = f"<html><head><title>Page {name}</title></head><body><h1>Words of {name}</h1></body></html>"
        (tmp_path / f"{name}.html").write_text(text)
    pages = [script.Page("one", ""), script.Page("two", "Part")]
    assert script.print_book(tmp_path, tmp_path / "book.pdf", browser, pages) == 2
    read = script.PdfReader(tmp_path / "book.pdf")
    assert [
        "Words of one" in read.pages[0].extract_text(),
        "Words of two" in read.pages[1].extract_text(),
    ] == [
        True,
        True,
    ]
    assert [item.title for item in read.outline if not isinstance(item, list)] == ["Page one", "Part"]


def test_a_missing_browser_is_named(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(root / "book" / "print_pdf.py"), str(tmp_path), str(tmp_path / "book.pdf")]
    nothing = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=nothing)
    assert done.returncode == 1 and not (tmp_path / "book.pdf").exists()
    assert "no browser found; expected one of chromium, chromium-browser, google-chrome" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_browser_that_fails_is_named(root: Path, toc: dict, tmp_path: Path) -> None:
    for name in files(toc):
        page = tmp_path / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("<title>a page</title>")
    (tmp_path / "chromium").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "chromium").chmod(0o755)
    command = [sys.executable, str(root / "book" / "print_pdf.py"), str(tmp_path), str(tmp_path / "book.pdf")]
    search = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=search)
    assert done.returncode == 1 and not (tmp_path / "book.pdf").exists()
    assert "chromium printed no book" in done.stderr and "exit status 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_page_is_named(root: Path, tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no chromium here")
    command = [sys.executable, str(root / "book" / "print_pdf.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pages are not built, book/intro first; run make book" in done.stderr


def test_the_index_of_the_notebooks_lists_the_chapters_by_part(root: Path, toc: dict) -> None:
    """JupyterLab opens on it."""
    (cell,) = json.loads((root / "notebooks" / "index.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = "".join(cell["source"]).splitlines()
    listed: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("## "):
            listed[line[3:]] = []
        elif found := re.match(r"- \[(.*)\]\((.*)\)$", line):
            listed[list(listed)[-1]].append(found[2])
            assert (root / "notebooks" / found[2]).exists()
    parts = {
        part["caption"]: [f"{Path(c['file']).name}.ipynb" for c in part["chapters"]]
        for part in toc["parts"]
        if part["chapters"][0]["file"].startswith("notebooks/")
    }
    assert listed == {**parts, "Without a chapter": ["margin_explorer_widgets.ipynb"]}
    assert "default_url=/lab/tree/index.ipynb" in (root / "Makefile").read_text(encoding="utf-8")
