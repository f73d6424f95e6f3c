"""What every benchmark shares: interleaved processor times, the machine in words, rows of the results.

A benchmark prints what it found and calls :func:`record` for the rows that carry a goal. Run alone it only
prints; run by ``benchmarks/run_all.py`` (``make bench``) its rows go into ``benchmarks/results.md``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

#: name of the environment variable with the file that rows are appended to
ROWS = "PMKIT_BENCH_ROWS"


def _cpu_lines() -> dict[str, str]:
    """Return what Linux says about the first processor."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            pairs = [line.split(":", 1) for line in info.read().split("\n\n")[0].splitlines() if ":" in line]
    except OSError:
        return {}
    return {name.strip(): text.strip() for name, text in pairs}


def vector_width() -> str:
    """Return the widest vector registers of this processor, as far as the system tells."""
    flags = _cpu_lines().get("flags")
    if flags is None:
        return "unknown"
    words = flags.split()
    return "512 bit (AVX-512)" if "avx512f" in words else "256 bit (AVX2)" if "avx2" in words else "128 bit"


def processor() -> str:
    """Return name, family and model of the processor: one name can stand for several designs."""
    found = _cpu_lines()
    name, family, model = (found.get(k, "unknown") for k in ("model name", "cpu family", "model"))
    return f"{name}, family {family}, model {model}"


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    repeats: int | Mapping[str, int],
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Return the median seconds of each function, called once to warm up and then in turns.

    Processor time by default: other programs on the machine do not count. Threads add up in it, so what runs
    on several is measured by ``time.perf_counter``.
    """
    many = dict.fromkeys(functions, repeats) if isinstance(repeats, int) else dict(repeats)
    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for turn in range(max(many.values())):
        for name, function in functions.items():
            if turn < many[name]:
                start = clock()
                function()
                times[name].append(clock() - start)
    return {name: float(np.median(found)) for name, found in times.items()}


def median_time(function: Callable[[], object], repeats: int) -> float:
    """Return the median processor seconds of one function."""
    return interleaved({"it": function}, repeats)["it"]


def record(workload: str, what: str, ours: float, peer: str, theirs: float, unit: str, goal: float) -> None:
    """Print one row, the ratio of times against its goal, and append it to the rows of the table.

    Parameters
    ----------
    workload : str
        W1 to W9.
    what : str
    ours, theirs : float
        Time in ``unit``.
    peer : str
        Who took ``theirs``.
    unit : str
    goal : float
        Ratio to be reached.
    """
    ratio = theirs / ours
    print(
        f"{workload} {what}: pmkit {ours:.4g} {unit}, {peer} {theirs:.4g} {unit}, "
        f"ratio {ratio:.1f} (goal {goal:g})",
        flush=True,
    )
    row = {
        "workload": workload, "what": what, "ours": ours, "peer": peer, "theirs": theirs, "unit": unit,
        "goal": goal,
    }  # fmt: skip
    if path := os.environ.get(ROWS):
        with Path(path).open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")
