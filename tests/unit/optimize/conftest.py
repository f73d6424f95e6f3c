"""The real chain of 2026-08-01 and an account on it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import pmkit as pm
from pmkit.core.errors import PmkitWarning
from pmkit.margin.rule import AnyRule
from pmkit.market import MarketSnapshot, Quotes

CHAIN = "deribit-btc-2026-08-01"


@pytest.fixture(scope="session")
def quotes() -> Quotes:
    return pm.market.read_quotes(pm.datasets.path(CHAIN))


@pytest.fixture(scope="session")
def snap() -> MarketSnapshot:
    return pm.market.load_snapshot(CHAIN)


@pytest.fixture(scope="session")
def straddle(root: Path) -> pm.Account:
    return pm.Account.from_csv(root / "data" / "accounts" / "short_straddle.csv")


@pytest.fixture(scope="session")
def market_maker(root: Path) -> pm.Account:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        return pm.Account.from_csv(root / "data" / "accounts" / "market_maker.csv")


@pytest.fixture(scope="session")
def spm() -> AnyRule:
    return pm.margin.rule("deribit-pm", as_of="2026-08-01", stale="warn")
