"""Rules side by side: netting benefit, implied level, the JSON record, and what a trade changes."""

from __future__ import annotations

import dataclasses
import json
import math
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pmkit.core.errors import (
    HistoryEndsWarning,
    ParameterError,
    PmkitError,
    RuleVersionError,
    StaleParametersWarning,
    ThinTailWarning,
)
from pmkit.core.protocols import Rule
from pmkit.instruments import Position, parse_instrument
from pmkit.margin import Account, Comparison, compare, rule, rules, what_if
from pmkit.margin.rule import default_rules
from pmkit.margin.study.compare import implied_level
from pmkit.market import MarketSnapshot, datasets, load_history, load_snapshot
from pmkit.scenarios import ScenarioSet, grid

Make = Callable[..., Account]


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    """Let the warnings pass that every run on the shipped data gives; they are tested elsewhere."""
    with warnings.catch_warnings():
        for kind in (HistoryEndsWarning, ThinTailWarning, StaleParametersWarning):
            warnings.simplefilter("ignore", kind)
        yield


def moves(*x: float) -> ScenarioSet:
    return grid(list(x), dynamics="sticky_strike", underlyings=["BTC", "ETH"])


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    account = Account.from_csv(datasets.path("account-iron-condor"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [
            rule("es-fhs", n_paths=5_000),
            rule("var-hs", replications=2),
            "deribit-pm",
            "deribit-standard",
        ]
        return compare(account, load_snapshot("deribit-btc-2026-08-01"), rules=made, stale="warn")


def test_all_four_rules_on_a_shipped_account(comparison: Comparison) -> None:
    frame = comparison.summary()
    assert tuple(frame.index) == default_rules()
    assert (frame["im"] > 0.0).all() and (frame["mm"] <= frame["im"]).all()
    assert list(frame["numeraire"]) == ["USD", "USD", "BTC", "BTC"]
    assert frame.loc["deribit-pm", "age_days"] == 775.0
    spot = comparison.spot["BTC"]
    assert frame.loc["deribit-pm", "im_equity_usd"] == pytest.approx(
        frame.loc["deribit-pm", "im_equity"] * spot
    )
    assert frame["implied_level"].between(0.0, 1.0).all()
    assert frame.loc["deribit-standard", "netting_benefit"] == pytest.approx(0.0, abs=1e-12)
    for result in comparison.results:
        result.check()


def test_json_record_is_strict_and_complete(comparison: Comparison) -> None:
    record = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert set(record) == {"as_of", "account", "results"}
    wanted = {
        "rule", "variant", "param_set", "param_set_age_days", "numeraire", "basis", "im", "mm", "im_equity",
        "equity", "excess", "margin_ratio", "status", "implied_level", "worst_scenario", "addons", "warnings",
    }  # fmt: skip
    for result in record["results"]:
        assert wanted <= set(result) and set(result["worst_scenario"]) == {"name", "pnl"}


def test_results_are_found_by_name(comparison: Comparison) -> None:
    assert comparison["deribit-pm"] is comparison["deribit-pm spm"]
    with pytest.raises(KeyError, match="no result 'span'"):
        comparison["span"]
    assert set(comparison.to_frame()["rule"]) == set(default_rules())
    assert repr(comparison) == repr(comparison)


# -- implied level by hand ------------------------------------------------------------------------------
def test_implied_level_in_usd(market: MarketSnapshot, make_account: Make) -> None:
    """Long 1 BTC of perpetual: losses of 40, 30, 20 per cent and a gain, over a margin of 30 per cent."""
    account = make_account({"BTC-PERPETUAL": 6003}, {"USDC": 100_000.0})
    own = moves(-0.4, -0.3, -0.2, 0.1)
    es = rule("es-fhs")
    margin = es.requirement(account, market, scenarios=moves(-0.3, 0.1))  # type: ignore[call-arg]
    assert margin.im == pytest.approx(18_000.0)
    share, beyond = implied_level(margin, account, market, es.cube(account, market, own))
    assert share == 0.25 and beyond == pytest.approx(6_000.0)


def test_implied_level_in_coin(market: MarketSnapshot, make_account: Make) -> None:
    """One coin of perpetual loses 0.25/0.75 coin at −25 %, and at −16 % what deribit-pm covers."""
    account = make_account({"BTC-PERPETUAL": 6003}, {"BTC": 1.0})
    made = compare(account, market, rules=["deribit-pm"], common=moves(-0.25, -0.16, -0.10, 0.1))
    result = made["deribit-pm"]
    assert result.im == pytest.approx(0.16 / 0.84 + 0.01, abs=1e-9)
    assert result.implied_level == 0.25
    assert result.mean_loss_beyond == pytest.approx(0.25 / 0.75 - result.im, rel=1e-9)
    assert made.common_pnl[0] == pytest.approx(-0.25 * 60_000.0 - 0.25 * 60_000.0)


def test_nothing_beyond(market: MarketSnapshot, make_account: Make) -> None:
    made = compare(
        make_account({"BTC-PERPETUAL": 6003}), market, rules=["deribit-pm"], common=moves(-0.1, 0.1)
    )
    assert made["deribit-pm"].implied_level == 0.0 and math.isnan(made["deribit-pm"].mean_loss_beyond)


def test_a_synthetic_dollar_is_never_ruined(make_account: Make) -> None:
    even = MarketSnapshot.from_marks("2024-06-10T08:00:00Z", {"BTC": 60_000.0})
    account = make_account({"BTC-PERPETUAL": -6000}, {"BTC": 1.0})
    made = compare(account, even, rules=[rule("es-fhs", n_paths=2_000, vol_anchor=0.5)])
    assert made["es-fhs"].implied_level == 0.0
    assert np.abs(made.common_pnl).max() < 1e-8


def test_two_coins_are_added_in_usd() -> None:
    snapshot = load_snapshot("deribit-btc-eth-2026-05-21")
    account = Account.from_csv(datasets.path("account-btc-eth"))
    made = compare(
        account,
        snapshot,
        rules=["deribit-pm", "deribit-standard", rule("es-fhs", n_paths=5_000)],
        stale="warn",
    )
    result = made["deribit-pm"]
    assert result.numeraire == "USD" and set(result.parts) == {"BTC", "ETH"}
    assert result.param_set == "deribit-pm-spm-btc-2024-06 + deribit-pm-spm-eth-2026-02"
    assert 0.0 <= result.implied_level < 1.0 and result.netting_benefit < 1.0
    assert made["deribit-standard"].netting_benefit == pytest.approx(0.0, abs=1e-12)
    assert result.to_dict()["parts"]["ETH"]["numeraire"] == "ETH"


# -- netting benefit ------------------------------------------------------------------------------------
def test_netting_benefit_of_one_line_is_zero_and_of_opposite_lines_large(
    market: MarketSnapshot, make_account: Make
) -> None:
    common = moves(-0.1, 0.1)
    one = compare(make_account({"BTC-27DEC24": 600}), market, rules=["deribit-pm"], common=common)
    assert one["deribit-pm"].netting_benefit == pytest.approx(0.0, abs=1e-9)
    spread = compare(
        make_account({"BTC-27DEC24": 600, "BTC-28JUN24": -600}), market, rules=["deribit-pm"], common=common
    )
    assert 0.8 < spread["deribit-pm"].netting_benefit < 1.0


def test_a_hedge_by_collateral_shows_as_netting(market: MarketSnapshot, make_account: Make) -> None:
    """The coin behind a short perpetual is a line of its own where the rule revalues it."""
    account = make_account({"BTC-PERPETUAL": -6003, "BTC-28JUN24": 10}, {"BTC": 1.0})
    made = compare(account, market, rules=[rule("es-fhs", n_paths=2_000, vol_anchor=0.5)])
    assert 0.9 < made["es-fhs"].netting_benefit < 1.0


def test_the_history_of_the_caller_serves_lines_too(market: MarketSnapshot, make_account: Make) -> None:
    own = load_history("crypto-daily-2020-2023").window("2021-01-01", "2023-12-31")
    one = make_account({"BTC-27DEC24": 600})
    made = compare(one, market, rules=[rule("es-fhs", n_paths=2_000, vol_anchor=0.5)], history=own)
    assert made["es-fhs"].netting_benefit == 0.0


def test_netting_benefit_can_be_negative(market: MarketSnapshot, make_account: Make) -> None:
    """Two lines whose tails the dampener forgives one by one, but not together."""
    held = {"BTC-28JUN24-90000-C": -120, "BTC-28JUN24-95000-C": -120}
    made = compare(make_account(held), market, rules=["deribit-pm"], common=moves(-0.1, 0.1))
    assert made["deribit-pm"].netting_benefit < -0.05


def test_default_rules_need_stale_parameters_accepted(market: MarketSnapshot, make_account: Make) -> None:
    with pytest.raises(RuleVersionError, match='accept it with stale="warn"'):
        compare(make_account({"BTC-PERPETUAL": 6003}), market, rules=["deribit-standard"])


# -- what if --------------------------------------------------------------------------------------------
def test_a_trade_at_the_mark_moves_margin_and_not_equity(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-28JUN24-60000-C": -10}, {"BTC": 5.0})
    hedge = Position(instrument=parse_instrument("BTC-28JUN24-70000-C", market.as_of), qty=10.0)
    for name in ("deribit-pm", "deribit-standard"):
        found = what_if(account, hedge, market, rule(name, stale="warn"))
        assert found.change["equity"] == pytest.approx(0.0, abs=1e-12)
        assert found.change["excess"] == pytest.approx(-found.change["im_equity"], rel=1e-9)
    bought = what_if(account, hedge, market, "deribit-pm")
    assert bought.change["im"] < 0.0
    assert bought.after.account == "account after the trade"
    assert set(bought.to_dict()) == {"before", "after", "change"}


def test_closing_a_line_removes_it(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-28JUN24-60000-C": -10, "BTC-PERPETUAL": 600}, {"BTC": 5.0})
    back = Position(instrument=account.instruments[0], qty=10.0)
    found = what_if(account, back, market, "deribit-pm")
    alone = rule("deribit-pm").requirement(make_account({"BTC-PERPETUAL": 600}), market)
    assert found.after.im == alone.im and found.after.equity == pytest.approx(found.before.equity)


def test_a_trade_away_from_the_mark_changes_equity(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 600}, {"BTC": 5.0})
    dear = Position(instrument=account.instruments[0], qty=600.0, entry_price=61_000.0)
    found = what_if(account, dear, market, "deribit-pm")
    assert found.change["equity"] == pytest.approx(6_000.0 * (1.0 / 61_000.0 - 1.0 / 60_030.0))
    with pytest.raises(ParameterError, match="expected a Position or several of them"):
        what_if(account, [], market, "deribit-pm")


def test_every_rule_keeps_the_protocol() -> None:
    for name in rules():
        made = rule(name)
        assert isinstance(made, Rule) and made.name == name


def test_unknown_rule_names() -> None:
    with pytest.raises(
        RuleVersionError, match=r"unknown rule 'stans'; expected one of es-fhs, var-hs, deribit-pm"
    ):
        rule("stans")
    with pytest.raises(RuleVersionError, match="expected a date from 2024-06-01 on"):
        rule("deribit-pm", as_of="2023-01-01")


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")
def test_a_comparison_cites_and_checks_what_its_rules_do(make_account: Make) -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    account = make_account({"BTC-PERPETUAL": 100}, {"BTC": 1.0}, as_of="2026-08-01T17:58:04Z")
    rules = ["deribit-pm", rule("es-fhs", n_paths=1000)]
    found = compare(account, chain, rules=rules, stale="warn")
    assert {"deribithelp", "acerbi2002"} <= set(found.cite())
    found.check()
    broken = dataclasses.replace(found, results=(dataclasses.replace(found.results[0], mm=1e9),))
    with pytest.raises(PmkitError, match="above im"):
        broken.check()
