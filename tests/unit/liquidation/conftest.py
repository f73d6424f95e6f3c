"""A bitcoin market and accounts in it that the liquidation tests share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping

import pandas as pd
import pytest

from pmkit.core.errors import PmkitWarning
from pmkit.margin import Account, rule
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

START = "2024-06-10T08:00:00Z"


@pytest.fixture(autouse=True)
def _said_elsewhere() -> Iterator[None]:
    """Parameter sets of other days and odd lots are tested where they belong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        yield


@pytest.fixture(scope="session")
def market() -> MarketSnapshot:
    """Return BTC at 60 000 with two expiries, vols by strike and funding of 0.01 % in eight hours."""
    ivs = {
        f"BTC-{code}-{strike}-{side}": 0.5 + 0.3 * abs(strike / 60_000.0 - 1.0)
        for code in ("14JUN24", "27DEC24")
        for strike in range(30_000, 100_000, 5_000)
        for side in "CP"
    }
    return MarketSnapshot.from_marks(
        START,
        {"BTC": 60_000.0},
        forwards={"BTC": {"2024-06-14T08:00:00Z": 60_060.0, "2024-12-27T08:00:00Z": 63_000.0}},
        option_iv=ivs,
        perpetual={"BTC": 60_030.0},
        funding={"BTC": 0.0001},
    )


@pytest.fixture(scope="session")
def hold() -> Callable[..., Account]:
    """Return a maker of accounts from quantities by instrument name and collateral by currency."""

    def make(held: Mapping[str, float], collateral: Mapping[str, float], name: str = "account") -> Account:
        kinds = (("position", held), ("collateral", collateral))
        frame = pd.DataFrame(
            [(kind, n, q, START) for kind, rows in kinds for n, q in rows.items()],
            columns=["type", "instrument", "qty", "as_of"],
        )
        return Account.from_frame(frame, name)

    return make


@pytest.fixture(scope="session")
def matrix() -> AnyRule:
    return rule("deribit-pm", as_of="2024-06-10", stale="warn")


@pytest.fixture(scope="session")
def standard() -> AnyRule:
    return rule("deribit-standard", as_of="2024-06-10", stale="warn")
