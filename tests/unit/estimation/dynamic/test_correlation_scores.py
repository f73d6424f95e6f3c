"""Out-of-sample scores: losses by hand, the error of a difference, and no knowledge of scored days."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.estimation import CorrelationModel, fit_correlation, score_correlation
from pmkit.estimation.dynamic.dcc_errors import newey_west


@pytest.fixture(scope="module")
def moving() -> pd.DataFrame:
    """Simulated residuals whose correlation moves."""
    S = 0.5 * np.eye(3) + 0.5
    seed = pd.DataFrame(np.ones((1, 3)), columns=list("abc"))
    known = CorrelationModel.from_parameters({"a": 0.08, "b": 0.90}, seed, "cdcc", S)
    z = known.simulate(1500, draws=stream(21, "scores").standard_normal((1, 1500, 3)))[0]
    return pd.DataFrame(z, index=pd.date_range("2017-01-01", periods=1500), columns=list("abc"))


def test_losses_by_hand(moving: pd.DataFrame) -> None:
    scores = score_correlation(moving, ["ccc", "dcc"], train=1000)
    assert scores.losses.shape == (500, 6) and scores.losses.index[0] == moving.index[1000]
    fit = fit_correlation(moving.iloc[:1000], "dcc", covariance=False)
    path = fit.filter(moving).correlation_path()
    for day in (1000, 1249, 1250, 1499):
        R, z = path[day], moving.to_numpy()[day]
        qlike = np.linalg.slogdet(R)[1] + z @ np.linalg.solve(R, z) - z @ z
        squared = np.mean([(R[i, j] - z[i] * z[j]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2))])
        at = moving.index[day]
        assert scores.losses.loc[at, ("dcc", "qlike")] == pytest.approx(qlike, rel=1e-10)
        assert scores.losses.loc[at, ("dcc", "frobenius")] == pytest.approx(squared, rel=1e-10)
    scores.check()


def test_moving_correlation_beats_the_constant_one(moving: pd.DataFrame) -> None:
    scores = score_correlation(moving, ["cdcc"], train=700, refit_every=400, baseline="ccc")
    table = scores.table.set_index(["model", "loss"])
    assert table.loc[("cdcc", "qlike"), "difference"] < 0.0
    assert table.loc[("cdcc", "qlike"), "t"] < -2.0 and table.loc[("cdcc", "qlike"), "p_value"] < 0.05
    assert math.isnan(table.loc[("ccc", "qlike"), "t"]) and table.loc[("ccc", "qlike"), "difference"] == 0.0
    assert scores.parameters.query("model == 'cdcc'")["rows"].tolist() == [700, 1100]
    gap = (scores.losses[("cdcc", "qlike")] - scores.losses[("ccc", "qlike")]).to_numpy()
    centred = gap - gap.mean()
    expected = centred @ centred
    for lag in range(1, scores.lags + 1):
        expected += 2.0 * (1.0 - lag / (scores.lags + 1)) * (centred[lag:] @ centred[:-lag])
    error = math.sqrt(expected) / len(gap)
    assert table.loc[("cdcc", "qlike"), "std_error"] == pytest.approx(error, rel=1e-10)
    assert scores.lags == int(4 * 8 ** (2 / 9))


def test_scored_days_do_not_move_the_fits(moving: pd.DataFrame) -> None:
    later = moving.copy()
    later.iloc[1300:] *= -1.2
    one = score_correlation(moving, ["cdcc"], train=1000, refit_every=150)
    two = score_correlation(later, ["cdcc"], train=1000, refit_every=150)
    assert one.losses.iloc[:300].equals(two.losses.iloc[:300])
    assert not one.losses.iloc[300:].equals(two.losses.iloc[300:])


def test_display(moving: pd.DataFrame) -> None:
    scores = score_correlation(moving, ["ccc"], train=1400)
    assert "ewma" in repr(scores) and json.dumps(scores.to_dict())
    assert scores.cite() == ("diebold1995", "patton2009")
    assert "falling is better" in scores.plot().get_title()
    with pytest.raises(PmkitError, match="mean loss of ewma"):
        replace(scores, losses=2.0 * scores.losses).check()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"train": 1480}, DataGapError, "at least 30 rows after"),
        ({"train": 50}, DataGapError, "50 rows of residuals"),
        ({"train": 0}, ParameterError, "train is 0"),
        ({"train": 1000, "refit_every": 0}, ParameterError, "refit_every is 0"),
        ({"train": 1000, "lags": -1}, ParameterError, "lags is -1"),
        ({"train": 1000, "models": ["garch"]}, ParameterError, "model is 'garch'"),
        ({"train": 1000, "baseline": "best"}, ParameterError, "model is 'best'"),
    ],
)
def test_bad_arguments(moving: pd.DataFrame, given: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        score_correlation(moving, **given)


def test_newey_west_without_lags_is_the_sum_of_products() -> None:
    x = stream(3, "nw").standard_normal((50, 2))
    assert newey_west(x, 0) == pytest.approx(x.T @ x)
    assert np.linalg.eigvalsh(newey_west(x, 20))[0] > 0.0
