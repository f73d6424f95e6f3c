"""Euler components: they add up, agree with derivatives, and carry honest errors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import Portfolio, Position, Spot
from pmkit.margin.accounts.account import Account
from pmkit.market import MarketSnapshot
from pmkit.risk import PnLCube, account_lines, euler_es, expected_shortfall, revalue
from pmkit.risk.attribution.euler import tail_shares
from pmkit.risk.tail import tail_of
from pmkit.scenarios import Factor, ScenarioSet
from tests.unit.risk.conftest import AS_OF, random_scenarios

BALANCES = {"BTC": 12.5, "ETH": -30.0, "USDC": 1e5}


@pytest.fixture(scope="module")
def cube(book: Portfolio, snapshot: MarketSnapshot) -> PnLCube:
    return revalue(book, snapshot, random_scenarios("sticky_moneyness"))


def toy(pnl: np.ndarray, weights: np.ndarray | None = None) -> tuple[PnLCube, Portfolio]:
    """A cube of coins whose unit profits are the rows given (prices of 100 that move by them)."""
    names = [f"C{i}" for i in range(pnl.shape[0])]
    snap = MarketSnapshot.from_marks(AS_OF, dict.fromkeys(names, 100.0))
    kinds = {
        "underlying": "",
        "settlement": "linear",
        "settlement_currency": "USD",
        "multiplier": 1.0,
        "lot": 1e-9,
    }
    coins = [Spot(name=n, **(kinds | {"underlying": n})) for n in names]
    scenarios = ScenarioSet(
        name="toy",
        factors=tuple(Factor("spot", n) for n in names),
        shocks=pnl.T / 100.0,
        horizon_days=0.0,
        dynamics="sticky_strike",
        spot_unit="relative",
        **({} if weights is None else {"weights": weights / weights.sum()}),
    )
    book = Portfolio(
        positions=tuple(Position(instrument=c, qty=1.0) for c in coins), as_of=pd.Timestamp(AS_OF), name="toy"
    )
    return revalue(book, snap, scenarios), book


def test_by_hand() -> None:
    """Losses (4, -1) and (2, 3) in the two worst of ten scenarios, ES 0.8 = mean of 3 and 5."""
    pnl = np.zeros((2, 10))
    pnl[:, 3], pnl[:, 7] = (-4.0, 1.0), (-2.0, -3.0)
    cube, book = toy(pnl)
    found = euler_es(cube, book, 0.8)
    assert found.es == pytest.approx(4.0)
    assert found.table["component"].to_list() == pytest.approx([3.0, 1.0])
    assert found.table["marginal"].to_list() == pytest.approx([3.0, 1.0])
    assert found.table["standalone"].to_list() == pytest.approx([3.0, 1.5])
    assert found.table["incremental"].to_list() == pytest.approx([4.0 - 1.5, 4.0 - 3.0])
    assert found.diversification == pytest.approx(1.0 - 4.0 / 4.5)


def test_ties_are_shared() -> None:
    """Three scenarios lose the same; one and a half of them are needed: any order gives the same parts."""
    pnl = np.zeros((2, 10))
    pnl[0, [1, 4, 8]], pnl[1, [1, 4, 8]] = (-6.0, 0.0, -3.0), (0.0, -6.0, -3.0)
    cube, book = toy(pnl)
    found = euler_es(cube, book, 0.85)
    assert found.ties == 3
    assert found.es == pytest.approx(6.0)
    assert found.table["component"].to_list() == pytest.approx([3.0, 3.0])
    turned, _ = toy(pnl[:, ::-1])
    assert euler_es(turned, book, 0.85).table["component"].to_list() == pytest.approx([3.0, 3.0])


@pytest.mark.parametrize("numeraire", ["USD", "BTC"])
@pytest.mark.parametrize("by", ["line", "underlying", "expiry", "kind", "settlement"])
def test_components_add_up(cube: PnLCube, book: Portfolio, by: str, numeraire: str) -> None:
    found = euler_es(cube, book, 0.9, by=by, balances=BALANCES, numeraire=numeraire)
    pnl = cube.account_pnl(book, balances=BALANCES, numeraire=numeraire)
    assert found.es == pytest.approx(float(expected_shortfall(pnl, 0.9)), rel=1e-12)
    gross = float(found.table["component"].abs().sum())
    assert abs(float(found.table["component"].sum()) - found.es) <= 1e-12 * gross
    found.check()


def test_lines_of_an_account_add_up_to_it(cube: PnLCube, book: Portfolio) -> None:
    account = Account(portfolio=book, collateral=BALANCES)
    lines = account_lines(cube, account)
    assert lines.names[-2:] == ("collateral BTC", "collateral ETH")
    np.testing.assert_allclose(
        np.add.reduce(lines.pnl, axis=0),
        cube.account_pnl(account),
        rtol=0,
        atol=1e-9 * np.abs(lines.pnl).max(),
    )
    grouped = lines.grouped("underlying")
    assert grouped.names == ("BTC", "ETH")
    np.testing.assert_allclose(
        np.add.reduce(grouped.pnl, axis=0), np.add.reduce(lines.pnl, axis=0), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.LotWarning")
def test_component_is_quantity_times_derivative(cube: PnLCube, book: Portfolio) -> None:
    """ES is homogeneous and piecewise linear: a small change of one quantity shows the slope."""
    found = euler_es(cube, book, 0.9)
    for at, position in enumerate(book):
        moved = [
            float(expected_shortfall(cube.account_pnl(book.with_positions(
                replace(p, qty=p.qty + (sign * 1e-7 if p is position else 0.0)) for p in book
            )), 0.9))
            for sign in (1.0, -1.0)
        ]  # fmt: skip
        slope = (moved[0] - moved[1]) / 2e-7
        marginal = float(found.table["marginal"].iloc[at])
        assert slope == pytest.approx(marginal, abs=1e-3 * abs(marginal) + 2e-2)


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.LotWarning")
def test_splitting_and_order_change_nothing(cube: PnLCube, book: Portfolio) -> None:
    whole = euler_es(cube, book, 0.9)
    turned = euler_es(cube, book.with_positions(tuple(book)[::-1]), 0.9)
    pd.testing.assert_frame_equal(
        whole.table[["component", "standalone"]].iloc[::-1],
        turned.table[["component", "standalone"]],
        rtol=1e-9,
    )
    half = euler_es(cube, book.with_positions(replace(p, qty=0.5 * p.qty) for p in book), 0.9)
    assert 2.0 * half.es == pytest.approx(whole.es, rel=1e-12)
    np.testing.assert_allclose(2.0 * half.table["component"], whole.table["component"], rtol=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5), st.sampled_from([0.5, 0.8, 0.9]), st.booleans())
def test_any_sample_adds_up(seed: int, lines: int, level: float, weighted: bool) -> None:
    draws = stream(seed, "toy")
    pnl = np.round(draws.normal(0.0, 5.0, (lines, 30)), 1)
    weights = draws.integers(1, 5, 30).astype(float) if weighted else None
    cube, book = toy(pnl, weights)
    found = euler_es(cube, book, level)
    found.check()
    assert found.es == pytest.approx(float(expected_shortfall(pnl.sum(axis=0), level, weights)), abs=1e-9)
    standalone, component = found.table["standalone"], found.table["component"]
    assert (component <= standalone + 1e-9).all()
    assert (found.table["incremental"] <= standalone + 1e-9).all()


def test_errors_are_what_repetition_shows() -> None:
    corr = np.array([[1.0, 0.6], [0.0, 0.8]])
    parts, errors = [], []
    for repetition in range(120):
        z = stream(repetition, "euler").standard_normal((2000, 2))
        cube, book = toy((z @ corr).T)
        found = euler_es(cube, book, 0.95, n_boot=40 if repetition < 3 else 0)
        parts.append(found.table["component"])
        errors.append(found.table["se"])
        if repetition < 3:
            np.testing.assert_allclose(found.table["se_bootstrap"], found.table["se"], rtol=0.4)
    spread = np.std(np.array(parts), axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(np.array(errors), axis=0), spread, rtol=0.2)
    # normal law: component = cov(x_i, x)/sd(x) * ES of a standard normal
    covariance = corr.T @ corr
    sd = math.sqrt(covariance.sum())
    np.testing.assert_allclose(
        np.mean(np.array(parts), axis=0), covariance.sum(axis=0) / sd * 2.0627128, rtol=0.02
    )


def test_error_of_the_sum_is_that_of_es(cube: PnLCube, book: Portfolio) -> None:
    """One group only: its error is that of the account's ES."""
    found = euler_es(cube, book, 0.9, by={p.instrument.name: "all" for p in book})
    figure = expected_shortfall(cube.account_pnl(book), 0.9)
    assert found.table.index.to_list() == ["all"]
    assert float(found.table["se"].iloc[0]) == pytest.approx(figure.se_simulation, rel=0.2)


def test_tail_shares_are_those_of_the_figure() -> None:
    pnl = stream(3, "shares").standard_normal(400)
    shares, ties = tail_shares(tail_of(pnl, 0.97))
    figure = expected_shortfall(pnl, 0.97)
    listed = np.zeros(400)
    listed[figure.tail_scenarios["scenario"]] = figure.tail_scenarios["share"]
    np.testing.assert_allclose(shares, listed, atol=1e-12)
    assert ties == 1


def test_display_and_check(cube: PnLCube, book: Portfolio) -> None:
    found = euler_es(cube, book, 0.9, by="underlying", balances=BALANCES)
    assert found.summary().index.to_list()[-1] == "account"
    assert "USD" in found.plot().get_xlabel()
    assert found.cite() == ("tasche1999", "acerbi2002")
    assert set(found.to_dict()) >= {"component", "se", "incremental"}
    with pytest.raises(PmkitError, match="components add up to"):
        replace(found, es=found.es + 1.0).check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "desk"}, "by is 'desk'; expected one of line, underlying"),
        ({"by": {}}, "the mapping has no group for"),
        ({"level": 0.3}, "level is 0.3"),
        ({"n_boot": 1}, "n_boot is 1"),
    ],
)
def test_bad_arguments(cube: PnLCube, book: Portfolio, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        euler_es(cube, book, **arguments)


def test_empty_and_foreign_accounts(cube: PnLCube, book: Portfolio) -> None:
    nothing = book.with_positions(())
    with pytest.raises(ParameterError, match="neither positions nor a balance"):
        euler_es(cube, nothing, balances={"USDC": 5.0})
    assert euler_es(cube, nothing, 0.9, balances={"BTC": 1.0}).table.index.to_list() == ["collateral BTC"]
    _, foreign = toy(np.zeros((1, 3)))
    with pytest.raises(DataGapError, match="C0 was not revalued"):
        euler_es(cube, foreign)
