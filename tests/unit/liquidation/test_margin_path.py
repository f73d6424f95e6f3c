"""Rules through time: requirements, calls and breaches against answers of the rules one by one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    ParameterError,
    PmkitError,
    RuleVersionError,
)
from pmkit.liquidation import MarginPath, margin_call, margin_path, replay, scenario_path
from pmkit.liquidation.path import entered_at
from pmkit.margin import Account, SpeedLimit, rule, with_parts
from pmkit.margin.rule import AnyRule
from pmkit.market.history import PriceHistory, load_history
from pmkit.market.snapshot import MarketSnapshot

Hold = Callable[..., Account]
Path = tuple[MarketSnapshot, ...]
CRASH = pd.DataFrame({"days": [1.0] * 5, "BTC spot": [-0.04, -0.06, -0.20, 0.05, 0.02]})
SHORT = {"BTC-14JUN24-55000-P": -30.0, "BTC-PERPETUAL": 12_000.0}


@pytest.fixture(scope="module")
def path(market: MarketSnapshot) -> Path:
    return scenario_path(market, CRASH, dynamics="sticky_strike")


@pytest.fixture
def walked(hold: Hold, path: Path, matrix: AnyRule, standard: AnyRule) -> MarginPath:
    return margin_path(hold(SHORT, {"BTC": 6.0}, "short"), path, [matrix, standard])


def test_every_answer_is_the_rule_asked_alone(
    hold: Hold, path: Path, matrix: AnyRule, walked: MarginPath
) -> None:
    walked.check()
    account = entered_at(hold(SHORT, {"BTC": 6.0}, "short"), path[0])
    seen = walked.of("deribit-pm")
    for snapshot, row in zip(path[:4], seen.itertuples(), strict=False):  # the put lives until the fifth
        # funding is paid from the second snapshot on: undo it to ask about the account itself
        answer = matrix.requirement(account, snapshot)
        assert row.im == pytest.approx(answer.im_equity * snapshot.spot("BTC"), rel=1e-12)
        if snapshot is path[0]:
            assert row.equity == answer.equity * snapshot.spot("BTC")
            assert row.call == margin_call(answer, snapshot).usd
    assert list(seen.index) == [s.as_of for s in path]
    assert walked.books == ("short",)
    assert walked.rules == ("deribit-pm", "deribit-standard")
    assert walked.wide("im").shape == (6, 2)


def test_a_quiet_path_equals_the_replay(hold: Hold, path: Path, matrix: AnyRule) -> None:
    rich = hold(SHORT, {"BTC": 60.0}, "rich")
    steps = replay(rich, path, matrix).of("rich")
    assert (steps["event"] == "none").all()
    seen = margin_path(rich, path, [matrix]).of("deribit-pm")
    for column in ("equity", "im", "mm", "excess", "margin_ratio"):
        np.testing.assert_allclose(seen[column], steps[column], rtol=1e-12)


def test_loss_is_in_the_numeraire_and_turned_into_usd_afterwards(
    hold: Hold, path: Path, walked: MarginPath
) -> None:
    seen = walked.of("deribit-pm")
    coins = seen["equity"] / seen["unit"]
    expected = (coins - coins.shift(-1)) * seen["unit"]
    np.testing.assert_allclose(seen["loss"].iloc[:-1], expected.iloc[:-1], rtol=1e-9, atol=1e-6)
    assert math.isnan(seen["loss"].iloc[-1])
    beyond = (seen["loss"] - seen["im"]).clip(lower=0.0)
    np.testing.assert_allclose(seen["beyond"].iloc[:-1], beyond.iloc[:-1], rtol=1e-9)
    assert seen["breach"].to_list() == [*(beyond.iloc[:-1] > 0.0), False]
    assert seen["breach"].sum() == 1
    assert seen["breach"].idxmax() == path[2].as_of  # the day before the fall of a fifth


def test_collateral_that_does_not_count_is_no_loss(path: Path) -> None:
    rows = [
        {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2024-06-10T08:00:00Z"},
        {"type": "collateral", "instrument": "BTC", "qty": 1.0, "as_of": "2024-06-10T08:00:00Z"},
        {"type": "collateral", "instrument": "USDC", "qty": 9e4, "as_of": "2024-06-10T08:00:00Z"},
    ]
    account = Account.from_records(rows)
    held = tuple(
        replace(
            p,
            instrument=replace(
                p.instrument, settlement="linear", settlement_currency="USDC", multiplier=1.0, lot=1e-9
            ),
            qty=1e-9,
        )
        for p in account.portfolio
    )
    account = account.with_portfolio(account.portfolio.with_positions(held))
    paradex = rule("paradex-pm", variant="fee", as_of="2026-08-01", stale="warn")
    result = paradex.requirement(account, path[0])
    assert result.not_eligible == {"BTC": 1.0}
    seen = margin_path(account, path, [paradex]).of("paradex-pm")
    assert seen["loss"].abs().max() < 1e-3
    assert seen["dated"].unique().tolist() == ["before its dates"]


def test_expired_contracts_are_settled_and_the_walk_goes_on(hold: Hold, path: Path, matrix: AnyRule) -> None:
    only = hold({"BTC-14JUN24-55000-P": -30.0}, {"BTC": 6.0})
    seen = margin_path(only, path, [matrix]).of("deribit-pm")
    assert (seen["im"].iloc[-2:] == 0.0).all()
    assert (seen["im"].iloc[:-2] > 0.0).all()
    price = path[4].spot("BTC")
    paid = 30.0 * max(55_000.0 - price, 0.0) / price
    assert paid > 0.0
    assert seen["equity"].iloc[4] / price == pytest.approx(6.0 - paid, rel=1e-12)


def test_a_book_is_set_up_anew_each_day(path: Path, matrix: AnyRule) -> None:
    def constant(snapshot: MarketSnapshot) -> Account:
        qty = round(1e6 / 10.0)
        rows = [
            {"type": "position", "instrument": "BTC-PERPETUAL", "qty": qty, "as_of": snapshot.as_of},
            {"type": "collateral", "instrument": "BTC", "qty": 5.0, "as_of": snapshot.as_of},
        ]
        return Account.from_records(rows)

    walked = margin_path(constant, path, [matrix])
    seen = walked.of("deribit-pm")
    assert walked.books == ("constant",)
    assert seen["equity"].to_list() == pytest.approx([5.0 * s.spot("BTC") for s in path], rel=1e-12)
    swaps = [s.market("BTC").perpetual for s in path]
    rate = path[0].market("BTC").funding
    assert rate is not None
    for at in range(5):
        coins = 1e6 * (1.0 / swaps[at + 1] - 1.0 / swaps[at]) + 3.0 * rate * 1e6 / swaps[at + 1]
        assert seen["loss"].iloc[at] == pytest.approx(coins * path[at].spot("BTC"), rel=1e-9)


def test_books_and_rules_keep_their_order_and_do_not_touch(
    hold: Hold, path: Path, matrix: AnyRule, standard: AnyRule, walked: MarginPath
) -> None:
    books = {"b": hold(SHORT, {"BTC": 6.0}), "a": hold({"BTC-PERPETUAL": 100.0}, {"BTC": 1.0})}
    both = margin_path(books, path, {"std": standard, "pm": matrix})
    assert (both.books, both.rules) == (("b", "a"), ("std", "pm"))
    pd.testing.assert_frame_equal(both.of("pm", "b"), walked.of("deribit-pm"))
    with pytest.raises(ParameterError, match=r"book None.*b, a"):
        both.of("pm")
    assert both.plot(book="a").get_title() == "a"
    assert json.loads(json.dumps(both.to_dict()))["rule"][0] == "std"


def test_memory_is_handed_on(hold: Hold, path: Path, matrix: AnyRule) -> None:
    slow = with_parts(matrix, tools=[SpeedLimit(rise=0.01)])
    held = hold({"BTC-27DEC24-55000-P": -30.0}, {"BTC": 60.0})
    rising = margin_path(held, path, [matrix, slow])
    plain, limited = (rising.of(name)["im"] / rising.of(name)["unit"] for name in rising.rules)
    assert plain.max() > 1.02 * limited.max()
    assert (limited.iloc[1:4].to_numpy() <= 1.01 * limited.iloc[:3].to_numpy() * (1 + 1e-12)).all()


def test_dates_of_the_parameters_are_told(hold: Hold, path: Path) -> None:
    held = hold({"BTC-PERPETUAL": 100.0}, {"BTC": 1.0})
    rules = {
        "in": rule("deribit-pm", as_of="2024-06-10"),
        "old": rule("deribit-standard", stale="warn"),
        "whole": with_parts(rule("deribit-standard", stale="warn")),
    }
    walked = margin_path(held, path, rules)
    told = walked.table["dated"].groupby(level="rule").unique().str.join("")
    assert told.to_dict() == {"in": "in its dates", "old": "after its dates", "whole": "after its dates"}
    assert "before" not in walked.summary().loc[("account", "in"), "dated"]
    with pytest.raises(RuleVersionError, match="was last observed"):
        margin_path(held, path, ["deribit-standard"])


def test_summary_counts(hold: Hold, path: Path, walked: MarginPath) -> None:
    row = walked.summary().loc[("short", "deribit-pm")]
    seen = walked.of("deribit-pm")
    assert row["called"] == (seen["status"] != "ok").sum() >= row["flagged"] > 0
    assert row["first_call"] == seen.index[(seen["status"] != "ok").argmax()]
    assert (row["breaches"], row["outcomes"]) == (1, 5)
    assert row["largest_call"] == pytest.approx(seen["call"].max(), rel=1e-9)


def test_the_history_handed_over_is_the_one_looked_at(hold: Hold, path: Path) -> None:
    closes = load_history("crypto-daily-2020-2023")
    wild = closes.prices[["BTC"]].copy()
    wild.iloc[1::2] *= 1.1
    rich = hold({"BTC-PERPETUAL": 100.0}, {"BTC": 9.0})
    expected = rule("es-fhs", n_paths=2000, vol_anchor="filter")
    asked = [
        margin_path(rich, path[:1], [expected], history=history)
        for history in (closes, PriceHistory.from_frame(wild))
    ]
    assert 2.0 * asked[0].table["im"].iloc[0] < asked[1].table["im"].iloc[0]
    assert pd.isna(asked[0].summary()["first_call"].iloc[0])


def test_funding_at_a_multiple_shifts_cash_alone(walked: MarginPath) -> None:
    richer = walked.funded_at(1.5)
    richer.check()
    for name in walked.rules:
        before, after = walked.of(name), richer.of(name)
        assert after["margin_ratio"].iloc[0] == pytest.approx(1.0 / 1.5, rel=1e-12)
        coins = (after["equity"] - before["equity"]) / before["unit"]
        assert np.ptp(coins) < 1e-12 * abs(coins.iloc[0])
        for same in ("im", "mm", "loss", "breach"):
            pd.testing.assert_series_equal(after[same], before[same])
    same = walked.funded_at(float(1.0 / walked.of("deribit-pm")["margin_ratio"].iloc[0])).of("deribit-pm")
    assert same["status"].to_list() == walked.of("deribit-pm")["status"].to_list()
    np.testing.assert_allclose(same["call"], walked.of("deribit-pm")["call"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(same["margin_ratio"], walked.of("deribit-pm")["margin_ratio"], rtol=1e-9)
    assert "1.5 times initial margin" in richer.notes[-1]
    with pytest.raises(ParameterError, match="multiple"):
        walked.funded_at(0.0)
    apart = replace(walked, table=walked.table.assign(unit=math.nan))
    with pytest.raises(ConventionError, match="margins several coins apart"):
        apart.funded_at(1.5)


def test_a_broken_identity_is_found(walked: MarginPath) -> None:
    for column, text in (("excess", "excess is not"), ("mm", "maintenance exceeds"), ("breach", "no breach")):
        table = walked.table.copy()
        table[column] = True if column == "breach" else table[column] + 1e9
        with pytest.raises(PmkitError, match=text):
            replace(walked, table=table).check()


def test_bad_input_is_refused(hold: Hold, path: Path, matrix: AnyRule, walked: MarginPath) -> None:
    held = hold({"BTC-PERPETUAL": 100.0}, {"BTC": 1.0})
    with pytest.raises(DataGapError, match="1 books and 0 snapshots"):
        margin_path(held, [], [matrix])
    with pytest.raises(DataGapError, match="0 books and 6 snapshots"):
        margin_path({}, path, [matrix])
    with pytest.raises(DataGapError, match="no rule"):
        margin_path(held, path, [])
    with pytest.raises(ParameterError, match="two rules are called 'deribit-pm spm'"):
        margin_path(held, path, [matrix, matrix])
    with pytest.raises(LookAheadError, match="a path that rises"):
        margin_path(held, path[::-1], [matrix])
    with pytest.raises(ParameterError, match="the book gave a int at 2024-06-10"):
        margin_path(lambda snapshot: 3, path, [matrix])  # type: ignore[arg-type,return-value]
    with pytest.raises(ParameterError, match="no rule 'x'"):
        walked.of("x")
    with pytest.raises(ParameterError, match="no column 'x'"):
        walked.wide("x")
    with pytest.raises(ParameterError, match="book 'x'"):
        walked.of("deribit-pm", "x")


def test_coins_margined_apart_are_compared_apart(standard: AnyRule) -> None:
    stamp = "2024-06-10T08:00:00Z"
    rows = [
        {"type": kind, "instrument": name, "qty": qty, "as_of": stamp}
        for kind, name, qty in (
            ("position", "BTC-PERPETUAL", 12_000.0),
            ("position", "ETH-PERPETUAL", 60_000.0),
            ("collateral", "BTC", 0.01),
            ("collateral", "ETH", 50.0),
        )
    ]
    start = MarketSnapshot.from_marks(stamp, {"BTC": 60_000.0, "ETH": 3_000.0})
    fall = pd.DataFrame({"days": [1.0], "BTC spot": [-0.10], "ETH spot": [0.05]})
    walked = margin_path(
        Account.from_records(rows), scenario_path(start, fall, dynamics="sticky_strike"), [standard]
    )
    walked.check()
    seen = walked.of("deribit-standard").iloc[0]
    parts = standard.requirement(Account.from_records(rows), start).parts
    short = max(0.0, parts["BTC"].im_equity - parts["BTC"].equity) * 60_000.0
    assert seen["call"] == pytest.approx(short, rel=1e-12) and short > 0.0
    assert parts["ETH"].excess > 0.0  # what ETH has too much does not help BTC
    lost = 120_000.0 * (1.0 / 54_000.0 - 1.0 / 60_000.0)
    gained = 60_000.0 * (1.0 / 3_000.0 - 1.0 / 3_150.0)
    assert seen["loss"] == pytest.approx(lost * 60_000.0 - gained * 3_000.0, rel=1e-9)
    assert seen["beyond"] == pytest.approx((lost - parts["BTC"].im_equity) * 60_000.0, rel=1e-9)
    assert seen["breach"] and math.isnan(seen["unit"])
    with pytest.raises(ConventionError, match="deribit-standard margins several coins apart"):
        walked.funded_at(2.0)
