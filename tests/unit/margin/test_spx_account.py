"""An account of S&P 500 index options on real quotes under the three rules for listed contracts."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from pmkit.core.errors import PmkitWarning, StaleParametersWarning
from pmkit.instruments import Option, Portfolio, Position, listed_option, stock
from pmkit.margin import Account, Comparison, compare, rule, what_if
from pmkit.market import datasets, load_history, read_quotes
from pmkit.market.snapshot import MarketSnapshot, UnderlyingMarket
from pmkit.scenarios import ScenarioSet, table
from pmkit.surface import fit, forward_curve, own_vols

RULES = ("tims", "span", "reg-t")


def option(day: str, strike: float, is_call: bool) -> Option:
    return listed_option("SPX", f"{day}T20:00Z", strike, is_call)


@pytest.fixture(scope="module")
def snapshot() -> MarketSnapshot:
    """Return the market of one evening: forwards by parity, vols of mids, the last index level as spot."""
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    curve = forward_curve(quotes, "SPX")
    vols = own_vols(quotes, curve)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        surface = fit(quotes, "linear", underlying="SPX", as_of=curve.as_of, curve=curve, vols=vols)
    seen = UnderlyingMarket(
        name="SPX",
        spot=curve.spot,
        spot_source="index",
        perpetual=curve.spot,
        perpetual_source="index",
        forwards=curve.quotes,
        option_iv=vols.by_name,
        surface=surface,
        iv_source="mid",
    )
    return MarketSnapshot(as_of=curve.as_of, underlyings={"SPX": seen}, source=quotes.source)


@pytest.fixture(scope="module")
def held(snapshot: MarketSnapshot) -> Account:
    """Return a short iron condor, a short straddle and a long put two weeks later, and a million in cash."""
    legs = {
        option("2026-08-28", 7000.0, False): 10.0,
        option("2026-08-28", 7200.0, False): -10.0,
        option("2026-08-28", 7700.0, True): -10.0,
        option("2026-08-28", 7900.0, True): 10.0,
        option("2026-09-11", 7500.0, True): -5.0,
        option("2026-09-11", 7500.0, False): -5.0,
        option("2026-09-11", 7000.0, False): 5.0,
    }
    positions = tuple(Position(instrument=i, qty=q) for i, q in legs.items())
    book = Portfolio(positions=positions, as_of=snapshot.as_of, name="index options")
    return Account(portfolio=book, collateral={"USD": 1_000_000.0}, name="index options")


@pytest.fixture(scope="module")
def days() -> ScenarioSet:
    """Return the daily moves of the index of 33 years as scenarios, vols left where they are."""
    closes: pd.Series = load_history("sp500-index-1990-2022").prices["SP500"]
    moves = closes.pct_change().dropna()
    rows = [(f"{day:%Y-%m-%d}", float(move), 0.0) for day, move in moves.items()]  # type: ignore[str-format]
    return table(rows, dynamics="sticky_strike", underlyings=["SPX"], name="index days 1990-2022")


@pytest.fixture(scope="module")
def compared(held: Account, snapshot: MarketSnapshot, days: ScenarioSet) -> Comparison:
    with pytest.warns(StaleParametersWarning):
        return compare(held, snapshot, [rule(name, stale="warn") for name in RULES], common=days)


def test_every_rule_prices_its_options_by_their_own_quotes(held: Account, snapshot: MarketSnapshot) -> None:
    assert all(snapshot.mark(i).source == "mid" for i in held.instruments)


def test_one_basis_orders_the_rules(compared: Comparison) -> None:
    compared.check()
    frame = compared.summary()
    assert list(frame.index) == list(RULES)
    assert frame["equity"].nunique() == 1 and (frame["status"] == "ok").all()
    needs = frame["im_equity"]
    assert needs["tims"] < needs["span"] < needs["reg-t"]
    # ten straddle legs and the condor without netting against the ten points: about a third
    assert 0.25 < needs["tims"] / needs["reg-t"] < 0.40
    assert (frame["netting_benefit"] > 0.5).all()
    assert frame.loc["tims", "implied_level"] >= frame.loc["span", "implied_level"] > 0.0
    assert frame.loc["reg-t", "implied_level"] == 0.0


def test_strategies_that_the_pairing_finds(compared: Comparison) -> None:
    pairing = compared["reg-t"].figures["pairing"]
    initial = pairing[pairing["margin"] == "initial"].set_index("strategy")["units"]
    assert initial.to_dict() == {"long put": 5.0, "short straddle": 5.0, "iron condor": 10.0}
    assert pairing.set_index("strategy")["amount"]["iron condor"].iloc[0] == 200_000.0


def test_a_trade_under_each_rule(held: Account, snapshot: MarketSnapshot) -> None:
    wing = Position(instrument=option("2026-09-11", 8000.0, True), qty=5.0)
    for name in RULES:
        with pytest.warns(StaleParametersWarning):
            found = what_if(held, wing, snapshot, rule(name, stale="warn"))
        # the bought wing turns the naked calls into a spread, so every rule asks for less
        assert found.change["im_equity"] < 0.0


def test_parameters_are_old_and_say_so(held: Account, snapshot: MarketSnapshot) -> None:
    with pytest.warns(StaleParametersWarning, match="last observed on 2021-11-18, 1716 days"):
        found = rule("tims", stale="warn").requirement(held, snapshot)
    assert found.param_set_age_days == 1716.0 and "last observed" in found.warnings[0]


def test_stock_is_part_of_equity_and_is_paid_for() -> None:
    seen = MarketSnapshot.from_marks("2015-01-02T21:00Z", {"XYZ": 100.0})
    share = stock("XYZ")
    book = Portfolio(positions=(Position(instrument=share, qty=100.0),), as_of=seen.as_of)
    account = Account(portfolio=book, collateral={"USD": 1000.0})
    assert account.equity(seen) == account.equity(seen, "USD") == 11_000.0
    assert account.stock_value(seen) == {"USD": 10_000.0}
    found = what_if(account, Position(instrument=share, qty=50.0), seen, "reg-t")
    assert found.change["equity"] == 0.0 and found.change["im"] == 2500.0
    assert found.before.equity == 11_000.0


def test_discounts_enter_marks_and_scenarios() -> None:
    expiry = "2015-07-02T20:00Z"
    call = listed_option("SPX", expiry, 2000.0, True)
    plain, cheap = (
        MarketSnapshot.from_marks(
            "2015-01-02T21:00Z",
            {"SPX": 2000.0},
            forwards={"SPX": {expiry: 2000.0}},
            option_iv={call.name: 0.2},
            discounts={"SPX": {expiry: df}},
        )
        for df in (1.0, 0.5)
    )
    book = Portfolio(positions=(Position(instrument=call, qty=-1.0),), as_of=plain.as_of)
    for name in ("tims", "span", "reg-t"):
        full, half = (rule(name).requirement(Account(portfolio=book), s) for s in (plain, cheap))
        assert half.net_option_value == pytest.approx(0.5 * full.net_option_value, rel=1e-12)
        if name != "reg-t":
            assert half.worst_scenario.pnl == pytest.approx(0.5 * full.worst_scenario.pnl, rel=1e-12)
        assert half.equity == pytest.approx(half.net_option_value, rel=1e-12)
