"""Measures of many accounts at once against one account at a time and a plain twin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pmkit import Account
from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.instruments import Portfolio, Position
from pmkit.risk import (
    account_measures,
    expected_shortfall,
    revalue,
    trade_measures,
    value_at_risk,
    warmup_accounts,
)
from pmkit.risk.accounts import tails
from pmkit.risk.accounts_table import account_table
from pmkit.scenarios import grid

from .conftest import AS_OF, random_scenarios


def plain_tails(matrix, held, base, keep):
    """A dense product and a full sort: worst first, ties by number."""
    pnl = base + held @ matrix
    order = np.argsort(pnl, axis=1, kind="stable")[:, :keep]
    return np.take_along_axis(pnl, order, axis=1), order


def table_of(held):
    return account_table(sparse.csr_array(held), [f"i{k}" for k in range(held.shape[1])])


@pytest.fixture(scope="module")
def cube(instruments, snapshot):
    return revalue(instruments, snapshot, random_scenarios("sticky_delta", n=1500))


@pytest.fixture(scope="module")
def held(instruments):
    rng = stream(51, "held")
    quantity = np.round(rng.normal(0.0, 20.0, (60, len(instruments))))
    quantity *= rng.random(quantity.shape) < 0.4
    names = [i.name for i in instruments]
    return pd.DataFrame(quantity, columns=names, index=pd.Index([f"a{k}" for k in range(60)], name="account"))


@pytest.fixture(scope="module")
def balances(held):
    rng = stream(52, "cash")
    return pd.DataFrame({"BTC": rng.normal(0.0, 1.0, 60), "USDC": rng.normal(0.0, 1e4, 60)}, index=held.index)


def portfolio(instruments, row):
    lines = tuple(Position(instrument=i, qty=float(q)) for i, q in zip(instruments, row, strict=True) if q)
    return Portfolio(positions=lines, as_of=pd.Timestamp(AS_OF), name="one")


@pytest.mark.parametrize("numeraire", ["USD", "BTC", "ETH"])
@pytest.mark.parametrize("level", [0.975, 0.999])
def test_many_accounts_equal_one_at_a_time(cube, held, balances, instruments, numeraire, level):
    found = account_measures(cube, held, level=level, balances=balances, numeraire=numeraire)
    found.check()
    for at in range(0, 60, 7):
        pnl = cube.account_pnl(
            portfolio(instruments, held.iloc[at]), balances=dict(balances.iloc[at]), numeraire=numeraire
        )
        row = found.values.iloc[at]
        assert row["es"] == pytest.approx(expected_shortfall(pnl, level).value, rel=1e-11)
        assert row["var"] == pytest.approx(value_at_risk(pnl, level).value, rel=1e-11)
        assert row["worst_scenario"] == np.argmin(pnl)


def test_unequal_weights_count(instruments, snapshot, held):
    import dataclasses

    scenarios = random_scenarios("sticky_strike", n=700)
    weights = stream(53, "weights").random(700) ** 4
    scenarios = dataclasses.replace(scenarios, weights=weights / weights.sum())
    cube = revalue(instruments, snapshot, scenarios)
    found = account_measures(cube, held, level=0.99)
    for at in range(0, 60, 11):
        pnl = cube.account_pnl(portfolio(instruments, held.iloc[at]))
        assert found.values["es"].iloc[at] == pytest.approx(
            expected_shortfall(pnl, 0.99, scenarios.weights).value, rel=1e-12
        )
        assert found.values["var"].iloc[at] == pytest.approx(
            value_at_risk(pnl, 0.99, scenarios.weights).value, rel=1e-12
        )


def test_threads_forms_and_order_of_accounts_do_not_matter(cube, held, instruments):
    one = account_measures(cube, pd.concat([held] * 20, ignore_index=True))
    many = account_measures(cube, pd.concat([held] * 20, ignore_index=True), threads=3)
    assert one.values.equals(many.values)
    assert np.array_equal(one.values.to_numpy()[:60], one.values.to_numpy()[-60:])
    by_matrix = account_measures(cube, sparse.csr_array(held.to_numpy()))
    by_name = account_measures(cube, {n: portfolio(instruments, held.loc[n]) for n in held.index})
    mixed = account_measures(cube, held[held.columns[::-1]].iloc[::-1])
    for other in (by_matrix.values.to_numpy(), by_name.values.to_numpy(), mixed.values.to_numpy()[::-1]):
        assert np.array_equal(account_measures(cube, held).values.to_numpy(), other)


def test_float32_is_close(cube, held, balances):
    double = account_measures(cube, held, balances=balances).values
    single = account_measures(cube, held, balances=balances, single=True).values
    assert np.allclose(single["es"], double["es"], rtol=3e-6)
    assert not np.array_equal(single["es"], double["es"])


def test_accounts_bring_their_balances(cube, held, instruments, snapshot):
    account = Account(portfolio=portfolio(instruments, held.iloc[3]), collateral={"BTC": 2.0, "USDC": 5.0})
    found = account_measures(cube, {"mine": account}, measures=("es",))
    assert list(found.values) == ["es", "worst_pnl", "worst_scenario"]
    pnl = cube.account_pnl(account)
    assert found.values["es"].iloc[0] == pytest.approx(expected_shortfall(pnl).value, rel=1e-12)


@settings(max_examples=25)
@given(
    accounts=st.integers(1, 6),
    size=st.integers(1, 900),
    keep=st.integers(1, 120),
    seed=st.integers(0, 10_000),
    ties=st.booleans(),
)
def test_the_kernel_keeps_exactly_the_worst(accounts, size, keep, seed, ties):
    rng = stream(seed, "kernel")
    matrix = rng.standard_normal((9, size))
    if ties:
        matrix = np.round(matrix)
    held = np.round(rng.standard_normal((accounts, 9)))
    base = np.round(rng.standard_normal(size))
    keep = min(keep, size)
    found = tails(matrix, table_of(held), keep, base=base)
    profit, order = plain_tails(matrix, held, base, keep)
    assert np.allclose(found.profit, profit, rtol=0.0, atol=1e-12)
    if ties:
        assert np.array_equal(found.profit, profit) and np.array_equal(found.scenario, order)


@pytest.mark.parametrize(("size", "keep"), [(10_000, 251), (10_000, 101), (1000, 11), (64, 64)])
def test_long_and_short_tails_of_accounts_that_differ_or_not(size, keep):
    rng = stream(54, "tails", size, keep)
    matrix = np.round(100.0 * rng.standard_normal((5, size)))
    held = np.vstack([np.zeros((2, 5)), 0.01 * rng.integers(0, 2, (4, 5)), rng.integers(-9, 9, (4, 5))])
    base = np.round(100.0 * rng.standard_normal(size))
    for ground in (base, np.zeros(size)):
        found = tails(matrix, table_of(held), keep, base=ground)
        profit, order = plain_tails(matrix, held, ground, keep)
        assert np.allclose(found.profit, profit, rtol=0.0, atol=1e-10)
        whole = np.arange(6, 10)  # sums of whole numbers: ties are ties
        assert np.array_equal(found.scenario[whole], order[whole])
    assert np.array_equal(found.scenario[0], np.arange(keep))


def test_trades_equal_accounts_that_hold_them(cube, held, balances, instruments):
    before = portfolio(instruments, held.iloc[0])
    trades = held.iloc[1:30] * 0.1
    cash = dict(balances.iloc[0])
    found = trade_measures(cube, before, trades, balances=cash, payments=balances.iloc[1:30], level=0.99)
    found.check()
    assert found.before["es"] == pytest.approx(
        expected_shortfall(cube.account_pnl(before, balances=cash), 0.99).value, rel=1e-12
    )
    together = held.iloc[0] + trades
    after = account_measures(cube, together, balances=balances.iloc[0] + balances.iloc[1:30], level=0.99)
    for name in ("es", "var"):
        assert np.allclose(found.after[name], after.values[name], rtol=1e-11)
    assert np.allclose(found.change["es"], after.values["es"] - found.before["es"], atol=1e-6)
    assert len(found.summary()) == 10 and len(found) == 29
    assert found.plot().get_xlabel().startswith("trade")
    twice = trade_measures(cube, before, trades, balances=cash, threads=2)
    assert twice.after.equals(trade_measures(cube, before, trades, balances=cash).after)


def test_display_of_many_accounts(cube, held):
    found = account_measures(cube, held)
    assert list(found.summary().index) == ["es", "var"]
    assert found.summary().loc["es", "account"] == found.values["es"].idxmax()
    assert found.plot().get_ylabel() == "share of accounts"
    assert found.cite() == ("acerbi2002",) and len(found) == 60
    wrong = found.values.assign(es=found.values["var"] - 1.0)
    with pytest.raises(PmkitError, match="ES below VaR"):
        type(found)(values=wrong, level=0.9, numeraire="USD", scenarios=5).check()
    with pytest.raises(PmkitError, match="es above the worst loss"):
        type(found)(values=wrong.assign(es=1e12), level=0.9, numeraire="USD", scenarios=5).check()


def test_messages_about_positions(cube, held, balances):
    with pytest.raises(DataGapError, match=r"^XYZ was not revalued; expected one of the cube's 22 instr"):
        account_measures(cube, held.assign(XYZ=1.0))
    bad = held.copy()
    bad.iloc[4, 2] = np.nan
    with pytest.raises(ParameterError, match=r"^positions of account 'a4' in .* is nan; expected a finite"):
        account_measures(cube, bad)
    with pytest.raises(ParameterError, match=r"^positions are a list of shape None"):
        account_measures(cube, [1.0, 2.0])
    with pytest.raises(ParameterError, match=r"^account 1 holds inf of "):
        table = sparse.csr_array(held.to_numpy())
        table.data[table.indptr[1]] = np.inf
        account_measures(cube, table)
    with pytest.raises(ParameterError, match=r"^balances of 59 accounts for positions of 60"):
        account_measures(cube, held, balances=balances.iloc[1:])
    with pytest.raises(ParameterError, match=r"^there is no account"):
        account_measures(cube, held.iloc[:0])
    with pytest.raises(ParameterError, match=r"^positions are not numeric"):
        account_measures(cube, held.astype(object).replace(0.0, "none"))
    with pytest.raises(ParameterError, match=r"^positions name a column twice"):
        account_measures(cube, pd.concat([held, held.iloc[:, :1]], axis=1))
    with pytest.raises(ParameterError, match=r"^balances besides accounts by name"):
        account_measures(cube, {}, balances=balances)
    with pytest.raises(ParameterError, match=r"^level is 0\.01; expected a level from 0\.5"):
        account_measures(cube, held, level=0.01)
    with pytest.raises(ParameterError, match=r"^measures is \('cvar',\)"):
        account_measures(cube, held, measures=("cvar",))
    with pytest.raises(ParameterError, match=r"^threads is 0"):
        account_measures(cube, held, threads=0)


def test_a_coin_without_factor_cannot_be_collateral(snapshot, instruments, held, balances):
    only = [i for i in instruments if i.underlying == "ETH" and "02Aug26" not in i.name]
    moves = grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=["ETH"])
    cube = revalue(only, snapshot, moves)
    table = held[[i.name for i in only]]
    with pytest.raises(DataGapError, match="hold no factor of the collateral currency BTC"):
        account_measures(cube, table, balances=balances)


def test_warmup_counts_its_kernels():
    assert warmup_accounts() == 2
