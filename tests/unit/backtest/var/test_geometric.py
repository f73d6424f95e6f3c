"""Geometric duration: the climb against a plain likelihood, the null by counting, direction, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from pmkit.backtest import HitSeries
from pmkit.backtest.var.geometric import geometric_fit
from pmkit.backtest.var_tests import geometric_duration
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream


def plain(days: list[int], n: int, p: float | None) -> tuple[float, float]:
    """Shape and ratio by a walk through the days and a search without derivatives."""

    def cost(a: float, c: float) -> float:
        total, age, known = 0.0, 1, False
        for day in range(1, n + 1):
            hazard = np.exp(a) * age**c
            if day in days:
                total += np.log(hazard) if known else 0.0
                age, known = 1, True
            elif hazard >= 1.0:
                return 1e9
            else:
                total += np.log1p(-hazard)
                age += 1
        return -total

    free = {"method": "Nelder-Mead", "options": {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 9_999}}
    best = minimize(lambda t: cost(*t), [np.log(0.1), 0.0], **free)
    null = minimize(lambda t: cost(t[0], 0.0), [np.log(0.1)], **free).fun if p is None else cost(np.log(p), 0)
    return 1.0 + best.x[1], 2.0 * (null - best.fun)


@pytest.mark.parametrize("p", [None, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_climb_ends_where_a_search_does(seed, p):
    days = np.sort(stream(seed, "days").choice(np.arange(1, 61), 6, replace=False))
    shape, ratio = geometric_fit(days[None, :], np.array([6]), 60, p)
    expected = plain(list(days), 60, p)
    assert shape[0] == pytest.approx(expected[0], abs=1e-5)
    assert ratio[0] == pytest.approx(expected[1], abs=1e-8)


def test_rows_do_not_meet_each_other():
    days = np.array([[3, 4, 10, 16], [1, 2, 3, 20], [5, 15, 0, 0]])
    count = np.array([4, 4, 2])
    together = geometric_fit(days, count, 20, None)
    for row in range(3):
        alone = geometric_fit(days[row : row + 1, : count[row]], count[row : row + 1], 20, None)
        assert [alone[0][0], alone[1][0]] == pytest.approx([together[0][row], together[1][row]], rel=1e-6)


def test_clusters_have_a_falling_hazard_and_a_clock_a_rising_one():
    clumps = np.zeros(600, dtype=bool)
    clumps[[50, 51, 53, 54, 300, 301, 303, 304, 500, 502, 503]] = True
    clock = np.zeros(600, dtype=bool)
    clock[np.arange(20, 600, 45)] = True
    falls, rises = (geometric_duration(hits=HitSeries(hits=h, p=0.02), draws=199) for h in (clumps, clock))
    assert falls.decision_exact == rises.decision_exact == "rejected"
    assert falls.details["shape"] < 0.7 and rises.details["shape"] > 2.0


def test_the_conditional_test_sees_the_number_as_well():
    many = stream(4, "many").random(500) < 0.06
    series = HitSeries(hits=many, p=0.01)
    alone = geometric_duration(hits=series, draws=199)
    joint = geometric_duration(hits=series, hypothesis="conditional", draws=199)
    assert alone.decision_exact == "not_rejected" and joint.decision_exact == "rejected"
    assert (alone.df, joint.df) == (1, 2) and joint.statistic > alone.statistic


def test_durations_say_the_same_as_days():
    hits = np.zeros(20, dtype=bool)
    hits[[2, 3, 9, 15]] = True
    by_days = geometric_duration(hits=hits, draws=99)
    by_durations = geometric_duration(n=20, durations=[3, 1, 6, 6], draws=99)
    assert by_days.statistic == by_durations.statistic and by_days.p_exact == by_durations.p_exact


def test_too_few_hits_and_a_foreign_hypothesis():
    for x in (0, 1, 30):
        hits = np.arange(30) < x
        found = geometric_duration(hits=hits, draws=99)
        assert found.decision == "not_evaluable" and "cannot be evaluated" in " ".join(found.warnings)
    with pytest.raises(ParameterError, match="hypothesis is 'both'"):
        geometric_duration(hits=[True, False, True], hypothesis="both")
