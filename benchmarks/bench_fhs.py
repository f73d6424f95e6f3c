"""W6, backtest of filtered historical simulation: milliseconds a day against numpy with ndtr, one thread.

Run it with ``python benchmarks/bench_fhs.py [days]``: 20 portfolios of 200 options each, 1,000 scenarios a
day, GARCH(1,1) refitted daily on 1,000 days with a warm start, ES of each portfolio. Returns and portfolios
are simulated. The peer revalues and measures the same scenarios; its refit is not counted. The tails come
from :func:`pmkit.risk.option_tails`, whose bits are checked against valuing all scenarios in doubles.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from bench_revalue import numpy_row
from scipy import sparse
from timing import interleaved, record, vector_width

import pmkit.pricing as pricing
from pmkit.core.random import stream
from pmkit.estimation.univariate.garch_newton_likelihood import plan_of
from pmkit.estimation.univariate.recursion import filter_variance
from pmkit.estimation.univariate.refit import no_maxima, refit_windows
from pmkit.risk.accounts import tails
from pmkit.risk.accounts_table import account_table
from pmkit.risk.screened import option_tails

PORTFOLIOS, OPTIONS, SCENARIOS, WINDOW, LEVEL = 20, 200, 1000, 1000, 0.99
GROUP = 4  # portfolios revalued together: their matrix stays in the cache
KEEP = round((1.0 - LEVEL) * SCENARIOS)


class Books:
    """The options of all portfolios, fixed in moneyness and time, their quantities and present values."""

    def __init__(self) -> None:
        rng, count = stream(6, "bench-fhs-books"), PORTFOLIOS * OPTIONS
        self.strike = 100.0 * rng.uniform(0.5, 2.0, count)
        self.tau = np.exp(rng.uniform(np.log(7 / 365), np.log(2.0), count))
        self.iv, self.is_call = rng.uniform(0.2, 0.9, count), rng.random(count) < 0.5
        self.quantity = rng.normal(0.0, 10.0, count)
        self.before = self.matrix(np.array([100.0]), np.ones(1))[:, 0]
        self.worth = np.add.reduceat(self.quantity * self.before, np.arange(0, count, OPTIONS))
        columns, starts = np.arange(GROUP * OPTIONS), np.arange(GROUP + 1) * OPTIONS
        shape, names = (GROUP, columns.size), [str(i) for i in columns]
        self.tables = [
            account_table(sparse.csr_array((part, columns, starts), shape=shape), names)
            for part in np.split(self.quantity, PORTFOLIOS // GROUP)
        ]

    def matrix(self, forward: np.ndarray, level: np.ndarray, rows: slice = slice(None), **more) -> np.ndarray:
        """Return values of some options per scenario."""
        return pricing.option_matrix(
            forward, self.iv[rows], self.strike[rows], self.tau[rows], self.is_call[rows], False,
            level=level, **more,
        )  # fmt: skip


def scenarios_of(returns: np.ndarray, days: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return tomorrow's forwards and vol levels of each day: the filter's vol times its own residuals."""
    plan = plan_of(False, False, False)
    first = np.arange(days, dtype=np.int64)
    params, notes = np.empty((days, 6)), np.empty((days, 3), np.int64)
    start = np.zeros(days)
    refit_windows(
        returns, first, first + WINDOW, False, False, False, plan, *no_maxima(), params, start,
        np.empty(days), notes, np.empty((6, 6)),
    )  # fmt: skip
    found, variance = [], np.empty(WINDOW + 1)
    for day in range(days):
        window = returns[day : day + WINDOW]
        _, omega, alpha, gamma, beta, _ = params[day]
        filter_variance(window, omega, alpha, gamma, beta, start[day], variance)
        moves = np.sqrt(variance[-1]) * (window / np.sqrt(variance[:-1]))[-SCENARIOS:]
        found.append((100.0 * np.exp(moves), np.exp(-2.0 * moves)))
    return found


def ours(books: Books, days: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return ES by day and portfolio: singles tell which scenarios are valued in doubles."""
    size = GROUP * OPTIONS
    room = np.empty((size, SCENARIOS), dtype=np.float32)
    found = np.empty((len(days), PORTFOLIOS))
    for day, (forward, level) in enumerate(days):
        for at, table in enumerate(books.tables):
            rows, here = slice(at * size, (at + 1) * size), slice(at * GROUP, (at + 1) * GROUP)
            worst = option_tails(
                forward, books.iv[rows], books.strike[rows], books.tau[rows], books.is_call[rows], False,
                table, KEEP, level=level, out=room,
            ).profit  # fmt: skip
            found[day, here] = books.worth[here] - worst.mean(axis=1)
    return found


def all_values(
    books: Books, days: list[tuple[np.ndarray, np.ndarray]], kind: type[np.floating] = np.float64
) -> np.ndarray:
    """Return the same with every scenario valued in one precision, in a matrix that stays in the cache."""
    size = GROUP * OPTIONS
    matrix = np.empty((size, SCENARIOS), dtype=kind)
    found = np.empty((len(days), PORTFOLIOS))
    for day, (forward, level) in enumerate(days):
        for at, table in enumerate(books.tables):
            rows = slice(at * size, (at + 1) * size)
            books.matrix(forward, level, rows, single=kind is np.float32, out=matrix)
            worst = tails(matrix, table, KEEP).profit
            here = slice(at * GROUP, (at + 1) * GROUP)
            found[day, here] = books.worth[here] - worst.mean(axis=1, dtype=np.float64)
    return found


def peer(books: Books, days: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the same by numpy, one option row at a time."""
    row, total = np.empty(SCENARIOS), books.iv * np.sqrt(books.tau)
    found = np.empty((len(days), PORTFOLIOS))
    for day, (forward, level) in enumerate(days):
        logs = np.log(forward)
        for p in range(PORTFOLIOS):
            value = np.zeros(SCENARIOS)
            for i in range(p * OPTIONS, (p + 1) * OPTIONS):
                numpy_row(logs, forward, level * total[i], books.strike[i], books.is_call[i], row)
                value += books.quantity[i] * row
            found[day, p] = books.worth[p] - np.partition(value, KEEP - 1)[:KEEP].mean()
    return found


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    books, rng = Books(), stream(6, "bench-fhs")
    returns = 0.02 * rng.standard_t(5, WINDOW + count)
    days = scenarios_of(returns, count)
    few = days[: max(1, min(3, count // 4))]
    took = interleaved(
        {
            "whole": lambda: ours(books, scenarios_of(returns, count)),
            "doubles": lambda: all_values(books, scenarios_of(returns, count)),
            "single": lambda: all_values(books, scenarios_of(returns, count), np.float32),
            "scenarios": lambda: scenarios_of(returns, count),
            "numpy": lambda: peer(books, few),
        },
        3,
    )
    per = {name: len(few) if name == "numpy" else count for name in took}
    whole, doubles, single, made, theirs = (1e3 * took[name] / n for name, n in per.items())
    values = PORTFOLIOS * OPTIONS * SCENARIOS
    print(f"{count} days, {values:.0e} valuations a day, vector width {vector_width()}")
    record("W6", "FHS backtest, refit and ES daily", whole, "numpy + ndtr", theirs, "ms/day", 10)
    print(f"every scenario in doubles {doubles:.4g} ms/day ({theirs / doubles:.1f}), ", end="")
    print(f"in singles {single:.4g} ms/day ({theirs / single:.1f})")
    print(f"refit and scenarios {made:.3f} ms a day; 2,000 days: {2 * whole:.1f} s, numpy {2 * theirs:.0f} s")
    wall = interleaved({"halves": lambda: in_two_threads(books, days)}, 3, clock=time.perf_counter)["halves"]
    both = 1e3 * wall / count
    text = "FHS backtest, 2 threads (wall clock, without refit)"
    record("W6", text, both, "numpy + ndtr, 1 thread", theirs, "ms/day", 20)
    found, theirs_es = ours(books, few), peer(books, few)
    gap = np.max(np.abs(found / theirs_es - 1.0))
    same = np.array_equal(found, all_values(books, few))
    rough = np.max(np.abs(all_values(books, few, np.float32) / theirs_es - 1.0))
    print(
        f"largest relative difference of ES {gap:.1e}, in singles {rough:.1e}; equal bits to doubles: {same}"
    )
    if not same:
        raise SystemExit("the tails differ from those of all scenarios in doubles")


def in_two_threads(books: Books, days: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the same as :func:`ours`, each thread half of the days."""
    from concurrent.futures import ThreadPoolExecutor

    middle = len(days) // 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        parts = list(pool.map(lambda part: ours(books, part), (days[:middle], days[middle:])))
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
