"""Full revaluation: nanoseconds a value against numpy with scipy's ndtr in the same process, one thread.

Run it with ``python benchmarks/bench_revalue.py [options] [scenarios]``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from bench_implied_vol import vector_width
from scipy.special import ndtr

import pmkit.pricing as pricing
from pmkit.core.random import stream


def numpy_row(forward, iv, strike, tau, is_call, out):
    """One option over all scenarios in numpy, temporaries reused by the allocator."""
    s = iv * np.sqrt(tau)
    d1 = np.log(forward / strike) / s + 0.5 * s
    if is_call:
        np.subtract(forward * ndtr(d1), strike * ndtr(d1 - s), out=out)
    else:
        np.subtract(strike * ndtr(s - d1), forward * ndtr(-d1), out=out)


def best(function: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    options = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    scenarios = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rng = stream(1, "bench-reval")
    strikes, taus = (
        rng.uniform(50.0, 200.0, options),
        np.exp(rng.uniform(np.log(2 / 365), np.log(2.0), options)),
    )
    vols, calls = rng.uniform(0.1, 0.9, options), rng.random(options) < 0.5
    quantity = rng.normal(0.0, 10.0, options)
    forward = 100.0 * np.exp(0.03 * rng.standard_t(4, scenarios))
    factor = np.exp(0.2 * rng.standard_normal(scenarios))
    matrix, other, row = np.empty((options, scenarios)), np.empty((options, scenarios)), np.empty(scenarios)

    def ours() -> None:
        for i in range(options):
            np.multiply(factor, vols[i], out=row)
            pricing.option_values(forward, row, strikes[i], taus[i], bool(calls[i]), False, out=matrix[i])

    def peer() -> None:
        for i in range(options):
            numpy_row(forward, factor * vols[i], strikes[i], taus[i], calls[i], other[i])

    ours()
    peer()
    count = options * scenarios
    fast, plain = best(ours, 7) / count * 1e9, best(peer, 3) / count * 1e9
    print(f"{options} options x {scenarios} scenarios, vector width {vector_width()}, one thread")
    print(f"{'pmkit option_values':28s} {fast:8.2f} ns a value")
    print(f"{'numpy + ndtr, row by row':28s} {plain:8.2f} ns a value   ratio {plain / fast:5.1f}")
    print(f"largest difference {np.max(np.abs(matrix - other) / forward):.1e} of the forward")

    fast = best(lambda: pricing.combine(matrix, quantity), 9) / count * 1e9
    plain = best(lambda: quantity @ matrix, 9) / count * 1e9
    print(f"{'pmkit combine':28s} {fast:8.3f} ns a term (fixed order)")
    print(f"{'numpy matrix product':28s} {plain:8.3f} ns a term (any order, its own threads)")


if __name__ == "__main__":
    main()
