"""Snapshots: marks by kind of contract, and refusals of what was not seen."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.instruments import Option, Spot, parse_instrument
from pmkit.market import MarketSnapshot

AS_OF = pd.Timestamp("2026-08-01T17:58:04Z")
CALL = "BTC-28AUG26-64000-C"


@pytest.fixture
def snapshot() -> MarketSnapshot:
    return MarketSnapshot.from_marks(
        AS_OF,
        {"BTC": 62_700.0, "ETH": 1_800.0},
        forwards={"BTC": {"2026-09-25T08:00:00Z": 63_000.0, "2026-08-28T08:00:00Z": 62_860.0}},
        option_iv={CALL: 0.34},
        perpetual={"BTC": 62_690.0},
    )


def test_marks_by_kind(snapshot: MarketSnapshot) -> None:
    coin = Spot(
        name="BTC", underlying="BTC", settlement="linear", settlement_currency="USD", multiplier=1.0, lot=1e-8
    )
    assert snapshot.mark(coin).price == 62_700.0
    assert snapshot.mark(parse_instrument("BTC-PERPETUAL", AS_OF)).price == 62_690.0
    assert snapshot.mark(parse_instrument("ETH-PERPETUAL", AS_OF)) == (
        1_800.0,
        pytest.approx(math.nan, nan_ok=True),
        "index",
    )
    assert snapshot.mark(parse_instrument("BTC-25SEP26", AS_OF)).price == 63_000.0
    mark = snapshot.mark(parse_instrument(CALL, AS_OF))
    tau = (pd.Timestamp("2026-08-28T08:00Z") - AS_OF).total_seconds() / (365 * 86_400)
    sd = 0.34 * math.sqrt(tau)
    d1 = math.log(62_860 / 64_000) / sd + sd / 2
    phi = [0.5 * math.erfc(-x / math.sqrt(2)) for x in (d1, d1 - sd)]
    assert mark.price == pytest.approx(phi[0] - 64_000 / 62_860 * phi[1], rel=1e-12)
    assert (mark.iv, mark.source) == (0.34, "given")


def test_a_linear_option_is_marked_in_quote_currency(snapshot: MarketSnapshot) -> None:
    inverse = parse_instrument(CALL, AS_OF)
    assert isinstance(inverse, Option)
    linear = Option(
        name=CALL,
        underlying="BTC",
        settlement="linear",
        settlement_currency="USDC",
        multiplier=1.0,
        lot=0.1,
        expiry=inverse.expiry,
        strike=inverse.strike,
        is_call=True,
    )
    assert snapshot.mark(linear).price == pytest.approx(62_860.0 * snapshot.mark(inverse).price, rel=1e-13)


def test_forwards_are_sorted_and_never_interpolated(snapshot: MarketSnapshot) -> None:
    assert list(snapshot.market("BTC").forwards) == sorted(snapshot.market("BTC").forwards)
    with pytest.raises(DataGapError, match="no forward for BTC expiry 2026-09-11"):
        snapshot.forward("BTC", pd.Timestamp("2026-09-11T08:00Z"))
    with pytest.raises(DataGapError, match="no forward for ETH"):
        snapshot.mark(parse_instrument("ETH-28AUG26", AS_OF))


def test_what_was_not_seen_is_refused(snapshot: MarketSnapshot) -> None:
    with pytest.raises(DataGapError, match="no market data for underlying 'SOL'"):
        snapshot.spot("SOL")
    with pytest.raises(DataGapError, match="no implied vol for BTC-28AUG26-70000-C and no surface"):
        snapshot.mark(parse_instrument("BTC-28AUG26-70000-C", AS_OF))
    with pytest.raises(DataGapError, match="no surface for BTC"):
        snapshot.atm_iv("BTC", 30.0)
    with pytest.raises(SchemaError, match="BTC-31JUL26 expired"):
        snapshot.mark(parse_instrument("BTC-31JUL26", AS_OF))


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_prices_must_be_positive(price: float) -> None:
    with pytest.raises(SchemaError, match="spot of BTC"):
        MarketSnapshot.from_marks(AS_OF, {"BTC": price})
    with pytest.raises(SchemaError, match="perpetual of BTC"):
        MarketSnapshot.from_marks(AS_OF, {"BTC": 1.0}, perpetual={"BTC": price})
    with pytest.raises(SchemaError, match="forward 2026-08-28 of BTC"):
        MarketSnapshot.from_marks(AS_OF, {"BTC": 1.0}, forwards={"BTC": {"2026-08-28": price}})


def test_vols_in_percent_and_naive_instants_are_refused() -> None:
    with pytest.raises(ConventionError, match="34: looks like percent"):
        MarketSnapshot.from_marks(AS_OF, {"BTC": 1.0}, option_iv={CALL: 34.0})
    with pytest.raises(SchemaError, match="implied vol of"):
        MarketSnapshot.from_marks(AS_OF, {"BTC": 1.0}, option_iv={CALL: -0.3})
    with pytest.raises(ConventionError, match="has no time zone"):
        MarketSnapshot.from_marks("2026-08-01T17:58:04", {"BTC": 1.0})


def test_fingerprint_moves_with_every_number(snapshot: MarketSnapshot) -> None:
    def other(**changes: object) -> str:
        given: dict[str, object] = {
            "as_of": AS_OF,
            "spot": {"BTC": 62_700.0, "ETH": 1_800.0},
            "forwards": {"BTC": {"2026-09-25T08:00:00Z": 63_000.0, "2026-08-28T08:00:00Z": 62_860.0}},
            "option_iv": {CALL: 0.34},
            "perpetual": {"BTC": 62_690.0},
        }
        return MarketSnapshot.from_marks(**(given | changes)).fingerprint  # type: ignore[arg-type]

    assert other() == snapshot.fingerprint
    changed = [
        other(as_of=AS_OF + pd.Timedelta(seconds=1)),
        other(spot={"BTC": 62_701.0, "ETH": 1_800.0}),
        other(forwards={}),
        other(option_iv={CALL: 0.35}),
        other(perpetual={}),
    ]
    assert len({snapshot.fingerprint, *changed}) == 6


def test_tables(snapshot: MarketSnapshot) -> None:
    assert snapshot.summary().loc["BTC", "expiries"] == 2
    assert snapshot.to_frame()["source"].tolist() == ["given", "given"]
    assert "0x" not in repr(snapshot)
