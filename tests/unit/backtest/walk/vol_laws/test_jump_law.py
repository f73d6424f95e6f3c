"""The self-exciting law: by hand, its mean reversion by simulation, its threshold and its decay."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import JumpVolLaw
from pmkit.backtest.walk.vol_laws.jump_law import _excitation
from pmkit.backtest.walk.vol_laws.vol_law import mean_decay
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.market import PriceHistory, load_history


def jump_vol_path(history, *, underlyings=None, seed=20260801, **numbers):
    """Return the path of the law with some numbers of its own."""
    return JumpVolLaw(**numbers).path(history, underlyings=underlyings, seed=seed)


@pytest.fixture(scope="module")
def crypto():
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


def one_fall(days: int = 60, at: int = 20, fall: float = -0.30) -> PriceHistory:
    """Return prices that stand still but for one fall."""
    moves = np.zeros(days)
    moves[at] = fall
    index = pd.date_range("2021-01-01", periods=days)
    return PriceHistory.from_frame(pd.DataFrame({"X": 100.0 * np.exp(np.cumsum(moves))}, index=index))


def test_the_path_follows_its_formula(crypto):
    """A plain twin for one underlying, from the formulas of the docstring."""
    path = jump_vol_path(crypto, underlyings=["BTC"], seed=5)
    returns = crypto.returns("BTC")["BTC"].to_numpy()
    days = returns.size + 1
    draw = math.sqrt(0.7) * stream(5, "jump law", "common").standard_normal(days)
    draw += math.sqrt(0.3) * stream(5, "jump law", "BTC").standard_normal(days)
    sizes = 0.5 * stream(5, "jump law sizes", "BTC").standard_exponential(days)
    level, x = 0.49, 0.3 / 0.7
    total, usual = 365 * 0.49, 365 * (1 + x)
    expected = []
    for t in range(days):
        if t:
            z = abs(returns[t - 1]) / math.sqrt(level / 365)
            rate = 0.3 * 0.1 * (1 + x) / 0.5
            arrival = 0.5 * math.erfc(-draw[t] / math.sqrt(2)) < 1 - math.exp(-rate)
            x = math.exp(-0.1) * x + max(z - 2, 0.0) + (sizes[t] if arrival else 0.0)
            total += 365 * returns[t - 1] ** 2
            level = total / (365 + t)
            usual += 1 + x
        reverted = 3 / 7 + (x - 3 / 7) * (1 - math.exp(-0.07 * 30)) / (0.07 * 30)
        expected.append(1.1 * math.sqrt(level * (1 + reverted) / (usual / (365 + t))))
    np.testing.assert_allclose(path.frame["BTC"], expected, rtol=1e-10)
    assert (path.skew["BTC"] == -0.2).all()


def test_without_returns_excitation_reverts_as_its_closed_form_says():
    """Mean of many paths of own jumps against x + (X - x) e^(-beta (1-n) t), at a rate that dates resolve."""
    beta, n, size, runs, days = 0.04, 0.4, 0.5, 1500, 60
    rest = n / (1 - n)
    draws = stream(1, "timing").standard_normal((runs, days))
    sizes = size * stream(1, "sizes").standard_exponential((runs, days))
    paths = np.array(
        [_excitation(np.zeros(days - 1), draws[i], sizes[i], beta, n * beta / size, 3.0) for i in range(runs)]
    )
    expected = rest + (3.0 - rest) * np.exp(-beta * (1 - n) * np.arange(days))
    assert np.abs(paths.mean(axis=0) - expected).max() < 0.12
    assert (paths[:, 30] > paths[:, 30].mean() * 1.5).mean() > 0.05  # clusters: some paths excite themselves


def test_vol_jumps_with_the_fall_and_decays_after_it():
    quiet = {"branching": 0.0, "premium": 1.0}
    vols = jump_vol_path(one_fall(), **quiet).frame["X"].to_numpy()
    assert (np.diff(vols[:20]) < 0.0).all()
    assert vols[20] > 1.5 * vols[19]
    after = vols[20:]
    assert (np.diff(after) < 0.0).all()
    same = jump_vol_path(one_fall(fall=0.30), **quiet).frame["X"].to_numpy()
    np.testing.assert_allclose(same, vols, rtol=1e-12)
    deaf = jump_vol_path(one_fall(), threshold=50.0, **quiet).frame["X"].to_numpy()
    assert deaf[20] < 1.2 * deaf[19]
    slow = jump_vol_path(one_fall(), decay=0.02, **quiet).frame["X"].to_numpy()
    assert slow[50] / slow[20] > after[30] / after[0]


def test_larger_falls_excite_more_and_excitation_is_shared_out_over_the_tenor():
    falls = [jump_vol_path(one_fall(fall=-s), branching=0.0).frame["X"].iloc[20] for s in (0.1, 0.2, 0.4)]
    assert falls[0] < falls[1] < falls[2]
    assert mean_decay(0.0) == 1.0
    assert mean_decay(1e-9) == pytest.approx(1 - 5e-10, rel=1e-15)
    assert mean_decay(2.0) == pytest.approx((1 - math.exp(-2)) / 2, rel=1e-15)


def test_own_jumps_of_the_coins_come_together(crypto):
    flat = pd.DataFrame(100.0, index=crypto.prices.index, columns=["BTC", "ETH"])
    still = PriceHistory.from_frame(flat)
    together, apart = (
        np.log(jump_vol_path(still, correlation=c, reaction=0.0).frame).diff().corr().iloc[0, 1]
        for c in (1.0, 0.0)
    )
    assert together > 0.3 > 0.15 > apart


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": -1.0}, "threshold is -1.0"),
        ({"reaction": math.inf}, "reaction is inf"),
        ({"decay": 0.0}, "decay is 0.0"),
        ({"branching": 1.0}, "branching is 1.0"),
        ({"mean_jump": 0.0}, "mean_jump is 0.0"),
        ({"smile_slope": 3.0}, "smile_slope is 3.0"),
        ({"prior_days": 0.0}, "prior_days is 0.0"),
    ],
)
def test_parameters_that_are_refused(crypto, arguments, message):
    with pytest.raises(ParameterError, match=message):
        jump_vol_path(crypto, **arguments)
