"""Covariance of all factors, and the conditional law: closed forms of two and three factors, properties."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    LookAheadError,
    ParameterError,
    SchemaError,
)
from pmkit.core.random import stream
from pmkit.scenarios import Factor, FactorCovariance, factor_covariance, factor_response
from pmkit.scenarios.draws import factor_moves

A, B, C = Factor("spot", "A"), Factor("spot", "B"), Factor("vol", "A")


def law(matrix, factors=(A, B, C), **more) -> FactorCovariance:
    values = {"horizon_days": 1.0} | more
    return FactorCovariance(factors=tuple(factors), matrix=np.array(matrix, dtype=float), **values)


def three(s=(0.04, 0.05, 0.06), r=(0.8, -0.6, -0.5)) -> FactorCovariance:
    R = np.array([[1.0, r[0], r[1]], [r[0], 1.0, r[2]], [r[1], r[2], 1.0]])
    return law(R * np.outer(s, s))


def test_two_factors_in_closed_form() -> None:
    s, r = (0.04, 0.06), -0.7
    both = law([[s[0] ** 2, r * s[0] * s[1]], [r * s[0] * s[1], s[1] ** 2]], (A, C))
    found = both.conditional({"A": -0.3})
    assert found.expected.tolist() == pytest.approx([-0.3, -0.3 * r * s[1] / s[0]], rel=1e-14)
    assert found.sd.tolist() == pytest.approx([0.0, s[1] * math.sqrt(1 - r * r)], rel=1e-14)
    assert found.distance == pytest.approx(0.3 / 0.04, rel=1e-14)
    found.check()


def test_three_factors_in_closed_form() -> None:
    s, (ab, ac, bc) = (0.04, 0.05, 0.06), (0.8, -0.6, -0.5)
    found = three(s, (ab, ac, bc)).conditional({A: -0.1, "B spot": 0.02})
    za, zb, d = -0.1 / s[0], 0.02 / s[1], 1 - ab * ab
    mean = s[2] * ((ac - ab * bc) * za + (bc - ab * ac) * zb) / d
    left = s[2] * math.sqrt(1 - (ac * ac + bc * bc - 2 * ab * ac * bc) / d)
    assert found.expected[2] == pytest.approx(mean, rel=1e-13)
    assert found.sd[2] == pytest.approx(left, rel=1e-13)
    assert found.distance == pytest.approx(math.sqrt((za * za + zb * zb - 2 * ab * za * zb) / d), rel=1e-13)
    assert found.to_frame()["move is"].tolist() == ["given", "given", "expected"]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(-0.5, 0.5))
def test_given_moves_are_exact_and_the_rest_is_linear(seed: int, n: int, move: float) -> None:
    x = stream(seed, "law").standard_normal((n, n + 2)) * np.linspace(0.01, 0.5, n)[:, None]
    one = law(x @ x.T, [Factor("spot", f"U{i}") for i in range(n)])
    found, double = one.conditional({"U0": move}), one.conditional({"U0": 2.0 * move})
    assert found.expected[0] == move and found.sd[0] == 0.0
    assert np.allclose(double.expected, 2.0 * found.expected, rtol=1e-12, atol=1e-15)
    assert np.array_equal(double.sd, found.sd) and (found.sd <= one.sd * (1.0 + 1e-12)).all()
    all_given = one.conditional({f"U{i}": 0.1 * i for i in range(n)})
    assert all_given.expected.tolist() == [0.1 * i for i in range(n)] and not all_given.sd.any()
    # conditioning on what was expected anyway moves nothing further
    second = one.conditional({"U0": move, "U1": float(found.expected[1])})
    assert np.allclose(second.expected, found.expected, rtol=1e-7, atol=1e-10)


def test_units_do_not_matter() -> None:
    plain, scale = three(), np.array([1.0, 1e6, 1e-6])
    scaled = law(plain.matrix * np.outer(scale, scale))
    a, b = plain.conditional({"A": 0.1}), scaled.conditional({"A": 0.1})
    assert np.allclose(b.expected, a.expected * scale, rtol=1e-12) and np.allclose(
        b.sd, a.sd * scale, rtol=1e-12
    )


def test_scaled_by_time() -> None:
    ten = three().over(10.0)
    assert ten.horizon_days == 10.0 and np.allclose(ten.sd, three().sd * math.sqrt(10.0), rtol=1e-14)
    assert ten.conditional({"A": 0.1}).expected.tolist() == pytest.approx(
        three().conditional({"A": 0.1}).expected.tolist(), rel=1e-13
    )


def test_from_history_it_is_the_covariance_of_what_the_generator_draws(history, snapshot) -> None:
    """The same response drives factor_moves: its simulated normal moves have this covariance."""
    h, n = 2, 200_000
    base = factor_covariance(history, snapshot, horizon=h)
    S = history.returns().cov().to_numpy()
    z = stream(3, "check").standard_normal((n, h, 2)) @ np.linalg.cholesky(S).T
    sigma = np.broadcast_to(np.sqrt(np.diag(S)), z.shape)
    R01 = S[0, 1] / math.sqrt(S[0, 0] * S[1, 1])
    factors, shocks = factor_moves(
        {u: np.ascontiguousarray(z[:, :, i]) for i, u in enumerate(("BTC", "ETH"))},
        {u: np.ascontiguousarray(sigma[:, :, i]) for i, u in enumerate(("BTC", "ETH"))},
        snapshot, factor_response(), 7, bridge_correlation=R01,
    )  # fmt: skip
    assert factors == base.factors
    drawn = np.cov(shocks, rowvar=False)
    scale = np.outer(base.sd, base.sd)
    assert float(np.abs((drawn - base.matrix) / scale).max()) < 0.012
    base.check()


def test_vol_block_in_closed_form(history, snapshot) -> None:
    base, own = factor_covariance(history, snapshot, horizon=3), factor_response()
    frame, S = base.to_frame(), history.returns().cov()
    b, e = own.of("BTC"), own.of("ETH")
    assert frame.loc["BTC spot", "ETH spot"] == pytest.approx(3 * S.loc["BTC", "ETH"], rel=1e-12)
    assert frame.loc["BTC vol", "BTC spot"] == pytest.approx(3 * b.vol_slope * S.loc["BTC", "BTC"], rel=1e-12)
    between = 3 * (
        b.vol_slope * e.vol_slope * S.loc["BTC", "ETH"]
        + own.vol_residual_correlation * b.vol_residual_sd * e.vol_residual_sd
    )
    assert frame.loc["BTC vol", "ETH vol"] == pytest.approx(between, rel=1e-12)
    # given every spot, vol is expected by the response alone and keeps its residual
    found = base.conditional({"BTC": -0.2, "ETH": -0.3})
    i = base.factors.index(Factor("vol", "BTC"))
    assert found.expected[i] == pytest.approx(b.vol_slope * -0.2, rel=1e-10)
    assert found.sd[i] == pytest.approx(b.vol_residual_sd * math.sqrt(3.0), rel=1e-10)


def test_a_fixing_has_lived_for_its_own_days(history, snapshot) -> None:
    base = factor_covariance(history, snapshot, horizon=2)
    fixings = [f for f in base.factors if f.kind == "fixing" and f.underlying == "BTC"]
    frame, var = base.to_frame(), history.returns()["BTC"].var()
    assert len(fixings) == 3
    for f in fixings:
        assert frame.loc[f.label, f.label] == pytest.approx(snapshot.days(f.expiry) * var, rel=1e-12)
    with pytest.raises(ConventionError, match="a fixing inside its horizon"):
        base.over(5.0)


def test_given_covariance_is_reordered_by_name(history, snapshot) -> None:
    S = history.returns().cov()
    a = factor_covariance(S, snapshot, horizon=2)
    b = factor_covariance(S.loc[["ETH", "BTC"], ["ETH", "BTC"]], snapshot, horizon=2)
    assert np.array_equal(a.matrix, b.matrix) and math.isinf(a.n_independent)
    assert np.allclose(a.matrix, factor_covariance(history, snapshot, horizon=2).matrix, rtol=1e-10, atol=0.0)
    assert factor_covariance(history, snapshot, horizon=2).n_independent == 399 / 2


def test_an_old_history_warns(real_history, snapshot) -> None:
    with pytest.warns(HistoryEndsWarning, match="history ends 2022-12-31"):
        factor_covariance(real_history.until("2022-12-31"), snapshot)


def test_summary_and_plots() -> None:
    base = three()
    assert base.summary().loc["A vol", "correlation with A spot"] == pytest.approx(-0.6)
    assert base.plot().get_title() == "correlation of moves over 1 days"
    found = base.conditional({"A": -0.1})
    assert "2.5 standard deviations away" in repr(found)
    assert found.plot().get_xlabel() == "move, in standard deviations of the factor"
    assert found.cite() == ("kupiec1998",)


GOOD = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 0.01]]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: law([[1.0]]), SchemaError, r"shape \(1, 1\) for 3 factors"),
        (lambda: law([[1.0, math.nan], [math.nan, 1.0]], (A, B)), ParameterError, "not finite"),
        (lambda: law([[1.0, 0.5], [0.4, 1.0]], (A, B)), ParameterError, "not symmetric"),
        (lambda: law([[1.0, 2.0], [2.0, 1.0]], (A, B)), ParameterError, "eigenvalue -1"),
        (lambda: law(np.zeros((2, 2)), (A, B)), ParameterError, "without a positive variance"),
        (lambda: law(GOOD, horizon_days=0.0), ParameterError, "horizon_days is 0.0"),
        (lambda: law(GOOD, (A, A, C)), ParameterError, "factor A spot appears twice"),
        (lambda: law(GOOD).over(-1.0), ParameterError, "days is -1.0"),
        (lambda: law(GOOD).conditional({}), ParameterError, "no move is given"),
        (
            lambda: law(GOOD).conditional({"Z": 0.1}),
            DataGapError,
            "no factor 'Z' to move.*one of A spot, B spot, A vol",
        ),
        (lambda: law(GOOD).conditional({Factor("fx", "Z"): 0.1}), DataGapError, "no factor 'Z fx'"),
        (lambda: law(GOOD).conditional({"A": math.nan}), ParameterError, "move of A spot is nan"),
        (lambda: law(GOOD).conditional({"A": 0.1, A: 0.2}), ParameterError, "A spot is given twice"),
        (
            lambda: law([[1.0, 1.0], [1.0, 1.0]], (A, B)).conditional({"A": 0.1, "B": 0.1}),
            ParameterError,
            "collinear",
        ),
    ],
)
def test_bad_covariances_and_conditions(call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_bad_sources(history, snapshot) -> None:
    S = history.returns().cov()
    for call, error, text in (
        (lambda: factor_covariance(S.to_numpy(), snapshot), SchemaError, "label the matrix"),
        (lambda: factor_covariance(S.loc[["BTC"], ["BTC"]], snapshot), DataGapError, "has no ETH"),
        (lambda: factor_covariance(history, snapshot, horizon=0), ParameterError, "horizon is 0"),
        (lambda: factor_covariance(S, snapshot, horizon=1.5), ParameterError, "horizon is 1.5"),
        (lambda: factor_covariance(history, snapshot, underlyings=["SOL"]), Exception, "SOL"),
    ):
        with pytest.raises(error, match=text):
            call()
    early = pd.Timestamp("2023-06-01T00:00:00Z")
    from pmkit.market import MarketSnapshot

    with pytest.raises(LookAheadError, match="lies after the snapshot"):
        factor_covariance(history, MarketSnapshot.from_marks(early.isoformat(), {"BTC": 1.0}))
