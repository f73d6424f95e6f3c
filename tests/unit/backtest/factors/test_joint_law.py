"""Energy score and dependence of joint forecasts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from pmkit.backtest import energy_score, factor_dependence
from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream


def normal(seed: int, shape: tuple[int, ...], rho: float) -> np.ndarray:
    z = stream(seed, "joint").standard_normal((*shape, 2))
    return np.stack([z[..., 0], rho * z[..., 0] + math.sqrt(1.0 - rho**2) * z[..., 1]], axis=-1)


def test_energy_score_by_all_pairs() -> None:
    drawn, came = normal(1, (4, 30), 0.3), normal(2, (4,), 0.3)
    for date, value in enumerate(energy_score(drawn, came)):
        cloud = drawn[date]
        near = np.linalg.norm(cloud - came[date], axis=1).mean()
        spread = cdist(cloud, cloud).sum() / (30 * 29)
        assert value == pytest.approx(near - spread / 2.0, rel=1e-12)


def test_energy_score_in_one_dimension_is_the_ranked_probability_score() -> None:
    drawn = stream(3, "crps").standard_normal((1, 4_000, 1))
    # closed form of the normal law at 0.7
    expected = (
        0.7 * (2.0 * 0.758036347776927 - 1.0)
        + 2.0 * math.exp(-0.245) / math.sqrt(2 * math.pi)
        - 1 / math.sqrt(math.pi)
    )
    assert energy_score(drawn, [[0.7]])[0] == pytest.approx(expected, abs=0.03)


def test_the_right_joint_law_has_the_best_energy_score() -> None:
    came = normal(4, (800,), 0.9)
    right, wrong = (energy_score(normal(5, (800, 40), rho), came).mean() for rho in (0.9, -0.9))
    assert right < wrong


def test_dependence_has_its_size_and_sees_the_wrong_sign() -> None:
    runs, rejected = 120, 0
    for run in range(runs):
        came = normal(100 + run, (250,), 0.6)
        rejected += (
            factor_dependence(normal(10_000 + run, (250, 60), 0.6), came)["decision"].iloc[0] == "rejected"
        )
    assert rejected / runs < 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    wrong = factor_dependence(normal(7, (250, 60), 0.2), normal(8, (250,), 0.6), names=["spot", "vol"])
    assert wrong.loc["spot / vol", "decision"] == "rejected"
    assert wrong.loc["spot / vol", "came"] > wrong.loc["spot / vol", "forecast"]


def test_margins_do_not_matter() -> None:
    drawn, came = normal(9, (60, 50), 0.4), normal(10, (60,), 0.4)
    plain, bent = factor_dependence(drawn, came), factor_dependence(np.exp(3.0 * drawn), np.exp(3.0 * came))
    np.testing.assert_array_equal(plain["statistic"], bent["statistic"])


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (SchemaError, "dates, draws, factors", lambda: energy_score(np.ones((2, 2)), np.ones((2, 2)))),
        (SchemaError, "dates, draws, factors", lambda: energy_score(np.ones((2, 1, 2)), np.ones((2, 2)))),
        (DataGapError, r"outcomes\[1, 0\]", lambda: energy_score(np.ones((2, 2, 1)), [[1.0], [np.nan]])),
        (SchemaError, "20 dates", lambda: factor_dependence(normal(1, (9, 9), 0.0), normal(1, (9,), 0.0))),
        (
            ParameterError,
            "lags is -1",
            lambda: factor_dependence(normal(1, (30, 9), 0.0), normal(1, (30,), 0.0), lags=-1),
        ),
    ],
)
def test_bad_input_is_named(error: type[Exception], message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_factor_that_does_not_move_has_no_dependence() -> None:
    """A constant basis on both sides: nothing to judge, where the order of the draws would say 1."""
    drawn, came = normal(11, (40, 30), 0.5), normal(12, (40,), 0.5)
    flat = np.concatenate([drawn, np.zeros((40, 30, 2))], axis=2)
    found = factor_dependence(flat, np.concatenate([came, np.zeros((40, 2))], axis=1))
    assert found.loc["factor 2 / factor 3", "forecast"] == 0.0
    assert found.loc["factor 2 / factor 3", "decision"] == "not_evaluable"
    assert found.loc["factor 0 / factor 2", "decision"] == "not_evaluable"
    pd.testing.assert_series_equal(
        found.loc["factor 0 / factor 1"], factor_dependence(drawn, came).loc["factor 0 / factor 1"]
    )


def test_names_that_are_equal_would_hide_pairs() -> None:
    drawn, came = normal(13, (30, 9), 0.0), normal(14, (30,), 0.0)
    with pytest.raises(SchemaError, match="a name of its own"):
        factor_dependence(drawn, came, names=["spot", "spot"])
