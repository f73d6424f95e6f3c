"""The banded quadratic programme: its optimum by conditions it does not use, bounds kept, equal bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from pmkit.core.types import FloatArray
from pmkit.surface.joint.banded_programme import RUN, LocalRows, solve_banded


def programme(seed: int, n: int = 40, m: int = 120) -> tuple[FloatArray, FloatArray, LocalRows, FloatArray]:
    """Return a random programme that 0 is admissible in, whose rows have one run or two."""
    draw = np.random.default_rng(seed)
    bands = np.zeros((n, 3))
    bands[:, 0], bands[:-1, 1], bands[:-2, 2] = 4.0, draw.uniform(-1.0, 1.0, n - 1), 0.5
    first = draw.integers(0, n - 2 * RUN + 1, (m, 1))
    values = draw.normal(size=(m, 2, RUN))
    values[::3, 1] = 0.0
    rows = LocalRows(first=np.hstack([first, first + RUN]).astype(np.int64), values=values)
    return bands, 20.0 * draw.normal(size=n), rows, draw.uniform(0.0, 1.0, m)


def dense(bands: FloatArray, rows: LocalRows) -> tuple[FloatArray, FloatArray]:
    n, m = len(bands), len(rows.first)
    P, G = np.zeros((n, n)), np.zeros((m, n))
    for d in range(bands.shape[1]):
        for j in range(n - d):
            P[j + d, j] = P[j, j + d] = bands[j, d]
    for row in range(m):
        for run in range(2):
            G[row, rows.first[row, run] : rows.first[row, run] + RUN] += rows.values[row, run]
    return P, G


@settings(derandomize=True, max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_end_is_admissible_and_no_direction_improves_it(seed: int) -> None:
    """Farkas: the downhill slope is a non-negative sum of the rows that bind, so nothing better is near."""
    bands, linear, rows, limits = programme(seed)
    found = solve_banded(bands, linear, rows, limits)
    P, G = dense(bands, rows)
    slack = limits - G @ found.x
    assert found.closed and found.usable and slack.min() > -1e-8
    binds = slack < 1e-3
    assert binds.any()
    _, left = nnls(G[binds].T, -(P @ found.x + linear))
    assert left < 1e-5 * np.abs(linear).max()


def test_without_a_row_that_binds_it_is_the_solution_of_the_linear_equations() -> None:
    bands, linear, rows, limits = programme(3)
    P, _ = dense(bands, rows)
    found = solve_banded(bands, linear, rows, limits + 1e6)
    assert found.x == pytest.approx(np.linalg.solve(P, -linear), abs=1e-5)


def test_an_open_direction_stays_where_it_is() -> None:
    """P is 0 in the last unknown and no row touches it."""
    bands, linear, rows, limits = programme(4)
    bands = np.vstack([bands, np.zeros((1, 3))])
    found = solve_banded(bands, np.append(linear, 0.0), rows, limits)
    assert found.closed and found.x[-1] == 0.0


def test_no_admissible_point_is_said() -> None:
    """x <= -1 and -x <= -1 for one unknown."""
    values = np.zeros((2, 2, RUN))
    values[0, 0, 0], values[1, 0, 0] = 1.0, -1.0
    rows = LocalRows(first=np.zeros((2, 2), dtype=np.int64), values=values)
    found = solve_banded(np.ones((RUN, 1)), np.zeros(RUN), rows, np.array([-1.0, -1.0]))
    assert not found.closed and not found.usable


def test_equal_bits_and_products_as_the_plain_ones() -> None:
    bands, linear, rows, limits = programme(5)
    one, two = (solve_banded(bands, linear, rows, limits) for _ in range(2))
    assert (one.x == two.x).all() and one.gap == two.gap
    _, G = dense(bands, rows)
    assert rows.times(one.x) == pytest.approx(G @ one.x, abs=1e-12)
    assert len(LocalRows.joined([rows, rows]).first) == 2 * limits.size
