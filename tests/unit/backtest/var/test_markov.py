"""Christoffersen's tests: published figures, simulated and enumerated p-values, what cannot be evaluated."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import kstest

from pmkit.backtest import HitSeries
from pmkit.backtest.var_tests import christoffersen, christoffersen_independence, kupiec
from pmkit.core.errors import ParameterError

NAMES = ("n00", "n01", "n10", "n11")
PUBLISHED = [
    ((932, 53, 53, 4), 0.05, 1043, 57, 5, "0.46147", "0.25866", "0.72013"),
    ((4554, 107, 107, 11), 0.01, 4780, 118, 6, "73.910093", "14.232772", "88.142865"),
    ((4442, 160, 160, 17), 0.025, 4780, 177, 6, "24.775365", "12.841324", "37.616690"),
    ((4429, 171, 171, 8), 0.025, 4780, 179, 6, "26.419740", "0.255495", "26.675234"),
    ((4251, 255, 255, 18), 0.05, 4780, 273, 6, "4.877708", "0.399578", "5.277286"),
    ((4232, 139, 139, 16), 0.025, 4527, 155, 6, "14.239433", "15.515178", None),
]


def plain_lr(n00: int, n01: int, n10: int, n11: int) -> float:
    """Independence ratio from the three rates, one logarithm at a time."""

    def term(count: int, rate: float) -> float:
        return count * math.log(rate) if count else 0.0

    after_none, after_hit = n01 / (n00 + n01), n11 / (n10 + n11)
    rate = (n01 + n11) / (n00 + n01 + n10 + n11)
    free = term(n00, 1 - after_none) + term(n01, after_none) + term(n10, 1 - after_hit) + term(n11, after_hit)
    return 2.0 * (free - term(n00 + n10, 1 - rate) - term(n01 + n11, rate))


def transitions(hits: tuple[int, ...]) -> dict[str, int]:
    pairs = list(itertools.pairwise(hits))
    return {f"n{i}{j}": pairs.count((i, j)) for i in (0, 1) for j in (0, 1)}


@pytest.mark.parametrize(("cells", "p", "n", "x", "digits", "pof", "ind", "joint"), PUBLISHED)
def test_published_figures_to_every_digit(cells, p, n, x, digits, pof, ind, joint):
    counts = dict(zip(NAMES, cells, strict=True))
    result = christoffersen(p=p, **counts)
    alone = christoffersen_independence(**counts)
    assert (result.n, result.x, result.n_effective, result.df, alone.df) == (n, x, n - 1, 2, 1)
    assert f"{result.details['lr_coverage']:.{digits}f}" == pof
    assert f"{alone.statistic:.{digits}f}" == ind
    assert alone.critical_value == pytest.approx(3.841458820694124, rel=1e-12)
    assert result.expected == n * p
    assert joint is None or f"{result.statistic:.{digits}f}" == joint
    assert result.details["lr_independence"] == alone.statistic
    assert result.details["lr_coverage"] == kupiec(n=n, x=x, p=p).statistic


def test_published_p_values():
    counts = dict(zip(NAMES, PUBLISHED[0][0], strict=True))
    assert f"{christoffersen_independence(**counts).p_asymptotic:.5f}" == "0.61104"
    assert f"{christoffersen(p=0.05, **counts).p_asymptotic:.5f}" == "0.69763"
    assert (
        f"{christoffersen(p=0.05, **dict(zip(NAMES, PUBLISHED[4][0], strict=True))).p_asymptotic:.6f}"
        == "0.071458"
    )


def test_chi_square_with_two_degrees_of_freedom_is_exponential():
    result = christoffersen(n00=932, n01=53, n10=53, n11=4, p=0.05)
    assert result.p_asymptotic == pytest.approx(math.exp(-result.statistic / 2.0), rel=1e-12)
    assert result.critical_value == pytest.approx(-2.0 * math.log(0.05), rel=1e-12)


@hypothesis_settings(max_examples=60)
@given(st.lists(st.integers(0, 1), min_size=6, max_size=80))
def test_a_series_gives_what_its_counts_give(hits):
    counts = transitions(tuple(hits))
    assume(min(counts["n00"] + counts["n01"], counts["n10"] + counts["n11"]) > 0)
    assume(min(counts["n00"] + counts["n10"], counts["n01"] + counts["n11"]) > 0)
    series = HitSeries(hits=hits, p=0.05)
    result = christoffersen(hits=series, draws=99)
    assert result.details["lr_independence"] == pytest.approx(plain_lr(**counts), abs=1e-9)
    assert result.statistic == pytest.approx(plain_lr(**counts) + kupiec(hits=series).statistic, abs=1e-9)
    assert result.n_effective == sum(counts.values()) == len(hits) - 1
    by_counts = christoffersen(n=len(hits), x=sum(hits), p=0.05, draws=99, **counts)
    assert by_counts == result


def test_swapping_entries_and_exits_changes_nothing():
    forward = christoffersen_independence(n00=90, n01=5, n10=4, n11=2)
    backward = christoffersen_independence(n00=90, n01=4, n10=5, n11=2)
    assert forward.statistic == pytest.approx(backward.statistic, rel=1e-12)


def enumerated(n: int, p: float) -> list[tuple[int, float, float, float]]:
    """For each of the 2^n series: hits, probability, independence ratio (0 where undefined), joint ratio."""
    table = []
    for hits in itertools.product((0, 1), repeat=n):
        counts, x = transitions(hits), sum(hits)
        defined = min(counts["n00"] + counts["n01"], counts["n10"] + counts["n11"]) > 0
        defined = defined and min(counts["n00"] + counts["n10"], counts["n01"] + counts["n11"]) > 0
        ind = plain_lr(**counts) if defined else 0.0
        rate = x / n
        free = (x * math.log(rate) if x else 0.0) + ((n - x) * math.log(1 - rate) if x < n else 0.0)
        pof = 2.0 * (free - x * math.log(p) - (n - x) * math.log(1 - p))
        table.append((x, p**x * (1 - p) ** (n - x), ind, ind + pof))
    return table


def test_simulated_p_values_agree_with_the_enumeration_of_all_series():
    n, p = 12, 0.2
    table = enumerated(n, p)
    for hits in (
        (0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1),
        (1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0),
        (0, 1, 1, 0) * 3,
    ):
        x = sum(hits)
        joint = christoffersen(hits=hits, p=p, draws=39_999)
        exact = math.fsum(w for _, w, _, statistic in table if statistic >= joint.statistic - 1e-9)
        assert abs(joint.p_exact - exact) < 4.0 * joint.p_exact_se + 1e-12
        alone = christoffersen_independence(hits=hits, draws=39_999)
        same = [ind for count, _, ind, _ in table if count == x]
        exact = sum(ind >= alone.statistic - 1e-9 for ind in same) / len(same)
        assert abs(alone.p_exact - exact) < 4.0 * alone.p_exact_se + 1e-12
        assert math.isnan(alone.p) and math.isnan(alone.expected)


def test_ties_are_broken_at_random_between_the_two_bounds():
    hits = (0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1)
    result = christoffersen_independence(hits=hits)
    same = [ind for count, _, ind, _ in enumerated(12, 0.2) if count == 4]
    strictly = sum(ind > result.statistic + 1e-9 for ind in same) / len(same)
    assert strictly - 0.02 < result.details["p_ties_broken"] <= result.p_exact
    broken = [christoffersen_independence(hits=hits, seed=i).details["p_ties_broken"] for i in range(200)]
    share = (result.p_exact - strictly) / 12.0**0.5  # standard deviation of a uniform tie-breaker
    assert abs(np.mean(broken) - (result.p_exact + strictly) / 2.0) < 4.0 * share / 200.0**0.5 + 0.005


def test_p_value_with_ties_broken_is_uniform_for_a_correct_model():
    rng = np.random.default_rng(11)
    p_values = [
        christoffersen(hits=rng.random(250) < 0.05, p=0.05, draws=199, seed=i).details["p_ties_broken"]
        for i in range(300)
    ]
    assert np.isfinite(p_values).mean() > 0.99
    assert kstest([value for value in p_values if math.isfinite(value)], "uniform").pvalue > 0.01


def test_clustered_hits_of_the_right_number_are_found():
    hits = np.zeros(1000, dtype=bool)
    for start in range(0, 1000, 100):
        hits[start + 10 : start + 15] = True
    assert kupiec(hits=hits, p=0.05).decision == "not_rejected"
    result = christoffersen(hits=hits, p=0.05)
    assert (result.decision, result.decision_exact) == ("rejected", "rejected")
    assert result.details["rate_after_hit"] == 0.8
    assert christoffersen_independence(hits=hits).decision == "rejected"


def test_equal_seeds_give_equal_bits_and_the_error_is_stated():
    counts = {"n00": 932, "n01": 53, "n10": 53, "n11": 4}
    first, again = (christoffersen(p=0.05, seed=3, **counts) for _ in range(2))
    other = christoffersen(p=0.05, seed=4, **counts)
    assert first == again and first.p_exact != other.p_exact
    assert abs(first.p_exact - other.p_exact) < 5.0 * first.p_exact_se
    assert first.p_exact_se == pytest.approx(
        math.sqrt(first.p_exact * (1 - first.p_exact) / 10_000), rel=1e-12
    )
    assert first.p_exact_kind == "Monte Carlo, 9999 draws, ties count"


def test_smallest_p_value_is_one_over_draws_plus_one():
    result = christoffersen(n00=4554, n01=107, n10=107, n11=11, p=0.01, draws=999)
    assert result.p_exact == 0.001 and result.p_exact_se > 0.0


@pytest.mark.parametrize("hits", [[0] * 50, [1] * 50, [0] * 49 + [1], [1] + [0] * 49, [1], [0]])
def test_independence_without_variation_is_not_evaluable(hits):
    result = christoffersen_independence(hits=hits, p=0.05)
    assert result.decision == result.decision_exact == "not_evaluable"
    assert math.isnan(result.statistic) and math.isnan(result.p_asymptotic) and math.isnan(result.p_exact)
    assert any("independence cannot be evaluated" in text for text in result.warnings)
    assert "not_evaluable" in repr(result)


def test_one_hit_inside_the_series_is_evaluable():
    assert christoffersen_independence(hits=[0, 0, 1, 0, 0]).decision == "not_rejected"


def test_joint_test_without_a_hit_rejects_on_coverage_or_is_not_evaluable():
    few = christoffersen(hits=[0] * 250, p=0.01)
    assert few.decision == "not_evaluable" and math.isnan(few.statistic) and math.isnan(few.p_exact)
    many = christoffersen(hits=[0] * 1000, p=0.01)
    assert many.decision == "rejected"
    assert many.statistic == pytest.approx(-2000.0 * math.log(0.99), rel=1e-12)
    assert many.p_exact < 0.01 and math.isnan(many.details["lr_independence"])
    assert "Note: rejected on coverage alone, to which independence could only add" in many.warnings


def test_small_samples_are_flagged():
    assert any(
        text.startswith("SmallSampleWarning: fewer than 5 hits after a hit")
        for text in christoffersen(n00=240, n01=4, n10=4, n11=1, p=0.01).warnings
    )
    assert christoffersen_independence(n00=4251, n01=255, n10=255, n11=18, x=273).warnings == ()


def test_number_of_hits_follows_from_transitions_but_for_equal_ends():
    assert christoffersen(n00=90, n01=5, n10=4, n11=1, p=0.05).x == 6  # ends with a hit
    assert christoffersen(n00=90, n01=4, n10=5, n11=1, p=0.05).x == 6  # starts with a hit
    open_ends = christoffersen(n00=90, n01=5, n10=5, n11=1, p=0.05)
    assert open_ends.x == 6
    assert (
        "Note: x taken as 6, the first observation being no hit; pass x=7 if it was one" in open_ends.warnings
    )
    assert christoffersen(n00=90, n01=5, n10=5, n11=1, x=7, p=0.05).x == 7
    assert christoffersen(n00=0, n01=0, n10=0, n11=20, p=0.05).x == 21
    assert christoffersen(n00=20, n01=0, n10=0, n11=0, p=0.05).x == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n01": 7}, r"n00, n01, n10, n11 = 90, 7, 5, 1 cannot come from one series"),
        ({"n01": 0, "n10": 0}, "cannot come from one series"),
        ({"n00": 0, "n01": 0, "n10": 0, "n11": 0}, "all transition counts are 0"),
        ({"n": 101}, "n is 101 with 101 transitions; expected n = 102"),
        ({"x": 5}, r"x is 5 with n01 \+ n11 = 6; expected x = 6 or 7"),
        ({"n11": -1}, "n11 is -1"),
        ({"n11": 1.5}, "n11 is 1.5"),
        ({"n11": None}, "n11 is not given; expected all of n00, n01, n10, n11"),
        ({"draws": 10}, "draws is 10; expected 99 or more"),
        ({"seed": -1}, "seed is -1"),
    ],
)
@pytest.mark.parametrize("function", [christoffersen, christoffersen_independence])
def test_transition_counts_that_are_refused(function, change, message):
    with pytest.raises(ParameterError, match=message):
        function(**({"n00": 90, "n01": 5, "n10": 5, "n11": 1, "p": 0.05} | change))


def test_seeds_and_long_series_have_room():
    assert christoffersen(n00=90, n01=5, n10=5, n11=1, p=0.05, seed=2**63).details["seed"] == 2**63
    assert (
        christoffersen(n00=979_000_000, n01=10**7, n10=10**7, n11=99_999, p=0.01, draws=99).n == 999_100_000
    )


def test_joint_test_needs_p():
    with pytest.raises(ParameterError, match="p is None"):
        christoffersen(n00=90, n01=5, n10=5, n11=1)
