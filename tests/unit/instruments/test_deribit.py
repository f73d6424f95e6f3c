"""Deribit's names: every name of the real chains reads back, and anything else is refused."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import RuleVersionError, SchemaError
from pmkit.instruments import Future, Option, Perpetual, parse_instrument
from pmkit.instruments.deribit import expiry_from_code
from pmkit.market import datasets, read_quotes

AS_OF = pd.Timestamp("2026-08-01T17:58:04Z")


@pytest.mark.parametrize(
    ("name", "kind", "multiplier", "lot"),
    [
        ("BTC-PERPETUAL", Perpetual, 10.0, 1.0),
        ("ETH-PERPETUAL", Perpetual, 1.0, 1.0),
        ("BTC-28AUG26", Future, 10.0, 1.0),
        ("ETH-25DEC26", Future, 1.0, 1.0),
        ("BTC-28AUG26-70000-C", Option, 1.0, 0.1),
        ("ETH-28AUG26-1800-P", Option, 1.0, 1.0),
    ],
)
def test_kinds_sizes_and_lots(name: str, kind: type, multiplier: float, lot: float) -> None:
    contract = parse_instrument(name, AS_OF)
    assert type(contract) is kind and contract.name == name
    assert (contract.multiplier, contract.lot) == (multiplier, lot)
    assert contract.is_inverse and contract.settlement_currency == contract.underlying == name[:3]


def test_every_name_of_the_chain_agrees_with_its_columns() -> None:
    raw = pd.read_csv(datasets.path("deribit-btc-2026-08-01"))
    for row in raw.itertuples():
        contract = parse_instrument(row.instrument_name, AS_OF)
        if not isinstance(contract, Perpetual):
            assert contract.expiry == pd.Timestamp(row.expiry)  # type: ignore[attr-defined]
        if isinstance(contract, Option):
            assert (contract.strike, contract.is_call) == (row.strike, row.cp == "C")
    assert len(raw) == len(read_quotes(datasets.path("deribit-btc-2026-08-01")))


@given(st.dates(pd.Timestamp("2019-03-15").date(), pd.Timestamp("2099-12-31").date()))
def test_expiry_codes_read_back(day: object) -> None:
    stamp = pd.Timestamp(day)  # type: ignore[arg-type]
    code = f"{stamp.day}{stamp.strftime('%b').upper()}{stamp:%y}"
    assert expiry_from_code(code) == stamp.tz_localize("UTC") + pd.Timedelta(hours=8)
    assert expiry_from_code(code) == expiry_from_code(code.zfill(7))


def test_fractional_strikes() -> None:
    option = parse_instrument("BTC-28AUG26-0d625-C", AS_OF)
    assert isinstance(option, Option) and option.strike == 0.625


@pytest.mark.parametrize(
    "code", ["31FEB27", "0AUG26", "32AUG26", "28AGO26", "28aug26", "28AUG2026", "AUG26", ""]
)
def test_impossible_codes(code: str) -> None:
    with pytest.raises(SchemaError, match="is not a date; expected a code such as 28AUG26"):
        expiry_from_code(code)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "BTCPERPETUAL",
        "btc-perpetual",
        "BTC-PERPETUAL-C",
        "BTC-28AUG26-70000",
        "BTC-28AUG26-70000-X",
        "BTC-28AUG26--70000-C",
        "BTC-28AUG26-70,000-C",
        "BTC-28AUG26-7e4-C",
        "BTC 28AUG26",
        " BTC-28AUG26",
        "BTC_USDC-28AUG26-70000-C",
        "AAPL 26AUG28C",
    ],
)
def test_other_shapes_are_unknown(name: str) -> None:
    with pytest.raises(SchemaError, match="unknown instrument"):
        parse_instrument(name, AS_OF)


def test_a_strike_of_zero_an_unknown_coin_and_an_early_date() -> None:
    with pytest.raises(SchemaError, match="no specification for underlying 'SOL'; expected one of BTC, ETH"):
        parse_instrument("SOL-PERPETUAL", AS_OF)
    with pytest.raises(
        RuleVersionError, match="no contract specification covers BTC-PERPETUAL on 2018-01-01"
    ):
        parse_instrument("BTC-PERPETUAL", pd.Timestamp("2018-01-01", tz="UTC"))
    with pytest.raises(Exception, match=r"strike of BTC-28AUG26-0-C is 0\.0"):
        parse_instrument("BTC-28AUG26-0-C", AS_OF)
