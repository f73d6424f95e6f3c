"""Stressed correlations: the margin of a hedged book in both directions, properties, and bad input."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import stress_correlation

NAMES = ["JPM", "XOM", "MSFT"]
#: EWMA(.94) covariance of three stocks at the end of 2019, squared per cent
COVARIANCE = np.array(
    [
        [0.7112194, 0.4771175, 0.23912361],
        [0.4771175, 0.89015172, 0.15714752],
        [0.23912361, 0.15714752, 0.48533272],
    ]
)
SIGMA = np.sqrt(np.diag(COVARIANCE))
BASE = pd.DataFrame(COVARIANCE / np.outer(SIGMA, SIGMA), index=NAMES, columns=NAMES)
BOOK = np.array([1.0, 0.5, -0.75])


def margin(R: Any) -> float:
    """Return the normal 99 % margin of the book under correlation ``R``."""
    exposure = BOOK * SIGMA
    return 2.3263478740408408 * math.sqrt(float(exposure @ np.asarray(R) @ exposure))


def sample(seed: int, n: int) -> np.ndarray:
    return np.corrcoef(stream(seed, "sample").standard_normal((n, 3 * n)))


def test_blending_to_ones_lowers_the_margin_of_a_hedged_book() -> None:
    assert margin(BASE) == pytest.approx(2.55615612, abs=1e-7)
    assert BASE.to_numpy()[np.triu_indices(3, 1)] == pytest.approx(
        [0.59964129, 0.40700605, 0.23908687], abs=2e-8
    )
    expected = {0.25: 2.39799372, 0.5: 2.22863493, 1.0: 1.84382569}
    for weight, value in expected.items():
        stressed = stress_correlation(BASE, target="ones", weight=weight)
        assert margin(stressed.matrix) == pytest.approx(value, abs=1e-7)
        stressed.check()


def test_breakdown_and_signs_of_the_book() -> None:
    identity = stress_correlation(BASE, breakdown=True)
    assert margin(identity.matrix) == pytest.approx(2.55555110, abs=1e-7)
    assert identity.matrix.equals(stress_correlation(BASE, target="identity").matrix)
    against = stress_correlation(BASE, target=np.sign(BOOK))
    assert margin(against.matrix) == pytest.approx(4.27482985, abs=1e-7)
    assert against.market_share == pytest.approx(1.0, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0.0, 1.0), st.integers(0, 2))
@settings(max_examples=40)
def test_blends_are_correlation_matrices(seed: int, n: int, weight: float, which: int) -> None:
    R = sample(seed, n)
    signs = np.where(stream(seed, "signs").random(n) < 0.5, -1.0, 1.0)
    target = ("ones", signs, sample(seed + 1, n))[which]
    stressed = stress_correlation(R, target=target, weight=weight)
    stressed.check()
    assert stressed.smallest_eigenvalue >= -1e-12 and stressed.status == "ok"
    goal = (np.ones((n, n)), np.outer(signs, signs), sample(seed + 1, n))[which]
    assert stressed.distance == pytest.approx(weight * np.linalg.norm(goal - R), rel=1e-9, abs=1e-12)


@given(st.integers(0, 10_000), st.permutations(range(5)))
@settings(max_examples=20)
def test_order_of_labels_does_not_matter(seed: int, order: list[int]) -> None:
    names = np.array(list("abcde"))
    R = pd.DataFrame(sample(seed, 5), index=names, columns=names)
    turned = R.iloc[order, order]
    for stress in (
        {"overrides": {("a", "b"): 0.95, ("b", "c"): -0.9}},
        {"market_shift": 0.1},
        {"breakdown": [("a", "c")]},
        {"target": pd.Series([1, 1, -1, 1, -1], index=names)},
    ):
        plain = stress_correlation(R, **stress).matrix  # type: ignore[arg-type]
        other = stress_correlation(turned, **stress).matrix  # type: ignore[arg-type]
        assert other.loc[names, names].to_numpy() == pytest.approx(plain.to_numpy(), abs=1e-8)


def test_labelled_targets_are_put_in_order() -> None:
    crisis = 0.5 * BASE + 0.5 * np.eye(3)
    plain = stress_correlation(BASE, target=crisis, weight=0.3)
    turned = stress_correlation(BASE, target=crisis.iloc[::-1, ::-1], weight=0.3)
    assert plain.matrix.equals(turned.matrix)
    assert plain.matrix.to_numpy() == pytest.approx(0.7 * BASE.to_numpy() + 0.3 * crisis.to_numpy())


def test_overrides_report_what_else_moved() -> None:
    stressed = stress_correlation(BASE, overrides={("JPM", "XOM"): 0.99, ("XOM", "MSFT"): -0.5})
    assert stressed.status == "repaired" and stressed.repair is not None
    assert stressed.matrix.loc["XOM", "JPM"] == 0.99 and stressed.matrix.loc["MSFT", "XOM"] == -0.5
    lost = stressed.moved_untouched
    assert lost[["row", "column"]].to_numpy().tolist() == [["JPM", "MSFT"]]
    edge = 0.99 * -0.5 + math.sqrt((1 - 0.99**2) * (1 - 0.5**2))
    assert stressed.matrix.loc["JPM", "MSFT"] == pytest.approx(edge, abs=1e-6)
    assert stressed.summary().loc["untouched pairs moved", "value"] == "1 of 1"
    stressed.check()
    shared = stress_correlation(BASE, overrides={("JPM", "XOM"): 0.99, ("XOM", "MSFT"): -0.5}, hold=False)
    assert shared.repair is not None and shared.repair.distance < stressed.repair.distance
    assert shared.matrix.loc["XOM", "JPM"] < 0.99


def test_override_that_needs_no_repair_moves_nothing_else() -> None:
    stressed = stress_correlation(BASE, overrides={("JPM", "XOM"): 0.7})
    assert stressed.status == "ok" and stressed.repair is None
    assert stressed.moved_untouched.empty and len(stressed.moved) == 1
    assert stressed.raise_if_bad() is stressed


def test_block_overrides() -> None:
    R = pd.DataFrame(np.eye(4), index=list("abcd"), columns=list("abcd"))
    ab, cd = ("a", "b"), ("c", "d")
    stressed = stress_correlation(R, overrides={(ab, ab): 0.8, (ab, cd): 0.3}).matrix
    expected = [[1, 0.8, 0.3, 0.3], [0.8, 1, 0.3, 0.3], [0.3, 0.3, 1, 0], [0.3, 0.3, 0, 1]]
    assert stressed.to_numpy() == pytest.approx(np.array(expected))


def test_breakdown_between_groups() -> None:
    stressed = stress_correlation(BASE, breakdown=[["JPM", "XOM"]])
    assert stressed.matrix.loc["JPM", "XOM"] == BASE.loc["JPM", "XOM"]
    assert stressed.matrix.loc["MSFT"].tolist() == [0.0, 0.0, 1.0]
    half = stress_correlation(BASE, breakdown=[["JPM", "XOM"]], weight=0.5)
    assert half.matrix.loc["JPM", "MSFT"] == pytest.approx(0.5 * BASE.loc["JPM", "MSFT"])


def test_market_mode_shift_of_equal_correlations() -> None:
    """With one correlation rho the market share is (1 + (n-1) rho)/n and the shift is exact."""
    R = 0.6 * np.eye(4) + 0.4
    stressed = stress_correlation(R, market_shift=0.15)
    assert stressed.market_share_before == pytest.approx(0.55)
    assert stressed.market_share == pytest.approx(0.70)
    assert stressed.matrix == pytest.approx(0.4 * np.eye(4) + 0.6, abs=1e-12)


@given(st.integers(0, 10_000), st.floats(-0.1, 0.3))
@settings(max_examples=20)
def test_market_mode_shift_moves_the_share_its_way(seed: int, shift: float) -> None:
    R = 0.5 * sample(seed, 5) + 0.5
    stressed = stress_correlation(R, market_shift=shift)
    stressed.check()
    gained = stressed.market_share - stressed.market_share_before
    assert gained * shift >= -1e-15 and gained == pytest.approx(shift, abs=0.05)


def test_result_shows_itself() -> None:
    stressed = stress_correlation(BASE, target="ones", weight=0.5)
    assert repr(stressed) == repr(stress_correlation(BASE, target="ones", weight=0.5))
    assert "50 % to ones" in repr(stressed) and json.dumps(stressed.to_dict())
    assert stressed.provenance.id != stress_correlation(BASE, target="ones", weight=0.6).provenance.id
    assert stressed.plot().get_title() == "50 % to ones"
    with pytest.raises(PmkitError, match="do not recompute"):
        replace(stressed, smallest_eigenvalue=0.5).check()
    assert isinstance(stress_correlation(BASE.to_numpy(), target="ones").matrix, np.ndarray)


def test_base_must_be_positive_semidefinite() -> None:
    with pytest.raises(ParameterError, match=r"smallest eigenvalue of R.*nearest_correlation\(R\)\.matrix"):
        stress_correlation([[1, 1, 0], [1, 1, 1], [0, 1, 1]], target="ones")
    with pytest.raises(ParameterError, match="smallest eigenvalue of target"):
        stress_correlation(np.eye(3), target=[[1, 1, 0], [1, 1, 1], [0, 1, 1]])


def test_no_single_market_mode() -> None:
    for R in (np.eye(3), np.ones((3, 3)), np.eye(1)):
        with pytest.raises(ParameterError, match="no single mode stands out"):
            stress_correlation(R, market_shift=0.1)
    apart = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ParameterError, match="leaves row 2 a variance"):
        stress_correlation(apart, market_shift=0.5)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ParameterError, "no stress given"),
        ({"target": "ones", "breakdown": True}, ParameterError, "target and breakdown given"),
        ({"target": "zeros"}, ParameterError, "target is 'zeros'"),
        ({"target": "ones", "weight": 1.1}, ParameterError, "weight is 1.1"),
        ({"target": "ones", "weight": math.nan}, ParameterError, "weight is nan"),
        ({"market_shift": 0.1, "weight": 0.5}, ParameterError, "weight 0.5 with market_shift"),
        ({"market_shift": 0.9}, ParameterError, "market_shift is 0.9"),
        ({"target": [1.0, -1.0]}, SchemaError, "target has 2 signs"),
        ({"target": [1.0, 0.0, -1.0]}, ParameterError, "sign of 'XOM' is 0"),
        ({"target": [[1.0], [1.0, 2.0]]}, SchemaError, "not a table of numbers"),
        ({"target": np.eye(2)}, SchemaError, "target has 2 rows; expected the 3 of R"),
        ({"target": pd.Series([1, 1, 1], list("abc"))}, SchemaError, "target is labelled"),
        ({"target": pd.DataFrame(np.eye(3))}, SchemaError, "target is labelled"),
        ({"overrides": {}}, SchemaError, "a mapping from pairs"),
        ({"overrides": {"JPM": 0.5}}, SchemaError, "overrides name 'JPM'"),
        ({"overrides": {("JPM", "IBM"): 0.5}}, SchemaError, "overrides names 'IBM'"),
        ({"overrides": {("JPM", "JPM"): 0.5}}, SchemaError, "pair 'JPM' with itself"),
        ({"overrides": {("JPM", "XOM"): 1.5}}, ParameterError, r"override of \('JPM', 'XOM'\) is 1.5"),
        (
            {"overrides": {("JPM", "XOM"): 0.5, ("XOM", "JPM"): 0.6}},
            ParameterError,
            "overridden by 0.5 and by 0.6",
        ),
        (
            {"overrides": {(("JPM", "XOM", "MSFT"), ("JPM", "XOM", "MSFT")): -0.9}},
            ParameterError,
            "contradict each other",
        ),
        ({"breakdown": "JPM"}, SchemaError, "breakdown is 'JPM'"),
        ({"breakdown": ["JPM"]}, SchemaError, "breakdown holds 'JPM'"),
        ({"breakdown": [["JPM"], ["JPM", "XOM"]]}, SchemaError, "names 'JPM' twice"),
        ({"breakdown": [["IBM"]]}, SchemaError, "breakdown names 'IBM'"),
    ],
)
def test_bad_arguments(given: dict[str, Any], error: type[PmkitError], message: str) -> None:
    with pytest.raises(error, match=message):
        stress_correlation(BASE, **given)
