"""Repair of correlation matrices: published digits, two oracles, properties, and bad input."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.correlation_tools import corr_nearest
from statsmodels.tools.sm_exceptions import IterationLimitWarning

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import nearest_correlation

HIGHAM = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
REBONATO = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.3], [0.7, 0.3, 1.0]])
TRIDIAGONAL = np.eye(4) - np.eye(4, k=1) - np.eye(4, k=-1)


def broken(seed: int, n: int, noise: float = 0.4) -> np.ndarray:
    """Return a symmetric matrix of unit diagonal that is usually not positive semidefinite."""
    rng = stream(seed, "broken")
    C = np.corrcoef(rng.standard_normal((n, 3 * n))) + noise * rng.standard_normal((n, n))
    upper = np.clip(np.triu(C, 1), -1.0, 1.0)
    return upper + upper.T + np.eye(n)


def above(X: Any) -> list[float]:
    values = np.asarray(X)
    return values[np.triu_indices(len(values), 1)].tolist()


@pytest.mark.parametrize("method", ["higham", "hypersphere"])
def test_published_three_by_three(method: Any) -> None:
    fit = nearest_correlation(HIGHAM, method=method)
    assert above(fit.matrix) == pytest.approx([0.760690, 0.157298, 0.760690], abs=5e-7)
    assert fit.distance == pytest.approx(0.527790, abs=5e-7)
    assert fit.status == "repaired" and fit.raise_if_bad() is fit
    fit.check()


def test_published_tridiagonal() -> None:
    """The published case has diagonal 2, which adds 4 to the squared distance and changes nothing else."""
    fit = nearest_correlation(TRIDIAGONAL)
    expected = [-0.808412, 0.191588, 0.106775, -0.656233, 0.191588, -0.808412]
    assert above(fit.matrix) == pytest.approx(expected, abs=5e-7)
    assert math.hypot(fit.distance, 2.0) == pytest.approx(2.133729, abs=5e-7)


@pytest.mark.parametrize(
    ("method", "expected", "squared"),
    [
        ("higham", [0.894575, 0.696621, 0.302544], 9.4633e-5),
        ("hypersphere", [0.894575, 0.696621, 0.302544], 9.4633e-5),
        ("spectral", [0.894024, 0.696319, 0.300969], 1.00392e-4),
    ],
)
def test_published_rebonato_jaeckel(method: Any, expected: list[float], squared: float) -> None:
    fit = nearest_correlation(REBONATO, method=method)
    assert above(fit.matrix) == pytest.approx(expected, abs=5e-7)
    assert fit.distance**2 == pytest.approx(squared, rel=1e-5)
    assert fit.smallest_before == pytest.approx(-0.007352, abs=5e-7)
    fit.check()


@pytest.mark.parametrize("n", [3, 5, 8])
def test_against_statsmodels(n: int) -> None:
    A = broken(n, n)
    with warnings.catch_warnings():  # no step is ever as small as the threshold
        warnings.simplefilter("ignore", IterationLimitWarning)
        oracle = corr_nearest(A, threshold=1e-15, n_fact=300)
    assert nearest_correlation(A).matrix == pytest.approx(oracle, abs=1e-6)
    assert nearest_correlation(A, method="hypersphere").matrix == pytest.approx(oracle, abs=1e-6)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 5.0), (4.0, 0.5, 1.0)])
def test_fixed_entry_and_weights_against_the_boundary(weights: tuple[float, ...] | None) -> None:
    """With one entry fixed, the singular 3 x 3 matrices are a curve: search it by brute force."""
    w = np.ones(3) if weights is None else np.array(weights)
    turn = math.acos(0.9)

    def loss(angle: float) -> float:
        x, y = math.cos(angle), math.cos(angle + turn)
        return float(w[0] * w[2] * (x - 0.7) ** 2 + w[1] * w[2] * (y - 0.3) ** 2)

    best = minimize_scalar(loss, bounds=(0.5, 1.2), method="bounded", options={"xatol": 1e-12})
    fit = nearest_correlation(REBONATO, fixed=[(0, 1)], weights=weights)
    assert above(fit.matrix) == pytest.approx([0.9, math.cos(best.x), math.cos(best.x + turn)], abs=1e-6)
    assert fit.matrix[0, 1] == 0.9
    assert fit.weighted_distance == pytest.approx(math.sqrt(2.0 * best.fun), rel=1e-6)
    assert fit.smallest_eigenvalue >= -1e-10


def test_weights_move_the_trusted_label_less() -> None:
    plain = nearest_correlation(HIGHAM).pairs["change"].abs()
    heavy = nearest_correlation(HIGHAM, weights=[10.0, 10.0, 0.1]).pairs["change"].abs()
    assert heavy[0] < 0.1 * plain[0] and heavy[2] > plain[2]


@given(st.integers(0, 10_000), st.integers(2, 8), st.sampled_from(["higham", "hypersphere", "spectral"]))
@settings(max_examples=40)
def test_result_is_a_correlation_matrix(seed: int, n: int, method: Any) -> None:
    A = broken(seed, n)
    fit = nearest_correlation(A, method=method)
    X = np.asarray(fit.matrix)
    assert (np.diag(X) == 1.0).all() and np.array_equal(X, X.T) and (np.abs(X) <= 1.0).all()
    assert np.linalg.eigvalsh(X)[0] >= -1e-10
    assert fit.status in ("ok", "repaired")
    again = nearest_correlation(X, method=method)
    assert again.status == "ok" and again.distance == 0.0 and np.array_equal(again.matrix, X)
    fit.check()


@given(st.integers(0, 10_000), st.permutations(range(6)))
@settings(max_examples=20)
def test_order_of_labels_does_not_matter(seed: int, order: list[int]) -> None:
    A, w = broken(seed, 6), np.linspace(0.5, 2.0, 6)
    fixed = [(order.index(0), order.index(1))]
    P = np.ix_(order, order)
    plain = nearest_correlation(A, weights=w, fixed=[(0, 1)]).matrix
    turned = nearest_correlation(A[P], weights=w[order], fixed=fixed).matrix
    assert turned == pytest.approx(np.asarray(plain)[P], abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_no_method_beats_the_alternating_projections(seed: int) -> None:
    A = broken(seed, 7)
    best = nearest_correlation(A).distance
    assert nearest_correlation(A, method="hypersphere").distance >= best - 1e-9
    assert nearest_correlation(A, method="spectral").distance > best
    assert nearest_correlation(A, fixed=[(0, 1)]).distance >= best


@pytest.mark.parametrize("method", ["higham", "hypersphere", "spectral"])
def test_floor_makes_it_positive_definite(method: Any) -> None:
    fit = nearest_correlation(HIGHAM, method=method, min_eigenvalue=0.01)
    assert fit.smallest_eigenvalue == pytest.approx(0.01, abs=1e-9)
    np.linalg.cholesky(np.asarray(fit.matrix))
    fit.check()


def test_labels_stay_and_the_report_says_what_moved() -> None:
    names = ["BTC", "ETH", "SOL"]
    A = pd.DataFrame(REBONATO, index=names, columns=names)
    fit = nearest_correlation(A, fixed=[("ETH", "BTC")], weights=pd.Series([3.0, 1.0, 2.0], names[::-1]))
    assert isinstance(fit.matrix, pd.DataFrame) and list(fit.matrix.columns) == names
    assert fit.moved[["row", "column"]].to_numpy().tolist() == [["ETH", "SOL"], ["BTC", "SOL"]]
    assert fit.moved["change"].abs().is_monotonic_decreasing
    assert fit.pairs["fixed"].tolist() == [True, False, False]
    assert fit.summary().loc["pairs moved", "value"] == "2 of 3"
    assert "(ETH, SOL)" in repr(fit) and json.dumps(fit.to_dict())
    mask = A.abs() == 0.9
    assert fit.matrix.equals(
        nearest_correlation(A, fixed=mask, weights=pd.Series([2.0, 1.0, 3.0], names)).matrix
    )
    assert A.loc["BTC", "SOL"] == 0.7
    assert "higham" in fit.plot().get_title()


def test_a_correlation_matrix_is_left_alone() -> None:
    fit = nearest_correlation(np.eye(3), fixed=[(0, 1)])
    assert fit.status == "ok" and fit.iterations == 0 and fit.moved.empty
    assert nearest_correlation([[1.0]]).status == "ok"


def test_fixed_entries_near_their_bounds_still_converge() -> None:
    """Here the projections alone creep; what is left for the free entry is one edge of its interval."""
    A = np.array([[1.0, 0.999, 0.4], [0.999, 1.0, 0.9], [0.4, 0.9, 1.0]])
    fit = nearest_correlation(A, fixed=[(0, 1), (1, 2)])
    edge = 0.999 * 0.9 - math.sqrt((1 - 0.999**2) * (1 - 0.9**2))
    assert fit.status == "repaired" and fit.iterations < 200
    assert fit.matrix[0, 2] == pytest.approx(edge, abs=1e-8)


def test_entries_fixed_at_one_tie_labels_together() -> None:
    """Tied labels share every correlation: the best one is the weighted mean, if that is legal."""
    A = np.array([[1.0, -1.0, 0.4, 0.3], [-1.0, 1.0, 0.1, 0.0], [0.4, 0.1, 1.0, 0.2], [0.3, 0.0, 0.2, 1.0]])
    fit = nearest_correlation(A, fixed=[(0, 1)], weights=[3.0, 1.0, 1.0, 1.0])
    assert fit.status == "repaired" and fit.matrix[0, 1] == -1.0
    mean = (3.0 * 0.4 - 0.1) / 4.0
    assert fit.matrix[0, 2] == pytest.approx(mean) and fit.matrix[1, 2] == pytest.approx(-mean)
    assert fit.smallest_eigenvalue == pytest.approx(0.0, abs=1e-12)
    fit.check()
    near = A.copy()
    near[0, 1] = near[1, 0] = -0.999999
    close = nearest_correlation(near, fixed=[(0, 1)], weights=[3.0, 1.0, 1.0, 1.0])
    assert close.matrix == pytest.approx(fit.matrix, abs=2e-3)


def test_ties_that_contradict() -> None:
    A = np.array([[1.0, 1.0, 0.4], [1.0, 1.0, 0.1], [0.4, 0.1, 1.0]])
    with pytest.raises(ParameterError, match=r"contradict each other: \(1, 2\) = 0\.1, .* imply 0\.4"):
        nearest_correlation(A, fixed=[(0, 1), (0, 2), (1, 2)])
    ring = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
    with pytest.raises(ParameterError, match=r"\(1, 2\) = -1, .* imply 1;"):
        nearest_correlation(ring, fixed=[(0, 1), (0, 2), (1, 2)])


def test_too_few_iterations_is_a_status() -> None:
    fit = nearest_correlation(TRIDIAGONAL, max_iterations=2)
    assert fit.status == "not_converged"
    with pytest.raises(PmkitError, match="did not converge in 2 iterations"):
        fit.raise_if_bad()


def test_check_finds_a_wrong_figure() -> None:
    from dataclasses import replace

    with pytest.raises(PmkitError, match="do not recompute"):
        replace(nearest_correlation(HIGHAM), distance=0.5).check()


def test_fixed_triangle_that_contradicts_itself() -> None:
    A = 1.9 * np.eye(3) - 0.9
    frame = pd.DataFrame(A, index=list("ABC"), columns=list("ABC"))
    with pytest.raises(ParameterError, match=r"fixed entries contradict each other.*\('A', 'B'\) = -0\.9"):
        nearest_correlation(frame, fixed=[("A", "B"), ("B", "C"), ("A", "C")])


def test_fixed_ring_that_contradicts_itself_only_as_a_whole() -> None:
    """Each triple of a ring can be completed; .9, .9, .9 and -.9 around four labels cannot."""
    A, ring = np.eye(5), [(0, 1), (1, 2), (2, 3), (0, 3)]
    for (i, j), value in zip(ring, (0.9, 0.9, 0.9, -0.9), strict=True):
        A[i, j] = A[j, i] = value
    for weights in (None, [1.0, 2.0, 3.0, 0.1, 1.0]):
        with pytest.raises(ParameterError, match=r"contradict.*\(0, 3\) = -0\.9"):
            nearest_correlation(A, fixed=ring, weights=weights)
    completed = nearest_correlation(A, fixed=ring[:3])
    assert completed.status == "repaired" and [completed.matrix[p] for p in ring[:3]] == [0.9] * 3


def test_floor_can_contradict_fixed_entries() -> None:
    A = np.array([[1.0, 0.95], [0.95, 1.0]])
    with pytest.raises(ParameterError, match=r"eigenvalues of 0\.1 or more"):
        nearest_correlation(A, fixed=[(0, 1)], min_eigenvalue=0.1)


def changed(i: int, j: int, value: float, mirror: bool = True) -> np.ndarray:
    A = np.eye(3)
    A[i, j] = value
    if mirror:
        A[j, i] = value
    return A


@pytest.mark.parametrize(
    ("A", "error", "message"),
    [
        (np.ones((2, 3)), SchemaError, r"A has shape \(2, 3\); expected a square matrix"),
        (np.ones(3), SchemaError, "expected a square matrix"),
        (np.empty((0, 0)), SchemaError, "expected a square matrix"),
        ([[1.0, "x"], ["x", 1.0]], SchemaError, "not a table of numbers"),
        ([[1.0], [1.0, 2.0]], SchemaError, "not a table of numbers"),
        (np.eye(2) * (1 + 0j), SchemaError, "real numbers"),
        (
            changed(0, 1, 0.3, mirror=False),
            ParameterError,
            r"not symmetric: 0.3 at \(0, 1\) and 0 at \(1, 0\)",
        ),
        (changed(1, 1, 2.0), ParameterError, "diagonal of A is 2 at 1; expected 1"),
        (changed(0, 2, math.nan), ParameterError, r"2 entries of A not finite, first nan at \(0, 2\)"),
        (changed(0, 2, math.inf), ParameterError, "not finite"),
        (changed(1, 2, -1.2), ParameterError, r"A is -1.2 at \(1, 2\); expected correlations between"),
        (
            pd.DataFrame(np.eye(2), index=["a", "b"], columns=["b", "a"]),
            SchemaError,
            "rows of A are 'a', 'b'",
        ),
        (pd.DataFrame(np.eye(2), index=["a", "a"], columns=["a", "a"]), SchemaError, "'a' of A is repeated"),
    ],
)
def test_bad_matrices(A: Any, error: type[PmkitError], message: str) -> None:
    with pytest.raises(error, match=message):
        nearest_correlation(A)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"method": "newton"}, ParameterError, "method is 'newton'"),
        ({"tol": 0.0}, ParameterError, "tol is 0.0"),
        ({"tol": math.nan}, ParameterError, "tol is nan"),
        ({"min_eigenvalue": 1.0}, ParameterError, "min_eigenvalue is 1.0"),
        ({"max_iterations": 0}, ParameterError, "max_iterations is 0"),
        ({"weights": [1.0, 2.0]}, SchemaError, r"weights have shape \(2,\); expected \(3,\)"),
        ({"weights": [1.0, 0.0, 2.0]}, ParameterError, "weight of 'b' is 0; expected a positive"),
        ({"weights": [1.0, math.nan, 2.0]}, ParameterError, "weight of 'b' is nan"),
        ({"weights": pd.Series([1.0, 1.0, 1.0], list("abd"))}, SchemaError, "weights are labelled"),
        (
            {"weights": [1.0, 1.0, 1.0], "method": "spectral"},
            ParameterError,
            "weights with method 'spectral'",
        ),
        ({"fixed": [("a", "b")], "method": "hypersphere"}, ParameterError, "fixed entries with method"),
        ({"fixed": [("a", "z")]}, SchemaError, "fixed names 'z'; expected one of 'a', 'b', 'c'"),
        ({"fixed": [("a", "a")]}, SchemaError, "pairs 'a' with itself"),
        ({"fixed": ["ab"]}, SchemaError, "fixed holds 'ab'"),
        ({"fixed": "ab"}, SchemaError, "fixed is 'ab'"),
        ({"fixed": np.ones((2, 2), dtype=bool)}, SchemaError, "a symmetric mask"),
        ({"fixed": np.triu(np.ones((3, 3), dtype=bool))}, SchemaError, "a symmetric mask"),
        ({"fixed": np.ones((3, 3))}, SchemaError, "type float64"),
        ({"fixed": pd.DataFrame(np.eye(3) > 0)}, SchemaError, "fixed is labelled"),
    ],
)
def test_bad_arguments(given: dict[str, Any], error: type[PmkitError], message: str) -> None:
    A = pd.DataFrame(REBONATO, index=list("abc"), columns=list("abc"))
    with pytest.raises(error, match=message):
        nearest_correlation(A, **given)
