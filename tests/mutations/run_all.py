"""Change one parameter of the package at a time by one per cent and see that a chapter of the book notices.

Run it with ``python tests/mutations/run_all.py [words of names ...]``; it writes ``book/mutations.md``, and a
run of some changes replaces their rows only. A change is caught if an assertion of its chapter fails, and not
if the chapter stops for another reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("changes.toml")
TABLE = ROOT / "book" / "mutations.md"
HEAD = ("| parameter | from | to | chapter | caught by |", "| --- | ---: | ---: | --- | --- |")
#: exit code of a chapter whose assertion failed
CAUGHT = 3


@dataclass(frozen=True)
class Change:
    """One parameter, in a file of the package, and the chapter that must notice."""

    name: str
    file: str
    find: str
    put: str
    chapter: str
    after: str = ""

    def applied(self, text: str) -> str:
        """Return the text of the file with the parameter changed: the first place after ``after``."""
        start = text.find(self.after)
        at = text.find(self.find, start)
        if start < 0 or at < 0:
            raise LookupError(f"{self.name}: {self.find!r} after {self.after!r} is not in {self.file}")
        return text[:at] + self.put + text[at + len(self.find) :]

    def numbers(self) -> tuple[float, float]:
        """Return the one number that the change touches, before and after."""
        number = r"(?<![\w.])\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?"
        old, new = ([float(x.replace("_", "")) for x in re.findall(number, s)] for s in (self.find, self.put))
        if re.sub(number, "#", self.find) != re.sub(number, "#", self.put):
            raise ValueError(f"{self.name}: more than a number changes")
        ((before, after),) = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        return before, after

    def notebook(self) -> Path:
        """Return the chapter as a file."""
        (path,) = (ROOT / "notebooks").glob(f"{self.chapter}_*.ipynb")
        return path


def changes() -> list[Change]:
    """Return the list."""
    return [Change(**entry) for entry in tomllib.loads(LIST.read_text(encoding="utf-8"))["change"]]


def code_until_last_check(notebook: Path) -> list[str]:
    """Return the code cells of a chapter up to the last that asserts something, without magics."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    last = max(at for at, source in enumerate(code) if "assert " in source)
    return [re.sub(r"^%.*$", "", source, flags=re.MULTILINE) for source in code[: last + 1]]


def run_chapter(notebook: Path) -> int:
    """Execute the cells of a chapter in this process; say which assertion failed, if one did."""
    silent = ModuleType("myst_nb")
    silent.glue = lambda *args, **kwargs: None  # type: ignore[attr-defined]
    sys.modules["myst_nb"] = silent
    main: dict[str, object] = {"__name__": "__main__"}
    cells = {f"cell {n}": source for n, source in enumerate(code_until_last_check(notebook), start=1)}
    for name, source in cells.items():
        try:
            exec(compile(source, name, "exec"), main)
        except AssertionError as error:
            place = extract_tb(error.__traceback__)[-1]
            if place.filename not in cells or place.lineno is None:
                raise
            print(f"{place.filename}: {cells[place.filename].splitlines()[place.lineno - 1].strip()}")
            return CAUGHT
    return 0


def execute(notebook: Path, package: Path) -> tuple[int, str]:
    """Run a chapter in a process of its own with the package of a folder; return its code and last line."""
    environment = {**os.environ, "PYTHONPATH": str(package), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--chapter", str(notebook)]
    done = subprocess.run(
        command, env=environment, cwd=notebook.parent, capture_output=True, text=True, check=False
    )
    lines = (done.stderr if done.returncode not in (0, CAUGHT) else done.stdout).strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def try_change(change: Change) -> str:
    """Return what the chapter says about the package with one parameter changed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "pmkit", copy / "pmkit")
        (copy / "data").symlink_to(ROOT / "data")
        file = copy / change.file
        file.write_text(change.applied(file.read_text(encoding="utf-8")), encoding="utf-8")
        code, said = execute(change.notebook(), copy)
    found = {0: "**missed**", CAUGHT: said}.get(code, f"**stopped**: {said}")
    print(f"{change.name}: {found}", flush=True)
    return found


def as_row(change: Change, found: str) -> str:
    """Return a row of the table; the assertion itself can be read in the chapter."""
    before, after = change.numbers()
    said = found if found.startswith("**") else found.partition(":")[0]
    link = f"{{doc}}`{change.chapter} <../notebooks/{change.notebook().stem}>`"
    return f"| {change.name} | {before:g} | {after:g} | {link} | {said} |"


def main(words: list[str]) -> int:
    """Run the changes whose names hold a word, or all; return how many were not caught."""
    chosen = [c for c in changes() if not words or any(word in c.name for word in words)]
    for notebook in sorted({c.notebook() for c in chosen}):
        code, said = execute(notebook, ROOT)
        print(f"{notebook.name}, unchanged: {'passes' if code == 0 else said}", flush=True)
        if code:
            return 1
    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        found = list(pool.map(try_change, chosen))
    rows = {c.name: as_row(c, said) for c, said in zip(chosen, found, strict=True)}
    kept = TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []
    old = {line.split("|")[1].strip(): line for line in kept if line.startswith("| ") and line not in HEAD}
    body = [row for c in changes() if (row := rows.get(c.name, old.get(c.name)))]
    missed = sum("**" in row for row in body)
    last = f"{len(body) - missed} of {len(body)} changes are caught."
    TABLE.write_text("\n".join([*HEAD, *body, "", last, ""]), encoding="utf-8")
    return sum("**" in said for said in found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--chapter"]:
        sys.exit(run_chapter(Path(sys.argv[2])))
    sys.exit(main(sys.argv[1:]))
