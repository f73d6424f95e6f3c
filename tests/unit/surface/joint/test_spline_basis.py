"""B-splines that vanish at their ends: against scipy's, and 0 with two derivatives outside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from pmkit.surface.joint.spline_basis import SplineBasis

KNOTS = np.array([-2.0, -1.4, -1.0, -0.3, -0.1, 0.0, 0.4, 0.9, 1.0, 1.7, 3.0])


@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_every_function_and_derivative_is_scipys(derivative: int) -> None:
    basis = SplineBasis(KNOTS)
    assert basis.size == KNOTS.size - 4 and (basis.centres == KNOTS[2:-2]).all()
    x = np.linspace(-2.5, 3.5, 401)
    for j in range(basis.size):
        weights = np.zeros(basis.size)
        weights[j] = 1.0
        element = BSpline.basis_element(KNOTS[j : j + 5], extrapolate=False)
        scipys = element if derivative == 0 else element.derivative(derivative)
        expected = np.nan_to_num(scipys(x))
        assert basis.at(x, weights, derivative) == pytest.approx(expected, abs=1e-12)


def test_local_values_name_functions_that_exist_and_are_zero_outside() -> None:
    basis = SplineBasis(KNOTS)
    x = np.array([-9.0, -2.0, -1.99, -1.0, 0.0, 2.99, 3.0, 9.0, np.nan])
    first, values = basis.local(x)
    assert first.min() >= 0 and first.max() == basis.size - 4
    assert (values[[0, 1, 6, 7, 8]] == 0.0).all() and (values[[2, 3, 4, 5]].sum(axis=1) > 0.0).all()
    weights = np.arange(1.0, basis.size + 1.0)
    assert basis.at(x.reshape(3, 3), weights).shape == (3, 3)
    for edge, inside in ((-2.0, 1e-6), (3.0, -1e-6)):
        near = np.array([edge + inside])
        assert abs(basis.at(near, weights)[0]) < 1e-15
        assert abs(basis.at(near, weights, 1)[0]) < 1e-9
        assert abs(basis.at(near, weights, 2)[0]) < 1e-3
