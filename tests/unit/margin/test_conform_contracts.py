"""Contracts of a case file, and what the shared shape makes of marks, prices and options of a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.margin.conformance.contracts import account_of, contract_of
from pmkit.margin.conformance.files import read_cases

SWAP: dict[str, Any] = {
    "name": "X", "kind": "perpetual", "underlying": "BTC", "settlement": "linear",
    "settlement_currency": "USDC", "multiplier": 0.01,
}  # fmt: skip
OPTION = {**SWAP, "kind": "option", "expiry": "2026-03-27T08:00:00Z", "strike": 5e4, "is_call": False}
CASE: dict[str, Any] = {
    "name": "case", "as_of": "2026-02-01T08:00:00Z", "spot": {"BTC": 60_000.0}, "contracts": [SWAP],
    "funding": {"BTC": 0.0001}, "account": [{"type": "position", "instrument": "X", "qty": 1.0}],
    "expected": {"im": 1.0},
}  # fmt: skip


def test_contracts_by_kind() -> None:
    assert contract_of(SWAP).multiplier == 0.01
    future = contract_of({**SWAP, "kind": "future", "expiry": "2026-03-27T08:00:00Z", "lot": 0.5})
    assert (future.kind, future.lot) == ("future", 0.5)
    option: Any = contract_of(OPTION)
    assert (option.strike, option.is_call, option.expiry.hour) == (5e4, False, 8)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**SWAP, "kind": "spread"}, "kind of contract 'X' is 'spread'; expected one of perpetual"),
        ({**SWAP, "strike": 1.0}, "contract 'X': unknown entry 'strike'"),
        ({k: v for k, v in OPTION.items() if k != "strike"}, "contract 'X': no entry 'strike'"),
        ({**SWAP, "multiplier": 0.0}, r"multiplier of X is 0\.0"),
        ({**OPTION, "strike": -1.0}, r"strike of X is -1\.0"),
    ],
)
def test_bad_contracts(record: dict[str, Any], message: str) -> None:
    with pytest.raises(PmkitError, match=message):
        contract_of(record)


def test_accounts_mix_own_and_parsed_contracts() -> None:
    rows = [
        {"type": "position", "instrument": "X", "qty": -2.5, "entry_price": 61_000.0},
        {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 10.0},
        {"type": "collateral", "instrument": "USDC", "qty": 5.0},
    ]
    account = account_of({**CASE, "account": rows}, "mixed")
    assert {p.instrument.name: p.qty for p in account.portfolio} == {"X": -2.5, "BTC-PERPETUAL": 10.0}
    assert [p.entry_price for p in account.portfolio if p.instrument.name == "X"] == [61_000.0]
    assert account.collateral == {"USDC": 5.0} and account.name == "mixed"
    with pytest.raises(SchemaError, match="two contracts of one name"):
        account_of({**CASE, "contracts": [SWAP, OPTION]}, "twice")
    with pytest.raises(SchemaError, match="unknown instrument 'Y'"):
        account_of({**CASE, "account": [{"type": "position", "instrument": "Y", "qty": 1.0}]}, "other")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"funding": {"ETH": 0.0}}, "case 'case': funding of 'ETH'; expected one of BTC"),
        ({"options": {"speed": 1.0}}, "unknown option 'speed' of paradex-pm"),
        ({"fx": {"USDC": -1.0}}, r"fx of USDC is -1\.0"),
        ({"contracts": [{**SWAP, "kind": None}]}, "kind of contract 'X' is None"),
        ({"contract": [SWAP]}, "unknown entry 'contract'"),
    ],
)
def test_bad_cases(tmp_path: Path, entries: dict[str, Any], message: str) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"cases": [{**CASE, **entries}]}))
    with pytest.raises((SchemaError, ParameterError), match=message):
        read_cases(file, "paradex-pm")


def test_a_case_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"cases": [{**CASE, "variant": "fee", "fx": {"USDC": 0.99}}]}))
    (case,) = read_cases(file, "paradex-pm")
    assert case.snapshot.market("BTC").funding == 0.0001
    assert case.rule.variant == "fee"
    assert case.account.portfolio.quantities.tolist() == [1.0]
