"""The most likely move that uses up a margin, of three stocks: figures of a closed form, and by search."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.risk.adversarial.reverse import nearest_loss

#: EWMA(.94) covariance of three stocks at the end of 2019, squared per cent
COVARIANCE = np.array(
    [
        [0.7112194, 0.4771175, 0.23912361],
        [0.4771175, 0.89015172, 0.15714752],
        [0.23912361, 0.15714752, 0.48533272],
    ]
)
BOOK = np.array([1.0, 0.5, -0.75])
MOVE = (-1.63116615, -1.70293347, 0.09803098)
QUANTILE = 2.3263478740408408


def test_the_printed_move_by_the_search():
    spread = float(BOOK @ COVARIANCE @ BOOK)
    margin = QUANTILE * np.sqrt(spread)
    root = np.linalg.cholesky(COVARIANCE)
    found = nearest_loss(lambda z: -(z @ root.T @ BOOK), 3, margin, 6.0, 512, 8, 60, 0)
    assert found.status == "ok"
    assert found.distances[found.best] == pytest.approx(2.32634787, abs=1e-6)
    move = root @ found.climb.points[found.best]
    assert move == pytest.approx(MOVE, abs=2e-3)  # distances are flat around the nearest point
    assert -COVARIANCE @ BOOK * margin / spread == pytest.approx(MOVE, abs=2e-8)
