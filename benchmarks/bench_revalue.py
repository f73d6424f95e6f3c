"""W2, full revaluation: nanoseconds a value against numpy with scipy's ndtr in the same process, one thread.

Run it with ``python benchmarks/bench_revalue.py [options] [scenarios]``. Scenarios are simulated.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.special import ndtr
from timing import interleaved, record, vector_width

import pmkit.pricing as pricing
from pmkit.core.random import stream


def numpy_row(log_forward, forward, total, strike, is_call, out):
    """One option over all scenarios in numpy; the logarithms of the forwards are shared by all options."""
    d1 = (log_forward - np.log(strike)) / total + 0.5 * total
    if is_call:
        np.subtract(forward * ndtr(d1), strike * ndtr(d1 - total), out=out)
    else:
        np.subtract(strike * ndtr(total - d1), forward * ndtr(-d1), out=out)


def main() -> None:
    options = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    scenarios = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rng = stream(1, "bench-reval")
    strikes = rng.uniform(50.0, 200.0, options)
    taus = np.exp(rng.uniform(np.log(2 / 365), np.log(2.0), options))
    vols, calls = rng.uniform(0.1, 0.9, options), rng.random(options) < 0.5
    quantity = rng.normal(0.0, 10.0, options)
    forward = 100.0 * np.exp(0.03 * rng.standard_t(4, scenarios))
    level = np.exp(0.2 * rng.standard_normal(scenarios))
    matrix, other = np.empty((options, scenarios)), np.empty((options, scenarios))
    single = np.empty((options, scenarios), dtype=np.float32)
    row = np.empty(scenarios)
    few = min(options, 200)  # the peer's time per value does not depend on how many options there are

    def ours(of_single: bool = False) -> None:
        pricing.option_matrix(
            forward, vols, strikes, taus, calls, False, level=level, single=of_single,
            out=single if of_single else matrix,
        )  # fmt: skip

    def one_by_one() -> None:
        logs = pricing.forward_logs(forward)
        for i in range(few):
            np.multiply(level, vols[i], out=row)
            pricing.option_values(
                forward, row, strikes[i], taus[i], bool(calls[i]), False, out=matrix[i], log_forward=logs
            )

    def peer() -> None:
        logs = np.log(forward)
        for i in range(few):
            numpy_row(logs, forward, level * (vols[i] * np.sqrt(taus[i])), strikes[i], calls[i], other[i])

    took = interleaved(
        {"double": ours, "single": lambda: ours(True), "one by one": one_by_one, "numpy": peer},
        {"double": 9, "single": 9, "one by one": 9, "numpy": 5},
    )
    per = {"double": options, "single": options, "one by one": few, "numpy": few}
    each = {name: seconds / (per[name] * scenarios) * 1e9 for name, seconds in took.items()}
    print(f"{options} options x {scenarios} scenarios, vector width {vector_width()}, one thread")
    peer_name = "numpy + ndtr, row by row"
    record("W2", "full revaluation, matrix, float64", each["double"], peer_name, each["numpy"], "ns/value", 7)
    record(
        "W2", "full revaluation, matrix, float32", each["single"], peer_name, each["numpy"], "ns/value", 14
    )
    record("W2", "one option a call, float64", each["one by one"], peer_name, each["numpy"], "ns/value", 5)
    print("the goal of float32 is double that of float64, against the same peer: JAX is not among the peers")
    ours()
    print(f"largest difference {np.max(np.abs(matrix[:few] - other[:few]) / forward):.1e} of the forward, "
          f"float32 {np.max(np.abs(single - matrix) / forward):.1e}")  # fmt: skip
    took = interleaved(
        {"ours": lambda: pricing.combine(matrix, quantity), "blas": lambda: quantity @ matrix}, 9
    )
    each = {name: seconds / matrix.size * 1e9 for name, seconds in took.items()}
    print(f"sum of rows in fixed order {each['ours']:.3f} ns a term, numpy product {each['blas']:.3f} ns")


if __name__ == "__main__":
    main()
