"""Moved snapshots against full revaluation, paths, settlement on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.liquidation import moved_snapshot, scenario_path, settle_expired
from pmkit.liquidation.path import entered_at, marked_to
from pmkit.margin import Account
from pmkit.market import datasets, load_snapshot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import revalue
from pmkit.scenarios import Factor, ScenarioSet

Hold = Callable[..., Account]
NAME = "deribit-btc-2026-08-01"


@pytest.fixture(scope="module")
def chain() -> MarketSnapshot:
    return load_snapshot(NAME)


@pytest.fixture(scope="module")
def maker() -> Account:
    return Account.from_csv(datasets.path("account-market-maker"))


@pytest.mark.parametrize("dynamics", ["sticky_strike", "sticky_moneyness"])
@pytest.mark.parametrize(("spot", "vol", "days"), [(-0.1, 0.2, 0.0), (0.25, -0.3, 0.0), (0.05, 0.1, 0.4)])
def test_equity_in_the_moved_market_is_that_of_the_cube(
    chain: MarketSnapshot, maker: Account, dynamics: str, spot: float, vol: float, days: float
) -> None:
    moved = moved_snapshot(chain, spot=spot, vol=vol, days=days, dynamics=dynamics)  # type: ignore[arg-type]
    scenario = ScenarioSet(
        name="one",
        factors=(Factor("spot", "BTC"), Factor("vol", "BTC")),
        shocks=np.array([[spot, vol]]),
        horizon_days=days,
        dynamics=dynamics,  # type: ignore[arg-type]
        spot_unit="relative",
        vol_unit="relative",
    )
    cube = revalue(maker.portfolio, chain, scenario)
    expected = float(cube.account_pnl(maker.portfolio, balances=maker.balances(chain))[0])
    # the cube keeps the cash flow of a coin contract in coin to the horizon, as the account does
    assert maker.equity(moved) - maker.equity(chain) == pytest.approx(expected, rel=1e-9)


def test_nothing_moves_without_a_move(chain: MarketSnapshot, maker: Account) -> None:
    still = moved_snapshot(chain, dynamics="sticky_moneyness")
    assert maker.equity(still) == maker.equity(chain) and still.as_of == chain.as_of
    option = next(i for i in maker.instruments if i.kind == "option")
    bare = replace(still.market("BTC"), option_iv={})
    no_quotes = replace(still, underlyings={"BTC": bare})
    plain = replace(chain, underlyings={"BTC": replace(chain.market("BTC"), option_iv={})})
    assert no_quotes.mark(option).iv == pytest.approx(plain.mark(option).iv, rel=1e-12)  # type: ignore[arg-type]


def test_the_moved_surface_prices_options_without_a_quote(chain: MarketSnapshot, maker: Account) -> None:
    option = next(i for i in maker.instruments if i.name == "BTC-28AUG26-70000-C")
    plain = replace(chain, underlyings={"BTC": replace(chain.market("BTC"), option_iv={})})
    before = plain.mark(option).iv
    for spot in (-0.1, 0.1):
        moved = moved_snapshot(plain, spot=spot, vol=0.2, dynamics="sticky_strike")
        # at the strike the vol stays, but for its level
        assert moved.mark(option).iv == pytest.approx(1.2 * before, rel=1e-9)
        surface = moved.market("BTC").surface
        assert surface is not None and surface.model.endswith("(moved)")
        assert float(surface.iv(70_000.0, moved.tau(option.expiry))) == pytest.approx(1.2 * before, rel=1e-9)


def test_vols_that_a_snapshot_would_refuse_are_held_and_counted(market: MarketSnapshot) -> None:
    moved = moved_snapshot(market, vol=9.0, dynamics="sticky_strike")
    assert max(moved.market("BTC").option_iv.values()) == 5.0
    assert "vols held at 5" in moved.notes[-1]


def test_a_path_compounds_its_moves(market: MarketSnapshot) -> None:
    moves = pd.DataFrame({"days": [1.0, 0.5], "BTC spot": [-0.2, 0.1], "BTC vol": [0.5, 0.0]})
    first, second, third = scenario_path(market, moves, dynamics="sticky_strike")
    assert first is market
    assert [s.spot("BTC") for s in (second, third)] == pytest.approx([48_000.0, 52_800.0])
    assert (third.as_of - market.as_of) == pd.Timedelta(days=1.5)
    name = "BTC-27DEC24-60000-C"
    assert third.market("BTC").option_iv[name] == pytest.approx(1.5 * market.market("BTC").option_iv[name])
    assert third.market("BTC").funding == 0.0001
    # carry runs off with time
    expiry = pd.Timestamp("2024-12-27T08:00:00Z")
    expected = 52_800.0 * (63_000.0 / 60_000.0) ** (third.tau(expiry) / market.tau(expiry))
    assert third.forward("BTC", expiry) == pytest.approx(expected, rel=1e-12)


def test_expired_contracts_are_paid_out(hold: Hold, market: MarketSnapshot) -> None:
    held = {
        "BTC-14JUN24-50000-C": 2.0,
        "BTC-14JUN24-60000-P": -1.0,
        "BTC-14JUN24": 6_000.0,
        "BTC-PERPETUAL": 10,
    }
    account = entered_at(hold(held, {"BTC": 1.0}), market)
    later = moved_snapshot(market, spot=-0.1, days=5.0, dynamics="sticky_strike")
    after, paid = settle_expired(account, later)
    assert [p.instrument.name for p in after.portfolio] == ["BTC-PERPETUAL"]
    cash = dict(zip(paid["instrument"], paid["cash"], strict=True))
    assert cash["BTC-14JUN24-50000-C"] == pytest.approx(2.0 * 4_000.0 / 54_000.0)
    assert cash["BTC-14JUN24-60000-P"] == pytest.approx(-6_000.0 / 54_000.0)
    assert cash["BTC-14JUN24"] == pytest.approx(60_000.0 * (1.0 / 60_060.0 - 1.0 / 54_000.0))
    assert after.collateral["BTC"] == pytest.approx(1.0 + sum(cash.values()))
    fixed = settle_expired(account, later, {("BTC", pd.Timestamp("2024-06-14T08:00:00Z")): 60_060.0})[1]
    assert fixed.set_index("instrument").loc["BTC-14JUN24", "cash"] == 0.0
    with pytest.raises(ParameterError, match="delivery price of BTC-14JUN24-50000-C is 0"):
        settle_expired(account, later, {("BTC", pd.Timestamp("2024-06-14T08:00:00Z")): 0.0})


def test_marking_changes_no_equity(hold: Hold, market: MarketSnapshot) -> None:
    account = entered_at(hold({"BTC-PERPETUAL": 600}, {"BTC": 1.0}), market)
    lower = moved_snapshot(market, spot=-0.3, dynamics="sticky_strike")
    booked = marked_to(account, lower)
    assert booked.equity(lower) == pytest.approx(account.equity(lower), rel=1e-14)
    assert all(p.entry_price is None for p in booked.portfolio)


def test_bad_input_is_named(market: MarketSnapshot) -> None:
    with pytest.raises(ParameterError, match=r"move of BTC is -1\.0"):
        moved_snapshot(market, spot=-1.0, dynamics="sticky_strike")
    with pytest.raises(ParameterError, match=r"days is -1\.0"):
        moved_snapshot(market, days=-1.0, dynamics="sticky_strike")
    with pytest.raises(ConventionError, match="smile dynamics 'sticky_delta'"):
        moved_snapshot(market, dynamics="sticky_delta")
    with pytest.raises(DataGapError, match="must move the smile of BTC"):
        moved_snapshot(market, spot=0.1, dynamics="sticky_moneyness")
    with pytest.raises(DataGapError, match="the path has no row"):
        scenario_path(market, pd.DataFrame({"days": []}), dynamics="sticky_strike")
    with pytest.raises(SchemaError, match="column 'ETH spot'"):
        scenario_path(market, pd.DataFrame({"days": [1.0], "ETH spot": [0.1]}), dynamics="sticky_strike")
    with pytest.raises(SchemaError, match="no column 'days'"):
        scenario_path(market, pd.DataFrame({"BTC spot": [0.1]}), dynamics="sticky_strike")
    with pytest.raises(ParameterError, match="days of row 0"):
        scenario_path(market, pd.DataFrame({"days": [0.0]}), dynamics="sticky_strike")


class _Smile:
    """A smile in log-moneyness, alike at every tenor."""

    model = "smile"

    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return 0.04 * (1.0 + 2.0 * np.square(np.asarray(k))) * np.asarray(tau)

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> npt.NDArray[np.float64]:
        raise NotImplementedError


def test_listed_options_keep_their_own_vols_along_the_smile() -> None:
    expiry, names = "2026-09-18T20:00:00Z", ("SPX-18SEP26-6000-P", "SPX-18SEP26-7000-C")
    seen = MarketSnapshot.from_marks(
        "2026-08-01T00:00:00Z", {"SPX": 6500.0}, forwards={"SPX": {expiry: 6500.0}},
        option_iv=dict(zip(names, (0.25, 0.15), strict=True)), surfaces={"SPX": _Smile()},
    )  # fmt: skip
    moved = moved_snapshot(seen, spot=-0.1, vol=0.2, dynamics="sticky_moneyness")
    for name, strike, before in zip(names, (6000.0, 7000.0), (0.25, 0.15), strict=True):
        ratio = (1.0 + 2.0 * np.log(strike / 5850.0) ** 2) / (1.0 + 2.0 * np.log(strike / 6500.0) ** 2)
        assert moved.market("SPX").option_iv[name] == pytest.approx(1.2 * before * np.sqrt(ratio), rel=1e-13)
