"""The built pages of the book: nothing outside is asked for, inner links hold, mathematics is typeset."""

from __future__ import annotations

import html.parser
import inspect
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from urllib.parse import unquote

import pytest

import pmkit as pm

BUILT = Path(os.environ.get("PMKIT_BOOK", "")).resolve()
pytestmark = pytest.mark.skipif(
    "PMKIT_BOOK" not in os.environ, reason="PMKIT_BOOK names no built pages; make book-check sets it"
)

# Tags and attributes through which a page makes the browser fetch something.
FETCHES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Addresses(html.parser.HTMLParser):
    """Collect what a page fetches, what it links to, its anchors and the source of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := found.get(key))}
        passive = tag == "link" and found.get("rel") not in ("stylesheet", "preload", "icon", "shortcut icon")
        if (address := found.get(FETCHES.get(tag, ""))) and not passive:
            self.fetched.append(address)
        if tag == "a" and (address := found.get("href")):
            self.linked.append(address)
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def pages() -> dict[Path, Addresses]:
    found = {}
    for path in sorted(BUILT.rglob("*.html")):
        if "_static" not in path.relative_to(BUILT).parts:
            reader = Addresses()
            reader.feed(path.read_text(encoding="utf-8"))
            found[path] = reader
    return found


def test_pages_fetch_nothing_from_outside() -> None:
    read = pages()
    assert len(read) > 10
    outside = re.compile(r"^(?:[a-z]+:)?//")
    assert [(p.name, a) for p, page in read.items() for a in page.fetched if outside.match(a)] == []
    assert [(p.name, s[:80]) for p, page in read.items() for s in page.scripts if "://" in s] == []


def test_what_pages_fetch_exists() -> None:
    missing = []
    for path, page in pages().items():
        for address in page.fetched:
            name = unquote(address.split("#")[0].split("?")[0])
            if name and not name.startswith("data:") and not (path.parent / name).is_file():
                missing.append((path.name, address))
    assert missing == []


def test_inner_links_lead_to_a_page_and_an_anchor() -> None:
    read = pages()
    broken = []
    for path, page in read.items():
        for address in page.linked:
            name, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", name):
                continue
            target = (path.parent / unquote(name)).resolve() if name else path
            absent = anchor and target in read and unquote(anchor) not in read[target].anchors
            if absent or not target.is_file():
                broken.append((path.name, address))
    assert broken == []


def test_the_reference_lists_every_public_name() -> None:
    head, packed = (BUILT / "objects.inv").read_bytes().split(b"zlib.\n", 1)
    assert head.startswith(b"# Sphinx inventory version 2")
    listed = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    rooms = [name for name in dir(pm) if inspect.ismodule(getattr(pm, name)) and name != "datasets"]
    public = [(room, name) for room in rooms for name in getattr(pm, room).__all__]
    modules = {path for path in listed if path.startswith("pmkit.")}
    absent = [
        f"{room}.{name}"
        for room, name in public
        if f"pmkit.{room}.{name}" not in listed
        and not any(path.startswith(f"pmkit.{room}.{name}.") for path in modules)
    ]
    assert len(public) > 300 and absent == []


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_mathematics_is_typeset_without_a_network(tmp_path: Path) -> None:
    assert BROWSER
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=10000",
            "--enable-logging=stderr",
            "--dump-dom",
            (BUILT / "book" / "notation.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert done.stdout.count("<mjx-container") >= 10
    assert 'data-mml-node="merror"' not in done.stdout.partition("<body")[2]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in console if re.search("error|uncaught|failed|refused", line, re.IGNORECASE)] == []
