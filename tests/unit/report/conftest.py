"""One small account under four rules, computed once for all tests of the room."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest

import pmkit as pm
from pmkit.core.errors import PmkitWarning
from pmkit.margin import Account, Comparison
from pmkit.market import MarketSnapshot


@pytest.fixture(scope="session")
def market() -> MarketSnapshot:
    """The real BTC chain."""
    return pm.market.load_snapshot("deribit-btc-2026-08-01")


@pytest.fixture(scope="session")
def straddle() -> Account:
    """A short straddle with a hedge, two lines that settle within the horizon, BTC and USDC."""
    as_of = "2026-08-01T17:58:04Z"
    held = {
        "BTC-25SEP26-62000-C": -10,
        "BTC-25SEP26-62000-P": -10,
        "BTC-2AUG26-62000-P": 2,
        "BTC-3AUG26": 50,
        "BTC-PERPETUAL": 2700,
    }
    rows = [{"type": "position", "instrument": n, "qty": q, "as_of": as_of} for n, q in held.items()]
    rows += [
        {"type": "collateral", "instrument": c, "qty": q, "as_of": as_of}
        for c, q in {"BTC": 4.5, "USDC": 40_000}.items()
    ]
    return Account.from_records(rows, name="straddle")


@pytest.fixture(scope="session")
def compared(market: MarketSnapshot, straddle: Account) -> Comparison:
    """The account under all four rules, with few paths."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        rules = [
            pm.margin.rule("es-fhs", n_paths=5_000),
            pm.margin.rule("var-hs"),
            pm.margin.rule("deribit-pm", stale="warn"),
            pm.margin.rule("deribit-standard", stale="warn"),
        ]
        return pm.margin.compare(straddle, market, rules=rules)


@pytest.fixture(scope="session")
def two_coins() -> tuple[Account, MarketSnapshot, Comparison]:
    """The shipped BTC and ETH account under the two rules of the venue."""
    market = pm.market.load_snapshot("deribit-btc-eth-2026-05-21")
    account = Account.from_csv(pm.datasets.path("account-btc-eth"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        rules = [pm.margin.rule(name, stale="warn") for name in ("deribit-pm", "deribit-standard")]
        common = pm.scenarios.grid([-0.2, -0.1, 0.0, 0.1, 0.2], dynamics="sticky_moneyness")
        return account, market, pm.margin.compare(account, market, rules=rules, common=common)


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    yield
    plt.close("all")
