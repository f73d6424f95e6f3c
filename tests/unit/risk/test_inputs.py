"""Arguments of the wrong kind or unit are refused by name in every function that takes them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.instruments import Portfolio
from pmkit.market import MarketSnapshot
from pmkit.risk import (
    Spectrum,
    account_lines,
    account_measures,
    euler_es,
    expected_shortfall,
    explain_pnl,
    revaluation_gap,
    revalue,
    revalue_grid,
    revalue_taylor,
    reverse_stress,
    scenario_covariance,
    shapley,
    shapley_by_risk_class,
    trade_measures,
    worst_scenario,
)
from pmkit.risk.inputs import check_held, check_market
from pmkit.risk.taylor_terms import TAYLOR_TERMS, TERMS
from pmkit.scenarios import Factor, FactorCovariance, grid

SNAP = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
LINE = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
BOOK = Portfolio.from_records([LINE])
MOVES = grid([-0.1, 0.0, 0.1], dynamics="sticky_strike", underlyings=["BTC"])
CUBE = revalue(BOOK, SNAP, MOVES)
COV = FactorCovariance(factors=(Factor("spot", "BTC"),), matrix=np.array([[0.0016]]), horizon_days=1.0)
HELD = pd.DataFrame({"BTC-PERPETUAL": [1.0, 2.0]}, index=["a", "b"])
PNL = np.linspace(-1.0, 1.0, 200)


@pytest.mark.parametrize("revalued", [revalue, revalue_taylor])
def test_every_argument_of_a_revaluation_is_looked_at(revalued) -> None:
    for book in (None, "book.csv", SNAP):
        with pytest.raises(ConventionError, match=r"^the book is a .*; expected a Portfolio or instruments"):
            revalued(book, SNAP, MOVES)
    for snapshot in (None, BOOK):
        with pytest.raises(ConventionError, match=r"^snapshot is a .*; expected a MarketSnapshot"):
            revalued(BOOK, snapshot, MOVES)
    for scenarios in (None, [MOVES], MOVES.to_frame()):
        with pytest.raises(ConventionError, match=r"^scenarios is a .*; expected a ScenarioSet"):
            revalued(BOOK, SNAP, scenarios)


def test_the_grid_interpolator_too() -> None:
    with pytest.raises(ConventionError, match="expected a ScenarioSet"):
        revalue_grid(BOOK, SNAP, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda held: CUBE.account_pnl(held),
        lambda held: account_lines(CUBE, held),
        lambda held: euler_es(CUBE, held, 0.9),
        lambda held: explain_pnl(held, SNAP, MOVES),
        lambda held: shapley_by_risk_class(held, SNAP, MOVES, 0.9),
        lambda held: worst_scenario(held, SNAP, COV, 2.0, dynamics="sticky_strike"),
        lambda held: reverse_stress(held, SNAP, COV, 5.0, dynamics="sticky_strike"),
        lambda held: account_measures(CUBE, {"a": held}),
        lambda held: trade_measures(CUBE, held, HELD),
    ],
)
@pytest.mark.parametrize("held", [None, 5.0, "book.csv"])
def test_what_is_held(call, held) -> None:
    with pytest.raises(ConventionError, match=r"^what is held is a .*; expected a Portfolio or an Account"):
        call(held)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: account_measures(None, HELD), "PnLCube"),
        (lambda: trade_measures(None, BOOK, HELD), "PnLCube"),
        (lambda: account_lines(None, BOOK), "PnLCube"),
        (lambda: explain_pnl(BOOK, SNAP, "later"), "ScenarioSet"),
        (lambda: worst_scenario(BOOK, SNAP, np.eye(1), 2.0, dynamics="sticky_strike"), "FactorCovariance"),
        (lambda: reverse_stress(BOOK, SNAP, np.eye(1), 2.0, dynamics="sticky_strike"), "FactorCovariance"),
        (lambda: scenario_covariance(np.eye(1)), "ScenarioSet"),
        (lambda: check_market(BOOK), "MarketSnapshot"),
        (lambda: CUBE.account_pnl(BOOK, balances=[1.0]), "Mapping"),
    ],
)
def test_other_arguments(call, kind: str) -> None:
    with pytest.raises(ConventionError, match=f"; expected a {kind}; remedy"):
        call()


def test_check_held_takes_accounts() -> None:
    from pmkit import Account

    check_held(Account(portfolio=BOOK))
    check_held(BOOK)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: CUBE.account_pnl(BOOK, balances={"BTC": "1"}), "^collateral in BTC is '1'"),
        (lambda: CUBE.account_pnl(BOOK, balances={"BTC": math.nan}), "^collateral in BTC is nan"),
        (lambda: expected_shortfall(PNL, 0.9, ["a"] * 200), "^weights are not numeric"),
        (lambda: revaluation_gap(["a"] * 3, np.zeros(3), MOVES), "^full profit is not numeric"),
        (lambda: account_measures(CUBE, HELD.set_axis(["a", "a"])), "^positions name account 'a' twice"),
        (lambda: shapley(["a", "b"], lambda s: None), "^value of a is None; expected a finite number"),
        (lambda: revalue_taylor(BOOK, SNAP, MOVES, terms=None), "^the term None"),
        (lambda: Spectrum(name="x", levels=(0.9,), shares=(0.5,)), r"^levels \(0.9,\), shares \(0.5,\)"),
        (lambda: Spectrum(name="x", aversion=-1.0), "and aversion -1.0"),
        (lambda: Spectrum(name="x", levels=(0.9,), shares=(1.0,), aversion=2.0), "and aversion 2.0"),
        (lambda: expected_shortfall(PNL, 0.9, n_boot=2, seed=-1), "^seed is -1; expected a whole number"),
    ],
)
def test_values_that_are_no_numbers(call, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        call()


def test_a_covariance_in_percent() -> None:
    wide = FactorCovariance(factors=COV.factors, matrix=np.array([[1600.0]]), horizon_days=1.0)
    with pytest.raises(ConventionError, match="BTC spot has a standard deviation of 40: looks like percent"):
        worst_scenario(BOOK, SNAP, wide, 2.0, dynamics="sticky_strike")


def test_terms_of_the_expansion_are_named_in_their_order() -> None:
    assert tuple(TERMS) == TAYLOR_TERMS


def test_bars_of_long_calls(monkeypatch, capsys) -> None:
    from pmkit.core import progress

    now = iter(np.arange(0.0, 1e4, 1.5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    for players in (3, 13):
        shapley([f"p{k}" for k in range(players)], len, n_permutations=4, progress=True)
    shown = capsys.readouterr().err
    assert "coalitions" in shown and "orders" in shown
    shapley(["a", "b", "c"], len, progress=False)
    assert capsys.readouterr().err == ""


def test_bars_of_searches(monkeypatch, capsys) -> None:
    from pmkit.core import progress

    now = iter(np.arange(0.0, 1e5, 1.5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    kind = {"dynamics": "sticky_strike", "n_points": 64, "starts": 1, "progress": True}
    worst_scenario(BOOK, SNAP, COV, 2.0, **kind)
    assert "scenarios revalued" in capsys.readouterr().err
    reverse_stress(BOOK, SNAP, COV, 50.0, **kind)
    assert "scenarios revalued" in capsys.readouterr().err
