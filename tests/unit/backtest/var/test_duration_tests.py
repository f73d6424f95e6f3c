"""Haas, Weibull and GMM tests of waiting times: published figures, other routes, edges, bad input."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from pmkit.backtest import HitSeries, OffsetOutcomes
from pmkit.backtest.var.gmm import gmm_statistic
from pmkit.backtest.var.weibull import weibull_fit
from pmkit.backtest.var_tests import (
    gmm_duration,
    haas,
    haas_mixed,
    kupiec,
    kupiec_first_hit,
    weibull_duration,
)
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

FEW = {"draws": 99}
TOY = {"n": 20, "durations": [3, 1, 6, 6]}
EVERY_TEST = [
    (haas, {}),
    (haas_mixed, {}),
    (weibull_duration, {}),
    (gmm_duration, {}),
    (gmm_duration, {"hypothesis": "independence"}),
    (gmm_duration, {"hypothesis": "unconditional"}),
]


@pytest.mark.parametrize(
    ("run", "tbfi", "shape", "ratio"),
    [
        (("sd", 0.01), "413.5305", "0.621242", "65.433098"),
        (("sd", 0.025), "459.6670", "0.683330", "59.594033"),
        (("ew", 0.025), "282.5423", "0.949616", "0.796068"),
        (("ew", 0.05), "398.6096", "0.953241", "1.080757"),
    ],
)
def test_reference_backtest_to_every_digit(reference_runs, run, tbfi, shape, ratio):
    hits, _, _ = reference_runs[run]
    times, mixed = haas(hits=hits, **FEW), haas_mixed(hits=hits, **FEW)
    assert f"{times.statistic:.4f}" == tbfi and times.df == hits.x
    assert mixed.statistic == pytest.approx(times.statistic + kupiec(hits=hits).statistic, rel=1e-12)
    assert mixed.df == hits.x + 1
    weibull = weibull_duration(hits=hits, **FEW)
    assert weibull.details["shape"] == pytest.approx(float(shape), abs=2e-6)  # printed as its search ended
    assert f"{weibull.statistic:.6f}" == ratio


@pytest.mark.parametrize(
    ("hypothesis", "moments", "df", "statistic", "digits"),
    [
        ("unconditional", 1, 1, "4.30427", 5),
        ("conditional", 3, 3, "12.3876", 4),
        ("independence", 3, 2, "10.428", 3),
        ("conditional", 5, 5, "19.8963", 4),
        ("independence", 5, 4, "15.6562", 4),
    ],
)
def test_reference_backtest_by_moments(reference_runs, hypothesis, moments, df, statistic, digits):
    hits, _, _ = reference_runs["ew", 0.05]
    result = gmm_duration(hits=hits, hypothesis=hypothesis, moments=moments, **FEW)
    assert f"{result.statistic:.{digits}f}" == statistic and result.df == df
    assert result.p_asymptotic == pytest.approx(chi2.sf(result.statistic, df), rel=1e-12)


def test_toy_case_by_hand():
    result = haas(p=0.1, **TOY, **FEW)
    assert (f"{result.statistic:.6f}", f"{result.p_asymptotic:.6f}") == ("6.316779", "0.176707")
    weibull = weibull_duration(**TOY, **FEW)
    assert (f"{weibull.details['shape']:.6f}", f"{weibull.statistic:.6f}") == ("2.165225", "1.815106")
    assert weibull.details["censored"] == 2 and weibull.n_effective == 5


def test_sum_of_single_waiting_times_is_held_against_the_upper_tail():
    waiting = [kupiec_first_hit(first_hit=d, p=0.1).statistic for d in TOY["durations"]]
    result = haas(p=0.1, **TOY, **FEW)
    assert result.statistic == pytest.approx(math.fsum(waiting), rel=1e-12)
    assert result.p_asymptotic == pytest.approx(chi2.sf(result.statistic, 4), rel=1e-12)


def spells(hits: list[int]) -> tuple[list[int], list[int]]:
    """Complete and cut-off waiting times, read off the list."""
    days = [i + 1 for i, hit in enumerate(hits) if hit]
    cut = ([days[0]] if days[0] > 1 else []) + ([len(hits) - days[-1]] if days[-1] < len(hits) else [])
    return [b - a for a, b in itertools.pairwise(days)], cut


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=8, max_size=60))
def test_weibull_ratio_equals_a_plain_search(hits):
    assume(sum(hits) >= 3 and sum(hits) < len(hits))
    complete, cut = spells(hits)
    assume(len(set(complete)) > 1)
    every = np.array(complete + cut, dtype=float)

    def loglik(log_b: float) -> float:
        b = math.exp(log_b)
        a = (len(complete) / (every**b).sum()) ** (1.0 / b)
        return (
            len(complete) * (math.log(b) + b * math.log(a))
            + (b - 1.0) * float(np.log(complete).sum())
            - ((a * every) ** b).sum()
        )

    best = minimize_scalar(
        lambda t: -loglik(t), bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-10}
    )
    result = weibull_duration(hits=hits, **FEW)
    assume(0.05 < result.details["shape"] < 40.0)
    assert result.statistic == pytest.approx(2.0 * (-best.fun - loglik(0.0)), abs=1e-6)
    assert result.details["shape"] == pytest.approx(math.exp(best.x), rel=1e-3)


def test_gmm_polynomials_are_orthonormal_for_the_geometric_law():
    # With one waiting time, J(k) - J(k - 1) is the k-th polynomial squared; its geometric mean is 1.
    p, longest = 0.3, 200
    days = np.stack([np.ones(longest, dtype=np.int64), np.arange(2, longest + 2)], axis=1)
    law = p * (1.0 - p) ** np.arange(longest)
    x = np.full(longest, 2)
    for moments in range(1, 6):
        mean = float((law * gmm_statistic(days, x, p, moments)).sum())
        assert mean == pytest.approx(moments, rel=1e-8)


def test_gmm_statistic_with_fifty_digits():
    with mpmath.workdps(50):
        beta, total = mpmath.mpf("0.1"), mpmath.mpf(0)
        tables = []
        for d in (1, 6, 6):
            before, current, row = mpmath.mpf(0), mpmath.mpf(1), []
            for j in range(3):
                slope = ((1 - beta) * (2 * j + 1) + beta * (j - d + 1)) / ((j + 1) * mpmath.sqrt(1 - beta))
                before, current = current, slope * current - mpmath.mpf(j) / (j + 1) * before
                row.append(current)
            tables.append(row)
        for column in zip(*tables, strict=True):
            total += sum(column) ** 2 / 3
    assert gmm_duration(p=0.1, **TOY, **FEW).statistic == pytest.approx(float(total), rel=1e-12)


def enumerated(n: int) -> list[tuple[int, ...]]:
    return [hits for hits in itertools.product((0, 1), repeat=n)]


def statistics_of(test, series, settings):
    """Statistic used for ranking, for each series: the limit p-value where degrees of freedom vary."""
    values = []
    for hits in series:
        result = test(hits=list(hits), p=0.2, draws=99, **settings)
        values.append(-result.p_asymptotic if test in (haas, haas_mixed) else result.statistic)
    return np.array(values)


@pytest.mark.parametrize(
    ("test", "settings", "least"),
    [(haas, {}, 1), (gmm_duration, {}, 2), (gmm_duration, {"hypothesis": "unconditional"}, 2)],
)
def test_simulated_p_value_agrees_with_the_enumeration_of_all_series(test, settings, least):
    series = [hits for hits in enumerated(9) if sum(hits) >= least]
    weights = np.array([0.2 ** sum(hits) * 0.8 ** (9 - sum(hits)) for hits in series])
    values = statistics_of(test, series, settings)
    for hits in ((0, 0, 1, 1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, 0, 0, 1, 1)):
        result = test(hits=list(hits), p=0.2, draws=39_999, **settings)
        at_least = values >= values[series.index(hits)] - 1e-9
        exact = weights[at_least].sum() / weights.sum()
        assert abs(result.p_exact - exact) < 4.0 * result.p_exact_se + 1e-12


@pytest.mark.parametrize(
    ("test", "settings"), [(weibull_duration, {}), (gmm_duration, {"hypothesis": "independence"})]
)
def test_permutation_p_value_agrees_with_the_enumeration_of_all_arrangements(test, settings):
    hits = (0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0)
    days = np.array(list(itertools.combinations(range(1, 13), 4)))
    x = np.full(len(days), 4)
    weibull = test is weibull_duration
    values = weibull_fit(days, x, 12)[1] if weibull else gmm_statistic(days, x, None, 3)
    result = test(hits=list(hits), draws=39_999, **settings)
    exact = (values >= result.statistic - 1e-9).mean()
    assert abs(result.p_exact - exact) < 4.0 * result.p_exact_se + 1e-12
    assert math.isnan(result.p) and "given x" in result.p_exact_kind


def test_durations_and_series_give_the_same_result():
    hits = [0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    for test, settings in EVERY_TEST:
        by_series = test(hits=hits, p=0.1, **settings, **FEW)
        assert by_series == test(p=0.1, **TOY, **settings, **FEW)
        assert by_series == test(hits=HitSeries(hits=hits, p=0.1), **settings, **FEW)
        assert by_series != test(n=20, durations=[3, 1, 6, 5], p=0.1, **settings, **FEW)


@pytest.mark.parametrize(("test", "settings"), EVERY_TEST)
def test_no_hit_is_not_evaluable(test, settings):
    result = test(hits=[0] * 30, p=0.05, **settings, **FEW)
    assert result.decision == result.decision_exact == "not_evaluable"
    assert math.isnan(result.statistic) and math.isnan(result.p_exact)
    assert any("cannot be evaluated" in text for text in result.warnings)
    assert result == test(n=30, durations=[], p=0.05, **settings, **FEW)


def test_mixed_test_without_a_hit_rejects_on_coverage_alone():
    result = haas_mixed(n=1000, durations=[], p=0.01, **FEW)
    assert (result.decision, result.df) == ("rejected", 1)
    assert result.statistic == pytest.approx(kupiec(n=1000, x=0, p=0.01).statistic, rel=1e-12)
    assert "Note: rejected on coverage alone" in result.warnings
    assert result.p_exact < 0.05


@pytest.mark.parametrize(
    ("test", "settings", "decision"),
    [
        (haas, {}, "rejected"),
        (haas_mixed, {}, "rejected"),
        (weibull_duration, {}, "not_evaluable"),
        (gmm_duration, {}, "rejected"),
        (gmm_duration, {"hypothesis": "independence"}, "not_evaluable"),
        (gmm_duration, {"hypothesis": "unconditional"}, "rejected"),
    ],
)
def test_nothing_but_hits(test, settings, decision):
    result = test(hits=[1] * 60, p=0.01, **settings, **FEW)
    assert result.decision == decision
    assert decision == "not_evaluable" or result.p_exact == 0.01


@pytest.mark.parametrize(
    ("test", "settings", "decision"),
    [
        (haas, {}, "not_rejected"),
        (haas_mixed, {}, "not_rejected"),
        (weibull_duration, {}, "not_evaluable"),
        (gmm_duration, {}, "not_evaluable"),
        (gmm_duration, {"hypothesis": "independence"}, "not_evaluable"),
    ],
)
@pytest.mark.parametrize("day", [0, 40, 99])
def test_one_hit(test, settings, decision, day):
    hits = [0] * 100
    hits[day] = 1
    result = test(hits=hits, p=0.01, **settings, **FEW)
    if day == 40 or decision == "not_evaluable":
        assert result.decision == decision


def test_two_waiting_times_of_which_one_is_complete_are_enough_for_weibull():
    assert weibull_duration(hits=[1, 0, 0, 0, 1], **FEW).decision == "not_evaluable"
    assert weibull_duration(hits=[1, 0, 1, 0, 0, 0], **FEW).decision == "not_rejected"
    assert weibull_duration(hits=[1] * 3 + [0] * 40, **FEW).details["shape"] < 1.0


def test_hits_at_one_distance_are_decided_by_simulation():
    result = weibull_duration(hits=([0] * 9 + [1]) * 12, draws=999)
    assert math.isinf(result.statistic) and math.isnan(result.p_asymptotic)
    assert (result.decision, result.decided_by) == ("rejected", "exact")
    assert any("likelihood has no maximum" in text for text in result.warnings)
    few = weibull_duration(hits=[0, 0, 1, 0, 0, 0, 0, 1], draws=999)
    assert math.isinf(few.statistic) and few.decision == "not_rejected"
    assert isinstance(few.to_dict(), dict) and "Weibull" in repr(few)


def test_small_samples_are_flagged_and_a_different_simulated_verdict_is_noted():
    assert any("30 complete" in text for text in weibull_duration(**TOY, **FEW).warnings)
    rng = np.random.default_rng(5)
    for _ in range(200):
        result = haas(hits=rng.random(500) < 0.05, p=0.05, draws=199)
        if result.decision != result.decision_exact:
            assert "Note: the exact or simulated p-value decides otherwise" in result.warnings
            break
    else:
        pytest.fail("the limit law never erred")


@pytest.mark.parametrize(("test", "settings"), EVERY_TEST)
def test_overlapping_hits_are_tested_by_offset(test, settings):
    rng = np.random.default_rng(9)
    hits = HitSeries(hits=rng.random(400) < 0.08, p=0.05, horizon=2)
    with pytest.raises(ConventionError, match="the hits overlap"):
        test(hits=hits, **settings, **FEW)
    both = test(hits=hits, horizon=2, **settings, **FEW)
    assert isinstance(both, OffsetOutcomes) and len(both.outcomes) == 2
    for offset, outcome in enumerate(both.outcomes):
        alone = test(hits=hits.hits[offset::2], p=0.05, **settings, **FEW)
        assert (outcome.statistic, outcome.p_exact) == (alone.statistic, alone.p_exact)
        assert outcome.horizon == 2.0


@pytest.mark.parametrize(("test", "settings"), EVERY_TEST)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"durations": None}, ParameterError, "durations is not given; expected all of n, durations"),
        ({"n": None}, ParameterError, "n is not given; expected all of n, durations"),
        ({"n": None, "durations": None}, ParameterError, "neither counts nor hits are given"),
        ({"hits": [True]}, ParameterError, r"counts \(n, durations\) and hits are both given"),
        ({"n": 15}, ParameterError, "durations add up to 16, more than n = 15"),
        ({"n": 0}, ParameterError, "n is 0"),
        ({"n": 10**8}, ParameterError, "n is 100000000"),
        ({"durations": [3, 0]}, SchemaError, r"durations\[1\] is 0; expected whole numbers of days"),
        ({"durations": [3, 1.5]}, SchemaError, r"durations\[1\] is 1.5"),
        ({"durations": [[3, 1]]}, SchemaError, "durations has 2 dimensions"),
        ({"durations": [3, math.nan]}, SchemaError, r"durations\[1\] is missing"),
        ({"horizon": 2}, ConventionError, "horizon=2 is given with counts"),
        ({"p": 0.99}, ConventionError, "looks like a level"),
        ({"p": 0.0}, ParameterError, "p is 0.0"),
        ({"alpha": 1.0}, ParameterError, "alpha is 1.0"),
        ({"draws": 10}, ParameterError, "draws is 10; expected 99 or more"),
        ({"seed": -1}, ParameterError, "seed is -1"),
    ],
)
def test_input_that_is_refused(test, settings, change, error, message):
    with pytest.raises(error, match=message):
        test(**(TOY | {"p": 0.1} | settings | change))


@pytest.mark.parametrize(("test", "settings"), EVERY_TEST)
def test_series_that_are_refused(test, settings):
    with pytest.raises(SchemaError, match=r"hits\[1\] is missing"):
        test(hits=[0.0, math.nan], p=0.01, **settings)
    with pytest.raises(DataGapError, match="hits is empty"):
        test(hits=[], p=0.01, **settings)
    with pytest.raises(ConventionError, match=r"p is 0.05 and the hits are against a VaR with p = 0.01"):
        test(hits=HitSeries(hits=[True, False], p=0.01), p=0.05, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hypothesis": "both"}, "hypothesis is 'both'"),
        ({"moments": 0}, "moments is 0 for hypothesis 'conditional'; expected 1 to 20"),
        ({"moments": 21}, "moments is 21"),
        ({"moments": 1, "hypothesis": "independence"}, "moments is 1 .* expected 2 to 20"),
        ({"moments": 3, "hypothesis": "unconditional"}, "moments is 3 .* expected 1"),
    ],
)
def test_moments_that_are_refused(settings, message):
    with pytest.raises(ParameterError, match=message):
        gmm_duration(p=0.1, **TOY, **settings)


@pytest.mark.parametrize("test", [haas, haas_mixed, gmm_duration])
def test_p_is_needed_where_it_is_tested(test):
    with pytest.raises(ParameterError, match="p is None"):
        test(**TOY)
