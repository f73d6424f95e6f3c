"""Snapshots and accounts that the margin tests share."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import pytest

from pmkit.core.errors import LotWarning
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.contracts import account_of
from pmkit.market.snapshot import MarketSnapshot

AS_OF = "2024-06-10T08:00:00Z"
EXPIRIES = {
    "14JUN24": "2024-06-14T08:00:00Z",
    "28JUN24": "2024-06-28T08:00:00Z",
    "27DEC24": "2024-12-27T08:00:00Z",
}


@pytest.fixture(scope="session")
def make_account() -> Callable[..., Account]:
    """Return a maker of accounts from quantities by instrument name and collateral by currency."""

    def make(
        held: Mapping[str, float] | None = None,
        collateral: Mapping[str, float] | None = None,
        as_of: str = AS_OF,
        **more: Any,
    ) -> Account:
        rows = [
            {"type": "position", "instrument": name, "qty": qty, "as_of": as_of}
            for name, qty in (held or {}).items()
        ]
        rows += [
            {"type": "collateral", "instrument": c, "qty": x, "as_of": as_of}
            for c, x in (collateral or {}).items()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LotWarning)
            return dataclasses.replace(Account.from_records(rows), **more)

    return make


@pytest.fixture(scope="session")
def market() -> MarketSnapshot:
    """Return BTC at 60 000 with three expiries in contango and vols by strike, ETH at 3 000 likewise."""
    expiries = [pd.Timestamp(e) for e in EXPIRIES.values()]
    days = [(e - pd.Timestamp(AS_OF)).days for e in expiries]
    spot = {"BTC": 60_000.0, "ETH": 3_000.0}
    forwards = {
        u: {e: s * (1.0 + 0.10 * d / 365.0) for e, d in zip(EXPIRIES.values(), days, strict=True)}
        for u, s in spot.items()
    }
    iv = {}
    for code in EXPIRIES:
        for strike in range(20_000, 160_000, 5_000):
            for side in "CP":
                iv[f"BTC-{code}-{strike}-{side}"] = 0.50 + 0.30 * abs(strike / 60_000.0 - 1.0)
                iv[f"ETH-{code}-{strike // 20}-{side}"] = 0.60 + 0.30 * abs(strike / 60_000.0 - 1.0)
    return MarketSnapshot.from_marks(
        AS_OF, spot, forwards=forwards, option_iv=iv, perpetual={"BTC": 60_030.0, "ETH": 3_001.5}
    )


#: instant of the accounts of :class:`Venue`
VENUE_AS_OF = "2026-02-01T08:00:00Z"
_SPOT = {"BTC": 60_000.0, "ETH": 3_000.0, "LTC": 100.0}
_DAYS = {"7d": 7, "30d": 30, "180d": 180}


class Venue:
    """Accounts and markets of contracts that no parser knows.

    Names are ``COIN-PERP-CCY``, ``COIN-30d-CCY`` (future) and ``COIN-30d-65000-C-CCY``; CCY is USDT, USDC, or
    USD for a coin-settled contract.
    """

    spot = _SPOT

    @staticmethod
    def contract(name: str) -> dict[str, Any]:
        coin, tenor, *rest, ccy = name.split("-")
        inverse = ccy == "USD"
        record: dict[str, Any] = {
            "name": name,
            "underlying": coin,
            "settlement": "inverse" if inverse else "linear",
            "settlement_currency": coin if inverse else ccy,
            "multiplier": 100.0 if inverse and not rest else 1.0,
            "kind": "option" if rest else "perpetual" if tenor == "PERP" else "future",
        }
        if tenor != "PERP":
            expiry = pd.Timestamp(VENUE_AS_OF) + pd.Timedelta(days=_DAYS[tenor])
            record["expiry"] = expiry.isoformat()
        if rest:
            record |= {"strike": float(rest[0]), "is_call": rest[1] == "C"}
        return record

    def account(
        self,
        held: Mapping[str, float],
        collateral: Mapping[str, float] | None = None,
        entry: Mapping[str, float] | None = None,
        as_of: str = VENUE_AS_OF,
    ) -> Account:
        rows = [
            {"type": "position", "instrument": n, "qty": q, "entry_price": (entry or {}).get(n)}
            for n, q in held.items()
        ]
        rows += [{"type": "collateral", "instrument": c, "qty": x} for c, x in (collateral or {}).items()]
        record = {"as_of": as_of, "contracts": [self.contract(n) for n in held], "account": rows}
        return account_of(record, "account")

    def market(
        self, names: Iterable[str] = (), iv: float = 0.6, funding: float | None = 0.0001, **more: Any
    ) -> MarketSnapshot:
        forwards = {
            coin: {
                (pd.Timestamp(VENUE_AS_OF) + pd.Timedelta(days=d)).isoformat(): s * (1.0 + 0.05 * d / 365.0)
                for d in _DAYS.values()
            }
            for coin, s in _SPOT.items()
        }
        vols = {n: iv for n in names if n.count("-") == 4}
        given = {"perpetual": {coin: 1.001 * s for coin, s in _SPOT.items()}, **more}
        rates = {} if funding is None else dict.fromkeys(_SPOT, funding)
        return MarketSnapshot.from_marks(
            VENUE_AS_OF, _SPOT, forwards=forwards, option_iv=vols, funding=rates, **given
        )


@pytest.fixture(scope="session")
def venue() -> Venue:
    """Return the maker of accounts and markets of venues other than Deribit."""
    return Venue()
