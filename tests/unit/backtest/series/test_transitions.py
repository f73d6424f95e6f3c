"""Random transition counts follow the law that counting all arrangements gives."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from pmkit.backtest.series.transitions import draw_transitions, transition_statistic
from pmkit.backtest.var.pof import pof_statistic


def arrangements(n: int, x: int) -> Counter[tuple[int, ...]]:
    law: Counter[tuple[int, ...]] = Counter()
    for places in itertools.combinations(range(n), x):
        state = [int(day in places) for day in range(n)]
        pairs = list(itertools.pairwise(state))
        law[tuple(pairs.count(pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))] += 1
    return law


@pytest.mark.parametrize("x", [0, 1, 2, 5, 8, 9, 10])
def test_draws_follow_the_law_of_all_arrangements(x):
    n, draws = 10, 40_000
    drawn = draw_transitions(np.random.default_rng(3), n, np.full(draws, x))
    found = Counter(zip(*(cells.tolist() for cells in drawn), strict=True))
    law = arrangements(n, x)
    assert set(found) == set(law)
    total = law.total()
    for cells, ways in law.items():
        probability = ways / total
        error = (probability * (1 - probability) / draws) ** 0.5
        assert abs(found[cells] / draws - probability) <= 4.5 * error


def test_draws_of_mixed_numbers_of_hits_stay_consistent():
    x = np.arange(0, 51)
    n00, n01, n10, n11 = draw_transitions(np.random.default_rng(3), 50, x)
    assert (n00 + n01 + n10 + n11 == 49).all()
    assert np.isin(x - (n01 + n11), (0, 1)).all() and np.isin(x - (n10 + n11), (0, 1)).all()
    assert min(cells.min() for cells in (n00, n01, n10, n11)) == 0


@pytest.mark.parametrize(
    ("n", "p", "ind", "joint"), [(250, 0.01, 0.01398, 0.00817), (500, 0.01, 0.01485, 0.01679)]
)
def test_limit_laws_reject_a_correct_model_far_too_seldom_at_one_per_cent(n, p, ind, joint):
    rng = np.random.default_rng(8)
    x = rng.binomial(n, p, 100_000)
    independence = transition_statistic(*draw_transitions(rng, n, x))
    both = independence + pof_statistic(n, x, p)
    # The figures are sums over the exact law of x and of the runs of hits; four standard errors allowed.
    assert (independence > 3.841459).mean() == pytest.approx(ind, abs=4 * (ind / 1e5) ** 0.5)
    assert (both > 5.991465).mean() == pytest.approx(joint, abs=4 * (joint / 1e5) ** 0.5)


def test_statistic_is_zero_without_variation_and_exactly_at_independence():
    assert transition_statistic([9, 0, 3], [0, 0, 0], [0, 0, 1], [0, 7, 0]).tolist() == [0.0, 0.0, 0.0]
    assert float(transition_statistic(40, 20, 20, 10)) == pytest.approx(0.0, abs=1e-12)
