"""ES by risk class: sums, factors that do nothing, own classes, bad input."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

from pmkit.core.errors import ParameterError
from pmkit.instruments import Portfolio
from pmkit.market import MarketSnapshot
from pmkit.risk import RISK_CLASSES, expected_shortfall, revalue, shapley_by_risk_class
from pmkit.scenarios import FactorKind
from tests.unit.risk.conftest import random_scenarios

BALANCES = {"BTC": 3.0, "USDC": 1e4}


def test_every_kind_of_factor_has_a_class() -> None:
    assert set(RISK_CLASSES) == set(get_args(FactorKind))


@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
def test_classes_and_ageing_add_up_to_es(book: Portfolio, snapshot: MarketSnapshot, numeraire: str) -> None:
    scenarios = random_scenarios("sticky_moneyness")
    found = shapley_by_risk_class(book, snapshot, scenarios, 0.9, balances=BALANCES, numeraire=numeraire)
    found.check()
    assert found.table.index.to_list() == ["spot", "vol", "basis"]

    def es(shocks: np.ndarray) -> float:
        cube = revalue(book, snapshot, dataclasses.replace(scenarios, shocks=shocks))
        return float(expected_shortfall(cube.account_pnl(book, balances=BALANCES, numeraire=numeraire), 0.9))

    aged = es(np.zeros_like(scenarios.shocks))
    assert found.total == pytest.approx(es(scenarios.shocks) - aged, rel=1e-12)
    vol = np.array([f.kind == "vol" for f in scenarios.factors])
    assert found.table.loc["vol", "standalone"] == pytest.approx(es(np.where(vol, scenarios.shocks, 0.0)))


def test_a_class_that_does_not_touch_the_book_is_worth_nothing(
    book: Portfolio, snapshot: MarketSnapshot
) -> None:
    futures = book.with_positions(p for p in book if p.instrument.kind in ("perpetual", "spot"))
    found = shapley_by_risk_class(futures, snapshot, random_scenarios("sticky_strike"), 0.9)
    assert found.table.loc["vol", "value"] == pytest.approx(0.0, abs=1e-9)
    assert found.table.loc["spot", "value"] > 0.0


def test_own_classes_by_label(book: Portfolio, snapshot: MarketSnapshot) -> None:
    scenarios = random_scenarios("sticky_strike")
    own = {f.label: f.underlying for f in scenarios.factors}
    found = shapley_by_risk_class(book, snapshot, scenarios, 0.9, classes=own)
    assert found.table.index.to_list() == ["BTC", "ETH"]
    assert found.evaluations == 3
    with pytest.raises(ParameterError, match="factor 'BTC vol' has no risk class"):
        shapley_by_risk_class(book, snapshot, scenarios, classes={"spot": "spot"})
    with pytest.raises(ParameterError, match=r"level is 0\.2"):
        shapley_by_risk_class(book, snapshot, scenarios, 0.2)
