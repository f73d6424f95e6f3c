"""Worst scenario of an ellipsoid: closed forms, random points never beat it, bad input."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from pmkit.core.errors import DataGapError, ParameterError, PmkitError, PmkitWarning
from pmkit.instruments import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.market import MarketSnapshot, load_history, load_snapshot
from pmkit.risk import Ellipsoid, FoundScenario, delta_gamma_worst, revalue, scenario_covariance
from pmkit.risk import worst_scenario as search
from pmkit.risk.adversarial.ball import ascend, pick_starts, random_in_ball, sobol_in_ball
from pmkit.risk.adversarial.losses import AccountLoss
from pmkit.scenarios import Factor, FactorCovariance, filtered_historical
from tests.unit.risk.conftest import AS_OF, FAR, MONTH, SPOT, future, option

ACCOUNTS = ("short_straddle", "iron_condor", "calendar", "covered_call", "market_maker")


def worst_scenario(*given: object, **arguments: object) -> FoundScenario:
    """Search with the conventions of most tests: sticky moneyness, no ageing."""
    return search(*given, **{"dynamics": "sticky_moneyness", "horizon_days": 0.0, **arguments})


def ball_of(covariance: FactorCovariance, days: float = 0.0) -> Ellipsoid:
    return Ellipsoid(covariance=covariance, dynamics="sticky_moneyness", horizon_days=days)


def one_factor(variance: float) -> FactorCovariance:
    return FactorCovariance(factors=(Factor("spot", "BTC"),), matrix=np.array([[variance]]), horizon_days=1.0)


def coins() -> FactorCovariance:
    """Spot of two coins: sd 4 and 5 %, correlation 0.7."""
    matrix = np.array([[0.0016, 0.0014], [0.0014, 0.0025]])
    return FactorCovariance(
        factors=(Factor("spot", "BTC"), Factor("spot", "ETH")), matrix=matrix, horizon_days=1.0
    )


def linear_book() -> tuple[Portfolio, np.ndarray]:
    """Futures in quote currency and their derivatives by relative spot moves."""
    held = [(future("BTC", FAR, "linear"), 150.0), (future("ETH", FAR, "linear"), -4000.0)]
    book = Portfolio(
        positions=tuple(Position(instrument=i, qty=q) for i, q in held),
        as_of=pd.Timestamp(AS_OF),
        name="linear",
    )
    return book, np.array([150.0 * 0.01 * SPOT["BTC"], -4000.0 * 0.01 * SPOT["ETH"]]) * math.exp(0.03)


def smooth_covariance() -> FactorCovariance:
    sd = np.array([0.05, 0.15, 0.004, 0.06, 0.15])
    rho = np.array(
        [
            [1.0, -0.4, 0.3, 0.8, -0.3],
            [-0.4, 1.0, 0.0, -0.3, 0.6],
            [0.3, 0.0, 1.0, 0.2, 0.0],
            [0.8, -0.3, 0.2, 1.0, -0.4],
            [-0.3, 0.6, 0.0, -0.4, 1.0],
        ]
    )
    factors = (
        Factor("spot", "BTC"),
        Factor("vol", "BTC"),
        Factor("basis", "BTC", FAR),
        Factor("spot", "ETH"),
        Factor("vol", "ETH"),
    )
    return FactorCovariance(factors=factors, matrix=rho * sd[:, None] * sd, horizon_days=1.0)


def option_book() -> Portfolio:
    held = [
        (option("BTC", MONTH, 66_000.0, "C"), -10.0),
        (option("BTC", MONTH, 54_000.0, "P"), -10.0),
        (option("BTC", FAR, 90_000.0, "C"), 15.0),
        (option("ETH", MONTH, 2_800.0, "P"), -50.0),
        (future("ETH", None), -400.0),
    ]
    return Portfolio(
        positions=tuple(Position(instrument=i, qty=q) for i, q in held), as_of=pd.Timestamp(AS_OF)
    )


@pytest.mark.parametrize("radius", [0.5, 3.0])
def test_linear_book_in_closed_form(snapshot: MarketSnapshot, radius: float) -> None:
    book, delta = linear_book()
    cov = coins()
    found = worst_scenario(book, snapshot, cov, radius, unit="relative")
    sd = math.sqrt(delta @ cov.matrix @ delta)
    assert found.loss == pytest.approx(radius * sd, rel=1e-10)
    np.testing.assert_allclose(found.moves, -radius * cov.matrix @ delta / sd, rtol=1e-5)
    assert (found.status, found.distance) == ("ok", pytest.approx(radius, rel=1e-12))
    assert found.alignment == pytest.approx(1.0, abs=1e-8)
    assert found.probability_inside == pytest.approx(1.0 - math.exp(-0.5 * radius**2), rel=1e-9)
    found.check()


def test_delta_gamma_function_in_closed_form() -> None:
    """The search finds the exact top of a quadratic loss with several local tops, in one step."""
    cov = smooth_covariance()
    ball = ball_of(cov)
    delta = np.array([4e4, -2e3, 1e4, -3e4, 500.0])
    gamma = -np.diag([3e6, 2e4, 1e6, 1e6, 1e4]) + 5e4
    exact = delta_gamma_worst(delta, gamma, cov, 3.0)

    def loss(points: np.ndarray) -> np.ndarray:
        x = ball.moves(points)
        return -(x @ delta) - 0.5 * np.einsum("ni,ij,nj->n", x, gamma, x)

    points = sobol_in_ball(ball.rank, 64, 3.0, 0)
    climb = ascend(loss, pick_starts(points, loss(points), 4, 1.0), 3.0, 3)
    assert float(climb.losses.max()) == pytest.approx(exact.loss, rel=1e-9)


def test_options_beat_random_points(snapshot: MarketSnapshot) -> None:
    cov = smooth_covariance()
    found = worst_scenario(option_book(), snapshot, cov, probability=0.99, balances={"BTC": 4.0})
    ball = ball_of(cov)
    assert found.radius == pytest.approx(ball.radius(0.99))
    loss = AccountLoss(option_book(), snapshot, ball, {"BTC": 4.0}, "USD")
    best = float(loss(random_in_ball(ball.rank, 50_000, found.radius, 5)).max())
    assert found.loss > best
    assert found.loss >= found.best_sampled and found.gain >= 0.0
    again = revalue(option_book(), snapshot, found.scenarios).account_pnl(
        option_book(), balances={"BTC": 4.0}
    )
    assert -float(again[0]) == found.loss
    assert found.alignment == pytest.approx(1.0, abs=1e-6)


def test_two_sided_book_has_two_local_worst_cases(snapshot: MarketSnapshot) -> None:
    """A short strangle loses both ways: local searches end on both sides, the worse is returned."""
    cov = replace(
        smooth_covariance(),
        factors=(Factor("spot", "BTC"), Factor("vol", "BTC")),
        matrix=np.diag([0.01, 0.01]),
    )
    book = option_book()
    strangle = book.with_positions(tuple(book)[:2])
    found = worst_scenario(strangle, snapshot, cov, 2.5, n_points=256)
    ends = sorted({round(x, 2) for x in found.optima["loss"]})
    assert len(ends) == 2
    assert found.loss == pytest.approx(ends[-1], abs=0.01)


def test_same_seed_same_bits_and_any_seed_same_worst(snapshot: MarketSnapshot) -> None:
    book, cov = option_book(), smooth_covariance()
    one, two, other = (worst_scenario(book, snapshot, cov, 3.0, seed=s) for s in (1, 1, 2))
    assert one.loss == two.loss and one.moves.equals(two.moves)
    assert other.loss == pytest.approx(one.loss, rel=1e-8)


def test_grows_with_the_radius_and_scales_with_the_book(snapshot: MarketSnapshot) -> None:
    book, cov = option_book(), smooth_covariance()
    losses = [worst_scenario(book, snapshot, cov, r, n_points=1024).loss for r in (0.5, 1.0, 2.0, 4.0)]
    assert losses == sorted(losses)
    double = book.with_positions(replace(p, qty=2.0 * p.qty) for p in book)
    assert worst_scenario(double, snapshot, cov, 2.0, n_points=1024).loss == pytest.approx(
        2.0 * losses[2], rel=1e-9
    )
    turned = book.with_positions(tuple(book)[::-1])
    assert worst_scenario(turned, snapshot, cov, 2.0, n_points=1024).loss == pytest.approx(
        losses[2], rel=1e-9
    )


def test_a_gain_everywhere_is_worst_at_the_centre(snapshot: MarketSnapshot) -> None:
    """Long gamma without ageing loses nothing: the least gain is no move, inside the ball."""
    base = option_book()
    coin = base.with_positions(
        [Position(instrument=option("BTC", MONTH, 60_000.0, k, "linear"), qty=10.0) for k in "CP"]
    )
    found = worst_scenario(coin, snapshot, one_factor(0.01), 3.0, n_points=256)
    assert 0.0 <= found.loss < 200.0
    assert found.distance < 0.5 and math.isnan(found.alignment)


def test_accounts_bring_their_collateral(snapshot: MarketSnapshot) -> None:
    book, cov = option_book(), smooth_covariance()
    account = Account(portfolio=book, collateral={"BTC": 4.0})
    one = worst_scenario(account, snapshot, cov, 2.0, n_points=256)
    two = worst_scenario(book, snapshot, cov, 2.0, balances={"BTC": 4.0}, n_points=256)
    assert one.loss == pytest.approx(two.loss, rel=1e-12)
    coin = worst_scenario(account, snapshot, cov, 2.0, numeraire="BTC", n_points=256)
    assert coin.numeraire == "BTC" and 0.0 < coin.loss < one.loss


def test_display(snapshot: MarketSnapshot) -> None:
    found = worst_scenario(option_book(), snapshot, smooth_covariance(), 2.0, n_points=256)
    assert found.summary().index.name == "worst scenario"
    assert float(found.contributions.sum()) == pytest.approx(1.0)
    assert found.to_dict()["target"] is None and set(found.to_dict()["moves"]) == set(found.moves.index)
    assert "standard deviations" in found.plot().get_xlabel()
    assert found.scenarios.label(0).startswith("worst scenario, loss")
    with pytest.raises(PmkitError, match="the moves lie"):
        replace(found, distance=1.0).check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "radius is None and probability is None; expected one of the two"),
        ({"radius": 2.0, "probability": 0.9}, "expected one of the two"),
        ({"radius": 0.0}, "radius is 0.0; expected a positive"),
        ({"radius": -1.0}, "radius is -1.0"),
        ({"probability": 1.5}, "probability is 1.5"),
        ({"radius": 2.0, "n_points": 100}, "n_points is 100; expected a whole number from 64, a power of 2"),
        ({"radius": 2.0, "starts": 0}, "starts is 0"),
        ({"radius": 2.0, "max_steps": 1.5}, "max_steps is 1.5"),
        ({"radius": 50.0}, "takes 'BTC spot' to -200%"),
    ],
)
def test_bad_arguments(snapshot: MarketSnapshot, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        worst_scenario(linear_book()[0], snapshot, coins(), unit="relative", **arguments)


def test_what_the_snapshot_lacks(snapshot: MarketSnapshot) -> None:
    book, _ = linear_book()
    foreign = replace(coins(), factors=(Factor("spot", "BTC"), Factor("spot", "DOGE")))
    with pytest.raises(DataGapError, match="the snapshot has no DOGE"):
        worst_scenario(book, snapshot, foreign, 1.0)
    with pytest.raises(DataGapError, match="ETH"):
        worst_scenario(book, snapshot, one_factor(1e-4), 1.0)
    with pytest.raises(DataGapError, match="holds no positions"):
        worst_scenario(book.with_positions(()), snapshot, coins(), 1.0)


@pytest.fixture(scope="module")
def example_market() -> tuple[MarketSnapshot, FactorCovariance]:
    """The shipped chain, and the covariance of one-day filtered scenarios with every factor of BTC."""
    snap = load_snapshot("deribit-btc-2026-08-01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        scenarios = filtered_historical(
            load_history("crypto-daily-2020-2023"), snap, n_paths=5000, seed=1, horizon=1, underlyings=["BTC"]
        )
    return snap, scenario_covariance(scenarios)


@pytest.mark.parametrize(("name", "count"), [(n, 100_000) for n in ACCOUNTS])
def test_example_accounts(
    example_market: tuple[MarketSnapshot, FactorCovariance], root: Path, name: str, count: int
) -> None:
    assert_beats_random(example_market, root, name, count)


def test_no_finer_net_finds_more_in_three_factors(
    example_market: tuple[MarketSnapshot, FactorCovariance], root: Path
) -> None:
    """Spot, vol and the fixing inside the day: a dense net of the ball comes close, not past."""
    snap, cov = example_market
    three = FactorCovariance(
        factors=cov.factors[:3], matrix=cov.matrix[:3, :3], horizon_days=1.0, vol_term=cov.vol_term
    )
    assert [f.kind for f in three.factors] == ["spot", "vol", "fixing"]
    account = Account.from_csv(root / "data" / "accounts" / "market_maker.csv")
    found = search(account, snap, three, 3.0, dynamics="sticky_moneyness")
    loss = AccountLoss(account, snap, found.ball, None, "USD")
    best = float(loss(sobol_in_ball(3, 2**17, 3.0, 9)).max())
    assert best <= found.loss <= best * 1.002


def test_another_optimiser_finds_no_more(snapshot: MarketSnapshot) -> None:
    """Sequential least squares from the best of many random points ends no higher."""
    book, cov = option_book(), smooth_covariance()
    found = worst_scenario(book, snapshot, cov, 3.0)
    loss = AccountLoss(book, snapshot, found.ball, None, "USD")
    points = random_in_ball(found.ball.rank, 4096, 3.0, 2)
    starts = points[np.argsort(-loss(points))[:4]]
    ends = [
        minimize(
            lambda z: -float(loss(z[None, :])[0]) / found.loss,
            start,
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda z: 9.0 - float(z @ z)},
        )
        for start in starts
    ]
    assert max(-float(e.fun) for e in ends) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCOUNTS)
def test_example_accounts_against_a_million_points(
    example_market: tuple[MarketSnapshot, FactorCovariance], root: Path, name: str
) -> None:
    assert_beats_random(example_market, root, name, 1_000_000)


def assert_beats_random(
    market: tuple[MarketSnapshot, FactorCovariance], root: Path, name: str, count: int
) -> None:
    snap, cov = market
    account = Account.from_csv(root / "data" / "accounts" / f"{name}.csv")
    found = search(account, snap, cov, probability=0.99, dynamics="sticky_moneyness")
    loss = AccountLoss(account, snap, found.ball, None, "USD")
    best = -math.inf
    for block in range(count // 50_000):
        best = max(best, float(loss(random_in_ball(found.ball.rank, 50_000, found.radius, 11, block)).max()))
    print(
        f"{name}: worst {found.loss:,.0f} USD, best of {count:,} random points {best:,.0f} USD, "
        f"{found.loss / best - 1.0:+.1%}, {found.evaluations:,} scenarios revalued"
    )
    assert found.status == "ok"
    assert found.loss > best
    assert found.evaluations < 100_000
