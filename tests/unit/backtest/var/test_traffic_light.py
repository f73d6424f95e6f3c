"""The Basel traffic light: the published table, zone ends, power, and no extrapolated multiplier."""

from __future__ import annotations

import itertools
import math

import pytest
from scipy.stats import binom

from pmkit.backtest import HitSeries
from pmkit.backtest.var_tests import BaselOutcome, basel_multiplier, basel_zone, basel_zone_limits
from pmkit.core.errors import ParameterError

TABLE = [
    (0, "0.081059", "0.081059", "1.000000"),
    (1, "0.204693", "0.285752", "0.918941"),
    (2, "0.257417", "0.543169", "0.714248"),
    (3, "0.214948", "0.758117", "0.456831"),
    (4, "0.134071", "0.892188", "0.241883"),
    (5, "0.066629", "0.958817", "0.107812"),
    (6, "0.027482", "0.986299", "0.041183"),
    (7, "0.009676", "0.995975", "0.013701"),
    (8, "0.002969", "0.998943", "0.004025"),
    (9, "0.000806", "0.999750", "0.001057"),
    (10, "0.000196", "0.999946", "0.000250"),
]


@pytest.mark.parametrize(("x", "point", "cumulative", "tail"), TABLE)
def test_published_table_of_250_days_at_99_per_cent(x, point, cumulative, tail):
    light = basel_zone(n=250, x=x, p=0.01)
    assert (f"{light.cumulative:.6f}", f"{light.p_exact:.6f}") == (cumulative, tail)
    before = basel_zone(n=250, x=x - 1, p=0.01).cumulative if x else 0.0
    assert f"{light.cumulative - before:.6f}" == point
    assert light.details["type_one_error"] == light.p_exact
    assert light.zone == ("green" if x <= 4 else "yellow" if x <= 9 else "red")


@pytest.mark.parametrize(
    ("n", "p", "green", "yellow"),
    [(125, 0.01, 2, 6), (250, 0.01, 4, 9), (500, 0.01, 8, 14), (750, 0.01, 11, 19), (1000, 0.01, 14, 23)]
    + [
        (1250, 0.01, 18, 26),
        (2500, 0.01, 32, 44),
        (250, 0.005, 2, 6),
        (250, 0.025, 10, 16),
        (250, 0.05, 17, 26),
    ],
)
def test_zone_ends(n, p, green, yellow):
    limits = basel_zone_limits(n, p)
    assert (limits.green, limits.yellow) == (green, yellow)
    zones = [basel_zone(n=n, x=x, p=p).zone for x in (green, green + 1, yellow, yellow + 1)]
    assert zones == ["green", "yellow", "yellow", "red"]


@pytest.mark.parametrize(
    ("true_p", "green", "yellow", "red"),
    [(0.015, 0.6779, 0.3171, 0.0049), (0.02, 0.4387, 0.5309, 0.0304), (0.03, 0.1282, 0.6508, 0.2210)]
    + [(0.04, 0.0270, 0.4284, 0.5446), (0.05, 0.0046, 0.1900, 0.8054)],
)
def test_power_of_the_light(true_p, green, yellow, red):
    limits = basel_zone_limits(250, 0.01)
    ends = [0.0, *(float(binom.cdf(limit, 250, true_p)) for limit in limits), 1.0]
    found = [round(high - low, 4) for low, high in itertools.pairwise(ends)]
    assert found == [green, yellow, red]


def test_published_lights_of_other_lengths():
    light = basel_zone(n=1043, x=57, p=0.05)
    assert (f"{light.cumulative:.5f}", f"{light.p_exact:.5f}", light.zone) == ("0.77913", "0.26396", "green")
    light = basel_zone(n=250, x=40, p=0.10)
    assert (f"{light.cumulative:.6f}", light.zone) == ("0.998869", "yellow")
    light = basel_zone(n=250, x=4, p=0.025)
    assert (f"{light.cumulative:.4f}", light.zone) == ("0.2495", "green")


def test_multipliers_of_both_rule_books():
    assert [basel_multiplier(x) for x in range(12)] == [3.0] * 5 + [3.4, 3.5, 3.65, 3.75, 3.85, 4.0, 4.0]
    assert [basel_multiplier(x, rules="frtb") for x in range(12)] == [1.5] * 5 + [
        1.7,
        1.76,
        1.83,
        1.88,
        1.92,
        2.0,
        2.0,
    ]
    light = basel_zone(n=250, x=7, p=1.0 - 0.99)
    assert (light.multiplier_1996, light.addon_1996) == (3.65, 0.65)
    assert (light.multiplier_frtb, light.addon_frtb) == (1.83, 0.33)
    assert "multiplier" in repr(light) and "3.65 (1996), 1.83 (FRTB)" in repr(light)


@pytest.mark.parametrize(("n", "p"), [(251, 0.01), (250, 0.025), (1000, 0.01)])
def test_multipliers_are_not_extrapolated(n, p):
    light = basel_zone(n=n, x=7, p=p)
    assert light.multiplier_1996 is light.multiplier_frtb is light.addon_1996 is light.addon_frtb is None
    assert light.warnings == ("Note: no multiplier, because it is tabulated for n = 250 and p = 0.01 only",)
    with pytest.raises(
        ParameterError, match=r"expected n = 250 and p = 0.01, for which multipliers are tabulated"
    ):
        basel_multiplier(7, n, p)


def test_decision_is_the_one_sided_test_and_not_the_zone():
    five, six = basel_zone(n=250, x=5, p=0.01), basel_zone(n=250, x=6, p=0.01)
    assert (five.zone, five.decision, six.zone, six.decision) == (
        "yellow",
        "not_rejected",
        "yellow",
        "rejected",
    )
    assert five.critical_value == six.critical_value == 6.0
    assert basel_zone(n=250, x=0, p=0.01).decision == "not_rejected"


def test_so_few_days_that_no_count_is_green():
    light = basel_zone(n=5, x=0, p=0.01)
    assert (light.zone, light.decision) == ("not_evaluable", "not_evaluable")
    assert (
        light.warnings[0]
        == "SmallSampleWarning: 5 observations at p = 0.01 are so few that no count is green"
    )
    with pytest.raises(
        ParameterError, match=r"n is 5 at p = 0.01: no count is green.*use 6 observations or more"
    ):
        basel_zone_limits(5, 0.01)
    assert basel_zone_limits(6, 0.01).green == 0
    assert basel_zone(n=6, x=0, p=0.01).zone == "green"


def test_light_from_a_series_and_in_frames():
    light = basel_zone(hits=HitSeries(hits=[True] * 10 + [False] * 240, p=0.01))
    assert isinstance(light, BaselOutcome) and light.zone == "red"
    assert light.summary()["zone"].item() == "red"
    assert light.to_frame()["multiplier_1996"].item() == 4.0
    assert light.to_dict()["zone"] == "red" and light.to_dict()["p_asymptotic"] is None
    assert math.isnan(light.p_asymptotic)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": 251}, "x is 251, more than n = 250"),
        ({"x": 5, "rules": "2019"}, "rules is '2019'"),
        ({"x": -1}, "x is -1"),
    ],
)
def test_multiplier_arguments_that_are_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        basel_multiplier(**arguments)
