"""Print every page of the built book with a headless browser and join them: ``out/pmkit-book.pdf``.

Run it with ``python book/print_pdf.py [folder of the pages [file]]``, or ``make pdf``. Pages come in the
order of the table of contents, each with a bookmark below that of its part.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: milliseconds of a page's own clock in which mathematics is typeset
PATIENCE = 20_000


@dataclass(frozen=True)
class Page:
    """One page of the book: its path without ending, and the part it stands in."""

    file: str
    part: str


def pages_in_order(toc: dict[str, Any]) -> list[Page]:
    """Return the pages of a table of contents, the root first."""
    found = [Page(toc["root"], "")]
    for part in toc["parts"]:
        for entry in part["chapters"]:
            inner = [section["file"] for section in entry.get("sections", ())]
            found += [Page(file, part["caption"]) for file in (entry["file"], *inner)]
    return found


def print_page(browser: str, page: Path, target: Path, profile: Path) -> None:
    """Print one page to a PDF file; nothing but the files beside it can be reached."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        f"--virtual-time-budget={PATIENCE}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={target}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    if not target.is_file():
        raise FileNotFoundError(f"the browser printed no {target.name} from {page}")


def title_of(page: Path) -> str:
    """Return the title of a page as its tab shows it, without the name of the book."""
    text = page.read_text(encoding="utf-8")
    title = text.partition("<title>")[2].partition("</title>")[0]
    return title.partition("&#8212;")[0].partition("—")[0].strip() or page.stem


def print_book(built: Path, target: Path, browser: str, pages: list[Page]) -> int:
    """Print the pages, join them with bookmarks, write the file; return how many sheets it has."""
    writer = PdfWriter()
    parts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, page in enumerate(pages):
            source, printed = built / f"{page.file}.html", Path(folder) / f"{number:03d}.pdf"
            print_page(browser, source, printed, Path(folder) / "profile")
            start = len(writer.pages)
            writer.append(PdfReader(printed), import_outline=False)
            if page.part and page.part not in parts:
                parts[page.part] = writer.add_outline_item(title=page.part, page_number=start)
            writer.add_outline_item(title=title_of(source), page_number=start, parent=parts.get(page.part))
            print(f"{page.file}: {len(writer.pages) - start} sheets", flush=True)
        writer.compress_identical_objects()
        writer.add_metadata({"/Title": "pmkit: portfolio margin, measured", "/Author": "pmkit contributors"})
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".part")
        writer.write(unfinished)
        unfinished.replace(target)
    return len(writer.pages)


def main(arguments: list[str]) -> int:
    """Print the book; say what is missing and return 1 where it cannot be done."""
    built = Path(arguments[0]) if arguments else ROOT / "book" / "_build" / "html"
    target = Path(arguments[1]) if arguments[1:] else ROOT / "out" / "pmkit-book.pdf"
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        print(f"no browser found; expected one of {', '.join(BROWSERS)}; install Chromium", file=sys.stderr)
        return 1
    pages = pages_in_order(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")))
    absent = [page.file for page in pages if not (built / f"{page.file}.html").is_file()]
    if absent:
        print(f"{len(absent)} pages are not built, {absent[0]} first; run make book", file=sys.stderr)
        return 1
    try:
        sheets = print_book(built.resolve(), target.resolve(), browser, pages)
    except (subprocess.SubprocessError, FileNotFoundError) as fault:
        print(f"{browser} printed no book: {fault}; see whether it opens the page by hand", file=sys.stderr)
        return 1
    print(f"{target}: {len(pages)} pages of the book on {sheets} sheets")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
