"""Execute the chapters, compare them with their stored outputs, and say how long each took.

``python tests/chapters/run_all.py [--record] [words of file names ...]`` runs as many chapters at a time as
there are processors, the longest first, and exits with 1 where an output differs. With ``--record`` the
seconds go into ``book/run_times.md``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "run_times.md"
ROW = re.compile(r"^\| (\S+) \| ([\d.]+) \|")


class Run(NamedTuple):
    """One chapter: seconds on the clock, whether it passed, the last line of the comparison, all of it."""

    chapter: str
    seconds: float
    passed: bool
    verdict: str
    output: str


def run(path: Path) -> Run:
    """Execute one chapter in a process of its own and compare its outputs."""
    begin = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-current-env",
    ]
    done = subprocess.run([*command, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    verdict = lines[-1] if lines else done.stderr.strip()[-200:]
    return Run(
        path.stem, time.perf_counter() - begin, done.returncode == 0, verdict, done.stdout + done.stderr
    )


def recorded() -> dict[str, float]:
    """Return the seconds of the page, empty where there is none."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return {found[1]: float(found[2]) for found in map(ROW.match, lines) if found}


def write(runs: list[Run], workers: int) -> None:
    """Write the page; chapters that were skipped keep no time."""
    rows = [f"| {r.chapter} | {r.seconds:.0f} | {r.verdict.split(' in ')[0]} |" for r in sorted(runs)]
    PAGE.write_text(
        f"Seconds on the clock, {workers} chapters at a time, the start of Python included.\n\n"
        "| chapter | seconds | cells compared |\n| --- | ---: | --- |\n" + "\n".join(rows) + "\n",
        encoding="utf-8",
    )


def main(words: list[str]) -> int:
    """Run the chapters and return the exit code."""
    record = "--record" in words
    wanted = [word for word in words if not word.startswith("--")]
    chapters = [
        p
        for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
        if not wanted or any(word in p.name for word in wanted)
    ]
    if not chapters:
        print(f"no chapter is called {' or '.join(wanted)}", file=sys.stderr)
        return 2
    before = recorded()
    chapters.sort(key=lambda p: -before.get(p.stem, float("inf")))
    workers = min(len(chapters), os.cpu_count() or 1)
    runs = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for one in pool.map(run, chapters):
            runs.append(one)
            print(f"{one.chapter:<42} {one.seconds:6.1f} s  {one.verdict}", flush=True)
            if not one.passed:
                print(one.output, flush=True)
    failed = [one.chapter for one in runs if not one.passed]
    print(f"chapters that passed: {len(runs) - len(failed)}, that failed: {', '.join(failed) or 'none'}")
    if record and not failed:
        write(runs, workers)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
