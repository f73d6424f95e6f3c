"""GARCH fits: milliseconds a fit, microseconds a window of a rolling refit, against peers in one process.

Run it with ``python benchmarks/bench_garch.py [windows]``. Peers that are not installed are left out. Returns
are the S&P 500 of the ``arch`` package, 5030 days, demeaned; the rolling series is simulated.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from arch.data import sp500
from timing import interleaved, record, vector_width

from pmkit.core.random import stream
from pmkit.estimation import rolling_volatility
from pmkit.estimation.univariate.arch_fit import SCALE, fit_arch
from pmkit.estimation.univariate.garch_newton_likelihood import plan_of
from pmkit.estimation.univariate.newton_fit import fit_newton
from pmkit.estimation.univariate.recursion import start_variance
from pmkit.estimation.univariate.refit import no_maxima, refit_windows

KINDS = [("garch", "normal"), ("garch", "t"), ("gjr", "normal"), ("gjr", "t")]
WINDOW = 1000
# ratios to be reached: GARCH, GJR
PEER_GOALS = {"scivol": (4.0, 4.0), "arch": (30.0, 20.0)}
ROLLING_GOALS = {"scivol": (20.0, 15.0), "arch": (100.0, 60.0)}


def scivol_spec(model: str, dist: str):
    """Return scivol's specification, or None where it is not installed."""
    if importlib.util.find_spec("scivol") is None:
        return None
    import scivol

    kind = scivol.GARCH(1, 1) if model == "garch" else scivol.GJRGARCH(1, 1)
    return kind + (scivol.StudentT() if dist == "t" else scivol.Normal())


def simulated(rows: int) -> np.ndarray:
    """Return simulated returns with asymmetric volatility and t residuals."""
    z = stream(5, "bench-garch").standard_t(6, rows) * math.sqrt(4 / 6)
    y, h = np.empty(rows), 1e-4
    for t in range(rows):
        y[t] = math.sqrt(h) * z[t]
        h = 2e-6 + (0.05 + 0.08 * (y[t] < 0)) * y[t] ** 2 + 0.89 * h
    return y


def single(model: str, dist: str, y: np.ndarray) -> None:
    """Print one row: a cold fit of the whole sample."""
    start = start_variance(y)
    spec = scivol_spec(model, dist)
    functions: dict[str, Callable[[], object]] = {
        "pmkit": lambda: fit_newton(y, model, dist, "zero", start),
        "arch": lambda: fit_arch(y, model, dist, "zero", start),
    }
    if spec is not None:
        functions["scivol"] = lambda: spec.fit(SCALE * y, show_progress=False)
    took = interleaved(functions, {"pmkit": 41, "arch": 9, "scivol": 15})
    own = fit_newton(y, model, dist, "zero", start)
    gap = own.loglik - fit_arch(y, model, dist, "zero", start).loglikelihood - y.size * math.log(SCALE)
    text = f"{model:5s} {dist:6s} pmkit {took['pmkit'] * 1e3:7.3f} ms, {own.evaluations:2d} evaluations"
    for peer in ("scivol", "arch"):
        if peer in took:
            text += f" | {peer} {took[peer] * 1e3:7.2f} ms {took[peer] / took['pmkit']:6.1f}x"
    print(f"{text} | log-likelihood above arch {gap:+.1e}")
    own_ms = 1e3 * took["pmkit"]
    for peer, goals in PEER_GOALS.items():
        if peer in took:
            record("W4", f"{model}-{dist} fit", own_ms, peer, 1e3 * took[peer], "ms", goals[model == "gjr"])


def rolling(model: str, dist: str, y: np.ndarray, windows: int) -> None:
    """Print one row: a window of 1000 refitted every day with warm starts."""
    first = np.arange(windows, dtype=np.int64)
    flags = (False, model == "gjr", dist == "t")
    params, notes = np.empty((windows, 6)), np.empty((windows, 3), np.int64)

    def own() -> np.ndarray:
        logliks = np.empty(windows)
        refit_windows(
            y, first, first + WINDOW, *flags, plan_of(*flags), *no_maxima(), params,
            np.zeros(windows), logliks, notes, np.empty((6, 6)),
        )  # fmt: skip
        return logliks

    series = pd.Series(y[: WINDOW + windows])
    few = min(windows, 30)

    def by_arch() -> list[float]:
        warm, found = None, []
        for k in range(few):
            window = y[k : k + WINDOW]
            fit = fit_arch(window, model, dist, "zero", start_variance(window), warm)
            warm = fit.params.to_numpy()
            found.append(float(fit.loglikelihood) + WINDOW * math.log(SCALE))
        return found

    spec = scivol_spec(model, dist)
    functions: dict[str, Callable[[], object]] = {
        "pmkit": own,
        "with log": lambda: rolling_volatility(series, WINDOW, 1, model, dist, mean="zero", check_every=None),
        "arch": by_arch,
    }
    if spec is not None:
        head = SCALE * y[: WINDOW + few - 1]
        functions["scivol"] = lambda: spec.fit_rolling(head, window=WINDOW, step=1, n_jobs=1)
    took = interleaved(functions, {"pmkit": 9, "with log": 3, "arch": 3, "scivol": 3})
    each = {
        name: seconds / (windows if name in ("pmkit", "with log") else few) for name, seconds in took.items()
    }
    gap = min(o - a for o, a in zip(own(), by_arch(), strict=False))
    text = f"{model:5s} {dist:6s} pmkit {each['pmkit'] * 1e6:6.1f} us, {notes[:, 1].mean():.2f} evaluations"
    text += f", with log {each['with log'] * 1e6:6.1f} us"
    for peer in ("scivol", "arch"):
        if peer in each:
            text += f" | {peer} {each[peer] * 1e6:7.0f} us {each[peer] / each['pmkit']:6.1f}x"
    print(f"{text} | least log-likelihood above arch {gap:+.1e}")
    for peer, goals in ROLLING_GOALS.items():
        if peer in each:
            own_us, what = 1e6 * each["pmkit"], f"{model}-{dist} rolling refit"
            record("W4", what, own_us, peer, 1e6 * each[peer], "us/window", goals[model == "gjr"])


def main() -> None:
    warnings.simplefilter("ignore")
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    y = sp500.load()["Adj Close"].pct_change().dropna().to_numpy()
    y = y - y.mean()
    print(f"one fit of {y.size} returns, zero mean, vector width {vector_width()}, one thread")
    for kind in KINDS:
        single(*kind, y)
    print(f"rolling refit of {WINDOW} returns (simulated), {windows} windows, warm starts")
    series = simulated(WINDOW + windows)
    for kind in KINDS:
        rolling(*kind, series, windows)


if __name__ == "__main__":
    main()
