"""`import pmkit` is light: it loads no heavy library and takes at most 0.15 s more than Python itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

HEAVY = ("arch", "matplotlib", "numba", "pandas", "pydantic", "rich", "scipy", "statsmodels", "typer")
ALLOWED_SECONDS = 0.15
TRIES = 7


def run(code: str, root: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def best_seconds(code: str, root: Path) -> float:
    """Return the shortest wall time of a fresh interpreter over several tries."""

    def once() -> float:
        begin = time.perf_counter()
        run(code, root)
        return time.perf_counter() - begin

    return min(once() for _ in range(TRIES))


def test_import_loads_no_heavy_library(root: Path) -> None:
    loaded = json.loads(run("import json, sys, pmkit; print(json.dumps(sorted(sys.modules)))", root))
    assert "pmkit" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_core_loads_no_heavy_library(root: Path) -> None:
    names = [path.stem for path in sorted((root / "pmkit" / "core").glob("*.py")) if path.stem != "__init__"]
    imports = "; ".join(f"import pmkit.core.{name}" for name in names)
    loaded = json.loads(run(f"import json, sys; {imports}; print(json.dumps(sorted(sys.modules)))", root))
    assert "pmkit.core.errors" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_import_takes_little_time(root: Path) -> None:
    run("import pmkit", root)  # compiled files and disk caches are not what is measured
    assert best_seconds("import pmkit", root) - best_seconds("pass", root) <= ALLOWED_SECONDS
