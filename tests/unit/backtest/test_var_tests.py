"""Kupiec and the exact binomial test: published figures, enumeration, intervals, bad input."""

from __future__ import annotations

import inspect
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pmkit.backtest import HitSeries, var_tests
from pmkit.backtest.var_tests import binomial_exact, kupiec, kupiec_non_rejection
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

CHI2_1_95 = 3.841458820694124


def pmf(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)]


def plain_lr(n: int, x: int, p: float) -> float:
    """Likelihood ratio with 50 digits and the likelihoods themselves."""
    with mpmath.workdps(50):
        rate = mpmath.mpf(x) / n
        null = mpmath.mpf(p) ** x * (1 - mpmath.mpf(p)) ** (n - x)
        free = (rate**x if x else mpmath.mpf(1)) * ((1 - rate) ** (n - x) if x < n else mpmath.mpf(1))
        return float(-2 * mpmath.log(null / free))


@pytest.mark.parametrize(
    ("n", "x", "p", "statistic", "p_value", "digits"),
    [
        (1043, 57, 0.05, "0.46147", "0.49694", 5),
        (1043, 17, 0.01, "3.5118", "0.060933", 4),
        (1966, 102, 0.05, "0.144887", "0.70347", 6),
        (250, 3, 0.05, "10.8123", "0.00100826", 4),
        (250, 3, 0.01, "0.0949401", "0.757988", 7),
        (250, 16, 0.05, "0.9514", "0.3294", 4),
        (4780, 118, 0.01, "73.910093", None, 6),
        (4780, 177, 0.025, "24.775365", None, 6),
        (4780, 179, 0.025, "26.419740", None, 6),
        (4780, 273, 0.05, "4.877708", "0.027206", 6),
        (4527, 155, 0.025, "14.239433", None, 6),
    ],
)
def test_kupiec_equals_published_figures_to_every_digit(n, x, p, statistic, p_value, digits):
    result = kupiec(n=n, x=x, p=p)
    assert f"{result.statistic:.{digits}f}" == statistic
    assert (result.distribution, result.df) == ("chi2", 1)
    if p_value is not None:
        decimals = len(p_value.split(".")[1])
        assert f"{result.p_asymptotic:.{decimals}f}" == p_value


def test_three_hits_in_a_year_reject_five_per_cent_and_accept_one():
    assert kupiec(n=250, x=3, p=0.05).decision == "rejected"
    assert kupiec(n=250, x=3, p=0.01).decision == "not_rejected"


@pytest.mark.parametrize(
    ("n", "p", "low", "high"),
    [(255, 0.01, 1, 6), (255, 0.025, 3, 11), (255, 0.05, 7, 20), (255, 0.075, 12, 27), (255, 0.10, 17, 35)]
    + [
        (510, 0.01, 2, 10),
        (510, 0.025, 7, 20),
        (510, 0.05, 17, 35),
        (510, 0.075, 28, 50),
        (510, 0.10, 39, 64),
    ]
    + [(1000, 0.01, 5, 16), (1000, 0.025, 16, 35), (1000, 0.05, 38, 64), (1000, 0.075, 60, 91)]
    + [(1000, 0.10, 82, 119), (250, 0.01, 1, 6)],
)
def test_non_rejection_counts_of_the_published_table(n, p, low, high):
    assert kupiec_non_rejection(n, p) == range(low, high + 1)
    decisions = [kupiec(n=n, x=x, p=p).decision for x in (low - 1, low, high, high + 1)]
    assert decisions == ["rejected", "not_rejected", "not_rejected", "rejected"]
    details = kupiec(n=n, x=low, p=p).details
    assert (details["lowest_not_rejected"], details["highest_not_rejected"]) == (low, high)


def test_no_hit_in_255_days_is_rejected_although_tables_say_fewer_than_seven():
    assert round(kupiec(n=255, x=0, p=0.01).statistic, 2) == 5.13


def test_true_size_of_the_asymptotic_test_by_enumeration():
    rejected = [k for k in range(251) if kupiec(n=250, x=k, p=0.01).decision == "rejected"]
    size = math.fsum(pmf(250, 0.01)[k] for k in rejected)
    assert rejected[:2] == [0, 7]
    assert round(100.0 * size, 2) == 9.48
    assert kupiec(n=250, x=2, p=0.01).details["true_size"] == pytest.approx(size, abs=1e-12)


def test_true_size_of_the_exact_test_is_below_its_level():
    probabilities = pmf(250, 0.01)
    size = math.fsum(
        w for k, w in enumerate(probabilities) if kupiec(n=250, x=k, p=0.01).decision_exact == "rejected"
    )
    assert round(100.0 * size, 1) == 4.1


@hypothesis_settings(max_examples=60)
@given(st.integers(1, 400), st.floats(0.0, 1.0), st.floats(0.001, 0.5))
def test_kupiec_equals_the_plain_likelihood_ratio(n, share, p):
    x = round(n * share)
    assert kupiec(n=n, x=x, p=p).statistic == pytest.approx(plain_lr(n, x, p), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "x", "p"), [(1, 0, 0.5), (1, 1, 0.5), (250, 0, 0.01), (250, 250, 0.01), (10**6, 0, 0.01)]
)
def test_kupiec_at_the_ends(n, x, p):
    expected = -2.0 * n * (math.log1p(-p) if x == 0 else math.log(p))
    assert kupiec(n=n, x=x, p=p).statistic == pytest.approx(expected, rel=1e-13)


def test_kupiec_at_probabilities_near_the_smallest_number():
    assert kupiec(n=250, x=5, p=5e-324).statistic == pytest.approx(-10.0 * math.log(5e-324), rel=0.02)


def test_kupiec_does_not_underflow_where_a_product_of_probabilities_does():
    assert 0.975**4603 * 0.025**177 == 0.0
    assert kupiec(n=4780, x=177, p=0.025).statistic == pytest.approx(24.775365, abs=5e-7)


@pytest.mark.parametrize(("n", "p"), [(30, 0.05), (60, 0.025), (250, 0.01), (17, 0.5)])
def test_exact_p_values_by_enumeration(n, p):
    weights = pmf(n, p)
    for x in range(min(n, 20) + 1):
        two_sided = math.fsum(w for w in weights if w <= weights[x] * (1.0 + 1e-7))
        less, greater, point = math.fsum(weights[: x + 1]), math.fsum(weights[x:]), weights[x]
        result, details = kupiec(n=n, x=x, p=p), binomial_exact(n=n, x=x, p=p).details
        assert result.p_exact == pytest.approx(min(1.0, two_sided), rel=1e-9)
        assert result.details["p_less"] == pytest.approx(less, rel=1e-9)
        assert result.details["p_greater"] == pytest.approx(greater, rel=1e-9)
        assert details["p_mid_greater"] == pytest.approx(greater - point / 2.0, rel=1e-9)
        assert details["p_mid_less"] == pytest.approx(less - point / 2.0, rel=1e-9)
        assert details["p_mid_less"] + details["p_mid_greater"] == pytest.approx(1.0, rel=1e-12)
        assert details["p_mid"] == pytest.approx(
            min(1.0, 2.0 * min(details["p_mid_less"], details["p_mid_greater"])), rel=1e-15
        )
        for alternative, expected in (("two-sided", two_sided), ("greater", greater), ("less", less)):
            one = binomial_exact(n=n, x=x, p=p, alternative=alternative)
            assert one.p_exact == pytest.approx(min(1.0, expected), rel=1e-9)
            assert one.sidedness == alternative


def test_normal_version_states_two_tails():
    result = binomial_exact(n=1043, x=57, p=0.05)
    assert (f"{result.details['z']:.5f}", f"{result.p_asymptotic:.5f}") == ("0.68905", "0.49079")
    assert f"{binomial_exact(n=1043, x=57, p=0.05, alternative='greater').p_asymptotic:.5f}" == "0.24539"
    below = binomial_exact(n=1043, x=40, p=0.05, alternative="less")
    assert below.details["z"] < 0.0
    assert below.p_asymptotic == pytest.approx(
        binomial_exact(n=1043, x=40, p=0.05).p_asymptotic / 2.0, rel=1e-12
    )


def test_one_sided_binomial_of_a_published_manual():
    assert round(binomial_exact(n=1000, x=55, p=0.05, alternative="greater").p_exact, 7) == 0.2528819
    assert binomial_exact(n=1966, x=102, p=0.05).details["hit_rate"] == 102 / 1966


def test_critical_count_and_upper_limit_of_sixty_days():
    result = binomial_exact(n=60, x=0, p=0.025, alternative="greater")
    assert result.critical_value == 5.0
    assert round(binomial_exact(n=60, x=5, p=0.025, alternative="greater").p_exact, 3) == 0.017
    assert round(result.details["clopper_pearson_upper_bound"], 3) == 0.049
    assert result.details["clopper_pearson_upper_bound"] == pytest.approx(1.0 - 0.05 ** (1 / 60), rel=1e-12)
    for true_p, power in ((0.05, 0.18), (0.075, 0.47), (0.10, 0.73)):
        assert round(math.fsum(pmf(60, true_p)[5:]), 2) == power


@pytest.mark.parametrize("alternative", ["greater", "less"])
@pytest.mark.parametrize(
    ("n", "p", "alpha"), [(60, 0.025, 0.05), (250, 0.01, 0.05), (1000, 0.05, 1e-3), (250, 0.01, 1e-18)]
)
def test_critical_count_is_where_the_decision_turns(alternative, n, p, alpha):
    critical = int(binomial_exact(n=n, x=0, p=p, alternative=alternative, alpha=alpha).critical_value)
    inward = -1 if alternative == "greater" else 1
    for count, decision in ((critical, "rejected"), (critical + inward, "not_rejected")):
        if 0 <= count <= n:
            assert (
                binomial_exact(n=n, x=count, p=p, alternative=alternative, alpha=alpha).decision == decision
            )
    if alternative == "less" and (1.0 - p) ** n > alpha:
        assert critical == -1


@pytest.mark.parametrize(("n", "x"), [(250, 0), (250, 5), (60, 60), (1043, 57), (4780, 118)])
def test_intervals_against_other_implementations(n, x):
    details = binomial_exact(n=n, x=x, p=0.05, alpha=0.1).details
    interval = binomtest(x, n, 0.05).proportion_ci(0.9, method="exact")
    assert details["clopper_pearson_low"] == pytest.approx(interval.low, rel=1e-9)
    assert details["clopper_pearson_high"] == pytest.approx(interval.high, rel=1e-9)
    bound = binomtest(x, n, 0.05, "less").proportion_ci(0.9, method="exact")
    assert details["clopper_pearson_upper_bound"] == pytest.approx(bound.high, rel=1e-9)
    bound = binomtest(x, n, 0.05, "greater").proportion_ci(0.9, method="exact")
    assert details["clopper_pearson_lower_bound"] == pytest.approx(bound.low, rel=1e-9)
    low, high = details["jeffreys_low"], details["jeffreys_high"]

    def posterior(q: float) -> float:
        return float(mpmath.betainc(x + 0.5, n - x + 0.5, 0, q, regularized=True))

    assert (low == 0.0) if x == 0 else posterior(low) == pytest.approx(0.05, rel=1e-8)
    assert (high == 1.0) if x == n else posterior(high) == pytest.approx(0.95, rel=1e-8)
    assert details["jeffreys_probability_above_p"] == pytest.approx(
        1.0 - posterior(0.05), rel=1e-8, abs=1e-12
    )


def test_warnings_stay_in_the_result_and_say_what_bent():
    result = kupiec(n=250, x=0, p=0.01)  # a warning issued would be an error of this test run
    assert result.warnings == (
        "SmallSampleWarning: 2.5 hits are expected, fewer than 10: at nominal 0.05 the asymptotic test "
        "rejects a correct model with probability 0.0948",
        "Note: rejected for too few hits: the test is two-sided and rejects conservative models",
        "Note: the exact binomial test decides otherwise",
    )
    assert kupiec(n=1043, x=57, p=0.05).warnings == ()
    assert binomial_exact(n=250, x=2, p=0.01).warnings[0].startswith("SmallSampleWarning: 2.5 hits")
    assert "Note: the exact binomial test decides otherwise" in kupiec(n=250, x=6, p=0.01).warnings


def test_series_and_counts_give_the_same_result():
    hits = np.zeros(250, dtype=bool)
    hits[[3, 50, 51, 200, 249]] = True
    by_counts = kupiec(n=250, x=5, p=0.01)
    assert kupiec(hits=hits, p=0.01) == by_counts
    assert kupiec(hits=HitSeries(hits=hits, p=0.01)) == by_counts
    assert kupiec(hits=HitSeries(hits=hits, p=0.01), p=0.01) == by_counts
    assert kupiec(n=250.0, x=np.int64(5), p=0.01) == by_counts
    assert kupiec(n=250, x=6, p=0.01) != by_counts
    assert len({by_counts, kupiec(n=250, x=5, p=0.01)}) == 1


def test_ties_are_mentioned():
    series = HitSeries.from_losses([1.0, 2.0, 3.0] * 400, [2.0] * 1200, 0.05)
    assert kupiec(hits=series).warnings == ("Note: 400 of 1200 losses equal VaR and count as no hit",)


EVERY_TEST = [
    (kupiec, {"n": 250, "x": 5}),
    (binomial_exact, {"n": 250, "x": 5}),
    (var_tests.basel_zone, {"n": 250, "x": 5}),
    (var_tests.christoffersen, {"n00": 240, "n01": 4, "n10": 4, "n11": 1}),
    (var_tests.christoffersen_independence, {"n00": 240, "n01": 4, "n10": 4, "n11": 1}),
]


@pytest.mark.parametrize(("function", "counts"), EVERY_TEST)
def test_every_test_takes_keywords_only_counts_or_hits(function, counts):
    assert all(item.kind is item.KEYWORD_ONLY for item in inspect.signature(function).parameters.values())
    with pytest.raises(
        ParameterError, match="neither counts nor hits are given; expected either counts or hits="
    ):
        function(p=0.01)
    with pytest.raises(ParameterError, match=r"counts \(.*\) and hits are both given"):
        function(hits=[True, False], p=0.01, **counts)
    with pytest.raises(ConventionError, match="horizon=2 is given with counts"):
        function(p=0.01, horizon=2, **counts)
    for p, error in (
        (0.0, ParameterError),
        (1.0, ParameterError),
        (-0.01, ParameterError),
        (0.99, ConventionError),
    ):
        with pytest.raises(error, match=f"p is {p}"):
            function(p=p, **counts)
    for alpha in (0.0, 1.0, 5, "x", float("nan")):
        with pytest.raises(ParameterError, match="alpha is"):
            function(p=0.01, alpha=alpha, **counts)
    with pytest.raises(SchemaError, match=r"hits\[1\] is missing"):
        function(hits=[0.0, np.nan], p=0.01)
    with pytest.raises(DataGapError, match="hits is empty"):
        function(hits=[], p=0.01)
    with pytest.raises(ConventionError, match=r"p is 0.05 and the hits are against a VaR with p = 0.01"):
        function(hits=HitSeries(hits=[True, False], p=0.01), p=0.05)


@pytest.mark.parametrize(("function", "counts"), EVERY_TEST[:3])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": 251}, "x is 251, more than n = 250"),
        ({"x": -1}, "x is -1; expected a whole number, 0 or more"),
        ({"x": 2.5}, "x is 2.5; expected a whole number"),
        ({"x": True}, "x is True"),
        ({"n": 10**400}, "at most 999,999,999"),
        ({"x": "5"}, "x is '5'"),
        ({"x": float("nan")}, "x is nan"),
        ({"x": None}, "x is not given; expected all of n, x"),
        ({"n": 0, "x": 0}, "n is 0; expected at least one observation"),
        ({"n": -250}, "n is -250"),
        ({"p": None}, "p is None"),
    ],
)
def test_counts_that_are_refused(function, counts, change, message):
    with pytest.raises(ParameterError, match=message):
        function(**({"p": 0.01} | counts | change))


def test_an_unknown_alternative_is_refused():
    with pytest.raises(
        ParameterError, match="alternative is 'both'; expected 'two-sided', 'greater' or 'less'"
    ):
        binomial_exact(n=250, x=5, p=0.01, alternative="both")


def test_non_rejection_region_may_be_empty_and_its_input_is_checked():
    assert len(kupiec_non_rejection(1, 0.5, alpha=0.9)) == 0
    assert kupiec(n=1, x=1, p=0.5, alpha=0.9).details["lowest_not_rejected"] is None
    assert kupiec(n=1, x=1, p=0.5, alpha=0.9).details["true_size"] == 1.0
    with pytest.raises(ParameterError, match="n is 0"):
        kupiec_non_rejection(0, 0.01)


def test_critical_value_is_the_chi_square_quantile():
    assert kupiec(n=250, x=5, p=0.01).critical_value == pytest.approx(CHI2_1_95, rel=1e-12)
    assert kupiec(n=250, x=6, p=0.01, alpha=0.10).decision == "rejected"
