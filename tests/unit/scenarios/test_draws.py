"""Vol, basis and fixing factors: slopes, sizes, correlations, bridge, streams."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pmkit.core.random import stream
from pmkit.market import MarketSnapshot
from pmkit.scenarios import Factor, FactorResponse, factor_response
from pmkit.scenarios.draws import factor_moves

PATHS, DAYS = 40_000, 2


@pytest.fixture(scope="module")
def law() -> FactorResponse:
    return factor_response()


@pytest.fixture(scope="module")
def daily() -> dict[str, np.ndarray]:
    common = stream(1, "common").standard_normal((PATHS, DAYS))
    return {
        u: 0.03 * (0.8 * common + 0.6 * stream(1, u).standard_normal((PATHS, DAYS))) for u in ("BTC", "ETH")
    }


def moves(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse, **options
) -> dict[Factor, np.ndarray]:
    sigma = {u: np.full_like(x, 0.03) for u, x in daily.items()}
    factors, shocks = factor_moves(daily, sigma, snapshot, law, 7, **options)
    return dict(zip(factors, shocks.T, strict=True))


def test_kinds_of_factors(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    found = moves(daily, snapshot, law)
    kinds = [f.kind for f in found if f.underlying == "BTC"]
    assert kinds == ["spot", "vol", "fixing", "fixing", "fixing", "basis", "basis", "basis"]
    np.testing.assert_array_equal(found[Factor("spot", "BTC")], daily["BTC"].sum(axis=1))


def test_vol_has_slope_and_residual(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    found = moves(daily, snapshot, law)
    residual = {}
    for name in ("BTC", "ETH"):
        own = law.of(name)
        residual[name] = found[Factor("vol", name)] - own.vol_slope * found[Factor("spot", name)]
        assert residual[name].std() == pytest.approx(own.vol_residual_sd * math.sqrt(DAYS), rel=0.02)
        assert abs(np.corrcoef(residual[name], found[Factor("spot", name)])[0, 1]) < 0.02
        kurtosis = (residual[name] ** 4).mean() / (residual[name] ** 2).mean() ** 2
        # t with df 6.1 has kurtosis 3 + 6/2.1, and the sum of two independent days half of the excess
        assert kurtosis == pytest.approx(3 + 6 / (law.vol_residual_df - 4) / DAYS, abs=0.6)
    assert np.corrcoef(residual["BTC"], residual["ETH"])[0, 1] == pytest.approx(
        law.vol_residual_correlation, abs=0.02
    )


def test_basis_grows_with_tenor_and_decorrelates(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    found = moves(daily, snapshot, law)
    expiries = [f.expiry for f in found if f.kind == "basis" and f.underlying == "BTC"]
    own, spot = law.of("BTC"), found[Factor("spot", "BTC")]
    residual = []
    for expiry in expiries:
        scale = (snapshot.days(expiry) / 30.0) ** law.basis_power
        move = found[Factor("basis", "BTC", expiry)]
        residual.append(move / scale - own.basis_slope * spot)
        assert residual[-1].std() == pytest.approx(own.basis_residual_sd * math.sqrt(DAYS), rel=0.03)
    for a in range(3):
        for b in range(a):
            distance = math.log(snapshot.days(expiries[a]) / snapshot.days(expiries[b]))
            expected = math.exp(-law.basis_expiry_decay * distance)
            assert np.corrcoef(residual[a], residual[b])[0, 1] == pytest.approx(expected, abs=0.03)
    other = found[Factor("basis", "ETH", expiries[0])] - law.of("ETH").basis_slope * found[
        Factor("spot", "ETH")
    ] * law.basis_scale(snapshot.days(expiries[0]))
    assert np.corrcoef(residual[0], other)[0, 1] == pytest.approx(law.basis_residual_correlation, abs=0.03)


def test_fixing_is_a_bridge_between_closes(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    """18:00 plus 2, 14 and 38 hours: shares 1/12 and 7/12 of the first day and 7/12 of the second."""
    found = moves(daily, snapshot, law)
    first, second, third = (found[f] for f in found if f.kind == "fixing" and f.underlying == "BTC")
    r = daily["BTC"]
    near, far = first - r[:, 0] / 12, second - 7 * r[:, 0] / 12
    assert near.std() == pytest.approx(0.03 * math.sqrt(11) / 12, rel=0.02)
    assert far.std() == pytest.approx(0.03 * math.sqrt(35) / 12, rel=0.02)
    # covariance of a bridge at s < t is s (1 - t)
    assert np.mean(near * far) == pytest.approx(0.03**2 * 1 / 12 * 5 / 12, rel=0.08)
    assert abs(np.corrcoef(near, r[:, 0])[0, 1]) < 0.02
    late = third - r[:, 0] - 7 * r[:, 1] / 12
    assert late.std() == pytest.approx(0.03 * math.sqrt(35) / 12, rel=0.02)
    # the path as a whole is a random walk: variance grows with time (daily variance 0.03^2)
    assert second.var() == pytest.approx(0.03**2 * 7 / 12, rel=0.03)


def test_bridges_share_what_spots_share(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    found = moves(daily, snapshot, law, bridge_correlation=0.64)
    btc, eth = ([found[f] for f in found if f.kind == "fixing" and f.underlying == u][1] for u in daily)
    assert np.corrcoef(btc, eth)[0, 1] == pytest.approx(0.64, abs=0.02)


def test_expiry_at_the_end_of_the_horizon_fixes_at_the_spot_move(
    daily: dict[str, np.ndarray], law: FactorResponse
) -> None:
    snap = MarketSnapshot.from_marks(
        "2024-01-01T08:00:00Z", {"BTC": 42_000.0}, forwards={"BTC": {"2024-01-03T08:00:00Z": 42_000.0}}
    )
    found = moves({"BTC": daily["BTC"]}, snap, law)
    fixing = next(x for f, x in found.items() if f.kind == "fixing")
    np.testing.assert_allclose(fixing, found[Factor("spot", "BTC")], rtol=0, atol=1e-16)


def test_more_paths_and_more_underlyings_move_no_draw(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    both = moves(daily, snapshot, law)
    few = moves({u: x[:1000] for u, x in daily.items()}, snapshot, law)
    alone = moves({"BTC": daily["BTC"]}, snapshot, law)
    for factor, x in few.items():
        np.testing.assert_array_equal(x, both[factor][:1000])
    for factor, x in alone.items():
        np.testing.assert_array_equal(x, both[factor])


def test_chosen_expiries_and_normal_residuals(
    daily: dict[str, np.ndarray], snapshot: MarketSnapshot, law: FactorResponse
) -> None:
    last = list(snapshot.market("BTC").forwards)[-1]
    normal = dataclasses.replace(law, vol_residual_df=math.inf, basis_residual_df=math.inf)
    found = moves({"BTC": daily["BTC"]}, snapshot, normal, expiries={"BTC": [last]})
    assert list(found) == [Factor("spot", "BTC"), Factor("vol", "BTC"), Factor("basis", "BTC", last)]
    residual = found[Factor("vol", "BTC")] - law.of("BTC").vol_slope * found[Factor("spot", "BTC")]
    assert (residual**4).mean() / (residual**2).mean() ** 2 == pytest.approx(3.0, abs=0.1)
