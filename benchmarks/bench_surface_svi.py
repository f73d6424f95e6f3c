"""SVI slices: microseconds a slice and RMSE against peers in the same process, one thread.

Run it with ``python benchmarks/bench_surface_svi.py [slices]``. The slices are simulated: 25 strikes each,
7 days to 2 years, 0.4 % noise in vol. Peers that are not installed are left out. All minimise the squares of
total variance but QuantLib, which takes those of vol.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares, minimize
from timing import median_time, record

from pmkit.core.random import stream
from pmkit.surface import RawSvi, fit_svi, fit_svi_many

STRIKES = 25


def noisy_slices(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log-moneyness and total variance, slices by strikes."""
    rng = stream(3, "bench-svi")
    k, w = np.empty((count, STRIKES)), np.empty((count, STRIKES))
    for i in range(count):
        tau = math.exp(rng.uniform(math.log(7 / 365), math.log(2.0)))
        atm = rng.uniform(0.3, 0.9)
        sd = atm * math.sqrt(tau)
        rho = rng.uniform(-0.7, 0.2)
        psi = min(rng.uniform(0.4, 1.2) * sd, 1.6 / (1.0 + abs(rho)))
        theta, root = sd * sd, math.sqrt(1.0 - rho * rho)
        slice_ = RawSvi(
            a=0.5 * theta * root**2, b=0.5 * psi, rho=rho, m=-rho * theta / psi, sigma=root * theta / psi
        )
        k[i] = np.linspace(-2.5, 2.0, STRIKES) * sd
        iv = np.sqrt(slice_.w(k[i]) / tau) * (1.0 + 0.004 * rng.standard_normal(STRIKES))
        w[i] = iv * iv * tau
    return k, w


def rmse(k: np.ndarray, w: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Return the root mean square error of total variance of each slice."""
    a, b, rho, m, sigma = (column[:, None] for column in parameters.T)
    fitted = a + b * (rho * (k - m) + np.hypot(k - m, sigma))
    return np.sqrt(np.mean((fitted - w) ** 2, axis=1))


def by_least_squares(k: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Fit one slice by SciPy's trust region with a numeric Jacobian: the peer everybody has."""

    def residual(x: np.ndarray) -> np.ndarray:
        a, b, rho, m, sigma = x
        return a + b * (rho * (k - m) + np.hypot(k - m, sigma)) - w

    start = [0.5 * w.min(), 0.5 * (w.max() - w.min()) / np.ptp(k), -0.3, 0.0, 0.2 * np.ptp(k)]
    box = ([-np.inf, 1e-9, -0.999999, -3.0, 1e-5], [np.inf, 2.0, 0.999999, 3.0, 10.0])
    found = least_squares(residual, start, bounds=box, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return np.asarray(found.x)


def by_quasi_explicit(k: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Fit one slice by a linear problem inside Nelder and Mead's simplex, in NumPy."""

    def inner(x: np.ndarray) -> tuple[np.ndarray, float]:
        y = (k - x[0]) / math.exp(x[1])
        table = np.column_stack([np.ones_like(y), y, np.sqrt(y * y + 1.0)])
        linear = np.linalg.lstsq(table, w, rcond=None)[0]
        return linear, float(((table @ linear - w) ** 2).sum() * 1e8)

    start = np.array([0.0, math.log(0.2 * np.ptp(k))])
    found = minimize(
        lambda x: inner(x)[1], start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    a, d, c = inner(found.x)[0]
    sigma = math.exp(found.x[1])
    return np.array([a, c / sigma, d / c, found.x[0], sigma])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    k, w = noisy_slices(count)
    print(f"{count} simulated slices of {STRIKES} strikes, 0.4 % noise in vol, one thread")
    fits = fit_svi_many(k, w)
    best = rmse(k, w, fits.parameters)
    base = median_time(lambda: fit_svi_many(k, w), 15) / count
    status = {name: fits.status.count(name) for name in sorted(set(fits.status))}
    print(f"{'pmkit fit_svi_many':38s} {1e6 * base:9.2f} us   median RMSE {np.median(best):.3e}, {status}")

    def report(
        name: str,
        one: Callable[[np.ndarray, np.ndarray], np.ndarray],
        size: int,
        repeats: int,
        goal: float = 0.0,
    ) -> None:
        rows = range(min(size, count))
        found = np.array([one(k[i], w[i]) for i in rows])
        spent = median_time(lambda: [one(k[i], w[i]) for i in rows], repeats) / len(rows)
        # at a bound of ours, such as the moment bound, a peer without it fits closer
        inside = [i for i in rows if fits.bounds[i] == 0]
        ratio = rmse(k[inside], w[inside], found[inside]) / best[inside]
        print(
            f"{name:38s} {1e6 * spent:9.2f} us   RMSE over ours off the bounds: least "
            f"{ratio.min():.7f}, median {np.median(ratio):.7f}, largest {ratio.max():.7f}"
            f"   time ratio {spent / base:7.1f}"
        )
        if goal:
            record("W7", f"SVI slice, {STRIKES} strikes", 1e6 * base, name, 1e6 * spent, "us", goal)

    def single(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        svi = fit_svi(x, v).svi
        return np.array([svi.a, svi.b, svi.rho, svi.m, svi.sigma])

    report("pmkit fit_svi, one call a slice", single, count, 5)
    if importlib.util.find_spec("quantkit"):
        import quantkit

        def rust(x: np.ndarray, v: np.ndarray) -> np.ndarray:
            found = quantkit.svi_fit(x, v)
            return np.array([found[name] for name in ("a", "b", "rho", "m", "sigma")])

        report("quantkit-rs svi_fit (Rust)", rust, count, 5, 20.0)
    report("SciPy least_squares", by_least_squares, 50, 3, 20.0)
    report("NumPy quasi-explicit, Nelder-Mead", by_quasi_explicit, 50, 3)
    if importlib.util.find_spec("QuantLib"):
        import QuantLib

        def quantlib(x: np.ndarray, v: np.ndarray) -> np.ndarray:
            section = QuantLib.SviInterpolatedSmileSection(
                QuantLib.Date(31, 12, 2026) + 365, 1.0, np.exp(x).tolist(), False, 1.0, np.sqrt(v).tolist(),
                0.5 * float(v.min()), 0.1, 0.3, -0.3, 0.0, False, False, False, False, False,
            )  # fmt: skip
            return np.array([section.a(), section.b(), section.rho(), section.m(), section.sigma()])

        QuantLib.Settings.instance().evaluationDate = QuantLib.Date(31, 12, 2026)
        report("QuantLib SviInterpolatedSmileSection", quantlib, 20, 1)


if __name__ == "__main__":
    main()
