"""Standard errors from independent scrambles, and how they fall with the paths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.market import MarketSnapshot
from pmkit.scenarios import (
    Convergence,
    Factor,
    FactorCovariance,
    ScenarioSet,
    convergence,
    grid,
    monte_carlo,
)

SNAP = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 1.0, "ETH": 1.0})
LAW = FactorCovariance(
    factors=(Factor("spot", "BTC"), Factor("spot", "ETH")),
    matrix=np.array([[1.6e-3, 1.4e-3], [1.4e-3, 2.5e-3]]),
    horizon_days=1.0,
)


def shortfall(scenarios: ScenarioSet) -> float:
    """Expected shortfall at 97.5 % of equal amounts of two normal log moves, which has a closed form."""
    loss = np.sort(-scenarios.shocks.sum(axis=1))
    worst = loss[-(len(loss) // 40) :]
    return float(np.add.reduce(worst) / len(worst))


def run(sampler, paths=(512, 2048, 8192), replicates: int = 16, antithetic: bool = True) -> Convergence:
    return convergence(
        lambda n, r: monte_carlo(
            LAW, SNAP, n_paths=n, replicate=r, sampler=sampler, antithetic=antithetic
        ),
        shortfall, paths, replicates=replicates, name="ES 97.5 %",
    )  # fmt: skip


def closed_form() -> float:
    from scipy.stats import norm

    z = norm.ppf(0.975)
    return math.sqrt(float(LAW.matrix.sum())) * norm.pdf(z) / 0.025


def test_sobol_is_unbiased_and_far_more_precise() -> None:
    sobol, pseudo = run("sobol"), run("pseudo", antithetic=False)
    exact = closed_form()
    frame = sobol.summary()
    # the discrete tail is biased by the size of a path, so compare the largest run only
    assert frame["mean"].iloc[-1] == pytest.approx(
        exact, abs=4.0 * frame["error of the mean"].iloc[-1] + 2e-5
    )
    assert sobol.error[-1] < pseudo.error[-1] / 4.0
    assert -1.2 < sobol.slope < -0.7 and -0.75 < pseudo.slope < -0.3
    sobol.check()


def test_error_is_the_spread_of_replicates() -> None:
    found = run("sobol", (256,), 8)
    assert found.error[0] == pytest.approx(np.std(found.values[0], ddof=1), rel=1e-15)
    assert math.isnan(found.slope)
    frame = found.to_frame()
    assert frame.shape == (8, 3) and frame["value"].tolist() == found.values[0].tolist()
    assert found.summary()["error of the mean"].iloc[0] == pytest.approx(found.error[0] / math.sqrt(8.0))


def test_plot_and_words() -> None:
    found = run("sobol", (256, 512), 4)
    axes = found.plot()
    assert axes.get_xlabel() == "paths" and axes.get_xscale() == "log"
    assert "ES 97.5 %; 4 replicates; error like paths^" in repr(found)
    assert found.cite() == ("owen1997",) and found.provenance.simulated


def test_replicates_repeat_to_the_bit() -> None:
    assert np.array_equal(run("sobol", (256,), 3).values, run("sobol", (256,), 3).values)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"paths": ()}, r"paths are \[\]"),
        ({"paths": (512, 256)}, "ascending whole numbers"),
        ({"paths": (0,)}, "ascending whole numbers"),
        ({"replicates": 1}, "replicates is 1"),
        ({"figure": lambda s: math.nan}, "the figure is nan at 4 paths, replicate 0"),
        ({"figure": lambda s: s.summary()}, "one finite number"),
    ],
)
def test_bad_convergence(changes, text: str) -> None:
    def one(n: int, replicate: int) -> ScenarioSet:
        return grid([0.01 * n], dynamics="sticky_strike")

    values = {"figure": shortfall, "paths": (4,), "replicates": 2} | changes
    with pytest.raises(ParameterError, match=text):
        convergence(one, values["figure"], values["paths"], replicates=values["replicates"])


def test_check_of_a_broken_result() -> None:
    broken = Convergence(name="x", paths=np.array([1.0]), values=np.array([[1.0, math.nan]]))
    with pytest.raises(PmkitError, match="x is not finite"):
        broken.check()
