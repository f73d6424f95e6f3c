"""Hedges walked forward on real daily closes: no look into the future, and what optimism costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pmkit as pm
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.optimize import walk_hedge


@pytest.fixture(scope="module")
def daily() -> pd.DataFrame:
    """Daily profit of one USD in each of four coins, 2020 to 2023."""
    wide = pm.market.load_history("crypto-daily-2020-2023").prices.dropna(axis=1)
    return wide.pct_change().iloc[1:, :4]


def test_hedges_see_the_past_only(daily: pd.DataFrame) -> None:
    held = pd.Series({daily.columns[0]: 1000.0})
    most = pd.Series(2000.0, index=daily.columns[1:])
    found = walk_hedge(daily, held, most=most, window=200, every=50, level=0.9)
    found.check()
    changed = daily.copy()
    changed.iloc[400:] *= 3.0
    other = walk_hedge(changed, held, most=most, window=200, every=50, level=0.9)
    early = found.hedges.index[:5]
    assert found.hedges.loc[early].equals(other.hedges.loc[early])
    assert not found.hedges.iloc[6:].equals(other.hedges.iloc[6:])
    assert found.pnl.iloc[:200].equals(other.pnl.iloc[:200])


def test_a_hedge_helps_and_promises_too_much(daily: pd.DataFrame) -> None:
    held = pd.Series({daily.columns[0]: 1000.0})
    found = walk_hedge(daily, held, most=pd.Series(2000.0, index=daily.columns[1:]), window=250, every=25)
    assert found.shortfall() < found.shortfall("unhedged")
    assert found.shortfall("unhedged") == pytest.approx(
        pm.risk.expected_shortfall(1000.0 * daily.iloc[250:, 0].to_numpy(), 0.95).value
    )
    assert (found.hedges.abs() <= 2000.0 * (1.0 + 1e-9)).all().all()
    assert len(found.pnl) == len(daily) - 250
    assert found.summary().loc["decisions", "value"] == len(found.hedges)
    assert found.plot().get_ylabel() == "cumulated profit, USD"
    first = daily.iloc[:250].to_numpy() @ np.array([1000.0, *found.hedges.iloc[0]])
    assert found.promised.iloc[0] == pytest.approx(pm.risk.expected_shortfall(first, 0.95).value)


def test_walks_are_checked(daily: pd.DataFrame) -> None:
    held, most = pd.Series({daily.columns[0]: 1.0}), pd.Series({daily.columns[1]: 1.0})
    with pytest.raises(ParameterError, match="unknown 'GOLD'"):
        walk_hedge(daily, held, most=pd.Series({"GOLD": 1.0}))
    with pytest.raises(ParameterError, match="limits"):
        walk_hedge(daily, held, most=-most)
    with pytest.raises(ParameterError, match="at least one date beyond"):
        walk_hedge(daily, held, most=most, window=10)
    with pytest.raises(ParameterError, match="dates in order"):
        walk_hedge(daily.iloc[::-1], held, most=most)
    with pytest.raises(DataGapError, match="1 cell without a number"):
        bad = daily.copy()
        bad.iloc[3, 0] = np.nan
        walk_hedge(bad, held, most=most)
    with pytest.raises(DataGapError, match="more than 250 dates"):
        walk_hedge(daily.iloc[:100], held, most=most)
