"""Scenario rows that were not written down yet may be what bounds a programme."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.optimize.linear.model import Affine, Held, LinearModel
from pmkit.optimize.linear.solver import solve_linear
from pmkit.optimize.terms.shortfall import add_shortfall


def test_rows_left_out_may_be_what_bounds_it() -> None:
    pnl = np.zeros((1, 100))
    pnl[0, -10:] = -1.0  # last, so that the first guess of the tail misses them
    model = LinearModel()
    column = model.column("x")
    held = Held(
        start=np.zeros(1), at=np.zeros(1, dtype=np.int64), column=np.array([column]), sign=np.ones(1),
        low=np.zeros(1), high=np.full(1, np.inf),
    )  # fmt: skip
    shortfall, rows = add_shortfall(model, pnl, held, np.full(100, 0.01), 0.9)
    model.row(shortfall, -np.inf, 5.0, "ES", "USD")
    found = solve_linear(model, Affine.of([(column, -1.0)]), [rows])
    assert found.status == "optimal"
    assert found.value == pytest.approx(-5.0)
    assert found.n_rows == model.n_rows + 85
