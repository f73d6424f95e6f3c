"""Coverage of margin by account, group and date, and inference on accounts that share dates."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pmkit.backtest import many_accounts, margin_coverage
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.random import stream

DATES = pd.date_range("2024-01-01", periods=4, tz="UTC")
MARGIN = pd.DataFrame({"a": [2.0, 2.0, np.nan, 4.0], "b": [1.0, 1.0, 1.0, 0.0]}, index=DATES)
PNL = pd.DataFrame({"a": [-3.0, -2.0, np.nan, -5.0], "b": [9.0, -1.5, 0.0, -1.0]}, index=DATES)


def test_by_hand() -> None:
    result = margin_coverage(MARGIN, PNL, groups={"a": "options", "b": "futures"})
    result.check()
    assert result.coverage == 1.0 - 4 / 7  # a loss of just the margin is no breach
    rows = result.by_account()
    assert rows["n"].tolist() == [3, 4] and rows["breaches"].tolist() == [2, 2]
    assert rows.loc["a", ["mean_breach", "max_breach"]].tolist() == [1.0, 1.0]
    assert rows.loc["a", "mean_breach_of_margin"] == (1 / 2 + 1 / 4) / 2
    assert rows.loc["b", "max_breach_of_margin"] == 0.5  # where nothing was asked there is no ratio
    assert result.by_group().loc["options"].tolist() == rows.loc["a"].tolist()
    dates = result.by_date()
    assert dates.index[0] == DATES[3] and dates.iloc[0][["held", "breaches", "shortfall"]].tolist() == [
        2,
        2,
        2.0,
    ]
    assert len(result.to_frame()) == 7 and int(result.to_frame()["breach"].sum()) == 4
    assert result.summary().index.tolist() == ["all", "a", "b"]


def test_one_series_is_one_account() -> None:
    result = margin_coverage(MARGIN["b"], PNL["b"].rename("pnl"))
    assert result.by_account().index.tolist() == ["b"] and len(result.summary()) == 1


def simulated(seed: int, accounts: int, shared: float, scale: float = 1.0, days: int = 500):
    rng = stream(seed, "accounts")
    common, own = rng.standard_normal((days, 1)), rng.standard_normal((days, accounts))
    pnl = pd.DataFrame(math.sqrt(shared) * common + math.sqrt(1.0 - shared) * own)
    return margin_coverage(pd.DataFrame(np.full(pnl.shape, 1.6448536 * scale)), pnl)


def test_common_dates_widen_the_interval() -> None:
    alone, together = (many_accounts(simulated(3, 40, share), p=0.05) for share in (0.0, 0.6))
    together.check()
    assert alone.inflation == pytest.approx(1.0, abs=0.3) and together.inflation > 5.0
    assert together.interval[1] - together.interval[0] > 2.0 * (alone.interval[1] - alone.interval[0])
    assert alone.covers and together.covers


def test_interval_covers_the_truth_and_little_margin_is_found() -> None:
    inside = sum(
        low <= 0.05 <= high
        for low, high in (
            many_accounts(simulated(seed, 20, 0.5), p=0.05, draws=199, seed=seed).interval
            for seed in range(60)
        )
    )
    assert inside >= 50
    short = many_accounts(simulated(1, 20, 0.5, scale=0.7), p=0.05)
    assert not short.covers and short.table["rejected"].mean() > 0.5


def test_false_discoveries_stay_rare_under_dependence() -> None:
    found = sum(
        bool(many_accounts(simulated(seed, 30, 0.8), p=0.05, draws=99).table["rejected"].any())
        for seed in range(60)
    )
    assert found <= 6


def test_adjusted_p_values_by_hand() -> None:
    margin = pd.DataFrame(np.full((100, 3), 1.0), columns=list("xyz"))
    pnl = pd.DataFrame(np.zeros((100, 3)), columns=list("xyz"))
    pnl.iloc[:4, 0], pnl.iloc[:2, 1] = -2.0, -2.0
    table = many_accounts(margin_coverage(margin, pnl), p=0.01).table
    plain = binom.sf(np.array([3, 1, -1]), 100, 0.01)
    harmonic = 1.0 + 1 / 2 + 1 / 3
    expected = np.minimum.accumulate((plain * 3 * harmonic / np.array([1, 2, 3]))[::-1])[::-1].clip(max=1.0)
    np.testing.assert_allclose(table["p_value"], plain)
    np.testing.assert_allclose(table["p_adjusted"], expected)
    assert table.index.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (SchemaError, "same dates and accounts", lambda: margin_coverage(MARGIN, PNL.iloc[:2])),
        (SchemaError, "a margin or a P&L alone", lambda: margin_coverage(MARGIN, PNL.fillna(0.0))),
        (ConventionError, "0 or a positive requirement", lambda: margin_coverage(-MARGIN, PNL)),
        (DataGapError, "no account was held", lambda: margin_coverage(MARGIN * np.nan, PNL * np.nan)),
        (SchemaError, "no group for b", lambda: margin_coverage(MARGIN, PNL, groups={"a": "x"})),
        (SchemaError, "appears twice", lambda: margin_coverage(MARGIN[["a", "a"]], PNL[["a", "a"]])),
        (SchemaError, "of type list", lambda: margin_coverage([1.0], PNL)),
        (DataGapError, "no groups are given", lambda: margin_coverage(MARGIN, PNL).by_group()),
        (ParameterError, "call margin_coverage first", lambda: many_accounts(MARGIN, p=0.01)),
        (ConventionError, "looks like a level", lambda: many_accounts(margin_coverage(MARGIN, PNL), p=0.99)),
        (ParameterError, "99 or more", lambda: many_accounts(margin_coverage(MARGIN, PNL), p=0.01, draws=9)),
    ],
)
def test_bad_input_is_named(error: type[Exception], message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()


def test_results_draw() -> None:
    result = simulated(1, 5, 0.2)
    assert "Coverage" in result.plot().get_title()
    assert "rejected" in many_accounts(result, p=0.05, draws=99).plot().get_title()
