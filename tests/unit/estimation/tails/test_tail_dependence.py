"""Tail dependence: table values, quadrature, independence, the coins of 2020-2023, bad input."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.estimation import t_tail_dependence, tail_dependence
from pmkit.estimation.tails.tail_dependence import normal_joint_tail
from pmkit.market import load_history


def test_table_of_the_t_copula() -> None:
    expected = [
        [0.0577, 0.1817, 0.3910, 0.7177],
        [0.0117, 0.0756, 0.2532, 0.6298],
        [0.0001, 0.0069, 0.0819, 0.4627],
    ]
    table = t_tail_dependence([-0.5, 0.0, 0.5, 0.9], np.array([[2.0], [4.0], [10.0]]))
    np.testing.assert_allclose(table, expected, atol=5e-5)
    assert float(t_tail_dependence(0.445731, 3.913316)) == pytest.approx(0.229252, abs=1e-6)


def test_limits_of_the_t_copula() -> None:
    assert t_tail_dependence([1.0, -1.0], 3.0).tolist() == [1.0, 0.0]
    assert t_tail_dependence([0.9, 1.0], math.inf).tolist() == [0.0, 1.0]
    assert np.isnan(t_tail_dependence(math.nan, 3.0))
    with pytest.raises(ParameterError, match="-1 <= rho <= 1"):
        t_tail_dependence(1.2, 3.0)


def test_t_tail_against_an_integral() -> None:
    """The coefficient as a tail probability of the t law, by quadrature of its density."""
    nu, rho = 4.5, 0.3
    at = -math.sqrt((nu + 1) * (1 - rho) / (1 + rho))
    df = nu + 1

    def density(x: Any) -> Any:
        return (
            mpmath.gamma((df + 1) / 2)
            / mpmath.sqrt(df * mpmath.pi)
            / mpmath.gamma(df / 2)
            * (1 + x * x / df) ** (-(df + 1) / 2)
        )

    expected = float(2 * mpmath.quad(density, [-mpmath.inf, at]))
    assert float(t_tail_dependence(rho, nu)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.3, 0.95])
def test_normal_joint_tail_against_scipy(rho: float) -> None:
    at = norm.ppf(0.03)
    expected = multivariate_normal.cdf([at, at], cov=[[1.0, rho], [rho, 1.0]]) / 0.03
    assert float(normal_joint_tail(rho, 0.03)) == pytest.approx(float(expected), abs=1e-7)


def test_simulated_t_is_measured_and_normal_is_not_mistaken_for_it() -> None:
    generator = stream(5, "tails")
    z = generator.standard_normal((8000, 2))
    x = np.column_stack([z[:, 0], 0.5 * z[:, 0] + math.sqrt(0.75) * z[:, 1]])
    heavy = x / np.sqrt(generator.chisquare(2.5, 8000) / 2.5)[:, None]
    light = tail_dependence(pd.DataFrame(0.01 * x, columns=["A", "B"]), replicates=50)
    strong = tail_dependence(pd.DataFrame(0.005 * heavy, columns=["A", "B"]), replicates=50)
    a, se, n = (float(m.loc["A", "B"]) for m in (light.coefficient, light.std_error, light.normal))
    assert abs(a - n) < 3 * se
    b, se, n = (float(m.loc["A", "B"]) for m in (strong.coefficient, strong.std_error, strong.normal))
    assert b - n > 4 * se
    strong.check()


def test_coins_crash_together_more_than_a_normal_copula_says() -> None:
    r = load_history("crypto-daily-2020-2023").returns(["BTC", "ETH", "LINK"])
    lower = tail_dependence(r, replicates=100)
    frame = lower.to_frame()
    assert lower.tail_rows == 73
    assert (frame["coefficient"] > frame["normal"] + 2 * frame["std_error"]).all()
    assert float(lower.coefficient.loc["BTC", "ETH"]) == pytest.approx(51 / 73, abs=1e-12)
    upper = tail_dependence(-r, tail="upper", replicates=100)
    np.testing.assert_array_equal(upper.coefficient, lower.coefficient)
    assert lower.plot().get_title() == "lower tail, share 0.05" and "object at" not in repr(lower)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"share": 0.05}, "leaves 5 in the tail"),
        ({"share": 0.5}, "share 0.5"),
        ({"share": 0.2, "tail": "both"}, "tail is 'both'"),
        ({"share": 0.2, "replicates": 0}, "replicates is 0"),
    ],
)
def test_bad_arguments(options: dict[str, Any], text: str) -> None:
    r = pd.DataFrame(0.01 * stream(1, "x").standard_normal((100, 2)))
    with pytest.raises(ParameterError, match=text):
        tail_dependence(r, **options)


def test_text_for_a_correlation_is_refused() -> None:
    with pytest.raises(ParameterError, match="rho is a str and nu a float"):
        t_tail_dependence("x", 3.0)
