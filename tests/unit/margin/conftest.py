"""Snapshots and accounts that the margin tests share."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from pmkit.core.errors import LotWarning
from pmkit.margin.account import Account
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
