"""The files of the project: no registry host, no machine path, rooms with docstrings, links alive."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

# Written in parts, so that this file does not hold what it looks for.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("npm" + "js", "org"),
        ("npm" + "js", "com"),
        ("deb", "debian", "org"),
        ("anaconda", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root|home|Users)/\w")


def project_files(root: Path) -> list[Path]:
    """Return the files that are part of the project: what git tracks, and what it does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: the list of files is unknown")
    found = [root / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in found if path.is_file()]


def texts(root: Path) -> list[tuple[str, str]]:
    """Return name and content of every text file of the project."""
    found = []
    for path in project_files(root):
        try:
            found.append((path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def rooms(root: Path) -> list[Path]:
    """Return the folders of the package that hold code."""
    return sorted(path.parent for path in (root / "pmkit").glob("*/__init__.py"))


def test_no_file_names_a_registry_host(root: Path) -> None:
    files = texts(root)
    assert len(files) > 20
    assert [(name, host) for name, text in files for host in HOSTS if host in text] == []


def test_no_file_holds_a_path_of_a_machine(root: Path) -> None:
    found = [(name, hit.group()) for name, text in texts(root) if (hit := MACHINE_PATH.search(text))]
    assert found == []


def test_every_folder_with_code_is_a_room_with_a_docstring(root: Path) -> None:
    folders = {path.parent for path in (root / "pmkit").rglob("*.py")}
    assert len(folders) > 1
    for folder in sorted(folders):
        init = folder / "__init__.py"
        assert init.is_file(), f"{folder.relative_to(root)} has code but no __init__.py"
        assert ast.get_docstring(ast.parse(init.read_text())), f"{init.relative_to(root)} has no docstring"


def test_room_init_holds_imports_and_an_export_list_only(root: Path) -> None:
    for room in rooms(root):
        body = ast.parse((room / "__init__.py").read_text()).body
        for node in body[1:]:
            exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            assert isinstance(node, (ast.Import, ast.ImportFrom)) or exports, (
                f"{room.name}/__init__.py, line {node.lineno}: {ast.unparse(node)[:60]}"
            )


def test_layer_contract_names_every_room(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [item["layers"] for item in contracts if item["type"] == "layers"]
    named = {part.strip().removeprefix("pmkit.") for layer in layers for part in layer.split("|")}
    assert named == {room.name for room in rooms(root)}


def test_api_reference_has_a_page_for_every_room(root: Path) -> None:
    pages = {path.stem for path in (root / "book" / "api").glob("*.md")} - {"index"}
    assert pages == {room.name for room in rooms(root)}


def test_modules_stay_readable(root: Path) -> None:
    lengths = {path: path.read_text().count("\n") for path in (root / "pmkit").rglob("*.py")}
    assert {path.name: length for path, length in lengths.items() if length > 600} == {}


def test_notice_names_every_data_file_of_others(root: Path) -> None:
    notice = (root / "NOTICE").read_text()
    entries = json.loads((root / "data" / "manifest.json").read_text())["datasets"]
    observed = [entry for entry in entries if "file" in entry and not entry["simulated"]]
    assert len(observed) >= 4
    for entry in observed:
        assert f"data/{entry['file']}\n" in notice
        assert entry["package"].partition(" (")[0] in notice


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "NOTICE"])
def test_links_lead_to_files(root: Path, page: str) -> None:
    text = (root / page).read_text()
    targets = [hit for hit in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in hit]
    assert [target for target in targets if not (root / target).exists()] == []


def test_book_lists_pages_that_exist(root: Path) -> None:
    text = (root / "book" / "_toc.yml").read_text()
    pages = re.findall(r"(?:file|root): (\S+)", text)
    missing = [
        page for page in pages if not any((root / f"{page}{end}").is_file() for end in (".md", ".ipynb"))
    ]
    assert len(pages) > 10
    assert missing == []


def reference_keys(path: Path) -> list[str]:
    """Return the keys that a module hands on as ``references``, as an attribute or as an argument."""
    values: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "references":
            values.append(node.value)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if ast.unparse(target).split(".")[-1] == "references":
                values.append(node.value)
    constants = (
        item for value in values if value for item in ast.walk(value) if isinstance(item, ast.Constant)
    )
    return [item.value for item in constants if isinstance(item.value, str)]


def test_references_of_the_code_stand_in_the_bibliography(root: Path) -> None:
    entries = (root / "book" / "refs.bib").read_text()
    known = set(re.findall(r"^@\w+\{(\w+),", entries, flags=re.MULTILINE))
    named = {key: path.name for path in (root / "pmkit").rglob("*.py") for key in reference_keys(path)}
    assert {key: module for key, module in named.items() if key not in known} == {}
