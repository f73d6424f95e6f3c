"""Dynamic correlation: processor time of a fit against peers in the same process, one thread.

Run ``OPENBLAS_NUM_THREADS=1 python benchmarks/bench_dcc.py [assets ...]``; 10 and 50 assets unless told.
Returns are simulated: a = 0.03, b = 0.95, 2500 days, GARCH(1,1) margins, mean zero. Times are of the
processor, include the margins and tomorrow's correlation, no standard errors and no path. The peer is run
with ``low_memory=True``, where it keeps no path either, and for the composite likelihood also with its
defaults: ``auto`` takes the composite likelihood above 25 assets (the full one up to there) and keeps the
path of every matrix. A peer that is not installed is left out.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from timing import record, vector_width

from pmkit.core.random import stream
from pmkit.estimation import fit_correlation
from pmkit.estimation.univariate.garch_newton_likelihood import plan_of
from pmkit.estimation.univariate.recursion import filter_variance
from pmkit.estimation.univariate.refit import no_maxima, refit_windows

ROWS, A, B = 2500, 0.03, 0.95


def simulated_returns(n: int) -> np.ndarray:
    """Return simulated decimal returns, days by assets."""
    loads = np.linspace(0.4, 0.8, n)
    S = np.outer(loads, loads) + np.diag(1.0 - loads**2)
    draws = stream(1, "bench-dcc", n).standard_normal((ROWS, n))
    Q, returns, variance = S.copy(), np.empty_like(draws), np.full(n, 1e-4)
    for t in range(ROWS):
        root = np.sqrt(np.diag(Q))
        z = np.linalg.cholesky(Q / np.outer(root, root)) @ draws[t]
        Q = (1.0 - A - B) * S + A * np.outer(z, z) + B * Q
        returns[t] = np.sqrt(variance) * z
        variance = 2e-6 + 0.06 * returns[t] ** 2 + 0.92 * variance
    return returns


def margins(returns: np.ndarray) -> np.ndarray:
    """Return residuals of GARCH(1,1) margins, each fitted from cold starts, by the compiled Newton engine."""
    y = np.ascontiguousarray(returns.T)
    z, variance, plan = np.empty_like(y), np.empty(ROWS + 1), plan_of(False, False, False)
    window = np.zeros(1, np.int64), np.full(1, ROWS, np.int64)
    found, notes, hessian = np.empty((1, 6)), np.empty((1, 3), np.int64), np.zeros((6, 6))
    start, value = np.empty(1), np.empty(1)
    for i, series in enumerate(y):
        start[0] = 0.0
        refit_windows(
            series, *window, False, False, False, plan, *no_maxima(), found, start, value, notes, hessian
        )
        _, omega, alpha, gamma, beta, _ = found[0]
        filter_variance(series, omega, alpha, gamma, beta, start[0], variance)
        np.divide(series, np.sqrt(variance[:-1]), out=z[i])
    return z.T


def ours(returns: np.ndarray, likelihood: str) -> tuple[float, float]:
    """Return a and b of the package's fit."""
    fit = fit_correlation(
        pd.DataFrame(margins(returns), copy=False),
        "dcc",
        likelihood=likelihood,  # type: ignore[arg-type]
        covariance=False,
    )
    _ = fit.next_correlation
    return float(fit.params["a"]), float(fit.params["b"])


def peer_multigarch(returns: np.ndarray, method: str, lean: bool) -> tuple[float, float]:
    """Return a and b of multigarch; ``lean`` asks it for tomorrow's matrices only, as ours does."""
    from multigarch import DCC

    model = DCC(n_jobs=1, method=method, low_memory=lean).fit(100.0 * returns)
    return float(model.a), float(model.b)


def seconds(function: Callable[[], tuple[float, float]], repeats: int) -> tuple[float, tuple[float, float]]:
    """Return the median processor time of a call and what it returned."""
    times, found = [], (np.nan, np.nan)
    for _ in range(repeats):
        begin = time.process_time()
        found = function()
        times.append(time.process_time() - begin)
    return float(np.median(times)), found


def line(name: str, spent: float, found: tuple[float, float], base: float | None = None) -> None:
    """Print one measurement, and its ratio to ours where it is a peer's."""
    ratio = "" if base is None else f"   ratio {spent / base:6.1f}"
    print(f"  {name:32s} {1e3 * spent:10.1f} ms   a {found[0]:.6f}  b {found[1]:.6f}{ratio}", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    sizes = [int(word) for word in sys.argv[1:]] or [10, 50]
    print(f"{ROWS} days, vector width {vector_width()}, one thread; simulated, a = {A}, b = {B}")
    have = importlib.util.find_spec("multigarch") is not None
    small = simulated_returns(3)
    for likelihood in ("full", "composite"):
        ours(small, likelihood)
    # (method, lean): the same work as ours, then what the peer does when nothing is said
    peers = {"full": [("full", True)], "composite": [("cl", True), ("auto", False)]}
    if have:
        for method in ("full", "cl"):
            for lean in (True, False):
                peer_multigarch(small, method, lean)
    for n in sizes:
        returns = simulated_returns(n)
        first_stage = seconds(lambda r=returns: (float(margins(r)[0, 0]), 0.0), 7)[0]
        print(f"{n} assets; our margins alone {1e3 * first_stage:.1f} ms", flush=True)
        for likelihood in ("full", "composite"):
            repeats = 1 if n > 100 and likelihood == "full" else 7
            base, found = seconds(lambda r=returns, w=likelihood: ours(r, w), repeats)
            line(f"pmkit {likelihood}", base, found)
            for method, lean in peers[likelihood] if have else []:
                tries = 1 if n > 100 else 3
                spent, found = seconds(lambda r=returns, w=method, s=lean: peer_multigarch(r, w, s), tries)
                kept = "low_memory" if lean else "default"
                line(f"multigarch {method}, {kept}", spent, found, base)
                goal = 4.0 if likelihood == "full" else 15.0
                if method != "cl" and (likelihood == "full" or n > 25):
                    what = f"DCC {likelihood}, {n} assets"
                    record("W5", what, 1e3 * base, f"multigarch {method}", 1e3 * spent, "ms", goal)


if __name__ == "__main__":
    main()
