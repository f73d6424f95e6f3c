"""Worst-case correlation: closed forms, brute force, the certificate, both directions, bad input."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import OptionalDependencyError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import correlation_bands, stress_correlation, worst_case_correlation

NAMES = ["JPM", "XOM", "MSFT"]
COVARIANCE = np.array(
    [
        [0.7112194, 0.4771175, 0.23912361],
        [0.4771175, 0.89015172, 0.15714752],
        [0.23912361, 0.15714752, 0.48533272],
    ]
)
SIGMA = np.sqrt(np.diag(COVARIANCE))
R = pd.DataFrame(COVARIANCE / np.outer(SIGMA, SIGMA), index=NAMES, columns=NAMES)
BOOK = np.array([1.0, 0.5, -0.75])
Z99 = 2.3263478740408408


def sample(seed: int, n: int) -> np.ndarray:
    return np.corrcoef(stream(seed, "sample").standard_normal((n, 3 * n)))


def test_both_directions_of_a_hedged_book() -> None:
    """Blending to ones lowers the margin of a hedged book; only the worst case raises it."""
    base = Z99 * worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.0).sd
    ones = stress_correlation(R, target="ones").matrix.to_numpy()
    blended = Z99 * math.sqrt((BOOK * SIGMA) @ ones @ (BOOK * SIGMA))
    up = worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.2)
    down = worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.2, direction="min")
    free = worst_case_correlation(BOOK, R, sigma=SIGMA)
    assert base == pytest.approx(2.55615612, abs=1e-7)
    assert blended == pytest.approx(1.84382569, abs=1e-7)
    assert Z99 * free.sd == pytest.approx(4.27482985, abs=1e-7)
    assert Z99 * up.sd == pytest.approx(2.98036907, abs=1e-6)
    assert Z99 * down.sd == pytest.approx(2.04579282, abs=1e-6)
    assert blended < base < Z99 * up.sd < Z99 * free.sd
    for result in (up, down, free):
        result.check()
        assert result.raise_if_bad() is result
    rows = up.summary()["value"]
    assert rows["sd, all correlations 1"] < rows["sd, estimate"] < rows["sd, worst case in the box"]


def test_without_a_box_the_answer_is_the_square_of_the_sum() -> None:
    free = worst_case_correlation(BOOK, R, sigma=SIGMA)
    assert free.value == pytest.approx(float(np.sum(np.abs(BOOK) * SIGMA)) ** 2, rel=1e-14)
    np.testing.assert_array_equal(free.matrix, np.outer(np.sign(BOOK), np.sign(BOOK)))
    solved = worst_case_correlation(BOOK, R, sigma=SIGMA, box=2.0)
    assert solved.sd == pytest.approx(free.sd, rel=1e-7) and solved.status == "ok"


@pytest.mark.parametrize("direction", ["max", "min"])
def test_two_assets_in_closed_form(direction: Any) -> None:
    for w in ([1.0, 2.0], [1.0, -2.0]):
        result = worst_case_correlation(w, [[1.0, 0.4], [0.4, 1.0]], box=0.3, direction=direction)
        up = (w[1] > 0.0) == (direction == "max")
        rho = 0.7 if up else 0.1
        assert result.value == pytest.approx(5.0 + 2.0 * w[0] * w[1] * rho, rel=1e-7)
        assert bool(result.pairs["at_high" if up else "at_low"][0])


@pytest.mark.parametrize("direction", ["max", "min"])
def test_three_assets_against_a_search(direction: Any) -> None:
    """A grid of the box with a step of 0.02: where the cone binds, it comes close from inside."""
    values = R.to_numpy()
    grid = np.arange(-0.5, 0.5001, 0.02)
    sides = [np.clip(values[i, j] + grid, -1, 1) for i, j in ((0, 1), (0, 2), (1, 2))]
    a, b, c = (x.ravel() for x in np.meshgrid(*sides))
    legal = 1 + 2 * a * b * c - a * a - b * b - c * c >= 0.0
    e = BOOK * SIGMA
    variance = np.sum(e**2) + 2 * (e[0] * e[1] * a + e[0] * e[2] * b + e[1] * e[2] * c)
    best = variance[legal].max() if direction == "max" else variance[legal].min()
    result = worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.5, direction=direction)
    assert abs(result.smallest_eigenvalue) < 1e-8  # the cone binds, not the box alone
    sign = 1.0 if direction == "max" else -1.0
    assert 0.0 <= sign * (result.value - best) < 0.03


@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0.02, 0.6), st.sampled_from(["max", "min"]))
@settings(max_examples=15)
def test_certificate_and_random_members_of_the_box(seed: int, n: int, width: float, direction: Any) -> None:
    A = sample(seed, n)
    w = stream(seed, "book").standard_normal(n)
    result = worst_case_correlation(w, A, box=width, direction=direction)
    result.check()
    assert result.status == "ok" and result.gap < 1e-6
    sign = 1.0 if direction == "max" else -1.0
    for k in range(5):
        other = sample(seed + k + 1, n)
        gap = np.abs(other - A).max()
        inside = A + min(1.0, width / gap) * (other - A)
        assert sign * (w @ inside @ w) <= sign * result.bound + 1e-6 * np.abs(w).sum() ** 2


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_singular_estimates(rank: int) -> None:
    L = stream(rank, "low rank").standard_normal((7, rank))
    C = L @ L.T
    A = np.clip(C / np.sqrt(np.outer(np.diag(C), np.diag(C))), -1.0, 1.0)
    A = 0.5 * (A + A.T)
    np.fill_diagonal(A, 1.0)
    w = stream(rank, "book").standard_normal(7)
    for box in (0.0, 0.01, 0.1):
        for direction in ("max", "min"):
            result = worst_case_correlation(w, A, box=box, direction=direction)  # type: ignore[arg-type]
            result.check()
            assert result.status == "ok"


def test_wider_boxes_order_of_labels_and_scale() -> None:
    A = pd.DataFrame(sample(4, 5), index=list("abcde"), columns=list("abcde"))
    w = pd.Series([1.0, -0.5, 0.7, 0.2, -1.1], list("abcde"))
    sds = [worst_case_correlation(w, A, box=b).sd for b in (0.0, 0.1, 0.3, 0.8)]
    assert sds == sorted(sds) and sds[0] < sds[-1]
    order = list("dbeca")
    turned = worst_case_correlation(w, A.loc[order, order], box=0.3)
    assert turned.sd == pytest.approx(sds[2], rel=1e-8)
    np.testing.assert_allclose(
        turned.matrix.loc[A.index, A.index], worst_case_correlation(w, A, box=0.3).matrix, atol=1e-4
    )
    assert worst_case_correlation(1e6 * w, A, box=0.3).sd == pytest.approx(1e6 * sds[2], rel=1e-8)


def test_boxes_by_entry_and_from_bands() -> None:
    mix = np.array([[1, 0.6, 0.3], [0, 0.8, 0.2], [0, 0, 0.9]])
    x = 0.01 * stream(9, "rows").standard_normal((300, 3)) @ mix
    bands = correlation_bands(pd.DataFrame(x, columns=NAMES), method="fisher")
    by_bands = worst_case_correlation(BOOK, bands.correlation, box=bands)
    by_pair = worst_case_correlation(BOOK, bands.correlation, box=(bands.low, bands.high))
    assert by_bands.sd == by_pair.sd
    assert by_bands.sd_base < by_bands.sd < worst_case_correlation(BOOK, bands.correlation).sd
    width = np.zeros((3, 3))
    width[0, 1] = width[1, 0] = 0.1
    one = worst_case_correlation(BOOK, bands.correlation, box=width)
    assert one.moved[["row", "column"]].to_numpy().tolist() == [["JPM", "XOM"]]
    assert one.moved["change"].iloc[0] == pytest.approx(0.1, abs=1e-7)


def test_spot_and_vol_factors_in_one_matrix() -> None:
    """Long delta and short vega lose together when spot falls and vol rises: worse is more negative."""
    names = ["BTC spot", "BTC vol"]
    joint = pd.DataFrame([[1.0, -0.6], [-0.6, 1.0]], names, names)
    book = pd.Series({"BTC spot": 0.4, "BTC vol": -1.0})
    worst = worst_case_correlation(book, joint, sigma=pd.Series({"BTC spot": 0.04, "BTC vol": 0.05}), box=0.2)
    assert worst.matrix.loc["BTC spot", "BTC vol"] == pytest.approx(-0.8, abs=1e-6)
    assert worst.sd > worst.sd_base


def test_display() -> None:
    result = worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.2)
    assert "object at" not in repr(result) and result.cite() == ("elghaoui2003", "boyd2004")
    assert len(result.to_frame()) == 3 and result.to_dict()["row"] == ["JPM", "JPM", "XOM"]
    assert result.plot().get_title() == "correlation of maximal margin"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"w": [1.0, 2.0]}, SchemaError, r"w has shape \(2,\)"),
        ({"w": [0.0, 0.0, 0.0]}, ParameterError, "all exposures are 0"),
        ({"w": [1.0, np.nan, 0.0]}, ParameterError, "w of 'XOM' is nan"),
        ({"w": pd.Series([1.0, 2.0, 3.0], ["JPM", "XOM", "GE"])}, SchemaError, "w is labelled"),
        ({"sigma": [0.1, -0.1, 0.1]}, ParameterError, "sigma of 'XOM' is -0.1"),
        ({"box": -0.1}, ParameterError, "half-widths of 0 or more"),
        ({"box": "wide"}, SchemaError, "box is a str"),
        ({"box": (R, R, R)}, SchemaError, "box holds 3 items"),
        ({"box": (R + 0.1 * (1 - np.eye(3)), R + 0.2)}, ParameterError, "a box round the estimate"),
        ({"box": np.zeros((2, 2))}, SchemaError, "box has 2 rows"),
        ({"direction": "up"}, ParameterError, "direction is 'up'"),
        ({"R": np.array([[1.0, 2.0], [2.0, 1.0]])}, ParameterError, "correlations between -1 and 1"),
        ({"R": np.array([[1, 0.9, 0.7], [0.9, 1, 0.3], [0.7, 0.3, 1]])}, ParameterError, "nearest_corr"),
        ({"R": np.array([[1.0, 0.5], [0.4, 1.0]])}, ParameterError, "not symmetric"),
    ],
)
def test_bad_input(options: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = {"w": BOOK, "R": R} | options
    with pytest.raises(error, match=text):
        worst_case_correlation(arguments.pop("w"), arguments.pop("R"), **arguments)


def test_a_result_that_is_not_confirmed_is_refused() -> None:
    from dataclasses import replace

    result = worst_case_correlation(BOOK, R, sigma=SIGMA, box=0.2)
    with pytest.raises(PmkitError, match="relative gap of at most 1e-06"):
        replace(result, status="not_converged").raise_if_bad()
    with pytest.raises(PmkitError, match="inside the box"):
        replace(result, value=result.value * 1.01).check()


def test_without_cvxpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(
        OptionalDependencyError, match=r'cvxpy is not inst.*pip install "pmkit\[estimation\]"'
    ):
        worst_case_correlation(BOOK, R, box=0.1)


def test_exposures_without_a_square_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"add up to 2e\+200"):
        worst_case_correlation([1e200, -1e200], np.eye(2))
