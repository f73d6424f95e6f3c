"""Contracts that a case file describes itself, because no venue's parser knows their names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pmkit.core.errors import LotWarning, SchemaError
from pmkit.core.time import parse_utc
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account

__all__ = ["OBLIGATIONS", "account_of", "contract_of"]

#: entries of a case with what the account owes beside its positions, by currency
OBLIGATIONS = ("mmp_margin", "open_order_margin")

_COMMON = ("name", "kind", "underlying", "settlement", "settlement_currency", "multiplier")
_MORE: dict[str, tuple[str, ...]] = {
    "perpetual": (),
    "spot": (),
    "future": ("expiry",),
    "option": ("expiry", "strike", "is_call"),
}


def contract_of(record: Mapping[str, Any]) -> Instrument:
    """Return the contract of a record of a case file; its lot is 1e-9 where the record has none.

    Parameters
    ----------
    record : mapping
        ``name``, ``kind`` (perpetual, spot, future or option), ``underlying``, ``settlement``,
        ``settlement_currency``, ``multiplier`` (units of underlying, or USD for inverse futures), and by kind
        ``expiry``, ``strike``, ``is_call``; optional ``lot``.

    Raises
    ------
    SchemaError
        An entry is missing, unknown, or of another kind.
    ParameterError, ConventionError
        A value that no contract has.

    Examples
    --------
    >>> swap = contract_of({"name": "BTC-USDT-SWAP", "kind": "perpetual", "underlying": "BTC",
    ...     "settlement": "linear", "settlement_currency": "USDT", "multiplier": 0.01})
    >>> swap.kind, swap.multiplier
    ('perpetual', 0.01)
    """
    kind = record.get("kind")
    if kind not in _MORE:
        raise SchemaError(
            f"kind of contract {record.get('name')!r} is {kind!r}",
            f"one of {', '.join(_MORE)}",
            "name the kind",
        )
    wanted = (*_COMMON, *_MORE[kind])
    missing = [key for key in wanted if key not in record]
    unknown = [key for key in record if key not in (*wanted, "lot")]
    if missing or unknown:
        found = f"no entry {missing[0]!r}" if missing else f"unknown entry {unknown[0]!r}"
        raise SchemaError(
            f"contract {record.get('name')!r}: {found}",
            f"the entries {', '.join(wanted)}, and lot where it matters",
            "complete or correct the record",
        )
    common: dict[str, Any] = {key: record[key] for key in _COMMON if key != "kind"}
    common["multiplier"] = float(record["multiplier"])
    common["lot"] = float(record.get("lot", 1e-9))
    if kind in ("perpetual", "spot"):
        return (Perpetual if kind == "perpetual" else Spot)(**common)
    expiry = parse_utc(record["expiry"])
    if kind == "future":
        return Future(**common, expiry=expiry)
    return Option(**common, expiry=expiry, strike=float(record["strike"]), is_call=bool(record["is_call"]))


def account_of(record: Mapping[str, Any], name: str) -> Account:
    """Return the account of a case: rows of an account file, in contracts of the case or of the parser.

    Raises
    ------
    SchemaError
        Two contracts of one name, or a row that an account file refuses.
    """
    described = [contract_of(one) for one in record.get("contracts", [])]
    contracts = {contract.name: contract for contract in described}
    if len(contracts) < len(described):
        raise SchemaError("two contracts of one name", "a name for each", "correct the contracts")
    rows = [{"as_of": record["as_of"], **row} for row in record["account"]]
    own = [row for row in rows if row.get("type") == "position" and row.get("instrument") in contracts]
    rest = [row for row in rows if row not in own]
    if rest:
        account = Account.from_records(rest, name=name)
    else:
        account = Account(
            portfolio=Portfolio(positions=(), as_of=parse_utc(record["as_of"]), name=name), name=name
        )
    held = [
        Position(
            instrument=contracts[row["instrument"]],
            qty=float(row["qty"]),
            entry_price=None if row.get("entry_price") is None else float(row["entry_price"]),
        )
        for row in own
    ]
    with warnings.catch_warnings():
        # sizes of published cases need not be multiples of a lot
        warnings.simplefilter("ignore", LotWarning)
        portfolio = account.portfolio.with_positions((*account.portfolio, *held))
    owed: dict[str, Any] = {entry: dict(record.get(entry, {})) for entry in OBLIGATIONS}
    return replace(account, portfolio=portfolio, **owed)
