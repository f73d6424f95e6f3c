"""SSVI and eSSVI surfaces: microseconds a surface and loss against peers in the same process, one thread.

Run it with ``python benchmarks/bench_surface_ssvi.py``. The surfaces are simulated: 12 expiries of 25
strikes, 7 days to 2 years, power law, 0.4 % noise in vol. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pandas as pd
from scipy.optimize import least_squares, minimize
from timing import median_time, record

from pmkit.core.random import stream
from pmkit.surface import SliceQuotes, fit_essvi, fit_ssvi, psi_max
from pmkit.surface.joint.essvi import essvi_w
from pmkit.surface.joint.essvi_points import QuotePoints
from pmkit.surface.joint.ssvi_kernel import POWER, coarse_grid, fit_arrow

EXPIRIES, STRIKES, SURFACES = 12, 25, 20
RHO, ETA, GAMMA = -0.4, 1.1, 0.45


def noisy_surface(seed: int) -> list[SliceQuotes]:
    """Return the quotes of a simulated surface, error bars of 0.4 % of vol."""
    rng = stream(seed, "bench-ssvi")
    taus = np.geomspace(7 / 365, 2.0, EXPIRIES)
    thetas = 0.36 * taus * np.exp(0.05 * rng.standard_normal(EXPIRIES))
    found = []
    for tau, theta in zip(taus.tolist(), np.maximum.accumulate(thetas).tolist(), strict=True):
        psi, k = ETA * theta ** (1.0 - GAMMA), np.linspace(-2.0, 1.5, STRIKES) * math.sqrt(theta)
        w = essvi_w(theta, RHO * psi, psi, k) * (1.0 + 0.004 * rng.standard_normal(STRIKES)) ** 2
        error = 2.0 * 0.004 * w
        found.append(
            SliceQuotes(
                expiry=pd.Timestamp("2026-08-01", tz="UTC") + pd.Timedelta(days=365 * tau), tau=tau,
                forward=100.0, k=k, w=w, error=error, w_bid=w - error, w_ask=w + error,
            )
        )  # fmt: skip
    return found


def by_kernel(points: QuotePoints) -> float:
    """Fit from arrays with a cold start, as the peers do, and return the loss."""
    x, out = np.empty(points.atm.size + 3), np.empty(3)
    coarse_grid(POWER, points.first, points.k, points.w, points.weight, x)
    fit_arrow(POWER, points.first, points.k, points.w, points.weight, 200, 1e-12, x, out)
    return float(out[0])


def by_least_squares(points: QuotePoints, method: str) -> float:
    """Fit by SciPy's least squares with a numeric Jacobian, from a plain start, and return the loss."""
    n, which = points.atm.size, np.repeat(np.arange(points.atm.size), np.diff(points.first))
    root = np.sqrt(points.weight)

    def residual(x: np.ndarray) -> np.ndarray:
        theta, rho = np.exp(x[:n]), np.tanh(x[n])
        psi = np.exp(x[n + 1] + (1.0 - x[n + 2]) * x[:n])[which]
        theta = theta[which]
        square = np.sqrt((psi * points.k + theta * rho) ** 2 + theta**2 * (1.0 - rho**2))
        return root * (0.5 * (theta + rho * psi * points.k + square) - points.w)

    start = np.concatenate([np.log(points.atm), [-0.3, 0.0, 0.5]])
    return float(2.0 * least_squares(residual, start, method=method).cost)


def by_constrained(points: QuotePoints) -> float:
    """Fit eSSVI by SciPy's SLSQP in theta and the two wing slopes under the smooth conditions."""
    n, which = points.atm.size, np.repeat(np.arange(points.atm.size), np.diff(points.first))
    root = np.sqrt(points.weight)

    def parts(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        up, down = y[n : 2 * n], y[2 * n :]
        return np.exp(y[:n]), (up - down) / (up + down), 0.5 * (up + down)

    def loss(y: np.ndarray) -> float:
        theta, rho, psi = parts(y)
        fitted = essvi_w(theta[which], (rho * psi)[which], psi[which], points.k)
        return float(np.sum((root * (fitted - points.w)) ** 2)) / points.k.size

    def room(y: np.ndarray) -> np.ndarray:
        theta, rho, psi = parts(y)
        most = psi_max(theta, np.clip(rho, -0.999, 0.999))
        return np.concatenate([np.diff(y[n : 2 * n]), np.diff(y[2 * n :]), -np.diff(psi / theta), most - psi])

    psi = ETA * points.atm ** (1.0 - GAMMA)
    found = minimize(
        loss, np.concatenate([np.log(points.atm), 0.7 * psi, 1.3 * psi]), method="SLSQP",
        bounds=[(None, None)] * n + [(1e-9, None)] * (2 * n), constraints={"type": "ineq", "fun": room},
        options={"maxiter": 300, "ftol": 1e-10},
    )  # fmt: skip
    return float(found.fun) * points.k.size


def by_ssvi_surface(quotes: list[SliceQuotes]) -> None:
    """Fit by the package ssvi-surface, which takes bid and ask prices and another objective."""
    from ssvi_surface import SSVIModel, forward_bs_price

    taus = np.array([one.tau for one in quotes])
    strikes = [100.0 * np.exp(one.k) for one in quotes]
    calls = [one.k >= 0.0 for one in quotes]
    ends = [
        [
            forward_bs_price(100.0, strike, one.tau, np.sqrt(w / one.tau), 0.0, 0.0, call)
            for one, strike, call, w in zip(quotes, strikes, calls, sides, strict=True)
        ]
        for sides in ([one.w_bid for one in quotes], [one.w_ask for one in quotes])
    ]
    SSVIModel().fit(taus, strikes, ends[0], ends[1], calls, 100.0, 0.0, 0.0)


def main() -> None:
    surfaces = [noisy_surface(seed) for seed in range(SURFACES)]
    points = [QuotePoints.of(quotes, 3) for quotes in surfaces]
    worst = 0.0
    for quotes, arrays in zip(surfaces, points, strict=True):
        theirs = min(by_least_squares(arrays, "lm"), by_least_squares(arrays, "trf"))
        # of the root of the loss, that is of the RMSE
        worst = max(worst, abs(math.sqrt(fit_ssvi(quotes).loss / theirs) - 1.0))
    print(f"{SURFACES} simulated surfaces, {EXPIRIES} expiries of {STRIKES} strikes, one thread")
    print(f"greatest relative difference of the RMSE from scipy least_squares: {worst:.1e}")
    kernel = median_time(lambda: [by_kernel(one) for one in points], 15) / SURFACES
    whole = median_time(lambda: [fit_ssvi(one) for one in surfaces], 7) / SURFACES
    rows = [("fit_arrow, from arrays", kernel), ("fit_ssvi, with its checks", whole)]
    for method in ("lm", "trf"):
        name = f"scipy least_squares ({method})"
        rows.append(
            (name, median_time(lambda m=method: [by_least_squares(p, m) for p in points], 3) / SURFACES)
        )
    if importlib.util.find_spec("ssvi_surface") is not None:
        name = "ssvi-surface (another objective)"
        rows.append((name, median_time(lambda: by_ssvi_surface(surfaces[0]), 3)))
    for name, seconds in rows:
        print(f"{name:<34}{1e6 * seconds:>12.1f} us{seconds / kernel:>9.1f}x{seconds / whole:>9.1f}x")

    theirs = 1e6 * min(seconds for name, seconds in rows if name.startswith("scipy"))
    what = f"SSVI surface, {EXPIRIES} x {STRIKES}"
    record("W7", what, 1e6 * kernel, "scipy least_squares", theirs, "us", 20)

    print("eSSVI, arbitrage excluded, same surfaces")
    fits = [fit_essvi(one) for one in surfaces]
    own = median_time(lambda: [fit_essvi(one) for one in surfaces], 5) / SURFACES
    few = points[:4]
    theirs = [by_constrained(one) for one in few]
    peer = median_time(lambda: [by_constrained(one) for one in few], 1) / len(few)
    losses = [one.loss / other for one, other in zip(fits, theirs, strict=False)]
    print(f"{'fit_essvi':<34}{1e6 * own:>12.1f} us, {np.mean([f.evaluations for f in fits]):.0f} evaluations")
    print(f"{'scipy SLSQP, numeric slopes':<34}{1e6 * peer:>12.1f} us{peer / own:>9.1f}x")
    print(f"loss over that of the peer: {min(losses):.6f} to {max(losses):.6f}")


if __name__ == "__main__":
    main()
