"""Run all benchmarks, each in a process of its own, and write the table ``benchmarks/results.md``.

Run it with ``python benchmarks/run_all.py [words of file names ...]``, for example ``run_all.py revalue``; a
run of some benchmarks replaces their rows only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from timing import ROWS, processor, vector_width

HERE = Path(__file__).resolve().parent
TABLE = HERE / "results.md"
#: one thread a process, so that libraries do not help themselves to more
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
HEAD = (
    "| workload | what | pmkit | peer | its time | ratio | goal |",
    "| --- | --- | ---: | --- | ---: | ---: | ---: |",
)


def rows_of(script: Path) -> list[dict[str, object]]:
    """Run one benchmark and return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        environment = {**os.environ, **ONE_THREAD, ROWS: str(path)}
        print(f"== {script.name}", flush=True)
        subprocess.run([sys.executable, str(script)], check=True, env=environment, cwd=HERE.parent)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def as_line(row: dict[str, object]) -> str:
    """Return a row of the table."""
    ours, theirs, goal = (float(str(row[k])) for k in ("ours", "theirs", "goal"))
    ratio = theirs / ours
    met = "" if ratio >= goal else " (missed)"
    return (
        f"| {row['workload']} | {row['what']} | {ours:.3g} {row['unit']} | {row['peer']} "
        f"| {theirs:.3g} {row['unit']} | {ratio:.1f}{met} | {goal:g} |"
    )


def versions() -> str:
    """Return the versions that the figures depend on."""
    found = []
    for name in ("numpy", "scipy", "numba", "llvmlite", "arch"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join([f"Python {sys.version.split()[0]}", *found])


def kept_lines(replaced: set[str]) -> list[str]:
    """Return the rows of the present table whose workload and subject were not run again."""
    if not TABLE.exists():
        return []
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| W")]
    return [line for line in lines if " | ".join(line.strip("| ").split(" | ")[:2]) not in replaced]


def main() -> None:
    words = sys.argv[1:]
    scripts = [s for s in sorted(HERE.glob("bench_*.py")) if not words or any(w in s.name for w in words)]
    rows = [row for script in scripts for row in rows_of(script)]
    kept = kept_lines({f"{row['workload']} | {row['what']}" for row in rows}) if words else []
    lines = sorted([*kept, *(as_line(row) for row in rows)])
    text = (
        f"Processor: {processor()}; vector registers of {vector_width()}. {versions()}.\n\n"
        "Each ratio is a peer's time over that of pmkit, medians of interleaved calls in one process, one "
        "thread unless the row says otherwise. The goals were set on a processor whose arithmetic is as wide "
        "as its registers; where 512-bit operations are carried out in two halves, the ratios of W1 and W2 "
        "can be half as large.\n\n"
    )
    TABLE.write_text(text + "\n".join([*HEAD, *lines]) + "\n", encoding="utf-8")
    print(f"wrote {TABLE.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
