"""W3, many accounts: microseconds an account for exact ES against scipy's sparse product and np.partition.

Run it with ``python benchmarks/bench_accounts.py [accounts]``. Positions and profits are simulated: 5,000
instruments, 1,000 scenarios, 20 positions an account on average, drawn at random, the worst for a cache.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from scipy import sparse
from timing import interleaved, record, vector_width

from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.risk.accounts import tails
from pmkit.risk.accounts_result import kept_scenarios, measured
from pmkit.risk.accounts_table import account_table

INSTRUMENTS, SCENARIOS, LEVEL, BLOCK = 5000, 1000, 0.99, 2000


def by_scipy(table: sparse.csr_array, matrix: np.ndarray) -> np.ndarray:
    """Return ES of each account from a sparse product in blocks and a partition of each row."""
    k, found = round((1.0 - LEVEL) * matrix.shape[1]), []
    for start in range(0, table.shape[0], BLOCK):
        pnl = table[start : start + BLOCK] @ matrix
        found.append(-np.partition(pnl, k - 1, axis=1)[:, :k].mean(axis=1))
    return np.concatenate(found)


def main() -> None:
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rng = stream(2, "bench-accounts")
    count = rng.geometric(1 / 20, accounts)
    starts = np.concatenate([[0], np.cumsum(count)])
    columns = rng.integers(0, INSTRUMENTS, starts[-1])
    held = sparse.csr_array(
        (rng.normal(0.0, 10.0, starts[-1]), columns, starts), shape=(accounts, INSTRUMENTS)
    )
    table = account_table(held, [str(i) for i in range(INSTRUMENTS)])
    matrix = rng.standard_normal((INSTRUMENTS, SCENARIOS))
    weights = np.full(SCENARIOS, 1.0 / SCENARIOS)
    keep = kept_scenarios(weights, LEVEL)
    names = pd.RangeIndex(accounts)
    print(f"{accounts} accounts, {starts[-1]} positions, vector width {vector_width()}")
    for kind, goal, threaded in ((np.float64, 2.5, 3.5), (np.float32, 2.0, 3.5)):
        unit, book = matrix.astype(kind), held.astype(kind)

        def ours(threads: int = 1, unit: np.ndarray = unit) -> np.ndarray:
            found = tails(unit, table, keep, threads=threads)
            result = measured(
                found, names, weights, level=LEVEL, measures=("es",), numeraire="USD",
                provenance=Provenance(method="benchmark"),
            )  # fmt: skip
            return result.values["es"].to_numpy()

        def peer(unit: np.ndarray = unit, book: sparse.csr_array = book) -> np.ndarray:
            return by_scipy(book, unit)

        took = interleaved({"ours": ours, "peer": peer}, {"ours": 7, "peer": 3})
        wall = interleaved({"ours": lambda f=ours: f(2)}, 5, clock=time.perf_counter)
        each = {name: seconds / accounts * 1e6 for name, seconds in took.items()}
        name, peer_name = np.dtype(kind).name, "scipy CSR @ dense + np.partition"
        record(
            "W3", f"ES of many accounts, {name}", each["ours"], peer_name, each["peer"], "us/account", goal
        )
        both = wall["ours"] / accounts * 1e6
        text = f"ES of many accounts, {name}, 2 threads (wall clock)"
        record("W3", text, both, f"{peer_name}, 1 thread", each["peer"], "us/account", threaded)
        gap = np.max(np.abs(ours() / peer() - 1.0))
        print(f"largest relative difference of ES {gap:.1e}; equal bits on 3 threads: "
              f"{np.array_equal(ours(), ours(3))}")  # fmt: skip


if __name__ == "__main__":
    main()
