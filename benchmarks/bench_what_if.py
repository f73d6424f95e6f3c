"""What-if: microseconds a candidate trade for the ES of the account after it, against np.partition.

Run it with ``python benchmarks/bench_what_if.py [trades] [scenarios]``. Profits are simulated.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy import sparse
from timing import interleaved, record, vector_width

from pmkit.core.random import stream
from pmkit.risk.accounts import tails
from pmkit.risk.accounts_result import kept_scenarios
from pmkit.risk.accounts_table import account_table

INSTRUMENTS, LEVEL = 200, 0.99


def main() -> None:
    trades = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    scenarios = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rng = stream(4, "bench-what-if")
    matrix = rng.standard_normal((INSTRUMENTS, scenarios))
    base = rng.normal(0.0, 5.0, INSTRUMENTS) @ matrix
    quantity = np.zeros((trades, INSTRUMENTS))
    quantity[np.arange(trades), rng.integers(0, INSTRUMENTS, trades)] = rng.normal(0.0, 5.0, trades)
    table = account_table(sparse.csr_array(quantity), [str(i) for i in range(INSTRUMENTS)])
    keep = kept_scenarios(np.full(scenarios, 1.0 / scenarios), LEVEL)
    chosen = np.argmax(quantity != 0.0, axis=1)
    size = quantity[np.arange(trades), chosen]

    def ours() -> np.ndarray:
        return tails(matrix, table, keep, base=base).profit[:, :-1].mean(axis=1)

    def peer() -> np.ndarray:
        return np.array(
            [
                np.partition(base + q * matrix[i], keep - 2)[: keep - 1].mean()
                for i, q in zip(chosen, size, strict=True)
            ]
        )

    took = interleaved({"ours": ours, "peer": peer}, {"ours": 9, "peer": 3})
    each = {name: 1e6 * seconds / trades for name, seconds in took.items()}
    print(f"{trades} trades x {scenarios} scenarios: {1e3 * took['ours']:.1f} ms; {vector_width()}")
    record("W3", "ES after a trade", each["ours"], "numpy sum + np.partition", each["peer"], "us/trade", 2.5)
    print(f"largest relative difference {np.max(np.abs(ours() / peer() - 1.0)):.1e}")


if __name__ == "__main__":
    main()
