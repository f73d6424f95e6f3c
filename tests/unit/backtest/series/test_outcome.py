"""The decision of an outcome follows from the number that decides; blocks of draws cover all of them once."""

import math

import numpy as np
import pytest

from pmkit.backtest.series.outcome import outcome
from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, blocks, exact_p, statistics_in_blocks


def _outcome(statistic, p_value, decided_by):
    return outcome(
        Sample(n=250, x=4, p=0.01, horizon=2.0, notes=("Note: not repeated",)),
        name="a test",
        h0="this",
        h1="that",
        sidedness="greater",
        statistic=statistic,
        distribution="chi2",
        df=1,
        critical_value=3.84,
        alpha=0.05,
        found=NO_SIMULATION if p_value is None else exact_p(p_value, "exact"),
        decided_by=decided_by,
        references=("kupiec1995",),
        details={},
    )


@pytest.mark.parametrize(
    ("statistic", "p_value", "decided_by", "decision"),
    [
        (4.0, 0.2, "asymptotic", "rejected"),
        (3.84, 0.01, "asymptotic", "not_rejected"),
        (math.nan, 0.01, "asymptotic", "not_evaluable"),
        (4.0, 0.2, "exact", "not_rejected"),
        (1.0, 0.05, "exact", "rejected"),
        (4.0, None, "exact", "not_evaluable"),
    ],
)
def test_decision_rests_on_the_p_value_named(statistic, p_value, decided_by, decision):
    result = _outcome(statistic, p_value, decided_by)
    assert result.decision == decision
    assert (result.n, result.x, result.p, result.horizon, result.n_effective) == (250, 4, 0.01, 2.0, 250)
    assert result.warnings == ()  # what the sample notes is for the test to pass on, in its own order


@pytest.mark.parametrize(
    ("draws", "numbers", "width"), [(10, 30, 10), (10, 5, 10), (99, 1_000_000, 7), (1, 1, 1)]
)
def test_blocks_cover_every_draw_once(draws, numbers, width):
    rows = [row for part in blocks(draws, numbers, width) for row in range(part.start, part.stop)]
    assert rows == list(range(draws))
    assert max(part.stop - part.start for part in blocks(draws, numbers, width)) <= max(1, numbers // width)
    assert statistics_in_blocks(draws, numbers, width, np.zeros).shape == (draws,)
