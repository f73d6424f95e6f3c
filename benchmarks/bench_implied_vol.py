"""Implied volatility: nanoseconds a quote against peers in the same process, one thread.

Run it with ``python benchmarks/bench_implied_vol.py [quotes]``. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr
from timing import interleaved, record, vector_width

import pmkit.pricing as pricing
from pmkit.core.random import stream


def quotes_of(count: int) -> tuple[np.ndarray, ...]:
    """Return price, forward, strike, tau, is_call and the volatility that made them, out of the money."""
    rng = stream(1, "bench-iv")
    forward = np.exp(rng.uniform(np.log(5.0), np.log(5000.0), 2 * count))
    strike = forward * np.exp(rng.uniform(np.log(0.3), np.log(3.0), 2 * count))
    tau = np.exp(rng.uniform(np.log(1 / 365), np.log(2.0), 2 * count))
    iv = np.exp(rng.uniform(np.log(0.1), np.log(3.0), 2 * count))
    call = strike >= forward
    price = pricing.black76(forward, strike, tau, iv, is_call=call)
    kept = np.flatnonzero(price > 1e-10 * forward)[:count]
    return tuple(np.ascontiguousarray(a[kept]) for a in (price, forward, strike, tau, call, iv))


def newton_numpy(price, forward, strike, tau, call):
    """Plain vectorised Newton on the logarithm of the price, from a lower bound: the peer everybody has."""
    w = np.where(call, 1.0, -1.0)
    root, x = np.sqrt(tau), np.log(forward / strike)
    beta = price / np.sqrt(forward * strike)
    depth = np.maximum(-np.log(2.0 * beta), 0.0)
    s = np.abs(x) * np.sqrt(2.0 / (2.0 * depth + np.sqrt(np.maximum(4.0 * depth**2 - x * x, 0.0)) + 1e-300))
    s = np.maximum(s, beta * np.sqrt(2.0 * np.pi))
    for _ in range(8):
        d1 = x / s + 0.5 * s
        with np.errstate(all="ignore"):
            value = w * (forward * ndtr(w * d1) - strike * ndtr(w * (d1 - s)))
            vega = forward * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
            s = np.where(value > 0.0, s - np.log(value / price) * value / vega, s)
    return s / root


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    price, forward, strike, tau, call, iv = quotes_of(count)
    count = price.size
    print(f"{count} quotes, vector width {vector_width()}, one thread")

    def ours() -> object:
        return pricing.implied_vol(price, forward, strike, tau, is_call=call)

    ours()
    base = 1e9 * interleaved({"ours": ours}, 9)["ours"] / count
    error = np.abs(ours() / iv - 1.0)
    print(f"{'pmkit':28s} {base:9.1f} ns   round trip: median {np.median(error):.1e}, max {error.max():.1e}")

    def report(name: str, function: Callable[[], np.ndarray], size: int = count, goal: float = 0.0) -> None:
        took = interleaved({"ours": ours, "peer": function}, {"ours": 5, "peer": 3})
        spent, own = 1e9 * took["peer"] / size, 1e9 * took["ours"] / count
        wrong = np.abs(np.asarray(function()) / iv[:size] - 1.0)
        good = wrong < 0.01
        print(
            f"{name:28s} {spent:9.1f} ns   round trip: median {np.median(wrong):.1e}, "
            f"max {wrong[good].max():.1e}, {np.count_nonzero(~good)} off by 1 % or missing"
            f"   ratio {spent / own:6.1f}"
        )
        if goal:
            record("W1", "implied vol", own, name, spent, "ns/quote", goal)

    newton = "numpy + ndtr, 8 Newton steps"
    report(newton, lambda: newton_numpy(price, forward, strike, tau, call), goal=15.0)
    if importlib.util.find_spec("lbriv"):
        import lbriv

        def cython_rational() -> np.ndarray:
            total = np.empty(count)
            for flag, lanes in ((1, call), (-1, ~call)):
                unit = forward[lanes]
                total[lanes] = lbriv.vectorized_implied_vol_strikes(
                    price[lanes] / unit, 1.0, strike[lanes] / unit, flag
                )
            return total / np.sqrt(tau)

        report("lbriv (Cython)", cython_rational, goal=15.0)
    if importlib.util.find_spec("iv_engine"):
        import iv_engine

        def rust_rational() -> np.ndarray:
            result = np.empty(count)
            for flag, lanes in ((True, call), (False, ~call)):
                result[lanes] = iv_engine.implied_volatilities(
                    price[lanes], forward[lanes], strike[lanes], tau[lanes], is_call=flag, parallel=False
                )
            return result

        report("iv-engine (Rust, serial)", rust_rational)
    few = min(count, 2000)
    if importlib.util.find_spec("QuantLib"):
        import QuantLib

        sides = [QuantLib.Option.Call if c else QuantLib.Option.Put for c in call[:few]]
        rows = list(
            zip(sides, strike[:few].tolist(), forward[:few].tolist(), price[:few].tolist(), strict=True)
        )

        def quantlib() -> np.ndarray:
            deviation = [QuantLib.blackFormulaImpliedStdDevLiRS(*row) for row in rows]
            return np.array(deviation) / np.sqrt(tau[:few])

        report("QuantLib LiRS loop", quantlib, few)
    if importlib.util.find_spec("py_vollib"):
        from py_vollib.black.implied_volatility import implied_volatility

        letters = ["c" if c else "p" for c in call[:few]]
        quotes = list(zip(price, forward, strike, np.zeros(few), tau, letters, strict=False))

        def vollib() -> np.ndarray:
            return np.array([implied_volatility(*quote) for quote in quotes])

        report("py_vollib loop", vollib, few)


if __name__ == "__main__":
    main()
