"""Least expected shortfall of a long-only portfolio, against skfolio and Riskfolio-Lib in one process.

Run it with ``python benchmarks/bench_optimize.py [large]``. Peers that are not installed are left out. The
scenarios are simulated: five common factors with t(4) shocks. Every contestant solves the same programme,
level 0.95, weights from 0 to 1 that sum to 1; times are processor seconds of the whole call, what the peers
prepare of moments included, medians of interleaved runs.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from bench_implied_vol import vector_width

from pmkit.core.random import stream
from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.terms.shortfall import add_shortfall
from pmkit.risk import expected_shortfall

LEVEL = 0.95


def simulated(scenarios: int, instruments: int) -> np.ndarray:
    """Return simulated returns, shape (scenarios, instruments)."""
    generator = stream(3, "bench-optimize")
    factors = generator.standard_t(4, (scenarios, 5))
    loads = generator.standard_normal((5, instruments)) * 0.5 + 0.5
    return 0.01 * (factors @ loads + generator.standard_t(4, (scenarios, instruments)))


def own(returns: np.ndarray) -> tuple[Solution, np.ndarray]:
    """Return the solution and the weights of the reduced programme."""
    n = returns.shape[1]
    model = LinearModel()
    columns = np.array([model.column(f"w{i}") for i in range(n)])
    held = Held(np.zeros(n), np.arange(n), columns, np.ones(n), np.zeros(n), np.ones(n))
    model.row(Affine(0.0, columns, np.ones(n)), 1.0, 1.0, "budget")
    weights = np.full(len(returns), 1.0 / len(returns))
    shortfall, rows = add_shortfall(model, np.ascontiguousarray(returns.T), held, weights, LEVEL)
    found = solve_linear(model, shortfall, [rows])
    return found, held.quantities(found.point)


def skfolio_weights(returns: np.ndarray) -> np.ndarray:
    """Return the weights of skfolio's mean-risk optimiser with its own default solver."""
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk

    model = MeanRisk(risk_measure=RiskMeasure.CVAR, cvar_beta=LEVEL)
    model.fit(pd.DataFrame(returns, columns=[f"a{i}" for i in range(returns.shape[1])]))
    return np.asarray(model.weights_)


def riskfolio_weights(returns: np.ndarray) -> np.ndarray:
    """Return the weights of Riskfolio-Lib's classic model."""
    import riskfolio as rp

    frame = pd.DataFrame(returns, columns=[f"a{i}" for i in range(returns.shape[1])])
    port = rp.Portfolio(returns=frame)
    port.assets_stats(method_mu="hist", method_cov="hist")
    port.alpha = 1.0 - LEVEL
    port.solvers = ["CLARABEL"]
    found = port.optimization(model="Classic", rm="CVaR", obj="MinRisk", rf=0, hist=True)
    return found["weights"].to_numpy()


def shortfall_of(returns: np.ndarray, weights: np.ndarray) -> float:
    """Return the expected shortfall of weights that are scaled to sum to 1."""
    return float(expected_shortfall(returns @ (weights / weights.sum()), LEVEL).value)


def contest(scenarios: int, instruments: int, repeats: int) -> None:
    """Print time and optimum of everybody on one size."""
    returns = simulated(scenarios, instruments)
    runs: dict[str, Callable[[], np.ndarray]] = {"pmkit": lambda: own(returns)[1]}
    if importlib.util.find_spec("skfolio") is not None:
        runs["skfolio"] = lambda: skfolio_weights(returns)
    if importlib.util.find_spec("riskfolio") is not None:
        runs["riskfolio"] = lambda: riskfolio_weights(returns)
    times: dict[str, list[float]] = {name: [] for name in runs}
    value: dict[str, float] = {}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.process_time()
            weights = run()
            if turn:  # the first turn imports and compiles
                times[name].append(time.process_time() - start)
            value[name] = shortfall_of(returns, weights)
    print(f"{scenarios} scenarios x {instruments} instruments, level {LEVEL}")
    for name, took in times.items():
        seconds, best = float(np.median(took)), float(np.median(times["pmkit"]))
        off = value[name] / value["pmkit"] - 1.0
        print(f"  {name:10s} {seconds * 1e3:9.1f} ms  {seconds / best:6.1f}x  ES off {off:+.0e}")


def large(scenarios: int = 10_000, instruments: int = 500) -> None:
    """Print time, rows and memory of one large problem."""
    returns = simulated(scenarios, instruments)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, wall = time.process_time(), time.perf_counter()
    found, weights = own(returns)
    took, elapsed = time.process_time() - start, time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{scenarios} scenarios x {instruments} instruments: {took:.1f} s processor, {elapsed:.1f} s elapsed"
    )
    print(f"  {found.n_rows} rows of {scenarios} in {found.rounds} rounds, relative gap {found.gap:.1e}")
    print(f"  ES {shortfall_of(returns, weights):.10f}, programme {found.value:.10f}")
    print(f"  memory: {after / 1024:.0f} MiB at the peak, {(after - before) / 1024:.0f} MiB of it for this")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"vector width {vector_width()}")
    contest(1000, 100, repeats=5)
    if "large" in sys.argv[1:]:
        large()
