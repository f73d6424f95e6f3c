"""W8, start-up: processor seconds for ``import pmkit``, and to a first value with a filled cache.

Run it with ``python benchmarks/bench_startup.py [repeats]``; the peer is ``import arch``.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from timing import record

CODE = {
    "bare": "pass",
    "import": "import pmkit",
    "first": (
        "import numpy as np, pmkit.pricing as p; "
        "p.option_values(np.full(64, 100.0), np.full(64, 0.5), 105.0, 0.25, True, False)"
    ),
    "numba": "import numba, numpy as np; numba.njit(lambda x: x + 1.0)",
    "arch": "import arch",
}
CLOCK = "import time; t = time.process_time(); exec({!r}); print(time.process_time() - t)"


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    subprocess.run([sys.executable, "-c", CODE["first"]], check=True)  # fills the cache
    times: dict[str, list[float]] = {name: [] for name in CODE}
    for _ in range(repeats):
        for name, code in CODE.items():
            run = subprocess.run(
                [sys.executable, "-c", CLOCK.format(code)], check=True, capture_output=True, text=True
            )
            times[name].append(float(run.stdout))
    found = {name: float(np.median(values)) for name, values in times.items()}
    print(", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items()))
    record("W8", "import pmkit", found["import"], "limit of 0.15 s", 0.15, "s", 1)
    record("W8", "import pmkit", found["import"], "import arch", found["arch"], "s", 10)
    after = found["first"] - found["numba"]
    record("W8", "first value over import of numba, cached", after, "limit of 0.5 s", 0.5, "s", 1)


if __name__ == "__main__":
    main()
