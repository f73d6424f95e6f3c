"""A market with a smile, scenarios of every kind of factor, and a book of every kind of contract."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.instruments import Future, Instrument, Option, Perpetual, Portfolio, Position, Spot
from pmkit.market import MarketSnapshot, PriceHistory, load_history
from pmkit.scenarios import Factor, ScenarioSet, TermScaling

AS_OF = "2026-08-01T18:00:00Z"
SOON, NEXT, MONTH, FAR = (
    pd.Timestamp(f"{d}T08:00Z") for d in ("2026-08-02", "2026-08-03", "2026-08-28", "2026-12-25")
)
SPOT = {"BTC": 60_000.0, "ETH": 3_000.0}
CARRY = {SOON: 0.0001, NEXT: 0.0003, MONTH: 0.004, FAR: 0.03}


class Smile:
    """Skewed parabola in k whose vol falls with tenor: enough to tell the smile dynamics apart."""

    model = "test"

    def w(self, k, tau):
        k, tau = np.asarray(k, dtype=float), np.asarray(tau, dtype=float)
        vol = 0.45 + 0.05 / np.sqrt(1.0 + 20.0 * tau) - 0.12 * k + 0.4 * k * k / (1.0 + k * k)
        return vol * vol * tau

    def iv(self, strike, tau):
        return np.sqrt(self.w(np.log(np.asarray(strike) / SPOT["BTC"]), tau) / np.asarray(tau))


def option(
    underlying: str, expiry: pd.Timestamp, strike: float, kind: str, settlement: str = "inverse"
) -> Option:
    coin = settlement == "inverse"
    return Option(
        name=f"{underlying}-{expiry:%d%b%y}-{strike:g}-{kind}-{settlement}",
        underlying=underlying,
        settlement=settlement,
        settlement_currency=underlying if coin else "USDC",
        multiplier=1.0 if coin else 0.1,
        lot=0.1,
        expiry=expiry,
        strike=strike,
        is_call=kind == "C",
    )


def future(underlying: str, expiry: pd.Timestamp | None, settlement: str = "inverse") -> Instrument:
    coin = settlement == "inverse"
    common = {
        "underlying": underlying,
        "settlement": settlement,
        "settlement_currency": underlying if coin else "USDC",
        "multiplier": 10.0 if coin else 0.01,
        "lot": 1.0,
    }
    if expiry is None:
        return Perpetual(name=f"{underlying}-PERPETUAL-{settlement}", **common)
    return Future(name=f"{underlying}-{expiry:%d%b%y}-{settlement}", expiry=expiry, **common)


@pytest.fixture(scope="session")
def real_history() -> PriceHistory:
    return load_history("crypto-daily-2020-2023")


@pytest.fixture(scope="session")
def snapshot() -> MarketSnapshot:
    return MarketSnapshot.from_marks(
        AS_OF,
        SPOT,
        forwards={u: {e.isoformat(): s * np.exp(c) for e, c in CARRY.items()} for u, s in SPOT.items()},
        perpetual={"BTC": 60_012.0, "ETH": 2_999.0},
        option_iv={option("BTC", MONTH, 66_000.0, "C").name: 0.55},
        surfaces={u: Smile() for u in SPOT},
    )


@pytest.fixture(scope="session")
def instruments() -> list[Instrument]:
    held: list[Instrument] = [
        option("BTC", e, k, c, s)
        for e, k, c, s in [
            (SOON, 59_000.0, "C", "inverse"),
            (NEXT, 62_000.0, "P", "inverse"),
            (NEXT, 61_000.0, "C", "linear"),
            (MONTH, 66_000.0, "C", "inverse"),
            (MONTH, 54_000.0, "P", "inverse"),
            (FAR, 50_000.0, "P", "linear"),
            (FAR, 90_000.0, "C", "inverse"),
        ]
    ]
    held += [option("ETH", MONTH, 2_800.0, "P"), option("ETH", FAR, 3_500.0, "C", "linear")]
    held += [
        future(u, e, s) for u in ("BTC", "ETH") for e in (SOON, FAR, None) for s in ("inverse", "linear")
    ]
    held.append(
        Spot(
            name="BTC",
            underlying="BTC",
            settlement="linear",
            settlement_currency="USD",
            multiplier=1.0,
            lot=1e-8,
        )
    )
    return held


@pytest.fixture(scope="session")
def book(instruments: list[Instrument]) -> Portfolio:
    quantities = np.round(stream(3, "book").normal(0.0, 20.0, len(instruments)))
    return Portfolio(
        positions=tuple(
            Position(instrument=i, qty=float(q)) for i, q in zip(instruments, quantities, strict=True)
        ),
        as_of=pd.Timestamp(AS_OF),
        name="mixed",
    )


def random_scenarios(dynamics: str, *, horizon: float = 2.0, n: int = 300, unit: str = "log") -> ScenarioSet:
    draws = stream(8, "scenarios")
    factors: list[Factor] = []
    columns = []
    for name in SPOT:
        factors += [Factor("spot", name), Factor("vol", name), Factor("basis", name)]
        columns += [draws.normal(0, 0.08, n), draws.normal(0, 0.2, n), draws.normal(0, 0.001, n)]
        for expiry in CARRY:
            inside = expiry <= pd.Timestamp(AS_OF) + pd.Timedelta(days=horizon)
            factors.append(Factor("fixing" if inside else "basis", name, expiry))
            columns.append(draws.normal(0, 0.05 if inside else 0.003, n))
    return ScenarioSet(
        name="random",
        factors=tuple(factors),
        shocks=np.column_stack(columns),
        horizon_days=horizon,
        dynamics=dynamics,
        spot_unit=unit,
        vol_unit=unit,
        vol_term=TermScaling(short_power=0.45, long_power=0.6, floor_days=7.0),
        min_vol_up=0.4,
    )
